/* A thread: how it stands, its stages if it is a run, and what happened, its children inline. See
 * pages.h and story.h. */
#include "gateway/base/text.h"
#include "gateway/pages_private.h"
#include "gateway/reads.h"

#include <string.h>

struct thread_page {
    const struct page_request *in;
    struct story story;
    struct strbuf b;
    bool all; /* the machinery too */
    int64_t after;
};

/* ---- where the story comes from ---- */

static bool get(void *ctx, const char *path, const char *query, const struct json **out,
                struct err *err)
{
    const struct page_request *in = ctx;
    struct reads reads = {
        .a = in->a, .config = in->config, .store = in->store, .now_ms = in->now_ms};
    return reads_get(&reads, path, query, out, err);
}

static size_t stages_of(void *ctx, const char *name, const char *const **names)
{
    const struct page_request *in = ctx;
    const struct pipeline *p = config_pipeline(in->config, name);
    size_t n = p == NULL ? 0 : p->n_stages;
    const char **list = ARENA_ARRAY(in->a, const char *, n);
    for (size_t i = 0; i < n; i++)
        list[i] = p->stages[i].name;
    *names = list;
    return n;
}

static bool load(struct thread_page *x, const char *id, struct err *err)
{
    /* The source's callbacks take a context that they only read. */
    struct page_request copy = *x->in;
    struct story_source source = {
        .get = get, .ctx = &copy, .people = &x->in->config->people, .stages = stages_of};
    return story_build(x->in->a, &source, id, &x->story, err);
}

/* ---- its parts ---- */

static int64_t time_at(const struct json *thread, const char *path)
{
    int64_t at_ms = 0;
    const char *text = json_text_at(thread, path);
    return text != NULL && time_parse(text, &at_ms) ? at_ms : 0;
}

static void add_status(struct thread_page *x)
{
    const struct json *thread = x->story.thread;
    const char *status = json_text_or(thread, "status", ""), *word = status;
    const char *outcome = json_text_at(thread, "outcome");
    const char *waits = waiting_text(x->in->a, json_get(thread, "waiting_for"));
    if (strcmp(status, "waiting") == 0 && waits != NULL)
        word = arena_printf(x->in->a, "waits for %s", waits);
    else if (outcome != NULL && strcmp(outcome, status) != 0)
        word = arena_printf(x->in->a, "%s: %s", status, outcome);
    html_chip(&x->b, tone_of_status(status), word);
}

static void add_stages(struct thread_page *x)
{
    if (x->story.n_stages == 0)
        return;
    html_raw(&x->b, "<ol class=\"stages\" aria-label=\"Stages\">");
    for (size_t i = 0; i < x->story.n_stages; i++) {
        const struct told_stage *s = &x->story.stages[i];
        html_add(&x->b,
                 "<li class=\"%s\"><div class=\"name\">%s</div><div class=\"state\">%s</div>",
                 tone_name(s->tone), s->name, s->state);
        if (s->note != NULL)
            html_add(&x->b, "<div class=\"sub\">%s</div>", s->note);
        html_raw(&x->b, "</li>");
    }
    html_raw(&x->b, "</ol>");
}

static void add_head(struct thread_page *x)
{
    const struct json *thread = x->story.thread;
    const char *agent = json_text_at(thread, "agent"), *pipeline = json_text_at(thread, "pipeline");
    long long run = (long long)json_int_or(json_get(thread, "run"), 0);
    long long steps = (long long)json_int_or(json_get(thread, "steps"), 0);
    long long tokens = (long long)json_int_or(json_get(thread, "tokens"), 0);
    html_add(&x->b, "<section class=\"card\" data-key=\"head\"><h1>%s</h1><div class=\"row\">",
             json_text_or(thread, "title", ""));
    add_status(x);
    html_add(&x->b, "<span class=\"sub\">%s",
             pipeline != NULL ? pipeline
             : agent != NULL  ? agent
                              : "asked from outside");
    if (run > 0)
        html_add(&x->b, " run %lld", run);
    html_add(&x->b, ", for %s, ",
             who_text(x->in->a, &x->in->config->people, json_text_at(thread, "requester")));
    html_ago(&x->b, time_at(thread, "created_at"), x->in->now_ms);
    html_add(&x->b, "</span><span class=\"sub mono\">%s</span>", json_text_or(thread, "id", ""));
    if (steps > 0)
        html_add(&x->b, "<span class=\"sub\">%lld %s, %lld tokens</span>", steps,
                 steps == 1 ? "step" : "steps", tokens);
    html_raw(&x->b, "</div>");
    add_stages(x);
    html_raw(&x->b, "</section>");
}

