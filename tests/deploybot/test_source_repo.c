#include "deploybot/source_repo.h"
#include "gateway/base/strbuf.h"
#include "gateway/base/text.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- a repository of git's own ------------------------------------------------------------ */

extern char **environ;

/* Runs it as the shell does: output and errors in one text. */
static struct json *run(struct arena *a, const char **argv, const char *cwd)
{
    char path[] = "/tmp/signoff_git_XXXXXX";
    int fd = mkstemp(path), status = 0;
    posix_spawn_file_actions_t files;
    pid_t pid;
    char *const *arguments;
    memcpy(&arguments, &argv, sizeof arguments);
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_addchdir_np(&files, cwd);
    posix_spawn_file_actions_adddup2(&files, fd, 1);
    posix_spawn_file_actions_adddup2(&files, fd, 2);
    cr_assert_eq(posix_spawnp(&pid, argv[0], &files, NULL, arguments, environ), 0, "%s", argv[0]);
    waitpid(pid, &status, 0);
    posix_spawn_file_actions_destroy(&files);
    size_t room = 4 << 20;
    char *output = arena_alloc(a, room);
    ssize_t len = pread(fd, output, room, 0);
    close(fd);
    unlink(path);
    struct json *reply = json_object(a);
    json_set_int(a, reply, "exit", WEXITSTATUS(status));
    json_set_text(a, reply, "output", utf8_clean(a, (struct span){output, (size_t)len}));
    return reply;
}

static char *git(struct arena *a, const char *cwd, const char *script)
{
    const char *argv[] = {"/bin/sh", "-ec", script, NULL};
    struct json *reply = run(a, argv, cwd);
    cr_assert_eq(json_int_or(json_get(reply, "exit"), -1), 0, "%s: %s", script,
                 json_text_at(reply, "output"));
    char *text = arena_strdup(a, json_text_at(reply, "output"));
    size_t len = strlen(text);
    if (len > 0 && text[len - 1] == '\n')
        text[len - 1] = '\0';
    return text;
}

static char folder[] = "/tmp/signoff_repo_XXXXXX";

static void make_repository(void)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    setenv("GIT_CONFIG_GLOBAL", "/dev/null", 1);
    setenv("GIT_CONFIG_NOSYSTEM", "1", 1);
    setenv("GIT_AUTHOR_NAME", "Dex", 1);
    setenv("GIT_AUTHOR_EMAIL", "dex@acme.test", 1);
    setenv("GIT_COMMITTER_NAME", "Dex", 1);
    setenv("GIT_COMMITTER_EMAIL", "dex@acme.test", 1);
    cr_assert_not_null(mkdtemp(folder));
    git(&a, folder,
        "git init -q -b main .\n"
        "c() { GIT_AUTHOR_DATE=\"@$1 +0000\" GIT_COMMITTER_DATE=\"@$1 +0000\" git commit -q "
        "--allow-empty -m \"$2\"; }\n"
        "c 1700000000 first\n"
        "git tag v1\n"
        "c 1700000100 second\n"
        "GIT_COMMITTER_DATE='@1700000500 +0000' git tag -a v2 -m 'an annotated one'\n"
        "c 1700000200 third\n"
        "git branch feature/x HEAD~1\n"
        "git checkout -q feature/x\n"
        "c 1700000300 aside\n"
        "git checkout -q main\n");
}

static void remove_repository(void)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    git(&a, "/tmp", arena_printf(&a, "rm -rf %s", folder));
}

TestSuite(local, .init = make_repository, .fini = remove_repository);

/* The machine, driven to its end. */
static struct look_up_step ask(struct arena *a, const char *what, const char *args)
{
    struct source_repo repo = {.path = folder};
    struct json *replies = json_array(a);
    for (;;) {
        struct look_up_step step =
            source_repo_next(a, &repo, what, json_parse_own(a, args), replies, 0);
        if (step.next != LOOK_UP_COMMAND)
            return step;
        cr_assert_lt(json_count(replies), 5u);
        json_push(a, replies, run(a, step.argv, step.cwd));
    }
}

