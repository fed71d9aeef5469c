#include "agents/playbook.h"
#include "gateway/base/text.h"
#include "gateway/yaml.h"
#include "tests/agents/events.h"

#include <criterion/criterion.h>
#include <stdio.h>

/* ---- parsing ----------------------------------------------------------------------------- */

struct found {
    struct strbuf text;
};

static void report(void *ctx, enum problem_kind kind, const struct json *at, const char *key_path,
                   const char *sentence)
{
    struct found *found = ctx;
    (void)kind;
    strbuf_addf(&found->text, "%d %s: %s\n", yaml_line(at), key_path, sentence);
}

/* NULL and the problems in *said, one a line with its own line's number. */
static struct playbook *parsed(struct arena *a, struct span yaml, const char **said)
{
    static const char *const intents[] = {"deploy", "request_human_input", NULL};
    struct json *source = NULL;
    struct err err = ERR_INIT;
    struct found found;
    struct playbook *p = NULL;
    int line;
    strbuf_init(&found.text, a, 1 << 16);
    struct problems problems = {.report = report, .ctx = &found};
    cr_assert(yaml_parse(a, yaml, &source, &line, &err), "%d: %s", line, err.text);
    bool ok = playbook_parse(a, source, intents, &problems, &p);
    *said = found.text.text;
    cr_expect_eq(ok, problems.errors == 0);
    return ok ? p : NULL;
}

#define RULES "rules:\n  - {do: {intent: deploy}}\n" /* two lines */

static const struct {
    const char *name, *yaml, *said;
} BAD[] = {
    {"no mapping", "- 1\n", "a playbook is a mapping"},
    {"no rules", "facts: {}\n", "rules: must be a list"},
    {"empty rules", "rules: []\n", "rules: there are none"},
    {"rules as a mapping", "rules: {a: {do: {intent: deploy}}}\n", "1 rules: must be a list"},
    {"facts as a list", RULES "facts: []\n", "3 facts: must be a mapping"},
    {"find as a text", RULES "find: sha\n", "3 find: must be a mapping"},
    {"an unknown key", RULES "fact: {}\n", "did you mean facts?"},
    {"a fact of nothing", RULES "facts:\n  a: {}\n", "4 a: needs last, any or none"},
    {"a fact with since alone", RULES "facts:\n  a: {since: {type: step}}\n",
     "4 a: needs last, any or none"},
    {"a fact's unknown key", RULES "facts:\n  a: {lst: {type: step}}\n", "did you mean last?"},
    {"an unknown event type", RULES "facts:\n  a: {last: {type: merge}}\n",
     "4 type: there is no event type merge"},
    {"one in a list", RULES "facts:\n  a: {last: {type: [step, merge]}}\n",
     "4 type: there is no event type merge"},
    {"a type that is a number", RULES "facts:\n  a: {last: {type: 1}}\n",
     "4 type: must be a name or a list"},
    {"field without is", RULES "facts:\n  a: {last: {field: environment}}\n",
     "4 last: field and is go together"},
    {"is without field", RULES "facts:\n  a: {last: {is: x}}\n",
     "4 last: field and is go together"},
    {"a variable of nothing", RULES "find:\n  sha: {take: first}\n",
     "4 sha: needs commit_in, or from and path"},
    {"a variable without a path", RULES "find:\n  sha: {from: step}\n",
     "4 sha: needs commit_in, or from and path"},
    {"a variable from nowhere", RULES "find:\n  sha: {from: merges, path: sha}\n",
     "4 from: there is no event type merges"},
    {"a condition that is no fact", "rules:\n  - if: [late]\n    do: {intent: deploy}\n",
     "2 if: there is no fact late"},
    {"its negation", "rules:\n  - if: [not late]\n    do: {intent: deploy}\n",
     "2 if: there is no fact not late"},
    {"a variable that find does not have", "rules:\n  - if: [has sha]\n    do: {intent: deploy}\n",
     "2 if: there is no fact has sha"},
    {"a condition instead of a list",
     "facts: {a: {any: {}}}\nrules:\n  - if: a\n    do: {intent: "
     "deploy}\n",
     "3 if: must be a list"},
    {"a rule without an intent", "rules:\n  - do: {sha: x}\n", "2 do: needs an intent"},
    {"a rule that does nothing", "rules:\n  - name: x\n", "2 do: needs an intent"},
    {"an intent that the agent has not", "rules:\n  - do: {intent: fly}\n",
     "2 intent: this agent has no tool fly"},
    {"an unknown variable in a text", "rules:\n  - do: {intent: deploy, sha: \"{{sah}}\"}\n",
     "2 sha: there is no variable sah"},
    {"deep in a list", "rules:\n  - do: {intent: deploy, o: {c: [\"{{ short_sha }}\"]}}\n",
     "there is no variable short_sha"},
};

