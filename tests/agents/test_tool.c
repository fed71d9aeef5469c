#include "agents/json_schema.h"
#include "agents/tool.h"
#include "gateway/base/text.h"

#include <criterion/criterion.h>
#include <math.h>

static const char *PLACES[] = {"eu", "us"};
static struct tool_arg ARGS[] = {
    {.name = "sha", .pattern = "^[0-9a-f]{40}$", .description = "full commit id"},
    {.name = "region", .choices = PLACES, .n_choices = 2, .optional = true},
    {.name = "count", .type = ARG_INTEGER, .min = 1, .max = 5, .optional = true},
    {.name = "ratio", .type = ARG_NUMBER, .min = 0.5, .max = (double)INFINITY, .optional = true},
    {.name = "force", .type = ARG_BOOLEAN, .optional = true},
    {.name = "any", .type = ARG_INTEGER, .optional = true},
};
static const struct tool DEPLOY = {
    .name = "deploy", .args = ARGS, .n_args = COUNT(ARGS), .target = {.ref = "sha"}};

static bool is_valid(const char *args, bool for_model)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    return json_schema_validate(tool_schema(&a, &DEPLOY, for_model), json_parse_own(&a, args),
                                "deploy", NULL);
}

#define SHA "0123456789012345678901234567890123456789"

static const struct {
    const char *args;
    bool exact, by_model; /* valid before it runs; valid as a model's answer */
} CASES[] = {
    {"{\"sha\":\"" SHA "\"}", true, true},
    {"{\"sha\":\"main\"}", false, true}, /* a ref, resolved before its pattern is checked */
    {"{}", false, false},
    {"{\"sha\":1}", false, false},
    {"{\"sha\":\"" SHA "\",\"x\":1}", false, false},
    {"{\"sha\":\"" SHA "\",\"region\":\"eu\"}", true, true},
    {"{\"sha\":\"" SHA "\",\"region\":\"mars\"}", false, false},
    {"{\"sha\":\"" SHA "\",\"count\":5}", true, true},
    {"{\"sha\":\"" SHA "\",\"count\":6}", false, false},
    {"{\"sha\":\"" SHA "\",\"count\":1.5}", false, false},
    {"{\"sha\":\"" SHA "\",\"ratio\":0.25}", false, false},
    {"{\"sha\":\"" SHA "\",\"ratio\":1e300}", true, true},
    {"{\"sha\":\"" SHA "\",\"force\":true}", true, true},
    {"{\"sha\":\"" SHA "\",\"force\":\"yes\"}", false, false},
    {"{\"sha\":\"" SHA "\",\"any\":-77}", true, true},
};

Test(tool_schema, allows_what_the_arguments_allow)
{
    for (size_t i = 0; i < COUNT(CASES); i++) {
        cr_expect(is_valid(CASES[i].args, false) == CASES[i].exact, "%s", CASES[i].args);
        cr_expect(is_valid(CASES[i].args, true) == CASES[i].by_model, "for a model: %s",
                  CASES[i].args);
    }
}

Test(tool_schema, limits_the_length_of_every_text)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    struct json *schema = tool_schema(&a, &DEPLOY, true);
    cr_assert_eq(json_int_or(json_at(schema, "properties.sha.maxLength"), 0), TOOL_TEXT_MAX);
    cr_assert_str_eq(json_text_at(schema, "properties.sha.description"), "full commit id");
    cr_assert_str_eq(json_write(&a, json_get(schema, "required")), "[\"sha\"]");
}

Test(tool_by_name, finds_exactly_that_one)
{
    cr_expect_eq(tool_by_name(&DEPLOY, 1, "deploy"), &DEPLOY);
    cr_expect_null(tool_by_name(&DEPLOY, 1, "deplo"));
    cr_expect_null(tool_by_name(&DEPLOY, 1, NULL));
    cr_expect_eq(tool_arg_by_name(&DEPLOY, "count"), &ARGS[2]);
    cr_expect_null(tool_arg_by_name(&DEPLOY, NULL));
}

Test(tool_runs_unasked, only_when_it_reads_or_says_so)
{
    cr_expect_not(tool_runs_unasked(&(struct tool){.name = "x"}));
    cr_expect_not(tool_runs_unasked(&(struct tool){.name = "x", .needs = "prod"}));
    cr_expect(tool_runs_unasked(&(struct tool){.name = "x", .needs = "nobody"}));
    cr_expect(tool_runs_unasked(&(struct tool){.name = "x", .reads = true}));
}

Test(tool_arg_read, makes_of_typed_text_what_the_argument_wants)
{
    static const struct {
        const char *name;
        struct tool_arg arg;
        const char *given, *read; /* read NULL: no value */
    } cases[] = {
        {"words stay words", {.type = ARG_STRING}, "\"5\"", "\"5\""},
        {"a number", {.type = ARG_INTEGER}, "\"5\"", "5"},
        {"yes or no", {.type = ARG_BOOLEAN}, "\"true\"", "true"},
        {"what is none is left for the check", {.type = ARG_INTEGER}, "\"five\"", "\"five\""},
        {"a value is a value", {.type = ARG_INTEGER}, "5", "5"},
        {"nothing typed", {.type = ARG_STRING, .optional = true}, "\"\"", NULL},
        {"nothing typed where something must be", {.type = ARG_STRING}, "\"\"", "\"\""},
        {"null is absent", {.type = ARG_STRING}, "null", NULL},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        CLEANUP(arena_done) struct arena a = ARENA_INIT;
        const struct json *got =
            tool_arg_read(&a, &cases[i].arg, json_parse_own(&a, cases[i].given));
        if (cases[i].read == NULL)
            cr_expect_null(got, "%s", cases[i].name);
        else
            cr_expect_str_eq(json_write(&a, got), cases[i].read, "%s", cases[i].name);
    }
}
