/* See demo.h. The shop's scripts, configuration and prompts are files of config/demo and prompts/,
 * built into the program. */
#include "gateway/demo.h"

#include "gateway/base/clock.h"
#include "gateway/base/hash.h"
#include "gateway/base/text.h"
#include "gateway/builtin.h"
#include "gateway/client.h"
#include "gateway/demo_tell.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <openssl/rand.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { WAIT_MS = 60000, POLL_MS = 50, SHA_LENGTH = 40 };

extern char **environ;

struct demo {
    struct arena *a;    /* of the act that is under way */
    struct arena *kept; /* of the whole demo */
    bool by_itself;
    char *folder, *url;
    char *webhook_secret, *admin_key, *alice_key;
    pid_t gateway;
    char *first, *second; /* the two merged commits */
    int deliveries;
};

/* ---- small words ------------------------------------------------------------------------- */

static volatile sig_atomic_t interrupted;

static void on_interrupt(int signo)
{
    (void)signo;
    interrupted = 1;
}

static char *random_hex(struct arena *a)
{
    unsigned char bytes[16];
    if (RAND_bytes(bytes, sizeof bytes) != 1)
        abort();
    return hex_encode(a, (struct span){(const char *)bytes, sizeof bytes});
}

static bool write_file(struct demo *d, const char *name, const char *text, mode_t mode,
                       struct err *err)
{
    char *path = arena_printf(d->a, "%s/%s", d->folder, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
    if (fd < 0)
        return fail(err, ERR_TRANSIENT, "%s: %s", path, strerror(errno));
    size_t len = strlen(text);
    bool ok = write(fd, text, len) == (ssize_t)len && fchmod(fd, mode) == 0;
    close(fd);
    return ok || fail(err, ERR_TRANSIENT, "%s: %s", path, strerror(errno));
}

static char *read_file(struct arena *a, const char *path)
{
    char text[4096];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return arena_strdup(a, "");
    ssize_t len = read(fd, text, sizeof text - 1);
    close(fd);
    return len < 0 ? arena_strdup(a, "") : arena_strndup(a, text, (size_t)len);
}

/* Runs a shell-free command in the folder; its output goes nowhere. */
static bool run(struct demo *d, const char *const *argv, struct err *err)
{
    posix_spawn_file_actions_t actions;
    pid_t pid;
    int status = 0;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addchdir_np(&actions, d->folder);
    posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
    char **args = ARENA_ARRAY(d->a, char *, 32);
    for (size_t i = 0; argv[i] != NULL; i++)
        args[i] = arena_strdup(d->a, argv[i]);
    int rc = posix_spawnp(&pid, args[0], &actions, NULL, args, environ);
    posix_spawn_file_actions_destroy(&actions);
    if (rc != 0)
        return fail(err, ERR_MISSING, "%s: %s", argv[0], strerror(rc));
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    return (WIFEXITED(status) && WEXITSTATUS(status) == 0) ||
           fail(err, ERR_TRANSIENT, "%s %s did not succeed", argv[0], argv[1]);
}

/* ---- the shop ---------------------------------------------------------------------------- */

static bool commit(struct demo *d, const char *message, char **sha, struct err *err)
{
    static const char *const add[] = {"git", "-C", "shop", "add", "-A", NULL};
    const char *const make[] = {"git",
                                "-C",
                                "shop",
                                "-c",
                                "user.name=Demo",
                                "-c",
                                "user.email=demo@shop.test",
                                "-c",
                                "commit.gpgsign=false",
                                "commit",
                                "-q",
                                "-m",
                                message,
                                NULL};
    if (!run(d, add, err) || !run(d, make, err))
        return false;
    char *head = read_file(d->a, arena_printf(d->a, "%s/shop/.git/refs/heads/main", d->folder));
    if (strlen(head) < SHA_LENGTH)
        return fail(err, ERR_MISSING, "git made no commit");
    *sha = arena_strndup(d->a, head, SHA_LENGTH);
    return true;
}

static bool make_shop(struct demo *d, struct err *err)
{
    static const char *const init[] = {"git", "init", "-q", "-b", "main", "shop", NULL};
    static const char *const folders[] = {"mkdir",
                                          "-p",
                                          "shop/backend",
                                          "shop/frontend",
                                          "environments/staging",
                                          "environments/production",
                                          NULL};
    static const char *const tag[] = {"git", "-C", "shop", "tag", "v1.0.0", NULL};
    return run(d, init, err) && run(d, folders, err) &&
           write_file(d, "shop/backend/total", demo_file("backend-1.sh"), 0755, err) &&
           write_file(d, "shop/frontend/page", demo_file("frontend-1.sh"), 0755, err) &&
           commit(d, "Open the shop", &d->first, err) && run(d, tag, err) &&
           write_file(d, "shop/backend/total", demo_file("backend-2.sh"), 0755, err) &&
           write_file(d, "shop/frontend/page", demo_file("frontend-2.sh"), 0755, err) &&
           commit(d, "Sum orders twice as fast (#12)", &d->second, err) &&
           write_file(d, "environments/staging/orders.csv", "1;12.50\n2;20.00\n", 0644, err) &&
           write_file(d, "environments/staging/ledger", "32.50", 0644, err) &&
           /* Production has an old order, written the old way: staging does not know of it. */
           write_file(d, "environments/production/orders.csv", "1;12,50\n2;20.00\n3;9.50\n", 0644,
                      err) &&
           write_file(d, "environments/production/ledger", "42.00", 0644, err);
}

/* With OPENAI_API_KEY a real model decides, else the playbooks do. */
static char *configuration(struct demo *d)
{
    const char *key = getenv("OPENAI_API_KEY"), *base = getenv("OPENAI_BASE_URL");
    const char *model = getenv("OPENAI_MODEL");
    if (key == NULL || *key == '\0')
        return arena_printf(d->a, "%s\nllm: {provider: playbook}\n", demo_file("signoff.yaml"));
    return arena_printf(
        d->a,
        "%s\nllm:\n  provider: openai\n  base_url: %s\n  api_key: ${OPENAI_API_KEY}\n"
        "  model: %s\n  fallback: {provider: playbook}\n",
        demo_file("signoff.yaml"), base == NULL ? "https://api.openai.com/v1" : base,
        model == NULL ? "gpt-4o" : model);
}

static bool make_folder(struct demo *d, struct err *err)
{
    const char *tmp = getenv("TMPDIR");
    d->folder = arena_printf(d->a, "%s/signoff-demo.XXXXXX", tmp == NULL ? "/tmp" : tmp);
    if (mkdtemp(d->folder) == NULL)
        return fail(err, ERR_TRANSIENT, "%s: %s", d->folder, strerror(errno));
    return write_file(d, "signoff.yaml", configuration(d), 0600, err) &&
           write_file(d, "deploy.sh", demo_file("deploy.sh"), 0755, err) &&
           write_file(d, "e2e.sh", demo_file("e2e.sh"), 0755, err) && make_shop(d, err);
}

/* ---- the gateway ------------------------------------------------------------------------- */

/* A free port of the moment; the gateway says so if somebody was faster. */
static int free_port(void)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t len = sizeof at;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int port = 8080;
    if (fd >= 0 && bind(fd, (struct sockaddr *)&at, sizeof at) == 0 &&
        getsockname(fd, (struct sockaddr *)&at, &len) == 0)
        port = ntohs(at.sin_port);
    if (fd >= 0)
        close(fd);
    return port;
}

