/* Agents: their tools, and the files of their prompts and playbooks. */
#include "agents/intents.h"
#include "agents/playbook.h"
#include "gateway/base/template.h"
#include "gateway/base/text.h"
#include "gateway/config_private.h"

#include <ctype.h>
#include <string.h>

enum {
    PROMPT_MAX = 128 * 1024,
    VARS_MAX = 32,
};

static const char *const prompt_names[] = {"agent", "tools", "people", "environments", "limits"};

/* ---- files ------------------------------------------------------------------------------- */

/* The bytes of a file that an agent names: the file itself, else the built-in copy of its name. */
static bool read_agent_file(struct loader *l, const char *path, size_t max, struct span *out,
                            const char **file, struct err *err)
{
    struct arena *a = &l->config->arena;
    const char *absolute = path_in_folder(a, l->config->folder, path);
    *file = absolute;
    if (read_whole_file(a, absolute, max, out, err))
        return true;
    const char *slash = strrchr(path, '/');
    const char *text = err->kind == ERR_MISSING && l->options->builtin_file != NULL
                           ? l->options->builtin_file(slash != NULL ? slash + 1 : path)
                           : NULL;
    *file = NULL;
    *out = span_of(text);
    return text != NULL;
}

/* A problem in another file, which stands where the main file names it. */
static void report_in_file(struct loader *l, const char *path, int line, const char *key,
                           const struct json *named_at, const char *sentence)
{
    l->problems.errors++;
    report_add(l, (struct config_problem){
                      .kind = PROBLEM_ERROR,
                      .file = shown_path(l, path),
                      .line = line,
                      .key = arena_printf(&l->config->arena, "%s.%s", l->problems.path, key),
                      .sentence = sentence,
                      .order = yaml_line(named_at)});
}

/* ---- prompts ----------------------------------------------------------------------------- */

/* A hole stands on one line, so each line is checked by itself and every problem is found. */
static void check_prompt_lines(struct loader *l, const struct agent_words *w,
                               const struct agent *agent, const char *const *names)
{
    static const char first_line[] = "line 1: ";
    int line = 1;
    for (const char *at = agent->prompt; *at != '\0'; line++) {
        CLEANUP(arena_done) struct arena a = ARENA_INIT;
        struct template *parsed;
        struct err err = ERR_INIT;
        size_t len = strcspn(at, "\n");
        if (!template_parse(&a, arena_strndup(&a, at, len), names, &parsed, &err))
            report_in_file(l, agent->prompt_path, line, "prompt", value_node(w->source, "prompt"),
                           err.text + (text_starts(err.text, first_line) ? strlen(first_line) : 0));
        at += len + (at[len] == '\n');
    }
}

static const char *const *prompt_variables(struct arena *a, const struct agent *agent)
{
    const char **names =
        ARENA_ARRAY(a, const char *, COUNT(prompt_names) + json_count(agent->vars) + 1);
    size_t n = 0;
    for (; n < COUNT(prompt_names); n++)
        names[n] = prompt_names[n];
    JSON_EACH(item, agent->vars)
    names[n++] = item->key;
    return names;
}

static void check_vars(struct loader *l, struct agent *agent, const struct json *source)
{
    const struct json *vars = json_get(source, "vars");
    if (vars == NULL || vars->type == JSON_NULL)
        return;
    if (vars->type != JSON_OBJECT || json_count(vars) > VARS_MAX) {
        ERROR_AT(l, source, "vars", "must be a mapping of up to %d names to texts", VARS_MAX);
        agent->vars = NULL;
        return;
    }
    at_path(l, "agents.%s.vars", agent->name);
    JSON_EACH(item, vars)
    {
        size_t len = strlen(item->key);
        bool is_name = !isdigit((unsigned char)*item->key) &&
                       strspn(item->key, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_"
                                         "0123456789") == len;
        for (size_t i = 0; i < COUNT(prompt_names); i++)
            if (strcmp(item->key, prompt_names[i]) == 0)
                ERROR_AT(l, vars, item->key, "every prompt has this variable already");
        if (!is_name)
            ERROR_AT(l, vars, item->key, "a variable's name has letters, digits and '_'");
        if (item->type != JSON_STRING)
            ERROR_AT(l, vars, item->key, "must be a text: write it in quotes");
    }
    at_path(l, "agents.%s", agent->name);
}

