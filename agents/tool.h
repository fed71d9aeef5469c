/* What an intent means. One table (struct tool) gives the checks, the JSON Schema that the model
 * sees, the argv that runs and the card that people read. Pure. */
#pragma once

#include "gateway/base/err.h"
#include "gateway/base/json.h"

enum arg_type { ARG_STRING, ARG_INTEGER, ARG_NUMBER, ARG_BOOLEAN };

struct tool_arg {
    const char *name;
    enum arg_type type;
    const char *pattern; /* strings: PCRE2, unanchored as in JSON Schema; NULL: none */
    const char *description;
    const char **choices; /* strings: enum; NULL: any */
    size_t n_choices;
    double min, max;    /* numbers; both 0, or min > max: no bounds; infinite: none there */
    int64_t max_length; /* strings, in characters; 0: 4,000 */
    bool optional;
};

enum run_kind { RUN_BUILTIN, RUN_COMMAND, RUN_HTTP, RUN_GITHUB_WORKFLOW, RUN_VERCEL };

struct tool_run {
    enum run_kind kind;
    const char *builtin; /* RUN_BUILTIN: "list_git_commits" … */
    const char **argv;   /* RUN_COMMAND: items may hold {{arg}} */
    size_t n_argv;
    int64_t timeout_ms;
    const char *cwd;  /* absolute */
    const char **env; /* names that the command may see */
    size_t n_env;
    int64_t output_bytes;    /* the most that is kept */
    const struct json *spec; /* the other kinds: as configured */
};

struct tool_target {
    const char *environment, *component; /* NULL: none */
    const char *ref;                     /* the argument that names a commit, or NULL */
    bool rollback;
};

struct tool {
    const char *name, *description;
    struct tool_arg *args;
    size_t n_args;
    struct tool_run run;
    struct tool_target target;
    bool reads;
    const char *needs; /* a policy's name, "nobody", or NULL (reads) */
    const char **editable;
    size_t n_editable;
    int line;
};

enum { TOOL_TEXT_MAX = 4000 }; /* characters in a string argument whose max_length is 0 */

/* NULL when there is none. */
const struct tool *tool_by_name(const struct tool *tools, size_t n, const char *name);
const struct tool_arg *tool_arg_by_name(const struct tool *tool, const char *name);

/* A value as a person gave it: text out of a form becomes what the argument wants, where it can; an
 * empty text is no value for an optional one. NULL: no value. */
const struct json *tool_arg_read(struct arena *a, const struct tool_arg *arg,
                                 const struct json *value);

/* The words of the configuration: "string", "integer", "number", "boolean". */
const char *arg_type_name(enum arg_type type);

/* May it run without asking anybody: it only reads, or it needs `nobody`? */
bool tool_runs_unasked(const struct tool *tool);

/* The JSON Schema object of the arguments: additionalProperties is false. `for_model` leaves the
 * pattern of the ref argument out: a model may give any unambiguous ref, which is resolved before
 * the pattern is checked. */
struct json *tool_schema(struct arena *a, const struct tool *tool, bool for_model);
