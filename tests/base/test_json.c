/* JSON: what is let in, how it is read, built and written. */
#include "gateway/base/json.h"
#include "gateway/base/text.h"

#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

static struct json *parsed(struct arena *a, const char *text)
{
    struct json *root;
    struct err err = ERR_INIT;
    cr_assert(json_parse(a, span_of(text), 0, &root, &err), "%s: %s", text, err.text);
    return root;
}

static const struct bad {
    const char *text, *says;
} BAD[] = {
    {"", "at byte 0: the text ends too early"},
    {"  ", "at byte 2: the text ends too early"},
    {"01", "at byte 1: text after the value"},
    {"1.", "at byte 2: a digit is expected"},
    {"-", "at byte 1: a value is expected"},
    {"+1", "at byte 0: a value is expected"},
    {".5", "at byte 0: a value is expected"},
    {"1e", "at byte 2: a digit is expected"},
    {"1e+", "at byte 3: a digit is expected"},
    {"0x1", "at byte 1: text after the value"},
    {"NaN", "at byte 0: a value is expected"},
    {"nul", "at byte 0: a value is expected"},
    {"nulll", "at byte 4: text after the value"},
    {"{} x", "at byte 3: text after the value"},
    {"\xEF\xBB\xBF{}", "at byte 0: a value is expected"},
    {"[1,]", "at byte 3: a value is expected"},
    {"[1 2]", "at byte 3: ',' or ']' is expected"},
    {"[1}", "at byte 2: ',' or ']' is expected"},
    {"{\"a\":1,}", "at byte 7: a member name in quotes is expected"},
    {"{\"a\" 1}", "at byte 5: ':' is expected"},
    {"{a:1}", "at byte 1: a member name in quotes is expected"},
    {"{\"a\":1]", "at byte 6: ',' or '}' is expected"},
    {"[", "at byte 1: the text ends too early"},
    {"\"a", "at byte 2: the string does not end"},
    {"\"a\nb\"", "at byte 2: control character in a string"},
    {"\"\\x\"", "at byte 1: unknown escape in a string"},
    {"\"\\u12g4\"", "at byte 1: \\u needs four hex digits"},
    {"\"\\u0000\"", "at byte 1: U+0000 is not allowed"},
    {"\"\\ud800\"", "at byte 1: lone surrogate"},
    {"\"\\udc00\\ud800\"", "at byte 1: lone surrogate"},
    {"\"\\ud800\\u0041\"", "at byte 1: lone surrogate"},
    {"\"\xFF\"", "at byte 1: invalid UTF-8"},
    {"\"12345678\xED\xA0\x80\"", "at byte 9: invalid UTF-8"},
    {"/**/1", "at byte 0: a value is expected"},
    {"{\"a\":1,\"a\":1}", "the key \"a\" appears twice"},
    {"{\"x\":{\"y\":[{\"\\u0061\":1,\"a\":2}]}}", "x: y: the key \"a\" appears twice"},
    {"[1e400]", "the number is too large"},
    {"{\"a\":{\"b\":-1e999}}", "a: b: the number is too large"},
};

Test(json_parse, refuses_what_is_not_exactly_json)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    for (size_t i = 0; i < COUNT(BAD); i++) {
        struct json *root = NULL;
        struct err err = ERR_INIT;
        cr_expect_not(json_parse(&a, span_of(BAD[i].text), 0, &root, &err), "%s", BAD[i].text);
        cr_expect_str_eq(err.text, BAD[i].says, "%s: %s", BAD[i].text, err.text);
        cr_expect_eq(err.kind, ERR_INVALID);
        cr_expect_null(root);
    }
}

Test(json_parse, refuses_a_nul_byte_inside_and_outside_of_strings)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    struct json *root;
    cr_expect_not(json_parse(&a, (struct span){"\"a\0\"", 4}, 0, &root, NULL));
    cr_expect_not(json_parse(&a, (struct span){"1\0", 2}, 0, &root, NULL));
    cr_expect_not(json_parse(&a, (struct span){"[\0]", 3}, 0, &root, NULL));
    cr_expect_not(json_parse(&a, (struct span){NULL, 0}, 0, &root, NULL));
}

/* The bytes end where the span ends, whatever comes after. */
Test(json_parse, reads_no_further_than_its_span)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    struct json *root;
    cr_expect(json_parse(&a, (struct span){"12", 1}, 0, &root, NULL));
    cr_expect_eq(json_int_or(root, 0), 1);
    cr_expect_not(json_parse(&a, (struct span){"\"a\\u00e9\"", 7}, 0, &root, NULL));
    cr_expect_not(json_parse(&a, (struct span){"true", 3}, 0, &root, NULL));
}

