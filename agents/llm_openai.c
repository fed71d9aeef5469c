/* OpenAI chat completions, and the many servers that speak them: POST {base}/chat/completions.
 * The servers differ in how a schema is given, in the name of the token limit, and in what they
 * leave out of an answer. */
#include "agents/llm.h"
#include "gateway/base/strbuf.h"
#include "gateway/base/text.h"

#include <string.h>

enum {
    MAX_REPLY_BYTES = 8 << 20,
    SHOWN_BYTES = 160, /* of a provider's own words */
    N_HEADERS = 3,
};

/* ---- question → call --------------------------------------------------------------------- */

/* "https://api.openai.com/v1" → "api.openai.com". */
static struct span host_of(const char *url)
{
    const char *host = strstr(url, "://");
    host = host == NULL ? url : host + 3;
    return (struct span){host, strcspn(host, "/:?#")};
}

static bool host_is(const struct llm_settings *s, const char *name)
{
    return span_eq(host_of(s->base_url), name);
}

static bool is_azure(const struct llm_settings *s)
{
    static const char azure_tail[] = ".openai.azure.com";
    struct span host = host_of(s->base_url);
    size_t tail = sizeof azure_tail - 1;
    return host.len > tail && span_eq((struct span){host.at + host.len - tail, tail}, azure_tail);
}

static enum llm_schema_mode mode_of(const struct llm_settings *s)
{
    if (s->schema_mode != LLM_SCHEMA_AUTO)
        return s->schema_mode;
    bool is_openai = host_is(s, "api.openai.com") || is_azure(s);
    return is_openai ? LLM_SCHEMA_OPENAI_STRICT : LLM_SCHEMA_JSON;
}

/* OpenAI puts the schema before the model's eyes; the others only hold it to it, or not even that.
 */
static bool schema_in_text(const struct llm_settings *s)
{
    return mode_of(s) != LLM_SCHEMA_OPENAI_STRICT;
}

static void add_schema(struct arena *a, struct json *body, enum llm_schema_mode mode,
                       const struct llm_question *question)
{
    if (mode == LLM_SCHEMA_NONE)
        return;
    bool is_strict = mode == LLM_SCHEMA_OPENAI_STRICT;
    struct json *format = json_set(a, body, "response_format", json_object(a));
    json_set_text(a, format, "type", "json_schema");
    struct json *named = json_set(a, format, "json_schema", json_object(a));
    json_set_text(a, named, "name", "step");
    if (is_strict)
        json_set_bool(a, named, "strict", true);
    json_set(a, named, "schema",
             is_strict ? step_schema_openai_strict(a, question->intents, question->n_intents)
                       : step_schema_plain(a, question->intents, question->n_intents));
}

static void add_message(struct arena *a, struct json *messages, const char *role, const char *text)
{
    struct json *message = json_push(a, messages, json_object(a));
    json_set_text(a, message, "role", role);
    json_set_text(a, message, "content", text);
}

static char *body_of(const struct llm_settings *s, struct arena *a,
                     const struct llm_question *question)
{
    enum llm_schema_mode mode = mode_of(s);
    bool is_openai = mode == LLM_SCHEMA_OPENAI_STRICT;
    struct json *body = json_object(a);
    json_set_text(a, body, "model", s->model);
    struct json *messages = json_set(a, body, "messages", json_array(a));
    add_message(a, messages, "system", question->system);
    add_message(a, messages, "user", question->user);
    add_schema(a, body, mode, question);
    if (s->max_output_tokens >
        0) /* OpenAI's newer models refuse the old name, others know no other */
        json_set_int(a, body, is_openai ? "max_completion_tokens" : "max_tokens",
                     s->max_output_tokens);
    if (host_is(s, "api.openai.com"))
        json_set_bool(a, body, "store", false);
    return json_write(a, body);
}

static bool is_header_text(const char *text)
{
    for (; *text != '\0'; text++)
        if (*text <= ' ' || *text == 0x7F)
            return false;
    return true;
}

