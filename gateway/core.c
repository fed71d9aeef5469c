/* See core.h and DESIGN section 5.
 *
 * Two kinds of rounds take turns: the letters that came, and some of the work that the store says
 * is due (arrivals to route, timers, deliveries, tool runs, threads to advance). Each round is one
 * transaction with a savepoint for each letter or piece; commit; then the actions. While letters
 * wait, a round of work lasts only a moment, so that doors answer quickly whatever there is to do.
 * A round whose commit failed is done once more; if that fails too, doors answer 503 and the
 * letters from inside are kept until the store works again. */
#include "gateway/core.h"

#include "gateway/base/clock.h"
#include "gateway/base/text.h"
#include "gateway/reader.h"

#include <openssl/rand.h>
#include <string.h>

enum {
    WORK_PER_ROUND = 200,   /* pieces */
    WORK_US = 10000,        /* how long a round of work begins new pieces … */
    WORK_BETWEEN_US = 1000, /* … and how long while letters wait */
    LETTERS_TO_WORK = 4,    /* while letters keep coming they get so much more time than work */
    SLOW_LETTER_US = 50000,
    PUT_ASIDE_MS = 60000, /* what cannot go on is tried again then */
    ROOM_MS = 50,         /* how long to wait for room when no call comes back */
    DOWN_FIRST_MS = 250,
    DOWN_LONGEST_MS = 5000,
};

/* ---- small words ------------------------------------------------------------------------- */

char *app_id(struct app *app, char letter)
{
    static const char digits[] = "0123456789abcdefghjkmnpqrstvwxyz"; /* Crockford's, lower case */
    unsigned char random[12];
    if (RAND_bytes(random, sizeof random) != 1)
        abort();
    char *id = arena_alloc(app->a, 2 + sizeof random + 1);
    id[0] = letter;
    id[1] = '_';
    for (size_t i = 0; i < sizeof random; i++)
        id[2 + i] = digits[random[i] & 31];
    return id;
}

char *app_token(struct app *app)
{
    unsigned char random[16];
    if (RAND_bytes(random, sizeof random) != 1)
        abort();
    return hex_encode(app->a, (struct span){(const char *)random, sizeof random});
}

bool app_append(struct app *app, const char *thread, enum event_type type, const char *actor,
                const struct json *data, int64_t *seq, struct err *err)
{
    app_changed(app, thread);
    return store_append(&app->store, app->a, thread, type, actor, data, app->now_ms, seq, err);
}

bool app_load(struct app *app, const char *id, struct thread_row *out, struct err *err)
{
    if (!store_get_thread(&app->store, app->a, id, out, err))
        return false;
    out->t.paused = out->t.paused || app->paused_all;
    return store_load_events(&app->store, app->a, id, 0, 0, &out->t.events, &out->t.n_events, err);
}

bool app_reload(struct app *app, struct thread_row *row, struct err *err)
{
    struct event *old = row->t.events, *new;
    size_t n_old = row->t.n_events, n_new;
    if (!store_get_thread(&app->store, app->a, row->t.id, row, err))
        return false;
    row->t.paused = row->t.paused || app->paused_all;
    if (!store_load_events(&app->store, app->a, row->t.id, n_old > 0 ? old[n_old - 1].seq : 0, 0,
                           &new, &n_new, err))
        return false;
    row->t.events = ARENA_ARRAY(app->a, struct event, n_old + n_new);
    row->t.n_events = n_old + n_new;
    if (n_old > 0)
        memcpy(row->t.events, old, n_old * sizeof *old);
    if (n_new > 0)
        memcpy(row->t.events + n_old, new, n_new * sizeof *new);
    return true;
}

/* ---- one piece of work in a savepoint ---------------------------------------------------- */

bool core_in_savepoint(struct app *app, const char *name, core_work work, void *what,
                       struct err *err)
{
    int64_t begin_us = clock_monotonic_us();
    struct action **mark = app->actions_end;
    metrics_add(app->metrics, METRIC_LETTERS, 1);
    bool ok =
        db_savepoint(app->store.db, err) && work(app, what, err) && db_release(app->store.db, err);
    if (!ok) {
        db_rollback_to_savepoint(app->store.db);
        actions_drop(app, mark);
        metrics_add(app->metrics, METRIC_LETTERS_FAILED, 1);
    }
    int64_t took_us = clock_monotonic_us() - begin_us;
    if (took_us > SLOW_LETTER_US) {
        metrics_add(app->metrics, METRIC_LETTERS_SLOW, 1);
        log_warn("letter.was_slow", L_STR("kind", name), L_MS("took", took_us / 1000));
    }
    return ok;
}

