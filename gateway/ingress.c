/* HTTP requests of the core: which door, verified by its adapter, stored, answered. See app.h. */
#include "gateway/app.h"
#include "gateway/base/text.h"
#include "gateway/reader.h"

#include <string.h>

enum {
    SLACK_BODY = 1 << 20,
    GITHUB_BODY = 25 << 20,
    API_BODY = 4 << 20,
    FORM_BODY = 64 << 10,
    DENIED_PER_MINUTE = 30, /* failed signatures of one address before it is told to wait */
};

static bool is_get(const char *method)
{
    return strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0;
}

void ingress_take_config(struct app *app)
{
    atomic_store(&app->most_body, (size_t)app->config->server.max_body_bytes);
}

struct http_door ingress_door(void *ctx, const char *method, const char *path)
{
    struct app *app = ctx;
    if (is_get(method) || strcmp(method, "OPTIONS") == 0)
        return (struct http_door){
            .max_body = 0, .to = reader_mailbox(app->reader), .kind = LETTER_READ};
    struct http_door door = {.max_body = FORM_BODY, .to = app->mailbox, .kind = LETTER_HTTP};
    size_t most = atomic_load(&app->most_body);
    if (text_starts(path, "/slack/"))
        door.max_body = SLACK_BODY;
    else if (text_starts(path, "/github/"))
        door.max_body = GITHUB_BODY;
    else if (text_starts(path, "/v1/"))
        door.max_body = API_BODY;
    if (most > 0 && door.max_body > most)
        door.max_body = most;
    return door;
}

static void answer_error(struct app *app, const struct http_request *request, int status,
                         const char *code, const char *sentence)
{
    struct json *body = json_object(app->a);
    struct json *error = json_set(app->a, body, "error", json_object(app->a));
    json_set_text(app->a, error, "code", code);
    json_set_text(app->a, error, "message", sentence);
    struct http_answer *answer =
        http_answer_text(request->conn, status, "application/json", json_write(app->a, body));
    if (status == 503 || status == 429)
        http_answer_header(answer, "Retry-After", status == 429 ? "60" : "2");
    app_answer(app, answer);
}

void ingress_refuse(struct app *app, const struct http_request *request, const struct err *err)
{
    switch (err->kind) {
    case ERR_NONE:
    case ERR_INVALID:
        answer_error(app, request, 400, "invalid", err->text);
        return;
    case ERR_TOO_LARGE:
        answer_error(app, request, 413, "too_large", err->text);
        return;
    case ERR_DENIED:
        answer_error(app, request, 401, "denied", err->text);
        return;
    case ERR_MISSING:
        answer_error(app, request, 404, "not_found", err->text);
        return;
    case ERR_CONFLICT:
        answer_error(app, request, 409, "conflict", err->text);
        return;
    case ERR_TRANSIENT:
    case ERR_UNCERTAIN:
        answer_error(app, request, 503, "unavailable", err->text);
        return;
    }
    UNREACHABLE();
}

/* A webhook's adapter: the instance that its path names, or the only one of its type. */
struct target {
    const char *name;
    const struct channel_ops *ops;
    const void *settings;
    const struct channel_config *channel; /* NULL for a source */
};

struct door_path {
    const char *type;   /* first segment */
    const char *action; /* last segment */
};

static const struct door_path door_paths[] = {
    {"slack", "events"},
    {"slack", "interactions"},
    {"slack", "commands"},
    {"github", "webhook"},
};

/* "/slack/events" or "/slack/ops-slack/events". */
static bool match_path(struct arena *a, const char *path, const struct door_path *door,
                       const char **instance)
{
    char *prefix = arena_printf(a, "/%s/", door->type);
    if (!text_starts(path, prefix))
        return false;
    const char *rest = path + strlen(prefix);
    *instance = NULL;
    if (strcmp(rest, door->action) == 0)
        return true;
    const char *slash = strchr(rest, '/');
    if (slash == NULL || strcmp(slash + 1, door->action) != 0)
        return false;
    *instance = arena_strndup(a, rest, (size_t)(slash - rest));
    return true;
}

