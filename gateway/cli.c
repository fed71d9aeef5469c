/* See cli.h. */
#include "gateway/cli.h"

#include "gateway/base/clock.h"
#include "gateway/base/text.h"
#include "gateway/cli_private.h"
#include "gateway/client.h"
#include "gateway/command_runner.h"
#include "gateway/demo.h"
#include "gateway/reads.h"
#include "gateway/serve.h"
#include "gateway/slack_files.h"

#include <string.h>
#include <unistd.h>

/* ---- what the commands share ---- */

int cli_fail(const struct cli *c, int code, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    char *sentence = arena_vprintf(c->a, fmt, args);
    va_end(args);
    fprintf(stderr, "signoff: %s\n", text_visible(c->a, sentence));
    return code;
}

int cli_fail_err(const struct cli *c, const struct err *err)
{
    return cli_fail(c, c->config == NULL && err->kind == ERR_INVALID ? CLI_USAGE : CLI_FAILED, "%s",
                    err->text);
}

int cli_print_json(const struct cli *c, const struct json *json)
{
    printf("%s\n", json_write_pretty(c->a, json));
    return CLI_OK;
}

static const char *server_url(void)
{
    const char *url = getenv("SIGNOFF_URL");
    return url == NULL || *url == '\0' ? NULL : url;
}

/* Of a server that listens on "unix:/run/signoff.sock"; NULL: it has an address. */
static const char *server_socket(void)
{
    return text_starts(server_url(), "unix:") ? server_url() + strlen("unix:") : NULL;
}

static char *url_of(struct cli *c, const char *path, const char *query)
{
    const char *base = server_socket() != NULL ? "http://localhost" : server_url();
    size_t len = strlen(base);
    while (len > 0 && base[len - 1] == '/')
        len--;
    return arena_printf(c->a, "%.*s%s%s%s", (int)len, base, path, query == NULL ? "" : "?",
                        query == NULL ? "" : query);
}

static const char *config_file(const struct cli *c)
{
    return c->config_path != NULL ? c->config_path : config_default_path();
}

static void close_store(void *arg)
{
    struct cli *c = arg;
    if (c->store.db != NULL)
        store_close(&c->store);
    config_free(c->config);
}

static bool load_config(struct cli *c, struct err *err)
{
    struct config_report report;
    if (c->config != NULL)
        return true;
    c->config = config_load(c->a, config_file(c), serve_config_options(CONFIG_READ), &report);
    for (size_t i = 0; c->config == NULL && i < report.count; i++)
        if (report.list[i].kind == PROBLEM_ERROR)
            return fail(err, ERR_INVALID, "%s", config_problem_line(c->a, &report.list[i]));
    if (c->config == NULL)
        return fail(err, ERR_INVALID, "%s cannot be read", config_file(c));
    arena_defer(c->a, close_store, c);
    return true;
}

bool cli_open_store(struct cli *c, struct err *err)
{
    if (c->store.db != NULL)
        return true;
    if (!load_config(c, err))
        return false;
    return store_open(&c->store, arena_printf(c->a, "sqlite:%s", c->config->store.path),
                      DB_READ_ONLY, err);
}

static bool get_from_server(struct cli *c, const char *path, const char *query,
                            const struct json **out, struct err *err)
{
    struct client_answer answer;
    struct client_call call = {.method = "GET",
                               .url = url_of(c, path, query),
                               .unix_socket = server_socket(),
                               .api_key = getenv("SIGNOFF_API_KEY")};
    if (!client_send(c->a, &call, &answer, err))
        return false;
    if (answer.status != 200)
        return fail(err, answer.status == 404 ? ERR_MISSING : ERR_DENIED, "%s",
                    client_error(c->a, &answer));
    if (answer.json == NULL)
        return fail(err, ERR_UNCERTAIN, "%s answered with no JSON: is it a signoff server?",
                    server_url());
    *out = answer.json;
    return true;
}

bool cli_get(struct cli *c, const char *path, const char *query, const struct json **out,
             struct err *err)
{
    if (server_url() != NULL)
        return get_from_server(c, path, query, out, err);
    if (!cli_open_store(c, err))
        return false;
    struct reads reads = {
        .a = c->a, .config = c->config, .store = &c->store, .now_ms = c->terminal.now_ms};
    return reads_get(&reads, path, query, out, err);
}

