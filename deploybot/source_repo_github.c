/* A repository on GitHub, read by its REST API (version 2022-11-28). Pages are followed by the Link
 * header, never built; rate limits are waited for as GitHub's documentation asks.
 * Sources: GitHub docs, "Using pagination", "Rate limits for the REST API", OpenAPI 2022-11-28. */
#include "deploybot/source_repo_private.h"
#include "gateway/base/text.h"

#include <string.h>

enum {
    SUBJECT_BYTES = 300,
    MAX_BODY = 16 << 20,
    MOST_PAGES = 10,
    MOST_DEPLOYMENTS = 10,
    MOST_WAITS = 8,
    SECONDARY_WAIT_MS = 60000,
    LONGEST_WAIT_MS = 15 * 60000,
};
static const int64_t MERGED_SINCE_MS =
    4LL * 24 * 3600 * 1000; /* GitHub keeps deliveries for three days */

static struct look_up_step get(struct arena *a, const struct source_repo *repo, const char *url)
{
    struct http_header *headers = ARENA_ARRAY(a, struct http_header, 4);
    size_t n = 0;
    headers[n++] = (struct http_header){"Accept", "application/vnd.github+json"};
    headers[n++] = (struct http_header){"X-GitHub-Api-Version", "2022-11-28"};
    if (repo->github->token != NULL && *repo->github->token != '\0')
        headers[n++] = (struct http_header){"Authorization",
                                            arena_printf(a, "Bearer %s", repo->github->token)};
    return (struct look_up_step){.next = LOOK_UP_HTTP,
                                 .wire = {.method = "GET",
                                          .url = url,
                                          .headers = headers,
                                          .n_headers = n,
                                          .repeatable = true,
                                          .lane = repo->github->name}};
}

/* "owner/name" in a path: two segments, each encoded. */
static char *repo_path(struct arena *a, const struct source_repo *repo)
{
    const char *slash = strchr(repo->name, '/');
    if (slash == NULL)
        return arena_printf(a, "%s/repos/%s", repo->github->api_base, url_encode(a, repo->name));
    return arena_printf(a, "%s/repos/%s/%s", repo->github->api_base,
                        url_encode(a, arena_strndup(a, repo->name, (size_t)(slash - repo->name))),
                        url_encode(a, slash + 1));
}

static const struct json *reply_at(const struct json *replies, size_t index)
{
    size_t i = 0;
    JSON_EACH(reply, replies)
    {
        if (i++ == index)
            return reply;
    }
    return NULL;
}

static bool is_rate_limited(const struct json *reply)
{
    int64_t status = json_int_or(json_get(reply, "status"), 0);
    return (status == 403 || status == 429) &&
           (json_get(reply, "retry_after_ms") != NULL ||
            text_eq(json_text_at(reply, "x-ratelimit-remaining"), "0") ||
            strstr(json_text_or(reply, "body", ""), "rate limit") != NULL);
}

/* Waits as told: Retry-After, else the reset time, else a minute. */
static struct look_up_step wait_for_limit(const struct json *reply, int64_t now_ms)
{
    int64_t wait_ms = json_int_or(json_get(reply, "retry_after_ms"), 0), reset_s;
    const char *reset = json_text_at(reply, "x-ratelimit-reset");
    if (wait_ms == 0 && text_eq(json_text_at(reply, "x-ratelimit-remaining"), "0") &&
        reset != NULL && text_to_int(reset, 0, INT64_MAX / 1000, &reset_s))
        wait_ms = reset_s * 1000 - now_ms;
    if (wait_ms <= 0)
        wait_ms = SECONDARY_WAIT_MS;
    return (struct look_up_step){.next = LOOK_UP_WAIT,
                                 .wait_ms = wait_ms > LONGEST_WAIT_MS ? LONGEST_WAIT_MS : wait_ms};
}

/* ---- what the shared part of every machine does ------------------------------------------ */

struct walk {
    struct arena *a;
    const struct source_repo *repo;
    const struct json *good; /* the replies that count, in order */
    size_t n_good;
    bool stop; /* `out` is the answer already */
    struct look_up_step out;
};

/* Replies without those that said "slow down" (each was waited for); a last one that is fresh makes
 * the machine wait. */
static struct walk begin(struct arena *a, const struct source_repo *repo,
                         const struct json *replies, int64_t now_ms)
{
    struct walk w = {.a = a, .repo = repo};
    struct json *good = json_array(a);
    int limits = 0;
    JSON_EACH(reply, replies)
    {
        bool limited = is_rate_limited(reply);
        limits += limited;
        if (limits > MOST_WAITS) {
            w.stop = true;
            w.out = look_up_failed("GitHub's rate limit is used up, and waiting did not help");
        } else if (!limited)
            json_push(a, good, reply);
        else if (reply->next == NULL && json_int_or(json_get(reply, "at_ms"), 0) + 1000 > now_ms) {
            w.stop = true;
            w.out = wait_for_limit(reply, now_ms);
        }
    }
    w.good = good;
    w.n_good = json_count(good);
    return w;
}

