#include "gateway/base/hash.h"
#include "gateway/base/text.h"
#include "gateway/schema.h"
#include "gateway/store.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[] = "/tmp/signoff_store_XXXXXX";
static char path[64], url[80];

static void make_folder(void)
{
    cr_assert_not_null(mkdtemp(folder));
    (void)snprintf(path, sizeof path, "%s/store.db", folder);
    (void)snprintf(url, sizeof url, "sqlite:%s", path);
}

static void drop_folder(void)
{
    static const char *const names[] = {"store.db", "store.db-wal", "store.db-shm", "copy.db"};
    char name[96];
    for (size_t i = 0; i < COUNT(names); i++) {
        (void)snprintf(name, sizeof name, "%s/%s", folder, names[i]);
        (void)unlink(name);
    }
    (void)rmdir(folder);
}

TestSuite(store, .init = make_folder, .fini = drop_folder);

static struct err trouble; /* of what must not fail */
#define MUST(act)                             \
    do {                                      \
        trouble = (struct err)ERR_INIT;       \
        cr_assert((act), "%s", trouble.text); \
    } while (0)

static struct store opened(void)
{
    struct store s = {0};
    MUST(store_open(&s, url, DB_WRITE, &trouble));
    return s;
}

static int64_t count_of(struct store *s, const char *sql)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    struct db_rows rows;
    MUST(db_query(s->db, &a, sql, DB_NO_ARGS, &rows, &trouble));
    return db_cell_int(&rows, 0, 0);
}

static void add_thread(struct store *s, struct arena *a, const char *id, const char *agent,
                       int64_t at_ms)
{
    struct thread_row row = {.t = {.id = id,
                                   .agent = agent,
                                   .pipeline = agent == NULL ? "shop" : NULL,
                                   .root = id,
                                   .status = THREAD_RUNNING,
                                   .title = "a title",
                                   .created_at_ms = at_ms}};
    MUST(store_add_thread(s, a, &row, &trouble));
}

static void append(struct store *s, struct arena *a, const char *thread, enum event_type type,
                   const char *data, int64_t now_ms)
{
    MUST(store_append(s, a, thread, type, "person:alice", json_parse_own(a, data), now_ms, NULL,
                      &trouble));
}

static char *long_text(struct arena *a, size_t n, char c)
{
    char *text = arena_alloc(a, n + 1);
    memset(text, c, n);
    return text;
}

/* ---- opening ----------------------------------------------------------------------------- */

Test(store, is_made_for_its_owner_alone_and_opened_again)
{
    struct store s = opened();
    struct stat st;
    cr_assert_eq(stat(path, &st), 0);
    cr_expect_eq(st.st_mode & 077, 0u, "%o", st.st_mode);
    MUST(store_begin(&s, &trouble));
    MUST(store_meta_set(&s, "k", "v", &trouble));
    MUST(store_commit(&s, &trouble));
    store_close(&s);
    s = opened();
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    const char *value;
    MUST(store_meta_get(&s, &a, "k", &value, &trouble));
    cr_expect_str_eq(value, "v");
    MUST(store_meta_get(&s, &a, "none", &value, &trouble));
    cr_expect_null(value);
    store_close(&s);
}

Test(store, of_a_newer_program_is_refused_with_a_sentence)
{
    struct store s = opened();
    struct err err = ERR_INIT;
    MUST(db_run(s.db, "UPDATE meta SET value = '99' WHERE key = 'schema'", DB_NO_ARGS, &trouble));
    store_close(&s);
    static const enum db_mode modes[] = {DB_WRITE, DB_READ_ONLY};
    for (size_t i = 0; i < COUNT(modes); i++) {
        cr_expect_not(store_open(&s, url, modes[i], &err));
        cr_expect_neq(strstr(err.text, "schema 99"), NULL, "%s", err.text);
        cr_expect_neq(strstr(err.text, "knows up to 2: run the newer program"), NULL, "%s",
                      err.text);
    }
    s.db = db_open(url, DB_WRITE, &err);
    MUST(db_run(s.db, "UPDATE meta SET value = 'x' WHERE key = 'schema'", DB_NO_ARGS, &trouble));
    store_close(&s);
    cr_expect_not(store_open(&s, url, DB_WRITE, &err));
    cr_expect_neq(strstr(err.text, "is this a Signoff store?"), NULL, "%s", err.text);
}

static const char FIRST[] =
    "CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL);"
    "INSERT INTO meta (key, value) VALUES ('schema', '1'), ('batch', '0');"
    "CREATE TABLE words (id {id}, word TEXT NOT NULL); INSERT INTO words (word) VALUES ('a'), "
    "('b');";
static const char SECOND[] = "ALTER TABLE words ADD COLUMN n {int64} NOT NULL DEFAULT 7;"
                             "CREATE INDEX words_n ON words (n);";
static const char HALF[] = "ALTER TABLE words ADD COLUMN n {int64} NOT NULL DEFAULT 7;"
                           "INSERT INTO nowhere (x) VALUES (1);";
static const char THIRD[] = "INSERT INTO words (word, n) VALUES ('c', 8);";

static int64_t schema_of(struct store *s)
{
    return count_of(s, "SELECT CAST(value AS INTEGER) FROM meta WHERE key = 'schema'");
}

Test(store, migrates_wholly_or_not_at_all_and_once)
{
    static const char *const bad[] = {FIRST, HALF}, *const good[] = {FIRST, SECOND, THIRD};
    struct store s = {.db = db_open(url, DB_WRITE, &trouble)}, other = {0};
    struct err err = ERR_INIT;
    cr_assert_not_null(s.db, "%s", trouble.text);
    MUST(store_migrate(&s, good, 1, &trouble));
    cr_expect_eq(schema_of(&s), 1);
    /* The second fails half-way: nothing of it is there. */
    cr_expect_not(store_migrate(&s, bad, 2, &err));
    cr_expect_neq(strstr(err.text, "migration to schema 2, of which nothing is kept"), NULL, "%s",
                  err.text);
    cr_expect_eq(schema_of(&s), 1);
    cr_expect_eq(count_of(&s, "SELECT COUNT(*) FROM pragma_table_info('words')"), 2);
    cr_expect_eq(count_of(&s, "SELECT COUNT(*) FROM words"), 2);
    /* So does one whose disk fails, wherever that is. */
    for (int64_t nth = 1; nth < 100; nth++) {
        db_fail_at(s.db, nth, DB_FAIL_BUSY);
        bool done = store_migrate(&s, good, 3, &err);
        db_fail_at(s.db, 0, DB_FAIL_BUSY);
        if (done) {
            cr_expect_gt(nth, 5);
            break;
        }
        cr_assert_eq(schema_of(&s), 1, "call %lld", (long long)nth);
        cr_assert_eq(count_of(&s, "SELECT COUNT(*) FROM words"), 2);
    }
    cr_expect_eq(schema_of(&s), 3);
    /* Again is harmless, also from another process. */
    other.db = db_open(url, DB_WRITE, &trouble);
    MUST(store_migrate(&other, good, 3, &trouble));
    MUST(store_migrate(&s, good, 3, &trouble));
    cr_expect_eq(count_of(&s, "SELECT COUNT(*) FROM words"), 3);
    cr_expect_eq(count_of(&s, "SELECT COUNT(*) FROM words WHERE n = 7"), 2);
    /* And a program that knows less keeps its hands off. */
    cr_expect_not(store_migrate(&s, good, 2, &err));
    cr_expect_eq(err.kind, ERR_INVALID);
    cr_expect_neq(strstr(err.text, "it has schema 3 and this program knows up to 2"), NULL, "%s",
                  err.text);
    store_close(&other);
    store_close(&s);
}

Test(store, of_an_older_program_is_only_read_once_it_was_brought_on)
{
    struct store s = opened(), reader = {0};
    struct err err = ERR_INIT;
    MUST(db_run(s.db, "UPDATE meta SET value = '1' WHERE key = 'schema'", DB_NO_ARGS, &trouble));
    cr_expect_not(store_open(&reader, url, DB_READ_ONLY, &err));
    cr_expect_eq(err.kind, ERR_MISSING);
    cr_expect_neq(strstr(err.text, "it has schema 1 and this program works with 2"), NULL, "%s",
                  err.text);
    store_close(&s);
}

Test(store, that_is_only_read_takes_no_write_and_is_not_made)
{
    struct store reader = {0};
    struct err err = ERR_INIT;
    cr_expect_not(store_open(&reader, url, DB_READ_ONLY, &err));
    cr_expect_eq(access(path, F_OK), -1, "looking makes no file");
    cr_expect_not(store_open(&reader, "postgres://x", DB_WRITE, &err));
    struct store s = opened();
    MUST(store_open(&reader, url, DB_READ_ONLY, &trouble));
    cr_expect_not(store_meta_set(&reader, "k", "v", &err));
    store_close(&reader);
    store_close(&s);
}

/* ---- acts -------------------------------------------------------------------------------- */

