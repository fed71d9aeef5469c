/* The runner: our own binary, executed once more for one command (see children.h).
 *
 * It shares with children.c the layout of the files in the state folder and of the order:
 *
 *     ID.lock   made by link(2) with its lock already held: who made it owns the id for good.
 *               "runner PID START_TICKS": a runner; locked while it lives.
 *               "refused": a gateway that found nothing; no runner may start this id any more.
 *     ID.out    output: at most max_output bytes and the line about what is missing
 *     ID.exit   the ending; complete or not there (temporary file, fsync, rename)
 *
 * The order comes on fd 0 and never touches the disk: its environment may hold secrets. */
#pragma once

#include "gateway/children.h"

#include <sys/types.h>

#define COMMAND_RUNNER_WORD "command-runner"

/* The hidden subcommand. Needs fd 0 to be a file made by command_order_open(); returns the exit
 * code of the process. */
int command_runner_main(int argc, char **argv);

bool command_id_is_valid(const char *id);

/* A memory file that holds the order, at its beginning, close-on-exec. The runner refuses to begin
 * after start_by_ms (monotonic): long after, nobody may expect it any more. */
bool command_order_open(const char *state_dir, const struct command_spec *spec, int64_t start_by_ms,
                        int *out_fd, struct err *err) NODISCARD;

enum command_claim { CLAIM_MADE, CLAIM_TAKEN, CLAIM_FAILED };

/* Makes ID.lock with this text in it. MADE: *out_fd holds the lock until it is closed. `who` names
 * the temporary file: "runner" or "gateway". */
enum command_claim command_claim(int dir_fd, const char *id, const char *who, const char *text,
                                 int *out_fd, struct err *err);

/* What a runner wrote into its ID.lock; false for anything else. */
bool command_lock_parse(const char *text, pid_t *pid, int64_t *start_ticks) NODISCARD;

/* When a process began, in clock ticks since the boot: with its pid it names it for good. -1: there
 * is none. */
int64_t command_start_ticks(pid_t pid);

/* The ending as it stands in ID.exit. */
struct command_ending {
    enum command_outcome outcome;
    int exit_code, signo;
    int64_t output_bytes;
    bool truncated;
    int64_t started_at_ms, ended_at_ms;
    char error[ERR_TEXT_SIZE];
};

bool command_ending_write(int dir_fd, const char *id, const struct command_ending *ending,
                          struct err *err) NODISCARD;
/* False: not there (MISSING), or not what we write (INVALID). */
bool command_ending_read(int dir_fd, const char *id, struct command_ending *out, struct err *err)
    NODISCARD;
