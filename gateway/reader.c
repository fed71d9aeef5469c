/* See reader.h. One thread, one read-only store, one mailbox; each request is looked at inside one
 * read transaction, so that a page never shows half of a batch. */
#include "gateway/reader.h"

#include "gateway/app.h"
#include "gateway/base/clock.h"
#include "gateway/base/text.h"
#include "gateway/pages.h"
#include "gateway/reads.h"
#include "gateway/sessions.h"
#include "gateway/streams.h"
#include "gateway/thread.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

enum {
    MAX_LETTERS = 1024,
    CALLS_PER_MINUTE = 6000,
    DENIED_PER_MINUTE = 30,
    READER_NICE = 5,
    TRIES = 3,
    TRY_AGAIN_US = 20000,
    GAUGES_MS = 5000, /* counting takes a while in a large store */
    GAUGES_BYTES = 64 * 1024,
};

struct changed_letter {
    struct letter letter;
    char thread[STREAM_ID_SIZE];
};

struct reader {
    struct mailbox *mailbox;
    struct metrics *metrics;
    _Atomic(const struct config *) config;
    _Atomic(struct http_server *) server;
    struct slack_sockets *sockets; /* set before the thread begins */
    atomic_bool is_ready;
    atomic_bool has_missed; /* changes that found the mailbox full: every stream looks again */
    pthread_t thread;
    bool is_running;

    /* The thread's own. */
    struct store store; /* db NULL: to be opened again */
    char *store_url;
    struct streams streams;
    struct rate rate;
    char *gauges;
    int64_t gauges_ms;
};

/* What is worked on: one request. */
struct look {
    struct reader *r;
    struct arena *a;
    const struct config *config;
    const struct http_request *request;
    int64_t now_ms; /* Unix time */
};

/* ---- answers ---- */

static void send_answer(struct look *l, struct http_answer *answer)
{
    http_server_answer(atomic_load(&l->r->server), answer);
}

static void answer_json(struct look *l, int status, const struct json *body)
{
    struct http_answer *answer =
        http_answer_text(l->request->conn, status, "application/json",
                         arena_printf(l->a, "%s\n", json_write(l->a, body)));
    http_answer_header(answer, "Cache-Control", "no-store");
    if (status == 401)
        http_answer_header(answer, "WWW-Authenticate", "Bearer");
    if (status == 429 || status == 503)
        http_answer_header(answer, "Retry-After", status == 429 ? "60" : "2");
    send_answer(l, answer);
}

static void answer_error(struct look *l, int status, const char *code, const char *sentence)
{
    answer_json(l, status, reads_error(l->a, code, sentence));
}

static void answer_page(struct look *l, const struct page *page)
{
    struct http_answer *answer =
        http_answer_text(l->request->conn, page->status, page->content_type, page->body);
    http_answer_header(answer, "Cache-Control",
                       page->may_be_cached ? "public, max-age=300" : "no-store");
    http_answer_header(answer, "Content-Security-Policy", PAGES_CSP);
    /* Not no-referrer: with it browsers say "Origin: null" for our own forms, which are then
     * refused as another site's. To other sites nothing is said either way. */
    http_answer_header(answer, "Referrer-Policy", "same-origin");
    if (page->status == 503)
        http_answer_header(answer, "Retry-After", "2");
    send_answer(l, answer);
}

/* ---- the store ---- */

static bool open_store(struct reader *r, struct err *err)
{
    return r->store.db != NULL || store_open(&r->store, r->store_url, DB_READ_ONLY, err);
}

static void drop_store(struct reader *r)
{
    if (r->store.db != NULL)
        store_close(&r->store);
    r->store.db = NULL;
}

typedef bool (*look_fn)(struct look *l, void *out, struct err *err);

/* Once, in one snapshot; a store that is busy is tried again before anybody hears of it. */
static bool look_at_store(struct look *l, look_fn look, void *out, struct err *err)
{
    for (int tries = 1;; tries++) {
        struct err why = ERR_INIT;
        bool ok = open_store(l->r, &why) && db_script(l->r->store.db, "BEGIN", &why);
        if (ok) {
            ok = look(l, out, &why);
            if (!db_script(l->r->store.db, ok ? "COMMIT" : "ROLLBACK", NULL))
                drop_store(l->r);
        }
        if (ok)
            return true;
        *err = why;
        if (why.kind != ERR_TRANSIENT || tries == TRIES)
            break;
        drop_store(l->r);
        usleep(TRY_AGAIN_US);
    }
    if (err->kind == ERR_TRANSIENT) {
        /* Why is for the log: who asks from outside is told to come again. */
        log_warn("reader.store_failed", L_STR("why", err->text));
        return fail(err, ERR_TRANSIENT, "the store cannot be read now");
    }
    return false;
}

