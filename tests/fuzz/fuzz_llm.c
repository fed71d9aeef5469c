/* Reaches: agents/llm_openai.c on any answer, then what its text is read as. Every answer has an
 * outcome with what belongs to it; no secret is in a sentence; tokens never run backwards. */
#include "agents/agent.h"
#include "agents/llm.h"
#include "gateway/base/text.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define SECRET "sk-very-secret"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const int statuses[] = {200, 200, 200, 400, 401, 404, 413, 429, 500, 503};
    static const struct tool *tools[1];
    static struct tool_arg sha[] = {{.name = "sha"}};
    static const struct tool deploy = {
        .name = "deploy", .args = sha, .n_args = 1, .run = {.kind = RUN_COMMAND}, .needs = "x"};
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    if (size < 2 || size > 16384)
        return 0;
    tools[0] = &deploy;
    struct agent agent = {.name = "bot", .tools = tools, .n_tools = 1};
    struct llm_settings settings = {.base_url = "https://llm.test/v1",
                                    .api_key = SECRET,
                                    .model = "m",
                                    .schema_mode = (enum llm_schema_mode)(data[1] % 6)};
    struct http_header headers[] = {{"retry-after-ms", "20"}};
    struct wire_reply reply = {.fate = data[0] % 16 == 15   ? WIRE_NOT_SENT
                                       : data[0] % 16 == 14 ? WIRE_UNKNOWN
                                                            : WIRE_ANSWERED,
                               .status = statuses[data[0] % COUNT(statuses)],
                               .headers = headers,
                               .n_headers = data[1] >= 128,
                               .body = {(const char *)data + 2, size - 2},
                               .error = "it ended"};
    struct llm_answer answer = llm_openai.parse(&settings, &a, &reply);
    bool has_text = answer.outcome == LLM_OK || answer.outcome == LLM_CUT;
    if (has_text != (answer.text != NULL) && has_text)
        abort();
    if (!has_text && (answer.error == NULL || *answer.error == '\0' ||
                      !utf8_valid(span_of(answer.error)) || strstr(answer.error, SECRET) != NULL))
        abort();
    if (answer.input_tokens < 0 || answer.output_tokens < 0 || answer.retry_after_ms < 0)
        abort();
    if (!has_text)
        return 0;
    struct json *step = NULL, *again = NULL;
    bool cut = answer.outcome == LLM_CUT;
    enum event_type type = agent_read_answer(&agent, answer.text, cut, &a, &step);
    if (agent_read_answer(&agent, answer.text, cut, &a, &again) != type || !json_equal(step, again))
        abort();
    if (type == EVENT_STEP && cut && text_eq(json_text_at(step, "intent"), "deploy"))
        abort(); /* a write that was cut off is never repaired */
    return 0;
}
