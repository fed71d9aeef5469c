#include "agents/context.h"
#include "agents/prompt.h"
#include "gateway/base/hash.h"
#include "gateway/base/text.h"
#include "tests/agents/events.h"

#include <criterion/criterion.h>
#include <time.h>

static const char *ROLES[] = {"deployer"};
static struct person PEOPLE_LIST[] = {
    {.id = "alice", .name = "Alice Ng", .slack = "U1", .roles = ROLES, .n_roles = 1},
    {.id = "bob"},
};
static const struct people PEOPLE = {.list = PEOPLE_LIST, .count = COUNT(PEOPLE_LIST)};

static char *rendered(struct arena *a, const struct thread *t)
{
    return context_render(a, t, &PEOPLE, false);
}

/* The format of DESIGN section 6, byte for byte. */
Test(context, is_a_tag_an_event_with_a_readable_body)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    struct thread t = THREAD(
        &a,
        "slack_message person:alice {\"channel\":\"#deployments\",\"text\":\"Can you deploy the "
        "latest backend to production?\"}",
        "model_asked agent:deploybot {}", "vote person:bob {}",
        "tool_finished system {\"call\":0,\"tool\":\"list_git_tags\",\"outcome\":\"ok\","
        "\"prefetch\":true,\"result\":{\"tags\":[{\"name\":\"v1.2.3\",\"sha\":\"abc123f\",\"at\":"
        "\"2026-03-15T10:00:00Z\"},{\"name\":\"v1.2.2\",\"sha\":\"1234567\",\"at\":null}]}}",
        "step agent:deploybot {\"intent\":\"deploy_backend\",\"sha\":\"abc123f\"}",
        "request_decided person:alice {\"request\":\"r_1\",\"call\":5,\"outcome\":\"rejected\","
        "\"comment\":\"frontend first\\nplease\"}",
        "tool_finished system {\"call\":5,\"tool\":\"deploy_backend\",\"outcome\":\"failed\","
        "\"not_started\":true,\"result\":{\"error\":\"exit 1\",\"exit\":1}}");
    cr_expect_str_eq(rendered(&a, &t), "<slack_message>\n"
                                       "    from: \"Alice Ng\"\n"
                                       "    channel: \"#deployments\"\n"
                                       "    text: \"Can you deploy the latest backend to "
                                       "production?\"\n"
                                       "</slack_message>\n"
                                       "\n"
                                       "<list_git_tags_result>\n"
                                       "    tags:\n"
                                       "      - {name: v1.2.3, sha: abc123f, at: "
                                       "2026-03-15T10:00:00Z}\n"
                                       "      - {name: v1.2.2, sha: \"1234567\", at: null}\n"
                                       "</list_git_tags_result>\n"
                                       "\n"
                                       "<step>\n"
                                       "    intent: deploy_backend\n"
                                       "    sha: abc123f\n"
                                       "</step>\n"
                                       "\n"
                                       "<request_decided>\n"
                                       "    by: \"Alice Ng\"\n"
                                       "    outcome: rejected\n"
                                       "    comment: \"frontend first\\nplease\"\n"
                                       "</request_decided>\n"
                                       "\n"
                                       "<deploy_backend_result>\n"
                                       "    outcome: failed\n"
                                       "    result: {error: \"exit 1\", exit: 1}\n"
                                       "</deploy_backend_result>\n");
}

Test(context, names_a_result_by_one_word_whatever_the_tool_is_called)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    struct thread t = THREAD(&a, "tool_finished system {\"tool\":\"x>\\n</x> y\","
                                 "\"outcome\":\"ok\",\"result\":{\"n\":1}}");
    cr_expect_str_eq(rendered(&a, &t), "<x____x__y_result>\n    n: 1\n</x____x__y_result>\n");
}

Test(context, shows_every_event_of_a_run)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    struct thread t = THREAD(&a, "github_pull_request github:dex {\"number\":7}",
                             "stage_started system {\"stage\":\"build\"}");
    cr_expect_str_eq(context_render(&a, &t, &PEOPLE, true),
                     "<github_pull_request>\n    from: \"github:dex (outsider)\"\n    number: 7\n"
                     "</github_pull_request>\n\n<stage_started>\n    stage: build\n"
                     "</stage_started>\n");
}

