/* What a thread's events say to its agent, in one pass: agent.c's own view. Pure. */
#pragma once

#include "agents/agent.h"

struct situation {
    const struct agent *agent;
    const struct thread *thread;
    int64_t now_ms;
    struct arena *a;
    struct effect *out;
    size_t count;

    int64_t newest; /* newest event that wakes the agent */
    int64_t newest_message;
    int64_t asked_upto; /* what the newest model call had seen */
    int64_t finished;   /* seq of `finished`, 0: never */
    bool model_under_way, model_failed;
    const char *model_error;
    const struct event *step;      /* the current step: the newest that is no keep_waiting */
    const struct event *last_step; /* the newest of all */
    bool step_settled;             /* its result is there */
    bool looking_up;               /* a fact that it needs is not there yet */
    bool last_step_refused;
    const struct event *open;    /* request_raised that is not decided */
    const struct event *decided; /* of the current step: request_decided */
    const struct event *unknown; /* tool_finished of unknown outcome that nobody was asked about */
    const struct event *about;   /* newest request_decided with `about`, not acted on */
    const struct event *edit;   /* a person's change of the open request that waits for its check */
    const struct event *edited; /* the change that the current step's call was made anew with */
    int running;                /* tools */
    int64_t steps, tokens, model_ms, asked_at_ms;
    double cost;
    int64_t asked_seq; /* the newest model call itself */
    int64_t errors;    /* in a row */
    bool step_failed;  /* the newest error was the current step's */
    const char *last_error;
};

struct situation situation_of(const struct agent *agent, const struct thread *thread,
                              int64_t now_ms, struct arena *a, struct effect *out);

/* Does the event belong to this step (NULL: to none)? */
bool event_is_of(const struct event *e, const struct event *step);
/* Has it this outcome: ok, failed, approved, expired …? */
bool event_ended(const struct event *e, const char *outcome);
/* How often exactly the current step failed in this thread. */
int64_t situation_identical_failures(const struct situation *s);
