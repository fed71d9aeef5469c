/* See http_parse.h.
 *
 * The head (request line and headers) is collected in one buffer and read twice, byte by byte as it
 * comes: by a strict scan of our own (line ends, folding, control characters, lengths) and by
 * libhttp-parser. They must agree where it ends. In chunked bodies the bytes between the data get
 * the same check of line ends. */
#include "gateway/base/http_parse.h"

#include <http_parser.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

enum {
    MAX_METHOD = 16,
    MAX_FIRST_LINE = HTTP_MAX_TARGET + MAX_METHOD + 16,
    MAX_HEAD = MAX_FIRST_LINE + HTTP_MAX_HEADER_BYTES + 4,
    MAX_FRAMING = 16384, /* trailers and, beyond 1:1 to the data, sizes of chunks */
    KEPT_HEAD = 4096,    /* of the buffer, between two requests */
};

enum state { READING_HEAD, HEAD_DONE, READING_BODY, COMPLETE, REFUSED };

struct piece {
    uint32_t at, len;
};

struct http_parse {
    enum state state;
    http_parser parser;

    char *head;
    size_t head_len, head_room;
    size_t line_start, first_line_end; /* first_line_end 0: not there yet */
    bool after_cr, head_ended, parser_ended;
    struct piece target;
    struct {
        struct piece name, value;
    } fields[HTTP_MAX_HEADERS];
    size_t n_fields;
    bool in_value;

    char *body;
    size_t body_len, body_room, max_body;
    size_t framing;        /* bytes that were no data */
    const char *unchecked; /* framing of the current feed begins here */
    bool chunked;          /* the parser's own flag is changed by a trailer Transfer-Encoding */
    bool framing_after_cr, body_ended;

    struct http_message message;
    int status;
    char reason[160];
};

/* The first refusal stands. Always false. */
static bool refuse(struct http_parse *p, int status, const char *fmt, ...) PRINTF(3, 4);
static bool refuse(struct http_parse *p, int status, const char *fmt, ...)
{
    if (p->state == REFUSED)
        return false;
    va_list args;
    va_start(args, fmt);
    vsnprintf(p->reason, sizeof p->reason, fmt, args);
    va_end(args);
    p->status = status;
    p->state = REFUSED;
    return false;
}

/* What a callback returns to libhttp-parser. */
static int stop(bool ok)
{
    return ok ? 0 : -1;
}

/* --- what libhttp-parser calls ------------------------------------------------------------- */

static void extend(struct http_parse *p, struct piece *piece, const char *at, size_t len)
{
    if (piece->len == 0)
        piece->at = (uint32_t)(at - p->head);
    piece->len += (uint32_t)len;
}

static int on_url(http_parser *parser, const char *at, size_t len)
{
    struct http_parse *p = parser->data;
    extend(p, &p->target, at, len);
    return 0;
}

static int on_header_field(http_parser *parser, const char *at, size_t len)
{
    struct http_parse *p = parser->data;
    if (p->state != READING_HEAD) /* a trailer: read and forgotten */
        return 0;
    if (p->n_fields == 0 || p->in_value) {
        if (p->n_fields == HTTP_MAX_HEADERS)
            return stop(refuse(p, 431, "there are more than %d headers", HTTP_MAX_HEADERS));
        p->n_fields++;
        p->in_value = false;
    }
    extend(p, &p->fields[p->n_fields - 1].name, at, len);
    return 0;
}

static int on_header_value(http_parser *parser, const char *at, size_t len)
{
    struct http_parse *p = parser->data;
    if (p->state != READING_HEAD)
        return 0;
    p->in_value = true;
    extend(p, &p->fields[p->n_fields - 1].value, at, len);
    return 0;
}

static int on_headers_complete(http_parser *parser)
{
    struct http_parse *p = parser->data;
    p->parser_ended = true;
    http_parser_pause(parser, 1);
    return 0;
}

/* In the bytes between the data of chunks, CR and LF come together or not at all. */
static bool check_framing(struct http_parse *p, const char *end)
{
    for (const char *c = p->unchecked; c < end; c++) {
        if (p->framing_after_cr != (*c == '\n'))
            return refuse(p, 400, "a line of the chunked body does not end in CR LF");
        p->framing_after_cr = *c == '\r';
    }
    p->framing += (size_t)(end - p->unchecked);
    if (p->framing > MAX_FRAMING + p->body_len)
        return refuse(p, 413, "the chunked body has more framing than data");
    return true;
}

