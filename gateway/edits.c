/* Other arguments for an open approval. A change is one vote event; agent_next() resolves and
 * checks it as it does a model's proposal, and then either a new request takes the old one's place
 * or the change is refused. Who sent the change waits before a form for a moment: that answer is
 * held back here, in memory alone; after a restart, or when it takes longer, the person is told in
 * the conversation. See requests_private.h. */
#include "agents/json_schema.h"
#include "gateway/base/text.h"
#include "gateway/requests_private.h"
#include "gateway/views.h"

#include <stdlib.h>
#include <string.h>

enum { HELD_MS = 2200 }; /* a form's answer has three seconds, and the way takes some of them */

/* ---- who waits --------------------------------------------------------------------------- */

struct waiter {
    struct waiter *next;
    struct arena arena;
    struct asker asker;
    const char *name;          /* the arrival's hold */
    const char *channel;       /* instance */
    const struct json *fields; /* of the form: {name: …}; where a refusal can stand */
    const char *request;       /* NULL until the change is taken down */
    int64_t edit;
};

static void waiter_free(struct waiter *w)
{
    arena_done(&w->arena);
    free(w);
}

bool edit_hold(struct app *app, const struct asker *asker, const struct arrival *in,
               const struct channel_config *channel, struct err *err)
{
    struct waiter *w = calloc(1, sizeof *w);
    if (w == NULL)
        abort();
    w->asker = *asker;
    w->asker.envelope = arena_strdup(&w->arena, asker->envelope);
    w->name = arena_strdup(&w->arena, in->hold);
    w->channel = arena_strdup(&w->arena, channel->name);
    w->fields = json_parse_own(&w->arena, json_write(&w->arena, json_get(in->data, "arguments")));
    w->next = app->waiters;
    app->waiters = w;
    struct timer_row timer = {.due_at_ms = app->now_ms + HELD_MS, .kind = "held", .ref = in->hold};
    return store_add_timer(&app->store, &timer, err);
}

static void answer_waiter(struct app *app, const struct waiter *w, const struct form_outcome *how)
{
    const struct channel_config *c = config_channel(app->config, w->channel);
    struct form_outcome outcome = *how;
    const char *type = NULL, *body = "";
    if (outcome.field == NULL || json_get(w->fields, outcome.field) == NULL)
        outcome.field = w->fields != NULL && w->fields->child != NULL ? w->fields->child->key : "";
    if (c != NULL && c->ops != NULL && c->ops->form_answer != NULL)
        c->ops->form_answer(app->a, &outcome, &type, &body);
    app_tell(app, &w->asker, 200, type, body);
}

/* Answers and forgets all that `is_meant` picks. True: there was one. */
static bool answer_all(struct app *app, bool (*is_meant)(const struct waiter *, const void *),
                       const void *what, const struct form_outcome *how)
{
    bool any = false;
    for (struct waiter **at = &app->waiters; *at != NULL;) {
        struct waiter *w = *at;
        if (!is_meant(w, what)) {
            at = &w->next;
            continue;
        }
        answer_waiter(app, w, how);
        *at = w->next;
        waiter_free(w);
        any = true;
    }
    return any;
}

static bool has_name(const struct waiter *w, const void *name)
{
    return strcmp(w->name, name) == 0;
}

static bool has_request(const struct waiter *w, const void *request)
{
    return text_eq(w->request, request);
}

static bool has_edit(const struct waiter *w, const void *what)
{
    const struct waiter *wanted = what;
    return w->edit == wanted->edit && text_eq(w->request, wanted->request);
}

void edit_taken(struct app *app, const char *name, const struct vote_out *out, bool *told)
{
    struct form_outcome refused = {
        .kind = FORM_REFUSED, .field = out->field, .sentence = out->sentence};
    *told = false;
    if (out->result != VOTE_CHECKING) {
        *told = answer_all(app, has_name, name, &refused);
        return;
    }
    for (struct waiter *w = app->waiters; w != NULL; w = w->next)
        if (strcmp(w->name, name) == 0) {
            w->request = arena_strdup(&w->arena, out->request);
            w->edit = out->edit;
            *told = true;
        }
}

