/* Reaches: every door of the core from its bytes to its rows (ingress.c, api.c, forms.c, the
 * adapters, router.c, requests.c, agent_runner.c), and every reading path (reads.c, story.c) over
 * what came of it. The first byte chooses the door; a webhook is signed, a form has its token, so
 * that what is behind the lock is reached.
 *
 * Each request gets exactly one answer, never a 5xx; one that is refused leaves nothing behind; the
 * log stays whole, comes out the same when it is replayed, and can be shown. */
#include "gateway/app.h"
#include "gateway/base/hash.h"
#include "gateway/base/text.h"
#include "gateway/builtin.h"
#include "gateway/http_answer.h"
#include "gateway/reads.h"
#include "gateway/replay.h"
#include "gateway/sessions.h"
#include "gateway/story.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define KEY    "0123456789abcdef0123456789abcdef"
#define COOKIE "fedcba9876543210fedcba9876543210"

static const char CONFIG[] =
    "server: {public_url: \"https://signoff.test\"}\n"
    "store: {url: \"sqlite:x.db\"}\n"
    "llm: {provider: playbook}\n"
    "people:\n"
    "  - {id: alice, name: Alice, slack: U1, roles: [deployer]}\n"
    "  - {id: bob, name: Bob, slack: U2, roles: [deployer]}\n"
    "channels:\n"
    "  ops: {type: slack, mode: http, bot_token: xoxb-1, signing_secret: secret}\n"
    "sources:\n"
    "  github: {type: github, webhook_secret: secret, token: t, repos: [acme/shop]}\n"
    "routes:\n"
    "  - {from: ops, when: mention, agent: deploybot}\n"
    "  - {from: ops, when: direct_message, agent: deploybot}\n"
    "  - {from: github, event: pull_request.merged, repo: acme/shop, pipeline: shop}\n"
    "agents:\n"
    "  deploybot: {prompt: prompts/deploybot.md, playbook: prompts/deploybot.playbook.yaml, "
    "tools: [list_git_commits, deploy_backend, deploy_frontend], hand_over: []}\n"
    "tools:\n"
    "  deploy_backend: {description: D, args: {sha: {type: string, pattern: \"^[0-9a-f]{40}$\"}}, "
    "run: {command: [./deploy.sh, \"{{sha}}\"]}, target: {environment: production, component: "
    "backend, ref: sha}, needs: one}\n"
    "  deploy_frontend: {description: D, args: {sha: {type: string}}, run: {command: [./deploy.sh, "
    "\"{{sha}}\"]}, needs: one}\n"
    "policies:\n"
    "  one: {approve: {role: deployer}, reject: 1, ask: [{channel: ops, to: C0}], expire: 1h, "
    "on_expire: refuse}\n"
    "environments: {production: {repo: acme/shop}}\n"
    "pipelines:\n"
    "  shop: {report: {channel: ops, to: C0}, stages: [{name: one, run: {command: [./e2e.sh, "
    "\"{{sha}}\", \"{{title}}\"]}, environment: production}]}\n"
    "api_keys:\n"
    "  - {name: all, key: " KEY ", person: alice, scopes: [\"*\", \"requests:decide_as\", "
    "\"people:login\"]}\n";

static const int64_t NOW = 1700000000000;

static struct arena keep; /* for the whole run of the program */
static struct app *app;
static const char *thread_id, *request_id; /* an agent's thread with an open approval */
static struct thread_row *at_begin;        /* what was looked at already */
static size_t n_at_begin;

static _Noreturn void wrong(const char *sentence, const char *more)
{
    fprintf(stderr, "%s: %s\n", sentence, more == NULL ? "" : more);
    abort();
}

/* ---- the application, without a thread --------------------------------------------------- */

static void forget_actions(void)
{
    for (struct action *act = app->actions; act != NULL; act = act->next)
        if (act->kind == ACTION_CALL)
            letter_free(&act->call->letter);
        else if (act->kind == ACTION_ANSWER)
            letter_free(&act->answer->letter);
    app->actions = NULL;
    app->actions_end = &app->actions;
}

