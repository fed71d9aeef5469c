/* See playbook.h and prompts/README.md.
 *
 * find:   variables, taken from what the thread says
 * facts:  named conditions over its events
 * rules:  in order; the first whose facts hold says the step */
#include "agents/playbook.h"

#include "gateway/base/strbuf.h"
#include "gateway/base/template.h"
#include "gateway/base/text.h"

#include <string.h>
#include <strings.h>

enum {
    VALUE_MAX_BYTES = 8000,
    QUOTE_BYTES = 300,
    COMMIT_LEAST = 7,
    COMMIT_MOST = 40,
};

struct playbook {
    const struct json *find, *facts, *rules;
};

/* ---- parsing: the file is kept as it is; only its shape is checked ----------------------- */

static bool check_keys(const struct json *object, const char *where, const char *const *allowed,
                       struct problems *problems)
{
    bool ok = true;
    JSON_EACH(member, object)
    {
        size_t i = 0;
        while (allowed[i] != NULL && strcmp(allowed[i], member->key) != 0)
            i++;
        if (allowed[i] == NULL) {
            const char *near = nearest_word(member->key, allowed, i);
            ok = problem(problems, PROBLEM_ERROR, member, member->key, "%s knows no such key%s%s%s",
                         where, near == NULL ? "" : "; did you mean ", near == NULL ? "" : near,
                         near == NULL ? "" : "?");
        }
    }
    return ok;
}

/* A name, or a list of names, each of an event type. NULL: any. */
static bool check_types(const struct json *types, struct problems *problems)
{
    enum event_type known;
    bool ok = true;
    if (types == NULL)
        return true;
    if (types->type != JSON_STRING && types->type != JSON_ARRAY)
        return problem(problems, PROBLEM_ERROR, types, types->key, "must be a name or a list");
    if (types->type == JSON_STRING && !event_type_from_name(types->text, &known))
        return problem(problems, PROBLEM_ERROR, types, types->key, "there is no event type %s",
                       types->text);
    JSON_EACH(item, types)
    {
        if (json_text(item) == NULL || !event_type_from_name(json_text(item), &known))
            ok = problem(problems, PROBLEM_ERROR, item, types->key, "there is no event type %s",
                         json_text(item) == NULL ? "of that name" : json_text(item));
    }
    return ok;
}

static bool check_match(const struct json *match, struct problems *problems)
{
    static const char *const keys[] = {"type", "tool", "outcome", "says", "field", "is", NULL};
    if (match->type != JSON_OBJECT)
        return problem(problems, PROBLEM_ERROR, match, match->key, "must be a mapping");
    bool ok = check_keys(match, "an event", keys, problems);
    ok = check_types(json_get(match, "type"), problems) && ok;
    if ((json_text_at(match, "field") == NULL) != (json_get(match, "is") == NULL))
        ok = problem(problems, PROBLEM_ERROR, match, match->key, "field and is go together");
    return ok;
}

static bool check_fact(const struct json *fact, struct problems *problems)
{
    static const char *const keys[] = {"last", "any", "none", "since", NULL};
    if (fact->type != JSON_OBJECT)
        return problem(problems, PROBLEM_ERROR, fact, fact->key, "must be a mapping");
    bool ok = check_keys(fact, "a fact", keys, problems);
    JSON_EACH(member, fact)
    {
        ok = check_match(member, problems) && ok;
    }
    if (json_get(fact, "last") == NULL && json_get(fact, "any") == NULL &&
        json_get(fact, "none") == NULL)
        ok = problem(problems, PROBLEM_ERROR, fact, fact->key, "needs last, any or none");
    return ok;
}

static bool check_source(const struct json *source, struct problems *problems)
{
    static const char *const keys[] = {"commit_in", "from", "tool", "path", "take", NULL};
    if (source->type != JSON_OBJECT)
        return problem(problems, PROBLEM_ERROR, source, source->key, "must be a mapping");
    bool ok = check_keys(source, "a variable", keys, problems);
    ok = check_types(json_get(source, "commit_in"), problems) && ok;
    ok = check_types(json_get(source, "from"), problems) && ok;
    if (json_get(source, "commit_in") == NULL &&
        (json_get(source, "from") == NULL || json_get(source, "path") == NULL))
        ok = problem(problems, PROBLEM_ERROR, source, source->key,
                     "needs commit_in, or from and path");
    return ok;
}

