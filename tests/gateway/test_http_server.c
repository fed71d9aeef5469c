/* The server with a small application behind it, and clients that send any bytes. */
#include "gateway/base/clock.h"
#include "gateway/http_server.h"
#include "gateway/thread.h"
#include "wire.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <netinet/in.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define HOST "Host: t\r\n"

enum { KIND_REQUEST = 1, KIND_CLOSED = 2, QUIET_MS = 250, MAX_BODY = 1000, BIG_BODY = 300000 };

static struct http_server *server;
static struct mailbox *inbox, *no_room;
static pthread_t application;
static bool over_tls;
static atomic_uint_fast64_t stream, held_back; /* numbers */
static atomic_int closed_streams, answered;

static struct http_door door(void *ctx, const char *method, const char *path)
{
    (void)ctx, (void)method;
    if (strcmp(path, "/none") == 0)
        return (struct http_door){0};
    if (strcmp(path, "/busy") == 0)
        return (struct http_door){MAX_BODY, no_room, KIND_REQUEST};
    size_t max_body = strcmp(path, "/big") == 0 ? BIG_BODY : MAX_BODY;
    return (struct http_door){max_body, inbox, KIND_REQUEST};
}

static struct http_answer *echo(const struct http_request *r)
{
    char text[2000];
    snprintf(text, sizeof text, "%s %s?%s %.*s", r->method, r->path, r->query,
             r->body.len > 500 ? 0 : (int)r->body.len, r->body.at);
    return http_answer_text(r->conn, 200, NULL, text);
}

static void answer_request(const struct http_request *r)
{
    struct http_answer *answer = echo(r);
    if (strcmp(r->path, "/never") == 0) {
        atomic_store(&held_back, r->conn);
        letter_free(&answer->letter);
        return;
    }
    if (strcmp(r->path, "/slow") == 0)
        usleep(100000);
    if (strcmp(r->path, "/split") == 0)
        http_answer_header(answer, "X-Name", "a\r\nSet-Cookie: b=c");
    if (strcmp(r->path, "/peer") == 0)
        answer->body = (struct span){arena_strdup(&answer->arena, r->peer), strlen(r->peer)};
    if (strcmp(r->path, "/close") == 0)
        answer->close = true;
    if (strcmp(r->path, "/huge") == 0)
        answer->body = (struct span){arena_alloc(&answer->arena, 900000), 900000};
    if (strcmp(r->path, "/nothing") == 0)
        answer->status = 204;
    if (strcmp(r->path, "/stream") == 0) {
        answer->stream = true;
        answer->closed_to = inbox;
        answer->closed_kind = KIND_CLOSED;
        answer->body = (struct span){"data: 1\n\n", 9};
        atomic_store(&stream, r->conn);
    }
    if (strcmp(r->path, "/twice") == 0)
        http_server_answer(server, echo(r));
    http_server_answer(server, answer);
    atomic_fetch_add(&answered, 1);
}

static void *run_application(void *arg)
{
    (void)arg;
    for (;;) {
        struct letter *all = mailbox_wait(inbox, INT64_MAX);
        if (all == NULL)
            return NULL;
        for (struct letter *l = all; l != NULL; l = l->next) {
            if (l->kind == KIND_REQUEST)
                answer_request((const struct http_request *)l);
            else
                atomic_fetch_add(&closed_streams, 1);
        }
        letter_free_list(all);
    }
}

static struct http_server_config config(void)
{
    return (struct http_server_config){.listen = "127.0.0.1:0",
                                       .door = door,
                                       .idle_ms = 3000,
                                       .head_ms = 400,
                                       .body_ms = 400,
                                       .answer_ms = 1000};
}

static void begin_with(struct http_server_config c)
{
    struct err err = ERR_INIT;
    inbox = mailbox_new(1000);
    no_room = mailbox_new(0);
    server = http_server_start(&c, &err);
    cr_assert_not_null(server, "%s", err.text);
    thread_start(&application, "application", run_application, NULL);
}

static void begin(void)
{
    begin_with(config());
}

static void end(void)
{
    http_server_stop(server, 500);
    mailbox_close(inbox);
    pthread_join(application, NULL);
    http_server_free(server);
    mailbox_free(inbox);
    mailbox_free(no_room);
}

static struct wire *open_wire(void)
{
    return wire_open(http_server_port(server), over_tls);
}

