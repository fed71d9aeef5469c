/* See text.h. */
#include "gateway/base/text.h"

#include "gateway/base/strbuf.h"

#include <openssl/crypto.h>
#include <string.h>

static const char hex_digits[] = "0123456789abcdef";
static const char hex_digits_upper[] = "0123456789ABCDEF"; /* RFC 3986 2.1 prefers upper case */

/* ---- comparing --------------------------------------------------------------------------- */

struct span span_of(const char *text)
{
    return text == NULL ? (struct span){"", 0} : (struct span){text, strlen(text)};
}

bool span_eq(struct span a, const char *text)
{
    return text != NULL && strlen(text) == a.len && (a.len == 0 || memcmp(a.at, text, a.len) == 0);
}

bool text_eq(const char *a, const char *b)
{
    return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

bool text_starts(const char *text, const char *prefix)
{
    return text != NULL && strncmp(text, prefix, strlen(prefix)) == 0;
}

bool text_ends(const char *text, const char *suffix)
{
    if (text == NULL)
        return false;
    size_t len = strlen(text), tail = strlen(suffix);
    return tail <= len && strcmp(text + len - tail, suffix) == 0;
}

bool secret_eq(struct span a, struct span b)
{
    return a.len == b.len && (a.len == 0 || CRYPTO_memcmp(a.at, b.at, a.len) == 0);
}

/* ---- numbers and durations --------------------------------------------------------------- */

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Reads the digits at *at as a negative number, which has the larger range; at least one digit. */
static bool take_digits(const char **at, int64_t *out_negative)
{
    const char *c = *at;
    int64_t value = 0;
    if (!is_digit(*c))
        return false;
    for (; is_digit(*c); c++)
        if (__builtin_mul_overflow(value, 10, &value) ||
            __builtin_sub_overflow(value, *c - '0', &value))
            return false;
    *at = c;
    *out_negative = value;
    return true;
}

bool text_to_int(const char *text, int64_t min, int64_t max, int64_t *out)
{
    if (text == NULL)
        return false;
    bool negative = *text == '-';
    const char *at = text + negative;
    int64_t value;
    if (!take_digits(&at, &value) || *at != '\0')
        return false;
    if (!negative && __builtin_sub_overflow((int64_t)0, value, &value))
        return false;
    if (value < min || value > max)
        return false;
    *out = value;
    return true;
}

static const struct unit {
    const char *name;
    int64_t ms;
} units[] = {{"d", 86400000}, {"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1}};

bool text_to_duration_ms(const char *text, int64_t *out_ms)
{
    int64_t negative, value;
    if (text == NULL || !take_digits(&text, &negative) ||
        __builtin_sub_overflow((int64_t)0, negative, &value))
        return false;
    for (size_t i = 0; i < COUNT(units); i++)
        if (strcmp(text, units[i].name) == 0) {
            if (__builtin_mul_overflow(value, units[i].ms, &value))
                return false;
            *out_ms = value;
            return true;
        }
    return false;
}

char *text_from_duration_ms(struct arena *a, int64_t ms)
{
    if (ms == 0)
        return arena_strdup(a, "0s");
    size_t i = 0;
    while (ms % units[i].ms != 0)
        i++;
    return arena_printf(a, "%lld%s", (long long)(ms / units[i].ms), units[i].name);
}

/* ---- UTF-8 ------------------------------------------------------------------------------- */

size_t utf8_next(struct span s, uint32_t *out)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    const unsigned char *at = (const unsigned char *)s.at;
    if (s.len == 0)
        return 0;
    size_t len = at[0] < 0x80   ? 1
                 : at[0] < 0xC2 ? 0
                 : at[0] < 0xE0 ? 2
                 : at[0] < 0xF0 ? 3
                 : at[0] < 0xF5 ? 4
                                : 0;
    if (len == 0 || len > s.len)
        return 0;
    uint32_t code = len == 1 ? at[0] : at[0] & (0x7FU >> len);
    for (size_t i = 1; i < len; i++) {
        if ((at[i] & 0xC0) != 0x80)
            return 0;
        code = code << 6 | (at[i] & 0x3F);
    }
    if (code < least[len] || code > 0x10FFFF || (code >= 0xD800 && code < 0xE000))
        return 0;
    *out = code;
    return len;
}

size_t utf8_encode(uint32_t code, char out[4])
{
    if (code < 0x80) {
        out[0] = (char)code;
        return 1;
    }
    size_t len = code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    for (size_t i = len - 1; i > 0; i--, code >>= 6)
        out[i] = (char)(0x80 | (code & 0x3F));
    out[0] = (char)((0xF00U >> len & 0xFF) | code);
    return len;
}

bool utf8_valid(struct span s)
{
    while (s.len > 0) {
        uint64_t eight;
        uint32_t code;
        size_t step = 8;
        if (s.len < 8 || (memcpy(&eight, s.at, 8), eight & 0x8080808080808080U) != 0)
            step = utf8_next(s, &code);
        if (step == 0)
            return false;
        s.at += step;
        s.len -= step;
    }
    return true;
}

size_t utf8_length(const char *text)
{
    size_t count = 0;
    for (; *text != '\0'; text++)
        count += ((unsigned char)*text & 0xC0) != 0x80;
    return count;
}

char *text_truncate(struct arena *a, const char *text, size_t max_bytes)
{
    static const char ellipsis[] = "…";
    size_t len = strlen(text), mark = sizeof ellipsis - 1;
    if (len <= max_bytes)
        return arena_strndup(a, text, len);
    if (mark > max_bytes)
        mark = 0;
    size_t keep = max_bytes - mark;
    while (keep > 0 && ((unsigned char)text[keep] & 0xC0) == 0x80)
        keep--;
    char *cut = arena_alloc(a, keep + mark + 1);
    memcpy(cut, text, keep);
    memcpy(cut + keep, ellipsis, mark);
    return cut;
}

char *utf8_clean(struct arena *a, struct span s)
{
    struct strbuf b;
    strbuf_init(&b, a, SIZE_MAX / 8);
    s.at = s.len > 0 ? s.at : "";
    size_t from = 0; /* what is copied so far ends here */
    for (size_t at = 0; at < s.len;) {
        uint32_t code = 0;
        size_t len = utf8_next((struct span){s.at + at, s.len - at}, &code);
        if (len > 0 && code != 0) {
            at += len;
            continue;
        }
        strbuf_addn(&b, s.at + from, at - from);
        strbuf_add(&b, "\xEF\xBF\xBD");
        from = ++at;
    }
    strbuf_addn(&b, s.at + from, s.len - from);
    return b.text;
}

/* Control characters, line separators, and marks that reorder or hide what stands around them. */
static bool is_hostile(uint32_t code)
{
    return code < 0x20 || (code >= 0x7F && code < 0xA0) || code == 0x061C ||
           (code >= 0x200B && code <= 0x200F) || (code >= 0x2028 && code <= 0x202E) ||
           (code >= 0x2066 && code <= 0x2069) || code == 0xFEFF;
}

static char *make_visible(struct arena *a, const char *text, const char *keep)
{
    struct strbuf b;
    strbuf_init(&b, a, SIZE_MAX / 8);
    struct span rest = span_of(text);
    while (rest.len > 0) {
        uint32_t code = 0;
        size_t len = utf8_next(rest, &code);
        if (len == 0)
            strbuf_add(&b, "\xEF\xBF\xBD");
        else if (is_hostile(code) && (code >= 0x80 || strchr(keep, (int)code) == NULL))
            strbuf_addf(&b, "\\u%04x", (unsigned)code);
        else
            strbuf_addn(&b, rest.at, len);
        len = len == 0 ? 1 : len;
        rest.at += len;
        rest.len -= len;
    }
    return b.text;
}

char *text_one_line(struct arena *a, const char *text)
{
    return make_visible(a, text, "");
}

char *text_visible(struct arena *a, const char *text)
{
    return make_visible(a, text, "\n\t");
}

/* ---- hex and base64 ---------------------------------------------------------------------- */

char *hex_encode(struct arena *a, struct span s)
{
    char *hex = arena_array(a, s.len * 2 + 1, 1);
    for (size_t i = 0; i < s.len; i++) {
        hex[2 * i] = hex_digits[(unsigned char)s.at[i] >> 4];
        hex[2 * i + 1] = hex_digits[(unsigned char)s.at[i] & 15];
    }
    return hex;
}

static int hex_value(char c)
{
    if (is_digit(c))
        return c - '0';
    char lower = (char)(c | 0x20);
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

bool hex_decode(struct arena *a, const char *hex, struct span *out)
{
    size_t len = strlen(hex);
    if (len % 2 != 0)
        return false;
    char *bytes = arena_alloc(a, len / 2 + 1);
    for (size_t i = 0; i < len / 2; i++) {
        int high = hex_value(hex[2 * i]), low = hex_value(hex[2 * i + 1]);
        if (high < 0 || low < 0)
            return false;
        bytes[i] = (char)(high << 4 | low);
    }
    *out = (struct span){bytes, len / 2};
    return true;
}

static const char base64_digits[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const char base64url_digits[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

static char *encode64(struct arena *a, struct span s, const char *alphabet, bool pad)
{
    char *text = arena_array(a, s.len / 3 + 2, 4), *to = text;
    for (size_t i = 0; i < s.len; i += 3) {
        size_t left = s.len - i;
        uint32_t three = (uint32_t)(unsigned char)s.at[i] << 16;
        three |= left > 1 ? (uint32_t)(unsigned char)s.at[i + 1] << 8 : 0;
        three |= left > 2 ? (unsigned char)s.at[i + 2] : 0;
        size_t digits = left > 2 ? 4 : left + 1;
        for (size_t d = 0; d < 4; d++)
            if (d < digits)
                *to++ = alphabet[three >> (18 - 6 * d) & 63];
            else if (pad)
                *to++ = '=';
    }
    return text;
}

/* Bits that no byte uses must be zero, so that one value has one spelling. */
static bool decode64(struct arena *a, const char *text, const char *alphabet, struct span *out)
{
    size_t len = strlen(text), pads = 0;
    while (pads < 2 && len > 0 && text[len - 1] == '=')
        len--, pads++;
    if (len % 4 == 1 || (pads > 0 && (len + pads) % 4 != 0))
        return false;
    char *bytes = arena_alloc(a, len / 4 * 3 + 3);
    size_t count = 0;
    uint32_t held = 0;
    unsigned bits = 0;
    for (size_t i = 0; i < len; i++) {
        const char *digit = memchr(alphabet, text[i], 64);
        if (digit == NULL)
            return false;
        held = held << 6 | (uint32_t)(digit - alphabet);
        bits += 6;
        if (bits >= 8) {
            bits -= 8;
            bytes[count++] = (char)(held >> bits & 0xFF);
            held &= (1U << bits) - 1;
        }
    }
    if (held != 0)
        return false;
    *out = (struct span){bytes, count};
    return true;
}

char *base64_encode(struct arena *a, struct span s)
{
    return encode64(a, s, base64_digits, true);
}

bool base64_decode(struct arena *a, const char *text, struct span *out)
{
    return decode64(a, text, base64_digits, out);
}

char *base64url_encode(struct arena *a, struct span s)
{
    return encode64(a, s, base64url_digits, false);
}

bool base64url_decode(struct arena *a, const char *text, struct span *out)
{
    return decode64(a, text, base64url_digits, out);
}

/* ---- URLs, forms, HTML ------------------------------------------------------------------- */

static bool is_unreserved(char c)
{
    return is_digit(c) || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '-' ||
           c == '.' || c == '_' || c == '~';
}

char *url_encode(struct arena *a, const char *text)
{
    char *encoded = arena_array(a, strlen(text) + 1, 3), *to = encoded;
    for (; *text != '\0'; text++) {
        if (is_unreserved(*text)) {
            *to++ = *text;
            continue;
        }
        *to++ = '%';
        *to++ = hex_digits_upper[(unsigned char)*text >> 4];
        *to++ = hex_digits_upper[(unsigned char)*text & 15];
    }
    return encoded;
}

bool url_decode(struct arena *a, struct span s, bool form, char **out)
{
    char *text = arena_alloc(a, s.len + 1);
    size_t count = 0;
    for (size_t i = 0; i < s.len; i++) {
        char c = s.at[i];
        if (c == '%') {
            int high = i + 2 < s.len ? hex_value(s.at[i + 1]) : -1;
            int low = i + 2 < s.len ? hex_value(s.at[i + 2]) : -1;
            if (high < 0 || low < 0)
                return false;
            c = (char)(high << 4 | low);
            i += 2;
        } else if (c == '+' && form) {
            c = ' ';
        }
        if (c == '\0')
            return false;
        text[count++] = c;
    }
    text[count] = '\0';
    *out = text;
    return true;
}

char *form_value(struct arena *a, struct span form, const char *name)
{
    while (form.len > 0) {
        const char *amp = memchr(form.at, '&', form.len);
        size_t len = amp == NULL ? form.len : (size_t)(amp - form.at);
        const char *eq = memchr(form.at, '=', len);
        size_t key_len = eq == NULL ? len : (size_t)(eq - form.at);
        size_t value_at = eq == NULL ? len : key_len + 1;
        char *key, *value;
        if (url_decode(a, (struct span){form.at, key_len}, true, &key) && strcmp(key, name) == 0) {
            struct span encoded = {form.at + value_at, len - value_at};
            return url_decode(a, encoded, true, &value) ? value : NULL;
        }
        size_t step = len + (amp != NULL);
        form.at += step;
        form.len -= step;
    }
    return NULL;
}

char *html_escape(struct arena *a, const char *text)
{
    struct strbuf b;
    strbuf_init(&b, a, SIZE_MAX / 8);
    for (;;) {
        size_t plain = strcspn(text, "&<>\"'");
        strbuf_addn(&b, text, plain);
        text += plain;
        switch (*text++) {
        case '&':
            strbuf_add(&b, "&amp;");
            break;
        case '<':
            strbuf_add(&b, "&lt;");
            break;
        case '>':
            strbuf_add(&b, "&gt;");
            break;
        case '"':
            strbuf_add(&b, "&quot;");
            break;
        case '\'':
            strbuf_add(&b, "&#39;");
            break;
        default:
            return b.text;
        }
    }
}

/* ---- time -------------------------------------------------------------------------------- */

/* Days since 1970-01-01 in the proleptic Gregorian calendar. The year is counted from March, so
 * that the leap day is its last; 146097 days are 400 years. */
static int64_t days_from_date(int64_t year, int64_t month, int64_t day)
{
    year -= month <= 2;
    int64_t era = (year >= 0 ? year : year - 399) / 400;
    int64_t year_of_era = year - era * 400;
    int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return era * 146097 + day_of_era - 719468;
}

struct date {
    int64_t year, month, day;
};

static struct date date_from_days(int64_t days)
{
    days += 719468;
    int64_t era = (days >= 0 ? days : days - 146096) / 146097;
    int64_t doe = days - era * 146097;
    int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    int64_t from_march = (5 * doy + 2) / 153;
    int64_t month = from_march < 10 ? from_march + 3 : from_march - 9;
    return (struct date){yoe + era * 400 + (month <= 2), month,
                         doy - (153 * from_march + 2) / 5 + 1};
}

enum { DAY_MS = 86400000 };
static const int64_t time_min_ms = -62167219200000; /* 0000-01-01 */
static const int64_t time_max_ms = 253402300799999; /* 9999-12-31T23:59:59.999Z */

char *time_format(struct arena *a, int64_t at_ms)
{
    at_ms = at_ms < time_min_ms ? time_min_ms : at_ms > time_max_ms ? time_max_ms : at_ms;
    int64_t ms = (at_ms % DAY_MS + DAY_MS) % DAY_MS;
    struct date d = date_from_days((at_ms - ms) / DAY_MS);
    return arena_printf(a, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", (int)d.year, (int)d.month,
                        (int)d.day, (int)(ms / 3600000), (int)(ms / 60000 % 60),
                        (int)(ms / 1000 % 60), (int)(ms % 1000));
}

/* Reads by a picture: '0' is a digit of the next number, every other character is itself. */
static bool take_picture(const char **at, const char *picture, int64_t numbers[])
{
    int64_t *number = numbers;
    for (; *picture != '\0'; picture++, (*at)++) {
        if (*picture == '0') {
            if (!is_digit(**at))
                return false;
            *number = *number * 10 + (**at - '0');
            if (picture[1] != '0')
                number++;
        } else if (**at != *picture && !(*picture == 'T' && (**at == 't' || **at == ' '))) {
            return false;
        }
    }
    return true;
}

static bool date_exists(int64_t year, int64_t month, int64_t day)
{
    if (month < 1 || month > 12 || day < 1 || day > 31)
        return false;
    struct date same = date_from_days(days_from_date(year, month, day));
    return same.month == month && same.day == day;
}

bool time_parse(const char *text, int64_t *out_ms)
{
    int64_t n[6] = {0}, zone[2] = {0}, fraction = 0, sign = 0;
    if (text == NULL || !take_picture(&text, "0000-00-00T00:00:00", n))
        return false;
    if (!date_exists(n[0], n[1], n[2]) || n[3] > 23 || n[4] > 59 || n[5] > 60)
        return false;
    if (*text == '.') {
        if (!is_digit(*++text))
            return false;
        for (int64_t weight = 100; is_digit(*text); text++, weight /= 10)
            fraction += (*text - '0') * weight;
    }
    if (*text == '+' || *text == '-') {
        sign = *text++ == '-' ? -1 : 1;
        if (!take_picture(&text, "00:00", zone) || zone[0] > 23 || zone[1] > 59)
            return false;
    } else if (*text != 'Z' && *text != 'z') {
        return false;
    } else {
        text++;
    }
    if (*text != '\0')
        return false;
    int64_t minutes = n[3] * 60 + n[4] - sign * (zone[0] * 60 + zone[1]);
    *out_ms = days_from_date(n[0], n[1], n[2]) * DAY_MS + minutes * 60000 + n[5] * 1000 + fraction;
    return true;
}
