/* Reaches: gateway/argv.c, template.c: an argument's template (first line) and a value (the rest).
 * A command gets as many arguments as are configured, and none that became an option or holds a
 * line break because of the value. */
#include "gateway/base/text.h"
#include "gateway/tools_private.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    if (size > 4096)
        return 0;
    char *all = utf8_clean(&a, (struct span){(const char *)data, size});
    char *line = strchr(all, '\n');
    if (line == NULL)
        return 0;
    *line = '\0';
    struct app *app = ARENA_NEW(&a, struct app);
    app->a = &a;
    struct tool_arg args[] = {{.name = "x"}, {.name = "y", .optional = true}};
    const char *items[] = {"./deploy.sh", all, "--to={{x}}", "end"};
    struct tool tool = {.name = "t",
                        .args = args,
                        .n_args = COUNT(args),
                        .run = {.kind = RUN_COMMAND, .argv = items, .n_argv = COUNT(items)}};
    struct json *values = json_object(&a), *argv = NULL;
    struct err err = ERR_INIT;
    const char *value = line + 1;
    json_set_text(&a, values, "x", value);
    if (!argv_of_tool(app, &tool, values, &argv, &err)) {
        if (err.text[0] == '\0')
            abort();
        return 0;
    }
    if (json_count(argv) != COUNT(items))
        abort();
    if (*value == '-' || strpbrk(value, "\r\n") != NULL)
        abort(); /* "--to={{x}}" uses it: it had to be refused */
    const char *made = json_text_at(argv, "1");
    if (*made == '-' && *all != '-' && strstr(all, "{{") != all)
        abort();
    if (*made == '-' && text_starts(all, "{{"))
        if (strchr(all, '-') == NULL)
            abort(); /* not one '-' is ours, so the value made it an option */
    if (strcmp(json_text_at(argv, "2"), arena_printf(&a, "--to=%s", value)) != 0)
        abort();
    if (strstr(all, "{{") == NULL && strcmp(made, all) != 0)
        abort();
    return 0;
}
