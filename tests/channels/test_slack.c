#include "channels/slack.h"
#include "gateway/base/hash.h"
#include "gateway/base/strbuf.h"
#include "gateway/base/text.h"
#include "tests/golden.h"

#include <criterion/criterion.h>

#define SECRET "8f742231b10e8888abcd99yyyzzz85a5"
static const struct slack_settings SETTINGS = {.name = "ops",
                                               .signing_secret = SECRET,
                                               .bot_token = "xoxb-1",
                                               .api_base = "https://slack.com/api",
                                               .bot_user = "UBOT"};

/* Names come in lower case from the server. */
static char *lower(struct arena *a, const char *name)
{
    char *copy = arena_strdup(a, name);
    for (char *c = copy; *c != '\0'; c++)
        if (*c >= 'A' && *c <= 'Z')
            *c = (char)(*c | 0x20);
    return copy;
}

/* ---- verify ------------------------------------------------------------------------------ */

static struct webhook signed_hook(struct arena *a, const struct json *recorded, int64_t at_s)
{
    struct http_header *headers = ARENA_ARRAY(a, struct http_header, 8);
    struct webhook in = {.method = "POST",
                         .path = "/slack/commands",
                         .headers = headers,
                         .body = span_of(json_text_at(recorded, "body")),
                         .at_ms = at_s * 1000};
    JSON_EACH(header, json_get(recorded, "headers"))
    {
        headers[in.n_headers++] = (struct http_header){lower(a, header->key), json_text(header)};
    }
    return in;
}

Test(slack_verify, takes_the_published_vector_within_five_minutes_either_way)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    const struct json *recorded = golden_json(&a, "slack/signed_request--slash_command_form.json");
    static const struct {
        int64_t after_s;
        bool ok;
    } cases[] = {{0, true},    {300, true},   {301, false},
                 {-300, true}, {-301, false}, {100000, false}};
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct err err = ERR_INIT;
        struct webhook in = signed_hook(&a, recorded, 1531420618 + cases[i].after_s);
        cr_expect_eq(slack_channel.verify(&SETTINGS, &in, &err), cases[i].ok, "%lld s",
                     (long long)cases[i].after_s);
    }
}

Test(slack_verify, denies_everything_else)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    const struct json *recorded = golden_json(&a, "slack/signed_request--slash_command_form.json");
    struct webhook good = signed_hook(&a, recorded, 1531420618), in = good;
    struct err err = ERR_INIT;
    char *body = arena_strndup(&a, good.body.at, good.body.len);
    body[10] ^= 1;
    in.body.at = body;
    cr_expect_not(slack_channel.verify(&SETTINGS, &in, &err), "one bit of the body");
    cr_expect_eq(err.kind, ERR_DENIED);
    struct slack_settings other = SETTINGS;
    other.signing_secret = NULL;
    cr_expect_not(slack_channel.verify(&other, &good, &err), "no secret");
    other.signing_secret = "";
    cr_expect_not(slack_channel.verify(&other, &good, &err), "an empty secret");
    other.signing_secret = "x";
    cr_expect_not(slack_channel.verify(&other, &good, &err), "another secret");
    static const char *const stamps[] = {"",           "1531420618 ",  "+1531420618",
                                         "0x5b47f0ca", "1531420618.0", "1531420617"};
    for (size_t i = 0; i < COUNT(stamps); i++) {
        struct http_header headers[] = {
            {"x-slack-request-timestamp", stamps[i]},
            {"x-slack-signature", webhook_header(&good, "x-slack-signature")}};
        in = good;
        in.headers = headers;
        in.n_headers = 2;
        cr_expect_not(slack_channel.verify(&SETTINGS, &in, &err), "\"%s\"", stamps[i]);
    }
    in = good;
    in.n_headers = 1;
    cr_expect_not(slack_channel.verify(&SETTINGS, &in, &err), "no signature");
    in.n_headers = 0;
    cr_expect_not(slack_channel.verify(&SETTINGS, &in, &err), "nothing");
}

/* Everybody can sign with an empty key. */
Test(slack_verify, has_no_door_where_there_is_no_secret)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    struct slack_settings open = SETTINGS;
    struct http_header headers[] = {
        {"x-slack-request-timestamp", "1531420618"},
        {"x-slack-signature",
         arena_printf(&a, "v0=%s", hmac_sha256_hex(&a, span_of(""), span_of("v0:1531420618:{}")))}};
    struct webhook in = {
        .headers = headers, .n_headers = 2, .body = span_of("{}"), .at_ms = 1531420618000};
    open.signing_secret = "";
    cr_expect_not(slack_channel.verify(&open, &in, NULL));
    open.signing_secret = NULL;
    cr_expect_not(slack_channel.verify(&open, &in, NULL));
}

/* Slack probes with an unsigned form: it is answered, and nothing in it is ever done. */
Test(slack_verify, lets_an_ssl_check_in_and_does_nothing_with_it)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    static const struct {
        const char *type, *body;
        bool in;
    } cases[] = {
        {"application/x-www-form-urlencoded", "ssl_check=1&token=x", true},
        {"application/x-www-form-urlencoded", "token=x&ssl_check=1", true},
        {"application/x-www-form-urlencoded", "ssl_check=true", false},
        {"application/x-www-form-urlencoded", "ssl_check=0", false},
        {"application/x-www-form-urlencoded", "ssl_check=", false},
        {"application/json", "ssl_check=1", false},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct http_header header = {"content-type", cases[i].type};
        struct webhook in = {.path = "/slack/commands",
                             .headers = &header,
                             .n_headers = 1,
                             .body = span_of(cases[i].body)};
        cr_expect_eq(slack_channel.verify(&SETTINGS, &in, NULL), cases[i].in, "%s", cases[i].body);
    }
    static const char *const paths[] = {"/slack/interactions", "/slack/commands", "/slack/events"};
    for (size_t i = 0; i < COUNT(paths); i++) {
        struct http_header header = {"content-type", "application/x-www-form-urlencoded"};
        struct webhook in = {
            .path = paths[i],
            .headers = &header,
            .n_headers = 1,
            .body = span_of("ssl_check=1&user_id=U1&channel_id=C1&command=/x&trigger_id=1&"
                            "payload=%7B%22type%22%3A%22block_actions%22%7D")};
        struct arrival got = {0};
        cr_assert(slack_channel.receive(&SETTINGS, &a, &in, &got, NULL));
        cr_expect_eq(got.kind, ARRIVAL_IGNORED);
        cr_expect_str_eq(got.ignored_why, "ssl_check");
        cr_expect_null(got.body);
    }
}

/* ---- receive: events --------------------------------------------------------------------- */

static bool receive(struct arena *a, const char *path, const char *type, struct span body,
                    struct arrival *out, struct err *err)
{
    struct http_header header = {"content-type", type};
    struct webhook in = {
        .method = "POST", .path = path, .headers = &header, .n_headers = 1, .body = body};
    *out = (struct arrival){0};
    return slack_channel.receive(&SETTINGS, a, &in, out, err);
}

static struct arrival event_of(struct arena *a, const char *json)
{
    struct arrival got;
    struct err err = ERR_INIT;
    cr_assert(receive(a, "/slack/events", "application/json", span_of(json), &got, &err), "%s: %s",
              json, err.text);
    return got;
}

/* What each recorded event becomes. */
static const struct {
    const char *file, *ignored; /* ignored NULL: a message */
    const char *sender, *when, *to, *in_thread, *text, *keys[2];
    bool known_threads_only;
} EVENTS[] = {
    {"event--app_mention--rich_text.json",
     NULL,
     "slack:U234",
     "mention",
     "C123",
     "1583636399.000700",
     "test",
     {"event:EvV1KV8BM3", "message:C123:1583636399.000700"},
     false},
    {"event--app_mention--org_install.json",
     NULL,
     "slack:W222",
     "mention",
     "C111",
     "1595926230.009600",
     "Hi there!",
     {"event:Ev111", "message:C111:1595926230.009600"},
     false},
    {"event--message_im--thread_reply.json",
     NULL,
     "slack:W222",
     "direct_message",
     "D111",
     "1726133698.626339",
     "When Slack was released?",
     {"event:Ev111", "message:D111:1726133700.887259"},
     false},
    {"event--message_file_share.json",
     NULL,
     "slack:U111",
     "message",
     "C111",
     "1652227646.593159",
     "Hi there!",
     {NULL},
     true},
    {"event--message_channel--user.json",
     NULL,
     "slack:W111",
     "message",
     "C111",
     "1610261659.001400",
     "Hi there! Thanks for sharing the info!",
     {NULL},
     true},
    {.file = "event--message--modern_bot_no_subtype.json", .ignored = "bot"},
    {.file = "event--message--classic_bot_message.json", .ignored = "bot"},
    {.file = "event--message_changed.json", .ignored = "bot"},
    {.file = "event--app_uninstalled--org.json", .ignored = "unknown_event"},
    {.file = "event--tokens_revoked.json", .ignored = "unknown_event"},
};

