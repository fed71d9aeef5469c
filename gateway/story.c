/* See story.h. */
#include "gateway/story.h"

#include "gateway/base/strbuf.h"
#include "gateway/base/text.h"

#include <stdlib.h>
#include <string.h>

enum {
    HEAD_BYTES = 400,
    BODY_BYTES = 6000,
    VALUE_BYTES = 80,
    EVENTS_MAX = 4000, /* of one thread */
    LINES_MAX = 8000,
    DEPTH_MAX = 4,
    PAGE = 500,
};

/* ---- words ---- */

const char *tone_name(enum tone tone)
{
    switch (tone) {
    case TONE_PLAIN:
        return "plain";
    case TONE_GOOD:
        return "good";
    case TONE_BAD:
        return "bad";
    case TONE_WAIT:
        return "wait";
    case TONE_WORK:
        return "work";
    }
    UNREACHABLE();
}

enum tone tone_of_status(const char *status)
{
    static const struct {
        const char *word;
        enum tone tone;
    } rows[] = {
        {"done", TONE_GOOD},
        {"approved", TONE_GOOD},
        {"ok", TONE_GOOD},
        {"approve", TONE_GOOD},
        {"answered", TONE_GOOD},
        {"answer", TONE_GOOD},
        {"failed", TONE_BAD},
        {"rejected", TONE_BAD},
        {"reject", TONE_BAD},
        {"unknown", TONE_BAD},
        {"killed", TONE_BAD},
        {"refused", TONE_BAD},
        {"rolled_back", TONE_BAD},
        {"open", TONE_WAIT},
        {"waiting", TONE_WAIT},
        {"paused", TONE_WAIT},
        {"expired", TONE_WAIT},
        {"running", TONE_WORK},
        {"passed_on_retry", TONE_GOOD},
    };
    for (size_t i = 0; status != NULL && i < COUNT(rows); i++)
        if (strcmp(rows[i].word, status) == 0)
            return rows[i].tone;
    return TONE_PLAIN;
}

static char *one_line(struct arena *a, const char *text, size_t max)
{
    return text_one_line(a, text_truncate(a, text == NULL ? "" : text, max));
}

char *block_text(struct arena *a, const char *text)
{
    char *copy = arena_strdup(a, text), *to = copy;
    for (const char *from = copy; *from != '\0'; from++)
        if (from[0] != '\r' || from[1] != '\n')
            *to++ = *from;
    *to = '\0';
    return text_visible(a, copy);
}

char *flat_text(struct arena *a, const char *text)
{
    char *flat = arena_strdup(a, text), *to = flat;
    for (const char *from = flat; *from != '\0'; from++)
        if (from[0] != '\r' || from[1] != '\n')
            *to++ = *from == '\n' || *from == '\t' ? ' ' : *from;
    *to = '\0';
    return text_one_line(a, flat);
}

/* A block without the line feeds at its end; NULL when nothing is left. */
static const char *block(struct arena *a, const char *text)
{
    if (text == NULL)
        return NULL;
    size_t len = strlen(text);
    while (len > 0 && (text[len - 1] == '\n' || text[len - 1] == ' ' || text[len - 1] == '\r'))
        len--;
    if (len == 0)
        return NULL;
    return block_text(a, text_truncate(a, arena_strndup(a, text, len), BODY_BYTES));
}

static bool is_sha(const char *text)
{
    return strlen(text) == 40 && strspn(text, "0123456789abcdef") == 40;
}

const char *short_sha(struct arena *a, const char *text)
{
    return text != NULL && is_sha(text) ? arena_strndup(a, text, 7) : text;
}

char *who_text(struct arena *a, const struct people *people, const char *actor)
{
    if (actor == NULL)
        return arena_strdup(a, "nobody");
    if (people != NULL)
        return one_line(a, actor_display(a, people, actor), VALUE_BYTES);
    const char *colon = strchr(actor, ':');
    if (text_starts(actor, "person:") || text_starts(actor, "agent:"))
        return one_line(a, colon + 1, VALUE_BYTES);
    return one_line(a, actor, VALUE_BYTES);
}

