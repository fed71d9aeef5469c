/* Tools and pipelines: what runs, with its arguments. */
#include "gateway/base/text.h"
#include "gateway/config_private.h"

#include <math.h>
#include <string.h>
#include <unistd.h>

/* ---- run --------------------------------------------------------------------------------- */

/* The texts of a spec that is kept as it is, wherever they stand. */
static void check_spec_holes(struct loader *l, const struct json *j, const char *key,
                             const char *const *names)
{
    if (j->type == JSON_STRING)
        check_holes(l, j, key, j->text, names);
    JSON_EACH(item, j->type == JSON_OBJECT || j->type == JSON_ARRAY ? j : NULL)
    check_spec_holes(l, item, key, names);
}

/* Legal, since it may come later; but the first run would tell nobody until it is too late. */
static void warn_missing_program(struct loader *l, const struct json *node,
                                 const struct tool_run *run)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    const char *program = run->argv[0];
    if (strchr(program, '/') == NULL)
        return; /* found by PATH */
    const char *path = path_in_folder(&a, run->cwd, program);
    if (access(path, X_OK) != 0)
        WARN_AT(l, node, "command", "%s is no file that can be run", path);
}

static void read_command(struct loader *l, const struct json *node, const struct run_words *w,
                         const char *const *names, struct tool_run *out)
{
    struct arena *a = &l->config->arena;
    const struct json *command = json_get(node, "command");
    out->kind = RUN_COMMAND;
    out->argv = w->command;
    out->n_argv = w->n_command;
    out->timeout_ms = w->timeout_ms;
    out->cwd = w->cwd != NULL ? path_in_folder(a, l->config->folder, w->cwd) : l->config->folder;
    out->env = w->env;
    out->n_env = w->n_env;
    out->output_bytes = w->output_bytes;
    if (command->type == JSON_ARRAY && json_count(command) == 0)
        ERROR_AT(l, node, "command", "must begin with a program");
    if (w->n_command == 0)
        return;
    if (strstr(w->command[0], "{{") != NULL)
        ERROR_AT(l, node, "command", "the program itself cannot be filled in");
    check_spec_holes(l, command, "command", names);
    warn_missing_program(l, node, out);
}

static void read_builtin(struct loader *l, const struct json *object, const char *key,
                         const char *name, struct tool_run *out)
{
    size_t n = 0;
    while (builtin_tools[n] != NULL)
        n++;
    out->kind = RUN_BUILTIN;
    out->builtin = name;
    if (!is_one_of(builtin_tools, name))
        no_such(l, object, key, "built-in tool", name, builtin_tools, n);
    else if (find_builtin(l->config, name) == NULL)
        WARN_AT(l, object, key, "%s does nothing in this version", name);
}

static void read_run_object(struct loader *l, const struct json *node, const char *const *names,
                            struct tool_run *out)
{
    static const struct {
        const char *key;
        enum run_kind kind;
    } kinds[] = {
        {"command", RUN_COMMAND},
        {"http", RUN_HTTP},
        {"github_workflow", RUN_GITHUB_WORKFLOW},
        {"vercel", RUN_VERCEL},
        {"builtin", RUN_BUILTIN},
    };
    struct run_words w = {0};
    const char *found = NULL;
    size_t n = 0;
    bool ok = fields_decode(&l->config->arena, run_rows, n_run_rows, node, &w, &l->problems);
    for (size_t i = 0; i < COUNT(kinds); i++)
        if (json_get(node, kinds[i].key) != NULL) {
            found = kinds[i].key;
            out->kind = kinds[i].kind;
            n++;
        }
    if (node->type == JSON_OBJECT && n != 1 && (ok || n > 1))
        ERROR_AT(l, node, NULL,
                 "needs exactly one of command, http, github_workflow, vercel and builtin");
    if (n != 1)
        return;
    if (out->kind == RUN_COMMAND) {
        read_command(l, node, &w, names, out);
    } else if (out->kind == RUN_BUILTIN && w.builtin != NULL) {
        read_builtin(l, node, "builtin", w.builtin, out);
    } else {
        out->spec = json_get(node, found);
        check_spec_holes(l, out->spec, found, names);
    }
}

/* `names`: the holes that its texts may have. The path is that of the object with the key `run`. */
static void read_run(struct loader *l, const struct json *object, const char *const *names,
                     struct tool_run *out)
{
    const struct json *node = json_get(object, "run");
    const char *path = l->problems.path;
    if (node == NULL || node->type == JSON_NULL)
        return;
    if (node->type == JSON_STRING) {
        read_builtin(l, object, "run", node->text, out);
        return;
    }
    at_path(l, "%s.run", path);
    read_run_object(l, node, names, out);
    l->problems.path = path;
}

