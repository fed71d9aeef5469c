/* Every key of the configuration, as rows: what is decoded, checked, and printed as the manual. */
#include "gateway/base/text.h"
#include "gateway/config_private.h"

#include <string.h>

#define SECOND_MS ((int64_t)1000)
#define HOUR_MS   (SECOND_MS * 60 * 60)
#define DAY_MS    (HOUR_MS * 24)
#define YEAR_MS   (DAY_MS * 365)
#define KIB       ((int64_t)1024)
#define MIB       (KIB * 1024)

/* ---- server, store, log, llm ------------------------------------------------------------- */

static const struct field tls_rows[] = {
    F_TEXT(struct tls_words, cert, "cert", FIELD_REQUIRED, NULL,
           "the certificate chain as PEM text, usually file:PATH", .check = check_pem),
    F_TEXT(struct tls_words, key, "key", FIELD_REQUIRED | FIELD_SECRET, NULL,
           "its private key as PEM text, usually file:PATH", .check = check_pem),
};

static const struct field server_rows[] = {
    F_SOURCE(struct server_words, source),
    F_TEXT(struct server_words, server.listen, "listen", 0, "127.0.0.1:8080",
           "where the doors are: ADDRESS:PORT, [IPV6]:PORT or unix:PATH", .check = check_listen),
    F_TEXT(struct server_words, server.public_url, "public_url", 0, NULL,
           "what links for people and signatures of providers begin with; by default http:// and "
           "the address of `listen`",
           .check = check_http_url),
    F_SECTION(struct server_words, tls, struct tls_words, "tls", 0, tls_rows,
              "serve https here; left out: leave that to a proxy"),
    F_TEXTS(struct server_words, server.trusted_proxies, server.n_trusted_proxies,
            "trusted_proxies", 0, "addresses or networks whose X-Forwarded-For is believed",
            .check = check_proxy),
    F_SIZE(struct server_words, server.max_body_bytes, "max_body", 0, 64 * KIB, 64 * MIB, "25MiB",
           "the largest body that any door takes; each door has a smaller limit of its own"),
    F_TEXT(struct server_words, server.state, "state", 0, NULL,
           "the folder for output and exit status of running commands; by default `state` beside "
           "the store"),
};

static const struct field store_rows[] = {
    F_SOURCE(struct store_words, source),
    F_TEXT(struct store_words, store.url, "url", 0, "sqlite:signoff.db",
           "the database: sqlite:FILE (postgres: not yet)", .check = check_store_url),
    F_DURATION(struct store_words, store.keep_ms, "keep", FIELD_NOT_YET, SECOND_MS, 100 * YEAR_MS,
               NULL, "finished threads older than this may be archived by `signoff audit export`"),
};

static const char *const levels[] = {"debug", "info", "warn", "error", NULL};
static const char *const formats[] = {"logfmt", "json", NULL};

static const struct field log_rows[] = {
    F_CHOICE(struct log_config, level, "level", 0, levels, "info", "the least that is logged"),
    F_CHOICE(struct log_config, format, "format", 0, formats, "logfmt", "how a line is written"),
};

static const char *const providers[] = {"openai", "anthropic", "playbook", NULL};
static const char *const providers_later[] = {"anthropic", NULL};
static const char *const schema_modes[] = {"auto",   "openai_strict", "json_schema", "llama",
                                           "ollama", "none",          NULL};

static const struct field price_rows[] = {
    F_NUMBER(struct price_words, input, "input_per_mtok", 0, 0, 1000000, "0",
             "money for a million tokens of context"),
    F_NUMBER(struct price_words, output, "output_per_mtok", 0, 0, 1000000, "0",
             "money for a million tokens of answer"),
};