/* What comes back for these bytes, in pieces with a pause between them. */
static void expect(const char *name, const char *const *pieces, const char *expected)
{
    struct wire *w = open_wire();
    for (size_t i = 0; i < 4 && pieces[i] != NULL; i++) {
        if (i > 0)
            usleep(60000);
        wire_text(w, pieces[i]);
    }
    char got[4000];
    wire_summary(w, QUIET_MS, got, sizeof got);
    cr_expect_str_eq(got, expected, "%s%s: got \"%s\" instead of \"%s\"", name,
                     over_tls ? " (TLS)" : "", got, expected);
    wire_close(w);
}

struct wire_case {
    const char *name;
    const char *pieces[4];
    const char *expected;
};

static const struct wire_case cases[] = {
    {"get", {"GET /a?b=c HTTP/1.1\r\n" HOST "\r\n"}, "200 GET /a?b=c |open"},
    {"post",
     {"POST /a HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\nhello"},
     "200 POST /a? hello|open"},
    {"two posts in one segment",
     {"POST /1 HTTP/1.1\r\n" HOST "Content-Length: 3\r\n\r\noneP"
      "OST /2 HTTP/1.1\r\n" HOST "Content-Length: 3\r\n\r\ntwo"},
     "200 POST /1? one|200 POST /2? two|open"},
    {"four gets in one segment, slow answers in order",
     {"GET /slow HTTP/1.1\r\n" HOST "\r\nGET /2 HTTP/1.1\r\n" HOST "\r\n"
      "GET /slow HTTP/1.1\r\n" HOST "\r\nGET /4 HTTP/1.1\r\n" HOST "\r\n"},
     "200 GET /slow? |200 GET /2? |200 GET /slow? |200 GET /4? |open"},
    {"a second post while the first is answered",
     {"POST /slow HTTP/1.1\r\n" HOST "Content-Length: 1\r\n\r\n1",
      "POST /2 HTTP/1.1\r\n" HOST "Content-Length: 1\r\n\r\n2"},
     "200 POST /slow? 1|200 POST /2? 2|open"},
    {"keep-alive reuse",
     {"GET /1 HTTP/1.1\r\n" HOST "\r\n", "GET /2 HTTP/1.1\r\n" HOST "\r\n",
      "GET /3 HTTP/1.1\r\n" HOST "\r\n"},
     "200 GET /1? |200 GET /2? |200 GET /3? |open"},
    {"post in four pieces",
     {"POST /a HT", "TP/1.1\r\n" HOST "Content-Le", "ngth: 5\r\n\r\nhe", "llo"},
     "200 POST /a? hello|open"},
    {"chunked with extension and trailer",
     {"POST /a HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n",
      "2\r\nde\r\n0\r\nX-Sum: 1\r\n\r\nGET /b HTTP/1.1\r\n" HOST "\r\n"},
     "200 POST /a? abcde|200 GET /b? |open"},
    {"empty post", {"POST /a HTTP/1.1\r\n" HOST "Content-Length: 0\r\n\r\n"}, "200 POST /a? |open"},
    {"post without length", {"POST /a HTTP/1.1\r\n" HOST "\r\n"}, "200 POST /a? |open"},
    {"204 has no body",
     {"GET /nothing HTTP/1.1\r\n" HOST "\r\nGET /b HTTP/1.1\r\n" HOST "\r\n"},
     "204 |200 GET /b? |open"},
    {"connection: close",
     {"GET /a HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n"},
     "200 GET /a? |closed"},
    {"HTTP/1.0", {"GET /a HTTP/1.0\r\n\r\n"}, "200 GET /a? |closed"},
    {"HTTP/1.0 keep-alive",
     {"GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"},
     "200 GET /a? |open"},
    {"the application closes",
     {"GET /close HTTP/1.1\r\n" HOST "\r\nGET /b HTTP/1.1\r\n" HOST "\r\n"},
     "200 GET /close? |closed"},
    {"expect, body after",
     {"PUT /a HTTP/1.1\r\n" HOST "Expect: 100-continue\r\nContent-Length: 2\r\n\r\n", "ab"},
     "100 |200 PUT /a? ab|open"},
    {"expect, body with it",
     {"PUT /a HTTP/1.1\r\n" HOST "Expect: 100-continue\r\nContent-Length: 2\r\n\r\nab"},
     "200 PUT /a? ab|open"},
    {"expect, refused",
     {"PUT /a HTTP/1.1\r\n" HOST "Expect: 100-continue\r\nContent-Length: 1001\r\n\r\n"},
     "413 the body is over the limit of 1000 bytes|closed"},
    {"an upgrade is not followed",
     {"GET /a HTTP/1.1\r\n" HOST "Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n"},
     "200 GET /a? |open"},
    {"no such door", {"GET /none HTTP/1.1\r\n" HOST "\r\n"}, "404 there is nothing here|closed"},
    {"mailbox full, then another",
     {"POST /busy HTTP/1.1\r\n" HOST "Content-Length: 1\r\n\r\na",
      "GET /a HTTP/1.1\r\n" HOST "\r\n"},
     "503 too busy: try again|200 GET /a? |open"},
    {"mailbox full, pipelined",
     {"GET /busy HTTP/1.1\r\n" HOST "\r\nGET /busy HTTP/1.1\r\n" HOST "\r\nGET /a HTTP/1.1\r\n" HOST
      "\r\n"},
     "503 too busy: try again|503 too busy: try again|200 GET /a? |open"},
    {"a header that would split the answer",
     {"GET /split HTTP/1.1\r\n" HOST "\r\n"},
     "500 internal error|closed"},
    {"a second answer is dropped",
     {"GET /twice HTTP/1.1\r\n" HOST "\r\nGET /slow HTTP/1.1\r\n" HOST "\r\n"},
     "200 GET /twice? |200 GET /slow? |open"},
    {"junk", {"hello there\r\n\r\n"}, "400 this is no valid request: invalid HTTP method|closed"},
    {"unknown method",
     {"BREW /a HTTP/1.1\r\n" HOST "\r\n"},
     "501 this method is not supported|closed"},
    {"length and chunked",
     {"POST /a HTTP/1.1\r\n" HOST
      "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"},
     "400 this is no valid request: unexpected content-length header|closed"},
    {"two lengths",
     {"POST /a HTTP/1.1\r\n" HOST "Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd"},
     "400 this is no valid request: unexpected content-length header|closed"},
    {"+5",
     {"POST /a HTTP/1.1\r\n" HOST "Content-Length: +5\r\n\r\nhello"},
     "400 this is no valid request: invalid character in content-length header|closed"},
    {"xchunked",
     {"POST /a HTTP/1.1\r\n" HOST "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n"},
     "501 the only transfer-encoding supported is chunked|closed"},
    {"a good request, then a smuggled one",
     {"POST /a HTTP/1.1\r\n" HOST "Content-Length: 1\r\n\r\naGET /b HTTP/1.1\r\n" HOST
      "X : y\r\n\r\n"},
     "200 POST /a? a|400 there is a character in a header's name that may not be|closed"},
};

