/* `signoff serve`: opens the store, starts the edges and the reader, runs the core until SIGTERM,
 * stops in reverse order. */
#pragma once

#include "gateway/config.h"

struct serve_options {
    const char *config_path;
    const struct config_options *config_options;
    bool dry_run;
    /* For the demo, which runs a gateway inside its own process: called once when the doors listen
     * (with the port; 0 for a unix socket). May be NULL. */
    void (*ready)(void *ctx, int port);
    void *ctx;
};

/* Returns the exit code: 0 stopped as asked, 1 could not start, 2 wrong configuration. Handles
 * SIGTERM and SIGINT (stop) and SIGHUP (read the configuration again) while it runs. */
int serve_main(const struct serve_options *options);

/* What every command loads configurations with: built-in prompts, adapters, tools. */
const struct config_options *serve_config_options(enum config_mode mode);
