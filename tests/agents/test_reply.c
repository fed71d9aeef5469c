/* A model's answer → one step: recorded and made-up answers, and what BAML's tests expect. */
#include "agents/fit.h"
#include "agents/json_schema.h"
#include "agents/loose_json.h"
#include "agents/reply.h"
#include "gateway/base/text.h"
#include "tests/golden.h"

#include <criterion/criterion.h>
#include <string.h>

/* ---- the union of a deploy agent --------------------------------------------------------- */

enum { MAX_INTENTS = 16 };

struct union_case {
    struct step_intent intents[MAX_INTENTS];
    size_t n;
};

static bool may_be_null(const struct json *schema)
{
    JSON_EACH(part, json_get(schema, "anyOf"))
    if (text_eq(json_text_at(part, "type"), "null"))
        return true;
    return false;
}

/* The fixture's schema requires every member and knows no bounds; ours has optional arguments, and
 * the bounds that its `policy_why` speaks of ("out of range"). */
static struct json *args_of(struct arena *a, const struct json *file, const struct json *class)
{
    struct json *args = json_object(a), *properties = json_object(a), *required = json_array(a);
    JSON_EACH(property, json_get(class, "properties"))
    {
        if (strcmp(property->key, "intent") == 0)
            continue;
        struct json *put = json_set(a, properties, property->key, property);
        if (strcmp(property->key, "limit") == 0)
            json_set_int(a, put, "minimum", 1);
        if (strcmp(property->key, "seconds") == 0)
            json_set_int(a, put, "maximum", 7 * 86400);
        if (!may_be_null(property))
            json_push_text(a, required, property->key);
    }
    json_set_text(a, args, "type", "object");
    json_set(a, args, "properties", properties);
    json_set(a, args, "required", required);
    json_set_bool(a, args, "additionalProperties", false);
    json_set(a, args, "$defs", json_at(file, "output_schema.$defs"));
    return args;
}

static void add_intents(struct arena *a, const struct json *file, struct union_case *u)
{
    JSON_EACH(part, json_at(file, "output_schema.anyOf"))
    {
        const struct json *class = json_schema_resolve(json_get(file, "output_schema"), part);
        struct step_intent *intent = &u->intents[u->n++];
        intent->name = json_text_at(class, "properties.intent.const");
        intent->args = args_of(a, file, class);
        JSON_EACH(name, json_get(file, "side_effecting"))
        intent->acts |= text_eq(json_text(name), intent->name);
    }
}

/* Our step has no null where an optional argument is absent. */
static const struct json *without_nulls(struct arena *a, const struct json *value)
{
    struct json *rest = json_object(a);
    JSON_EACH(item, value)
    if (item->type != JSON_NULL)
        json_set(a, rest, item->key, item);
    return rest;
}

Test(reply_to_step, follows_the_policy_of_every_recorded_answer)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    struct json *file = golden_json(&a, "llm/deploybot_union.json");
    struct union_case u = {.n = 0};
    add_intents(&a, file, &u);
    size_t accepted = 0, refused = 0;
    JSON_EACH(one, json_get(file, "cases"))
    {
        struct err err = ERR_INIT;
        struct reply_step step = {.step = NULL};
        const char *id = json_text_at(one, "id");
        bool want = text_eq(json_text_at(one, "policy"), "accept");
        bool ok = reply_to_step(&a, json_text_at(one, "input"), false, u.intents, u.n, &step, &err);
        accepted += ok;
        refused += !ok;
        cr_expect_eq(ok, want, "%s: %s", id, ok ? json_write(&a, step.step) : err.text);
        cr_expect(ok || strlen(err.text) > 10, "%s: a sentence", id);
        if (ok && want)
            cr_expect(json_equal(step.step, without_nulls(&a, json_at(one, "baml.value"))),
                      "%s: %s", id, json_write(&a, step.step));
    }
    cr_expect_eq(accepted, 32, "%zu accepted", accepted);
    cr_expect_eq(refused, 28, "%zu refused", refused);
}

