/* The application as its own files see it: what the core thread owns, and the acts that its parts
 * offer each other. Everything here runs on the core thread, inside the batch's transaction, and
 * has no effect but rows and actions; actions leave after the commit (DESIGN section 5).
 *
 * Functions that return bool fail with an err: ERR_TRANSIENT means that the store cannot take it
 * now; the letter's savepoint is rolled back then and it is handled again. */
#pragma once

#include "agents/context.h"
#include "agents/intents.h"
#include "agents/prompt.h"
#include "deploybot/pipeline.h"
#include "deploybot/source_repo.h"
#include "gateway/base/log.h"
#include "gateway/children.h"
#include "gateway/config.h"
#include "gateway/http_client.h"
#include "gateway/http_server.h"
#include "gateway/mailbox.h"
#include "gateway/metrics.h"
#include "gateway/rate.h"
#include "gateway/slack_sockets.h"
#include "gateway/store.h"

#include <stdatomic.h>

struct reader;

enum letter_kind {
    LETTER_HTTP,     /* struct http_request: a door of ours */
    LETTER_REPLY,    /* struct http_job: a call of ours came back */
    LETTER_COMMAND,  /* struct command_result */
    LETTER_RELOAD,   /* SIGHUP */
    LETTER_STOP,     /* SIGTERM */
    LETTER_READ,     /* struct http_request for the reader */
    LETTER_CLOSED,   /* struct http_closed for the reader: a stream ended */
    LETTER_CHANGED,  /* struct changed_letter for the reader */
    LETTER_ENVELOPE, /* struct slack_envelope: what a webhook would have brought */
};

/* What leaves after the commit, in order. */
struct action {
    struct action *next;
    enum {
        ACTION_ANSWER,
        ACTION_ACK,
        ACTION_CALL,
        ACTION_COMMAND,
        ACTION_FIND,
        ACTION_KILL,
        ACTION_FORGET,
        ACTION_SWEEP,
        ACTION_CHANGED
    } kind;
    struct http_answer *answer;
    struct slack_ack_order *ack;
    struct http_job *call;
    struct command_spec command;
    const char *id;          /* of a command or a thread */
    const char *const *keep; /* of ACTION_SWEEP */
    size_t n_keep;
};

struct app {
    const char *config_path;
    const struct config_options *config_options;
    struct config *config;   /* the core thread's: it changes with a reload */
    atomic_size_t most_body; /* of it, for the HTTP server's thread: server.max_body */
    struct config **retired; /* earlier ones: other threads may still read them; freed at stop */
    size_t n_retired;
    struct store store;
    struct mailbox *mailbox;
    struct http_server *server;
    struct http_client *client;
    struct slack_sockets *sockets;
    struct children *children;
    struct reader *reader;
    struct metrics *metrics;
    struct waiter *waiters; /* edits.c: answers that are held back */
    struct rate rate;       /* failed signatures and sign-ins by address, calls by API key */
    bool dry_run, stopping;
    bool refused;    /* somebody was sent away by a store that was down: who does not come again is
                        asked for */
    bool store_down; /* the last commits failed: doors answer 503, readiness is false */
    bool waits_for_room; /* the last round of work left some: too many calls are under way */
    bool paused_all;     /* a copy of meta.paused_all, read at the begin of each batch */

    /* The batch that is worked on. */
    struct arena *a;
    int64_t now_ms;
    struct action *actions, **actions_end;
};

/* ---- core.c
 * --------------------------------------------------------------------------------------- */

void app_answer(struct app *app, struct http_answer *answer); /* takes */
void app_ack(struct app *app, struct slack_ack_order *ack);   /* takes */

/* Who waits for the answer to what came in: an HTTP request, or an envelope of a socket. */
struct asker {
    uint64_t conn;
    const char *envelope; /* its id; NULL: HTTP */
    bool takes_payload;
};
/* An envelope's answer has no status and no type. `body` is borrowed until the batch's end. */
void app_tell(struct app *app, const struct asker *asker, int status, const char *type,
              const char *body);
void app_call(struct app *app, struct http_job *job); /* takes; comes back as LETTER_REPLY */
void app_command(struct app *app,
                 const struct command_spec *spec); /* everything in the batch's arena */
void app_find_command(struct app *app, const char *id);
void app_kill_command(struct app *app, const char *id);
void app_forget_command(struct app *app, const char *id);
void app_sweep_commands(struct app *app, const char *const *keep, size_t n_keep);
void app_changed(struct app *app, const char *thread); /* streams and pages */

/* Drops what a rolled-back letter wanted: from *from to the end. */
void actions_drop(struct app *app, struct action **from);
/* Lets everything leave. After the commit, and only then. */
void actions_perform(struct app *app);

