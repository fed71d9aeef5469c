/* See terminal.h. */
#include "gateway/terminal.h"

#include "gateway/base/strbuf.h"
#include "gateway/base/text.h"

#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

enum { WIDTH_LEAST = 40, WIDTH_USUAL = 80, WIDTH_MOST = 160, GAP = 2, LINE_BYTES = 64 * 1024 };

/* ---- the terminal ---- */

static int width_of(int fd)
{
    struct winsize size;
    int64_t columns = 0;
    const char *said = getenv("COLUMNS");
    if (said != NULL && text_to_int(said, 1, 10000, &columns))
        return columns < WIDTH_LEAST ? WIDTH_LEAST : (int)columns;
    if (ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
        columns = size.ws_col;
    if (columns == 0)
        return WIDTH_USUAL;
    return columns < WIDTH_LEAST ? WIDTH_LEAST : columns > WIDTH_MOST ? WIDTH_MOST : (int)columns;
}

void terminal_init(struct terminal *t, FILE *out, int64_t now_ms)
{
    const char *no_colour = getenv("NO_COLOR"), *kind = getenv("TERM");
    bool is_terminal = isatty(fileno(out)) == 1;
    *t = (struct terminal){.out = out, .now_ms = now_ms};
    t->has_colour =
        is_terminal && (no_colour == NULL || *no_colour == '\0') && !text_eq(kind, "dumb");
    t->width = is_terminal ? width_of(fileno(out)) : 0;
}

/* ---- columns ---- */

static bool is_between(uint32_t code, const uint32_t (*ranges)[2], size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (code >= ranges[i][0] && code <= ranges[i][1])
            return true;
    return false;
}

static int columns_of(uint32_t code)
{
    static const uint32_t none[][2] = {{0x0300, 0x036f}, {0x0483, 0x0489},  {0x0591, 0x05bd},
                                       {0x0610, 0x061a}, {0x064b, 0x065f},  {0x1ab0, 0x1aff},
                                       {0x1dc0, 0x1dff}, {0x20d0, 0x20ff},  {0xfe00, 0xfe0f},
                                       {0xfe20, 0xfe2f}, {0xe0100, 0xe01ef}};
    static const uint32_t wide[][2] = {{0x1100, 0x115f},   {0x2e80, 0x303e},   {0x3041, 0x33ff},
                                       {0x3400, 0x4dbf},   {0x4e00, 0x9fff},   {0xa000, 0xa4cf},
                                       {0xac00, 0xd7a3},   {0xf900, 0xfaff},   {0xfe30, 0xfe6f},
                                       {0xff00, 0xff60},   {0xffe0, 0xffe6},   {0x1f300, 0x1f64f},
                                       {0x1f680, 0x1f6ff}, {0x1f900, 0x1f9ff}, {0x20000, 0x3fffd}};
    if (is_between(code, none, COUNT(none)))
        return 0;
    return is_between(code, wide, COUNT(wide)) ? 2 : 1;
}

int terminal_columns(const char *text)
{
    struct span rest = span_of(text);
    uint32_t code;
    int columns = 0;
    for (size_t len; (len = utf8_next(rest, &code)) > 0; rest.at += len, rest.len -= len)
        columns += columns_of(code);
    return columns;
}

/* The bytes of the longest beginning that takes at most this many columns. */
static size_t fitting(const char *text, int columns)
{
    struct span rest = span_of(text);
    uint32_t code;
    for (size_t len; (len = utf8_next(rest, &code)) > 0; rest.at += len, rest.len -= len) {
        columns -= columns_of(code);
        if (columns < 0)
            break;
    }
    return (size_t)(rest.at - text);
}

char *terminal_cut(struct arena *a, const char *text, int columns)
{
    if (columns <= 0 || terminal_columns(text) <= columns)
        return arena_strdup(a, text);
    return arena_printf(a, "%.*s…", (int)fitting(text, columns - 1), text);
}

/* ---- colour ---- */

static char *paint(const struct terminal *t, struct arena *a, const char *code, const char *text)
{
    if (!t->has_colour || *code == '\0')
        return arena_strdup(a, text);
    return arena_printf(a, "\033[%sm%s\033[0m", code, text);
}

static const char *colour_of(enum tone tone)
{
    switch (tone) {
    case TONE_PLAIN:
        return "";
    case TONE_GOOD:
        return "32";
    case TONE_BAD:
        return "31";
    case TONE_WAIT:
        return "33";
    case TONE_WORK:
        return "36";
    }
    UNREACHABLE();
}

char *terminal_paint(const struct terminal *t, struct arena *a, enum tone tone, const char *text)
{
    return paint(t, a, colour_of(tone), text);
}

char *terminal_bold(const struct terminal *t, struct arena *a, const char *text)
{
    return paint(t, a, "1", text);
}

char *terminal_faint(const struct terminal *t, struct arena *a, const char *text)
{
    return paint(t, a, "2", text);
}

const char *terminal_mark(enum tone tone)
{
    switch (tone) {
    case TONE_PLAIN:
        return "·";
    case TONE_GOOD:
        return "✓";
    case TONE_BAD:
        return "✗";
    case TONE_WAIT:
        return "◆";
    case TONE_WORK:
        return "▸";
    }
    UNREACHABLE();
}

/* ---- tables ---- */

static void put_cell(const struct terminal *t, struct arena *a, const struct terminal_cell *cell,
                     int width, bool is_last)
{
    char *text = is_last ? terminal_cut(a, cell->text, width) : arena_strdup(a, cell->text);
    char *shown =
        cell->is_faint ? terminal_faint(t, a, text) : terminal_paint(t, a, cell->tone, text);
    int pad = is_last ? 0 : width - terminal_columns(text) + GAP;
    fprintf(t->out, "%s%*s", shown, pad, "");
}

void terminal_table(const struct terminal *t, struct arena *a, const char *const *heads,
                    size_t n_columns, const struct terminal_cell *cells, size_t n_rows)
{
    int *widths = ARENA_ARRAY(a, int, n_columns), used = 0;
    for (size_t c = 0; c < n_columns; c++) {
        widths[c] = terminal_columns(heads[c]);
        for (size_t r = 0; r < n_rows; r++) {
            int columns = terminal_columns(cells[r * n_columns + c].text);
            widths[c] = columns > widths[c] ? columns : widths[c];
        }
        if (c + 1 < n_columns)
            used += widths[c] + GAP;
    }
    widths[n_columns - 1] = t->width == 0 ? 0 : t->width > used + 10 ? t->width - used : 10;
    for (size_t c = 0; c < n_columns; c++)
        put_cell(t, a, &(struct terminal_cell){.text = heads[c], .is_faint = true}, widths[c],
                 c + 1 == n_columns);
    fputc('\n', t->out);
    for (size_t r = 0; r < n_rows; r++) {
        for (size_t c = 0; c < n_columns; c++)
            put_cell(t, a, &cells[r * n_columns + c], widths[c], c + 1 == n_columns);
        fputc('\n', t->out);
    }
}

/* ---- words ---- */

/* The bytes of the line that begins `text`: up to a space that fits, else as much as fits. */
static size_t line_length(const char *text, int room)
{
    if (terminal_columns(text) <= room)
        return strlen(text);
    size_t most = fitting(text, room);
    for (size_t at = most; at > 0; at--)
        if (text[at] == ' ')
            return at;
    return most > 0 ? most : 1;
}

void terminal_block(const struct terminal *t, struct arena *a, const char *text, int indent,
                    int most_lines)
{
    int room = t->width == 0 ? LINE_BYTES : t->width - indent - 2, lines = 0;
    const char *mark = terminal_faint(t, a, "│");
    for (const char *line = text; line != NULL;) {
        const char *end = strchr(line, '\n');
        const char *rest =
            arena_strndup(a, line, end == NULL ? strlen(line) : (size_t)(end - line));
        do {
            size_t len = line_length(rest, room < 20 ? 20 : room);
            if (lines++ < most_lines)
                fprintf(t->out, "%*s%s %.*s\n", indent, "", mark, (int)len, rest);
            rest += len;
            rest += *rest == ' ' ? 1 : 0;
        } while (*rest != '\0');
        line = end == NULL ? NULL : end + 1;
    }
    if (lines > most_lines)
        fprintf(t->out, "%*s%s\n", indent, "",
                terminal_faint(t, a, arena_printf(a, "│ … %d more lines", lines - most_lines)));
}

/* ---- times ---- */

static struct tm local_time(int64_t at_ms)
{
    struct tm tm = {0};
    time_t at_s = (time_t)(at_ms / 1000);
    localtime_r(&at_s, &tm);
    return tm;
}

char *terminal_clock(struct arena *a, int64_t at_ms)
{
    struct tm tm = local_time(at_ms);
    return arena_printf(a, "%02d:%02d:%02d", tm.tm_hour, tm.tm_min, tm.tm_sec);
}

char *terminal_day(struct arena *a, int64_t at_ms)
{
    struct tm tm = local_time(at_ms);
    return arena_printf(a, "%04d-%02d-%02d", tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday);
}
