/* See slack_sockets.h. The thread owns the feeds, their links and all connections; other threads
 * post orders, and read the states under a lock. */
#include "gateway/slack_sockets.h"

#include "channels/slack_socket.h"
#include "gateway/base/clock.h"
#include "gateway/base/log.h"
#include "gateway/base/text.h"
#include "gateway/socket_conn.h"
#include "gateway/thread.h"

#include <openssl/rand.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

enum {
    ASK_TIMEOUT_MS = 15000,
    ANSWER_BYTES = 64 * 1024,
    HELD_MS = 20, /* how often a full mailbox is tried again */
    MAX_WAIT_MS = 60000,
};

enum order_kind { ORDER_ACK, ORDER_SET, ORDER_OPENED };

struct slack_ack_order {
    struct letter letter;
    uint64_t conn;
    size_t len;
    char text[];
};

/* The channels that are wanted, copied. */
struct set_order {
    struct letter letter;
    struct arena arena;
    struct slack_settings *list;
    size_t n;
};

/* One connection. */
struct link {
    struct link *next;
    struct feed *feed;
    uint64_t number;
    struct socket_conn *conn;
    struct slack_envelope *held; /* the mailbox was full: nothing is read until it is posted */
};

/* One channel. */
struct feed {
    struct feed *next;
    uint64_t number; /* of its calls: an answer to a feed that is gone is to nobody */
    struct arena arena;
    struct slack_settings settings; /* what is needed of them, copied */
    struct slack_socket socket;
    struct link *links;
    const char *url; /* just given, for the next SLACK_CONNECT; in the job's arena */
    _Atomic(const char *) state;
    bool was_shared;
};

struct slack_sockets {
    struct arena arena; /* the copy of the configuration */
    struct slack_sockets_config config;
    struct mailbox *orders;
    struct socket_group *group;
    pthread_t thread;
    bool is_running;
    atomic_int_fast64_t stop_by_ms; /* monotonic; 0: not stopping */
    pthread_mutex_t lock;           /* of the list of feeds, for who asks for a state */
    struct feed *feeds;
    uint64_t last_number;
};

static void *run(void *arg);

/* ---- letters ------------------------------------------------------------------------------ */

static void free_envelope(struct letter *letter)
{
    struct slack_envelope *e = (struct slack_envelope *)letter;
    arena_done(&e->arena);
    free(e);
}

static void free_set(struct letter *letter)
{
    struct set_order *order = (struct set_order *)letter;
    arena_done(&order->arena);
    free(order);
}

struct slack_ack_order *slack_ack_order_new(uint64_t conn, const char *envelope_id,
                                            bool takes_payload, const char *body)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    const char *text = slack_ack(&a, envelope_id, takes_payload, body);
    size_t len = strlen(text);
    struct slack_ack_order *order = calloc(1, sizeof *order + len + 1);
    if (order == NULL)
        abort();
    order->letter.kind = ORDER_ACK;
    order->conn = conn;
    order->len = len;
    memcpy(order->text, text, len + 1);
    return order;
}

void slack_ack_order_free(struct slack_ack_order *order)
{
    free(order);
}

void slack_sockets_ack(struct slack_sockets *s, struct slack_ack_order *order)
{
    mailbox_post_always(s->orders, &order->letter);
}

static void copy_settings(struct arena *a, const struct slack_settings *from,
                          struct slack_settings *out)
{
    *out = (struct slack_settings){.name = arena_strdup(a, from->name),
                                   .app_token = arena_strdup(a, from->app_token),
                                   .api_base = arena_strdup(a, from->api_base)};
}

/* With the first channel: a gateway without any pays nothing. */
static bool begin(struct slack_sockets *s)
{
    struct err err = ERR_INIT;
    struct socket_group_config config = {.proxy = s->config.proxy,
                                         .no_proxy = s->config.no_proxy,
                                         .ca_file = s->config.ca_file,
                                         .max_message = SLACK_SOCKET_MESSAGE_MAX};
    s->group = socket_group_new(&config, &err);
    if (s->group == NULL) {
        log_error("slack.no_sockets", L_STR("why", err.text));
        return false;
    }
    thread_start(&s->thread, "slack sockets", run, s);
    s->is_running = true;
    return true;
}

