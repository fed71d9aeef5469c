#!/bin/sh
# Every test. Called by ./run test; the last line is "N passed, N failed".
#
# debug: gcc with ASan and UBSan, all Criterion programs, the fuzzers' corpora
# tsan:  the thread programs
# checks: layers, style, formatting, headers, pure libraries, the manual
# stories: the real program against stand-ins, a real browser for the pages
# torture: the short form of ./run torture
# races: the whole program under TSan and under load; valgrind: one story under it
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
# run_node NAME PROGRAM argument …: Node's test runner over some files, with this build of ours
run_node() {
    log=build/$1.log
    program=$2
    shift 2
    SIGNOFF=$PWD/$program node --test --test-reporter=tap "$@" >"$log" 2>&1
}

count_node() {
    log=build/$1.log
    good=$(sed -n 's/^# pass \([0-9]*\)/\1/p' "$log" | tail -1)
    bad=$(sed -n 's/^# fail \([0-9]*\)/\1/p' "$log" | tail -1)
    cancelled=$(sed -n 's/^# cancelled \([0-9]*\)/\1/p' "$log" | tail -1)
    [ "${bad:-1}" = 0 ] && [ "${cancelled:-0}" = 0 ] || grep -E -A 25 '^ *not ok' "$log" | head -150
    count "$1" "${good:-0}" "$((${bad:-1} + ${cancelled:-0}))"
}

node_tests() {
    run_node "$@"
    count_node "$1"
}

# every_second FIRST file …: half of the files
every_second() {
    n=$1
    shift
    for file in "$@"; do
        [ $((n % 2)) = 1 ] && echo "$file"
        n=$((n + 1))
    done
}

# At its end each story writes which counters it moved.
export SIGNOFF_COUNTERS=$PWD/build/counters.txt
: >"$SIGNOFF_COUNTERS"
node_tests standins build/debug/signoff tests/standins/*.test.mjs
# Stories mostly wait: two at a time.
# shellcheck disable=SC2046
run_node stories-1 build/debug/signoff $(every_second 1 tests/stories/*.test.mjs) &
# shellcheck disable=SC2046
run_node stories-2 build/debug/signoff $(every_second 0 tests/stories/*.test.mjs)
wait
count_node stories-1
count_node stories-2
node_tests torture build/debug/signoff tests/torture/*.test.mjs
one "every counter moves" node tests/counters.mjs "$SIGNOFF_COUNTERS"
node_tests races build/tsan/signoff tests/threads/*.test.mjs
one "build plain" build plain
node_tests valgrind tests/torture/valgrind.sh --test-name-pattern="playbooks decide" tests/stories/deploy.test.mjs

# Each mutant breaks a promise; the test that it names must see that.
mutants() {
    tests/mutants/run.sh >build/mutants.log 2>&1
    grep -v ' killed by ' build/mutants.log
    good=$(grep -c ' killed by ' build/mutants.log)
    count mutants "$good" "$(($(find tests/mutants -name '*.patch' | wc -l) - good))"
}
mutants

[ -z "$failures" ] || echo "failed:$failures"
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
