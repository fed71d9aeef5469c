/* The SQLite driver. See db.h, and the SQLite manual for the pragmas: WAL with synchronous=FULL
 * makes a commit durable before it returns; a transaction begins IMMEDIATE because a deferred one
 * that read first gets BUSY_SNAPSHOT without waiting. */
#include "gateway/base/text.h"
#include "gateway/db.h"

#include <errno.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    MAX_STATEMENTS = 256,
    BUSY_MS = 5000,
    BUSY_WRITE_MS = 700, /* a round and its second try leave time to answer within Slack's 3 s */
};

struct prepared {
    const char *sql; /* the literal's address */
    sqlite3_stmt *statement;
};

struct db {
    sqlite3 *handle;
    enum db_mode mode;
    struct prepared prepared[MAX_STATEMENTS]; /* open addressing by address */
    struct db_counts counts;
    int64_t changes;
    int64_t fail_in; /* calls until one fails; 0: never */
    enum db_failure fail_how;
};

struct db_arg db_text(const char *text)
{
    return (struct db_arg){.type = text == NULL ? DB_NULL : DB_TEXT, .text = text};
}

struct db_arg db_int(int64_t value)
{
    return (struct db_arg){.type = DB_INT, .integer = value};
}

struct db_arg db_real(double value)
{
    return (struct db_arg){.type = DB_REAL, .real = value};
}

static const struct db_arg *cell(const struct db_rows *rows, size_t row, size_t column)
{
    return &rows->cells[row * rows->columns + column];
}

const char *db_cell_text(const struct db_rows *rows, size_t row, size_t column)
{
    return cell(rows, row, column)->text;
}

int64_t db_cell_int(const struct db_rows *rows, size_t row, size_t column)
{
    return cell(rows, row, column)->integer;
}

double db_cell_real(const struct db_rows *rows, size_t row, size_t column)
{
    const struct db_arg *c = cell(rows, row, column);
    return c->type == DB_REAL ? c->real : (double)c->integer;
}

static bool fail_sqlite(struct db *db, struct err *err, const char *act)
{
    int code = sqlite3_extended_errcode(db->handle);
    enum err_kind kind = (code & 0xff) == SQLITE_CONSTRAINT ? ERR_CONFLICT : ERR_TRANSIENT;
    return fail(err, kind, "store: %s: %s (%d)", act, sqlite3_errmsg(db->handle), code);
}

static bool is_told_to_fail(struct db *db, struct err *err)
{
    if (db->fail_in == 0 || --db->fail_in > 0)
        return false;
    if (db->fail_how == DB_FAIL_BROKEN && sqlite3_get_autocommit(db->handle) == 0)
        sqlite3_exec(db->handle, "ROLLBACK", NULL, NULL, NULL);
    fail(err, ERR_TRANSIENT, "store: told to fail");
    return true;
}

void db_fail_at(struct db *db, int64_t nth, enum db_failure how)
{
    db->fail_in = nth;
    db->fail_how = how;
}

bool db_script(struct db *db, const char *sql, struct err *err)
{
    if (is_told_to_fail(db, err))
        return false;
    db->counts.statements++;
    if (sqlite3_exec(db->handle, sql, NULL, NULL, NULL) != SQLITE_OK)
        return fail_sqlite(db, err, "exec");
    return true;
}

