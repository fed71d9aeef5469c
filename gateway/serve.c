/* See serve.h. */
#include "gateway/serve.h"

#include "agents/playbook.h"
#include "gateway/base/clock.h"
#include "gateway/base/text.h"
#include "gateway/builtin.h"
#include "gateway/command_runner.h"
#include "gateway/core.h"
#include "gateway/reader.h"
#include "gateway/yaml.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { MAX_LETTERS = 4096, STOP_GRACE_MS = 4000 };

/* ---- signals: a thread that waits for them ----------------------------------------------- */

struct signals {
    struct mailbox *to;
    pthread_t thread;
    sigset_t set;
};

static void post_plain(struct mailbox *to, int kind)
{
    struct letter *letter = calloc(1, sizeof *letter);
    if (letter == NULL)
        abort();
    letter->kind = kind;
    mailbox_post_always(to, letter);
}

static void *wait_for_signals(void *arg)
{
    struct signals *s = arg;
    for (;;) {
        int signo = 0;
        if (sigwait(&s->set, &signo) != 0 || signo == SIGUSR2)
            return NULL;
        post_plain(s->to, signo == SIGHUP ? LETTER_RELOAD : LETTER_STOP);
    }
}

/* Blocks them in this thread, and so in all that it starts later. */
static void block_signals(struct signals *s)
{
    sigemptyset(&s->set);
    sigaddset(&s->set, SIGTERM);
    sigaddset(&s->set, SIGINT);
    sigaddset(&s->set, SIGHUP);
    sigaddset(&s->set, SIGUSR2); /* ends the waiting thread itself */
    pthread_sigmask(SIG_BLOCK, &s->set, NULL);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); /* a full quota is an error of a write, not an end */
}

/* ---- systemd ----------------------------------------------------------------------------- */

/* sd_notify(3)'s protocol: one datagram to NOTIFY_SOCKET. */
static void notify(const char *state)
{
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    if (path == NULL || strlen(path) >= sizeof to.sun_path)
        return;
    memcpy(to.sun_path, path, strlen(path));
    if (to.sun_path[0] == '@')
        to.sun_path[0] = '\0';
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return;
    (void)!sendto(fd, state, strlen(state), MSG_NOSIGNAL, (struct sockaddr *)&to,
                  (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path)));
    close(fd);
}

/* ---- configuration ----------------------------------------------------------------------- */

const struct config_options *serve_config_options(enum config_mode mode)
{
    static struct config_options options[3];
    options[mode] = (struct config_options){.mode = mode,
                                            .builtin_file = builtin_file,
                                            .channel_ops = channel_ops_by_type,
                                            .source_ops = channel_ops_by_type,
                                            .builtin_tool = builtin_tool};
    return &options[mode];
}

/* TLS files: the configuration has the texts; the server wants names. Memory files have both. */
static char *memory_file(struct arena *a, const char *name, const char *text)
{
    int fd = memfd_create(name, MFD_CLOEXEC);
    if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
        return NULL;
    return arena_printf(a, "/proc/self/fd/%d", fd);
}

/* ---- the parts --------------------------------------------------------------------------- */

/* The first of two names that the environment has; NULL: neither, or empty. */
static const char *environment(const char *name, const char *other)
{
    const char *value = getenv(name);
    if (value == NULL || *value == '\0')
        value = getenv(other);
    return value == NULL || *value == '\0' ? NULL : value;
}

static bool start_edges(struct app *app, struct arena *a, struct err *err)
{
    struct http_client_config client = {.ca_file = environment("SIGNOFF_CA_FILE", "SSL_CERT_FILE"),
                                        .proxy = environment("HTTPS_PROXY", "https_proxy"),
                                        .no_proxy = environment("NO_PROXY", "no_proxy")};
    struct reader_config reader = {.config = app->config, .metrics = app->metrics};
    struct http_server_config server = {
        .listen = app->config->server.listen,
        .door = ingress_door,
        .door_ctx = app,
        .trusted_proxies = (const char *const *)app->config->server.trusted_proxies,
        .n_trusted_proxies = app->config->server.n_trusted_proxies};
    if (app->config->server.tls_cert != NULL) {
        server.tls_cert_file = memory_file(a, "cert", app->config->server.tls_cert);
        server.tls_key_file = memory_file(a, "key", app->config->server.tls_key);
    }
    app->client = http_client_start(&client, err);
    if (app->client == NULL)
        return false;
    app->children = children_start(app->config->server.state, "/proc/self/exe", app->mailbox,
                                   LETTER_COMMAND, err);
    if (app->children == NULL)
        return false;
    app->reader = reader_start(&reader, err);
    if (app->reader == NULL)
        return false;
    ingress_take_config(app);
    app->server = http_server_start(&server, err);
    if (app->server == NULL)
        return false;
    struct slack_sockets_config sockets = {.client = app->client,
                                           .to = app->mailbox,
                                           .kind = LETTER_ENVELOPE,
                                           .metrics = app->metrics,
                                           .proxy = client.proxy,
                                           .no_proxy = client.no_proxy,
                                           .ca_file = client.ca_file};
    app->sockets = slack_sockets_start(&sockets);
    reader_set_server(app->reader, app->server, app->sockets);
    return true;
}

