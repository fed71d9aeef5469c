/* The shapes of INTERFACE section 3: rows → JSON. Used by the API, the pages, the cards and the
 * command line, so that all of them say the same. Reads the store; any thread with a store of its
 * own. */
#pragma once

#include "gateway/config.h"
#include "gateway/store.h"

struct json *view_thread(struct arena *a, const struct config *config,
                         const struct thread_row *row);
struct json *view_event(struct arena *a, const struct event *event);

/* `request`, and beside its members what cards and pages show: `agent`, `title`, `facts` (given,
 * commit, named, place, compare), `may_decide` (a sentence), `by` (the decider's name), `about`. */
bool view_request(struct arena *a, const struct config *config, struct store *s,
                  const struct request_row *row, struct json **out, struct err *err) NODISCARD;

/* The same without what is only for cards. */
const struct json *view_request_public(struct arena *a, const struct json *view);

bool view_environment(struct arena *a, const struct config *config, struct store *s,
                      const struct environment *env, int64_t now_ms, struct json **out,
                      struct err *err) NODISCARD;
