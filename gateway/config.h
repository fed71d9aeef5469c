/* The configuration: one YAML file → struct config, by field tables; every problem with its line.
 *
 * A loaded configuration is immutable and checked: every name in it exists, every policy can be
 * met, every prompt's variables are known. All of it lives in one arena of its own; any thread may
 * read it. A reload makes a new one; keep the old until nothing borrows from it. */
#pragma once

#include "agents/agent.h"
#include "agents/policy.h"
#include "agents/tool.h"
#include "channels/channel.h"
#include "channels/people.h"
#include "deploybot/deploy.h"
#include "gateway/base/field.h"
#include "gateway/base/hash.h"

#include <stdio.h>

/* What the configuration is read for: it decides what a value that is missing from the environment
 * means. */
enum config_mode {
    CONFIG_SERVE, /* everything that is used must be there */
    CONFIG_CHECK, /* the same; nothing is started */
    CONFIG_READ,  /* only the store is opened, to look: secrets may be missing */
};

struct config_options {
    enum config_mode mode;
    /* The environment; NULL: getenv. */
    const char *(*env)(void *ctx, const char *name);
    void *env_ctx;
    /* The text of a built-in copy ("deploybot.md", "deploybot.playbook.yaml"), or NULL; used when
     * the file that is named does not exist. The pointer may be NULL. */
    const char *(*builtin_file)(const char *path);
    /* channel_ops_by_type, and the same for built-in tools. NULL: this build has none; then a
     * built-in tool is a bare `struct tool` with its name. */
    const struct channel_ops *(*channel_ops)(const char *type);
    const struct channel_ops *(*source_ops)(const char *type);
    const struct tool *(*builtin_tool)(const char *name);
};

struct server_config {
    const char *listen;     /* "127.0.0.1:8080", "[::]:8080", "unix:/run/signoff.sock" (absolute) */
    const char *public_url; /* without a final '/' */
    const char *tls_cert, *tls_key; /* PEM text; both or none */
    const char **trusted_proxies;
    size_t n_trusted_proxies;
    int64_t max_body_bytes;
    const char *state; /* absolute folder */
};

struct store_config {
    const char *url;  /* as configured */
    const char *path; /* the SQLite file, absolute */
    int64_t keep_ms;  /* 0: for ever */
};

struct log_config {
    const char *level;  /* debug | info | warn | error */
    const char *format; /* logfmt | json */
};

enum model_provider { MODEL_OPENAI, MODEL_ANTHROPIC, MODEL_PLAYBOOK };

struct model_config {
    enum model_provider provider;
    const char *base_url; /* without a final '/'; NULL: playbook */
    const char *api_key;  /* NULL: none is sent */
    const char *model;
    const char *schema_mode; /* auto | openai_strict | json_schema | llama | ollama | none */
    int64_t timeout_ms, max_output_tokens;
    double input_per_mtok, output_per_mtok; /* both 0: no price known */
    const struct model_config *fallback;    /* NULL: none */
    int line;
};

/* A configured channel. */
struct channel_config {
    const char *name, *type;       /* "ops-slack", "slack" */
    const struct channel_ops *ops; /* NULL: not in this build */
    const void *settings; /* struct slack_settings, email_settings, sms_settings; web: NULL */
    int line;
};

struct email_settings {
    const char *name, *from, *smtp_url, *smtp_user, *smtp_password;
    const char *inbound; /* imap | lmtp | mailgun | postmark | sendgrid | none */
    const char *imap_url, *imap_user, *imap_password;
    int64_t poll_ms;
    const char *lmtp_listen, *reply_address, *webhook_secret;
    const char **trusted_authserv_ids, **allow_from;
    size_t n_trusted_authserv_ids, n_allow_from;
};

struct sms_settings {
    const char *name, *provider; /* twilio | vonage | messagebird | sns */
    const char *account_sid, *auth_token, *from, *messaging_service_sid, *api_base;
};

/* A configured source. */
struct source_config {
    const char *name, *type;       /* "github" | "schedule" | "webhook" */
    const struct channel_ops *ops; /* NULL: not in this build */
    const void *settings;          /* struct github_settings, schedule_settings, webhook_settings */
    int line;
};

struct schedule_settings {
    const char *name, *cron, *time_zone, *message;
};

