#include "agents/agent.h"
#include "gateway/base/text.h"
#include "tests/agents/events.h"

#include <criterion/criterion.h>

#define A40 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa1"
#define B40 "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb2"

static struct tool_arg SHA_ARG[] = {{.name = "sha", .pattern = "^[0-9a-f]{40}$"}};
static struct tool_arg LIMIT_ARG[] = {
    {.name = "limit", .type = ARG_INTEGER, .min = 1, .max = 50, .optional = true}};

static const struct tool LIST_TAGS = {
    .name = "list_git_tags", .args = LIMIT_ARG, .n_args = 1, .reads = true};
static const struct tool LIST_DEPLOYMENTS = {.name = "list_deployments", .reads = true};
static const struct tool SHOW = {
    .name = "show", .args = SHA_ARG, .n_args = 1, .reads = true, .target = {.ref = "sha"}};
static const struct tool DEPLOY = {
    .name = "deploy",
    .args = SHA_ARG,
    .n_args = 1,
    .run = {.kind = RUN_COMMAND},
    .needs = "prod-signoff",
    .target = {.environment = "production", .component = "backend", .ref = "sha"}};
static const struct tool BACK = {
    .name = "back",
    .args = SHA_ARG,
    .n_args = 1,
    .run = {.kind = RUN_COMMAND},
    .needs = "prod-signoff",
    .target = {
        .environment = "production", .component = "backend", .ref = "sha", .rollback = true}};
static const struct tool RESTART = {
    .name = "restart", .run = {.kind = RUN_COMMAND}, .needs = "nobody"};
static const struct tool ALL = {.name = "all",
                                .run = {.kind = RUN_COMMAND},
                                .needs = "prod-signoff",
                                .target = {.environment = "production"}};

static const struct tool *TOOLS[] = {&LIST_TAGS, &LIST_DEPLOYMENTS, &SHOW, &DEPLOY,
                                     &BACK,      &RESTART,          &ALL};
static const char *HAND_OVER[] = {"rollback"};
static const struct agent AGENT = {
    .name = "deploybot",
    .tools = TOOLS,
    .n_tools = COUNT(TOOLS),
    .hand_over = HAND_OVER,
    .n_hand_over = 1,
    .limits = {.steps = 5, .tokens = 1000, .seconds = 60, .errors = 3, .max_age_ms = 3600000},
};

struct story {
    const char *name;
    const char *events[24];
    const char *effects; /* one a line; "": it waits */
};

static struct thread thread_of(struct arena *a, const struct story *s)
{
    size_t n = 0;
    while (s->events[n] != NULL)
        n++;
    return thread_from(a, s->events, n);
}

static void check_stories(const struct agent *agent, const struct story *stories, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        CLEANUP(arena_done) struct arena a = ARENA_INIT;
        struct thread t = thread_of(&a, &stories[i]);
        char *said = effects_text(&a, agent, &t, EVENTS_BEGIN_MS + 100000);
        cr_expect_str_eq(said, stories[i].effects, "%s:\n%s", stories[i].name, said);
        cr_expect_str_eq(effects_text(&a, agent, &t, EVENTS_BEGIN_MS + 100000), said,
                         "the same events, the same effects");
    }
}

/* What begins most stories: a person speaks and the model is asked. */
#define HELLO              "slack_message person:alice {\"text\":\"deploy main\"}"
#define ASKED(upto)        "model_asked agent:deploybot {\"upto\":" #upto "}"
#define ANSWERED           "model_answered agent:deploybot {\"tokens\":10}"
#define STEP(json)         "step agent:deploybot " json
#define DEPLOY_MAIN        "{\"intent\":\"deploy\",\"sha\":\"main\",\"reasoning\":\"newest\"}"
#define LOOKING(call, key) "note system {\"looking_up\":\"" key "\",\"call\":" #call "}"
#define FACT(call, key, value) \
    "note system {\"fact\":\"" key "\",\"call\":" #call ",\"value\":" value "}"
#define RESOLVED(call, ref, sha) \
    LOOKING(call, "git.resolve:" ref), FACT(call, "git.resolve:" ref, "{\"sha\":\"" sha "\"}")
#define PLACE "deploy.place:production/backend/" A40

Test(beginning, fetches_what_is_wanted_anyway_before_the_first_step)
{
    static const char *prefetch[] = {"list_git_tags", "list_deployments"};
    struct agent agent = AGENT;
    agent.prefetch = prefetch;
    agent.n_prefetch = 2;
    agent.limits.errors = 2;
    static const struct story stories[] = {
        {"nothing has begun", {HELLO}, "run list_git_tags {} for 0\nrun list_deployments {} for 0"},
        {"one is under way",
         {HELLO, "tool_started system {\"tool\":\"list_git_tags\",\"prefetch\":true,\"call\":0}"},
         "run list_deployments {} for 0"},
        {"one is still under way",
         {HELLO, "tool_started system {\"tool\":\"list_git_tags\",\"prefetch\":true,\"call\":0}",
          "tool_started system {\"tool\":\"list_deployments\",\"prefetch\":true,\"call\":0}",
          "tool_finished system {\"tool\":\"list_git_tags\",\"prefetch\":true,\"outcome\":\"ok\"}"},
         ""},
        {"a failed one does not hold it up, and is no error of the agent's",
         {HELLO, "tool_started system {\"tool\":\"list_git_tags\",\"prefetch\":true,\"call\":0}",
          "tool_started system {\"tool\":\"list_deployments\",\"prefetch\":true,\"call\":0}",
          "tool_finished system {\"tool\":\"list_git_tags\",\"prefetch\":true,"
          "\"outcome\":\"failed\"}",
          "tool_finished system {\"tool\":\"list_deployments\",\"prefetch\":true,"
          "\"outcome\":\"failed\"}"},
         "ask the model"},
        {"the same tool, asked for by a step, is no prefetch",
         {HELLO, "tool_finished system {\"tool\":\"list_git_tags\",\"call\":9,\"outcome\":\"ok\"}"},
         "run list_git_tags {} for 0\nrun list_deployments {} for 0"},
    };
    check_stories(&agent, stories, COUNT(stories));
}

Test(beginning, fetches_more_than_eight_things_in_rounds)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    static const char *many[12] = {"list_git_tags", "list_deployments"};
    static struct tool tools[12];
    static const struct tool *list[12];
    struct agent agent = AGENT;
    for (size_t i = 0; i < 12; i++) {
        tools[i] = (struct tool){.name = arena_printf(&a, "read_%zu", i), .reads = true};
        list[i] = &tools[i];
        many[i] = tools[i].name;
    }
    agent.tools = list;
    agent.n_tools = agent.n_prefetch = 12;
    agent.prefetch = many;
    struct effect effects[MAX_EFFECTS];
    struct thread t = THREAD(&a, HELLO);
    cr_expect_eq(agent_next(&agent, &t, 0, &a, effects), MAX_EFFECTS);
}