Test(slack_events, become_messages_or_nothing)
{
    for (size_t i = 0; i < COUNT(EVENTS); i++) {
        CLEANUP(arena_done) struct arena a = ARENA_INIT;
        const char *file = EVENTS[i].file;
        struct arrival got;
        struct err err = ERR_INIT;
        cr_assert(receive(&a, "/slack/events", "application/json",
                          golden_bytes(&a, arena_printf(&a, "slack/%s", file)), &got, &err),
                  "%s: %s", file, err.text);
        if (EVENTS[i].ignored != NULL) {
            cr_expect_eq(got.kind, ARRIVAL_IGNORED, "%s", file);
            cr_expect(text_eq(got.ignored_why, EVENTS[i].ignored), "%s: %s", file, got.ignored_why);
            continue;
        }
        cr_assert_eq(got.kind, ARRIVAL_MESSAGE, "%s: %s", file, got.ignored_why);
        cr_expect_str_eq(got.type, "slack_message");
        cr_expect_str_eq(got.sender, EVENTS[i].sender);
        cr_expect_str_eq(got.when, EVENTS[i].when);
        cr_expect_str_eq(got.to, EVENTS[i].to);
        cr_expect_str_eq(got.in_thread, EVENTS[i].in_thread);
        cr_expect_str_eq(json_text_at(got.data, "text"), EVENTS[i].text);
        cr_expect_eq(got.known_threads_only, EVENTS[i].known_threads_only, "%s", file);
        for (size_t k = 0; k < 2 && EVENTS[i].keys[k] != NULL; k++)
            cr_expect_str_eq(got.keys[k], EVENTS[i].keys[k]);
        if (strcmp(file, "event--message_file_share.json") == 0)
            cr_expect_str_eq(json_text_at(got.data, "files.0"), "file.png");
    }
}

Test(slack_events, answer_the_challenge)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    struct arrival got;
    cr_assert(receive(&a, "/slack/events", "application/json",
                      golden_bytes(&a, "slack/event--url_verification.json"), &got, NULL));
    cr_expect_eq(got.kind, ARRIVAL_IGNORED);
    cr_expect_str_eq(got.content_type, "application/json");
    cr_expect(text_starts(got.body, "{\"challenge\":\""), "%s", got.body);
}

/* The same post under two event ids and two types shares its second key. */
Test(slack_events, of_one_post_share_a_key_whatever_their_ids)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
#define POST(id, type, rest)                                                                 \
    "{\"type\":\"event_callback\",\"event_id\":\"" id "\",\"authorizations\":[{\"user_id\":" \
    "\"UBOT\"}],\"event\":{\"type\":\"" type "\",\"user\":\"U1\",\"channel\":\"C1\",\"ts\":" \
    "\"1.2\",\"text\":\"<@UBOT> hi\"" rest "}}"
    struct arrival one = event_of(&a, POST("Ev1", "app_mention", ""));
    struct arrival two = event_of(&a, POST("Ev2", "message", ",\"channel_type\":\"channel\""));
    cr_expect_str_neq(one.keys[0], two.keys[0]);
    cr_expect_str_eq(one.keys[1], two.keys[1]);
    cr_expect_null(one.keys[2]);
}

Test(slack_events, of_ourselves_and_other_machines_are_ignored)
{
    static const struct {
        const char *name, *rest, *ignored; /* NULL: it is a person's */
    } cases[] = {
        {"a person", "\"user\":\"U1\"", NULL},
        {"a shared file", "\"user\":\"U1\",\"subtype\":\"file_share\"", NULL},
        {"shown in the channel too", "\"user\":\"U1\",\"subtype\":\"thread_broadcast\"", NULL},
        {"/me", "\"user\":\"U1\",\"subtype\":\"me_message\"", NULL},
        {"ourselves", "\"user\":\"UBOT\"", "bot"},
        {"ourselves with a bot id", "\"user\":\"UBOT\",\"bot_id\":\"B1\"", "bot"},
        {"another bot with a user", "\"user\":\"U9\",\"bot_id\":\"B1\"", "bot"},
        {"a bot with a profile", "\"user\":\"U9\",\"bot_profile\":{}", "bot"},
        {"Slackbot", "\"user\":\"USLACKBOT\"", "bot"},
        {"nobody", "\"subtype\":\"bot_message\"", "bot"},
        {"an edit", "\"user\":\"U1\",\"subtype\":\"message_changed\"", "subtype"},
        {"a deletion", "\"user\":\"U1\",\"subtype\":\"message_deleted\"", "subtype"},
        {"somebody joins", "\"user\":\"U1\",\"subtype\":\"channel_join\"", "subtype"},
        {"hidden", "\"user\":\"U1\",\"hidden\":true", "hidden"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        CLEANUP(arena_done) struct arena a = ARENA_INIT;
        struct arrival got = event_of(
            &a, arena_printf(&a,
                             "{\"type\":\"event_callback\",\"event_id\":\"E\",\"event\":{\"type\":"
                             "\"message\",\"channel\":\"C1\",\"ts\":\"1.2\",\"text\":\"x\",%s}}",
                             cases[i].rest));
        cr_expect(text_eq(got.ignored_why, cases[i].ignored), "%s: %s", cases[i].name,
                  got.ignored_why);
    }
}

Test(slack_events, lose_the_mention_of_us_and_keep_all_others)
{
    static const struct {
        const char *text, *words;
    } cases[] = {
        {"<@UBOT> deploy", "deploy"},
        {"<@UBOT>: deploy", "deploy"},
        {" <@UBOT|signoff>, deploy", "deploy"},
        {"<@U2> says hi", "@U2 says hi"},
        {"ask <@UBOT> to deploy", "ask @UBOT to deploy"},
        {"<@UBOT> tell <@U2|bob> &lt;b&gt; &amp;amp;", "tell @bob <b> &amp;"},
        {"<@UBOT> see <https://x.test/a|the page> and <https://y.test>",
         "see the page (https://x.test/a) and https://y.test"},
        {"<@UBOT> in <#C2|ops>, <!here> <!subteam^S1|@team>", "in #ops, @here @@team"},
        {"<@UBOT>", ""},
        {"<@UBOT> a < b", "a < b"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        CLEANUP(arena_done) struct arena a = ARENA_INIT;
        struct arrival got = event_of(
            &a, arena_printf(&a,
                             "{\"type\":\"event_callback\",\"event_id\":\"E\",\"authorizations\":[{"
                             "\"user_id\":\"UBOT\"}],\"event\":{\"type\":\"app_mention\",\"user\":"
                             "\"U1\",\"channel\":\"C1\",\"ts\":\"1.2\",\"text\":\"%s\"}}",
                             cases[i].text));
        cr_expect_str_eq(json_text_at(got.data, "text"), cases[i].words, "%s: %s", cases[i].text,
                         json_text_at(got.data, "text"));
    }
}

Test(slack_events, that_are_malformed_are_refused_with_a_sentence)
{
    static const char *const bad[] = {
        "",
        "{",
        "[1",
        "\xff{}",
        "{\"a\":1,\"a\":2}",
        "{\"type\":\"event_callback\",\"event\":{\"type\":\"message\",\"user\":\"U1\"}}",
        ("{\"type\":\"event_callback\",\"event_id\":\"E\",\"event\":{\"type\":\"message\","
         "\"user\":\"U1\",\"channel\":1,\"ts\":2}}"),
    };
    for (size_t i = 0; i < COUNT(bad); i++) {
        CLEANUP(arena_done) struct arena a = ARENA_INIT;
        struct err err = ERR_INIT;
        struct arrival got;
        cr_expect_not(receive(&a, "/slack/events", "application/json", span_of(bad[i]), &got, &err),
                      "%s", bad[i]);
        cr_expect_neq(err.text[0], '\0');
    }
}

/* ---- receive: clicks, forms, commands ---------------------------------------------------- */

static struct arrival interaction(struct arena *a, const char *json)
{
    struct arrival got;
    struct err err = ERR_INIT;
    char *form = arena_printf(a, "payload=%s", url_encode(a, json));
    cr_assert(receive(a, "/slack/interactions", "application/x-www-form-urlencoded", span_of(form),
                      &got, &err),
              "%s: %s", json, err.text);
    return got;
}

#define CLICK(action)                                                                             \
    "{\"type\":\"block_actions\",\"user\":{\"id\":\"U1\"},\"trigger_id\":\"t.1\",\"container\":{" \
    "\"message_ts\":\"5.6\",\"channel_id\":\"C1\",\"thread_ts\":\"1.2\"},\"actions\":[" action    \
    "]}"

Test(slack_clicks, become_decisions_or_ask_for_a_form)
{
    static const struct {
        const char *action;
        enum arrival_kind kind;
        const char *request, *decision, *answer;
    } cases[] = {
        {"{\"action_id\":\"signoff_approve\",\"value\":\"r_1\"}", ARRIVAL_DECISION, "r_1",
         "approve", NULL},
        {"{\"action_id\":\"signoff_reject\",\"value\":\"r_1\"}", ARRIVAL_ASK_FORM, "r_1", "reject",
         NULL},
        {"{\"action_id\":\"signoff_reply\",\"value\":\"r_1\"}", ARRIVAL_ASK_FORM, "r_1", "answer",
         NULL},
        {"{\"action_id\":\"signoff_choose\",\"value\":\"r_1\"}", ARRIVAL_ASK_FORM, "r_1", "answer",
         NULL},
        {"{\"action_id\":\"signoff_edit\",\"value\":\"r_1\"}", ARRIVAL_ASK_FORM, "r_1", "edit",
         NULL},
        {"{\"action_id\":\"signoff_answer_3\",\"value\":\"r_1:3\"}", ARRIVAL_DECISION, "r_1",
         "answer", "choice:3"},
        {"{\"action_id\":\"signoff_answer\",\"selected_option\":{\"value\":\"r_1:40\"}}",
         ARRIVAL_DECISION, "r_1", "answer", "choice:40"},
        {"{\"action_id\":\"other\",\"value\":\"x\"},{\"action_id\":\"signoff_approve\",\"value\":"
         "\"r_2\"}",
         ARRIVAL_DECISION, "r_2", "approve", NULL},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        CLEANUP(arena_done) struct arena a = ARENA_INIT;
        struct arrival got = interaction(&a, arena_printf(&a, CLICK("%s"), cases[i].action));
        cr_expect_eq(got.kind, cases[i].kind, "%s", cases[i].action);
        cr_expect_str_eq(got.request, cases[i].request);
        cr_expect(text_eq(got.decision, cases[i].decision));
        cr_expect(text_eq(got.answer, cases[i].answer));
        cr_expect_str_eq(got.sender, "slack:U1");
        cr_expect_str_eq(got.trigger, "t.1");
        cr_expect_str_eq(got.keys[0], "trigger:t.1");
        cr_expect_str_eq(got.shown_at, "C1:5.6");
        cr_expect_str_eq(got.to, "C1");
        cr_expect_str_eq(got.in_thread, "1.2");
        cr_expect_null(got.body);
    }
}

Test(slack_clicks, on_what_is_not_ours_are_ignored)
{
    static const char *const files[] = {"block_actions--button_in_message.json",
                                        "block_actions--button_ephemeral_enterprise.json",
                                        "view_submission--private_metadata.json",
                                        "view_submission--slack_connect.json", "view_closed.json"};
    for (size_t i = 0; i < COUNT(files); i++) {
        CLEANUP(arena_done) struct arena a = ARENA_INIT;
        struct json *payload = golden_json(&a, arena_printf(&a, "slack/%s", files[i]));
        struct arrival got = interaction(&a, json_write(&a, payload));
        cr_expect_eq(got.kind, ARRIVAL_IGNORED, "%s", files[i]);
        cr_expect_null(got.body, "%s: the answer is empty", files[i]);
    }
}

Test(slack_clicks, without_a_message_take_their_place_from_the_container)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    struct json *payload = golden_json(&a, "slack/block_actions--button_ephemeral_enterprise.json");
    struct json *action = json_object(&a), *actions = json_array(&a);
    json_set_text(&a, action, "action_id", "signoff_approve");
    json_set_text(&a, action, "value", "r_1");
    json_push(&a, actions, action);
    json_set(&a, payload, "actions", actions);
    struct arrival got = interaction(&a, json_write(&a, payload));
    cr_expect_eq(got.kind, ARRIVAL_DECISION);
    cr_expect_str_eq(got.to, "C111");
    cr_expect_str_eq(got.in_thread, "111.222");
    cr_expect_str_eq(got.shown_at, "C111:111.222");
    cr_expect_str_eq(got.sender, "slack:W111");
}

Test(slack_clicks, without_a_trigger_have_a_key_of_place_user_and_time)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    struct arrival got = interaction(
        &a, "{\"type\":\"block_actions\",\"user\":{\"id\":\"U1\"},\"container\":{\"message_ts\":"
            "\"5.6\",\"channel_id\":\"C1\"},\"actions\":[{\"action_id\":\"signoff_approve\","
            "\"value\":\"r_1\",\"action_ts\":\"7.8\"}]}");
    cr_expect_str_eq(got.keys[0], "click:C1:5.6:U1:7.8");
}

