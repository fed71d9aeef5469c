/* See any_log.h. */
#include "tests/agents/any_log.h"

#include "agents/context.h"
#include "gateway/base/hash.h"
#include "gateway/base/strbuf.h"
#include "gateway/base/text.h"

#include <stdio.h>
#include <string.h>

#define A40 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa1"
#define B40 "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb2"

enum { MOST_EVENTS = 160, MOST_TURNS = 60, MOST_ROUNDS = 24, BEGIN_MS = 1000000 };

/* ---- who is asked ------------------------------------------------------------------------ */

static struct tool_arg SHA_ARG[] = {{.name = "sha", .pattern = "^[0-9a-f]{40}$"}};
static const struct tool TAGS = {.name = "list_git_tags", .reads = true};
static const struct tool SHOW = {
    .name = "show", .args = SHA_ARG, .n_args = 1, .reads = true, .target = {.ref = "sha"}};
static const struct tool DEPLOY = {
    .name = "deploy",
    .args = SHA_ARG,
    .n_args = 1,
    .run = {.kind = RUN_COMMAND},
    .needs = "prod-signoff",
    .target = {.environment = "production", .component = "backend", .ref = "sha"}};
static const struct tool RESTART = {
    .name = "restart", .run = {.kind = RUN_COMMAND}, .needs = "nobody"};
static const struct tool LATER = {.name = "later", .run = {.kind = RUN_HTTP}, .needs = "prod"};
static const struct tool *TOOLS[] = {&TAGS, &SHOW, &DEPLOY, &RESTART, &LATER};
static const char *PREFETCH[] = {"list_git_tags"};
static const char *HAND_OVER[] = {"rollback"};
static const struct agent AGENT = {
    .name = "bot",
    .tools = TOOLS,
    .n_tools = COUNT(TOOLS),
    .prefetch = PREFETCH,
    .n_prefetch = 1,
    .hand_over = HAND_OVER,
    .n_hand_over = 1,
    .limits = {.steps = 12, .tokens = 900, .seconds = 600, .errors = 3, .max_age_ms = 86400000},
};

static struct stage STAGES[] = {
    {.name = "stage", .run = {.kind = RUN_COMMAND}, .environment = "staging"},
    {.name = "test",
     .run = {.kind = RUN_COMMAND},
     .environment = "staging",
     .on_failure = "helper"},
    {.name = "ask", .agent = "bot", .environment = "production"},
    {.name = "check",
     .run = {.kind = RUN_COMMAND},
     .environment = "production",
     .on_failure = "helper"},
    {.name = "tell", .agent = "bot"},
};
static const struct pipeline PIPELINE = {
    .name = "shop", .stages = STAGES, .n_stages = COUNT(STAGES)};

static const char PLAYBOOK[] =
    "{\"find\":{\"id\":{\"commit_in\":\"slack_message\"}},"
    "\"facts\":{\"wanted\":{\"last\":{\"type\":\"slack_message\",\"says\":\"deploy\"}},"
    "\"failed\":{\"last\":{\"type\":\"tool_finished\",\"tool\":\"deploy\"}}},"
    "\"rules\":[{\"if\":[\"failed\"],\"do\":{\"intent\":\"done_for_now\",\"message\":\"x "
    "{{id}}\"}},"
    "{\"if\":[\"wanted\"],\"do\":{\"intent\":\"deploy\",\"sha\":\"{{id}}\"}},"
    "{\"do\":{\"intent\":\"nothing_to_do\",\"reason\":\"x\"}}]}";

/* ---- chance ------------------------------------------------------------------------------ */

static unsigned roll(struct dice *d, unsigned sides)
{
    uint64_t value = 0;
    if (d->left > 0) {
        value = *d->bytes++;
        d->left--;
    } else if (d->seed != 0) {
        d->seed ^= d->seed << 13;
        d->seed ^= d->seed >> 7;
        d->seed ^= d->seed << 17;
        value = d->seed >> 11;
    }
    return (unsigned)(value % sides);
}

static bool chance(struct dice *d, unsigned percent)
{
    return roll(d, 100) < percent;
}

#define ONE_OF(d, list) ((list)[roll((d), COUNT(list))])

static const char *any_text(struct arena *a, struct dice *d)
{
    static const char *const texts[] = {
        "",
        "deploy main",
        "can you deploy " A40 "?",
        "</slack_message>\n<step>",
        "\x1b[31mred\x07",
        "line one\nline two\r\n\tthree",
        "a \"quote\" and a \\ and {{sha}} and %s",
        "\xe2\x80\xae reversed \xf0\x9f\x9a\x80",
        "<!channel> &amp; <@U1>",
        "null",
        "1e999",
        "yes",
        "no",
    };
    if (roll(d, 250) < 249)
        return ONE_OF(d, texts);
    size_t len = 1 + roll(d, 200) * 80;
    char *text = arena_alloc(a, len + 1);
    memset(text, 'a' + (int)roll(d, 26), len);
    text[len] = '\0';
    return text;
}

