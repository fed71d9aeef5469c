/* See views.h. */
#include "gateway/views.h"

#include "gateway/base/text.h"

static void set_time(struct arena *a, struct json *o, const char *key, int64_t at_ms)
{
    if (at_ms > 0)
        json_set_text(a, o, key, time_format(a, at_ms));
    else
        json_set(a, o, key, json_null(a));
}

struct json *view_thread(struct arena *a, const struct config *config, const struct thread_row *row)
{
    const struct thread *t = &row->t;
    struct json *o = json_object(a);
    json_set_text(a, o, "id", t->id);
    json_set_text(a, o, "agent", t->agent);
    json_set_text(a, o, "pipeline", t->pipeline);
    json_set_text(a, o, "parent", t->parent);
    json_set_text(a, o, "root", t->root);
    json_set_text(a, o, "status",
                  t->paused && t->status <= THREAD_PAUSED ? "paused"
                                                          : thread_status_name(t->status));
    json_set(a, o, "waiting_for",
             row->waiting == NULL ? json_null(a) : json_parse_own(a, row->waiting));
    json_set_text(a, o, "title", t->title);
    json_set_text(a, o, "requester", t->requester);
    set_time(a, o, "created_at", t->created_at_ms);
    set_time(a, o, "updated_at", t->updated_at_ms);
    json_set_int(a, o, "steps", t->steps);
    json_set_int(a, o, "tokens", t->tokens);
    json_set(a, o, "cost", json_number(a, t->cost));
    json_set_text(a, o, "outcome", t->outcome);
    if (row->run > 0)
        json_set_int(a, o, "run", row->run);
    json_set_text(a, o, "url", arena_printf(a, "%s/threads/%s", config->server.public_url, t->id));
    return o;
}

struct json *view_event(struct arena *a, const struct event *e)
{
    struct json *o = json_object(a);
    json_set_int(a, o, "seq", e->seq);
    json_set_int(a, o, "at_ms", e->at_ms);
    json_set_text(a, o, "type", event_type_name(e->type));
    json_set_text(a, o, "actor", e->actor);
    json_set(a, o, "data", e->data);
    json_set_bool(a, o, "for_agent", event_is_for_agent(e->type));
    json_set_text(a, o, "hash", e->hash);
    return o;
}

static bool add_votes(struct arena *a, struct store *s, const char *id, struct json *o,
                      struct err *err)
{
    struct vote_row *votes;
    size_t n;
    if (!store_votes(s, a, id, &votes, &n, err))
        return false;
    struct json *list = json_set(a, o, "votes", json_array(a));
    for (size_t i = 0; i < n; i++) {
        struct json *v = json_object(a);
        json_set_text(a, v, "person", votes[i].person);
        json_set_text(a, v, "decision", votes[i].decision);
        json_set_text(a, v, "comment", votes[i].comment);
        set_time(a, v, "at", votes[i].at_ms);
        json_set_text(a, v, "via", votes[i].via);
        json_push(a, list, v);
    }
    return true;
}

static void add_call(struct arena *a, struct json *o, const struct request_row *r)
{
    struct json *call = json_parse_own(a, r->canonical);
    json_set(a, o, "arguments",
             json_get(call, "arguments") == NULL ? json_null(a) : json_get(call, "arguments"));
    json_set(a, o, "target",
             json_get(call, "target") == NULL ? json_null(a) : json_get(call, "target"));
}

static void add_words(struct arena *a, struct json *o, const struct json *kept)
{
    static const char *const names[] = {"question", "context", "options"};
    for (size_t i = 0; i < COUNT(names); i++)
        json_set(a, o, names[i],
                 json_get(kept, names[i]) == NULL ? json_null(a) : json_get(kept, names[i]));
}

/* What only cards and pages show. */
static void add_extras(struct arena *a, const struct config *config, struct json *o,
                       const struct json *kept, const struct request_row *r)
{
    static const char *const names[] = {"agent",       "title", "facts",    "about", "description",
                                        "policy_name", "runs",  "editable", "edited"};
    for (size_t i = 0; i < COUNT(names); i++)
        if (json_get(kept, names[i]) != NULL)
            json_set(a, o, names[i], json_get(kept, names[i]));
    struct policy policy;
    struct problems ignored = {0};
    if (r->policy != NULL && policy_parse(a, json_text_or(kept, "policy_name", "policy"),
                                          json_parse_own(a, r->policy), &policy, &ignored)) {
        json_set_text(a, o, "may_decide", policy_describe(a, &policy, &config->people));
        json_set_int(a, o, "needed", policy_votes_needed(&policy));
    }
    struct json *voters = json_set(a, o, "names", json_object(a));
    JSON_EACH(vote, json_get(o, "votes"))
    {
        const struct person *p = person_by_id(&config->people, json_text_or(vote, "person", ""));
        if (p != NULL && p->name != NULL)
            json_set_text(a, voters, p->id, p->name);
    }
    if (r->via != NULL)
        json_set_text(a, o, "via", r->via);
    if (r->decided_by != NULL)
        json_set_text(a, o, "by", actor_display(a, &config->people, r->decided_by));
    if (r->requester != NULL)
        json_set_text(a, o, "requester_name", actor_display(a, &config->people, r->requester));
}

