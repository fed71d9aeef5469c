#include "deploybot/pipeline.h"
#include "gateway/base/text.h"
#include "tests/agents/events.h"

#include <criterion/criterion.h>

static struct stage STAGES[] = {
    {.name = "build"},
    {.name = "staging", .environment = "staging"},
    {.name = "e2e-staging", .environment = "staging"},
    {.name = "ship",
     .agent = "deploybot",
     .message = "deploy {{sha}}",
     .environment = "production"},
    {.name = "e2e", .environment = "production", .on_failure = "rollback"},
    {.name = "announce"},
};
static const struct pipeline SHOP = {.name = "shop", .stages = STAGES, .n_stages = COUNT(STAGES)};

static void describe(struct strbuf *b, const struct run_effect *e)
{
    switch (e->kind) {
    case RUN_TAKE:
        strbuf_addf(b, "take %s", e->environment);
        return;
    case RUN_LEAVE:
        strbuf_addf(b, "leave %s", e->environment);
        return;
    case RUN_STAGE:
        strbuf_addf(b, "run %s, attempt %lld", e->stage->name, (long long)e->attempt);
        return;
    case RUN_CHILD:
        strbuf_addf(b, "start %s for %s (%s) %s", e->agent, e->stage->name, e->text,
                    e->data == NULL ? "" : json_write(b->arena, e->data));
        return;
    case RUN_APPEND:
        strbuf_addf(b, "append %s %s", event_type_name(e->type), json_write(b->arena, e->data));
        return;
    case RUN_ASK:
        strbuf_addf(b, "ask about %s: %s", e->about, json_write(b->arena, e->data));
        return;
    case RUN_FINISH:
        strbuf_addf(b, "finish %s %s: %s", thread_status_name(e->status), e->outcome, e->text);
        return;
    }
}

static char *next_text(struct arena *a, const struct pipeline *p, const struct thread *t)
{
    struct run_effect effects[MAX_EFFECTS];
    struct strbuf b;
    strbuf_init(&b, a, 1 << 16);
    size_t n = pipeline_next(p, t, a, effects);
    for (size_t i = 0; i < n; i++) {
        strbuf_add(&b, i > 0 ? "\n" : "");
        describe(&b, &effects[i]);
    }
    return b.text;
}

#define SHA "4af9ec0000000000000000000000000000000001"
#define MERGE                                                                             \
    "github_pull_request github:dex {\"number\":7,\"sha\":\"" SHA "\",\"title\":\"Fix\"," \
    "\"repo\":\"acme/shop\",\"author\":\"dex\",\"merged_by\":\"ann\",\"base\":\"main\"}"
#define STARTED(stage) "stage_started system {\"stage\":\"" stage "\"}"
#define ENDED(stage, outcome, more) \
    "stage_finished system {\"stage\":\"" stage "\",\"outcome\":\"" outcome "\"" more "}"
#define OK(stage)  STARTED(stage), ENDED(stage, "ok", "")
#define TOOK(name) "environment_taken system {\"environment\":\"" name "\"}"
#define LEFT(name) "environment_left system {\"environment\":\"" name "\"}"
#define CHILD(stage, why, thread) \
    "child_started system {\"stage\":\"" stage "\",\"why\":\"" why "\",\"thread\":\"" thread "\"}"
#define CHILD_ENDED(stage, why, rest) \
    "child_finished system {\"stage\":\"" stage "\",\"why\":\"" why "\"," rest "}"

#define AT_STAGING MERGE, OK("build"), TOOK("staging")
#define AT_PRODUCTION \
    AT_STAGING, OK("staging"), OK("e2e-staging"), LEFT("staging"), TOOK("production")
#define SHIPPED                                                                                 \
    AT_PRODUCTION, CHILD("ship", "stage", "t_2"),                                               \
        CHILD_ENDED("ship", "stage", "\"status\":\"done\",\"acted\":true,\"message\":\"out\""), \
        ENDED("ship", "ok", ",\"ending\":\"out\"")
#define TESTS_FAILED \
    SHIPPED, STARTED("e2e"), ENDED("e2e", "failed", ",\"ending\":\"exit 3\",\"tail\":\"boom\"")
