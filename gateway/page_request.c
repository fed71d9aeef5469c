/* One request: what is asked, what would change, who may decide, and the buttons. See pages.h. */
#include "gateway/base/text.h"
#include "gateway/pages_private.h"
#include "gateway/views.h"

#include <string.h>

enum { COMMITS_SHOWN = 20, DIGEST_SHOWN = 16 };

struct request_page {
    const struct page_request *in;
    struct request_row row;
    struct json *view;
    struct strbuf b;
};

/* ---- who may ---- */

enum may_vote may_vote(const struct page_request *in, const struct request_row *row,
                       const char **why)
{
    struct policy policy;
    struct matter matter;
    struct err err = ERR_INIT;
    if (why != NULL)
        *why = NULL;
    if (strcmp(row->status, "open") != 0 ||
        (row->expires_at_ms > 0 && row->expires_at_ms <= in->now_ms))
        return MAY_NOT;
    if (strcmp(row->kind, "question") == 0)
        return MAY_DECIDE;
    if (!view_matter(in->a, in->config, row, in->now_ms, &policy, &matter))
        return MAY_NOT;
    if (policy_may_vote(&matter, in->person->id, true, &err))
        return MAY_DECIDE;
    if (why != NULL)
        *why = arena_strdup(in->a, err.text);
    return policy_may_vote(&matter, in->person->id, false, &err) ? MAY_REJECT : MAY_NOT;
}

/* ---- what changes ---- */

static int64_t time_at(const struct json *from, const char *path)
{
    int64_t at_ms = 0;
    const char *text = json_text_at(from, path);
    return text != NULL && time_parse(text, &at_ms) ? at_ms : 0;
}

static const char *proposed_sha(const struct request_page *x)
{
    const char *ref = json_text_at(x->view, "target.ref");
    return ref == NULL ? NULL : json_text(json_get(json_get(x->view, "arguments"), ref));
}

static void add_warning(struct request_page *x, enum tone tone, const char *strong,
                        const char *rest)
{
    html_add(&x->b, "<div class=\"say %s\"><p><strong>%s</strong> %s</p></div>", tone_name(tone),
             strong, rest);
}

static void add_warnings(struct request_page *x)
{
    const struct json *facts = json_get(x->view, "facts");
    const char *status = json_text_or(facts, "compare.status", "");
    long long behind = (long long)json_int_or(json_at(facts, "compare.behind_by"), 0);
    const char *taken = arena_printf(x->in->a, "It takes back %lld commit%s that run there now.",
                                     behind, behind == 1 ? "" : "s");
    if (strcmp(status, "behind") == 0)
        add_warning(x, TONE_BAD, "This is a DOWNGRADE.", taken);
    else if (strcmp(status, "diverged") == 0)
        add_warning(x, TONE_BAD, "This is partly a DOWNGRADE: the commits diverged.", taken);
    if (json_get(facts, "named") != NULL && !json_is_true(json_get(facts, "named")))
        add_warning(x, TONE_WAIT, "No event of this thread names this commit.",
                    "The agent has it from somewhere else.");
    if (json_text_at(facts, "place.refused") != NULL)
        add_warning(x, TONE_WAIT, "It would be refused now:", json_text_at(facts, "place.refused"));
    if (text_eq(json_text_at(facts, "place.state"), "unknown"))
        add_warning(x, TONE_WAIT, "What runs there now is not known.",
                    "The last deployment there did not end well.");
}

static void add_change_line(struct request_page *x, const char *sha)
{
    const char *current = json_text_at(x->view, "facts.place.current");
    const char *subject = json_text_at(x->view, "facts.commit.subject");
    html_raw(&x->b, "<div class=\"change\">");
    if (text_eq(current, sha))
        html_add(&x->b,
                 "<span class=\"to\" title=\"%s\">%s</span> <span class=\"arrow\">runs there "
                 "already</span>",
                 sha, short_sha(x->in->a, sha));
    else
        html_add(
            &x->b,
            "<span title=\"%s\">%s</span> <span class=\"arrow\" aria-label=\"becomes\">→</span>"
            " <span class=\"to\" title=\"%s\">%s</span>",
            current == NULL ? "" : current,
            current == NULL ? "nothing known" : short_sha(x->in->a, current), sha,
            short_sha(x->in->a, sha));
    html_raw(&x->b, "</div>");
    if (subject != NULL)
        html_add(&x->b, "<p>%s <span class=\"dim\">by %s</span></p>", subject,
                 json_text_or(x->view, "facts.commit.author", "somebody"));
}

