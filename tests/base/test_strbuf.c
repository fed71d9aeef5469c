/* Text with a bound. */
#include "gateway/base/strbuf.h"

#include <criterion/criterion.h>
#include <string.h>

Test(strbuf, is_text_at_all_times)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    struct strbuf b;
    strbuf_init(&b, &a, 1000);
    cr_expect_str_eq(b.text, "");
    strbuf_add(&b, "one");
    strbuf_addc(&b, ',');
    strbuf_addn(&b, "two!", 3);
    strbuf_addf(&b, "%03d", 7);
    cr_expect_str_eq(b.text, "one,two007");
    cr_expect_eq(b.len, 10);
}

Test(strbuf, holds_exactly_its_limit)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    struct strbuf b;
    strbuf_init(&b, &a, 3);
    strbuf_add(&b, "abc");
    cr_expect_not(strbuf_overflowed(&b));
    strbuf_add(&b, "");
    cr_expect_not(strbuf_overflowed(&b));
    strbuf_addc(&b, 'd');
    cr_expect(strbuf_overflowed(&b));
    cr_expect_str_eq(b.text, "abc");
}

Test(strbuf, leaves_out_whole_what_does_not_fit_and_all_that_follows)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    struct strbuf b;
    strbuf_init(&b, &a, 5);
    strbuf_add(&b, "abc");
    strbuf_add(&b, "def");
    strbuf_add(&b, "g");
    cr_expect_str_eq(b.text, "abc");
    cr_expect(strbuf_overflowed(&b));
}

Test(strbuf, formats_texts_longer_than_its_own_room)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    struct strbuf b;
    strbuf_init(&b, &a, 100000);
    for (int width = 250; width < 260; width++)
        strbuf_addf(&b, "%*d", width, 1);
    cr_expect_eq(b.len, 2545);
    cr_expect_eq(strlen(b.text), b.len);
}
