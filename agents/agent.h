/* An agent: name + prompt + tools + limits, and agent_next(): thread → effects, a pure function.
 *
 * What happens, in one place: the shell appends an event to a thread and asks agent_next() what to
 * do. It performs the effects; each completion is the next event. After a crash the same question
 * to the same events gives the same answer, so there is nothing else to restore. */
#pragma once

#include "agents/playbook.h"
#include "agents/policy.h"
#include "agents/step_schema.h"
#include "agents/thread.h"
#include "agents/tool.h"

struct limits {
    int64_t steps, tokens, seconds, errors, max_age_ms;
    double cost; /* 0: none */
};

struct contact {
    const char *channel, *to;
};

struct agent {
    const char *name;
    const char *prompt;        /* the file's text, variables not yet filled in */
    const char *prompt_path;   /* for messages */
    const struct tool **tools; /* what it may call */
    size_t n_tools;
    const char **prefetch;
    size_t n_prefetch;
    const char **hand_over;
    size_t n_hand_over;
    const struct playbook *playbook; /* NULL: none */
    const struct json *vars;         /* NULL: none */
    struct limits limits;
    struct contact contact;  /* channel NULL: none */
    const struct json *repo; /* "owner/name" or {path}; NULL: the only one, or none */
    int line;
};

/* The words that every agent has, beside its tools. Their schemas are rows in agents/intents.c. */
enum intent {
    INTENT_REQUEST_HUMAN_INPUT,
    INTENT_AWAIT,
    INTENT_KEEP_WAITING,
    INTENT_DONE_FOR_NOW,
    INTENT_NOTHING_TO_DO,
    INTENT_HAND_OVER, /* only where the agent may hand over */
    INTENT_TOOL,      /* a tool of the agent, by its name */
};

enum effect_kind {
    EFFECT_ASK_MODEL, /* → model_asked, then step or step_refused */
    EFFECT_APPEND,    /* append `type` with `data`: what the pure part concludes itself */
    EFFECT_LOOK_UP,  /* `key` ("git.resolve:main", "git.compare:A...B") → note {fact: key, …} */
    EFFECT_RUN_TOOL, /* `tool` with `data` (its arguments), `call`, `request` → tool_started,
                        tool_finished */
    EFFECT_RAISE_APPROVAL, /* `tool`, `data` (resolved arguments), `call`, `facts` → request_raised;
                              with `edit` it takes the place of `request`, which a person changed →
                              request_decided {outcome: cancelled, edit}, request_raised */
    EFFECT_RAISE_QUESTION, /* `data` {question, context, options}, `call`, `about` → request_raised
                            */
    EFFECT_CANCEL_REQUEST, /* `request`, `text` (by what) → request_decided {outcome: cancelled} */
    EFFECT_SEND,           /* `text` as a message of its own in the conversation */
    EFFECT_SET_TIMER,      /* `seconds`, `call` → timer_set, timer_fired */
    EFFECT_HAND_OVER,      /* `agent`, `text` (the summary) → handed_over in the new thread */
    EFFECT_FINISH,         /* `status`, `outcome`, `text` → finished */
};

struct effect {
    enum effect_kind kind;
    enum event_type type;    /* APPEND */
    const char *key;         /* LOOK_UP */
    const struct tool *tool; /* RUN_TOOL, RAISE_APPROVAL */
    int64_t call;            /* the step's seq; 0: a prefetch, or no step */
    int64_t edit;            /* RAISE_APPROVAL: the seq of the vote that changed it; 0: none did */
    const char *request;     /* RUN_TOOL: what signed it off, NULL: nothing had to; CANCEL_REQUEST;
                                RAISE_APPROVAL with `edit` */
    const char
        *about; /* RAISE_QUESTION: "limit:steps", "errors", "unknown:CALL"; NULL: the model's own */
    const char *agent; /* HAND_OVER */
    const char *text;
    const char *outcome;       /* FINISH */
    enum thread_status status; /* FINISH: done or failed */
    int64_t seconds;           /* SET_TIMER */
    const struct json *data, *facts;
};

enum { MAX_EFFECTS = 8 };

/* What to do next, in order; 0: wait. `now_ms` is the time of the letter that is worked on (age and
 * working time are measured to it). Everything new lives in the arena. */
size_t agent_next(const struct agent *agent, const struct thread *thread, int64_t now_ms,
                  struct arena *a, struct effect out[MAX_EFFECTS]);

/* What an open thread waits for, as INTERFACE's `waiting_for`; NULL: nothing, it runs. */
struct json *agent_waiting_for(const struct agent *agent, const struct thread *thread,
                               struct arena *a);

/* A model's answer → the event that it is: EVENT_STEP with its arguments, or EVENT_STEP_REFUSED
 * with one sentence for the model. `cut` when the provider says that the text was cut off. */
enum event_type agent_read_answer(const struct agent *agent, const char *text, bool cut,
                                  struct arena *a, struct json **data);

/* The seq of the newest event that is for the agent: an answer to an older context is stale. */
int64_t agent_newest(const struct thread *thread);

/* All intents of this agent: what its model is told and its answers are checked with. */
size_t agent_intents(const struct agent *agent, struct arena *a, struct step_intent **out);
