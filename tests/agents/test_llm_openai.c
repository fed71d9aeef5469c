/* Chat completions: what is sent, and what each kind of reply means. */
#include "agents/llm.h"
#include "agents/reply.h"
#include "gateway/base/text.h"
#include "tests/golden.h"

#include <criterion/criterion.h>
#include <string.h>

static const struct llm_settings OPENAI = {
    .base_url = "https://api.openai.com/v1/",
    .api_key = "sk-test",
    .model = "gpt-4o",
    .max_output_tokens = 1024,
};

static const struct step_intent INTENTS[] = {{"nothing_to_do", NULL, NULL, false}};

static const struct llm_question QUESTION = {
    .system = "You deploy.",
    .user = "<slack_message>\n    text: \"hi\"\n</slack_message>",
    .intents = INTENTS,
    .n_intents = 1,
};

static struct json *body_for(struct arena *a, struct llm_settings settings, struct wire *wire)
{
    struct json *body;
    struct err err = ERR_INIT;
    cr_assert(llm_openai.render(&settings, a, &QUESTION, wire, &err), "%s", err.text);
    cr_assert(json_parse(a, wire->body, 0, &body, &err), "%s", err.text);
    return body;
}

Test(llm_openai_render, asks_openai_in_strict_mode)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    struct wire wire;
    struct json *body = body_for(&a, OPENAI, &wire);
    cr_expect_str_eq(wire.method, "POST");
    cr_expect_str_eq(wire.url, "https://api.openai.com/v1/chat/completions");
    cr_expect_str_eq(http_header_find(wire.headers, wire.n_headers, "authorization"),
                     "Bearer sk-test");
    cr_expect_str_eq(json_text_at(body, "model"), "gpt-4o");
    cr_expect_str_eq(json_text_at(body, "messages.0.role"), "system");
    cr_expect_str_eq(json_text_at(body, "messages.0.content"), QUESTION.system);
    cr_expect_str_eq(json_text_at(body, "messages.1.content"), QUESTION.user);
    cr_expect(json_is_true(json_at(body, "response_format.json_schema.strict")));
    cr_expect_str_eq(json_text_at(body, "response_format.json_schema.schema.type"), "object");
    cr_expect_eq(json_int_or(json_get(body, "max_completion_tokens"), 0), 1024);
    cr_expect_null(json_get(body, "max_tokens"));
    cr_expect_eq(json_get(body, "store")->type, JSON_FALSE);
    cr_expect_not(llm_openai.schema_in_text(&OPENAI));
}

Test(llm_openai_render, asks_others_as_they_understand_it)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    static const enum llm_schema_mode MODES[] = {LLM_SCHEMA_AUTO, LLM_SCHEMA_JSON, LLM_SCHEMA_LLAMA,
                                                 LLM_SCHEMA_OLLAMA};
    for (size_t i = 0; i < COUNT(MODES); i++) {
        struct llm_settings local = {"http://127.0.0.1:11434/v1", NULL, "qwen", MODES[i], 99};
        struct wire wire;
        struct json *body = body_for(&a, local, &wire);
        cr_expect_str_eq(wire.url, "http://127.0.0.1:11434/v1/chat/completions");
        cr_expect_null(http_header_find(wire.headers, wire.n_headers, "authorization"));
        cr_expect_eq(json_int_or(json_get(body, "max_tokens"), 0), 99);
        cr_expect_null(json_get(body, "store"));
        cr_expect_not_null(json_at(body, "response_format.json_schema.schema.anyOf"));
        cr_expect(llm_openai.schema_in_text(&local));
    }
    struct llm_settings bare = {"http://h/v1", "", "m", LLM_SCHEMA_NONE, 0};
    struct wire wire;
    struct json *body = body_for(&a, bare, &wire);
    cr_expect_null(json_get(body, "response_format"));
    cr_expect_null(json_get(body, "max_tokens"));
}

Test(llm_openai_render, gives_azure_its_key_in_its_header)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    struct llm_settings azure = OPENAI;
    azure.base_url = "https://acme.openai.azure.com/openai/v1";
    struct wire wire;
    struct json *body = body_for(&a, azure, &wire);
    cr_expect_str_eq(http_header_find(wire.headers, wire.n_headers, "api-key"), "sk-test");
    cr_expect_null(http_header_find(wire.headers, wire.n_headers, "authorization"));
    cr_expect(json_is_true(json_at(body, "response_format.json_schema.strict")));
    azure.base_url = "https://openai.azure.com.evil.test/v1"; /* not theirs */
    (void)body_for(&a, azure, &wire);
    cr_expect_null(http_header_find(wire.headers, wire.n_headers, "api-key"));
}

