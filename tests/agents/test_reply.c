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
