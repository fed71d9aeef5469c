/* The audit: chained checkpoints over the heads of threads, and their verification. See store.h. */
#include "gateway/base/hash.h"
#include "gateway/base/strbuf.h"
#include "gateway/store.h"

#include <stdlib.h>
#include <string.h>

enum { HEADS_PER_CHECKPOINT = 2000 /* some 10 ms */ };

static char *checkpoint_hash(struct arena *a, const char *previous, int64_t at_ms,
                             const char *heads)
{
    char *text = arena_printf(a, "%s\n%lld\n%s", previous, (long long)at_ms, heads);
    return sha256_hex(a, (struct span){text, strlen(text)});
}

bool store_checkpoint(struct store *s, struct arena *a, int64_t now_ms, struct err *err)
{
    struct db_rows changed, last;
    if (!db_query(
            s->db, a,
            "SELECT id, last_seq, last_hash FROM threads WHERE last_seq > checked_seq ORDER BY id "
            "LIMIT $1",
            DB_ARGS(db_int(HEADS_PER_CHECKPOINT)), &changed, err))
        return false;
    if (changed.count == 0)
        return true;
    if (!db_query(s->db, a, "SELECT hash FROM checkpoints ORDER BY id DESC LIMIT 1", DB_NO_ARGS,
                  &last, err))
        return false;
    struct json *heads = json_object(a);
    for (size_t i = 0; i < changed.count; i++) {
        struct json *head = json_array(a);
        json_push(a, head, json_number(a, (double)db_cell_int(&changed, i, 1)));
        json_push_text(a, head, db_cell_text(&changed, i, 2));
        json_set(a, heads, db_cell_text(&changed, i, 0), head);
    }
    const char *previous = last.count > 0 ? db_cell_text(&last, 0, 0) : "";
    char *text = json_canonical(a, heads);
    return db_run(s->db,
                  "INSERT INTO checkpoints (at_ms, heads, previous, hash) VALUES ($1,$2,$3,$4)",
                  DB_ARGS(db_int(now_ms), db_text(text), db_text(previous),
                          db_text(checkpoint_hash(a, previous, now_ms, text))),
                  err) &&
           db_run(s->db,
                  "UPDATE threads SET checked_seq = last_seq "
                  "WHERE last_seq > checked_seq AND id <= $1",
                  DB_ARGS(db_text(db_cell_text(&changed, changed.count - 1, 0))), err);
}

bool store_needs_checkpoint(struct store *s, bool *needed, struct err *err)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    struct db_rows rows;
    if (!db_query(s->db, &a, "SELECT id FROM threads WHERE last_seq > checked_seq LIMIT 1",
                  DB_NO_ARGS, &rows, err))
        return false;
    *needed = rows.count > 0;
    return true;
}

struct findings {
    struct arena *a;
    struct audit_finding *list;
    size_t count, room;
};

static void found(struct findings *f, const char *thread, int64_t seq, const char *sentence)
{
    if (f->count == f->room) {
        f->room = f->room == 0 ? 16 : f->room * 2;
        struct audit_finding *grown = ARENA_ARRAY(f->a, struct audit_finding, f->room);
        if (f->count > 0)
            memcpy(grown, f->list, f->count * sizeof *grown);
        f->list = grown;
    }
    f->list[f->count++] = (struct audit_finding){
        .thread = arena_strdup(f->a, thread), .seq = seq, .sentence = arena_strdup(f->a, sentence)};
}

/* A blob's text must still have the hash that the event holds. */
static bool verify_blobs(struct store *s, struct arena *a, const struct json *j, bool *ok,
                         struct err *err)
{
    const char *hash = store_blob_of(j);
    if (hash != NULL) {
        struct db_rows rows;
        if (!db_query(s->db, a, "SELECT data FROM blobs WHERE hash = $1", DB_ARGS(db_text(hash)),
                      &rows, err))
            return false;
        const char *data = rows.count > 0 ? db_cell_text(&rows, 0, 0) : NULL;
        *ok = *ok && data != NULL &&
              strcmp(sha256_hex(a, (struct span){data, strlen(data)}), hash) == 0;
        return true;
    }
    JSON_EACH(child, j)
    {
        if (!verify_blobs(s, a, child, ok, err))
            return false;
    }
    return true;
}

