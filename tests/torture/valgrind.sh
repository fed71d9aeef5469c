#!/bin/sh
# Stands for the program in a story: runs it under valgrind. SIGNOFF_PLAIN is the program without
# sanitizers, SELF_EXE the built self_exe.c.
LD_PRELOAD=$SELF_EXE exec valgrind -q --error-exitcode=99 --leak-check=full \
    --show-leak-kinds=definite,indirect --errors-for-leak-kinds=definite,indirect \
    "$SIGNOFF_PLAIN" "$@"
