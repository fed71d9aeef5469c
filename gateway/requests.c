/* Requests: raised, shown, voted on, decided, expired. request_vote() is the one function through
 * which everybody decides, whatever the channel. See app.h and DESIGN section 7. */
#include "gateway/base/hash.h"
#include "gateway/base/text.h"
#include "gateway/requests_private.h"
#include "gateway/views.h"

#include <openssl/rand.h>
#include <string.h>

enum {
    CODE_DIGITS = 4,
    CODE_MOST_DIGITS = 9,
    COMMENT_BYTES = 4000,
    ANSWER_BYTES = 20000,
};
static const int64_t CODE_MEMORY_MS = 90LL * 24 * 3600 * 1000;

/* ---- raising ----------------------------------------------------------------------------- */

/* Four digits, one more whenever over 1 in 20 of the numbers is taken. */
static bool new_code(struct app *app, const char **out, struct err *err)
{
    int64_t space = 10000, taken = 0;
    int digits = CODE_DIGITS;
    for (int tries = 0; tries < 1000; tries++) {
        uint64_t random;
        bool is_free;
        if (RAND_bytes((unsigned char *)&random, sizeof random) != 1)
            abort();
        char *code = arena_printf(app->a, "%0*lld", digits, (long long)(random % (uint64_t)space));
        if (!store_code_is_free(&app->store, app->a, code, app->now_ms - CODE_MEMORY_MS, &is_free,
                                &taken, err))
            return false;
        if (taken * 20 >= space && digits < CODE_MOST_DIGITS) {
            space *= 10;
            digits++;
        } else if (is_free) {
            *out = code;
            return true;
        }
    }
    return fail(err, ERR_TRANSIENT, "no free request code was found");
}

static struct json *target_json(struct app *app, const struct tool_target *t)
{
    struct json *target = json_object(app->a);
    json_set_text(app->a, target, "environment", t->environment);
    json_set_text(app->a, target, "component", t->component);
    json_set_text(app->a, target, "ref", t->ref);
    json_set_bool(app->a, target, "rollback", t->rollback);
    return target;
}

/* The text that is hashed, shown and run: one text, stored once. */
static void seal(struct app *app, struct request_row *r, const struct tool *tool,
                 const struct json *arguments)
{
    struct json *call = json_object(app->a);
    json_set_text(app->a, call, "thread", r->thread);
    json_set_text(app->a, call, "tool", r->tool);
    json_set(app->a, call, "arguments", arguments == NULL ? json_object(app->a) : arguments);
    json_set(app->a, call, "target",
             tool == NULL ? json_null(app->a) : target_json(app, &tool->target));
    json_set_text(app->a, call, "request", r->id);
    json_set_int(app->a, call, "expires_at_ms", r->expires_at_ms);
    r->canonical = json_canonical(app->a, call);
    r->digest = sha256_hex(app->a, span_of(r->canonical));
}

static bool add_timer(struct app *app, const char *kind, const char *request, int64_t at_ms,
                      const char *data, struct err *err)
{
    struct timer_row timer = {.due_at_ms = at_ms, .kind = kind, .ref = request, .data = data};
    return store_add_timer(&app->store, &timer, err);
}

/* A rule that counts only later may make earlier votes sufficient then. */
static bool add_rechecks(struct app *app, const struct rule *rule, const struct request_row *r,
                         struct err *err)
{
    if (rule->after_ms > 0 &&
        !add_timer(app, "recheck", r->id, r->raised_at_ms + rule->after_ms, NULL, err))
        return false;
    for (size_t i = 0; i < rule->n_parts; i++)
        if (!add_rechecks(app, &rule->parts[i], r, err))
            return false;
    return true;
}

static bool add_timers(struct app *app, const struct request_row *r, const struct policy *p,
                       struct err *err)
{
    for (size_t i = 0; i < p->n_ask; i++)
        if (p->ask[i].after_ms > 0 &&
            !add_timer(app, "ask", r->id, r->raised_at_ms + p->ask[i].after_ms,
                       arena_printf(app->a, "%zu", i), err))
            return false;
    if (r->expires_at_ms > 0 && !add_timer(app, "expire", r->id, r->expires_at_ms, NULL, err))
        return false;
    return add_rechecks(app, &p->approve, r, err);
}