/* The JSON of the index-th good reply; NULL: w->out says why not. */
static const struct json *page(struct walk *w, size_t index)
{
    const struct json *reply = reply_at(w->good, index);
    int64_t status = json_int_or(json_get(reply, "status"), 0);
    const char *body = json_text_or(reply, "body", "");
    struct json *parsed = NULL;
    if (status == 200 && json_parse(w->a, span_of(body), MAX_BODY, &parsed, NULL))
        return parsed;
    w->stop = true;
    if (status == 404 || status == 422)
        w->out = look_up_failed(
            "GitHub knows no such repository, branch, tag or commit, or the token may not see it");
    else if (status == 401)
        w->out = look_up_failed("GitHub does not accept the token: a person must renew it");
    else if (status == 200)
        w->out = look_up_failed("GitHub's answer is no JSON");
    else if (status == 409)
        w->out = look_up_failed("the repository is empty");
    else
        w->out = look_up_failed(arena_printf(w->a, "GitHub answered %lld", (long long)status));
    return NULL;
}

/* <https://…>; rel="next", if it stays on the configured host. */
static const char *next_page(const struct walk *w, size_t index)
{
    const char *link = json_text_at(reply_at(w->good, index), "link");
    while (link != NULL && *link != '\0') {
        const char *begin = strchr(link, '<'), *end = begin == NULL ? NULL : strchr(begin, '>');
        if (end == NULL)
            return NULL;
        size_t rest = strcspn(end, ",");
        char *attributes = arena_strndup(w->a, end, rest);
        if (strstr(attributes, "rel=\"next\"") != NULL) {
            char *url = arena_strndup(w->a, begin + 1, (size_t)(end - begin - 1));
            char *ours = arena_printf(w->a, "%s/", w->repo->github->api_base);
            return text_starts(url, ours) ? url : NULL; /* the token goes nowhere else */
        }
        link = end + rest + (end[rest] == ',');
    }
    return NULL;
}

static struct json *commit_of(struct arena *a, const struct json *c)
{
    struct json *out = json_object(a);
    const char *message = json_text_or(c, "commit.message", "");
    const char *sha = json_text_or(c, "sha", "");
    json_set_text(a, out, "sha", is_full_sha(sha) ? sha : "");
    json_set_text(
        a, out, "subject",
        text_truncate(a, arena_strndup(a, message, strcspn(message, "\r\n")), SUBJECT_BYTES));
    json_set_text(a, out, "author",
                  json_text_at(c, "author.login") != NULL
                      ? json_text_at(c, "author.login")
                      : json_text_or(c, "commit.author.name", ""));
    json_set_text(a, out, "at", json_text_or(c, "commit.committer.date", ""));
    return out;
}

/* ---- one machine a look-up --------------------------------------------------------------- */

static struct look_up_step resolve(struct walk *w, const char *ref)
{
    if (w->n_good == 0)
        return get(
            w->a, w->repo,
            arena_printf(w->a, "%s/commits/%s", repo_path(w->a, w->repo), url_encode(w->a, ref)));
    const struct json *commit = page(w, 0);
    if (commit == NULL)
        return w->out;
    const char *sha = json_text_or(commit, "sha", "");
    return is_full_sha(sha) ? look_up_done(commit_of(w->a, commit))
                            : look_up_failed("GitHub named no full commit id");
}

static struct look_up_step list_commits(struct walk *w, const struct json *args)
{
    const char *branch = json_text_at(args, "branch");
    if (branch != NULL && !ref_is_safe(branch))
        return look_up_failed("branch: this can be no branch");
    if (w->n_good == 0)
        return get(w->a, w->repo,
                   arena_printf(w->a, "%s/commits?per_page=%lld%s%s", repo_path(w->a, w->repo),
                                (long long)json_int_or(json_get(args, "limit"), 20),
                                branch == NULL ? "" : "&sha=",
                                branch == NULL ? "" : url_encode(w->a, branch)));
    const struct json *list = page(w, 0);
    if (list == NULL)
        return w->out;
    struct json *value = json_object(w->a), *commits = json_array(w->a);
    JSON_EACH(c, list)
    {
        json_push(w->a, commits, commit_of(w->a, c));
    }
    json_set_text(w->a, value, "branch", branch == NULL ? "the default branch" : branch);
    json_set(w->a, value, "commits", commits);
    return look_up_done(value);
}

