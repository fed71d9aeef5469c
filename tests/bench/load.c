/* load PORT SECONDS CONNECTIONS SECRET SIGNED [RATE]: unique Slack events over keep-alive
 * connections on loopback, with epoll; as fast as they are answered, or RATE a second. Prints
 * "requests_per_second p50_us p99_us errors". SIGNED 0 posts the same bytes without computing
 * signatures again, for the bare handler. */
#include <arpa/inet.h>
#include <errno.h>
#include <openssl/hmac.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { MAX_CONNECTIONS = 1024, BUFFER = 4096, BUCKETS = 200000 };

struct connection {
    int fd;
    char out[BUFFER], in[BUFFER];
    size_t out_len, out_at, in_len;
    int64_t begun_us;
    int is_idle; /* it waits for its turn, with RATE */
};

static struct connection connections[MAX_CONNECTIONS];
static uint32_t histogram[BUCKETS]; /* of 10 µs each */
static uint64_t done, errors;
static const char *secret;
static int is_signed;
static int64_t rate, begin_us; /* events a second; 0: no limit */
static uint64_t sent;
static char run_id[16];

static int64_t now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

/* About 1 KB, as Slack sends an app_mention; event_id and ts are unique. */
static size_t write_body(char *body, size_t size, uint64_t n)
{
    static char filler[560];
    if (filler[0] == '\0')
        memset(filler, 'x', sizeof filler - 1);
    return (size_t)snprintf(
        body, size,
        "{\"token\":\"t\",\"team_id\":\"T0BENCH\",\"api_app_id\":\"A0BENCH\",\"event\":{\"type\":"
        "\"app_mention\",\"user\":\"U0ALICE01\",\"text\":\"<@U0BOT> nothing "
        "%s\",\"ts\":\"%llu.%06llu\","
        "\"channel\":\"C0BENCH\",\"event_ts\":\"%llu.%06llu\"},\"type\":\"event_callback\",\"event_"
        "id\":"
        "\"Ev%s%012llu\",\"event_time\":1700000000,\"authorizations\":[{\"enterprise_id\":null,"
        "\"team_id\":"
        "\"T0BENCH\",\"user_id\":\"U0BOT\",\"is_bot\":true,\"is_enterprise_install\":false}],"
        "\"is_ext_shared_channel\":false}",
        filler, 1700000000ull + (unsigned long long)(n / 1000000),
        (unsigned long long)(n % 1000000), 1700000000ull + (unsigned long long)(n / 1000000),
        (unsigned long long)(n % 1000000), run_id, (unsigned long long)n);
}

static void sign(const char *at, const char *body, size_t len, char *hex)
{
    char base[BUFFER];
    unsigned char mac[32];
    unsigned int mac_len = sizeof mac;
    int head = snprintf(base, sizeof base, "v0:%s:", at);
    memcpy(base + head, body, len);
    HMAC(EVP_sha256(), secret, (int)strlen(secret), (unsigned char *)base, (size_t)head + len, mac,
         &mac_len);
    for (int i = 0; i < 32; i++)
        sprintf(hex + 2 * i, "%02x", mac[i]);
}

static void prepare(struct connection *c)
{
    static uint64_t number;
    char body[BUFFER], hex[65] = "0", at[24];
    size_t len = write_body(body, sizeof body, ++number);
    snprintf(at, sizeof at, "%lld", (long long)time(NULL));
    if (is_signed)
        sign(at, body, len, hex);
    c->out_len =
        (size_t)snprintf(c->out, sizeof c->out,
                         "POST /slack/events HTTP/1.1\r\nHost: 127.0.0.1\r\n"
                         "Content-Type: application/json\r\nX-Slack-Request-Timestamp: %s\r\n"
                         "X-Slack-Signature: v0=%s\r\nContent-Length: %zu\r\n\r\n%s",
                         at, hex, len, body);
    c->out_at = c->in_len = 0;
    c->begun_us = now_us();
}

