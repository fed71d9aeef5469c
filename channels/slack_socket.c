/* See slack_socket.h. */
#include "channels/slack_socket.h"

#include "gateway/base/text.h"

#include <string.h>

enum { RATE_LIMIT_MS = 30000 }; /* a 429 without Retry-After */

/* ---- apps.connections.open ------------------------------------------------------------------ */

bool slack_open_render(const struct slack_settings *s, struct arena *a, struct wire *out,
                       struct err *err)
{
    struct http_header *headers = ARENA_ARRAY(a, struct http_header, 2);
    if (s->app_token == NULL)
        return fail(err, ERR_INVALID, "no app_token is configured");
    headers[0] = (struct http_header){"Authorization", arena_printf(a, "Bearer %s", s->app_token)};
    headers[1] = (struct http_header){"Content-Type", "application/x-www-form-urlencoded"};
    *out = (struct wire){.method = "POST",
                         .url = arena_printf(a, "%s/apps.connections.open", s->api_base),
                         .headers = headers,
                         .n_headers = 2};
    return true;
}

/* What will not go away by itself, and what a human must do. */
static const struct {
    const char *error, *advice;
} hopeless[] = {
    {"invalid_auth", "Slack: app_token is not valid; make an app-level token (xapp-…)"},
    {"not_authed", "Slack: app_token is missing"},
    {"token_revoked", "Slack: app_token was revoked; make a new app-level token"},
    {"token_expired", "Slack: app_token has expired; make a new app-level token"},
    {"not_allowed_token_type", "Slack: app_token has to be an app-level token (xapp-…)"},
    {"missing_scope", "Slack: app_token lacks the scope connections:write"},
    {"no_permission", "Slack: app_token lacks the scope connections:write"},
    {"account_inactive", "Slack: the app was removed from the workspace"},
    {"user_removed_from_team", "Slack: who made app_token was removed from the workspace"},
    {"team_disabled", "Slack: the workspace is disabled"},
    {"forbidden_team", "Slack: the workspace does not let this app in"},
    {"socket_mode_not_enabled", "Slack: switch Socket Mode on in the app's settings"},
};

static struct slack_opening refused(struct arena *a, const char *error)
{
    for (size_t i = 0; i < COUNT(hopeless); i++)
        if (strcmp(hopeless[i].error, error) == 0)
            return (struct slack_opening){.hopeless = true, .why = hopeless[i].advice};
    return (struct slack_opening){
        .why = arena_printf(a, "Slack: %s", text_truncate(a, text_one_line(a, error), 100))};
}

/* Clear text only where the Web API itself is spoken to in clear text (this machine's stand-in). */
static bool may_open(const struct slack_settings *s, const char *url)
{
    return url != NULL && (text_starts(url, "wss://") ||
                           (text_starts(url, "ws://") && text_starts(s->api_base, "http://")));
}

struct slack_opening slack_open_settle(const struct slack_settings *s, struct arena *a,
                                       const struct wire_reply *reply)
{
    struct json *body;
    if (reply->fate != WIRE_ANSWERED)
        return (struct slack_opening){.why = reply->error};
    if (reply->status == 404)
        return (struct slack_opening){.hopeless = true,
                                      .why = "Slack: there is no such method: check api_base"};
    if (reply->status == 429)
        return (struct slack_opening){
            .retry_after_ms = reply->retry_after_ms > 0 ? reply->retry_after_ms : RATE_LIMIT_MS,
            .why = "Slack asks to slow down"};
    if (reply->status != 200 || !json_parse(a, reply->body, 0, &body, NULL))
        return (struct slack_opening){
            .retry_after_ms = reply->retry_after_ms,
            .why = arena_printf(a, "Slack's answer is unreadable (status %d)", reply->status)};
    if (!json_is_true(json_get(body, "ok")))
        return refused(a, json_text_or(body, "error", "no reason given"));
    const char *url = json_text_at(body, "url");
    if (!may_open(s, url))
        return (struct slack_opening){.why = "Slack's answer has no address of a safe connection"};
    return (struct slack_opening){.url = url};
}

/* ---- frames --------------------------------------------------------------------------------- */

