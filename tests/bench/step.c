/* step FOLDER THREADS [EVENTS …]: what one step, one webhook and one decision cost inside the core,
 * the commit not counted, on the store FOLDER/signoff.db that `fill` made with so many threads;
 * with EVENTS, also a step in a thread of so many events. Prints lines of "NAME SIZE MICROSECONDS",
 * medians. */
#include "agents/thread.h"
#include "gateway/app.h"
#include "gateway/base/clock.h"
#include "gateway/serve.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BATCH = 1000, ROUNDS = 101 };

static const char configuration[] =
    "server: {public_url: \"https://signoff.test\"}\n"
    "store: {url: \"sqlite:signoff.db\"}\n"
    "llm: {provider: playbook}\n"
    "people: [{id: alice, name: Alice, slack: U0ALICE, roles: [deployer]}]\n"
    "channels: {ops: {type: slack, mode: http, bot_token: xoxb-1, signing_secret: s}}\n"
    "routes: [{from: ops, when: mention, agent: deploybot}]\n"
    "agents:\n"
    "  deploybot: {prompt: idle.md, playbook: idle.yaml, tools: [act],\n"
    "         limits: {steps: 10000, tokens: 100000000, max_age: 3650d}}\n"
    "tools: {act: {description: Acts, run: {command: [\"true\"]}, needs: anybody}}\n"
    "policies: {anybody: {approve: {role: deployer}, ask: [{channel: ops, to: C0BENCH}]}}\n";
static const char playbook[] = "facts: {wanted: {last: {type: slack_message, says: act}}}\n"
                               "rules:\n"
                               "  - {name: act, if: [wanted], do: {intent: act}}\n"
                               "  - {name: rest, do: {intent: nothing_to_do, reason: bench}}\n";

static struct app app;
static struct arena keep;
static int64_t n_threads, n_messages;

static void must(bool ok, const struct err *err)
{
    if (ok)
        return;
    fprintf(stderr, "step: %s\n", err->text);
    exit(1);
}

#define MUST(act)                      \
    do {                               \
        struct err trouble = ERR_INIT; \
        struct err *err = &trouble;    \
        must((act), err);              \
    } while (0)

static void put(const char *folder, const char *name, const char *text)
{
    FILE *file = fopen(arena_printf(&keep, "%s/%s", folder, name), "w");
    if (file == NULL || fputs(text, file) < 0 || fclose(file) != 0) {
        perror(name);
        exit(1);
    }
}

/* ---- one transaction --------------------------------------------------------------------- */

static void begin(struct arena *a)
{
    app.a = a;
    app.now_ms = clock_unix_ms();
    app.actions = NULL;
    app.actions_end = &app.actions;
    MUST(store_begin(&app.store, err));
}

static void commit(void)
{
    MUST(store_commit(&app.store, err));
    actions_drop(&app, &app.actions);
    app.a = NULL;
}

static int by_size(const void *l, const void *r)
{
    const int64_t left = *(const int64_t *)l, right = *(const int64_t *)r;
    return (left > right) - (left < right);
}

static void report(const char *name, int64_t size, int64_t *us, size_t rounds)
{
    qsort(us, rounds, sizeof *us, by_size);
    printf("%s %lld %lld\n", name, (long long)size, (long long)us[rounds / 2]);
    fflush(stdout);
}

/* ---- preparing ----------------------------------------------------------------------------- */

static const struct json *words(struct arena *a, const char *text)
{
    struct json *data = json_object(a);
    json_set_text(a, data, "from", "@alice");
    json_set_text(a, data, "text", text);
    return data;
}

static void append(const char *thread, enum event_type type, const struct json *data)
{
    MUST(
        store_append(&app.store, app.a, thread, type, "person:alice", data, app.now_ms, NULL, err));
}

/* As `fill` names them. */
static const char *thread_id(struct arena *a, int64_t n)
{
    return arena_printf(a, "t_%012lld", (long long)n);
}

static void lengthen(const char *thread, int64_t events)
{
    for (int64_t done = 0; done < events;) {
        CLEANUP(arena_done) struct arena a = ARENA_INIT;
        begin(&a);
        for (int i = 0; i < BATCH && done < events; i++, done++)
            append(thread, done % 2 == 0 ? EVENT_NOTE : EVENT_SLACK_MESSAGE,
                   words(&a, "one of many lines that people write while they wait"));
        MUST(store_set_dirty(&app.store, thread, false, err));
        commit();
    }
}

/* Everything that waits for a step takes it. */
static void settle_down(void)
{
    const char **dirty;
    size_t n;
    do {
        CLEANUP(arena_done) struct arena a = ARENA_INIT;
        begin(&a);
        MUST(store_dirty_threads(&app.store, &a, BATCH, &dirty, &n, err));
        for (size_t i = 0; i < n; i++)
            MUST(agent_advance(&app, dirty[i], err));
        commit();
    } while (n > 0);
}

/* ---- what is measured -------------------------------------------------------------------- */

/* A message for the thread, and the step that it wakes. */

static int64_t step(const char *thread)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    begin(&a);
    append(thread, EVENT_SLACK_MESSAGE, words(&a, "again"));
    int64_t from_us = clock_monotonic_us();
    MUST(agent_advance(&app, thread, err));
    int64_t took_us = clock_monotonic_us() - from_us;
    commit();
    return took_us;
}

