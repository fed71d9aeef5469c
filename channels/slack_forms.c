/* Modals: why it is rejected, an answer in words, a choice out of many, other arguments. What they
 * are about travels in private_metadata. See slack.h. */
#include "channels/slack_private.h"
#include "gateway/base/text.h"

#include <string.h>

enum { LONG_LINE = 80 }; /* a value longer than this gets more than one line to be typed in */

static struct json *base(struct arena *a, const char *callback, const char *title,
                         const char *submit)
{
    struct json *view = json_object(a);
    json_set_text(a, view, "type", "modal");
    json_set_text(a, view, "callback_id", callback);
    json_set(a, view, "title", slack_plain(a, title, 24));
    json_set(a, view, "submit", slack_plain(a, submit, 24));
    json_set(a, view, "close", slack_plain(a, "Cancel", 24));
    return view;
}

static void keep(struct arena *a, struct json *view, const struct live *live)
{
    struct json *kept = json_object(a);
    json_set_text(a, kept, "request", live->request_id);
    json_set_text(a, kept, "to", live->to);
    json_set_text(a, kept, "in_thread", live->in_thread);
    json_set_text(a, kept, "shown_at", live->shown_at);
    json_set_text(a, view, "private_metadata", json_write(a, kept));
}

static void add_title(struct arena *a, struct json *blocks, const struct live *live)
{
    if (live->title != NULL && *live->title != '\0')
        slack_add_section(a, blocks, slack_words(a, live->title, 300));
}

static void add_words(struct arena *a, struct json *blocks, bool reject)
{
    struct json *element =
        slack_text_input(a, NULL, true, reject ? SLACK_COMMENT_MAX : SLACK_INPUT_MAX);
    json_set_int(a, element, "min_length", 1);
    json_set_bool(a, element, "focus_on_load", true);
    slack_add_input(a, blocks, "reason", reject ? "Why? The agent reads this" : "Your answer",
                    element, false);
}

/* Options are asked for as somebody types: block_suggestion. */
static void add_search(struct arena *a, struct json *blocks)
{
    struct json *element = json_object(a);
    json_set_text(a, element, "type", "external_select");
    json_set_text(a, element, "action_id", SLACK_CHOOSE);
    json_set_int(a, element, "min_query_length", 0);
    json_set(a, element, "placeholder", slack_plain(a, "Type to search", SLACK_BUTTON_MAX));
    slack_add_input(a, blocks, "choice", "Your answer", element, false);
}

/* One of a few values: the argument's choices, or true and false. */
static struct json *choice_input(struct arena *a, const struct json *choices, const char *now)
{
    struct json *select = json_object(a), *options = json_array(a);
    json_set_text(a, select, "type", "static_select");
    json_set_text(a, select, "action_id", "text");
    json_set(a, select, "options", options);
    JSON_EACH(choice, choices)
    {
        const char *word = json_text(choice);
        json_push(a, options, slack_option(a, word, word));
        if (text_eq(word, now))
            json_set(a, select, "initial_option", slack_option(a, word, word));
    }
    return select;
}

/* Do all choices fit into a select? */
static bool is_select(const struct json *choices)
{
    size_t n = json_count(choices);
    JSON_EACH(choice, choices)
    {
        if (strlen(json_text(choice)) > SLACK_OPTION_MAX || *json_text(choice) == '\0')
            return false;
    }
    return n > 0 && n <= SLACK_OPTIONS_MAX;
}

static void add_field(struct arena *a, struct json *blocks, const struct json *field)
{
    const char *name = json_text_or(field, "name", ""), *now = json_text_or(field, "value", "");
    const char *about = json_text_at(field, "description");
    const struct json *choices = json_get(field, "choices");
    int64_t max = json_int_or(json_get(field, "max_length"), SLACK_INPUT_MAX);
    struct json *element =
        is_select(choices)
            ? choice_input(a, choices, now)
            : slack_text_input(a, now, strlen(now) > LONG_LINE || strchr(now, '\n') != NULL,
                               max < SLACK_INPUT_MAX ? (size_t)max : SLACK_INPUT_MAX);
    slack_add_input(a, blocks, arena_printf(a, SLACK_ARG "%s", name),
                    about == NULL ? name : arena_printf(a, "%s: %s", name, about), element,
                    json_is_true(json_get(field, "optional")));
}

