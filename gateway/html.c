/* See html.h. */
#include "gateway/html.h"

#include "gateway/base/text.h"

#include <string.h>

static void add_line(struct strbuf *b, const char *text)
{
    if (text != NULL)
        strbuf_add(b, html_escape(b->arena, text_one_line(b->arena, text)));
}

void html_add(struct strbuf *b, const char *markup, ...)
{
    va_list args;
    va_start(args, markup);
    for (const char *rest = markup; *rest != '\0';) {
        size_t len = strcspn(rest, "%");
        strbuf_addn(b, rest, len);
        rest += len;
        if (text_starts(rest, "%s")) {
            add_line(b, va_arg(args, const char *));
            rest += 2;
        } else if (text_starts(rest, "%d")) {
            strbuf_addf(b, "%d", va_arg(args, int));
            rest += 2;
        } else if (text_starts(rest, "%lld")) {
            strbuf_addf(b, "%lld", va_arg(args, long long));
            rest += 4;
        } else if (*rest == '%') {
            abort(); /* a literal of ours that has no business here */
        }
    }
    va_end(args);
}

void html_raw(struct strbuf *b, const char *markup)
{
    strbuf_add(b, markup);
}

void html_block(struct strbuf *b, const char *text)
{
    if (text != NULL)
        strbuf_add(b, html_escape(b->arena, block_text(b->arena, text)));
}

void html_chip(struct strbuf *b, enum tone tone, const char *word)
{
    html_add(b, "<span class=\"chip %s\">%s</span>", tone_name(tone), word);
}

void html_ago(struct strbuf *b, int64_t at_ms, int64_t now_ms)
{
    if (at_ms == 0) {
        html_raw(b, "never");
        return;
    }
    const char *exact = time_format(b->arena, at_ms);
    html_add(b, "<time data-ago datetime=\"%s\" title=\"%s\">%s</time>", exact, exact,
             ago_text(b->arena, at_ms, now_ms));
}