static void add_line(struct thread_page *x, const struct told *line, size_t number)
{
    struct strbuf *b = &x->b;
    html_add(b, "<li class=\"%s d%d%s\" data-key=\"%lld\">", tone_name(line->tone), line->depth,
             line->is_detail ? " detail" : "", (long long)number);
    html_add(b, "<div class=\"line\"><span class=\"head\">%s</span>", line->head);
    html_add(b, "<time class=\"at\" data-clock datetime=\"%s\">%s</time></div>",
             time_format(x->in->a, line->at_ms),
             arena_strndup(x->in->a, time_format(x->in->a, line->at_ms) + 11, 8));
    if (line->body != NULL) {
        html_raw(b, "<pre>");
        html_block(b, line->body);
        html_raw(b, "</pre>");
    }
    if (line->child != NULL)
        html_add(b, "<a class=\"more\" href=\"/threads/%s\">Its own page</a>", line->child);
    if (line->request != NULL && line->is_asked)
        html_add(b, "<a class=\"more\" href=\"/requests/%s\">%s</a>", line->request,
                 line->tone == TONE_WAIT ? "Look and decide" : "The request");
    html_raw(b, "</li>");
}

static void add_lines(struct thread_page *x)
{
    const char *id = json_text_or(x->story.thread, "id", "");
    html_raw(&x->b, "<div class=\"bar\" data-key=\"bar\"><h2>What happened <span class=\"count\" "
                    "data-utc>times in UTC</span></h2>");
    html_add(&x->b, "<a class=\"small\" href=\"/threads/%s%s\">%s</a></div>", id,
             x->all ? "" : "?all=1", x->all ? "Only what matters" : "Every event");
    html_raw(&x->b, "<ol class=\"time\" data-key=\"time\" data-keyed aria-live=\"polite\" "
                    "aria-relevant=\"additions\">");
    for (size_t i = 0; i < x->story.n_lines; i++) {
        const struct told *line = &x->story.lines[i];
        if ((x->all || !line->is_detail) && (line->depth > 0 || line->seq > x->after))
            add_line(x, line, i);
    }
    html_raw(&x->b, "</ol>");
    if (x->story.is_cut)
        html_raw(&x->b, "<p class=\"dim\" data-key=\"cut\">It is longer than a page shows; "
                        "<code>GET /v1/threads/…/events</code> has all of it.</p>");
}

static const char *crumbs(struct thread_page *x)
{
    struct strbuf b;
    const char *parent = json_text_at(x->story.thread, "parent");
    strbuf_init(&b, x->in->a, 4096);
    html_raw(&b, "<a href=\"/\">Inbox</a>");
    if (parent != NULL)
        html_add(&b, " / <a href=\"/threads/%s\">its run</a>", parent);
    return b.text;
}

bool page_thread(const struct page_request *in, const char *id, bool part, struct page *out,
                 struct err *err)
{
    struct thread_page x = {.in = in};
    const char *after = in->query == NULL ? NULL : form_value(in->a, span_of(in->query), "after");
    x.all = in->query != NULL && form_value(in->a, span_of(in->query), "all") != NULL;
    if (after != NULL && !text_to_int(after, 0, INT64_MAX, &x.after))
        return fail(err, ERR_INVALID, "after: it is an event's seq");
    strbuf_init(&x.b, in->a, HTML_BYTES);
    if (!load(&x, id, err))
        return false;
    add_head(&x);
    add_lines(&x);
    if (part) {
        page_alone(in, x.b.text, out);
        return true;
    }
    char *content =
        PAGE_PART(in, "thread.html", {.name = "id", .text = json_text_or(x.story.thread, "id", "")},
                  {.name = "query", .text = x.all ? "?all=1" : ""},
                  {.name = "crumbs", .text = crumbs(&x), .is_escaped = true},
                  {.name = "live", .text = x.b.text, .is_escaped = true});
    page_frame(in, 200, json_text_or(x.story.thread, "title", "Thread"), "slim", content, out);
    return true;
}
