/* See socket_conn.h. Each connection has a multi handle of its own: in a shared one, libcurl would
 * look at idle connections when it makes new ones, and close those with bytes to read. */
#include "gateway/socket_conn.h"

#include <curl/curl.h>
#include <openssl/rand.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

enum {
    READ_AT_ONCE = 16384,
    READS_AT_ONCE = 16, /* then others have their turn */
    MAX_WAITED_FOR = 64,
    OTHERS_MS = 20, /* while two connect at once, the second is looked at so often */
    WHY_SIZE = ERR_TEXT_SIZE,
};

/* A frame on its way out. Its bytes do not move: OpenSSL wants to see the same ones again. */
struct unsent {
    struct unsent *next;
    size_t len, sent;
    char at[];
};

struct socket_conn {
    CURLM *multi;
    CURL *easy;
    struct websocket *ws;
    struct arena arena; /* the address in its parts */
    const char *host, *target;
    unsigned char key[WEBSOCKET_KEY_SIZE];
    enum { CONNECTING, SHAKING_HANDS, OPEN, ENDED } state;
    bool is_over; /* no more bytes come; what is there is still read */
    bool end_told;
    bool may_have_more; /* the reads were stopped, not the bytes */
    char why[WHY_SIZE];
    struct unsent *first, **end;
};

static void random_bytes(unsigned char *out, int len)
{
    if (RAND_bytes(out, len) != 1)
        abort();
}

/* The first reason counts. */
static void end(struct socket_conn *c, const char *why)
{
    if (!c->is_over) {
        (void)snprintf(c->why, sizeof c->why, "%s", why);
        c->is_over = true;
    }
}

/* ---- the address -------------------------------------------------------------------------- */

static char *part(struct arena *a, CURLU *url, CURLUPart what)
{
    char *text = NULL;
    if (curl_url_get(url, what, &text, 0) != CURLUE_OK)
        return NULL;
    char *copy = arena_strdup(a, text);
    curl_free(text);
    return copy;
}

/* libcurl connects to https:// and http://; what is said then is ours. */
static bool read_address(struct socket_conn *c, const char *url, char **connect_to, struct err *err)
{
    bool tls = strncmp(url, "wss://", 6) == 0;
    if (!tls && strncmp(url, "ws://", 5) != 0)
        return fail(err, ERR_INVALID, "the address is none of a WebSocket");
    *connect_to = arena_printf(&c->arena, "%s%s", tls ? "https" : "http", strchr(url, ':'));
    CURLU *parts = curl_url();
    if (parts == NULL)
        abort();
    bool ok = curl_url_set(parts, CURLUPART_URL, *connect_to, 0) == CURLUE_OK;
    const char *host = ok ? part(&c->arena, parts, CURLUPART_HOST) : NULL;
    const char *port = ok ? part(&c->arena, parts, CURLUPART_PORT) : NULL;
    const char *path = ok ? part(&c->arena, parts, CURLUPART_PATH) : NULL;
    const char *query = ok ? part(&c->arena, parts, CURLUPART_QUERY) : NULL;
    curl_url_cleanup(parts);
    if (host == NULL || path == NULL || strpbrk(*connect_to, " \r\n\t") != NULL)
        return fail(err, ERR_INVALID, "the address cannot be read");
    c->host = port == NULL ? host : arena_printf(&c->arena, "%s:%s", host, port);
    c->target = query == NULL ? path : arena_printf(&c->arena, "%s?%s", path, query);
    return true;
}

/* ---- connecting --------------------------------------------------------------------------- */

#define SET(easy, option, value)                                     \
    do {                                                             \
        if (curl_easy_setopt((easy), (option), (value)) != CURLE_OK) \
            abort();                                                 \
    } while (0)

