/* libyaml's events become the tree. Events, not its documents: they carry lines, and limits hold
 * while reading (libyaml's own nesting is quadratic). libyaml speaks YAML 1.1, so what a plain
 * scalar means is decided here. */
#include "gateway/yaml.h"

#include "gateway/base/text.h"

#include <assert.h>
#include <ctype.h>
#include <math.h>
#include <string.h>
#include <yaml.h>

/* One open container. */
struct level {
    struct yaml_node *node;
    const char *key; /* of an object: read, and waiting for its value */
    int key_line;
};

struct builder {
    struct arena *arena;
    struct level stack[YAML_MAX_DEPTH];
    int depth;
    struct yaml_node *root;
    int documents;
    int line; /* of the event that is being handled */
    struct err *err;
};

/* ---- what a plain scalar means: YAML 1.2, 10.3.2 ----------------------------------------- */

static bool is_one_of(const char *text, const char *const *words)
{
    for (; *words != NULL; words++)
        if (strcmp(text, *words) == 0)
            return true;
    return false;
}

static size_t digits(const char *text, const char *allowed)
{
    return strspn(text, allowed);
}

/* [-+]? ( \.[0-9]+ | [0-9]+ ( \.[0-9]* )? ) ( [eE] [-+]? [0-9]+ )? */
static bool is_decimal(const char *text)
{
    static const char decimals[] = "0123456789";
    text += *text == '-' || *text == '+';
    size_t whole = digits(text, decimals), fraction = 0;
    text += whole;
    if (*text == '.') {
        fraction = digits(text + 1, decimals);
        text += 1 + fraction;
    }
    if (whole + fraction == 0)
        return false;
    if (*text == 'e' || *text == 'E') {
        text++;
        text += *text == '-' || *text == '+';
        size_t exponent = digits(text, decimals);
        if (exponent == 0)
            return false;
        text += exponent;
    }
    return *text == '\0';
}

/* "0o17" and "0x1F". */
static bool read_based(const char *text, double *out)
{
    double base = text_starts(text, "0o") ? 8 : text_starts(text, "0x") ? 16 : 0;
    if (base == 0 || text[2] == '\0' ||
        text[2 + digits(text + 2, base == 8 ? "01234567" : "0123456789abcdefABCDEF")] != '\0')
        return false;
    double value = 0;
    for (const char *c = text + 2; *c != '\0'; c++)
        value = value * base + (isdigit((unsigned char)*c) ? *c - '0' : (*c | 0x20) - 'a' + 10);
    *out = value;
    return true;
}

static bool resolve_plain(struct json *j, const char *text, struct err *err)
{
    static const char *const nulls[] = {"", "~", "null", "Null", "NULL", NULL};
    static const char *const trues[] = {"true", "True", "TRUE", NULL};
    static const char *const falses[] = {"false", "False", "FALSE", NULL};
    static const char *const no_numbers[] = {".inf",  ".Inf",  ".INF",  "+.inf", "+.Inf",
                                             "+.INF", "-.inf", "-.Inf", "-.INF", ".nan",
                                             ".NaN",  ".NAN",  NULL};
    if (is_one_of(text, no_numbers))
        return fail(err, ERR_INVALID, "%s is not a finite number", text);
    if (is_one_of(text, nulls))
        j->type = JSON_NULL;
    else if (is_one_of(text, trues))
        j->type = JSON_TRUE;
    else if (is_one_of(text, falses))
        j->type = JSON_FALSE;
    else if (is_decimal(text) || read_based(text, &j->number))
        j->type = JSON_NUMBER;
    else
        j->type = JSON_STRING;
    if (j->type == JSON_NUMBER && is_decimal(text))
        j->number = strtod(text, NULL);
    if (j->type == JSON_NUMBER && !isfinite(j->number))
        return fail(err, ERR_INVALID, "the number is too large");
    if (j->type == JSON_STRING)
        j->text = text;
    return true;
}

/* ---- the tree ---------------------------------------------------------------------------- */

static struct yaml_node *node_new(struct builder *b, enum json_type type)
{
    struct yaml_node *node = ARENA_NEW(b->arena, struct yaml_node);
    node->json.type = type;
    node->line = b->line;
    return node;
}

static bool attach(struct builder *b, struct yaml_node *node)
{
    if (b->depth == 0) {
        b->root = node;
        return true;
    }
    struct level *level = &b->stack[b->depth - 1];
    struct json *parent = &level->node->json;
    if (parent->type == JSON_OBJECT) {
        node->json.key = level->key;
        node->line = level->key_line;
        level->key = NULL;
    }
    node->json.in_container = true;
    *(parent->last == NULL ? &parent->child : &parent->last->next) = &node->json;
    parent->last = &node->json;
    return true;
}

