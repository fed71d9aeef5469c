/* A plain git repository on this machine, read by git itself: a line a commit or tag. A subject and
 * a name are one line in git's formats (git-log(1), %s; git-commit-tree(1)), but may hold any other
 * byte, so what git itself makes stands before them and the subject is the rest of its line. Lines
 * that begin with no commit id are warnings of git's. */
#include "deploybot/source_repo_private.h"
#include "gateway/base/text.h"

#include <stdarg.h>
#include <string.h>

enum { SUBJECT_BYTES = 300, AUTHOR_BYTES = 100, MAX_ARGS = 24 };

#define COMMIT_FORMAT "--format=%H%x1f%cI%x1f%an%x1f%s"

static struct look_up_step git(struct arena *a, const struct source_repo *repo, ...)
{
    const char **argv = ARENA_ARRAY(a, const char *, MAX_ARGS);
    size_t n = 0;
    va_list args;
    argv[n++] = "git";
    argv[n++] = "-c";
    argv[n++] = "safe.directory=*";
    argv[n++] = "-c";
    argv[n++] = "core.quotepath=false";
    argv[n++] = "--no-pager";
    va_start(args, repo);
    for (const char *arg = va_arg(args, const char *); arg != NULL && n < MAX_ARGS - 1;
         arg = va_arg(args, const char *))
        argv[n++] = arg;
    va_end(args);
    return (struct look_up_step){.next = LOOK_UP_COMMAND, .argv = argv, .cwd = repo->path};
}

static const char *output(const struct json *replies, size_t index, int64_t *exit)
{
    size_t i = 0;
    JSON_EACH(reply, replies)
    {
        if (i++ == index) {
            *exit = json_int_or(json_get(reply, "exit"), -1);
            return json_text_or(reply, "output", "");
        }
    }
    *exit = -1;
    return "";
}

/* What git says of why it failed; a sentence in any case. */
static const char *complaint(struct arena *a, const char *text)
{
    text += strspn(text, " \t\r\n");
    return *text == '\0' ? "git failed and gave no reason"
                         : arena_strndup(a, text, strcspn(text, "\r\n"));
}

/* The next line that begins with a commit id, without it; *sha is set. NULL: there is none. *at
 * moves behind it. */
static char *next_line(struct arena *a, const char **at, const char **sha)
{
    while (**at != '\0') {
        size_t len = strcspn(*at, "\n");
        char *line = arena_strndup(a, *at, len);
        *at += len + ((*at)[len] == '\n');
        char *end = strchr(line, '\x1f');
        if (end == NULL)
            continue;
        *end = '\0';
        *sha = line;
        if (is_full_sha(line))
            return end + 1;
    }
    return NULL;
}

/* The field up to the next 0x1f; *line moves behind it. */
static char *field(char **line)
{
    char *begin = *line, *end = strchr(begin, '\x1f');
    if (end != NULL)
        *end = '\0';
    *line = end == NULL ? begin + strlen(begin) : end + 1;
    return begin;
}

static struct json *read_commits(struct arena *a, const char *text)
{
    struct json *list = json_array(a);
    const char *sha;
    for (char *line = next_line(a, &text, &sha); line != NULL; line = next_line(a, &text, &sha)) {
        struct json *c = json_object(a);
        const char *at = field(&line), *author = field(&line);
        json_set_text(a, c, "sha", sha);
        json_set_text(a, c, "subject", text_truncate(a, line, SUBJECT_BYTES));
        json_set_text(a, c, "author", text_truncate(a, author, AUTHOR_BYTES));
        json_set_text(a, c, "at", at);
        json_push(a, list, c);
    }
    return list;
}

/* ---- one machine a look-up --------------------------------------------------------------- */

static struct look_up_step resolve(struct arena *a, const struct source_repo *repo, const char *ref,
                                   const struct json *replies)
{
    int64_t exit;
    const char *text = output(replies, 0, &exit);
    if (json_count(replies) == 0)
        return git(a, repo, "log", "-1", COMMIT_FORMAT, arena_printf(a, "%s^{commit}", ref), "--",
                   NULL);
    if (exit != 0)
        return look_up_failed(
            strstr(text, "ambiguous") != NULL && strstr(text, "short") != NULL
                ? arena_printf(a, "%s is ambiguous: give more digits", ref)
                : arena_printf(a, "%s is no commit, branch or tag of this repository", ref));
    const struct json *list = read_commits(a, text);
    const char *sha = json_text_at(list, "0.sha");
    return sha == NULL || !is_full_sha(sha) ? look_up_failed("git named no commit")
                                            : look_up_done(json_at(list, "0"));
}

