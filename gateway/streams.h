/* Server-Sent Events: who listens to which thread, and what was sent to whom. The reader's own
 * part, on its thread.
 *
 * An API stream gets every event with its seq as the id, from Last-Event-ID on. A page's stream
 * only hears that something changed and fetches what it shows. */
#pragma once

#include "gateway/http_server.h"
#include "gateway/store.h"

/* The server holds them to 256. */
enum { STREAMS_MAX = 320, STREAM_ID_SIZE = 32, HEARTBEAT_MS = 15000 };

enum stream_kind {
    STREAM_EVENTS, /* /v1/threads/{id}/stream */
    STREAM_THREAD, /* the page of a thread: it and all that have the same root */
    STREAM_INBOX,  /* the inbox: every thread */
};

struct stream {
    uint64_t conn;
    enum stream_kind kind;
    char thread[STREAM_ID_SIZE], root[STREAM_ID_SIZE]; /* ids; "" for the inbox */
    int64_t seq;                                       /* EVENTS: the last one that was sent */
    bool is_behind;                                    /* there is more to send */
    int64_t not_before_ms;                             /* … but not sooner than this */
    int64_t ends_at_ms; /* then it must connect, and prove itself, again */
};

struct streams {
    struct stream list[STREAMS_MAX];
    size_t count;
    int64_t heartbeat_ms; /* of the next one */
};

/* Adds one; false when there are too many. Times are monotonic. */
bool streams_add(struct streams *s, const struct stream *stream, int64_t now_ms) NODISCARD;
void streams_remove(struct streams *s, uint64_t conn);
/* This thread, of this root ("" when not known), has new events. */
void streams_mark(struct streams *s, const char *thread, const char *root);
void streams_mark_all(struct streams *s);
/* Does anybody listen for whom the root of a thread matters? */
bool streams_want_roots(const struct streams *s);
/* Sends what can be sent now: events, changes, heartbeats, ends. */
void streams_flush(struct streams *s, struct http_server *server, struct store *store,
                   int64_t now_ms);
/* When streams_flush() is to be called next, at the latest. */
int64_t streams_next_ms(const struct streams *s);
