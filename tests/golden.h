/* Recorded inputs under tests/golden/, for tests. */
#pragma once

#include "gateway/base/json.h"

#include <stdio.h>

/* The bytes of tests/golden/<path>; aborts when it cannot be read. */
static inline struct span golden_bytes(struct arena *a, const char *path)
{
    FILE *file = fopen(arena_printf(a, "%s/golden/%s", TESTS_DIR, path), "rb");
    if (file == NULL)
        abort();
    char *bytes = arena_alloc(a, 4 << 20);
    size_t len = fread(bytes, 1, 4 << 20, file);
    (void)fclose(file);
    return (struct span){bytes, len};
}

static inline struct json *golden_json(struct arena *a, const char *path)
{
    struct json *root = NULL;
    struct err err = ERR_INIT;
    if (!json_parse(a, golden_bytes(a, path), 0, &root, &err)) {
        (void)fprintf(stderr, "%s: %s\n", path, err.text);
        abort();
    }
    return root;
}
