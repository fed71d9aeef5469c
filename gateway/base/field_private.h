/* What field.c and field_doc.c share: the words for what a row allows. */
#pragma once

#include "gateway/base/field.h"

bool field_has_limits(const struct field *row);
const char *field_range(struct arena *a, const struct field *row);  /* "1s to 7d" */
const char *field_words(struct arena *a, const char *const *words); /* "a, b, c" */
