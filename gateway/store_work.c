/* Deliveries, timers, tool runs: what is due and what is under way. See store.h. */
#include "gateway/store.h"

#include <string.h>

#define DELIVERY_COLUMNS                                                                       \
    "id, thread, request, channel, message, state, lane, attempts, due_at_ms, created_at_ms, " \
    "first_sent_ms, doubt, external_id, replaces, in_thread, ask, error"

static void read_deliveries(struct arena *a, const struct db_rows *r, struct delivery_row **out,
                            size_t *count)
{
    *out = ARENA_ARRAY(a, struct delivery_row, r->count);
    *count = r->count;
    for (size_t i = 0; i < r->count; i++)
        (*out)[i] = (struct delivery_row){
            .id = db_cell_text(r, i, 0),
            .thread = db_cell_text(r, i, 1),
            .request = db_cell_text(r, i, 2),
            .channel = db_cell_text(r, i, 3),
            .message = db_cell_text(r, i, 4),
            .state = db_cell_text(r, i, 5),
            .lane = db_cell_text(r, i, 6),
            .attempts = db_cell_int(r, i, 7),
            .due_at_ms = db_cell_int(r, i, 8),
            .created_at_ms = db_cell_int(r, i, 9),
            .first_sent_ms = db_cell_int(r, i, 10),
            .doubt = db_cell_int(r, i, 11),
            .external_id = db_cell_text(r, i, 12),
            .replaces = db_cell_text(r, i, 13),
            .in_thread = db_cell_text(r, i, 14),
            .ask = db_cell_int(r, i, 15),
            .error = db_cell_text(r, i, 16),
        };
}

bool store_add_delivery(struct store *s, const struct delivery_row *d, struct err *err)
{
    return db_run(
        s->db,
        "INSERT INTO deliveries (id, thread, request, channel, message, state, due_at_ms, "
        "lane, created_at_ms, replaces, in_thread, ask) "
        "VALUES ($1,$2,$3,$4,$5,CASE WHEN EXISTS (SELECT 1 FROM deliveries WHERE lane = $7 AND "
        "state IN ('queued', 'due', 'sending')) THEN 'queued' ELSE 'due' END,$6,$7,$8,$9,$10,$11)",
        DB_ARGS(db_text(d->id), db_text(d->thread), db_text(d->request), db_text(d->channel),
                db_text(d->message), db_int(d->due_at_ms), db_text(d->lane),
                db_int(d->created_at_ms), db_text(d->replaces), db_text(d->in_thread),
                db_int(d->ask)),
        err);
}

/* The oldest that waits in this lane is its head now. */
static bool next_in_lane(struct store *s, const char *lane, struct err *err)
{
    return db_run(s->db,
                  "UPDATE deliveries SET state = 'due' WHERE number = (SELECT MIN(number) FROM "
                  "deliveries WHERE lane = $1 AND state = 'queued')",
                  DB_ARGS(db_text(lane)), err);
}

bool store_set_delivery(struct store *s, const struct delivery_row *d, struct err *err)
{
    bool ended = strcmp(d->state, "sent") == 0 || strcmp(d->state, "failed") == 0;
    return db_run(s->db,
                  "UPDATE deliveries SET state = $2, attempts = $3, due_at_ms = $4, "
                  "first_sent_ms = $5, doubt = $6, external_id = $7, in_thread = $8, error = $9, "
                  "message = $10 WHERE id = $1",
                  DB_ARGS(db_text(d->id), db_text(d->state), db_int(d->attempts),
                          db_int(d->due_at_ms), db_int(d->first_sent_ms), db_int(d->doubt),
                          db_text(d->external_id), db_text(d->in_thread), db_text(d->error),
                          db_text(d->message)),
                  err) &&
           (!ended || next_in_lane(s, d->lane, err));
}

bool store_get_delivery(struct store *s, struct arena *a, const char *id, struct delivery_row *out,
                        struct err *err)
{
    struct db_rows rows;
    if (!db_query(s->db, a, "SELECT " DELIVERY_COLUMNS " FROM deliveries WHERE id = $1",
                  DB_ARGS(db_text(id)), &rows, err))
        return false;
    if (rows.count == 0)
        return fail(err, ERR_MISSING, "I know no delivery %s", id);
    struct delivery_row *list;
    size_t count;
    read_deliveries(a, &rows, &list, &count);
    *out = list[0];
    return true;
}

