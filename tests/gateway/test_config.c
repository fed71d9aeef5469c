/* Whole files, as an operator would write them: what is read, and what each mistake is called. */
#include "gateway/base/text.h"
#include "gateway/config.h"
#include "gateway/yaml.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- a folder with a configuration, and an environment of its own ---------------------------- */

struct folder {
    char path[64];
    struct arena arena;
    struct config_report report;
    struct config *config;
};

static void folder_done(struct folder *f)
{
    static const char *const FILES[] = {"signoff.yaml", "prompt.md", "rules.yaml", "secret",
                                        "deploy.sh"};
    config_free(f->config);
    for (size_t i = 0; i < COUNT(FILES); i++)
        (void)unlink(arena_printf(&f->arena, "%s/%s", f->path, FILES[i]));
    (void)rmdir(f->path);
    arena_done(&f->arena);
}

static struct folder folder_new(void)
{
    struct folder f = {.path = "/tmp/signoff-config-XXXXXX"};
    cr_assert_not_null(mkdtemp(f.path));
    return f;
}

static void put(struct folder *f, const char *name, const char *text)
{
    FILE *file = fopen(arena_printf(&f->arena, "%s/%s", f->path, name), "w");
    cr_assert_not_null(file);
    (void)fputs(text, file);
    (void)fclose(file);
}

static const char *from_table(void *ctx, const char *name)
{
    for (const char *const *pair = ctx; *pair != NULL; pair += 2)
        if (strcmp(pair[0], name) == 0)
            return pair[1];
    return NULL;
}

static const char *builtin_file(const char *path)
{
    if (strcmp(path, "deploybot.md") == 0 || strcmp(path, "rollback.md") == 0)
        return "You are {{agent}} of {{people}}.\n{{tools}}\n";
    return text_ends(path, ".playbook.yaml")
               ? "rules: [{name: only, do: {intent: nothing_to_do, reason: x}}]\n"
               : NULL;
}

static const char *const NOTHING[] = {NULL};

static struct config *load_with(struct folder *f, const char *yaml, const char *const *env,
                                enum config_mode mode)
{
    union {
        const char *const *table;
        void *ctx;
    } pass = {.table = env};
    struct config_options options = {
        .mode = mode, .env = from_table, .env_ctx = pass.ctx, .builtin_file = builtin_file};
    put(f, "signoff.yaml", yaml);
    config_free(f->config);
    f->config = config_load(&f->arena, arena_printf(&f->arena, "%s/signoff.yaml", f->path),
                            &options, &f->report);
    return f->config;
}

static struct config *load(struct folder *f, const char *yaml)
{
    return load_with(f, yaml, NOTHING, CONFIG_SERVE);
}

/* All problems of a kind as "line: key: sentence\n". */
static const char *said(struct folder *f, enum problem_kind kind)
{
    struct strbuf b;
    strbuf_init(&b, &f->arena, 1 << 20);
    for (size_t i = 0; i < f->report.count; i++)
        if (f->report.list[i].kind == kind)
            strbuf_addf(&b, "%d: %s: %s\n", f->report.list[i].line, f->report.list[i].key,
                        f->report.list[i].sentence);
    return b.text;
}

static bool has_said(struct folder *f, enum problem_kind kind, const char *text)
{
    return strstr(said(f, kind), text) != NULL;
}

#define FOLDER CLEANUP(folder_done) struct folder f = folder_new()

/* ---- what is read --------------------------------------------------------------------------- */

Test(config_load, needs_next_to_nothing)
{
    FOLDER;
    struct config *c = load(&f, "log: {}\n");
    cr_assert_not_null(c, "%s", said(&f, PROBLEM_ERROR));
    cr_expect_eq(f.report.count, 0);
    cr_expect_str_eq(c->server.listen, "127.0.0.1:8080");
    cr_expect_str_eq(c->server.public_url, "http://127.0.0.1:8080");
    cr_expect_eq(c->server.max_body_bytes, 25 * 1024 * 1024);
    cr_expect_str_eq(c->store.path, arena_printf(&f.arena, "%s/signoff.db", f.path));
    cr_expect_str_eq(c->server.state, arena_printf(&f.arena, "%s/state", f.path));
    cr_expect_str_eq(c->folder, f.path);
    cr_expect_eq(c->llm.provider, MODEL_PLAYBOOK);
    cr_expect_str_eq(c->log.level, "info");
}

/* One of each, with everything that is worth a look. */
static const char WHOLE[] =
    "server: {listen: \"[::]:9000\", public_url: \"https://s.test/\", state: run}\n"
    "store: {url: \"sqlite:data/x.db\"}\n"
    "llm: {base_url: http://localhost:1/v1/, model: m, fallback: {provider: playbook},\n"
    "  price: {input_per_mtok: 2.5}}\n"
    "people:\n"
    "  - {id: alice, slack: U1, github: al, roles: [dep, lead]}\n"
    "  - {id: bob, name: Bob, slack: U2, github: bo, roles: [dep]}\n"
    "channels:\n"
    "  chat: {type: slack, bot_token: \"${TOKEN}\", signing_secret: \"file:secret\"}\n"
    "  pages: {type: web}\n"
    "sources:\n"
    "  hub: {type: github, webhook_secret: s, repos: [acme/shop]}\n"
    "routes:\n"
    "  - {from: chat, when: mention, agent: bot}\n"
    "  - {from: hub, event: pull_request.merged, base: main, pipeline: shop}\n"
    "agents:\n"
    "  bot:\n"
    "    prompt: prompt.md\n"
    "    vars: {team: us}\n"
    "    tools: [list_git_commits, deploy, look]\n"
    "    prefetch: [list_git_commits, look]\n"
    "    playbook: rules.yaml\n"
    "    hand_over: [rollback]\n"
    "    limits: {steps: 7, max_age: 2d}\n"
    "    contact: {channel: chat, to: role:dep}\n"
    "  rollback: {tools: [list_deployments], playbook: rollback.playbook.yaml}\n"
    "tools:\n"
    "  deploy:\n"
    "    args:\n"
    "      sha: {pattern: \"^[0-9a-f]{40}$\", description: id}\n"
    "      n: {type: integer, minimum: 1, optional: true}\n"
    "    run: {command: [./deploy.sh, prod, \"{{sha}}\"], timeout: 5m, env: [KEY]}\n"
    "    target: {environment: production, component: backend, ref: sha}\n"
    "    needs: prod\n"
    "  look: {run: {command: [true]}, reads: true}\n"
    "policies:\n"
    "  prod: {approve: {role: dep}, not_requester: true, ask: [{channel: pages}]}\n"
    "environments:\n"
    "  staging: {}\n"
    "  production:\n"
    "    promote_from: staging\n"
    "    freeze:\n"
    "      - {name: weekend, days: [fri 16:00, mon 08:00], time_zone: Europe/Berlin}\n"
    "      - {name: end, from: 2026-12-20, to: 2027-01-02, except: [\"role:lead\"]}\n"
    "pipelines:\n"
    "  shop:\n"
    "    stages:\n"
    "      - {name: one, run: {command: [./deploy.sh, \"{{sha}}\"]}, environment: staging}\n"
    "      - {name: two, agent: bot, environment: production, on_failure: {agent: rollback}}\n"
    "      - {name: three, run: {command: [true]}, environment: production, deploys: false}\n"
    "    report: {channel: chat, to: C1}\n"
    "api_keys:\n"
    "  - {name: ci, key: \"${KEY}\", scopes: [\"*\"], person: alice}\n";

