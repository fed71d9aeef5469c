/* The desk: what people ask of Signoff itself in a chat command, answered at once from the store
 * ("/signoff status"), and what a command for an agent is answered with ("/deploy backend"). The
 * words are plain; the channel escapes them. See app.h. */
#include "gateway/app.h"
#include "gateway/base/strbuf.h"
#include "gateway/base/text.h"
#include "gateway/freeze.h"

#include <string.h>

#define OWN_COMMAND "/signoff"

enum { ANSWER_BYTES = 16 * 1024, MOST_LINES = 10, LINE_BYTES = 200 };

struct desk {
    struct app *app;
    const char *sender, *rest; /* rest: the words after the subcommand */
    const struct person *person;
    struct strbuf out;
};

static const char *url_of(struct desk *d, const char *kind, const char *id)
{
    return arena_printf(d->app->a, "%s/%s/%s", d->app->config->server.public_url, kind, id);
}

static const char *line(struct desk *d, const char *text)
{
    return text_truncate(d->app->a, text_one_line(d->app->a, text == NULL ? "" : text), LINE_BYTES);
}

/* ---- what is going on -------------------------------------------------------------------- */

static void add_pause(struct desk *d)
{
    if (d->app->paused_all)
        strbuf_add(&d->out, "EVERYTHING IS PAUSED. \"" OWN_COMMAND " resume all\" goes on.\n");
    if (d->app->dry_run)
        strbuf_add(&d->out, "This is a dry run: tools that act only say what they would run.\n");
}

static bool add_open(struct desk *d, struct err *err)
{
    struct app *app = d->app;
    struct request_filter filter = {.status = "open", .limit = MOST_LINES + 1};
    struct request_row *rows;
    size_t n;
    if (!store_list_requests(&app->store, app->a, &filter, &rows, &n, err))
        return false;
    strbuf_add(&d->out, n == 0 ? "No request is open.\n" : "Open requests:\n");
    for (size_t i = 0; i < n && i < MOST_LINES; i++) {
        const struct json *view = json_parse_own(app->a, rows[i].view);
        const char *what = rows[i].tool != NULL ? rows[i].tool : json_text_at(view, "question");
        strbuf_addf(&d->out, "• %s: %s %s %s %s\n", rows[i].code,
                    json_text_or(view, "agent", "somebody"),
                    rows[i].tool != NULL ? "proposes" : "asks", line(d, what),
                    url_of(d, "requests", rows[i].id));
    }
    if (n > MOST_LINES)
        strbuf_add(&d->out, "• … and more\n");
    return true;
}

static void add_thread(struct desk *d, const struct thread_row *row)
{
    const char *name = row->t.pipeline != NULL ? arena_printf(d->app->a, "%s run %lld",
                                                              row->t.pipeline, (long long)row->run)
                       : row->t.agent != NULL  ? row->t.agent
                                               : "an outside agent";
    strbuf_addf(&d->out, "• %s: %s, %s (%s) %s\n", name,
                row->t.paused && !thread_is_over(row->t.status) ? "paused"
                                                                : thread_status_name(row->t.status),
                line(d, row->t.title), row->t.id, url_of(d, "threads", row->t.id));
}

static bool add_threads(struct desk *d, const char *status, int64_t most, size_t *shown,
                        struct err *err)
{
    struct thread_filter filter = {.status = status, .limit = most};
    struct thread_row *rows;
    size_t n;
    *shown = 0;
    if (!store_list_threads(&d->app->store, d->app->a, &filter, &rows, &n, err))
        return false;
    for (size_t i = 0; i < n; i++)
        if (status != NULL || rows[i].t.parent == NULL) {
            add_thread(d, &rows[i]);
            ++*shown;
        }
    return true;
}