Test(playbook_parse, says_what_is_wrong_and_where)
{
    for (size_t i = 0; i < COUNT(BAD); i++) {
        CLEANUP(arena_done) struct arena a = ARENA_INIT;
        const char *said;
        cr_expect_null(parsed(&a, span_of(BAD[i].yaml), &said), "%s", BAD[i].name);
        cr_expect_neq(strstr(said, BAD[i].said), NULL, "%s: %s", BAD[i].name, said);
    }
}

Test(playbook_parse, reports_all_problems_at_once)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    const char *said;
    cr_expect_null(
        parsed(&a, span_of("facts:\n  a: {}\n  b: {}\nrules:\n  - do: {intent: fly}\n"), &said));
    cr_expect_neq(strstr(said, "2 a: "), NULL, "%s", said);
    cr_expect_neq(strstr(said, "3 b: "), NULL, "%s", said);
    cr_expect_neq(strstr(said, "5 intent: "), NULL, "%s", said);
}

/* ---- matching ---------------------------------------------------------------------------- */

/* Does the fact hold over the thread? */
static bool holds_over(const char *fact, const struct thread *t)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    const char *said;
    struct playbook *p =
        parsed(&a,
               span_of(arena_printf(
                   &a, "facts:\n  f: %s\nrules:\n  - {if: [f], do: {intent: deploy}}\n", fact)),
               &said);
    cr_assert_not_null(p, "%s: %s", fact, said);
    return text_eq(json_text_at(playbook_step(&a, p, t), "intent"), "deploy");
}

static const struct {
    const char *name, *fact;
    bool holds;
} FACTS[] = {
    {"the newest is of this type", "{last: {type: request_decided}}", true},
    {"the newest is not of that", "{last: {type: slack_message}}", false},
    {"the newest is of one of them", "{last: {type: [slack_message, request_decided]}}", true},
    {"some event is", "{any: {type: slack_message}}", true},
    {"our own steps do not count", "{any: {type: step}}", false},
    {"nor what is not for agents", "{any: {type: note}}", false},
    {"none is", "{none: {type: email_message}}", true},
    {"none, but one is", "{none: {type: slack_message}}", false},
    {"an outcome", "{last: {outcome: rejected}}", true},
    {"one of the outcomes", "{last: {outcome: [approved, rejected]}}", true},
    {"another outcome", "{last: {outcome: approved}}", false},
    {"a tool", "{any: {type: tool_finished, tool: list_git_tags}}", true},
    {"says a word", "{last: {says: backend}}", true},
    {"without case", "{last: {says: BACKEND}}", true},
    {"one of the words", "{last: {says: \"frontend|backend\"}}", true},
    {"all of the words", "{last: {says: [backend, \"first|before\"]}}", true},
    {"not all of them", "{last: {says: [backend, later]}}", false},
    {"part of a word is no word", "{last: {says: back}}", false},
    {"nor its end", "{last: {says: end}}", false},
    {"a member", "{any: {field: environment, is: staging}}", true},
    {"another value of it", "{any: {field: environment, is: production}}", false},
    {"since: what was before does not count",
     "{since: {type: webhook_received}, any: {type: slack_message}}", false},
    {"since: what came after does",
     "{since: {type: webhook_received}, any: {type: request_decided}}", true},
    {"since: that event itself does not",
     "{since: {type: webhook_received}, any: {type: webhook_received}}", false},
    {"since something that never was: all counts",
     "{since: {type: email_message}, any: {type: slack_message}}", true},
    {"two conditions hold", "{last: {type: request_decided}, none: {type: email_message}}", true},
    {"one of two does not", "{last: {type: request_decided}, none: {type: slack_message}}", false},
};

