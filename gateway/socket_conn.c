/* See socket_conn.h, and facts of libwebsockets 4.1: callbacks come inside lws_service(); a timer
 * alone does not make it return; after a failed connect the wsi is gone. */
#include "gateway/socket_conn.h"

#include "gateway/base/strbuf.h"
#include "gateway/base/text.h"

#include <libwebsockets.h>
#include <string.h>

/* One frame on its way out; libwebsockets writes its head in front of the bytes. */
struct unsent {
    struct unsent *next;
    enum socket_frame frame;
    size_t len;
    unsigned char room[]; /* LWS_PRE, then the bytes */
};

/* Something that happened and is not told yet. */
struct happening {
    struct happening *next;
    enum socket_event event;
    size_t len;
    char text[];
};

struct socket_group {
    struct lws_context *context;
    struct lws_vhost *direct, *proxied; /* proxied NULL: there is no proxy */
    struct socket_group_config config;
    lws_sorted_usec_list_t tick;
};

struct socket_conn {
    struct socket_group *group;
    struct lws *wsi; /* NULL: not connected (any more) */
    bool is_open, is_over, end_told, is_held;
    char why[ERR_TEXT_SIZE];
    struct unsent *first, **end;
    struct happening *happened, **happened_end, *told;
    char *message; /* the pieces so far */
    size_t len, room;
};

/* ---- what happened ------------------------------------------------------------------------ */

static void *need(void *memory)
{
    if (memory == NULL)
        abort();
    return memory;
}

static void add_happening(struct socket_conn *c, enum socket_event event, struct span text)
{
    struct happening *h = need(calloc(1, sizeof *h + text.len + 1));
    h->event = event;
    h->len = text.len;
    if (text.len > 0)
        memcpy(h->text, text.at, text.len);
    *c->happened_end = h;
    c->happened_end = &h->next;
}

/* The first reason counts. */
static void end(struct socket_conn *c, const char *why)
{
    c->wsi = NULL;
    if (!c->is_over)
        snprintf(c->why, sizeof c->why, "%s", why);
    c->is_over = true;
}

static bool add_piece(struct socket_conn *c, const char *at, size_t len)
{
    if (len > c->group->config.max_message - c->len)
        return false;
    if (c->len + len > c->room) {
        c->room = 2 * (c->len + len);
        c->message = need(realloc(c->message, c->room));
    }
    memcpy(c->message + c->len, at, len);
    c->len += len;
    return true;
}

/* Nonzero: it is to be closed. */
static int receive(struct socket_conn *c, struct lws *wsi, const char *at, size_t len)
{
    if (lws_frame_is_binary(wsi) || !add_piece(c, at, len)) {
        end(c, lws_frame_is_binary(wsi) ? "the peer sent what is no text"
                                        : "the peer sent a message that is too long");
        return -1;
    }
    if (!lws_is_final_fragment(wsi) || lws_remaining_packet_payload(wsi) > 0)
        return 0;
    add_happening(c, SOCKET_TEXT, (struct span){c->message, c->len});
    c->len = 0;
    return 0;
}

static int write_next(struct socket_conn *c, struct lws *wsi)
{
    struct unsent *u = c->first;
    if (u == NULL)
        return 0;
    c->first = u->next;
    if (c->first == NULL)
        c->end = &c->first;
    bool goodbye = u->frame == SOCKET_SEND_GOODBYE, ok = true;
    if (!goodbye)
        ok = lws_write(wsi, u->room + LWS_PRE, u->len,
                       u->frame == SOCKET_SEND_PING ? LWS_WRITE_PING : LWS_WRITE_TEXT) >=
             (int)u->len;
    free(u);
    if (goodbye)
        lws_close_reason(wsi, LWS_CLOSE_STATUS_NORMAL, NULL, 0);
    else if (ok && c->first != NULL)
        lws_callback_on_writable(wsi);
    return goodbye || !ok ? -1 : 0;
}

static void take_goodbye(struct socket_conn *c, const unsigned char *in, size_t len)
{
    char why[64];
    snprintf(why, sizeof why, "the peer closed it (%d)", len >= 2 ? in[0] << 8 | in[1] : 1005);
    struct lws *wsi = c->wsi;
    end(c, why);
    c->wsi = wsi; /* libwebsockets answers it first */
}