Test(asking, happens_when_there_is_news_and_only_then)
{
    static const struct story stories[] = {
        {"a message", {HELLO}, "ask the model"},
        {"no answer yet", {HELLO, ASKED(1)}, ""},
        {"the thread moved under the answer: it is dropped and asked again",
         {HELLO, ASKED(1), "slack_message person:bob {\"text\":\"wait\"}",
          "model_answered agent:deploybot {\"stale\":true,\"tokens\":1}"},
         "ask the model"},
        {"what is not for the agent does not wake it",
         {HELLO, ASKED(1), ANSWERED, STEP("{\"intent\":\"await\",\"seconds\":60}"),
          "timer_set system {\"call\":4,\"until_ms\":1}", "vote person:bob {}",
          "vote_refused slack:U0EVE {}", "delivery_sent system {}", "delivery_failed system {}",
          "request_reminded system {}", "note system {}"},
         ""},
        {"an answer that was no step wakes it with the sentence",
         {HELLO, ASKED(1), ANSWERED, "step_refused agent:deploybot {\"error\":\"no JSON\"}"},
         "ask the model"},
        {"a fact of a webhook does", {"webhook_received system {\"a\":1}"}, "ask the model"},
        {"what an outside agent asked here is not this agent's to wait for",
         {"request_raised system {\"request\":\"r_x\"}", HELLO},
         "ask the model"},
    };
    check_stories(&AGENT, stories, COUNT(stories));
}

Test(write_tool, resolves_then_looks_at_the_place_then_compares_then_asks)
{
    static const struct story stories[] = {
        {"the ref is resolved first",
         {HELLO, ASKED(1), ANSWERED, STEP(DEPLOY_MAIN)},
         "look up git.resolve:main for 4"},
        {"it is asked for once",
         {HELLO, ASKED(1), ANSWERED, STEP(DEPLOY_MAIN), LOOKING(4, "git.resolve:main")},
         ""},
        {"an unknown ref is an error for the model",
         {HELLO, ASKED(1), ANSWERED, STEP(DEPLOY_MAIN), LOOKING(4, "git.resolve:main"),
          "note system {\"fact\":\"git.resolve:main\",\"call\":4,\"error\":\"main is no commit\"}"},
         "append step_refused {\"call\":4,\"error\":\"sha: main is no commit\"}"},
        {"then the place",
         {HELLO, ASKED(1), ANSWERED, STEP(DEPLOY_MAIN), RESOLVED(4, "main", A40)},
         "look up " PLACE " for 4"},
        {"the place refuses: an error for the model, nobody is asked",
         {HELLO, ASKED(1), ANSWERED, STEP(DEPLOY_MAIN), RESOLVED(4, "main", A40),
          FACT(4, PLACE, "{\"refused\":\"it did not pass on staging\"}")},
         "append step_refused {\"call\":4,\"error\":\"it did not pass on staging\"}"},
        {"then the comparison",
         {HELLO, ASKED(1), ANSWERED, STEP(DEPLOY_MAIN), RESOLVED(4, "main", A40),
          FACT(4, PLACE, "{\"current\":\"" B40 "\"}")},
         "look up git.compare:" B40 "..." A40 " for 4"},
        {"nothing runs there: there is nothing to compare",
         {HELLO, ASKED(1), ANSWERED, STEP(DEPLOY_MAIN), RESOLVED(4, "main", A40),
          FACT(4, PLACE, "{}")},
         "ask to sign off deploy {\"sha\":\"" A40 "\"} for 4, facts {\"given\":\"main\","
         "\"commit\":{\"sha\":\"" A40 "\"},\"place\":{},\"named\":false}"},
        {"it runs there already: nor then",
         {HELLO, ASKED(1), ANSWERED, STEP(DEPLOY_MAIN), RESOLVED(4, "main", A40),
          FACT(4, PLACE, "{\"current\":\"" A40 "\"}")},
         "ask to sign off deploy {\"sha\":\"" A40 "\"} for 4, facts {\"given\":\"main\","
         "\"commit\":{\"sha\":\"" A40 "\"},\"place\":{\"current\":\"" A40 "\"},\"named\":false}"},
        {"the card has all of it",
         {HELLO, ASKED(1), ANSWERED, STEP(DEPLOY_MAIN), RESOLVED(4, "main", A40),
          FACT(4, PLACE, "{\"current\":\"" B40 "\"}"),
          FACT(4, "git.compare:" B40 "..." A40, "{\"status\":\"ahead\"}")},
         "ask to sign off deploy {\"sha\":\"" A40 "\"} for 4, facts {\"given\":\"main\","
         "\"commit\":{\"sha\":\"" A40 "\"},\"place\":{\"current\":\"" B40 "\"},"
         "\"compare\":{\"status\":\"ahead\"},\"named\":false}"},
        {"commits that cannot be compared stop nobody",
         {HELLO, ASKED(1), ANSWERED, STEP(DEPLOY_MAIN), RESOLVED(4, "main", A40),
          FACT(4, PLACE, "{\"current\":\"" B40 "\"}"),
          "note system {\"fact\":\"git.compare:" B40 "..." A40 "\",\"call\":4,\"error\":\"x\"}"},
         "ask to sign off deploy {\"sha\":\"" A40 "\"} for 4, facts {\"given\":\"main\","
         "\"commit\":{\"sha\":\"" A40 "\"},\"place\":{\"current\":\"" B40 "\"},\"named\":false}"},
        {"a roll-back is not held up by promotion order",
         {HELLO, ASKED(1), ANSWERED, STEP("{\"intent\":\"back\",\"sha\":\"main\"}"),
          RESOLVED(4, "main", A40), FACT(4, PLACE, "{\"refused\":\"not promoted\"}")},
         "ask to sign off back {\"sha\":\"" A40 "\"} for 4, facts {\"given\":\"main\","
         "\"commit\":{\"sha\":\"" A40 "\"},\"place\":{\"refused\":\"not promoted\"},"
         "\"named\":false}"},
        {"a tool without a ref has only a place",
         {HELLO, ASKED(1), ANSWERED, STEP("{\"intent\":\"all\"}")},
         "look up deploy.place:production/all/ for 4"},
        {"facts of another step are none of this one",
         {HELLO, RESOLVED(9, "main", A40), ASKED(1), ANSWERED, STEP(DEPLOY_MAIN)},
         "look up git.resolve:main for 6"},
    };
    check_stories(&AGENT, stories, COUNT(stories));
}

Test(write_tool, checks_the_pattern_after_resolving)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    struct thread t =
        THREAD(&a, HELLO, ASKED(1), ANSWERED, STEP(DEPLOY_MAIN), RESOLVED(4, "main", "HEAD"));
    char *said = effects_text(&a, &AGENT, &t, EVENTS_BEGIN_MS);
    cr_expect(text_starts(said, "append step_refused {\"call\":4,\"error\":\"deploy"), "%s", said);
}

/* The mark on the card says whether anybody but the agent named the commit. */
Test(write_tool, that_cannot_run_here_is_refused_before_anybody_is_asked)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    static const struct tool workflow = {
        .name = "workflow", .run = {.kind = RUN_GITHUB_WORKFLOW}, .needs = "prod-signoff"};
    const struct tool *tools[] = {&workflow};
    struct agent agent = {
        .name = "deploybot", .tools = tools, .n_tools = 1, .limits = {.steps = 9}};
    struct event events[] = {
        {.seq = 1, .type = EVENT_SLACK_MESSAGE, .actor = "person:a", .data = json_object(&a)},
        {.seq = 2,
         .type = EVENT_MODEL_ASKED,
         .actor = "agent:deploybot",
         .data = json_parse_own(&a, "{\"upto\":1}")},
        {.seq = 3,
         .type = EVENT_MODEL_ANSWERED,
         .actor = "agent:deploybot",
         .data = json_object(&a)},
        {.seq = 4,
         .type = EVENT_STEP,
         .actor = "agent:deploybot",
         .data = json_parse_own(&a, "{\"intent\":\"workflow\"}")},
    };
    struct thread thread = {.id = "t_1", .agent = "deploybot", .events = events, .n_events = 4};
    struct effect out[MAX_EFFECTS];
    cr_assert_eq(agent_next(&agent, &thread, 1, &a, out), 1);
    cr_expect_eq(out[0].kind, EFFECT_APPEND);
    cr_expect_eq(out[0].type, EVENT_STEP_REFUSED);
}

