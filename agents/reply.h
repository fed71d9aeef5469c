/* A model's answer → one step. Tolerant in how it is written, never in what it says: two different
 * steps, a list of steps, a key given twice or a name that only resembles an intent are refused,
 * and a step that acts on the world is taken only if nothing had to be put right. Every refusal is
 * one sentence that the model can act on. Pure; any thread. */
#pragma once

#include "agents/step_schema.h"

/* What was done to the answer; kept with the step, for the audit. */
enum {
    REPLY_REASONING = 1 << 0, /* <think>…</think> was left out */
    REPLY_FENCE = 1 << 1,     /* it stood in ``` */
    REPLY_PROSE = 1 << 2,     /* there was text around it */
    REPLY_WRAPPED = 1 << 3,   /* it came as {"step": {…}}, as the strict schema asks */
    REPLY_REPAIRED = 1 << 4,  /* it was not strict JSON */
    REPLY_CUT = 1 << 5,       /* closing brackets were missing */
    REPLY_LIST = 1 << 6,      /* it was the only item of a list */
    REPLY_TAG = 1 << 7,       /* the intent was written in capitals or with spaces around it */
    REPLY_COERCED = 1 << 8,   /* an argument was turned into the type wanted, without loss */
    REPLY_DROPPED = 1 << 9,   /* unknown arguments were left out */
};

enum { REPLY_MAX_BYTES = 256 * 1024 };

struct reply {
    const struct json *value; /* an object */
    unsigned flags;
};

/* Finds the one JSON object. Reasoning blocks are skipped, fences and prose ignored; of several
 * objects the one with an `intent` (or a `step` that has one) counts, and there may be only one. */
bool reply_extract(struct arena *a, const char *text, struct reply *out, struct err *err) NODISCARD;

struct reply_step {
    const struct step_intent *intent; /* borrowed from the list */
    const struct json *step;          /* {"intent": …, the arguments, maybe reasoning} */
    unsigned flags;
};

/* Reads, checks and normalises the step: null for an optional argument is the same as its absence
 * and is removed; `reasoning` is allowed in every intent and kept. `cut_off` is true when the
 * provider says that the answer ended by its length limit. The sentence names the place:
 * "deploy_backend.sha: does not match ^[0-9a-f]{40}$".
 *
 * What a reading intent forgives and an acting one (intents[].acts) does not: repairs, missing
 * closing brackets, a list of one, a tag in capitals, unknown arguments, 42 for "42", [5] for 5. */
bool reply_to_step(struct arena *a, const char *text, bool cut_off,
                   const struct step_intent *intents, size_t n, struct reply_step *out,
                   struct err *err) NODISCARD;

/* The words of the flags, for logs and events: "fence prose"; "" for none. */
char *reply_flags_text(struct arena *a, unsigned flags);