/* The keys of a model; `fallback` has the same. */
#define MODEL_ROWS(st)                                                                           \
    F_SOURCE(st, source), F_LINE(st, model.line),                                                \
        F_ENUM(st, model.provider, enum model_provider, "provider", 0, providers, "openai",      \
               "who answers: an OpenAI-compatible server, Anthropic, or each agent's own rules", \
               .choices_later = providers_later),                                                \
        F_TEXT(st, model.base_url, "base_url", 0, NULL,                                          \
               "where the API is; by default the provider's own", .check = check_http_url),      \
        F_TEXT(st, model.api_key, "api_key", FIELD_SECRET, NULL,                                 \
               "the provider's key; left out: none is sent", .check = check_one_line),           \
        F_TEXT(st, model.model, "model", 0, NULL,                                                \
               "the model's name; required unless the provider is playbook", .max = 200,         \
               .check = check_one_line),                                                         \
        F_CHOICE(st, model.schema_mode, "schema_mode", 0, schema_modes, "auto",                  \
                 "how structured output is asked for; every answer is validated here in any "    \
                 "case"),                                                                        \
        F_DURATION(st, model.timeout_ms, "timeout", 0, SECOND_MS, HOUR_MS, "60s",                \
                   "the longest that one call may take"),                                        \
        F_INT(st, model.max_output_tokens, "max_output_tokens", 0, 16, 1000000, "1024",          \
              "the longest answer"),                                                             \
        F_SECTION(st, price, struct price_words, "price", 0, price_rows,                         \
                  "for limits in money; left out: cost is not counted")

static const struct field fallback_rows[] = {MODEL_ROWS(struct fallback_words)};

static const struct field model_rows[] = {
    MODEL_ROWS(struct model_words),
    F_SECTION(struct model_words, fallback, struct fallback_words, "fallback", 0, fallback_rows,
              "asked when the model does not answer"),
};

/* ---- people ------------------------------------------------------------------------------ */

static const struct field people_rows[] = {
    F_LINE(struct person, line),
    F_TEXT(struct person, id, "id", FIELD_REQUIRED, NULL, "the name used here and in the log",
           .check = check_name),
    F_TEXT(struct person, name, "name", 0, NULL, "how others see them; by default the id",
           .max = 100, .check = check_one_line),
    F_TEXT(struct person, slack, "slack", 0, NULL, "Slack user id", .check = check_slack_user),
    F_TEXT(struct person, email, "email", 0, NULL, "mail address", .check = check_address),
    F_TEXT(struct person, phone, "phone", 0, NULL, "phone number with +, in quotes",
           .check = check_phone),
    F_TEXT(struct person, github, "github", 0, NULL, "GitHub login", .check = check_login),
    F_TEXTS(struct person, roles, n_roles, "roles", 0, "what policies and addresses refer to",
            .check = check_name),
    F_TEXT(struct person, time_zone, "time_zone", 0, "UTC", "for times shown to them",
           .check = check_time_zone),
};

/* ---- channels ---------------------------------------------------------------------------- */

#define TYPE_ROW(sentence)                                                                   \
    {                                                                                        \
        .key = "type", .type = FIELD_TEXT, .flags = FIELD_REQUIRED, .offset = FIELD_NOWHERE, \
        .help = (sentence)                                                                   \
    }

static const char *const slack_modes[] = {"http", "socket", NULL};

static const struct field slack_rows[] = {
    F_NAME(struct slack_settings, name),
    TYPE_ROW("slack"),
    F_CHOICE(struct slack_settings, mode, "mode", 0, slack_modes, "http",
             "how Slack reaches us: by its webhooks, or by a connection that we open and that "
             "needs no public address"),
    F_TEXT(struct slack_settings, bot_token, "bot_token", FIELD_REQUIRED | FIELD_SECRET, NULL,
           "bot user OAuth token (xoxb-…)", .check = check_one_line),
    F_TEXT(struct slack_settings, signing_secret, "signing_secret", FIELD_REQUIRED | FIELD_SECRET,
           NULL, "what Slack signs its webhooks with", .when = "mode", .is = "http",
           .check = check_one_line),
    F_TEXT(struct slack_settings, app_token, "app_token", FIELD_REQUIRED | FIELD_SECRET, NULL,
           "app-level token (xapp-…) with the scope connections:write", .when = "mode",
           .is = "socket", .check = check_one_line),
    F_TEXT(struct slack_settings, client_id, "client_id", FIELD_NOT_YET, NULL,
           "for /slack/install alone", .check = check_one_line),
    F_TEXT(struct slack_settings, client_secret, "client_secret", FIELD_SECRET | FIELD_NOT_YET,
           NULL, "for /slack/install alone", .check = check_one_line),
    F_TEXT(struct slack_settings, api_base, "api_base", 0, "https://slack.com/api",
           "where Slack's Web API is", .check = check_http_url),
};

static const char *const inbound[] = {"imap",     "lmtp", "mailgun", "postmark",
                                      "sendgrid", "none", NULL};