Test(write_tool, says_whether_anything_in_the_thread_names_the_commit)
{
    static const struct {
        const char *name, *event;
        bool named;
    } cases[] = {
        {"in full", "slack_message person:a {\"text\":\"deploy " A40 "\"}", true},
        {"by seven digits", "slack_message person:a {\"text\":\"deploy aaaaaaa, please\"}", true},
        {"by six digits", "slack_message person:a {\"text\":\"deploy aaaaaa\"}", false},
        {"another with the same beginning", "slack_message person:a {\"text\":\"deploy aaaaaaab\"}",
         false},
        {"in a list that was fetched",
         "tool_finished system {\"tool\":\"list_git_tags\",\"outcome\":\"ok\",\"result\":"
         "{\"tags\":[{\"sha\":\"" A40 "\"}]}}",
         true},
        {"in a rejection's words",
         "request_decided person:a {\"outcome\":\"rejected\",\"comment\":\"take aaaaaaa\"}", true},
        {"in what the agent itself proposed",
         "request_decided person:a {\"outcome\":\"rejected\",\"arguments\":{\"sha\":\"" A40 "\"}}",
         false},
        {"in a step", "step agent:deploybot {\"intent\":\"await\",\"reasoning\":\"" A40 "\"}",
         false},
        {"in a refusal", "step_refused system {\"error\":\"" A40 " is nothing\"}", false},
        {"in a note", "note system {\"fact\":\"x\",\"value\":\"" A40 "\"}", false},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        CLEANUP(arena_done) struct arena a = ARENA_INIT;
        struct thread t = THREAD(&a, cases[i].event, ASKED(1), ANSWERED, STEP(DEPLOY_MAIN),
                                 RESOLVED(4, "main", A40), FACT(4, PLACE, "{}"));
        char *said = effects_text(&a, &AGENT, &t, EVENTS_BEGIN_MS);
        cr_expect_neq(strstr(said, cases[i].named ? "\"named\":true" : "\"named\":false"), NULL,
                      "%s: %s", cases[i].name, said);
    }
}

#define PROPOSED                                                                                  \
    HELLO, ASKED(1), ANSWERED, STEP(DEPLOY_MAIN), RESOLVED(4, "main", A40), FACT(4, PLACE, "{}"), \
        "request_raised system {\"request\":\"r_1\",\"call\":4,\"tool\":\"deploy\","              \
        "\"arguments\":{\"sha\":\"" A40 "\"},\"facts\":{\"given\":\"main\"}}" /* seq 8 */
#define DECIDED(outcome)                                                              \
    "request_decided person:bob {\"request\":\"r_1\",\"call\":4,\"tool\":\"deploy\"," \
    "\"outcome\":\"" outcome "\",\"comment\":\"why\"}" /* seq 9 */
#define AGAIN(value) \
    LOOKING(4, "git.again:main"), "note system {\"fact\":\"git.again:main\",\"call\":4," value "}"

/* A person changes the open request: seq 9. */
#define EDIT \
    "vote person:bob {\"request\":\"r_1\",\"decision\":\"edit\",\"arguments\":{\"sha\":\"old\"}}"
#define OLD_PLACE "deploy.place:production/backend/" B40
#define EDITED                                                                            \
    PROPOSED, EDIT, RESOLVED(9, "old", B40), FACT(9, OLD_PLACE, "{}"),                    \
        "request_decided person:bob {\"request\":\"r_1\",\"call\":4,\"tool\":\"deploy\"," \
        "\"outcome\":\"cancelled\",\"edit\":9,\"edited_into\":\"r_2\"}" /* seq 13 */
#define NEW_VERSION                                                              \
    "request_raised system {\"request\":\"r_2\",\"call\":4,\"tool\":\"deploy\"," \
    "\"arguments\":{\"sha\":\"" B40 "\"},\"facts\":{\"given\":\"old\"}}"

Test(edit, is_resolved_and_checked_as_a_proposal_is_and_then_asked_about_anew)
{
    static const struct story stories[] = {
        {"the ref is looked up", {PROPOSED, EDIT}, "look up git.resolve:old for 9"},
        {"meanwhile it waits", {PROPOSED, EDIT, LOOKING(9, "git.resolve:old")}, ""},
        {"an unknown ref is refused, and the request stays",
         {PROPOSED, EDIT, LOOKING(9, "git.resolve:old"),
          "note system {\"fact\":\"git.resolve:old\",\"call\":9,\"error\":\"no such ref\"}"},
         "append vote_refused {\"request\":\"r_1\",\"decision\":\"edit\",\"edit\":9,\"why\":\"sha: "
         "no "
         "such ref\",\"field\":\"sha\"}"},
        {"once it is refused nothing is left to do",
         {PROPOSED, EDIT, LOOKING(9, "git.resolve:old"),
          "note system {\"fact\":\"git.resolve:old\",\"call\":9,\"error\":\"no such ref\"}",
          "vote_refused system "
          "{\"request\":\"r_1\",\"decision\":\"edit\",\"edit\":9,\"why\":\"x\"}"},
         ""},
        {"what the place refuses is refused",
         {PROPOSED, EDIT, RESOLVED(9, "old", B40),
          FACT(9, OLD_PLACE, "{\"refused\":\"not there\"}")},
         "append vote_refused {\"request\":\"r_1\",\"decision\":\"edit\",\"edit\":9,\"why\":\"not "
         "there\",\"field\":\"sha\"}"},
        {"a new version takes the old one's place",
         {PROPOSED, EDIT, RESOLVED(9, "old", B40), FACT(9, OLD_PLACE, "{}")},
         "ask to sign off deploy {\"sha\":\"" B40 "\"} for 4, facts {\"given\":\"old\",\"commit\":{"
         "\"sha\":\"" B40 "\"},\"place\":{}}, instead of r_1 by change 9"},
        {"between the two the new one is asked about, and the model is not",
         {EDITED},
         "ask to sign off deploy {\"sha\":\"" B40 "\"} for 4, facts {\"given\":\"old\",\"commit\":{"
         "\"sha\":\"" B40 "\"},\"place\":{}}"},
        {"then it waits for people", {EDITED, NEW_VERSION}, ""},
        {"an approval of the new version is looked at by its own ref",
         {EDITED, NEW_VERSION,
          "request_decided person:dana {\"request\":\"r_2\",\"call\":4,\"outcome\":\"approved\"}"},
         "look up git.again:old for 4"},
        {"and runs it alone",
         {EDITED, NEW_VERSION,
          "request_decided person:dana {\"request\":\"r_2\",\"call\":4,\"outcome\":\"approved\"}",
          LOOKING(4, "git.again:old"), FACT(4, "git.again:old", "{\"sha\":\"" B40 "\"}")},
         "run deploy as approved for 4 by r_2"},
        {"a decision that comes first wins: the change is of no request any more",
         {PROPOSED, EDIT, DECIDED("rejected")},
         "ask the model"},
        {"a tool that is gone takes no change",
         {HELLO, ASKED(1), ANSWERED, STEP("{\"intent\":\"gone\"}"),
          "request_raised system {\"request\":\"r_1\",\"call\":4,\"tool\":\"gone\"}",
          "vote person:bob {\"request\":\"r_1\",\"decision\":\"edit\",\"arguments\":{}}"},
         "append vote_refused {\"request\":\"r_1\",\"decision\":\"edit\",\"edit\":6,\"why\":\"this "
         "tool "
         "is no longer configured\"}"},
        {"a change of another request is none of ours",
         {PROPOSED, "vote person:bob {\"request\":\"r_9\",\"decision\":\"edit\",\"arguments\":{}}"},
         ""},
    };
    check_stories(&AGENT, stories, COUNT(stories));
}