static bool handle_http(struct app *app, void *what, struct err *err)
{
    return ingress_handle(app, what, err);
}

static bool handle_envelope(struct app *app, void *what, struct err *err)
{
    return ingress_envelope(app, what, err);
}

static bool handle_reply(struct app *app, void *what, struct err *err)
{
    const struct http_job *job = what;
    if (job->row[0] == 'd')
        return outbox_reply(app, job, err);
    return job->row[0] == 'l' ? outbox_live_reply(app, job) : tool_reply(app, job, err);
}

static bool handle_command(struct app *app, void *what, struct err *err)
{
    return tool_command_ended(app, what, err);
}

static bool same_texts(const char *const *a, size_t n_a, const char *const *b, size_t n_b)
{
    bool same = n_a == n_b;
    for (size_t i = 0; same && i < n_a; i++)
        same = text_eq(a[i], b[i]);
    return same;
}

/* What is opened once, at start, stays as it was: the log says so instead of promising more. */
static void warn_of_restart(const struct config *old, const struct config *next)
{
    const struct {
        const char *key;
        bool same;
    } fixed[] = {
        {"server.listen", text_eq(old->server.listen, next->server.listen)},
        {"server.tls", text_eq(old->server.tls_cert, next->server.tls_cert) &&
                           text_eq(old->server.tls_key, next->server.tls_key)},
        {"server.trusted_proxies",
         same_texts(old->server.trusted_proxies, old->server.n_trusted_proxies,
                    next->server.trusted_proxies, next->server.n_trusted_proxies)},
        {"server.state", text_eq(old->server.state, next->server.state)},
        {"store.url", text_eq(old->store.path, next->store.path)},
        {"log",
         text_eq(old->log.level, next->log.level) && text_eq(old->log.format, next->log.format)},
    };
    for (size_t i = 0; i < COUNT(fixed); i++)
        if (!fixed[i].same)
            log_warn("config.needs_restart", L_STR("key", fixed[i].key));
}

static void reload(struct app *app)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    struct config_report report;
    struct config *next = config_load(&a, app->config_path, app->config_options, &report);
    for (size_t i = 0; i < report.count; i++)
        log_warn("config.problem", L_STR("line", config_problem_line(&a, &report.list[i])));
    if (next == NULL) {
        log_error("config.kept", L_STR("why", "the new one has errors"),
                  L_INT("errors", report.errors));
        return;
    }
    app->retired = realloc(app->retired, (app->n_retired + 1) * sizeof *app->retired);
    if (app->retired == NULL)
        abort();
    warn_of_restart(app->n_retired > 0 ? app->retired[0] : app->config, next);
    app->retired[app->n_retired++] = app->config;
    app->config = next;
    ingress_take_config(app);
    ingress_connect(app);
    reader_set_config(app->reader, next);
    log_info("config.reloaded", L_STR("file", app->config_path));
}

/* True: it is done with. False: the store failed; it must be handled again. */
static bool handle_letter(struct app *app, struct letter *letter)
{
    struct err err = ERR_INIT;
    switch ((enum letter_kind)letter->kind) {
    case LETTER_HTTP:
        if (core_in_savepoint(app, "http", handle_http, letter, &err))
            return true;
        if (err.kind == ERR_TRANSIENT)
            break; /* not every sender comes again: once more before it is told to */
        ingress_refuse(app, (struct http_request *)letter, &err);
        return true; /* the sender has its answer */
    case LETTER_ENVELOPE:
        if (core_in_savepoint(app, "envelope", handle_envelope, letter, &err))
            return true;
        break; /* no acknowledgement: it is sent again */
    case LETTER_REPLY:
        if (core_in_savepoint(app, "reply", handle_reply, letter, &err))
            return true;
        break;
    case LETTER_COMMAND:
        if (core_in_savepoint(app, "command", handle_command, letter, &err))
            return true;
        break;
    case LETTER_RELOAD:
        reload(app);
        return true;
    case LETTER_STOP:
        app->stopping = true;
        return true;
    case LETTER_READ:
    case LETTER_CLOSED:
    case LETTER_CHANGED:
        return true; /* not ours */
    }
    if (err.kind == ERR_TRANSIENT)
        return false;
    log_error("letter.dropped", L_INT("kind", letter->kind), L_STR("why", err.text));
    return true;
}

/* ---- what the store says is due ---------------------------------------------------------- */

static bool work_arrival(struct app *app, void *what, struct err *err)
{
    return router_route(app, *(int64_t *)what, err);
}