static void grow_body(struct http_parse *p, size_t needed)
{
    size_t room = p->body_room * 2;
    /* An announced length is believed only as far as bytes have come. */
    room = room < 4096 ? 4096 : room > p->max_body ? p->max_body : room;
    room = room < needed ? needed : room;
    p->body = realloc(p->body, room + 1);
    if (p->body == NULL)
        abort();
    p->body_room = room;
}

static int on_body(http_parser *parser, const char *at, size_t len)
{
    struct http_parse *p = parser->data;
    if (p->chunked && !check_framing(p, at))
        return -1;
    p->unchecked = at + len;
    if (len > p->max_body - p->body_len)
        return stop(refuse(p, 413, "the body is over the limit of %zu bytes", p->max_body));
    if (p->body_len + len > p->body_room)
        grow_body(p, p->body_len + len);
    memcpy(p->body + p->body_len, at, len);
    p->body_len += len;
    return 0;
}

static int on_message_complete(http_parser *parser)
{
    struct http_parse *p = parser->data;
    p->body_ended = true;
    p->message.keep_alive = http_should_keep_alive(parser) != 0;
    http_parser_pause(parser, 1);
    return 0;
}

static const http_parser_settings callbacks = {
    .on_url = on_url,
    .on_header_field = on_header_field,
    .on_header_value = on_header_value,
    .on_headers_complete = on_headers_complete,
    .on_body = on_body,
    .on_message_complete = on_message_complete,
};

/* --- the head ------------------------------------------------------------------------------ */

static bool refuse_as_parser_says(struct http_parse *p)
{
    enum http_errno no = HTTP_PARSER_ERRNO(&p->parser);
    bool is_word = p->head_len > 0 && p->head[0] >= 'A' && p->head[0] <= 'Z';
    if (no == HPE_INVALID_METHOD && is_word)
        return refuse(p, 501, "this method is not supported");
    if (no == HPE_INVALID_VERSION)
        return refuse(p, 505, "only HTTP/1.0 and HTTP/1.1 are spoken here");
    if (no == HPE_HEADER_OVERFLOW)
        return refuse(p, 431, "the headers are too long");
    return refuse(p, 400, "this is no valid request: %s", http_errno_description(no));
}

/* A line has ended at head_len; `line_len` is without its CR LF. */
static bool end_line(struct http_parse *p)
{
    size_t line_len = p->head_len - p->line_start - 2;
    if (p->first_line_end == 0) {
        p->first_line_end = p->head_len;
    } else if (line_len == 0) {
        p->head_ended = true;
    } else {
        char first = p->head[p->line_start];
        if (first == ' ' || first == '\t')
            return refuse(p, 400, "a header is folded over several lines");
    }
    p->line_start = p->head_len;
    return true;
}

static bool scan_control(struct http_parse *p, char c)
{
    if (p->after_cr != (c == '\n'))
        return refuse(p, 400, "a line of the headers does not end in CR LF");
    p->after_cr = c == '\r';
    bool tab = c == '\t' && p->first_line_end > 0;
    if (((unsigned char)c < 0x20 && c != '\r' && c != '\n' && !tab) || c == 0x7F)
        return refuse(p, 400, "there is a control character in the headers");
    return true;
}

static bool scan_length(struct http_parse *p)
{
    if (p->first_line_end == 0 && p->head_len > MAX_FIRST_LINE)
        return refuse(p, 414, "the target is longer than %d bytes", HTTP_MAX_TARGET);
    if (p->first_line_end > 0 && p->head_len - p->first_line_end > HTTP_MAX_HEADER_BYTES + 2)
        return refuse(p, 431, "the headers are longer than %d bytes in all", HTTP_MAX_HEADER_BYTES);
    return true;
}

/* Puts one byte of the head into the buffer. False: refused. */
static bool scan(struct http_parse *p, char c)
{
    if (!scan_control(p, c))
        return false;
    p->head[p->head_len++] = c;
    if (!scan_length(p))
        return false;
    return c != '\n' || end_line(p);
}

