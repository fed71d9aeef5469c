/* Commands that only look. See cli_private.h. */
#include "gateway/base/strbuf.h"
#include "gateway/base/text.h"
#include "gateway/cli_private.h"
#include "gateway/story.h"

#include <string.h>
#include <sys/resource.h>

enum { THREADS_SHOWN = 30, BODY_LINES = 10, DETAIL_LINES = 40 };

static const char *shown(struct cli *c, const struct json *from, const char *path)
{
    return text_one_line(c->a, json_text_or(from, path, ""));
}

static int64_t time_at(const struct json *from, const char *path)
{
    int64_t at_ms = 0;
    const char *text = json_text_at(from, path);
    return text != NULL && time_parse(text, &at_ms) ? at_ms : 0;
}

/* ---- threads ---- */

static const char *name_of(struct cli *c, const struct json *thread)
{
    const char *agent = json_text_at(thread, "agent"), *pipeline = json_text_at(thread, "pipeline");
    const struct json *run = json_get(thread, "run");
    if (agent != NULL)
        return text_one_line(c->a, agent);
    if (pipeline == NULL)
        return "(outside)";
    return arena_printf(c->a, "%s%s%s", text_one_line(c->a, pipeline), run == NULL ? "" : " run ",
                        run == NULL ? "" : json_write(c->a, run));
}

/* "waiting for a person"; a status that says more than its word. */
static const char *status_of(struct cli *c, const struct json *thread)
{
    const char *status = shown(c, thread, "status"), *outcome = json_text_at(thread, "outcome");
    const char *what = waiting_text(c->a, json_get(thread, "waiting_for"));
    if (strcmp(status, "waiting") == 0 && what != NULL)
        return arena_printf(c->a, "waits for %s", what);
    if (outcome != NULL && strcmp(outcome, status) != 0)
        return arena_printf(c->a, "%s (%s)", status, text_one_line(c->a, outcome));
    return status;
}

static void print_threads(struct cli *c, const struct json *threads)
{
    static const char *const heads[] = {"thread", "what", "status", "since", "title"};
    size_t n = json_count(threads), row = 0;
    struct terminal_cell *cells = ARENA_ARRAY(c->a, struct terminal_cell, n * COUNT(heads));
    JSON_EACH(thread, threads)
    {
        struct terminal_cell *cell = &cells[row++ * COUNT(heads)];
        bool is_child = json_text_at(thread, "parent") != NULL;
        cell[0] = (struct terminal_cell){.text = shown(c, thread, "id"), .is_faint = true};
        cell[1].text = arena_printf(c->a, "%s%s", is_child ? "└ " : "", name_of(c, thread));
        cell[2].text = status_of(c, thread);
        cell[2].tone = tone_of_status(json_text_at(thread, "status"));
        cell[3] = (struct terminal_cell){
            .text = ago_text(c->a, time_at(thread, "updated_at"), c->terminal.now_ms),
            .is_faint = true};
        cell[4].text = shown(c, thread, "title");
    }
    terminal_table(&c->terminal, c->a, heads, COUNT(heads), cells, n);
}

static void print_open_requests(struct cli *c, const struct json *requests)
{
    static const char *const heads[] = {"code", "asked", "expires", "what"};
    size_t n = json_count(requests), row = 0;
    struct terminal_cell *cells = ARENA_ARRAY(c->a, struct terminal_cell, n * COUNT(heads));
    JSON_EACH(request, requests)
    {
        struct terminal_cell *cell = &cells[row++ * COUNT(heads)];
        int64_t expires_ms = time_at(request, "expires_at");
        const char *tool = json_text_at(request, "tool");
        const char *target = target_text(c->a, json_get(request, "target"));
        cell[0] = (struct terminal_cell){.text = shown(c, request, "code"), .tone = TONE_WAIT};
        cell[1] = (struct terminal_cell){
            .text = ago_text(c->a, time_at(request, "raised_at"), c->terminal.now_ms),
            .is_faint = true};
        cell[2] = (struct terminal_cell){
            .text = expires_ms == 0 ? "never" : ago_text(c->a, expires_ms, c->terminal.now_ms),
            .is_faint = true};
        cell[3].text =
            tool == NULL ? flat_text(c->a, json_text_or(request, "question", ""))
                         : arena_printf(c->a, "%s%s%s",
                                        call_text(c->a, tool, json_get(request, "arguments")),
                                        target == NULL ? "" : " → ", target == NULL ? "" : target);
    }
    printf("%s\n", terminal_bold(&c->terminal, c->a, "Waiting for people"));
    terminal_table(&c->terminal, c->a, heads, COUNT(heads), cells, n);
    printf("\n");
}

