/* A tool's start and ending as events, and who is asked to perform it: commands.c acts, look_ups.c
 * reads, models.c asks a model. See app.h. */
#include "gateway/base/text.h"
#include "gateway/tools_private.h"

#include <string.h>

/* ---- starts and endings ------------------------------------------------------------------ */

bool tool_end_run(struct app *app, struct tool_run_row *run, struct err *err)
{
    run->state = "ended";
    run->ended_at_ms = app->now_ms;
    return store_set_tool_run(&app->store, run, err);
}

bool tool_append_started(struct app *app, const struct thread_row *row, const struct effect *e,
                         const struct json *args, const char *run_id, struct err *err)
{
    struct json *data = json_object(app->a);
    json_set_int(app->a, data, "call", e->call);
    json_set_text(app->a, data, "tool", e->tool->name);
    json_set(app->a, data, "arguments", args);
    if (e->call == 0)
        json_set_bool(app->a, data, "prefetch", true);
    if (e->request != NULL)
        json_set_text(app->a, data, "request", e->request);
    if (run_id != NULL)
        json_set_text(app->a, data, "run", run_id);
    log_info("tool.started", L_STR("thread", row->t.id), L_STR("tool", e->tool->name));
    return app_append(app, row->t.id, EVENT_TOOL_STARTED, "system", data, NULL, err);
}

bool tool_append_finished(struct app *app, const struct tool_ending *ending, struct err *err)
{
    struct json *data = json_object(app->a);
    json_set_int(app->a, data, "call", ending->call);
    json_set_text(app->a, data, "tool", ending->tool);
    json_set_text(app->a, data, "outcome", ending->outcome);
    if (ending->prefetch)
        json_set_bool(app->a, data, "prefetch", true);
    if (ending->not_started)
        json_set_bool(app->a, data, "not_started", true);
    json_set(app->a, data, "result", ending->result);
    if (strcmp(ending->outcome, "ok") != 0)
        metrics_add(app->metrics, METRIC_TOOLS_FAILED, 1);
    log_info("tool.finished", L_STR("thread", ending->thread), L_STR("tool", ending->tool),
             L_STR("outcome", ending->outcome));
    return app_append(app, ending->thread, EVENT_TOOL_FINISHED, "system", data, NULL, err);
}

struct json *tool_error(struct app *app, const char *sentence)
{
    struct json *result = json_object(app->a);
    json_set_text(app->a, result, "error", sentence);
    return result;
}

/* ---- doors ------------------------------------------------------------------------------- */

bool tool_run(struct app *app, struct thread_row *row, const struct agent *agent,
              const struct effect *e, enum tool_start *out, struct err *err)
{
    (void)agent;
    if (e->tool->reads && e->tool->run.kind == RUN_BUILTIN)
        return look_up_run(app, row, e, out, err);
    return command_run(app, row, e, out, err);
}

bool tool_command_ended(struct app *app, const struct command_result *r, struct err *err)
{
    char *run_id = arena_strndup(app->a, r->id, strcspn(r->id, "."));
    struct tool_run_row run;
    struct err why = ERR_INIT;
    app_forget_command(app, r->id);
    if (!store_get_tool_run(&app->store, app->a, run_id, &run, &why))
        return why.kind == ERR_MISSING || fail(err, why.kind, "%s", why.text);
    if (strcmp(run.state, "ended") == 0)
        return true;
    return strcmp(run.kind, "command") == 0 || strcmp(run.kind, "stage") == 0
               ? command_ended(app, &run, r, err)
               : look_up_command_ended(app, &run, r, err);
}

bool tool_reply(struct app *app, const struct http_job *job, struct err *err)
{
    struct tool_run_row run;
    struct err why = ERR_INIT;
    if (!store_get_tool_run(&app->store, app->a, job->row, &run, &why))
        return why.kind == ERR_MISSING || fail(err, why.kind, "%s", why.text);
    if (strcmp(run.state, "running") != 0)
        return true; /* a late echo */
    return strcmp(run.kind, "model") == 0 ? model_reply(app, &run, job, err)
                                          : look_up_reply(app, &run, job, err);
}

bool tool_due(struct app *app, struct tool_run_row *run, struct err *err)
{
    return strcmp(run->kind, "model") == 0 ? model_due(app, run, err)
                                           : look_up_go_on(app, run, err);
}

bool tool_recover(struct app *app, struct err *err)
{
    struct tool_run_row *runs;
    size_t n;
    if (!store_open_tool_runs(&app->store, app->a, NULL, &runs, &n, err))
        return false;
    for (size_t i = 0; i < n; i++) {
        bool acts = strcmp(runs[i].kind, "command") == 0 || strcmp(runs[i].kind, "stage") == 0;
        if (acts) {
            runs[i].state = "found";
            app_find_command(app,
                             json_text_or(json_parse_own(app->a, runs[i].spec), "id", runs[i].id));
        } else if (strcmp(runs[i].state, "running") == 0) {
            runs[i].state = "due"; /* it changes nothing outside: asked again */
            runs[i].attempt++;
            runs[i].due_at_ms = app->now_ms;
        }
        if (!store_set_tool_run(&app->store, &runs[i], err))
            return false;
    }
    return true;
}