static bool append_raised(struct app *app, const struct request_row *r, const struct json *view,
                          struct err *err)
{
    struct json *data = json_object(app->a);
    json_set_text(app->a, data, "request", r->id);
    json_set_text(app->a, data, "code", r->code);
    json_set_text(app->a, data, "kind", r->kind);
    if (r->call > 0)
        json_set_int(app->a, data, "call", r->call);
    if (json_get(view, "about") != NULL)
        json_set(app->a, data, "about", json_get(view, "about"));
    if (r->tool != NULL) {
        json_set_text(app->a, data, "tool", r->tool);
        json_set(app->a, data, "arguments",
                 json_get(json_parse_own(app->a, r->canonical), "arguments"));
        json_set(app->a, data, "facts",
                 json_get(view, "facts") == NULL ? json_null(app->a) : json_get(view, "facts"));
    } else {
        json_set(app->a, data, "question", json_get(view, "question"));
        if (json_at(view, "options.format") != NULL)
            json_set(app->a, data, "options", json_get(view, "options"));
    }
    json_set_text(app->a, data, "digest", r->digest);
    metrics_add(app->metrics, METRIC_REQUESTS_RAISED, 1);
    log_info("request.raised", L_STR("request", r->id), L_STR("thread", r->thread),
             L_STR("tool", r->tool));
    return app_append(app, r->thread, EVENT_REQUEST_RAISED, "system", data, NULL, err);
}

static bool policy_of(struct app *app, const struct request_row *r, struct policy *out)
{
    struct problems ignored = {0};
    return r->policy != NULL &&
           policy_parse(app->a, "policy", json_parse_own(app->a, r->policy), out, &ignored);
}

/* The policy of the configuration; of a change: the one that its request was raised with. */
static bool policy_for(struct app *app, const struct effect *e, const struct request_row *was,
                       struct policy *out, struct err *err)
{
    if (e->edit > 0)
        return policy_of(app, was, out) ||
               fail(err, ERR_INVALID, "request %s has no readable policy", was->id);
    const struct policy *p = config_policy(app->config, e->tool->needs);
    if (p == NULL)
        return fail(err, ERR_INVALID, "tool %s: policy %s is no longer configured", e->tool->name,
                    e->tool->needs);
    *out = *p;
    return true;
}

static struct json *approval_view(struct app *app, const struct thread_row *row,
                                  const struct effect *e, const char *policy_name)
{
    struct json *view = json_object(app->a), *argv;
    json_set_text(app->a, view, "agent", row->t.agent);
    json_set_text(app->a, view, "title", row->t.title);
    json_set_text(app->a, view, "description", e->tool->description);
    json_set_text(app->a, view, "policy_name", policy_name);
    json_set(app->a, view, "facts", e->facts);
    if (json_get(e->facts, "state") != NULL) /* an outside agent's own: given back as it is */
        json_set(app->a, view, "state", json_get(e->facts, "state"));
    if (e->tool->run.kind == RUN_COMMAND && e->tool->run.n_argv > 0 &&
        argv_of_tool(app, e->tool, e->data, &argv, NULL))
        json_set(app->a, view, "runs", argv);
    struct json *editable = json_array(app->a);
    for (size_t i = 0; e->call > 0 && i < e->tool->n_editable; i++)
        json_push_text(app->a, editable, e->tool->editable[i]);
    if (json_count(editable) > 0)
        json_set(app->a, view, "editable", editable);
    return view;
}

