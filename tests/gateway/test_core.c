/* The core's acts on a store of their own: what they want to send is collected and not sent. */
#include "gateway/app.h"
#include "gateway/base/hash.h"
#include "gateway/base/text.h"
#include "gateway/builtin.h"
#include "gateway/core.h"
#include "gateway/replay.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

static const char CONFIG[] =
    "server: {public_url: \"https://signoff.test\"}\n"
    "store: {url: \"sqlite:signoff.db\"}\n"
    "llm: {provider: playbook}\n"
    "people:\n"
    "  - {id: alice, name: Alice, slack: U1, roles: [deployer]}\n"
    "  - {id: bob, name: Bob, slack: U2, roles: [deployer]}\n"
    "  - {id: carol, name: Carol, slack: U3, roles: [deployer, lead]}\n"
    "  - {id: dave, name: Dave, slack: U4}\n"
    "channels:\n"
    "  ops: {type: slack, mode: http, bot_token: xoxb-1, signing_secret: s}\n"
    "routes:\n"
    "  - {from: ops, when: mention, agent: bot}\n"
    "agents:\n"
    "  bot: {prompt: p.md, tools: [deploy, clean], playbook: bot.playbook.yaml}\n"
    "tools:\n"
    "  deploy:\n"
    "    description: Deploys\n"
    "    args: {what: {type: string}}\n"
    "    run: {command: [./deploy.sh, \"{{what}}\"]}\n"
    "    target: {environment: production, component: backend}\n"
    "    needs: two\n"
    "  clean: {description: Cleans, args: {what: {type: string}}, run: {command: [./c.sh, "
    "\"--what={{what}}\"]}, needs: nobody}\n"
    "policies:\n"
    "  two:\n"
    "    approve: {role: deployer, count: 2}\n"
    "    reject: 1\n"
    "    not_requester: true\n"
    "    ask: [{channel: ops, to: C0}, {after: 10m, channel: ops, to: \"role:lead\"}]\n"
    "    expire: 1h\n"
    "    on_expire: refuse\n"
    "environments: {production: {repo: {path: .}}}\n";

static const char RULES[] =
    "find: {id: {commit_in: slack_message}}\n"
    "facts:\n"
    "  wanted: {last: {type: slack_message, says: deploy}}\n"
    "  dash: {last: {type: slack_message, says: clean}}\n"
    "  choose: {last: {type: slack_message, says: choose}}\n"
    "  tell: {last: {type: slack_message, says: tell}}\n"
    "rules:\n"
    "  - {if: [wanted], do: {intent: deploy, what: backend}}\n"
    "  - {if: [dash], do: {intent: clean, what: \"-rf\"}}\n"
    "  - {if: [choose], do: {intent: request_human_input, question: Which?, options: {format: "
    "multiple_choice, choices: [backend, frontend, both]}}}\n"
    "  - {if: [tell], do: {intent: request_human_input, question: What?}}\n"
    "  - do: {intent: nothing_to_do, reason: x}\n";

enum { MINUTE = 60000 };
static const int64_t BEGIN = 1700000000000;

struct world {
    char folder[32];
    struct arena keep; /* for the whole test */
    struct app app;
    struct http_job *calls[64]; /* what wanted to leave, in order */
    size_t n_calls, n_commands, n_kills;
    const char *argv[8];
};

static struct err trouble;
#define MUST(act)                             \
    do {                                      \
        trouble = (struct err)ERR_INIT;       \
        cr_assert((act), "%s", trouble.text); \
    } while (0)

static void put(struct world *w, const char *name, const char *text)
{
    FILE *file = fopen(arena_printf(&w->keep, "%s/%s", w->folder, name), "w");
    cr_assert_not_null(file);
    (void)fputs(text, file);
    (void)fclose(file);
}

static void begin(struct world *w)
{
    w->app.actions = NULL;
    w->app.actions_end = &w->app.actions;
    MUST(store_begin(&w->app.store, &trouble));
}

static void collect(struct world *w)
{
    for (struct action *act = w->app.actions; act != NULL; act = act->next) {
        if (act->kind == ACTION_CALL && w->n_calls < COUNT(w->calls))
            w->calls[w->n_calls++] = act->call;
        else if (act->kind == ACTION_ANSWER)
            letter_free(&act->answer->letter);
        else if (act->kind == ACTION_COMMAND) {
            w->n_commands++;
            for (size_t i = 0; i < COUNT(w->argv) - 1 && act->command.argv[i] != NULL; i++)
                w->argv[i] = act->command.argv[i];
        } else if (act->kind == ACTION_KILL)
            w->n_kills++;
    }
    w->app.actions = NULL;
    w->app.actions_end = &w->app.actions;
}

static void drop(struct world *w)
{
    for (struct action *act = w->app.actions; act != NULL; act = act->next)
        if (act->kind == ACTION_CALL)
            letter_free(&act->call->letter);
    store_rollback(&w->app.store);
}

static void commit(struct world *w)
{
    MUST(store_commit(&w->app.store, &trouble));
    collect(w);
}

static struct world *world_new(void)
{
    struct world *w = calloc(1, sizeof *w);
    struct config_options options = {.builtin_file = builtin_file,
                                     .channel_ops = channel_ops_by_type,
                                     .source_ops = channel_ops_by_type,
                                     .builtin_tool = builtin_tool};
    struct config_report report;
    cr_assert_not_null(w);
    (void)snprintf(w->folder, sizeof w->folder, "/tmp/signoff_core_XXXXXX");
    cr_assert_not_null(mkdtemp(w->folder));
    log_init(LEVEL_ERROR, LOG_LOGFMT, 2);
    put(w, "signoff.yaml", CONFIG);
    put(w, "bot.playbook.yaml", RULES);
    put(w, "p.md", "You are {{agent}}.");
    w->app.config = config_load(&w->keep, arena_printf(&w->keep, "%s/signoff.yaml", w->folder),
                                &options, &report);
    for (size_t i = 0; i < report.count; i++)
        cr_expect_neq(report.list[i].kind, PROBLEM_ERROR, "%s",
                      config_problem_line(&w->keep, &report.list[i]));
    cr_assert_not_null(w->app.config);
    w->app.metrics = metrics_new();
    w->app.mailbox = mailbox_new(16);
    w->app.a = &w->keep;
    w->app.now_ms = BEGIN;
    MUST(store_open(&w->app.store, arena_printf(&w->keep, "sqlite:%s/signoff.db", w->folder),
                    DB_WRITE, &trouble));
    return w;
}

/* What this test recorded is replayed twice, and comes out as it was both times. */
static void replay_twice(struct world *w)
{
    struct thread_filter any = {.limit = 200};
    struct thread_row *rows;
    size_t n;
    MUST(store_list_threads(&w->app.store, &w->keep, &any, &rows, &n, &trouble));
    for (size_t i = 0; i < n; i++) {
        CLEANUP(arena_done) struct arena one = ARENA_INIT;
        CLEANUP(arena_done) struct arena two = ARENA_INIT;
        struct replay first, second;
        MUST(replay_thread(&one, w->app.config, &w->app.store, rows[i].t.id, &first, &trouble));
        MUST(replay_thread(&two, w->app.config, &w->app.store, rows[i].t.id, &second, &trouble));
        cr_expect_str_eq(first.digest, second.digest);
        for (size_t k = 0; k < first.count; k++)
            cr_expect_eq(first.lines[k].verdict, REPLAY_SAME, "seq %lld %s: %s",
                         (long long)first.lines[k].seq, event_type_name(first.lines[k].type),
                         first.lines[k].sentence);
    }
}

