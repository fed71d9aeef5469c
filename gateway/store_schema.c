/* The schema: numbered migrations, from an empty file to what this program works with. See store.h.
 *
 * A migration is frozen once it was released: a later schema is one more file,
 * gateway/schema_N.sql, and nothing in the older ones changes. What the older ones make is stored
 * in tests/golden/store. */
#include "gateway/base/log.h"
#include "gateway/base/strbuf.h"
#include "gateway/base/text.h"
#include "gateway/schema.h"
#include "gateway/store.h"

#include <string.h>

enum { MAX_SCHEMA_BYTES = 64 * 1024 };

/* The types that SQLite and PostgreSQL do not share. */
static char *in_dialect(struct arena *a, const char *sql)
{
    static const char *const words[][2] = {
        {"{int64}", "INTEGER"}, {"{id}", "INTEGER PRIMARY KEY"}, {"{by_key}", "WITHOUT ROWID"}};
    struct strbuf out;
    strbuf_init(&out, a, MAX_SCHEMA_BYTES);
    for (const char *at = sql; *at != '\0';) {
        bool replaced = false;
        for (size_t i = 0; i < COUNT(words) && !replaced; i++) {
            size_t len = strlen(words[i][0]);
            if (strncmp(at, words[i][0], len) == 0) {
                strbuf_add(&out, words[i][1]);
                at += len;
                replaced = true;
            }
        }
        if (!replaced)
            strbuf_addc(&out, *at++);
    }
    return out.text;
}

/* 0: an empty file. */
static bool schema_version(struct store *s, int64_t *version, struct err *err)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    struct db_rows rows;
    if (!db_query(s->db, &a, "SELECT name FROM sqlite_master WHERE name = 'meta'", DB_NO_ARGS,
                  &rows, err))
        return false;
    *version = 0;
    if (rows.count == 0)
        return true;
    const char *text = NULL;
    if (!store_meta_get(s, &a, "schema", &text, err))
        return false;
    if (text == NULL || !text_to_int(text, 1, 1000000, version))
        return fail(err, ERR_INVALID, "store: meta.schema is no number: is this a Signoff store?");
    return true;
}

static bool refuse_newer(int64_t version, size_t known, struct err *err)
{
    return fail(
        err, ERR_INVALID,
        "store: it has schema %lld and this program knows up to %zu: run the newer program, "
        "or this one on the backup from before",
        (long long)version, known);
}

/* Inside the transaction: another process may have been first. */
static bool apply(struct store *s, const char *const *migrations, size_t n, int64_t *from,
                  struct err *err)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    if (!schema_version(s, from, err))
        return false;
    if (*from > (int64_t)n)
        return refuse_newer(*from, n, err);
    for (size_t i = (size_t)*from; i < n; i++)
        if (!db_script(s->db, in_dialect(&a, migrations[i]), err))
            return fail_in(
                err, arena_printf(&a, "migration to schema %zu, of which nothing is kept", i + 1));
    return store_meta_set(s, "schema", arena_printf(&a, "%zu", n), err);
}

bool store_migrate(struct store *s, const char *const *migrations, size_t n, struct err *err)
{
    int64_t from;
    if (!store_begin(s, err))
        return false;
    if (!apply(s, migrations, n, &from, err) || !store_commit(s, err)) {
        store_rollback(s);
        return false;
    }
    if (from > 0 && from < (int64_t)n)
        log_info("store.migrated", L_INT("from", from), L_INT("to", (int64_t)n));
    return true;
}

bool store_schema(struct store *s, enum db_mode mode, struct err *err)
{
    int64_t version;
    size_t known = COUNT(MIGRATIONS);
    if (!schema_version(s, &version, err))
        return false;
    if (version == (int64_t)known)
        return true;
    if (version > (int64_t)known)
        return refuse_newer(version, known, err);
    if (mode == DB_WRITE)
        return store_migrate(s, MIGRATIONS, known, err);
    if (version == 0)
        return fail(err, ERR_MISSING, "store: it is empty; `signoff serve` sets it up");
    return fail(err, ERR_MISSING,
                "store: it has schema %lld and this program works with %zu: `signoff serve` brings "
                "it there; before that, `signoff backup` of the older program makes a way back",
                (long long)version, known);
}
