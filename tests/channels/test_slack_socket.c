#include "channels/slack_socket.h"
#include "gateway/base/text.h"
#include "tests/golden.h"

#include <criterion/criterion.h>
#include <string.h>

static const struct slack_settings settings = {.name = "ops",
                                               .mode = "socket",
                                               .app_token = "xapp-1",
                                               .bot_token = "xoxb-1",
                                               .api_base = "https://slack.com/api"};

static const char *golden(struct arena *a, const char *path)
{
    return golden_bytes(a, path).at; /* zeros follow */
}

/* ---- apps.connections.open ---- */

Test(slack_open, gives_the_token_in_the_header_only)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    struct wire wire;
    cr_assert(slack_open_render(&settings, &a, &wire, NULL));
    cr_assert_str_eq(wire.method, "POST");
    cr_assert_str_eq(wire.url, "https://slack.com/api/apps.connections.open");
    cr_assert_str_eq(wire.headers[0].value, "Bearer xapp-1");
    cr_assert_eq(wire.body.len, 0);
    cr_assert_not(wire.repeatable);
    struct slack_settings none = settings;
    none.app_token = NULL;
    cr_assert_not(slack_open_render(&none, &a, &wire, NULL));
}

static struct slack_opening settle(struct arena *a, const char *api_base, int status,
                                   const char *body)
{
    struct slack_settings s = settings;
    s.api_base = api_base;
    struct wire_reply reply = {.fate = WIRE_ANSWERED, .status = status, .body = span_of(body)};
    return slack_open_settle(&s, a, &reply);
}

Test(slack_open, takes_an_address_and_only_a_safe_one)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    const char *https = settings.api_base, *http = "http://127.0.0.1:1/api";
    cr_assert_str_eq(
        settle(&a, https, 200, "{\"ok\":true,\"url\":\"wss:\\/\\/w.slack.com\\/link\\/?ticket=1\"}")
            .url,
        "wss://w.slack.com/link/?ticket=1");
    cr_assert_null(settle(&a, https, 200, "{\"ok\":true,\"url\":\"ws://w.slack.com/\"}").url);
    cr_assert_not_null(settle(&a, http, 200, "{\"ok\":true,\"url\":\"ws://w.slack.com/\"}").url);
    cr_assert_null(settle(&a, http, 200, "{\"ok\":true,\"url\":\"file:///etc/passwd\"}").url);
    cr_assert_null(settle(&a, https, 200, "{\"ok\":true}").url);
    cr_assert_null(settle(&a, https, 200, "{\"ok\":false,\"url\":\"wss://w.slack.com/\"}").url);
}

static const struct {
    int status;
    const char *body, *why;
    bool hopeless;
} refusals[] = {
    {200, "{\"ok\":false,\"error\":\"invalid_auth\"}", "app_token is not valid", true},
    {200, "{\"ok\":false,\"error\":\"not_allowed_token_type\"}", "xapp-", true},
    {200, "{\"ok\":false,\"error\":\"missing_scope\"}", "connections:write", true},
    {200, "{\"ok\":false,\"error\":\"account_inactive\"}", "removed", true},
    {200, "{\"ok\":false,\"error\":\"internal_error\"}", "Slack: internal_error", false},
    {200, "{\"ok\":false}", "no reason given", false},
    {200, "<html>", "unreadable", false},
    {404, "", "no such method", true},
    {429, "", "slow down", false},
    {500, "{\"ok\":true,\"url\":\"wss://x/\"}", "status 500", false},
};

Test(slack_open, says_what_is_hopeless_and_what_to_do)
{
    for (size_t i = 0; i < COUNT(refusals); i++) {
        CLEANUP(arena_done) struct arena a = ARENA_INIT;
        struct slack_opening o =
            settle(&a, settings.api_base, refusals[i].status, refusals[i].body);
        cr_expect_null(o.url);
        cr_expect_eq(o.hopeless, refusals[i].hopeless, "%s", refusals[i].why);
        cr_expect_not_null(strstr(o.why, refusals[i].why), "%s", o.why);
        cr_expect_eq(o.retry_after_ms, refusals[i].status == 429 ? 30000 : 0);
    }
}

/* ---- frames ---- */

static struct slack_frame parse(struct arena *a, const char *text)
{
    struct slack_frame frame;
    struct err err = ERR_INIT;
    cr_assert(slack_frame_parse(a, span_of(text), 1000, &frame, &err), "%s", err.text);
    return frame;
}

