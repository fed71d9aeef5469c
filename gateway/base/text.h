/* Small pure functions on text and bytes. Any thread. */
#pragma once

#include "gateway/base/arena.h"
#include "gateway/base/err.h"

struct span span_of(const char *text); /* NULL gives an empty span */
bool span_eq(struct span a, const char *text);
bool text_eq(const char *a, const char *b); /* NULL equals only NULL */
bool text_starts(const char *text, const char *prefix);
bool text_ends(const char *text, const char *suffix);

/* A whole decimal number and nothing else: no sign but '-', no space, in min..max. */
bool text_to_int(const char *text, int64_t min, int64_t max, int64_t *out) NODISCARD;

/* "10s", "15m", "4h", "7d", "250ms" → milliseconds. A whole number and a unit, nothing else. */
bool text_to_duration_ms(const char *text, int64_t *out_ms) NODISCARD;
/* The shortest exact form: 900000 → "15m". */
char *text_from_duration_ms(struct arena *a, int64_t ms);

/* UTF-8 (RFC 3629: no surrogates, no overlong forms). */
bool utf8_valid(struct span s);
/* The code point that begins s and the bytes it takes: 1 to 4; 0 when s is empty or invalid. */
size_t utf8_next(struct span s, uint32_t *out);
/* The UTF-8 of a code point (not a surrogate, at most U+10FFFF): the bytes written, 1 to 4. */
size_t utf8_encode(uint32_t code, char out[4]);
/* The code points in valid UTF-8. */
size_t utf8_length(const char *text);
/* At most max_bytes of text, cut between characters; says "…" where it was cut (inside the limit).
 */
char *text_truncate(struct arena *a, const char *text, size_t max_bytes);
/* Every invalid byte becomes U+FFFD and NUL too, so that foreign bytes can be shown and stored. */
char *utf8_clean(struct arena *a, struct span s);
/* One harmless line for terminals and logs: control characters, and the marks that reorder or hide
 * text (U+202A–202E, U+2066–2069, U+200B–200F, U+FEFF), become visible as \u202e. */
char *text_one_line(struct arena *a, const char *text);
/* The same for a block of text: line feeds and tabs stay. */
char *text_visible(struct arena *a, const char *text);

char *hex_encode(struct arena *a, struct span s); /* lower case */
bool hex_decode(struct arena *a, const char *hex, struct span *out) NODISCARD;
char *base64_encode(struct arena *a, struct span s); /* with padding */
bool base64_decode(struct arena *a, const char *text, struct span *out)
    NODISCARD;                                          /* padding optional */
char *base64url_encode(struct arena *a, struct span s); /* without padding */
bool base64url_decode(struct arena *a, const char *text, struct span *out)
    NODISCARD; /* padding optional */

/* One path segment or query value: all but A–Z a–z 0–9 - . _ ~ is percent-encoded. RFC 3986 2.3. */
char *url_encode(struct arena *a, const char *text);
/* Percent-decoding; '+' is a space when `form`. Fails on a bad escape or a NUL. The bytes may be
 * invalid UTF-8: utf8_clean() what is kept or shown. */
bool url_decode(struct arena *a, struct span s, bool form, char **out) NODISCARD;
/* The first value of `name` in "a=1&b=2" (form or query), decoded; NULL when absent or broken. */
char *form_value(struct arena *a, struct span form, const char *name);

/* Text and attribute values in HTML: & < > " ' are escaped. */
char *html_escape(struct arena *a, const char *text);

/* RFC 3339 with milliseconds and Z: "2026-03-15T10:00:00.000Z". Pure: no time zone, no locale. */
char *time_format(struct arena *a, int64_t at_ms);
/* RFC 3339 → Unix milliseconds; any offset, fraction optional. */
bool time_parse(const char *text, int64_t *out_ms) NODISCARD;

/* Equal bytes, in time that depends on the lengths alone. For every comparison of secrets. */
bool secret_eq(struct span a, struct span b);
