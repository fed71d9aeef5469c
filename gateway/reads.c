/* See reads.h. */
#include "gateway/reads.h"

#include "agents/context.h"
#include "gateway/base/text.h"
#include "gateway/views.h"

#include <string.h>

enum { ID_MAX = 64 };

/* ---- cursors ----------------------------------------------------------------------------- */

char *cursor_render(struct arena *a, int64_t at_ms, const char *id)
{
    return base64url_encode(a, span_of(arena_printf(a, "%lld:%s", (long long)at_ms, id)));
}

bool cursor_parse(struct arena *a, const char *text, int64_t *at_ms, const char **id)
{
    struct span raw;
    if (!base64url_decode(a, text, &raw) || !utf8_valid(raw) || memchr(raw.at, '\0', raw.len))
        return false;
    char *copy = arena_strndup(a, raw.at, raw.len);
    char *colon = strchr(copy, ':');
    if (colon == NULL || colon[1] == '\0' || strlen(colon + 1) > ID_MAX)
        return false;
    *colon = '\0';
    *id = colon + 1;
    return text_to_int(copy, 0, INT64_MAX, at_ms);
}

/* ---- queries ----------------------------------------------------------------------------- */

struct list_query {
    const char *status, *agent, *thread;
    int64_t limit, before_ms;
    const char *before_id;
};

static char *query_value(const struct reads *r, const char *query, const char *name)
{
    char *value = query == NULL ? NULL : form_value(r->a, span_of(query), name);
    return value == NULL || *value == '\0' ? NULL : value;
}

static bool read_limit(const struct reads *r, const char *query, int64_t *out, struct err *err)
{
    const char *limit = query_value(r, query, "limit");
    *out = READS_LIMIT;
    return limit == NULL || text_to_int(limit, 1, READS_LIMIT_MAX, out) ||
           fail(err, ERR_INVALID, "limit: it is a number from 1 to %d", READS_LIMIT_MAX);
}

static bool is_one_of(const char *word, const char *const *words)
{
    for (; *words != NULL; words++)
        if (strcmp(*words, word) == 0)
            return true;
    return false;
}

static bool read_list_query(const struct reads *r, const char *query, const char *const *statuses,
                            struct list_query *out, struct err *err)
{
    const char *cursor = query_value(r, query, "cursor");
    *out = (struct list_query){.status = query_value(r, query, "status"),
                               .agent = query_value(r, query, "agent"),
                               .thread = query_value(r, query, "thread")};
    if (out->status != NULL && !is_one_of(out->status, statuses))
        return fail(err, ERR_INVALID, "status: there is no status %s",
                    text_one_line(r->a, text_truncate(r->a, out->status, 40)));
    if (cursor != NULL && !cursor_parse(r->a, cursor, &out->before_ms, &out->before_id))
        return fail(err, ERR_INVALID, "cursor: it is not one that we gave");
    return read_limit(r, query, &out->limit, err);
}

static struct json *list_body(const struct reads *r, const char *name, struct json **list)
{
    struct json *body = json_object(r->a);
    *list = json_set(r->a, body, name, json_array(r->a));
    return body;
}

/* ---- threads ----------------------------------------------------------------------------- */

static bool get_threads(const struct reads *r, const char *id, const char *query,
                        const struct json **out, struct err *err)
{
    static const char *const statuses[] = {"running", "waiting",   "paused", "done",
                                           "failed",  "cancelled", NULL};
    struct list_query q;
    struct thread_row *rows;
    struct json *list;
    size_t n;
    (void)id;
    if (!read_list_query(r, query, statuses, &q, err))
        return false;
    struct thread_filter filter = {.status = q.status,
                                   .agent = q.agent,
                                   .before_ms = q.before_ms,
                                   .before_id = q.before_id,
                                   .limit = q.limit + 1};
    if (!store_list_threads(r->store, r->a, &filter, &rows, &n, err))
        return false;
    struct json *body = list_body(r, "threads", &list);
    for (size_t i = 0; i < n && i < (size_t)q.limit; i++)
        json_push(r->a, list, view_thread(r->a, r->config, &rows[i]));
    const struct thread *last = n > (size_t)q.limit ? &rows[q.limit - 1].t : NULL;
    json_set_text(r->a, body, "next",
                  last == NULL ? NULL : cursor_render(r->a, last->created_at_ms, last->id));
    *out = body;
    return true;
}

