/* What the two kinds of repository share; for source_repo*.c alone. */
#pragma once

#include "deploybot/source_repo.h"

enum { REF_MAX_BYTES = 200, MOST_COMMITS = 50 };

struct ref_range {
    const char *base, *head; /* NULL: the default */
};

struct look_up_step look_up_done(const struct json *value);
struct look_up_step look_up_failed(const char *error); /* borrows the sentence */
bool ref_is_safe(const char *ref);
bool is_full_sha(const char *text);
bool read_range(struct arena *a, const char *what, const struct json *args, struct ref_range *out);

struct look_up_step local_git_next(struct arena *a, const struct source_repo *repo,
                                   const char *what, const struct json *args,
                                   const struct json *replies);
struct look_up_step github_git_next(struct arena *a, const struct source_repo *repo,
                                    const char *what, const struct json *args,
                                    const struct json *replies, int64_t now_ms);
