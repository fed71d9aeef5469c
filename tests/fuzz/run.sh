#!/bin/sh
# run.sh [SECONDS]: every libFuzzer target for that long, on top of its corpus. New inputs stay in
# build/fuzz; what crashes is left there as crash-*.
cd "$(dirname "$0")/../.." || exit 1
seconds=${1:-60}
cmake --preset clang >/dev/null && cmake --build --preset clang || exit 1
bad=0
for fuzzer in build/clang/tests/fuzz_*; do
    [ -x "$fuzzer" ] && [ -f "$fuzzer" ] || continue
    name=$(basename "$fuzzer")
    name=${name#fuzz_}
    mkdir -p "build/fuzz/$name"
    dict=
    [ -f "tests/fuzz/dict/$name.dict" ] && dict="-dict=../../../tests/fuzz/dict/$name.dict"
    (cd "build/fuzz/$name" && "../../../$fuzzer" -max_total_time="$seconds" -max_len=4096 -print_final_stats=1 $dict . \
        "../../../tests/fuzz/corpus/$name") >"build/fuzz/$name.log" 2>&1
    code=$?
    runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "build/fuzz/$name.log")
    echo "$name: ${runs:-0} runs, exit $code"
    [ $code = 0 ] || { tail -30 "build/fuzz/$name.log" && bad=1; }
done
exit $bad
