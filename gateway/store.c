/* Opening, transactions, arrivals. See store.h; the other acts are in store_*.c. */
#include "gateway/store.h"

#include "gateway/base/strbuf.h"
#include "gateway/base/text.h"

#include <stdio.h>
#include <string.h>

enum {
    KEYS_PER_SLICE = 2000, /* of tidying: some milliseconds */
};

bool store_open(struct store *s, const char *url, enum db_mode mode, struct err *err)
{
    s->db = db_open(url, mode, err);
    if (s->db == NULL)
        return false;
    if (!store_schema(s, mode, err)) {
        store_close(s);
        return false;
    }
    return true;
}

void store_close(struct store *s)
{
    db_close(s->db);
    s->db = NULL;
}

bool store_begin(struct store *s, struct err *err)
{
    return db_begin(s->db, err);
}

bool store_commit(struct store *s, struct err *err)
{
    return db_run(s->db, "UPDATE meta SET value = value + 1 WHERE key = 'batch'", DB_NO_ARGS,
                  err) &&
           db_commit(s->db, err);
}

void store_rollback(struct store *s)
{
    db_rollback(s->db);
}

bool store_meta_get(struct store *s, struct arena *a, const char *key, const char **out,
                    struct err *err)
{
    struct db_rows rows;
    if (!db_query(s->db, a, "SELECT value FROM meta WHERE key = $1", DB_ARGS(db_text(key)), &rows,
                  err))
        return false;
    *out = rows.count > 0 ? db_cell_text(&rows, 0, 0) : NULL;
    return true;
}

bool store_meta_set(struct store *s, const char *key, const char *value, struct err *err)
{
    return db_run(s->db,
                  "INSERT INTO meta (key, value) VALUES ($1, $2) "
                  "ON CONFLICT (key) DO UPDATE SET value = excluded.value",
                  DB_ARGS(db_text(key), db_text(value)), err);
}

bool store_remember(struct store *s, const char *const *keys, int64_t now_ms, bool *seen,
                    struct err *err)
{
    *seen = false;
    for (; *keys != NULL; keys++) {
        /* Nearly all have two: one statement for both. */
        bool two = keys[1] != NULL;
        bool ok = two ? db_run(s->db,
                               "INSERT INTO seen (key, at_ms) VALUES ($1, $3), ($2, $3) "
                               "ON CONFLICT (key) DO NOTHING",
                               DB_ARGS(db_text(keys[0]), db_text(keys[1]), db_int(now_ms)), err)
                      : db_run(s->db,
                               "INSERT INTO seen (key, at_ms) VALUES ($1, $2) "
                               "ON CONFLICT (key) DO NOTHING",
                               DB_ARGS(db_text(keys[0]), db_int(now_ms)), err);
        if (!ok)
            return false;
        *seen = *seen || db_changes(s->db) < 1 + two;
        keys += two;
    }
    return true;
}

bool store_is_known(struct store *s, struct arena *a, const char *key, bool *known, struct err *err)
{
    struct db_rows rows;
    if (!db_query(s->db, a, "SELECT 1 FROM seen WHERE key = $1", DB_ARGS(db_text(key)), &rows, err))
        return false;
    *known = rows.count > 0;
    return true;
}

bool store_add_arrival(struct store *s, const char *channel, const char *body, int64_t rank,
                       int64_t now_ms, struct err *err)
{
    return db_run(s->db,
                  "INSERT INTO arrivals (at_ms, channel, body, rank) VALUES ($1, $2, $3, $4)",
                  DB_ARGS(db_int(now_ms), db_text(channel), db_text(body), db_int(rank)), err);
}

bool store_get_arrival(struct store *s, struct arena *a, int64_t id, struct stored_arrival *out,
                       struct err *err)
{
    struct db_rows rows;
    if (!db_query(s->db, a, "SELECT at_ms, channel, body FROM arrivals WHERE id = $1",
                  DB_ARGS(db_int(id)), &rows, err))
        return false;
    if (rows.count == 0)
        return fail(err, ERR_MISSING, "no new arrival %lld", (long long)id);
    *out = (struct stored_arrival){.id = id,
                                   .at_ms = db_cell_int(&rows, 0, 0),
                                   .channel = db_cell_text(&rows, 0, 1),
                                   .body = db_cell_text(&rows, 0, 2)};
    return true;
}

bool store_end_arrival(struct store *s, int64_t id, struct err *err)
{
    return db_run(s->db, "DELETE FROM arrivals WHERE id = $1", DB_ARGS(db_int(id)), err);
}

bool store_new_arrivals(struct store *s, struct arena *a, int64_t limit, int64_t **ids,
                        size_t *count, struct err *err)
{
    struct db_rows rows;
    if (!db_query(s->db, a, "SELECT id FROM arrivals ORDER BY rank, id LIMIT $1",
                  DB_ARGS(db_int(limit)), &rows, err))
        return false;
    *ids = ARENA_ARRAY(a, int64_t, rows.count);
    *count = rows.count;
    for (size_t i = 0; i < rows.count; i++)
        (*ids)[i] = db_cell_int(&rows, i, 0);
    return true;
}

/* What is walked through, a slice of keys at a time. The words stand in full: a statement is known
 * by its address. */
