/* Deliveries: queued (behind another of its lane) → due → sending → sent | failed. The row is
 * durable before the call, and a delivery whose fate is unknown is looked up, or asked again marked
 * as a repeat (promise 5). See app.h. */
#include "gateway/app.h"
#include "gateway/base/text.h"
#include "gateway/views.h"

#include <string.h>

enum { MOST_ATTEMPTS = 12, CALL_TIMEOUT_MS = 20000, ANSWER_BYTES = 1 << 20 };
static const int64_t LONGEST_BACKOFF_MS = 15LL * 60 * 1000;

/* 1 s, 2 s, 4 s … 15 min: the one retry rule. */
static int64_t backoff_ms(int64_t attempts)
{
    int64_t wait = 1000;
    for (int64_t i = 1; i < attempts && wait < LONGEST_BACKOFF_MS; i++)
        wait *= 2;
    return wait > LONGEST_BACKOFF_MS ? LONGEST_BACKOFF_MS : wait;
}

/* ---- writing rows ------------------------------------------------------------------------ */

static bool add(struct app *app, const struct thread_row *row, const char *request, int64_t ask,
                const char *channel, const char *kind, const char *to, const char *text,
                const char *replaces, struct err *err)
{
    struct json *message = json_object(app->a);
    json_set_text(app->a, message, "kind", kind);
    json_set_text(app->a, message, "to", to);
    if (text != NULL)
        json_set_text(app->a, message, "text", text);
    struct delivery_row d = {.id = app_id(app, 'd'),
                             .thread = row->t.id,
                             .request = request,
                             .channel = channel,
                             .message = json_write(app->a, message),
                             .lane = arena_printf(app->a, "%s/%s", channel, to),
                             .due_at_ms = app->now_ms,
                             .created_at_ms = app->now_ms,
                             .replaces = replaces,
                             .ask = ask};
    return store_add_delivery(&app->store, &d, err);
}

bool outbox_say(struct app *app, struct thread_row *row, const char *text, struct err *err)
{
    if (row->t.channel == NULL || row->t.to == NULL)
        return true; /* no conversation: the thread's page has it */
    return add(app, row, NULL, -1, row->t.channel, "text", row->t.to, text, NULL, err);
}

/* "role:deployer" on a channel → each person's own address there. */
const char *outbox_address(const struct channel_config *channel, const struct person *p)
{
    if (strcmp(channel->type, "slack") == 0)
        return p->slack;
    if (strcmp(channel->type, "email") == 0)
        return p->email;
    return strcmp(channel->type, "sms") == 0 ? p->phone : NULL;
}

static bool cannot_ask(struct app *app, const struct thread_row *row, const char *request,
                       int64_t ask, const char *channel, const char *why, struct err *err)
{
    struct json *data = json_object(app->a);
    json_set_text(app->a, data, "request", request);
    json_set_text(app->a, data, "channel", channel);
    json_set_text(app->a, data, "why", why);
    metrics_add(app->metrics, METRIC_DELIVERIES_FAILED, 1);
    log_warn("delivery.failed", L_STR("request", request), L_STR("channel", channel),
             L_STR("why", why));
    return app_append(app, row->t.id, EVENT_DELIVERY_FAILED, "system", data, NULL, err) &&
           (ask < 0 || request_ask_failed(app, request, ask, err));
}

