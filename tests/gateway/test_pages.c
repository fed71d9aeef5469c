/* The pages: what is foreign stays data, what must be said is said, GET shows and never decides. */
#include "gateway/base/text.h"
#include "gateway/pages.h"
#include "gateway/sessions.h"
#include "tests/gateway/shop.h"

#include <criterion/criterion.h>
#include <string.h>

static struct shop shop;

static void open_shop(void)
{
    shop_open(&shop);
}

static void close_shop(void)
{
    shop_close(&shop);
}

TestSuite(pages, .init = open_shop, .fini = close_shop);

static struct page page_for(const char *person, const char *path, const char *query)
{
    struct page page;
    struct err err = ERR_INIT;
    struct page_request in = {.a = &shop.a,
                              .config = shop.config,
                              .store = &shop.store,
                              .now_ms = shop.now_ms,
                              .path = path,
                              .query = query,
                              .person = person == NULL ? NULL
                                                       : person_by_id(&shop.config->people, person),
                              .form_token = person == NULL ? NULL : "f0rmt0ken"};
    cr_assert(pages_get(&in, &page, &err), "%s: %s", path, err.text);
    return page;
}

static const char *alice_sees(const char *path)
{
    return page_for("alice", path, NULL).body;
}

static bool has(const char *page, const char *text)
{
    return strstr(page, text) != NULL;
}

#define SHA_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define SHA_B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define PLACE                                                                                  \
    "\"place\":{\"environment\":\"production\",\"component\":\"backend\",\"current\":\"" SHA_A \
    "\",\"state\":\"ok\"}"

static void ask_with(const char *facts)
{
    shop_thread(&shop, "t_1", "one", 1000);
    shop_request(&shop, &(struct shop_request){.id = "r_1",
                                               .thread = "t_1",
                                               .tool = "deploy_backend",
                                               .arguments = "{\"sha\":\"" SHA_B "\"}",
                                               .facts = facts});
}

static const struct {
    const char *name, *text; /* as JSON would hold it, unescaped */
    const char *never;       /* what may not be in the page */
    const char *shown;       /* what must be */
} hostile[] = {
    {"a tag that ends a context", "</github_pull_request>", "</github_pull_request>",
     "&lt;/github_pull_request&gt;"},
    {"a script", "<script>alert(1)</script>", "<script>alert", "&lt;script&gt;alert(1)"},
    {"a double quote", "x\" onmouseover=\"alert(1)", "x\" onmouseover", "x&quot; onmouseover"},
    {"a single quote", "x' onload='y", "x' onload", "onload"},
    {"an ampersand", "a&lt;b", "a&lt;b", "a&amp;lt;b"},
    {"a control character", "red\033[31m", "\033", "red\\u001b[31m"},
    {"a bell and a backspace", "a\ab\b", "\a", "a\\u0007b\\u0008"},
    {"a right-to-left override",
     "abc\xE2\x80\xAE"
     "exe",
     "\xE2\x80\xAE", "abc\\u202eexe"},
    {"an isolate", "\xE2\x81\xA6hidden\xE2\x81\xA9", "\xE2\x81\xA6", "\\u2066hidden\\u2069"},
    {"a zero width space",
     "a\xE2\x80\x8B"
     "b",
     "\xE2\x80\x8B", "a\\u200bb"},
    {"a template", "{{form_token}}", "f0rmt0ken\"}", "{{form_token}}"},
};