static bool wants_key(const struct builder *b)
{
    return b->depth > 0 && b->stack[b->depth - 1].node->json.type == JSON_OBJECT &&
           b->stack[b->depth - 1].key == NULL;
}

static bool refuse_extras(struct builder *b, const yaml_char_t *anchor, const yaml_char_t *tag)
{
    if (anchor != NULL)
        return fail(b->err, ERR_INVALID, "anchors (&%s) are not supported", (const char *)anchor);
    if (tag != NULL)
        return fail(b->err, ERR_INVALID, "tags (%s) are not supported", (const char *)tag);
    return true;
}

static bool take_key(struct builder *b, const char *text, bool plain)
{
    if (*text == '\0')
        return fail(b->err, ERR_INVALID, "a key is empty");
    if (plain && strcmp(text, "<<") == 0)
        return fail(b->err, ERR_INVALID, "merge keys (<<) are not supported");
    b->stack[b->depth - 1].key = text;
    b->stack[b->depth - 1].key_line = b->line;
    return true;
}

static bool on_scalar(struct builder *b, const yaml_event_t *event)
{
    const char *value = (const char *)event->data.scalar.value;
    size_t len = event->data.scalar.length;
    if (!refuse_extras(b, event->data.scalar.anchor, event->data.scalar.tag))
        return false;
    if (strlen(value) != len)
        return fail(b->err, ERR_INVALID, "a text holds a NUL byte");
    const char *text = arena_strndup(b->arena, value, len);
    bool plain = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
    if (wants_key(b))
        return take_key(b, text, plain);
    struct yaml_node *node = node_new(b, JSON_STRING);
    node->written = text;
    node->plain = plain;
    node->json.text = text;
    if (plain) {
        node->json.text = NULL;
        if (!resolve_plain(&node->json, text, b->err))
            return false;
    }
    return attach(b, node);
}

static bool on_open(struct builder *b, enum json_type type, const yaml_char_t *anchor,
                    const yaml_char_t *tag)
{
    if (!refuse_extras(b, anchor, tag))
        return false;
    if (wants_key(b))
        return fail(b->err, ERR_INVALID,
                    "a key must be a text (a value that begins with { or [ goes in quotes)");
    if (b->depth == YAML_MAX_DEPTH)
        return fail(b->err, ERR_TOO_LARGE, "nested deeper than %d levels", YAML_MAX_DEPTH);
    struct yaml_node *node = node_new(b, type);
    attach(b, node);
    b->stack[b->depth++] = (struct level){.node = node};
    return true;
}

static int by_key_then_line(const void *x, const void *y)
{
    const struct yaml_node *a = *(const struct yaml_node *const *)x;
    const struct yaml_node *b = *(const struct yaml_node *const *)y;
    int order = strcmp(a->json.key, b->json.key);
    return order != 0 ? order : (a->line > b->line) - (a->line < b->line);
}

/* Sorted, not compared pair by pair: a file may hold a hundred thousand keys. */
static bool refuse_duplicates(struct builder *b, const struct json *object)
{
    size_t n = 0, i = 0;
    JSON_EACH(member, object)
    n++;
    if (n < 2)
        return true;
    CLEANUP(arena_done) struct arena scratch = ARENA_INIT;
    const struct yaml_node **members = ARENA_ARRAY(&scratch, const struct yaml_node *, n);
    JSON_EACH(member, object)
    members[i++] = yaml_node(member);
    qsort(members, n, sizeof(void *), by_key_then_line);
    size_t again = 0; /* the first of those that stand behind their equal */
    for (i = 1; i < n; i++)
        if (strcmp(members[i]->json.key, members[i - 1]->json.key) == 0 &&
            (again == 0 || members[i]->line < members[again]->line))
            again = i;
    if (again == 0)
        return true;
    b->line = members[again]->line;
    return fail(b->err, ERR_INVALID, "%.60s: is there twice (first in line %d)",
                members[again]->json.key, members[again - 1]->line);
}

static bool on_close(struct builder *b)
{
    struct yaml_node *node = b->stack[--b->depth].node;
    assert(node != NULL);
    return node->json.type != JSON_OBJECT || refuse_duplicates(b, &node->json);
}

static bool on_document(struct builder *b, const yaml_event_t *event)
{
    if (b->documents++ > 0)
        return fail(b->err, ERR_INVALID, "a second document (---) is not supported");
    if (event->data.document_start.tag_directives.start !=
        event->data.document_start.tag_directives.end)
        return fail(b->err, ERR_INVALID, "directives (%%TAG) are not supported");
    return true;
}

