/* The client's half of a WebSocket (RFC 6455): the opening handshake, and frames in and out, as
 * bytes. Pure: no socket, no randomness. No extension and no subprotocol is offered, and none is
 * taken. One thread at a time.
 *
 * Use: send websocket_request(); feed what comes; websocket_next() until WEBSOCKET_MORE. */
#pragma once

#include "gateway/base/arena.h"
#include "gateway/base/err.h"

enum {
    WEBSOCKET_KEY_SIZE = 16,   /* random bytes of a handshake */
    WEBSOCKET_HEAD_MAX = 16384 /* of the server's answer */
};

/* The numbers on the wire. */
enum websocket_opcode {
    WEBSOCKET_TEXT = 1,
    WEBSOCKET_BINARY = 2,
    WEBSOCKET_CLOSE = 8,
    WEBSOCKET_PING = 9,
    WEBSOCKET_PONG = 10
};

/* The request that opens it. host: with its port unless it is the usual one; target: path and
 * query. Neither may hold a control character or a space. */
char *websocket_request(struct arena *a, const char *host, const char *target,
                        const unsigned char key[WEBSOCKET_KEY_SIZE]);

/* One frame, whole and masked. Never cut into pieces: Slack loses acknowledgements that are. */
struct span websocket_frame(struct arena *a, enum websocket_opcode opcode, struct span payload,
                            const unsigned char mask[4]);

enum websocket_event {
    WEBSOCKET_MORE,    /* feed more bytes */
    WEBSOCKET_OPENED,  /* the handshake is done */
    WEBSOCKET_MESSAGE, /* a text: `payload`, all its fragments joined; maybe not UTF-8 */
    WEBSOCKET_IGNORED, /* a binary message */
    WEBSOCKET_PINGED,  /* answer with a pong of the same payload */
    WEBSOCKET_PONGED,
    WEBSOCKET_CLOSED, /* the peer says goodbye: `code`, or 1005 */
    WEBSOCKET_BROKEN, /* against the rules: err says how; close the connection */
};

struct websocket;

/* Copies the key. max_message: bytes of a message, all its fragments together. */
struct websocket *websocket_new(const unsigned char key[WEBSOCKET_KEY_SIZE], size_t max_message);
void websocket_free(struct websocket *w); /* NULL ok */

/* Copies the bytes. */
void websocket_feed(struct websocket *w, struct span bytes);

struct websocket_in {
    struct span payload; /* valid until the next websocket_feed() or websocket_next() */
    int code;            /* CLOSED: why, as the peer says */
    int status;          /* BROKEN by the answer to the handshake: its HTTP status, else 0 */
};
enum websocket_event websocket_next(struct websocket *w, struct websocket_in *out, struct err *err);
