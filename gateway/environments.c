/* Environments: who holds them, what runs in them, whether one may act there now. See app.h and
 * DESIGN section 8. */
#include "gateway/app.h"
#include "gateway/base/text.h"
#include "gateway/freeze.h"

#include <string.h>

/* ---- holds ------------------------------------------------------------------------------- */

/* Merges that pile up are coalesced to the newest: older runs that wait here are over, and so is
 * this one if a newer one came first. */
static bool supersede(struct app *app, const char *environment, const char *root,
                      const char *pipeline, bool *over, struct err *err)
{
    struct hold_row *holds;
    struct thread_row ours;
    size_t n;
    *over = false;
    if (!store_holds(&app->store, app->a, environment, &holds, &n, err) ||
        !store_get_thread(&app->store, app->a, root, &ours, err))
        return false;
    for (size_t i = 0; i < n && !*over; i++) {
        struct thread_row other;
        if (strcmp(holds[i].thread, root) == 0)
            continue;
        if (!store_get_thread(&app->store, app->a, holds[i].thread, &other, err))
            return false;
        bool waits = strcmp(holds[i].state, "waiting") == 0;
        if (!text_eq(other.t.pipeline, pipeline))
            continue;
        *over = other.run > ours.run;
        if (waits && !*over && !thread_cancel(app, holds[i].thread, "system", "superseded", err))
            return false;
    }
    return !*over || thread_cancel(app, root, "system", "superseded", err);
}

bool environment_take(struct app *app, const char *environment, const char *root,
                      const char *pipeline, bool *held, struct err *err)
{
    struct hold_row *holds;
    size_t n;
    bool free_now = true, queued = false;
    if (!store_holds(&app->store, app->a, environment, &holds, &n, err))
        return false;
    *held = false;
    for (size_t i = 0; i < n; i++) {
        bool ours = strcmp(holds[i].thread, root) == 0;
        if (strcmp(holds[i].state, "held") == 0 && ours) {
            *held = true;
            return true;
        }
        free_now = free_now && strcmp(holds[i].state, "held") != 0;
        queued = queued || ours;
    }
    struct hold_row hold = {.environment = environment,
                            .thread = root,
                            .state = free_now ? "held" : "waiting",
                            .at_ms = app->now_ms};
    *held = free_now;
    if (queued && !free_now)
        return true;
    bool over = false;
    if (!free_now && pipeline != NULL && !supersede(app, environment, root, pipeline, &over, err))
        return false;
    return over || store_put_hold(&app->store, &hold, err);
}

/* The next in the queue has it now. */
static bool pass_on(struct app *app, const char *environment, struct err *err)
{
    struct hold_row *holds;
    size_t n;
    if (!store_holds(&app->store, app->a, environment, &holds, &n, err))
        return false;
    for (size_t i = 0; i < n; i++)
        if (strcmp(holds[i].state, "held") == 0)
            return true;
    if (n == 0)
        return true;
    holds[0].state = "held";
    if (!store_put_hold(&app->store, &holds[0], err))
        return false;
    /* The root, or the child of it that waits to act: each looks again. */
    const char **children;
    size_t n_children;
    if (!store_set_dirty(&app->store, holds[0].thread, true, err) ||
        !store_children(&app->store, app->a, holds[0].thread, &children, &n_children, err))
        return false;
    for (size_t i = 0; i < n_children; i++)
        if (!store_set_dirty(&app->store, children[i], true, err))
            return false;
    return true;
}

bool environment_leave(struct app *app, const char *environment, const char *root, struct err *err)
{
    return store_drop_hold(&app->store, environment, root, err) && pass_on(app, environment, err);
}

/* Is a command of anybody at work in this environment? */
bool environment_is_busy(struct app *app, const char *environment, bool *busy, struct err *err)
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