#define HELPED(rest) \
    TESTS_FAILED, CHILD("e2e", "on_failure", "t_3"), CHILD_ENDED("e2e", "on_failure", rest)

struct story {
    const char *name;
    const char *events[40];
    const char *effects;
};

static struct thread thread_of(struct arena *a, const char *const *events)
{
    size_t n = 0;
    while (events[n] != NULL)
        n++;
    return thread_from(a, events, n);
}

static const struct story STORIES[] = {
    {"it begins with the first stage", {MERGE}, "run build, attempt 1"},
    {"a stage that runs is waited for", {MERGE, STARTED("build")}, ""},
    {"an environment is taken before its first stage", {MERGE, OK("build")}, "take staging"},
    {"then the stage runs there", {AT_STAGING}, "run staging, attempt 1"},
    {"the next one there needs no second taking",
     {AT_STAGING, OK("staging")},
     "run e2e-staging, attempt 1"},
    {"it leaves one environment for the next",
     {AT_STAGING, OK("staging"), OK("e2e-staging")},
     "leave staging\ntake production"},
    {"while it waits for it, it asks again and no more",
     {AT_STAGING, OK("staging"), OK("e2e-staging"), LEFT("staging")},
     "take production"},
    {"an agent stage starts a child", {AT_PRODUCTION}, "start deploybot for ship (stage) "},
    {"which is waited for", {AT_PRODUCTION, CHILD("ship", "stage", "t_2")}, ""},
    {"done and something was deployed: the stage is ok",
     {AT_PRODUCTION, CHILD("ship", "stage", "t_2"),
      CHILD_ENDED("ship", "stage", "\"status\":\"done\",\"acted\":true,\"message\":\"out\"")},
     "append stage_finished {\"stage\":\"ship\",\"outcome\":\"ok\",\"ending\":\"out\"}"},
    {"done and nothing was: it is skipped",
     {AT_PRODUCTION, CHILD("ship", "stage", "t_2"),
      CHILD_ENDED("ship", "stage", "\"status\":\"done\",\"acted\":false,\"message\":\"no need\"")},
     "append stage_finished {\"stage\":\"ship\",\"outcome\":\"skipped\",\"ending\":\"no need\"}"},
    {"later stages of a skipped run do not run",
     {AT_PRODUCTION, CHILD("ship", "stage", "t_2"), ENDED("ship", "skipped", "")},
     "leave production\nfinish done skipped: ship: nothing was deployed, so the later stages do "
     "not run. "},
    {"the child failed: the stage failed",
     {AT_PRODUCTION, CHILD("ship", "stage", "t_2"),
      CHILD_ENDED("ship", "stage", "\"status\":\"failed\",\"acted\":true")},
     "append stage_finished {\"stage\":\"ship\",\"outcome\":\"failed\",\"ending\":\"deploybot "
     "ended "
     "failed\"}"},
    {"the child was cancelled: too",
     {AT_PRODUCTION, CHILD("ship", "stage", "t_2"),
      CHILD_ENDED("ship", "stage", "\"status\":\"cancelled\"")},
     "append stage_finished {\"stage\":\"ship\",\"outcome\":\"failed\",\"ending\":\"deploybot "
     "ended "
     "cancelled\"}"},
    {"a hand-over: the stage waits for the new child",
     {AT_PRODUCTION, CHILD("ship", "stage", "t_2"), CHILD("ship", "stage", "t_3")},
     ""},
    {"and is judged by it",
     {AT_PRODUCTION, CHILD("ship", "stage", "t_2"), CHILD("ship", "stage", "t_3"),
      CHILD_ENDED("ship", "stage", "\"status\":\"done\",\"acted\":true")},
     "append stage_finished {\"stage\":\"ship\",\"outcome\":\"ok\"}"},
    {"a failed stage without a helper ends the run with stage, exit and tail",
     {AT_STAGING, STARTED("staging"),
      ENDED("staging", "failed", ",\"ending\":\"exit 2\",\"tail\":\"no disk\"")},
     "leave staging\nfinish failed failed: staging failed: exit 2\nno disk"},
    {"so does an unknown one",
     {MERGE, STARTED("build"), ENDED("build", "unknown", ",\"ending\":\"unknown: gone\"")},
     "finish failed failed: build unknown: unknown: gone"},
    {"a failed stage with a helper calls it, with the failure as its facts",
     {TESTS_FAILED},
     "start rollback for e2e (on_failure) {\"failed_stage\":\"e2e\",\"environment\":\"production\","
     "\"outcome\":\"failed\",\"ending\":\"exit 3\",\"output\":\"boom\",\"sha\":\"" SHA "\"}"},
    {"and waits for it", {TESTS_FAILED, CHILD("e2e", "on_failure", "t_3")}, ""},
    {"whoever the helper handed over to",
     {TESTS_FAILED, CHILD("e2e", "on_failure", "t_3"), CHILD("e2e", "on_failure", "t_4")},
     ""},
    {"the helper is done: the stage runs once more",
     {HELPED("\"status\":\"done\",\"acted\":true")},
     "run e2e, attempt 2"},
    {"once", {HELPED("\"status\":\"done\",\"acted\":true"), STARTED("e2e")}, ""},
    {"it passes and the helper acted: rolled back",
     {HELPED("\"status\":\"done\",\"acted\":true,\"message\":\"Back at v1.\""), STARTED("e2e"),
      ENDED("e2e", "ok", "")},
     "leave production\nfinish failed rolled_back: e2e failed, rollback took it back, e2e passes "
     "again. Back at v1."},
    {"it passes and nobody acted: passed on retry",
     {HELPED("\"status\":\"done\",\"acted\":false,\"message\":\"A hiccup.\""), STARTED("e2e"),
      ENDED("e2e", "ok", "")},
     "leave production\nfinish done passed_on_retry: e2e failed once and passed when it was run "
     "again. A hiccup."},
    {"it fails again: a person is asked, it is not started a third time",
     {HELPED("\"status\":\"done\",\"acted\":true"), STARTED("e2e"),
      ENDED("e2e", "failed", ",\"ending\":\"exit 4\"")},
     "ask about failed_again: {\"question\":\"e2e failed again after rollback was done. The run "
     "ends here. What is to be known about it?\",\"context\":\"e2e failed: exit 4\",\"options\":{"
     "\"urgency\":\"high\",\"format\":\"free_text\"}}"},
    {"once, too",
     {HELPED("\"status\":\"done\",\"acted\":true"), STARTED("e2e"), ENDED("e2e", "failed", ""),
      "request_raised system {\"request\":\"r_1\",\"about\":\"failed_again\"}"},
     ""},
    {"what the person says ends the run",
     {HELPED("\"status\":\"done\",\"acted\":true"), STARTED("e2e"), ENDED("e2e", "failed", ""),
      "request_raised system {\"request\":\"r_1\",\"about\":\"failed_again\"}",
      "request_decided person:a {\"about\":\"failed_again\",\"answer\":\"the database is down\"}"},
     "leave production\nfinish failed failed: e2e failed again after rollback. A person said: the "
     "database is down"},
    {"so does nobody's answer",
     {HELPED("\"status\":\"done\",\"acted\":true"), STARTED("e2e"), ENDED("e2e", "failed", ""),
      "request_raised system {\"request\":\"r_1\",\"about\":\"failed_again\"}",
      "request_decided system {\"about\":\"failed_again\",\"outcome\":\"expired\"}"},
     "leave production\nfinish failed failed: e2e failed again after rollback."},
    {"a request of somebody else on this thread is no question of ours",
     {HELPED("\"status\":\"done\",\"acted\":true"), STARTED("e2e"), ENDED("e2e", "failed", ""),
      "request_raised system {\"request\":\"r_1\"}", "request_decided person:a {\"answer\":\"x\"}"},
     "ask about failed_again: {\"question\":\"e2e failed again after rollback was done. The run "
     "ends here. What is to be known about it?\",\"context\":\"e2e failed\",\"options\":{"
     "\"urgency\":\"high\",\"format\":\"free_text\"}}"},
    {"the helper failed: the run fails",
     {HELPED("\"status\":\"failed\"")},
     "leave production\nfinish failed failed: e2e failed: exit 3\nboom\nrollback ended failed."},
    {"all passed", {SHIPPED, OK("e2e"), OK("announce")}, "leave production\nfinish done done: out"},
    {"a stage without an environment keeps the one that is held",
     {SHIPPED, OK("e2e")},
     "run announce, attempt 1"},
    {"what is over stays over", {MERGE, "finished system {}"}, ""},
    {"what is cancelled too", {MERGE, OK("build"), "cancelled person:a {}"}, ""},
    {"a stage that the configuration no longer has is nothing",
     {MERGE, OK("old"), STARTED("build")},
     ""},
};