static const struct field email_rows[] = {
    F_NAME(struct email_settings, name),
    TYPE_ROW("email"),
    F_TEXT(struct email_settings, from, "from", FIELD_REQUIRED, NULL, "the sender of our mail",
           .check = check_one_line),
    F_TEXT(struct email_settings, smtp_url, "smtp_url", FIELD_REQUIRED, NULL,
           "the server that takes our mail: smtp:// (STARTTLS) or smtps://",
           .check = check_smtp_url),
    F_TEXT(struct email_settings, smtp_user, "smtp_user", 0, NULL, "user there",
           .check = check_one_line),
    F_TEXT(struct email_settings, smtp_password, "smtp_password", FIELD_SECRET, NULL,
           "password there", .check = check_one_line),
    F_CHOICE(struct email_settings, inbound, "inbound", 0, inbound, "none", "how replies reach us"),
    F_TEXT(struct email_settings, imap_url, "imap_url", FIELD_REQUIRED, NULL,
           "the mailbox that is read", .check = check_imap_url, .when = "inbound", .is = "imap"),
    F_TEXT(struct email_settings, imap_user, "imap_user", FIELD_REQUIRED, NULL, "user there",
           .when = "inbound", .is = "imap", .check = check_one_line),
    F_TEXT(struct email_settings, imap_password, "imap_password", FIELD_SECRET, NULL,
           "password there", .when = "inbound", .is = "imap", .check = check_one_line),
    F_DURATION(struct email_settings, poll_ms, "poll", 0, SECOND_MS, HOUR_MS, "15s",
               "how often the mailbox is looked at", .when = "inbound", .is = "imap"),
    F_TEXT(struct email_settings, lmtp_listen, "lmtp_listen", FIELD_REQUIRED, NULL,
           "where a mail server hands mail in", .check = check_listen, .when = "inbound",
           .is = "lmtp"),
    F_TEXT(struct email_settings, webhook_secret, "webhook_secret", FIELD_SECRET, NULL,
           "signing key, or password in the URL, of a mail provider's webhook",
           .check = check_one_line),
    F_TEXT(struct email_settings, reply_address, "reply_address", 0, NULL,
           "how a reply finds its request: an address with {token} in it", .check = check_one_line),
    F_TEXTS(struct email_settings, trusted_authserv_ids, n_trusted_authserv_ids,
            "trusted_authserv_ids", 0, "servers whose Authentication-Results are believed"),
    F_TEXTS(struct email_settings, allow_from, n_allow_from, "allow_from", 0,
            "who may start a thread by mail, as in \"*@acme.test\""),
};

static const char *const sms_providers[] = {"twilio", "vonage", "messagebird", "sns", NULL};

static const struct field sms_rows[] = {
    F_NAME(struct sms_settings, name),
    TYPE_ROW("sms"),
    F_CHOICE(struct sms_settings, provider, "provider", 0, sms_providers, "twilio",
             "who carries the messages"),
    F_TEXT(struct sms_settings, account_sid, "account_sid", FIELD_REQUIRED, NULL,
           "account at the provider", .when = "provider", .is = "twilio", .check = check_one_line),
    F_TEXT(struct sms_settings, auth_token, "auth_token", FIELD_REQUIRED | FIELD_SECRET, NULL,
           "token there; it signs the webhooks too", .when = "provider", .is = "twilio",
           .check = check_one_line),
    F_TEXT(struct sms_settings, from, "from", 0, NULL, "the number that we send from",
           .check = check_one_line),
    F_TEXT(struct sms_settings, messaging_service_sid, "messaging_service_sid", 0, NULL,
           "instead of `from`", .when = "provider", .is = "twilio", .check = check_one_line),
    F_TEXT(struct sms_settings, api_base, "api_base", 0, "https://api.twilio.com",
           "where the provider's API is", .check = check_http_url),
};

struct web_settings {
    const char *name;
};

static const struct field web_rows[] = {
    F_NAME(struct web_settings, name),
    TYPE_ROW("web"),
};

