/* See pipeline.h and DESIGN section 8. */
#include "deploybot/pipeline.h"

#include "gateway/base/strbuf.h"
#include "gateway/base/text.h"

#include <string.h>

enum { REPORT_MAX_BYTES = 8000, TAIL_BYTES = 600 };

static const char FAILED_AGAIN[] = "failed_again"; /* what our one question is about */

/* What the events say about one stage. */
struct stage_state {
    const struct event *started, *finished;               /* the newest of each */
    int64_t ended;                                        /* how often it came to an end */
    const struct event *child_started, *child_finished;   /* of the stage's own agent */
    const struct event *helper_started, *helper_finished; /* of on_failure */
};

struct run_state {
    const struct pipeline *pipeline;
    const struct thread *thread;
    struct arena *a;
    struct run_effect *out;
    size_t count;
    struct stage_state *stages;
    const char *held; /* environment */
    bool finished, asked;
    const struct event *open, *answer; /* our one question, when it is open; its decision */
};

static struct stage_state *state_of(struct run_state *s, const char *name)
{
    for (size_t i = 0; i < s->pipeline->n_stages; i++)
        if (text_eq(s->pipeline->stages[i].name, name))
            return &s->stages[i];
    return NULL;
}

static void fold_stage_event(struct run_state *s, const struct event *e)
{
    struct stage_state *st = state_of(s, json_text_at(e->data, "stage"));
    if (st == NULL)
        return; /* a stage that the configuration no longer has */
    bool helper = text_eq(json_text_at(e->data, "why"), "on_failure");
    if (e->type == EVENT_STAGE_STARTED) {
        st->started = e;
        st->finished = NULL;
    } else if (e->type == EVENT_STAGE_FINISHED) {
        st->finished = e;
        st->ended++;
    } else if (e->type == EVENT_CHILD_STARTED && helper) {
        st->helper_started = e;
    } else if (e->type == EVENT_CHILD_STARTED) {
        st->child_started = e;
        st->child_finished = NULL; /* hand_over: the stage waits for the new child */
        st->finished = NULL;
    } else if (e->type == EVENT_CHILD_FINISHED && helper) {
        st->helper_finished = e;
    } else {
        st->child_finished = e;
    }
}

static struct run_state fold(const struct pipeline *pipeline, const struct thread *thread,
                             struct arena *a, struct run_effect *out)
{
    struct run_state s = {.pipeline = pipeline, .thread = thread, .a = a, .out = out};
    s.stages = ARENA_ARRAY(a, struct stage_state, pipeline->n_stages);
    for (size_t i = 0; i < thread->n_events; i++) {
        const struct event *e = &thread->events[i];
        if (e->type == EVENT_STAGE_STARTED || e->type == EVENT_STAGE_FINISHED ||
            e->type == EVENT_CHILD_STARTED || e->type == EVENT_CHILD_FINISHED)
            fold_stage_event(&s, e);
        else if (e->type == EVENT_ENVIRONMENT_TAKEN)
            s.held = json_text_at(e->data, "environment");
        else if (e->type == EVENT_ENVIRONMENT_LEFT)
            s.held = NULL;
        else if (e->type == EVENT_FINISHED || e->type == EVENT_CANCELLED)
            s.finished = true;
        else if (!text_eq(json_text_at(e->data, "about"), FAILED_AGAIN))
            continue; /* somebody else's request on this thread */
        else if (e->type == EVENT_REQUEST_RAISED) {
            s.asked = true;
            s.open = e;
        } else if (e->type == EVENT_REQUEST_DECIDED) {
            s.open = NULL;
            s.answer = e;
        }
    }
    return s;
}

static struct run_effect *add(struct run_state *s, enum run_effect_kind kind)
{
    if (s->count == MAX_EFFECTS)
        abort(); /* no round has more than three */
    s->out[s->count] = (struct run_effect){.kind = kind};
    return &s->out[s->count++];
}

/* ---- variables --------------------------------------------------------------------------- */

const char *run_sha(const struct thread *thread)
{
    return thread->n_events > 0 ? json_text_or(thread->events[0].data, "sha", "") : "";
}

