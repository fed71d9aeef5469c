/* Answers (http_server.h): made by any thread, written as bytes by the server's. */
#include "gateway/http_answer.h"

#include "gateway/base/text.h"

#include <stdio.h>
#include <string.h>

static void answer_free(struct letter *letter)
{
    struct http_answer *answer = (struct http_answer *)letter;
    arena_done(&answer->arena);
    free(answer);
}

struct http_answer *http_answer_new(uint64_t conn, int status)
{
    struct http_answer *answer = calloc(1, sizeof *answer);
    if (answer == NULL)
        abort();
    answer->letter.free_fn = answer_free;
    answer->conn = conn;
    answer->status = status;
    return answer;
}

struct http_answer *http_answer_text(uint64_t conn, int status, const char *content_type,
                                     const char *text)
{
    struct http_answer *answer = http_answer_new(conn, status);
    size_t len = strlen(text);
    answer->body = (struct span){arena_strndup(&answer->arena, text, len), len};
    answer->content_type = content_type != NULL ? arena_strdup(&answer->arena, content_type)
                                                : "text/plain; charset=utf-8";
    return answer;
}

void http_answer_header(struct http_answer *answer, const char *name, const char *value)
{
    size_t n = answer->n_headers;
    struct http_header *grown = ARENA_ARRAY(&answer->arena, struct http_header, n + 1);
    if (n > 0)
        memcpy(grown, answer->headers, n * sizeof *grown);
    grown[n].name = arena_strdup(&answer->arena, name);
    grown[n].value = arena_strdup(&answer->arena, value);
    answer->headers = grown;
    answer->n_headers = n + 1;
}

static const char *status_text(int status)
{
    static const struct {
        int status;
        const char *text;
    } known[] = {
        {200, "OK"},
        {201, "Created"},
        {202, "Accepted"},
        {204, "No Content"},
        {301, "Moved Permanently"},
        {302, "Found"},
        {303, "See Other"},
        {304, "Not Modified"},
        {307, "Temporary Redirect"},
        {308, "Permanent Redirect"},
        {400, "Bad Request"},
        {401, "Unauthorized"},
        {403, "Forbidden"},
        {404, "Not Found"},
        {405, "Method Not Allowed"},
        {406, "Not Acceptable"},
        {408, "Request Timeout"},
        {409, "Conflict"},
        {410, "Gone"},
        {411, "Length Required"},
        {412, "Precondition Failed"},
        {413, "Content Too Large"},
        {414, "URI Too Long"},
        {415, "Unsupported Media Type"},
        {417, "Expectation Failed"},
        {422, "Unprocessable Content"},
        {428, "Precondition Required"},
        {429, "Too Many Requests"},
        {431, "Request Header Fields Too Large"},
        {500, "Internal Server Error"},
        {501, "Not Implemented"},
        {502, "Bad Gateway"},
        {503, "Service Unavailable"},
        {504, "Gateway Timeout"},
        {505, "HTTP Version Not Supported"},
    };
    for (size_t i = 0; i < COUNT(known); i++)
        if (known[i].status == status)
            return known[i].text;
    return "Other";
}

/* "Sun, 15 Mar 2026 10:00:00 GMT" (RFC 9110 5.6.7), out of "2026-03-15T10:00:00.000Z". */
static void date_text(struct arena *a, int64_t at_ms, char out[HTTP_DATE_SIZE])
{
    static const char days[] = "SunMonTueWedThuFriSat";
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    const char *iso = time_format(a, at_ms);
    size_t day = (size_t)((at_ms / 86400000 + 4) % 7); /* 1970 began on a Thursday */
    size_t month = (size_t)((iso[5] - '0') * 10 + iso[6] - '0' - 1);
    snprintf(out, HTTP_DATE_SIZE, "%.3s, %.2s %.3s %.4s %.8s GMT", days + 3 * day, iso + 8,
             months + 3 * month, iso, iso + 11);
}

static bool is_header_name(const char *name)
{
    static const char token[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                "!#$%&'*+-.^_`|~";
    return name != NULL && name[0] != '\0' && name[strspn(name, token)] == '\0';
}

static bool is_header_value(const char *value)
{
    for (const char *c = value; c != NULL && *c != '\0'; c++)
        if (((unsigned char)*c < 0x20 && *c != '\t') || *c == 0x7F)
            return false;
    return value != NULL;
}

bool http_answer_is_safe(const struct http_answer *answer)
{
    if (answer->status < 200 || answer->status > 599)
        return false;
    if (answer->content_type != NULL && !is_header_value(answer->content_type))
        return false;
    for (size_t i = 0; i < answer->n_headers; i++)
        if (!is_header_name(answer->headers[i].name) || !is_header_value(answer->headers[i].value))
            return false;
    return true;
}

void http_answer_head(const struct http_answer *answer, bool close, int64_t now_ms,
                      struct strbuf *out)
{
    char date[HTTP_DATE_SIZE];
    date_text(out->arena, now_ms, date);
    strbuf_addf(out, "HTTP/1.1 %d %s\r\nDate: %s\r\n", answer->status, status_text(answer->status),
                date);
    if (answer->content_type != NULL)
        strbuf_addf(out, "Content-Type: %s\r\n", answer->content_type);
    if (!answer->stream && answer->status != 204 && answer->status != 304)
        strbuf_addf(out, "Content-Length: %zu\r\n", answer->body.len);
    strbuf_addf(out, "Connection: %s\r\nX-Content-Type-Options: nosniff\r\n",
                close || answer->stream ? "close" : "keep-alive");
    for (size_t i = 0; i < answer->n_headers; i++)
        strbuf_addf(out, "%s: %s\r\n", answer->headers[i].name, answer->headers[i].value);
    strbuf_add(out, "\r\n");
}