static const char *value_text(struct arena *a, const struct look_up_step *step)
{
    return step->next == LOOK_UP_DONE ? json_write(a, step->value) : step->error;
}

Test(local, resolves_branches_tags_and_ids)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    char *head = git(&a, folder, "git rev-parse main"), *v1 = git(&a, folder, "git rev-parse v1");
    char *v2 = git(&a, folder, "git rev-parse v2^{commit}");
    char *aside = git(&a, folder, "git rev-parse feature/x");
    const struct {
        const char *ref, *sha;
    } cases[] = {
        {"main", head},
        {"HEAD", head},
        {"v1", v1},
        {"v2", v2},
        {"feature/x", aside},
        {head, head},
        {arena_strndup(&a, head, 7), head},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct look_up_step step = ask(&a, arena_printf(&a, "git.resolve:%s", cases[i].ref), "{}");
        cr_assert_eq(step.next, LOOK_UP_DONE, "%s: %s", cases[i].ref, step.error);
        cr_expect_str_eq(json_text_at(step.value, "sha"), cases[i].sha, "%s", cases[i].ref);
    }
    struct look_up_step step = ask(&a, "git.resolve:v1", "{}");
    cr_expect_str_eq(json_text_at(step.value, "subject"), "first");
    cr_expect_str_eq(json_text_at(step.value, "author"), "Dex");
    cr_expect_str_eq(json_text_at(step.value, "at"), "2023-11-14T22:13:20+00:00");
}

Test(local, refuses_what_is_no_commit_with_one_sentence)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    static const struct {
        const char *ref, *says;
    } cases[] = {
        {"nothing", "nothing is no commit, branch or tag of this repository"},
        {"0123456789012345678901234567890123456789", "is no commit"},
        {"--config=/etc/x", "this can be no branch, tag or commit id"},
        {"-1", "this can be no branch"},
        {"a b", "this can be no branch"},
        {"main~1", "this can be no branch"},
        {"main^", "this can be no branch"},
        {"main@{1}", "this can be no branch"},
        {"a..b", "this can be no branch"},
        {":/first", "this can be no branch"},
        {"main\nx", "this can be no branch"},
        {"", "this can be no branch"},
        {"/etc/passwd", "this can be no branch"},
        {"v1.", "this can be no branch"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct look_up_step step = ask(&a, arena_printf(&a, "git.resolve:%s", cases[i].ref), "{}");
        cr_expect_eq(step.next, LOOK_UP_FAILED, "%s", cases[i].ref);
        cr_expect_neq(strstr(step.error, cases[i].says), NULL, "%s: %s", cases[i].ref, step.error);
    }
    char *tree = git(&a, folder, "git rev-parse 'main^{tree}'");
    cr_expect_eq(ask(&a, arena_printf(&a, "git.resolve:%s", tree), "{}").next, LOOK_UP_FAILED);
}

Test(local, says_that_a_short_id_is_ambiguous)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    /* Commits until two share four digits: at most a few hundred. */
    git(&a, folder,
        "tree=$(git mktree </dev/null)\n"
        "i=0; while [ $i -lt 700 ]; do i=$((i+1)); echo commit refs/heads/many; "
        "echo 'committer D <d@x> '$i' +0000'; echo 'data 1'; echo x; done | git fast-import "
        "--quiet");
    char *twice = git(&a, folder, "git rev-list many | cut -c1-4 | sort | uniq -d | head -1");
    cr_assert_eq(strlen(twice), 4u, "%s", twice);
    struct look_up_step step = ask(&a, arena_printf(&a, "git.resolve:%s", twice), "{}");
    cr_expect_eq(step.next, LOOK_UP_FAILED);
    cr_expect_str_eq(step.error, arena_printf(&a, "%s is ambiguous: give more digits", twice));
}

