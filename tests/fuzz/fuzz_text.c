/* Reaches: gateway/base/text.c, channels' escaping, gateway/html.c, terminal.c, freeze.c. What is
 * read is written back as the same, and whatever goes out holds nothing that its place obeys. */
#include "channels/slack.h"
#include "gateway/base/strbuf.h"
#include "gateway/base/text.h"
#include "gateway/freeze.h"
#include "gateway/html.h"
#include "gateway/terminal.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* ---- numbers, times, codes --------------------------------------------------------------- */

static void read_and_write(struct arena *a, const char *text)
{
    int64_t number, again;
    if (text_to_int(text, INT64_MIN, INT64_MAX, &number) &&
        (!text_to_int(arena_printf(a, "%lld", (long long)number), INT64_MIN, INT64_MAX, &again) ||
         again != number))
        abort();
    if (text_to_duration_ms(text, &number) &&
        (number < 0 || !text_to_duration_ms(text_from_duration_ms(a, number), &again) ||
         again != number))
        abort();
    if (time_parse(text, &number) &&
        (!time_parse(time_format(a, number), &again) || again != number))
        abort();
}

static void decode_and_encode(struct arena *a, const char *text)
{
    struct span raw, again;
    char *decoded;
    if (hex_decode(a, text, &raw) &&
        (!hex_decode(a, hex_encode(a, raw), &again) || again.len != raw.len))
        abort();
    if (base64_decode(a, text, &raw) &&
        (!base64_decode(a, base64_encode(a, raw), &again) || again.len != raw.len ||
         memcmp(again.at, raw.at, raw.len) != 0))
        abort();
    if (base64url_decode(a, text, &raw) &&
        (!base64url_decode(a, base64url_encode(a, raw), &again) || again.len != raw.len ||
         memcmp(again.at, raw.at, raw.len) != 0))
        abort();
    if (!url_decode(a, span_of(url_encode(a, text)), false, &decoded) || strcmp(decoded, text) != 0)
        abort();
    for (const char *c = url_encode(a, text); *c != '\0'; c++)
        if (strchr("/?#&=+:@ <>\"'\r\n", *c) != NULL)
            abort(); /* it is one segment, whatever is in it */
    char *form = arena_printf(a, "x=1&%s=%s&y=2", url_encode(a, "k"), url_encode(a, text));
    if (!text_eq(form_value(a, span_of(form), "k"), text))
        abort();
    (void)form_value(a, span_of(text), "a");
}

/* ---- what goes out ----------------------------------------------------------------------- */

static bool has_control(const char *text, const char *but)
{
    uint32_t code;
    for (struct span rest = span_of(text); rest.len > 0;) {
        size_t len = utf8_next(rest, &code);
        if (len == 0)
            return true;
        if ((code < 0x20 && (code == 0 || strchr(but, (int)code) == NULL)) ||
            (code >= 0x7f && code < 0xa0) || (code >= 0x202a && code <= 0x202e) ||
            (code >= 0x2066 && code <= 0x2069) || (code >= 0x200b && code <= 0x200f) ||
            code == 0xfeff)
            return true;
        rest.at += len;
        rest.len -= len;
    }
    return false;
}

static void escape(struct arena *a, const char *text)
{
    const char *html = html_escape(a, text);
    if (strpbrk(html, "<>\"'") != NULL)
        abort();
    for (const char *c = html; (c = strchr(c, '&')) != NULL; c++)
        if (!text_starts(c, "&amp;") && !text_starts(c, "&lt;") && !text_starts(c, "&gt;") &&
            !text_starts(c, "&quot;") && !text_starts(c, "&#39;"))
            abort();
    if (has_control(text_one_line(a, text), "") || has_control(text_visible(a, text), "\n\t"))
        abort();
    char *mrkdwn = slack_escape(a, text, 200), *code = slack_code(a, text, 200);
    if (strpbrk(mrkdwn, "<>") != NULL || utf8_length(mrkdwn) > 1200)
        abort(); /* no <!channel>, no <@U1>, no link */
    if (strpbrk(code, "<>\n") != NULL)
        abort();
    for (const char *c = code + 1; *c != '\0'; c++)
        if (*c == '`' && c[1] != '\0')
            abort(); /* the span ends at its end */
    if (slack_unescape(a, mrkdwn) == NULL || !utf8_valid(span_of(slack_unescape(a, text))))
        abort();
}

static void show(struct arena *a, const char *text)
{
    struct strbuf b;
    strbuf_init(&b, a, HTML_BYTES);
    html_add(&b, "<p title=\"%s\">%s</p>", text, text);
    html_block(&b, text);
    size_t opened = 0;
    for (const char *c = b.text; *c != '\0'; c++)
        opened += *c == '<';
    if (opened != 2)
        abort();
    for (int columns = 1; columns < 30; columns += 7)
        if (terminal_columns(terminal_cut(a, text_one_line(a, text), columns)) > columns)
            abort();
    const char *cut = text_truncate(a, text, 20);
    if (strlen(cut) > 20 || !utf8_valid(span_of(cut)))
        abort();
}

/* ---- freeze windows ---------------------------------------------------------------------- */

/* "from;to;zone": never a crash, and the same answer twice. */
static void freeze(struct arena *a, const char *text, int64_t now_ms)
{
    const char *parts[3] = {"", "", ""};
    for (size_t i = 0; i < COUNT(parts); i++) {
        size_t len = strcspn(text, ";");
        parts[i] = arena_strndup(a, text, len);
        text += len + (text[len] == ';');
    }
    struct freeze days = {.day_from = parts[0], .day_to = parts[1], .time_zone = parts[2]};
    struct freeze dates = {.from = parts[0], .to = parts[1], .time_zone = parts[2]};
    if (freeze_is_on(&days, now_ms) != freeze_is_on(&days, now_ms) ||
        freeze_is_on(&dates, now_ms) != freeze_is_on(&dates, now_ms))
        abort();
    (void)time_zone_is_known(parts[2]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    if (size > 2048)
        return 0;
    struct span in = {(const char *)data, size};
    const char *text = utf8_clean(&a, in);
    if (!utf8_valid(span_of(text)) || (utf8_valid(in) && memchr(data, 0, size) == NULL &&
                                       (strlen(text) != size || memcmp(text, data, size) != 0)))
        abort(); /* what is clean stays as it is */
    read_and_write(&a, text);
    decode_and_encode(&a, text);
    escape(&a, text);
    show(&a, text);
    freeze(&a, text, 1700000000000 + (int64_t)size * 3600000);
    return 0;
}