static bool end_arrival(struct app *app, void *what, struct err *err)
{
    return store_end_arrival(&app->store, *(int64_t *)what, err);
}

static bool work_thread(struct app *app, void *what, struct err *err)
{
    return agent_advance(app, what, err);
}

static bool end_thread(struct app *app, void *what, struct err *err)
{
    return store_set_dirty(&app->store, what, false, err);
}

static bool work_delivery(struct app *app, void *what, struct err *err)
{
    return outbox_due(app, what, err);
}

static bool end_delivery(struct app *app, void *what, struct err *err)
{
    struct delivery_row *d = what;
    d->state = "failed";
    d->error = "it could not be made: see the log";
    metrics_add(app->metrics, METRIC_DELIVERIES_FAILED, 1);
    return store_set_delivery(&app->store, d, err);
}

static bool work_run(struct app *app, void *what, struct err *err)
{
    return tool_due(app, what, err);
}

static bool postpone_run(struct app *app, void *what, struct err *err)
{
    struct tool_run_row *run = what;
    run->state = "due";
    run->due_at_ms = app->now_ms + PUT_ASIDE_MS;
    return store_set_tool_run(&app->store, run, err);
}

static bool fire_agent_timer(struct app *app, const struct timer_row *timer, struct err *err)
{
    struct json *data = json_object(app->a);
    json_set_int(app->a, data, "call",
                 json_int_or(json_get(json_parse_own(app->a, timer->data), "call"), 0));
    return app_append(app, timer->thread, EVENT_TIMER_FIRED, "system", data, NULL, err);
}

static bool work_timer(struct app *app, void *what, struct err *err)
{
    const struct timer_row *timer = what;
    bool is_chore;
    if (!store_drop_timer(&app->store, timer->id, err))
        return false;
    if (strcmp(timer->kind, "agent") == 0)
        return fire_agent_timer(app, timer, err);
    if (strcmp(timer->kind, "held") == 0)
        return edit_waited_long(app, timer, err);
    return housekeeping_timer(app, timer, &is_chore, err) &&
           (is_chore || request_timer(app, timer, err));
}

static bool end_timer(struct app *app, void *what, struct err *err)
{
    return store_drop_timer(&app->store, ((const struct timer_row *)what)->id, err);
}

/* A piece of due work that fails for another reason than the store would fail for ever: it is put
 * aside, loudly. */
static bool do_due(struct app *app, const char *name, core_work work, core_work put_aside,
                   void *what)
{
    struct err err = ERR_INIT;
    if (core_in_savepoint(app, name, work, what, &err))
        return true;
    log_error("work.failed", L_STR("kind", name), L_STR("why", err.text));
    if (err.kind == ERR_TRANSIENT)
        return false;
    return core_in_savepoint(app, name, put_aside, what, &err);
}

/* How much of a round is left. */
struct budget {
    int64_t end_us;
    size_t pieces;
};

static bool is_spent(struct app *app, struct budget *b)
{
    if (mailbox_count(app->mailbox) > 0 && b->end_us > clock_monotonic_us() + WORK_BETWEEN_US)
        b->end_us = clock_monotonic_us() + WORK_BETWEEN_US;
    return b->pieces == 0 || clock_monotonic_us() > b->end_us;
}

/* What may want to call somebody begins only when the call can leave, and waits in the store until
 * then: an answer to a click is not lost because many others wait. */
static bool has_room(struct app *app, enum http_haste haste)
{
    bool room = app->client == NULL || http_client_has_room(app->client, haste);
    app->waits_for_room = app->waits_for_room || !room;
    return room;
}

static bool do_arrivals(struct app *app, struct budget *b, struct err *err)
{
    int64_t *ids;
    size_t n;
    if (!store_new_arrivals(&app->store, app->a, (int64_t)b->pieces, &ids, &n, err))
        return false;
    for (size_t i = 0; i < n && has_room(app, HTTP_NORMAL) && !is_spent(app, b); i++, b->pieces--)
        if (!do_due(app, "arrival", work_arrival, end_arrival, &ids[i]))
            return fail(err, ERR_TRANSIENT, "an arrival could not be routed");
    return true;
}

static bool do_timers(struct app *app, struct budget *b, struct err *err)
{
    struct timer_row *timers;
    size_t n;
    if (!store_due_timers(&app->store, app->a, app->now_ms, &timers, &n, err))
        return false;
    for (size_t i = 0; i < n && !is_spent(app, b); i++, b->pieces--)
        if (!do_due(app, "timer", work_timer, end_timer, &timers[i]))
            return fail(err, ERR_TRANSIENT, "a timer could not be handled");
    return true;
}