static void read_goodbye(const struct json *root, struct slack_frame *out)
{
    out->kind = SLACK_GOODBYE;
    out->reason = json_text_at(root, "reason");
    if (text_eq(out->reason, "link_disabled"))
        out->goodbye = SLACK_LINK_DISABLED;
    else if (text_eq(out->reason, "too_many_websockets"))
        out->goodbye = SLACK_TOO_MANY;
    else
        out->goodbye = SLACK_REFRESH;
}

/* The flat fields of a command, as its form has them. */
static char *form_of(struct arena *a, const struct json *payload)
{
    char *form = arena_strdup(a, "");
    JSON_EACH(field, payload)
    {
        const char *value = json_text(field);
        if (value == NULL)
            value = field->type == JSON_NULL ? "" : json_write(a, field);
        form = arena_printf(a, "%s%s%s=%s", form, *form == '\0' ? "" : "&",
                            url_encode(a, field->key), url_encode(a, value));
    }
    return form;
}

static const struct http_header json_type[] = {{"content-type", "application/json"}};
static const struct http_header form_type[] = {
    {"content-type", "application/x-www-form-urlencoded"}};

static bool read_envelope(struct arena *a, const struct json *root, const char *type,
                          struct slack_frame *out, struct err *err)
{
    const struct json *payload = json_get(root, "payload");
    out->kind = SLACK_ENVELOPE;
    out->id = json_text_at(root, "envelope_id");
    out->takes_payload = json_is_true(json_get(root, "accepts_response_payload"));
    if (payload == NULL || payload->type != JSON_OBJECT)
        return fail(err, ERR_INVALID, "envelope: payload is required");
    if (strcmp(type, "events_api") == 0) {
        out->in.path = "/slack/events";
        out->in.headers = json_type;
        out->in.body = span_of(json_write(a, payload));
    } else if (strcmp(type, "interactive") == 0) {
        out->in.path = "/slack/interactions";
        out->in.headers = form_type;
        out->in.body =
            span_of(arena_printf(a, "payload=%s", url_encode(a, json_write(a, payload))));
    } else if (strcmp(type, "slash_commands") == 0) {
        out->in.path = "/slack/commands";
        out->in.headers = form_type;
        out->in.body = span_of(form_of(a, payload));
    } else {
        return fail(err, ERR_INVALID, "envelope: its type is not known");
    }
    return true;
}

bool slack_frame_parse(struct arena *a, struct span text, int64_t at_ms, struct slack_frame *out,
                       struct err *err)
{
    struct json *root;
    struct slack_frame frame = {.kind = SLACK_UNKNOWN,
                                .in = {.method = "POST", .n_headers = 1, .at_ms = at_ms}};
    if (!json_parse(a, text, SLACK_SOCKET_MESSAGE_MAX, &root, err))
        return fail_in(err, "frame");
    if (root->type != JSON_OBJECT)
        return fail(err, ERR_INVALID, "frame: is no object");
    const char *type = json_text_or(root, "type", "");
    if (strcmp(type, "hello") == 0) {
        frame.kind = SLACK_HELLO;
        frame.connections = json_int_or(json_get(root, "num_connections"), 0);
    } else if (strcmp(type, "disconnect") == 0) {
        read_goodbye(root, &frame);
    } else if (json_text_at(root, "envelope_id") != NULL &&
               !read_envelope(a, root, type, &frame, err)) {
        return false;
    }
    *out = frame;
    return true;
}

char *slack_ack(struct arena *a, const char *id, bool takes_payload, const char *body)
{
    struct json *ack = json_object(a), *payload;
    json_set_text(a, ack, "envelope_id", id);
    if (!takes_payload || body == NULL || *body == '\0')
        return json_write(a, ack);
    if (!json_parse(a, span_of(body), 0, &payload, NULL)) {
        payload = json_object(a); /* plain words */
        json_set_text(a, payload, "text", body);
    }
    json_set(a, ack, "payload", payload);
    char *whole = json_write(a, ack);
    if (strlen(whole) <= SLACK_ACK_MAX)
        return whole;
    return slack_ack(a, id, false, NULL);
}

/* ---- the machine ---------------------------------------------------------------------------- */