/* ---- BAML's own tests -------------------------------------------------------------------- */

/* Why we differ from BAML on purpose. It turns any text into any type; we take one step whole or
 * ask again. */
enum why {
    SAME,
    STREAMING, /* half an answer, shown while it comes: we read whole answers only */
    SCORE,     /* only BAML's internal score is expected */
    ALIAS,     /* members and values with second names: our arguments have one name */
    GUESSED,   /* a value found inside other text, or in other letters, or a number in words */
    SEVERAL,   /* several objects, of which BAML takes the first that fits */
    TORN,      /* the answer ends inside a value or a list */
    SHAPE,     /* another shape bent into the one wanted: raw text for a string, a list for one */
    BETTER,    /* we keep what BAML loses */
    N_WHY
};

static const struct difference {
    const char *id;
    enum why why;
} DIFFERENCES[] = {
    {"mod/test_string_from_object", SHAPE},
    {"mod/test_string_from_list", SHAPE},
    {"mod/test_string_from_string21", SHAPE},
    {"mod/test_string_from_string23", BETTER},
    {"basics/test_string", SHAPE},
    {"basics/test_bool_wrapped_mismatched_case", GUESSED},
    {"basics/test_bool_mismatched_case_followed_by_text", GUESSED},
    {"basics/test_float_comma_us", GUESSED},
    {"basics/test_float_1", GUESSED},
    {"basics/test_multiple_top_level_1", SEVERAL},
    {"basics/test_multiple_top_level_prefix_suffix_1", SEVERAL},
    {"basics/test_incomplete_string_in_object", TORN},
    {"basics/test_localization", SHAPE},
    {"class/test_multi_fielded_foo_with_optional_and_extra_text", SEVERAL},
    {"class/test_nested_class_with_prefix", SEVERAL},
    {"class/test_nested_obj_from_float", SHAPE},
    {"enum/from_enum_list_multi", GUESSED},
    {"enum/from_string_and_case_mismatch", GUESSED},
    {"enum/from_string_and_case_mismatch_upper", GUESSED},
    {"enum/case_sensitive_non_ambiguous_match", GUESSED},
    {"lists/test_list_with_extra_text", SHAPE},
    {"lists/test_list_streaming", TORN},
    {"literals/test_literal_string_lowercase", GUESSED},
    {"literals/test_literal_string_preceded_by_extra_text_case_mismatch", GUESSED},
    {"literals/test_literal_string_followed_by_extra_text_case_mismatch", GUESSED},
    {"literals/test_literal_string_with_quotes_preceded_by_extra_text_case_mismatch", GUESSED},
    {"literals/test_literal_string_with_quotes_followed_by_extra_text_case_mismatch", GUESSED},
    {"literals/test_literal_string_with_special_characters", GUESSED},
    {"maps/test_unterminated_nested_map", TORN},
    {"maps/test_union_of_map_and_class", SHAPE},
};

static bool has_alias(const struct json *j)
{
    JSON_EACH(item, j)
    if (text_eq(item->key, "alias") || has_alias(item))
        return true;
    return false;
}

static enum why why_different(const struct json *one)
{
    if (json_is_true(json_get(one, "partial")))
        return STREAMING;
    if (json_is_true(json_at(one, "expect.ok")) && json_at(one, "expect.value") == NULL)
        return SCORE;
    for (size_t i = 0; i < COUNT(DIFFERENCES); i++)
        if (text_eq(DIFFERENCES[i].id, json_text_at(one, "id")))
            return DIFFERENCES[i].why;
    return json_is_true(json_at(one, "expect.ok")) && has_alias(json_get(one, "defs")) ? ALIAS
                                                                                       : SAME;
}

