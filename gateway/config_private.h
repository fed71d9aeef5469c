/* What the files of the configuration share: the keys as they are written (struct words), the
 * tables that decode them, and the loader that turns them into struct config. Not for others. */
#pragma once

#include "gateway/config.h"
#include "gateway/yaml.h"

/* ---- as written: each with the node that it came from, so that later checks know its lines ----
 */

struct tls_words {
    const char *cert, *key;
};

struct server_words {
    struct server_config server;
    struct tls_words tls;
    const struct json *source;
};

struct store_words {
    struct store_config store;
    const struct json *source;
};

struct price_words {
    double input, output;
};

struct fallback_words {
    struct model_config model;
    struct price_words price;
    const struct json *source; /* NULL: absent */
};

struct model_words {
    struct model_config model;
    struct price_words price;
    struct fallback_words fallback;
    const struct json *source; /* NULL: absent */
};

struct route_words {
    struct route route;
    const struct json *source;
};

struct agent_words {
    struct agent agent;
    const char *prompt, *playbook;
    const char **tools;
    size_t n_tools;
    const struct json *source;
};

struct http_words {
    const char *method, *url, *body;
    const struct json *headers;
};

struct workflow_words {
    const char *repo, *workflow, *ref;
    const struct json *inputs;
    int64_t wait_ms;
};

struct vercel_words {
    const char *action, *project, *deployment;
};

struct run_words {
    const char **command, **env, *cwd, *builtin;
    size_t n_command, n_env;
    int64_t timeout_ms, output_bytes;
    struct http_words http;
    struct workflow_words github_workflow;
    struct vercel_words vercel;
};

struct tool_words {
    struct tool tool;
    const struct json *run, *source;
};

struct freeze_words {
    struct freeze freeze;
    const char **days;
    size_t n_days;
    const struct json *source;
};

struct environment_words {
    struct environment environment;
    struct freeze_words *freezes;
    size_t n_freezes;
    const struct json *source;
};

struct on_failure_words {
    const char *agent;
};

struct stage_words {
    struct stage stage;
    struct on_failure_words on_failure;
    bool deploys;
    const struct json *run, *source;
};

struct pipeline_words {
    struct pipeline pipeline;
    struct stage_words *stages;
    size_t n_stages;
    const struct json *source;
};

struct key_words {
    struct api_key key;
    const char *secret;
    const struct json *source;
};

struct words {
    struct server_words server;
    struct store_words store;
    struct log_config log;
    struct model_words llm;
    struct person *people;
    size_t n_people;
    const struct json *channels, *sources, *policies; /* decoded one by one */
    struct route_words *routes;
    size_t n_routes;
    struct agent_words *agents;
    size_t n_agents;
    struct tool_words *tools;
    size_t n_tools;
    struct environment_words *environments;
    size_t n_environments;
    struct pipeline_words *pipelines;
    size_t n_pipelines;
    struct vercel_config vercel;
    struct key_words *api_keys;
    size_t n_api_keys;
};

/* ---- the tables: config_rows.c --------------------------------------------------------------- */

/* A channel or source has the keys of its type. */
struct variant {
    const char *type, *help;
    bool later; /* read and checked, does nothing in this version */
    const struct field *rows;
    size_t n_rows, size;
};

extern const struct field config_rows[]; /* of struct words */
extern const size_t n_config_rows;
extern const struct field run_rows[]; /* of struct run_words */
extern const size_t n_run_rows;
extern const struct field repo_path_rows[]; /* of a const char * */
extern const size_t n_repo_path_rows;
extern const struct variant channel_variants[], source_variants[];
extern const size_t n_channel_variants, n_source_variants;

/* The read tools that are built in; NULL-terminated. */
extern const char *const builtin_tools[];
/* Those of them that look into a repository. */
bool builtin_needs_repo(const char *name);
/* Legal to name, not in this version. */
bool builtin_is_later(const char *name);

/* ---- checks of one text: config_syntax.c. Each is a `check` of a row ------------------------- */

