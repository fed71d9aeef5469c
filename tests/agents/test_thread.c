#include "agents/thread.h"
#include "gateway/base/text.h"

#include <criterion/criterion.h>
#include <string.h>

/* INTERFACE section 3, in its order: for the agent, then not. */
static const char *const FOR_AGENT[] = {
    "slack_message", "email_message",    "sms_message",    "web_message",
    "api_message",   "webhook_received", "schedule_fired", "github_pull_request",
    "step",          "step_refused",     "tool_finished",  "request_decided",
    "handed_over",   "child_finished",   "timer_fired",    "limit_raised",
};
static const char *const NOT_FOR_AGENT[] = {
    "model_asked",      "model_answered", "tool_started",   "request_raised",   "delivery_sent",
    "delivery_failed",  "vote",           "vote_refused",   "request_reminded", "request_escalated",
    "limit_reached",    "stage_started",  "stage_finished", "child_started",    "environment_taken",
    "environment_left", "timer_set",      "paused",         "resumed",          "cancelled",
    "finished",         "note",
};

Test(event_types, are_the_closed_list_of_the_interface)
{
    enum event_type type;
    for (size_t i = 0; i < COUNT(FOR_AGENT); i++) {
        cr_assert(event_type_from_name(FOR_AGENT[i], &type), "%s", FOR_AGENT[i]);
        cr_expect_str_eq(event_type_name(type), FOR_AGENT[i]);
        cr_expect(event_is_for_agent(type), "%s", FOR_AGENT[i]);
        cr_expect_eq(event_is_message(type), i < 8, "%s", FOR_AGENT[i]);
    }
    for (size_t i = 0; i < COUNT(NOT_FOR_AGENT); i++) {
        cr_assert(event_type_from_name(NOT_FOR_AGENT[i], &type), "%s", NOT_FOR_AGENT[i]);
        cr_expect_str_eq(event_type_name(type), NOT_FOR_AGENT[i]);
        cr_expect_not(event_is_for_agent(type), "%s", NOT_FOR_AGENT[i]);
        cr_expect_not(event_is_message(type), "%s", NOT_FOR_AGENT[i]);
    }
    cr_expect_eq(COUNT(FOR_AGENT) + COUNT(NOT_FOR_AGENT), EVENT_NOTE + 1);
    cr_expect_not(event_type_from_name("Step", &type));
    cr_expect_not(event_type_from_name("", &type));
}

Test(thread_status, has_the_names_of_the_interface)
{
    static const char *const names[] = {"running", "waiting", "paused",
                                        "done",    "failed",  "cancelled"};
    for (size_t i = 0; i < COUNT(names); i++) {
        enum thread_status status;
        cr_assert(thread_status_from_name(names[i], &status));
        cr_expect_str_eq(thread_status_name(status), names[i]);
    }
    enum thread_status status;
    cr_expect_not(thread_status_from_name("over", &status));
}

/* Known answers, computed with another program: sha256(previous || canonical JSON). */
Test(event_hash, chains_the_canonical_json_of_the_event)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    struct event e = {.seq = 1,
                      .at_ms = 1700000000000,
                      .type = EVENT_SLACK_MESSAGE,
                      .actor = "person:alice",
                      .data = json_parse_own(&a, "{\"text\":\"hi\",\"channel\":\"C1\"}")};
    char *first = event_hash(&a, NULL, "t_1", &e);
    cr_expect_str_eq(first, "7d851b1bc5174a22c587990cba016dee565dd910bd07f71ca65e1d66f89f4cff");
    e.seq = 2;
    cr_expect_str_eq(event_hash(&a, first, "t_1", &e),
                     "6319f195c3e72d3f27bde2759c093299bcbf0214c12d614d2d4f12880af4fd10");
}

Test(event_hash, changes_with_every_member)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    const struct event e = {.seq = 1,
                            .at_ms = 1700000000000,
                            .type = EVENT_NOTE,
                            .actor = "system",
                            .data = json_parse_own(&a, "{\"a\":1}")};
    char *as_is = event_hash(&a, "p", "t_1", &e);
    struct event changed[5] = {e, e, e, e, e};
    changed[0].seq = 2;
    changed[1].at_ms++;
    changed[2].type = EVENT_STEP;
    changed[3].actor = "person:eve";
    changed[4].data = json_parse_own(&a, "{\"a\":2}");
    for (size_t i = 0; i < COUNT(changed); i++)
        cr_expect_str_neq(event_hash(&a, "p", "t_1", &changed[i]), as_is, "%zu", i);
    cr_expect_str_neq(event_hash(&a, "q", "t_1", &e), as_is);
    cr_expect_str_neq(event_hash(&a, "p", "t_2", &e), as_is);
    cr_expect_str_eq(event_hash(&a, "p", "t_1", &e), as_is);
}