/* The fixture requires optional members, as null; ours may be absent. */
static const struct json *with_optional_members(struct arena *a, const struct json *schema)
{
    if (schema->type != JSON_OBJECT && schema->type != JSON_ARRAY)
        return schema;
    struct json *copy = schema->type == JSON_ARRAY ? json_array(a) : json_object(a);
    JSON_EACH(item, schema)
    {
        const struct json *inner = with_optional_members(a, item);
        if (schema->type == JSON_ARRAY) {
            json_push(a, copy, inner);
            continue;
        }
        if (strcmp(item->key, "required") == 0 && item->type == JSON_ARRAY) {
            struct json *required = json_array(a);
            JSON_EACH(name, item)
            if (!may_be_null(json_get(json_get(schema, "properties"), json_text(name))))
                json_push(a, required, name);
            inner = required;
        }
        json_set(a, copy, item->key, inner);
    }
    return copy;
}

static const struct json *without_nulls_inside(struct arena *a, const struct json *value)
{
    if (value->type != JSON_OBJECT && value->type != JSON_ARRAY)
        return value;
    struct json *copy = value->type == JSON_ARRAY ? json_array(a) : json_object(a);
    JSON_EACH(item, value)
    if (value->type == JSON_ARRAY)
        json_push(a, copy, without_nulls_inside(a, item));
    else if (item->type != JSON_NULL)
        json_set(a, copy, item->key, without_nulls_inside(a, item));
    return copy;
}

/* Our answers are objects; where the fixture wants another value, it is read as a member of one. */
static const struct json *read_like_baml(struct arena *a, const struct json *one)
{
    const char *text = json_text_at(one, "input"), *kind = json_text_at(one, "type.kind");
    const struct json *schema = with_optional_members(a, json_get(one, "output_schema"));
    bool is_object = text_eq(kind, "class") || text_eq(kind, "map") ||
                     (text_eq(kind, "union") && json_get(schema, "$defs") != NULL) ||
                     json_is_true(json_get(one, "partial"));
    struct reply reply;
    unsigned flags = 0;
    if (!is_object) {
        struct json *wrapper = json_object(a);
        json_set(a, json_set(a, wrapper, "properties", json_object(a)), "value", schema);
        json_push_text(a, json_set(a, wrapper, "required", json_array(a)), "value");
        json_set(a, wrapper, "$defs", json_get(schema, "$defs"));
        text = arena_printf(a, "{\"value\": %s}", text);
        schema = wrapper;
    }
    if (!reply_extract(a, text, &reply, NULL))
        return NULL;
    const struct json *value = fit_value(a, schema, schema, reply.value, false, &flags);
    if (!json_schema_validate(schema, value, "value", NULL))
        return NULL;
    return is_object ? value : json_get(value, "value");
}

static bool is_same(struct arena *a, const struct json *one, const struct json *value)
{
    const struct json *want = json_at(one, "expect.value");
    if (value == NULL || !json_is_true(json_at(one, "expect.ok")))
        return value == NULL && !json_is_true(json_at(one, "expect.ok"));
    return want != NULL &&
           json_equal(without_nulls_inside(a, value), without_nulls_inside(a, want));
}

Test(reply_extract, reads_what_baml_reads_but_for_listed_reasons)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    size_t count[N_WHY] = {0};
    JSON_EACH(one, golden_json(&a, "llm/baml_jsonish.json"))
    {
        const struct json *value = read_like_baml(&a, one);
        bool same = is_same(&a, one, value);
        enum why why = why_different(one);
        count[why]++;
        cr_expect_eq(same, why == SAME, "%s: %s", json_text_at(one, "id"),
                     value == NULL ? "refused" : json_write(&a, value));
    }
    static const size_t WANT[N_WHY] = {
        [SAME] = 54,   [STREAMING] = 12, [SCORE] = 5, [ALIAS] = 10, [GUESSED] = 14,
        [SEVERAL] = 4, [TORN] = 3,       [SHAPE] = 8, [BETTER] = 1};
    for (size_t i = 0; i < N_WHY; i++)
        cr_expect_eq(count[i], WANT[i], "category %zu: %zu", i, count[i]);
}