static int on_socket(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in,
                     size_t len)
{
    struct socket_conn *c = lws_get_opaque_user_data(wsi);
    (void)user;
    if (c == NULL) /* nobody's any more */
        return reason == LWS_CALLBACK_CLIENT_RECEIVE || reason == LWS_CALLBACK_CLIENT_WRITEABLE ? -1
                                                                                                : 0;
    switch ((int)reason) {
    case LWS_CALLBACK_CLIENT_ESTABLISHED:
        c->is_open = true;
        add_happening(c, SOCKET_HEARD, (struct span){"", 0});
        lws_callback_on_writable(wsi);
        return 0;
    case LWS_CALLBACK_CLIENT_CONNECTION_ERROR:
        end(c, in == NULL ? "it cannot be reached" : (const char *)in);
        return 0;
    case LWS_CALLBACK_CLIENT_RECEIVE:
        return receive(c, wsi, in, len);
    case LWS_CALLBACK_CLIENT_RECEIVE_PONG:
        add_happening(c, SOCKET_HEARD, (struct span){"", 0});
        return 0;
    case LWS_CALLBACK_CLIENT_WRITEABLE:
        return write_next(c, wsi);
    case LWS_CALLBACK_WS_PEER_INITIATED_CLOSE:
        take_goodbye(c, in, len);
        return 0;
    case LWS_CALLBACK_CLIENT_CLOSED:
    case LWS_CALLBACK_WSI_DESTROY:
        end(c, "the connection was closed");
        return 0;
    }
    return 0; /* libwebsockets has many more */
}

/* ---- the group ---------------------------------------------------------------------------- */

static const struct lws_protocols protocols[] = {
    {.name = "socket", .callback = on_socket, .rx_buffer_size = 16384}, {0}};

static void on_tick(lws_sorted_usec_list_t *sul)
{
    lws_cancel_service(lws_container_of(sul, struct socket_group, tick)->context);
}

struct socket_group *socket_group_new(const struct socket_group_config *config, struct err *err)
{
    struct socket_group *g = need(calloc(1, sizeof *g));
    struct lws_context_creation_info info = {
        .port = CONTEXT_PORT_NO_LISTEN,
        .protocols = protocols,
        .gid = (gid_t)-1,
        .uid = (uid_t)-1,
        .client_ssl_ca_filepath = config->ca_file,
        .options = LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT | LWS_SERVER_OPTION_EXPLICIT_VHOSTS,
    };
    g->config = *config;
    g->context = lws_create_context(&info);
    if (g->context != NULL) {
        info.vhost_name = "direct";
        info.http_proxy_address = "none:0"; /* port 0: none, and not the environment's either */
        g->direct = lws_create_vhost(g->context, &info);
    }
    if (g->direct != NULL && config->proxy != NULL && *config->proxy != '\0') {
        info.vhost_name = "proxied";
        info.http_proxy_address = config->proxy + (text_starts(config->proxy, "http://") ? 7 : 0);
        g->proxied = lws_create_vhost(g->context, &info);
    }
    if (g->direct != NULL &&
        (g->proxied != NULL || config->proxy == NULL || *config->proxy == '\0'))
        return g;
    fail(err, ERR_INVALID, "no context for sockets: is %s a file of certificates?",
         config->ca_file == NULL ? "the system's store" : config->ca_file);
    socket_group_free(g);
    return NULL;
}

void socket_group_free(struct socket_group *g)
{
    if (g == NULL)
        return;
    if (g->context != NULL)
        lws_context_destroy(g->context);
    free(g);
}

void socket_group_wait(struct socket_group *g, int64_t timeout_ms)
{
    lws_sul_schedule(g->context, 0, &g->tick, on_tick, timeout_ms * LWS_US_PER_MS + 1);
    (void)lws_service(g->context, 0);
}

void socket_group_wake(struct socket_group *g)
{
    lws_cancel_service(g->context);
}

/* ---- connections -------------------------------------------------------------------------- */