bool outbox_card(struct app *app, struct thread_row *row, const char *request, int64_t ask,
                 const char *channel, const char *to, struct err *err)
{
    const struct channel_config *c = channel == NULL ? NULL : config_channel(app->config, channel);
    if (channel == NULL || (c != NULL && strcmp(c->type, "web") == 0))
        return true; /* the inbox shows every request */
    if (c == NULL || c->ops == NULL || c->ops->render == NULL)
        return cannot_ask(app, row, request, ask, channel,
                          "this channel cannot send in this version", err);
    bool role = to != NULL && text_starts(to, "role:"),
         person = to != NULL && text_starts(to, "person:");
    if (!role && !person)
        return to == NULL ? cannot_ask(app, row, request, ask, channel, "it says not to whom", err)
                          : add(app, row, request, ask, channel, "request", to, NULL, NULL, err);
    size_t asked = 0;
    for (size_t i = 0; i < app->config->people.count; i++) {
        const struct person *p = &app->config->people.list[i];
        bool meant = role ? person_has_role(p, to + 5) : strcmp(p->id, to + 7) == 0;
        if (!meant || outbox_address(c, p) == NULL)
            continue;
        asked++;
        if (!add(app, row, request, ask, channel, "request", outbox_address(c, p), NULL, NULL, err))
            return false;
    }
    return asked > 0 ||
           cannot_ask(app, row, request, ask, channel,
                      arena_printf(app->a, "nobody of %s has an address there", to), err);
}

static bool add_edit(struct app *app, const struct thread_row *row, const char *request,
                     const struct delivery_row *shown, const char *kind, struct err *err)
{
    const char *pending;
    if (!store_pending_edit(&app->store, app->a, shown->external_id, &pending, err))
        return false;
    if (pending != NULL)
        return true; /* it shows the state of the moment when it leaves */
    const char *to = json_text_at(json_parse_own(app->a, shown->message), "to");
    return add(app, row, request, -1, shown->channel, kind, to, NULL, shown->external_id, err);
}

bool outbox_edit_cards(struct app *app, const char *request, struct err *err)
{
    struct request_row r;
    struct thread_row row;
    struct delivery_row *copies;
    size_t n;
    if (!store_get_request(&app->store, app->a, request, &r, err) ||
        !store_get_thread(&app->store, app->a, r.thread, &row, err) ||
        !store_request_deliveries(&app->store, app->a, request, &copies, &n, err))
        return false;
    for (size_t i = 0; i < n; i++)
        if (copies[i].external_id != NULL &&
            !add_edit(app, &row, request, &copies[i], "request", err))
            return false;
    return true;
}

/* The status message of a run is the delivery that meta names. */
bool outbox_status(struct app *app, struct thread_row *row, struct err *err)
{
    const struct channel_config *c =
        row->t.channel == NULL ? NULL : config_channel(app->config, row->t.channel);
    const char *key = arena_printf(app->a, "status:%s", row->t.id), *id;
    if (c == NULL || c->ops == NULL || c->ops->render == NULL || row->t.to == NULL)
        return true;
    if (!store_meta_get(&app->store, app->a, key, &id, err))
        return false;
    if (id != NULL) {
        struct delivery_row shown;
        if (!store_get_delivery(&app->store, app->a, id, &shown, err))
            return false;
        return shown.external_id == NULL || add_edit(app, row, NULL, &shown, "status", err);
    }
    struct json *message = json_object(app->a);
    json_set_text(app->a, message, "kind", "status");
    json_set_text(app->a, message, "to", row->t.to);
    struct delivery_row d = {.id = app_id(app, 'd'),
                             .thread = row->t.id,
                             .channel = row->t.channel,
                             .message = json_write(app->a, message),
                             .lane = arena_printf(app->a, "%s/%s", row->t.channel, row->t.to),
                             .due_at_ms = app->now_ms,
                             .created_at_ms = app->now_ms,
                             .ask = -1};
    return store_add_delivery(&app->store, &d, err) && store_meta_set(&app->store, key, d.id, err);
}

/* Of no thread: it shows what is in the store when it leaves. */
bool outbox_home(struct app *app, const char *channel, const char *to, const char *hash,
                 struct err *err)
{
    struct json *message = json_object(app->a);
    json_set_text(app->a, message, "kind", "home");
    json_set_text(app->a, message, "to", to);
    struct delivery_row d = {.id = app_id(app, 'd'),
                             .channel = channel,
                             .message = json_write(app->a, message),
                             .lane = arena_printf(app->a, "%s/home/%s", channel, to),
                             .due_at_ms = app->now_ms,
                             .created_at_ms = app->now_ms,
                             .replaces = hash,
                             .ask = -1};
    return store_add_delivery(&app->store, &d, err);
}