/* ---- health ---- */

static bool read_something(struct look *l, void *out, struct err *err)
{
    const char **batch = out;
    return store_meta_get(&l->r->store, l->a, "batch", batch, err);
}

static struct json *named(struct arena *a, const char *name, const char *type)
{
    struct json *o = json_object(a);
    json_set_text(a, o, "name", name);
    json_set_text(a, o, "type", type);
    return o;
}

static const char *provider_name(enum model_provider provider)
{
    switch (provider) {
    case MODEL_OPENAI:
        return "openai";
    case MODEL_ANTHROPIC:
        return "anthropic";
    case MODEL_PLAYBOOK:
        return "playbook";
    }
    UNREACHABLE();
}

static void add_parts(struct look *l, struct json *body)
{
    const struct config *c = l->config;
    struct json *channels = json_set(l->a, body, "channels", json_array(l->a));
    struct json *sources = json_set(l->a, body, "sources", json_array(l->a));
    struct json *model = json_set(l->a, body, "model", json_object(l->a));
    for (size_t i = 0; i < c->n_channels; i++) {
        const char *name = c->channels[i].name;
        const char *socket = slack_sockets_state(l->r->sockets, name);
        struct json *channel = json_push(l->a, channels, named(l->a, name, c->channels[i].type));
        if (socket != NULL)
            json_set_text(l->a, channel, "socket", socket);
    }
    for (size_t i = 0; i < c->n_sources; i++)
        json_push(l->a, sources, named(l->a, c->sources[i].name, c->sources[i].type));
    json_set_text(l->a, model, "provider", provider_name(c->llm.provider));
    json_set_text(l->a, model, "model", c->llm.model);
}

static void answer_readyz(struct look *l)
{
    struct err err = ERR_INIT;
    const char *batch = NULL;
    struct json *body = json_object(l->a);
    bool is_ready = atomic_load(&l->r->is_ready);
    bool can_read = look_at_store(l, read_something, &batch, &err);
    json_set_bool(l->a, body, "ready", is_ready && can_read);
    json_set_text(l->a, body, "gateway", is_ready ? "ok" : "starting, stopping or without a store");
    json_set_text(l->a, body, "store", can_read ? "ok" : "cannot be read");
    add_parts(l, body);
    answer_json(l, is_ready && can_read ? 200 : 503, body);
}

/* ---- metrics ---- */

static const struct gauge {
    const char *name, *help, *label; /* label NULL: one value, the query's second column */
    const char *sql;
} gauges[] = {
    {"requests_open", "requests that wait for people", NULL,
     "SELECT '', COUNT(*) FROM requests WHERE status = 'open'"},
    {"threads", "threads by status", "status", "SELECT status, COUNT(*) FROM threads GROUP BY 1"},
    {"deliveries", "messages by state", "state",
     "SELECT state, COUNT(*) FROM deliveries GROUP BY 1"},
    {"tool_runs_open", "commands, reads and model calls under way", NULL,
     "SELECT '', COUNT(*) FROM tool_runs WHERE state <> 'ended'"},
    {"arrivals_waiting", "messages that are stored and not yet routed", NULL,
     "SELECT '', COUNT(*) FROM arrivals"},
};

static bool count_rows(struct look *l, void *out, struct err *err)
{
    struct strbuf *b = out;
    strbuf_init(b, l->a, GAUGES_BYTES);
    for (size_t i = 0; i < COUNT(gauges); i++) {
        const struct gauge *g = &gauges[i];
        struct db_rows rows;
        if (!db_query(l->r->store.db, l->a, g->sql, DB_NO_ARGS, &rows, err))
            return false;
        strbuf_addf(b, "# HELP signoff_%s %s\n# TYPE signoff_%s gauge\n", g->name, g->help,
                    g->name);
        for (size_t row = 0; row < rows.count; row++) {
            long long value = (long long)db_cell_int(&rows, row, 1);
            if (g->label == NULL)
                strbuf_addf(b, "signoff_%s %lld\n", g->name, value);
            else
                strbuf_addf(b, "signoff_%s{%s=\"%s\"} %lld\n", g->name, g->label,
                            db_cell_text(&rows, row, 0), value);
        }
    }
    return true;
}