static void world_free(struct world *w)
{
    replay_twice(w);
    static const char *const names[] = {"signoff.yaml", "bot.playbook.yaml", "p.md",
                                        "signoff.db",   "signoff.db-wal",    "signoff.db-shm"};
    for (size_t i = 0; i < w->n_calls; i++)
        if (w->calls[i] != NULL)
            letter_free(&w->calls[i]->letter);
    store_close(&w->app.store);
    mailbox_free(w->app.mailbox);
    metrics_free(w->app.metrics);
    config_free(w->app.config);
    for (size_t i = 0; i < COUNT(names); i++)
        (void)unlink(arena_printf(&w->keep, "%s/%s", w->folder, names[i]));
    (void)rmdir(w->folder);
    arena_done(&w->keep);
    free(w);
}

/* All that is due now, as rounds of the core would do it; false: the store failed. */
static bool work(struct world *w, struct err *err)
{
    struct app *app = &w->app;
    for (bool more = true; more;) {
        int64_t *arrivals;
        const char **threads;
        struct tool_run_row *runs;
        struct delivery_row *deliveries;
        struct timer_row *timers;
        size_t n;
        more = false;
        if (!store_new_arrivals(&app->store, app->a, 50, &arrivals, &n, err))
            return false;
        for (size_t i = 0; i < n; i++, more = true)
            if (!router_route(app, arrivals[i], err))
                return false;
        if (!store_due_timers(&app->store, app->a, app->now_ms, &timers, &n, err))
            return false;
        for (size_t i = 0; i < n; i++, more = true)
            if (!store_drop_timer(&app->store, timers[i].id, err) ||
                !request_timer(app, &timers[i], err))
                return false;
        if (!store_due_tool_runs(&app->store, app->a, app->now_ms, true, &runs, &n, err))
            return false;
        for (size_t i = 0; i < n; i++, more = true)
            if (!tool_due(app, &runs[i], err))
                return false;
        if (!store_dirty_threads(&app->store, app->a, 50, &threads, &n, err))
            return false;
        for (size_t i = 0; i < n; i++, more = true)
            if (!agent_advance(app, threads[i], err))
                return false;
        if (!store_due_deliveries(&app->store, app->a, app->now_ms, 50, &deliveries, &n, err))
            return false;
        for (size_t i = 0; i < n; i++, more = true)
            if (!outbox_due(app, &deliveries[i], err))
                return false;
    }
    return true;
}

static void settle_down(struct world *w)
{
    begin(w);
    MUST(work(w, &trouble));
    commit(w);
}

/* A mention: it starts a thread, or joins the one of its conversation. */
static void say(struct world *w, const char *user, const char *text, const char *in_thread)
{
    static int count;
    struct json *data = json_object(&w->keep);
    json_set_text(&w->keep, data, "text", text);
    struct arrival in = {.kind = ARRIVAL_MESSAGE,
                         .type = "slack_message",
                         .when = "mention",
                         .sender = arena_printf(&w->keep, "slack:%s", user),
                         .to = "C1",
                         .in_thread = in_thread,
                         .data = data};
    bool seen;
    in.keys[0] = arena_printf(&w->keep, "message:%d", ++count);
    begin(w);
    MUST(router_store(&w->app, "ops", &in, &seen, &trouble));
    cr_expect_not(seen);
    commit(w);
    settle_down(w);
}

static struct request_row the_request(struct world *w)
{
    struct request_row *list;
    struct request_filter any = {.limit = 10};
    size_t n;
    MUST(store_list_requests(&w->app.store, &w->keep, &any, &list, &n, &trouble));
    cr_assert_geq(n, 1u);
    return list[0];
}

static struct thread_row the_thread(struct world *w)
{
    struct thread_row *list, row;
    struct thread_filter any = {.limit = 10};
    size_t n;
    MUST(store_list_threads(&w->app.store, &w->keep, &any, &list, &n, &trouble));
    cr_assert_geq(n, 1u);
    MUST(app_load(&w->app, list[n - 1].t.id, &row, &trouble));
    return row;
}

static size_t events_of(struct world *w, enum event_type type)
{
    struct thread_row row = the_thread(w);
    size_t n = 0;
    for (size_t i = 0; i < row.t.n_events; i++)
        n += row.t.events[i].type == type;
    return n;
}

static struct vote_out vote(struct world *w, const char *who, const char *decision,
                            const char *words, const char *via)
{
    struct request_row r = the_request(w);
    bool answer = strcmp(decision, "answer") == 0;
    struct vote_in in = {.request = r.id,
                         .decision = decision,
                         .comment = answer ? NULL : words,
                         .answer = answer ? words : NULL,
                         .identity = who,
                         .via = via};
    struct vote_out out;
    begin(w);
    MUST(request_vote(&w->app, &in, &out, &trouble));
    commit(w);
    settle_down(w);
    return out;
}

/* Slack's answer to the newest call that is a delivery of this channel address. */
static void answer_call(struct world *w, size_t index, const char *body)
{
    struct http_job *job = w->calls[index];
    cr_assert_not_null(job);
    w->calls[index] = NULL;
    job->outcome = HTTP_ANSWERED;
    job->status = 200;
    job->answer = (struct span){arena_strdup(&job->arena, body), strlen(body)};
    begin(w);
    MUST(outbox_reply(&w->app, job, &trouble));
    commit(w);
    letter_free(&job->letter);
    settle_down(w);
}

static bool call_says(struct world *w, size_t index, const char *text)
{
    const struct http_job *job = w->calls[index];
    return job != NULL &&
           strstr(arena_strndup(&w->keep, job->body.at, job->body.len), text) != NULL;
}

/* ---- deciding ---------------------------------------------------------------------------- */

Test(decisions, need_different_people_whatever_ways_they_use)
{
    struct world *w = world_new();
    say(w, "U4", "deploy", "1.1");
    cr_expect_str_eq(the_request(w).status, "open");
    cr_expect_eq(vote(w, "slack:U1", "approve", NULL, "ops").result, VOTE_COUNTED);
    cr_expect_eq(vote(w, "person:alice", "approve", NULL, "web").result, VOTE_SAME);
    cr_expect_eq(vote(w, "person:alice", "approve", "now with words", "cli").result, VOTE_COUNTED,
                 "one person counts once");
    cr_expect_str_eq(the_request(w).status, "open");
    cr_expect_eq(w->n_commands, 0);
    cr_expect_eq(vote(w, "slack:U2", "approve", "go", "ops").result, VOTE_DECIDED);
    struct request_row r = the_request(w);
    cr_expect_str_eq(r.status, "approved");
    cr_expect_str_eq(r.decided_by, "person:bob");
    cr_expect_eq(events_of(w, EVENT_REQUEST_DECIDED), 1);
    cr_expect_eq(events_of(w, EVENT_VOTE), 3);
    cr_expect_eq(w->n_commands, 1, "what was approved runs");
    cr_expect_str_eq(w->argv[1], "backend");
    cr_expect_eq(events_of(w, EVENT_TOOL_STARTED), 1);
    world_free(w);
}