static struct config *load_whole(struct folder *f)
{
    static const char *const ENV[] = {"TOKEN", "xoxb-1", "KEY", "0123456789abcdef", NULL};
    put(f, "prompt.md", "You are {{agent}} for {{team}}.\n");
    put(f, "rules.yaml", "rules:\n  - {name: a, do: {intent: nothing_to_do, reason: x}}\n");
    put(f, "secret", "shh\n");
    put(f, "deploy.sh", "#!/bin/sh\n");
    (void)chmod(arena_printf(&f->arena, "%s/deploy.sh", f->path), 0755);
    struct config *c = load_with(f, WHOLE, ENV, CONFIG_SERVE);
    cr_assert_not_null(c, "%s", said(f, PROBLEM_ERROR));
    cr_assert_str_eq(said(f, PROBLEM_WARNING), "");
    cr_assert_str_eq(said(f, PROBLEM_NOTE), "");
    return c;
}

Test(config_load, fills_the_server_the_models_and_the_channels)
{
    FOLDER;
    struct config *c = load_whole(&f);
    cr_expect_str_eq(c->server.public_url, "https://s.test");
    cr_expect_str_eq(c->server.state, arena_printf(&f.arena, "%s/run", f.path));
    cr_expect_str_eq(c->store.path, arena_printf(&f.arena, "%s/data/x.db", f.path));
    cr_expect_str_eq(c->llm.base_url, "http://localhost:1/v1");
    cr_expect(c->llm.input_per_mtok > 2.4);
    cr_expect_eq(c->llm.fallback->provider, MODEL_PLAYBOOK);
    const struct slack_settings *slack = config_channel(c, "chat")->settings;
    cr_expect_str_eq(slack->name, "chat");
    cr_expect_str_eq(slack->bot_token, "xoxb-1");
    cr_expect_str_eq(slack->signing_secret, "shh");
    cr_expect_str_eq(slack->mode, "http");
    cr_expect_str_eq(config_channel(c, "pages")->type, "web");
    const struct github_settings *hub = config_source(c, "hub")->settings;
    cr_expect_str_eq(hub->repos[0], "acme/shop");
    cr_expect_str_eq(c->people.list[0].name, "alice");
    cr_expect_eq(c->people.list[1].line, 7);
}

Test(config_load, fills_the_agents_with_their_tools_and_files)
{
    FOLDER;
    struct config *c = load_whole(&f);
    const struct agent *bot = config_agent(c, "bot");
    cr_assert_eq(bot->n_tools, 3);
    cr_expect_str_eq(bot->tools[0]->name, "list_git_commits");
    cr_expect(bot->tools[0]->reads);
    cr_expect_eq(bot->tools[1], config_tool(c, "deploy"));
    cr_expect_str_eq(bot->prompt, "You are {{agent}} for {{team}}.\n");
    cr_expect_str_eq(json_text_at(bot->vars, "team"), "us");
    cr_expect_eq(bot->limits.steps, 7);
    cr_expect_eq(bot->limits.max_age_ms, (int64_t)2 * 24 * 60 * 60 * 1000);
    cr_expect_eq(bot->limits.errors, 3);
    cr_expect_eq(bot->n_prefetch, 2);
    cr_expect_str_eq(bot->contact.to, "role:dep");
    const struct agent_source *source = config_agent_source(c, "bot");
    cr_expect_str_eq(json_text_at(source->playbook, "rules.0.name"), "a");
    cr_expect_eq(yaml_line(json_at(source->playbook, "rules.0")), 2);
    cr_expect_not_null(bot->playbook);
    const struct agent *rollback = config_agent(c, "rollback");
    cr_expect(text_starts(rollback->prompt, "You are {{agent}} of"), "the built-in copy");
    cr_expect_null(config_agent_source(c, "rollback")->prompt_file);
}

Test(config_load, fills_tools_environments_and_pipelines)
{
    FOLDER;
    struct config *c = load_whole(&f);
    const struct tool *deploy = config_tool(c, "deploy");
    cr_expect_eq(deploy->run.kind, RUN_COMMAND);
    cr_expect_eq(deploy->run.n_argv, 3);
    cr_expect_eq(deploy->run.timeout_ms, 5 * 60 * 1000);
    cr_expect_str_eq(deploy->run.cwd, f.path);
    cr_expect_str_eq(deploy->run.env[0], "KEY");
    cr_expect_str_eq(deploy->description, "deploy");
    cr_expect_eq(tool_arg_by_name(deploy, "n")->type, ARG_INTEGER);
    cr_expect_str_eq(deploy->needs, "prod");
    cr_expect_eq(deploy->line, 28);
    const struct environment *production = config_environment(c, "production");
    cr_expect_str_eq(json_text(production->repo), "acme/shop", "the only one");
    cr_expect_str_eq(production->freezes[0].day_to, "mon 08:00");
    cr_expect_str_eq(production->freezes[1].except[0], "role:lead");
    const struct pipeline *shop = config_pipeline(c, "shop");
    cr_expect_eq(shop->n_stages, 3);
    cr_expect_str_eq(shop->stages[1].message, "deploy SHA {{sha}} to production");
    cr_expect_str_eq(shop->stages[1].on_failure, "rollback");
    cr_expect_eq(shop->stages[0].deploys, DEPLOYS_BY_RULE);
    cr_expect_eq(shop->stages[2].deploys, DEPLOYS_NO);
    cr_expect_str_eq(shop->report.to, "C1");
    cr_expect_str_eq(c->routes[1].pipeline, "shop");
    cr_expect(config_policy(c, "prod")->not_requester);
}

Test(config_api_key, is_known_by_its_hash_alone)
{
    FOLDER;
    struct config *c = load_whole(&f);
    const struct api_key *key = config_api_key(c, "0123456789abcdef");
    cr_assert_not_null(key);
    cr_expect_str_eq(key->person, "alice");
    cr_expect_null(config_api_key(c, "0123456789abcdeg"));
    cr_expect_null(config_api_key(c, ""));
    cr_expect_null(config_api_key(c, NULL));
    cr_expect(api_key_may(key, "threads:write"));
    cr_expect_not(api_key_may(key, "requests:decide_as"));
    cr_expect_not(api_key_may(key, "people:login"));
}

/* ---- values from elsewhere ------------------------------------------------------------------ */

#define SLACK "channels:\n  s:\n    type: slack\n    signing_secret: x\n    bot_token: "

static const char *bot_token(struct folder *f, const char *value, const char *const *env)
{
    struct config *c =
        load_with(f, arena_printf(&f->arena, SLACK "%s\n", value), env, CONFIG_SERVE);
    if (c == NULL)
        return arena_printf(&f->arena, "! %s", said(f, PROBLEM_ERROR));
    return ((const struct slack_settings *)config_channel(c, "s")->settings)->bot_token;
}

