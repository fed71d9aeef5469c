/* Messages as Block Kit: cards, questions, what was decided. Foreign text goes out escaped, with
 * verbatim set, so that nothing in it pings, links or styles. See slack.h. */
#include "channels/slack.h"
#include "gateway/base/strbuf.h"
#include "gateway/base/text.h"

#include <string.h>

enum { BUILD_MAX = 256 * 1024, MOST_COMMITS = 8, MOST_ARGUMENTS = 20, MOST_SECTIONS = 12 };

/* ---- text --------------------------------------------------------------------------------- */

char *slack_escape(struct arena *a, const char *text, size_t max)
{
    struct strbuf b;
    size_t used = 0;
    strbuf_init(&b, a, BUILD_MAX);
    const char *visible = text_visible(a, text == NULL ? "" : text);
    for (const char *c = visible; *c != '\0'; c++) {
        const char *as = *c == '&' ? "&amp;" : *c == '<' ? "&lt;" : *c == '>' ? "&gt;" : NULL;
        size_t cost = as != NULL ? strlen(as) : ((unsigned char)*c & 0xC0) != 0x80;
        if (used + cost > max) {
            strbuf_add(&b, "…");
            break;
        }
        used += cost;
        if (as != NULL)
            strbuf_add(&b, as);
        else
            strbuf_addc(&b, *c);
    }
    return b.text;
}

char *slack_code(struct arena *a, const char *text, size_t max)
{
    char *line = slack_escape(a, text_one_line(a, text == NULL ? "" : text), max);
    for (char *c = line; *c != '\0'; c++)
        if (*c == '`')
            *c = '\'';
    return *line == '\0' ? arena_strdup(a, " ") : line;
}

/* <@U1>, <#C1|name>, <!here>, <https://x|label> */
static void add_reference(struct strbuf *b, const char *inner)
{
    char *target = arena_strndup(b->arena, inner, strcspn(inner, "|"));
    const char *label = strchr(inner, '|');
    label = label == NULL ? NULL : label + 1;
    if (target[0] == '@')
        strbuf_addf(b, "@%s", label != NULL ? label : target + 1);
    else if (target[0] == '#')
        strbuf_addf(b, "#%s", label != NULL ? label : target + 1);
    else if (target[0] == '!')
        strbuf_addf(b, "@%s", label != NULL ? label : target + 1);
    else if (label != NULL && strcmp(label, target) != 0)
        strbuf_addf(b, "%s (%s)", label, target);
    else
        strbuf_add(b, target);
}

char *slack_unescape(struct arena *a, const char *text)
{
    static const char *const entities[][2] = {{"&lt;", "<"}, {"&gt;", ">"}, {"&amp;", "&"}};
    struct strbuf b;
    strbuf_init(&b, a, 8 * BUILD_MAX);
    while (*text != '\0') {
        size_t plain = strcspn(text, "<&");
        strbuf_addn(&b, text, plain);
        text += plain;
        const char *end = *text == '<' ? strchr(text, '>') : NULL;
        if (end != NULL) {
            add_reference(&b, arena_strndup(a, text + 1, (size_t)(end - text - 1)));
            text = end + 1;
        } else if (*text != '\0') {
            size_t i = 0;
            while (i < COUNT(entities) && !text_starts(text, entities[i][0]))
                i++;
            strbuf_addn(&b, i < COUNT(entities) ? entities[i][1] : text, 1);
            text += i < COUNT(entities) ? strlen(entities[i][0]) : 1;
        }
    }
    return b.text;
}

/* ---- blocks --------------------------------------------------------------------------------- */

static struct json *text_object(struct arena *a, const char *type, const char *text)
{
    struct json *t = json_object(a);
    json_set_text(a, t, "type", type);
    json_set_text(a, t, "text", text);
    if (strcmp(type, "mrkdwn") == 0)
        json_set_bool(a, t, "verbatim", true);
    else
        json_set_bool(a, t, "emoji", false);
    return t;
}