Test(decisions, of_those_who_may_not_are_recorded_and_answered)
{
    static const struct {
        const char *name, *who, *decision, *says;
        enum vote_result result;
        bool recorded;
    } cases[] = {
        {"an outsider", "slack:U9EVE", "approve", "I do not know you", VOTE_NOT_ALLOWED, true},
        {"a person without the role", "slack:U4", "approve", "", VOTE_NOT_ALLOWED, true},
        {"the requester", "slack:U1", "approve", "", VOTE_NOT_ALLOWED, true},
        {"nobody's name", "person:nobody", "approve", "I do not know you", VOTE_NOT_ALLOWED, true},
        {"an unknown decision", "slack:U2", "destroy", "A decision is", VOTE_INVALID, true},
        {"an answer to an approval", "slack:U2", "answer", "approve or reject", VOTE_INVALID, true},
        {"withdrawing what another asked for", "slack:U2", "withdraw", "Only who asked",
         VOTE_NOT_ALLOWED, true},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct world *w = world_new();
        say(w, "U1", "deploy", "1.1");
        struct vote_out out = vote(w, cases[i].who, cases[i].decision, "x", "ops");
        cr_expect_eq(out.result, cases[i].result, "%s", cases[i].name);
        cr_assert_not_null(out.sentence, "%s", cases[i].name);
        cr_expect_neq(strstr(out.sentence, cases[i].says), NULL, "%s: %s", cases[i].name,
                      out.sentence);
        cr_expect_eq(events_of(w, EVENT_VOTE_REFUSED), cases[i].recorded, "%s", cases[i].name);
        cr_expect_eq(events_of(w, EVENT_VOTE), 0);
        cr_expect_str_eq(the_request(w).status, "open");
        world_free(w);
    }
}

Test(decisions, about_nothing_are_answered)
{
    struct world *w = world_new();
    struct vote_in in = {
        .request = "4821", .decision = "approve", .identity = "slack:U1", .via = "sms"};
    struct vote_out out;
    begin(w);
    MUST(request_vote(&w->app, &in, &out, &trouble));
    commit(w);
    cr_expect_eq(out.result, VOTE_UNKNOWN);
    cr_expect_str_eq(out.sentence, "I know no open request 4821.");
    world_free(w);
}

Test(decisions, that_come_late_hear_who_was_first)
{
    struct world *w = world_new();
    say(w, "U4", "deploy", "1.1");
    (void)vote(w, "slack:U1", "reject", "not now", "ops");
    cr_expect_str_eq(the_request(w).status, "rejected");
    struct vote_out out = vote(w, "slack:U2", "approve", NULL, "web");
    cr_expect_eq(out.result, VOTE_TOO_LATE);
    cr_expect_neq(strstr(out.sentence, "rejected already: by Alice"), NULL, "%s", out.sentence);
    cr_expect_eq(events_of(w, EVENT_VOTE_REFUSED), 1);
    cr_expect_eq(events_of(w, EVENT_REQUEST_DECIDED), 1);
    cr_expect_eq(vote(w, "slack:U1", "reject", "not now", "ops").result, VOTE_SAME,
                 "the same again changes nothing");
    cr_expect_eq(w->n_commands, 0);
    world_free(w);
}

Test(decisions, replace_a_persons_earlier_vote)
{
    struct world *w = world_new();
    say(w, "U4", "deploy", "1.1");
    (void)vote(w, "slack:U1", "approve", NULL, "ops");
    cr_expect_eq(vote(w, "slack:U1", "reject", "on second thought", "ops").result, VOTE_DECIDED);
    cr_expect_str_eq(the_request(w).status, "rejected");
    world_free(w);
}

Test(decisions, of_the_requester_may_reject_and_withdraw)
{
    struct world *w = world_new();
    say(w, "U1", "deploy", "1.1");
    cr_expect_eq(vote(w, "slack:U1", "reject", "never mind", "ops").result, VOTE_DECIDED);
    world_free(w);
    w = world_new();
    say(w, "U1", "deploy", "1.1");
    cr_expect_eq(vote(w, "slack:U1", "withdraw", "never mind", "ops").result, VOTE_DECIDED);
    cr_expect_str_eq(the_request(w).status, "cancelled");
    world_free(w);
}

/* ---- what runs is what was approved ------------------------------------------------------- */

static void approve_by_two(struct world *w)
{
    (void)vote(w, "slack:U1", "approve", NULL, "ops");
    cr_expect_eq(vote(w, "slack:U2", "approve", NULL, "ops").result, VOTE_DECIDED);
}

Test(approvals, hold_the_digest_of_the_call_that_is_shown_and_run)
{
    struct world *w = world_new();
    say(w, "U4", "deploy", "1.1");
    struct request_row r = the_request(w);
    const struct json *call = json_parse_own(&w->keep, r.canonical);
    cr_expect_str_eq(r.digest, sha256_hex(&w->keep, span_of(r.canonical)));
    cr_expect_str_eq(r.canonical, json_canonical(&w->keep, call));
    cr_expect_str_eq(json_text_at(call, "request"), r.id);
    cr_expect_str_eq(json_text_at(call, "thread"), r.thread);
    cr_expect_str_eq(json_text_at(call, "tool"), "deploy");
    cr_expect_str_eq(json_text_at(call, "arguments.what"), "backend");
    cr_expect_str_eq(json_text_at(call, "target.environment"), "production");
    cr_expect_eq(json_int_or(json_get(call, "expires_at_ms"), 0), BEGIN + 60 * MINUTE);
    world_free(w);
}

Test(approvals, of_a_call_that_was_changed_since_do_not_run)
{
    static const char *const changes[] = {
        "UPDATE requests SET canonical = REPLACE(canonical, 'backend', 'frontend')",
        "UPDATE requests SET canonical = REPLACE(canonical, 'production', 'staging')",
        "UPDATE requests SET digest = 'x' || SUBSTR(digest, 2)",
        "UPDATE requests SET expires_at_ms = 1",
        "UPDATE requests SET status = 'cancelled'",
    };
    for (size_t i = 0; i < COUNT(changes); i++) {
        struct world *w = world_new();
        say(w, "U4", "deploy", "1.1");
        (void)vote(w, "slack:U1", "approve", NULL, "ops");
        struct request_row r = the_request(w);
        struct vote_in in = {
            .request = r.id, .decision = "approve", .identity = "slack:U2", .via = "ops"};
        struct vote_out out;
        begin(w);
        MUST(request_vote(&w->app, &in, &out, &trouble));
        MUST(db_script(w->app.store.db, changes[i], &trouble));
        commit(w);
        settle_down(w);
        cr_expect_eq(w->n_commands, 0, "%s", changes[i]);
        cr_expect_eq(events_of(w, EVENT_TOOL_STARTED), 0);
        cr_expect_eq(events_of(w, EVENT_TOOL_FINISHED), 1, "it is refused: %s", changes[i]);
        world_free(w);
    }
}