int cli_threads(struct cli *c)
{
    struct err err = ERR_INIT;
    const struct json *threads, *requests;
    struct strbuf query;
    strbuf_init(&query, c->a, 4096);
    strbuf_addf(&query, "limit=%lld", c->limit > 0 ? (long long)c->limit : THREADS_SHOWN);
    if (c->status != NULL)
        strbuf_addf(&query, "&status=%s", url_encode(c->a, c->status));
    if (c->agent != NULL)
        strbuf_addf(&query, "&agent=%s", url_encode(c->a, c->agent));
    if (!cli_get(c, "/v1/threads", query.text, &threads, &err))
        return cli_fail_err(c, &err);
    if (c->as_json)
        return cli_print_json(c, threads);
    /* A key may lack requests:read; the list is then shown alone. */
    if (cli_get(c, "/v1/requests", "status=open&limit=50", &requests, NULL) &&
        json_count(json_get(requests, "requests")) > 0)
        print_open_requests(c, json_get(requests, "requests"));
    if (json_count(json_get(threads, "threads")) == 0)
        printf("No threads%s.\n", c->status != NULL || c->agent != NULL ? " like that" : " yet");
    else
        print_threads(c, json_get(threads, "threads"));
    if (json_text_at(threads, "next") != NULL)
        printf("%s\n", terminal_faint(&c->terminal, c->a, "There are more: --limit, --status."));
    return CLI_OK;
}

/* ---- show ---- */

/* To the second; "420ms" below. */
static const char *took_text(struct arena *a, int64_t ms)
{
    return text_from_duration_ms(a, ms < 1000 ? ms : ms / 1000 * 1000);
}

static void print_head(struct cli *c, const struct story *r, const struct people *people)
{
    const struct terminal *t = &c->terminal;
    const struct json *thread = r->thread;
    enum tone tone = tone_of_status(json_text_at(thread, "status"));
    int64_t begin_ms = time_at(thread, "created_at"), end_ms = time_at(thread, "updated_at");
    printf("%s\n", terminal_bold(t, c->a, terminal_cut(c->a, shown(c, thread, "title"), t->width)));
    printf("%s  %s  %s\n",
           terminal_paint(t, c->a, tone,
                          arena_printf(c->a, "%s %s", terminal_mark(tone), status_of(c, thread))),
           name_of(c, thread), terminal_faint(t, c->a, shown(c, thread, "id")));
    const char *asked = arena_printf(
        c->a, "asked by %s, %s, over %s", who_text(c->a, people, json_text_at(thread, "requester")),
        ago_text(c->a, begin_ms, t->now_ms), took_text(c->a, end_ms - begin_ms));
    long long steps = (long long)json_int_or(json_get(thread, "steps"), 0);
    if (steps > 0)
        asked = arena_printf(c->a, "%s; %lld %s, %lld tokens", asked, steps,
                             steps == 1 ? "step" : "steps",
                             (long long)json_int_or(json_get(thread, "tokens"), 0));
    printf("%s\n\n", terminal_faint(t, c->a, asked));
}