bool edit_waited_long(struct app *app, const struct timer_row *timer, struct err *err)
{
    (void)err;
    struct form_outcome slow = {.kind = FORM_SLOW,
                                .sentence = "The change is still being checked. You will see it in "
                                            "the conversation, or hear why not."};
    (void)answer_all(app, has_name, timer->ref, &slow);
    return true;
}

void edit_forget_all(struct app *app)
{
    while (app->waiters != NULL) {
        struct waiter *next = app->waiters->next;
        waiter_free(app->waiters);
        app->waiters = next;
    }
}

/* Somebody whose form is answered already, or was lost with a restart, is told in the conversation.
 */
static void tell_later(struct app *app, const struct event *vote, const char *sentence)
{
    const char *instance = json_text_or(vote->data, "via", "");
    const struct channel_config *c = config_channel(app->config, instance);
    const struct person *p = person_of_actor(&app->config->people, vote->actor);
    const char *user = p == NULL || c == NULL ? NULL : outbox_address(c, p);
    if (user == NULL || c->ops == NULL || c->ops->live == NULL)
        return;
    struct live live = {.kind = LIVE_TELL,
                        .to = json_text_at(vote->data, "reply_to.to"),
                        .in_thread = json_text_at(vote->data, "reply_to.in_thread"),
                        .user = user,
                        .text = sentence};
    outbox_live(app, c, &live);
}

static const struct event *vote_of(const struct thread_row *row, int64_t seq)
{
    for (size_t i = 0; i < row->t.n_events; i++)
        if (row->t.events[i].seq == seq && row->t.events[i].type == EVENT_VOTE)
            return &row->t.events[i];
    return NULL;
}

static void answer_edit(struct app *app, const struct thread_row *row, const char *request,
                        int64_t seq, const struct form_outcome *how)
{
    struct waiter wanted = {.request = request, .edit = seq};
    const struct event *vote = vote_of(row, seq);
    if (!answer_all(app, has_edit, &wanted, how) && vote != NULL && how->kind == FORM_REFUSED)
        tell_later(app, vote, arena_printf(app->a, "Your change was not taken: %s", how->sentence));
}

bool edit_refused(struct app *app, const struct thread_row *row, const struct json *data,
                  struct err *err)
{
    (void)err;
    struct form_outcome how = {.kind = FORM_REFUSED,
                               .field = json_text_at(data, "field"),
                               .sentence = json_text_or(data, "why", "it is not valid")};
    metrics_add(app->metrics, METRIC_VOTES_REFUSED, 1);
    answer_edit(app, row, json_text_or(data, "request", ""), json_int_or(json_get(data, "edit"), 0),
                &how);
    return true;
}

void edit_too_late(struct app *app, const struct request_row *r, const struct conclusion *how)
{
    struct request_row decided = *r;
    decided.status = how->end.status;
    decided.decided_by = how->end.by;
    decided.decided_at_ms = app->now_ms;
    struct form_outcome late = {.kind = FORM_REFUSED,
                                .sentence = request_how_decided(app, &decided)};
    if (how->edit == 0)
        (void)answer_all(app, has_request, r->id, &late);
}

/* ---- taking a change down ---------------------------------------------------------------- */

static bool is_editable(const struct tool *tool, const char *name)
{
    for (size_t i = 0; i < tool->n_editable; i++)
        if (strcmp(tool->editable[i], name) == 0)
            return true;
    return false;
}

/* The whole call: what was there, and what changes. */
static bool merge(struct app *app, const struct tool *tool, const struct json *was,
                  const struct json *change, struct json **out, const char **field, struct err *err)
{
    const struct json *all = was;
    JSON_EACH(member, change)
    {
        *field = member->key;
        const struct tool_arg *arg = tool_arg_by_name(tool, member->key);
        if (arg == NULL || !is_editable(tool, member->key))
            return fail(err, ERR_INVALID, "%s may not be changed", member->key);
        all = json_without(app->a, all, member->key);
    }
    *out = json_object(app->a);
    JSON_EACH(member, all)
    {
        json_set(app->a, *out, member->key, member);
    }
    JSON_EACH(member, change)
    {
        const struct tool_arg *arg = tool_arg_by_name(tool, member->key);
        const struct json *value = tool_arg_read(app->a, arg, member);
        if (value != NULL)
            json_set(app->a, *out, member->key, value);
    }
    *field = NULL;
    return true;
}

