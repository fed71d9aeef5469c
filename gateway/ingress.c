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
        live.kind = strcmp(r.kind, "question") == 0 ? LIVE_ANSWER_FORM : LIVE_REJECT_FORM;
        live.request_id = r.id;
        live.title = json_text_or(json_parse_own(app->a, r.view), "title", r.tool);
    }
    outbox_live(app, target->channel, &live);
    return true;
}

/* Reads and stores what came, by whichever way; `out` has the answer. */
static bool receive(struct app *app, const struct target *target, const struct webhook *in,
                    struct arrival *out, struct err *err)
{
    struct arrival arrival = {0};
    if (!target->ops->receive(target->settings, app->a, in, &arrival, err))
        return false;
    bool seen = false;
    if (arrival.kind != ARRIVAL_IGNORED && arrival.known_threads_only) {
        const char *thread = NULL;
        if (arrival.in_thread != NULL &&
            !store_thread_of_conversation(&app->store, app->a, target->name, arrival.to,
                                          arrival.in_thread, &thread, err))
            return false;
        /* What it replies to may be stored and not routed yet: then the router looks again. */
        int64_t *waiting;
        size_t n_waiting = 0;
        if (thread == NULL && arrival.in_thread != NULL &&
            !store_new_arrivals(&app->store, app->a, 1, &waiting, &n_waiting, err))
            return false;
        if (thread == NULL && n_waiting == 0)
            arrival.kind = ARRIVAL_IGNORED;
    }
    if (arrival.kind == ARRIVAL_IGNORED) {
        metrics_add(app->metrics, METRIC_WEBHOOKS_IGNORED, 1);
    } else {
        if (!router_store(app, target->name, &arrival, &seen, err))
            return false;
        metrics_add(app->metrics, seen ? METRIC_WEBHOOKS_SEEN : METRIC_WEBHOOKS_STORED, 1);
    }
    if (arrival.kind == ARRIVAL_ASK_FORM && !seen && !answer_click(app, target, &arrival, err))
        return false;
    *out = arrival;
    return true;
}

bool ingress_envelope(struct app *app, const struct slack_envelope *envelope, struct err *err)
{
    const struct channel_config *c = config_channel(app->config, envelope->channel);
    struct arrival arrival;
    if (c == NULL || c->ops == NULL || c->ops->receive == NULL)
        return fail(err, ERR_MISSING, "there is no channel %s any more", envelope->channel);
    struct target target = {c->name, c->ops, c->settings, c};
    if (!receive(app, &target, &envelope->in, &arrival, err))
        return false;
    app_ack(app, slack_ack_order_new(envelope, arrival.body));
    return true;
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
        struct arrival arrival;
        if (!receive(app, target, &in, &arrival, err))
            return false;
        app_answer(app, http_answer_text(request->conn, arrival.status == 0 ? 200 : arrival.status,
                                         arrival.content_type,
                                         arrival.body == NULL ? "" : arrival.body));
        return true;
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
