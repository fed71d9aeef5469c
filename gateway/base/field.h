/* One table row per key: it decodes JSON into a struct, checks it, applies the default, says which
 * key is wrong, prints the manual and writes the JSON Schema. All configuration, and the arguments
 * that come from models and other people's programs, go through such rows.
 *
 *     static const struct field limits_rows[] = {
 *         F_INT(struct limits, steps, "steps", 0, 1, 1000, "20", "model calls in one thread"),
 *         …
 *     };
 *     fields_decode(a, limits_rows, COUNT(limits_rows), node, &limits, &problems);
 *
 * A row whose member has another type is a compile error. Pure; any thread. */
#pragma once

#include "gateway/base/err.h"
#include "gateway/base/json.h"
#include "gateway/base/strbuf.h"

enum field_type {
    FIELD_TEXT,     /* const char * */
    FIELD_CHOICE,   /* const char *: one of `choices` */
    FIELD_ENUM,     /* an enum whose values are the positions in `choices` */
    FIELD_INT,      /* int64_t */
    FIELD_NUMBER,   /* double */
    FIELD_BOOL,     /* bool */
    FIELD_DURATION, /* int64_t, milliseconds; written "90s", "15m" */
    FIELD_SIZE,     /* int64_t, bytes; written "64KiB", "25MiB" */
    FIELD_TEXTS,    /* const char ** and size_t; checked one by one */
    FIELD_JSON,     /* const struct json *: kept as it is; `rows` then only feed the manual */
    FIELD_SECTION,  /* a struct of its own rows, inside this one */
    FIELD_LIST,     /* an array of structs (pointer and size_t), from a list */
    FIELD_MAP,      /* an array of structs, from a mapping of names to objects, in file order */
    FIELD_NAME,     /* no key: const char *, the name under which a FIELD_MAP element stands */
    FIELD_LINE,     /* no key: int, the line of the object (problems.line) */
    FIELD_SOURCE,   /* no key: const struct json *, the object itself */
};

enum {
    FIELD_REQUIRED = 1 << 0, /* must be there, wherever the row applies */
    FIELD_SECRET = 1 << 1,   /* its value appears in no sentence */
    FIELD_NOT_YET = 1 << 2,  /* legal and checked, but does nothing in this version: a warning */
    FIELD_IDENT = 1 << 3,    /* FIELD_MAP: the names are held to letters, digits, '_', '-', '.' */
    FIELD_EMPTY_OK = 1 << 4, /* texts: may be "" */
    FIELD_OWN = 1 << 5, /* FIELD_JSON: its owner decodes it, and reports what is absent in it */
};

/* For rows that are checked but stored nowhere. */
#define FIELD_NOWHERE ((size_t)-1)

struct field {
    const char *key;
    enum field_type type;
    unsigned flags;
    size_t offset, count_offset; /* into the struct; FIELD_NOWHERE: not stored */
    int64_t min, max; /* numbers: the value; texts: bytes; lists: not used. Both 0: no limit */
    const char *const *choices;       /* NULL-terminated */
    const char *const *choices_later; /* NULL-terminated: of `choices`, those that do nothing yet */
    const char *otherwise;            /* the default as one would write it; NULL: absent */
    const char *help;                 /* one sentence, no full stop */
    const char *when, *is; /* applies only while the sibling key `when` has the value `is` */
    bool (*check)(const char *text, struct err *err); /* texts: further checks; may be NULL */
    const struct field *rows; /* FIELD_SECTION, _LIST, _MAP: of an element */
    size_t n_rows, size;      /* … and its size */
};

enum problem_kind {
    PROBLEM_ERROR,   /* the whole is refused */
    PROBLEM_WARNING, /* legal but odd, or without effect in this version */
    PROBLEM_NOTE,    /* worth a line: a missing value that nothing needs */
};

/* How a value came to be: configuration takes values from the environment and from files. */
enum value_origin {
    VALUE_WRITTEN, /* as it stands there */
    VALUE_FETCHED, /* text from elsewhere, which may stand for a number or a truth value */
    VALUE_ABSENT,  /* named, but could not be fetched; *why is the sentence */
};