/* "deploy_backend.sha: does not match …" → "sha". */
static const char *field_of(struct app *app, const struct tool *tool, const char *sentence)
{
    size_t len = strlen(tool->name);
    if (strncmp(sentence, tool->name, len) != 0 || sentence[len] != '.')
        return NULL;
    const char *name = sentence + len + 1;
    return arena_strndup(app->a, name, strcspn(name, ":. "));
}

static bool same_members(const struct json *a, const struct json *b)
{
    if (json_count(a) != json_count(b))
        return false;
    JSON_EACH(member, a)
    {
        if (!json_equal(member, json_get(b, member->key)))
            return false;
    }
    return true;
}

/* Another change of this request that is being looked at? */
static bool has_pending(const struct thread_row *row, const char *request)
{
    int64_t pending = 0;
    for (size_t i = 0; i < row->t.n_events; i++) {
        const struct event *e = &row->t.events[i];
        if (!text_eq(json_text_at(e->data, "request"), request))
            continue;
        if (e->type == EVENT_VOTE && text_eq(json_text_at(e->data, "decision"), "edit"))
            pending = pending > 0 ? pending : e->seq;
        else if (e->type == EVENT_VOTE_REFUSED &&
                 json_int_or(json_get(e->data, "edit"), 0) == pending)
            pending = 0;
    }
    return pending > 0;
}

/* Who may vote may change, so long as somebody else is left to approve. NULL: this person may. */
static const char *why_not(struct app *app, const struct request_row *r,
                           const struct person *person)
{
    struct policy policy;
    struct matter matter;
    struct err why = ERR_INIT, other = ERR_INIT;
    if (!view_matter(app->a, app->config, r, app->now_ms, &policy, &matter))
        return "Its policy cannot be read.";
    if (!policy_may_vote(&matter, person->id, true, &why) &&
        !policy_may_vote(&matter, person->id, false, &other))
        return arena_strdup(app->a, why.text);
    const char **editors = ARENA_ARRAY(app->a, const char *, matter.n_editors + 1);
    for (size_t i = 0; i < matter.n_editors; i++)
        editors[i] = matter.editors[i];
    editors[matter.n_editors++] = person->id;
    matter.editors = editors;
    return policy_can_still_be_met(&matter, &why) ? NULL : arena_strdup(app->a, why.text);
}

static bool append_edit(struct app *app, const struct request_row *r, const struct vote_in *in,
                        const struct person *person, const struct json *arguments,
                        struct vote_out *out, struct err *err)
{
    struct json *data = json_object(app->a);
    json_set_text(app->a, data, "request", r->id);
    json_set_text(app->a, data, "decision", "edit");
    json_set(app->a, data, "arguments", arguments);
    json_set_text(app->a, data, "via", in->via);
    if (in->to != NULL) {
        struct json *reply_to = json_set(app->a, data, "reply_to", json_object(app->a));
        json_set_text(app->a, reply_to, "to", in->to);
        if (in->in_thread != NULL)
            json_set_text(app->a, reply_to, "in_thread", in->in_thread);
    }
    metrics_add(app->metrics, METRIC_VOTES, 1);
    out->result = VOTE_CHECKING;
    out->sentence = "The change is being checked.";
    return app_append(app, r->thread, EVENT_VOTE, arena_printf(app->a, "person:%s", person->id),
                      data, &out->edit, err);
}