static void print_stages(struct cli *c, const struct story *r)
{
    int width = 0;
    for (size_t i = 0; i < r->n_stages; i++)
        width = terminal_columns(r->stages[i].name) > width ? terminal_columns(r->stages[i].name)
                                                            : width;
    for (size_t i = 0; i < r->n_stages; i++) {
        const struct told_stage *s = &r->stages[i];
        printf("  %s %s%*s  %s%s%s\n",
               terminal_paint(&c->terminal, c->a, s->tone, terminal_mark(s->tone)), s->name,
               width - terminal_columns(s->name), "",
               terminal_paint(&c->terminal, c->a, s->tone, s->state), s->note == NULL ? "" : "  ",
               s->note == NULL ? "" : terminal_faint(&c->terminal, c->a, s->note));
    }
    if (r->n_stages > 0)
        printf("\n");
}

static void print_line(struct cli *c, const struct told *line, const char **day)
{
    const struct terminal *t = &c->terminal;
    const char *today = terminal_day(c->a, line->at_ms);
    int indent = 10 + line->depth * 3;
    if (!text_eq(*day, today))
        printf("%s\n", terminal_faint(t, c->a, today));
    *day = today;
    char *head = terminal_cut(c->a, line->head, t->width == 0 ? 0 : t->width - indent - 2);
    printf("%s  %*s%s %s\n", terminal_faint(t, c->a, terminal_clock(c->a, line->at_ms)),
           line->depth * 3, "", terminal_paint(t, c->a, line->tone, terminal_mark(line->tone)),
           line->is_detail ? terminal_faint(t, c->a, head) : head);
    if (line->body != NULL)
        terminal_block(t, c->a, line->body, indent + 2, c->all ? DETAIL_LINES : BODY_LINES);
}

static const struct json *story_json(struct cli *c, const struct story *r)
{
    struct json *o = json_object(c->a);
    json_set(c->a, o, "thread", r->thread);
    struct json *stages = json_set(c->a, o, "stages", json_array(c->a));
    for (size_t i = 0; i < r->n_stages; i++) {
        struct json *s = json_object(c->a);
        json_set_text(c->a, s, "name", r->stages[i].name);
        json_set_text(c->a, s, "state", r->stages[i].state);
        json_set_text(c->a, s, "note", r->stages[i].note);
        json_push(c->a, stages, s);
    }
    struct json *lines = json_set(c->a, o, "lines", json_array(c->a));
    for (size_t i = 0; i < r->n_lines; i++) {
        const struct told *told = &r->lines[i];
        struct json *l = json_object(c->a);
        if (told->is_detail && !c->all)
            continue;
        json_set_int(c->a, l, "seq", told->seq);
        json_set_text(c->a, l, "at", time_format(c->a, told->at_ms));
        json_set_int(c->a, l, "depth", told->depth);
        json_set_text(c->a, l, "head", told->head);
        json_set_text(c->a, l, "body", told->body);
        json_set_text(c->a, l, "request", told->request);
        json_set_text(c->a, l, "child", told->child);
        json_push(c->a, lines, l);
    }
    return o;
}

int cli_show(struct cli *c)
{
    struct err err = ERR_INIT;
    struct story r;
    struct story_source source = cli_source(c);
    const char *day = NULL;
    if (!story_build(c->a, &source, c->args[0], &r, &err))
        return cli_fail_err(c, &err);
    if (c->as_json)
        return cli_print_json(c, story_json(c, &r));
    print_head(c, &r, source.people);
    print_stages(c, &r);
    for (size_t i = 0; i < r.n_lines; i++)
        if (c->all || !r.lines[i].is_detail)
            print_line(c, &r.lines[i], &day);
    if (r.is_cut)
        printf("%s\n", terminal_faint(&c->terminal, c->a, "… it is longer than this."));
    return CLI_OK;
}

