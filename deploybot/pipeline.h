/* A pipeline run: a thread of its own whose stages are events on it. pipeline_next() says what
 * follows, as agent_next() does for agents: pure, from the events alone. */
#pragma once

#include "agents/agent.h"
#include "deploybot/deploy.h"

enum run_effect_kind {
    RUN_TAKE,  /* `environment` → environment_taken, at once or when its turn comes */
    RUN_LEAVE, /* `environment` → environment_left */
    RUN_STAGE, /* `stage`, `attempt` (a command) → stage_started, stage_finished */
    RUN_CHILD, /* `agent` for `stage`, `data` are its first facts → child_started, child_finished */
    RUN_APPEND, /* append `type` with `data` */
    RUN_ASK,    /* `data` {question, …}, `about` → request_raised … */
    RUN_FINISH, /* `status`, `outcome`, `text` (the report) → finished */
};

struct run_effect {
    enum run_effect_kind kind;
    const char *environment;
    const struct stage *stage;
    int64_t attempt;
    const char *agent, *text, *outcome, *about;
    enum event_type type;
    enum thread_status status;
    const struct json *data;
};

size_t pipeline_next(const struct pipeline *pipeline, const struct thread *thread, struct arena *a,
                     struct run_effect out[MAX_EFFECTS]);

/* The value of a stage's {{variable}} from the run's first event; NULL when there is no such name.
 */
const char *run_variable(struct arena *a, const struct thread *thread, int64_t run,
                         const char *name);

/* The commit that the run is about (40 hex digits), or "". */
const char *run_sha(const struct thread *thread);

/* What a run waits for; NULL: nothing. */
struct json *pipeline_waiting_for(const struct pipeline *pipeline, const struct thread *thread,
                                  struct arena *a);

/* The lines of the status message: one a stage, and how it ended. */
char *pipeline_status_text(const struct pipeline *pipeline, const struct thread *thread,
                           int64_t run, struct arena *a);

/* Does this stage deploy the run's commit into its environment? A run's first command stage there,
 * unless `deploys` says otherwise. */
bool stage_deploys(const struct pipeline *pipeline, const struct stage *stage);

/* Does this stage's success complete its environment for promotion: is it the last of its
 * environment? */
bool stage_is_last_there(const struct pipeline *pipeline, const struct stage *stage);
