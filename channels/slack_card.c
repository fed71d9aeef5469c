/* The card of a request: what would run and what it changes, or the question; who may decide; the
 * buttons; once decided how, by whom, where and why. See slack.h. */
#include "channels/slack_private.h"
#include "gateway/base/strbuf.h"
#include "gateway/base/text.h"

#include <string.h>

enum {
    MOST_COMMITS = 8,
    MOST_ARGUMENTS = 20,
    MOST_VOTES = 20,
    INLINE_CHARACTERS = 400,      /* an argument longer than this gets a section of its own */
    SHOWN_CHARACTERS = 2700,      /* of one such argument */
    ALL_SHOWN_CHARACTERS = 30000, /* of all of them */
};

/* ---- the call ---------------------------------------------------------------------------- */

/* Seven digits; whatever else a provider calls a commit, as harmless as other foreign text. */
static const char *short_sha(struct arena *a, const char *sha)
{
    if (sha == NULL)
        return "";
    return strspn(sha, "0123456789abcdef") >= 7 ? arena_strndup(a, sha, 7) : slack_code(a, sha, 7);
}

static const char *value_text(struct arena *a, const struct json *value)
{
    return value->type == JSON_STRING ? value->text : json_write(a, value);
}

/* "./deploy.sh backend production 4af9ec0…" as it will be started, word by word. */
static void add_command(struct strbuf *b, const struct json *argv)
{
    struct strbuf line;
    strbuf_init(&line, b->arena, SLACK_BUILD_MAX);
    JSON_EACH(word, argv)
    {
        const char *text = json_text(word);
        bool quoted = text == NULL || *text == '\0' || strpbrk(text, " \t\n'\"") != NULL;
        strbuf_addf(&line, quoted ? "%s'%s'" : "%s%s", line.len > 0 ? " " : "",
                    text == NULL ? "" : text);
    }
    if (line.len > 0)
        strbuf_addf(b, "Runs `%s`\n", slack_code(b->arena, line.text, INLINE_CHARACTERS));
}

static char *call_text(struct arena *a, const struct json *r)
{
    const char *tool = json_text_or(r, "tool", ""), *what = json_text_at(r, "description");
    struct strbuf b;
    size_t n = 0;
    strbuf_init(&b, a, SLACK_BUILD_MAX);
    strbuf_addf(&b, "%s proposes `%s`", slack_words(a, json_text_or(r, "agent", "Somebody"), 60),
                slack_code(a, tool, 100));
    if (what != NULL && strcmp(what, tool) != 0)
        strbuf_addf(&b, ": %s", slack_words(a, what, 300));
    strbuf_addc(&b, '\n');
    JSON_EACH(arg, json_get(r, "arguments"))
    {
        const char *text = value_text(a, arg);
        if (n++ == MOST_ARGUMENTS) {
            strbuf_add(&b, "*There are more arguments: read them on the page*\n");
            break;
        }
        if (utf8_length(text) > INLINE_CHARACTERS)
            strbuf_addf(&b, "%s: %zu characters, below\n", slack_words(a, arg->key, 60),
                        utf8_length(text));
        else
            strbuf_addf(&b, "%s: `%s`\n", slack_words(a, arg->key, 60),
                        slack_code(a, text, INLINE_CHARACTERS));
    }
    add_command(&b, json_get(r, "runs"));
    return b.text;
}

/* A fence of its own: nothing in the text ends it. */
static char *fenced(struct arena *a, const char *text, size_t max)
{
    char *safe = slack_escape(a, text, max);
    for (char *c = safe; *c != '\0'; c++)
        if (*c == '`')
            *c = '\'';
    return arena_printf(a, "```%s```", safe);
}

static void add_long_arguments(struct arena *a, struct json *blocks, const struct json *arguments)
{
    size_t n = 0, shown = 0;
    JSON_EACH(arg, arguments)
    {
        const char *text = value_text(a, arg);
        size_t length = utf8_length(text);
        if (n++ == MOST_ARGUMENTS)
            return;
        if (length <= INLINE_CHARACTERS || shown >= ALL_SHOWN_CHARACTERS)
            continue;
        shown += length < SHOWN_CHARACTERS ? length : SHOWN_CHARACTERS;
        slack_add_section(a, blocks,
                          arena_printf(a, "%s:\n%s", slack_words(a, arg->key, 60),
                                       fenced(a, text, SHOWN_CHARACTERS)));
        if (length > SHOWN_CHARACTERS)
            slack_add_context(
                a, blocks,
                arena_printf(a,
                             "*Only the beginning of %s is shown*: all %zu characters are on the "
                             "page",
                             slack_words(a, arg->key, 60), length));
    }
}

