/* The inbox: what waits for the person who looks, what waits for others, what runs, where what is
 * deployed, what was decided. See pages.h. */
#include "gateway/base/text.h"
#include "gateway/pages_private.h"
#include "gateway/views.h"

#include <string.h>

enum { OPEN_MAX = 200, RECENT_MAX = 8, LOOK_BACK = 60, THREADS_MAX = 60 };

struct inbox {
    const struct page_request *in;
    struct strbuf b;
    struct request_row *open;
    size_t n_open;
    bool *is_mine; /* of the open ones */
};

/* ---- requests ---- */

const char *request_subject(struct arena *a, const struct json *view)
{
    const char *tool = json_text_at(view, "tool");
    if (tool != NULL)
        return call_text(a, tool, json_get(view, "arguments"));
    return flat_text(a, text_truncate(a, json_text_or(view, "question", "A question"), 160));
}

static bool has_voted(const struct inbox *x, const struct request_row *row, bool *yes,
                      struct err *err)
{
    struct vote_row *votes;
    size_t n;
    *yes = false;
    if (!store_votes(x->in->store, x->in->a, row->id, &votes, &n, err))
        return false;
    for (size_t i = 0; i < n; i++)
        *yes |= strcmp(votes[i].person, x->in->person->id) == 0;
    return true;
}

static bool load_open(struct inbox *x, struct err *err)
{
    struct request_filter filter = {.status = "open", .limit = OPEN_MAX};
    if (!store_list_requests(x->in->store, x->in->a, &filter, &x->open, &x->n_open, err))
        return false;
    x->is_mine = ARENA_ARRAY(x->in->a, bool, x->n_open);
    for (size_t i = 0; i < x->n_open; i++) {
        bool voted;
        if (!has_voted(x, &x->open[i], &voted, err))
            return false;
        x->is_mine[i] = !voted && may_vote(x->in, &x->open[i], NULL) == MAY_DECIDE;
    }
    return true;
}

static void add_asked(struct inbox *x, const struct json *view, const struct request_row *row)
{
    const char *target = target_text(x->in->a, json_get(view, "target"));
    html_add(&x->b, "<span class=\"sub\">%s asks%s%s, ",
             json_text_or(view, "agent", "somebody outside"), target == NULL ? "" : " for ",
             target == NULL ? "" : target);
    html_ago(&x->b, row->raised_at_ms, x->in->now_ms);
    if (row->expires_at_ms > 0) {
        html_raw(&x->b, "; expires ");
        html_ago(&x->b, row->expires_at_ms, x->in->now_ms);
    }
    html_raw(&x->b, "</span>");
}

static bool add_open(struct inbox *x, const struct request_row *row, bool mine, struct err *err)
{
    struct json *view;
    if (!view_request(x->in->a, x->in->config, x->in->store, row, &view, err))
        return false;
    html_add(&x->b, "<li><a class=\"item\" href=\"/requests/%s\"><span class=\"what%s\">%s</span>",
             row->id, row->tool == NULL ? "" : " mono", request_subject(x->in->a, view));
    add_asked(x, view, row);
    html_raw(&x->b, "<span class=\"end\">");
    if (mine)
        html_add(&x->b, "<span class=\"go\">%s</span>",
                 row->tool == NULL ? "Answer" : "Look and decide");
    else
        html_chip(&x->b, TONE_WAIT, "open");
    html_raw(&x->b, "</span></a></li>");
    return true;
}

static bool add_open_section(struct inbox *x, bool mine, struct err *err)
{
    size_t n = 0;
    for (size_t i = 0; i < x->n_open; i++)
        n += x->is_mine[i] == mine;
    if (n == 0 && !mine)
        return true;
    html_add(&x->b,
             "<section class=\"section%s\" data-key=\"%s\"><h2>%s <span class=\"count\">%lld</span>"
             "</h2>",
             mine ? " mine" : "", mine ? "mine" : "others",
             mine ? "Waits for you" : "Waits for others", (long long)n);
    if (n == 0)
        html_raw(&x->b, "<p class=\"empty\">Nothing waits for you.</p>");
    else
        html_raw(&x->b, "<ul class=\"list\">");
    for (size_t i = 0; i < x->n_open; i++)
        if (x->is_mine[i] == mine && !add_open(x, &x->open[i], mine, err))
            return false;
    html_raw(&x->b, n == 0 ? "</section>" : "</ul></section>");
    return true;
}

static bool add_decided(struct inbox *x, const struct request_row *row, struct err *err)
{
    struct json *view;
    if (!view_request(x->in->a, x->in->config, x->in->store, row, &view, err))
        return false;
    const char *by = json_text_at(view, "by");
    bool by_person = by != NULL && strcmp(by, "system") != 0;
    html_add(&x->b, "<li><a class=\"item\" href=\"/requests/%s\"><span class=\"what%s\">%s</span>",
             row->id, row->tool == NULL ? "" : " mono", request_subject(x->in->a, view));
    html_add(&x->b, "<span class=\"sub\">%s%s", by_person ? by : "", by_person ? ", " : "");
    html_ago(&x->b, row->decided_at_ms, x->in->now_ms);
    if (row->comment != NULL)
        html_add(&x->b, ": “%s”", flat_text(x->in->a, text_truncate(x->in->a, row->comment, 120)));
    html_raw(&x->b, "</span><span class=\"end\">");
    html_chip(&x->b, tone_of_status(row->status), row->status);
    html_raw(&x->b, "</span></a></li>");
    return true;
}

