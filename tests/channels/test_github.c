#include "channels/channel.h"
#include "gateway/base/hash.h"
#include "gateway/base/text.h"
#include "tests/golden.h"

#include <criterion/criterion.h>

#define SECRET "It's a Secret to Everybody"
static const struct github_settings ANY = {.name = "gh", .webhook_secret = SECRET};

static struct webhook delivery(struct arena *a, const struct json *entry)
{
    const struct json *given = json_get(entry, "headers");
    struct http_header *headers = ARENA_ARRAY(a, struct http_header, json_count(given));
    struct webhook in = {
        .method = "POST",
        .path = "/github/webhook",
        .headers = headers,
        .body = golden_bytes(a, arena_printf(a, "github/%s", json_text_at(entry, "file")))};
    JSON_EACH(header, given)
    {
        char *name = arena_strdup(a, header->key); /* the server hands them on in lower case */
        for (char *c = name; *c != '\0'; c++)
            if (*c >= 'A' && *c <= 'Z')
                *c = (char)(*c | 0x20);
        headers[in.n_headers++] = (struct http_header){name, json_text(header)};
    }
    return in;
}

Test(github, verifies_every_recorded_delivery_and_takes_the_merges)
{
    CLEANUP(arena_done) struct arena all = ARENA_INIT;
    const struct json *index = golden_json(&all, "github/index.json");
    size_t merges = 0, count = 0;
    JSON_EACH(entry, json_get(index, "deliveries"))
    {
        CLEANUP(arena_done) struct arena a = ARENA_INIT;
        struct err err = ERR_INIT;
        struct arrival got = {0};
        struct webhook in = delivery(&a, entry);
        const char *file = json_text_at(entry, "file");
        const struct json *wanted = json_get(entry, "extract");
        cr_assert(github_source.verify(&ANY, &in, &err), "%s: %s", file, err.text);
        cr_assert(github_source.receive(&ANY, &a, &in, &got, &err), "%s: %s", file, err.text);
        count++;
        if (!json_is_true(json_get(wanted, "merged"))) {
            cr_expect_eq(got.kind, ARRIVAL_IGNORED, "%s", file);
            continue;
        }
        merges++;
        cr_assert_eq(got.kind, ARRIVAL_EVENT, "%s", file);
        cr_expect_str_eq(got.type, "github_pull_request");
        cr_expect_str_eq(got.when, "pull_request.merged");
        cr_expect_str_eq(got.repo, json_text_at(wanted, "repo"));
        cr_expect_str_eq(got.base, json_text_at(wanted, "base_branch"));
        cr_expect_str_eq(got.sender,
                         arena_printf(&a, "github:%s", json_text_at(wanted, "merged_by")));
        static const char *const same[][2] = {{"repo", "repo"},        {"title", "pr_title"},
                                              {"author", "author"},    {"merged_by", "merged_by"},
                                              {"base", "base_branch"}, {"sha", "deploy_sha"},
                                              {"url", "pr_url"}};
        for (size_t i = 0; i < COUNT(same); i++)
            cr_expect_str_eq(json_text_at(got.data, same[i][0]), json_text_at(wanted, same[i][1]),
                             "%s: %s", file, same[i][0]);
        cr_expect(json_equal(json_get(got.data, "number"), json_get(wanted, "pr_number")));
        cr_expect_str_eq(
            got.keys[0],
            arena_printf(&a, "delivery:%s", json_text_at(entry, "headers.X-GitHub-Delivery")));
        cr_expect(text_starts(got.keys[1], "merge:"), "%s", got.keys[1]);
    }
    cr_expect_eq(merges, 1);
    cr_expect_geq(count, 30);
}

/* Everybody can sign with an empty key. */
Test(github, has_no_door_where_there_is_no_secret)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    struct err err = ERR_INIT;
    struct span body = span_of("{}");
    struct github_settings open = ANY;
    open.webhook_secret = "";
    struct http_header header = {
        "x-hub-signature-256",
        arena_printf(&a, "sha256=%s", hmac_sha256_hex(&a, span_of(""), body))};
    struct webhook in = {.headers = &header, .n_headers = 1, .body = body};
    cr_expect_not(github_source.verify(&open, &in, &err));
    cr_expect_eq(err.kind, ERR_DENIED);
}

Test(github, denies_what_is_not_signed_by_the_secret_over_these_bytes)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    const struct json *entry = json_at(golden_json(&a, "github/index.json"), "deliveries.0");
    struct webhook good = delivery(&a, entry), in = good;
    struct err err = ERR_INIT;
    cr_assert(github_source.verify(&ANY, &good, &err));
    char *body = arena_strndup(&a, good.body.at, good.body.len);
    body[good.body.len / 2] ^= 1;
    in.body.at = body;
    cr_expect_not(github_source.verify(&ANY, &in, &err), "one bit of the body");
    cr_expect_eq(err.kind, ERR_DENIED);
    in = good;
    in.body.len--;
    cr_expect_not(github_source.verify(&ANY, &in, &err), "one byte less");
    struct github_settings other = ANY;
    other.webhook_secret = "other";
    cr_expect_not(github_source.verify(&other, &good, &err), "another secret");
    other.webhook_secret = "";
    cr_expect_not(github_source.verify(&other, &good, &err), "an empty secret");
    other.webhook_secret = NULL;
    cr_expect_not(github_source.verify(&other, &good, &err), "no secret");

    static const char *const signatures[] = {
        "", "sha256=", "sha1=4a5e000449616d9730ae6bde19667e4a",
        "sha256=0781a4c342e19ba538f4541868124c3fc6deb4b56ae69a"};
    for (size_t i = 0; i < COUNT(signatures); i++) {
        struct http_header header = {"x-hub-signature-256", signatures[i]};
        in = good;
        in.headers = &header;
        in.n_headers = 1;
        cr_expect_not(github_source.verify(&ANY, &in, &err), "%s", signatures[i]);
    }
    in.n_headers = 0;
    cr_expect_not(github_source.verify(&ANY, &in, &err), "no signature at all");
}

