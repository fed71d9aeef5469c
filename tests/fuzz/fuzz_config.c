/* Reaches: all of gateway/config*.c, from bytes to the report. A configuration comes out exactly
 * when no error is reported; nothing may crash on what was found wrong before. */
#include "gateway/config.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static const char *from_nowhere(void *ctx, const char *name)
{
    (void)ctx;
    return *name == 'A' ? "5" : *name == 'B' ? "text" : NULL;
}

static const char *builtin_file(const char *path)
{
    return strlen(path) % 2 == 0 ? "rules: {{agent}}\n" : NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    struct config_options options = {
        .mode = (enum config_mode)(size % 3), .env = from_nowhere, .builtin_file = builtin_file};
    struct config_report report;
    int file = memfd_create("signoff.yaml", 0);
    if (size > 16384 || file < 0 || write(file, data, size) != (ssize_t)size) {
        close(file);
        return 0;
    }
    struct config *config =
        config_load(&a, arena_printf(&a, "/proc/self/fd/%d", file), &options, &report);
    close(file);
    if ((config == NULL) != (report.errors > 0))
        abort();
    for (size_t i = 0; i < report.count; i++)
        if (strlen(config_problem_line(&a, &report.list[i])) == 0)
            abort();
    config_free(config);
    return 0;
}