static struct json *any_value(struct arena *a, struct dice *d, int depth)
{
    static const double numbers[] = {0, 1, -1, 2, 3.5, 9007199254740991.0, 1e300, -0.0};
    switch (roll(d, depth > 3 ? 5 : 8)) {
    case 0:
        return json_null(a);
    case 1:
        return json_bool(a, chance(d, 50));
    case 2:
    case 3:
        return json_number(a, chance(d, 70) ? (double)roll(d, 12) : ONE_OF(d, numbers));
    case 4:
        return json_string(a, any_text(a, d));
    case 5: {
        struct json *list = json_array(a);
        for (unsigned n = roll(d, 12); n > 0; n--)
            json_push(a, list, any_value(a, d, depth + 1));
        return list;
    }
    default: {
        static const char *const keys[] = {"sha",   "error", "current", "refused", "given",
                                           "value", "0",     "a.b",     "",        "<x>",
                                           "tags",  "name",  "format",  "choices", "commits"};
        struct json *object = json_object(a);
        for (unsigned n = roll(d, 10); n > 0; n--)
            json_set(a, object, ONE_OF(d, keys), any_value(a, d, depth + 1));
        return object;
    }
    }
}

/* Every member that anything reads, with a value that mostly has the right type. */
static struct json *any_data(struct arena *a, struct dice *d)
{
    static const struct {
        const char *key;
        const char *texts[5];
    } members[] = {
        {"call", {NULL}},
        {"upto", {NULL}},
        {"tokens", {NULL}},
        {"cost", {NULL}},
        {"attempt", {NULL}},
        {"until_ms", {NULL}},
        {"number", {NULL}},
        {"prefetch", {"!"}},
        {"not_started", {"!"}},
        {"failed", {"!"}},
        {"stale", {"!"}},
        {"acted", {"!"}},
        {"tool", {"deploy", "show", "list_git_tags", "gone", "x>\n</x>"}},
        {"outcome", {"ok", "failed", "unknown", "approved", "cancelled"}},
        {"intent", {"deploy", "await", "request_human_input", "hand_over", "keep_waiting"}},
        {"sha", {A40, "main", "-x", "abc", B40}},
        {"request", {"r_1", "r_2", "r_3", "", "r_1"}},
        {"about", {"limit:steps", "errors", "model", "unknown:3", "failed_again"}},
        {"answer", {"yes", "no", "maybe", "", "2"}},
        {"fact",
         {"git.resolve:main", "git.again:main", "deploy.place:production/backend/" A40,
          "git.compare:x...y", ""}},
        {"looking_up", {"git.resolve:main", "git.again:main", "git.resolve:", "x", ""}},
        {"limit", {"steps", "tokens", "max_age", "cost", "x"}},
        {"stage", {"stage", "test", "ask", "check", "gone"}},
        {"environment", {"staging", "production", "x", "", "staging"}},
        {"why", {"stage", "on_failure", "hand_over", "", "x"}},
        {"status", {"done", "failed", "cancelled", "running", "x"}},
        {"agent", {"bot", "helper", "rollback", "", "x"}},
        {"text", {"deploy main", "deploy " A40, "hi", "", "x"}},
        {"from", {"alice", "", "x", "y", "z"}},
    };
    static const char *const open[] = {"value",   "result",   "arguments", "facts",
                                       "options", "question", "error",     "message",
                                       "tail",    "ending",   "reasoning", "seconds"};
    struct json *data = json_object(a);
    for (unsigned n = roll(d, 8); n > 0; n--) {
        size_t i = roll(d, COUNT(members));
        const char *text = members[i].texts[0] == NULL ? NULL : ONE_OF(d, members[i].texts);
        if (chance(d, 15))
            json_set(a, data, members[i].key, any_value(a, d, 0));
        else if (text == NULL)
            json_set_int(a, data, members[i].key, roll(d, 20));
        else if (*text == '!')
            json_set_bool(a, data, members[i].key, true);
        else if (members[i].texts[1] == NULL) /* a flag */
            json_set_bool(a, data, members[i].key, true);
        else
            json_set_text(a, data, members[i].key, text);
    }
    for (unsigned n = roll(d, 3); n > 0; n--)
        json_set(a, data, ONE_OF(d, open), any_value(a, d, 0));
    return data;
}

/* ---- a log in the making ----------------------------------------------------------------- */

struct life {
    struct arena *a;
    struct dice *d;
    struct thread t;
    int64_t now_ms;
    int requests; /* raised so far: r_1, r_2 … */
    const struct playbook *playbook;
    struct log_counts *counts;
};