/* ---- sending ----------------------------------------------------------------------------- */

/* The state of a run in lines; while it waits for an environment, for whom. */
static const char *status_text(struct app *app, const struct thread_row *row)
{
    const struct pipeline *p = config_pipeline(app->config, row->t.pipeline);
    if (p == NULL)
        return row->t.title;
    const char *text = pipeline_status_text(p, &row->t, row->run, app->a);
    const struct json *waiting = row->t.status != THREAD_WAITING || row->waiting == NULL
                                     ? NULL
                                     : json_parse_own(app->a, row->waiting);
    const char *holder = json_text_at(waiting, "held_by");
    return holder == NULL ? text
                          : arena_printf(app->a, "%s%s: waits for %s\n", text,
                                         json_text_or(waiting, "what", ""), holder);
}

static bool is_home(struct app *app, const struct delivery_row *d)
{
    return text_eq(json_text_at(json_parse_own(app->a, d->message), "kind"), "home");
}

static bool build_home(struct app *app, const struct delivery_row *d, struct message *out,
                       struct err *err)
{
    const struct channel_config *c = config_channel(app->config, d->channel);
    const char *to = json_text_at(json_parse_own(app->a, d->message), "to");
    *out = (struct message){.kind = MESSAGE_HOME,
                            .id = d->id,
                            .to = to,
                            .text = "",
                            .public_url = app->config->server.public_url,
                            /* The first try alone respects what was looked at. */
                            .replaces = d->attempts > 0 ? NULL : d->replaces};
    return home_of(app, c, to, &out->home, err);
}

/* The message as it is now: a card shows the request's state of this moment. */
static bool build(struct app *app, const struct delivery_row *d, struct message *out,
                  struct err *err)
{
    const struct json *stored = json_parse_own(app->a, d->message);
    const char *kind = json_text_or(stored, "kind", "text");
    bool status = strcmp(kind, "status") == 0;
    struct thread_row row;
    if (strcmp(kind, "home") == 0)
        return build_home(app, d, out, err);
    if (!(status ? app_load(app, d->thread, &row, err)
                 : store_get_thread(&app->store, app->a, d->thread, &row, err)))
        return false;
    const char *to = json_text_at(stored, "to");
    bool same_place = text_eq(row.t.channel, d->channel) && text_eq(row.t.to, to);
    *out = (struct message){.kind = MESSAGE_TEXT,
                            .id = d->id,
                            .to = to,
                            .in_thread = same_place ? row.t.in_thread : NULL,
                            .replaces = d->replaces,
                            .text = json_text_or(stored, "text", ""),
                            .public_url = app->config->server.public_url,
                            .repeat = d->doubt == DOUBT_REPEAT,
                            .sent_after_ms = d->first_sent_ms};
    if (strcmp(kind, "request") == 0) {
        struct request_row r;
        struct json *view;
        out->kind = MESSAGE_REQUEST;
        if (!store_get_request(&app->store, app->a, d->request, &r, err) ||
            !view_request(app->a, app->config, &app->store, &r, &view, err))
            return false;
        out->request = view;
    } else if (status) {
        out->kind = MESSAGE_STATUS;
        out->text = status_text(app, &row);
        out->page = arena_printf(app->a, "%s/threads/%s", app->config->server.public_url, row.t.id);
        if (d->replaces == NULL)
            out->in_thread = NULL; /* it opens the conversation */
    }
    return true;
}

static struct http_job *job_of(struct app *app, const struct delivery_row *d,
                               const struct wire *wire)
{
    struct http_job *job = http_job_new(wire->method, wire->url, app->mailbox, LETTER_REPLY);
    job->row = arena_strdup(&job->arena, d->id);
    for (size_t i = 0; i < wire->n_headers; i++)
        http_job_header(job, wire->headers[i].name, wire->headers[i].value);
    job->body =
        (struct span){arena_strndup(&job->arena, wire->body.at, wire->body.len), wire->body.len};
    job->timeout_ms = CALL_TIMEOUT_MS;
    job->max_answer_bytes = ANSWER_BYTES;
    job->repeatable = wire->repeatable;
    return job;
}