static void push(struct connection *c)
{
    while (c->out_at < c->out_len) {
        ssize_t n = send(c->fd, c->out + c->out_at, c->out_len - c->out_at, MSG_NOSIGNAL);
        if (n <= 0)
            return;
        c->out_at += (size_t)n;
    }
}

/* A whole answer is there: its headers end, and it has the body that it announces. */
static int is_complete(struct connection *c)
{
    c->in[c->in_len] = '\0';
    char *end = strstr(c->in, "\r\n\r\n");
    if (end == NULL)
        return 0;
    char *length = strcasestr(c->in, "content-length:");
    size_t body = length == NULL ? 0 : (size_t)strtoul(length + 15, NULL, 10);
    return c->in_len >= (size_t)(end - c->in) + 4 + body;
}

/* The next event, if its time has come. */
static void next(struct connection *c)
{
    c->is_idle = rate > 0 && (int64_t)sent * 1000000 > rate * (now_us() - begin_us);
    if (c->is_idle)
        return;
    sent++;
    prepare(c);
    push(c);
}

static void take(struct connection *c)
{
    ssize_t n = recv(c->fd, c->in + c->in_len, sizeof c->in - 1 - c->in_len, 0);
    if (n <= 0) {
        if (n == 0 || errno != EAGAIN) {
            fprintf(stderr, "a connection was closed\n");
            exit(1);
        }
        return;
    }
    c->in_len += (size_t)n;
    if (!is_complete(c))
        return;
    int64_t bucket = (now_us() - c->begun_us) / 10;
    histogram[bucket < BUCKETS ? bucket : BUCKETS - 1]++;
    done++;
    if (strncmp(c->in + 9, "200", 3) != 0)
        errors++;
    next(c);
}

static int64_t percentile(double p)
{
    uint64_t want = (uint64_t)((double)done * p), seen = 0;
    for (int i = 0; i < BUCKETS; i++)
        if ((seen += histogram[i]) > want)
            return (int64_t)i * 10;
    return BUCKETS * 10;
}

int main(int argc, char **argv)
{
    if (argc < 6)
        return 2;
    rate = argc > 6 ? atoll(argv[6]) : 0;
    begin_us = now_us();
    int port = atoi(argv[1]), seconds = atoi(argv[2]), count = atoi(argv[3]),
        epoll = epoll_create1(0);
    secret = argv[4];
    is_signed = atoi(argv[5]);
    snprintf(run_id, sizeof run_id, "%06x", (unsigned)(getpid() & 0xffffff));
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)port),
                             .sin_addr = {htonl(INADDR_LOOPBACK)}};
    for (int i = 0; i < count && i < MAX_CONNECTIONS; i++) {
        struct connection *c = &connections[i];
        c->fd = socket(AF_INET, SOCK_STREAM, 0);
        if (connect(c->fd, (struct sockaddr *)&to, sizeof to) != 0) {
            perror("connect");
            return 1;
        }
        struct epoll_event event = {.events = EPOLLIN, .data = {.ptr = c}};
        epoll_ctl(epoll, EPOLL_CTL_ADD, c->fd, &event);
        next(c);
    }
    int64_t end = begin_us + seconds * 1000000ll;
    while (now_us() < end) {
        struct epoll_event events[256];
        int n = epoll_wait(epoll, events, 256, rate > 0 ? 1 : 100);
        for (int i = 0; i < n; i++)
            take(events[i].data.ptr);
        for (int i = 0; i < count && i < MAX_CONNECTIONS; i++)
            if (connections[i].is_idle)
                next(&connections[i]);
    }
    double took = (double)(now_us() - begin_us) / 1e6;
    printf("%.0f %lld %lld %llu\n", (double)done / took, (long long)percentile(0.5),
           (long long)percentile(0.99), (unsigned long long)errors);
    return 0;
}