static bool is_ready(struct demo *d)
{
    struct client_call call = {.method = "GET", .url = arena_printf(d->a, "%s/readyz", d->url)};
    struct client_answer answer;
    struct err err = ERR_INIT;
    return client_send(d->a, &call, &answer, &err) && answer.status == 200;
}

static bool start_gateway(struct demo *d, int port, struct err *err)
{
    char *log = arena_printf(d->a, "%s/gateway.log", d->folder);
    char *config = arena_printf(d->a, "%s/signoff.yaml", d->folder);
    char *argv[] = {arena_strdup(d->a, "signoff"), arena_strdup(d->a, "serve"),
                    arena_strdup(d->a, "--config"), config, NULL};
    posix_spawn_file_actions_t actions;
    char text[16];
    snprintf(text, sizeof text, "%d", port);
    setenv("DEMO_PORT", text, 1);
    setenv("DEMO_WEBHOOK_SECRET", d->webhook_secret, 1);
    setenv("DEMO_ADMIN_KEY", d->admin_key, 1);
    setenv("DEMO_ALICE_KEY", d->alice_key, 1);
    d->url = arena_printf(d->a, "http://127.0.0.1:%d", port);
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 2, log, O_WRONLY | O_CREAT | O_APPEND, 0600);
    int rc = posix_spawn(&d->gateway, "/proc/self/exe", &actions, NULL, argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    if (rc != 0)
        return fail(err, ERR_TRANSIENT, "the gateway could not be started: %s", strerror(rc));
    for (int64_t until = clock_monotonic_ms() + 10000; clock_monotonic_ms() < until;) {
        if (is_ready(d))
            return true;
        if (waitpid(d->gateway, NULL, WNOHANG) == d->gateway) {
            d->gateway = 0;
            break;
        }
        usleep(POLL_MS * 1000);
    }
    return fail(err, ERR_TRANSIENT, "the gateway did not start; see %s", log);
}