static void stop_edges(struct app *app)
{
    if (app->sockets != NULL)
        slack_sockets_stop(app->sockets, 500);
    if (app->server != NULL)
        http_server_stop(app->server, STOP_GRACE_MS);
    if (app->reader != NULL)
        reader_stop(app->reader);
    if (app->children != NULL)
        children_stop(app->children);
    if (app->client != NULL)
        http_client_stop(app->client, 1000);
    http_server_free(app->server);
    reader_free(app->reader);
    children_free(app->children);
    http_client_free(app->client);
    slack_sockets_free(app->sockets);
}

static struct config *load(const struct serve_options *o)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    struct config_report report;
    struct config *config = config_load(&a, o->config_path, o->config_options, &report);
    for (size_t i = 0; i < report.count; i++)
        if (config == NULL || report.list[i].kind == PROBLEM_WARNING)
            fprintf(stderr, "%s\n", config_problem_line(&a, &report.list[i]));
    return config;
}

static void init_log(const struct config *config)
{
    enum log_level level;
    if (!log_level_from_name(config->log.level, &level))
        level = LEVEL_INFO;
    log_init(level, text_eq(config->log.format, "json") ? LOG_JSON : LOG_LOGFMT, 2);
}

/* Only one gateway may write to a store: the second one stops here and says so. */
static int lock_store(const struct config *config, struct err *err)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    int fd =
        open(arena_printf(&a, "%s.lock", config->store.path), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    if (fd < 0)
        fail(err, ERR_TRANSIENT, "store: %s.lock: %s", config->store.path, strerror(errno));
    else if (fcntl(fd, F_SETLK, &lock) != 0) {
        fail(err, ERR_CONFLICT, "store: another signoff is working on %s", config->store.path);
        close(fd);
        fd = -1;
    }
    return fd;
}

static bool start(struct app *app, struct arena *a, int *lock_fd, struct err *err)
{
    *lock_fd = lock_store(app->config, err);
    return *lock_fd >= 0 &&
           store_open(&app->store, arena_printf(a, "sqlite:%s", app->config->store.path), DB_WRITE,
                      err) &&
           start_edges(app, a, err) && core_recover(app, err);
}

int serve_main(const struct serve_options *o)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    int64_t begin_ms = clock_monotonic_ms();
    struct err err = ERR_INIT;
    struct signals signals;
    int lock_fd = -1;
    struct config *config = load(o);
    if (config == NULL)
        return 2;
    mallopt(M_ARENA_MAX, 2);
    init_log(config);
    block_signals(&signals);
    struct app *app = calloc(1, sizeof *app);
    if (app == NULL)
        abort();
    app->config = config;
    app->config_path = o->config_path;
    app->config_options = o->config_options;
    app->dry_run = o->dry_run;
    app->metrics = metrics_new();
    app->mailbox = signals.to = mailbox_new(MAX_LETTERS);
    bool ok = start(app, &a, &lock_fd, &err);
    if (ok && pthread_create(&signals.thread, NULL, wait_for_signals, &signals) == 0) {
        log_info("gateway.ready", L_STR("listen", config->server.listen),
                 L_INT("port", http_server_port(app->server)),
                 L_MS("took", clock_monotonic_ms() - begin_ms), L_BOOL("dry_run", o->dry_run));
        notify("READY=1");
        reader_set_ready(app->reader, true);
        ingress_connect(app);
        if (o->ready != NULL)
            o->ready(o->ctx, http_server_port(app->server));
        core_run(app);
        notify("STOPPING=1");
        log_info("gateway.stopping");
        pthread_kill(signals.thread, SIGUSR2);
        pthread_join(signals.thread, NULL);
    } else {
        fprintf(stderr, "signoff: %s\n", err.text);
    }
    stop_edges(app);
    edit_forget_all(app);
    if (app->store.db != NULL)
        store_close(&app->store);
    if (lock_fd >= 0)
        close(lock_fd);
    mailbox_free(app->mailbox);
    metrics_free(app->metrics);
    for (size_t i = 0; i < app->n_retired; i++)
        config_free(app->retired[i]);
    free(app->retired);
    config_free(app->config);
    free(app);
    return ok ? 0 : 1;
}
