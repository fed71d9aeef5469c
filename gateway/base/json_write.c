/* See json.h: compact, for people, and canonical (RFC 8785). */
#include "gateway/base/json_private.h"
#include "gateway/base/strbuf.h"
#include "gateway/base/text.h"

#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- numbers as ECMAScript prints them --------------------------------------------------- */

/* A number as digits × 10^exponent, the first digit before the point: 1234 e 2 is 123.4. */
struct decimal {
    uint64_t digits;
    int count, exponent;
};

static bool is_exactly(uint64_t digits, int count, int exponent, double value)
{
    char text[48];
    snprintf(text, sizeof text, "%" PRIu64 "e%d", digits, exponent - (count - 1));
    return strtod(text, NULL) == value;
}

/* The nearest decimal of `count` digits, or the one above it: at a power of two the doubles below
 * stand closer than those above, and only the farther decimal may read back as the same number. */
static bool decimal_of(double value, int count, struct decimal *out)
{
    char text[40];
    snprintf(text, sizeof text, "%.*e", count - 1, value);
    *out = (struct decimal){.count = count};
    const char *c = text;
    for (; *c != 'e'; c++)
        if (*c >= '0' && *c <= '9')
            out->digits = out->digits * 10 + (uint64_t)(*c - '0');
    /* printf's exponent: a sign and at least two digits. */
    for (const char *digit = c + 2; *digit != '\0'; digit++)
        out->exponent = out->exponent * 10 + (*digit - '0');
    if (c[1] == '-')
        out->exponent = -out->exponent;
    if (is_exactly(out->digits, count, out->exponent, value))
        return true;
    out->digits++;
    snprintf(text, sizeof text, "%" PRIu64, out->digits);
    if ((int)strlen(text) > count) { /* 999 became 1000 */
        out->digits /= 10;
        out->exponent++;
    }
    return is_exactly(out->digits, count, out->exponent, value);
}

/* The shortest digits that read back as `value` (positive). Any decimal of up to 15 digits
 * survives the way into a normal double and back, so that 15 digits show all shorter ones. */
static struct decimal shortest(double value)
{
    struct decimal d;
    int count = value < DBL_MIN ? 1 : DBL_DIG;
    while (!decimal_of(value, count, &d) && count < DBL_DECIMAL_DIG)
        count++;
    while (d.digits % 10 == 0 && d.count > 1) {
        d.digits /= 10;
        d.count--;
    }
    return d;
}

static void add_zeros(struct strbuf *b, int count)
{
    while (count-- > 0)
        strbuf_addc(b, '0');
}

/* ECMA-262, Number::toString: where the point stands, and when an exponent is used. */
static void add_decimal(struct strbuf *b, struct decimal d)
{
    char digits[24];
    snprintf(digits, sizeof digits, "%" PRIu64, d.digits);
    d.count = (int)strlen(digits);
    int point = d.exponent + 1; /* digits before the point */
    if (d.count <= point && point <= 21) {
        strbuf_add(b, digits);
        add_zeros(b, point - d.count);
    } else if (point > 0 && point <= 21) {
        strbuf_addf(b, "%.*s.%s", point, digits, digits + point);
    } else if (point > -6 && point <= 0) {
        strbuf_add(b, "0.");
        add_zeros(b, -point);
        strbuf_add(b, digits);
    } else {
        strbuf_addf(b, "%.1s%s%s", digits, d.count > 1 ? "." : "", digits + 1);
        strbuf_addf(b, "e%c%d", point > 0 ? '+' : '-', abs(point - 1));
    }
}

static void add_number(struct strbuf *b, double value)
{
    if (fabs(value) <= JSON_MAX_EXACT && trunc(value) == value) {
        strbuf_addf(b, "%" PRId64, (int64_t)value); /* -0 is 0 */
        return;
    }
    if (value < 0)
        strbuf_addc(b, '-');
    add_decimal(b, shortest(fabs(value)));
}

/* ---- writing ----------------------------------------------------------------------------- */

enum style { COMPACT, PRETTY, CANONICAL };

static const char *escape_of(unsigned char c, char room[8])
{
    switch (c) {
    case '"':
        return "\\\"";
    case '\\':
        return "\\\\";
    case '\b':
        return "\\b";
    case '\f':
        return "\\f";
    case '\n':
        return "\\n";
    case '\r':
        return "\\r";
    case '\t':
        return "\\t";
    default:
        snprintf(room, 8, "\\u%04x", (unsigned)c);
        return room;
    }
}

/* Texts of our own may hold foreign bytes: what is not UTF-8 becomes U+FFFD, so that what we write
 * is JSON at all times. */