/* RFC 9112 2.2: an empty line before the request line is ignored. */
static void skip_empty_line(struct http_parse *p)
{
    p->head_len = p->line_start = p->first_line_end = 0;
}

static void reserve_head(struct http_parse *p, size_t more)
{
    size_t needed = p->head_len + more;
    needed = needed > MAX_HEAD ? MAX_HEAD : needed;
    if (needed <= p->head_room)
        return;
    size_t room = needed < 1024 ? 1024 : needed * 2 > MAX_HEAD ? MAX_HEAD : needed * 2;
    char *grown = realloc(p->head, room);
    if (grown == NULL)
        abort();
    p->head = grown;
    p->head_room = room;
}

static bool is_token_character(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c != '\0' && strchr("!#$%&'*+-.^_`|~", c) != NULL);
}

static bool is_method(const char *method)
{
    static const char *const methods[] = {"GET",   "HEAD",   "POST",   "PUT",
                                          "PATCH", "DELETE", "OPTIONS"};
    for (size_t i = 0; i < COUNT(methods); i++)
        if (strcmp(methods[i], method) == 0)
            return true;
    return false;
}

static bool read_target(struct http_parse *p)
{
    struct http_message *m = &p->message;
    if (p->target.len > HTTP_MAX_TARGET)
        return refuse(p, 414, "the target is longer than %d bytes", HTTP_MAX_TARGET);
    m->target = arena_strndup(&m->arena, p->head + p->target.at, p->target.len);
    bool asterisk = strcmp(m->target, "*") == 0 && strcmp(m->method, "OPTIONS") == 0;
    if (m->target[0] != '/' && !asterisk)
        return refuse(p, 400, "the target must begin with '/'");
    for (const char *c = m->target; *c != '\0'; c++)
        if ((unsigned char)*c <= 0x20 || (unsigned char)*c >= 0x7F || *c == '#')
            return refuse(p, 400, "there is a character in the target that must be encoded");
    const char *mark = strchr(m->target, '?');
    size_t path_len = mark != NULL ? (size_t)(mark - m->target) : p->target.len;
    m->path = arena_strndup(&m->arena, m->target, path_len);
    m->query = mark != NULL ? mark + 1 : "";
    return true;
}

static bool read_fields(struct http_parse *p)
{
    struct http_message *m = &p->message;
    struct http_header *headers = ARENA_ARRAY(&m->arena, struct http_header, p->n_fields);
    for (size_t i = 0; i < p->n_fields; i++) {
        struct piece name = p->fields[i].name, value = p->fields[i].value;
        char *lower = arena_strndup(&m->arena, p->head + name.at, name.len);
        for (char *c = lower; *c != '\0'; c++) {
            if (!is_token_character(*c))
                return refuse(p, 400, "there is a character in a header's name that may not be");
            if (*c >= 'A' && *c <= 'Z')
                *c = (char)(*c + 'a' - 'A');
        }
        while (value.len > 0 && strchr(" \t", p->head[value.at + value.len - 1]) != NULL)
            value.len--;
        headers[i].name = lower;
        headers[i].value = arena_strndup(&m->arena, p->head + value.at, value.len);
    }
    m->headers = headers;
    m->n_headers = p->n_fields;
    return true;
}

/* What two readers could take differently may come once. */
static bool check_single(struct http_parse *p)
{
    static const char *const single[] = {"host",         "content-length", "transfer-encoding",
                                         "content-type", "authorization",  "expect"};
    const struct http_message *m = &p->message;
    for (size_t i = 0; i < COUNT(single); i++) {
        size_t n = 0;
        for (size_t j = 0; j < m->n_headers; j++)
            n += strcmp(m->headers[j].name, single[i]) == 0;
        if (n > 1)
            return refuse(p, 400, "the header %s is there twice", single[i]);
    }
    return true;
}

static bool check_host(struct http_parse *p)
{
    const char *host = http_header_find(p->message.headers, p->message.n_headers, "host");
    if (host == NULL && p->parser.http_minor >= 1)
        return refuse(p, 400, "the header host is missing");
    if (host != NULL && strpbrk(host, " \t/@,?#\\") != NULL)
        return refuse(p, 400, "the header host is no host");
    return true;
}