static void add_section(struct arena *a, struct json *blocks, const char *mrkdwn)
{
    struct json *block = json_object(a);
    if (*mrkdwn == '\0')
        return;
    json_set_text(a, block, "type", "section");
    json_set(a, block, "text", text_object(a, "mrkdwn", mrkdwn));
    json_push(a, blocks, block);
}

/* A long text as several sections, each within the limit, cut at line ends where there are some. */
static void add_long(struct arena *a, struct json *blocks, const char *escaped)
{
    for (int i = 0; *escaped != '\0' && i < MOST_SECTIONS; i++) {
        size_t len = strlen(escaped);
        if (len > SLACK_SECTION_MAX) {
            len = SLACK_SECTION_MAX;
            while (len > SLACK_SECTION_MAX / 2 && escaped[len] != '\n')
                len--;
            if (escaped[len] != '\n') { /* no line end: not inside a character or an entity */
                len = SLACK_SECTION_MAX;
                while (((unsigned char)escaped[len] & 0xC0) == 0x80)
                    len--;
                for (size_t k = 1; k < 5 && k < len; k++)
                    if (escaped[len - k] == '&') {
                        len -= k;
                        break;
                    }
            }
        }
        add_section(a, blocks, arena_strndup(a, escaped, len));
        escaped += len;
        escaped += *escaped == '\n';
    }
    if (*escaped != '\0')
        add_section(a, blocks, "… the rest is on the page");
}

static void add_context(struct arena *a, struct json *blocks, const char *mrkdwn)
{
    struct json *block = json_object(a), *elements = json_array(a);
    json_push(a, elements, text_object(a, "mrkdwn", mrkdwn));
    json_set_text(a, block, "type", "context");
    json_set(a, block, "elements", elements);
    json_push(a, blocks, block);
}

/* For plain_text, which knows no markup: one harmless line. */
static char *plain(struct arena *a, const char *text, size_t max)
{
    return text_truncate(a, text_one_line(a, text), max);
}

static void add_header(struct arena *a, struct json *blocks, const char *text)
{
    struct json *block = json_object(a);
    json_set_text(a, block, "type", "header");
    json_set(a, block, "text", text_object(a, "plain_text", plain(a, text, SLACK_HEADER_MAX)));
    json_push(a, blocks, block);
}

static struct json *button(struct arena *a, const char *action, const char *label,
                           const char *value, const char *style, const char *spoken)
{
    struct json *b = json_object(a);
    json_set_text(a, b, "type", "button");
    json_set_text(a, b, "action_id", action);
    json_set(a, b, "text", text_object(a, "plain_text", plain(a, label, SLACK_BUTTON_MAX)));
    json_set_text(a, b, "value", value);
    if (style != NULL)
        json_set_text(a, b, "style", style);
    if (spoken != NULL)
        json_set_text(a, b, "accessibility_label", plain(a, spoken, SLACK_BUTTON_MAX));
    return b;
}

static void add_actions(struct arena *a, struct json *blocks, const struct json *request,
                        const struct json *elements)
{
    struct json *block = json_object(a);
    json_set_text(a, block, "type", "actions");
    /* A message that is edited wants new ids: votes make a new one. */
    json_set_text(a, block, "block_id",
                  arena_printf(a, "rq_%s_%zu", json_text_or(request, "id", ""),
                               json_count(json_get(request, "votes"))));
    json_set(a, block, "elements", elements);
    json_push(a, blocks, block);
}

static char *date(struct arena *a, const char *rfc3339)
{
    int64_t at_ms;
    if (rfc3339 == NULL || !time_parse(rfc3339, &at_ms))
        return arena_strdup(a, "");
    return arena_printf(a, "<!date^%lld^{date_short_pretty} {time}|%s>", (long long)(at_ms / 1000),
                        rfc3339);
}

/* ---- approvals ------------------------------------------------------------------------------- */

