/* A message as Block Kit, and as the words that stand for it where there are no blocks. See
 * slack.h. */
#include "channels/slack_private.h"

struct json *slack_blocks(struct arena *a, const struct message *msg)
{
    struct json *blocks = json_array(a);
    switch (msg->kind) {
    case MESSAGE_REQUEST:
        slack_add_card(a, blocks, msg);
        break;
    case MESSAGE_TEXT:
    case MESSAGE_STATUS:
    case MESSAGE_HOME:
        slack_add_long(a, blocks,
                       slack_escape(a, msg->text, SLACK_MOST_SECTIONS * SLACK_SECTION_MAX));
        break;
    }
    if (msg->page != NULL)
        slack_add_context(a, blocks, slack_link(a, msg->page, "All of it on the page"));
    return blocks;
}

char *slack_text(struct arena *a, const struct message *msg)
{
    const char *words = msg->kind == MESSAGE_REQUEST ? slack_card_text(a, msg->request) : msg->text;
    char *text = slack_escape(a, words, SLACK_TEXT_MAX);
    return *text == '\0' ? arena_strdup(a, "(no words)") : text; /* Slack refuses an empty text */
}
