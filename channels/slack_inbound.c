/* What people do in Slack beside writing: clicks, forms, searches, shortcuts, commands. The payload
 * comes as JSON, whichever transport brought it. Every kind is answered; what is not known is
 * ignored. See slack.h. Sources: docs.slack.dev, handling user interaction, and the recorded bodies
 * of tests/golden/slack. */
#include "channels/slack.h"
#include "gateway/base/text.h"

#include <string.h>

enum { MAX_KEPT = 16 * 1024, WORDS_BYTES = 100000, QUERY_BYTES = 300 };

bool slack_ignore(struct arrival *out, const char *why)
{
    *out = (struct arrival){.kind = ARRIVAL_IGNORED, .ignored_why = why};
    return true;
}

static bool answer_json(struct arena *a, struct arrival *out, const char *why,
                        const struct json *body)
{
    (void)slack_ignore(out, why);
    out->content_type = "application/json";
    out->body = json_write(a, body);
    return true;
}

/* ---- clicks ------------------------------------------------------------------------------ */

/* Of an ephemeral message and of a home tab there is no message; of a home tab no channel either.
 */
static const char *place_of_click(struct arena *a, const struct json *payload, struct arrival *out)
{
    const char *channel = json_text_at(payload, "container.channel_id");
    const char *ts = json_text_at(payload, "container.message_ts");
    const char *thread = json_text_at(payload, "message.thread_ts");
    if (channel == NULL)
        channel = json_text_at(payload, "channel.id");
    if (thread == NULL)
        thread = json_text_at(payload, "container.thread_ts");
    out->to = channel;
    out->in_thread = thread == NULL ? ts : thread;
    return channel == NULL || ts == NULL ? NULL : arena_printf(a, "%s:%s", channel, ts);
}

/* "r_…:3" → the request and which of its choices. */
static void read_choice(struct arena *a, const char *value, struct arrival *out)
{
    const char *colon = strchr(value, ':');
    out->decision = "answer";
    out->request = colon == NULL ? value : arena_strndup(a, value, (size_t)(colon - value));
    out->answer = colon == NULL ? NULL : arena_printf(a, "choice:%s", colon + 1);
}

/* What a button opens a form for. */
static const struct {
    const char *action, *decision;
} form_buttons[] = {
    {SLACK_REJECT, "reject"},
    {SLACK_REPLY, "answer"},
    {SLACK_CHOOSE, "answer"},
    {SLACK_EDIT, "edit"},
};

static bool read_action(struct arena *a, const struct json *action, struct arrival *out)
{
    const char *id = json_text_or(action, "action_id", "");
    const char *value = json_text_at(action, "value");
    if (value == NULL)
        value = json_text_at(action, "selected_option.value");
    if (value == NULL)
        return false;
    out->kind = ARRIVAL_DECISION;
    out->request = value;
    for (size_t i = 0; i < COUNT(form_buttons); i++)
        if (strcmp(id, form_buttons[i].action) == 0) {
            out->kind = ARRIVAL_ASK_FORM;
            out->decision = form_buttons[i].decision;
            return true;
        }
    if (strcmp(id, SLACK_APPROVE) == 0)
        out->decision = "approve";
    else if (text_starts(id, SLACK_ANSWER))
        read_choice(a, value, out);
    else
        return false;
    return true;
}

static bool take_actions(struct arena *a, const struct json *payload, struct arrival *out,
                         struct err *err)
{
    const char *user = json_text_at(payload, "user.id"),
               *trigger = json_text_at(payload, "trigger_id");
    const struct json *actions = json_get(payload, "actions");
    if (user == NULL || json_count(actions) == 0)
        return fail(err, ERR_INVALID, "payload: user and actions are required");
    *out = (struct arrival){.sender = arena_printf(a, "slack:%s", user), .trigger = trigger};
    out->shown_at = place_of_click(a, payload, out);
    JSON_EACH(action, actions)
    {
        if (!read_action(a, action, out))
            continue;
        out->keys[0] = trigger != NULL ? arena_printf(a, "trigger:%s", trigger)
                                       : arena_printf(a, "click:%s:%s:%s",
                                                      out->shown_at == NULL ? "" : out->shown_at,
                                                      user, json_text_or(action, "action_ts", ""));
        return true;
    }
    return slack_ignore(out, "unknown_action");
}