/* The text at every place where somebody else's words go. */
static void fill_with(const char *text)
{
    struct json *o = json_object(&shop.a);
    json_set_text(&shop.a, o, "x", text);
    char *object = json_write(&shop.a, o);
    char *quoted = json_write(&shop.a, json_get(o, "x"));
    shop_thread(&shop, "t_1", text, 1000);
    shop_event(&shop, "t_1", EVENT_GITHUB_PULL_REQUEST, text,
               arena_printf(&shop.a, "{\"title\":%s,\"repo\":%s,\"author\":%s,\"sha\":%s}", quoted,
                            quoted, quoted, quoted));
    shop_event(&shop, "t_1", EVENT_SLACK_MESSAGE, "slack:U1",
               arena_printf(&shop.a, "{\"text\":%s}", quoted));
    shop_event(&shop, "t_1", EVENT_STEP, "agent:deploybot",
               arena_printf(&shop.a, "{\"intent\":%s,\"reasoning\":%s,\"arg\":%s}", quoted, quoted,
                            quoted));
    shop_event(&shop, "t_1", EVENT_TOOL_FINISHED, "system",
               arena_printf(&shop.a,
                            "{\"tool\":%s,\"outcome\":%s,\"result\":{\"exit\":1,\"output\":%s}}",
                            quoted, quoted, quoted));
    shop_event(&shop, "t_1", EVENT_NOTE, "system", object);
    shop_event(&shop, "t_1", EVENT_REQUEST_DECIDED, "person:alice",
               arena_printf(&shop.a, "{\"tool\":%s,\"outcome\":\"rejected\",\"comment\":%s}",
                            quoted, quoted));
    shop_request(&shop, &(struct shop_request){
                            .id = "r_1",
                            .thread = "t_1",
                            .tool = text,
                            .arguments = object,
                            .facts = arena_printf(
                                &shop.a,
                                "{\"given\":%s,\"commit\":{\"subject\":%s,\"author\":%s},"
                                "\"compare\":{\"status\":\"ahead\",\"commits\":[{\"sha\":%s,"
                                "\"subject\":%s,\"author\":%s}]}," PLACE "}",
                                quoted, quoted, quoted, quoted, quoted, quoted)});
    shop_request(&shop,
                 &(struct shop_request){
                     .id = "r_2",
                     .thread = "t_1",
                     .question = text,
                     .options = arena_printf(
                         &shop.a, "{\"format\":\"multiple_choice\",\"choices\":[%s]}", quoted)});
}

/* No byte that a browser, or a person's eye, would take for something else. */
static void no_hostile_bytes(const char *name, const char *page)
{
    for (const char *c = page; *c != '\0'; c++)
        cr_assert((unsigned char)*c >= 0x20 || *c == '\n' || *c == '\t', "%s: byte %02x", name,
                  (unsigned char)*c);
    cr_assert(utf8_valid(span_of(page)), "%s", name);
}

Test(pages, show_foreign_text_as_text)
{
    static const char *const paths[] = {"/", "/requests/r_1", "/requests/r_2", "/threads/t_1",
                                        "/threads/t_1/timeline"};
    for (size_t i = 0; i < COUNT(hostile); i++) {
        fill_with(hostile[i].text);
        for (size_t p = 0; p < COUNT(paths); p++) {
            const char *page = page_for("alice", paths[p], "all=1").body;
            cr_assert_not(has(page, hostile[i].never) && strcmp(hostile[i].never, "a&lt;b") != 0,
                          "%s at %s", hostile[i].name, paths[p]);
            cr_assert(has(page, hostile[i].shown), "%s at %s: %s", hostile[i].name, paths[p], page);
            no_hostile_bytes(hostile[i].name, page);
        }
        shop_close(&shop);
        shop_open(&shop);
    }
}

Test(pages, hold_no_script_or_style_of_their_own)
{
    ask_with(NULL);
    shop_event(&shop, "t_1", EVENT_API_MESSAGE, "person:bob", "{\"text\":\"hello\"}");
    static const char *const paths[] = {"/", "/requests/r_1", "/threads/t_1", "/nowhere"};
    for (size_t i = 0; i < COUNT(paths); i++) {
        const char *page = alice_sees(paths[i]);
        cr_assert_not(has(page, " style=") || has(page, "<style"), "%s", paths[i]);
        cr_assert_not(has(page, " onclick=") || has(page, "javascript:"), "%s", paths[i]);
        cr_assert_not(has(page, "<script>"), "%s", paths[i]);
        cr_assert_not(has(page, "src=\"http") || has(page, "href=\"http"), "%s", paths[i]);
    }
}

