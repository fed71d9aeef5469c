/* agent_next(): see agent.h. The events are folded into a situation (situation.h), then one visible
 * switch over the intent of the current step says what follows from it. */
#include "agents/agent.h"

#include "agents/intents.h"
#include "agents/json_schema.h"
#include "agents/reply.h"
#include "agents/situation.h"
#include "gateway/base/text.h"

#include <string.h>

/* ---- effects ----------------------------------------------------------------------------- */

static struct effect *add(struct situation *s, enum effect_kind kind)
{
    if (s->count == MAX_EFFECTS)
        abort(); /* no step has more than three, and prefetch counts itself */
    struct effect *e = &s->out[s->count++];
    *e = (struct effect){.kind = kind};
    return e;
}

static void refuse_step(struct situation *s, const struct event *step, const char *sentence)
{
    struct effect *e = add(s, EFFECT_APPEND);
    e->type = EVENT_STEP_REFUSED;
    struct json *data = json_object(s->a);
    json_set_int(s->a, data, "call", step->seq);
    json_set_text(s->a, data, "error", sentence);
    e->data = data;
}

static void finish(struct situation *s, enum thread_status status, const char *outcome,
                   const char *text)
{
    struct effect *e = add(s, EFFECT_FINISH);
    e->status = status;
    e->outcome = outcome;
    e->text = text;
}

static void ask_human(struct situation *s, const char *about, const char *question,
                      const char *context, const char *format)
{
    struct effect *e = add(s, EFFECT_RAISE_QUESTION);
    e->about = about;
    struct json *data = json_object(s->a);
    json_set_text(s->a, data, "question", question);
    if (context != NULL)
        json_set_text(s->a, data, "context", context);
    struct json *options = json_set(s->a, data, "options", json_object(s->a));
    json_set_text(s->a, options, "urgency", "high");
    json_set_text(s->a, options, "format", format);
    e->data = data;
}

/* An older step's request that a newer step makes void. */
static void cancel_older(struct situation *s)
{
    if (s->open == NULL || event_is_of(s->open, s->step))
        return;
    struct effect *e = add(s, EFFECT_CANCEL_REQUEST);
    e->request = json_text_at(s->open->data, "request");
    const char *intent = json_text_or(s->step->data, "intent", "another step");
    bool asks = text_eq(intent, "request_human_input");
    bool ends = text_eq(intent, "done_for_now") || text_eq(intent, "nothing_to_do");
    e->text = arena_printf(s->a, "%s now %s%s", s->agent->name,
                           asks   ? "asks a question"
                           : ends ? "ends its work"
                                  : "proposes ",
                           asks || ends ? "" : intent);
}

/* ---- limits, checked before each model call ---------------------------------------------- */

/* A person may have granted the same allowance again. */
static int64_t allowance(const struct situation *s, const char *limit)
{
    int64_t times = 1;
    for (size_t i = 0; i < s->thread->n_events; i++) {
        const struct event *e = &s->thread->events[i];
        if (e->type == EVENT_LIMIT_RAISED && text_eq(json_text_at(e->data, "limit"), limit))
            times++;
    }
    return times;
}

/* A person who lets an old thread go on gives it its whole age again from then. */
static int64_t age_ms(const struct situation *s)
{
    int64_t since_ms = s->thread->created_at_ms;
    for (size_t i = 0; i < s->thread->n_events; i++) {
        const struct event *e = &s->thread->events[i];
        if (e->type == EVENT_LIMIT_RAISED && text_eq(json_text_at(e->data, "limit"), "max_age"))
            since_ms = e->at_ms;
    }
    return s->now_ms - since_ms;
}