static void read_prompt(struct loader *l, const struct agent_words *w, struct agent *agent,
                        struct agent_source *source)
{
    struct arena *a = &l->config->arena;
    struct span in;
    struct err err = ERR_INIT;
    bool is_named = json_get(w->source, "prompt") != NULL;
    bool needs_one = l->config->llm.provider != MODEL_PLAYBOOK;
    agent->prompt = "";
    agent->prompt_path =
        w->prompt != NULL ? w->prompt : arena_printf(a, "prompts/%s.md", agent->name);
    if (is_named && w->prompt == NULL)
        return; /* reported */
    if (!read_agent_file(l, agent->prompt_path, PROMPT_MAX, &in, &source->prompt_file, &err)) {
        if (is_named)
            ERROR_AT(l, w->source, "prompt", "%s", err.text);
        else if (needs_one)
            ERROR_AT(l, w->source, "prompt", "is required (there is no %s)", agent->prompt_path);
        return;
    }
    if (memchr(in.at, '\0', in.len) != NULL || !utf8_valid(in)) {
        ERROR_AT(l, w->source, "prompt", "%s is not UTF-8 text", agent->prompt_path);
        return;
    }
    agent->prompt = arena_strndup(a, in.at, in.len);
    check_prompt_lines(l, w, agent, prompt_variables(a, agent));
}

/* ---- playbooks --------------------------------------------------------------------------- */

static void read_playbook(struct loader *l, const struct agent_words *w,
                          struct agent_source *source)
{
    struct span in;
    struct err err = ERR_INIT;
    struct json *rules;
    const char *file;
    int line = 0;
    if (w->playbook == NULL)
        return;
    source->playbook_path = w->playbook;
    if (!read_agent_file(l, w->playbook, YAML_MAX_BYTES, &in, &file, &err))
        ERROR_AT(l, w->source, "playbook", "%s", err.text);
    else if (!yaml_parse(&l->config->arena, in, &rules, &line, &err))
        report_in_file(l, w->playbook, line, "playbook", value_node(w->source, "playbook"),
                       err.text);
    else
        source->playbook = rules;
}

struct playbook_place {
    struct loader *l;
    const struct agent_words *w;
};

static void report_playbook(void *ctx, enum problem_kind kind, const struct json *at,
                            const char *key_path, const char *sentence)
{
    const struct playbook_place *place = ctx;
    (void)kind; /* a playbook has errors only */
    report_in_file(place->l, place->w->playbook, at == NULL ? 0 : yaml_line(at),
                   key_path == NULL ? "playbook" : key_path,
                   value_node(place->w->source, "playbook"), sentence);
}

/* Its rules may say what the agent may: its tools and the words that every agent has. */
static void parse_playbook(struct loader *l, const struct agent_words *w, struct agent *agent,
                           const struct agent_source *source)
{
    struct arena *a = &l->config->arena;
    struct step_intent *intents;
    struct playbook *playbook = NULL;
    struct playbook_place place = {.l = l, .w = w};
    struct problems problems = {.report = report_playbook, .ctx = &place};
    if (source->playbook == NULL)
        return;
    size_t n = agent_intents(agent, a, &intents);
    const char **names = ARENA_ARRAY(a, const char *, n + 1);
    for (size_t i = 0; i < n; i++)
        names[i] = intents[i].name;
    if (playbook_parse(a, source->playbook, names, &problems, &playbook))
        agent->playbook = playbook;
}

static bool uses_playbook(const struct model_config *model)
{
    return model != NULL && model->provider == MODEL_PLAYBOOK;
}

static void check_playbook(struct loader *l, const struct agent_words *w)
{
    if (json_get(w->source, "playbook") != NULL)
        return;
    if (uses_playbook(&l->config->llm))
        problem(&l->problems, PROBLEM_ERROR, w->source, "playbook", "is required: %s",
                l->words.llm.source != NULL ? "llm.provider is playbook" : "there is no llm");
    else if (uses_playbook(l->config->llm.fallback))
        problem(&l->problems, PROBLEM_WARNING, w->source, "playbook",
                "is left out: llm.fallback cannot answer for this agent");
}