static const struct {
    const char *end_of_slice, *forget;
} tidied[] = {
    {"SELECT key FROM seen WHERE key > $1 ORDER BY key LIMIT 1 OFFSET $2",
     "DELETE FROM seen WHERE key > $1 AND ($2 IS NULL OR key <= $2) AND at_ms < $3"},
    {"SELECT id FROM tool_runs WHERE id > $1 ORDER BY id LIMIT 1 OFFSET $2",
     "DELETE FROM tool_runs WHERE id > $1 AND ($2 IS NULL OR id <= $2) AND state = 'ended' AND "
     "ended_at_ms < $3"},
    {"SELECT url FROM etags WHERE url > $1 ORDER BY url LIMIT 1 OFFSET $2",
     "DELETE FROM etags WHERE url > $1 AND ($2 IS NULL OR url <= $2) AND at_ms < $3"},
};

static bool tidy_sign_ins(struct store *s, int64_t now_ms, struct err *err)
{
    return db_run(s->db, "DELETE FROM logins WHERE expires_at_ms < $1", DB_ARGS(db_int(now_ms)),
                  err) &&
           db_run(s->db, "DELETE FROM sessions WHERE expires_at_ms < $1", DB_ARGS(db_int(now_ms)),
                  err);
}

bool store_tidy(struct store *s, struct arena *a, int64_t now_ms, const char **at, struct err *err)
{
    /* "1:KEY": behind KEY in the second table. */
    int64_t month_ago = now_ms - 30LL * 24 * 3600 * 1000, table = 0;
    const char *colon = strchr(*at, ':');
    if (colon == NULL && !tidy_sign_ins(s, now_ms, err))
        return false;
    if (colon != NULL)
        table = *at[0] - '0';
    const char *from = colon == NULL ? "" : colon + 1;
    if (table < 0 || table >= (int64_t)COUNT(tidied))
        return fail(err, ERR_INVALID, "store: tidying cannot begin at \"%s\"", *at);
    struct db_rows rows;
    if (!db_query(s->db, a, tidied[table].end_of_slice,
                  DB_ARGS(db_text(from), db_int(KEYS_PER_SLICE - 1)), &rows, err))
        return false;
    const char *end = rows.count > 0 ? db_cell_text(&rows, 0, 0) : NULL;
    if (!db_run(s->db, tidied[table].forget,
                DB_ARGS(db_text(from), db_text(end), db_int(month_ago)), err))
        return false;
    table += end == NULL;
    *at = table == (int64_t)COUNT(tidied)
              ? NULL
              : arena_printf(a, "%lld:%s", (long long)table, end == NULL ? "" : end);
    return true;
}

bool store_add_login(struct store *s, const char *hash, const char *person, const char *via,
                     int64_t expires_at_ms, struct err *err)
{
    return db_run(
        s->db, "INSERT INTO logins (hash, person, via, expires_at_ms) VALUES ($1, $2, $3, $4)",
        DB_ARGS(db_text(hash), db_text(person), db_text(via), db_int(expires_at_ms)), err);
}

bool store_login(struct store *s, struct arena *a, const char *hash, int64_t now_ms, bool spend,
                 const char **person, struct err *err)
{
    struct db_rows rows;
    *person = NULL;
    if (!db_query(s->db, a,
                  "SELECT person FROM logins WHERE hash = $1 AND spent = 0 AND expires_at_ms > $2",
                  DB_ARGS(db_text(hash), db_int(now_ms)), &rows, err))
        return false;
    if (rows.count == 0)
        return true;
    if (spend &&
        !db_run(s->db, "UPDATE logins SET spent = 1 WHERE hash = $1", DB_ARGS(db_text(hash)), err))
        return false;
    *person = db_cell_text(&rows, 0, 0);
    return true;
}

bool store_add_session(struct store *s, const char *hash, const char *person, int64_t now_ms,
                       int64_t expires_at_ms, struct err *err)
{
    return db_run(s->db,
                  "INSERT INTO sessions (hash, person, created_at_ms, expires_at_ms) "
                  "VALUES ($1, $2, $3, $4)",
                  DB_ARGS(db_text(hash), db_text(person), db_int(now_ms), db_int(expires_at_ms)),
                  err);
}

bool store_session(struct store *s, struct arena *a, const char *hash, int64_t now_ms,
                   const char **person, struct err *err)
{
    struct db_rows rows;
    if (!db_query(s->db, a, "SELECT person FROM sessions WHERE hash = $1 AND expires_at_ms > $2",
                  DB_ARGS(db_text(hash), db_int(now_ms)), &rows, err))
        return false;
    *person = rows.count > 0 ? db_cell_text(&rows, 0, 0) : NULL;
    return true;
}

bool store_put_etag(struct store *s, const char *url, const char *etag, const char *body,
                    int64_t now_ms, struct err *err)
{
    return db_run(s->db,
                  "INSERT INTO etags (url, etag, body, at_ms) VALUES ($1, $2, $3, $4) "
                  "ON CONFLICT (url) DO UPDATE SET etag = excluded.etag, body = excluded.body, "
                  "at_ms = excluded.at_ms",
                  DB_ARGS(db_text(url), db_text(etag), db_text(body), db_int(now_ms)), err);
}

bool store_get_etag(struct store *s, struct arena *a, const char *url, const char **etag,
                    const char **body, struct err *err)
{
    struct db_rows rows;
    if (!db_query(s->db, a, "SELECT etag, body FROM etags WHERE url = $1", DB_ARGS(db_text(url)),
                  &rows, err))
        return false;
    *etag = rows.count > 0 ? db_cell_text(&rows, 0, 0) : NULL;
    *body = rows.count > 0 ? db_cell_text(&rows, 0, 1) : NULL;
    return true;
}
