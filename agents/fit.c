/* See fit.h. */
#include "agents/fit.h"

#include "agents/json_schema.h"
#include "agents/loose_json.h"
#include "gateway/base/text.h"

#include <string.h>

enum { MAX_DEPTH = 100 }; /* a value has 64 levels; a schema may turn in a circle */

struct fit {
    struct arena *arena;
    const struct json *root;
    bool strict;
    unsigned depth, flags;
};

static const struct json *fit(struct fit *f, const struct json *schema, const struct json *value);

/* "T or null" means T, for what fits T. */
static const struct json *without_null(const struct json *schema)
{
    const struct json *real = NULL;
    JSON_EACH(part, json_get(schema, "anyOf"))
    {
        if (text_eq(json_text_at(part, "type"), "null"))
            continue;
        if (real != NULL)
            return schema;
        real = part;
    }
    return real == NULL ? schema : real;
}

static bool allows(const struct json *schema, const char *type)
{
    const struct json *types = json_get(schema, "type");
    if (types == NULL || types->type == JSON_STRING)
        return text_eq(json_text(types), type);
    JSON_EACH(one, types)
    if (text_eq(json_text(one), type))
        return true;
    return false;
}

static bool is_required(const struct json *schema, const char *name)
{
    JSON_EACH(required, json_get(schema, "required"))
    if (text_eq(json_text(required), name))
        return true;
    return false;
}

static const struct json *fit_object(struct fit *f, const struct json *schema,
                                     const struct json *value)
{
    const struct json *properties = json_get(schema, "properties");
    const struct json *additional = json_get(schema, "additionalProperties");
    bool is_closed = additional != NULL && additional->type == JSON_FALSE;
    struct json *fitted = json_object(f->arena);
    JSON_EACH(item, value)
    {
        const struct json *property = json_get(properties, item->key);
        if (property == NULL && is_closed && !f->strict) {
            f->flags |= FIT_DROPPED;
            continue;
        }
        if (property != NULL && item->type == JSON_NULL && !is_required(schema, item->key))
            continue;
        const struct json *inner = property == NULL ? item : fit(f, property, item);
        json_set(f->arena, fitted, item->key, inner);
    }
    return fitted;
}

static const struct json *fit_array(struct fit *f, const struct json *schema,
                                    const struct json *value)
{
    const struct json *items = json_get(schema, "items");
    struct json *fitted = json_array(f->arena);
    JSON_EACH(item, value)
    json_push(f->arena, fitted, items == NULL ? item : fit(f, items, item));
    return fitted;
}

/* A scalar in the type wanted, or NULL where that would be a guess. */
static const struct json *as_wanted(struct fit *f, const struct json *schema,
                                    const struct json *value)
{
    double number;
    if (value->type == JSON_STRING && !allows(schema, "string")) {
        bool wants_number = allows(schema, "integer") || allows(schema, "number");
        if (wants_number && loose_number(value->text, &number))
            return json_number(f->arena, number);
        bool is_true = strcmp(value->text, "true") == 0,
             is_false = strcmp(value->text, "false") == 0;
        if (!f->strict && allows(schema, "boolean") && (is_true || is_false))
            return json_bool(f->arena, is_true);
    }
    bool is_plain =
        value->type == JSON_NUMBER || value->type == JSON_TRUE || value->type == JSON_FALSE;
    bool only_text = text_eq(json_text_at(schema, "type"), "string");
    if (!f->strict && is_plain && only_text)
        return json_string(f->arena, json_write(f->arena, value));
    return NULL;
}

static const struct json *fit_shape(struct fit *f, const struct json *schema,
                                    const struct json *value)
{
    bool is_list = value->type == JSON_ARRAY;
    bool has_members =
        json_get(schema, "properties") != NULL || json_get(schema, "additionalProperties") != NULL;
    if (value->type == JSON_OBJECT && has_members)
        return fit_object(f, schema, value);
    if (is_list && (json_get(schema, "items") != NULL || allows(schema, "array")))
        return fit_array(f, schema, value);
    if (!is_list && value->type != JSON_NULL && text_eq(json_text_at(schema, "type"), "array")) {
        f->flags |= FIT_COERCED;
        struct json *list = json_array(f->arena);
        json_push(f->arena, list, value);
        return fit_array(f, schema, list);
    }
    bool has_type = json_get(schema, "type") != NULL;
    if (is_list && !f->strict && has_type && json_count(value) == 1) {
        f->flags |= FIT_COERCED;
        return fit(f, schema, value->child);
    }
    const struct json *wanted = as_wanted(f, schema, value);
    f->flags |= wanted != NULL ? FIT_COERCED : 0;
    return wanted == NULL ? value : wanted;
}

static const struct json *fit(struct fit *f, const struct json *schema, const struct json *value)
{
    const struct json *resolved = json_schema_resolve(f->root, schema);
    resolved = json_schema_resolve(f->root, without_null(resolved));
    if (resolved == NULL || resolved->type != JSON_OBJECT || f->depth == MAX_DEPTH)
        return value;
    f->depth++;
    const struct json *fitted = fit_shape(f, resolved, value);
    f->depth--;
    return fitted;
}

const struct json *fit_value(struct arena *a, const struct json *root, const struct json *schema,
                             const struct json *value, bool strict, unsigned *flags)
{
    struct fit f = {.arena = a, .root = root, .strict = strict};
    const struct json *fitted = fit(&f, schema, value);
    *flags |= f.flags;
    return fitted;
}
