/* See rate.h. */
#include "gateway/rate.h"

/* FNV-1a: spreads; collisions only make a limit come early. */
static uint64_t hash_of(const char *key)
{
    uint64_t h = 1469598103934665603u;
    for (; *key != '\0'; key++)
        h = (h ^ (unsigned char)*key) * 1099511628211u;
    return h;
}

bool rate_count(struct rate *r, const char *key, int64_t limit, int64_t now_ms)
{
    uint64_t h = hash_of(key);
    size_t at = h % RATE_SLOTS;
    int64_t minute = now_ms / 60000;
    if (r->slots[at].key != h || r->slots[at].minute != minute) {
        r->slots[at].key = h;
        r->slots[at].minute = minute;
        r->slots[at].count = 0;
    }
    return ++r->slots[at].count <= limit;
}

bool rate_is_over(const struct rate *r, const char *key, int64_t limit, int64_t now_ms)
{
    uint64_t h = hash_of(key);
    size_t at = h % RATE_SLOTS;
    return r->slots[at].key == h && r->slots[at].minute == now_ms / 60000 &&
           r->slots[at].count >= limit;
}