Test(store, remembers_every_key_once)
{
    struct store s = opened();
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    static const struct {
        const char *keys[4];
        bool seen;
    } cases[] = {
        {{"a", "b"}, false},      {{"a", "b"}, true},      {{"c", "b"}, true},
        {{"d"}, false},           {{"d"}, true},           {{"c"}, true},
        {{"e", "f", "g"}, false}, {{"x", "y", "g"}, true}, {{"a", "q", "r"}, true},
        {{NULL}, false},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        bool seen;
        MUST(store_remember(&s, cases[i].keys, 5, &seen, &trouble));
        cr_expect_eq(seen, cases[i].seen, "%zu", i);
    }
    bool known;
    MUST(store_is_known(&s, &a, "a", &known, &trouble));
    cr_expect(known);
    MUST(store_is_known(&s, &a, "z", &known, &trouble));
    cr_expect_not(known);
    MUST(store_is_known(&s, &a, "z", &known, &trouble));
    cr_expect_not(known, "looking remembers nothing");
    store_close(&s);
}

Test(store, hands_out_arrivals_by_rank_and_age_until_they_are_routed)
{
    struct store s = opened();
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    int64_t *ids;
    size_t n;
    MUST(store_add_arrival(&s, "ops", "{\"n\":1}", 1, 10, &trouble));
    MUST(store_add_arrival(&s, "ops", "{\"n\":2}", 1, 11, &trouble));
    MUST(store_add_arrival(&s, "ops", "{\"n\":3}", 0, 12, &trouble));
    MUST(store_new_arrivals(&s, &a, 10, &ids, &n, &trouble));
    cr_assert_eq(n, 3);
    int64_t click = ids[0], early = ids[1], late = ids[2];
    cr_expect(early < late && late < click);
    MUST(store_new_arrivals(&s, &a, 1, &ids, &n, &trouble));
    cr_expect_eq(n, 1);
    struct stored_arrival got;
    MUST(store_get_arrival(&s, &a, early, &got, &trouble));
    cr_expect_str_eq(got.body, "{\"n\":1}");
    cr_expect_str_eq(got.channel, "ops");
    cr_expect_eq(got.at_ms, 10);
    MUST(store_end_arrival(&s, early, &trouble));
    struct err err = ERR_INIT;
    cr_expect_not(store_get_arrival(&s, &a, early, &got, &err));
    cr_expect_eq(err.kind, ERR_MISSING);
    store_close(&s);
}

Test(store, chains_the_events_of_a_thread)
{
    struct store s = opened();
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    struct event *events;
    struct thread_row row;
    size_t n;
    add_thread(&s, &a, "t_a", "bot", 100);
    append(&s, &a, "t_a", EVENT_SLACK_MESSAGE, "{\"text\":\"one\",\"a\":1}", 200);
    append(&s, &a, "t_a", EVENT_NOTE, "{}", 150); /* the clock went back */
    append(&s, &a, "t_a", EVENT_STEP, "{\"intent\":\"x\"}", 300);
    MUST(store_load_events(&s, &a, "t_a", 0, 0, &events, &n, &trouble));
    cr_assert_eq(n, 3);
    const char *previous = NULL;
    for (size_t i = 0; i < n; i++) {
        cr_expect_eq(events[i].seq, (int64_t)i + 1);
        cr_expect_str_eq(events[i].hash, event_hash(&a, previous, "t_a", &events[i]));
        previous = events[i].hash;
    }
    cr_expect_eq(events[0].type, EVENT_SLACK_MESSAGE);
    cr_expect_str_eq(events[0].actor, "person:alice");
    cr_expect_str_eq(json_text_at(events[0].data, "text"), "one");
    cr_expect_eq(events[1].at_ms, 200, "time never goes back within a thread");
    MUST(store_get_thread(&s, &a, "t_a", &row, &trouble));
    cr_expect_eq(row.last_seq, 3);
    cr_expect_str_eq(row.last_hash, events[2].hash);
    cr_expect_eq(row.t.updated_at_ms, 300);
    MUST(store_load_events(&s, &a, "t_a", 1, 1, &events, &n, &trouble));
    cr_assert_eq(n, 1);
    cr_expect_eq(events[0].seq, 2);
    struct err err = ERR_INIT;
    cr_expect_not(store_append(&s, &a, "t_none", EVENT_NOTE, "system", NULL, 1, NULL, &err));
    cr_expect_eq(err.kind, ERR_MISSING);
    store_close(&s);
}

Test(store, keeps_long_texts_aside_and_puts_them_back)
{
    struct store s = opened();
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    static const struct {
        size_t bytes;
        int64_t blobs;
    } cases[] = {{BLOB_LIMIT_BYTES - 100, 0}, {BLOB_LIMIT_BYTES, 0}, {BLOB_LIMIT_BYTES + 1, 1}};
    add_thread(&s, &a, "t_a", "bot", 100);
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct event *events;
        size_t n;
        char *text = long_text(&a, cases[i].bytes, (char)('a' + i));
        append(&s, &a, "t_a", EVENT_NOTE,
               arena_printf(&a, "{\"deep\":[{\"output\":\"%s\"}],\"x\":1}", text), 200);
        cr_expect_eq(count_of(&s, "SELECT COUNT(*) FROM blobs"), cases[i].blobs, "%zu", i);
        MUST(store_load_events(&s, &a, "t_a", (int64_t)i, 0, &events, &n, &trouble));
        cr_expect_str_eq(json_text_at(events[0].data, "deep.0.output"), text);
        cr_expect_eq(json_int_or(json_get(events[0].data, "x"), 0), 1);
    }
    cr_expect_leq(count_of(&s, "SELECT MAX(LENGTH(data)) FROM events WHERE seq = 3"), 5000);
    store_close(&s);
}

#define STUB(hash) "{\"blob\":\"" hash "\",\"bytes\":5,\"head\":\"h\",\"tail\":\"t\"}"
#define NO_HASH    "0000000000000000000000000000000000000000000000000000000000000000"

/* Somebody who sends what looks like our own reference gets at nobody's text, and makes the audit
 * miss nothing. */
Test(store, takes_no_reference_to_a_blob_from_outside)
{
    struct store s = opened();
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    struct audit_finding *found;
    struct event *events;
    size_t n;
    int64_t threads, count;
    char *secret = long_text(&a, BLOB_LIMIT_BYTES + 1, 's');
    add_thread(&s, &a, "t_a", "bot", 100);
    append(&s, &a, "t_a", EVENT_NOTE, arena_printf(&a, "{\"output\":\"%s\"}", secret), 100);
    append(&s, &a, "t_a", EVENT_WEBHOOK_RECEIVED,
           arena_printf(&a,
                        "{\"one\":{\"blob\":\"%s\",\"bytes\":5,\"head\":\"h\",\"tail\":\"t\"},"
                        "\"two\":" STUB(NO_HASH) ",\"three\":{\"blob\":\"x\"}}",
                        sha256_hex(&a, span_of(secret))),
           100);
    MUST(store_load_events(&s, &a, "t_a", 1, 0, &events, &n, &trouble));
    cr_expect_null(json_text_at(events[0].data, "one"));
    cr_expect_str_eq(json_text_at(events[0].data, "two.blob_text"), NO_HASH);
    cr_expect_str_eq(json_text_at(events[0].data, "three.blob"), "x");
    MUST(store_verify(&s, &a, &found, &n, &threads, &count, &trouble));
    cr_expect_eq(n, 0, "%s", n > 0 ? found[0].sentence : "");
    store_close(&s);
}

Test(store, numbers_runs_and_finds_threads_by_a_unique_beginning)
{
    struct store s = opened();
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    struct thread_row row;
    const char *id;
    struct err err = ERR_INIT;
    add_thread(&s, &a, "t_abcde1", NULL, 100);
    add_thread(&s, &a, "t_abcde2", NULL, 101);
    add_thread(&s, &a, "t_c", "bot", 102);
    MUST(store_get_thread(&s, &a, "t_abcde2", &row, &trouble));
    cr_expect_eq(row.run, 2);
    MUST(store_get_thread(&s, &a, "t_c", &row, &trouble));
    cr_expect_eq(row.run, 0);
    MUST(store_find_thread(&s, &a, "t_c", &id, &trouble));
    cr_expect_str_eq(id, "t_c");
    MUST(store_find_thread(&s, &a, "t_abcde2", &id, &trouble));
    cr_expect_str_eq(id, "t_abcde2");
    cr_expect_not(store_find_thread(&s, &a, "t_abcde", &id, &err));
    cr_expect_eq(err.kind, ERR_CONFLICT);
    cr_expect_not(store_find_thread(&s, &a, "t_x", &id, &err));
    cr_expect_eq(err.kind, ERR_MISSING);
    cr_expect_not(store_get_thread(&s, &a, "t_x", &row, &err));
    cr_expect_eq(err.kind, ERR_MISSING);
    store_close(&s);
}