static void stop_gateway(struct demo *d)
{
    if (d->gateway <= 0)
        return;
    kill(d->gateway, SIGTERM);
    while (waitpid(d->gateway, NULL, 0) < 0 && errno == EINTR)
        ;
    d->gateway = 0;
}

/* ---- public doors ------------------------------------------------------------------------ */

static bool api(struct demo *d, const char *method, const char *path, const char *key,
                const struct json *body, const struct json **out, struct err *err)
{
    struct client_call call = {.method = method,
                               .url = arena_printf(d->a, "%s%s", d->url, path),
                               .api_key = key,
                               .content_type = "application/json",
                               .body = body == NULL ? NULL : json_write(d->a, body)};
    struct client_answer answer;
    if (!client_send(d->a, &call, &answer, err))
        return false;
    *out = answer.json;
    return answer.status < 300 ||
           fail(err, ERR_INVALID, "%s %s: %s", method, path, client_error(d->a, &answer));
}

/* A signed delivery, as GitHub would send it. */
static bool merge(struct demo *d, int number, const char *title, const char *sha, struct err *err)
{
    struct json *payload = json_object(d->a);
    json_set_text(d->a, payload, "action", "closed");
    json_set_int(d->a, payload, "number", number);
    struct json *pull = json_set(d->a, payload, "pull_request", json_object(d->a));
    json_set_int(d->a, pull, "number", number);
    json_set_text(d->a, pull, "title", title);
    json_set_bool(d->a, pull, "merged", true);
    json_set_text(d->a, pull, "merge_commit_sha", sha);
    json_set_text(d->a, json_set(d->a, pull, "base", json_object(d->a)), "ref", "main");
    json_set_text(d->a, json_set(d->a, pull, "user", json_object(d->a)), "login", "alice-ng");
    json_set_text(d->a, json_set(d->a, pull, "merged_by", json_object(d->a)), "login", "bobokoye");
    json_set_text(d->a, json_set(d->a, payload, "repository", json_object(d->a)), "full_name",
                  "demo/shop");
    char *body = json_write(d->a, payload);
    const char *headers[] = {
        "X-GitHub-Event: pull_request",
        arena_printf(d->a, "X-GitHub-Delivery: demo-%d-%d", number, ++d->deliveries),
        arena_printf(d->a, "X-Hub-Signature-256: sha256=%s",
                     hmac_sha256_hex(d->a, span_of(d->webhook_secret), span_of(body))),
        NULL};
    struct client_call call = {.method = "POST",
                               .url = arena_printf(d->a, "%s/github/webhook", d->url),
                               .headers = headers,
                               .content_type = "application/json",
                               .body = body};
    struct client_answer answer;
    return client_send(d->a, &call, &answer, err) &&
           (answer.status < 300 ||
            fail(err, ERR_INVALID, "the webhook was refused: %s", client_error(d->a, &answer)));
}

