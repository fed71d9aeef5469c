/* See reply.h. First the text is searched from left to right, then the one object found is read as
 * a step. The search takes each candidate whole, so that what a string or a reasoning block holds
 * is never seen as a candidate of its own. */
#include "agents/reply.h"

#include "agents/fit.h"
#include "agents/json_schema.h"
#include "agents/loose_json.h"
#include "gateway/base/strbuf.h"
#include "gateway/base/text.h"

#include <string.h>
#include <strings.h>

enum {
    MAX_WORK = 16 * REPLY_MAX_BYTES, /* bytes looked at, over all attempts to read a candidate */
    SHOWN_INTENTS = 30,
};

static const char wanted[] = "answer with exactly one JSON object that has an \"intent\"";

/* ---- finding the object ------------------------------------------------------------------ */

struct search {
    struct arena *arena;
    const char *at, *end;
    unsigned flags; /* about the text around */
    size_t work;
    const struct json *step;  /* the object with an intent */
    const struct json *other; /* an object without one */
    unsigned step_flags, other_flags;
    const char *refusal; /* why the answer cannot be taken, whatever else it holds */
    bool several_others;
    struct err *err;
};

static const char *const reasoning_tags[] = {"think", "thinking", "reasoning", "scratchpad"};

/* The bytes of "<think>" ("</think>" if `closing`) at `at`, or 0. *name is its index. */
static size_t reasoning_tag(const char *at, bool closing, size_t *name)
{
    const char *from = at;
    if (*at++ != '<' || (closing && *at++ != '/'))
        return 0;
    for (size_t i = 0; i < COUNT(reasoning_tags); i++) {
        size_t len = strlen(reasoning_tags[i]);
        if (strncasecmp(at, reasoning_tags[i], len) == 0 && at[len] == '>') {
            *name = i;
            return (size_t)(at + len + 1 - from);
        }
    }
    return 0;
}

/* At an opening tag: goes behind its closing one. False when there is none. */
static bool skip_reasoning(struct search *s, size_t name)
{
    s->flags |= REPLY_REASONING;
    for (; s->at < s->end; s->at++) {
        size_t closed = 0;
        size_t len = reasoning_tag(s->at, true, &closed);
        if (len > 0 && closed == name) {
            s->at += len;
            return true;
        }
    }
    return fail(s->err, ERR_INVALID, "the reasoning does not end; %s", wanted);
}

/* A closing tag that nobody opened (some servers swallow the opening one): all before was
 * reasoning. */
static void forget(struct search *s)
{
    s->step = s->other = NULL;
    s->refusal = NULL;
    s->several_others = false;
    s->flags = REPLY_REASONING;
}

static unsigned flags_of(unsigned loose)
{
    unsigned flags = (loose & LOOSE_REPAIRED) != 0 ? REPLY_REPAIRED : 0;
    return flags | ((loose & LOOSE_UNCLOSED) != 0 ? REPLY_CUT : 0);
}

static bool has_intent(const struct json *object)
{
    return json_get(object, "intent") != NULL || json_at(object, "step.intent") != NULL;
}

static void take_object(struct search *s, const struct json *object, unsigned loose, unsigned flags)
{
    bool is_step = has_intent(object);
    const struct json **place = is_step ? &s->step : &s->other;
    bool is_new = *place == NULL || !json_equal(*place, object);
    if (is_step && (loose & LOOSE_TWICE) != 0)
        s->refusal = "a key stands twice in one object";
    else if (is_step && (loose & LOOSE_TORN) != 0)
        s->refusal = "the answer ends in the middle of the step";
    else if (json_is_deeper(object, JSON_MAX_DEPTH))
        s->refusal = "the answer is nested too deeply";
    if (*place != NULL && is_new && is_step)
        s->refusal = "there are two different steps";
    s->several_others |= *place != NULL && is_new && !is_step;
    if (*place == NULL) {
        *place = object;
        *(is_step ? &s->step_flags : &s->other_flags) = flags | flags_of(loose);
    }
    if (!is_step && (loose & (LOOSE_TWICE | LOOSE_TORN)) != 0)
        s->several_others = true; /* no good as the answer, even if it is alone */
}

static void take_candidate(struct search *s, const struct loose *found)
{
    const struct json *value = found->value;
    unsigned flags = 0;
    while (value->type == JSON_ARRAY && value->child != NULL && value->child == value->last) {
        value = value->child;
        flags = REPLY_LIST;
    }
    if (value->type == JSON_OBJECT) {
        take_object(s, value, found->flags, flags);
        return;
    }
    JSON_EACH(item, value)
    if (has_intent(item))
        s->refusal = "there is a list of steps";
}