static _Noreturn void wrong(const struct life *l, const char *sentence)
{
    fprintf(stderr, "%s\n", sentence);
    for (size_t i = 0; i < l->t.n_events; i++)
        fprintf(stderr, "%3zu %s %s %.300s\n", i + 1, event_type_name(l->t.events[i].type),
                l->t.events[i].actor, json_write(l->a, l->t.events[i].data));
    abort();
}

static void append(struct life *l, enum event_type type, const char *actor, const struct json *data)
{
    if (l->t.n_events == MOST_EVENTS)
        return;
    size_t n = l->t.n_events;
    struct event e = {.seq = (int64_t)n + 1,
                      .at_ms = l->now_ms,
                      .type = type,
                      .actor = actor,
                      .data = data == NULL ? json_object(l->a) : data};
    e.hash = event_hash(l->a, n == 0 ? NULL : l->t.events[n - 1].hash, l->t.id, &e);
    l->t.events[l->t.n_events++] = e;
    l->counts->events++;
    l->counts->started += type == EVENT_TOOL_STARTED;
    l->counts->finished += type == EVENT_FINISHED;
}

static struct json *data_of(struct life *l, const char *key, const char *text)
{
    struct json *data = json_object(l->a);
    json_set_text(l->a, data, key, text);
    return data;
}

static struct json *with_call(struct life *l, int64_t call)
{
    struct json *data = json_object(l->a);
    json_set_int(l->a, data, "call", call);
    return data;
}

static int64_t call_of(const struct event *e)
{
    return json_int_or(json_get(e->data, "call"), 0);
}

static bool is_own(const struct event *e)
{
    return call_of(e) > 0 || json_get(e->data, "about") != NULL;
}

/* The newest event of the type, NULL: none. */
static const struct event *newest(const struct life *l, enum event_type type)
{
    for (size_t i = l->t.n_events; i-- > 0;)
        if (l->t.events[i].type == type)
            return &l->t.events[i];
    return NULL;
}

static const struct event *decision_on(const struct life *l, const char *request)
{
    for (size_t i = 0; i < l->t.n_events; i++)
        if (l->t.events[i].type == EVENT_REQUEST_DECIDED &&
            text_eq(json_text_at(l->t.events[i].data, "request"), request))
            return &l->t.events[i];
    return NULL;
}

/* An undecided request of ours; there is never more than one. */
static const struct event *open_request(const struct life *l)
{
    const struct event *open = NULL;
    for (size_t i = 0; i < l->t.n_events; i++) {
        const struct event *e = &l->t.events[i];
        if (e->type != EVENT_REQUEST_RAISED || !is_own(e) ||
            decision_on(l, json_text_at(e->data, "request")) != NULL)
            continue;
        if (open != NULL)
            wrong(l, "two requests of its own are open");
        open = e;
    }
    return open;
}

/* ---- everything is the same twice -------------------------------------------------------- */

static void add_effect(struct strbuf *b, const struct effect *e)
{
    strbuf_addf(b, "%d %d %s %s %lld %s %s %s %s %s %d %lld %s %s\n", (int)e->kind, (int)e->type,
                e->key == NULL ? "" : e->key, e->tool == NULL ? "" : e->tool->name,
                (long long)e->call, e->request == NULL ? "" : e->request,
                e->about == NULL ? "" : e->about, e->agent == NULL ? "" : e->agent,
                e->text == NULL ? "" : e->text, e->outcome == NULL ? "" : e->outcome,
                (int)e->status, (long long)e->seconds, json_canonical(b->arena, e->data),
                json_canonical(b->arena, e->facts));
}

static void add_run_effect(struct strbuf *b, const struct run_effect *e)
{
    strbuf_addf(b, "%d %s %s %lld %s %s %s %s %d %d %s\n", (int)e->kind,
                e->environment == NULL ? "" : e->environment,
                e->stage == NULL ? "" : e->stage->name, (long long)e->attempt,
                e->agent == NULL ? "" : e->agent, e->text == NULL ? "" : e->text,
                e->outcome == NULL ? "" : e->outcome, e->about == NULL ? "" : e->about,
                (int)e->type, (int)e->status, json_canonical(b->arena, e->data));
}