static void add_string(struct strbuf *b, const char *text)
{
    size_t len = strlen(text), from = 0, at = 0;
    strbuf_addc(b, '"');
    while (at < len) {
        unsigned char c = (unsigned char)text[at];
        uint32_t code;
        size_t step = 1;
        if (c >= 0x20 && c < 0x80 && c != '"' && c != '\\') {
            at++;
            continue;
        }
        if (c >= 0x80 && (step = utf8_next((struct span){text + at, len - at}, &code)) > 0) {
            at += step;
            continue;
        }
        char room[8];
        strbuf_addn(b, text + from, at - from);
        strbuf_add(b, c >= 0x80 ? "\xEF\xBF\xBD" : escape_of(c, room));
        from = ++at;
    }
    strbuf_addn(b, text + from, len - from);
    strbuf_addc(b, '"');
}

/* UTF-16 order on UTF-8 bytes: surrogates (lead bytes F0–F4) stand before U+E000–U+FFFF (EE, EF).
 */
static int utf16_rank(unsigned char c)
{
    return c == 0xEE || c == 0xEF ? c + 0x10 : c;
}

static int compare_utf16(const void *left, const void *right)
{
    const char *l = (*(const struct json *const *)left)->key;
    const char *r = (*(const struct json *const *)right)->key;
    while (*l != '\0' && *l == *r)
        l++, r++;
    return utf16_rank((unsigned char)*l) - utf16_rank((unsigned char)*r);
}

static void add_value(struct strbuf *b, const struct json *j, enum style style, int level);

static void add_break(struct strbuf *b, enum style style, int level)
{
    if (style == PRETTY)
        strbuf_addf(b, "\n%*s", level * 2, "");
}

static void add_member(struct strbuf *b, const struct json *item, enum style style, int level)
{
    add_break(b, style, level);
    if (item->key != NULL) {
        add_string(b, item->key);
        strbuf_add(b, style == PRETTY ? ": " : ":");
    }
    add_value(b, item, style, level);
}

static void add_sorted(struct strbuf *b, const struct json *object)
{
    const struct json **sorted = ARENA_ARRAY(b->arena, const struct json *, json_count(object) + 1);
    size_t n = 0;
    JSON_EACH(item, object)
    sorted[n++] = item;
    qsort(sorted, n, sizeof(const struct json *), compare_utf16);
    for (size_t i = 0; i < n; i++) {
        if (i > 0)
            strbuf_addc(b, ',');
        add_member(b, sorted[i], CANONICAL, 0);
    }
}

static void add_container(struct strbuf *b, const struct json *j, enum style style, int level)
{
    strbuf_addc(b, j->type == JSON_OBJECT ? '{' : '[');
    if (style == CANONICAL && j->type == JSON_OBJECT) {
        add_sorted(b, j);
    } else {
        JSON_EACH(item, j)
        {
            if (item != j->child)
                strbuf_addc(b, ',');
            add_member(b, item, style, level + 1);
        }
        if (j->child != NULL)
            add_break(b, style, level);
    }
    strbuf_addc(b, j->type == JSON_OBJECT ? '}' : ']');
}

static void add_value(struct strbuf *b, const struct json *j, enum style style, int level)
{
    switch (j->type) {
    case JSON_NULL:
        strbuf_add(b, "null");
        return;
    case JSON_FALSE:
        strbuf_add(b, "false");
        return;
    case JSON_TRUE:
        strbuf_add(b, "true");
        return;
    case JSON_NUMBER:
        add_number(b, j->number);
        return;
    case JSON_STRING:
        add_string(b, j->text);
        return;
    case JSON_ARRAY:
    case JSON_OBJECT:
        add_container(b, j, style, level);
        return;
    }
    UNREACHABLE();
}

static char *write(struct arena *a, const struct json *j, enum style style)
{
    struct strbuf b;
    strbuf_init(&b, a, SIZE_MAX / 8);
    if (j == NULL)
        strbuf_add(&b, "null");
    else
        add_value(&b, j, style, 0);
    return b.text;
}

char *json_write(struct arena *a, const struct json *j)
{
    return write(a, j, COMPACT);
}

char *json_write_pretty(struct arena *a, const struct json *j)
{
    return write(a, j, PRETTY);
}

char *json_canonical(struct arena *a, const struct json *j)
{
    return write(a, j, CANONICAL);
}

char *json_escape(struct arena *a, const char *text)
{
    struct strbuf b;
    strbuf_init(&b, a, SIZE_MAX / 8);
    add_string(&b, text);
    b.text[b.len - 1] = '\0';
    return b.text + 1;
}
