/* Reaches: agents/json_schema.c, fit.c on a schema and a value out of the input (two lines). No
 * hang, no crash; the same verdict twice; a refusal has a sentence; what fits one branch fits
 * anyOf. */
#include "agents/json_schema.h"
#include "gateway/base/text.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool holds(const struct json *schema, const struct json *value, struct err *err)
{
    *err = (struct err)ERR_INIT;
    bool ok = json_schema_validate(schema, value, "v", err);
    if (!ok && (err->text[0] == '\0' || !utf8_valid(span_of(err->text))))
        abort();
    return ok;
}

static struct json *wrapped(struct arena *a, const char *keyword, const struct json *schema)
{
    struct json *outer = json_object(a);
    json_push(a, json_set(a, outer, keyword, json_array(a)), schema);
    return outer;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    struct json *schema = NULL, *value = NULL;
    struct err err = ERR_INIT, other = ERR_INIT;
    const uint8_t *line = size > 4096 ? NULL : memchr(data, '\n', size);
    if (line == NULL)
        return 0;
    size_t len = (size_t)(line - data);
    if (!json_parse(&a, (struct span){(const char *)data, len}, 0, &schema, &err) ||
        !json_parse(&a, (struct span){(const char *)line + 1, size - len - 1}, 0, &value, &err))
        return 0;
    bool understood = json_schema_check(schema, &err);
    bool ok = holds(schema, value, &err);
    if (holds(schema, value, &other) != ok || strcmp(err.text, other.text) != 0)
        abort();
    /* Wrapping changes nothing, where nothing refers to the root and the work is bounded. */
    if (understood && strstr(json_write(&a, schema), "$ref") == NULL && err.kind != ERR_TOO_LARGE) {
        if (holds(wrapped(&a, "anyOf", schema), value, &other) != ok && other.kind != ERR_TOO_LARGE)
            abort();
        if (holds(wrapped(&a, "allOf", schema), value, &other) != ok && other.kind != ERR_TOO_LARGE)
            abort();
    }
    return 0;
}