/* A new id: a letter, '_' and 12 random Crockford base32 digits, in the batch's arena. */
char *app_id(struct app *app, char letter);
/* 128 random bits as 32 hex digits. */
char *app_token(struct app *app);

/* Appends and marks the thread so that it is advanced in a later batch (or this one's end). */
bool app_append(struct app *app, const char *thread, enum event_type type, const char *actor,
                const struct json *data, int64_t *seq, struct err *err) NODISCARD;
/* Loads a thread with all its events. */
bool app_load(struct app *app, const char *id, struct thread_row *out, struct err *err) NODISCARD;
/* Brings a loaded thread up to date; of its events only the new ones are read. */
bool app_reload(struct app *app, struct thread_row *row, struct err *err) NODISCARD;

/* ---- housekeeping.c: checkpoints, tidying, looking for missed merges
 * ------------------------------- */

/* At start: sets the timers of it. */
bool housekeeping_begin(struct app *app, struct err *err) NODISCARD;
/* A timer fired; *is_chore: it was one of these, and it was done. */
bool housekeeping_timer(struct app *app, const struct timer_row *timer, bool *is_chore,
                        struct err *err) NODISCARD;
/* All is resumed: every thread that is not over is looked at again. */
bool housekeeping_wake_all(struct app *app, struct err *err) NODISCARD;
/* Somebody was sent away: what is not sent again is looked for. */
bool housekeeping_look_now(struct app *app, struct err *err) NODISCARD;
/* At stop: no head is left out of the last checkpoints. */
bool housekeeping_end(struct app *app, struct err *err) NODISCARD;

/* ---- ingress.c: HTTP requests of the core
 * --------------------------------------------------------- */

/* What the server's thread may know of app->config: to be called when that has changed. */
void ingress_take_config(struct app *app);
/* Where a request goes and how long its body may be; on the server's thread. */
struct http_door ingress_door(void *app, const char *method, const char *path);
bool ingress_handle(struct app *app, const struct http_request *request, struct err *err) NODISCARD;
/* The same for what came over a socket: its acknowledgement is the answer, a failure has none. */
bool ingress_envelope(struct app *app, const struct slack_envelope *envelope, struct err *err)
    NODISCARD;
/* Lets the sockets know which channels are connected now. */
void ingress_connect(struct app *app);
/* The answer to a request whose handling failed. */
void ingress_refuse(struct app *app, const struct http_request *request, const struct err *err);

/* ---- router.c: arrivals → threads, requests, runs
 * -------------------------------------------------- */

/* Stores a verified arrival, durable with this batch. *seen: it was known; nothing was stored. */
bool router_store(struct app *app, const char *instance, const struct arrival *in, bool *seen,
                  struct err *err) NODISCARD;
/* Works on one stored arrival. */
bool router_route(struct app *app, int64_t arrival, struct err *err) NODISCARD;

/* The route that takes it; NULL: none. */
const struct route *router_find(struct app *app, const char *instance, const struct arrival *in);

struct new_thread {
    const char *agent, *pipeline, *parent, *root, *title, *requester, *channel, *to, *in_thread;
    const struct json *repo;
    enum event_type type; /* of the first event */
    const char *actor;
    const struct json *data;
};
/* A thread with its first event. */
bool router_start_thread(struct app *app, const struct new_thread *in, const char **id,
                         struct err *err) NODISCARD;

/* ---- agent_runner.c, pipeline_runner.c: what a thread wants next
 * ------------------------------------ */

/* Takes all steps that can be taken now; then says what the thread waits for. */
bool agent_advance(struct app *app, const char *id, struct err *err) NODISCARD;
bool pipeline_advance(struct app *app, struct thread_row *row, struct err *err) NODISCARD;
/* Ends a thread: event, status, the parent's child_finished, holds given back. */
bool thread_finish(struct app *app, struct thread_row *row, enum thread_status status,
                   const char *outcome, const char *message, struct err *err) NODISCARD;
bool thread_cancel(struct app *app, const char *id, const char *actor, const char *why,
                   struct err *err) NODISCARD;
bool thread_pause(struct app *app, const char *id, const char *actor, bool pause, struct err *err)
    NODISCARD;
/* Every agent and pipeline, durably. */
bool thread_pause_all(struct app *app, const char *actor, bool pause, struct err *err) NODISCARD;
/* Starts a child with its first facts; *id is the new thread. */
bool child_start(struct app *app, struct thread_row *parent, const char *agent, const char *stage,
                 const char *why, const struct json *facts, const char *message, const char **id,
                 struct err *err) NODISCARD;

/* ---- models.c
 * ------------------------------------------------------------------------------------------ */

bool model_ask(struct app *app, struct thread_row *row, const struct agent *agent, struct err *err)
    NODISCARD;