bool cli_post(struct cli *c, const char *path, const struct json *body, const struct json **out,
              int *code)
{
    struct err err = ERR_INIT;
    struct client_answer answer;
    const char *key = getenv("SIGNOFF_API_KEY");
    if (server_url() == NULL || key == NULL || *key == '\0') {
        *code = cli_fail(c, CLI_USAGE,
                         "`%s` changes something, so it goes to the running server: set "
                         "SIGNOFF_URL and SIGNOFF_API_KEY",
                         c->command->name);
        return false;
    }
    struct client_call call = {.method = "POST",
                               .unix_socket = server_socket(),
                               .url = url_of(c, path, NULL),
                               .api_key = key,
                               .content_type = "application/json",
                               .body = body == NULL ? "{}" : json_write(c->a, body)};
    if (!client_send(c->a, &call, &answer, &err)) {
        *code = cli_fail(c, CLI_FAILED, "%s", err.text);
        return false;
    }
    if (answer.status >= 300) {
        if (c->as_json && answer.json != NULL)
            cli_print_json(c, answer.json);
        *code = cli_fail(c, CLI_FAILED, "%s", client_error(c->a, &answer));
        return false;
    }
    *out = answer.json;
    return true;
}

static bool source_get(void *ctx, const char *path, const char *query, const struct json **out,
                       struct err *err)
{
    return cli_get(ctx, path, query, out, err);
}

static size_t source_stages(void *ctx, const char *name, const char *const **names)
{
    struct cli *c = ctx;
    const struct pipeline *p = c->config == NULL ? NULL : config_pipeline(c->config, name);
    if (p == NULL)
        return 0;
    const char **list = ARENA_ARRAY(c->a, const char *, p->n_stages);
    for (size_t i = 0; i < p->n_stages; i++)
        list[i] = p->stages[i].name;
    *names = list;
    return p->n_stages;
}

struct story_source cli_source(struct cli *c)
{
    struct err ignored = ERR_INIT;
    if (server_url() == NULL && !cli_open_store(c, &ignored))
        return (struct story_source){.get = source_get, .ctx = c};
    return (struct story_source){.get = source_get,
                                 .ctx = c,
                                 .people = c->config == NULL ? NULL : &c->config->people,
                                 .stages = source_stages};
}

/* ---- commands of few lines ---- */

static int run_serve(struct cli *c)
{
    struct serve_options options = {.config_path = config_file(c),
                                    .config_options = serve_config_options(CONFIG_SERVE),
                                    .dry_run = c->dry_run};
    return serve_main(&options);
}

/* A store that is there must be one that `serve` would take: an empty or older one it brings on. */
static int check_store(struct cli *c)
{
    struct err err = ERR_INIT;
    if (!load_config(c, &err) || access(c->config->store.path, F_OK) != 0 ||
        cli_open_store(c, &err) || err.kind == ERR_MISSING)
        return CLI_OK;
    return cli_fail(c, CLI_FAILED, "%s", err.text);
}

static int run_check(struct cli *c)
{
    int code = config_check_main(config_file(c), serve_config_options(CONFIG_CHECK), c->as_json,
                                 stdout, stderr);
    return code == CLI_OK ? check_store(c) : code;
}

static int run_demo(struct cli *c)
{
    struct demo_options options = {
        .by_itself = c->by_itself, .port = (int)c->port, .keep = c->keep};
    return demo_main(&options);
}

static int run_version(struct cli *c)
{
    struct json *o = json_object(c->a);
    json_set_text(c->a, o, "version", SIGNOFF_VERSION);
    if (c->as_json)
        return cli_print_json(c, o);
    printf("signoff %s\n", SIGNOFF_VERSION);
    return CLI_OK;
}

static int run_manual(struct cli *c)
{
    fputs(config_manual(c->a), stdout);
    return CLI_OK;
}

/* The manifest of config/, with this gateway's own address. */
static int run_slack_manifest(struct cli *c)
{
    static const char address[] = "https://signoff.example.com";
    struct err err = ERR_INIT;
    if (!load_config(c, &err))
        return cli_fail_err(c, &err);
    const char *rest = slack_files[0].text;
    for (const char *at; (at = strstr(rest, address)) != NULL; rest = at + sizeof address - 1)
        printf("%.*s%s", (int)(at - rest), rest, json_escape(c->a, c->config->server.public_url));
    fputs(rest, stdout);
    return CLI_OK;
}

static int run_later(struct cli *c)
{
    return cli_fail(c, CLI_USAGE, "`%s` is not in this version", c->command->name);
}

static int run_help(struct cli *c);

