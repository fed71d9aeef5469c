/* Threads and their hash-chained events. See store.h. */
#include "gateway/base/hash.h"
#include "gateway/base/strbuf.h"
#include "gateway/base/text.h"
#include "gateway/store.h"

#include <string.h>

enum { WAKE_PER_SLICE = 1000 };

#define THREAD_COLUMNS                                                                             \
    "id, agent, pipeline, parent, root, run, status, paused, waiting, title, requester, channel, " \
    "dest, in_thread, repo, outcome, created_at_ms, updated_at_ms, steps, tokens, cost, "          \
    "last_seq, "                                                                                   \
    "last_hash, last_at_ms"

static void read_thread(const struct db_rows *r, size_t i, struct thread_row *out)
{
    *out = (struct thread_row){
        .t = {.id = db_cell_text(r, i, 0),
              .agent = db_cell_text(r, i, 1),
              .pipeline = db_cell_text(r, i, 2),
              .parent = db_cell_text(r, i, 3),
              .root = db_cell_text(r, i, 4),
              .paused = db_cell_int(r, i, 7) != 0,
              .title = db_cell_text(r, i, 9),
              .requester = db_cell_text(r, i, 10),
              .channel = db_cell_text(r, i, 11),
              .to = db_cell_text(r, i, 12),
              .in_thread = db_cell_text(r, i, 13),
              .outcome = db_cell_text(r, i, 15),
              .created_at_ms = db_cell_int(r, i, 16),
              .updated_at_ms = db_cell_int(r, i, 17),
              .steps = db_cell_int(r, i, 18),
              .tokens = db_cell_int(r, i, 19),
              .cost = db_cell_real(r, i, 20)},
        .run = db_cell_int(r, i, 5),
        .waiting = db_cell_text(r, i, 8),
        .repo = db_cell_text(r, i, 14),
        .last_seq = db_cell_int(r, i, 21),
        .last_hash = db_cell_text(r, i, 22),
        .last_at_ms = db_cell_int(r, i, 23),
    };
    if (!thread_status_from_name(db_cell_text(r, i, 6), &out->t.status))
        out->t.status = THREAD_FAILED;
}

bool store_add_thread(struct store *s, struct arena *a, struct thread_row *row, struct err *err)
{
    struct thread *t = &row->t;
    struct db_rows rows;
    if (t->pipeline != NULL) {
        if (!db_query(s->db, a, "SELECT COALESCE(MAX(run), 0) + 1 FROM threads WHERE run > 0",
                      DB_NO_ARGS, &rows, err))
            return false;
        row->run = db_cell_int(&rows, 0, 0);
    }
    return db_run(
        s->db,
        "INSERT INTO threads (id, agent, pipeline, parent, root, run, status, title, requester, "
        "channel, dest, in_thread, repo, created_at_ms, updated_at_ms, dirty) "
        "VALUES ($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11,$12,$13,$14,$14,1)",
        DB_ARGS(db_text(t->id), db_text(t->agent), db_text(t->pipeline), db_text(t->parent),
                db_text(t->root), db_int(row->run), db_text(thread_status_name(t->status)),
                db_text(t->title), db_text(t->requester), db_text(t->channel), db_text(t->to),
                db_text(t->in_thread), db_text(row->repo), db_int(t->created_at_ms)),
        err);
}

bool store_get_thread(struct store *s, struct arena *a, const char *id, struct thread_row *out,
                      struct err *err)
{
    struct db_rows rows;
    if (!db_query(s->db, a, "SELECT " THREAD_COLUMNS " FROM threads WHERE id = $1",
                  DB_ARGS(db_text(id)), &rows, err))
        return false;
    if (rows.count == 0)
        return fail(err, ERR_MISSING, "I know no thread %s", id);
    read_thread(&rows, 0, out);
    return true;
}

bool store_find_thread(struct store *s, struct arena *a, const char *prefix, const char **id,
                       struct err *err)
{
    struct db_rows rows;
    char *end = arena_printf(a, "%s~", prefix); /* '~' sorts behind every id character */
    if (!db_query(s->db, a, "SELECT id FROM threads WHERE id >= $1 AND id < $2 LIMIT 2",
                  DB_ARGS(db_text(prefix), db_text(end)), &rows, err))
        return false;
    if (rows.count == 0)
        return fail(err, ERR_MISSING, "I know no thread %s", prefix);
    *id = db_cell_text(&rows, 0, 0);
    if (rows.count > 1 && strcmp(*id, prefix) != 0)
        return fail(err, ERR_CONFLICT, "several threads begin with %s", prefix);
    return true;
}

