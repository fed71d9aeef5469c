/* The API's acts (INTERFACE section 2); what only looks is the reader's. See app.h. */
#include "gateway/app.h"
#include "gateway/base/field.h"
#include "gateway/base/text.h"
#include "gateway/sessions.h"
#include "gateway/views.h"

#include <string.h>

enum {
    CALLS_PER_MINUTE = 6000,
    WRONG_CODES_PER_MINUTE = 20,
    MESSAGE_BYTES = 100000,
    REASON_BYTES = 500,
    BODY_LEVELS = 48 /* what is stored stands inside more of ours, and is parsed again */
};

/* ---- bodies, by tables ------------------------------------------------------------------- */

struct first_problem {
    char sentence[ERR_TEXT_SIZE];
    bool found;
};

static void keep_first(void *ctx, enum problem_kind kind, const struct json *at, const char *key,
                       const char *sentence)
{
    struct first_problem *first = ctx;
    (void)at;
    if (kind != PROBLEM_ERROR || first->found)
        return;
    struct err err = ERR_INIT;
    fail(&err, ERR_INVALID, "%s: %s", key == NULL || *key == '\0' ? "body" : key, sentence);
    memcpy(first->sentence, err.text, sizeof first->sentence);
    first->found = true;
}

/* A null is an absent member. */
static const struct json *without_nulls(struct arena *a, const struct json *j)
{
    struct json *rest = json_object(a);
    JSON_EACH(member, j)
    {
        if (member->type != JSON_NULL)
            json_add(a, rest, member->key, member);
    }
    return rest;
}

static bool read_body(struct app *app, const struct http_request *request, const struct field *rows,
                      size_t n, void *out, struct err *err)
{
    struct json *body = json_object(app->a);
    struct first_problem first = {.found = false};
    struct problems problems = {.report = keep_first, .ctx = &first};
    if (request->body.len > 0 && !json_parse(app->a, request->body, 0, &body, err))
        return fail_in(err, "body");
    if (body->type != JSON_OBJECT)
        return fail(err, ERR_INVALID, "body: it must be a JSON object");
    if (json_is_deeper(body, BODY_LEVELS))
        return fail(err, ERR_INVALID, "body: it is nested deeper than %d levels", BODY_LEVELS);
    if (!fields_decode(app->a, rows, n, without_nulls(app->a, body), out, &problems))
        return fail(err, ERR_INVALID, "%s", first.sentence);
    return true;
}

/* ---- answers ----------------------------------------------------------------------------- */

static void answer_json(struct app *app, const struct http_request *request, int status,
                        const struct json *body)
{
    app_answer(app, http_answer_text(request->conn, status, "application/json",
                                     arena_printf(app->a, "%s\n", json_write(app->a, body))));
}

static struct json *error_body(struct app *app, const char *code, const char *sentence)
{
    struct json *body = json_object(app->a);
    struct json *error = json_set(app->a, body, "error", json_object(app->a));
    json_set_text(app->a, error, "code", code);
    json_set_text(app->a, error, "message", sentence);
    return body;
}

static void deny(struct app *app, const struct http_request *request, int status, const char *code,
                 const char *sentence)
{
    struct http_answer *answer =
        http_answer_text(request->conn, status, "application/json",
                         json_write(app->a, error_body(app, code, sentence)));
    if (status == 429)
        http_answer_header(answer, "Retry-After", "60");
    app_answer(app, answer);
}

static bool answer_thread(struct app *app, const struct http_request *request, int status,
                          const char *id, struct err *err)
{
    struct thread_row row;
    if (!store_get_thread(&app->store, app->a, id, &row, err))
        return false;
    answer_json(app, request, status, view_thread(app->a, app->config, &row));
    return true;
}

static bool add_request(struct app *app, struct json *body, const char *id, struct err *err)
{
    struct request_row r;
    struct json *view;
    if (!store_get_request(&app->store, app->a, id, &r, err) ||
        !view_request(app->a, app->config, &app->store, &r, &view, err))
        return false;
    const struct json *public = view_request_public(app->a, view);
    json_set(app->a, body, "request", public);
    return true;
}

static bool answer_request(struct app *app, const struct http_request *request, int status,
                           const char *id, struct err *err)
{
    struct json *wrapped = json_object(app->a);
    if (!add_request(app, wrapped, id, err))
        return false;
    answer_json(app, request, status, json_get(wrapped, "request"));
    return true;
}

