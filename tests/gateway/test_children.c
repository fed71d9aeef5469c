/* Real commands under a real runner. */
#include "gateway/base/clock.h"
#include "gateway/command_runner.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

enum { KIND = 3 };

static char dir[] = "/tmp/signoff-state-XXXXXX";
static struct mailbox *box;
static struct children *children;

static void begin(void)
{
    struct err err = ERR_INIT;
    cr_assert_not_null(mkdtemp(dir));
    box = mailbox_new(100);
    children = children_start(dir, RUNNER_HELPER, box, KIND, &err);
    cr_assert_not_null(children, "%s", err.text);
}

static void end(void)
{
    children_free(children);
    mailbox_free(box);
    char clean[200];
    snprintf(clean, sizeof clean, "rm -rf %s", dir);
    FILE *rm = popen(clean, "r");
    pclose(rm);
}

static struct command_spec spec_of(const char *id, const char *const *argv)
{
    static const char *const env[] = {"PATH=/usr/bin:/bin", "NAME=a value", NULL};
    return (struct command_spec){
        .id = id, .argv = argv, .env = env, .timeout_ms = 15000, .grace_ms = 1000};
}

static void start(const struct command_spec *spec)
{
    struct err err = ERR_INIT;
    cr_assert(children_run(children, spec, &err), "%s", err.text);
}

static void start_script(const char *id, const char *script)
{
    const char *const argv[] = {"sh", "-c", script, NULL};
    struct command_spec spec = spec_of(id, argv);
    start(&spec);
}

static struct command_result *next_result(void)
{
    struct letter *letter = mailbox_wait(box, clock_monotonic_ms() + 15000);
    cr_assert_not_null(letter, "no result came");
    cr_assert(letter->kind == KIND && letter->next == NULL);
    return (struct command_result *)letter;
}

static struct command_result *run_script(const char *id, const char *script)
{
    start_script(id, script);
    return next_result();
}

static void done(struct command_result *r)
{
    letter_free(&r->letter);
}

/* Waits until a file is there and has bytes in it; gives its number, if it is one. */
static int wait_for_file(const char *name)
{
    char path[300], text[50] = "";
    snprintf(path, sizeof path, "%s/%s", dir, name);
    for (int i = 0; i < 1000; i++, usleep(10000)) {
        int fd = open(path, O_RDONLY);
        ssize_t n = fd >= 0 ? read(fd, text, sizeof text - 1) : -1;
        if (fd >= 0)
            close(fd);
        if (n > 0)
            break;
    }
    int number = 0;
    sscanf(text, "%d", &number);
    return number;
}

static bool is_alive(int pid)
{
    char path[50], text[300] = "";
    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    int fd = open(path, O_RDONLY);
    if (fd < 0)
        return false;
    (void)!read(fd, text, sizeof text - 1);
    close(fd);
    return strstr(text, ") Z ") == NULL;
}

static bool is_gone_soon(int pid)
{
    for (int i = 0; i < 300 && is_alive(pid); i++)
        usleep(10000);
    return !is_alive(pid);
}

Test(children, a_command_ends_with_its_code_and_output, .timeout = 60)
{
    begin();
    int64_t before = clock_unix_ms();
    struct command_result *r = run_script("r1", "echo out; echo err >&2; exit 3");
    cr_expect_str_eq(r->id, "r1");
    cr_expect_eq(r->outcome, COMMAND_EXITED, "%s %s", command_outcome_name(r->outcome), r->error);
    cr_expect_eq(r->exit_code, 3);
    cr_expect_str_eq(r->output.at, "out\nerr\n");
    cr_expect_eq(r->output_bytes, 8);
    cr_expect(!r->truncated);
    cr_expect(r->started_at_ms >= before && r->ended_at_ms >= r->started_at_ms);
    cr_expect_str_eq(r->error, "");
    cr_expect_eq(children_count(children), 0);
    done(r);
    end();
}