Test(json_parse, finds_a_twin_among_many_members)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    struct json *object = json_object(&a), *root;
    for (int i = 0; i < 100; i++)
        json_set_int(&a, object, arena_printf(&a, "k%d", i), i);
    char *text = json_write(&a, object);
    cr_expect(json_parse(&a, span_of(text), 0, &root, NULL));
    text[strlen(text) - 1] = '\0';
    struct err err = ERR_INIT;
    cr_expect_not(json_parse(&a, span_of(arena_printf(&a, "%s,\"k7\":1}", text)), 0, &root, &err));
    cr_expect_str_eq(err.text, "the key \"k7\" appears twice");
}

static char *nested(struct arena *a, size_t levels)
{
    char *text = arena_alloc(a, levels * 2 + 1);
    memset(text, '[', levels);
    memset(text + levels, ']', levels);
    return text;
}

Test(json_parse, has_limits_of_depth_and_size)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    struct json *root;
    struct err err = ERR_INIT;
    cr_expect(json_parse(&a, span_of(nested(&a, 64)), 0, &root, NULL));
    cr_expect_not(json_parse(&a, span_of(nested(&a, 65)), 0, &root, &err));
    cr_expect_str_eq(err.text, "at byte 64: nested too deeply");
    cr_expect_not(json_parse(&a, span_of(nested(&a, 1000000)), 0, &root, &err));
    cr_expect(json_parse(&a, span_of("12345"), 5, &root, NULL));
    cr_expect_not(json_parse(&a, span_of("123456"), 5, &root, &err));
    cr_expect_eq(err.kind, ERR_TOO_LARGE);
}

Test(json_parse, knows_arrays_from_objects_on_every_level)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    const char *text = "{\"a\":[{\"b\":[[],{}]},1],\"c\":{}}";
    cr_expect_str_eq(json_write(&a, parsed(&a, text)), text);
}

Test(json_parse, keeps_text_as_it_is)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    struct json *j = parsed(&a, " [\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\\ud83d\\ude80é🚀\"] ");
    cr_expect_str_eq(json_text_at(j, "0"), "\"\\/\b\f\n\r\té🚀é🚀");
}

Test(json_at, walks_objects_and_arrays_and_takes_absence)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    struct json *j = parsed(&a, "{\"event\":{\"blocks\":[{\"type\":\"x\"},7],\"Event\":1}}");
    cr_expect_str_eq(json_text_at(j, "event.blocks.0.type"), "x");
    cr_expect_eq(json_int_or(json_at(j, "event.blocks.1"), 0), 7);
    cr_expect_null(json_at(j, "event.blocks.2"));
    cr_expect_null(json_at(j, "event.blocks.-1"));
    cr_expect_null(json_at(j, "event.blocks.x"));
    cr_expect_null(json_at(j, "event.blocks.99999999999999999999"));
    cr_expect_null(json_at(j, "event.event")); /* case matters */
    cr_expect_null(json_at(j, "eve"));
    cr_expect_null(json_text_at(NULL, "a.b"));
    cr_expect_eq(json_at(j, ""), j);
    cr_expect_str_eq(json_text_or(j, "event.none", "other"), "other");
    cr_expect_null(json_get(json_at(j, "event.blocks"), "0"));
}

Test(json_is_int, ends_where_doubles_skip_integers)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    cr_expect_eq(json_int_or(parsed(&a, "9007199254740991"), 0), 9007199254740991);
    cr_expect_eq(json_int_or(parsed(&a, "-9007199254740991"), 0), -9007199254740991);
    cr_expect_not(json_is_int(parsed(&a, "9007199254740992")));
    cr_expect_not(json_is_int(parsed(&a, "1.5")));
    cr_expect(json_is_int(parsed(&a, "1.0")));
    cr_expect_not(json_is_int(parsed(&a, "\"1\"")));
    cr_expect_not(json_is_int(NULL));
}

