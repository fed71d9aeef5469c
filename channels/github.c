/* GitHub webhooks: signed deliveries → merges. A source: it receives and never sends.
 * Sources: GitHub docs, "Validating webhook deliveries", "Webhook events and payloads". */
#include "channels/channel.h"
#include "gateway/base/hash.h"
#include "gateway/base/text.h"

#include <string.h>

enum { MAX_BODY = 25 << 20, TEXT_BYTES = 4000, TITLE_BYTES = 500 };

static bool verify(const void *settings, const struct webhook *in, struct err *err)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    const struct github_settings *s = settings;
    const char *signature = webhook_header(in, "x-hub-signature-256");
    if (s->webhook_secret == NULL || *s->webhook_secret == '\0')
        return fail(err, ERR_DENIED, "no webhook secret is configured");
    if (signature == NULL)
        return fail(err, ERR_DENIED, "unsigned");
    /* Over the raw bytes, whatever the content type. */
    char *expected =
        arena_printf(&a, "sha256=%s", hmac_sha256_hex(&a, span_of(s->webhook_secret), in->body));
    return secret_eq(span_of(signature), span_of(expected)) ||
           fail(err, ERR_DENIED, "the signature does not match");
}

/* application/json, or a form whose field `payload` is the JSON. */
static bool read_payload(struct arena *a, const struct webhook *in, struct json **out,
                         struct err *err)
{
    const char *type = webhook_header(in, "content-type");
    struct span json = in->body;
    if (type != NULL && text_starts(type, "application/x-www-form-urlencoded")) {
        char *payload = form_value(a, in->body, "payload");
        if (payload == NULL)
            return fail(err, ERR_INVALID, "the form has no payload");
        json = span_of(payload);
    }
    if (!json_parse(a, json, MAX_BODY, out, err))
        return fail_in(err, "payload");
    return (*out)->type == JSON_OBJECT || fail(err, ERR_INVALID, "payload: it is no object");
}

static bool ignore(struct arrival *out, const char *why)
{
    *out = (struct arrival){.kind = ARRIVAL_IGNORED, .ignored_why = why, .status = 200};
    return true;
}

static bool is_ours(const struct github_settings *s, const char *repo)
{
    for (size_t i = 0; i < s->n_repos; i++)
        if (text_eq(s->repos[i], repo))
            return true;
    return s->n_repos == 0;
}

static bool is_sha(const char *text)
{
    return text != NULL && strlen(text) == 40 && strspn(text, "0123456789abcdef") == 40;
}

/* What the run's first event says; also what a reconcile makes of the REST answer. */
static struct json *merge_data(struct arena *a, const struct json *pull, const char *repo)
{
    struct json *data = json_object(a);
    json_set_text(a, data, "repo", repo);
    json_set_int(a, data, "number", json_int_or(json_get(pull, "number"), 0));
    json_set_text(a, data, "title", text_truncate(a, json_text_or(pull, "title", ""), TITLE_BYTES));
    if (json_text_at(pull, "body") != NULL)
        json_set_text(a, data, "description",
                      text_truncate(a, json_text_at(pull, "body"), TEXT_BYTES));
    json_set_text(a, data, "author", json_text_or(pull, "user.login", "ghost"));
    json_set_text(a, data, "merged_by", json_text_or(pull, "merged_by.login", "ghost"));
    json_set_text(a, data, "merged_at", json_text_or(pull, "merged_at", ""));
    json_set_text(a, data, "base", json_text_or(pull, "base.ref", ""));
    json_set_text(a, data, "sha", json_text_or(pull, "merge_commit_sha", ""));
    json_set_text(a, data, "url", json_text_or(pull, "html_url", ""));
    return data;
}

static bool receive_merge(const struct github_settings *s, struct arena *a, const char *delivery,
                          const struct json *payload, struct arrival *out, struct err *err)
{
    const struct json *pull = json_get(payload, "pull_request");
    const char *repo = json_text_at(payload, "repository.full_name");
    if (!text_eq(json_text_at(payload, "action"), "closed") ||
        !json_is_true(json_get(pull, "merged")))
        return ignore(out, "pull_request_not_merged");
    if (repo == NULL || !is_ours(s, repo))
        return ignore(out, "other_repository");
    struct json *data = merge_data(a, pull, repo);
    const char *sha = json_text_at(data, "sha");
    if (!is_sha(sha))
        return fail(err, ERR_INVALID, "pull_request.merge_commit_sha: it is no full commit id");
    *out = (struct arrival){
        .kind = ARRIVAL_EVENT,
        .type = "github_pull_request",
        .when = "pull_request.merged",
        .sender = arena_printf(a, "github:%s", json_text_at(data, "merged_by")),
        .repo = repo,
        .base = json_text_at(data, "base"),
        .data = data,
        .status = 202,
    };
    /* A delivery is repeated under its GUID; a merge that was fetched after downtime has none. */
    out->keys[0] = arena_printf(a, "delivery:%s", delivery);
    out->keys[1] = arena_printf(a, "merge:%s#%lld@%s", repo,
                                (long long)json_int_or(json_get(data, "number"), 0), sha);
    return true;
}

static bool receive(const void *settings, struct arena *a, const struct webhook *in,
                    struct arrival *out, struct err *err)
{
    const char *event = webhook_header(in, "x-github-event");
    const char *delivery = webhook_header(in, "x-github-delivery");
    struct json *payload;
    if (event == NULL || delivery == NULL || *delivery == '\0' || strlen(delivery) > 100)
        return fail(err, ERR_INVALID, "X-GitHub-Event and X-GitHub-Delivery are required");
    if (!read_payload(a, in, &payload, err))
        return false;
    if (strcmp(event, "pull_request") == 0)
        return receive_merge(settings, a, delivery, payload, out, err);
    return ignore(out, strcmp(event, "ping") == 0 ? "ping" : "unknown_event");
}

const struct channel_ops github_source = {
    .type = "github",
    .identity = "github",
    .verify = verify,
    .receive = receive,
};