static const char *limit_that_is_reached(const struct situation *s, int64_t *used, int64_t *allowed)
{
    const struct limits *l = &s->agent->limits;
    const struct {
        const char *name;
        int64_t used, most; /* 0: no limit */
    } rows[] = {
        {"steps", s->steps, l->steps * allowance(s, "steps")},
        {"tokens", s->tokens, l->tokens * allowance(s, "tokens")},
        {"seconds", s->model_ms / 1000, l->seconds * allowance(s, "seconds")},
        {"cost", (int64_t)(s->cost * 1e6), (int64_t)(l->cost * 1e6) * allowance(s, "cost")},
        {"max_age", age_ms(s), l->max_age_ms},
    };
    for (size_t i = 0; i < COUNT(rows); i++)
        if (rows[i].most > 0 && rows[i].used >= rows[i].most) {
            *used = rows[i].used;
            *allowed = rows[i].most;
            return rows[i].name;
        }
    return NULL;
}

static void stop_at_limit(struct situation *s, const char *limit, int64_t used, int64_t allowed)
{
    struct effect *e = add(s, EFFECT_APPEND);
    e->type = EVENT_LIMIT_REACHED;
    struct json *data = json_object(s->a);
    json_set_text(s->a, data, "limit", limit);
    json_set_int(s->a, data, "used", used);
    json_set_int(s->a, data, "allowed", allowed);
    e->data = data;
    ask_human(
        s, arena_printf(s->a, "limit:%s", limit),
        arena_printf(s->a,
                     "%s has reached its limit of %s (%lld of %lld). May it go on with the same "
                     "allowance again?",
                     s->agent->name, limit, (long long)used, (long long)allowed),
        NULL, "yes_no");
}

static void ask_model(struct situation *s)
{
    int64_t used, allowed;
    const char *limit = limit_that_is_reached(s, &used, &allowed);
    int64_t identical = s->step_failed ? situation_identical_failures(s) : 0;
    int64_t errors = s->errors > identical ? s->errors : identical;
    bool failed_too_often = s->agent->limits.errors > 0 && errors >= s->agent->limits.errors;
    /* People have a request of ours before them already: ours about itself waits its turn. */
    if ((limit != NULL || failed_too_often) && s->open != NULL)
        return;
    if (limit != NULL)
        stop_at_limit(s, limit, used, allowed);
    else if (failed_too_often)
        ask_human(s, "errors",
                  arena_printf(s->a, "%s failed %lld times in a row. What should it do?",
                               s->agent->name, (long long)errors),
                  s->last_error, "free_text");
    else
        add(s, EFFECT_ASK_MODEL);
}

/* What people said to a question of our own (not the model's). True when that settles this round.
 */
static bool follow_answer(struct situation *s)
{
    if (s->about == NULL)
        return false;
    const char *about = json_text_or(s->about->data, "about", "");
    bool answered = event_ended(s->about, "answered");
    bool yes = answered && text_eq(json_text_at(s->about->data, "answer"), "yes");
    if (text_starts(about, "limit:")) {
        if (!yes) {
            finish(s, THREAD_FAILED, about, "It reached its limit and nobody let it go on.");
            return true;
        }
        struct effect *e = add(s, EFFECT_APPEND);
        e->type = EVENT_LIMIT_RAISED;
        struct json *data = json_object(s->a);
        json_set_text(s->a, data, "limit", about + strlen("limit:"));
        e->data = data;
        return true;
    }
    if (text_eq(about, "model") && !yes && s->asked_upto < s->about->seq) {
        finish(s, THREAD_FAILED, "model", "Its model gave no answer and nobody let it try again.");
        return true;
    }
    if (!answered && s->asked_upto < s->about->seq) {
        finish(s, THREAD_FAILED, about, "It needed help and nobody answered.");
        return true;
    }
    return false;
}

/* ---- the switch over intents ------------------------------------------------------------- */

/* The newest note about a fact that this event (a step, a person's change) needs: *looking says
 * that it was asked for. */