bool model_due(struct app *app, struct tool_run_row *run, struct err *err) NODISCARD;
bool model_reply(struct app *app, struct tool_run_row *run, const struct http_job *job,
                 struct err *err) NODISCARD;

/* ---- tools.c, commands.c, look_ups.c: what acts and what only reads
 * --------------------------------------------------------- */

enum tool_start { TOOL_STARTED_NOW, TOOL_MUST_WAIT, TOOL_ENDED_AT_ONCE };
bool tool_run(struct app *app, struct thread_row *row, const struct agent *agent,
              const struct effect *effect, enum tool_start *out, struct err *err) NODISCARD;
bool tool_look_up(struct app *app, struct thread_row *row, const struct effect *effect,
                  struct err *err) NODISCARD;
bool tool_run_stage(struct app *app, struct thread_row *row, const struct pipeline *pipeline,
                    const struct stage *stage, int64_t attempt, struct err *err) NODISCARD;
bool tool_command_ended(struct app *app, const struct command_result *result, struct err *err)
    NODISCARD;
/* The argv that a call would have, as a JSON array; err says which value no command gets. */
bool argv_of_tool(struct app *app, const struct tool *tool, const struct json *args,
                  struct json **out, struct err *err) NODISCARD;
bool tool_reply(struct app *app, const struct http_job *job, struct err *err) NODISCARD;
bool tool_due(struct app *app, struct tool_run_row *run, struct err *err) NODISCARD;
/* At start: what was under way is found again. */
bool tool_recover(struct app *app, struct err *err) NODISCARD;
/* Files of commands that nobody waits for go: a gateway that was killed left them. */
bool tool_sweep(struct app *app, struct err *err) NODISCARD;
/* Asks every GitHub source for merges that were missed. */
bool tool_reconcile(struct app *app, struct err *err) NODISCARD;

/* ---- environments.c
 * ---------------------------------------------------------------------------------------- */

/* *held: the environment is the root's now; else it waits in the queue. A pipeline run that queues
 * supersedes older runs of its pipeline that wait there. */
bool environment_take(struct app *app, const char *environment, const char *root,
                      const char *pipeline, bool *held, struct err *err) NODISCARD;
bool environment_leave(struct app *app, const char *environment, const char *root, struct err *err)
    NODISCARD;
/* Where a command is still at work the hold stays until it has ended. */
bool environment_leave_all(struct app *app, const char *root, struct err *err) NODISCARD;
/* Is a command of anybody at work there? */
bool environment_is_busy(struct app *app, const char *environment, bool *busy, struct err *err)
    NODISCARD;
/* Why a tool may not act there now: lock, freeze, promotion order. *why NULL: it may. */
bool environment_refuses(struct app *app, const struct tool_target *target, const char *sha,
                         const char *requester, const char **why, struct err *err) NODISCARD;
/* A stage of this run ended ok: if it is the last in its environment, the commit may be promoted
 * from there. Nothing passes in a dry run. */
bool environment_note_passed(struct app *app, const char *pipeline, const char *stage,
                             const char *sha, const char *thread, struct err *err) NODISCARD;
/* The fact "deploy.place:ENV/COMPONENT/SHA" for cards. */
bool environment_place(struct app *app, const char *key, const struct json **value, struct err *err)
    NODISCARD;
/* A tool or stage ended there: state, history. component NULL: all. */
bool environment_ended(struct app *app, const char *environment, const char *component,
                       const char *sha, const char *thread, const char *outcome, bool rollback,
                       int64_t started_at_ms, struct err *err) NODISCARD;
/* {component: sha} of now. */
bool environment_state(struct app *app, const char *environment, struct json **out, struct err *err)
    NODISCARD;
/* The value of the tool list_deployments. */
bool environment_list_deployments(struct app *app, const struct json *args,
                                  const struct json **value, struct err *err) NODISCARD;

/* ---- requests.c
 * ------------------------------------------------------------------------------------------- */

bool request_raise_approval(struct app *app, struct thread_row *row, const struct effect *effect,
                            struct err *err) NODISCARD;
/* data: {question, context, options}; about NULL: the model's own (call is the step). */
bool request_raise_question(struct app *app, struct thread_row *row, const struct json *data,
                            int64_t call, const char *about, struct err *err) NODISCARD;
bool request_cancel(struct app *app, const char *id, const char *actor, const char *why,
                    struct err *err) NODISCARD;

