/* Memory with one lifetime. Whoever starts a unit of work (a webhook, a step, a delivery) makes an
 * arena, passes it down and ends it in one place:
 *
 *     CLEANUP(arena_done) struct arena a = ARENA_INIT;
 *
 * Nothing in it is freed alone. Allocation is zeroed and cannot fail: out of memory aborts, the
 * store is durable and a supervisor starts us again. One thread at a time. */
#pragma once

#include "gateway/base/defs.h"

#include <stdarg.h>

struct arena {
    struct arena_block *blocks; /* newest first */
    struct arena_defer *defers; /* newest first */
};

#define ARENA_INIT \
    {              \
        NULL, NULL \
    }

/* Runs the deferred functions, newest first, then frees everything. Idempotent. */
void arena_done(struct arena *a);

/* `size` zeroed bytes, aligned for any type. A size of 0 gives a valid pointer. */
void *arena_alloc(struct arena *a, size_t size) __attribute__((malloc, returns_nonnull));

/* An array of `count` zeroed elements; aborts on overflow. */
void *arena_array(struct arena *a, size_t count, size_t size) __attribute__((returns_nonnull));

#define ARENA_NEW(a, type)          ((type *)arena_alloc((a), sizeof(type)))
#define ARENA_ARRAY(a, type, count) ((type *)arena_array((a), (count), sizeof(type)))

/* Copies. arena_strdup(NULL) is NULL. arena_strndup copies exactly len bytes and adds a NUL. */
char *arena_strdup(struct arena *a, const char *text);
char *arena_strndup(struct arena *a, const char *text, size_t len);
char *arena_printf(struct arena *a, const char *fmt, ...) PRINTF(2, 3);
char *arena_vprintf(struct arena *a, const char *fmt, va_list args) PRINTF(2, 0);

/* fn(arg) runs when the arena ends: ties a handle of a library to this unit of work. */
void arena_defer(struct arena *a, void (*fn)(void *arg), void *arg);