int cli_context(struct cli *c)
{
    struct err err = ERR_INIT;
    const struct json *body;
    if (!cli_get(c, arena_printf(c->a, "/v1/threads/%s/context", url_encode(c->a, c->args[0])),
                 NULL, &body, &err))
        return cli_fail_err(c, &err);
    if (c->as_json)
        return cli_print_json(c, body);
    /* A file gets the exact bytes; a person's terminal nothing that it would obey. */
    const char *text = json_text_or(body, "text", "");
    fputs(c->terminal.width == 0 ? text : text_visible(c->a, text), stdout);
    return CLI_OK;
}

/* ---- the store itself ---- */

static int print_findings(struct cli *c, const struct audit_finding *findings, size_t n,
                          int64_t threads, int64_t events)
{
    for (size_t i = 0; i < n; i++)
        printf("%s %s seq %lld: %s\n",
               terminal_paint(&c->terminal, c->a, TONE_BAD, terminal_mark(TONE_BAD)),
               findings[i].thread == NULL ? "checkpoints" : text_one_line(c->a, findings[i].thread),
               (long long)findings[i].seq, text_one_line(c->a, findings[i].sentence));
    if (n == 0)
        printf("%s %lld %s in %lld %s: nothing was changed, removed or reordered.\n",
               terminal_paint(&c->terminal, c->a, TONE_GOOD, terminal_mark(TONE_GOOD)),
               (long long)events, events == 1 ? "event" : "events", (long long)threads,
               threads == 1 ? "thread" : "threads");
    else
        printf("%zu %s in %lld %s of %lld %s.\n", n, n == 1 ? "finding" : "findings",
               (long long)events, events == 1 ? "event" : "events", (long long)threads,
               threads == 1 ? "thread" : "threads");
    return n == 0 ? CLI_OK : CLI_FAILED;
}

static void print_findings_json(struct cli *c, const struct audit_finding *findings, size_t n,
                                int64_t threads, int64_t events)
{
    struct json *o = json_object(c->a);
    json_set_int(c->a, o, "threads", threads);
    json_set_int(c->a, o, "events", events);
    struct json *list = json_set(c->a, o, "findings", json_array(c->a));
    for (size_t i = 0; i < n; i++) {
        struct json *f = json_object(c->a);
        json_set_text(c->a, f, "thread", findings[i].thread);
        json_set_int(c->a, f, "seq", findings[i].seq);
        json_set_text(c->a, f, "message", findings[i].sentence);
        json_push(c->a, list, f);
    }
    cli_print_json(c, o);
}

/* What reads the whole store beside a gateway at work takes what that leaves. */
enum { NICE = 10 };

int cli_audit(struct cli *c)
{
    struct err err = ERR_INIT;
    struct audit_finding *findings;
    size_t n;
    int64_t threads, events;
    if (strcmp(c->args[0], "export") == 0)
        return cli_fail(c, CLI_USAGE, "`audit export` is not in this version");
    if (strcmp(c->args[0], "verify") != 0)
        return cli_fail(c, CLI_USAGE, "there is `signoff audit verify`, no `audit %s`", c->args[0]);
    (void)setpriority(PRIO_PROCESS, 0, NICE);
    if (!cli_open_store(c, &err) ||
        !store_verify(&c->store, c->a, &findings, &n, &threads, &events, &err))
        return cli_fail_err(c, &err);
    if (!c->as_json)
        return print_findings(c, findings, n, threads, events);
    print_findings_json(c, findings, n, threads, events);
    return n == 0 ? CLI_OK : CLI_FAILED;
}

int cli_backup(struct cli *c)
{
    struct err err = ERR_INIT;
    struct json *o = json_object(c->a);
    (void)setpriority(PRIO_PROCESS, 0, NICE);
    if (!cli_open_store(c, &err) || !db_backup(c->store.db, c->args[0], &err))
        return cli_fail_err(c, &err);
    json_set_text(c->a, o, "file", c->args[0]);
    if (c->as_json)
        return cli_print_json(c, o);
    printf("%s has everything up to now.\n", c->args[0]);
    return CLI_OK;
}
