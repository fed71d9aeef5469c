/* See loose_json.h. A recursive descent of bounded depth. The one hard question is where a string
 * or an unquoted value ends when nobody escaped what is inside; the answer is always "where the
 * syntax goes on as it should": before a closing bracket, or before a comma and another member. */
#include "agents/loose_json.h"

#include "gateway/base/strbuf.h"
#include "gateway/base/text.h"

#include <math.h>
#include <string.h>

enum {
    LOOK_AHEAD = 200, /* bytes; the longest key that is recognised after a broken string */
    MAX_NUMBER = 63,
};

enum place { IN_KEY, IN_OBJECT, IN_ARRAY };

struct parser {
    struct arena *arena;
    const char *at, *end;
    unsigned depth, flags;
};

static struct json *parse_value(struct parser *p, enum place place);

/* ---- looking ----------------------------------------------------------------------------- */

static bool is_space(char c)
{
    return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

static bool is_name_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c != '\0' && strchr("_-.$", c) != NULL);
}

static const char *after_space(const struct parser *p, const char *at)
{
    while (at < p->end && is_space(*at))
        at++;
    return at;
}

static bool starts(const struct parser *p, const char *at, const char *with)
{
    size_t len = strlen(with);
    return (size_t)(p->end - at) >= len && memcmp(at, with, len) == 0;
}

static bool at_comment(const struct parser *p, const char *at)
{
    return starts(p, at, "//") || starts(p, at, "/*");
}

/* Triple quotes first, as they begin with single ones. Curly quotes close with either form. */
static const struct quote {
    const char *open, *close, *close_too;
} quotes[] = {
    {"\"\"\"", "\"\"\"", "\"\"\""},
    {"'''", "'''", "'''"},
    {"\"", "\"", "\""},
    {"'", "'", "'"},
    {"`", "`", "`"},
    {"“", "”", "“"},
    {"”", "”", "“"},
    {"„", "“", "”"},
    {"‘", "’", "‘"},
    {"’", "’", "‘"},
};

static const struct quote *quote_at(const struct parser *p, const char *at)
{
    for (size_t i = 0; i < COUNT(quotes); i++)
        if (starts(p, at, quotes[i].open))
            return &quotes[i];
    return NULL;
}

/* The bytes of the closing quote at `at`, or 0. */
static size_t closing(const struct parser *p, const struct quote *q, const char *at)
{
    if (starts(p, at, q->close))
        return strlen(q->close);
    return starts(p, at, q->close_too) ? strlen(q->close_too) : 0;
}

/* Do a key and its ':' stand at `at`? A key longer than the look-ahead gets the benefit of doubt.
 */
static bool is_member(const struct parser *p, const char *at)
{
    const char *limit = p->end - at > LOOK_AHEAD ? at + LOOK_AHEAD : p->end;
    const struct quote *q = at < p->end ? quote_at(p, at) : NULL;
    const char *from = at;
    if (q != NULL) {
        for (at += strlen(q->open); at < limit && closing(p, q, at) == 0; at++)
            at += *at == '\\';
        if (at < limit)
            at += closing(p, q, at);
    } else {
        while (at < limit && is_name_char(*at))
            at++;
        if (at == from)
            return false;
    }
    if (at >= limit)
        return limit < p->end;
    at = after_space(p, at);
    return at < p->end && *at == ':' && !starts(p, at, "://");
}

/* After a comma inside an object: does it separate members, or belong to a text? */
static bool separates_members(const struct parser *p, const char *at)
{
    at = after_space(p, at);
    return at == p->end || *at == '}' || *at == ',' || *at == '/' || is_member(p, at);
}

/* A forgotten comma: another member stands at `next`, plainly. */
static bool begins_member(const struct parser *p, const char *at, const char *next)
{
    size_t gap = (size_t)(next - at);
    bool is_plain = gap > 0 && (quote_at(p, next) != NULL || memchr(at, '\n', gap) != NULL);
    return is_plain && is_member(p, next);
}

/* Is the quote that ends before `at` the end of the string? */
static bool string_ends(const struct parser *p, const char *at, enum place place)
{
    const char *next = after_space(p, at);
    if (next == p->end)
        return true;
    switch (place) {
    case IN_KEY:
        return *next == ':';
    case IN_ARRAY:
        return *next == ',' || *next == ']' || at_comment(p, next);
    case IN_OBJECT:
        if (*next == ',')
            return separates_members(p, next + 1);
        return *next == '}' || at_comment(p, next) || begins_member(p, at, next);
    }
    UNREACHABLE();
}

/* ---- space and comments ------------------------------------------------------------------ */

static void skip_comment(struct parser *p)
{
    p->flags |= LOOSE_REPAIRED;
    if (p->at[1] == '/') {
        const char *line = memchr(p->at, '\n', (size_t)(p->end - p->at));
        p->at = line == NULL ? p->end : line;
        return;
    }
    const char *close = memmem(p->at + 2, (size_t)(p->end - p->at) - 2, "*/", 2);
    p->at = close == NULL ? p->end : close + 2;
}

