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
 * commit, named, place, compare), `may_decide` (a sentence), `needed` (how many must approve, 0:
 * not that simple), `names` of who voted, `by` (the decider's name), `via` (where), `about`, `runs`
 * (the argv), `editable` (arguments), `edited` {by, request, code, before}: of a new version. */
bool view_request(struct arena *a, const struct config *config, struct store *s,
                  const struct request_row *row, struct json **out, struct err *err) NODISCARD;

/* What a vote on an open approval is held against. False: it has no readable policy. The policy is
 * put into *policy, which the matter borrows. */
bool view_matter(struct arena *a, const struct config *config, const struct request_row *row,
                 int64_t now_ms, struct policy *policy, struct matter *out) NODISCARD;

/* The same without what is only for cards. */
const struct json *view_request_public(struct arena *a, const struct json *view);

bool view_environment(struct arena *a, const struct config *config, struct store *s,
                      const struct environment *env, int64_t now_ms, struct json **out,
                      struct err *err) NODISCARD;
