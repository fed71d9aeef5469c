/* What a model may answer, as a schema: one step, which is one of the agent's intents. Built from
 * the same table that the answer is checked with. Pure; any thread. */
#pragma once

#include "gateway/base/json.h"

/* One thing the model may choose. A list of them describes both what is sent to the provider and
 * how the answer is read (agents/reply.h). Borrowed. */
struct step_intent {
    const char *name;        /* the tag: {"intent": "<name>", …} */
    const char *description; /* for the model; NULL: none */
    const struct json
        *args; /* an object schema without `intent`: properties, required; NULL: none */
    bool acts; /* it changes something outside: read its arguments strictly */
};

/* JSON Schema as everybody understands it: a root with `anyOf`, one branch for each intent, the tag
 * first as a `const`, optional arguments optional, `reasoning` allowed in each. */
struct json *step_schema_plain(struct arena *a, const struct step_intent *intents, size_t n);

/* The subset of OpenAI's strict mode: the root is an object with one member `step`; every property
 * is required and an optional one may be null instead; keywords it refuses are left out (they are
 * checked by us all the same). The answer comes as {"step": {…}}. */
struct json *step_schema_openai_strict(struct arena *a, const struct step_intent *intents,
                                       size_t n);
