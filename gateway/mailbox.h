/* Letters between threads: the only thing that threads share, beside immutable configuration.
 *
 * Every letter type embeds `struct letter` as its first member. Who posts gives it away: a posted
 * letter is gone. Who waits gets all letters that came, as one list in the order of posting, and
 * frees each with letter_free() when it is done. */
#pragma once

#include "gateway/base/defs.h"

struct letter {
    struct letter *next;              /* the list that mailbox_wait() gave out */
    int kind;                         /* the receiver's own enum */
    void (*free_fn)(struct letter *); /* frees the whole thing; NULL means free() */
};

struct mailbox;

/* At most `max` letters wait in it (letters posted "always" count, but are not refused). */
struct mailbox *mailbox_new(size_t max);
/* Frees the letters in it as well. NULL is fine. No thread may use the box any more. */
void mailbox_free(struct mailbox *box);

/* hook(arg) runs on the posting thread, outside the lock, after a letter came into an empty box
 * and after mailbox_close(): it wakes receivers that wait elsewhere than in mailbox_wait() (say
 * lws_cancel_service or curl_multi_wakeup). Set it before the first post. */
void mailbox_set_hook(struct mailbox *box, void (*hook)(void *arg), void *arg);

/* Takes the letter and returns true; or returns false, and the letter is still the caller's,
 * because the box is full or closed. Any thread. */
bool mailbox_post(struct mailbox *box, struct letter *letter) NODISCARD;
/* Takes, always: for answers to something the receiver asked for, which must never be refused.
 * In a closed box it is still received by mailbox_take(), or freed with the box. Any thread. */
void mailbox_post_always(struct mailbox *box, struct letter *letter);

/* Waits until a letter is there, the box is closed or clock_monotonic_ms() has reached the
 * deadline (INT64_MAX: no deadline). Gives the whole list, oldest first, or NULL. */
struct letter *mailbox_wait(struct mailbox *box, int64_t deadline_monotonic_ms);
/* The same without waiting. */
struct letter *mailbox_take(struct mailbox *box);

/* From now on mailbox_post() refuses and mailbox_wait() does not wait. Any thread; idempotent. */
void mailbox_close(struct mailbox *box);
bool mailbox_is_closed(struct mailbox *box); /* any thread */
size_t mailbox_count(struct mailbox *box);   /* letters waiting now. Any thread. */

void letter_free(struct letter *letter);       /* one; NULL is fine */
void letter_free_list(struct letter *letters); /* and all that follow */
