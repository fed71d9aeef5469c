/* Tools that act, and the commands of stages. A call that acts is checked once more just before it
 * starts, and starts at most once (promises 4 and 5). See tools_private.h. */
#include "gateway/base/hash.h"
#include "gateway/base/text.h"
#include "gateway/tools_private.h"

#include <string.h>

enum {
    TAIL_BYTES = 4000,
    PAUSED_LOOK_MS = 1000,
};

/* ---- starting ---------------------------------------------------------------------------- */

/* What a command's row keeps; everything that its ending needs. */
static struct json *command_spec_json(struct app *app, const struct tool_run *run,
                                      const struct json *argv)
{
    struct json *spec = json_object(app->a);
    json_set(app->a, spec, "argv", argv);
    json_set_text(app->a, spec, "cwd", run->cwd);
    json_set_int(app->a, spec, "timeout_ms", run->timeout_ms);
    json_set_int(app->a, spec, "output_bytes", run->output_bytes);
    return spec;
}

static const struct tool_run *run_config(struct app *app, const struct tool_run_row *run,
                                         const struct json *spec)
{
    if (strcmp(run->kind, "command") == 0) {
        const struct tool *tool = config_tool(app->config, run->name);
        return tool == NULL ? NULL : &tool->run;
    }
    const struct pipeline *p = config_pipeline(app->config, json_text_or(spec, "pipeline", ""));
    for (size_t i = 0; p != NULL && i < p->n_stages; i++)
        if (strcmp(p->stages[i].name, run->name) == 0)
            return &p->stages[i].run;
    return NULL;
}

static void start_command(struct app *app, struct tool_run_row *run)
{
    struct json *spec = json_parse_own(app->a, run->spec);
    char *id = arena_printf(app->a, "%s.%lld", run->id, (long long)run->attempt);
    json_set_text(app->a, spec, "id", id);
    run->spec = json_write(app->a, spec);
    struct command_spec command = {
        .id = id,
        .argv = argv_from_json(app, json_get(spec, "argv")),
        .cwd = json_text_at(spec, "cwd"),
        .env = argv_environment(app, run_config(app, run, spec), run->thread, run->id),
        .timeout_ms = json_int_or(json_get(spec, "timeout_ms"), 600000),
        .max_output = (size_t)json_int_or(json_get(spec, "output_bytes"), 256 * 1024)};
    app_command(app, &command);
    metrics_add(app->metrics, METRIC_TOOLS_STARTED, 1);
}

static bool add_command(struct app *app, const char *thread, int64_t call, const char *kind,
                        const char *name, struct json *spec, const char **run_id, struct err *err)
{
    struct tool_run_row run = {.id = app_id(app, 'x'),
                               .thread = thread,
                               .call = call,
                               .kind = kind,
                               .name = name,
                               .spec = json_write(app->a, spec),
                               .replies = "[]",
                               .state = "running",
                               .attempt = 1,
                               .started_at_ms = app->now_ms};
    *run_id = run.id;
    start_command(app, &run);
    return store_add_tool_run(&app->store, &run, err);
}

static bool refuse_call(struct app *app, const struct thread_row *row, const struct effect *e,
                        const char *why, enum tool_start *out, struct err *err)
{
    struct thread_row root;
    metrics_add(app->metrics, METRIC_TOOLS_REFUSED, 1);
    *out = TOOL_ENDED_AT_ONCE;
    /* It may have stood in the queue until now; a run keeps its hold, others must not. */
    if (!store_get_thread(&app->store, app->a, row->t.root, &root, err))
        return false;
    if (root.t.pipeline == NULL && e->tool->target.environment != NULL &&
        !environment_leave(app, e->tool->target.environment, root.t.id, err))
        return false;
    struct tool_ending ending = {.thread = row->t.id,
                                 .tool = e->tool->name,
                                 .outcome = "refused",
                                 .call = e->call,
                                 .result = tool_error(app, why),
                                 .prefetch = e->call == 0,
                                 .not_started = true};
    return tool_append_finished(app, &ending, err);
}

