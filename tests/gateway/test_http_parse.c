#include "gateway/base/http_parse.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#define HOST "Host: signoff.test\r\n"

enum { MAX_BODY = 100 };

/* Feeds text in pieces of `piece` bytes up to the first complete or refused message. The number is
 * 0 if there is none of them, 1 for a complete one, else the status of the refusal. */
static int outcome(const char *text, size_t len, size_t piece, struct http_message *out)
{
    struct http_parse *p = http_parse_new();
    int result = 0;
    for (size_t at = 0; at < len && result == 0; at += piece) {
        struct span bytes = {text + at, len - at < piece ? len - at : piece};
        enum http_parse_event event = HTTP_PARSE_HEAD;
        while (event == HTTP_PARSE_HEAD) {
            event = http_parse_feed(p, &bytes);
            if (event == HTTP_PARSE_HEAD)
                (void)!http_parse_limit_body(p, MAX_BODY);
        }
        if (event == HTTP_PARSE_COMPLETE)
            result = 1;
        if (event == HTTP_PARSE_REFUSED)
            result = http_parse_status(p);
    }
    if (result == 1)
        http_parse_take(p, out);
    http_parse_free(p);
    return result;
}

static struct http_message parse(const char *text)
{
    struct http_message m = {0};
    cr_assert_eq(outcome(text, strlen(text), SIZE_MAX / 2, &m), 1, "%s", text);
    return m;
}

Test(http_parse, gives_all_parts_of_a_request)
{
    struct http_message m =
        parse("POST /hooks/slack?a=%20b&c HTTP/1.1\r\n" HOST
              "X-Slack-Signature:  v0=abc \t\r\nContent-Length: 5\r\n\r\nhello");
    cr_assert_str_eq(m.method, "POST");
    cr_assert_str_eq(m.target, "/hooks/slack?a=%20b&c");
    cr_assert_str_eq(m.path, "/hooks/slack");
    cr_assert_str_eq(m.query, "a=%20b&c");
    cr_assert_str_eq(http_header_find(m.headers, m.n_headers, "x-slack-signature"), "v0=abc");
    cr_assert_null(http_header_find(m.headers, m.n_headers, "x-none"));
    cr_assert(m.body.len == 5 && strcmp(m.body.at, "hello") == 0);
    cr_assert(m.keep_alive && m.has_body);
    arena_done(&m.arena);
}

Test(http_parse, decodes_chunks_with_extensions_and_trailers)
{
    struct http_message m =
        parse("POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: Chunked\r\n\r\n"
              "3;name=value\r\na\r\n\r\nA\r\n0123456789\r\n0\r\nX-Trailer: y\r\nHost: z\r\n\r\n");
    cr_assert_eq(m.body.len, 13);
    cr_assert_str_eq(m.body.at, "a\r\n0123456789");
    cr_assert_eq(m.n_headers, 2, "trailers are no headers");
    arena_done(&m.arena);
}