#define SUBMIT(callback, words)                                                                \
    "{\"type\":\"view_submission\",\"user\":{\"id\":\"U1\"},\"trigger_id\":\"t.2\",\"view\":{" \
    "\"callback_id\":\"" callback "\",\"private_metadata\":\"{\\\"request\\\":\\\"r_1\\\","    \
    "\\\"to\\\":\\\"C1\\\",\\\"in_thread\\\":\\\"1.2\\\",\\\"shown_at\\\":\\\"C1:5.6\\\"}\","  \
    "\"state\":{\"values\":{\"reason\":{\"text\":{\"value\":" words "}}}}}}"

Test(slack_forms, become_decisions_with_their_words)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    struct arrival got = interaction(&a, SUBMIT("signoff_reject", "\"backend first?\""));
    cr_expect_eq(got.kind, ARRIVAL_DECISION);
    cr_expect_str_eq(got.decision, "reject");
    cr_expect_str_eq(got.comment, "backend first?");
    cr_expect_null(got.answer);
    cr_expect_str_eq(got.request, "r_1");
    cr_expect_str_eq(got.to, "C1");
    cr_expect_str_eq(got.in_thread, "1.2");
    cr_expect_str_eq(got.shown_at, "C1:5.6");
    cr_expect_str_eq(got.keys[0], "submit:U1:t.2");
    cr_expect_null(got.body, "an empty answer closes the form");
    got = interaction(&a, SUBMIT("signoff_reply", "\"v2\""));
    cr_expect_str_eq(got.decision, "answer");
    cr_expect_str_eq(got.answer, "v2");
}

Test(slack_forms, without_words_stay_open_and_say_why)
{
    static const char *const words[] = {"null", "\"\"", "\" \\n\\t \""};
    for (size_t i = 0; i < COUNT(words); i++) {
        CLEANUP(arena_done) struct arena a = ARENA_INIT;
        struct arrival got =
            interaction(&a, arena_printf(&a, SUBMIT("signoff_reject", "%s"), words[i]));
        cr_expect_eq(got.kind, ARRIVAL_IGNORED);
        cr_expect_str_eq(got.body,
                         "{\"response_action\":\"errors\",\"errors\":{\"reason\":\"Please "
                         "write some words.\"}}");
        cr_expect_str_eq(got.content_type, "application/json");
    }
}

Test(slack_commands, read_as_a_mention_would_and_are_answered_at_once)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    struct arrival got;
    cr_assert(receive(&a, "/slack/ops/commands", "application/x-www-form-urlencoded",
                      golden_bytes(&a, "slack/slash_command_form--enterprise.txt"), &got, NULL));
    cr_expect_eq(got.kind, ARRIVAL_COMMAND);
    cr_expect_str_eq(got.when, "command");
    cr_expect_str_eq(json_text_at(got.data, "command"), "/hello-world");
    cr_expect_str_eq(json_text_at(got.data, "text"), "hello-world Hi");
    cr_expect_str_eq(got.sender, "slack:W111");
    cr_expect_str_eq(got.to, "C111");
    cr_expect_null(got.in_thread);
    cr_expect_str_eq(got.keys[0], "trigger:111.111.xxx");
    cr_expect_not(receive(&a, "/slack/commands", "application/x-www-form-urlencoded",
                          span_of("user_id=U1&command=/x"), &got, NULL));
}

/* ---- render ------------------------------------------------------------------------------ */

static char *repeated(struct arena *a, const char *unit, size_t times)
{
    size_t len = strlen(unit);
    char *text = arena_alloc(a, len * times + 1);
    for (size_t i = 0; i < times; i++)
        memcpy(text + i * len, unit, len);
    return text;
}