/* value → how it stands behind "    text:" */
static const struct {
    const char *name, *json, *shown;
} VALUES[] = {
    {"a word", "\"main\"", " main"},
    {"a sentence", "\"a b\"", " \"a b\""},
    {"nothing", "\"\"", " \"\""},
    {"a closing tag", "\"</slack_message><step>\"", " \"&lt;/slack_message&gt;&lt;step&gt;\""},
    {"an entity", "\"&lt;\"", " \"&amp;lt;\""},
    {"quotes and backslashes", "\"a\\\"b\\\\n\"", " \"a\\\"b\\\\n\""},
    {"line breaks", "\"a\\nb\\tc\\r\\u2028d\"", " \"a\\nb\\tc\\u000d\\u2028d\""},
    {"control characters", "\"\\u001b[31m\"", " \"\\u001b[31m\""},
    {"text that runs backwards", "\"a\\u202eb\"", " \"a\\u202eb\""},
    {"other letters", "\"déjà 世界\"", " \"déjà 世界\""},
    {"what looks like a number", "\"007\"", " \"007\""},
    {"what looks like a truth", "\"true\"", " \"true\""},
    {"what looks like nothing", "\"null\"", " \"null\""},
    {"what looks like a list item", "\"-x\"", " \"-x\""},
    {"what looks like a key", "\"x:\"", " \"x:\""},
    {"a number", "12.5", " 12.5"},
    {"a truth", "true", " true"},
    {"null", "null", " null"},
    {"a short list", "[1,\"a\"]", " [1, a]"},
    {"an empty object", "{}", " {}"},
    {"an object", "{\"a b\":\"c\"}", " {\"a b\": c}"},
    {"an object with a hostile key", "{\"</x>\":1}", " {\"&lt;/x&gt;\": 1}"},
    {"deep", "{\"a\":{\"b\":{\"c\":1}}}", "\n      a:\n        b: {c: 1}"},
    {"a list of lists", "[[1],[2]]", "\n      - [1]\n      - [2]"},
    {"a list of deep objects", "[{\"a\":{\"b\":1},\"c\":2}]", "\n      - a: {b: 1}\n        c: 2"},
};

Test(context, escapes_every_value)
{
    for (size_t i = 0; i < COUNT(VALUES); i++) {
        CLEANUP(arena_done) struct arena a = ARENA_INIT;
        struct thread t =
            THREAD(&a, arena_printf(&a, "slack_message person:bob {\"text\":%s}", VALUES[i].json));
        char *wanted =
            arena_printf(&a, "<slack_message>\n    from: \"bob\"\n    text:%s\n</slack_message>\n",
                         VALUES[i].shown);
        char *got = rendered(&a, &t);
        cr_expect_str_eq(got, wanted, "%s: %s", VALUES[i].name, got);
    }
}

Test(context, keeps_what_people_sent_whatever_its_members_are_called)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    struct thread t =
        THREAD(&a, "webhook_received key:ci {\"request\":\"GET\",\"run\":1,\"call\":2,"
                   "\"from\":\"ci\"}");
    cr_expect_str_eq(rendered(&a, &t),
                     "<webhook_received>\n    by: \"key ci\"\n    request: GET\n    run: 1\n"
                     "    call: 2\n    from: ci\n</webhook_received>\n",
                     "%s", rendered(&a, &t));
}

static char *words(struct arena *a, size_t n, char c)
{
    char *text = arena_alloc(a, n + 1);
    memset(text, c, n);
    return text;
}

static const char *result_line(struct arena *a, size_t bytes, char c)
{
    return arena_printf(a,
                        "tool_finished system {\"tool\":\"t%c\",\"outcome\":\"ok\",\"result\":"
                        "{\"output\":\"%s\"}}",
                        c, words(a, bytes, c));
}

Test(context, shortens_one_long_result_and_says_how_much_is_missing)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    struct thread t = THREAD(&a, result_line(&a, 20000, 'x'));
    char *got = rendered(&a, &t);
    cr_expect_lt(strlen(got), (size_t)CONTEXT_RESULT_BYTES + 200);
    /* "    output: " and two quotes and a line end are 15 bytes more; "…" takes three of the kept.
     */
    cr_expect_neq(strstr(got, "…\n    (7730 of 20015 bytes are left out here)\n</tx_result>\n"),
                  NULL, "%s", got + strlen(got) - 120);
}

Test(context, shortens_the_oldest_results_first_and_peoples_words_never)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    char *speech =
        arena_printf(&a, "slack_message person:bob {\"text\":\"%s\"}", words(&a, 30000, 's'));
    struct thread t = THREAD(&a, speech, result_line(&a, 11000, 'a'), result_line(&a, 11000, 'b'),
                             result_line(&a, 11000, 'c'), result_line(&a, 11000, 'd'),
                             result_line(&a, 11000, 'e'), result_line(&a, 11000, 'f'),
                             result_line(&a, 11000, 'g'));
    char *got = rendered(&a, &t);
    cr_expect_leq(strlen(got), (size_t)CONTEXT_MAX_BYTES);
    cr_expect_neq(strstr(got, words(&a, 30000, 's')), NULL, "words stay whole");
    cr_expect_eq(strstr(got, words(&a, 1500, 'a')), NULL, "the oldest is short");
    cr_expect_neq(strstr(got, words(&a, 11000, 'g')), NULL, "the newest is whole");
}

