#!/bin/sh
# Builds the load generator and the bare handler and runs the benchmark; called by ./run bench.
set -eu
cd "$(dirname "$0")/../.."
out=build/bench
mkdir -p $out
cc -O2 -D_GNU_SOURCE -o $out/load tests/bench/load.c -lcrypto -Wno-deprecated-declarations
cc -O2 -D_GNU_SOURCE -o $out/bare tests/bench/bare.c tests/bench/bare_lws.c -lwebsockets -lhttp_parser
exec node tests/bench/bench.mjs build/release/signoff $out "$@"