enum { MOST_THREADS = 200, MOST_NEWS = 2000 };

/* Prints what is new on every thread, in order, as people would tell it. */
struct told {
    const char *thread;
    int64_t seq;
};

/* One thing to tell; events of several threads are told in the order they happened. */
struct news {
    const struct json *thread, *event;
    int64_t at_ms, order;
    int rank; /* of the same millisecond: a parent's news that a child's end caused come last */
};

struct newspaper {
    struct news list[MOST_NEWS];
    size_t n;
};

static int by_time(const void *left, const void *right)
{
    const struct news *a = left, *b = right;
    if (a->at_ms != b->at_ms)
        return a->at_ms < b->at_ms ? -1 : 1;
    if (a->rank != b->rank)
        return a->rank - b->rank;
    return a->order < b->order ? -1 : a->order > b->order;
}

static bool gather(struct demo *d, const struct json *thread, struct told *told, size_t *n,
                   struct newspaper *out, struct err *err)
{
    const char *id = json_text_or(thread, "id", "");
    const struct json *page;
    size_t at = 0;
    while (at < *n && strcmp(told[at].thread, id) != 0)
        at++;
    if (at == *n)
        told[(*n)++] = (struct told){.thread = arena_strdup(d->kept, id)};
    if (!api(d, "GET", arena_printf(d->a, "/v1/threads/%s/events?limit=500", id), d->admin_key,
             NULL, &page, err))
        return false;
    bool is_child = json_text_at(thread, "agent") != NULL;
    int64_t child_ended_ms = -1;
    JSON_EACH(e, json_get(page, "events"))
    {
        int64_t seq = json_int_or(json_get(e, "seq"), 0);
        int64_t at_ms = json_int_or(json_get(e, "at_ms"), 0);
        if (text_eq(json_text_at(e, "type"), "child_finished"))
            child_ended_ms = at_ms;
        if (seq <= told[at].seq || out->n == MOST_NEWS)
            continue;
        told[at].seq = seq;
        out->list[out->n] = (struct news){.thread = thread,
                                          .event = e,
                                          .at_ms = at_ms,
                                          .rank = is_child                  ? 1
                                                  : at_ms == child_ended_ms ? 2
                                                                            : 0,
                                          .order = (int64_t)out->n};
        out->n++;
    }
    return true;
}

/* ---- the story --------------------------------------------------------------------------- */

struct story {
    struct told told[MOST_THREADS];
    size_t n_told;
};

/* Tells what is new; oldest thread first. *over: no run is at work. */
static bool look(struct demo *d, struct story *story, const char **open_request, const char **tool,
                 bool *over, struct err *err)
{
    const struct json *threads, *requests;
    const struct json *list[MOST_THREADS];
    size_t n = 0;
    *over = true;
    *open_request = *tool = NULL;
    if (!api(d, "GET", "/v1/threads?limit=100", d->admin_key, NULL, &threads, err) ||
        !api(d, "GET", "/v1/requests?status=open", d->admin_key, NULL, &requests, err))
        return false;
    JSON_EACH(t, json_get(threads, "threads"))
    {
        const char *status = json_text_or(t, "status", "");
        if (strcmp(status, "running") == 0 || strcmp(status, "waiting") == 0)
            *over = false;
        list[n++] = t;
    }
    struct newspaper *news = ARENA_NEW(d->a, struct newspaper);
    while (n-- > 0)
        if (!gather(d, list[n], story->told, &story->n_told, news, err))
            return false;
    qsort(news->list, news->n, sizeof news->list[0], by_time);
    for (size_t i = 0; i < news->n; i++)
        demo_tell(d->a, news->list[i].thread, news->list[i].event);
    JSON_EACH(r, json_get(requests, "requests"))
    {
        *open_request = json_text_at(r, "id");
        *tool = json_text_or(r, "tool", "question");
    }
    return true;
}

