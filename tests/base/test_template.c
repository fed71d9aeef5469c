/* Text with holes. */
#include "gateway/base/json.h"
#include "gateway/base/template.h"
#include "gateway/base/text.h"

#include <criterion/criterion.h>
#include <string.h>

static const char *const NAMES[] = {"sha", "title", NULL};
static const struct template_value VALUES[] = {{"sha", "4af9ec0", false},
                                               {"title", "<b> & \"{{sha}}\"", false}};

static char *filled(struct arena *a, const char *text, template_escape *escape)
{
    struct template *t;
    struct strbuf b;
    struct err err = ERR_INIT;
    strbuf_init(&b, a, 1000);
    cr_assert(template_parse(a, text, NAMES, &t, &err), "%s", err.text);
    cr_assert(template_render(t, VALUES, COUNT(VALUES), escape, &b, &err), "%s", err.text);
    return b.text;
}

Test(template, fills_its_holes)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    cr_expect_str_eq(filled(&a, "deploy {{sha}}, {{ sha }}!", NULL), "deploy 4af9ec0, 4af9ec0!");
    cr_expect_str_eq(filled(&a, "", NULL), "");
    cr_expect_str_eq(filled(&a, "no holes", NULL), "no holes");
    cr_expect_str_eq(filled(&a, "{{sha}}{{sha}}", NULL), "4af9ec04af9ec0");
}

Test(template, leaves_other_braces_alone)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    cr_expect_str_eq(filled(&a, "{\"a\":{\"b\":\"{{sha}}\"}}", NULL),
                     "{\"a\":{\"b\":\"4af9ec0\"}}");
    cr_expect_str_eq(filled(&a, "${\\{{ x }}} \\n }} {", NULL), "${{{ x }}} \\n }} {");
    cr_expect_str_eq(filled(&a, "\\{{sha}} {{sha}}", NULL), "{{sha}} 4af9ec0");
}

Test(template, never_looks_at_what_it_put_in)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    cr_expect_str_eq(filled(&a, "{{title}}", NULL), "<b> & \"{{sha}}\"");
}

Test(template, escapes_for_where_it_goes)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    cr_expect_str_eq(filled(&a, "<i>{{title}}</i>", html_escape),
                     "<i>&lt;b&gt; &amp; &quot;{{sha}}&quot;</i>");
    cr_expect_str_eq(filled(&a, "\"{{title}}\"", json_escape), "\"<b> & \\\"{{sha}}\\\"\"");
    cr_expect_str_eq(filled(&a, "/{{title}}/", url_encode),
                     "/%3Cb%3E%20%26%20%22%7B%7Bsha%7D%7D%22/");
}

Test(template, inserts_what_is_escaped_already)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    struct template *t;
    struct strbuf b;
    struct template_value rows = {"rows", "<li>", true};
    strbuf_init(&b, &a, 100);
    cr_assert(template_parse(&a, "<ul>{{rows}}</ul>", NULL, &t, NULL));
    cr_assert(template_render(t, &rows, 1, html_escape, &b, NULL));
    cr_expect_str_eq(b.text, "<ul><li></ul>");
}

static const struct bad {
    const char *text, *says;
} BAD[] = {
    {"a\nb\n{{shaa}}", "line 3: unknown variable {{shaa}}; there are: sha, title"},
    {"{{sha", "line 1: \"{{\" is not closed"},
    {"\n{{sha\n}}", "line 2: \"{{\" is not closed"},
    {"{{}}", "line 1: \"{{}}\" is no variable (write \\{{ for a {{)"},
    {"{{a b}}", "line 1: \"{{a b}}\" is no variable (write \\{{ for a {{)"},
    {"{{ SHA }}", "line 1: unknown variable {{SHA}}; there are: sha, title"},
    {"{{{sha}}}", "line 1: \"{{{sha}}\" is no variable (write \\{{ for a {{)"},
};

Test(template, says_which_line_is_wrong)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    struct template *t;
    for (size_t i = 0; i < COUNT(BAD); i++) {
        struct err err = ERR_INIT;
        cr_expect_not(template_parse(&a, BAD[i].text, NAMES, &t, &err));
        cr_expect_str_eq(err.text, BAD[i].says);
    }
}

Test(template, fails_without_a_value_and_over_its_limit)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    struct template *t;
    struct strbuf b;
    struct err err = ERR_INIT;
    cr_assert(template_parse(&a, "{{sha}}", NAMES, &t, NULL));
    strbuf_init(&b, &a, 6);
    cr_expect_not(template_render(t, VALUES, COUNT(VALUES), NULL, &b, &err));
    cr_expect_eq(err.kind, ERR_TOO_LARGE);
    strbuf_init(&b, &a, 7);
    cr_expect(template_render(t, VALUES, COUNT(VALUES), NULL, &b, &err));
    cr_expect_not(template_render(t, VALUES + 1, 1, NULL, &b, &err));
    cr_expect_eq(err.kind, ERR_MISSING);
    cr_expect_str_eq(err.text, "{{sha}} has no value");
}

Test(template, knows_its_holes)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    struct template *one, *more;
    cr_assert(template_parse(&a, "{{sha}}", NULL, &one, NULL));
    cr_assert(template_parse(&a, "--{{sha}}", NULL, &more, NULL));
    cr_expect_str_eq(template_sole_name(one), "sha");
    cr_expect_null(template_sole_name(more));
    cr_expect(template_uses(more, "sha"));
    cr_expect_not(template_uses(more, "title"));
}