Test(store, keeps_what_an_advance_says_of_a_thread)
{
    struct store s = opened();
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    struct thread_row row;
    const char **ids;
    size_t n;
    add_thread(&s, &a, "t_a", "bot", 100);
    MUST(store_dirty_threads(&s, &a, 10, &ids, &n, &trouble));
    cr_expect_eq(n, 1, "a new thread has to be looked at");
    MUST(store_set_dirty(&s, "t_a", false, &trouble));
    MUST(store_dirty_threads(&s, &a, 10, &ids, &n, &trouble));
    cr_expect_eq(n, 0);
    MUST(store_set_thread(&s, "t_a", THREAD_FAILED, "{\"kind\":\"person\"}", "limit:steps",
                          &trouble));
    MUST(store_set_paused(&s, "t_a", true, &trouble));
    MUST(store_count_step(&s, "t_a", 1, 100, 0.25, &trouble));
    MUST(store_count_step(&s, "t_a", 1, 50, 0.25, &trouble));
    MUST(store_get_thread(&s, &a, "t_a", &row, &trouble));
    cr_expect_eq(row.t.status, THREAD_FAILED);
    cr_expect(row.t.paused);
    cr_expect_str_eq(row.waiting, "{\"kind\":\"person\"}");
    cr_expect_str_eq(row.t.outcome, "limit:steps");
    cr_expect_eq(row.t.steps, 2);
    cr_expect_eq(row.t.tokens, 150);
    cr_expect_float_eq(row.t.cost, 0.5, 1e-9);
    store_close(&s);
}

static void add_in_conversation(struct store *s, struct arena *a, const char *id, const char *agent,
                                const char *root, enum thread_status status, int64_t at_ms)
{
    struct thread_row row = {.t = {.id = id,
                                   .agent = agent,
                                   .pipeline = agent == NULL ? "shop" : NULL,
                                   .root = root,
                                   .status = status,
                                   .title = "",
                                   .channel = "ops",
                                   .to = "C1",
                                   .in_thread = "1.2",
                                   .created_at_ms = at_ms}};
    MUST(store_add_thread(s, a, &row, &trouble));
}

static const char *found_in(struct store *s, struct arena *a, const char *to, const char *in_thread)
{
    const char *id;
    MUST(store_thread_of_conversation(s, a, "ops", to, in_thread, &id, &trouble));
    return id;
}

Test(store, finds_the_thread_of_a_conversation_that_an_answer_belongs_to)
{
    struct store s = opened();
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    add_in_conversation(&s, &a, "t_run", NULL, "t_run", THREAD_RUNNING, 1);
    cr_expect_str_eq(found_in(&s, &a, "C1", "1.2"), "t_run");
    add_in_conversation(&s, &a, "t_done", "bot", "t_run", THREAD_DONE, 2);
    cr_expect_str_eq(found_in(&s, &a, "C1", "1.2"), "t_done");
    add_in_conversation(&s, &a, "t_open", "bot", "t_run", THREAD_WAITING, 3);
    add_in_conversation(&s, &a, "t_later", "bot", "t_run", THREAD_DONE, 4);
    cr_expect_str_eq(found_in(&s, &a, "C1", "1.2"), "t_open", "one that is at work comes first");
    cr_expect_null(found_in(&s, &a, "C1", "9.9"));
    cr_expect_null(found_in(&s, &a, "C2", "1.2"));
    struct request_row question = {.id = "r_1",
                                   .code = "1",
                                   .thread = "t_run",
                                   .kind = "question",
                                   .status = "open",
                                   .canonical = "{}",
                                   .digest = "",
                                   .view = "{}"};
    MUST(store_add_request(&s, &question, &trouble));
    cr_expect_str_eq(found_in(&s, &a, "C1", "1.2"), "t_run", "who asked hears the answer");
    bool won;
    MUST(store_decide(&s, "r_1",
                      &(struct request_end){
                          .status = "answered", .by = "person:a", .comment = NULL, .answer = "x"},
                      9, &won, &trouble));
    cr_expect_str_eq(found_in(&s, &a, "C1", "1.2"), "t_open");
    struct delivery_row d = {.id = "d_1",
                             .thread = "t_done",
                             .channel = "ops",
                             .message = "{}",
                             .lane = "l",
                             .created_at_ms = 5};
    MUST(store_add_delivery(&s, &d, &trouble));
    d.state = "sent";
    d.external_id = "C7:5.6";
    MUST(store_set_delivery(&s, &d, &trouble));
    cr_expect_str_eq(found_in(&s, &a, "C7", "5.6"), "t_done", "a reply under any of our posts");
    store_close(&s);
}

Test(store, gives_a_root_and_its_children_the_conversation_that_was_opened)
{
    struct store s = opened();
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    struct thread_row row, child = {.t = {.id = "t_child",
                                          .agent = "bot",
                                          .root = "t_root",
                                          .parent = "t_root",
                                          .title = "",
                                          .channel = "ops",
                                          .to = "C1"}};
    const char **children;
    size_t n;
    add_thread(&s, &a, "t_root", NULL, 1);
    MUST(store_add_thread(&s, &a, &child, &trouble));
    child.t.id = "t_mail";
    child.t.channel = "mail";
    MUST(store_add_thread(&s, &a, &child, &trouble));
    MUST(store_set_conversation(&s, "t_root", "ops", "C1", "1.2", &trouble));
    MUST(store_set_conversation(&s, "t_root", "ops", "C1", "9.9", &trouble));
    static const char *const ids[] = {"t_root", "t_child"};
    for (size_t i = 0; i < COUNT(ids); i++) {
        MUST(store_get_thread(&s, &a, ids[i], &row, &trouble));
        cr_expect_str_eq(row.t.in_thread, "1.2", "%s: the first message opens it", ids[i]);
    }
    MUST(store_get_thread(&s, &a, "t_mail", &row, &trouble));
    cr_expect_null(row.t.in_thread);
    MUST(store_children(&s, &a, "t_root", &children, &n, &trouble));
    cr_expect_eq(n, 2);
    store_close(&s);
}

static struct request_row request_row(const char *id, const char *code, int64_t raised_at_ms)
{
    return (struct request_row){.id = id,
                                .code = code,
                                .thread = "t_a",
                                .kind = "approval",
                                .status = "open",
                                .call = 4,
                                .tool = "deploy",
                                .canonical = "{\"a\":1}",
                                .digest = "d",
                                .view = "{}",
                                .raised_at_ms = raised_at_ms};
}

Test(store, decides_a_request_once)
{
    struct store s = opened();
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    struct request_row r = request_row("r_1", "4821", 10), got;
    bool won;
    MUST(store_add_request(&s, &r, &trouble));
    MUST(store_decide(&s, "r_1",
                      &(struct request_end){
                          .status = "approved", .by = "person:a", .comment = "yes", .answer = NULL},
                      20, &won, &trouble));
    cr_expect(won);
    MUST(store_decide(&s, "r_1",
                      &(struct request_end){
                          .status = "rejected", .by = "person:b", .comment = "no", .answer = NULL},
                      21, &won, &trouble));
    cr_expect_not(won);
    MUST(store_decide(&s, "r_none",
                      &(struct request_end){
                          .status = "rejected", .by = "person:b", .comment = "no", .answer = NULL},
                      21, &won, &trouble));
    cr_expect_not(won);
    MUST(store_get_request(&s, &a, "r_1", &got, &trouble));
    cr_expect_str_eq(got.status, "approved");
    cr_expect_str_eq(got.decided_by, "person:a");
    cr_expect_str_eq(got.comment, "yes");
    cr_expect_eq(got.decided_at_ms, 20);
    cr_expect_eq(got.call, 4);
    cr_expect_str_eq(got.canonical, "{\"a\":1}");
    store_close(&s);
}

Test(store, finds_requests_by_id_beginning_or_code)
{
    struct store s = opened();
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    struct err err = ERR_INIT;
    struct request_row got;
    const struct request_row rows[] = {request_row("r_abcde1", "1111", 10),
                                       request_row("r_abcde2", "2222", 11),
                                       request_row("r_c", "1111", 12)};
    for (size_t i = 0; i < COUNT(rows); i++)
        MUST(store_add_request(&s, &rows[i], &trouble));
    static const struct {
        const char *asked, *id;
        enum err_kind kind;
    } cases[] = {
        {"r_abcde1", "r_abcde1", ERR_NONE},
        {"r_c", "r_c", ERR_NONE},
        {"2222", "r_abcde2", ERR_NONE},
        {"1111", "r_c", ERR_NONE}, /* the newest that has it */
        {"r_abcde", NULL, ERR_CONFLICT},
        {"r_abc", NULL, ERR_CONFLICT},
        {"r_x", NULL, ERR_MISSING},
        {"9999", NULL, ERR_MISSING},
        {"", NULL, ERR_MISSING},
        {"r_%", NULL, ERR_MISSING},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        err = (struct err)ERR_INIT;
        bool ok = store_find_request(&s, &a, cases[i].asked, &got, &err);
        cr_expect_eq(ok, cases[i].id != NULL, "%s", cases[i].asked);
        if (ok)
            cr_expect_str_eq(got.id, cases[i].id);
        else
            cr_expect_eq(err.kind, cases[i].kind, "%s", cases[i].asked);
    }
    bool is_free;
    int64_t taken;
    MUST(store_code_is_free(&s, &a, "1111", 9, &is_free, &taken, &trouble));
    cr_expect_not(is_free);
    cr_expect_eq(taken, 3);
    MUST(store_code_is_free(&s, &a, "2222", 11, &is_free, &taken, &trouble));
    cr_expect(is_free, "what is older does not count");
    cr_expect_eq(taken, 1);
    store_close(&s);
}