Test(playbook_facts, hold_over_the_events_for_the_agent)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    struct thread t = THREAD(
        &a, "slack_message person:a {\"text\":\"deploy it\"}",
        "tool_finished system {\"tool\":\"list_git_tags\",\"outcome\":\"ok\"}",
        "webhook_received key:ci {\"environment\":\"staging\"}",
        "step agent:deploybot {\"intent\":\"deploy\"}", "note system {}",
        "request_decided person:a {\"outcome\":\"rejected\",\"comment\":\"\","
        "\"answer\":\"the Backend, first!\"}",
        "tool_finished system {\"tool\":\"list_deployments\",\"outcome\":\"ok\",\"prefetch\":true}",
        "request_decided agent:deploybot {\"outcome\":\"cancelled\"}");
    for (size_t i = 0; i < COUNT(FACTS); i++)
        cr_expect_eq(holds_over(FACTS[i].fact, &t), FACTS[i].holds, "%s", FACTS[i].name);
}

/* The commit that "{commit_in: slack_message}" finds in these words. */
static const struct {
    const char *words, *commit; /* NULL: none */
} COMMITS[] = {
    {"deploy 4af9ec0", "4af9ec0"},
    {"4AF9EC0, please", "4AF9EC0"},
    {"(0123456789012345678901234567890123456789)", "0123456789012345678901234567890123456789"},
    {"01234567890123456789012345678901234567890", NULL}, /* 41 */
    {"4af9ec", NULL},
    {"deadbeef", NULL}, /* a word without a digit */
    {"x4af9ec0", NULL},
    {"4af9ec0x", NULL},
    {"4af9ec0_1", NULL},
    {"call 555, then 1234567", "1234567"},
    {"effaced decade facade1", "facade1"},
    {"", NULL},
};

Test(playbook_variables, find_a_commit_in_words)
{
    for (size_t i = 0; i < COUNT(COMMITS); i++) {
        CLEANUP(arena_done) struct arena a = ARENA_INIT;
        const char *said;
        struct playbook *p = parsed(&a,
                                    span_of("find: {sha: {commit_in: slack_message}}\n"
                                            "rules:\n  - do: {intent: deploy, sha: \"{{sha}}\"}\n"),
                                    &said);
        cr_assert_not_null(p, "%s", said);
        struct thread t = THREAD(
            &a, arena_printf(&a, "slack_message person:a {\"text\":\"%s\"}", COMMITS[i].words));
        const struct json *step = playbook_step(&a, p, &t);
        if (COMMITS[i].commit == NULL)
            cr_expect_str_eq(json_text_at(step, "intent"), "request_human_input", "%s",
                             COMMITS[i].words);
        else
            cr_expect(text_eq(json_text_at(step, "sha"), COMMITS[i].commit), "%s",
                      COMMITS[i].words);
    }
}

