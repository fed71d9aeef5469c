/* See http_client.h. The thread owns the multi handle, the lanes and every job between its post and
 * its return; other threads only post and wake. */
#include "gateway/http_client.h"

#include "gateway/base/clock.h"
#include "gateway/base/log.h"
#include "gateway/base/strbuf.h"
#include "gateway/thread.h"

#include <curl/curl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

enum {
    MAX_URL = 64 * 1024,
    MAX_ANSWER_HEADERS = 100,
    MAX_ANSWER_HEADER_BYTES = 64 * 1024,
    DEFAULT_MAX_ANSWER = 1024 * 1024,
    DEFAULT_TIMEOUT_MS = 30000,
    MAX_TIMEOUT_MS = 24 * 3600 * 1000,
    PATIENT_TIMES = 4,   /* so many times as many of them are under way */
    MAX_WAIT_MS = 60000, /* of the poll, when there is nothing to do: anything wakes it */
};

/* All jobs of one haste to one scheme, host and port. Lives as long as it has any. */
struct lane {
    struct lane *next;
    char *host;
    enum http_haste haste;
    size_t running, most;
    struct letter *first, **end; /* jobs that wait */
};

/* One job on its way. In the job's arena, but for what curl owns and the body that grows. */
struct transfer {
    struct transfer *next;
    struct http_client *client;
    struct http_job *job;
    struct lane *lane;
    CURL *easy;
    struct curl_slist *headers;
    int64_t begun_ms;
    struct http_header fields[MAX_ANSWER_HEADERS];
    size_t n_fields, field_bytes;
    char *body;
    size_t body_len, body_room;
    bool too_big;
};

struct http_client {
    struct arena arena; /* the copy of the configuration */
    struct http_client_config config;
    struct mailbox *orders;
    CURLM *multi;
    pthread_t thread;
    bool is_running;
    atomic_size_t jobs, patient_jobs; /* patient ones are counted by both */
    atomic_int_fast64_t stop_by_ms;   /* monotonic; 0: not stopping */
    struct lane *lanes;
    struct transfer *transfers;
};

const char *http_outcome_name(enum http_outcome outcome)
{
    switch (outcome) {
    case HTTP_ANSWERED:
        return "answered";
    case HTTP_NOT_SENT:
        return "not_sent";
    case HTTP_UNKNOWN:
        return "unknown";
    }
    UNREACHABLE();
}

/* --- jobs ---------------------------------------------------------------------------------- */

static void job_free(struct letter *letter)
{
    struct http_job *job = (struct http_job *)letter;
    arena_done(&job->arena);
    free(job);
}

struct http_job *http_job_new(const char *method, const char *url, struct mailbox *to, int kind)
{
    struct http_job *job = calloc(1, sizeof *job);
    if (job == NULL)
        abort();
    job->letter = (struct letter){.kind = kind, .free_fn = job_free};
    job->to = to;
    job->method = arena_strdup(&job->arena, method);
    job->url = arena_strdup(&job->arena, url);
    return job;
}

void http_job_header(struct http_job *job, const char *name, const char *value)
{
    size_t n = job->n_headers;
    struct http_header *grown = ARENA_ARRAY(&job->arena, struct http_header, n + 1);
    if (n > 0)
        memcpy(grown, job->headers, n * sizeof *grown);
    grown[n].name = arena_strdup(&job->arena, name);
    grown[n].value = arena_strdup(&job->arena, value);
    job->headers = grown;
    job->n_headers = n + 1;
}

const char *http_job_answer_header(const struct http_job *job, const char *name)
{
    return http_header_find(job->answer_headers, job->n_answer_headers, name);
}

static void count_out(struct http_client *client, const struct http_job *job)
{
    atomic_fetch_sub(&client->jobs, 1);
    if (job->haste == HTTP_PATIENT)
        atomic_fetch_sub(&client->patient_jobs, 1);
}

