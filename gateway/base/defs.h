/* The handful of macros that every file may use. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#define COUNT(array)      (sizeof(array) / sizeof((array)[0]))
#define CLEANUP(fn)       __attribute__((cleanup(fn)))
#define NODISCARD         __attribute__((warn_unused_result))
#define PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))

/* For code after a switch over one of our own enums: every value returned above. */
#define UNREACHABLE() abort()

/* Hands ownership on: the variable becomes NULL, so that its CLEANUP does nothing. */
#define TAKE(ptr)                      \
    __extension__({                    \
        __typeof__(ptr) took_ = (ptr); \
        (ptr) = NULL;                  \
        took_;                         \
    })

/* Bytes as they came off the wire or a file: not NUL-terminated, may hold any value. Borrowed. */
struct span {
    const char *at;
    size_t len;
};