const char *run_variable(struct arena *a, const struct thread *thread, int64_t run,
                         const char *name)
{
    static const char *const plain[] = {"sha", "repo", "title", "author", "merged_by", "base"};
    const struct json *data = thread->n_events > 0 ? thread->events[0].data : NULL;
    for (size_t i = 0; i < COUNT(plain); i++)
        if (strcmp(name, plain[i]) == 0)
            return json_text_or(data, name, "");
    if (strcmp(name, "short_sha") == 0)
        return arena_strndup(a, run_sha(thread),
                             strlen(run_sha(thread)) < 7 ? strlen(run_sha(thread)) : 7);
    if (strcmp(name, "number") == 0)
        return arena_printf(a, "%lld", (long long)json_int_or(json_get(data, "number"), 0));
    if (strcmp(name, "run") == 0)
        return arena_printf(a, "%lld", (long long)run);
    return NULL;
}

/* ---- reports ----------------------------------------------------------------------------- */

static const char *outcome_of(const struct event *finished)
{
    return json_text_or(finished == NULL ? NULL : finished->data, "outcome", "");
}

static char *failure_text(struct run_state *s, const struct stage *stage,
                          const struct stage_state *st)
{
    const struct json *d = st->finished->data;
    const char *tail = json_text_or(d, "tail", "");
    size_t len = strlen(tail);
    return arena_printf(
        s->a, "%s %s%s%s%s", stage->name, outcome_of(st->finished),
        json_text_at(d, "ending") == NULL ? "" : ": ", json_text_or(d, "ending", ""),
        *tail == '\0'
            ? ""
            : arena_printf(s->a, "\n%s", len > TAIL_BYTES ? tail + len - TAIL_BYTES : tail));
}

static void finish(struct run_state *s, enum thread_status status, const char *outcome,
                   const char *text)
{
    if (s->held != NULL)
        add(s, RUN_LEAVE)->environment = s->held;
    struct run_effect *e = add(s, RUN_FINISH);
    e->status = status;
    e->outcome = outcome;
    e->text = text;
}

/* ---- stages ------------------------------------------------------------------------------ */

static void stage_is_over(struct run_state *s, const struct stage *stage, const char *outcome,
                          const char *ending)
{
    struct run_effect *e = add(s, RUN_APPEND);
    e->type = EVENT_STAGE_FINISHED;
    struct json *data = json_object(s->a);
    json_set_text(s->a, data, "stage", stage->name);
    json_set_text(s->a, data, "outcome", outcome);
    if (ending != NULL)
        json_set_text(s->a, data, "ending", ending);
    e->data = data;
}

/* An agent stage succeeds when its child is done and, where the stage has an environment, a write
 * tool ended ok there; done without any is skipped. */
static void judge_child(struct run_state *s, const struct stage *stage, const struct event *child)
{
    const char *status = json_text_or(child->data, "status", "");
    const char *message = json_text_at(child->data, "message");
    if (strcmp(status, "done") != 0)
        stage_is_over(s, stage, "failed", arena_printf(s->a, "%s ended %s", stage->agent, status));
    else if (stage->environment != NULL && !json_is_true(json_get(child->data, "acted")))
        stage_is_over(s, stage, "skipped", message);
    else
        stage_is_over(s, stage, "ok", message);
}

static void start_child(struct run_state *s, const struct stage *stage, const char *agent,
                        const char *why, const struct json *facts)
{
    struct run_effect *e = add(s, RUN_CHILD);
    e->stage = stage;
    e->agent = agent;
    e->text = why;
    e->data = facts;
}

/* The failed stage's result is what on_failure's agent begins with. */
static void help_with_failure(struct run_state *s, const struct stage *stage,
                              const struct stage_state *st)
{
    struct json *facts = json_object(s->a);
    json_set_text(s->a, facts, "failed_stage", stage->name);
    json_set_text(s->a, facts, "environment", stage->environment);
    json_set_text(s->a, facts, "outcome", outcome_of(st->finished));
    json_set_text(s->a, facts, "ending", json_text_or(st->finished->data, "ending", ""));
    json_set_text(s->a, facts, "output", json_text_or(st->finished->data, "tail", ""));
    json_set_text(s->a, facts, "sha", run_sha(s->thread));
    start_child(s, stage, stage->on_failure, "on_failure", facts);
}