static size_t length_at(const struct json *j, const char *path)
{
    const char *text = json_text_at(j, path);
    return text == NULL ? 0 : utf8_length(text);
}

/* Block Kit's limits, as Slack's reference gives them. */
static void check_text(const struct json *t, size_t max)
{
    size_t len = length_at(t, "text");
    cr_expect(len >= 1 && len <= max, "%zu characters of %zu", len, max);
    if (text_eq(json_text_at(t, "type"), "mrkdwn"))
        cr_expect(json_is_true(json_get(t, "verbatim")), "mrkdwn without verbatim");
    cr_expect(utf8_valid(span_of(json_text_at(t, "text"))));
}

static void check_element(const struct json *e)
{
    if (text_eq(json_text_at(e, "type"), "button")) {
        check_text(json_get(e, "text"), 75);
        cr_expect_leq(length_at(e, "value"), 2000u);
        cr_expect_leq(length_at(e, "accessibility_label"), 75u);
    } else if (text_eq(json_text_at(e, "type"), "static_select")) {
        size_t n = json_count(json_get(e, "options"));
        cr_expect(n >= 1 && n <= 100);
        JSON_EACH(option, json_get(e, "options"))
        {
            check_text(json_get(option, "text"), 75);
            cr_expect_leq(length_at(option, "value"), 75u);
        }
    }
    cr_expect_leq(length_at(e, "action_id"), 255u);
}

static void check_blocks(const struct json *blocks)
{
    cr_expect_leq(json_count(blocks), 50u);
    JSON_EACH(block, blocks)
    {
        const char *type = json_text_at(block, "type");
        cr_expect_leq(length_at(block, "block_id"), 255u);
        if (strcmp(type, "header") == 0)
            check_text(json_get(block, "text"), 150);
        else if (strcmp(type, "section") == 0)
            check_text(json_get(block, "text"), 3000);
        else if (strcmp(type, "context") == 0)
            JSON_EACH(e, json_get(block, "elements")) check_text(e, 3000);
        else if (strcmp(type, "actions") == 0) {
            cr_expect_leq(json_count(json_get(block, "elements")), 25u);
            JSON_EACH(e, json_get(block, "elements"))
            check_element(e);
        } else
            cr_expect(false, "a block of type %s", type);
    }
}

static struct json *rendered(struct arena *a, const struct message *msg, struct wire *wire)
{
    struct json *body = NULL;
    struct err err = ERR_INIT;
    cr_assert(slack_channel.render(&SETTINGS, a, msg, wire, &err), "%s", err.text);
    cr_assert(json_parse(a, wire->body, 0, &body, &err), "%s", err.text);
    check_blocks(json_get(body, "blocks"));
    size_t len = length_at(body, "text");
    cr_expect(len >= 1 && len <= 4000, "the text has %zu characters", len);
    return body;
}

#define APPROVAL                                                                               \
    "\"id\":\"r_1\",\"code\":\"4821\",\"kind\":\"approval\",\"agent\":\"deploybot\",\"tool\":" \
    "\"deploy_backend\",\"target\":{\"environment\":\"production\",\"component\":\"backend\"," \
    "\"ref\":\"sha\"},\"may_decide\":\"Alice\",\"expires_at\":\"2026-03-15T10:00:00.000Z\""

static struct message card(struct arena *a, const char *request)
{
    return (struct message){.kind = MESSAGE_REQUEST,
                            .id = "d_1",
                            .to = "C1",
                            .in_thread = "1.2",
                            .text = "",
                            .request = json_parse_own(a, request),
                            .public_url = "https://signoff.test"};
}

static bool has_actions(const struct json *body)
{
    JSON_EACH(block, json_get(body, "blocks"))
    {
        if (text_eq(json_text_at(block, "type"), "actions"))
            return true;
    }
    return false;
}

Test(slack_render, posts_a_card_with_its_facts_and_our_id)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    struct wire wire = {0};
    struct message msg = card(
        &a, "{" APPROVAL ",\"status\":\"open\",\"arguments\":{\"sha\":"
            "\"4af9ec0000000000000000000000000000000001\"},\"facts\":{\"named\":true,\"place\":{"
            "\"environment\":\"production\",\"component\":\"backend\",\"current\":"
            "\"1111111000000000000000000000000000000002\"},\"compare\":{\"status\":\"behind\","
            "\"behind_by\":3,\"commits\":[{\"sha\":\"2222222aaaa\",\"subject\":\"Fix <b>\","
            "\"author\":\"dex\"}]}}}");
    struct json *body = rendered(&a, &msg, &wire);
    char *all = json_write(&a, body);
    cr_expect_str_eq(wire.url, "https://slack.com/api/chat.postMessage");
    cr_expect_str_eq(wire.headers[0].value, "Bearer xoxb-1");
    cr_expect_str_eq(wire.headers[1].value, "application/json; charset=utf-8");
    cr_expect_not(wire.repeatable);
    cr_expect_str_eq(json_text_at(body, "channel"), "C1");
    cr_expect_str_eq(json_text_at(body, "thread_ts"), "1.2");
    cr_expect_str_eq(json_text_at(body, "metadata.event_payload.id"), "d_1");
    static const char *const shown[] = {
        "deploy_backend",
        "4af9ec0000000000000000000000000000000001",
        "`1111111` → `4af9ec0`",
        "*This is a DOWNGRADE*: it takes back 3 commits",
        "Fix &lt;b&gt;",
        "May decide: Alice",
        "https://signoff.test/requests/r_1",
        "Request 4821",
    };
    for (size_t i = 0; i < COUNT(shown); i++)
        cr_expect_neq(strstr(all, shown[i]), NULL, "%s is missing in %s", shown[i], all);
    cr_expect_eq(strstr(all, "Nothing in this thread names"), NULL);
    cr_expect(has_actions(body));
}

Test(slack_render, marks_a_commit_that_nobody_named)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    struct wire wire = {0};
    struct message msg =
        card(&a, "{" APPROVAL ",\"status\":\"open\",\"arguments\":{\"sha\":\"4af9ec0\"},"
                 "\"facts\":{\"named\":false,\"place\":{}}}");
    cr_expect_neq(strstr(json_write(&a, rendered(&a, &msg, &wire)),
                         "*Nothing in this thread names this commit*"),
                  NULL);
}

Test(slack_render, marks_a_card_that_may_be_a_repeat)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    struct wire wire;
    struct message msg = card(&a, "{" APPROVAL ",\"status\":\"open\"}");
    cr_expect_null(strstr(json_write(&a, rendered(&a, &msg, &wire)), "may be a repeat"));
    msg.repeat = true;
    cr_expect_not_null(strstr(json_write(&a, rendered(&a, &msg, &wire)), "may be a repeat"));
}

