/* Commands, reads and look-ups: started as rows, performed outside, concluded as events. A call
 * that acts is checked once more just before it starts, and starts at most once (promises 4 and 5).
 * See app.h. */
#include "gateway/app.h"
#include "gateway/base/hash.h"
#include "gateway/base/strbuf.h"
#include "gateway/base/template.h"
#include "gateway/base/text.h"

#include <stdlib.h>
#include <string.h>

enum {
    ARG_BYTES = 64 * 1024,
    READ_TIMEOUT_MS = 60000,
    READ_OUTPUT_BYTES = 1 << 20,
    CALL_TIMEOUT_MS = 30000,
    TAIL_BYTES = 4000,
    MOST_READ_ATTEMPTS = 5,
};

/* ---- argv and environment ---------------------------------------------------------------- */

/* A value must not turn into an option, nor hold what no argument may hold, unless the argument's
 * own pattern says that it may. */
static bool is_safe_in_argv(const char *item, const char *value, const char *rendered)
{
    if (strpbrk(value, "\r\n") != NULL)
        return false;
    return *value != '-' || rendered[0] != '-' || item[0] == '-';
}

typedef const char *(*value_fn)(struct app *app, const void *ctx, const char *name,
                                bool *has_pattern);

static bool render_item(struct app *app, const char *item, value_fn value, const void *ctx,
                        const char **out, struct err *err)
{
    struct template *t;
    struct template_value values[16];
    bool guarded[16];
    size_t n = 0;
    struct strbuf b;
    strbuf_init(&b, app->a, ARG_BYTES);
    if (!template_parse(app->a, item, NULL, &t, err))
        return false;
    for (const char *at = strstr(item, "{{"); at != NULL && n < COUNT(values);
         at = strstr(at + 2, "{{")) {
        const char *begin = at + 2 + strspn(at + 2, " ");
        char *name = arena_strndup(app->a, begin, strcspn(begin, " }"));
        bool has_pattern = false;
        const char *text = value(app, ctx, name, &has_pattern);
        if (text == NULL)
            text = ""; /* an optional argument that was not given */
        guarded[n] = !has_pattern;
        values[n++] = (struct template_value){.name = name, .text = text};
    }
    if (!template_render(t, values, n, NULL, &b, err))
        return false;
    for (size_t i = 0; i < n; i++)
        if (guarded[i] && !is_safe_in_argv(item, values[i].text, b.text))
            return fail(
                err, ERR_INVALID,
                "%s: a value that begins with '-' or holds a line break is not passed to a command",
                values[i].name);
    *out = b.text;
    return true;
}

static bool render_argv(struct app *app, const struct tool_run *run, value_fn value,
                        const void *ctx, struct json **out, struct err *err)
{
    *out = json_array(app->a);
    for (size_t i = 0; i < run->n_argv; i++) {
        const char *item;
        if (!render_item(app, run->argv[i], value, ctx, &item, err))
            return false;
        json_push_text(app->a, *out, item);
    }
    return true;
}

struct arguments {
    const struct tool *tool;
    const struct json *values;
};

static const char *argument_value(struct app *app, const void *ctx, const char *name,
                                  bool *has_pattern)
{
    const struct arguments *args = ctx;
    const struct json *j = json_get(args->values, name);
    const struct tool_arg *arg = tool_arg_by_name(args->tool, name);
    *has_pattern = arg != NULL && arg->pattern != NULL;
    if (j == NULL)
        return NULL;
    return j->type == JSON_STRING ? j->text : json_write(app->a, j);
}

static const char *stage_value(struct app *app, const void *ctx, const char *name,
                               bool *has_pattern)
{
    const struct thread_row *row = ctx;
    *has_pattern = false;
    return run_variable(app->a, &row->t, row->run, name);
}

static void add_variable(struct app *app, struct json *env, const char *name, const char *value)
{
    if (value != NULL)
        json_push_text(app->a, env, arena_printf(app->a, "%s=%s", name, value));
}

