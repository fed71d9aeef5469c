/* JSON Schema: the standard's own tests for our keywords, and the sentences we say. */
#include "agents/json_schema.h"
#include "gateway/base/text.h"
#include "tests/golden.h"

#include <criterion/criterion.h>
#include <string.h>

/* json-schema-org/JSON-Schema-Test-Suite, MIT; see tests/golden/jsonschema/README.md. */
static const char *const FILES[] = {
    "additionalProperties",
    "allOf",
    "anyOf",
    "boolean_schema",
    "const",
    "default",
    "enum",
    "exclusiveMaximum",
    "exclusiveMinimum",
    "items",
    "maxItems",
    "infinite-loop-detection",
    "maxLength",
    "maximum",
    "minItems",
    "minLength",
    "minimum",
    "not",
    "oneOf",
    "pattern",
    "properties",
    "ref",
    "required",
    "type",
    "uniqueItems",
};

/* We refuse U+0000 in every text, so the group that is about it is told with U+0001. */
static struct json *load(struct arena *a, const char *name)
{
    struct span bytes = golden_bytes(a, arena_printf(a, "jsonschema/%s.json", name));
    char *text = arena_strndup(a, bytes.at, bytes.len);
    for (char *nul = text; (nul = strstr(nul, "\\u0000")) != NULL;)
        nul[5] = '1';
    return json_parse_own(a, text);
}

Test(json_schema, agrees_with_the_standards_own_tests)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    size_t groups = 0, tests = 0;
    for (size_t i = 0; i < COUNT(FILES); i++)
        JSON_EACH(group, load(&a, FILES[i]))
        {
            groups++;
            JSON_EACH(test, json_get(group, "tests"))
            {
                struct err err = ERR_INIT;
                bool valid = json_schema_validate(json_get(group, "schema"), json_get(test, "data"),
                                                  "value", &err);
                tests++;
                cr_expect_eq(valid, json_is_true(json_get(test, "valid")), "%s: %s: %s (%s)",
                             FILES[i], json_text_at(group, "description"),
                             json_text_at(test, "description"), err.text);
                cr_expect(valid || text_starts(err.text, "value"), "%s", err.text);
            }
        }
    cr_expect_eq(groups, 76);
    cr_expect_eq(tests, 302);
}

static const struct sentence {
    const char *schema, *value, *says;
} SENTENCES[] = {
    {"{\"properties\":{\"sha\":{\"pattern\":\"^[0-9a-f]{40}$\"}}}", "{\"sha\":\"abc\"}",
     "step.sha: does not match ^[0-9a-f]{40}$"},
    {"{\"required\":[\"sha\"]}", "{}", "step.sha: is required"},
    {"{\"properties\":{\"a\":{}},\"additionalProperties\":false}", "{\"b\":1}",
     "step.b: is not known here"},
    {"{\"items\":{\"items\":{\"type\":\"integer\"}}}", "[[1],[2,\"x\"]]",
     "step[1][1]: must be of type integer, is string"},
    {"{\"properties\":{\"n\":{\"anyOf\":[{\"type\":\"integer\",\"maximum\":5},{\"type\":\"null\"}]}"
     "}}",
     "{\"n\":6}", "step.n: must be at most 5"},
    {"{\"type\":[\"string\",\"null\"]}", "1", "step: must be of type string or null, is number"},
    {"{\"enum\":[\"low\",\"high\"]}", "\"mid\"", "step: must be one of \"low\", \"high\""},
    {"{\"type\":\"integer\"}", "1.5", "step: must be a whole number within ±(2^53 - 1)"},
    {"{\"type\":\"integer\"}", "9007199254740992",
     "step: must be a whole number within ±(2^53 - 1)"},
    {"{\"maxLength\":2}", "\"日本語\"", "step: must have at most 2 characters"},
    {"{\"uniqueItems\":true}", "[{\"a\":1,\"b\":2},{\"b\":2.0,\"a\":1}]",
     "step: has the item {\"a\":1,\"b\":2} twice"},
    {"{\"const\":\"deploy\"}", "\"Deploy\"", "step: must be \"deploy\""},
    {"false", "1", "step: is not allowed"},
};

Test(json_schema, says_where_and_what_was_expected)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    for (size_t i = 0; i < COUNT(SENTENCES); i++) {
        struct err err = ERR_INIT;
        const struct sentence *s = &SENTENCES[i];
        cr_expect_not(json_schema_validate(json_parse_own(&a, s->schema),
                                           json_parse_own(&a, s->value), "step", &err));
        cr_expect_str_eq(err.text, s->says);
    }
}