static void add_commits(struct request_page *x)
{
    const struct json *compare = json_at(x->view, "facts.compare");
    size_t n = json_count(json_get(compare, "commits")), shown = 0;
    bool back = text_eq(json_text_at(compare, "status"), "behind");
    if (n == 0)
        return;
    html_add(&x->b, "<p class=\"sub\">%lld commit%s %s</p><ul class=\"commits\">", (long long)n,
             n == 1 ? "" : "s", back ? "would be taken back:" : "between them:");
    JSON_EACH(commit, json_get(compare, "commits"))
    {
        if (shown++ == COMMITS_SHOWN)
            break;
        html_add(&x->b, "<li><code title=\"%s\">%s</code><span>%s</span>",
                 json_text_or(commit, "sha", ""),
                 short_sha(x->in->a, json_text_or(commit, "sha", "")),
                 json_text_or(commit, "subject", ""));
        html_add(&x->b, "<span class=\"by\">%s, ", json_text_or(commit, "author", "somebody"));
        html_ago(&x->b, time_at(commit, "at"), x->in->now_ms);
        html_raw(&x->b, "</span></li>");
    }
    html_raw(&x->b, "</ul>");
    if (n > COMMITS_SHOWN || json_is_true(json_get(compare, "more")))
        html_raw(&x->b, "<p class=\"dim small\">… and more.</p>");
}

static void add_history(struct request_page *x, const char *sha)
{
    const struct json *place = json_at(x->view, "facts.place");
    const char *given = json_text_at(x->view, "facts.given");
    if (json_get(place, "ran_before") != NULL) {
        html_add(&x->b, "<p class=\"sub\">It ran there before: deployed ");
        html_ago(&x->b, time_at(place, "ran_before.ended_at"), x->in->now_ms);
        html_add(&x->b, ", ended %s.</p>", json_text_or(place, "ran_before.outcome", "somehow"));
    } else if (json_is_true(json_at(x->view, "target.rollback"))) {
        html_raw(&x->b, "<p class=\"sub\">Whether it ran there before is not known here.</p>");
    }
    if (json_text_at(place, "passed_on") != NULL)
        html_add(&x->b, "<p class=\"sub\">It passed on %s.</p>", json_text_at(place, "passed_on"));
    if (given != NULL && !text_eq(given, sha))
        html_add(&x->b, "<p class=\"sub\">The agent gave it as <code>%s</code>.</p>", given);
}

static void add_change(struct request_page *x)
{
    const char *sha = proposed_sha(x), *target = target_text(x->in->a, json_get(x->view, "target"));
    if (sha == NULL && target == NULL)
        return;
    html_add(&x->b, "<section class=\"card\" data-key=\"change\"><h2>What changes%s%s</h2>",
             target == NULL ? "" : " in ", target == NULL ? "" : target);
    if (sha != NULL)
        add_change_line(x, sha);
    add_warnings(x);
    if (sha != NULL)
        add_history(x, sha);
    add_commits(x);
    html_raw(&x->b, "</section>");
}

/* ---- what is asked ---- */

/* Every argument, exactly as it is stored: texts as they are, all else as JSON. */
static void add_arguments(struct request_page *x)
{
    const struct json *arguments = json_get(x->view, "arguments");
    if (json_count(arguments) == 0)
        return;
    html_raw(&x->b, "<section class=\"card\" data-key=\"arguments\"><h2>Arguments</h2>"
                    "<dl class=\"facts arguments\">");
    JSON_EACH(argument, arguments)
    {
        html_add(&x->b, "<dt>%s</dt><dd>", argument->key);
        html_block(&x->b, json_text(argument) != NULL ? json_text(argument)
                                                      : json_canonical(x->in->a, argument));
        html_raw(&x->b, "</dd>");
    }
    html_raw(&x->b, "</dl></section>");
}