/* Each argument that may be changed, as it is now. */
static void add_fields(struct arena *a, struct json *blocks, const struct json *fields)
{
    size_t n = 0;
    JSON_EACH(field, fields)
    {
        const char *now = json_text_or(field, "value", "");
        if (utf8_length(now) > SLACK_INPUT_MAX)
            slack_add_context(a, blocks,
                              arena_printf(a, "%s is too long for a form",
                                           slack_words(a, json_text_or(field, "name", ""), 60)));
        else if (n++ < SLACK_FIELDS_MAX)
            add_field(a, blocks, field);
    }
}

struct json *slack_form(struct arena *a, const struct live *live)
{
    struct json *view = NULL, *blocks = json_array(a);
    add_title(a, blocks, live);
    switch (live->kind) {
    case LIVE_TELL:
    case LIVE_ANSWER_FORM:
        view = base(a, SLACK_REPLY, "Answer", "Answer");
        add_words(a, blocks, false);
        break;
    case LIVE_REJECT_FORM:
        view = base(a, SLACK_REJECT, "Reject", "Reject");
        add_words(a, blocks, true);
        break;
    case LIVE_CHOICE_FORM:
        view = base(a, SLACK_CHOOSE, "Answer", "Answer");
        add_search(a, blocks);
        break;
    case LIVE_EDIT_FORM:
        view = base(a, SLACK_EDIT, "Edit", "Ask again");
        add_fields(a, blocks, live->fields);
        slack_add_context(a, blocks,
                          "This makes a new request; the old one ends. Votes are cast anew.");
        break;
    }
    keep(a, view, live);
    json_set(a, view, "blocks", blocks);
    return view;
}

/* ---- answers to submissions -------------------------------------------------------------- */

void slack_form_answer(struct arena *a, const struct form_outcome *outcome,
                       const char **content_type, const char **body)
{
    struct json *answer = json_object(a);
    const char *sentence = outcome->sentence == NULL ? "it was not taken" : outcome->sentence;
    *content_type = "application/json";
    switch (outcome->kind) {
    case FORM_DONE: /* an empty body closes the modal; anything else would leave it open */
        *content_type = NULL;
        *body = "";
        return;
    case FORM_REFUSED: {
        struct json *errors = json_object(a);
        json_set_text(a, errors,
                      arena_printf(a, SLACK_ARG "%s", outcome->field == NULL ? "" : outcome->field),
                      text_truncate(a, text_one_line(a, sentence), SLACK_ERROR_MAX));
        json_set_text(a, answer, "response_action", "errors");
        json_set(a, answer, "errors", errors);
        break;
    }
    case FORM_SLOW: {
        struct json *view = json_object(a), *blocks = json_array(a);
        slack_add_section(a, blocks, slack_escape(a, sentence, 300));
        json_set_text(a, view, "type", "modal");
        json_set(a, view, "title", slack_plain(a, "Edit", 24));
        json_set(a, view, "close", slack_plain(a, "Close", 24));
        json_set(a, view, "blocks", blocks);
        json_set_text(a, answer, "response_action", "update");
        json_set(a, answer, "view", view);
        break;
    }
    }
    *body = json_write(a, answer);
}

char *slack_found(struct arena *a, const struct suggestions *found)
{
    struct json *answer = json_object(a), *options = json_array(a);
    for (size_t i = 0; i < found->n && i < SLACK_OPTIONS_MAX; i++)
        json_push(a, options,
                  slack_option(a, found->list[i].label,
                               arena_printf(a, "%s:%lld", found->request,
                                            (long long)found->list[i].number)));
    json_set(a, answer, "options", options);
    return json_write(a, answer);
}