Test(slack_frame, says_hello_and_goodbye)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    struct slack_frame hello = parse(&a, golden(&a, "slack/socket--hello.json"));
    cr_assert_eq(hello.kind, SLACK_HELLO);
    cr_assert_eq(hello.connections, 2);
    static const struct {
        const char *text;
        enum slack_goodbye goodbye;
    } cases[] = {
        {"{\"type\":\"disconnect\",\"reason\":\"warning\"}", SLACK_REFRESH},
        {"{\"type\":\"disconnect\",\"reason\":\"refresh_requested\",\"debug_info\":{}}",
         SLACK_REFRESH},
        {"{\"type\":\"disconnect\",\"reason\":\"something_new\"}", SLACK_REFRESH},
        {"{\"type\":\"disconnect\"}", SLACK_REFRESH},
        {"{\"type\":\"disconnect\",\"reason\":7}", SLACK_REFRESH},
        {"{\"type\":\"disconnect\",\"reason\":\"link_disabled\"}", SLACK_LINK_DISABLED},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct slack_frame frame = parse(&a, cases[i].text);
        cr_expect_eq(frame.kind, SLACK_GOODBYE);
        cr_expect_eq(frame.goodbye, cases[i].goodbye, "%s", cases[i].text);
    }
    struct slack_frame many =
        parse(&a, golden(&a, "slack/socket--disconnect_too_many_websockets.json"));
    cr_assert_eq(many.goodbye, SLACK_TOO_MANY);
    cr_assert_eq(parse(&a, "{\"type\":\"debug\",\"x\":1}").kind, SLACK_UNKNOWN);
    cr_assert_eq(parse(&a, "{}").kind, SLACK_UNKNOWN);
}

static struct arrival receive(struct arena *a, const struct slack_frame *frame)
{
    struct arrival arrival = {0};
    struct err err = ERR_INIT;
    cr_assert(slack_channel.receive(&settings, a, &frame->in, &arrival, &err), "%s", err.text);
    return arrival;
}

Test(slack_frame, brings_an_event_as_its_webhook_would)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    struct slack_frame f = parse(&a, golden(&a, "slack/socket--events_api_app_mention.json"));
    cr_assert_eq(f.kind, SLACK_ENVELOPE);
    cr_assert_str_eq(f.id, "cda4159a-72a5-4744-aba3-4d66eb52682b");
    cr_assert_not(f.takes_payload);
    struct arrival arrival = receive(&a, &f);
    cr_assert_eq(arrival.kind, ARRIVAL_MESSAGE);
    cr_assert_str_eq(arrival.when, "mention");
    cr_assert_str_eq(arrival.sender, "slack:U222");
    cr_assert_str_eq(arrival.keys[0], "event:Ev111");
    cr_assert_str_eq(arrival.keys[1], "message:C111:1610241741.000200");
    /* Byte for byte the keys that HTTP gives: what came over both is stored once. */
    const struct json *whole =
        json_parse_own(&a, golden(&a, "slack/socket--events_api_app_mention.json"));
    struct http_header type = {"content-type", "application/json"};
    struct webhook http = {.method = "POST",
                           .path = "/slack/events",
                           .headers = &type,
                           .n_headers = 1,
                           .body = span_of(json_write(&a, json_get(whole, "payload")))};
    struct arrival other = {0};
    cr_assert(slack_channel.receive(&settings, &a, &http, &other, NULL));
    cr_assert_str_eq(arrival.keys[0], other.keys[0]);
    cr_assert_str_eq(arrival.keys[1], other.keys[1]);
    cr_assert(json_equal(arrival.data, other.data));
}

