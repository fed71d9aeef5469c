/* Model calls: asked with what the events say, tried again by Retry-After, then the fallback, then
 * a person. A call in flight at a crash is asked again. See app.h. */
#include "gateway/app.h"
#include "gateway/base/text.h"
#include "gateway/question.h"

#include <string.h>

enum { MOST_ATTEMPTS = 5, ANSWER_BYTES = 4 << 20, RAW_BYTES = 64 * 1024 };

/* Where the answer comes from: the configured model, or the agent's playbook. */
static bool is_playbook(const struct model_config *m)
{
    return m->provider == MODEL_PLAYBOOK;
}

static bool append_asked(struct app *app, const struct thread_row *row, const struct agent *agent,
                         const struct model_config *m, const struct llm_question *q, int64_t *seq,
                         struct err *err)
{
    struct json *data = question_hashes(app->a, q);
    json_set_text(app->a, data, "model", is_playbook(m) ? "playbook" : m->model);
    json_set_int(app->a, data, "upto", agent_newest(&row->t));
    metrics_add(app->metrics, METRIC_STEPS, 1);
    return app_append(app, row->t.id, EVENT_MODEL_ASKED,
                      arena_printf(app->a, "agent:%s", agent->name), data, seq, err) &&
           store_count_step(&app->store, row->t.id, 1, 0, 0, err);
}

struct answered {
    const char *text, *model, *error;
    bool cut, failed, stale;
    int64_t tokens;
    double cost;
};

/* model_answered, and the step that it is. */
static bool append_answered(struct app *app, const char *thread, const struct agent *agent,
                            const struct answered *in, struct err *err)
{
    struct json *data = json_object(app->a), *step = NULL;
    const char *actor = arena_printf(app->a, "agent:%s", agent->name);
    json_set_text(app->a, data, "model", in->model);
    json_set_int(app->a, data, "tokens", in->tokens);
    if (in->cost > 0)
        json_set(app->a, data, "cost", json_number(app->a, in->cost));
    if (in->text != NULL)
        json_set_text(app->a, data, "text", text_truncate(app->a, in->text, RAW_BYTES));
    if (in->text != NULL && strlen(in->text) > RAW_BYTES)
        json_set_int(app->a, data, "text_bytes", (int64_t)strlen(in->text));
    if (in->cut)
        json_set_bool(app->a, data, "cut", true);
    if (in->failed)
        json_set_bool(app->a, data, "failed", true);
    if (in->stale)
        json_set_bool(app->a, data, "stale", true);
    if (in->error != NULL)
        json_set_text(app->a, data, "error", in->error);
    if (!app_append(app, thread, EVENT_MODEL_ANSWERED, actor, data, NULL, err) ||
        !store_count_step(&app->store, thread, 0, in->tokens, in->cost, err))
        return false;
    if (in->failed || in->stale)
        return true;
    enum event_type type = agent_read_answer(agent, in->text, in->cut, app->a, &step);
    if (type == EVENT_STEP_REFUSED)
        metrics_add(app->metrics, METRIC_STEPS_REFUSED, 1);
    return app_append(app, thread, type, actor, step, NULL, err);
}

static bool answer_by_playbook(struct app *app, const struct thread_row *row,
                               const struct agent *agent, struct err *err)
{
    struct answered in = {.model = "playbook"};
    if (agent->playbook == NULL) {
        in.failed = true;
        in.error = "this agent has no playbook";
    } else {
        in.text = json_write(app->a, playbook_step(app->a, agent->playbook, &row->t));
    }
    return append_answered(app, row->t.id, agent, &in, err);
}

bool model_ask(struct app *app, struct thread_row *row, const struct agent *agent, struct err *err)
{
    const struct model_config *m = &app->config->llm;
    struct llm_question q;
    int64_t seq;
    if (!question_make(app->a, app->config, &row->t, agent, &q, err) ||
        !append_asked(app, row, agent, m, &q, &seq, err))
        return false;
    if (is_playbook(m))
        return answer_by_playbook(app, row, agent, err);
    struct tool_run_row run = {.id = app_id(app, 'm'),
                               .thread = row->t.id,
                               .call = seq,
                               .kind = "model",
                               .name = agent->name,
                               .spec = "{}",
                               .state = "due",
                               .attempt = 0,
                               .due_at_ms = app->now_ms,
                               .started_at_ms = app->now_ms};
    return store_add_tool_run(&app->store, &run, err);
}

/* The thread as the call saw it: events up to and with model_asked. */
static bool load_as_asked(struct app *app, const struct tool_run_row *run, struct thread_row *row,
                          struct err *err)
{
    if (!app_load(app, run->thread, row, err))
        return false;
    while (row->t.n_events > 0 && row->t.events[row->t.n_events - 1].seq > run->call)
        row->t.n_events--;
    return true;
}

static bool end_run(struct app *app, struct tool_run_row *run, struct err *err)
{
    run->state = "ended";
    run->ended_at_ms = app->now_ms;
    return store_set_tool_run(&app->store, run, err);
}

/* The model did not answer: the fallback does, if there is one; else a person hears of it. */
static bool fall_back(struct app *app, struct tool_run_row *run, const struct agent *agent,
                      const char *why, struct err *err)
{
    const struct model_config *fallback = app->config->llm.fallback;
    struct thread_row row;
    metrics_add(app->metrics, METRIC_MODEL_FAILURES, 1);
    log_error("model.failed", L_STR("thread", run->thread), L_STR("why", why));
    if (!end_run(app, run, err) || !app_load(app, run->thread, &row, err))
        return false;
    if (fallback != NULL && is_playbook(fallback) && agent->playbook != NULL)
        return answer_by_playbook(app, &row, agent, err);
    struct answered in = {.model = app->config->llm.model, .failed = true, .error = why};
    return append_answered(app, run->thread, agent, &in, err);
}

