/* The store: all SQL, once, as acts of the domain. Every function works inside the transaction that
 * store_begin() opened and fails with ERR_TRANSIENT when the database cannot take it now. The core
 * thread writes; a reader opens a store of its own, read-only. Results live in the arena passed in.
 */
#pragma once

#include "agents/thread.h"
#include "gateway/db.h"

struct store {
    struct db *db;
};

enum { BLOB_LIMIT_BYTES = 16 * 1024 }; /* a larger text of an event lives in blobs, by hash */

/* Opens and, for DB_WRITE, migrates. A store that is newer than this program is refused, and to a
 * reader one that is older. */
bool store_open(struct store *s, const char *url, enum db_mode mode, struct err *err) NODISCARD;
void store_close(struct store *s);

/* The two parts of opening; the second takes migrations of a test's own. Migration i + 1 is the SQL
 * in migrations[i]; all that are missing happen in one transaction or not at all, and once, however
 * many processes try. */
bool store_schema(struct store *s, enum db_mode mode, struct err *err) NODISCARD;
bool store_migrate(struct store *s, const char *const *migrations, size_t n, struct err *err)
    NODISCARD;

/* One transaction a batch, one savepoint a letter. Each commit writes its own number. */
bool store_begin(struct store *s, struct err *err) NODISCARD;
bool store_commit(struct store *s, struct err *err) NODISCARD;
void store_rollback(struct store *s);

bool store_meta_get(struct store *s, struct arena *a, const char *key, const char **out,
                    struct err *err) NODISCARD; /* *out NULL: no such key */
bool store_meta_set(struct store *s, const char *key, const char *value, struct err *err) NODISCARD;

/* ---- arrivals ---------------------------------------------------------------------------- */

/* Remembers the keys; *seen when any of them was known (then nothing is stored). */
bool store_remember(struct store *s, const char *const *keys, int64_t now_ms, bool *seen,
                    struct err *err) NODISCARD;
/* Looks, and remembers nothing. */
bool store_is_known(struct store *s, struct arena *a, const char *key, bool *known, struct err *err)
    NODISCARD;
/* rank: lower ones are routed first (a person's click does not wait behind a burst of events). */
bool store_add_arrival(struct store *s, const char *channel, const char *body, int64_t rank,
                       int64_t now_ms, struct err *err) NODISCARD;
struct stored_arrival {
    int64_t id, at_ms;
    const char *channel, *body;
};
bool store_get_arrival(struct store *s, struct arena *a, int64_t id, struct stored_arrival *out,
                       struct err *err) NODISCARD; /* ERR_MISSING: none, or routed already */
bool store_end_arrival(struct store *s, int64_t id, struct err *err) NODISCARD;
/* By rank, then oldest first; at most limit. */
bool store_new_arrivals(struct store *s, struct arena *a, int64_t limit, int64_t **ids,
                        size_t *count, struct err *err) NODISCARD;

/* Forgets what nothing needs any more: keys, ended tool runs and providers' answers older than a
 * month, expired sign-ins. Nothing of a thread. One slice at a time, so that it holds nobody up:
 * *at says where to begin ("" at first) and then where the next slice begins; NULL: all is done. */
bool store_tidy(struct store *s, struct arena *a, int64_t now_ms, const char **at, struct err *err)
    NODISCARD;

/* ---- threads and events ------------------------------------------------------------------ */

struct thread_row {
    struct thread t;     /* without events */
    int64_t run;         /* a pipeline run's number; 0: none */
    const char *waiting; /* JSON or NULL */
    const char *repo;    /* JSON or NULL */
    int64_t last_seq, last_at_ms;
    const char *last_hash;
};

/* Inserts; `row->t.id` and the rest are set by the caller; gives a run its number. */
bool store_add_thread(struct store *s, struct arena *a, struct thread_row *row, struct err *err)
    NODISCARD;
bool store_get_thread(struct store *s, struct arena *a, const char *id, struct thread_row *out,
                      struct err *err) NODISCARD; /* ERR_MISSING */
/* For what only looks: any unique beginning; ERR_MISSING none, ERR_CONFLICT several. */
bool store_find_thread(struct store *s, struct arena *a, const char *prefix, const char **id,
                       struct err *err) NODISCARD;
/* All events with seq > after, oldest first; blobs are put back in place. limit 0: all. */
bool store_load_events(struct store *s, struct arena *a, const char *thread, int64_t after,
                       int64_t limit, struct event **out, size_t *count, struct err *err) NODISCARD;
/* Appends one event, chained, and marks the thread: it has a step to take. Sets *seq (may be NULL).
 */
