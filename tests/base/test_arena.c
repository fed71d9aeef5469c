/* Memory with one lifetime. */
#include "gateway/base/arena.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <string.h>

Test(arena, gives_zeroed_and_aligned_memory_of_any_size)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    static const size_t SIZES[] = {0,    1,    7,    16,   1000,   1023, 1024,
                                   1025, 4000, 4096, 5000, 100000, 3};
    for (size_t round = 0; round < 5; round++)
        for (size_t i = 0; i < COUNT(SIZES); i++) {
            unsigned char *bytes = arena_alloc(&a, SIZES[i]);
            cr_expect_eq((uintptr_t)bytes % _Alignof(max_align_t), 0);
            for (size_t b = 0; b < SIZES[i]; b++)
                cr_expect_eq(bytes[b], 0);
            memset(bytes, 0xAA, SIZES[i]); /* two that overlap would not be zero */
        }
}

static char order[8];
static void note(void *arg)
{
    strcat(order, arg);
}

Test(arena, runs_deferred_functions_newest_first_and_once)
{
    char one[] = "1", two[] = "2";
    struct arena a = ARENA_INIT;
    arena_defer(&a, note, one);
    arena_defer(&a, note, two);
    arena_done(&a);
    arena_done(&a);
    cr_expect_str_eq(order, "21");
}

Test(arena, can_be_used_again_after_its_end)
{
    struct arena a = ARENA_INIT;
    cr_expect_str_eq(arena_strdup(&a, "x"), "x");
    arena_done(&a);
    cr_expect_str_eq(arena_strdup(&a, "y"), "y");
    arena_done(&a);
}

Test(arena, copies_texts)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    cr_expect_null(arena_strdup(&a, NULL));
    cr_expect_str_eq(arena_strndup(&a, "abc", 2), "ab");
    cr_expect_str_eq(arena_strndup(&a, NULL, 0), "");
    cr_expect_str_eq(arena_printf(&a, "%s-%d", "x", 7), "x-7");
}

Test(arena, aborts_when_an_array_overflows, .signal = SIGABRT)
{
    struct arena a = ARENA_INIT;
    (void)arena_array(&a, SIZE_MAX / 2, 3);
}