static const struct json *fact(const struct situation *s, const struct event *of, const char *key,
                               bool *looking)
{
    const struct json *found = NULL;
    *looking = false;
    for (size_t i = 0; i < s->thread->n_events; i++) {
        const struct event *e = &s->thread->events[i];
        if (e->type != EVENT_NOTE || !event_is_of(e, of))
            continue;
        if (text_eq(json_text_at(e->data, "looking_up"), key))
            *looking = true;
        else if (text_eq(json_text_at(e->data, "fact"), key))
            found = e->data;
    }
    return found;
}

/* The fact, or NULL: it is asked for, or was just asked for. */
static const struct json *need(struct situation *s, const struct event *of, const char *key)
{
    bool looking;
    const struct json *known = fact(s, of, key, &looking);
    s->looking_up = s->looking_up || known == NULL;
    if (known == NULL && !looking) {
        struct effect *e = add(s, EFFECT_LOOK_UP);
        e->key = key;
        e->call = of->seq;
    }
    return known;
}

static struct json *arguments_of(struct situation *s)
{
    struct json *args = json_object(s->a);
    JSON_EACH(member, s->step->data)
    {
        if (strcmp(member->key, "intent") != 0 && strcmp(member->key, "reasoning") != 0)
            json_set(s->a, args, member->key, member);
    }
    return args;
}

/* Does the text name the commit, in full or by at least seven digits? */
static bool names_commit(const char *text, const char *sha)
{
    char start[8] = "";
    memcpy(start, sha, 7);
    for (const char *at = strstr(text, start); at != NULL; at = strstr(at + 1, start)) {
        size_t len = strspn(at, "0123456789abcdef");
        if (len <= strlen(sha) && strncmp(at, sha, len) == 0)
            return true;
    }
    return false;
}

/* Does anything in the thread name this commit but what the agent itself said? */
static bool is_named_in_thread(const struct situation *s, const char *sha)
{
    for (size_t i = 0; i < s->thread->n_events; i++) {
        const struct event *e = &s->thread->events[i];
        const struct json *data = e->data;
        if (!event_is_for_agent(e->type) || e->type == EVENT_STEP || e->type == EVENT_STEP_REFUSED)
            continue;
        if (e->type == EVENT_REQUEST_DECIDED) /* it repeats our arguments */
            data = json_without(s->a, data, "arguments");
        if (names_commit(json_write(s->a, data), sha))
            return true;
    }
    return false;
}

/* A call on its way to people: whose it is, what is known about it, and why it is refused. */
struct proposal {
    const struct event *of; /* the step, or the vote that changed it */
    const struct tool *tool;
    struct json *args, *facts;
    const char *sha;     /* "" where the tool has no ref */
    const char *refusal; /* NULL: none */
    const char *field;   /* the argument that the refusal is about, or NULL */
};

static bool refuse_proposal(struct proposal *p, const char *field, const char *sentence)
{
    p->refusal = sentence;
    p->field = field;
    return false;
}

/* The ref argument becomes 40 hex digits, then every pattern is checked. False: not yet, or
 * refused. */
static bool resolve(struct situation *s, struct proposal *p)
{
    const char *ref = p->tool->target.ref,
               *given = ref == NULL ? NULL : json_text(json_get(p->args, ref));
    struct err err = ERR_INIT;
    p->sha = "";
    if (given != NULL) {
        const struct json *resolved = need(s, p->of, arena_printf(s->a, "git.resolve:%s", given));
        if (resolved == NULL)
            return false;
        p->sha = json_text_at(resolved, "value.sha");
        if (p->sha == NULL)
            return refuse_proposal(
                p, ref,
                arena_printf(s->a, "%s: %s", ref,
                             json_text_or(resolved, "error", "it names no commit")));
        json_set_text(s->a, p->args, ref, p->sha);
        json_set_text(s->a, p->facts, "given", given);
        json_set(s->a, p->facts, "commit", json_get(resolved, "value"));
    }
    return json_schema_validate(tool_schema(s->a, p->tool, false), p->args, p->tool->name, &err) ||
           refuse_proposal(p, NULL, arena_strdup(s->a, err.text));
}

