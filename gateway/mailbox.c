/* See mailbox.h. The receiver detaches the whole list under the lock and works on it unlocked. */
#include "gateway/mailbox.h"

#include <errno.h>
#include <pthread.h>
#include <time.h>

struct mailbox {
    pthread_mutex_t lock;
    pthread_cond_t arrived; /* on the monotonic clock */
    struct letter *first, **end;
    size_t count, max;
    bool closed;
    void (*hook)(void *arg);
    void *hook_arg;
};

struct mailbox *mailbox_new(size_t max)
{
    struct mailbox *box = calloc(1, sizeof *box);
    if (box == NULL)
        abort();
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&box->arrived, &attr);
    pthread_condattr_destroy(&attr);
    pthread_mutex_init(&box->lock, NULL);
    box->end = &box->first;
    box->max = max;
    return box;
}

void mailbox_free(struct mailbox *box)
{
    if (box == NULL)
        return;
    letter_free_list(box->first);
    pthread_cond_destroy(&box->arrived);
    pthread_mutex_destroy(&box->lock);
    free(box);
}

void mailbox_set_hook(struct mailbox *box, void (*hook)(void *arg), void *arg)
{
    pthread_mutex_lock(&box->lock);
    box->hook = hook;
    box->hook_arg = arg;
    pthread_mutex_unlock(&box->lock);
}

/* Under the lock. True if the receiver may not know yet that there is something. */
static bool append(struct mailbox *box, struct letter *letter)
{
    bool was_empty = box->count == 0;
    letter->next = NULL;
    *box->end = letter;
    box->end = &letter->next;
    box->count++;
    return was_empty;
}

static bool post(struct mailbox *box, struct letter *letter, bool always)
{
    pthread_mutex_lock(&box->lock);
    bool taken = always || (!box->closed && box->count < box->max);
    bool wake = taken && append(box, letter);
    void (*hook)(void *) = box->hook;
    void *arg = box->hook_arg;
    /* Signalled under the lock: once it is released, the receiver may free the box. */
    if (wake)
        pthread_cond_broadcast(&box->arrived);
    pthread_mutex_unlock(&box->lock);
    if (wake && hook != NULL)
        hook(arg);
    return taken;
}

bool mailbox_post(struct mailbox *box, struct letter *letter)
{
    return post(box, letter, false);
}

void mailbox_post_always(struct mailbox *box, struct letter *letter)
{
    (void)post(box, letter, true);
}

static struct letter *detach(struct mailbox *box)
{
    struct letter *all = box->first;
    box->first = NULL;
    box->end = &box->first;
    box->count = 0;
    return all;
}

static void wait_for_letters(struct mailbox *box, int64_t deadline_ms)
{
    struct timespec until = {
        .tv_sec = (time_t)(deadline_ms / 1000),
        .tv_nsec = (long)(deadline_ms % 1000) * 1000000,
    };
    int result = 0;
    while (box->count == 0 && !box->closed && result != ETIMEDOUT) {
        if (deadline_ms == INT64_MAX)
            pthread_cond_wait(&box->arrived, &box->lock);
        else
            result = pthread_cond_timedwait(&box->arrived, &box->lock, &until);
    }
}

struct letter *mailbox_wait(struct mailbox *box, int64_t deadline_monotonic_ms)
{
    pthread_mutex_lock(&box->lock);
    wait_for_letters(box, deadline_monotonic_ms < 0 ? 0 : deadline_monotonic_ms);
    struct letter *all = detach(box);
    pthread_mutex_unlock(&box->lock);
    return all;
}

struct letter *mailbox_take(struct mailbox *box)
{
    pthread_mutex_lock(&box->lock);
    struct letter *all = detach(box);
    pthread_mutex_unlock(&box->lock);
    return all;
}

void mailbox_close(struct mailbox *box)
{
    pthread_mutex_lock(&box->lock);
    box->closed = true;
    void (*hook)(void *) = box->hook;
    void *arg = box->hook_arg;
    pthread_cond_broadcast(&box->arrived);
    pthread_mutex_unlock(&box->lock);
    if (hook != NULL)
        hook(arg);
}

bool mailbox_is_closed(struct mailbox *box)
{
    pthread_mutex_lock(&box->lock);
    bool closed = box->closed;
    pthread_mutex_unlock(&box->lock);
    return closed;
}

size_t mailbox_count(struct mailbox *box)
{
    pthread_mutex_lock(&box->lock);
    size_t count = box->count;
    pthread_mutex_unlock(&box->lock);
    return count;
}

void letter_free(struct letter *letter)
{
    if (letter == NULL)
        return;
    if (letter->free_fn != NULL)
        letter->free_fn(letter);
    else
        free(letter);
}

void letter_free_list(struct letter *letters)
{
    while (letters != NULL) {
        struct letter *next = letters->next;
        letter_free(letters);
        letters = next;
    }
}