Test(children, a_signal_that_we_did_not_send_is_named, .timeout = 60)
{
    begin();
    struct command_result *r = run_script("r1", "kill -SEGV $$");
    cr_expect_eq(r->outcome, COMMAND_SIGNALED);
    cr_expect_eq(r->signo, SIGSEGV);
    done(r);
    end();
}

Test(children, its_environment_is_bare_and_its_input_empty, .timeout = 60)
{
    begin();
    setenv("SECRET_OF_THE_GATEWAY", "x", 1);
    int leaked = open("/dev/null", O_RDONLY); /* without close-on-exec */
    const char *const argv[] = {"env", NULL};
    struct command_spec spec = spec_of("r1", argv);
    start(&spec);
    struct command_result *r = next_result();
    cr_expect_str_eq(r->output.at, "PATH=/usr/bin:/bin\nNAME=a value\n");
    done(r);
    r = run_script("r2", "cat; ls /proc/self/fd | wc -l; pwd; trap");
    cr_expect_str_eq(r->output.at, "4\n/\n", "%s", r->output.at); /* 0, 1, 2 and that of ls */
    done(r);
    close(leaked);
    end();
}

Test(children, it_is_a_session_of_its_own_in_its_folder_with_no_signal_blocked, .timeout = 60)
{
    begin();
    const char *const argv[] = {"sh", "-c",
                                "pwd; awk '{print $1==$5, $1==$6}' /proc/$$/stat; "
                                "awk '/SigBlk|SigIgn/ {print substr($2, 10)}' /proc/self/status",
                                NULL};
    struct command_spec spec = spec_of("r1", argv);
    spec.cwd = "/usr";
    start(&spec);
    struct command_result *r = next_result();
    cr_expect_str_eq(r->output.at, "/usr\n1 1\n0000000\n0000000\n", "%s", r->output.at);
    done(r);
    end();
}

Test(children, arguments_are_never_read_by_a_shell, .timeout = 60)
{
    begin();
    const char *const argv[] = {"printf", "[%s]", "a b", "$(id)", "`id`", "; id", "", "*", NULL};
    struct command_spec spec = spec_of("r1", argv);
    start(&spec);
    struct command_result *r = next_result();
    cr_expect_str_eq(r->output.at, "[a b][$(id)][`id`][; id][][*]");
    done(r);
    end();
}