Test(approval, runs_the_call_once_and_only_when_approved)
{
    static const struct story stories[] = {
        {"it waits for people", {PROPOSED}, ""},
        {"approved: the branch is looked at once more",
         {PROPOSED, DECIDED("approved")},
         "look up git.again:main for 4"},
        {"it still names the commit: it runs",
         {PROPOSED, DECIDED("approved"), AGAIN("\"value\":{\"sha\":\"" A40 "\"}")},
         "run deploy as approved for 4 by r_1"},
        {"it has moved: it does not",
         {PROPOSED, DECIDED("approved"), AGAIN("\"value\":{\"sha\":\"" B40 "\"}")},
         "append tool_finished {\"call\":4,\"tool\":\"deploy\",\"outcome\":\"refused\","
         "\"not_started\":true,\"result\":{\"error\":\"main no longer names the approved commit "
         "aaaaaaa, so it did not run\"}}"},
        {"it is gone: nor then",
         {PROPOSED, DECIDED("approved"), AGAIN("\"error\":\"no such branch\"")},
         "append tool_finished {\"call\":4,\"tool\":\"deploy\",\"outcome\":\"refused\","
         "\"not_started\":true,\"result\":{\"error\":\"main no longer names the approved commit "
         "aaaaaaa, so it did not run\"}}"},
        {"it runs: nothing more is to do",
         {PROPOSED, DECIDED("approved"), AGAIN("\"value\":{\"sha\":\"" A40 "\"}"),
          "tool_started system {\"call\":4,\"tool\":\"deploy\"}"},
         ""},
        {"it ended: the model hears of it",
         {PROPOSED, DECIDED("approved"), AGAIN("\"value\":{\"sha\":\"" A40 "\"}"),
          "tool_started system {\"call\":4,\"tool\":\"deploy\"}",
          "tool_finished system {\"call\":4,\"tool\":\"deploy\",\"outcome\":\"ok\"}"},
         "ask the model"},
        {"rejected: the model hears why", {PROPOSED, DECIDED("rejected")}, "ask the model"},
        {"expired: too", {PROPOSED, DECIDED("expired")}, "ask the model"},
        {"withdrawn by a person: too", {PROPOSED, DECIDED("cancelled")}, "ask the model"},
        {"a decision about another request changes nothing",
         {PROPOSED, "request_decided person:eve {\"request\":\"r_2\",\"outcome\":\"approved\"}",
          ASKED(9), ANSWERED, STEP("{\"intent\":\"keep_waiting\",\"reason\":\"\"}")},
         ""},
    };
    check_stories(&AGENT, stories, COUNT(stories));
}

Test(approval, of_a_commit_by_its_digits_needs_no_second_look)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    static const char *const given[] = {A40, "aaaaaaa"};
    for (size_t i = 0; i < COUNT(given); i++) {
        struct thread t = THREAD(
            &a, HELLO, ASKED(1), ANSWERED, STEP(DEPLOY_MAIN),
            arena_printf(&a,
                         "request_raised system {\"request\":\"r_1\",\"call\":4,\"arguments\":"
                         "{\"sha\":\"" A40 "\"},\"facts\":{\"given\":\"%s\"}}",
                         given[i]),
            DECIDED("approved"));
        cr_expect_str_eq(effects_text(&a, &AGENT, &t, EVENTS_BEGIN_MS),
                         "run deploy as approved for 4 by r_1");
    }
}

Test(message_during_an_approval, is_for_the_model_and_decides_nothing)
{
#define BACKEND_FIRST "slack_message person:bob {\"text\":\"looks good, but wait\"}"
    static const struct story stories[] = {
        {"the model is asked with both", {PROPOSED, BACKEND_FIRST}, "ask the model"},
        {"keep_waiting leaves the request",
         {PROPOSED, BACKEND_FIRST, ASKED(9), ANSWERED,
          STEP("{\"intent\":\"keep_waiting\",\"reason\":\"no change\"}")},
         ""},
        {"and the approval works afterwards",
         {PROPOSED, BACKEND_FIRST, ASKED(9), ANSWERED,
          STEP("{\"intent\":\"keep_waiting\",\"reason\":\"no change\"}"), DECIDED("approved"),
          AGAIN("\"value\":{\"sha\":\"" A40 "\"}")},
         "run deploy as approved for 4 by r_1"},
        {"another step cancels it, saying by what",
         {PROPOSED, BACKEND_FIRST, ASKED(9), ANSWERED, STEP("{\"intent\":\"restart\"}")},
         "cancel r_1: deploybot now proposes restart\nrun restart {} for 12"},
        {"its own cancelling is no news to it",
         {PROPOSED, BACKEND_FIRST, ASKED(9), ANSWERED,
          STEP("{\"intent\":\"deploy\",\"sha\":\"v2\"}"),
          "request_decided agent:deploybot {\"request\":\"r_1\",\"call\":4,"
          "\"outcome\":\"cancelled\"}",
          LOOKING(12, "git.resolve:v2")},
         ""},
        {"a refused answer leaves the request open",
         {PROPOSED, BACKEND_FIRST, ASKED(9), ANSWERED,
          "step_refused agent:deploybot {\"error\":\"no JSON\"}"},
         "ask the model"},
        {"saying that all is done cancels it too",
         {PROPOSED, BACKEND_FIRST, ASKED(9), ANSWERED,
          STEP("{\"intent\":\"done_for_now\",\"message\":\"Stopped.\"}")},
         "cancel r_1: deploybot now ends its work\nsay Stopped.\n"
         "finish done done: Stopped."},
        {"a question does, and is called one",
         {PROPOSED, BACKEND_FIRST, ASKED(9), ANSWERED,
          STEP("{\"intent\":\"request_human_input\",\"question\":\"Which?\"}")},
         "cancel r_1: deploybot now asks a question\n"
         "ask people about its question: {\"question\":\"Which?\"}"},
    };
    check_stories(&AGENT, stories, COUNT(stories));
}

Test(keep_waiting, is_refused_when_nothing_is_open)
{
#define REFUSED_WAIT(call)                                                                        \
    "append step_refused {\"call\":" #call ",\"error\":\"keep_waiting: there is no open request " \
    "to wait for\"}"
    static const struct story stories[] = {
        {"at the beginning",
         {HELLO, ASKED(1), ANSWERED, STEP("{\"intent\":\"keep_waiting\",\"reason\":\"\"}")},
         REFUSED_WAIT(4)},
        {"after the decision",
         {PROPOSED, DECIDED("rejected"), ASKED(9), ANSWERED,
          STEP("{\"intent\":\"keep_waiting\",\"reason\":\"\"}")},
         REFUSED_WAIT(12)},
        {"once",
         {HELLO, ASKED(1), ANSWERED, STEP("{\"intent\":\"keep_waiting\",\"reason\":\"\"}"),
          "step_refused system {\"call\":4,\"error\":\"keep_waiting: …\"}", ASKED(5)},
         ""},
    };
    check_stories(&AGENT, stories, COUNT(stories));
}

