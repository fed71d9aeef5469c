/* Commands that change something: each is one call to the running server. See cli_private.h. */
#include "gateway/base/text.h"
#include "gateway/cli_private.h"
#include "gateway/story.h"

#include <string.h>

enum { ID_LENGTH = 14 }; /* a letter, '_' and 12 digits */

static char *path_of(struct cli *c, const char *before, const char *id, const char *after)
{
    return arena_printf(c->a, "%s%s%s", before, url_encode(c->a, id), after);
}

/* The whole id that a beginning stands for: the server acts on whole ones alone. Codes, names and
 * whole ids stay as they are; so does what cannot be looked up, for the server to say why. */
static const char *whole_id(struct cli *c, const char *list, const char *given)
{
    const struct json *found = NULL;
    struct err err = ERR_INIT;
    bool is_id = (given[0] == 't' || given[0] == 'r') && given[1] == '_';
    if (!is_id || strlen(given) >= ID_LENGTH ||
        !cli_get(c, path_of(c, list, given, ""), "", &found, &err))
        return given;
    return json_text_or(found, "id", given);
}

static const char *shown(struct cli *c, const struct json *from, const char *path)
{
    return text_one_line(c->a, json_text_or(from, path, ""));
}

/* ---- deciding ---- */

static const char *subject_of(struct cli *c, const struct json *request)
{
    const char *tool = json_text_at(request, "tool");
    if (tool != NULL)
        return call_text(c->a, tool, json_get(request, "arguments"));
    return text_one_line(
        c->a, text_truncate(c->a, json_text_or(request, "question", "the question"), 120));
}

static int decide(struct cli *c, const char *decision, const char *answer)
{
    const struct json *request = NULL;
    struct json *body = json_object(c->a);
    int code = CLI_FAILED;
    json_set_text(c->a, body, "decision", decision);
    if (c->message != NULL)
        json_set_text(c->a, body, "comment", c->message);
    if (answer != NULL)
        json_set_text(c->a, body, "answer", answer);
    if (!cli_post(
            c, path_of(c, "/v1/requests/", whole_id(c, "/v1/requests/", c->args[0]), "/decision"),
            body, &request, &code))
        return code;
    if (c->as_json)
        return cli_print_json(c, request);
    const char *status = shown(c, request, "status");
    enum tone tone = tone_of_status(status);
    const char *mark = terminal_paint(&c->terminal, c->a, tone, terminal_mark(tone));
    if (strcmp(status, "open") == 0)
        printf("%s Your vote counts; %s is still open.\n", mark, subject_of(c, request));
    else
        printf("%s %s: %s\n", mark, subject_of(c, request), status);
    return CLI_OK;
}

int cli_approve(struct cli *c)
{
    return decide(c, "approve", NULL);
}

int cli_reject(struct cli *c)
{
    if (c->message == NULL || *c->message == '\0')
        return cli_fail(c, CLI_USAGE, "say why: signoff reject %s -m \"…\"; the agent reads it",
                        c->args[0]);
    return decide(c, "reject", NULL);
}

int cli_answer(struct cli *c)
{
    return decide(c, "answer", c->args[1]);
}

/* ---- signing in ---- */

int cli_login(struct cli *c)
{
    const struct json *link = NULL;
    int code = CLI_FAILED;
    if (!cli_post(c, path_of(c, "/v1/people/", c->args[0], "/login"), NULL, &link, &code))
        return code;
    if (c->as_json)
        return cli_print_json(c, link);
    printf("%s\n", shown(c, link, "url"));
    fprintf(stderr, "It works once, for ten minutes.\n");
    return CLI_OK;
}

/* ---- threads ---- */

static int control(struct cli *c, const char *act)
{
    const struct json *thread = NULL;
    int code = CLI_FAILED;
    if (!cli_post(c, path_of(c, "/v1/threads/", whole_id(c, "/v1/threads/", c->args[0]), act), NULL,
                  &thread, &code))
        return code;
    if (c->as_json)
        return cli_print_json(c, thread);
    if (json_text_at(thread, "id") == NULL)
        printf("%s\n", json_is_true(json_get(thread, "paused"))
                           ? "Everything is paused: nothing new starts."
                           : "Everything goes on.");
    else
        printf("%s  %s  %s\n", shown(c, thread, "id"), shown(c, thread, "status"),
               shown(c, thread, "title"));
    return CLI_OK;
}

int cli_pause(struct cli *c)
{
    return control(c, "/pause");
}

int cli_resume(struct cli *c)
{
    return control(c, "/resume");
}

int cli_cancel(struct cli *c)
{
    return control(c, "/cancel");
}

/* ---- environments ---- */

static int print_environment(struct cli *c, const struct json *env)
{
    if (c->as_json)
        return cli_print_json(c, env);
    const struct json *lock = json_get(env, "lock");
    if (json_text_at(lock, "owner") == NULL)
        printf("%s is not locked.\n", shown(c, env, "name"));
    else
        printf("%s is locked by %s: %s\n", shown(c, env, "name"),
               who_text(c->a, NULL, json_text_at(lock, "owner")), shown(c, lock, "reason"));
    return CLI_OK;
}

int cli_lock(struct cli *c)
{
    const struct json *env = NULL;
    struct json *body = json_object(c->a);
    int64_t ignored;
    int code = CLI_FAILED;
    if (c->message == NULL || *c->message == '\0')
        return cli_fail(c, CLI_USAGE, "say why: signoff lock %s -m \"…\"", c->args[0]);
    if (c->duration != NULL && !text_to_duration_ms(c->duration, &ignored))
        return cli_fail(c, CLI_USAGE, "--for: `%s` is no duration (90s, 15m, 2h, 1d)", c->duration);
    json_set_text(c->a, body, "reason", c->message);
    if (c->duration != NULL)
        json_set_text(c->a, body, "for", c->duration);
    if (!cli_post(c, path_of(c, "/v1/environments/", c->args[0], "/lock"), body, &env, &code))
        return code;
    return print_environment(c, env);
}

int cli_unlock(struct cli *c)
{
    const struct json *env = NULL;
    int code = CLI_FAILED;
    if (!cli_post(c, path_of(c, "/v1/environments/", c->args[0], "/unlock"), NULL, &env, &code))
        return code;
    return print_environment(c, env);
}