bool check_name(const char *text, struct err *err);
bool check_tool_name(const char *text, struct err *err);
bool check_one_line(const char *text, struct err *err);
bool check_listen(const char *text, struct err *err);
bool check_http_url(const char *text, struct err *err);
bool check_smtp_url(const char *text, struct err *err);
bool check_imap_url(const char *text, struct err *err);
bool check_store_url(const char *text, struct err *err);
bool check_proxy(const char *text, struct err *err);
bool check_pem(const char *text, struct err *err);
bool check_address(const char *text, struct err *err);
bool check_phone(const char *text, struct err *err);
bool check_slack_user(const char *text, struct err *err);
bool check_login(const char *text, struct err *err);
bool check_time_zone(const char *text, struct err *err); /* looks into /usr/share/zoneinfo */
bool check_cron(const char *text, struct err *err);
bool check_date(const char *text, struct err *err);
bool check_week_time(const char *text, struct err *err);
bool check_repo_name(const char *text, struct err *err);
bool check_event(const char *text, struct err *err);
bool check_command_word(const char *text, struct err *err);
bool check_env_name(const char *text, struct err *err);
bool check_pattern(const char *text, struct err *err);
bool url_is_loopback(const char *url);

/* ---- the loader ------------------------------------------------------------------------------ */

struct loader {
    struct config *config; /* being made; its arena holds everything */
    const struct config_options *options;
    struct problems problems;
    const struct json *root; /* the file */
    struct words words;
    const char *shown_file; /* as given on the command line */
    struct arena *report_arena;
    struct config_problem *list;
    size_t count, room;
};

/* config_report.c */
void report_add(struct loader *l, struct config_problem problem);
void report_sort(struct loader *l, struct config_report *report);

/* config_files.c: bytes of files and values from the environment. */
bool read_whole_file(struct arena *a, const char *path, size_t max, struct span *out,
                     struct err *err);
const char *path_in_folder(struct arena *a, const char *folder, const char *path);
void fetch_values(struct loader *l, const struct json *root);

/* Words → config; each part reports its own problems. config_build.c */
void build_server(struct loader *l);
void build_models(struct loader *l);
void build_people(struct loader *l);
void build_instances(struct loader *l); /* channels and sources */
void build_policies(struct loader *l);
void build_environments(struct loader *l);
void build_routes(struct loader *l);
void build_keys(struct loader *l);
/* config_runs.c */
void build_tools(struct loader *l);
void build_pipelines(struct loader *l);
/* config_agents.c */
void build_agents(struct loader *l);

/* config_check.c: what holds between the parts. */
void check_references(struct loader *l);

/* ---- small things that the parts share: config_shared.c -------------------------------------- */

/* Sets problems.path, from the loader's arena. */
void at_path(struct loader *l, const char *fmt, ...) PRINTF(2, 3);

/* problem() for the value of `key` in `object`: at its node, or at the object when it is absent. */
#define ERROR_AT(l, object, key, ...) \
    problem(&(l)->problems, PROBLEM_ERROR, value_node((object), (key)), (key), __VA_ARGS__)
#define WARN_AT(l, object, key, ...) \
    problem(&(l)->problems, PROBLEM_WARNING, value_node((object), (key)), (key), __VA_ARGS__)
const struct json *value_node(const struct json *object, const char *key);

/* A built-in tool of this build, or NULL. */
const struct tool *find_builtin(const struct config *config, const char *name);

/* Names that every agent has already; a tool cannot take them. NULL-terminated. */
extern const char *const reserved_tools[];
bool is_one_of(const char *const *words, const char *word);

/* How a path in the configuration is shown: as seen from where the command was given. */
const char *shown_path(struct loader *l, const char *path);

/* An error that `name` (the value of `key` in `object`) is no `what`, with the one that was meant.
 */
void no_such(struct loader *l, const struct json *object, const char *key, const char *what,
             const char *name, const char *const *known, size_t n);

/* The repository that the key `repo` of an object names, its path made absolute; NULL when absent
 * or wrong (reported).
 */
const struct json *read_repo(struct loader *l, const struct json *object);
/* Two repositories as read_repo() gives them. */
bool same_repo(const struct json *a, const struct json *b);

/* Every hole in the text, a single line, must be one of `names` (NULL-terminated). */
void check_holes(struct loader *l, const struct json *at, const char *key, const char *text,
                 const char *const *names);
