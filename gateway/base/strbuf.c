/* See strbuf.h. */
#include "gateway/base/strbuf.h"

#include <stdio.h>
#include <string.h>

void strbuf_init(struct strbuf *b, struct arena *a, size_t max)
{
    *b = (struct strbuf){.arena = a, .text = arena_alloc(a, 1), .room = 1, .max = max};
}

void strbuf_addn(struct strbuf *b, const char *text, size_t len)
{
    if (len == 0)
        return;
    if (b->overflowed || len > b->max - b->len) {
        b->overflowed = true;
        return;
    }
    if (b->len + len + 1 > b->room) {
        size_t room = b->room * 2 > b->len + len + 1 ? b->room * 2 : b->len + len + 1;
        room = room < 64 ? 64 : room;
        char *grown = arena_alloc(b->arena, room);
        memcpy(grown, b->text, b->len);
        b->text = grown;
        b->room = room;
    }
    memcpy(b->text + b->len, text, len);
    b->len += len;
    b->text[b->len] = '\0';
}

void strbuf_add(struct strbuf *b, const char *text)
{
    strbuf_addn(b, text, strlen(text));
}

void strbuf_addc(struct strbuf *b, char c)
{
    strbuf_addn(b, &c, 1);
}

void strbuf_addf(struct strbuf *b, const char *fmt, ...)
{
    char small[256];
    va_list args;
    va_start(args, fmt);
    int len = vsnprintf(small, sizeof small, fmt, args);
    va_end(args);
    if (len < 0)
        abort();
    if ((size_t)len < sizeof small) {
        strbuf_addn(b, small, (size_t)len);
        return;
    }
    va_start(args, fmt);
    char *big = arena_vprintf(b->arena, fmt, args);
    va_end(args);
    strbuf_addn(b, big, (size_t)len);
}

bool strbuf_overflowed(const struct strbuf *b)
{
    return b->overflowed;
}