/* Seven digits; whatever else a provider calls a commit, as harmless as other foreign text. */
static const char *short_sha(struct arena *a, const char *sha)
{
    if (sha == NULL)
        return "";
    return strspn(sha, "0123456789abcdef") >= 7 ? arena_strndup(a, sha, 7) : slack_code(a, sha, 7);
}

static char *arguments_text(struct arena *a, const struct json *arguments)
{
    struct strbuf b;
    size_t n = 0;
    strbuf_init(&b, a, BUILD_MAX);
    JSON_EACH(arg, arguments)
    {
        if (n++ == MOST_ARGUMENTS) {
            strbuf_add(&b, "… more on the page\n");
            break;
        }
        strbuf_addf(&b, "%s: `%s`\n", slack_escape(a, arg->key, 60),
                    slack_code(a, arg->type == JSON_STRING ? arg->text : json_write(a, arg), 400));
    }
    return b.text;
}

static void add_commits(struct strbuf *b, const struct json *compare)
{
    size_t n = 0;
    JSON_EACH(c, json_get(compare, "commits"))
    {
        if (n++ == MOST_COMMITS) {
            strbuf_addf(b, "… and %zu more\n",
                        json_count(json_get(compare, "commits")) - MOST_COMMITS);
            break;
        }
        strbuf_addf(
            b, "• `%s` %s (%s)\n", short_sha(b->arena, json_text_at(c, "sha")),
            slack_escape(b->arena, text_one_line(b->arena, json_text_or(c, "subject", "")), 120),
            slack_escape(b->arena, text_one_line(b->arena, json_text_or(c, "author", "")), 40));
    }
}

/* What changes, in words: current commit → proposed, commits between, downgrade, known before? */
static char *changes_text(struct arena *a, const struct json *request)
{
    const struct json *facts = json_get(request, "facts"), *place = json_get(facts, "place");
    const struct json *compare = json_get(facts, "compare");
    const char *ref = json_text_at(request, "target.ref");
    const char *sha = ref == NULL ? NULL : json_text(json_get(json_get(request, "arguments"), ref));
    const char *current = json_text_at(place, "current"),
               *status = json_text_or(compare, "status", "");
    struct strbuf b;
    strbuf_init(&b, a, BUILD_MAX);
    if (place == NULL)
        return b.text;
    strbuf_addf(&b, "*What changes* in %s",
                slack_escape(a, json_text_or(place, "environment", ""), 60));
    if (!text_eq(json_text_at(place, "component"), "all"))
        strbuf_addf(&b, "/%s", slack_escape(a, json_text_or(place, "component", ""), 60));
    if (sha != NULL && current != NULL && strcmp(current, sha) == 0)
        strbuf_addf(&b, ": nothing, `%s` runs there already\n", short_sha(a, sha));
    else if (sha != NULL)
        strbuf_addf(&b, ": `%s` → `%s`\n", current == NULL ? "unknown" : short_sha(a, current),
                    short_sha(a, sha));
    else
        strbuf_addc(&b, '\n');
    if (strcmp(status, "behind") == 0)
        strbuf_addf(&b, "*This is a DOWNGRADE*: it takes back %lld commits\n",
                    (long long)json_int_or(json_get(compare, "behind_by"), 0));
    else if (strcmp(status, "diverged") == 0)
        strbuf_addf(
            &b, "*This is partly a DOWNGRADE*: the commits diverged, it takes back %lld commits\n",
            (long long)json_int_or(json_get(compare, "behind_by"), 0));
    add_commits(&b, compare);
    if (json_get(place, "ran_before") != NULL)
        strbuf_addf(&b, "It ran there before, until %s (ended %s)\n",
                    date(a, json_text_at(place, "ran_before.ended_at")),
                    slack_escape(a, json_text_or(place, "ran_before.outcome", ""), 20));
    else if (sha != NULL && json_is_true(json_at(request, "target.rollback")))
        strbuf_add(&b, "Whether it ran there before is not known here\n");
    if (json_text_at(place, "passed_on") != NULL)
        strbuf_addf(&b, "It passed on %s\n", slack_escape(a, json_text_at(place, "passed_on"), 60));
    if (json_get(facts, "named") != NULL && !json_is_true(json_get(facts, "named")))
        strbuf_add(&b, "*Nothing in this thread names this commit*\n");
    return b.text;
}