Test(config_values, come_from_the_environment_and_from_files)
{
    FOLDER;
    const char *const env[] = {"A",    "one", "B",           "two", "F", "secret", "N",
                               "${A}", "P",   "file:secret", "E",   "",  NULL};
    put(&f, "secret", "a line\n");
    cr_expect_str_eq(bot_token(&f, "\"${A}\"", env), "one");
    cr_expect_str_eq(bot_token(&f, "${A}", env), "one");
    cr_expect_str_eq(bot_token(&f, "x${A}-${B}y", env), "xone-twoy");
    cr_expect_str_eq(bot_token(&f, "\"$${A}\"", env), "${A}");
    cr_expect_str_eq(bot_token(&f, "\"a$b$$c\"", env), "a$b$$c");
    cr_expect_str_eq(bot_token(&f, "\"${N}\"", env), "${A}", "looked at once only");
    cr_expect_str_eq(bot_token(&f, "file:secret", env), "a line");
    cr_expect_str_eq(bot_token(&f, "\"file:${F}\"", env), "a line");
    put(&f, "secret", "a line\n\n");
    cr_expect_str_eq(bot_token(&f, "file:secret", env),
                     "! 5: channels.s.bot_token: must be one line without control characters\n",
                     "one line feed is dropped, not all");
    cr_expect_str_eq(bot_token(&f, "\"${P}\"", env), "file:secret", "a value names no file");
    cr_expect_str_eq(bot_token(&f, "\"${C}\"", env),
                     "! 5: channels.s.bot_token: the environment has no C\n");
    cr_expect_str_eq(bot_token(&f, "\"${E}\"", env),
                     "! 5: channels.s.bot_token: must not be empty\n");
    cr_expect(text_starts(bot_token(&f, "file:nowhere", env),
                          "! 5: channels.s.bot_token: cannot be read: "));
    cr_expect(text_starts(bot_token(&f, "\"${A\"", env),
                          "! 5: channels.s.bot_token: \"${\" begins no ${NAME}"));
    cr_expect(text_starts(bot_token(&f, "\"${1A}\"", env), "! 5: channels.s.bot_token: "));
}

Test(config_values, may_be_numbers_when_they_come_from_the_environment)
{
    FOLDER;
    const char *const env[] = {"N", "5", "T", "5m", NULL};
    struct config *c =
        load_with(&f,
                  "agents: {a: {playbook: x.playbook.yaml, limits: {steps: \"${N}\", "
                  "max_age: \"${T}\"}}}\n",
                  env, CONFIG_SERVE);
    cr_assert_not_null(c, "%s", said(&f, PROBLEM_ERROR));
    cr_expect_eq(c->agents[0].limits.steps, 5);
    cr_expect_eq(c->agents[0].limits.max_age_ms, 300000);
}

Test(config_values, are_no_keys_and_no_structure)
{
    FOLDER;
    const char *const env[] = {"A", "log", "B", "{level: debug}", NULL};
    cr_expect_null(load_with(&f, "${A}: {level: debug}\n", env, CONFIG_SERVE));
    cr_expect_str_eq(said(&f, PROBLEM_ERROR), "1: ${A}: is not a known key\n");
    cr_expect_null(load_with(&f, "log: ${B}\n", env, CONFIG_SERVE));
    cr_expect_str_eq(said(&f, PROBLEM_ERROR), "1: log: must be a mapping of keys to values\n");
}

Test(config_values, are_missed_only_where_they_are_used)
{
    FOLDER;
    static const char YAML[] = "channels:\n"
                               "  s: {type: slack, bot_token: x, signing_secret: y,\n"
                               "    app_token: \"${APP}\"}\n"
                               "  m: {type: email, from: a@b.c, smtp_url: \"smtp://h\",\n"
                               "    smtp_password: \"${MAIL}\"}\n"
                               "vercel: {token: \"${VERCEL}\"}\n";
    cr_assert_not_null(load(&f, YAML), "%s", said(&f, PROBLEM_ERROR));
    cr_expect_str_eq(said(&f, PROBLEM_NOTE),
                     "3: channels.s.app_token: the environment has no APP\n"
                     "5: channels.m.smtp_password: the environment has no MAIL\n"
                     "6: vercel.token: the environment has no VERCEL\n");
}

Test(config_values, may_be_missing_when_only_the_store_is_read)
{
    FOLDER;
    static const char YAML[] = SLACK "${T}\n"
                                     "api_keys: [{name: a, key: \"${K}\", scopes: [\"*\"]}]\n";
    struct config *c = load_with(&f, YAML, NOTHING, CONFIG_READ);
    cr_assert_not_null(c, "%s", said(&f, PROBLEM_ERROR));
    cr_expect_eq(f.report.notes, 2);
    cr_expect_null(config_api_key(c, ""), "a missing key lets nobody in");
    cr_expect_null(load_with(&f, YAML, NOTHING, CONFIG_CHECK));
    cr_expect_null(load_with(&f, "store: {url: \"${DB}\"}\n", NOTHING, CONFIG_READ));
    cr_expect_str_eq(said(&f, PROBLEM_ERROR),
                     "1: store.url: is needed: the environment has no DB\n");
}

Test(config_values, never_appear_in_what_is_said)
{
    FOLDER;
    const char *const env[] = {"K", "hunter2hunter2hunter2", NULL};
    cr_expect_null(load_with(&f,
                             "api_keys:\n  - {name: a, key: \"${K}\", scopes: [x]}\n"
                             "  - {name: b, key: \"${K}\", scopes: [\"*\"]}\n"
                             "log: {level: \"${K}\"}\n"
                             "server: {tls: {cert: \"${K}\", key: \"${K}\"}}\n",
                             env, CONFIG_SERVE));
    cr_expect_null(strstr(said(&f, PROBLEM_ERROR), "hunter2"), "%s", said(&f, PROBLEM_ERROR));
    cr_expect(has_said(&f, PROBLEM_ERROR, "3: api_keys.1.key: is the key of line 2\n"));
}

/* ---- what is refused ------------------------------------------------------------------------ */

Test(config_load, names_all_of_twelve_wrong_keys_in_file_order)
{
    FOLDER;
    cr_expect_null(load(&f, "server:\n"
                            "  lisen: 127.0.0.1:1\n"      /*  2 */
                            "  max_body: 25MB\n"          /*  3 */
                            "store: {url: \"mysql:x\"}\n" /*  4 */
                            "people:\n"
                            "  - {id: al, phone: 15550100001}\n" /*  6 */
                            "  - {id: al, slack: alice}\n"       /*  7: two */
                            "channels:\n"
                            "  chat:\n"
                            "    type: slak\n" /* 10 */
                            "  talk:\n"        /* 11 */
                            "    type: slack\n"
                            "    bot_token: x\n"
                            "    singing_secret: y\n" /* 14 */
                            "log: {level: 3}\n"       /* 15 */
                            "routes:\n"
                            "  - {from: chat, agent: nobody}\n" /* 17 */
                            "Agents: {}\n"));                   /* 18 */
    cr_expect_str_eq(
        said(&f, PROBLEM_ERROR),
        "2: server.lisen: is not a known key; did you mean listen?\n"
        "3: server.max_body: must be a whole number and B, KiB, MiB or GiB, as in 25MiB\n"
        "4: store.url: must be sqlite:FILE\n"
        "6: people.0.phone: must be a text: write it in quotes\n"
        "7: people.1.slack: must be a Slack user id as in U024BE7LH\n"
        "7: people.1.id: al is al already (line 6)\n"
        "10: channels.chat.type: there is no type slak; did you mean slack?\n"
        "11: channels.talk.signing_secret: is required\n"
        "14: channels.talk.singing_secret: is not a known key; did you mean signing_secret?\n"
        "15: log.level: must be one of: debug, info, warn, error\n"
        "17: routes.0.agent: there is no agent nobody\n"
        "18: Agents: is not a known key; did you mean agents?\n",
        "%s", said(&f, PROBLEM_ERROR));
    cr_expect_eq(f.report.errors, 12);
}

