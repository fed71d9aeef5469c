/* One connection of the HTTP server, without its socket: bytes in, bytes out, and what it waits
 * for. http_server.c moves the bytes; nothing here knows libwebsockets. All on the server's thread.
 */
#pragma once

#include "gateway/http_listen.h"
#include "gateway/http_server.h"

#include <stdatomic.h>

/* Bytes of bodies in memory: counted by connections, then by the request letters, which may outlive
 * the server. The last holder frees it. */
struct body_budget {
    atomic_size_t bytes;
    atomic_size_t holders;
};

/* What all connections of a server share. */
struct http_house {
    struct http_server_config config; /* defaults filled in */
    struct trusted *trusted;
    size_t n_trusted;
    bool tls;
    bool stopping; /* the server's thread sets it: no request after the present ones */
    struct body_budget *budget;
    uint64_t last_number;
    atomic_uint_fast64_t requests, refused, timed_out;
    atomic_size_t connections, streams;
};

struct body_budget *body_budget_new(void);
void body_budget_release(struct body_budget *budget, size_t bytes); /* one holder less */

/*        ┌──────────────────────────────────────────────┐
 *   IDLE ┴► HEAD ─► BODY ─► WAITING ─► ANSWERING ────────┘
 *            └───────┴─ refused ─┴─────►  │  └► STREAMING ─► LINGERING ─► DEAD
 *                                         └─── close ───────────▲ */
enum conn_phase {
    CONN_IDLE,      /* between two requests */
    CONN_HEAD,      /* headers are coming; at first also before any byte */
    CONN_BODY,      /* the body is coming */
    CONN_WAITING,   /* the application has the request */
    CONN_ANSWERING, /* the answer is being sent */
    CONN_STREAMING, /* the headers are, and the rest comes piece by piece */
    CONN_LINGERING, /* all is sent, our side is shut; what still comes is thrown away, since closing
                       over unread bytes would destroy the answer on its way */
    CONN_DEAD,      /* to be closed */
};

/* A growing buffer that is used up from the front. */
struct bytes {
    char *at;
    size_t from, to, room;
};

struct http_conn {
    struct http_house *house;
    uint16_t slot;
    uint64_t number; /* of the request in flight, or the last one */
    enum conn_phase phase;
    int64_t deadline_ms; /* INT64_MAX: none */
    char peer[PEER_TEXT_SIZE];
    struct http_parse *parse;
    struct http_door door;
    size_t held;          /* of the budget, for the body that is coming */
    struct bytes pending; /* pipelined: waits until the answer is sent */
    struct bytes out;
    bool is_head_request, keep_alive, close_after;
    bool is_stream;
    struct mailbox *closed_to; /* of a stream */
    int closed_kind;
};

struct http_conn *http_conn_new(struct http_house *house, uint16_t slot, const char *peer,
                                int64_t now_ms);
/* The socket is closed: posts the closed letter of a stream. */
void http_conn_free(struct http_conn *c);

void http_conn_bytes(struct http_conn *c, struct span bytes, int64_t now_ms);
/* True while so much waits that no more should be read. */
bool http_conn_is_full(const struct http_conn *c);

struct span http_conn_unsent(const struct http_conn *c);
void http_conn_sent(struct http_conn *c, size_t n, int64_t now_ms); /* the socket took n bytes */
void http_conn_flushed(struct http_conn *c, int64_t now_ms);        /* and the kernel has all */

void http_conn_answer(struct http_conn *c, struct http_answer *answer,
                      int64_t now_ms); /* borrows */
void http_conn_stream_send(struct http_conn *c, const char *text, int64_t now_ms);
void http_conn_stream_end(struct http_conn *c, int64_t now_ms);
void http_conn_tick(struct http_conn *c, int64_t now_ms); /* looks at the deadline */
void http_conn_stop(struct http_conn *c, int64_t now_ms); /* house->stopping became true */

void http_closed_post(struct mailbox *to, int kind, uint64_t conn); /* `to` may be NULL */