/* ---- what changes ------------------------------------------------------------------------ */

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
        strbuf_addf(b, "• `%s` %s (%s)\n", short_sha(b->arena, json_text_at(c, "sha")),
                    slack_words(b->arena, json_text_or(c, "subject", ""), 120),
                    slack_words(b->arena, json_text_or(c, "author", ""), 40));
    }
    if (json_text_at(compare, "url") != NULL)
        strbuf_addf(b, "%s\n", slack_link(b->arena, json_text_at(compare, "url"), "compare them"));
}

static void add_place(struct strbuf *b, const struct json *r, const char *sha)
{
    struct arena *a = b->arena;
    const struct json *place = json_at(r, "facts.place");
    const char *current = json_text_at(place, "current");
    strbuf_addf(b, "*What changes* in %s",
                slack_words(a, json_text_or(place, "environment", ""), 60));
    if (!text_eq(json_text_at(place, "component"), "all"))
        strbuf_addf(b, "/%s", slack_words(a, json_text_or(place, "component", ""), 60));
    if (sha != NULL && current != NULL && strcmp(current, sha) == 0)
        strbuf_addf(b, ": nothing, `%s` runs there already\n", short_sha(a, sha));
    else if (sha != NULL)
        strbuf_addf(b, ": `%s` → `%s`\n", current == NULL ? "unknown" : short_sha(a, current),
                    short_sha(a, sha));
    else
        strbuf_addc(b, '\n');
}

/* What changes, in words: current commit → proposed, commits between, downgrade, known before? */
static char *changes_text(struct arena *a, const struct json *r)
{
    const struct json *facts = json_get(r, "facts"), *place = json_get(facts, "place");
    const struct json *compare = json_get(facts, "compare");
    const char *ref = json_text_at(r, "target.ref"), *status = json_text_or(compare, "status", "");
    const char *sha = ref == NULL ? NULL : json_text(json_get(json_get(r, "arguments"), ref));
    long long behind = (long long)json_int_or(json_get(compare, "behind_by"), 0);
    struct strbuf b;
    strbuf_init(&b, a, SLACK_BUILD_MAX);
    if (place == NULL)
        return b.text;
    add_place(&b, r, sha);
    if (strcmp(status, "behind") == 0)
        strbuf_addf(&b, "*This is a DOWNGRADE*: it takes back %lld commits\n", behind);
    else if (strcmp(status, "diverged") == 0)
        strbuf_addf(
            &b, "*This is partly a DOWNGRADE*: the commits diverged, it takes back %lld commits\n",
            behind);
    add_commits(&b, compare);
    if (json_get(place, "ran_before") != NULL)
        strbuf_addf(&b, "It ran there before, until %s (ended %s)\n",
                    slack_date(a, json_text_at(place, "ran_before.ended_at")),
                    slack_words(a, json_text_or(place, "ran_before.outcome", ""), 20));
    else if (sha != NULL && json_is_true(json_at(r, "target.rollback")))
        strbuf_add(&b, "Whether it ran there before is not known here\n");
    if (json_text_at(place, "passed_on") != NULL)
        strbuf_addf(&b, "It passed on %s\n", slack_words(a, json_text_at(place, "passed_on"), 60));
    if (json_get(facts, "named") != NULL && !json_is_true(json_get(facts, "named")))
        strbuf_add(&b, "*Nothing in this thread names this commit*\n");
    return b.text;
}

