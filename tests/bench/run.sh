#!/bin/sh
# Builds the load generator, the bare handler and the core's stopwatch and runs the benchmark; called by ./run bench.
set -eu
cd "$(dirname "$0")/../.."
out=build/bench
mkdir -p $out
cc -O2 -D_GNU_SOURCE -o $out/load tests/bench/load.c -lcrypto -Wno-deprecated-declarations
cc -O2 -D_GNU_SOURCE -o $out/bare tests/bench/bare.c tests/bench/bare_lws.c -lwebsockets -lhttp_parser
cmake --build --preset release --target fill bench_step -- --quiet
exec node tests/bench/bench.mjs build/release $out "$@"