Test(playbook_variables, take_the_newest_or_the_oldest_of_the_first_place_that_has_it)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    struct thread t = THREAD(&a, "github_pull_request github:d {\"sha\":\"one\"}",
                             "github_pull_request github:d {\"sha\":\"two\"}");
    static const struct {
        const char *find, *sha;
    } cases[] = {
        {"{from: github_pull_request, path: sha}", "two"},
        {"{from: github_pull_request, path: sha, take: first}", "one"},
        {"[{commit_in: slack_message}, {from: github_pull_request, path: sha, take: first}]",
         "one"},
        {"[{from: schedule_fired, path: sha}, {from: github_pull_request, path: sha}]", "two"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        const char *said;
        struct playbook *p = parsed(
            &a,
            span_of(arena_printf(
                &a,
                "find: {v: %s}\nrules:\n  - {if: [has v], do: {intent: deploy, sha: \"{{v}}\", "
                "list: [\"{{short_v}}\", 5]}}\n",
                cases[i].find)),
            &said);
        cr_assert_not_null(p, "%s", said);
        cr_expect_str_eq(json_write(&a, json_without(&a, playbook_step(&a, p, &t), "reasoning")),
                         arena_printf(&a,
                                      "{\"intent\":\"deploy\",\"sha\":\"%s\",\"list\":[\"%s\",5]}",
                                      cases[i].sha, cases[i].sha));
    }
}

Test(playbook_step, asks_a_person_when_no_rule_fits_and_quotes_the_words)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    const char *said;
    struct playbook *p = parsed(
        &a,
        span_of("facts: {n: {any: {type: email_message}}}\nrules:\n  - {if: [n], do: {intent: "
                "deploy}}\n"),
        &said);
    cr_assert_not_null(p, "%s", said);
    struct thread t = THREAD(&a, "slack_message person:a {\"text\":\"sing {{a}} \\n song\"}");
    const struct json *step = playbook_step(&a, p, &t);
    cr_expect_str_eq(json_text_at(step, "intent"), "request_human_input");
    cr_expect_neq(strstr(json_text_at(step, "question"), "sing {{a}}"), NULL, "%s",
                  json_text_at(step, "question"));
    t = THREAD(&a, "schedule_fired system {}");
    cr_expect_str_eq(json_text_at(playbook_step(&a, p, &t), "intent"), "request_human_input");
}

/* ---- the shipped playbooks --------------------------------------------------------------- */

#define SHA "4af9ec0000000000000000000000000000000001"
#define NEW "5bf9ec0000000000000000000000000000000002"

struct story {
    const char *name;
    const char *events[16];
    const char *step; /* without its reasoning */
};

static void tell(const char *file, const struct story *stories, size_t n)
{
    CLEANUP(arena_done) struct arena all = ARENA_INIT;
    struct json *source = NULL;
    struct playbook *p = NULL;
    struct found found;
    int line;
    char *text = arena_alloc(&all, 1 << 16);
    FILE *f = fopen(arena_printf(&all, "%s/../prompts/%s", TESTS_DIR, file), "rb");
    cr_assert_not_null(f);
    size_t len = fread(text, 1, 1 << 16, f);
    (void)fclose(f);
    strbuf_init(&found.text, &all, 1 << 16);
    struct problems problems = {.report = report, .ctx = &found};
    cr_assert(yaml_parse(&all, (struct span){text, len}, &source, &line, NULL));
    cr_assert(playbook_parse(&all, source, NULL, &problems, &p), "%s", found.text.text);
    for (size_t i = 0; i < n; i++) {
        CLEANUP(arena_done) struct arena a = ARENA_INIT;
        size_t count = 0;
        while (stories[i].events[count] != NULL)
            count++;
        struct thread t = thread_from(&a, stories[i].events, count);
        const struct json *step = playbook_step(&a, p, &t);
        char *got = json_write(&a, json_without(&a, step, "reasoning"));
        cr_expect_str_eq(got, stories[i].step, "%s: %s (%s)", stories[i].name, got,
                         json_text_at(step, "reasoning"));
    }
}

#define MERGED                                                                           \
    "github_pull_request github:dex {\"number\":7,\"sha\":\"" SHA "\",\"title\":\"x\"}", \
        "api_message system {\"text\":\"deploy SHA " SHA " to production\"}"
