/* A thread: one piece of work, an append-only list of events. Plain data, pure. */
#pragma once

#include "gateway/base/json.h"

/* name, for the agent? The closed list of INTERFACE section 3; a type that is for the agent wakes
 * it and makes an answer that is under way stale. */
#define EVENT_TYPES(X)           \
    X(SLACK_MESSAGE, true)       \
    X(EMAIL_MESSAGE, true)       \
    X(SMS_MESSAGE, true)         \
    X(WEB_MESSAGE, true)         \
    X(API_MESSAGE, true)         \
    X(WEBHOOK_RECEIVED, true)    \
    X(SCHEDULE_FIRED, true)      \
    X(GITHUB_PULL_REQUEST, true) \
    X(STEP, true)                \
    X(STEP_REFUSED, true)        \
    X(TOOL_FINISHED, true)       \
    X(REQUEST_DECIDED, true)     \
    X(HANDED_OVER, true)         \
    X(CHILD_FINISHED, true)      \
    X(TIMER_FIRED, true)         \
    X(LIMIT_RAISED, true)        \
    X(MODEL_ASKED, false)        \
    X(MODEL_ANSWERED, false)     \
    X(TOOL_STARTED, false)       \
    X(REQUEST_RAISED, false)     \
    X(DELIVERY_SENT, false)      \
    X(DELIVERY_FAILED, false)    \
    X(VOTE, false)               \
    X(VOTE_REFUSED, false)       \
    X(REQUEST_REMINDED, false)   \
    X(REQUEST_ESCALATED, false)  \
    X(LIMIT_REACHED, false)      \
    X(STAGE_STARTED, false)      \
    X(STAGE_FINISHED, false)     \
    X(CHILD_STARTED, false)      \
    X(ENVIRONMENT_TAKEN, false)  \
    X(ENVIRONMENT_LEFT, false)   \
    X(TIMER_SET, false)          \
    X(PAUSED, false)             \
    X(RESUMED, false)            \
    X(CANCELLED, false)          \
    X(FINISHED, false)           \
    X(NOTE, false)

enum event_type {
#define X(name, for_agent) EVENT_##name,
    EVENT_TYPES(X)
#undef X
};

const char *event_type_name(enum event_type type); /* "slack_message" */
bool event_type_from_name(const char *name, enum event_type *out) NODISCARD;
bool event_is_for_agent(enum event_type type);
/* A person's or a system's message (slack_message … github_pull_request): what begins work or joins
 * it. */
bool event_is_message(enum event_type type);

struct event {
    int64_t seq;   /* 1, 2, 3 … within its thread */
    int64_t at_ms; /* never goes back within a thread */
    enum event_type type;
    const char *actor; /* person:alice | slack:U0EVE | key:ci | agent:deploybot | system … */
    const struct json *data;
    const char *hash; /* 64 hex digits */
};

enum thread_status {
    THREAD_RUNNING,
    THREAD_WAITING,
    THREAD_PAUSED,
    THREAD_DONE,
    THREAD_FAILED,
    THREAD_CANCELLED,
};
const char *thread_status_name(enum thread_status status);
/* Done, failed or cancelled; a message makes it go on. */
bool thread_is_over(enum thread_status status);
bool thread_status_from_name(const char *name, enum thread_status *out) NODISCARD;

struct thread {
    const char *id;               /* "t_" and 12 Crockford digits */
    const char *agent, *pipeline; /* at most one is set; both NULL: an outside agent's request */
    const char *parent, *root;    /* thread ids; parent may be NULL */
    enum thread_status status;
    bool paused;
    const char *title, *requester;        /* requester: an actor, or NULL */
    const char *channel, *to, *in_thread; /* its conversation: channel instance and address there */
    const char *outcome;                  /* NULL until finished */
    int64_t created_at_ms, updated_at_ms;
    int64_t steps, tokens;
    double cost;
    struct event *events;
    size_t n_events;
};

/* The chain: SHA-256(previous hash, as 64 hex digits, or nothing for seq 1 ‖ canonical JSON of
 * {thread, seq, at_ms, type, actor, data}), in hex. */
char *event_hash(struct arena *a, const char *previous, const char *thread, const struct event *e);