static void run_cases(void)
{
    for (size_t i = 0; i < COUNT(cases); i++) {
        const struct wire_case *c = &cases[i];
        expect(c->name, c->pieces, c->expected);
    }
}

Test(http_server, answers_by_this_table, .timeout = 120)
{
    begin();
    run_cases();
    end();
}

Test(http_server, answers_by_the_same_table_over_tls, .timeout = 120)
{
    char dir[] = "/tmp/signoff-test-XXXXXX", cert[64], key[64];
    cr_assert_not_null(mkdtemp(dir));
    snprintf(cert, sizeof cert, "%s/cert.pem", dir);
    snprintf(key, sizeof key, "%s/key.pem", dir);
    wire_make_certificate(cert, key);
    struct http_server_config c = config();
    c.tls_cert_file = cert;
    c.tls_key_file = key;
    c.head_ms = 3000; /* the handshake is part of it */
    begin_with(c);
    over_tls = true;
    run_cases();
    /* Plain HTTP on it is closed, and the server lives on. */
    struct wire *w = wire_open(http_server_port(server), false);
    char got[100];
    wire_text(w, "GET / HTTP/1.1\r\n" HOST "\r\n");
    wire_summary(w, QUIET_MS, got, sizeof got);
    cr_expect_str_eq(got, "closed");
    wire_close(w);
    expect("after plain", (const char *const[4]){"GET / HTTP/1.1\r\n" HOST "\r\n"},
           "200 GET /? |open");
    end();
    unlink(cert);
    unlink(key);
    rmdir(dir);
}