/* The job goes home. */
static void give_back(struct http_client *client, struct http_job *job)
{
    if (job->answer.at == NULL)
        job->answer = (struct span){"", 0};
    count_out(client, job);
    mailbox_post_always(job->to, &job->letter);
}

static void give_back_unsent(struct http_client *client, struct http_job *job, const char *why)
{
    job->outcome = HTTP_NOT_SENT;
    job->error = arena_strdup(&job->arena, why);
    give_back(client, job);
}

/* --- what comes back ----------------------------------------------------------------------- */

static void forget_headers(struct transfer *t)
{
    t->n_fields = 0;
    t->field_bytes = 0;
}

static void keep_header(struct transfer *t, const char *line, size_t len)
{
    const char *colon = memchr(line, ':', len);
    if (colon == NULL || t->n_fields == MAX_ANSWER_HEADERS)
        return;
    struct arena *a = &t->job->arena;
    char *name = arena_strndup(a, line, (size_t)(colon - line));
    for (char *c = name; *c != '\0'; c++)
        *c = (char)(*c >= 'A' && *c <= 'Z' ? *c + ('a' - 'A') : *c);
    const char *value = colon + 1, *end = line + len;
    while (value < end && (*value == ' ' || *value == '\t'))
        value++;
    while (end > value && strchr("\r\n \t", end[-1]) != NULL)
        end--;
    t->fields[t->n_fields].name = name;
    t->fields[t->n_fields].value = arena_strndup(a, value, (size_t)(end - value));
    t->n_fields++;
}

/* Of several answers (a 100 before the real one) the last counts: a status line begins anew. */
static size_t on_header(char *line, size_t size, size_t n, void *arg)
{
    struct transfer *t = arg;
    size_t len = size * n;
    if (len >= 5 && memcmp(line, "HTTP/", 5) == 0)
        forget_headers(t);
    t->field_bytes += len;
    if (t->field_bytes > MAX_ANSWER_HEADER_BYTES) {
        t->too_big = true;
        return 0;
    }
    keep_header(t, line, len);
    return len;
}

static size_t on_body(char *at, size_t size, size_t n, void *arg)
{
    struct transfer *t = arg;
    size_t len = size * n;
    if (len > t->job->max_answer_bytes - t->body_len) {
        t->too_big = true;
        return 0;
    }
    if (t->body_len + len + 1 > t->body_room) {
        size_t room =
            t->body_room * 2 > t->body_len + len + 1 ? t->body_room * 2 : t->body_len + len + 1;
        t->body = realloc(t->body, room);
        if (t->body == NULL)
            abort();
        t->body_room = room;
    }
    memcpy(t->body + t->body_len, at, len);
    t->body_len += len;
    t->body[t->body_len] = '\0';
    return len;
}

/* --- sending ------------------------------------------------------------------------------- */

static bool is_clean(const char *text)
{
    for (const char *c = text; c != NULL && *c != '\0'; c++)
        if (((unsigned char)*c < 0x20 && *c != '\t') || *c == 0x7F)
            return false;
    return text != NULL;
}

/* NULL, or why it cannot be sent. */
static const char *look_for_mistakes(const struct http_job *job)
{
    if (strlen(job->url) > MAX_URL)
        return "the URL is too long";
    if (strncasecmp(job->url, "http://", 7) != 0 && strncasecmp(job->url, "https://", 8) != 0)
        return "only http and https can be called";
    if (!is_clean(job->url) || !is_clean(job->method) || strpbrk(job->method, " \t") != NULL)
        return "there is a control character in the URL or the method";
    for (size_t i = 0; i < job->n_headers; i++) {
        const struct http_header *h = &job->headers[i];
        if (!is_clean(h->name) || !is_clean(h->value) || h->name[0] == '\0' ||
            strpbrk(h->name, ": \t") != NULL)
            return "there is a control character in a header";
    }
    return NULL;
}

static struct curl_slist *add_line(struct curl_slist *list, const char *line)
{
    struct curl_slist *longer = curl_slist_append(list, line);
    if (longer == NULL)
        abort();
    return longer;
}