bool request_raise_approval(struct app *app, struct thread_row *row, const struct effect *e,
                            struct err *err)
{
    struct policy p;
    struct request_row was = {0};
    if ((e->edit > 0 && !store_get_request(&app->store, app->a, e->request, &was, err)) ||
        !policy_for(app, e, &was, &p, err))
        return false;
    bool expires = p.expire_ms > 0 && p.on_expire != EXPIRE_KEEP;
    const char *policy_name =
        e->edit > 0 ? json_text_or(json_parse_own(app->a, was.view), "policy_name", p.name)
                    : p.name;
    struct json *view = approval_view(app, row, e, policy_name);
    struct request_row r = {.id = app_id(app, 'r'),
                            .thread = row->t.id,
                            .kind = "approval",
                            .status = "open",
                            .call = e->call,
                            .tool = e->tool->name,
                            .policy = json_canonical(app->a, p.source),
                            .requester = row->t.requester,
                            .raised_at_ms = app->now_ms,
                            .expires_at_ms = expires ? app->now_ms + p.expire_ms : 0};
    seal(app, &r, e->tool, e->data);
    if (!new_code(app, &r.code, err) ||
        (e->edit > 0 && !edit_replace(app, row, e, &was, &r, view, err)))
        return false;
    r.view = json_write(app->a, view);
    if (!store_add_request(&app->store, &r, err) || !append_raised(app, &r, view, err) ||
        !add_timers(app, &r, &p, err))
        return false;
    if (p.n_ask == 0)
        return outbox_card(app, row, r.id, -1, row->t.channel, row->t.to, err);
    for (size_t i = 0; i < p.n_ask; i++)
        if (p.ask[i].after_ms == 0 && !request_ask(app, r.id, (int64_t)i, err))
            return false;
    return true;
}

bool request_raise_question(struct app *app, struct thread_row *row, const struct json *data,
                            int64_t call, const char *about, struct err *err)
{
    struct json *view = json_object(app->a);
    JSON_EACH(member, data)
    {
        json_set(app->a, view, member->key, member);
    }
    json_set_text(app->a, view, "agent", row->t.agent == NULL ? row->t.pipeline : row->t.agent);
    json_set_text(app->a, view, "title", row->t.title);
    if (about != NULL)
        json_set_text(app->a, view, "about", about);
    struct request_row r = {.id = app_id(app, 'r'),
                            .thread = row->t.id,
                            .kind = "question",
                            .status = "open",
                            .call = call,
                            .view = json_write(app->a, view),
                            .requester = row->t.requester,
                            .raised_at_ms = app->now_ms};
    seal(app, &r, NULL, data);
    return new_code(app, &r.code, err) && store_add_request(&app->store, &r, err) &&
           append_raised(app, &r, view, err) &&
           outbox_card(app, row, r.id, -1, row->t.channel, row->t.to, err);
}

/* ---- asking ------------------------------------------------------------------------------ */

bool request_ask(struct app *app, const char *id, int64_t index, struct err *err)
{
    struct request_row r;
    struct policy p;
    struct thread_row row;
    if (!store_get_request(&app->store, app->a, id, &r, err))
        return false;
    if (strcmp(r.status, "open") != 0 || index < r.asked || !policy_of(app, &r, &p) ||
        (size_t)index >= p.n_ask)
        return true;
    if (!store_get_thread(&app->store, app->a, r.thread, &row, err) ||
        !store_set_asked(&app->store, id, index + 1, err))
        return false;
    for (int64_t i = r.asked; i <= index; i++)
        if (!outbox_card(app, &row, id, i, p.ask[i].channel, p.ask[i].to, err))
            return false;
    return true;
}

bool request_ask_failed(struct app *app, const char *id, int64_t ask, struct err *err)
{
    return request_ask(app, id, ask + 1, err);
}

/* ---- deciding ---------------------------------------------------------------------------- */