Test(http_server, closes_on_a_tls_hello_at_the_plain_port)
{
    begin();
    expect("hello", (const char *const[4]){"\x16\x03\x01\x02\x05\x01"},
           "400 there is a control character in the headers|closed");
    end();
}

Test(http_server, writes_the_headers_that_are_its_own)
{
    begin();
    struct wire *w = open_wire();
    char got[1000];
    wire_text(w, "GET /busy HTTP/1.1\r\n" HOST "\r\n");
    wire_summary(w, QUIET_MS, got, sizeof got);
    const char *raw = wire_raw(w);
    cr_expect(strstr(raw, "HTTP/1.1 503 Service Unavailable\r\nDate: ") == raw, "%s", raw);
    cr_expect_not_null(strstr(raw, " GMT\r\nContent-Type: text/plain; charset=utf-8\r\n"));
    cr_expect_not_null(strstr(raw, "\r\nContent-Length: 20\r\n"));
    cr_expect_not_null(strstr(raw, "\r\nConnection: keep-alive\r\n"));
    cr_expect_not_null(strstr(raw, "\r\nX-Content-Type-Options: nosniff\r\n"));
    cr_expect_not_null(strstr(raw, "\r\nRetry-After: 1\r\n"));
    wire_close(w);
    end();
}

Test(http_server, sends_no_body_to_head_but_says_its_length)
{
    begin();
    struct wire *w = open_wire();
    char got[3000];
    wire_text(w, "HEAD /abc HTTP/1.1\r\n" HOST "\r\n");
    int n = wire_read(w, got, sizeof got, 1000);
    cr_assert_gt(n, 0);
    cr_expect_not_null(strstr(got, "\r\nContent-Length: 11\r\n"));
    cr_expect_str_eq(got + n - 4, "\r\n\r\n");
    wire_text(w, "GET /b HTTP/1.1\r\n" HOST "\r\n");
    wire_summary(w, QUIET_MS, got, sizeof got);
    cr_expect_str_eq(got, "200 GET /b? |open");
    wire_close(w);
    end();
}

/* The status line that comes when a request is sent byte by byte, for ever. */
static int drip(const char *begin_with_text, char drop, int64_t *took_ms)
{
    struct wire *w = open_wire();
    char got[500] = "";
    int64_t begun = clock_monotonic_ms();
    wire_text(w, begin_with_text);
    int n = -1;
    while (n == -1 && clock_monotonic_ms() - begun < 5000) {
        wire_send(w, &drop, 1);
        n = wire_read(w, got, sizeof got, 50);
    }
    *took_ms = clock_monotonic_ms() - begun;
    wire_close(w);
    int status = 0;
    sscanf(got, "HTTP/1.1 %d", &status);
    return status;
}

Test(http_server, a_request_that_drips_ends_at_its_deadline, .timeout = 30)
{
    begin();
    int64_t took;
    cr_expect_eq(drip("GET /", 'a', &took), 408);
    cr_expect(took >= 390 && took < 2000, "%d ms", (int)took);
    cr_expect_eq(drip("POST / HTTP/1.1\r\n" HOST "Content-Length: 900\r\n\r\n", 'a', &took), 408);
    cr_expect(took >= 390 && took < 2000, "%d ms", (int)took);
    cr_expect_eq(http_server_counts(server).timed_out, 2);
    end();
}

Test(http_server, closes_who_says_nothing, .timeout = 30)
{
    struct http_server_config c = config();
    c.idle_ms = 600;
    begin_with(c);
    struct wire *silent = open_wire(), *idle = open_wire();
    char got[500];
    wire_text(idle, "GET /a HTTP/1.1\r\n" HOST "\r\n");
    wire_summary(silent, 2000, got, sizeof got);
    cr_expect_str_eq(got, "closed");
    wire_summary(idle, 2000, got, sizeof got);
    cr_expect_str_eq(got, "200 GET /a? |closed");
    wire_close(silent);
    wire_close(idle);
    end();
}

