/* What a step may say: the words every agent has, and its tools. Pure. */
#pragma once

#include "agents/agent.h"

/* The intent of a step's data; INTENT_TOOL sets *tool (NULL when the agent has none of that name).
 */
enum intent intent_of(const struct agent *agent, const struct json *step, const struct tool **tool);

/* "deploy_backend" → its tool among this agent's, or NULL. */
const struct tool *agent_tool(const struct agent *agent, const char *name);