Test(local, lists_commits_newest_first)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    struct look_up_step step = ask(&a, "list_git_commits", "{}");
    cr_assert_eq(step.next, LOOK_UP_DONE, "%s", step.error);
    cr_expect_eq(json_count(json_get(step.value, "commits")), 3);
    cr_expect_str_eq(json_text_at(step.value, "commits.0.subject"), "third");
    cr_expect_str_eq(json_text_at(step.value, "commits.2.subject"), "first");
    step = ask(&a, "list_git_commits", "{\"branch\":\"feature/x\",\"limit\":1}");
    cr_expect_eq(json_count(json_get(step.value, "commits")), 1);
    cr_expect_str_eq(json_text_at(step.value, "commits.0.subject"), "aside");
    cr_expect_str_eq(ask(&a, "list_git_commits", "{\"branch\":\"--all\"}").error,
                     "branch: this can be no branch");
    cr_expect_eq(ask(&a, "list_git_commits", "{\"branch\":\"nope\"}").next, LOOK_UP_FAILED);
}

/* What a committer writes must not become a second commit, a sha or a date. */
Test(local, cannot_be_fooled_by_messages)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    git(&a, folder,
        "m=$(printf 'nasty \\037aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\\0372020\\037Eve\\036\\n"
        "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb\\0372021\\037Eve\\037forged')\n"
        "git commit -q --allow-empty -m \"$m\"\n"
        "git commit -q --allow-empty -m \"$(head -c 10000 /dev/zero | tr '\\0' x)\"\n"
        "git -c user.name='E\037ve' commit -q --allow-empty --author \"$(printf 'E\\037ve') "
        "<e@x>\" -m '\"quoted\" `ticks` $(x) <b>'");
    struct look_up_step step = ask(&a, "list_git_commits", "{}");
    cr_assert_eq(step.next, LOOK_UP_DONE, "%s", step.error);
    char *shas = git(&a, folder, "git rev-list main");
    size_t n = 0;
    JSON_EACH(c, json_get(step.value, "commits"))
    {
        const char *sha = json_text_at(c, "sha");
        cr_expect_neq(strstr(shas, sha), NULL, "%s is no commit of this repository", sha);
        cr_expect(text_starts(json_text_at(c, "at"), "20"), "%s", json_text_at(c, "at"));
        n++;
    }
    cr_expect_eq(n, 6);
    cr_expect_str_eq(json_text_at(step.value, "commits.0.sha"), arena_strndup(&a, shas, 40));
    cr_expect(
        text_ends(json_text_at(step.value, "commits.0.subject"), "\"quoted\" `ticks` $(x) <b>"),
        "%s", json_text_at(step.value, "commits.0.subject"));
    cr_expect_leq(strlen(json_text_at(step.value, "commits.1.subject")), 300u);
    cr_expect(text_starts(json_text_at(step.value, "commits.2.subject"), "nasty \x1f"
                                                                         "aaaa"));
}

Test(local, lists_tags_newest_first_with_the_commits_they_name)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    struct look_up_step step = ask(&a, "list_git_tags", "{}");
    cr_expect_str_eq(
        value_text(&a, &step),
        arena_printf(&a,
                     "{\"tags\":[{\"name\":\"v2\",\"sha\":\"%s\",\"at\":"
                     "\"2023-11-14T22:21:40+00:00\"},{\"name\":\"v1\",\"sha\":\"%s\",\"at\":"
                     "\"2023-11-14T22:13:20+00:00\"}]}",
                     git(&a, folder, "git rev-parse v2^{commit}"),
                     git(&a, folder, "git rev-parse v1")));
    git(&a, folder, "git branch v1 main"); /* now "v1" alone would be ambiguous */
    step = ask(&a, "list_git_tags", "{\"limit\":2}");
    cr_expect_str_eq(json_text_at(step.value, "tags.1.name"), "v1");
}