/* Promise 4: what was approved is what runs. *why NULL: it is. */
static bool check_approval(struct app *app, const struct effect *e, const struct json **args,
                           const char **why, struct err *err)
{
    struct request_row r;
    *why = NULL;
    if (!store_get_request(&app->store, app->a, e->request, &r, err))
        return false;
    const struct json *call = json_parse_own(app->a, r.canonical);
    *args = json_get(call, "arguments");
    if (strcmp(r.status, "approved") != 0)
        *why = "its request is not approved";
    else if (strcmp(sha256_hex(app->a, span_of(r.canonical)), r.digest) != 0)
        *why = "the stored call is not the one that was approved: its digest differs";
    else if (!text_eq(json_text_at(call, "tool"), e->tool->name) ||
             !text_eq(json_text_at(call, "target.environment"), e->tool->target.environment) ||
             !text_eq(json_text_at(call, "target.component"), e->tool->target.component))
        *why = "the tool was configured differently since it was approved";
    else if (r.expires_at_ms > 0 && app->now_ms > r.expires_at_ms)
        *why = "the approval has expired";
    return true;
}

static bool take_environment(struct app *app, struct thread_row *row, const struct tool_target *t,
                             bool *held, struct err *err)
{
    bool busy;
    *held = true;
    if (t->environment == NULL)
        return true;
    if (!t->rollback)
        return environment_take(app, t->environment, row->t.root, NULL, held, err);
    if (!environment_is_busy(app, t->environment, &busy, err))
        return false;
    if (!busy)
        return true;
    /* It waits for the command only; standing in the queue makes it visible and wakes it. */
    return environment_take(app, t->environment, row->t.root, NULL, held, err) &&
           (*held = false, true);
}

static bool dry_run(struct app *app, struct thread_row *row, const struct effect *e,
                    const struct json *args, const struct json *argv, struct err *err)
{
    struct json *result = json_object(app->a);
    json_set_text(app->a, result, "dry_run", "nothing was run; this is what would be");
    json_set(app->a, result, "argv", argv);
    struct tool_ending ending = {.thread = row->t.id,
                                 .tool = e->tool->name,
                                 .outcome = "ok",
                                 .call = e->call,
                                 .result = result};
    return tool_append_started(app, row, e, args, NULL, err) &&
           tool_append_finished(app, &ending, err);
}

static const char *sha_of(const struct tool *tool, const struct json *args)
{
    return tool->target.ref == NULL ? "" : json_text_or(args, tool->target.ref, "");
}

bool command_run(struct app *app, struct thread_row *row, const struct effect *e,
                 enum tool_start *out, struct err *err)
{
    const struct json *args = e->data == NULL ? json_object(app->a) : e->data;
    const char *why = NULL;
    bool held;
    struct err bad = ERR_INIT;
    struct json *argv;
    if (e->request != NULL && !check_approval(app, e, &args, &why, err))
        return false;
    if (why == NULL && e->tool->run.kind != RUN_COMMAND)
        why = "this kind of tool cannot run in this version";
    if (why == NULL && !environment_refuses(app, &e->tool->target, sha_of(e->tool, args),
                                            row->t.requester, &why, err))
        return false;
    if (why != NULL)
        return refuse_call(app, row, e, why, out, err);
    if (!argv_of_tool(app, e->tool, args, &argv, &bad))
        return refuse_call(app, row, e, arena_strdup(app->a, bad.text), out, err);
    if (app->dry_run && !e->tool->reads) {
        *out = TOOL_ENDED_AT_ONCE;
        return dry_run(app, row, e, args, argv, err);
    }
    if (!take_environment(app, row, &e->tool->target, &held, err))
        return false;
    *out = held ? TOOL_STARTED_NOW : TOOL_MUST_WAIT;
    if (!held)
        return true;
    struct json *spec = command_spec_json(app, &e->tool->run, argv);
    json_set_text(app->a, spec, "environment", e->tool->target.environment);
    json_set_text(app->a, spec, "component", e->tool->target.component);
    json_set_text(app->a, spec, "sha", sha_of(e->tool, args));
    json_set_bool(app->a, spec, "rollback", e->tool->target.rollback);
    json_set_bool(app->a, spec, "acts", !e->tool->reads);
    if (e->call == 0)
        json_set_bool(app->a, spec, "prefetch", true);
    const char *run_id;
    return add_command(app, row->t.id, e->call, "command", e->tool->name, spec, &run_id, err) &&
           tool_append_started(app, row, e, args, run_id, err);
}

