/* Small functions on text. */
#include "gateway/base/text.h"

#include <criterion/criterion.h>
#include <string.h>

Test(text, compares_and_takes_null_for_absent)
{
    cr_expect(text_eq(NULL, NULL));
    cr_expect_not(text_eq(NULL, ""));
    cr_expect(text_eq("a", "a"));
    cr_expect(span_eq((struct span){"abc", 2}, "ab"));
    cr_expect_not(span_eq((struct span){"abc", 2}, "abc"));
    cr_expect_not(span_eq((struct span){"", 0}, NULL));
    cr_expect_eq(span_of(NULL).len, 0);
    cr_expect(text_starts("abc", "ab") && !text_starts("a", "ab") && !text_starts(NULL, ""));
    cr_expect(text_ends("abc", "bc") && !text_ends("c", "bc") && !text_ends(NULL, ""));
}

Test(secret_eq, wants_the_same_length_and_the_same_bytes)
{
    cr_expect(secret_eq(span_of("abc"), span_of("abc")));
    cr_expect_not(secret_eq(span_of("abc"), span_of("abd")));
    cr_expect_not(secret_eq(span_of("abc"), span_of("ab")));
    cr_expect(secret_eq((struct span){NULL, 0}, span_of("")));
}

static const struct number {
    const char *text;
    bool ok;
    int64_t value;
} NUMBERS[] = {
    {"0", true, 0},
    {"-5", true, -5},
    {"007", true, 7},
    {"9223372036854775807", true, INT64_MAX},
    {"-9223372036854775808", true, INT64_MIN},
    {"9223372036854775808", false, 0},
    {"-9223372036854775809", false, 0},
    {"", false, 0},
    {"-", false, 0},
    {"+1", false, 0},
    {" 1", false, 0},
    {"1 ", false, 0},
    {"1x", false, 0},
    {"0x10", false, 0},
    {NULL, false, 0},
};

Test(text_to_int, takes_whole_numbers_and_nothing_else)
{
    for (size_t i = 0; i < COUNT(NUMBERS); i++) {
        int64_t value = 77;
        cr_expect_eq(text_to_int(NUMBERS[i].text, INT64_MIN, INT64_MAX, &value), NUMBERS[i].ok);
        cr_expect_eq(value, NUMBERS[i].ok ? NUMBERS[i].value : 77);
    }
    int64_t value;
    cr_expect(text_to_int("5", 5, 5, &value));
    cr_expect_not(text_to_int("4", 5, 5, &value));
    cr_expect_not(text_to_int("6", 5, 5, &value));
}

Test(duration, goes_there_and_back)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    static const struct {
        const char *text;
        int64_t ms;
    } SAME[] = {{"10s", 10000},   {"15m", 900000},  {"4h", 14400000}, {"7d", 604800000},
                {"250ms", 250},   {"0s", 0},        {"90s", 90000},   {"36h", 129600000},
                {"1001ms", 1001}, {"2d", 172800000}};
    for (size_t i = 0; i < COUNT(SAME); i++) {
        int64_t ms;
        cr_expect(text_to_duration_ms(SAME[i].text, &ms));
        cr_expect_eq(ms, SAME[i].ms);
        cr_expect_str_eq(text_from_duration_ms(&a, SAME[i].ms), SAME[i].text);
    }
    static const char *const BAD[] = {
        "", "5", "s", "-5s", "5 s", "5sec", "1.5h", "5S", "99999999999999d", NULL};
    for (size_t i = 0; i < COUNT(BAD); i++) {
        int64_t ms;
        cr_expect_not(text_to_duration_ms(BAD[i], &ms), "%s", BAD[i]);
    }
}

static const struct bytes {
    const char *text;
    bool valid;
} BYTES[] = {
    {"", true},
    {"plain ascii of more than eight", true},
    {"é€🚀", true},
    {"12345678é", true},
    {"\xC0\x80", false},         /* overlong */
    {"\xE0\x9F\xBF", false},     /* overlong */
    {"\xF0\x8F\xBF\xBF", false}, /* overlong */
    {"\xED\xA0\x80", false},     /* surrogate */
    {"\xED\x9F\xBF", true},      /* U+D7FF */
    {"\xEE\x80\x80", true},      /* U+E000 */
    {"\xF4\x8F\xBF\xBF", true},  /* U+10FFFF */
    {"\xF4\x90\x80\x80", false}, /* above */
    {"\xF5\x80\x80\x80", false},
    {"\x80", false},
    {"abc\xC3", false},
    {"\xE2\x82", false},
    {"12345678\xFF", false},
};

Test(utf8_valid, is_rfc_3629)
{
    for (size_t i = 0; i < COUNT(BYTES); i++)
        cr_expect_eq(utf8_valid(span_of(BYTES[i].text)), BYTES[i].valid, "case %zu", i);
    cr_expect(utf8_valid((struct span){"a\0b", 3}));
}