/* BAML finds a number in any text; "3,14" is 314 to it. We take a JSON number in quotes, or ask. */
Test(fit_value, takes_no_number_out_of_a_text)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    struct json *schema = json_parse_own(&a, "{\"type\":\"number\"}");
    size_t cases = 0, agreed = 0;
    JSON_EACH(one, golden_json(&a, "llm/baml_number_in_text.json"))
    {
        unsigned flags = 0;
        const struct json *text = json_get(one, "input");
        const struct json *value = fit_value(&a, schema, schema, text, false, &flags);
        cr_expect_eq(value, text, "%s", text->text);
        cases++;
        agreed += json_get(one, "number")->type == JSON_NULL;
    }
    cr_expect_eq(cases, 20);
    cr_expect_eq(agreed, 7, "%zu", agreed);
}

/* ---- what an acting intent does not forgive ---------------------------------------------- */

static const struct step_intent *deploy_intents(struct arena *a, struct step_intent out[3])
{
    out[0] = (struct step_intent){
        "deploy_backend", NULL,
        json_parse_own(a, "{\"type\":\"object\",\"properties\":{\"sha\":{\"type\":\"string\","
                          "\"pattern\":\"^[0-9a-f]{7}$\"},\"wait_s\":{\"type\":\"integer\"},"
                          "\"tags\":{\"type\":\"array\",\"items\":{\"type\":\"string\"}}},"
                          "\"required\":[\"sha\"],\"additionalProperties\":false}"),
        true};
    out[1] = (struct step_intent){
        "list_git_tags", NULL,
        json_parse_own(a, "{\"type\":\"object\",\"properties\":{\"limit\":{\"type\":\"integer\"},"
                          "\"all\":{\"type\":\"boolean\"},\"after\":{\"type\":\"string\"}},"
                          "\"additionalProperties\":false}"),
        false};
    out[2] = (struct step_intent){"keep_waiting", NULL, NULL, false};
    return out;
}