Test(children, what_cannot_begin_says_why, .timeout = 60)
{
    begin();
    const char *const nothing[] = {"no-such-program", NULL}, *const folder[] = {"/usr", NULL},
                      *const fine[] = {"true", NULL};
    const struct {
        const char *id, *const *argv, *cwd, *says;
    } cases[] = {
        {"r1", nothing, NULL, "no-such-program: No such file or directory"},
        {"r2", folder, NULL, "/usr: Permission denied"},
        {"r3", fine, "/no/such/folder", "/no/such/folder: No such file or directory"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct command_spec spec = spec_of(cases[i].id, cases[i].argv);
        spec.cwd = cases[i].cwd;
        start(&spec);
        struct command_result *r = next_result();
        cr_expect_eq(r->outcome, COMMAND_NOT_STARTED);
        cr_expect_str_eq(r->error, cases[i].says);
        done(r);
    }
    end();
}

Test(children, a_timeout_ends_the_whole_group, .timeout = 60)
{
    begin();
    char script[300];
    snprintf(script, sizeof script,
             "echo before; sh -c 'trap \"\" TERM; echo $$ > %s/grandchild; while :; do sleep 0.1; "
             "done' & wait",
             dir);
    const char *const argv[] = {"sh", "-c", script, NULL};
    struct command_spec spec = spec_of("r1", argv);
    spec.timeout_ms = 400;
    spec.grace_ms = 300;
    int64_t begun = clock_monotonic_ms();
    start(&spec);
    int grandchild = wait_for_file("grandchild");
    cr_expect(grandchild > 0 && is_alive(grandchild));
    struct command_result *r = next_result();
    int64_t took = clock_monotonic_ms() - begun;
    cr_expect_eq(r->outcome, COMMAND_TIMED_OUT);
    cr_expect_str_eq(r->output.at, "before\n");
    cr_expect(took >= 690 && took < 5000, "%d ms", (int)took);
    cr_expect(is_gone_soon(grandchild));
    done(r);
    end();
}

Test(children, one_that_ends_itself_at_term_is_not_kept_waiting, .timeout = 60)
{
    begin();
    const char *const argv[] = {"sh", "-c",
                                "trap 'echo bye; exit 0' TERM; while :; do sleep 0.05; done", NULL};
    struct command_spec spec = spec_of("r1", argv);
    spec.timeout_ms = 300;
    spec.grace_ms = 10000;
    int64_t begun = clock_monotonic_ms();
    start(&spec);
    struct command_result *r = next_result();
    cr_expect_eq(r->outcome, COMMAND_TIMED_OUT);
    cr_expect_not_null(strstr(r->output.at, "bye\n"));
    cr_expect_lt(clock_monotonic_ms() - begun, 5000);
    done(r);
    end();
}

Test(children, output_is_kept_within_its_bounds, .timeout = 60)
{
    static const struct {
        const char *script;
        size_t max;
        const char *expected;
        int64_t total;
    } cases[] = {
        {"printf 0123456789", 10, "0123456789", 10},
        {"printf 0123456789a", 10, "01234\n[1 bytes left out]\n6789a", 11},
        {"printf 0123456789a", 11, "0123456789a", 11},
        {"printf 0123; sleep 0.1; printf 45; sleep 0.1; printf 67; sleep 0.1; printf 89abcdef", 7,
         "0123\n[9 bytes left out]\ndef", 16},
        {"printf abc", 1, "a\n[2 bytes left out]\n", 3},
        {":", 10, "", 0},
    };
    begin();
    for (size_t i = 0; i < COUNT(cases); i++) {
        char id[10];
        snprintf(id, sizeof id, "r%zu", i);
        const char *const argv[] = {"sh", "-c", cases[i].script, NULL};
        struct command_spec spec = spec_of(id, argv);
        spec.max_output = cases[i].max;
        start(&spec);
        struct command_result *r = next_result();
        cr_expect_str_eq(r->output.at, cases[i].expected, "%s", r->output.at);
        cr_expect_eq(r->output_bytes, cases[i].total);
        cr_expect_eq(r->truncated, strstr(cases[i].expected, "left out") != NULL);
        done(r);
    }
    struct command_result *r = run_script("big", "head -c 30000000 /dev/zero");
    cr_expect(r->output.len > 262000 && r->output.len < 262300, "%zu", r->output.len);
    cr_expect_eq(r->output_bytes, 30000000);
    done(r);
    end();
}

Test(children, a_background_process_that_holds_the_output_hangs_nothing, .timeout = 60)
{
    begin();
    char script[200];
    snprintf(script, sizeof script, "sleep 30 & echo $! > %s/pid; echo started", dir);
    int64_t begun = clock_monotonic_ms();
    struct command_result *r = run_script("r1", script);
    cr_expect_eq(r->outcome, COMMAND_EXITED);
    cr_expect_str_eq(r->output.at, "started\n");
    cr_expect_lt(clock_monotonic_ms() - begun, 5000);
    int pid = wait_for_file("pid");
    cr_expect(is_alive(pid), "what a command leaves running on purpose lives on");
    kill(pid, SIGKILL);
    done(r);
    end();
}

Test(children, a_kill_ends_it_and_says_so, .timeout = 60)
{
    begin();
    char script[200];
    snprintf(script, sizeof script, "echo $$ > %s/pid; sleep 30", dir);
    start_script("r1", script);
    int pid = wait_for_file("pid");
    children_kill(children, "nobody");
    children_kill(children, "r1");
    struct command_result *r = next_result();
    cr_expect_eq(r->outcome, COMMAND_KILLED);
    cr_expect(is_gone_soon(pid));
    children_kill(children, "r1");
    done(r);
    start_script("r2", "sleep 30");
    children_kill(children, "r2"); /* at once: it may not have begun */
    r = next_result();
    cr_expect_eq(r->outcome, COMMAND_KILLED);
    done(r);
    end();
}

static void let_a_gateway_start_and_die(const char *id, const char *script)
{
    pid_t pid = fork();
    if (pid == 0) {
        execl(RUNNER_HELPER, "helper", "die", dir, id, script, (char *)NULL);
        _exit(9);
    }
    int status = 0;
    cr_assert(waitpid(pid, &status, 0) == pid);
    cr_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL, "%d", status);
}