static void add_title(struct request_page *x)
{
    const char *agent = json_text_at(x->view, "agent");
    bool is_open = strcmp(x->row.status, "open") == 0, question = x->row.tool == NULL;
    html_add(&x->b, "<section class=\"card\" data-key=\"title-%s\"><p class=\"sub\">%s %s</p>",
             x->row.status, agent == NULL ? "Somebody outside" : agent,
             question  ? "asks"
             : is_open ? "asks for your sign-off of"
                       : "asked for sign-off of");
    if (question) {
        html_raw(&x->b, "<h1 class=\"question\">");
        html_block(&x->b, json_text_or(x->view, "question", ""));
        html_raw(&x->b, "</h1>");
    } else {
        html_add(&x->b, "<h1 class=\"tool\">%s</h1>", x->row.tool);
    }
    if (json_text_at(x->view, "description") != NULL)
        html_add(&x->b, "<p>%s</p>", json_text_at(x->view, "description"));
    if (json_get(x->view, "edited") != NULL)
        html_add(&x->b,
                 "<p class=\"sub\">Edited by %s: takes the place of <a href=\"/requests/%s\">"
                 "request %s</a>.</p>",
                 json_text_or(x->view, "edited.by", ""),
                 json_text_or(x->view, "edited.request", ""),
                 json_text_or(x->view, "edited.code", ""));
    html_raw(&x->b, "<div class=\"row\">");
    html_chip(&x->b, tone_of_status(x->row.status), x->row.status);
    html_add(&x->b, "<span class=\"sub\">request <span class=\"mono\">%s</span></span></div>",
             x->row.code);
    if (question && json_text_at(x->view, "context") != NULL) {
        html_raw(&x->b, "<pre class=\"block\">");
        html_block(&x->b, json_text_at(x->view, "context"));
        html_raw(&x->b, "</pre>");
    }
    html_raw(&x->b, "</section>");
}

static void add_votes(struct request_page *x)
{
    const struct json *votes = json_get(x->view, "votes");
    if (json_count(votes) == 0)
        return;
    html_raw(&x->b, "<dt>Votes</dt><dd><ul class=\"votes\">");
    JSON_EACH(vote, votes)
    {
        const char *id = json_text_or(vote, "person", "");
        const struct person *person = person_by_id(&x->in->config->people, id);
        html_add(&x->b, "<li>%s: %s, ", person == NULL ? id : person->name,
                 json_text_or(vote, "decision", ""));
        html_ago(&x->b, time_at(vote, "at"), x->in->now_ms);
        html_add(&x->b, " <span class=\"dim\">by %s</span>", json_text_or(vote, "via", ""));
        if (json_text_at(vote, "comment") != NULL)
            html_add(&x->b, " “%s”", flat_text(x->in->a, json_text_at(vote, "comment")));
        html_raw(&x->b, "</li>");
    }
    html_raw(&x->b, "</ul></dd>");
}

static void add_facts(struct request_page *x)
{
    const char *may = json_text_at(x->view, "may_decide"), *title = json_text_at(x->view, "title");
    const char *asked_by = json_text_at(x->view, "requester_name");
    html_raw(&x->b, "<section class=\"card\" data-key=\"facts\"><h2>Behind it</h2>"
                    "<dl class=\"facts\">");
    html_add(&x->b, "<dt>Thread</dt><dd><a href=\"/threads/%s\">%s</a></dd>", x->row.thread,
             title == NULL ? x->row.thread : title);
    if (asked_by != NULL)
        html_add(&x->b, "<dt>For</dt><dd>%s</dd>", asked_by);
    if (may != NULL)
        html_add(&x->b, "<dt>May decide</dt><dd>%s</dd>", may);
    else if (x->row.tool == NULL)
        html_raw(&x->b, "<dt>May answer</dt><dd>anybody who is signed in</dd>");
    html_raw(&x->b, "<dt>Asked</dt><dd>");
    html_ago(&x->b, x->row.raised_at_ms, x->in->now_ms);
    html_raw(&x->b, "</dd><dt>Expires</dt><dd>");
    html_ago(&x->b, x->row.expires_at_ms, x->in->now_ms);
    html_raw(&x->b, "</dd>");
    add_votes(x);
    html_add(
        &x->b,
        "<dt>Digest</dt><dd><span class=\"mono\" title=\"SHA-256 %s\">%s…</span> "
        "<span class=\"dim small\">what is approved is what runs</span></dd></dl></section>",
        x->row.digest,
        arena_strndup(x->in->a, x->row.digest,
                      strlen(x->row.digest) < DIGEST_SHOWN ? strlen(x->row.digest) : DIGEST_SHOWN));
}

