/* See context.h. */
#include "agents/context.h"

#include "gateway/base/strbuf.h"
#include "gateway/base/text.h"

#include <string.h>

enum {
    SHORT_RESULT_BYTES = 1500,
    TINY_RESULT_BYTES = 300,
    NEWEST_KEPT = 8, /* events at the end that are never left out */
    BEGIN_INDENT = 4,
    INDENT = 2,
    FLAT_MEMBERS = 8,
    FLAT_TEXT_BYTES = 160,
};

/* ---- values ------------------------------------------------------------------------------ */

/* A value in double quotes on one line: '<' and '&' can end no tag, control characters are visible.
 */
static void add_quoted(struct strbuf *b, const char *text)
{
    struct strbuf escaped;
    strbuf_init(&escaped, b->arena, SIZE_MAX / 4);
    for (const char *c = text; *c != '\0'; c++) {
        if (*c == '"' || *c == '\\')
            strbuf_addc(&escaped, '\\');
        strbuf_addc(&escaped, *c);
    }
    strbuf_addc(b, '"');
    for (const char *c = text_visible(b->arena, escaped.text); *c != '\0'; c++) {
        const char *as = *c == '\n'   ? "\\n"
                         : *c == '\t' ? "\\t"
                         : *c == '<'  ? "&lt;"
                         : *c == '>'  ? "&gt;"
                         : *c == '&'  ? "&amp;"
                                      : NULL;
        if (as != NULL)
            strbuf_add(b, as);
        else
            strbuf_addc(b, *c);
    }
    strbuf_addc(b, '"');
}

/* Would a reader take it for a number, true, false or null? */
static bool looks_like_another_type(const char *text)
{
    return strspn(text, "0123456789.-") == strlen(text) || strcmp(text, "true") == 0 ||
           strcmp(text, "false") == 0 || strcmp(text, "null") == 0;
}

static bool is_plain(const char *text)
{
    if (*text == '\0' || strlen(text) > 80)
        return false;
    for (const char *c = text; *c != '\0'; c++)
        if (!((*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') || (*c >= '0' && *c <= '9') ||
              strchr("_-./:", *c) != NULL))
            return false;
    return text[strlen(text) - 1] != ':' && text[0] != '-' && !looks_like_another_type(text);
}

static void add_text(struct strbuf *b, const char *text)
{
    if (is_plain(text))
        strbuf_add(b, text);
    else
        add_quoted(b, text);
}

static void add_scalar(struct strbuf *b, const struct json *j)
{
    if (j->type == JSON_STRING)
        add_text(b, j->text);
    else
        strbuf_add(b, json_write(b->arena, j));
}

static bool is_container(const struct json *j)
{
    return j->type == JSON_OBJECT || j->type == JSON_ARRAY;
}

/* Few and short members: they fit on one line. */
static bool is_flat(const struct json *j)
{
    size_t members = 0;
    JSON_EACH(child, j)
    {
        if (is_container(child) || ++members > FLAT_MEMBERS ||
            (child->type == JSON_STRING && strlen(child->text) > FLAT_TEXT_BYTES))
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
            add_text(b, child->key);
            strbuf_add(b, ": ");
        }
        add_scalar(b, child);
    }
    strbuf_addc(b, j->type == JSON_OBJECT ? '}' : ']');
}

static void add_value(struct strbuf *b, const struct json *j, int indent);

/* One member or item a line, two spaces deeper a level; `begun`: the first line's indent is there
 * already. */
static void add_block(struct strbuf *b, const struct json *j, int indent, bool begun)
{
    JSON_EACH(child, j)
    {
        if (!begun || child != j->child)
            strbuf_addf(b, "%*s", indent, "");
        if (j->type == JSON_ARRAY && is_container(child) && !is_flat(child)) {
            strbuf_add(b, "- ");
            add_block(b, child, indent + INDENT, true);
            continue;
        }
        if (j->type == JSON_OBJECT)
            add_text(b, child->key);
        strbuf_addc(b, j->type == JSON_OBJECT ? ':' : '-');
        add_value(b, child, indent + INDENT);
    }
}

static void add_value(struct strbuf *b, const struct json *j, int indent)
{
    if (is_container(j) && !is_flat(j)) {
        strbuf_addc(b, '\n');
        add_block(b, j, indent, false);
        return;
    }
    strbuf_addc(b, ' ');
    if (is_container(j))
        add_flat(b, j);
    else
        add_scalar(b, j);
    strbuf_addc(b, '\n');
}

/* ---- events ------------------------------------------------------------------------------ */

/* Without the keys of our own events that are for us and not for a model. */
static const struct json *for_model(struct arena *a, const struct event *e)
{
    static const char *const ours[] = {"call",    "prefetch", "run",        "not_started",
                                       "request", "edit",     "edited_into"};
    const struct json *data = e->data;
    for (size_t i = 0; !event_is_message(e->type) && i < COUNT(ours); i++)
        data = json_without(a, data, ours[i]);
    return data;
}

static void add_who(struct strbuf *b, const struct event *e, const struct people *people)
{
    bool is_message = event_is_message(e->type);
    if (!is_message && e->type != EVENT_REQUEST_DECIDED)
        return;
    strbuf_addf(b, "%*s%s: ", BEGIN_INDENT, "",
                is_message && json_get(e->data, "from") == NULL ? "from" : "by");
    add_quoted(b, actor_display(b->arena, people, e->actor));
    strbuf_addc(b, '\n');
}