static bool end_failed(struct app *app, struct delivery_row *d, const char *why, struct err *err)
{
    struct json *data = json_object(app->a);
    d->state = "failed";
    d->error = why;
    json_set_text(app->a, data, "delivery", d->id);
    if (d->request != NULL)
        json_set_text(app->a, data, "request", d->request);
    json_set_text(app->a, data, "channel", d->channel);
    json_set_text(app->a, data, "why", why);
    metrics_add(app->metrics, METRIC_DELIVERIES_FAILED, 1);
    log_warn("delivery.failed", L_STR("delivery", d->id), L_STR("channel", d->channel),
             L_STR("why", why));
    if (d->thread == NULL)
        return store_set_delivery(&app->store, d, err);
    return store_set_delivery(&app->store, d, err) &&
           app_append(app, d->thread, EVENT_DELIVERY_FAILED, "system", data, NULL, err) &&
           (d->request == NULL || d->ask < 0 || request_ask_failed(app, d->request, d->ask, err));
}

bool outbox_due(struct app *app, struct delivery_row *d, struct err *err)
{
    const struct channel_config *c = config_channel(app->config, d->channel);
    struct message message;
    struct wire wire = {0};
    struct err why = ERR_INIT;
    if (c == NULL || c->ops == NULL || c->ops->render == NULL)
        return end_failed(app, d, "this channel cannot send", err);
    if (!build(app, d, &message, err))
        return false;
    if (d->doubt == DOUBT_LOOK && c->ops->look_up == NULL)
        d->doubt = DOUBT_REPEAT;
    bool look = d->doubt == DOUBT_LOOK;
    bool ok = look ? c->ops->look_up(c->settings, app->a, &message, &wire, &why)
                   : c->ops->render(c->settings, app->a, &message, &wire, &why);
    if (!ok)
        return end_failed(app, d, arena_strdup(app->a, why.text), err);
    d->state = "sending";
    d->attempts++;
    if (d->first_sent_ms == 0)
        d->first_sent_ms = app->now_ms;
    if (!store_set_delivery(&app->store, d, err))
        return false;
    app_call(app, job_of(app, d, &wire));
    return true;
}

static bool end_home(struct app *app, struct delivery_row *d, struct err *err)
{
    d->state = "sent";
    d->error = NULL;
    metrics_add(app->metrics, METRIC_DELIVERIES_SENT, 1);
    log_info("delivery.sent", L_STR("delivery", d->id), L_STR("channel", d->channel),
             L_INT("attempt", d->attempts), L_MS("took", app->now_ms - d->created_at_ms));
    return store_set_delivery(&app->store, d, err);
}

/* What the first message of a conversation opened is where the thread goes on. */
static bool end_sent(struct app *app, struct delivery_row *d, const struct receipt *r,
                     struct err *err)
{
    struct thread_row row;
    struct json *data = json_object(app->a);
    d->state = "sent";
    d->external_id = r->external_id;
    d->in_thread = r->in_thread;
    d->error = NULL;
    metrics_add(app->metrics, METRIC_DELIVERIES_SENT, 1);
    log_info("delivery.sent", L_STR("delivery", d->id), L_STR("channel", d->channel),
             L_INT("attempt", d->attempts), L_MS("took", app->now_ms - d->created_at_ms));
    if (!store_set_delivery(&app->store, d, err) ||
        !store_get_thread(&app->store, app->a, d->thread, &row, err))
        return false;
    const char *to = json_text_at(json_parse_own(app->a, d->message), "to");
    if (r->in_thread != NULL && d->replaces == NULL && text_eq(row.t.channel, d->channel) &&
        text_eq(row.t.to, to) &&
        !store_set_conversation(&app->store, row.t.root, d->channel, to, r->in_thread, err))
        return false;
    if (d->replaces != NULL)
        return true; /* an edit is no event: the log says what it shows already */
    json_set_text(app->a, data, "delivery", d->id);
    if (d->request != NULL)
        json_set_text(app->a, data, "request", d->request);
    json_set_text(app->a, data, "channel", d->channel);
    json_set_text(app->a, data, "to", to);
    return app_append(app, d->thread, EVENT_DELIVERY_SENT, "system", data, NULL, err);
}

