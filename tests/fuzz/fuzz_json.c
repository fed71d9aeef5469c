/* Reaches: json.c wholly (check, conversion, writers), utf8_*. What is accepted must be written so
 * that it reads back as the same value, in each of the three styles, and canonical text must be its
 * own canonical text. */
#include "gateway/base/json.h"
#include "gateway/base/text.h"

#include <string.h>

static struct json *again(struct arena *a, const char *text)
{
    struct json *root;
    if (!json_parse(a, span_of(text), SIZE_MAX, &root, NULL))
        abort();
    return root;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    struct json *root;
    struct err err = ERR_INIT;
    if (!json_parse(&a, (struct span){(const char *)data, size}, 0, &root, &err)) {
        if (err.kind == ERR_NONE || err.text[0] == '\0')
            abort();
        return 0;
    }
    char *canonical = json_canonical(&a, root);
    if (!utf8_valid(span_of(canonical)))
        abort();
    if (!json_equal(root, again(&a, json_write(&a, root))) ||
        !json_equal(root, again(&a, json_write_pretty(&a, root))) ||
        !json_equal(root, again(&a, canonical)))
        abort();
    if (strcmp(canonical, json_canonical(&a, again(&a, canonical))) != 0)
        abort();
    return 0;
}