static char *votes_text(struct arena *a, const struct json *request)
{
    struct strbuf b;
    strbuf_init(&b, a, BUILD_MAX);
    JSON_EACH(v, json_get(request, "votes"))
    {
        strbuf_addf(&b, "%s%s: %s", b.len > 0 ? ", " : "Votes so far: ",
                    slack_escape(a, json_text_or(v, "person", ""), 60),
                    slack_escape(a, json_text_or(v, "decision", ""), 20));
    }
    return b.text;
}

static char *decided_text(struct arena *a, const struct json *r)
{
    const char *comment = json_text_at(r, "comment"), *answer = json_text_at(r, "answer");
    struct strbuf b;
    strbuf_init(&b, a, BUILD_MAX);
    const char *status = json_text_or(r, "status", "");
    strbuf_addf(&b, "*%c%s*", status[0] - 'a' + 'A', status + 1);
    if (json_text_at(r, "by") != NULL && strcmp(status, "expired") != 0)
        strbuf_addf(&b, " by %s", slack_escape(a, json_text_at(r, "by"), 80));
    strbuf_addf(&b, " %s", date(a, json_text_at(r, "decided_at")));
    if (answer != NULL)
        strbuf_addf(&b, "\n> %s", slack_escape(a, answer, 1500));
    if (comment != NULL)
        strbuf_addf(&b, "\n> %s", slack_escape(a, comment, 1500));
    return b.text;
}

static bool is_open(const struct json *request)
{
    return text_eq(json_text_at(request, "status"), "open");
}

static void add_approval_buttons(struct arena *a, struct json *blocks, const struct json *r)
{
    struct json *elements = json_array(a);
    const char *id = json_text_or(r, "id", ""), *tool = json_text_or(r, "tool", "");
    const char *code = json_text_or(r, "code", "");
    json_push(a, elements,
              button(a, SLACK_APPROVE, "Approve", id, "primary",
                     arena_printf(a, "Approve %s, request %s", tool, code)));
    json_push(a, elements,
              button(a, SLACK_REJECT, "Reject", id, "danger",
                     arena_printf(a, "Reject %s, request %s", tool, code)));
    add_actions(a, blocks, r, elements);
}

static void add_approval(struct arena *a, struct json *blocks, const struct json *r)
{
    const char *tool = json_text_or(r, "tool", "");
    add_header(a, blocks,
               is_open(r) ? arena_printf(a, "Sign off %s?", tool)
                          : arena_printf(a, "%s: %s", tool, json_text_or(r, "status", "")));
    add_long(a, blocks,
             arena_printf(a, "%s proposes `%s`\n%s",
                          slack_escape(a, json_text_or(r, "agent", "Somebody"), 60),
                          slack_code(a, tool, 100), arguments_text(a, json_get(r, "arguments"))));
    add_long(a, blocks, changes_text(a, r));
}

/* ---- questions ------------------------------------------------------------------------------- */

static void add_choice_buttons(struct arena *a, struct json *blocks, const struct json *r,
                               const struct json *choices)
{
    struct json *elements = json_array(a);
    int i = 0;
    JSON_EACH(choice, choices)
    {
        json_push(a, elements,
                  button(a, arena_printf(a, SLACK_ANSWER "_%d", i), json_text(choice),
                         arena_printf(a, "%s:%d", json_text_or(r, "id", ""), i), NULL, NULL));
        i++;
    }
    add_actions(a, blocks, r, elements);
}