struct webhook_settings {
    const char *name, *secret;
};

/* First match wins. What is NULL matches everything. */
struct route {
    const char *from;                /* a channel or a source */
    const char *when, *command;      /* channels */
    const char *event, *repo, *base; /* sources */
    const char *agent, *pipeline;    /* exactly one is set */
    int line;
};

/* Beside struct agent: what gateway/ makes its playbook from. */
struct agent_source {
    const char *prompt_file;     /* absolute; NULL: the built-in copy */
    const char *playbook_path;   /* as configured, for messages; NULL: none */
    const struct json *playbook; /* its parsed text; lines by yaml_line(); NULL: none */
};

struct vercel_config {
    const char *token, *team_id, *api_base; /* token NULL: the section is absent */
    int line;
};

struct api_key {
    const char *name;
    unsigned char key_sha256[SHA256_SIZE]; /* the key itself is kept nowhere */
    const char **scopes;
    size_t n_scopes;
    const char *person; /* a person id, or NULL: it cannot decide */
    int line;
};

struct config {
    struct arena arena;
    const char *file, *folder; /* absolute */
    struct server_config server;
    struct store_config store;
    struct log_config log;
    struct model_config llm; /* absent: provider is MODEL_PLAYBOOK */
    struct people people;
    struct channel_config *channels;
    size_t n_channels;
    struct source_config *sources;
    size_t n_sources;
    struct route *routes;
    size_t n_routes;
    struct agent *agents;
    struct agent_source *agent_sources; /* same order */
    size_t n_agents;
    struct tool *tools; /* configured ones; the built-in ones stand in agents' lists alone */
    size_t n_tools;
    struct policy *policies;
    size_t n_policies;
    struct environment *environments;
    size_t n_environments;
    struct pipeline *pipelines;
    size_t n_pipelines;
    struct vercel_config vercel;
    struct api_key *api_keys;
    size_t n_api_keys;
    const struct tool *(*builtin_tool)(const char *name);
};

/* One line of what `signoff check` says. */
struct config_problem {
    enum problem_kind kind;
    const char *file; /* as given on the command line; a prompt's or playbook's own path */
    int line;         /* 0: none (the file cannot be read) */
    const char *key, *sentence;
    int order; /* the line of the main file that it belongs to */
};

struct config_report {
    struct config_problem *list; /* in file order */
    size_t count;
    size_t errors, warnings, notes;
};

/* NULL when there is any error. The report lives in `a` and is always filled. Does I/O: reads the
 * file, and those it names. options NULL: CONFIG_SERVE and nothing built in. */
struct config *config_load(struct arena *a, const char *path, const struct config_options *options,
                           struct config_report *report);
void config_free(struct config *config); /* NULL ok */

/* "file:line: key: sentence", with "warning: " or "note: " before the sentence of those. */
char *config_problem_line(struct arena *a, const struct config_problem *problem);

/* The default path when none is given: ./signoff.yaml, then /etc/signoff/signoff.yaml. */
const char *config_default_path(void);

/* `signoff check`: a summary line on `out`, or all problems on `err`; warnings and notes go to
 * `err` in either case. Returns the exit code, 0 or 2. */
int config_check_main(const char *path, const struct config_options *options, bool as_json,
                      FILE *out, FILE *err);

/* config/manual.md, from the same rows that decode. */
char *config_manual(struct arena *a);

/* By name; NULL when there is none. */
const struct channel_config *config_channel(const struct config *config, const char *name);
const struct source_config *config_source(const struct config *config, const char *name);
const struct agent *config_agent(const struct config *config, const char *name);
const struct agent_source *config_agent_source(const struct config *config, const char *agent);
/* A configured tool, else a built-in one. */
const struct tool *config_tool(const struct config *config, const char *name);
const struct policy *config_policy(const struct config *config, const char *name);
const struct environment *config_environment(const struct config *config, const char *name);
const struct pipeline *config_pipeline(const struct config *config, const char *name);

/* The key whose SHA-256 this token has; compared in constant time. NULL: none. */
const struct api_key *config_api_key(const struct config *config, const char *token);
/* "*" covers every scope but requests:decide_as and people:login. */
bool api_key_may(const struct api_key *key, const char *scope);
