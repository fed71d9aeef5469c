/* The program `signoff`: see cli.h. */
#include "gateway/command_runner.h"
#include "gateway/demo.h"
#include "gateway/serve.h"

#include <string.h>

int main(int argc, char **argv)
{
    if (argc >= 2 && strcmp(argv[1], COMMAND_RUNNER_WORD) == 0)
        return command_runner_main(argc, argv);
    const char *file = config_default_path();
    struct demo_options demo = {0};
    for (int i = 2; i < argc; i++) {
        if (strcmp(argv[i], "--config") == 0 && i + 1 < argc)
            file = argv[++i];
        else if (strcmp(argv[i], "--auto") == 0)
            demo.by_itself = true;
        else if (strcmp(argv[i], "--keep") == 0)
            demo.keep = true;
    }
    if (argc > 1 && strcmp(argv[1], "demo") == 0)
        return demo_main(&demo);
    struct serve_options options = {.config_path = file,
                                    .config_options = serve_config_options(CONFIG_SERVE)};
    if (argc > 1 && strcmp(argv[1], "check") == 0)
        return config_check_main(file, serve_config_options(CONFIG_CHECK), false, stdout, stderr);
    return argc > 1 && strcmp(argv[1], "serve") == 0 ? serve_main(&options) : 2;
}
