/* gateway/base/websocket.c on any bytes of a server: the first byte says how many are given at a
 * time, and whether the handshake is done already. The same bytes in one piece tell the same. */
#include "gateway/base/text.h"
#include "gateway/base/websocket.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

enum { MOST = 5000 };

static const char ANSWER[] =
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

/* Everything that is told, as one number; reads every byte of it. */
static uint64_t tell(struct span in, size_t step, bool is_open)
{
    struct websocket *w = websocket_new((const unsigned char *)"the sample nonce", MOST);
    uint64_t told = 14695981039346656037U;
    bool is_over = false;
    if (is_open)
        websocket_feed(w, span_of(ANSWER));
    for (size_t at = 0; at <= in.len && !is_over; at += step) {
        struct websocket_in got;
        struct err err = ERR_INIT;
        size_t left = in.len - at;
        websocket_feed(w, (struct span){in.at + at, step < left ? step : left});
        for (enum websocket_event e;
             !is_over && (e = websocket_next(w, &got, &err)) != WEBSOCKET_MORE;) {
            if (got.payload.len > MOST || (e == WEBSOCKET_BROKEN) != (err.text[0] != '\0'))
                abort();
            told = (told ^ (uint64_t)e) * 1099511628211U;
            for (size_t i = 0; i < got.payload.len; i++)
                told = (told ^ (unsigned char)got.payload.at[i]) * 1099511628211U;
            is_over = e == WEBSOCKET_CLOSED || e == WEBSOCKET_BROKEN;
        }
    }
    websocket_free(w);
    return told;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    if (len == 0)
        return 0;
    struct span in = {(const char *)bytes + 1, len - 1};
    bool is_open = bytes[0] & 0x80;
    if (tell(in, 1 + (bytes[0] & 0x1F), is_open) != tell(in, len, is_open))
        abort();
    return 0;
}