/* Empty but for what DESIGN section 6 names. Secrets come only by run.env; they are in the order
 * that the runner gets, and in no row. */
static const char *const *environment_of(struct app *app, const struct tool_run *run,
                                         const char *thread, const char *id)
{
    static const char *const common[] = {"PATH", "HOME", "LANG", "TZ"};
    struct json *env = json_array(app->a);
    for (size_t i = 0; i < COUNT(common); i++)
        add_variable(app, env, common[i], getenv(common[i]));
    add_variable(app, env, "SIGNOFF_THREAD", thread);
    add_variable(app, env, "SIGNOFF_RUN", id);
    for (size_t i = 0; run != NULL && i < run->n_env; i++)
        add_variable(app, env, run->env[i], getenv(run->env[i]));
    const char **out = ARENA_ARRAY(app->a, const char *, json_count(env) + 1);
    size_t n = 0;
    JSON_EACH(item, env)
    {
        out[n++] = item->text;
    }
    return out;
}

static const char *const *argv_of(struct app *app, const struct json *list)
{
    const char **out = ARENA_ARRAY(app->a, const char *, json_count(list) + 1);
    size_t n = 0;
    JSON_EACH(item, list)
    {
        out[n++] = json_text(item);
    }
    return out;
}

/* ---- concluding -------------------------------------------------------------------------- */

static bool end_run(struct app *app, struct tool_run_row *run, struct err *err)
{
    run->state = "ended";
    run->ended_at_ms = app->now_ms;
    return store_set_tool_run(&app->store, run, err);
}

static bool append_finished(struct app *app, const char *thread, int64_t call, const char *tool,
                            const char *outcome, const struct json *result, bool prefetch,
                            bool not_started, struct err *err)
{
    struct json *data = json_object(app->a);
    json_set_int(app->a, data, "call", call);
    json_set_text(app->a, data, "tool", tool);
    json_set_text(app->a, data, "outcome", outcome);
    if (prefetch)
        json_set_bool(app->a, data, "prefetch", true);
    if (not_started)
        json_set_bool(app->a, data, "not_started", true);
    json_set(app->a, data, "result", result);
    if (strcmp(outcome, "ok") != 0)
        metrics_add(app->metrics, METRIC_TOOLS_FAILED, 1);
    log_info("tool.finished", L_STR("thread", thread), L_STR("tool", tool),
             L_STR("outcome", outcome));
    return app_append(app, thread, EVENT_TOOL_FINISHED, "system", data, NULL, err);
}

static struct json *error_result(struct app *app, const char *sentence)
{
    struct json *result = json_object(app->a);
    json_set_text(app->a, result, "error", sentence);
    return result;
}

/* Stopped by a check before it began. */
static bool refuse_call(struct app *app, const struct thread_row *row, const struct effect *e,
                        const char *why, enum tool_start *out, struct err *err)
{
    metrics_add(app->metrics, METRIC_TOOLS_REFUSED, 1);
    *out = TOOL_ENDED_AT_ONCE;
    return append_finished(app, row->t.id, e->call, e->tool->name, "refused",
                           error_result(app, why), e->call == 0, true, err);
}

/* ---- repositories ------------------------------------------------------------------------ */

static const struct github_settings *github_of(const struct config *config, const char *repo)
{
    for (size_t i = 0; i < config->n_sources; i++) {
        if (strcmp(config->sources[i].type, "github") != 0)
            continue;
        const struct github_settings *s = config->sources[i].settings;
        for (size_t k = 0; k < s->n_repos; k++)
            if (strcmp(s->repos[k], repo) == 0)
                return s;
    }
    return NULL;
}

static const struct json *only_repo(const struct config *config)
{
    for (size_t i = 0; i < config->n_environments; i++)
        if (config->environments[i].repo != NULL)
            return config->environments[i].repo;
    return NULL;
}

