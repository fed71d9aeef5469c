/* See field.h. Every value is read into one union, checked against its row, and copied to where the
 * row says; the defaults of the rows go through the same readers. */
#include "gateway/base/field.h"

#include "gateway/base/field_private.h"
#include "gateway/base/text.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

enum {
    LIST_MAX = 10000,     /* elements in one list */
    IDENT_MAX = 64,       /* bytes in a name */
    WORD_MAX = 48,        /* longer words are not compared: nobody mistypes them */
    NEAR_MAX = 3,         /* edits between a mistyped word and the one that was meant */
    TEXT_MAX = 64 * 1024, /* bytes in a text whose row has no limit of its own */
};

union value {
    const char *text;
    int64_t number;
    double real;
    bool flag;
    int position;
    const struct json *json;
};

struct decoder {
    struct arena *arena;
    struct problems *problems;
    const struct field *rows;
    size_t n;
    const struct json *object; /* NULL: there is none */
    bool is_present;           /* false: nobody wrote it, so it lacks nothing */
};

/* ---- saying what is wrong ------------------------------------------------------------------- */

bool problem(struct problems *problems, enum problem_kind kind, const struct json *at,
             const char *key, const char *fmt, ...)
{
    if (problems == NULL)
        return false;
    size_t *counters[] = {
        [PROBLEM_ERROR] = &problems->errors,
        [PROBLEM_WARNING] = &problems->warnings,
        [PROBLEM_NOTE] = &problems->notes,
    };
    (*counters[kind])++;
    if (problems->report == NULL)
        return false;
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    const char *path = problems->path != NULL ? problems->path : "";
    const char *dot = *path != '\0' && key != NULL ? "." : "";
    va_list args;
    va_start(args, fmt);
    const char *sentence = arena_vprintf(&a, fmt, args);
    va_end(args);
    problems->report(problems->ctx, kind, at,
                     arena_printf(&a, "%s%s%s", path, dot, key != NULL ? key : ""), sentence);
    return false;
}

static bool same_letter(char a, char b)
{
    return tolower((unsigned char)a) == tolower((unsigned char)b);
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Edits (insert, remove, replace, swap neighbours) between two words, without regard to case.
 * Neither is longer than WORD_MAX. Three rows of the usual table are enough. */
static size_t distance(const char *a, const char *b)
{
    size_t rows[3][WORD_MAX + 1], n = strlen(b);
    size_t *before = rows[0], *last = rows[1], *now = rows[2];
    for (size_t j = 0; j <= n; j++)
        before[j] = last[j] = j;
    for (size_t i = 1; a[i - 1] != '\0'; i++) {
        now[0] = i;
        for (size_t j = 1; j <= n; j++) {
            bool same = same_letter(a[i - 1], b[j - 1]);
            bool swapped = i > 1 && j > 1 && same_letter(a[i - 1], b[j - 2]) &&
                           same_letter(a[i - 2], b[j - 1]);
            now[j] = least(last[j - 1] + !same, least(last[j], now[j - 1]) + 1);
            now[j] = swapped ? least(now[j], before[j - 2] + 1) : now[j];
        }
        size_t *oldest = before;
        before = last;
        last = now;
        now = oldest;
    }
    return last[n];
}

/* A word that was cut short, or written out: "form" for "format". */
static const char *longer_word(const char *word, const char *const *words, size_t n)
{
    for (size_t i = 0; strlen(word) >= 3 && i < n; i++)
        if (strlen(words[i]) >= 3 && (text_starts(words[i], word) || text_starts(word, words[i])))
            return words[i];
    return NULL;
}

const char *nearest_word(const char *word, const char *const *words, size_t n)
{
    size_t len = strlen(word), limit = (len + 1) / 3;
    if (len > WORD_MAX)
        return NULL;
    limit = limit > NEAR_MAX ? NEAR_MAX : limit;
    const char *best = NULL;
    for (size_t i = 0; i < n; i++) {
        size_t d = strlen(words[i]) > WORD_MAX ? limit + 1 : distance(word, words[i]);
        if (d < limit + (best == NULL)) {
            best = words[i];
            limit = d;
        }
    }
    return best != NULL ? best : longer_word(word, words, n);
}

static const struct field *row_by_key(const struct field *rows, size_t n, const char *key)
{
    for (size_t i = 0; i < n; i++)
        if (rows[i].key != NULL && strcmp(rows[i].key, key) == 0)
            return &rows[i];
    return NULL;
}

static void report_unknown(const struct decoder *d, const struct json *member)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    const char **words = ARENA_ARRAY(&a, const char *, d->n);
    size_t n = 0;
    for (size_t i = 0; i < d->n; i++)
        if (d->rows[i].key != NULL)
            words[n++] = d->rows[i].key;
    const char *meant = nearest_word(member->key, words, n);
    if (meant != NULL)
        problem(d->problems, PROBLEM_ERROR, member, member->key,
                "is not a known key; did you mean %s?", meant);
    else
        problem(d->problems, PROBLEM_ERROR, member, member->key, "is not a known key");
}

