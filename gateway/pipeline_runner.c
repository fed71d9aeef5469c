/* Takes the effects of pipeline_next() and performs them as rows. See app.h, deploybot/pipeline.h.
 */
#include "gateway/app.h"
#include "gateway/base/template.h"
#include "gateway/base/text.h"

#include <string.h>

enum { MAX_ROUNDS = 64, MESSAGE_MAX_BYTES = 8000 };

/* A stage's message with the run's variables filled in. */
static bool fill_in(struct app *app, const struct thread_row *row, const char *text,
                    const char **out, struct err *err)
{
    static const char *const names[] = {"sha",    "short_sha", "repo", "number", "title",
                                        "author", "merged_by", "base", "run"};
    struct template_value values[COUNT(names)];
    for (size_t i = 0; i < COUNT(names); i++)
        values[i] = (struct template_value){
            .name = names[i], .text = run_variable(app->a, &row->t, row->run, names[i])};
    struct template *t;
    struct strbuf b;
    strbuf_init(&b, app->a, MESSAGE_MAX_BYTES);
    if (!template_parse(app->a, text, NULL, &t, err) ||
        !template_render(t, values, COUNT(values), NULL, &b, err))
        return false;
    *out = b.text;
    return true;
}

static bool start_child(struct app *app, struct thread_row *row, const struct run_effect *e,
                        struct err *err)
{
    const char *message = NULL, *id;
    if (e->stage->message != NULL && strcmp(e->text, "stage") == 0 &&
        !fill_in(app, row, e->stage->message, &message, err))
        return false;
    return child_start(app, row, e->agent, e->stage->name, e->text, e->data, message, &id, err);
}

static bool take(struct app *app, struct thread_row *row, const char *environment, bool *blocked,
                 struct err *err)
{
    bool held;
    if (!environment_take(app, environment, row->t.id, row->t.pipeline, &held, err))
        return false;
    if (!held) {
        *blocked = true;
        return true;
    }
    struct json *data = json_object(app->a);
    json_set_text(app->a, data, "environment", environment);
    return app_append(app, row->t.id, EVENT_ENVIRONMENT_TAKEN, "system", data, NULL, err);
}

static bool leave(struct app *app, struct thread_row *row, const char *environment, struct err *err)
{
    struct json *data = json_object(app->a);
    json_set_text(app->a, data, "environment", environment);
    return environment_leave(app, environment, row->t.id, err) &&
           app_append(app, row->t.id, EVENT_ENVIRONMENT_LEFT, "system", data, NULL, err);
}

/* An agent stage that ended ok counts for promotion as a command stage does. */
static bool note_passed(struct app *app, struct thread_row *row, const struct json *data,
                        struct err *err)
{
    if (!text_eq(json_text_at(data, "outcome"), "ok"))
        return true;
    return environment_note_passed(app, row->t.pipeline, json_text_or(data, "stage", ""),
                                   run_sha(&row->t), row->t.id, err);
}

static bool finish(struct app *app, struct thread_row *row, const struct run_effect *e,
                   struct err *err)
{
    return thread_finish(app, row, e->status, e->outcome, e->text, err) &&
           outbox_say(app, row,
                      arena_printf(app->a, "Run %lld (%s): %s. %s\n%s/threads/%s",
                                   (long long)row->run, row->t.title, e->outcome, e->text,
                                   app->config->server.public_url, row->t.id),
                      err);
}

static bool perform(struct app *app, struct thread_row *row, const struct pipeline *pipeline,
                    const struct run_effect *e, bool *blocked, struct err *err)
{
    switch (e->kind) {
    case RUN_TAKE:
        return take(app, row, e->environment, blocked, err);
    case RUN_LEAVE:
        return leave(app, row, e->environment, err);
    case RUN_STAGE:
        return tool_run_stage(app, row, pipeline, e->stage, e->attempt, err);
    case RUN_CHILD:
        return start_child(app, row, e, err);
    case RUN_APPEND:
        return note_passed(app, row, e->data, err) &&
               app_append(app, row->t.id, e->type, "system", e->data, NULL, err);
    case RUN_ASK:
        return request_raise_question(app, row, e->data, 0, e->about, err);
    case RUN_FINISH:
        return finish(app, row, e, err);
    }
    UNREACHABLE();
}

/* "waits for run 12": who holds what this run waits for. */
static bool name_holder(struct app *app, struct json *waiting, struct err *err)
{
    struct hold_row *holds;
    size_t n;
    if (!text_eq(json_text_at(waiting, "kind"), "environment"))
        return true;
    if (!store_holds(&app->store, app->a, json_text_at(waiting, "what"), &holds, &n, err))
        return false;
    for (size_t i = 0; i < n; i++) {
        struct thread_row holder;
        if (strcmp(holds[i].state, "held") != 0)
            continue;
        if (!store_get_thread(&app->store, app->a, holds[i].thread, &holder, err))
            return false;
        json_set_text(app->a, waiting, "held_by",
                      holder.run > 0 ? arena_printf(app->a, "run %lld", (long long)holder.run)
                                     : holder.t.id);
    }
    return true;
}

static bool settle(struct app *app, struct thread_row *row, const struct pipeline *pipeline,
                   struct err *err)
{
    if (!outbox_status(app, row, err))
        return false;
    if (thread_is_over(row->t.status))
        return store_set_dirty(&app->store, row->t.id, false, err);
    struct json *waiting = pipeline_waiting_for(pipeline, &row->t, app->a);
    if (waiting != NULL && !name_holder(app, waiting, err))
        return false;
    enum thread_status status = row->t.paused     ? THREAD_PAUSED
                                : waiting != NULL ? THREAD_WAITING
                                                  : THREAD_RUNNING;
    return store_set_thread(&app->store, row->t.id, status,
                            waiting == NULL ? NULL : json_write(app->a, waiting), NULL, err) &&
           store_set_dirty(&app->store, row->t.id, false, err);
}

bool pipeline_advance(struct app *app, struct thread_row *row, struct err *err)
{
    const struct pipeline *pipeline = config_pipeline(app->config, row->t.pipeline);
    if (thread_is_over(row->t.status))
        return store_set_dirty(&app->store, row->t.id, false, err);
    if (pipeline == NULL)
        return thread_finish(app, row, THREAD_FAILED, "no_pipeline",
                             "Its pipeline is no longer configured.", err) &&
               store_set_dirty(&app->store, row->t.id, false, err);
    bool blocked = false;
    for (size_t rounds = 0; rounds < MAX_ROUNDS && !blocked; rounds++) {
        struct run_effect effects[MAX_EFFECTS];
        size_t n = pipeline_next(pipeline, &row->t, app->a, effects);
        for (size_t i = 0; i < n; i++)
            if (!perform(app, row, pipeline, &effects[i], &blocked, err))
                return false;
        if (n == 0)
            break;
        enum thread_status status = row->t.status;
        if (!app_reload(app, row, err))
            return false;
        if (thread_is_over(status)) {
            row->t.status = status;
            break;
        }
    }
    return settle(app, row, pipeline, err);
}
