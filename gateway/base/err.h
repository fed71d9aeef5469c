/* The one way to fail: a kind that says what may be done next, and a sentence for people, logs and
 * models. The caller owns the struct (on its stack); nothing is allocated. Any thread. */
#pragma once

#include "gateway/base/defs.h"

enum err_kind {
    ERR_NONE,
    ERR_INVALID,   /* the input is wrong; the same input will fail again */
    ERR_TOO_LARGE, /* over a limit */
    ERR_DENIED,    /* not allowed, or not proven to be */
    ERR_MISSING,   /* what it names does not exist */
    ERR_CONFLICT,  /* it was true once: already decided, already taken, no longer the same */
    ERR_TRANSIENT, /* did not happen; may succeed later */
    ERR_UNCERTAIN, /* may have happened: look before you repeat it */
};

enum { ERR_TEXT_SIZE = 240 };

struct err {
    enum err_kind kind;
    char text[ERR_TEXT_SIZE]; /* one sentence, UTF-8, no line break, cut at a character */
};

#define ERR_INIT          \
    {                     \
        .kind = ERR_NONE, \
    }

/* Fills err (may be NULL) and returns false, so that `return fail(err, ERR_INVALID, "…")` is the
 * only way out of a fallible function. The text is cut to fit; control characters become '?'. */
bool fail(struct err *err, enum err_kind kind, const char *fmt, ...) PRINTF(3, 4);

/* Puts "<context>: " before the sentence that is already there. Always false. */
bool fail_in(struct err *err, const char *context);

/* The word for logs and JSON: "invalid", "denied", … */
const char *err_kind_name(enum err_kind kind);