struct vote_in {
    const char *request;  /* id or code */
    const char *decision; /* approve | reject | answer | edit | withdraw */
    const char *comment, *answer;
    const struct json *arguments; /* edit: those that change; texts out of a form, or JSON values */
    const char *to, *in_thread;   /* where the person is told what became of it; may be NULL */
    const char *identity;         /* "person:alice", or the channel's: "slack:U0EVE" */
    const char *via;              /* "slack ops-slack", "web", "api key ci" … */
};
enum vote_result {
    VOTE_COUNTED, /* it counts; the request is still open */
    VOTE_DECIDED, /* it decided the request */
    VOTE_SAME,    /* the same vote as before: nothing changed */
    VOTE_NOT_ALLOWED,
    VOTE_TOO_LATE, /* decided or expired already */
    VOTE_UNKNOWN,  /* no such request */
    VOTE_INVALID,  /* the wrong kind of decision, an answer that is no choice */
    VOTE_CHECKING, /* a change: it is looked at, and what becomes of it is told later (edits.c) */
};
struct vote_out {
    enum vote_result result;
    const char *sentence; /* for the person */
    const char *request, *thread;
    const char *field; /* of a refused change: the argument that is wrong, or NULL */
    int64_t edit;      /* VOTE_CHECKING: the change */
};
/* The one function through which everybody decides. */
bool request_vote(struct app *app, const struct vote_in *in, struct vote_out *out, struct err *err)
    NODISCARD;
/* A change that was checked is refused; `data` is its vote_refused. Who made it hears why. */
bool edit_refused(struct app *app, const struct thread_row *row, const struct json *data,
                  struct err *err) NODISCARD;
/* The answer that `conn` waits for is given when it is known what becomes of the change that the
 * arrival's `hold` names, or when that takes too long. */
bool edit_hold(struct app *app, const struct asker *asker, const struct arrival *in,
               const struct channel_config *channel, struct err *err) NODISCARD;
/* The change of that name was taken down, or refused at once. *told: somebody waits for it, and has
 * heard or will. */
void edit_taken(struct app *app, const char *name, const struct vote_out *out, bool *told);
/* Timer "held": nobody waits longer. */
bool edit_waited_long(struct app *app, const struct timer_row *timer, struct err *err) NODISCARD;
void edit_forget_all(struct app *app); /* at stop */
/* Timers: "ask" (the next step), "expire", "recheck" (a rule with `after`). */
bool request_timer(struct app *app, const struct timer_row *timer, struct err *err) NODISCARD;
/* A delivery of ask step `ask` cannot arrive: the next step is taken at once. */
bool request_ask_failed(struct app *app, const char *request, int64_t ask, struct err *err)
    NODISCARD;
/* Takes all ask steps up to `index` that have not been taken. */
bool request_ask(struct app *app, const char *request, int64_t index, struct err *err) NODISCARD;

/* ---- outbox.c
 * ------------------------------------------------------------------------------------------------
 */

/* Words into a thread's conversation (or the contact's, when it has none). */
bool outbox_say(struct app *app, struct thread_row *row, const char *text, struct err *err)
    NODISCARD;
/* A card; ask −1: not an ask step's. to may be "role:…" or "person:…". */
bool outbox_card(struct app *app, struct thread_row *row, const char *request, int64_t ask,
                 const char *channel, const char *to, struct err *err) NODISCARD;
/* Every copy of a request's card is edited to how it stands now. */
bool outbox_edit_cards(struct app *app, const char *request, struct err *err) NODISCARD;
/* The run's status message: posted once, edited afterwards. */
bool outbox_status(struct app *app, struct thread_row *row, struct err *err) NODISCARD;
bool outbox_due(struct app *app, struct delivery_row *delivery, struct err *err) NODISCARD;
bool outbox_reply(struct app *app, const struct http_job *job, struct err *err) NODISCARD;
bool outbox_recover(struct app *app, struct err *err) NODISCARD;
/* A person's own address on a channel, or NULL. */
const char *outbox_address(const struct channel_config *channel, const struct person *person);
/* A live answer to a click (never stored, never retried). */
void outbox_live(struct app *app, const struct channel_config *channel, const struct live *live);
bool outbox_live_reply(struct app *app, const struct http_job *job) NODISCARD;

/* A person's own page is made anew; hash: of what they look at, or NULL. */
bool outbox_home(struct app *app, const char *channel, const char *to, const char *hash,
                 struct err *err) NODISCARD;

/* ---- desk.c, home.c: what people ask of us, and their own pages
 * ---------------------------------------------------------------------- */

/* The answer to a command, in plain words. *for_agent: it is work for its route. */
bool desk_command(struct app *app, const char *instance, const struct arrival *in, bool *for_agent,
                  const char **text, struct err *err) NODISCARD;
/* {stranger, paused, waiting, asked, decided}: what a message of kind HOME shows. */
bool home_of(struct app *app, const struct channel_config *channel, const char *address,
             const struct json **out, struct err *err) NODISCARD;

/* ---- api.c, forms.c
 * --------------------------------------------------------------------------------------------- */

bool api_handle(struct app *app, const struct http_request *request, struct err *err) NODISCARD;
bool forms_handle(struct app *app, const struct http_request *request, struct err *err) NODISCARD;