/* What the card says about the place: what runs there, what changes. False: not yet, or refused. */
static bool look_at_place(struct situation *s, struct proposal *p)
{
    const struct tool *tool = p->tool;
    if (tool->target.environment == NULL)
        return true;
    const char *component = tool->target.component == NULL ? "all" : tool->target.component;
    const struct json *place = need(
        s, p->of,
        arena_printf(s->a, "deploy.place:%s/%s/%s", tool->target.environment, component, p->sha));
    if (place == NULL)
        return false;
    const char *refusal = json_text_at(place, "value.refused");
    if (refusal != NULL && !tool->target.rollback)
        return refuse_proposal(p, tool->target.ref, refusal);
    json_set(s->a, p->facts, "place", json_get(place, "value"));
    const char *current = json_text_at(place, "value.current");
    if (current == NULL || *p->sha == '\0' || strcmp(current, p->sha) == 0)
        return true;
    const struct json *compare =
        need(s, p->of, arena_printf(s->a, "git.compare:%s...%s", current, p->sha));
    if (compare == NULL)
        return false;
    if (json_get(compare, "value") != NULL)
        json_set(s->a, p->facts, "compare", json_get(compare, "value"));
    return true;
}

static bool has_started(const struct situation *s)
{
    for (size_t i = 0; i < s->thread->n_events; i++)
        if (s->thread->events[i].type == EVENT_TOOL_STARTED &&
            event_is_of(&s->thread->events[i], s->step))
            return true;
    return false;
}

static void run_tool(struct situation *s, const struct tool *tool, const struct json *args,
                     const char *request)
{
    struct effect *e = add(s, EFFECT_RUN_TOOL);
    e->tool = tool;
    e->data = args;
    e->call = s->step->seq;
    e->request = request;
}

static void refuse_call(struct situation *s, const struct tool *tool, const char *sentence)
{
    struct effect *e = add(s, EFFECT_APPEND);
    e->type = EVENT_TOOL_FINISHED;
    struct json *data = json_object(s->a);
    json_set_int(s->a, data, "call", s->step->seq);
    json_set_text(s->a, data, "tool", tool->name);
    json_set_text(s->a, data, "outcome", "refused");
    json_set_bool(s->a, data, "not_started", true);
    json_set_text(s->a, json_set(s->a, data, "result", json_object(s->a)), "error", sentence);
    e->data = data;
}

/* A branch or a tag may have moved since it was approved: then it does not run. */
static bool still_names_it(struct situation *s, const struct tool *tool)
{
    const struct json *raised = NULL;
    for (size_t i = 0; i < s->thread->n_events; i++)
        if (s->thread->events[i].type == EVENT_REQUEST_RAISED &&
            event_is_of(&s->thread->events[i], s->step))
            raised = s->thread->events[i].data;
    const char *given = json_text_at(raised, "facts.given");
    const char *sha = tool->target.ref == NULL
                          ? NULL
                          : json_text(json_get(json_get(raised, "arguments"), tool->target.ref));
    if (given == NULL || sha == NULL || text_starts(sha, given))
        return true;
    const struct json *now = need(s, s->step, arena_printf(s->a, "git.again:%s", given));
    if (now == NULL)
        return false;
    if (text_eq(json_text_at(now, "value.sha"), sha))
        return true;
    refuse_call(s, tool,
                arena_printf(s->a, "%s no longer names the approved commit %.7s, so it did not run",
                             given, sha));
    return false;
}

static struct json *edited_arguments(struct situation *s, const struct event *edit)
{
    struct json *args = json_object(s->a);
    JSON_EACH(member, json_get(edit->data, "arguments"))
    {
        json_set(s->a, args, member->key, member);
    }
    return args;
}