bool store_due_deliveries(struct store *s, struct arena *a, int64_t now_ms, int64_t limit,
                          struct delivery_row **out, size_t *count, struct err *err)
{
    struct db_rows rows;
    if (!db_query(s->db, a,
                  "SELECT " DELIVERY_COLUMNS
                  " FROM deliveries WHERE state = 'due' AND due_at_ms <= $1 "
                  "ORDER BY due_at_ms, number LIMIT $2",
                  DB_ARGS(db_int(now_ms), db_int(limit)), &rows, err))
        return false;
    read_deliveries(a, &rows, out, count);
    return true;
}

bool store_sending_deliveries(struct store *s, struct arena *a, struct delivery_row **out,
                              size_t *count, struct err *err)
{
    struct db_rows rows;
    if (!db_query(s->db, a, "SELECT " DELIVERY_COLUMNS " FROM deliveries WHERE state = 'sending'",
                  DB_NO_ARGS, &rows, err))
        return false;
    read_deliveries(a, &rows, out, count);
    return true;
}

bool store_request_deliveries(struct store *s, struct arena *a, const char *request,
                              struct delivery_row **out, size_t *count, struct err *err)
{
    struct db_rows rows;
    if (!db_query(s->db, a,
                  "SELECT " DELIVERY_COLUMNS
                  " FROM deliveries WHERE request = $1 AND replaces IS NULL "
                  "ORDER BY number",
                  DB_ARGS(db_text(request)), &rows, err))
        return false;
    read_deliveries(a, &rows, out, count);
    return true;
}

bool store_pending_edit(struct store *s, struct arena *a, const char *replaces, const char **id,
                        struct err *err)
{
    struct db_rows rows;
    if (!db_query(
            s->db, a,
            "SELECT id FROM deliveries WHERE replaces = $1 AND state IN ('queued', 'due') AND "
            "attempts = 0 ORDER BY number DESC LIMIT 1",
            DB_ARGS(db_text(replaces)), &rows, err))
        return false;
    *id = rows.count > 0 ? db_cell_text(&rows, 0, 0) : NULL;
    return true;
}

bool store_add_timer(struct store *s, const struct timer_row *t, struct err *err)
{
    return db_run(s->db,
                  "INSERT INTO timers (due_at_ms, kind, thread, ref, data) VALUES ($1,$2,$3,$4,$5)",
                  DB_ARGS(db_int(t->due_at_ms), db_text(t->kind), db_text(t->thread),
                          db_text(t->ref), db_text(t->data)),
                  err);
}

bool store_due_timers(struct store *s, struct arena *a, int64_t now_ms, struct timer_row **out,
                      size_t *count, struct err *err)
{
    struct db_rows r;
    if (!db_query(s->db, a,
                  "SELECT id, due_at_ms, kind, thread, ref, data FROM timers WHERE due_at_ms <= $1 "
                  "ORDER BY due_at_ms, id LIMIT 100",
                  DB_ARGS(db_int(now_ms)), &r, err))
        return false;
    *out = ARENA_ARRAY(a, struct timer_row, r.count);
    *count = r.count;
    for (size_t i = 0; i < r.count; i++)
        (*out)[i] = (struct timer_row){.id = db_cell_int(&r, i, 0),
                                       .due_at_ms = db_cell_int(&r, i, 1),
                                       .kind = db_cell_text(&r, i, 2),
                                       .thread = db_cell_text(&r, i, 3),
                                       .ref = db_cell_text(&r, i, 4),
                                       .data = db_cell_text(&r, i, 5)};
    return true;
}

bool store_drop_timer(struct store *s, int64_t id, struct err *err)
{
    return db_run(s->db, "DELETE FROM timers WHERE id = $1", DB_ARGS(db_int(id)), err);
}

bool store_drop_timers(struct store *s, const char *kind, const char *ref, struct err *err)
{
    return db_run(s->db, "DELETE FROM timers WHERE kind = $1 AND ref = $2",
                  DB_ARGS(db_text(kind), db_text(ref)), err);
}

bool store_next_due(struct store *s, struct arena *a, int64_t *at_ms, struct err *err)
{
    struct db_rows rows;
    if (!db_query(s->db, a,
                  "SELECT (SELECT MIN(due_at_ms) FROM timers), "
                  "(SELECT MIN(due_at_ms) FROM deliveries WHERE state = 'due'), "
                  "(SELECT MIN(due_at_ms) FROM tool_runs WHERE state = 'due')",
                  DB_NO_ARGS, &rows, err))
        return false;
    *at_ms = INT64_MAX;
    for (size_t c = 0; c < rows.columns; c++)
        if (rows.cells[c].type == DB_INT && rows.cells[c].integer < *at_ms)
            *at_ms = rows.cells[c].integer;
    return true;
}