/* ---- the tables ---- */

/* Letters of `options`: m message, f for, d dry-run, u auto, p port, k keep, s status, g agent,
 * l limit, a all. */
static const struct cli_command commands[] = {
    {"serve", "", 0, 0, "d", "run the gateway until SIGTERM",
     "signoff serve --config /etc/signoff/signoff.yaml", run_serve, false},
    {"check", "", 0, 0, "", "check the configuration and name every problem with its line",
     "signoff check --config signoff.yaml", run_check, false},
    {"demo", "", 0, 0, "upk", "play a deployment of a sample shop in a temporary folder",
     "signoff demo --auto", run_demo, false},
    {"threads", "", 0, 0, "sgl", "list what is going on, newest first",
     "signoff threads --status waiting", cli_threads, false},
    {"show", "ID", 1, 1, "a", "tell a thread: who asked, who signed what, what ran, how it ended",
     "signoff show t_9ftf", cli_show, false},
    {"context", "ID", 1, 1, "", "print the exact text that a model would read",
     "signoff context t_9ftf", cli_context, false},
    {"approve", "CODE [-m WHY]", 1, 1, "m", "approve a request (your key's person votes)",
     "signoff approve 4821", cli_approve, false},
    {"reject", "CODE -m WHY", 1, 1, "m", "reject a request, and say why",
     "signoff reject 4821 -m \"deploy the backend first\"", cli_reject, false},
    {"answer", "CODE TEXT", 2, 2, "", "answer a question", "signoff answer 3307 \"the second one\"",
     cli_answer, false},
    {"login", "PERSON", 1, 1, "",
     "make a sign-in link for the pages; it works once, for ten minutes", "signoff login alice",
     cli_login, false},
    {"pause", "ID|all", 1, 1, "", "start nothing more in a thread, or anywhere",
     "signoff pause all", cli_pause, false},
    {"resume", "ID|all", 1, 1, "", "go on", "signoff resume t_9ftf", cli_resume, false},
    {"cancel", "ID", 1, 1, "", "end a thread: requests are withdrawn, commands are stopped",
     "signoff cancel t_9ftf", cli_cancel, false},
    {"lock", "ENV -m REASON [--for 2h]", 1, 1, "mf", "let nothing be deployed there",
     "signoff lock production -m \"incident 31\" --for 2h", cli_lock, false},
    {"unlock", "ENV", 1, 1, "", "let deployments go there again", "signoff unlock production",
     cli_unlock, false},
    {"audit", "verify", 1, 1, "",
     "read every event and name what was changed, removed or reordered", "signoff audit verify",
     cli_audit, false},
    {"replay", "ID|all", 1, 1, "a",
     "ask, read and step again from the events, and compare with what was recorded",
     "signoff replay t_9ftf", cli_replay, false},
    {"backup", "FILE", 1, 1, "", "copy the store into a new file while it is in use",
     "signoff backup /var/backups/signoff.db", cli_backup, false},
    {"slack-manifest", "", 0, 0, "", "print the manifest that makes the Slack app",
     "signoff slack-manifest > manifest.json", run_slack_manifest, false},
    {"version", "", 0, 0, "", "print the version", "signoff version --json", run_version, false},
    {"help", "[COMMAND]", 0, 1, "", "print this, or a command's own help", "signoff help show",
     run_help, false},
    {"manual", "", 0, 0, "", "print the manual of the configuration", "signoff manual", run_manual,
     true},
    {"fork", "ID --at SEQ", 0, 8, "*", "", "", run_later, true},
    {"eval", "FILE", 0, 8, "*", "", "", run_later, true},
    {"mail-in", "", 0, 8, "*", "", "", run_later, true},
    {"preview", "", 0, 8, "*", "", "", run_later, true},
};

enum option_type { OPTION_FLAG, OPTION_TEXT, OPTION_NUMBER };