static bool add_recent(struct inbox *x, struct err *err)
{
    struct request_filter filter = {.limit = LOOK_BACK};
    struct request_row *rows;
    size_t n, shown = 0;
    if (!store_list_requests(x->in->store, x->in->a, &filter, &rows, &n, err))
        return false;
    html_raw(&x->b, "<section class=\"section\" data-key=\"recent\"><h2>Decided lately</h2>");
    for (size_t i = 0; i < n && shown < RECENT_MAX; i++) {
        if (strcmp(rows[i].status, "open") == 0)
            continue;
        html_raw(&x->b, shown++ == 0 ? "<ul class=\"list\">" : "");
        if (!add_decided(x, &rows[i], err))
            return false;
    }
    html_raw(&x->b, shown == 0 ? "<p class=\"empty\">Nothing was decided yet.</p></section>"
                               : "</ul></section>");
    return true;
}

/* ---- threads ---- */

static void add_thread(struct inbox *x, const struct thread_row *row)
{
    const struct thread *t = &row->t;
    const char *waits = row->waiting == NULL
                            ? NULL
                            : waiting_text(x->in->a, json_parse_own(x->in->a, row->waiting));
    const char *status = t->paused ? "paused" : thread_status_name(t->status);
    html_add(&x->b, "<li><a class=\"item\" href=\"/threads/%s\"><span class=\"what\">%s</span>",
             t->id, t->title);
    html_add(&x->b, "<span class=\"sub\">%s",
             t->pipeline != NULL ? t->pipeline
             : t->agent != NULL  ? t->agent
                                 : "from outside");
    if (row->run > 0)
        html_add(&x->b, " run %lld", (long long)row->run);
    html_add(&x->b, ", for %s, ", who_text(x->in->a, &x->in->config->people, t->requester));
    html_ago(&x->b, t->created_at_ms, x->in->now_ms);
    html_raw(&x->b, "</span><span class=\"end\">");
    html_chip(&x->b, tone_of_status(status),
              waits == NULL || t->paused ? status : arena_printf(x->in->a, "waits for %s", waits));
    html_raw(&x->b, "</span></a></li>");
}

static bool add_threads(struct inbox *x, struct err *err)
{
    static const char *const statuses[] = {"running", "waiting", "paused"};
    size_t shown = 0;
    html_raw(&x->b, "<section class=\"section\" data-key=\"threads\"><h2>Under way</h2>");
    for (size_t s = 0; s < COUNT(statuses); s++) {
        struct thread_filter filter = {.status = statuses[s], .limit = THREADS_MAX};
        struct thread_row *rows;
        size_t n;
        if (!store_list_threads(x->in->store, x->in->a, &filter, &rows, &n, err))
            return false;
        for (size_t i = 0; i < n; i++) {
            if (rows[i].t.parent != NULL)
                continue; /* its run is there */
            html_raw(&x->b, shown++ == 0 ? "<ul class=\"list\">" : "");
            add_thread(x, &rows[i]);
        }
    }
    html_raw(&x->b, shown == 0 ? "<p class=\"empty\">Nothing is under way.</p></section>"
                               : "</ul></section>");
    return true;
}

static bool add_ended(struct inbox *x, struct err *err)
{
    struct thread_filter filter = {.limit = LOOK_BACK};
    struct thread_row *rows;
    size_t n, shown = 0;
    if (!store_list_threads(x->in->store, x->in->a, &filter, &rows, &n, err))
        return false;
    html_raw(&x->b, "<section class=\"section\" data-key=\"ended\"><h2>Ended lately</h2>");
    for (size_t i = 0; i < n && shown < RECENT_MAX; i++) {
        if (rows[i].t.parent != NULL || rows[i].t.status < THREAD_DONE)
            continue;
        html_raw(&x->b, shown++ == 0 ? "<ul class=\"list\">" : "");
        rows[i].waiting = NULL;
        add_thread(x, &rows[i]);
    }
    html_raw(&x->b, shown == 0 ? "<p class=\"empty\">Nothing has ended yet.</p></section>"
                               : "</ul></section>");
    return true;
}

/* ---- environments ---- */

