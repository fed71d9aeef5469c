/* A tool's start and ending as events, and who is asked to perform it: commands.c acts, look_ups.c
 * reads, models.c asks a model. See app.h. */
#include "gateway/base/text.h"
#include "gateway/tools_private.h"

#include <string.h>

enum { HELD_UP_FIRST_MS = 100, HELD_UP_DOUBLINGS = 4, HELD_UP_FOR_MS = 10 * 60 * 1000 };

/* ---- starts and endings ------------------------------------------------------------------ */

bool tool_end_run(struct app *app, struct tool_run_row *run, struct err *err)
{
    run->state = "ended";
    run->ended_at_ms = app->now_ms;
    return store_set_tool_run(&app->store, run, err);
}

bool tool_may_wait(struct app *app, const struct tool_run_row *run)
{
    return app->now_ms - run->started_at_ms < HELD_UP_FOR_MS;
}

void tool_wait(struct app *app, struct tool_run_row *run)
{
    /* Found after a restart: it was the gateway that ended, and that is over. */
    int64_t doublings = run->attempt < HELD_UP_DOUBLINGS ? run->attempt : HELD_UP_DOUBLINGS;
    bool found = strcmp(run->state, "found") == 0;
    run->state = "due";
    run->due_at_ms = app->now_ms + (found ? 0 : (int64_t)HELD_UP_FIRST_MS << doublings);
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

static bool is_act(const struct tool_run_row *run)
{
    return strcmp(run->kind, "command") == 0 || strcmp(run->kind, "stage") == 0;
}

/* The command that this run waits for; *id NULL: for none. */
static bool command_id(struct app *app, const struct tool_run_row *run, const char **id,
                       struct err *err)
{
    *id = NULL;
    if (strcmp(run->state, "running") != 0 && strcmp(run->state, "found") != 0)
        return true;
    if (!is_act(run))
        return look_up_command_id(app, run, id, err);
    *id = json_text_or(json_parse_own(app->a, run->spec), "id", run->id);
    return true;
}

bool tool_command_ended(struct app *app, const struct command_result *r, struct err *err)
{
    const char *id;
    char *run_id = arena_strndup(app->a, r->id, strcspn(r->id, "."));
    struct tool_run_row run;
    struct err why = ERR_INIT;
    app_forget_command(app, r->id);
    if (!store_get_tool_run(&app->store, app->a, run_id, &run, &why))
        return why.kind == ERR_MISSING || fail(err, why.kind, "%s", why.text);
    if (!command_id(app, &run, &id, err))
        return false;
    if (!text_eq(id, r->id))
        return true; /* nobody waits for it any more */
    return is_act(&run) ? command_ended(app, &run, r, err)
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
    if (is_act(run))
        return command_due(app, run, err);
    return strcmp(run->kind, "model") == 0 ? model_due(app, run, err)
                                           : look_up_go_on(app, run, err);
}

/* Commands outlive us: each is found, and stopped if that was wanted when we ended. What waited for
 * an answer changes nothing outside and is asked again. */
static bool recover_one(struct app *app, struct tool_run_row *run, struct err *err)
{
    struct thread_row row;
    const char *id;
    if (!command_id(app, run, &id, err))
        return false;
    if (id != NULL) {
        run->state = "found";
        app_find_command(app, id);
        if (!store_get_thread(&app->store, app->a, run->thread, &row, err))
            return false;
        if (thread_is_over(row.t.status))
            app_kill_command(app, id);
    } else if (strcmp(run->state, "running") == 0) {
        run->state = "due";
        run->attempt++;
        run->due_at_ms = app->now_ms;
    }
    return store_set_tool_run(&app->store, run, err);
}

bool tool_recover(struct app *app, struct err *err)
{
    struct tool_run_row *runs;
    size_t n;
    if (!store_open_tool_runs(&app->store, app->a, NULL, &runs, &n, err))
        return false;
    for (size_t i = 0; i < n; i++)
        if (!recover_one(app, &runs[i], err))
            return false;
    return true;
}

bool tool_sweep(struct app *app, struct err *err)
{
    struct tool_run_row *runs;
    size_t n, n_keep = 0;
    if (!store_open_tool_runs(&app->store, app->a, NULL, &runs, &n, err))
        return false;
    const char **keep = ARENA_ARRAY(app->a, const char *, n);
    for (size_t i = 0; i < n; i++) {
        if (!command_id(app, &runs[i], &keep[n_keep], err))
            return false;
        n_keep += keep[n_keep] != NULL;
    }
    app_sweep_commands(app, keep, n_keep);
    return true;
}
