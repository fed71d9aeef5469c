/* See log.h. A line is built on the stack and leaves in one write(2), so that lines of several
 * threads never mix. */
#include "gateway/base/log.h"

#include "gateway/base/clock.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { TAIL_ROOM = 24 /* for the mark of a cut line, and its end */ };

static enum log_level least_level = LEVEL_INFO;
static enum log_format line_format = LOG_LOGFMT;
static int line_fd = STDERR_FILENO;

static _Thread_local struct log_field scope[LOG_SCOPE_MAX];
static _Thread_local int scope_depth;

struct line {
    char text[LOG_LINE_MAX];
    size_t len;
    bool full;
};

static void put(struct line *l, const char *text, size_t len)
{
    if (l->full || len > sizeof l->text - TAIL_ROOM - l->len) {
        l->full = true;
        return;
    }
    memcpy(l->text + l->len, text, len);
    l->len += len;
}

static void put_text(struct line *l, const char *text)
{
    put(l, text, strlen(text));
}

/* The length of the valid UTF-8 sequence at s, and its code point; 0 if it is none. */
static size_t decode(const unsigned char *s, size_t len, uint32_t *code)
{
    static const uint32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
    size_t n = s[0] < 0x80 ? 1 : s[0] >= 0xF0 ? 4 : s[0] >= 0xE0 ? 3 : s[0] >= 0xC0 ? 2 : 0;
    if (n == 0 || n > len || s[0] > 0xF4)
        return 0;
    *code = n == 1 ? s[0] : s[0] & (0xFFu >> (n + 1));
    for (size_t i = 1; i < n; i++) {
        if ((s[i] & 0xC0) != 0x80)
            return 0;
        *code = *code << 6 | (s[i] & 0x3F);
    }
    bool surrogate = *code >= 0xD800 && *code <= 0xDFFF;
    return n > 1 && (*code < smallest[n] || *code > 0x10FFFF || surrogate) ? 0 : n;
}

/* Controls (C0, DEL, C1, line separators) and the marks that reorder or hide text. */
static bool is_harmful(uint32_t c)
{
    return c < 0x20 || (c >= 0x7F && c <= 0x9F) || c == 0x2028 || c == 0x2029 ||
           (c >= 0x200B && c <= 0x200F) || (c >= 0x202A && c <= 0x202E) ||
           (c >= 0x2066 && c <= 0x2069) || c == 0xFEFF;
}

static void put_character(struct line *l, const char *at, size_t n, uint32_t code)
{
    char escaped[12];
    if (code == '"' || code == '\\') {
        put(l, (const char[]){'\\', (char)code}, 2);
    } else if (code == '\n' || code == '\r' || code == '\t') {
        put(l, code == '\n' ? "\\n" : code == '\r' ? "\\r" : "\\t", 2);
    } else if (is_harmful(code)) {
        snprintf(escaped, sizeof escaped, "\\u%04x", (unsigned)code);
        put_text(l, escaped);
    } else {
        put(l, at, n);
    }
}

static void put_quoted(struct line *l, const char *text)
{
    size_t len = strnlen(text, LOG_VALUE_MAX + 1);
    bool cut = len > LOG_VALUE_MAX;
    len = cut ? LOG_VALUE_MAX : len;
    put(l, "\"", 1);
    for (size_t i = 0; i < len;) {
        uint32_t code = 0;
        size_t n = decode((const unsigned char *)text + i, len - i, &code);
        if (n > 0)
            put_character(l, text + i, n, code);
        else if (!cut || len - i >= 4) /* else: a sequence that our own cut broke */
            put_text(l, "\\ufffd");
        i += n > 0 ? n : 1;
    }
    put_text(l, cut ? "…\"" : "\"");
}

