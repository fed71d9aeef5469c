#!/bin/sh
# Stands for the program in a story: runs the one without sanitizers (preset plain) under valgrind.
plain=$(dirname "$0")/../../build/plain
LD_PRELOAD=$plain/tests/libself_exe.so exec valgrind -q --error-exitcode=99 --leak-check=full \
    --show-leak-kinds=definite,indirect --errors-for-leak-kinds=definite,indirect \
    "$plain/signoff" "$@"