Test(local, compares_both_ways)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    static const struct {
        const char *what, *args, *status;
        int ahead, behind;
        const char *newest; /* subject */
    } cases[] = {
        {"git.compare:v1...main", "{}", "ahead", 2, 0, "third"},
        {"git.compare:main...v1", "{}", "behind", 0, 2, "third"},
        {"git.compare:main...feature/x", "{}", "diverged", 1, 1, "aside"},
        {"git.compare:main...main", "{}", "identical", 0, 0, NULL},
        {"compare_commits", "{}", "ahead", 1, 0, "third"},
        {"compare_commits", "{\"base\":\"v1\",\"head\":\"v2\"}", "ahead", 1, 0, "second"},
        {"compare_commits", "{\"base\":\"v1\"}", "ahead", 2, 0, "third"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct look_up_step step = ask(&a, cases[i].what, cases[i].args);
        cr_assert_eq(step.next, LOOK_UP_DONE, "%s: %s", cases[i].what, step.error);
        cr_expect_str_eq(json_text_at(step.value, "status"), cases[i].status, "%s", cases[i].what);
        cr_expect_eq(json_int_or(json_get(step.value, "ahead_by"), -1), cases[i].ahead);
        cr_expect_eq(json_int_or(json_get(step.value, "behind_by"), -1), cases[i].behind);
        cr_expect(text_eq(json_text_at(step.value, "commits.0.subject"), cases[i].newest), "%s: %s",
                  cases[i].what, value_text(&a, &step));
        cr_expect_not(json_is_true(json_get(step.value, "more")));
    }
    cr_expect_eq(ask(&a, "git.compare:nope...main", "{}").next, LOOK_UP_FAILED);
    cr_expect_str_eq(ask(&a, "compare_commits", "{\"base\":\"--output=/tmp/x\"}").error,
                     "base or head can be no branch, tag or commit id");
    cr_expect_eq(ask(&a, "git.compare:main", "{}").next, LOOK_UP_FAILED);
    cr_expect_eq(ask(&a, "git.merged:", "{}").next, LOOK_UP_FAILED);
}

Test(local, says_when_there_are_more_than_it_lists)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    git(&a, folder,
        "i=0; while [ $i -lt 51 ]; do i=$((i+1)); git commit -q --allow-empty -m n$i; done");
    struct look_up_step step = ask(&a, "git.compare:v1...main", "{}");
    cr_expect_eq(json_count(json_get(step.value, "commits")), 50);
    cr_expect(json_is_true(json_get(step.value, "more")));
    step = ask(&a, "git.compare:main...v1", "{}");
    cr_expect_str_eq(json_text_at(step.value, "status"), "behind");
    cr_expect(json_is_true(json_get(step.value, "more")));
}

/* ---- GitHub, by literal replies ------------------------------------------------------------ */

static const struct github_settings SETTINGS = {
    .name = "gh", .token = "ghs_secret", .api_base = "https://api.github.com"};
static const struct source_repo HUB = {.name = "acme/my shop", .github = &SETTINGS};

#define NEW "1111111111111111111111111111111111111111"
#define OLD "2222222222222222222222222222222222222222"
#define S40 "0123456789abcdef0123456789abcdef01234567"
#define NOW 1700000000000LL

static struct look_up_step hub(struct arena *a, const char *what, const char *args,
                               const char *replies, int64_t now_ms)
{
    return source_repo_next(a, &HUB, what, json_parse_own(a, args), json_parse_own(a, replies),
                            now_ms);
}

#define COMMIT(sha, message)                                                          \
    "{\\\"sha\\\":\\\"" sha "\\\",\\\"commit\\\":{\\\"message\\\":\\\"" message       \
    "\\\",\\\"author\\\":{\\\"name\\\":\\\"Dex\\\"},\\\"committer\\\":{\\\"date\\\":" \
    "\\\"2023-11-14T22:13:20Z\\\"}},\\\"author\\\":null}"
#define REPLY(status, body) "{\"status\":" #status ",\"at_ms\":1,\"body\":\"" body "\"}"

