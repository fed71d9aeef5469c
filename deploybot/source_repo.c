/* See source_repo.h: chooses the machine; what both kinds of repository share. */
#include "deploybot/source_repo.h"

#include "deploybot/source_repo_private.h"
#include "gateway/base/text.h"

#include <string.h>

struct look_up_step look_up_done(const struct json *value)
{
    return (struct look_up_step){.next = LOOK_UP_DONE, .value = value};
}

struct look_up_step look_up_failed(const char *error)
{
    return (struct look_up_step){.next = LOOK_UP_FAILED, .error = error};
}

/* git-check-ref-format(1), and nothing that could be an option or a range. */
bool ref_is_safe(const char *ref)
{
    size_t len = strlen(ref);
    if (len == 0 || len > REF_MAX_BYTES || ref[0] == '-' || ref[0] == '/' || ref[0] == '.')
        return false;
    for (const char *c = ref; *c != '\0'; c++)
        if ((unsigned char)*c <= ' ' || *c == 0x7F || strchr("~^:?*[\\@{", *c) != NULL)
            return false;
    return strstr(ref, "..") == NULL && ref[len - 1] != '/' && ref[len - 1] != '.';
}

bool is_full_sha(const char *text)
{
    return strlen(text) == 40 && strspn(text, "0123456789abcdef") == 40;
}

/* "BASE...HEAD" or the two arguments of compare_commits; NULL head: the default branch. */
bool read_range(struct arena *a, const char *what, const struct json *args, struct ref_range *out)
{
    *out = (struct ref_range){0};
    if (text_starts(what, "git.compare:")) {
        const char *range = strchr(what, ':') + 1, *dots = strstr(range, "...");
        if (dots == NULL)
            return false;
        out->base = arena_strndup(a, range, (size_t)(dots - range));
        out->head = dots + 3;
    } else {
        out->base = json_text_at(args, "base");
        out->head = json_text_at(args, "head");
    }
    return (out->base == NULL || ref_is_safe(out->base)) &&
           (out->head == NULL || ref_is_safe(out->head));
}

struct look_up_step source_repo_next(struct arena *a, const struct source_repo *repo,
                                     const char *what, const struct json *args,
                                     const struct json *replies, int64_t now_ms)
{
    const struct json *last = NULL;
    JSON_EACH(reply, replies)
    {
        last = reply;
    }
    if (json_get(last, "error") != NULL)
        return look_up_failed(json_text_or(last, "error", "the repository could not be read"));
    if (text_starts(what, "git.resolve:") && !ref_is_safe(strchr(what, ':') + 1))
        return look_up_failed("this can be no branch, tag or commit id");
    return repo->path != NULL ? local_git_next(a, repo, what, args, replies)
                              : github_git_next(a, repo, what, args, replies, now_ms);
}
