/* See tool.h. */
#include "agents/tool.h"

#include "gateway/base/text.h"

#include <math.h>
#include <string.h>

const struct tool *tool_by_name(const struct tool *tools, size_t n, const char *name)
{
    for (size_t i = 0; name != NULL && i < n; i++)
        if (strcmp(tools[i].name, name) == 0)
            return &tools[i];
    return NULL;
}

const struct tool_arg *tool_arg_by_name(const struct tool *tool, const char *name)
{
    for (size_t i = 0; name != NULL && i < tool->n_args; i++)
        if (strcmp(tool->args[i].name, name) == 0)
            return &tool->args[i];
    return NULL;
}

const struct json *tool_arg_read(struct arena *a, const struct tool_arg *arg,
                                 const struct json *value)
{
    const char *text = json_text(value);
    struct json *parsed = NULL;
    if (value->type == JSON_NULL || (text != NULL && *text == '\0' && arg->optional))
        return NULL;
    if (text == NULL || arg->type == ARG_STRING)
        return value;
    if (!json_parse(a, span_of(text), 0, &parsed, NULL))
        return value; /* the schema says what it should have been */
    return parsed;
}

const char *arg_type_name(enum arg_type type)
{
    switch (type) {
    case ARG_STRING:
        return "string";
    case ARG_INTEGER:
        return "integer";
    case ARG_NUMBER:
        return "number";
    case ARG_BOOLEAN:
        return "boolean";
    }
    UNREACHABLE();
}

bool tool_runs_unasked(const struct tool *tool)
{
    return tool->reads || text_eq(tool->needs, "nobody");
}

static void add_text_limits(struct arena *a, struct json *schema, const struct tool_arg *arg,
                            bool with_pattern)
{
    if (arg->pattern != NULL && with_pattern)
        json_set_text(a, schema, "pattern", arg->pattern);
    json_set_int(a, schema, "maxLength", arg->max_length > 0 ? arg->max_length : TOOL_TEXT_MAX);
    if (arg->n_choices == 0)
        return;
    struct json *words = json_set(a, schema, "enum", json_array(a));
    for (size_t i = 0; i < arg->n_choices; i++)
        json_push_text(a, words, arg->choices[i]);
}

static void add_bounds(struct arena *a, struct json *schema, const struct tool_arg *arg)
{
    if (arg->min > arg->max || (arg->min == 0 && arg->max == 0))
        return;
    if (isfinite(arg->min))
        json_set(a, schema, "minimum", json_number(a, arg->min));
    if (isfinite(arg->max))
        json_set(a, schema, "maximum", json_number(a, arg->max));
}

static struct json *arg_schema(struct arena *a, const struct tool_arg *arg, bool with_pattern)
{
    struct json *schema = json_object(a);
    json_set_text(a, schema, "type", arg_type_name(arg->type));
    if (arg->description != NULL)
        json_set_text(a, schema, "description", arg->description);
    if (arg->type == ARG_STRING)
        add_text_limits(a, schema, arg, with_pattern);
    else if (arg->type != ARG_BOOLEAN)
        add_bounds(a, schema, arg);
    return schema;
}

struct json *tool_schema(struct arena *a, const struct tool *tool, bool for_model)
{
    struct json *schema = json_object(a);
    json_set_text(a, schema, "type", "object");
    struct json *properties = json_set(a, schema, "properties", json_object(a));
    struct json *required = json_set(a, schema, "required", json_array(a));
    for (size_t i = 0; i < tool->n_args; i++) {
        const struct tool_arg *arg = &tool->args[i];
        bool is_ref = text_eq(tool->target.ref, arg->name);
        json_set(a, properties, arg->name, arg_schema(a, arg, !(for_model && is_ref)));
        if (!arg->optional)
            json_push_text(a, required, arg->name);
    }
    json_set_bool(a, schema, "additionalProperties", false);
    return schema;
}
