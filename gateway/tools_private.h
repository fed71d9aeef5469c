/* What tools.c, commands.c and look_ups.c share; for them alone. All of it as app.h says. */
#pragma once

#include "gateway/app.h"

enum { READ_TIMEOUT_MS = 60000 };

/* ---- argv.c: what a command is started with ---------------------------------------------- */

/* Holes are filled; err says which value is not passed to a command. argv_of_tool() is in app.h. */
bool argv_of_stage(struct app *app, const struct thread_row *row, const struct stage *stage,
                   struct json **out, struct err *err) NODISCARD;
/* From a stored array. NULL-terminated. */
const char *const *argv_from_json(struct app *app, const struct json *list);
/* Empty but for what DESIGN section 6 names. Secrets come only by run.env; they are in the order
 * that the runner gets, and in no row. run NULL: a read of ours. NULL-terminated. */
const char *const *argv_environment(struct app *app, const struct tool_run *run, const char *thread,
                                    const char *id);

/* ---- tools.c: starts and conclusions as events ------------------------------------------- */

bool tool_end_run(struct app *app, struct tool_run_row *run, struct err *err) NODISCARD;
/* run_id NULL: nothing of ours runs outside. */
bool tool_append_started(struct app *app, const struct thread_row *row, const struct effect *e,
                         const struct json *args, const char *run_id, struct err *err) NODISCARD;

/* A command of ours that could not be started tries again, for a while. */
bool tool_may_wait(struct app *app, const struct tool_run_row *run);
void tool_wait(struct app *app, struct tool_run_row *run); /* due again */

struct tool_ending {
    const char *thread, *tool, *outcome;
    int64_t call; /* the step's seq; 0: none */
    const struct json *result;
    bool prefetch, not_started;
};
bool tool_append_finished(struct app *app, const struct tool_ending *ending, struct err *err)
    NODISCARD;
/* {error: sentence} */
struct json *tool_error(struct app *app, const char *sentence);

/* ---- commands.c: tools that act, and stages ---------------------------------------------- */

bool command_run(struct app *app, struct thread_row *row, const struct effect *e,
                 enum tool_start *out, struct err *err) NODISCARD;
bool command_ended(struct app *app, struct tool_run_row *run, const struct command_result *r,
                   struct err *err) NODISCARD;
/* One whose start was held up. */
bool command_due(struct app *app, struct tool_run_row *run, struct err *err) NODISCARD;
/* "exit 3", "timed out after 10m" … */
const char *command_ending_text(struct app *app, const struct command_result *r,
                                int64_t timeout_ms);

/* ---- look_ups.c: what only reads --------------------------------------------------------- */

bool look_up_run(struct app *app, struct thread_row *row, const struct effect *e,
                 enum tool_start *out, struct err *err) NODISCARD;
bool look_up_go_on(struct app *app, struct tool_run_row *run, struct err *err) NODISCARD;
/* The command that a running read waits for; *id NULL: it waits for an answer. */
bool look_up_command_id(struct app *app, const struct tool_run_row *run, const char **id,
                        struct err *err) NODISCARD;
bool look_up_command_ended(struct app *app, struct tool_run_row *run,
                           const struct command_result *r, struct err *err) NODISCARD;
bool look_up_reply(struct app *app, struct tool_run_row *run, const struct http_job *job,
                   struct err *err) NODISCARD;