void slack_sockets_set(struct slack_sockets *s, const struct slack_settings *const *list, size_t n)
{
    if (!s->is_running && (n == 0 || !begin(s)))
        return;
    struct set_order *order = calloc(1, sizeof *order);
    if (order == NULL)
        abort();
    order->letter = (struct letter){.kind = ORDER_SET, .free_fn = free_set};
    order->list = ARENA_ARRAY(&order->arena, struct slack_settings, n);
    order->n = n;
    for (size_t i = 0; i < n; i++)
        copy_settings(&order->arena, list[i], &order->list[i]);
    mailbox_post_always(s->orders, &order->letter);
}

/* ---- links -------------------------------------------------------------------------------- */

static uint32_t random_number(void)
{
    uint32_t number;
    if (RAND_bytes((unsigned char *)&number, sizeof number) != 1)
        abort();
    return number;
}

static struct link *find_link(struct feed *feed, uint64_t number)
{
    struct link *link = feed->links;
    while (link != NULL && link->number != number)
        link = link->next;
    return link;
}

static void free_link(struct link *link)
{
    struct link **at = &link->feed->links;
    while (*at != link)
        at = &(*at)->next;
    *at = link->next;
    socket_conn_free(link->conn);
    if (link->held != NULL)
        letter_free(&link->held->letter);
    free(link);
}

static void perform(struct slack_sockets *s, struct feed *feed, const struct slack_acts *acts);

static void lose(struct slack_sockets *s, struct feed *feed, uint64_t number, const char *why)
{
    struct slack_acts acts = {.n = 0};
    metrics_add(s->config.metrics, METRIC_SOCKETS_LOST, 1);
    log_info("slack.socket_ended", L_STR("channel", feed->settings.name), L_INT("socket", number),
             L_STR("why", why));
    slack_socket_closed(&feed->socket, number, clock_monotonic_ms(), random_number(), &acts);
    perform(s, feed, &acts);
}

static void connect_link(struct slack_sockets *s, struct feed *feed, uint64_t number)
{
    struct err err = ERR_INIT;
    struct socket_conn *conn = socket_conn_open(s->group, feed->url, &err);
    if (conn == NULL) {
        lose(s, feed, number, err.text);
        return;
    }
    struct link *link = calloc(1, sizeof *link);
    if (link == NULL)
        abort();
    *link = (struct link){.next = feed->links, .feed = feed, .number = number, .conn = conn};
    feed->links = link;
}

/* ---- asking for an address ------------------------------------------------------------------ */

static void refuse(struct slack_sockets *s, struct feed *feed, const struct slack_opening *opening)
{
    struct slack_acts acts = {.n = 0};
    if (opening->hopeless)
        log_error("slack.socket_refused", L_STR("channel", feed->settings.name),
                  L_STR("why", opening->why));
    else
        log_warn("slack.socket_delayed", L_STR("channel", feed->settings.name),
                 L_STR("why", opening->why), L_INT("failures", feed->socket.failures));
    slack_socket_refused(&feed->socket, opening, clock_monotonic_ms(), random_number(), &acts);
    perform(s, feed, &acts);
}

static void ask(struct slack_sockets *s, struct feed *feed)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    struct err err = ERR_INIT;
    struct wire wire;
    if (!slack_open_render(&feed->settings, &a, &wire, &err)) {
        struct slack_opening none = {.hopeless = true, .why = err.text};
        refuse(s, feed, &none);
        return;
    }
    struct http_job *job = http_job_new(wire.method, wire.url, s->orders, ORDER_OPENED);
    for (size_t i = 0; i < wire.n_headers; i++)
        http_job_header(job, wire.headers[i].name, wire.headers[i].value);
    job->ref = feed->number;
    job->timeout_ms = ASK_TIMEOUT_MS;
    job->max_answer_bytes = ANSWER_BYTES;
    job->haste = HTTP_HASTY; /* not behind what Slack is slow with */
    if (http_client_send(s->config.client, job))
        return;
    letter_free(&job->letter);
    struct slack_opening none = {.why = "too many calls are waiting"};
    refuse(s, feed, &none);
}

