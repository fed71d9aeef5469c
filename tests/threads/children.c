/* Several threads run, kill and find commands; every one has exactly one result. This program is
 * its own runner. */
#include "gateway/command_runner.h"
#include "gateway/thread.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { THREADS = 3, COMMANDS = 15 };

static struct children *children;
static struct mailbox *box;
static atomic_int begun;

static void *run_some(void *arg)
{
    static const char *const argv[] = {"sh", "-c", "echo x; sleep 0.05", NULL};
    static const char *const env[] = {"PATH=/usr/bin:/bin", NULL};
    for (int i = 0; i < COMMANDS; i++) {
        char id[40];
        snprintf(id, sizeof id, "t%d-%d", (int)(intptr_t)arg, i);
        struct command_spec spec = {.id = id, .argv = argv, .env = env, .timeout_ms = 20000};
        struct err err = ERR_INIT;
        if (!children_run(children, &spec, &err))
            continue;
        atomic_fetch_add(&begun, 1);
        if (i % 4 == 0)
            children_kill(children, id);
        (void)!children_find(children, id, &err); /* CONFLICT, or found ended: one more letter */
        (void)children_count(children);
        usleep(3000);
    }
    return NULL;
}

static int run_test(void)
{
    char dir[] = "/tmp/signoff-state-XXXXXX";
    if (mkdtemp(dir) == NULL)
        return 1;
    pthread_t threads[THREADS];
    box = mailbox_new(1000);
    children = children_start(dir, "/proc/self/exe", box, 1, NULL);
    for (int i = 0; i < THREADS; i++)
        thread_start(&threads[i], "caller", run_some, (void *)(intptr_t)i);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    while (children_count(children) > 0)
        usleep(10000);
    int results = 0;
    struct letter *all = mailbox_take(box);
    for (struct letter *l = all; l != NULL; l = l->next, results++)
        children_forget(children, ((const struct command_result *)l)->id);
    letter_free_list(all);
    children_free(children);
    mailbox_free(box);
    bool empty = rmdir(dir) == 0;
    printf("%d begun, %d results, nothing left: %d\n", atomic_load(&begun), results, empty);
    return results < atomic_load(&begun) || !empty || atomic_load(&begun) != THREADS * COMMANDS;
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], COMMAND_RUNNER_WORD) == 0)
        return command_runner_main(argc, argv);
    return run_test();
}
