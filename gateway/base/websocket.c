/* See websocket.h. Bytes gather in one buffer until a whole frame is there; the pieces of a message
 * gather in another. */
#include "gateway/base/websocket.h"

#include "gateway/base/text.h"

#include <openssl/evp.h>
#include <string.h>
#include <strings.h>

enum { CONTROL_MAX = 125, NO_CODE = 1005, ROOM_FIRST = 4096, CONTINUATION = 0 };

struct bytes {
    char *at;
    size_t len, room;
};

struct websocket {
    char accept[32]; /* what the server has to prove that it read our key */
    size_t max_message;
    bool is_open, is_broken;
    struct bytes in; /* not parsed yet: from `from` on */
    size_t from;
    struct bytes message; /* fragments so far */
    bool in_message, is_text;
};

static void add_bytes(struct bytes *b, struct span more)
{
    if (b->room - b->len < more.len) {
        size_t room = b->room < ROOM_FIRST ? ROOM_FIRST : b->room;
        while (room - b->len < more.len)
            room *= 2;
        b->at = realloc(b->at, room);
        if (b->at == NULL)
            abort();
        b->room = room;
    }
    if (more.len > 0)
        memcpy(b->at + b->len, more.at, more.len);
    b->len += more.len;
}

/* ---- the handshake ------------------------------------------------------------------------ */

static void sha1(struct span s, unsigned char out[20])
{
    if (EVP_Digest(s.at, s.len, out, NULL, EVP_sha1(), NULL) != 1)
        abort();
}

/* RFC 6455 4.2.2: the key's text and a fixed word, hashed. */
static char *accept_of(struct arena *a, const unsigned char key[WEBSOCKET_KEY_SIZE])
{
    unsigned char hash[20];
    char *text =
        arena_printf(a, "%s258EAFA5-E914-47DA-95CA-C5AB0DC85B11",
                     base64_encode(a, (struct span){(const char *)key, WEBSOCKET_KEY_SIZE}));
    sha1(span_of(text), hash);
    return base64_encode(a, (struct span){(const char *)hash, sizeof hash});
}

char *websocket_request(struct arena *a, const char *host, const char *target,
                        const unsigned char key[WEBSOCKET_KEY_SIZE])
{
    return arena_printf(a,
                        "GET %s HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\n"
                        "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                        "Sec-WebSocket-Key: %s\r\nUser-Agent: signoff\r\n\r\n",
                        target, host,
                        base64_encode(a, (struct span){(const char *)key, WEBSOCKET_KEY_SIZE}));
}

/* Is `word` one of the comma-separated words? Letters are of either case. */
static bool has_word(const char *list, const char *word)
{
    for (size_t len = strlen(word); list != NULL && *list != '\0'; list += strcspn(list, ",")) {
        list += strspn(list, ", \t");
        size_t n = strcspn(list, ", \t");
        if (n == len && strncasecmp(list, word, n) == 0)
            return true;
    }
    return false;
}

/* The value of a header in an answer whose lines end with CRLF; NULL: it is not there. */
static const char *header_of(struct arena *a, const char *head, const char *name)
{
    size_t len = strlen(name);
    for (const char *line = strstr(head, "\r\n"); line != NULL; line = strstr(line, "\r\n")) {
        line += 2;
        if (strncasecmp(line, name, len) != 0 || line[len] != ':')
            continue;
        const char *value = line + len + 1;
        value += strspn(value, " \t");
        size_t n = strcspn(value, "\r\n");
        while (n > 0 && (value[n - 1] == ' ' || value[n - 1] == '\t'))
            n--;
        return arena_strndup(a, value, n);
    }
    return NULL;
}

