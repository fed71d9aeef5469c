/* Reaches: reply.c, loose_json.c, fit.c, json_schema.c. What is taken as a step must be valid for
 * its intent; an acting step must need no repair; and what is strict JSON must be read as the
 * strict parser reads it, without a flag. */
#include "agents/json_schema.h"
#include "agents/loose_json.h"
#include "agents/reply.h"
#include "gateway/base/text.h"

#include <string.h>

static const char DEPLOY[] =
    "{\"type\":\"object\",\"properties\":{\"sha\":{\"type\":\"string\",\"pattern\":"
    "\"^[0-9a-f]{4,40}$\"},\"tags\":{\"type\":\"array\",\"items\":{\"type\":\"string\"}},"
    "\"note\":{\"$ref\":\"#/$defs/note\"}},\"required\":[\"sha\"],\"additionalProperties\":false,"
    "\"$defs\":{\"note\":{\"anyOf\":[{\"type\":\"object\",\"properties\":{\"x\":{\"$ref\":"
    "\"#/$defs/note\"}}},{\"type\":\"null\"}]}}}";
static const char LIST[] = "{\"type\":\"object\",\"properties\":{\"limit\":{\"type\":\"integer\"},"
                           "\"all\":{\"type\":\"boolean\"},\"after\":{\"type\":\"string\"}},"
                           "\"additionalProperties\":false}";

static size_t depth_of(const struct json *j)
{
    size_t deepest = 0;
    JSON_EACH(item, j)
    {
        size_t depth = depth_of(item);
        deepest = depth > deepest ? depth : deepest;
    }
    return deepest + 1;
}

static void compare_with_strict(struct arena *a, struct span text)
{
    struct json *strict;
    struct loose loose;
    size_t reached;
    if (!json_parse(a, text, 0, &strict, NULL) || text.len == 0 ||
        (text.at[0] != '{' && text.at[0] != '['))
        return;
    if (!loose_json_parse(a, text, &loose, &reached)) {
        JSON_EACH(item, strict)
        if (json_count(strict) > LOOSE_MAX_MEMBERS || json_count(item) > LOOSE_MAX_MEMBERS)
            return; /* a limit that the strict parser has not */
        abort();
    }
    if (loose.flags != 0 || !json_equal(loose.value, strict))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    if (size > 4096 || memchr(data, '\0', size) != NULL)
        return 0;
    const char *text = arena_strndup(&a, (const char *)data, size);
    if (utf8_valid(span_of(text)))
        compare_with_strict(&a, span_of(text));
    const struct step_intent intents[] = {
        {"deploy", NULL, json_parse_own(&a, DEPLOY), true},
        {"list", NULL, json_parse_own(&a, LIST), false},
        {"wait", NULL, NULL, false},
    };
    struct reply_step step;
    struct err err = ERR_INIT;
    if (!reply_to_step(&a, text, size % 2 == 0, intents, COUNT(intents), &step, &err)) {
        if (err.text[0] == '\0' || !utf8_valid(span_of(err.text)))
            abort();
        return 0;
    }
    unsigned repairs = REPLY_REPAIRED | REPLY_CUT | REPLY_LIST | REPLY_TAG | REPLY_DROPPED;
    if (step.intent->acts && (step.flags & repairs) != 0)
        abort();
    if (!text_eq(json_text_at(step.step, "intent"), step.intent->name) ||
        depth_of(step.step) > JSON_MAX_DEPTH + 2)
        abort();
    const struct json *args = json_without(&a, json_without(&a, step.step, "intent"), "reasoning");
    if (step.intent->args != NULL && !json_schema_validate(step.intent->args, args, "args", NULL))
        abort();
    if (!json_equal(step.step, json_parse_own(&a, json_write(&a, step.step))))
        abort();
    return 0;
}
