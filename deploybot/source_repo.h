/* What deploybot reads from a repository: commits, tags, comparisons, refs. One little machine per
 * look-up, for a plain git repository on this machine (commands) and for GitHub (REST). Pure: it
 * says which call comes next; the shell makes it, stores the reply and asks again. */
#pragma once

#include "agents/tool.h"
#include "channels/channel.h"
#include "gateway/base/json.h"

struct source_repo {
    const char *path;                     /* a local repository, or NULL */
    const char *name;                     /* "owner/name" on GitHub, or NULL */
    const struct github_settings *github; /* with name: where and how */
};

enum look_up_next {
    LOOK_UP_COMMAND, /* run argv in cwd, bare environment */
    LOOK_UP_HTTP,    /* make the call; with `etag_key` set, If-None-Match may be added and a 304
                        answered    from the copy that the shell keeps */
    LOOK_UP_WAIT,    /* rate limit: ask again after wait_ms */
    LOOK_UP_DONE,    /* value */
    LOOK_UP_FAILED,  /* error: one sentence for a model and for people */
};

struct look_up_step {
    enum look_up_next next;
    const char **argv; /* NULL-terminated */
    const char *cwd;
    struct wire wire;
    int64_t wait_ms;
    const struct json *value;
    const char *error;
};

/* `what` is one of
 *
 * git.resolve:REF
 *     {sha, subject, author, at}; REF: a branch, a tag, a commit id or an unambiguous beginning
 * git.compare:BASE...HEAD
 *     {base, head, status: ahead|behind|diverged|identical, ahead_by, behind_by,
 *     commits: [{sha, subject, author, at}], more}: newest first, at most 50; of the other side
 *     when head is behind
 * list_git_commits
 *     {branch, commits: […]}, args {branch?, limit?}
 * list_git_tags
 *     {tags: [{name, sha, at?}]} newest first, args {limit?}
 * compare_commits
 *     as git.compare, args {base?, head?} (refs; head: the default branch)
 * list_deployments
 *     GitHub: {deployments: [{environment, sha, state, creator, at}]}, newest first
 * git.merged:
 *     GitHub: {merged: […]}, the merged pull requests of the last days as github_pull_request
 *     data, without merged_by
 * git.pull:NUMBER
 *     GitHub: the same of one, with merged_by
 *
 * `replies` is a JSON array, oldest first: {exit, output} of a command, {status, body, at_ms,
 * link?, retry_after_ms?, x-ratelimit-remaining?, x-ratelimit-reset?} of a call, {error} when it
 * failed on the way. */
struct look_up_step source_repo_next(struct arena *a, const struct source_repo *repo,
                                     const char *what, const struct json *args,
                                     const struct json *replies, int64_t now_ms);

/* The built-in read tools of deploybot and rollback, by name; NULL: none of that name. */
const struct tool *builtin_tool(const char *name);