static void ask_about_second_failure(struct run_state *s, const struct stage *stage,
                                     const struct stage_state *st)
{
    if (s->open != NULL)
        return;
    if (s->asked) {
        const char *words = json_text_or(s->answer == NULL ? NULL : s->answer->data, "answer", "");
        finish(s, THREAD_FAILED, "failed",
               arena_printf(s->a, "%s failed again after %s.%s%s", stage->name, stage->on_failure,
                            *words == '\0' ? "" : " A person said: ", words));
        return;
    }
    struct run_effect *e = add(s, RUN_ASK);
    e->about = FAILED_AGAIN;
    struct json *data = json_object(s->a);
    json_set_text(
        s->a, data, "question",
        arena_printf(s->a,
                     "%s failed again after %s was done. The run ends here. What is to be "
                     "known about it?",
                     stage->name, stage->on_failure));
    json_set_text(s->a, data, "context", failure_text(s, stage, st));
    struct json *options = json_set(s->a, data, "options", json_object(s->a));
    json_set_text(s->a, options, "urgency", "high");
    json_set_text(s->a, options, "format", "free_text");
    e->data = data;
}

/* What one attempt is: a command, or a child of the stage's agent. */
static void run_stage(struct run_state *s, const struct stage *stage, int64_t attempt)
{
    if (stage->agent != NULL) {
        start_child(s, stage, stage->agent, "stage", NULL);
        return;
    }
    struct run_effect *e = add(s, RUN_STAGE);
    e->stage = stage;
    e->attempt = attempt;
}

static void after_failure(struct run_state *s, const struct stage *stage,
                          const struct stage_state *st)
{
    if (stage->on_failure == NULL) {
        finish(s, THREAD_FAILED, "failed", failure_text(s, stage, st));
    } else if (st->helper_started == NULL) {
        help_with_failure(s, stage, st);
    } else if (st->helper_finished == NULL) {
        return; /* the helper is at work */
    } else if (!text_eq(json_text_at(st->helper_finished->data, "status"), "done")) {
        finish(s, THREAD_FAILED, "failed",
               arena_printf(s->a, "%s\n%s ended %s.", failure_text(s, stage, st), stage->on_failure,
                            json_text_or(st->helper_finished->data, "status", "")));
    } else if (st->ended < 2) {
        run_stage(s, stage, 2);
    } else {
        ask_about_second_failure(s, stage, st);
    }
}

/* It passed the second time: what the helper did says how the run ends. True: it ends here. */
static bool ends_after_retry(struct run_state *s, const struct stage *stage,
                             const struct stage_state *st)
{
    if (st->helper_finished == NULL)
        return false;
    const char *words = json_text_or(st->helper_finished->data, "message", "");
    if (json_is_true(json_get(st->helper_finished->data, "acted")))
        finish(s, THREAD_FAILED, "rolled_back",
               arena_printf(s->a, "%s failed, %s took it back, %s passes again. %s", stage->name,
                            stage->on_failure, stage->name, words));
    else
        finish(s, THREAD_DONE, "passed_on_retry",
               arena_printf(s->a, "%s failed once and passed when it was run again. %s",
                            stage->name, words));
    return true;
}

/* Environments are held from a run's first stage there until it leaves. True: we hold what we need.
 */
static bool hold(struct run_state *s, const struct stage *stage)
{
    if (stage->environment == NULL || text_eq(s->held, stage->environment))
        return true;
    if (s->held != NULL)
        add(s, RUN_LEAVE)->environment = s->held;
    add(s, RUN_TAKE)->environment = stage->environment;
    return false;
}

static void begin_stage(struct run_state *s, const struct stage *stage,
                        const struct stage_state *st)
{
    if (!hold(s, stage))
        return;
    if (st->started == NULL && st->child_started == NULL)
        run_stage(s, stage, 1);
    else if (st->child_finished != NULL)
        judge_child(s, stage, st->child_finished);
}

static const char *last_words(const struct run_state *s)
{
    for (size_t i = s->pipeline->n_stages; i-- > 0;) {
        const struct event *child = s->stages[i].child_finished;
        if (child != NULL && json_text_at(child->data, "message") != NULL)
            return json_text_at(child->data, "message");
    }
    return "";
}

size_t pipeline_next(const struct pipeline *pipeline, const struct thread *thread, struct arena *a,
                     struct run_effect out[MAX_EFFECTS])
{
    struct run_state s = fold(pipeline, thread, a, out);
    if (s.finished || thread->paused)
        return 0;
    for (size_t i = 0; i < pipeline->n_stages; i++) {
        const struct stage *stage = &pipeline->stages[i];
        const struct stage_state *st = &s.stages[i];
        if (st->finished == NULL) {
            begin_stage(&s, stage, st);
            return s.count;
        }
        const char *outcome = outcome_of(st->finished);
        if (strcmp(outcome, "skipped") == 0) {
            finish(&s, THREAD_DONE, "skipped",
                   arena_printf(a, "%s: nothing was deployed, so the later stages do not run. %s",
                                stage->name, json_text_or(st->finished->data, "ending", "")));
            return s.count;
        }
        if (strcmp(outcome, "ok") != 0) {
            after_failure(&s, stage, st);
            return s.count;
        }
        if (ends_after_retry(&s, stage, st))
            return s.count;
    }
    finish(&s, THREAD_DONE, "done", last_words(&s));
    return s.count;
}