Test(llm_openai_render, refuses_a_key_that_would_break_a_header)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    struct llm_settings settings = OPENAI;
    settings.api_key = "sk-test\r\nx: y";
    struct wire wire;
    cr_expect_not(llm_openai.render(&settings, &a, &QUESTION, &wire, NULL));
}

static struct llm_answer parse(struct arena *a, int status, struct span body)
{
    struct wire_reply reply = {.fate = WIRE_ANSWERED, .status = status, .body = body};
    return llm_openai.parse(&OPENAI, a, &reply);
}

Test(llm_openai_parse, reads_the_providers_own_example)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    struct llm_answer answer = parse(&a, 200, golden_bytes(&a, "llm/openai_chat.json"));
    cr_expect_eq(answer.outcome, LLM_OK);
    cr_expect_str_eq(answer.text, "Hello! How can I assist you today?");
    cr_expect_str_eq(answer.model, "gpt-5.4");
    cr_expect_eq(answer.input_tokens, 19);
    cr_expect_eq(answer.output_tokens, 10);
}

Test(llm_openai_parse, reads_a_call_of_a_tool_as_the_step)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    struct llm_answer answer = parse(&a, 200, golden_bytes(&a, "llm/openai_chat_tool_call.json"));
    cr_expect_eq(answer.outcome, LLM_OK);
    struct reply reply;
    cr_assert(reply_extract(&a, answer.text, &reply, NULL), "%s", answer.text);
    cr_expect_str_eq(json_write(&a, reply.value),
                     "{\"intent\":\"get_current_weather\",\"location\":\"Boston, MA\"}");
    cr_expect_eq(reply.flags, 0U);
}

#define CALL(name, args) "{\"function\":{\"name\":\"" name "\",\"arguments\":" args "}}"
#define CHOICE(message, finish) \
    "{\"choices\":[{\"message\":" message ",\"finish_reason\":\"" finish "\"}]}"

static const struct reply_case {
    const char *name;
    int status;
    const char *body;
    enum llm_outcome outcome;
    const char *says; /* the text, or the error */
} REPLIES[] = {
    {"a refusal comes before everything", 200,
     CHOICE("{\"content\":\"{}\",\"refusal\":\"I can't\\nhelp\"}", "length"), LLM_REFUSED,
     "I can't\\u000ahelp"},
    {"cut by the limit", 200, CHOICE("{\"content\":\"{\\\"intent\\\":\"}", "length"), LLM_CUT,
     "{\"intent\":"},
    {"a filter", 200, CHOICE("{\"content\":\"\"}", "content_filter"), LLM_REFUSED,
     "stopped by the provider's content filter"},
    {"nothing said", 200, CHOICE("{\"content\":null}", "stop"), LLM_OK, ""},
    {"content in parts", 200,
     CHOICE("{\"content\":[{\"type\":\"text\",\"text\":\"a\"},{\"text\":\"b\"}]}", "stop"), LLM_OK,
     "ab"},
    {"no arguments", 200, CHOICE("{\"tool_calls\":[" CALL("x", "\"\"") "]}", "tool_calls"), LLM_OK,
     "{\"intent\":\"x\"}"},
    {"empty arguments", 200, CHOICE("{\"tool_calls\":[" CALL("x", "\" { } \"") "]}", "tool_calls"),
     LLM_OK, "{\"intent\":\"x\"} "},
    {"arguments as an object", 200,
     CHOICE("{\"tool_calls\":[" CALL("x", "{\"n\":1}") "]}", "tool_calls"), LLM_OK,
     "{\"intent\":\"x\",\"n\":1}"},
    {"a name that is no word", 200,
     CHOICE("{\"tool_calls\":[" CALL("a\\\"b", "\"{}\"") "]}", "stop"), LLM_OK,
     "{\"intent\":\"a\\\"b\"}"},
    {"arguments that are none", 200, CHOICE("{\"tool_calls\":[" CALL("x", "\"yes\"") "]}", "stop"),
     LLM_OK, "yes"},
    {"cut arguments", 200, CHOICE("{\"tool_calls\":[" CALL("x", "\"{\"") "]}", "tool_calls"),
     LLM_OK, "{\"intent\":\"x\""},
    {"parallel calls", 200,
     CHOICE("{\"tool_calls\":[" CALL("x", "\"{}\"") "," CALL("x", "\"{}\"") "]}", "tool_calls"),
     LLM_OK, "[{\"intent\":\"x\"},{\"intent\":\"x\"}]"},
    {"no choices", 200, "{\"choices\":[]}", LLM_RETRY, "the answer has no choices"},
    {"a proxy's page", 200, "<html>", LLM_RETRY,
     "the answer is no JSON: at byte 0: a value is expected"},
    {"an error in a 200", 200, "{\"error\":{\"message\":\"overloaded\",\"code\":503}}", LLM_RETRY,
     "HTTP 503: overloaded"},
    {"rate limit", 429, "{\"error\":{\"message\":\"slow down\",\"code\":\"rate_limit_exceeded\"}}",
     LLM_RETRY, "HTTP 429 rate_limit_exceeded: slow down"},
    {"no credit is not a rate limit", 429,
     "{\"error\":{\"message\":\"You "
     "exceeded\",\"type\":\"insufficient_quota\",\"code\":\"insufficient_quota\"}}",
     LLM_FAILED, "HTTP 429 insufficient_quota: You exceeded"},
    {"no credit, told by the type alone", 429,
     "{\"error\":{\"message\":\"m\",\"type\":\"insufficient_quota\",\"code\":null}}", LLM_FAILED,
     "HTTP 429 insufficient_quota: m"},
    {"their fault", 503, "upstream", LLM_RETRY, "HTTP 503"},
    {"a time-out of theirs", 408, "", LLM_RETRY, "HTTP 408"},
    {"our schema", 400, "{\"error\":{\"message\":\"bad\",\"code\":\"invalid_json_schema\"}}",
     LLM_FAILED, "HTTP 400 invalid_json_schema: bad"},
    {"a key is never repeated", 401,
     "{\"error\":{\"message\":\"Incorrect key sk-t***\",\"code\":\"invalid_api_key\"}}", LLM_FAILED,
     "HTTP 401 invalid_api_key"},
    {"a key is never repeated, whatever the status", 403,
     "{\"error\":{\"message\":\"sk-test may not\"}}", LLM_FAILED, "HTTP 403"},
    {"a key is never repeated, whichever member it is in", 429,
     "{\"error\":{\"message\":\"wait\",\"code\":\"limit of sk-test\"}}", LLM_RETRY,
     "HTTP 429: wait"},
    {"azure's filter on the question", 400,
     "{\"error\":{\"message\":\"filtered\",\"code\":\"content_filter\"}}", LLM_REFUSED,
     "HTTP 400 content_filter: filtered"},
    {"an error that is a text", 404, "{\"error\":\"model 'x' not found\"}", LLM_FAILED,
     "HTTP 404: model 'x' not found"},
    {"a redirect", 302, "", LLM_FAILED, "HTTP 302"},
};