static bool decide(struct demo *d, const char *request, bool approve, const char *why,
                   struct err *err)
{
    const struct json *ignored;
    struct json *body = json_object(d->a);
    json_set_text(d->a, body, "decision", approve ? "approve" : "reject");
    if (why != NULL)
        json_set_text(d->a, body, "comment", why);
    return api(d, "POST", arena_printf(d->a, "/v1/requests/%s/decision", request), d->alice_key,
               body, &ignored, err);
}

/* The demo may run for hours: what one look needs ends with it. */
static struct demo *begin_act(struct demo *d, struct arena *scratch)
{
    d->a = scratch;
    return d;
}

static void keep_again(struct demo **d)
{
    (*d)->a = (*d)->kept;
}

/* What Alice says to each proposal, in order; NULL tool: the end. */
struct line {
    const char *tool;
    bool approve;
    const char *why;
};

/* Plays until no run is at work. False: the story went another way. */
static bool play(struct demo *d, struct story *story, const struct line *lines, struct err *err)
{
    int64_t until = clock_monotonic_ms() + WAIT_MS;
    for (;;) {
        CLEANUP(arena_done) struct arena scratch = ARENA_INIT;
        CLEANUP(keep_again) struct demo *act = begin_act(d, &scratch);
        const char *request, *tool;
        bool over;
        (void)act;
        if (!look(d, story, &request, &tool, &over, err))
            return false;
        if (over && story->n_told > 0 && lines->tool == NULL)
            return true;
        if (request != NULL) {
            if (lines->tool == NULL || strcmp(lines->tool, tool) != 0)
                return fail(err, ERR_INVALID, "%s was proposed where the story has %s", tool,
                            lines->tool == NULL ? "its end" : lines->tool);
            if (!decide(d, request, lines->approve, lines->why, err))
                return false;
            lines++;
        }
        if (clock_monotonic_ms() > until)
            return fail(err, ERR_TRANSIENT, "the story did not go on within a minute");
        usleep(POLL_MS * 1000);
    }
}

static bool revision_is(struct demo *d, const char *environment, const char *component,
                        const char *sha, struct err *err)
{
    char *path =
        arena_printf(d->a, "%s/environments/%s/%s/REVISION", d->folder, environment, component);
    char *text = read_file(d->a, path);
    bool right = strncmp(text, sha, SHA_LENGTH) == 0;
    demo_say(right ? "folder" : "WRONG",
             arena_printf(d->a, "%s/%s holds %.7s", environment, component, text));
    return right || fail(err, ERR_INVALID, "%s/%s should hold %.7s", environment, component, sha);
}

/* Version 1 goes out without trouble: what is deployed later has something to fall back to. */
static bool yesterday(struct demo *d, struct story *story, struct err *err)
{
    static const struct line lines[] = {
        {"deploy_frontend", true, NULL}, {"deploy_backend", true, NULL}, {NULL, false, NULL}};
    demo_say("--", "Yesterday: version 1 goes out.");
    return merge(d, 11, "Open the shop", d->first, err) && play(d, story, lines, err);
}

static bool today(struct demo *d, struct story *story, struct err *err)
{
    static const struct line lines[] = {
        {"deploy_frontend", false, "can you deploy the backend first?"},
        {"deploy_backend", true, NULL},
        {"deploy_frontend", true, NULL},
        {"roll_back_backend", true, NULL},
        {NULL, false, NULL}};
    printf("\n");
    demo_say("--", "Today: a pull request is merged.");
    return merge(d, 12, "Sum orders twice as fast", d->second, err) && play(d, story, lines, err) &&
           revision_is(d, "staging", "backend", d->second, err) &&
           revision_is(d, "staging", "frontend", d->second, err) &&
           revision_is(d, "production", "backend", d->first, err) &&
           revision_is(d, "production", "frontend", d->second, err);
}

