/* HTTP/1.x requests from bytes (libhttp-parser inside). Pure; one thread at a time.
 *
 * Stricter than the library: what two parsers could read in two ways is refused, not repaired
 * (bare LF, folded lines, space before the colon, Content-Length beside Transfer-Encoding, two
 * Hosts …). Limits: HTTP_MAX_TARGET, HTTP_MAX_HEADERS, HTTP_MAX_HEADER_BYTES, and the body limit
 * that the caller sets once it has seen the headers.
 *
 * Use: feed bytes; on HTTP_PARSE_HEAD look at the message and set the body limit; on
 * HTTP_PARSE_COMPLETE take the message; feed the rest of the bytes (pipelined requests). */
#pragma once

#include "gateway/base/arena.h"

enum {
    HTTP_MAX_TARGET = 8192,
    HTTP_MAX_HEADERS = 100,
    HTTP_MAX_HEADER_BYTES = 16384, /* names, values and line ends of all of them */
};

struct http_header {
    const char *name;  /* lower case */
    const char *value; /* without the spaces around it; bytes as they came, maybe not UTF-8 */
};

struct http_message {
    struct arena arena; /* owns all below */
    const char *method; /* GET HEAD POST PUT PATCH DELETE OPTIONS */
    const char *target; /* as it came: what signatures over the URL are made of */
    const char *path;   /* the target up to '?', not decoded; begins with '/', or is "*" */
    const char *query;  /* after '?', not decoded; "" when there is none */
    const struct http_header *headers;
    size_t n_headers;
    struct span body;      /* decoded from chunks; NUL-terminated beyond its length */
    bool has_body;         /* a body of at least one byte is announced */
    bool expects_continue; /* the client waits for "100 Continue" before it sends the body */
    bool keep_alive;
};

enum http_parse_event {
    HTTP_PARSE_MORE,     /* all bytes are used; feed more */
    HTTP_PARSE_HEAD,     /* the headers are complete; http_parse_message() may be read */
    HTTP_PARSE_COMPLETE, /* so is the body; call http_parse_take() before feeding on */
    HTTP_PARSE_REFUSED,  /* for good: answer http_parse_status() and close */
};

struct http_parse;

struct http_parse *http_parse_new(void);
void http_parse_free(struct http_parse *p); /* NULL is fine */

/* Uses up `bytes` from the front, up to the next event. */
enum http_parse_event http_parse_feed(struct http_parse *p, struct span *bytes);

/* Valid from HTTP_PARSE_HEAD until the message is taken; `body` only once it is complete. */
const struct http_message *http_parse_message(const struct http_parse *p);

/* To be called at HTTP_PARSE_HEAD; without it no body is allowed. False: the announced length is
 * already over it, the request is refused with 413 (chunked ones are when they pass it). */
bool http_parse_limit_body(struct http_parse *p, size_t max_body) NODISCARD;

/* Moves the complete message to the caller, who ends out->arena. The parser is ready for the next
 * request. */
void http_parse_take(struct http_parse *p, struct http_message *out);

/* Memory that the body takes now, in bytes. */
size_t http_parse_held(const struct http_parse *p);
/* True between two requests, when nothing of the next one came. */
bool http_parse_is_idle(const struct http_parse *p);

/* After HTTP_PARSE_REFUSED: 400, 413, 414, 417, 431, 501 or 505, and a sentence for the sender. */
int http_parse_status(const struct http_parse *p);
const char *http_parse_reason(const struct http_parse *p);

/* The first value of a header (lower-case name), or NULL. */
const char *http_header_find(const struct http_header *headers, size_t n_headers, const char *name);
