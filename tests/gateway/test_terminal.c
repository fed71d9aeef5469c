/* What the command line prints: columns, cuts, words, and foreign text that a terminal must not
 * obey. */
#include "agents/thread.h"
#include "gateway/base/text.h"
#include "gateway/terminal.h"

#include <criterion/criterion.h>
#include <string.h>

static char *printed(struct arena *a, void (*print)(struct terminal *t, struct arena *a), int width)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    struct terminal t = {.out = out, .width = width};
    print(&t, a);
    fclose(out);
    char *copy = arena_strdup(a, text);
    free(text);
    return copy;
}

Test(terminal_columns, counts_wide_and_combining_characters)
{
    cr_assert_eq(terminal_columns("abc"), 3);
    cr_assert_eq(terminal_columns("né"), 2);
    cr_assert_eq(terminal_columns("ne\xCC\x81"), 2);
    cr_assert_eq(terminal_columns("日本"), 4);
    cr_assert_eq(terminal_columns("🚀"), 2);
}

Test(terminal_cut, cuts_between_characters_and_says_so)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    cr_assert_str_eq(terminal_cut(&a, "abcdef", 6), "abcdef");
    cr_assert_str_eq(terminal_cut(&a, "abcdefg", 6), "abcde…");
    cr_assert_str_eq(terminal_cut(&a, "日本語", 4), "日…");
    cr_assert_str_eq(terminal_cut(&a, "abcdef", 0), "abcdef");
}

static void print_table(struct terminal *t, struct arena *a)
{
    static const char *const heads[] = {"id", "title"};
    const struct terminal_cell cells[] = {{.text = "t_1"},
                                          {.text = "a title that is rather long"},
                                          {.text = "日本"},
                                          {.text = "short"}};
    terminal_table(t, a, heads, 2, cells, 2);
}

Test(terminal_table, aligns_columns_and_cuts_only_the_last)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    cr_assert_str_eq(printed(&a, print_table, 20),
                     "id    title\nt_1   a title that …\n日本  short\n");
}

Test(terminal_table, cuts_nothing_in_a_pipe)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    cr_assert(strstr(printed(&a, print_table, 0), "a title that is rather long\n") != NULL);
}

static void print_block(struct terminal *t, struct arena *a)
{
    terminal_block(t, a, "one two three four five six\n\nlast", 2, 3);
}

Test(terminal_block, breaks_at_spaces_and_counts_what_is_missing)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    cr_assert_str_eq(printed(&a, print_block, 24),
                     "  │ one two three four\n  │ five six\n  │ \n  │ … 1 more lines\n");
}

Test(terminal, paints_nothing_where_nobody_looks)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    struct terminal pipe = {.out = stdout}, screen = {.out = stdout, .has_colour = true};
    cr_assert_str_eq(terminal_paint(&pipe, &a, TONE_BAD, "x"), "x");
    cr_assert_str_eq(terminal_paint(&screen, &a, TONE_BAD, "x"), "\033[31mx\033[0m");
    cr_assert_str_eq(terminal_paint(&screen, &a, TONE_PLAIN, "x"), "x");
}

Test(ago, says_the_time_in_words)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    static const struct {
        int64_t away_ms;
        const char *text;
    } rows[] = {
        {0, "just now"},          {-1999, "just now"},          {-2000, "2 seconds ago"},
        {-60000, "1 minute ago"}, {-3599999, "59 minutes ago"}, {-7200000, "2 hours ago"},
        {-86400000, "1 day ago"}, {14390000, "in 4 hours"},     {90000, "in 2 minutes"},
    };
    for (size_t i = 0; i < COUNT(rows); i++)
        cr_assert_str_eq(ago_text(&a, 1000000000 + rows[i].away_ms, 1000000000), rows[i].text);
}

/* ---- stories ---- */

static struct told told(struct arena *a, const char *event)
{
    return told_event(a, NULL, json_parse_own(a, event));
}

Test(story, shows_what_a_terminal_would_obey)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    struct told t = told(&a, "{\"type\":\"tool_finished\",\"actor\":\"system\",\"data\":{\"tool\":"
                             "\"a\\u001b[2Jb\",\"outcome\":\"ok\",\"result\":{\"exit\":0,"
                             "\"output\":\"x\\u001b]0;owned\\u0007\\r\\n\\u202etxt\"}}}");
    cr_assert_str_eq(t.head, "a\\u001b[2Jb ended: ok (exit 0)");
    cr_assert_str_eq(t.body, "x\\u001b]0;owned\\u0007\n\\u202etxt");
}

Test(story, names_who_decided_and_why)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    struct told t = told(
        &a,
        "{\"type\":\"request_decided\",\"actor\":\"person:alice\",\"data\":{\"tool\":\"deploy\","
        "\"arguments\":{\"sha\":\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"},\"outcome\":"
        "\"rejected\",\"comment\":\"later\"}}");
    cr_assert_str_eq(t.head, "alice rejected deploy sha=aaaaaaa");
    cr_assert_str_eq(t.body, "later");
    cr_assert_eq(t.tone, TONE_BAD);
}

Test(story, keeps_machinery_apart)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    cr_assert(told(&a, "{\"type\":\"note\",\"data\":{\"fact\":\"x\"}}").is_detail);
    cr_assert(told(&a, "{\"type\":\"model_asked\",\"data\":{\"model\":\"m\"}}").is_detail);
    cr_assert_not(told(&a, "{\"type\":\"vote_refused\",\"data\":{\"why\":\"no\"}}").is_detail);
}

Test(story, tells_every_type_of_event_even_without_its_data)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    for (int type = 0; type <= EVENT_NOTE; type++) {
        struct told t = told(&a, arena_printf(&a, "{\"type\":\"%s\",\"data\":{}}",
                                              event_type_name((enum event_type)type)));
        cr_assert(t.head != NULL && *t.head != '\0');
    }
}
