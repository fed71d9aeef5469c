/* See context.h. */
#include "agents/context.h"

#include "gateway/base/strbuf.h"
#include "gateway/base/text.h"

#include <string.h>

enum { SHORT_RESULT_BYTES = 1500, TINY_RESULT_BYTES = 300 };

/* A value in double quotes on one line: '<' and '&' can end no tag, control characters are visible.
 */
static void add_quoted(struct strbuf *b, const char *text)
{
    char *visible = text_visible(b->arena, text);
    strbuf_addc(b, '"');
    for (const char *c = visible; *c != '\0'; c++) {
        if (*c == '"' || *c == '\\') {
            strbuf_addc(b, '\\');
            strbuf_addc(b, *c);
        } else if (*c == '\n') {
            strbuf_add(b, "\\n");
        } else if (*c == '\t') {
            strbuf_add(b, "\\t");
        } else if (*c == '<') {
            strbuf_add(b, "&lt;");
        } else if (*c == '>') {
            strbuf_add(b, "&gt;");
        } else if (*c == '&') {
            strbuf_add(b, "&amp;");
        } else {
            strbuf_addc(b, *c);
        }
    }
    strbuf_addc(b, '"');
}

static bool is_plain(const char *text)
{
    if (*text == '\0' || strlen(text) > 80)
        return false;
    for (const char *c = text; *c != '\0'; c++)
        if (!((*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') || (*c >= '0' && *c <= '9') ||
              strchr("_-./:", *c) != NULL))
            return false;
    return text[strlen(text) - 1] != ':' && text[0] != '-';
}

static void add_key(struct strbuf *b, const char *key)
{
    if (is_plain(key))
        strbuf_add(b, key);
    else
        add_quoted(b, key);
}

static void add_scalar(struct strbuf *b, const struct json *j)
{
    if (j->type == JSON_STRING && is_plain(j->text))
        strbuf_add(b, j->text);
    else if (j->type == JSON_STRING)
        add_quoted(b, j->text);
    else
        strbuf_add(b, json_write(b->arena, j));
}

static bool is_flat(const struct json *j)
{
    size_t members = 0;
    JSON_EACH(child, j)
    {
        if (child->type == JSON_OBJECT || child->type == JSON_ARRAY || ++members > 8)
            return false;
        if (child->type == JSON_STRING && strlen(child->text) > 160)
            return false;
    }
    return true;
}

static void add_flat(struct strbuf *b, const struct json *j)
{
    strbuf_addc(b, j->type == JSON_OBJECT ? '{' : '[');
    JSON_EACH(child, j)
    {
        if (child != j->child)
            strbuf_add(b, ", ");
        if (j->type == JSON_OBJECT) {
            add_key(b, child->key);
            strbuf_add(b, ": ");
        }
        add_scalar(b, child);
    }
    strbuf_addc(b, j->type == JSON_OBJECT ? '}' : ']');
}

static void add_value(struct strbuf *b, const struct json *j, int depth);

static void add_block(struct strbuf *b, const struct json *j, int depth)
{
    JSON_EACH(child, j)
    {
        for (int i = 0; i < depth * 2; i++)
            strbuf_add(b, "  ");
        if (j->type == JSON_OBJECT) {
            add_key(b, child->key);
            strbuf_addc(b, ':');
        } else {
            strbuf_addc(b, '-');
        }
        add_value(b, child, depth + 1);
    }
}

static void add_value(struct strbuf *b, const struct json *j, int depth)
{
    if (j->type != JSON_OBJECT && j->type != JSON_ARRAY) {
        strbuf_addc(b, ' ');
        add_scalar(b, j);
        strbuf_addc(b, '\n');
    } else if (is_flat(j)) {
        strbuf_addc(b, ' ');
        add_flat(b, j);
        strbuf_addc(b, '\n');
    } else {
        strbuf_addc(b, '\n');
        add_block(b, j, depth);
    }
}

/* Keys that are for us, not for a model. */
static const struct json *for_model(struct arena *a, const struct json *data)
{
    static const char *const ours[] = {"call", "prefetch", "run", "not_started", "request"};
    for (size_t i = 0; i < COUNT(ours); i++)
        data = json_without(a, data, ours[i]);
    return data;
}

static char *render_body(struct arena *a, const struct event *e, const struct people *people)
{
    struct strbuf b;
    strbuf_init(&b, a, SIZE_MAX / 4);
    const struct json *data = for_model(a, e->data);
    const struct json *result = json_get(data, "result");
    if (e->type == EVENT_TOOL_FINISHED && text_eq(json_text_at(data, "outcome"), "ok") &&
        result != NULL && result->type == JSON_OBJECT)
        data = result;
    else if (e->type == EVENT_TOOL_FINISHED)
        data = json_without(a, data, "tool");
    if (event_is_message(e->type) || e->type == EVENT_REQUEST_DECIDED) {
        strbuf_add(&b, "    by:");
        add_value(&b, json_string(a, actor_display(a, people, e->actor)), 1);
    }
    add_block(&b, data, 1);
    /* add_block indents by four a level: one level below the tag. */
    return b.text;
}

static bool is_shortable(const struct event *e)
{
    return e->type == EVENT_TOOL_FINISHED;
}

struct part {
    const char *tag, *body;
    size_t limit;
};

static char *shorten(struct arena *a, const char *body, size_t limit)
{
    size_t len = strlen(body);
    if (len <= limit)
        return arena_strdup(a, body);
    char *head = text_truncate(a, body, limit);
    return arena_printf(a, "%s\n    (%zu of %zu bytes are left out here)\n", head, len - limit,
                        len);
}

static size_t total(struct arena *a, const struct part *parts, size_t n)
{
    size_t bytes = 0;
    for (size_t i = 0; i < n; i++)
        bytes += strlen(parts[i].tag) * 2 + 8 +
                 (parts[i].limit == 0 ? strlen(parts[i].body)
                                      : strlen(shorten(a, parts[i].body, parts[i].limit)));
    return bytes;
}

char *context_render(struct arena *a, const struct thread *thread, const struct people *people,
                     bool all)
{
    struct part *parts = ARENA_ARRAY(a, struct part, thread->n_events);
    size_t n = 0;
    for (size_t i = 0; i < thread->n_events; i++) {
        const struct event *e = &thread->events[i];
        if (!all && !event_is_for_agent(e->type))
            continue;
        const char *tool = json_text_at(e->data, "tool");
        parts[n].tag = e->type == EVENT_TOOL_FINISHED && tool != NULL
                           ? arena_printf(a, "%s_result", tool)
                           : event_type_name(e->type);
        parts[n].body = render_body(a, e, people);
        parts[n].limit = is_shortable(e) ? CONTEXT_RESULT_BYTES : 0;
        n++;
    }
    static const size_t limits[] = {SHORT_RESULT_BYTES, TINY_RESULT_BYTES};
    size_t bytes = total(a, parts, n);
    for (size_t round = 0; round < COUNT(limits) && bytes > CONTEXT_MAX_BYTES; round++)
        for (size_t i = 0; i < n && bytes > CONTEXT_MAX_BYTES; i++) {
            if (parts[i].limit == 0 || parts[i].limit <= limits[round])
                continue;
            size_t before = strlen(shorten(a, parts[i].body, parts[i].limit));
            parts[i].limit = limits[round];
            bytes -= before - strlen(shorten(a, parts[i].body, parts[i].limit));
        }
    struct strbuf out;
    strbuf_init(&out, a, SIZE_MAX / 4);
    for (size_t i = 0; i < n; i++)
        strbuf_addf(&out, "%s<%s>\n%s</%s>\n", i > 0 ? "\n" : "", parts[i].tag,
                    parts[i].limit == 0 ? parts[i].body : shorten(a, parts[i].body, parts[i].limit),
                    parts[i].tag);
    return out.text;
}