static void skip_space(struct parser *p)
{
    for (p->at = after_space(p, p->at); at_comment(p, p->at); p->at = after_space(p, p->at))
        skip_comment(p);
}

/* ---- strings ----------------------------------------------------------------------------- */

static int hex4(const struct parser *p, const char *at)
{
    int value = 0;
    if (p->end - at < 4)
        return -1;
    for (int i = 0; i < 4; i++) {
        const char *digit = at[i] == '\0' ? NULL : strchr("0123456789abcdef", at[i] | 0x20);
        if (digit == NULL || (at[i] < '0'))
            return -1;
        value = value << 4 | (int)(digit - "0123456789abcdef");
    }
    return value;
}

/* \uXXXX, surrogates in pairs. U+0000 and lone surrogates are no text: false. */
static bool take_unicode(struct parser *p, struct strbuf *b)
{
    int code = hex4(p, p->at + 2);
    p->at += 6;
    if (code >= 0xD800 && code < 0xDC00) {
        int low = starts(p, p->at, "\\u") ? hex4(p, p->at + 2) : -1;
        if (low < 0xDC00 || low > 0xDFFF)
            return false;
        code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
        p->at += 6;
    }
    if (code <= 0 || (code >= 0xD800 && code < 0xE000))
        return false;
    char utf8[4];
    strbuf_addn(b, utf8, utf8_encode((uint32_t)code, utf8));
    return true;
}

/* At a backslash. What is no escape of JSON stays as it stands, but for quotes. */
static bool take_escape(struct parser *p, struct strbuf *b)
{
    static const char names[] = "\"\\/bfnrt", bytes[] = "\"\\/\b\f\n\r\t";
    if (p->end - p->at < 2) {
        p->flags |= LOOSE_TORN;
        p->at = p->end;
        return true;
    }
    char c = p->at[1];
    const char *known = c == '\0' ? NULL : strchr(names, c);
    if (known != NULL) {
        strbuf_addc(b, bytes[known - names]);
        p->at += 2;
        return true;
    }
    if (c == 'u' && hex4(p, p->at + 2) >= 0)
        return take_unicode(p, b);
    p->flags |= LOOSE_REPAIRED;
    if (c != '\'' && c != '`')
        strbuf_addc(b, '\\');
    p->at++;
    return true;
}

/* At the opening quote; the text without it, or NULL. Without an end it is torn. */
static char *parse_string(struct parser *p, const struct quote *q, enum place place)
{
    bool is_raw = strlen(q->open) == 3 && q->open[0] == q->open[1];
    struct strbuf b;
    strbuf_init(&b, p->arena, SIZE_MAX / 8);
    if (strcmp(q->open, "\"") != 0)
        p->flags |= LOOSE_REPAIRED;
    p->at += strlen(q->open);
    while (p->at < p->end) {
        size_t close = closing(p, q, p->at);
        if (close > 0 && (is_raw || string_ends(p, p->at + close, place))) {
            p->at += close;
            return b.text;
        }
        if (*p->at == '\\' && !is_raw) {
            if (!take_escape(p, &b))
                return NULL;
            continue;
        }
        if (close > 0 || (unsigned char)*p->at < 0x20)
            p->flags |= LOOSE_REPAIRED;
        strbuf_addc(&b, *p->at++);
    }
    p->flags |= LOOSE_TORN;
    return b.text;
}

/* ---- words and numbers ------------------------------------------------------------------- */

static const char *digits(const char *at)
{
    const char *from = at;
    while (*at >= '0' && *at <= '9')
        at++;
    return at > from ? at : NULL;
}

bool loose_number(const char *text, double *out)
{
    const char *at = text + (*text == '-');
    if (strlen(text) > MAX_NUMBER)
        return false;
    at = *at == '0' ? at + 1 : digits(at);
    if (at != NULL && *at == '.')
        at = digits(at + 1);
    if (at != NULL && (*at == 'e' || *at == 'E'))
        at = digits(at + 1 + (at[1] == '+' || at[1] == '-'));
    if (at == NULL || *at != '\0')
        return false;
    *out = strtod(text, NULL);
    return isfinite(*out);
}

static struct json *word_value(struct parser *p, const char *word)
{
    static const struct {
        const char *word;
        enum json_type type;
    } words[] = {{"true", JSON_TRUE},     {"false", JSON_FALSE}, {"null", JSON_NULL},
                 {"True", JSON_TRUE},     {"False", JSON_FALSE}, {"None", JSON_NULL},
                 {"TRUE", JSON_TRUE},     {"FALSE", JSON_FALSE}, {"NULL", JSON_NULL},
                 {"undefined", JSON_NULL}};
    double number;
    if (loose_number(word, &number))
        return json_number(p->arena, number);
    for (size_t i = 0; i < COUNT(words); i++)
        if (strcmp(word, words[i].word) == 0) {
            p->flags |= i >= 3 ? LOOSE_REPAIRED : 0;
            struct json *value = json_null(p->arena);
            value->type = words[i].type;
            return value;
        }
    p->flags |= LOOSE_REPAIRED;
    return json_string(p->arena, word);
}