const struct variant channel_variants[] = {
    {"slack", "Slack", false, slack_rows, COUNT(slack_rows), sizeof(struct slack_settings)},
    {"email", "mail", true, email_rows, COUNT(email_rows), sizeof(struct email_settings)},
    {"sms", "text messages", true, sms_rows, COUNT(sms_rows), sizeof(struct sms_settings)},
    {"web", "the built-in pages", false, web_rows, COUNT(web_rows), sizeof(struct web_settings)},
};
const size_t n_channel_variants = COUNT(channel_variants);

/* ---- sources ----------------------------------------------------------------------------- */

static const struct field github_rows[] = {
    F_NAME(struct github_settings, name),
    TYPE_ROW("github"),
    F_TEXT(struct github_settings, webhook_secret, "webhook_secret", FIELD_SECRET, NULL,
           "what GitHub signs its webhooks with; required where a route begins here",
           .check = check_one_line),
    F_TEXT(struct github_settings, token, "token", FIELD_SECRET, NULL,
           "reads commits, tags and comparisons", .check = check_one_line),
    F_TEXT(struct github_settings, app_id, "app_id", FIELD_NOT_YET, NULL,
           "instead of a token: a GitHub App", .check = check_one_line),
    F_TEXT(struct github_settings, private_key, "private_key", FIELD_SECRET | FIELD_NOT_YET, NULL,
           "the App's key as PEM text"),
    F_TEXT(struct github_settings, api_base, "api_base", 0, "https://api.github.com",
           "where GitHub's API is", .check = check_http_url),
    F_TEXTS(struct github_settings, repos, n_repos, "repos", 0, "repositories, as owner/name",
            .check = check_repo_name),
};

static const struct field schedule_rows[] = {
    F_NAME(struct schedule_settings, name),
    TYPE_ROW("schedule"),
    F_TEXT(struct schedule_settings, cron, "cron", FIELD_REQUIRED, NULL,
           "minute, hour, day of month, month, weekday", .check = check_cron),
    F_TEXT(struct schedule_settings, time_zone, "time_zone", 0, "UTC", "whose clock",
           .check = check_time_zone),
    F_TEXT(struct schedule_settings, message, "message", FIELD_REQUIRED, NULL,
           "what the agent is told", .max = 4000),
};

static const struct field webhook_rows[] = {
    F_NAME(struct webhook_settings, name),
    TYPE_ROW("webhook"),
    F_TEXT(struct webhook_settings, secret, "secret", FIELD_REQUIRED | FIELD_SECRET, NULL,
           "of the Standard Webhooks signature on POST /hooks/NAME", .check = check_one_line),
};

const struct variant source_variants[] = {
    {"github", "GitHub", false, github_rows, COUNT(github_rows), sizeof(struct github_settings)},
    {"schedule", "a clock", true, schedule_rows, COUNT(schedule_rows),
     sizeof(struct schedule_settings)},
    {"webhook", "any signed webhook", true, webhook_rows, COUNT(webhook_rows),
     sizeof(struct webhook_settings)},
};
const size_t n_source_variants = COUNT(source_variants);

/* ---- routes ------------------------------------------------------------------------------ */

static const char *const whens[] = {"mention",  "direct_message", "command",
                                    "shortcut", "message",        NULL};

static const struct field route_rows[] = {
    F_LINE(struct route_words, route.line),
    F_SOURCE(struct route_words, source),
    F_TEXT(struct route_words, route.from, "from", FIELD_REQUIRED, NULL, "a channel or a source",
           .check = check_one_line),
    F_CHOICE(struct route_words, route.when, "when", 0, whens, NULL,
             "Slack: only messages of this kind; left out: all"),
    F_TEXT(struct route_words, route.command, "command", 0, NULL,
           "with `when: command`: this command alone", .check = check_command_word),
    F_TEXT(struct route_words, route.event, "event", 0, NULL, "sources: this event alone",
           .check = check_event),
    F_TEXT(struct route_words, route.repo, "repo", 0, NULL, "sources: this repository alone",
           .check = check_repo_name),
    F_TEXT(struct route_words, route.base, "base", 0, NULL,
           "sources: merges into this branch alone", .max = 255),
    F_TEXT(struct route_words, route.agent, "agent", 0, NULL, "who takes it: an agent"),
    F_TEXT(struct route_words, route.pipeline, "pipeline", 0, NULL, "… or a pipeline"),
};

/* ---- agents ------------------------------------------------------------------------------ */