static bool do_runs(struct app *app, struct budget *b, struct err *err)
{
    struct tool_run_row *runs;
    size_t n;
    if (!store_due_tool_runs(&app->store, app->a, app->now_ms, has_room(app, HTTP_PATIENT), &runs,
                             &n, err))
        return false;
    for (size_t i = 0; i < n && has_room(app, HTTP_NORMAL) && !is_spent(app, b); i++, b->pieces--)
        if (!do_due(app, "tool_run", work_run, postpone_run, &runs[i]))
            return fail(err, ERR_TRANSIENT, "a tool run could not go on");
    return true;
}

static bool do_deliveries(struct app *app, struct budget *b, struct err *err)
{
    struct delivery_row *deliveries;
    size_t n;
    if (!store_due_deliveries(&app->store, app->a, app->now_ms, WORK_PER_ROUND, &deliveries, &n,
                              err))
        return false;
    for (size_t i = 0; i < n && has_room(app, HTTP_NORMAL) && !is_spent(app, b); i++, b->pieces--)
        if (!do_due(app, "delivery", work_delivery, end_delivery, &deliveries[i]))
            return fail(err, ERR_TRANSIENT, "a delivery could not begin");
    return true;
}

static bool do_threads(struct app *app, struct budget *b, struct err *err)
{
    const char **ids;
    size_t n;
    if (!store_dirty_threads(&app->store, app->a, (int64_t)b->pieces + 1, &ids, &n, err))
        return false;
    for (size_t i = 0; i < n && !is_spent(app, b); i++, b->pieces--) {
        char *id = arena_strdup(app->a, ids[i]);
        if (!do_due(app, "thread", work_thread, end_thread, id))
            return fail(err, ERR_TRANSIENT, "a thread could not be advanced");
    }
    return true;
}

/* ---- rounds ------------------------------------------------------------------------------ */

static bool read_paused_all(struct app *app, struct err *err)
{
    const char *value;
    if (!store_meta_get(&app->store, app->a, "paused_all", &value, err))
        return false;
    app->paused_all = text_eq(value, "1");
    return true;
}

/* What one round does inside its transaction. */
typedef bool (*round_fn)(struct app *app, struct letter *letters, struct err *err);

static bool round_of_letters(struct app *app, struct letter *letters, struct err *err)
{
    for (struct letter *l = letters; l != NULL; l = l->next)
        if (!handle_letter(app, l))
            return fail(err, ERR_TRANSIENT, "a letter could not be stored");
    return !app->stopping || housekeeping_end(app, err);
}

/* What people wait for comes first: answers going out, then what came in. */
static bool round_of_work(struct app *app, struct letter *letters, struct err *err)
{
    struct budget b = {.end_us = clock_monotonic_us() + WORK_US, .pieces = WORK_PER_ROUND};
    (void)letters;
    app->waits_for_room = false;
    if (app->refused && !housekeeping_look_now(app, err))
        return false;
    return do_deliveries(app, &b, err) && do_threads(app, &b, err) && do_timers(app, &b, err) &&
           do_runs(app, &b, err) && do_arrivals(app, &b, err);
}

/* One try at a round. False: nothing of it happened and nothing left. */
static bool try_round(struct app *app, round_fn work, struct letter *letters)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    struct err err = ERR_INIT;
    app->a = &a;
    app->now_ms = clock_unix_ms();
    app->actions = NULL;
    app->actions_end = &app->actions;
    bool stopping = app->stopping;
    bool ok = store_begin(&app->store, &err) && read_paused_all(app, &err) &&
              work(app, letters, &err) && store_commit(&app->store, &err);
    if (ok) {
        metrics_add(app->metrics, METRIC_COMMITS, 1);
        actions_perform(app);
    } else {
        app->stopping = stopping;
        store_rollback(&app->store);
        actions_drop(app, &app->actions);
        metrics_add(app->metrics, METRIC_COMMITS_FAILED, 1);
        log_error("commit.failed", L_STR("why", err.text));
    }
    app->a = NULL;
    return ok;
}

/* A commit that failed may succeed the second time: a busy disk, a lock. */
static bool do_round(struct app *app, round_fn work, struct letter *letters)
{
    return try_round(app, work, letters) || try_round(app, work, letters);
}