bool model_due(struct app *app, struct tool_run_row *run, struct err *err)
{
    const struct agent *agent = config_agent(app->config, run->name);
    const struct model_config *m = &app->config->llm;
    struct llm_settings settings = question_settings(m);
    struct thread_row row;
    struct llm_question q;
    struct wire wire = {0};
    struct err why = ERR_INIT;
    if (agent == NULL)
        return end_run(app, run, err);
    if (is_playbook(m)) /* the configuration changed meanwhile */
        return fall_back(app, run, agent, "the model is no longer configured", err);
    if (!load_as_asked(app, run, &row, err))
        return false;
    if (row.t.paused) {
        run->due_at_ms = app->now_ms + 1000;
        return store_set_tool_run(&app->store, run, err);
    }
    if (!question_make(app->a, app->config, &row.t, agent, &q, &why) ||
        !llm_openai.render(&settings, app->a, &q, &wire, &why))
        return fall_back(app, run, agent, arena_strdup(app->a, why.text), err);
    struct http_job *job = http_job_new(wire.method, wire.url, app->mailbox, LETTER_REPLY);
    job->row = arena_strdup(&job->arena, run->id);
    for (size_t i = 0; i < wire.n_headers; i++)
        http_job_header(job, wire.headers[i].name, wire.headers[i].value);
    job->body =
        (struct span){arena_strndup(&job->arena, wire.body.at, wire.body.len), wire.body.len};
    job->timeout_ms = m->timeout_ms;
    job->max_answer_bytes = ANSWER_BYTES;
    job->haste = HTTP_PATIENT;
    job->repeatable = true; /* a second answer costs money and does nothing */
    run->state = "running";
    run->attempt++;
    app_call(app, job);
    return store_set_tool_run(&app->store, run, err);
}

static double cost_of(const struct model_config *m, const struct llm_answer *answer)
{
    return ((double)answer->input_tokens * m->input_per_mtok +
            (double)answer->output_tokens * m->output_per_mtok) /
           1e6;
}

static bool is_stale(const struct thread_row *row, const struct tool_run_row *run)
{
    /* Cancelled while the model was thinking: its step must not be found when the thread goes on.
     */
    if (thread_is_over(row->t.status))
        return true;
    for (size_t i = 0; i < row->t.n_events; i++)
        if (row->t.events[i].seq == run->call)
            return agent_newest(&row->t) > json_int_or(json_get(row->t.events[i].data, "upto"), 0);
    return true;
}

static bool take_answer(struct app *app, struct tool_run_row *run, const struct agent *agent,
                        const struct llm_answer *answer, struct err *err)
{
    struct thread_row row;
    if (!end_run(app, run, err) || !app_load(app, run->thread, &row, err))
        return false;
    struct answered in = {.text = answer->text,
                          .cut = answer->outcome == LLM_CUT,
                          .model = answer->model == NULL ? app->config->llm.model : answer->model,
                          .stale = is_stale(&row, run),
                          .tokens = answer->input_tokens + answer->output_tokens,
                          .cost = cost_of(&app->config->llm, answer)};
    return append_answered(app, run->thread, agent, &in, err);
}

static bool try_again(struct app *app, struct tool_run_row *run, const struct agent *agent,
                      const struct llm_answer *answer, struct err *err)
{
    if (run->attempt >= MOST_ATTEMPTS)
        return fall_back(app, run, agent, answer->error, err);
    int64_t wait_ms = 500LL << run->attempt;
    run->state = "due";
    run->due_at_ms = app->now_ms + (answer->retry_after_ms > 0 ? answer->retry_after_ms : wait_ms);
    metrics_add(app->metrics, METRIC_MODEL_RETRIES, 1);
    log_warn("model.retried", L_STR("thread", run->thread), L_STR("why", answer->error),
             L_INT("attempt", run->attempt));
    return store_set_tool_run(&app->store, run, err);
}

bool model_reply(struct app *app, struct tool_run_row *run, const struct http_job *job,
                 struct err *err)
{
    const struct agent *agent = config_agent(app->config, run->name);
    struct llm_settings settings = question_settings(&app->config->llm);
    if (agent == NULL)
        return end_run(app, run, err);
    struct wire_reply reply = {.fate = job->outcome == HTTP_ANSWERED   ? WIRE_ANSWERED
                                       : job->outcome == HTTP_NOT_SENT ? WIRE_NOT_SENT
                                                                       : WIRE_UNKNOWN,
                               .status = job->status,
                               .body = job->answer,
                               .retry_after_ms = job->retry_after_ms,
                               .headers = job->answer_headers,
                               .n_headers = job->n_answer_headers,
                               .error = job->error};
    struct llm_answer answer = llm_openai.parse(&settings, app->a, &reply);
    switch (answer.outcome) {
    case LLM_OK:
    case LLM_CUT:
        return take_answer(app, run, agent, &answer, err);
    case LLM_RETRY:
        return try_again(app, run, agent, &answer, err);
    case LLM_REFUSED:
    case LLM_FAILED:
        return fall_back(app, run, agent, answer.error, err);
    }
    UNREACHABLE();
}