Test(llm_openai_parse, tells_answers_refusals_and_failures_apart)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    for (size_t i = 0; i < COUNT(REPLIES); i++) {
        const struct reply_case *one = &REPLIES[i];
        struct llm_answer answer = parse(&a, one->status, span_of(one->body));
        cr_expect_eq(answer.outcome, one->outcome, "%s: %s", one->name,
                     llm_outcome_name(answer.outcome));
        bool has_text = answer.outcome == LLM_OK || answer.outcome == LLM_CUT;
        const char *said = has_text ? answer.text : answer.error;
        cr_expect_str_eq(said, one->says, "%s: %s", one->name, said);
    }
}

Test(llm_openai_parse, heeds_what_the_provider_says_about_trying_again)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    struct http_header later[] = {{"retry-after-ms", "1500"}};
    struct http_header never[] = {{"x-should-retry", "false"}};
    struct http_header again[] = {{"x-should-retry", "true"}};
    struct wire_reply reply = {.fate = WIRE_ANSWERED, .status = 429, .retry_after_ms = 9000};
    struct llm_answer answer = llm_openai.parse(&OPENAI, &a, &reply);
    cr_expect_eq(answer.retry_after_ms, 9000);
    reply.headers = later;
    reply.n_headers = 1;
    cr_expect_eq(llm_openai.parse(&OPENAI, &a, &reply).retry_after_ms, 1500);
    reply.headers = never;
    cr_expect_eq(llm_openai.parse(&OPENAI, &a, &reply).outcome, LLM_FAILED);
    reply.headers = again;
    reply.status = 400;
    cr_expect_eq(llm_openai.parse(&OPENAI, &a, &reply).outcome, LLM_RETRY);
}

Test(llm_openai_parse, tries_again_when_nothing_came_back)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    struct wire_reply reply = {.fate = WIRE_UNKNOWN, .error = "timed out"};
    struct llm_answer answer = llm_openai.parse(&OPENAI, &a, &reply);
    cr_expect_eq(answer.outcome, LLM_RETRY);
    cr_expect_str_eq(answer.error, "timed out");
}

Test(llm, knows_its_words)
{
    enum llm_schema_mode mode;
    cr_expect(llm_schema_mode_from_name("openai_strict", &mode));
    cr_expect_eq(mode, LLM_SCHEMA_OPENAI_STRICT);
    cr_expect_not(llm_schema_mode_from_name("strict", &mode));
    cr_expect_eq(llm_provider_by_name("openai"), &llm_openai);
    cr_expect_null(llm_provider_by_name("other"));
}