Test(store, keeps_one_vote_a_person)
{
    struct store s = opened();
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    struct vote_row *votes;
    size_t n;
    const struct vote_row cast[] = {
        {.person = "alice", .decision = "approve", .via = "slack", .at_ms = 1},
        {.person = "bob", .decision = "approve", .via = "web", .at_ms = 2},
        {.person = "alice", .decision = "reject", .comment = "no", .via = "sms", .at_ms = 3},
    };
    for (size_t i = 0; i < COUNT(cast); i++)
        MUST(store_put_vote(&s, "r_1", &cast[i], &trouble));
    MUST(store_votes(&s, &a, "r_1", &votes, &n, &trouble));
    cr_assert_eq(n, 2);
    cr_expect_str_eq(votes[1].person, "alice");
    cr_expect_str_eq(votes[1].decision, "reject");
    cr_expect_str_eq(votes[1].comment, "no");
    cr_expect_str_eq(votes[1].via, "sms");
    store_close(&s);
}

static void add_delivery(struct store *s, const char *id, const char *lane, int64_t due_at_ms)
{
    struct delivery_row d = {.id = id,
                             .thread = "t_a",
                             .request = "r_1",
                             .channel = "ops",
                             .message = "{}",
                             .lane = lane,
                             .due_at_ms = due_at_ms,
                             .created_at_ms = 1,
                             .ask = -1};
    MUST(store_add_delivery(s, &d, &trouble));
}

static void set_delivery(struct store *s, struct arena *a, const char *id, const char *state,
                         int64_t due_at_ms)
{
    struct delivery_row d;
    MUST(store_get_delivery(s, a, id, &d, &trouble));
    d.state = state;
    d.due_at_ms = due_at_ms;
    d.attempts = 1;
    MUST(store_set_delivery(s, &d, &trouble));
}

/* "a c": the ids that are due at this time. */
static char *due(struct store *s, struct arena *a, int64_t now_ms)
{
    struct delivery_row *list;
    size_t n;
    char *text = arena_strdup(a, "");
    MUST(store_due_deliveries(s, a, now_ms, 10, &list, &n, &trouble));
    for (size_t i = 0; i < n; i++)
        text = arena_printf(a, "%s%s%s", text, i > 0 ? " " : "", list[i].id);
    return text;
}

Test(store, lets_a_lane_keep_its_order_and_hold_up_no_other)
{
    struct store s = opened();
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    /* Written in the same moment: their order is that of writing, whatever their ids. */
    add_delivery(&s, "d_z", "one", 10);
    add_delivery(&s, "d_a", "one", 10);
    add_delivery(&s, "d_m", "two", 20);
    cr_expect_str_eq(due(&s, &a, 9), "");
    cr_expect_str_eq(due(&s, &a, 10), "d_z");
    cr_expect_str_eq(due(&s, &a, 20), "d_z d_m");
    set_delivery(&s, &a, "d_z", "sending", 10);
    cr_expect_str_eq(due(&s, &a, 20), "d_m", "while one of a lane is under way the others wait");
    set_delivery(&s, &a, "d_z", "due", 500);
    cr_expect_str_eq(due(&s, &a, 20), "d_m", "and while it waits for its next try");
    int64_t next;
    set_delivery(&s, &a, "d_m", "sending", 20);
    MUST(store_next_due(&s, &a, &next, &trouble));
    cr_expect_eq(next, 500, "nothing is to do until then: who waits behind it wakes nobody");
    set_delivery(&s, &a, "d_m", "due", 20);
    set_delivery(&s, &a, "d_z", "failed", 500);
    cr_expect_str_eq(due(&s, &a, 20), "d_a d_m");
    set_delivery(&s, &a, "d_a", "sent", 10);
    cr_expect_str_eq(due(&s, &a, 20), "d_m");
    store_close(&s);
}

Test(store, knows_the_copies_of_a_card_and_the_edit_that_is_still_to_leave)
{
    struct store s = opened();
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    struct delivery_row *list;
    const char *id;
    size_t n;
    add_delivery(&s, "d_2", "one", 10);
    add_delivery(&s, "d_1", "two", 10);
    struct delivery_row edit = {.id = "d_3",
                                .request = "r_1",
                                .channel = "ops",
                                .message = "{}",
                                .lane = "one",
                                .replaces = "C1:5.6"};
    MUST(store_pending_edit(&s, &a, "C1:5.6", &id, &trouble));
    cr_expect_null(id);
    MUST(store_add_delivery(&s, &edit, &trouble));
    MUST(store_pending_edit(&s, &a, "C1:5.6", &id, &trouble));
    cr_expect_str_eq(id, "d_3");
    MUST(store_request_deliveries(&s, &a, "r_1", &list, &n, &trouble));
    cr_assert_eq(n, 2, "edits are no copies");
    cr_expect_str_eq(list[0].id, "d_2");
    set_delivery(&s, &a, "d_3", "sending", 10);
    MUST(store_pending_edit(&s, &a, "C1:5.6", &id, &trouble));
    cr_expect_null(id, "what has left shows an older state");
    MUST(store_sending_deliveries(&s, &a, &list, &n, &trouble));
    cr_assert_eq(n, 1);
    cr_expect_str_eq(list[0].id, "d_3");
    store_close(&s);
}

Test(store, says_what_is_due_next)
{
    struct store s = opened();
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    struct timer_row *timers, timer = {.due_at_ms = 50, .kind = "ask", .ref = "r_1", .data = "2"};
    struct tool_run_row *runs, run = {.id = "x_1",
                                      .thread = "t_a",
                                      .kind = "read",
                                      .name = "n",
                                      .spec = "{}",
                                      .state = "due",
                                      .due_at_ms = 30};
    int64_t next;
    size_t n;
    MUST(store_next_due(&s, &a, &next, &trouble));
    cr_expect_eq(next, INT64_MAX);
    MUST(store_add_timer(&s, &timer, &trouble));
    MUST(store_next_due(&s, &a, &next, &trouble));
    cr_expect_eq(next, 50);
    add_delivery(&s, "d_1", "l", 40);
    MUST(store_next_due(&s, &a, &next, &trouble));
    cr_expect_eq(next, 40);
    MUST(store_add_tool_run(&s, &run, &trouble));
    MUST(store_next_due(&s, &a, &next, &trouble));
    cr_expect_eq(next, 30);
    MUST(store_due_tool_runs(&s, &a, 30, true, &runs, &n, &trouble));
    cr_assert_eq(n, 1);
    cr_expect_str_eq(runs[0].replies, "[]");
    run.state = "running";
    run.replies = "[1]";
    run.attempt = 2;
    MUST(store_set_tool_run(&s, &run, &trouble));
    MUST(store_due_tool_runs(&s, &a, 99, true, &runs, &n, &trouble));
    cr_expect_eq(n, 0);
    MUST(store_open_tool_runs(&s, &a, NULL, &runs, &n, &trouble));
    cr_assert_eq(n, 1);
    cr_expect_str_eq(runs[0].replies, "[1]");
    MUST(store_open_tool_runs(&s, &a, "t_other", &runs, &n, &trouble));
    cr_expect_eq(n, 0);
    run.state = "ended";
    MUST(store_set_tool_run(&s, &run, &trouble));
    MUST(store_open_tool_runs(&s, &a, "t_a", &runs, &n, &trouble));
    cr_expect_eq(n, 0);
    MUST(store_due_timers(&s, &a, 49, &timers, &n, &trouble));
    cr_expect_eq(n, 0);
    MUST(store_due_timers(&s, &a, 50, &timers, &n, &trouble));
    cr_assert_eq(n, 1);
    cr_expect_str_eq(timers[0].data, "2");
    MUST(store_drop_timers(&s, "expire", "r_1", &trouble));
    MUST(store_drop_timers(&s, "ask", "r_2", &trouble));
    MUST(store_due_timers(&s, &a, 50, &timers, &n, &trouble));
    cr_expect_eq(n, 1);
    MUST(store_drop_timers(&s, "ask", "r_1", &trouble));
    MUST(store_due_timers(&s, &a, 50, &timers, &n, &trouble));
    cr_expect_eq(n, 0);
    store_close(&s);
}

Test(store, wakes_threads_by_slices)
{
    struct store s = opened();
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    const char *at = "";
    int slices = 0;
    MUST(store_begin(&s, &trouble));
    for (int i = 0; i < 2500; i++)
        add_thread(&s, &a, arena_printf(&a, "t_%d", i), "bot", i);
    MUST(db_run(s.db, "UPDATE threads SET dirty = 0", DB_NO_ARGS, &trouble));
    MUST(store_set_thread(&s, "t_7", THREAD_DONE, NULL, "done", &trouble));
    MUST(store_commit(&s, &trouble));
    for (; at != NULL; slices++)
        MUST(store_wake_threads(&s, &a, &at, &trouble));
    cr_expect_eq(slices, 3);
    cr_expect_eq(count_of(&s, "SELECT COUNT(*) FROM threads WHERE dirty = 1"), 2499, "not t_7");
    store_close(&s);
}