static struct wire_reply reply_of(const struct http_job *job)
{
    return (struct wire_reply){.fate = job->outcome == HTTP_ANSWERED ? WIRE_ANSWERED : WIRE_UNKNOWN,
                               .status = job->status,
                               .body = job->answer,
                               .retry_after_ms = job->retry_after_ms,
                               .error = job->error};
}

static void take_opening(struct slack_sockets *s, const struct http_job *job)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    struct slack_acts acts = {.n = 0};
    struct feed *feed = s->feeds;
    while (feed != NULL && feed->number != job->ref)
        feed = feed->next;
    if (feed == NULL || atomic_load(&s->stop_by_ms) != 0)
        return;
    struct wire_reply reply = reply_of(job);
    struct slack_opening opening = slack_open_settle(&feed->settings, &a, &reply);
    if (opening.url == NULL) {
        refuse(s, feed, &opening);
        return;
    }
    feed->url = opening.url;
    slack_socket_opened(&feed->socket, ++s->last_number, clock_monotonic_ms(), &acts);
    perform(s, feed, &acts);
    feed->url = NULL;
}

/* What the machine decided. */
static void perform(struct slack_sockets *s, struct feed *feed, const struct slack_acts *acts)
{
    for (size_t i = 0; i < acts->n; i++) {
        const struct slack_act *act = &acts->list[i];
        struct link *link = find_link(feed, act->number);
        switch (act->kind) {
        case SLACK_ASK_ADDRESS:
            ask(s, feed);
            break;
        case SLACK_CONNECT:
            connect_link(s, feed, act->number);
            break;
        case SLACK_PING:
            if (link != NULL)
                socket_conn_send(link->conn, SOCKET_SEND_PING, (struct span){"", 0});
            break;
        case SLACK_DROP:
            log_info("slack.socket_dropped", L_STR("channel", feed->settings.name),
                     L_INT("socket", act->number));
            metrics_add(s->config.metrics, METRIC_SOCKETS_LOST, 1);
            if (link != NULL)
                free_link(link);
            break;
        }
    }
}

/* ---- what comes in -------------------------------------------------------------------------- */

static void take_hello(struct slack_sockets *s, struct link *link, const struct slack_frame *frame,
                       int64_t now_ms)
{
    struct feed *feed = link->feed;
    slack_socket_hello(&feed->socket, link->number, now_ms);
    metrics_add(s->config.metrics, METRIC_SOCKETS_OPENED, 1);
    log_info("slack.socket_opened", L_STR("channel", feed->settings.name),
             L_INT("socket", link->number), L_INT("connections", frame->connections));
    /* Slack gives each event to any one of the app's connections. Old ones may still be counted. */
    bool shared = frame->connections > (int64_t)slack_socket_links(&feed->socket) + 1;
    if (shared && !feed->was_shared)
        log_warn("slack.socket_shared", L_STR("channel", feed->settings.name),
                 L_INT("connections", frame->connections),
                 L_STR("why", "somebody else is connected with this app, and gets a part of its "
                              "events: each gateway needs an app of its own"));
    feed->was_shared = shared;
}

static void take_goodbye(struct slack_sockets *s, struct link *link,
                         const struct slack_frame *frame, int64_t now_ms)
{
    struct slack_acts acts = {.n = 0};
    struct feed *feed = link->feed;
    log_info("slack.socket_asked_back", L_STR("channel", feed->settings.name),
             L_INT("socket", link->number), L_STR("reason", frame->reason));
    if (frame->goodbye == SLACK_LINK_DISABLED)
        log_error("slack.socket_refused", L_STR("channel", feed->settings.name),
                  L_STR("why", "Slack: Socket Mode was switched off; switch it on in the app's "
                               "settings"));
    if (frame->goodbye == SLACK_TOO_MANY)
        log_error("slack.socket_refused", L_STR("channel", feed->settings.name),
                  L_STR("why", "Slack: the app has too many connections; ten are allowed"));
    slack_socket_goodbye(&feed->socket, link->number, frame->goodbye, now_ms, random_number(),
                         &acts);
    perform(s, feed, &acts);
}

