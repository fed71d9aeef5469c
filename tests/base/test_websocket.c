#include "gateway/base/text.h"
#include "gateway/base/websocket.h"

#include <criterion/criterion.h>
#include <string.h>

/* The example of RFC 6455 1.3. */
static const unsigned char KEY[] = "the sample nonce";
#define ANSWER                                                                          \
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" \
    "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"

enum { MOST = 1000 };

static enum websocket_event next(struct websocket *w, struct websocket_in *in)
{
    struct err err = ERR_INIT;
    return websocket_next(w, in, &err);
}

static struct websocket *opened(void)
{
    struct websocket *w = websocket_new(KEY, MOST);
    struct websocket_in in;
    websocket_feed(w, span_of(ANSWER));
    cr_assert_eq(next(w, &in), WEBSOCKET_OPENED);
    return w;
}

#define FEED(w, literal) websocket_feed((w), (struct span){(literal), sizeof(literal) - 1})

Test(websocket, asks_as_the_rfc_says)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    const char *request =
        websocket_request(&a, "wss.slack.test:444", "/link/?ticket=1&app_id=2", KEY);
    cr_assert(text_starts(request, "GET /link/?ticket=1&app_id=2 HTTP/1.1\r\n"));
    cr_assert_not_null(strstr(request, "\r\nHost: wss.slack.test:444\r\n"));
    cr_assert_not_null(strstr(request, "\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"));
    cr_assert_not_null(strstr(request, "\r\nSec-WebSocket-Version: 13\r\n"));
    cr_assert(text_ends(request, "\r\n\r\n"));
    cr_assert_null(strstr(request, "Extensions"));
}

static const struct {
    const char *name, *answer;
    int status;
} bad_answers[] = {
    {"no HTTP", "SSH-2.0-OpenSSH_9.2\r\n\r\n", 0},
    {"HTTP/1.0", "HTTP/1.0 101 x\r\n\r\n", 0},
    {"nothing", "\r\n\r\n", 0},
    {"a refusal", "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n", 403},
    {"no upgrade",
     "HTTP/1.1 101 x\r\nConnection: upgrade\r\nSec-WebSocket-Accept: "
     "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n",
     101},
    {"no connection",
     "HTTP/1.1 101 x\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: "
     "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n",
     101},
    {"no proof", "HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n", 101},
    {"another proof",
     "HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: upgrade\r\nSec-WebSocket-Accept: "
     "S3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n",
     101},
    {"an extension",
     "HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: upgrade\r\nSec-WebSocket-Accept: "
     "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n",
     101},
    {"a protocol",
     "HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: upgrade\r\nSec-WebSocket-Accept: "
     "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nsec-websocket-protocol: chat\r\n\r\n",
     101},
};

Test(websocket, refuses_any_other_answer_to_its_handshake)
{
    for (size_t i = 0; i < COUNT(bad_answers); i++) {
        struct websocket *w = websocket_new(KEY, MOST);
        struct websocket_in in;
        websocket_feed(w, span_of(bad_answers[i].answer));
        cr_expect_eq(next(w, &in), WEBSOCKET_BROKEN, "%s", bad_answers[i].name);
        cr_expect_eq(in.status, bad_answers[i].status, "%s", bad_answers[i].name);
        cr_expect_eq(next(w, &in), WEBSOCKET_MORE, "nothing follows");
        websocket_free(w);
    }
}

Test(websocket, takes_headers_in_any_letters_and_with_more_words)
{
    struct websocket *w = websocket_new(KEY, MOST);
    struct websocket_in in;
    websocket_feed(
        w, span_of("HTTP/1.1 101 x\r\nconnection: keep-alive, Upgrade\r\nUPGRADE:WebSocket \r\n"
                   "sec-websocket-accept:  s3pPLMBiTxaQ9kYGzzhZRbK+xOo= \r\n\r\n"));
    cr_assert_eq(next(w, &in), WEBSOCKET_OPENED);
    websocket_free(w);
}

Test(websocket, gives_up_on_an_endless_answer)
{
    struct websocket *w = websocket_new(KEY, MOST);
    struct websocket_in in;
    char line[1024];
    memset(line, 'x', sizeof line);
    for (int i = 0; i < 16; i++) {
        cr_assert_eq(next(w, &in), WEBSOCKET_MORE);
        websocket_feed(w, (struct span){line, sizeof line});
    }
    FEED(w, "x");
    cr_assert_eq(next(w, &in), WEBSOCKET_BROKEN);
    websocket_free(w);
}

Test(websocket, reads_messages_whatever_way_their_bytes_come)
{
    static const char bytes[] = ANSWER "\x81\x02hi"
                                       "\x89\x01p"
                                       "\x01\x02yo\x8a\x00\x00\x01u\x80\x01!"
                                       "\x82\x01z\x88\x02\x03\xe9";
    for (size_t step = 1; step < sizeof bytes; step++) {
        struct websocket *w = websocket_new(KEY, MOST);
        struct websocket_in in;
        char told[100] = "";
        for (size_t at = 0; at < sizeof bytes - 1; at += step) {
            size_t left = sizeof bytes - 1 - at;
            websocket_feed(w, (struct span){bytes + at, step < left ? step : left});
            for (enum websocket_event e; (e = next(w, &in)) != WEBSOCKET_MORE;) {
                static const char letters[] = "?oMb<>cX";
                char letter[] = {letters[e], '\0'};
                strcat(told, letter);
                if (e == WEBSOCKET_MESSAGE || e == WEBSOCKET_PINGED)
                    strncat(told, in.payload.at, in.payload.len);
                if (e == WEBSOCKET_CLOSED)
                    cr_expect_eq(in.code, 1001);
            }
        }
        cr_expect_str_eq(told, "oMhi<p>Myou!bc", "in steps of %zu", step);
        websocket_free(w);
    }
}

