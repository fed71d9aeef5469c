/* What the files of JSON share: json.c (the tree), json_check.c (the strict check) and json_write.c
 * (text and canonical text). */
#pragma once

#include "gateway/base/json.h"

/* The largest integer of which each smaller one is a double too: 2^53 - 1. */
#define JSON_MAX_EXACT 9007199254740991.0

/* The strict check that text from outside passes before cJSON sees it: one value and nothing after
 * it, valid UTF-8, no U+0000, no lone surrogate, at most JSON_MAX_DEPTH levels, numbers as RFC 8259
 * writes them. Names that appear twice are found later, in the tree. The sentence says where. */
bool json_check(struct span in, struct err *err) NODISCARD;