#define LISTED                                                                           \
    "tool_finished system {\"tool\":\"list_git_commits\",\"prefetch\":true,\"outcome\":" \
    "\"ok\",\"result\":{\"commits\":[{\"sha\":\"" NEW "\"},{\"sha\":\"" SHA "\"}]}}"
#define SAYS(words) "slack_message person:alice {\"text\":\"" words "\"}"
#define REJECTED(tool, words)                                                 \
    "request_decided person:alice {\"outcome\":\"rejected\",\"tool\":\"" tool \
    "\",\"arguments\":{\"sha\":\"" SHA "\"},\"comment\":\"" words "\"}"
#define ANSWERED(words)                                                                     \
    "request_decided person:alice {\"outcome\":\"answered\",\"question\":\"deploy what?\"," \
    "\"answer\":\"" words "\"}"
#define APPROVED(tool) \
    "request_decided person:alice {\"outcome\":\"approved\",\"tool\":\"" tool "\"}"
#define ENDED(tool, outcome)                                             \
    "tool_finished system {\"tool\":\"" tool "\",\"outcome\":\"" outcome \
    "\",\"result\":{\"error\":\"exit 1\"}}"

#define FRONTEND(sha) "{\"intent\":\"deploy_frontend\",\"sha\":\"" sha "\"}"
#define BACKEND(sha)  "{\"intent\":\"deploy_backend\",\"sha\":\"" sha "\"}"
#define CHOICE(question, urgency, choices)                                           \
    "{\"intent\":\"request_human_input\",\"question\":\"" question "\",\"options\":" \
    "{\"urgency\":\"" urgency "\",\"format\":\"multiple_choice\",\"choices\":[" choices "]}}"
#define FIRST "\"deploy the backend first\",\"deploy the frontend first\",\"stop\""

