/* See json_schema.h. One function per keyword, found in a table. */
#include "agents/json_schema.h"

#include "gateway/base/strbuf.h"
#include "gateway/base/text.h"

#include <math.h>
#include <string.h>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

enum {
    MAX_DEPTH = 200,      /* schemas inside schemas, $ref included */
    MAX_CHECKS = 200000,  /* keywords looked at for one value */
    MAX_PATTERN = 2000,   /* bytes, when names are replaced */
    MATCH_LIMIT = 200000, /* PCRE2's own unit of work */
    SHOWN_CHOICES = 12,
};

/* From the value up to the root, on the stack; written out only when something is wrong. */
struct place {
    const struct place *parent;
    const char *key; /* NULL: item `index` of an array */
    size_t index;
};

struct check {
    const struct json *root;
    unsigned depth, left;
    bool gave_up; /* the sentence is about us, not about the value: `not` must not turn it round */
    struct err *err;
};

static bool validate(struct check *c, const struct json *schema, const struct json *value,
                     const struct place *at);

/* ---- saying what is wrong ---------------------------------------------------------------- */

static void add_place(struct strbuf *b, const struct place *at)
{
    if (at->parent != NULL)
        add_place(b, at->parent);
    if (at->key == NULL)
        strbuf_addf(b, "[%zu]", at->index);
    else
        strbuf_addf(b, "%s%s", at->parent == NULL ? "" : ".", at->key);
}

static bool wrong(struct check *c, const struct place *at, const char *fmt, ...) PRINTF(3, 4);
static bool wrong(struct check *c, const struct place *at, const char *fmt, ...)
{
    if (c->err == NULL)
        return false;
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    struct strbuf where;
    strbuf_init(&where, &a, ERR_TEXT_SIZE / 2);
    add_place(&where, at);
    va_list args;
    va_start(args, fmt);
    char *what = arena_vprintf(&a, fmt, args);
    va_end(args);
    return fail(c->err, ERR_INVALID, "%s: %s", where.text, what);
}

static bool give_up(struct check *c, const struct place *at, const char *why)
{
    c->gave_up = true;
    return wrong(c, at, "%s", why);
}

/* ---- types and values -------------------------------------------------------------------- */

static const char *type_of(const struct json *value)
{
    switch (value->type) {
    case JSON_NULL:
        return "null";
    case JSON_FALSE:
    case JSON_TRUE:
        return "boolean";
    case JSON_NUMBER:
        return "number";
    case JSON_STRING:
        return "string";
    case JSON_ARRAY:
        return "array";
    case JSON_OBJECT:
        return "object";
    }
    UNREACHABLE();
}

static bool has_type(const struct json *value, const char *type)
{
    if (text_eq(type, "integer"))
        return json_is_int(value);
    return text_eq(type, type_of(value));
}

static bool check_type(struct check *c, const struct json *schema, const struct json *rule,
                       const struct json *value, const struct place *at)
{
    (void)schema;
    if (rule->type == JSON_STRING) {
        if (has_type(value, rule->text))
            return true;
        if (text_eq(rule->text, "integer") && value->type == JSON_NUMBER)
            return wrong(c, at, "must be a whole number within ±(2^53 - 1)");
        return wrong(c, at, "must be of type %s, is %s", rule->text, type_of(value));
    }
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    struct strbuf names;
    strbuf_init(&names, &a, 200);
    JSON_EACH(type, rule)
    {
        if (has_type(value, json_text(type)))
            return true;
        strbuf_addf(&names, "%s%s", type == rule->child ? "" : " or ", json_text(type));
    }
    return wrong(c, at, "must be of type %s, is %s", names.text, type_of(value));
}

static bool check_enum(struct check *c, const struct json *schema, const struct json *rule,
                       const struct json *value, const struct place *at)
{
    (void)schema;
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    struct strbuf names;
    strbuf_init(&names, &a, 160);
    size_t shown = 0;
    JSON_EACH(choice, rule)
    {
        if (json_equal(choice, value))
            return true;
        if (shown++ < SHOWN_CHOICES)
            strbuf_addf(&names, "%s%s", choice == rule->child ? "" : ", ", json_write(&a, choice));
    }
    return wrong(c, at, "must be one of %s", names.text);
}

static bool check_const(struct check *c, const struct json *schema, const struct json *rule,
                        const struct json *value, const struct place *at)
{
    (void)schema;
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    return json_equal(rule, value) || wrong(c, at, "must be %.120s", json_write(&a, rule));
}