Test(github, asks_with_its_headers_and_encodes_every_segment)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    static const struct {
        const char *what, *args, *url;
    } cases[] = {
        {"git.resolve:feature/x", "{}", "/commits/feature%2Fx"},
        {"list_git_commits", "{}", "/commits?per_page=20"},
        {"list_git_commits", "{\"branch\":\"a&b\",\"limit\":5}", "/commits?per_page=5&sha=a%26b"},
        {"list_git_tags", "{\"limit\":7}", "/tags?per_page=7"},
        {"git.compare:a/b...c", "{}", "/compare/a%2Fb...c?per_page=100"},
        {"git.pull:7", "{}", "/pulls/7"},
        {"git.merged:", "{}", "/pulls?state=closed&sort=updated&direction=desc&per_page=50"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct look_up_step step = hub(&a, cases[i].what, cases[i].args, "[]", NOW);
        cr_assert_eq(step.next, LOOK_UP_HTTP, "%s", cases[i].what);
        cr_expect_str_eq(
            step.wire.url,
            arena_printf(&a, "https://api.github.com/repos/acme/my%%20shop%s", cases[i].url));
        cr_expect_str_eq(step.wire.method, "GET");
        cr_expect(step.wire.repeatable);
        cr_expect_str_eq(step.wire.headers[0].value, "application/vnd.github+json");
        cr_expect_str_eq(step.wire.headers[1].value, "2022-11-28");
        cr_expect_str_eq(step.wire.headers[2].value, "Bearer ghs_secret");
    }
    cr_expect_eq(hub(&a, "git.resolve:--x", "{}", "[]", NOW).next, LOOK_UP_FAILED);
    cr_expect_eq(hub(&a, "git.sing:x", "{}", "[]", NOW).next, LOOK_UP_FAILED);
    cr_expect_eq(hub(&a, "list_git_commits", "{\"branch\":\"-x\"}", "[]", NOW).next,
                 LOOK_UP_FAILED);
}

Test(github, reads_what_it_asked_for)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    static const struct {
        const char *what, *replies, *value;
    } cases[] = {
        {"git.resolve:main", "[" REPLY(200, COMMIT(S40, "one\\\\ntwo")) "]",
         "{\"sha\":\"" S40 "\",\"subject\":\"one\",\"author\":\"Dex\",\"at\":"
         "\"2023-11-14T22:13:20Z\"}"},
        {"list_git_commits", "[" REPLY(200, "[" COMMIT(S40, "one") "]") "]",
         "{\"branch\":\"the default branch\",\"commits\":[{\"sha\":\"" S40
         "\",\"subject\":\"one\",\"author\":\"Dex\",\"at\":\"2023-11-14T22:13:20Z\"}]}"},
        {"list_git_tags",
         "[" REPLY(200,
                   "[{\\\"name\\\":\\\"v1\\\",\\\"commit\\\":{\\\"sha\\\":\\\"" S40 "\\\"}}]") "]",
         "{\"tags\":[{\"name\":\"v1\",\"sha\":\"" S40 "\"}]}"},
        {"git.compare:a...b",
         "[" REPLY(200, "{\\\"status\\\":\\\"ahead\\\",\\\"ahead_by\\\":2,\\\"behind_by\\\":0,"
                        "\\\"total_commits\\\":2,\\\"commits\\\":[" COMMIT(OLD, "o") "," COMMIT(
                            NEW, "n") "]}") "]",
         "{\"base\":\"a\",\"head\":\"b\",\"status\":\"ahead\",\"ahead_by\":2,\"behind_by\":0,"
         "\"commits\":[{\"sha\":\"" NEW "\",\"subject\":\"n\",\"author\":\"Dex\",\"at\":"
         "\"2023-11-14T22:13:20Z\"},{\"sha\":\"" OLD
         "\",\"subject\":\"o\",\"author\":\"Dex\",\"at\":"
         "\"2023-11-14T22:13:20Z\"}],\"more\":false}"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct look_up_step step = hub(&a, cases[i].what, "{}", cases[i].replies, NOW);
        cr_expect_str_eq(value_text(&a, &step), cases[i].value, "%s", value_text(&a, &step));
    }
}