/* Everything that is due now, as the core does it; a letter that fails is rolled back alone. */
static void work(void)
{
    struct err err = ERR_INIT;
    for (int round = 0; round < 6; round++) {
        int64_t *arrivals;
        const char **threads;
        struct delivery_row *deliveries;
        struct tool_run_row *runs;
        size_t n;
        if (!store_new_arrivals(&app->store, app->a, 50, &arrivals, &n, &err))
            wrong("arrivals", err.text);
        for (size_t i = 0; i < n; i++)
            if (!router_route(app, arrivals[i], &err))
                wrong("an arrival cannot be routed", err.text);
        if (!store_due_tool_runs(&app->store, app->a, app->now_ms, true, &runs, &n, &err))
            wrong("runs", err.text);
        for (size_t i = 0; i < n; i++)
            if (!tool_due(app, &runs[i], &err))
                wrong("a run cannot go on", err.text);
        if (!store_dirty_threads(&app->store, app->a, 50, &threads, &n, &err))
            wrong("threads", err.text);
        for (size_t i = 0; i < n; i++)
            if (!agent_advance(app, threads[i], &err))
                wrong("a thread cannot be advanced", err.text);
        if (!store_due_deliveries(&app->store, app->a, app->now_ms, 50, &deliveries, &n, &err))
            wrong("deliveries", err.text);
        for (size_t i = 0; i < n; i++)
            if (!outbox_due(app, &deliveries[i], &err))
                wrong("a delivery cannot be made", err.text);
    }
}

static void begin_world(void)
{
    struct config_options options = {.builtin_file = builtin_file,
                                     .channel_ops = channel_ops_by_type,
                                     .source_ops = channel_ops_by_type,
                                     .builtin_tool = builtin_tool};
    struct config_report report;
    struct err err = ERR_INIT;
    int file = memfd_create("signoff.yaml", 0);
    if (file < 0 || write(file, CONFIG, sizeof CONFIG - 1) != (ssize_t)sizeof CONFIG - 1)
        wrong("memfd", NULL);
    log_init(LEVEL_ERROR, LOG_LOGFMT, open("/dev/null", O_WRONLY));
    app = ARENA_NEW(&keep, struct app);
    app->config =
        config_load(&keep, arena_printf(&keep, "/proc/self/fd/%d", file), &options, &report);
    for (size_t i = 0; app->config == NULL && i < report.count; i++)
        fprintf(stderr, "%s\n", config_problem_line(&keep, &report.list[i]));
    if (app->config == NULL)
        wrong("configuration", NULL);
    app->metrics = metrics_new();
    app->mailbox = mailbox_new(16);
    app->a = &keep;
    app->now_ms = NOW;
    app->actions_end = &app->actions;
    if (!store_open(&app->store, "sqlite::memory:", DB_WRITE, &err))
        wrong("store", err.text);
}

/* ---- requests ---------------------------------------------------------------------------- */

struct door {
    const char *method, *path; /* {t}: the thread, {r}: the request that is open */
    enum { BARE, WITH_KEY, WITH_COOKIE, SIGNED_SLACK, SIGNED_GITHUB } proof;
    const char *type;
};

#define JSON_TYPE "application/json"
#define FORM_TYPE "application/x-www-form-urlencoded"

static const struct door doors[] = {
    {"POST", "/v1/threads", WITH_KEY, JSON_TYPE},
    {"POST", "/v1/threads/{t}/events", WITH_KEY, JSON_TYPE},
    {"POST", "/v1/requests", WITH_KEY, JSON_TYPE},
    {"POST", "/v1/requests/{r}/decision", WITH_KEY, JSON_TYPE},
    {"POST", "/v1/environments/production/lock", WITH_KEY, JSON_TYPE},
    {"POST", "/slack/events", SIGNED_SLACK, JSON_TYPE},
    {"POST", "/slack/interactions", SIGNED_SLACK, FORM_TYPE},
    {"POST", "/slack/commands", SIGNED_SLACK, FORM_TYPE},
    {"POST", "/github/webhook", SIGNED_GITHUB, JSON_TYPE},
    {"POST", "/github/webhook", SIGNED_GITHUB, FORM_TYPE},
    {"POST", "/requests/{r}", WITH_COOKIE, FORM_TYPE},
    {"POST", "/login/0123", BARE, FORM_TYPE},
    {"POST", "/logout", WITH_COOKIE, FORM_TYPE},
    {"GET", NULL, WITH_KEY, NULL},              /* the bytes are path?query */
    {"POST", NULL, WITH_KEY, NULL},             /* the bytes are the path */
    {"POST", "/slack/events", BARE, JSON_TYPE}, /* the bytes are a cookie and a key */
};