const char *target_text(struct arena *a, const struct json *target)
{
    const char *environment = json_text_at(target, "environment");
    const char *component = json_text_at(target, "component");
    if (environment == NULL)
        return NULL;
    return component == NULL
               ? one_line(a, environment, VALUE_BYTES)
               : one_line(a, arena_printf(a, "%s/%s", environment, component), VALUE_BYTES);
}

char *call_text(struct arena *a, const char *tool, const struct json *arguments)
{
    struct strbuf b;
    strbuf_init(&b, a, 4096);
    strbuf_add(&b, one_line(a, tool, VALUE_BYTES));
    JSON_EACH(argument, arguments)
    {
        const char *value = json_text(argument);
        value = value != NULL ? short_sha(a, value) : json_write(a, argument);
        strbuf_addf(&b, " %s=%s", one_line(a, argument->key, VALUE_BYTES),
                    one_line(a, value, VALUE_BYTES));
    }
    return one_line(a, b.text, HEAD_BYTES);
}

const char *waiting_text(struct arena *a, const struct json *w)
{
    const char *kind = json_text_at(w, "kind"), *what = json_text_at(w, "what");
    static const struct {
        const char *kind, *words;
    } rows[] = {
        {"person", "a person"}, {"child", "an agent"}, {"timer", "a time"}, {"model", "the model"}};
    for (size_t i = 0; kind != NULL && i < COUNT(rows); i++)
        if (strcmp(rows[i].kind, kind) == 0)
            return rows[i].words;
    return kind == NULL ? NULL : one_line(a, what == NULL ? kind : what, VALUE_BYTES);
}

char *ago_text(struct arena *a, int64_t at_ms, int64_t now_ms)
{
    static const struct {
        int64_t ms;
        const char *one, *many;
    } units[] = {{86400000, "1 day", "days"},
                 {3600000, "1 hour", "hours"},
                 {60000, "1 minute", "minutes"},
                 {1000, "1 second", "seconds"}};
    int64_t away = at_ms > now_ms ? at_ms - now_ms : now_ms - at_ms;
    for (size_t i = 0; i < COUNT(units) && away >= 2000; i++) {
        /* What is past has passed; what is to come is said to the nearest. */
        int64_t n = (away + (at_ms > now_ms ? units[i].ms / 2 : 0)) / units[i].ms;
        if (n == 0)
            continue;
        const char *amount =
            n == 1 ? units[i].one : arena_printf(a, "%lld %s", (long long)n, units[i].many);
        return arena_printf(a, at_ms > now_ms ? "in %s" : "%s ago", amount);
    }
    return arena_strdup(a, "just now");
}

/* ---- one event ---- */

struct telling {
    struct arena *a;
    const struct people *people;
    const struct json *data;
    const char *type, *who; /* who: the actor's name */
    struct told *out;
};

static const char *text_of(const struct telling *t, const char *path)
{
    const char *text = json_text_at(t->data, path);
    return text == NULL ? "" : one_line(t->a, text, VALUE_BYTES * 2);
}

static void head(const struct telling *t, const char *fmt, ...) PRINTF(2, 3);
static void head(const struct telling *t, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    t->out->head = text_truncate(t->a, arena_vprintf(t->a, fmt, args), HEAD_BYTES);
    va_end(args);
}

static void tell_message(struct telling *t)
{
    head(t, "%s wrote", t->who);
    t->out->body = block(t->a, json_text_at(t->data, "text"));
    if (strcmp(t->who, "system") == 0)
        head(t, "The task");
}

static void tell_merge(struct telling *t)
{
    const struct json *number = json_get(t->data, "number");
    head(t, "%s merged %s%s%s: %s", t->who, text_of(t, "repo"), number == NULL ? "" : " #",
         number == NULL ? "" : json_write(t->a, number), text_of(t, "title"));
    t->out->body =
        json_text_at(t->data, "sha") == NULL
            ? NULL
            : arena_printf(t->a, "commit %s by %s", text_of(t, "sha"), text_of(t, "author"));
}

static void tell_webhook(struct telling *t)
{
    const char *stage = json_text_at(t->data, "failed_stage");
    if (stage != NULL) {
        head(t, "Stage %s: %s (%s)", text_of(t, "failed_stage"), text_of(t, "outcome"),
             text_of(t, "ending"));
        t->out->body = block(t->a, json_text_at(t->data, "output"));
    } else {
        head(t, "A system said");
        t->out->body = block(t->a, json_write_pretty(t->a, t->data));
    }
}

