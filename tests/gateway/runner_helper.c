/* For test_children.c: the runner, as the gateway's own binary would be, and a gateway that starts
 * a command and is killed. */
#include "gateway/command_runner.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* die STATE_DIR ID SCRIPT: runs `sh -c SCRIPT` and is killed as soon as its lock is there. */
static int start_and_die(char **argv)
{
    setsid(); /* the whole group is killed, as a terminal or a supervisor would */
    const char *const command[] = {"/bin/sh", "-c", argv[4], NULL}, *const env[] = {NULL};
    struct command_spec spec = {
        .id = argv[3], .argv = command, .env = env, .timeout_ms = 20000, .grace_ms = 500};
    struct mailbox *box = mailbox_new(10);
    struct children *c = children_start(argv[2], "/proc/self/exe", box, 1, NULL);
    if (c == NULL || !children_run(c, &spec, NULL))
        return 1;
    char lock[500];
    snprintf(lock, sizeof lock, "%s/%s.lock", argv[2], argv[3]);
    for (int i = 0; i < 1000 && access(lock, F_OK) != 0; i++)
        usleep(5000);
    kill(0, SIGKILL);
    return 1;
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], COMMAND_RUNNER_WORD) == 0)
        return command_runner_main(argc, argv);
    if (argc == 5 && strcmp(argv[1], "die") == 0)
        return start_and_die(argv);
    return 2;
}