/* Locks, freezes and the promotion order hold for stages that deploy, too. */
static bool stage_refused(struct app *app, const struct thread_row *row, const struct stage *stage,
                          const char **why, struct err *err)
{
    struct tool_target target = {.environment = stage->environment, .component = stage->component};
    return environment_refuses(app, &target, run_sha(&row->t), row->t.requester, why, err);
}

/* A dry run says what a stage would run; nothing is deployed, so nothing has passed there. */
static bool dry_run_stage(struct app *app, const struct thread_row *row, struct json *data,
                          const struct json *argv, struct err *err)
{
    if (!app_append(app, row->t.id, EVENT_STAGE_STARTED, "system", data, NULL, err))
        return false;
    json_set_text(app->a, data, "outcome", "ok");
    json_set_text(app->a, data, "ending", "dry run: nothing was run");
    json_set(app->a, data, "argv", argv);
    return app_append(app, row->t.id, EVENT_STAGE_FINISHED, "system", data, NULL, err);
}

bool tool_run_stage(struct app *app, struct thread_row *row, const struct pipeline *pipeline,
                    const struct stage *stage, int64_t attempt, struct err *err)
{
    struct json *argv, *held = NULL, *data = json_object(app->a);
    const char *why = NULL;
    struct err bad = ERR_INIT;
    json_set_text(app->a, data, "stage", stage->name);
    json_set_int(app->a, data, "attempt", attempt);
    if (!argv_of_stage(app, row, stage, &argv, &bad)) {
        json_set_text(app->a, data, "outcome", "failed");
        json_set_text(app->a, data, "ending", arena_strdup(app->a, bad.text));
        return app_append(app, row->t.id, EVENT_STAGE_FINISHED, "system", data, NULL, err);
    }
    if (stage_deploys(pipeline, stage) && !stage_refused(app, row, stage, &why, err))
        return false;
    if (why != NULL) {
        json_set_text(app->a, data, "outcome", "failed");
        json_set_text(app->a, data, "ending", why);
        return app_append(app, row->t.id, EVENT_STAGE_FINISHED, "system", data, NULL, err);
    }
    if (app->dry_run)
        return dry_run_stage(app, row, data, argv, err);
    struct json *spec = command_spec_json(app, &stage->run, argv);
    json_set_text(app->a, spec, "pipeline", pipeline->name);
    json_set_int(app->a, spec, "attempt", attempt);
    json_set_text(app->a, spec, "environment", stage->environment);
    json_set_text(app->a, spec, "component", stage->component);
    json_set_text(app->a, spec, "sha", run_sha(&row->t));
    json_set_bool(app->a, spec, "acts", stage_deploys(pipeline, stage));
    if (stage->environment != NULL && !stage_deploys(pipeline, stage)) {
        if (!environment_state(app, stage->environment, &held, err))
            return false;
        json_set(app->a, spec, "held", held);
    }
    const char *run_id;
    if (!add_command(app, row->t.id, 0, "stage", stage->name, spec, &run_id, err))
        return false;
    json_set_text(app->a, data, "run", run_id);
    log_info("stage.started", L_STR("thread", row->t.id), L_STR("stage", stage->name));
    return app_append(app, row->t.id, EVENT_STAGE_STARTED, "system", data, NULL, err);
}

/* ---- endings ----------------------------------------------------------------------------- */

static const char *outcome_word(const struct command_result *r)
{
    switch (r->outcome) {
    case COMMAND_EXITED:
        return r->exit_code == 0 ? "ok" : "failed";
    case COMMAND_SIGNALED:
    case COMMAND_TIMED_OUT:
    case COMMAND_NOT_STARTED:
    case COMMAND_HELD_UP:
        return "failed";
    case COMMAND_KILLED:
        return "killed";
    case COMMAND_UNKNOWN:
        return "unknown";
    }
    UNREACHABLE();
}