static struct command_result *find(const char *id)
{
    struct err err = ERR_INIT;
    cr_assert(children_find(children, id, &err), "%s", err.text);
    return next_result();
}

Test(children, a_command_outlives_a_killed_gateway_and_is_found_running, .timeout = 60)
{
    begin();
    let_a_gateway_start_and_die("r1", "echo one; sleep 1; echo two; exit 7");
    int64_t begun = clock_monotonic_ms();
    struct command_result *r = find("r1");
    cr_expect_gt(clock_monotonic_ms() - begun, 300, "it was still running");
    cr_expect_eq(r->outcome, COMMAND_EXITED, "%s", r->error);
    cr_expect_eq(r->exit_code, 7);
    cr_expect_str_eq(r->output.at, "one\ntwo\n");
    done(r);
    r = find("r1");
    cr_expect_eq(r->exit_code, 7, "found ended, as often as one asks");
    done(r);
    end();
}

Test(children, a_found_command_can_be_killed, .timeout = 60)
{
    begin();
    char script[200];
    snprintf(script, sizeof script, "echo $$ > %s/pid; sleep 30", dir);
    let_a_gateway_start_and_die("r1", script);
    int pid = wait_for_file("pid");
    struct err err = ERR_INIT;
    cr_assert(children_find(children, "r1", &err));
    cr_expect(!children_find(children, "r1", &err) && err.kind == ERR_CONFLICT);
    usleep(50000);
    cr_expect_eq(mailbox_count(box), 0);
    children_kill(children, "r1");
    struct command_result *r = next_result();
    cr_expect_eq(r->outcome, COMMAND_KILLED);
    cr_expect(is_gone_soon(pid));
    done(r);
    end();
}

Test(children, a_stop_leaves_commands_alone, .timeout = 60)
{
    begin();
    start_script("r1", "sleep 0.6; echo done");
    usleep(200000);
    children_stop(children);
    cr_expect_eq(mailbox_count(box), 0);
    children_free(children);
    children = children_start(dir, RUNNER_HELPER, box, KIND, NULL);
    struct command_result *r = find("r1");
    cr_expect_str_eq(r->output.at, "done\n");
    done(r);
    end();
}

Test(children, a_runner_that_was_killed_leaves_an_unknown, .timeout = 60)
{
    begin();
    char script[200];
    snprintf(script, sizeof script, "echo half; echo $PPID > %s/runner.pid; sleep 2", dir);
    start_script("r1", script);
    int runner = wait_for_file("runner.pid");
    kill(runner, SIGKILL);
    struct command_result *r = next_result();
    cr_expect_eq(r->outcome, COMMAND_UNKNOWN);
    cr_expect_str_eq(r->output.at, "half\n");
    cr_expect_str_eq(r->error, "its runner ended without a word");
    done(r);
    end();
}

/* As on a kernel without it, or with no file descriptor left; it stands before libc's. */
static bool no_pidfd;

int pidfd_open(pid_t pid, unsigned flags)
{
    if (!no_pidfd)
        return (int)syscall(SYS_pidfd_open, pid, flags);
    errno = ENOSYS;
    return -1;
}