struct chain {
    const char *thread;
    int64_t last_seq;
    const char *last_hash;
    int64_t checked_seq; /* what the newest checkpoint that names it saw */
    int64_t named_seq;   /* what the checkpoints that are there saw */
    int64_t events;
};

struct chains {
    struct chain *list; /* by thread */
    size_t count;
};

static int by_thread(const void *thread, const void *chain)
{
    return strcmp(thread, ((const struct chain *)chain)->thread);
}

static bool verify_event(struct store *s, struct arena *a, const struct db_rows *r, size_t i,
                         const struct chain *chain, const char *previous, struct findings *f,
                         struct err *err)
{
    int64_t seq = db_cell_int(r, i, 0);
    struct event e = {.seq = seq, .at_ms = db_cell_int(r, i, 1), .actor = db_cell_text(r, i, 3)};
    struct json *data = NULL;
    const char *text = db_cell_text(r, i, 4);
    if (!event_type_from_name(db_cell_text(r, i, 2), &e.type) ||
        !json_parse(a, (struct span){text, strlen(text)}, 64u << 20, &data, NULL) ||
        strcmp(json_canonical(a, data), text) != 0) {
        found(f, chain->thread, seq, "its type or data was changed");
        return true;
    }
    e.data = data;
    if (strcmp(event_hash(a, previous, chain->thread, &e), db_cell_text(r, i, 5)) != 0)
        found(f, chain->thread, seq, "it was changed, or the event before it was");
    bool ok = true;
    if (!verify_blobs(s, a, data, &ok, err))
        return false;
    if (!ok)
        found(f, chain->thread, seq, "its long text was changed or removed");
    return true;
}

static bool verify_thread(struct store *s, struct chain *chain, struct findings *f, struct err *err)
{
    enum { PAGE = 500 };
    const char *previous = NULL;
    int64_t next = 1;
    char hash[2 * SHA256_SIZE + 1] = "";
    for (;;) {
        CLEANUP(arena_done) struct arena a = ARENA_INIT;
        struct db_rows r;
        if (!db_query(s->db, &a,
                      "SELECT seq, at_ms, type, actor, data, hash FROM events "
                      "WHERE thread = $1 AND seq >= $2 ORDER BY seq LIMIT 500",
                      DB_ARGS(db_text(chain->thread), db_int(next)), &r, err))
            return false;
        for (size_t i = 0; i < r.count; i++) {
            int64_t seq = db_cell_int(&r, i, 0);
            for (; next < seq; next++)
                found(f, chain->thread, next, "it is missing");
            if (!verify_event(s, &a, &r, i, chain, previous, f, err))
                return false;
            strncat(memset(hash, 0, sizeof hash), db_cell_text(&r, i, 5), sizeof hash - 1);
            previous = hash;
            next = seq + 1;
            chain->events++;
        }
        if (r.count < PAGE)
            break;
    }
    if (next - 1 < chain->last_seq)
        found(f, chain->thread, next, "the events from here on are missing");
    else if (chain->last_seq > 0 && strcmp(hash, chain->last_hash) != 0)
        found(f, chain->thread, next - 1, "it is not the last event that was written");
    return true;
}

/* Each head that a checkpoint names must still be there, with its hash. */
static bool verify_heads(struct store *s, struct arena *a, const struct json *heads,
                         const struct chains *chains, struct findings *f, struct err *err)
{
    JSON_EACH(head, heads)
    {
        int64_t seq = json_int_or(json_at(head, "0"), 0);
        struct chain *chain = chains->count == 0 ? NULL
                                                 : bsearch(head->key, chains->list, chains->count,
                                                           sizeof *chains->list, by_thread);
        if (chain != NULL && seq > chain->named_seq)
            chain->named_seq = seq;
        const char *hash = json_text_or(head, "1", "");
        struct db_rows r;
        if (!db_query(s->db, a,
                      "SELECT (SELECT hash FROM events WHERE thread = $1 AND seq = $2), "
                      "(SELECT COUNT(*) FROM threads WHERE id = $1)",
                      DB_ARGS(db_text(head->key), db_int(seq)), &r, err))
            return false;
        const char *now = db_cell_text(&r, 0, 0);
        if (db_cell_int(&r, 0, 1) == 0)
            found(f, head->key, 0, "the whole thread is missing");
        else if (now == NULL)
            found(f, head->key, seq, "it is missing although a checkpoint names it");
        else if (strcmp(now, hash) != 0)
            found(f, head->key, seq, "it differs from what a checkpoint names");
    }
    return true;
}

