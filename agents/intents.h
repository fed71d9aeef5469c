/* What a step may say: the words every agent has, and its tools. Pure. */
#pragma once

#include "agents/agent.h"

/* The intent of a step's data; INTENT_TOOL sets *tool (NULL when the agent has none of that name).
 */
enum intent intent_of(const struct agent *agent, const struct json *step, const struct tool **tool);

/* "deploy_backend" → its tool among this agent's, or NULL. */
const struct tool *agent_tool(const struct agent *agent, const char *name);

/* What the schema of a question {question, context, options} cannot say: a choice needs two at
 * least, and words that name exactly one. NULL: nothing is wrong. */
const char *question_fault(const struct json *question);
/* Is it a question as an agent of ours may ask it, and nothing else? */
bool question_check(struct arena *a, const struct json *question, struct err *err) NODISCARD;