static bool offer(struct target *out, size_t *found, const char *instance, const struct target *t,
                  const char *type, const char *wanted_type)
{
    if (t->ops == NULL || t->ops->receive == NULL || strcmp(type, wanted_type) != 0 ||
        (instance != NULL && strcmp(instance, t->name) != 0))
        return false;
    *out = *t;
    ++*found;
    return true;
}

static bool find_target(struct app *app, const char *path, struct target *out)
{
    for (size_t d = 0; d < COUNT(door_paths); d++) {
        const char *instance;
        size_t found = 0;
        if (!match_path(app->a, path, &door_paths[d], &instance))
            continue;
        for (size_t i = 0; i < app->config->n_channels; i++) {
            const struct channel_config *c = &app->config->channels[i];
            struct target t = {c->name, c->ops, c->settings, c};
            offer(out, &found, instance, &t, c->type, door_paths[d].type);
        }
        for (size_t i = 0; i < app->config->n_sources; i++) {
            const struct source_config *c = &app->config->sources[i];
            struct target t = {c->name, c->ops, c->settings, NULL};
            offer(out, &found, instance, &t, c->type, door_paths[d].type);
        }
        return found == 1;
    }
    return false;
}

/* ---- answers at once --------------------------------------------------------------------- */

/* The arguments that may be changed, as they are now. */
static struct json *edit_fields(struct app *app, const struct request_row *r)
{
    const struct tool *tool = r->tool == NULL ? NULL : config_tool(app->config, r->tool);
    const struct json *now = json_get(json_parse_own(app->a, r->canonical), "arguments");
    struct json *fields = json_array(app->a);
    for (size_t i = 0; tool != NULL && i < tool->n_editable; i++) {
        const struct tool_arg *arg = tool_arg_by_name(tool, tool->editable[i]);
        const struct json *value = arg == NULL ? NULL : json_get(now, arg->name);
        if (arg == NULL)
            continue;
        struct json *field = json_object(app->a), *choices = json_array(app->a);
        json_push(app->a, fields, field);
        json_set_text(app->a, field, "name", arg->name);
        if (arg->description != NULL)
            json_set_text(app->a, field, "description", arg->description);
        json_set_text(app->a, field, "value",
                      value == NULL              ? ""
                      : json_text(value) != NULL ? json_text(value)
                                                 : json_write(app->a, value));
        for (size_t k = 0; k < arg->n_choices; k++)
            json_push_text(app->a, choices, arg->choices[k]);
        if (arg->type == ARG_BOOLEAN) {
            json_push_text(app->a, choices, "true");
            json_push_text(app->a, choices, "false");
        }
        json_set(app->a, field, "choices", choices);
        json_set_int(app->a, field, "max_length",
                     arg->max_length > 0 ? arg->max_length : TOOL_TEXT_MAX);
        json_set_bool(app->a, field, "optional", arg->optional);
    }
    return fields;
}

/* Which form a click wants. */
static void choose_form(struct app *app, const struct arrival *in, const struct request_row *r,
                        struct live *live)
{
    const struct json *view = json_parse_own(app->a, r->view);
    bool question = strcmp(r->kind, "question") == 0;
    bool many = text_eq(json_text_at(view, "options.format"), "multiple_choice");
    live->kind = !question ? LIVE_REJECT_FORM : many ? LIVE_CHOICE_FORM : LIVE_ANSWER_FORM;
    live->request_id = r->id;
    live->title = json_text_or(view, "title", r->tool);
    if (question || !text_eq(in->decision, "edit"))
        return;
    live->fields = edit_fields(app, r);
    live->kind = json_count(live->fields) > 0 ? LIVE_EDIT_FORM : LIVE_TELL;
    live->text = "The arguments of this call may not be changed.";
}