const char *field_words(struct arena *a, const char *const *words)
{
    struct strbuf b;
    strbuf_init(&b, a, TEXT_MAX);
    for (size_t i = 0; words[i] != NULL; i++)
        strbuf_addf(&b, "%s%s", i == 0 ? "" : ", ", words[i]);
    return b.text;
}

static size_t count_words(const char *const *words)
{
    size_t n = 0;
    while (words != NULL && words[n] != NULL)
        n++;
    return n;
}

static int position_of(const char *const *words, const char *word)
{
    for (int i = 0; words != NULL && words[i] != NULL; i++)
        if (strcmp(words[i], word) == 0)
            return i;
    return -1;
}

/* ---- numbers with units --------------------------------------------------------------------- */

static const struct {
    const char *unit;
    int64_t bytes;
} size_units[] = {
    {"GiB", (int64_t)1024 * 1024 * 1024},
    {"MiB", (int64_t)1024 * 1024},
    {"KiB", 1024},
    {"B", 1},
};

static bool text_to_size(const char *text, int64_t *out)
{
    for (size_t i = 0; i < COUNT(size_units); i++) {
        if (!text_ends(text, size_units[i].unit))
            continue;
        char digits[20];
        size_t len = strlen(text) - strlen(size_units[i].unit);
        if (len == 0 || len >= sizeof digits)
            return false;
        memcpy(digits, text, len);
        digits[len] = '\0';
        int64_t number;
        return text_to_int(digits, 0, INT64_MAX, &number) &&
               !__builtin_mul_overflow(number, size_units[i].bytes, out);
    }
    return false;
}

static char *text_from_size(struct arena *a, int64_t bytes)
{
    size_t i = 0;
    while (bytes == 0 ? i < COUNT(size_units) - 1 : bytes % size_units[i].bytes != 0)
        i++;
    return arena_printf(a, "%lld%s", (long long)(bytes / size_units[i].bytes), size_units[i].unit);
}

static bool text_to_number(const char *text, double *out)
{
    char *end;
    if (!isdigit((unsigned char)text[*text == '-']))
        return false;
    *out = strtod(text, &end);
    return *end == '\0' && *out - *out == 0; /* finite */
}

static const char *limit_text(struct arena *a, const struct field *row, int64_t value)
{
    if (row->type == FIELD_DURATION)
        return text_from_duration_ms(a, value);
    if (row->type == FIELD_SIZE)
        return text_from_size(a, value);
    return arena_printf(a, "%lld", (long long)value);
}

bool field_has_limits(const struct field *row)
{
    return row->min != 0 || row->max != 0;
}

const char *field_range(struct arena *a, const struct field *row)
{
    if (row->max == INT64_MAX)
        return arena_printf(a, "at least %s", limit_text(a, row, row->min));
    return arena_printf(a, "%s to %s", limit_text(a, row, row->min), limit_text(a, row, row->max));
}

/* ---- one value ------------------------------------------------------------------------------ */