static const struct option_row {
    const char *name, *brief; /* "--message", "-m"; brief may be NULL */
    char letter;              /* in struct cli_command's options; 0: every command has it */
    enum option_type type;
    size_t offset;
    const char *value, *help;
} options[] = {
    {"--config", NULL, 0, OPTION_TEXT, offsetof(struct cli, config_path), "FILE",
     "default: ./signoff.yaml, then /etc/signoff/signoff.yaml"},
    {"--json", NULL, 0, OPTION_FLAG, offsetof(struct cli, as_json), NULL, "print JSON"},
    {"--help", "-h", 0, OPTION_FLAG, offsetof(struct cli, help), NULL, "print help"},
    {"--message", "-m", 'm', OPTION_TEXT, offsetof(struct cli, message), "TEXT", "why"},
    {"--for", NULL, 'f', OPTION_TEXT, offsetof(struct cli, duration), "2h",
     "how long; until it is unlocked when left out"},
    {"--dry-run", NULL, 'd', OPTION_FLAG, offsetof(struct cli, dry_run), NULL,
     "write tools only say what they would run"},
    {"--auto", NULL, 'u', OPTION_FLAG, offsetof(struct cli, by_itself), NULL,
     "play the people's parts too"},
    {"--port", NULL, 'p', OPTION_NUMBER, offsetof(struct cli, port), "N", "default: a free one"},
    {"--keep", NULL, 'k', OPTION_FLAG, offsetof(struct cli, keep), NULL, "leave the folder"},
    {"--status", NULL, 's', OPTION_TEXT, offsetof(struct cli, status), "STATUS",
     "running, waiting, paused, done, failed or cancelled"},
    {"--agent", NULL, 'g', OPTION_TEXT, offsetof(struct cli, agent), "NAME", "of one agent only"},
    {"--limit", NULL, 'l', OPTION_NUMBER, offsetof(struct cli, limit), "N", "1 to 500; default 30"},
    {"--all", "-a", 'a', OPTION_FLAG, offsetof(struct cli, all), NULL,
     "show: model calls, look-ups and whole outputs too; replay: what is the same too"},
};

/* ---- help ---- */

static void print_options(const char *letters)
{
    for (size_t i = 0; i < COUNT(options); i++) {
        const struct option_row *o = &options[i];
        if (o->letter != 0 && strchr(letters, o->letter) == NULL)
            continue;
        char name[48];
        snprintf(name, sizeof name, "%s%s%s%s%s", o->brief == NULL ? "" : o->brief,
                 o->brief == NULL ? "" : ", ", o->name, o->value == NULL ? "" : " ",
                 o->value == NULL ? "" : o->value);
        printf("  %-22s %s\n", name, o->help);
    }
}

static int print_command_help(const struct cli_command *command)
{
    printf("signoff %s%s%s\n\n  %s.\n\n", command->name, *command->args == '\0' ? "" : " ",
           command->args, command->help);
    print_options(command->options);
    printf("\nExample:\n  %s\n", command->example);
    return CLI_OK;
}

static int print_help(FILE *out)
{
    fputs("signoff: human sign-off for agents\n\n", out);
    for (size_t i = 0; i < COUNT(commands); i++) {
        char usage[64];
        if (commands[i].is_hidden)
            continue;
        snprintf(usage, sizeof usage, "%s %s", commands[i].name, commands[i].args);
        fprintf(out, "  %-33s %s\n", usage, commands[i].help);
    }
    fputs("\nEvery command takes --config FILE, --json and --help.\n"
          "SIGNOFF_URL (or unix:PATH) and SIGNOFF_API_KEY name a running server and your key "
          "there.\n",
          out);
    return CLI_OK;
}

static const struct cli_command *find_command(const char *name)
{
    for (size_t i = 0; i < COUNT(commands); i++)
        if (strcmp(commands[i].name, name) == 0)
            return &commands[i];
    return NULL;
}

static int unknown_command(struct cli *c, const char *word)
{
    const char *names[COUNT(commands)];
    size_t n = 0;
    for (size_t i = 0; i < COUNT(commands); i++)
        if (!commands[i].is_hidden)
            names[n++] = commands[i].name;
    const char *meant = nearest_word(word, names, n);
    if (meant != NULL)
        return cli_fail(c, CLI_USAGE, "there is no command `%s`; did you mean `%s`?", word, meant);
    return cli_fail(c, CLI_USAGE, "there is no command `%s`; `signoff help` lists them", word);
}

static int run_help(struct cli *c)
{
    if (c->n_args == 0)
        return print_help(stdout);
    const struct cli_command *command = find_command(c->args[0]);
    return command == NULL ? unknown_command(c, c->args[0]) : print_command_help(command);
}

/* ---- options ---- */

static const struct option_row *find_option(const char *word, size_t len)
{
    for (size_t i = 0; i < COUNT(options); i++)
        if ((strlen(options[i].name) == len && strncmp(options[i].name, word, len) == 0) ||
            (options[i].brief != NULL && strlen(options[i].brief) == len &&
             strncmp(options[i].brief, word, len) == 0))
            return &options[i];
    return NULL;
}