/* Of a new version: who changed what, and that who did cannot approve it alone. */
static char *edited_text(struct arena *a, const struct json *r)
{
    const struct json *before = json_at(r, "edited.before"), *now = json_get(r, "arguments");
    struct strbuf b;
    strbuf_init(&b, a, SLACK_BUILD_MAX);
    if (json_get(r, "edited") == NULL)
        return b.text;
    strbuf_addf(&b, "*Edited by %s*: takes the place of request %s\n",
                slack_words(a, json_text_or(r, "edited.by", ""), 80),
                json_text_or(r, "edited.code", ""));
    JSON_EACH(arg, now)
    {
        const struct json *was = json_get(before, arg->key);
        if (b.len < SLACK_SECTION_MAX / 2 && (was == NULL || !json_equal(was, arg)))
            strbuf_addf(&b, "%s: `%s` → `%s`\n", slack_words(a, arg->key, 60),
                        was == NULL ? "nothing" : slack_code(a, value_text(a, was), 100),
                        slack_code(a, value_text(a, arg), 100));
    }
    JSON_EACH(was, before)
    {
        if (b.len < SLACK_SECTION_MAX / 2 && json_get(now, was->key) == NULL)
            strbuf_addf(&b, "%s: `%s` → nothing\n", slack_words(a, was->key, 60),
                        slack_code(a, value_text(a, was), 100));
    }
    if (json_is_true(json_at(r, "policy.not_requester")))
        strbuf_add(&b, "Who edits counts as a requester: somebody else must approve it\n");
    return b.text;
}

/* ---- votes and the end ------------------------------------------------------------------- */

static char *votes_text(struct arena *a, const struct json *r)
{
    int64_t needed = json_int_or(json_get(r, "needed"), 0), approvals = 0;
    const struct json *names = json_get(r, "names");
    struct strbuf who;
    size_t n = 0;
    strbuf_init(&who, a, SLACK_BUILD_MAX);
    JSON_EACH(v, json_get(r, "votes"))
    {
        const char *person = json_text_or(v, "person", "");
        bool approves = text_eq(json_text_at(v, "decision"), "approve");
        approvals += approves;
        if (n++ < MOST_VOTES)
            strbuf_addf(&who, "%s%s%s", who.len > 0 ? ", " : "",
                        slack_words(a, json_text_or(names, person, person), 60),
                        approves ? "" : " (against)");
    }
    if (n == 0)
        return arena_strdup(a, "");
    return needed > 1 ? arena_printf(a, "Votes so far: %lld of %lld: %s", (long long)approvals,
                                     (long long)needed, who.text)
                      : arena_printf(a, "Votes so far: %s", who.text);
}

/* "on the page", "in ops-slack", "with key alice-cli". */
static char *where_text(struct arena *a, const char *via)
{
    if (strcmp(via, "web") == 0)
        return arena_strdup(a, " on the page");
    return arena_printf(a, text_starts(via, "key ") ? " with %s" : " in %s",
                        slack_words(a, via, 80));
}

static char *decided_text(struct arena *a, const struct json *r)
{
    const char *comment = json_text_at(r, "comment"), *answer = json_text_at(r, "answer");
    const char *status = json_text_or(r, "status", " "), *via = json_text_at(r, "via");
    struct strbuf b;
    strbuf_init(&b, a, SLACK_BUILD_MAX);
    strbuf_addf(&b, "*%c%s*", status[0] - 'a' + 'A', status + 1);
    if (json_text_at(r, "by") != NULL && strcmp(status, "expired") != 0)
        strbuf_addf(&b, " by %s", slack_words(a, json_text_at(r, "by"), 80));
    if (via != NULL)
        strbuf_add(&b, where_text(a, via));
    strbuf_addf(&b, " %s", slack_date(a, json_text_at(r, "decided_at")));
    if (answer != NULL)
        strbuf_addf(&b, "\n%s", slack_quote(a, answer, 1200));
    if (comment != NULL)
        strbuf_addf(&b, "\n%s", slack_quote(a, comment, 1200));
    return b.text;
}

static bool is_open(const struct json *request)
{
    return text_eq(json_text_at(request, "status"), "open");
}

/* ---- buttons ----------------------------------------------------------------------------- */

/* A message that is edited wants new ids: votes make a new one. */
static void add_buttons(struct arena *a, struct json *blocks, const struct json *r,
                        const struct json *elements)
{
    slack_add_actions(
        a, blocks,
        arena_printf(a, "rq_%s_%zu", json_text_or(r, "id", ""), json_count(json_get(r, "votes"))),
        elements);
}

