/* Reaches: deploybot/source_repo_local.c on any output of git; the first byte chooses the look-up
 * and the exit. A commit id is one, texts are bounded, and what git would take for an option never
 * gets to it. */
#include "deploybot/source_repo.h"
#include "gateway/base/text.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_commits(const struct json *list)
{
    JSON_EACH(commit, list)
    {
        const char *sha = json_text_at(commit, "sha"), *subject = json_text_at(commit, "subject");
        if (sha == NULL || strlen(sha) != 40 || strspn(sha, "0123456789abcdef") != 40)
            abort();
        if (subject == NULL || strlen(subject) > 300 || strchr(subject, '\n') != NULL ||
            strlen(json_text_or(commit, "author", "")) > 100)
            abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const whats[] = {"git.resolve:main", "list_git_commits", "list_git_tags",
                                        "git.compare:a...b", "compare_commits"};
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    if (size < 2 || size > 8192)
        return 0;
    struct source_repo repo = {.path = "/repo"};
    const char *what = whats[data[0] % COUNT(whats)];
    const char *text = utf8_clean(&a, (struct span){(const char *)data + 2, size - 2});
    const char *first_line = arena_strndup(&a, text, strcspn(text, "\n"));
    struct json *args = json_object(&a), *replies = json_array(&a);
    if (data[1] % 4 == 1)
        json_set_text(&a, args, "branch", first_line);
    if (data[1] % 4 == 2)
        json_set_text(&a, args, "base", first_line);
    bool is_argument = (data[1] % 4 == 1 && text_eq(what, "list_git_commits")) ||
                       (data[1] % 4 == 2 && text_eq(what, "compare_commits"));
    for (int i = 0; i < 4; i++) {
        struct look_up_step step = source_repo_next(&a, &repo, what, args, replies, 1);
        if (step.next == LOOK_UP_COMMAND) {
            if (*first_line == '-' && is_argument)
                abort(); /* git would take it for an option */
            struct json *reply = json_object(&a);
            json_set_int(&a, reply, "exit", data[0] >= 250 ? 128 : 0);
            /* Counts first, where they are asked for. */
            json_set_text(&a, reply, "output",
                          i == 0 && strstr(what, "ompare") != NULL && data[1] % 8 < 4
                              ? arena_printf(&a, "%d\t%d\n", data[1] / 16, data[0] % 3)
                              : text);
            json_push(&a, replies, reply);
            continue;
        }
        if (step.next == LOOK_UP_FAILED && (step.error == NULL || *step.error == '\0'))
            abort();
        if (step.next == LOOK_UP_DONE) {
            check_commits(json_get(step.value, "commits"));
            const char *sha = json_text_at(step.value, "sha");
            if (sha != NULL && strlen(sha) != 40)
                abort();
        }
        return 0;
    }
    abort(); /* two calls are enough for any of them */
}