/* Parts of files, each with exactly one error. */
#define PEOPLE "people: [{id: al, slack: U1, github: al, roles: [dep]}, {id: bo, roles: [dep]}]\n"
#define CHAT   "channels: {chat: {type: slack, bot_token: x, signing_secret: y}}\n"
#define HUB    "sources: {hub: {type: github, webhook_secret: s, repos: [acme/shop]}}\n"
#define POLICY PEOPLE "policies: {p: {approve: {role: dep}}}\n"
#define TOOL   POLICY "tools:\n  t:\n    needs: p\n"
#define RUN    "    run: {command: [true]}\n"
#define ENV    "environments: {prod: {}}\n"
#define PIPE   "pipelines:\n  shop:\n    stages:\n"
#define AGENT  "agents: {bot: {playbook: bot.playbook.yaml"

static const struct {
    const char *yaml;
    int line;
    const char *says; /* "key: sentence", or its beginning */
} WRONG[] = {
    /* the file */
    {"", 1, ": is empty"},
    {"- a\n", 1, ": must be a mapping of keys to values"},
    {"a: 1\na: 2\n", 2, ": a: is there twice (first in line 1)"},
    {"log:\n\tlevel: info\n", 2, ": is indented with a tab"},
    {"log: [info]\n", 1, "log: must be a mapping of keys to values"},
    {"colour: red\n", 1, "colour: is not a known key"},
    {"polices: {}\n", 1, "polices: is not a known key; did you mean policies?"},
    /* what is no mapping where one is expected */
    {"people: [x]\n", 1, "people.0: must be a mapping"},
    {"routes: [x]\n", 1, "routes.0: must be a mapping"},
    {"agents: {bot: [x]}\n", 1, "agents.bot: must be a mapping"},
    {"tools: {t: x}\n", 1, "tools.t: must be a mapping"},
    {"policies: {p: 3}\n", 1, "policies.p: must be a mapping"},
    {"environments: {a: true}\n", 1, "environments.a: must be a mapping"},
    {"environments: {a: {freeze: [x]}}\n", 1, "environments.a.freeze.0: must be a mapping"},
    {"pipelines: {shop: []}\n", 1, "pipelines.shop: must be a mapping"},
    {PIPE "      - x\n", 4, "pipelines.shop.stages.0: must be a mapping"},
    {PIPE "      - {name: x, run: []}\n", 4, "pipelines.shop.stages.0.run: must be a mapping"},
    {"api_keys: [x]\n", 1, "api_keys.0: must be a mapping"},
    {AGENT ", contact: x}}\n", 1, "agents.bot.contact: must be a mapping"},
    /* server, store, log, llm */
    {"server: {listen: 8080}\n", 1, "server.listen: must be a text"},
    {"server: {listen: \"host:8080\"}\n", 1, "server.listen: must be ADDRESS:PORT"},
    {"server: {listen: \"127.0.0.1:70000\"}\n", 1, "server.listen: must be ADDRESS:PORT"},
    {"server: {listen: \"unix:s.sock\"}\n", 1, "server.public_url: is required when listen is"},
    {"server: {public_url: signoff.test}\n", 1, "server.public_url: must be a URL"},
    {"server: {public_url: \"https://a.test/?q\"}\n", 1, "server.public_url: must be a URL"},
    {"server: {public_url: \"https://u:p@a.test\"}\n", 1, "server.public_url: must be a URL"},
    {"server: {max_body: 1KiB}\n", 1, "server.max_body: must be 64KiB to 64MiB"},
    {"server: {trusted_proxies: [10.0.0.0/40]}\n", 1, "server.trusted_proxies.0: must be an IP"},
    {"server:\n  tls:\n    cert: /etc/cert.pem\n    key: \"-----BEGIN X\"\n", 3,
     "server.tls.cert: must be PEM text: write file:PATH"},
    {"server: {tls: {cert: \"-----BEGIN X\"}}\n", 1, "server.tls.key: is required"},
    {"store: {url: \"postgres://u@h/d\"}\n", 1,
     "store.url: PostgreSQL is not in this version: use sqlite:FILE"},
    {"store: {keep: 400}\n", 1, "store.keep: must be a whole number and ms"},
    {"llm: {api_key: k}\n", 1, "llm.model: is required"},
    {"llm: {model: m, provider: opnai}\n", 1, "llm.provider: must be one of: openai, anthropic"},
    {"llm: {model: m, base_url: \"http://h\", timeout: 2h}\n", 1, "llm.timeout: must be 1s to 1h"},
    {"llm: {model: m, base_url: \"http://h\", fallback: {fallback: {}, provider: playbook}}\n", 1,
     "llm.fallback.fallback: is not a known key"},
    /* people */
    {"people: {al: {}}\n", 1, "people: must be a list"},
    {"people: [{name: Al}]\n", 1, "people.0.id: is required"},
    {"people: [{id: a b}]\n", 1, "people.0.id: must be a name"},
    {"people: [{id: al, email: al}]\n", 1, "people.0.email: must be a mail address"},
    {"people: [{id: al, phone: \"0155\"}]\n", 1, "people.0.phone: must be a number as in"},
    {"people: [{id: al, github: \"@al\"}]\n", 1, "people.0.github: must be a GitHub login"},
    {"people: [{id: al, time_zone: Mars/North}]\n", 1, "people.0.time_zone: must be a time zone"},
    {"people: [{id: al, time_zone: ../../etc/passwd}]\n", 1, "people.0.time_zone: must be a"},
    {"people:\n- {id: al, email: x@y.z}\n- {id: bo, email: X@y.z}\n", 3,
     "people.1.email: X@y.z is al already (line 2)"},
    /* channels and sources */
    {"channels: {s: {}}\n", 1, "channels.s.type: is required"},
    {"channels: {s: web}\n", 1, "channels.s: must be a mapping"},
    {"channels: [web]\n", 1, "channels: must be a mapping of names to objects"},
    {"channels: {a/b: {type: web}}\n", 1, "channels.a/b: must be a name"},
    {"channels: {s: {type: slack, bot_token: x, mode: socket}}\n", 1,
     "channels.s.app_token: is required"},
    {"channels:\n"
     "  a: {type: slack, mode: socket, bot_token: x, app_token: t}\n"
     "  b: {type: slack, mode: socket, bot_token: y, app_token: t}\n",
     3, "channels.b.app_token: is a's already"},
    {"channels: {w: {type: web, color: red}}\n", 1, "channels.w.color: is not a known key"},
    {"channels: {m: {type: email, from: a, smtp_url: \"http://h\"}}\n", 1,
     "channels.m.smtp_url: must be a URL as in smtp://"},
    {"channels: {m: {type: email, from: a, smtp_url: \"smtp://h\", inbound: imap, imap_user: u}}\n",
     1, "channels.m.imap_url: is required"},
    {"channels: {m: {type: email, from: a, smtp_url: \"smtp://h\", reply_address: a@b.c}}\n", 1,
     "channels.m.reply_address: must hold {token}"},
    {"channels: {m: {type: sms, account_sid: a, auth_token: b}}\n", 1,
     "channels.m.from: is required, or messaging_service_sid"},
    {"channels: {x: {type: web}}\nsources: {x: {type: webhook, secret: s}}\n", 2,
     "sources.x: a channel has this name already (line 1)"},
    {"sources: {s: {type: schedule, cron: \"60 * * * *\", message: m}}\n", 1,
     "sources.s.cron: must have five fields"},
    {"sources: {s: {type: schedule, cron: \"* * * *\", message: m}}\n", 1,
     "sources.s.cron: must have five fields"},
    {"sources: {g: {type: github, repos: [shop]}}\n", 1, "sources.g.repos.0: must be owner/name"},
    {"sources: {g: {type: gitlab}}\n", 1, "sources.g.type: there is no type gitlab"},
    /* routes */
    {AGENT "}}\nroutes: [{from: chta, agent: bot}]\n" CHAT, 2,
     "routes.0.from: there is no channel or source chta; did you mean chat?"},
    {CHAT "routes: [{from: chat}]\n", 2, "routes.0: needs exactly one of agent and pipeline"},
    {CHAT AGENT "}}\nroutes: [{from: chat, agent: bott}]\n", 3,
     "routes.0.agent: there is no agent bott; did you mean bot?"},
    {CHAT AGENT "}}\nroutes: [{from: chat, when: shout, agent: bot}]\n", 3,
     "routes.0.when: must be one of: mention"},
    {CHAT AGENT "}}\nroutes: [{from: chat, command: /x, agent: bot}]\n", 3,
     "routes.0.command: goes with when: command"},
    {CHAT AGENT "}}\nroutes: [{from: chat, event: push, agent: bot}]\n", 3,
     "routes.0.event: goes with sources; chat is a channel"},
    {"channels: {w: {type: web}}\n" AGENT "}}\nroutes: [{from: w, when: mention, agent: bot}]\n", 3,
     "routes.0.when: goes with Slack; w is of type web"},
    {HUB AGENT "}}\nroutes: [{from: hub, when: mention, agent: bot}]\n", 3,
     "routes.0.when: goes with channels; hub is a source"},
    {HUB AGENT "}}\nroutes: [{from: hub, repo: acme/shoe, agent: bot}]\n", 3,
     "routes.0.repo: acme/shoe is not in the repos of hub"},
    {"sources: {hub: {type: github}}\n" AGENT "}}\nroutes: [{from: hub, agent: bot}]\n", 3,
     "routes.0.from: hub needs webhook_secret"},
    {HUB "routes: [{from: hub, pipeline: shop}]\n", 2,
     "routes.0.pipeline: there is no pipeline shop"},
    {CHAT "routes: [{from: chat, pipeline: shop}]\n" PIPE
          "      - {name: x, run: {command: [true]}}\n",
     2, "routes.0.pipeline: begins with a commit"},
    /* agents */
    {"agents: {bot: {}}\n", 1, "agents.bot.playbook: is required: there is no llm"},
    {"llm: {provider: playbook}\nagents: {bot: {}}\n", 2,
     "agents.bot.playbook: is required: llm.provider is playbook"},
    {"llm: {model: m, base_url: \"http://h\"}\nagents: {bot: {}}\n", 2,
     "agents.bot.prompt: is required (there is no prompts/bot.md)"},
    {AGENT ", prompt: gone.md}}\n", 1, "agents.bot.prompt: cannot be read: "},
    {AGENT ", prompt: /dev/tty}}\n", 1,
     "agents.bot.prompt: cannot be read: /dev/tty is no regular file"},
    {"agents: {bot: {playbook: gone.yaml}}\n", 1, "agents.bot.playbook: cannot be read: "},
    {AGENT ", tools: [list_git_commit], repo: a/b}}\n", 1,
     "agents.bot.tools: there is no tool list_git_commit; did you mean list_git_commits?"},
    {AGENT ", tools: [list_deployments, list_deployments]}}\n", 1,
     "agents.bot.tools: list_deployments is named twice"},
    {AGENT ", hand_over: [bot]}}\n", 1, "agents.bot.hand_over: it cannot hand over to itself"},
    {AGENT ", hand_over: [cat]}}\n", 1, "agents.bot.hand_over: there is no agent cat"},
    {AGENT ", limits: {steps: 0}}}\n", 1, "agents.bot.limits.steps: must be 1 to 10000"},
    {AGENT ", limits: {max_age: 7}}}\n", 1, "agents.bot.limits.max_age: must be a whole number"},
    {AGENT ", contact: {channel: chat, to: C1}}}\n", 1,
     "agents.bot.contact.channel: there is no channel chat"},
    {AGENT ", contact: {channel: chat}}}\n" CHAT, 1,
     "agents.bot.contact.to: is required: whom to tell on chat"},
    {AGENT ", contact: {channel: chat, to: \"role:pilot\"}}}\n" CHAT, 1,
     "agents.bot.contact.to: there is no role pilot"},
    {AGENT ", vars: {agent: x}}}\n", 1, "agents.bot.vars.agent: every prompt has this variable"},
    {AGENT ", vars: {n: 1}}}\n", 1, "agents.bot.vars.n: must be a text"},
    {AGENT ", repo: shop}}\n", 1, "agents.bot.repo: must be owner/name, or {path: DIR}"},
    {AGENT ", repo: {path: 3}}}\n", 1, "agents.bot.repo.path: must be a text"},
    {AGENT ", tools: [list_git_tags]}}\n", 1,
     "agents.bot.repo: is required: its tools read a repository, and none is named"},
    {"sources: {g: {type: github, repos: [a/b, c/d]}}\n" AGENT ", tools: [list_git_tags]}}\n", 2,
     "agents.bot.repo: is required: its tools read a repository, and there are several"},
    {HUB AGENT ", repo: acme/shoe}}\n", 2,
     "agents.bot.repo: acme/shoe is in the repos of no GitHub source"},
    {TOOL RUN AGENT ", prefetch: [t]}}\n", 7, "agents.bot.prefetch: t acts; only tools that read"},
    /* tools */
    {POLICY "tools:\n  t: {run: {command: [true]}}\n", 4,
     "tools.t.needs: is required: a policy, or `nobody`; or say reads: true"},
    {TOOL RUN "    reads: true\n", 5, "tools.t.needs: is for tools that act"},
    {POLICY "tools:\n  t: {needs: q, run: {command: [true]}}\n", 4,
     "tools.t.needs: there is no policy q"},
    {TOOL, 4, "tools.t.run: is required"},
    {TOOL "    run: {}\n", 6, "tools.t.run: needs exactly one of command, http"},
    {TOOL "    run: {command: [true], builtin: list_git_tags}\n", 6,
     "tools.t.run: needs exactly one of command, http"},
    {TOOL "    run: {command: ./deploy.sh}\n", 6, "tools.t.run.command: must be a list of texts"},
    {TOOL "    run: {command: []}\n", 6, "tools.t.run.command: must begin with a program"},
    {TOOL "    run: {command: [true, \"{{sha}}\"]}\n", 6,
     "tools.t.run.command: unknown variable {{sha}}"},
    {TOOL "    args: {sh: {}}\n    run: {command: [\"{{sh}}\"]}\n", 7,
     "tools.t.run.command: the program itself cannot be filled in"},
    {TOOL "    run: {command: [true], timeout: 0s}\n", 6, "tools.t.run.timeout: must be 1s to"},
    {TOOL "    run: {command: [true], env: [A-B]}\n", 6, "tools.t.run.env.0: must be the name"},
    {TOOL "    run: {http: {method: POST}}\n", 6, "tools.t.run.http.url: is required"},
    {TOOL "    run: {vercel: {action: undo, project: p, deployment: d}}\n", 6,
     "tools.t.run.vercel.action: must be one of: promote, rollback"},
    {TOOL "    run: {github_workflow: {repo: a/b, workflow: w, inputs: {x: \"{{y}}\"}}}\n", 6,
     "tools.t.run.github_workflow: unknown variable {{y}}"},
    {"tools: {t: {run: list_git_comits, needs: nobody}}\n", 1,
     "tools.t.run: there is no built-in tool list_git_comits; did you mean list_git_commits?"},
    {TOOL RUN "    args: {sha: {pattern: \"[\"}}\n", 7,
     "tools.t.args.sha.pattern: is no regular expression"},
    {TOOL RUN "    args: {sha: {type: text}}\n", 7,
     "tools.t.args.sha.type: must be one of: string"},
    {TOOL RUN "    args: {n: {type: integer, pattern: x}}\n", 7,
     "tools.t.args.n.pattern: goes with type: string"},
    {TOOL RUN "    args: {n: {minimum: 1}}\n", 7,
     "tools.t.args.n.minimum: goes with type: integer or number"},
    {TOOL RUN "    args: {n: {type: integer, minimum: 2, maximum: 1}}\n", 7,
     "tools.t.args.n.maximum: is less than minimum"},
    {TOOL RUN "    args: {intent: {}}\n", 7, "tools.t.args.intent: is a word of every step"},
    {TOOL RUN "    editable: [sha]\n", 7, "tools.t.editable: there is no argument sha"},
    {TOOL RUN "    target: {environment: prod, ref: sah}\n    args: {sha: {}}\n" ENV, 7,
     "tools.t.target.ref: there is no argument sah; did you mean sha?"},
    {TOOL RUN "    target: {environment: prod, ref: n}\n    args: {n: {type: integer}}\n" ENV, 7,
     "tools.t.target.ref: the argument n is no string"},
    {TOOL RUN "    target: {environment: prdo}\n" ENV, 7,
     "tools.t.target.environment: there is no environment prdo; did you mean prod?"},
    {POLICY "tools: {await: {needs: p, run: {command: [true]}}}\n", 3,
     "tools.await: every agent has a tool of this name already"},
    {POLICY "tools: {a.b: {needs: p, run: {command: [true]}}}\n", 3, "tools.a.b: a tool's name"},
    /* policies */
    {"policies: {p: {}}\n", 1, "policies.p.approve: is required"},
    {PEOPLE "policies:\n  p:\n    approve: {role: dpe}\n", 4,
     "policies.p.approve.role: there is no role dpe; did you mean dep?"},
    {PEOPLE "policies:\n  p:\n    approve:\n      any_of:\n      - role: dep\n      - person: cy\n",
     7, "policies.p.approve.any_of.1.person: there is no person cy"},
    {PEOPLE "policies:\n  p:\n    approve: {role: dep, count: 3}\n", 4,
     "policies.p.approve: nobody can meet it: it needs 3 with the role dep, there are 2"},
    {PEOPLE "policies:\n  p:\n    approve: {role: dep}\n    ask: [{channel: chat, to: C1}]\n", 5,
     "policies.p.ask.0.channel: there is no channel chat"},
    {PEOPLE CHAT "policies:\n  p: {approve: {role: dep},\n    ask: [{channel: chat}]}\n", 5,
     "policies.p.ask.0.to: is required: whom to tell on chat"},
    {PEOPLE "policies: {nobody: {approve: {role: dep}}}\n", 2, "policies.nobody: nobody is a word"},
    {PEOPLE "policies: {p: {approve: {role: dep}, expire: 0s}}\n", 2,
     "policies.p.expire: must be 1s to 365d"},
    /* environments and pipelines */
    {"environments: {a: {promote_from: b}}\n", 1,
     "environments.a.promote_from: there is no environment b"},
    {"environments: {a: {promote_from: a}}\n", 1,
     "environments.a.promote_from: leads back to itself"},
    {"sources: {g: {type: github, repos: [a/b, c/d]}}\nenvironments: {a: {}}\n", 2,
     "environments.a.repo: is required: there are several repositories"},
    {"environments: {a: {freeze: [{name: f}]}}\n", 1, "environments.a.freeze.0: needs either days"},
    {"environments: {a: {freeze: [{name: f, days: [fri 16:00]}]}}\n", 1,
     "environments.a.freeze.0.days: must be two"},
    {"environments: {a: {freeze: [{name: f, days: [fri 16:00, mon 24:00]}]}}\n", 1,
     "environments.a.freeze.0.days.1: must be a weekday and a time"},
    {"environments: {a: {freeze: [{name: f, from: 2026-02-30, to: 2026-03-01}]}}\n", 1,
     "environments.a.freeze.0.from: must be a date"},
    {"environments: {a: {freeze: [{name: f, from: 2026-03-02, to: 2026-03-01}]}}\n", 1,
     "environments.a.freeze.0.to: is before from"},
    {"environments: {a: {freeze: [{name: f, from: 2026-03-02}]}}\n", 1,
     "environments.a.freeze.0.to: is required beside the other"},
    {PEOPLE
     "environments: {a: {freeze: [{name: f, days: [fri 16:00, mon 08:00], except: [al]}]}}\n",
     2, "environments.a.freeze.0.except: al must be role:NAME or person:ID"},
    {"pipelines: {shop: {stages: []}}\n", 1, "pipelines.shop.stages: has no stage"},
    {PIPE "      - {name: x}\n", 4, "pipelines.shop.stages.0: needs exactly one of run and agent"},
    {PIPE "      - {run: {command: [true]}}\n", 4, "pipelines.shop.stages.0.name: is required"},
    {PIPE "      - {name: x, run: {command: [true]}}\n      - {name: x, run: {command: [true]}}\n",
     5, "pipelines.shop.stages.1.name: x is there already (line 4)"},
    {PIPE "      - {name: x, run: {command: [true, \"{{shaa}}\"]}}\n", 4,
     "pipelines.shop.stages.0.run.command: unknown variable {{shaa}}"},
    {PIPE "      - {name: x, run: {command: [true]}, environment: prod}\n", 4,
     "pipelines.shop.stages.0.environment: there is no environment prod"},
    {PIPE "      - {name: x, run: {command: [true]}, deploys: true}\n", 4,
     "pipelines.shop.stages.0.deploys: goes with environment"},
    {PIPE "      - {name: x, run: {command: [true]}, on_failure: {agent: bot}}\n", 4,
     "pipelines.shop.stages.0.on_failure: there is no agent bot"},
    {PIPE "      - {name: x, run: list_git_tags}\n", 4,
     "pipelines.shop.stages.0.run: a built-in tool only reads"},
    {AGENT "}}\n" PIPE "      - {name: x, agent: bot}\n", 5,
     "pipelines.shop.stages.0.message: is required for an agent without"},
    {AGENT "}}\n" PIPE "      - {name: x, agent: bot, message: \"{{shaa}}\"}\n", 5,
     "pipelines.shop.stages.0.message: unknown variable {{shaa}}"},
    {"environments: {a: {repo: {path: /tmp}}, b: {repo: {path: /}}}\n" PIPE
     "      - {name: x, run: {command: [true]}, environment: a}\n"
     "      - {name: y, run: {command: [true]}, environment: b}\n",
     6, "pipelines.shop.stages.1.environment: b has another repository than a"},
    {"sources: {hub: {type: github, webhook_secret: s}}\nenvironments: {a: {repo: acme/shop}}\n"
     "routes: [{from: hub, repo: acme/shoe, pipeline: shop}]\n" PIPE
     "      - {name: x, run: {command: [true]}, environment: a}\n",
     3, "routes.0.repo: a has the repository acme/shop"},
    {PIPE "      - {name: x, run: {command: [true]}}\n    report: {channel: chat, to: C1}\n", 5,
     "pipelines.shop.report.channel: there is no channel chat"},
    /* keys */
    {"api_keys: [{name: a, scopes: [\"*\"]}]\n", 1, "api_keys.0.key: is required"},
    {"api_keys: [{name: a, key: 0123456789abcdef}]\n", 1, "api_keys.0.scopes: is required"},
    {"api_keys: [{name: a, key: 0123456789abcdef, scopes: []}]\n", 1,
     "api_keys.0.scopes: is empty"},
    {"api_keys: [{name: a, key: 0123456789abcdef, scopes: [threads:reed]}]\n", 1,
     "api_keys.0.scopes.0: must be one of: threads:read"},
    {"api_keys: [{name: a, key: 0123456789abcdef, scopes: [\"*\"], person: al}]\n", 1,
     "api_keys.0.person: there is no person al"},
    {"vercel: {team_id: t}\n", 1, "vercel.token: is required"},
};