Test(websocket, reads_all_forms_of_a_length)
{
    static const size_t lengths[] = {0, 125, 126, 127, 65535, 65536, 70000};
    for (size_t i = 0; i < COUNT(lengths); i++) {
        struct websocket *w = websocket_new(KEY, 70000);
        struct websocket_in in;
        char *text = calloc(1, 70001), head[10] = {(char)0x81};
        size_t n = lengths[i], size = n < 126 ? 2 : n < 65536 ? 4 : 10;
        head[1] = (char)(n < 126 ? n : n < 65536 ? 126 : 127);
        for (size_t k = 2; k < size; k++)
            head[k] = (char)(n >> (8 * (size - 1 - k)));
        websocket_feed(w, span_of(ANSWER));
        websocket_feed(w, (struct span){head, size});
        websocket_feed(w, (struct span){text, n});
        cr_expect_eq(next(w, &in), WEBSOCKET_OPENED);
        cr_expect_eq(next(w, &in), WEBSOCKET_MESSAGE);
        cr_expect_eq(in.payload.len, n);
        websocket_free(w);
        free(text);
    }
}

static const struct {
    const char *name, *bytes;
    size_t len;
} bad_frames[] = {
#define BAD(name, bytes)               \
    {                                  \
        name, bytes, sizeof(bytes) - 1 \
    }
    BAD("a reserved bit", "\xc1\x00"),
    BAD("a masked frame", "\x81\x81xxxxy"),
    BAD("an unknown opcode", "\x83\x00"),
    BAD("an unknown control frame", "\x8b\x00"),
    BAD("a long ping", "\x89\x7e\x00\x7e"),
    BAD("a ping in pieces", "\x09\x00"),
    BAD("a continuation of nothing", "\x80\x00"),
    BAD("a message inside a message", "\x01\x00\x81\x00"),
    BAD("a message over the limit", "\x81\x7e\x03\xe9"),
    BAD("a length of 2^63", "\x81\x7f\x80\x00\x00\x00\x00\x00\x00\x00"),
    BAD("a length of 2^64 - 1", "\x81\x7f\xff\xff\xff\xff\xff\xff\xff\xff"),
};

Test(websocket, breaks_with_a_peer_that_breaks_the_rules)
{
    for (size_t i = 0; i < COUNT(bad_frames); i++) {
        struct websocket *w = opened();
        struct websocket_in in;
        struct err err = ERR_INIT;
        websocket_feed(w, (struct span){bad_frames[i].bytes, bad_frames[i].len});
        cr_expect_eq(websocket_next(w, &in, &err), WEBSOCKET_BROKEN, "%s", bad_frames[i].name);
        cr_expect_neq(err.text[0], '\0', "%s", bad_frames[i].name);
        websocket_free(w);
    }
}

Test(websocket, bounds_a_message_in_pieces_too)
{
    struct websocket *w = opened();
    struct websocket_in in;
    char piece[500] = "";
    for (int i = 0; i < 2; i++) {
        websocket_feed(w, (struct span){i == 0 ? "\x01\x7e\x01\xf4" : "\x00\x7e\x01\xf4", 4});
        websocket_feed(w, (struct span){piece, sizeof piece});
        cr_assert_eq(next(w, &in), WEBSOCKET_MORE);
    }
    FEED(w, "\x80\x00");
    cr_assert_eq(next(w, &in), WEBSOCKET_MESSAGE, "1000 bytes are allowed");
    cr_assert_eq(in.payload.len, 1000);
    for (int i = 0; i < 2; i++) {
        websocket_feed(w, (struct span){i == 0 ? "\x01\x7e\x01\xf4" : "\x00\x7e\x01\xf4", 4});
        websocket_feed(w, (struct span){piece, sizeof piece});
        cr_assert_eq(next(w, &in), WEBSOCKET_MORE);
    }
    FEED(w, "\x80\x01x");
    cr_assert_eq(next(w, &in), WEBSOCKET_BROKEN, "and not one more");
    websocket_free(w);
}

Test(websocket, writes_one_masked_frame)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    static const unsigned char mask[] = {0x37, 0xfa, 0x21, 0x3d};
    /* RFC 6455 5.7 */
    struct span hello = websocket_frame(&a, WEBSOCKET_TEXT, span_of("Hello"), mask);
    cr_assert_eq(hello.len, 11);
    cr_assert_arr_eq(hello.at, "\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58", 11);
    char *text = arena_alloc(&a, 70001);
    memset(text, 'a', 70000);
    struct span middle = websocket_frame(&a, WEBSOCKET_TEXT, (struct span){text, 126}, mask);
    cr_assert_arr_eq(middle.at, "\x81\xfe\x00\x7e\x37\xfa\x21\x3d", 8);
    cr_assert_eq(middle.len, 8 + 126);
    struct span large = websocket_frame(&a, WEBSOCKET_PING, (struct span){text, 70000}, mask);
    cr_assert_arr_eq(large.at, "\x89\xff\x00\x00\x00\x00\x00\x01\x11\x70\x37\xfa\x21\x3d", 14);
    cr_assert_eq(large.len, 14 + 70000);
}