const char *store_blob_of(const struct json *j)
{
    const char *hash = json_text(json_get(j, "blob"));
    return hash != NULL && strlen(hash) == 2 * SHA256_SIZE && json_count(j) == 4 &&
                   json_is_int(json_get(j, "bytes")) && json_text_at(j, "head") != NULL &&
                   json_text_at(j, "tail") != NULL
               ? hash
               : NULL;
}

static bool put_back_blobs(struct store *s, struct arena *a, struct json *j, struct err *err)
{
    const char *hash = store_blob_of(j);
    if (hash != NULL) {
        struct db_rows rows;
        if (!db_query(s->db, a, "SELECT data FROM blobs WHERE hash = $1", DB_ARGS(db_text(hash)),
                      &rows, err))
            return false;
        if (rows.count > 0) {
            const char *key = j->key;
            struct json *next = j->next;
            *j = *json_string(a, db_cell_text(&rows, 0, 0));
            j->key = key;
            j->next = next;
        }
        return true;
    }
    for (struct json *child = j->child; child != NULL; child = child->next)
        if ((child->type == JSON_OBJECT || child->type == JSON_ARRAY) &&
            !put_back_blobs(s, a, child, err))
            return false;
    return true;
}

bool store_load_events(struct store *s, struct arena *a, const char *thread, int64_t after,
                       int64_t limit, struct event **out, size_t *count, struct err *err)
{
    struct db_rows rows;
    if (!db_query(s->db, a,
                  "SELECT seq, at_ms, type, actor, data, hash FROM events "
                  "WHERE thread = $1 AND seq > $2 ORDER BY seq LIMIT $3",
                  DB_ARGS(db_text(thread), db_int(after), db_int(limit > 0 ? limit : INT64_MAX)),
                  &rows, err))
        return false;
    struct event *events = ARENA_ARRAY(a, struct event, rows.count);
    for (size_t i = 0; i < rows.count; i++) {
        struct json *data = json_parse_own(a, db_cell_text(&rows, i, 4));
        events[i] = (struct event){.seq = db_cell_int(&rows, i, 0),
                                   .at_ms = db_cell_int(&rows, i, 1),
                                   .actor = db_cell_text(&rows, i, 3),
                                   .data = data,
                                   .hash = db_cell_text(&rows, i, 5)};
        if (!event_type_from_name(db_cell_text(&rows, i, 2), &events[i].type))
            return fail(err, ERR_INVALID, "store: event %s/%lld has an unknown type", thread,
                        (long long)events[i].seq);
        if (strstr(db_cell_text(&rows, i, 4), "\"blob\":") != NULL &&
            !put_back_blobs(s, a, data, err))
            return false;
    }
    *out = events;
    *count = rows.count;
    return true;
}

/* Long texts go to blobs: the event keeps head, tail, size and hash, and so does the chain. What
 * comes from outside and looks as if we had done so gets another key, so that nobody can refer to a
 * blob of somebody else, nor to one that is not there. */
static bool take_out_blobs(struct store *s, struct arena *a, const struct json *in,
                           const struct json **out, struct err *err)
{
    if (in->type == JSON_STRING && strlen(in->text) > BLOB_LIMIT_BYTES) {
        size_t len = strlen(in->text);
        char *hash = sha256_hex(a, (struct span){in->text, len});
        struct json *stub = json_object(a);
        json_set_text(a, stub, "blob", hash);
        json_set_int(a, stub, "bytes", (int64_t)len);
        json_set_text(a, stub, "head", text_truncate(a, in->text, 2000));
        json_set_text(a, stub, "tail", utf8_clean(a, (struct span){in->text + len - 2000, 2000}));
        *out = stub;
        return db_run(
            s->db, "INSERT INTO blobs (hash, data) VALUES ($1, $2) ON CONFLICT (hash) DO NOTHING",
            DB_ARGS(db_text(hash), db_text(in->text)), err);
    }
    if (in->type != JSON_OBJECT && in->type != JSON_ARRAY) {
        *out = in;
        return true;
    }
    struct json *copy = in->type == JSON_OBJECT ? json_object(a) : json_array(a);
    bool looks_like_ours = store_blob_of(in) != NULL;
    JSON_EACH(child, in)
    {
        const struct json *made = NULL;
        if (!take_out_blobs(s, a, child, &made, err))
            return false;
        if (in->type == JSON_ARRAY)
            json_push(a, copy, made);
        else if (looks_like_ours && strcmp(child->key, "blob") == 0)
            json_set(a, copy, "blob_text", made);
        else
            json_add(a, copy, child->key, made);
    }
    *out = copy;
    return true;
}

