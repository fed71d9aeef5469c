/* Reads JSON as models write it: with comments, trailing or missing commas, unquoted keys and
 * values, single, triple, back and curly quotes, quotes and line breaks inside strings. What is
 * strict JSON is read as such, and then no flag is set; every liberty taken sets one, so that the
 * caller can insist on strictness where a mistake would be costly. Linear in the length of the text
 * but for a short look ahead. Pure; any thread. */
#pragma once

#include "gateway/base/json.h"

enum {
    LOOSE_REPAIRED = 1 << 0, /* it was not strict JSON */
    LOOSE_UNCLOSED = 1 << 1, /* the text ended; nothing but closing brackets is missing */
    LOOSE_TORN = 1 << 2,     /* the text ended inside a string, a word, or after a key or comma */
    LOOSE_TWICE = 1 << 3,    /* an object has one key twice (both members are kept) */
};

enum { LOOSE_MAX_DEPTH = 256, LOOSE_MAX_MEMBERS = 500 };

struct loose {
    const struct json *value; /* an object or array */
    unsigned flags;
    size_t length; /* the bytes it took */
};

/* `text` begins with '{' or '[', is valid UTF-8 and may go on after the value. *reached is set in
 * any case: how many bytes were looked at. False: no value begins here. */
bool loose_json_parse(struct arena *a, struct span text, struct loose *out, size_t *reached)
    NODISCARD;

/* A JSON number and nothing else: no leading '+', zero or point, finite. */
bool loose_number(const char *text, double *out) NODISCARD;