Test(config_load, names_each_mistake_with_its_line)
{
    FOLDER;
    for (size_t i = 0; i < COUNT(WRONG); i++) {
        const char *expected = arena_printf(&f.arena, "%d: %s", WRONG[i].line, WRONG[i].says);
        cr_expect_null(load(&f, WRONG[i].yaml), "accepted: %s", WRONG[i].yaml);
        const char *got = said(&f, PROBLEM_ERROR);
        cr_expect(text_starts(got, expected), "%s\nsaid: %swanted: %s", WRONG[i].yaml, got,
                  expected);
        cr_expect(f.report.errors == 1, "%s\nsaid: %s", WRONG[i].yaml, got);
    }
}

Test(config_load, says_where_in_a_prompt_a_variable_is_unknown)
{
    FOLDER;
    put(&f, "prompt.md", "Hello {{agent}}\n{{teem}}\n\nand {{sha}} too\n");
    cr_expect_null(load(&f, "agents:\n  bot:\n    playbook: bot.playbook.yaml\n"
                            "    vars: {team: x}\n    prompt: prompt.md\nlog: {level: x}\n"));
    cr_assert_eq(f.report.errors, 3);
    cr_expect_str_eq(f.report.list[0].file, arena_printf(&f.arena, "%s/prompt.md", f.path));
    cr_expect_eq(f.report.list[0].line, 2);
    cr_expect(text_starts(f.report.list[0].sentence, "unknown variable {{teem}}"));
    cr_expect_eq(f.report.list[1].line, 4);
    cr_expect_eq(f.report.list[2].line, 6, "the main file goes on after it");
}