static const struct answer {
    const char *name, *text;
    bool cut_off;
    const char *step, *flags, *says; /* step, or what is said against it */
} ANSWERS[] = {
    {"plain", "{\"intent\":\"deploy_backend\",\"sha\":\"abc1234\"}", false,
     "{\"intent\":\"deploy_backend\",\"sha\":\"abc1234\"}", "", NULL},
    {"wrapped as the strict schema asks",
     "{\"step\":{\"intent\":\"deploy_backend\",\"sha\":\"abc1234\",\"wait_s\":null}}", false,
     "{\"intent\":\"deploy_backend\",\"sha\":\"abc1234\"}", "wrapped", NULL},
    {"fence, prose and reasoning are no repair",
     "<think>{\"intent\":\"list_git_tags\"}</think>Now:\n```json\n{\"intent\":\"deploy_backend\","
     "\"sha\":\"abc1234\"}\n```",
     false, "{\"intent\":\"deploy_backend\",\"sha\":\"abc1234\"}", "reasoning fence prose", NULL},
    {"reasoning is kept", "{\"reasoning\":\"tests passed\",\"intent\":\"keep_waiting\"}", false,
     "{\"intent\":\"keep_waiting\",\"reasoning\":\"tests passed\"}", "", NULL},
    {"reasoning must be text", "{\"reasoning\":[1],\"intent\":\"keep_waiting\"}", false, NULL, NULL,
     "keep_waiting.reasoning: must be a string"},
    {"a number in quotes and a list of one lose nothing",
     "{\"intent\":\"deploy_backend\",\"sha\":\"abc1234\",\"wait_s\":\"5\",\"tags\":\"v1\"}", false,
     "{\"intent\":\"deploy_backend\",\"sha\":\"abc1234\",\"wait_s\":5,\"tags\":[\"v1\"]}",
     "coerced", NULL},
    {"a number is no commit", "{\"intent\":\"deploy_backend\",\"sha\":1234567}", false, NULL, NULL,
     "deploy_backend.sha: must be of type string, is number"},
    {"acting: a trailing comma", "{\"intent\":\"deploy_backend\",\"sha\":\"abc1234\",}", false,
     NULL, NULL,
     "deploy_backend: it is not strict JSON; as this step acts, give it as one plain JSON object"},
    {"acting: a missing bracket", "{\"intent\":\"deploy_backend\",\"sha\":\"abc1234\"", false, NULL,
     NULL,
     "deploy_backend: closing brackets are missing; as this step acts, give it as one plain JSON "
     "object"},
    {"acting: a list of one", "[{\"intent\":\"deploy_backend\",\"sha\":\"abc1234\"}]", false, NULL,
     NULL,
     "deploy_backend: it stands in a list; as this step acts, give it as one plain JSON object"},
    {"acting: capitals", "{\"intent\":\"Deploy_Backend\",\"sha\":\"abc1234\"}", false, NULL, NULL,
     "deploy_backend: the intent is not spelled exactly; as this step acts, give it as one plain "
     "JSON object"},
    {"acting: an unknown argument",
     "{\"intent\":\"deploy_backend\",\"sha\":\"abc1234\",\"environment\":\"staging\"}", false, NULL,
     NULL, "deploy_backend.environment: is not known here"},
    {"acting: whole, but the answer was cut off",
     "{\"intent\":\"deploy_backend\",\"sha\":\"abc1234\"} and then", true, NULL, NULL,
     "deploy_backend: the answer was cut off; give the whole step, shorter"},
    {"reading: whole, but the answer was cut off", "{\"intent\":\"list_git_tags\"} and th", true,
     "{\"intent\":\"list_git_tags\"}", "prose", NULL},
    {"reading: cut off before its bracket", "{\"intent\":\"list_git_tags\",\"limit\":1", true, NULL,
     NULL, "list_git_tags: the answer was cut off; give the whole step, shorter"},
    {"reading: bent into shape",
     "[{'intent': 'LIST_git_tags', limit: [5], \"all\": \"true\", after: 7, why: because,}]", false,
     "{\"intent\":\"list_git_tags\",\"limit\":5,\"all\":true,\"after\":\"7\"}",
     "repaired list tag coerced dropped", NULL},
    {"the same step twice is one",
     "{\"intent\":\"list_git_tags\"}\n\n{\"intent\": \"list_git_tags\"}", false,
     "{\"intent\":\"list_git_tags\"}", "", NULL},
    {"two steps", "{\"intent\":\"list_git_tags\"} {\"intent\":\"keep_waiting\"}", false, NULL, NULL,
     "there are two different steps; answer with exactly one JSON object that has an \"intent\""},
    {"a key twice", "{\"intent\":\"list_git_tags\",\"limit\":1,\"limit\":2}", false, NULL, NULL,
     "a key stands twice in one object; answer with exactly one JSON object that has an "
     "\"intent\""},
    {"a key twice, spelled differently", "{\"intent\":\"keep_waiting\",\"\\u0069ntent\":\"x\"}",
     false, NULL, NULL,
     "a key stands twice in one object; answer with exactly one JSON object that has an "
     "\"intent\""},
    {"a list of steps", "[{\"intent\":\"list_git_tags\"},{\"intent\":\"keep_waiting\"}]", false,
     NULL, NULL,
     "there is a list of steps; answer with exactly one JSON object that has an \"intent\""},
    {"a list of steps that does not end",
     "[{\"intent\":\"list_git_tags\"},{\"intent\":\"keep_waiting\"}", false, NULL, NULL,
     "there are two different steps; answer with exactly one JSON object that has an \"intent\""},
    {"reasoning without an end", "<think>hm {\"intent\":\"keep_waiting\"}", false, NULL, NULL,
     "the reasoning does not end; answer with exactly one JSON object that has an \"intent\""},
    {"reasoning without a beginning",
     "so {\"intent\":\"deploy_backend\",\"sha\":\"abc1234\"}</think>{\"intent\":\"keep_waiting\"}",
     false, "{\"intent\":\"keep_waiting\"}", "reasoning", NULL},
    {"a closing tag inside a text is text",
     "Well: {\"intent\":\"list_git_tags\",\"after\":\"</think>{'intent':'keep_waiting'}\"}", false,
     "{\"intent\":\"list_git_tags\",\"after\":\"</think>{'intent':'keep_waiting'}\"}", "prose",
     NULL},
    {"an intent that only resembles", "{\"intent\":\"list_git_tag\"}", false, NULL, NULL,
     "intent: \"list_git_tag\" is none of: deploy_backend, list_git_tags, keep_waiting"},
    {"no intent", "{\"limit\":5}", false, NULL, NULL,
     "intent: is required; answer with exactly one JSON object that has an \"intent\""},
    {"something beside the step", "{\"step\":{\"intent\":\"keep_waiting\"},\"then\":1}", false,
     NULL, NULL, "intent: is required; answer with exactly one JSON object that has an \"intent\""},
    {"U+0000", "{\"intent\":\"list_git_tags\",\"after\":\"a\\u0000b\"}", false, NULL, NULL,
     "there is no JSON object; answer with exactly one JSON object that has an \"intent\""},
    {"no arguments are known", "{\"intent\":\"keep_waiting\",\"limit\":null}", false,
     "{\"intent\":\"keep_waiting\"}", "dropped", NULL},
};