static void answer_503(struct app *app, const struct letter *letter)
{
    const struct http_request *request = (const struct http_request *)letter;
    struct http_answer *answer = http_answer_text(
        request->conn, 503, "application/json",
        "{\"error\":{\"code\":\"unavailable\",\"message\":\"the store cannot take this now\"}}");
    http_answer_header(answer, "Retry-After", "2");
    http_server_answer(app->server, answer);
}

/* The store is down: senders are told to come again, letters from inside stay. */
static struct letter *keep_inside(struct app *app, struct letter *letters)
{
    struct letter *kept = NULL, **end = &kept;
    while (letters != NULL) {
        struct letter *next = letters->next;
        letters->next = NULL;
        if (letters->kind == LETTER_HTTP || letters->kind == LETTER_ENVELOPE) {
            app->refused = true;
            if (letters->kind == LETTER_HTTP)
                answer_503(app, letters);
            letter_free(letters);
        } else {
            *end = letters;
            end = &letters->next;
        }
        letters = next;
    }
    return kept;
}

static struct letter *join(struct letter *first, struct letter *second)
{
    if (first == NULL)
        return second;
    struct letter *last = first;
    while (last->next != NULL)
        last = last->next;
    last->next = second;
    return first;
}

static int64_t next_due_monotonic(struct app *app)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    struct err err = ERR_INIT;
    int64_t due_ms;
    if (!store_next_due(&app->store, &a, &due_ms, &err))
        return clock_monotonic_ms() + DOWN_FIRST_MS;
    if (due_ms == INT64_MAX)
        return INT64_MAX;
    int64_t wait_ms = due_ms - clock_unix_ms();
    return clock_monotonic_ms() + (wait_ms < 0 ? 0 : wait_ms);
}

/* Is there work that needs no waiting? */
static bool has_work(struct app *app)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    struct err err = ERR_INIT;
    const char **ids;
    int64_t *arrivals, due_ms;
    size_t n;
    if (store_dirty_threads(&app->store, &a, 1, &ids, &n, &err) && n > 0)
        return true;
    if (store_new_arrivals(&app->store, &a, 1, &arrivals, &n, &err) && n > 0)
        return true;
    return store_next_due(&app->store, &a, &due_ms, &err) && due_ms <= clock_unix_ms();
}

static int64_t longer(int64_t down_ms)
{
    int64_t next = down_ms == 0 ? DOWN_FIRST_MS : down_ms * 2;
    return next > DOWN_LONGEST_MS ? DOWN_LONGEST_MS : next;
}

/* Doors first: while letters keep coming they get LETTERS_TO_WORK times as long as work. When none
 * came, work goes on at once. */
void core_run(struct app *app)
{
    struct letter *kept = NULL;
    int64_t down_ms = 0, owed_us = 0;
    bool work = true;
    while (!app->stopping) {
        int64_t now_ms = clock_monotonic_ms();
        int64_t deadline = down_ms > 0           ? now_ms + down_ms
                           : work                ? now_ms + (owed_us < 0)
                           : app->waits_for_room ? now_ms + ROOM_MS
                                                 : next_due_monotonic(app);
        struct letter *letters = join(kept, mailbox_wait(app->mailbox, deadline));
        int64_t begin_us = clock_monotonic_us();
        bool came = letters != NULL, ok = !came || do_round(app, round_of_letters, letters);
        kept = ok ? NULL : keep_inside(app, letters);
        if (ok)
            letter_free_list(letters);
        int64_t end_us = clock_monotonic_us();
        owed_us = came ? owed_us + end_us - begin_us : 0;
        if (ok && !app->stopping && owed_us >= 0 && (work || came || has_work(app))) {
            ok = do_round(app, round_of_work, NULL);
            app->refused = app->refused && !ok;
            owed_us = -LETTERS_TO_WORK * (clock_monotonic_us() - end_us);
            work = ok && !app->waits_for_room && has_work(app);
        } else {
            work = true; /* nobody has looked yet */
        }
        down_ms = ok ? 0 : longer(down_ms);
        app->store_down = !ok;
        reader_set_ready(app->reader, ok && !app->stopping);
    }
    letter_free_list(kept);
}

bool core_recover(struct app *app, struct err *err)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    app->a = &a;
    app->now_ms = clock_unix_ms();
    app->actions = NULL;
    app->actions_end = &app->actions;
    bool ok = store_begin(&app->store, err) && read_paused_all(app, err) &&
              housekeeping_begin(app, err) && tool_recover(app, err) && outbox_recover(app, err) &&
              store_commit(&app->store, err);
    if (ok) {
        actions_perform(app);
    } else {
        store_rollback(&app->store);
        actions_drop(app, &app->actions);
    }
    app->a = NULL;
    return ok;
}
