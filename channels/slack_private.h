/* What the files that render for Slack share: text, and the parts that cards, forms and the home
 * are made of. Limits are kept here, after escaping, whatever comes in. Pure. */
#pragma once

#include "channels/slack.h"

enum { SLACK_BUILD_MAX = 256 * 1024, SLACK_URL_MAX = 2000, SLACK_MOST_SECTIONS = 12 };

/* ---- text -------------------------------------------------------------------------------- */

/* One line of foreign words in the middle of ours: escaped, and no character of it is markup. */
char *slack_words(struct arena *a, const char *text, size_t max);
/* Foreign words as a quotation: no line of them can pass for one of ours. */
char *slack_quote(struct arena *a, const char *text, size_t max);
/* In the reader's own time zone; "" for no time. */
char *slack_date(struct arena *a, const char *rfc3339);
/* A link, where the address is one; else the label alone. */
char *slack_link(struct arena *a, const char *url, const char *label);

/* ---- parts ------------------------------------------------------------------------------- */

/* Markup of ours: verbatim, so that no bare @channel or URL in it does anything. */
struct json *slack_mrkdwn(struct arena *a, const char *mrkdwn);
/* One harmless line without markup, at most `max` bytes. */
struct json *slack_plain(struct arena *a, const char *text, size_t max);

void slack_add_section(struct arena *a, struct json *blocks, const char *mrkdwn); /* "": nothing */
/* A long text as several sections, each within the limit, cut at line ends where there are some. */
void slack_add_long(struct arena *a, struct json *blocks, const char *mrkdwn);
void slack_add_context(struct arena *a, struct json *blocks, const char *mrkdwn);
void slack_add_header(struct arena *a, struct json *blocks, const char *text);
void slack_add_divider(struct arena *a, struct json *blocks);
void slack_add_actions(struct arena *a, struct json *blocks, const char *block_id,
                       const struct json *elements);

struct slack_button {
    const char *action, *label, *value;
    const char *style;  /* "primary", "danger" or NULL */
    const char *spoken; /* what a screen reader says instead of the label, or NULL */
};
struct json *slack_button(struct arena *a, const struct slack_button *button);
/* One of a select's options. */
struct json *slack_option(struct arena *a, const char *label, const char *value);

/* {"type":"input"}: block_id, label, an element. */
void slack_add_input(struct arena *a, struct json *blocks, const char *block_id, const char *label,
                     struct json *element, bool optional);
struct json *slack_text_input(struct arena *a, const char *initial, bool multiline, size_t max);