static const struct field limits_rows[] = {
    F_INT(struct limits, steps, "steps", 0, 1, 10000, "20", "model calls in one thread"),
    F_INT(struct limits, tokens, "tokens", 0, 100, 100000000, "60000",
          "tokens in and out, in one thread"),
    F_NUMBER(struct limits, cost, "cost", 0, 0, 1000000, "0",
             "money in one thread, by `llm.price`; 0 is no limit"),
    F_INT(struct limits, seconds, "seconds", 0, 1, 1000000, "900",
          "working time; waiting for people, timers and tools is not counted"),
    F_INT(struct limits, errors, "errors", 0, 1, 100, "3",
          "wrong answers in a row, after which a person is asked"),
    F_DURATION(struct limits, max_age_ms, "max_age", 0, SECOND_MS, 10 * YEAR_MS, "7d",
               "age of a thread"),
};

static const struct field contact_rows[] = {
    F_TEXT(struct contact, channel, "channel", FIELD_REQUIRED, NULL, "a channel's name"),
    F_TEXT(struct contact, to, "to", 0, NULL, "an address of that channel, role:NAME or person:ID"),
};

/* A repository of this machine. */
struct repo_words {
    const char *path;
};

const struct field repo_path_rows[] = {
    F_TEXT(struct repo_words, path, "path", FIELD_REQUIRED, NULL,
           "the folder of a git repository on this machine"),
};
const size_t n_repo_path_rows = COUNT(repo_path_rows);

#define REPO_ROW(st, member, sentence) \
    F_JSON(st, member, "repo", 0, sentence, .rows = repo_path_rows, .n_rows = COUNT(repo_path_rows))

static const struct field agent_rows[] = {
    F_NAME(struct agent_words, agent.name),
    F_LINE(struct agent_words, agent.line),
    F_SOURCE(struct agent_words, source),
    F_TEXT(struct agent_words, prompt, "prompt", 0, NULL,
           "the file of its system message; by default prompts/NAME.md"),
    F_TEXTS(struct agent_words, tools, n_tools, "tools", 0, "what it may call"),
    F_TEXTS(struct agent_words, agent.prefetch, agent.n_prefetch, "prefetch", 0,
            "read tools that run before its first step"),
    F_TEXT(struct agent_words, playbook, "playbook", 0, NULL,
           "the file of its rules, for `provider: playbook`"),
    F_TEXTS(struct agent_words, agent.hand_over, agent.n_hand_over, "hand_over", 0,
            "agents that it may hand over to"),
    F_SECTION(struct agent_words, agent.limits, struct limits, "limits", 0, limits_rows,
              "what one thread may use; then it asks a person"),
    F_SECTION(struct agent_words, agent.contact, struct contact, "contact", 0, contact_rows,
              "where it speaks, when a thread has no conversation"),
    REPO_ROW(struct agent_words, agent.repo,
             "the repository of its read tools: owner/name or {path: DIR}"),
    F_JSON(struct agent_words, agent.vars, "vars", 0, "further variables of its prompt"),
};

/* ---- tools ------------------------------------------------------------------------------- */

static const char *const arg_types[] = {"string", "integer", "number", "boolean", NULL};

static const struct field arg_rows[] = {
    F_NAME(struct tool_arg, name),
    F_ENUM(struct tool_arg, type, enum arg_type, "type", 0, arg_types, "string", "its type"),
    F_TEXT(struct tool_arg, description, "description", 0, NULL, "what the model is told",
           .max = 1000),
    F_TEXT(struct tool_arg, pattern, "pattern", 0, NULL,
           "strings: a regular expression that must match, unanchored", .max = 1000,
           .check = check_pattern),
    F_TEXTS(struct tool_arg, choices, n_choices, "enum", 0, "strings: the values allowed"),
    F_INT(struct tool_arg, max_length, "max_length", 0, 1, 64000, "4000",
          "strings: the most characters"),
    F_NUMBER(struct tool_arg, min, "minimum", 0, -9007199254740991, 9007199254740991, NULL,
             "numbers: the least"),
    F_NUMBER(struct tool_arg, max, "maximum", 0, -9007199254740991, 9007199254740991, NULL,
             "numbers: the most"),
    F_BOOL(struct tool_arg, optional, "optional", 0, "false", "may be left out"),
};

static const char *const methods[] = {"GET", "POST", "PUT", "PATCH", "DELETE", NULL};