static void set_options(CURL *easy, const char *url, const struct socket_conn_config *config)
{
    SET(easy, CURLOPT_URL, url);
    SET(easy, CURLOPT_CONNECT_ONLY, 1L);
    SET(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    SET(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    SET(easy, CURLOPT_NOSIGNAL, 1L);
    SET(easy, CURLOPT_FRESH_CONNECT, 1L);
    SET(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)config->connect_timeout_ms);
    SET(easy, CURLOPT_PROXY, config->proxy != NULL ? config->proxy : "");
    SET(easy, CURLOPT_HTTPPROXYTUNNEL, 1L);
    if (config->no_proxy != NULL)
        SET(easy, CURLOPT_NOPROXY, config->no_proxy);
    if (config->ca_file != NULL)
        SET(easy, CURLOPT_CAINFO, config->ca_file);
}

struct socket_conn *socket_conn_open(const char *url, const struct socket_conn_config *config,
                                     struct err *err)
{
    struct socket_conn *c = calloc(1, sizeof *c);
    char *connect_to;
    if (c == NULL)
        abort();
    c->end = &c->first;
    random_bytes(c->key, sizeof c->key);
    if (!read_address(c, url, &connect_to, err)) {
        socket_conn_free(c);
        return NULL;
    }
    c->ws = websocket_new(c->key, config->max_message);
    c->multi = curl_multi_init();
    c->easy = curl_easy_init();
    if (c->multi == NULL || c->easy == NULL)
        abort();
    set_options(c->easy, connect_to, config);
    if (curl_multi_add_handle(c->multi, c->easy) != CURLM_OK)
        abort();
    return c;
}

void socket_conn_free(struct socket_conn *c)
{
    if (c == NULL)
        return;
    if (c->multi != NULL)
        curl_multi_remove_handle(c->multi, c->easy);
    curl_easy_cleanup(c->easy);
    curl_multi_cleanup(c->multi);
    websocket_free(c->ws);
    for (struct unsent *u = c->first, *next; u != NULL; u = next) {
        next = u->next;
        free(u);
    }
    arena_done(&c->arena);
    free(c);
}

static void queue_bytes(struct socket_conn *c, struct span bytes)
{
    struct unsent *u = malloc(sizeof *u + bytes.len);
    if (u == NULL)
        abort();
    *u = (struct unsent){.len = bytes.len};
    memcpy(u->at, bytes.at, bytes.len);
    *c->end = u;
    c->end = &u->next;
}

static void go_on_connecting(struct socket_conn *c)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    int running, left;
    curl_multi_perform(c->multi, &running);
    for (CURLMsg *m; (m = curl_multi_info_read(c->multi, &left)) != NULL;) {
        if (m->msg != CURLMSG_DONE)
            continue;
        if (m->data.result != CURLE_OK) {
            end(c, curl_easy_strerror(m->data.result));
            return;
        }
        const char *request = websocket_request(&a, c->host, c->target, c->key);
        queue_bytes(c, (struct span){request, strlen(request)});
        c->state = SHAKING_HANDS;
        c->may_have_more = true;
    }
}

/* ---- bytes -------------------------------------------------------------------------------- */

static void read_some(struct socket_conn *c)
{
    char buffer[READ_AT_ONCE / 2];
    c->may_have_more = false;
    for (int i = 0; i < READS_AT_ONCE; i++) {
        size_t n = 0;
        CURLcode code = curl_easy_recv(c->easy, buffer, sizeof buffer, &n);
        if (code == CURLE_AGAIN)
            return;
        if (code != CURLE_OK || n == 0) {
            end(c, code == CURLE_OK ? "the connection was closed" : curl_easy_strerror(code));
            return;
        }
        websocket_feed(c->ws, (struct span){buffer, n});
    }
    c->may_have_more = true;
}

static void write_some(struct socket_conn *c)
{
    while (c->first != NULL && !c->is_over) {
        struct unsent *u = c->first;
        size_t n = 0;
        CURLcode code = curl_easy_send(c->easy, u->at + u->sent, u->len - u->sent, &n);
        if (code == CURLE_AGAIN)
            return;
        if (code != CURLE_OK) {
            end(c, curl_easy_strerror(code));
            return;
        }
        u->sent += n;
        if (u->sent < u->len)
            continue;
        c->first = u->next;
        if (c->first == NULL)
            c->end = &c->first;
        free(u);
    }
}

void socket_conn_work(struct socket_conn *c, bool hold)
{
    if (c->state == CONNECTING && !c->is_over)
        go_on_connecting(c);
    if (c->state == CONNECTING || c->state == ENDED)
        return;
    write_some(c);
    if (!hold && !c->is_over)
        read_some(c);
}

/* ---- what the bytes say ------------------------------------------------------------------- */

static enum socket_event ended(struct socket_conn *c, const char **why)
{
    c->state = ENDED;
    if (c->end_told)
        return SOCKET_NOTHING;
    c->end_told = true;
    *why = c->why;
    return SOCKET_ENDED;
}

