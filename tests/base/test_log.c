#include "gateway/base/log.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int ends[2];
static char seen[65536];

static void open_log(enum log_level least, enum log_format format)
{
    cr_assert(pipe(ends) == 0);
    log_init(least, format, ends[1]);
}

/* All that was written so far, NUL-terminated. */
static const char *read_log(void)
{
    ssize_t n = read(ends[0], seen, sizeof seen - 1);
    seen[n > 0 ? n : 0] = '\0';
    return seen;
}

/* The line after its time, which no test can know. */
static const char *after_time(void)
{
    const char *line = read_log();
    cr_assert(strncmp(line, "ts=20", 5) == 0, "%s", line);
    cr_assert(line[27] == ' ' && line[26] == 'Z', "%s", line);
    return line + 28;
}

Test(log, writes_one_line_of_typed_fields)
{
    open_log(LEVEL_INFO, LOG_LOGFMT);
    log_info("delivery.sent", L_INT("thread", 42), L_STR("channel", "ops-slack"), L_MS("took", 231),
             L_BOOL("repeat", true), L_STR("absent", NULL));
    cr_assert_str_eq(
        after_time(),
        "level=info event=delivery.sent thread=42 channel=ops-slack took_ms=231 repeat=true\n");
}

Test(log, needs_no_field)
{
    open_log(LEVEL_INFO, LOG_LOGFMT);
    log_warn("gateway.stopped");
    cr_assert_str_eq(after_time(), "level=warn event=gateway.stopped\n");
}

Test(log, leaves_out_what_is_below_its_level)
{
    open_log(LEVEL_WARN, LOG_LOGFMT);
    log_debug("a.b");
    log_info("a.c");
    log_error("a.d");
    cr_assert_str_eq(after_time(), "level=error event=a.d\n");
    cr_assert(!log_is_on(LEVEL_INFO));
}

Test(log, foreign_text_cannot_forge_a_line_or_a_field)
{
    static const struct {
        const char *name, *text, *expected;
    } cases[] = {
        {"line feed", "x\nts=1 event=forged", "\"x\\nts=1 event=forged\""},
        {"quote", "a\" event=forged \"", "\"a\\\" event=forged \\\"\""},
        {"backslash at the end", "a\\", "\"a\\\\\""},
        {"equals", "event=forged", "\"event=forged\""},
        {"escape sequence", "\033[2J", "\"\\u001b[2J\""},
        {"C1 control",
         "\xc2\x9b"
         "2J",
         "\"\\u009b2J\""},
        {"reordering",
         "a\xe2\x80\xae"
         "b",
         "\"a\\u202eb\""},
        {"line separator", "a\xe2\x80\xa8", "\"a\\u2028\""},
        {"invalid UTF-8", "a\xff\xc0\xaf", "\"a\\ufffd\\ufffd\\ufffd\""},
        {"half a sequence at the end", "a\xe2\x80", "\"a\\ufffd\\ufffd\""},
        {"surrogate", "\xed\xa0\x80", "\"\\ufffd\\ufffd\\ufffd\""},
        {"plain UTF-8", "Zoë 😀", "\"Zoë 😀\""},
        {"empty", "", "\"\""},
    };
    open_log(LEVEL_INFO, LOG_LOGFMT);
    for (size_t i = 0; i < COUNT(cases); i++) {
        log_info("e.v", L_STR("f", cases[i].text));
        char expected[200];
        snprintf(expected, sizeof expected, "level=info event=e.v f=%s\n", cases[i].expected);
        cr_expect_str_eq(after_time(), expected, "%s", cases[i].name);
    }
}

Test(log, writes_json_as_well)
{
    open_log(LEVEL_INFO, LOG_JSON);
    log_info("a.b", L_STR("s", "x\"\n"), L_INT("n", -5), L_BOOL("t", false));
    const char *line = read_log();
    cr_assert(strncmp(line, "{\"ts\":\"20", 9) == 0);
    cr_assert_str_eq(line + 32, ",\"level\":\"info\",\"event\":\"a.b\",\"s\":\"x\\\"\\n\",\"n\":-5,"
                                "\"t\":false}\n");
}