Test(http_server, a_missing_answer_becomes_503_and_a_late_one_is_dropped, .timeout = 30)
{
    begin();
    struct wire *w = open_wire();
    char got[500];
    wire_text(w, "GET /never HTTP/1.1\r\n" HOST "\r\n");
    wire_summary(w, 3000, got, sizeof got);
    cr_expect_str_eq(got, "503 the answer took too long|closed");
    http_server_answer(server, http_answer_text(atomic_load(&held_back), 200, NULL, "late"));
    http_server_answer(server, http_answer_text(12345, 200, NULL, "to nobody"));
    http_server_answer(server, http_answer_text(UINT64_MAX, 200, NULL, "to nobody"));
    wire_close(w);
    expect("next", (const char *const[4]){"GET /a HTTP/1.1\r\n" HOST "\r\n"}, "200 GET /a? |open");
    end();
}

static void expect_soon(const char *name, atomic_int *value, int wanted)
{
    for (int i = 0; i < 300 && atomic_load(value) != wanted; i++)
        usleep(10000);
    cr_expect_eq(atomic_load(value), wanted, "%s: %d", name, atomic_load(value));
}

static void expect_no_connections(void)
{
    for (int i = 0; i < 300 && http_server_counts(server).connections > 0; i++)
        usleep(10000);
    cr_expect_eq(http_server_counts(server).connections, 0);
}

Test(http_server, notices_peers_that_go_or_shut_their_half, .timeout = 30)
{
    begin();
    static const char *const requests[] = {"", "GET /", "GET /never HTTP/1.1\r\n" HOST "\r\n",
                                           "POST / HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\na"};
    for (size_t i = 0; i < COUNT(requests); i++) {
        struct wire *w = open_wire();
        char got[500];
        wire_text(w, requests[i]);
        usleep(20000);
        int64_t begun = clock_monotonic_ms();
        wire_shut(w);
        wire_summary(w, 1000, got, sizeof got);
        cr_expect_str_eq(got, "closed", "%s", requests[i]);
        cr_expect_lt(clock_monotonic_ms() - begun, 300);
        wire_close(w);
    }
    expect_no_connections();
    end();
}

Test(http_server, streams_until_the_peer_goes, .timeout = 30)
{
    begin();
    for (int shut = 0; shut < 2; shut++) {
        struct wire *w = open_wire();
        char got[500];
        wire_text(w, "GET /stream HTTP/1.1\r\n" HOST "\r\n");
        wire_summary(w, 100, got, sizeof got);
        cr_expect_str_eq(got, "200 data: 1\n|open");
        cr_expect_null(strstr(wire_raw(w), "Content-Length"));
        http_server_stream_send(server, atomic_load(&stream), "data: 2\n\n");
        cr_expect_eq(wire_read(w, got, sizeof got, 1000), 9);
        cr_expect_str_eq(got, "data: 2\n\n");
        wire_text(w, "what a client says to a stream is nothing");
        usleep(30000);
        http_server_stream_send(server, atomic_load(&stream), "data: 3\n\n");
        cr_expect_eq(wire_read(w, got, sizeof got, 1000), 9);
        cr_expect_eq(http_server_counts(server).streams, 1);
        if (shut == 1)
            wire_shut(w);
        else
            wire_close(w);
        expect_soon("closed", &closed_streams, shut + 1);
        if (shut == 1)
            wire_close(w);
        http_server_stream_send(server, atomic_load(&stream), "data: nobody\n\n");
    }
    cr_expect_eq(http_server_counts(server).streams, 0);
    end();
}

Test(http_server, ends_a_stream_when_told, .timeout = 30)
{
    begin();
    struct wire *w = open_wire();
    char got[500];
    wire_text(w, "GET /stream HTTP/1.1\r\n" HOST "\r\n");
    wire_summary(w, 100, got, sizeof got);
    http_server_stream_send(server, atomic_load(&stream), "data: last\n\n");
    http_server_stream_end(server, atomic_load(&stream));
    cr_expect_eq(wire_read(w, got, sizeof got, 1000), 12);
    cr_expect_eq(wire_read(w, got, sizeof got, 1000), 0);
    wire_close(w);
    expect_soon("closed", &closed_streams, 1);
    end();
}

Test(http_server, closes_a_stream_whose_reader_is_slow, .timeout = 60)
{
    struct http_server_config c = config();
    c.answer_ms = 60000; /* not by its deadline */
    begin_with(c);
    struct wire *w = open_wire();
    wire_small_window(w);
    char got[500];
    wire_text(w, "GET /stream HTTP/1.1\r\n" HOST "\r\n");
    wire_read(w, got, sizeof got, 1000);
    static char piece[8001];
    memset(piece, 'x', sizeof piece - 1);
    /* The kernel takes some megabytes on loopback before the server has to keep any. */
    for (int i = 0; i < 4000 && atomic_load(&closed_streams) == 0; i++) {
        http_server_stream_send(server, atomic_load(&stream), piece);
        if (i % 20 == 0)
            usleep(1000);
    }
    expect_soon("closed", &closed_streams, 1);
    wire_close(w);
    end();
}