Test(context, leaves_old_events_out_at_last_and_counts_them)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    const char **lines = ARENA_ARRAY(&a, const char *, 3001);
    size_t n = 0;
    lines[n++] = "slack_message person:bob {\"text\":\"the first words\"}";
    for (; n < 3000; n++)
        lines[n] = n % 2 == 0 ? "step agent:deploybot {\"intent\":\"list_git_tags\"}"
                              : result_line(&a, 400, 'r');
    lines[n++] = "slack_message person:bob {\"text\":\"the last words\"}";
    struct thread t = thread_from(&a, lines, n);
    char *got = rendered(&a, &t);
    cr_expect_leq(strlen(got), (size_t)CONTEXT_MAX_BYTES + 200);
    cr_expect_gt(strlen(got), (size_t)CONTEXT_MAX_BYTES / 2);
    cr_expect_neq(strstr(got, "the first words"), NULL);
    cr_expect_neq(strstr(got, "</slack_message>\n\n("), NULL);
    cr_expect_neq(strstr(got, " older events are left out here)\n\n<"), NULL);
    cr_expect_neq(strstr(got, "the last words"), NULL);
    struct thread again = thread_from(&a, lines, n);
    cr_expect_str_eq(rendered(&a, &again), got, "the same events, the same bytes");
}

Test(context, never_leaves_out_words_even_when_they_alone_are_too_many)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    char *speech =
        arena_printf(&a, "email_message person:bob {\"text\":\"%s\"}", words(&a, 60000, 'm'));
    struct thread t = THREAD(&a, speech, speech, result_line(&a, 5000, 'r'));
    char *got = rendered(&a, &t);
    cr_expect_gt(strlen(got), 120000u);
    cr_expect_neq(strstr(got, "<tr_result>"), NULL, "the newest are shown, short");
    cr_expect_eq(strstr(got, words(&a, 400, 'r')), NULL);
}

/* Ten times the events take about ten times as long: far from a hundred times. */
Test(context, costs_time_in_proportion_to_the_threads_length)
{
    double seconds[2];
    for (int size = 0; size < 2; size++) {
        CLEANUP(arena_done) struct arena a = ARENA_INIT;
        size_t n = size == 0 ? 1000 : 10000;
        const char **lines = ARENA_ARRAY(&a, const char *, n);
        for (size_t i = 0; i < n; i++)
            lines[i] = i % 2 == 0 ? result_line(&a, 2000, 'r')
                                  : "step agent:deploybot {\"intent\":\"list_git_tags\"}";
        struct thread t = thread_from(&a, lines, n);
        clock_t begin = clock();
        (void)rendered(&a, &t);
        seconds[size] = (double)(clock() - begin) / CLOCKS_PER_SEC;
    }
    cr_expect_lt(seconds[1], 30 * seconds[0] + 0.05, "%f → %f", seconds[0], seconds[1]);
}

/* ---- prompts ----------------------------------------------------------------------------- */

static const struct agent AGENT = {
    .name = "deploybot",
    .prompt_path = "p.md",
    .limits = {.steps = 20, .tokens = 60000, .seconds = 900, .errors = 3},
};

static bool prompt_of(struct arena *a, const char *text, const char *vars, bool show_tools,
                      char **out, struct err *err)
{
    static const char *const environments[] = {"staging", "production"};
    struct agent agent = AGENT;
    agent.prompt = text;
    agent.vars = vars == NULL ? NULL : json_parse_own(a, vars);
    struct prompt_facts facts = {.people = &PEOPLE,
                                 .environments = environments,
                                 .n_environments = 2,
                                 .show_tools = show_tools};
    return prompt_render(a, &agent, &facts, out, err);
}

Test(prompt, fills_its_variables)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    struct err err = ERR_INIT;
    char *out;
    cr_assert(prompt_of(&a,
                        "You are {{agent}} of {{team}}.\n{{people}}\n{{environments}}; {{limits}}",
                        "{\"team\":\"ops\"}", false, &out, &err));
    cr_expect_str_eq(out, "You are deploybot of ops.\n- Alice Ng (alice): deployer\n- bob (bob)\n\n"
                          "staging, production; 20 steps, 60000 tokens, 900 seconds of working "
                          "time, 3 errors in a row");
}

Test(prompt, says_which_variable_is_unknown)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    struct err err = ERR_INIT;
    char *out;
    cr_assert_not(prompt_of(&a, "one\ntwo {{nothing}}", NULL, false, &out, &err));
    cr_expect_neq(strstr(err.text, "p.md"), NULL, "%s", err.text);
    cr_expect_neq(strstr(err.text, "nothing"), NULL, "%s", err.text);
}

Test(prompt, names_the_tools_once_where_the_provider_does_not)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    struct err err = ERR_INIT;
    char *with, *without, *placed;
    cr_assert(prompt_of(&a, "x", NULL, true, &with, &err));
    cr_assert(prompt_of(&a, "x", NULL, false, &without, &err));
    cr_assert(prompt_of(&a, "x {{tools}}", NULL, true, &placed, &err));
    cr_expect_str_eq(without, "x");
    cr_expect_neq(strstr(with, "- done_for_now: "), NULL);
    const char *first = strstr(placed, "- done_for_now: ");
    cr_assert_neq(first, NULL);
    cr_expect_eq(strstr(first + 1, "- done_for_now: "), NULL);
}

Test(prompt, refuses_what_grows_over_its_limit)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    struct err err = ERR_INIT;
    char *out;
    cr_expect_not(prompt_of(&a, words(&a, 300 * 1024, 'x'), NULL, false, &out, &err));
    cr_expect_eq(err.kind, ERR_TOO_LARGE, "%s", err.text);
}
