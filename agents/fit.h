/* Fits a model's value to a schema where that loses and guesses nothing. Pure; any thread. */
#pragma once

#include "gateway/base/json.h"

enum {
    FIT_COERCED = 1 << 0, /* a value got the type wanted */
    FIT_DROPPED = 1 << 1, /* members that the schema does not know were left out */
};

/* A copy of `value` as `schema` (inside `root`, for $ref) wants it; what does not fit is left for
 * the validator to refuse. Always: null for an optional member is removed; "5" becomes 5 and
 * x becomes [x]. Unless `strict`: 42 becomes "42", [5] becomes 5, "true" becomes true, and members
 * that are not known are left out. */
const struct json *fit_value(struct arena *a, const struct json *root, const struct json *schema,
                             const struct json *value, bool strict, unsigned *flags);