/* Where problems go, and what the decoder must know about the place that it reads from. All
 * callbacks may be NULL. Zeroed = count only. */
struct problems {
    /* `at` is the node that the problem concerns (the object, for a missing key). Copies nothing:
     * key_path and sentence are borrowed for the call. */
    void (*report)(void *ctx, enum problem_kind kind, const struct json *at, const char *key_path,
                   const char *sentence);
    int (*line)(void *ctx, const struct json *at);
    enum value_origin (*origin)(void *ctx, const struct json *at, const char **why);
    void *ctx;
    enum problem_kind absent_kind; /* what a used value that is VALUE_ABSENT is; 0 = an error */
    const char *path; /* of the object that is decoded, "agents.deploybot"; NULL: the root */
    bool unused;      /* this part does nothing in this version: absent values are notes */
    size_t errors, warnings, notes;
};

/* Reports about the key `key` of the object at problems->path (key NULL: the object itself).
 * problems may be NULL. Always false, so that `return problem(…)` ends a check. */
bool problem(struct problems *problems, enum problem_kind kind, const struct json *at,
             const char *key, const char *fmt, ...) PRINTF(5, 6);

/* Fills *out from `object`; true when it reported no error. Every problem is reported, unknown keys
 * with the name that was probably meant. Members whose key is absent or wrong hold their default.
 * An object that is NULL is an empty one. Texts are borrowed from `object`. */
bool fields_decode(struct arena *a, const struct field *rows, size_t n, const struct json *object,
                   void *out, struct problems *problems);

/* What `word` was probably meant to be; NULL when nothing is near. */
const char *nearest_word(const char *word, const char *const *words, size_t n);

/* JSON Schema (an object with properties, required, additionalProperties false). */
struct json *fields_schema(struct arena *a, const struct field *rows, size_t n);

/* One Markdown table row per key, nested keys after their section, as "prefix.key". */
void fields_manual(struct strbuf *out, const struct field *rows, size_t n, const char *prefix);

/* offsetof, or a compile error ("size of unnamed array is negative") for a member of another type.
 */
#define FIELD_OFFSET(st, member, ctype) \
    (offsetof(st, member) + 0 * sizeof(char[_Generic(((st *)0)->member, ctype : 1, default : -1)]))

/* The common rows. Rarer attributes are appended as designated initialisers:
 *     F_TEXT(struct x, url, "url", 0, NULL, "where it is", .check = check_url) */
#define F_TEXT(st, member, name, flag, def, text, ...)                                        \
    {                                                                                         \
        .key = (name), .type = FIELD_TEXT, .flags = (flag),                                   \
        .offset = FIELD_OFFSET(st, member, const char *), .otherwise = (def), .help = (text), \
        __VA_ARGS__                                                                           \
    }
#define F_CHOICE(st, member, name, flag, words, def, text, ...)                                   \
    {                                                                                             \
        .key = (name), .type = FIELD_CHOICE, .flags = (flag),                                     \
        .offset = FIELD_OFFSET(st, member, const char *), .choices = (words), .otherwise = (def), \
        .help = (text), __VA_ARGS__                                                               \
    }
#define F_ENUM(st, member, ctype, name, flag, words, def, text, ...)                       \
    {                                                                                      \
        .key = (name), .type = FIELD_ENUM, .flags = (flag),                                \
        .offset = FIELD_OFFSET(st, member, ctype), .choices = (words), .otherwise = (def), \
        .help = (text), __VA_ARGS__                                                        \
    }
#define F_INT(st, member, name, flag, low, high, def, text, ...)                  \
    {                                                                             \
        .key = (name), .type = FIELD_INT, .flags = (flag),                        \
        .offset = FIELD_OFFSET(st, member, int64_t), .min = (low), .max = (high), \
        .otherwise = (def), .help = (text), __VA_ARGS__                           \
    }