/* At '{' or '['. What is no JSON is prose: goes on behind the bracket. A list that does not end is
 * prose, too, and its items are looked at one by one. */
static bool try_candidate(struct search *s)
{
    struct loose found;
    size_t reached = 0;
    struct span rest = {s->at, (size_t)(s->end - s->at)};
    bool ok = loose_json_parse(s->arena, rest, &found, &reached);
    s->work += reached;
    if (s->work > MAX_WORK)
        return fail(s->err, ERR_TOO_LARGE, "the answer is too tangled to read; %s", wanted);
    bool is_open_list = ok && *s->at == '[' && (found.flags & (LOOSE_TORN | LOOSE_UNCLOSED)) != 0;
    if (!ok || is_open_list) {
        s->flags |= REPLY_PROSE;
        s->at++;
        return true;
    }
    take_candidate(s, &found);
    s->at += found.length;
    return true;
}

/* Behind "```": the word that names the language. */
static void skip_fence(struct search *s)
{
    s->flags |= REPLY_FENCE;
    s->at += strspn(s->at, "`");
    s->at += strspn(s->at, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_+-");
}

static bool search(struct search *s)
{
    size_t name = 0;
    while (s->at < s->end) {
        if (*s->at == '{' || *s->at == '[') {
            if (!try_candidate(s))
                return false;
        } else if (strncmp(s->at, "```", 3) == 0) {
            skip_fence(s);
        } else if (reasoning_tag(s->at, false, &name) > 0) {
            if (!skip_reasoning(s, name))
                return false;
        } else if (reasoning_tag(s->at, true, &name) > 0) {
            s->at += reasoning_tag(s->at, true, &name);
            forget(s);
        } else {
            s->flags |= strchr(" \t\r\n", *s->at) == NULL ? REPLY_PROSE : 0;
            s->at++;
        }
    }
    return true;
}

bool reply_extract(struct arena *a, const char *text, struct reply *out, struct err *err)
{
    size_t len = strlen(text);
    if (len > REPLY_MAX_BYTES)
        return fail(err, ERR_TOO_LARGE, "the answer has %zu bytes, at most %d are read", len,
                    REPLY_MAX_BYTES);
    if (!utf8_valid((struct span){text, len}))
        return fail(err, ERR_INVALID, "the answer is not UTF-8");
    text += text_starts(text, "\xEF\xBB\xBF") ? 3 : 0;
    struct search s = {.arena = a, .at = text, .end = text + strlen(text), .err = err};
    if (!search(&s))
        return false;
    if (s.refusal != NULL)
        return fail(err, ERR_INVALID, "%s; %s", s.refusal, wanted);
    if (s.step == NULL && s.other == NULL)
        return fail(err, ERR_INVALID, "there is no JSON object; %s", wanted);
    if (s.step == NULL && s.several_others)
        return fail(err, ERR_INVALID, "no object is a step; %s", wanted);
    out->value = s.step != NULL ? s.step : s.other;
    out->flags = s.flags | (s.step != NULL ? s.step_flags : s.other_flags);
    return true;
}

/* ---- the object as a step ---------------------------------------------------------------- */

static const struct json *unwrap(const struct json *value, unsigned *flags)
{
    const struct json *step = json_get(value, "step");
    bool is_wrapper = json_get(value, "intent") == NULL && json_count(value) == 1 && step != NULL &&
                      step->type == JSON_OBJECT;
    *flags |= is_wrapper ? REPLY_WRAPPED : 0;
    return is_wrapper ? step : value;
}

static bool refuse_tag(struct arena *a, const struct json *tag, const struct step_intent *intents,
                       size_t n, struct err *err)
{
    if (json_text(tag) == NULL)
        return fail(err, ERR_INVALID, "intent: %s; %s",
                    tag == NULL ? "is required" : "must be a string", wanted);
    struct strbuf names;
    strbuf_init(&names, a, ERR_TEXT_SIZE);
    for (size_t i = 0; i < n && i < SHOWN_INTENTS; i++)
        strbuf_addf(&names, "%s%s", i == 0 ? "" : ", ", intents[i].name);
    return fail(err, ERR_INVALID, "intent: \"%s\" is none of: %s", text_truncate(a, tag->text, 60),
                names.text);
}

/* The tag itself, or, flagged, the tag in other letters or with spaces around it. Nothing else
 * resembles a tag: "not tag_push_prod yet" does not. */
static const struct step_intent *find_intent(const char *tag, const struct step_intent *intents,
                                             size_t n, unsigned *flags)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(intents[i].name, tag) == 0)
            return &intents[i];
    tag += strspn(tag, " \t\r\n");
    size_t len = strlen(tag);
    while (len > 0 && strchr(" \t\r\n", tag[len - 1]) != NULL)
        len--;
    *flags |= REPLY_TAG;
    const struct step_intent *found = NULL;
    for (size_t i = 0; i < n; i++)
        if (strlen(intents[i].name) == len && strncasecmp(intents[i].name, tag, len) == 0) {
            if (found != NULL)
                return NULL;
            found = &intents[i];
        }
    return found;
}