bool store_append(struct store *s, struct arena *a, const char *thread, enum event_type type,
                  const char *actor, const struct json *data, int64_t now_ms, int64_t *seq,
                  struct err *err) NODISCARD;
/* The hash when `j` is what stands for a long text, {blob, bytes, head, tail}; else NULL. */
const char *store_blob_of(const struct json *j);
/* What changes about a thread when it has been advanced. waiting NULL: nothing waited for. */
bool store_set_thread(struct store *s, const char *id, enum thread_status status,
                      const char *waiting, const char *outcome, struct err *err) NODISCARD;
bool store_set_dirty(struct store *s, const char *id, bool dirty, struct err *err) NODISCARD;
bool store_set_paused(struct store *s, const char *id, bool paused, struct err *err) NODISCARD;
bool store_count_step(struct store *s, const char *id, int64_t steps, int64_t tokens, double cost,
                      struct err *err) NODISCARD;
bool store_dirty_threads(struct store *s, struct arena *a, int64_t limit, const char ***ids,
                         size_t *count, struct err *err) NODISCARD;
/* The conversation's newest thread that an answer belongs to; unfinished agents first. */
bool store_thread_of_conversation(struct store *s, struct arena *a, const char *channel,
                                  const char *dest, const char *in_thread, const char **id,
                                  struct err *err) NODISCARD; /* *id NULL: none */
/* Gives a root and its children the conversation that their first message opened. */
bool store_set_conversation(struct store *s, const char *root, const char *channel,
                            const char *dest, const char *in_thread, struct err *err) NODISCARD;
/* Marks a slice of the threads that are not over, from *at ("": from the beginning), which then
 * says where the next slice begins; NULL: all is done. */
bool store_wake_threads(struct store *s, struct arena *a, const char **at, struct err *err)
    NODISCARD;
bool store_children(struct store *s, struct arena *a, const char *parent, const char ***ids,
                    size_t *count, struct err *err) NODISCARD;

struct thread_filter {
    const char *status, *agent;
    int64_t before_ms;     /* cursor: rows older than this … */
    const char *before_id; /* … or as old and with a smaller id; NULL: from the newest */
    int64_t limit;
};
bool store_list_threads(struct store *s, struct arena *a, const struct thread_filter *filter,
                        struct thread_row **out, size_t *count, struct err *err) NODISCARD;

/* ---- requests and votes ------------------------------------------------------------------- */

struct request_row {
    const char *id, *code, *thread, *kind, *status; /* kind approval|question */
    int64_t call;                                   /* the step's seq; 0: none */
    const char *tool;
    const char
        *canonical;     /* canonical JSON of {thread, tool, arguments, target, request, expiry} */
    const char *digest; /* SHA-256 of it, hex */
    const char *view;   /* JSON: what cards show beside it (question, changes, notes, …) */
    const char *policy; /* snapshot JSON, or NULL */
    const char *requester;                              /* actor or NULL */
    int64_t raised_at_ms, expires_at_ms, decided_at_ms; /* 0: none */
    const char *decided_by, *comment, *answer;
    int64_t asked; /* ask steps taken */
    const char *callback;
    const char *via; /* where it was decided, or NULL */
};
/* How a request ends. What is NULL is not known, or not wanted. */
struct request_end {
    const char *status, *by, *comment, *answer, *via;
};
struct vote_row {
    const char *person, *decision, *comment, *via;
    int64_t at_ms;
};

bool store_add_request(struct store *s, const struct request_row *r, struct err *err) NODISCARD;
bool store_get_request(struct store *s, struct arena *a, const char *id, struct request_row *out,
                       struct err *err) NODISCARD; /* ERR_MISSING */
/* By id, by a unique beginning of one, or by code (the newest that has it). */
bool store_find_request(struct store *s, struct arena *a, const char *id_or_code,
                        struct request_row *out, struct err *err) NODISCARD;
/* Is the code free among the requests since `since_ms`, and how many are they? */
bool store_code_is_free(struct store *s, struct arena *a, const char *code, int64_t since_ms,
                        bool *is_free, int64_t *taken, struct err *err) NODISCARD;
/* The atomic change from open: *won is false when it was decided already. */
bool store_decide(struct store *s, const char *id, const struct request_end *end, int64_t now_ms,
                  bool *won, struct err *err) NODISCARD;
bool store_set_asked(struct store *s, const char *id, int64_t asked, struct err *err) NODISCARD;
bool store_put_vote(struct store *s, const char *request, const struct vote_row *vote,
                    struct err *err) NODISCARD;