static const struct field http_rows[] = {
    F_CHOICE(struct http_words, method, "method", 0, methods, "POST", "the method"),
    F_TEXT(struct http_words, url, "url", FIELD_REQUIRED, NULL,
           "the address; {{arg}} in its path and query alone"),
    F_JSON(struct http_words, headers, "headers", 0, "names and values"),
    F_TEXT(struct http_words, body, "body", 0, NULL, "a template of JSON"),
};

static const struct field workflow_rows[] = {
    F_TEXT(struct workflow_words, repo, "repo", FIELD_REQUIRED, NULL, "owner/name",
           .check = check_repo_name),
    F_TEXT(struct workflow_words, workflow, "workflow", FIELD_REQUIRED, NULL,
           "the workflow's file"),
    F_TEXT(struct workflow_words, ref, "ref", 0, "main", "the branch or tag it runs on"),
    F_JSON(struct workflow_words, inputs, "inputs", 0, "its inputs; may hold {{arg}}"),
    F_DURATION(struct workflow_words, wait_ms, "wait", 0, 0, DAY_MS, "0s",
               "how long to wait for its end; 0s does not wait"),
};

static const char *const vercel_actions[] = {"promote", "rollback", NULL};

static const struct field vercel_run_rows[] = {
    F_CHOICE(struct vercel_words, action, "action", FIELD_REQUIRED, vercel_actions, NULL,
             "what to do"),
    F_TEXT(struct vercel_words, project, "project", FIELD_REQUIRED, NULL, "the project's id"),
    F_TEXT(struct vercel_words, deployment, "deployment", FIELD_REQUIRED, NULL,
           "the deployment's id; may be {{arg}}"),
};

const struct field run_rows[] = {
    F_TEXTS(struct run_words, command, n_command, "command", 0,
            "the program and its arguments, never a shell line; each may hold {{arg}}"),
    F_DURATION(struct run_words, timeout_ms, "timeout", 0, SECOND_MS, 30 * DAY_MS, "10m",
               "command: the longest it may run"),
    F_TEXT(struct run_words, cwd, "cwd", 0, NULL,
           "command: its working folder; by default that of the configuration"),
    F_TEXTS(struct run_words, env, n_env, "env", 0,
            "command: names from our environment that it may see, besides PATH, HOME, LANG and TZ",
            .check = check_env_name),
    F_SIZE(struct run_words, output_bytes, "output", 0, KIB, 64 * MIB, "1MiB",
           "command: the most output that is kept"),
    F_TEXT(struct run_words, builtin, "builtin", 0, NULL,
           "a built-in read tool by name; `run: NAME` is the same"),
    F_SECTION(struct run_words, http, struct http_words, "http", FIELD_NOT_YET, http_rows,
              "an HTTP call"),
    F_SECTION(struct run_words, github_workflow, struct workflow_words, "github_workflow",
              FIELD_NOT_YET, workflow_rows, "a GitHub Actions workflow"),
    F_SECTION(struct run_words, vercel, struct vercel_words, "vercel", FIELD_NOT_YET,
              vercel_run_rows, "a Vercel deployment"),
};
const size_t n_run_rows = COUNT(run_rows);

static const struct field target_rows[] = {
    F_TEXT(struct tool_target, environment, "environment", FIELD_REQUIRED, NULL,
           "what locks, freezes and the promotion order are looked up for"),
    F_TEXT(struct tool_target, component, "component", 0, NULL, "the part that changes",
           .check = check_name),
    F_TEXT(struct tool_target, ref, "ref", 0, NULL,
           "the argument that names a commit; it is resolved before anybody is asked"),
    F_BOOL(struct tool_target, rollback, "rollback", 0, "false",
           "waives promotion order and freezes, not locks"),
};