/* False: the mailbox is full; the envelope is held. */
static bool post(struct slack_sockets *s, struct link *link, struct slack_envelope *envelope)
{
    if (mailbox_post(s->config.to, &envelope->letter)) {
        metrics_add(s->config.metrics, METRIC_SOCKET_ENVELOPES, 1);
        link->held = NULL;
        return true;
    }
    link->held = envelope;
    return false;
}

static bool take_text(struct slack_sockets *s, struct link *link, struct span text, int64_t now_ms)
{
    struct slack_envelope *envelope = calloc(1, sizeof *envelope);
    struct slack_frame frame;
    struct err err = ERR_INIT;
    if (envelope == NULL)
        abort();
    envelope->letter = (struct letter){.kind = s->config.kind, .free_fn = free_envelope};
    if (!slack_frame_parse(&envelope->arena, text, clock_unix_ms(), &frame, &err)) {
        log_warn("slack.frame_unread", L_STR("channel", link->feed->settings.name),
                 L_INT("bytes", text.len), L_STR("why", err.text));
        frame.kind = SLACK_UNKNOWN;
    }
    if (frame.kind == SLACK_HELLO)
        take_hello(s, link, &frame, now_ms);
    else if (frame.kind == SLACK_GOODBYE)
        take_goodbye(s, link, &frame, now_ms);
    if (frame.kind != SLACK_ENVELOPE) {
        letter_free(&envelope->letter);
        return true;
    }
    envelope->conn = link->number;
    envelope->channel = arena_strdup(&envelope->arena, link->feed->settings.name);
    envelope->id = frame.id;
    envelope->takes_payload = frame.takes_payload;
    envelope->in = frame.in;
    return post(s, link, envelope);
}

static void end_link(struct slack_sockets *s, struct link *link, const char *why)
{
    struct feed *feed = link->feed;
    struct socket_conn *conn = TAKE(link->conn); /* owns the words */
    uint64_t number = link->number;
    free_link(link);
    lose(s, feed, number, why);
    socket_conn_free(conn);
}

/* The link may be gone afterwards. */
static void work_link(struct slack_sockets *s, struct link *link, int64_t now_ms)
{
    struct span text;
    const char *why;
    if (link->held != NULL) {
        /* Nobody listens, so silence says nothing. */
        slack_socket_heard(&link->feed->socket, link->number, now_ms);
        if (!post(s, link, link->held))
            return;
        socket_conn_hold(link->conn, false);
    }
    for (;;) {
        switch (socket_conn_next(link->conn, &text, &why)) {
        case SOCKET_NOTHING:
            return;
        case SOCKET_HEARD:
            slack_socket_heard(&link->feed->socket, link->number, now_ms);
            break;
        case SOCKET_TEXT:
            slack_socket_heard(&link->feed->socket, link->number, now_ms);
            if (!take_text(s, link, text, now_ms)) {
                socket_conn_hold(link->conn, true);
                return;
            }
            break;
        case SOCKET_ENDED:
            end_link(s, link, why);
            return;
        }
    }
}

/* ---- orders of other threads ---------------------------------------------------------------- */

static void send_ack(struct slack_sockets *s, const struct slack_ack_order *order)
{
    for (struct feed *feed = s->feeds; feed != NULL; feed = feed->next) {
        struct link *link = find_link(feed, order->conn);
        if (link == NULL)
            continue;
        socket_conn_send(link->conn, SOCKET_SEND_TEXT, (struct span){order->text, order->len});
        metrics_add(s->config.metrics, METRIC_SOCKET_ACKS, 1);
        return;
    }
    log_debug("slack.ack_dropped", L_INT("socket", order->conn));
}