/* ---- threads ----------------------------------------------------------------------------- */

struct api_call {
    const struct http_request *request;
    const struct api_key *key;
    const char *id; /* the path's {id}, or NULL */
};

/* Who acts: the key's person, else the key itself. */
static const char *actor_of_key(struct app *app, const struct api_key *key)
{
    return key->person == NULL ? arena_printf(app->a, "key:%s", key->name)
                               : arena_printf(app->a, "person:%s", key->person);
}

struct launch {
    const char *agent, *message, *idempotency_key;
    struct contact contact;
};

static const struct field contact_rows[] = {
    F_TEXT(struct contact, channel, "channel", FIELD_REQUIRED, NULL, "a configured channel"),
    F_TEXT(struct contact, to, "to", FIELD_REQUIRED, NULL, "the address there"),
};

static const struct field launch_rows[] = {
    F_TEXT(struct launch, agent, "agent", FIELD_REQUIRED, NULL, "a configured agent"),
    F_TEXT(struct launch, message, "message", FIELD_REQUIRED, NULL, "what it should do", .min = 1,
           .max = MESSAGE_BYTES),
    F_SECTION(struct launch, contact, struct contact, "contact", 0, contact_rows,
              "where it answers"),
    F_TEXT(struct launch, idempotency_key, "idempotency_key", 0, NULL,
           "the same key launches one thread", .max = 200),
};

static bool launched_before(struct app *app, const struct launch *in, const char **thread,
                            struct err *err)
{
    *thread = NULL;
    return in->idempotency_key == NULL ||
           store_meta_get(&app->store, app->a,
                          arena_printf(app->a, "launch:%s", in->idempotency_key), thread, err);
}

static bool launch(struct app *app, const struct api_call *call, struct err *err)
{
    struct launch in = {0};
    const char *id;
    if (!read_body(app, call->request, launch_rows, COUNT(launch_rows), &in, err) ||
        !launched_before(app, &in, &id, err))
        return false;
    if (id != NULL)
        return answer_thread(app, call->request, 200, id, err);
    const struct agent *agent = config_agent(app->config, in.agent);
    if (agent == NULL)
        return fail(err, ERR_INVALID, "agent: there is no agent %s", in.agent);
    if (in.contact.channel != NULL && config_channel(app->config, in.contact.channel) == NULL)
        return fail(err, ERR_INVALID, "contact.channel: there is no channel %s",
                    in.contact.channel);
    const struct contact *contact = in.contact.channel != NULL ? &in.contact : &agent->contact;
    struct json *data = json_object(app->a);
    json_set_text(app->a, data, "text", in.message);
    struct new_thread t = {.agent = in.agent,
                           .title = text_one_line(app->a, arena_strndup(app->a, in.message,
                                                                        strcspn(in.message, "\n"))),
                           .requester = actor_of_key(app, call->key),
                           .actor = actor_of_key(app, call->key),
                           .channel = contact->channel,
                           .to = contact->to,
                           .type = EVENT_API_MESSAGE,
                           .data = data};
    if (!router_start_thread(app, &t, &id, err))
        return false;
    if (in.idempotency_key != NULL &&
        !store_meta_set(&app->store, arena_printf(app->a, "launch:%s", in.idempotency_key), id,
                        err))
        return false;
    return answer_thread(app, call->request, 201, id, err);
}

struct event_in {
    const char *type;
    const struct json *data;
};

static const char *const event_choices[] = {"api_message", "webhook_received", NULL};
static const struct field event_rows[] = {
    F_CHOICE(struct event_in, type, "type", FIELD_REQUIRED, event_choices, NULL, "what it is"),
    F_JSON(struct event_in, data, "data", FIELD_REQUIRED, "what it says: an object"),
};

static bool add_event(struct app *app, const struct api_call *call, struct err *err)
{
    struct event_in in = {0};
    struct thread_row row;
    enum event_type type;
    if (!read_body(app, call->request, event_rows, COUNT(event_rows), &in, err) ||
        !store_get_thread(&app->store, app->a, call->id, &row, err))
        return false;
    if (in.data->type != JSON_OBJECT)
        return fail(err, ERR_INVALID, "data: it must be an object");
    if (!event_type_from_name(in.type, &type))
        return fail(err, ERR_INVALID, "type: %s is no event type", in.type);
    return app_append(app, row.t.id, type, actor_of_key(app, call->key), in.data, NULL, err) &&
           answer_thread(app, call->request, 200, row.t.id, err);
}

