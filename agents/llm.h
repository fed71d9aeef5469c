/* Language models: a question becomes one HTTP call, its reply one answer. Pure, like the channels:
 * no I/O, no clock; the shell sends, waits and tries again. */
#pragma once

#include "agents/step_schema.h"
#include "channels/channel.h"

/* How structured output is asked for. */
enum llm_schema_mode {
    LLM_SCHEMA_AUTO,          /* by the address: OpenAI and Azure strict, else json_schema */
    LLM_SCHEMA_OPENAI_STRICT, /* OpenAI's subset, enforced by them */
    LLM_SCHEMA_JSON,          /* response_format json_schema as vLLM and most others know it */
    LLM_SCHEMA_LLAMA,         /* llama.cpp */
    LLM_SCHEMA_OLLAMA,
    LLM_SCHEMA_NONE, /* by the text alone */
};
bool llm_schema_mode_from_name(const char *name, enum llm_schema_mode *out) NODISCARD;

struct llm_settings {
    const char *base_url; /* "https://api.openai.com/v1" */
    const char *api_key;  /* NULL or "": none is sent */
    const char *model;
    enum llm_schema_mode schema_mode;
    int64_t max_output_tokens; /* 0: the provider's own limit */
};

struct llm_question {
    const char *system, *user;
    const struct step_intent *intents;
    size_t n_intents;
};

enum llm_outcome {
    LLM_OK,      /* `text` is what it said; reply_to_step() judges it */
    LLM_RETRY,   /* did not answer, may later: after retry_after_ms (0: by our own back-off) */
    LLM_REFUSED, /* the model or a filter of its provider will not answer this */
    LLM_CUT,     /* stopped by the length limit; `text` is what there is of it */
    LLM_FAILED,  /* will not answer until a person changes something: key, model, credit, size */
};
const char *llm_outcome_name(enum llm_outcome outcome);

struct llm_answer {
    enum llm_outcome outcome;
    const char *text;  /* LLM_OK, LLM_CUT: never NULL */
    const char *error; /* the others: one sentence, without secrets */
    const char *model; /* who answered, as it says itself; NULL: unknown */
    int64_t retry_after_ms;
    int64_t input_tokens, output_tokens; /* 0: not said */
};

struct llm_provider {
    const char *name; /* the word in the configuration: "openai" */
    /* Must the prompt say what may be answered (prompt_tools()), because the model does not see the
     * schema? */
    bool (*schema_in_text)(const struct llm_settings *settings);
    /* Question → call. Fails when the settings cannot be sent as they are. */
    bool (*render)(const struct llm_settings *settings, struct arena *a,
                   const struct llm_question *question, struct wire *out, struct err *err);
    /* What came back → answer; every reply is one. */
    struct llm_answer (*parse)(const struct llm_settings *settings, struct arena *a,
                               const struct wire_reply *reply);
};

extern const struct llm_provider llm_openai; /* agents/llm_openai.c: chat completions */

/* By name; NULL when this build has none. */
const struct llm_provider *llm_provider_by_name(const char *name);
