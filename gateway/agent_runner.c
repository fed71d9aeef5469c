/* Takes the effects of agent_next() and performs them as rows. See app.h and agents/agent.h. */
#include "gateway/app.h"
#include "gateway/base/text.h"

#include <string.h>

enum { MAX_ROUNDS = 64 }; /* one advance stops here and goes on in the next batch */

/* ---- endings ----------------------------------------------------------------------------- */

/* Did a write tool of this thread end ok? (in `environment`, when one is given) */
static bool has_acted(struct app *app, const struct thread *t, const char *environment)
{
    for (size_t i = 0; i < t->n_events; i++) {
        const struct event *e = &t->events[i];
        if (e->type != EVENT_TOOL_FINISHED || !text_eq(json_text_at(e->data, "outcome"), "ok"))
            continue;
        const struct tool *tool = config_tool(app->config, json_text_or(e->data, "tool", ""));
        if (tool != NULL && !tool->reads &&
            (environment == NULL || text_eq(tool->target.environment, environment)))
            return true;
    }
    return false;
}

static const struct stage *stage_by_name(struct app *app, const char *pipeline, const char *name)
{
    const struct pipeline *p = pipeline == NULL ? NULL : config_pipeline(app->config, pipeline);
    for (size_t i = 0; p != NULL && i < p->n_stages; i++)
        if (text_eq(p->stages[i].name, name))
            return &p->stages[i];
    return NULL;
}

/* What the parent said when it started this child: {stage, why}. */
static const struct json *how_started(struct app *app, const struct thread *parent,
                                      const char *child)
{
    for (size_t i = 0; i < parent->n_events; i++)
        if (parent->events[i].type == EVENT_CHILD_STARTED &&
            text_eq(json_text_at(parent->events[i].data, "thread"), child))
            return parent->events[i].data;
    (void)app;
    return NULL;
}

static bool tell_parent(struct app *app, struct thread_row *row, const char *status,
                        const char *outcome, const char *message, struct err *err)
{
    if (row->t.parent == NULL || (row->t.status == THREAD_DONE && text_eq(outcome, "handed_over")))
        return true; /* the stage waits for the one it was handed to */
    struct thread_row parent, self = *row;
    if (!app_load(app, row->t.parent, &parent, err) || !app_reload(app, &self, err))
        return false;
    const struct json *how = how_started(app, &parent.t, row->t.id);
    if (how == NULL)
        return true;
    const struct stage *stage =
        stage_by_name(app, parent.t.pipeline, json_text_or(how, "stage", ""));
    struct json *data = json_object(app->a);
    json_set_text(app->a, data, "thread", row->t.id);
    json_set_text(app->a, data, "agent", row->t.agent);
    json_set_text(app->a, data, "stage", json_text_or(how, "stage", ""));
    json_set_text(app->a, data, "why", json_text_or(how, "why", ""));
    json_set_text(app->a, data, "status", status);
    json_set_text(app->a, data, "outcome", outcome);
    json_set_text(app->a, data, "message", message);
    json_set_bool(app->a, data, "acted",
                  has_acted(app, &self.t, stage == NULL ? NULL : stage->environment));
    return app_append(app, row->t.parent, EVENT_CHILD_FINISHED, "system", data, NULL, err);
}

bool thread_finish(struct app *app, struct thread_row *row, enum thread_status status,
                   const char *outcome, const char *message, struct err *err)
{
    struct json *data = json_object(app->a);
    json_set_text(app->a, data, "status", thread_status_name(status));
    json_set_text(app->a, data, "outcome", outcome);
    json_set_text(app->a, data, "message", message == NULL ? "" : message);
    const char *actor =
        row->t.agent == NULL ? "system" : arena_printf(app->a, "agent:%s", row->t.agent);
    enum event_type type = status == THREAD_CANCELLED ? EVENT_CANCELLED : EVENT_FINISHED;
    if (!app_append(app, row->t.id, type, actor, data, NULL, err) ||
        !store_set_thread(&app->store, row->t.id, status, NULL, outcome, err))
        return false;
    log_info("thread.finished", L_STR("thread", row->t.id),
             L_STR("status", thread_status_name(status)), L_STR("outcome", outcome));
    if (strcmp(row->t.root, row->t.id) == 0 && !environment_leave_all(app, row->t.id, err))
        return false;
    row->t.status = status;
    return tell_parent(app, row, thread_status_name(status), outcome,
                       message == NULL ? "" : message, err);
}

