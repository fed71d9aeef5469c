/* The database driver: the one stateful interface with two implementations in mind (SQLite here,
 * PostgreSQL later). SQL is in the dialect both share; parameters are $1, $2 …; times are integers,
 * booleans 0/1, JSON is text. Results are read whole into an arena, so that no statement stays open
 * across a batch. One thread at a time. */
#pragma once

#include "gateway/base/arena.h"
#include "gateway/base/err.h"

struct db;

enum db_mode {
    DB_WRITE,    /* creates the file; one process at a time */
    DB_READ_ONLY /* a second connection: pages, lists, verification */
};

/* url: "sqlite:PATH". NULL and a sentence when it cannot be opened. */
struct db *db_open(const char *url, enum db_mode mode, struct err *err);
void db_close(struct db *db); /* NULL ok */

struct db_arg {
    enum { DB_NULL, DB_TEXT, DB_INT, DB_REAL } type;
    const char *text;
    int64_t integer;
    double real;
};
struct db_arg db_text(const char *text); /* NULL is SQL NULL; borrowed until the call returns */
struct db_arg db_int(int64_t value);
struct db_arg db_real(double value);
#define DB_ARGS(...) \
    (const struct db_arg[]){__VA_ARGS__}, COUNT(((const struct db_arg[]){__VA_ARGS__}))
#define DB_NO_ARGS NULL, 0

struct db_rows {
    size_t count, columns;
    struct db_arg *cells; /* count × columns, in the arena */
};
const char *db_cell_text(const struct db_rows *rows, size_t row,
                         size_t column); /* NULL: SQL NULL */
int64_t db_cell_int(const struct db_rows *rows, size_t row, size_t column);
double db_cell_real(const struct db_rows *rows, size_t row, size_t column);

/* A statement without rows. `sql` must be a string literal: its address names the prepared
 * statement. ERR_TRANSIENT when the store cannot take it now (disk full, busy, I/O). */
bool db_run(struct db *db, const char *sql, const struct db_arg *args, size_t n_args,
            struct err *err) NODISCARD;
/* Rows changed by the last db_run. */
int64_t db_changes(const struct db *db);
/* A statement with rows (SELECT, or … RETURNING). */
bool db_query(struct db *db, struct arena *a, const char *sql, const struct db_arg *args,
              size_t n_args, struct db_rows *out, struct err *err) NODISCARD;
/* Several statements separated by ';', none prepared: migrations. */
bool db_script(struct db *db, const char *sql, struct err *err) NODISCARD;

bool db_begin(struct db *db, struct err *err) NODISCARD;
bool db_commit(struct db *db, struct err *err) NODISCARD; /* false: nothing of it happened */
void db_rollback(struct db *db);
bool db_savepoint(struct db *db, struct err *err) NODISCARD;
bool db_release(struct db *db, struct err *err) NODISCARD;
void db_rollback_to_savepoint(struct db *db); /* and release it */

/* A consistent copy into a new file while the store is in use. */
bool db_backup(struct db *db, const char *path, struct err *err) NODISCARD;

/* Statements and commits since open: tests hold them to limits. */
struct db_counts {
    int64_t statements, commits;
};
struct db_counts db_counts(const struct db *db);

/* Makes the n-th next call fail (1 = the next); 0: never. For torture tests. */
enum db_failure {
    DB_FAIL_BUSY,  /* the statement alone fails */
    DB_FAIL_BROKEN /* a full or broken disk: the transaction is rolled back with it */
};
void db_fail_at(struct db *db, int64_t nth, enum db_failure how);
