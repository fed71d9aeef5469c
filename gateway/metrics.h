/* Counters and gauges, one table; text for /metrics (Prometheus exposition format 0.0.4). Counting
 * is atomic: any thread. */
#pragma once

#include "gateway/base/arena.h"

#define METRICS(X)                                                                                 \
    X(WEBHOOKS_STORED, "webhooks_stored_total", "webhooks whose event became durable")             \
    X(WEBHOOKS_SEEN, "webhooks_seen_total", "webhooks that were delivered before")                 \
    X(WEBHOOKS_IGNORED, "webhooks_ignored_total", "well-signed webhooks with nothing to do")       \
    X(WEBHOOKS_DENIED, "webhooks_denied_total", "webhooks without a valid signature")              \
    X(SOCKETS_OPENED, "sockets_opened_total", "connections to Slack that it said hello on")        \
    X(SOCKETS_LOST, "sockets_lost_total", "connections to Slack that ended, for any reason")       \
    X(SOCKET_ENVELOPES, "socket_envelopes_total", "envelopes that came over them")                 \
    X(SOCKET_ACKS, "socket_acks_total", "envelopes acknowledged: their events are durable")        \
    X(REQUESTS_RAISED, "requests_raised_total", "approvals and questions raised")                  \
    X(REQUESTS_DECIDED, "requests_decided_total", "requests decided by people")                    \
    X(REQUESTS_EXPIRED, "requests_expired_total", "requests that nobody decided in time")          \
    X(VOTES, "votes_total", "votes counted")                                                       \
    X(VOTES_REFUSED, "votes_refused_total", "votes that did not count")                            \
    X(STEPS, "steps_total", "model calls begun")                                                   \
    X(STEPS_REFUSED, "steps_refused_total", "answers that were no valid step")                     \
    X(MODEL_RETRIES, "model_retries_total", "model calls tried again")                             \
    X(MODEL_FAILURES, "model_failures_total", "model calls given up")                              \
    X(TOOLS_STARTED, "tools_started_total", "commands and reads begun")                            \
    X(TOOLS_FAILED, "tools_failed_total", "tools that did not end ok")                             \
    X(TOOLS_REFUSED, "tools_refused_total", "approved calls that a check stopped before they ran") \
    X(DELIVERIES_SENT, "deliveries_sent_total", "messages sent")                                   \
    X(DELIVERIES_RETRIED, "deliveries_retried_total", "messages tried again")                      \
    X(DELIVERIES_FAILED, "deliveries_failed_total", "messages that cannot be delivered")           \
    X(DELIVERIES_UNKNOWN, "deliveries_unknown_total", "messages whose fate had to be looked up")   \
    X(COMMITS, "commits_total", "store commits")                                                   \
    X(COMMITS_FAILED, "commits_failed_total", "store commits that failed")                         \
    X(LETTERS, "letters_total", "letters handled")                                                 \
    X(LETTERS_FAILED, "letters_failed_total", "letters whose handling was rolled back")            \
    X(LETTERS_SLOW, "letters_slow_total", "letters that took over 50 ms")                          \
    X(RATE_LIMITED, "rate_limited_total", "requests answered 429")

enum metric {
#define X(id, name, help) METRIC_##id,
    METRICS(X)
#undef X
        METRIC_COUNT
};

struct metrics;
struct metrics *metrics_new(void);
void metrics_free(struct metrics *m); /* NULL ok */
void metrics_add(struct metrics *m, enum metric metric, int64_t n);
int64_t metrics_get(const struct metrics *m, enum metric metric);
/* All of them; `gauges` is more text of the same format, or NULL. */
char *metrics_render(const struct metrics *m, struct arena *a, const char *gauges);