const char *command_ending_text(struct app *app, const struct command_result *r, int64_t timeout_ms)
{
    switch (r->outcome) {
    case COMMAND_EXITED:
        return arena_printf(app->a, "exit %d", r->exit_code);
    case COMMAND_SIGNALED:
        return arena_printf(app->a, "ended by signal %d", r->signo);
    case COMMAND_TIMED_OUT:
        return arena_printf(app->a, "timed out after %s",
                            text_from_duration_ms(app->a, timeout_ms));
    case COMMAND_KILLED:
        return "killed";
    case COMMAND_NOT_STARTED:
    case COMMAND_HELD_UP:
        return arena_printf(app->a, "not started: %s", r->error);
    case COMMAND_UNKNOWN:
        return arena_printf(app->a, "unknown: %s", r->error);
    }
    UNREACHABLE();
}

static char *tail_of(struct app *app, const char *text)
{
    size_t len = strlen(text);
    return len <= TAIL_BYTES
               ? arena_strdup(app->a, text)
               : utf8_clean(app->a, (struct span){text + len - TAIL_BYTES, TAIL_BYTES});
}

static bool conclude_command(struct app *app, struct tool_run_row *run, const struct json *spec,
                             const struct command_result *r, const char *outcome, struct err *err)
{
    struct json *result = json_object(app->a);
    const char *ending = command_ending_text(app, r, json_int_or(json_get(spec, "timeout_ms"), 0));
    if (strcmp(outcome, "ok") != 0)
        json_set_text(app->a, result, "error", ending);
    json_set_int(app->a, result, "exit", r->exit_code);
    json_set_text(app->a, result, "output", utf8_clean(app->a, r->output));
    if (r->truncated)
        json_set_int(app->a, result, "output_bytes", r->output_bytes);
    struct tool_ending finished = {.thread = run->thread,
                                   .tool = run->name,
                                   .outcome = outcome,
                                   .call = run->call,
                                   .result = result,
                                   .prefetch = json_is_true(json_get(spec, "prefetch"))};
    return tool_append_finished(app, &finished, err);
}

static bool conclude_stage(struct app *app, struct tool_run_row *run, const struct json *spec,
                           const struct command_result *r, const char *outcome, struct err *err)
{
    struct json *data = json_object(app->a), *now;
    const char *ending = command_ending_text(app, r, json_int_or(json_get(spec, "timeout_ms"), 0));
    const struct json *held = json_get(spec, "held");
    if (held != NULL && strcmp(outcome, "ok") == 0) {
        if (!environment_state(app, json_text_at(spec, "environment"), &now, err))
            return false;
        if (!json_equal(held, now)) {
            outcome = "failed";
            ending = "the environment changed while this ran: the result counts for nothing";
        }
    }
    json_set_text(app->a, data, "stage", run->name);
    json_set_int(app->a, data, "attempt", json_int_or(json_get(spec, "attempt"), 1));
    json_set_text(app->a, data, "outcome", outcome);
    json_set_text(app->a, data, "ending", ending);
    json_set_text(app->a, data, "tail", tail_of(app, utf8_clean(app->a, r->output)));
    json_set_text(app->a, data, "sha", json_text_or(spec, "sha", ""));
    log_info("stage.finished", L_STR("thread", run->thread), L_STR("stage", run->name),
             L_STR("outcome", outcome));
    /* Passing at the second try, after on_failure's agent was at work, promotes nothing. */
    bool passed = strcmp(outcome, "ok") == 0 && json_int_or(json_get(spec, "attempt"), 1) == 1;
    if (passed && !environment_note_passed(app, json_text_or(spec, "pipeline", ""), run->name,
                                           json_text_or(spec, "sha", ""), run->thread, err))
        return false;
    return app_append(app, run->thread, EVENT_STAGE_FINISHED, "system", data, NULL, err);
}

/* Those who wait for this environment look again. */
static bool wake_waiting(struct app *app, const char *environment, struct err *err)
{
    struct hold_row *holds;
    size_t n;
    if (!store_holds(&app->store, app->a, environment, &holds, &n, err))
        return false;
    for (size_t i = 0; i < n; i++) {
        const char **children;
        size_t n_children;
        if (!store_set_dirty(&app->store, holds[i].thread, true, err) ||
            !store_children(&app->store, app->a, holds[i].thread, &children, &n_children, err))
            return false;
        for (size_t k = 0; k < n_children; k++)
            if (!store_set_dirty(&app->store, children[k], true, err))
                return false;
    }
    return true;
}