bool store_votes(struct store *s, struct arena *a, const char *request, struct vote_row **out,
                 size_t *count, struct err *err) NODISCARD;
bool store_open_requests_of(struct store *s, struct arena *a, const char *thread,
                            struct request_row **out, size_t *count, struct err *err) NODISCARD;
/* Newest first. */
bool store_requests_asked_by(struct store *s, struct arena *a, const char *requester, int64_t limit,
                             struct request_row **out, size_t *count, struct err *err) NODISCARD;
/* By when they were decided, the last one first. */
bool store_requests_decided(struct store *s, struct arena *a, int64_t limit,
                            struct request_row **out, size_t *count, struct err *err) NODISCARD;
struct request_filter {
    const char *status, *thread;
    int64_t before_ms;
    const char *before_id;
    int64_t limit;
};
bool store_list_requests(struct store *s, struct arena *a, const struct request_filter *filter,
                         struct request_row **out, size_t *count, struct err *err) NODISCARD;

/* ---- deliveries, timers, tool runs --------------------------------------------------------- */

/* What is in doubt about a message whose fate was unknown. */
enum delivery_doubt {
    DOUBT_NONE,
    DOUBT_LOOK,   /* the next call looks whether it is there */
    DOUBT_REPEAT, /* that cannot be told: it is sent again, marked as a repeat */
};

struct delivery_row {
    const char *id, *thread, *request, *channel, *message, *state, *lane;
    int64_t attempts, due_at_ms, created_at_ms, first_sent_ms;
    int64_t doubt; /* enum delivery_doubt */
    const char *external_id, *replaces, *in_thread, *error;
    int64_t ask; /* the request's ask step it carries out; −1: none */
};
/* A lane keeps its order: one delivery of it is due or sending, those behind it are queued and cost
 * nothing while they wait. The state is the store's choice here. */
bool store_add_delivery(struct store *s, const struct delivery_row *d, struct err *err) NODISCARD;
/* With its end (sent, failed) the next of its lane is due. */
bool store_set_delivery(struct store *s, const struct delivery_row *d, struct err *err) NODISCARD;
bool store_get_delivery(struct store *s, struct arena *a, const char *id, struct delivery_row *out,
                        struct err *err) NODISCARD;
/* Due ones, oldest first, at most one a lane. */
bool store_due_deliveries(struct store *s, struct arena *a, int64_t now_ms, int64_t limit,
                          struct delivery_row **out, size_t *count, struct err *err) NODISCARD;
bool store_sending_deliveries(struct store *s, struct arena *a, struct delivery_row **out,
                              size_t *count, struct err *err) NODISCARD;
/* Copies of a request's card that were sent or are still on their way, the edits left out. */
bool store_request_deliveries(struct store *s, struct arena *a, const char *request,
                              struct delivery_row **out, size_t *count, struct err *err) NODISCARD;
/* The newest edit of a message that has not left yet, to be replaced by a newer one; *id NULL:
 * none. */
bool store_pending_edit(struct store *s, struct arena *a, const char *replaces, const char **id,
                        struct err *err) NODISCARD;

struct timer_row {
    int64_t id, due_at_ms;
    const char *kind, *thread, *ref, *data;
};
bool store_add_timer(struct store *s, const struct timer_row *timer, struct err *err) NODISCARD;
bool store_due_timers(struct store *s, struct arena *a, int64_t now_ms, struct timer_row **out,
                      size_t *count, struct err *err) NODISCARD;
bool store_drop_timer(struct store *s, int64_t id, struct err *err) NODISCARD;
bool store_drop_timers(struct store *s, const char *kind, const char *ref, struct err *err)
    NODISCARD;

/* The next moment anything is due, or INT64_MAX. */
bool store_next_due(struct store *s, struct arena *a, int64_t *at_ms, struct err *err) NODISCARD;

struct tool_run_row {
    const char *id, *thread, *kind, *name, *spec, *replies,
        *state; /* kind: command|stage|read|fact|model; state: due|running|ended */
    int64_t call, attempt, due_at_ms, started_at_ms, ended_at_ms;
};
bool store_add_tool_run(struct store *s, const struct tool_run_row *run, struct err *err) NODISCARD;
bool store_get_tool_run(struct store *s, struct arena *a, const char *id, struct tool_run_row *out,
                        struct err *err) NODISCARD; /* ERR_MISSING */
bool store_set_tool_run(struct store *s, const struct tool_run_row *run, struct err *err) NODISCARD;
bool store_open_tool_runs(struct store *s, struct arena *a, const char *thread /* NULL: all */,
                          struct tool_run_row **out, size_t *count, struct err *err) NODISCARD;