Test(tools_that_ask_nobody, run_at_once)
{
    static const struct story stories[] = {
        {"a reading tool",
         {HELLO, ASKED(1), ANSWERED,
          STEP("{\"intent\":\"list_git_tags\",\"limit\":3,\"reasoning\":\"r\"}")},
         "run list_git_tags {\"limit\":3} for 4"},
        {"is under way",
         {HELLO, ASKED(1), ANSWERED, STEP("{\"intent\":\"list_git_tags\"}"),
          "tool_started system {\"call\":4}"},
         ""},
        {"a message meanwhile waits for its result",
         {HELLO, ASKED(1), ANSWERED, STEP("{\"intent\":\"list_git_tags\"}"),
          "tool_started system {\"call\":4}", "slack_message person:a {}"},
         ""},
        {"a reading tool's ref is resolved and its pattern checked too",
         {HELLO, ASKED(1), ANSWERED, STEP("{\"intent\":\"show\",\"sha\":\"--help\"}")},
         "look up git.resolve:--help for 4"},
        {"and it gets the digits",
         {HELLO, ASKED(1), ANSWERED, STEP("{\"intent\":\"show\",\"sha\":\"main\"}"),
          RESOLVED(4, "main", A40)},
         "run show {\"sha\":\"" A40 "\"} for 4"},
        {"a tool that needs nobody",
         {HELLO, ASKED(1), ANSWERED, STEP("{\"intent\":\"restart\"}")},
         "run restart {} for 4"},
        {"starts once",
         {HELLO, ASKED(1), ANSWERED, STEP("{\"intent\":\"restart\"}"),
          "tool_started system {\"call\":4}"},
         ""},
        {"a tool that is no longer configured",
         {HELLO, ASKED(1), ANSWERED, STEP("{\"intent\":\"drop_database\"}")},
         "append step_refused {\"call\":4,\"error\":\"this tool is no longer configured\"}"},
    };
    check_stories(&AGENT, stories, COUNT(stories));
}

Test(unknown_outcome, is_put_to_a_person_and_never_repeated)
{
#define RAN_UNKNOWN                                                                      \
    HELLO, ASKED(1), ANSWERED, STEP("{\"intent\":\"restart\"}"),                         \
        "tool_started system {\"call\":4,\"tool\":\"restart\"}",                         \
        "tool_finished system {\"call\":4,\"tool\":\"restart\",\"outcome\":\"unknown\"," \
        "\"result\":{\"error\":\"the machine was gone\"}}" /* seq 6 */
    static const struct story stories[] = {
        {"a person is asked, not the model",
         {RAN_UNKNOWN},
         "ask people about unknown:4: {\"question\":\"I do not know whether restart ran to its "
         "end. Please look, and tell me what you found and what I should do.\",\"context\":\"the "
         "machine was gone\",\"options\":{\"urgency\":\"high\",\"format\":\"free_text\"}}"},
        {"once",
         {RAN_UNKNOWN, "request_raised system {\"request\":\"r_9\",\"about\":\"unknown:4\"}"},
         ""},
        {"a message meanwhile wakes nothing: first the answer",
         {RAN_UNKNOWN, "request_raised system {\"request\":\"r_9\",\"about\":\"unknown:4\"}",
          "slack_message person:a {\"text\":\"hm\"}"},
         ""},
        {"the answer goes to the model",
         {RAN_UNKNOWN, "request_raised system {\"request\":\"r_9\",\"about\":\"unknown:4\"}",
          "request_decided person:a {\"request\":\"r_9\",\"about\":\"unknown:4\","
          "\"outcome\":\"answered\",\"answer\":\"it ran\"}"},
         "ask the model"},
        {"nobody answers: it fails",
         {RAN_UNKNOWN, "request_raised system {\"request\":\"r_9\",\"about\":\"unknown:4\"}",
          "request_decided system {\"request\":\"r_9\",\"about\":\"unknown:4\","
          "\"outcome\":\"expired\"}"},
         "finish failed unknown:4: It needed help and nobody answered."},
    };
    check_stories(&AGENT, stories, COUNT(stories));
}

Test(questions_and_timers, wait_and_go_on)
{
    static const struct story stories[] = {
        {"a question is raised with its words",
         {HELLO, ASKED(1), ANSWERED,
          STEP("{\"intent\":\"request_human_input\",\"question\":\"Which?\",\"reasoning\":\"r\"}")},
         "ask people about its question: {\"question\":\"Which?\"}"},
        {"once",
         {HELLO, ASKED(1), ANSWERED,
          STEP("{\"intent\":\"request_human_input\",\"question\":\"Which?\"}"),
          "request_raised system {\"request\":\"r_1\",\"call\":4}"},
         ""},
        {"its answer wakes the model",
         {HELLO, ASKED(1), ANSWERED,
          STEP("{\"intent\":\"request_human_input\",\"question\":\"Which?\"}"),
          "request_raised system {\"request\":\"r_1\",\"call\":4}",
          "request_decided person:a {\"request\":\"r_1\",\"call\":4,\"outcome\":\"answered\"}"},
         "ask the model"},
        {"await sets a timer",
         {HELLO, ASKED(1), ANSWERED, STEP("{\"intent\":\"await\",\"seconds\":60}")},
         "wait 60 s for 4"},
        {"which wakes it",
         {HELLO, ASKED(1), ANSWERED, STEP("{\"intent\":\"await\",\"seconds\":60}"),
          "timer_set system {\"call\":4}", "timer_fired system {\"call\":4}"},
         "ask the model"},
        {"a message wakes it earlier",
         {HELLO, ASKED(1), ANSWERED, STEP("{\"intent\":\"await\",\"seconds\":60}"),
          "timer_set system {\"call\":4}", "slack_message person:a {\"text\":\"now\"}"},
         "ask the model"},
    };
    check_stories(&AGENT, stories, COUNT(stories));
}

