/* See http_conn.h. */
#include "gateway/http_conn.h"

#include "gateway/base/clock.h"
#include "gateway/base/log.h"
#include "gateway/http_answer.h"

#include <stdio.h>
#include <string.h>

enum {
    MAX_PENDING = 64 * 1024, /* pipelined bytes before the socket is not read any more */
    MAX_ANSWER_HEAD = 64 * 1024,
    KEPT_BUFFER = 16 * 1024, /* of a buffer that is empty */
    LINGER_MS = 2000,
};

/* --- small things -------------------------------------------------------------------------- */

static void bytes_add(struct bytes *b, const char *at, size_t len)
{
    if (len == 0)
        return;
    if (b->from > 0 && b->to + len > b->room) {
        memmove(b->at, b->at + b->from, b->to - b->from);
        b->to -= b->from;
        b->from = 0;
    }
    if (b->to + len > b->room) {
        size_t room = b->room * 2 > b->to + len ? b->room * 2 : b->to + len;
        b->at = realloc(b->at, room);
        if (b->at == NULL)
            abort();
        b->room = room;
    }
    memcpy(b->at + b->to, at, len);
    b->to += len;
}

static void bytes_drop(struct bytes *b, size_t n)
{
    b->from += n;
    if (b->from < b->to)
        return;
    b->from = b->to = 0;
    if (b->room > KEPT_BUFFER) {
        free(b->at);
        *b = (struct bytes){0};
    }
}

static struct span bytes_span(const struct bytes *b)
{
    return (struct span){b->at == NULL ? "" : b->at + b->from, b->to - b->from};
}

struct body_budget *body_budget_new(void)
{
    struct body_budget *budget = calloc(1, sizeof *budget);
    if (budget == NULL)
        abort();
    atomic_init(&budget->bytes, 0);
    atomic_init(&budget->holders, 1);
    return budget;
}

void body_budget_release(struct body_budget *budget, size_t bytes)
{
    atomic_fetch_sub(&budget->bytes, bytes);
    if (atomic_fetch_sub(&budget->holders, 1) == 1)
        free(budget);
}

void http_closed_post(struct mailbox *to, int kind, uint64_t conn)
{
    if (to == NULL)
        return;
    struct http_closed *closed = calloc(1, sizeof *closed);
    if (closed == NULL)
        abort();
    closed->letter.kind = kind;
    closed->conn = conn;
    mailbox_post_always(to, &closed->letter);
}

static void enter(struct http_conn *c, enum conn_phase phase, int64_t deadline_ms)
{
    c->phase = phase;
    c->deadline_ms = deadline_ms;
}

/* --- answers ------------------------------------------------------------------------------- */

/* The number is spent: an answer that comes late finds nobody. */
static void write_answer(struct http_conn *c, const struct http_answer *answer, int64_t now_ms)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    struct strbuf head;
    strbuf_init(&head, &a, MAX_ANSWER_HEAD);
    c->close_after = answer->close || answer->stream || !c->keep_alive || c->house->stopping;
    http_answer_head(answer, c->close_after, clock_unix_ms(), &head);
    if (strbuf_overflowed(&head)) {
        log_error("http.answer_refused", L_STR("why", "headers over the limit"));
        enter(c, CONN_DEAD, INT64_MAX);
        return;
    }
    bytes_add(&c->out, head.text, head.len);
    bool has_body = !c->is_head_request && answer->status != 204 && answer->status != 304;
    if (has_body)
        bytes_add(&c->out, answer->body.at, answer->body.len);
    enter(c, CONN_ANSWERING, now_ms + c->house->config.answer_ms);
}

static void answer_now(struct http_conn *c, int status, const char *sentence, bool close,
                       int64_t now_ms)
{
    char line[256];
    snprintf(line, sizeof line, "%s\n", sentence);
    struct http_answer *answer = http_answer_text(c->number, status, NULL, line);
    answer->close = close;
    if (status == 503)
        http_answer_header(answer, "Retry-After", "1");
    write_answer(c, answer, now_ms);
    letter_free(&answer->letter);
}