static bool kill_commands(struct app *app, const char *thread, struct err *err)
{
    struct tool_run_row *runs;
    size_t n;
    if (!store_open_tool_runs(&app->store, app->a, thread, &runs, &n, err))
        return false;
    for (size_t i = 0; i < n; i++)
        if (strcmp(runs[i].kind, "command") == 0 || strcmp(runs[i].kind, "stage") == 0)
            app_kill_command(app,
                             json_text_or(json_parse_own(app->a, runs[i].spec), "id", runs[i].id));
    return true;
}

bool thread_cancel(struct app *app, const char *id, const char *actor, const char *why,
                   struct err *err)
{
    struct thread_row row;
    struct request_row *open;
    const char **children;
    size_t n;
    if (!app_load(app, id, &row, err))
        return false;
    if (thread_is_over(row.t.status))
        return fail(err, ERR_CONFLICT, "thread %s is %s already", id,
                    thread_status_name(row.t.status));
    if (!store_open_requests_of(&app->store, app->a, id, &open, &n, err))
        return false;
    for (size_t i = 0; i < n; i++)
        if (!request_cancel(app, open[i].id, actor, why, err))
            return false;
    if (!kill_commands(app, id, err) ||
        !store_children(&app->store, app->a, id, &children, &n, err))
        return false;
    for (size_t i = 0; i < n; i++) {
        struct thread_row child;
        if (!store_get_thread(&app->store, app->a, children[i], &child, err))
            return false;
        if (!thread_is_over(child.t.status) && !thread_cancel(app, children[i], actor, why, err))
            return false;
    }
    if (!thread_finish(app, &row, THREAD_CANCELLED, why, why, err))
        return false;
    return row.t.pipeline == NULL || outbox_status(app, &row, err);
}

bool thread_pause(struct app *app, const char *id, const char *actor, bool pause, struct err *err)
{
    struct thread_row row;
    const char **children;
    size_t n;
    if (!store_get_thread(&app->store, app->a, id, &row, err))
        return false;
    if (!store_children(&app->store, app->a, id, &children, &n, err))
        return false;
    for (size_t i = 0; i < n; i++)
        if (!thread_pause(app, children[i], actor, pause, err))
            return false;
    if (row.t.paused == pause)
        return true;
    return store_set_paused(&app->store, id, pause, err) &&
           app_append(app, id, pause ? EVENT_PAUSED : EVENT_RESUMED, actor, NULL, NULL, err);
}

bool thread_pause_all(struct app *app, const char *actor, bool pause, struct err *err)
{
    if (!store_meta_set(&app->store, "paused_all", pause ? "1" : "0", err))
        return false;
    app->paused_all = pause;
    if (!pause && !housekeeping_wake_all(app, err))
        return false;
    log_warn(pause ? "all.paused" : "all.resumed", L_STR("by", actor));
    return true;
}

/* ---- children ---------------------------------------------------------------------------- */

/* A child begins with the trigger's facts, the stage's message, and the failed stage's result. */
static bool give_first_facts(struct app *app, const char *child, enum event_type type,
                             const struct json *facts, const char *message, struct err *err)
{
    struct json *data = json_object(app->a);
    if (message != NULL)
        json_set_text(app->a, data, "text", message);
    JSON_EACH(member, facts)
    {
        json_set(app->a, data, member->key, member);
    }
    return data->child == NULL || app_append(app, child, type, "system", data, NULL, err);
}

bool child_start(struct app *app, struct thread_row *parent, const char *agent, const char *stage,
                 const char *why, const struct json *facts, const char *message, const char **id,
                 struct err *err)
{
    const struct event *first = &parent->t.events[0];
    struct new_thread t = {.agent = agent,
                           .parent = parent->t.id,
                           .root = parent->t.root,
                           .title = arena_printf(app->a, "%s: %s", agent, parent->t.title),
                           .requester = parent->t.requester,
                           .channel = parent->t.channel,
                           .to = parent->t.to,
                           .in_thread = parent->t.in_thread,
                           .repo =
                               parent->repo == NULL ? NULL : json_parse_own(app->a, parent->repo),
                           .type = first->type,
                           .actor = first->actor,
                           .data = first->data};
    /* Who handed over is in the facts; a failed stage comes as a webhook would. */
    enum event_type type = facts == NULL                        ? EVENT_API_MESSAGE
                           : json_get(facts, "summary") != NULL ? EVENT_HANDED_OVER
                                                                : EVENT_WEBHOOK_RECEIVED;
    struct json *data = json_object(app->a);
    if (!router_start_thread(app, &t, id, err) ||
        !give_first_facts(app, *id, type, facts, message, err))
        return false;
    json_set_text(app->a, data, "thread", *id);
    json_set_text(app->a, data, "agent", agent);
    json_set_text(app->a, data, "stage", stage);
    json_set_text(app->a, data, "why", why);
    return app_append(app, parent->t.id, EVENT_CHILD_STARTED, "system", data, NULL, err);
}