static bool check_answer(const struct websocket *w, struct arena *a, const char *head, int *status,
                         struct err *err)
{
    int64_t code;
    if (strlen(head) < 12 || strncmp(head, "HTTP/1.1 ", 9) != 0 ||
        !text_to_int(arena_strndup(a, head + 9, 3), 100, 599, &code))
        return fail(err, ERR_INVALID, "the answer to the handshake is no HTTP/1.1");
    *status = (int)code;
    if (code != 101)
        return fail(err, ERR_INVALID, "the handshake was answered %d", *status);
    if (!has_word(header_of(a, head, "Upgrade"), "websocket") ||
        !has_word(header_of(a, head, "Connection"), "upgrade"))
        return fail(err, ERR_INVALID, "the answer to the handshake upgrades to something else");
    if (!text_eq(header_of(a, head, "Sec-WebSocket-Accept"), w->accept))
        return fail(err, ERR_INVALID, "the answer to the handshake is not to ours");
    if (header_of(a, head, "Sec-WebSocket-Extensions") != NULL ||
        header_of(a, head, "Sec-WebSocket-Protocol") != NULL)
        return fail(err, ERR_INVALID, "the server chose what was not offered");
    return true;
}

static enum websocket_event shake_hands(struct websocket *w, struct websocket_in *out,
                                        struct err *err)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    struct span in = {w->in.at + w->from, w->in.len - w->from};
    const char *end = in.len > 0 ? memmem(in.at, in.len, "\r\n\r\n", 4) : NULL;
    size_t len = end != NULL ? (size_t)(end - in.at) + 4 : in.len;
    if (len > WEBSOCKET_HEAD_MAX) {
        fail(err, ERR_INVALID, "the answer to the handshake is too long");
        return WEBSOCKET_BROKEN;
    }
    if (end == NULL)
        return WEBSOCKET_MORE;
    if (!check_answer(w, &a, arena_strndup(&a, in.at, len), &out->status, err))
        return WEBSOCKET_BROKEN;
    w->from += len;
    w->is_open = true;
    return WEBSOCKET_OPENED;
}

/* ---- frames ------------------------------------------------------------------------------- */

struct span websocket_frame(struct arena *a, enum websocket_opcode opcode, struct span payload,
                            const unsigned char mask[4])
{
    size_t extra = payload.len < 126 ? 0 : payload.len <= UINT16_MAX ? 2 : 8;
    size_t head = 2 + extra + 4;
    unsigned char *out = arena_alloc(a, head + payload.len);
    out[0] = (unsigned char)(0x80 | opcode);
    out[1] = (unsigned char)(0x80 | (extra == 0 ? payload.len : extra == 2 ? 126U : 127U));
    for (size_t i = 0; i < extra; i++)
        out[2 + i] = (unsigned char)(payload.len >> (8 * (extra - 1 - i)));
    memcpy(out + 2 + extra, mask, 4);
    for (size_t i = 0; i < payload.len; i++)
        out[head + i] = (unsigned char)payload.at[i] ^ mask[i % 4];
    return (struct span){(const char *)out, head + payload.len};
}

struct frame {
    bool is_last;
    unsigned opcode;
    struct span payload;
};

static bool check_frame(const struct websocket *w, const unsigned char *at, uint64_t len,
                        struct err *err)
{
    unsigned opcode = at[0] & 0x0F;
    bool is_control = opcode >= WEBSOCKET_CLOSE, is_last = at[0] & 0x80;
    if (at[0] & 0x70)
        return fail(err, ERR_INVALID, "a frame has reserved bits");
    if (at[1] & 0x80)
        return fail(err, ERR_INVALID, "a frame from the server is masked");
    if (opcode > WEBSOCKET_PONG || (opcode > WEBSOCKET_BINARY && opcode < WEBSOCKET_CLOSE))
        return fail(err, ERR_INVALID, "a frame has the unknown opcode %u", opcode);
    if (is_control && (!is_last || len > CONTROL_MAX))
        return fail(err, ERR_INVALID, "a control frame is too long or in pieces");
    if (!is_control && (opcode == CONTINUATION) != w->in_message)
        return fail(err, ERR_INVALID, "a message is mixed with another");
    if (!is_control && len > w->max_message - w->message.len)
        return fail(err, ERR_TOO_LARGE, "a message is over %zu bytes", w->max_message);
    return true;
}