static bool set_option(struct cli *c, const struct option_row *o, const char *value)
{
    char *at = (char *)c + o->offset;
    switch (o->type) {
    case OPTION_FLAG:
        memcpy(at, &(bool){true}, sizeof(bool));
        return true;
    case OPTION_TEXT:
        memcpy(at, &value, sizeof value);
        return true;
    case OPTION_NUMBER: {
        int64_t number;
        if (!text_to_int(value, 1, 65535, &number))
            return false;
        memcpy(at, &number, sizeof number);
        return true;
    }
    }
    UNREACHABLE();
}

/* One option at argv[*i], maybe with its value behind it. 0: fine; else the exit code. */
static int take_option(struct cli *c, int argc, char **argv, int *i)
{
    const char *word = argv[*i], *equals = strchr(word, '=');
    size_t len = equals == NULL ? strlen(word) : (size_t)(equals - word);
    const struct option_row *o = find_option(word, len);
    if (o == NULL) {
        const char *names[COUNT(options)];
        for (size_t k = 0; k < COUNT(options); k++)
            names[k] = options[k].name;
        const char *meant = nearest_word(arena_strndup(c->a, word, len), names, COUNT(options));
        return meant == NULL
                   ? cli_fail(c, CLI_USAGE, "there is no option %s", word)
                   : cli_fail(c, CLI_USAGE, "there is no option %s; did you mean %s?", word, meant);
    }
    const char *value = equals == NULL ? NULL : equals + 1;
    if (o->letter != 0 && strchr(c->command->options, o->letter) == NULL)
        return cli_fail(c, CLI_USAGE, "`%s` has no option %s", c->command->name, o->name);
    if (o->type == OPTION_FLAG && value != NULL)
        return cli_fail(c, CLI_USAGE, "%s takes no value", o->name);
    if (o->type != OPTION_FLAG && value == NULL && ++*i >= argc)
        return cli_fail(c, CLI_USAGE, "%s needs a value: %s %s", o->name, o->name, o->value);
    if (!set_option(c, o, value != NULL ? value : argv[*i]))
        return cli_fail(c, CLI_USAGE, "%s: it is a number from 1 to 65535", o->name);
    return 0;
}

static int take_words(struct cli *c, int argc, char **argv, int from)
{
    bool only_words = false;
    for (int i = from; i < argc; i++) {
        if (!only_words && strcmp(argv[i], "--") == 0) {
            only_words = true;
        } else if (!only_words && argv[i][0] == '-' && argv[i][1] != '\0') {
            int code = take_option(c, argc, argv, &i);
            if (code != 0)
                return code;
        } else if (c->n_args == CLI_ARGS_MAX) {
            return cli_fail(c, CLI_USAGE, "too many arguments");
        } else {
            c->args[c->n_args++] = argv[i];
        }
    }
    return 0;
}

static int run_command(struct cli *c, int argc, char **argv, int from)
{
    if (strcmp(c->command->options, "*") == 0)
        return c->command->run(c);
    int code = take_words(c, argc, argv, from);
    if (code != 0)
        return code;
    if (c->help)
        return print_command_help(c->command);
    if (c->n_args < c->command->least_args || c->n_args > c->command->most_args) {
        fprintf(stderr, "signoff: usage: signoff %s%s%s\n       example: %s\n", c->command->name,
                *c->command->args == '\0' ? "" : " ", c->command->args, c->command->example);
        return CLI_USAGE;
    }
    return c->command->run(c);
}

int cli_main(int argc, char **argv)
{
    /* The runner comes first: it shares nothing with the rest. */
    if (argc >= 2 && strcmp(argv[1], COMMAND_RUNNER_WORD) == 0)
        return command_runner_main(argc, argv);
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    struct cli *c = ARENA_NEW(&a, struct cli);
    int at = 1;
    c->a = &a;
    terminal_init(&c->terminal, stdout, clock_unix_ms());
    /* The options that every command has may also stand before it. */
    c->command = find_command("help");
    while (at < argc && argv[at][0] == '-') {
        int code = take_option(c, argc, argv, &at);
        if (code != 0)
            return code;
        at++;
    }
    if (at == argc)
        return c->help ? print_help(stdout) : (print_help(stderr), CLI_USAGE);
    c->command = find_command(argv[at]);
    if (c->command == NULL)
        return unknown_command(c, argv[at]);
    return run_command(c, argc, argv, at + 1);
}
