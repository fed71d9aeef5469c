#include "gateway/base/clock.h"
#include "gateway/mailbox.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <unistd.h>

static struct letter *letter_new(int kind)
{
    struct letter *letter = calloc(1, sizeof *letter);
    letter->kind = kind;
    return letter;
}

static int freed;
static void count_free(struct letter *letter)
{
    freed++;
    free(letter);
}

static void count_call(void *arg)
{
    (*(int *)arg)++;
}

Test(mailbox, gives_all_letters_in_the_order_of_posting)
{
    struct mailbox *box = mailbox_new(10);
    for (int i = 0; i < 5; i++)
        cr_assert(mailbox_post(box, letter_new(i)));
    cr_assert_eq(mailbox_count(box), 5);
    struct letter *all = mailbox_wait(box, 0);
    int n = 0;
    for (struct letter *l = all; l != NULL; l = l->next)
        cr_assert_eq(l->kind, n++);
    cr_assert_eq(n, 5);
    cr_assert_eq(mailbox_count(box), 0);
    cr_assert_null(mailbox_take(box));
    letter_free_list(all);
    mailbox_free(box);
}

Test(mailbox, refuses_and_does_not_take_when_full)
{
    struct mailbox *box = mailbox_new(1);
    cr_assert(mailbox_post(box, letter_new(1)));
    struct letter *second = letter_new(2);
    cr_assert(!mailbox_post(box, second));
    mailbox_post_always(box, second);
    cr_assert_eq(mailbox_count(box), 2);
    letter_free_list(mailbox_take(box));
    cr_assert(mailbox_post(box, letter_new(3)), "there is room again");
    mailbox_free(box);
}

Test(mailbox, refuses_when_closed_but_gives_what_is_there)
{
    struct mailbox *box = mailbox_new(10);
    cr_assert(mailbox_post(box, letter_new(1)));
    mailbox_close(box);
    mailbox_close(box);
    cr_assert(mailbox_is_closed(box));
    struct letter *late = letter_new(2);
    cr_assert(!mailbox_post(box, late));
    mailbox_post_always(box, late);
    struct letter *all = mailbox_wait(box, INT64_MAX);
    cr_assert(all != NULL && all->next == late);
    letter_free_list(all);
    cr_assert_null(mailbox_wait(box, INT64_MAX), "does not wait any more");
    mailbox_free(box);
}

Test(mailbox, waits_until_the_deadline)
{
    struct mailbox *box = mailbox_new(10);
    int64_t begun = clock_monotonic_ms();
    cr_assert_null(mailbox_wait(box, begun + 60));
    int64_t took = clock_monotonic_ms() - begun;
    cr_assert(took >= 59 && took < 2000, "%d", (int)took);
    cr_assert_null(mailbox_wait(box, -5));
    mailbox_free(box);
}

static void *post_soon(void *box)
{
    usleep(30000);
    mailbox_post_always(box, letter_new(9));
    return NULL;
}

Test(mailbox, a_post_ends_the_waiting, .timeout = 10)
{
    struct mailbox *box = mailbox_new(10);
    pthread_t thread;
    pthread_create(&thread, NULL, post_soon, box);
    struct letter *got = mailbox_wait(box, INT64_MAX);
    cr_assert(got != NULL && got->kind == 9);
    letter_free(got);
    pthread_join(thread, NULL);
    mailbox_free(box);
}

Test(mailbox, calls_the_hook_once_for_what_comes_before_it_is_emptied)
{
    struct mailbox *box = mailbox_new(2);
    int calls = 0;
    mailbox_set_hook(box, count_call, &calls);
    cr_assert(mailbox_post(box, letter_new(1)));
    cr_assert(mailbox_post(box, letter_new(1)));
    struct letter *refused = letter_new(1);
    cr_assert(!mailbox_post(box, refused));
    cr_assert_eq(calls, 1);
    letter_free_list(mailbox_take(box));
    mailbox_post_always(box, refused);
    cr_assert_eq(calls, 2);
    mailbox_close(box);
    cr_assert_eq(calls, 3);
    mailbox_free(box);
}

Test(mailbox, frees_what_is_left_in_the_way_each_letter_wants)
{
    struct mailbox *box = mailbox_new(10);
    for (int i = 0; i < 3; i++) {
        struct letter *letter = letter_new(i);
        letter->free_fn = count_free;
        cr_assert(mailbox_post(box, letter));
    }
    mailbox_free(box);
    cr_assert_eq(freed, 3);
    mailbox_free(NULL);
    letter_free(NULL);
}