Test(http_server, holds_the_number_of_streams, .timeout = 30)
{
    struct http_server_config c = config();
    c.max_streams = 1;
    begin_with(c);
    struct wire *first = open_wire();
    char got[500];
    wire_text(first, "GET /stream HTTP/1.1\r\n" HOST "\r\n");
    wire_summary(first, 100, got, sizeof got);
    expect("second", (const char *const[4]){"GET /stream HTTP/1.1\r\n" HOST "\r\n"},
           "503 too many streams: try again|closed");
    expect_soon("closed", &closed_streams, 1);
    wire_close(first);
    expect_soon("closed", &closed_streams, 2);
    end();
}

Test(http_server, holds_the_size_of_bodies, .timeout = 30)
{
    begin();
    static char text[BIG_BODY + 2000];
    char *body =
        text + sprintf(text, "POST /big HTTP/1.1\r\n" HOST "Content-Length: %d\r\n\r\n", BIG_BODY);
    memset(body, 'b', BIG_BODY);
    expect("at the limit", (const char *const[4]){text}, "200 POST /big? |open");
    sprintf(text, "POST /big HTTP/1.1\r\n" HOST "Content-Length: %d\r\n\r\n", BIG_BODY + 1);
    body[0] = 'b';
    char expected[100];
    sprintf(expected, "413 the body is over the limit of %d bytes|closed", BIG_BODY);
    expect("one above, with all of it sent", (const char *const[4]){text}, expected);
    expect("chunked above",
           (const char *const[4]){"POST /a HTTP/1.1\r\n" HOST
                                  "Transfer-Encoding: chunked\r\n\r\n3e9\r\n",
                                  strchr(text, 'b') + 20},
           "413 the body is over the limit of 1000 bytes|closed");
    end();
}

Test(http_server, a_refusal_arrives_even_if_the_client_goes_on_sending, .timeout = 30)
{
    static char much[200000];
    begin();
    struct wire *w = open_wire();
    char got[500];
    wire_text(w, "POST /a HTTP/1.1\r\n" HOST "Content-Length: 400000\r\n\r\n");
    for (int i = 0; i < 2; i++) {
        usleep(100000);
        wire_send(w, much, sizeof much);
    }
    usleep(100000);
    wire_summary(w, QUIET_MS, got, sizeof got);
    cr_expect_str_eq(got, "413 the body is over the limit of 1000 bytes|closed");
    wire_close(w);
    end();
}

Test(http_server, stops_reading_while_too_much_waits, .timeout = 60)
{
    struct http_server_config c = config();
    c.answer_ms = 20000;
    begin_with(c);
    enum { FLOOD = 60000000 };
    char *flood = calloc(1, FLOOD);
    struct wire *w = open_wire();
    wire_text(w, "GET /never HTTP/1.1\r\n" HOST "\r\n");
    size_t taken = wire_offer(w, flood, FLOOD, 500);
    cr_expect_lt(taken, FLOOD / 2, "%zu bytes, more than the kernel keeps", taken);
    wire_close(w);
    free(flood);
    end();
}

Test(http_server, holds_all_bodies_together_until_their_letters_are_freed, .timeout = 30)
{
    struct http_server_config c = config();
    c.max_body_bytes = 4096 + 100;
    c.body_ms = 2000;
    begin_with(c);
    struct wire *first = open_wire();
    wire_text(first, "POST /a HTTP/1.1\r\n" HOST "Content-Length: 9\r\n\r\na");
    usleep(50000);
    cr_expect_gt(http_server_counts(server).body_bytes, 0);
    static const char *const post[4] = {"POST /a HTTP/1.1\r\n" HOST "Content-Length: 1\r\n\r\na"};
    expect("second", post, "503 too many bodies at once: try again|closed");
    wire_text(first, "bcdefghi");
    char got[500];
    wire_summary(first, QUIET_MS, got, sizeof got);
    cr_expect_str_eq(got, "200 POST /a? abcdefghi|open");
    wire_close(first);
    expect("third", post, "200 POST /a? a|open");
    expect_no_connections();
    cr_expect_eq(http_server_counts(server).body_bytes, 0);
    end();
}