Test(slack_frame, brings_a_click_and_a_command)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    struct slack_frame click =
        parse(&a, golden(&a, "slack/socket--interactive_block_actions.json"));
    cr_assert_eq(receive(&a, &click).kind, ARRIVAL_IGNORED); /* a button of another app */
    struct slack_frame ours = parse(
        &a,
        "{\"envelope_id\":\"e\",\"type\":\"interactive\",\"accepts_response_payload\":false,"
        "\"payload\":{\"type\":\"block_actions\",\"user\":{\"id\":\"U1\"},\"trigger_id\":\"1.2\","
        "\"actions\":[{\"action_id\":\"signoff_approve\",\"value\":\"r_1&x=+%%41 \\u00e9\"}]}}");
    struct arrival arrival = receive(&a, &ours);
    cr_assert_eq(arrival.kind, ARRIVAL_DECISION);
    cr_assert_str_eq(arrival.request, "r_1&x=+%%41 \xc3\xa9");
    cr_assert_str_eq(arrival.keys[0], "trigger:1.2");
    struct slack_frame command = parse(&a, golden(&a, "slack/socket--slash_commands.json"));
    cr_assert(command.takes_payload);
    arrival = receive(&a, &command);
    cr_assert_str_eq(arrival.when, "command");
    cr_assert_str_eq(json_text_at(arrival.data, "command"), "/hello-socket-mode");
    cr_assert_str_eq(json_text_at(arrival.data, "text"), "hello-socket-mode ");
    cr_assert_str_eq(arrival.keys[0], "trigger:111.222.xxx");
}

Test(slack_frame, refuses_what_it_cannot_read)
{
    static const char *const bad[] = {
        "",
        "x",
        "[]",
        "\"hello\"",
        "{\"type\":\"hello\",\"type\":\"hello\"}",
        "{\"envelope_id\":\"e\",\"type\":\"events_api\"}",
        "{\"envelope_id\":\"e\",\"type\":\"events_api\",\"payload\":[]}",
        "{\"envelope_id\":\"e\",\"type\":\"other\",\"payload\":{}}",
    };
    for (size_t i = 0; i < COUNT(bad); i++) {
        CLEANUP(arena_done) struct arena a = ARENA_INIT;
        struct slack_frame frame;
        cr_expect_not(slack_frame_parse(&a, span_of(bad[i]), 0, &frame, NULL), "%s", bad[i]);
    }
}

Test(slack_ack, carries_an_answer_where_one_is_taken)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    cr_assert_str_eq(slack_ack(&a, "e", true, NULL), "{\"envelope_id\":\"e\"}");
    cr_assert_str_eq(slack_ack(&a, "e", true, ""), "{\"envelope_id\":\"e\"}");
    cr_assert_str_eq(slack_ack(&a, "e", false, "{\"a\":1}"), "{\"envelope_id\":\"e\"}");
    cr_assert_str_eq(slack_ack(&a, "e", true, "{\"a\":1}"),
                     "{\"envelope_id\":\"e\",\"payload\":{\"a\":1}}");
    cr_assert_str_eq(slack_ack(&a, "e", true, "on it"),
                     "{\"envelope_id\":\"e\",\"payload\":{\"text\":\"on it\"}}");
}

Test(slack_ack, is_never_so_long_that_slack_would_ignore_it)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    size_t around = strlen("{\"envelope_id\":\"e\",\"payload\":{\"text\":\"\"}}");
    char *words = arena_alloc(&a, SLACK_ACK_MAX + 1);
    memset(words, 'x', SLACK_ACK_MAX - around);
    cr_assert_eq(strlen(slack_ack(&a, "e", true, words)), SLACK_ACK_MAX);
    words[SLACK_ACK_MAX - around] = 'x';
    cr_assert_str_eq(slack_ack(&a, "e", true, words), "{\"envelope_id\":\"e\"}");
}

/* ---- the machine ---- */

struct world {
    struct slack_socket s;
    struct slack_acts acts;
    char told[200]; /* what it wants, in letters: A(sk) C(onnect)n P(ing)n D(rop)n */
};

static const char *told(struct world *w)
{
    w->told[0] = '\0';
    for (size_t i = 0; i < w->acts.n; i++) {
        char one[30];
        snprintf(one, sizeof one, w->acts.list[i].kind == SLACK_ASK_ADDRESS ? "%sA" : "%s%c%d",
                 i > 0 ? " " : "", "ACPD"[w->acts.list[i].kind], (int)w -> acts.list[i].number);
        strcat(w->told, one);
    }
    w->acts.n = 0;
    return w->told;
}

static const char *tick(struct world *w, int64_t now_ms)
{
    slack_socket_tick(&w->s, now_ms, 0, &w->acts);
    return told(w);
}

static const char *goodbye(struct world *w, uint64_t number, enum slack_goodbye why, int64_t now_ms)
{
    slack_socket_goodbye(&w->s, number, why, now_ms, 0, &w->acts);
    return told(w);
}

