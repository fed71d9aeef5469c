/* The same events give the same bytes (promise 10), shown on a stored thread: before each of its
 * events, everything that went before is folded, rendered and asked again, and what the log says
 * was asked, read and done must come out once more. Reads only; one thread at a time. */
#pragma once

#include "gateway/config.h"
#include "gateway/store.h"

enum replay_verdict {
    REPLAY_SAME,      /* it comes out again */
    REPLAY_DIFFERENT, /* it does not */
    REPLAY_UNKNOWN,   /* the log or the configuration does not hold what it would take to say */
};

struct replay_line {
    int64_t seq;
    enum event_type type;
    enum replay_verdict verdict;
    const char *sentence;
};

struct replay {
    const char *thread, *what; /* what: the agent or the pipeline; NULL: an outside agent's */
    int64_t events;
    struct replay_line *lines; /* one for each event that a replay can judge */
    size_t count;
    size_t different, unknown;
    /* SHA-256 over every context and every list of effects on the way: equal for equal replays. */
    const char *digest;
};

bool replay_thread(struct arena *a, const struct config *config, struct store *s, const char *id,
                   struct replay *out, struct err *err) NODISCARD;