static bool leave_environment(struct app *app, const struct tool_run_row *run,
                              const struct json *spec, const char *outcome, struct err *err)
{
    const char *environment = json_text_at(spec, "environment");
    struct thread_row row, root;
    if (environment == NULL)
        return true;
    if (json_is_true(json_get(spec, "acts")) &&
        !environment_ended(app, environment, json_text_at(spec, "component"),
                           json_text_or(spec, "sha", ""), run->thread, outcome,
                           json_is_true(json_get(spec, "rollback")), run->started_at_ms, err))
        return false;
    if (!store_get_thread(&app->store, app->a, run->thread, &row, err) ||
        !store_get_thread(&app->store, app->a, row.t.root, &root, err))
        return false;
    /* A run leaves by itself, unless it was over before its command was. */
    if ((root.t.pipeline == NULL || thread_is_over(root.t.status)) &&
        !environment_leave(app, environment, root.t.id, err))
        return false;
    return wake_waiting(app, environment, err);
}

static bool conclude(struct app *app, struct tool_run_row *run, const struct command_result *r,
                     struct err *err)
{
    const struct json *spec = json_parse_own(app->a, run->spec);
    const char *outcome = outcome_word(r);
    if (!tool_end_run(app, run, err) || !leave_environment(app, run, spec, outcome, err))
        return false;
    return strcmp(run->kind, "command") == 0 ? conclude_command(app, run, spec, r, outcome, err)
                                             : conclude_stage(app, run, spec, r, outcome, err);
}

/* Under a new id; nothing ran under the old one and nothing ever will, so this is still the first
 * start and not a second. */
static bool start_again(struct app *app, struct tool_run_row *run, struct err *err)
{
    run->attempt++;
    run->state = "running";
    start_command(app, run);
    return store_set_tool_run(&app->store, run, err);
}

/* What held up a start may last; the world has gone on meanwhile. *why NULL: it may still start. */
static bool check_again(struct app *app, const struct tool_run_row *run,
                        const struct thread_row *row, const char **why, struct err *err)
{
    const struct tool *tool =
        strcmp(run->kind, "command") == 0 ? config_tool(app->config, run->name) : NULL;
    const char *sha = json_text_or(json_parse_own(app->a, run->spec), "sha", "");
    *why = NULL;
    return tool == NULL || environment_refuses(app, &tool->target, sha, row->t.requester, why, err);
}

static bool end_without_start(struct app *app, struct tool_run_row *run,
                              enum command_outcome outcome, const char *why, struct err *err)
{
    struct command_result r = {.outcome = outcome, .error = why, .output = {"", 0}};
    return conclude(app, run, &r, err);
}

bool command_due(struct app *app, struct tool_run_row *run, struct err *err)
{
    struct thread_row row;
    const char *why;
    if (!store_get_thread(&app->store, app->a, run->thread, &row, err))
        return false;
    if (thread_is_over(row.t.status))
        return end_without_start(app, run, COMMAND_KILLED, "", err);
    if (row.t.paused || app->paused_all) {
        run->due_at_ms = app->now_ms + PAUSED_LOOK_MS;
        return store_set_tool_run(&app->store, run, err);
    }
    if (!check_again(app, run, &row, &why, err))
        return false;
    return why == NULL ? start_again(app, run, err)
                       : end_without_start(app, run, COMMAND_NOT_STARTED, why, err);
}

bool command_ended(struct app *app, struct tool_run_row *run, const struct command_result *r,
                   struct err *err)
{
    if (r->outcome != COMMAND_HELD_UP || !tool_may_wait(app, run))
        return conclude(app, run, r, err);
    log_warn("command.held_up", L_STR("thread", run->thread), L_STR("name", run->name),
             L_STR("why", r->error));
    tool_wait(app, run);
    return store_set_tool_run(&app->store, run, err);
}