static struct effect *raise_approval(struct situation *s, const struct proposal *p)
{
    struct effect *e = add(s, EFFECT_RAISE_APPROVAL);
    e->tool = p->tool;
    e->call = s->step->seq;
    e->data = p->args;
    e->facts = p->facts;
    return e;
}

/* A tool that acts: resolve, ask, and only once approved: run. */
static void act_write(struct situation *s, const struct tool *tool)
{
    if (has_started(s))
        return;
    if (s->decided != NULL) {
        if (event_ended(s->decided, "approved") && still_names_it(s, tool))
            run_tool(s, tool, NULL, json_text_at(s->decided->data, "request"));
        return;
    }
    if (s->open != NULL && event_is_of(s->open, s->step))
        return;
    if (tool->run.kind != RUN_COMMAND) { /* nobody is asked for what cannot run */
        refuse_step(
            s, s->step,
            arena_printf(s->a, "%s cannot run in this version: choose another step", tool->name));
        return;
    }
    struct proposal p = {
        .of = s->step, .tool = tool, .args = arguments_of(s), .facts = json_object(s->a)};
    if (s->edited != NULL) { /* only between the old version's end and the new one's beginning */
        p.of = s->edited;
        p.args = edited_arguments(s, s->edited);
    }
    if (!resolve(s, &p) || !look_at_place(s, &p)) {
        if (p.refusal != NULL)
            refuse_step(s, s->step, p.refusal);
        return;
    }
    if (*p.sha != '\0' && s->edited == NULL)
        json_set_bool(s->a, p.facts, "named", is_named_in_thread(s, p.sha));
    if (text_eq(tool->needs, "nobody")) {
        run_tool(s, tool, p.args, NULL);
        return;
    }
    raise_approval(s, &p);
}

/* A ref is resolved for a reading tool too: the model may give any, the pattern is checked after.
 */
static void act_read(struct situation *s, const struct tool *tool)
{
    struct proposal p = {
        .of = s->step, .tool = tool, .args = arguments_of(s), .facts = json_object(s->a)};
    if (has_started(s))
        return;
    if (tool->target.ref != NULL && !resolve(s, &p)) {
        if (p.refusal != NULL)
            refuse_step(s, s->step, p.refusal);
        return;
    }
    run_tool(s, tool, p.args, NULL);
}

static void refuse_edit(struct situation *s, const struct proposal *p)
{
    struct effect *e = add(s, EFFECT_APPEND);
    struct json *data = json_object(s->a);
    e->type = EVENT_VOTE_REFUSED;
    json_set(s->a, data, "request", json_get(s->edit->data, "request"));
    json_set_text(s->a, data, "decision", "edit");
    json_set_int(s->a, data, "edit", s->edit->seq);
    json_set_text(s->a, data, "why", p->refusal);
    if (p->field != NULL)
        json_set_text(s->a, data, "field", p->field);
    e->data = data;
}

/* A person changed the arguments of the open request. They are resolved and checked as the model's
 * are; then the old version ends and a new one is asked about. */
static void act_edit(struct situation *s)
{
    struct proposal p = {
        .of = s->edit, .args = edited_arguments(s, s->edit), .facts = json_object(s->a)};
    bool is_tool = s->step != NULL && intent_of(s->agent, s->step->data, &p.tool) == INTENT_TOOL;
    if (!is_tool || p.tool == NULL) {
        p.refusal = "this tool is no longer configured";
    } else if (resolve(s, &p) && look_at_place(s, &p)) {
        struct effect *e = raise_approval(s, &p);
        e->request = json_text_at(s->edit->data, "request");
        e->edit = s->edit->seq;
    }
    if (p.refusal != NULL)
        refuse_edit(s, &p);
}

static void act_question(struct situation *s)
{
    if (s->open != NULL && event_is_of(s->open, s->step))
        return;
    if (question_fault(s->step->data) != NULL) {
        refuse_step(s, s->step, question_fault(s->step->data));
        return;
    }
    struct effect *e = add(s, EFFECT_RAISE_QUESTION);
    e->call = s->step->seq;
    e->data = arguments_of(s);
}