Test(github, names_what_a_downgrade_takes_back_by_asking_the_other_way_round)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
#define BEHIND                                                                          \
    REPLY(200, "{\\\"status\\\":\\\"behind\\\",\\\"ahead_by\\\":0,\\\"behind_by\\\":1," \
               "\\\"total_commits\\\":0,\\\"commits\\\":[]}")
    struct look_up_step step = hub(&a, "git.compare:new...old", "{}", "[" BEHIND "]", NOW);
    cr_assert_eq(step.next, LOOK_UP_HTTP);
    cr_expect(text_ends(step.wire.url, "/compare/old...new?per_page=100"), "%s", step.wire.url);
    step = hub(&a, "git.compare:new...old", "{}",
               "[" BEHIND "," REPLY(200, "{\\\"status\\\":\\\"ahead\\\",\\\"total_commits\\\":60,"
                                         "\\\"commits\\\":[" COMMIT(NEW, "n") "]}") "]",
               NOW);
    cr_assert_eq(step.next, LOOK_UP_DONE);
    cr_expect_str_eq(json_text_at(step.value, "status"), "behind");
    cr_expect_eq(json_int_or(json_get(step.value, "behind_by"), -1), 1);
    cr_expect_str_eq(json_text_at(step.value, "commits.0.sha"), NEW);
    cr_expect(json_is_true(json_get(step.value, "more")));
}

Test(github, says_in_one_sentence_what_went_wrong)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    static const struct {
        const char *reply, *says;
    } cases[] = {
        {REPLY(404, "{}"), "knows no such"},
        {REPLY(422, "{}"), "knows no such"},
        {REPLY(401, "{}"), "does not accept the token"},
        {REPLY(409, "{}"), "is empty"},
        {REPLY(403, "{}"), "answered 403"},
        {REPLY(500, "oops"), "answered 500"},
        {REPLY(200, "oops"), "is no JSON"},
        {REPLY(200, "{\\\"sha\\\":\\\"abc\\\"}"), "named no full commit id"},
        {"{\"error\":\"no route to host\"}", "no route to host"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct look_up_step step =
            hub(&a, "git.resolve:main", "{}", arena_printf(&a, "[%s]", cases[i].reply), NOW);
        cr_expect_eq(step.next, LOOK_UP_FAILED, "%s", cases[i].reply);
        cr_expect_neq(strstr(step.error, cases[i].says), NULL, "%s", step.error);
    }
}

Test(github, waits_as_told_when_it_is_limited_and_then_goes_on)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    static const struct {
        const char *reply;
        int64_t wait_ms;
    } cases[] = {
        {"{\"status\":429,\"at_ms\":1700000000000,\"retry_after_ms\":7000,\"body\":\"\"}", 7000},
        {"{\"status\":403,\"at_ms\":1700000000000,\"x-ratelimit-remaining\":\"0\","
         "\"x-ratelimit-reset\":\"1700000030\",\"body\":\"\"}",
         30000},
        {"{\"status\":403,\"at_ms\":1700000000000,\"body\":\"You have exceeded a secondary rate "
         "limit\"}",
         60000},
        {"{\"status\":429,\"at_ms\":1700000000000,\"x-ratelimit-remaining\":\"0\","
         "\"x-ratelimit-reset\":\"1700009999\",\"body\":\"\"}",
         900000},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        char *replies = arena_printf(&a, "[%s]", cases[i].reply);
        struct look_up_step step = hub(&a, "git.resolve:main", "{}", replies, NOW);
        cr_assert_eq(step.next, LOOK_UP_WAIT, "%s", cases[i].reply);
        cr_expect_eq(step.wait_ms, cases[i].wait_ms, "%s", cases[i].reply);
        step = hub(&a, "git.resolve:main", "{}", replies, NOW + step.wait_ms);
        cr_expect_eq(step.next, LOOK_UP_HTTP, "afterwards it asks again");
        replies = arena_printf(&a, "[%s,%s]", cases[i].reply, REPLY(200, COMMIT(S40, "x")));
        cr_expect_eq(hub(&a, "git.resolve:main", "{}", replies, NOW).next, LOOK_UP_DONE);
    }
    struct strbuf many;
    strbuf_init(&many, &a, 1 << 16);
    for (int i = 0; i < 9; i++)
        strbuf_addf(&many, "%s%s", i == 0 ? "[" : ",", cases[0].reply);
    strbuf_addc(&many, ']');
    cr_expect_eq(hub(&a, "git.resolve:main", "{}", many.text, NOW + 7000).next, LOOK_UP_FAILED,
                 "it does not wait for ever");
}