static bool set_up(struct db *db, enum db_mode mode, struct err *err)
{
    sqlite3_extended_result_codes(db->handle, 1);
    sqlite3_busy_timeout(db->handle, mode == DB_WRITE ? BUSY_WRITE_MS : BUSY_MS);
    sqlite3_db_config(db->handle, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    sqlite3_db_config(db->handle, SQLITE_DBCONFIG_DQS_DML, 0, NULL);
    sqlite3_db_config(db->handle, SQLITE_DBCONFIG_DQS_DDL, 0, NULL);
    if (mode == DB_READ_ONLY)
        return db_script(db, "PRAGMA query_only=ON", err);
    return db_script(db,
                     "PRAGMA page_size=8192; PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"
                     "PRAGMA foreign_keys=ON",
                     err);
}

struct db *db_open(const char *url, enum db_mode mode, struct err *err)
{
    if (strncmp(url, "sqlite:", 7) != 0) {
        fail(err, ERR_INVALID, "store.url: only sqlite:PATH is in this version");
        return NULL;
    }
    struct db *db = calloc(1, sizeof *db);
    if (db == NULL)
        abort();
    db->mode = mode;
    int flags = SQLITE_OPEN_NOMUTEX | (mode == DB_WRITE ? SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE
                                                        : SQLITE_OPEN_READWRITE);
    mode_t old = umask(077); /* the store holds people's words */
    int rc = sqlite3_open_v2(url + 7, &db->handle, flags, NULL);
    bool is_there = access(url + 7, F_OK) == 0 || errno != ENOENT;
    bool ok = rc == SQLITE_OK ? set_up(db, mode, err)
                              : fail(err, is_there ? ERR_TRANSIENT : ERR_MISSING, "store %s: %s",
                                     url + 7, sqlite3_errstr(rc));
    umask(old);
    if (!ok) {
        db_close(db);
        return NULL;
    }
    return db;
}

void db_close(struct db *db)
{
    if (db == NULL)
        return;
    for (size_t i = 0; i < MAX_STATEMENTS; i++)
        sqlite3_finalize(db->prepared[i].statement);
    sqlite3_close(db->handle);
    free(db);
}

static sqlite3_stmt *prepare(struct db *db, const char *sql, struct err *err)
{
    size_t at = ((uintptr_t)sql >> 3) % MAX_STATEMENTS;
    for (size_t tries = 0; db->prepared[at].sql != NULL; tries++, at = (at + 1) % MAX_STATEMENTS) {
        if (db->prepared[at].sql == sql)
            return db->prepared[at].statement;
        if (tries == MAX_STATEMENTS)
            abort(); /* more statements in the program than the table has room for */
    }
    sqlite3_stmt *statement = NULL;
    if (sqlite3_prepare_v3(db->handle, sql, -1, SQLITE_PREPARE_PERSISTENT, &statement, NULL) !=
        SQLITE_OK) {
        fail_sqlite(db, err, "prepare");
        return NULL;
    }
    db->prepared[at] = (struct prepared){.sql = sql, .statement = statement};
    return statement;
}

/* SQLite numbers $n by first appearance, so a parameter is found by its name. */
static void bind(sqlite3_stmt *statement, const struct db_arg *args, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        char name[24];
        snprintf(name, sizeof name, "$%zu", i + 1);
        int at = sqlite3_bind_parameter_index(statement, name);
        if (at == 0)
            continue;
        switch (args[i].type) {
        case DB_NULL:
            sqlite3_bind_null(statement, at);
            break;
        case DB_TEXT:
            sqlite3_bind_text(statement, at, args[i].text, -1, SQLITE_STATIC);
            break;
        case DB_INT:
            sqlite3_bind_int64(statement, at, args[i].integer);
            break;
        case DB_REAL:
            sqlite3_bind_double(statement, at, args[i].real);
            break;
        }
    }
}

static sqlite3_stmt *begin_statement(struct db *db, const char *sql, const struct db_arg *args,
                                     size_t n_args, struct err *err)
{
    if (is_told_to_fail(db, err))
        return NULL;
    sqlite3_stmt *statement = prepare(db, sql, err);
    if (statement == NULL)
        return NULL;
    db->counts.statements++;
    bind(statement, args, n_args);
    return statement;
}

static void end_statement(sqlite3_stmt *statement)
{
    sqlite3_reset(statement);
    sqlite3_clear_bindings(statement);
}

bool db_run(struct db *db, const char *sql, const struct db_arg *args, size_t n_args,
            struct err *err)
{
    sqlite3_stmt *statement = begin_statement(db, sql, args, n_args, err);
    if (statement == NULL)
        return false;
    int rc = sqlite3_step(statement);
    bool ok = rc == SQLITE_DONE || rc == SQLITE_ROW || fail_sqlite(db, err, "run");
    db->changes = ok ? sqlite3_changes64(db->handle) : 0;
    end_statement(statement);
    return ok;
}

int64_t db_changes(const struct db *db)
{
    return db->changes;
}