Test(approvals, wait_for_a_lock_of_somebody_else)
{
    struct world *w = world_new();
    struct lock_row lock = {.environment = "production", .owner = "person:carol", .reason = "fire"};
    say(w, "U4", "deploy", "1.1");
    begin(w);
    MUST(store_put_lock(&w->app.store, &lock, &trouble));
    commit(w);
    approve_by_two(w);
    cr_expect_eq(w->n_commands, 0);
    struct thread_row row = the_thread(w);
    bool told = false;
    for (size_t i = 0; i < row.t.n_events; i++)
        told =
            told || (row.t.events[i].type == EVENT_TOOL_FINISHED &&
                     strstr(json_write(&w->keep, row.t.events[i].data), "locked by Carol: fire"));
    cr_expect(told, "the thread says why");
    world_free(w);
}

Test(arguments, that_begin_with_a_dash_reach_no_command)
{
    struct world *w = world_new();
    say(w, "U1", "clean", "1.1");
    cr_expect_eq(w->n_commands, 0);
    cr_expect_eq(events_of(w, EVENT_TOOL_STARTED), 0);
    cr_expect_eq(events_of(w, EVENT_TOOL_FINISHED), 1);
    world_free(w);
}

/* ---- asking and expiring ------------------------------------------------------------------ */

#define SENT(ts) "{\"ok\":true,\"channel\":\"C0\",\"ts\":\"" ts "\"}"

Test(asking, goes_on_to_the_next_step_when_its_time_comes)
{
    struct world *w = world_new();
    say(w, "U4", "deploy", "1.1");
    cr_assert_eq(w->n_calls, 1);
    cr_expect(call_says(w, 0, "\"channel\":\"C0\""));
    w->app.now_ms = BEGIN + 10 * MINUTE - 1;
    settle_down(w);
    cr_expect_eq(w->n_calls, 1);
    w->app.now_ms = BEGIN + 10 * MINUTE;
    settle_down(w);
    cr_assert_eq(w->n_calls, 2, "each lead is asked");
    cr_expect(call_says(w, 1, "\"channel\":\"U3\""));
    world_free(w);
}

Test(asking, goes_on_at_once_when_a_step_cannot_be_delivered)
{
    struct world *w = world_new();
    say(w, "U4", "deploy", "1.1");
    answer_call(w, 0, "{\"ok\":false,\"error\":\"not_in_channel\"}");
    cr_assert_eq(w->n_calls, 2);
    cr_expect(call_says(w, 1, "\"channel\":\"U3\""));
    cr_expect_eq(events_of(w, EVENT_DELIVERY_FAILED), 1, "the thread says why");
    w->app.now_ms = BEGIN + 10 * MINUTE;
    settle_down(w);
    cr_expect_eq(w->n_calls, 2, "a step is taken once");
    world_free(w);
}

Test(asking, edits_every_copy_when_it_is_decided)
{
    struct world *w = world_new();
    say(w, "U4", "deploy", "1.1");
    answer_call(w, 0, SENT("5.1"));
    w->app.now_ms = BEGIN + 10 * MINUTE;
    settle_down(w);
    answer_call(w, 1, "{\"ok\":true,\"channel\":\"D3\",\"ts\":\"5.2\"}");
    size_t before = w->n_calls;
    (void)vote(w, "slack:U1", "reject", "no", "ops");
    cr_assert_eq(w->n_calls, before + 2);
    cr_expect(call_says(w, before, "\"ts\":\"5.1\"") &&
              call_says(w, before, "*Rejected* by Alice"));
    cr_expect(call_says(w, before + 1, "\"channel\":\"D3\"") &&
              call_says(w, before + 1, "*Rejected* by Alice"));
    cr_expect_not(call_says(w, before, "signoff_approve"), "the buttons are gone");
    world_free(w);
}

Test(asking, edits_a_copy_that_was_under_way_when_it_was_decided)
{
    struct world *w = world_new();
    say(w, "U4", "deploy", "1.1");
    w->app.now_ms = BEGIN + 1000;
    (void)vote(w, "slack:U1", "reject", "no", "ops");
    size_t before = w->n_calls;
    answer_call(w, 0, SENT("5.1"));
    cr_assert_geq(w->n_calls, before + 1);
    cr_expect(call_says(w, before, "*Rejected* by Alice"));
    world_free(w);
}

Test(expiry, ends_a_request_at_its_last_moment)
{
    struct world *w = world_new();
    say(w, "U4", "deploy", "1.1");
    w->app.now_ms = BEGIN + 60 * MINUTE - 1;
    settle_down(w);
    cr_expect_str_eq(the_request(w).status, "open");
    w->app.now_ms = BEGIN + 60 * MINUTE;
    struct request_row r = the_request(w);
    struct vote_in in = {
        .request = r.id, .decision = "approve", .identity = "slack:U1", .via = "ops"};
    struct vote_out out;
    begin(w);
    MUST(request_vote(&w->app, &in, &out, &trouble));
    commit(w);
    cr_expect_eq(out.result, VOTE_TOO_LATE);
    cr_expect_neq(strstr(out.sentence, "has expired"), NULL, "%s", out.sentence);
    settle_down(w);
    cr_expect_str_eq(the_request(w).status, "expired");
    struct thread_row row = the_thread(w);
    bool told = false;
    for (size_t i = 0; i < row.t.n_events; i++)
        told = told || (row.t.events[i].type == EVENT_REQUEST_DECIDED &&
                        text_eq(json_text_at(row.t.events[i].data, "outcome"), "expired"));
    cr_expect(told, "an outcome of its own, never silently a no");
    world_free(w);
}

/* ---- questions ---------------------------------------------------------------------------- */

Test(questions, take_one_of_their_choices_by_number_or_words)
{
    static const struct {
        const char *answer;
        enum vote_result result;
        const char *kept;
    } cases[] = {
        {"frontend", VOTE_DECIDED, "frontend"}, {"choice:0", VOTE_DECIDED, "backend"},
        {"choice:2", VOTE_DECIDED, "both"},     {"choice:3", VOTE_INVALID, NULL},
        {"choice:-1", VOTE_INVALID, NULL},      {"choice:x", VOTE_INVALID, NULL},
        {"neither", VOTE_INVALID, NULL},        {"", VOTE_INVALID, NULL},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct world *w = world_new();
        say(w, "U4", "choose", "1.1");
        cr_expect_eq(vote(w, "slack:U4", "answer", cases[i].answer, "ops").result, cases[i].result,
                     "%s", cases[i].answer);
        cr_expect(text_eq(the_request(w).answer, cases[i].kept), "%s", cases[i].answer);
        if (cases[i].kept != NULL)
            cr_expect_eq(vote(w, "slack:U4", "answer", cases[i].answer, "ops").result, VOTE_SAME,
                         "clicked twice: %s", cases[i].answer);
        world_free(w);
    }
}