Test(endings, finish_the_thread_and_a_message_goes_on_with_it)
{
    static const struct story stories[] = {
        {"done",
         {HELLO, ASKED(1), ANSWERED,
          STEP("{\"intent\":\"done_for_now\",\"message\":\"It is out.\"}")},
         "say It is out.\nfinish done done: It is out."},
        {"nothing to do is said to nobody",
         {HELLO, ASKED(1), ANSWERED, STEP("{\"intent\":\"nothing_to_do\",\"reason\":\"spam\"}")},
         "finish done nothing_to_do: spam"},
        {"hand over",
         {HELLO, ASKED(1), ANSWERED,
          STEP("{\"intent\":\"hand_over\",\"agent\":\"rollback\",\"summary\":\"it broke\"}")},
         "hand over to rollback: it broke\nfinish done handed_over: it broke"},
        {"a finished thread rests",
         {HELLO, ASKED(1), ANSWERED, STEP("{\"intent\":\"nothing_to_do\",\"reason\":\"spam\"}"),
          "finished agent:deploybot {}"},
         ""},
        {"what comes late does not wake it",
         {HELLO, ASKED(1), ANSWERED, STEP("{\"intent\":\"nothing_to_do\",\"reason\":\"spam\"}"),
          "finished agent:deploybot {}", "timer_fired system {\"call\":4}",
          "tool_finished system {\"call\":2,\"outcome\":\"killed\",\"not_started\":true}"},
         ""},
        {"a message does",
         {HELLO, ASKED(1), ANSWERED, STEP("{\"intent\":\"nothing_to_do\",\"reason\":\"spam\"}"),
          "finished agent:deploybot {}", "slack_message person:a {\"text\":\"again\"}"},
         "ask the model"},
        {"a cancelled one too, and its last step is not taken up again",
         {HELLO, ASKED(1), ANSWERED, STEP(DEPLOY_MAIN), "cancelled person:a {}",
          "slack_message person:a {\"text\":\"again\"}"},
         "ask the model"},
        {"nor an answer that came after the end",
         {HELLO, ASKED(1), "cancelled person:a {}", ANSWERED, STEP("{\"intent\":\"restart\"}"),
          "slack_message person:a {\"text\":\"again\"}"},
         "ask the model"},
        {"after which steps are taken as ever",
         {HELLO, ASKED(1), ANSWERED, STEP("{\"intent\":\"nothing_to_do\",\"reason\":\"spam\"}"),
          "finished agent:deploybot {}", "slack_message person:a {\"text\":\"again\"}", ASKED(6),
          ANSWERED, STEP("{\"intent\":\"restart\"}")},
         "run restart {} for 9"},
    };
    check_stories(&AGENT, stories, COUNT(stories));
}

Test(pause, lets_nothing_begin)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    struct thread t = THREAD(&a, HELLO);
    t.paused = true;
    cr_expect_str_eq(effects_text(&a, &AGENT, &t, 0), "");
    t = THREAD(&a, PROPOSED, DECIDED("approved"), AGAIN("\"value\":{\"sha\":\"" A40 "\"}"));
    t.paused = true;
    cr_expect_str_eq(effects_text(&a, &AGENT, &t, 0), "");
    t.paused = false;
    cr_expect_str_eq(effects_text(&a, &AGENT, &t, EVENTS_BEGIN_MS),
                     "run deploy as approved for 4 by r_1");
}

Test(model_that_fails, is_put_to_a_person)
{
#define NO_MODEL \
    HELLO, ASKED(1), "model_answered agent:deploybot {\"failed\":true,\"error\":\"503\"}" /* 3 */
    static const struct story stories[] = {
        {"a person is asked",
         {NO_MODEL},
         "ask people about model: {\"question\":\"The model of deploybot cannot be reached. Shall "
         "it try again?\",\"context\":\"503\",\"options\":{\"urgency\":\"high\",\"format\":"
         "\"yes_no\"}}"},
        {"yes",
         {NO_MODEL, "request_raised system {\"request\":\"r_1\",\"about\":\"model\"}",
          "request_decided person:a {\"request\":\"r_1\",\"about\":\"model\","
          "\"outcome\":\"answered\",\"answer\":\"yes\"}"},
         "ask the model"},
        {"no",
         {NO_MODEL, "request_raised system {\"request\":\"r_1\",\"about\":\"model\"}",
          "request_decided person:a {\"request\":\"r_1\",\"about\":\"model\","
          "\"outcome\":\"answered\",\"answer\":\"no\"}"},
         "finish failed model: Its model gave no answer and nobody let it try again."},
        {"news on its own is reason to try again",
         {HELLO, ASKED(1), "slack_message person:a {}",
          "model_answered agent:deploybot {\"failed\":true,\"error\":\"503\"}"},
         "ask the model"},
        {"an answer makes it well",
         {NO_MODEL, "request_raised system {\"request\":\"r_1\",\"about\":\"model\"}",
          "request_decided person:a {\"request\":\"r_1\",\"about\":\"model\","
          "\"outcome\":\"answered\",\"answer\":\"yes\"}",
          ASKED(5), ANSWERED, STEP("{\"intent\":\"restart\"}")},
         "run restart {} for 8"},
    };
    check_stories(&AGENT, stories, COUNT(stories));
}

/* ---- limits ------------------------------------------------------------------------------ */

/* HELLO, then n times: asked, answered (with `answered`), refused. */
static struct thread tried(struct arena *a, int n, const char *answered, const char *refused)
{
    const char **lines = ARENA_ARRAY(a, const char *, 1 + 3 * n);
    size_t count = 0;
    lines[count++] = HELLO;
    for (int i = 0; i < n; i++) {
        lines[count] = arena_printf(a, "model_asked agent:deploybot {\"upto\":%zu}", count);
        count++;
        lines[count++] = answered;
        lines[count++] = refused;
    }
    return thread_from(a, lines, count);
}
#define CAME "child_finished system {}" /* news that is neither a message nor an error */

Test(limits, are_checked_before_the_call_at_the_limit_and_one_below)
{
    static const struct {
        const char *name, *about;
        struct limits limits;
        int below, at; /* rounds of `answered` */
        const char *answered;
    } cases[] = {
        {"steps", "limit:steps", {.steps = 4}, 3, 4, ANSWERED},
        {"tokens", "limit:tokens", {.tokens = 30}, 2, 3, ANSWERED},
        {"cost",
         "limit:cost",
         {.cost = 0.5},
         1,
         2,
         "model_answered agent:deploybot {\"cost\":0.25}"},
        {"working time", "limit:seconds", {.seconds = 3}, 2, 3, ANSWERED},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        CLEANUP(arena_done) struct arena a = ARENA_INIT;
        struct agent agent = AGENT;
        agent.limits = cases[i].limits;
        struct thread t = tried(&a, cases[i].below, cases[i].answered, CAME);
        cr_expect_str_eq(effects_text(&a, &agent, &t, EVENTS_BEGIN_MS), "ask the model", "%s",
                         cases[i].name);
        t = tried(&a, cases[i].at, cases[i].answered, CAME);
        char *said = effects_text(&a, &agent, &t, EVENTS_BEGIN_MS);
        cr_expect(text_starts(said, "append limit_reached {\"limit\":\""), "%s: %s", cases[i].name,
                  said);
        cr_expect_neq(strstr(said, arena_printf(&a, "\nask people about %s: ", cases[i].about)),
                      NULL, "%s: %s", cases[i].name, said);
    }
}

Test(limits, ask_nobody_while_people_have_a_request_before_them_already)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    struct agent agent = AGENT;
    agent.limits = (struct limits){.steps = 1};
    const char *asks = "request_raised system {\"request\":\"r_1\",\"call\":4,\"question\":\"?\"}";
    const char *step = STEP("{\"intent\":\"request_human_input\",\"question\":\"?\"}");
    const char *more = "slack_message slack:U2 {\"text\":\"well\"}";
    struct thread waits = THREAD(&a, HELLO, ASKED(1), ANSWERED, step, asks, more);
    cr_expect_str_eq(effects_text(&a, &agent, &waits, EVENTS_BEGIN_MS), "");
    struct thread decided =
        THREAD(&a, HELLO, ASKED(1), ANSWERED, step, asks, more,
               "request_decided person:bob {\"request\":\"r_1\",\"call\":4,\"outcome\":"
               "\"answered\",\"answer\":\"x\"}");
    char *said = effects_text(&a, &agent, &decided, EVENTS_BEGIN_MS);
    cr_expect(text_starts(said, "append limit_reached"), "%s", said);
}