#define RUN_COLUMNS                                                                           \
    "id, thread, call, kind, name, spec, replies, state, attempt, due_at_ms, started_at_ms, " \
    "ended_at_ms"

static void read_runs(struct arena *a, const struct db_rows *r, struct tool_run_row **out,
                      size_t *count)
{
    *out = ARENA_ARRAY(a, struct tool_run_row, r->count);
    *count = r->count;
    for (size_t i = 0; i < r->count; i++)
        (*out)[i] = (struct tool_run_row){
            .id = db_cell_text(r, i, 0),
            .thread = db_cell_text(r, i, 1),
            .call = db_cell_int(r, i, 2),
            .kind = db_cell_text(r, i, 3),
            .name = db_cell_text(r, i, 4),
            .spec = db_cell_text(r, i, 5),
            .replies = db_cell_text(r, i, 6),
            .state = db_cell_text(r, i, 7),
            .attempt = db_cell_int(r, i, 8),
            .due_at_ms = db_cell_int(r, i, 9),
            .started_at_ms = db_cell_int(r, i, 10),
            .ended_at_ms = db_cell_int(r, i, 11),
        };
}

bool store_add_tool_run(struct store *s, const struct tool_run_row *run, struct err *err)
{
    return db_run(
        s->db,
        "INSERT INTO tool_runs (id, thread, call, kind, name, spec, replies, state, attempt, "
        "due_at_ms, started_at_ms) VALUES ($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11)",
        DB_ARGS(db_text(run->id), db_text(run->thread), db_int(run->call), db_text(run->kind),
                db_text(run->name), db_text(run->spec),
                db_text(run->replies == NULL ? "[]" : run->replies), db_text(run->state),
                db_int(run->attempt), db_int(run->due_at_ms), db_int(run->started_at_ms)),
        err);
}

bool store_get_tool_run(struct store *s, struct arena *a, const char *id, struct tool_run_row *out,
                        struct err *err)
{
    struct db_rows rows;
    if (!db_query(s->db, a, "SELECT " RUN_COLUMNS " FROM tool_runs WHERE id = $1",
                  DB_ARGS(db_text(id)), &rows, err))
        return false;
    if (rows.count == 0)
        return fail(err, ERR_MISSING, "I know no tool run %s", id);
    struct tool_run_row *list;
    size_t count;
    read_runs(a, &rows, &list, &count);
    *out = list[0];
    return true;
}

bool store_set_tool_run(struct store *s, const struct tool_run_row *run, struct err *err)
{
    return db_run(s->db,
                  "UPDATE tool_runs SET state = $2, replies = $3, attempt = $4, due_at_ms = $5, "
                  "ended_at_ms = $6, spec = $7 WHERE id = $1",
                  DB_ARGS(db_text(run->id), db_text(run->state), db_text(run->replies),
                          db_int(run->attempt), db_int(run->due_at_ms), db_int(run->ended_at_ms),
                          db_text(run->spec)),
                  err);
}

bool store_open_tool_runs(struct store *s, struct arena *a, const char *thread,
                          struct tool_run_row **out, size_t *count, struct err *err)
{
    static const char every[] =
        "SELECT " RUN_COLUMNS " FROM tool_runs WHERE state <> 'ended' ORDER BY id";
    static const char of_thread[] =
        "SELECT " RUN_COLUMNS " FROM tool_runs WHERE thread = $1 AND state <> 'ended' ORDER BY id";
    struct db_rows rows;
    if (!db_query(s->db, a, thread == NULL ? every : of_thread, DB_ARGS(db_text(thread)), &rows,
                  err))
        return false;
    read_runs(a, &rows, out, count);
    return true;
}

bool store_due_tool_runs(struct store *s, struct arena *a, int64_t now_ms, bool with_models,
                         struct tool_run_row **out, size_t *count, struct err *err)
{
    struct db_rows rows;
    if (!db_query(s->db, a,
                  "SELECT " RUN_COLUMNS " FROM tool_runs WHERE state = 'due' AND due_at_ms <= $1 "
                  "AND ($2 = 1 OR kind <> 'model') ORDER BY due_at_ms, id LIMIT 100",
                  DB_ARGS(db_int(now_ms), db_int(with_models)), &rows, err))
        return false;
    read_runs(a, &rows, out, count);
    return true;
}