Test(questions, are_answered_by_a_plain_message_that_names_one_choice)
{
    static const struct {
        const char *ask, *text, *answer; /* NULL: it is for the agent */
    } cases[] = {
        {"choose", "Frontend.", "frontend"},
        {"choose", "b", "frontend"},
        {"choose", "maybe later", NULL},
        {"tell", "use v2, please", "use v2, please"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct world *w = world_new();
        say(w, "U4", cases[i].ask, "1.1");
        struct request_row asked = the_request(w), now;
        say(w, "U1", cases[i].text, "1.1");
        MUST(store_get_request(&w->app.store, &w->keep, asked.id, &now, &trouble));
        cr_expect(text_eq(now.answer, cases[i].answer), "%s: %s", cases[i].text, now.answer);
        cr_expect_eq(events_of(w, EVENT_SLACK_MESSAGE), cases[i].answer == NULL ? 2u : 1u);
        world_free(w);
    }
}

/* ---- routing ------------------------------------------------------------------------------ */

Test(routing, starts_one_thread_and_joins_it_afterwards)
{
    struct world *w = world_new();
    struct thread_row *list;
    struct thread_filter any = {.limit = 10};
    size_t n;
    say(w, "U4", "deploy", "1.1");
    struct thread_row row = the_thread(w);
    cr_expect_str_eq(row.t.agent, "bot");
    cr_expect_str_eq(row.t.requester, "person:dave");
    cr_expect_str_eq(row.t.in_thread, "1.1");
    say(w, "U2", "hello?", "1.1");
    MUST(store_list_threads(&w->app.store, &w->keep, &any, &list, &n, &trouble));
    cr_expect_eq(n, 1, "the same conversation");
    say(w, "U2", "deploy", "2.2");
    MUST(store_list_threads(&w->app.store, &w->keep, &any, &list, &n, &trouble));
    cr_expect_eq(n, 2, "another one");
    world_free(w);
}

Test(routing, stores_a_double_once)
{
    struct world *w = world_new();
    struct arrival in = {.kind = ARRIVAL_MESSAGE, .type = "slack_message", .sender = "slack:U1"};
    bool seen;
    int64_t *ids;
    size_t n;
    in.keys[0] = "event:Ev1";
    in.keys[1] = "message:C1:1.2";
    begin(w);
    MUST(router_store(&w->app, "ops", &in, &seen, &trouble));
    cr_expect_not(seen);
    in.keys[0] = "event:Ev2";
    MUST(router_store(&w->app, "ops", &in, &seen, &trouble));
    cr_expect(seen, "the same message under another event id");
    MUST(router_store(&w->app, "other", &in, &seen, &trouble));
    cr_expect_not(seen, "another channel's keys are its own");
    MUST(store_new_arrivals(&w->app.store, &w->keep, 10, &ids, &n, &trouble));
    cr_expect_eq(n, 2);
    commit(w);
    world_free(w);
}

/* ---- environments ------------------------------------------------------------------------- */

static void ended(struct world *w, const char *sha, const char *outcome, bool rollback)
{
    begin(w);
    w->app.now_ms += 1000;
    MUST(environment_ended(&w->app, "production", "backend", sha, "t_1", outcome, rollback, 1,
                           &trouble));
    commit(w);
}

static const char *previous(struct world *w)
{
    const struct json *value;
    MUST(environment_list_deployments(&w->app, json_object(&w->keep), &value, &trouble));
    return json_text_at(value, "previous.production.backend");
}

Test(environments, do_not_know_what_runs_after_a_failure)
{
    struct world *w = world_new();
    const struct json *place;
    ended(w, "sha-one", "ok", false);
    MUST(environment_place(&w->app, "deploy.place:production/backend/sha-two", &place, &trouble));
    cr_expect_str_eq(json_text_at(place, "current"), "sha-one");
    ended(w, "sha-two", "failed", false);
    MUST(environment_place(&w->app, "deploy.place:production/backend/sha-two", &place, &trouble));
    cr_expect_null(json_text_at(place, "current"), "%s", json_write(&w->keep, place));
    cr_expect_str_eq(json_text_at(place, "state"), "unknown");
    cr_expect_str_eq(json_text_at(place, "ran_before.outcome"), "failed");
    cr_expect_str_eq(previous(w), "sha-one", "where a roll-back goes");
    world_free(w);
}

Test(environments, roll_back_past_what_was_taken_back)
{
    struct world *w = world_new();
    ended(w, "one", "ok", false);
    cr_expect_null(previous(w));
    ended(w, "two", "ok", false);
    cr_expect_str_eq(previous(w), "one");
    ended(w, "three", "ok", false);
    ended(w, "two", "ok", true);
    cr_expect_str_eq(previous(w), "one", "three was taken back: it is no way forward");
    ended(w, "four", "ok", false);
    cr_expect_str_eq(previous(w), "two");
    world_free(w);
}

Test(environments, are_held_by_one_and_given_on_in_order)
{
    struct world *w = world_new();
    bool held;
    static const char *const roots[] = {"t_1", "t_2", "t_3"};
    begin(w);
    for (size_t i = 0; i < COUNT(roots); i++) {
        struct thread_row row = {
            .t = {.id = roots[i], .agent = "bot", .root = roots[i], .title = ""}};
        MUST(store_add_thread(&w->app.store, &w->keep, &row, &trouble));
        MUST(environment_take(&w->app, "production", roots[i], NULL, &held, &trouble));
        cr_expect_eq(held, i == 0, "%s", roots[i]);
    }
    MUST(environment_take(&w->app, "production", "t_1", NULL, &held, &trouble));
    cr_expect(held, "it has it already");
    MUST(environment_take(&w->app, "production", "t_3", NULL, &held, &trouble));
    cr_expect_not(held);
    MUST(environment_leave(&w->app, "production", "t_1", &trouble));
    MUST(environment_take(&w->app, "production", "t_3", NULL, &held, &trouble));
    cr_expect_not(held, "t_2 was before");
    MUST(environment_take(&w->app, "production", "t_2", NULL, &held, &trouble));
    cr_expect(held);
    commit(w);
    world_free(w);
}

/* ---- a store that fails -------------------------------------------------------------------- */

/* One try at a batch; false: it was rolled back and wants nothing. */
static bool try_batch(struct world *w, const struct vote_in *in, struct vote_out *out,
                      struct err *err)
{
    w->app.actions = NULL;
    w->app.actions_end = &w->app.actions;
    bool ok = store_begin(&w->app.store, err) && request_vote(&w->app, in, out, err) &&
              work(w, err) && store_commit(&w->app.store, err);
    if (ok)
        collect(w);
    else
        drop(w);
    return ok;
}

Test(failing_store, leaves_a_decision_undone_or_done_and_never_between)
{
    struct world *w = world_new();
    say(w, "U4", "deploy", "1.1");
    (void)vote(w, "slack:U1", "approve", NULL, "ops");
    struct request_row r = the_request(w);
    struct vote_in in = {
        .request = r.id, .decision = "approve", .identity = "slack:U2", .via = "ops"};
    struct vote_out out;
    int64_t n = 0, tries = 0;
    for (;;) {
        struct err err = ERR_INIT;
        n = 1 + tries / 2; /* each call fails in both ways */
        db_fail_at(w->app.store.db, n, tries++ % 2 == 0 ? DB_FAIL_BUSY : DB_FAIL_BROKEN);
        bool ok = try_batch(w, &in, &out, &err);
        db_fail_at(w->app.store.db, 0, DB_FAIL_BUSY);
        if (ok)
            break;
        cr_assert_eq(err.kind, ERR_TRANSIENT, "call %lld: %s", (long long)n, err.text);
        cr_expect_str_eq(the_request(w).status, "open", "after call %lld", (long long)n);
        cr_expect_eq(events_of(w, EVENT_VOTE), 1);
        cr_expect_eq(w->n_commands, 0);
        cr_assert_lt(n, 500);
    }
    cr_expect_gt(n, 20);
    cr_expect_eq(out.result, VOTE_DECIDED);
    cr_expect_eq(events_of(w, EVENT_VOTE), 2);
    cr_expect_eq(events_of(w, EVENT_REQUEST_DECIDED), 1);
    cr_expect_eq(events_of(w, EVENT_TOOL_STARTED), 1);
    cr_expect_eq(w->n_commands, 1);
    world_free(w);
}

static bool note_and_fail(struct app *app, void *what, struct err *err)
{
    struct json *data = json_object(app->a);
    json_set_text(app->a, data, "text", what);
    app_forget_command(app, "x_1");
    return app_append(app, app->config_path, EVENT_NOTE, "system", data, NULL, err) &&
           (strcmp(what, "good") == 0 || fail(err, ERR_INVALID, "it cannot be"));
}

Test(failing_letter, leaves_nothing_of_itself_and_all_of_the_others)
{
    struct world *w = world_new();
    struct err err = ERR_INIT;
    say(w, "U4", "deploy", "1.1");
    w->app.config_path = the_thread(w).t.id; /* where to write the notes */
    char good[] = "good", bad[] = "bad";
    size_t before = events_of(w, EVENT_NOTE);
    begin(w);
    MUST(core_in_savepoint(&w->app, "first", note_and_fail, good, &trouble));
    struct action **end = w->app.actions_end;
    cr_expect_not(core_in_savepoint(&w->app, "second", note_and_fail, bad, &err));
    cr_expect_str_eq(err.text, "it cannot be");
    cr_expect_eq(w->app.actions_end, end, "what it wanted to send is dropped");
    MUST(core_in_savepoint(&w->app, "third", note_and_fail, good, &trouble));
    commit(w);
    cr_expect_eq(events_of(w, EVENT_NOTE) - before, 2);
    world_free(w);
}

Test(failing_store, does_all_of_a_message_once)
{
    struct world *w = world_new();
    struct json *data = json_object(&w->keep);
    struct arrival in = {.kind = ARRIVAL_MESSAGE,
                         .type = "slack_message",
                         .when = "mention",
                         .sender = "slack:U4",
                         .to = "C1",
                         .in_thread = "1.1",
                         .data = data};
    bool seen;
    int64_t n = 0, tries = 0;
    json_set_text(&w->keep, data, "text", "deploy");
    in.keys[0] = "event:Ev1";
    begin(w);
    MUST(router_store(&w->app, "ops", &in, &seen, &trouble));
    commit(w);
    for (;;) {
        struct err err = ERR_INIT;
        struct thread_row *threads;
        struct thread_filter any = {.limit = 10};
        size_t count;
        w->app.actions = NULL;
        w->app.actions_end = &w->app.actions;
        n = 1 + tries / 2; /* each call fails in both ways */
        db_fail_at(w->app.store.db, n, tries++ % 2 == 0 ? DB_FAIL_BUSY : DB_FAIL_BROKEN);
        bool ok =
            store_begin(&w->app.store, &err) && work(w, &err) && store_commit(&w->app.store, &err);
        db_fail_at(w->app.store.db, 0, DB_FAIL_BUSY);
        if (ok)
            break;
        drop(w);
        MUST(store_list_threads(&w->app.store, &w->keep, &any, &threads, &count, &trouble));
        cr_expect_eq(count, 0, "after call %lld", (long long)n);
        cr_assert_lt(n, 500);
    }
    collect(w);
    cr_expect_gt(n, 30);
    cr_expect_eq(w->n_calls, 1, "one card");
    cr_expect_eq(events_of(w, EVENT_REQUEST_RAISED), 1);
    cr_expect_str_eq(the_request(w).status, "open");
    world_free(w);
}

/* ---- cancelling ---------------------------------------------------------------------------- */

Test(cancelling, cancels_what_is_open_and_kills_what_runs)
{
    struct world *w = world_new();
    say(w, "U4", "deploy", "1.1");
    approve_by_two(w);
    cr_assert_eq(w->n_commands, 1);
    struct thread_row row = the_thread(w);
    begin(w);
    MUST(thread_cancel(&w->app, row.t.id, "person:alice", "wrong one", &trouble));
    commit(w);
    settle_down(w);
    cr_expect_eq(w->n_kills, 1);
    cr_expect_eq(the_thread(w).t.status, THREAD_CANCELLED);
    world_free(w);
    w = world_new();
    say(w, "U4", "deploy", "1.1");
    row = the_thread(w);
    begin(w);
    MUST(thread_cancel(&w->app, row.t.id, "person:alice", "wrong one", &trouble));
    commit(w);
    cr_expect_str_eq(the_request(w).status, "cancelled");
    cr_expect_eq(vote(w, "slack:U1", "approve", NULL, "ops").result, VOTE_TOO_LATE);
    world_free(w);
}

Test(pausing, lets_votes_in_and_nothing_out)
{
    struct world *w = world_new();
    say(w, "U4", "deploy", "1.1");
    struct thread_row row = the_thread(w);
    begin(w);
    MUST(thread_pause(&w->app, row.t.id, "person:alice", true, &trouble));
    commit(w);
    approve_by_two(w);
    cr_expect_str_eq(the_request(w).status, "approved");
    cr_expect_eq(w->n_commands, 0);
    cr_expect_eq(the_thread(w).t.status, THREAD_PAUSED);
    begin(w);
    MUST(thread_pause(&w->app, row.t.id, "person:alice", false, &trouble));
    commit(w);
    settle_down(w);
    cr_expect_eq(w->n_commands, 1);
    world_free(w);
}

/* ---- commands ------------------------------------------------------------------------------- */

/* The one command that is under way, ended so; `times` over. */
static void end_command(struct world *w, enum command_outcome outcome, int exit_code, int times)
{
    struct tool_run_row *runs;
    size_t n;
    MUST(store_open_tool_runs(&w->app.store, &w->keep, NULL, &runs, &n, &trouble));
    cr_assert_eq(n, 1);
    w->app.now_ms += 1000;
    struct command_result r = {
        .id = arena_printf(&w->keep, "%s.%lld", runs[0].id, (long long)runs[0].attempt),
        .outcome = outcome,
        .exit_code = exit_code,
        .output = span_of("some output"),
        .error = "the machine was gone"};
    for (int i = 0; i < times; i++) {
        begin(w);
        MUST(tool_command_ended(&w->app, &r, &trouble));
        commit(w);
        settle_down(w);
    }
}

static const char *outcome_of_tool(struct world *w)
{
    struct thread_row row = the_thread(w);
    for (size_t i = 0; i < row.t.n_events; i++)
        if (row.t.events[i].type == EVENT_TOOL_FINISHED)
            return json_text_at(row.t.events[i].data, "outcome");
    return "none";
}

static const char *state_of_backend(struct world *w)
{
    struct component_row *rows;
    size_t n;
    MUST(store_components(&w->app.store, &w->keep, "production", &rows, &n, &trouble));
    return n == 0 ? "none" : rows[0].state;
}

Test(commands, end_once_however_often_it_is_told)
{
    static const struct {
        enum command_outcome outcome;
        int exit_code;
        const char *word, *state;
    } cases[] = {
        {COMMAND_EXITED, 0, "ok", "ok"},
        {COMMAND_EXITED, 3, "failed", "unknown"},
        {COMMAND_SIGNALED, 0, "failed", "unknown"},
        {COMMAND_TIMED_OUT, 0, "failed", "unknown"},
        {COMMAND_KILLED, 0, "killed", "unknown"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct world *w = world_new();
        say(w, "U4", "deploy", "1.1");
        approve_by_two(w);
        end_command(w, cases[i].outcome, cases[i].exit_code, 2);
        cr_expect_eq(events_of(w, EVENT_TOOL_FINISHED), 1, "%zu", i);
        cr_expect_str_eq(outcome_of_tool(w), cases[i].word);
        cr_expect_str_eq(state_of_backend(w), cases[i].state);
        cr_expect_eq(w->n_commands, 1);
        world_free(w);
    }
}

Test(commands, whose_end_nobody_knows_are_put_to_a_person_and_not_repeated)
{
    struct world *w = world_new();
    say(w, "U4", "deploy", "1.1");
    approve_by_two(w);
    end_command(w, COMMAND_UNKNOWN, 0, 1);
    cr_expect_str_eq(outcome_of_tool(w), "unknown");
    struct request_row r = the_request(w);
    cr_expect_str_eq(r.kind, "question");
    cr_expect_neq(strstr(r.view, "I do not know whether deploy ran"), NULL, "%s", r.view);
    cr_expect_eq(w->n_commands, 1);
    world_free(w);
}

Test(commands, that_the_last_process_committed_but_never_started_start_now)
{
    struct world *w = world_new();
    say(w, "U4", "deploy", "1.1");
    approve_by_two(w);
    begin(w);
    MUST(tool_recover(&w->app, &trouble));
    commit(w);
    end_command(w, COMMAND_HELD_UP, 0, 1);
    cr_expect_eq(w->n_commands, 2, "the first was lost with the process");
    cr_expect_eq(events_of(w, EVENT_TOOL_STARTED), 1);
    cr_expect_eq(events_of(w, EVENT_TOOL_FINISHED), 0);
    end_command(w, COMMAND_EXITED, 0, 1);
    cr_expect_str_eq(outcome_of_tool(w), "ok");
    world_free(w);
}

Test(commands, whose_start_is_held_up_start_later_and_once)
{
    struct world *w = world_new();
    say(w, "U4", "deploy", "1.1");
    approve_by_two(w);
    for (size_t i = 0; i < 5; i++) {
        end_command(w, COMMAND_HELD_UP, 0, 2); /* the second letter is of an attempt that is over */
        cr_expect_eq(w->n_commands, i + 1, "it waits");
        w->app.now_ms += 10000;
        settle_down(w);
        cr_expect_eq(w->n_commands, i + 2);
    }
    cr_expect_eq(events_of(w, EVENT_TOOL_STARTED), 1);
    cr_expect_eq(events_of(w, EVENT_TOOL_FINISHED), 0);
    end_command(w, COMMAND_EXITED, 0, 1);
    cr_expect_str_eq(outcome_of_tool(w), "ok");
    world_free(w);
}

Test(commands, whose_start_is_held_up_for_long_failed)
{
    struct world *w = world_new();
    say(w, "U4", "deploy", "1.1");
    approve_by_two(w);
    w->app.now_ms += 11 * 60 * 1000;
    end_command(w, COMMAND_HELD_UP, 0, 1);
    cr_expect_str_eq(outcome_of_tool(w), "failed");
    cr_expect_eq(w->n_commands, 1);
    world_free(w);
}

Test(commands, whose_start_is_held_up_do_not_start_once_they_are_cancelled)
{
    struct world *w = world_new();
    say(w, "U4", "deploy", "1.1");
    approve_by_two(w);
    end_command(w, COMMAND_HELD_UP, 0, 1);
    struct thread_row row = the_thread(w);
    begin(w);
    MUST(thread_cancel(&w->app, row.t.id, "person:alice", "wrong one", &trouble));
    commit(w);
    w->app.now_ms += 10000;
    settle_down(w);
    cr_expect_eq(w->n_commands, 1);
    cr_expect_str_eq(outcome_of_tool(w), "killed");
    world_free(w);
}

Test(commands, that_were_to_be_killed_when_the_process_ended_are_killed_by_the_next)
{
    struct world *w = world_new();
    say(w, "U4", "deploy", "1.1");
    approve_by_two(w);
    struct thread_row row = the_thread(w);
    begin(w);
    MUST(thread_cancel(&w->app, row.t.id, "person:alice", "wrong one", &trouble));
    MUST(store_commit(&w->app.store, &trouble)); /* and nothing of it was performed */
    cr_expect_eq(w->n_kills, 0);
    begin(w);
    MUST(tool_recover(&w->app, &trouble));
    commit(w);
    cr_expect_eq(w->n_kills, 1);
    end_command(w, COMMAND_HELD_UP, 0, 1);
    cr_expect_eq(w->n_commands, 1, "what is cancelled does not start");
    cr_expect_str_eq(outcome_of_tool(w), "killed");
    world_free(w);
}

Test(decisions, that_were_made_cannot_be_cancelled)
{
    struct world *w = world_new();
    say(w, "U4", "deploy", "1.1");
    (void)vote(w, "slack:U1", "reject", "no", "ops");
    struct request_row r = the_request(w);
    begin(w);
    MUST(request_cancel(&w->app, r.id, "person:bob", "too late", &trouble));
    commit(w);
    cr_expect_str_eq(the_request(w).status, "rejected");
    cr_expect_eq(events_of(w, EVENT_REQUEST_DECIDED), 1);
    world_free(w);
}

/* ---- what it costs ----------------------------------------------------------------------- */

/* Stands before libc's for SQLite too: how often the disk is waited for. */
static int64_t n_syncs;

int fdatasync(int fd)
{
    n_syncs++;
    return (int)syscall(SYS_fdatasync, fd);
}

int fsync(int fd)
{
    n_syncs++;
    return (int)syscall(SYS_fsync, fd);
}

/* A request as Slack signs it, with the secret of CONFIG. */
static struct http_request signed_request(struct world *w, const char *path, const char *type,
                                          const char *body)
{
    static struct http_header headers[3];
    char *at = arena_printf(&w->keep, "%lld", (long long)(w->app.now_ms / 1000));
    char *signature =
        arena_printf(&w->keep, "v0=%s",
                     hmac_sha256_hex(&w->keep, (struct span){"s", 1},
                                     span_of(arena_printf(&w->keep, "v0:%s:%s", at, body))));
    headers[0] = (struct http_header){"content-type", type};
    headers[1] = (struct http_header){"x-slack-request-timestamp", at};
    headers[2] = (struct http_header){"x-slack-signature", signature};
    return (struct http_request){.conn = 1,
                                 .method = "POST",
                                 .target = path,
                                 .path = path,
                                 .query = "",
                                 .headers = headers,
                                 .n_headers = 3,
                                 .body = span_of(body),
                                 .peer = "192.0.2.7",
                                 .received_at_ms = w->app.now_ms};
}

/* One letter, without the batch's own begin, number and commit; then the batch is committed, which
 * waits for the disk once. */
static int64_t cost_of(struct world *w,
                       bool (*handle)(struct app *, const struct http_request *, struct err *),
                       const struct http_request *request)
{
    int64_t syncs = n_syncs;
    begin(w);
    int64_t before = db_counts(w->app.store.db).statements;
    MUST(db_savepoint(w->app.store.db, &trouble));
    MUST(handle(&w->app, request, &trouble));
    MUST(db_release(w->app.store.db, &trouble));
    int64_t statements = db_counts(w->app.store.db).statements - before;
    commit(w);
    cr_expect_eq(n_syncs - syncs, 1, "%lld", (long long)(n_syncs - syncs));
    return statements;
}

/* The newest arrival finds its thread or request. */
static bool route_one(struct app *app, const struct http_request *request, struct err *err)
{
    int64_t *arrivals;
    size_t n;
    (void)request;
    return store_new_arrivals(&app->store, app->a, 1, &arrivals, &n, err) && n == 1 &&
           router_route(app, arrivals[0], err);
}

/* The thread that waits takes its steps, and its messages leave. */
static bool step_one(struct app *app, const struct http_request *request, struct err *err)
{
    const char **threads;
    struct delivery_row *deliveries;
    size_t n;
    (void)request;
    return store_dirty_threads(&app->store, app->a, 1, &threads, &n, err) && n == 1 &&
           agent_advance(app, threads[0], err) &&
           store_due_deliveries(&app->store, app->a, app->now_ms, 1, &deliveries, &n, err) &&
           (n == 0 || outbox_due(app, &deliveries[0], err));
}

Test(cost, of_a_webhook_a_click_and_a_step_is_few_statements_and_one_wait_for_the_disk)
{
    struct world *w = world_new();
    char *mention = arena_printf(
        &w->keep,
        "{\"type\":\"event_callback\",\"team_id\":\"T1\",\"event_id\":\"Ev1\",\"event_time\":%lld,"
        "\"event\":{\"type\":\"app_mention\",\"user\":\"U4\",\"text\":\"<@UBOT> deploy\","
        "\"ts\":\"1700000000.000100\",\"channel\":\"C1\"}}",
        (long long)(w->app.now_ms / 1000));
    struct http_request event = signed_request(w, "/slack/events", "application/json", mention);
    int64_t webhook = cost_of(w, ingress_handle, &event);
    cr_expect_leq(webhook, 6, "%lld", (long long)webhook);
    int64_t routing = cost_of(w, route_one, NULL);
    cr_expect_leq(routing, 10, "%lld", (long long)routing);
    /* The model is asked and answers, its call needs a sign-off, the card leaves. */
    int64_t step = cost_of(w, step_one, NULL);
    cr_expect_leq(step, 48, "%lld", (long long)step);

    char *payload = arena_printf(
        &w->keep,
        "{\"type\":\"block_actions\",\"trigger_id\":\"1.2.3\",\"user\":{\"id\":\"U1\"},"
        "\"channel\":{\"id\":\"C0\"},\"message\":{\"ts\":\"1.1\"},"
        "\"actions\":[{\"action_id\":\"signoff_approve\",\"value\":\"%s\",\"action_ts\":\"1.2\"}]}",
        the_request(w).id);
    struct http_request interaction =
        signed_request(w, "/slack/interactions", "application/x-www-form-urlencoded",
                       arena_printf(&w->keep, "payload=%s", url_encode(&w->keep, payload)));
    int64_t click = cost_of(w, ingress_handle, &interaction);
    cr_expect_leq(click, 6, "%lld", (long long)click);
    cr_expect_eq(events_of(w, EVENT_VOTE), 0);
    /* One of the two votes that it needs: the vote, its event, the edits of its cards. */
    int64_t vote = cost_of(w, route_one, NULL);
    cr_expect_leq(vote, 15, "%lld", (long long)vote);
    cr_expect_eq(events_of(w, EVENT_VOTE), 1);
    world_free(w);
}

/* Both come before the first is routed. */
Test(routing, keeps_a_reply_to_what_is_stored_and_not_routed_yet)
{
    static const char *const events[] = {
        "\"type\":\"app_mention\",\"user\":\"U4\",\"text\":\"<@UBOT> choose\",\"ts\":\"1.1\"",
        "\"type\":\"message\",\"user\":\"U4\",\"text\":\"the backend\",\"ts\":\"1.2\","
        "\"thread_ts\":\"1.1\",\"channel_type\":\"channel\"",
        "\"type\":\"message\",\"user\":\"U4\",\"text\":\"no concern of ours\",\"ts\":\"1.3\","
        "\"thread_ts\":\"1.0\",\"channel_type\":\"channel\"",
    };
    struct world *w = world_new();
    for (size_t i = 0; i < COUNT(events); i++) {
        char *body =
            arena_printf(&w->keep,
                         "{\"type\":\"event_callback\",\"team_id\":\"T1\",\"event_id\":"
                         "\"Ev%zu\",\"event_time\":%lld,\"event\":{%s,\"channel\":\"C1\"}}",
                         i, (long long)(w->app.now_ms / 1000), events[i]);
        struct http_request request = signed_request(w, "/slack/events", "application/json", body);
        begin(w);
        MUST(ingress_handle(&w->app, &request, &trouble));
        commit(w);
    }
    settle_down(w);
    cr_expect_eq(events_of(w, EVENT_SLACK_MESSAGE), 2);
    struct thread_row *list;
    struct thread_filter any = {.limit = 10};
    size_t n;
    MUST(store_list_threads(&w->app.store, &w->keep, &any, &list, &n, &trouble));
    cr_expect_eq(n, 1);
    world_free(w);
}
