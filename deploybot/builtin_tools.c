/* The built-in read tools: their names and arguments. How they read is in source_repo.c and, for
 * list_deployments, in the gateway's own records. */
#include "deploybot/source_repo.h"
#include "gateway/base/text.h"

/* Plain tables: no tool of these has a required argument, so each can be prefetched. */
static struct tool_arg limit_args[] = {
    {.name = "limit",
     .type = ARG_INTEGER,
     .description = "how many, 1 to 50",
     .min = 1,
     .max = 50,
     .optional = true},
};
static struct tool_arg commit_args[] = {
    {.name = "branch",
     .type = ARG_STRING,
     .description = "default: the default branch",
     .max_length = 200,
     .min = 1,
     .max = 0,
     .optional = true},
    {.name = "limit",
     .type = ARG_INTEGER,
     .description = "how many, 1 to 50",
     .min = 1,
     .max = 50,
     .optional = true},
};
static struct tool_arg compare_args[] = {
    {.name = "base",
     .type = ARG_STRING,
     .description = "the older ref; default: the commit before head",
     .max_length = 200,
     .min = 1,
     .max = 0,
     .optional = true},
    {.name = "head",
     .type = ARG_STRING,
     .description = "the newer ref; default: the default branch",
     .max_length = 200,
     .min = 1,
     .max = 0,
     .optional = true},
};
static struct tool_arg deployment_args[] = {
    {.name = "environment",
     .type = ARG_STRING,
     .description = "default: all",
     .max_length = 200,
     .min = 1,
     .max = 0,
     .optional = true},
    {.name = "component",
     .type = ARG_STRING,
     .description = "default: all",
     .max_length = 200,
     .min = 1,
     .max = 0,
     .optional = true},
    {.name = "limit",
     .type = ARG_INTEGER,
     .description = "how many of each environment, 1 to 50",
     .min = 1,
     .max = 50,
     .optional = true},
};

static const struct tool tools[] = {
    {.name = "list_git_commits",
     .description = "The newest commits of a branch, newest first",
     .args = commit_args,
     .n_args = COUNT(commit_args),
     .run = {.kind = RUN_BUILTIN, .builtin = "list_git_commits"},
     .reads = true},
    {.name = "list_git_tags",
     .description = "The newest tags and the commits they name",
     .args = limit_args,
     .n_args = COUNT(limit_args),
     .run = {.kind = RUN_BUILTIN, .builtin = "list_git_tags"},
     .reads = true},
    {.name = "compare_commits",
     .description = "How two commits differ: ahead, behind or diverged, and the commits between",
     .args = compare_args,
     .n_args = COUNT(compare_args),
     .run = {.kind = RUN_BUILTIN, .builtin = "compare_commits"},
     .reads = true},
    {.name = "list_deployments",
     .description = "What runs in each environment, what ran there before, and how that ended",
     .args = deployment_args,
     .n_args = COUNT(deployment_args),
     .run = {.kind = RUN_BUILTIN, .builtin = "list_deployments"},
     .reads = true},
};

const struct tool *builtin_tool(const char *name)
{
    for (size_t i = 0; i < COUNT(tools); i++)
        if (text_eq(tools[i].name, name))
            return &tools[i];
    return NULL;
}
