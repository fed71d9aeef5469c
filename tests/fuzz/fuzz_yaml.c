/* Reaches: yaml.c wholly, and field.c through the configuration's own rows. Every text and line
 * that comes out is touched, so that a wrong length or a stray pointer is caught. */
#include "gateway/config_private.h"
#include "gateway/yaml.h"

#include <string.h>

static size_t touch(const struct json *j, int depth)
{
    size_t sum = (size_t)yaml_line(j);
    if (depth > YAML_MAX_DEPTH || yaml_line(j) < 1)
        abort();
    if (j->key != NULL)
        sum += strlen(j->key);
    if (j->text != NULL)
        sum += strlen(j->text);
    if (j->type == JSON_STRING && j->text == NULL)
        abort();
    JSON_EACH(item, j->type == JSON_OBJECT || j->type == JSON_ARRAY ? j : NULL)
    sum += touch(item, depth + 1);
    return sum;
}

static void on_problem(void *ctx, enum problem_kind kind, const struct json *at, const char *key,
                       const char *sentence)
{
    (void)kind;
    *(size_t *)ctx += strlen(key) + strlen(sentence) + (size_t)(at != NULL ? yaml_line(at) : 0);
}

static int on_line(void *ctx, const struct json *at)
{
    (void)ctx;
    return yaml_line(at);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    struct json *root = NULL;
    struct err err = ERR_INIT;
    int line = -1;
    if (size > 16384)
        return 0;
    if (!yaml_parse(&a, (struct span){(const char *)data, size}, &root, &line, &err)) {
        if (err.text[0] == '\0' || line < 0)
            abort();
        return 0;
    }
    size_t sum = touch(root, 0);
    struct words words = {0};
    struct problems problems = {.report = on_problem, .line = on_line, .ctx = &sum};
    fields_decode(&a, config_rows, n_config_rows, root, &words, &problems);
    JSON_EACH(policy,
              words.policies != NULL && words.policies->type == JSON_OBJECT ? words.policies : NULL)
    {
        struct policy out;
        problems.path = policy->key;
        (void)policy_parse(&a, policy->key, policy, &out, &problems);
    }
    return sum == (size_t)-1 ? 1 : 0;
}