Test(http_server, holds_the_number_of_connections, .timeout = 30)
{
    struct http_server_config c = config();
    c.max_connections = 2;
    c.head_ms = 2000;
    begin_with(c);
    struct wire *one = open_wire(), *two = open_wire();
    usleep(50000);
    expect("third", (const char *const[4]){""}, "closed");
    wire_close(one);
    usleep(50000);
    expect("after one left", (const char *const[4]){"GET / HTTP/1.1\r\n" HOST "\r\n"},
           "200 GET /? |open");
    wire_close(two);
    end();
}

Test(http_server, pipelining_is_bounded_and_nothing_is_lost, .timeout = 60)
{
    struct http_server_config c = config();
    c.answer_ms = 20000;
    begin_with(c);
    enum { REQUESTS = 4000 };
    struct wire *w = open_wire();
    size_t len = 0;
    static char text[REQUESTS * 60];
    for (int i = 0; i < REQUESTS; i++)
        len += (size_t)sprintf(text + len,
                               "POST /a HTTP/1.1\r\n" HOST "Content-Length: 4\r\n\r\n%04d", i);
    wire_send(w, text, len); /* 200 KB: three times what may wait */
    static char got[REQUESTS * 400];
    size_t all = 0;
    int count = 0;
    for (int n; count < REQUESTS && (n = wire_read(w, got + all, sizeof got - all, 3000)) > 0;) {
        all += (size_t)n;
        count = 0;
        for (const char *at = got; (at = strstr(at, "HTTP/1.1 200")) != NULL; at++)
            count++;
    }
    cr_expect_eq(count, REQUESTS);
    cr_expect_eq(atomic_load(&answered), REQUESTS);
    wire_close(w);
    end();
}

Test(http_server, sends_a_big_answer_whole, .timeout = 30)
{
    begin();
    struct wire *w = open_wire();
    static char got[1000000];
    wire_text(w, "GET /huge HTTP/1.1\r\n" HOST "\r\n");
    size_t all = 0;
    for (int n; (n = wire_read(w, got, sizeof got, QUIET_MS)) > 0;)
        all += (size_t)n;
    cr_expect(all > 900000 && all < 900500, "%zu", all);
    wire_close(w);
    end();
}

Test(http_server, believes_forwarded_addresses_only_from_trusted_proxies, .timeout = 30)
{
    static const char *const trusted[] = {"127.0.0.1", "10.0.0.0/8"};
    static const char *const nobody[] = {"192.0.2.1"};
    static const struct {
        const char *header, *expected;
    } headers[] = {
        {"", "200 127.0.0.1|open"},
        {"X-Forwarded-For: 192.0.2.7\r\n", "200 192.0.2.7|open"},
        {"X-Forwarded-For: 6.6.6.6, 192.0.2.7:443\r\n", "200 192.0.2.7|open"},
        {"X-Forwarded-For: 6.6.6.6, 192.0.2.7 , 10.1.2.3\r\n", "200 192.0.2.7|open"},
        {"X-Forwarded-For: 192.0.2.7\r\nX-Forwarded-For: 10.1.2.3\r\n", "200 192.0.2.7|open"},
        {"X-Forwarded-For: 6.6.6.6, junk, 10.9.9.9\r\n", "200 10.9.9.9|open"},
        {"X-Forwarded-For: [2001:db8::1]:99\r\n", "200 2001:db8::1|open"},
        {"X-Forwarded-For: \r\n", "200 127.0.0.1|open"},
    };
    struct http_server_config c = config();
    c.trusted_proxies = trusted;
    c.n_trusted_proxies = COUNT(trusted);
    begin_with(c);
    for (size_t i = 0; i < COUNT(headers); i++) {
        char text[300];
        snprintf(text, sizeof text, "GET /peer HTTP/1.1\r\n" HOST "%s\r\n", headers[i].header);
        expect(headers[i].header, (const char *const[4]){text}, headers[i].expected);
    }
    end();
    c.trusted_proxies = nobody;
    c.n_trusted_proxies = 1;
    begin_with(c);
    expect("stranger",
           (const char *const[4]){"GET /peer HTTP/1.1\r\n" HOST "X-Forwarded-For: 6.6.6.6\r\n\r\n"},
           "200 127.0.0.1|open");
    end();
}