static const struct event *timer_of(const struct situation *s)
{
    for (size_t i = s->thread->n_events; i-- > 0;)
        if (s->thread->events[i].type == EVENT_TIMER_SET &&
            event_is_of(&s->thread->events[i], s->step))
            return &s->thread->events[i];
    return NULL;
}

/* What follows from the current step while its result is not there. One case an intent. */
static void act(struct situation *s)
{
    const struct json *step = s->step->data;
    const struct tool *tool = NULL;
    cancel_older(s);
    switch (intent_of(s->agent, step, &tool)) {
    case INTENT_REQUEST_HUMAN_INPUT:
        act_question(s);
        return;
    case INTENT_AWAIT:
        if (timer_of(s) == NULL) {
            struct effect *e = add(s, EFFECT_SET_TIMER);
            e->call = s->step->seq;
            e->seconds = json_int_or(json_get(step, "seconds"), 1);
        }
        return;
    case INTENT_KEEP_WAITING: /* the request stays open: nothing to do */
        return;
    case INTENT_DONE_FOR_NOW:
        add(s, EFFECT_SEND)->text = json_text_or(step, "message", "");
        finish(s, THREAD_DONE, "done", json_text_or(step, "message", ""));
        return;
    case INTENT_NOTHING_TO_DO:
        finish(s, THREAD_DONE, "nothing_to_do", json_text_or(step, "reason", ""));
        return;
    case INTENT_HAND_OVER: {
        struct effect *e = add(s, EFFECT_HAND_OVER);
        e->agent = json_text_or(step, "agent", "");
        e->text = json_text_or(step, "summary", "");
        e->call = s->step->seq;
        finish(s, THREAD_DONE, "handed_over", e->text);
        return;
    }
    case INTENT_TOOL:
        if (tool == NULL)
            refuse_step(s, s->step, "this tool is no longer configured");
        else if (tool->reads)
            act_read(s, tool);
        else
            act_write(s, tool);
        return;
    }
    UNREACHABLE();
}

/* ---- prefetch ---------------------------------------------------------------------------- */

/* Factor 13: what the agent will want anyway is fetched before its first step. True: still under
 * way. */
static bool prefetch(struct situation *s)
{
    bool under_way = false;
    for (size_t i = 0; i < s->agent->n_prefetch && s->count < MAX_EFFECTS; i++) {
        const char *name = s->agent->prefetch[i];
        bool started = false, ended = false;
        for (size_t k = 0; k < s->thread->n_events; k++) {
            const struct event *e = &s->thread->events[k];
            if (!json_is_true(json_get(e->data, "prefetch")) ||
                !text_eq(json_text_at(e->data, "tool"), name))
                continue;
            started = started || e->type == EVENT_TOOL_STARTED;
            ended = ended || e->type == EVENT_TOOL_FINISHED;
        }
        under_way = under_way || !ended;
        if (started || ended)
            continue;
        struct effect *e = add(s, EFFECT_RUN_TOOL);
        e->data = json_object(s->a);
        for (size_t t = 0; t < s->agent->n_tools; t++)
            if (strcmp(s->agent->tools[t]->name, name) == 0)
                e->tool = s->agent->tools[t];
        if (e->tool == NULL)
            abort(); /* the configuration's check lets none through */
    }
    return under_way;
}

/* An unknown outcome is never repeated: a person looks. */
static bool ask_about_unknown(struct situation *s)
{
    if (s->unknown == NULL || s->open != NULL)
        return false;
    const char *about =
        arena_printf(s->a, "unknown:%lld",
                     (long long)json_int_or(json_get(s->unknown->data, "call"), s->unknown->seq));
    for (size_t i = 0; i < s->thread->n_events; i++)
        if (s->thread->events[i].type == EVENT_REQUEST_RAISED &&
            text_eq(json_text_at(s->thread->events[i].data, "about"), about))
            return false;
    ask_human(
        s, about,
        arena_printf(s->a,
                     "I do not know whether %s ran to its end. Please look, and tell me what you "
                     "found and what I should do.",
                     json_text_or(s->unknown->data, "tool", "the call")),
        json_text_at(s->unknown->data, "result.error"), "free_text");
    return true;
}