bool store_append(struct store *s, struct arena *a, const char *thread, enum event_type type,
                  const char *actor, const struct json *data, int64_t now_ms, int64_t *seq,
                  struct err *err)
{
    struct db_rows rows;
    if (!db_query(s->db, a, "SELECT last_seq, last_hash, last_at_ms FROM threads WHERE id = $1",
                  DB_ARGS(db_text(thread)), &rows, err))
        return false;
    if (rows.count == 0)
        return fail(err, ERR_MISSING, "I know no thread %s", thread);
    const struct json *small = data == NULL ? json_object(a) : data;
    char *text = json_canonical(a, small);
    if (strlen(text) > BLOB_LIMIT_BYTES || strstr(text, "\"blob\":") != NULL) {
        if (!take_out_blobs(s, a, small, &small, err))
            return false;
        text = json_canonical(a, small);
    }
    int64_t last_at_ms = db_cell_int(&rows, 0, 2);
    struct event e = {.seq = db_cell_int(&rows, 0, 0) + 1,
                      .at_ms = now_ms > last_at_ms ? now_ms : last_at_ms,
                      .type = type,
                      .actor = actor,
                      .data = small};
    e.hash = event_hash(a, db_cell_text(&rows, 0, 1), thread, &e);
    if (seq != NULL)
        *seq = e.seq;
    return db_run(s->db,
                  "INSERT INTO events (thread, seq, at_ms, type, actor, data, hash) "
                  "VALUES ($1,$2,$3,$4,$5,$6,$7)",
                  DB_ARGS(db_text(thread), db_int(e.seq), db_int(e.at_ms),
                          db_text(event_type_name(type)), db_text(actor), db_text(text),
                          db_text(e.hash)),
                  err) &&
           db_run(s->db,
                  "UPDATE threads SET last_seq = $2, last_hash = $3, last_at_ms = $4, "
                  "updated_at_ms = $4, dirty = 1 WHERE id = $1",
                  DB_ARGS(db_text(thread), db_int(e.seq), db_text(e.hash), db_int(e.at_ms)), err);
}

bool store_set_thread(struct store *s, const char *id, enum thread_status status,
                      const char *waiting, const char *outcome, struct err *err)
{
    return db_run(s->db, "UPDATE threads SET status = $2, waiting = $3, outcome = $4 WHERE id = $1",
                  DB_ARGS(db_text(id), db_text(thread_status_name(status)), db_text(waiting),
                          db_text(outcome)),
                  err);
}

bool store_set_dirty(struct store *s, const char *id, bool dirty, struct err *err)
{
    return db_run(s->db, "UPDATE threads SET dirty = $2 WHERE id = $1 AND dirty <> $2",
                  DB_ARGS(db_text(id), db_int(dirty)), err);
}

bool store_set_paused(struct store *s, const char *id, bool paused, struct err *err)
{
    return db_run(s->db, "UPDATE threads SET paused = $2 WHERE id = $1",
                  DB_ARGS(db_text(id), db_int(paused)), err);
}

bool store_count_step(struct store *s, const char *id, int64_t steps, int64_t tokens, double cost,
                      struct err *err)
{
    return db_run(s->db,
                  "UPDATE threads SET steps = steps + $2, tokens = tokens + $3, cost = cost + $4 "
                  "WHERE id = $1",
                  DB_ARGS(db_text(id), db_int(steps), db_int(tokens), db_real(cost)), err);
}

static bool id_list(struct store *s, struct arena *a, const char *sql, struct db_arg arg,
                    const char ***ids, size_t *count, struct err *err)
{
    struct db_rows rows;
    if (!db_query(s->db, a, sql, DB_ARGS(arg), &rows, err))
        return false;
    *ids = ARENA_ARRAY(a, const char *, rows.count);
    *count = rows.count;
    for (size_t i = 0; i < rows.count; i++)
        (*ids)[i] = db_cell_text(&rows, i, 0);
    return true;
}

bool store_dirty_threads(struct store *s, struct arena *a, int64_t limit, const char ***ids,
                         size_t *count, struct err *err)
{
    return id_list(s, a, "SELECT id FROM threads WHERE dirty = 1 ORDER BY id LIMIT $1",
                   db_int(limit), ids, count, err);
}