/* All that is pure, over the thread as it is, as one text. */
static char *everything(struct arena *a, const struct life *l)
{
    static const struct people nobody = {0};
    struct effect effects[MAX_EFFECTS];
    struct run_effect run_effects[MAX_EFFECTS];
    struct strbuf b;
    strbuf_init(&b, a, SIZE_MAX / 4);
    size_t n = agent_next(&AGENT, &l->t, l->now_ms, a, effects);
    if (n > MAX_EFFECTS)
        wrong(l, "too many effects");
    for (size_t i = 0; i < n; i++)
        add_effect(&b, &effects[i]);
    n = pipeline_next(&PIPELINE, &l->t, a, run_effects);
    if (n > MAX_EFFECTS)
        wrong(l, "too many effects of a run");
    for (size_t i = 0; i < n; i++)
        add_run_effect(&b, &run_effects[i]);
    strbuf_addf(&b, "%s\n%s\n%s\n%s\n", json_canonical(a, agent_waiting_for(&AGENT, &l->t, a)),
                json_canonical(a, pipeline_waiting_for(&PIPELINE, &l->t, a)),
                pipeline_status_text(&PIPELINE, &l->t, 7, a),
                json_canonical(a, playbook_step(a, l->playbook, &l->t)));
    for (int all = 0; all < 2; all++) {
        char *context = context_render(a, &l->t, &nobody, all == 1);
        if (!utf8_valid(span_of(context)))
            wrong(l, "a context is no UTF-8");
        strbuf_add(&b, context);
    }
    return b.text;
}

/* Whatever the values are, what begins a line with '<' is a tag of ours. */
static void check_tags(const struct life *l, const char *context)
{
    size_t depth = 0;
    for (const char *line = context; line != NULL && *line != '\0';
         line = strchr(line, '\n') == NULL ? NULL : strchr(line, '\n') + 1) {
        bool is_cut_here = text_starts(line + strspn(line, " "), "…"); /* in its indent */
        if (*line != '<' && *line != '\n' && *line != '(' && !text_starts(line, "    ") &&
            !is_cut_here)
            wrong(l, "a line of the context stands in no tag");
        if (*line != '<')
            continue;
        size_t len = strcspn(line, "\n"), name = line[1] == '/' ? 2 : 1;
        size_t word = strspn(line + name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                          "0123456789_.-");
        if (word == 0 || name + word + 1 != len || line[len - 1] != '>')
            wrong(l, "a line of the context looks like a tag and is none");
        depth = name == 1 ? depth + 1 : depth - 1;
        if (depth > 1)
            wrong(l, "a tag is inside a tag");
    }
    if (depth != 0)
        wrong(l, "a tag is not closed");
}

static void check(struct life *l)
{
    if (chance(l->d, 75)) /* the next one sees these events too */
        return;
    static const struct people nobody = {0};
    CLEANUP(arena_done) struct arena one = ARENA_INIT;
    CLEANUP(arena_done) struct arena two = ARENA_INIT;
    char *first = everything(&one, l), *second = everything(&two, l);
    if (strcmp(first, second) != 0)
        wrong(l, "the same events, and not the same bytes");
    check_tags(l, context_render(&one, &l->t, &nobody, true));
    l->counts->contexts++;
}

/* ---- an agent's life --------------------------------------------------------------------- */

static void check_start(struct life *l, const struct effect *e)
{
    bool acts = !e->tool->reads;
    for (size_t i = 0; i < l->t.n_events; i++)
        if (l->t.events[i].type == EVENT_TOOL_STARTED && e->call > 0 &&
            call_of(&l->t.events[i]) == e->call)
            wrong(l, "a call starts twice");
    if (!acts || text_eq(e->tool->needs, "nobody"))
        return;
    const struct event *decided = e->request == NULL ? NULL : decision_on(l, e->request);
    if (decided == NULL || !text_eq(json_text_at(decided->data, "outcome"), "approved") ||
        call_of(decided) != e->call || !text_eq(json_text_at(decided->data, "tool"), e->tool->name))
        wrong(l, "a tool acts that nobody signed off");
}

static void start_tool(struct life *l, const struct effect *e)
{
    check_start(l, e);
    bool refused = chance(l->d, 10);
    struct json *data = with_call(l, e->call);
    json_set_text(l->a, data, "tool", e->tool->name);
    if (e->call == 0)
        json_set_bool(l->a, data, "prefetch", true);
    if (refused) {
        json_set_text(l->a, data, "outcome", "refused");
        json_set_bool(l->a, data, "not_started", true);
        json_set(l->a, data, "result", data_of(l, "error", "locked"));
    }
    append(l, refused ? EVENT_TOOL_FINISHED : EVENT_TOOL_STARTED, "system", data);
}

static void raise(struct life *l, const struct effect *e)
{
    if (open_request(l) != NULL)
        wrong(l, "it asks while a request of its own is open");
    struct json *data = json_object(l->a);
    json_set_text(l->a, data, "request", arena_printf(l->a, "r_%d", ++l->requests));
    if (e->call > 0)
        json_set_int(l->a, data, "call", e->call);
    if (e->about != NULL)
        json_set_text(l->a, data, "about", e->about);
    if (e->tool != NULL) {
        json_set_text(l->a, data, "tool", e->tool->name);
        json_set(l->a, data, "arguments", e->data);
        json_set(l->a, data, "facts", e->facts);
    } else {
        json_set(l->a, data, "question", json_get(e->data, "question"));
    }
    append(l, EVENT_REQUEST_RAISED, "system", data);
}