/* WEBSOCKET_OPENED here: there is a frame. */
static enum websocket_event take_frame(struct websocket *w, struct frame *out, struct err *err)
{
    const unsigned char *at = (const unsigned char *)w->in.at + w->from;
    size_t have = w->in.len - w->from;
    if (have < 2)
        return WEBSOCKET_MORE;
    uint64_t len = at[1] & 0x7F;
    size_t extra = len < 126 ? 0 : len == 126 ? 2 : 8;
    if (have < 2 + extra)
        return WEBSOCKET_MORE;
    if (extra > 0)
        len = 0;
    for (size_t i = 0; i < extra; i++)
        len = len << 8 | at[2 + i];
    if (!check_frame(w, at, len, err))
        return WEBSOCKET_BROKEN;
    if (have - 2 - extra < len)
        return WEBSOCKET_MORE;
    *out = (struct frame){at[0] & 0x80, at[0] & 0x0F, {(const char *)at + 2 + extra, (size_t)len}};
    w->from += 2 + extra + (size_t)len;
    return WEBSOCKET_OPENED;
}

static enum websocket_event take_data(struct websocket *w, const struct frame *frame,
                                      struct websocket_in *out)
{
    if (frame->opcode != CONTINUATION)
        w->is_text = frame->opcode == WEBSOCKET_TEXT;
    w->in_message = !frame->is_last;
    if (frame->is_last && w->message.len == 0) { /* the usual one, in one piece */
        out->payload = frame->payload;
        return w->is_text ? WEBSOCKET_MESSAGE : WEBSOCKET_IGNORED;
    }
    add_bytes(&w->message, frame->payload);
    if (!frame->is_last)
        return WEBSOCKET_MORE;
    out->payload = (struct span){w->message.at, w->message.len};
    w->message.len = 0;
    return w->is_text ? WEBSOCKET_MESSAGE : WEBSOCKET_IGNORED;
}

static enum websocket_event take_any(struct websocket *w, struct websocket_in *out, struct err *err)
{
    for (;;) {
        struct frame frame;
        enum websocket_event event = take_frame(w, &frame, err);
        out->payload = (struct span){"", 0}; /* not that of a piece before */
        if (event != WEBSOCKET_OPENED)
            return event;
        const unsigned char *p = (const unsigned char *)frame.payload.at;
        out->payload = frame.payload;
        switch (frame.opcode) {
        case WEBSOCKET_PING:
            return WEBSOCKET_PINGED;
        case WEBSOCKET_PONG:
            return WEBSOCKET_PONGED;
        case WEBSOCKET_CLOSE:
            out->code = frame.payload.len >= 2 ? p[0] << 8 | p[1] : NO_CODE;
            return WEBSOCKET_CLOSED;
        default: /* the wire's numbers: data, as check_frame() saw */
            event = take_data(w, &frame, out);
            if (event != WEBSOCKET_MORE)
                return event;
        }
    }
}

struct websocket *websocket_new(const unsigned char key[WEBSOCKET_KEY_SIZE], size_t max_message)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    struct websocket *w = calloc(1, sizeof *w);
    if (w == NULL)
        abort();
    const char *accept = accept_of(&a, key);
    memcpy(w->accept, accept, strlen(accept) + 1); /* 28 characters */
    w->max_message = max_message;
    return w;
}

void websocket_free(struct websocket *w)
{
    if (w == NULL)
        return;
    free(w->in.at);
    free(w->message.at);
    free(w);
}

void websocket_feed(struct websocket *w, struct span bytes)
{
    w->in.len -= w->from;
    if (w->in.len > 0 && w->from > 0)
        memmove(w->in.at, w->in.at + w->from, w->in.len);
    w->from = 0;
    add_bytes(&w->in, bytes);
}

enum websocket_event websocket_next(struct websocket *w, struct websocket_in *out, struct err *err)
{
    *out = (struct websocket_in){.code = 0};
    if (w->is_broken)
        return WEBSOCKET_MORE;
    enum websocket_event event = w->is_open ? take_any(w, out, err) : shake_hands(w, out, err);
    w->is_broken = event == WEBSOCKET_BROKEN;
    return event;
}