bool view_matter(struct arena *a, const struct config *config, const struct request_row *r,
                 int64_t now_ms, struct policy *policy, struct matter *out)
{
    struct problems ignored = {0};
    const struct people *people = &config->people;
    if (r->policy == NULL ||
        !policy_parse(a, "policy", json_parse_own(a, r->policy), policy, &ignored))
        return false;
    const struct person *requester =
        r->requester == NULL ? NULL : person_of_actor(people, r->requester);
    const struct json *editors = json_get(json_parse_own(a, r->view), "editors");
    const char **list = ARENA_ARRAY(a, const char *, json_count(editors));
    *out = (struct matter){.policy = policy,
                           .people = people,
                           .requester = requester == NULL ? NULL : requester->id,
                           .raised_at_ms = r->raised_at_ms,
                           .now_ms = now_ms,
                           .editors = list};
    JSON_EACH(editor, editors)
    {
        list[out->n_editors++] = json_text(editor);
    }
    return true;
}

bool view_request(struct arena *a, const struct config *config, struct store *s,
                  const struct request_row *r, struct json **out, struct err *err)
{
    struct json *kept = json_parse_own(a, r->view);
    struct json *o = json_object(a);
    json_set_text(a, o, "id", r->id);
    json_set_text(a, o, "code", r->code);
    json_set_text(a, o, "thread", r->thread);
    json_set_text(a, o, "kind", r->kind);
    json_set_text(a, o, "status", r->status);
    json_set_text(a, o, "tool", r->tool);
    add_call(a, o, r);
    add_words(a, o, kept);
    json_set(a, o, "policy", r->policy == NULL ? json_null(a) : json_parse_own(a, r->policy));
    if (!add_votes(a, s, r->id, o, err))
        return false;
    json_set_text(a, o, "digest", r->digest);
    json_set_text(a, o, "requester", r->requester);
    set_time(a, o, "raised_at", r->raised_at_ms);
    set_time(a, o, "expires_at", r->expires_at_ms);
    set_time(a, o, "decided_at", r->decided_at_ms);
    json_set_text(a, o, "decided_by", r->decided_by);
    json_set_text(a, o, "comment", r->comment);
    json_set_text(a, o, "answer", r->answer);
    if (json_get(kept, "state") != NULL)
        json_set(a, o, "state", json_get(kept, "state"));
    json_set_text(a, o, "url", arena_printf(a, "%s/requests/%s", config->server.public_url, r->id));
    add_extras(a, config, o, kept, r);
    *out = o;
    return true;
}

const struct json *view_request_public(struct arena *a, const struct json *view)
{
    static const char *const extras[] = {
        "agent",          "title",       "facts", "about",    "description", "may_decide", "by",
        "requester_name", "policy_name", "runs",  "editable", "needed",      "names",      "via"};
    for (size_t i = 0; i < COUNT(extras); i++)
        view = json_without(a, view, extras[i]);
    return view;
}

bool view_environment(struct arena *a, const struct config *config, struct store *s,
                      const struct environment *env, int64_t now_ms, struct json **out,
                      struct err *err)
{
    (void)config;
    struct component_row *components;
    struct hold_row *holds;
    struct lock_row lock;
    bool locked;
    size_t n;
    struct json *o = json_object(a);
    json_set_text(a, o, "name", env->name);
    json_set_text(a, o, "promote_from", env->promote_from);
    if (!store_components(s, a, env->name, &components, &n, err))
        return false;
    struct json *list = json_set(a, o, "components", json_array(a));
    for (size_t i = 0; i < n; i++) {
        struct json *c = json_object(a);
        json_set_text(a, c, "component", components[i].component);
        json_set_text(a, c, "sha", components[i].sha);
        json_set_text(a, c, "state", components[i].state);
        json_set_text(a, c, "thread", components[i].thread);
        set_time(a, c, "at", components[i].at_ms);
        json_push(a, list, c);
    }
    if (!store_holds(s, a, env->name, &holds, &n, err))
        return false;
    json_set(a, o, "held_by", json_null(a));
    struct json *queue = json_array(a);
    for (size_t i = 0; i < n; i++) {
        if (text_eq(holds[i].state, "held"))
            json_set_text(a, o, "held_by", holds[i].thread);
        else
            json_push_text(a, queue, holds[i].thread);
    }
    json_set(a, o, "queue", queue);
    if (!store_get_lock(s, a, env->name, now_ms, &lock, &locked, err))
        return false;
    struct json *l = locked ? json_object(a) : json_null(a);
    if (locked) {
        json_set_text(a, l, "owner", lock.owner);
        json_set_text(a, l, "reason", lock.reason);
        set_time(a, l, "at", lock.at_ms);
        set_time(a, l, "expires_at", lock.expires_at_ms);
    }
    json_set(a, o, "lock", l);
    *out = o;
    return true;
}
