/* See thread.h. */
#include "agents/thread.h"

#include "gateway/base/hash.h"
#include "gateway/base/text.h"

#include <string.h>

struct event_kind {
    const char *name; /* upper case, as in the list */
    bool for_agent;
};

static const struct event_kind event_kinds[] = {
#define X(name, for_agent) {#name, for_agent},
    EVENT_TYPES(X)
#undef X
};

/* The names of the interface are the enum's, in lower case. */
static const char *const event_names[] = {
    "slack_message",
    "email_message",
    "sms_message",
    "web_message",
    "api_message",
    "webhook_received",
    "schedule_fired",
    "github_pull_request",
    "step",
    "step_refused",
    "tool_finished",
    "request_decided",
    "handed_over",
    "child_finished",
    "timer_fired",
    "limit_raised",
    "model_asked",
    "model_answered",
    "tool_started",
    "request_raised",
    "delivery_sent",
    "delivery_failed",
    "vote",
    "vote_refused",
    "request_reminded",
    "request_escalated",
    "limit_reached",
    "stage_started",
    "stage_finished",
    "child_started",
    "environment_taken",
    "environment_left",
    "timer_set",
    "paused",
    "resumed",
    "cancelled",
    "finished",
    "note",
};
_Static_assert(COUNT(event_names) == COUNT(event_kinds), "a name for each event type");

const char *event_type_name(enum event_type type)
{
    return event_names[type];
}

bool event_type_from_name(const char *name, enum event_type *out)
{
    for (size_t i = 0; i < COUNT(event_names); i++)
        if (strcmp(event_names[i], name) == 0) {
            *out = (enum event_type)i;
            return true;
        }
    return false;
}

bool event_is_for_agent(enum event_type type)
{
    return event_kinds[type].for_agent;
}

bool event_is_message(enum event_type type)
{
    return type <= EVENT_GITHUB_PULL_REQUEST;
}

static const char *const status_names[] = {"running", "waiting", "paused",
                                           "done",    "failed",  "cancelled"};

const char *thread_status_name(enum thread_status status)
{
    return status_names[status];
}

bool thread_is_over(enum thread_status status)
{
    return status == THREAD_DONE || status == THREAD_FAILED || status == THREAD_CANCELLED;
}

bool thread_status_from_name(const char *name, enum thread_status *out)
{
    for (size_t i = 0; i < COUNT(status_names); i++)
        if (text_eq(status_names[i], name)) {
            *out = (enum thread_status)i;
            return true;
        }
    return false;
}

char *event_hash(struct arena *a, const char *previous, const char *thread, const struct event *e)
{
    struct json *j = json_object(a);
    json_set_text(a, j, "thread", thread);
    json_set_int(a, j, "seq", e->seq);
    json_set_int(a, j, "at_ms", e->at_ms);
    json_set_text(a, j, "type", event_type_name(e->type));
    json_set_text(a, j, "actor", e->actor);
    json_set(a, j, "data", e->data);
    char *text = arena_printf(a, "%s%s", previous == NULL ? "" : previous, json_canonical(a, j));
    return sha256_hex(a, (struct span){text, strlen(text)});
}
