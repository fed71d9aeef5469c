/* What the parts of the loader share. */
#include "gateway/base/template.h"
#include "gateway/base/text.h"
#include "gateway/config_private.h"

#include <string.h>
#include <strings.h>
#include <unistd.h>

const char *const reserved_tools[] = {
    "request_human_input", "await", "keep_waiting", "done_for_now", "nothing_to_do",
    "hand_over",           NULL};

void at_path(struct loader *l, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    l->problems.path = arena_vprintf(&l->config->arena, fmt, args);
    va_end(args);
}

const struct json *value_node(const struct json *object, const char *key)
{
    const struct json *node = key != NULL ? json_get(object, key) : NULL;
    return node != NULL ? node : object;
}

bool is_one_of(const char *const *words, const char *word)
{
    for (; *words != NULL; words++)
        if (text_eq(*words, word))
            return true;
    return false;
}

void no_such(struct loader *l, const struct json *object, const char *key, const char *what,
             const char *name, const char *const *known, size_t n)
{
    const char *meant = nearest_word(name, known, n);
    if (meant != NULL)
        ERROR_AT(l, object, key, "there is no %s %s; did you mean %s?", what, name, meant);
    else
        ERROR_AT(l, object, key, "there is no %s %s", what, name);
}

const struct tool *find_builtin(const struct config *config, const char *name)
{
    /* Enough to name them, for builds and tests without the tools themselves. */
    static const struct tool bare[] = {
        {.name = "list_git_commits", .run = {.builtin = "list_git_commits"}, .reads = true},
        {.name = "list_git_tags", .run = {.builtin = "list_git_tags"}, .reads = true},
        {.name = "compare_commits", .run = {.builtin = "compare_commits"}, .reads = true},
        {.name = "list_deployments", .run = {.builtin = "list_deployments"}, .reads = true},
    };
    if (config->builtin_tool != NULL)
        return config->builtin_tool(name);
    return tool_by_name(bare, COUNT(bare), name);
}

const char *shown_path(struct loader *l, const char *path)
{
    const char *slash = strrchr(l->shown_file, '/');
    if (*path == '/' || slash == NULL)
        return path;
    path += text_starts(path, "./") ? 2 : 0;
    return arena_printf(&l->config->arena, "%.*s/%s", (int)(slash - l->shown_file), l->shown_file,
                        path);
}

/* ---- repositories ------------------------------------------------------------------------ */

static const struct json *read_local_repo(struct loader *l, const struct json *node)
{
    struct arena *a = &l->config->arena;
    const char *path = NULL, *before = l->problems.path;
    at_path(l, "%s.repo", before);
    bool ok = fields_decode(a, repo_path_rows, n_repo_path_rows, node, &path, &l->problems);
    const char *folder = ok && path != NULL ? path_in_folder(a, l->config->folder, path) : NULL;
    if (folder != NULL && access(folder, F_OK) != 0)
        WARN_AT(l, node, "path", "there is no folder %s", folder);
    l->problems.path = before;
    if (folder == NULL)
        return NULL;
    struct json *repo = json_object(a);
    json_set_text(a, repo, "path", folder);
    return repo;
}

const struct json *read_repo(struct loader *l, const struct json *object)
{
    struct err err = ERR_INIT;
    const struct json *node = json_get(object, "repo");
    if (node == NULL || node->type == JSON_NULL)
        return NULL;
    if (node->type == JSON_OBJECT)
        return read_local_repo(l, node);
    if (yaml_node(node)->origin == VALUE_ABSENT)
        return NULL; /* reported where it was decoded */
    if (node->type == JSON_STRING && check_repo_name(node->text, &err))
        return json_string(&l->config->arena, node->text);
    ERROR_AT(l, object, "repo", "%s",
             err.kind != ERR_NONE ? err.text : "must be owner/name or {path: DIR}");
    return NULL;
}

bool same_repo(const struct json *a, const struct json *b)
{
    const char *x = json_text(a), *y = json_text(b);
    if (x != NULL && y != NULL)
        return strcasecmp(x, y) == 0;
    return x == NULL && y == NULL && text_eq(json_text_at(a, "path"), json_text_at(b, "path"));
}

/* ---- holes ------------------------------------------------------------------------------- */

void check_holes(struct loader *l, const struct json *at, const char *key, const char *text,
                 const char *const *names)
{
    static const char first_line[] = "line 1: ";
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    struct template *parsed;
    struct err err = ERR_INIT;
    if (template_parse(&a, text, names, &parsed, &err))
        return;
    const char *sentence = err.text + (text_starts(err.text, first_line) ? strlen(first_line) : 0);
    problem(&l->problems, PROBLEM_ERROR, at, key, "%s", sentence);
}