Test(limits, count_only_the_time_of_the_model_and_not_that_of_people)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    struct agent agent = AGENT;
    agent.limits = (struct limits){.seconds = 60};
    struct thread t = THREAD(&a, "@0 slack_message person:a {}", "@1000 " ASKED(1),
                             "@2000 " ANSWERED, "@9000000 slack_message person:a {}");
    cr_expect_str_eq(effects_text(&a, &agent, &t, EVENTS_BEGIN_MS + 9000000), "ask the model");
    t = THREAD(&a, "@0 slack_message person:a {}", "@1000 " ASKED(1), "@61000 " ANSWERED,
               "@62000 slack_message person:a {}");
    cr_expect(
        text_starts(effects_text(&a, &agent, &t, EVENTS_BEGIN_MS + 62000),
                    "append limit_reached {\"limit\":\"seconds\",\"used\":60,\"allowed\":60}"));
}

Test(limits, of_age_count_from_the_beginning_and_again_from_a_persons_yes)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    struct agent agent = AGENT;
    agent.limits = (struct limits){.max_age_ms = 1000000};
    struct thread t = THREAD(&a, HELLO);
    cr_expect_str_eq(effects_text(&a, &agent, &t, EVENTS_BEGIN_MS + 999999), "ask the model");
    cr_expect(text_starts(effects_text(&a, &agent, &t, EVENTS_BEGIN_MS + 1000000),
                          "append limit_reached {\"limit\":\"max_age\""));
    t = THREAD(&a, HELLO, "@5000000 limit_raised system {\"limit\":\"max_age\"}");
    cr_expect_str_eq(effects_text(&a, &agent, &t, EVENTS_BEGIN_MS + 5999999), "ask the model");
    cr_expect(text_starts(effects_text(&a, &agent, &t, EVENTS_BEGIN_MS + 6000000),
                          "append limit_reached {\"limit\":\"max_age\""));
}

Test(limits, are_raised_by_a_person_or_end_the_thread)
{
#define AT_LIMIT                                         \
    HELLO, "limit_reached system {\"limit\":\"steps\"}", \
        "request_raised system {\"request\":\"r_1\",\"about\":\"limit:steps\"}" /* 3 */
#define LIMIT_ANSWER(rest) \
    "request_decided person:a {\"request\":\"r_1\",\"about\":\"limit:steps\"," rest "}"
    static const struct story stories[] = {
        {"until somebody answers, nothing", {AT_LIMIT, "slack_message person:a {}"}, ""},
        {"yes",
         {AT_LIMIT, LIMIT_ANSWER("\"outcome\":\"answered\",\"answer\":\"yes\"")},
         "append limit_raised {\"limit\":\"steps\"}"},
        {"no",
         {AT_LIMIT, LIMIT_ANSWER("\"outcome\":\"answered\",\"answer\":\"no\"")},
         "finish failed limit:steps: It reached its limit and nobody let it go on."},
        {"nobody",
         {AT_LIMIT, LIMIT_ANSWER("\"outcome\":\"expired\"")},
         "finish failed limit:steps: It reached its limit and nobody let it go on."},
        {"then it goes on",
         {AT_LIMIT, LIMIT_ANSWER("\"outcome\":\"answered\",\"answer\":\"yes\""),
          "limit_raised system {\"limit\":\"steps\"}"},
         "ask the model"},
    };
    check_stories(&AGENT, stories, COUNT(stories));
}

Test(limits, allow_the_same_again_when_raised)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    struct agent agent = AGENT;
    agent.limits = (struct limits){.steps = 2};
    struct thread t = tried(&a, 3, ANSWERED, CAME);
    t.events[1] = event_from(&a, "limit_raised system {\"limit\":\"steps\"}", 2);
    cr_expect_str_eq(effects_text(&a, &agent, &t, 0), "ask the model", "two of four");
    t = tried(&a, 5, ANSWERED, CAME);
    t.events[1] = event_from(&a, "limit_raised system {\"limit\":\"steps\"}", 2);
    cr_expect(text_starts(effects_text(&a, &agent, &t, 0),
                          "append limit_reached {\"limit\":\"steps\",\"used\":4,\"allowed\":4}"));
}

#define GARBAGE "step_refused agent:deploybot {\"error\":\"no JSON\"}"

Test(errors, in_a_row_are_put_to_a_person)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    struct thread t = tried(&a, 2, ANSWERED, GARBAGE);
    cr_expect_str_eq(effects_text(&a, &AGENT, &t, 0), "ask the model");
    t = tried(&a, 3, ANSWERED, GARBAGE);
    cr_expect_str_eq(effects_text(&a, &AGENT, &t, 0),
                     "ask people about errors: {\"question\":\"deploybot failed 3 times in a row. "
                     "What should it do?\",\"context\":\"no JSON\",\"options\":{\"urgency\":"
                     "\"high\",\"format\":\"free_text\"}}");
}

Test(errors, are_forgotten_when_something_worked_or_somebody_spoke)
{
    static const char *const good[] = {
        "tool_finished system {\"outcome\":\"ok\",\"not_started\":true}",
        "slack_message person:a {\"text\":\"try so\"}",
        "request_decided person:a {\"call\":1,\"outcome\":\"rejected\"}",
    };
    for (size_t i = 0; i < COUNT(good); i++) {
        CLEANUP(arena_done) struct arena a = ARENA_INIT;
        struct thread t = THREAD(&a, HELLO, GARBAGE, GARBAGE, good[i], GARBAGE, GARBAGE);
        cr_expect_str_eq(effects_text(&a, &AGENT, &t, 0), "ask the model", "%s", good[i]);
    }
}

#define FAILS(call)                                                                       \
    "tool_started system {\"call\":" #call "}",                                           \
        "tool_finished system {\"call\":" #call ",\"outcome\":\"failed\",\"result\":{}}", \
        "tool_finished system {\"call\":0,\"outcome\":\"ok\",\"not_started\":true}"

Test(errors, of_the_very_same_step_count_even_when_others_work_between)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    struct thread t = THREAD(
        &a, HELLO, STEP("{\"intent\":\"restart\",\"reasoning\":\"1\"}"), FAILS(2),
        STEP("{\"intent\":\"restart\",\"reasoning\":\"2\"}"), FAILS(6),
        STEP("{\"intent\":\"restart\",\"reasoning\":\"3\"}"), "tool_started system {\"call\":10}",
        "tool_finished system {\"call\":10,\"outcome\":\"failed\",\"result\":{\"error\":\"e\"}}");
    char *said = effects_text(&a, &AGENT, &t, 0);
    cr_expect(text_starts(said, "ask people about errors: {\"question\":\"deploybot failed 3"),
              "%s", said);
    t = THREAD(&a, HELLO, STEP("{\"intent\":\"restart\"}"), FAILS(2),
               STEP("{\"intent\":\"list_git_tags\"}"), FAILS(6), STEP("{\"intent\":\"restart\"}"),
               "tool_started system {\"call\":10}",
               "tool_finished system {\"call\":10,\"outcome\":\"failed\"}");
    cr_expect_str_eq(effects_text(&a, &AGENT, &t, 0), "ask the model", "twice only");
}

