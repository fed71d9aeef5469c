/* Factor 2: the prompt file is the system message. Its variables are checked when the configuration
 * is read and filled in from configuration alone, so that the same configuration gives the same
 * bytes. Pure. */
#pragma once

#include "agents/agent.h"
#include "channels/people.h"

struct prompt_facts {
    const struct people *people;
    const char *const *environments; /* names */
    size_t n_environments;
    bool show_tools; /* the schema is put into the text, because the provider does not carry it */
};

/* The system message: variables filled in, then (show_tools, and {{tools}} not used) the tool list.
 */
bool prompt_render(struct arena *a, const struct agent *agent, const struct prompt_facts *facts,
                   char **out, struct err *err) NODISCARD;

/* The tool list in words, with each schema: what {{tools}} stands for. */
char *prompt_tools(struct arena *a, const struct agent *agent);
