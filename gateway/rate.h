/* Counts per key and minute, for refusing what comes too often. Small: with very many keys some
 * share a slot, and then a limit comes early. One thread at a time. */
#pragma once

#include "gateway/base/defs.h"

enum { RATE_SLOTS = 2048 };

struct rate {
    struct {
        uint64_t key;
        int64_t minute, count;
    } slots[RATE_SLOTS];
};

/* Counts one; false when more than `limit` were counted for this key in this minute. */
bool rate_count(struct rate *r, const char *key, int64_t limit, int64_t now_ms);
/* Would the next one be over the limit? Counts nothing. */
bool rate_is_over(const struct rate *r, const char *key, int64_t limit, int64_t now_ms);