static char *render_body(struct arena *a, const struct event *e, const struct people *people)
{
    struct strbuf b;
    strbuf_init(&b, a, SIZE_MAX / 4);
    const struct json *data = for_model(a, e);
    const struct json *result = json_get(data, "result");
    if (e->type == EVENT_TOOL_FINISHED && text_eq(json_text_at(data, "outcome"), "ok") &&
        result != NULL && result->type == JSON_OBJECT)
        data = result;
    else if (e->type == EVENT_TOOL_FINISHED)
        data = json_without(a, data, "tool");
    add_who(&b, e, people);
    add_block(&b, data, BEGIN_INDENT, false);
    return b.text;
}

/* A tool's result is named by its tool; whatever that name is, it stays one word. */
static const char *tag_of(struct arena *a, const struct event *e)
{
    const char *tool = json_text_at(e->data, "tool");
    if (e->type != EVENT_TOOL_FINISHED || tool == NULL)
        return event_type_name(e->type);
    char *tag = arena_printf(a, "%s_result", tool);
    for (char *c = tag; *c != '\0'; c++)
        if (!((*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') || (*c >= '0' && *c <= '9') ||
              strchr("_-.", *c) != NULL))
            *c = '_';
    return tag;
}

/* ---- bounds ------------------------------------------------------------------------------ */

enum part_kind {
    PART_WORDS,  /* what people said: never touched */
    PART_RESULT, /* what came back from outside: shortened, old ones first */
    PART_OTHER,  /* our own: left out whole, at last */
};

struct part {
    enum part_kind kind;
    const char *tag, *body;
    const char *shown; /* the body as far as it is shown; NULL: left out */
    size_t shown_bytes;
};

static enum part_kind kind_of(enum event_type type)
{
    if (type == EVENT_TOOL_FINISHED || type == EVENT_CHILD_FINISHED ||
        type == EVENT_WEBHOOK_RECEIVED)
        return PART_RESULT;
    return event_is_message(type) || type == EVENT_REQUEST_DECIDED || type == EVENT_HANDED_OVER
               ? PART_WORDS
               : PART_OTHER;
}

/* Bytes of the part with its tags and the empty line between two. */
static size_t cost_of(const struct part *p)
{
    return p->shown == NULL ? 0 : 2 * strlen(p->tag) + strlen("<>\n</>\n\n") + p->shown_bytes;
}

static void limit_to(struct arena *a, struct part *p, size_t limit)
{
    size_t len = strlen(p->body);
    p->shown = p->body;
    if (len > limit) {
        const char *head = text_truncate(a, p->body, limit);
        size_t kept = strlen(head) - strlen("…");
        p->shown = arena_printf(a, "%s\n    (%zu of %zu bytes are left out here)\n", head,
                                len - kept, len);
    }
    p->shown_bytes = strlen(p->shown);
}

/* Old results get short, then shorter; then what nobody said is left out, oldest first. */
static void fit(struct arena *a, struct part *parts, size_t n)
{
    static const size_t limits[] = {SHORT_RESULT_BYTES, TINY_RESULT_BYTES};
    size_t bytes = 0;
    for (size_t i = 0; i < n; i++)
        bytes += cost_of(&parts[i]);
    for (size_t round = 0; round < COUNT(limits); round++)
        for (size_t i = 0; i < n && bytes > CONTEXT_MAX_BYTES; i++) {
            if (parts[i].kind != PART_RESULT)
                continue;
            bytes -= cost_of(&parts[i]);
            limit_to(a, &parts[i], limits[round]);
            bytes += cost_of(&parts[i]);
        }
    for (size_t i = 0; i + NEWEST_KEPT < n && bytes > CONTEXT_MAX_BYTES; i++) {
        if (parts[i].kind == PART_WORDS)
            continue;
        bytes -= cost_of(&parts[i]);
        parts[i].shown = NULL;
    }
}

char *context_render(struct arena *a, const struct thread *thread, const struct people *people,
                     bool all)
{
    struct part *parts = ARENA_ARRAY(a, struct part, thread->n_events);
    struct strbuf out;
    size_t n = 0, left_out = 0;
    for (size_t i = 0; i < thread->n_events; i++) {
        const struct event *e = &thread->events[i];
        if (!all && !event_is_for_agent(e->type))
            continue;
        parts[n] = (struct part){
            .kind = kind_of(e->type), .tag = tag_of(a, e), .body = render_body(a, e, people)};
        limit_to(a, &parts[n], parts[n].kind == PART_RESULT ? CONTEXT_RESULT_BYTES : SIZE_MAX);
        n++;
    }
    fit(a, parts, n);
    strbuf_init(&out, a, SIZE_MAX / 4);
    for (size_t i = 0; i < n; i++) {
        if (parts[i].shown == NULL) {
            left_out++;
            continue;
        }
        if (left_out > 0)
            strbuf_addf(&out, "%s(%zu older events are left out here)\n", out.len > 0 ? "\n" : "",
                        left_out);
        left_out = 0;
        strbuf_addf(&out, "%s<%s>\n%s</%s>\n", out.len > 0 ? "\n" : "", parts[i].tag,
                    parts[i].shown, parts[i].tag);
    }
    return out.text;
}