Test(store, of_the_first_version_is_brought_up_to_date)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    struct store s = {.db = db_open(url, DB_WRITE, &trouble)};
    bool is_free;
    int64_t taken;
    cr_assert_not_null(s.db, "%s", trouble.text);
    MUST(store_migrate(&s, MIGRATIONS, 1, &trouble));
    MUST(db_script(
        s.db,
        "INSERT INTO requests (id, code, thread, kind, status, canonical, digest, view, "
        "raised_at_ms) VALUES ('r_0', '1', 't_a', 'question', 'open', '{}', '', '{}', 100), "
        "('r_1', '1', 't_a', 'question', 'open', '{}', '', '{}', 101), "
        "('r_2', '1', 't_a', 'question', 'open', '{}', '', '{}', 102);"
        "INSERT INTO deliveries (id, channel, message, state, due_at_ms, lane, created_at_ms) "
        "VALUES ('d_1', 'ops', '{}', 'due', 10, 'one', 1), "
        "('d_2', 'ops', '{}', 'due', 10, 'one', 1)",
        &trouble));
    store_close(&s);
    s = opened();
    MUST(store_code_is_free(&s, &a, "1", 100, &is_free, &taken, &trouble));
    cr_expect_eq(taken, 2, "%lld", (long long)taken);
    cr_expect_str_eq(due(&s, &a, 20), "d_1");
    struct request_row r = request_row("r_9", "9", 200);
    MUST(store_add_request(&s, &r, &trouble));
    MUST(store_code_is_free(&s, &a, "9", 0, &is_free, &taken, &trouble));
    cr_expect_eq(taken, 4);
    store_close(&s);
}

Test(store, keeps_logins_for_one_use_and_sessions_for_their_time)
{
    struct store s = opened();
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    const char *person;
    MUST(store_add_login(&s, "h1", "alice", "cli", 100, &trouble));
    MUST(store_login(&s, &a, "h1", 100, false, &person, &trouble));
    cr_expect_null(person, "it has expired");
    MUST(store_login(&s, &a, "h1", 99, false, &person, &trouble));
    cr_expect_str_eq(person, "alice");
    MUST(store_login(&s, &a, "h1", 99, true, &person, &trouble));
    cr_expect_str_eq(person, "alice");
    MUST(store_login(&s, &a, "h1", 99, true, &person, &trouble));
    cr_expect_null(person, "it is spent");
    MUST(store_login(&s, &a, "h2", 99, true, &person, &trouble));
    cr_expect_null(person);
    MUST(store_add_session(&s, "s1", "alice", 0, 100, &trouble));
    MUST(store_session(&s, &a, "s1", 99, &person, &trouble));
    cr_expect_str_eq(person, "alice");
    MUST(store_session(&s, &a, "s1", 100, &person, &trouble));
    cr_expect_null(person);
    store_close(&s);
}

Test(store, keeps_what_runs_where)
{
    struct store s = opened();
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    struct component_row *components, c = {"prod", "backend", "sha1", "ok", "t_a", 1};
    struct deployment_row *list, d = {"prod", "backend", "sha1", "t_a", "ok", false, 1, 2};
    struct hold_row *holds, h = {.environment = "prod", .thread = "t_a", .state = "held"};
    struct lock_row lock = {"prod", "person:a", "incident", 1, 0}, got;
    const char *thread;
    bool yes;
    size_t n;
    MUST(store_set_component(&s, &c, &trouble));
    c.sha = "sha2";
    c.state = "unknown";
    MUST(store_set_component(&s, &c, &trouble));
    MUST(store_components(&s, &a, "prod", &components, &n, &trouble));
    cr_assert_eq(n, 1);
    cr_expect_str_eq(components[0].sha, "sha2");
    cr_expect_str_eq(components[0].state, "unknown");
    MUST(store_add_deployment(&s, &d, &trouble));
    d.sha = "sha2";
    d.rollback = true;
    MUST(store_add_deployment(&s, &d, &trouble));
    MUST(store_deployments(&s, &a, "prod", NULL, NULL, 10, &list, &n, &trouble));
    cr_assert_eq(n, 2);
    cr_expect_str_eq(list[0].sha, "sha2", "newest first");
    cr_expect(list[0].rollback);
    MUST(store_deployments(&s, &a, "prod", "backend", "sha1", 10, &list, &n, &trouble));
    cr_expect_eq(n, 1);
    MUST(store_deployments(&s, &a, "prod", "frontend", NULL, 10, &list, &n, &trouble));
    cr_expect_eq(n, 0);
    MUST(store_add_passed(&s, "staging", "sha1", "t_a", 1, &trouble));
    MUST(store_add_passed(&s, "staging", "sha1", "t_b", 2, &trouble));
    MUST(store_has_passed(&s, &a, "staging", "sha1", &thread, &trouble));
    cr_expect_not_null(thread);
    MUST(store_has_passed(&s, &a, "prod", "sha1", &thread, &trouble));
    cr_expect_null(thread);
    MUST(store_put_hold(&s, &h, &trouble));
    h.thread = "t_b";
    h.state = "waiting";
    MUST(store_put_hold(&s, &h, &trouble));
    MUST(store_holds(&s, &a, "prod", &holds, &n, &trouble));
    cr_assert_eq(n, 2);
    cr_expect_str_eq(holds[0].thread, "t_a", "in the order of asking");
    MUST(store_drop_hold(&s, "prod", "t_a", &trouble));
    MUST(store_holds(&s, &a, NULL, &holds, &n, &trouble));
    cr_assert_eq(n, 1);
    cr_expect_str_eq(holds[0].thread, "t_b");
    MUST(store_put_lock(&s, &lock, &trouble));
    MUST(store_get_lock(&s, &a, "prod", 1LL << 50, &got, &yes, &trouble));
    cr_expect(yes);
    lock.expires_at_ms = 100;
    MUST(store_put_lock(&s, &lock, &trouble));
    MUST(store_get_lock(&s, &a, "prod", 99, &got, &yes, &trouble));
    cr_expect(yes);
    cr_expect_str_eq(got.reason, "incident");
    MUST(store_get_lock(&s, &a, "prod", 100, &got, &yes, &trouble));
    cr_expect_not(yes);
    MUST(store_drop_lock(&s, "prod", &yes, &trouble));
    cr_expect(yes);
    MUST(store_drop_lock(&s, "prod", &yes, &trouble));
    cr_expect_not(yes);
    store_close(&s);
}

/* ---- housekeeping ------------------------------------------------------------------------ */

Test(store, forgets_what_is_old_slice_by_slice_and_keeps_the_rest)
{
    static const int64_t DAY = 24LL * 3600 * 1000, NOW = 100 * 24LL * 3600 * 1000;
    struct store s = opened();
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    const char *at = "", *person;
    bool known;
    int slices = 0;
    MUST(store_begin(&s, &trouble));
    for (int i = 0; i < 5000; i++) {
        const char *keys[] = {arena_printf(&a, "ops:%d", i), NULL};
        MUST(store_remember(&s, keys, i % 2 == 0 ? NOW - 31 * DAY : NOW - 29 * DAY, &known,
                            &trouble));
    }
    static const struct {
        const char *id, *state;
        int64_t ended_at_ms;
    } runs[] = {{"x_old", "ended", 60}, {"x_new", "ended", 90}, {"x_open", "running", 0}};
    for (size_t i = 0; i < COUNT(runs); i++) {
        struct tool_run_row run = {.id = runs[i].id,
                                   .thread = "t_a",
                                   .kind = "read",
                                   .name = "n",
                                   .spec = "{}",
                                   .replies = "[]",
                                   .state = runs[i].state,
                                   .ended_at_ms = runs[i].ended_at_ms * DAY};
        MUST(store_add_tool_run(&s, &run, &trouble));
        MUST(store_set_tool_run(&s, &run, &trouble));
    }
    MUST(store_put_etag(&s, "https://old", "1", "{}", 60 * DAY, &trouble));
    MUST(store_put_etag(&s, "https://new", "1", "{}", 90 * DAY, &trouble));
    MUST(store_add_session(&s, "over", "alice", 1, NOW - 1, &trouble));
    MUST(store_add_session(&s, "open", "alice", 1, NOW + 1, &trouble));
    for (; at != NULL; slices++)
        MUST(store_tidy(&s, &a, NOW, &at, &trouble));
    MUST(store_commit(&s, &trouble));
    cr_expect_geq(slices, 5, "three slices of keys, one of runs, one of answers");
    cr_expect_eq(count_of(&s, "SELECT COUNT(*) FROM seen"), 2500);
    MUST(store_is_known(&s, &a, "ops:4999", &known, &trouble));
    cr_expect(known);
    cr_expect_eq(count_of(&s, "SELECT COUNT(*) FROM tool_runs"), 2);
    cr_expect_eq(count_of(&s, "SELECT COUNT(*) FROM tool_runs WHERE id = 'x_old'"), 0);
    cr_expect_eq(count_of(&s, "SELECT COUNT(*) FROM etags"), 1);
    MUST(store_session(&s, &a, "open", NOW, &person, &trouble));
    cr_expect_not_null(person);
    cr_expect_eq(count_of(&s, "SELECT COUNT(*) FROM sessions"), 1);
    at = "7:x";
    cr_expect_not(store_tidy(&s, &a, NOW, &at, &trouble));
    store_close(&s);
}

