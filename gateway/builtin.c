/* See builtin.h. The tables are made by embed_files() in CMake. */
#include "gateway/builtin.h"

#include "gateway/builtin_prompts.h"
#include "gateway/demo_files.h"

#include <stddef.h>
#include <string.h>

const char *builtin_file(const char *path)
{
    const char *slash = strrchr(path, '/');
    const char *name = slash == NULL ? path : slash + 1;
    for (size_t i = 0; i < builtin_prompts_count; i++)
        if (strcmp(builtin_prompts[i].name, name) == 0)
            return builtin_prompts[i].text;
    return NULL;
}

const char *demo_file(const char *name)
{
    for (size_t i = 0; i < demo_files_count; i++)
        if (strcmp(demo_files[i].name, name) == 0)
            return demo_files[i].text;
    return NULL;
}