bool environment_leave_all(struct app *app, const char *root, struct err *err)
{
    struct hold_row *holds;
    size_t n;
    if (!store_holds(&app->store, app->a, NULL, &holds, &n, err))
        return false;
    for (size_t i = 0; i < n; i++) {
        bool busy = false;
        if (strcmp(holds[i].thread, root) != 0)
            continue;
        /* A command that is being killed still acts there: its ending gives the environment back.
         * Who only waits there leaves the queue at once. */
        if (strcmp(holds[i].state, "held") == 0 &&
            !environment_is_busy(app, holds[i].environment, &busy, err))
            return false;
        if (!busy && !environment_leave(app, holds[i].environment, root, err))
            return false;
    }
    return true;
}

/* ---- may one act there now? -------------------------------------------------------------- */

static bool is_excepted(const struct freeze *f, const struct people *people, const char *requester)
{
    const struct person *p = requester == NULL ? NULL : person_of_actor(people, requester);
    for (size_t i = 0; p != NULL && i < f->n_except; i++)
        if ((text_starts(f->except[i], "role:") && person_has_role(p, f->except[i] + 5)) ||
            (text_starts(f->except[i], "person:") && strcmp(p->id, f->except[i] + 7) == 0))
            return true;
    return false;
}

static const char *frozen(struct app *app, const struct environment *env, const char *requester)
{
    for (size_t i = 0; i < env->n_freezes; i++)
        if (freeze_is_on(&env->freezes[i], app->now_ms) &&
            !is_excepted(&env->freezes[i], &app->config->people, requester))
            return arena_printf(app->a, "%s is frozen (%s)", env->name, env->freezes[i].name);
    return NULL;
}

static bool promotion_refuses(struct app *app, const struct environment *env, const char *sha,
                              const char **why, struct err *err)
{
    const char *passed = NULL;
    if (env->promote_from == NULL || *sha == '\0' || app->dry_run) /* nothing passes in a dry run */
        return true;
    if (!store_has_passed(&app->store, app->a, env->promote_from, sha, &passed, err))
        return false;
    if (passed == NULL)
        *why = arena_printf(app->a, "%s takes only commits that passed on %s, and %.7s has not",
                            env->name, env->promote_from, sha);
    return true;
}

bool environment_note_passed(struct app *app, const char *pipeline, const char *stage,
                             const char *sha, const char *thread, struct err *err)
{
    const struct pipeline *p = config_pipeline(app->config, pipeline);
    for (size_t i = 0; p != NULL && i < p->n_stages && !app->dry_run; i++)
        if (strcmp(p->stages[i].name, stage) == 0 && p->stages[i].environment != NULL &&
            stage_is_last_there(p, &p->stages[i]))
            return store_add_passed(&app->store, p->stages[i].environment, sha, thread, app->now_ms,
                                    err);
    return true;
}

bool environment_refuses(struct app *app, const struct tool_target *target, const char *sha,
                         const char *requester, const char **why, struct err *err)
{
    const struct environment *env =
        target->environment == NULL ? NULL : config_environment(app->config, target->environment);
    struct lock_row lock;
    bool locked;
    *why = NULL;
    if (target->environment == NULL)
        return true;
    if (!store_get_lock(&app->store, app->a, target->environment, app->now_ms, &lock, &locked, err))
        return false;
    if (locked && !text_eq(lock.owner, requester))
        *why = arena_printf(app->a, "%s is locked by %s: %s", target->environment,
                            actor_display(app->a, &app->config->people, lock.owner), lock.reason);
    if (*why != NULL || env == NULL || target->rollback)
        return true;
    *why = frozen(app, env, requester);
    return *why != NULL || promotion_refuses(app, env, sha, why, err);
}

/* ---- what runs where --------------------------------------------------------------------- */

static bool add_current(struct app *app, struct json *place, const char *environment,
                        const char *component, struct err *err)
{
    struct component_row *rows;
    size_t n;
    if (!store_components(&app->store, app->a, environment, &rows, &n, err))
        return false;
    for (size_t i = 0; i < n; i++) {
        if (strcmp(rows[i].component, component) != 0)
            continue;
        json_set_text(app->a, place, "state", rows[i].state);
        /* After a deployment that failed nobody knows what runs there: its commit is no current
         * one. */
        if (strcmp(rows[i].state, "ok") == 0 && rows[i].sha != NULL && *rows[i].sha != '\0')
            json_set_text(app->a, place, "current", rows[i].sha);
    }
    return true;
}