static int64_t later(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static int64_t earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static void add(struct slack_acts *out, int kind, uint64_t number)
{
    if (out->n == COUNT(out->list))
        return;
    out->list[out->n].kind = kind;
    out->list[out->n++].number = number;
}

static struct slack_link *find(struct slack_socket *s, uint64_t number)
{
    for (size_t i = 0; i < SLACK_LINKS; i++)
        if (s->links[i].state != LINK_FREE && s->links[i].number == number)
            return &s->links[i];
    return NULL;
}

static bool has(const struct slack_socket *s, int state)
{
    for (size_t i = 0; i < SLACK_LINKS; i++)
        if ((int)s->links[i].state == state)
            return true;
    return false;
}

/* Full jitter: many gateways that lost Slack together do not come back together. */
static int64_t back_off_ms(int failures, uint32_t random)
{
    int64_t most = SLACK_FIRST_MS;
    for (int i = 1; i < failures && most < SLACK_MOST_MS; i++)
        most *= 2;
    if (most > SLACK_MOST_MS)
        most = SLACK_MOST_MS;
    return (int64_t)(random % (uint64_t)(most + 1));
}

/* A connection is missing: asks for the next one at that time. */
static void ask_at(struct slack_socket *s, int64_t at_ms)
{
    if (!s->is_asking && !has(s, LINK_LIVE) && !has(s, LINK_CONNECTING))
        s->ask_at_ms = at_ms;
}

static void ask_if_due(struct slack_socket *s, int64_t now_ms, struct slack_acts *out)
{
    if (s->is_asking || now_ms < s->ask_at_ms)
        return;
    s->is_asking = true;
    s->ask_at_ms = INT64_MAX;
    add(out, SLACK_ASK_ADDRESS, 0);
}

static void become(struct slack_link *link, int state, int64_t now_ms)
{
    link->state = state;
    link->since_ms = now_ms;
}

/* The link cannot be counted on any more: it becomes `state`. One that was live is replaced at
 * once, but not so often that it would be a storm. */
static void lose(struct slack_socket *s, struct slack_link *link, int state, int64_t now_ms,
                 uint32_t random)
{
    bool was_needed = link->state != LINK_LEAVING, was_live = link->state == LINK_LIVE;
    int64_t soonest_ms = later(now_ms, link->since_ms + SLACK_APART_MS);
    become(link, state, now_ms);
    if (!was_needed)
        return;
    s->failures += !was_live;
    ask_at(s, was_live ? soonest_ms : now_ms + back_off_ms(s->failures, random));
}

static void drop(struct slack_socket *s, struct slack_link *link, int64_t now_ms, uint32_t random,
                 struct slack_acts *out)
{
    add(out, SLACK_DROP, link->number);
    lose(s, link, LINK_FREE, now_ms, random);
}

void slack_socket_begin(struct slack_socket *s, int64_t now_ms, struct slack_acts *out)
{
    *s = (struct slack_socket){.ask_at_ms = now_ms};
    ask_if_due(s, now_ms, out);
}

/* A place for a new link: where there is none, the one that was to leave longest ago goes. */
static struct slack_link *place(struct slack_socket *s, struct slack_acts *out)
{
    struct slack_link *oldest = &s->links[0];
    for (size_t i = 0; i < SLACK_LINKS; i++) {
        if (s->links[i].state == LINK_FREE)
            return &s->links[i];
        if (s->links[i].since_ms < oldest->since_ms)
            oldest = &s->links[i];
    }
    add(out, SLACK_DROP, oldest->number);
    return oldest;
}

void slack_socket_opened(struct slack_socket *s, uint64_t number, int64_t now_ms,
                         struct slack_acts *out)
{
    struct slack_link *link = place(s, out);
    s->is_asking = false;
    *link = (struct slack_link){.number = number, .heard_ms = now_ms, .pinged_ms = now_ms};
    become(link, LINK_CONNECTING, now_ms);
    add(out, SLACK_CONNECT, number);
}

void slack_socket_refused(struct slack_socket *s, const struct slack_opening *why, int64_t now_ms,
                          uint32_t random, struct slack_acts *out)
{
    int64_t wait_ms;
    s->is_asking = false;
    s->is_hopeless = why->hopeless;
    s->failures++;
    wait_ms = why->hopeless ? SLACK_HOPELESS_MS : back_off_ms(s->failures, random);
    if (wait_ms < why->retry_after_ms)
        wait_ms = why->retry_after_ms;
    ask_at(s, now_ms + wait_ms);
    ask_if_due(s, now_ms, out);
}

void slack_socket_heard(struct slack_socket *s, uint64_t number, int64_t now_ms)
{
    struct slack_link *link = find(s, number);
    if (link != NULL)
        link->heard_ms = now_ms;
}

void slack_socket_hello(struct slack_socket *s, uint64_t number, int64_t now_ms)
{
    struct slack_link *link = find(s, number);
    if (link == NULL || link->state != LINK_CONNECTING)
        return;
    become(link, LINK_LIVE, now_ms);
    s->is_hopeless = false;
    s->failures = 0;
    s->ask_at_ms = INT64_MAX;
}

void slack_socket_goodbye(struct slack_socket *s, uint64_t number, enum slack_goodbye goodbye,
                          int64_t now_ms, uint32_t random, struct slack_acts *out)
{
    struct slack_link *link = find(s, number);
    if (link == NULL)
        return;
    switch (goodbye) {
    case SLACK_REFRESH:
        lose(s, link, LINK_LEAVING, now_ms, random);
        break;
    case SLACK_TOO_MANY:
        if (link->state == LINK_LIVE)
            link->state =
                LINK_CONNECTING; /* a failure: to ask at once would be one too many again */
        lose(s, link, LINK_LEAVING, now_ms, random);
        break;
    case SLACK_LINK_DISABLED:
        become(link, LINK_LEAVING, now_ms);
        s->is_hopeless = true;
        ask_at(s, now_ms + SLACK_HOPELESS_MS);
        break;
    }
    ask_if_due(s, now_ms, out);
}

void slack_socket_closed(struct slack_socket *s, uint64_t number, int64_t now_ms, uint32_t random,
                         struct slack_acts *out)
{
    struct slack_link *link = find(s, number);
    if (link == NULL)
        return;
    lose(s, link, LINK_FREE, now_ms, random);
    ask_if_due(s, now_ms, out);
}

/* When it is over with the link if nothing comes. */
static int64_t end_of(const struct slack_link *link)
{
    switch (link->state) {
    case LINK_FREE:
        return INT64_MAX;
    case LINK_CONNECTING:
        return link->since_ms + SLACK_HELLO_MS;
    case LINK_LIVE:
        return link->heard_ms + SLACK_DEAD_MS;
    case LINK_LEAVING:
        return earlier(link->heard_ms + SLACK_DEAD_MS, link->since_ms + SLACK_LEAVE_MS);
    }
    UNREACHABLE();
}

static int64_t ping_of(const struct slack_link *link)
{
    return link->state == LINK_FREE || link->state == LINK_CONNECTING
               ? INT64_MAX
               : later(link->heard_ms, link->pinged_ms) + SLACK_PING_MS;
}

void slack_socket_tick(struct slack_socket *s, int64_t now_ms, uint32_t random,
                       struct slack_acts *out)
{
    for (size_t i = 0; i < SLACK_LINKS; i++) {
        struct slack_link *link = &s->links[i];
        if (now_ms >= end_of(link)) {
            drop(s, link, now_ms, random, out);
        } else if (now_ms >= ping_of(link)) {
            link->pinged_ms = now_ms;
            add(out, SLACK_PING, link->number);
        }
    }
    ask_if_due(s, now_ms, out);
}

int64_t slack_socket_due_ms(const struct slack_socket *s)
{
    int64_t due_ms = s->is_asking ? INT64_MAX : s->ask_at_ms;
    for (size_t i = 0; i < SLACK_LINKS; i++)
        due_ms = earlier(due_ms, earlier(end_of(&s->links[i]), ping_of(&s->links[i])));
    return due_ms;
}

const char *slack_socket_state(const struct slack_socket *s)
{
    if (has(s, LINK_LIVE))
        return "connected";
    if (s->is_hopeless)
        return "refused";
    return s->is_asking || has(s, LINK_CONNECTING) ? "connecting" : "waiting";
}

size_t slack_socket_links(const struct slack_socket *s)
{
    size_t n = 0;
    for (size_t i = 0; i < SLACK_LINKS; i++)
        n += s->links[i].state != LINK_FREE;
    return n;
}