static void free_feed(struct feed *feed)
{
    while (feed->links != NULL)
        free_link(feed->links);
    arena_done(&feed->arena);
    free(feed);
}

static bool same_settings(const struct slack_settings *a, const struct slack_settings *b)
{
    return text_eq(a->name, b->name) && text_eq(a->app_token, b->app_token) &&
           text_eq(a->api_base, b->api_base);
}

static bool is_wanted(const struct feed *feed, const struct set_order *order)
{
    for (size_t i = 0; i < order->n; i++)
        if (same_settings(&feed->settings, &order->list[i]))
            return true;
    return false;
}

static bool is_there(const struct slack_sockets *s, const struct slack_settings *settings)
{
    for (const struct feed *feed = s->feeds; feed != NULL; feed = feed->next)
        if (same_settings(&feed->settings, settings))
            return true;
    return false;
}

static void end_feeds(struct slack_sockets *s, const struct set_order *order)
{
    pthread_mutex_lock(&s->lock);
    for (struct feed **at = &s->feeds; *at != NULL;) {
        struct feed *feed = *at;
        if (is_wanted(feed, order)) {
            at = &feed->next;
            continue;
        }
        log_info("slack.socket_stopped", L_STR("channel", feed->settings.name));
        *at = feed->next;
        free_feed(feed);
    }
    pthread_mutex_unlock(&s->lock);
}

static void begin_feed(struct slack_sockets *s, const struct slack_settings *settings)
{
    struct slack_acts acts = {.n = 0};
    struct feed *feed = calloc(1, sizeof *feed);
    if (feed == NULL)
        abort();
    feed->number = ++s->last_number;
    copy_settings(&feed->arena, settings, &feed->settings);
    atomic_store(&feed->state, "connecting");
    pthread_mutex_lock(&s->lock);
    feed->next = s->feeds;
    s->feeds = feed;
    pthread_mutex_unlock(&s->lock);
    slack_socket_begin(&feed->socket, clock_monotonic_ms(), &acts);
    perform(s, feed, &acts);
}

static void take_set(struct slack_sockets *s, const struct set_order *order)
{
    end_feeds(s, order);
    for (size_t i = 0; i < order->n; i++)
        if (!is_there(s, &order->list[i]))
            begin_feed(s, &order->list[i]);
}

static void take_orders(struct slack_sockets *s)
{
    struct letter *letters = mailbox_take(s->orders);
    while (letters != NULL) {
        struct letter *next = letters->next;
        switch ((enum order_kind)letters->kind) {
        case ORDER_ACK:
            send_ack(s, (const struct slack_ack_order *)letters);
            break;
        case ORDER_SET:
            take_set(s, (const struct set_order *)letters);
            break;
        case ORDER_OPENED:
            take_opening(s, (const struct http_job *)letters);
            break;
        }
        letter_free(letters);
        letters = next;
    }
}

/* ---- the thread ----------------------------------------------------------------------------- */

static void tick(struct slack_sockets *s, struct feed *feed)
{
    struct slack_acts acts = {.n = 0};
    slack_socket_tick(&feed->socket, clock_monotonic_ms(), random_number(), &acts);
    perform(s, feed, &acts);
    atomic_store(&feed->state, slack_socket_state(&feed->socket));
}

static void work(struct slack_sockets *s)
{
    for (struct feed *feed = s->feeds; feed != NULL; feed = feed->next) {
        int64_t now_ms = clock_monotonic_ms();
        for (struct link *link = feed->links, *next; link != NULL; link = next) {
            next = link->next;
            work_link(s, link, now_ms);
        }
        tick(s, feed);
    }
}