static bool word_ends(const struct parser *p, const char *at, const char *from, enum place place)
{
    char c = *at;
    if (c == '}' || (c == ']' && place == IN_ARRAY))
        return true;
    if (c == ',')
        return place == IN_ARRAY || separates_members(p, at + 1);
    if (c == '\n' && place == IN_OBJECT)
        return is_member(p, after_space(p, at));
    return at > from && is_space(at[-1]) && at_comment(p, at);
}

/* An unquoted value: a number, a word, or a whole sentence. */
static struct json *parse_word(struct parser *p, enum place place)
{
    const char *from = p->at, *at = from;
    while (at < p->end && !word_ends(p, at, from, place))
        at++;
    bool at_end = at == p->end;
    p->at = at;
    while (at > from && is_space(at[-1]))
        at--;
    if (at == from)
        return NULL;
    struct json *value = word_value(p, arena_strndup(p->arena, from, (size_t)(at - from)));
    if (at_end && value->type == JSON_STRING)
        p->flags |= LOOSE_TORN; /* nobody knows how the sentence went on */
    return value;
}

/* ---- containers -------------------------------------------------------------------------- */

static char *parse_key(struct parser *p)
{
    const struct quote *q = quote_at(p, p->at);
    if (q != NULL)
        return parse_string(p, q, IN_KEY);
    const char *from = p->at;
    while (p->at < p->end && is_name_char(*p->at))
        p->at++;
    p->flags |= LOOSE_REPAIRED | (p->at == p->end ? LOOSE_TORN : 0);
    return p->at == from ? NULL : arena_strndup(p->arena, from, (size_t)(p->at - from));
}

static void append(struct json *container, struct json *item)
{
    if (container->last == NULL)
        container->child = item;
    else
        container->last->next = item;
    container->last = item;
    item->in_container = true;
}

/* Key, ':', value. True without a member when the text ends in it. */
static bool parse_member(struct parser *p, struct json *object)
{
    char *key = parse_key(p);
    if (key == NULL)
        return false;
    skip_space(p);
    if (p->at == p->end || (*p->at == ':' && after_space(p, p->at + 1) == p->end)) {
        p->flags |= LOOSE_TORN;
        p->at = p->end;
        return true;
    }
    if (*p->at != ':')
        return false;
    p->at++;
    struct json *value = parse_value(p, IN_OBJECT);
    if (value == NULL)
        return false;
    if (json_get(object, key) != NULL)
        p->flags |= LOOSE_TWICE;
    value->key = key;
    append(object, value);
    return true;
}

/* Between values: one comma is right; more, or none before another member, is put right. */
static bool take_comma(struct parser *p, const struct json *container, char close)
{
    skip_space(p);
    bool found = false;
    while (p->at < p->end && *p->at == ',') {
        if (found || container->child == NULL)
            p->flags |= LOOSE_REPAIRED;
        found = true;
        p->at++;
        skip_space(p);
    }
    if (p->at == p->end) {
        p->flags |= found || container->child == NULL ? LOOSE_TORN : LOOSE_UNCLOSED;
        return true;
    }
    if (*p->at == close && found)
        p->flags |= LOOSE_REPAIRED;
    if (*p->at == close || found || container->child == NULL)
        return true;
    p->flags |= LOOSE_REPAIRED;
    return close == '}' && is_member(p, p->at);
}

static struct json *parse_container(struct parser *p)
{
    bool is_object = *p->at == '{';
    char close = is_object ? '}' : ']';
    struct json *container = is_object ? json_object(p->arena) : json_array(p->arena);
    size_t count = 0;
    if (p->depth == LOOSE_MAX_DEPTH)
        return NULL;
    p->depth++;
    p->at++;
    while (take_comma(p, container, close)) {
        if (p->at == p->end || *p->at == close) {
            p->at += p->at < p->end;
            p->depth--;
            return container;
        }
        if (is_object) {
            if (count++ == LOOSE_MAX_MEMBERS || !parse_member(p, container))
                return NULL;
            continue;
        }
        struct json *item = parse_value(p, IN_ARRAY);
        if (item == NULL)
            return NULL;
        append(container, item);
    }
    return NULL;
}

static struct json *parse_value(struct parser *p, enum place place)
{
    skip_space(p);
    if (p->at == p->end) {
        p->flags |= LOOSE_TORN;
        return NULL;
    }
    if (*p->at == '{' || *p->at == '[')
        return parse_container(p);
    const struct quote *q = quote_at(p, p->at);
    if (q == NULL)
        return parse_word(p, place);
    char *text = parse_string(p, q, place);
    return text == NULL ? NULL : json_string(p->arena, text);
}

bool loose_json_parse(struct arena *a, struct span text, struct loose *out, size_t *reached)
{
    struct parser p = {.arena = a, .at = text.at, .end = text.at + text.len};
    struct json *value = parse_container(&p);
    *reached = (size_t)(p.at - text.at);
    if (value == NULL)
        return false;
    *out = (struct loose){value, p.flags, *reached};
    return true;
}