/* ---- numbers and strings ----------------------------------------------------------------- */

enum bound { MINIMUM, MAXIMUM, EXCLUSIVE_MINIMUM, EXCLUSIVE_MAXIMUM };

static bool check_bound(struct check *c, enum bound bound, const struct json *rule,
                        const struct json *value, const struct place *at)
{
    static const char *const words[] = {"at least", "at most", "more than", "less than"};
    double limit = rule->number, n = value->number;
    bool ok = bound == MINIMUM             ? n >= limit
              : bound == MAXIMUM           ? n <= limit
              : bound == EXCLUSIVE_MINIMUM ? n > limit
                                           : n < limit;
    if (value->type != JSON_NUMBER || rule->type != JSON_NUMBER || ok)
        return true;
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    return wrong(c, at, "must be %s %s", words[bound], json_write(&a, rule));
}

#define BOUND_CHECK(function, bound)                                                          \
    static bool function(struct check *c, const struct json *schema, const struct json *rule, \
                         const struct json *value, const struct place *at)                    \
    {                                                                                         \
        (void)schema;                                                                         \
        return check_bound(c, bound, rule, value, at);                                        \
    }
BOUND_CHECK(check_minimum, MINIMUM)
BOUND_CHECK(check_maximum, MAXIMUM)
BOUND_CHECK(check_exclusive_minimum, EXCLUSIVE_MINIMUM)
BOUND_CHECK(check_exclusive_maximum, EXCLUSIVE_MAXIMUM)

static bool check_min_length(struct check *c, const struct json *schema, const struct json *rule,
                             const struct json *value, const struct place *at)
{
    (void)schema;
    if (value->type != JSON_STRING || (double)utf8_length(value->text) >= rule->number)
        return true;
    return wrong(c, at, "must have at least %.0f characters", rule->number);
}

static bool check_max_length(struct check *c, const struct json *schema, const struct json *rule,
                             const struct json *value, const struct place *at)
{
    (void)schema;
    if (value->type != JSON_STRING || (double)utf8_length(value->text) <= rule->number)
        return true;
    return wrong(c, at, "must have at most %.0f characters", rule->number);
}

static bool check_pattern(struct check *c, const struct json *schema, const struct json *rule,
                          const struct json *value, const struct place *at)
{
    (void)schema;
    struct err why = ERR_INIT;
    if (value->type != JSON_STRING || rule->type != JSON_STRING)
        return true;
    if (pattern_matches(rule->text, value->text, &why))
        return true;
    c->gave_up |= why.kind != ERR_INVALID;
    return wrong(c, at, "%s", why.text);
}

/* ---- arrays and objects ------------------------------------------------------------------ */

static bool check_items(struct check *c, const struct json *schema, const struct json *rule,
                        const struct json *value, const struct place *at)
{
    (void)schema;
    if (value->type != JSON_ARRAY)
        return true;
    struct place inner = {.parent = at};
    for (const struct json *item = value->child; item != NULL; item = item->next, inner.index++)
        if (!validate(c, rule, item, &inner))
            return false;
    return true;
}

static bool check_min_items(struct check *c, const struct json *schema, const struct json *rule,
                            const struct json *value, const struct place *at)
{
    (void)schema;
    if (value->type != JSON_ARRAY || (double)json_count(value) >= rule->number)
        return true;
    return wrong(c, at, "must have at least %.0f items", rule->number);
}

static bool check_max_items(struct check *c, const struct json *schema, const struct json *rule,
                            const struct json *value, const struct place *at)
{
    (void)schema;
    if (value->type != JSON_ARRAY || (double)json_count(value) <= rule->number)
        return true;
    return wrong(c, at, "must have at most %.0f items", rule->number);
}

static int compare_text(const void *left, const void *right)
{
    return strcmp(*(char *const *)left, *(char *const *)right);
}

static bool check_unique_items(struct check *c, const struct json *schema, const struct json *rule,
                               const struct json *value, const struct place *at)
{
    (void)schema;
    if (value->type != JSON_ARRAY || !json_is_true(rule))
        return true;
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    size_t n = 0;
    char **texts = ARENA_ARRAY(&a, char *, json_count(value) + 1);
    JSON_EACH(item, value)
    texts[n++] = json_canonical(&a, item);
    qsort(texts, n, sizeof *texts, compare_text);
    for (size_t i = 1; i < n; i++)
        if (strcmp(texts[i - 1], texts[i]) == 0)
            return wrong(c, at, "has the item %.100s twice", texts[i]);
    return true;
}

