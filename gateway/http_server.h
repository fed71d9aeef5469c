/* The doors: an HTTP/1.1 server on a thread of its own. It turns requests into letters, and answers
 * by number back into bytes; it knows nothing of what the requests mean.
 *
 * Limits of its own: time for headers, body and answer, connections, streams, bytes of bodies in
 * all. Whoever breaks one gets 408, 413, 431 or 503 with a sentence, here, without any letter.
 * Malformed requests are refused here as well (gateway/base/http_parse.h).
 *
 * Life of a request: headers complete → door() says where it goes and how long its body may be →
 * body complete → the letter is posted (box full: 503, Retry-After: 1) → http_server_answer().
 * One request of a connection is in flight at a time; pipelined ones wait for its answer. A client
 * that closes, also only its sending half, is gone: its answer is dropped without notice. */
#pragma once

#include "gateway/base/arena.h"
#include "gateway/base/err.h"
#include "gateway/base/http_parse.h"
#include "gateway/mailbox.h"

struct http_server;

/* A letter to the application. Its receiver frees it with letter_free(). */
struct http_request {
    struct letter letter;              /* kind = the door's */
    struct arena arena;                /* owns all below */
    uint64_t conn;                     /* the number to answer to; never used again */
    const char *method;                /* GET HEAD POST PUT PATCH DELETE OPTIONS */
    const char *target;                /* as it came */
    const char *path;                  /* the target up to '?', not decoded */
    const char *query;                 /* after '?', not decoded; "" when there is none */
    const struct http_header *headers; /* lower-case names */
    size_t n_headers;
    struct span body; /* NUL-terminated beyond its length */
    const char *peer; /* "192.0.2.7", "2001:db8::1"; "unix" for a unix socket. Behind a trusted
                         proxy: who X-Forwarded-For says it is */
    bool tls;
    int64_t received_at_ms; /* Unix time when it was complete */
};

/* The first value of a header (lower-case name), or NULL. */
const char *http_request_header(const struct http_request *request, const char *name);

/* What the application says to a request whose headers are complete. */
struct http_door {
    size_t max_body;    /* bytes; one more is 413 */
    struct mailbox *to; /* kept; NULL refuses with 404 */
    int kind;           /* of the letter */
};

struct http_server_config {
    const char *listen;        /* "127.0.0.1:8080", "[::]:8080" (v4 as well), "unix:/path";
                                  port 0 picks a free one */
    const char *tls_cert_file; /* PEM with its chain; both or neither */
    const char *tls_key_file;
    /* Runs on the server's thread: must not block. */
    struct http_door (*door)(void *ctx, const char *method, const char *path);
    void *door_ctx;
    const char *const *trusted_proxies; /* addresses, or networks as "10.0.0.0/8"; "unix" */
    size_t n_trusted_proxies;
    /* 0 means the default in brackets. */
    size_t max_connections;   /* [4096] more are closed at once */
    size_t max_streams;       /* [256] more get 503 */
    size_t max_stream_unsent; /* [256 KiB] a reader slower than this is closed */
    size_t max_body_bytes;    /* [64 MiB] of bodies, received or being received, until their
                                 letters are freed; more get 503 */
    int64_t idle_ms;          /* [60 s] between two requests */
    int64_t head_ms;          /* [10 s] for the headers, from the first byte */
    int64_t body_ms;          /* [30 s] for the body, from the headers */
    int64_t answer_ms;        /* [60 s] for our answer, then for the client to read it */
};

/* Copies the configuration (the mailboxes and door_ctx are kept) and listens before it returns.
 * Sets the soft limit of open files of this process to max_connections + 1024 if it is above, as
 * libwebsockets allocates tables by it. NULL: err says why (address taken, bad certificate …). */
struct http_server *http_server_start(const struct http_server_config *config, struct err *err);

/* Stops listening, gives requests in flight up to grace_ms to be answered, ends all streams
 * (their closed letters are posted), closes everything and joins the thread. Idempotent. */
void http_server_stop(struct http_server *server, int64_t grace_ms);
/* Stops with no grace if still running. Letters not yet freed stay valid. NULL is fine. */
void http_server_free(struct http_server *server);

int http_server_port(const struct http_server *server); /* 0 for a unix socket. Any thread. */

/* For /metrics; any thread. */
struct http_server_counts {
    uint64_t requests, refused, timed_out; /* since the start */
    size_t connections, streams, body_bytes;
};
struct http_server_counts http_server_counts(const struct http_server *server);

struct http_answer {
    struct letter letter;              /* the server's */
    struct arena arena;                /* owns all below: allocate them here */
    uint64_t conn;                     /* of the request */
    int status;                        /* 200…599 */
    const char *content_type;          /* NULL: no such header */
    const struct http_header *headers; /* more of them; never Content-Length, Connection, Date … */
    size_t n_headers;
    struct span body; /* not sent to HEAD, nor with 204 and 304 */
    bool close;       /* the connection, after this answer */
    bool stream;      /* headers now, then http_server_stream_send(); body is the first piece */
    struct mailbox *closed_to; /* of a stream: gets a struct http_closed when it ended; or NULL */
    int closed_kind;
};

/* All of it zeroed but for the number and the status. */
struct http_answer *http_answer_new(uint64_t conn, int status);
/* The usual one: `text` is copied. content_type NULL: "text/plain; charset=utf-8". */
struct http_answer *http_answer_text(uint64_t conn, int status, const char *content_type,
                                     const char *text);
/* Adds a header; both are copied. */
void http_answer_header(struct http_answer *answer, const char *name, const char *value);

/* Takes the answer. Date, Content-Length, Connection and X-Content-Type-Options: nosniff are
 * written here. A header with CR, LF, NUL or a bad name turns the answer into a 500 (and a log
 * line). An answer to nobody, or a second one, is dropped. Any thread. */
void http_server_answer(struct http_server *server, struct http_answer *answer);

/* Says that a stream ended: closed by the peer, too slow, or the server stops. Posted always. */
struct http_closed {
    struct letter letter;
    uint64_t conn;
};

/* Appends to a stream, as it is (Server-Sent Events: "data: …\n\n"). Copies. What is sent to a
 * stream that is no more is dropped. Any thread. */
void http_server_stream_send(struct http_server *server, uint64_t conn, const char *text);
/* Ends a stream after what was sent; its closed letter follows. Any thread. */
void http_server_stream_end(struct http_server *server, uint64_t conn);