enum { DOOR_GET = 13, DOOR_HEADERS = 15 };

static char *fill_in(struct arena *a, const char *path)
{
    const char *brace = strchr(path, '{');
    if (brace == NULL)
        return arena_strdup(a, path);
    return arena_printf(a, "%.*s%s%s", (int)(brace - path), path,
                        brace[1] == 't' ? thread_id : request_id, brace + 3);
}

static char *slack_signature(struct arena *a, struct span body)
{
    char *base = arena_printf(a, "v0:%lld:", (long long)(NOW / 1000));
    size_t len = strlen(base);
    char *all = arena_alloc(a, len + body.len + 1);
    memcpy(all, base, len);
    memcpy(all + len, body.at, body.len);
    return arena_printf(a, "v0=%s",
                        hmac_sha256_hex(a, span_of("secret"), (struct span){all, len + body.len}));
}

static void make_request(struct arena *a, const struct door *d, struct span bytes,
                         struct http_request *out)
{
    struct http_header *h = ARENA_ARRAY(a, struct http_header, 6);
    char *body = arena_strndup(a, "", 0);
    struct span in = bytes;
    *out = (struct http_request){.conn = 1,
                                 .method = d->method,
                                 .query = "",
                                 .headers = h,
                                 .peer = "192.0.2.7",
                                 .received_at_ms = NOW};
    if (d->path == NULL || d == &doors[DOOR_HEADERS])
        in = (struct span){"", 0};
    if (d->proof == WITH_COOKIE) { /* the form's own token, then the bytes */
        char *token = arena_printf(a, "form_token=%s&", session_form_token(a, COOKIE));
        body = arena_alloc(a, strlen(token) + in.len + 1);
        memcpy(body, token, strlen(token));
        memcpy(body + strlen(token), in.at, in.len);
        body[strlen(token) + in.len] = '\0';
        in = (struct span){body, strlen(token) + in.len};
    } else {
        body = arena_alloc(a, in.len + 1);
        memcpy(body, in.at, in.len);
        body[in.len] = '\0';
        in.at = body;
    }
    out->body = in;
    h[out->n_headers++] = (struct http_header){"content-type", d->type == NULL ? "" : d->type};
    h[out->n_headers++] = (struct http_header){"host", "signoff.test"};
    const char *foreign = utf8_clean(a, bytes);
    if (d == &doors[DOOR_HEADERS]) {
        h[out->n_headers++] = (struct http_header){"cookie", foreign};
        h[out->n_headers++] = (struct http_header){"authorization", foreign};
    } else if (d->proof == WITH_KEY) {
        h[out->n_headers++] = (struct http_header){"authorization", "Bearer " KEY};
    } else if (d->proof == WITH_COOKIE) {
        h[out->n_headers++] = (struct http_header){"cookie", "a=b; signoff_session=" COOKIE};
    } else if (d->proof == SIGNED_SLACK) {
        h[out->n_headers++] = (struct http_header){
            "x-slack-request-timestamp", arena_printf(a, "%lld", (long long)(NOW / 1000))};
        h[out->n_headers++] = (struct http_header){"x-slack-signature", slack_signature(a, in)};
    } else if (d->proof == SIGNED_GITHUB) {
        h[out->n_headers++] = (struct http_header){"x-github-event", "pull_request"};
        h[out->n_headers++] = (struct http_header){"x-github-delivery", "1"};
        h[out->n_headers++] = (struct http_header){
            "x-hub-signature-256",
            arena_printf(a, "sha256=%s", hmac_sha256_hex(a, span_of("secret"), in))};
    }
    out->path = d->path != NULL ? fill_in(a, d->path) : arena_printf(a, "/%s", foreign);
    out->target = out->path;
}

/* ---- what must be true afterwards -------------------------------------------------------- */

