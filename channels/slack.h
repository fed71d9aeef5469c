/* What slack.c and slack_blocks.c share. Pure. */
#pragma once

#include "channels/channel.h"
#include "gateway/base/json.h"

/* Limits of Slack's Block Kit, in characters after escaping; a little below the documented ones,
 * as nothing says how Slack counts emoji. Source: docs.slack.dev, reference/block-kit. */
enum {
    SLACK_TEXT_MAX = 3800,    /* top-level text: 4000, longer posts are split */
    SLACK_SECTION_MAX = 2900, /* section text: 3000 */
    SLACK_HEADER_MAX = 140,   /* header: 150 */
    SLACK_BUTTON_MAX = 70,    /* button text: 75 */
    SLACK_OPTION_MAX = 70,    /* option text: 75 */
    SLACK_OPTIONS_MAX = 100,
    SLACK_BUTTONS_MAX = 5, /* more choices than this become a select */
    SLACK_COMMENT_MAX = 1000,
};

#define SLACK_APPROVE "signoff_approve"
#define SLACK_REJECT  "signoff_reject"
#define SLACK_ANSWER  "signoff_answer" /* also signoff_answer_0 … for buttons */
#define SLACK_REPLY   "signoff_reply"  /* opens the form for a free answer */

/* & < > escaped, and nothing else; at most `max` characters, cut with "…". */
char *slack_escape(struct arena *a, const char *text, size_t max);
/* In a code span: escaped, backticks made harmless, one line. */
char *slack_code(struct arena *a, const char *text, size_t max);
/* Inbound text → plain words: entities, <@U1>, <#C1|name>, <https://…|label>. */
char *slack_unescape(struct arena *a, const char *text);

/* The blocks of a message, and the words that screen readers and notifications get. */
struct json *slack_blocks(struct arena *a, const struct message *msg);
char *slack_text(struct arena *a, const struct message *msg);

/* The modal that asks for a reason or for words. */
struct json *slack_form(struct arena *a, const struct live *live);