static bool check_required(struct check *c, const struct json *schema, const struct json *rule,
                           const struct json *value, const struct place *at)
{
    (void)schema;
    if (value->type != JSON_OBJECT)
        return true;
    JSON_EACH(name, rule)
    {
        struct place inner = {.parent = at, .key = json_text(name)};
        if (inner.key != NULL && json_get(value, inner.key) == NULL)
            return wrong(c, &inner, "is required");
    }
    return true;
}

static bool check_properties(struct check *c, const struct json *schema, const struct json *rule,
                             const struct json *value, const struct place *at)
{
    (void)schema;
    if (value->type != JSON_OBJECT)
        return true;
    JSON_EACH(item, value)
    {
        const struct json *property = json_get(rule, item->key);
        struct place inner = {.parent = at, .key = item->key};
        if (property != NULL && !validate(c, property, item, &inner))
            return false;
    }
    return true;
}

static bool check_additional(struct check *c, const struct json *schema, const struct json *rule,
                             const struct json *value, const struct place *at)
{
    if (value->type != JSON_OBJECT)
        return true;
    const struct json *known = json_get(schema, "properties");
    JSON_EACH(item, value)
    {
        struct place inner = {.parent = at, .key = item->key};
        if (json_get(known, item->key) != NULL)
            continue;
        if (rule->type == JSON_FALSE)
            return wrong(c, &inner, "is not known here");
        if (!validate(c, rule, item, &inner))
            return false;
    }
    return true;
}

/* ---- schemas made of schemas ------------------------------------------------------------- */

static bool check_all_of(struct check *c, const struct json *schema, const struct json *rule,
                         const struct json *value, const struct place *at)
{
    (void)schema;
    JSON_EACH(part, rule)
    if (!validate(c, part, value, at))
        return false;
    return true;
}

/* How many of the alternatives accept the value; stops at `enough`. */
static size_t count_matches(struct check *c, const struct json *rule, const struct json *value,
                            const struct place *at, size_t enough)
{
    struct err *err = c->err;
    size_t matches = 0;
    c->err = NULL;
    JSON_EACH(part, rule)
    {
        matches += validate(c, part, value, at);
        if (matches == enough || c->gave_up)
            break;
    }
    c->err = err;
    return matches;
}

/* "T or null" is an optional T: then what T says is the better sentence. */
static const struct json *only_real_alternative(const struct json *rule)
{
    const struct json *real = NULL;
    JSON_EACH(part, rule)
    {
        if (text_eq(json_text(json_get(part, "type")), "null"))
            continue;
        if (real != NULL)
            return NULL;
        real = part;
    }
    return real;
}

static bool check_any_of(struct check *c, const struct json *schema, const struct json *rule,
                         const struct json *value, const struct place *at)
{
    (void)schema;
    if (count_matches(c, rule, value, at, 1) > 0)
        return true;
    const struct json *real = only_real_alternative(rule);
    if (real != NULL && !c->gave_up)
        return validate(c, real, value, at);
    return c->gave_up ? give_up(c, at, "the schema is too deep or too costly")
                      : wrong(c, at, "matches none of the %zu allowed forms", json_count(rule));
}

static bool check_one_of(struct check *c, const struct json *schema, const struct json *rule,
                         const struct json *value, const struct place *at)
{
    (void)schema;
    size_t matches = count_matches(c, rule, value, at, 2);
    if (c->gave_up)
        return give_up(c, at, "the schema is too deep or too costly");
    if (matches > 1)
        return wrong(c, at, "matches more than one of the allowed forms");
    return matches == 1 || wrong(c, at, "matches none of the %zu allowed forms", json_count(rule));
}

static bool check_not(struct check *c, const struct json *schema, const struct json *rule,
                      const struct json *value, const struct place *at)
{
    (void)schema;
    struct err *err = c->err;
    c->err = NULL;
    bool matches = validate(c, rule, value, at);
    c->err = err;
    if (c->gave_up)
        return give_up(c, at, "the schema is too deep or too costly");
    return !matches || wrong(c, at, "has a form that is not allowed");
}

