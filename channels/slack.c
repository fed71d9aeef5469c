/* Slack over HTTP: Events API, interactivity, commands in; Web API calls out. Pure.
 * Sources: docs.slack.dev (Events API, verifying requests, handling user interaction,
 * chat.postMessage, chat.update, conversations.history, views.open). */
#include "channels/slack.h"

#include "gateway/base/hash.h"
#include "gateway/base/text.h"

#include <string.h>

enum {
    MAX_BODY = 1 << 20,
    WINDOW_S = 300,        /* how old a signature may be */
    RATE_LIMIT_MS = 30000, /* a 429 without Retry-After */
    LOOK_BACK_MS = 5000,   /* clocks differ */
    LOOK_UP_LIMIT = 15,    /* what apps outside the Marketplace get */
    MESSAGE_BYTES = 100000,
};

/* ---- verify ------------------------------------------------------------------------------- */

static bool is_ssl_check(struct arena *a, const struct webhook *in)
{
    const char *type = webhook_header(in, "content-type");
    return type != NULL && text_starts(type, "application/x-www-form-urlencoded") &&
           text_eq(form_value(a, in->body, "ssl_check"), "1");
}

static bool verify(const void *settings, const struct webhook *in, struct err *err)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    const struct slack_settings *s = settings;
    const char *at = webhook_header(in, "x-slack-request-timestamp");
    const char *signature = webhook_header(in, "x-slack-signature");
    int64_t at_s;
    if (is_ssl_check(&a, in))
        return true; /* unsigned by design; receive() does nothing with it */
    if (s->signing_secret == NULL || *s->signing_secret == '\0')
        return fail(err, ERR_DENIED, "no signing secret is configured");
    if (at == NULL || signature == NULL || !text_to_int(at, 0, INT64_MAX / 1000, &at_s))
        return fail(err, ERR_DENIED, "unsigned");
    int64_t age_s = in->at_ms / 1000 - at_s;
    if (age_s > WINDOW_S || age_s < -WINDOW_S)
        return fail(err, ERR_DENIED, "the signature is too old, or a clock is wrong");
    char *head = arena_printf(&a, "v0:%s:", at);
    size_t len = strlen(head);
    char *base = arena_alloc(&a, len + in->body.len + 1);
    memcpy(base, head, len);
    if (in->body.len > 0)
        memcpy(base + len, in->body.at, in->body.len);
    char *expected = arena_printf(
        &a, "v0=%s",
        hmac_sha256_hex(&a, span_of(s->signing_secret), (struct span){base, len + in->body.len}));
    return secret_eq(span_of(signature), span_of(expected)) ||
           fail(err, ERR_DENIED, "the signature does not match");
}

/* ---- receive: events ------------------------------------------------------------------------- */

/* Loop prevention: our own posts, other bots', edits, joins. */
static const char *why_not_a_person(const struct slack_settings *s, const struct json *event)
{
    const char *user = json_text_at(event, "user"), *subtype = json_text_at(event, "subtype");
    if (json_get(event, "bot_id") != NULL || json_get(event, "bot_profile") != NULL)
        return "bot";
    if (user == NULL || strcmp(user, "USLACKBOT") == 0 || text_eq(user, s->bot_user))
        return "bot";
    if (json_is_true(json_get(event, "hidden")))
        return "hidden";
    if (subtype != NULL && strcmp(subtype, "file_share") != 0 &&
        strcmp(subtype, "thread_broadcast") != 0 && strcmp(subtype, "me_message") != 0)
        return "subtype";
    return NULL;
}

/* The words without the mention of ourselves that began them. */
static const char *words_of(struct arena *a, const struct json *envelope, const char *text)
{
    const char *bot = json_text_or(envelope, "authorizations.0.user_id",
                                   json_text_at(envelope, "authed_users.0")); /* older apps */
    text += strspn(text, " \n");
    if (text_starts(text, "<@")) {
        const char *end = strchr(text, '>');
        size_t id = strcspn(text + 2, ">|");
        bool ours = bot == NULL || (strlen(bot) == id && strncmp(text + 2, bot, id) == 0);
        if (end != NULL && ours)
            text = end + 1 + strspn(end + 1, " \n:,");
    }
    return text_truncate(a, slack_unescape(a, text), MESSAGE_BYTES);
}

