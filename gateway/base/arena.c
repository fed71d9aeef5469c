/* See arena.h. */
#include "gateway/base/arena.h"

#include <stdio.h>
#include <string.h>

struct arena_block {
    struct arena_block *next;
    size_t used, size;
    max_align_t data[];
};

struct arena_defer {
    struct arena_defer *next;
    void (*fn)(void *arg);
    void *arg;
};

enum { BLOCK_BYTES = 4096 - sizeof(struct arena_block) };

static struct arena_block *block_new(struct arena *a, size_t size)
{
    struct arena_block *block = calloc(1, sizeof *block + size);
    if (block == NULL)
        abort();
    block->size = size;
    block->next = a->blocks;
    a->blocks = block;
    return block;
}

void *arena_alloc(struct arena *a, size_t size)
{
    if (size > SIZE_MAX / 2)
        abort();
    size_t rounded = (size + sizeof(max_align_t) - 1) / sizeof(max_align_t) * sizeof(max_align_t);
    struct arena_block *block = a->blocks;
    if (block == NULL || block->size - block->used < rounded) {
        if (rounded > BLOCK_BYTES / 4 && block != NULL) {
            /* A big one gets a block of its own behind the current one, which stays in use. */
            struct arena_block *big = calloc(1, sizeof *big + rounded);
            if (big == NULL)
                abort();
            big->size = big->used = rounded;
            big->next = block->next;
            block->next = big;
            return big->data;
        }
        block = block_new(a, rounded > BLOCK_BYTES ? rounded : BLOCK_BYTES);
    }
    char *at = (char *)block->data + block->used;
    block->used += rounded;
    return at;
}

void *arena_array(struct arena *a, size_t count, size_t size)
{
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes))
        abort();
    return arena_alloc(a, bytes);
}

void arena_done(struct arena *a)
{
    struct arena_defer *defer = a->defers;
    a->defers = NULL;
    for (; defer != NULL; defer = defer->next)
        defer->fn(defer->arg);
    struct arena_block *block = a->blocks;
    a->blocks = NULL;
    while (block != NULL) {
        struct arena_block *next = block->next;
        free(block);
        block = next;
    }
}

char *arena_strndup(struct arena *a, const char *text, size_t len)
{
    char *copy = arena_alloc(a, len + 1);
    if (len > 0)
        memcpy(copy, text, len);
    return copy;
}

char *arena_strdup(struct arena *a, const char *text)
{
    return text == NULL ? NULL : arena_strndup(a, text, strlen(text));
}

char *arena_vprintf(struct arena *a, const char *fmt, va_list args)
{
    va_list again;
    va_copy(again, args);
    int len = vsnprintf(NULL, 0, fmt, again);
    va_end(again);
    if (len < 0)
        abort();
    char *text = arena_alloc(a, (size_t)len + 1);
    vsnprintf(text, (size_t)len + 1, fmt, args);
    return text;
}

char *arena_printf(struct arena *a, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    char *text = arena_vprintf(a, fmt, args);
    va_end(args);
    return text;
}

void arena_defer(struct arena *a, void (*fn)(void *arg), void *arg)
{
    struct arena_defer *defer = ARENA_NEW(a, struct arena_defer);
    defer->fn = fn;
    defer->arg = arg;
    defer->next = a->defers;
    a->defers = defer;
}