bool edit_request(struct app *app, const struct request_row *r, const struct vote_in *in,
                  const struct person *person, struct vote_out *out, struct err *err)
{
    struct thread_row row;
    struct json *merged = NULL;
    struct err bad = ERR_INIT;
    const struct tool *tool = r->tool == NULL ? NULL : config_tool(app->config, r->tool);
    const struct json *was = json_get(json_parse_own(app->a, r->canonical), "arguments");
    if (r->call == 0 || tool == NULL || tool->n_editable == 0)
        return request_refuse_vote(app, in, r, VOTE_INVALID,
                                   "The arguments of this call may not be changed.", out, err);
    const char *sentence = why_not(app, r, person);
    if (sentence != NULL)
        return request_refuse_vote(app, in, r, VOTE_NOT_ALLOWED, sentence, out, err);
    if (!app_load(app, r->thread, &row, err))
        return false;
    if (row.t.agent == NULL || config_agent(app->config, row.t.agent) == NULL)
        return request_refuse_vote(app, in, r, VOTE_INVALID,
                                   "Its agent is no longer configured: nobody can check a change.",
                                   out, err);
    if (row.t.paused || app->paused_all)
        return request_refuse_vote(app, in, r, VOTE_INVALID,
                                   "This work is paused: nothing is changed until it resumes.", out,
                                   err);
    if (has_pending(&row, r->id))
        return request_refuse_vote(app, in, r, VOTE_INVALID,
                                   "Another change of this request is being checked.", out, err);
    bool fine = merge(app, tool, was, in->arguments, &merged, &out->field, &bad);
    if (fine && same_members(merged, was))
        fine = fail(&bad, ERR_INVALID, "nothing was changed");
    if (fine && !json_schema_validate(tool_schema(app->a, tool, true), merged, tool->name, &bad)) {
        out->field = field_of(app, tool, bad.text);
        fine = false;
    }
    if (!fine)
        return request_refuse_vote(app, in, r, VOTE_INVALID, arena_strdup(app->a, bad.text), out,
                                   err);
    return append_edit(app, r, in, person, merged, out, err);
}

/* ---- the new version --------------------------------------------------------------------- */

/* What the card of the new one says: who changed what. */
static void add_changes(struct app *app, const struct request_row *was, const struct event *vote,
                        struct json *view)
{
    struct json *edited = json_set(app->a, view, "edited", json_object(app->a));
    struct json *editors = json_set(app->a, view, "editors", json_array(app->a));
    const struct person *p = person_of_actor(&app->config->people, vote->actor);
    bool known = false;
    json_set_text(app->a, edited, "by", actor_display(app->a, &app->config->people, vote->actor));
    json_set_text(app->a, edited, "request", was->id);
    json_set_text(app->a, edited, "code", was->code);
    json_set(app->a, edited, "before",
             json_get(json_parse_own(app->a, was->canonical), "arguments"));
    JSON_EACH(editor, json_get(json_parse_own(app->a, was->view), "editors"))
    {
        known = known || (p != NULL && text_eq(json_text(editor), p->id));
        json_push_text(app->a, editors, json_text(editor));
    }
    if (!known && p != NULL)
        json_push_text(app->a, editors, p->id);
}

bool edit_replace(struct app *app, const struct thread_row *row, const struct effect *e,
                  const struct request_row *was, const struct request_row *now, struct json *view,
                  struct err *err)
{
    const struct event *vote = vote_of(row, e->edit);
    bool won;
    if (vote == NULL)
        return fail(err, ERR_INVALID, "thread %s has no change %lld", row->t.id,
                    (long long)e->edit);
    struct conclusion how = {
        .end = {.status = "cancelled",
                .by = vote->actor,
                .comment = arena_printf(app->a, "edited by %s into request %s",
                                        actor_display(app->a, &app->config->people, vote->actor),
                                        now->code),
                .via = json_text_at(vote->data, "via")},
        .edit = e->edit,
        .edited_into = now->id};
    struct form_outcome done = {.kind = FORM_DONE};
    add_changes(app, was, vote, view);
    if (!request_conclude(app, was, &how, &won, err))
        return false;
    answer_edit(app, row, was->id, e->edit, &done);
    return won || fail(err, ERR_INVALID, "request %s was decided meanwhile", was->id);
}
