/* Text in and out of Slack's markup. Foreign text goes out escaped, so that nothing in it pings,
 * links or styles. See slack.h. */
#include "channels/slack_private.h"
#include "gateway/base/strbuf.h"
#include "gateway/base/text.h"

#include <string.h>

char *slack_escape(struct arena *a, const char *text, size_t max)
{
    struct strbuf b;
    size_t used = 0;
    strbuf_init(&b, a, SLACK_BUILD_MAX);
    const char *visible = text_visible(a, text == NULL ? "" : text);
    for (const char *c = visible; *c != '\0'; c++) {
        const char *as = *c == '&' ? "&amp;" : *c == '<' ? "&lt;" : *c == '>' ? "&gt;" : NULL;
        size_t cost = as != NULL ? strlen(as) : ((unsigned char)*c & 0xC0) != 0x80;
        if (used + cost > max) {
            strbuf_add(&b, "…");
            break;
        }
        used += cost;
        if (as != NULL)
            strbuf_add(&b, as);
        else
            strbuf_addc(&b, *c);
    }
    return b.text;
}

char *slack_code(struct arena *a, const char *text, size_t max)
{
    char *line = slack_escape(a, text_one_line(a, text == NULL ? "" : text), max);
    for (char *c = line; *c != '\0'; c++)
        if (*c == '`')
            *c = '\'';
    return *line == '\0' ? arena_strdup(a, " ") : line;
}

/* <@U1>, <#C1|name>, <!here>, <https://x|label> */
static void add_reference(struct strbuf *b, const char *inner)
{
    char *target = arena_strndup(b->arena, inner, strcspn(inner, "|"));
    const char *label = strchr(inner, '|');
    label = label == NULL ? NULL : label + 1;
    if (target[0] == '@')
        strbuf_addf(b, "@%s", label != NULL ? label : target + 1);
    else if (target[0] == '#')
        strbuf_addf(b, "#%s", label != NULL ? label : target + 1);
    else if (target[0] == '!')
        strbuf_addf(b, "@%s", label != NULL ? label : target + 1);
    else if (label != NULL && strcmp(label, target) != 0)
        strbuf_addf(b, "%s (%s)", label, target);
    else
        strbuf_add(b, target);
}

char *slack_unescape(struct arena *a, const char *text)
{
    static const char *const entities[][2] = {{"&lt;", "<"}, {"&gt;", ">"}, {"&amp;", "&"}};
    struct strbuf b;
    strbuf_init(&b, a, 8 * SLACK_BUILD_MAX);
    while (*text != '\0') {
        size_t plain = strcspn(text, "<&");
        strbuf_addn(&b, text, plain);
        text += plain;
        const char *end = *text == '<' ? strchr(text, '>') : NULL;
        if (end != NULL) {
            add_reference(&b, arena_strndup(a, text + 1, (size_t)(end - text - 1)));
            text = end + 1;
        } else if (*text != '\0') {
            size_t i = 0;
            while (i < COUNT(entities) && !text_starts(text, entities[i][0]))
                i++;
            strbuf_addn(&b, i < COUNT(entities) ? entities[i][1] : text, 1);
            text += i < COUNT(entities) ? strlen(entities[i][0]) : 1;
        }
    }
    return b.text;
}

/* '_' inside a word is no markup; the others may be anywhere. */
static bool is_markup(const char *text, const char *at)
{
    if (*at == '*' || *at == '~' || *at == '`')
        return true;
    bool inside = at > text && at[1] != '\0' && strchr(" *~`_", at[-1]) == NULL &&
                  strchr(" *~`_", at[1]) == NULL;
    return *at == '_' && !inside;
}

char *slack_words(struct arena *a, const char *text, size_t max)
{
    struct strbuf b;
    strbuf_init(&b, a, SLACK_BUILD_MAX);
    const char *line = slack_escape(a, text_one_line(a, text == NULL ? "" : text), max);
    for (const char *c = line; *c != '\0'; c++) {
        strbuf_addc(&b, *c);
        if (is_markup(line, c))
            strbuf_add(&b, "\xE2\x80\x8B"); /* a zero-width space breaks the run */
    }
    return b.text;
}

char *slack_quote(struct arena *a, const char *text, size_t max)
{
    struct strbuf b;
    strbuf_init(&b, a, SLACK_BUILD_MAX);
    strbuf_add(&b, "> ");
    for (const char *c = slack_escape(a, text, max); *c != '\0'; c++) {
        strbuf_addc(&b, *c);
        if (*c == '\n')
            strbuf_add(&b, "> ");
    }
    return b.text;
}

char *slack_date(struct arena *a, const char *rfc3339)
{
    int64_t at_ms;
    if (rfc3339 == NULL || !time_parse(rfc3339, &at_ms))
        return arena_strdup(a, "");
    return arena_printf(a, "<!date^%lld^{date_short_pretty} {time}|%s>", (long long)(at_ms / 1000),
                        rfc3339);
}

char *slack_link(struct arena *a, const char *url, const char *label)
{
    struct strbuf b;
    strbuf_init(&b, a, SLACK_BUILD_MAX);
    if (!text_starts(url, "https://") && !text_starts(url, "http://"))
        return slack_words(a, label, 200);
    for (const char *c = url; *c != '\0' && b.len < SLACK_URL_MAX; c++) {
        if ((unsigned char)*c <= ' ' || strchr("<>|&\"`", *c) != NULL)
            strbuf_addf(&b, "%%%02X", (unsigned)(unsigned char)*c);
        else
            strbuf_addc(&b, *c);
    }
    return arena_printf(a, "<%s|%s>", b.text, slack_words(a, label, 200));
}
