/* What the commands share; cli.c has the table and the options. */
#pragma once

#include "gateway/base/arena.h"
#include "gateway/base/err.h"
#include "gateway/base/json.h"
#include "gateway/config.h"
#include "gateway/store.h"
#include "gateway/terminal.h"

enum { CLI_OK = 0, CLI_FAILED = 1, CLI_USAGE = 2, CLI_ARGS_MAX = 8 };

struct cli_command;

struct cli {
    struct arena *a;
    const struct cli_command *command;
    const char *args[CLI_ARGS_MAX];
    size_t n_args;
    const char *config_path, *message, *duration, *status, *agent;
    int64_t port, limit;
    bool as_json, dry_run, by_itself, keep, all, help;
    struct terminal terminal;

    /* Opened when first needed. */
    struct config *config;
    struct store store;
};

struct cli_command {
    const char *name, *args; /* args: as in the usage line, "" when none */
    size_t least_args, most_args;
    const char *options; /* the letters of its own options, see cli.c */
    const char *help, *example;
    int (*run)(struct cli *c);
    bool is_hidden;
};

/* ---- for the commands ---- */

/* Prints "signoff: sentence" and returns the code. */
int cli_fail(const struct cli *c, int code, const char *fmt, ...) PRINTF(3, 4);
/* The same for an err: 2 for a configuration that is wrong, else 1. */
int cli_fail_err(const struct cli *c, const struct err *err);
int cli_print_json(const struct cli *c, const struct json *json);

/* GET from the server or the store, as above. */
bool cli_get(struct cli *c, const char *path, const char *query, const struct json **out,
             struct err *err) NODISCARD;
/* POST to the server; body NULL: {}. *code is the exit code when it did not work (and it was said
 * why); else *out is the answer. */
bool cli_post(struct cli *c, const char *path, const struct json *body, const struct json **out,
              int *code) NODISCARD;
/* The store of --config, read-only. */
bool cli_open_store(struct cli *c, struct err *err) NODISCARD;
/* What story.h reads with. */
struct story_source cli_source(struct cli *c);

/* ---- cli_look.c ---- */
int cli_threads(struct cli *c);
int cli_show(struct cli *c);
int cli_context(struct cli *c);
int cli_audit(struct cli *c);
int cli_backup(struct cli *c);

/* ---- cli_replay.c ---- */
int cli_replay(struct cli *c);

/* ---- cli_act.c ---- */
int cli_approve(struct cli *c);
int cli_reject(struct cli *c);
int cli_answer(struct cli *c);
int cli_login(struct cli *c);
int cli_pause(struct cli *c);
int cli_resume(struct cli *c);
int cli_cancel(struct cli *c);
int cli_lock(struct cli *c);
int cli_unlock(struct cli *c);