static bool on_event(struct builder *b, const yaml_event_t *event)
{
    b->line = (int)event->start_mark.line + 1;
    switch (event->type) {
    case YAML_DOCUMENT_START_EVENT:
        return on_document(b, event);
    case YAML_ALIAS_EVENT:
        return fail(b->err, ERR_INVALID, "aliases (*%.60s) are not supported",
                    (const char *)event->data.alias.anchor);
    case YAML_SCALAR_EVENT:
        return on_scalar(b, event);
    case YAML_SEQUENCE_START_EVENT:
        return on_open(b, JSON_ARRAY, event->data.sequence_start.anchor,
                       event->data.sequence_start.tag);
    case YAML_MAPPING_START_EVENT:
        return on_open(b, JSON_OBJECT, event->data.mapping_start.anchor,
                       event->data.mapping_start.tag);
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT:
        return on_close(b);
    default: /* the stream's own events */
        return true;
    }
}

/* ---- reading ----------------------------------------------------------------------------- */

static int line_at(struct span in, size_t offset)
{
    int line = 1;
    for (size_t i = 0; i < offset && i < in.len; i++)
        line += in.at[i] == '\n';
    return line;
}

/* libyaml says "line 1 column 1" of every bad byte, so it is found here. */
static bool check_bytes(struct span in, int *line, struct err *err)
{
    if (in.len > YAML_MAX_BYTES)
        return fail(err, ERR_TOO_LARGE, "the file is larger than 1 MiB");
    const char *nul = in.len > 0 ? memchr(in.at, '\0', in.len) : NULL;
    if (nul != NULL) {
        *line = line_at(in, (size_t)(nul - in.at));
        return fail(err, ERR_INVALID, "a NUL byte");
    }
    if (utf8_valid(in))
        return true;
    /* Line feeds end no character, so each line is valid or not by itself. */
    *line = 1;
    for (const char *at = in.at, *end = in.at + in.len; at < end; (*line)++) {
        const char *feed = memchr(at, '\n', (size_t)(end - at));
        size_t len = (size_t)((feed != NULL ? feed : end) - at);
        if (!utf8_valid((struct span){at, len}))
            break;
        at += len + 1;
    }
    return fail(err, ERR_INVALID, "is not valid UTF-8");
}

/* Is the line indented with a tab? The most common mistake, and libyaml's words for it help nobody.
 */
static bool has_tab_indent(struct span in, int line)
{
    const char *at = in.at, *end = in.at + in.len;
    for (int i = 1; i < line && at != NULL; i++) {
        at = memchr(at, '\n', (size_t)(end - at));
        at = at == NULL ? NULL : at + 1;
    }
    while (at != NULL && at < end && *at == ' ')
        at++;
    return at != NULL && at < end && *at == '\t';
}

static bool syntax_error(const yaml_parser_t *parser, struct span in, int *line, struct err *err)
{
    *line = (int)parser->problem_mark.line + 1;
    if (parser->problem == NULL)
        return fail(err, ERR_INVALID, "is not YAML");
    if (has_tab_indent(in, *line))
        return fail(err, ERR_INVALID, "is indented with a tab; YAML wants spaces");
    if (parser->context == NULL)
        return fail(err, ERR_INVALID, "is not YAML: %s", parser->problem);
    return fail(err, ERR_INVALID, "is not YAML: %s, %s (line %d)", parser->problem, parser->context,
                (int)parser->context_mark.line + 1);
}

static bool read_events(struct builder *b, yaml_parser_t *parser, struct span in, int *line)
{
    for (bool done = false; !done;) {
        yaml_event_t event;
        if (!yaml_parser_parse(parser, &event))
            return syntax_error(parser, in, line, b->err);
        done = event.type == YAML_STREAM_END_EVENT;
        bool ok = on_event(b, &event);
        yaml_event_delete(&event);
        *line = b->line;
        if (!ok)
            return false;
    }
    return true;
}

bool yaml_parse(struct arena *a, struct span in, struct json **out, int *line, struct err *err)
{
    *line = 0;
    if (!check_bytes(in, line, err))
        return false;
    yaml_parser_t parser;
    if (!yaml_parser_initialize(&parser))
        abort(); /* out of memory */
    yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&parser, (const unsigned char *)in.at, in.len);
    struct builder b = {.arena = a, .err = err, .line = 1};
    bool ok = read_events(&b, &parser, in, line);
    yaml_parser_delete(&parser);
    if (!ok)
        return false;
    if (b.root == NULL) {
        b.line = 1;
        b.root = node_new(&b, JSON_NULL);
    }
    *out = &b.root->json;
    return true;
}

struct yaml_node *yaml_node(const struct json *j)
{
    /* The tree's owner may write to it; the JSON view of it is read-only. */
    union {
        const struct json *view;
        struct yaml_node *node;
    } same = {.view = j};
    return same.node;
}

int yaml_line(const struct json *j)
{
    return j == NULL ? 0 : yaml_node(j)->line;
}
