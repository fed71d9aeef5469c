/* A person's own page in a chat: what waits for them, what they asked for, what was decided last.
 * Made when it leaves, so that it shows the state of that moment. See app.h. */
#include "gateway/app.h"
#include "gateway/base/text.h"
#include "gateway/views.h"

#include <string.h>

enum { LOOKED_AT = 100, SHOWN = 16 };

/* May this person do anything about it, and have they not yet? */
static bool waits_for(struct app *app, const struct request_row *r, const struct person *p,
                      const struct json *view)
{
    struct policy policy;
    struct matter matter;
    struct err why = ERR_INIT;
    if (strcmp(r->kind, "question") == 0)
        return true;
    JSON_EACH(vote, json_get(view, "votes"))
    {
        if (text_eq(json_text_at(vote, "person"), p->id))
            return false;
    }
    return view_matter(app->a, app->config, r, app->now_ms, &policy, &matter) &&
           policy_may_vote(&matter, p->id, true, &why);
}

static bool add_waiting(struct app *app, const struct person *p, struct json *home, struct err *err)
{
    struct json *list = json_set(app->a, home, "waiting", json_array(app->a));
    struct request_filter filter = {.status = "open", .limit = LOOKED_AT};
    struct request_row *rows;
    size_t n;
    if (!store_list_requests(&app->store, app->a, &filter, &rows, &n, err))
        return false;
    for (size_t i = 0; i < n && json_count(list) < SHOWN; i++) {
        struct json *view;
        if (!view_request(app->a, app->config, &app->store, &rows[i], &view, err))
            return false;
        if (waits_for(app, &rows[i], p, view))
            json_push(app->a, list, view);
    }
    return true;
}

static bool add_rows(struct app *app, struct json *home, const char *name,
                     const struct request_row *rows, size_t n, struct err *err)
{
    struct json *list = json_set(app->a, home, name, json_array(app->a));
    for (size_t i = 0; i < n; i++) {
        struct json *view;
        if (!view_request(app->a, app->config, &app->store, &rows[i], &view, err))
            return false;
        json_push(app->a, list, view);
    }
    return true;
}

bool home_of(struct app *app, const struct channel_config *channel, const char *address,
             const struct json **out, struct err *err)
{
    struct json *home = json_object(app->a);
    struct request_row *asked, *decided;
    size_t n_asked, n_decided;
    const struct person *p = person_by_identity(
        &app->config->people, arena_printf(app->a, "%s:%s", channel->ops->identity, address));
    *out = home;
    json_set_bool(app->a, home, "stranger", p == NULL);
    json_set_bool(app->a, home, "paused", app->paused_all);
    return p == NULL ||
           (add_waiting(app, p, home, err) &&
            store_requests_asked_by(&app->store, app->a, arena_printf(app->a, "person:%s", p->id),
                                    SHOWN, &asked, &n_asked, err) &&
            add_rows(app, home, "asked", asked, n_asked, err) &&
            store_requests_decided(&app->store, app->a, SHOWN, &decided, &n_decided, err) &&
            add_rows(app, home, "decided", decided, n_decided, err));
}