static struct curl_slist *header_list(struct http_job *job)
{
    /* No waiting for "100 Continue"; no content type that the caller did not choose. */
    struct curl_slist *list = add_line(NULL, "Expect:");
    bool typed = false;
    for (size_t i = 0; i < job->n_headers; i++) {
        const struct http_header *h = &job->headers[i];
        /* To libcurl "Name:" takes the header away and "Name;" sends it empty. */
        const char *line = h->value[0] == '\0'
                               ? arena_printf(&job->arena, "%s;", h->name)
                               : arena_printf(&job->arena, "%s: %s", h->name, h->value);
        list = add_line(list, line);
        typed = typed || strcasecmp(h->name, "content-type") == 0;
    }
    return typed ? list : add_line(list, "Content-Type:");
}

#define SET(easy, option, value)                                     \
    do {                                                             \
        if (curl_easy_setopt((easy), (option), (value)) != CURLE_OK) \
            abort();                                                 \
    } while (0)

static void set_method(CURL *easy, const struct http_job *job)
{
    bool sends = job->body.len > 0 || strcmp(job->method, "POST") == 0 ||
                 strcmp(job->method, "PUT") == 0 || strcmp(job->method, "PATCH") == 0;
    if (strcmp(job->method, "HEAD") == 0 && !sends)
        SET(easy, CURLOPT_NOBODY, 1L);
    if (sends) {
        SET(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)job->body.len);
        SET(easy, CURLOPT_POSTFIELDS, job->body.len > 0 ? job->body.at : "");
    }
    SET(easy, CURLOPT_CUSTOMREQUEST, job->method);
}

static void set_callbacks(CURL *easy, struct transfer *t)
{
    SET(easy, CURLOPT_HEADERFUNCTION, on_header);
    SET(easy, CURLOPT_HEADERDATA, t);
    SET(easy, CURLOPT_WRITEFUNCTION, on_body);
    SET(easy, CURLOPT_WRITEDATA, t);
    SET(easy, CURLOPT_PRIVATE, t);
}

static void set_options(CURL *easy, struct transfer *t)
{
    const struct http_client_config *config = &t->client->config;
    const struct http_job *job = t->job;
    SET(easy, CURLOPT_URL, job->url);
    SET(easy, CURLOPT_HTTPHEADER, t->headers);
    SET(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    SET(easy, CURLOPT_FOLLOWLOCATION, 0L);
    SET(easy, CURLOPT_NOSIGNAL, 1L);
    SET(easy, CURLOPT_USERAGENT, "signoff/" SIGNOFF_VERSION);
    SET(easy, CURLOPT_TIMEOUT_MS, (long)job->timeout_ms);
    SET(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)config->connect_timeout_ms);
    bool tls = strncasecmp(job->url, "https", 5) == 0;
    SET(easy, CURLOPT_PROXY, tls && config->proxy != NULL ? config->proxy : "");
    if (config->no_proxy != NULL)
        SET(easy, CURLOPT_NOPROXY, config->no_proxy);
    if (config->ca_file != NULL)
        SET(easy, CURLOPT_CAINFO, config->ca_file);
    /* libcurl sends again by itself, POST too, when a reused connection closes before it answers.
     */
    if (!job->repeatable)
        SET(easy, CURLOPT_FRESH_CONNECT, 1L);
    /* Stops only what is announced; on_body() counts what comes. */
    if (strcmp(job->method, "HEAD") != 0)
        SET(easy, CURLOPT_MAXFILESIZE_LARGE, (curl_off_t)job->max_answer_bytes);
    set_method(easy, job);
    set_callbacks(easy, t);
}

