/* Threads of the edges: named, and deaf to signals (those are the main thread's). */
#pragma once

#include <pthread.h>

/* Aborts if there can be no thread: only at start, where nothing is lost. `name`: ≤ 15 bytes. */
void thread_start(pthread_t *out, const char *name, void *(*run)(void *arg), void *arg);
