/* What the gateway does by itself now and then, each as a timer row that sets itself anew. What may
 * take long is done in slices, so that it holds nobody up. See app.h. */
#include "gateway/app.h"

#include <string.h>

enum {
    CHECKPOINT_MS = 60 * 1000,
    RECONCILE_MS = 10 * 60 * 1000,
    TIDY_MS = 24 * 3600 * 1000,
    TIDY_FIRST_MS = 3600 * 1000,
    SLICE_MS = 100,
};

/* All timers of housekeeping have it. */
static const char ref[] = "periodic";

struct chore {
    const char *kind;
    bool (*act)(struct app *app, const char *at, struct err *err); /* at: where a slice begins */
    int64_t after_start_ms;                                        /* −1: when it is asked for */
};

static bool again(struct app *app, const char *kind, const char *at, int64_t after_ms,
                  struct err *err)
{
    struct timer_row timer = {
        .due_at_ms = app->now_ms + after_ms, .kind = kind, .ref = ref, .data = at};
    return store_add_timer(&app->store, &timer, err);
}

static bool checkpoint(struct app *app, const char *at, struct err *err)
{
    bool more;
    (void)at;
    return store_checkpoint(&app->store, app->a, app->now_ms, err) &&
           store_needs_checkpoint(&app->store, &more, err) &&
           again(app, "checkpoint", NULL, more ? SLICE_MS : CHECKPOINT_MS, err);
}

static bool tidy(struct app *app, const char *at, struct err *err)
{
    return store_tidy(&app->store, app->a, app->now_ms, &at, err) &&
           again(app, "tidy", at, at == NULL ? TIDY_MS : SLICE_MS, err);
}

static bool reconcile(struct app *app, const char *at, struct err *err)
{
    (void)at;
    return tool_sweep(app, err) && tool_reconcile(app, err) &&
           again(app, "reconcile", NULL, RECONCILE_MS, err);
}

static bool wake(struct app *app, const char *at, struct err *err)
{
    return store_wake_threads(&app->store, app->a, &at, err) &&
           (at == NULL || again(app, "wake", at, SLICE_MS, err));
}

static const struct chore chores[] = {
    {"checkpoint", checkpoint, CHECKPOINT_MS},
    {"tidy", tidy, TIDY_FIRST_MS},
    {"reconcile", reconcile, 0},
    {"wake", wake, -1},
};

bool housekeeping_begin(struct app *app, struct err *err)
{
    for (size_t i = 0; i < COUNT(chores); i++)
        if (chores[i].after_start_ms >= 0 &&
            (!store_drop_timers(&app->store, chores[i].kind, ref, err) ||
             !again(app, chores[i].kind, NULL, chores[i].after_start_ms, err)))
            return false;
    return true;
}

bool housekeeping_timer(struct app *app, const struct timer_row *timer, bool *is_chore,
                        struct err *err)
{
    *is_chore = strcmp(timer->ref == NULL ? "" : timer->ref, ref) == 0;
    for (size_t i = 0; *is_chore && i < COUNT(chores); i++)
        if (strcmp(timer->kind, chores[i].kind) == 0)
            return chores[i].act(app, timer->data == NULL ? "" : timer->data, err);
    return true;
}

static bool now(struct app *app, const char *kind, struct err *err)
{
    return store_drop_timers(&app->store, kind, ref, err) && again(app, kind, NULL, 0, err);
}

bool housekeeping_wake_all(struct app *app, struct err *err)
{
    return now(app, "wake", err);
}

bool housekeeping_look_now(struct app *app, struct err *err)
{
    return now(app, "reconcile", err);
}

bool housekeeping_end(struct app *app, struct err *err)
{
    for (bool more = true; more;)
        if (!store_checkpoint(&app->store, app->a, app->now_ms, err) ||
            !store_needs_checkpoint(&app->store, &more, err))
            return false;
    return true;
}