bool environment_place(struct app *app, const char *key, const struct json **value, struct err *err)
{
    /* "deploy.place:ENV/COMPONENT/SHA"; names hold no '/'. */
    char *environment = arena_strdup(app->a, strchr(key, ':') + 1);
    char *component = strchr(environment, '/');
    *component++ = '\0';
    char *sha = strchr(component, '/');
    *sha++ = '\0';
    struct json *place = json_object(app->a);
    json_set_text(app->a, place, "environment", environment);
    json_set_text(app->a, place, "component", component);
    struct deployment_row *ran;
    size_t n;
    if (!add_current(app, place, environment, component, err) ||
        !store_deployments(&app->store, app->a, environment, component, *sha == '\0' ? NULL : sha,
                           1, &ran, &n, err))
        return false;
    if (*sha != '\0' && n > 0) {
        struct json *before = json_set(app->a, place, "ran_before", json_object(app->a));
        json_set_text(app->a, before, "ended_at", time_format(app->a, ran[0].ended_at_ms));
        json_set_text(app->a, before, "outcome", ran[0].outcome);
    }
    const struct environment *env = config_environment(app->config, environment);
    const char *why = NULL;
    if (env != NULL && !promotion_refuses(app, env, sha, &why, err))
        return false;
    if (why != NULL)
        json_set_text(app->a, place, "refused", why);
    else if (env != NULL && env->promote_from != NULL)
        json_set_text(app->a, place, "passed_on", env->promote_from);
    *value = place;
    return true;
}

/* All components that anything in the configuration names for this environment. */
static size_t component_names(struct app *app, const char *environment, const char **out,
                              size_t max)
{
    size_t n = 0;
    for (int pass = 0; pass < 2 && n == 0; pass++) /* first those of this environment, else all */
        for (size_t i = 0; i < app->config->n_tools && n < max; i++) {
            const struct tool_target *t = &app->config->tools[i].target;
            bool known =
                t->component == NULL || (pass == 0 && !text_eq(t->environment, environment));
            for (size_t k = 0; k < n && !known; k++)
                known = strcmp(out[k], t->component) == 0;
            if (!known)
                out[n++] = t->component;
        }
    if (n == 0)
        out[n++] = "all";
    return n;
}

static bool set_one(struct app *app, const char *environment, const char *component,
                    const char *sha, const char *thread, const char *outcome, bool rollback,
                    int64_t started_at_ms, struct err *err)
{
    bool ok = strcmp(outcome, "ok") == 0;
    struct component_row row = {.environment = environment,
                                .component = component,
                                .sha = sha,
                                .state = ok ? "ok" : "unknown",
                                .thread = thread,
                                .at_ms = app->now_ms};
    struct deployment_row d = {.environment = environment,
                               .component = component,
                               .sha = sha,
                               .thread = thread,
                               .outcome = outcome,
                               .rollback = rollback,
                               .started_at_ms = started_at_ms,
                               .ended_at_ms = app->now_ms};
    return store_set_component(&app->store, &row, err) &&
           store_add_deployment(&app->store, &d, err);
}

bool environment_ended(struct app *app, const char *environment, const char *component,
                       const char *sha, const char *thread, const char *outcome, bool rollback,
                       int64_t started_at_ms, struct err *err)
{
    enum { MAX_COMPONENTS = 64 };
    const char *names[MAX_COMPONENTS];
    size_t n = 1;
    if (component != NULL)
        names[0] = component;
    else
        n = component_names(app, environment, names, MAX_COMPONENTS);
    for (size_t i = 0; i < n; i++)
        if (!set_one(app, environment, names[i], sha, thread, outcome, rollback, started_at_ms,
                     err))
            return false;
    return true;
}