/* The request may have been decided, or the run moved on, while the message was under way. */
static bool catch_up(struct app *app, const struct delivery_row *d, bool moved_on, struct err *err)
{
    struct request_row r;
    struct thread_row row;
    if (d->replaces != NULL)
        return true;
    if (text_eq(json_text_at(json_parse_own(app->a, d->message), "kind"), "status"))
        return !moved_on || (app_load(app, d->thread, &row, err) && outbox_status(app, &row, err));
    if (d->request == NULL)
        return true;
    if (!store_get_request(&app->store, app->a, d->request, &r, err))
        return false;
    return r.decided_at_ms < d->first_sent_ms || outbox_edit_cards(app, d->request, err);
}

static bool again(struct app *app, struct delivery_row *d, int64_t after_ms, const char *why,
                  struct err *err)
{
    if (d->attempts >= MOST_ATTEMPTS)
        return end_failed(app, d, why == NULL ? "it was tried too often" : why, err);
    d->state = "due";
    d->due_at_ms = app->now_ms + (after_ms > 0 ? after_ms : backoff_ms(d->attempts));
    d->error = why;
    metrics_add(app->metrics, METRIC_DELIVERIES_RETRIED, 1);
    return store_set_delivery(&app->store, d, err);
}

static bool settle(struct app *app, struct delivery_row *d, const struct receipt *r, bool looked,
                   struct err *err)
{
    struct thread_row row;
    switch (r->outcome) {
    case DELIVERY_SENT:
        if (is_home(app, d))
            return end_home(app, d, err);
        return store_get_thread(&app->store, app->a, d->thread, &row, err) &&
               end_sent(app, d, r, err) && catch_up(app, d, row.last_at_ms > d->first_sent_ms, err);
    case DELIVERY_RETRY:
        /* A look-up that found nothing: it is not there, so it is sent (again). */
        if (looked) {
            d->doubt = DOUBT_NONE;
            d->attempts--;
        }
        return again(app, d, looked ? 1 : r->retry_after_ms, r->reason, err);
    case DELIVERY_REJECTED:
        if (!looked || d->request == NULL)
            return end_failed(app, d, r->reason, err);
        /* It cannot be looked up, and it asks something: lost would be worse than double. */
        d->doubt = DOUBT_REPEAT;
        return again(app, d, 1, r->reason, err);
    case DELIVERY_UNKNOWN:
        metrics_add(app->metrics, METRIC_DELIVERIES_UNKNOWN, 1);
        d->doubt = d->replaces == NULL && !is_home(app, d) ? DOUBT_LOOK : DOUBT_NONE;
        return again(app, d, r->retry_after_ms, r->reason, err);
    }
    UNREACHABLE();
}

static struct wire_reply reply_of(const struct http_job *job)
{
    struct wire_reply reply = {.status = job->status,
                               .body = job->answer,
                               .retry_after_ms = job->retry_after_ms,
                               .headers = job->answer_headers,
                               .n_headers = job->n_answer_headers,
                               .error = job->error};
    switch (job->outcome) {
    case HTTP_ANSWERED:
        reply.fate = WIRE_ANSWERED;
        break;
    case HTTP_NOT_SENT:
        reply.fate = WIRE_NOT_SENT;
        break;
    case HTTP_UNKNOWN:
        reply.fate = WIRE_UNKNOWN;
        break;
    }
    return reply;
}