/* "deploybot": an agent's own lines need not say that it is one. */
static const char *agent_name(const struct telling *t)
{
    return text_starts(t->who, "agent ") ? t->who + 6 : t->who;
}

static void tell_step(struct telling *t)
{
    static const char *const quiet[] = {"request_human_input", "done_for_now", "nothing_to_do",
                                        "hand_over"};
    const char *intent = text_of(t, "intent");
    const struct json *rest =
        json_without(t->a, json_without(t->a, t->data, "intent"), "reasoning");
    head(t, "%s chose %s", agent_name(t), call_text(t->a, intent, rest));
    t->out->body = block(t->a, json_text_at(t->data, "reasoning"));
    for (size_t i = 0; i < COUNT(quiet); i++)
        t->out->is_detail |= strcmp(intent, quiet[i]) == 0;
}

static void tell_step_refused(struct telling *t)
{
    head(t, "%s answered with no valid step", agent_name(t));
    t->out->tone = TONE_BAD;
    t->out->body = block(t->a, json_text_at(t->data, "error"));
}

static const char *exit_text(const struct telling *t)
{
    const struct json *code = json_at(t->data, "result.exit");
    const char *error = json_text_at(t->data, "result.error");
    if (code != NULL)
        return arena_printf(t->a, " (exit %s)", json_write(t->a, code));
    return error == NULL ? "" : arena_printf(t->a, ": %s", one_line(t->a, error, 240));
}

static void tell_tool_started(struct telling *t)
{
    head(t, "%s runs", call_text(t->a, text_of(t, "tool"), json_get(t->data, "arguments")));
    t->out->tone = TONE_WORK;
    t->out->is_detail = json_is_true(json_get(t->data, "prefetch"));
}

static void tell_tool_finished(struct telling *t)
{
    const char *output = json_text_at(t->data, "result.output");
    bool is_read = output == NULL && text_eq(json_text_at(t->data, "outcome"), "ok");
    head(t, "%s ended: %s%s", text_of(t, "tool"), text_of(t, "outcome"), exit_text(t));
    t->out->tone = is_read ? TONE_PLAIN : tone_of_status(json_text_at(t->data, "outcome"));
    t->out->body = output != NULL ? block(t->a, output) : NULL;
    if (is_read && json_get(t->data, "result") != NULL)
        t->out->body = block(t->a, json_write_pretty(t->a, json_get(t->data, "result")));
    t->out->is_detail = is_read;
}

static const char *seven(struct arena *a, const char *sha)
{
    return arena_strndup(a, sha, strlen(sha) < 7 ? strlen(sha) : 7);
}

/* What the person saw on the card: what changes, from where to where, and the digest. */
static const char *seen_text(struct telling *t)
{
    const struct json *facts = json_get(t->data, "facts"), *place = json_get(facts, "place");
    const char *current = json_text_at(place, "current"),
               *status = json_text_at(facts, "compare.status");
    const char *digest = json_text_or(t->data, "digest", "");
    int64_t ahead = json_int_or(json_at(facts, "compare.ahead_by"), 0);
    int64_t behind = json_int_or(json_at(facts, "compare.behind_by"), 0);
    struct strbuf b;
    strbuf_init(&b, t->a, 4096);
    if (place != NULL)
        strbuf_addf(&b, "%s/%s, now %s", one_line(t->a, json_text_or(place, "environment", ""), 80),
                    one_line(t->a, json_text_or(place, "component", ""), 80),
                    current == NULL ? "unknown" : seven(t->a, current));
    if (status != NULL)
        strbuf_addf(&b, "; %s by %lld%s", status, (long long)(ahead > 0 ? ahead : behind),
                    behind > 0 ? ", a DOWNGRADE" : "");
    if (json_text_at(place, "passed_on") != NULL)
        strbuf_addf(&b, "; passed on %s", one_line(t->a, json_text_at(place, "passed_on"), 80));
    if (json_get(facts, "named") != NULL && !json_is_true(json_get(facts, "named")))
        strbuf_add(&b, "; named by no event of the thread");
    strbuf_addf(&b, "%sdigest %.16s", b.len > 0 ? "\n" : "", digest);
    return b.text;
}