static bool find_thread(const struct reads *r, const char *prefix, struct thread_row *out,
                        struct err *err)
{
    const char *id;
    return store_find_thread(r->store, r->a, prefix, &id, err) &&
           store_get_thread(r->store, r->a, id, out, err);
}

static bool get_thread(const struct reads *r, const char *id, const char *query,
                       const struct json **out, struct err *err)
{
    struct thread_row row;
    (void)query;
    if (!find_thread(r, id, &row, err))
        return false;
    *out = view_thread(r->a, r->config, &row);
    return true;
}

static bool get_events(const struct reads *r, const char *prefix, const char *query,
                       const struct json **out, struct err *err)
{
    const char *after = query_value(r, query, "after"), *id;
    int64_t seq = 0, limit;
    struct event *events;
    struct json *list;
    size_t n;
    if (after == NULL)
        after = query_value(r, query, "cursor"); /* `next` of the answer before */
    if (after != NULL && !text_to_int(after, 0, INT64_MAX, &seq))
        return fail(err, ERR_INVALID, "after: it is an event's seq");
    if (!read_limit(r, query, &limit, err) ||
        !store_find_thread(r->store, r->a, prefix, &id, err) ||
        !store_load_events(r->store, r->a, id, seq, limit + 1, &events, &n, err))
        return false;
    struct json *body = list_body(r, "events", &list);
    bool more = n > (size_t)limit;
    n = more ? (size_t)limit : n;
    for (size_t i = 0; i < n; i++)
        json_push(r->a, list, view_event(r->a, &events[i]));
    json_set_text(r->a, body, "next",
                  more ? arena_printf(r->a, "%lld", (long long)events[n - 1].seq) : NULL);
    *out = body;
    return true;
}

bool reads_context(const struct reads *r, const char *prefix, char **out, struct err *err)
{
    struct thread_row row;
    if (!find_thread(r, prefix, &row, err) ||
        !store_load_events(r->store, r->a, row.t.id, 0, 0, &row.t.events, &row.t.n_events, err))
        return false;
    *out = context_render(r->a, &row.t, &r->config->people, row.t.agent == NULL);
    return true;
}

static bool get_context(const struct reads *r, const char *id, const char *query,
                        const struct json **out, struct err *err)
{
    char *text;
    struct json *body = json_object(r->a);
    (void)query;
    if (!reads_context(r, id, &text, err))
        return false;
    json_set_text(r->a, body, "text", text);
    *out = body;
    return true;
}

/* ---- requests ---------------------------------------------------------------------------- */

static bool public_request(const struct reads *r, const struct request_row *row,
                           const struct json **out, struct err *err)
{
    struct json *view;
    if (!view_request(r->a, r->config, r->store, row, &view, err))
        return false;
    *out = view_request_public(r->a, view);
    return true;
}

static bool get_requests(const struct reads *r, const char *id, const char *query,
                         const struct json **out, struct err *err)
{
    static const char *const statuses[] = {"open",    "approved",  "rejected", "answered",
                                           "expired", "cancelled", NULL};
    struct list_query q;
    struct request_row *rows;
    struct json *list;
    size_t n;
    (void)id;
    if (!read_list_query(r, query, statuses, &q, err))
        return false;
    if (q.thread != NULL && !store_find_thread(r->store, r->a, q.thread, &q.thread, err))
        return false;
    struct request_filter filter = {.status = q.status,
                                    .thread = q.thread,
                                    .before_ms = q.before_ms,
                                    .before_id = q.before_id,
                                    .limit = q.limit + 1};
    if (!store_list_requests(r->store, r->a, &filter, &rows, &n, err))
        return false;
    struct json *body = list_body(r, "requests", &list);
    for (size_t i = 0; i < n && i < (size_t)q.limit; i++) {
        const struct json *view;
        if (!public_request(r, &rows[i], &view, err))
            return false;
        json_push(r->a, list, view);
    }
    const struct request_row *last = n > (size_t)q.limit ? &rows[q.limit - 1] : NULL;
    json_set_text(r->a, body, "next",
                  last == NULL ? NULL : cursor_render(r->a, last->raised_at_ms, last->id));
    *out = body;
    return true;
}

static bool get_request(const struct reads *r, const char *id, const char *query,
                        const struct json **out, struct err *err)
{
    struct request_row row;
    (void)query;
    return store_find_request(r->store, r->a, id, &row, err) && public_request(r, &row, out, err);
}

/* ---- environments ------------------------------------------------------------------------ */