bool outbox_reply(struct app *app, const struct http_job *job, struct err *err)
{
    struct delivery_row d;
    struct message message;
    if (!store_get_delivery(&app->store, app->a, job->row, &d, err))
        return false;
    const struct channel_config *c = config_channel(app->config, d.channel);
    if (strcmp(d.state, "sending") != 0 || c == NULL || c->ops == NULL || c->ops->settle == NULL)
        return true; /* a late echo of what was settled already */
    if (!build(app, &d, &message, err))
        return false;
    struct wire_reply reply = reply_of(job);
    bool looked = d.doubt == DOUBT_LOOK;
    struct receipt r = looked ? c->ops->settle_look_up(c->settings, app->a, &message, &reply)
                              : c->ops->settle(c->settings, app->a, &message, &reply);
    return settle(app, &d, &r, looked, err);
}

/* A row found `sending` at start: nobody knows whether it left. */
bool outbox_recover(struct app *app, struct err *err)
{
    struct delivery_row *list;
    size_t n;
    if (!store_sending_deliveries(&app->store, app->a, &list, &n, err))
        return false;
    for (size_t i = 0; i < n; i++) {
        list[i].state = "due";
        list[i].doubt =
            list[i].replaces == NULL && !is_home(app, &list[i]) ? DOUBT_LOOK : DOUBT_NONE;
        list[i].due_at_ms = app->now_ms;
        metrics_add(app->metrics, METRIC_DELIVERIES_UNKNOWN, 1);
        if (!store_set_delivery(&app->store, &list[i], err))
            return false;
    }
    return true;
}

/* What the answer's own answer needs: there is no row of it anywhere. */
static char *live_row(struct app *app, const struct channel_config *channel,
                      const struct live *live)
{
    struct json *row = json_object(app->a);
    json_set_text(app->a, row, "channel", channel->name);
    json_set_bool(app->a, row, "form", live->kind != LIVE_TELL);
    json_set_text(app->a, row, "to", live->to);
    json_set_text(app->a, row, "in_thread", live->in_thread);
    json_set_text(app->a, row, "user", live->user);
    return arena_printf(app->a, "l%s", json_write(app->a, row));
}

void outbox_live(struct app *app, const struct channel_config *channel, const struct live *live)
{
    struct wire wire = {0};
    struct err err = ERR_INIT;
    if (channel == NULL || channel->ops->live == NULL)
        return;
    if (!channel->ops->live(channel->settings, app->a, live, &wire, &err)) {
        log_warn("live.failed", L_STR("channel", channel->name), L_STR("why", err.text));
        return;
    }
    struct delivery_row nothing = {.id = live_row(app, channel, live)};
    struct http_job *job = job_of(app, &nothing, &wire);
    if (live->kind != LIVE_TELL)
        job->haste = HTTP_HASTY; /* its trigger lives three seconds */
    app_call(app, job);
}

/* A form that did not open (its trigger lives three seconds) is said, so that the click is not left
 * without an answer; a line that could not be told is not told again. */
bool outbox_live_reply(struct app *app, const struct http_job *job)
{
    struct json *row = json_parse_own(app->a, job->row + 1);
    const struct channel_config *c = config_channel(app->config, json_text_or(row, "channel", ""));
    struct message form = {.replaces = "live"}; /* repeatable, and nothing of it is stored */
    struct wire_reply reply = reply_of(job);
    if (c == NULL || c->ops == NULL || c->ops->settle == NULL)
        return true;
    struct receipt r = c->ops->settle(c->settings, app->a, &form, &reply);
    if (r.outcome == DELIVERY_SENT)
        return true;
    log_warn("live.failed", L_STR("channel", c->name), L_STR("why", r.reason));
    if (!json_is_true(json_get(row, "form")))
        return true;
    struct live tell = {.kind = LIVE_TELL,
                        .to = json_text_at(row, "to"),
                        .in_thread = json_text_at(row, "in_thread"),
                        .user = json_text_at(row, "user"),
                        .text = "The form did not open in time. Please click again."};
    outbox_live(app, c, &tell);
    return true;
}
