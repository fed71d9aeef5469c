/* See thread.h. */
#include "gateway/thread.h"

#include <signal.h>
#include <stdlib.h>

void thread_start(pthread_t *out, const char *name, void *(*run)(void *arg), void *arg)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    if (pthread_create(out, NULL, run, arg) != 0)
        abort();
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_setname_np(*out, name);
}