Test(utf8_encode, undoes_utf8_next_for_every_code_point)
{
    for (uint32_t code = 1; code <= 0x10FFFF; code = code == 0xD7FF ? 0xE000 : code + 1) {
        char bytes[4];
        uint32_t again = 0;
        size_t len = utf8_encode(code, bytes);
        if (utf8_next((struct span){bytes, len}, &again) != len || again != code)
            cr_assert_fail("U+%04X", (unsigned)code);
    }
}

Test(utf8_length, counts_characters)
{
    cr_expect_eq(utf8_length(""), 0);
    cr_expect_eq(utf8_length("aé€🚀"), 4);
}

Test(text_truncate, cuts_between_characters_and_says_so)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    cr_expect_str_eq(text_truncate(&a, "hello", 5), "hello");
    cr_expect_str_eq(text_truncate(&a, "hello!", 5), "he…");
    cr_expect_str_eq(text_truncate(&a, "ééééé", 6), "é…");
    cr_expect_str_eq(text_truncate(&a, "🚀🚀", 7), "🚀…");
    cr_expect_str_eq(text_truncate(&a, "🚀🚀", 6), "…");
    cr_expect_str_eq(text_truncate(&a, "hello", 2), "he");
    cr_expect_str_eq(text_truncate(&a, "é", 1), "");
    cr_expect_str_eq(text_truncate(&a, "x", 0), "");
}

Test(utf8_clean, makes_text_of_any_bytes)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    cr_expect_str_eq(utf8_clean(&a, (struct span){"a\xFF\0é\xE2\x82", 7}), "a��é��");
    cr_expect_str_eq(utf8_clean(&a, span_of("clean é")), "clean é");
    cr_expect_str_eq(utf8_clean(&a, (struct span){NULL, 0}), "");
}

Test(text_one_line, shows_what_hides_or_reorders)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    cr_expect_str_eq(text_one_line(&a, "a\nb\x1b[2K\x7f"), "a\\u000ab\\u001b[2K\\u007f");
    cr_expect_str_eq(text_one_line(&a, "x\u202Ey\u2066\u200B\uFEFF\xC2\x85"),
                     "x\\u202ey\\u2066\\u200b\\ufeff\\u0085");
    cr_expect_str_eq(text_one_line(&a, "é 🚀 ‐"), "é 🚀 ‐");
    cr_expect_str_eq(text_one_line(&a, "\xFF"), "�");
}

Test(text_visible, keeps_lines_and_tabs)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    cr_expect_str_eq(text_visible(&a, "a\n\tb\r\u202E"), "a\n\tb\\u000d\\u202e");
}

Test(hex, goes_there_and_back)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    struct span bytes;
    cr_expect_str_eq(hex_encode(&a, (struct span){"\x00\xfe\x10", 3}), "00fe10");
    cr_expect(hex_decode(&a, "00FE10", &bytes));
    cr_expect_eq(bytes.len, 3);
    cr_expect_eq(memcmp(bytes.at, "\x00\xfe\x10", 3), 0);
    cr_expect_not(hex_decode(&a, "0", &bytes));
    cr_expect_not(hex_decode(&a, "0g", &bytes));
    cr_expect_not(hex_decode(&a, "@1", &bytes));
}

/* RFC 4648, section 10. */
Test(base64, goes_there_and_back)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    static const char *const VECTORS[][2] = {{"", ""},
                                             {"f", "Zg=="},
                                             {"fo", "Zm8="},
                                             {"foo", "Zm9v"},
                                             {"foob", "Zm9vYg=="},
                                             {"fooba", "Zm9vYmE="},
                                             {"foobar", "Zm9vYmFy"}};
    struct span bytes;
    for (size_t i = 0; i < COUNT(VECTORS); i++) {
        cr_expect_str_eq(base64_encode(&a, span_of(VECTORS[i][0])), VECTORS[i][1]);
        cr_assert(base64_decode(&a, VECTORS[i][1], &bytes));
        cr_expect(span_eq(bytes, VECTORS[i][0]));
        char *bare = base64url_encode(&a, span_of(VECTORS[i][0]));
        cr_expect_null(strchr(bare, '='));
        cr_assert(base64_decode(&a, bare, &bytes));
        cr_expect(span_eq(bytes, VECTORS[i][0]));
    }
    cr_expect_str_eq(base64_encode(&a, span_of("\xfb\xff")), "+/8=");
    cr_expect_str_eq(base64url_encode(&a, span_of("\xfb\xff")), "-_8");
    cr_expect(base64url_decode(&a, "-_8", &bytes));
    static const char *const BAD[] = {
        "Z", "Zg=", "Zg===", "Z===", "Zh==", "Zm 8", "-_8=", "Zg==Zg==", "="};
    for (size_t i = 0; i < COUNT(BAD); i++)
        cr_expect_not(base64_decode(&a, BAD[i], &bytes), "%s", BAD[i]);
}

