/* A small store with people, to look at: for tests of the reading API and the pages. */
#pragma once

#include "gateway/config.h"
#include "gateway/store.h"

struct shop {
    struct arena a;
    struct config *config;
    struct store store;
    char folder[64];
    int64_t now_ms;
};

enum { SHOP_NOW_S = 1700000000 };

void shop_open(struct shop *s);
void shop_close(struct shop *s);

/* A thread of the agent deploybot for Bob, created at_ms. */
void shop_thread(struct shop *s, const char *id, const char *title, int64_t at_ms);
/* data is JSON text. */
void shop_event(struct shop *s, const char *thread, enum event_type type, const char *actor,
                const char *data);

/* An open approval for Bob, code 4821; view, canonical and options are JSON texts. */
struct shop_request {
    const char *id, *thread, *tool, *arguments, *facts; /* tool NULL: a question */
    const char *question, *options, *requester;
};
void shop_request(struct shop *s, const struct shop_request *r);
