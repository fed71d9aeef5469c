/* Values that come from elsewhere: "${NAME}" from the environment, "file:PATH" from a file. They
 * are put into the tree after parsing, so that no value can become a key or a structure. */
#include "gateway/base/text.h"
#include "gateway/config_private.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

enum {
    VALUE_MAX = 64 * 1024, /* bytes of a file that a value comes from */
    ENV_NAME_MAX = 128,
};

bool read_whole_file(struct arena *a, const char *path, size_t max, struct span *out,
                     struct err *err)
{
    struct stat st;
    /* Asked before it is opened: opening a pipe or a terminal would wait for somebody. */
    if (stat(path, &st) == 0 && !S_ISREG(st.st_mode))
        return fail(err, ERR_INVALID, "cannot be read: %s is no regular file", path);
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return fail(err, ERR_MISSING, "cannot be read: %s: %s", path, strerror(errno));
    char *bytes = arena_alloc(a, max + 1);
    size_t len = fread(bytes, 1, max + 1, file);
    bool broken = ferror(file) != 0;
    fclose(file);
    if (broken)
        return fail(err, ERR_TRANSIENT, "cannot be read: %s", path);
    if (len > max)
        return fail(err, ERR_TOO_LARGE, "%s is larger than %zu KiB", path, max / 1024);
    *out = (struct span){bytes, len};
    return true;
}

const char *path_in_folder(struct arena *a, const char *folder, const char *path)
{
    if (*path == '/')
        return path;
    path += text_starts(path, "./") ? 2 : 0;
    return arena_printf(a, "%s/%s", text_eq(folder, "/") ? "" : folder, path);
}

static const char *from_environment(const struct loader *l, const char *name)
{
    const struct config_options *o = l->options;
    return o->env != NULL ? o->env(o->env_ctx, name) : getenv(name);
}

static void set_absent(struct loader *l, struct yaml_node *node, const char *why)
{
    node->origin = VALUE_ABSENT;
    node->why = arena_strdup(&l->config->arena, why);
}

/* The name in "${NAME}" at `at`; NULL when it is none. Moves past the '}'. */
static const char *take_name(struct arena *a, const char **at)
{
    const char *name = *at + 2;
    size_t len = 0;
    while (isalnum((unsigned char)name[len]) || name[len] == '_')
        len++;
    if (len == 0 || len > ENV_NAME_MAX || isdigit((unsigned char)*name) || name[len] != '}')
        return NULL;
    *at = name + len + 1;
    return arena_strndup(a, name, len);
}

/* Appends what "${NAME}" at *at stands for. */
static bool expand_one(struct loader *l, const char **at, struct strbuf *out, struct err *err)
{
    const char *name = take_name(out->arena, at);
    if (name == NULL)
        return fail(err, ERR_INVALID, "\"${\" begins no ${NAME}; write $${ for a literal ${");
    const char *value = from_environment(l, name);
    if (value == NULL)
        return fail(err, ERR_MISSING, "the environment has no %s", name);
    if (!utf8_valid(span_of(value)))
        return fail(err, ERR_MISSING, "%s in the environment is not valid UTF-8", name);
    strbuf_add(out, value);
    return true;
}

static bool expand(struct loader *l, const char *text, const char **out, struct err *err)
{
    struct strbuf b;
    strbuf_init(&b, &l->config->arena, VALUE_MAX);
    for (const char *at = text; *at != '\0';) {
        if (text_starts(at, "$${")) {
            strbuf_add(&b, "${");
            at += 3;
        } else if (!text_starts(at, "${")) {
            strbuf_addc(&b, *at++);
        } else if (!expand_one(l, &at, &b, err)) {
            return false;
        }
    }
    *out = b.text;
    return !strbuf_overflowed(&b) || fail(err, ERR_TOO_LARGE, "is longer than 64 KiB");
}

static bool fetch_file(struct loader *l, const char *path, const char **out, struct err *err)
{
    CLEANUP(arena_done) struct arena scratch = ARENA_INIT;
    struct arena *a = &l->config->arena;
    struct span in = {"", 0};
    if (!read_whole_file(&scratch, path_in_folder(&scratch, l->config->folder, path), VALUE_MAX,
                         &in, err))
        return false;
    in.len -= in.len > 0 && in.at[in.len - 1] == '\n';
    if (memchr(in.at, '\0', in.len) != NULL || !utf8_valid(in))
        return fail(err, ERR_MISSING, "%s is not text", path);
    *out = arena_strndup(a, in.at, in.len);
    return true;
}

/* "file:" and a path, as it is written: a value of the environment cannot name a file. */
static bool names_file(const char *written)
{
    return text_starts(written, "file:") && written[5] != '\0' && written[5] != ' ';
}

static void fetch_value(struct loader *l, struct yaml_node *node, const char *path)
{
    struct err err = ERR_INIT;
    const char *written = node->json.text, *value = written;
    bool has_name = strstr(written, "${") != NULL, is_file = names_file(written);
    if (!has_name && !is_file)
        return;
    node->json.text = "";
    bool ok = !has_name || expand(l, written, &value, &err);
    if (ok && is_file)
        ok = fetch_file(l, value + strlen("file:"), &value, &err);
    if (ok) {
        node->origin = VALUE_FETCHED;
        node->json.text = value;
    } else if (err.kind == ERR_MISSING) {
        set_absent(l, node, err.text);
    } else {
        l->problems.path = path;
        problem(&l->problems, PROBLEM_ERROR, &node->json, NULL, "%s", err.text);
        l->problems.path = NULL;
        node->json.type = JSON_NULL; /* reported once */
    }
}

/* An argument is what is written: `command: [sleep, 5]` and `[true]` mean texts. */
static void read_as_written(const struct json *list)
{
    JSON_EACH(item, list->type == JSON_ARRAY ? list : NULL)
    {
        struct yaml_node *node = yaml_node(item);
        if (item->type == JSON_NUMBER || item->type == JSON_TRUE || item->type == JSON_FALSE) {
            node->json.type = JSON_STRING;
            node->json.text = node->written;
        }
    }
}

static void fetch_below(struct loader *l, const struct json *j, const char *path)
{
    struct arena *a = &l->config->arena;
    size_t i = 0;
    if (j->type == JSON_STRING)
        fetch_value(l, yaml_node(j), path);
    if (j->type != JSON_OBJECT && j->type != JSON_ARRAY)
        return;
    if (text_eq(j->key, "command"))
        read_as_written(j);
    const char *dot = *path != '\0' ? "." : "";
    JSON_EACH(item, j)
    fetch_below(l, item,
                item->key != NULL ? arena_printf(a, "%s%s%s", path, dot, item->key)
                                  : arena_printf(a, "%s%s%zu", path, dot, i++));
}

void fetch_values(struct loader *l, const struct json *root)
{
    fetch_below(l, root, "");
}