/* One step of a JSON pointer in a URI fragment: ~1 is '/', ~0 is '~', %xx as in URLs. */
static const struct json *follow(struct arena *a, const struct json *at, struct span token)
{
    char *name;
    if (at == NULL || !url_decode(a, token, false, &name))
        return NULL;
    char *to = name;
    for (const char *from = name; *from != '\0'; from++) {
        if (*from == '~' && (from[1] == '0' || from[1] == '1'))
            *to++ = *++from == '0' ? '~' : '/';
        else
            *to++ = *from;
    }
    *to = '\0';
    if (at->type != JSON_ARRAY)
        return json_get(at, name);
    return strchr(name, '.') == NULL && *name != '\0' ? json_at(at, name) : NULL;
}

static const struct json *resolve_pointer(const struct json *root, const char *ref)
{
    if (ref == NULL || *ref++ != '#')
        return NULL;
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    while (*ref == '/') {
        size_t len = strcspn(ref + 1, "/");
        root = follow(&a, root, (struct span){ref + 1, len});
        ref += 1 + len;
    }
    return *ref == '\0' ? root : NULL;
}

const struct json *json_schema_resolve(const struct json *root, const struct json *schema)
{
    for (int hops = 0; schema != NULL && json_get(schema, "$ref") != NULL; hops++) {
        if (hops == MAX_DEPTH)
            return NULL;
        schema = resolve_pointer(root, json_text(json_get(schema, "$ref")));
    }
    return schema;
}

static bool check_ref(struct check *c, const struct json *schema, const struct json *rule,
                      const struct json *value, const struct place *at)
{
    (void)schema;
    const struct json *target = resolve_pointer(c->root, json_text(rule));
    if (target == NULL)
        return give_up(c, at, "the schema's $ref leads nowhere");
    return validate(c, target, value, at);
}

/* ---- the keywords ------------------------------------------------------------------------ */

/* What stands in a keyword, for json_schema_check(). */
enum content { ANYTHING, NUMBER, TEXT, FLAG, TEXTS, TYPE, LIST, SCHEMA, SCHEMAS, SCHEMA_MAP };

static const struct keyword {
    const char *name;
    enum content content;
    /* NULL: says nothing about the value. `schema` is the schema that `rule` stands in. */
    bool (*check)(struct check *c, const struct json *schema, const struct json *rule,
                  const struct json *value, const struct place *at);
} keywords[] = {
    {"type", TYPE, check_type},
    {"enum", LIST, check_enum},
    {"const", ANYTHING, check_const},
    {"required", TEXTS, check_required},
    {"properties", SCHEMA_MAP, check_properties},
    {"additionalProperties", SCHEMA, check_additional},
    {"items", SCHEMA, check_items},
    {"minimum", NUMBER, check_minimum},
    {"maximum", NUMBER, check_maximum},
    {"exclusiveMinimum", NUMBER, check_exclusive_minimum},
    {"exclusiveMaximum", NUMBER, check_exclusive_maximum},
    {"minLength", NUMBER, check_min_length},
    {"maxLength", NUMBER, check_max_length},
    {"pattern", TEXT, check_pattern},
    {"minItems", NUMBER, check_min_items},
    {"maxItems", NUMBER, check_max_items},
    {"uniqueItems", FLAG, check_unique_items},
    {"allOf", SCHEMAS, check_all_of},
    {"anyOf", SCHEMAS, check_any_of},
    {"oneOf", SCHEMAS, check_one_of},
    {"not", SCHEMA, check_not},
    {"$ref", TEXT, check_ref},
    {"$defs", SCHEMA_MAP, NULL},
    {"$schema", TEXT, NULL},
    {"$comment", TEXT, NULL},
    {"title", TEXT, NULL},
    {"description", TEXT, NULL},
    {"default", ANYTHING, NULL},
    {"examples", LIST, NULL},
};

static const struct keyword *keyword_by_name(const char *name)
{
    for (size_t i = 0; i < COUNT(keywords); i++)
        if (strcmp(keywords[i].name, name) == 0)
            return &keywords[i];
    return NULL;
}

static bool validate_keywords(struct check *c, const struct json *schema, const struct json *value,
                              const struct place *at)
{
    JSON_EACH(rule, schema)
    {
        const struct keyword *keyword = keyword_by_name(rule->key);
        if (c->left == 0)
            return give_up(c, at, "the schema is too costly");
        c->left--;
        if (keyword != NULL && keyword->check != NULL &&
            !keyword->check(c, schema, rule, value, at))
            return false;
    }
    return true;
}