/* The question, and what it lets one choose from. */
static const char *question_text(struct telling *t)
{
    struct strbuf b;
    strbuf_init(&b, t->a, 65536);
    strbuf_add(&b, json_text_or(t->data, "question", ""));
    if (text_eq(json_text_at(t->data, "options.format"), "yes_no"))
        strbuf_add(&b, "\n- yes\n- no");
    JSON_EACH(choice, json_at(t->data, "options.choices"))
    {
        strbuf_addf(&b, "\n- %s", one_line(t->a, json_text(choice), 200));
    }
    return b.text;
}

static void tell_request(struct telling *t)
{
    bool approval = text_eq(json_text_at(t->data, "kind"), "approval");
    if (approval)
        head(t, "Sign-off asked (%s): %s", text_of(t, "code"),
             call_text(t->a, text_of(t, "tool"), json_get(t->data, "arguments")));
    else
        head(t, "A person is asked (%s)", text_of(t, "code"));
    t->out->is_asked = true;
    t->out->tone = TONE_WAIT;
    t->out->body = block(t->a, approval ? seen_text(t) : question_text(t));
}

static void tell_vote(struct telling *t)
{
    if (text_eq(json_text_at(t->data, "decision"), "edit"))
        head(t, "%s changed the arguments to %s, by %s", t->who,
             one_line(t->a, json_write(t->a, json_get(t->data, "arguments")), 240),
             text_of(t, "via"));
    else
        head(t, "%s voted %s, by %s", t->who, text_of(t, "decision"), text_of(t, "via"));
    t->out->tone = tone_of_status(json_text_at(t->data, "decision"));
    t->out->body = block(t->a, json_text_at(t->data, "comment"));
}

static void tell_vote_refused(struct telling *t)
{
    head(t, "The vote of %s (%s) did not count: %s", t->who, text_of(t, "decision"),
         one_line(t->a, json_text_at(t->data, "why"), 240));
    t->out->tone = TONE_WAIT;
}

static void tell_decided(struct telling *t)
{
    const char *outcome = json_text_at(t->data, "outcome");
    const char *what = json_text_at(t->data, "tool") == NULL
                           ? "the question"
                           : call_text(t->a, text_of(t, "tool"), json_get(t->data, "arguments"));
    bool by_nobody = strcmp(t->who, "system") == 0;
    head(t, "%s%s%s %s", by_nobody ? what : t->who, by_nobody ? ": " : " ", text_of(t, "outcome"),
         by_nobody ? "" : what);
    t->out->tone = tone_of_status(outcome);
    t->out->body = block(t->a, json_text_at(t->data, "comment"));
    if (json_text_at(t->data, "answer") != NULL)
        t->out->body = block(t->a, json_text_at(t->data, "answer"));
}

static void tell_handed_over(struct telling *t)
{
    head(t, "Handed over by %s", text_of(t, "from"));
    t->out->body = block(t->a, json_text_at(t->data, "summary"));
}

static void tell_child_started(struct telling *t)
{
    head(t, "%s begins", text_of(t, "agent"));
    if (text_eq(json_text_at(t->data, "why"), "on_failure"))
        head(t, "%s begins, because %s failed", text_of(t, "agent"), text_of(t, "stage"));
    t->out->tone = TONE_WORK;
    t->out->child = json_text_at(t->data, "thread");
}

static void tell_child_finished(struct telling *t)
{
    head(t, "%s ended: %s", text_of(t, "agent"), text_of(t, "outcome"));
    t->out->tone = tone_of_status(json_text_at(t->data, "status"));
    t->out->body = block(t->a, json_text_at(t->data, "message"));
    t->out->is_detail = true; /* the child's own last line says it */
}

static void tell_timer(struct telling *t)
{
    int64_t until_ms = json_int_or(json_get(t->data, "until_ms"), 0);
    if (until_ms > 0)
        head(t, "Waits until %s", time_format(t->a, until_ms));
    else
        head(t, "The time is up");
}

static void tell_limit(struct telling *t)
{
    bool raised = strcmp(t->type, "limit_raised") == 0;
    head(t, "%s: %s", raised ? "A limit was raised" : "A limit is reached", text_of(t, "limit"));
    t->out->tone = raised ? TONE_PLAIN : TONE_BAD;
}