static const char *expected(struct arena *a, const struct field *row)
{
    switch (row->type) {
    case FIELD_TEXT:
        return "a text";
    case FIELD_CHOICE:
    case FIELD_ENUM:
        return arena_printf(a, "one of: %s", field_words(a, row->choices));
    case FIELD_INT:
        return "a whole number";
    case FIELD_NUMBER:
        return "a number";
    case FIELD_BOOL:
        return "true or false";
    case FIELD_DURATION:
        return "a whole number and ms, s, m, h or d, as in 15m";
    case FIELD_SIZE:
        return "a whole number and B, KiB, MiB or GiB, as in 25MiB";
    case FIELD_TEXTS:
        return "a list of texts, as in [a, b]";
    case FIELD_LIST:
        return "a list";
    case FIELD_SECTION:
        return "a mapping of keys to values";
    case FIELD_MAP:
        return "a mapping of names to objects";
    case FIELD_JSON:
    case FIELD_NAME:
    case FIELD_LINE:
    case FIELD_SOURCE:
        return "a value";
    }
    UNREACHABLE();
}

static bool text_is_right(const struct field *row, const char *text, struct err *err)
{
    int64_t max = row->max != 0 ? row->max : TEXT_MAX;
    int64_t len = (int64_t)strlen(text);
    if (len == 0 && !(row->flags & FIELD_EMPTY_OK))
        return fail(err, ERR_INVALID, "must not be empty");
    if (len < row->min)
        return fail(err, ERR_INVALID, "must have at least %lld characters", (long long)row->min);
    if (len > max)
        return fail(err, ERR_TOO_LARGE, "is longer than %lld bytes", (long long)max);
    return row->check == NULL || row->check(text, err);
}

static bool choose(struct arena *a, const struct field *row, const char *text, struct err *err)
{
    if (position_of(row->choices, text) >= 0)
        return true;
    const char *meant = nearest_word(text, row->choices, count_words(row->choices));
    const char *words = field_words(a, row->choices);
    if (meant != NULL)
        return fail(err, ERR_INVALID, "must be one of: %s; did you mean %s?", words, meant);
    return fail(err, ERR_INVALID, "must be one of: %s", words);
}

static bool in_range(struct arena *a, const struct field *row, double number, struct err *err)
{
    if (!field_has_limits(row) || (number >= (double)row->min && number <= (double)row->max))
        return true;
    return fail(err, ERR_INVALID, "must be %s", field_range(a, row));
}

/* A value of any scalar row, from text: as written for texts, else as it came from the environment,
 * or as the default stands in the row. */
static bool read_text(struct arena *a, const struct field *row, const char *text, union value *out,
                      struct err *err)
{
    bool ok = true;
    switch (row->type) {
    case FIELD_TEXT:
    case FIELD_TEXTS:
        out->text = text;
        return row->choices != NULL ? choose(a, row, text, err) : text_is_right(row, text, err);
    case FIELD_CHOICE:
        out->text = text;
        return choose(a, row, text, err);
    case FIELD_ENUM:
        out->position = position_of(row->choices, text);
        return choose(a, row, text, err);
    case FIELD_BOOL:
        out->flag = strcmp(text, "true") == 0;
        ok = out->flag || strcmp(text, "false") == 0;
        break;
    case FIELD_NUMBER:
        ok = text_to_number(text, &out->real);
        break;
    case FIELD_INT:
        ok = text_to_int(text, INT64_MIN, INT64_MAX, &out->number);
        break;
    case FIELD_DURATION:
        ok = text_to_duration_ms(text, &out->number);
        break;
    case FIELD_SIZE:
        ok = text_to_size(text, &out->number);
        break;
    case FIELD_JSON:
    case FIELD_SECTION:
    case FIELD_LIST:
    case FIELD_MAP:
    case FIELD_NAME:
    case FIELD_LINE:
    case FIELD_SOURCE:
        ok = false;
        break;
    }
    if (!ok)
        return fail(err, ERR_INVALID, "must be %s", expected(a, row));
    if (row->type == FIELD_BOOL)
        return true;
    return in_range(a, row, row->type == FIELD_NUMBER ? out->real : (double)out->number, err);
}

static bool wrong_type(struct arena *a, const struct field *row, const struct json *j,
                       struct err *err)
{
    bool is_text = row->type == FIELD_TEXT || row->type == FIELD_TEXTS;
    bool is_scalar = j->type != JSON_ARRAY && j->type != JSON_OBJECT;
    if (is_text && is_scalar)
        return fail(err, ERR_INVALID, "must be a text: write it in quotes");
    return fail(err, ERR_INVALID, "must be %s", expected(a, row));
}

