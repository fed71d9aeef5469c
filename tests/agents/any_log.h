/* Event logs out of any bytes, for tests and for the fuzzer: lives that a thread could have had
 * (what agent_next() and pipeline_next() want is done, the world answers as it likes), and logs
 * that make no sense at all. On the way everything pure is asked twice and held to what must always
 * be true; what is not is one abort() with a sentence. */
#pragma once

#include "agents/agent.h"
#include "deploybot/pipeline.h"

/* Where choices come from: first the bytes, then a random sequence that begins with the seed, or
 * zeros. */
struct dice {
    const uint8_t *bytes;
    size_t left;
    uint64_t seed; /* 0: zeros */
};

enum log_kind { LOG_OF_AGENT, LOG_OF_RUN, LOG_OF_NONSENSE, LOG_KINDS };

struct log_counts {
    size_t events, effects, started, finished, contexts;
};

/* Makes one log, checks it at each step, and adds to the counts. */
void any_log(enum log_kind kind, struct dice dice, struct log_counts *counts);
