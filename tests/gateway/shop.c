/* See shop.h. */
#include "tests/gateway/shop.h"

#include "gateway/base/hash.h"
#include "gateway/base/text.h"
#include "gateway/serve.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char yaml[] = "server: {public_url: \"https://signoff.test\"}\n"
                           "store: {url: \"sqlite:shop.db\"}\n"
                           "people:\n"
                           "  - {id: alice, name: Alice Ng, roles: [deployer]}\n"
                           "  - {id: bob, name: Bob Okoye, roles: [deployer]}\n"
                           "  - {id: eve, name: Eve}\n"
                           "channels:\n"
                           "  inbox: {type: web}\n"
                           "policies:\n"
                           "  prod: {approve: {role: deployer, count: 1}, not_requester: true,"
                           " ask: [{channel: inbox, to: \"role:deployer\"}]}\n"
                           "environments:\n"
                           "  production: {repo: {path: .}}\n";

static const char policy[] =
    "{\"approve\":{\"role\":\"deployer\",\"count\":1},\"not_requester\":true}";

void shop_open(struct shop *s)
{
    struct err err = ERR_INIT;
    struct config_report report;
    *s = (struct shop){.now_ms = (int64_t)SHOP_NOW_S * 1000};
    snprintf(s->folder, sizeof s->folder, "/tmp/signoff-shop-XXXXXX");
    cr_assert(mkdtemp(s->folder) != NULL);
    char *file = arena_printf(&s->a, "%s/signoff.yaml", s->folder);
    FILE *out = fopen(file, "w");
    cr_assert(out != NULL);
    fputs(yaml, out);
    fclose(out);
    s->config = config_load(&s->a, file, serve_config_options(CONFIG_READ), &report);
    cr_assert(s->config != NULL, "%s",
              report.count == 0 ? "?" : config_problem_line(&s->a, &report.list[0]));
    cr_assert(store_open(&s->store, arena_printf(&s->a, "sqlite:%s", s->config->store.path),
                         DB_WRITE, &err),
              "%s", err.text);
}

void shop_close(struct shop *s)
{
    static const char *const files[] = {"signoff.yaml", "shop.db", "shop.db-wal", "shop.db-shm"};
    store_close(&s->store);
    config_free(s->config);
    for (size_t i = 0; i < COUNT(files); i++)
        unlink(arena_printf(&s->a, "%s/%s", s->folder, files[i]));
    rmdir(s->folder);
    arena_done(&s->a);
}

void shop_thread(struct shop *s, const char *id, const char *title, int64_t at_ms)
{
    struct err err = ERR_INIT;
    struct thread_row row = {.t = {.id = id,
                                   .agent = "deploybot",
                                   .root = id,
                                   .status = THREAD_WAITING,
                                   .title = title,
                                   .requester = "person:bob",
                                   .created_at_ms = at_ms}};
    cr_assert(store_begin(&s->store, &err) && store_add_thread(&s->store, &s->a, &row, &err) &&
                  store_commit(&s->store, &err),
              "%s", err.text);
}

void shop_event(struct shop *s, const char *thread, enum event_type type, const char *actor,
                const char *data)
{
    struct err err = ERR_INIT;
    cr_assert(store_begin(&s->store, &err) &&
                  store_append(&s->store, &s->a, thread, type, actor, json_parse_own(&s->a, data),
                               s->now_ms, NULL, &err) &&
                  store_commit(&s->store, &err),
              "%s", err.text);
}

static char *call_of(struct shop *s, const struct shop_request *r)
{
    struct json *call = json_object(&s->a);
    struct json *target = json_object(&s->a);
    json_set_text(&s->a, target, "environment", "production");
    json_set_text(&s->a, target, "component", "backend");
    json_set_text(&s->a, target, "ref", "sha");
    json_set(&s->a, call, "arguments",
             json_parse_own(&s->a, r->arguments == NULL ? "{}" : r->arguments));
    if (r->tool != NULL)
        json_set(&s->a, call, "target", target);
    return json_canonical(&s->a, call);
}

void shop_request(struct shop *s, const struct shop_request *r)
{
    struct err err = ERR_INIT;
    struct json *view = json_object(&s->a);
    json_set_text(&s->a, view, "agent", "deploybot");
    json_set_text(&s->a, view, "title", "a thread");
    json_set_text(&s->a, view, "policy_name", "prod");
    if (r->facts != NULL)
        json_set(&s->a, view, "facts", json_parse_own(&s->a, r->facts));
    if (r->question != NULL)
        json_set_text(&s->a, view, "question", r->question);
    if (r->options != NULL)
        json_set(&s->a, view, "options", json_parse_own(&s->a, r->options));
    char *canonical = call_of(s, r);
    struct request_row row = {.id = r->id,
                              .code = "4821",
                              .thread = r->thread,
                              .kind = r->tool == NULL ? "question" : "approval",
                              .status = "open",
                              .tool = r->tool,
                              .canonical = canonical,
                              .digest = sha256_hex(&s->a, span_of(canonical)),
                              .view = json_write(&s->a, view),
                              .policy = r->tool == NULL ? NULL : policy,
                              .requester = r->requester == NULL ? "person:bob" : r->requester,
                              .raised_at_ms = s->now_ms - 60000,
                              .expires_at_ms = s->now_ms + 3600000};
    cr_assert(store_begin(&s->store, &err) && store_add_request(&s->store, &row, &err) &&
                  store_commit(&s->store, &err),
              "%s", err.text);
}
