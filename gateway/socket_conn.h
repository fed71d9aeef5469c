/* Outgoing WebSockets (RFC 6455) on libwebsockets, in a context of their own: whatever a slow name
 * server does to it, our own server goes on. One thread, but for socket_group_wake().
 *
 * Use: socket_group_new(), socket_conn_open(); then over and over socket_group_wait() and, for each
 * connection, socket_conn_next() until SOCKET_NOTHING. */
#pragma once

#include "gateway/base/arena.h"
#include "gateway/base/err.h"

struct socket_group_config {
    const char *proxy;    /* "http://[user:password@]host:port"; NULL or "": none */
    const char *no_proxy; /* hosts that are reached without it: "a.test,.b.test", "*"; or NULL */
    const char *ca_file;  /* PEM; NULL: the system's */
    size_t max_message;   /* bytes of an inbound message; a longer one ends the connection */
};

struct socket_group;
struct socket_conn;

/* Borrows the texts. Loads the CA store (some 20 ms). NULL: err says why. */
struct socket_group *socket_group_new(const struct socket_group_config *config, struct err *err);
void socket_group_free(struct socket_group *g); /* after its connections; NULL ok */
/* Moves bytes until something has happened on a connection, somebody wakes it, or the time is
 * over. */
void socket_group_wait(struct socket_group *g, int64_t timeout_ms);
void socket_group_wake(struct socket_group *g); /* any thread */

/* Begins to connect to a ws:// or wss:// address. NULL: err says why. */
struct socket_conn *socket_conn_open(struct socket_group *g, const char *url, struct err *err);
/* At once, without a goodbye. NULL ok. */
void socket_conn_free(struct socket_conn *c);

enum socket_event {
    SOCKET_NOTHING, /* more is to come */
    SOCKET_TEXT,    /* a message: *text, valid until the next call */
    SOCKET_HEARD,   /* it is open now, or a pong: a sign of life */
    SOCKET_ENDED,   /* closed, cut or broken: *why; nothing follows */
};
/* Pings are answered by themselves. */
enum socket_event socket_conn_next(struct socket_conn *c, struct span *text, const char **why);

enum socket_frame { SOCKET_SEND_TEXT, SOCKET_SEND_PING, SOCKET_SEND_GOODBYE };
/* One whole frame, never cut into pieces; queued. Nothing is sent before it is open. A goodbye
 * (1000) is the last. */
void socket_conn_send(struct socket_conn *c, enum socket_frame frame, struct span payload);
bool socket_conn_has_unsent(const struct socket_conn *c);
/* While held, nothing more is read and the peer has to wait. */
void socket_conn_hold(struct socket_conn *c, bool hold);