static bool pause_all(struct app *app, const struct api_call *call, bool pause, struct err *err)
{
    struct json *body = json_object(app->a);
    if (!thread_pause_all(app, actor_of_key(app, call->key), pause, err))
        return false;
    json_set_bool(app->a, body, "paused", pause);
    answer_json(app, call->request, 200, body);
    return true;
}

static bool control(struct app *app, const struct api_call *call, const char *act, struct err *err)
{
    struct thread_row row;
    const char *id = call->id, *actor = actor_of_key(app, call->key);
    bool pause = strcmp(act, "pause") == 0;
    if (strcmp(act, "cancel") != 0 && strcmp(call->id, "all") == 0)
        return pause_all(app, call, pause, err);
    if (!store_get_thread(&app->store, app->a, id, &row,
                          err)) /* a beginning is not enough to act */
        return false;
    if (strcmp(act, "cancel") == 0) {
        if (!thread_cancel(app, id, actor, arena_printf(app->a, "cancelled by %s", actor), err))
            return false;
    } else if (!thread_pause(app, id, actor, pause, err)) {
        return false;
    }
    return answer_thread(app, call->request, 200, id, err);
}

static bool pause_thread(struct app *app, const struct api_call *call, struct err *err)
{
    return control(app, call, "pause", err);
}

static bool resume_thread(struct app *app, const struct api_call *call, struct err *err)
{
    return control(app, call, "resume", err);
}

static bool cancel_thread(struct app *app, const struct api_call *call, struct err *err)
{
    return control(app, call, "cancel", err);
}

/* ---- requests ---------------------------------------------------------------------------- */

struct decision_in {
    const char *decision, *comment, *answer, *as;
    const struct json *arguments;
};

static const char *const decisions[] = {"approve", "reject", "answer", "edit", "withdraw", NULL};
static const struct field decision_rows[] = {
    F_CHOICE(struct decision_in, decision, "decision", FIELD_REQUIRED, decisions, NULL, "the vote"),
    F_TEXT(struct decision_in, comment, "comment", 0, NULL, "why"),
    F_TEXT(struct decision_in, answer, "answer", 0, NULL, "to a question"),
    F_JSON(struct decision_in, arguments, "arguments", 0, "edit: those that change"),
    F_TEXT(struct decision_in, as, "as", 0, NULL, "whose vote it is (scope requests:decide_as)"),
};

/* Whose vote is it? NULL: *why says why nobody's. */
static const char *voter(struct app *app, const struct api_call *call, const struct decision_in *in,
                         const char **via, const char **why)
{
    const struct api_key *key = call->key;
    *via = arena_printf(app->a, "key %s", key->name);
    if (in->as != NULL) {
        *via = arena_printf(app->a, "key %s for %s", key->name, in->as);
        *why = "`as` needs the scope requests:decide_as";
        return api_key_may(key, "requests:decide_as") ? in->as : NULL;
    }
    *why = "this key stands for no person, so it cannot decide";
    return key->person;
}

static bool answer_vote(struct app *app, const struct api_call *call, const struct vote_out *out,
                        struct err *err)
{
    struct json *body;
    switch (out->result) {
    case VOTE_COUNTED:
    case VOTE_DECIDED:
    case VOTE_SAME:
        return answer_request(app, call->request, 200, out->request, err);
    case VOTE_CHECKING: /* what became of it is in the request and its thread */
        return answer_request(app, call->request, 202, out->request, err);
    case VOTE_NOT_ALLOWED:
        answer_json(app, call->request, 403, error_body(app, "not_allowed", out->sentence));
        return true;
    case VOTE_TOO_LATE:
        body = error_body(app,
                          strstr(out->sentence, "expired") != NULL ? "expired" : "already_decided",
                          out->sentence);
        if (!add_request(app, body, out->request, err))
            return false;
        answer_json(app, call->request, 409, body);
        return true;
    case VOTE_UNKNOWN:
        answer_json(app, call->request, 404, error_body(app, "not_found", out->sentence));
        return true;
    case VOTE_INVALID:
        answer_json(app, call->request, 400, error_body(app, "invalid", out->sentence));
        return true;
    }
    UNREACHABLE();
}