static struct json *message_data(struct arena *a, const struct json *envelope,
                                 const struct json *event)
{
    struct json *data = json_object(a);
    json_set_text(a, data, "text", words_of(a, envelope, json_text_or(event, "text", "")));
    json_set_text(a, data, "channel", json_text_or(event, "channel", ""));
    json_set_text(a, data, "user", json_text_or(event, "user", ""));
    json_set_text(a, data, "ts", json_text_or(event, "ts", ""));
    if (json_count(json_get(event, "files")) > 0) {
        struct json *files = json_array(a);
        JSON_EACH(file, json_get(event, "files"))
        {
            json_push_text(a, files, json_text_or(file, "name", "a file"));
        }
        json_set(a, data, "files", files);
    }
    return data;
}

static bool receive_message(const struct slack_settings *s, struct arena *a,
                            const struct json *envelope, const struct json *event,
                            struct arrival *out, struct err *err)
{
    const char *channel = json_text_at(event, "channel"), *ts = json_text_at(event, "ts");
    const char *thread_ts = json_text_at(event, "thread_ts"), *why = why_not_a_person(s, event);
    const char *id = json_text_at(envelope, "event_id");
    bool mention = text_eq(json_text_at(event, "type"), "app_mention");
    bool direct = text_eq(json_text_at(event, "channel_type"), "im");
    if (why != NULL)
        return slack_ignore(out, why);
    if (channel == NULL || ts == NULL || id == NULL)
        return fail(err, ERR_INVALID, "event: channel, ts and event_id are required");
    *out = (struct arrival){
        .kind = ARRIVAL_MESSAGE,
        .type = "slack_message",
        .when = mention  ? "mention"
                : direct ? "direct_message"
                         : "message",
        .sender = arena_printf(a, "slack:%s", json_text_at(event, "user")),
        .to = channel,
        .in_thread = thread_ts == NULL ? ts : thread_ts,
        /* A plain message in a channel concerns us only under something of ours. */
        .known_threads_only = !mention && !direct,
        .data = message_data(a, envelope, event),
    };
    /* One post may come as app_mention and as message, under two event ids. */
    out->keys[0] = arena_printf(a, "event:%s", id);
    out->keys[1] = arena_printf(a, "message:%s:%s", channel, ts);
    return true;
}

/* ---- receive: the rest ------------------------------------------------------------------- */

/* When a person opens their page with us: it is made anew. The messages tab beside it is a
 * conversation like others. */
static bool receive_home(struct arena *a, const struct json *envelope, struct arrival *out,
                         struct err *err)
{
    const char *user = json_text_at(envelope, "event.user");
    const char *id = json_text_at(envelope, "event_id");
    if (!text_eq(json_text_or(envelope, "event.tab", "home"), "home"))
        return slack_ignore(out, "another_tab");
    if (user == NULL || id == NULL)
        return fail(err, ERR_INVALID, "event: user and event_id are required");
    struct json *data = json_object(a);
    if (json_text_at(envelope, "event.view.hash") != NULL)
        json_set_text(a, data, "hash", json_text_at(envelope, "event.view.hash"));
    *out = (struct arrival){.kind = ARRIVAL_HOME,
                            .sender = arena_printf(a, "slack:%s", user),
                            .to = user,
                            .data = data};
    out->keys[0] = arena_printf(a, "event:%s", id);
    return true;
}

static bool receive_event(const struct slack_settings *s, struct arena *a, const struct webhook *in,
                          struct arrival *out, struct err *err)
{
    struct json *envelope;
    if (!json_parse(a, in->body, MAX_BODY, &envelope, err))
        return fail_in(err, "event");
    const char *type = json_text_or(envelope, "type", ""),
               *inner = json_text_or(envelope, "event.type", "");
    if (strcmp(type, "url_verification") == 0) {
        struct json *answer = json_object(a);
        json_set_text(a, answer, "challenge", json_text_or(envelope, "challenge", ""));
        slack_ignore(out, "url_verification");
        out->content_type = "application/json";
        out->body = json_write(a, answer);
        return true;
    }
    if (strcmp(type, "event_callback") != 0)
        return slack_ignore(out, "unknown_envelope");
    if (strcmp(inner, "app_mention") == 0 || strcmp(inner, "message") == 0)
        return receive_message(s, a, envelope, json_get(envelope, "event"), out, err);
    if (strcmp(inner, "app_home_opened") == 0)
        return receive_home(a, envelope, out, err);
    return slack_ignore(out, "unknown_event");
}