/* ---- forms ------------------------------------------------------------------------------- */

static bool answer_form_error(struct arena *a, struct arrival *out, const char *sentence)
{
    struct json *body = json_object(a);
    json_set_text(a, body, "response_action", "errors");
    json_set_text(a, json_set(a, body, "errors", json_object(a)), "reason", sentence);
    return answer_json(a, out, "empty_form", body);
}

static bool is_blank(const char *text)
{
    return text == NULL || text[strspn(text, " \t\r\n")] == '\0';
}

/* What was in the form when it was opened. */
static const struct json *kept_of(struct arena *a, const struct json *payload)
{
    struct json *kept = NULL;
    const char *text = json_text_or(payload, "view.private_metadata", "");
    return json_parse(a, span_of(text), MAX_KEPT, &kept, NULL) ? kept : NULL;
}

/* An input that was left empty is no value: "" says so. */
static const char *typed(const struct json *input)
{
    const char *text = json_text_at(input, "text.value");
    return text != NULL ? text : json_text_or(input, "text.selected_option.value", "");
}

static bool read_edit(struct arena *a, const struct json *payload, struct arrival *out)
{
    struct json *arguments = json_object(a), *data = json_object(a);
    JSON_EACH(input, json_at(payload, "view.state.values"))
    {
        if (text_starts(input->key, SLACK_ARG))
            json_set_text(a, arguments, input->key + strlen(SLACK_ARG), typed(input));
    }
    json_set(a, data, "arguments", arguments);
    out->decision = "edit";
    out->data = data;
    out->hold = out->keys[0];
    return true;
}

static bool read_submission(struct arena *a, const struct json *payload, const char *callback,
                            struct arrival *out)
{
    const char *words = json_text_at(payload, "view.state.values.reason.text.value");
    const char *choice =
        json_text_at(payload, "view.state.values.choice." SLACK_CHOOSE ".selected_option.value");
    bool reject = strcmp(callback, SLACK_REJECT) == 0;
    if (strcmp(callback, SLACK_EDIT) == 0)
        return read_edit(a, payload, out);
    if (strcmp(callback, SLACK_CHOOSE) == 0) {
        const char *request = out->request;
        if (choice == NULL)
            return slack_ignore(out, "empty_form");
        read_choice(a, choice, out);
        return text_eq(request, out->request) || slack_ignore(out, "another_request");
    }
    if (is_blank(words))
        return answer_form_error(a, out, "Please write some words.");
    out->decision = reject ? "reject" : "answer";
    out->comment = reject ? words : NULL;
    out->answer = reject ? NULL : words;
    return true;
}

static bool take_submission(struct arena *a, const struct json *payload, struct arrival *out,
                            struct err *err)
{
    static const char *const ours[] = {SLACK_REJECT, SLACK_REPLY, SLACK_CHOOSE, SLACK_EDIT};
    const char *callback = json_text_or(payload, "view.callback_id", "");
    const char *user = json_text_at(payload, "user.id");
    const struct json *kept = kept_of(a, payload);
    size_t i = 0;
    while (i < COUNT(ours) && strcmp(ours[i], callback) != 0)
        i++;
    if (i == COUNT(ours))
        return slack_ignore(out, "unknown_form");
    if (user == NULL || json_text_at(kept, "request") == NULL)
        return fail(err, ERR_INVALID, "payload: user and private_metadata are required");
    *out = (struct arrival){.kind = ARRIVAL_DECISION,
                            .sender = arena_printf(a, "slack:%s", user),
                            .request = json_text_at(kept, "request"),
                            .to = json_text_at(kept, "to"),
                            .in_thread = json_text_at(kept, "in_thread"),
                            .shown_at = json_text_at(kept, "shown_at")};
    out->keys[0] = arena_printf(
        a, "submit:%s:%s", user,
        json_text_or(payload, "trigger_id", json_text_or(payload, "view.private_metadata", "")));
    return read_submission(a, payload, callback, out);
}