static bool get_environments(const struct reads *r, const char *id, const char *query,
                             const struct json **out, struct err *err)
{
    struct json *list, *view;
    struct json *body = list_body(r, "environments", &list);
    (void)id, (void)query;
    for (size_t i = 0; i < r->config->n_environments; i++) {
        if (!view_environment(r->a, r->config, r->store, &r->config->environments[i], r->now_ms,
                              &view, err))
            return false;
        json_push(r->a, list, view);
    }
    json_set(r->a, body, "next", json_null(r->a));
    *out = body;
    return true;
}

static bool get_environment(const struct reads *r, const char *id, const char *query,
                            const struct json **out, struct err *err)
{
    const struct environment *env = config_environment(r->config, id);
    struct json *view;
    (void)query;
    if (env == NULL)
        return fail(err, ERR_MISSING, "I know no environment %s",
                    text_one_line(r->a, text_truncate(r->a, id, 60)));
    if (!view_environment(r->a, r->config, r->store, env, r->now_ms, &view, err))
        return false;
    *out = view;
    return true;
}

/* ---- the table --------------------------------------------------------------------------- */

static const struct read_route {
    const char *before, *after; /* the path around {id}; after NULL: no {id} */
    const char *scope;
    bool (*get)(const struct reads *r, const char *id, const char *query, const struct json **out,
                struct err *err);
} routes[] = {
    {"/v1/threads", NULL, "threads:read", get_threads},
    {"/v1/threads/", "", "threads:read", get_thread},
    {"/v1/threads/", "/events", "threads:read", get_events},
    {"/v1/threads/", "/context", "threads:read", get_context},
    {"/v1/requests", NULL, "requests:read", get_requests},
    {"/v1/requests/", "", "requests:read", get_request},
    {"/v1/environments", NULL, "threads:read", get_environments},
    {"/v1/environments/", "", "threads:read", get_environment},
};

static bool route_matches(struct arena *a, const struct read_route *route, const char *path,
                          const char **id)
{
    char *decoded;
    *id = NULL;
    if (route->after == NULL)
        return strcmp(path, route->before) == 0;
    size_t before = strlen(route->before), after = strlen(route->after), len = strlen(path);
    if (len <= before + after || !text_starts(path, route->before) ||
        !text_ends(path, route->after))
        return false;
    char *raw = arena_strndup(a, path + before, len - before - after);
    if (strchr(raw, '/') != NULL || !url_decode(a, span_of(raw), false, &decoded))
        return false;
    *id = utf8_clean(a, span_of(decoded));
    return strlen(*id) <= ID_MAX;
}

static const struct read_route *find_route(struct arena *a, const char *path, const char **id)
{
    for (size_t i = 0; i < COUNT(routes); i++)
        if (route_matches(a, &routes[i], path, id))
            return &routes[i];
    return NULL;
}

const char *reads_scope(struct arena *a, const char *path)
{
    const char *id;
    const struct read_route *route = find_route(a, path, &id);
    return route == NULL ? NULL : route->scope;
}

bool reads_get(const struct reads *r, const char *path, const char *query, const struct json **out,
               struct err *err)
{
    const char *id;
    const struct read_route *route = find_route(r->a, path, &id);
    if (route == NULL)
        return fail(err, ERR_MISSING, "there is nothing to read at this path");
    return route->get(r, id, query, out, err);
}

/* ---- errors ------------------------------------------------------------------------------ */

int reads_error_status(enum err_kind kind)
{
    switch (kind) {
    case ERR_NONE:
    case ERR_INVALID:
        return 400;
    case ERR_TOO_LARGE:
        return 413;
    case ERR_DENIED:
        return 401;
    case ERR_MISSING:
        return 404;
    case ERR_CONFLICT:
        return 409;
    case ERR_TRANSIENT:
    case ERR_UNCERTAIN:
        return 503;
    }
    UNREACHABLE();
}

const char *reads_error_code(enum err_kind kind)
{
    switch (kind) {
    case ERR_NONE:
    case ERR_INVALID:
        return "invalid";
    case ERR_TOO_LARGE:
        return "too_large";
    case ERR_DENIED:
        return "denied";
    case ERR_MISSING:
        return "not_found";
    case ERR_CONFLICT:
        return "conflict";
    case ERR_TRANSIENT:
    case ERR_UNCERTAIN:
        return "unavailable";
    }
    UNREACHABLE();
}

struct json *reads_error(struct arena *a, const char *code, const char *message)
{
    struct json *body = json_object(a);
    struct json *error = json_set(a, body, "error", json_object(a));
    json_set_text(a, error, "code", code);
    json_set_text(a, error, "message", message);
    return body;
}