/* `fetched`: text that came from elsewhere may stand for any type. */
static bool read_scalar(struct arena *a, const struct field *row, const struct json *j,
                        bool fetched, union value *out, struct err *err)
{
    bool is_spelt = row->type == FIELD_TEXT || row->type == FIELD_TEXTS ||
                    row->type == FIELD_CHOICE || row->type == FIELD_ENUM ||
                    row->type == FIELD_DURATION || row->type == FIELD_SIZE;
    if (j->type == JSON_STRING && (is_spelt || fetched))
        return read_text(a, row, j->text, out, err);
    bool is_flag = j->type == JSON_TRUE || j->type == JSON_FALSE;
    if (row->type == FIELD_BOOL && is_flag) {
        out->flag = j->type == JSON_TRUE;
        return true;
    }
    if (row->type == FIELD_NUMBER && j->type == JSON_NUMBER) {
        out->real = j->number;
        return in_range(a, row, j->number, err);
    }
    if ((row->type == FIELD_INT || row->type == FIELD_SIZE) && json_is_int(j)) {
        out->number = json_int_or(j, 0);
        return in_range(a, row, j->number, err);
    }
    return wrong_type(a, row, j, err);
}

static void store(void *out, size_t offset, const void *value, size_t size)
{
    if (offset != FIELD_NOWHERE)
        memcpy((char *)out + offset, value, size);
}

static void store_pointer(void *out, size_t offset, const void *pointer)
{
    store(out, offset, &pointer, sizeof pointer);
}

static void store_scalar(const struct field *row, const union value *value, void *out)
{
    switch (row->type) {
    case FIELD_TEXT:
    case FIELD_CHOICE:
        store(out, row->offset, &value->text, sizeof value->text);
        return;
    case FIELD_ENUM:
        store(out, row->offset, &value->position, sizeof value->position);
        return;
    case FIELD_INT:
    case FIELD_DURATION:
    case FIELD_SIZE:
        store(out, row->offset, &value->number, sizeof value->number);
        return;
    case FIELD_NUMBER:
        store(out, row->offset, &value->real, sizeof value->real);
        return;
    case FIELD_BOOL:
        store(out, row->offset, &value->flag, sizeof value->flag);
        return;
    case FIELD_TEXTS:
    case FIELD_JSON:
    case FIELD_SECTION:
    case FIELD_LIST:
    case FIELD_MAP:
    case FIELD_NAME:
    case FIELD_LINE:
    case FIELD_SOURCE:
        break;
    }
    UNREACHABLE();
}

static bool is_scalar_row(const struct field *row)
{
    return row->type <= FIELD_SIZE;
}

static void store_default(struct arena *a, const struct field *row, void *out)
{
    union value value;
    struct err err = ERR_INIT;
    if (!is_scalar_row(row) || row->otherwise == NULL)
        return;
    if (!read_text(a, row, row->otherwise, &value, &err))
        abort(); /* the table is wrong */
    store_scalar(row, &value, out);
}

/* ---- where a row stands --------------------------------------------------------------------- */

static enum value_origin origin_of(const struct problems *p, const struct json *j, const char **why)
{
    *why = NULL;
    return p->origin == NULL ? VALUE_WRITTEN : p->origin(p->ctx, j, why);
}

/* Rows may depend on a sibling: `app_token` while `mode` is `socket`. */
static bool applies(const struct decoder *d, const struct field *row)
{
    if (row->when == NULL)
        return true;
    const char *value = json_text(json_get(d->object, row->when));
    if (value == NULL) {
        const struct field *sibling = row_by_key(d->rows, d->n, row->when);
        value = sibling != NULL ? sibling->otherwise : NULL;
    }
    return text_eq(value, row->is);
}

static enum problem_kind absent_kind(const struct decoder *d, const struct field *row)
{
    bool used = !d->problems->unused && !(row->flags & FIELD_NOT_YET) && applies(d, row);
    return used ? d->problems->absent_kind : PROBLEM_NOTE;
}

/* True when the value is there. */
static bool is_there(const struct decoder *d, const struct field *row, const struct json *j,
                     const char *key)
{
    const char *why;
    if (origin_of(d->problems, j, &why) != VALUE_ABSENT)
        return true;
    problem(d->problems, absent_kind(d, row), j, key, "%s", why);
    return false;
}

