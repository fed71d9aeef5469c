/* See json.h. The bytes pass our own check first (cJSON cuts text at U+0000, keeps duplicate keys,
 * takes "01", invalid UTF-8 and trailing text); then cJSON parses, and its tree is copied into the
 * arena. Only this file knows cJSON. */
#include "gateway/base/json_private.h"
#include "gateway/base/text.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_BYTES = 4 << 20 /* when the caller names no limit */ };

/* ---- cJSON's tree into ours -------------------------------------------------------------- */

static int compare_keys(const void *left, const void *right)
{
    return strcmp((*(const struct json *const *)left)->key,
                  (*(const struct json *const *)right)->key);
}

/* The second of two members of one name, or NULL. Sorted when there are many: a hash could be
 * attacked. */
static const struct json *find_twin(struct arena *a, const struct json *object, size_t count)
{
    if (count <= 12) {
        JSON_EACH(one, object)
        for (const struct json *other = one->next; other != NULL; other = other->next)
            if (one->key[0] == other->key[0] && strcmp(one->key, other->key) == 0)
                return other;
        return NULL;
    }
    const struct json **sorted = ARENA_ARRAY(a, const struct json *, count);
    size_t n = 0;
    JSON_EACH(member, object)
    sorted[n++] = member;
    qsort(sorted, n, sizeof(const struct json *), compare_keys);
    for (size_t i = 1; i < n; i++)
        if (strcmp(sorted[i - 1]->key, sorted[i]->key) == 0)
            return sorted[i];
    return NULL;
}

static void append(struct json *container, struct json *item)
{
    if (container->last == NULL)
        container->child = item;
    else
        container->last->next = item;
    container->last = item;
    item->in_container = true;
}

static bool convert(struct arena *a, const cJSON *from, struct json *to, struct err *err);

static bool convert_children(struct arena *a, const cJSON *from, struct json *to, struct err *err)
{
    size_t count = 0;
    for (const cJSON *child = from->child; child != NULL; child = child->next, count++) {
        struct json *item = ARENA_NEW(a, struct json);
        if (to->type == JSON_OBJECT)
            item->key = arena_strdup(a, child->string);
        if (!convert(a, child, item, err))
            return item->key != NULL && fail_in(err, item->key);
        append(to, item);
    }
    const struct json *twin = to->type == JSON_OBJECT ? find_twin(a, to, count) : NULL;
    return twin == NULL || fail(err, ERR_INVALID, "the key \"%s\" appears twice", twin->key);
}

static bool convert(struct arena *a, const cJSON *from, struct json *to, struct err *err)
{
    switch (from->type & 0xFF) {
    case cJSON_False:
        to->type = JSON_FALSE;
        return true;
    case cJSON_True:
        to->type = JSON_TRUE;
        return true;
    case cJSON_Number:
        to->type = JSON_NUMBER;
        to->number = from->valuedouble;
        return isfinite(to->number) || fail(err, ERR_INVALID, "the number is too large");
    case cJSON_String:
        to->type = JSON_STRING;
        to->text = arena_strdup(a, from->valuestring);
        return true;
    case cJSON_Array:
        to->type = JSON_ARRAY;
        return convert_children(a, from, to, err);
    case cJSON_Object:
        to->type = JSON_OBJECT;
        return convert_children(a, from, to, err);
    default:
        to->type = JSON_NULL;
        return true;
    }
}

static void delete_tree(cJSON **tree)
{
    cJSON_Delete(*tree);
}

bool json_parse(struct arena *a, struct span in, size_t max_bytes, struct json **out,
                struct err *err)
{
    if (in.len > (max_bytes == 0 ? MAX_BYTES : max_bytes))
        return fail(err, ERR_TOO_LARGE, "%zu bytes, at most %zu are allowed", in.len,
                    max_bytes == 0 ? (size_t)MAX_BYTES : max_bytes);
    if (!json_check(in, err))
        return false;
    CLEANUP(delete_tree) cJSON *tree = cJSON_ParseWithLengthOpts(in.at, in.len, NULL, 0);
    if (tree == NULL)
        abort(); /* the text is right, so memory is out */
    struct json *root = ARENA_NEW(a, struct json);
    if (!convert(a, tree, root, err))
        return false;
    *out = root;
    return true;
}