/* Over threads of `size` events each; they grow by a few events with each step. */
static void measure_length(int64_t size)
{
    enum { THREADS = 4 };
    int64_t us[ROUNDS];
    static int64_t next;
    size_t rounds = size > 100 ? ROUNDS : THREADS; /* a short one would not stay short */
    for (int i = 0; i < THREADS; i++) {
        CLEANUP(arena_done) struct arena a = ARENA_INIT;
        lengthen(thread_id(&a, next + i), size);
    }
    for (size_t i = 0; i < rounds; i++) {
        CLEANUP(arena_done) struct arena a = ARENA_INIT;
        us[i] = step(thread_id(&a, next + (int64_t)i % THREADS));
    }
    report("length", size, us, rounds);
    next += THREADS;
}

static void measure_steps(void)
{
    int64_t us[ROUNDS];
    for (int i = 0; i < ROUNDS; i++) {
        CLEANUP(arena_done) struct arena a = ARENA_INIT;
        us[i] = step(thread_id(&a, n_threads * i / ROUNDS));
    }
    report("step", n_threads, us, ROUNDS);
}

static struct arrival mention(struct arena *a, const char *text)
{
    struct json *data = json_object(a);
    json_set_text(a, data, "text", text);
    int64_t n = ++n_messages;
    return (struct arrival){.kind = ARRIVAL_MESSAGE,
                            .type = "slack_message",
                            .when = "mention",
                            .sender = "slack:U0ALICE",
                            .to = "C0BENCH",
                            .in_thread = arena_printf(a, "new.%lld", (long long)n),
                            .data = data,
                            .keys = {arena_printf(a, "event:%lld", (long long)n),
                                     arena_printf(a, "message:%lld", (long long)n)}};
}

/* A new mention: stored, routed to a new thread, its first step taken. */
static void measure_webhooks(void)
{
    int64_t us[ROUNDS];
    for (int i = 0; i < ROUNDS; i++) {
        CLEANUP(arena_done) struct arena a = ARENA_INIT;
        struct arrival in = mention(&a, "nothing");
        int64_t *arrivals, from_us = clock_monotonic_us();
        const char **dirty;
        size_t n;
        bool seen;
        begin(&a);
        MUST(router_store(&app, "ops", &in, &seen, err));
        MUST(store_new_arrivals(&app.store, &a, 1, &arrivals, &n, err));
        MUST(router_route(&app, arrivals[0], err));
        MUST(store_dirty_threads(&app.store, &a, 1, &dirty, &n, err));
        MUST(agent_advance(&app, dirty[0], err));
        us[i] = clock_monotonic_us() - from_us;
        commit();
    }
    report("webhook", n_threads, us, ROUNDS);
}

/* A request is raised, its card rendered, and it is decided: all but the wire. */
static void measure_decisions(void)
{
    int64_t us[ROUNDS];
    for (int i = 0; i < ROUNDS; i++) {
        CLEANUP(arena_done) struct arena a = ARENA_INIT;
        struct arrival in = mention(&a, "act");
        int64_t *arrivals;
        const char **dirty;
        struct request_row *open;
        struct delivery_row *due;
        size_t n;
        bool seen;
        begin(&a);
        int64_t from_us = clock_monotonic_us();
        MUST(router_store(&app, "ops", &in, &seen, err));
        MUST(store_new_arrivals(&app.store, &a, 1, &arrivals, &n, err));
        MUST(router_route(&app, arrivals[0], err));
        MUST(store_dirty_threads(&app.store, &a, 1, &dirty, &n, err));
        MUST(agent_advance(&app, dirty[0], err));
        MUST(store_open_requests_of(&app.store, &a, dirty[0], &open, &n, err));
        MUST(store_due_deliveries(&app.store, &a, app.now_ms, 10, &due, &n, err));
        for (size_t d = 0; d < n; d++)
            MUST(outbox_due(&app, &due[d], err));
        struct vote_in vote = {.request = open[0].id,
                               .decision = "reject",
                               .comment = "no",
                               .identity = "person:alice",
                               .via = "bench"};
        struct vote_out out;
        MUST(request_vote(&app, &vote, &out, err));
        us[i] = clock_monotonic_us() - from_us;
        for (size_t d = 0; d < n; d++) {
            due[d].state = "sent";
            MUST(store_set_delivery(&app.store, &due[d], err));
        }
        commit();
        settle_down();
    }
    report("decision", n_threads, us, ROUNDS);
}

/* ---- all of it --------------------------------------------------------------------------- */

static void open_all(const char *folder)
{
    struct config_report problems;
    put(folder, "signoff.yaml", configuration);
    put(folder, "idle.md", "You do nothing.\n");
    put(folder, "idle.yaml", playbook);
    app.config = config_load(&keep, arena_printf(&keep, "%s/signoff.yaml", folder),
                             serve_config_options(CONFIG_SERVE), &problems);
    for (size_t i = 0; i < problems.count; i++)
        if (problems.list[i].kind == PROBLEM_ERROR)
            fprintf(stderr, "%s\n", config_problem_line(&keep, &problems.list[i]));
    if (app.config == NULL)
        exit(1);
    log_init(LEVEL_ERROR, LOG_LOGFMT, 2);
    app.metrics = metrics_new();
    app.mailbox = mailbox_new(16);
    MUST(
        store_open(&app.store, arena_printf(&keep, "sqlite:%s/signoff.db", folder), DB_WRITE, err));
}

int main(int argc, char **argv)
{
    if (argc < 3) {
        fprintf(stderr, "usage: step FOLDER THREADS [EVENTS …]\n");
        return 2;
    }
    open_all(argv[1]);
    n_threads = atoll(argv[2]);
    measure_steps();
    measure_webhooks();
    measure_decisions();
    for (int i = 3; i < argc; i++)
        measure_length(atoll(argv[i]));
    store_close(&app.store);
    mailbox_free(app.mailbox);
    metrics_free(app.metrics);
    config_free(app.config);
    arena_done(&keep);
    return 0;
}
