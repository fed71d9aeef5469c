/* fill STORE.db THREADS EVENTS [OPEN]: a store as a long life leaves it, written by the product's
 * own functions, so that its hash chain is right. Each thread has EVENTS events, one request, one
 * message in the conversation that all share, one ended tool run and two keys of arrivals. The OPEN
 * last ones wait for an answer to their question, the others are done. Prints how long it took. */
#include "gateway/base/clock.h"
#include "gateway/base/hash.h"
#include "gateway/base/text.h"
#include "gateway/store.h"

#include <stdio.h>
#include <stdlib.h>

enum { THREADS_PER_BATCH = 1000 };

static struct err why;

static void must(bool ok)
{
    if (ok)
        return;
    (void)fprintf(stderr, "fill: %s\n", why.text);
    exit(1);
}

/* "t_000000000042": of the right shape, in the order of writing. */
static char *id_of(struct arena *a, char letter, int64_t n)
{
    return arena_printf(a, "%c_%012lld", letter, (long long)n);
}

static struct json *data_of(struct arena *a, const char *text)
{
    return json_parse_own(a, text);
}

static void add_events(struct store *s, struct arena *a, const char *thread, const char *request,
                       int64_t events, bool open, int64_t now_ms)
{
    char *raised = arena_printf(
        a, "{\"request\":\"%s\",\"kind\":\"question\",\"question\":\"Which one?\"}", request);
    char *decided = arena_printf(a,
                                 "{\"request\":\"%s\",\"kind\":\"question\",\"outcome\":"
                                 "\"answered\",\"answer\":\"the second\"}",
                                 request);
    must(store_append(s, a, thread, EVENT_API_MESSAGE, "person:bob",
                      data_of(a, "{\"text\":\"deploy the backend when it is calm\"}"), now_ms, NULL,
                      &why));
    for (int64_t i = 3 - open; i < events; i++)
        must(store_append(s, a, thread, EVENT_WEBHOOK_RECEIVED, "key:ci",
                          data_of(a, arena_printf(a, "{\"check\":%lld,\"ok\":true}", (long long)i)),
                          now_ms, NULL, &why));
    must(store_append(s, a, thread, EVENT_REQUEST_RAISED, "system", data_of(a, raised), now_ms,
                      NULL, &why));
    if (!open)
        must(store_append(s, a, thread, EVENT_REQUEST_DECIDED, "person:alice", data_of(a, decided),
                          now_ms, NULL, &why));
}

static void add_request(struct store *s, struct arena *a, const char *thread, const char *request,
                        int64_t n, bool open, int64_t now_ms)
{
    char *canonical = arena_printf(a, "{\"request\":\"%s\"}", request);
    bool won;
    struct request_row r = {.id = request,
                            .code = arena_printf(a, "%08lld", (long long)n),
                            .thread = thread,
                            .kind = "question",
                            .status = "open",
                            .canonical = canonical,
                            .digest = sha256_hex(a, span_of(canonical)),
                            .view = "{\"question\":\"Which one?\",\"agent\":\"deploybot\","
                                    "\"title\":\"deploy the backend when it is calm\"}",
                            .requester = "person:bob",
                            .raised_at_ms = now_ms};
    must(store_add_request(s, &r, &why));
    if (!open)
        must(store_decide(s, request,
                          &(struct request_end){
                              .status = "answered", .by = "person:alice", .answer = "the second"},
                          now_ms, &won, &why));
}

static void add_work(struct store *s, struct arena *a, const char *thread, const char *request,
                     int64_t n, int64_t now_ms)
{
    struct delivery_row d = {.id = id_of(a, 'd', n),
                             .thread = thread,
                             .request = request,
                             .channel = "ops-slack",
                             .message = "{\"kind\":\"request\",\"to\":\"C0DEPLOYS\"}",
                             .state = "sent",
                             .lane = "ops-slack/C0DEPLOYS",
                             .created_at_ms = now_ms,
                             .due_at_ms = now_ms,
                             .first_sent_ms = now_ms,
                             .attempts = 1,
                             .external_id = arena_printf(a, "C0DEPLOYS:%lld.%06lld",
                                                         (long long)(1000000 + n / 1000000),
                                                         (long long)(n % 1000000)),
                             .ask = -1};
    struct tool_run_row run = {.id = id_of(a, 'x', n),
                               .thread = thread,
                               .kind = "read",
                               .name = "list_git_tags",
                               .spec = "{}",
                               .replies = "[]",
                               .state = "ended",
                               .attempt = 1,
                               .started_at_ms = now_ms,
                               .ended_at_ms = now_ms};
    const char *keys[] = {arena_printf(a, "ops-slack:event:Ev%lld", (long long)n),
                          arena_printf(a, "ops-slack:message:C0:%lld", (long long)n), NULL};
    bool seen;
    must(store_add_delivery(s, &d, &why) && store_set_delivery(s, &d, &why) &&
         store_add_tool_run(s, &run, &why) && store_set_tool_run(s, &run, &why) &&
         store_remember(s, keys, now_ms, &seen, &why));
}

static void add_thread(struct store *s, struct arena *a, int64_t n, int64_t events, bool open,
                       int64_t now_ms)
{
    const char *id = id_of(a, 't', n), *request = id_of(a, 'r', n);
    struct thread_row row = {.t = {.id = id,
                                   .agent = "deploybot",
                                   .root = id,
                                   .status = THREAD_RUNNING,
                                   .title = "deploy the backend when it is calm",
                                   .requester = "person:bob",
                                   .created_at_ms = now_ms}};
    must(store_add_thread(s, a, &row, &why));
    add_events(s, a, id, request, events, open, now_ms);
    add_request(s, a, id, request, n, open, now_ms);
    add_work(s, a, id, request, n, now_ms);
    must(store_set_thread(s, id, open ? THREAD_WAITING : THREAD_DONE,
                          open ? "{\"kind\":\"request\"}" : NULL, open ? NULL : "done", &why) &&
         store_set_dirty(s, id, false, &why));
}

int main(int argc, char **argv)
{
    int64_t threads = 0, events = 0, open = 0, begin_ms = clock_monotonic_ms();
    if (argc < 4 || !text_to_int(argv[2], 1, 100000000, &threads) ||
        !text_to_int(argv[3], 3, 1000000, &events) ||
        (argc > 4 && !text_to_int(argv[4], 0, threads, &open))) {
        (void)fprintf(stderr, "usage: fill STORE.db THREADS EVENTS [OPEN]\n");
        return 2;
    }
    char url[4096];
    struct store s = {0};
    (void)snprintf(url, sizeof url, "sqlite:%s", argv[1]);
    must(store_open(&s, url, DB_WRITE, &why));
    /* One a second, up to now. */
    int64_t first_ms = clock_unix_ms() - threads * 1000;
    for (int64_t n = 0; n < threads;) {
        CLEANUP(arena_done) struct arena a = ARENA_INIT;
        must(store_begin(&s, &why));
        for (int64_t end = n + THREADS_PER_BATCH; n < threads && n < end; n++)
            add_thread(&s, &a, n, events, n >= threads - open, first_ms + n * 1000);
        must(store_checkpoint(&s, &a, first_ms + n * 1000, &why) && store_commit(&s, &why));
    }
    store_close(&s);
    printf("%lld threads, %lld events each: %lld ms\n", (long long)threads, (long long)events,
           (long long)(clock_monotonic_ms() - begin_ms));
    return 0;
}