static void add_server_counts(struct look *l, struct strbuf *b)
{
    struct http_server_counts c = http_server_counts(atomic_load(&l->r->server));
    const struct {
        const char *name, *type, *help;
        unsigned long long value;
    } rows[] = {
        {"http_requests_total", "counter", "HTTP requests", c.requests},
        {"http_refused_total", "counter", "HTTP requests refused by the server", c.refused},
        {"http_timed_out_total", "counter", "HTTP connections that took too long", c.timed_out},
        {"http_connections", "gauge", "open HTTP connections", c.connections},
        {"http_streams", "gauge", "open event streams", c.streams},
        {"http_body_bytes", "gauge", "bytes of HTTP bodies held", c.body_bytes},
        {"sockets_connected", "gauge", "Slack channels with a connection that Slack said hello on",
         slack_sockets_connected(l->r->sockets)},
        {"ready", "gauge", "1 when /readyz says so", atomic_load(&l->r->is_ready) ? 1 : 0},
    };
    for (size_t i = 0; i < COUNT(rows); i++)
        strbuf_addf(b, "# HELP signoff_%s %s\n# TYPE signoff_%s %s\nsignoff_%s %llu\n",
                    rows[i].name, rows[i].help, rows[i].name, rows[i].type, rows[i].name,
                    rows[i].value);
}

/* The peer itself is on this machine: not a proxy here that speaks for somebody else. */
static bool is_loopback(const struct http_request *request)
{
    return (text_starts(request->peer, "127.") || strcmp(request->peer, "::1") == 0) &&
           http_request_header(request, "x-forwarded-for") == NULL &&
           http_request_header(request, "forwarded") == NULL;
}

static void answer_metrics(struct look *l)
{
    struct strbuf b;
    struct err err = ERR_INIT;
    int64_t now_ms = clock_monotonic_ms();
    if (l->r->gauges == NULL || now_ms - l->r->gauges_ms >= GAUGES_MS) {
        if (!look_at_store(l, count_rows, &b, &err)) {
            answer_error(l, 503, "unavailable", err.text);
            return;
        }
        free(l->r->gauges);
        l->r->gauges = strdup(b.text);
        l->r->gauges_ms = now_ms;
    }
    strbuf_init(&b, l->a, GAUGES_BYTES * 2);
    strbuf_add(&b, l->r->gauges);
    add_server_counts(l, &b);
    send_answer(l,
                http_answer_text(l->request->conn, 200, "text/plain; version=0.0.4; charset=utf-8",
                                 metrics_render(l->r->metrics, l->a, b.text)));
}

/* ---- who asks ---- */

static bool count_call(struct look *l, const char *who, int64_t limit)
{
    if (rate_count(&l->r->rate, who, limit, l->now_ms))
        return true;
    metrics_add(l->r->metrics, METRIC_RATE_LIMITED, 1);
    return false;
}

/* A valid key that may; false: it was answered. */
static bool let_in(struct look *l, const char *scope)
{
    const struct api_key *key = bearer_key(l->a, l->config, l->request);
    if (key == NULL) {
        if (count_call(l, l->request->peer, DENIED_PER_MINUTE))
            answer_error(l, 401, "denied", "this needs a valid API key (Authorization: Bearer …)");
        else
            answer_error(l, 429, "too_many", "too many calls without a valid key");
        return false;
    }
    if (!count_call(l, arena_printf(l->a, "key:%s", key->name), CALLS_PER_MINUTE)) {
        answer_error(l, 429, "too_many", "too many calls with this key");
        return false;
    }
    if (scope != NULL && !api_key_may(key, scope)) {
        answer_error(l, 403, "not_allowed",
                     arena_printf(l->a, "this key lacks the scope %s", scope));
        return false;
    }
    return true;
}

/* ---- streams ---- */

/* The {id} between the two; NULL: another path. */
static const char *id_between(struct arena *a, const char *path, const char *before,
                              const char *after)
{
    size_t len = strlen(path), b = strlen(before), e = strlen(after);
    if (len <= b + e || !text_starts(path, before) || !text_ends(path, after))
        return NULL;
    char *id = arena_strndup(a, path + b, len - b - e);
    return strchr(id, '/') != NULL || strchr(id, '%') != NULL ? NULL : id;
}

static void copy_id(char out[STREAM_ID_SIZE], const char *id)
{
    snprintf(out, STREAM_ID_SIZE, "%s", id);
}

static bool find_streamed(struct look *l, void *out, struct err *err)
{
    struct stream *s = out;
    const char *id;
    struct thread_row row;
    if (!store_find_thread(&l->r->store, l->a, s->thread, &id, err) ||
        !store_get_thread(&l->r->store, l->a, id, &row, err))
        return false;
    copy_id(s->thread, row.t.id);
    copy_id(s->root, row.t.root);
    return true;
}

