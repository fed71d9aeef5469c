/* See http_server.h. libwebsockets' raw role moves the bytes, http_conn.c says what they mean.
 *
 * We listen ourselves and let libwebsockets adopt what we accept: so stopping to listen, limits,
 * picking a port and error sentences are ours. Everything but the API runs on the server's thread,
 * inside lws_service(); other threads post letters and cancel its wait. */
#include "gateway/http_server.h"

#include "gateway/base/clock.h"
#include "gateway/base/log.h"
#include "gateway/http_conn.h"
#include "gateway/http_listen.h"
#include "gateway/thread.h"

#include <errno.h>
#include <fcntl.h>
#include <libwebsockets.h>
#include <openssl/ssl.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

enum {
    MAX_CONNECTIONS = 60000, /* a slot is 16 bits of a number */
    SPARE_FILES = 1024,      /* beside the connections: store, children, the client's sockets */
    ACCEPT_AT_ONCE = 64,
    WRITE_AT_ONCE = 64 * 1024,
    READ_AT_ONCE = 32 * 1024,
    MAX_TICK_MS = 250,
};

/* What other threads post. */
enum order { ORDER_ANSWER, ORDER_STREAM_SEND, ORDER_STREAM_END };

struct stream_order {
    struct letter letter;
    uint64_t conn;
    char text[];
};

/* libwebsockets' memory for a connection. */
struct session {
    struct socket_of_conn *socket;
};

struct socket_of_conn {
    struct http_conn *conn;
    struct lws *wsi;
    bool paused, shut;
};

struct http_server {
    struct http_house house;
    struct arena arena; /* the copy of the configuration */
    struct http_listener listener;
    struct lws_context *context;
    struct lws_vhost *vhost;
    struct lws *listen_wsi;
    struct mailbox *orders;
    pthread_t thread;
    pthread_mutex_t wake_lock;
    bool is_running;                /* the owner's: joined or not */
    atomic_int_fast64_t stop_by_ms; /* monotonic; 0: not stopping */
    lws_sorted_usec_list_t tick;
    bool is_ticking;
    struct socket_of_conn **slots;
    size_t n_slots, used_slots; /* used: the highest that was ever used, plus one */
    int spare_fd;               /* given up for a moment when files run out */
};

static struct http_server *server_of(struct lws *wsi)
{
    return lws_context_user(lws_get_context(wsi));
}

/* --- connections --------------------------------------------------------------------------- */

/* Does with the socket what the connection wants. -1: libwebsockets shall close it. */
static int follow(struct socket_of_conn *s)
{
    struct http_conn *c = s->conn;
    if (c->phase == CONN_DEAD)
        return -1;
    if (http_conn_unsent(c).len > 0)
        lws_callback_on_writable(s->wsi);
    if (http_conn_is_full(c) != s->paused) {
        s->paused = !s->paused;
        lws_rx_flow_control(s->wsi, s->paused ? 0 : 1);
    }
    if (c->phase == CONN_LINGERING && !s->shut) {
        s->shut = true;
        if (c->house->tls && lws_get_ssl(s->wsi) != NULL)
            (void)SSL_shutdown(lws_get_ssl(s->wsi));
        shutdown(lws_get_socket_fd(s->wsi), SHUT_WR);
    }
    return 0;
}

/* The same from outside the connection's own callback, where -1 cannot be returned. */
static void follow_later(struct socket_of_conn *s)
{
    if (follow(s) != 0)
        lws_set_timeout(s->wsi, PENDING_TIMEOUT_USER_OK, LWS_TO_KILL_ASYNC);
}

static int find_slot(struct http_server *server)
{
    for (size_t i = 0; i < server->n_slots; i++)
        if (server->slots[i] == NULL)
            return (int)i;
    return -1;
}

static void start_ticking(struct http_server *server);

static int on_adopt(struct http_server *server, struct lws *wsi, struct session *session)
{
    int slot = find_slot(server);
    if (slot < 0 || session == NULL)
        return -1;
    struct sockaddr_storage address = {.ss_family = AF_UNIX};
    socklen_t len = sizeof address;
    char peer[PEER_TEXT_SIZE];
    (void)getpeername(lws_get_socket_fd(wsi), (struct sockaddr *)&address, &len);
    peer_text(&address, peer);
    struct socket_of_conn *s = calloc(1, sizeof *s);
    if (s == NULL)
        abort();
    s->wsi = wsi;
    s->conn = http_conn_new(&server->house, (uint16_t)slot, peer, clock_monotonic_ms());
    server->slots[slot] = s;
    if ((size_t)slot >= server->used_slots)
        server->used_slots = (size_t)slot + 1;
    session->socket = s;
    start_ticking(server);
    return 0;
}