static void wait(struct slack_sockets *s)
{
    int64_t now_ms = clock_monotonic_ms(), until_ms = now_ms + MAX_WAIT_MS;
    for (struct feed *feed = s->feeds; feed != NULL; feed = feed->next) {
        int64_t due_ms = slack_socket_due_ms(&feed->socket);
        until_ms = due_ms < until_ms ? due_ms : until_ms;
        for (struct link *link = feed->links; link != NULL; link = link->next)
            if (link->held != NULL && until_ms > now_ms + HELD_MS)
                until_ms = now_ms + HELD_MS;
    }
    socket_group_wait(s->group, until_ms > now_ms ? until_ms - now_ms : 0);
}

/* Everything leaves and a goodbye after it, or the time is over. */
static void say_goodbye(struct slack_sockets *s)
{
    bool more = true;
    for (struct feed *feed = s->feeds; feed != NULL; feed = feed->next)
        for (struct link *link = feed->links; link != NULL; link = link->next)
            socket_conn_send(link->conn, SOCKET_SEND_GOODBYE, (struct span){"", 0});
    for (int64_t left_ms;
         more && (left_ms = atomic_load(&s->stop_by_ms) - clock_monotonic_ms()) > 0;) {
        socket_group_wait(s->group, left_ms < HELD_MS ? left_ms : HELD_MS);
        more = false;
        for (struct feed *feed = s->feeds; feed != NULL; feed = feed->next)
            for (struct link *link = feed->links; link != NULL; link = link->next)
                more = more || socket_conn_has_unsent(link->conn);
    }
}

static void *run(void *arg)
{
    struct slack_sockets *s = arg;
    while (atomic_load(&s->stop_by_ms) == 0) {
        take_orders(s);
        work(s);
        wait(s);
    }
    take_orders(s);
    say_goodbye(s);
    return NULL;
}

static void wake(void *arg)
{
    const struct slack_sockets *s = arg;
    if (s->group != NULL)
        socket_group_wake(s->group);
}

/* ---- starting and stopping ------------------------------------------------------------------ */

struct slack_sockets *slack_sockets_start(const struct slack_sockets_config *config)
{
    struct slack_sockets *s = calloc(1, sizeof *s);
    if (s == NULL)
        abort();
    s->config = *config;
    s->config.proxy = arena_strdup(&s->arena, config->proxy);
    s->config.no_proxy = arena_strdup(&s->arena, config->no_proxy);
    s->config.ca_file = arena_strdup(&s->arena, config->ca_file);
    pthread_mutex_init(&s->lock, NULL);
    s->orders = mailbox_new(SIZE_MAX); /* as many as we posted envelopes */
    mailbox_set_hook(s->orders, wake, s);
    return s;
}

void slack_sockets_stop(struct slack_sockets *s, int64_t grace_ms)
{
    if (!s->is_running)
        return;
    atomic_store(&s->stop_by_ms, clock_monotonic_ms() + grace_ms);
    wake(s);
    pthread_join(s->thread, NULL);
    s->is_running = false;
}

void slack_sockets_free(struct slack_sockets *s)
{
    if (s == NULL)
        return;
    slack_sockets_stop(s, 0);
    while (s->feeds != NULL) {
        struct feed *feed = s->feeds;
        s->feeds = feed->next;
        free_feed(feed);
    }
    mailbox_free(s->orders);
    pthread_mutex_destroy(&s->lock);
    socket_group_free(s->group);
    arena_done(&s->arena);
    free(s);
}

/* ---- for other threads ---------------------------------------------------------------------- */

const char *slack_sockets_state(struct slack_sockets *s, const char *channel)
{
    const char *state = NULL;
    pthread_mutex_lock(&s->lock);
    for (struct feed *feed = s->feeds; feed != NULL && state == NULL; feed = feed->next)
        if (text_eq(feed->settings.name, channel))
            state = atomic_load(&feed->state);
    pthread_mutex_unlock(&s->lock);
    return state;
}

size_t slack_sockets_connected(struct slack_sockets *s)
{
    size_t n = 0;
    pthread_mutex_lock(&s->lock);
    for (struct feed *feed = s->feeds; feed != NULL; feed = feed->next)
        n += text_eq(atomic_load(&feed->state), "connected");
    pthread_mutex_unlock(&s->lock);
    return n;
}
