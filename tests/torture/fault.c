/* Kills the gateway, or fails its system calls, at the n-th of a kind of moment. Loaded by
 * LD_PRELOAD into `signoff serve`, so that the program under torture is the program that is
 * shipped.
 *
 *   SIGNOFF_FAULT_BOARD   a file of counters, shared by every gateway and runner of one story
 *   SIGNOFF_FAULT         orders, separated by ';':
 *     kill:POINT:N[:EVERY]        SIGKILL to the gateway at the n-th POINT of the story, and at
 * every EVERY-th after it fail:POINT:N:ERRNO[:TIMES]  the n-th POINT fails, and the TIMES - 1 after
 * it, until the story says on the board that it is over
 *     late:spawn:N:MS             the n-th runner that is started begins only after that time
 *
 * The board counts on over restarts: n is a moment of the story, not of a process. Commands run
 * without any of this; runners have it, because their files are points too. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <unistd.h>

/* clang-format off */
enum point {
    POINT_COMMIT,     /* before the first byte of a transaction is in the write-ahead log */
    POINT_TORN,       /* in the middle of its first page */
    POINT_SYNC,       /* kill: it is durable, and nothing of it was performed. fail: it is not */
    POINT_READ,       /* a page of the store is read */
    POINT_CHECKPOINT, /* a page goes from the log into the store's file */
    POINT_SPAWN,      /* before a runner is started */
    POINT_SPAWNED,    /* after it */
    POINT_ORDER,      /* what a runner shall do is written for it */
    POINT_SEND,       /* before bytes leave by a socket, an answer's or a call's */
    POINT_FORGET,     /* before a file in the state folder is removed by the gateway */
    POINT_RUNNER,     /* before anything that a runner does to its files or its command */
    POINT_COUNT
};
/* clang-format on */

static const char *const names[POINT_COUNT] = {"commit",     "torn",   "sync",    "read",
                                               "checkpoint", "spawn",  "spawned", "order",
                                               "send",       "forget", "runner"};

enum { MOST_ORDERS = 8, MOST_ENV = 8, TEXT_SIZE = 4096 };

struct board {
    _Atomic int64_t count[POINT_COUNT];
    _Atomic int64_t fired; /* kills and failures so far */
    _Atomic int32_t gateway;
    _Atomic int32_t healed; /* set by the story: nothing fails any more */
};

struct order {
    enum { KILL, FAIL, LATE } act;
    enum point point;
    int64_t nth, every, times, late_ms;
    int why;
};

static struct board *board; /* NULL: nothing is counted */
static struct order orders[MOST_ORDERS];
static size_t n_orders;
static bool is_runner;
static char preload[TEXT_SIZE], order_text[TEXT_SIZE], board_path[TEXT_SIZE];

/* ---- orders ------------------------------------------------------------------------------ */

static int error_number(const char *name)
{
    static const struct {
        const char *name;
        int number;
    } known[] = {{"ENOSPC", ENOSPC}, {"EIO", EIO}, {"EAGAIN", EAGAIN}, {"EMFILE", EMFILE}};
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (strcmp(known[i].name, name) == 0)
            return known[i].number;
    fprintf(stderr, "fault: I know no error %s\n", name);
    abort();
}

static void read_order(char *text)
{
    char *word[5] = {0}, *rest = NULL;
    size_t n = 0;
    for (char *w = strtok_r(text, ":", &rest); w != NULL && n < 5; w = strtok_r(NULL, ":", &rest))
        word[n++] = w;
    struct order *o = &orders[n_orders++];
    if (n < 3 || n_orders == MOST_ORDERS) {
        fprintf(stderr, "fault: this is no order\n");
        abort();
    }
    o->act = strcmp(word[0], "kill") == 0 ? KILL : strcmp(word[0], "late") == 0 ? LATE : FAIL;
    while (o->point < POINT_COUNT && strcmp(names[o->point], word[1]) != 0)
        o->point++;
    if (o->point == POINT_COUNT) {
        fprintf(stderr, "fault: I know no point %s\n", word[1]);
        abort();
    }
    o->nth = atoll(word[2]);
    o->times = 1;
    if (o->act == KILL) {
        o->every = word[3] == NULL ? 0 : atoll(word[3]);
    } else if (o->act == LATE) {
        o->late_ms = word[3] == NULL ? 0 : atoll(word[3]);
    } else {
        o->why = error_number(word[3] == NULL ? "" : word[3]);
        o->times = word[4] == NULL ? 1 : atoll(word[4]);
    }
}

static void take(const char *name, char *out)
{
    const char *value = getenv(name);
    snprintf(out, TEXT_SIZE, "%s", value == NULL ? "" : value);
    unsetenv(name);
}