static const struct story DEPLOYBOT[] = {
    {"a merge begins with the frontend", {MERGED, LISTED}, FRONTEND(SHA)},
    {"can you deploy the backend first?",
     {MERGED, REJECTED("deploy_frontend", "can you deploy the backend first?")},
     BACKEND(SHA)},
    {"after the backend, the frontend",
     {MERGED, REJECTED("deploy_frontend", "can you deploy the backend first?"),
      APPROVED("deploy_backend"), ENDED("deploy_backend", "ok")},
     FRONTEND(SHA)},
    {"after the frontend, the backend",
     {MERGED, APPROVED("deploy_frontend"), ENDED("deploy_frontend", "ok")},
     BACKEND(SHA)},
    {"both: done",
     {MERGED, ENDED("deploy_backend", "ok"), ENDED("deploy_frontend", "ok")},
     "{\"intent\":\"done_for_now\",\"message\":\"Backend and frontend of 4af9ec0 are in "
     "production.\"}"},
    {"a rejection with other words",
     {MERGED, REJECTED("deploy_frontend", "hmm, not sure")},
     CHOICE("You rejected deploy_frontend: \\\"hmm, not sure\\\". What should I do instead?",
            "medium", FIRST)},
    {"a rejection without words",
     {MERGED, REJECTED("deploy_frontend", "")},
     CHOICE("You rejected deploy_frontend: \\\"\\\". What should I do instead?", "medium", FIRST)},
    {"its answer: the backend",
     {MERGED, REJECTED("deploy_frontend", "hmm"), ANSWERED("deploy the backend first")},
     BACKEND(SHA)},
    {"its answer: the frontend",
     {MERGED, REJECTED("deploy_frontend", "hmm"), ANSWERED("deploy the frontend first")},
     FRONTEND(SHA)},
    {"its answer: stop",
     {MERGED, REJECTED("deploy_frontend", "hmm"), ANSWERED("stop")},
     "{\"intent\":\"done_for_now\",\"message\":\"Stopped as asked: \\\"stop\\\". I deploy nothing "
     "more.\"}"},
    {"a rejection that says stop",
     {MERGED, REJECTED("deploy_frontend", "Stop! Not on a Friday.")},
     "{\"intent\":\"done_for_now\",\"message\":\"Stopped as asked: \\\"Stop! Not on a Friday.\\\". "
     "I deploy nothing more.\"}"},
    {"a plain message that changes the order",
     {MERGED, SAYS("please, the backend before the rest")},
     BACKEND(SHA)},
    {"a plain message that asks for nothing",
     {MERGED, SAYS("ok, thanks")},
     "{\"intent\":\"keep_waiting\",\"reason\":\"this asks for nothing\"}"},
    {"when nothing was open it ends quietly",
     {MERGED, SAYS("thanks"),
      "step_refused system {\"error\":\"keep_waiting: there is no open request to wait for\"}"},
     "{\"intent\":\"nothing_to_do\",\"reason\":\"nothing is open, and nothing was asked for\"}"},
    {"a plain message that names another commit",
     {MERGED, SAYS("take 5bf9ec0 for the backend, please")},
     BACKEND("5bf9ec0")},
    {"failed",
     {MERGED, ENDED("deploy_backend", "failed")},
     CHOICE("deploy_backend did not end well: exit 1. What should I do?", "high", FIRST)},
    {"killed",
     {MERGED, ENDED("deploy_backend", "killed")},
     CHOICE("deploy_backend did not end well: exit 1. What should I do?", "high", FIRST)},
    {"refused by a lock",
     {MERGED, ENDED("deploy_frontend", "refused")},
     CHOICE("deploy_frontend did not end well: exit 1. What should I do?", "high", FIRST)},
    {"unknown",
     {MERGED, ENDED("deploy_backend", "unknown")},
     CHOICE("Nobody knows how deploy_backend ended. Please look, and tell me what to do.", "high",
            FIRST)},
    {"the step was refused",
     {MERGED, "step_refused system {\"error\":\"sha: it is no commit\"}"},
     "{\"intent\":\"request_human_input\",\"question\":\"My proposal was refused: sha: it is no "
     "commit. Which commit should I deploy, and what of it (backend, frontend, both)?\","
     "\"options\":{\"urgency\":\"medium\",\"format\":\"free_text\"}}"},
    {"nobody signed it off",
     {MERGED, "request_decided system {\"outcome\":\"expired\",\"tool\":\"deploy_frontend\"}"},
     "{\"intent\":\"done_for_now\",\"message\":\"Nobody signed off in time, so I deployed nothing "
     "more.\"}"},
    {"a mention: the latest backend",
     {SAYS("deploy the latest backend to production"), LISTED},
     BACKEND(NEW)},
    {"then it is done",
     {SAYS("deploy the latest backend to production"), LISTED, ENDED("deploy_backend", "ok")},
     "{\"intent\":\"done_for_now\",\"message\":\"The backend of 5bf9ec0 is in production.\"}"},
    {"a mention with a short commit id",
     {SAYS("ship 4af9ec0 frontend"), LISTED},
     FRONTEND("4af9ec0")},
    {"a mention of both", {SAYS("release everything"), LISTED}, BACKEND(NEW)},
    {"goes on with the other",
     {SAYS("release everything"), LISTED, ENDED("deploy_backend", "ok")},
     FRONTEND(NEW)},
    {"a mention that names nothing",
     {SAYS("please deploy"), LISTED},
     CHOICE("What should I deploy of 5bf9ec0?", "medium",
            "\"backend\",\"frontend\",\"both\",\"nothing\"")},
    {"its answer: backend", {SAYS("please deploy"), LISTED, ANSWERED("backend")}, BACKEND(NEW)},
    {"its answer: both", {SAYS("please deploy"), LISTED, ANSWERED("both")}, BACKEND(NEW)},
    {"its answer: nothing",
     {SAYS("please deploy"), LISTED, ANSWERED("nothing")},
     "{\"intent\":\"done_for_now\",\"message\":\"Stopped as asked: \\\"nothing\\\". I deploy "
     "nothing "
     "more.\"}"},
    {"words it does not know",
     {SAYS("good morning")},
     "{\"intent\":\"request_human_input\",\"question\":\"I do not know what to do with \\\"good "
     "morning\\\". What should I do?\"}"},
    {"a thread that goes on: what was done before does not count as done",
     {SAYS("deploy both"), LISTED, ENDED("deploy_backend", "ok"), ENDED("deploy_frontend", "ok"),
      SAYS("now deploy both of 4af9ec0"), ENDED("deploy_backend", "ok")},
     FRONTEND("4af9ec0")},
};