static void on_close(struct http_server *server, struct session *session)
{
    if (session == NULL || session->socket == NULL) /* a TLS handshake that failed at once */
        return;
    struct socket_of_conn *s = session->socket;
    session->socket = NULL;
    server->slots[s->conn->slot] = NULL;
    http_conn_free(s->conn);
    free(s);
}

static int on_writeable(struct socket_of_conn *s)
{
    struct span unsent = http_conn_unsent(s->conn);
    size_t len = unsent.len < WRITE_AT_ONCE ? unsent.len : WRITE_AT_ONCE;
    int64_t now_ms = clock_monotonic_ms();
    if (len > 0) {
        /* What the socket does not take, libwebsockets copies and sends first next time. */
        char *at = s->conn->out.at + s->conn->out.from;
        if (lws_write(s->wsi, (unsigned char *)at, len, LWS_WRITE_RAW) < 0)
            return -1;
        http_conn_sent(s->conn, len, now_ms);
    }
    if (http_conn_unsent(s->conn).len == 0) {
        if (lws_partial_buffered(s->wsi))
            lws_callback_on_writable(s->wsi);
        else
            http_conn_flushed(s->conn, now_ms);
    }
    return follow(s);
}

static int on_connection(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in,
                         size_t len)
{
    struct session *session = user;
    struct socket_of_conn *s = session != NULL ? session->socket : NULL;
    switch ((int)reason) {
    case LWS_CALLBACK_RAW_ADOPT:
        return on_adopt(server_of(wsi), wsi, session);
    case LWS_CALLBACK_RAW_RX:
        if (s == NULL)
            return -1;
        http_conn_bytes(s->conn, (struct span){in, len}, clock_monotonic_ms());
        return follow(s);
    case LWS_CALLBACK_RAW_WRITEABLE:
        return s == NULL ? -1 : on_writeable(s);
    case LWS_CALLBACK_RAW_CLOSE:
        on_close(server_of(wsi), session);
        return 0;
    default: /* libwebsockets has many reasons */
        return 0;
    }
}

/* --- listening ----------------------------------------------------------------------------- */

/* With no file left for accept(), the listening socket would stay readable and the thread spin:
 * one file is kept for taking the connection and dropping it. */
static void drop_one(struct http_server *server)
{
    close(server->spare_fd);
    int fd = accept4(server->listener.fd, NULL, NULL, SOCK_CLOEXEC);
    if (fd >= 0)
        close(fd);
    server->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
}

static void adopt(struct http_server *server, int fd)
{
    bool room = atomic_load(&server->house.connections) < server->n_slots;
    if (!room) {
        close(fd);
        return;
    }
    lws_sock_file_fd_type adopted = {.sockfd = fd};
    lws_adoption_type type = LWS_ADOPT_SOCKET;
    if (server->house.tls)
        type |= LWS_ADOPT_ALLOW_SSL;
    /* Closes the file itself when it fails. */
    (void)lws_adopt_descriptor_vhost(server->vhost, type, adopted, "connection", NULL);
}

static void accept_some(struct http_server *server)
{
    for (int i = 0; i < ACCEPT_AT_ONCE; i++) {
        int fd = accept4(server->listener.fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            adopt(server, fd);
        } else if (errno == EMFILE || errno == ENFILE) {
            log_warn("http.files_exhausted");
            drop_one(server);
        } else if (errno != EINTR && errno != ECONNABORTED) {
            return;
        }
    }
}

/* --- orders of other threads --------------------------------------------------------------- */

static struct socket_of_conn *find_conn(struct http_server *server, uint64_t number)
{
    size_t slot = number & 0xFFFF;
    struct socket_of_conn *s = slot < server->n_slots ? server->slots[slot] : NULL;
    return s != NULL && s->conn->number == number ? s : NULL;
}

static void give_answer(struct http_server *server, struct http_answer *answer, int64_t now_ms)
{
    struct socket_of_conn *s = find_conn(server, answer->conn);
    if (s == NULL || s->conn->phase != CONN_WAITING) {
        if (answer->stream)
            http_closed_post(answer->closed_to, answer->closed_kind, answer->conn);
        return;
    }
    http_conn_answer(s->conn, answer, now_ms);
    follow_later(s);
}