static bool render(const struct llm_settings *s, struct arena *a,
                   const struct llm_question *question, struct wire *out, struct err *err)
{
    bool has_key = s->api_key != NULL && *s->api_key != '\0';
    if (has_key && !is_header_text(s->api_key))
        return fail(err, ERR_INVALID, "llm.api_key: must be one word of printable ASCII");
    struct http_header *headers = ARENA_ARRAY(a, struct http_header, N_HEADERS);
    size_t n = 0;
    headers[n++] = (struct http_header){"content-type", "application/json"};
    headers[n++] = (struct http_header){"accept", "application/json"};
    if (has_key && is_azure(s))
        headers[n++] = (struct http_header){"api-key", s->api_key};
    else if (has_key)
        headers[n++] =
            (struct http_header){"authorization", arena_printf(a, "Bearer %s", s->api_key)};
    size_t base_len = strlen(s->base_url);
    while (base_len > 0 && s->base_url[base_len - 1] == '/')
        base_len--;
    *out = (struct wire){
        .method = "POST",
        .url = arena_printf(a, "%.*s/chat/completions", (int)base_len, s->base_url),
        .headers = headers,
        .n_headers = n,
        .body = span_of(body_of(s, a, question)),
        .repeatable = true, /* asked twice it costs twice, and does nothing */
        .lane = "llm",
    };
    return true;
}

/* ---- reply → answer ---------------------------------------------------------------------- */

static struct llm_answer failed(enum llm_outcome outcome, const char *error)
{
    return (struct llm_answer){.outcome = outcome, .error = error};
}

static bool holds_key(const struct llm_settings *s, const char *text)
{
    return s->api_key != NULL && *s->api_key != '\0' && strstr(text, s->api_key) != NULL;
}

/* A provider's words, for logs and people; a 401 may repeat the key, so none then. */
static char *words(const struct llm_settings *s, struct arena *a, int status,
                   const struct json *error)
{
    const char *message = json_text_or(error, "message", json_text(error));
    const char *code = json_text_or(error, "code", json_text_or(error, "type", ""));
    if (message == NULL || status == 401 || holds_key(s, message))
        message = "";
    if (holds_key(s, code))
        code = "";
    return arena_printf(a, "HTTP %d%s%s%s%s", status, *code != '\0' ? " " : "",
                        text_one_line(a, text_truncate(a, code, 60)), *message != '\0' ? ": " : "",
                        text_one_line(a, text_truncate(a, message, SHOWN_BYTES)));
}

static const char *header(const struct wire_reply *reply, const char *name)
{
    return http_header_find(reply->headers, reply->n_headers, name);
}

static bool has_code(const struct json *error, const char *code)
{
    return text_eq(json_text_at(error, "code"), code) || text_eq(json_text_at(error, "type"), code);
}

static enum llm_outcome outcome_of_error(const struct wire_reply *reply, int status,
                                         const struct json *error)
{
    const char *should_retry = header(reply, "x-should-retry");
    if (has_code(error, "insufficient_quota") || has_code(error, "billing_hard_limit_reached"))
        return LLM_FAILED; /* a 429 that no waiting cures */
    if (has_code(error, "content_filter"))
        return LLM_REFUSED; /* Azure, about the question */
    if (text_eq(should_retry, "true"))
        return LLM_RETRY;
    if (text_eq(should_retry, "false"))
        return LLM_FAILED;
    bool may_pass =
        status == 408 || status == 409 || status == 425 || status == 429 || status >= 500;
    return may_pass ? LLM_RETRY : LLM_FAILED;
}

static struct llm_answer parse_error(const struct llm_settings *s, struct arena *a,
                                     const struct wire_reply *reply, int status,
                                     const struct json *root)
{
    const struct json *error = json_get(root, "error");
    int64_t ms;
    if (!text_to_int(header(reply, "retry-after-ms"), 0, 86400000, &ms))
        ms = reply->retry_after_ms;
    struct llm_answer answer =
        failed(outcome_of_error(reply, status, error), words(s, a, status, error));
    answer.retry_after_ms = answer.outcome == LLM_RETRY ? ms : 0;
    return answer;
}

/* A call of a tool as a step: its name is the intent. What the model wrote as arguments stays as it
 * wrote it; the reader of replies judges it. */
static const char *step_of_call(struct arena *a, const struct json *call)
{
    const char *name = json_text_or(call, "function.name", "");
    const struct json *given = json_at(call, "function.arguments");
    const char *args = given == NULL                ? ""
                       : given->type == JSON_STRING ? given->text
                                                    : json_write(a, given);
    args += strspn(args, " \t\r\n");
    if (*args == '\0')
        args = "{}";
    if (*args != '{')
        return args;
    args += 1 + strspn(args + 1, " \t\r\n");
    bool has_members = *args != '\0' && *args != '}';
    return arena_printf(a, "{\"intent\":\"%s\"%s%s", json_escape(a, name), has_members ? "," : "",
                        args);
}