static struct look_up_step list_tags(struct walk *w, const struct json *args)
{
    if (w->n_good == 0)
        return get(w->a, w->repo,
                   arena_printf(w->a, "%s/tags?per_page=%lld", repo_path(w->a, w->repo),
                                (long long)json_int_or(json_get(args, "limit"), 20)));
    const struct json *list = page(w, 0);
    if (list == NULL)
        return w->out;
    struct json *value = json_object(w->a), *tags = json_array(w->a);
    JSON_EACH(t, list)
    {
        struct json *tag = json_object(w->a);
        json_set_text(w->a, tag, "name", json_text_or(t, "name", ""));
        json_set_text(w->a, tag, "sha", json_text_or(t, "commit.sha", ""));
        json_push(w->a, tags, tag);
    }
    json_set(w->a, value, "tags", tags);
    return look_up_done(value);
}

/* GitHub lists the head's commits oldest first, and none when head is behind: then the other way
 * round names what would be taken back. */
static struct look_up_step compare(struct walk *w, const char *what, const struct json *args)
{
    struct ref_range r;
    if (!read_range(w->a, what, args, &r))
        return look_up_failed("base or head can be no branch, tag or commit id");
    const char *head = r.head == NULL ? "HEAD" : r.head;
    const char *base = r.base == NULL ? arena_printf(w->a, "%s~1", head) : r.base;
    if (w->n_good == 0)
        return get(w->a, w->repo,
                   arena_printf(w->a, "%s/compare/%s...%s?per_page=100", repo_path(w->a, w->repo),
                                url_encode(w->a, base), url_encode(w->a, head)));
    const struct json *first = page(w, 0);
    if (first == NULL)
        return w->out;
    const char *status = json_text_or(first, "status", "diverged");
    bool back = strcmp(status, "behind") == 0;
    if (back && w->n_good == 1)
        return get(w->a, w->repo,
                   arena_printf(w->a, "%s/compare/%s...%s?per_page=100", repo_path(w->a, w->repo),
                                url_encode(w->a, head), url_encode(w->a, base)));
    const struct json *named = back ? page(w, 1) : first;
    if (named == NULL)
        return w->out;
    struct json *value = json_object(w->a), *commits = json_array(w->a);
    const struct json *list = json_get(named, "commits");
    size_t count = json_count(list), skip = count > MOST_COMMITS ? count - MOST_COMMITS : 0;
    const struct json *newest[MOST_COMMITS];
    size_t n = 0, i = 0;
    JSON_EACH(c, list)
    {
        if (i++ >= skip)
            newest[n++] = c;
    }
    while (n-- > 0)
        json_push(w->a, commits, commit_of(w->a, newest[n]));
    json_set_text(w->a, value, "base", base);
    json_set_text(w->a, value, "head", head);
    json_set_text(w->a, value, "status", status);
    json_set_int(w->a, value, "ahead_by", json_int_or(json_get(first, "ahead_by"), 0));
    json_set_int(w->a, value, "behind_by", json_int_or(json_get(first, "behind_by"), 0));
    json_set(w->a, value, "commits", commits);
    if (json_text_at(first, "html_url") != NULL)
        json_set_text(w->a, value, "url", json_text_at(first, "html_url"));
    json_set_bool(w->a, value, "more",
                  json_int_or(json_get(named, "total_commits"), 0) > MOST_COMMITS);
    return look_up_done(value);
}

/* A merged pull request as its webhook would tell it. A list does not say who merged: then
 * merged_by is left out. NULL: it was not merged. */
static struct json *merge_of(const struct walk *w, const struct json *pull)
{
    const char *sha = json_text_or(pull, "merge_commit_sha", ""); /* is there unmerged, too */
    if (json_text_at(pull, "merged_at") == NULL || !is_full_sha(sha))
        return NULL;
    struct json *data = json_object(w->a);
    json_set_text(w->a, data, "repo", w->repo->name);
    json_set_int(w->a, data, "number", json_int_or(json_get(pull, "number"), 0));
    json_set_text(w->a, data, "title", text_truncate(w->a, json_text_or(pull, "title", ""), 500));
    json_set_text(w->a, data, "author", json_text_or(pull, "user.login", "ghost"));
    if (json_get(pull, "merged_by") != NULL)
        json_set_text(w->a, data, "merged_by", json_text_or(pull, "merged_by.login", "ghost"));
    json_set_text(w->a, data, "merged_at", json_text_at(pull, "merged_at"));
    json_set_text(w->a, data, "base", json_text_or(pull, "base.ref", ""));
    json_set_text(w->a, data, "sha", sha);
    json_set_text(w->a, data, "url", json_text_or(pull, "html_url", ""));
    return data;
}

static bool is_old(const struct json *pull, const char *member, int64_t now_ms)
{
    int64_t at_ms;
    return !time_parse(json_text_or(pull, member, ""), &at_ms) || at_ms < now_ms - MERGED_SINCE_MS;
}