static enum socket_event take_goodbye(struct socket_conn *c, const struct websocket_in *in,
                                      const char **why)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    socket_conn_send(c, WEBSOCKET_CLOSE,
                     (struct span){in->payload.at, in->payload.len >= 2 ? 2 : 0});
    write_some(c);
    end(c, arena_printf(&a, "the peer closed it (%d)", in->code));
    return ended(c, why);
}

enum socket_event socket_conn_next(struct socket_conn *c, struct span *text, const char **why)
{
    struct websocket_in in;
    struct err err = ERR_INIT;
    if (c->state == ENDED)
        return SOCKET_NOTHING;
    switch (websocket_next(c->ws, &in, &err)) {
    case WEBSOCKET_MORE:
        return c->is_over ? ended(c, why) : SOCKET_NOTHING;
    case WEBSOCKET_OPENED:
        c->state = OPEN;
        return SOCKET_HEARD;
    case WEBSOCKET_MESSAGE:
        *text = in.payload;
        return SOCKET_TEXT;
    case WEBSOCKET_PINGED:
        socket_conn_send(c, WEBSOCKET_PONG, in.payload);
        return SOCKET_HEARD;
    case WEBSOCKET_IGNORED:
    case WEBSOCKET_PONGED:
        return SOCKET_HEARD;
    case WEBSOCKET_CLOSED:
        return take_goodbye(c, &in, why);
    case WEBSOCKET_BROKEN:
        c->is_over = false; /* this says more than that it was closed, too */
        c->why[0] = '\0';
        end(c, err.text);
        return ended(c, why);
    }
    UNREACHABLE();
}

void socket_conn_send(struct socket_conn *c, enum websocket_opcode opcode, struct span payload)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    unsigned char mask[4];
    if (c->state != OPEN)
        return;
    random_bytes(mask, sizeof mask);
    queue_bytes(c, websocket_frame(&a, opcode, payload, mask));
}

bool socket_conn_is_open(const struct socket_conn *c)
{
    return c->state == OPEN;
}

bool socket_conn_has_unsent(const struct socket_conn *c)
{
    return c->first != NULL && !c->is_over;
}

/* ---- waiting ------------------------------------------------------------------------------ */

static bool add_fd(const struct socket_conn *c, bool held, struct curl_waitfd *out)
{
    curl_socket_t fd = CURL_SOCKET_BAD;
    if (curl_easy_getinfo(c->easy, CURLINFO_ACTIVESOCKET, &fd) != CURLE_OK || fd == CURL_SOCKET_BAD)
        return false;
    *out = (struct curl_waitfd){.fd = fd};
    if (!held)
        out->events |= CURL_WAIT_POLLIN;
    if (c->first != NULL)
        out->events |= CURL_WAIT_POLLOUT;
    return out->events != 0;
}

/* One of those that connect lends its multi handle, which knows what it waits for itself. */
void socket_conn_wait(struct socket_conn *const *list, const bool *held, size_t n, int wake_fd,
                      int timeout_ms)
{
    struct curl_waitfd fds[MAX_WAITED_FOR] = {{.fd = wake_fd, .events = CURL_WAIT_POLLIN}};
    unsigned n_fds = 1;
    CURLM *connecting = NULL;
    for (size_t i = 0; i < n; i++) {
        const struct socket_conn *c = list[i];
        if (!held[i] && (c->is_over || c->may_have_more))
            timeout_ms = 0;
        if (c->state == CONNECTING) {
            if (connecting != NULL && timeout_ms > OTHERS_MS)
                timeout_ms = OTHERS_MS;
            connecting = c->multi;
        } else if (n_fds < MAX_WAITED_FOR && add_fd(c, held[i], &fds[n_fds])) {
            n_fds++;
        }
    }
    if (connecting != NULL) {
        curl_multi_poll(connecting, fds, n_fds, timeout_ms, NULL);
        return;
    }
    struct pollfd plain[MAX_WAITED_FOR];
    for (unsigned i = 0; i < n_fds; i++)
        plain[i] =
            (struct pollfd){.fd = fds[i].fd,
                            .events = (short)((fds[i].events & CURL_WAIT_POLLIN ? POLLIN : 0) |
                                              (fds[i].events & CURL_WAIT_POLLOUT ? POLLOUT : 0))};
    (void)poll(plain, n_fds, timeout_ms);
}