static bool check_framing_headers(struct http_parse *p)
{
    struct http_message *m = &p->message;
    const char *coding = http_header_find(m->headers, m->n_headers, "transfer-encoding");
    const char *length = http_header_find(m->headers, m->n_headers, "content-length");
    if (coding != NULL && length != NULL)
        return refuse(p, 400, "content-length and transfer-encoding exclude each other");
    if (coding != NULL && p->parser.http_minor < 1)
        return refuse(p, 400, "HTTP/1.0 knows no transfer-encoding");
    if (coding != NULL && strcasecmp(coding, "chunked") != 0)
        return refuse(p, 501, "the only transfer-encoding supported is chunked");
    if (length != NULL && (length[0] == '\0' || length[strspn(length, "0123456789")] != '\0'))
        return refuse(p, 400, "the content-length is no number");
    if ((coding != NULL) != ((p->parser.flags & F_CHUNKED) != 0))
        return refuse(p, 400, "the transfer-encoding is unclear");
    p->chunked = coding != NULL;
    m->has_body = coding != NULL || (length != NULL && p->parser.content_length > 0);
    return true;
}

static bool check_expect(struct http_parse *p)
{
    struct http_message *m = &p->message;
    const char *expect = http_header_find(m->headers, m->n_headers, "expect");
    if (expect == NULL || p->parser.http_minor < 1)
        return true;
    if (strcasecmp(expect, "100-continue") != 0)
        return refuse(p, 417, "the only expectation supported is 100-continue");
    m->expects_continue = m->has_body;
    return true;
}

static enum http_parse_event finish_head(struct http_parse *p)
{
    struct http_message *m = &p->message;
    m->method = http_method_str((enum http_method)p->parser.method);
    if (p->parser.http_major != 1 || p->parser.http_minor > 1)
        refuse(p, 505, "only HTTP/1.0 and HTTP/1.1 are spoken here");
    else if (!is_method(m->method))
        refuse(p, 501, "the method %s is not supported", m->method);
    bool ok = p->state != REFUSED && read_target(p) && read_fields(p) && check_single(p) &&
              check_host(p) && check_framing_headers(p) && check_expect(p);
    if (!ok)
        return HTTP_PARSE_REFUSED;
    p->state = HEAD_DONE;
    return HTTP_PARSE_HEAD;
}

/* Runs the parser over what the scan let through: up to and including the last byte of the head,
 * but for that last byte itself when the parser paused on it. */
static bool parse_head(struct http_parse *p, size_t from)
{
    size_t len = p->head_len - from;
    if (len == 0) /* to the library that means: the end */
        return true;
    size_t parsed = http_parser_execute(&p->parser, &callbacks, p->head + from, len);
    enum http_errno no = HTTP_PARSER_ERRNO(&p->parser);
    if (p->state == REFUSED)
        return false;
    if (no != HPE_OK && no != HPE_PAUSED)
        return refuse_as_parser_says(p);
    bool at_end = p->parser_ended && parsed + 1 == len;
    if (p->head_ended != p->parser_ended || (p->head_ended && !at_end))
        return refuse(p, 400, "it is unclear where the headers end");
    return true;
}

static enum http_parse_event feed_head(struct http_parse *p, struct span *bytes)
{
    size_t from = p->head_len, used = 0;
    reserve_head(p, bytes->len);
    while (used < bytes->len && !p->head_ended && scan(p, bytes->at[used])) {
        used++;
        if (p->first_line_end == 2) {
            skip_empty_line(p);
            from = 0;
        }
    }
    bytes->at += used;
    bytes->len -= used;
    /* What came before a refused byte is not parsed: the refusal stands. */
    if (p->state == REFUSED || !parse_head(p, from))
        return HTTP_PARSE_REFUSED;
    return p->head_ended ? finish_head(p) : HTTP_PARSE_MORE;
}

/* --- the body ------------------------------------------------------------------------------ */

static enum http_parse_event finish_body(struct http_parse *p)
{
    p->state = COMPLETE;
    return HTTP_PARSE_COMPLETE;
}

