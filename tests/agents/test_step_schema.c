/* What a model may answer, as a schema. */
#include "agents/json_schema.h"
#include "agents/step_schema.h"
#include "gateway/base/text.h"

#include <criterion/criterion.h>

static struct step_intent *intents(struct arena *a)
{
    struct step_intent *list = ARENA_ARRAY(a, struct step_intent, 2);
    list[0] = (struct step_intent){
        "deploy", "Deploy one commit",
        json_parse_own(
            a, "{\"type\":\"object\",\"properties\":{"
               "\"sha\":{\"type\":\"string\",\"pattern\":\"^[0-9a-f]{40}$\",\"minLength\":40},"
               "\"level\":{\"oneOf\":[{\"type\":\"integer\",\"minimum\":1},{\"type\":\"null\"}]},"
               "\"note\":{\"$ref\":\"#/$defs/note\"}},"
               "\"required\":[\"sha\"],\"additionalProperties\":false,"
               "\"$defs\":{\"note\":{\"type\":\"object\",\"properties\":{\"text\":{\"type\":"
               "\"string\",\"maxLength\":9}}}}}"),
        true};
    list[1] = (struct step_intent){
        "await", NULL,
        json_parse_own(a, "{\"type\":\"object\",\"properties\":{\"seconds\":{\"type\":\"integer\"},"
                          "\"reasoning\":{\"type\":\"string\"}},"
                          "\"required\":[\"seconds\",\"reasoning\"]}"),
        false};
    return list;
}

Test(step_schema_plain, has_one_branch_for_each_intent_and_the_tag_first)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    struct json *schema = step_schema_plain(&a, intents(&a), 2);
    cr_expect(json_schema_check(schema, NULL));
    cr_expect_str_eq(json_at(schema, "anyOf.0.properties")->child->key, "intent");
    cr_expect_str_eq(json_write(&a, json_at(schema, "anyOf.0.required")), "[\"intent\",\"sha\"]");
    cr_expect_str_eq(json_text_at(schema, "anyOf.0.properties.reasoning.type"), "string");
    cr_expect_eq(json_count(json_at(schema, "anyOf.1.properties")), 3);
    static const struct {
        const char *step;
        bool valid;
    } STEPS[] = {
        {"{\"intent\":\"await\",\"seconds\":5,\"reasoning\":\"x\"}", true},
        {"{\"intent\":\"deploy\",\"sha\":\"1111111111222222222233333333334444444444\"}", true},
        {"{\"intent\":\"deploy\",\"sha\":\"1111111111222222222233333333334444444444\","
         "\"note\":{\"text\":\"0123456789\"}}",
         false},
        {"{\"intent\":\"deploy\"}", false},
        {"{\"intent\":\"other\"}", false},
        {"{\"intent\":\"await\",\"seconds\":5,\"reasoning\":\"x\",\"sha\":\"\"}", false},
    };
    for (size_t i = 0; i < COUNT(STEPS); i++)
        cr_expect_eq(json_schema_validate(schema, json_parse_own(&a, STEPS[i].step), "s", NULL),
                     STEPS[i].valid, "%s", STEPS[i].step);
}

Test(step_schema_openai_strict, is_exactly_this)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    struct json *want = json_parse_own(
        &a,
        "{\"type\":\"object\",\"properties\":{\"step\":{\"anyOf\":["
        "{\"type\":\"object\",\"description\":\"Deploy one commit\",\"properties\":{"
        "\"intent\":{\"type\":\"string\",\"const\":\"deploy\"},"
        "\"reasoning\":{\"anyOf\":[{\"type\":\"string\"},{\"type\":\"null\"}]},"
        "\"sha\":{\"type\":\"string\",\"pattern\":\"^[0-9a-f]{40}$\"},"
        "\"level\":{\"anyOf\":[{\"type\":\"integer\",\"minimum\":1},{\"type\":\"null\"}]},"
        "\"note\":{\"anyOf\":[{\"$ref\":\"#/$defs/note\"},{\"type\":\"null\"}]}},"
        "\"required\":[\"intent\",\"reasoning\",\"sha\",\"level\",\"note\"],"
        "\"additionalProperties\":false},"
        "{\"type\":\"object\",\"properties\":{\"intent\":{\"type\":\"string\",\"const\":\"await\"},"
        "\"seconds\":{\"type\":\"integer\"},\"reasoning\":{\"type\":\"string\"}},"
        "\"required\":[\"intent\",\"seconds\",\"reasoning\"],\"additionalProperties\":false}]}},"
        "\"required\":[\"step\"],\"additionalProperties\":false,"
        "\"$defs\":{\"note\":{\"type\":\"object\",\"properties\":{\"text\":{\"anyOf\":[{\"type\":"
        "\"string\"},{\"type\":\"null\"}]}},\"required\":[\"text\"],\"additionalProperties\":false}"
        "}}");
    struct json *schema = step_schema_openai_strict(&a, intents(&a), 2);
    cr_expect(json_equal(schema, want), "%s", json_write(&a, schema));
    cr_expect_str_eq(json_at(schema, "properties.step.anyOf.0.properties")->child->key, "intent");
}

/* What OpenAI refuses, wherever it stands in the schema. */
static void expect_subset(const struct json *schema)
{
    static const char *const REFUSED[] = {"oneOf",     "allOf",       "not",     "minLength",
                                          "maxLength", "uniqueItems", "default", "examples"};
    for (size_t i = 0; i < COUNT(REFUSED); i++)
        cr_expect_null(json_get(schema, REFUSED[i]));
    const struct json *properties = json_get(schema, "properties");
    if (properties != NULL)
        cr_expect_eq(json_count(properties), json_count(json_get(schema, "required")));
    JSON_EACH(item, schema)
    expect_subset(item);
}

Test(step_schema_openai_strict, holds_nothing_that_the_provider_refuses)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    struct json *schema = step_schema_openai_strict(&a, intents(&a), 2);
    cr_expect(json_schema_check(schema, NULL));
    expect_subset(schema);
}

Test(step_schema, takes_intents_without_arguments)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    struct step_intent none = {"nothing_to_do", NULL, NULL, false};
    struct json *step = json_parse_own(&a, "{\"intent\":\"nothing_to_do\"}");
    cr_expect(json_schema_validate(step_schema_plain(&a, &none, 1), step, "s", NULL));
    struct json *wrapped =
        json_parse_own(&a, "{\"step\":{\"intent\":\"nothing_to_do\",\"reasoning\":null}}");
    cr_expect(json_schema_validate(step_schema_openai_strict(&a, &none, 1), wrapped, "s", NULL));
}