/* hand_over: the new agent takes this thread's place under its parent, or stands under it. */
static bool hand_over(struct app *app, struct thread_row *row, const struct effect *e,
                      struct err *err)
{
    struct json *facts = json_object(app->a);
    const char *id;
    struct thread_row parent;
    json_set_text(app->a, facts, "from", row->t.agent);
    json_set_text(app->a, facts, "summary", e->text);
    if (row->t.parent == NULL)
        return child_start(app, row, e->agent, NULL, "hand_over", facts, NULL, &id, err);
    if (!app_load(app, row->t.parent, &parent, err))
        return false;
    const struct json *how = how_started(app, &parent.t, row->t.id);
    return child_start(app, &parent, e->agent, json_text_or(how, "stage", ""),
                       json_text_or(how, "why", "hand_over"), facts, NULL, &id, err);
}

/* ---- effects ----------------------------------------------------------------------------- */

static bool set_timer(struct app *app, struct thread_row *row, const struct effect *e,
                      struct err *err)
{
    struct json *data = json_object(app->a);
    json_set_int(app->a, data, "call", e->call);
    json_set_int(app->a, data, "until_ms", app->now_ms + e->seconds * 1000);
    struct timer_row timer = {.due_at_ms = app->now_ms + e->seconds * 1000,
                              .kind = "agent",
                              .thread = row->t.id,
                              .ref = row->t.id,
                              .data = json_write(app->a, data)};
    return store_add_timer(&app->store, &timer, err) &&
           app_append(app, row->t.id, EVENT_TIMER_SET, "system", data, NULL, err);
}

static bool perform(struct app *app, struct thread_row *row, const struct agent *agent,
                    const struct effect *e, bool *blocked, struct err *err)
{
    enum tool_start started;
    switch (e->kind) {
    case EFFECT_ASK_MODEL:
        return model_ask(app, row, agent, err);
    case EFFECT_APPEND:
        if (e->type == EVENT_STEP_REFUSED)
            metrics_add(app->metrics, METRIC_STEPS_REFUSED, 1);
        return app_append(app, row->t.id, e->type, "system", e->data, NULL, err) &&
               (e->type != EVENT_VOTE_REFUSED || edit_refused(app, row, e->data, err));
    case EFFECT_LOOK_UP:
        return tool_look_up(app, row, e, err);
    case EFFECT_RUN_TOOL:
        if (!tool_run(app, row, agent, e, &started, err))
            return false;
        *blocked = *blocked || started == TOOL_MUST_WAIT;
        return true;
    case EFFECT_RAISE_APPROVAL:
        return request_raise_approval(app, row, e, err);
    case EFFECT_RAISE_QUESTION:
        return request_raise_question(app, row, e->data, e->call, e->about, err);
    case EFFECT_CANCEL_REQUEST:
        return request_cancel(app, e->request, arena_printf(app->a, "agent:%s", agent->name),
                              e->text, err);
    case EFFECT_SEND:
        return outbox_say(app, row, e->text, err);
    case EFFECT_SET_TIMER:
        return set_timer(app, row, e, err);
    case EFFECT_HAND_OVER:
        return hand_over(app, row, e, err);
    case EFFECT_FINISH:
        return thread_finish(app, row, e->status, e->outcome, e->text, err);
    }
    UNREACHABLE();
}

static const char *environment_waited_for(struct app *app, const struct thread_row *row,
                                          struct err *err)
{
    struct hold_row *holds;
    size_t n;
    if (!store_holds(&app->store, app->a, NULL, &holds, &n, err))
        return NULL;
    for (size_t i = 0; i < n; i++)
        if (strcmp(holds[i].thread, row->t.root) == 0 && strcmp(holds[i].state, "waiting") == 0)
            return holds[i].environment;
    return NULL;
}