/* ---- what people see --------------------------------------------------------------------- */

static const char *mark_of(const struct stage_state *st)
{
    const char *outcome = outcome_of(st->finished);
    if (strcmp(outcome, "ok") == 0)
        return "passed";
    if (*outcome != '\0')
        return outcome;
    return st->started != NULL || st->child_started != NULL ? "running" : "not yet";
}

char *pipeline_status_text(const struct pipeline *pipeline, const struct thread *thread,
                           int64_t run, struct arena *a)
{
    struct run_effect ignored[MAX_EFFECTS];
    struct run_state s = fold(pipeline, thread, a, ignored);
    const struct event *end = NULL;
    struct strbuf b;
    strbuf_init(&b, a, REPORT_MAX_BYTES);
    strbuf_addf(&b, "%s run %lld: %s\n", pipeline->name, (long long)run, thread->title);
    for (size_t i = 0; i < pipeline->n_stages; i++) {
        strbuf_addf(&b, "%s: %s", pipeline->stages[i].name, mark_of(&s.stages[i]));
        if (s.stages[i].helper_started != NULL)
            strbuf_addf(&b, " (%s %s)", pipeline->stages[i].on_failure,
                        s.stages[i].helper_finished == NULL ? "is at work" : "was called");
        strbuf_addc(&b, '\n');
    }
    for (size_t i = 0; i < thread->n_events; i++)
        if (thread->events[i].type == EVENT_FINISHED || thread->events[i].type == EVENT_CANCELLED)
            end = &thread->events[i];
    if (end != NULL)
        strbuf_addf(&b, "%s: %s\n", json_text_or(end->data, "outcome", "ended"),
                    text_truncate(a, json_text_or(end->data, "message", ""), 3000));
    return b.text;
}

struct json *pipeline_waiting_for(const struct pipeline *pipeline, const struct thread *thread,
                                  struct arena *a)
{
    struct run_effect effects[MAX_EFFECTS];
    struct run_state s = fold(pipeline, thread, a, effects);
    if (s.finished)
        return NULL;
    struct json *w = json_object(a);
    for (size_t i = 0; i < pipeline->n_stages; i++) {
        const struct stage *stage = &pipeline->stages[i];
        const struct stage_state *st = &s.stages[i];
        bool helping = st->helper_started != NULL && st->helper_finished == NULL;
        if (st->finished != NULL && !helping && strcmp(outcome_of(st->finished), "ok") == 0)
            continue;
        if (s.open != NULL) {
            json_set_text(a, w, "kind", "person");
            json_set_text(a, w, "request", json_text_at(s.open->data, "request"));
        } else if (helping || stage->agent != NULL) {
            const struct event *child = helping ? st->helper_started : st->child_started;
            json_set_text(a, w, "kind", child == NULL ? "environment" : "child");
            json_set_text(a, w, "what",
                          child == NULL ? stage->environment : json_text_at(child->data, "thread"));
        } else if (st->started != NULL) {
            json_set_text(a, w, "kind", "tool");
            json_set_text(a, w, "what", stage->name);
        } else {
            json_set_text(a, w, "kind", "environment");
            json_set_text(a, w, "what", stage->environment);
        }
        return w;
    }
    return NULL;
}

bool stage_deploys(const struct pipeline *pipeline, const struct stage *stage)
{
    if (stage->environment == NULL || stage->agent != NULL || stage->deploys == DEPLOYS_NO)
        return false;
    if (stage->deploys == DEPLOYS_YES)
        return true;
    for (size_t i = 0; i < pipeline->n_stages; i++)
        if (text_eq(pipeline->stages[i].environment, stage->environment))
            return &pipeline->stages[i] == stage;
    return false;
}

bool stage_is_last_there(const struct pipeline *pipeline, const struct stage *stage)
{
    const struct stage *last = NULL;
    for (size_t i = 0; i < pipeline->n_stages; i++)
        if (stage->environment != NULL &&
            text_eq(pipeline->stages[i].environment, stage->environment))
            last = &pipeline->stages[i];
    return last == stage;
}
