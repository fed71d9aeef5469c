/* See children.h. The thread starts runners, waits for them (its own by their end, found ones by
 * trying their lock) and reads what they left. Other threads only add to the list and set wishes.
 */
#include "gateway/children.h"

#include "gateway/base/clock.h"
#include "gateway/base/log.h"
#include "gateway/command_runner.h"
#include "gateway/thread.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    LOCK_POLL_MS = 100,
    START_WITHIN_MS = 30000,   /* a runner that comes later does not begin … */
    REFUSAL_FOR_S = 60,        /* … so that a refusal may go after that */
    MOST_FOUND = CHILDREN_MAX, /* beyond what is running: found ones that never began */
    MOST_LISTED = CHILDREN_MAX + MOST_FOUND,
    FILE_NAME_SIZE = COMMAND_ID_MAX + 16,
    MAX_OUTPUT_FILE = COMMAND_MAX_OUTPUT + 256,
};

enum child_state {
    CHILD_TO_START, /* its runner is to be executed */
    CHILD_TO_FIND,  /* nobody knows yet whether there is a runner */
    CHILD_OURS,     /* the runner is our child, and not reaped: its pid is nobody else's */
    CHILD_FOUND,    /* it is not, but holds its lock */
};

struct child {
    struct child *next;
    char id[COMMAND_ID_MAX + 1];
    bool kill_wanted; /* under the lock */
    /* The thread's own. */
    enum child_state state;
    int order_fd; /* CHILD_TO_START */
    pid_t pid;    /* CHILD_OURS */
    int pidfd;    /* CHILD_OURS: wakes us at its end; -1 where there is none (no file descriptor
                     is left, or the kernel has no such thing): then we look now and then */
    bool complained;
};

struct children {
    char *state_dir, *runner;
    int dir_fd, wake_fd;
    struct mailbox *to;
    int kind;
    pthread_t thread;
    bool is_running;
    pthread_mutex_t lock; /* of the list, the wishes and `stopping` */
    struct child *list;
    size_t count;
    bool stopping;
};

/* --- results ------------------------------------------------------------------------------- */

static void result_free(struct letter *letter)
{
    struct command_result *result = (struct command_result *)letter;
    arena_done(&result->arena);
    free(result);
}

static void file_name(char out[FILE_NAME_SIZE], const char *id, const char *ending)
{
    snprintf(out, FILE_NAME_SIZE, "%s.%s", id, ending);
}

