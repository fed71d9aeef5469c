/* Hashes, by published vectors: NIST, RFC 4231, and the signatures of webhook providers
 * (tests/golden/webhooks/README.md). */
#include "gateway/base/hash.h"
#include "gateway/base/text.h"
#include "tests/golden.h"

#include <criterion/criterion.h>
#include <string.h>

Test(sha256, agrees_with_fips_180)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    cr_expect_str_eq(sha256_hex(&a, span_of("")),
                     "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    cr_expect_str_eq(sha256_hex(&a, (struct span){NULL, 0}),
                     "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    cr_expect_str_eq(sha256_hex(&a, span_of("abc")),
                     "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

Test(hmac_sha256, agrees_with_rfc_4231)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    cr_expect_str_eq(hmac_sha256_hex(&a, span_of("Jefe"), span_of("what do ya want for nothing?")),
                     "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    char key[131];
    memset(key, 0xaa, sizeof key);
    cr_expect_str_eq(
        hmac_sha256_hex(&a, (struct span){key, sizeof key},
                        span_of("Test Using Larger Than Block-Size Key - Hash Key First")),
        "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
    cr_expect_str_eq(hmac_sha256_hex(&a, (struct span){NULL, 0}, (struct span){NULL, 0}),
                     "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad");
}

static struct span body_of(struct arena *a, const struct json *one)
{
    struct span bytes;
    const char *base64 = json_text_at(one, "body_base64");
    if (base64 == NULL)
        return span_of(json_text_at(one, "body"));
    cr_assert(base64_decode(a, base64, &bytes));
    return bytes;
}

/* Does any of the case's secrets make this header? */
static bool signs(struct arena *a, const struct json *one, const char *header)
{
    const struct json *secrets = json_get(one, "secrets");
    struct json *all = json_array(a);
    if (secrets == NULL)
        json_push(a, all, json_get(one, "secret"));
    else
        all = json_set(a, json_object(a), "all", secrets);
    JSON_EACH(secret, all)
    {
        char *hex = hmac_sha256_hex(a, span_of(secret->text), body_of(a, one));
        if (secret_eq(span_of(arena_printf(a, "sha256=%s", hex)), span_of(header)))
            return true;
    }
    return false;
}

Test(hmac_sha256, agrees_with_github)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    size_t cases = 0;
    JSON_EACH(one, json_get(golden_json(&a, "webhooks/github_hmac.json"), "cases"))
    {
        const char *header = json_text_or(one, "header", "");
        cr_expect_eq(signs(&a, one, header), json_is_true(json_get(one, "valid")), "%s",
                     json_text_at(one, "name"));
        cases++;
    }
    cr_expect_eq(cases, 11);
}

Test(hmac_sha256, agrees_with_slack)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    const struct json *one = json_at(golden_json(&a, "webhooks/slack_v0.json"), "cases.0");
    const struct json *headers = json_get(one, "headers");
    char *text = arena_printf(&a, "v0:%s:%s", json_text_at(headers, "X-Slack-Request-Timestamp"),
                              json_text_at(one, "body"));
    char *hex = hmac_sha256_hex(&a, span_of(json_text_at(one, "secret")), span_of(text));
    cr_expect_str_eq(arena_printf(&a, "v0=%s", hex), json_text_at(headers, "X-Slack-Signature"));
}

Test(hmac_sha256, agrees_with_standard_webhooks)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    const struct json *one = json_at(golden_json(&a, "webhooks/standard_webhooks.json"), "cases.0");
    const struct json *headers = json_get(one, "headers");
    struct span key;
    cr_assert(base64_decode(&a, json_text_at(one, "secret") + strlen("whsec_"), &key));
    char *text = arena_printf(&a, "%s.%s.%s", json_text_at(headers, "svix-id"),
                              json_text_at(headers, "svix-timestamp"), json_text_at(one, "body"));
    unsigned char sum[SHA256_SIZE];
    hmac_sha256(key, span_of(text), sum);
    char *base64 = base64_encode(&a, (struct span){(const char *)sum, sizeof sum});
    cr_expect_str_eq(arena_printf(&a, "v1,%s", base64), json_text_at(headers, "svix-signature"));
}
