/* See question.h. */
#include "gateway/question.h"

#include "agents/context.h"
#include "agents/prompt.h"
#include "gateway/base/hash.h"
#include "gateway/base/text.h"

struct llm_settings question_settings(const struct model_config *m)
{
    struct llm_settings s = {.base_url = m->base_url,
                             .api_key = m->api_key,
                             .model = m->model,
                             .max_output_tokens = m->max_output_tokens};
    if (m->schema_mode == NULL || !llm_schema_mode_from_name(m->schema_mode, &s.schema_mode))
        s.schema_mode = LLM_SCHEMA_AUTO;
    return s;
}

bool question_make(struct arena *a, const struct config *config, const struct thread *thread,
                   const struct agent *agent, struct llm_question *out, struct err *err)
{
    const char **environments = ARENA_ARRAY(a, const char *, config->n_environments + 1);
    for (size_t i = 0; i < config->n_environments; i++)
        environments[i] = config->environments[i].name;
    struct llm_settings settings = question_settings(&config->llm);
    struct prompt_facts facts = {.people = &config->people,
                                 .environments = environments,
                                 .n_environments = config->n_environments,
                                 .show_tools = config->llm.provider == MODEL_PLAYBOOK ||
                                               llm_openai.schema_in_text(&settings)};
    char *system;
    struct step_intent *intents;
    if (!prompt_render(a, agent, &facts, &system, err))
        return false;
    *out = (struct llm_question){.system = system,
                                 .user = context_render(a, thread, &config->people, false)};
    out->n_intents = agent_intents(agent, a, &intents);
    out->intents = intents;
    return true;
}

struct json *question_hashes(struct arena *a, const struct llm_question *q)
{
    struct json *hashes = json_object(a);
    const char *tools = json_canonical(a, step_schema_plain(a, q->intents, q->n_intents));
    json_set_text(a, hashes, "prompt_hash", sha256_hex(a, span_of(q->system)));
    json_set_text(a, hashes, "tools_hash", sha256_hex(a, span_of(tools)));
    json_set_text(a, hashes, "context_hash", sha256_hex(a, span_of(q->user)));
    return hashes;
}