/* What there is of the output: empty when there is no file. */
static struct span read_output(struct children *c, struct arena *a, const char *id)
{
    char name[FILE_NAME_SIZE];
    struct stat st;
    file_name(name, id, "out");
    int fd = openat(c->dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return (struct span){"", 0};
    size_t size = fstat(fd, &st) == 0 && st.st_size > 0 ? (size_t)st.st_size : 0;
    size = size < MAX_OUTPUT_FILE ? size : MAX_OUTPUT_FILE;
    char *text = arena_alloc(a, size + 1);
    size_t len = 0;
    for (ssize_t n; len < size && (n = read(fd, text + len, size - len)) > 0;)
        len += (size_t)n;
    close(fd);
    return (struct span){text, len};
}

struct command_result *command_result_new(int kind, const char *id, enum command_outcome outcome,
                                          const char *sentence)
{
    struct command_result *result = calloc(1, sizeof *result);
    if (result == NULL)
        abort();
    result->letter = (struct letter){.kind = kind, .free_fn = result_free};
    result->id = arena_strdup(&result->arena, id);
    result->outcome = outcome;
    result->error = arena_strdup(&result->arena, sentence);
    result->output = (struct span){"", 0};
    return result;
}

static struct command_result *result_new(struct children *c, const char *id,
                                         const struct command_ending *ending)
{
    struct command_result *result = command_result_new(c->kind, id, ending->outcome, ending->error);
    result->exit_code = ending->exit_code;
    result->signo = ending->signo;
    result->output = read_output(c, &result->arena, id);
    result->output_bytes = ending->output_bytes;
    result->truncated = ending->truncated;
    result->started_at_ms = ending->started_at_ms;
    result->ended_at_ms = ending->ended_at_ms;
    return result;
}

/* With what there is of its output. */
static struct command_result *without_ending(struct children *c, const char *id,
                                             enum command_outcome outcome, const char *sentence)
{
    struct command_result *result = command_result_new(c->kind, id, outcome, sentence);
    result->output = read_output(c, &result->arena, id);
    return result;
}

/* --- looking at the files ------------------------------------------------------------------ */

struct lock_facts {
    bool exists, is_held, is_refusal;
    pid_t pid;
    int64_t start_ticks;
};

static struct lock_facts read_lock(struct children *c, const char *id)
{
    struct lock_facts facts = {0};
    char name[FILE_NAME_SIZE], text[100];
    file_name(name, id, "lock");
    int fd = openat(c->dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return facts;
    ssize_t n = read(fd, text, sizeof text - 1);
    text[n > 0 ? n : 0] = '\0';
    facts.exists = true;
    facts.is_refusal = strcmp(text, "refused\n") == 0;
    if (!command_lock_parse(text, &facts.pid, &facts.start_ticks))
        facts.pid = 0;
    facts.is_held = flock(fd, LOCK_SH | LOCK_NB) != 0;
    close(fd);
    return facts;
}

/* No runner came: none shall, from now on. NULL: one came meanwhile after all, or that cannot be
 * written now and is tried again. */
static struct command_result *refuse_late_runners(struct children *c, struct child *child)
{
    const char *id = child->id;
    struct err err = ERR_INIT;
    int fd;
    switch (command_claim(c->dir_fd, id, "gateway", "refused\n", &fd, &err)) {
    case CLAIM_MADE:
        close(fd);
        return without_ending(c, id, COMMAND_HELD_UP, "its runner never began");
    case CLAIM_TAKEN:
        return NULL;
    case CLAIM_FAILED:
        if (!child->complained)
            log_error("command.claim_failed", L_STR("id", id), L_STR("error", err.text));
        child->complained = true;
        return NULL;
    }
    UNREACHABLE();
}

/* NULL: its runner lives and holds the lock. */
static struct command_result *settle(struct children *c, struct child *child)
{
    const char *id = child->id;
    struct lock_facts lock = read_lock(c, id);
    if (!lock.exists)
        return refuse_late_runners(c, child);
    if (lock.is_held)
        return NULL;
    /* Only now: the ending is written before the lock is let go. */
    struct command_ending ending;
    struct err err = ERR_INIT;
    if (command_ending_read(c->dir_fd, id, &ending, &err))
        return result_new(c, id, &ending);
    if (lock.is_refusal)
        return without_ending(c, id, COMMAND_HELD_UP, "its runner never began");
    if (err.kind == ERR_MISSING)
        return without_ending(c, id, COMMAND_UNKNOWN, "its runner ended without a word");
    return without_ending(c, id, COMMAND_UNKNOWN, err.text);
}

/* --- runners ------------------------------------------------------------------------------- */

static int spawn_runner(struct children *c, const struct child *child, pid_t *pid)
{
    char word[] = COMMAND_RUNNER_WORD, name[] = "signoff", id[COMMAND_ID_MAX + 1];
    snprintf(id, sizeof id, "%s", child->id);
    char *argv[] = {name, word, id, NULL}, *env[] = {NULL};
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attr;
    sigset_t all, term;
    sigfillset(&all);
    sigemptyset(&term);
    sigaddset(&term, SIGTERM); /* until the runner is ready to hear it */
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_adddup2(&files, child->order_fd, 0);
    posix_spawn_file_actions_addopen(&files, 1, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_addopen(&files, 2, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_addclosefrom_np(&files, 3);
    posix_spawnattr_init(&attr);
    posix_spawnattr_setflags(&attr,
                             POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
    posix_spawnattr_setsigdefault(&attr, &all);
    posix_spawnattr_setsigmask(&attr, &term);
    int why = posix_spawn(pid, c->runner, &files, &attr, argv, env);
    posix_spawn_file_actions_destroy(&files);
    posix_spawnattr_destroy(&attr);
    return why;
}

/* NULL: it runs. */
static struct command_result *start_child(struct children *c, struct child *child)
{
    int why = spawn_runner(c, child, &child->pid);
    close(child->order_fd);
    child->order_fd = -1;
    if (why != 0) {
        log_error("command.runner_failed", L_STR("id", child->id), L_STR("error", strerror(why)));
        return without_ending(c, child->id, COMMAND_HELD_UP, strerror(why));
    }
    child->pidfd = pidfd_open(child->pid, 0);
    child->state = CHILD_OURS;
    return NULL;
}

/* By pidfd: a number that was given to another process meanwhile is not hit. */
static void signal_found(struct children *c, const struct child *child)
{
    struct lock_facts lock = read_lock(c, child->id);
    if (!lock.is_held || lock.pid <= 0)
        return;
    int pidfd = pidfd_open(lock.pid, 0);
    if (pidfd < 0 && errno == ESRCH)
        return;
    if (command_start_ticks(lock.pid) == lock.start_ticks)
        (void)(pidfd >= 0 ? pidfd_send_signal(pidfd, SIGTERM, NULL, 0) : kill(lock.pid, SIGTERM));
    if (pidfd >= 0)
        close(pidfd);
}

static void stop_child(struct children *c, const struct child *child)
{
    if (child->state == CHILD_OURS)
        (void)kill(child->pid, SIGTERM);
    else
        signal_found(c, child);
}

/* Has the runner, our child, ended? */
static struct command_result *reap(struct children *c, struct child *child)
{
    siginfo_t how = {0};
    if (waitid(P_PID, (id_t)child->pid, &how, WEXITED | WNOHANG) == 0 && how.si_pid == 0)
        return NULL;
    if (child->pidfd >= 0)
        close(child->pidfd);
    child->pidfd = -1;
    child->state = CHILD_FOUND;
    if (!read_lock(c, child->id).exists) /* nobody else has its order, so nobody needs refusing */
        return without_ending(c, child->id, COMMAND_HELD_UP, "its runner could not begin");
    return settle(c, child);
}

/* NULL: no result yet. */
static struct command_result *look_at(struct children *c, struct child *child)
{
    switch (child->state) {
    case CHILD_TO_START:
        return start_child(c, child);
    case CHILD_OURS:
        return reap(c, child);
    case CHILD_TO_FIND:
    case CHILD_FOUND:
        child->state = CHILD_FOUND;
        return settle(c, child);
    }
    UNREACHABLE();
}

/* --- the thread ---------------------------------------------------------------------------- */

static void child_free(struct child *child)
{
    if (child->order_fd >= 0)
        close(child->order_fd);
    if (child->pidfd >= 0)
        close(child->pidfd);
    free(child);
}

static void forget(struct children *c, struct child *child)
{
    pthread_mutex_lock(&c->lock);
    struct child **at = &c->list;
    while (*at != child)
        at = &(*at)->next;
    *at = child->next;
    c->count--;
    pthread_mutex_unlock(&c->lock);
    child_free(child);
}

/* The list as it is now; the wishes are taken over. False: stop. */
static bool take_wishes(struct children *c, struct child *all[MOST_LISTED],
                        bool kill_now[MOST_LISTED], size_t *n)
{
    *n = 0;
    pthread_mutex_lock(&c->lock);
    for (struct child *child = c->list; child != NULL; child = child->next) {
        kill_now[*n] = child->kill_wanted;
        child->kill_wanted = false;
        all[(*n)++] = child;
    }
    bool go_on = !c->stopping;
    pthread_mutex_unlock(&c->lock);
    return go_on;
}

static void wait_for_something(struct children *c, struct child *const *all, size_t n)
{
    struct pollfd fds[MOST_LISTED + 1] = {{.fd = c->wake_fd, .events = POLLIN}};
    nfds_t n_fds = 1;
    int timeout_ms = -1;
    for (size_t i = 0; i < n; i++) {
        if (all[i] != NULL && all[i]->pidfd >= 0)
            fds[n_fds++] = (struct pollfd){.fd = all[i]->pidfd, .events = POLLIN};
        else if (all[i] != NULL)
            timeout_ms = LOCK_POLL_MS;
    }
    (void)poll(fds, n_fds, timeout_ms);
    uint64_t drained;
    (void)!read(c->wake_fd, &drained, sizeof drained);
}

static void *run(void *arg)
{
    struct children *c = arg;
    struct child *all[MOST_LISTED];
    bool kill_now[MOST_LISTED];
    size_t n;
    while (take_wishes(c, all, kill_now, &n)) {
        for (size_t i = 0; i < n; i++) {
            struct command_result *result = look_at(c, all[i]);
            if (result != NULL) {
                /* In this order: who has the result may ask for the same id again. */
                forget(c, all[i]);
                all[i] = NULL;
                mailbox_post_always(c->to, &result->letter);
            } else if (kill_now[i]) {
                stop_child(c, all[i]);
            }
        }
        wait_for_something(c, all, n);
    }
    return NULL;
}

/* --- for other threads --------------------------------------------------------------------- */

static void wake(struct children *c)
{
    uint64_t one = 1;
    (void)!write(c->wake_fd, &one, sizeof one);
}

struct children *children_start(const char *state_dir, const char *runner, struct mailbox *to,
                                int kind, struct err *err)
{
    if (mkdir(state_dir, 0700) != 0 && errno != EEXIST) {
        (void)fail(err, ERR_INVALID, "%s: %s", state_dir, strerror(errno));
        return NULL;
    }
    int dir_fd = open(state_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    /* The runner has a working folder of its own. */
    char *absolute = dir_fd >= 0 ? realpath(state_dir, NULL) : NULL;
    if (absolute == NULL || faccessat(dir_fd, ".", W_OK | X_OK, 0) != 0) {
        (void)fail(err, ERR_INVALID, "%s: %s", state_dir, strerror(errno));
        free(absolute);
        if (dir_fd >= 0)
            close(dir_fd);
        return NULL;
    }
    struct children *c = calloc(1, sizeof *c);
    if (c == NULL || (c->runner = strdup(runner)) == NULL)
        abort();
    c->state_dir = absolute;
    c->dir_fd = dir_fd;
    c->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    c->to = to;
    c->kind = kind;
    pthread_mutex_init(&c->lock, NULL);
    thread_start(&c->thread, "children", run, c);
    c->is_running = true;
    return c;
}

void children_stop(struct children *c)
{
    if (!c->is_running)
        return;
    pthread_mutex_lock(&c->lock);
    c->stopping = true;
    pthread_mutex_unlock(&c->lock);
    wake(c);
    pthread_join(c->thread, NULL);
    c->is_running = false;
}

void children_free(struct children *c)
{
    if (c == NULL)
        return;
    children_stop(c);
    while (c->list != NULL) {
        struct child *next = c->list->next;
        child_free(c->list);
        c->list = next;
    }
    pthread_mutex_destroy(&c->lock);
    close(c->dir_fd);
    close(c->wake_fd);
    free(c->state_dir);
    free(c->runner);
    free(c);
}

static struct child *find_child(struct children *c, const char *id)
{
    struct child *child = c->list;
    while (child != NULL && strcmp(child->id, id) != 0)
        child = child->next;
    return child;
}

/* Takes order_fd, also when it fails. */
static bool add_child(struct children *c, const char *id, enum child_state state, int order_fd,
                      struct err *err)
{
    struct child *child = calloc(1, sizeof *child);
    if (child == NULL)
        abort();
    snprintf(child->id, sizeof child->id, "%s", id);
    child->state = state;
    child->order_fd = order_fd;
    child->pidfd = -1;
    pthread_mutex_lock(&c->lock);
    bool known = find_child(c, id) != NULL;
    /* One that may be running is followed, however many there are. */
    bool room = c->count < (state == CHILD_TO_FIND ? MOST_LISTED : CHILDREN_MAX);
    if (!known && room) {
        child->next = c->list;
        c->list = child;
        c->count++;
    }
    pthread_mutex_unlock(&c->lock);
    if (!known && room) {
        wake(c);
        return true;
    }
    child_free(child);
    if (known)
        return fail(err, ERR_CONFLICT, "%s: is running already", id);
    return fail(err, ERR_TRANSIENT, "%d commands are running already", CHILDREN_MAX);
}

static bool has_no_name(const char *setting)
{
    return strchr(setting, '=') == NULL || setting[0] == '=';
}

static bool check_spec(struct children *c, const struct command_spec *spec, struct err *err)
{
    char name[FILE_NAME_SIZE];
    if (!command_id_is_valid(spec->id))
        return fail(err, ERR_INVALID, "the id of the command is not fit for a file");
    if (spec->argv == NULL || spec->argv[0] == NULL || spec->argv[0][0] == '\0')
        return fail(err, ERR_INVALID, "%s: there is no command", spec->id);
    if (spec->timeout_ms <= 0 || spec->grace_ms < 0)
        return fail(err, ERR_INVALID, "%s: there is no time-out", spec->id);
    if (spec->max_output > COMMAND_MAX_OUTPUT)
        return fail(err, ERR_TOO_LARGE, "%s: the limit of its output is over %d bytes", spec->id,
                    COMMAND_MAX_OUTPUT);
    for (const char *const *e = spec->env; e != NULL && *e != NULL; e++)
        if (has_no_name(*e))
            return fail(err, ERR_INVALID, "%s: its environment is not NAME=VALUE", spec->id);
    file_name(name, spec->id, "lock");
    if (faccessat(c->dir_fd, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
        return fail(err, ERR_CONFLICT, "%s: this id was used", spec->id);
    return true;
}

bool children_run(struct children *c, const struct command_spec *spec, struct err *err)
{
    int order_fd;
    return check_spec(c, spec, err) &&
           command_order_open(c->state_dir, spec, clock_monotonic_ms() + START_WITHIN_MS, &order_fd,
                              err) &&
           add_child(c, spec->id, CHILD_TO_START, order_fd, err);
}

bool children_find(struct children *c, const char *id, struct err *err)
{
    if (!command_id_is_valid(id))
        return fail(err, ERR_INVALID, "the id of the command is not fit for a file");
    return add_child(c, id, CHILD_TO_FIND, -1, err);
}

void children_kill(struct children *c, const char *id)
{
    pthread_mutex_lock(&c->lock);
    struct child *child = find_child(c, id);
    if (child != NULL)
        child->kill_wanted = true;
    pthread_mutex_unlock(&c->lock);
    wake(c);
}

/* A runner that was started before the refusal may come for START_WITHIN_MS. */
static bool is_needed(struct children *c, const char *lock_name, const struct lock_facts *lock)
{
    struct stat st;
    return lock->is_refusal && fstatat(c->dir_fd, lock_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
           clock_unix_ms() / 1000 - st.st_mtime < REFUSAL_FOR_S;
}

void children_forget(struct children *c, const char *id)
{
    /* The lock last: while it is there, the id is taken. */
    static const char *const endings[] = {"out", "exit-new", "exit", "runner", "gateway", "lock"};
    if (!command_id_is_valid(id))
        return;
    struct lock_facts lock = read_lock(c, id);
    for (size_t i = 0; i < COUNT(endings); i++) {
        char name[FILE_NAME_SIZE];
        file_name(name, id, endings[i]);
        if (strcmp(endings[i], "lock") != 0 || !is_needed(c, name, &lock))
            (void)unlinkat(c->dir_fd, name, 0);
    }
}

static bool is_among(const char *id, const char *const *list, size_t n)
{
    bool found = false;
    for (size_t i = 0; i < n && !found; i++)
        found = strcmp(list[i], id) == 0;
    return found;
}

/* "x_1.2.exit" → "x_1.2". */
static bool id_of_file(const char *name, char out[COMMAND_ID_MAX + 1])
{
    const char *dot = strrchr(name, '.');
    size_t len = dot == NULL ? 0 : (size_t)(dot - name);
    if (len == 0 || len > COMMAND_ID_MAX)
        return false;
    memcpy(out, name, len);
    out[len] = '\0';
    return command_id_is_valid(out);
}

void children_sweep(struct children *c, const char *const *keep, size_t n_keep)
{
    char id[COMMAND_ID_MAX + 1];
    DIR *folder = opendir(c->state_dir);
    for (const struct dirent *e; folder != NULL && (e = readdir(folder)) != NULL;) {
        if (!id_of_file(e->d_name, id) || is_among(id, keep, n_keep))
            continue;
        /* CONFLICT: it is followed already. */
        if (!read_lock(c, id).is_held)
            children_forget(c, id);
        else if (!children_find(c, id, NULL))
            continue;
    }
    if (folder != NULL)
        closedir(folder);
}

size_t children_count(struct children *c)
{
    pthread_mutex_lock(&c->lock);
    size_t count = c->count;
    pthread_mutex_unlock(&c->lock);
    return count;
}
