/* The reading API (GET /v1/…, INTERFACE section 2) as functions of a store and a path: the reader
 * answers HTTP with it, the command line uses it on a store without a server, and both say the
 * same. Reads only; any thread with a store of its own. */
#pragma once

#include "gateway/config.h"
#include "gateway/store.h"

enum { READS_LIMIT = 100, READS_LIMIT_MAX = 500 };

struct reads {
    struct arena *a; /* owns what comes out */
    const struct config *config;
    struct store *store;
    int64_t now_ms;
};

/* The scope that a key needs for this path; NULL: there is nothing to read at it. */
const char *reads_scope(struct arena *a, const char *path);

/* Path and query as in a URL, still percent-encoded; query may be NULL. ERR_MISSING: no such thing;
 * ERR_INVALID: a filter or cursor that is none; ERR_CONFLICT: several ids begin so; ERR_TRANSIENT:
 * the store cannot be read now. */
bool reads_get(const struct reads *r, const char *path, const char *query, const struct json **out,
               struct err *err) NODISCARD;

/* The exact text that a model would read (`all` events for a run, which no model reads). */
bool reads_context(const struct reads *r, const char *thread, char **out, struct err *err)
    NODISCARD;

/* {"error": {"code", "message"}} and the status that says what was wrong. */
int reads_error_status(enum err_kind kind);
struct json *reads_error(struct arena *a, const char *code, const char *message);
const char *reads_error_code(enum err_kind kind);

/* Opaque cursors of lists: a time and an id. False: it is not one of ours. */
char *cursor_render(struct arena *a, int64_t at_ms, const char *id);
bool cursor_parse(struct arena *a, const char *text, int64_t *at_ms, const char **id) NODISCARD;