/* May a step be taken that had to be put right like this? */
static bool check_flags(const struct step_intent *intent, bool cut_off, unsigned flags,
                        struct err *err)
{
    if (cut_off && (intent->acts || (flags & REPLY_CUT) != 0))
        return fail(err, ERR_INVALID, "%s: the answer was cut off; give the whole step, shorter",
                    intent->name);
    unsigned never = REPLY_REPAIRED | REPLY_CUT | REPLY_LIST | REPLY_TAG;
    if (!intent->acts || (flags & never) == 0)
        return true;
    const char *why = (flags & REPLY_CUT) != 0    ? "closing brackets are missing"
                      : (flags & REPLY_LIST) != 0 ? "it stands in a list"
                      : (flags & REPLY_TAG) != 0  ? "the intent is not spelled exactly"
                                                  : "it is not strict JSON";
    return fail(err, ERR_INVALID, "%s: %s; as this step acts, give it as one plain JSON object",
                intent->name, why);
}

/* `reasoning` is ours where the intent has no such argument: set aside, then put back. */
static bool take_reasoning(struct arena *a, const struct step_intent *intent,
                           const struct json **args, const struct json **reasoning, struct err *err)
{
    *reasoning = NULL;
    const struct json *said = json_get(*args, "reasoning");
    if (said == NULL || json_at(intent->args, "properties.reasoning") != NULL)
        return true;
    if (said->type != JSON_STRING && said->type != JSON_NULL)
        return fail(err, ERR_INVALID, "%s.reasoning: must be a string", intent->name);
    *args = json_without(a, *args, "reasoning");
    *reasoning = said->type == JSON_STRING ? said : NULL;
    return true;
}

static bool read_args(struct arena *a, const struct step_intent *intent, const struct json **args,
                      unsigned *flags, struct err *err)
{
    const struct json *schema = intent->args;
    if (schema == NULL) {
        struct json *no_args = json_object(a);
        json_set_bool(a, no_args, "additionalProperties", false);
        schema = no_args;
    }
    unsigned fit_flags = 0;
    *args = fit_value(a, schema, schema, *args, intent->acts, &fit_flags);
    *flags |= (fit_flags & FIT_COERCED) != 0 ? REPLY_COERCED : 0;
    *flags |= (fit_flags & FIT_DROPPED) != 0 ? REPLY_DROPPED : 0;
    return json_schema_validate(schema, *args, intent->name, err);
}

bool reply_to_step(struct arena *a, const char *text, bool cut_off,
                   const struct step_intent *intents, size_t n, struct reply_step *out,
                   struct err *err)
{
    struct reply reply = {.value = NULL};
    if (!reply_extract(a, text, &reply, err))
        return false;
    unsigned flags = reply.flags;
    const struct json *value = unwrap(reply.value, &flags), *tag = json_get(value, "intent");
    const struct step_intent *intent =
        json_text(tag) == NULL ? NULL : find_intent(tag->text, intents, n, &flags);
    if (intent == NULL)
        return refuse_tag(a, tag, intents, n, err);
    const struct json *args = json_without(a, value, "intent"), *reasoning;
    if (!check_flags(intent, cut_off, flags, err) ||
        !take_reasoning(a, intent, &args, &reasoning, err) ||
        !read_args(a, intent, &args, &flags, err))
        return false;
    struct json *step = json_object(a);
    json_set_text(a, step, "intent", intent->name);
    JSON_EACH(item, args)
    json_set(a, step, item->key, item);
    if (reasoning != NULL)
        json_set(a, step, "reasoning", reasoning);
    *out = (struct reply_step){intent, step, flags};
    return true;
}

char *reply_flags_text(struct arena *a, unsigned flags)
{
    static const char *const words[] = {"reasoning", "fence", "prose", "wrapped", "repaired",
                                        "cut",       "list",  "tag",   "coerced", "dropped"};
    struct strbuf b;
    strbuf_init(&b, a, 200);
    for (size_t i = 0; i < COUNT(words); i++)
        if ((flags & 1U << i) != 0)
            strbuf_addf(&b, "%s%s", b.len == 0 ? "" : " ", words[i]);
    return b.text;
}