static bool is_known_condition(const struct playbook *p, const char *text)
{
    if (text_starts(text, "not "))
        text += 4;
    if (text_starts(text, "has "))
        return json_get(p->find, text + 4) != NULL;
    return json_get(p->facts, text) != NULL;
}

/* The next {{name}} of a text; *at moves behind it. NULL: there is none. */
static char *next_hole(struct arena *a, const char **at)
{
    const char *hole = strstr(*at, "{{");
    if (hole == NULL)
        return NULL;
    hole += 2 + strspn(hole + 2, " ");
    size_t len = strcspn(hole, " }");
    *at = hole + len;
    return arena_strndup(a, hole, len);
}

static bool is_known_variable(const struct playbook *p, const char *name)
{
    static const char *const always[] = {"words", "tool", "error"};
    for (size_t i = 0; i < COUNT(always); i++)
        if (strcmp(always[i], name) == 0)
            return true;
    return json_get(p->find, text_starts(name, "short_") ? name + strlen("short_") : name) != NULL;
}

static bool check_texts(struct arena *a, const struct playbook *p, const struct json *value,
                        struct problems *problems)
{
    bool ok = true;
    const char *at = json_text(value) == NULL ? "" : json_text(value);
    for (char *name = next_hole(a, &at); name != NULL; name = next_hole(a, &at))
        if (!is_known_variable(p, name))
            ok = problem(problems, PROBLEM_ERROR, value, value->key, "there is no variable %s",
                         name);
    JSON_EACH(child, value)
    {
        ok = check_texts(a, p, child, problems) && ok;
    }
    return ok;
}

static bool check_conditions(const struct playbook *p, const struct json *conditions,
                             struct problems *problems)
{
    bool ok = true;
    if (conditions != NULL && conditions->type != JSON_ARRAY)
        return problem(problems, PROBLEM_ERROR, conditions, "if", "must be a list");
    JSON_EACH(condition, conditions)
    {
        if (json_text(condition) == NULL || !is_known_condition(p, json_text(condition)))
            ok = problem(problems, PROBLEM_ERROR, condition, "if", "there is no fact %s",
                         json_text(condition) == NULL ? "of that name" : json_text(condition));
    }
    return ok;
}

static bool check_rule(struct arena *a, const struct playbook *p, const struct json *rule,
                       const char *const *intents, struct problems *problems)
{
    static const char *const keys[] = {"name", "if", "do", NULL};
    if (rule->type != JSON_OBJECT)
        return problem(problems, PROBLEM_ERROR, rule, "rules", "a rule is a mapping");
    bool ok = check_keys(rule, "a rule", keys, problems);
    ok = check_conditions(p, json_get(rule, "if"), problems) && ok;
    ok = check_texts(a, p, json_get(rule, "do"), problems) && ok;
    const char *intent = json_text_at(rule, "do.intent");
    if (intent == NULL)
        return problem(problems, PROBLEM_ERROR, rule, "do", "needs an intent");
    for (size_t i = 0; intents != NULL && intents[i] != NULL; i++)
        if (strcmp(intents[i], intent) == 0)
            return ok;
    return intents == NULL ? ok
                           : problem(problems, PROBLEM_ERROR, json_at(rule, "do.intent"), "intent",
                                     "this agent has no tool %s", intent);
}