static bool decide(struct app *app, const struct api_call *call, struct err *err)
{
    struct decision_in in = {0};
    struct vote_out out;
    const char *via, *why;
    if (!read_body(app, call->request, decision_rows, COUNT(decision_rows), &in, err))
        return false;
    const char *person = voter(app, call, &in, &via, &why);
    if (person == NULL) {
        answer_json(app, call->request, 403, error_body(app, "not_allowed", why));
        return true;
    }
    struct vote_in vote = {.request = call->id,
                           .decision = in.decision,
                           .comment = in.comment,
                           .answer = in.answer,
                           .arguments = in.arguments,
                           .identity = arena_printf(app->a, "person:%s", person),
                           .via = via};
    /* Codes are short: who guesses must not find one by trying them all. */
    const char *guesser = arena_printf(app->a, "guess:%s", call->key->name);
    if (rate_is_over(&app->rate, guesser, WRONG_CODES_PER_MINUTE, app->now_ms)) {
        metrics_add(app->metrics, METRIC_RATE_LIMITED, 1);
        deny(app, call->request, 429, "too_many", "too many unknown codes");
        return true;
    }
    if (!request_vote(app, &vote, &out, err))
        return false;
    if (out.result == VOTE_UNKNOWN)
        (void)rate_count(&app->rate, guesser, WRONG_CODES_PER_MINUTE, app->now_ms);
    return answer_vote(app, call, &out, err);
}

struct ask_call {
    const char *tool;
    const struct json *arguments;
};
struct ask_in {
    const char *kind, *policy, *thread, *callback_url;
    const struct json *question, *state;
    struct ask_call call;
    struct contact contact;
};

static const char *const kinds[] = {"approval", "question", NULL};
static const struct field call_rows[] = {
    F_TEXT(struct ask_call, tool, "tool", FIELD_REQUIRED, NULL, "what would be done", .min = 1,
           .max = 200),
    F_JSON(struct ask_call, arguments, "arguments", 0, "with what: an object"),
};
static const struct field ask_rows[] = {
    F_CHOICE(struct ask_in, kind, "kind", FIELD_REQUIRED, kinds, NULL, "what is asked"),
    F_TEXT(struct ask_in, policy, "policy", 0, NULL, "approval: a configured policy"),
    F_JSON(struct ask_in, question, "question", 0,
           "{question, context, options}, or the words alone"),
    F_SECTION(struct ask_in, call, struct ask_call, "call", 0, call_rows, "approval: the call"),
    F_SECTION(struct ask_in, contact, struct contact, "contact", 0, contact_rows,
              "question: whom to ask"),
    F_TEXT(struct ask_in, thread, "thread", 0, NULL, "an existing thread"),
    F_TEXT(struct ask_in, callback_url, "callback_url", FIELD_NOT_YET, NULL,
           "is told the decision"),
    F_JSON(struct ask_in, state, "state", 0, "kept and given back as it is"),
};

/* An outside agent's thread: no agent of ours works on it. */
static bool thread_for_ask(struct app *app, const struct api_call *call, const struct ask_in *in,
                           const char *title, struct thread_row *row, struct err *err)
{
    const char *id;
    if (in->thread != NULL)
        return app_load(app, in->thread, row, err);
    struct json *data = json_object(app->a);
    json_set_text(app->a, data, "text", title);
    if (in->state != NULL)
        json_set(app->a, data, "state", in->state);
    struct new_thread t = {.title = text_one_line(app->a, title),
                           .requester = actor_of_key(app, call->key),
                           .actor = actor_of_key(app, call->key),
                           .channel = in->contact.channel,
                           .to = in->contact.to,
                           .type = EVENT_API_MESSAGE,
                           .data = data};
    return router_start_thread(app, &t, &id, err) && app_load(app, id, row, err);
}

static bool newest_open(struct app *app, const char *thread, const char **id, struct err *err)
{
    struct request_row *open;
    size_t n;
    if (!store_open_requests_of(&app->store, app->a, thread, &open, &n, err))
        return false;
    *id = n > 0 ? open[n - 1].id : NULL;
    return n > 0 || fail(err, ERR_INVALID, "the request could not be raised");
}

