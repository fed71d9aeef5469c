/* What a model is asked about a thread, and what the log keeps of the question. Made from the
 * events and the configuration alone, so that a replay asks the same again. Pure; any thread. */
#pragma once

#include "agents/llm.h"
#include "gateway/config.h"

/* How the configured provider is spoken to. */
struct llm_settings question_settings(const struct model_config *m);

/* The same events and configuration give the same bytes. Fails when the prompt cannot be filled in.
 */
bool question_make(struct arena *a, const struct config *config, const struct thread *thread,
                   const struct agent *agent, struct llm_question *out, struct err *err) NODISCARD;

/* {prompt_hash, tools_hash, context_hash}: what model_asked says of it. */
struct json *question_hashes(struct arena *a, const struct llm_question *q);