Test(config_load, says_where_in_a_playbook_it_is_no_yaml)
{
    FOLDER;
    put(&f, "rules.yaml", "rules:\n  - a: 1\n    a: 2\n");
    cr_expect_null(load(&f, "agents: {bot: {playbook: rules.yaml}}\n"));
    cr_assert_eq(f.report.errors, 1);
    cr_expect_eq(f.report.list[0].line, 3);
    cr_expect(text_ends(f.report.list[0].file, "/rules.yaml"));
}

Test(config_load, says_that_there_is_no_file)
{
    FOLDER;
    cr_expect_null(config_load(&f.arena, "/nowhere/signoff.yaml", NULL, &f.report));
    cr_assert_eq(f.report.errors, 1);
    cr_expect_str_eq(config_problem_line(&f.arena, &f.report.list[0]),
                     "/nowhere/signoff.yaml: cannot be read: /nowhere/signoff.yaml: No such file "
                     "or directory");
}

/* ---- what is odd, and what is not yet ---------------------------------------------------------
 */

static const struct {
    const char *yaml, *says;
} ODD[] = {
    {"server: {public_url: \"http://signoff.test\"}\n", "1: server.public_url: is plain http"},
    {PEOPLE "policies: {p: {approve: {role: dep}, not_requester: true}}\n",
     "2: policies.p.not_requester: bo may approve but has no GitHub login"},
    {"people: [{id: al, github: al, roles: [dep]}]\n"
     "policies: {p: {approve: {role: dep}, not_requester: true}}\n",
     "2: policies.p.not_requester: nobody can approve what al asks for"},
    {"people: [{id: al, roles: [a, b]}]\n"
     "policies: {p: {approve: {all_of: [{role: a}, {role: b}]}}}\n",
     "2: policies.p.approve: al alone meets all parts of an all_of"},
    {PEOPLE "policies: {p: {approve: {role: dep}, reject: 3}}\n",
     "2: policies.p.reject: only 2 may reject"},
    {CHAT "llm: {model: m}\n", "2: llm.api_key: is left out"},
    {CHAT AGENT "}}\nroutes: [{from: chat, agent: bot}, {from: chat, when: mention, agent: bot}]\n",
     "3: routes.1: is never reached: line 3 takes all of it"},
    {PEOPLE CHAT AGENT ", contact: {channel: chat, to: \"role:dep\"}}}\n",
     "3: agents.bot.contact.to: bo has no slack address"},
    {TOOL "    run: {command: [./gone.sh]}\n", "6: tools.t.run.command: "},
    {"tools: {t: {needs: nobody, run: {command: [true]}}}\n",
     "1: tools.t.needs: nobody: it acts without asking anybody"},
    {"api_keys: [{name: a, key: short, scopes: [\"*\"]}]\n", "1: api_keys.0.key: is short"},
    {"api_keys: [{name: a, key: 0123456789abcdef, scopes: [requests:decide]}]\n",
     "1: api_keys.0.scopes: requests:decide needs a person"},
    {AGENT ", repo: a/b}}\n", "1: agents.bot.repo: there is no GitHub source"},
    {AGENT ", repo: {path: /nowhere}}}\n", "1: agents.bot.repo.path: there is no folder /nowhere"},
    {AGENT ", tools: [await]}}\n", "1: agents.bot.tools: await is given to every agent"},
    {"environments: {a: {}, b: {promote_from: a}}\n",
     "1: environments.b.promote_from: no pipeline has a stage in a"},
    /* not yet */
    {"store: {keep: 1d}\n", "1: store.keep: is checked, but does nothing in this version"},
    {"llm: {provider: anthropic, model: m, api_key: k}\n",
     "1: llm.provider: anthropic is checked, but does nothing"},
    {"channels: {s: {type: slack, signing_secret: s, bot_token: x, client_id: y}}\n",
     "1: channels.s.client_id: is checked, but does nothing"},
    {"channels: {m: {type: email, from: a, smtp_url: \"smtp://h\"}}\n",
     "1: channels.m.type: email is checked, but does nothing"},
    {"channels: {m: {type: sms, account_sid: a, auth_token: b, from: c}}\n",
     "1: channels.m.type: sms is checked, but does nothing"},
    {"sources: {s: {type: schedule, cron: \"*/5 0-3,7 1 1 1-5\", message: m}}\n",
     "1: sources.s.type: schedule is checked, but does nothing"},
    {"sources: {s: {type: webhook, secret: m}}\n",
     "1: sources.s.type: webhook is checked, but does nothing"},
    {"sources: {s: {type: github, app_id: \"1\"}}\n", "1: sources.s.app_id: is checked, but"},
    {TOOL "    run: {http: {url: \"https://h/{{a}}\"}}\n    args: {a: {}}\n",
     "6: tools.t.run.http: is checked, but does nothing"},
    {TOOL "    run: {vercel: {action: promote, project: p, deployment: d}}\n",
     "6: tools.t.run.vercel: is checked, but"},
    {TOOL "    run: {github_workflow: {repo: a/b, workflow: w}}\n",
     "6: tools.t.run.github_workflow: is checked, but"},
    {AGENT ", tools: [list_workflow_runs]}}\n",
     "1: agents.bot.tools: list_workflow_runs is checked, but left out"},
    {PEOPLE "policies: {p: {approve: {role: dep}, remind: 1m}}\n", "2: policies.p.remind: is"},
    {PEOPLE "policies: {p: {approve: {role: dep}, grants: [once]}}\n", "2: policies.p.grants: is"},
    {PEOPLE CHAT "policies: {p: {approve: {role: dep}, on_expire: escalate,\n"
                 "  escalate: {channel: chat, to: C1}}}\n",
     "3: policies.p.on_expire: escalate is checked, but acts as refuse in this version\n"
     "4: policies.p.escalate: is checked"},
    {"vercel: {token: t}\n", "1: vercel: is checked, but does nothing in this version"},
};

