/* Slack's sockets against a small server that takes its connections back all the time: a slow
 * application behind a mailbox that is nearly always full acknowledges every envelope, others ask
 * for the state, the settings change, and it stops while there is work. */
#include "gateway/slack_sockets.h"

#include "gateway/base/clock.h"
#include "gateway/base/text.h"
#include "gateway/thread.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <openssl/evp.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { ENVELOPES = 3000, WINDOW = 60, OF_ONE_CONNECTION = 400, ROOM = 8, LIMIT_MS = 120000 };

static int listener, port;
static atomic_bool acked[ENVELOPES];
static atomic_int n_acked, n_sent_again, n_connections, wrong, n_full;
static atomic_bool done;

/* ---- the server ---- */

struct peer {
    int fd;
    unsigned char in[65536];
    size_t len;
    bool sent[ENVELOPES];
    int under_way, acks;
    bool is_leaving;
};

static void say(int fd, const char *bytes, size_t len)
{
    (void)!send(fd, bytes, len, MSG_NOSIGNAL);
}

static void say_frame(int fd, const char *text)
{
    size_t len = strlen(text);
    unsigned char head[4] = {0x81, (unsigned char)(len < 126 ? len : 126),
                             (unsigned char)(len >> 8), (unsigned char)len};
    say(fd, (const char *)head, len < 126 ? 2 : 4);
    say(fd, text, len);
}

static void shake_hands(int fd, const char *request)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    unsigned char hash[20];
    const char *at = strstr(request, "Sec-WebSocket-Key: ");
    if (at == NULL) {
        atomic_fetch_add(&wrong, 1);
        return;
    }
    const char *text = arena_printf(&a, "%.24s258EAFA5-E914-47DA-95CA-C5AB0DC85B11", at + 19);
    EVP_Digest(text, strlen(text), hash, NULL, EVP_sha1(), NULL);
    const char *answer =
        arena_printf(&a,
                     "HTTP/1.1 101 Yes\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                     "Sec-WebSocket-Accept: %s\r\n\r\n",
                     base64_encode(&a, (struct span){(const char *)hash, sizeof hash}));
    say(fd, answer, strlen(answer));
    say_frame(fd, "{\"type\":\"hello\",\"num_connections\":1}");
}

static void send_some(struct peer *p)
{
    char text[300];
    for (int i = 0; i < ENVELOPES && p->under_way < WINDOW && !p->is_leaving; i++) {
        if (p->sent[i] || atomic_load(&acked[i]))
            continue;
        p->sent[i] = true;
        p->under_way++;
        snprintf(text, sizeof text,
                 "{\"envelope_id\":\"%d\",\"type\":\"events_api\",\"payload\":{\"type\":"
                 "\"event_callback\",\"event_id\":\"Ev%d\",\"words\":\"%0100d\"}}",
                 i, i, i);
        say_frame(p->fd, text);
    }
}

static void take_ack(struct peer *p, const char *text)
{
    int number;
    if (sscanf(text, "{\"envelope_id\":\"%d\"}", &number) != 1 || number < 0 ||
        number >= ENVELOPES || !p->sent[number]) {
        atomic_fetch_add(&wrong, 1);
        return;
    }
    p->under_way--;
    p->acks++;
    if (atomic_exchange(&acked[number], true))
        atomic_fetch_add(&n_sent_again, 1);
    else
        atomic_fetch_add(&n_acked, 1);
}

/* One frame of the client, which has to be short and masked. False: more bytes are needed. */
static bool take_frame(struct peer *p)
{
    char text[126];
    if (p->len < 6 || p->len < 6U + (p->in[1] & 0x7F))
        return false;
    size_t len = p->in[1] & 0x7F;
    if (!(p->in[1] & 0x80) || len > 125)
        atomic_fetch_add(&wrong, 1);
    for (size_t i = 0; i < len; i++)
        text[i] = (char)(p->in[6 + i] ^ p->in[2 + i % 4]);
    text[len] = '\0';
    if ((p->in[0] & 0x0F) == 1 /* text */)
        take_ack(p, text);
    p->len -= 6 + len;
    memmove(p->in, p->in + 6 + len, p->len);
    return true;
}

static void serve_socket(struct peer *p)
{
    int nth = atomic_fetch_add(&n_connections, 1);
    for (;;) {
        send_some(p);
        ssize_t n = recv(p->fd, p->in + p->len, sizeof p->in - p->len, 0);
        if (n <= 0)
            return;
        p->len += (size_t)n;
        while (take_frame(p))
            ;
        if (p->acks >= OF_ONE_CONNECTION && !p->is_leaving) {
            p->is_leaving = true;
            if (nth % 2 == 0)
                return; /* cut, with envelopes under way */
            say_frame(p->fd, "{\"type\":\"disconnect\",\"reason\":\"warning\"}");
        }
        if (p->is_leaving && p->under_way == 0)
            return;
    }
}