bool playbook_parse(struct arena *a, const struct json *source, const char *const *intents,
                    struct problems *problems, struct playbook **out)
{
    static const char *const keys[] = {"find", "facts", "rules", NULL};
    struct playbook *p = ARENA_NEW(a, struct playbook);
    if (source == NULL || source->type != JSON_OBJECT)
        return problem(problems, PROBLEM_ERROR, source, NULL, "a playbook is a mapping");
    bool ok = check_keys(source, "a playbook", keys, problems);
    p->find = json_get(source, "find");
    p->facts = json_get(source, "facts");
    p->rules = json_get(source, "rules");
    if (p->find != NULL && p->find->type != JSON_OBJECT)
        return problem(problems, PROBLEM_ERROR, p->find, "find", "must be a mapping");
    if (p->facts != NULL && p->facts->type != JSON_OBJECT)
        return problem(problems, PROBLEM_ERROR, p->facts, "facts", "must be a mapping");
    if (p->rules == NULL || p->rules->type != JSON_ARRAY)
        return problem(problems, PROBLEM_ERROR, p->rules == NULL ? source : p->rules, "rules",
                       "must be a list");
    JSON_EACH(variable, p->find)
    {
        if (variable->type != JSON_ARRAY)
            ok = check_source(variable, problems) && ok;
        else
            JSON_EACH(item, variable)
            {
                ok = check_source(item, problems) && ok;
            }
    }
    JSON_EACH(fact, p->facts)
    {
        ok = check_fact(fact, problems) && ok;
    }
    if (json_count(p->rules) == 0)
        ok = problem(problems, PROBLEM_ERROR, source, "rules", "there are none");
    JSON_EACH(rule, p->rules)
    {
        ok = check_rule(a, p, rule, intents, problems) && ok;
    }
    if (ok)
        *out = p;
    return ok;
}

/* ---- matching ---------------------------------------------------------------------------- */

/* The text equals the value, or one of its items; no value: anything. */
static bool is_one_of(const struct json *value, const char *text)
{
    if (value == NULL)
        return true;
    if (json_text(value) != NULL)
        return text_eq(json_text(value), text);
    JSON_EACH(item, value)
    {
        if (text_eq(json_text(item), text))
            return true;
    }
    return false;
}

static bool is_word_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           (unsigned char)c >= 0x80;
}

/* Is `word` a whole word of the text? Without case. */
static bool has_word(const char *text, const char *word, size_t len)
{
    for (const char *at = text; *at != '\0'; at++)
        if (strncasecmp(at, word, len) == 0 && (at == text || !is_word_char(at[-1])) &&
            !is_word_char(at[len]))
            return true;
    return false;
}

/* "first|before": any of them. */
static bool has_any_word(const char *text, const char *words)
{
    while (*words != '\0') {
        size_t len = strcspn(words, "|");
        if (len > 0 && has_word(text, words, len))
            return true;
        words += len + (words[len] == '|');
    }
    return false;
}

/* What people said in it: the text of a message, the comment or answer of a decision. */
static const char *words_of(const struct event *e)
{
    static const char *const places[] = {"comment", "answer", "text"};
    for (size_t i = 0; i < COUNT(places); i++)
        if (*json_text_or(e->data, places[i], "") != '\0')
            return json_text_at(e->data, places[i]);
    return "";
}

static bool says(const struct json *wanted, const struct event *e)
{
    if (wanted == NULL)
        return true;
    if (json_text(wanted) != NULL)
        return has_any_word(words_of(e), json_text(wanted));
    JSON_EACH(item, wanted)
    {
        if (json_text(item) == NULL || !has_any_word(words_of(e), json_text(item)))
            return false;
    }
    return true;
}

static bool matches(const struct json *match, const struct event *e)
{
    const char *field = json_text_at(match, "field");
    return is_one_of(json_get(match, "type"), event_type_name(e->type)) &&
           is_one_of(json_get(match, "tool"), json_text_at(e->data, "tool")) &&
           is_one_of(json_get(match, "outcome"), json_text_at(e->data, "outcome")) &&
           (field == NULL || is_one_of(json_get(match, "is"), json_text_at(e->data, field))) &&
           says(json_get(match, "says"), e);
}

