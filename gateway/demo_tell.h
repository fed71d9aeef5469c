/* The demo's log: one event of a thread as people would tell it. For demo.c alone. */
#pragma once

#include "gateway/base/json.h"

/* A line on stdout: who, and what. */
void demo_say(const char *who, const char *text);

/* thread and event are the API's shapes; events that are nobody's news are left out. */
void demo_tell(struct arena *a, const struct json *thread, const struct json *event);
