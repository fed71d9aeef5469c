/* JSON: a read-only tree in an arena, a strict parser, writers, and RFC 8785 canonical text.
 *
 * json.c is the only file that knows cJSON. Text from outside passes one strict check first:
 * valid UTF-8, no duplicate keys, no U+0000, no lone surrogate, bounded depth and size.
 * Lookups are case-sensitive. Absent members are NULL pointers, and every function that reads
 * takes NULL for "absent", so that look-ups chain without checks. Pure; any thread. */
#pragma once

#include "gateway/base/arena.h"
#include "gateway/base/err.h"

enum json_type {
    JSON_NULL,
    JSON_FALSE,
    JSON_TRUE,
    JSON_NUMBER,
    JSON_STRING,
    JSON_ARRAY,
    JSON_OBJECT
};

enum { JSON_MAX_DEPTH = 64 };

struct json {
    enum json_type type;
    bool in_container;    /* stands in an array or object; json.c's own, as the next */
    bool shares_children; /* a shallow copy: its child list is changed in a copy only */
    const char *key;      /* in an object: this member's name; else NULL */
    const char *text;     /* JSON_STRING: UTF-8 without NUL */
    double number;        /* JSON_NUMBER */
    struct json *child;   /* JSON_ARRAY, JSON_OBJECT: the first element */
    struct json *last;    /* … and the last, for appending */
    struct json *next;    /* the next sibling */
};

/* The whole of `in` must be one value. max_bytes 0 = 4 MiB. The sentence says where ("at byte 12").
 */
bool json_parse(struct arena *a, struct span in, size_t max_bytes, struct json **out,
                struct err *err) NODISCARD;
/* Text of our own making or out of our own store; aborts when it is no JSON. */
struct json *json_parse_own(struct arena *a, const char *text);

/* Reading. A path is member names joined by '.', array items by number: "event.blocks.0.type". */
const struct json *json_get(const struct json *object, const char *key);
const struct json *json_at(const struct json *root, const char *path);
const char *json_text(const struct json *j); /* NULL unless a string */
const char *json_text_at(const struct json *root, const char *path);
const char *json_text_or(const struct json *root, const char *path, const char *otherwise);
bool json_is_true(const struct json *j);
/* An exact integer within ±(2^53 − 1), else `otherwise`. */
int64_t json_int_or(const struct json *j, int64_t otherwise);
bool json_is_int(const struct json *j);
size_t json_count(const struct json *j); /* elements or members */
/* Does anything in it stand inside more than so many containers? */
bool json_is_deeper(const struct json *j, unsigned levels);
bool json_equal(const struct json *a,
                const struct json *b); /* deep; member order is nothing; 1.0 == 1 */

#define JSON_EACH(item, container) \
    for (const struct json *item = (container) ? (container)->child : NULL; item; item = item->next)

/* Building, in the arena. A text or value that is NULL becomes null, a number that is not finite
 * too. Texts are borrowed, not copied; keys are copied. */
struct json *json_object(struct arena *a);
struct json *json_array(struct arena *a);
struct json *json_string(struct arena *a, const char *text);
struct json *json_number(struct arena *a, double number);
struct json *json_bool(struct arena *a, bool value);
struct json *json_null(struct arena *a);
/* Adds `value` under `key` (replaces a member of that name) and returns `value`. A value that
 * already stands in a container is copied (shallowly: its children are shared). */
struct json *json_set(struct arena *a, struct json *object, const char *key,
                      const struct json *value);
/* The same for a key that is known not to be there: costs nothing more in a large object. */
struct json *json_add(struct arena *a, struct json *object, const char *key,
                      const struct json *value);
struct json *json_set_text(struct arena *a, struct json *object, const char *key, const char *text);
struct json *json_set_int(struct arena *a, struct json *object, const char *key, int64_t value);
struct json *json_set_bool(struct arena *a, struct json *object, const char *key, bool value);
struct json *json_push(struct arena *a, struct json *array, const struct json *value);
struct json *json_push_text(struct arena *a, struct json *array, const char *text);
/* A copy of an object without one member; itself when there is no such member. */
const struct json *json_without(struct arena *a, const struct json *object, const char *key);

/* Compact text, members in their order; absent is null. Bytes that are not UTF-8 become U+FFFD. */
char *json_write(struct arena *a, const struct json *j);
/* Two spaces a level, for people. */
char *json_write_pretty(struct arena *a, const struct json *j);
/* RFC 8785 (JCS): members sorted by UTF-16 code units, numbers as ECMAScript prints them, minimal
 * escapes. The same value gives the same bytes everywhere; what hashes are made of. */
char *json_canonical(struct arena *a, const struct json *j);
/* What stands between the quotes when `text` is a JSON string. */
char *json_escape(struct arena *a, const char *text);