Test(log, cuts_a_value_at_its_limit_and_says_so)
{
    char text[LOG_VALUE_MAX + 2];
    memset(text, 'a', sizeof text);
    text[LOG_VALUE_MAX] = '\0';
    open_log(LEVEL_INFO, LOG_LOGFMT);
    log_info("a.b", L_STR("f", text));
    cr_assert(strstr(after_time(), "…") == NULL);
    text[LOG_VALUE_MAX] = 'b';
    text[LOG_VALUE_MAX + 1] = '\0';
    log_info("a.b", L_STR("f", text));
    const char *line = after_time();
    cr_assert(strstr(line, "a…\"\n") != NULL, "%s", line);
    cr_assert(strchr(line, 'b') != NULL && strstr(line, "ab") == NULL);
}

Test(log, a_line_stays_within_its_limit_and_whole)
{
    char text[LOG_VALUE_MAX];
    memset(text, '\n', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    for (enum log_format format = LOG_LOGFMT; format <= LOG_JSON; format++) {
        open_log(LEVEL_INFO, format);
        log_info("a.b", L_STR("f1", text), L_STR("f2", text), L_STR("f3", "no room"));
        const char *line = read_log();
        cr_assert(strlen(line) <= LOG_LINE_MAX);
        cr_assert(strstr(line, "f2") == NULL, "half a field is none");
        const char *end = format == LOG_JSON ? "\"cut\":true}\n" : " cut=true\n";
        cr_assert_str_eq(line + strlen(line) - strlen(end), end);
    }
}

Test(log, a_scope_adds_its_field_until_it_ends)
{
    open_log(LEVEL_INFO, LOG_LOGFMT);
    {
        LOG_WITH(L_INT("thread", 7));
        LOG_WITH(L_STR("agent", "deploybot"));
        log_info("a.b", L_INT("n", 1));
        cr_assert_str_eq(after_time(), "level=info event=a.b thread=7 agent=deploybot n=1\n");
    }
    log_info("a.b");
    cr_assert_str_eq(after_time(), "level=info event=a.b\n");
}

Test(log, keeps_errno_even_when_nobody_can_read)
{
    log_init(LEVEL_INFO, LOG_LOGFMT, 9999);
    errno = ENOENT;
    log_info("a.b");
    cr_assert_eq(errno, ENOENT);
}

static char first[] = "first", second[] = "second";

static void *write_many(void *arg)
{
    for (int i = 0; i < 50; i++)
        log_info("a.b", L_STR("who", arg), L_STR("text", "some words that make it longer"));
    return NULL;
}

Test(log, lines_of_threads_do_not_mix)
{
    open_log(LEVEL_INFO, LOG_LOGFMT);
    pthread_t a, b;
    pthread_create(&a, NULL, write_many, first);
    pthread_create(&b, NULL, write_many, second);
    pthread_join(a, NULL);
    pthread_join(b, NULL);
    close(ends[1]);
    size_t len = 0;
    for (ssize_t n; (n = read(ends[0], seen + len, sizeof seen - 1 - len)) > 0;)
        len += (size_t)n;
    seen[len] = '\0';
    int lines = 0;
    for (char *line = seen, *end; (end = strchr(line, '\n')) != NULL; line = end + 1) {
        lines++;
        cr_assert(strncmp(line, "ts=", 3) == 0);
        cr_assert(end[-1] == '"');
    }
    cr_assert_eq(lines, 100);
}

Test(log, levels_have_names)
{
    enum log_level level;
    cr_assert(log_level_from_name("warn", &level) && level == LEVEL_WARN);
    cr_assert(!log_level_from_name("warning", &level));
}