/* Where there is a desktop, the page opens by itself; elsewhere the link is enough. */
static void open_page(struct demo *d, const char *url)
{
    const char *const argv[] = {"xdg-open", url, NULL};
    struct err err = ERR_INIT;
    bool desktop = getenv("DISPLAY") != NULL || getenv("WAYLAND_DISPLAY") != NULL;
    if (desktop && isatty(1) && !run(d, argv, &err))
        demo_say("--", "No browser could be opened; use the link.");
}

/* What to type to call this program from anywhere: a fresh clone has it in no PATH. */
static const char *own_path(struct arena *a)
{
    char path[PATH_MAX];
    ssize_t len = readlink("/proc/self/exe", path, sizeof path - 1);
    if (len <= 0)
        return "signoff";
    path[len] = '\0';
    return arena_strdup(a, path);
}

static bool invite(struct demo *d, struct err *err)
{
    const struct json *link;
    const char *own = own_path(d->a);
    if (!api(d, "POST", "/v1/people/alice/login", d->admin_key, json_object(d->a), &link, err))
        return false;
    printf("\n  Sign in as Alice:   %s\n"
           "  or in a terminal:   export SIGNOFF_URL=%s SIGNOFF_API_KEY=%s\n"
           "                      %s threads\n"
           "                      %s approve CODE\n"
           "                      %s reject CODE -m WHY\n"
           "  Try: reject the first card with \"can you deploy the backend first?\"\n"
           "  The folder is %s. Ctrl-C ends the demo.\n\n",
           json_text_or(link, "url", ""), d->url, d->alice_key, own, own, own, d->folder);
    fflush(stdout);
    open_page(d, json_text_or(link, "url", ""));
    return true;
}

static bool watch(struct demo *d, struct story *story, struct err *err)
{
    while (!interrupted) {
        CLEANUP(arena_done) struct arena scratch = ARENA_INIT;
        CLEANUP(keep_again) struct demo *act = begin_act(d, &scratch);
        const char *request, *tool;
        bool over;
        (void)act;
        if (!look(d, story, &request, &tool, &over, err))
            return interrupted != 0;
        usleep(4 * POLL_MS * 1000);
    }
    return true;
}

static bool tell(struct demo *d, struct err *err)
{
    struct story story = {.n_told = 0};
    if (!yesterday(d, &story, err))
        return false;
    if (d->by_itself)
        return today(d, &story, err);
    printf("\n");
    demo_say("--", "Today: a pull request is merged. It is your turn.");
    return merge(d, 12, "Sum orders twice as fast", d->second, err) && invite(d, err) &&
           watch(d, &story, err);
}

static void remove_folder(struct demo *d)
{
    struct err err = ERR_INIT;
    const char *const argv[] = {"rm", "-rf", d->folder, NULL};
    char *folder = d->folder;
    d->folder = arena_strdup(d->a, "/");
    if (!run(d, argv, &err))
        fprintf(stderr, "signoff demo: %s stays: %s\n", folder, err.text);
}

int demo_main(const struct demo_options *options)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    struct demo d = {.a = &a, .kept = &a, .by_itself = options->by_itself};
    struct err err = ERR_INIT;
    struct sigaction action = {.sa_handler = on_interrupt};
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    d.webhook_secret = random_hex(&a);
    d.admin_key = random_hex(&a);
    d.alice_key = random_hex(&a);
    bool ok = make_folder(&d, &err) &&
              start_gateway(&d, options->port > 0 ? options->port : free_port(), &err) &&
              tell(&d, &err);
    stop_gateway(&d);
    if (!ok)
        fprintf(stderr, "signoff demo: %s\n", err.text);
    if (d.folder != NULL && (!ok || options->keep))
        printf("The folder stays for a look: %s\n", d.folder);
    else if (d.folder != NULL)
        remove_folder(&d);
    if (ok && options->by_itself)
        printf("\nThe story ended as told.\n");
    return ok ? 0 : 1;
}
