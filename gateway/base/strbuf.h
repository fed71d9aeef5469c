/* Growing text in an arena, with a bound. Overflow is remembered, not returned: build everything,
 * then ask once with strbuf_overflowed(). The text is always NUL-terminated. One thread at a time.
 */
#pragma once

#include "gateway/base/arena.h"

struct strbuf {
    struct arena *arena;
    char *text;  /* valid text at all times, "" at first */
    size_t len;  /* without the NUL */
    size_t room; /* allocated, with the NUL */
    size_t max;  /* the longest len allowed */
    bool overflowed;
};

/* Cannot fail. `max` in bytes. */
void strbuf_init(struct strbuf *b, struct arena *a, size_t max);

/* Append. What would pass `max` is left out whole, and so is all that follows. */
void strbuf_add(struct strbuf *b, const char *text);
void strbuf_addn(struct strbuf *b, const char *text, size_t len);
void strbuf_addc(struct strbuf *b, char c);
void strbuf_addf(struct strbuf *b, const char *fmt, ...) PRINTF(2, 3);

bool strbuf_overflowed(const struct strbuf *b);