/* What came wrong, too much or too late: said, then closed, as nobody knows where the next request
 * would begin. */
static void refuse(struct http_conn *c, int status, const char *sentence, int64_t now_ms)
{
    atomic_fetch_add(status == 408 ? &c->house->timed_out : &c->house->refused, 1);
    log_debug("http.request_refused", L_INT("status", status), L_STR("why", sentence),
              L_STR("peer", c->peer));
    bytes_drop(&c->pending, c->pending.to - c->pending.from);
    answer_now(c, status, sentence, true, now_ms);
}

/* --- requests ------------------------------------------------------------------------------ */

struct hold {
    struct body_budget *budget;
    size_t bytes;
};

static void release_hold(void *arg)
{
    struct hold *hold = arg;
    body_budget_release(hold->budget, hold->bytes);
}

/* What the connection held is the letter's from now on. */
static void hand_over_hold(struct http_conn *c, struct arena *a)
{
    if (c->held == 0)
        return;
    struct hold *hold = ARENA_NEW(a, struct hold);
    *hold = (struct hold){c->house->budget, c->held};
    atomic_fetch_add(&c->house->budget->holders, 1);
    arena_defer(a, release_hold, hold);
    c->held = 0;
}

static void request_free(struct letter *letter)
{
    struct http_request *request = (struct http_request *)letter;
    arena_done(&request->arena);
    free(request);
}

static struct http_request *request_new(struct http_conn *c)
{
    struct http_message m;
    http_parse_take(c->parse, &m);
    struct http_request *request = calloc(1, sizeof *request);
    if (request == NULL)
        abort();
    hand_over_hold(c, &m.arena);
    char peer[PEER_TEXT_SIZE];
    peer_behind(c->peer, c->house->trusted, c->house->n_trusted, m.headers, m.n_headers, peer);
    c->number = ++c->house->last_number << 16 | c->slot;
    c->keep_alive = m.keep_alive;
    *request = (struct http_request){
        .letter = {.kind = c->door.kind, .free_fn = request_free},
        .conn = c->number,
        .method = m.method,
        .target = m.target,
        .path = m.path,
        .query = m.query,
        .headers = m.headers,
        .n_headers = m.n_headers,
        .body = m.body,
        .peer = arena_strdup(&m.arena, peer),
        .tls = c->house->tls,
        .received_at_ms = clock_unix_ms(),
    };
    request->arena = m.arena;
    return request;
}

static void deliver(struct http_conn *c, int64_t now_ms)
{
    struct http_request *request = request_new(c);
    atomic_fetch_add(&c->house->requests, 1);
    if (mailbox_post(c->door.to, &request->letter)) {
        enter(c, CONN_WAITING, now_ms + c->house->config.answer_ms);
        return;
    }
    letter_free(&request->letter);
    answer_now(c, 503, "too busy: try again", false, now_ms);
}

static void on_head(struct http_conn *c, bool body_is_here, int64_t now_ms)
{
    const struct http_message *m = http_parse_message(c->parse);
    const struct http_server_config *config = &c->house->config;
    c->is_head_request = strcmp(m->method, "HEAD") == 0;
    c->door = config->door(config->door_ctx, m->method, m->path);
    if (c->door.to == NULL) {
        refuse(c, 404, "there is nothing here", now_ms);
    } else if (!http_parse_limit_body(c->parse, c->door.max_body)) {
        refuse(c, http_parse_status(c->parse), http_parse_reason(c->parse), now_ms);
    } else {
        if (m->expects_continue && !body_is_here) {
            static const char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";
            bytes_add(&c->out, go_on, sizeof go_on - 1);
        }
        enter(c, CONN_BODY, now_ms + config->body_ms);
    }
}

/* False: over what all bodies together may take. */
static bool hold(struct http_conn *c)
{
    size_t now = http_parse_held(c->parse);
    if (now <= c->held)
        return true;
    size_t before = atomic_fetch_add(&c->house->budget->bytes, now - c->held);
    size_t all = before + now - c->held;
    c->held = now;
    return all <= c->house->config.max_body_bytes;
}

