/* The client against a tiny server that does by path what servers do wrong. */
#include "gateway/base/clock.h"
#include "gateway/http_client.h"
#include "gateway/thread.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <netinet/in.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

/* --- the server ---------------------------------------------------------------------------- */

static int listener, port;
static atomic_int arrivals, in_flight, most_in_flight;
static atomic_bool released;

/* Reads one request with its body; "" when the client went. */
static void read_request(int fd, char *out, size_t size)
{
    size_t len = 0;
    out[0] = '\0';
    for (;;) {
        ssize_t n = recv(fd, out + len, size - 1 - len, 0);
        if (n <= 0) {
            out[0] = '\0';
            return;
        }
        len += (size_t)n;
        out[len] = '\0';
        const char *end = strstr(out, "\r\n\r\n");
        const char *length = strcasestr(out, "\r\nContent-Length: ");
        size_t body = length != NULL ? strtoul(length + 18, NULL, 10) : 0;
        if (end != NULL && len >= (size_t)(end + 4 - out) + body)
            return;
    }
}

static void say(int fd, const char *text)
{
    (void)!send(fd, text, strlen(text), MSG_NOSIGNAL);
}

static void say_ok(int fd, const char *body)
{
    char text[11000];
    snprintf(text, sizeof text, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\nX-Two:  b \r\n\r\n%s",
             strlen(body), body);
    say(fd, text);
}

static void hold(int fd)
{
    int now = atomic_fetch_add(&in_flight, 1) + 1;
    int most = atomic_load(&most_in_flight);
    while (now > most && !atomic_compare_exchange_weak(&most_in_flight, &most, now))
        ;
    while (!atomic_load(&released))
        usleep(2000);
    atomic_fetch_sub(&in_flight, 1);
    say_ok(fd, "held");
}

static void say_much(int fd, const char *head, const char *piece, int times)
{
    say(fd, head);
    for (int i = 0; i < times; i++)
        say(fd, piece);
}

/* False: close the connection. */
static bool behave(int fd, const char *request, int nth)
{
    if (strstr(request, " /echo") != NULL) {
        say_ok(fd, request);
        return true;
    }
    if (strstr(request, " /429") != NULL)
        say(fd, "HTTP/1.1 429 Slow\r\nRetry-After: 7\r\nContent-Length: 2\r\n\r\nno");
    else if (strstr(request, " /cut-after") != NULL)
        say(fd, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf");
    else if (strstr(request, " /redirect") != NULL)
        say(fd, "HTTP/1.1 302 Found\r\nLocation: /echo\r\nContent-Length: 0\r\n\r\n");
    else if (strstr(request, " /declared") != NULL)
        say(fd, "HTTP/1.1 200 OK\r\nContent-Length: 1001\r\n\r\n");
    else if (strstr(request, " /chunked") != NULL)
        say_much(fd, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "a\r\n0123456789\r\n",
                 101);
    else if (strstr(request, " /headers") != NULL)
        say_much(fd, "HTTP/1.1 200 OK\r\n", "X-A: 0123456789012345678901234567890123456789\r\n",
                 3000);
    else if (strstr(request, " /hundred") != NULL)
        say(fd, "HTTP/1.1 103 Early\r\nX-Early: 1\r\n\r\nHTTP/1.1 204 No\r\nX-Late: 1\r\n\r\n");
    else if (strstr(request, " /hold") != NULL)
        hold(fd);
    else if (strstr(request, " /slow") != NULL)
        usleep(700000);
    else if (strstr(request, " /junk") != NULL)
        say(fd, "this is no HTTP\r\n\r\n");
    else if (strstr(request, " /once") != NULL && nth == 0) {
        say_ok(fd, "once");
        return true;
    }
    return false; /* "/cut-before", and the second "/once" on one connection */
}

static void *serve_one(void *arg)
{
    int fd = (int)(intptr_t)arg;
    char request[8000];
    for (int nth = 0;; nth++) {
        read_request(fd, request, sizeof request);
        if (request[0] == '\0')
            break;
        atomic_fetch_add(&arrivals, 1);
        if (!behave(fd, request, nth))
            break;
    }
    shutdown(fd, SHUT_WR);
    while (recv(fd, request, sizeof request, 0) > 0)
        ;
    close(fd);
    return NULL;
}

static void *serve(void *arg)
{
    (void)arg;
    for (int fd; (fd = accept(listener, NULL, NULL)) >= 0;) {
        pthread_t thread;
        thread_start(&thread, "one", serve_one, (void *)(intptr_t)fd);
        pthread_detach(thread);
    }
    return NULL;
}

static int open_listener(int *out_port)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof at;
    cr_assert(bind(fd, (struct sockaddr *)&at, sizeof at) == 0 && listen(fd, 100) == 0);
    cr_assert(getsockname(fd, (struct sockaddr *)&at, &len) == 0);
    *out_port = ntohs(at.sin_port);
    return fd;
}

