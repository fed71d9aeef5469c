/* The argv and the environment of a command; see tools_private.h. */
#include "gateway/base/strbuf.h"
#include "gateway/base/template.h"
#include "gateway/base/text.h"
#include "gateway/tools_private.h"

#include <stdlib.h>
#include <string.h>

enum { ARG_BYTES = 64 * 1024 };

/* A value must not turn into an option, nor hold what no argument may hold, unless the argument's
 * own pattern says that it may. */
static bool is_safe_in_argv(const char *value)
{
    return *value != '-' && strpbrk(value, "\r\n") == NULL;
}

typedef const char *(*value_fn)(struct app *app, const void *ctx, const char *name,
                                bool *has_pattern);

static bool render_item(struct app *app, const char *item, value_fn value, const void *ctx,
                        const char **out, struct err *err)
{
    struct template *t;
    struct template_value values[16];
    bool guarded[16];
    size_t n = 0;
    struct strbuf b;
    strbuf_init(&b, app->a, ARG_BYTES);
    if (!template_parse(app->a, item, NULL, &t, err))
        return false;
    for (const char *at = strstr(item, "{{"); at != NULL && n < COUNT(values);
         at = strstr(at + 2, "{{")) {
        const char *begin = at + 2 + strspn(at + 2, " ");
        char *name = arena_strndup(app->a, begin, strcspn(begin, " }"));
        bool has_pattern = false;
        const char *text = value(app, ctx, name, &has_pattern);
        if (text == NULL)
            text = ""; /* an optional argument that was not given */
        guarded[n] = !has_pattern;
        values[n++] = (struct template_value){.name = name, .text = text};
    }
    if (!template_render(t, values, n, NULL, &b, err))
        return false;
    for (size_t i = 0; i < n; i++)
        if (guarded[i] && !is_safe_in_argv(values[i].text))
            return fail(
                err, ERR_INVALID,
                "%s: a value that begins with '-' or holds a line break is not passed to a command",
                values[i].name);
    *out = b.text;
    return true;
}

static bool render_argv(struct app *app, const struct tool_run *run, value_fn value,
                        const void *ctx, struct json **out, struct err *err)
{
    *out = json_array(app->a);
    for (size_t i = 0; i < run->n_argv; i++) {
        const char *item;
        if (!render_item(app, run->argv[i], value, ctx, &item, err))
            return false;
        json_push_text(app->a, *out, item);
    }
    return true;
}

struct arguments {
    const struct tool *tool;
    const struct json *values;
};

static const char *argument_value(struct app *app, const void *ctx, const char *name,
                                  bool *has_pattern)
{
    const struct arguments *args = ctx;
    const struct json *j = json_get(args->values, name);
    const struct tool_arg *arg = tool_arg_by_name(args->tool, name);
    *has_pattern = arg != NULL && arg->pattern != NULL;
    if (j == NULL)
        return NULL;
    return j->type == JSON_STRING ? j->text : json_write(app->a, j);
}

static const char *stage_value(struct app *app, const void *ctx, const char *name,
                               bool *has_pattern)
{
    const struct thread_row *row = ctx;
    *has_pattern = false;
    return run_variable(app->a, &row->t, row->run, name);
}

bool argv_of_tool(struct app *app, const struct tool *tool, const struct json *args,
                  struct json **out, struct err *err)
{
    struct arguments values = {.tool = tool, .values = args};
    return render_argv(app, &tool->run, argument_value, &values, out, err);
}

bool argv_of_stage(struct app *app, const struct thread_row *row, const struct stage *stage,
                   struct json **out, struct err *err)
{
    return render_argv(app, &stage->run, stage_value, row, out, err);
}

static void add_variable(struct app *app, struct json *env, const char *name, const char *value)
{
    if (value != NULL)
        json_push_text(app->a, env, arena_printf(app->a, "%s=%s", name, value));
}

const char *const *argv_environment(struct app *app, const struct tool_run *run, const char *thread,
                                    const char *id)
{
    static const char *const common[] = {"PATH", "HOME", "LANG", "TZ"};
    struct json *env = json_array(app->a);
    for (size_t i = 0; i < COUNT(common); i++)
        add_variable(app, env, common[i], getenv(common[i]));
    add_variable(app, env, "SIGNOFF_THREAD", thread);
    add_variable(app, env, "SIGNOFF_RUN", id);
    for (size_t i = 0; run != NULL && i < run->n_env; i++)
        add_variable(app, env, run->env[i], getenv(run->env[i]));
    const char **out = ARENA_ARRAY(app->a, const char *, json_count(env) + 1);
    size_t n = 0;
    JSON_EACH(item, env)
    {
        out[n++] = item->text;
    }
    return out;
}

const char *const *argv_from_json(struct app *app, const struct json *list)
{
    const char **out = ARENA_ARRAY(app->a, const char *, json_count(list) + 1);
    size_t n = 0;
    JSON_EACH(item, list)
    {
        out[n++] = json_text(item);
    }
    return out;
}