Test(deploybot_playbook, does_in_each_situation_what_its_prompt_says)
{
    tell("deploybot.playbook.yaml", DEPLOYBOT, COUNT(DEPLOYBOT));
}

#define TESTS_FAILED                                                                    \
    "webhook_received system {\"failed_stage\":\"e2e\",\"environment\":\"production\"," \
    "\"outcome\":\"failed\"}"
#define RAN(previous)                                                                    \
    "tool_finished system {\"tool\":\"list_deployments\",\"prefetch\":true,\"outcome\":" \
    "\"ok\",\"result\":{\"environments\":[],\"previous\":{\"production\":" previous "}}}"
#define BEFORE          RAN("{\"backend\":\"" SHA "\",\"frontend\":\"" NEW "\"}")
#define ROLL(what, sha) "{\"intent\":\"roll_back_" what "\",\"sha\":\"" sha "\"}"
#define ROLL_CHOICES    "\"roll back the backend\",\"roll back the frontend\",\"stop\""

static const struct story ROLLBACK[] = {
    {"tests failed: the backend first", {MERGED, TESTS_FAILED, BEFORE}, ROLL("backend", SHA)},
    {"handed over",
     {"handed_over system {\"from\":\"deploybot\",\"summary\":\"it broke\"}", BEFORE},
     ROLL("backend", SHA)},
    {"no earlier backend is known",
     {MERGED, TESTS_FAILED, RAN("{}")},
     "{\"intent\":\"request_human_input\",\"question\":\"Something failed and I know no earlier "
     "backend to go back to. What should I do?\",\"options\":{\"urgency\":\"high\",\"format\":"
     "\"free_text\"}}"},
    {"the frontend instead",
     {MERGED, TESTS_FAILED, BEFORE, REJECTED("roll_back_backend", "the frontend, rather")},
     ROLL("frontend", NEW)},
    {"a rejection with other words",
     {MERGED, TESTS_FAILED, BEFORE, REJECTED("roll_back_backend", "wait")},
     CHOICE("You rejected roll_back_backend: \\\"wait\\\". What should I do instead?", "high",
            ROLL_CHOICES)},
    {"stop",
     {MERGED, TESTS_FAILED, BEFORE, REJECTED("roll_back_backend", "no")},
     "{\"intent\":\"done_for_now\",\"message\":\"Stopped as asked: \\\"no\\\". I roll nothing "
     "back.\"}"},
    {"it is back",
     {MERGED, TESTS_FAILED, BEFORE, ENDED("roll_back_backend", "ok")},
     "{\"intent\":\"done_for_now\",\"message\":\"The backend of production is back at 4af9ec0.\"}"},
    {"it failed",
     {MERGED, TESTS_FAILED, BEFORE, ENDED("roll_back_backend", "failed")},
     CHOICE("roll_back_backend did not end well: exit 1. What should I do?", "high", ROLL_CHOICES)},
    {"nobody signed it off",
     {MERGED, TESTS_FAILED, BEFORE,
      "request_decided system {\"outcome\":\"expired\",\"tool\":\"roll_back_backend\"}"},
     "{\"intent\":\"done_for_now\",\"message\":\"Nobody signed off the roll-back in time: "
     "production is as it was.\"}"},
};

Test(rollback_playbook, does_in_each_situation_what_its_prompt_says)
{
    tell("rollback.playbook.yaml", ROLLBACK, COUNT(ROLLBACK));
}
