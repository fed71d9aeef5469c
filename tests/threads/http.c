/* The HTTP server and the HTTP client against each other: several threads send jobs, an application
 * thread answers, streams come and go, and both stop while there is work. */
#include "gateway/base/clock.h"
#include "gateway/http_client.h"
#include "gateway/http_server.h"
#include "gateway/thread.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { SENDERS = 3, JOBS = 700, PIECES = 5 };

static struct http_server *server;
static struct http_client *client;
static struct mailbox *inbox;
static atomic_int wrong, closed_streams, streams;

static struct http_door door(void *ctx, const char *method, const char *path)
{
    (void)ctx, (void)method, (void)path;
    return (struct http_door){100000, inbox, 1};
}

static void stream_to(uint64_t conn)
{
    struct http_answer *answer = http_answer_new(conn, 200);
    answer->stream = true;
    answer->closed_to = inbox;
    answer->closed_kind = 2;
    http_server_answer(server, answer);
    atomic_fetch_add(&streams, 1);
    for (int i = 0; i < PIECES; i++)
        http_server_stream_send(server, conn, "piece ");
    http_server_stream_end(server, conn);
}

static void answer_one(const struct http_request *r)
{
    if (strcmp(r->path, "/stream") == 0) {
        stream_to(r->conn);
        return;
    }
    struct http_answer *answer = http_answer_new(r->conn, 200);
    answer->body =
        (struct span){arena_strndup(&answer->arena, r->body.at, r->body.len), r->body.len};
    http_server_answer(server, answer);
}

static void *run_application(void *arg)
{
    (void)arg;
    for (;;) {
        struct letter *all = mailbox_wait(inbox, INT64_MAX);
        if (all == NULL)
            return NULL;
        for (struct letter *l = all; l != NULL; l = l->next) {
            if (l->kind == 1)
                answer_one((const struct http_request *)l);
            else
                atomic_fetch_add(&closed_streams, 1);
        }
        letter_free_list(all);
    }
}

static struct http_job *job_new(struct mailbox *to, int i)
{
    char url[100];
    snprintf(url, sizeof url, "http://127.0.0.1:%d/%s", http_server_port(server),
             i % 10 == 9 ? "stream" : "echo");
    struct http_job *job = http_job_new("POST", url, to, 0);
    job->ref = (uint64_t)i;
    job->repeatable = i % 3 != 0;
    job->timeout_ms = 60000;
    size_t len = (size_t)(i * 37 % 9000);
    char *body = arena_alloc(&job->arena, len + 1);
    memset(body, 'a' + i % 26, len);
    job->body = (struct span){body, len};
    return job;
}

static bool is_right(const struct http_job *job)
{
    if (job->outcome != HTTP_ANSWERED || job->status != 200)
        return false;
    if (job->ref % 10 == 9)
        return job->answer.len == PIECES * strlen("piece ");
    return job->answer.len == job->body.len &&
           memcmp(job->answer.at, job->body.at, job->body.len) == 0;
}

static void look_at(struct letter *letters)
{
    for (struct letter *l = letters; l != NULL; l = l->next) {
        const struct http_job *job = (const struct http_job *)l;
        if (is_right(job))
            continue;
        atomic_fetch_add(&wrong, 1);
        fprintf(stderr, "job %d: %s %d %s\n", (int)job->ref, http_outcome_name(job->outcome),
                job->status, job->error != NULL ? job->error : "");
    }
}

static void *send_all(void *arg)
{
    (void)arg;
    struct mailbox *box = mailbox_new(10);
    int back = 0;
    for (int i = 0; i < JOBS; i++) {
        struct http_job *job = job_new(box, i);
        while (!http_client_send(client, job))
            usleep(1000);
    }
    while (back < JOBS) {
        struct letter *letters = mailbox_wait(box, INT64_MAX);
        look_at(letters);
        for (struct letter *l = letters; l != NULL; l = l->next)
            back++;
        letter_free_list(letters);
    }
    mailbox_free(box);
    return NULL;
}

/* Both stop while jobs are under way: every job comes back all the same. */
static bool stop_under_load(void)
{
    struct mailbox *box = mailbox_new(10);
    int sent = 0, back = 0;
    for (int i = 0; i < 100; i++, sent++) {
        struct http_job *job = job_new(box, i);
        if (!http_client_send(client, job)) {
            letter_free(&job->letter);
            break;
        }
    }
    http_server_stop(server, 20);
    http_client_stop(client, 20);
    for (struct letter *l; (l = mailbox_take(box)) != NULL; letter_free_list(l))
        for (struct letter *each = l; each != NULL; each = each->next)
            back++;
    mailbox_free(box);
    return back == sent;
}

int main(void)
{
    pthread_t application, senders[SENDERS];
    struct err err = ERR_INIT;
    inbox = mailbox_new(10000);
    server = http_server_start(&(struct http_server_config){.listen = "127.0.0.1:0", .door = door},
                               &err);
    client =
        http_client_start(&(struct http_client_config){.max_per_host = 16, .max_jobs = 200}, &err);
    if (server == NULL || client == NULL) {
        fprintf(stderr, "%s\n", err.text);
        return 1;
    }
    thread_start(&application, "application", run_application, NULL);
    for (int i = 0; i < SENDERS; i++)
        thread_start(&senders[i], "sender", send_all, NULL);
    for (int i = 0; i < SENDERS; i++)
        pthread_join(senders[i], NULL);
    bool all_back = stop_under_load();
    mailbox_close(inbox);
    pthread_join(application, NULL);
    http_client_free(client);
    http_server_free(server);
    int left = atomic_load(&streams) - atomic_load(&closed_streams);
    mailbox_free(inbox);
    printf("%d wrong, all back: %d, streams not closed: %d\n", atomic_load(&wrong), all_back, left);
    return atomic_load(&wrong) != 0 || !all_back || left > 10;
}