static void on_more(struct http_conn *c, int64_t now_ms)
{
    if (c->phase == CONN_IDLE && !http_parse_is_idle(c->parse))
        enter(c, CONN_HEAD, now_ms + c->house->config.head_ms);
}

/* Up to the next event. False: no more to read now. */
static bool read_on(struct http_conn *c, struct span *bytes, int64_t now_ms)
{
    enum http_parse_event event = http_parse_feed(c->parse, bytes);
    if (!hold(c)) {
        refuse(c, 503, "too many bodies at once: try again", now_ms);
        return false;
    }
    switch (event) {
    case HTTP_PARSE_MORE:
        on_more(c, now_ms);
        return false;
    case HTTP_PARSE_HEAD:
        on_head(c, bytes->len > 0, now_ms);
        return c->phase == CONN_BODY;
    case HTTP_PARSE_COMPLETE:
        deliver(c, now_ms);
        return false;
    case HTTP_PARSE_REFUSED:
        refuse(c, http_parse_status(c->parse), http_parse_reason(c->parse), now_ms);
        return false;
    }
    UNREACHABLE();
}

static bool is_reading(const struct http_conn *c)
{
    return c->phase == CONN_IDLE || c->phase == CONN_HEAD || c->phase == CONN_BODY;
}

static void read_pending(struct http_conn *c, int64_t now_ms)
{
    struct span bytes = bytes_span(&c->pending);
    size_t all = bytes.len;
    /* Without a body, the event after the headers needs no byte more. */
    while ((c->phase == CONN_BODY || (is_reading(c) && bytes.len > 0)) &&
           read_on(c, &bytes, now_ms))
        ;
    if (c->pending.to > c->pending.from) /* else a refusal threw it away */
        bytes_drop(&c->pending, all - bytes.len);
}

void http_conn_bytes(struct http_conn *c, struct span bytes, int64_t now_ms)
{
    if (c->phase == CONN_STREAMING || c->phase == CONN_LINGERING || c->phase == CONN_DEAD)
        return;
    while (is_reading(c) && read_on(c, &bytes, now_ms))
        ;
    if (!is_reading(c) && !c->close_after)
        bytes_add(&c->pending, bytes.at, bytes.len);
}

bool http_conn_is_full(const struct http_conn *c)
{
    return c->pending.to - c->pending.from >= MAX_PENDING;
}

/* --- sending ------------------------------------------------------------------------------- */

struct span http_conn_unsent(const struct http_conn *c)
{
    return bytes_span(&c->out);
}

void http_conn_sent(struct http_conn *c, size_t n, int64_t now_ms)
{
    bytes_drop(&c->out, n);
    if (c->phase == CONN_ANSWERING || c->phase == CONN_STREAMING)
        c->deadline_ms = now_ms + c->house->config.answer_ms;
}

static void begin_next(struct http_conn *c, int64_t now_ms)
{
    if (c->house->stopping) {
        enter(c, CONN_LINGERING, now_ms + LINGER_MS);
        return;
    }
    c->is_head_request = false;
    enter(c, CONN_IDLE, now_ms + c->house->config.idle_ms);
    read_pending(c, now_ms);
}

void http_conn_flushed(struct http_conn *c, int64_t now_ms)
{
    if (c->phase == CONN_STREAMING)
        c->deadline_ms = INT64_MAX;
    if (c->phase != CONN_ANSWERING)
        return;
    if (c->close_after)
        enter(c, CONN_LINGERING, now_ms + LINGER_MS);
    else
        begin_next(c, now_ms);
}

/* --- what the application says ------------------------------------------------------------- */

static void begin_stream(struct http_conn *c, const struct http_answer *answer, int64_t now_ms)
{
    if (atomic_load(&c->house->streams) >= c->house->config.max_streams) {
        http_closed_post(answer->closed_to, answer->closed_kind, answer->conn);
        answer_now(c, 503, "too many streams: try again", true, now_ms);
        return;
    }
    write_answer(c, answer, now_ms);
    if (c->phase == CONN_DEAD || c->is_head_request) {
        http_closed_post(answer->closed_to, answer->closed_kind, answer->conn);
        return;
    }
    atomic_fetch_add(&c->house->streams, 1);
    c->is_stream = true;
    c->closed_to = answer->closed_to;
    c->closed_kind = answer->closed_kind;
    c->phase = CONN_STREAMING;
}