/* ---- deciding ---- */

static void add_answer_field(struct request_page *x, struct strbuf *b)
{
    const char *format = json_text_or(x->view, "options.format", "free_text");
    int at = 0;
    if (strcmp(format, "yes_no") == 0) {
        html_raw(b, "<button class=\"button primary\" type=\"submit\" name=\"answer\" "
                    "value=\"yes\">Yes</button><button class=\"button\" type=\"submit\" "
                    "name=\"answer\" value=\"no\">No</button>");
    } else if (strcmp(format, "multiple_choice") == 0) {
        JSON_EACH(choice, json_at(x->view, "options.choices"))
        {
            html_add(b,
                     "<button class=\"button\" type=\"submit\" name=\"answer\" "
                     "value=\"choice:%d\">%s</button>",
                     at++, json_text(choice) == NULL ? "" : json_text(choice));
        }
    } else {
        html_raw(b, "<label for=\"answer\">Your answer</label><textarea id=\"answer\" "
                    "name=\"answer\" rows=\"4\" maxlength=\"20000\" required></textarea>"
                    "<button class=\"button primary\" type=\"submit\">Answer</button>");
    }
}

static const char *vote_form(struct request_page *x, const char *file)
{
    return PAGE_PART(x->in, file, {.name = "id", .text = x->row.id},
                     {.name = "form_token", .text = x->in->form_token});
}

/* Each argument that may be changed, as it is now. */
static void add_edit_form(struct request_page *x)
{
    struct strbuf fields;
    strbuf_init(&fields, x->in->a, HTML_BYTES);
    JSON_EACH(name, json_get(x->view, "editable"))
    {
        const struct json *value = json_get(json_get(x->view, "arguments"), json_text(name));
        const char *text = value == NULL              ? ""
                           : json_text(value) != NULL ? json_text(value)
                                                      : json_write(x->in->a, value);
        html_add(&fields,
                 "<label for=\"arg.%s\">%s</label>"
                 "<textarea id=\"arg.%s\" name=\"arg.%s\" rows=\"%d\">\n%s</textarea>",
                 json_text(name), json_text(name), json_text(name), json_text(name),
                 strchr(text, '\n') == NULL ? 1 : 6, text);
    }
    if (fields.len > 0)
        html_raw(&x->b, PAGE_PART(x->in, "edit.html", {.name = "id", .text = x->row.id},
                                  {.name = "form_token", .text = x->in->form_token},
                                  {.name = "fields", .text = fields.text, .is_escaped = true}));
}

static void add_buttons(struct request_page *x)
{
    struct strbuf field;
    const char *why;
    enum may_vote may = may_vote(x->in, &x->row, &why);
    bool question = x->row.tool == NULL && strcmp(x->row.kind, "question") == 0;
    html_add(&x->b, "<section class=\"card%s\" data-key=\"decide\">",
             question || may == MAY_NOT ? "" : " reach");
    if (why != NULL)
        html_add(&x->b, "<p>%s: %s.</p>",
                 may == MAY_REJECT ? "You may reject it, but not approve it"
                                   : "You may not decide this",
                 why);
    if (question && may == MAY_DECIDE) {
        strbuf_init(&field, x->in->a, HTML_BYTES);
        add_answer_field(x, &field);
        html_raw(&x->b, PAGE_PART(x->in, "answer.html", {.name = "id", .text = x->row.id},
                                  {.name = "form_token", .text = x->in->form_token},
                                  {.name = "field", .text = field.text, .is_escaped = true}));
    } else if (may != MAY_NOT) {
        html_raw(&x->b, "<div class=\"decide\">");
        html_raw(&x->b, may == MAY_DECIDE ? vote_form(x, "approve.html") : "");
        html_raw(&x->b, vote_form(x, "reject.html"));
        add_edit_form(x);
        html_raw(&x->b, "</div>");
    } else if (why == NULL) {
        html_raw(&x->b, "<p>Its time is over; nobody can decide it any more.</p>");
    }
    html_raw(&x->b, "</section>");
}