struct json *json_parse_own(struct arena *a, const char *text)
{
    struct json *root;
    if (!json_parse(a, span_of(text), SIZE_MAX, &root, NULL))
        abort();
    return root;
}

/* ---- reading ----------------------------------------------------------------------------- */

static const struct json *member(const struct json *object, const char *key, size_t len)
{
    if (object == NULL || object->type != JSON_OBJECT)
        return NULL;
    JSON_EACH(item, object)
    if (strncmp(item->key, key, len) == 0 && item->key[len] == '\0')
        return item;
    return NULL;
}

static const struct json *element(const struct json *array, const char *digits, size_t len)
{
    size_t index = 0;
    for (size_t i = 0; i < len; i++) {
        if (digits[i] < '0' || digits[i] > '9' || i > 8)
            return NULL;
        index = index * 10 + (size_t)(digits[i] - '0');
    }
    const struct json *item = len > 0 ? array->child : NULL;
    while (item != NULL && index-- > 0)
        item = item->next;
    return item;
}

const struct json *json_get(const struct json *object, const char *key)
{
    return member(object, key, strlen(key));
}

const struct json *json_at(const struct json *root, const char *path)
{
    while (root != NULL && *path != '\0') {
        size_t len = strcspn(path, ".");
        root = root->type == JSON_ARRAY ? element(root, path, len) : member(root, path, len);
        path += len + (path[len] == '.');
    }
    return root;
}

const char *json_text(const struct json *j)
{
    return j != NULL && j->type == JSON_STRING ? j->text : NULL;
}

const char *json_text_at(const struct json *root, const char *path)
{
    return json_text(json_at(root, path));
}

const char *json_text_or(const struct json *root, const char *path, const char *otherwise)
{
    const char *text = json_text_at(root, path);
    return text == NULL ? otherwise : text;
}

bool json_is_true(const struct json *j)
{
    return j != NULL && j->type == JSON_TRUE;
}

bool json_is_int(const struct json *j)
{
    return j != NULL && j->type == JSON_NUMBER && fabs(j->number) <= JSON_MAX_EXACT &&
           trunc(j->number) == j->number;
}

int64_t json_int_or(const struct json *j, int64_t otherwise)
{
    return json_is_int(j) ? (int64_t)j->number : otherwise;
}

size_t json_count(const struct json *j)
{
    size_t count = 0;
    JSON_EACH(item, j)
    count++;
    return count;
}

bool json_is_deeper(const struct json *j, unsigned levels)
{
    if (j->child == NULL)
        return false;
    if (levels == 0)
        return true;
    JSON_EACH(item, j)
    {
        if (json_is_deeper(item, levels - 1))
            return true;
    }
    return false;
}

static bool equal_members(const struct json *a, const struct json *b)
{
    const struct json *hint = b->child; /* members mostly come in the same order */
    if (json_count(a) != json_count(b))
        return false;
    JSON_EACH(item, a)
    {
        const struct json *twin = strcmp(hint->key, item->key) == 0 ? hint : json_get(b, item->key);
        if (!json_equal(item, twin))
            return false;
        hint = twin->next != NULL ? twin->next : b->child;
    }
    return true;
}

static bool equal_items(const struct json *a, const struct json *b)
{
    a = a->child;
    b = b->child;
    for (; a != NULL && b != NULL; a = a->next, b = b->next)
        if (!json_equal(a, b))
            return false;
    return a == b;
}

bool json_equal(const struct json *a, const struct json *b)
{
    if (a == NULL || b == NULL || a->type != b->type)
        return a == b;
    switch (a->type) {
    case JSON_NULL:
    case JSON_FALSE:
    case JSON_TRUE:
        return true;
    case JSON_NUMBER:
        return a->number == b->number;
    case JSON_STRING:
        return strcmp(a->text, b->text) == 0;
    case JSON_ARRAY:
        return equal_items(a, b);
    case JSON_OBJECT:
        return equal_members(a, b);
    }
    UNREACHABLE();
}