bool request_conclude(struct app *app, const struct request_row *r, const struct conclusion *how,
                      bool *won, struct err *err)
{
    const char *status = how->end.status, *comment = how->end.comment, *answer = how->end.answer;
    struct json *data = json_object(app->a);
    if (!store_decide(&app->store, r->id, &how->end, app->now_ms, won, err))
        return false;
    if (!*won)
        return true;
    json_set_text(app->a, data, "request", r->id);
    json_set_text(app->a, data, "kind", r->kind);
    json_set_text(app->a, data, "outcome", status);
    if (r->call > 0)
        json_set_int(app->a, data, "call", r->call);
    if (r->tool != NULL) {
        json_set_text(app->a, data, "tool", r->tool);
        json_set(app->a, data, "arguments",
                 json_get(json_parse_own(app->a, r->canonical), "arguments"));
    }
    const struct json *view = json_parse_own(app->a, r->view);
    if (json_get(view, "about") != NULL)
        json_set(app->a, data, "about", json_get(view, "about"));
    if (json_get(view, "question") != NULL)
        json_set(app->a, data, "question", json_get(view, "question"));
    if (comment != NULL)
        json_set_text(app->a, data, "comment", comment);
    if (answer != NULL)
        json_set_text(app->a, data, "answer", answer);
    if (how->edit > 0) {
        json_set_int(app->a, data, "edit", how->edit);
        json_set_text(app->a, data, "edited_into", how->edited_into);
    }
    if (strcmp(status, "expired") == 0) {
        int64_t period_ms = r->expires_at_ms - r->raised_at_ms;
        json_set_text(app->a, data, "note",
                      arena_printf(app->a, "nobody answered within %s",
                                   text_from_duration_ms(app->a, period_ms)));
        metrics_add(app->metrics, METRIC_REQUESTS_EXPIRED, 1);
    } else {
        metrics_add(app->metrics, METRIC_REQUESTS_DECIDED, 1);
    }
    log_info("request.decided", L_STR("request", r->id), L_STR("outcome", status));
    return store_drop_timers(&app->store, "ask", r->id, err) &&
           store_drop_timers(&app->store, "expire", r->id, err) &&
           store_drop_timers(&app->store, "recheck", r->id, err) &&
           app_append(app, r->thread, EVENT_REQUEST_DECIDED, how->end.by, data, NULL, err) &&
           outbox_edit_cards(app, r->id, err) && (edit_too_late(app, r, how), true);
}

bool request_cancel(struct app *app, const char *id, const char *actor, const char *why,
                    struct err *err)
{
    struct request_row r;
    bool won;
    return store_get_request(&app->store, app->a, id, &r, err) &&
           request_conclude(
               app, &r,
               &(struct conclusion){{.status = "cancelled", .by = actor, .comment = why}, 0, NULL},
               &won, err);
}

bool request_refuse_vote(struct app *app, const struct vote_in *in, const struct request_row *r,
                         enum vote_result result, const char *sentence, struct vote_out *out,
                         struct err *err)
{
    *out = (struct vote_out){.result = result,
                             .sentence = sentence,
                             .request = r == NULL ? NULL : r->id,
                             .field = out->field};
    metrics_add(app->metrics, METRIC_VOTES_REFUSED, 1);
    if (r == NULL)
        return true;
    out->thread = r->thread;
    struct json *data = json_object(app->a);
    json_set_text(app->a, data, "request", r->id);
    json_set_text(app->a, data, "decision", in->decision);
    json_set_text(app->a, data, "why", sentence);
    json_set_text(app->a, data, "via", in->via);
    return app_append(app, r->thread, EVENT_VOTE_REFUSED,
                      actor_of(app->a, &app->config->people, in->identity), data, NULL, err);
}

const char *request_how_decided(struct app *app, const struct request_row *r)
{
    return arena_printf(
        app->a, "Request %s is %s already%s%s%s%s.", r->code, r->status,
        r->decided_by == NULL ? "" : ": by ",
        r->decided_by == NULL ? "" : actor_display(app->a, &app->config->people, r->decided_by),
        r->decided_at_ms == 0 ? "" : " at ",
        r->decided_at_ms == 0 ? "" : time_format(app->a, r->decided_at_ms));
}