static bool validate(struct check *c, const struct json *schema, const struct json *value,
                     const struct place *at)
{
    if (schema->type != JSON_OBJECT)
        return schema->type == JSON_TRUE || wrong(c, at, "is not allowed");
    if (c->depth == MAX_DEPTH)
        return give_up(c, at, "the schema is too deep");
    c->depth++;
    bool ok = validate_keywords(c, schema, value, at);
    c->depth--;
    return ok && !c->gave_up;
}

bool json_schema_validate(const struct json *schema, const struct json *value, const char *name,
                          struct err *err)
{
    struct check c = {.root = schema, .left = MAX_CHECKS, .err = err};
    struct place root = {.key = name};
    return validate(&c, schema, value, &root);
}

/* ---- patterns ---------------------------------------------------------------------------- */

/* The long names that ECMA-262 knows and PCRE2 10.42 does not. */
static const struct category {
    const char *name, *code;
} categories[] = {
    {"Letter", "L"},
    {"Uppercase_Letter", "Lu"},
    {"Lowercase_Letter", "Ll"},
    {"Titlecase_Letter", "Lt"},
    {"Modifier_Letter", "Lm"},
    {"Other_Letter", "Lo"},
    {"Mark", "M"},
    {"Number", "N"},
    {"Decimal_Number", "Nd"},
    {"digit", "Nd"},
    {"Punctuation", "P"},
    {"punct", "P"},
    {"Symbol", "S"},
    {"Separator", "Z"},
    {"Space_Separator", "Zs"},
    {"Other", "C"},
    {"Control", "Cc"},
    {"Format", "Cf"},
};

static const char *category_code(struct span name)
{
    for (size_t i = 0; i < COUNT(categories); i++)
        if (span_eq(name, categories[i].name))
            return categories[i].code;
    return NULL;
}

/* \p{Letter} → \p{L}. */
static char *with_short_categories(struct arena *a, const char *pattern)
{
    struct strbuf b;
    strbuf_init(&b, a, MAX_PATTERN);
    while (*pattern != '\0') {
        if (*pattern != '\\' || pattern[1] == '\0') {
            strbuf_addc(&b, *pattern++);
            continue;
        }
        bool is_property = (pattern[1] == 'p' || pattern[1] == 'P') && pattern[2] == '{';
        size_t len = is_property ? strcspn(pattern + 3, "}") : 0;
        const char *code = is_property ? category_code((struct span){pattern + 3, len}) : NULL;
        strbuf_addn(&b, pattern, 2);
        if (code != NULL)
            strbuf_addf(&b, "{%s", code);
        pattern += code != NULL ? 3 + len : 2;
    }
    return strbuf_overflowed(&b) ? NULL : b.text;
}

static void free_code(pcre2_code **code)
{
    pcre2_code_free(*code);
}

static void free_data(pcre2_match_data **data)
{
    pcre2_match_data_free(*data);
}

static void free_context(pcre2_match_context **context)
{
    pcre2_match_context_free(*context);
}

static pcre2_code *compile(const char *pattern, struct err *err)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    /* No UCP: in ECMA-262 \d, \w and \b mean ASCII, and "four digits" should not mean any script's.
     * DOLLAR_ENDONLY: "$" must not let a line break through at the end. */
    uint32_t options = PCRE2_UTF | PCRE2_DOLLAR_ENDONLY | PCRE2_ALT_BSUX | PCRE2_NEVER_BACKSLASH_C |
                       PCRE2_MATCH_UNSET_BACKREF;
    const char *spelled = with_short_categories(&a, pattern);
    int code = 0;
    size_t offset = 0;
    pcre2_code *compiled = spelled == NULL
                               ? NULL
                               : pcre2_compile((PCRE2_SPTR)spelled, PCRE2_ZERO_TERMINATED, options,
                                               &code, &offset, NULL);
    if (compiled == NULL)
        (void)fail(err, ERR_MISSING, "%.100s is no pattern", pattern);
    return compiled;
}