/* number, updated_at, merged_at (or null), sha: an item of a list */
#define PULL(number, updated, merged, sha)                                                         \
    "{\\\"number\\\":" #number ",\\\"updated_at\\\":\\\"" updated "\\\",\\\"merged_at\\\":" merged \
    ",\\\"merge_commit_sha\\\":\\\"" sha                                                           \
    "\\\",\\\"title\\\":\\\"t\\\",\\\"user\\\":{\\\"login\\\":"                                    \
    "\\\"dex\\\"},\\\"base\\\":{\\\"ref\\\":\\\"main\\\"},\\\"html_url\\\":\\\"u\\\"}"
#define FRESH   "2023-11-14T10:00:00Z"
#define STALE   "2023-11-01T10:00:00Z"
#define Q(text) "\\\"" text "\\\""

Test(github, lists_merges_of_the_last_days_and_no_others)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    struct look_up_step step = hub(
        &a, "git.merged:", "{}",
        "[" REPLY(200, "[" PULL(1, FRESH, Q(FRESH), S40) "," PULL(2, FRESH, "null", S40) "," PULL(
                           3, FRESH, Q(STALE), S40) "," PULL(4, FRESH, Q(FRESH), "short") "]") "]",
        NOW);
    cr_expect_str_eq(value_text(&a, &step),
                     "{\"merged\":[{\"repo\":\"acme/my shop\",\"number\":1,\"title\":\"t\","
                     "\"author\":\"dex\",\"merged_at\":\"" FRESH
                     "\",\"base\":\"main\",\"sha\":\"" S40 "\",\"url\":\"u\"}]}",
                     "%s", value_text(&a, &step));
}

Test(github, follows_pages_by_their_link_on_our_host_until_they_are_old)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    static const struct {
        const char *link, *updated;
        const char *next; /* NULL: it is done */
    } cases[] = {
        {"<https://api.github.com/x?page=2>; rel=\\\"next\\\"", FRESH,
         "https://api.github.com/x?page=2"},
        {"<https://api.github.com/a,b>; rel=\\\"prev\\\", <https://api.github.com/x,y>; "
         "rel=\\\"next\\\"",
         FRESH, "https://api.github.com/x,y"},
        {"<https://api.github.com/x?page=2>; rel=\\\"next\\\"", STALE, NULL},
        {"<https://evil.test/x>; rel=\\\"next\\\"", FRESH, NULL},
        {"<https://api.github.com.evil.test/x>; rel=\\\"next\\\"", FRESH, NULL},
        {"<https://api.github.com@evil.test/x>; rel=\\\"next\\\"", FRESH, NULL},
        {"<https://api.github.com/x>; rel=\\\"last\\\"", FRESH, NULL},
        {"nonsense", FRESH, NULL},
        {"<", FRESH, NULL},
        {"", FRESH, NULL},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct look_up_step step =
            hub(&a, "git.merged:", "{}",
                arena_printf(&a,
                             "[{\"status\":200,\"at_ms\":1,\"link\":\"%s\",\"body\":\"[{"
                             "\\\"updated_at\\\":\\\"%s\\\"}]\"}]",
                             cases[i].link, cases[i].updated),
                NOW);
        if (cases[i].next == NULL)
            cr_expect_eq(step.next, LOOK_UP_DONE, "%s", cases[i].link);
        else
            cr_expect_str_eq(step.wire.url, cases[i].next);
    }
}