bool environment_state(struct app *app, const char *environment, struct json **out, struct err *err)
{
    struct component_row *rows;
    size_t n;
    if (!store_components(&app->store, app->a, environment, &rows, &n, err))
        return false;
    *out = json_object(app->a);
    for (size_t i = 0; i < n; i++)
        json_set_text(app->a, *out, rows[i].component,
                      strcmp(rows[i].state, "ok") == 0 ? rows[i].sha : "unknown");
    return true;
}

/* What ran there before what runs there now, and ended well: where a roll-back goes. */
static bool previous_of(struct app *app, const char *environment, const struct component_row *now,
                        struct json *out, struct err *err)
{
    struct deployment_row *history;
    size_t n;
    if (!store_deployments(&app->store, app->a, environment, now->component, NULL, 100, &history,
                           &n, err))
        return false;
    const char *back_to = NULL; /* what lies between a roll-back and that commit was taken back */
    for (size_t i = 0; i < n; i++) {
        const struct deployment_row *d = &history[i];
        if (strcmp(d->outcome, "ok") != 0 || (back_to != NULL && !text_eq(d->sha, back_to)))
            continue;
        if (!text_eq(d->sha, now->sha)) {
            json_set_text(app->a, out, now->component, d->sha);
            return true;
        }
        back_to = d->rollback ? d->sha : NULL;
    }
    return true;
}

static bool list_one(struct app *app, const char *environment, const char *component, int64_t limit,
                     struct json *out, struct json *previous, struct err *err)
{
    struct component_row *rows;
    struct deployment_row *history;
    size_t n;
    if (!store_components(&app->store, app->a, environment, &rows, &n, err))
        return false;
    struct json *now = json_array(app->a), *past = json_array(app->a);
    for (size_t i = 0; i < n; i++) {
        struct json *row = json_object(app->a);
        json_set_text(app->a, row, "component", rows[i].component);
        json_set_text(app->a, row, "sha", rows[i].sha);
        json_set_text(app->a, row, "state", rows[i].state);
        json_set_text(app->a, row, "since", time_format(app->a, rows[i].at_ms));
        json_push(app->a, now, row);
        if (!previous_of(app, environment, &rows[i], previous, err))
            return false;
    }
    if (!store_deployments(&app->store, app->a, environment, component, NULL, limit, &history, &n,
                           err))
        return false;
    for (size_t i = 0; i < n; i++) {
        struct json *row = json_object(app->a);
        json_set_text(app->a, row, "component", history[i].component);
        json_set_text(app->a, row, "sha", history[i].sha);
        json_set_text(app->a, row, "outcome", history[i].outcome);
        if (history[i].rollback)
            json_set_bool(app->a, row, "rollback", true);
        json_set_text(app->a, row, "at", time_format(app->a, history[i].ended_at_ms));
        json_push(app->a, past, row);
    }
    struct json *env = json_object(app->a);
    json_set_text(app->a, env, "environment", environment);
    json_set(app->a, env, "current", now);
    json_set(app->a, env, "history", past);
    json_push(app->a, out, env);
    return true;
}

bool environment_list_deployments(struct app *app, const struct json *args,
                                  const struct json **value, struct err *err)
{
    const char *only = json_text_at(args, "environment");
    int64_t limit = json_int_or(json_get(args, "limit"), 10);
    struct json *list = json_array(app->a), *previous = json_object(app->a);
    for (size_t i = 0; i < app->config->n_environments; i++) {
        const char *name = app->config->environments[i].name;
        if (only != NULL && strcmp(only, name) != 0)
            continue;
        struct json *before = json_object(app->a);
        if (!list_one(app, name, json_text_at(args, "component"), limit, list, before, err))
            return false;
        json_set(app->a, previous, name, before);
    }
    struct json *out = json_object(app->a);
    json_set(app->a, out, "environments", list);
    json_set(app->a, out, "previous", previous);
    *value = out;
    return true;
}
