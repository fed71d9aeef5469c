/* See json_private.h: RFC 8259 to the letter, in one pass over the bytes and without recursion. */
#include "gateway/base/json_private.h"
#include "gateway/base/text.h"

#include <string.h>

enum { MAX_NUMBER_BYTES = 63 /* what cJSON reads of a number */ };

/* Where the check stands. Level n is an object if bit n of `objects` is set. */
struct scan {
    const char *start, *at, *end;
    uint64_t objects;
    unsigned depth;
    struct err *err;
};

_Static_assert(JSON_MAX_DEPTH <= 64, "one bit of scan.objects for each level");

static bool refuse(const struct scan *s, const char *what)
{
    return fail(s->err, ERR_INVALID, "at byte %zu: %s", (size_t)(s->at - s->start), what);
}

static void skip_space(struct scan *s)
{
    while (s->at < s->end && (*s->at == ' ' || *s->at == '\n' || *s->at == '\r' || *s->at == '\t'))
        s->at++;
}

/* The character to look at; NUL at the end, which no rule accepts. */
static char peek(const struct scan *s)
{
    if (s->at == s->end)
        return '\0';
    return *s->at;
}

static int hex4(const struct scan *s, size_t offset)
{
    int value = 0;
    if ((size_t)(s->end - s->at) < offset + 4)
        return -1;
    for (const char *c = s->at + offset; c < s->at + offset + 4; c++) {
        char lower = (char)(*c | 0x20);
        if (*c >= '0' && *c <= '9')
            value = value << 4 | (*c - '0');
        else if (lower >= 'a' && lower <= 'f')
            value = value << 4 | (lower - 'a' + 10);
        else
            return -1;
    }
    return value;
}

/* At a backslash. */
static bool scan_escape(struct scan *s)
{
    char c = '\0';
    if (s->end - s->at > 1)
        c = s->at[1];
    if (c != 'u') {
        if (c == '\0' || strchr("\"\\/bfnrt", c) == NULL)
            return refuse(s, "unknown escape in a string");
        s->at += 2;
        return true;
    }
    int code = hex4(s, 2);
    if (code < 0)
        return refuse(s, "\\u needs four hex digits");
    if (code == 0)
        return refuse(s, "U+0000 is not allowed");
    if (code >= 0xD800 && code < 0xE000) {
        int low = s->end - s->at >= 12 && s->at[6] == '\\' && s->at[7] == 'u' ? hex4(s, 8) : -1;
        if (code >= 0xDC00 || low < 0xDC00 || low > 0xDFFF)
            return refuse(s, "lone surrogate");
        s->at += 6;
    }
    s->at += 6;
    return true;
}

/* True when eight bytes hold no quote, backslash, control or non-ASCII character. */
static bool is_plain8(const char *at)
{
    const uint64_t ones = 0x0101010101010101U, highs = 0x8080808080808080U;
    uint64_t w, quote, slash;
    memcpy(&w, at, 8);
    quote = w ^ ones * '"';
    slash = w ^ ones * '\\';
    return (((w - ones * 0x20) | (quote - ones) | (slash - ones) | w) & highs) == 0;
}

static bool scan_string(struct scan *s)
{
    s->at++;
    while (s->at < s->end) {
        unsigned char c = (unsigned char)*s->at;
        if (s->end - s->at >= 8 && is_plain8(s->at)) {
            s->at += 8;
        } else if (c == '"') {
            s->at++;
            return true;
        } else if (c == '\\') {
            if (!scan_escape(s))
                return false;
        } else if (c < 0x20) {
            return refuse(s, "control character in a string");
        } else {
            uint32_t code;
            size_t len = utf8_next((struct span){s->at, (size_t)(s->end - s->at)}, &code);
            if (len == 0)
                return refuse(s, "invalid UTF-8");
            s->at += len;
        }
    }
    return refuse(s, "the string does not end");
}

static bool skip_digits(struct scan *s)
{
    const char *from = s->at;
    while (peek(s) >= '0' && peek(s) <= '9')
        s->at++;
    return s->at > from;
}

static bool scan_number(struct scan *s)
{
    const char *from = s->at;
    s->at += *s->at == '-';
    if (peek(s) == '0')
        s->at++;
    else if (!skip_digits(s))
        return refuse(s, "a value is expected");
    if (peek(s) == '.') {
        s->at++;
        if (!skip_digits(s))
            return refuse(s, "a digit is expected");
    }
    if (peek(s) == 'e' || peek(s) == 'E') {
        s->at++;
        s->at += peek(s) == '+' || peek(s) == '-';
        if (!skip_digits(s))
            return refuse(s, "a digit is expected");
    }
    return s->at - from <= MAX_NUMBER_BYTES || refuse(s, "the number is too long");
}

static bool scan_word(struct scan *s, const char *word)
{
    size_t len = strlen(word);
    if ((size_t)(s->end - s->at) < len || memcmp(s->at, word, len) != 0)
        return refuse(s, "a value is expected");
    s->at += len;
    return true;
}

static bool scan_scalar(struct scan *s)
{
    switch (peek(s)) {
    case '"':
        return scan_string(s);
    case 't':
        return scan_word(s, "true");
    case 'f':
        return scan_word(s, "false");
    case 'n':
        return scan_word(s, "null");
    default:
        return s->at < s->end ? scan_number(s) : refuse(s, "the text ends too early");
    }
}

static bool in_object(const struct scan *s)
{
    return s->depth > 0 && (s->objects >> (s->depth - 1) & 1) != 0;
}

static bool scan_key(struct scan *s)
{
    skip_space(s);
    if (peek(s) != '"')
        return refuse(s, "a member name in quotes is expected");
    if (!scan_string(s))
        return false;
    skip_space(s);
    if (peek(s) != ':')
        return refuse(s, "':' is expected");
    s->at++;
    return true;
}

/* Goes down through opening brackets to the next scalar or empty container, and reads that. */
static bool scan_down(struct scan *s)
{
    for (;;) {
        skip_space(s);
        char open = peek(s);
        if (open != '{' && open != '[')
            return scan_scalar(s);
        if (s->depth == JSON_MAX_DEPTH)
            return refuse(s, "nested too deeply");
        uint64_t bit = UINT64_C(1) << s->depth++;
        s->objects = open == '{' ? s->objects | bit : s->objects & ~bit;
        s->at++;
        skip_space(s);
        if (peek(s) == (open == '{' ? '}' : ']')) {
            s->at++;
            s->depth--;
            return true;
        }
        if (open == '{' && !scan_key(s))
            return false;
    }
}

/* After a value: closes what ends here. *more is false when the outermost value is complete. */
static bool scan_up(struct scan *s, bool *more)
{
    while (s->depth > 0) {
        skip_space(s);
        char c = peek(s);
        if (c == ',') {
            s->at++;
            *more = true;
            return !in_object(s) || scan_key(s);
        }
        if (c != (in_object(s) ? '}' : ']'))
            return refuse(s, in_object(s) ? "',' or '}' is expected" : "',' or ']' is expected");
        s->at++;
        s->depth--;
    }
    *more = false;
    return true;
}

bool json_check(struct span in, struct err *err)
{
    const char *at = in.len > 0 ? in.at : "";
    struct scan s = {.start = at, .at = at, .end = at + in.len, .err = err};
    bool more = true;
    while (more)
        if (!scan_down(&s) || !scan_up(&s, &more))
            return false;
    skip_space(&s);
    return s.at == s.end || refuse(&s, "text after the value");
}
