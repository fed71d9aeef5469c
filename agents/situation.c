/* See situation.h. */
#include "agents/situation.h"

#include "agents/intents.h"
#include "gateway/base/text.h"

/* ---- the fold ---------------------------------------------------------------------------- */

bool event_is_of(const struct event *e, const struct event *step)
{
    return step != NULL && json_int_or(json_get(e->data, "call"), 0) == step->seq;
}

bool event_ended(const struct event *e, const char *outcome)
{
    return text_eq(json_text_at(e->data, "outcome"), outcome);
}

static void fold_error(struct situation *s, const struct event *e)
{
    s->errors++;
    s->last_error = json_text_or(e->data, e->type == EVENT_STEP_REFUSED ? "error" : "result.error",
                                 "it failed");
    s->step_failed = event_is_of(e, s->step);
}

/* Somebody helped, or something worked. */
static void forget_errors(struct situation *s)
{
    s->errors = 0;
    s->step_failed = false;
}

int64_t situation_identical_failures(const struct situation *s)
{
    int64_t count = 0;
    const struct json *what = json_without(s->a, s->step->data, "reasoning");
    bool is_same = false;
    for (size_t i = 0; i < s->thread->n_events; i++) {
        const struct event *e = &s->thread->events[i];
        if (e->type == EVENT_STEP)
            is_same = json_equal(what, json_without(s->a, e->data, "reasoning"));
        else if (is_same && (e->type == EVENT_STEP_REFUSED ||
                             (e->type == EVENT_TOOL_FINISHED && !event_ended(e, "ok"))))
            count++;
    }
    return count;
}

static void fold_model(struct situation *s, const struct event *e)
{
    if (e->type == EVENT_MODEL_ASKED) {
        s->model_under_way = true;
        s->model_failed = false;
        s->asked_upto = json_int_or(json_get(e->data, "upto"), e->seq);
        s->asked_seq = e->seq;
        s->asked_at_ms = e->at_ms;
        s->steps++;
        return;
    }
    s->model_under_way = false;
    s->model_failed = json_is_true(json_get(e->data, "failed"));
    s->model_error = json_text_or(e->data, "error", "it gave no answer");
    s->tokens += json_int_or(json_get(e->data, "tokens"), 0);
    const struct json *cost = json_get(e->data, "cost");
    s->cost += cost != NULL && cost->type == JSON_NUMBER ? cost->number : 0;
    s->model_ms += e->at_ms - s->asked_at_ms;
}

/* Others may ask people on this thread too (POST /v1/requests): theirs are news at most. */
static bool is_own_request(const struct event *e)
{
    return json_int_or(json_get(e->data, "call"), 0) > 0 || json_get(e->data, "about") != NULL;
}

static bool is_edit(const struct event *e)
{
    return e != NULL && json_get(e->data, "edit") != NULL;
}

static const struct event *event_by_seq(const struct thread *t, int64_t seq)
{
    for (size_t i = 0; i < t->n_events; i++)
        if (t->events[i].seq == seq)
            return &t->events[i];
    return NULL;
}

/* A person's change counts for the request that was open when it was made. */
static void fold_vote(struct situation *s, const struct event *e)
{
    if (e->type == EVENT_VOTE_REFUSED) {
        if (is_edit(e) && s->edit != NULL &&
            json_int_or(json_get(e->data, "edit"), 0) == s->edit->seq)
            s->edit = NULL;
    } else if (text_eq(json_text_at(e->data, "decision"), "edit") && s->open != NULL &&
               s->edit == NULL &&
               text_eq(json_text_at(e->data, "request"), json_text_at(s->open->data, "request"))) {
        s->edit = e;
    }
}

