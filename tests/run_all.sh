#!/bin/sh
# Every test. Called by ./run test; the last line is "N passed, N failed".
#
# debug: gcc with ASan and UBSan, all Criterion programs, the fuzzers' corpora
# tsan:  the thread programs
# checks: layers, style, formatting, headers, pure libraries, the manual
# stories: the real program against stand-ins, a real browser for the pages
set -u
cd "$(dirname "$0")/.."
passed=0
failed=0
failures=

# count NAME PASSED FAILED
count() {
    passed=$((passed + $2))
    failed=$((failed + $3))
    [ "$3" = 0 ] || failures="$failures $1"
    echo "== $1: $2 passed, $3 failed"
}

# one NAME command …: a check that passes or fails as a whole
one() {
    name=$1
    shift
    if "$@"; then count "$name" 1 0; else count "$name" 0 1; fi
}

build() {
    cmake --preset "$1" >/dev/null && cmake --build --preset "$1" -- --quiet
}

# ctest counts programs; Criterion's own last lines count tests.
criterion() {
    log=build/$1/tests.log
    ctest --test-dir "build/$1" --output-on-failure -V "$2" "$3" >"$log" 2>&1
    code=$?
    good=$(sed -n 's/.*Synthesis: Tested: .*Passing: \([0-9]*\).*/\1/p' "$log" | awk '{n += $1} END {print n + 0}')
    bad=$(sed -n 's/.*Synthesis: Tested: .*Failing: \([0-9]*\) | Crashing: \([0-9]*\).*/\1 \2/p' "$log" | awk '{n += $1 + $2} END {print n + 0}')
    plain=$(grep -c 'Test *#.*\(replay_\|threads_\).*Passed' "$log")
    if [ "$code" != 0 ]; then
        grep -E 'Failed|\*\*\*|Assertion|FAIL|ERROR|runtime error' "$log" | head -60
        [ "$bad" = 0 ] && bad=1
    fi
    count "$1" "$((good + plain))" "$bad"
}

one "build debug" build debug
[ "$failed" = 0 ] && criterion debug -j 2
one "build tsan" build tsan
[ -d build/tsan ] && criterion tsan -R threads_
one "layers" tests/check_layers.sh
one "style" tests/check_style.sh build/debug
one "clang builds" build clang

packages() {
    [ -d tests/node_modules/playwright-core ] || (cd tests && npm ci --silent --no-fund --no-audit)
}
one "npm packages" packages
for suite in standins stories; do
    log=build/$suite.log
    SIGNOFF=$PWD/build/debug/signoff \
        node --test --test-reporter=tap tests/"$suite"/*.test.mjs >"$log" 2>&1
    good=$(sed -n 's/^# pass \([0-9]*\)/\1/p' "$log" | tail -1)
    bad=$(sed -n 's/^# fail \([0-9]*\)/\1/p' "$log" | tail -1)
    cancelled=$(sed -n 's/^# cancelled \([0-9]*\)/\1/p' "$log" | tail -1)
    [ "${bad:-1}" = 0 ] && [ "${cancelled:-0}" = 0 ] || grep -E -A 25 '^ *not ok' "$log" | head -150
    count "$suite" "${good:-0}" "$((${bad:-1} + ${cancelled:-0}))"
done

[ -z "$failures" ] || echo "failed:$failures"
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
