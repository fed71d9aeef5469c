/* One outgoing WebSocket: libcurl makes the connection (names, proxy, TLS as for our HTTP calls),
 * gateway/base/websocket.h says what the bytes mean. Never blocks. One thread at a time.
 *
 * Use: socket_conn_open(); then, whenever socket_conn_wait() or a time-out returned, for each
 * connection socket_conn_work() and socket_conn_next() until SOCKET_NOTHING. */
#pragma once

#include "gateway/base/err.h"
#include "gateway/base/websocket.h"

struct socket_conn_config {
    const char *proxy;    /* "http://[user:password@]host:port"; NULL or "": none */
    const char *no_proxy; /* hosts that are reached without it, as curl's NO_PROXY; or NULL */
    const char *ca_file;  /* PEM; NULL: the system's */
    int64_t connect_timeout_ms;
    size_t max_message; /* bytes of an inbound message */
};

struct socket_conn;

/* Begins to connect to a ws:// or wss:// address. Borrows the configuration. NULL: err says why. */
struct socket_conn *socket_conn_open(const char *url, const struct socket_conn_config *config,
                                     struct err *err);
/* At once, without a goodbye. NULL ok. */
void socket_conn_free(struct socket_conn *c);

/* Moves bytes: in (unless `hold`, which lets the peer wait), and out. */
void socket_conn_work(struct socket_conn *c, bool hold);

enum socket_event {
    SOCKET_NOTHING, /* more bytes are needed */
    SOCKET_TEXT,    /* a message: *text, valid until the next call */
    SOCKET_HEARD,   /* a frame without a message: a sign of life */
    SOCKET_ENDED,   /* closed, cut or broken: *why; nothing follows */
};
/* Pings are answered here. */
enum socket_event socket_conn_next(struct socket_conn *c, struct span *text, const char **why);

/* One whole frame; queued. Not before it is open. */
void socket_conn_send(struct socket_conn *c, enum websocket_opcode opcode, struct span payload);
bool socket_conn_is_open(const struct socket_conn *c); /* the handshake is done */
bool socket_conn_has_unsent(const struct socket_conn *c);

/* Waits until one of the connections can go on, `wake_fd` is readable, or the time is over.
 * held[i]: what comes in on that connection does not count. */
void socket_conn_wait(struct socket_conn *const *list, const bool *held, size_t n, int wake_fd,
                      int timeout_ms);