static void fold_request(struct situation *s, const struct event *e)
{
    if (!is_own_request(e))
        return;
    if (e->type == EVENT_REQUEST_RAISED) {
        s->open = e;
        return;
    }
    s->open = NULL;
    s->edit = NULL;
    if (is_edit(e) && event_is_of(e, s->step)) { /* the same call goes on with other arguments */
        s->edited = event_by_seq(s->thread, json_int_or(json_get(e->data, "edit"), 0));
        return;
    }
    if (json_get(e->data, "about") != NULL)
        s->about = e;
    if (event_is_of(e, s->step)) {
        s->decided = e;
        s->step_settled = !event_ended(e, "approved");
    }
    if (!event_ended(e, "cancelled"))
        forget_errors(s);
}

static void fold_step(struct situation *s, const struct event *e)
{
    s->last_step = e;
    s->last_step_refused = false;
    if (intent_of(s->agent, e->data, NULL) == INTENT_KEEP_WAITING)
        return;
    s->step = e;
    s->edited = NULL;
    /* An answer that came after the thread had ended is no work of what goes on later. */
    s->step_settled = s->finished > s->asked_seq;
    s->decided = NULL;
    s->step_failed = false;
}

static void fold_tool(struct situation *s, const struct event *e)
{
    if (e->type == EVENT_TOOL_STARTED) {
        s->running++;
        return;
    }
    /* A call that was refused before it began has no tool_started. */
    if (!json_is_true(json_get(e->data, "not_started")))
        s->running--;
    if (event_is_of(e, s->step))
        s->step_settled = true;
    if (event_ended(e, "ok"))
        forget_errors(s);
    else if (!json_is_true(json_get(e->data, "prefetch"))) /* nobody chose to fetch it */
        fold_error(s, e);
    if (event_ended(e, "unknown"))
        s->unknown = e;
}

/* A request that our own newer step cancelled, or that a person's change of it replaced, is no news
 * to us: the call goes on. */
static bool is_news(const struct event *e)
{
    if (!event_is_for_agent(e->type) || e->type == EVENT_STEP)
        return false;
    return !(e->type == EVENT_REQUEST_DECIDED && event_ended(e, "cancelled") &&
             (text_starts(e->actor, "agent:") || is_edit(e)));
}

static void fold_one(struct situation *s, const struct event *e)
{
    if (is_news(e))
        s->newest = e->seq;
    if (event_is_message(e->type)) {
        s->newest_message = e->seq;
        forget_errors(s);
    }
    if (e->type == EVENT_MODEL_ASKED || e->type == EVENT_MODEL_ANSWERED)
        fold_model(s, e);
    else if (e->type == EVENT_STEP)
        fold_step(s, e);
    else if (e->type == EVENT_TOOL_STARTED || e->type == EVENT_TOOL_FINISHED)
        fold_tool(s, e);
    else if (e->type == EVENT_VOTE || e->type == EVENT_VOTE_REFUSED)
        fold_vote(s, e);
    else if (e->type == EVENT_REQUEST_RAISED || e->type == EVENT_REQUEST_DECIDED)
        fold_request(s, e);
    else if (e->type == EVENT_STEP_REFUSED) {
        s->last_step_refused = true;
        if (event_is_of(e, s->step))
            s->step_settled = true;
        fold_error(s, e);
    } else if (e->type == EVENT_TIMER_FIRED && event_is_of(e, s->step))
        s->step_settled = true;
    else if (e->type == EVENT_FINISHED || e->type == EVENT_CANCELLED) {
        s->finished = e->seq;
        s->step_settled = true;
        s->about = NULL;
    } else if (e->type == EVENT_LIMIT_RAISED)
        s->about = NULL;
}

struct situation situation_of(const struct agent *agent, const struct thread *thread,
                              int64_t now_ms, struct arena *a, struct effect *out)
{
    struct situation s = {.agent = agent, .thread = thread, .now_ms = now_ms, .a = a, .out = out};
    for (size_t i = 0; i < thread->n_events; i++)
        fold_one(&s, &thread->events[i]);
    return s;
}

int64_t agent_newest(const struct thread *thread)
{
    int64_t newest = 0;
    for (size_t i = 0; i < thread->n_events; i++)
        if (is_news(&thread->events[i]))
            newest = thread->events[i].seq;
    return newest;
}