static void tell_model(struct telling *t)
{
    const char *error = json_text_at(t->data, "error");
    bool asked = strcmp(t->type, "model_asked") == 0;
    head(t, "%s %s %s", agent_name(t), asked ? "asks" : "was answered by", text_of(t, "model"));
    t->out->is_detail = error == NULL;
    t->out->body = block(t->a, json_text_at(t->data, "text"));
    if (error == NULL)
        return;
    head(t, "The model could not be asked: %s", one_line(t->a, error, 240));
    t->out->tone = TONE_BAD;
}

static void tell_delivery(struct telling *t)
{
    bool failed = strcmp(t->type, "delivery_failed") == 0;
    const char *why = json_text_at(t->data, "why");
    head(t, "%s %s%s%s", failed ? "Not delivered to" : "Delivered to", text_of(t, "channel"),
         why == NULL ? "" : ": ", why == NULL ? "" : one_line(t->a, why, 240));
    t->out->tone = failed ? TONE_BAD : TONE_PLAIN;
    t->out->is_detail = !failed;
}

static void tell_stage(struct telling *t)
{
    bool started = strcmp(t->type, "stage_started") == 0;
    /* An agent stage has no attempts; how it ended is its child's last line. */
    const char *ending =
        json_get(t->data, "attempt") == NULL ? NULL : json_text_at(t->data, "ending");
    if (started)
        head(t, "Stage %s runs", text_of(t, "stage"));
    else
        head(t, "Stage %s: %s%s%s%s", text_of(t, "stage"), text_of(t, "outcome"),
             ending == NULL ? "" : " (", ending == NULL ? "" : text_of(t, "ending"),
             ending == NULL ? "" : ")");
    t->out->tone = started ? TONE_WORK : tone_of_status(json_text_at(t->data, "outcome"));
    t->out->body = block(t->a, json_text_at(t->data, "tail"));
}

static void tell_environment(struct telling *t)
{
    bool taken = strcmp(t->type, "environment_taken") == 0;
    head(t, "%s %s", taken ? "Holds" : "Leaves", text_of(t, "environment"));
    t->out->is_detail = true;
}

static void tell_control(struct telling *t)
{
    const char *message = json_text_at(t->data, "message");
    head(t, "%s %s it", t->who, t->type);
    t->out->tone = strcmp(t->type, "paused") == 0      ? TONE_WAIT
                   : strcmp(t->type, "cancelled") == 0 ? TONE_BAD
                                                       : TONE_PLAIN;
    t->out->body = block(t->a, message);
}

static void tell_finished(struct telling *t)
{
    const char *outcome = json_text_at(t->data, "outcome"), *status = text_of(t, "status");
    head(t, "Ended: %s", outcome == NULL ? status : text_of(t, "outcome"));
    t->out->tone = tone_of_status(status);
    t->out->body = block(t->a, json_text_at(t->data, "message"));
}

static void tell_note(struct telling *t)
{
    const char *what = json_text_at(t->data, "looking_up");
    const char *fact = json_text_at(t->data, "fact");
    if (what != NULL)
        head(t, "Looks up %s", one_line(t->a, what, 240));
    else if (fact != NULL)
        head(t, "Found %s", one_line(t->a, fact, 240));
    else
        head(t, "Note");
    t->out->body =
        what != NULL ? NULL
                     : block(t->a, json_write_pretty(t->a, fact != NULL ? json_get(t->data, "value")
                                                                        : t->data));
    t->out->is_detail = true;
}

static const struct teller {
    const char *type;
    void (*tell)(struct telling *t);
} tellers[] = {
    {"slack_message", tell_message},
    {"email_message", tell_message},
    {"sms_message", tell_message},
    {"web_message", tell_message},
    {"api_message", tell_message},
    {"schedule_fired", tell_message},
    {"webhook_received", tell_webhook},
    {"github_pull_request", tell_merge},
    {"step", tell_step},
    {"step_refused", tell_step_refused},
    {"tool_started", tell_tool_started},
    {"tool_finished", tell_tool_finished},
    {"request_raised", tell_request},
    {"request_decided", tell_decided},
    {"vote", tell_vote},
    {"vote_refused", tell_vote_refused},
    {"handed_over", tell_handed_over},
    {"child_started", tell_child_started},
    {"child_finished", tell_child_finished},
    {"timer_set", tell_timer},
    {"timer_fired", tell_timer},
    {"limit_reached", tell_limit},
    {"limit_raised", tell_limit},
    {"model_asked", tell_model},
    {"model_answered", tell_model},
    {"delivery_sent", tell_delivery},
    {"delivery_failed", tell_delivery},
    {"stage_started", tell_stage},
    {"stage_finished", tell_stage},
    {"environment_taken", tell_environment},
    {"environment_left", tell_environment},
    {"paused", tell_control},
    {"resumed", tell_control},
    {"cancelled", tell_control},
    {"finished", tell_finished},
    {"note", tell_note},
};