/* --- the tests ----------------------------------------------------------------------------- */

enum { KIND = 5 };

static struct http_client *client;
static struct mailbox *box;
static pthread_t server_thread;

static void begin_with(struct http_client_config config)
{
    struct err err = ERR_INIT;
    listener = open_listener(&port);
    thread_start(&server_thread, "server", serve, NULL);
    box = mailbox_new(100);
    client = http_client_start(&config, &err);
    cr_assert_not_null(client);
}

static void begin(void)
{
    begin_with((struct http_client_config){0});
}

static void end(void)
{
    http_client_free(client);
    mailbox_free(box);
    shutdown(listener, SHUT_RDWR);
    pthread_join(server_thread, NULL);
    close(listener);
}

static struct http_job *job_for(const char *method, const char *path)
{
    char url[200];
    snprintf(url, sizeof url, "http://127.0.0.1:%d%s", port, path);
    struct http_job *job = http_job_new(method, url, box, KIND);
    job->ref = 77;
    job->timeout_ms = 5000;
    return job;
}

static struct http_job *next_back(int64_t within_ms)
{
    static struct letter *rest; /* several may have come at once */
    if (rest == NULL)
        rest = mailbox_wait(box, clock_monotonic_ms() + within_ms);
    struct letter *letter = rest;
    if (letter != NULL)
        rest = letter->next;
    return (struct http_job *)letter;
}

static struct http_job *call(struct http_job *job)
{
    cr_assert(http_client_send(client, job));
    struct http_job *back = next_back(8000);
    cr_assert_eq(back, job);
    cr_assert(back->letter.kind == KIND && back->ref == 77);
    return back;
}

static void done(struct http_job *job)
{
    letter_free(&job->letter);
}

Test(http_client, sends_what_it_is_given_and_brings_the_answer_back, .timeout = 30)
{
    begin();
    struct http_job *job = job_for("POST", "/echo?a=b");
    http_job_header(job, "X-Mine", "yes");
    http_job_header(job, "X-Empty", "");
    job->body = (struct span){"a\0b", 3};
    call(job);
    cr_assert_eq(job->outcome, HTTP_ANSWERED);
    cr_assert_eq(job->status, 200);
    cr_assert_str_eq(http_job_answer_header(job, "x-two"), "b");
    const char *got = job->answer.at;
    cr_expect(strstr(got, "POST /echo?a=b HTTP/1.1\r\n") == got, "%s", got);
    cr_expect_not_null(strstr(got, "\r\nX-Mine: yes\r\n"));
    cr_expect_not_null(strstr(got, "\r\nX-Empty:\r\n"));
    cr_expect_not_null(strstr(got, "\r\nUser-Agent: signoff/" SIGNOFF_VERSION "\r\n"));
    cr_expect_not_null(strstr(got, "\r\nContent-Length: 3\r\n"));
    cr_expect_null(strstr(got, "Content-Type"));
    cr_expect_null(strstr(got, "Expect"));
    cr_expect_null(job->error);
    done(job);
    end();
}

Test(http_client, says_what_became_of_a_call_by_this_table, .timeout = 60)
{
    static const struct {
        const char *method, *path;
        enum http_outcome outcome;
        int status;
        const char *error;
    } cases[] = {
        {"GET", "/echo", HTTP_ANSWERED, 200, NULL},
        {"DELETE", "/echo", HTTP_ANSWERED, 200, NULL},
        {"PUT", "/echo", HTTP_ANSWERED, 200, NULL},
        {"POST", "/429", HTTP_ANSWERED, 429, NULL},
        {"GET", "/redirect", HTTP_ANSWERED, 302, NULL},
        {"GET", "/hundred", HTTP_ANSWERED, 204, NULL},
        {"POST", "/cut-before", HTTP_UNKNOWN, 0, "Server returned nothing (no headers, no data)"},
        {"POST", "/cut-after", HTTP_UNKNOWN, 200, "Transferred a partial file"},
        {"POST", "/junk", HTTP_UNKNOWN, 0, "Unsupported protocol"},
        {"POST", "/slow", HTTP_UNKNOWN, 0, "no whole answer within"},
        {"POST", "/declared", HTTP_UNKNOWN, 200, "the answer is over the limit of 1000 bytes"},
        {"POST", "/chunked", HTTP_UNKNOWN, 200, "the answer is over the limit of 1000 bytes"},
        {"POST", "/headers", HTTP_UNKNOWN, 200, "the answer is over the limit of 1000 bytes"},
    };
    begin();
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct http_job *job = job_for(cases[i].method, cases[i].path);
        job->max_answer_bytes = 1000;
        job->timeout_ms = strcmp(cases[i].path, "/slow") == 0 ? 300 : 5000;
        call(job);
        cr_expect_eq(job->outcome, cases[i].outcome, "%s: %s, %s", cases[i].path,
                     http_outcome_name(job->outcome), job->error);
        cr_expect_eq(job->status, cases[i].status, "%s: %d", cases[i].path, job->status);
        cr_expect((cases[i].error == NULL) == (job->error == NULL), "%s", cases[i].path);
        if (cases[i].error != NULL && job->error != NULL)
            cr_expect_not_null(strstr(job->error, cases[i].error), "%s: %s", cases[i].path,
                               job->error);
        cr_expect_lt(job->took_ms, 3000, "%s", cases[i].path);
        done(job);
    }
    end();
}