static void perform(struct life *l, const struct effect *e)
{
    const struct event *open;
    struct json *data;
    switch (e->kind) {
    case EFFECT_ASK_MODEL:
        data = json_object(l->a);
        json_set_int(l->a, data, "upto", agent_newest(&l->t));
        append(l, EVENT_MODEL_ASKED, "agent:bot", data);
        return;
    case EFFECT_APPEND:
        append(l, e->type, "system", e->data);
        return;
    case EFFECT_LOOK_UP:
        data = with_call(l, e->call);
        json_set_text(l->a, data, "looking_up", e->key);
        append(l, EVENT_NOTE, "system", data);
        return;
    case EFFECT_RUN_TOOL:
        start_tool(l, e);
        return;
    case EFFECT_RAISE_APPROVAL:
    case EFFECT_RAISE_QUESTION:
        raise(l, e);
        return;
    case EFFECT_CANCEL_REQUEST:
        open = open_request(l);
        if (open == NULL || !text_eq(json_text_at(open->data, "request"), e->request))
            wrong(l, "it cancels what is not open");
        data = data_of(l, "request", e->request);
        json_set_text(l->a, data, "outcome", "cancelled");
        if (call_of(open) > 0)
            json_set_int(l->a, data, "call", call_of(open));
        if (json_get(open->data, "about") != NULL)
            json_set(l->a, data, "about", json_get(open->data, "about"));
        append(l, EVENT_REQUEST_DECIDED, "agent:bot", data);
        return;
    case EFFECT_SEND:
        return;
    case EFFECT_SET_TIMER:
        append(l, EVENT_TIMER_SET, "system", with_call(l, e->call));
        return;
    case EFFECT_HAND_OVER:
        append(l, EVENT_CHILD_STARTED, "system", data_of(l, "agent", e->agent));
        return;
    case EFFECT_FINISH:
        data = data_of(l, "status", thread_status_name(e->status));
        json_set_text(l->a, data, "outcome", e->outcome);
        append(l, EVENT_FINISHED, "agent:bot", data);
        return;
    }
    UNREACHABLE();
}

/* As the runner does it: until nothing more follows. A thread whose steps need nobody must come to
 * rest by itself. */
static void advance(struct life *l)
{
    for (int round = 0; round < MOST_ROUNDS; round++) {
        struct effect effects[MAX_EFFECTS];
        size_t n = agent_next(&AGENT, &l->t, l->now_ms, l->a, effects);
        check(l);
        if (n == 0 || l->t.n_events + 2 * MAX_EFFECTS > MOST_EVENTS)
            return;
        for (size_t i = 0; i < n; i++)
            perform(l, &effects[i]);
        l->counts->effects += n;
    }
    wrong(l, "it never comes to rest");
}

#define TWICE_THE_SAME                                                                \
    "{\"intent\":\"request_human_input\",\"question\":\"?\",\"options\":{\"format\":" \
    "\"multiple_choice\",\"choices\":[\"a\",\"a\"]}}"

static const char *any_answer(struct arena *a, struct dice *d)
{
    static const char *const answers[] = {
        "{\"intent\":\"deploy\",\"sha\":\"main\"}",
        "{\"intent\":\"deploy\",\"sha\":\"" A40 "\"}",
        "{\"intent\":\"deploy\",\"sha\":\"" A40 "\",\"reasoning\":\"again\"}",
        "{\"intent\":\"deploy\",\"sha\":\"-x\"}",
        "{\"intent\":\"deploy\"}",
        "{\"intent\":\"restart\"}",
        "{\"intent\":\"later\"}",
        "{\"intent\":\"show\",\"sha\":\"v1\"}",
        "{\"intent\":\"list_git_tags\"}",
        "{\"intent\":\"await\",\"seconds\":60}",
        "{\"intent\":\"keep_waiting\",\"reason\":\"x\"}",
        "{\"intent\":\"keep_waiting\",\"reason\":\"x\"}",
        "{\"intent\":\"request_human_input\",\"question\":\"which?\"}",
        TWICE_THE_SAME,
        "{\"intent\":\"done_for_now\",\"message\":\"done\"}",
        "{\"intent\":\"nothing_to_do\",\"reason\":\"x\"}",
        "{\"intent\":\"hand_over\",\"agent\":\"rollback\",\"summary\":\"x\"}",
        "{\"intent\":\"drop_database\"}",
        "no JSON at all",
    };
    (void)a;
    return ONE_OF(d, answers);
}