static const char *closed(struct world *w, uint64_t number, int64_t now_ms, uint32_t random)
{
    slack_socket_closed(&w->s, number, now_ms, random, &w->acts);
    return told(w);
}

static const char *opening(struct world *w, uint64_t number, int64_t now_ms)
{
    slack_socket_opened(&w->s, number, now_ms, &w->acts);
    return told(w);
}

/* Connected as number 1 since 0. */
static struct world live(void)
{
    struct world w = {0};
    slack_socket_begin(&w.s, 0, &w.acts);
    cr_assert_str_eq(told(&w), "A");
    cr_assert_str_eq(opening(&w, 1, 0), "C1");
    slack_socket_hello(&w.s, 1, 0);
    cr_assert_str_eq(slack_socket_state(&w.s), "connected");
    return w;
}

static void hear(struct world *w, uint64_t number, int64_t now_ms)
{
    slack_socket_heard(&w->s, number, now_ms);
}

Test(slack_socket, asks_connects_and_is_connected_at_hello)
{
    struct world w = {0};
    slack_socket_begin(&w.s, 5, &w.acts);
    cr_assert_str_eq(told(&w), "A");
    cr_assert_str_eq(slack_socket_state(&w.s), "connecting");
    cr_assert_str_eq(tick(&w, 1000000), "", "one question at a time");
    cr_assert_str_eq(opening(&w, 7, 1000000), "C7");
    cr_assert_str_eq(slack_socket_state(&w.s), "connecting");
    slack_socket_hello(&w.s, 7, 1000001);
    cr_assert_str_eq(slack_socket_state(&w.s), "connected");
    cr_assert_eq(slack_socket_due_ms(&w.s), 1000000 + SLACK_PING_MS);
}

Test(slack_socket, opens_the_next_before_it_lets_the_old_one_go)
{
    struct world w = live();
    hear(&w, 1, 5000);
    cr_assert_str_eq(goodbye(&w, 1, SLACK_REFRESH, 5000), "A");
    cr_assert_str_eq(goodbye(&w, 1, SLACK_REFRESH, 5100), "", "said twice, done once");
    cr_assert_str_eq(opening(&w, 2, 5200), "C2", "the old one is not dropped");
    cr_assert_eq(slack_socket_links(&w.s), 2);
    slack_socket_hello(&w.s, 2, 5300);
    cr_assert_eq(slack_socket_links(&w.s), 2, "and is read on");
    cr_assert_str_eq(closed(&w, 1, 15000, 9), "", "its end is no loss");
    cr_assert_eq(slack_socket_links(&w.s), 1);
    cr_assert_str_eq(slack_socket_state(&w.s), "connected");
}

Test(slack_socket, drops_the_old_one_when_nobody_closes_it)
{
    struct world w = live();
    hear(&w, 1, 5000);
    goodbye(&w, 1, SLACK_REFRESH, 5000);
    opening(&w, 2, 5200);
    slack_socket_hello(&w.s, 2, 5300);
    for (int64_t now_ms = 6000; now_ms < 5000 + SLACK_LEAVE_MS; now_ms += 1000) {
        hear(&w, 1, now_ms);
        hear(&w, 2, now_ms);
        cr_assert_str_eq(tick(&w, now_ms), "");
    }
    cr_assert_str_eq(tick(&w, 5000 + SLACK_LEAVE_MS), "D1");
}

Test(slack_socket, replaces_what_was_cut_at_once_but_makes_no_storm)
{
    struct world w = live();
    cr_assert_str_eq(closed(&w, 1, 60000, 999), "A", "it stood for a minute");
    opening(&w, 2, 60000);
    slack_socket_hello(&w.s, 2, 60100);
    cr_assert_str_eq(closed(&w, 2, 60200, 999), "", "a second has to pass between two");
    cr_assert_eq(slack_socket_due_ms(&w.s), 60100 + SLACK_APART_MS);
    cr_assert_str_eq(slack_socket_state(&w.s), "waiting");
    cr_assert_str_eq(tick(&w, 60100 + SLACK_APART_MS), "A");
}