static int64_t rows_in_all(struct arena *a)
{
    struct db_rows rows;
    struct err err = ERR_INIT;
    if (!db_query(app->store.db, a,
                  "SELECT (SELECT COUNT(*) FROM seen) + (SELECT COUNT(*) FROM arrivals) + "
                  "(SELECT COUNT(*) FROM threads) + (SELECT COUNT(*) FROM events) + "
                  "(SELECT COUNT(*) FROM requests) + (SELECT COUNT(*) FROM votes) + "
                  "(SELECT COUNT(*) FROM timers) + (SELECT COUNT(*) FROM deliveries) + "
                  "(SELECT COUNT(*) FROM locks) + (SELECT COUNT(*) FROM sessions)",
                  DB_NO_ARGS, &rows, &err))
        wrong("rows", err.text);
    return db_cell_int(&rows, 0, 0);
}

static int the_answer(struct arena *a)
{
    int status = 0;
    for (struct action *act = app->actions; act != NULL; act = act->next) {
        if (act->kind != ACTION_ANSWER)
            continue;
        const struct http_answer *answer = act->answer;
        struct json *body = NULL;
        if (status != 0)
            wrong("a request was answered twice", NULL);
        status = answer->status;
        if (!http_answer_is_safe(answer))
            wrong("an answer that cannot be sent", NULL);
        if (text_eq(answer->content_type, "application/json") &&
            !json_parse(a, answer->body, 64 << 20, &body, NULL))
            wrong("an answer is no JSON", answer->body.at);
    }
    if (status < 200 || status >= 500)
        wrong("no answer, or a wrong one", arena_printf(a, "%d", status));
    return status;
}

static void handle(struct arena *a, const struct http_request *request)
{
    struct err err = ERR_INIT;
    int64_t before = rows_in_all(a);
    if (!db_savepoint(app->store.db, &err))
        wrong("savepoint", err.text);
    if (ingress_handle(app, request, &err)) {
        if (!db_release(app->store.db, &err))
            wrong("release", err.text);
        (void)the_answer(a);
        return;
    }
    db_rollback_to_savepoint(app->store.db);
    forget_actions();
    ingress_refuse(app, request, &err);
    (void)the_answer(a);
    if (err.text[0] == '\0' || !utf8_valid(span_of(err.text)))
        wrong("a refusal without a sentence", request->path);
    if (rows_in_all(a) != before)
        wrong("something is half stored", request->path);
}

static bool get_for_story(void *ctx, const char *path, const char *query, const struct json **out,
                          struct err *err)
{
    return reads_get(ctx, path, query, out, err);
}

static void check_words(struct arena *a, const char *text, const char *where)
{
    if (text != NULL && strcmp(text_visible(a, text), text) != 0)
        wrong("a terminal would obey this", where);
}

static bool is_as_at_begin(const struct thread_row *row)
{
    for (size_t i = 0; i < n_at_begin; i++)
        if (strcmp(at_begin[i].t.id, row->t.id) == 0)
            return at_begin[i].last_seq == row->last_seq;
    return false;
}

/* Every thread with something new: replayed as it was, told in harmless words. */
static void check_threads(struct arena *a)
{
    struct thread_filter any = {.limit = 500};
    struct thread_row *rows;
    struct err err = ERR_INIT;
    size_t n;
    struct reads reads = {.a = a, .config = app->config, .store = &app->store, .now_ms = NOW};
    struct story_source source = {
        .get = get_for_story, .ctx = &reads, .people = &app->config->people};
    if (!store_list_threads(&app->store, a, &any, &rows, &n, &err))
        wrong("threads", err.text);
    for (size_t i = 0; i < n; i++) {
        if (is_as_at_begin(&rows[i]))
            continue;
        struct replay r;
        struct story told;
        char *context;
        if (!replay_thread(a, app->config, &app->store, rows[i].t.id, &r, &err))
            wrong("it cannot be replayed", err.text);
        for (size_t k = 0; k < r.count; k++)
            if (r.lines[k].verdict == REPLAY_DIFFERENT)
                wrong("the same events give other bytes", r.lines[k].sentence);
        if (!reads_context(&reads, rows[i].t.id, &context, &err) || !utf8_valid(span_of(context)))
            wrong("no context", err.text);
        if (!story_build(a, &source, rows[i].t.id, &told, &err))
            wrong("it cannot be told", err.text);
        for (size_t k = 0; k < told.n_lines; k++) {
            check_words(a, told.lines[k].head, "a line");
            check_words(a, told.lines[k].body, "a block");
            if (strchr(told.lines[k].head, '\n') != NULL)
                wrong("a line of the story is two", told.lines[k].head);
        }
    }
}

