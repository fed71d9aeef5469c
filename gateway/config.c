/* Reading the configuration, start to end, and looking things up in it. */
#include "gateway/config.h"

#include "gateway/base/text.h"
#include "gateway/config_private.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

enum { REPORT_MAX = 2000 }; /* problems that are kept; nobody reads more */

/* ---- what the decoder asks and tells ----------------------------------------------------- */

static void on_problem(void *ctx, enum problem_kind kind, const struct json *at, const char *key,
                       const char *sentence)
{
    struct loader *l = ctx;
    int line = at != NULL ? yaml_line(at) : 1;
    if (l->count < REPORT_MAX)
        report_add(l, (struct config_problem){.kind = kind,
                                              .file = l->shown_file,
                                              .line = line,
                                              .key = key,
                                              .sentence = sentence,
                                              .order = line});
}

static int on_line(void *ctx, const struct json *at)
{
    (void)ctx;
    return yaml_line(at);
}

static enum value_origin on_origin(void *ctx, const struct json *at, const char **why)
{
    const struct yaml_node *node = yaml_node(at);
    (void)ctx;
    *why = node->why;
    return node->origin;
}

/* A problem before there is a tree. */
static void report_file(struct loader *l, int line, const char *sentence)
{
    l->problems.errors++;
    report_add(l, (struct config_problem){.kind = PROBLEM_ERROR,
                                          .file = l->shown_file,
                                          .line = line,
                                          .key = "",
                                          .sentence = sentence});
}

/* ---- reading ----------------------------------------------------------------------------- */

static void set_folder(struct config *c, const char *path)
{
    char here[4096];
    if (*path != '/' && getcwd(here, sizeof here) == NULL)
        abort(); /* we were started in a folder that is gone */
    c->file = *path == '/' ? arena_strdup(&c->arena, path) : path_in_folder(&c->arena, here, path);
    const char *slash = strrchr(c->file, '/');
    c->folder =
        slash == c->file ? "/" : arena_strndup(&c->arena, c->file, (size_t)(slash - c->file));
}

static bool read_tree(struct loader *l)
{
    struct arena *a = &l->config->arena;
    struct span in;
    struct json *root;
    struct err err = ERR_INIT;
    int line = 0;
    if (!read_whole_file(a, l->config->file, YAML_MAX_BYTES, &in, &err) ||
        !yaml_parse(a, in, &root, &line, &err)) {
        report_file(l, line, err.text);
        return false;
    }
    l->root = root;
    if (root->type == JSON_OBJECT)
        return true;
    report_file(l, 1, root->type == JSON_NULL ? "is empty" : "must be a mapping of keys to values");
    return false;
}

static void build(struct loader *l)
{
    fetch_values(l, l->root);
    fields_decode(&l->config->arena, config_rows, n_config_rows, l->root, &l->words, &l->problems);
    l->config->vercel = l->words.vercel;
    build_server(l);
    build_models(l);
    build_people(l);
    build_instances(l);
    build_policies(l);
    build_environments(l);
    build_tools(l);
    build_agents(l);
    build_pipelines(l);
    build_routes(l);
    build_keys(l);
    check_references(l);
}

struct config *config_load(struct arena *a, const char *path, const struct config_options *options,
                           struct config_report *report)
{
    static const struct config_options plain = {.mode = CONFIG_SERVE};
    struct config *config = calloc(1, sizeof *config);
    if (config == NULL)
        abort();
    struct loader l = {
        .config = config,
        .options = options != NULL ? options : &plain,
        .shown_file = path,
        .report_arena = a,
    };
    l.problems =
        (struct problems){.report = on_problem, .line = on_line, .origin = on_origin, .ctx = &l};
    if (l.options->mode == CONFIG_READ)
        l.problems.absent_kind = PROBLEM_NOTE;
    config->builtin_tool = l.options->builtin_tool;
    set_folder(config, path);
    if (read_tree(&l))
        build(&l);
    report_sort(&l, report);
    if (l.problems.errors > 0) {
        config_free(config);
        return NULL;
    }
    return config;
}

void config_free(struct config *config)
{
    if (config == NULL)
        return;
    arena_done(&config->arena);
    free(config);
}

/* ---- looking up -------------------------------------------------------------------------- */

#define FIND(list, count, wanted)                            \
    for (size_t i = 0; (wanted) != NULL && i < (count); i++) \
        if (strcmp((list)[i].name, (wanted)) == 0)           \
            return &(list)[i];                               \
    return NULL

const struct channel_config *config_channel(const struct config *config, const char *name)
{
    FIND(config->channels, config->n_channels, name);
}

const struct source_config *config_source(const struct config *config, const char *name)
{
    FIND(config->sources, config->n_sources, name);
}

const struct agent *config_agent(const struct config *config, const char *name)
{
    FIND(config->agents, config->n_agents, name);
}

const struct agent_source *config_agent_source(const struct config *config, const char *agent)
{
    const struct agent *found = config_agent(config, agent);
    return found != NULL ? &config->agent_sources[found - config->agents] : NULL;
}

const struct tool *config_tool(const struct config *config, const char *name)
{
    const struct tool *tool = tool_by_name(config->tools, config->n_tools, name);
    return tool != NULL || name == NULL ? tool : find_builtin(config, name);
}

const struct policy *config_policy(const struct config *config, const char *name)
{
    FIND(config->policies, config->n_policies, name);
}

const struct environment *config_environment(const struct config *config, const char *name)
{
    FIND(config->environments, config->n_environments, name);
}

const struct pipeline *config_pipeline(const struct config *config, const char *name)
{
    FIND(config->pipelines, config->n_pipelines, name);
}

const struct api_key *config_api_key(const struct config *config, const char *token)
{
    unsigned char hash[SHA256_SIZE];
    const struct api_key *found = NULL;
    if (token == NULL || *token == '\0')
        return NULL;
    sha256(span_of(token), hash);
    struct span wanted = {(const char *)hash, sizeof hash};
    for (size_t i = 0; i < config->n_api_keys; i++) {
        struct span own = {(const char *)config->api_keys[i].key_sha256, SHA256_SIZE};
        if (secret_eq(own, wanted))
            found = &config->api_keys[i];
    }
    return found;
}

bool api_key_may(const struct api_key *key, const char *scope)
{
    bool in_star = strcmp(scope, "requests:decide_as") != 0 && strcmp(scope, "people:login") != 0;
    for (size_t i = 0; i < key->n_scopes; i++)
        if (strcmp(key->scopes[i], scope) == 0 || (in_star && strcmp(key->scopes[i], "*") == 0))
            return true;
    return false;
}
