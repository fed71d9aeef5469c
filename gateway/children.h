/* Commands that outlive the gateway.
 *
 * A command does not run under this process but under a tiny runner (command_runner.h), in a
 * session of its own, which keeps STATE/ID.lock locked while it lives, collects the output in
 * STATE/ID.out and leaves the ending in STATE/ID.exit. Stopping, upgrading or killing the gateway
 * never touches a command: after a restart children_find() says what became of it.
 *
 * Results come as letters, exactly one for each children_run() or children_find() that returned
 * true. All functions but start, stop and free: any thread. */
#pragma once

#include "gateway/base/arena.h"
#include "gateway/base/err.h"
#include "gateway/mailbox.h"

enum { COMMAND_ID_MAX = 64, COMMAND_MAX_OUTPUT = 16 * 1024 * 1024, CHILDREN_MAX = 256 };

struct command_spec {
    const char *id; /* [A-Za-z0-9_-][A-Za-z0-9_.-]*, at most COMMAND_ID_MAX; never reused */
    const char *const *argv; /* NULL-terminated; argv[0] is looked up in the PATH of `env` */
    const char *cwd;         /* NULL: "/" */
    const char *const *env;  /* NULL-terminated NAME=VALUE; nothing else is in its environment */
    int64_t timeout_ms;      /* then TERM to its whole process group; must be above 0 */
    int64_t grace_ms;        /* then KILL; 0 = 5 s */
    size_t max_output;       /* bytes kept of stdout and stderr together; 0 = 256 KiB */
};

enum command_outcome {
    COMMAND_EXITED,      /* see exit_code */
    COMMAND_SIGNALED,    /* ended by a signal that we did not send; see signo */
    COMMAND_TIMED_OUT,   /* ended by us: over timeout_ms */
    COMMAND_KILLED,      /* ended by us: children_kill(), or the machine went down */
    COMMAND_NOT_STARTED, /* certainly nothing ran, and it would not the next time: see error */
    COMMAND_HELD_UP,     /* certainly nothing ran, for a reason that passes (no memory, a full disk,
                            a gateway that ended before the start): it may be started under a new id */
    COMMAND_UNKNOWN,     /* may have run, wholly or in part; nobody knows */
};

const char *command_outcome_name(enum command_outcome outcome); /* "exited", "timed_out", … */

/* A letter; its receiver frees it with letter_free(). */
struct command_result {
    struct letter letter;
    struct arena arena; /* owns all below */
    const char *id;
    enum command_outcome outcome;
    int exit_code;        /* EXITED */
    int signo;            /* SIGNALED */
    const char *error;    /* NOT_STARTED, HELD_UP, UNKNOWN: a sentence; else "" */
    struct span output;   /* as it came, maybe not UTF-8; NUL-terminated beyond its length. When
                             truncated: the first and the last half, with a line between them
                             that says how many bytes are missing */
    int64_t output_bytes; /* that the command wrote in all */
    bool truncated;
    int64_t started_at_ms, ended_at_ms; /* Unix time; 0 = not known */
};

/* A result that no runner wrote: of a command that could not even be handed over, or not be found.
 */
struct command_result *command_result_new(int kind, const char *id, enum command_outcome outcome,
                                          const char *sentence);

struct children;

/* state_dir is made (0700) if it is not there. `runner` is the program to execute as the runner
 * with the one argument COMMAND_RUNNER_WORD: "/proc/self/exe". Both are copied; results go to `to`
 * (kept) as letters of `kind`, by mailbox_post_always(). NULL: err says why. */
struct children *children_start(const char *state_dir, const char *runner, struct mailbox *to,
                                int kind, struct err *err);
/* Commands go on; their results are not posted any more. Joins. Idempotent. */
void children_stop(struct children *c);
void children_free(struct children *c); /* stops first; NULL is fine */

/* Copies the spec. False: a bad spec or an id that was used (INVALID, CONFLICT), or CHILDREN_MAX
 * are running (TRANSIENT); nothing ran and no letter will come. */
bool children_run(struct children *c, const struct command_spec *spec, struct err *err) NODISCARD;

/* After a restart, for an id that is not running here (CONFLICT): what became of a command whose
 * children_run() may have happened. Still running: the letter comes when it ends. Never started: it
 * never will be from now on (HELD_UP). */
bool children_find(struct children *c, const char *id, struct err *err) NODISCARD;

/* TERM to the process group, KILL after its grace; the result is then KILLED, also if it had not
 * begun, unless it ended by itself before. Works on found ones. Without effect if it is not
 * running or being found here. */
void children_kill(struct children *c, const char *id);

/* Removes the files of a command that has ended, once its result is stored. Blocks on the disk. A
 * refusal stays for as long as a late runner might still come. */
void children_forget(struct children *c, const char *id);

/* Forgets every command whose id is not in `keep`; one that still runs is found first, so that a
 * letter tells of its end. What a gateway that was killed could not forget goes this way. */
void children_sweep(struct children *c, const char *const *keep, size_t n_keep);

size_t children_count(struct children *c); /* running or being found now */
