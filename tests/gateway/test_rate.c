/* Limits per key and minute. */
#include "gateway/base/arena.h"
#include "gateway/rate.h"

#include <criterion/criterion.h>

static struct rate rate;
static const int64_t NOW = 1700000000000;

Test(rate, refuses_what_is_over_its_limit_until_the_minute_is_over)
{
    for (int i = 0; i < 3; i++)
        cr_expect(rate_count(&rate, "alice", 3, NOW));
    cr_expect(rate_is_over(&rate, "alice", 3, NOW));
    cr_expect_not(rate_count(&rate, "alice", 3, NOW));
    cr_expect_not(rate_is_over(&rate, "bob", 3, NOW));
    cr_expect(rate_count(&rate, "bob", 3, NOW), "another key has its own");
    cr_expect(rate_count(&rate, "alice", 3, NOW + 60000));
}

Test(rate, cannot_be_reset_by_other_keys_however_many)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    for (int i = 0; i < 10; i++)
        rate_count(&rate, "guesser", 10, NOW);
    for (int i = 0; i < 50000; i++)
        rate_count(&rate, arena_printf(&a, "2001:db8::%x", i), 10, NOW);
    cr_expect(rate_is_over(&rate, "guesser", 10, NOW));
    cr_expect_not(rate_count(&rate, "guesser", 10, NOW));
}