/* Somebody types into a search: the options that match are the answer. */
static bool take_search(struct arena *a, const struct json *payload, struct arrival *out)
{
    const char *request = json_text_at(kept_of(a, payload), "request");
    struct json *nothing = json_object(a);
    json_set(a, nothing, "options", json_array(a));
    if (!text_eq(json_text_at(payload, "action_id"), SLACK_CHOOSE) || request == NULL)
        return answer_json(a, out, "unknown_search", nothing);
    *out = (struct arrival){.kind = ARRIVAL_SEARCH,
                            .request = request,
                            .query =
                                text_truncate(a, json_text_or(payload, "value", ""), QUERY_BYTES)};
    return true;
}

/* ---- shortcuts --------------------------------------------------------------------------- */

/* "Ask deploybot about this": the message becomes the request, and its thread the conversation. */
static bool take_shortcut(struct arena *a, const struct json *payload, struct arrival *out,
                          struct err *err)
{
    const struct json *message = json_get(payload, "message");
    const char *user = json_text_at(payload, "user.id"),
               *channel = json_text_at(payload, "channel.id");
    const char *ts = json_text_or(message, "ts", json_text_at(payload, "message_ts"));
    const char *author = json_text_at(message, "user");
    if (!text_eq(json_text_at(payload, "callback_id"), SLACK_ASK))
        return slack_ignore(out, "unknown_shortcut");
    if (user == NULL || channel == NULL || ts == NULL)
        return fail(err, ERR_INVALID, "payload: user, channel and message are required");
    struct json *data = json_object(a);
    json_set_text(
        a, data, "text",
        text_truncate(a, slack_unescape(a, json_text_or(message, "text", "")), WORDS_BYTES));
    json_set_text(a, data, "shortcut", "ask about this message");
    if (author != NULL)
        json_set_text(a, data, "written_by", author);
    json_set_text(a, data, "channel", channel);
    json_set_text(a, data, "user", user);
    json_set_text(a, data, "ts", ts);
    *out = (struct arrival){.kind = ARRIVAL_MESSAGE,
                            .type = "slack_message",
                            .when = "shortcut",
                            .sender = arena_printf(a, "slack:%s", user),
                            .to = channel,
                            .in_thread = json_text_or(message, "thread_ts", ts),
                            .data = data};
    out->keys[0] =
        arena_printf(a, "trigger:%s",
                     json_text_or(payload, "trigger_id", json_text_or(payload, "action_ts", ts)));
    return true;
}

bool slack_take_interaction(struct arena *a, const struct json *payload, struct arrival *out,
                            struct err *err)
{
    const char *type = json_text_or(payload, "type", "");
    if (strcmp(type, "block_actions") == 0)
        return take_actions(a, payload, out, err);
    if (strcmp(type, "view_submission") == 0)
        return take_submission(a, payload, out, err);
    if (strcmp(type, "block_suggestion") == 0)
        return take_search(a, payload, out);
    if (strcmp(type, "message_action") == 0)
        return take_shortcut(a, payload, out, err);
    return slack_ignore(out,
                        strcmp(type, "view_closed") == 0 ? "view_closed" : "unknown_interaction");
}

/* ---- commands ---------------------------------------------------------------------------- */

bool slack_take_command(struct arena *a, const struct json *fields, struct arrival *out,
                        struct err *err)
{
    const char *user = json_text_at(fields, "user_id"),
               *channel = json_text_at(fields, "channel_id");
    const char *command = json_text_at(fields, "command"),
               *trigger = json_text_at(fields, "trigger_id");
    if (user == NULL || channel == NULL || command == NULL || trigger == NULL)
        return fail(err, ERR_INVALID, "user_id, channel_id, command and trigger_id are required");
    /* "/deploy backend" reads as a mention would: "deploy backend". */
    const char *words = arena_printf(a, "%s %s", command[0] == '/' ? command + 1 : command,
                                     slack_unescape(a, json_text_or(fields, "text", "")));
    struct json *data = json_object(a);
    json_set_text(a, data, "command", command);
    json_set_text(a, data, "text", text_truncate(a, words, WORDS_BYTES));
    json_set_text(a, data, "channel", channel);
    json_set_text(a, data, "user", user);
    *out = (struct arrival){.kind = ARRIVAL_COMMAND,
                            .type = "slack_message",
                            .when = "command",
                            .sender = arena_printf(a, "slack:%s", user),
                            .to = channel,
                            .data = data};
    out->keys[0] = arena_printf(a, "trigger:%s", trigger);
    return true;
}