Test(http_client, reads_retry_after_and_does_not_follow_a_redirect, .timeout = 30)
{
    begin();
    struct http_job *job = call(job_for("POST", "/429"));
    cr_expect_eq(job->retry_after_ms, 7000);
    cr_expect_str_eq(job->answer.at, "no");
    done(job);
    job = call(job_for("GET", "/redirect"));
    cr_expect_str_eq(http_job_answer_header(job, "location"), "/echo");
    cr_expect_eq(atomic_load(&arrivals), 2);
    cr_expect_eq(job->retry_after_ms, 0);
    done(job);
    job = call(job_for("GET", "/hundred"));
    cr_expect_null(http_job_answer_header(job, "x-early"));
    cr_expect_not_null(http_job_answer_header(job, "x-late"));
    done(job);
    end();
}

Test(http_client, takes_an_answer_of_exactly_the_limit, .timeout = 30)
{
    begin();
    struct http_job *job = job_for("GET", "/chunked");
    job->max_answer_bytes = 1010;
    call(job);
    /* The server does not send the last chunk: all of it came, but not its end. */
    cr_expect_eq(job->answer.len, 1010);
    done(job);
    job = job_for("GET", "/chunked");
    job->max_answer_bytes = 1009;
    call(job);
    cr_expect_not_null(strstr(job->error, "over the limit"));
    cr_expect_leq(job->answer.len, 1009);
    done(job);
    end();
}

Test(http_client, knows_when_certainly_nothing_was_sent, .timeout = 60)
{
    begin();
    int closed_port;
    int fd = open_listener(&closed_port);
    close(fd);
    char refused[100], tls[100];
    snprintf(refused, sizeof refused, "http://127.0.0.1:%d/", closed_port);
    snprintf(tls, sizeof tls, "https://127.0.0.1:%d/", port);
    const char *const urls[] = {
        refused,
        "http://nobody.invalid/",
        tls,
        "ftp://127.0.0.1/",
        "file:///etc/passwd",
        "http://",
        "http://a b/",
        "http://127.0.0.1:99999/",
        "",
        "http://127.0.0.1/\r\nX: y",
    };
    for (size_t i = 0; i < COUNT(urls); i++) {
        struct http_job *job = http_job_new("POST", urls[i], box, KIND);
        job->ref = 77;
        job->timeout_ms = 3000;
        call(job);
        cr_expect_eq(job->outcome, HTTP_NOT_SENT, "%s: %s", urls[i], job->error);
        cr_expect(job->error != NULL && job->status == 0);
        cr_expect_str_eq(job->answer.at, "");
        done(job);
    }
    struct http_job *job = job_for("POST", "/echo");
    http_job_header(job, "X-A", "b\r\nX-C: d");
    call(job);
    cr_expect_eq(job->outcome, HTTP_NOT_SENT);
    done(job);
    end();
}

Test(http_client, does_not_know_what_a_server_did_with_half_a_request, .timeout = 30)
{
    begin();
    struct http_job *job = job_for("POST", "/echo");
    static char much[4000000];
    job->body = (struct span){much, sizeof much};
    call(job); /* the server gives up after 8000 bytes */
    cr_expect_eq(job->outcome, HTTP_UNKNOWN, "%s", job->error);
    done(job);
    end();
}

Test(http_client, never_repeats_by_itself_what_is_not_repeatable, .timeout = 30)
{
    begin();
    done(call(
        job_for("GET", "/once"))); /* leaves a connection that the server closes at its next use */
    struct http_job *job = call(job_for("POST", "/once"));
    cr_expect_eq(job->outcome, HTTP_ANSWERED, "on a connection of its own");
    cr_expect_eq(atomic_load(&arrivals), 2);
    done(job);
    job = call(job_for("POST", "/cut-before"));
    cr_expect_eq(job->outcome, HTTP_UNKNOWN);
    cr_expect_eq(atomic_load(&arrivals), 3);
    done(job);
    end();
}