Test(slack_socket, backs_off_by_a_random_part_of_a_time_that_doubles)
{
    struct world w = {0};
    slack_socket_begin(&w.s, 0, &w.acts);
    told(&w);
    int64_t now_ms = 0, most_ms = SLACK_FIRST_MS;
    for (uint64_t i = 1; i < 20; i++) {
        struct slack_opening none = {.why = "no"};
        /* by turns refused, and cut before the hello; the longest wait that chance allows */
        if (i % 2 == 0) {
            slack_socket_refused(&w.s, &none, now_ms, (uint32_t)most_ms, &w.acts);
        } else {
            opening(&w, i, now_ms);
            closed(&w, i, now_ms, (uint32_t)most_ms);
        }
        w.acts.n = 0;
        cr_assert_eq(slack_socket_due_ms(&w.s), now_ms + most_ms, "after failure %d", (int)i);
        now_ms += most_ms;
        cr_assert_str_eq(tick(&w, now_ms - 1), "");
        cr_assert_str_eq(tick(&w, now_ms), "A");
        most_ms = most_ms * 2 > SLACK_MOST_MS ? SLACK_MOST_MS : most_ms * 2;
    }
    opening(&w, 100, now_ms);
    slack_socket_hello(&w.s, 100, now_ms);
    closed(&w, 100, now_ms + 5000, 0);
    opening(&w, 101, now_ms + 5000);
    closed(&w, 101, now_ms + 5000, SLACK_FIRST_MS);
    cr_assert_eq(slack_socket_due_ms(&w.s), now_ms + 5000 + SLACK_FIRST_MS, "a hello forgives all");
    /* chance may as well say: now */
    struct world lucky = {0};
    slack_socket_begin(&lucky.s, 0, &lucky.acts);
    struct slack_opening none = {.why = "no"};
    told(&lucky);
    slack_socket_refused(&lucky.s, &none, 0, 0, &lucky.acts);
    cr_assert_str_eq(told(&lucky), "A");
}

Test(slack_socket, waits_as_long_as_slack_says)
{
    struct world w = {0};
    struct slack_opening slower = {.why = "slow down", .retry_after_ms = 45000};
    slack_socket_begin(&w.s, 0, &w.acts);
    told(&w);
    slack_socket_refused(&w.s, &slower, 0, 3, &w.acts);
    cr_assert_eq(slack_socket_due_ms(&w.s), 45000);
}

Test(slack_socket, pings_the_silent_and_drops_the_dead)
{
    struct world w = live();
    cr_assert_str_eq(tick(&w, SLACK_PING_MS - 1), "");
    cr_assert_str_eq(tick(&w, SLACK_PING_MS), "P1");
    cr_assert_str_eq(tick(&w, SLACK_PING_MS + 1), "", "once");
    hear(&w, 1, SLACK_PING_MS + 50);
    cr_assert_str_eq(tick(&w, 2 * SLACK_PING_MS), "", "it answered");
    cr_assert_str_eq(tick(&w, 2 * SLACK_PING_MS + 50), "P1");
    cr_assert_str_eq(tick(&w, 3 * SLACK_PING_MS + 50), "P1");
    cr_assert_str_eq(tick(&w, SLACK_PING_MS + 50 + SLACK_DEAD_MS), "D1 A");
    cr_assert_str_eq(closed(&w, 1, 99999, 0), "", "of a dropped one nothing more is heard");
}

Test(slack_socket, gives_up_a_connection_that_never_says_hello)
{
    struct world w = {0};
    slack_socket_begin(&w.s, 0, &w.acts);
    told(&w);
    opening(&w, 1, 0);
    hear(&w, 1, SLACK_HELLO_MS - 10); /* it lives, and yet */
    cr_assert_str_eq(tick(&w, SLACK_HELLO_MS - 1), "");
    cr_assert_str_eq(tick(&w, SLACK_HELLO_MS), "D1 A");
}

Test(slack_socket, survives_a_goodbye_before_the_hello)
{
    struct world w = {0};
    slack_socket_begin(&w.s, 0, &w.acts);
    told(&w);
    opening(&w, 1, 0);
    cr_assert_str_eq(goodbye(&w, 1, SLACK_REFRESH, 10), "A");
    slack_socket_hello(&w.s, 1, 20);
    cr_assert_str_neq(slack_socket_state(&w.s), "connected", "a late hello of it changes nothing");
    cr_assert_str_eq(opening(&w, 2, 30), "C2");
}