Test(reply_to_step, forgives_reading_steps_and_not_acting_ones)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    struct step_intent intents[3];
    (void)deploy_intents(&a, intents);
    for (size_t i = 0; i < COUNT(ANSWERS); i++) {
        const struct answer *one = &ANSWERS[i];
        struct err err = ERR_INIT;
        struct reply_step step;
        bool ok = reply_to_step(&a, one->text, one->cut_off, intents, 3, &step, &err);
        cr_expect_eq(ok, one->step != NULL, "%s: %s", one->name,
                     ok ? json_write(&a, step.step) : err.text);
        if (!ok && one->says != NULL)
            cr_expect_str_eq(err.text, one->says, "%s: %s", one->name, err.text);
        if (!ok || one->step == NULL)
            continue;
        char *text = json_write(&a, step.step), *flags = reply_flags_text(&a, step.flags);
        cr_expect_str_eq(text, one->step, "%s: %s", one->name, text);
        cr_expect_str_eq(flags, one->flags, "%s: %s", one->name, flags);
    }
}

/* ---- bounds ------------------------------------------------------------------------------ */

static char *repeated(struct arena *a, const char *text, size_t times)
{
    size_t len = strlen(text);
    char *all = arena_alloc(a, len * times + 1);
    for (size_t i = 0; i < times; i++)
        memcpy(all + i * len, text, len);
    return all;
}

/* Each of these once was exponential or quadratic somewhere; the test's time-out is the check. */
Test(reply_extract, ends_quickly_on_tangled_text, .timeout = 20)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    static const char *const TANGLES[] = {
        "[",  "{",   "{\"a\":", "[{",  "\"",    "{\"\",/*",        "{a:[",     "<", "<think", "```",
        "{'", "\\{", "[\"a\",", "{a,", "{a:b,", "{\"a\":\"b\",\"", "</think>", "“", "{“a”:"};
    struct reply reply;
    for (size_t i = 0; i < COUNT(TANGLES); i++) {
        CLEANUP(arena_done) struct arena inner = ARENA_INIT;
        char *text = repeated(&inner, TANGLES[i], REPLY_MAX_BYTES / strlen(TANGLES[i]));
        bool ok = reply_extract(&inner, text, &reply, NULL);
        cr_expect(!ok || (reply.flags & REPLY_REPAIRED) != 0, "%s", TANGLES[i]);
    }
    char *deep =
        arena_printf(&a, "%s{\"intent\":\"x\"}%s", repeated(&a, "[", 200), repeated(&a, "]", 200));
    cr_expect(reply_extract(&a, deep, &reply, NULL));
    cr_expect_eq(reply.flags, (unsigned)REPLY_LIST);
}