struct told told_event(struct arena *a, const struct people *people, const struct json *event)
{
    const char *type = json_text_or(event, "type", "");
    struct told told = {.seq = json_int_or(json_get(event, "seq"), 0),
                        .at_ms = json_int_or(json_get(event, "at_ms"), 0),
                        .request = json_text_at(event, "data.request")};
    struct telling t = {.a = a,
                        .people = people,
                        .data = json_get(event, "data"),
                        .type = type,
                        .who = who_text(a, people, json_text_at(event, "actor")),
                        .out = &told};
    told.head = one_line(a, type, VALUE_BYTES); /* a type that has no words yet */
    for (size_t i = 0; i < COUNT(tellers); i++)
        if (strcmp(tellers[i].type, type) == 0)
            tellers[i].tell(&t);
    return told;
}

/* ---- a thread ---- */

struct building {
    struct arena *a;
    const struct story_source *source;
    struct story *out;
    size_t room;
};

static struct told *add_line(struct building *b)
{
    if (b->out->n_lines == b->room) {
        b->room = b->room == 0 ? 64 : b->room * 2;
        struct told *grown = ARENA_ARRAY(b->a, struct told, b->room);
        if (b->out->n_lines > 0)
            memcpy(grown, b->out->lines, b->out->n_lines * sizeof *grown);
        b->out->lines = grown;
    }
    return &b->out->lines[b->out->n_lines++];
}

static bool load_events(struct building *b, const char *id, const struct json **list,
                        struct err *err)
{
    struct json *all = json_array(b->a);
    const char *next = "0";
    while (next != NULL) {
        const struct json *page;
        if (!b->source->get(b->source->ctx, arena_printf(b->a, "/v1/threads/%s/events", id),
                            arena_printf(b->a, "limit=%d&after=%s", PAGE, next), &page, err))
            return false;
        JSON_EACH(event, json_get(page, "events"))
        {
            json_push(b->a, all, event);
        }
        next = json_text_at(page, "next");
        if (json_count(all) >= EVENTS_MAX && next != NULL) {
            b->out->is_cut = true;
            break;
        }
    }
    *list = all;
    return true;
}

static bool is_type(const struct json *event, const char *type)
{
    return text_eq(json_text_at(event, "type"), type);
}

static bool same_member(const struct json *x, const struct json *y, const char *path)
{
    return json_at(x, path) != NULL && json_at(y, path) != NULL &&
           json_equal(json_at(x, path), json_at(y, path));
}

/* Does a later event say the same, and more? A start once its end is there, the vote that decided.
 */
static bool is_said_later(const struct json *event)
{
    const struct json *next = event->next;
    if (is_type(event, "vote"))
        return is_type(next, "request_decided") && same_member(event, next, "actor") &&
               same_member(event, next, "data.request");
    bool stage = is_type(event, "stage_started"), tool = is_type(event, "tool_started");
    for (; (stage || tool) && next != NULL; next = next->next) {
        if (stage && is_type(next, "stage_finished") && same_member(event, next, "data.stage"))
            return true;
        if (tool && is_type(next, "tool_finished") && same_member(event, next, "data.call") &&
            same_member(event, next, "data.tool"))
            return true;
    }
    return false;
}

static bool is_decided_later(const struct json *event)
{
    for (const struct json *next = event->next; next != NULL; next = next->next)
        if (is_type(next, "request_decided") && same_member(event, next, "data.request"))
            return true;
    return false;
}