static bool receive_interaction(struct arena *a, const struct webhook *in, struct arrival *out,
                                struct err *err)
{
    char *text = form_value(a, in->body, "payload");
    struct json *payload;
    if (text == NULL)
        return fail(err, ERR_INVALID, "the form has no payload");
    if (!json_parse(a, span_of(text), MAX_BODY, &payload, err))
        return fail_in(err, "payload");
    return slack_take_interaction(a, payload, out, err);
}

static bool receive_command(struct arena *a, const struct webhook *in, struct arrival *out,
                            struct err *err)
{
    static const char *const names[] = {"user_id", "channel_id", "command", "trigger_id", "text"};
    struct json *fields = json_object(a);
    for (size_t i = 0; i < COUNT(names); i++) {
        const char *value = form_value(a, in->body, names[i]);
        if (value != NULL)
            json_set_text(a, fields, names[i], value);
    }
    return slack_take_command(a, fields, out, err);
}

static bool receive(const void *settings, struct arena *a, const struct webhook *in,
                    struct arrival *out, struct err *err)
{
    if (is_ssl_check(a, in))
        return slack_ignore(out, "ssl_check");
    if (text_ends(in->path, "/interactions"))
        return receive_interaction(a, in, out, err);
    if (text_ends(in->path, "/commands"))
        return receive_command(a, in, out, err);
    return receive_event(settings, a, in, out, err);
}

/* ---- send -------------------------------------------------------------------------------------
 */

static void fill_wire(const struct slack_settings *s, struct arena *a, const char *method,
                      const char *content_type, char *body, struct wire *out)
{
    struct http_header *headers = ARENA_ARRAY(a, struct http_header, 2);
    headers[0] = (struct http_header){
        "Authorization", arena_printf(a, "Bearer %s", s->bot_token == NULL ? "" : s->bot_token)};
    headers[1] = (struct http_header){"Content-Type", content_type};
    *out = (struct wire){.method = "POST",
                         .url = arena_printf(a, "%s/%s", s->api_base, method),
                         .headers = headers,
                         .n_headers = 2,
                         .body = span_of(body)};
}

static void json_wire(const struct slack_settings *s, struct arena *a, const char *method,
                      const struct json *body, struct wire *out)
{
    fill_wire(s, a, method, "application/json; charset=utf-8", json_write(a, body), out);
}

/* A person's home tab: published as a whole. The hash of what they look at keeps an older one from
 * replacing a newer. */
static void render_home(const struct slack_settings *s, struct arena *a, const struct message *msg,
                        struct wire *out)
{
    struct json *body = json_object(a);
    json_set_text(a, body, "user_id", msg->to);
    json_set(a, body, "view", slack_home(a, msg));
    if (msg->replaces != NULL)
        json_set_text(a, body, "hash", msg->replaces);
    json_wire(s, a, "views.publish", body, out);
    out->repeatable = true;
}

static bool render(const void *settings, struct arena *a, const struct message *msg,
                   struct wire *out, struct err *err)
{
    struct json *body = json_object(a);
    if (msg->kind == MESSAGE_HOME) {
        render_home(settings, a, msg, out);
        return true;
    }
    const char *colon = msg->replaces == NULL ? NULL : strchr(msg->replaces, ':');
    if (msg->replaces != NULL && colon == NULL)
        return fail(err, ERR_INVALID, "the message to edit has no address");
    if (colon != NULL) {
        json_set_text(a, body, "channel",
                      arena_strndup(a, msg->replaces, (size_t)(colon - msg->replaces)));
        json_set_text(a, body, "ts", colon + 1);
    } else {
        json_set_text(a, body, "channel", msg->to);
        if (msg->in_thread != NULL)
            json_set_text(a, body, "thread_ts", msg->in_thread);
        json_set_bool(a, body, "unfurl_links", false);
        json_set_bool(a, body, "unfurl_media", false);
        struct json *metadata = json_set(a, body, "metadata", json_object(a));
        json_set_text(a, metadata, "event_type", "signoff_message");
        json_set_text(a, json_set(a, metadata, "event_payload", json_object(a)), "id", msg->id);
    }
    json_set_text(a, body, "text", slack_text(a, msg));
    json_set(a, body, "blocks", slack_blocks(a, msg));
    json_wire(settings, a, colon != NULL ? "chat.update" : "chat.postMessage", body, out);
    out->repeatable = colon != NULL; /* an edit may be made twice */
    return true;
}