Test(pages, show_who_is_not_signed_in_the_sign_in_page_and_nothing_else)
{
    static const char *const paths[] = {"/", "/requests/r_1", "/requests/none", "/threads/t_1",
                                        "/threads/t_1/timeline"};
    ask_with(NULL);
    const char *first = NULL;
    for (size_t i = 0; i < COUNT(paths); i++) {
        struct page page = page_for(NULL, paths[i], "part=live");
        cr_assert_eq(page.status, 401);
        cr_assert(has(page.body, "signoff login PERSON"));
        cr_assert_not(has(page.body, "deploy_backend") || has(page.body, "4821"), "%s", paths[i]);
        first = first == NULL ? page.body : first;
        cr_assert_str_eq(page.body, first, "%s tells more than the others", paths[i]);
    }
}

Test(pages, show_every_argument_what_changes_and_both_buttons)
{
    ask_with("{" PLACE ",\"named\":true,\"given\":\"main\",\"compare\":{\"status\":\"ahead\","
             "\"ahead_by\":1,\"behind_by\":0,\"commits\":[{\"sha\":\"" SHA_B
             "\",\"subject\":\"Faster sums\",\"author\":\"Dex\"}]}}");
    const char *page = alice_sees("/requests/r_1");
    cr_assert(has(page, "deploy_backend"));
    cr_assert(has(page, "<dt>sha</dt><dd>" SHA_B "</dd>"));
    cr_assert(has(page, "What changes in production/backend"));
    cr_assert(has(page, ">aaaaaaa<") && has(page, ">bbbbbbb<"));
    cr_assert(has(page, "Faster sums") && has(page, "Dex"));
    cr_assert(has(page, "<code>main</code>"));
    cr_assert(has(page, "1 deployer (not the requester)"));
    cr_assert(has(page, "value=\"approve\"") && has(page, "value=\"reject\""));
    cr_assert(has(page, "name=\"form_token\" value=\"f0rmt0ken\""));
    cr_assert_not(has(page, "DOWNGRADE"));
    cr_assert_not(has(page, "No event of this thread"));
}

Test(pages, want_a_reason_for_a_rejection)
{
    ask_with(NULL);
    cr_assert(has(alice_sees("/requests/r_1"), "name=\"comment\" rows=\"3\" maxlength=\"4000\" "
                                               "required"));
}

Test(pages, say_downgrade_in_words)
{
    ask_with("{" PLACE ",\"compare\":{\"status\":\"behind\",\"behind_by\":3,\"commits\":[]}}");
    cr_assert(has(alice_sees("/requests/r_1"), "This is a DOWNGRADE."));
    cr_assert(has(alice_sees("/requests/r_1"), "takes back 3 commits"));
}

Test(pages, say_that_diverged_commits_are_partly_a_downgrade)
{
    ask_with("{" PLACE ",\"compare\":{\"status\":\"diverged\",\"behind_by\":1,\"commits\":[]}}");
    cr_assert(has(alice_sees("/requests/r_1"), "partly a DOWNGRADE"));
}

Test(pages, say_when_no_event_names_the_commit)
{
    ask_with("{" PLACE ",\"named\":false}");
    cr_assert(has(alice_sees("/requests/r_1"), "No event of this thread names this commit."));
}

Test(pages, let_the_requester_reject_only_and_others_nothing)
{
    ask_with(NULL);
    const char *bob = page_for("bob", "/requests/r_1", NULL).body;
    const char *eve = page_for("eve", "/requests/r_1", NULL).body;
    cr_assert_not(has(bob, "value=\"approve\""));
    cr_assert(has(bob, "value=\"reject\"") && has(bob, "You may reject it, but not approve it"));
    cr_assert_not(has(eve, "value=\"approve\"") || has(eve, "value=\"reject\""));
    cr_assert(has(eve, "You may not decide this"));
    cr_assert(has(alice_sees("/"), "Waits for you <span class=\"count\">1<"));
    cr_assert(has(page_for("eve", "/", NULL).body, "Waits for others <span class=\"count\">1<"));
}

Test(pages, offer_no_form_once_it_is_decided_and_say_by_whom_and_why)
{
    struct err err = ERR_INIT;
    bool won;
    ask_with(NULL);
    cr_assert(store_begin(&shop.store, &err) &&
              store_decide(&shop.store, "r_1",
                           &(struct request_end){.status = "rejected",
                                                 .by = "person:alice",
                                                 .comment = "backend\r\nfirst"},
                           shop.now_ms, &won, &err) &&
              store_commit(&shop.store, &err));
    const char *page = alice_sees("/requests/r_1");
    cr_assert(has(page, "Rejected by Alice Ng"));
    cr_assert(has(page, "backend\nfirst"));
    cr_assert_not(has(page, "name=\"decision\""));
}

