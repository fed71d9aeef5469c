/* Threads as literals, for tests: one line an event, "type actor {data}", with "@MS " before it
 * when the time matters. The n-th line has seq n and, unless told, happens n seconds after the
 * begin. */
#pragma once

#include "agents/agent.h"
#include "gateway/base/strbuf.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

enum { EVENTS_BEGIN_MS = 1000000 };

static inline struct event event_from(struct arena *a, const char *line, int64_t seq)
{
    struct event e = {.seq = seq, .at_ms = EVENTS_BEGIN_MS + seq * 1000, .hash = ""};
    if (*line == '@') {
        char *end;
        e.at_ms = EVENTS_BEGIN_MS + strtoll(line + 1, &end, 10);
        line = end + 1;
    }
    size_t type = strcspn(line, " ");
    const char *actor = line + type + (line[type] == ' ');
    size_t actor_len = strcspn(actor, " ");
    const char *data = actor + actor_len + (actor[actor_len] == ' ');
    cr_assert(event_type_from_name(arena_strndup(a, line, type), &e.type), "%s", line);
    e.actor = arena_strndup(a, actor, actor_len);
    e.data = json_parse_own(a, *data == '\0' ? "{}" : data);
    return e;
}

static inline struct thread thread_from(struct arena *a, const char *const *lines, size_t n)
{
    struct thread t = {.id = "t_1",
                       .root = "t_1",
                       .title = "a thread",
                       .created_at_ms = EVENTS_BEGIN_MS,
                       .events = ARENA_ARRAY(a, struct event, n + 1)};
    for (size_t i = 0; i < n; i++)
        t.events[t.n_events++] = event_from(a, lines[i], (int64_t)i + 1);
    return t;
}
#define THREAD(a, ...)                                   \
    thread_from((a), (const char *const[]){__VA_ARGS__}, \
                COUNT(((const char *const[]){__VA_ARGS__})))

static inline void describe_effect(struct strbuf *b, const struct effect *e)
{
    struct arena *a = b->arena;
    switch (e->kind) {
    case EFFECT_ASK_MODEL:
        strbuf_add(b, "ask the model");
        break;
    case EFFECT_APPEND:
        strbuf_addf(b, "append %s %s", event_type_name(e->type), json_write(a, e->data));
        break;
    case EFFECT_LOOK_UP:
        strbuf_addf(b, "look up %s for %lld", e->key, (long long)e->call);
        break;
    case EFFECT_RUN_TOOL:
        strbuf_addf(b, "run %s %s for %lld%s%s", e->tool->name,
                    e->data == NULL ? "as approved" : json_write(a, e->data), (long long)e->call,
                    e->request == NULL ? "" : " by ", e->request == NULL ? "" : e->request);
        break;
    case EFFECT_RAISE_APPROVAL:
        strbuf_addf(b, "ask to sign off %s %s for %lld, facts %s", e->tool->name,
                    json_write(a, e->data), (long long)e->call, json_write(a, e->facts));
        if (e->edit > 0)
            strbuf_addf(b, ", instead of %s by change %lld", e->request, (long long)e->edit);
        break;
    case EFFECT_RAISE_QUESTION:
        strbuf_addf(b, "ask people about %s: %s", e->about == NULL ? "its question" : e->about,
                    json_write(a, e->data));
        break;
    case EFFECT_CANCEL_REQUEST:
        strbuf_addf(b, "cancel %s: %s", e->request, e->text);
        break;
    case EFFECT_SEND:
        strbuf_addf(b, "say %s", e->text);
        break;
    case EFFECT_SET_TIMER:
        strbuf_addf(b, "wait %lld s for %lld", (long long)e->seconds, (long long)e->call);
        break;
    case EFFECT_HAND_OVER:
        strbuf_addf(b, "hand over to %s: %s", e->agent, e->text);
        break;
    case EFFECT_FINISH:
        strbuf_addf(b, "finish %s %s: %s", thread_status_name(e->status), e->outcome, e->text);
        break;
    }
}

/* What agent_next() says, one effect a line; "" when it waits. */
static inline char *effects_text(struct arena *a, const struct agent *agent,
                                 const struct thread *thread, int64_t now_ms)
{
    struct effect effects[MAX_EFFECTS];
    struct strbuf b;
    size_t n = agent_next(agent, thread, now_ms, a, effects);
    strbuf_init(&b, a, 1 << 20);
    for (size_t i = 0; i < n; i++) {
        strbuf_add(&b, i > 0 ? "\n" : "");
        describe_effect(&b, &effects[i]);
    }
    return b.text;
}