bool pattern_matches(const char *pattern, const char *text, struct err *err)
{
    CLEANUP(free_code) pcre2_code *code = compile(pattern, err);
    if (code == NULL)
        return false;
    CLEANUP(free_data)
    pcre2_match_data *data = pcre2_match_data_create_from_pattern(code, NULL);
    CLEANUP(free_context) pcre2_match_context *context = pcre2_match_context_create(NULL);
    if (data == NULL || context == NULL)
        abort();
    pcre2_set_match_limit(context, MATCH_LIMIT);
    pcre2_set_depth_limit(context, MATCH_LIMIT);
    int found = pcre2_match(code, (PCRE2_SPTR)text, strlen(text), 0, 0, data, context);
    if (found >= 0)
        return true;
    if (found == PCRE2_ERROR_NOMATCH)
        return fail(err, ERR_INVALID, "does not match %.120s", pattern);
    return fail(err, ERR_TOO_LARGE, "cannot be checked against %.100s: it takes too long", pattern);
}

/* ---- checking a schema ------------------------------------------------------------------- */

static bool check_schema(const struct json *schema, unsigned depth, struct err *err);

static bool check_schemas(const struct json *list, enum json_type type, unsigned depth,
                          struct err *err)
{
    if (list->type != type)
        return fail(err, ERR_INVALID, "must be %s", type == JSON_ARRAY ? "a list" : "a map");
    JSON_EACH(schema, list)
    if (!check_schema(schema, depth, err))
        return schema->key != NULL && fail_in(err, schema->key);
    return true;
}

static bool all_texts(const struct json *list)
{
    if (list->type != JSON_ARRAY)
        return false;
    JSON_EACH(item, list)
    if (item->type != JSON_STRING)
        return false;
    return true;
}

static bool is_type_name(const struct json *name)
{
    static const char *const types[] = {"null",   "boolean", "object", "array",
                                        "number", "integer", "string"};
    for (size_t i = 0; i < COUNT(types); i++)
        if (text_eq(json_text(name), types[i]))
            return true;
    return false;
}

static bool check_type_names(const struct json *rule, struct err *err)
{
    if (rule->type != JSON_ARRAY)
        return is_type_name(rule) || fail(err, ERR_INVALID, "is no type");
    JSON_EACH(name, rule)
    if (!is_type_name(name))
        return fail(err, ERR_INVALID, "is no list of types");
    return rule->child != NULL || fail(err, ERR_INVALID, "is empty");
}

static bool check_content(const struct keyword *keyword, const struct json *rule, unsigned depth,
                          struct err *err)
{
    switch (keyword->content) {
    case ANYTHING:
        return true;
    case NUMBER:
        return rule->type == JSON_NUMBER || fail(err, ERR_INVALID, "must be a number");
    case TEXT:
        if (rule->type != JSON_STRING)
            return fail(err, ERR_INVALID, "must be a text");
        return strcmp(keyword->name, "pattern") != 0 || pattern_matches(rule->text, "", err) ||
               (err != NULL && err->kind == ERR_INVALID); /* "" need not match */
    case FLAG:
        return rule->type == JSON_TRUE || rule->type == JSON_FALSE ||
               fail(err, ERR_INVALID, "must be true or false");
    case TEXTS:
        return all_texts(rule) || fail(err, ERR_INVALID, "must be a list of names");
    case TYPE:
        return check_type_names(rule, err);
    case LIST:
        return rule->type == JSON_ARRAY || fail(err, ERR_INVALID, "must be a list");
    case SCHEMA:
        return check_schema(rule, depth, err);
    case SCHEMAS:
        return check_schemas(rule, JSON_ARRAY, depth, err);
    case SCHEMA_MAP:
        return check_schemas(rule, JSON_OBJECT, depth, err);
    }
    UNREACHABLE();
}

static bool check_schema(const struct json *schema, unsigned depth, struct err *err)
{
    if (schema->type == JSON_TRUE || schema->type == JSON_FALSE)
        return true;
    if (schema->type != JSON_OBJECT)
        return fail(err, ERR_INVALID, "is no schema");
    if (depth == 0)
        return fail(err, ERR_TOO_LARGE, "nested too deeply");
    JSON_EACH(rule, schema)
    {
        const struct keyword *keyword = keyword_by_name(rule->key);
        if (keyword == NULL)
            return fail(err, ERR_INVALID, "%s: is not supported", rule->key);
        if (!check_content(keyword, rule, depth - 1, err))
            return fail_in(err, rule->key);
    }
    return true;
}

bool json_schema_check(const struct json *schema, struct err *err)
{
    struct err own = ERR_INIT; /* check_content() reads the kind */
    return check_schema(schema, JSON_MAX_DEPTH, err == NULL ? &own : err);
}
