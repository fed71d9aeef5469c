/* See step_schema.h. */
#include "agents/step_schema.h"

#include "gateway/base/text.h"

#include <string.h>

/* ---- what both forms share --------------------------------------------------------------- */

static struct json *type_schema(struct arena *a, const char *type)
{
    struct json *schema = json_object(a);
    json_set_text(a, schema, "type", type);
    return schema;
}

static bool is_required(const struct json *schema, const char *name)
{
    JSON_EACH(required, json_get(schema, "required"))
    if (text_eq(json_text(required), name))
        return true;
    return false;
}

/* The definitions of all intents together: a name means the same in all of them. */
static void add_definitions(struct arena *a, struct json *root, const struct step_intent *intents,
                            size_t n, const struct json *(*as)(struct arena *, const struct json *))
{
    struct json *all = json_object(a);
    for (size_t i = 0; i < n; i++)
        JSON_EACH(one, json_get(intents[i].args, "$defs"))
    json_set(a, all, one->key, as(a, one));
    if (all->child != NULL)
        json_set(a, root, "$defs", all);
}

/* Type and tag; arguments follow. The tag comes first because a provider refuses branches that
 * begin alike, and because a model should choose before it fills in. */
static struct json *begin_branch(struct arena *a, const struct step_intent *intent,
                                 struct json **properties, struct json **required)
{
    struct json *branch = type_schema(a, "object");
    if (intent->description != NULL)
        json_set_text(a, branch, "description", intent->description);
    *properties = json_set(a, branch, "properties", json_object(a));
    *required = json_set(a, branch, "required", json_array(a));
    json_set_bool(a, branch, "additionalProperties", false);
    struct json *tag = json_set(a, *properties, "intent", type_schema(a, "string"));
    json_set_text(a, tag, "const", intent->name);
    json_push_text(a, *required, "intent");
    return branch;
}

static bool is_argument(const struct json *property)
{
    return strcmp(property->key, "intent") != 0;
}

/* ---- for everybody ----------------------------------------------------------------------- */

static const struct json *as_it_is(struct arena *a, const struct json *schema)
{
    (void)a;
    return schema;
}

struct json *step_schema_plain(struct arena *a, const struct step_intent *intents, size_t n)
{
    struct json *root = json_object(a), *branches = json_array(a);
    json_set(a, root, "anyOf", branches);
    for (size_t i = 0; i < n; i++) {
        const struct json *args = json_get(intents[i].args, "properties");
        struct json *properties, *required;
        json_push(a, branches, begin_branch(a, &intents[i], &properties, &required));
        if (json_get(args, "reasoning") == NULL)
            json_set(a, properties, "reasoning", type_schema(a, "string"));
        JSON_EACH(property, args)
        if (is_argument(property)) {
            json_set(a, properties, property->key, property);
            if (is_required(intents[i].args, property->key))
                json_push_text(a, required, property->key);
        }
    }
    add_definitions(a, root, intents, n, as_it_is);
    return root;
}

/* ---- OpenAI's strict subset -------------------------------------------------------------- */

/* What may stay as it is. Left out, and checked by us: minLength, maxLength, uniqueItems, allOf,
 * not, default, examples, and whatever else is not here or below. */
static const char *const kept[] = {
    "type",
    "enum",
    "const",
    "description",
    "title",
    "$ref",
    "pattern",
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "minItems",
    "maxItems",
};

static const struct json *strict(struct arena *a, const struct json *schema);

static bool is_kept(const char *key)
{
    for (size_t i = 0; i < COUNT(kept); i++)
        if (strcmp(kept[i], key) == 0)
            return true;
    return false;
}

static bool accepts_null(const struct json *schema)
{
    if (text_eq(json_text_at(schema, "type"), "null"))
        return true;
    JSON_EACH(type, json_get(schema, "type"))
    if (text_eq(json_text(type), "null"))
        return true;
    JSON_EACH(part, json_get(schema, "anyOf"))
    if (accepts_null(part))
        return true;
    return false;
}

static const struct json *or_null(struct arena *a, const struct json *schema)
{
    if (accepts_null(schema))
        return schema;
    struct json *either = json_object(a);
    struct json *parts = json_set(a, either, "anyOf", json_array(a));
    json_push(a, parts, schema);
    json_push(a, parts, type_schema(a, "null"));
    return either;
}

/* Every property is required; one that was not may be null. */
static void add_properties(struct arena *a, const struct json *schema, struct json *properties,
                           struct json *required)
{
    JSON_EACH(property, json_get(schema, "properties"))
    {
        if (json_get(properties, property->key) != NULL)
            continue; /* the tag */
        const struct json *narrow = strict(a, property);
        bool must = is_required(schema, property->key);
        json_set(a, properties, property->key, must ? narrow : or_null(a, narrow));
        json_push_text(a, required, property->key);
    }
}

static void close_object(struct arena *a, const struct json *schema, struct json *narrow)
{
    struct json *properties = json_set(a, narrow, "properties", json_object(a));
    struct json *required = json_set(a, narrow, "required", json_array(a));
    add_properties(a, schema, properties, required);
    json_set_bool(a, narrow, "additionalProperties", false);
}

static const struct json *strict(struct arena *a, const struct json *schema)
{
    struct json *narrow = json_object(a);
    JSON_EACH(rule, schema)
    {
        if (is_kept(rule->key))
            json_set(a, narrow, rule->key, rule);
        else if (strcmp(rule->key, "items") == 0)
            json_set(a, narrow, "items", strict(a, rule));
        else if (strcmp(rule->key, "anyOf") == 0 || strcmp(rule->key, "oneOf") == 0) {
            struct json *parts = json_set(a, narrow, "anyOf", json_array(a));
            JSON_EACH(part, rule)
            json_push(a, parts, strict(a, part));
        }
    }
    bool is_object = text_eq(json_text_at(schema, "type"), "object");
    if (is_object || json_get(schema, "properties") != NULL)
        close_object(a, schema, narrow);
    return narrow;
}

struct json *step_schema_openai_strict(struct arena *a, const struct step_intent *intents, size_t n)
{
    struct json *root = type_schema(a, "object");
    struct json *members = json_set(a, root, "properties", json_object(a));
    struct json *step = json_set(a, members, "step", json_object(a));
    struct json *branches = json_set(a, step, "anyOf", json_array(a));
    json_push_text(a, json_set(a, root, "required", json_array(a)), "step");
    json_set_bool(a, root, "additionalProperties", false);
    for (size_t i = 0; i < n; i++) {
        struct json *properties, *required;
        json_push(a, branches, begin_branch(a, &intents[i], &properties, &required));
        if (json_at(intents[i].args, "properties.reasoning") == NULL) {
            json_set(a, properties, "reasoning", or_null(a, type_schema(a, "string")));
            json_push_text(a, required, "reasoning");
        }
        add_properties(a, intents[i].args, properties, required);
    }
    add_definitions(a, root, intents, n, strict);
    return root;
}