Test(json_schema, ends_on_a_schema_that_turns_in_a_circle)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    static const char *const CIRCLES[] = {
        "{\"$ref\":\"#\"}",
        "{\"anyOf\":[{\"$ref\":\"#\"},{\"$ref\":\"#\"}]}",
        "{\"not\":{\"$ref\":\"#\"}}",
        "{\"oneOf\":[{\"$ref\":\"#/oneOf/0\"}]}",
        "{\"$ref\":\"https://example.com/schema\"}",
        "{\"$ref\":\"#/$defs/absent\"}",
        "{\"not\":{\"$ref\":\"#/$defs/absent\"}}",
    };
    for (size_t i = 0; i < COUNT(CIRCLES); i++) {
        struct err err = ERR_INIT;
        struct json *schema = json_parse_own(&a, CIRCLES[i]);
        cr_expect_not(json_schema_validate(schema, json_null(&a), "x", &err), "%s", CIRCLES[i]);
        cr_expect_not(text_eq(err.text, ""));
    }
}

/* Forty definitions, each of which asks the next one twice: 2^40 ways to be wrong. */
Test(json_schema, ends_on_a_schema_that_doubles_its_work, .timeout = 20)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    struct json *schema = json_parse_own(&a, "{\"$ref\":\"#/$defs/d0\"}");
    struct json *definitions = json_set(&a, schema, "$defs", json_object(&a));
    for (int i = 0; i < 40; i++)
        json_set(&a, definitions, arena_printf(&a, "d%d", i),
                 json_parse_own(&a, arena_printf(&a,
                                                 "{\"anyOf\":[{\"$ref\":\"#/$defs/d%d\"},"
                                                 "{\"$ref\":\"#/$defs/d%d\"}]}",
                                                 i + 1, i + 1)));
    json_set(&a, definitions, "d40", json_parse_own(&a, "false"));
    struct err err = ERR_INIT;
    cr_expect_not(json_schema_validate(schema, json_null(&a), "x", &err));
    cr_expect_str_eq(err.text, "x: the schema is too deep or too costly");
}

Test(json_schema, follows_only_references_that_lead_somewhere)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    struct json *root =
        json_parse_own(&a, "{\"$defs\":{\"a\":{\"$ref\":\"#/$defs/"
                           "b\"},\"b\":{\"type\":\"null\"}},\"$ref\":\"#/$defs/a\"}");
    cr_expect_eq(json_schema_resolve(root, root), json_at(root, "$defs.b"));
    cr_expect_null(json_schema_resolve(root, json_parse_own(&a, "{\"$ref\":\"#/nowhere\"}")));
}

Test(pattern, does_not_let_a_line_break_through_at_the_end)
{
    cr_expect(pattern_matches("^[0-9a-f]{4}$", "abcd", NULL));
    cr_expect_not(pattern_matches("^[0-9a-f]{4}$", "abcd\n", NULL));
}

Test(pattern, means_ascii_digits_and_words)
{
    cr_expect(pattern_matches("^\\d+$", "123", NULL));
    cr_expect_not(pattern_matches("^\\d+$", "١٢٣", NULL));
    cr_expect_not(pattern_matches("^\\w+$", "é", NULL));
    cr_expect(pattern_matches("^.$", "é", NULL));
    cr_expect(pattern_matches("^\\u00e9$", "é", NULL));
}

Test(pattern, gives_up_where_matching_explodes)
{
    struct err err = ERR_INIT;
    cr_expect_not(
        pattern_matches("^(a+)+$", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!", &err));
    cr_expect_eq(err.kind, ERR_TOO_LARGE);
    cr_expect_not(pattern_matches("(", "x", &err));
    cr_expect_str_eq(err.text, "( is no pattern");
}

/* An explosion must not become "valid" by being turned round. */
Test(pattern, that_gives_up_is_not_turned_round_by_not)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    struct json *schema = json_parse_own(&a, "{\"not\":{\"pattern\":\"^(a+)+$\"}}");
    struct json *text = json_string(&a, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!");
    cr_expect_not(json_schema_validate(schema, text, "x", NULL));
}

static const struct sentence BAD_SCHEMAS[] = {
    {"{\"multipleOf\":2}", NULL, "multipleOf: is not supported"},
    {"{\"properties\":{\"a\":{\"format\":\"uri\"}}}", NULL,
     "properties: a: format: is not supported"},
    {"{\"type\":\"text\"}", NULL, "type: is no type"},
    {"{\"pattern\":\"(\"}", NULL, "pattern: ( is no pattern"},
    {"{\"required\":\"a\"}", NULL, "required: must be a list of names"},
    {"{\"anyOf\":{}}", NULL, "anyOf: must be a list"},
    {"{\"minimum\":\"1\"}", NULL, "minimum: must be a number"},
    {"3", NULL, "is no schema"},
};

Test(json_schema, finds_keywords_that_nobody_would_check)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    for (size_t i = 0; i < COUNT(BAD_SCHEMAS); i++) {
        struct err err = ERR_INIT;
        cr_expect_not(json_schema_check(json_parse_own(&a, BAD_SCHEMAS[i].schema), &err));
        cr_expect_str_eq(err.text, BAD_SCHEMAS[i].says);
    }
    struct json *good = json_parse_own(
        &a,
        "{\"type\":\"object\",\"properties\":{\"sha\":{\"type\":\"string\",\"pattern\":\"^x$\"}},"
        "\"required\":[\"sha\"],\"additionalProperties\":false}");
    cr_expect(json_schema_check(good, NULL));
}