static void add_component(struct inbox *x, const struct json *component)
{
    int64_t at_ms = 0;
    const char *at = json_text_at(component, "at"), *state = json_text_or(component, "state", "");
    const char *thread = json_text_at(component, "thread");
    if (at != NULL && !time_parse(at, &at_ms))
        at_ms = 0;
    html_add(&x->b, "<li><span>%s</span><span class=\"sub\">",
             json_text_or(component, "component", ""));
    if (strcmp(state, "ok") != 0)
        html_chip(&x->b, tone_of_status(state), state);
    if (thread != NULL)
        html_add(&x->b, " <a href=\"/threads/%s\">", thread);
    html_add(&x->b, "<code>%s</code>",
             short_sha(x->in->a, json_text_or(component, "sha", "nothing known")));
    html_raw(&x->b, thread != NULL ? "</a> " : " ");
    html_ago(&x->b, at_ms, x->in->now_ms);
    html_raw(&x->b, "</span></li>");
}

static void add_hold(struct inbox *x, const struct json *env)
{
    const char *holder = json_text_at(env, "held_by");
    size_t queue = json_count(json_get(env, "queue"));
    const struct json *lock = json_get(env, "lock");
    if (json_text_at(lock, "owner") != NULL) {
        html_add(&x->b, "<p class=\"small\">Locked by %s: %s",
                 who_text(x->in->a, &x->in->config->people, json_text_at(lock, "owner")),
                 json_text_or(lock, "reason", ""));
        html_raw(&x->b, "</p>");
    }
    if (holder != NULL)
        html_add(&x->b, "<p class=\"small\"><a href=\"/threads/%s\">One run</a> is at work here%s",
                 holder, queue == 0 ? "." : "; ");
    if (holder != NULL && queue > 0)
        html_add(&x->b, "%lld %s.", (long long)queue, queue == 1 ? "waits" : "wait");
    html_raw(&x->b, holder != NULL ? "</p>" : "");
}

static void add_environment(struct inbox *x, const struct json *env)
{
    bool locked = json_text_at(env, "lock.owner") != NULL;
    bool held = json_text_at(env, "held_by") != NULL;
    html_add(&x->b, "<li class=\"card\"><div class=\"place\"><h3>%s</h3>",
             json_text_or(env, "name", ""));
    html_chip(&x->b,
              locked ? TONE_BAD
              : held ? TONE_WORK
                     : TONE_GOOD,
              locked ? "locked"
              : held ? "in use"
                     : "free");
    html_raw(&x->b, "</div>");
    add_hold(x, env);
    if (json_count(json_get(env, "components")) == 0)
        html_raw(&x->b, "<p class=\"dim small\">Nothing was deployed here yet.</p>");
    html_raw(&x->b, "<ul class=\"parts\">");
    JSON_EACH(component, json_get(env, "components"))
    {
        add_component(x, component);
    }
    html_raw(&x->b, "</ul></li>");
}

static bool add_environments(struct inbox *x, struct err *err)
{
    const struct config *config = x->in->config;
    if (config->n_environments == 0)
        return true;
    html_raw(&x->b, "<section class=\"section\" data-key=\"environments\"><h2>Environments</h2>"
                    "<ul class=\"grid\">");
    for (size_t i = 0; i < config->n_environments; i++) {
        struct json *view;
        if (!view_environment(x->in->a, config, x->in->store, &config->environments[i],
                              x->in->now_ms, &view, err))
            return false;
        add_environment(x, view);
    }
    html_raw(&x->b, "</ul></section>");
    return true;
}

/* ---- the page ---- */

static bool add_paused(struct inbox *x, struct err *err)
{
    const char *paused;
    if (!store_meta_get(x->in->store, x->in->a, "paused_all", &paused, err))
        return false;
    if (text_eq(paused, "1"))
        html_raw(&x->b, "<div class=\"say wait\" data-key=\"paused\"><p><strong>Everything is "
                        "paused.</strong> Votes are taken; nothing new starts until "
                        "<code>signoff resume all</code>.</p></div>");
    return true;
}

bool page_inbox(const struct page_request *in, struct page *out, struct err *err)
{
    struct inbox x = {.in = in};
    size_t mine = 0;
    strbuf_init(&x.b, in->a, HTML_BYTES);
    html_raw(&x.b, "<h1 data-key=\"title\" class=\"skip\">Inbox</h1>");
    if (!load_open(&x, err) || !add_paused(&x, err) || !add_open_section(&x, true, err) ||
        !add_open_section(&x, false, err) || !add_threads(&x, err) || !add_environments(&x, err))
        return false;
    html_raw(&x.b, "<div class=\"two\" data-key=\"past\">");
    if (!add_recent(&x, err) || !add_ended(&x, err))
        return false;
    html_raw(&x.b, "</div>");
    for (size_t i = 0; i < x.n_open; i++)
        mine += x.is_mine[i];
    if (page_wants_part(in)) {
        page_alone(in, x.b.text, out);
        return true;
    }
    char *content =
        PAGE_PART(in, "inbox.html", {.name = "live", .text = x.b.text, .is_escaped = true});
    page_frame(in, 200, mine == 0 ? "Inbox" : arena_printf(in->a, "(%zu) Inbox", mine), "wide",
               content, out);
    return true;
}
