/* Several posters, one receiver that is sometimes slow, small boxes: every letter that was taken
 * arrives once and in its poster's order; every one that was refused stays with its poster. */
#include "gateway/mailbox.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

enum { POSTERS = 4, LETTERS = 20000, ROOM = 64 };

struct numbered {
    struct letter letter; /* kind: the poster */
    int number;
};

static struct mailbox *box;
static atomic_int hooks;

static void on_post(void *arg)
{
    (void)arg;
    atomic_fetch_add(&hooks, 1);
}

static void *post_all(void *arg)
{
    int poster = (int)(intptr_t)arg;
    for (int i = 0; i < LETTERS; i++) {
        struct numbered *n = calloc(1, sizeof *n);
        if (n == NULL)
            abort();
        n->letter.kind = poster;
        n->number = i;
        if (i % 16 == 0)
            mailbox_post_always(box, &n->letter);
        else
            while (!mailbox_post(box, &n->letter))
                sched_yield();
    }
    return NULL;
}

static int receive_all(void)
{
    int expected[POSTERS] = {0}, left = POSTERS * LETTERS;
    while (left > 0) {
        struct letter *all = mailbox_wait(box, INT64_MAX);
        for (struct letter *l = all; l != NULL; l = l->next, left--) {
            const struct numbered *n = (const struct numbered *)l;
            if (n->number != expected[l->kind]++) {
                fprintf(stderr, "poster %d: letter %d out of order\n", l->kind, n->number);
                return 1;
            }
        }
        letter_free_list(all);
    }
    return 0;
}

int main(void)
{
    pthread_t posters[POSTERS];
    box = mailbox_new(ROOM);
    mailbox_set_hook(box, on_post, NULL);
    for (int i = 0; i < POSTERS; i++)
        pthread_create(&posters[i], NULL, post_all, (void *)(intptr_t)i);
    int result = receive_all();
    for (int i = 0; i < POSTERS; i++)
        pthread_join(posters[i], NULL);
    result |= mailbox_count(box) != 0 || atomic_load(&hooks) == 0;
    mailbox_close(box);
    mailbox_free(box);
    puts(result == 0 ? "ok" : "failed");
    return result;
}