/* By the run's, else the agent's, else the only one. */
static bool repo_of(struct app *app, const struct thread_row *row, struct source_repo *out)
{
    const struct agent *agent =
        row->t.agent == NULL ? NULL : config_agent(app->config, row->t.agent);
    const struct json *repo = row->repo != NULL ? json_parse_own(app->a, row->repo)
                              : agent != NULL && agent->repo != NULL ? agent->repo
                                                                     : only_repo(app->config);
    *out = (struct source_repo){0};
    if (repo == NULL)
        return false;
    out->path = json_text_at(repo, "path");
    if (out->path != NULL && out->path[0] != '/')
        out->path = arena_printf(app->a, "%s/%s", app->config->folder, out->path);
    if (out->path != NULL)
        return true;
    out->name = json_text(repo);
    out->github = out->name == NULL ? NULL : github_of(app->config, out->name);
    return out->github != NULL;
}

/* ---- little machines: reads and look-ups ------------------------------------------------- */

static bool conclude_read(struct app *app, struct tool_run_row *run, const struct json *value,
                          const char *error, struct err *err)
{
    const struct json *spec = json_parse_own(app->a, run->spec);
    if (!end_run(app, run, err))
        return false;
    if (strcmp(run->kind, "fact") == 0) {
        struct json *data = json_object(app->a);
        json_set_text(app->a, data, "fact", run->name);
        json_set_int(app->a, data, "call", run->call);
        if (value != NULL)
            json_set(app->a, data, "value", value);
        else
            json_set_text(app->a, data, "error", error);
        return app_append(app, run->thread, EVENT_NOTE, "system", data, NULL, err);
    }
    return append_finished(app, run->thread, run->call, run->name, value != NULL ? "ok" : "failed",
                           value != NULL ? value : error_result(app, error),
                           json_is_true(json_get(spec, "prefetch")), false, err);
}

static bool conclude_reconcile(struct app *app, struct tool_run_row *run, const struct json *value,
                               const char *error, struct err *err)
{
    const struct json *spec = json_parse_own(app->a, run->spec);
    const char *repo = json_text_at(spec, "repo");
    if (!end_run(app, run, err))
        return false;
    if (value == NULL) {
        log_warn("reconcile.failed", L_STR("repo", repo), L_STR("why", error));
        return true;
    }
    JSON_EACH(pull, json_get(value, "merged"))
    {
        bool seen;
        struct arrival in = {
            .kind = ARRIVAL_EVENT,
            .type = "github_pull_request",
            .when = "pull_request.merged",
            .repo = repo,
            .base = json_text_at(pull, "base"),
            .sender = arena_printf(app->a, "github:%s", json_text_or(pull, "merged_by", "ghost")),
            .data = pull};
        in.keys[0] = arena_printf(app->a, "merge:%s#%lld@%s", repo,
                                  (long long)json_int_or(json_get(pull, "number"), 0),
                                  json_text_or(pull, "sha", ""));
        if (!router_store(app, json_text_or(spec, "source", ""), &in, &seen, err))
            return false;
        if (!seen)
            log_info("reconcile.found", L_STR("repo", repo), L_STR("key", in.keys[0]));
    }
    return true;
}

static bool start_read_command(struct app *app, struct tool_run_row *run,
                               const struct look_up_step *step, struct err *err)
{
    struct command_spec spec = {.id = arena_printf(app->a, "%s.%zu.%lld", run->id,
                                                   json_count(json_parse_own(app->a, run->replies)),
                                                   (long long)run->attempt),
                                .argv = step->argv,
                                .cwd = step->cwd,
                                .env = environment_of(app, NULL, run->thread, run->id),
                                .timeout_ms = READ_TIMEOUT_MS,
                                .max_output = READ_OUTPUT_BYTES};
    run->state = "running";
    app_command(app, &spec);
    return store_set_tool_run(&app->store, run, err);
}