__attribute__((constructor)) static void begin(void)
{
    char role[TEXT_SIZE], late[TEXT_SIZE], text[TEXT_SIZE], *rest = NULL;
    take("LD_PRELOAD", preload);
    take("SIGNOFF_FAULT", order_text);
    take("SIGNOFF_FAULT_BOARD", board_path);
    take("SIGNOFF_FAULT_ROLE", role);
    take("SIGNOFF_FAULT_LATE", late);
    usleep((useconds_t)atoll(late) * 1000);
    is_runner = strcmp(role, "runner") == 0;
    int fd = board_path[0] == '\0' ? -1 : open(board_path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0 || ftruncate(fd, sizeof *board) != 0)
        return;
    void *at = mmap(NULL, sizeof *board, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (at == MAP_FAILED)
        return;
    snprintf(text, sizeof text, "%s", order_text);
    for (char *o = strtok_r(text, ";", &rest); o != NULL; o = strtok_r(NULL, ";", &rest))
        read_order(o);
    board = at;
    if (!is_runner)
        atomic_store(&board->gateway, getpid());
}

/* ---- reaching a point -------------------------------------------------------------------- */

static void kill_gateway(void)
{
    int32_t pid = atomic_exchange(&board->gateway, 0);
    atomic_fetch_add(&board->fired, 1);
    if (pid > 0)
        kill(pid, SIGKILL);
    while (!is_runner)
        pause(); /* the signal is on its way */
}

/* 0: go on. Else the call fails with this error. `half`: the point is only reached, by the caller's
 * own means (a torn page is written before it is killed). */
static int reach(enum point point, bool *dies)
{
    if (board == NULL)
        return 0;
    int64_t n = atomic_fetch_add(&board->count[point], 1) + 1;
    for (size_t i = 0; i < n_orders; i++) {
        const struct order *o = &orders[i];
        if (o->act == LATE || o->point != point || n < o->nth)
            continue;
        bool now = o->act == KILL ? n == o->nth || (o->every > 0 && (n - o->nth) % o->every == 0)
                                  : n < o->nth + o->times;
        if (!now)
            continue;
        if (o->act == FAIL && atomic_load(&board->healed) != 0)
            continue;
        if (o->act == FAIL) {
            atomic_fetch_add(&board->fired, 1);
            return o->why;
        }
        if (dies == NULL)
            kill_gateway();
        else
            *dies = true;
    }
    return 0;
}

#define REAL(name) ((typeof(&name))real(#name))

static void *real(const char *name)
{
    void *found = dlsym(RTLD_NEXT, name);
    if (found == NULL)
        abort();
    return found;
}

static bool is_file(int fd, const char *ending)
{
    char link[40], path[1024];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t len = readlink(link, path, sizeof path - 1);
    size_t wanted = strlen(ending);
    return len > 0 && (size_t)len >= wanted &&
           memcmp(path + (size_t)len - wanted, ending, wanted) == 0;
}

/* ---- the store --------------------------------------------------------------------------- */

/* Writes to the log since it was last synchronised. One thread writes to the store. */
static _Atomic int in_transaction;

static ssize_t store_write(int fd, const void *at, size_t len, off64_t offset)
{
    bool dies = false;
    int why = 0;
    if (board == NULL || is_runner)
        return REAL(pwrite64)(fd, at, len, offset);
    bool to_log = is_file(fd, "-wal");
    if (to_log) {
        int written = atomic_fetch_add(&in_transaction, 1);
        if (written == 0)
            why = reach(POINT_COMMIT, NULL);
        else if (written == 1)
            why = reach(POINT_TORN, &dies);
        if (dies || (why != 0 && written == 1))
            (void)!REAL(pwrite64)(fd, at, len / 2, offset);
        if (dies)
            kill_gateway();
    } else if (is_file(fd, ".db")) {
        why = reach(POINT_CHECKPOINT, NULL);
    }
    if (why == 0)
        return REAL(pwrite64)(fd, at, len, offset);
    atomic_store(&in_transaction, 0);
    errno = why;
    return -1;
}

ssize_t pwrite64(int fd, const void *at, size_t len, off64_t offset)
{
    return store_write(fd, at, len, offset);
}

ssize_t pwrite(int fd, const void *at, size_t len, off_t offset)
{
    return store_write(fd, at, len, offset);
}

static ssize_t store_read(int fd, void *to, size_t len, off64_t offset)
{
    if (board == NULL || is_runner || !(is_file(fd, ".db") || is_file(fd, "-wal")))
        return REAL(pread64)(fd, to, len, offset);
    int why = reach(POINT_READ, NULL);
    if (why == 0)
        return REAL(pread64)(fd, to, len, offset);
    errno = why;
    return -1;
}

ssize_t pread64(int fd, void *to, size_t len, off64_t offset)
{
    return store_read(fd, to, len, offset);
}

ssize_t pread(int fd, void *to, size_t len, off_t offset)
{
    return store_read(fd, to, len, offset);
}

int fdatasync(int fd)
{
    bool dies = false;
    if (board == NULL || is_runner || !is_file(fd, "-wal"))
        return REAL(fdatasync)(fd);
    atomic_store(&in_transaction, 0);
    int why = reach(POINT_SYNC, &dies);
    if (why != 0) {
        errno = why;
        return -1;
    }
    int result = REAL(fdatasync)(fd);
    if (dies)
        kill_gateway();
    return result;
}

/* ---- runners ----------------------------------------------------------------------------- */

/* Fails a runner's call, or kills the gateway while its runner is about to make it. */
static bool runner_fails(void)
{
    int why = board == NULL || !is_runner ? 0 : reach(POINT_RUNNER, NULL);
    errno = why == 0 ? errno : why;
    return why != 0;
}

/* How late the runner that is started now shall begin. */
static int64_t late_ms(void)
{
    int64_t n = atomic_load(&board->count[POINT_SPAWN]);
    for (size_t i = 0; i < n_orders; i++)
        if (orders[i].act == LATE && orders[i].nth == n)
            return orders[i].late_ms;
    return 0;
}

int posix_spawn(pid_t *pid, const char *path, const posix_spawn_file_actions_t *files,
                const posix_spawnattr_t *attr, char *const argv[], char *const env[])
{
    char var[MOST_ENV][TEXT_SIZE + 32];
    char *given[MOST_ENV] = {0};
    size_t n = 0;
    if (board == NULL)
        return REAL(posix_spawn)(pid, path, files, attr, argv, env);
    int why = reach(POINT_SPAWN, NULL);
    if (why != 0)
        return why;
    snprintf(var[n], sizeof var[n], "LD_PRELOAD=%s", preload), n++;
    snprintf(var[n], sizeof var[n], "SIGNOFF_FAULT=%s", order_text), n++;
    snprintf(var[n], sizeof var[n], "SIGNOFF_FAULT_BOARD=%s", board_path), n++;
    snprintf(var[n], sizeof var[n], "SIGNOFF_FAULT_ROLE=runner"), n++;
    snprintf(var[n], sizeof var[n], "SIGNOFF_FAULT_LATE=%lld", (long long)late_ms()), n++;
    snprintf(var[n], sizeof var[n], "ASAN_OPTIONS=verify_asan_link_order=0:detect_leaks=0"), n++;
    for (size_t i = 0; i < n; i++)
        given[i] = var[i];
    int result = REAL(posix_spawn)(pid, path, files, attr, argv, given);
    reach(POINT_SPAWNED, NULL);
    return result;
}

int posix_spawnp(pid_t *pid, const char *file, const posix_spawn_file_actions_t *files,
                 const posix_spawnattr_t *attr, char *const argv[], char *const env[])
{
    if (runner_fails())
        return EAGAIN;
    int result = REAL(posix_spawnp)(pid, file, files, attr, argv, env);
    if (board != NULL && is_runner)
        (void)reach(POINT_RUNNER, NULL); /* it runs: this moment cannot fail */
    return result;
}

int memfd_create(const char *name, unsigned flags)
{
    int why = board == NULL || is_runner ? 0 : reach(POINT_ORDER, NULL);
    if (why == 0)
        return REAL(memfd_create)(name, flags);
    errno = why;
    return -1;
}

static int open_at(int dir, const char *path, int flags, mode_t mode, const char *name)
{
    int (*next)(int, const char *, int, ...) = (int (*)(int, const char *, int, ...))real(name);
    return (flags & O_CREAT) != 0 && runner_fails() ? -1 : next(dir, path, flags, mode);
}

#define MODE_OF(flags, mode)              \
    mode_t mode = 0;                      \
    if (((flags)&O_CREAT) != 0) {         \
        va_list more;                     \
        va_start(more, flags);            \
        mode = (mode_t)va_arg(more, int); \
        va_end(more);                     \
    }

int openat(int dir, const char *path, int flags, ...)
{
    MODE_OF(flags, mode)
    return open_at(dir, path, flags, mode, "openat");
}

int openat64(int dir, const char *path, int flags, ...)
{
    MODE_OF(flags, mode)
    return open_at(dir, path, flags, mode, "openat64");
}

ssize_t write(int fd, const void *at, size_t len)
{
    bool ours = board != NULL && is_runner && (is_file(fd, ".exit-new") || is_file(fd, ".runner"));
    return ours && runner_fails() ? -1 : REAL(write)(fd, at, len);
}

int fsync(int fd)
{
    return runner_fails() ? -1 : REAL(fsync)(fd);
}

int linkat(int from_dir, const char *from, int to_dir, const char *to, int flags)
{
    return runner_fails() ? -1 : REAL(linkat)(from_dir, from, to_dir, to, flags);
}

int renameat(int from_dir, const char *from, int to_dir, const char *to)
{
    return runner_fails() ? -1 : REAL(renameat)(from_dir, from, to_dir, to);
}

int unlinkat(int dir, const char *path, int flags)
{
    if (board != NULL && !is_runner)
        (void)reach(POINT_FORGET, NULL);
    return REAL(unlinkat)(dir, path, flags);
}

/* ---- the network ------------------------------------------------------------------------- */

ssize_t send(int fd, const void *at, size_t len, int flags)
{
    if (board != NULL && !is_runner)
        (void)reach(POINT_SEND, NULL);
    return REAL(send)(fd, at, len, flags);
}
