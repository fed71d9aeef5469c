/* The demo's log: one event of a thread as people would tell it. */
#include "gateway/demo_tell.h"

#include "gateway/base/text.h"

#include <stdio.h>
#include <string.h>

void demo_say(const char *who, const char *text)
{
    printf("%-11s %s\n", who, text);
    fflush(stdout);
}

struct telling {
    struct arena *a;
    const struct json *data;
    const char *who, *actor; /* the agent, or "pipeline"; who did it */
    bool run;
};

static void tell_merge(const struct telling *t)
{
    if (t->run)
        demo_say("github", arena_printf(t->a, "merged #%lld: %s",
                                        (long long)json_int_or(json_get(t->data, "number"), 0),
                                        json_text_or(t->data, "title", "")));
}

static void tell_stage(const struct telling *t)
{
    const char *stage = json_text_or(t->data, "stage", "");
    const char *outcome = json_text_at(t->data, "outcome");
    bool failed = text_eq(outcome, "failed");
    const char *tail = failed ? json_text_or(t->data, "tail", "") : "";
    if (text_ends(tail, "\n"))
        tail = arena_strndup(t->a, tail, strlen(tail) - 1);
    demo_say("pipeline", outcome == NULL ? arena_printf(t->a, "%s runs", stage)
                                         : arena_printf(t->a, "%s: %s%s%s", stage, outcome,
                                                        failed ? "\n" : "", tail));
}

static void tell_child(const struct telling *t)
{
    demo_say("pipeline", arena_printf(t->a, "%s begins", json_text_or(t->data, "agent", "")));
}

static void tell_request(const struct telling *t)
{
    const char *code = json_text_or(t->data, "code", ""), *tool = json_text_at(t->data, "tool");
    demo_say(t->who, tool != NULL ? arena_printf(t->a, "proposes %s %.7s (request %s)", tool,
                                                 json_text_or(t->data, "arguments.sha", ""), code)
                                  : arena_printf(t->a, "asks: %s (request %s)",
                                                 json_text_or(t->data, "question", ""), code));
}

static void tell_decision(const struct telling *t)
{
    const char *comment = json_text_at(t->data, "comment");
    demo_say(strchr(t->actor, ':') == NULL ? t->actor : strchr(t->actor, ':') + 1,
             arena_printf(t->a, "%s %s%s%s%s", json_text_or(t->data, "outcome", ""),
                          json_text_or(t->data, "tool", "the question"),
                          comment != NULL ? ": \"" : "", comment != NULL ? comment : "",
                          comment != NULL ? "\"" : ""));
}

static void tell_command(const struct telling *t)
{
    const char *output = json_text_at(t->data, "result.output");
    if (output == NULL || json_is_true(json_get(t->data, "prefetch")))
        return;
    demo_say("command", arena_printf(t->a, "%s: %s. %s", json_text_or(t->data, "tool", ""),
                                     json_text_or(t->data, "outcome", ""),
                                     arena_strndup(t->a, output, strcspn(output, "\n"))));
}

static void tell_end(const struct telling *t)
{
    const char *message = json_text_or(t->data, "message", "");
    demo_say(t->run ? "report" : t->who,
             t->run ? arena_printf(t->a, "%s. %s", json_text_or(t->data, "outcome", ""), message)
                    : message);
}

static const struct {
    const char *type;
    void (*tell)(const struct telling *t);
} tellings[] = {
    {"github_pull_request", tell_merge}, {"stage_started", tell_stage},
    {"stage_finished", tell_stage},      {"child_started", tell_child},
    {"request_raised", tell_request},    {"request_decided", tell_decision},
    {"tool_finished", tell_command},     {"finished", tell_end},
};

void demo_tell(struct arena *a, const struct json *thread, const struct json *e)
{
    const char *agent = json_text_at(thread, "agent");
    struct telling t = {.a = a,
                        .data = json_get(e, "data"),
                        .who = agent == NULL ? "pipeline" : agent,
                        .actor = json_text_or(e, "actor", ""),
                        .run = agent == NULL};
    for (size_t i = 0; i < COUNT(tellings); i++)
        if (strcmp(tellings[i].type, json_text_or(e, "type", "")) == 0)
            tellings[i].tell(&t);
}
