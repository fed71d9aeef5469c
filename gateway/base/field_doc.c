/* The rows of field.h as words: the JSON Schema that a model is given, and the manual. */
#include "gateway/base/field.h"
#include "gateway/base/field_private.h"

/* ---- JSON Schema ---------------------------------------------------------------------------- */

static struct json *schema_of(struct arena *a, const struct field *row);

static struct json *typed(struct arena *a, const char *type)
{
    struct json *schema = json_object(a);
    json_set_text(a, schema, "type", type);
    return schema;
}

static struct json *schema_of_text(struct arena *a, const struct field *row)
{
    struct json *schema = typed(a, "string");
    if (row->choices != NULL) {
        struct json *words = json_set(a, schema, "enum", json_array(a));
        for (size_t i = 0; row->choices[i] != NULL; i++)
            json_push_text(a, words, row->choices[i]);
    }
    return schema;
}

static struct json *schema_of_number(struct arena *a, const struct field *row, const char *type)
{
    struct json *schema = typed(a, type);
    if (field_has_limits(row)) {
        json_set_int(a, schema, "minimum", row->min);
        if (row->max != INT64_MAX)
            json_set_int(a, schema, "maximum", row->max);
    }
    return schema;
}

static struct json *schema_of_container(struct arena *a, const struct field *row)
{
    struct json *element = fields_schema(a, row->rows, row->n_rows);
    if (row->type == FIELD_SECTION)
        return element;
    struct json *schema = typed(a, row->type == FIELD_LIST ? "array" : "object");
    json_set(a, schema, row->type == FIELD_LIST ? "items" : "additionalProperties", element);
    return schema;
}

static struct json *schema_of(struct arena *a, const struct field *row)
{
    switch (row->type) {
    case FIELD_TEXT:
    case FIELD_CHOICE:
    case FIELD_ENUM:
    case FIELD_DURATION:
    case FIELD_SIZE:
        return schema_of_text(a, row);
    case FIELD_INT:
        return schema_of_number(a, row, "integer");
    case FIELD_NUMBER:
        return schema_of_number(a, row, "number");
    case FIELD_BOOL:
        return typed(a, "boolean");
    case FIELD_TEXTS: {
        struct json *schema = typed(a, "array");
        json_set(a, schema, "items", schema_of_text(a, row));
        return schema;
    }
    case FIELD_SECTION:
    case FIELD_LIST:
    case FIELD_MAP:
        return schema_of_container(a, row);
    case FIELD_JSON:
    case FIELD_NAME:
    case FIELD_LINE:
    case FIELD_SOURCE:
        return json_object(a);
    }
    UNREACHABLE();
}

struct json *fields_schema(struct arena *a, const struct field *rows, size_t n)
{
    struct json *schema = typed(a, "object");
    struct json *properties = json_set(a, schema, "properties", json_object(a));
    struct json *required = json_set(a, schema, "required", json_array(a));
    for (size_t i = 0; i < n; i++) {
        if (rows[i].key == NULL)
            continue;
        struct json *property = json_set(a, properties, rows[i].key, schema_of(a, &rows[i]));
        if (rows[i].help != NULL)
            json_set_text(a, property, "description", rows[i].help);
        if ((rows[i].flags & FIELD_REQUIRED) && rows[i].when == NULL)
            json_push_text(a, required, rows[i].key);
    }
    json_set_bool(a, schema, "additionalProperties", false);
    return schema;
}

/* ---- the manual ----------------------------------------------------------------------------- */

static const char *type_text(struct arena *a, const struct field *row)
{
    switch (row->type) {
    case FIELD_TEXT:
        return "text";
    case FIELD_CHOICE:
    case FIELD_ENUM:
        return field_words(a, row->choices);
    case FIELD_INT:
        return field_has_limits(row) ? field_range(a, row) : "whole number";
    case FIELD_NUMBER:
        return field_has_limits(row) ? arena_printf(a, "number, %s", field_range(a, row))
                                     : "number";
    case FIELD_BOOL:
        return "true, false";
    case FIELD_DURATION:
        return field_has_limits(row) ? arena_printf(a, "duration, %s", field_range(a, row))
                                     : "duration";
    case FIELD_SIZE:
        return field_has_limits(row) ? arena_printf(a, "size, %s", field_range(a, row)) : "size";
    case FIELD_TEXTS:
        return row->choices == NULL ? "list of texts"
                                    : arena_printf(a, "list of: %s", field_words(a, row->choices));
    case FIELD_LIST:
        return "list";
    case FIELD_MAP:
        return "mapping of names";
    case FIELD_SECTION:
        return "section";
    case FIELD_JSON:
    case FIELD_NAME:
    case FIELD_LINE:
    case FIELD_SOURCE:
        return "value";
    }
    UNREACHABLE();
}

static void add_marks(struct strbuf *out, const struct field *row)
{
    if (row->when != NULL)
        strbuf_addf(out, " Only with `%s: %s`.", row->when, row->is);
    if (row->flags & FIELD_SECRET)
        strbuf_add(out, " Secret.");
    if (row->flags & FIELD_NOT_YET)
        strbuf_add(out, " **Not yet**: checked, without effect in this version.");
    if (row->choices_later != NULL)
        strbuf_addf(out, " **Not yet**: %s.", field_words(out->arena, row->choices_later));
}

void fields_manual(struct strbuf *out, const struct field *rows, size_t n, const char *prefix)
{
    for (size_t i = 0; i < n; i++) {
        const struct field *row = &rows[i];
        if (row->key == NULL)
            continue;
        const char *otherwise = row->flags & FIELD_REQUIRED ? "required"
                                : row->otherwise != NULL
                                    ? arena_printf(out->arena, "`%s`", row->otherwise)
                                    : "";
        strbuf_addf(out, "| `%s%s` | %s | %s | %s.", prefix, row->key, type_text(out->arena, row),
                    otherwise, row->help != NULL ? row->help : "");
        add_marks(out, row);
        strbuf_add(out, " |\n");
        if (row->rows == NULL)
            continue;
        const char *suffix = row->type == FIELD_LIST  ? "[]."
                             : row->type == FIELD_MAP ? ".NAME."
                                                      : ".";
        fields_manual(out, row->rows, row->n_rows,
                      arena_printf(out->arena, "%s%s%s", prefix, row->key, suffix));
    }
}
