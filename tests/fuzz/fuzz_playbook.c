/* A playbook out of any YAML, over a thread out of any text: whatever it says is a step. */
#include "agents/context.h"
#include "agents/playbook.h"
#include "gateway/base/text.h"
#include "gateway/yaml.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void report(void *ctx, enum problem_kind kind, const struct json *at, const char *key_path,
                   const char *sentence)
{
    (void)ctx, (void)kind, (void)key_path;
    if (yaml_line(at) < 0 || sentence == NULL || *sentence == '\0')
        abort();
}

/* The input again, as the events' data when it is JSON, and as words. */
static struct thread thread_of(struct arena *a, struct span text)
{
    static const enum event_type types[] = {EVENT_SLACK_MESSAGE, EVENT_GITHUB_PULL_REQUEST,
                                            EVENT_TOOL_FINISHED, EVENT_REQUEST_DECIDED,
                                            EVENT_STEP_REFUSED};
    struct thread t = {.events = ARENA_ARRAY(a, struct event, COUNT(types))};
    struct json *data = NULL;
    if (!json_parse(a, text, 0, &data, NULL)) {
        data = json_object(a);
        json_set_text(a, data, "text", utf8_clean(a, text));
    }
    for (size_t i = 0; i < COUNT(types); i++)
        t.events[t.n_events++] = (struct event){
            .seq = (int64_t)i + 1, .type = types[i], .actor = "slack:U1", .data = data, .hash = ""};
    return t;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    struct problems problems = {.report = report};
    struct json *source = NULL;
    struct playbook *p = NULL;
    struct err err = ERR_INIT;
    int line;
    struct span in = {(const char *)bytes, len};
    struct thread t = thread_of(&a, in);
    static const struct people nobody = {0};
    char *context = context_render(&a, &t, &nobody, false);
    if (!utf8_valid(span_of(context)))
        abort();
    if (!yaml_parse(&a, in, &source, &line, &err) ||
        !playbook_parse(&a, source, NULL, &problems, &p))
        return 0;
    const struct json *step = playbook_step(&a, p, &t);
    if (step == NULL || json_text_at(step, "intent") == NULL)
        abort();
    if (!json_equal(step, playbook_step(&a, p, &t)))
        abort(); /* the same thread, the same step */
    return 0;
}
