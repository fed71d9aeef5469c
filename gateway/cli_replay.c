/* `signoff replay`: are the same events still the same bytes? See replay.h and cli_private.h. */
#include "gateway/base/text.h"
#include "gateway/cli_private.h"
#include "gateway/replay.h"

#include <string.h>

enum { PAGE = 200 };

/* What all replays of one call come to. */
struct totals {
    int64_t threads, events, judged, different, unknown;
    struct json *list; /* --json */
};

static const char *verdict_name(enum replay_verdict verdict)
{
    return verdict == REPLAY_SAME ? "same" : verdict == REPLAY_DIFFERENT ? "different" : "unknown";
}

static enum tone tone_of_verdict(enum replay_verdict verdict)
{
    return verdict == REPLAY_SAME ? TONE_GOOD : verdict == REPLAY_DIFFERENT ? TONE_BAD : TONE_WAIT;
}

static void add_json(struct cli *c, struct totals *t, const struct replay *r)
{
    struct json *o = json_object(c->a);
    json_set_text(c->a, o, "thread", arena_strdup(c->a, r->thread));
    json_set_text(c->a, o, "what", r->what == NULL ? NULL : arena_strdup(c->a, r->what));
    json_set_int(c->a, o, "events", r->events);
    json_set_text(c->a, o, "digest", arena_strdup(c->a, r->digest));
    struct json *lines = json_set(c->a, o, "judged", json_array(c->a));
    for (size_t i = 0; i < r->count; i++) {
        struct json *l = json_object(c->a);
        json_set_int(c->a, l, "seq", r->lines[i].seq);
        json_set_text(c->a, l, "type", event_type_name(r->lines[i].type));
        json_set_text(c->a, l, "verdict", verdict_name(r->lines[i].verdict));
        json_set_text(c->a, l, "message", arena_strdup(c->a, r->lines[i].sentence));
        json_push(c->a, lines, l);
    }
    json_push(c->a, t->list, o);
}

/* One line a thread; of one thread alone, or with --all, one line an event that was judged too. */
static void print_one(struct cli *c, const struct replay *r, bool every_line)
{
    const struct terminal *term = &c->terminal;
    enum replay_verdict worst = r->different > 0 ? REPLAY_DIFFERENT
                                : r->unknown > 0 ? REPLAY_UNKNOWN
                                                 : REPLAY_SAME;
    enum tone tone = tone_of_verdict(worst);
    printf("%s %s %s: %lld events, %zu judged%s\n",
           terminal_paint(term, c->a, tone, terminal_mark(tone)), text_one_line(c->a, r->thread),
           r->what == NULL ? "(outside)" : text_one_line(c->a, r->what), (long long)r->events,
           r->count, worst == REPLAY_SAME && r->count > 0 ? ", all the same" : "");
    for (size_t i = 0; i < r->count; i++) {
        const struct replay_line *l = &r->lines[i];
        if (!every_line && l->verdict == REPLAY_SAME)
            continue;
        printf("  %s seq %lld %s: %s\n",
               terminal_paint(term, c->a, tone_of_verdict(l->verdict),
                              terminal_mark(tone_of_verdict(l->verdict))),
               (long long)l->seq, event_type_name(l->type), text_one_line(c->a, l->sentence));
    }
}

static bool replay_one(struct cli *c, const char *id, bool every_line, struct totals *t,
                       struct err *err)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    struct replay r;
    if (!replay_thread(&a, c->config, &c->store, id, &r, err))
        return false;
    t->threads++;
    t->events += r.events;
    t->judged += (int64_t)r.count;
    t->different += (int64_t)r.different;
    t->unknown += (int64_t)r.unknown;
    if (c->as_json)
        add_json(c, t, &r);
    else
        print_one(c, &r, every_line);
    return true;
}

static bool replay_all(struct cli *c, struct totals *t, struct err *err)
{
    struct thread_filter filter = {.limit = PAGE};
    for (;;) {
        struct thread_row *rows;
        size_t n;
        if (!store_list_threads(&c->store, c->a, &filter, &rows, &n, err))
            return false;
        for (size_t i = 0; i < n; i++)
            if (!replay_one(c, rows[i].t.id, c->all, t, err))
                return false;
        if (n < PAGE)
            return true;
        filter.before_ms = rows[n - 1].t.created_at_ms;
        filter.before_id = rows[n - 1].t.id;
    }
}

static void print_totals(struct cli *c, const struct totals *t)
{
    if (c->as_json) {
        struct json *o = json_object(c->a);
        json_set(c->a, o, "threads", t->list);
        json_set_int(c->a, o, "different", t->different);
        json_set_int(c->a, o, "unknown", t->unknown);
        cli_print_json(c, o);
    } else if (t->threads != 1) {
        printf("%lld events in %lld threads, %lld judged: %lld different, %lld cannot be told.\n",
               (long long)t->events, (long long)t->threads, (long long)t->judged,
               (long long)t->different, (long long)t->unknown);
    }
}

int cli_replay(struct cli *c)
{
    struct err err = ERR_INIT;
    struct totals t = {.list = json_array(c->a)};
    const char *id;
    if (!cli_open_store(c, &err))
        return cli_fail_err(c, &err);
    bool ok = strcmp(c->args[0], "all") == 0
                  ? replay_all(c, &t, &err)
                  : store_find_thread(&c->store, c->a, c->args[0], &id, &err) &&
                        replay_one(c, id, true, &t, &err);
    if (!ok)
        return cli_fail_err(c, &err);
    print_totals(c, &t);
    return t.different == 0 ? CLI_OK : CLI_FAILED;
}