static void follow_order(struct http_server *server, struct letter *letter, int64_t now_ms)
{
    const struct stream_order *order = (const struct stream_order *)letter;
    enum order kind = (enum order)letter->kind;
    if (kind == ORDER_ANSWER) {
        give_answer(server, (struct http_answer *)letter, now_ms);
        return;
    }
    struct socket_of_conn *s = find_conn(server, order->conn);
    if (s == NULL)
        return;
    if (kind == ORDER_STREAM_SEND)
        http_conn_stream_send(s->conn, order->text, now_ms);
    else
        http_conn_stream_end(s->conn, now_ms);
    /* An ended stream without unsent bytes is flushed already: writeable says so. */
    if (kind == ORDER_STREAM_END)
        lws_callback_on_writable(s->wsi);
    follow_later(s);
}

static void stop_listening(struct http_server *server)
{
    if (server->listen_wsi == NULL)
        return;
    lws_set_timeout(server->listen_wsi, PENDING_TIMEOUT_USER_OK, LWS_TO_KILL_ASYNC);
    server->listen_wsi = NULL;
    http_listen_remove(&server->listener);
}

static void begin_stop(struct http_server *server, int64_t now_ms)
{
    server->house.stopping = true;
    stop_listening(server);
    for (size_t i = 0; i < server->used_slots; i++) {
        if (server->slots[i] == NULL)
            continue;
        http_conn_stop(server->slots[i]->conn, now_ms);
        lws_callback_on_writable(server->slots[i]->wsi);
        follow_later(server->slots[i]);
    }
    start_ticking(server);
}

static void follow_orders(struct http_server *server)
{
    int64_t now_ms = clock_monotonic_ms();
    struct letter *orders = mailbox_take(server->orders);
    while (orders != NULL) {
        struct letter *next = orders->next;
        follow_order(server, orders, now_ms);
        letter_free(orders);
        orders = next;
    }
    if (atomic_load(&server->stop_by_ms) != 0 && !server->house.stopping)
        begin_stop(server, now_ms);
}

/* libwebsockets tells every protocol that its wait was cancelled: one of them is enough. */
static int on_listener(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in,
                       size_t len)
{
    (void)user, (void)in, (void)len;
    switch ((int)reason) {
    case LWS_CALLBACK_RAW_RX_FILE:
        accept_some(server_of(wsi));
        return 0;
    case LWS_CALLBACK_EVENT_WAIT_CANCELLED:
        follow_orders(server_of(wsi));
        return 0;
    default:
        return 0;
    }
}

/* --- time ---------------------------------------------------------------------------------- */