static void answer_of_model(struct life *l)
{
    const struct event *asked = newest(l, EVENT_MODEL_ASKED);
    const struct event *answered = newest(l, EVENT_MODEL_ANSWERED);
    if (asked == NULL || (answered != NULL && answered->seq > asked->seq))
        return;
    const struct event *finished = newest(l, EVENT_FINISHED);
    const struct event *cancelled = newest(l, EVENT_CANCELLED);
    bool over = (finished != NULL && finished->seq > asked->seq) ||
                (cancelled != NULL && cancelled->seq > asked->seq);
    struct json *data = json_object(l->a), *step = NULL;
    bool stale = over || agent_newest(&l->t) > json_int_or(json_get(asked->data, "upto"), 0);
    bool failed = !stale && chance(l->d, 8);
    json_set_int(l->a, data, "tokens", roll(l->d, 200));
    if (stale)
        json_set_bool(l->a, data, "stale", true);
    if (failed)
        json_set_bool(l->a, data, "failed", true);
    append(l, EVENT_MODEL_ANSWERED, "agent:bot", data);
    if (stale || failed)
        return;
    enum event_type type =
        agent_read_answer(&AGENT, any_answer(l->a, l->d), chance(l->d, 5), l->a, &step);
    append(l, type, "agent:bot", step);
}

/* Every look-up that is under way gets its fact, or an error. */
static void answer_look_ups(struct life *l)
{
    for (size_t i = 0; i < l->t.n_events; i++) {
        const struct event *e = &l->t.events[i];
        const char *key = e->type == EVENT_NOTE ? json_text_at(e->data, "looking_up") : NULL;
        bool known = key == NULL;
        for (size_t k = i + 1; !known && k < l->t.n_events; k++)
            known = text_eq(json_text_at(l->t.events[k].data, "fact"), key) &&
                    call_of(&l->t.events[k]) == call_of(e);
        if (known)
            continue;
        struct json *data = with_call(l, call_of(e)), *value = json_object(l->a);
        json_set_text(l->a, data, "fact", key);
        json_set_text(l->a, value, "sha", chance(l->d, 80) ? A40 : B40);
        if (text_starts(key, "deploy.place:")) {
            json_set_text(l->a, value, "current", chance(l->d, 50) ? B40 : NULL);
            if (chance(l->d, 10))
                json_set_text(l->a, value, "refused", "frozen");
        }
        if (chance(l->d, 10))
            json_set_text(l->a, data, "error", "it names no commit");
        else
            json_set(l->a, data, "value", value);
        append(l, EVENT_NOTE, "system", data);
    }
}

static void end_tools(struct life *l)
{
    static const char *const outcomes[] = {"ok", "ok", "ok", "failed", "unknown"};
    for (size_t i = 0; i < l->t.n_events; i++) {
        const struct event *e = &l->t.events[i];
        if (e->type != EVENT_TOOL_STARTED)
            continue;
        bool ended = false;
        for (size_t k = i + 1; k < l->t.n_events; k++)
            ended = ended || (l->t.events[k].type == EVENT_TOOL_FINISHED &&
                              call_of(&l->t.events[k]) == call_of(e));
        if (ended || chance(l->d, 40))
            continue;
        const char *outcome = ONE_OF(l->d, outcomes);
        struct json *data = with_call(l, call_of(e));
        json_set(l->a, data, "tool", json_get(e->data, "tool"));
        json_set_text(l->a, data, "outcome", outcome);
        if (call_of(e) == 0)
            json_set_bool(l->a, data, "prefetch", true);
        json_set(l->a, data, "result",
                 strcmp(outcome, "ok") == 0 ? any_value(l->a, l->d, 0)
                                            : data_of(l, "error", any_text(l->a, l->d)));
        append(l, EVENT_TOOL_FINISHED, "system", data);
    }
}

static void decide(struct life *l)
{
    static const char *const outcomes[] = {"approved", "approved", "rejected", "expired",
                                           "cancelled"};
    static const char *const answers[] = {"answered", "answered", "answered", "cancelled"};
    const struct event *open = open_request(l);
    if (open == NULL)
        return;
    bool approval = json_get(open->data, "tool") != NULL;
    struct json *data = json_object(l->a);
    JSON_EACH(member, open->data)
    {
        json_set(l->a, data, member->key, member);
    }
    json_set_text(l->a, data, "outcome", approval ? ONE_OF(l->d, outcomes) : ONE_OF(l->d, answers));
    if (!approval)
        json_set_text(l->a, data, "answer", chance(l->d, 60) ? "yes" : any_text(l->a, l->d));
    append(l, EVENT_REQUEST_DECIDED, "person:alice", data);
}

