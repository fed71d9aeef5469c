/* See replay.h. An effect is compared by the event that it must give rise to: its type, and the
 * members that its data must have. */
#include "gateway/replay.h"

#include "agents/context.h"
#include "deploybot/pipeline.h"
#include "gateway/base/hash.h"
#include "gateway/base/strbuf.h"
#include "gateway/base/text.h"
#include "gateway/question.h"

#include <string.h>

/* What an effect has to give rise to. */
struct expected {
    enum event_type type;
    const struct json *data; /* members that the event has with these values */
};

enum { MAX_EXPECTED = 2 * MAX_EFFECTS };

struct run {
    struct arena *a;
    const struct config *config;
    const struct agent *agent;       /* NULL: not an agent's, or no longer configured */
    const struct pipeline *pipeline; /* … a run's … */
    struct thread before;            /* the thread as far as it is replayed */
    struct replay *out;
    size_t room;
    char digest[2 * SHA256_SIZE + 1];
    struct expected expected[MAX_EXPECTED]; /* what may follow `before` */
    size_t n_expected;
};

static void say(struct run *r, const struct event *e, enum replay_verdict verdict,
                const char *sentence)
{
    struct replay *out = r->out;
    if (out->count == r->room) {
        r->room = r->room == 0 ? 32 : r->room * 2;
        struct replay_line *grown = ARENA_ARRAY(r->a, struct replay_line, r->room);
        if (out->count > 0)
            memcpy(grown, out->lines, out->count * sizeof *grown);
        out->lines = grown;
    }
    out->lines[out->count++] = (struct replay_line){e->seq, e->type, verdict, sentence};
    out->different += verdict == REPLAY_DIFFERENT;
    out->unknown += verdict == REPLAY_UNKNOWN;
}

/* ---- what has to follow ------------------------------------------------------------------ */

static struct json *expect(struct run *r, enum event_type type)
{
    struct json *data = json_object(r->a);
    if (r->n_expected < MAX_EXPECTED)
        r->expected[r->n_expected++] = (struct expected){type, data};
    return data;
}

static void expect_appended(struct run *r, enum event_type type, const struct json *data)
{
    struct json *all = expect(r, type);
    JSON_EACH(member, data)
    {
        json_set(r->a, all, member->key, member);
    }
}

static void expect_question(struct run *r, const struct json *data, int64_t call, const char *about)
{
    struct json *raised = expect(r, EVENT_REQUEST_RAISED);
    json_set(r->a, raised, "question", json_get(data, "question"));
    if (call > 0)
        json_set_int(r->a, raised, "call", call);
    if (about != NULL)
        json_set_text(r->a, raised, "about", about);
}

static void expect_finish(struct run *r, enum thread_status status, const char *outcome,
                          const char *text)
{
    struct json *data = expect(r, EVENT_FINISHED);
    json_set_text(r->a, data, "status", thread_status_name(status));
    json_set_text(r->a, data, "outcome", outcome);
    json_set_text(r->a, data, "message", text == NULL ? "" : text);
}

/* It starts, or it is refused at the door (a lock, a value that no command gets). */
static void expect_tool(struct run *r, const struct effect *e)
{
    static const enum event_type types[] = {EVENT_TOOL_STARTED, EVENT_TOOL_FINISHED};
    for (size_t i = 0; i < COUNT(types); i++) {
        struct json *data = expect(r, types[i]);
        json_set_int(r->a, data, "call", e->call);
        json_set_text(r->a, data, "tool", e->tool->name);
        if (types[i] == EVENT_TOOL_FINISHED)
            json_set_bool(r->a, data, "not_started", true);
        else if (e->request != NULL)
            json_set_text(r->a, data, "request", e->request);
    }
}