Test(http_client, a_repeatable_call_may_use_an_old_connection, .timeout = 30)
{
    begin();
    struct http_job *job = job_for("GET", "/once");
    job->repeatable = true;
    done(call(job));
    job = job_for("GET", "/once");
    job->repeatable = true;
    call(job);
    cr_expect_eq(job->outcome, HTTP_ANSWERED);
    cr_expect_eq(atomic_load(&arrivals), 3, "libcurl tried again by itself: %d",
                 atomic_load(&arrivals));
    done(job);
    end();
}

Test(http_client, a_slow_host_has_its_lane_and_stops_no_other, .timeout = 60)
{
    begin_with((struct http_client_config){.max_per_host = 3});
    for (int i = 0; i < 12; i++)
        cr_assert(http_client_send(client, job_for("GET", "/hold")));
    usleep(200000);
    char url[100];
    snprintf(url, sizeof url, "http://localhost:%d/echo", port);
    struct http_job *other = http_job_new("GET", url, box, 1);
    cr_assert(http_client_send(client, other));
    struct http_job *back = next_back(3000);
    cr_expect(back == other && back->outcome == HTTP_ANSWERED);
    done(other);
    cr_expect_eq(atomic_load(&in_flight), 3);
    atomic_store(&released, true);
    for (int i = 0; i < 12; i++) {
        back = next_back(5000);
        cr_assert_not_null(back);
        cr_expect_eq(back->outcome, HTTP_ANSWERED);
        done(back);
    }
    cr_expect_eq(atomic_load(&most_in_flight), 3);
    end();
}

Test(http_client, refuses_more_jobs_than_it_may_hold, .timeout = 60)
{
    begin_with((struct http_client_config){.max_per_host = 1, .max_jobs = 2});
    cr_assert(http_client_send(client, job_for("GET", "/hold")));
    cr_assert(http_client_send(client, job_for("GET", "/hold")));
    struct http_job *third = job_for("GET", "/hold");
    cr_expect(!http_client_send(client, third));
    atomic_store(&released, true);
    done(next_back(5000));
    done(next_back(5000));
    call(third);
    done(third);
    end();
}

Test(http_client, keeps_room_for_what_cannot_wait, .timeout = 60)
{
    begin_with((struct http_client_config){.max_per_host = 1, .max_jobs = 16});
    cr_expect(http_client_has_room(client, HTTP_PATIENT));
    struct http_job *job = NULL;
    for (int i = 0; i < 9; i++) {
        cr_expect_eq(http_client_has_room(client, HTTP_PATIENT), i < 4, "%d", i);
        job = job_for("GET", "/hold");
        job->haste = HTTP_PATIENT;
        cr_assert_eq(http_client_send(client, job), i < 8, "half of the places at most: %d", i);
    }
    done(job);
    for (int i = 8; i < 12; i++) {
        cr_expect(http_client_has_room(client, HTTP_NORMAL));
        cr_assert(http_client_send(client, job_for("GET", "/hold")));
    }
    cr_expect_not(http_client_has_room(client, HTTP_NORMAL), "a quarter is for the hasty");
    usleep(200000);
    cr_expect_eq(atomic_load(&in_flight), 4 + 1, "four patient ones and a normal one");
    struct http_job *hasty = job_for("GET", "/echo");
    hasty->haste = HTTP_HASTY;
    cr_assert(http_client_send(client, hasty));
    struct http_job *back = next_back(3000);
    cr_expect(back == hasty && back->outcome == HTTP_ANSWERED, "not behind the slow ones");
    done(back);
    atomic_store(&released, true);
    for (int i = 0; i < 12; i++)
        done(next_back(5000));
    cr_expect(http_client_has_room(client, HTTP_PATIENT));
    end();
}

Test(http_client, a_stop_returns_every_job_with_what_is_known, .timeout = 60)
{
    begin_with((struct http_client_config){.max_per_host = 1});
    cr_assert(http_client_send(client, job_for("POST", "/hold")));
    usleep(200000);
    cr_assert(http_client_send(client, job_for("POST", "/hold")));
    http_client_stop(client, 100);
    struct http_job *waiting = next_back(100), *flying = next_back(100);
    cr_assert(waiting != NULL && flying != NULL);
    cr_expect_eq(waiting->outcome, HTTP_NOT_SENT);
    cr_expect_eq(flying->outcome, HTTP_UNKNOWN);
    done(waiting);
    done(flying);
    struct http_job *late = job_for("GET", "/echo");
    cr_expect(!http_client_send(client, late));
    done(late);
    atomic_store(&released, true);
    end();
}

Test(http_client, uses_no_proxy_of_the_environment, .timeout = 30)
{
    setenv("http_proxy", "http://127.0.0.1:1", 1);
    setenv("all_proxy", "http://127.0.0.1:1", 1);
    begin();
    struct http_job *job = call(job_for("GET", "/echo"));
    cr_expect_eq(job->outcome, HTTP_ANSWERED, "%s", job->error);
    done(job);
    end();
}
