/* See command_runner.h. One thread, one command; blocks. Everything that can fail before the
 * command begins ends as NOT_STARTED; everything after it is written down, again and again if the
 * disk is full, before the lock is let go. */
#include "gateway/command_runner.h"

#include "gateway/base/clock.h"
#include "gateway/base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    MAX_ORDER = 4 * 1024 * 1024,
    MAX_ARGUMENTS = 4096,
    DEFAULT_OUTPUT = 256 * 1024,
    FILE_NAME_SIZE = COMMAND_ID_MAX + 16,
    OUTPUT_AFTER_END_MS = 1000, /* a background process may hold the pipe open for ever */
    RETRY_S = 1,                /* the ending is written again and again while the disk is full */
    EXIT_TAKEN = 75,
};

/* --- names and files ----------------------------------------------------------------------- */

bool command_id_is_valid(const char *id)
{
    static const char allowed[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.";
    size_t len = id == NULL ? 0 : strspn(id, allowed);
    return len > 0 && len <= COMMAND_ID_MAX && id[len] == '\0' && id[0] != '.';
}

static void file_name(char out[FILE_NAME_SIZE], const char *id, const char *ending)
{
    snprintf(out, FILE_NAME_SIZE, "%s.%s", id, ending);
}

static bool write_all(int fd, const char *at, size_t len)
{
    while (len > 0) {
        ssize_t n = write(fd, at, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        at += n;
        len -= (size_t)n;
    }
    return true;
}

/* --- the order ----------------------------------------------------------------------------- */

/* As texts one after the other, each with its NUL. */
struct order {
    char *text; /* holds all of them */
    const char *state_dir, *id, *cwd;
    int64_t start_by_ms, timeout_ms, grace_ms, max_output;
    char **argv, **env;
};

static bool put_text(int fd, const char *text)
{
    return write_all(fd, text, strlen(text) + 1);
}

static bool put_number(int fd, int64_t number)
{
    char text[24];
    snprintf(text, sizeof text, "%" PRId64, number);
    return put_text(fd, text);
}

static bool put_list(int fd, const char *const *list)
{
    int64_t n = 0;
    while (list != NULL && list[n] != NULL)
        n++;
    if (n > MAX_ARGUMENTS || !put_number(fd, n))
        return false;
    for (int64_t i = 0; i < n; i++)
        if (!put_text(fd, list[i]))
            return false;
    return true;
}

static bool put_order(int fd, const char *state_dir, const struct command_spec *spec,
                      int64_t start_by_ms)
{
    size_t max_output = spec->max_output == 0 ? DEFAULT_OUTPUT : spec->max_output;
    return put_text(fd, state_dir) && put_text(fd, spec->id) &&
           put_text(fd, spec->cwd != NULL ? spec->cwd : "/") && put_number(fd, start_by_ms) &&
           put_number(fd, spec->timeout_ms) &&
           put_number(fd, spec->grace_ms == 0 ? 5000 : spec->grace_ms) &&
           put_number(fd, (int64_t)max_output) && put_list(fd, spec->argv) &&
           put_list(fd, spec->env);
}

bool command_order_open(const char *state_dir, const struct command_spec *spec, int64_t start_by_ms,
                        int *out_fd, struct err *err)
{
    int fd = memfd_create("signoff-order", MFD_CLOEXEC);
    if (fd < 0)
        return fail(err, ERR_TRANSIENT, "no memory file for the command: %s", strerror(errno));
    if (!put_order(fd, state_dir, spec, start_by_ms) || lseek(fd, 0, SEEK_CUR) > MAX_ORDER ||
        lseek(fd, 0, SEEK_SET) != 0) {
        close(fd);
        return fail(err, ERR_TOO_LARGE, "the command with its arguments is too long");
    }
    *out_fd = fd;
    return true;
}

static const char *get_text(const char **at, const char *end)
{
    const char *text = *at;
    const char *nul = text < end ? memchr(text, '\0', (size_t)(end - text)) : NULL;
    *at = nul != NULL ? nul + 1 : end;
    return nul != NULL ? text : NULL;
}

static bool get_number(const char **at, const char *end, int64_t *out)
{
    const char *text = get_text(at, end);
    return text != NULL && text_to_int(text, INT64_MIN, INT64_MAX, out);
}

static char **get_list(const char **at, const char *end)
{
    int64_t n;
    if (!get_number(at, end, &n) || n < 0 || n > MAX_ARGUMENTS)
        return NULL;
    char **list = calloc((size_t)n + 1, sizeof *list);
    if (list == NULL)
        abort();
    for (int64_t i = 0; i < n; i++) {
        const char *text = get_text(at, end);
        if (text == NULL || (list[i] = strdup(text)) == NULL) {
            for (int64_t j = 0; j < i; j++)
                free(list[j]);
            free(list);
            return NULL;
        }
    }
    return list;
}

static void list_free(char **list)
{
    for (char **at = list; at != NULL && *at != NULL; at++)
        free(*at);
    free(list);
}

static void order_done(struct order *o)
{
    list_free(o->argv);
    list_free(o->env);
    free(o->text);
    *o = (struct order){0};
}

static bool order_read(int fd, struct order *o)
{
    struct stat st;
    if (fstat(fd, &st) != 0 || st.st_size <= 0 || st.st_size > MAX_ORDER)
        return false;
    size_t size = (size_t)st.st_size;
    o->text = malloc(size);
    if (o->text == NULL || pread(fd, o->text, size, 0) != st.st_size)
        return false;
    const char *at = o->text, *end = o->text + size;
    o->state_dir = get_text(&at, end);
    o->id = get_text(&at, end);
    o->cwd = get_text(&at, end);
    bool numbers = get_number(&at, end, &o->start_by_ms) && get_number(&at, end, &o->timeout_ms) &&
                   get_number(&at, end, &o->grace_ms) && get_number(&at, end, &o->max_output);
    o->argv = get_list(&at, end);
    o->env = get_list(&at, end);
    return numbers && o->argv != NULL && o->argv[0] != NULL && o->env != NULL && at == end &&
           command_id_is_valid(o->id) && o->max_output > 0;
}

/* --- the lock ------------------------------------------------------------------------------ */

/* Made under another name, locked and filled, then linked: whoever sees ID.lock sees it held. */
enum command_claim command_claim(int dir_fd, const char *id, const char *who, const char *text,
                                 int *out_fd, struct err *err)
{
    char name[FILE_NAME_SIZE], temporary[FILE_NAME_SIZE];
    file_name(name, id, "lock");
    file_name(temporary, id, who);
    int fd = openat(dir_fd, temporary, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    bool ready = fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0 &&
                 write_all(fd, text, strlen(text)) && fsync(fd) == 0;
    bool linked = ready && linkat(dir_fd, temporary, dir_fd, name, 0) == 0;
    bool durable = linked && fsync(dir_fd) == 0;
    int why = errno;
    unlinkat(dir_fd, temporary, 0);
    if (durable) {
        *out_fd = fd;
        return CLAIM_MADE;
    }
    if (linked) /* a claim that fails leaves none: nothing ran under this id */
        unlinkat(dir_fd, name, 0);
    if (fd >= 0)
        close(fd);
    if (ready && !linked && why == EEXIST)
        return CLAIM_TAKEN;
    (void)fail(err, ERR_TRANSIENT, "%s.lock: %s", id, strerror(why));
    return CLAIM_FAILED;
}

/* --- the ending ---------------------------------------------------------------------------- */

const char *command_outcome_name(enum command_outcome outcome)
{
    switch (outcome) {
    case COMMAND_EXITED:
        return "exited";
    case COMMAND_SIGNALED:
        return "signaled";
    case COMMAND_TIMED_OUT:
        return "timed_out";
    case COMMAND_KILLED:
        return "killed";
    case COMMAND_NOT_STARTED:
        return "not_started";
    case COMMAND_HELD_UP:
        return "held_up";
    case COMMAND_UNKNOWN:
        return "unknown";
    }
    UNREACHABLE();
}

static bool outcome_from_name(const char *name, enum command_outcome *out)
{
    for (enum command_outcome o = COMMAND_EXITED; o <= COMMAND_UNKNOWN; o++) {
        if (strcmp(name, command_outcome_name(o)) == 0) {
            *out = o;
            return true;
        }
    }
    return false;
}

bool command_ending_write(int dir_fd, const char *id, const struct command_ending *ending,
                          struct err *err)
{
    char name[FILE_NAME_SIZE], temporary[FILE_NAME_SIZE], text[ERR_TEXT_SIZE + 200];
    file_name(name, id, "exit");
    file_name(temporary, id, "exit-new");
    int len =
        snprintf(text, sizeof text, "%s %d %d %" PRId64 " %d %" PRId64 " %" PRId64 "\n%s\nend\n",
                 command_outcome_name(ending->outcome), ending->exit_code, ending->signo,
                 ending->output_bytes, ending->truncated, ending->started_at_ms,
                 ending->ended_at_ms, ending->error);
    int fd = openat(dir_fd, temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    bool ok = fd >= 0 && write_all(fd, text, (size_t)len) && fsync(fd) == 0;
    int why = errno;
    if (fd >= 0)
        close(fd);
    if (ok && (renameat(dir_fd, temporary, dir_fd, name) != 0 || fsync(dir_fd) != 0)) {
        ok = false;
        why = errno;
    }
    return ok || fail(err, ERR_TRANSIENT, "%s.exit: %s", id, strerror(why));
}

/* The next word, up to a space or the line's end. */
static bool next_word(const char **at, char *out, size_t size)
{
    size_t len = strcspn(*at, " \n");
    if (len == 0 || len >= size || (*at)[len] == '\0')
        return false;
    memcpy(out, *at, len);
    out[len] = '\0';
    *at += len + 1;
    return true;
}

static bool next_number(const char **at, int64_t *out)
{
    char word[24];
    return next_word(at, word, sizeof word) && text_to_int(word, INT64_MIN, INT64_MAX, out);
}

bool command_lock_parse(const char *text, pid_t *pid, int64_t *start_ticks)
{
    char word[24];
    int64_t number;
    if (!next_word(&text, word, sizeof word) || strcmp(word, "runner") != 0 ||
        !next_number(&text, &number) || number <= 0 || number > INT32_MAX)
        return false;
    *pid = (pid_t)number;
    return next_number(&text, start_ticks);
}

static bool ending_parse(const char *text, struct command_ending *out)
{
    struct command_ending e = {0};
    char outcome[24];
    int64_t exit_code, signo, truncated;
    bool numbers = next_word(&text, outcome, sizeof outcome) && next_number(&text, &exit_code) &&
                   next_number(&text, &signo) && next_number(&text, &e.output_bytes) &&
                   next_number(&text, &truncated) && next_number(&text, &e.started_at_ms) &&
                   next_number(&text, &e.ended_at_ms);
    size_t len = strcspn(text, "\n");
    if (!numbers || !outcome_from_name(outcome, &e.outcome) || len >= sizeof e.error ||
        strcmp(text + len, "\nend\n") != 0)
        return false;
    memcpy(e.error, text, len);
    e.exit_code = (int)exit_code;
    e.signo = (int)signo;
    e.truncated = truncated != 0;
    *out = e;
    return true;
}

bool command_ending_read(int dir_fd, const char *id, struct command_ending *out, struct err *err)
{
    char name[FILE_NAME_SIZE], text[ERR_TEXT_SIZE + 200];
    file_name(name, id, "exit");
    int fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return fail(err, ERR_MISSING, "%s.exit: %s", id, strerror(errno));
    ssize_t n = read(fd, text, sizeof text - 1);
    close(fd);
    text[n > 0 ? n : 0] = '\0';
    return ending_parse(text, out) || fail(err, ERR_INVALID, "%s.exit: is not whole", id);
}

/* --- the output ---------------------------------------------------------------------------- */

/* The first half goes to the file as it comes; of the rest the last half is kept in a ring. */
struct output {
    int fd;
    int64_t total, head_room;
    char *ring;
    size_t ring_size, ring_at; /* ring_at: where the next byte goes */
    int64_t in_ring;           /* bytes that ever went into it */
};

static void ring_add(struct output *o, const char *at, size_t len)
{
    o->in_ring += (int64_t)len;
    if (o->ring_size == 0)
        return;
    if (len > o->ring_size) {
        at += len - o->ring_size;
        len = o->ring_size;
    }
    size_t first = o->ring_size - o->ring_at < len ? o->ring_size - o->ring_at : len;
    memcpy(o->ring + o->ring_at, at, first);
    memcpy(o->ring, at + first, len - first);
    o->ring_at = (o->ring_at + len) % o->ring_size;
}

static void output_add(struct output *o, const char *at, size_t len)
{
    o->total += (int64_t)len;
    size_t head = (int64_t)len < o->head_room ? len : (size_t)o->head_room;
    /* A full disk loses output, never the command; the ending is what must be written. */
    (void)!write_all(o->fd, at, head);
    o->head_room -= (int64_t)head;
    if (len > head)
        ring_add(o, at + head, len - head);
}

static bool output_open(struct output *o, int dir_fd, const struct order *order)
{
    char name[FILE_NAME_SIZE];
    file_name(name, order->id, "out");
    size_t half = (size_t)order->max_output / 2;
    *o = (struct output){.head_room = order->max_output - (int64_t)half, .ring_size = half};
    o->ring = malloc(half + 1);
    if (o->ring == NULL)
        abort();
    o->fd = openat(dir_fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (o->fd < 0)
        free(o->ring);
    return o->fd >= 0;
}

/* True if bytes are missing. */
static bool output_finish(struct output *o)
{
    int64_t missing = o->in_ring - (int64_t)o->ring_size;
    if (missing > 0) {
        char line[64];
        int len = snprintf(line, sizeof line, "\n[%" PRId64 " bytes left out]\n", missing);
        (void)!write_all(o->fd, line, (size_t)len);
    }
    if (missing >= 0) /* it is full: its oldest byte is where the next would go */
        (void)!write_all(o->fd, o->ring + o->ring_at, o->ring_size - o->ring_at);
    (void)!write_all(o->fd, o->ring, o->ring_at);
    (void)!fsync(o->fd);
    close(o->fd);
    free(o->ring);
    return missing > 0;
}

/* --- the command --------------------------------------------------------------------------- */

enum stopping { NOT_STOPPING, OVER_TIME, TOLD_TO_STOP };

struct command {
    const struct order *order;
    struct output output;
    pid_t pid; /* of the leader and its process group */
    int pipe;  /* -1: at its end */
    int signals;
    enum stopping stopping;
    bool killed, ended; /* ended: the leader; not reaped, so that its number stays taken */
    int64_t deadline_ms, kill_at_ms, drain_until_ms;
    siginfo_t how;
};

static bool begin_command(struct command *c, int out, struct err *err)
{
    const struct order *order = c->order;
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attr;
    sigset_t all, none;
    sigfillset(&all);
    sigemptyset(&none);
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&files, out, 1);
    posix_spawn_file_actions_adddup2(&files, out, 2);
    posix_spawn_file_actions_addchdir_np(&files, order->cwd);
    posix_spawn_file_actions_addclosefrom_np(&files, 3);
    posix_spawnattr_init(&attr);
    posix_spawnattr_setflags(&attr,
                             POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
    posix_spawnattr_setsigdefault(&attr, &all);
    posix_spawnattr_setsigmask(&attr, &none);
    environ = order->env; /* argv[0] is looked up in the PATH that the command will have */
    int why = posix_spawnp(&c->pid, order->argv[0], &files, &attr, order->argv, order->env);
    posix_spawn_file_actions_destroy(&files);
    posix_spawnattr_destroy(&attr);
    bool passes = why == EAGAIN || why == ENOMEM || why == EMFILE || why == ENFILE;
    return why == 0 ||
           fail(err, passes ? ERR_TRANSIENT : ERR_INVALID, "%s: %s", order->argv[0], strerror(why));
}

static void stop_command(struct command *c, enum stopping why, int64_t now_ms)
{
    if (c->stopping != NOT_STOPPING)
        return;
    c->stopping = why;
    c->kill_at_ms = now_ms + c->order->grace_ms;
    kill(-c->pid, SIGTERM);
}

static void look_for_end(struct command *c, int64_t now_ms)
{
    if (c->ended)
        return;
    c->how.si_pid = 0;
    if (waitid(P_PID, (id_t)c->pid, &c->how, WEXITED | WNOHANG | WNOWAIT) != 0 ||
        c->how.si_pid == 0)
        return;
    c->ended = true;
    c->drain_until_ms = now_ms + OUTPUT_AFTER_END_MS;
}

static void read_signals(struct command *c, int64_t now_ms)
{
    struct signalfd_siginfo info;
    while (read(c->signals, &info, sizeof info) == (ssize_t)sizeof info)
        if (info.ssi_signo == SIGTERM && !c->ended)
            stop_command(c, TOLD_TO_STOP, now_ms);
}

static void read_output(struct command *c)
{
    static char buffer[65536];
    ssize_t n = read(c->pipe, buffer, sizeof buffer);
    if (n > 0) {
        output_add(&c->output, buffer, (size_t)n);
    } else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
        close(c->pipe);
        c->pipe = -1;
    }
}

/* Whom we stop, we stop wholly: what is left of its group has the rest of the grace. */
static bool is_over(const struct command *c, int64_t now_ms)
{
    if (!c->ended)
        return false;
    if (c->stopping != NOT_STOPPING)
        return c->pipe < 0 || now_ms >= c->kill_at_ms;
    return c->pipe < 0 || now_ms >= c->drain_until_ms;
}

static int64_t next_look(const struct command *c)
{
    if (c->ended)
        return c->stopping != NOT_STOPPING ? c->kill_at_ms : c->drain_until_ms;
    if (c->killed)
        return INT64_MAX;
    return c->stopping != NOT_STOPPING ? c->kill_at_ms : c->deadline_ms;
}

static void keep_time(struct command *c, int64_t now_ms)
{
    if (c->ended)
        return;
    if (c->stopping == NOT_STOPPING && now_ms >= c->deadline_ms)
        stop_command(c, OVER_TIME, now_ms);
    if (c->stopping != NOT_STOPPING && !c->killed && now_ms >= c->kill_at_ms) {
        c->killed = true;
        kill(-c->pid, SIGKILL);
    }
}

static void follow_command(struct command *c)
{
    int64_t now_ms = clock_monotonic_ms();
    c->deadline_ms = now_ms + c->order->timeout_ms;
    while (!is_over(c, now_ms)) {
        struct pollfd fds[2] = {{.fd = c->signals, .events = POLLIN},
                                {.fd = c->pipe, .events = POLLIN}};
        int64_t wait_ms = next_look(c) - now_ms;
        wait_ms = wait_ms < 0 ? 0 : wait_ms > 60000 ? 60000 : wait_ms;
        (void)poll(fds, 2, (int)wait_ms);
        now_ms = clock_monotonic_ms();
        if (c->pipe >= 0 && fds[1].revents != 0)
            read_output(c);
        look_for_end(c, now_ms);
        read_signals(c, now_ms);
        keep_time(c, now_ms);
    }
    if (c->stopping != NOT_STOPPING)
        kill(-c->pid, SIGKILL); /* before reaping: the zombie holds the group's number */
    waitpid(c->pid, NULL, 0);
    if (c->pipe >= 0)
        close(c->pipe);
}

static void describe_end(const struct command *c, struct command_ending *e)
{
    switch (c->stopping) {
    case OVER_TIME:
        e->outcome = COMMAND_TIMED_OUT;
        return;
    case TOLD_TO_STOP:
        e->outcome = COMMAND_KILLED;
        return;
    case NOT_STOPPING:
        e->outcome = c->how.si_code == CLD_EXITED ? COMMAND_EXITED : COMMAND_SIGNALED;
        if (e->outcome == COMMAND_EXITED)
            e->exit_code = c->how.si_status;
        else
            e->signo = c->how.si_status;
        return;
    }
    UNREACHABLE();
}

/* --- the runner ---------------------------------------------------------------------------- */

int64_t command_start_ticks(pid_t pid)
{
    char path[40], text[1024];
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -1;
    ssize_t n = read(fd, text, sizeof text - 1);
    close(fd);
    text[n > 0 ? n : 0] = '\0';
    /* The name, field 2, may hold anything, also spaces and brackets: count from its end. */
    const char *at = strrchr(text, ')');
    for (int field = 2; at != NULL && field < 22; field++)
        at = strchr(at + 1, ' ');
    int64_t ticks;
    if (at == NULL)
        return -1;
    at++;
    return next_number(&at, &ticks) ? ticks : -1;
}

/* SIGTERM is blocked since before our exec: one that came early waits in here. */
static int open_signals(void)
{
    sigset_t wanted;
    sigemptyset(&wanted);
    sigaddset(&wanted, SIGTERM);
    sigaddset(&wanted, SIGCHLD);
    sigprocmask(SIG_BLOCK, &wanted, NULL);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    signal(SIGINT, SIG_IGN);
    return signalfd(-1, &wanted, SFD_NONBLOCK | SFD_CLOEXEC);
}

static bool was_told_to_stop(void)
{
    sigset_t pending;
    return sigpending(&pending) == 0 && sigismember(&pending, SIGTERM) == 1;
}

static bool check_beginning(const struct order *order, struct err *err)
{
    if (was_told_to_stop())
        return fail(err, ERR_CONFLICT, "it was stopped before it began");
    if (clock_monotonic_ms() > order->start_by_ms)
        return fail(err, ERR_TRANSIENT, "the runner came too late");
    int fd = open(order->cwd, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return fail(err, ERR_INVALID, "%s: %s", order->cwd, strerror(errno));
    close(fd);
    return true;
}

/* False: nothing ran. */
static bool run_command(const struct order *order, int dir_fd, struct command_ending *e,
                        struct err *err)
{
    struct command c = {.order = order, .signals = open_signals()};
    int ends[2];
    if (!check_beginning(order, err))
        return false;
    if (c.signals < 0 || pipe2(ends, O_CLOEXEC) != 0 || !output_open(&c.output, dir_fd, order))
        return fail(err, ERR_TRANSIENT, "the runner cannot begin: %s", strerror(errno));
    fcntl(ends[0], F_SETFL, O_NONBLOCK);
    c.pipe = ends[0];
    e->started_at_ms = clock_unix_ms();
    bool begun = begin_command(&c, ends[1], err);
    close(ends[1]);
    if (begun) {
        follow_command(&c);
        describe_end(&c, e);
    }
    e->output_bytes = c.output.total;
    e->truncated = output_finish(&c.output);
    e->ended_at_ms = clock_unix_ms();
    return begun;
}

/* Nobody is asked for standard input any more, and the order with its secrets is let go. */
static void drop_order_file(void)
{
    int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (null >= 0 && null != 0) {
        dup2(null, 0);
        close(null);
    }
}

/* Nothing ran: for good, for now, or because somebody stopped it (CONFLICT). */
static enum command_outcome outcome_without_start(enum err_kind why)
{
    return why == ERR_TRANSIENT  ? COMMAND_HELD_UP
           : why == ERR_CONFLICT ? COMMAND_KILLED
                                 : COMMAND_NOT_STARTED;
}

/* What ended is written down however long that takes: while the lock is held everybody waits for
 * it, and without it nobody would ever know. Only a folder that is gone is given up. */
static int write_ending(const struct order *order, int dir_fd, const struct command_ending *ending)
{
    struct stat st;
    while (!command_ending_write(dir_fd, order->id, ending, NULL)) {
        if (fstat(dir_fd, &st) != 0 || st.st_nlink == 0)
            return 1;
        sleep(RETRY_S);
    }
    return 0;
}

static int run_claimed(const struct order *order, int dir_fd)
{
    struct command_ending ending = {0};
    struct err err = ERR_INIT;
    if (!run_command(order, dir_fd, &ending, &err)) {
        ending.outcome = outcome_without_start(err.kind);
        snprintf(ending.error, sizeof ending.error, "%s", err.text);
    }
    return write_ending(order, dir_fd, &ending);
}

static int run_order(const struct order *order)
{
    int dir_fd = open(order->state_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir_fd < 0)
        return 1;
    char text[80];
    int lock_fd, result = 1;
    snprintf(text, sizeof text, "runner %d %" PRId64 "\n", (int)getpid(),
             command_start_ticks(getpid()));
    switch (command_claim(dir_fd, order->id, "runner", text, &lock_fd, NULL)) {
    case CLAIM_MADE:
        result = run_claimed(order, dir_fd);
        close(lock_fd); /* last: who gets the lock may read the ending */
        break;
    case CLAIM_TAKEN:
        result = EXIT_TAKEN;
        break;
    case CLAIM_FAILED:
        break;
    }
    close(dir_fd);
    return result;
}

int command_runner_main(int argc, char **argv)
{
    (void)argc, (void)argv;
    struct order order = {0};
    int result = 2;
    if (order_read(0, &order)) {
        drop_order_file();
        result = run_order(&order);
    }
    order_done(&order);
    return result;
}