Test(slack_render, takes_the_buttons_from_what_is_decided_and_says_how)
{
    static const struct {
        const char *rest, *shown;
    } cases[] = {
        {"\"status\":\"approved\",\"by\":\"Alice\",\"decided_at\":\"2026-03-15T10:00:00.000Z\"",
         "*Approved* by Alice"},
        {"\"status\":\"rejected\",\"by\":\"Bob\",\"comment\":\"backend first?\"",
         "> backend first?"},
        {"\"status\":\"expired\"", "*Expired*"},
        {"\"status\":\"cancelled\",\"by\":\"deploybot\",\"comment\":\"deploybot now proposes x\"",
         "deploybot now proposes x"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        CLEANUP(arena_done) struct arena a = ARENA_INIT;
        struct wire wire = {0};
        struct message msg = card(&a, arena_printf(&a, "{" APPROVAL ",%s}", cases[i].rest));
        msg.replaces = "C9:5.6";
        struct json *body = rendered(&a, &msg, &wire);
        char *all = json_write(&a, body);
        cr_expect_not(has_actions(body), "%s", cases[i].rest);
        cr_expect_neq(strstr(all, cases[i].shown), NULL, "%s", all);
        cr_expect_eq(strstr(all, "Sign off"), NULL, "%s", all);
        cr_expect_str_eq(wire.url, "https://slack.com/api/chat.update");
        cr_expect_str_eq(json_text_at(body, "channel"), "C9");
        cr_expect_str_eq(json_text_at(body, "ts"), "5.6");
        cr_expect(wire.repeatable, "an edit may be made twice");
    }
}

Test(slack_render, offers_choices_as_buttons_as_a_list_above_five_as_a_search_above_a_hundred)
{
    static const struct {
        size_t choices;
        const char *type;
        size_t shown;
    } cases[] = {{2, "button", 2},        {5, "button", 5},
                 {6, "static_select", 6}, {100, "static_select", 100},
                 {101, "button", 1},      {200, "button", 1}};
    for (size_t i = 0; i < COUNT(cases); i++) {
        CLEANUP(arena_done) struct arena a = ARENA_INIT;
        struct wire wire = {0};
        struct strbuf list;
        strbuf_init(&list, &a, 1 << 20);
        for (size_t k = 0; k < cases[i].choices; k++)
            strbuf_addf(&list, "%s\"choice %zu %s\"", k == 0 ? "" : ",", k, repeated(&a, "🚀", 150));
        struct message msg =
            card(&a, arena_printf(&a,
                                  "{\"id\":\"r_1\",\"kind\":\"question\",\"status\":\"open\","
                                  "\"question\":\"q\",\"options\":{\"format\":\"multiple_choice\","
                                  "\"choices\":[%s]}}",
                                  list.text));
        struct json *body = rendered(&a, &msg, &wire);
        const struct json *elements = NULL;
        JSON_EACH(block, json_get(body, "blocks"))
        {
            if (text_eq(json_text_at(block, "type"), "actions"))
                elements = json_get(block, "elements");
        }
        cr_expect_str_eq(json_text_at(elements, "0.type"), cases[i].type);
        cr_expect_eq(strcmp(cases[i].type, "button") == 0
                         ? json_count(elements)
                         : json_count(json_at(elements, "0.options")),
                     cases[i].shown);
    }
}

/* Where Slack reads markup, no foreign text may name anybody. (plain_text knows no markup.) */
static void check_pings(const struct json *j)
{
    bool is_markup = text_eq(json_text_at(j, "type"), "mrkdwn") || json_get(j, "channel") != NULL;
    const char *text = json_text_at(j, "text");
    if (is_markup && text != NULL) {
        cr_expect_eq(strstr(text, "<!channel"), NULL, "%s", text);
        cr_expect_eq(strstr(text, "<@"), NULL, "%s", text);
    }
    JSON_EACH(child, j)
    {
        check_pings(child);
    }
}

static const char *const HOSTILE[] = {
    "<!channel> <@U1> &lt;",
    "`code` ```fence```",
    "*bold* _it_ ~no~",
    "a\u202eb\u2066c\u200bd",
    "\x1b[31mred\x07",
    "🚀👩‍👩‍👧",
    "</script>",
    "line\nline\r\nline",
    "&&&&&&&&&&&&&&&&&&&&&&",
    "￼\ufeff",
};

Test(slack_render, stays_within_every_limit_and_pings_nobody_whatever_it_is_given)
{
    for (size_t i = 0; i < COUNT(HOSTILE); i++) {
        CLEANUP(arena_done) struct arena a = ARENA_INIT;
        struct wire wire = {0};
        char *text = json_escape(&a, repeated(&a, HOSTILE[i], 10000 / strlen(HOSTILE[i]) + 1));
        struct strbuf arguments;
        strbuf_init(&arguments, &a, 1 << 24);
        for (size_t k = 0; k < 30; k++)
            strbuf_addf(&arguments, "%s\"a%zu\":\"%s\"", k == 0 ? "" : ",", k, text);
        for (size_t k = 0; k < 4; k++) {
            const char *status = k < 2 ? "open" : "rejected";
            char *json =
                k % 2 == 0
                    ? arena_printf(
                          &a,
                          "{\"id\":\"r_1\",\"kind\":\"approval\",\"status\":\"%s\",\"agent\":"
                          "\"%s\",\"tool\":\"%s\",\"arguments\":{%s},\"may_decide\":\"%s\","
                          "\"by\":\"%s\",\"comment\":\"%s\",\"facts\":{\"place\":{"
                          "\"environment\":\"%s\"},\"compare\":{\"commits\":[{\"sha\":\"%s\","
                          "\"subject\":\"%s\",\"author\":\"%s\"}]}}}",
                          status, text, text, arguments.text, text, text, text, text, text, text,
                          text)
                    : arena_printf(
                          &a,
                          "{\"id\":\"r_1\",\"kind\":\"question\",\"status\":\"%s\",\"agent\":"
                          "\"%s\",\"question\":\"%s\",\"context\":\"%s\",\"answer\":\"%s\","
                          "\"comment\":\"%s\",\"requester_name\":\"%s\",\"options\":{\"format\":"
                          "\"yes_no\"}}",
                          status, text, text, text, text, text, text);
            struct message msg = card(&a, json);
            struct json *body = rendered(&a, &msg, &wire);
            cr_expect_eq(strstr(json_write(&a, body), "\u202e"), NULL,
                         "text that runs backwards is shown as such");
            check_pings(body);
        }
        struct message words = {.kind = MESSAGE_TEXT,
                                .id = "d_1",
                                .to = "C1",
                                .text = repeated(&a, HOSTILE[i], 60000 / strlen(HOSTILE[i])),
                                .public_url = "https://signoff.test"};
        char *all = json_write(&a, rendered(&a, &words, &wire));
        cr_expect_neq(strstr(all, "the rest is on the page"), NULL, "%s", HOSTILE[i]);
    }
}

/* printf of a format that is not a literal is wanted above: the two requests take the same texts.
 */

Test(slack_code, stays_one_line_in_its_span)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    static const struct {
        const char *text, *shown;
        size_t max;
    } cases[] = {
        {"main", "main", 10}, {"a`b", "a'b", 10},    {"<x>&", "&lt;x&gt;&amp;", 20},
        {"", " ", 10},        {"abcdef", "abc…", 3}, {"a\nb", "a\\u000ab", 20},
        {"&&&", "&amp;…", 7},
    };
    for (size_t i = 0; i < COUNT(cases); i++)
        cr_expect_str_eq(slack_code(&a, cases[i].text, cases[i].max), cases[i].shown, "%s: %s",
                         cases[i].text, slack_code(&a, cases[i].text, cases[i].max));
}

Test(slack_render, refuses_to_edit_what_has_no_address)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    struct err err = ERR_INIT;
    struct wire wire = {0};
    struct message msg = {.kind = MESSAGE_TEXT, .text = "x", .replaces = "nowhere"};
    cr_expect_not(slack_channel.render(&SETTINGS, &a, &msg, &wire, &err));
}

/* ---- settle ------------------------------------------------------------------------------ */

static const struct {
    const char *name;
    struct wire_reply reply;
    enum delivery_outcome post, edit;
    int64_t wait_ms;
} REPLIES[] = {
    {"sent",
     {WIRE_ANSWERED, 200, .body = {"{\"ok\":true,\"channel\":\"C9\",\"ts\":\"5.6\"}", 37}},
     DELIVERY_SENT,
     DELIVERY_SENT,
     0},
    {"ok without an address",
     {WIRE_ANSWERED, 200, .body = {"{\"ok\":true}", 11}},
     DELIVERY_UNKNOWN,
     DELIVERY_SENT,
     0},
    {"never left", {.fate = WIRE_NOT_SENT, .error = "no route"}, DELIVERY_RETRY, DELIVERY_RETRY, 0},
    {"may have arrived",
     {.fate = WIRE_UNKNOWN, .error = "reset"},
     DELIVERY_UNKNOWN,
     DELIVERY_RETRY,
     0},
    {"slow down",
     {WIRE_ANSWERED, 429, .retry_after_ms = 7000},
     DELIVERY_RETRY,
     DELIVERY_RETRY,
     7000},
    {"slow down, not how long",
     {WIRE_ANSWERED, 429, .body = {"", 0}},
     DELIVERY_RETRY,
     DELIVERY_RETRY,
     30000},
    {"slow down, in the body",
     {WIRE_ANSWERED, 200, .body = {"{\"ok\":false,\"error\":\"ratelimited\"}", 34}},
     DELIVERY_RETRY,
     DELIVERY_RETRY,
     30000},
    {"broken after it was sent",
     {WIRE_ANSWERED, 502, .body = {"<html>", 6}},
     DELIVERY_UNKNOWN,
     DELIVERY_RETRY,
     0},
    {"no JSON", {WIRE_ANSWERED, 200, .body = {"<html>", 6}}, DELIVERY_UNKNOWN, DELIVERY_RETRY, 0},
    {"possibly happened",
     {WIRE_ANSWERED, 200, .body = {"{\"ok\":false,\"error\":\"fatal_error\"}", 34}},
     DELIVERY_UNKNOWN,
     DELIVERY_RETRY,
     0},
    {"not well",
     {WIRE_ANSWERED, 200, .body = {"{\"ok\":false,\"error\":\"internal_error\"}", 37}},
     DELIVERY_RETRY,
     DELIVERY_RETRY,
     0},
    {"not invited",
     {WIRE_ANSWERED, 200, .body = {"{\"ok\":false,\"error\":\"not_in_channel\"}", 37}},
     DELIVERY_REJECTED,
     DELIVERY_REJECTED,
     0},
    {"a token that is dead",
     {WIRE_ANSWERED, 200, .body = {"{\"ok\":false,\"error\":\"token_revoked\"}", 36}},
     DELIVERY_REJECTED,
     DELIVERY_REJECTED,
     0},
    {"anything else",
     {WIRE_ANSWERED, 200, .body = {"{\"ok\":false,\"error\":\"invalid_blocks\"}", 37}},
     DELIVERY_REJECTED,
     DELIVERY_REJECTED,
     0},
};

