/* What only reads: the built-in readers, look-ups of a step's facts and merges that were missed.
 * Each is a little machine of source_repo.h: every reply is in its row before the next call goes
 * out. See tools_private.h. */
#include "gateway/base/text.h"
#include "gateway/tools_private.h"

#include <string.h>

enum {
    CLOCKS_DIFFER_MS = 60000, /* GitHub's and ours; its times have whole seconds */
    READ_OUTPUT_BYTES = 1 << 20,
    CALL_TIMEOUT_MS = 30000,
    MOST_READ_ATTEMPTS = 5,
};

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

/* Our own record comes first and is always there; GitHub's deployments stand beside it. */
static bool add_own_record(struct app *app, const struct json *spec, const struct json **value,
                           const char *error, struct err *err)
{
    const struct json *own;
    struct json *both = json_object(app->a);
    if (!environment_list_deployments(app, json_get(spec, "args"), &own, err))
        return false;
    JSON_EACH(member, own)
    {
        json_set(app->a, both, member->key, member);
    }
    if (*value != NULL)
        json_set(app->a, both, "github", json_get(*value, "deployments"));
    else
        json_set_text(app->a, both, "github_error", error);
    *value = both;
    return true;
}

static bool conclude_read(struct app *app, struct tool_run_row *run, const struct json *value,
                          const char *error, struct err *err)
{
    const struct json *spec = json_parse_own(app->a, run->spec);
    if (!tool_end_run(app, run, err))
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
    if (text_eq(json_text_at(spec, "what"), "list_deployments") &&
        !add_own_record(app, spec, &value, error, err))
        return false;
    struct tool_ending ending = {.thread = run->thread,
                                 .tool = run->name,
                                 .outcome = value != NULL ? "ok" : "failed",
                                 .call = run->call,
                                 .result = value != NULL ? value : tool_error(app, error),
                                 .prefetch = json_is_true(json_get(spec, "prefetch"))};
    return tool_append_finished(app, &ending, err);
}