Test(pipeline, does_what_the_design_says_of_a_run)
{
    for (size_t i = 0; i < COUNT(STORIES); i++) {
        CLEANUP(arena_done) struct arena a = ARENA_INIT;
        struct thread t = thread_of(&a, STORIES[i].events);
        char *got = next_text(&a, &SHOP, &t);
        cr_expect_str_eq(got, STORIES[i].effects, "%s:\n%s", STORIES[i].name, got);
        cr_expect_str_eq(next_text(&a, &SHOP, &t), got, "the same events, the same effects");
        t.paused = true;
        cr_expect_str_eq(next_text(&a, &SHOP, &t), "", "%s: nothing begins while paused",
                         STORIES[i].name);
    }
}

Test(pipeline, helps_an_agent_stage_as_any_other)
{
    static struct stage stages[] = {
        {.name = "ship", .agent = "deploybot", .on_failure = "rollback"}};
    static const struct pipeline p = {.name = "p", .stages = stages, .n_stages = 1};
#define FAILED_SHIP                                                                              \
    MERGE, CHILD("ship", "stage", "t_2"), CHILD_ENDED("ship", "stage", "\"status\":\"failed\""), \
        ENDED("ship", "failed", "")
#define HELPED_SHIP                                  \
    FAILED_SHIP, CHILD("ship", "on_failure", "t_3"), \
        CHILD_ENDED("ship", "on_failure", "\"status\":\"done\",\"acted\":true")
    static const struct story stories[] = {
        {"the helper is called",
         {FAILED_SHIP},
         "start rollback for ship (on_failure) {\"failed_stage\":\"ship\",\"environment\":null,"
         "\"outcome\":\"failed\",\"ending\":\"\",\"output\":\"\",\"sha\":\"" SHA "\"}"},
        {"the stage runs once more", {HELPED_SHIP}, "start deploybot for ship (stage) "},
        {"once", {HELPED_SHIP, CHILD("ship", "stage", "t_4")}, ""},
        {"without an environment it need not have deployed anything",
         {HELPED_SHIP, CHILD("ship", "stage", "t_4"),
          CHILD_ENDED("ship", "stage", "\"status\":\"done\"")},
         "append stage_finished {\"stage\":\"ship\",\"outcome\":\"ok\"}"},
        {"passed",
         {HELPED_SHIP, CHILD("ship", "stage", "t_4"),
          CHILD_ENDED("ship", "stage", "\"status\":\"done\""), ENDED("ship", "ok", "")},
         "finish failed rolled_back: ship failed, rollback took it back, ship passes again. "},
    };
    for (size_t i = 0; i < COUNT(stories); i++) {
        CLEANUP(arena_done) struct arena a = ARENA_INIT;
        struct thread t = thread_of(&a, stories[i].events);
        char *got = next_text(&a, &p, &t);
        cr_expect_str_eq(got, stories[i].effects, "%s:\n%s", stories[i].name, got);
    }
}