static bool append_vote(struct app *app, const struct request_row *r, const struct vote_in *in,
                        const struct person *person, struct err *err)
{
    struct json *data = json_object(app->a);
    json_set_text(app->a, data, "request", r->id);
    json_set_text(app->a, data, "decision", in->decision);
    if (in->comment != NULL)
        json_set_text(app->a, data, "comment", in->comment);
    json_set_text(app->a, data, "via", in->via);
    metrics_add(app->metrics, METRIC_VOTES, 1);
    return app_append(app, r->thread, EVENT_VOTE, arena_printf(app->a, "person:%s", person->id),
                      data, NULL, err);
}

/* Counts what stands and decides when it suffices. *decided says whether it did. */
static bool count_votes(struct app *app, const struct request_row *r, const struct matter *matter,
                        const struct request_end *by, bool *decided, struct err *err)
{
    struct conclusion how = {.end = *by};
    struct vote_row *rows;
    size_t n;
    *decided = false;
    if (!store_votes(&app->store, app->a, r->id, &rows, &n, err))
        return false;
    struct vote *votes = ARENA_ARRAY(app->a, struct vote, n);
    for (size_t i = 0; i < n; i++)
        votes[i] = (struct vote){.person = rows[i].person,
                                 .approve = strcmp(rows[i].decision, "approve") == 0,
                                 .at_ms = rows[i].at_ms};
    switch (policy_verdict(matter, votes, n)) {
    case VERDICT_OPEN:
        return true;
    case VERDICT_APPROVED:
        how.end.status = "approved";
        return request_conclude(app, r, &how, decided, err);
    case VERDICT_REJECTED:
        how.end.status = "rejected";
        return request_conclude(app, r, &how, decided, err);
    }
    UNREACHABLE();
}

/* What a question lets one choose from; NULL: any words. */
static const struct json *choices_of(struct app *app, const struct request_row *r)
{
    const struct json *view = json_parse_own(app->a, r->view);
    const char *format = json_text_or(view, "options.format", "free_text");
    if (strcmp(format, "yes_no") == 0)
        return json_parse_own(app->a, "[\"yes\",\"no\"]");
    return strcmp(format, "multiple_choice") == 0 ? json_at(view, "options.choices") : NULL;
}

static const char *choices_text(struct arena *a, const struct json *choices)
{
    struct strbuf b;
    strbuf_init(&b, a, 4096);
    JSON_EACH(choice, choices)
    {
        strbuf_addf(&b, "%s%s", b.len > 0 ? ", " : "", json_text(choice));
    }
    return b.text;
}

/* The answer in full: one of the choices by its words or as "choice:N" (what buttons carry, whose
 * values are short), or any words where no choice is asked for. NULL: it is none of them. */
static const char *full_answer(struct app *app, const struct request_row *r, const char *answer)
{
    const struct json *choices = choices_of(app, r);
    if (choices == NULL)
        return answer;
    int64_t at = 0, wanted = -1;
    bool by_number = text_starts(answer, "choice:") &&
                     text_to_int(answer + strlen("choice:"), 0, INT32_MAX, &wanted);
    JSON_EACH(choice, choices)
    {
        if (text_eq(json_text(choice), answer) || (by_number && at == wanted))
            return json_text(choice);
        at++;
    }
    return NULL;
}

static bool is_same_vote(struct app *app, const struct request_row *r, const struct vote_in *in,
                         const struct person *person, bool *same, struct err *err)
{
    struct vote_row *rows;
    size_t n;
    *same = false;
    if (!store_votes(&app->store, app->a, r->id, &rows, &n, err))
        return false;
    for (size_t i = 0; i < n; i++)
        if (strcmp(rows[i].person, person->id) == 0 &&
            strcmp(rows[i].decision, in->decision) == 0 && text_eq(rows[i].comment, in->comment))
            *same = true;
    /* An answer is no vote row: the same person, the same words. */
    if (strcmp(in->decision, "answer") == 0 &&
        text_eq(r->decided_by, arena_printf(app->a, "person:%s", person->id)) &&
        in->answer != NULL && text_eq(r->answer, full_answer(app, r, in->answer)))
        *same = true;
    return true;
}