/* "a.test" for itself and what is under it; "*" for all. */
static bool is_direct(const struct socket_group *g, const char *host)
{
    const char *list = g->config.no_proxy;
    size_t host_len = strlen(host);
    while (list != NULL && *list != '\0') {
        list += strspn(list, ", .");
        size_t len = strcspn(list, ", ");
        if (len == 1 && *list == '*')
            return true;
        if (len > 0 && len <= host_len && strncasecmp(host + host_len - len, list, len) == 0 &&
            (len == host_len || host[host_len - len - 1] == '.'))
            return true;
        list += len;
    }
    return false;
}

struct socket_conn *socket_conn_open(struct socket_group *g, const char *url, struct err *err)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    const char *scheme, *host, *path;
    int port;
    if ((!text_starts(url, "wss://") && !text_starts(url, "ws://")) ||
        strpbrk(url, " \r\n\t") != NULL ||
        lws_parse_uri(arena_strdup(&a, url), &scheme, &host, &port, &path) != 0) {
        fail(err, ERR_INVALID, "the address is none of a WebSocket");
        return NULL;
    }
    bool tls = strcmp(scheme, "wss") == 0;
    struct socket_conn *c = need(calloc(1, sizeof *c));
    c->group = g;
    c->end = &c->first;
    c->happened_end = &c->happened;
    struct lws_client_connect_info info = {
        .context = g->context,
        .vhost = g->proxied != NULL && !is_direct(g, host) ? g->proxied : g->direct,
        .address = host,
        .port = port,
        .path = arena_printf(&a, "/%s", path),
        .host = port == (tls ? 443 : 80) ? host : arena_printf(&a, "%s:%d", host, port),
        .ssl_connection = tls ? LCCSCF_USE_SSL : 0,
        .local_protocol_name = protocols[0].name,
        .pwsi = &c->wsi,
        .opaque_user_data = c,
    };
    if (lws_client_connect_via_info(&info) == NULL)
        end(c, "it cannot be reached");
    return c;
}

static void free_all(struct socket_conn *c)
{
    for (struct unsent *u = c->first, *next; u != NULL; u = next) {
        next = u->next;
        free(u);
    }
    for (struct happening *h = c->happened, *next; h != NULL; h = next) {
        next = h->next;
        free(h);
    }
    free(c->told);
    free(c->message);
    free(c);
}

void socket_conn_free(struct socket_conn *c)
{
    if (c == NULL)
        return;
    if (c->wsi != NULL) {
        lws_set_opaque_user_data(c->wsi, NULL);
        lws_set_timeout(c->wsi, PENDING_TIMEOUT_USER_OK, LWS_TO_KILL_ASYNC);
    }
    free_all(c);
}

enum socket_event socket_conn_next(struct socket_conn *c, struct span *text, const char **why)
{
    free(TAKE(c->told));
    struct happening *h = c->happened;
    if (h != NULL) {
        c->happened = h->next;
        if (c->happened == NULL)
            c->happened_end = &c->happened;
        c->told = h;
        *text = (struct span){h->text, h->len};
        return h->event;
    }
    if (!c->is_over || c->end_told)
        return SOCKET_NOTHING;
    c->end_told = true;
    *why = c->why;
    return SOCKET_ENDED;
}

void socket_conn_send(struct socket_conn *c, enum socket_frame frame, struct span payload)
{
    if (!c->is_open || c->wsi == NULL || c->is_over)
        return;
    struct unsent *u = need(calloc(1, sizeof *u + LWS_PRE + payload.len + 1));
    u->frame = frame;
    u->len = payload.len;
    if (payload.len > 0)
        memcpy(u->room + LWS_PRE, payload.at, payload.len);
    *c->end = u;
    c->end = &u->next;
    lws_callback_on_writable(c->wsi);
}

bool socket_conn_has_unsent(const struct socket_conn *c)
{
    return c->first != NULL && c->wsi != NULL && !c->is_over;
}

void socket_conn_hold(struct socket_conn *c, bool hold)
{
    if (c->wsi == NULL || c->is_held == hold)
        return;
    c->is_held = hold;
    lws_rx_flow_control(c->wsi, hold ? 0 : 1);
}
