/* What the files of the Slack channel share with slack.c. Pure. */
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
    SLACK_LABEL_MAX = 200,    /* input label: 2000 */
    SLACK_INPUT_MAX = 3000,   /* what can be typed into one input */
    SLACK_ERROR_MAX = 300,    /* a sentence below an input */
    SLACK_OPTIONS_MAX = 100,
    SLACK_BUTTONS_MAX = 5, /* more choices than this become a select, more than 100 a search */
    SLACK_FIELDS_MAX = 30, /* arguments in one form; a modal holds 100 blocks */
    SLACK_COMMENT_MAX = 1000,
};

#define SLACK_APPROVE "signoff_approve"
#define SLACK_REJECT  "signoff_reject"
#define SLACK_EDIT    "signoff_edit"
#define SLACK_ANSWER  "signoff_answer" /* also signoff_answer_0 … for buttons */
#define SLACK_REPLY   "signoff_reply"  /* opens the form for a free answer */
#define SLACK_CHOOSE  "signoff_choose" /* opens the form that searches many choices */
#define SLACK_ASK     "signoff_ask"    /* the message shortcut */

/* What an argument's input is called in a form: "arg.sha". */
#define SLACK_ARG "arg."

/* & < > escaped, and nothing else; at most `max` characters, cut with "…". */
char *slack_escape(struct arena *a, const char *text, size_t max);
/* In a code span: escaped, backticks made harmless, one line. */
char *slack_code(struct arena *a, const char *text, size_t max);
/* Inbound text → plain words: entities, <@U1>, <#C1|name>, <https://…|label>. */
char *slack_unescape(struct arena *a, const char *text);

/* The blocks of a message, and the words that screen readers and notifications get. */
struct json *slack_blocks(struct arena *a, const struct message *msg);
char *slack_text(struct arena *a, const struct message *msg);

/* An approval or a question, open or decided (slack_card.c). */
void slack_add_card(struct arena *a, struct json *blocks, const struct message *msg);
char *slack_card_text(struct arena *a, const struct json *request);

/* A person's home tab, and one view of it (slack_home.c). */
struct json *slack_home(struct arena *a, const struct message *msg);

/* The modal that a click opens (slack_forms.c). */
struct json *slack_form(struct arena *a, const struct live *live);
/* What a form's submission is answered with. */
void slack_form_answer(struct arena *a, const struct form_outcome *outcome,
                       const char **content_type, const char **body);
/* {"options": […]} for what was typed into a search. */
char *slack_found(struct arena *a, const struct suggestions *found);

/* Clicks, forms, shortcuts and searches (slack_inbound.c): the payload as JSON, however it came. */
bool slack_take_interaction(struct arena *a, const struct json *payload, struct arrival *out,
                            struct err *err) NODISCARD;
/* A slash command: its fields as one object. */
bool slack_take_command(struct arena *a, const struct json *fields, struct arrival *out,
                        struct err *err) NODISCARD;
/* Answered, counted, not stored. Always true. */
bool slack_ignore(struct arrival *out, const char *why);