size_t agent_next(const struct agent *agent, const struct thread *thread, int64_t now_ms,
                  struct arena *a, struct effect out[MAX_EFFECTS])
{
    struct situation s = situation_of(agent, thread, now_ms, a, out);
    if (thread->paused || (s.finished > 0 && s.newest_message < s.finished))
        return 0;
    if (s.edit != NULL) { /* somebody waits for it before the form */
        act_edit(&s);
        if (s.count > 0)
            return s.count;
    }
    if (prefetch(&s) || s.model_under_way)
        return s.count;
    if (s.open != NULL && json_get(s.open->data, "about") != NULL)
        return 0; /* a question of our own, about a limit or a failure, comes before all else */
    if (follow_answer(&s))
        return s.count;
    if (s.step != NULL && !s.step_settled)
        act(&s);
    /* A fact that is being looked up decides about the step: the model is not asked meanwhile. */
    if (s.count > 0 || s.running > 0 || s.looking_up || ask_about_unknown(&s))
        return s.count;
    if (s.last_step != NULL && s.last_step != s.step && s.open == NULL && !s.last_step_refused &&
        s.newest < s.last_step->seq) {
        refuse_step(&s, s.last_step, "keep_waiting: there is no open request to wait for");
        return s.count;
    }
    if (s.model_failed && s.newest <= s.asked_upto) {
        if (s.open == NULL)
            ask_human(&s, "model",
                      arena_printf(a, "The model of %s cannot be reached. Shall it try again?",
                                   agent->name),
                      s.model_error, "yes_no");
    } else if (s.newest > s.asked_upto) {
        ask_model(&s);
    }
    return s.count;
}

struct json *agent_waiting_for(const struct agent *agent, const struct thread *thread,
                               struct arena *a)
{
    struct effect ignored[MAX_EFFECTS];
    struct situation s = situation_of(agent, thread, 0, a, ignored);
    const struct event *timer = timer_of(&s);
    struct json *w = json_object(a);
    if (s.model_under_way) {
        json_set_text(a, w, "kind", "model");
    } else if (s.open != NULL) {
        json_set_text(a, w, "kind", "person");
        json_set_text(a, w, "request", json_text_at(s.open->data, "request"));
    } else if (s.running > 0 || (s.step != NULL && !s.step_settled && timer == NULL)) {
        json_set_text(a, w, "kind", "tool");
        json_set_text(a, w, "what",
                      s.step == NULL ? "prefetch" : json_text_or(s.step->data, "intent", ""));
    } else if (s.step != NULL && !s.step_settled) {
        json_set_text(a, w, "kind", "timer");
        json_set_text(a, w, "until",
                      time_format(a, json_int_or(json_get(timer->data, "until_ms"), timer->at_ms)));
    } else {
        return NULL;
    }
    return w;
}

enum event_type agent_read_answer(const struct agent *agent, const char *text, bool cut,
                                  struct arena *a, struct json **data)
{
    struct step_intent *intents;
    size_t n = agent_intents(agent, a, &intents);
    struct reply_step step;
    struct err err = ERR_INIT;
    if (reply_to_step(a, text, cut, intents, n, &step, &err)) {
        struct json *copy = json_object(a);
        JSON_EACH(member, step.step)
        {
            json_set(a, copy, member->key, member);
        }
        *data = copy;
        return EVENT_STEP;
    }
    *data = json_object(a);
    json_set_text(a, *data, "error", arena_strdup(a, err.text));
    return EVENT_STEP_REFUSED;
}
