/* See json.h. The bytes pass our own check first (cJSON cuts text at U+0000, keeps duplicate keys,
 * takes "01", invalid UTF-8 and trailing text); then cJSON parses, and its tree is copied into the
 * arena. Only this file knows cJSON. */
#include "gateway/base/json.h"

#include "gateway/base/strbuf.h"
#include "gateway/base/text.h"

#include <cjson/cJSON.h>
#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum {
    MAX_BYTES = 4 << 20,  /* when the caller names no limit */
    MAX_NUMBER_BYTES = 63 /* what cJSON reads of a number */
};

static const double max_exact = 9007199254740991; /* 2^53 - 1 */

/* ---- the strict check -------------------------------------------------------------------- */

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

static bool check(struct span in, struct err *err)
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

/* ---- cJSON's tree into ours -------------------------------------------------------------- */

static int compare_keys(const void *left, const void *right)
{
    return strcmp((*(const struct json *const *)left)->key,
                  (*(const struct json *const *)right)->key);
}

/* The second of two members of one name, or NULL. Sorted when there are many: a hash could be
 * attacked. */
static const struct json *find_twin(struct arena *a, const struct json *object, size_t count)
{
    if (count <= 12) {
        JSON_EACH(one, object)
        for (const struct json *other = one->next; other != NULL; other = other->next)
            if (one->key[0] == other->key[0] && strcmp(one->key, other->key) == 0)
                return other;
        return NULL;
    }
    const struct json **sorted = ARENA_ARRAY(a, const struct json *, count);
    size_t n = 0;
    JSON_EACH(member, object)
    sorted[n++] = member;
    qsort(sorted, n, sizeof(const struct json *), compare_keys);
    for (size_t i = 1; i < n; i++)
        if (strcmp(sorted[i - 1]->key, sorted[i]->key) == 0)
            return sorted[i];
    return NULL;
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

static bool convert(struct arena *a, const cJSON *from, struct json *to, struct err *err);

static bool convert_children(struct arena *a, const cJSON *from, struct json *to, struct err *err)
{
    size_t count = 0;
    for (const cJSON *child = from->child; child != NULL; child = child->next, count++) {
        struct json *item = ARENA_NEW(a, struct json);
        if (to->type == JSON_OBJECT)
            item->key = arena_strdup(a, child->string);
        if (!convert(a, child, item, err))
            return item->key != NULL && fail_in(err, item->key);
        append(to, item);
    }
    const struct json *twin = to->type == JSON_OBJECT ? find_twin(a, to, count) : NULL;
    return twin == NULL || fail(err, ERR_INVALID, "the key \"%s\" appears twice", twin->key);
}

static bool convert(struct arena *a, const cJSON *from, struct json *to, struct err *err)
{
    switch (from->type & 0xFF) {
    case cJSON_False:
        to->type = JSON_FALSE;
        return true;
    case cJSON_True:
        to->type = JSON_TRUE;
        return true;
    case cJSON_Number:
        to->type = JSON_NUMBER;
        to->number = from->valuedouble;
        return isfinite(to->number) || fail(err, ERR_INVALID, "the number is too large");
    case cJSON_String:
        to->type = JSON_STRING;
        to->text = arena_strdup(a, from->valuestring);
        return true;
    case cJSON_Array:
        to->type = JSON_ARRAY;
        return convert_children(a, from, to, err);
    case cJSON_Object:
        to->type = JSON_OBJECT;
        return convert_children(a, from, to, err);
    default:
        to->type = JSON_NULL;
        return true;
    }
}

static void delete_tree(cJSON **tree)
{
    cJSON_Delete(*tree);
}

bool json_parse(struct arena *a, struct span in, size_t max_bytes, struct json **out,
                struct err *err)
{
    if (in.len > (max_bytes == 0 ? MAX_BYTES : max_bytes))
        return fail(err, ERR_TOO_LARGE, "%zu bytes, at most %zu are allowed", in.len,
                    max_bytes == 0 ? (size_t)MAX_BYTES : max_bytes);
    if (!check(in, err))
        return false;
    CLEANUP(delete_tree) cJSON *tree = cJSON_ParseWithLengthOpts(in.at, in.len, NULL, 0);
    if (tree == NULL)
        abort(); /* the text is right, so memory is out */
    struct json *root = ARENA_NEW(a, struct json);
    if (!convert(a, tree, root, err))
        return false;
    *out = root;
    return true;
}

struct json *json_parse_own(struct arena *a, const char *text)
{
    struct json *root;
    if (!json_parse(a, span_of(text), SIZE_MAX, &root, NULL))
        abort();
    return root;
}

/* ---- reading ----------------------------------------------------------------------------- */

static const struct json *member(const struct json *object, const char *key, size_t len)
{
    if (object == NULL || object->type != JSON_OBJECT)
        return NULL;
    JSON_EACH(item, object)
    if (strncmp(item->key, key, len) == 0 && item->key[len] == '\0')
        return item;
    return NULL;
}

static const struct json *element(const struct json *array, const char *digits, size_t len)
{
    size_t index = 0;
    for (size_t i = 0; i < len; i++) {
        if (digits[i] < '0' || digits[i] > '9' || i > 8)
            return NULL;
        index = index * 10 + (size_t)(digits[i] - '0');
    }
    const struct json *item = len > 0 ? array->child : NULL;
    while (item != NULL && index-- > 0)
        item = item->next;
    return item;
}

const struct json *json_get(const struct json *object, const char *key)
{
    return member(object, key, strlen(key));
}

const struct json *json_at(const struct json *root, const char *path)
{
    while (root != NULL && *path != '\0') {
        size_t len = strcspn(path, ".");
        root = root->type == JSON_ARRAY ? element(root, path, len) : member(root, path, len);
        path += len + (path[len] == '.');
    }
    return root;
}

const char *json_text(const struct json *j)
{
    return j != NULL && j->type == JSON_STRING ? j->text : NULL;
}

const char *json_text_at(const struct json *root, const char *path)
{
    return json_text(json_at(root, path));
}

const char *json_text_or(const struct json *root, const char *path, const char *otherwise)
{
    const char *text = json_text_at(root, path);
    return text == NULL ? otherwise : text;
}

bool json_is_true(const struct json *j)
{
    return j != NULL && j->type == JSON_TRUE;
}

bool json_is_int(const struct json *j)
{
    return j != NULL && j->type == JSON_NUMBER && fabs(j->number) <= max_exact &&
           trunc(j->number) == j->number;
}

int64_t json_int_or(const struct json *j, int64_t otherwise)
{
    return json_is_int(j) ? (int64_t)j->number : otherwise;
}

size_t json_count(const struct json *j)
{
    size_t count = 0;
    JSON_EACH(item, j)
    count++;
    return count;
}

static bool equal_members(const struct json *a, const struct json *b)
{
    const struct json *hint = b->child; /* members mostly come in the same order */
    if (json_count(a) != json_count(b))
        return false;
    JSON_EACH(item, a)
    {
        const struct json *twin = strcmp(hint->key, item->key) == 0 ? hint : json_get(b, item->key);
        if (!json_equal(item, twin))
            return false;
        hint = twin->next != NULL ? twin->next : b->child;
    }
    return true;
}

static bool equal_items(const struct json *a, const struct json *b)
{
    a = a->child;
    b = b->child;
    for (; a != NULL && b != NULL; a = a->next, b = b->next)
        if (!json_equal(a, b))
            return false;
    return a == b;
}

bool json_equal(const struct json *a, const struct json *b)
{
    if (a == NULL || b == NULL || a->type != b->type)
        return a == b;
    switch (a->type) {
    case JSON_NULL:
    case JSON_FALSE:
    case JSON_TRUE:
        return true;
    case JSON_NUMBER:
        return a->number == b->number;
    case JSON_STRING:
        return strcmp(a->text, b->text) == 0;
    case JSON_ARRAY:
        return equal_items(a, b);
    case JSON_OBJECT:
        return equal_members(a, b);
    }
    UNREACHABLE();
}

/* ---- building ---------------------------------------------------------------------------- */

static struct json *node(struct arena *a, enum json_type type)
{
    struct json *j = ARENA_NEW(a, struct json);
    j->type = type;
    return j;
}

struct json *json_object(struct arena *a)
{
    return node(a, JSON_OBJECT);
}

struct json *json_array(struct arena *a)
{
    return node(a, JSON_ARRAY);
}

struct json *json_string(struct arena *a, const char *text)
{
    struct json *j = node(a, text == NULL ? JSON_NULL : JSON_STRING);
    j->text = text;
    return j;
}

struct json *json_number(struct arena *a, double number)
{
    struct json *j = node(a, isfinite(number) ? JSON_NUMBER : JSON_NULL);
    j->number = isfinite(number) ? number : 0;
    return j;
}

struct json *json_bool(struct arena *a, bool value)
{
    return node(a, value ? JSON_TRUE : JSON_FALSE);
}

struct json *json_null(struct arena *a)
{
    return node(a, JSON_NULL);
}

static struct json *copy_node(struct arena *a, const struct json *from)
{
    struct json *copy = ARENA_NEW(a, struct json);
    *copy = *from;
    copy->next = NULL;
    copy->key = NULL;
    copy->in_container = false;
    copy->shares_children = from->child != NULL;
    return copy;
}

/* A node that may be linked: the value itself when it is free, else a copy. */
static struct json *linkable(struct arena *a, const struct json *value)
{
    /* Free nodes come from the builders above, as mutable pointers. */
    union {
        const struct json *given;
        struct json *free;
    } node_of = {.given = value};
    if (value == NULL)
        return json_null(a);
    return value->in_container ? copy_node(a, value) : node_of.free;
}

/* Children shared with another node get nodes of their own before the list is changed. */
static void own_children(struct arena *a, struct json *container)
{
    if (!container->shares_children)
        return;
    const struct json *from = container->child;
    container->child = container->last = NULL;
    container->shares_children = false;
    for (; from != NULL; from = from->next) {
        struct json *copy = copy_node(a, from);
        copy->key = from->key;
        append(container, copy);
    }
}

struct json *json_set(struct arena *a, struct json *object, const char *key,
                      const struct json *value)
{
    struct json *item = linkable(a, value);
    own_children(a, object);
    struct json *before = NULL, *old = object->child;
    for (; old != NULL && strcmp(old->key, key) != 0; old = old->next)
        before = old;
    item->key = old != NULL ? old->key : arena_strdup(a, key);
    if (old == NULL) {
        append(object, item);
        return item;
    }
    item->next = old->next;
    item->in_container = true;
    *(before == NULL ? &object->child : &before->next) = item;
    if (object->last == old)
        object->last = item;
    return item;
}

struct json *json_set_text(struct arena *a, struct json *object, const char *key, const char *text)
{
    return json_set(a, object, key, json_string(a, text));
}

struct json *json_set_int(struct arena *a, struct json *object, const char *key, int64_t value)
{
    return json_set(a, object, key, json_number(a, (double)value));
}

struct json *json_set_bool(struct arena *a, struct json *object, const char *key, bool value)
{
    return json_set(a, object, key, json_bool(a, value));
}

struct json *json_push(struct arena *a, struct json *array, const struct json *value)
{
    struct json *item = linkable(a, value);
    own_children(a, array);
    append(array, item);
    return item;
}

struct json *json_push_text(struct arena *a, struct json *array, const char *text)
{
    return json_push(a, array, json_string(a, text));
}

const struct json *json_without(struct arena *a, const struct json *object, const char *key)
{
    const struct json *gone = json_get(object, key);
    if (gone == NULL)
        return object;
    struct json *rest = json_object(a);
    JSON_EACH(item, object)
    if (item != gone) {
        struct json *copy = copy_node(a, item);
        copy->key = item->key;
        append(rest, copy);
    }
    return rest;
}

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
    if (fabs(value) <= max_exact && trunc(value) == value) {
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