Test(children, without_a_pidfd_they_are_waited_for_and_killed_all_the_same, .timeout = 60)
{
    begin();
    no_pidfd = true;
    struct command_result *r = run_script("r1", "echo done");
    cr_expect_eq(r->outcome, COMMAND_EXITED, "%s %s", command_outcome_name(r->outcome), r->error);
    cr_expect_str_eq(r->output.at, "done\n");
    done(r);
    char script[200];
    snprintf(script, sizeof script, "echo $$ > %s/pid; sleep 30", dir);
    start_script("r2", script);
    int pid = wait_for_file("pid");
    cr_assert_gt(pid, 0);
    children_kill(children, "r2");
    r = next_result();
    cr_expect_eq(r->outcome, COMMAND_KILLED, "%s %s", command_outcome_name(r->outcome), r->error);
    cr_expect(is_gone_soon(pid));
    done(r);
    end();
}

Test(children, one_that_never_began_is_refused_for_good, .timeout = 60)
{
    begin();
    struct command_result *r = find("r1");
    cr_expect_eq(r->outcome, COMMAND_HELD_UP);
    done(r);
    r = find("r1");
    cr_expect_eq(r->outcome, COMMAND_HELD_UP, "and stays so");
    done(r);
    /* The late runner; that its letter was handled, and the folder swept, lets nobody in. */
    children_forget(children, "r1");
    children_sweep(children, NULL, 0);
    char mark[100];
    snprintf(mark, sizeof mark, "%s/mark", dir);
    const char *const argv[] = {"touch", mark, NULL};
    struct command_spec spec = spec_of("r1", argv);
    struct err err = ERR_INIT;
    int order;
    cr_assert(command_order_open(dir, &spec, clock_monotonic_ms() + 10000, &order, &err));
    pid_t pid = fork();
    if (pid == 0) {
        dup2(order, 0);
        execl(RUNNER_HELPER, "helper", COMMAND_RUNNER_WORD, (char *)NULL);
        _exit(9);
    }
    int status = 0;
    cr_assert(waitpid(pid, &status, 0) == pid);
    cr_expect_eq(WEXITSTATUS(status), 75);
    cr_expect(access(mark, F_OK) != 0, "nothing ran");
    close(order);
    cr_expect(!children_run(children, &spec, &err) && err.kind == ERR_CONFLICT);
    end();
}

static bool has_file(const char *name)
{
    char path[200];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    return access(path, F_OK) == 0;
}

Test(children, sweeping_leaves_what_is_wanted_or_runs, .timeout = 60)
{
    begin();
    start_script("old", "echo old");
    struct command_result *r = next_result();
    done(r);
    start_script("kept", "echo kept");
    r = next_result();
    done(r);
    char script[200];
    snprintf(script, sizeof script, "echo $$ > %s/pid; sleep 1", dir);
    start_script("runs", script);
    (void)wait_for_file("pid");
    const char *const keep[] = {"kept"};
    children_sweep(children, keep, 1);
    cr_expect(!has_file("old.lock") && !has_file("old.exit") && !has_file("old.out"));
    cr_expect(has_file("kept.lock") && has_file("kept.exit"));
    cr_expect(has_file("runs.lock"));
    r = next_result();
    cr_expect_str_eq(r->id, "runs");
    cr_expect_eq(r->outcome, COMMAND_EXITED);
    done(r);
    /* An old refusal is of no use any more. */
    r = find("never");
    cr_expect_eq(r->outcome, COMMAND_HELD_UP);
    done(r);
    char lock[200];
    snprintf(lock, sizeof lock, "%s/never.lock", dir);
    struct timeval long_ago[2] = {{.tv_sec = clock_unix_ms() / 1000 - 61},
                                  {.tv_sec = clock_unix_ms() / 1000 - 61}};
    children_sweep(children, keep, 1);
    cr_expect(has_file("never.lock"));
    cr_assert_eq(utimes(lock, long_ago), 0);
    children_sweep(children, keep, 1);
    cr_expect(!has_file("never.lock"));
    end();
}