static bool is_fetched(const struct decoder *d, const struct json *j)
{
    const char *why;
    return origin_of(d->problems, j, &why) == VALUE_FETCHED;
}

static void warn_later(const struct decoder *d, const struct field *row, const struct json *j,
                       const char *chosen)
{
    if (d->problems->unused || !applies(d, row))
        return;
    if (row->flags & FIELD_NOT_YET)
        problem(d->problems, PROBLEM_WARNING, j, row->key,
                "is checked, but does nothing in this version");
    else if (chosen != NULL && position_of(row->choices_later, chosen) >= 0)
        problem(d->problems, PROBLEM_WARNING, j, row->key,
                "%s is checked, but does nothing in this version", chosen);
}

/* ---- rows that hold more than one value ----------------------------------------------------- */

static void decode_object(const struct decoder *d, void *out, const char *name);

static void decode_texts(const struct decoder *d, const struct field *row, const struct json *j,
                         void *out)
{
    if (j->type != JSON_ARRAY) {
        problem(d->problems, PROBLEM_ERROR, j, row->key, "must be %s", expected(d->arena, row));
        return;
    }
    const char **texts = ARENA_ARRAY(d->arena, const char *, json_count(j) + 1);
    size_t n = 0, i = 0;
    JSON_EACH(item, j)
    {
        struct err err = ERR_INIT;
        union value value;
        const char *key = arena_printf(d->arena, "%s.%zu", row->key, i++);
        if (!is_there(d, row, item, key))
            continue;
        if (read_scalar(d->arena, row, item, is_fetched(d, item), &value, &err))
            texts[n++] = value.text;
        else
            problem(d->problems, PROBLEM_ERROR, item, key, "%s", err.text);
    }
    store_pointer(out, row->offset, texts);
    store(out, row->count_offset, &n, sizeof n);
}

/* Raw values are not decoded here, but a value in them that is missing is as missing as any other.
 */
static void check_raw(const struct decoder *d, const struct field *row, const struct json *j,
                      const char *key)
{
    if (j->type != JSON_ARRAY && j->type != JSON_OBJECT) {
        is_there(d, row, j, key);
        return;
    }
    size_t i = 0;
    JSON_EACH(item, j)
    {
        const char *below = item->key != NULL ? arena_printf(d->arena, "%s.%s", key, item->key)
                                              : arena_printf(d->arena, "%s.%zu", key, i++);
        check_raw(d, row, item, below);
    }
}

/* Decodes one object below this one; its path and whether it is used are those of its place. */
static void decode_below(const struct decoder *d, const struct field *row, const struct json *j,
                         const char *below, const char *name, void *out)
{
    struct problems *p = d->problems;
    const char *path = p->path;
    bool unused = p->unused;
    p->path = path != NULL && *path != '\0' ? arena_printf(d->arena, "%s.%s", path, below) : below;
    p->unused = unused || (row->flags & FIELD_NOT_YET);
    struct decoder element = {d->arena, p, row->rows, row->n_rows, j, true};
    decode_object(&element, out, name);
    p->path = path;
    p->unused = unused;
}