/* What a rule looks at: what is for the agent, but not its own steps nor what they cancelled. */
static bool counts(const struct event *e)
{
    if (!event_is_for_agent(e->type) || e->type == EVENT_STEP)
        return false;
    return !(e->type == EVENT_REQUEST_DECIDED && text_starts(e->actor, "agent:"));
}

static bool exists(const struct json *match, const struct thread *t, size_t from)
{
    for (size_t i = from; i < t->n_events; i++)
        if (counts(&t->events[i]) && matches(match, &t->events[i]))
            return true;
    return false;
}

static const struct event *last_event(const struct thread *t)
{
    for (size_t i = t->n_events; i-- > 0;)
        if (counts(&t->events[i]) && !json_is_true(json_get(t->events[i].data, "prefetch")))
            return &t->events[i];
    return NULL;
}

static bool holds(const struct json *fact, const struct thread *t)
{
    const struct json *last = json_get(fact, "last"), *any = json_get(fact, "any");
    const struct json *none = json_get(fact, "none"), *since = json_get(fact, "since");
    size_t from = 0;
    for (size_t i = 0; since != NULL && i < t->n_events; i++)
        if (counts(&t->events[i]) && matches(since, &t->events[i]))
            from = i + 1;
    const struct event *newest = last_event(t);
    return (last == NULL || (newest != NULL && matches(last, newest))) &&
           (any == NULL || exists(any, t, from)) && (none == NULL || !exists(none, t, from));
}

/* ---- variables --------------------------------------------------------------------------- */

/* A commit id in words: 7 to 40 hex digits, a whole word, with at least one digit in it. */
static const char *commit_in(struct arena *a, const char *text)
{
    for (const char *at = text; *at != '\0'; at++) {
        size_t len = strspn(at, "0123456789abcdefABCDEF");
        if (len >= COMMIT_LEAST && len <= COMMIT_MOST && (at == text || !is_word_char(at[-1])) &&
            !is_word_char(at[len]) && strcspn(at, "0123456789") < len)
            return arena_strndup(a, at, len);
        if (len > 0)
            at += len - 1;
    }
    return NULL;
}

static const char *find_one(struct arena *a, const struct json *source, const struct thread *t)
{
    bool first = text_eq(json_text_at(source, "take"), "first");
    const struct json *commits = json_get(source, "commit_in");
    const char *path = json_text_at(source, "path");
    for (size_t k = 0; k < t->n_events; k++) {
        const struct event *e = &t->events[first ? k : t->n_events - 1 - k];
        const char *found = NULL;
        if (!counts(e) || !is_one_of(json_get(source, "tool"), json_text_at(e->data, "tool")))
            continue;
        if (commits != NULL && is_one_of(commits, event_type_name(e->type)))
            found = commit_in(a, words_of(e));
        else if (commits == NULL && is_one_of(json_get(source, "from"), event_type_name(e->type)))
            found = json_text_at(e->data, path);
        if (found != NULL && *found != '\0')
            return found;
    }
    return NULL;
}

/* A variable may name several places: the first that has it counts. */
static const char *find(struct arena *a, const struct playbook *p, const struct thread *t,
                        const char *name)
{
    const struct json *sources = json_get(p->find, name);
    if (sources == NULL || sources->type != JSON_ARRAY)
        return sources == NULL ? NULL : find_one(a, sources, t);
    JSON_EACH(source, sources)
    {
        const char *found = find_one(a, source, t);
        if (found != NULL)
            return found;
    }
    return NULL;
}

/* Why a call failed, or a step was refused. */
static const char *error_of(const struct event *e)
{
    return json_text_or(e->data, "result.error", json_text_or(e->data, "error", ""));
}

/* What a rule may say beside the variables of `find`. */
static const char *value_of(struct arena *a, const struct playbook *p, const struct thread *t,
                            const char *name)
{
    const struct event *last = last_event(t);
    if (strcmp(name, "words") == 0)
        return last == NULL ? "" : text_truncate(a, words_of(last), QUOTE_BYTES);
    if (strcmp(name, "tool") == 0)
        return last == NULL ? "" : json_text_or(last->data, "tool", "");
    if (strcmp(name, "error") == 0)
        return last == NULL ? "" : text_truncate(a, error_of(last), QUOTE_BYTES);
    if (text_starts(name, "short_")) {
        const char *full = find(a, p, t, name + strlen("short_"));
        return full == NULL ? NULL : arena_strndup(a, full, strlen(full) < 7 ? strlen(full) : 7);
    }
    return find(a, p, t, name);
}