Test(run_variables, are_those_of_the_merge)
{
    static const struct {
        const char *name, *value;
    } cases[] = {
        {"sha", SHA},     {"short_sha", "4af9ec0"}, {"repo", "acme/shop"}, {"number", "7"},
        {"title", "Fix"}, {"author", "dex"},        {"merged_by", "ann"},  {"base", "main"},
        {"run", "12"},    {"nothing", NULL},
    };
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    struct thread t = THREAD(&a, MERGE);
    for (size_t i = 0; i < COUNT(cases); i++)
        cr_expect(text_eq(run_variable(&a, &t, 12, cases[i].name), cases[i].value), "%s",
                  cases[i].name);
    t = THREAD(&a, "schedule_fired system {}");
    cr_expect_str_eq(run_variable(&a, &t, 1, "short_sha"), "");
    cr_expect_str_eq(run_variable(&a, &t, 1, "title"), "");
}

Test(stages, deploy_when_they_are_the_first_command_in_their_environment)
{
    static struct stage stages[] = {
        {.name = "build"},
        {.name = "deploy", .environment = "staging"},
        {.name = "test", .environment = "staging"},
        {.name = "again", .environment = "staging", .deploys = DEPLOYS_YES},
        {.name = "ship", .agent = "a", .environment = "production"},
        {.name = "smoke", .environment = "production"},
        {.name = "look", .environment = "eu", .deploys = DEPLOYS_NO},
    };
    static const bool deploys[] = {false, true, false, true, false, false, false};
    static const bool last[] = {false, false, false, true, false, true, true};
    static const struct pipeline p = {.stages = stages, .n_stages = COUNT(stages)};
    for (size_t i = 0; i < COUNT(stages); i++) {
        cr_expect_eq(stage_deploys(&p, &stages[i]), deploys[i], "%s", stages[i].name);
        cr_expect_eq(stage_is_last_there(&p, &stages[i]), last[i], "%s", stages[i].name);
    }
}