/* Merged pull requests, newest first, until they are older than GitHub's own memory of deliveries.
 */
static struct look_up_step list_merged(struct walk *w, int64_t now_ms)
{
    struct json *merged = json_array(w->a);
    bool old = false;
    for (size_t i = 0; i < w->n_good; i++) {
        const struct json *list = page(w, i);
        if (list == NULL)
            return w->out;
        JSON_EACH(pull, list)
        {
            struct json *data = merge_of(w, pull);
            old = old || is_old(pull, "updated_at", now_ms);
            if (data != NULL && !is_old(pull, "merged_at", now_ms))
                json_push(w->a, merged, data);
        }
    }
    if (w->n_good == 0)
        return get(w->a, w->repo,
                   arena_printf(w->a,
                                "%s/pulls?state=closed&sort=updated&direction=desc&per_page=50",
                                repo_path(w->a, w->repo)));
    const char *next = next_page(w, w->n_good - 1);
    if (!old && next != NULL && w->n_good < MOST_PAGES)
        return get(w->a, w->repo, next);
    struct json *value = json_object(w->a);
    json_set(w->a, value, "merged", merged);
    return look_up_done(value);
}

/* One pull request, which says who merged it. */
static struct look_up_step read_pull(struct walk *w, const char *number)
{
    if (w->n_good == 0)
        return get(
            w->a, w->repo,
            arena_printf(w->a, "%s/pulls/%s", repo_path(w->a, w->repo), url_encode(w->a, number)));
    const struct json *pull = page(w, 0);
    if (pull == NULL)
        return w->out;
    struct json *value = json_object(w->a), *merged = json_array(w->a);
    struct json *data = merge_of(w, pull);
    if (data != NULL) {
        if (json_get(data, "merged_by") == NULL)
            json_set_text(w->a, data, "merged_by", "ghost");
        json_push(w->a, merged, data);
    }
    json_set(w->a, value, "merged", merged);
    return look_up_done(value);
}

/* The newest deployments that GitHub itself knows of, each with its latest status: one call for the
 * list, then one for each of them. */
static struct look_up_step list_deployments(struct walk *w)
{
    if (w->n_good == 0)
        return get(w->a, w->repo,
                   arena_printf(w->a, "%s/deployments?per_page=%d", repo_path(w->a, w->repo),
                                MOST_DEPLOYMENTS));
    const struct json *list = page(w, 0);
    if (list == NULL)
        return w->out;
    struct json *value = json_object(w->a), *deployments = json_array(w->a);
    size_t next = 1;
    JSON_EACH(d, list)
    {
        if (next >= w->n_good)
            return get(w->a, w->repo,
                       arena_printf(w->a, "%s/deployments/%.0f/statuses?per_page=1",
                                    repo_path(w->a, w->repo),
                                    (double)json_int_or(json_get(d, "id"), 0)));
        const struct json *statuses = page(w, next++);
        if (statuses == NULL)
            return w->out;
        struct json *row = json_object(w->a);
        json_set_text(w->a, row, "environment", json_text_or(d, "environment", ""));
        json_set_text(w->a, row, "sha", json_text_or(d, "sha", ""));
        json_set_text(w->a, row, "state",
                      json_text_or(json_at(statuses, "0"), "state", "none yet"));
        json_set_text(w->a, row, "creator", json_text_or(d, "creator.login", ""));
        json_set_text(w->a, row, "at", json_text_or(d, "created_at", ""));
        json_push(w->a, deployments, row);
    }
    json_set(w->a, value, "deployments", deployments);
    return look_up_done(value);
}

struct look_up_step github_git_next(struct arena *a, const struct source_repo *repo,
                                    const char *what, const struct json *args,
                                    const struct json *replies, int64_t now_ms)
{
    struct walk w = begin(a, repo, replies, now_ms);
    if (w.stop)
        return w.out;
    if (text_starts(what, "git.resolve:"))
        return resolve(&w, strchr(what, ':') + 1);
    if (strcmp(what, "list_git_commits") == 0)
        return list_commits(&w, args);
    if (strcmp(what, "list_git_tags") == 0)
        return list_tags(&w, args);
    if (text_starts(what, "git.compare:") || strcmp(what, "compare_commits") == 0)
        return compare(&w, what, args);
    if (strcmp(what, "list_deployments") == 0)
        return list_deployments(&w);
    if (text_starts(what, "git.merged:"))
        return list_merged(&w, now_ms);
    if (text_starts(what, "git.pull:"))
        return read_pull(&w, strchr(what, ':') + 1);
    return look_up_failed(arena_printf(a, "%s cannot be asked of GitHub", what));
}