static void add_button(struct arena *a, struct json *elements, const struct json *r,
                       const char *action, const char *label, const char *style)
{
    struct slack_button b = {.action = action,
                             .label = label,
                             .value = json_text_or(r, "id", ""),
                             .style = style,
                             .spoken = arena_printf(a, "%s %s, request %s", label,
                                                    json_text_or(r, "tool", ""),
                                                    json_text_or(r, "code", ""))};
    json_push(a, elements, slack_button(a, &b));
}

/* Is there an argument that may be changed, and that fits into a form? */
static bool has_edit(struct arena *a, const struct json *r)
{
    JSON_EACH(name, json_get(r, "editable"))
    {
        const struct json *value = json_get(json_get(r, "arguments"), json_text(name));
        if (value == NULL || utf8_length(value_text(a, value)) <= SLACK_INPUT_MAX)
            return true;
    }
    return false;
}

static void add_approval_buttons(struct arena *a, struct json *blocks, const struct json *r)
{
    struct json *elements = json_array(a);
    add_button(a, elements, r, SLACK_APPROVE, "Approve", "primary");
    add_button(a, elements, r, SLACK_REJECT, "Reject", "danger");
    if (has_edit(a, r))
        add_button(a, elements, r, SLACK_EDIT, "Edit", NULL);
    add_buttons(a, blocks, r, elements);
}

static void add_choice_buttons(struct arena *a, struct json *blocks, const struct json *r,
                               const struct json *choices)
{
    struct json *elements = json_array(a);
    int i = 0;
    JSON_EACH(choice, choices)
    {
        struct slack_button b = {.action = arena_printf(a, SLACK_ANSWER "_%d", i),
                                 .label = json_text(choice),
                                 .value = arena_printf(a, "%s:%d", json_text_or(r, "id", ""), i)};
        json_push(a, elements, slack_button(a, &b));
        i++;
    }
    add_buttons(a, blocks, r, elements);
}

static void add_choice_select(struct arena *a, struct json *blocks, const struct json *r,
                              const struct json *choices)
{
    struct json *select = json_object(a), *options = json_array(a), *elements = json_array(a);
    int i = 0;
    JSON_EACH(choice, choices)
    {
        json_push(a, options,
                  slack_option(a, json_text(choice),
                               arena_printf(a, "%s:%d", json_text_or(r, "id", ""), i++)));
    }
    json_set_text(a, select, "type", "static_select");
    json_set_text(a, select, "action_id", SLACK_ANSWER);
    json_set(a, select, "placeholder", slack_plain(a, "Choose an answer", SLACK_BUTTON_MAX));
    json_set(a, select, "options", options);
    json_push(a, elements, select);
    add_buttons(a, blocks, r, elements);
}

/* What opens a form. */
static void add_form_button(struct arena *a, struct json *blocks, const struct json *r,
                            const char *action, const char *label)
{
    struct json *elements = json_array(a);
    add_button(a, elements, r, action, label, NULL);
    add_buttons(a, blocks, r, elements);
}

static void add_answer_parts(struct arena *a, struct json *blocks, const struct json *r)
{
    const char *format = json_text_or(r, "options.format", "free_text");
    const struct json *choices = json_at(r, "options.choices");
    size_t n = json_count(choices);
    if (strcmp(format, "yes_no") == 0) {
        add_choice_buttons(a, blocks, r, json_parse_own(a, "[\"yes\",\"no\"]"));
    } else if (strcmp(format, "multiple_choice") != 0) {
        add_form_button(a, blocks, r, SLACK_REPLY, "Answer");
        slack_add_context(a, blocks, "or reply in this thread");
    } else if (n <= SLACK_BUTTONS_MAX) {
        add_choice_buttons(a, blocks, r, choices);
    } else if (n <= SLACK_OPTIONS_MAX) {
        add_choice_select(a, blocks, r, choices);
    } else {
        add_form_button(a, blocks, r, SLACK_CHOOSE, "Choose an answer");
        slack_add_context(a, blocks, arena_printf(a, "%zu choices, with a search", n));
    }
}

/* ---- the whole --------------------------------------------------------------------------- */