static bool received(struct arena *a, const struct github_settings *s, const char *event,
                     const char *content_type, const char *body, struct arrival *out,
                     struct err *err)
{
    struct http_header headers[] = {
        {"x-github-event", event}, {"x-github-delivery", "guid-1"}, {"content-type", content_type}};
    struct webhook in = {
        .method = "POST", .headers = headers, .n_headers = COUNT(headers), .body = span_of(body)};
    *out = (struct arrival){0};
    return github_source.receive(s, a, &in, out, err);
}

#define S40 "0123456789abcdef0123456789abcdef01234567"
#define MERGED(sha, repo)                                                                   \
    "{\"action\":\"closed\",\"repository\":{\"full_name\":\"" repo "\"},\"pull_request\":{" \
    "\"merged\":true,\"number\":7,\"merge_commit_sha\":\"" sha "\",\"title\":\"t\"}}"

Test(github, reads_a_form_as_it_reads_json)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    struct err err = ERR_INIT;
    struct arrival got;
    char *form = arena_printf(&a, "a=b&payload=%s", url_encode(&a, MERGED(S40, "a/b")));
    cr_assert(received(&a, &ANY, "pull_request", "application/x-www-form-urlencoded; charset=utf-8",
                       form, &got, &err),
              "%s", err.text);
    cr_expect_eq(got.kind, ARRIVAL_EVENT);
    cr_expect_str_eq(got.keys[1], "merge:a/b#7@" S40);
    cr_expect_str_eq(got.sender, "github:ghost", "nobody says who merged it");
    cr_expect_not(
        received(&a, &ANY, "pull_request", "application/x-www-form-urlencoded", "a=b", &got, &err));
}

Test(github, refuses_what_it_cannot_read_and_ignores_what_does_not_concern_it)
{
    static const char *const ours[] = {"acme/shop"};
    static const struct {
        const char *name, *event, *body;
        bool ok;
        const char *ignored;
    } cases[] = {
        {"no JSON", "push", "{", false, NULL},
        {"an array", "push", "[]", false, NULL},
        {"a member twice", "push", "{\"a\":1,\"a\":2}", false, NULL},
        {"an unknown event", "sponsorship", "{}", true, "unknown_event"},
        {"a ping", "ping", "{}", true, "ping"},
        {"merged is a text", "pull_request",
         "{\"action\":\"closed\",\"pull_request\":{\"merged\":\"true\"}}", true,
         "pull_request_not_merged"},
        {"not closed", "pull_request", "{\"action\":\"edited\",\"pull_request\":{\"merged\":true}}",
         true, "pull_request_not_merged"},
        {"another repository", "pull_request", MERGED(S40, "evil/shop"), true, "other_repository"},
        {"one with ours as its beginning", "pull_request", MERGED(S40, "acme/shop2"), true,
         "other_repository"},
        {"no repository", "pull_request",
         "{\"action\":\"closed\",\"pull_request\":{\"merged\":true}}", true, "other_repository"},
        {"a short sha", "pull_request", MERGED("abc", "acme/shop"), false, NULL},
        {"an option as sha", "pull_request", MERGED("--upload-pack=x", "acme/shop"), false, NULL},
    };
    struct github_settings settings = ANY;
    const char *list[] = {ours[0]};
    settings.repos = list;
    settings.n_repos = 1;
    for (size_t i = 0; i < COUNT(cases); i++) {
        CLEANUP(arena_done) struct arena a = ARENA_INIT;
        struct err err = ERR_INIT;
        struct arrival got;
        bool ok =
            received(&a, &settings, cases[i].event, "application/json", cases[i].body, &got, &err);
        cr_expect_eq(ok, cases[i].ok, "%s", cases[i].name);
        if (cases[i].ignored != NULL)
            cr_expect(text_eq(got.ignored_why, cases[i].ignored), "%s: %s", cases[i].name,
                      got.ignored_why);
    }
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    struct err err = ERR_INIT;
    struct arrival got;
    cr_assert(received(&a, &settings, "pull_request", "application/json", MERGED(S40, "acme/shop"),
                       &got, &err));
    cr_expect_eq(got.kind, ARRIVAL_EVENT);
}

Test(github, wants_its_headers)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    struct err err = ERR_INIT;
    struct arrival got;
    char *long_id = arena_alloc(&a, 102);
    memset(long_id, 'x', 101);
    const struct http_header cases[][2] = {
        {{"x-github-event", "push"}, {"x-other", "1"}},
        {{"x-github-delivery", "1"}, {"x-other", "1"}},
        {{"x-github-event", "push"}, {"x-github-delivery", ""}},
        {{"x-github-event", "push"}, {"x-github-delivery", long_id}},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct webhook in = {.headers = cases[i], .n_headers = 2, .body = span_of("{}")};
        cr_expect_not(github_source.receive(&ANY, &a, &in, &got, &err), "%zu", i);
        cr_expect_eq(err.kind, ERR_INVALID);
    }
}