static enum http_parse_event run_body(struct http_parse *p, const char *at, size_t len,
                                      size_t *parsed)
{
    p->unchecked = at;
    *parsed = http_parser_execute(&p->parser, &callbacks, at, len);
    enum http_errno no = HTTP_PARSER_ERRNO(&p->parser);
    if (p->state == REFUSED)
        return HTTP_PARSE_REFUSED;
    if (no != HPE_OK && no != HPE_PAUSED) {
        refuse_as_parser_says(p);
        return HTTP_PARSE_REFUSED;
    }
    if (p->chunked && !check_framing(p, at + *parsed))
        return HTTP_PARSE_REFUSED;
    return p->body_ended ? finish_body(p) : HTTP_PARSE_MORE;
}

/* The parser paused on the last byte of the head: it gets that byte again. */
static enum http_parse_event leave_head(struct http_parse *p)
{
    http_parser_pause(&p->parser, 0);
    p->state = READING_BODY;
    size_t parsed;
    p->framing_after_cr = true; /* that byte is the LF after a CR */
    return run_body(p, p->head + p->head_len - 1, 1, &parsed);
}

static enum http_parse_event feed_body(struct http_parse *p, struct span *bytes)
{
    if (bytes->len == 0)
        return HTTP_PARSE_MORE;
    size_t parsed;
    enum http_parse_event event = run_body(p, bytes->at, bytes->len, &parsed);
    bytes->at += parsed;
    bytes->len -= parsed;
    return event;
}

/* --- for all ------------------------------------------------------------------------------- */

static void begin(struct http_parse *p)
{
    char *head = p->head;
    size_t head_room = p->head_room;
    if (head_room > KEPT_HEAD) {
        free(head);
        head = NULL;
        head_room = 0;
    }
    memset(p, 0, sizeof *p);
    p->head = head;
    p->head_room = head_room;
    http_parser_init(&p->parser, HTTP_REQUEST);
    p->parser.data = p;
}

struct http_parse *http_parse_new(void)
{
    struct http_parse *p = calloc(1, sizeof *p);
    if (p == NULL)
        abort();
    begin(p);
    return p;
}

void http_parse_free(struct http_parse *p)
{
    if (p == NULL)
        return;
    arena_done(&p->message.arena);
    free(p->body);
    free(p->head);
    free(p);
}

enum http_parse_event http_parse_feed(struct http_parse *p, struct span *bytes)
{
    switch (p->state) {
    case READING_HEAD:
        return bytes->len == 0 ? HTTP_PARSE_MORE : feed_head(p, bytes);
    case HEAD_DONE: {
        enum http_parse_event event = leave_head(p);
        return event == HTTP_PARSE_MORE ? feed_body(p, bytes) : event;
    }
    case READING_BODY:
        return feed_body(p, bytes);
    case COMPLETE:
        return HTTP_PARSE_COMPLETE;
    case REFUSED:
        return HTTP_PARSE_REFUSED;
    }
    UNREACHABLE();
}

const struct http_message *http_parse_message(const struct http_parse *p)
{
    return &p->message;
}

bool http_parse_limit_body(struct http_parse *p, size_t max_body)
{
    p->max_body = max_body;
    if (!p->chunked && p->message.has_body && p->parser.content_length > max_body)
        return refuse(p, 413, "the body is over the limit of %zu bytes", max_body);
    return true;
}

void http_parse_take(struct http_parse *p, struct http_message *out)
{
    struct http_message *m = &p->message;
    if (p->body == NULL) {
        m->body = (struct span){"", 0};
    } else {
        p->body[p->body_len] = '\0';
        m->body = (struct span){p->body, p->body_len};
        arena_defer(&m->arena, free, p->body);
        p->body = NULL;
    }
    *out = *m;
    begin(p);
}

size_t http_parse_held(const struct http_parse *p)
{
    return p->body_room;
}

bool http_parse_is_idle(const struct http_parse *p)
{
    return p->state == READING_HEAD && p->head_len == 0;
}

int http_parse_status(const struct http_parse *p)
{
    return p->status;
}

const char *http_parse_reason(const struct http_parse *p)
{
    return p->reason;
}

const char *http_header_find(const struct http_header *headers, size_t n_headers, const char *name)
{
    for (size_t i = 0; i < n_headers; i++)
        if (strcmp(headers[i].name, name) == 0)
            return headers[i].value;
    return NULL;
}