static bool start_read_call(struct app *app, struct tool_run_row *run, const struct wire *wire,
                            struct err *err)
{
    struct http_job *job = http_job_new(wire->method, wire->url, app->mailbox, LETTER_REPLY);
    const char *etag = NULL, *body = NULL;
    job->row = arena_strdup(&job->arena, run->id);
    for (size_t i = 0; i < wire->n_headers; i++)
        http_job_header(job, wire->headers[i].name, wire->headers[i].value);
    if (!store_get_etag(&app->store, app->a, wire->url, &etag, &body, err)) {
        letter_free(&job->letter);
        return false;
    }
    if (etag != NULL)
        http_job_header(job, "If-None-Match", etag);
    job->timeout_ms = CALL_TIMEOUT_MS;
    job->max_answer_bytes = READ_OUTPUT_BYTES * 4;
    job->repeatable = true;
    run->state = "running";
    app_call(app, job);
    return store_set_tool_run(&app->store, run, err);
}

/* One step of a read: the machine says what comes next from the replies so far. */
static bool step_read(struct app *app, struct tool_run_row *run, const struct source_repo *repo,
                      struct err *err)
{
    const struct json *spec = json_parse_own(app->a, run->spec);
    struct look_up_step step = source_repo_next(
        app->a, repo, json_text_or(spec, "what", run->name), json_get(spec, "args"),
        json_parse_own(app->a, run->replies == NULL ? "[]" : run->replies), app->now_ms);
    switch (step.next) {
    case LOOK_UP_COMMAND:
        return start_read_command(app, run, &step, err);
    case LOOK_UP_HTTP:
        return start_read_call(app, run, &step.wire, err);
    case LOOK_UP_WAIT:
        run->state = "due";
        run->due_at_ms = app->now_ms + step.wait_ms;
        return store_set_tool_run(&app->store, run, err);
    case LOOK_UP_DONE:
    case LOOK_UP_FAILED:
        return strcmp(run->kind, "reconcile") == 0
                   ? conclude_reconcile(app, run, step.value, step.error, err)
                   : conclude_read(app, run, step.value, step.error, err);
    }
    UNREACHABLE();
}

static bool go_on_reading(struct app *app, struct tool_run_row *run, struct err *err)
{
    struct source_repo repo = {0};
    struct thread_row row;
    if (strcmp(run->kind, "reconcile") == 0) {
        repo.name = json_text_at(json_parse_own(app->a, run->spec), "repo");
        repo.github = github_of(app->config, repo.name);
        return repo.github == NULL ? end_run(app, run, err) : step_read(app, run, &repo, err);
    }
    if (!store_get_thread(&app->store, app->a, run->thread, &row, err))
        return false;
    if (!repo_of(app, &row, &repo))
        return conclude_read(app, run, NULL, "no repository is configured for this", err);
    return step_read(app, run, &repo, err);
}

static bool begin_read(struct app *app, const char *thread, int64_t call, const char *kind,
                       const char *name, const struct json *spec, struct err *err)
{
    struct tool_run_row run = {.id = app_id(app, 'x'),
                               .thread = thread,
                               .call = call,
                               .kind = kind,
                               .name = name,
                               .spec = json_write(app->a, spec),
                               .replies = "[]",
                               .state = "due",
                               .attempt = 1,
                               .due_at_ms = app->now_ms,
                               .started_at_ms = app->now_ms};
    return store_add_tool_run(&app->store, &run, err) && go_on_reading(app, &run, err);
}

static bool add_reply(struct app *app, struct tool_run_row *run, const struct json *reply,
                      struct err *err)
{
    struct json *replies = json_parse_own(app->a, run->replies);
    json_push(app->a, replies, reply);
    run->replies = json_write(app->a, replies);
    return store_set_tool_run(&app->store, run, err) && go_on_reading(app, run, err);
}

