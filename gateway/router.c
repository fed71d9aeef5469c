/* Arrivals → where they belong: (1) the request they name, (2) the thread of their conversation,
 * (3) the first matching route, (4) an answer that says what one can do here. See DESIGN section 3.
 */
#include "gateway/app.h"
#include "gateway/base/text.h"

#include <string.h>

enum { TITLE_BYTES = 160 };

/* ---- storing ----------------------------------------------------------------------------- */

/* Every text member of struct arrival that outlives the webhook. */
static const struct {
    const char *name;
    size_t offset;
} arrival_texts[] = {
    {"type", offsetof(struct arrival, type)},
    {"sender", offsetof(struct arrival, sender)},
    {"when", offsetof(struct arrival, when)},
    {"repo", offsetof(struct arrival, repo)},
    {"base", offsetof(struct arrival, base)},
    {"to", offsetof(struct arrival, to)},
    {"in_thread", offsetof(struct arrival, in_thread)},
    {"request", offsetof(struct arrival, request)},
    {"decision", offsetof(struct arrival, decision)},
    {"comment", offsetof(struct arrival, comment)},
    {"answer", offsetof(struct arrival, answer)},
    {"shown_at", offsetof(struct arrival, shown_at)},
    {"hold", offsetof(struct arrival, hold)},
};

static const char **text_member(struct arrival *in, size_t offset)
{
    return (const char **)(void *)((char *)in + offset);
}

static char *arrival_write(struct arena *a, const struct arrival *in)
{
    struct arrival copy = *in;
    struct json *j = json_object(a);
    json_set_int(a, j, "kind", in->kind);
    for (size_t i = 0; i < COUNT(arrival_texts); i++)
        if (*text_member(&copy, arrival_texts[i].offset) != NULL)
            json_set_text(a, j, arrival_texts[i].name,
                          *text_member(&copy, arrival_texts[i].offset));
    if (in->known_threads_only)
        json_set_bool(a, j, "known_threads_only", true);
    if (in->data != NULL)
        json_set(a, j, "data", in->data);
    return json_write(a, j);
}

static struct arrival arrival_read(struct arena *a, const char *text)
{
    struct json *j = json_parse_own(a, text);
    struct arrival in = {.kind = (enum arrival_kind)json_int_or(json_get(j, "kind"), 0),
                         .known_threads_only = json_is_true(json_get(j, "known_threads_only")),
                         .data = json_get(j, "data")};
    for (size_t i = 0; i < COUNT(arrival_texts); i++)
        *text_member(&in, arrival_texts[i].offset) = json_text(json_get(j, arrival_texts[i].name));
    return in;
}

bool router_store(struct app *app, const char *instance, const struct arrival *in, bool *seen,
                  struct err *err)
{
    const char *keys[COUNT(in->keys) + 1] = {0};
    for (size_t i = 0; i < COUNT(in->keys) && in->keys[i] != NULL; i++)
        keys[i] = arena_printf(app->a, "%s:%s", instance, in->keys[i]);
    if (!store_remember(&app->store, keys, app->now_ms, seen, err))
        return false;
    return *seen || store_add_arrival(&app->store, instance, arrival_write(app->a, in),
                                      in->kind == ARRIVAL_DECISION ? 0 : 1, app->now_ms, err);
}

/* ---- threads ----------------------------------------------------------------------------- */

bool router_start_thread(struct app *app, const struct new_thread *in, const char **id,
                         struct err *err)
{
    char *new_id = app_id(app, 't');
    struct thread_row row = {
        .t = {.id = new_id,
              .agent = in->agent,
              .pipeline = in->pipeline,
              .parent = in->parent,
              .root = in->root == NULL ? new_id : in->root,
              .status = THREAD_RUNNING,
              .title = text_truncate(app->a, in->title, TITLE_BYTES),
              .requester = in->requester,
              .channel = in->channel,
              .to = in->to,
              .in_thread = in->in_thread,
              .created_at_ms = app->now_ms},
        .repo = in->repo == NULL ? NULL : json_write(app->a, in->repo),
    };
    *id = new_id;
    log_info("thread.started", L_STR("thread", new_id), L_STR("agent", in->agent),
             L_STR("pipeline", in->pipeline));
    return store_add_thread(&app->store, app->a, &row, err) &&
           app_append(app, new_id, in->type, in->actor, in->data, NULL, err);
}