static void begin_stream(struct look *l, enum stream_kind kind, const char *thread)
{
    struct err err = ERR_INIT;
    struct stream s = {.conn = l->request->conn, .kind = kind};
    const char *last = http_request_header(l->request, "last-event-id");
    if (thread != NULL)
        copy_id(s.thread, thread);
    if (last != NULL && !text_to_int(last, 0, INT64_MAX, &s.seq))
        s.seq = 0;
    if (thread != NULL && !look_at_store(l, find_streamed, &s, &err)) {
        answer_error(l, reads_error_status(err.kind), reads_error_code(err.kind), err.text);
        return;
    }
    if (!streams_add(&l->r->streams, &s, clock_monotonic_ms())) {
        answer_error(l, 503, "unavailable", "too many streams: try again");
        return;
    }
    struct http_answer *answer =
        http_answer_text(s.conn, 200, "text/event-stream", "retry: 2000\n\n");
    http_answer_header(answer, "Cache-Control", "no-store");
    http_answer_header(answer, "X-Accel-Buffering", "no");
    answer->stream = true;
    answer->closed_to = l->r->mailbox;
    answer->closed_kind = LETTER_CLOSED;
    send_answer(l, answer);
}

/* ---- the API and the pages ---- */

struct got {
    const struct json *body;
};

static bool get_json(struct look *l, void *out, struct err *err)
{
    struct got *got = out;
    struct reads reads = {
        .a = l->a, .config = l->config, .store = &l->r->store, .now_ms = l->now_ms};
    return reads_get(&reads, l->request->path, l->request->query, &got->body, err);
}

static void answer_api(struct look *l)
{
    struct err err = ERR_INIT;
    struct got got = {NULL};
    const char *path = l->request->path;
    const char *streamed = id_between(l->a, path, "/v1/threads/", "/stream");
    const char *scope = streamed != NULL ? "threads:read" : reads_scope(l->a, path);
    if (!let_in(l, scope))
        return;
    if (streamed != NULL)
        begin_stream(l, STREAM_EVENTS, streamed);
    else if (look_at_store(l, get_json, &got, &err))
        answer_json(l, 200, got.body);
    else
        answer_error(l, reads_error_status(err.kind), reads_error_code(err.kind), err.text);
}

static bool who_is_it(struct look *l, void *out, struct err *err)
{
    const struct person **person = out;
    return session_person(&l->r->store, l->a, l->config, l->request, l->now_ms, person, err);
}

struct page_look {
    struct page_request request;
    struct page page;
};

static bool get_page(struct look *l, void *out, struct err *err)
{
    struct page_look *p = out;
    p->request.store = &l->r->store;
    return who_is_it(l, &p->request.person, err) && pages_get(&p->request, &p->page, err);
}

static void answer_pages(struct look *l)
{
    struct err err = ERR_INIT;
    const char *cookie = session_cookie(l->a, l->request);
    struct page_look p = {
        .request = {.a = l->a,
                    .config = l->config,
                    .now_ms = l->now_ms,
                    .path = l->request->path,
                    .query = l->request->query,
                    .form_token = cookie == NULL ? NULL : session_form_token(l->a, cookie)}};
    if (!look_at_store(l, get_page, &p, &err))
        pages_sentence(&p.request, reads_error_status(err.kind), "Not now", err.text, &p.page);
    answer_page(l, &p.page);
}

/* A page's stream: false when the path is none. */
static bool answer_page_stream(struct look *l)
{
    struct err err = ERR_INIT;
    const struct person *person = NULL;
    const char *thread = id_between(l->a, l->request->path, "/threads/", "/stream");
    if (thread == NULL && strcmp(l->request->path, "/stream") != 0)
        return false;
    if (!look_at_store(l, who_is_it, &person, &err))
        answer_error(l, 503, "unavailable", err.text);
    else if (person == NULL)
        answer_error(l, 401, "denied", "sign in first");
    else
        begin_stream(l, thread != NULL ? STREAM_THREAD : STREAM_INBOX, thread);
    return true;
}

static void answer_request(struct look *l)
{
    const char *path = l->request->path;
    if (strcmp(l->request->method, "OPTIONS") == 0) {
        struct http_answer *answer = http_answer_new(l->request->conn, 204);
        http_answer_header(answer, "Allow", "GET, HEAD, POST, OPTIONS");
        send_answer(l, answer);
    } else if (strcmp(path, "/healthz") == 0) {
        send_answer(l, http_answer_text(l->request->conn, 200, NULL, "ok\n"));
    } else if (strcmp(path, "/readyz") == 0) {
        answer_readyz(l);
    } else if (strcmp(path, "/metrics") == 0) {
        if (is_loopback(l->request) || let_in(l, "metrics:read"))
            answer_metrics(l);
    } else if (text_starts(path, "/v1/")) {
        answer_api(l);
    } else if (!answer_page_stream(l)) {
        answer_pages(l);
    }
}