static struct db_arg read_cell(struct arena *a, sqlite3_stmt *statement, int column)
{
    switch (sqlite3_column_type(statement, column)) {
    case SQLITE_NULL:
        return (struct db_arg){.type = DB_NULL};
    case SQLITE_INTEGER:
        return db_int(sqlite3_column_int64(statement, column));
    case SQLITE_FLOAT:
        return db_real(sqlite3_column_double(statement, column));
    default: {
        const char *text = (const char *)sqlite3_column_text(statement, column);
        size_t len = (size_t)sqlite3_column_bytes(statement, column);
        /* We write no NUL, so one is somebody else's: it is to be seen, with what stands behind. */
        bool has_nul = text != NULL && memchr(text, '\0', len) != NULL;
        return db_text(has_nul ? utf8_clean(a, (struct span){text, len})
                               : arena_strndup(a, text == NULL ? "" : text, len));
    }
    }
}

bool db_query(struct db *db, struct arena *a, const char *sql, const struct db_arg *args,
              size_t n_args, struct db_rows *out, struct err *err)
{
    sqlite3_stmt *statement = begin_statement(db, sql, args, n_args, err);
    if (statement == NULL)
        return false;
    struct db_rows rows = {.columns = (size_t)sqlite3_column_count(statement)};
    size_t room = 0;
    int rc;
    while ((rc = sqlite3_step(statement)) == SQLITE_ROW) {
        if (rows.count == room) {
            room = room == 0 ? 4 : room * 2;
            struct db_arg *grown = ARENA_ARRAY(a, struct db_arg, room * rows.columns);
            if (rows.count > 0)
                memcpy(grown, rows.cells, rows.count * rows.columns * sizeof *grown);
            rows.cells = grown;
        }
        for (size_t c = 0; c < rows.columns; c++)
            rows.cells[rows.count * rows.columns + c] = read_cell(a, statement, (int)c);
        rows.count++;
    }
    bool ok = rc == SQLITE_DONE || fail_sqlite(db, err, "query");
    end_statement(statement);
    if (ok)
        *out = rows;
    return ok;
}

bool db_begin(struct db *db, struct err *err)
{
    return db_run(db, "BEGIN IMMEDIATE", DB_NO_ARGS, err);
}

bool db_commit(struct db *db, struct err *err)
{
    if (!db_run(db, "COMMIT", DB_NO_ARGS, err)) {
        db_rollback(db);
        return false;
    }
    db->counts.commits++;
    return true;
}

void db_rollback(struct db *db)
{
    /* A full disk has rolled back by itself already. */
    if (sqlite3_get_autocommit(db->handle) == 0)
        sqlite3_exec(db->handle, "ROLLBACK", NULL, NULL, NULL);
}

/* An I/O error ends the whole transaction, wherever it happens. A savepoint after that would begin
 * one of its own, whose release would be a commit that nobody counts with. */
bool db_savepoint(struct db *db, struct err *err)
{
    if (sqlite3_get_autocommit(db->handle) != 0)
        return fail(err, ERR_TRANSIENT, "store: the transaction was rolled back");
    return db_run(db, "SAVEPOINT letter", DB_NO_ARGS, err);
}

bool db_release(struct db *db, struct err *err)
{
    return db_run(db, "RELEASE letter", DB_NO_ARGS, err);
}

void db_rollback_to_savepoint(struct db *db)
{
    if (sqlite3_get_autocommit(db->handle) == 0)
        sqlite3_exec(db->handle, "ROLLBACK TO letter; RELEASE letter", NULL, NULL, NULL);
}

bool db_backup(struct db *db, const char *path, struct err *err)
{
    struct stat st;
    if (stat(path, &st) == 0)
        return fail(err, ERR_CONFLICT, "%s exists already", path);
    mode_t old = umask(077);
    /* A connection that may only look may still copy: query_only forbids even that. */
    bool ok = db_script(db, "PRAGMA query_only=OFF", err) &&
              db_run(db, "VACUUM INTO $1", DB_ARGS(db_text(path)), err);
    umask(old);
    if (db->mode == DB_READ_ONLY && !db_script(db, "PRAGMA query_only=ON", ok ? err : NULL))
        ok = false;
    if (!ok)
        unlink(path); /* half a copy is none */
    return ok;
}

struct db_counts db_counts(const struct db *db)
{
    return db->counts;
}
