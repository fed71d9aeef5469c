/* channels/github.c and the GitHub look-ups on any body: the first byte chooses. */
#include "channels/channel.h"
#include "deploybot/source_repo.h"
#include "gateway/base/text.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static const struct github_settings settings = {
    .name = "gh", .webhook_secret = "s", .token = "t", .api_base = "https://api.github.com"};

static void deliver(struct arena *a, const char *event, const char *type, struct span body)
{
    struct http_header headers[] = {{"x-github-event", event},
                                    {"x-github-delivery", "1"},
                                    {"content-type", type},
                                    {"x-hub-signature-256", "sha256="}};
    struct webhook in = {
        .method = "POST", .headers = headers, .n_headers = COUNT(headers), .body = body};
    struct arrival got = {0};
    struct err err = ERR_INIT;
    if (github_source.verify(&settings, &in, &err))
        abort(); /* an empty signature */
    if (!github_source.receive(&settings, a, &in, &got, &err) || got.kind == ARRIVAL_IGNORED)
        return;
    const char *sha = json_text_at(got.data, "sha");
    if (got.kind != ARRIVAL_EVENT || got.keys[0] == NULL || got.keys[1] == NULL || sha == NULL ||
        strlen(sha) != 40 || got.repo == NULL)
        abort();
}

/* Whatever GitHub answers, a call goes to its host alone and a commit id is one. */
static void look_up(struct arena *a, const char *what, struct span body)
{
    struct source_repo repo = {.name = "acme/shop", .github = &settings};
    struct json *replies = json_array(a);
    size_t link = 0;
    while (link < body.len && body.at[link] != '\n')
        link++;
    for (int i = 0; i < 12; i++) {
        struct look_up_step step =
            source_repo_next(a, &repo, what, json_object(a), replies, 1700000000000);
        if (step.next == LOOK_UP_HTTP) {
            if (!text_starts(step.wire.url, "https://api.github.com/"))
                abort();
            struct json *reply = json_object(a);
            json_set_int(a, reply, "status", 200);
            json_set_text(a, reply, "link", utf8_clean(a, (struct span){body.at, link}));
            json_set_text(a, reply, "body",
                          utf8_clean(a, (struct span){body.at + link, body.len - link}));
            json_push(a, replies, reply);
            continue;
        }
        const char *sha = json_text_at(step.value, "sha");
        if (step.next == LOOK_UP_DONE && sha != NULL && strlen(sha) != 40)
            abort();
        if (step.next == LOOK_UP_FAILED && step.error == NULL)
            abort();
        return;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    static const char *const whats[] = {"git.resolve:main",  "list_git_commits", "list_git_tags",
                                        "git.compare:a...b", "git.merged:",      "git.pull:7"};
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    if (len == 0)
        return 0;
    struct span body = {(const char *)bytes + 1, len - 1};
    if (bytes[0] % 2 == 0)
        deliver(&a, bytes[0] % 4 == 0 ? "pull_request" : "push",
                bytes[0] % 8 < 4 ? "application/json" : "application/x-www-form-urlencoded", body);
    else
        look_up(&a, whats[(bytes[0] / 2) % COUNT(whats)], body);
    return 0;
}