/* What an operator must do about an error that will not go away by itself. */
static const struct {
    const char *error, *advice;
} advice[] = {
    {"not_in_channel", "Slack: invite the app to the channel (/invite)"},
    {"channel_not_found", "Slack: the channel does not exist or the app is not in it (/invite)"},
    {"is_archived", "Slack: the channel is archived"},
    {"missing_scope", "Slack: the app lacks a scope; reinstall it with the manifest"},
    {"invalid_auth", "Slack: the bot token is not valid; renew it"},
    {"not_authed", "Slack: the bot token is missing"},
    {"account_inactive", "Slack: the app was removed from the workspace"},
    {"token_revoked", "Slack: the bot token was revoked; renew it"},
    {"token_expired", "Slack: the bot token has expired; renew it"},
    {"message_not_found", "Slack: the message to edit is gone"},
    {"cant_update_message", "Slack: the message to edit is not ours"},
};

static struct receipt rejected(struct arena *a, const char *error)
{
    for (size_t i = 0; i < COUNT(advice); i++)
        if (strcmp(advice[i].error, error) == 0)
            return (struct receipt){.outcome = DELIVERY_REJECTED, .reason = advice[i].advice};
    return (struct receipt){
        .outcome = DELIVERY_REJECTED,
        .reason = arena_printf(a, "Slack: %s", text_truncate(a, text_one_line(a, error), 100))};
}

static struct receipt retry(int64_t after_ms, const char *reason)
{
    return (struct receipt){
        .outcome = DELIVERY_RETRY, .retry_after_ms = after_ms, .reason = reason};
}

static bool is_temporary(const char *error)
{
    static const char *const list[] = {
        "internal_error",    "service_unavailable",        "request_timeout",
        "update_failed",     "external_channel_migrating", "team_added_to_org",
        "org_login_required"};
    for (size_t i = 0; i < COUNT(list); i++)
        if (strcmp(list[i], error) == 0)
            return true;
    return false;
}

/* What every answer has in common; *body is set when ok. */
static bool settle_common(struct arena *a, bool repeatable, const struct wire_reply *reply,
                          struct receipt *out, struct json **body)
{
    struct receipt unknown = {.outcome = repeatable ? DELIVERY_RETRY : DELIVERY_UNKNOWN,
                              .reason = reply->error == NULL ? "Slack's answer is unreadable"
                                                             : reply->error};
    *out = unknown;
    if (reply->fate == WIRE_NOT_SENT) {
        *out = retry(0, reply->error);
        return false;
    }
    if (reply->fate == WIRE_UNKNOWN)
        return false;
    if (reply->status == 429) {
        *out = retry(reply->retry_after_ms > 0 ? reply->retry_after_ms : RATE_LIMIT_MS,
                     "Slack asks to slow down");
        return false;
    }
    if (reply->status >= 500 || !json_parse(a, reply->body, 0, body, NULL))
        return false;
    if (json_is_true(json_get(*body, "ok")))
        return true;
    const char *error = json_text_or(*body, "error", "no reason given");
    if (strcmp(error, "ratelimited") == 0 || strcmp(error, "rate_limited") == 0)
        *out = retry(reply->retry_after_ms > 0 ? reply->retry_after_ms : RATE_LIMIT_MS,
                     "Slack asks to slow down");
    else if (is_temporary(error))
        *out = retry(0, "Slack is not well");
    else if (strcmp(error, "fatal_error") != 0) /* "possible some aspect succeeded" */
        *out = rejected(a, error);
    return false;
}

static struct receipt sent(struct arena *a, const struct message *msg, const char *channel,
                           const char *ts)
{
    return (struct receipt){.outcome = DELIVERY_SENT,
                            .external_id = arena_printf(a, "%s:%s", channel, ts),
                            .in_thread = msg->in_thread != NULL ? msg->in_thread : ts};
}

static struct receipt settle(const void *settings, struct arena *a, const struct message *msg,
                             const struct wire_reply *reply)
{
    struct receipt out;
    struct json *body = NULL;
    (void)settings;
    bool home = msg->kind == MESSAGE_HOME;
    if (!settle_common(a, home || msg->replaces != NULL, reply, &out, &body)) {
        /* A newer one was published meanwhile: once more, over it. */
        bool conflict = home && text_eq(json_text_at(body, "error"), "hash_conflict");
        return conflict ? retry(1, "a newer home was there") : out;
    }
    if (home)
        return (struct receipt){.outcome = DELIVERY_SENT,
                                .external_id = json_text_or(body, "view.hash", "")};
    const char *channel = json_text_at(body, "channel"), *ts = json_text_at(body, "ts");
    if (msg->replaces != NULL)
        return (struct receipt){.outcome = DELIVERY_SENT, .external_id = msg->replaces};
    if (channel == NULL || ts == NULL)
        return out; /* ok without an address: it must be looked for */
    return sent(a, msg, channel, ts);
}