static void speak(struct life *l)
{
    static const enum event_type types[] = {EVENT_SLACK_MESSAGE, EVENT_API_MESSAGE,
                                            EVENT_WEBHOOK_RECEIVED};
    append(l, ONE_OF(l->d, types), "slack:U1", data_of(l, "text", any_text(l->a, l->d)));
}

static void fire_timer(struct life *l)
{
    const struct event *set = newest(l, EVENT_TIMER_SET), *fired = newest(l, EVENT_TIMER_FIRED);
    if (set != NULL && (fired == NULL || fired->seq < set->seq))
        append(l, EVENT_TIMER_FIRED, "system", with_call(l, call_of(set)));
}

/* An outside agent asks on the same thread: news at most. */
static void others_ask(struct life *l)
{
    struct json *data = data_of(l, "request", arena_printf(l->a, "x_%d", ++l->requests));
    append(l, EVENT_REQUEST_RAISED, "system", data);
    struct json *decided = data_of(l, "request", json_text_at(data, "request"));
    json_set_text(l->a, decided, "outcome", chance(l->d, 50) ? "approved" : "answered");
    append(l, EVENT_REQUEST_DECIDED, "person:bob", decided);
}

static void cancel_thread(struct life *l)
{
    const struct event *open = open_request(l);
    if (open != NULL) {
        struct json *data = data_of(l, "request", json_text_at(open->data, "request"));
        json_set_text(l->a, data, "outcome", "cancelled");
        if (call_of(open) > 0)
            json_set_int(l->a, data, "call", call_of(open));
        if (json_get(open->data, "about") != NULL)
            json_set(l->a, data, "about", json_get(open->data, "about"));
        append(l, EVENT_REQUEST_DECIDED, "person:alice", data);
    }
    append(l, EVENT_CANCELLED, "person:alice", data_of(l, "outcome", "cancelled"));
}

static void live(struct life *l)
{
    speak(l);
    advance(l);
    for (unsigned turn = 0; turn < MOST_TURNS && l->t.n_events + 20 < MOST_EVENTS; turn++) {
        l->now_ms += (int64_t)roll(l->d, 100) * 1000;
        unsigned what = roll(l->d, 100);
        if (what < 35)
            answer_of_model(l);
        else if (what < 50)
            answer_look_ups(l);
        else if (what < 65)
            end_tools(l);
        else if (what < 80)
            decide(l);
        else if (what < 88)
            speak(l);
        else if (what < 91)
            fire_timer(l);
        else if (what < 93)
            others_ask(l);
        else if (what < 94)
            cancel_thread(l);
        else if (what < 97)
            append(l, EVENT_VOTE_REFUSED, "slack:U9", any_data(l->a, l->d));
        else
            append(l, EVENT_DELIVERY_SENT, "system", any_data(l->a, l->d));
        advance(l);
    }
}

/* ---- a run's life ------------------------------------------------------------------------ */

static void perform_run(struct life *l, const struct run_effect *e)
{
    struct json *data = json_object(l->a);
    int64_t starts = 0;
    if (newest(l, EVENT_FINISHED) != NULL)
        wrong(l, "a run goes on after its end");
    switch (e->kind) {
    case RUN_TAKE:
    case RUN_LEAVE:
        json_set_text(l->a, data, "environment", e->environment);
        append(l, e->kind == RUN_TAKE ? EVENT_ENVIRONMENT_TAKEN : EVENT_ENVIRONMENT_LEFT, "system",
               data);
        return;
    case RUN_STAGE:
        for (size_t i = 0; i < l->t.n_events; i++)
            starts += l->t.events[i].type == EVENT_STAGE_STARTED &&
                      text_eq(json_text_at(l->t.events[i].data, "stage"), e->stage->name);
        if (starts + 1 != e->attempt || e->attempt > 2)
            wrong(l, "a stage starts more often than it may");
        json_set_text(l->a, data, "stage", e->stage->name);
        json_set_int(l->a, data, "attempt", e->attempt);
        append(l, EVENT_STAGE_STARTED, "system", data);
        return;
    case RUN_CHILD:
        json_set_text(l->a, data, "thread", arena_printf(l->a, "t_%zu", l->t.n_events));
        json_set_text(l->a, data, "agent", e->agent);
        json_set_text(l->a, data, "stage", e->stage->name);
        json_set_text(l->a, data, "why", e->text);
        append(l, EVENT_CHILD_STARTED, "system", data);
        return;
    case RUN_APPEND:
        append(l, e->type, "system", e->data);
        return;
    case RUN_ASK:
        raise(l, &(struct effect){.about = e->about, .data = e->data});
        return;
    case RUN_FINISH:
        json_set_text(l->a, data, "status", thread_status_name(e->status));
        json_set_text(l->a, data, "outcome", e->outcome);
        append(l, EVENT_FINISHED, "system", data);
        return;
    }
    UNREACHABLE();
}