static bool settle(struct app *app, struct thread_row *row, const struct agent *agent, bool blocked,
                   bool more, struct err *err)
{
    if (thread_is_over(row->t.status))
        return store_set_dirty(&app->store, row->t.id, false, err);
    struct json *waiting = agent_waiting_for(agent, &row->t, app->a);
    const char *environment = blocked ? environment_waited_for(app, row, err) : NULL;
    if (blocked) {
        waiting = json_object(app->a);
        json_set_text(app->a, waiting, "kind", "environment");
        json_set_text(app->a, waiting, "what", environment);
    }
    enum thread_status status = row->t.paused     ? THREAD_PAUSED
                                : waiting != NULL ? THREAD_WAITING
                                                  : THREAD_RUNNING;
    return store_set_thread(&app->store, row->t.id, status,
                            waiting == NULL ? NULL : json_write(app->a, waiting), NULL, err) &&
           store_set_dirty(&app->store, row->t.id, more, err);
}

/* Is there a message after the end? Then a finished thread goes on. */
static bool goes_on(const struct thread *t)
{
    for (size_t i = t->n_events; i-- > 0;) {
        if (event_is_message(t->events[i].type))
            return true;
        if (t->events[i].type == EVENT_FINISHED || t->events[i].type == EVENT_CANCELLED)
            return false;
    }
    return true;
}

static bool advance(struct app *app, struct thread_row *row, const struct agent *agent,
                    struct err *err)
{
    bool blocked = false;
    size_t rounds = 0;
    for (; rounds < MAX_ROUNDS && !blocked; rounds++) {
        struct effect effects[MAX_EFFECTS];
        if (thread_is_over(row->t.status) && !goes_on(&row->t))
            break;
        row->t.status = THREAD_RUNNING;
        size_t n = agent_next(agent, &row->t, app->now_ms, app->a, effects);
        if (n == 0)
            break;
        for (size_t i = 0; i < n; i++)
            if (!perform(app, row, agent, &effects[i], &blocked, err))
                return false;
        enum thread_status status = row->t.status;
        if (!app_reload(app, row, err))
            return false;
        if (thread_is_over(status))
            row->t.status = status;
    }
    return settle(app, row, agent, blocked, rounds == MAX_ROUNDS, err);
}

/* An outside agent's thread: it waits while a request is open, is done once people have decided,
 * and goes on with the next message or request. */
static bool advance_outside(struct app *app, struct thread_row *row, struct err *err)
{
    struct request_row *open;
    size_t n;
    if (!store_open_requests_of(&app->store, app->a, row->t.id, &open, &n, err))
        return false;
    if (n > 0) {
        struct json *waiting = json_object(app->a);
        json_set_text(app->a, waiting, "kind", "person");
        json_set_text(app->a, waiting, "request", open[n - 1].id);
        return store_set_thread(&app->store, row->t.id,
                                row->t.paused ? THREAD_PAUSED : THREAD_WAITING,
                                json_write(app->a, waiting), NULL, err) &&
               store_set_dirty(&app->store, row->t.id, false, err);
    }
    const struct event *newest = NULL;
    for (size_t i = 0; i < row->t.n_events; i++)
        if (event_is_message(row->t.events[i].type) ||
            row->t.events[i].type == EVENT_REQUEST_DECIDED)
            newest = &row->t.events[i];
    bool over = thread_is_over(row->t.status);
    if (newest != NULL && newest->type == EVENT_REQUEST_DECIDED) {
        if (!over && !thread_finish(app, row, THREAD_DONE,
                                    json_text_or(newest->data, "outcome", "done"), NULL, err))
            return false;
    } else if (newest != NULL && (!over || goes_on(&row->t))) {
        if (!store_set_thread(&app->store, row->t.id,
                              row->t.paused ? THREAD_PAUSED : THREAD_RUNNING, NULL, NULL, err))
            return false;
    }
    return store_set_dirty(&app->store, row->t.id, false, err);
}

bool agent_advance(struct app *app, const char *id, struct err *err)
{
    struct thread_row row;
    if (!app_load(app, id, &row, err))
        return false;
    app_changed(app, id);
    if (row.t.pipeline != NULL)
        return pipeline_advance(app, &row, err);
    const struct agent *agent = row.t.agent == NULL ? NULL : config_agent(app->config, row.t.agent);
    if (agent != NULL)
        return advance(app, &row, agent, err);
    if (row.t.agent != NULL && !thread_is_over(row.t.status))
        return thread_finish(app, &row, THREAD_FAILED, "no_agent",
                             "Its agent is no longer configured.", err) &&
               store_set_dirty(&app->store, id, false, err);
    return row.t.agent == NULL ? advance_outside(app, &row, err)
                               : store_set_dirty(&app->store, id, false, err);
}
