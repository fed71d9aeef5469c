/* The command line (INTERFACE section 1): which command, its options, its help, its exit code.
 *
 * What only looks goes to SIGNOFF_URL when it is set, else to the store of --config, read-only.
 * What changes anything goes to a running server (SIGNOFF_URL, SIGNOFF_API_KEY). */
#pragma once

#include "gateway/base/defs.h"

/* 0: done. 1: it did not work. 2: wrong usage or configuration. */
int cli_main(int argc, char **argv);
