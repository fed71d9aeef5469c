/* A playbook: an ordered list of rules over a thread, in a file; decides without a model, the same
 * way every time. It reads what the thread says and never counts steps. prompts/README.md documents
 * the format for those who write one. Pure. */
#pragma once

#include "agents/thread.h"
#include "gateway/base/err.h"
#include "gateway/base/field.h"

struct playbook;

/* From the file's parsed YAML. Every problem goes to `problems` with the node it concerns;
 * `intents` are the names that the agent may use, NULL-terminated. The result lives in the arena
 * and borrows from `source`. */
bool playbook_parse(struct arena *a, const struct json *source, const char *const *intents,
                    struct problems *problems, struct playbook **out) NODISCARD;

/* What the first rule that fits says: {"intent": …, arguments, "reasoning"}. When none fits, it
 * asks a person: never NULL. */
const struct json *playbook_step(struct arena *a, const struct playbook *playbook,
                                 const struct thread *thread);