Test(waiting_for, names_what_a_run_waits_for)
{
    static const struct {
        const char *events[40];
        const char *waits;
    } cases[] = {
        {{MERGE, STARTED("build")}, "{\"kind\":\"tool\",\"what\":\"build\"}"},
        {{MERGE, OK("build")}, "{\"kind\":\"environment\",\"what\":\"staging\"}"},
        {{AT_PRODUCTION, CHILD("ship", "stage", "t_2")}, "{\"kind\":\"child\",\"what\":\"t_2\"}"},
        {{TESTS_FAILED, CHILD("e2e", "on_failure", "t_3")},
         "{\"kind\":\"child\",\"what\":\"t_3\"}"},
        {{HELPED("\"status\":\"done\""), STARTED("e2e"), ENDED("e2e", "failed", ""),
          "request_raised system {\"request\":\"r_1\",\"about\":\"failed_again\"}"},
         "{\"kind\":\"person\",\"request\":\"r_1\"}"},
        {{MERGE, "finished system {}"}, "null"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        CLEANUP(arena_done) struct arena a = ARENA_INIT;
        struct thread t = thread_of(&a, cases[i].events);
        char *got = json_write(&a, pipeline_waiting_for(&SHOP, &t, &a));
        cr_expect_str_eq(got, cases[i].waits, "%zu: %s", i, got);
    }
}

Test(status_message, has_a_line_a_stage_and_how_it_ended)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    struct thread t = THREAD(&a, HELPED("\"status\":\"done\",\"acted\":true"), STARTED("e2e"),
                             ENDED("e2e", "ok", ""),
                             "finished system {\"outcome\":\"rolled_back\",\"message\":\"Back.\"}");
    t.title = "#7 Fix";
    char *got = pipeline_status_text(&SHOP, &t, 12, &a);
    cr_expect_str_eq(got,
                     "shop run 12: #7 Fix\nbuild: passed\nstaging: passed\ne2e-staging: passed\n"
                     "ship: passed\ne2e: passed (rollback was called)\nannounce: not yet\n"
                     "rolled_back: Back.\n",
                     "%s", got);
    t = THREAD(&a, TESTS_FAILED, CHILD("e2e", "on_failure", "t_3"));
    cr_expect_neq(strstr(pipeline_status_text(&SHOP, &t, 12, &a),
                         "e2e: failed (rollback is at work)\nannounce: not yet\n"),
                  NULL, "%s", pipeline_status_text(&SHOP, &t, 12, &a));
    t = THREAD(&a, MERGE, STARTED("build"));
    cr_expect_neq(strstr(pipeline_status_text(&SHOP, &t, 12, &a), "build: running\n"), NULL);
}