static const struct field tool_rows[] = {
    F_NAME(struct tool_words, tool.name),
    F_LINE(struct tool_words, tool.line),
    F_SOURCE(struct tool_words, source),
    F_TEXT(struct tool_words, tool.description, "description", 0, NULL,
           "what the model is told; by default the name", .max = 1000),
    F_MAP(struct tool_words, tool.args, tool.n_args, struct tool_arg, "args", FIELD_IDENT, arg_rows,
          "its arguments"),
    F_JSON(struct tool_words, run, "run", FIELD_REQUIRED | FIELD_OWN,
           "what it does: one of `command`, `http`, `github_workflow`, `vercel` and `builtin`",
           .rows = run_rows, .n_rows = COUNT(run_rows)),
    F_SECTION(struct tool_words, tool.target, struct tool_target, "target", 0, target_rows,
              "what it changes"),
    F_TEXT(struct tool_words, tool.needs, "needs", 0, NULL,
           "the policy that signs it off, or `nobody`; required unless it reads"),
    F_BOOL(struct tool_words, tool.reads, "reads", 0, "false", "it only reads, and runs at once"),
    F_TEXTS(struct tool_words, tool.editable, tool.n_editable, "editable", 0,
            "arguments that a person who may vote may change, which makes a new request"),
};

static const struct field vercel_rows[] = {
    F_LINE(struct vercel_config, line),
    F_TEXT(struct vercel_config, token, "token", FIELD_REQUIRED | FIELD_SECRET, NULL,
           "access token", .check = check_one_line),
    F_TEXT(struct vercel_config, team_id, "team_id", 0, NULL, "the team's id",
           .check = check_one_line),
    F_TEXT(struct vercel_config, api_base, "api_base", 0, "https://api.vercel.com",
           "where Vercel's API is", .check = check_http_url),
};

const char *const builtin_tools[] = {"list_git_commits", "list_git_tags",      "compare_commits",
                                     "list_deployments", "list_workflow_runs", NULL};

bool builtin_needs_repo(const char *name)
{
    return strcmp(name, "list_deployments") != 0;
}

bool builtin_is_later(const char *name)
{
    return strcmp(name, "list_workflow_runs") == 0;
}

/* ---- environments, pipelines, keys ------------------------------------------------------- */

static const struct field freeze_rows[] = {
    F_LINE(struct freeze_words, freeze.line),
    F_SOURCE(struct freeze_words, source),
    F_TEXT(struct freeze_words, freeze.name, "name", FIELD_REQUIRED, NULL, "how it is spoken of",
           .max = 100, .check = check_one_line),
    F_TEXTS(struct freeze_words, days, n_days, "days", 0,
            "each week from the first to the second, as in [fri 16:00, mon 08:00]",
            .check = check_week_time),
    F_TEXT(struct freeze_words, freeze.from, "from", 0, NULL, "or: its first day",
           .check = check_date),
    F_TEXT(struct freeze_words, freeze.to, "to", 0, NULL, "its last day", .check = check_date),
    F_TEXT(struct freeze_words, freeze.time_zone, "time_zone", 0, "UTC", "whose clock",
           .check = check_time_zone),
    F_TEXTS(struct freeze_words, freeze.except, freeze.n_except, "except", 0,
            "whose requests may pass: role:NAME or person:ID"),
};

static const struct field environment_rows[] = {
    F_NAME(struct environment_words, environment.name),
    F_LINE(struct environment_words, environment.line),
    F_SOURCE(struct environment_words, source),
    REPO_ROW(struct environment_words, environment.repo,
             "what is deployed there: owner/name or {path: DIR}; by default the only repository"),
    F_TEXT(struct environment_words, environment.promote_from, "promote_from", 0, NULL,
           "takes only a commit for which all stages there succeeded in one run"),
    F_LIST(struct environment_words, freezes, n_freezes, struct freeze_words, "freeze", 0,
           freeze_rows, "when nothing is deployed there"),
};

static const struct field on_failure_rows[] = {
    F_TEXT(struct on_failure_words, agent, "agent", FIELD_REQUIRED, NULL,
           "who is given the failure; then the stage runs once more"),
};

static const struct field stage_rows[] = {
    F_LINE(struct stage_words, stage.line),
    F_SOURCE(struct stage_words, source),
    F_TEXT(struct stage_words, stage.name, "name", FIELD_REQUIRED, NULL, "the stage's name",
           .check = check_name),
    F_JSON(struct stage_words, run, "run", FIELD_OWN, "a command, with the keys of a tool's `run`"),
    F_TEXT(struct stage_words, stage.agent, "agent", 0, NULL, "or: an agent, as a child thread"),
    F_TEXT(struct stage_words, stage.message, "message", 0, NULL,
           "what the agent is told; by default `deploy SHA {{sha}} to ENVIRONMENT`", .max = 4000),
    F_TEXT(struct stage_words, stage.environment, "environment", 0, NULL,
           "the environment that the run holds for it"),
    F_TEXT(struct stage_words, stage.component, "component", 0, NULL,
           "the part that it deploys; by default all", .check = check_name),
    F_SECTION(struct stage_words, on_failure, struct on_failure_words, "on_failure", 0,
              on_failure_rows, "what happens when it fails; left out: the run ends"),
    F_BOOL(struct stage_words, deploys, "deploys", 0, NULL,
           "it sets what the environment holds; by default the run's first command there does"),
};