static void expect_effect(struct run *r, const struct effect *e)
{
    struct json *data;
    switch (e->kind) {
    case EFFECT_ASK_MODEL:
        expect(r, EVENT_MODEL_ASKED);
        return;
    case EFFECT_APPEND:
        expect_appended(r, e->type, e->data);
        return;
    case EFFECT_LOOK_UP:
        data = expect(r, EVENT_NOTE);
        json_set_text(r->a, data, "looking_up", e->key);
        json_set_int(r->a, data, "call", e->call);
        return;
    case EFFECT_RUN_TOOL:
        expect_tool(r, e);
        return;
    case EFFECT_RAISE_APPROVAL:
        data = expect(r, EVENT_REQUEST_RAISED);
        json_set_int(r->a, data, "call", e->call);
        json_set_text(r->a, data, "tool", e->tool->name);
        json_set(r->a, data, "arguments", e->data);
        return;
    case EFFECT_RAISE_QUESTION:
        expect_question(r, e->data, e->call, e->about);
        return;
    case EFFECT_CANCEL_REQUEST:
        data = expect(r, EVENT_REQUEST_DECIDED);
        json_set_text(r->a, data, "request", e->request);
        json_set_text(r->a, data, "outcome", "cancelled");
        json_set_text(r->a, data, "comment", e->text);
        return;
    case EFFECT_SEND:
        return; /* a delivery: it is in the log once it was sent */
    case EFFECT_SET_TIMER:
        json_set_int(r->a, expect(r, EVENT_TIMER_SET), "call", e->call);
        return;
    case EFFECT_HAND_OVER:
        json_set_text(r->a, expect(r, EVENT_CHILD_STARTED), "agent", e->agent);
        return;
    case EFFECT_FINISH:
        expect_finish(r, e->status, e->outcome, e->text);
        return;
    }
    UNREACHABLE();
}

static void expect_stage(struct run *r, const struct run_effect *e)
{
    struct json *started = expect(r, EVENT_STAGE_STARTED);
    struct json *refused = expect(r, EVENT_STAGE_FINISHED);
    json_set_text(r->a, started, "stage", e->stage->name);
    json_set_int(r->a, started, "attempt", e->attempt);
    json_set_text(r->a, refused, "stage", e->stage->name);
    json_set_int(r->a, refused, "attempt", e->attempt);
}

static void expect_run_effect(struct run *r, const struct run_effect *e)
{
    struct json *data;
    switch (e->kind) {
    case RUN_TAKE:
        json_set_text(r->a, expect(r, EVENT_ENVIRONMENT_TAKEN), "environment", e->environment);
        return;
    case RUN_LEAVE:
        json_set_text(r->a, expect(r, EVENT_ENVIRONMENT_LEFT), "environment", e->environment);
        return;
    case RUN_STAGE:
        expect_stage(r, e);
        return;
    case RUN_CHILD:
        data = expect(r, EVENT_CHILD_STARTED);
        json_set_text(r->a, data, "stage", e->stage->name);
        json_set_text(r->a, data, "agent", e->agent);
        json_set_text(r->a, data, "why", e->text);
        return;
    case RUN_APPEND:
        expect_appended(r, e->type, e->data);
        return;
    case RUN_ASK:
        expect_question(r, e->data, 0, e->about);
        return;
    case RUN_FINISH:
        expect_finish(r, e->status, e->outcome, e->text);
        return;
    }
    UNREACHABLE();
}

/* ---- judging one event ------------------------------------------------------------------- */

static const char *member_text(const struct event *e, const char *key)
{
    return json_text_or(e->data, key, "");
}

/* Is this event what we did ourselves, rather than what came back or what somebody said? */
static bool is_effect(const struct run *r, const struct event *e)
{
    bool is_run = r->pipeline != NULL;
    switch (e->type) {
    case EVENT_MODEL_ASKED:
    case EVENT_TOOL_STARTED:
    case EVENT_TIMER_SET:
    case EVENT_LIMIT_REACHED:
    case EVENT_LIMIT_RAISED:
    case EVENT_ENVIRONMENT_TAKEN:
    case EVENT_ENVIRONMENT_LEFT:
    case EVENT_STAGE_STARTED:
        return true;
    case EVENT_STEP_REFUSED:
        return strcmp(e->actor, "system") == 0;
    case EVENT_TOOL_FINISHED:
        return json_is_true(json_get(e->data, "not_started"));
    case EVENT_NOTE:
        return json_get(e->data, "looking_up") != NULL;
    case EVENT_REQUEST_RAISED: /* others may ask on this thread too */
        return json_get(e->data, "about") != NULL || json_get(e->data, "call") != NULL;
    case EVENT_VOTE_REFUSED: /* a change that was checked and not taken */
        return json_get(e->data, "edit") != NULL;
    case EVENT_REQUEST_DECIDED:
        return text_starts(e->actor, "agent:");
    case EVENT_FINISHED: /* its agent or pipeline was taken out of the configuration meanwhile */
        return !text_starts(member_text(e, "outcome"), "no_");
    case EVENT_STAGE_FINISHED: /* a command's end names its commit, a dry run what it would run */
        return json_get(e->data, "sha") == NULL && json_get(e->data, "argv") == NULL;
    case EVENT_CHILD_STARTED: /* an agent that hands over starts its successor in our name */
        return !is_run || r->n_expected > 0;
    case EVENT_SLACK_MESSAGE:
    case EVENT_EMAIL_MESSAGE:
    case EVENT_SMS_MESSAGE:
    case EVENT_WEB_MESSAGE:
    case EVENT_API_MESSAGE:
    case EVENT_WEBHOOK_RECEIVED:
    case EVENT_SCHEDULE_FIRED:
    case EVENT_GITHUB_PULL_REQUEST:
    case EVENT_STEP:
    case EVENT_HANDED_OVER:
    case EVENT_CHILD_FINISHED:
    case EVENT_TIMER_FIRED:
    case EVENT_MODEL_ANSWERED:
    case EVENT_DELIVERY_SENT:
    case EVENT_DELIVERY_FAILED:
    case EVENT_VOTE:
    case EVENT_REQUEST_REMINDED:
    case EVENT_REQUEST_ESCALATED:
    case EVENT_PAUSED:
    case EVENT_RESUMED:
    case EVENT_CANCELLED:
        return false;
    }
    UNREACHABLE();
}