Test(slack_socket, stops_when_socket_mode_is_switched_off_and_looks_again_later)
{
    struct world w = live();
    cr_assert_str_eq(goodbye(&w, 1, SLACK_LINK_DISABLED, 5000), "");
    cr_assert_str_eq(slack_socket_state(&w.s), "refused");
    cr_assert_str_eq(closed(&w, 1, 5100, 0), "");
    cr_assert_str_eq(tick(&w, 5000 + SLACK_HOPELESS_MS - 1), "");
    cr_assert_str_eq(tick(&w, 5000 + SLACK_HOPELESS_MS), "A");
    opening(&w, 2, 400000);
    slack_socket_hello(&w.s, 2, 400000);
    cr_assert_str_eq(slack_socket_state(&w.s), "connected", "somebody switched it on");
}

Test(slack_socket, does_not_ask_at_once_when_there_are_too_many)
{
    struct world w = live();
    slack_socket_goodbye(&w.s, 1, SLACK_TOO_MANY, 60000, 700, &w.acts);
    cr_assert_str_eq(told(&w), "");
    cr_assert_eq(slack_socket_due_ms(&w.s), 10000, "its ping is due first");
    hear(&w, 1, 60000);
    cr_assert_eq(slack_socket_due_ms(&w.s), 60700);
}

Test(slack_socket, has_never_more_than_its_places)
{
    struct world w = live();
    for (uint64_t i = 2; i < 12; i++) {
        int64_t now_ms = (int64_t)i * 2000;
        for (uint64_t k = 1; k < i; k++)
            hear(&w, k, now_ms);
        cr_assert_str_eq(goodbye(&w, i - 1, SLACK_REFRESH, now_ms), "A");
        char expected[20];
        if (i <= SLACK_LINKS)
            snprintf(expected, sizeof expected, "C%d", (int)i);
        else
            snprintf(expected, sizeof expected, "D%d C%d", (int)i - SLACK_LINKS, (int)i);
        cr_assert_str_eq(opening(&w, i, now_ms), expected, "the oldest goes");
        slack_socket_hello(&w.s, i, now_ms);
        cr_assert_leq(slack_socket_links(&w.s), SLACK_LINKS);
    }
}

/* Whatever happens, in any order: it wants a connection or has one, and asks once at a time. */
Test(slack_socket, is_never_without_a_plan)
{
    uint32_t state = 12345;
    for (int run = 0; run < 300; run++) {
        struct world w = {0};
        uint64_t last = 0;
        int64_t now_ms = 0;
        bool asked = false;
        slack_socket_begin(&w.s, 0, &w.acts);
        for (int step = 0; step < 200; step++) {
            for (size_t i = 0; i < w.acts.n; i++) {
                cr_assert(w.acts.list[i].kind != SLACK_ASK_ADDRESS || !asked,
                          "it asks once at a time");
                asked = asked || w.acts.list[i].kind == SLACK_ASK_ADDRESS;
            }
            w.acts.n = 0;
            state = state * 1103515245 + 12345;
            uint32_t chance = state >> 16;
            uint64_t number = last == 0 ? 0 : last - chance % (last < 5 ? last : 5);
            now_ms += chance % 3 == 0 ? chance % 20000 : chance % 50;
            struct slack_opening none = {.hopeless = chance % 7 == 0, .why = "no"};
            switch (chance % 8) {
            case 0:
                if (asked)
                    slack_socket_opened(&w.s, ++last, now_ms, &w.acts);
                asked = false;
                break;
            case 1:
                if (asked)
                    slack_socket_refused(&w.s, &none, now_ms, chance, &w.acts);
                asked = asked && w.acts.n > 0 && false;
                break;
            case 2:
                slack_socket_hello(&w.s, number, now_ms);
                break;
            case 3:
                slack_socket_goodbye(&w.s, number, (enum slack_goodbye)(chance / 8 % 3), now_ms,
                                     chance, &w.acts);
                break;
            case 4:
                slack_socket_closed(&w.s, number, now_ms, chance, &w.acts);
                break;
            case 5:
                slack_socket_heard(&w.s, number, now_ms);
                break;
            default:
                slack_socket_tick(&w.s, now_ms, chance, &w.acts);
            }
            bool has_one = strcmp(slack_socket_state(&w.s), "connected") == 0;
            cr_assert(has_one || w.s.is_asking || slack_socket_due_ms(&w.s) != INT64_MAX,
                      "run %d step %d: it would wait for ever", run, step);
            cr_assert(!w.s.is_asking || asked || w.acts.n > 0);
        }
    }
}
