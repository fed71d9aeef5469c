/* What leaves after the commit: gathered while letters are handled, dropped with a savepoint that
 * is rolled back, performed in order once the commit is durable. See app.h. */
#include "gateway/app.h"
#include "gateway/base/text.h"
#include "gateway/reader.h"

#include <string.h>

static struct action *add_action(struct app *app)
{
    struct action *act = ARENA_NEW(app->a, struct action);
    *app->actions_end = act;
    app->actions_end = &act->next;
    return act;
}

void app_answer(struct app *app, struct http_answer *answer)
{
    struct action *act = add_action(app);
    act->kind = ACTION_ANSWER;
    act->answer = answer;
}

void app_ack(struct app *app, struct slack_ack_order *ack)
{
    struct action *act = add_action(app);
    act->kind = ACTION_ACK;
    act->ack = ack;
}

void app_tell(struct app *app, const struct asker *asker, int status, const char *type,
              const char *body)
{
    if (asker->envelope == NULL)
        app_answer(app, http_answer_text(asker->conn, status, type, body));
    else
        app_ack(app, slack_ack_order_new(asker->conn, asker->envelope, asker->takes_payload, body));
}

void app_call(struct app *app, struct http_job *job)
{
    struct action *act = add_action(app);
    act->kind = ACTION_CALL;
    act->call = job;
}

void app_command(struct app *app, const struct command_spec *spec)
{
    struct action *act = add_action(app);
    act->kind = ACTION_COMMAND;
    act->command = *spec;
}

static void add_id_action(struct app *app, int kind, const char *id)
{
    struct action *act = add_action(app);
    act->kind = kind;
    act->id = arena_strdup(app->a, id);
}

void app_find_command(struct app *app, const char *id)
{
    add_id_action(app, ACTION_FIND, id);
}

void app_kill_command(struct app *app, const char *id)
{
    add_id_action(app, ACTION_KILL, id);
}

void app_forget_command(struct app *app, const char *id)
{
    add_id_action(app, ACTION_FORGET, id);
}

void app_sweep_commands(struct app *app, const char *const *keep, size_t n_keep)
{
    struct action *act = add_action(app);
    act->kind = ACTION_SWEEP;
    act->keep = keep;
    act->n_keep = n_keep;
}

void app_changed(struct app *app, const char *thread)
{
    for (struct action *act = app->actions; act != NULL; act = act->next)
        if (act->kind == ACTION_CHANGED && strcmp(act->id, thread) == 0)
            return;
    add_id_action(app, ACTION_CHANGED, thread);
}

/* Drops what a rolled-back letter wanted: from *from to the end. */
void actions_drop(struct app *app, struct action **from)
{
    for (struct action *act = *from; act != NULL; act = act->next) {
        if (act->kind == ACTION_ANSWER)
            letter_free(&act->answer->letter);
        else if (act->kind == ACTION_ACK)
            slack_ack_order_free(act->ack);
        else if (act->kind == ACTION_CALL)
            letter_free(&act->call->letter);
    }
    *from = NULL;
    app->actions_end = from;
}

/* A command that could not even be handed to its edge is an ending like others. */
static void post_ending(struct app *app, const char *id, enum command_outcome outcome,
                        const char *why)
{
    mailbox_post_always(app->mailbox,
                        &command_result_new(LETTER_COMMAND, id, outcome, why)->letter);
}

static void perform_start(struct app *app, const struct command_spec *command)
{
    struct err err = ERR_INIT;
    if (children_run(app->children, command, &err))
        return;
    log_warn("command.refused", L_STR("id", command->id), L_STR("why", err.text));
    post_ending(app, command->id, err.kind == ERR_TRANSIENT ? COMMAND_HELD_UP : COMMAND_NOT_STARTED,
                err.text);
}

/* Who cannot look must not say that nothing ran. */
static void perform_find(struct app *app, const char *id)
{
    struct err err = ERR_INIT;
    if (children_find(app->children, id, &err) || err.kind == ERR_CONFLICT)
        return; /* found, or followed already: the letter comes */
    log_warn("command.not_found", L_STR("id", id), L_STR("why", err.text));
    post_ending(app, id, COMMAND_UNKNOWN, err.text);
}

static void perform_call(struct app *app, struct http_job *job)
{
    if (http_client_send(app->client, job))
        return;
    job->outcome = HTTP_NOT_SENT;
    job->error = "too many calls are waiting";
    mailbox_post_always(app->mailbox, &job->letter);
}

void actions_perform(struct app *app)
{
    for (struct action *act = app->actions; act != NULL; act = act->next) {
        switch (act->kind) {
        case ACTION_ANSWER:
            http_server_answer(app->server, act->answer);
            break;
        case ACTION_ACK:
            slack_sockets_ack(app->sockets, act->ack);
            break;
        case ACTION_CALL:
            perform_call(app, act->call);
            break;
        case ACTION_COMMAND:
            perform_start(app, &act->command);
            break;
        case ACTION_FIND:
            perform_find(app, act->id);
            break;
        case ACTION_KILL:
            children_kill(app->children, act->id);
            break;
        case ACTION_FORGET:
            children_forget(app->children, act->id);
            break;
        case ACTION_SWEEP:
            children_sweep(app->children, act->keep, act->n_keep);
            break;
        case ACTION_CHANGED:
            reader_changed(app->reader, act->id);
            break;
        }
    }
}