Test(json_equal, looks_at_values_and_not_at_order)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    cr_expect(json_equal(parsed(&a, "{\"a\":1,\"b\":[true,null]}"),
                         parsed(&a, "{\"b\":[true,null],\"a\":1.0}")));
    cr_expect(json_equal(parsed(&a, "{\"a\":1,\"b\":2,\"c\":3}"),
                         parsed(&a, "{\"c\":3,\"a\":1,\"b\":2}")));
    static const char *const DIFFERENT[][2] = {
        {"{\"a\":1}", "{\"a\":2}"},
        {"{\"a\":1}", "{\"b\":1}"},
        {"[1,2]", "[2,1]"},
        {"[1]", "[1,1]"},
        {"{}", "[]"},
        {"0", "false"},
        {"1", "\"1\""},
        {"null", "false"},
        {"{\"a\":1}", "{\"a\":1,\"b\":1}"},
    };
    for (size_t i = 0; i < COUNT(DIFFERENT); i++) {
        cr_expect_not(json_equal(parsed(&a, DIFFERENT[i][0]), parsed(&a, DIFFERENT[i][1])));
        cr_expect_not(json_equal(parsed(&a, DIFFERENT[i][1]), parsed(&a, DIFFERENT[i][0])));
    }
}

/* ---- building ---------------------------------------------------------------------------- */

Test(json_set, adds_and_replaces_in_place)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    struct json *o = json_object(&a);
    json_set_text(&a, o, "a", "x");
    json_set_int(&a, o, "b", 2);
    json_set_bool(&a, o, "c", true);
    json_set_text(&a, o, "a", NULL);
    json_set_int(&a, o, "c", 3);
    json_push_text(&a, json_set(&a, o, "d", json_array(&a)), "y");
    cr_expect_str_eq(json_write(&a, o), "{\"a\":null,\"b\":2,\"c\":3,\"d\":[\"y\"]}");
    cr_expect_eq(o->last, json_get(o, "d"));
}

Test(json_set, copies_what_already_stands_somewhere)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    struct json *from = parsed(&a, "{\"list\":[1],\"n\":2}"), *to = json_array(&a);
    json_push(&a, to, json_get(from, "list"));
    json_push(&a, to, json_get(from, "list"));
    json_push(&a, to, to->child);
    json_push(&a, to, json_get(from, "absent"));
    cr_expect_str_eq(json_write(&a, to), "[[1],[1],[1],null]");
    cr_expect_str_eq(json_write(&a, from), "{\"list\":[1],\"n\":2}");
}

Test(json_set, does_not_change_the_original_of_a_copy)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    struct json *from = parsed(&a, "{\"list\":[1],\"o\":{\"k\":1}}"), *to = json_object(&a);
    json_push(&a, json_set(&a, to, "list", json_get(from, "list")), json_number(&a, 2));
    json_set_int(&a, json_set(&a, to, "o", json_get(from, "o")), "k", 9);
    cr_expect_str_eq(json_write(&a, from), "{\"list\":[1],\"o\":{\"k\":1}}");
    cr_expect_str_eq(json_write(&a, to), "{\"list\":[1,2],\"o\":{\"k\":9}}");
}

Test(json_without, leaves_one_member_out_of_a_copy)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    struct json *o = parsed(&a, "{\"a\":1,\"b\":2,\"c\":3}");
    cr_expect_str_eq(json_write(&a, json_without(&a, o, "c")), "{\"a\":1,\"b\":2}");
    cr_expect_str_eq(json_write(&a, json_without(&a, o, "a")), "{\"b\":2,\"c\":3}");
    cr_expect_eq(json_without(&a, o, "d"), o);
    cr_expect_str_eq(json_write(&a, o), "{\"a\":1,\"b\":2,\"c\":3}");
}

/* ---- writing ----------------------------------------------------------------------------- */

Test(json_write, is_json_whatever_the_bytes)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    cr_expect_str_eq(json_write(&a, json_string(&a, "a\"\\\x01\x7f\xff\n€")),
                     "\"a\\\"\\\\\\u0001\x7f�\\n€\"");
    cr_expect_str_eq(json_write(&a, json_number(&a, HUGE_VAL)), "null");
    cr_expect_str_eq(json_write(&a, json_number(&a, (double)NAN)), "null");
    cr_expect_str_eq(json_write(&a, NULL), "null");
    cr_expect_str_eq(json_escape(&a, "a\"b\n"), "a\\\"b\\n");
    cr_expect_str_eq(json_escape(&a, ""), "");
}

Test(json_write_pretty, has_two_spaces_a_level)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    cr_expect_str_eq(json_write_pretty(&a, parsed(&a, "{\"a\":[1,{}],\"b\":[]}")),
                     "{\n  \"a\": [\n    1,\n    {}\n  ],\n  \"b\": []\n}");
}