/* ---- the thread ---- */

static void handle_read(struct reader *r, const struct http_request *request)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    struct look look = {.r = r,
                        .a = &a,
                        .config = atomic_load(&r->config),
                        .request = request,
                        .now_ms = clock_unix_ms()};
    answer_request(&look);
}

static void handle_changed(struct reader *r, const struct changed_letter *letter)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    struct thread_row row;
    const char *root = "";
    if (r->streams.count == 0)
        return;
    if (streams_want_roots(&r->streams) && open_store(r, NULL) &&
        store_get_thread(&r->store, &a, letter->thread, &row, NULL))
        root = row.t.root;
    streams_mark(&r->streams, letter->thread, root);
}

static void handle_letter(struct reader *r, struct letter *letter)
{
    switch ((enum letter_kind)letter->kind) {
    case LETTER_READ:
        handle_read(r, (struct http_request *)letter);
        return;
    case LETTER_CLOSED:
        streams_remove(&r->streams, ((struct http_closed *)letter)->conn);
        return;
    case LETTER_CHANGED:
        handle_changed(r, (struct changed_letter *)letter);
        return;
    case LETTER_HTTP:
    case LETTER_ENVELOPE:
    case LETTER_REPLY:
    case LETTER_COMMAND:
    case LETTER_RELOAD:
    case LETTER_STOP:
        return; /* not ours */
    }
}

static void *run(void *arg)
{
    struct reader *r = arg;
    /* Where processors are short, decisions go before lists. */
    (void)setpriority(PRIO_PROCESS, (id_t)gettid(), READER_NICE);
    for (;;) {
        struct letter *letters = mailbox_wait(r->mailbox, streams_next_ms(&r->streams));
        if (letters == NULL && mailbox_is_closed(r->mailbox))
            return NULL;
        while (letters != NULL) {
            struct letter *letter = letters;
            letters = letter->next;
            handle_letter(r, letter);
            letter_free(letter);
        }
        if (atomic_exchange(&r->has_missed, false))
            streams_mark_all(&r->streams);
        if (r->streams.count == 0)
            continue;
        if (!open_store(r, NULL))
            usleep(TRY_AGAIN_US);
        else
            streams_flush(&r->streams, atomic_load(&r->server), &r->store, clock_monotonic_ms());
    }
}

/* ---- from outside ---- */

struct reader *reader_start(const struct reader_config *config, struct err *err)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    struct reader *r = calloc(1, sizeof *r);
    if (r == NULL)
        abort();
    r->store_url = strdup(arena_printf(&a, "sqlite:%s", config->config->store.path));
    r->metrics = config->metrics;
    atomic_store(&r->config, config->config);
    r->mailbox = mailbox_new(MAX_LETTERS);
    if (!open_store(r, err)) {
        reader_free(r);
        return NULL;
    }
    return r;
}

void reader_set_server(struct reader *r, struct http_server *server, struct slack_sockets *sockets)
{
    r->sockets = sockets;
    atomic_store(&r->server, server);
    thread_start(&r->thread, "reader", run, r);
    r->is_running = true;
}

void reader_stop(struct reader *r)
{
    mailbox_close(r->mailbox);
    if (r->is_running)
        pthread_join(r->thread, NULL);
    r->is_running = false;
}

void reader_free(struct reader *r)
{
    if (r == NULL)
        return;
    reader_stop(r);
    drop_store(r);
    mailbox_free(r->mailbox);
    free(r->store_url);
    free(r->gauges);
    free(r);
}

struct mailbox *reader_mailbox(struct reader *r)
{
    return r->mailbox;
}

void reader_changed(struct reader *r, const char *thread)
{
    struct changed_letter *letter = calloc(1, sizeof *letter);
    if (letter == NULL)
        abort();
    letter->letter.kind = LETTER_CHANGED;
    copy_id(letter->thread, thread);
    if (mailbox_post(r->mailbox, &letter->letter))
        return;
    letter_free(&letter->letter);
    atomic_store(&r->has_missed, true);
}

void reader_set_config(struct reader *r, const struct config *config)
{
    atomic_store(&r->config, config);
}

void reader_set_ready(struct reader *r, bool ready)
{
    atomic_store(&r->is_ready, ready);
}