Test(url, encodes_all_but_the_unreserved)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    char *out;
    cr_expect_str_eq(url_encode(&a, "aZ09-._~/ ?&é"), "aZ09-._~%2F%20%3F%26%C3%A9");
    cr_expect(url_decode(&a, span_of("a%2Fb+c%c3%a9"), true, &out));
    cr_expect_str_eq(out, "a/b cé");
    cr_expect(url_decode(&a, span_of("a+b"), false, &out));
    cr_expect_str_eq(out, "a+b");
    cr_expect_not(url_decode(&a, span_of("%"), false, &out));
    cr_expect_not(url_decode(&a, span_of("%4"), false, &out));
    cr_expect_not(url_decode(&a, span_of("%4g"), false, &out));
    cr_expect_not(url_decode(&a, span_of("a%00"), false, &out));
    cr_expect_not(url_decode(&a, (struct span){"a\0b", 3}, false, &out));
}

Test(form_value, is_the_first_of_its_name)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    struct span form = span_of("a=1&b=x%20y+z&a=2&empty=&flag&b%61d=%zz&&=n");
    cr_expect_str_eq(form_value(&a, form, "a"), "1");
    cr_expect_str_eq(form_value(&a, form, "b"), "x y z");
    cr_expect_str_eq(form_value(&a, form, "empty"), "");
    cr_expect_str_eq(form_value(&a, form, "flag"), "");
    cr_expect_null(form_value(&a, form, "bad"));
    cr_expect_null(form_value(&a, form, "absent"));
    cr_expect_null(form_value(&a, (struct span){NULL, 0}, "a"));
}

Test(html_escape, is_safe_in_text_and_attributes)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    cr_expect_str_eq(html_escape(&a, "<a href='x'>\"&\"</a>"),
                     "&lt;a href=&#39;x&#39;&gt;&quot;&amp;&quot;&lt;/a&gt;");
}

static const struct moment {
    const char *text;
    int64_t ms;
} MOMENTS[] = {
    {"1970-01-01T00:00:00.000Z", 0},
    {"2026-03-15T10:00:00.000Z", 1773568800000},
    {"2000-02-29T23:59:59.999Z", 951868799999},
    {"1969-12-31T23:59:59.999Z", -1},
    {"1900-03-01T00:00:00.000Z", -2203891200000},
    {"0000-01-01T00:00:00.000Z", -62167219200000},
    {"9999-12-31T23:59:59.999Z", 253402300799999},
};

Test(time, goes_there_and_back)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    for (size_t i = 0; i < COUNT(MOMENTS); i++) {
        int64_t ms;
        cr_expect_str_eq(time_format(&a, MOMENTS[i].ms), MOMENTS[i].text);
        cr_expect(time_parse(MOMENTS[i].text, &ms));
        cr_expect_eq(ms, MOMENTS[i].ms);
    }
    cr_expect_str_eq(time_format(&a, INT64_MAX), "9999-12-31T23:59:59.999Z");
    cr_expect_str_eq(time_format(&a, INT64_MIN), "0000-01-01T00:00:00.000Z");
}

Test(time, reads_every_form_of_rfc_3339)
{
    static const struct moment FORMS[] = {
        {"2026-03-15T12:30:00+02:30", 1773568800000},
        {"2026-03-15T04:00:00-06:00", 1773568800000},
        {"2026-03-15t10:00:00z", 1773568800000},
        {"2026-03-15 10:00:00Z", 1773568800000},
        {"2026-03-15T10:00:00.5Z", 1773568800500},
        {"2026-03-15T10:00:00.123999Z", 1773568800123},
        {"2016-12-31T23:59:60Z", 1483228800000},
    };
    for (size_t i = 0; i < COUNT(FORMS); i++) {
        int64_t ms = 0;
        cr_expect(time_parse(FORMS[i].text, &ms), "%s", FORMS[i].text);
        cr_expect_eq(ms, FORMS[i].ms, "%s: %lld", FORMS[i].text, (long long)ms);
    }
    static const char *const BAD[] = {
        "",
        "2026-03-15",
        "2026-03-15T10:00:00",
        "2026-02-29T10:00:00Z",
        "2026-13-01T10:00:00Z",
        "2026-00-01T10:00:00Z",
        "2026-04-31T10:00:00Z",
        "2026-03-15T24:00:00Z",
        "2026-03-15T10:60:00Z",
        "2026-03-15T10:00:61Z",
        "2026-03-15T10:00:00.Z",
        "2026-03-15T10:00:00+0200",
        "2026-03-15T10:00:00+24:00",
        "2026-03-15T10:00:00Zx",
        "26-03-15T10:00:00Z",
        NULL,
    };
    for (size_t i = 0; i < COUNT(BAD); i++) {
        int64_t ms;
        cr_expect_not(time_parse(BAD[i], &ms), "%s", BAD[i]);
    }
}
