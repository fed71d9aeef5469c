/* Environments: what runs where, who holds them, locks. See store.h. */
#include "gateway/store.h"

bool store_set_component(struct store *s, const struct component_row *c, struct err *err)
{
    return db_run(s->db,
                  "INSERT INTO components (environment, component, sha, state, thread, at_ms) "
                  "VALUES ($1,$2,$3,$4,$5,$6) ON CONFLICT (environment, component) DO UPDATE SET "
                  "sha = excluded.sha, state = excluded.state, thread = excluded.thread, "
                  "at_ms = excluded.at_ms",
                  DB_ARGS(db_text(c->environment), db_text(c->component), db_text(c->sha),
                          db_text(c->state), db_text(c->thread), db_int(c->at_ms)),
                  err);
}

bool store_components(struct store *s, struct arena *a, const char *environment,
                      struct component_row **out, size_t *count, struct err *err)
{
    struct db_rows r;
    if (!db_query(s->db, a,
                  "SELECT environment, component, sha, state, thread, at_ms FROM components "
                  "WHERE environment = $1 ORDER BY component",
                  DB_ARGS(db_text(environment)), &r, err))
        return false;
    *out = ARENA_ARRAY(a, struct component_row, r.count);
    *count = r.count;
    for (size_t i = 0; i < r.count; i++)
        (*out)[i] = (struct component_row){.environment = db_cell_text(&r, i, 0),
                                           .component = db_cell_text(&r, i, 1),
                                           .sha = db_cell_text(&r, i, 2),
                                           .state = db_cell_text(&r, i, 3),
                                           .thread = db_cell_text(&r, i, 4),
                                           .at_ms = db_cell_int(&r, i, 5)};
    return true;
}

bool store_add_deployment(struct store *s, const struct deployment_row *d, struct err *err)
{
    return db_run(
        s->db,
        "INSERT INTO deployments (environment, component, sha, thread, outcome, rollback, "
        "started_at_ms, ended_at_ms) VALUES ($1,$2,$3,$4,$5,$6,$7,$8)",
        DB_ARGS(db_text(d->environment), db_text(d->component), db_text(d->sha), db_text(d->thread),
                db_text(d->outcome), db_int(d->rollback), db_int(d->started_at_ms),
                db_int(d->ended_at_ms)),
        err);
}

bool store_deployments(struct store *s, struct arena *a, const char *environment,
                       const char *component, const char *sha, int64_t limit,
                       struct deployment_row **out, size_t *count, struct err *err)
{
    struct db_rows r;
    if (!db_query(s->db, a,
                  "SELECT environment, component, sha, thread, outcome, rollback, started_at_ms, "
                  "ended_at_ms FROM deployments WHERE environment = $1 AND "
                  "($2 IS NULL OR component = $2) AND ($3 IS NULL OR sha = $3) "
                  "ORDER BY id DESC LIMIT $4",
                  DB_ARGS(db_text(environment), db_text(component), db_text(sha), db_int(limit)),
                  &r, err))
        return false;
    *out = ARENA_ARRAY(a, struct deployment_row, r.count);
    *count = r.count;
    for (size_t i = 0; i < r.count; i++)
        (*out)[i] = (struct deployment_row){.environment = db_cell_text(&r, i, 0),
                                            .component = db_cell_text(&r, i, 1),
                                            .sha = db_cell_text(&r, i, 2),
                                            .thread = db_cell_text(&r, i, 3),
                                            .outcome = db_cell_text(&r, i, 4),
                                            .rollback = db_cell_int(&r, i, 5) != 0,
                                            .started_at_ms = db_cell_int(&r, i, 6),
                                            .ended_at_ms = db_cell_int(&r, i, 7)};
    return true;
}

bool store_add_passed(struct store *s, const char *environment, const char *sha, const char *thread,
                      int64_t now_ms, struct err *err)
{
    return db_run(s->db,
                  "INSERT INTO passed (environment, sha, thread, at_ms) VALUES ($1,$2,$3,$4) "
                  "ON CONFLICT (environment, sha) DO UPDATE SET thread = excluded.thread, "
                  "at_ms = excluded.at_ms",
                  DB_ARGS(db_text(environment), db_text(sha), db_text(thread), db_int(now_ms)),
                  err);
}