/* Several calls become a list, which the reader of replies refuses: we take one step, not the first
 * of several. */
static const char *text_of_calls(struct arena *a, const struct json *calls)
{
    if (json_count(calls) == 1)
        return step_of_call(a, calls->child);
    struct strbuf b;
    strbuf_init(&b, a, MAX_REPLY_BYTES);
    JSON_EACH(call, calls)
    strbuf_addf(&b, "%s%s", call == calls->child ? "[" : ",", step_of_call(a, call));
    strbuf_addc(&b, ']');
    return b.text;
}

/* The content: a text, or parts of one. */
static const char *text_of_content(struct arena *a, const struct json *content)
{
    if (json_text(content) != NULL)
        return content->text;
    struct strbuf b;
    strbuf_init(&b, a, MAX_REPLY_BYTES);
    JSON_EACH(part, content)
    strbuf_add(&b, json_text_or(part, "text", ""));
    return b.text;
}

/* The order matters: a refusal may come with any finish_reason, and cut JSON with no sign but it.
 */
static struct llm_answer parse_choice(struct arena *a, const struct json *choice)
{
    const struct json *message = json_get(choice, "message");
    const struct json *calls = json_get(message, "tool_calls");
    const char *refusal = json_text_or(message, "refusal", "");
    const char *finish = json_text_or(choice, "finish_reason", "");
    if (*refusal != '\0')
        return failed(LLM_REFUSED, text_one_line(a, text_truncate(a, refusal, SHOWN_BYTES)));
    const char *text = json_count(calls) > 0 ? text_of_calls(a, calls)
                                             : text_of_content(a, json_get(message, "content"));
    if (strcmp(finish, "length") == 0)
        return (struct llm_answer){.outcome = LLM_CUT, .text = text};
    if (strcmp(finish, "content_filter") == 0)
        return failed(LLM_REFUSED, "stopped by the provider's content filter");
    return (struct llm_answer){.outcome = LLM_OK, .text = text};
}

static int64_t tokens(const struct json *root, const char *path)
{
    int64_t count = json_int_or(json_at(root, path), 0);
    return count < 0 ? 0 : count;
}

static struct llm_answer parse_reply(const struct llm_settings *s, struct arena *a,
                                     const struct wire_reply *reply)
{
    struct json *root = NULL;
    struct err why = ERR_INIT;
    if (reply->fate != WIRE_ANSWERED)
        return failed(LLM_RETRY, reply->error == NULL ? "no answer" : reply->error);
    bool is_json = json_parse(a, reply->body, MAX_REPLY_BYTES, &root, &why);
    if (reply->status < 200 || reply->status > 299)
        return parse_error(s, a, reply, reply->status, root);
    if (!is_json)
        return failed(LLM_RETRY, arena_printf(a, "the answer is no JSON: %s", why.text));
    const struct json *error = json_get(root, "error");
    if (error != NULL && error->type != JSON_NULL)
        return parse_error(s, a, reply, (int)json_int_or(json_get(error, "code"), 500), root);
    const struct json *choice = json_at(root, "choices.0");
    if (choice == NULL)
        return failed(LLM_RETRY, "the answer has no choices");
    struct llm_answer answer = parse_choice(a, choice);
    answer.model = json_text_at(root, "model");
    answer.input_tokens = tokens(root, "usage.prompt_tokens");
    answer.output_tokens = tokens(root, "usage.completion_tokens");
    return answer;
}

/* Whatever it is made of, a sentence for people and logs holds no key. */
static struct llm_answer parse(const struct llm_settings *s, struct arena *a,
                               const struct wire_reply *reply)
{
    struct llm_answer answer = parse_reply(s, a, reply);
    if (answer.error != NULL && holds_key(s, answer.error))
        answer.error = "what the provider said holds the API key, so it is not repeated";
    return answer;
}

const struct llm_provider llm_openai = {
    .name = "openai",
    .schema_in_text = schema_in_text,
    .render = render,
    .parse = parse,
};