static void start(struct http_client *client, struct lane *lane, struct http_job *job)
{
    struct transfer *t = calloc(1, sizeof *t);
    CURL *easy = curl_easy_init();
    if (t == NULL || easy == NULL)
        abort();
    t->client = client;
    t->job = job;
    t->lane = lane;
    t->easy = easy;
    t->headers = header_list(job);
    t->begun_ms = clock_monotonic_ms();
    t->next = client->transfers;
    client->transfers = t;
    lane->running++;
    set_options(easy, t);
    if (curl_multi_add_handle(client->multi, easy) != CURLM_OK)
        abort();
}

/* --- endings ------------------------------------------------------------------------------- */

/* Before libcurl began to send, nothing of the request can have arrived. */
static bool is_unsent(CURL *easy)
{
    curl_off_t ready_us = 0;
    long sent_bytes = 0;
    return curl_easy_getinfo(easy, CURLINFO_PRETRANSFER_TIME_T, &ready_us) == CURLE_OK &&
           curl_easy_getinfo(easy, CURLINFO_REQUEST_SIZE, &sent_bytes) == CURLE_OK &&
           ready_us == 0 && sent_bytes == 0;
}

static void read_facts(struct transfer *t)
{
    struct http_job *job = t->job;
    long status = 0;
    curl_off_t retry_after_s = 0;
    curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_getinfo(t->easy, CURLINFO_RETRY_AFTER, &retry_after_s);
    job->status = (int)status;
    job->retry_after_ms = (int64_t)retry_after_s * 1000;
    job->took_ms = clock_monotonic_ms() - t->begun_ms;
    struct http_header *headers = ARENA_ARRAY(&job->arena, struct http_header, t->n_fields);
    memcpy(headers, t->fields, t->n_fields * sizeof *headers);
    job->answer_headers = headers;
    job->n_answer_headers = t->n_fields;
    if (t->body != NULL) {
        job->answer = (struct span){t->body, t->body_len};
        arena_defer(&job->arena, free, t->body);
    }
}

static const char *sentence(struct transfer *t, CURLcode code)
{
    struct arena *a = &t->job->arena;
    if (t->too_big || code == CURLE_FILESIZE_EXCEEDED)
        return arena_printf(a, "the answer is over the limit of %zu bytes",
                            t->job->max_answer_bytes);
    if (code == CURLE_OPERATION_TIMEDOUT)
        return arena_printf(a, "no whole answer within %lld ms", (long long)t->job->took_ms);
    /* Not libcurl's error buffer, which may quote what it was given. */
    long why = 0;
    curl_easy_getinfo(t->easy, CURLINFO_OS_ERRNO, &why);
    if (code == CURLE_COULDNT_CONNECT && why != 0)
        return arena_printf(a, "%s: %s", curl_easy_strerror(code), strerror((int)why));
    return arena_strdup(a, curl_easy_strerror(code));
}

static void unlink_transfer(struct http_client *client, const struct transfer *t)
{
    struct transfer **at = &client->transfers;
    while (*at != t)
        at = &(*at)->next;
    *at = t->next;
}

static void finish(struct http_client *client, struct transfer *t, CURLcode code, bool aborted)
{
    struct http_job *job = t->job;
    read_facts(t);
    if (code == CURLE_OK && !aborted) {
        job->outcome = HTTP_ANSWERED;
    } else {
        job->outcome = is_unsent(t->easy) ? HTTP_NOT_SENT : HTTP_UNKNOWN;
        job->error = aborted ? "Signoff stopped before the answer came" : sentence(t, code);
    }
    curl_multi_remove_handle(client->multi, t->easy);
    curl_easy_cleanup(t->easy);
    curl_slist_free_all(t->headers);
    unlink_transfer(client, t);
    t->lane->running--;
    free(t);
    give_back(client, job);
}

/* --- lanes --------------------------------------------------------------------------------- */

