/* Validates a value against a JSON Schema (draft 2020-12), for the keywords that tools and
 * providers use: type enum const required properties additionalProperties items minimum maximum
 * exclusiveMinimum exclusiveMaximum minLength maxLength pattern minItems maxItems uniqueItems anyOf
 * oneOf allOf not $ref (inside the document) $defs, and true/false as schemas. Other keywords say
 * nothing, as the standard wants; json_schema_check() finds them beforehand.
 *
 * A number is an integer when it is whole and within ±(2^53 − 1). Bounded in depth and work, so
 * that a schema that turns in a circle is an error and not a hang. Pure; any thread. */
#pragma once

#include "gateway/base/json.h"

/* Is `value` valid? The sentence begins with the path below `name` and says what was expected, fit
 * for a person and for a model: "step.sha: does not match ^[0-9a-f]{40}$". */
bool json_schema_validate(const struct json *schema, const struct json *value, const char *name,
                          struct err *err) NODISCARD;

/* Is this a schema that json_schema_validate() understands to the last keyword? For schemas out of
 * the configuration: a constraint that nobody checks is worse than none. */
bool json_schema_check(const struct json *schema, struct err *err) NODISCARD;

/* The schema that `schema` stands for: follows $ref inside `root`; NULL when it leads nowhere. */
const struct json *json_schema_resolve(const struct json *root, const struct json *schema);

/* Searches `text` for an ECMA-262 pattern (unanchored, Unicode, \d is 0–9, $ only at the very end).
 * False with a sentence: ERR_INVALID it does not match, ERR_MISSING it is no pattern, ERR_TOO_LARGE
 * it takes too long. */
bool pattern_matches(const char *pattern, const char *text, struct err *err) NODISCARD;