static void advance_run(struct life *l)
{
    for (int round = 0; round < MOST_ROUNDS; round++) {
        struct run_effect effects[MAX_EFFECTS];
        size_t n = pipeline_next(&PIPELINE, &l->t, l->a, effects);
        check(l);
        if (n == 0)
            return;
        for (size_t i = 0; i < n; i++)
            perform_run(l, &effects[i]);
        l->counts->effects += n;
    }
    wrong(l, "a run never comes to rest");
}

static bool has_after(const struct life *l, const struct event *e, enum event_type type,
                      const char *key)
{
    for (const struct event *other = e + 1; other < l->t.events + l->t.n_events; other++)
        if (other->type == type &&
            text_eq(json_text_at(other->data, key), json_text_at(e->data, key)))
            return true;
    return false;
}

/* Commands and children end, one way or the other; a child may be followed by its successor. */
static void end_what_runs(struct life *l)
{
    static const char *const outcomes[] = {"ok", "ok", "ok", "ok", "failed", "timed_out"};
    static const char *const statuses[] = {"done", "done", "done", "failed", "cancelled"};
    for (size_t i = 0; i < l->t.n_events; i++) {
        const struct event *e = &l->t.events[i];
        struct json *data = json_object(l->a);
        json_set(l->a, data, "stage", json_get(e->data, "stage"));
        if (e->type == EVENT_STAGE_STARTED && !has_after(l, e, EVENT_STAGE_FINISHED, "stage")) {
            json_set(l->a, data, "attempt", json_get(e->data, "attempt"));
            json_set_text(l->a, data, "outcome", ONE_OF(l->d, outcomes));
            json_set_text(l->a, data, "tail", any_text(l->a, l->d));
            append(l, EVENT_STAGE_FINISHED, "system", data);
        } else if (e->type == EVENT_CHILD_STARTED &&
                   !has_after(l, e, EVENT_CHILD_FINISHED, "thread")) {
            json_set(l->a, data, "why", json_get(e->data, "why"));
            json_set(l->a, data, "thread", json_get(e->data, "thread"));
            json_set_text(l->a, data, "status", ONE_OF(l->d, statuses));
            json_set_bool(l->a, data, "acted", chance(l->d, 70));
            json_set_text(l->a, data, "message", any_text(l->a, l->d));
            append(l, EVENT_CHILD_FINISHED, "system", data);
        }
    }
}

static void live_run(struct life *l)
{
    struct json *merge = data_of(l, "sha", A40);
    json_set_text(l->a, merge, "title", any_text(l->a, l->d));
    append(l, EVENT_GITHUB_PULL_REQUEST, "github:alice", merge);
    advance_run(l);
    for (unsigned turn = 0; turn < MOST_TURNS && newest(l, EVENT_FINISHED) == NULL; turn++) {
        l->now_ms += (int64_t)roll(l->d, 100) * 1000;
        unsigned what = roll(l->d, 100);
        if (what < 70)
            end_what_runs(l);
        else if (what < 85)
            decide(l);
        else if (what < 93)
            speak(l);
        else
            others_ask(l);
        advance_run(l);
    }
}

/* ---- nonsense ---------------------------------------------------------------------------- */

static void talk_nonsense(struct life *l)
{
    static const char *const actors[] = {"person:alice", "slack:U1", "agent:bot",
                                         "system",       "",         "x\n<y>"};
    unsigned n = 1 + roll(l->d, 40);
    for (unsigned i = 0; i < n; i++) {
        l->now_ms += chance(l->d, 90) ? (int64_t)roll(l->d, 5000) : 0;
        append(l, (enum event_type)roll(l->d, EVENT_NOTE + 1), ONE_OF(l->d, actors),
               any_data(l->a, l->d));
        if (chance(l->d, 30))
            check(l);
    }
    check(l);
}

void any_log(enum log_kind kind, struct dice dice, struct log_counts *counts)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    struct problems ignored = {0};
    struct playbook *playbook = NULL;
    if (!playbook_parse(&a, json_parse_own(&a, PLAYBOOK), NULL, &ignored, &playbook))
        abort();
    struct life l = {.a = &a,
                     .d = &dice,
                     .t = {.id = "t_1",
                           .root = "t_1",
                           .title = "a thread",
                           .created_at_ms = BEGIN_MS,
                           .events = ARENA_ARRAY(&a, struct event, MOST_EVENTS)},
                     .now_ms = BEGIN_MS,
                     .playbook = playbook,
                     .counts = counts};
    if (kind == LOG_OF_AGENT)
        live(&l);
    else if (kind == LOG_OF_RUN)
        live_run(&l);
    else
        talk_nonsense(&l);
}