/* ---- rules ------------------------------------------------------------------------------- */

static bool fits(struct arena *a, const struct playbook *p, const struct thread *t,
                 const struct json *rule)
{
    JSON_EACH(condition, json_get(rule, "if"))
    {
        const char *text = json_text(condition);
        bool wanted = !text_starts(text, "not ");
        if (!wanted)
            text += 4;
        bool is = text_starts(text, "has ") ? find(a, p, t, text + 4) != NULL
                                            : holds(json_get(p->facts, text), t);
        if (is != wanted)
            return false;
    }
    return true;
}

/* Fills the holes of one text; NULL: a variable of it is not in the thread, so the rule does not
 * fit. */
static const char *fill(struct arena *a, const struct playbook *p, const struct thread *t,
                        const char *text)
{
    struct template_value values[16];
    size_t n = 0;
    struct template *parsed;
    struct strbuf b;
    strbuf_init(&b, a, VALUE_MAX_BYTES);
    const char *at = text;
    for (char *name = next_hole(a, &at); name != NULL && n < COUNT(values);
         name = next_hole(a, &at)) {
        const char *value = value_of(a, p, t, name);
        if (value == NULL)
            return NULL;
        values[n++] = (struct template_value){.name = name, .text = value};
    }
    if (!template_parse(a, text, NULL, &parsed, NULL) ||
        !template_render(parsed, values, n, NULL, &b, NULL))
        return NULL;
    return b.text;
}

static struct json *fill_all(struct arena *a, const struct playbook *p, const struct thread *t,
                             const struct json *value)
{
    if (value->type == JSON_STRING) {
        const char *text = fill(a, p, t, value->text);
        return text == NULL ? NULL : json_string(a, text);
    }
    if (value->type != JSON_OBJECT && value->type != JSON_ARRAY) {
        struct json *copy = ARENA_NEW(a, struct json);
        *copy = *value;
        copy->key = NULL;
        copy->next = NULL;
        return copy;
    }
    struct json *out = value->type == JSON_OBJECT ? json_object(a) : json_array(a);
    JSON_EACH(child, value)
    {
        struct json *filled = fill_all(a, p, t, child);
        if (filled == NULL)
            return NULL;
        if (value->type == JSON_OBJECT)
            json_set(a, out, child->key, filled);
        else
            json_push(a, out, filled);
    }
    return out;
}

static const struct json *ask_a_person(struct arena *a, const struct thread *t)
{
    const struct event *last = last_event(t);
    const char *words = last == NULL ? "" : words_of(last);
    struct json *step = json_object(a);
    json_set_text(a, step, "intent", "request_human_input");
    json_set_text(a, step, "question",
                  *words == '\0'
                      ? "No rule of my playbook says what to do now. What should I do?"
                      : arena_printf(a, "I do not know what to do with \"%s\". What should I do?",
                                     text_truncate(a, text_one_line(a, words), QUOTE_BYTES)));
    json_set_text(a, step, "reasoning", "no rule fits");
    return step;
}

const struct json *playbook_step(struct arena *a, const struct playbook *p, const struct thread *t)
{
    JSON_EACH(rule, p->rules)
    {
        if (!fits(a, p, t, rule))
            continue;
        struct json *step = fill_all(a, p, t, json_get(rule, "do"));
        if (step == NULL)
            continue;
        if (json_get(step, "reasoning") == NULL)
            json_set_text(a, step, "reasoning",
                          arena_printf(a, "rule: %s", json_text_or(rule, "name", "unnamed")));
        return step;
    }
    return ask_a_person(a, t);
}