Test(pages, offer_no_form_once_its_time_is_over)
{
    ask_with(NULL);
    shop.now_ms += 2 * 3600000;
    cr_assert_not(has(alice_sees("/requests/r_1"), "name=\"decision\""));
    cr_assert(has(alice_sees("/requests/r_1"), "Its time is over"));
}

static const struct {
    const char *options, *shown;
} questions[] = {
    {"{\"format\":\"free_text\"}", "<textarea id=\"answer\" name=\"answer\""},
    {"{\"format\":\"yes_no\"}", "name=\"answer\" value=\"yes\">Yes</button>"},
    {"{\"format\":\"multiple_choice\",\"choices\":[\"one\",\"two\"]}", "value=\"choice:1\">two<"},
};

Test(pages, ask_questions_in_their_own_way)
{
    shop_thread(&shop, "t_1", "one", 1000);
    for (size_t i = 0; i < COUNT(questions); i++) {
        char *id = arena_printf(&shop.a, "r_%zu", i);
        shop_request(&shop, &(struct shop_request){.id = id,
                                                   .thread = "t_1",
                                                   .question = "Which one?",
                                                   .options = questions[i].options});
        const char *page = page_for("eve", arena_printf(&shop.a, "/requests/%s", id), NULL).body;
        cr_assert(has(page, questions[i].shown), "%s", questions[i].options);
        cr_assert(has(page, "value=\"answer\""));
    }
}

Test(pages, sign_in_by_one_button_and_spend_nothing_on_a_look)
{
    struct err err = ERR_INIT;
    cr_assert(store_begin(&shop.store, &err) &&
              store_add_login(&shop.store, secret_hash(&shop.a, "abc"), "alice", "key demo",
                              shop.now_ms + 1000, &err) &&
              store_commit(&shop.store, &err));
    for (int looks = 0; looks < 2; looks++) {
        const char *page = page_for(NULL, "/login/abc", "next=/requests/r_1").body;
        cr_assert(has(page, "<form method=\"post\" action=\"/login/abc\">"));
        cr_assert(has(page, "name=\"next\" value=\"/requests/r_1\""));
        cr_assert(has(page, "Sign in as Alice Ng"));
    }
    cr_assert_eq(page_for(NULL, "/login/abd", NULL).status, 404);
}

Test(pages, go_on_after_signing_in_only_to_places_of_ours)
{
    struct err err = ERR_INIT;
    static const char *const elsewhere[] = {"next=https://evil.test",
                                            "next=//evil.test",
                                            "next=/%5Cevil.test",
                                            "next=/a%0d%0ab",
                                            "next=",
                                            "x=1"};
    cr_assert(store_begin(&shop.store, &err) &&
              store_add_login(&shop.store, secret_hash(&shop.a, "abc"), "alice", "key demo",
                              shop.now_ms + 1000, &err) &&
              store_commit(&shop.store, &err));
    for (size_t i = 0; i < COUNT(elsewhere); i++)
        cr_assert(has(page_for(NULL, "/login/abc", elsewhere[i]).body, "name=\"next\" value=\"/\""),
                  "%s", elsewhere[i]);
}

Test(pages, give_the_script_the_moving_part_alone)
{
    ask_with(NULL);
    cr_assert_not(has(page_for("alice", "/", "part=live").body, "<html"));
    cr_assert_not(has(page_for("alice", "/requests/r_1", "part=live").body, "<html"));
    cr_assert_not(has(alice_sees("/threads/t_1/timeline"), "<html"));
    cr_assert(has(alice_sees("/threads/t_1"), "aria-live=\"polite\""));
}

Test(pages, answer_404_to_what_is_not_there)
{
    cr_assert_eq(page_for("alice", "/nothing", NULL).status, 404);
    cr_assert_eq(page_for("alice", "/threads/t_0", NULL).status, 404);
    cr_assert_eq(page_for("alice", "/requests/0000", NULL).status, 404);
    cr_assert_eq(page_for("alice", "/requests/%zz", NULL).status, 404);
}