/* ---- building ---------------------------------------------------------------------------- */

static struct json *node(struct arena *a, enum json_type type)
{
    struct json *j = ARENA_NEW(a, struct json);
    j->type = type;
    return j;
}

struct json *json_object(struct arena *a)
{
    return node(a, JSON_OBJECT);
}

struct json *json_array(struct arena *a)
{
    return node(a, JSON_ARRAY);
}

struct json *json_string(struct arena *a, const char *text)
{
    struct json *j = node(a, text == NULL ? JSON_NULL : JSON_STRING);
    j->text = text;
    return j;
}

struct json *json_number(struct arena *a, double number)
{
    struct json *j = node(a, isfinite(number) ? JSON_NUMBER : JSON_NULL);
    j->number = isfinite(number) ? number : 0;
    return j;
}

struct json *json_bool(struct arena *a, bool value)
{
    return node(a, value ? JSON_TRUE : JSON_FALSE);
}

struct json *json_null(struct arena *a)
{
    return node(a, JSON_NULL);
}

static struct json *copy_node(struct arena *a, const struct json *from)
{
    struct json *copy = ARENA_NEW(a, struct json);
    *copy = *from;
    copy->next = NULL;
    copy->key = NULL;
    copy->in_container = false;
    copy->shares_children = from->child != NULL;
    return copy;
}

/* A node that may be linked: the value itself when it is free, else a copy. */
static struct json *linkable(struct arena *a, const struct json *value)
{
    /* Free nodes come from the builders above, as mutable pointers. */
    union {
        const struct json *given;
        struct json *free;
    } node_of = {.given = value};
    if (value == NULL)
        return json_null(a);
    return value->in_container ? copy_node(a, value) : node_of.free;
}

/* Children shared with another node get nodes of their own before the list is changed. */
static void own_children(struct arena *a, struct json *container)
{
    if (!container->shares_children)
        return;
    const struct json *from = container->child;
    container->child = container->last = NULL;
    container->shares_children = false;
    for (; from != NULL; from = from->next) {
        struct json *copy = copy_node(a, from);
        copy->key = from->key;
        append(container, copy);
    }
}

struct json *json_add(struct arena *a, struct json *object, const char *key,
                      const struct json *value)
{
    struct json *item = linkable(a, value);
    own_children(a, object);
    item->key = arena_strdup(a, key);
    append(object, item);
    return item;
}

struct json *json_set(struct arena *a, struct json *object, const char *key,
                      const struct json *value)
{
    struct json *item = linkable(a, value);
    own_children(a, object);
    struct json *before = NULL, *old = object->child;
    for (; old != NULL && strcmp(old->key, key) != 0; old = old->next)
        before = old;
    item->key = old != NULL ? old->key : arena_strdup(a, key);
    if (old == NULL) {
        append(object, item);
        return item;
    }
    item->next = old->next;
    item->in_container = true;
    *(before == NULL ? &object->child : &before->next) = item;
    if (object->last == old)
        object->last = item;
    return item;
}

struct json *json_set_text(struct arena *a, struct json *object, const char *key, const char *text)
{
    return json_set(a, object, key, json_string(a, text));
}

struct json *json_set_int(struct arena *a, struct json *object, const char *key, int64_t value)
{
    return json_set(a, object, key, json_number(a, (double)value));
}

struct json *json_set_bool(struct arena *a, struct json *object, const char *key, bool value)
{
    return json_set(a, object, key, json_bool(a, value));
}

struct json *json_push(struct arena *a, struct json *array, const struct json *value)
{
    struct json *item = linkable(a, value);
    own_children(a, array);
    append(array, item);
    return item;
}

struct json *json_push_text(struct arena *a, struct json *array, const char *text)
{
    return json_push(a, array, json_string(a, text));
}

const struct json *json_without(struct arena *a, const struct json *object, const char *key)
{
    const struct json *gone = json_get(object, key);
    if (gone == NULL)
        return object;
    struct json *rest = json_object(a);
    JSON_EACH(item, object)
    if (item != gone) {
        struct json *copy = copy_node(a, item);
        copy->key = item->key;
        append(rest, copy);
    }
    return rest;
}