static bool tell_thread(struct building *b, const char *id, int depth, struct err *err)
{
    const struct json *events;
    if (!load_events(b, id, &events, err))
        return false;
    const struct json *before = NULL;
    JSON_EACH(event, events)
    {
        if (b->out->n_lines >= LINES_MAX) {
            b->out->is_cut = true;
            break;
        }
        struct told told = told_event(b->a, b->source->people, event);
        told.depth = depth;
        told.is_detail |= is_said_later(event);
        if (told.is_asked && is_decided_later(event))
            told.tone = TONE_PLAIN;
        /* A child begins with what its parent was told. */
        told.is_detail |= depth > 0 && (is_type(event, "github_pull_request") ||
                                        json_at(event, "data.failed_stage") != NULL);
        if (is_type(event, "request_decided") && is_type(before, "vote") && is_said_later(before))
            told.head =
                arena_printf(b->a, "%s (%s)", told.head,
                             one_line(b->a, json_text_or(before, "data.via", ""), VALUE_BYTES));
        before = event;
        *add_line(b) = told;
        if (told.child != NULL && depth + 1 < DEPTH_MAX &&
            !tell_thread(b, told.child, depth + 1, err))
            return false;
    }
    return true;
}

/* ---- the stages of a run ---- */

static struct told_stage *stage_named(struct story *r, struct arena *a, const char *name)
{
    for (size_t i = 0; i < r->n_stages; i++)
        if (strcmp(r->stages[i].name, name) == 0)
            return &r->stages[i];
    struct told_stage *grown = ARENA_ARRAY(a, struct told_stage, r->n_stages + 1);
    if (r->n_stages > 0)
        memcpy(grown, r->stages, r->n_stages * sizeof *grown);
    r->stages = grown;
    grown[r->n_stages] =
        (struct told_stage){.name = one_line(a, name, VALUE_BYTES), .state = "waiting"};
    return &grown[r->n_stages++];
}

static void fold_stage(struct building *b, const struct json *event)
{
    const char *name = json_text_at(event, "data.stage");
    bool helper = text_eq(json_text_at(event, "data.why"), "on_failure");
    if (name == NULL)
        return;
    struct told_stage *stage = stage_named(b->out, b->a, name);
    if (is_type(event, "stage_finished"))
        stage->state = one_line(b->a, json_text_or(event, "data.outcome", "ended"), VALUE_BYTES);
    else if (is_type(event, "stage_started") || (is_type(event, "child_started") && !helper))
        stage->state = "running";
    if (helper)
        stage->note =
            arena_printf(b->a, "%s %s",
                         one_line(b->a, json_text_or(event, "data.agent", "an agent"), VALUE_BYTES),
                         is_type(event, "child_started") ? "is at work" : "was called");
    stage->tone = tone_of_status(stage->state);
    if (stage->tone == TONE_GOOD && stage->note != NULL)
        stage->tone = TONE_WAIT; /* well now, but it was not at first */
}

static bool tell_stages(struct building *b, const char *id, struct err *err)
{
    const char *pipeline = json_text_at(b->out->thread, "pipeline");
    const struct json *events;
    const char *const *names;
    if (pipeline == NULL)
        return true;
    if (b->source->stages != NULL) {
        size_t n = b->source->stages(b->source->ctx, pipeline, &names);
        for (size_t i = 0; i < n; i++)
            stage_named(b->out, b->a, names[i])->tone = TONE_PLAIN;
    }
    if (!load_events(b, id, &events, err))
        return false;
    JSON_EACH(event, events)
    {
        fold_stage(b, event);
    }
    bool over = !text_eq(json_text_at(b->out->thread, "status"), "running") &&
                !text_eq(json_text_at(b->out->thread, "status"), "waiting") &&
                !text_eq(json_text_at(b->out->thread, "status"), "paused");
    for (size_t i = 0; over && i < b->out->n_stages; i++)
        if (strcmp(b->out->stages[i].state, "waiting") == 0)
            b->out->stages[i].state = "not run";
    return true;
}

bool story_build(struct arena *a, const struct story_source *source, const char *id,
                 struct story *out, struct err *err)
{
    struct building b = {.a = a, .source = source, .out = out};
    *out = (struct story){0};
    if (!source->get(source->ctx, arena_printf(a, "/v1/threads/%s", url_encode(a, id)), NULL,
                     &out->thread, err))
        return false;
    const char *full = json_text_or(out->thread, "id", id);
    return tell_stages(&b, full, err) && tell_thread(&b, full, 0, err);
}