Test(slack_settle, says_of_every_answer_what_became_of_the_message)
{
    for (size_t i = 0; i < COUNT(REPLIES); i++) {
        CLEANUP(arena_done) struct arena a = ARENA_INIT;
        struct message post = {.kind = MESSAGE_TEXT, .id = "d_1", .to = "C1"}, edit = post;
        edit.replaces = "C1:5.6";
        struct wire_reply reply = REPLIES[i].reply;
        if (reply.body.at != NULL)
            reply.body.len = strlen(reply.body.at);
        struct receipt r = slack_channel.settle(&SETTINGS, &a, &post, &reply);
        cr_expect_eq(r.outcome, REPLIES[i].post, "%s", REPLIES[i].name);
        cr_expect_eq(r.retry_after_ms, REPLIES[i].wait_ms, "%s", REPLIES[i].name);
        if (r.outcome != DELIVERY_SENT)
            cr_expect_not_null(r.reason, "%s", REPLIES[i].name);
        r = slack_channel.settle(&SETTINGS, &a, &edit, &reply);
        cr_expect_eq(r.outcome, REPLIES[i].edit, "%s: the edit", REPLIES[i].name);
    }
}

Test(slack_settle, names_the_message_by_the_channel_that_slack_says)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    struct message post = {.kind = MESSAGE_TEXT, .id = "d_1", .to = "U1"};
    struct wire_reply reply = {.status = 200,
                               .body = golden_bytes(&a, "slack/api--chat.postMessage.ok.json")};
    struct receipt r = slack_channel.settle(&SETTINGS, &a, &post, &reply);
    cr_expect_eq(r.outcome, DELIVERY_SENT);
    cr_expect_str_eq(r.external_id, "C123ABC456:1503435956.000247");
    cr_expect_str_eq(r.in_thread, "1503435956.000247");
    post.in_thread = "1.2";
    cr_expect_str_eq(slack_channel.settle(&SETTINGS, &a, &post, &reply).in_thread, "1.2");
    reply.status = 429;
    reply.retry_after_ms = 1000;
    reply.body = golden_bytes(&a, "slack/api--error_ratelimited_429.json");
    cr_expect_eq(slack_channel.settle(&SETTINGS, &a, &post, &reply).outcome, DELIVERY_RETRY);
}

Test(slack_look_up, finds_our_message_by_its_id_or_says_that_it_is_not_there)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    struct message msg = {
        .kind = MESSAGE_TEXT, .id = "d_1", .to = "C 1", .sent_after_ms = 1700000000123};
    struct wire wire = {0};
    cr_assert(slack_channel.look_up(&SETTINGS, &a, &msg, &wire, NULL));
    cr_expect_str_eq(wire.url, "https://slack.com/api/conversations.history");
    cr_expect(span_eq(wire.body, "channel=C%201&oldest=1699999995.000000&include_all_metadata=true&"
                                 "limit=15"));
    msg.in_thread = "1.2";
    cr_assert(slack_channel.look_up(&SETTINGS, &a, &msg, &wire, NULL));
    cr_expect_str_eq(wire.url, "https://slack.com/api/conversations.replies");
    static const struct {
        const char *body;
        enum delivery_outcome outcome;
    } cases[] = {
        {"{\"ok\":true,\"messages\":[{\"ts\":\"9.9\"},{\"ts\":\"5.6\",\"metadata\":{"
         "\"event_payload\":{\"id\":\"d_1\"}}}]}",
         DELIVERY_SENT},
        {"{\"ok\":true,\"messages\":[{\"ts\":\"5.6\",\"metadata\":{\"event_payload\":{\"id\":"
         "\"d_2\"}}}]}",
         DELIVERY_RETRY},
        {"{\"ok\":true,\"messages\":[]}", DELIVERY_RETRY},
        {"{\"ok\":false,\"error\":\"missing_scope\"}", DELIVERY_REJECTED},
        {"{\"ok\":false,\"error\":\"internal_error\"}", DELIVERY_UNKNOWN},
        {"<html>", DELIVERY_UNKNOWN},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct wire_reply reply = {.status = 200, .body = span_of(cases[i].body)};
        struct receipt r = slack_channel.settle_look_up(&SETTINGS, &a, &msg, &reply);
        cr_expect_eq(r.outcome, cases[i].outcome, "%s", cases[i].body);
        if (r.outcome == DELIVERY_SENT)
            cr_expect_str_eq(r.external_id, "C 1:5.6");
    }
    struct wire_reply reply = {.status = 429, .retry_after_ms = 5000};
    struct receipt r = slack_channel.settle_look_up(&SETTINGS, &a, &msg, &reply);
    cr_expect_eq(r.outcome, DELIVERY_UNKNOWN);
    cr_expect_eq(r.retry_after_ms, 5000);
}

/* ---- live answers ------------------------------------------------------------------------ */

Test(slack_live, tells_one_user_or_opens_a_form_within_its_limits)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    struct wire wire = {0};
    struct json *body = NULL;
    struct live tell = {.kind = LIVE_TELL, .to = "C1", .user = "U1", .text = "no <b>"};
    cr_assert(slack_channel.live(&SETTINGS, &a, &tell, &wire, NULL));
    cr_expect_str_eq(wire.url, "https://slack.com/api/chat.postEphemeral");
    cr_expect(span_eq(wire.body, "{\"text\":\"no &lt;b&gt;\",\"channel\":\"C1\",\"user\":\"U1\"}"));
    tell.to = NULL; /* a click on the home tab */
    cr_assert(slack_channel.live(&SETTINGS, &a, &tell, &wire, NULL));
    cr_expect_str_eq(wire.url, "https://slack.com/api/chat.postMessage");
    cr_expect(span_eq(wire.body, "{\"text\":\"no &lt;b&gt;\",\"channel\":\"U1\"}"));
    tell.user = NULL;
    cr_expect_not(slack_channel.live(&SETTINGS, &a, &tell, &wire, NULL));

    struct live form = {.kind = LIVE_REJECT_FORM,
                        .trigger = "t.1",
                        .request_id = "r_1",
                        .to = "C1",
                        .in_thread = "1.2",
                        .shown_at = "C1:5.6",
                        .title = repeated(&a, "<!channel>", 1000)};
    cr_assert(slack_channel.live(&SETTINGS, &a, &form, &wire, NULL));
    cr_expect_str_eq(wire.url, "https://slack.com/api/views.open");
    cr_assert(json_parse(&a, wire.body, 0, &body, NULL));
    cr_expect_str_eq(json_text_at(body, "trigger_id"), "t.1");
    cr_expect_leq(length_at(body, "view.title.text"), 24u);
    cr_expect_leq(length_at(body, "view.submit.text"), 24u);
    cr_expect_leq(length_at(body, "view.private_metadata"), 3000u);
    check_text(json_at(body, "view.blocks.0.text"), 3000);
    cr_expect_str_eq(json_text_at(body, "view.blocks.1.block_id"), "reason");
    /* What the form keeps comes back with its submission. */
    struct arrival got = interaction(
        &a,
        arena_printf(&a,
                     "{\"type\":\"view_submission\",\"user\":{\"id\":\"U1\"},\"view\":{"
                     "\"callback_id\":\"%s\",\"private_metadata\":\"%s\",\"state\":{\"values\":{"
                     "\"reason\":{\"text\":{\"value\":\"why\"}}}}}}",
                     json_text_at(body, "view.callback_id"),
                     json_escape(&a, json_text_at(body, "view.private_metadata"))));
    cr_expect_str_eq(got.request, "r_1");
    cr_expect_str_eq(got.decision, "reject");
    form.trigger = NULL;
    cr_expect_not(slack_channel.live(&SETTINGS, &a, &form, &wire, NULL));
}

/* ---- edits, searches, shortcuts, the home tab --------------------------------------------- */

static struct json *opened_form(struct arena *a, const struct live *live)
{
    struct wire wire = {0};
    struct json *body = NULL;
    cr_assert(slack_channel.live(&SETTINGS, a, live, &wire, NULL));
    cr_assert(json_parse(a, wire.body, 0, &body, NULL));
    return body;
}