Test(store, writes_the_heads_of_many_threads_in_several_checkpoints)
{
    struct store s = opened();
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    struct audit_finding *found;
    size_t n;
    int64_t threads, events;
    bool needed = true;
    int written = 0;
    MUST(store_begin(&s, &trouble));
    for (int i = 0; i < 4500; i++) {
        char *id = arena_printf(&a, "t_%d", i);
        add_thread(&s, &a, id, "bot", 100);
        append(&s, &a, id, EVENT_NOTE, "{}", 100);
    }
    for (; needed; written++) {
        MUST(store_checkpoint(&s, &a, 200, &trouble));
        MUST(store_needs_checkpoint(&s, &needed, &trouble));
    }
    MUST(store_commit(&s, &trouble));
    cr_expect_eq(written, 3);
    cr_expect_eq(count_of(&s, "SELECT COUNT(*) FROM checkpoints"), 3);
    MUST(store_verify(&s, &a, &found, &n, &threads, &events, &trouble));
    cr_expect_eq(n, 0);
    MUST(db_run(s.db, "DELETE FROM threads WHERE id = 't_4321'", DB_NO_ARGS, &trouble));
    MUST(db_run(s.db, "DELETE FROM events WHERE thread = 't_4321'", DB_NO_ARGS, &trouble));
    MUST(store_verify(&s, &a, &found, &n, &threads, &events, &trouble));
    cr_assert_eq(n, 1);
    cr_expect_str_eq(found[0].thread, "t_4321");
    store_close(&s);
}

/* ---- the audit --------------------------------------------------------------------------- */

/* Two threads, checkpoints after each, one event with a blob. */
static void fill(struct store *s)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    add_thread(s, &a, "t_a", "bot", 100);
    append(s, &a, "t_a", EVENT_SLACK_MESSAGE, "{\"text\":\"deploy\"}", 100);
    append(s, &a, "t_a", EVENT_REQUEST_DECIDED, "{\"outcome\":\"approved\"}", 200);
    MUST(store_checkpoint(s, &a, 250, &trouble));
    append(s, &a, "t_a", EVENT_TOOL_FINISHED,
           arena_printf(&a, "{\"output\":\"%s\"}", long_text(&a, 20000, 'o')), 300);
    append(s, &a, "t_a", EVENT_FINISHED, "{\"outcome\":\"done\"}", 400);
    add_thread(s, &a, "t_b", "bot", 100);
    append(s, &a, "t_b", EVENT_NOTE, "{\"n\":1}", 500);
    append(s, &a, "t_b", EVENT_NOTE, "{\"n\":2}", 600);
    MUST(store_checkpoint(s, &a, 650, &trouble));
    append(s, &a, "t_b", EVENT_NOTE, "{\"n\":3}", 700);
    MUST(store_checkpoint(s, &a, 750, &trouble));
    MUST(store_checkpoint(s, &a, 760, &trouble)); /* nothing changed: none is written */
    cr_expect_eq(count_of(s, "SELECT COUNT(*) FROM checkpoints"), 3);
}

Test(store, verifies_what_nobody_touched)
{
    struct store s = opened();
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    struct audit_finding *found;
    size_t n;
    int64_t threads, events;
    fill(&s);
    MUST(store_verify(&s, &a, &found, &n, &threads, &events, &trouble));
    cr_expect_eq(n, 0, "%s", n > 0 ? found[0].sentence : "");
    cr_expect_eq(threads, 2);
    cr_expect_eq(events, 7);
    store_close(&s);
}

static const struct {
    const char *name, *sql, *thread; /* thread NULL: the checkpoints */
    int64_t seq;                     /* 0: any */
} TAMPERED[] = {
    {"the time of an event", "UPDATE events SET at_ms = at_ms + 1 WHERE thread = 't_a' AND seq = 2",
     "t_a", 2},
    {"its type", "UPDATE events SET type = 'note' WHERE thread = 't_a' AND seq = 2", "t_a", 2},
    {"its type to nonsense", "UPDATE events SET type = 'x' WHERE thread = 't_a' AND seq = 2", "t_a",
     2},
    {"its actor", "UPDATE events SET actor = 'person:eve' WHERE thread = 't_a' AND seq = 2", "t_a",
     2},
    {"its data",
     "UPDATE events SET data = '{\"outcome\":\"rejected\"}' WHERE thread = 't_a' AND "
     "seq = 2",
     "t_a", 2},
    {"a space in its data", "UPDATE events SET data = ' ' || data WHERE thread = 't_a' AND seq = 2",
     "t_a", 2},
    {"its data to nonsense", "UPDATE events SET data = '{' WHERE thread = 't_a' AND seq = 2", "t_a",
     2},
    {"its hash", "UPDATE events SET hash = 'x' || SUBSTR(hash, 2) WHERE thread = 't_a' AND seq = 2",
     "t_a", 2},
    {"its number", "UPDATE events SET seq = 9 WHERE thread = 't_a' AND seq = 4", "t_a", 4},
    {"its thread", "UPDATE events SET thread = 't_b', seq = 4 WHERE thread = 't_a' AND seq = 4",
     "t_b", 4},
    {"the first event is removed", "DELETE FROM events WHERE thread = 't_a' AND seq = 1", "t_a", 1},
    {"one in the middle", "DELETE FROM events WHERE thread = 't_a' AND seq = 2", "t_a", 2},
    {"the last", "DELETE FROM events WHERE thread = 't_a' AND seq = 4", "t_a", 4},
    {"all of a thread", "DELETE FROM events WHERE thread = 't_a'", "t_a", 1},
    {"two are swapped",
     "UPDATE events SET seq = CASE seq WHEN 1 THEN -2 ELSE -1 END WHERE thread = 't_b' AND seq < "
     "3; "
     "UPDATE events SET seq = -seq WHERE seq < 0",
     "t_b", 1},
    {"a long text", "UPDATE blobs SET data = SUBSTR(data, 2) || 'x'", "t_a", 3},
    {"a long text is removed", "DELETE FROM blobs", "t_a", 3},
    {"a tail, and the thread's head with it",
     "DELETE FROM events WHERE thread = 't_a' AND seq = 4; UPDATE threads SET last_seq = 3, "
     "last_hash "
     "= (SELECT hash FROM events WHERE thread = 't_a' AND seq = 3) WHERE id = 't_a'",
     "t_a", 4},
    {"a whole thread",
     "DELETE FROM events WHERE thread = 't_a'; DELETE FROM threads WHERE id = 't_a'", "t_a", 0},
    {"the thread but not its events", "DELETE FROM threads WHERE id = 't_a'", "t_a", 0},
    {"the head of a thread", "UPDATE threads SET last_hash = 'x' WHERE id = 't_a'", "t_a", 4},
    {"what a checkpoint says",
     "UPDATE checkpoints SET heads = REPLACE(heads, 't_a', 't_c') WHERE id = 1", NULL, 1},
    {"when it was", "UPDATE checkpoints SET at_ms = 1 WHERE id = 2", NULL, 2},
    {"the first checkpoint is removed", "DELETE FROM checkpoints WHERE id = 1", NULL, 2},
    {"one in the middle is", "DELETE FROM checkpoints WHERE id = 2", NULL, 3},
    {"its hash", "UPDATE checkpoints SET hash = 'x' WHERE id = 1", NULL, 1},
    {"the last one is removed", "DELETE FROM checkpoints WHERE id = 3", "t_b", 3},
    {"all are removed", "DELETE FROM checkpoints", "t_a", 4},
};

Test(store, names_whatever_was_changed_removed_or_moved)
{
    for (size_t i = 0; i < COUNT(TAMPERED); i++) {
        CLEANUP(arena_done) struct arena a = ARENA_INIT;
        struct audit_finding *found;
        size_t n;
        int64_t threads, events;
        struct store s = opened();
        bool named = false;
        fill(&s);
        MUST(db_script(s.db, TAMPERED[i].sql, &trouble));
        MUST(store_verify(&s, &a, &found, &n, &threads, &events, &trouble));
        for (size_t k = 0; k < n; k++)
            named = named || (text_eq(found[k].thread, TAMPERED[i].thread) &&
                              (TAMPERED[i].seq == 0 || found[k].seq == TAMPERED[i].seq));
        cr_expect(named, "%s: %zu findings, %s %lld %s", TAMPERED[i].name, n,
                  n > 0 ? found[0].thread : "", n > 0 ? (long long)found[0].seq : 0,
                  n > 0 ? found[0].sentence : "");
        store_close(&s);
        (void)unlink(path);
    }
}

/* The findings of one damage; true when one of them names thread and seq. */
static bool is_named(struct store *s, const char *thread, int64_t seq)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    struct audit_finding *found;
    size_t n;
    int64_t threads, events;
    MUST(store_verify(s, &a, &found, &n, &threads, &events, &trouble));
    for (size_t i = 0; i < n; i++)
        if (text_eq(found[i].thread, thread) && found[i].seq == seq)
            return true;
    return false;
}