static const char *title_of(struct arena *a, const struct arrival *in)
{
    const char *title = json_text_at(in->data, "title");
    const char *text = json_text_or(in->data, "text", in->type);
    if (title == NULL)
        return text_one_line(a, arena_strndup(a, text, strcspn(text, "\n")));
    int64_t number = json_int_or(json_get(in->data, "number"), 0);
    return number > 0 ? arena_printf(a, "#%lld %s", (long long)number, text_one_line(a, title))
                      : text_one_line(a, title);
}

static bool route_matches(const struct route *r, const char *instance, const struct arrival *in)
{
    return strcmp(r->from, instance) == 0 && (r->when == NULL || text_eq(r->when, in->when)) &&
           (r->event == NULL || text_eq(r->event, in->when)) &&
           (r->repo == NULL || text_eq(r->repo, in->repo)) &&
           (r->base == NULL || text_eq(r->base, in->base)) &&
           (r->command == NULL || text_eq(r->command, json_text_at(in->data, "command")));
}

/* A shortcut that has no route of its own is what a mention would be. */
const struct route *router_find(struct app *app, const char *instance, const struct arrival *in)
{
    const struct config *config = app->config;
    struct arrival as_mention = *in;
    as_mention.when = "mention";
    for (size_t i = 0; i < config->n_routes; i++)
        if (route_matches(&config->routes[i], instance, in))
            return &config->routes[i];
    return text_eq(in->when, "shortcut") ? router_find(app, instance, &as_mention) : NULL;
}

/* A run's repository is its environments': all of a pipeline name the same one. */
static const struct json *repo_of_pipeline(const struct config *config, const char *name)
{
    const struct pipeline *p = config_pipeline(config, name);
    for (size_t i = 0; p != NULL && i < p->n_stages; i++) {
        const struct environment *e = p->stages[i].environment == NULL
                                          ? NULL
                                          : config_environment(config, p->stages[i].environment);
        if (e != NULL && e->repo != NULL)
            return e->repo;
    }
    return NULL;
}

static bool start_by_route(struct app *app, const struct route *route, const char *instance,
                           const struct arrival *in, struct err *err)
{
    struct new_thread t = {.agent = route->agent,
                           .pipeline = route->pipeline,
                           .title = title_of(app->a, in),
                           .requester = actor_of(app->a, &app->config->people, in->sender),
                           .actor = actor_of(app->a, &app->config->people, in->sender),
                           .data = in->data};
    const char *id;
    if (!event_type_from_name(in->type, &t.type))
        return fail(err, ERR_INVALID, "router: %s is no event type", in->type);
    const struct contact *contact = NULL;
    if (route->pipeline != NULL) {
        t.repo = repo_of_pipeline(app->config, route->pipeline);
        contact = &config_pipeline(app->config, route->pipeline)->report;
    } else if (config_channel(app->config, instance) != NULL) {
        t.channel = instance;
        t.to = in->to;
        t.in_thread = in->in_thread;
    } else {
        contact = &config_agent(app->config, route->agent)->contact;
    }
    if (contact != NULL) {
        t.channel = contact->channel;
        t.to = contact->to;
    }
    return router_start_thread(app, &t, &id, err);
}

/* ---- messages and decisions -------------------------------------------------------------- */

static void tell_sender(struct app *app, const char *instance, const struct arrival *in,
                        const char *text)
{
    const struct channel_config *channel = config_channel(app->config, instance);
    if (channel == NULL || channel->ops == NULL || channel->ops->live == NULL)
        return;
    struct live live = {.kind = LIVE_TELL,
                        .to = in->to,
                        .in_thread = in->in_thread,
                        .user = strchr(in->sender, ':') + 1,
                        .text = text};
    outbox_live(app, channel, &live);
}

static bool decide(struct app *app, const char *instance, const struct arrival *in, struct err *err)
{
    struct vote_in vote = {.request = in->request,
                           .decision = in->decision,
                           .comment = in->comment,
                           .answer = in->answer,
                           .arguments = json_get(in->data, "arguments"),
                           .to = in->to,
                           .in_thread = in->in_thread,
                           .identity = in->sender,
                           .via = instance};
    struct vote_out out;
    if (!request_vote(app, &vote, &out, err))
        return false;
    bool told = out.result == VOTE_DECIDED || out.result == VOTE_CHECKING;
    if (in->hold != NULL)
        edit_taken(app, in->hold, &out, &told);
    if (!told && out.sentence != NULL)
        tell_sender(app, instance, in, out.sentence);
    return true;
}