/* ---- the look-up of an ambiguous post
 * ------------------------------------------------------------ */

static bool look_up(const void *settings, struct arena *a, const struct message *msg,
                    struct wire *out, struct err *err)
{
    (void)err;
    int64_t oldest_ms = msg->sent_after_ms - LOOK_BACK_MS;
    char *form =
        arena_printf(a, "channel=%s&oldest=%lld.000000&include_all_metadata=true&limit=%d%s%s",
                     url_encode(a, msg->to), (long long)(oldest_ms / 1000), LOOK_UP_LIMIT,
                     msg->in_thread == NULL ? "" : "&ts=",
                     msg->in_thread == NULL ? "" : url_encode(a, msg->in_thread));
    fill_wire(settings, a,
              msg->in_thread == NULL ? "conversations.history" : "conversations.replies",
              "application/x-www-form-urlencoded", form, out);
    out->repeatable = true;
    return true;
}

static struct receipt settle_look_up(const void *settings, struct arena *a,
                                     const struct message *msg, const struct wire_reply *reply)
{
    struct receipt out;
    struct json *body;
    (void)settings;
    if (!settle_common(a, true, reply, &out, &body)) {
        if (out.outcome ==
            DELIVERY_RETRY) /* the look-up itself did not work: nothing is known yet */
            out.outcome = DELIVERY_UNKNOWN;
        return out;
    }
    JSON_EACH(m, json_get(body, "messages"))
    {
        if (text_eq(json_text_at(m, "metadata.event_payload.id"), msg->id))
            return sent(a, msg, msg->to, json_text_or(m, "ts", ""));
    }
    return retry(0, "it is not there");
}

/* ---- live answers
 * ----------------------------------------------------------------------------------- */

static bool live(const void *settings, struct arena *a, const struct live *in, struct wire *out,
                 struct err *err)
{
    struct json *body = json_object(a);
    if (in->kind == LIVE_TELL) {
        if (in->user == NULL)
            return fail(err, ERR_INVALID, "nobody to tell it to");
        json_set_text(a, body, "text", slack_escape(a, in->text, SLACK_TEXT_MAX));
        if (in->to == NULL) { /* a click on the home tab was in no conversation */
            json_set_text(a, body, "channel", in->user);
            json_wire(settings, a, "chat.postMessage", body, out);
            return true;
        }
        json_set_text(a, body, "channel", in->to);
        json_set_text(a, body, "user", in->user);
        if (in->in_thread != NULL)
            json_set_text(a, body, "thread_ts", in->in_thread);
        json_wire(settings, a, "chat.postEphemeral", body, out);
        return true;
    }
    if (in->trigger == NULL)
        return fail(err, ERR_INVALID, "no trigger to open a form with");
    json_set_text(a, body, "trigger_id", in->trigger);
    json_set(a, body, "view", slack_form(a, in));
    json_wire(settings, a, "views.open", body, out);
    return true;
}

/* ---- answers at once --------------------------------------------------------------------- */

/* To a command: seen by who typed it, and by nobody else. */
static void answer_command(struct arena *a, const struct message *msg, const char **content_type,
                           const char **body)
{
    struct json *answer = json_object(a);
    json_set_text(a, answer, "response_type", "ephemeral");
    json_set_text(a, answer, "text", slack_text(a, msg));
    json_set(a, answer, "blocks", slack_blocks(a, msg));
    *content_type = "application/json";
    *body = json_write(a, answer);
}

static void answer_search(struct arena *a, const struct suggestions *found,
                          const char **content_type, const char **body)
{
    *content_type = "application/json";
    *body = slack_found(a, found);
}

const struct channel_ops slack_channel = {
    .type = "slack",
    .identity = "slack",
    .verify = verify,
    .receive = receive,
    .render = render,
    .settle = settle,
    .look_up = look_up,
    .settle_look_up = settle_look_up,
    .live = live,
    .form_answer = slack_form_answer,
    .answer_command = answer_command,
    .answer_search = answer_search,
};