static void *serve_one(void *arg)
{
    struct peer *p = calloc(1, sizeof *p);
    char request[4000], answer[300], url[100];
    size_t len = 0;
    p->fd = (int)(intptr_t)arg;
    request[0] = '\0';
    while (strstr(request, "\r\n\r\n") == NULL) {
        ssize_t n = recv(p->fd, request + len, sizeof request - 1 - len, 0);
        if (n <= 0)
            break;
        len += (size_t)n;
        request[len] = '\0';
    }
    if (text_starts(request, "POST /api/apps.connections.open ")) {
        snprintf(url, sizeof url, "{\"ok\":true,\"url\":\"ws://127.0.0.1:%d/link\"}", port);
        snprintf(answer, sizeof answer,
                 "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\nConnection: close\r\n\r\n%s",
                 strlen(url), url);
        say(p->fd, answer, strlen(answer));
    } else if (text_starts(request, "GET /link ")) {
        shake_hands(p->fd, request);
        serve_socket(p);
    }
    close(p->fd);
    free(p);
    return NULL;
}

static void *serve(void *arg)
{
    (void)arg;
    for (int fd; (fd = accept(listener, NULL, NULL)) >= 0;) {
        pthread_t thread;
        struct timeval limit = {.tv_sec = 20};
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
        thread_start(&thread, "peer", serve_one, (void *)(intptr_t)fd);
        pthread_detach(thread);
    }
    return NULL;
}

static void listen_now(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;
    listener = socket(AF_INET, SOCK_STREAM, 0);
    if (bind(listener, (struct sockaddr *)&address, len) != 0 || listen(listener, 64) != 0 ||
        getsockname(listener, (struct sockaddr *)&address, &len) != 0)
        abort();
    port = ntohs(address.sin_port);
}

/* ---- the application ---- */

static struct slack_sockets *sockets;
static struct mailbox *inbox;

static void *run_application(void *arg)
{
    (void)arg;
    for (;;) {
        if (mailbox_count(inbox) == ROOM)
            atomic_fetch_add(&n_full, 1);
        struct letter *all = mailbox_wait(inbox, INT64_MAX);
        if (all == NULL)
            return NULL;
        for (struct letter *l = all; l != NULL; l = l->next) {
            const struct slack_envelope *e = (const struct slack_envelope *)l;
            if (l->kind != 7 || !text_eq(e->channel, "ops") ||
                !text_eq(e->in.path, "/slack/events") || e->in.body.len < 100)
                atomic_fetch_add(&wrong, 1);
            slack_sockets_ack(sockets, slack_ack_order_new(e->conn, e->id, e->takes_payload, NULL));
        }
        letter_free_list(all);
        usleep(500);
    }
}

static void *look(void *arg)
{
    (void)arg;
    while (!atomic_load(&done)) {
        const char *state = slack_sockets_state(sockets, "ops");
        if (state == NULL || slack_sockets_connected(sockets) > 1)
            atomic_fetch_add(&wrong, 1);
        usleep(1000);
    }
    return NULL;
}

int main(void)
{
    struct err err = ERR_INIT;
    struct http_client_config client_config = {.max_jobs = 16};
    struct metrics *metrics = metrics_new();
    struct http_client *client = http_client_start(&client_config, &err);
    char api_base[60];
    pthread_t server_thread, application, looker;
    listen_now();
    snprintf(api_base, sizeof api_base, "http://127.0.0.1:%d/api", port);
    inbox = mailbox_new(ROOM);
    struct slack_sockets_config config = {
        .client = client, .to = inbox, .kind = 7, .metrics = metrics};
    struct slack_settings ops = {.name = "ops", .app_token = "xapp-1", .api_base = api_base};
    const struct slack_settings *list[] = {&ops};
    sockets = slack_sockets_start(&config);
    thread_start(&server_thread, "server", serve, NULL);
    thread_start(&application, "application", run_application, NULL);
    slack_sockets_set(sockets, list, 1);
    while (slack_sockets_state(sockets, "ops") == NULL)
        usleep(1000);
    thread_start(&looker, "looker", look, NULL);
    int64_t end_ms = clock_monotonic_ms() + LIMIT_MS;
    while (atomic_load(&n_acked) < ENVELOPES / 2 && clock_monotonic_ms() < end_ms)
        usleep(5000);
    atomic_store(&done, true);
    pthread_join(looker, NULL);
    ops.app_token = "xapp-2"; /* ends what stands, and begins anew */
    slack_sockets_set(sockets, list, 1);
    while (atomic_load(&n_acked) < ENVELOPES && clock_monotonic_ms() < end_ms)
        usleep(5000);
    slack_sockets_stop(sockets, 500);
    mailbox_close(inbox);
    pthread_join(application, NULL);
    http_client_stop(client, 100);
    http_client_free(client);
    slack_sockets_free(sockets);
    mailbox_free(inbox);
    shutdown(listener, SHUT_RDWR);
    pthread_join(server_thread, NULL);
    close(listener);
    int64_t told = metrics_get(metrics, METRIC_SOCKET_ACKS);
    printf("%d acknowledged over %d connections, %d of them again, mailbox full %d times\n",
           atomic_load(&n_acked), atomic_load(&n_connections), atomic_load(&n_sent_again),
           atomic_load(&n_full));
    metrics_free(metrics);
    return atomic_load(&n_acked) == ENVELOPES && atomic_load(&wrong) == 0 && told >= ENVELOPES &&
                   atomic_load(&n_connections) >= 4 && atomic_load(&n_full) > 0
               ? 0
               : 1;
}