/* A click that wants a form gets it at once, or hears why not. */
static bool answer_click(struct app *app, const struct target *target, const struct arrival *in,
                         struct err *err)
{
    struct live live = {.to = in->to,
                        .in_thread = in->in_thread,
                        .user = strchr(in->sender, ':') + 1,
                        .trigger = in->trigger,
                        .request_id = in->request,
                        .shown_at = in->shown_at};
    struct request_row r;
    struct err why = ERR_INIT;
    if (!store_find_request(&app->store, app->a, in->request, &r, &why)) {
        if (why.kind == ERR_TRANSIENT)
            return fail(err, why.kind, "%s", why.text);
        live.text = arena_printf(app->a, "I know no open request %s.", in->request);
    } else if (strcmp(r.status, "open") != 0) {
        live.text = arena_printf(
            app->a, "Request %s is decided already: %s%s%s.", r.code, r.status,
            r.decided_by == NULL ? "" : " by ",
            r.decided_by == NULL ? "" : actor_display(app->a, &app->config->people, r.decided_by));
    } else {
        choose_form(app, in, &r, &live);
    }
    outbox_live(app, target->channel, &live);
    return true;
}

/* The choices that hold what was typed, those that begin with it first. */
static bool answer_search(struct app *app, const struct target *target, struct arrival *in,
                          struct err *err)
{
    enum { MOST = 100 };
    struct request_row r;
    struct err why = ERR_INIT;
    struct suggestions found = {.request = in->request,
                                .list = ARENA_ARRAY(app->a, struct suggestion, MOST)};
    if (!store_find_request(&app->store, app->a, in->request, &r, &why)) {
        if (why.kind == ERR_TRANSIENT)
            return fail(err, why.kind, "%s", why.text);
        r.view = "{}";
    }
    const struct json *choices = json_at(json_parse_own(app->a, r.view), "options.choices");
    for (int pass = 0; pass < 2; pass++) {
        int64_t number = -1;
        JSON_EACH(choice, choices)
        {
            const char *label = json_text(choice);
            const char *at = strcasestr(label, in->query);
            number++;
            if (at != NULL && (at == label) == (pass == 0) && found.n < MOST)
                found.list[found.n++] = (struct suggestion){label, number};
        }
    }
    if (target->ops->answer_search != NULL)
        target->ops->answer_search(app->a, &found, &in->content_type, &in->body);
    return true;
}

static bool answer_command(struct app *app, const struct target *target, struct arrival *in,
                           struct err *err)
{
    bool for_agent, seen = false;
    struct message message = {.kind = MESSAGE_TEXT, .public_url = app->config->server.public_url};
    if (!desk_command(app, target->name, in, &for_agent, &message.text, err) ||
        (for_agent && !router_store(app, target->name, in, &seen, err)))
        return false;
    if (for_agent)
        metrics_add(app->metrics, seen ? METRIC_WEBHOOKS_SEEN : METRIC_WEBHOOKS_STORED, 1);
    if (target->ops->answer_command != NULL)
        target->ops->answer_command(app->a, &message, &in->content_type, &in->body);
    return true;
}

/* ---- receiving --------------------------------------------------------------------------- */

/* Others' talk is dropped before it is stored. */
static bool drop_unknown_thread(struct app *app, const struct target *target,
                                struct arrival *arrival, struct err *err)
{
    const char *thread = NULL;
    int64_t *waiting;
    size_t n_waiting = 0;
    if (arrival->kind == ARRIVAL_IGNORED || !arrival->known_threads_only)
        return true;
    if (arrival->in_thread != NULL &&
        !store_thread_of_conversation(&app->store, app->a, target->name, arrival->to,
                                      arrival->in_thread, &thread, err))
        return false;
    /* What it replies to may be stored and not routed yet: then the router looks again. */
    if (thread == NULL && arrival->in_thread != NULL &&
        !store_new_arrivals(&app->store, app->a, 1, &waiting, &n_waiting, err))
        return false;
    if (thread == NULL && n_waiting == 0)
        arrival->kind = ARRIVAL_IGNORED;
    return true;
}