#define F_NUMBER(st, member, name, flag, low, high, def, text, ...)              \
    {                                                                            \
        .key = (name), .type = FIELD_NUMBER, .flags = (flag),                    \
        .offset = FIELD_OFFSET(st, member, double), .min = (low), .max = (high), \
        .otherwise = (def), .help = (text), __VA_ARGS__                          \
    }
#define F_BOOL(st, member, name, flag, def, text, ...)                                            \
    {                                                                                             \
        .key = (name), .type = FIELD_BOOL, .flags = (flag),                                       \
        .offset = FIELD_OFFSET(st, member, bool), .otherwise = (def), .help = (text), __VA_ARGS__ \
    }
#define F_DURATION(st, member, name, flag, low, high, def, text, ...)             \
    {                                                                             \
        .key = (name), .type = FIELD_DURATION, .flags = (flag),                   \
        .offset = FIELD_OFFSET(st, member, int64_t), .min = (low), .max = (high), \
        .otherwise = (def), .help = (text), __VA_ARGS__                           \
    }
#define F_SIZE(st, member, name, flag, low, high, def, text, ...)                 \
    {                                                                             \
        .key = (name), .type = FIELD_SIZE, .flags = (flag),                       \
        .offset = FIELD_OFFSET(st, member, int64_t), .min = (low), .max = (high), \
        .otherwise = (def), .help = (text), __VA_ARGS__                           \
    }
#define F_TEXTS(st, member, n_member, name, flag, text, ...)                            \
    {                                                                                   \
        .key = (name), .type = FIELD_TEXTS, .flags = (flag),                            \
        .offset = FIELD_OFFSET(st, member, const char **),                              \
        .count_offset = FIELD_OFFSET(st, n_member, size_t), .help = (text), __VA_ARGS__ \
    }
#define F_JSON(st, member, name, flag, text, ...)                                            \
    {                                                                                        \
        .key = (name), .type = FIELD_JSON, .flags = (flag),                                  \
        .offset = FIELD_OFFSET(st, member, const struct json *), .help = (text), __VA_ARGS__ \
    }
#define F_SECTION(st, member, ctype, name, flag, element_rows, text, ...)                 \
    {                                                                                     \
        .key = (name), .type = FIELD_SECTION, .flags = (flag),                            \
        .offset = FIELD_OFFSET(st, member, ctype), .rows = (element_rows),                \
        .n_rows = COUNT(element_rows), .size = sizeof(ctype), .help = (text), __VA_ARGS__ \
    }
#define F_LIST(st, member, n_member, ctype, name, flag, element_rows, text, ...)          \
    {                                                                                     \
        .key = (name), .type = FIELD_LIST, .flags = (flag),                               \
        .offset = FIELD_OFFSET(st, member, ctype *),                                      \
        .count_offset = FIELD_OFFSET(st, n_member, size_t), .rows = (element_rows),       \
        .n_rows = COUNT(element_rows), .size = sizeof(ctype), .help = (text), __VA_ARGS__ \
    }
#define F_MAP(st, member, n_member, ctype, name, flag, element_rows, text, ...)           \
    {                                                                                     \
        .key = (name), .type = FIELD_MAP, .flags = (flag),                                \
        .offset = FIELD_OFFSET(st, member, ctype *),                                      \
        .count_offset = FIELD_OFFSET(st, n_member, size_t), .rows = (element_rows),       \
        .n_rows = COUNT(element_rows), .size = sizeof(ctype), .help = (text), __VA_ARGS__ \
    }
#define F_NAME(st, member)                                                   \
    {                                                                        \
        .type = FIELD_NAME, .offset = FIELD_OFFSET(st, member, const char *) \
    }
#define F_LINE(st, member)                                          \
    {                                                               \
        .type = FIELD_LINE, .offset = FIELD_OFFSET(st, member, int) \
    }
#define F_SOURCE(st, member)                                                          \
    {                                                                                 \
        .type = FIELD_SOURCE, .offset = FIELD_OFFSET(st, member, const struct json *) \
    }