static bool vote_on_approval(struct app *app, const struct request_row *r, const struct vote_in *in,
                             const struct person *person, struct vote_out *out, struct err *err)
{
    struct policy policy;
    struct matter matter;
    struct err why = ERR_INIT;
    struct request_end by = {.by = arena_printf(app->a, "person:%s", person->id),
                             .comment = in->comment,
                             .via = in->via};
    bool decided, approve = strcmp(in->decision, "approve") == 0;
    if (!view_matter(app->a, app->config, r, app->now_ms, &policy, &matter))
        return fail(err, ERR_INVALID, "request %s has no readable policy", r->id);
    if (!policy_may_vote(&matter, person->id, approve, &why))
        return request_refuse_vote(app, in, r, VOTE_NOT_ALLOWED, arena_strdup(app->a, why.text),
                                   out, err);
    struct vote_row vote = {.person = person->id,
                            .decision = in->decision,
                            .comment = in->comment,
                            .via = in->via,
                            .at_ms = app->now_ms};
    if (!store_put_vote(&app->store, r->id, &vote, err) || !append_vote(app, r, in, person, err) ||
        !count_votes(app, r, &matter, &by, &decided, err))
        return false;
    out->result = decided ? VOTE_DECIDED : VOTE_COUNTED;
    out->sentence =
        decided ? NULL
                : arena_printf(app->a, "Your vote on request %s counts; it needs more: %s.",
                               r->code, policy_describe(app->a, &policy, &app->config->people));
    return decided || outbox_edit_cards(app, r->id, err);
}

static bool answer_question(struct app *app, const struct request_row *r, const struct vote_in *in,
                            const struct person *person, struct vote_out *out, struct err *err)
{
    bool won;
    if (in->answer == NULL || *text_one_line(app->a, in->answer) == '\0')
        return request_refuse_vote(app, in, r, VOTE_INVALID, "An answer needs words.", out, err);
    if (strlen(in->answer) > ANSWER_BYTES)
        return request_refuse_vote(app, in, r, VOTE_INVALID, "This answer is too long.", out, err);
    const char *answer = full_answer(app, r, in->answer);
    if (answer == NULL)
        return request_refuse_vote(app, in, r, VOTE_INVALID,
                                   arena_printf(app->a, "This is none of the choices: %s.",
                                                choices_text(app->a, choices_of(app, r))),
                                   out, err);
    struct conclusion how = {{.status = "answered",
                              .by = arena_printf(app->a, "person:%s", person->id),
                              .comment = in->comment,
                              .answer = answer,
                              .via = in->via},
                             0,
                             NULL};
    if (!append_vote(app, r, in, person, err) || !request_conclude(app, r, &how, &won, err))
        return false;
    out->result = VOTE_DECIDED;
    return true;
}

static bool withdraw(struct app *app, const struct request_row *r, const struct vote_in *in,
                     struct vote_out *out, struct err *err)
{
    bool won;
    if (!text_eq(r->requester, actor_of(app->a, &app->config->people, in->identity)))
        return request_refuse_vote(app, in, r, VOTE_NOT_ALLOWED,
                                   "Only who asked for it may withdraw it.", out, err);
    struct conclusion how = {
        {.status = "cancelled", .by = r->requester, .comment = in->comment, .via = in->via},
        0,
        NULL};
    out->result = VOTE_DECIDED;
    return request_conclude(app, r, &how, &won, err);
}

/* Which decisions fit which kind of request? */
static const char *misfit(const struct request_row *r, const struct vote_in *in)
{
    bool question = strcmp(r->kind, "question") == 0;
    bool answer = strcmp(in->decision, "answer") == 0;
    if (strcmp(in->decision, "approve") != 0 && strcmp(in->decision, "reject") != 0 && !answer &&
        strcmp(in->decision, "withdraw") != 0 && strcmp(in->decision, "edit") != 0)
        return "A decision is approve, reject, answer, edit or withdraw.";
    if (strcmp(in->decision, "withdraw") == 0)
        return NULL;
    if (question && !answer)
        return "This is a question: it wants an answer.";
    if (!question && answer)
        return "This is an approval: approve or reject it.";
    if (in->comment != NULL && strlen(in->comment) > COMMENT_BYTES)
        return "This comment is too long.";
    return NULL;
}