/* ---- tools ------------------------------------------------------------------------------- */

static void check_arg_keys(struct loader *l, const struct tool_arg *arg, const struct json *object)
{
    static const char *const of_texts[] = {"pattern", "enum", "max_length"};
    static const char *const of_numbers[] = {"minimum", "maximum"};
    bool is_number = arg->type == ARG_INTEGER || arg->type == ARG_NUMBER;
    for (size_t i = 0; arg->type != ARG_STRING && i < COUNT(of_texts); i++)
        if (json_get(object, of_texts[i]) != NULL)
            ERROR_AT(l, object, of_texts[i], "goes with type: string");
    for (size_t i = 0; !is_number && i < COUNT(of_numbers); i++)
        if (json_get(object, of_numbers[i]) != NULL)
            ERROR_AT(l, object, of_numbers[i], "goes with type: integer or number");
}

static void finish_arg(struct loader *l, const struct tool *tool, struct tool_arg *arg,
                       const struct json *object)
{
    struct err err = ERR_INIT;
    at_path(l, "tools.%s.args.%s", tool->name, arg->name);
    if (!check_tool_name(arg->name, &err))
        ERROR_AT(l, object, NULL, "must be a name of letters, digits, '_' and '-'");
    if (text_eq(arg->name, "intent") || text_eq(arg->name, "reasoning"))
        ERROR_AT(l, object, NULL, "is a word of every step and cannot name an argument");
    check_arg_keys(l, arg, object);
    bool has_min = json_get(object, "minimum") != NULL,
         has_max = json_get(object, "maximum") != NULL;
    if (has_min && has_max && arg->min > arg->max)
        ERROR_AT(l, object, "maximum", "is less than minimum");
    if (!has_min && !has_max) {
        arg->min = 1; /* min > max: no bounds */
        arg->max = 0;
        return;
    }
    arg->min = has_min ? arg->min : -(double)INFINITY;
    arg->max = has_max ? arg->max : (double)INFINITY;
}

static const char *const *arg_names(struct arena *a, const struct tool *tool)
{
    const char **names = ARENA_ARRAY(a, const char *, tool->n_args + 1);
    for (size_t i = 0; i < tool->n_args; i++)
        names[i] = tool->args[i].name;
    return names;
}

static void check_needs(struct loader *l, struct tool *tool, const struct json *source)
{
    bool is_builtin = tool->run.kind == RUN_BUILTIN && is_one_of(builtin_tools, tool->run.builtin);
    const struct json *needs = json_get(source, "needs");
    if (is_builtin)
        tool->reads = true;
    if (tool->reads && needs != NULL)
        ERROR_AT(l, source, "needs", "is for tools that act; this one only reads");
    else if (!tool->reads && needs == NULL && json_get(source, "run") != NULL)
        problem(&l->problems, PROBLEM_ERROR, source, "needs",
                "is required: a policy, or `nobody`; or say reads: true");
    if (text_eq(tool->needs, "nobody"))
        WARN_AT(l, source, "needs", "nobody: it acts without asking anybody");
}

static void check_target(struct loader *l, const struct tool *tool, const struct json *source)
{
    const char *ref = tool->target.ref;
    at_path(l, "tools.%s.target", tool->name);
    const struct json *target = json_get(source, "target");
    const struct tool_arg *arg = ref != NULL ? tool_arg_by_name(tool, ref) : NULL;
    if (ref != NULL && arg == NULL)
        no_such(l, target, "ref", "argument", ref, arg_names(&l->config->arena, tool),
                tool->n_args);
    else if (arg != NULL && arg->type != ARG_STRING)
        ERROR_AT(l, target, "ref", "the argument %s is no string", ref);
}

static void check_editable(struct loader *l, const struct tool *tool, const struct json *source)
{
    at_path(l, "tools.%s", tool->name);
    for (size_t i = 0; i < tool->n_editable; i++)
        if (tool_arg_by_name(tool, tool->editable[i]) == NULL)
            no_such(l, source, "editable", "argument", tool->editable[i],
                    arg_names(&l->config->arena, tool), tool->n_args);
}

