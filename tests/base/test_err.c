/* Sentences of failure. */
#include "gateway/base/err.h"
#include "gateway/base/text.h"

#include <criterion/criterion.h>
#include <string.h>

Test(err, is_always_false_and_keeps_kind_and_sentence)
{
    struct err err = ERR_INIT;
    cr_expect_not(fail(&err, ERR_DENIED, "%s may not", "bob"));
    cr_expect_eq(err.kind, ERR_DENIED);
    cr_expect_str_eq(err.text, "bob may not");
    cr_expect_not(fail(NULL, ERR_DENIED, "nobody listens"));
}

Test(err, grows_its_context_to_the_left)
{
    struct err err = ERR_INIT;
    (void)fail(&err, ERR_INVALID, "is required");
    cr_expect_not(fail_in(&err, "channel"));
    cr_expect_not(fail_in(&err, "routes.ops"));
    cr_expect_str_eq(err.text, "routes.ops: channel: is required");
    cr_expect_eq(err.kind, ERR_INVALID);
}

Test(err, is_one_line_without_control_characters)
{
    struct err err = ERR_INIT;
    (void)fail(&err, ERR_INVALID, "a\nb\tc\x1b[0m\x7f");
    cr_expect_str_eq(err.text, "a?b?c?[0m?");
}

Test(err, is_cut_between_characters)
{
    char text[ERR_TEXT_SIZE + 20];
    for (size_t shift = 0; shift < 4; shift++) {
        memset(text, 'x', shift);
        for (size_t i = shift; i + 4 < sizeof text; i += 4)
            memcpy(text + i, "\xF0\x9F\x9A\x80", 5);
        struct err err = ERR_INIT;
        (void)fail(&err, ERR_INVALID, "%s", text);
        cr_expect(utf8_valid(span_of(err.text)), "shift %zu", shift);
        cr_expect(strlen(err.text) > ERR_TEXT_SIZE - 6);
    }
}

Test(err, names_every_kind)
{
    for (int kind = ERR_NONE; kind <= ERR_UNCERTAIN; kind++)
        cr_expect_not_null(err_kind_name((enum err_kind)kind));
    cr_expect_str_eq(err_kind_name(ERR_TOO_LARGE), "too_large");
}