static bool has_members(const struct event *e, const struct expected *x)
{
    if (e->type != x->type)
        return false;
    JSON_EACH(member, x->data)
    {
        if (!json_equal(json_get(e->data, member->key), member))
            return false;
    }
    return true;
}

static void judge_effect(struct run *r, const struct event *e)
{
    struct strbuf wanted;
    strbuf_init(&wanted, r->a, 4096);
    for (size_t i = 0; i < r->n_expected; i++) {
        if (has_members(e, &r->expected[i])) {
            if (e->type != EVENT_MODEL_ASKED)
                say(r, e, REPLAY_SAME, "it follows from the events before it");
            return;
        }
        strbuf_addf(&wanted, "%s%s %s", i == 0 ? "" : ", ", event_type_name(r->expected[i].type),
                    text_truncate(r->a, json_write(r->a, r->expected[i].data), 300));
    }
    say(r, e, REPLAY_DIFFERENT,
        arena_printf(r->a, "it does not follow from the events before it; what does: %s",
                     wanted.len == 0 ? "nothing" : wanted.text));
}

/* The strongest of all: what the model was asked in the live run, byte for byte, by its hashes. */
static void judge_question(struct run *r, const struct event *e)
{
    static const char *const parts[][2] = {
        {"prompt_hash", "prompt"}, {"tools_hash", "tools"}, {"context_hash", "context"}};
    struct llm_question q;
    struct err err = ERR_INIT;
    struct strbuf differ;
    strbuf_init(&differ, r->a, 200);
    if (!question_make(r->a, r->config, &r->before, r->agent, &q, &err)) {
        say(r, e, REPLAY_UNKNOWN, arena_strdup(r->a, err.text));
        return;
    }
    const struct json *now = question_hashes(r->a, &q);
    for (size_t i = 0; i < COUNT(parts); i++)
        if (!text_eq(json_text_at(now, parts[i][0]), json_text_at(e->data, parts[i][0])))
            strbuf_addf(&differ, "%s%s", differ.len == 0 ? "" : " and ", parts[i][1]);
    if (json_int_or(json_get(e->data, "upto"), -1) != agent_newest(&r->before))
        strbuf_addf(&differ, "%sthe newest event", differ.len == 0 ? "" : " and ");
    if (differ.len == 0)
        say(r, e, REPLAY_SAME, "the same prompt, tools and context");
    else
        say(r, e, REPLAY_DIFFERENT,
            arena_printf(r->a, "not the same %s as then%s", differ.text,
                         strstr(differ.text, "context") == NULL
                             ? ": the prompt's file or the configuration was changed since"
                             : ""));
}

/* A playbook says the same again. */
static void judge_playbook(struct run *r, const struct event *e)
{
    if (r->agent->playbook == NULL)
        say(r, e, REPLAY_UNKNOWN, "this agent has no playbook any more");
    else if (text_eq(json_write(r->a, playbook_step(r->a, r->agent->playbook, &r->before)),
                     json_text_at(e->data, "text")))
        say(r, e, REPLAY_SAME, "the playbook says the same");
    else
        say(r, e, REPLAY_DIFFERENT, "the playbook does not say the same");
}