static void add_choice_select(struct arena *a, struct json *blocks, const struct json *r,
                              const struct json *choices)
{
    struct json *select = json_object(a), *options = json_array(a), *elements = json_array(a);
    int i = 0;
    JSON_EACH(choice, choices)
    {
        struct json *option = json_object(a);
        if (i == SLACK_OPTIONS_MAX)
            break;
        json_set(a, option, "text",
                 text_object(a, "plain_text", plain(a, json_text(choice), SLACK_OPTION_MAX)));
        json_set_text(a, option, "value", arena_printf(a, "%s:%d", json_text_or(r, "id", ""), i++));
        json_push(a, options, option);
    }
    json_set_text(a, select, "type", "static_select");
    json_set_text(a, select, "action_id", SLACK_ANSWER);
    json_set(a, select, "placeholder", text_object(a, "plain_text", "Choose an answer"));
    json_set(a, select, "options", options);
    json_push(a, elements, select);
    add_actions(a, blocks, r, elements);
}

static void add_answer_parts(struct arena *a, struct json *blocks, const struct json *r)
{
    const char *format = json_text_or(r, "options.format", "free_text");
    const struct json *choices = json_at(r, "options.choices");
    if (strcmp(format, "yes_no") == 0)
        add_choice_buttons(a, blocks, r, json_parse_own(a, "[\"yes\",\"no\"]"));
    else if (strcmp(format, "multiple_choice") == 0 && json_count(choices) <= SLACK_BUTTONS_MAX)
        add_choice_buttons(a, blocks, r, choices);
    else if (strcmp(format, "multiple_choice") == 0)
        add_choice_select(a, blocks, r, choices);
    else {
        struct json *elements = json_array(a);
        json_push(a, elements,
                  button(a, SLACK_REPLY, "Answer", json_text_or(r, "id", ""), NULL, NULL));
        add_actions(a, blocks, r, elements);
        add_context(a, blocks, "or reply in this thread");
    }
}

static void add_question(struct arena *a, struct json *blocks, const struct json *r)
{
    add_header(a, blocks,
               arena_printf(a, "%s asks", text_one_line(a, json_text_or(r, "agent", "An agent"))));
    add_long(a, blocks, slack_escape(a, json_text_or(r, "question", ""), SLACK_SECTION_MAX));
    if (json_text_at(r, "context") != NULL)
        add_long(a, blocks, slack_escape(a, json_text_at(r, "context"), 2 * SLACK_SECTION_MAX));
}

static void add_footer(struct arena *a, struct json *blocks, const struct message *msg)
{
    const struct json *r = msg->request;
    struct strbuf b;
    strbuf_init(&b, a, BUILD_MAX);
    if (json_text_at(r, "may_decide") != NULL)
        strbuf_addf(&b, "May decide: %s. ", slack_escape(a, json_text_at(r, "may_decide"), 300));
    if (json_text_at(r, "requester_name") != NULL)
        strbuf_addf(&b, "Asked for by %s. ",
                    slack_escape(a, json_text_at(r, "requester_name"), 80));
    if (json_text_at(r, "expires_at") != NULL)
        strbuf_addf(&b, "Expires %s. ", date(a, json_text_at(r, "expires_at")));
    strbuf_addf(&b, "Request %s, <%s/requests/%s|on the page>", json_text_or(r, "code", ""),
                msg->public_url, json_text_or(r, "id", ""));
    add_context(a, blocks, b.text);
}

static void add_request(struct arena *a, struct json *blocks, const struct message *msg)
{
    const struct json *r = msg->request;
    bool approval = text_eq(json_text_at(r, "kind"), "approval");
    if (msg->repeat)
        add_context(
            a, blocks,
            "This may be a repeat: the first copy's fate is unknown. All copies are one request.");
    if (approval)
        add_approval(a, blocks, r);
    else
        add_question(a, blocks, r);
    if (!is_open(r)) {
        add_long(a, blocks, decided_text(a, r));
    } else {
        add_section(a, blocks, votes_text(a, r));
        if (approval)
            add_approval_buttons(a, blocks, r);
        else
            add_answer_parts(a, blocks, r);
    }
    add_footer(a, blocks, msg);
}

