/* See llm.h: names and the registry. */
#include "agents/llm.h"

#include "gateway/base/text.h"

bool llm_schema_mode_from_name(const char *name, enum llm_schema_mode *out)
{
    static const char *const names[] = {
        [LLM_SCHEMA_AUTO] = "auto",        [LLM_SCHEMA_OPENAI_STRICT] = "openai_strict",
        [LLM_SCHEMA_JSON] = "json_schema", [LLM_SCHEMA_LLAMA] = "llama",
        [LLM_SCHEMA_OLLAMA] = "ollama",    [LLM_SCHEMA_NONE] = "none",
    };
    for (size_t i = 0; i < COUNT(names); i++)
        if (text_eq(name, names[i])) {
            *out = (enum llm_schema_mode)i;
            return true;
        }
    return false;
}

const char *llm_outcome_name(enum llm_outcome outcome)
{
    switch (outcome) {
    case LLM_OK:
        return "ok";
    case LLM_RETRY:
        return "retry";
    case LLM_REFUSED:
        return "refused";
    case LLM_CUT:
        return "cut";
    case LLM_FAILED:
        return "failed";
    }
    UNREACHABLE();
}

static const struct llm_provider *const providers[] = {&llm_openai};

const struct llm_provider *llm_provider_by_name(const char *name)
{
    for (size_t i = 0; i < COUNT(providers); i++)
        if (text_eq(name, providers[i]->name))
            return providers[i];
    return NULL;
}