static void add_outcome(struct request_page *x)
{
    const char *by = json_text_at(x->view, "by"), *status = x->row.status;
    const char *words = x->row.answer != NULL ? x->row.answer : x->row.comment;
    bool by_person = by != NULL && strcmp(by, "system") != 0;
    char *word = arena_strdup(x->in->a, status);
    word[0] = word[0] >= 'a' && word[0] <= 'z' ? (char)(word[0] - 'a' + 'A') : word[0];
    html_add(&x->b,
             "<div class=\"say %s\" role=\"status\" data-key=\"outcome\"><p><strong>%s%s%s"
             "</strong> ",
             tone_name(tone_of_status(status)), word, by_person ? " by " : "", by_person ? by : "");
    html_ago(&x->b, x->row.decided_at_ms, x->in->now_ms);
    html_add(&x->b, " · <a href=\"/threads/%s\">what happens next</a></p>", x->row.thread);
    if (words != NULL) {
        html_raw(&x->b, "<pre class=\"words\">");
        html_block(&x->b, words);
        html_raw(&x->b, "</pre>");
    }
    html_raw(&x->b, "</div>");
}

/* What the vote that was just posted did. */
static void add_result(struct request_page *x)
{
    static const struct {
        const char *word;
        enum tone tone;
        const char *sentence;
    } rows[] = {
        {"decided", TONE_GOOD, "Thank you: your vote decided it."}, /* the outcome says it too */
        {"counted", TONE_GOOD, "Your vote counts; the request needs more and is still open."},
        {"same", TONE_PLAIN, "You had voted so already; nothing changed."},
        {"not_allowed", TONE_BAD, "Your vote did not count: you may not decide this so."},
        {"too_late", TONE_WAIT, "Your vote came too late and did not count."},
        {"invalid", TONE_BAD, "That did not fit this request; nothing changed."},
        {"checking", TONE_WAIT,
         "Your change is being checked; a new request takes this one's place."},
    };
    const char *result =
        x->in->query == NULL ? NULL : form_value(x->in->a, span_of(x->in->query), "result");
    for (size_t i = 0; result != NULL && i < COUNT(rows); i++)
        if (strcmp(rows[i].word, result) == 0 && (i > 0 || strcmp(x->row.status, "open") == 0))
            html_add(&x->b,
                     "<div class=\"say %s\" role=\"status\" data-key=\"result\"><p>%s</p>"
                     "</div>",
                     tone_name(rows[i].tone), rows[i].sentence);
}

bool page_request(const struct page_request *in, const char *id, struct page *out, struct err *err)
{
    struct request_page x = {.in = in};
    strbuf_init(&x.b, in->a, HTML_BYTES);
    if (!store_find_request(in->store, in->a, id, &x.row, err) ||
        !view_request(in->a, in->config, in->store, &x.row, &x.view, err))
        return false;
    bool is_open = strcmp(x.row.status, "open") == 0;
    add_result(&x);
    if (!is_open)
        add_outcome(&x);
    add_title(&x);
    if (x.row.tool != NULL)
        add_change(&x);
    if (x.row.tool != NULL)
        add_arguments(&x);
    if (is_open)
        add_buttons(&x);
    add_facts(&x);
    if (page_wants_part(in)) {
        page_alone(in, x.b.text, out);
        return true;
    }
    char *content = PAGE_PART(in, "request.html", {.name = "id", .text = x.row.id},
                              {.name = "thread", .text = x.row.thread},
                              {.name = "live", .text = x.b.text, .is_escaped = true});
    page_frame(in, 200, request_subject(in->a, x.view), "slim", content, out);
    return true;
}