bool tool_look_up(struct app *app, struct thread_row *row, const struct effect *e, struct err *err)
{
    struct json *asked = json_object(app->a);
    json_set_text(app->a, asked, "looking_up", e->key);
    json_set_int(app->a, asked, "call", e->call);
    if (!app_append(app, row->t.id, EVENT_NOTE, "system", asked, NULL, err))
        return false;
    if (text_starts(e->key, "deploy.place:")) {
        const struct json *value;
        struct json *data = json_object(app->a);
        if (!environment_place(app, e->key, &value, err))
            return false;
        json_set_text(app->a, data, "fact", e->key);
        json_set_int(app->a, data, "call", e->call);
        json_set(app->a, data, "value", value);
        return app_append(app, row->t.id, EVENT_NOTE, "system", data, NULL, err);
    }
    struct json *spec = json_object(app->a);
    json_set_text(app->a, spec, "what",
                  text_starts(e->key, "git.again:")
                      ? arena_printf(app->a, "git.resolve:%s", strchr(e->key, ':') + 1)
                      : e->key);
    return begin_read(app, row->t.id, e->call, "fact", e->key, spec, err);
}

bool tool_reconcile(struct app *app, struct err *err)
{
    for (size_t i = 0; i < app->config->n_sources; i++) {
        const struct source_config *source = &app->config->sources[i];
        if (strcmp(source->type, "github") != 0)
            continue;
        const struct github_settings *s = source->settings;
        for (size_t k = 0; s->token != NULL && k < s->n_repos; k++) {
            struct json *spec = json_object(app->a);
            json_set_text(app->a, spec, "what", "git.merged:");
            json_set_text(app->a, spec, "repo", s->repos[k]);
            json_set_text(app->a, spec, "source", source->name);
            if (!begin_read(app, "", 0, "reconcile", s->repos[k], spec, err))
                return false;
        }
    }
    return true;
}

/* ---- commands ---------------------------------------------------------------------------- */

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
        .argv = argv_of(app, json_get(spec, "argv")),
        .cwd = json_text_at(spec, "cwd"),
        .env = environment_of(app, run_config(app, run, spec), run->thread, run->id),
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