Test(http_parse, takes_and_refuses_by_this_table)
{
    static const struct {
        const char *name, *text;
        int expected; /* 1: complete; 0: waits for more; else the status */
    } cases[] = {
        {"smallest", "GET / HTTP/1.1\r\n" HOST "\r\n", 1},
        {"HTTP/1.0 without host", "GET / HTTP/1.0\r\n\r\n", 1},
        {"empty line before", "\r\nGET / HTTP/1.1\r\n" HOST "\r\n", 1},
        {"empty post", "POST / HTTP/1.1\r\n" HOST "Content-Length: 0\r\n\r\n", 1},
        {"post without length", "POST / HTTP/1.1\r\n" HOST "\r\n", 1},
        {"get with a body", "GET / HTTP/1.1\r\n" HOST "Content-Length: 1\r\n\r\na", 1},
        {"empty header value", "GET / HTTP/1.1\r\n" HOST "X:\r\n\r\n", 1},
        {"byte above 127 in a value", "GET / HTTP/1.1\r\n" HOST "X: caf\xe9\r\n\r\n", 1},
        {"options star", "OPTIONS * HTTP/1.1\r\n" HOST "\r\n", 1},
        {"upgrade to h2c",
         "GET / HTTP/1.1\r\n" HOST "Connection: Upgrade, HTTP2-Settings\r\n"
         "Upgrade: h2c\r\n\r\n",
         1},
        {"expect", "PUT / HTTP/1.1\r\n" HOST "Expect: 100-Continue\r\nContent-Length: 1\r\n\r\na",
         1},
        {"half a request", "GET / HTTP/1.1\r\n" HOST, 0},
        {"half a body", "POST / HTTP/1.1\r\n" HOST "Content-Length: 9\r\n\r\nabc", 0},

        {"junk", "hello\r\n\r\n", 400},
        {"TLS hello", "\x16\x03\x01\x02", 400},
        {"HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 501},
        {"HTTP/2 version", "GET / HTTP/2.0\r\n" HOST "\r\n", 505},
        {"HTTP/1.2", "GET / HTTP/1.2\r\n" HOST "\r\n", 505},
        {"HTTP/0.9", "GET /\r\n\r\n", 505},
        {"unknown method", "BREW / HTTP/1.1\r\n" HOST "\r\n", 501},
        {"lower-case method", "get / HTTP/1.1\r\n" HOST "\r\n", 400},
        {"known but not ours", "TRACE / HTTP/1.1\r\n" HOST "\r\n", 501},
        {"connect", "CONNECT a:443 HTTP/1.1\r\n" HOST "\r\n", 501},
        {"absolute target", "GET http://a/ HTTP/1.1\r\n" HOST "\r\n", 400},
        {"star for get", "GET * HTTP/1.1\r\n" HOST "\r\n", 400},
        {"fragment", "GET /a#b HTTP/1.1\r\n" HOST "\r\n", 400},
        {"byte above 127 in the target", "GET /\xc3\xa9 HTTP/1.1\r\n" HOST "\r\n", 400},
        {"space in the target", "GET /a b HTTP/1.1\r\n" HOST "\r\n", 400},
        {"tab after the method", "GET\t/ HTTP/1.1\r\n" HOST "\r\n", 400},

        {"no host", "GET / HTTP/1.1\r\n\r\n", 400},
        {"two hosts", "GET / HTTP/1.1\r\n" HOST HOST "\r\n", 400},
        {"host with a path", "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400},
        {"folded header", "GET / HTTP/1.1\r\n" HOST "X: a\r\n b\r\n\r\n", 400},
        {"folded first header", "GET / HTTP/1.1\r\n X: a\r\n" HOST "\r\n", 400},
        {"space before the colon", "GET / HTTP/1.1\r\nHost : a\r\n\r\n", 400},
        {"no name", "GET / HTTP/1.1\r\n" HOST ": a\r\n\r\n", 400},
        {"no colon", "GET / HTTP/1.1\r\n" HOST "abc\r\n\r\n", 400},
        {"odd name", "GET / HTTP/1.1\r\n" HOST "a(b): c\r\n\r\n", 400},
        {"bare LF", "GET / HTTP/1.1\nHost: a\n\n", 400},
        {"bare LF in a header", "GET / HTTP/1.1\r\n" HOST "X: a\nY: b\r\n\r\n", 400},
        {"bare LF at the end", "GET / HTTP/1.1\r\n" HOST "X: a\r\n\n", 400},
        {"bare CR", "GET / HTTP/1.1\r\n" HOST "X: a\rb\r\n\r\n", 400},
        {"control character", "GET / HTTP/1.1\r\n" HOST "X: a\001b\r\n\r\n", 400},
        {"two content types",
         "GET / HTTP/1.1\r\n" HOST "Content-Type: a\r\ncontent-type: a\r\n\r\n", 400},

        {"length and chunked",
         "POST / HTTP/1.1\r\n" HOST
         "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
         400},
        {"chunked and length",
         "POST / HTTP/1.1\r\n" HOST
         "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n",
         400},
        {"two lengths",
         "POST / HTTP/1.1\r\n" HOST "Content-Length: 1\r\nContent-Length: 1\r\n\r\na", 400},
        {"two lengths in one", "POST / HTTP/1.1\r\n" HOST "Content-Length: 1, 1\r\n\r\na", 400},
        {"plus", "POST / HTTP/1.1\r\n" HOST "Content-Length: +5\r\n\r\nhello", 400},
        {"minus", "POST / HTTP/1.1\r\n" HOST "Content-Length: -1\r\n\r\nhello", 400},
        {"hex length", "POST / HTTP/1.1\r\n" HOST "Content-Length: 0x5\r\n\r\nhello", 400},
        {"overflowing length",
         "POST / HTTP/1.1\r\n" HOST "Content-Length: 18446744073709551617\r\n\r\na", 400},
        {"empty length", "POST / HTTP/1.1\r\n" HOST "Content-Length:\r\n\r\na", 400},
        {"xchunked", "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
         501},
        {"gzip, chunked",
         "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 501},
        {"chunked, identity",
         "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n", 501},
        {"chunked twice",
         "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n"
         "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
         400},
        {"chunked in HTTP/1.0",
         "POST / HTTP/1.0\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
        {"chunk size with a sign",
         "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n+3\r\nabc\r\n0\r\n\r\n",
         400},
        {"bare LF after a chunk size",
         "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n3\nabc\r\n0\r\n\r\n", 400},
        {"bare LF in an extension",
         "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n3;a\nabc\r\n0\r\n\r\n", 400},
        {"bare CR in an extension",
         "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n3;a\rb\r\nabc\r\n0\r\n\r\n",
         400},
        {"data longer than its chunk",
         "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n3\r\nabcd\r\n0\r\n\r\n",
         400},
        {"trailer that speaks of framing",
         "POST / HTTP/1.1\r\n" HOST
         "Transfer-Encoding: chunked\r\n\r\n0\r\nTransfer-Encoding: x\r\n\r\n",
         1},
        {"bare LF after such a trailer",
         "POST / HTTP/1.1\r\n" HOST
         "Transfer-Encoding: chunked\r\n\r\n0\r\nTransfer-Encoding: x\n\r\n",
         400},
        {"other expectation",
         "PUT / HTTP/1.1\r\n" HOST "Expect: a raise\r\nContent-Length: 1\r\n\r\n", 417},
        {"announced over the limit", "POST / HTTP/1.1\r\n" HOST "Content-Length: 101\r\n\r\n", 413},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        for (size_t piece = 1; piece < 1000; piece = piece * 3 + 1) {
            struct http_message m = {0};
            int got = outcome(cases[i].text, strlen(cases[i].text), piece, &m);
            cr_expect_eq(got, cases[i].expected, "%s, in pieces of %zu: %d instead of %d",
                         cases[i].name, piece, got, cases[i].expected);
            arena_done(&m.arena);
        }
    }
}

Test(http_parse, refuses_a_nul_anywhere_in_the_head)
{
    char text[] = "GET /a HTTP/1.1\r\n" HOST "Name: value\r\n\r\n";
    for (size_t i = 0; i < sizeof text - 1; i++) {
        char kept = text[i];
        text[i] = '\0';
        struct http_message m = {0};
        cr_expect_gt(outcome(text, sizeof text - 1, 1000, &m), 399, "at %zu", i);
        arena_done(&m.arena);
        text[i] = kept;
    }
}

/* A request whose target, headers or body have exactly the wanted size. */
static int with_sizes(size_t target, size_t n_headers, size_t header_bytes, size_t chunked_body)
{
    static char text[65536];
    char *at = text;
    at += sprintf(at, "POST /");
    memset(at, 'a', target - 1);
    at += target - 1;
    at += sprintf(at, " HTTP/1.1\r\n");
    char *headers = at;
    at += sprintf(at, HOST "Transfer-Encoding: chunked\r\n");
    for (size_t i = 2; i < n_headers; i++)
        at += sprintf(at, "a: b\r\n");
    size_t now = (size_t)(at - headers);
    if (now < header_bytes) {
        at += sprintf(at, "long: ");
        memset(at, 'v', header_bytes - now - 8);
        at += header_bytes - now - 8;
        at += sprintf(at, "\r\n");
    }
    at += sprintf(at, "\r\n%zx\r\n", chunked_body);
    memset(at, 'b', chunked_body);
    at += chunked_body;
    at += sprintf(at, "\r\n0\r\n\r\n");
    struct http_message m = {0};
    int result = outcome(text, (size_t)(at - text), 700, &m);
    arena_done(&m.arena);
    return result;
}

Test(http_parse, holds_each_limit_exactly)
{
    cr_expect_eq(with_sizes(HTTP_MAX_TARGET, 2, 0, 1), 1);
    cr_expect_eq(with_sizes(HTTP_MAX_TARGET + 1, 2, 0, 1), 414);
    cr_expect_eq(with_sizes(HTTP_MAX_TARGET + 9000, 2, 0, 1), 414);
    cr_expect_eq(with_sizes(1, HTTP_MAX_HEADERS, 0, 1), 1);
    cr_expect_eq(with_sizes(1, HTTP_MAX_HEADERS + 1, 0, 1), 431);
    cr_expect_eq(with_sizes(1, 2, HTTP_MAX_HEADER_BYTES, 1), 1);
    cr_expect_eq(with_sizes(1, 2, HTTP_MAX_HEADER_BYTES + 1, 1), 431);
    cr_expect_eq(with_sizes(1, 2, 0, MAX_BODY), 1);
    cr_expect_eq(with_sizes(1, 2, 0, MAX_BODY + 1), 413);
}

Test(http_parse, stops_a_body_that_is_all_framing)
{
    static char text[400000];
    char *at =
        text + sprintf(text, "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n");
    for (int i = 0; i < 50; i++) {
        at += sprintf(at, "1;");
        memset(at, 'e', 1000);
        at += 1000;
        at += sprintf(at, "\r\nx\r\n");
    }
    at += sprintf(at, "0\r\n\r\n");
    struct http_message m = {0};
    cr_assert_eq(outcome(text, (size_t)(at - text), 512, &m), 413);
}

Test(http_parse, gives_pipelined_requests_one_after_the_other)
{
    static const char text[] =
        "POST /1 HTTP/1.1\r\n" HOST "Content-Length: 3\r\n\r\nabc"
        "POST /2 HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n1\r\nd\r\n0\r\n\r\n"
        "POST /3 HTTP/1.1\r\n" HOST "Content-Length: 1\r\n"
        "Connection: upgrade\r\nUpgrade: h2c\r\n\r\ne"
        "GET /4 HTTP/1.0\r\n\r\n";
    static const char *const expected[] = {"/1 abc 1", "/2 d 1", "/3 e 1", "/4  0"};
    struct http_parse *p = http_parse_new();
    struct span bytes = {text, sizeof text - 1};
    for (size_t i = 0; i < COUNT(expected); i++) {
        cr_assert_eq(http_parse_feed(p, &bytes), HTTP_PARSE_HEAD);
        cr_assert(http_parse_limit_body(p, MAX_BODY));
        cr_assert_eq(http_parse_feed(p, &bytes), HTTP_PARSE_COMPLETE);
        cr_assert_eq(http_parse_feed(p, &bytes), HTTP_PARSE_COMPLETE, "waits to be taken");
        struct http_message m;
        http_parse_take(p, &m);
        char got[100];
        snprintf(got, sizeof got, "%s %s %d", m.path, m.body.at, m.keep_alive);
        cr_assert_str_eq(got, expected[i]);
        arena_done(&m.arena);
        cr_assert(http_parse_is_idle(p));
    }
    cr_assert_eq(bytes.len, 0);
    http_parse_free(p);
}

Test(http_parse, memory_for_a_body_grows_with_what_came_not_with_what_was_announced)
{
    static const char head[] = "POST / HTTP/1.1\r\n" HOST "Content-Length: 50000000\r\n\r\nabc";
    struct http_parse *p = http_parse_new();
    struct span bytes = {head, sizeof head - 1};
    cr_assert_eq(http_parse_feed(p, &bytes), HTTP_PARSE_HEAD);
    cr_assert(http_parse_limit_body(p, 64 << 20));
    cr_assert_eq(http_parse_feed(p, &bytes), HTTP_PARSE_MORE);
    cr_assert(http_parse_held(p) >= 3 && http_parse_held(p) <= 8192);
    http_parse_free(p);
}

Test(http_parse, allows_no_body_unless_told)
{
    static const char text[] = "POST / HTTP/1.1\r\n" HOST "Content-Length: 1\r\n\r\na";
    struct http_parse *p = http_parse_new();
    struct span bytes = {text, sizeof text - 1};
    cr_assert_eq(http_parse_feed(p, &bytes), HTTP_PARSE_HEAD);
    cr_assert_eq(http_parse_feed(p, &bytes), HTTP_PARSE_REFUSED);
    cr_assert_eq(http_parse_status(p), 413);
    http_parse_free(p);
}