static const struct field pipeline_rows[] = {
    F_NAME(struct pipeline_words, pipeline.name),
    F_LINE(struct pipeline_words, pipeline.line),
    F_SOURCE(struct pipeline_words, source),
    F_LIST(struct pipeline_words, stages, n_stages, struct stage_words, "stages", FIELD_REQUIRED,
           stage_rows, "in order"),
    F_SECTION(struct pipeline_words, pipeline.report, struct contact, "report", 0, contact_rows,
              "where a run's status is shown"),
};

static const char *const scopes[] = {"threads:read",
                                     "threads:write",
                                     "requests:read",
                                     "requests:write",
                                     "requests:decide",
                                     "requests:decide_as",
                                     "environments:write",
                                     "audit:read",
                                     "metrics:read",
                                     "people:login",
                                     "*",
                                     NULL};

static const struct field key_rows[] = {
    F_LINE(struct key_words, key.line),
    F_SOURCE(struct key_words, source),
    F_TEXT(struct key_words, key.name, "name", FIELD_REQUIRED, NULL, "how it is spoken of",
           .check = check_name),
    F_TEXT(struct key_words, secret, "key", FIELD_REQUIRED | FIELD_SECRET, NULL,
           "the bearer token; only its SHA-256 is kept", .max = 1000, .check = check_one_line),
    F_TEXTS(struct key_words, key.scopes, key.n_scopes, "scopes", FIELD_REQUIRED,
            "what it may do; `*` is all but requests:decide_as and people:login",
            .choices = scopes),
    F_TEXT(struct key_words, key.person, "person", 0, NULL,
           "whose votes its decisions are; without, it cannot decide"),
};

/* ---- the whole --------------------------------------------------------------------------- */

const struct field config_rows[] = {
    F_SECTION(struct words, server, struct server_words, "server", 0, server_rows, "the doors"),
    F_SECTION(struct words, store, struct store_words, "store", 0, store_rows, "the database"),
    F_SECTION(struct words, log, struct log_config, "log", 0, log_rows, "lines on stderr"),
    F_SECTION(struct words, llm, struct model_words, "llm", 0, model_rows,
              "the model; left out: each agent's own rules"),
    F_LIST(struct words, people, n_people, struct person, "people", 0, people_rows,
           "who may ask and decide; anybody else is an outsider"),
    F_JSON(struct words, channels, "channels", FIELD_OWN,
           "names, each with the keys of its `type`: slack, email, sms or web"),
    F_JSON(struct words, sources, "sources", FIELD_OWN,
           "names, each with the keys of its `type`: github, schedule or webhook"),
    F_LIST(struct words, routes, n_routes, struct route_words, "routes", 0, route_rows,
           "where new messages and events go; the first match wins"),
    F_MAP(struct words, agents, n_agents, struct agent_words, "agents", FIELD_IDENT, agent_rows,
          "prompt, tools and limits"),
    F_MAP(struct words, tools, n_tools, struct tool_words, "tools", FIELD_IDENT, tool_rows,
          "what agents may call, besides the built-in read tools"),
    F_JSON(struct words, policies, "policies", FIELD_OWN, "who must sign off what"),
    F_MAP(struct words, environments, n_environments, struct environment_words, "environments",
          FIELD_IDENT, environment_rows, "places that are deployed to"),
    F_MAP(struct words, pipelines, n_pipelines, struct pipeline_words, "pipelines", FIELD_IDENT,
          pipeline_rows, "stages from a merge to production"),
    F_SECTION(struct words, vercel, struct vercel_config, "vercel", FIELD_NOT_YET, vercel_rows,
              "access to Vercel"),
    F_LIST(struct words, api_keys, n_api_keys, struct key_words, "api_keys", 0, key_rows,
           "who may use the HTTP API"),
};
const size_t n_config_rows = COUNT(config_rows);