static bool is_identifier(const char *name)
{
    size_t len = strlen(name);
    static const char allowed[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.";
    return len <= IDENT_MAX && isalnum((unsigned char)*name) && strspn(name, allowed) == len;
}

static void decode_elements(const struct decoder *d, const struct field *row, const struct json *j,
                            void *out)
{
    bool is_map = row->type == FIELD_MAP;
    size_t n = json_count(j), i = 0;
    if (j->type != (is_map ? JSON_OBJECT : JSON_ARRAY)) {
        problem(d->problems, PROBLEM_ERROR, j, row->key, "must be %s", expected(d->arena, row));
        return;
    }
    if (n > LIST_MAX) {
        problem(d->problems, PROBLEM_ERROR, j, row->key, "has more than %d elements", LIST_MAX);
        return;
    }
    char *elements = arena_array(d->arena, n, row->size);
    JSON_EACH(item, j)
    {
        const char *below = is_map ? arena_printf(d->arena, "%s.%s", row->key, item->key)
                                   : arena_printf(d->arena, "%s.%zu", row->key, i);
        if (is_map && (row->flags & FIELD_IDENT) && !is_identifier(item->key))
            problem(d->problems, PROBLEM_ERROR, item, below,
                    "a name has up to %d letters, digits, '_', '-' and '.'", IDENT_MAX);
        decode_below(d, row, item, below, item->key, elements + i++ * row->size);
    }
    store_pointer(out, row->offset, elements);
    store(out, row->count_offset, &n, sizeof n);
}

static void decode_scalar(const struct decoder *d, const struct field *row, const struct json *j,
                          void *out)
{
    struct err err = ERR_INIT;
    union value value;
    if (!read_scalar(d->arena, row, j, is_fetched(d, j), &value, &err)) {
        problem(d->problems, PROBLEM_ERROR, j, row->key, "%s", err.text);
        return;
    }
    store_scalar(row, &value, out);
    warn_later(d, row, j, row->type == FIELD_CHOICE || row->type == FIELD_ENUM ? j->text : NULL);
}

static void decode_present(const struct decoder *d, const struct field *row, const struct json *j,
                           void *out)
{
    if (is_scalar_row(row)) {
        if (is_there(d, row, j, row->key))
            decode_scalar(d, row, j, out);
        return;
    }
    warn_later(d, row, j, NULL);
    if (row->type == FIELD_TEXTS) {
        decode_texts(d, row, j, out);
    } else if (row->type == FIELD_SECTION) {
        decode_below(d, row, j, row->key, NULL, (char *)out + row->offset);
    } else if (row->type == FIELD_JSON) {
        if (!(row->flags & FIELD_OWN))
            check_raw(d, row, j, row->key);
        store_pointer(out, row->offset, j);
    } else {
        decode_elements(d, row, j, out);
    }
}

/* ---- an object ------------------------------------------------------------------------------ */

static void decode_row(const struct decoder *d, const struct field *row, void *out)
{
    const struct json *j = json_get(d->object, row->key);
    if (is_scalar_row(row))
        store_default(d->arena, row, out);
    if (j != NULL && j->type != JSON_NULL) {
        decode_present(d, row, j, out);
        return;
    }
    if (row->type == FIELD_SECTION) {
        /* The defaults in it; what it would require is required only when it is there. */
        struct decoder element = {d->arena, d->problems, row->rows, row->n_rows, NULL, false};
        decode_object(&element, (char *)out + row->offset, NULL);
    }
    if ((row->flags & FIELD_REQUIRED) && d->is_present && applies(d, row))
        problem(d->problems, PROBLEM_ERROR, j != NULL ? j : d->object, row->key, "is required");
}

static void fill_from_place(const struct decoder *d, const struct field *row, const char *name,
                            void *out)
{
    struct problems *p = d->problems;
    int line = p->line != NULL && d->object != NULL ? p->line(p->ctx, d->object) : 0;
    if (row->type == FIELD_NAME)
        store(out, row->offset, &name, sizeof name);
    else if (row->type == FIELD_LINE)
        store(out, row->offset, &line, sizeof line);
    else
        store_pointer(out, row->offset, d->object);
}

static void decode_object(const struct decoder *d, void *out, const char *name)
{
    struct decoder whole = *d;
    if (d->object != NULL && d->object->type != JSON_OBJECT) {
        problem(d->problems, PROBLEM_ERROR, d->object, NULL, "must be a mapping of keys to values");
        whole.object = NULL;
        whole.is_present = false;
    }
    JSON_EACH(member, whole.object)
    if (row_by_key(d->rows, d->n, member->key) == NULL)
        report_unknown(&whole, member);
    for (size_t i = 0; i < d->n; i++) {
        if (d->rows[i].key == NULL)
            fill_from_place(d, &d->rows[i], name, out); /* whatever stands there */
        else
            decode_row(&whole, &d->rows[i], out);
    }
}

bool fields_decode(struct arena *a, const struct field *rows, size_t n, const struct json *object,
                   void *out, struct problems *problems)
{
    struct problems uncounted = {0};
    struct decoder d = {a, problems != NULL ? problems : &uncounted, rows, n, object, true};
    size_t before = d.problems->errors;
    decode_object(&d, out, object != NULL ? object->key : NULL);
    return d.problems->errors == before;
}
