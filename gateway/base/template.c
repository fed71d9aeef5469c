/* See template.h. */
#include "gateway/base/template.h"

#include "gateway/base/text.h"

#include <string.h>

/* A piece of literal text, or a hole. */
struct piece {
    struct piece *next;
    const char *literal; /* NULL for a hole */
    const char *name;
};

struct template
{
    struct piece *first;
};

struct parser {
    struct arena *arena;
    const char *start, *at;
    const char *const *names;
    struct piece **tail;
    struct err *err;
};

static bool is_name_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

static size_t line_of(const struct parser *p)
{
    size_t line = 1;
    for (const char *c = p->start; c < p->at; c++)
        line += *c == '\n';
    return line;
}

static void add_piece(struct parser *p, const char *literal, const char *name)
{
    struct piece *piece = ARENA_NEW(p->arena, struct piece);
    piece->literal = literal;
    piece->name = name;
    *p->tail = piece;
    p->tail = &piece->next;
}

/* Literal text up to the next hole, or the end; `\{{` loses its backslash. */
static void take_literal(struct parser *p)
{
    const char *from = p->at;
    while (*p->at != '\0' && strncmp(p->at, "{{", 2) != 0) {
        if (strncmp(p->at, "\\{{", 3) != 0) {
            p->at++;
            continue;
        }
        add_piece(p, arena_strndup(p->arena, from, (size_t)(p->at - from)), NULL);
        from = p->at + 1;
        p->at += 3;
    }
    if (p->at > from)
        add_piece(p, arena_strndup(p->arena, from, (size_t)(p->at - from)), NULL);
}

static bool is_known(const struct parser *p, const char *name)
{
    if (p->names == NULL)
        return true;
    for (const char *const *known = p->names; *known != NULL; known++)
        if (strcmp(*known, name) == 0)
            return true;
    return false;
}

static bool refuse_unknown(const struct parser *p, const char *name)
{
    struct strbuf known;
    strbuf_init(&known, p->arena, 1000);
    for (const char *const *one = p->names; *one != NULL; one++)
        strbuf_addf(&known, "%s%s", one == p->names ? "" : ", ", *one);
    return fail(p->err, ERR_INVALID, "line %zu: unknown variable {{%s}}; there are: %s", line_of(p),
                name, known.len > 0 ? known.text : "none");
}

static const char *skip_blanks(const char *c)
{
    return c + strspn(c, " \t");
}

/* At "{{". */
static bool take_hole(struct parser *p)
{
    const char *name = skip_blanks(p->at + 2), *end = name;
    while (is_name_char(*end))
        end++;
    const char *close = skip_blanks(end);
    size_t line_len = strcspn(p->at, "\n");
    const char *any_close = strstr(p->at, "}}");
    if (any_close == NULL || any_close >= p->at + line_len)
        return fail(p->err, ERR_INVALID, "line %zu: \"{{\" is not closed", line_of(p));
    if (end == name || strncmp(close, "}}", 2) != 0)
        return fail(p->err, ERR_INVALID, "line %zu: \"%.*s\" is no variable (write \\{{ for a {{)",
                    line_of(p), (int)(any_close + 2 - p->at), p->at);
    char *copy = arena_strndup(p->arena, name, (size_t)(end - name));
    if (!is_known(p, copy))
        return refuse_unknown(p, copy);
    add_piece(p, NULL, copy);
    p->at = close + 2;
    return true;
}

bool template_parse(struct arena *a, const char *text, const char *const *names,
                    struct template **out, struct err *err)
{
    struct template *t = ARENA_NEW(a, struct template);
    struct parser p = {a, text, text, names, &t->first, err};
    for (take_literal(&p); *p.at != '\0'; take_literal(&p))
        if (!take_hole(&p))
            return false;
    *out = t;
    return true;
}

const char *template_sole_name(const struct template *t)
{
    return t->first != NULL && t->first->next == NULL ? t->first->name : NULL;
}

bool template_uses(const struct template *t, const char *name)
{
    for (const struct piece *piece = t->first; piece != NULL; piece = piece->next)
        if (piece->name != NULL && strcmp(piece->name, name) == 0)
            return true;
    return false;
}

static const struct template_value *find(const struct template_value *values, size_t n,
                                         const char *name)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(values[i].name, name) == 0 && values[i].text != NULL)
            return &values[i];
    return NULL;
}

bool template_render(const struct template *t, const struct template_value *values, size_t n_values,
                     template_escape *escape, struct strbuf *out, struct err *err)
{
    for (const struct piece *piece = t->first; piece != NULL; piece = piece->next) {
        if (piece->literal != NULL) {
            strbuf_add(out, piece->literal);
            continue;
        }
        const struct template_value *value = find(values, n_values, piece->name);
        if (value == NULL)
            return fail(err, ERR_MISSING, "{{%s}} has no value", piece->name);
        bool as_it_is = escape == NULL || value->is_escaped;
        strbuf_add(out, as_it_is ? value->text : escape(out->arena, value->text));
    }
    if (strbuf_overflowed(out))
        return fail(err, ERR_TOO_LARGE, "the text is over %zu bytes", out->max);
    return true;
}