bool store_wake_threads(struct store *s, struct arena *a, const char **at, struct err *err)
{
    struct db_rows rows;
    const char *from = *at;
    if (!db_query(s->db, a, "SELECT id FROM threads WHERE id > $1 ORDER BY id LIMIT 1 OFFSET $2",
                  DB_ARGS(db_text(from), db_int(WAKE_PER_SLICE - 1)), &rows, err))
        return false;
    *at = rows.count > 0 ? db_cell_text(&rows, 0, 0) : NULL;
    return db_run(s->db,
                  "UPDATE threads SET dirty = 1 WHERE id > $1 AND id <= $2 AND "
                  "status IN ('running','waiting','paused')",
                  DB_ARGS(db_text(from), db_text(*at == NULL ? "~" : *at)), err);
}

bool store_children(struct store *s, struct arena *a, const char *parent, const char ***ids,
                    size_t *count, struct err *err)
{
    return id_list(s, a, "SELECT id FROM threads WHERE parent = $1 ORDER BY created_at_ms, id",
                   db_text(parent), ids, count, err);
}

bool store_thread_of_conversation(struct store *s, struct arena *a, const char *channel,
                                  const char *dest, const char *in_thread, const char **id,
                                  struct err *err)
{
    /* A run and its children share a conversation. The last rank: a reply under any of our posts,
     * one that opened no conversation of its own too. */
    struct db_rows rows;
    if (!db_query(s->db, a,
                  "SELECT id FROM (SELECT id, created_at_ms AS at_ms, "
                  "CASE WHEN EXISTS (SELECT 1 FROM requests r WHERE r.thread = threads.id AND "
                  "r.status = 'open' AND r.kind = 'question') THEN 0 "
                  "WHEN agent IS NOT NULL AND status IN ('running','waiting','paused') THEN 1 "
                  "WHEN agent IS NOT NULL THEN 2 ELSE 3 END AS place "
                  "FROM threads WHERE in_thread = $3 AND channel = $1 AND dest = $2 "
                  "UNION ALL SELECT thread, created_at_ms, 4 FROM deliveries "
                  "WHERE external_id = $4 AND channel = $1 AND thread IS NOT NULL) AS found "
                  "ORDER BY place, at_ms DESC, id DESC LIMIT 1",
                  DB_ARGS(db_text(channel), db_text(dest), db_text(in_thread),
                          db_text(arena_printf(a, "%s:%s", dest, in_thread))),
                  &rows, err))
        return false;
    *id = rows.count > 0 ? db_cell_text(&rows, 0, 0) : NULL;
    return true;
}

bool store_set_conversation(struct store *s, const char *root, const char *channel,
                            const char *dest, const char *in_thread, struct err *err)
{
    return db_run(s->db,
                  "UPDATE threads SET channel = $2, dest = $3, in_thread = $4 "
                  "WHERE root = $1 AND in_thread IS NULL AND (channel IS NULL OR channel = $2)",
                  DB_ARGS(db_text(root), db_text(channel), db_text(dest), db_text(in_thread)), err);
}

bool store_list_threads(struct store *s, struct arena *a, const struct thread_filter *f,
                        struct thread_row **out, size_t *count, struct err *err)
{
    /* Each filter has a statement of its own, so that the database can use the index. */
    static const char all[] =
        "SELECT " THREAD_COLUMNS " FROM threads WHERE (created_at_ms, id) < ($1, $2) "
        "ORDER BY created_at_ms DESC, id DESC LIMIT $3";
    static const char by_status[] =
        "SELECT " THREAD_COLUMNS
        " FROM threads WHERE status = $4 AND (created_at_ms, id) < ($1, $2) "
        "ORDER BY created_at_ms DESC, id DESC LIMIT $3";
    static const char by_agent[] =
        "SELECT " THREAD_COLUMNS
        " FROM threads WHERE agent = $5 AND ($4 IS NULL OR status = $4) AND "
        "(created_at_ms, id) < ($1, $2) ORDER BY created_at_ms DESC, id DESC LIMIT $3";
    bool from_newest = f->before_id == NULL;
    struct db_rows rows;
    if (!db_query(s->db, a,
                  f->agent != NULL    ? by_agent
                  : f->status != NULL ? by_status
                                      : all,
                  DB_ARGS(db_int(from_newest ? INT64_MAX : f->before_ms),
                          db_text(from_newest ? "~" : f->before_id), db_int(f->limit),
                          db_text(f->status), db_text(f->agent)),
                  &rows, err))
        return false;
    *out = ARENA_ARRAY(a, struct thread_row, rows.count);
    *count = rows.count;
    for (size_t i = 0; i < rows.count; i++)
        read_thread(&rows, i, &(*out)[i]);
    return true;
}
