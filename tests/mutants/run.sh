#!/bin/sh
# run.sh [NAME …]: each patch here breaks one promise. It is applied to a copy of the tree, the test
# that its head names is run there, and must fail; without the patch it must pass. All patches, or
# those named. Ends with 1 when one survives, does not apply any more, or does not compile.
#
# A patch's head has lines "Breaks: WHAT" and "Test: KIND …":
#   Test: criterion PROGRAM [FILTER]    a program of tests/CMakeLists.txt and its --filter
#   Test: story FILE PATTERN            a file of tests/stories and its --test-name-pattern
#   Test: torture FILE PATTERN          the same of tests/torture
#   Test: check SCRIPT                  a script of tests/
set -uf
cd "$(dirname "$0")/../.."
root=$PWD
work=$root/build/mutants
mkdir -p "$work"
rm -f "$work"/*.result

head_of() { # WORD PATCH
    sed -n "/^--- /q; s/^$1: //p" "$2"
}

build_and_test() { # TREE "KIND …" LOG: 0 it passed, 1 it failed, 2 it could not be built
    tree=$1
    log=$3
    # shellcheck disable=SC2086
    set -- $2
    kind=$1
    what=$2
    shift 2
    case $kind in
    criterion) target=$what ;;
    torture) target="signoff fill fault" ;;
    *) target=signoff ;;
    esac
    cmake --build "$tree/build" --target $target >"$log" 2>&1 || return 2
    case $kind in
    criterion) timeout 120 "$tree/build/tests/$what" --filter "${*:-*}" >>"$log" 2>&1 ;;
    story | torture)
        folder=stories
        [ "$kind" = torture ] && folder=torture
        SIGNOFF=$tree/build/signoff FAULT=$tree/build/tests/fault.so timeout 180 node --test --test-reporter=tap \
        --test-name-pattern="$*" "$tree/tests/$folder/$what.test.mjs" >>"$log" 2>&1 ;;
    check) "$tree/tests/$what" "$tree/build" >>"$log" 2>&1 ;;
    esac || return 1
}

failing_tests() { # LOG
    sed -n 's/.*\[FAIL\] \([^:]*::[^:]*\):.*/\1/p; s/.*\[CRASH\] \([^:]*::[^:]*\):.*/\1/p; s/^not ok [0-9]* - //p' "$1" |
        sort -u | head -3 | paste -s -d ';' | sed 's/;/; /g'
}

# Takes every second patch: worker N of 2, in a tree of its own.
worker() {
    tree=$work/tree-$1
    mkdir -p "$tree"
    (cd "$root" && git ls-files -z | grep -zv '^tests/fuzz/corpus/' | tar --null -T - -cf -) | tar -C "$tree" -xf - || exit 1
    (cd "$tree" && git init -q && git add -A) # what the checks look at, and what is gone back to
    [ -d "$root/tests/node_modules" ] && ln -sfn "$root/tests/node_modules" "$tree/tests/node_modules"
    mkdir -p "$tree/tests/fuzz/corpus"
    cmake -S "$tree" -B "$tree/build" -G Ninja -DSIGNOFF_TESTS=ON -DCMAKE_BUILD_TYPE=Debug \
        -DCMAKE_C_FLAGS="-O0 -g1" >"$work/tree-$1.log" 2>&1 || exit 1
    n=0
    while read -r patch; do
        n=$((n + 1))
        [ $((n % 2)) = "$1" ] || continue
        name=$(basename "$patch" .patch)
        test=$(head_of Test "$patch")
        log=$work/$name.log
        key=$(echo "$test" | tr -c 'A-Za-z0-9\n' _ | cut -c 1-120)
        if ! [ -e "$work/$key.passes" ]; then
            build_and_test "$tree" "$test" "$log" || {
                echo "FAILS WITHOUT IT: $test" >"$work/$name.result"
                continue
            }
            : >"$work/$key.passes"
        fi
        if ! (cd "$tree" && git apply --whitespace=nowarn "$patch") >"$log" 2>&1; then
            echo "DOES NOT APPLY" >"$work/$name.result"
        else
            build_and_test "$tree" "$test" "$log"
            case $? in
            0) echo "SURVIVED: $test" ;;
            1) echo "killed by $(failing_tests "$log")" | sed 's/ by $/ by '"$(echo "$test" | sed 's/[\/&]/\\&/g')"'/' ;;
            *) echo "DOES NOT COMPILE" ;;
            esac >"$work/$name.result"
        fi
        (cd "$tree" && git checkout -q .)
    done <"$work/list"
}

rm -f "$work"/*.passes
if [ $# = 0 ]; then
    find "$root/tests/mutants" -name "*.patch" | sort
else
    for name in "$@"; do echo "$root/tests/mutants/$name.patch"; done
fi >"$work/list"
worker 0 &
first=$!
worker 1
wait $first

bad=0
killed=0
while read -r patch; do
    name=$(basename "$patch" .patch)
    result=$(cat "$work/$name.result" 2>/dev/null || echo "NO RESULT")
    case $result in
    killed*) killed=$((killed + 1)) ;;
    *) bad=$((bad + 1)) ;;
    esac
    printf '%-42s %s\n' "$name" "$result"
done <"$work/list"
echo "$killed killed, $bad not"
[ $bad = 0 ]