static struct lane *find_lane(struct http_client *client, const char *host, enum http_haste haste)
{
    for (struct lane *lane = client->lanes; lane != NULL; lane = lane->next)
        if (lane->haste == haste && strcmp(lane->host, host) == 0)
            return lane;
    struct lane *lane = calloc(1, sizeof *lane);
    if (lane == NULL || (lane->host = strdup(host)) == NULL)
        abort();
    lane->haste = haste;
    lane->most = haste == HTTP_PATIENT ? client->config.max_per_host * PATIENT_TIMES
                                       : client->config.max_per_host;
    lane->end = &lane->first;
    lane->next = client->lanes;
    client->lanes = lane;
    return lane;
}

/* "https://api.example:443", or NULL when libcurl cannot read the URL. */
static const char *host_of(struct http_job *job)
{
    CURLU *url = curl_url();
    char *scheme = NULL, *host = NULL, *port = NULL;
    const char *found = NULL;
    if (url == NULL)
        abort();
    if (curl_url_set(url, CURLUPART_URL, job->url, 0) == CURLUE_OK &&
        curl_url_get(url, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK &&
        curl_url_get(url, CURLUPART_HOST, &host, 0) == CURLUE_OK &&
        curl_url_get(url, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT) == CURLUE_OK)
        found = arena_printf(&job->arena, "%s://%s:%s", scheme, host, port);
    curl_free(scheme);
    curl_free(host);
    curl_free(port);
    curl_url_cleanup(url);
    return found;
}

static void enqueue(struct http_client *client, struct http_job *job)
{
    const char *mistake = look_for_mistakes(job);
    const char *host = mistake == NULL ? host_of(job) : NULL;
    if (mistake == NULL && host == NULL)
        mistake = "the URL cannot be read";
    if (mistake != NULL) {
        give_back_unsent(client, job, mistake);
        return;
    }
    struct lane *lane = find_lane(client, host, job->haste);
    job->letter.next = NULL;
    *lane->end = &job->letter;
    lane->end = &job->letter.next;
}

static struct http_job *dequeue(struct lane *lane)
{
    struct letter *letter = lane->first;
    lane->first = letter->next;
    if (lane->first == NULL)
        lane->end = &lane->first;
    return (struct http_job *)letter;
}

/* Starts what may start, and drops lanes that have nothing more. */
static void run_lanes(struct http_client *client)
{
    for (struct lane **at = &client->lanes; *at != NULL;) {
        struct lane *lane = *at;
        while (lane->first != NULL && lane->running < lane->most)
            start(client, lane, dequeue(lane));
        if (lane->first == NULL && lane->running == 0) {
            *at = lane->next;
            free(lane->host);
            free(lane);
        } else {
            at = &lane->next;
        }
    }
}

static void return_waiting(struct http_client *client)
{
    for (struct lane *lane = client->lanes; lane != NULL; lane = lane->next)
        while (lane->first != NULL)
            give_back_unsent(client, dequeue(lane), "Signoff stopped before it was sent");
}

/* --- the thread ---------------------------------------------------------------------------- */

static void take_orders(struct http_client *client)
{
    struct letter *letters = mailbox_take(client->orders);
    while (letters != NULL) {
        struct letter *next = letters->next;
        enqueue(client, (struct http_job *)letters);
        letters = next;
    }
}

static void take_endings(struct http_client *client)
{
    int left;
    for (CURLMsg *m; (m = curl_multi_info_read(client->multi, &left)) != NULL;) {
        if (m->msg != CURLMSG_DONE)
            continue;
        char *private = NULL;
        CURLcode code = m->data.result;
        curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, &private);
        finish(client, (struct transfer *)(void *)private, code, false);
    }
}

static bool is_over(struct http_client *client)
{
    int64_t stop_by_ms = atomic_load(&client->stop_by_ms);
    if (stop_by_ms == 0)
        return false;
    return client->transfers == NULL || clock_monotonic_ms() >= stop_by_ms;
}

static int wait_ms(struct http_client *client)
{
    int64_t stop_by_ms = atomic_load(&client->stop_by_ms);
    if (stop_by_ms == 0)
        return MAX_WAIT_MS;
    int64_t left = stop_by_ms - clock_monotonic_ms();
    return left < 0 ? 0 : left < MAX_WAIT_MS ? (int)left : MAX_WAIT_MS;
}