bool store_has_passed(struct store *s, struct arena *a, const char *environment, const char *sha,
                      const char **thread, struct err *err)
{
    struct db_rows r;
    if (!db_query(s->db, a, "SELECT thread FROM passed WHERE environment = $1 AND sha = $2",
                  DB_ARGS(db_text(environment), db_text(sha)), &r, err))
        return false;
    *thread = r.count > 0 ? db_cell_text(&r, 0, 0) : NULL;
    return true;
}

bool store_put_hold(struct store *s, const struct hold_row *h, struct err *err)
{
    return db_run(
        s->db,
        "INSERT INTO holds (environment, thread, number, state, at_ms) "
        "VALUES ($1,$2,(SELECT COALESCE(MAX(number), 0) + 1 FROM holds),$3,$4) "
        "ON CONFLICT (environment, thread) DO UPDATE SET state = excluded.state",
        DB_ARGS(db_text(h->environment), db_text(h->thread), db_text(h->state), db_int(h->at_ms)),
        err);
}

bool store_drop_hold(struct store *s, const char *environment, const char *thread, struct err *err)
{
    return db_run(s->db, "DELETE FROM holds WHERE environment = $1 AND thread = $2",
                  DB_ARGS(db_text(environment), db_text(thread)), err);
}

bool store_holds(struct store *s, struct arena *a, const char *environment, struct hold_row **out,
                 size_t *count, struct err *err)
{
    struct db_rows r;
    if (!db_query(s->db, a,
                  "SELECT environment, thread, state, number, at_ms FROM holds "
                  "WHERE $1 IS NULL OR environment = $1 ORDER BY number",
                  DB_ARGS(db_text(environment)), &r, err))
        return false;
    *out = ARENA_ARRAY(a, struct hold_row, r.count);
    *count = r.count;
    for (size_t i = 0; i < r.count; i++)
        (*out)[i] = (struct hold_row){.environment = db_cell_text(&r, i, 0),
                                      .thread = db_cell_text(&r, i, 1),
                                      .state = db_cell_text(&r, i, 2),
                                      .number = db_cell_int(&r, i, 3),
                                      .at_ms = db_cell_int(&r, i, 4)};
    return true;
}

bool store_put_lock(struct store *s, const struct lock_row *l, struct err *err)
{
    return db_run(s->db,
                  "INSERT INTO locks (environment, owner, reason, at_ms, expires_at_ms) "
                  "VALUES ($1,$2,$3,$4,$5) ON CONFLICT (environment) DO UPDATE SET "
                  "owner = excluded.owner, reason = excluded.reason, at_ms = excluded.at_ms, "
                  "expires_at_ms = excluded.expires_at_ms",
                  DB_ARGS(db_text(l->environment), db_text(l->owner), db_text(l->reason),
                          db_int(l->at_ms), db_int(l->expires_at_ms)),
                  err);
}

bool store_drop_lock(struct store *s, const char *environment, bool *had, struct err *err)
{
    if (!db_run(s->db, "DELETE FROM locks WHERE environment = $1", DB_ARGS(db_text(environment)),
                err))
        return false;
    *had = db_changes(s->db) > 0;
    return true;
}

bool store_get_lock(struct store *s, struct arena *a, const char *environment, int64_t now_ms,
                    struct lock_row *out, bool *locked, struct err *err)
{
    struct db_rows r;
    if (!db_query(s->db, a,
                  "SELECT environment, owner, reason, at_ms, expires_at_ms FROM locks "
                  "WHERE environment = $1 AND (expires_at_ms = 0 OR expires_at_ms > $2)",
                  DB_ARGS(db_text(environment), db_int(now_ms)), &r, err))
        return false;
    *locked = r.count > 0;
    if (*locked)
        *out = (struct lock_row){.environment = db_cell_text(&r, 0, 0),
                                 .owner = db_cell_text(&r, 0, 1),
                                 .reason = db_cell_text(&r, 0, 2),
                                 .at_ms = db_cell_int(&r, 0, 3),
                                 .expires_at_ms = db_cell_int(&r, 0, 4)};
    return true;
}
