/* See prompt.h. */
#include "agents/prompt.h"

#include "gateway/base/strbuf.h"
#include "gateway/base/template.h"
#include "gateway/base/text.h"

#include <string.h>

enum { PROMPT_MAX_BYTES = 256 * 1024, MAX_VARIABLES = 64 };

char *prompt_tools(struct arena *a, const struct agent *agent)
{
    struct step_intent *intents;
    size_t n = agent_intents(agent, a, &intents);
    struct strbuf b;
    strbuf_init(&b, a, PROMPT_MAX_BYTES);
    for (size_t i = 0; i < n; i++)
        strbuf_addf(&b, "- %s: %s\n  arguments: %s\n", intents[i].name, intents[i].description,
                    json_write(a, json_get(intents[i].args, "properties")));
    return b.text;
}

static char *people_text(struct arena *a, const struct people *people)
{
    struct strbuf b;
    strbuf_init(&b, a, PROMPT_MAX_BYTES);
    for (size_t i = 0; i < people->count; i++) {
        const struct person *p = &people->list[i];
        strbuf_addf(&b, "- %s (%s)", p->name == NULL ? p->id : p->name, p->id);
        for (size_t r = 0; r < p->n_roles; r++)
            strbuf_addf(&b, "%s%s", r == 0 ? ": " : ", ", p->roles[r]);
        strbuf_addc(&b, '\n');
    }
    return b.text;
}

static char *environments_text(struct arena *a, const struct prompt_facts *facts)
{
    struct strbuf b;
    strbuf_init(&b, a, PROMPT_MAX_BYTES);
    for (size_t i = 0; i < facts->n_environments; i++)
        strbuf_addf(&b, "%s%s", i > 0 ? ", " : "", facts->environments[i]);
    return b.text;
}

static char *limits_text(struct arena *a, const struct limits *l)
{
    return arena_printf(
        a, "%lld steps, %lld tokens, %lld seconds of working time, %lld errors in a row",
        (long long)l->steps, (long long)l->tokens, (long long)l->seconds, (long long)l->errors);
}

bool prompt_render(struct arena *a, const struct agent *agent, const struct prompt_facts *facts,
                   char **out, struct err *err)
{
    struct template_value values[MAX_VARIABLES] = {
        {.name = "agent", .text = agent->name},
        {.name = "tools", .text = prompt_tools(a, agent)},
        {.name = "people", .text = people_text(a, facts->people)},
        {.name = "environments", .text = environments_text(a, facts)},
        {.name = "limits", .text = limits_text(a, &agent->limits)},
    };
    size_t n = 5;
    JSON_EACH(var, agent->vars)
    {
        if (n < MAX_VARIABLES)
            values[n++] = (struct template_value){
                .name = var->key,
                .text = var->type == JSON_STRING ? var->text : json_write(a, var)};
    }
    struct template *t;
    if (!template_parse(a, agent->prompt, NULL, &t, err))
        return fail_in(err, agent->prompt_path);
    struct strbuf b;
    strbuf_init(&b, a, PROMPT_MAX_BYTES);
    if (!template_render(t, values, n, NULL, &b, err))
        return fail_in(err, agent->prompt_path);
    if (facts->show_tools && !template_uses(t, "tools"))
        strbuf_addf(&b,
                    "\n\nAnswer with one JSON object, one of these intents with its arguments "
                    "beside it (\"reasoning\" is allowed in each):\n%s",
                    prompt_tools(a, agent));
    if (strbuf_overflowed(&b))
        return fail(err, ERR_TOO_LARGE, "%s: the prompt is over %d bytes", agent->prompt_path,
                    PROMPT_MAX_BYTES);
    *out = b.text;
    return true;
}