/* The words alone, or what an agent of ours may ask: nothing that would make it look like ours. */
static bool read_question(struct arena *a, const struct json *in, struct json *out, struct err *err)
{
    if (in == NULL)
        return fail(err, ERR_INVALID, "question: it is missing");
    if (in->type == JSON_STRING)
        json_set(a, out, "question", in);
    JSON_EACH(member, in)
    {
        if (in->type == JSON_OBJECT)
            json_set(a, out, member->key, member);
    }
    return question_check(a, out, err);
}

static bool ask(struct app *app, const struct api_call *call, struct err *err)
{
    struct ask_in in = {0};
    struct thread_row row;
    const char *id;
    if (!read_body(app, call->request, ask_rows, COUNT(ask_rows), &in, err))
        return false;
    if (in.callback_url != NULL)
        return fail(err, ERR_INVALID, "callback_url: is not in this version; poll the request");
    if (strcmp(in.kind, "question") == 0) {
        struct json *asked = json_object(app->a);
        if (!read_question(app->a, in.question, asked, err))
            return false;
        if (in.state != NULL)
            json_set(app->a, asked, "state", in.state);
        if (!thread_for_ask(app, call, &in, json_text_at(asked, "question"), &row, err) ||
            !request_raise_question(app, &row, asked, 0, NULL, err))
            return false;
    } else {
        if (in.call.tool == NULL || in.policy == NULL)
            return fail(err, ERR_INVALID, "an approval needs call and policy");
        if (config_policy(app->config, in.policy) == NULL)
            return fail(err, ERR_INVALID, "policy: there is no policy %s", in.policy);
        struct json *facts = json_object(app->a);
        if (in.state != NULL)
            json_set(app->a, facts, "state", in.state);
        struct tool outside = {
            .name = in.call.tool, .description = "run by who asked", .needs = in.policy};
        struct effect e = {.tool = &outside,
                           .data =
                               in.call.arguments == NULL ? json_object(app->a) : in.call.arguments,
                           .facts = facts};
        if (!thread_for_ask(app, call, &in, in.call.tool, &row, err) ||
            !request_raise_approval(app, &row, &e, err))
            return false;
    }
    return newest_open(app, row.t.id, &id, err) && answer_request(app, call->request, 201, id, err);
}

/* ---- environments, people ---------------------------------------------------------------- */

struct lock_in {
    const char *reason;
    int64_t for_ms;
};

static const struct field lock_rows[] = {
    F_TEXT(struct lock_in, reason, "reason", FIELD_REQUIRED, NULL, "why", .min = 1,
           .max = REASON_BYTES),
    F_DURATION(struct lock_in, for_ms, "for", 0, 0, 0, NULL, "how long; for ever when left out"),
};

static bool answer_environment(struct app *app, const struct api_call *call,
                               const struct environment *env, struct err *err)
{
    struct json *view;
    if (!view_environment(app->a, app->config, &app->store, env, app->now_ms, &view, err))
        return false;
    answer_json(app, call->request, 200, view);
    return true;
}

static bool lock(struct app *app, const struct api_call *call, struct err *err)
{
    struct lock_in in = {0};
    const struct environment *env = config_environment(app->config, call->id);
    if (env == NULL)
        return fail(err, ERR_MISSING, "I know no environment %s", call->id);
    if (!read_body(app, call->request, lock_rows, COUNT(lock_rows), &in, err))
        return false;
    struct lock_row row = {.environment = env->name,
                           .owner = actor_of_key(app, call->key),
                           .reason = in.reason,
                           .at_ms = app->now_ms,
                           .expires_at_ms = in.for_ms > 0 ? app->now_ms + in.for_ms : 0};
    log_warn("environment.locked", L_STR("environment", env->name), L_STR("by", row.owner));
    return store_put_lock(&app->store, &row, err) && answer_environment(app, call, env, err);
}

static bool unlock(struct app *app, const struct api_call *call, struct err *err)
{
    bool had;
    const struct environment *env = config_environment(app->config, call->id);
    if (env == NULL)
        return fail(err, ERR_MISSING, "I know no environment %s", call->id);
    if (!store_drop_lock(&app->store, env->name, &had, err))
        return false;
    log_warn("environment.unlocked", L_STR("environment", env->name),
             L_STR("by", actor_of_key(app, call->key)));
    return answer_environment(app, call, env, err);
}