/* RFC 8785, section 3.2.2 and 3.2.3. */
Test(json_canonical, is_the_example_of_rfc_8785)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    struct json *j =
        parsed(&a, "{\"numbers\":[333333333.33333329,1E30,4.50,2e-3,0.000000000000000000000000001],"
                   "\"string\":\"\\u20ac$\\u000F\\u000aA'\\u0042\\u0022\\u005c\\\\\\\"\\/\","
                   "\"literals\":[null,true,false]}");
    cr_expect_str_eq(json_canonical(&a, j),
                     "{\"literals\":[null,true,false],\"numbers\":[333333333.3333333,1e+30,4.5,"
                     "0.002,1e-27],\"string\":\"€$\\u000f\\nA'B\\\"\\\\\\\\\\\"/\"}");
}

Test(json_canonical, sorts_by_utf_16_units)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    struct json *j =
        parsed(&a, "{\"\\u20ac\":\"Euro Sign\",\"\\r\":\"Carriage Return\","
                   "\"\\ufb33\":\"Hebrew Letter Dalet With Dagesh\",\"1\":\"One\","
                   "\"\\ud83d\\ude00\":\"Emoji: Grinning Face\",\"\\u0080\":\"Control\","
                   "\"\\u00f6\":\"Latin Small Letter O With Diaeresis\"}");
    cr_expect_str_eq(json_canonical(&a, j),
                     "{\"\\r\":\"Carriage Return\",\"1\":\"One\",\"\xC2\x80\":\"Control\","
                     "\"ö\":\"Latin Small Letter O With Diaeresis\",\"€\":\"Euro Sign\","
                     "\"😀\":\"Emoji: Grinning Face\",\"\uFB33\":\"Hebrew Letter Dalet With "
                     "Dagesh\"}");
    struct json *prefix = parsed(&a, "{\"ab\":1,\"a\":2,\"\":3,\"b\":4,\"A\":5}");
    cr_expect_str_eq(json_canonical(&a, prefix), "{\"\":3,\"A\":5,\"a\":2,\"ab\":1,\"b\":4}");
}

/* RFC 8785, appendix B: IEEE 754 bits and their ECMAScript text; then powers of two, where only the
 * farther of two neighbours reads back. */
static const struct bits {
    uint64_t ieee;
    const char *text;
} BITS[] = {
    {0x0000000000000000, "0"},
    {0x8000000000000000, "0"},
    {0x0000000000000001, "5e-324"},
    {0x8000000000000001, "-5e-324"},
    {0x7fefffffffffffff, "1.7976931348623157e+308"},
    {0xffefffffffffffff, "-1.7976931348623157e+308"},
    {0x4340000000000000, "9007199254740992"},
    {0xc340000000000000, "-9007199254740992"},
    {0x4430000000000000, "295147905179352830000"},
    {0x44b52d02c7e14af5, "9.999999999999997e+22"},
    {0x44b52d02c7e14af6, "1e+23"},
    {0x44b52d02c7e14af7, "1.0000000000000001e+23"},
    {0x444b1ae4d6e2ef4e, "999999999999999700000"},
    {0x444b1ae4d6e2ef4f, "999999999999999900000"},
    {0x444b1ae4d6e2ef50, "1e+21"},
    {0x3eb0c6f7a0b5ed8c, "9.999999999999997e-7"},
    {0x3eb0c6f7a0b5ed8d, "0.000001"},
    {0x41b3de4355555553, "333333333.3333332"},
    {0x41b3de4355555554, "333333333.33333325"},
    {0x41b3de4355555555, "333333333.3333333"},
    {0x41b3de4355555556, "333333333.3333334"},
    {0x41b3de4355555557, "333333333.33333343"},
    {0xbecbf647612f3696, "-0.0000033333333333333333"},
    {0x43143ff3c1cb0959, "1424953923781206.2"},
    {0x3d30000000000000, "5.684341886080802e-14"},
    {0x0010000000000000, "2.2250738585072014e-308"},
    {0x000fffffffffffff, "2.225073858507201e-308"},
};

Test(json_canonical, prints_numbers_as_ecmascript_does)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    for (size_t i = 0; i < COUNT(BITS); i++) {
        double number;
        memcpy(&number, &BITS[i].ieee, sizeof number);
        char *text = json_canonical(&a, json_number(&a, number));
        cr_expect_str_eq(text, BITS[i].text, "%s: %s", BITS[i].text, text);
    }
}

Test(json_canonical, reads_back_as_the_same_number)
{
    uint64_t state = 88172645463325252u;
    for (int i = 0; i < 20000; i++) {
        CLEANUP(arena_done) struct arena a = ARENA_INIT;
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        double number;
        memcpy(&number, &state, sizeof number);
        if (!isfinite(number))
            continue;
        struct json *again = parsed(&a, json_canonical(&a, json_number(&a, number)));
        cr_assert(again->number == number, "%.17g", number);
    }
}
