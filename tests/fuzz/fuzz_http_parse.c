/* Reaches: http_parse.c wholly. The first byte says in which pieces the rest is fed: however it is
 * cut, the outcome must be the same, which is checked here. */
#include "gateway/base/http_parse.h"

#include <string.h>

enum { MAX_BODY = 2000 };

/* What is compared: a hash of all that the parser gave out. */
static uint64_t mix(uint64_t hash, const void *data, size_t len)
{
    const unsigned char *bytes = data;
    for (size_t i = 0; i < len; i++)
        hash = (hash ^ bytes[i]) * 0x100000001b3;
    return hash * 31 + len;
}

static uint64_t mix_text(uint64_t hash, const char *text)
{
    return mix(hash, text, strlen(text));
}

static uint64_t mix_message(uint64_t hash, const struct http_message *m)
{
    hash = mix_text(hash, m->method);
    hash = mix_text(hash, m->target);
    hash = mix_text(hash, m->path);
    hash = mix_text(hash, m->query);
    for (size_t i = 0; i < m->n_headers; i++)
        hash = mix_text(mix_text(hash, m->headers[i].name), m->headers[i].value);
    hash = mix(hash, m->body.at, m->body.len);
    if (m->body.at[m->body.len] != '\0')
        abort();
    return mix(hash, &m->keep_alive, sizeof m->keep_alive);
}

static uint64_t take(uint64_t hash, struct http_parse *p)
{
    struct http_message m;
    http_parse_take(p, &m);
    hash = mix_message(hash, &m);
    if (m.body.len > MAX_BODY)
        abort();
    arena_done(&m.arena);
    return hash;
}

/* Feeds one piece; false when the parser refused for good. */
static bool feed(struct http_parse *p, struct span piece, uint64_t *hash)
{
    for (;;) {
        switch (http_parse_feed(p, &piece)) {
        case HTTP_PARSE_MORE:
            if (piece.len != 0)
                abort();
            return true;
        case HTTP_PARSE_HEAD:
            if (!http_parse_limit_body(p, MAX_BODY) && http_parse_status(p) != 413)
                abort();
            break;
        case HTTP_PARSE_COMPLETE:
            *hash = take(*hash, p);
            break;
        case HTTP_PARSE_REFUSED:
            if (http_parse_status(p) < 400 || http_parse_reason(p)[0] == '\0')
                abort();
            return false;
        }
    }
}

static uint64_t run(const uint8_t *data, size_t size, size_t piece)
{
    struct http_parse *p = http_parse_new();
    uint64_t hash = 0xcbf29ce484222325;
    bool going = true;
    for (size_t at = 0; at < size && going; at += piece) {
        size_t len = size - at < piece ? size - at : piece;
        /* A copy of its own, so that nothing can be read beside it. */
        char *copy = malloc(len);
        if (copy == NULL)
            abort();
        memcpy(copy, data + at, len);
        going = feed(p, (struct span){copy, len}, &hash);
        free(copy);
    }
    hash = mix(hash, &going, sizeof going);
    http_parse_free(p);
    return hash;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1)
        return 0;
    size_t piece = data[0] % 61 + 1;
    if (run(data + 1, size - 1, size) != run(data + 1, size - 1, piece))
        abort();
    return 0;
}