static int64_t min2(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t tick_ms(const struct http_server_config *config)
{
    int64_t least =
        min2(min2(config->idle_ms, config->head_ms), min2(config->body_ms, config->answer_ms));
    int64_t tick = min2(least / 4, MAX_TICK_MS);
    return tick < 5 ? 5 : tick;
}

/* One look at all deadlines now and then is cheaper than a timer per request. */
static void on_tick(lws_sorted_usec_list_t *sul)
{
    struct http_server *server = lws_container_of(sul, struct http_server, tick);
    int64_t now_ms = clock_monotonic_ms();
    for (size_t i = 0; i < server->used_slots; i++) {
        struct socket_of_conn *s = server->slots[i];
        if (s == NULL || now_ms < s->conn->deadline_ms)
            continue;
        http_conn_tick(s->conn, now_ms);
        follow_later(s);
    }
    server->is_ticking = false;
    if (atomic_load(&server->house.connections) > 0 || server->house.stopping)
        start_ticking(server);
    /* lws_service() does not return for a timer: the loop has to see whether all is done. */
    if (server->house.stopping)
        lws_cancel_service(server->context);
}

static void start_ticking(struct http_server *server)
{
    if (server->is_ticking)
        return;
    server->is_ticking = true;
    lws_sul_schedule(server->context, 0, &server->tick, on_tick,
                     tick_ms(&server->house.config) * LWS_US_PER_MS);
}

static bool is_done(struct http_server *server)
{
    if (!server->house.stopping)
        return false;
    return atomic_load(&server->house.connections) == 0 ||
           clock_monotonic_ms() >= atomic_load(&server->stop_by_ms);
}

static void *serve(void *arg)
{
    struct http_server *server = arg;
    while (!is_done(server) && lws_service(server->context, 0) >= 0)
        ;
    return NULL;
}

/* --- starting and stopping ----------------------------------------------------------------- */

static void log_of_lws(int level, const char *line)
{
    char text[512];
    size_t len = strcspn(line, "\n");
    len = len < sizeof text ? len : sizeof text - 1;
    memcpy(text, line, len);
    text[len] = '\0';
    if (level == LLL_ERR)
        log_warn("http.library_failed", L_STR("text", text));
    else
        log_debug("http.library_warned", L_STR("text", text));
}

static void or_default(int64_t *value, int64_t otherwise)
{
    if (*value == 0)
        *value = otherwise;
}

static void or_default_size(size_t *value, size_t otherwise)
{
    if (*value == 0)
        *value = otherwise;
}

static bool copy_config(struct http_server *server, const struct http_server_config *config,
                        struct err *err)
{
    struct http_server_config *own = &server->house.config;
    *own = *config;
    or_default_size(&own->max_connections, 4096);
    or_default_size(&own->max_streams, 256);
    or_default_size(&own->max_stream_unsent, (size_t)256 * 1024);
    or_default_size(&own->max_body_bytes, (size_t)64 * 1024 * 1024);
    or_default(&own->idle_ms, 60000);
    or_default(&own->head_ms, 10000);
    or_default(&own->body_ms, 30000);
    or_default(&own->answer_ms, 60000);
    if (own->max_connections > MAX_CONNECTIONS)
        own->max_connections = MAX_CONNECTIONS;
    if ((own->tls_cert_file == NULL) != (own->tls_key_file == NULL))
        return fail(err, ERR_INVALID, "tls: needs both a certificate and its key");
    server->house.tls = own->tls_cert_file != NULL;
    server->house.trusted = ARENA_ARRAY(&server->arena, struct trusted, own->n_trusted_proxies);
    for (size_t i = 0; i < own->n_trusted_proxies; i++) {
        if (!trusted_parse(own->trusted_proxies[i], &server->house.trusted[i]))
            return fail(err, ERR_INVALID, "%s: is no address or network", own->trusted_proxies[i]);
    }
    server->house.n_trusted = own->n_trusted_proxies;
    server->n_slots = own->max_connections;
    server->slots = ARENA_ARRAY(&server->arena, struct socket_of_conn *, server->n_slots);
    return true;
}

/* libwebsockets allocates and zeroes tables by the soft limit, which may be a million. Where fewer
 * files are allowed than wanted, connections get half: the store, commands and calls to others need
 * theirs whoever connects. */
static void limit_files(struct http_server *server)
{
    struct rlimit files;
    size_t wanted = server->n_slots + SPARE_FILES;
    if (getrlimit(RLIMIT_NOFILE, &files) != 0)
        return;
    rlim_t soft = files.rlim_max < wanted ? files.rlim_max : wanted;
    if (soft < wanted && server->n_slots > soft / 2)
        server->n_slots = soft / 2;
    if (files.rlim_cur == soft)
        return;
    files.rlim_cur = soft;
    (void)setrlimit(RLIMIT_NOFILE, &files);
}

static const struct lws_protocols protocols[] = {
    {.name = "connection",
     .callback = on_connection,
     .per_session_data_size = sizeof(struct session),
     .rx_buffer_size = READ_AT_ONCE},
    {.name = "listener", .callback = on_listener},
    {.name = NULL},
};

static bool open_context(struct http_server *server, struct err *err)
{
    const struct http_server_config *config = &server->house.config;
    limit_files(server);
    lws_set_log_level(LLL_ERR | LLL_WARN, log_of_lws);
    struct lws_context_creation_info info = {
        .port = CONTEXT_PORT_NO_LISTEN_SERVER,
        .protocols = protocols,
        .options = LWS_SERVER_OPTION_EXPLICIT_VHOSTS,
        .gid = -1,
        .uid = -1,
        .user = server,
        .pt_serv_buf_size = READ_AT_ONCE,
    };
    if (server->house.tls) {
        info.options |= LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT;
        info.ssl_cert_filepath = config->tls_cert_file;
        info.ssl_private_key_filepath = config->tls_key_file;
        info.alpn = "http/1.1"; /* else browsers and curl would speak HTTP/2 */
    }
    server->context = lws_create_context(&info);
    if (server->context != NULL)
        server->vhost = lws_create_vhost(server->context, &info);
    if (server->vhost != NULL)
        return true;
    if (server->house.tls)
        return fail(err, ERR_INVALID, "tls: the certificate %s or its key cannot be used",
                    config->tls_cert_file);
    return fail(err, ERR_TRANSIENT, "the HTTP server cannot start");
}

static bool listen_now(struct http_server *server, struct err *err)
{
    if (!http_listen_open(server->house.config.listen, &server->listener, err))
        return false;
    lws_sock_file_fd_type adopted = {.filefd = server->listener.fd};
    server->listen_wsi = lws_adopt_descriptor_vhost(server->vhost, LWS_ADOPT_RAW_FILE_DESC, adopted,
                                                    "listener", NULL);
    if (server->listen_wsi == NULL)
        return fail(err, ERR_TRANSIENT, "%s: the socket cannot be served",
                    server->house.config.listen);
    return true;
}

/* Any thread. The lock keeps the context alive for a poster that came just before the stop. */
static void wake(void *arg)
{
    struct http_server *server = arg;
    pthread_mutex_lock(&server->wake_lock);
    if (server->context != NULL)
        lws_cancel_service(server->context);
    pthread_mutex_unlock(&server->wake_lock);
}

static void close_context(struct http_server *server)
{
    pthread_mutex_lock(&server->wake_lock);
    struct lws_context *context = server->context;
    server->context = NULL;
    pthread_mutex_unlock(&server->wake_lock);
    if (context != NULL)
        lws_context_destroy(context);
}

struct http_server *http_server_start(const struct http_server_config *config, struct err *err)
{
    struct http_server *server = calloc(1, sizeof *server);
    if (server == NULL)
        abort();
    server->house.budget = body_budget_new();
    server->orders = mailbox_new(SIZE_MAX);
    pthread_mutex_init(&server->wake_lock, NULL);
    server->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (!copy_config(server, config, err) || !open_context(server, err) ||
        !listen_now(server, err)) {
        http_server_free(server);
        return NULL;
    }
    mailbox_set_hook(server->orders, wake, server);
    thread_start(&server->thread, "http server", serve, server);
    server->is_running = true;
    return server;
}

void http_server_stop(struct http_server *server, int64_t grace_ms)
{
    if (!server->is_running)
        return;
    atomic_store(&server->stop_by_ms, clock_monotonic_ms() + grace_ms);
    wake(server);
    pthread_join(server->thread, NULL);
    server->is_running = false;
    close_context(server);
}

void http_server_free(struct http_server *server)
{
    if (server == NULL)
        return;
    http_server_stop(server, 0);
    close_context(server);
    pthread_mutex_destroy(&server->wake_lock);
    mailbox_free(server->orders);
    body_budget_release(server->house.budget, 0);
    if (server->spare_fd >= 0)
        close(server->spare_fd);
    arena_done(&server->arena);
    free(server);
}

/* --- for other threads --------------------------------------------------------------------- */

int http_server_port(const struct http_server *server)
{
    return server->listener.port;
}

struct http_server_counts http_server_counts(const struct http_server *server)
{
    const struct http_house *house = &server->house;
    return (struct http_server_counts){
        .requests = atomic_load(&house->requests),
        .refused = atomic_load(&house->refused),
        .timed_out = atomic_load(&house->timed_out),
        .connections = atomic_load(&house->connections),
        .streams = atomic_load(&house->streams),
        .body_bytes = atomic_load(&house->budget->bytes),
    };
}

const char *http_request_header(const struct http_request *request, const char *name)
{
    return http_header_find(request->headers, request->n_headers, name);
}

void http_server_answer(struct http_server *server, struct http_answer *answer)
{
    answer->letter.kind = ORDER_ANSWER;
    mailbox_post_always(server->orders, &answer->letter);
}

static void post_stream_order(struct http_server *server, enum order kind, uint64_t conn,
                              const char *text)
{
    size_t size = strlen(text) + 1;
    struct stream_order *order = calloc(1, sizeof *order + size);
    if (order == NULL)
        abort();
    order->letter.kind = (int)kind;
    order->conn = conn;
    memcpy(order->text, text, size);
    mailbox_post_always(server->orders, &order->letter);
}

void http_server_stream_send(struct http_server *server, uint64_t conn, const char *text)
{
    post_stream_order(server, ORDER_STREAM_SEND, conn, text);
}

void http_server_stream_end(struct http_server *server, uint64_t conn)
{
    post_stream_order(server, ORDER_STREAM_END, conn, "");
}