static void build_tool(struct loader *l, const struct tool_words *w, struct tool *tool)
{
    struct err err = ERR_INIT;
    const struct json *args = json_get(w->source, "args");
    *tool = w->tool;
    at_path(l, "tools.%s", tool->name);
    if (!check_tool_name(tool->name, &err))
        ERROR_AT(l, w->source, NULL, "%s", err.text);
    if (is_one_of(reserved_tools, tool->name))
        ERROR_AT(l, w->source, NULL, "every agent has a tool of this name already");
    else if (is_one_of(builtin_tools, tool->name) &&
             !text_eq(json_text(json_get(w->source, "run")), tool->name))
        WARN_AT(l, w->source, NULL, "takes the place of the built-in tool");
    if (tool->description == NULL)
        tool->description = tool->name;
    for (size_t i = 0; i < tool->n_args; i++)
        finish_arg(l, tool, &tool->args[i], json_get(args, tool->args[i].name));
    at_path(l, "tools.%s", tool->name);
    read_run(l, w->source, arg_names(&l->config->arena, tool), &tool->run);
    check_needs(l, tool, w->source);
    check_target(l, tool, w->source);
    check_editable(l, tool, w->source);
}

void build_tools(struct loader *l)
{
    struct config *c = l->config;
    c->n_tools = l->words.n_tools;
    c->tools = ARENA_ARRAY(&c->arena, struct tool, c->n_tools);
    for (size_t i = 0; i < c->n_tools; i++)
        build_tool(l, &l->words.tools[i], &c->tools[i]);
}

/* ---- pipelines --------------------------------------------------------------------------- */

static const char *const run_variables[] = {"sha",    "short_sha", "repo", "number", "title",
                                            "author", "merged_by", "base", "run",    NULL};

static void check_stage_keys(struct loader *l, const struct stage_words *w)
{
    const struct json *source = w->source;
    bool has_run = json_get(source, "run") != NULL, has_agent = json_get(source, "agent") != NULL;
    if (has_run == has_agent)
        ERROR_AT(l, source, NULL, "needs exactly one of run and agent");
    if (json_get(source, "message") != NULL && !has_agent)
        ERROR_AT(l, source, "message", "goes with agent");
    if (json_get(source, "deploys") != NULL && has_agent)
        ERROR_AT(l, source, "deploys", "goes with run: an agent's tools say what they deploy");
    if (json_get(source, "environment") != NULL)
        return;
    if (json_get(source, "component") != NULL)
        ERROR_AT(l, source, "component", "goes with environment");
    if (w->deploys)
        ERROR_AT(l, source, "deploys", "goes with environment");
}

static void finish_stage_message(struct loader *l, const struct stage_words *w, struct stage *stage)
{
    if (stage->message != NULL)
        check_spec_holes(l, value_node(w->source, "message"), "message", run_variables);
    else if (stage->agent != NULL && stage->environment != NULL)
        stage->message =
            arena_printf(&l->config->arena, "deploy SHA {{sha}} to %s", stage->environment);
    else if (stage->agent != NULL)
        ERROR_AT(l, w->source, "message", "is required for an agent without an environment");
}

static void build_stage(struct loader *l, const struct stage_words *w, struct stage *stage)
{
    *stage = w->stage;
    stage->on_failure = w->on_failure.agent;
    if (json_get(w->source, "deploys") != NULL)
        stage->deploys = w->deploys ? DEPLOYS_YES : DEPLOYS_NO;
    if (w->source->type != JSON_OBJECT)
        return;
    check_stage_keys(l, w);
    read_run(l, w->source, run_variables, &stage->run);
    if (stage->run.kind == RUN_BUILTIN && stage->run.builtin != NULL)
        ERROR_AT(l, w->source, "run", "a built-in tool only reads and cannot be a stage");
    finish_stage_message(l, w, stage);
}

static void build_pipeline(struct loader *l, const struct pipeline_words *w, struct pipeline *out)
{
    *out = w->pipeline;
    out->n_stages = w->n_stages;
    out->stages = ARENA_ARRAY(&l->config->arena, struct stage, w->n_stages);
    at_path(l, "pipelines.%s", out->name);
    if (json_get(w->source, "stages") != NULL && w->n_stages == 0)
        ERROR_AT(l, w->source, "stages", "has no stage");
    for (size_t i = 0; i < w->n_stages; i++) {
        at_path(l, "pipelines.%s.stages.%zu", out->name, i);
        build_stage(l, &w->stages[i], &out->stages[i]);
        for (size_t j = 0; j < i; j++)
            if (out->stages[j].name != NULL && text_eq(out->stages[j].name, out->stages[i].name))
                ERROR_AT(l, w->stages[i].source, "name", "%s is there already (line %d)",
                         out->stages[i].name, out->stages[j].line);
    }
}

void build_pipelines(struct loader *l)
{
    struct config *c = l->config;
    c->n_pipelines = l->words.n_pipelines;
    c->pipelines = ARENA_ARRAY(&c->arena, struct pipeline, c->n_pipelines);
    for (size_t i = 0; i < c->n_pipelines; i++)
        build_pipeline(l, &l->words.pipelines[i], &c->pipelines[i]);
}