/* logfmt leaves the quotes away where nothing could be misread. */
static bool is_bare(const char *text)
{
    static const char bare[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                               "_-./:@+,#%*";
    size_t len = strspn(text, bare);
    return len > 0 && len <= LOG_VALUE_MAX && text[len] == '\0';
}

static void put_value(struct line *l, const struct log_field *f)
{
    char number[24];
    switch (f->type) {
    case LOG_TEXT:
        if (line_format == LOG_LOGFMT && is_bare(f->text))
            put_text(l, f->text);
        else
            put_quoted(l, f->text);
        return;
    case LOG_NUMBER:
    case LOG_MILLISECONDS:
        snprintf(number, sizeof number, "%" PRId64, f->number);
        put_text(l, number);
        return;
    case LOG_TRUTH:
        put_text(l, f->number ? "true" : "false");
        return;
    case LOG_END:
        return;
    }
    UNREACHABLE();
}

/* Whole or not at all: half a field could be misread. */
static void put_field(struct line *l, const struct log_field *f)
{
    if (f->type == LOG_TEXT && f->text == NULL)
        return;
    size_t before = l->len;
    bool json = line_format == LOG_JSON;
    if (l->len > 0)
        put_text(l, json ? "," : " ");
    put_text(l, json ? "\"" : "");
    put_text(l, f->name);
    put_text(l, f->type == LOG_MILLISECONDS ? "_ms" : "");
    put_text(l, json ? "\":" : "=");
    put_value(l, f);
    if (l->full)
        l->len = before;
}

/* "2026-03-15T10:00:00.123Z". Days to a date by the calendar's 400-year cycle. */
static void time_text(int64_t at_ms, char *out, size_t size)
{
    int64_t days = at_ms / 86400000;
    int ms_of_day = (int)(at_ms % 86400000);
    int64_t z = days + 719468;
    int64_t era = z / 146097, day_of_era = z % 146097;
    int64_t year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int month_from_march = (int)((5 * day_of_year + 2) / 153);
    int day = (int)(day_of_year - (153 * month_from_march + 2) / 5) + 1;
    int month = month_from_march < 10 ? month_from_march + 3 : month_from_march - 9;
    int year = (int)(year_of_era + era * 400) + (month <= 2);
    snprintf(out, size, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", year, month, day,
             ms_of_day / 3600000, ms_of_day / 60000 % 60, ms_of_day / 1000 % 60, ms_of_day % 1000);
}

static void finish(struct line *l)
{
    bool json = line_format == LOG_JSON;
    const char *end = l->full ? json ? ",\"cut\":true}\n" : " cut=true\n" : json ? "}\n" : "\n";
    size_t len = strlen(end); /* always fits: TAIL_ROOM */
    memcpy(l->text + l->len, end, len);
    l->len += len;
}

void log_init(enum log_level least, enum log_format format, int fd)
{
    least_level = least;
    line_format = format;
    line_fd = fd;
}

bool log_is_on(enum log_level level)
{
    return level >= least_level;
}

void log_event(enum log_level level, const char *event, const struct log_field *fields)
{
    if (!log_is_on(level))
        return;
    int saved = errno;
    struct line l;
    l.len = 0;
    l.full = false;
    char at[48];
    time_text(clock_unix_ms(), at, sizeof at);
    if (line_format == LOG_JSON)
        put(&l, "{\"ts\":\"", 7);
    else
        put(&l, "ts=", 3);
    put_text(&l, at);
    if (line_format == LOG_JSON)
        put(&l, "\"", 1);
    put_field(&l, &L_STR("level", log_level_name(level)));
    put_field(&l, &L_STR("event", event));
    for (int i = 0; i < scope_depth; i++)
        put_field(&l, &scope[i]);
    for (; fields->type != LOG_END; fields++)
        put_field(&l, fields);
    finish(&l);
    if (write(line_fd, l.text, l.len) < 0) {
        /* A line that cannot be written is lost: there is nowhere to say so. */
    }
    errno = saved;
}

int log_scope_begin(struct log_field field)
{
    if (scope_depth == LOG_SCOPE_MAX)
        return 0;
    scope[scope_depth++] = field;
    return 1;
}

void log_scope_end(const int *taken)
{
    scope_depth -= *taken;
}

const char *log_level_name(enum log_level level)
{
    switch (level) {
    case LEVEL_DEBUG:
        return "debug";
    case LEVEL_INFO:
        return "info";
    case LEVEL_WARN:
        return "warn";
    case LEVEL_ERROR:
        return "error";
    }
    UNREACHABLE();
}

bool log_level_from_name(const char *name, enum log_level *out)
{
    for (enum log_level level = LEVEL_DEBUG; level <= LEVEL_ERROR; level++) {
        if (strcmp(name, log_level_name(level)) == 0) {
            *out = level;
            return true;
        }
    }
    return false;
}