static bool verify_checkpoints(struct store *s, const struct chains *chains, struct findings *f,
                               struct err *err)
{
    char previous[2 * SHA256_SIZE + 1] = "";
    for (int64_t after = 0;;) {
        CLEANUP(arena_done) struct arena a = ARENA_INIT;
        struct db_rows r;
        if (!db_query(s->db, &a,
                      "SELECT id, at_ms, heads, previous, hash FROM checkpoints WHERE id > $1 "
                      "ORDER BY id LIMIT 1",
                      DB_ARGS(db_int(after)), &r, err))
            return false;
        if (r.count == 0)
            return true;
        const char *heads = db_cell_text(&r, 0, 2), *hash = db_cell_text(&r, 0, 4);
        after = db_cell_int(&r, 0, 0);
        struct json *parsed = NULL;
        if (strcmp(db_cell_text(&r, 0, 3), previous) != 0 ||
            strcmp(checkpoint_hash(&a, previous, db_cell_int(&r, 0, 1), heads), hash) != 0 ||
            !json_parse(&a, (struct span){heads, strlen(heads)}, 64u << 20, &parsed, NULL))
            found(f, NULL, after, "this checkpoint, or the one before it, was changed or removed");
        else if (!verify_heads(s, &a, parsed, chains, f, err))
            return false;
        strncat(memset(previous, 0, sizeof previous), hash, sizeof previous - 1);
    }
}

static bool verify(struct store *s, struct arena *a, struct audit_finding **out, size_t *count,
                   int64_t *threads, int64_t *events, struct err *err)
{
    struct findings f = {.a = a};
    struct db_rows r;
    *threads = *events = 0;
    if (!db_query(s->db, a, "SELECT id, last_seq, last_hash, checked_seq FROM threads ORDER BY id",
                  DB_NO_ARGS, &r, err))
        return false;
    struct chains chains = {.list = ARENA_ARRAY(a, struct chain, r.count + 1), .count = r.count};
    for (size_t i = 0; i < r.count; i++) {
        struct chain *chain = &chains.list[i];
        *chain = (struct chain){.thread = db_cell_text(&r, i, 0),
                                .last_seq = db_cell_int(&r, i, 1),
                                .last_hash = db_cell_text(&r, i, 2),
                                .checked_seq = db_cell_int(&r, i, 3)};
        if (!verify_thread(s, chain, &f, err))
            return false;
        *threads += 1;
        *events += chain->events;
    }
    if (!db_query(s->db, a,
                  "SELECT DISTINCT thread FROM events WHERE thread NOT IN (SELECT id FROM threads)",
                  DB_NO_ARGS, &r, err))
        return false;
    for (size_t i = 0; i < r.count; i++)
        found(&f, db_cell_text(&r, i, 0), 0, "its events have no thread");
    if (!verify_checkpoints(s, &chains, &f, err))
        return false;
    for (size_t i = 0; i < chains.count; i++)
        if (chains.list[i].named_seq < chains.list[i].checked_seq)
            found(&f, chains.list[i].thread, chains.list[i].checked_seq,
                  "the checkpoint that named it is missing");
    *out = f.list;
    *count = f.count;
    return true;
}

/* In one snapshot: what is written meanwhile must not look like something that was changed. */
bool store_verify(struct store *s, struct arena *a, struct audit_finding **out, size_t *count,
                  int64_t *threads, int64_t *events, struct err *err)
{
    /* Not BEGIN: who has a transaction already sees his own. */
    if (!db_script(s->db, "SAVEPOINT audit", err))
        return false;
    bool ok = verify(s, a, out, count, threads, events, err);
    return db_script(s->db, "RELEASE audit", ok ? err : NULL) && ok;
}
