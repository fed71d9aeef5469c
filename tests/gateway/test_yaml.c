#include "gateway/base/clock.h"
#include "gateway/base/text.h"
#include "gateway/yaml.h"

#include <criterion/criterion.h>
#include <string.h>

static struct json *parse(struct arena *a, const char *text)
{
    struct json *root = NULL;
    struct err err = ERR_INIT;
    int line;
    cr_assert(yaml_parse(a, span_of(text), &root, &line, &err), "%s: line %d: %s", text, line,
              err.text);
    return root;
}

static const struct {
    const char *yaml, *json;
} VALUES[] = {
    {"a: no", "{\"a\":\"no\"}"},
    {"a: yes", "{\"a\":\"yes\"}"},
    {"a: on", "{\"a\":\"on\"}"},
    {"a: true", "{\"a\":true}"},
    {"a: False", "{\"a\":false}"},
    {"a: tRUE", "{\"a\":\"tRUE\"}"},
    {"a: null", "{\"a\":null}"},
    {"a: ~", "{\"a\":null}"},
    {"a:", "{\"a\":null}"},
    {"a: \"\"", "{\"a\":\"\"}"},
    {"a: 12", "{\"a\":12}"},
    {"a: -12", "{\"a\":-12}"},
    {"a: 012", "{\"a\":12}"},
    {"a: 0o17", "{\"a\":15}"},
    {"a: 0x1F", "{\"a\":31}"},
    {"a: 0xZZ", "{\"a\":\"0xZZ\"}"},
    {"a: 1.50", "{\"a\":1.5}"},
    {"a: .5", "{\"a\":0.5}"},
    {"a: 1e3", "{\"a\":1000}"},
    {"a: 1e", "{\"a\":\"1e\"}"},
    {"a: 1_000", "{\"a\":\"1_000\"}"},
    {"a: 12:30:45", "{\"a\":\"12:30:45\"}"},
    {"a: 2026-12-20", "{\"a\":\"2026-12-20\"}"},
    {"a: .", "{\"a\":\".\"}"},
    {"a:\n-\n", "{\"a\":[null]}"},
    {"a: '12'", "{\"a\":\"12\"}"},
    {"a: \"true\"", "{\"a\":\"true\"}"},
    {"a: |\n  12\n", "{\"a\":\"12\\n\"}"},
    {"a: >-\n  one\n  two\n", "{\"a\":\"one two\"}"},
    {"a: \"\\u00e9\\n\"", "{\"a\":\"é\\n\"}"},
    {"12: x", "{\"12\":\"x\"}"},
    {"true: x", "{\"true\":\"x\"}"},
    {"- a\n- [b, {c: d}]\n", "[\"a\",[\"b\",{\"c\":\"d\"}]]"},
    {"a: {b: 1, c: }", "{\"a\":{\"b\":1,\"c\":null}}"},
    {"a: \"{{sha}}\"", "{\"a\":\"{{sha}}\"}"},
    {"a: ./x, y", "{\"a\":\"./x, y\"}"},
    {"%YAML 1.2\n---\na: 1\n...\n", "{\"a\":1}"},
    {"# nothing\n", "null"},
    {"", "null"},
    {"\xEF\xBB\xBF"
     "a: 1",
     "{\"a\":1}"},
};

Test(yaml_parse, reads_the_core_schema_of_yaml_1_2)
{
    for (size_t i = 0; i < COUNT(VALUES); i++) {
        CLEANUP(arena_done) struct arena a = ARENA_INIT;
        cr_expect_str_eq(json_write(&a, parse(&a, VALUES[i].yaml)), VALUES[i].json, "%s: %s",
                         VALUES[i].yaml, json_write(&a, parse(&a, VALUES[i].yaml)));
    }
}

static const struct {
    const char *yaml;
    int line;
    const char *why;
} WRONG[] = {
    {"a: 1\nb: 2\na: 3\n", 3, "a: is there twice (first in line 1)"},
    {"x:\n  a: 1\n  b: 2\n  b: 3\n  a: 4\n", 4, "b: is there twice (first in line 3)"},
    {"x: {a: 1,\n  a: 2}", 2, "a: is there twice (first in line 1)"},
    {"\"a\": 1\na: 2\n", 2, "a: is there twice (first in line 1)"},
    {"a: &x 1\n", 1, "anchors (&x) are not supported"},
    {"a: 1\nb: &x [1]\n", 2, "anchors (&x) are not supported"},
    {"a: 1\nb: *x\n", 2, "aliases (*x) are not supported"},
    {"a: !!str 1\n", 1, "tags (tag:yaml.org,2002:str) are not supported"},
    {"a:\n  - !x {}\n", 2, "tags (!x) are not supported"},
    {"%TAG ! tag:x,2000:\n---\na: 1\n", 1, "directives (%TAG) are not supported"},
    {"a:\n  <<: {b: 1}\n", 2, "merge keys (<<) are not supported"},
    {"a: 1\n---\nb: 2\n", 2, "a second document (---) is not supported"},
    {"a: 1\nb: {{x}}\n", 2,
     "a key must be a text (a value that begins with { or [ goes in quotes)"},
    {"? [a]\n: 1\n", 1, "a key must be a text (a value that begins with { or [ goes in quotes)"},
    {"a: 1\n\"\": 2\n", 2, "a key is empty"},
    {"a: 1\nb: \"x\\0y\"\n", 2, "a text holds a NUL byte"},
    {"a: 1\n\"x\\0y\": 1\n", 2, "a text holds a NUL byte"},
    {"a: .inf\n", 1, ".inf is not a finite number"},
    {"a: .nan\n", 1, ".nan is not a finite number"},
    {"a: 1e999\n", 1, "the number is too large"},
    {"a:\n\tb: 1\n", 2, "is indented with a tab; YAML wants spaces"},
    {"a: 1\nb: \xC3\x28\n", 2, "is not valid UTF-8"},
    {"a: \xED\xA0\x80\n", 1, "is not valid UTF-8"},
    {"# \xFF\nb: 1\n", 1, "is not valid UTF-8"},
    {"a: [1, 2\nb: 3\n", 2,
     "is not YAML: did not find expected ',' or ']', while parsing a flow "
     "sequence (line 1)"},
    {"a: \"x\n", 2,
     "is not YAML: found unexpected end of stream, while scanning a quoted scalar "
     "(line 1)"},
    {"a: b: c\n", 1, "is not YAML: mapping values are not allowed in this context"},
    {"a: \x01\n", 1, "is not YAML: control characters are not allowed"},
};