bool store_due_tool_runs(struct store *s, struct arena *a, int64_t now_ms, bool with_models,
                         struct tool_run_row **out, size_t *count, struct err *err) NODISCARD;

/* ---- people ---------------------------------------------------------------------------------- */

/* Hashes are SHA-256 in hex; the secrets themselves are never stored. */
bool store_add_login(struct store *s, const char *hash, const char *person, const char *via,
                     int64_t expires_at_ms, struct err *err) NODISCARD;
/* Who may sign in with it now; NULL: unknown, spent or expired. `spend` makes it the last time. */
bool store_login(struct store *s, struct arena *a, const char *hash, int64_t now_ms, bool spend,
                 const char **person, struct err *err) NODISCARD;
bool store_add_session(struct store *s, const char *hash, const char *person, int64_t now_ms,
                       int64_t expires_at_ms, struct err *err) NODISCARD;
bool store_session(struct store *s, struct arena *a, const char *hash, int64_t now_ms,
                   const char **person, struct err *err) NODISCARD;

/* ---- the deploy domain ----------------------------------------------------------------------- */

struct component_row {
    const char *environment, *component, *sha, *state, *thread; /* state: ok | unknown */
    int64_t at_ms;
};
bool store_set_component(struct store *s, const struct component_row *c, struct err *err) NODISCARD;
bool store_components(struct store *s, struct arena *a, const char *environment,
                      struct component_row **out, size_t *count, struct err *err) NODISCARD;
struct deployment_row {
    const char *environment, *component, *sha, *thread, *outcome;
    bool rollback;
    int64_t started_at_ms, ended_at_ms;
};
bool store_add_deployment(struct store *s, const struct deployment_row *d, struct err *err)
    NODISCARD;
/* Newest first. component or sha NULL: any. */
bool store_deployments(struct store *s, struct arena *a, const char *environment,
                       const char *component, const char *sha, int64_t limit,
                       struct deployment_row **out, size_t *count, struct err *err) NODISCARD;
bool store_add_passed(struct store *s, const char *environment, const char *sha, const char *thread,
                      int64_t now_ms, struct err *err) NODISCARD;
bool store_has_passed(struct store *s, struct arena *a, const char *environment, const char *sha,
                      const char **thread, struct err *err) NODISCARD; /* NULL: no */

struct hold_row {
    const char *environment, *thread,
        *state; /* state: held | waiting; thread: the root that holds */
    int64_t number, at_ms;
};
bool store_put_hold(struct store *s, const struct hold_row *h, struct err *err) NODISCARD;
bool store_drop_hold(struct store *s, const char *environment, const char *thread, struct err *err)
    NODISCARD;
/* In order of arrival. environment NULL: all. */
bool store_holds(struct store *s, struct arena *a, const char *environment, struct hold_row **out,
                 size_t *count, struct err *err) NODISCARD;

struct lock_row {
    const char *environment, *owner, *reason;
    int64_t at_ms, expires_at_ms; /* 0: never */
};
bool store_put_lock(struct store *s, const struct lock_row *l, struct err *err) NODISCARD;
bool store_drop_lock(struct store *s, const char *environment, bool *had, struct err *err)
    NODISCARD;
bool store_get_lock(struct store *s, struct arena *a, const char *environment, int64_t now_ms,
                    struct lock_row *out, bool *locked, struct err *err) NODISCARD;

bool store_put_etag(struct store *s, const char *url, const char *etag, const char *body,
                    int64_t now_ms, struct err *err) NODISCARD;
bool store_get_etag(struct store *s, struct arena *a, const char *url, const char **etag,
                    const char **body, struct err *err) NODISCARD;

/* ---- audit ------------------------------------------------------------------------------------
 */

/* Writes the heads of threads that changed since the last checkpoint, chained: at most 2,000, so
 * that it holds nobody up. */
bool store_checkpoint(struct store *s, struct arena *a, int64_t now_ms, struct err *err) NODISCARD;
/* Are there heads that no checkpoint has? */
bool store_needs_checkpoint(struct store *s, bool *needed, struct err *err) NODISCARD;

struct audit_finding {
    const char *thread; /* NULL: the checkpoints themselves */
    int64_t seq;
    const char *sentence;
};
/* Reads everything. Findings name what was changed, removed or reordered. */
bool store_verify(struct store *s, struct arena *a, struct audit_finding **out, size_t *count,
                  int64_t *threads, int64_t *events, struct err *err) NODISCARD;
