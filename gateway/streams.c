/* See streams.h. */
#include "gateway/streams.h"

#include "gateway/base/text.h"
#include "gateway/views.h"

#include <string.h>

enum {
    EVENTS_AT_ONCE = 64,
    BYTES_AT_ONCE = 96 * 1024,   /* well below what the server lets a slow reader owe */
    EVENT_MAX_BYTES = 48 * 1024, /* a longer one comes without its data */
    CATCH_UP_MS = 50,            /* between two portions of a backlog */
    CALM_MS = 250,               /* between two words to a page */
    LIFE_MS = 30 * 60 * 1000,
};

bool streams_add(struct streams *s, const struct stream *stream, int64_t now_ms)
{
    if (s->count == STREAMS_MAX)
        return false;
    struct stream *added = &s->list[s->count++];
    *added = *stream;
    added->is_behind = stream->kind == STREAM_EVENTS;
    added->not_before_ms = now_ms;
    added->ends_at_ms = now_ms + LIFE_MS;
    return true;
}

void streams_remove(struct streams *s, uint64_t conn)
{
    for (size_t i = 0; i < s->count; i++)
        if (s->list[i].conn == conn) {
            s->list[i] = s->list[--s->count];
            return;
        }
}

void streams_mark(struct streams *s, const char *thread, const char *root)
{
    for (size_t i = 0; i < s->count; i++) {
        struct stream *one = &s->list[i];
        if (one->kind == STREAM_INBOX || strcmp(one->thread, thread) == 0 ||
            (one->kind == STREAM_THREAD && *root != '\0' && strcmp(one->root, root) == 0))
            one->is_behind = true;
    }
}

void streams_mark_all(struct streams *s)
{
    for (size_t i = 0; i < s->count; i++)
        s->list[i].is_behind = true;
}

bool streams_want_roots(const struct streams *s)
{
    for (size_t i = 0; i < s->count; i++)
        if (s->list[i].kind == STREAM_THREAD)
            return true;
    return false;
}

static const char *event_text(struct arena *a, const struct event *e)
{
    const struct json *view = view_event(a, e);
    char *text = json_write(a, view);
    if (strlen(text) > EVENT_MAX_BYTES) {
        struct json *small = json_object(a);
        json_set_int(a, small, "omitted_bytes", (int64_t)strlen(text));
        struct event stub = *e;
        stub.data = small;
        text = json_write(a, view_event(a, &stub));
    }
    return arena_printf(a, "id: %lld\nevent: %s\ndata: %s\n\n", (long long)e->seq,
                        event_type_name(e->type), text);
}

static void send_events(struct stream *one, struct http_server *server, struct store *store,
                        int64_t now_ms)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    struct event *events;
    size_t n, sent = 0;
    one->not_before_ms = now_ms + CATCH_UP_MS;
    if (!store_load_events(store, &a, one->thread, one->seq, EVENTS_AT_ONCE, &events, &n, NULL))
        return; /* the store is busy: once more, soon */
    for (size_t i = 0; i < n && sent < BYTES_AT_ONCE; i++) {
        const char *text = event_text(&a, &events[i]);
        http_server_stream_send(server, one->conn, text);
        sent += strlen(text);
        one->seq = events[i].seq;
    }
    one->is_behind = n == EVENTS_AT_ONCE || sent >= BYTES_AT_ONCE;
}

static void send_change(struct stream *one, struct http_server *server, int64_t now_ms)
{
    http_server_stream_send(server, one->conn, "event: changed\ndata: {}\n\n");
    one->is_behind = false;
    one->not_before_ms = now_ms + CALM_MS;
}

void streams_flush(struct streams *s, struct http_server *server, struct store *store,
                   int64_t now_ms)
{
    bool beat = now_ms >= s->heartbeat_ms;
    for (size_t i = 0; i < s->count; i++) {
        struct stream *one = &s->list[i];
        if (one->is_behind && now_ms >= one->not_before_ms) {
            if (one->kind == STREAM_EVENTS)
                send_events(one, server, store, now_ms);
            else
                send_change(one, server, now_ms);
        }
        if (beat)
            http_server_stream_send(server, one->conn, ": still here\n\n");
        if (now_ms >= one->ends_at_ms) {
            http_server_stream_end(server, one->conn);
            one->ends_at_ms = INT64_MAX; /* its closed letter removes it */
        }
    }
    if (beat)
        s->heartbeat_ms = now_ms + HEARTBEAT_MS;
}

int64_t streams_next_ms(const struct streams *s)
{
    int64_t next_ms = s->count > 0 ? s->heartbeat_ms : INT64_MAX;
    for (size_t i = 0; i < s->count; i++)
        if (s->list[i].is_behind && s->list[i].not_before_ms < next_ms)
            next_ms = s->list[i].not_before_ms;
    return next_ms;
}