static bool add_environment(struct desk *d, const struct environment *env, struct err *err)
{
    struct component_row *rows;
    size_t n;
    if (!store_components(&d->app->store, d->app->a, env->name, &rows, &n, err))
        return false;
    strbuf_addf(&d->out, "• %s:", env->name);
    for (size_t i = 0; i < n; i++)
        strbuf_addf(&d->out, "%s %s %.7s", i == 0 ? "" : ",", rows[i].component,
                    strcmp(rows[i].state, "ok") == 0 && rows[i].sha != NULL ? rows[i].sha
                                                                            : "unknown");
    strbuf_add(&d->out, n == 0 ? " nothing known\n" : "\n");
    return true;
}

static bool say_status(struct desk *d, struct err *err)
{
    static const char *const at_work[] = {"running", "waiting", "paused"};
    const struct config *c = d->app->config;
    size_t n, all = 0;
    add_pause(d);
    if (!add_open(d, err))
        return false;
    strbuf_add(&d->out, "At work:\n");
    for (size_t i = 0; i < COUNT(at_work); i++) {
        if (!add_threads(d, at_work[i], MOST_LINES, &n, err))
            return false;
        all += n;
    }
    if (all == 0)
        strbuf_add(&d->out, "• nothing\n");
    if (c->n_environments > 0)
        strbuf_add(&d->out, "What runs where:\n");
    for (size_t i = 0; i < c->n_environments; i++)
        if (!add_environment(d, &c->environments[i], err))
            return false;
    return true;
}

static bool say_threads(struct desk *d, struct err *err)
{
    size_t n;
    strbuf_add(&d->out, "The newest threads:\n");
    if (!add_threads(d, NULL, 2LL * MOST_LINES, &n, err))
        return false;
    if (n == 0)
        strbuf_add(&d->out, "• none yet\n");
    return true;
}

static bool say_locks(struct desk *d, struct err *err)
{
    struct app *app = d->app;
    for (size_t i = 0; i < app->config->n_environments; i++) {
        const struct environment *env = &app->config->environments[i];
        struct lock_row lock;
        bool locked;
        if (!store_get_lock(&app->store, app->a, env->name, app->now_ms, &lock, &locked, err))
            return false;
        strbuf_addf(&d->out, "• %s: ", env->name);
        if (locked)
            strbuf_addf(&d->out, "locked by %s: %s%s%s",
                        actor_display(app->a, &app->config->people, lock.owner),
                        line(d, lock.reason), lock.expires_at_ms > 0 ? ", until " : "",
                        lock.expires_at_ms > 0 ? time_format(app->a, lock.expires_at_ms) : "");
        else
            strbuf_add(&d->out, "not locked");
        for (size_t k = 0; k < env->n_freezes; k++)
            if (freeze_is_on(&env->freezes[k], app->now_ms))
                strbuf_addf(&d->out, "; frozen (%s)", env->freezes[k].name);
        strbuf_addc(&d->out, '\n');
    }
    if (app->config->n_environments == 0)
        strbuf_add(&d->out, "No environment is configured.\n");
    return true;
}

/* ---- pausing ----------------------------------------------------------------------------- */

static bool pause_or_resume(struct desk *d, bool pause, struct err *err)
{
    struct app *app = d->app;
    struct err why = ERR_INIT;
    const char *what = *d->rest == '\0' ? "all" : d->rest;
    const char *done = pause ? "paused" : "resumed";
    if (d->person == NULL) {
        strbuf_add(&d->out, "I do not know you: only people in my configuration may do this.\n");
        return true;
    }
    const char *actor = arena_printf(app->a, "person:%s", d->person->id);
    if (strcmp(what, "all") == 0) {
        strbuf_addf(&d->out, "Everything is %s. %s\n", done,
                    pause ? "What runs already is finished and recorded. \"" OWN_COMMAND
                            " resume all\" goes on."
                          : "");
        return thread_pause_all(app, actor, pause, err);
    }
    if (thread_pause(app, what, actor, pause, &why)) {
        strbuf_addf(&d->out, "%s is %s.\n", line(d, what), done);
        return true;
    }
    if (why.kind == ERR_TRANSIENT)
        return fail(err, why.kind, "%s", why.text);
    strbuf_addf(&d->out, "%s. Name a thread in full (t_…), or \"all\".\n", why.text);
    return true;
}

