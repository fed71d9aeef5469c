/* The reader: everything that only looks. Pages, lists, contexts, streams, /metrics are served by a
 * thread of its own over its own read-only connection, so that no page ever holds up a decision. */
#pragma once

#include "gateway/config.h"
#include "gateway/http_server.h"
#include "gateway/mailbox.h"
#include "gateway/metrics.h"
#include "gateway/slack_sockets.h"

struct reader;

struct reader_config {
    const struct config *config;
    struct metrics *metrics;
};

/* Opens the store read-only and starts the thread. NULL: err says why. */
struct reader *reader_start(const struct reader_config *config, struct err *err);
/* Answers go out through the server; sockets: whose states /readyz tells. Call once, before the
 * first request can come. */
void reader_set_server(struct reader *r, struct http_server *server, struct slack_sockets *sockets);
void reader_stop(struct reader *r); /* joins; idempotent */
void reader_free(struct reader *r); /* NULL ok */

struct mailbox *reader_mailbox(struct reader *r); /* LETTER_READ, LETTER_CLOSED. Any thread. */
void reader_changed(struct reader *r,
                    const char *thread); /* has new events: streams move. Any thread. */
void reader_set_config(struct reader *r, const struct config *config); /* any thread */
void reader_set_ready(struct reader *r, bool ready); /* what /readyz says. Any thread. */