/* What the adapter read → rows, and what the answer says. *held: the answer comes later. */
static bool take(struct app *app, const struct target *target, struct arrival *arrival,
                 const struct asker *asker, bool *held, struct err *err)
{
    bool seen = false;
    *held = false;
    switch (arrival->kind) {
    case ARRIVAL_IGNORED:
        metrics_add(app->metrics, METRIC_WEBHOOKS_IGNORED, 1);
        return true;
    case ARRIVAL_SEARCH:
        return answer_search(app, target, arrival, err);
    case ARRIVAL_COMMAND:
        return answer_command(app, target, arrival, err);
    case ARRIVAL_MESSAGE:
    case ARRIVAL_EVENT:
    case ARRIVAL_DECISION:
    case ARRIVAL_ASK_FORM:
    case ARRIVAL_HOME:
        break;
    }
    if (!router_store(app, target->name, arrival, &seen, err))
        return false;
    metrics_add(app->metrics, seen ? METRIC_WEBHOOKS_SEEN : METRIC_WEBHOOKS_STORED, 1);
    if (arrival->kind == ARRIVAL_ASK_FORM && !seen)
        return answer_click(app, target, arrival, err);
    *held = arrival->hold != NULL && !seen && target->channel != NULL;
    return !*held || edit_hold(app, asker, arrival, target->channel, err);
}

/* By whichever way it came. */
static bool receive(struct app *app, const struct target *target, const struct webhook *in,
                    const struct asker *asker, struct err *err)
{
    struct arrival arrival = {0};
    bool held;
    if (!target->ops->receive(target->settings, app->a, in, &arrival, err) ||
        !drop_unknown_thread(app, target, &arrival, err) ||
        !take(app, target, &arrival, asker, &held, err))
        return false;
    if (!held)
        app_tell(app, asker, arrival.status == 0 ? 200 : arrival.status, arrival.content_type,
                 arrival.body == NULL ? "" : arrival.body);
    return true;
}

bool ingress_envelope(struct app *app, const struct slack_envelope *envelope, struct err *err)
{
    const struct channel_config *c = config_channel(app->config, envelope->channel);
    struct asker asker = {envelope->conn, envelope->id, envelope->takes_payload};
    if (c == NULL || c->ops == NULL || c->ops->receive == NULL)
        return fail(err, ERR_MISSING, "there is no channel %s any more", envelope->channel);
    struct target target = {c->name, c->ops, c->settings, c};
    return receive(app, &target, &envelope->in, &asker, err);
}

void ingress_connect(struct app *app)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    const struct config *config = app->config;
    const struct slack_settings **list =
        ARENA_ARRAY(&a, const struct slack_settings *, config->n_channels);
    size_t n = 0;
    for (size_t i = 0; i < config->n_channels; i++) {
        const struct channel_config *c = &config->channels[i];
        const struct slack_settings *slack = c->ops == &slack_channel ? c->settings : NULL;
        if (slack != NULL && text_eq(slack->mode, "socket"))
            list[n++] = slack;
    }
    slack_sockets_set(app->sockets, list, n);
}

static bool webhook(struct app *app, const struct http_request *request,
                    const struct target *target, struct err *err)
{
    struct webhook in = {.method = request->method,
                         .path = request->path,
                         .query = request->query,
                         .headers = request->headers,
                         .n_headers = request->n_headers,
                         .body = request->body,
                         .at_ms = request->received_at_ms};
    if (target->ops->verify(target->settings, &in, err)) {
        struct asker asker = {.conn = request->conn};
        return receive(app, target, &in, &asker, err);
    }
    metrics_add(app->metrics, METRIC_WEBHOOKS_DENIED, 1);
    if (rate_count(&app->rate, request->peer, DENIED_PER_MINUTE, app->now_ms)) {
        struct http_answer *answer = http_answer_new(request->conn, 401);
        app_answer(app, answer); /* no body: nothing is told to who cannot sign */
        return true;
    }
    metrics_add(app->metrics, METRIC_RATE_LIMITED, 1);
    answer_error(app, request, 429, "too_many", "too many requests without a valid signature");
    return true;
}

bool ingress_handle(struct app *app, const struct http_request *request, struct err *err)
{
    struct target target;
    if (text_starts(request->path, "/v1/"))
        return api_handle(app, request, err);
    if (find_target(app, request->path, &target)) {
        if (strcmp(request->method, "POST") == 0)
            return webhook(app, request, &target, err);
        answer_error(app, request, 405, "method", "this door takes POST");
        return true;
    }
    return forms_handle(app, request, err);
}