static struct live edit_form(struct arena *a, const char *fields)
{
    return (struct live){.kind = LIVE_EDIT_FORM,
                         .trigger = "t.1",
                         .request_id = "r_1",
                         .to = "C1",
                         .title = "deploy",
                         .fields = json_parse_own(a, fields)};
}

Test(slack_edit, offers_each_argument_as_it_is_now)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    struct live live =
        edit_form(&a, "[{\"name\":\"sha\",\"description\":\"full commit id\",\"value\":\"abc\","
                      "\"choices\":[],\"max_length\":40,\"optional\":false},"
                      "{\"name\":\"slow\",\"value\":\"false\",\"choices\":[\"true\",\"false\"],"
                      "\"max_length\":4000,\"optional\":true}]");
    struct json *body = opened_form(&a, &live);
    cr_expect_str_eq(json_text_at(body, "view.callback_id"), SLACK_EDIT);
    cr_expect_str_eq(json_text_at(body, "view.blocks.1.block_id"), "arg.sha");
    cr_expect_str_eq(json_text_at(body, "view.blocks.1.label.text"), "sha: full commit id");
    cr_expect_str_eq(json_text_at(body, "view.blocks.1.element.initial_value"), "abc");
    cr_expect_eq(json_int_or(json_at(body, "view.blocks.1.element.max_length"), 0), 40);
    cr_expect_null(json_at(body, "view.blocks.1.optional"));
    cr_expect_str_eq(json_text_at(body, "view.blocks.2.element.type"), "static_select");
    cr_expect_str_eq(json_text_at(body, "view.blocks.2.element.initial_option.value"), "false");
    cr_expect(json_is_true(json_at(body, "view.blocks.2.optional")));
}

/* What cannot be typed into an input is left out, in words, and never cut. */
Test(slack_edit, leaves_out_what_no_input_holds)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    static const struct {
        size_t length;
        bool offered;
    } cases[] = {{3000, true}, {3001, false}, {10000, false}};
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct live live =
            edit_form(&a, arena_printf(&a,
                                       "[{\"name\":\"text\",\"value\":\"%s\",\"choices\":[],"
                                       "\"max_length\":20000,\"optional\":false}]",
                                       repeated(&a, "x", cases[i].length)));
        struct json *body = opened_form(&a, &live);
        cr_expect_str_eq(json_text_at(body, "view.blocks.1.type"),
                         cases[i].offered ? "input" : "context", "%zu", cases[i].length);
        if (cases[i].offered)
            cr_expect_eq(length_at(body, "view.blocks.1.element.initial_value"), 3000u);
    }
}

Test(slack_edit, comes_back_as_a_decision_whose_answer_is_held)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    struct arrival got = interaction(
        &a,
        "{\"type\":\"view_submission\",\"user\":{\"id\":\"U1\"},\"trigger_id\":\"9.9\",\"view\":{"
        "\"callback_id\":\"signoff_edit\","
        "\"private_metadata\":\"{\\\"request\\\":\\\"r_1\\\",\\\"to\\\":\\\"C1\\\"}\","
        "\"state\":{\"values\":{"
        "\"arg.sha\":{\"text\":{\"type\":\"plain_text_input\",\"value\":\"v2\"}},"
        "\"arg.note\":{\"text\":{\"type\":\"plain_text_input\",\"value\":null}},"
        "\"arg.slow\":{\"text\":{\"type\":\"static_select\",\"selected_option\":{\"value\":"
        "\"true\"}}},\"other\":{\"text\":{\"value\":\"x\"}}}}}}");
    cr_expect_eq(got.kind, ARRIVAL_DECISION);
    cr_expect_str_eq(got.decision, "edit");
    cr_expect_str_eq(got.request, "r_1");
    cr_expect_str_eq(got.to, "C1");
    cr_expect_str_eq(got.hold, got.keys[0]);
    cr_expect_str_eq(json_write(&a, json_get(got.data, "arguments")),
                     "{\"sha\":\"v2\",\"note\":\"\",\"slow\":\"true\"}");
}

Test(slack_edit, is_answered_by_closing_by_an_error_at_its_input_or_by_words)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    const char *type, *body;
    struct form_outcome how = {.kind = FORM_DONE};
    slack_channel.form_answer(&a, &how, &type, &body);
    cr_expect_str_eq(body, "", "anything else leaves the modal open");
    how = (struct form_outcome){.kind = FORM_REFUSED, .field = "sha", .sentence = "no such"};
    slack_channel.form_answer(&a, &how, &type, &body);
    cr_expect_str_eq(body, "{\"response_action\":\"errors\",\"errors\":{\"arg.sha\":\"no such\"}}",
                     "%s", body);
    how = (struct form_outcome){.kind = FORM_SLOW, .sentence = "wait"};
    slack_channel.form_answer(&a, &how, &type, &body);
    struct json *answer = json_parse_own(&a, body);
    cr_expect_str_eq(json_text_at(answer, "response_action"), "update");
    cr_expect_str_eq(json_text_at(answer, "view.blocks.0.text.text"), "wait");
}

Test(slack_card, of_a_new_version_says_who_changed_what)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    struct wire wire = {0};
    struct message msg =
        card(&a, "{" APPROVAL ",\"status\":\"open\",\"editable\":[\"sha\"],"
                 "\"arguments\":{\"sha\":\"1111111111\"},"
                 "\"policy\":{\"not_requester\":true},\"edited\":{\"by\":\"Alice *Ng*\","
                 "\"code\":\"4821\",\"before\":{\"sha\":\"0000000000\"}}}");
    char *all = json_write(&a, rendered(&a, &msg, &wire));
    static const char *const shown[] = {"takes the place of request 4821", "`0000000000` → `",
                                        "somebody else must approve it", "\"Edit\""};
    for (size_t i = 0; i < COUNT(shown); i++)
        cr_expect_neq(strstr(all, shown[i]), NULL, "%s in %s", shown[i], all);
    cr_expect_eq(strstr(all, "*Ng*"), NULL, "a name is no markup");
}