Test(config_load, warns_of_what_is_legal_but_odd_or_not_yet)
{
    FOLDER;
    for (size_t i = 0; i < COUNT(ODD); i++) {
        cr_expect_not_null(load(&f, ODD[i].yaml), "%s\nsaid: %s", ODD[i].yaml,
                           said(&f, PROBLEM_ERROR));
        cr_expect(has_said(&f, PROBLEM_WARNING, ODD[i].says), "%s\nsaid: %swanted: %s", ODD[i].yaml,
                  said(&f, PROBLEM_WARNING), ODD[i].says);
    }
}

/* ---- signoff check -------------------------------------------------------------------------- */

static int check(struct folder *f, const char *yaml, bool as_json, char **out, char **err)
{
    size_t out_size, err_size;
    FILE *to_out = open_memstream(out, &out_size), *to_err = open_memstream(err, &err_size);
    put(f, "signoff.yaml", yaml);
    int code = config_check_main(arena_printf(&f->arena, "%s/signoff.yaml", f->path), NULL, as_json,
                                 to_out, to_err);
    (void)fclose(to_out);
    (void)fclose(to_err);
    return code;
}

Test(config_check_main, says_one_line_when_all_is_well)
{
    FOLDER;
    char *out, *err;
    cr_expect_eq(check(&f, PEOPLE, false, &out, &err), 0);
    cr_expect_str_eq(out, arena_printf(&f.arena,
                                       "%s/signoff.yaml: ok: 2 people, 0 channels, 0 agents, 0 "
                                       "tools, 0 policies, 0 pipelines\n",
                                       f.path));
    cr_expect_str_eq(err, "");
    free(out);
    free(err);
}