void http_conn_answer(struct http_conn *c, struct http_answer *answer, int64_t now_ms)
{
    if (!http_answer_is_safe(answer)) {
        log_error("http.answer_refused", L_INT("status", answer->status),
                  L_STR("why", "a status or header that may not be"));
        if (answer->stream)
            http_closed_post(answer->closed_to, answer->closed_kind, answer->conn);
        answer_now(c, 500, "internal error", true, now_ms);
    } else if (answer->stream) {
        begin_stream(c, answer, now_ms);
    } else {
        write_answer(c, answer, now_ms);
    }
}

void http_conn_stream_send(struct http_conn *c, const char *text, int64_t now_ms)
{
    if (c->phase != CONN_STREAMING)
        return;
    if (c->out.to == c->out.from)
        c->deadline_ms = now_ms + c->house->config.answer_ms;
    bytes_add(&c->out, text, strlen(text));
    if (c->out.to - c->out.from > c->house->config.max_stream_unsent)
        enter(c, CONN_DEAD, INT64_MAX);
}

void http_conn_stream_end(struct http_conn *c, int64_t now_ms)
{
    if (c->phase == CONN_STREAMING)
        enter(c, CONN_ANSWERING, now_ms + c->house->config.answer_ms);
}

/* --- time ---------------------------------------------------------------------------------- */

void http_conn_tick(struct http_conn *c, int64_t now_ms)
{
    if (now_ms < c->deadline_ms)
        return;
    switch (c->phase) {
    case CONN_HEAD:
        if (http_parse_is_idle(c->parse))
            enter(c, CONN_DEAD, INT64_MAX);
        else
            refuse(c, 408, "the headers took too long", now_ms);
        return;
    case CONN_BODY:
        refuse(c, 408, "the body took too long", now_ms);
        return;
    case CONN_WAITING:
        atomic_fetch_add(&c->house->timed_out, 1);
        log_warn("http.answer_missed", L_MS("waited", c->house->config.answer_ms));
        answer_now(c, 503, "the answer took too long", true, now_ms);
        return;
    case CONN_IDLE:
    case CONN_ANSWERING:
    case CONN_STREAMING:
    case CONN_LINGERING:
    case CONN_DEAD:
        enter(c, CONN_DEAD, INT64_MAX);
        return;
    }
    UNREACHABLE();
}

void http_conn_stop(struct http_conn *c, int64_t now_ms)
{
    bool untouched = c->phase == CONN_HEAD && http_parse_is_idle(c->parse);
    if (c->phase == CONN_IDLE || untouched)
        enter(c, CONN_DEAD, INT64_MAX);
    else
        http_conn_stream_end(c, now_ms);
}

/* --- life ---------------------------------------------------------------------------------- */

struct http_conn *http_conn_new(struct http_house *house, uint16_t slot, const char *peer,
                                int64_t now_ms)
{
    struct http_conn *c = calloc(1, sizeof *c);
    if (c == NULL)
        abort();
    c->house = house;
    c->slot = slot;
    c->parse = http_parse_new();
    c->keep_alive = true;
    snprintf(c->peer, sizeof c->peer, "%s", peer);
    enter(c, CONN_HEAD, now_ms + house->config.head_ms);
    atomic_fetch_add(&house->connections, 1);
    return c;
}

void http_conn_free(struct http_conn *c)
{
    if (c->is_stream) {
        atomic_fetch_sub(&c->house->streams, 1);
        http_closed_post(c->closed_to, c->closed_kind, c->number);
    }
    atomic_fetch_sub(&c->house->budget->bytes, c->held);
    atomic_fetch_sub(&c->house->connections, 1);
    http_parse_free(c->parse);
    free(c->pending.at);
    free(c->out.at);
    free(c);
}