/* "yes", "b", "2" or the words themselves: which choice does this text name, if exactly one? */
static const char *named_choice(struct arena *a, const struct request_row *r, const char *text)
{
    struct json *view = json_parse_own(a, r->view);
    const char *format = json_text_or(view, "options.format", "free_text");
    char *word = text_one_line(a, text);
    size_t len = strlen(word);
    while (len > 0 && strchr(" .!", word[len - 1]) != NULL)
        word[--len] = '\0';
    if (strcmp(format, "yes_no") == 0)
        return strcasecmp(word, "yes") == 0 ? "yes" : strcasecmp(word, "no") == 0 ? "no" : NULL;
    const char *found = NULL;
    size_t at = 0;
    JSON_EACH(choice, json_at(view, "options.choices"))
    {
        char letter[2] = {(char)('a' + at % 26), '\0'};
        if (strcasecmp(word, json_text(choice)) == 0 ||
            (at < 26 && strcasecmp(word, letter) == 0)) {
            if (found != NULL)
                return NULL;
            found = json_text(choice);
        }
        at++;
    }
    return found;
}

/* A plain message is the answer to an open question of its thread, if it can be one. */
static bool answer_question(struct app *app, const char *thread, const char *instance,
                            struct arrival *in, bool *answered, struct err *err)
{
    struct request_row *open;
    size_t n;
    const char *text = json_text_or(in->data, "text", "");
    *answered = false;
    if (!store_open_requests_of(&app->store, app->a, thread, &open, &n, err))
        return false;
    if (n == 0 || strcmp(open[0].kind, "question") != 0 || *text == '\0')
        return true;
    bool free_text =
        strcmp(json_text_or(json_parse_own(app->a, open[0].view), "options.format", "free_text"),
               "free_text") == 0;
    const char *answer = free_text ? text : named_choice(app->a, &open[0], text);
    if (answer == NULL)
        return true;
    *answered = true;
    in->request = open[0].id;
    in->decision = "answer";
    in->answer = answer;
    return decide(app, instance, in, err);
}

static bool join_thread(struct app *app, const char *thread, const char *instance,
                        struct arrival *in, struct err *err)
{
    bool answered;
    enum event_type type;
    if (!answer_question(app, thread, instance, in, &answered, err))
        return false;
    if (answered)
        return true;
    if (!event_type_from_name(in->type, &type))
        return fail(err, ERR_INVALID, "router: %s is no event type", in->type);
    return app_append(app, thread, type, actor_of(app->a, &app->config->people, in->sender),
                      in->data, NULL, err);
}

static bool route_message(struct app *app, const char *instance, struct arrival *in,
                          struct err *err)
{
    const char *thread = NULL;
    if (in->in_thread != NULL && !store_thread_of_conversation(&app->store, app->a, instance,
                                                               in->to, in->in_thread, &thread, err))
        return false;
    if (thread != NULL)
        return join_thread(app, thread, instance, in, err);
    if (in->known_threads_only)
        return true;
    const struct route *route = router_find(app, instance, in);
    if (route != NULL)
        return start_by_route(app, route, instance, in, err);
    if (in->kind == ARRIVAL_MESSAGE)
        tell_sender(app, instance, in,
                    "Nothing is set up to work on this here. Ask who runs me to add a route.");
    return true;
}

bool router_route(struct app *app, int64_t id, struct err *err)
{
    struct stored_arrival stored;
    if (!store_get_arrival(&app->store, app->a, id, &stored, err))
        return false;
    struct arrival in = arrival_read(app->a, stored.body);
    bool ok = true;
    switch (in.kind) {
    case ARRIVAL_IGNORED:
    case ARRIVAL_SEARCH:
    case ARRIVAL_ASK_FORM: /* its form was the answer; what the form says comes as a decision */
        break;
    case ARRIVAL_DECISION: /* one without a place was made on the person's own page */
        ok = decide(app, stored.channel, &in, err) &&
             (in.to != NULL ||
              outbox_home(app, stored.channel, strchr(in.sender, ':') + 1, NULL, err));
        break;
    case ARRIVAL_HOME:
        ok = outbox_home(app, stored.channel, in.to, json_text_at(in.data, "hash"), err);
        break;
    case ARRIVAL_COMMAND:
    case ARRIVAL_MESSAGE:
    case ARRIVAL_EVENT:
        ok = route_message(app, stored.channel, &in, err);
        break;
    }
    return ok && store_end_arrival(&app->store, id, err);
}