Test(yaml_parse, refuses_with_the_line)
{
    for (size_t i = 0; i < COUNT(WRONG); i++) {
        CLEANUP(arena_done) struct arena a = ARENA_INIT;
        struct json *root = NULL;
        struct err err = ERR_INIT;
        int line = -1;
        bool ok = yaml_parse(&a, span_of(WRONG[i].yaml), &root, &line, &err);
        cr_expect(!ok && root == NULL, "%s", WRONG[i].yaml);
        cr_expect(line == WRONG[i].line, "%s: line %d, not %d", WRONG[i].yaml, line, WRONG[i].line);
        cr_expect_str_eq(err.text, WRONG[i].why, "%s: %s", WRONG[i].yaml, err.text);
    }
}

Test(yaml_parse, refuses_a_nul_byte_in_the_file)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    static const char BYTES[] = "a: 1\nb: \0\n";
    struct json *root;
    int line;
    cr_assert_not(yaml_parse(&a, (struct span){BYTES, sizeof BYTES - 1}, &root, &line, NULL));
    cr_assert_eq(line, 2);
}

static bool nests(int depth)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    struct json *root;
    int line;
    char *text = arena_alloc(&a, (size_t)depth * 2 + 1);
    memset(text, '[', (size_t)depth);
    memset(text + depth, ']', (size_t)depth);
    return yaml_parse(&a, span_of(text), &root, &line, NULL);
}

Test(yaml_parse, nests_to_its_limit_and_no_deeper)
{
    cr_expect(nests(YAML_MAX_DEPTH));
    cr_expect_not(nests(YAML_MAX_DEPTH + 1));
}

/* Without the limit while reading, libyaml needs half a minute for this. */
Test(yaml_parse, stops_at_the_depth_limit_while_reading)
{
    int64_t began_ms = clock_monotonic_ms();
    cr_assert_not(nests(200000));
    cr_assert_lt(clock_monotonic_ms() - began_ms, 5000);
}

Test(yaml_parse, takes_a_mebibyte_and_no_more)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    struct json *root;
    int line;
    char *text = arena_alloc(&a, YAML_MAX_BYTES + 2);
    memset(text, '#', YAML_MAX_BYTES + 1);
    cr_expect(yaml_parse(&a, (struct span){text, YAML_MAX_BYTES}, &root, &line, NULL));
    cr_expect_not(yaml_parse(&a, (struct span){text, YAML_MAX_BYTES + 1}, &root, &line, NULL));
}

Test(yaml_parse, is_fast_for_a_hundred_thousand_keys)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    struct strbuf b;
    strbuf_init(&b, &a, YAML_MAX_BYTES);
    for (int i = 0; i < 90000; i++)
        strbuf_addf(&b, "k%d: 1\n", i);
    int64_t began_ms = clock_monotonic_ms();
    cr_assert_eq(json_count(parse(&a, b.text)), 90000);
    cr_assert_lt(clock_monotonic_ms() - began_ms, 10000);
}

Test(yaml_line, is_the_line_of_the_key)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    struct json *root = parse(&a, "# x\na:\n  b: 1\n  c:\n    - d\n    - {e: 1,\n       f: 2}\n"
                                  "g: |\n  long\n  text\nh: 1\n");
    cr_expect_eq(yaml_line(root), 2);
    cr_expect_eq(yaml_line(json_at(root, "a")), 2);
    cr_expect_eq(yaml_line(json_at(root, "a.b")), 3);
    cr_expect_eq(yaml_line(json_at(root, "a.c")), 4);
    cr_expect_eq(yaml_line(json_at(root, "a.c.0")), 5);
    cr_expect_eq(yaml_line(json_at(root, "a.c.1.f")), 7);
    cr_expect_eq(yaml_line(json_at(root, "h")), 11);
    cr_expect_eq(yaml_line(NULL), 0);
}

Test(yaml_node, remembers_how_a_scalar_was_written)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    struct json *root = parse(&a, "a: 0x1F\nb: \"0x1F\"\n");
    cr_expect(yaml_node(json_at(root, "a"))->plain);
    cr_expect_str_eq(yaml_node(json_at(root, "a"))->written, "0x1F");
    cr_expect_not(yaml_node(json_at(root, "b"))->plain);
}