struct json *slack_blocks(struct arena *a, const struct message *msg)
{
    struct json *blocks = json_array(a);
    switch (msg->kind) {
    case MESSAGE_REQUEST:
        add_request(a, blocks, msg);
        break;
    case MESSAGE_TEXT:
    case MESSAGE_STATUS:
        add_long(a, blocks, slack_escape(a, msg->text, MOST_SECTIONS * SLACK_SECTION_MAX));
        break;
    }
    return blocks;
}

static char *request_sentence(struct arena *a, const struct json *r)
{
    const char *status = json_text_or(r, "status", "");
    if (!text_eq(json_text_at(r, "kind"), "approval"))
        return arena_printf(a, "%s asks: %s%s%s", json_text_or(r, "agent", "An agent"),
                            json_text_or(r, "question", ""), is_open(r) ? "" : " Answered: ",
                            is_open(r) ? "" : json_text_or(r, "answer", status));
    struct strbuf b;
    strbuf_init(&b, a, BUILD_MAX);
    strbuf_addf(&b, "%s proposes %s", json_text_or(r, "agent", "Somebody"),
                json_text_or(r, "tool", ""));
    JSON_EACH(arg, json_get(r, "arguments"))
    {
        strbuf_addf(&b, ", %s %s", arg->key,
                    arg->type == JSON_STRING ? arg->text : json_write(a, arg));
    }
    strbuf_addf(&b, ". Request %s", json_text_or(r, "code", ""));
    if (is_open(r))
        strbuf_add(&b, ": approve or reject.");
    else
        strbuf_addf(&b, ": %s by %s.%s%s", status, json_text_or(r, "by", "nobody"),
                    json_text_at(r, "comment") == NULL ? "" : " ", json_text_or(r, "comment", ""));
    return b.text;
}

char *slack_text(struct arena *a, const struct message *msg)
{
    const char *words =
        msg->kind == MESSAGE_REQUEST ? request_sentence(a, msg->request) : msg->text;
    char *text = slack_escape(a, words, SLACK_TEXT_MAX);
    return *text == '\0' ? arena_strdup(a, "(no words)") : text; /* Slack refuses an empty text */
}

/* ---- forms ------------------------------------------------------------------------------------
 */

struct json *slack_form(struct arena *a, const struct live *live)
{
    bool reject = live->kind == LIVE_REJECT_FORM;
    struct json *view = json_object(a), *kept = json_object(a), *blocks = json_array(a);
    struct json *input = json_object(a), *element = json_object(a);
    json_set_text(a, kept, "request", live->request_id);
    json_set_text(a, kept, "to", live->to);
    json_set_text(a, kept, "in_thread", live->in_thread);
    json_set_text(a, kept, "shown_at", live->shown_at);
    json_set_text(a, view, "type", "modal");
    json_set_text(a, view, "callback_id", reject ? SLACK_REJECT : SLACK_REPLY);
    json_set_text(a, view, "private_metadata", json_write(a, kept));
    json_set(a, view, "title", text_object(a, "plain_text", reject ? "Reject" : "Answer"));
    json_set(a, view, "submit", text_object(a, "plain_text", reject ? "Reject" : "Answer"));
    json_set(a, view, "close", text_object(a, "plain_text", "Cancel"));
    if (live->title != NULL && *live->title != '\0')
        add_section(a, blocks, slack_escape(a, text_one_line(a, live->title), 300));
    json_set_text(a, element, "type", "plain_text_input");
    json_set_text(a, element, "action_id", "text");
    json_set_bool(a, element, "multiline", true);
    json_set_int(a, element, "min_length", 1);
    json_set_int(a, element, "max_length", reject ? SLACK_COMMENT_MAX : 3000);
    json_set_bool(a, element, "focus_on_load", true);
    json_set_text(a, input, "type", "input");
    json_set_text(a, input, "block_id", "reason");
    json_set(a, input, "label",
             text_object(a, "plain_text", reject ? "Why? The agent reads this" : "Your answer"));
    json_set(a, input, "element", element);
    json_push(a, blocks, input);
    json_set(a, view, "blocks", blocks);
    return view;
}