Test(github, says_who_merged_one_pull_request)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    struct look_up_step step =
        hub(&a, "git.pull:7", "{}",
            "[" REPLY(
                200, "{\\\"number\\\":7,\\\"merged_at\\\":" Q(FRESH) ",\\\"merge_commit_sha\\\":" Q(
                         S40) ",\\\"merged_by\\\":{\\\"login\\\":\\\"ann\\\"}}") "]",
            NOW);
    cr_expect_str_eq(json_text_at(step.value, "merged.0.merged_by"), "ann");
    step =
        hub(&a, "git.pull:7", "{}",
            "[" REPLY(
                200, "{\\\"number\\\":7,\\\"merged_at\\\":" Q(FRESH) ",\\\"merge_commit_sha\\\":" Q(
                         S40) ",\\\"merged_by\\\":null}") "]",
            NOW);
    cr_expect_str_eq(json_text_at(step.value, "merged.0.merged_by"), "ghost");
    step =
        hub(&a, "git.pull:7", "{}",
            "[" REPLY(200, "{\\\"number\\\":7,\\\"merged_at\\\":null,\\\"merge_commit_sha\\\":" Q(
                               S40) "}") "]",
            NOW);
    cr_expect_eq(json_count(json_get(step.value, "merged")), 0);
}

Test(github, lists_deployments_with_the_latest_status_of_each)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    static const char list[] =
        REPLY(200, "[{\\\"id\\\":12345678901,\\\"sha\\\":" Q(
                       S40) ",\\\"environment\\\":\\\"production\\\","
                            "\\\"creator\\\":null},{\\\"id\\\":2,\\\"sha\\\":" Q(OLD) "}]");
    static const char success[] = REPLY(200, "[{\\\"state\\\":\\\"success\\\"}]");
    static const char none[] = REPLY(200, "[]");
    struct look_up_step step = hub(&a, "list_deployments", "{}", "[]", NOW);
    cr_expect(text_ends(step.wire.url, "/deployments?per_page=10"), "%s", step.wire.url);
    step = hub(&a, "list_deployments", "{}", arena_printf(&a, "[%s]", list), NOW);
    cr_expect(text_ends(step.wire.url, "/deployments/12345678901/statuses?per_page=1"), "%s",
              step.wire.url);
    step = hub(&a, "list_deployments", "{}", arena_printf(&a, "[%s,%s]", list, success), NOW);
    cr_expect(text_ends(step.wire.url, "/deployments/2/statuses?per_page=1"), "%s", step.wire.url);
    step =
        hub(&a, "list_deployments", "{}", arena_printf(&a, "[%s,%s,%s]", list, success, none), NOW);
    cr_assert_eq(step.next, LOOK_UP_DONE);
    cr_expect_str_eq(json_text_at(step.value, "deployments.0.state"), "success");
    cr_expect_str_eq(json_text_at(step.value, "deployments.0.sha"), S40);
    cr_expect_str_eq(json_text_at(step.value, "deployments.1.state"), "none yet");
}

/* ---- the built-in tools -------------------------------------------------------------------- */

Test(builtin_tools, only_read_and_require_nothing)
{
    static const char *const names[] = {"list_git_commits", "list_git_tags", "compare_commits",
                                        "list_deployments"};
    for (size_t i = 0; i < COUNT(names); i++) {
        const struct tool *tool = builtin_tool(names[i]);
        cr_assert_not_null(tool, "%s", names[i]);
        cr_expect(tool->reads && tool_runs_unasked(tool));
        cr_expect_str_eq(tool->run.builtin, names[i]);
        for (size_t k = 0; k < tool->n_args; k++)
            cr_expect(tool->args[k].optional, "%s.%s", names[i], tool->args[k].name);
    }
    cr_expect_null(builtin_tool("deploy"));
}
