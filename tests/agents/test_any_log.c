/* Ten thousand logs, the same ones in every run. */
#include "tests/agents/any_log.h"

#include <criterion/criterion.h>

enum { LOGS = 10000 };

static struct log_counts live_through(enum log_kind kind, size_t n)
{
    struct log_counts counts = {0};
    for (size_t i = 1; i <= n; i++)
        any_log(kind, (struct dice){.seed = i * 0x9e3779b97f4a7c15u}, &counts);
    return counts;
}

Test(any_log, of_an_agent_gives_the_same_bytes_twice_and_never_acts_unsigned)
{
    struct log_counts counts = live_through(LOG_OF_AGENT, LOGS / 5);
    cr_expect_gt(counts.effects, LOGS, "they are real lives");
    cr_expect_gt(counts.started, LOGS / 20, "%zu tools started", counts.started);
    cr_expect_gt(counts.finished, LOGS / 20, "%zu ended", counts.finished);
}

Test(any_log, of_a_run_gives_the_same_bytes_twice_and_starts_no_stage_a_third_time)
{
    struct log_counts counts = live_through(LOG_OF_RUN, 2 * (LOGS / 5));
    cr_expect_gt(counts.finished, LOGS / 10, "%zu ended", counts.finished);
}

Test(any_log, of_nonsense_is_rendered_and_stepped_all_the_same)
{
    struct log_counts counts = live_through(LOG_OF_NONSENSE, 2 * (LOGS / 5));
    cr_expect_gt(counts.events, LOGS);
}
