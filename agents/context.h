/* Factor 3: what a model reads, made from the events and nothing else. The same events give the
 * same bytes. Pure. */
#pragma once

#include "agents/agent.h"
#include "channels/people.h"

enum {
    CONTEXT_MAX_BYTES = 96 * 1024,   /* the whole */
    CONTEXT_RESULT_BYTES = 12 * 1024 /* a tool's result while it is new */
};

/* The user message: one tag per event that is for the agent, bodies YAML-like, values escaped so
 * that nothing in them can end a tag. Old results are shortened first, then older ones more, and
 * each says how much is missing; in a very long thread old events that are nobody's words are left
 * out at last, and counted; the words of people never. `all` renders every event (a run's context).
 */
char *context_render(struct arena *a, const struct thread *thread, const struct people *people,
                     bool all);