static void *run(void *arg)
{
    struct http_client *client = arg;
    int running;
    for (;;) {
        take_orders(client);
        if (atomic_load(&client->stop_by_ms) != 0)
            return_waiting(client);
        run_lanes(client);
        curl_multi_perform(client->multi, &running);
        take_endings(client);
        run_lanes(client); /* what an ending made room for must not wait for the next event */
        if (is_over(client))
            break;
        curl_multi_poll(client->multi, NULL, 0, wait_ms(client), NULL);
    }
    while (client->transfers != NULL)
        finish(client, client->transfers, CURLE_OK, true);
    take_orders(client);
    return_waiting(client);
    run_lanes(client);
    return NULL;
}

static void wake(void *multi)
{
    curl_multi_wakeup(multi);
}

static void copy_config(struct http_client *client, const struct http_client_config *config)
{
    client->config = *config;
    client->config.proxy = arena_strdup(&client->arena, config->proxy);
    client->config.no_proxy = arena_strdup(&client->arena, config->no_proxy);
    client->config.ca_file = arena_strdup(&client->arena, config->ca_file);
    if (client->config.max_jobs == 0)
        client->config.max_jobs = 1024;
    if (client->config.max_per_host == 0)
        client->config.max_per_host = 4;
    if (client->config.connect_timeout_ms == 0)
        client->config.connect_timeout_ms = 10000;
}

struct http_client *http_client_start(const struct http_client_config *config, struct err *err)
{
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        (void)fail(err, ERR_TRANSIENT, "libcurl cannot start");
        return NULL;
    }
    struct http_client *client = calloc(1, sizeof *client);
    if (client == NULL)
        abort();
    copy_config(client, config);
    client->multi = curl_multi_init();
    if (client->multi == NULL)
        abort();
    client->orders = mailbox_new(SIZE_MAX); /* max_jobs bounds it: see http_client_send() */
    mailbox_set_hook(client->orders, wake, client->multi);
    thread_start(&client->thread, "http client", run, client);
    client->is_running = true;
    return client;
}

void http_client_stop(struct http_client *client, int64_t grace_ms)
{
    if (!client->is_running)
        return;
    mailbox_close(client->orders);
    atomic_store(&client->stop_by_ms, clock_monotonic_ms() + grace_ms);
    curl_multi_wakeup(client->multi);
    pthread_join(client->thread, NULL);
    client->is_running = false;
}

void http_client_free(struct http_client *client)
{
    if (client == NULL)
        return;
    http_client_stop(client, 0);
    curl_multi_cleanup(client->multi);
    mailbox_free(client->orders);
    arena_done(&client->arena);
    free(client);
    curl_global_cleanup();
}

bool http_client_send(struct http_client *client, struct http_job *job)
{
    if (job->timeout_ms <= 0)
        job->timeout_ms = DEFAULT_TIMEOUT_MS;
    if (job->timeout_ms > MAX_TIMEOUT_MS)
        job->timeout_ms = MAX_TIMEOUT_MS;
    if (job->max_answer_bytes == 0)
        job->max_answer_bytes = DEFAULT_MAX_ANSWER;
    bool room = atomic_fetch_add(&client->jobs, 1) < client->config.max_jobs;
    if (job->haste == HTTP_PATIENT)
        room = atomic_fetch_add(&client->patient_jobs, 1) < client->config.max_jobs / 2 && room;
    if (room && mailbox_post(client->orders, &job->letter))
        return true;
    count_out(client, job);
    return false;
}

bool http_client_has_room(const struct http_client *client, enum http_haste haste)
{
    size_t most = client->config.max_jobs;
    return atomic_load(&client->jobs) < most - most / 4 &&
           (haste != HTTP_PATIENT || atomic_load(&client->patient_jobs) < most / 4);
}
