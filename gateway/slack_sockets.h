/* Slack's Socket Mode: the connections of all Slack channels with `mode: socket`, on a thread of
 * its own. What comes in becomes letters to the application, and is acknowledged when the
 * application says so: after it is durable, and on the connection that brought it. When to connect
 * and to let go is decided by channels/slack_socket.h. No address of ours has to be public.
 *
 * A full mailbox stops the reading of that connection; what Slack hears no acknowledgement of, it
 * sends again, over whatever connection there is then. */
#pragma once

#include "channels/channel.h"
#include "gateway/http_client.h"
#include "gateway/mailbox.h"
#include "gateway/metrics.h"

struct slack_sockets;

/* A letter to the application: what a webhook would have brought. Freed with letter_free(). */
struct slack_envelope {
    struct letter letter; /* kind: the one of the configuration */
    struct arena arena;   /* owns all below */
    uint64_t conn;        /* never used again */
    const char *channel;  /* its configured name */
    const char *id;
    bool takes_payload;
    struct webhook in;
};

struct slack_sockets_config {
    struct http_client *client; /* kept: asks for the addresses */
    struct mailbox *to;         /* kept: where envelopes go, by mailbox_post() */
    int kind;                   /* of the envelopes' letters */
    struct metrics *metrics;    /* kept */
    const char *proxy;          /* as of struct http_client_config, as the next two */
    const char *no_proxy;
    const char *ca_file;
};

/* Copies what is not kept. Without channels nothing is done until slack_sockets_set(). */
struct slack_sockets *slack_sockets_start(const struct slack_sockets_config *config);
/* Sends what is to be acknowledged, says goodbye and joins; at most grace_ms. Idempotent. Before
 * the client stops: its last jobs come back to a mailbox that stays until slack_sockets_free(). */
void slack_sockets_stop(struct slack_sockets *s, int64_t grace_ms);
void slack_sockets_free(struct slack_sockets *s); /* after the client's end; NULL ok */

/* From now on these channels are connected, and no others: who is new begins, who is gone ends, who
 * has another token begins again, all others stand as they are. Copies. One thread at a time. */
void slack_sockets_set(struct slack_sockets *s, const struct slack_settings *const *list, size_t n);

/* The acknowledgement of an envelope, made now and sent later; `body` as of slack_ack(). */
struct slack_ack_order;
struct slack_ack_order *slack_ack_order_new(uint64_t conn, const char *envelope_id,
                                            bool takes_payload, const char *body);
void slack_ack_order_free(struct slack_ack_order *order);
/* Takes it. Where the connection is gone, nothing is sent: Slack sends the envelope again. Any
 * thread. */
void slack_sockets_ack(struct slack_sockets *s, struct slack_ack_order *order);

/* "connected", "connecting", "waiting" or "refused"; NULL: no such channel. Any thread. */
const char *slack_sockets_state(struct slack_sockets *s, const char *channel);
size_t slack_sockets_connected(struct slack_sockets *s); /* channels. Any thread. */