static void add_approval(struct arena *a, struct json *blocks, const struct json *r)
{
    const char *tool = json_text_or(r, "tool", "");
    slack_add_header(a, blocks,
                     is_open(r) ? arena_printf(a, "Sign off %s?", tool)
                                : arena_printf(a, "%s: %s", tool, json_text_or(r, "status", "")));
    slack_add_long(a, blocks, call_text(a, r));
    add_long_arguments(a, blocks, json_get(r, "arguments"));
    slack_add_section(a, blocks, edited_text(a, r));
    slack_add_long(a, blocks, changes_text(a, r));
}

static void add_question(struct arena *a, struct json *blocks, const struct json *r)
{
    slack_add_header(
        a, blocks,
        arena_printf(a, "%s asks", text_one_line(a, json_text_or(r, "agent", "An agent"))));
    slack_add_long(a, blocks, slack_escape(a, json_text_or(r, "question", ""), SLACK_SECTION_MAX));
    if (json_text_at(r, "context") != NULL)
        slack_add_long(a, blocks,
                       slack_escape(a, json_text_at(r, "context"), 2 * SLACK_SECTION_MAX));
}

static void add_footer(struct arena *a, struct json *blocks, const struct message *msg)
{
    const struct json *r = msg->request;
    struct strbuf b;
    strbuf_init(&b, a, SLACK_BUILD_MAX);
    if (json_text_at(r, "may_decide") != NULL)
        strbuf_addf(&b, "May decide: %s. ", slack_words(a, json_text_at(r, "may_decide"), 300));
    if (json_text_at(r, "requester_name") != NULL)
        strbuf_addf(&b, "Asked for by %s. ", slack_words(a, json_text_at(r, "requester_name"), 80));
    if (json_text_at(r, "expires_at") != NULL)
        strbuf_addf(&b, "Expires %s. ", slack_date(a, json_text_at(r, "expires_at")));
    strbuf_addf(&b, "Request %s, <%s/requests/%s|on the page>", json_text_or(r, "code", ""),
                msg->public_url, json_text_or(r, "id", ""));
    slack_add_context(a, blocks, b.text);
}

void slack_add_card(struct arena *a, struct json *blocks, const struct message *msg)
{
    const struct json *r = msg->request;
    bool approval = text_eq(json_text_at(r, "kind"), "approval");
    if (msg->repeat)
        slack_add_context(
            a, blocks,
            "This may be a repeat: the first copy's fate is unknown. All copies are one request.");
    if (approval)
        add_approval(a, blocks, r);
    else
        add_question(a, blocks, r);
    if (!is_open(r)) {
        slack_add_long(a, blocks, decided_text(a, r));
    } else {
        slack_add_section(a, blocks, votes_text(a, r));
        if (approval)
            add_approval_buttons(a, blocks, r);
        else
            add_answer_parts(a, blocks, r);
    }
    add_footer(a, blocks, msg);
}

char *slack_card_text(struct arena *a, const struct json *r)
{
    const char *status = json_text_or(r, "status", "");
    if (!text_eq(json_text_at(r, "kind"), "approval"))
        return arena_printf(a, "%s asks: %s%s%s", json_text_or(r, "agent", "An agent"),
                            json_text_or(r, "question", ""), is_open(r) ? "" : " Answered: ",
                            is_open(r) ? "" : json_text_or(r, "answer", status));
    struct strbuf b;
    strbuf_init(&b, a, SLACK_BUILD_MAX);
    strbuf_addf(&b, "%s proposes %s", json_text_or(r, "agent", "Somebody"),
                json_text_or(r, "tool", ""));
    JSON_EACH(arg, json_get(r, "arguments"))
    {
        strbuf_addf(&b, ", %s %s", arg->key, text_truncate(a, value_text(a, arg), 300));
    }
    strbuf_addf(&b, ". Request %s", json_text_or(r, "code", ""));
    if (is_open(r))
        strbuf_add(&b, has_edit(a, r) ? ": approve, reject or edit." : ": approve or reject.");
    else
        strbuf_addf(&b, ": %s by %s.%s%s", status, json_text_or(r, "by", "nobody"),
                    json_text_at(r, "comment") == NULL ? "" : " ", json_text_or(r, "comment", ""));
    return b.text;
}