/* By its whole id, or by its code: a beginning of an id is not enough to decide. */
static bool find_named(struct app *app, const char *name, struct request_row *out, struct err *err)
{
    return text_starts(name, "r_") ? store_get_request(&app->store, app->a, name, out, err)
                                   : store_find_request(&app->store, app->a, name, out, err);
}

bool request_vote(struct app *app, const struct vote_in *in, struct vote_out *out, struct err *err)
{
    struct request_row r;
    struct err why = ERR_INIT;
    bool same;
    *out = (struct vote_out){.result = VOTE_UNKNOWN};
    if (!find_named(app, in->request, &r, &why)) {
        if (why.kind == ERR_TRANSIENT)
            return fail(err, why.kind, "%s", why.text);
        return request_refuse_vote(app, in, NULL, VOTE_UNKNOWN,
                                   arena_printf(app->a, "I know no open request %s.", in->request),
                                   out, err);
    }
    out->request = r.id;
    out->thread = r.thread;
    const struct people *people = &app->config->people;
    const struct person *person = text_starts(in->identity, "person:")
                                      ? person_of_actor(people, in->identity)
                                      : person_by_identity(people, in->identity);
    bool withdrawing = strcmp(in->decision, "withdraw") == 0;
    if (person == NULL && !withdrawing)
        return request_refuse_vote(app, in, &r, VOTE_NOT_ALLOWED,
                                   "I do not know you: only people in my configuration may decide.",
                                   out, err);
    if (person != NULL && !is_same_vote(app, &r, in, person, &same, err))
        return false;
    if (person != NULL && same) {
        out->result = VOTE_SAME;
        out->sentence =
            strcmp(r.status, "open") == 0 ? "You said so already." : request_how_decided(app, &r);
        return true;
    }
    if (strcmp(r.status, "open") != 0)
        return request_refuse_vote(app, in, &r, VOTE_TOO_LATE, request_how_decided(app, &r), out,
                                   err);
    if (misfit(&r, in) != NULL)
        return request_refuse_vote(app, in, &r, VOTE_INVALID, misfit(&r, in), out, err);
    if (r.expires_at_ms > 0 && app->now_ms >= r.expires_at_ms)
        return request_refuse_vote(app, in, &r, VOTE_TOO_LATE,
                                   arena_printf(app->a, "Request %s has expired.", r.code), out,
                                   err);
    if (withdrawing)
        return withdraw(app, &r, in, out, err);
    if (strcmp(in->decision, "edit") == 0)
        return edit_request(app, &r, in, person, out, err);
    return strcmp(r.kind, "question") == 0 ? answer_question(app, &r, in, person, out, err)
                                           : vote_on_approval(app, &r, in, person, out, err);
}

/* ---- time -------------------------------------------------------------------------------- */

bool request_timer(struct app *app, const struct timer_row *timer, struct err *err)
{
    struct request_row r;
    struct policy policy;
    struct matter matter;
    bool decided;
    static const struct conclusion expired = {{.status = "expired", .by = "system"}, 0, NULL};
    static const struct request_end by_time = {.by = "system"};
    if (!store_get_request(&app->store, app->a, timer->ref, &r, err))
        return false;
    if (strcmp(r.status, "open") != 0)
        return true;
    if (strcmp(timer->kind, "ask") == 0) {
        int64_t index;
        return text_to_int(timer->data, 0, 1000, &index) && request_ask(app, r.id, index, err);
    }
    if (strcmp(timer->kind, "expire") == 0)
        return request_conclude(app, &r, &expired, &decided, err);
    return !view_matter(app->a, app->config, &r, app->now_ms, &policy, &matter) ||
           count_votes(app, &r, &matter, &by_time, &decided, err);
}