Test(http_server, listens_on_a_unix_socket_and_replaces_a_dead_one, .timeout = 30)
{
    char dir[] = "/tmp/signoff-test-XXXXXX", path[100], name[120];
    cr_assert_not_null(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/s.sock", dir);
    snprintf(name, sizeof name, "unix:%s", path);
    struct http_server_config c = config();
    c.listen = name;
    /* A dead one. */
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    snprintf(at.sun_path, sizeof at.sun_path, "%s", path);
    int dead = socket(AF_UNIX, SOCK_STREAM, 0);
    cr_assert(bind(dead, (struct sockaddr *)&at, sizeof at) == 0);
    close(dead);
    begin_with(c);
    struct stat st;
    cr_expect(stat(path, &st) == 0 && (st.st_mode & 0777) == 0660);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    cr_assert(connect(fd, (struct sockaddr *)&at, sizeof at) == 0);
    static const char get[] = "GET /peer HTTP/1.1\r\n" HOST "\r\n";
    cr_assert(write(fd, get, sizeof get - 1) > 0);
    char got[500] = "";
    cr_assert(read(fd, got, sizeof got - 1) > 0);
    cr_expect_str_eq(got + strlen(got) - 4, "unix");
    close(fd);
    /* A living one is not replaced. */
    struct err err = ERR_INIT;
    cr_expect_null(http_server_start(&c, &err));
    cr_expect_eq(err.kind, ERR_CONFLICT, "%s", err.text);
    end();
    cr_expect(access(path, F_OK) != 0, "it is removed");
    rmdir(dir);
}

Test(http_server, says_why_it_cannot_start)
{
    static const struct {
        const char *listen, *cert;
        const char *says;
    } wrong[] = {
        {"8080", NULL, "8080: is not HOST:PORT"},
        {"127.0.0.1:http", NULL, "is not HOST:PORT"},
        {"::1:80", NULL, "is not HOST:PORT"},
        {"unix:", NULL, "the path is empty"},
        {"203.0.113.1:0", NULL, "bind"},
        {"127.0.0.1:0", "/nowhere/cert.pem", "tls: the certificate /nowhere/cert.pem"},
    };
    for (size_t i = 0; i < COUNT(wrong); i++) {
        struct http_server_config c = config();
        struct err err = ERR_INIT;
        c.listen = wrong[i].listen;
        c.tls_cert_file = c.tls_key_file = wrong[i].cert;
        cr_expect_null(http_server_start(&c, &err));
        cr_expect_not_null(strstr(err.text, wrong[i].says), "%s", err.text);
    }
    struct http_server_config c = config();
    struct err err = ERR_INIT;
    begin();
    char taken[50];
    snprintf(taken, sizeof taken, "127.0.0.1:%d", http_server_port(server));
    c.listen = taken;
    cr_expect_null(http_server_start(&c, &err));
    cr_expect_eq(err.kind, ERR_CONFLICT);
    end();
}

Test(http_server, a_stop_finishes_what_is_in_flight_and_listens_no_more, .timeout = 30)
{
    begin();
    struct wire *slow = open_wire(), *idle = open_wire(), *open_stream = open_wire();
    char got[500];
    wire_text(open_stream, "GET /stream HTTP/1.1\r\n" HOST "\r\n");
    wire_summary(open_stream, 100, got, sizeof got);
    wire_text(slow, "GET /slow HTTP/1.1\r\n" HOST "\r\n");
    usleep(30000);
    int port = http_server_port(server);
    int64_t begun = clock_monotonic_ms();
    http_server_stop(server, 3000);
    int64_t took = clock_monotonic_ms() - begun;
    cr_expect(took >= 40, "%d", (int)took);
    wire_summary(slow, 500, got, sizeof got);
    cr_expect_str_eq(got, "200 GET /slow? |closed");
    wire_summary(idle, 500, got, sizeof got);
    cr_expect_str_eq(got, "closed");
    wire_close(slow);
    wire_close(idle);
    wire_close(open_stream);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons((unsigned short)port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    cr_expect(connect(fd, (struct sockaddr *)&to, sizeof to) != 0, "refused");
    close(fd);
    expect_soon("closed", &closed_streams, 1);
    http_server_answer(server, http_answer_text(1, 200, NULL, "after the stop"));
    end();
}