Test(slack_card, says_how_many_of_how_many_and_where_it_was_decided)
{
    static const struct {
        const char *rest, *shown;
    } cases[] = {
        {"\"status\":\"open\",\"needed\":2,\"names\":{\"al\":\"Alice Ng\"},\"votes\":[{"
         "\"person\":\"al\",\"decision\":\"approve\"}]",
         "Votes so far: 1 of 2: Alice Ng"},
        {"\"status\":\"open\",\"needed\":2,\"votes\":[{\"person\":\"al\",\"decision\":\"reject\"}]",
         "Votes so far: 0 of 2: al (against)"},
        {"\"status\":\"approved\",\"by\":\"Bob\",\"via\":\"web\"", "*Approved* by Bob on the page"},
        {"\"status\":\"approved\",\"by\":\"Bob\",\"via\":\"ops-slack\"",
         "*Approved* by Bob in ops-slack"},
        {"\"status\":\"rejected\",\"by\":\"Bob\",\"via\":\"key ci\",\"comment\":\"a\\n*Approved* "
         "by B\"",
         "\\n> a\\n> *Approved*"},
        {"\"status\":\"open\",\"runs\":[\"./deploy.sh\",\"a b\"]", "Runs `./deploy.sh 'a b'`"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        CLEANUP(arena_done) struct arena a = ARENA_INIT;
        struct wire wire = {0};
        struct message msg = card(&a, arena_printf(&a, "{" APPROVAL ",%s}", cases[i].rest));
        char *all = json_write(&a, rendered(&a, &msg, &wire));
        cr_expect_neq(strstr(all, cases[i].shown), NULL, "%s in %s", cases[i].shown, all);
    }
}

/* As much as fits, and the card says what it leaves out. */
Test(slack_card, shows_long_arguments_whole_or_says_that_it_does_not)
{
    static const struct {
        const char *piece;
        size_t times, arguments;
        const char *shown;
    } cases[] = {
        {"x", 400, 1, "`xxx"},
        {"x", 401, 1, "```xxx"},
        {"x", 2700, 1, "```xxx"},
        {"x", 10000, 1, "Only the beginning of a0 is shown*: all 10000 characters"},
        {"<!channel>", 1000, 5, "&lt;!channel&gt;"},
        {"```@here ", 1000, 20, "'''@here"},
        {"🚀", 5000, 20, "🚀"},
        {"\u202e", 3000, 20, "202e"},
        {"x", 10, 40, "There are more arguments"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        CLEANUP(arena_done) struct arena a = ARENA_INIT;
        struct wire wire = {0};
        struct strbuf args;
        strbuf_init(&args, &a, 1 << 22);
        for (size_t k = 0; k < cases[i].arguments; k++)
            strbuf_addf(&args, "%s\"a%zu\":\"%s\"", k == 0 ? "" : ",", k,
                        repeated(&a, cases[i].piece, cases[i].times));
        struct message msg = card(
            &a, arena_printf(&a,
                             "{\"id\":\"r_1\",\"code\":\"1\",\"kind\":\"approval\",\"status\":"
                             "\"open\",\"tool\":\"t\",\"editable\":[\"a0\"],\"arguments\":{%s}}",
                             args.text));
        struct json *body = rendered(&a, &msg, &wire);
        cr_expect_leq(json_count(json_get(body, "blocks")), 50u, "%s", cases[i].piece);
        check_pings(body);
        cr_expect_neq(strstr(json_write(&a, body), cases[i].shown), NULL, "%s", cases[i].shown);
    }
}

Test(slack_search, asks_for_the_choices_of_its_request_and_answers_with_options)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    struct live live = {.kind = LIVE_CHOICE_FORM, .trigger = "t", .request_id = "r_1", .to = "C1"};
    struct json *body = opened_form(&a, &live);
    const char *kept = json_escape(&a, json_text_at(body, "view.private_metadata"));
    cr_expect_str_eq(json_text_at(body, "view.blocks.0.element.type"), "external_select");
    struct arrival got = interaction(
        &a, arena_printf(&a,
                         "{\"type\":\"block_suggestion\",\"user\":{\"id\":\"U1\"},\"action_id\":"
                         "\"%s\",\"value\":\"eu\",\"view\":{\"private_metadata\":\"%s\"}}",
                         json_text_at(body, "view.blocks.0.element.action_id"), kept));
    cr_expect_eq(got.kind, ARRIVAL_SEARCH);
    cr_expect_str_eq(got.request, "r_1");
    cr_expect_str_eq(got.query, "eu");
    struct suggestion list[] = {{"eu-1", 7}};
    struct suggestions found = {.request = "r_1", .list = list, .n = 1};
    const char *type, *text;
    slack_channel.answer_search(&a, &found, &type, &text);
    cr_expect_str_eq(text, "{\"options\":[{\"text\":{\"type\":\"plain_text\",\"text\":\"eu-1\","
                           "\"emoji\":false},\"value\":\"r_1:7\"}]}");
    static const struct {
        const char *value;
        enum arrival_kind kind;
    } cases[] = {{"r_1:7", ARRIVAL_DECISION}, {"r_2:7", ARRIVAL_IGNORED}};
    for (size_t i = 0; i < COUNT(cases); i++) {
        got = interaction(
            &a, arena_printf(&a,
                             "{\"type\":\"view_submission\",\"user\":{\"id\":\"U1\"},\"view\":{"
                             "\"callback_id\":\"signoff_choose\",\"private_metadata\":\"%s\","
                             "\"state\":{\"values\":{\"choice\":{\"signoff_choose\":{"
                             "\"selected_option\":{\"value\":\"%s\"}}}}}}}",
                             kept, cases[i].value));
        cr_expect_eq(got.kind, cases[i].kind, "%s", cases[i].value);
        if (got.kind == ARRIVAL_DECISION)
            cr_expect_str_eq(got.answer, "choice:7");
    }
}

Test(slack_shortcut, makes_the_message_the_request_and_its_thread_the_conversation)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    struct arrival got = interaction(
        &a, "{\"type\":\"message_action\",\"callback_id\":\"signoff_ask\",\"trigger_id\":\"7.7\","
            "\"user\":{\"id\":\"U1\"},\"channel\":{\"id\":\"C1\"},\"message_ts\":\"5.6\","
            "\"message\":{\"user\":\"U2\",\"ts\":\"5.6\",\"thread_ts\":\"1.2\",\"text\":\"ship "
            "&lt;it&gt;\"}}");
    cr_expect_eq(got.kind, ARRIVAL_MESSAGE);
    cr_expect_str_eq(got.when, "shortcut");
    cr_expect_str_eq(got.sender, "slack:U1");
    cr_expect_str_eq(got.to, "C1");
    cr_expect_str_eq(got.in_thread, "1.2");
    cr_expect_str_eq(json_text_at(got.data, "text"), "ship <it>");
    cr_expect_str_eq(json_text_at(got.data, "written_by"), "U2");
    cr_expect_str_eq(got.keys[0], "trigger:7.7");
}

Test(slack_interactions, of_every_other_kind_are_answered_with_nothing)
{
    static const char *const kinds[] = {
        "{\"type\":\"shortcut\",\"callback_id\":\"signoff_ask\",\"user\":{\"id\":\"U1\"}}",
        "{\"type\":\"message_action\",\"callback_id\":\"other\"}", "{\"type\":\"tomorrow\"}", "{}"};
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    for (size_t i = 0; i < COUNT(kinds); i++) {
        struct arrival got = interaction(&a, kinds[i]);
        cr_expect_eq(got.kind, ARRIVAL_IGNORED, "%s", kinds[i]);
        cr_expect_null(got.body);
    }
    struct arrival got = interaction(&a, json_write(&a, golden_json(&a, "slack/view_closed.json")));
    cr_expect_eq(got.kind, ARRIVAL_IGNORED);
    got = interaction(&a, "{\"type\":\"block_suggestion\",\"action_id\":\"other\"}");
    cr_expect_str_eq(got.body, "{\"options\":[]}");
}

Test(slack_home, is_published_whole_with_the_hash_of_what_was_there)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    struct wire wire = {0};
    struct strbuf list;
    strbuf_init(&list, &a, 1 << 20);
    for (int i = 0; i < 60; i++)
        strbuf_addf(&list,
                    "%s{\"id\":\"r_%d\",\"code\":\"%d\",\"kind\":\"approval\",\"status\":"
                    "\"open\",\"tool\":\"<!channel>%s\"}",
                    i == 0 ? "" : ",", i, i, repeated(&a, "🚀", 200));
    const char *home = arena_printf(&a, "{\"waiting\":[%s],\"asked\":[%s],\"decided\":[%s]}",
                                    list.text, list.text, list.text);
    struct message msg = {.kind = MESSAGE_HOME,
                          .to = "U1",
                          .replaces = "1.ab",
                          .public_url = "https://s",
                          .home = json_parse_own(&a, home)};
    struct json *body = NULL;
    cr_assert(slack_channel.render(&SETTINGS, &a, &msg, &wire, NULL));
    cr_assert(json_parse(&a, wire.body, 0, &body, NULL));
    cr_expect_str_eq(wire.url, "https://slack.com/api/views.publish");
    cr_expect_str_eq(json_text_at(body, "user_id"), "U1");
    cr_expect_str_eq(json_text_at(body, "hash"), "1.ab");
    cr_expect_str_eq(json_text_at(body, "view.type"), "home");
    cr_expect_leq(json_count(json_at(body, "view.blocks")), 100u);
    cr_expect(wire.repeatable);
    check_pings(body);
    struct wire_reply reply = {.status = 200,
                               .body = span_of("{\"ok\":false,\"error\":\"hash_conflict\"}")};
    cr_expect_eq(slack_channel.settle(&SETTINGS, &a, &msg, &reply).outcome, DELIVERY_RETRY);
    reply.body = span_of("{\"ok\":false,\"error\":\"not_enabled\"}");
    cr_expect_eq(slack_channel.settle(&SETTINGS, &a, &msg, &reply).outcome, DELIVERY_REJECTED);
    reply.body = span_of("{\"ok\":true,\"view\":{\"hash\":\"2.cd\"}}");
    cr_expect_eq(slack_channel.settle(&SETTINGS, &a, &msg, &reply).outcome, DELIVERY_SENT);
}

Test(slack_home, is_asked_for_by_opening_it)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    static const struct {
        const char *tab;
        enum arrival_kind kind;
    } cases[] = {{"home", ARRIVAL_HOME}, {"messages", ARRIVAL_IGNORED}};
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct arrival got;
        char *json = arena_printf(&a,
                                  "{\"type\":\"event_callback\",\"event_id\":\"Ev1\",\"event\":{"
                                  "\"type\":\"app_home_opened\",\"user\":\"U1\",\"channel\":"
                                  "\"D1\",\"tab\":\"%s\",\"view\":{\"hash\":\"1.ab\"}}}",
                                  cases[i].tab);
        cr_assert(receive(&a, "/slack/events", "application/json", span_of(json), &got, NULL));
        cr_expect_eq(got.kind, cases[i].kind, "%s", cases[i].tab);
        if (got.kind == ARRIVAL_HOME)
            cr_expect_str_eq(json_text_at(got.data, "hash"), "1.ab");
    }
}