static bool say_pause(struct desk *d, struct err *err)
{
    return pause_or_resume(d, true, err);
}

static bool say_resume(struct desk *d, struct err *err)
{
    return pause_or_resume(d, false, err);
}

/* ---- help -------------------------------------------------------------------------------- */

static bool say_help(struct desk *d, struct err *err);

static const struct {
    const char *word, *arguments, *help;
    bool (*say)(struct desk *d, struct err *err);
} subcommands[] = {
    {"status", "", "what is open, what is at work, what runs where", say_status},
    {"threads", "", "the newest threads", say_threads},
    {"locks", "", "which environments are locked or frozen", say_locks},
    {"pause", " [all | t_…]", "no agent or pipeline takes a step until it is resumed", say_pause},
    {"resume", " [all | t_…]", "they go on", say_resume},
    {"help", "", "this", say_help},
};

static bool say_help(struct desk *d, struct err *err)
{
    (void)err;
    for (size_t i = 0; i < COUNT(subcommands); i++)
        strbuf_addf(&d->out, "• " OWN_COMMAND " %s%s: %s\n", subcommands[i].word,
                    subcommands[i].arguments, subcommands[i].help);
    for (size_t i = 0; i < d->app->config->n_routes; i++) {
        const struct route *r = &d->app->config->routes[i];
        if (r->command != NULL && r->agent != NULL)
            strbuf_addf(&d->out,
                        "• %s …: asks %s in your words, for example \"%s backend 4af9ec0\"\n",
                        r->command, r->agent, r->command);
    }
    strbuf_add(&d->out, "• or mention me in a channel, or use \"Ask deploybot about this\" on a "
                        "message\n");
    return true;
}

/* ---- the door ---------------------------------------------------------------------------- */

static bool say_own(struct desk *d, const char *words, struct err *err)
{
    char *word = arena_strndup(d->app->a, words, strcspn(words, " "));
    d->rest = words + strlen(word);
    d->rest += strspn(d->rest, " ");
    if (*word == '\0')
        return say_help(d, err);
    for (size_t i = 0; i < COUNT(subcommands); i++)
        if (strcasecmp(word, subcommands[i].word) == 0)
            return subcommands[i].say(d, err);
    strbuf_addf(&d->out, "I do not know \"%s\". You can say:\n", line(d, word));
    return say_help(d, err);
}

bool desk_command(struct app *app, const char *instance, const struct arrival *in, bool *for_agent,
                  const char **text, struct err *err)
{
    const char *command = json_text_or(in->data, "command", "");
    const char *words = json_text_or(in->data, "text", "");
    struct desk d = {.app = app,
                     .sender = in->sender,
                     .person = person_by_identity(&app->config->people, in->sender)};
    strbuf_init(&d.out, app->a, ANSWER_BYTES);
    words += strcspn(words, " "); /* the first word is the command's own */
    words = text_one_line(app->a, words + strspn(words, " "));
    *for_agent = false;
    bool ok = true;
    const struct route *route = router_find(app, instance, in);
    if (strcmp(command, OWN_COMMAND) == 0) {
        ok = say_own(&d, words, err);
    } else if (route == NULL) {
        strbuf_addf(&d.out, "Nothing is set up for %s here. You can say:\n", line(&d, command));
        ok = say_help(&d, err);
    } else if (*words == '\0' || strcasecmp(words, "help") == 0) {
        strbuf_addf(&d.out,
                    "Say what should be done, and of which commit, for example:\n"
                    "• %s backend 4af9ec0\n• %s the latest frontend to production\n",
                    command, command);
    } else {
        *for_agent = true;
        strbuf_addf(&d.out, "%s is on it: %s\nIt answers in this channel. %s\n",
                    route->agent != NULL ? route->agent : route->pipeline, line(&d, words),
                    app->paused_all ? "Everything is PAUSED, so it begins when it is resumed."
                                    : "");
    }
    *text = d.out.text;
    return ok;
}
