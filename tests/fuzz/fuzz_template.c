/* Reaches: template.c wholly, html_escape, json_escape, url_encode. The first line of the input is
 * the value of every hole, the rest the template. No escaped value may hold what it escapes. */
#include "gateway/base/json.h"
#include "gateway/base/template.h"
#include "gateway/base/text.h"

#include <string.h>

static const char *const NAMES[] = {"a", "sha", "title", NULL};

static void render(struct arena *a, const struct template *t, const char *value,
                   template_escape *escape, const char *never)
{
    struct strbuf b;
    struct template_value values[] = {
        {"a", value, false}, {"sha", value, false}, {"title", value, false}};
    strbuf_init(&b, a, 1 << 20);
    struct err err = ERR_INIT;
    if (!template_render(t, values, COUNT(values), escape, &b, &err) && err.kind != ERR_TOO_LARGE)
        abort();
    if (escape != NULL && strpbrk(escape(a, value), never) != NULL)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    char *value = arena_strndup(&a, (const char *)data, size);
    char *text = strchr(value, '\n');
    if (text == NULL)
        return 0;
    *text++ = '\0';
    struct template *t;
    struct err err = ERR_INIT;
    if (!template_parse(&a, text, NAMES, &t, &err)) {
        if (!text_starts(err.text, "line "))
            abort();
        return 0;
    }
    render(&a, t, value, NULL, "");
    render(&a, t, value, html_escape, "<>\"'");
    render(&a, t, value, json_escape, "\n\r\t\x01\x1f");
    render(&a, t, value, url_encode, " /?#&=+<>\"'{}\\");
    return 0;
}