static struct look_up_step list_commits(struct arena *a, const struct source_repo *repo,
                                        const struct json *args, const struct json *replies)
{
    int64_t exit;
    const char *text = output(replies, 0, &exit);
    const char *branch = json_text_or(args, "branch", "HEAD");
    if (!ref_is_safe(branch))
        return look_up_failed("branch: this can be no branch");
    if (json_count(replies) == 0)
        return git(a, repo, "log",
                   arena_printf(a, "-%lld", (long long)json_int_or(json_get(args, "limit"), 20)),
                   COMMIT_FORMAT, branch, "--", NULL);
    if (exit != 0)
        return look_up_failed(arena_printf(a, "branch %s: %s", branch, complaint(a, text)));
    struct json *value = json_object(a);
    json_set_text(a, value, "branch", branch);
    json_set(a, value, "commits", read_commits(a, text));
    return look_up_done(value);
}

static struct look_up_step list_tags(struct arena *a, const struct source_repo *repo,
                                     const struct json *args, const struct json *replies)
{
    int64_t exit;
    const char *text = output(replies, 0, &exit);
    if (json_count(replies) == 0)
        return git(
            a, repo, "for-each-ref", "--sort=-creatordate",
            arena_printf(a, "--count=%lld", (long long)json_int_or(json_get(args, "limit"), 20)),
            /* An annotated tag's commit is what it points at: %(*objectname). */
            "--format=%(objectname)%1f%(*objectname)%1f%(creatordate:iso-strict)%1f%(refname:"
            "lstrip=2)",
            "refs/tags", NULL);
    if (exit != 0)
        return look_up_failed(complaint(a, text));
    struct json *list = json_array(a);
    const char *object;
    for (char *line = next_line(a, &text, &object); line != NULL;
         line = next_line(a, &text, &object)) {
        struct json *tag = json_object(a);
        const char *commit = field(&line), *at = field(&line);
        json_set_text(a, tag, "name", line);
        json_set_text(a, tag, "sha", *commit != '\0' ? commit : object);
        json_set_text(a, tag, "at", at);
        json_push(a, list, tag);
    }
    struct json *value = json_object(a);
    json_set(a, value, "tags", list);
    return look_up_done(value);
}

static const char *status_of(long long ahead, long long behind)
{
    if (ahead > 0 && behind > 0)
        return "diverged";
    return ahead > 0 ? "ahead" : behind > 0 ? "behind" : "identical";
}

/* Counts both sides first, then names the commits of the side that changes. */
static struct look_up_step compare(struct arena *a, const struct source_repo *repo,
                                   const char *what, const struct json *args,
                                   const struct json *replies)
{
    struct ref_range r;
    int64_t exit, ahead = 0, behind = 0;
    if (!read_range(a, what, args, &r))
        return look_up_failed("base or head can be no branch, tag or commit id");
    const char *head = r.head == NULL ? "HEAD" : r.head;
    const char *base = r.base == NULL ? arena_printf(a, "%s~1", head) : r.base;
    if (json_count(replies) == 0)
        return git(a, repo, "rev-list", "--left-right", "--count",
                   arena_printf(a, "%s...%s", base, head), "--", NULL);
    const char *counts = output(replies, 0, &exit);
    char *tab = strchr(arena_strndup(a, counts, strcspn(counts, "\r\n")), '\t');
    if (exit != 0 || tab == NULL)
        return look_up_failed(
            arena_printf(a, "%s and %s cannot be compared: %s", base, head, complaint(a, counts)));
    char *left = arena_strndup(a, counts, strcspn(counts, "\t"));
    if (!text_to_int(left, 0, INT64_MAX, &behind) || !text_to_int(tab + 1, 0, INT64_MAX, &ahead))
        return look_up_failed("git's counts cannot be read");
    bool back = ahead == 0 && behind > 0;
    if (json_count(replies) == 1)
        return git(a, repo, "log", arena_printf(a, "-%d", MOST_COMMITS), COMMIT_FORMAT,
                   back ? arena_printf(a, "%s..%s", head, base)
                        : arena_printf(a, "%s..%s", base, head),
                   "--", NULL);
    const char *text = output(replies, 1, &exit);
    if (exit != 0)
        return look_up_failed(complaint(a, text));
    struct json *value = json_object(a);
    json_set_text(a, value, "base", base);
    json_set_text(a, value, "head", head);
    json_set_text(a, value, "status", status_of(ahead, behind));
    json_set_int(a, value, "ahead_by", ahead);
    json_set_int(a, value, "behind_by", behind);
    json_set(a, value, "commits", read_commits(a, text));
    json_set_bool(a, value, "more", (back ? behind : ahead) > MOST_COMMITS);
    return look_up_done(value);
}

struct look_up_step local_git_next(struct arena *a, const struct source_repo *repo,
                                   const char *what, const struct json *args,
                                   const struct json *replies)
{
    if (text_starts(what, "git.resolve:"))
        return resolve(a, repo, strchr(what, ':') + 1, replies);
    if (strcmp(what, "list_git_commits") == 0)
        return list_commits(a, repo, args, replies);
    if (strcmp(what, "list_git_tags") == 0)
        return list_tags(a, repo, args, replies);
    if (text_starts(what, "git.compare:") || strcmp(what, "compare_commits") == 0)
        return compare(a, repo, what, args, replies);
    return look_up_failed(arena_printf(a, "%s cannot be asked of a local repository", what));
}