static bool append_started(struct app *app, const struct thread_row *row, const struct effect *e,
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

static bool run_read(struct app *app, struct thread_row *row, const struct effect *e,
                     enum tool_start *out, struct err *err)
{
    *out = TOOL_STARTED_NOW;
    struct json *spec = json_object(app->a);
    json_set_text(app->a, spec, "what", e->tool->run.builtin);
    json_set(app->a, spec, "args", e->data);
    if (e->call == 0)
        json_set_bool(app->a, spec, "prefetch", true);
    if (!append_started(app, row, e, e->data, NULL, err))
        return false;
    if (text_eq(e->tool->run.builtin, "list_deployments")) {
        const struct json *value;
        *out = TOOL_ENDED_AT_ONCE;
        return environment_list_deployments(app, e->data, &value, err) &&
               append_finished(app, row->t.id, e->call, e->tool->name, "ok", value, e->call == 0,
                               false, err);
    }
    return begin_read(app, row->t.id, e->call, "read", e->tool->name, spec, err);
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

/* Is a command of anybody at work in this environment? */
static bool is_busy(struct app *app, const char *environment, bool *busy, struct err *err)
{
    struct tool_run_row *runs;
    size_t n;
    *busy = false;
    if (!store_open_tool_runs(&app->store, app->a, NULL, &runs, &n, err))
        return false;
    for (size_t i = 0; i < n; i++)
        if ((strcmp(runs[i].kind, "command") == 0 || strcmp(runs[i].kind, "stage") == 0) &&
            text_eq(json_text_at(json_parse_own(app->a, runs[i].spec), "environment"), environment))
            *busy = true;
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
    if (!is_busy(app, t->environment, &busy, err))
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
    return append_started(app, row, e, args, NULL, err) &&
           append_finished(app, row->t.id, e->call, e->tool->name, "ok", result, false, false, err);
}

static const char *sha_of(const struct tool *tool, const struct json *args)
{
    return tool->target.ref == NULL ? "" : json_text_or(args, tool->target.ref, "");
}

static bool run_write(struct app *app, struct thread_row *row, const struct effect *e,
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
    struct arguments values = {.tool = e->tool, .values = args};
    if (!render_argv(app, &e->tool->run, argument_value, &values, &argv, &bad))
        return refuse_call(app, row, e, arena_strdup(app->a, bad.text), out, err);
    if (app->dry_run) {
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
           append_started(app, row, e, args, run_id, err);
}

bool tool_run(struct app *app, struct thread_row *row, const struct agent *agent,
              const struct effect *e, enum tool_start *out, struct err *err)
{
    (void)agent;
    if (e->tool->reads && e->tool->run.kind == RUN_BUILTIN)
        return run_read(app, row, e, out, err);
    return run_write(app, row, e, out, err);
}

bool tool_run_stage(struct app *app, struct thread_row *row, const struct pipeline *pipeline,
                    const struct stage *stage, int64_t attempt, struct err *err)
{
    struct json *argv, *held = NULL, *data = json_object(app->a);
    struct err bad = ERR_INIT;
    json_set_text(app->a, data, "stage", stage->name);
    json_set_int(app->a, data, "attempt", attempt);
    if (!render_argv(app, &stage->run, stage_value, row, &argv, &bad)) {
        json_set_text(app->a, data, "outcome", "failed");
        json_set_text(app->a, data, "ending", arena_strdup(app->a, bad.text));
        return app_append(app, row->t.id, EVENT_STAGE_FINISHED, "system", data, NULL, err);
    }
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
        return "failed";
    case COMMAND_KILLED:
        return "killed";
    case COMMAND_UNKNOWN:
        return "unknown";
    }
    UNREACHABLE();
}

static const char *ending_text(struct app *app, const struct command_result *r, int64_t timeout_ms)
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
    const char *ending = ending_text(app, r, json_int_or(json_get(spec, "timeout_ms"), 0));
    if (strcmp(outcome, "ok") != 0)
        json_set_text(app->a, result, "error", ending);
    json_set_int(app->a, result, "exit", r->exit_code);
    json_set_text(app->a, result, "output", utf8_clean(app->a, r->output));
    if (r->truncated)
        json_set_int(app->a, result, "output_bytes", r->output_bytes);
    return append_finished(app, run->thread, run->call, run->name, outcome, result,
                           json_is_true(json_get(spec, "prefetch")), false, err);
}

static bool conclude_stage(struct app *app, struct tool_run_row *run, const struct json *spec,
                           const struct command_result *r, const char *outcome, struct err *err)
{
    struct json *data = json_object(app->a), *now;
    const char *ending = ending_text(app, r, json_int_or(json_get(spec, "timeout_ms"), 0));
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
    struct thread_row row;
    if (!store_get_thread(&app->store, app->a, run->thread, &row, err))
        return false;
    const struct pipeline *p =
        row.t.pipeline == NULL ? NULL : config_pipeline(app->config, row.t.pipeline);
    const char *environment = json_text_at(spec, "environment");
    for (size_t i = 0; p != NULL && strcmp(outcome, "ok") == 0 && i < p->n_stages; i++)
        if (strcmp(p->stages[i].name, run->name) == 0 && stage_is_last_there(p, &p->stages[i]) &&
            environment != NULL &&
            !store_add_passed(&app->store, environment, json_text_or(spec, "sha", ""), run->thread,
                              app->now_ms, err))
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
    if (root.t.pipeline == NULL && !environment_leave(app, environment, root.t.id, err))
        return false;
    return wake_waiting(app, environment, err);
}

/* A reading command: its output is one reply of the machine. */
static bool read_command_ended(struct app *app, struct tool_run_row *run,
                               const struct command_result *r, struct err *err)
{
    struct json *reply = json_object(app->a);
    if (r->outcome != COMMAND_EXITED && run->attempt < MOST_READ_ATTEMPTS &&
        r->outcome != COMMAND_TIMED_OUT) {
        run->attempt++;
        run->state = "due"; /* it only reads: it may run again */
        run->due_at_ms = app->now_ms + 100;
        return store_set_tool_run(&app->store, run, err);
    }
    if (r->outcome == COMMAND_EXITED)
        json_set_int(app->a, reply, "exit", r->exit_code);
    else
        json_set_text(app->a, reply, "error", ending_text(app, r, READ_TIMEOUT_MS));
    json_set_text(app->a, reply, "output", utf8_clean(app->a, r->output));
    return add_reply(app, run, reply, err);
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
    const struct json *spec = json_parse_own(app->a, run.spec);
    if (strcmp(run.kind, "command") != 0 && strcmp(run.kind, "stage") != 0)
        return read_command_ended(app, &run, r, err);
    if (r->outcome == COMMAND_NOT_STARTED && strcmp(run.state, "found") == 0) {
        /* The gateway died between the commit and the spawn: nothing ran, and nothing under that id
         * ever will, so this is the first start and not a second. */
        run.attempt++;
        run.state = "running";
        start_command(app, &run);
        return store_set_tool_run(&app->store, &run, err) &&
               db_run(app->store.db, "UPDATE tool_runs SET spec = $2 WHERE id = $1",
                      DB_ARGS(db_text(run.id), db_text(run.spec)), err);
    }
    const char *outcome = outcome_word(r);
    if (!end_run(app, &run, err) || !leave_environment(app, &run, spec, outcome, err))
        return false;
    return strcmp(run.kind, "command") == 0 ? conclude_command(app, &run, spec, r, outcome, err)
                                            : conclude_stage(app, &run, spec, r, outcome, err);
}

/* ---- replies of calls -------------------------------------------------------------------- */

static bool not_modified(struct app *app, const struct http_job *job, struct json *reply,
                         struct err *err)
{
    const char *etag, *body = NULL;
    if (!store_get_etag(&app->store, app->a, job->url, &etag, &body, err))
        return false;
    json_set_int(app->a, reply, "status", 200);
    json_set_text(app->a, reply, "body", body == NULL ? "" : body);
    return true;
}

static bool read_reply(struct app *app, struct tool_run_row *run, const struct http_job *job,
                       struct err *err)
{
    static const char *const kept[] = {"link", "x-ratelimit-remaining", "x-ratelimit-reset"};
    struct json *reply = json_object(app->a);
    if (job->outcome != HTTP_ANSWERED) {
        if (run->attempt < MOST_READ_ATTEMPTS) {
            run->attempt++;
            run->state = "due";
            run->due_at_ms = app->now_ms + (500LL << run->attempt);
            return store_set_tool_run(&app->store, run, err);
        }
        json_set_text(app->a, reply, "error", job->error);
        return add_reply(app, run, reply, err);
    }
    const char *etag = http_job_answer_header(job, "etag");
    const char *body = utf8_clean(app->a, job->answer);
    json_set_int(app->a, reply, "status", job->status);
    json_set_int(app->a, reply, "at_ms", app->now_ms);
    json_set_text(app->a, reply, "body", body);
    if (job->status == 304 && !not_modified(app, job, reply, err))
        return false;
    if (job->status == 200 && etag != NULL &&
        !store_put_etag(&app->store, job->url, etag, body, app->now_ms, err))
        return false;
    for (size_t i = 0; i < COUNT(kept); i++)
        if (http_job_answer_header(job, kept[i]) != NULL)
            json_set_text(app->a, reply, kept[i], http_job_answer_header(job, kept[i]));
    if (job->retry_after_ms > 0)
        json_set_int(app->a, reply, "retry_after_ms", job->retry_after_ms);
    return add_reply(app, run, reply, err);
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
                                          : read_reply(app, &run, job, err);
}

bool tool_due(struct app *app, struct tool_run_row *run, struct err *err)
{
    return strcmp(run->kind, "model") == 0 ? model_due(app, run, err)
                                           : go_on_reading(app, run, err);
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
