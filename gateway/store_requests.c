/* Requests and votes. See store.h. */
#include "gateway/base/text.h"
#include "gateway/store.h"

#include <string.h>

#define REQUEST_COLUMNS                                                                          \
    "id, code, thread, kind, status, call, tool, canonical, digest, view, policy, requester, "   \
    "raised_at_ms, expires_at_ms, decided_at_ms, decided_by, comment, answer, asked, callback, " \
    "via"

static void read_request(const struct db_rows *r, size_t i, struct request_row *out)
{
    *out = (struct request_row){
        .id = db_cell_text(r, i, 0),
        .code = db_cell_text(r, i, 1),
        .thread = db_cell_text(r, i, 2),
        .kind = db_cell_text(r, i, 3),
        .status = db_cell_text(r, i, 4),
        .call = db_cell_int(r, i, 5),
        .tool = db_cell_text(r, i, 6),
        .canonical = db_cell_text(r, i, 7),
        .digest = db_cell_text(r, i, 8),
        .view = db_cell_text(r, i, 9),
        .policy = db_cell_text(r, i, 10),
        .requester = db_cell_text(r, i, 11),
        .raised_at_ms = db_cell_int(r, i, 12),
        .expires_at_ms = db_cell_int(r, i, 13),
        .decided_at_ms = db_cell_int(r, i, 14),
        .decided_by = db_cell_text(r, i, 15),
        .comment = db_cell_text(r, i, 16),
        .answer = db_cell_text(r, i, 17),
        .asked = db_cell_int(r, i, 18),
        .callback = db_cell_text(r, i, 19),
        .via = db_cell_text(r, i, 20),
    };
}

static void read_requests(struct arena *a, const struct db_rows *rows, struct request_row **out,
                          size_t *count)
{
    *out = ARENA_ARRAY(a, struct request_row, rows->count);
    *count = rows->count;
    for (size_t i = 0; i < rows->count; i++)
        read_request(rows, i, &(*out)[i]);
}

bool store_add_request(struct store *s, const struct request_row *r, struct err *err)
{
    return db_run(s->db,
                  "INSERT INTO requests (id, code, thread, kind, status, call, tool, canonical, "
                  "digest, view, "
                  "policy, requester, raised_at_ms, expires_at_ms, asked, callback, number) "
                  "VALUES ($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11,$12,$13,$14,$15,$16,"
                  "(SELECT COALESCE(MAX(number), 0) + 1 FROM requests))",
                  DB_ARGS(db_text(r->id), db_text(r->code), db_text(r->thread), db_text(r->kind),
                          db_text(r->status), db_int(r->call), db_text(r->tool),
                          db_text(r->canonical), db_text(r->digest), db_text(r->view),
                          db_text(r->policy), db_text(r->requester), db_int(r->raised_at_ms),
                          db_int(r->expires_at_ms), db_int(r->asked), db_text(r->callback)),
                  err);
}

bool store_get_request(struct store *s, struct arena *a, const char *id, struct request_row *out,
                       struct err *err)
{
    struct db_rows rows;
    if (!db_query(s->db, a, "SELECT " REQUEST_COLUMNS " FROM requests WHERE id = $1",
                  DB_ARGS(db_text(id)), &rows, err))
        return false;
    if (rows.count == 0)
        return fail(err, ERR_MISSING, "I know no request %s", id);
    read_request(&rows, 0, out);
    return true;
}

bool store_find_request(struct store *s, struct arena *a, const char *id_or_code,
                        struct request_row *out, struct err *err)
{
    struct db_rows rows;
    if (text_starts(id_or_code, "r_")) {
        char *end = arena_printf(a, "%s~", id_or_code);
        if (!db_query(s->db, a,
                      "SELECT " REQUEST_COLUMNS " FROM requests WHERE id >= $1 AND id < $2 LIMIT 2",
                      DB_ARGS(db_text(id_or_code), db_text(end)), &rows, err))
            return false;
    } else if (!db_query(s->db, a,
                         "SELECT " REQUEST_COLUMNS " FROM requests WHERE code = $1 "
                         "ORDER BY raised_at_ms DESC LIMIT 1",
                         DB_ARGS(db_text(id_or_code)), &rows, err)) {
        return false;
    }
    if (rows.count == 0)
        return fail(err, ERR_MISSING, "I know no request %s", id_or_code);
    read_request(&rows, 0, out);
    if (rows.count > 1 && strcmp(out->id, id_or_code) != 0)
        return fail(err, ERR_CONFLICT, "several requests begin with %s", id_or_code);
    return true;
}

bool store_code_is_free(struct store *s, struct arena *a, const char *code, int64_t since_ms,
                        bool *is_free, int64_t *taken, struct err *err)
{
    struct db_rows rows;
    if (!db_query(s->db, a,
                  "SELECT (SELECT COUNT(*) FROM requests WHERE code = $1 AND raised_at_ms > $2), "
                  "(SELECT COALESCE(MAX(number), 0) FROM requests) - COALESCE((SELECT number - 1 "
                  "FROM requests WHERE raised_at_ms > $2 ORDER BY raised_at_ms, id LIMIT 1), "
                  "(SELECT MAX(number) FROM requests), 0)",
                  DB_ARGS(db_text(code), db_int(since_ms)), &rows, err))
        return false;
    *is_free = db_cell_int(&rows, 0, 0) == 0;
    *taken = db_cell_int(&rows, 0, 1);
    return true;
}

