/* Block Kit's parts, each within its limits. See slack_private.h. */
#include "channels/slack_private.h"
#include "gateway/base/text.h"

#include <string.h>

struct json *slack_mrkdwn(struct arena *a, const char *mrkdwn)
{
    struct json *t = json_object(a);
    json_set_text(a, t, "type", "mrkdwn");
    json_set_text(a, t, "text", mrkdwn);
    json_set_bool(a, t, "verbatim", true);
    return t;
}

struct json *slack_plain(struct arena *a, const char *text, size_t max)
{
    struct json *t = json_object(a);
    json_set_text(a, t, "type", "plain_text");
    json_set_text(a, t, "text", text_truncate(a, text_one_line(a, text == NULL ? "" : text), max));
    json_set_bool(a, t, "emoji", false);
    return t;
}

void slack_add_section(struct arena *a, struct json *blocks, const char *mrkdwn)
{
    struct json *block = json_object(a);
    if (*mrkdwn == '\0')
        return;
    json_set_text(a, block, "type", "section");
    json_set(a, block, "text", slack_mrkdwn(a, mrkdwn));
    json_push(a, blocks, block);
}

/* Where to cut a text that is longer than a section: at a line end, else not inside a character or
 * an entity. */
static size_t cut_of(const char *text)
{
    size_t len = SLACK_SECTION_MAX;
    while (len > SLACK_SECTION_MAX / 2 && text[len] != '\n')
        len--;
    if (text[len] == '\n')
        return len;
    len = SLACK_SECTION_MAX;
    while (((unsigned char)text[len] & 0xC0) == 0x80)
        len--;
    for (size_t k = 1; k < 5 && k < len; k++)
        if (text[len - k] == '&')
            return len - k;
    return len;
}

void slack_add_long(struct arena *a, struct json *blocks, const char *mrkdwn)
{
    for (int i = 0; *mrkdwn != '\0' && i < SLACK_MOST_SECTIONS; i++) {
        size_t len = strlen(mrkdwn);
        if (len > SLACK_SECTION_MAX)
            len = cut_of(mrkdwn);
        slack_add_section(a, blocks, arena_strndup(a, mrkdwn, len));
        mrkdwn += len;
        mrkdwn += *mrkdwn == '\n';
    }
    if (*mrkdwn != '\0')
        slack_add_section(a, blocks, "… the rest is on the page");
}

void slack_add_context(struct arena *a, struct json *blocks, const char *mrkdwn)
{
    struct json *block = json_object(a), *elements = json_array(a);
    json_push(a, elements, slack_mrkdwn(a, mrkdwn));
    json_set_text(a, block, "type", "context");
    json_set(a, block, "elements", elements);
    json_push(a, blocks, block);
}

void slack_add_header(struct arena *a, struct json *blocks, const char *text)
{
    struct json *block = json_object(a);
    json_set_text(a, block, "type", "header");
    json_set(a, block, "text", slack_plain(a, text, SLACK_HEADER_MAX));
    json_push(a, blocks, block);
}

void slack_add_divider(struct arena *a, struct json *blocks)
{
    struct json *block = json_object(a);
    json_set_text(a, block, "type", "divider");
    json_push(a, blocks, block);
}

void slack_add_actions(struct arena *a, struct json *blocks, const char *block_id,
                       const struct json *elements)
{
    struct json *block = json_object(a);
    json_set_text(a, block, "type", "actions");
    json_set_text(a, block, "block_id", block_id);
    json_set(a, block, "elements", elements);
    json_push(a, blocks, block);
}

struct json *slack_button(struct arena *a, const struct slack_button *in)
{
    struct json *b = json_object(a);
    json_set_text(a, b, "type", "button");
    json_set_text(a, b, "action_id", in->action);
    json_set(a, b, "text", slack_plain(a, in->label, SLACK_BUTTON_MAX));
    json_set_text(a, b, "value", in->value);
    if (in->style != NULL)
        json_set_text(a, b, "style", in->style);
    if (in->spoken != NULL)
        json_set_text(a, b, "accessibility_label",
                      text_truncate(a, text_one_line(a, in->spoken), SLACK_BUTTON_MAX));
    return b;
}

struct json *slack_option(struct arena *a, const char *label, const char *value)
{
    struct json *option = json_object(a);
    json_set(a, option, "text", slack_plain(a, label, SLACK_OPTION_MAX));
    json_set_text(a, option, "value", value);
    return option;
}

void slack_add_input(struct arena *a, struct json *blocks, const char *block_id, const char *label,
                     struct json *element, bool optional)
{
    struct json *input = json_object(a);
    json_set_text(a, input, "type", "input");
    json_set_text(a, input, "block_id", block_id);
    json_set(a, input, "label", slack_plain(a, label, SLACK_LABEL_MAX));
    json_set(a, input, "element", element);
    if (optional)
        json_set_bool(a, input, "optional", true);
    json_push(a, blocks, input);
}

struct json *slack_text_input(struct arena *a, const char *initial, bool multiline, size_t max)
{
    struct json *element = json_object(a);
    json_set_text(a, element, "type", "plain_text_input");
    json_set_text(a, element, "action_id", "text");
    json_set_bool(a, element, "multiline", multiline);
    json_set_int(a, element, "max_length",
                 (int64_t)(max > SLACK_INPUT_MAX ? SLACK_INPUT_MAX : max));
    if (initial != NULL && *initial != '\0')
        json_set_text(a, element, "initial_value", initial);
    return element;
}