/* ---- tools ------------------------------------------------------------------------------- */

static void no_such_tool(struct loader *l, const struct json *source, const char *key,
                         const char *name)
{
    struct config *c = l->config;
    const char **known = ARENA_ARRAY(&c->arena, const char *, c->n_tools + 8);
    size_t n = 0;
    for (size_t i = 0; i < c->n_tools; i++)
        known[n++] = c->tools[i].name;
    for (size_t i = 0; builtin_tools[i] != NULL; i++)
        known[n++] = builtin_tools[i];
    no_such(l, source, key, "tool", name, known, n);
}

static const struct tool *find_agent_tool(struct loader *l, const struct json *source,
                                          const char *key, const char *name)
{
    const struct tool *tool = config_tool(l->config, name);
    if (tool != NULL)
        return tool;
    if (is_one_of(reserved_tools, name))
        WARN_AT(l, source, key, "%s is given to every agent: leave it out", name);
    else if (is_one_of(builtin_tools, name))
        WARN_AT(l, source, key, "%s is checked, but left out in this version", name);
    else
        no_such_tool(l, source, key, name);
    return NULL;
}

static void build_agent_tools(struct loader *l, const struct agent_words *w, struct agent *agent)
{
    agent->tools = ARENA_ARRAY(&l->config->arena, const struct tool *, w->n_tools);
    for (size_t i = 0; i < w->n_tools; i++) {
        const struct tool *tool = find_agent_tool(l, w->source, "tools", w->tools[i]);
        for (size_t j = 0; tool != NULL && j < agent->n_tools; j++)
            if (agent->tools[j] == tool) {
                ERROR_AT(l, w->source, "tools", "%s is named twice", tool->name);
                tool = NULL;
            }
        if (tool != NULL)
            agent->tools[agent->n_tools++] = tool;
    }
}

static bool takes_no_arguments(const struct tool *tool)
{
    for (size_t i = 0; i < tool->n_args; i++)
        if (!tool->args[i].optional)
            return false;
    return true;
}

/* What runs before the first step must need neither a model nor a person. */
static void build_prefetch(struct loader *l, const struct agent_words *w, struct agent *agent)
{
    size_t n = 0;
    const char **kept = ARENA_ARRAY(&l->config->arena, const char *, agent->n_prefetch);
    for (size_t i = 0; i < agent->n_prefetch; i++) {
        const char *name = agent->prefetch[i];
        const struct tool *tool = find_agent_tool(l, w->source, "prefetch", name);
        if (tool != NULL && !tool->reads)
            ERROR_AT(l, w->source, "prefetch", "%s acts; only tools that read run unasked", name);
        else if (tool != NULL && !takes_no_arguments(tool))
            ERROR_AT(l, w->source, "prefetch", "%s has an argument that is required", name);
        else if (tool != NULL && agent_tool(agent, name) == NULL)
            ERROR_AT(l, w->source, "prefetch", "%s is none of this agent's tools", name);
        else if (tool != NULL)
            kept[n++] = name;
    }
    agent->prefetch = kept;
    agent->n_prefetch = n;
}

/* ---- the whole --------------------------------------------------------------------------- */

static void build_agent(struct loader *l, const struct agent_words *w, struct agent *agent,
                        struct agent_source *source)
{
    *agent = w->agent;
    at_path(l, "agents.%s", agent->name);
    if (w->source->type != JSON_OBJECT)
        return;
    agent->repo = read_repo(l, w->source);
    check_vars(l, agent, w->source);
    build_agent_tools(l, w, agent);
    build_prefetch(l, w, agent);
    read_playbook(l, w, source);
    check_playbook(l, w);
    parse_playbook(l, w, agent, source);
    read_prompt(l, w, agent, source);
}

void build_agents(struct loader *l)
{
    struct config *c = l->config;
    c->n_agents = l->words.n_agents;
    c->agents = ARENA_ARRAY(&c->arena, struct agent, c->n_agents);
    c->agent_sources = ARENA_ARRAY(&c->arena, struct agent_source, c->n_agents);
    for (size_t i = 0; i < c->n_agents; i++)
        build_agent(l, &l->words.agents[i], &c->agents[i], &c->agent_sources[i]);
}