/* Puts other bytes into one cell, asks the audit, and puts the old ones back. */
static bool is_found(struct store *s, const char *table, const char *column, const char *where,
                     struct span bytes, const char *thread, int64_t seq)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    MUST(db_script(s->db, "BEGIN", &trouble));
    MUST(db_script(s->db,
                   arena_printf(&a, "UPDATE %s SET %s = CAST(x'%s' AS TEXT) WHERE %s", table,
                                column, hex_encode(&a, bytes), where),
                   &trouble));
    bool named = is_named(s, thread, seq);
    MUST(db_script(s->db, "ROLLBACK", &trouble));
    return named;
}

/* sql: a literal, as all that is prepared, that reads the cell. */
static void flip_all(struct store *s, const char *sql, const char *table, const char *column,
                     const char *where, const char *thread, int64_t seq)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    struct db_rows rows;
    MUST(db_query(s->db, &a, sql, DB_NO_ARGS, &rows, &trouble));
    cr_assert_eq(rows.count, 1);
    const char *text = db_cell_text(&rows, 0, 0);
    size_t len = strlen(text);
    for (size_t i = 0; i < len; i++)
        for (unsigned bit = 0; bit < 8; bit += table[0] == 'e' ? 1 : 3) {
            char *other = arena_strndup(&a, text, len);
            other[i] = (char)(other[i] ^ (1 << bit));
            cr_expect(is_found(s, table, column, where, (struct span){other, len}, thread, seq),
                      "%s.%s, byte %zu, bit %u", table, column, i, bit);
        }
    /* Shorter, longer, and longer behind a NUL. */
    cr_expect(is_found(s, table, column, where, (struct span){text, len - 1}, thread, seq));
    for (const char *more = "x "; *more != '\0'; more++) {
        char *longer = arena_printf(&a, "%s%c", text, *more);
        cr_expect(is_found(s, table, column, where, (struct span){longer, len + 1}, thread, seq));
        longer[len] = '\0';
        cr_expect(is_found(s, table, column, where, (struct span){longer, len + 1}, thread, seq),
                  "%s.%s: a NUL at the end", table, column);
    }
}

Test(store, names_the_event_of_which_any_bit_was_changed)
{
#define EVENT "thread = 't_a' AND seq = 2"
#define FLIP(table, column, where, thread) \
    flip_all(&s, "SELECT " column " FROM " table " WHERE " where, table, column, where, thread, 2)
    struct store s = opened();
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    fill(&s);
    FLIP("events", "data", EVENT, "t_a");
    FLIP("events", "actor", EVENT, "t_a");
    FLIP("events", "type", EVENT, "t_a");
    FLIP("events", "hash", EVENT, "t_a");
    FLIP("checkpoints", "heads", "id = 2", NULL);
    FLIP("checkpoints", "hash", "id = 2", NULL);
    FLIP("checkpoints", "previous", "id = 2", NULL);
    for (int bit = 0; bit < 63; bit++) {
        MUST(db_script(s.db, "BEGIN", &trouble));
        MUST(db_script(s.db,
                       arena_printf(&a,
                                    "UPDATE events SET at_ms = (at_ms | %lld) - (at_ms & %lld) "
                                    "WHERE %s",
                                    1LL << bit, 1LL << bit, EVENT),
                       &trouble));
        cr_expect(is_named(&s, "t_a", 2), "bit %d of the time", bit);
        MUST(db_script(s.db, "ROLLBACK", &trouble));
    }
    cr_expect(!is_named(&s, "t_a", 2), "and all of it was put back");
    store_close(&s);
}

Test(store, names_each_event_that_is_gone_and_each_pair_that_is_swapped)
{
    struct store s = opened();
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    fill(&s);
    for (int seq = 1; seq <= 4; seq++) {
        static const char *const ways[] = {"=", ">="};
        for (size_t i = 0; i < COUNT(ways); i++) {
            MUST(db_script(s.db, "BEGIN", &trouble));
            MUST(db_script(s.db,
                           arena_printf(&a, "DELETE FROM events WHERE thread = 't_a' AND seq %s %d",
                                        ways[i], seq),
                           &trouble));
            cr_expect(is_named(&s, "t_a", seq), "%s %d", ways[i], seq);
            MUST(db_script(s.db, "ROLLBACK", &trouble));
        }
        for (int other = seq + 1; other <= 4; other++) {
            MUST(db_script(s.db, "BEGIN", &trouble));
            MUST(db_script(s.db,
                           arena_printf(&a,
                                        "UPDATE events SET seq = -seq WHERE thread = 't_a' AND seq "
                                        "IN (%d, %d); UPDATE events SET seq = %d + seq WHERE "
                                        "thread = 't_a' AND seq < 0",
                                        seq, other, seq + other),
                           &trouble));
            cr_expect(is_named(&s, "t_a", seq), "%d and %d", seq, other);
            cr_expect(is_named(&s, "t_a", other), "%d and %d", other, seq);
            MUST(db_script(s.db, "ROLLBACK", &trouble));
        }
    }
    store_close(&s);
}

/* Who can compute hashes still cannot change what a checkpoint has seen. */
Test(store, names_a_chain_that_was_written_anew)
{
    struct store s = opened();
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    struct audit_finding *found;
    size_t n;
    int64_t threads, count;
    struct event *events;
    fill(&s);
    MUST(store_load_events(&s, &a, "t_b", 0, 0, &events, &n, &trouble));
    const char *previous = NULL;
    for (size_t i = 0; i < n; i++) {
        events[i].actor = "person:eve";
        events[i].hash = event_hash(&a, previous, "t_b", &events[i]);
        previous = events[i].hash;
        MUST(db_run(s.db, "UPDATE events SET actor = $3, hash = $4 WHERE thread = $1 AND seq = $2",
                    DB_ARGS(db_text("t_b"), db_int(events[i].seq), db_text(events[i].actor),
                            db_text(events[i].hash)),
                    &trouble));
    }
    MUST(db_run(s.db, "UPDATE threads SET last_hash = $1 WHERE id = 't_b'",
                DB_ARGS(db_text(previous)), &trouble));
    MUST(store_verify(&s, &a, &found, &n, &threads, &count, &trouble));
    cr_assert_gt(n, 0u);
    cr_expect_str_eq(found[0].thread, "t_b");
    cr_expect_str_eq(found[0].sentence, "it differs from what a checkpoint names");
    store_close(&s);
}

/* ---- failures ---------------------------------------------------------------------------- */

/* A little of everything, as one batch. */
static bool work(struct store *s, struct arena *a, struct err *err)
{
    static const char *const keys[] = {"k1", "k2", NULL};
    struct thread_row row = {.t = {.id = "t_a", .agent = "bot", .root = "t_a", .title = ""}};
    struct request_row r = request_row("r_1", "4821", 10);
    struct vote_row vote = {.person = "alice", .decision = "approve", .via = "web"};
    struct timer_row timer = {.due_at_ms = 1, .kind = "ask", .ref = "r_1"};
    struct delivery_row d = {
        .id = "d_1", .thread = "t_a", .channel = "c", .message = "{}", .lane = "l"};
    struct json *data = json_object(a);
    bool seen, won;
    json_set_text(a, data, "output", long_text(a, 20000, 'x'));
    return store_begin(s, err) && db_savepoint(s->db, err) &&
           store_remember(s, keys, 1, &seen, err) && store_add_arrival(s, "ops", "{}", 1, 1, err) &&
           db_release(s->db, err) && db_savepoint(s->db, err) &&
           store_add_thread(s, a, &row, err) &&
           store_append(s, a, "t_a", EVENT_NOTE, "system", data, 1, NULL, err) &&
           store_add_request(s, &r, err) && store_put_vote(s, "r_1", &vote, err) &&
           store_decide(
               s, "r_1",
               &(struct request_end){
                   .status = "approved", .by = "person:a", .comment = NULL, .answer = NULL},
               2, &won, err) &&
           store_add_timer(s, &timer, err) && store_add_delivery(s, &d, err) &&
           db_release(s->db, err) && store_checkpoint(s, a, 3, err) && store_commit(s, err);
}

static int64_t rows_in_all(struct store *s)
{
    return count_of(s, "SELECT (SELECT COUNT(*) FROM seen) + (SELECT COUNT(*) FROM arrivals) + "
                       "(SELECT COUNT(*) FROM threads) + (SELECT COUNT(*) FROM events) + "
                       "(SELECT COUNT(*) FROM blobs) + (SELECT COUNT(*) FROM requests) + "
                       "(SELECT COUNT(*) FROM votes) + (SELECT COUNT(*) FROM timers) + "
                       "(SELECT COUNT(*) FROM deliveries) + (SELECT COUNT(*) FROM checkpoints)");
}

Test(store, keeps_nothing_of_a_batch_whichever_of_its_calls_fails)
{
    struct store s = opened();
    bool done = false;
    int64_t n = 0;
    while (!done) {
        CLEANUP(arena_done) struct arena a = ARENA_INIT;
        struct err err = ERR_INIT;
        db_fail_at(s.db, ++n, DB_FAIL_BUSY);
        done = work(&s, &a, &err);
        db_fail_at(s.db, 0, DB_FAIL_BUSY);
        if (done)
            break;
        cr_expect_eq(err.kind, ERR_TRANSIENT, "%lld: %s", (long long)n, err.text);
        store_rollback(&s);
        cr_expect_eq(rows_in_all(&s), 0, "after call %lld", (long long)n);
        cr_assert_lt(n, 100);
    }
    cr_expect_gt(n, 15, "the scenario makes that many calls");
    cr_expect_eq(rows_in_all(&s), 11);
    store_close(&s);
}