Test(errors, go_on_with_what_a_person_said)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    struct thread t =
        THREAD(&a, HELLO, GARBAGE, GARBAGE, GARBAGE,
               "request_raised system {\"request\":\"r_1\",\"about\":\"errors\"}",
               "request_decided person:a {\"request\":\"r_1\",\"about\":\"errors\",\"outcome\":"
               "\"answered\",\"answer\":\"use v2\"}");
    cr_expect_str_eq(effects_text(&a, &AGENT, &t, 0), "ask the model");
}

/* ---- what it waits for ------------------------------------------------------------------- */

Test(waiting_for, names_what_an_open_thread_waits_for)
{
    static const struct {
        struct story story;
        const char *waits;
    } cases[] = {
        {{"the model", {HELLO, ASKED(1)}, NULL}, "{\"kind\":\"model\"}"},
        {{"a person", {PROPOSED}, NULL}, "{\"kind\":\"person\",\"request\":\"r_1\"}"},
        {{"a tool",
          {HELLO, ASKED(1), ANSWERED, STEP("{\"intent\":\"restart\"}"),
           "tool_started system {\"call\":4}"},
          NULL},
         "{\"kind\":\"tool\",\"what\":\"restart\"}"},
        {{"a prefetch", {HELLO, "tool_started system {\"call\":0,\"prefetch\":true}"}, NULL},
         "{\"kind\":\"tool\",\"what\":\"prefetch\"}"},
        {{"a timer",
          {HELLO, ASKED(1), ANSWERED, STEP("{\"intent\":\"await\",\"seconds\":60}"),
           "timer_set system {\"call\":4,\"until_ms\":1700000000000}"},
          NULL},
         "{\"kind\":\"timer\",\"until\":\"2023-11-14T22:13:20.000Z\"}"},
        {{"nothing", {HELLO}, NULL}, "null"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        CLEANUP(arena_done) struct arena a = ARENA_INIT;
        struct thread t = thread_of(&a, &cases[i].story);
        cr_expect_str_eq(json_write(&a, agent_waiting_for(&AGENT, &t, &a)), cases[i].waits, "%s",
                         cases[i].story.name);
    }
}

Test(newest, is_what_makes_an_answer_stale)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    struct thread t = THREAD(&a, HELLO, ASKED(1), "vote person:a {}", "note system {}",
                             STEP("{\"intent\":\"restart\"}"));
    cr_expect_eq(agent_newest(&t), 1);
    t = THREAD(&a, HELLO, ASKED(1), "email_message person:a {}");
    cr_expect_eq(agent_newest(&t), 3);
    t = THREAD(&a, HELLO, "request_decided agent:deploybot {\"outcome\":\"cancelled\"}");
    cr_expect_eq(agent_newest(&t), 1);
    t = THREAD(&a, HELLO, "request_decided person:a {\"outcome\":\"cancelled\"}");
    cr_expect_eq(agent_newest(&t), 2);
}

/* ---- answers and intents ----------------------------------------------------------------- */

Test(read_answer, makes_a_step_or_one_sentence)
{
    static const struct {
        const char *name, *text;
        bool cut;
        enum event_type type;
        const char *holds;
    } cases[] = {
        {"a step", "{\"intent\":\"deploy\",\"sha\":\"main\"}", false, EVENT_STEP,
         "{\"intent\":\"deploy\",\"sha\":\"main\"}"},
        {"any ref, whatever the pattern", "{\"intent\":\"deploy\",\"sha\":\"v1.2\"}", false,
         EVENT_STEP, "v1.2"},
        {"an intent that is not there", "{\"intent\":\"drop\"}", false, EVENT_STEP_REFUSED, "drop"},
        {"a missing argument", "{\"intent\":\"deploy\"}", false, EVENT_STEP_REFUSED, "sha"},
        {"prose", "I think we should wait.", false, EVENT_STEP_REFUSED, "error"},
        {"a cut-off write", "{\"intent\":\"deploy\",\"sha\":\"ma", true, EVENT_STEP_REFUSED,
         "error"},
        {"hand over to nobody we know",
         "{\"intent\":\"hand_over\",\"agent\":\"eve\",\"summary\":\"s\"}", false,
         EVENT_STEP_REFUSED, "agent"},
        {"hand over", "{\"intent\":\"hand_over\",\"agent\":\"rollback\",\"summary\":\"s\"}", false,
         EVENT_STEP, "rollback"},
        {"a wait of nothing", "{\"intent\":\"await\",\"seconds\":0}", false, EVENT_STEP_REFUSED,
         "seconds"},
        {"a wait", "{\"intent\":\"await\",\"seconds\":1,\"reasoning\":\"r\"}", false, EVENT_STEP,
         "\"seconds\":1"},
        {"no message", "{\"intent\":\"done_for_now\",\"message\":\"\"}", false, EVENT_STEP_REFUSED,
         "message"},
        {"a question",
         "{\"intent\":\"request_human_input\",\"question\":\"q\",\"options\":{\"format\":"
         "\"multiple_choice\",\"choices\":[\"a\",\"b\"]}}",
         false, EVENT_STEP, "choices"},
        {"a question of an unknown format",
         "{\"intent\":\"request_human_input\",\"question\":\"q\",\"options\":{\"format\":\"poll\"}"
         "}",
         false, EVENT_STEP_REFUSED, "format"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        CLEANUP(arena_done) struct arena a = ARENA_INIT;
        struct json *data = NULL;
        enum event_type type = agent_read_answer(&AGENT, cases[i].text, cases[i].cut, &a, &data);
        char *written = json_write(&a, data);
        cr_expect_eq(type, cases[i].type, "%s: %s", cases[i].name, written);
        cr_expect_neq(strstr(written, cases[i].holds), NULL, "%s: %s", cases[i].name, written);
    }
}

Test(intents, are_the_tools_the_words_and_where_it_may_hand_over)
{
    static const char *const names[] = {
        "list_git_tags", "list_deployments", "show",         "deploy",
        "back",          "restart",          "all",          "request_human_input",
        "await",         "keep_waiting",     "done_for_now", "nothing_to_do",
        "hand_over"};
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    struct step_intent *list;
    struct agent agent = AGENT;
    cr_assert_eq(agent_intents(&agent, &a, &list), COUNT(names));
    for (size_t i = 0; i < COUNT(names); i++)
        cr_expect_str_eq(list[i].name, names[i]);
    agent.n_hand_over = 0;
    cr_expect_eq(agent_intents(&agent, &a, &list), COUNT(names) - 1);
}

Test(multiple_choice, needs_choices)
{
    static const char *const bad[] = {
        "{\"intent\":\"request_human_input\",\"question\":\"q\",\"options\":{\"format\":"
        "\"multiple_choice\"}}",
        "{\"intent\":\"request_human_input\",\"question\":\"q\",\"options\":{\"format\":"
        "\"multiple_choice\",\"choices\":[\"a\"]}}",
        "{\"intent\":\"request_human_input\",\"question\":\"q\",\"options\":{\"format\":"
        "\"multiple_choice\",\"choices\":[\"a\",\"a\"]}}",
    };
    for (size_t i = 0; i < COUNT(bad); i++) {
        CLEANUP(arena_done) struct arena a = ARENA_INIT;
        struct thread t = THREAD(&a, HELLO, ASKED(1), ANSWERED,
                                 arena_printf(&a, "step agent:deploybot %s", bad[i]));
        char *said = effects_text(&a, &AGENT, &t, 0);
        cr_expect(text_starts(said, "append step_refused {\"call\":4,\"error\":\"options.choices"),
                  "%s", said);
    }
}
