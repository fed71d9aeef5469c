/* `signoff demo`: the deploy story on a sample shop in a temporary folder, with a gateway of its
 * own. It acts only through public doors: signed webhooks and the API. */
#pragma once

#include "gateway/base/defs.h"

struct demo_options {
    bool by_itself; /* --auto: plays the story, prints it, checks the folders */
    int port;       /* 0: a free one */
    bool keep;      /* leave the folder and print its name */
};

/* Exit code: 0, or 1 when the story did not end as told. */
int demo_main(const struct demo_options *options);
