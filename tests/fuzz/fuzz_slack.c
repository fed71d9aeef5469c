/* channels/slack.c on any body at each of its doors, and as a frame of Socket Mode; the text in it
 * as what a card shows. */
#include "channels/slack.h"
#include "channels/slack_socket.h"
#include "gateway/base/text.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static const struct slack_settings settings = {.name = "ops",
                                               .signing_secret = "s",
                                               .bot_token = "xoxb",
                                               .bot_user = "UBOT",
                                               .api_base = "https://slack.com/api"};

static void check_arrival(const struct arrival *in)
{
    bool decides = in->kind == ARRIVAL_DECISION || in->kind == ARRIVAL_ASK_FORM;
    if (in->kind != ARRIVAL_IGNORED && (in->sender == NULL || in->keys[0] == NULL))
        abort(); /* nothing is stored without a key and a name */
    if (decides && in->request == NULL)
        abort();
    if (in->kind == ARRIVAL_MESSAGE && (in->to == NULL || json_text_at(in->data, "text") == NULL))
        abort();
}

/* The input as everything foreign that a message may hold: it has to be sent as JSON. */
static void render(struct arena *a, const char *text)
{
    struct json *request = json_object(a), *arguments = json_object(a), *parsed = NULL;
    struct wire wire = {0};
    json_set_text(a, arguments, "value", text);
    json_set(a, request, "arguments", arguments);
    json_set_text(a, request, "kind", strlen(text) % 2 == 0 ? "approval" : "question");
    json_set_text(a, request, "status", strlen(text) % 3 == 0 ? "open" : "rejected");
    json_set_text(a, request, "question", text);
    json_set_text(a, request, "comment", text);
    json_set_text(a, request, "tool", "deploy");
    struct message msg = {.kind = strlen(text) % 5 == 0 ? MESSAGE_TEXT : MESSAGE_REQUEST,
                          .id = "d_1",
                          .to = "C1",
                          .text = text,
                          .request = request,
                          .public_url = "https://signoff.test"};
    if (!slack_channel.render(&settings, a, &msg, &wire, NULL) ||
        !json_parse(a, wire.body, 0, &parsed, NULL))
        abort();
}

/* A frame is read or refused; its envelope is a webhook that the adapter can be given, and its
 * acknowledgement names it and is not too long. */
static void read_frame(struct arena *a, struct span text)
{
    struct slack_frame frame;
    struct arrival got = {0};
    struct json *ack = NULL;
    if (!slack_frame_parse(a, text, 1000, &frame, NULL) || frame.kind != SLACK_ENVELOPE)
        return;
    if (slack_channel.receive(&settings, a, &frame.in, &got, NULL))
        check_arrival(&got);
    const char *said = slack_ack(a, frame.id, frame.takes_payload, got.body);
    if (!json_parse(a, span_of(said), 0, &ack, NULL) ||
        !text_eq(json_text_at(ack, "envelope_id"), frame.id) ||
        (strlen(frame.id) < 1000 && strlen(said) > SLACK_ACK_MAX))
        abort();
}

/* An answer to apps.connections.open. */
static void read_opening(struct arena *a, struct span body)
{
    struct wire_reply reply = {.status = 200, .body = body};
    struct slack_opening opening = slack_open_settle(&settings, a, &reply);
    if (opening.url == NULL ? opening.why == NULL : !text_starts(opening.url, "wss://"))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    static const char *const paths[] = {"/slack/events", "/slack/interactions", "/slack/commands"};
    static const char *const types[] = {"application/json", "application/x-www-form-urlencoded"};
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    if (len == 0)
        return 0;
    struct http_header headers[] = {{"content-type", types[(bytes[0] / 3) % 2]},
                                    {"x-slack-request-timestamp", "1"},
                                    {"x-slack-signature", "v0="}};
    struct span body = {(const char *)bytes + 1, len - 1};
    struct webhook in = {.method = "POST",
                         .path = paths[bytes[0] % 3],
                         .headers = headers,
                         .n_headers = COUNT(headers),
                         .body = body,
                         .at_ms = 1000};
    struct arrival got = {0};
    struct err err = ERR_INIT;
    (void)slack_channel.verify(&settings, &in, &err);
    if (slack_channel.receive(&settings, &a, &in, &got, &err))
        check_arrival(&got);
    read_frame(&a, body);
    read_opening(&a, body);
    render(&a, utf8_clean(&a, body));
    struct wire_reply reply = {.status = 200, .body = body};
    struct message msg = {.kind = MESSAGE_TEXT, .id = "d_1", .to = "C1"};
    (void)slack_channel.settle(&settings, &a, &msg, &reply);
    (void)slack_channel.settle_look_up(&settings, &a, &msg, &reply);
    return 0;
}