/* The row of a read, due at once. */
static bool add_read(struct app *app, const char *thread, int64_t call, const char *kind,
                     const char *name, const struct json *spec, struct tool_run_row *run,
                     struct err *err)
{
    *run = (struct tool_run_row){.id = app_id(app, 'x'),
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
    return store_add_tool_run(&app->store, run, err);
}

/* A merge that no webhook told of. The list does not say who merged it, and who did is the run's
 * requester: then it is asked for by itself. */
static bool take_merge(struct app *app, const struct json *spec, const struct json *pull,
                       struct err *err)
{
    const char *source = json_text_or(spec, "source", ""), *repo = json_text_at(spec, "repo");
    const char *merged_by = json_text_at(pull, "merged_by");
    int64_t number = json_int_or(json_get(pull, "number"), 0), merged_ms;
    struct tool_run_row run;
    bool known;
    if (!time_parse(json_text_or(pull, "merged_at", ""), &merged_ms) ||
        merged_ms + CLOCKS_DIFFER_MS < json_int_or(json_get(spec, "since_ms"), 0))
        return true;
    struct arrival in = {.kind = ARRIVAL_EVENT,
                         .type = "github_pull_request",
                         .when = "pull_request.merged",
                         .repo = repo,
                         .base = json_text_at(pull, "base"),
                         .data = pull};
    in.keys[0] = arena_printf(app->a, "merge:%s#%lld@%s", repo, (long long)number,
                              json_text_or(pull, "sha", ""));
    if (!store_is_known(&app->store, app->a, arena_printf(app->a, "%s:%s", source, in.keys[0]),
                        &known, err))
        return false;
    if (known)
        return true;
    if (merged_by == NULL) {
        struct json *one = json_object(app->a);
        JSON_EACH(member, spec)
        {
            json_set(app->a, one, member->key, member);
        }
        json_set_text(app->a, one, "what",
                      arena_printf(app->a, "git.pull:%lld", (long long)number));
        return add_read(app, "", 0, "reconcile", repo, one, &run, err);
    }
    in.sender = arena_printf(app->a, "github:%s", merged_by);
    log_info("reconcile.found", L_STR("repo", repo), L_STR("key", in.keys[0]));
    return router_store(app, source, &in, &known, err);
}

static bool conclude_reconcile(struct app *app, struct tool_run_row *run, const struct json *value,
                               const char *error, struct err *err)
{
    const struct json *spec = json_parse_own(app->a, run->spec);
    if (!tool_end_run(app, run, err))
        return false;
    if (value == NULL)
        log_warn("reconcile.failed", L_STR("repo", json_text_at(spec, "repo")),
                 L_STR("why", error));
    JSON_EACH(pull, json_get(value, "merged"))
    {
        if (!take_merge(app, spec, pull, err))
            return false;
    }
    return true;
}

static const char *id_of_read(struct app *app, const struct tool_run_row *run)
{
    return arena_printf(app->a, "%s.%zu.%lld", run->id,
                        json_count(json_parse_own(app->a, run->replies)), (long long)run->attempt);
}

bool look_up_command_id(struct app *app, const struct tool_run_row *run, const char **id,
                        struct err *err)
{
    struct source_repo repo = {0};
    struct thread_row row;
    *id = NULL;
    if (strcmp(run->kind, "read") != 0 && strcmp(run->kind, "fact") != 0)
        return true;
    if (!store_get_thread(&app->store, app->a, run->thread, &row, err))
        return false;
    if (repo_of(app, &row, &repo) && repo.path != NULL)
        *id = id_of_read(app, run);
    return true;
}

static bool start_read_command(struct app *app, struct tool_run_row *run,
                               const struct look_up_step *step, struct err *err)
{
    struct command_spec spec = {.id = id_of_read(app, run),
                                .argv = step->argv,
                                .cwd = step->cwd,
                                .env = argv_environment(app, NULL, run->thread, run->id),
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

bool look_up_go_on(struct app *app, struct tool_run_row *run, struct err *err)
{
    struct source_repo repo = {0};
    struct thread_row row;
    if (strcmp(run->kind, "reconcile") == 0) {
        repo.name = json_text_at(json_parse_own(app->a, run->spec), "repo");
        repo.github = github_of(app->config, repo.name);
        return repo.github == NULL ? tool_end_run(app, run, err) : step_read(app, run, &repo, err);
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
    struct tool_run_row run;
    return add_read(app, thread, call, kind, name, spec, &run, err) &&
           look_up_go_on(app, &run, err);
}

static bool add_reply(struct app *app, struct tool_run_row *run, const struct json *reply,
                      struct err *err)
{
    struct json *replies = json_parse_own(app->a, run->replies);
    json_push(app->a, replies, reply);
    run->replies = json_write(app->a, replies);
    return store_set_tool_run(&app->store, run, err) && look_up_go_on(app, run, err);
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

/* Merges from before this gateway's first start are none of its business. */
static bool set_since(struct app *app, const char *source, struct json *spec, struct err *err)
{
    const char *key = arena_printf(app->a, "reconcile_since:%s", source), *text;
    int64_t since_ms;
    if (!store_meta_get(&app->store, app->a, key, &text, err))
        return false;
    if (text == NULL || !text_to_int(text, 0, INT64_MAX, &since_ms)) {
        since_ms = app->now_ms;
        if (!store_meta_set(&app->store, key, arena_printf(app->a, "%lld", (long long)since_ms),
                            err))
            return false;
    }
    json_set_int(app->a, spec, "since_ms", since_ms);
    return true;
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
            if (!set_since(app, source->name, spec, err) ||
                !begin_read(app, "", 0, "reconcile", s->repos[k], spec, err))
                return false;
        }
    }
    return true;
}

bool look_up_run(struct app *app, struct thread_row *row, const struct effect *e,
                 enum tool_start *out, struct err *err)
{
    *out = TOOL_STARTED_NOW;
    struct json *spec = json_object(app->a);
    json_set_text(app->a, spec, "what", e->tool->run.builtin);
    json_set(app->a, spec, "args", e->data);
    if (e->call == 0)
        json_set_bool(app->a, spec, "prefetch", true);
    if (!tool_append_started(app, row, e, e->data, NULL, err))
        return false;
    struct source_repo repo;
    bool on_github = repo_of(app, row, &repo) && repo.github != NULL;
    if (text_eq(e->tool->run.builtin, "list_deployments") && !on_github) {
        struct tool_ending ending = {.thread = row->t.id,
                                     .tool = e->tool->name,
                                     .outcome = "ok",
                                     .call = e->call,
                                     .prefetch = e->call == 0};
        *out = TOOL_ENDED_AT_ONCE;
        return environment_list_deployments(app, e->data, &ending.result, err) &&
               tool_append_finished(app, &ending, err);
    }
    return begin_read(app, row->t.id, e->call, "read", e->tool->name, spec, err);
}

/* ---- replies ----------------------------------------------------------------------------- */

/* A reading command: its output is one reply of the machine. */
bool look_up_command_ended(struct app *app, struct tool_run_row *run,
                           const struct command_result *r, struct err *err)
{
    struct json *reply = json_object(app->a);
    if (r->outcome == COMMAND_HELD_UP && tool_may_wait(app, run)) {
        tool_wait(app, run);
        run->attempt++;
        return store_set_tool_run(&app->store, run, err);
    }
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
        json_set_text(app->a, reply, "error", command_ending_text(app, r, READ_TIMEOUT_MS));
    json_set_text(app->a, reply, "output", utf8_clean(app->a, r->output));
    return add_reply(app, run, reply, err);
}

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

bool look_up_reply(struct app *app, struct tool_run_row *run, const struct http_job *job,
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