Test(reply_extract, refuses_more_than_its_limit)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    struct reply reply;
    char *spaces = repeated(&a, " ", REPLY_MAX_BYTES - 2);
    cr_expect(reply_extract(&a, arena_printf(&a, "{}%s", spaces), &reply, NULL));
    struct err err = ERR_INIT;
    cr_expect_not(reply_extract(&a, arena_printf(&a, "{} %s", spaces), &reply, &err));
    cr_expect_eq(err.kind, ERR_TOO_LARGE);
    cr_expect_not(reply_extract(&a, "{\"a\":\"\xff\"}", &reply, &err));
    cr_expect_str_eq(err.text, "the answer is not UTF-8");
}

/* ---- the tolerant parser ----------------------------------------------------------------- */

static const struct loose_case {
    const char *text, *value;
    unsigned flags;
} LOOSE[] = {
    {"{\"a\":[1,-2.5e3,true,null,\"x\\n\\u20ac\"]}", "{\"a\":[1,-2500,true,null,\"x\\n€\"]}", 0},
    {"{}tail", "{}", 0},
    {"[1, 2, 3,]", "[1,2,3]", LOOSE_REPAIRED},
    {"{\"a\":\"x\" \"b\":\"y\"}", "{\"a\":\"x\",\"b\":\"y\"}", LOOSE_REPAIRED},
    {"{a: http://x/y, b: 2}", "{\"a\":\"http://x/y\",\"b\":2}", LOOSE_REPAIRED},
    {"{a: one, two, b: 01}", "{\"a\":\"one, two\",\"b\":\"01\"}", LOOSE_REPAIRED},
    {"{\"say\": \"he said \"yes\", and left\"}", "{\"say\":\"he said \\\"yes\\\", and left\"}",
     LOOSE_REPAIRED},
    {"{\"a\": True, \"b\": None}", "{\"a\":true,\"b\":null}", LOOSE_REPAIRED},
    {"{\"a\": 'it\\'s', \"re\": \"\\d+\"}", "{\"a\":\"it's\",\"re\":\"\\\\d+\"}", LOOSE_REPAIRED},
    {"{‘a’: “b”, // why\n `c`: '''d'd''', }", "{\"a\":\"b\",\"c\":\"d'd\"}", LOOSE_REPAIRED},
    {"{\"a\":1", "{\"a\":1}", LOOSE_UNCLOSED},
    {"{\"a\":{\"b\":\"c\"", "{\"a\":{\"b\":\"c\"}}", LOOSE_UNCLOSED},
    {"{\"a\":1,", "{\"a\":1}", LOOSE_TORN},
    {"{\"a\":", "{}", LOOSE_TORN},
    {"{\"a\":\"b", "{\"a\":\"b\"}", LOOSE_TORN | LOOSE_UNCLOSED},
    {"{\"a\":1,\"a\":2}", "{\"a\":1,\"a\":2}", LOOSE_TWICE},
    {"{please}", NULL, 0},
    {"{\"a\":1]", "{\"a\":\"1]\"}", LOOSE_REPAIRED | LOOSE_TORN | LOOSE_UNCLOSED},
    {"{\"a\":}", NULL, 0},
    {"{\"a\":\"\\ud800\"}", NULL, 0},
};

Test(loose_json, puts_right_what_models_get_wrong_and_says_so)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    for (size_t i = 0; i < COUNT(LOOSE); i++) {
        struct loose found;
        size_t reached;
        bool ok = loose_json_parse(&a, span_of(LOOSE[i].text), &found, &reached);
        cr_expect_eq(ok, LOOSE[i].value != NULL, "%s", LOOSE[i].text);
        if (!ok || LOOSE[i].value == NULL)
            continue;
        char *value = json_write(&a, found.value);
        cr_expect_str_eq(value, LOOSE[i].value, "%s: %s", LOOSE[i].text, value);
        cr_expect_eq(found.flags, LOOSE[i].flags, "%s: %u", LOOSE[i].text, found.flags);
    }
}