/* What a model said is read again: the same step, or the same refusal, must be the next event. */
static void judge_answer(struct run *r, const struct event *e, const struct event *next)
{
    struct json *data = NULL;
    const char *text = json_text_at(e->data, "text");
    if (json_is_true(json_get(e->data, "failed")) || json_is_true(json_get(e->data, "stale")))
        return;
    if (text_eq(json_text_at(e->data, "model"), "playbook"))
        judge_playbook(r, e);
    if (text == NULL || json_get(e->data, "text_bytes") != NULL) {
        say(r, e, REPLAY_UNKNOWN, "the answer was too long to be kept whole");
        return;
    }
    enum event_type type =
        agent_read_answer(r->agent, text, json_is_true(json_get(e->data, "cut")), r->a, &data);
    bool same = next != NULL && next->type == type && json_equal(next->data, data);
    say(r, next == NULL ? e : next, same ? REPLAY_SAME : REPLAY_DIFFERENT,
        same ? "the answer is read as the same step"
             : arena_printf(r->a, "the answer is read as %s %s", event_type_name(type),
                            text_truncate(r->a, json_write(r->a, data), 300)));
}

/* ---- the walk ---------------------------------------------------------------------------- */

static void mix(struct run *r, const char *kind, const char *text)
{
    char *all = arena_printf(r->a, "%s\n%s\n%s", r->digest, kind, text);
    memcpy(r->digest, sha256_hex(r->a, span_of(all)), sizeof r->digest);
}

/* Everything that is pure, on the thread as it was before the next event. */
static void step(struct run *r, int64_t now_ms)
{
    struct effect effects[MAX_EFFECTS];
    struct run_effect run_effects[MAX_EFFECTS];
    const struct json *waiting = NULL;
    r->n_expected = 0;
    if (r->agent != NULL) {
        size_t n = agent_next(r->agent, &r->before, now_ms, r->a, effects);
        for (size_t i = 0; i < n; i++)
            expect_effect(r, &effects[i]);
        waiting = agent_waiting_for(r->agent, &r->before, r->a);
    } else if (r->pipeline != NULL) {
        size_t n = pipeline_next(r->pipeline, &r->before, r->a, run_effects);
        for (size_t i = 0; i < n; i++)
            expect_run_effect(r, &run_effects[i]);
        waiting = pipeline_waiting_for(r->pipeline, &r->before, r->a);
        mix(r, "status", pipeline_status_text(r->pipeline, &r->before, 1, r->a));
    }
    for (size_t i = 0; i < r->n_expected; i++)
        mix(r, event_type_name(r->expected[i].type), json_canonical(r->a, r->expected[i].data));
    mix(r, "waiting", json_canonical(r->a, waiting));
}

static void judge(struct run *r, const struct event *e, const struct event *next)
{
    if (r->agent == NULL && r->pipeline == NULL)
        return;
    if (is_effect(r, e))
        judge_effect(r, e);
    if (r->agent != NULL && e->type == EVENT_MODEL_ASKED)
        judge_question(r, e);
    if (r->agent != NULL && e->type == EVENT_MODEL_ANSWERED)
        judge_answer(r, e, next);
}

static void walk(struct run *r, struct event *events, size_t n)
{
    for (size_t i = 0; i <= n; i++) {
        const struct event *e = i < n ? &events[i] : NULL;
        r->before.n_events = i;
        step(r, e != NULL ? e->at_ms : n > 0 ? events[n - 1].at_ms : 0);
        /* Nothing else changes what a model would read. */
        if (i > 0 && (i == n || event_is_for_agent(events[i - 1].type)))
            mix(r, "context",
                context_render(r->a, &r->before, &r->config->people, r->agent == NULL));
        if (e != NULL)
            judge(r, e, i + 1 < n ? &events[i + 1] : NULL);
    }
}

bool replay_thread(struct arena *a, const struct config *config, struct store *s, const char *id,
                   struct replay *out, struct err *err)
{
    struct thread_row row;
    struct event *events;
    size_t n;
    if (!store_get_thread(s, a, id, &row, err) ||
        !store_load_events(s, a, id, 0, 0, &events, &n, err))
        return false;
    const char *agent = row.t.agent, *pipeline = row.t.pipeline;
    *out = (struct replay){
        .thread = row.t.id, .what = agent != NULL ? agent : pipeline, .events = (int64_t)n};
    struct run r = {.a = a,
                    .config = config,
                    .agent = agent == NULL ? NULL : config_agent(config, agent),
                    .pipeline = pipeline == NULL ? NULL : config_pipeline(config, pipeline),
                    .before = row.t,
                    .out = out};
    r.before.events = events;
    r.before.paused = false; /* while it was, nothing of ours happened */
    walk(&r, events, n);
    if (out->what != NULL && r.agent == NULL && r.pipeline == NULL && n > 0)
        say(&r, &events[0], REPLAY_UNKNOWN,
            arena_printf(a, "%s is no longer configured", out->what));
    out->digest = arena_strdup(a, r.digest);
    return true;
}
