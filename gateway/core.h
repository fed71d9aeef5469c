/* The core thread: the only one that writes to the store. It takes letters, handles a batch of them
 * in one transaction (a savepoint each), commits, and only then lets anything leave. */
#pragma once

#include "gateway/app.h"

/* Runs until LETTER_STOP; then finishes the batch and returns. Opens nothing: app is complete. */
void core_run(struct app *app);

/* The start-up scan: what was under way when the last process ended is moved on (promise 5). */
bool core_recover(struct app *app, struct err *err) NODISCARD;

/* One letter or piece of work inside a batch: all of its rows and actions, or, when it fails, none.
 * What others of the batch did stays. `name` is for the log. */
typedef bool (*core_work)(struct app *app, void *what, struct err *err);
bool core_in_savepoint(struct app *app, const char *name, core_work work, void *what,
                       struct err *err) NODISCARD;