static void check_store(struct arena *a)
{
    struct audit_finding *found;
    struct err err = ERR_INIT;
    size_t n;
    int64_t threads, events;
    if (!store_verify(&app->store, a, &found, &n, &threads, &events, &err))
        wrong("audit", err.text);
    if (n > 0)
        wrong("the log is not whole", found[0].sentence);
    check_threads(a);
}

static void look(struct arena *a, struct span bytes)
{
    struct reads reads = {.a = a, .config = app->config, .store = &app->store, .now_ms = NOW};
    const struct json *out = NULL;
    struct err err = ERR_INIT;
    char *path = arena_printf(a, "/%s", utf8_clean(a, bytes));
    char *query = strchr(path, '?');
    if (query != NULL)
        *query++ = '\0';
    (void)reads_scope(a, path);
    if (reads_get(&reads, path, query, &out, &err)) {
        struct json *again;
        char *text = json_write(a, out);
        if (!json_parse(a, span_of(text), 64 << 20, &again, &err))
            wrong("what is read is no JSON", err.text);
    } else if (err.kind == ERR_TRANSIENT || err.text[0] == '\0') {
        wrong("a read fails without a reason", err.text);
    }
}

/* ---- the beginning ----------------------------------------------------------------------- */

/* An agent's thread that waits for a signature, a session, and a run. */
static void begin_story(void)
{
    static const char launch[] = "{\"agent\":\"deploybot\",\"message\":\"deploy the backend at "
                                 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"}";
    static const char ask[] =
        "{\"kind\":\"approval\",\"policy\":\"one\",\"call\":{\"tool\":\"deploy_frontend\","
        "\"arguments\":{\"sha\":\"aaaa\"}}}";
    struct http_request request;
    struct request_row *open;
    struct request_filter any = {.limit = 10};
    struct thread_filter all = {.limit = 10};
    struct thread_row *rows;
    struct err err = ERR_INIT;
    size_t n;
    if (!store_begin(&app->store, &err) ||
        !store_add_session(&app->store, secret_hash(&keep, COOKIE), "alice", NOW, NOW + 1000000,
                           &err))
        wrong("session", err.text);
    make_request(&keep, &doors[0], span_of(launch), &request);
    handle(&keep, &request);
    forget_actions();
    make_request(&keep, &doors[2], span_of(ask), &request);
    handle(&keep, &request);
    forget_actions();
    work();
    forget_actions();
    if (!store_list_requests(&app->store, &keep, &any, &open, &n, &err) || n == 0)
        wrong("no request is open", err.text);
    request_id = open[0].id;
    if (!store_list_threads(&app->store, &keep, &all, &rows, &n, &err) || n < 2)
        wrong("no threads", err.text);
    for (size_t i = 0; i < n; i++)
        if (rows[i].t.agent != NULL)
            thread_id = rows[i].t.id;
    check_store(&keep);
    at_begin = rows;
    n_at_begin = n;
    if (!store_commit(&app->store, &err))
        wrong("commit", err.text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    struct err err = ERR_INIT;
    struct http_request request;
    if (app == NULL) {
        begin_world();
        begin_story();
    }
    if (size == 0 || size > 65536)
        return 0;
    app->a = &a;
    memset(&app->rate, 0, sizeof app->rate);
    app->paused_all = false;
    const struct door *door = &doors[data[0] % COUNT(doors)];
    struct span bytes = {(const char *)data + 1, size - 1};
    if (!store_begin(&app->store, &err))
        wrong("begin", err.text);
    if (door == &doors[DOOR_GET]) {
        look(&a, bytes);
    } else {
        make_request(&a, door, bytes, &request);
        handle(&a, &request);
        forget_actions();
        work();
        forget_actions();
        check_store(&a);
    }
    store_rollback(&app->store);
    app->a = &keep;
    return 0;
}