static bool login(struct app *app, const struct api_call *call, struct err *err)
{
    const struct person *person = person_by_id(&app->config->people, call->id);
    bool own = text_eq(call->key->person, call->id);
    if (!own && !api_key_may(call->key, "people:login")) {
        answer_json(app, call->request, 403,
                    error_body(app, "not_allowed",
                               "a sign-in link for somebody else needs the scope people:login"));
        return true;
    }
    if (person == NULL)
        return fail(err, ERR_MISSING, "I know no person %s", call->id);
    char *token = app_token(app);
    struct json *body = json_object(app->a);
    if (!store_add_login(&app->store, secret_hash(app->a, token), person->id,
                         arena_printf(app->a, "key %s", call->key->name), app->now_ms + LOGIN_MS,
                         err))
        return false;
    json_set_text(app->a, body, "url",
                  arena_printf(app->a, "%s/login/%s", app->config->server.public_url, token));
    json_set_text(app->a, body, "expires_at", time_format(app->a, app->now_ms + LOGIN_MS));
    answer_json(app, call->request, 200, body);
    return true;
}

/* ---- the table of acts ------------------------------------------------------------------- */

static const struct api_route {
    const char *before, *after; /* the path around {id}; after NULL: no {id} */
    const char *scope;          /* NULL: checked by the act itself */
    bool (*act)(struct app *app, const struct api_call *call, struct err *err);
} routes[] = {
    {"/v1/threads", NULL, "threads:write", launch},
    {"/v1/threads/", "/events", "threads:write", add_event},
    {"/v1/threads/", "/pause", "threads:write", pause_thread},
    {"/v1/threads/", "/resume", "threads:write", resume_thread},
    {"/v1/threads/", "/cancel", "threads:write", cancel_thread},
    {"/v1/requests", NULL, "requests:write", ask},
    {"/v1/requests/", "/decision", "requests:decide", decide},
    {"/v1/environments/", "/lock", "environments:write", lock},
    {"/v1/environments/", "/unlock", "environments:write", unlock},
    {"/v1/people/", "/login", NULL, login},
};

static bool route_matches(struct arena *a, const struct api_route *r, const char *path,
                          const char **id)
{
    *id = NULL;
    if (r->after == NULL)
        return strcmp(path, r->before) == 0;
    if (!text_starts(path, r->before) || !text_ends(path, r->after))
        return false;
    const char *begin = path + strlen(r->before);
    if (strlen(path) <= strlen(r->before) + strlen(r->after))
        return false;
    size_t len = strlen(begin) - strlen(r->after);
    char *raw = arena_strndup(a, begin, len);
    char *decoded;
    if (strchr(raw, '/') != NULL || !url_decode(a, span_of(raw), false, &decoded))
        return false;
    *id = utf8_clean(a, span_of(decoded));
    return true;
}

bool api_handle(struct app *app, const struct http_request *request, struct err *err)
{
    struct api_call call = {.request = request, .key = bearer_key(app->a, app->config, request)};
    if (call.key == NULL) {
        bool calm = rate_count(&app->rate, request->peer, 30, app->now_ms);
        if (!calm)
            metrics_add(app->metrics, METRIC_RATE_LIMITED, 1);
        deny(app, request, calm ? 401 : 429, calm ? "denied" : "too_many",
             calm ? "this needs a valid API key (Authorization: Bearer …)"
                  : "too many calls without a valid key");
        return true;
    }
    if (!rate_count(&app->rate, arena_printf(app->a, "key:%s", call.key->name), CALLS_PER_MINUTE,
                    app->now_ms)) {
        metrics_add(app->metrics, METRIC_RATE_LIMITED, 1);
        deny(app, request, 429, "too_many", "too many calls with this key");
        return true;
    }
    if (strcmp(request->method, "POST") != 0)
        return fail(err, ERR_MISSING, "there is nothing at %s for %s", request->path,
                    request->method);
    for (size_t i = 0; i < COUNT(routes); i++) {
        if (!route_matches(app->a, &routes[i], request->path, &call.id))
            continue;
        if (routes[i].scope != NULL && !api_key_may(call.key, routes[i].scope)) {
            deny(app, request, 403, "not_allowed",
                 arena_printf(app->a, "this key lacks the scope %s", routes[i].scope));
            return true;
        }
        return routes[i].act(app, &call, err);
    }
    return fail(err, ERR_MISSING, "there is nothing at %s", request->path);
}
