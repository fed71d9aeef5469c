/* Text with holes: "Deploy {{sha}} to production". Parsed once, when the configuration is read, so
 * that a misspelt name is found with its line then and not in the night; rendered often.
 *
 * A hole is `{{name}}`, spaces inside allowed, on one line; a name is made of letters, digits and
 * '_'. `\{{` is a literal "{{"; a "}}" or "{" elsewhere is itself. What is put into a hole is never
 * looked at again: a value that holds "{{sha}}" stays as it is. Pure; any thread. */
#pragma once

#include "gateway/base/arena.h"
#include "gateway/base/err.h"
#include "gateway/base/strbuf.h"

struct template;

/* `names` are the names that may be used: NULL-terminated, borrowed; NULL allows every name. The
 * sentence begins with the line: "line 3: unknown variable {{shaa}}; there are: sha, title". The
 * result copies what it needs of `text`. */
bool template_parse(struct arena *a, const char *text, const char *const *names,
                    struct template **out, struct err *err) NODISCARD;

/* The name, if the whole text is one hole ("{{sha}}"); else NULL. */
const char *template_sole_name(const struct template *t);
/* Whether a hole of that name is in it: values that are costly are made only when used. */
bool template_uses(const struct template *t, const char *name);

struct template_value {
    const char *name;
    const char *text;
    bool is_escaped; /* made for this target already (a part of a page): inserted as it is */
};

/* Makes a text harmless for where it goes: html_escape, url_encode, json_escape; NULL for prompts
 * and argv, which need none. */
typedef char *template_escape(struct arena *a, const char *text);

/* Appends to `out`, whose limit is the limit of the result. A used name without a value (or with a
 * NULL text) is ERR_MISSING; ERR_TOO_LARGE when it does not fit, and `out` is not to be used. */
bool template_render(const struct template *t, const struct template_value *values, size_t n_values,
                     template_escape *escape, struct strbuf *out, struct err *err) NODISCARD;
