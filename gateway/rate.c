/* See rate.h. */
#include "gateway/rate.h"

enum { PROBES = 8 };

/* FNV-1a: spreads. */
static uint64_t hash_of(const char *key)
{
    uint64_t h = 1469598103934665603u;
    for (; *key != '\0'; key++)
        h = (h ^ (unsigned char)*key) * 1099511628211u;
    return h;
}

/* The key's slot of this minute, or the one that it may have: an old one, or, where all are taken,
 * one that it shares. Sharing makes a limit come early and never late. */
static size_t slot_of(const struct rate *r, uint64_t h, int64_t minute)
{
    size_t old = RATE_SLOTS;
    for (size_t i = 0; i < PROBES; i++) {
        size_t at = (h + i) % RATE_SLOTS;
        if (r->slots[at].minute == minute && r->slots[at].key == h)
            return at;
        if (r->slots[at].minute != minute && old == RATE_SLOTS)
            old = at;
    }
    return old < RATE_SLOTS ? old : h % RATE_SLOTS;
}

bool rate_count(struct rate *r, const char *key, int64_t limit, int64_t now_ms)
{
    uint64_t h = hash_of(key);
    int64_t minute = now_ms / 60000;
    size_t at = slot_of(r, h, minute);
    if (r->slots[at].minute != minute) {
        r->slots[at].key = h;
        r->slots[at].minute = minute;
        r->slots[at].count = 0;
    }
    return ++r->slots[at].count <= limit;
}

bool rate_is_over(const struct rate *r, const char *key, int64_t limit, int64_t now_ms)
{
    int64_t minute = now_ms / 60000;
    size_t at = slot_of(r, hash_of(key), minute);
    return r->slots[at].minute == minute && r->slots[at].count >= limit;
}