bool store_decide(struct store *s, const char *id, const struct request_end *end, int64_t now_ms,
                  bool *won, struct err *err)
{
    if (!db_run(s->db,
                "UPDATE requests SET status = $2, decided_by = $3, comment = $4, answer = $5, "
                "decided_at_ms = $6, via = $7 WHERE id = $1 AND status = 'open'",
                DB_ARGS(db_text(id), db_text(end->status), db_text(end->by), db_text(end->comment),
                        db_text(end->answer), db_int(now_ms), db_text(end->via)),
                err))
        return false;
    *won = db_changes(s->db) == 1;
    return true;
}

bool store_set_asked(struct store *s, const char *id, int64_t asked, struct err *err)
{
    return db_run(s->db, "UPDATE requests SET asked = $2 WHERE id = $1",
                  DB_ARGS(db_text(id), db_int(asked)), err);
}

bool store_put_vote(struct store *s, const char *request, const struct vote_row *v, struct err *err)
{
    return db_run(
        s->db,
        "INSERT INTO votes (request, person, decision, comment, at_ms, via) "
        "VALUES ($1,$2,$3,$4,$5,$6) ON CONFLICT (request, person) DO UPDATE SET "
        "decision = excluded.decision, comment = excluded.comment, at_ms = excluded.at_ms, "
        "via = excluded.via",
        DB_ARGS(db_text(request), db_text(v->person), db_text(v->decision), db_text(v->comment),
                db_int(v->at_ms), db_text(v->via)),
        err);
}

bool store_votes(struct store *s, struct arena *a, const char *request, struct vote_row **out,
                 size_t *count, struct err *err)
{
    struct db_rows r;
    if (!db_query(s->db, a,
                  "SELECT person, decision, comment, via, at_ms FROM votes WHERE request = $1 "
                  "ORDER BY at_ms, person",
                  DB_ARGS(db_text(request)), &r, err))
        return false;
    *out = ARENA_ARRAY(a, struct vote_row, r.count);
    *count = r.count;
    for (size_t i = 0; i < r.count; i++)
        (*out)[i] = (struct vote_row){.person = db_cell_text(&r, i, 0),
                                      .decision = db_cell_text(&r, i, 1),
                                      .comment = db_cell_text(&r, i, 2),
                                      .via = db_cell_text(&r, i, 3),
                                      .at_ms = db_cell_int(&r, i, 4)};
    return true;
}

bool store_open_requests_of(struct store *s, struct arena *a, const char *thread,
                            struct request_row **out, size_t *count, struct err *err)
{
    struct db_rows rows;
    if (!db_query(s->db, a,
                  "SELECT " REQUEST_COLUMNS " FROM requests WHERE thread = $1 AND status = 'open' "
                  "ORDER BY raised_at_ms, id",
                  DB_ARGS(db_text(thread)), &rows, err))
        return false;
    read_requests(a, &rows, out, count);
    return true;
}

bool store_requests_asked_by(struct store *s, struct arena *a, const char *requester, int64_t limit,
                             struct request_row **out, size_t *count, struct err *err)
{
    struct db_rows rows;
    if (!db_query(s->db, a,
                  "SELECT " REQUEST_COLUMNS " FROM requests WHERE requester = $1 "
                  "ORDER BY raised_at_ms DESC LIMIT $2",
                  DB_ARGS(db_text(requester), db_int(limit)), &rows, err))
        return false;
    read_requests(a, &rows, out, count);
    return true;
}

bool store_requests_decided(struct store *s, struct arena *a, int64_t limit,
                            struct request_row **out, size_t *count, struct err *err)
{
    struct db_rows rows;
    if (!db_query(s->db, a,
                  "SELECT " REQUEST_COLUMNS " FROM requests WHERE decided_at_ms > 0 "
                  "ORDER BY decided_at_ms DESC LIMIT $1",
                  DB_ARGS(db_int(limit)), &rows, err))
        return false;
    read_requests(a, &rows, out, count);
    return true;
}

bool store_list_requests(struct store *s, struct arena *a, const struct request_filter *f,
                         struct request_row **out, size_t *count, struct err *err)
{
    static const char all[] =
        "SELECT " REQUEST_COLUMNS " FROM requests WHERE (raised_at_ms, id) < ($1, $2) "
        "ORDER BY raised_at_ms DESC, id DESC LIMIT $3";
    static const char by_status[] =
        "SELECT " REQUEST_COLUMNS
        " FROM requests WHERE status = $4 AND (raised_at_ms, id) < ($1, $2) "
        "ORDER BY raised_at_ms DESC, id DESC LIMIT $3";
    static const char by_thread[] =
        "SELECT " REQUEST_COLUMNS
        " FROM requests WHERE thread = $5 AND ($4 IS NULL OR status = $4) "
        "AND (raised_at_ms, id) < ($1, $2) ORDER BY raised_at_ms DESC, id DESC LIMIT $3";
    bool from_newest = f->before_id == NULL;
    struct db_rows rows;
    if (!db_query(s->db, a,
                  f->thread != NULL   ? by_thread
                  : f->status != NULL ? by_status
                                      : all,
                  DB_ARGS(db_int(from_newest ? INT64_MAX : f->before_ms),
                          db_text(from_newest ? "~" : f->before_id), db_int(f->limit),
                          db_text(f->status), db_text(f->thread)),
                  &rows, err))
        return false;
    read_requests(a, &rows, out, count);
    return true;
}