Test(config_check_main, fails_with_all_problems_but_not_for_warnings)
{
    FOLDER;
    char *out, *err;
    cr_expect_eq(check(&f, "log:\n  level: x\n  form: y\n", false, &out, &err), 2);
    cr_expect_str_eq(out, "");
    cr_expect_str_eq(
        err, arena_printf(&f.arena,
                          "%s/signoff.yaml:2: log.level: must be one of: debug, info, warn, error\n"
                          "%s/signoff.yaml:3: log.form: is not a known key; did you mean format?\n",
                          f.path, f.path));
    free(out);
    free(err);
    cr_expect_eq(check(&f, "store: {keep: 1d}\n", false, &out, &err), 0);
    cr_expect(text_ends(out, "; 1 warning\n"));
    cr_expect(text_ends(err, ":1: store.keep: warning: is checked, but does nothing in this "
                             "version\n"));
    free(out);
    free(err);
}

Test(config_check_main, speaks_json_when_asked)
{
    FOLDER;
    char *out, *err;
    cr_expect_eq(check(&f, "log:\n  level: x\n", true, &out, &err), 2);
    struct json *root = NULL;
    cr_assert(json_parse(&f.arena, span_of(out), 0, &root, NULL));
    cr_expect_eq(json_get(root, "ok")->type, JSON_FALSE);
    cr_expect_eq(json_int_or(json_at(root, "problems.0.line"), 0), 2);
    cr_expect_str_eq(json_text_at(root, "problems.0.key"), "log.level");
    cr_expect_str_eq(err, "");
    free(out);
    free(err);
}

Test(config_check_main, shows_foreign_text_as_one_harmless_line)
{
    FOLDER;
    char *out, *err;
    cr_expect_eq(check(&f, "\"a\\nb\\e[31m\": 1\n", false, &out, &err), 2);
    cr_expect_null(strchr(err, '\x1b'));
    cr_expect_eq(strchr(err, '\n'), err + strlen(err) - 1);
    free(out);
    free(err);
}

/* ---- what we ship --------------------------------------------------------------------------- */

/* The files in prompts/, which are what is built in. */
static const char *shipped_file(const char *path)
{
    static char text[1 << 16];
    char full[256];
    (void)snprintf(full, sizeof full, "%s/../prompts/%s", TESTS_DIR, path);
    FILE *file = fopen(full, "r");
    if (file == NULL)
        return NULL;
    text[fread(text, 1, sizeof text - 1, file)] = '\0';
    (void)fclose(file);
    return text;
}

static const char *any_value(void *ctx, const char *name)
{
    (void)ctx;
    return arena_printf(ctx, "%s-0123456789abcdef", name);
}

Test(example, is_right_and_its_warnings_are_of_what_is_not_yet)
{
    FOLDER;
    struct config_options options = {
        .mode = CONFIG_CHECK, .env = any_value, .env_ctx = &f.arena, .builtin_file = shipped_file};
    f.config =
        config_load(&f.arena, TESTS_DIR "/../config/signoff.example.yaml", &options, &f.report);
    cr_assert_not_null(f.config, "%s", said(&f, PROBLEM_ERROR));
    cr_expect_str_eq(said(&f, PROBLEM_NOTE), "");
    for (size_t i = 0; i < f.report.count; i++)
        cr_expect(strstr(f.report.list[i].sentence, "is checked, but") != NULL ||
                      text_ends(f.report.list[i].sentence, "is no file that can be run"),
                  "%s", config_problem_line(&f.arena, &f.report.list[i]));
}

Test(manual, is_what_the_tables_say)
{
    FOLDER;
    FILE *file = fopen(TESTS_DIR "/../config/manual.md", "r");
    cr_assert_not_null(file);
    char *text = arena_alloc(&f.arena, 1 << 20);
    (void)fread(text, 1, (1 << 20) - 1, file);
    (void)fclose(file);
    cr_expect(strcmp(text, config_manual(&f.arena)) == 0,
              "config/manual.md is stale: run `signoff manual > config/manual.md`");
}
