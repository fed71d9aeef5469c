/* The words of intents.h, and their schemas for the model and the check. */
#include "agents/intents.h"

#include "agents/json_schema.h"
#include "gateway/base/text.h"

#include <string.h>

struct word {
    const char *name;
    enum intent intent;
    const char *description;
    const char *schema; /* JSON Schema of the arguments */
};

/* A model is offered at most a hundred choices; who asks by the API may have more. */
#define QUESTION_SCHEMA(most)                                                                   \
    "{\"type\":\"object\",\"properties\":{"                                                     \
    "\"question\":{\"type\":\"string\",\"minLength\":1,\"maxLength\":3000,"                     \
    "\"description\":\"one clear question\"},"                                                  \
    "\"context\":{\"type\":\"string\",\"maxLength\":6000,"                                      \
    "\"description\":\"what the person must know to answer\"},"                                 \
    "\"options\":{\"type\":\"object\",\"properties\":{"                                         \
    "\"urgency\":{\"type\":\"string\",\"enum\":[\"low\",\"medium\",\"high\"]},"                 \
    "\"format\":{\"type\":\"string\",\"enum\":[\"free_text\",\"yes_no\",\"multiple_choice\"]}," \
    "\"choices\":{\"type\":\"array\",\"items\":{\"type\":\"string\",\"minLength\":1,"           \
    "\"maxLength\":"                                                                            \
    "200},"                                                                                     \
    "\"maxItems\":" most ",\"description\":\"only with multiple_choice: at least two\"}},"      \
    "\"required\":[],\"additionalProperties\":false}},"                                         \
    "\"required\":[\"question\"],\"additionalProperties\":false}"

/* INTERFACE and DESIGN section 6 fix these names and arguments. */
static const struct word words[] = {
    {"request_human_input", INTENT_REQUEST_HUMAN_INPUT,
     "Ask a person a question and wait for the answer", QUESTION_SCHEMA("100")},
    {"await", INTENT_AWAIT, "Do nothing for some seconds, then go on",
     "{\"type\":\"object\",\"properties\":{\"seconds\":{\"type\":\"integer\",\"minimum\":1,"
     "\"maximum\":604800,\"description\":\"1 to 604800\"}},"
     "\"required\":[\"seconds\"],\"additionalProperties\":false}"},
    {"keep_waiting", INTENT_KEEP_WAITING,
     "Leave the open request as it is: what was said does not change the plan",
     "{\"type\":\"object\",\"properties\":{\"reason\":{\"type\":\"string\",\"maxLength\":2000}},"
     "\"required\":[\"reason\"],\"additionalProperties\":false}"},
    {"done_for_now", INTENT_DONE_FOR_NOW, "The work is done: tell the people and stop",
     "{\"type\":\"object\",\"properties\":{\"message\":{\"type\":\"string\",\"minLength\":1,"
     "\"maxLength\":6000,\"description\":\"what the people are told\"}},"
     "\"required\":[\"message\"],\"additionalProperties\":false}"},
    {"nothing_to_do", INTENT_NOTHING_TO_DO, "Nothing needs doing: stop without a message",
     "{\"type\":\"object\",\"properties\":{\"reason\":{\"type\":\"string\",\"maxLength\":2000}},"
     "\"required\":[\"reason\"],\"additionalProperties\":false}"},
};

const char *question_fault(const struct json *question)
{
    const struct json *choices = json_at(question, "options.choices");
    if (!text_eq(json_text_at(question, "options.format"), "multiple_choice"))
        return NULL;
    if (json_count(choices) < 2)
        return "options.choices: multiple_choice needs at least two";
    JSON_EACH(choice, choices)
    {
        for (const struct json *other = choice->next; other != NULL; other = other->next)
            if (text_eq(json_text(choice), json_text(other)))
                return "options.choices: each must differ from the others";
    }
    return NULL;
}

bool question_check(struct arena *a, const struct json *question, struct err *err)
{
    if (!json_schema_validate(json_parse_own(a, QUESTION_SCHEMA("500")), question, "question", err))
        return false;
    const char *fault = question_fault(question);
    return fault == NULL || fail(err, ERR_INVALID, "question.%s", fault);
}

static const char hand_over_description[] = "Give the work to another agent and stop";

const struct tool *agent_tool(const struct agent *agent, const char *name)
{
    for (size_t i = 0; i < agent->n_tools; i++)
        if (text_eq(agent->tools[i]->name, name))
            return agent->tools[i];
    return NULL;
}

enum intent intent_of(const struct agent *agent, const struct json *step, const struct tool **tool)
{
    const char *name = json_text_or(step, "intent", "");
    if (tool != NULL)
        *tool = NULL;
    for (size_t i = 0; i < COUNT(words); i++)
        if (strcmp(words[i].name, name) == 0)
            return words[i].intent;
    if (strcmp(name, "hand_over") == 0 && agent->n_hand_over > 0)
        return INTENT_HAND_OVER;
    if (tool != NULL)
        *tool = agent_tool(agent, name);
    return INTENT_TOOL;
}

static struct json *hand_over_schema(const struct agent *agent, struct arena *a)
{
    struct json *schema =
        json_parse_own(a, "{\"type\":\"object\",\"properties\":{\"agent\":{\"type\":\"string\"},"
                          "\"summary\":{\"type\":\"string\",\"minLength\":1,\"maxLength\":6000,"
                          "\"description\":\"what the other agent must know\"}},"
                          "\"required\":[\"agent\",\"summary\"],\"additionalProperties\":false}");
    struct json *names = json_array(a);
    for (size_t i = 0; i < agent->n_hand_over; i++)
        json_push_text(a, names, agent->hand_over[i]);
    for (struct json *property = schema->child->next->child; property != NULL;
         property = property->next)
        if (strcmp(property->key, "agent") == 0)
            json_set(a, property, "enum", names);
    return schema;
}

size_t agent_intents(const struct agent *agent, struct arena *a, struct step_intent **out)
{
    size_t n = 0;
    struct step_intent *list =
        ARENA_ARRAY(a, struct step_intent, agent->n_tools + COUNT(words) + 1);
    for (size_t i = 0; i < agent->n_tools; i++) {
        const struct tool *tool = agent->tools[i];
        list[n++] = (struct step_intent){.name = tool->name,
                                         .description = tool->description,
                                         .args = tool_schema(a, tool, true),
                                         .acts = !tool->reads};
    }
    for (size_t i = 0; i < COUNT(words); i++)
        list[n++] = (struct step_intent){.name = words[i].name,
                                         .description = words[i].description,
                                         .args = json_parse_own(a, words[i].schema)};
    if (agent->n_hand_over > 0)
        list[n++] = (struct step_intent){.name = "hand_over",
                                         .description = hand_over_description,
                                         .args = hand_over_schema(agent, a),
                                         .acts = true};
    *out = list;
    return n;
}