Test(store, loses_only_the_letter_whose_savepoint_is_rolled_back)
{
    struct store s = opened();
    MUST(store_begin(&s, &trouble));
    MUST(store_meta_set(&s, "first", "1", &trouble));
    MUST(db_savepoint(s.db, &trouble));
    MUST(store_meta_set(&s, "second", "2", &trouble));
    db_rollback_to_savepoint(s.db);
    MUST(db_savepoint(s.db, &trouble));
    MUST(store_meta_set(&s, "third", "3", &trouble));
    MUST(db_release(s.db, &trouble));
    MUST(store_commit(&s, &trouble));
    cr_expect_eq(count_of(&s, "SELECT COUNT(*) FROM meta WHERE key IN ('first','third')"), 2);
    cr_expect_eq(count_of(&s, "SELECT COUNT(*) FROM meta WHERE key = 'second'"), 0);
    store_close(&s);
}

Test(store, takes_no_batch_on_a_full_disk_and_goes_on_when_there_is_room)
{
    struct store s = opened();
    struct rlimit room;
    struct err err = ERR_INIT;
    struct stat st;
    (void)signal(SIGXFSZ, SIG_IGN);
    MUST(store_begin(&s, &trouble));
    MUST(store_meta_set(&s, "before", "1", &trouble));
    MUST(store_commit(&s, &trouble));
    cr_assert_eq(stat(path, &st), 0);
    cr_assert_eq(getrlimit(RLIMIT_FSIZE, &room), 0);
    rlim_t old = room.rlim_cur;
    room.rlim_cur = (rlim_t)st.st_size + 40000;
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &room), 0);
    bool ok = true;
    int64_t batches = 0;
    for (; ok && batches < 1000; batches++) {
        CLEANUP(arena_done) struct arena a = ARENA_INIT;
        char *key = arena_printf(&a, "k%lld", (long long)batches);
        ok = store_begin(&s, &err) && store_meta_set(&s, key, long_text(&a, 5000, 'x'), &err) &&
             store_commit(&s, &err);
    }
    cr_assert_not(ok, "the disk was never full");
    cr_expect_eq(err.kind, ERR_TRANSIENT, "%s", err.text);
    store_rollback(&s);
    room.rlim_cur = old;
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &room), 0);
    cr_expect_eq(count_of(&s, "SELECT COUNT(*) FROM meta WHERE key LIKE 'k%'"), batches - 1,
                 "what was committed is there, what was not is not");
    MUST(store_begin(&s, &trouble));
    MUST(store_meta_set(&s, "after", "1", &trouble));
    MUST(store_commit(&s, &trouble));
    store_close(&s);
}

/* ---- copies and costs -------------------------------------------------------------------- */

Test(store, copies_itself_into_a_new_file_and_over_no_old_one)
{
    struct store s = opened(), copy = {0}, reader = {0};
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    struct audit_finding *found;
    size_t n;
    int64_t threads, events;
    char to[96], to_url[112];
    (void)snprintf(to, sizeof to, "%s/copy.db", folder);
    (void)snprintf(to_url, sizeof to_url, "sqlite:%s", to);
    fill(&s);
    MUST(store_open(&reader, url, DB_READ_ONLY, &trouble));
    MUST(db_backup(reader.db, to, &trouble));
    cr_expect_not(store_meta_set(&reader, "k", "v", NULL), "afterwards it only reads again");
    struct err err = ERR_INIT;
    cr_expect_not(db_backup(s.db, to, &err));
    cr_expect_eq(err.kind, ERR_CONFLICT, "%s", err.text);
    MUST(store_open(&copy, to_url, DB_WRITE, &trouble));
    MUST(store_verify(&copy, &a, &found, &n, &threads, &events, &trouble));
    cr_expect_eq(n, 0);
    cr_expect_eq(events, 7);
    store_close(&copy);
    store_close(&reader);
    store_close(&s);
}

Test(store, makes_few_statements_for_a_webhook)
{
    struct store s = opened();
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    static const char *const keys[] = {"ops:event:Ev1", "ops:message:C1:1.2", NULL};
    const char *thread;
    bool seen;
    add_in_conversation(&s, &a, "t_a", "bot", "t_a", THREAD_RUNNING, 1);
    MUST(store_begin(&s, &trouble));
    struct db_counts before = db_counts(s.db);
    MUST(db_savepoint(s.db, &trouble));
    MUST(store_thread_of_conversation(&s, &a, "ops", "C1", "1.2", &thread, &trouble));
    MUST(store_remember(&s, keys, 1, &seen, &trouble));
    MUST(store_add_arrival(&s, "ops", "{}", 1, 1, &trouble));
    MUST(db_release(s.db, &trouble));
    cr_expect_leq(db_counts(s.db).statements - before.statements, 6);
    MUST(store_commit(&s, &trouble));
    cr_expect_eq(db_counts(s.db).commits - before.commits, 1);
    store_close(&s);
}

Test(store, lists_threads_and_requests_by_pages)
{
    struct store s = opened();
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    struct thread_row *list;
    struct request_row *requests;
    size_t n;
    for (int i = 0; i < 5; i++) {
        add_thread(&s, &a, arena_printf(&a, "t_%d", i), i < 3 ? "bot" : "other", 100 + i / 2);
        struct request_row r = request_row(arena_printf(&a, "r_%d", i), "1", 100 + i / 2);
        MUST(store_add_request(&s, &r, &trouble));
    }
    MUST(store_set_thread(&s, "t_1", THREAD_DONE, NULL, "done", &trouble));
    static const struct {
        struct thread_filter filter;
        const char *first;
        size_t count;
    } cases[] = {
        {{.limit = 10}, "t_4", 5},
        {{.limit = 2}, "t_4", 2},
        {{.limit = 10, .before_ms = 101, .before_id = "t_3"}, "t_2", 3},
        {{.limit = 10, .status = "done"}, "t_1", 1},
        {{.limit = 10, .agent = "bot"}, "t_2", 3},
        {{.limit = 10, .agent = "bot", .status = "running"}, "t_2", 2},
        {{.limit = 10, .agent = "nobody"}, NULL, 0},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        MUST(store_list_threads(&s, &a, &cases[i].filter, &list, &n, &trouble));
        cr_assert_eq(n, cases[i].count, "%zu", i);
        if (n > 0)
            cr_expect_str_eq(list[0].t.id, cases[i].first, "%zu", i);
    }
    struct request_filter open = {.status = "open", .limit = 3};
    MUST(store_list_requests(&s, &a, &open, &requests, &n, &trouble));
    cr_assert_eq(n, 3);
    cr_expect_str_eq(requests[0].id, "r_4");
    open =
        (struct request_filter){.thread = "t_a", .limit = 10, .before_ms = 101, .before_id = "r_3"};
    MUST(store_list_requests(&s, &a, &open, &requests, &n, &trouble));
    cr_assert_eq(n, 3);
    cr_expect_str_eq(requests[0].id, "r_2");
    store_close(&s);
}

/* A file that is not there is another matter than one that cannot be read now. */
Test(store, says_whether_it_is_missing_or_cannot_be_opened)
{
    struct err err = ERR_INIT;
    cr_expect_null(db_open("sqlite:/tmp/signoff-no-such-folder/x.db", DB_READ_ONLY, &err));
    cr_expect_eq(err.kind, ERR_MISSING, "%s", err.text);
    cr_expect_null(db_open("sqlite:/tmp", DB_READ_ONLY, &err));
    cr_expect_eq(err.kind, ERR_TRANSIENT, "%s", err.text);
}

/* An I/O error ends the whole transaction: what comes after it in the batch is not stored either.
 */
Test(store, does_not_go_on_in_a_transaction_that_was_rolled_back)
{
    struct store s = opened();
    struct err err = ERR_INIT;
    MUST(store_begin(&s, &trouble));
    MUST(db_savepoint(s.db, &trouble));
    MUST(store_meta_set(&s, "first", "1", &trouble));
    MUST(db_release(s.db, &trouble));
    MUST(db_savepoint(s.db, &trouble));
    db_fail_at(s.db, 1, DB_FAIL_BROKEN);
    cr_expect_not(store_meta_set(&s, "second", "1", &err));
    db_rollback_to_savepoint(s.db);
    cr_expect_not(db_savepoint(s.db, &err));
    cr_expect_eq(err.kind, ERR_TRANSIENT, "%s", err.text);
    store_rollback(&s);
    cr_expect_eq(count_of(&s, "SELECT COUNT(*) FROM meta WHERE key IN ('first', 'second')"), 0);
    MUST(store_begin(&s, &trouble));
    MUST(db_savepoint(s.db, &trouble));
    MUST(store_meta_set(&s, "first", "1", &trouble));
    MUST(db_release(s.db, &trouble));
    MUST(store_commit(&s, &trouble));
    store_close(&s);
}