Test(children, a_runner_does_not_begin_long_after_it_was_asked, .timeout = 60)
{
    begin();
    const char *const argv[] = {"true", NULL};
    struct command_spec spec = spec_of("r1", argv);
    int order;
    cr_assert(command_order_open(dir, &spec, clock_monotonic_ms() - 1, &order, NULL));
    pid_t pid = fork();
    if (pid == 0) {
        dup2(order, 0);
        execl(RUNNER_HELPER, "helper", COMMAND_RUNNER_WORD, (char *)NULL);
        _exit(9);
    }
    waitpid(pid, NULL, 0);
    struct command_result *r = find("r1");
    cr_expect_eq(r->outcome, COMMAND_HELD_UP);
    cr_expect_str_eq(r->error, "the runner came too late");
    done(r);
    close(order);
    end();
}

Test(children, forgetting_leaves_no_file, .timeout = 60)
{
    begin();
    struct command_result *r = run_script("r1", "echo x");
    done(r);
    children_forget(children, "r1");
    children_forget(children, "../r1");
    cr_expect(rmdir(dir) == 0, "the folder is empty");
    end();
}

Test(children, refuses_specs_that_cannot_be, .timeout = 60)
{
    begin();
    const char *const argv[] = {"true", NULL}, *const none[] = {NULL},
                      *const bad_env[] = {"A", NULL};
    struct command_spec good = spec_of("r1", argv), specs[8];
    for (size_t i = 0; i < COUNT(specs); i++)
        specs[i] = good;
    specs[0].id = "../r";
    specs[1].id = "";
    specs[2].id = ".hidden";
    specs[3].id = "a/b";
    specs[4].argv = none;
    specs[5].timeout_ms = 0;
    specs[6].env = bad_env;
    specs[7].max_output = COMMAND_MAX_OUTPUT + 1;
    for (size_t i = 0; i < COUNT(specs); i++) {
        struct err err = ERR_INIT;
        cr_expect(!children_run(children, &specs[i], &err), "%zu", i);
        cr_expect_str_neq(err.text, "");
    }
    struct err err = ERR_INIT;
    cr_expect(!children_find(children, "../r", &err));
    cr_expect_eq(children_count(children), 0);
    end();
}

Test(children, many_run_at_the_same_time, .timeout = 60)
{
    begin();
    for (int i = 0; i < 20; i++) {
        char id[16];
        snprintf(id, sizeof id, "r%d", i);
        start_script(id, "sleep 0.2; echo ok");
    }
    struct letter *all = NULL;
    for (int n = 0; n < 20;) {
        all = mailbox_wait(box, clock_monotonic_ms() + 20000);
        cr_assert_not_null(all);
        for (struct letter *l = all; l != NULL; l = l->next, n++)
            cr_expect_str_eq(((struct command_result *)l)->output.at, "ok\n");
        letter_free_list(all);
    }
    end();
}

Test(command_ending, a_file_that_is_not_whole_is_no_ending)
{
    cr_assert_not_null(mkdtemp(dir));
    int dir_fd = open(dir, O_RDONLY | O_DIRECTORY);
    struct command_ending e = {.outcome = COMMAND_EXITED, .exit_code = 3, .error = ""}, got;
    struct err err = ERR_INIT;
    cr_assert(command_ending_write(dir_fd, "a", &e, &err));
    cr_assert(command_ending_read(dir_fd, "a", &got, &err));
    cr_expect(got.outcome == COMMAND_EXITED && got.exit_code == 3);
    char text[200];
    int fd = openat(dir_fd, "a.exit", O_RDWR);
    ssize_t len = read(fd, text, sizeof text);
    for (ssize_t cut = len - 1; cut >= 0; cut--) {
        cr_assert(ftruncate(fd, cut) == 0);
        cr_expect(!command_ending_read(dir_fd, "a", &got, &err), "cut at %zd", cut);
    }
    close(fd);
    unlinkat(dir_fd, "a.exit", 0);
    close(dir_fd);
    rmdir(dir);
}
