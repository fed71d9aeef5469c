/* See policy.h. A rule is a tree; every question about a policy is one walk over it. */
#include "agents/policy.h"

#include "gateway/base/text.h"

#include <string.h>

enum {
    RULE_MAX_DEPTH = 8,
    RULE_MAX_PARTS = 50,
    DAY_MS = 24 * 60 * 60 * 1000,
};

#define YEAR_MS (365 * (int64_t)DAY_MS)

/* ---- the keys ---------------------------------------------------------------------------- */

/* A rule as it is written. */
struct rule_words {
    const char *role, *person;
    int64_t count, after_ms;
    const struct json *any_of, *all_of;
};

static const struct field rule_rows[] = {
    F_TEXT(struct rule_words, role, "role", 0, NULL, "people with this role may approve",
           .max = 64),
    F_TEXT(struct rule_words, person, "person", 0, NULL, "this person may approve", .max = 64),
    F_INT(struct rule_words, count, "count", 0, 1, 100, "1",
          "with `role`: how many different people must approve"),
    F_JSON(struct rule_words, any_of, "any_of", FIELD_OWN,
           "a list of rules, of which one is enough"),
    F_JSON(struct rule_words, all_of, "all_of", FIELD_OWN,
           "a list of rules, all of which are needed; one person may fill several"),
    F_DURATION(struct rule_words, after_ms, "after", 0, 0, YEAR_MS, "0s",
               "counts only this long after the request was raised"),
};

static const struct field ask_rows[] = {
    F_DURATION(struct ask_step, after_ms, "after", 0, 0, YEAR_MS, "0s",
               "how long after the request was raised; at once when left out"),
    F_TEXT(struct ask_step, channel, "channel", FIELD_REQUIRED, NULL, "a channel's name"),
    F_TEXT(struct ask_step, to, "to", 0, NULL,
           "an address of that channel, role:NAME or person:ID"),
};

static const struct field escalate_rows[] = {
    F_TEXT(struct ask_step, channel, "channel", FIELD_REQUIRED, NULL, "a channel's name"),
    F_TEXT(struct ask_step, to, "to", FIELD_REQUIRED, NULL,
           "an address of that channel, role:NAME or person:ID"),
};

static const char *const on_expire_words[] = {"refuse", "escalate", "keep", NULL};
static const char *const grant_words[] = {"once", "thread", "until", NULL};

/* `approve` is parsed by hand, because it nests; its node waits here. */
struct policy_words {
    struct policy policy;
    const struct json *approve;
};

#define P(member) policy.member

const struct field policy_rows[] = {
    F_LINE(struct policy_words, P(line)),
    F_SOURCE(struct policy_words, P(source)),
    F_JSON(struct policy_words, approve, "approve", FIELD_REQUIRED | FIELD_OWN,
           "who must approve: a rule with one of `role`, `person`, `any_of` and `all_of`",
           .rows = rule_rows, .n_rows = COUNT(rule_rows)),
    F_INT(struct policy_words, P(reject), "reject", 0, 1, 100, "1",
          "how many people must reject it; who may approve may reject, the requester always may"),
    F_BOOL(struct policy_words, P(not_requester), "not_requester", 0, "false",
           "whoever asked for it cannot approve it"),
    F_LIST(struct policy_words, P(ask), P(n_ask), struct ask_step, "ask", 0, ask_rows,
           "whom to ask, where and when; the inbox shows every request in any case"),
    F_DURATION(struct policy_words, P(remind_ms), "remind", FIELD_NOT_YET, 1000, YEAR_MS, NULL,
               "asks again this often while nobody has decided"),
    F_DURATION(struct policy_words, P(expire_ms), "expire", 0, 1000, YEAR_MS, "24h",
               "how long the request stays open"),
    F_ENUM(struct policy_words, P(on_expire), enum on_expire, "on_expire", 0, on_expire_words,
           "refuse",
           "then: it does not run; others are asked for the same time again; or it stays open"),
    F_SECTION(struct policy_words, P(escalate), struct ask_step, "escalate", FIELD_NOT_YET,
              escalate_rows, "who is asked when it expires, with `on_expire: escalate`"),
    {.key = "grants",
     .type = FIELD_TEXTS,
     .flags = FIELD_NOT_YET,
     .offset = FIELD_NOWHERE,
     .count_offset = FIELD_NOWHERE,
     .choices = grant_words,
     .help = "what one sign-off may cover, besides the one call"},
};
const size_t n_policy_rows = COUNT(policy_rows);

/* ---- reading ----------------------------------------------------------------------------- */

struct parser {
    struct arena *arena;
    struct problems *problems;
    int depth;
};

static bool parse_rule(struct parser *p, const struct json *j, struct rule *out);

static bool parse_parts(struct parser *p, const struct json *list, const char *key,
                        struct rule *out)
{
    size_t n = json_count(list), i = 0;
    if (list->type != JSON_ARRAY || n == 0 || n > RULE_MAX_PARTS)
        return problem(p->problems, PROBLEM_ERROR, list, key, "must be a list of 1 to %d rules",
                       RULE_MAX_PARTS);
    if (p->depth == RULE_MAX_DEPTH)
        return problem(p->problems, PROBLEM_ERROR, list, key, "rules nest deeper than %d levels",
                       RULE_MAX_DEPTH);
    const char *path = p->problems->path;
    bool ok = true;
    out->parts = ARENA_ARRAY(p->arena, struct rule, n);
    out->n_parts = n;
    p->depth++;
    JSON_EACH(part, list)
    {
        p->problems->path = arena_printf(p->arena, "%s.%s.%zu", path, key, i);
        ok = parse_rule(p, part, &out->parts[i++]) && ok;
    }
    p->depth--;
    p->problems->path = path;
    return ok;
}

static bool parse_rule(struct parser *p, const struct json *j, struct rule *out)
{
    struct rule_words words = {0};
    if (!fields_decode(p->arena, rule_rows, COUNT(rule_rows), j, &words, p->problems))
        return false;
    int kinds = (words.role != NULL) + (words.person != NULL) + (words.any_of != NULL) +
                (words.all_of != NULL);
    if (kinds != 1)
        return problem(p->problems, PROBLEM_ERROR, j, NULL,
                       "needs exactly one of role, person, any_of and all_of");
    if (words.role == NULL && json_get(j, "count") != NULL)
        return problem(p->problems, PROBLEM_ERROR, json_get(j, "count"), "count",
                       "goes with role only");
    *out = (struct rule){.count = words.count, .after_ms = words.after_ms};
    if (words.any_of != NULL || words.all_of != NULL) {
        out->kind = words.any_of != NULL ? RULE_ANY_OF : RULE_ALL_OF;
        return words.any_of != NULL ? parse_parts(p, words.any_of, "any_of", out)
                                    : parse_parts(p, words.all_of, "all_of", out);
    }
    out->kind = words.role != NULL ? RULE_ROLE : RULE_PERSON;
    out->who = words.role != NULL ? words.role : words.person;
    return true;
}

static void check_expiry(const struct policy *policy, struct problems *problems)
{
    const struct json *on_expire = json_get(policy->source, "on_expire");
    if (policy->on_expire != EXPIRE_ESCALATE)
        return;
    if (policy->escalate.channel == NULL)
        problem(problems, PROBLEM_ERROR, on_expire, "on_expire",
                "escalate needs the key escalate: who is asked then");
    else
        problem(problems, PROBLEM_WARNING, on_expire, "on_expire",
                "escalate is checked, but acts as refuse in this version");
}

bool policy_parse(struct arena *a, const char *name, const struct json *source, struct policy *out,
                  struct problems *problems)
{
    struct problems uncounted = {0};
    struct parser p = {a, problems != NULL ? problems : &uncounted, 0};
    size_t before = p.problems->errors;
    const char *path = p.problems->path;
    struct policy_words words = {0};
    fields_decode(a, policy_rows, n_policy_rows, source, &words, p.problems);
    if (words.approve != NULL) {
        p.problems->path = arena_printf(a, "%s%sapprove", path != NULL ? path : "",
                                        path != NULL && *path != '\0' ? "." : "");
        parse_rule(&p, words.approve, &words.policy.approve);
        p.problems->path = path;
    }
    check_expiry(&words.policy, p.problems);
    words.policy.name = name;
    if (p.problems->errors != before)
        return false;
    *out = words.policy;
    return true;
}

/* ---- counting ---------------------------------------------------------------------------- */

/* What a rule is held against. */
struct ballot {
    const struct policy *policy;
    const struct people *people;
    const char *requester;
    const char *const *editors;
    size_t n_editors;
    const struct vote *votes;
    size_t n_votes;
    int64_t age_ms; /* of the request */
    bool everybody; /* instead of the votes: all have approved */
};

/* A clock that was set back makes no request younger than new. */
static int64_t age_of(int64_t raised_at_ms, int64_t now_ms)
{
    return now_ms > raised_at_ms ? now_ms - raised_at_ms : 0;
}

static const struct vote *last_vote(const struct ballot *b, const char *person)
{
    for (size_t i = b->n_votes; i > 0; i--)
        if (strcmp(b->votes[i - 1].person, person) == 0)
            return &b->votes[i - 1];
    return NULL;
}

static bool is_requester(const struct ballot *b, const char *person)
{
    return b->requester != NULL && strcmp(b->requester, person) == 0;
}

static bool is_editor(const char *const *editors, size_t n, const char *person)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(editors[i], person) == 0)
            return true;
    return false;
}

/* Who asked for it, or changed what was asked for. */
static bool is_behind_it(const struct ballot *b, const char *person)
{
    return is_requester(b, person) || is_editor(b->editors, b->n_editors, person);
}

static bool has_approved(const struct ballot *b, const char *person)
{
    if (b->policy->not_requester && is_behind_it(b, person))
        return false;
    const struct vote *vote = last_vote(b, person);
    return b->everybody || (vote != NULL && vote->approve);
}

static int64_t count_approvals(const struct ballot *b, const char *role)
{
    int64_t n = 0;
    for (size_t i = 0; i < b->people->count; i++) {
        const struct person *person = &b->people->list[i];
        n += person_has_role(person, role) && has_approved(b, person->id);
    }
    return n;
}

/* `count` is 0 in literals that leave it out. */
static int64_t needed(const struct rule *rule)
{
    return rule->count < 1 ? 1 : rule->count;
}

static bool is_met(const struct ballot *b, const struct rule *rule)
{
    size_t met = 0;
    if (b->age_ms < rule->after_ms)
        return false;
    switch (rule->kind) {
    case RULE_ROLE:
        return count_approvals(b, rule->who) >= needed(rule);
    case RULE_PERSON:
        return person_by_id(b->people, rule->who) != NULL && has_approved(b, rule->who);
    case RULE_ANY_OF:
    case RULE_ALL_OF:
        for (size_t i = 0; i < rule->n_parts; i++)
            met += is_met(b, &rule->parts[i]);
        return rule->kind == RULE_ANY_OF ? met > 0 : rule->n_parts > 0 && met == rule->n_parts;
    }
    UNREACHABLE();
}

/* Does any part of the rule that counts by now name this person? */
static bool names(const struct rule *rule, const struct person *person, int64_t age_ms)
{
    if (age_ms < rule->after_ms)
        return false;
    switch (rule->kind) {
    case RULE_ROLE:
        return person_has_role(person, rule->who);
    case RULE_PERSON:
        return strcmp(person->id, rule->who) == 0;
    case RULE_ANY_OF:
    case RULE_ALL_OF:
        for (size_t i = 0; i < rule->n_parts; i++)
            if (names(&rule->parts[i], person, age_ms))
                return true;
        return false;
    }
    UNREACHABLE();
}

static int64_t count_rejections(const struct ballot *b)
{
    int64_t n = 0;
    for (size_t i = 0; i < b->people->count; i++) {
        const struct person *person = &b->people->list[i];
        const struct vote *vote = last_vote(b, person->id);
        n += vote != NULL && !vote->approve &&
             (is_behind_it(b, person->id) || names(&b->policy->approve, person, b->age_ms));
    }
    return n;
}

enum verdict policy_verdict(const struct matter *m, const struct vote *votes, size_t n_votes)
{
    struct ballot b = {.policy = m->policy,
                       .people = m->people,
                       .requester = m->requester,
                       .editors = m->editors,
                       .n_editors = m->n_editors,
                       .votes = votes,
                       .n_votes = n_votes,
                       .age_ms = age_of(m->raised_at_ms, m->now_ms)};
    if (count_rejections(&b) >= (m->policy->reject < 1 ? 1 : m->policy->reject))
        return VERDICT_REJECTED;
    return is_met(&b, &m->policy->approve) ? VERDICT_APPROVED : VERDICT_OPEN;
}

static void find_next_after(const struct rule *rule, int64_t age_ms, int64_t *next)
{
    if (rule->after_ms > age_ms && (*next == 0 || rule->after_ms < *next))
        *next = rule->after_ms;
    for (size_t i = 0; i < rule->n_parts; i++)
        find_next_after(&rule->parts[i], age_ms, next);
}

int64_t policy_next_change_ms(const struct policy *policy, int64_t raised_at_ms, int64_t now_ms)
{
    int64_t next = 0;
    find_next_after(&policy->approve, age_of(raised_at_ms, now_ms), &next);
    return next == 0 ? 0 : raised_at_ms + next;
}

/* ---- who may vote ------------------------------------------------------------------------ */

/* All roles and people of the rule that count by `age_ms`, each once: "deployer, lead or Dana". */
static void list_who(struct strbuf *out, const struct rule *rule, const struct people *people,
                     int64_t age_ms, struct json *seen)
{
    if (age_ms < rule->after_ms)
        return;
    for (size_t i = 0; i < rule->n_parts; i++)
        list_who(out, &rule->parts[i], people, age_ms, seen);
    if (rule->who == NULL || json_get(seen, rule->who) != NULL)
        return;
    const struct person *person =
        rule->kind == RULE_PERSON ? person_by_id(people, rule->who) : NULL;
    const char *word = person != NULL && person->name != NULL ? person->name : rule->who;
    strbuf_addf(out, "%s%s", seen->child == NULL ? "" : ", ", word);
    json_set_bool(out->arena, seen, rule->who, true);
}

static bool refuse_stranger(const struct policy *policy, const struct people *people,
                            const char *verb, int64_t age_ms, struct err *err)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    struct strbuf who;
    strbuf_init(&who, &a, ERR_TEXT_SIZE);
    list_who(&who, &policy->approve, people, age_ms, json_object(&a));
    if (who.len == 0)
        return fail(err, ERR_DENIED, "nobody may %s this yet", verb);
    return fail(err, ERR_DENIED, "only %s may %s this", who.text, verb);
}

/* The smallest `after` by which the rule names this person; -1: it never does. */
static int64_t named_from(const struct rule *rule, const struct person *person, int64_t from_ms)
{
    int64_t best = -1, at = rule->after_ms > from_ms ? rule->after_ms : from_ms;
    for (size_t i = 0; i < rule->n_parts; i++) {
        int64_t part = named_from(&rule->parts[i], person, at);
        if (part >= 0 && (best < 0 || part < best))
            best = part;
    }
    bool is_named = (rule->kind == RULE_ROLE && person_has_role(person, rule->who)) ||
                    (rule->kind == RULE_PERSON && strcmp(person->id, rule->who) == 0);
    return is_named ? at : best;
}

static bool refuse(const struct policy *policy, const struct people *people,
                   const struct person *person, const char *verb, int64_t age_ms, struct err *err)
{
    int64_t from_ms = named_from(&policy->approve, person, 0);
    if (from_ms < 0)
        return refuse_stranger(policy, people, verb, age_ms, err);
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    return fail(err, ERR_DENIED, "you may %s this only %s after it was asked", verb,
                text_from_duration_ms(&a, from_ms));
}

bool policy_may_vote(const struct matter *m, const char *person, bool approve, struct err *err)
{
    const char *verb = approve ? "approve" : "reject";
    int64_t age_ms = age_of(m->raised_at_ms, m->now_ms);
    const struct person *voter = person_by_id(m->people, person);
    if (voter == NULL)
        return refuse_stranger(m->policy, m->people, verb, age_ms, err);
    bool edited = is_editor(m->editors, m->n_editors, person);
    bool own = text_eq(m->requester, person) || edited;
    if (own && !approve)
        return true;
    if (!names(&m->policy->approve, voter, age_ms))
        return refuse(m->policy, m->people, voter, verb, age_ms, err);
    if (edited && m->policy->not_requester)
        return fail(err, ERR_DENIED, "you changed it yourself: somebody else must approve it");
    if (own && m->policy->not_requester)
        return fail(err, ERR_DENIED, "you asked for it yourself: somebody else must approve it");
    return true;
}

/* ---- questions for `signoff check` ------------------------------------------------------- */

static bool everybody_meets(const struct policy *policy, const struct people *people,
                            const char *requester, const struct rule *rule)
{
    struct ballot b = {.policy = policy,
                       .people = people,
                       .requester = requester,
                       .age_ms = INT64_MAX,
                       .everybody = true};
    return is_met(&b, rule);
}

static size_t count_role(const struct people *people, const char *role)
{
    size_t n = 0;
    for (size_t i = 0; i < people->count; i++)
        n += person_has_role(&people->list[i], role);
    return n;
}

/* Says which part cannot be met, from the innermost. */
static bool say_unmet(const struct policy *policy, const struct people *people,
                      const struct rule *rule, struct err *err)
{
    if (rule->kind == RULE_PERSON)
        return fail(err, ERR_INVALID, "nobody can meet it: there is no person %s", rule->who);
    if (rule->kind == RULE_ROLE)
        return fail(
            err, ERR_INVALID, "nobody can meet it: it needs %lld with the role %s, there %s %zu",
            (long long)needed(rule), rule->who, count_role(people, rule->who) == 1 ? "is" : "are",
            count_role(people, rule->who));
    for (size_t i = 0; i < rule->n_parts; i++)
        if (!everybody_meets(policy, people, NULL, &rule->parts[i]))
            return say_unmet(policy, people, &rule->parts[i], err);
    return fail(err, ERR_INVALID, "nobody can meet it");
}

bool policy_can_be_met(const struct policy *policy, const struct people *people, struct err *err)
{
    if (everybody_meets(policy, people, NULL, &policy->approve))
        return true;
    return say_unmet(policy, people, &policy->approve, err);
}

const struct person *policy_stuck_requester(const struct policy *policy,
                                            const struct people *people)
{
    for (size_t i = 0; policy->not_requester && i < people->count; i++)
        if (!everybody_meets(policy, people, people->list[i].id, &policy->approve))
            return &people->list[i];
    return NULL;
}

bool policy_can_still_be_met(const struct matter *m, struct err *err)
{
    struct ballot b = {.policy = m->policy,
                       .people = m->people,
                       .requester = m->requester,
                       .editors = m->editors,
                       .n_editors = m->n_editors,
                       .age_ms = INT64_MAX,
                       .everybody = true};
    return is_met(&b, &m->policy->approve) ||
           fail(err, ERR_DENIED,
                "nobody would be left to approve it: who changes a request cannot approve it");
}

int64_t policy_votes_needed(const struct policy *policy)
{
    const struct rule *rule = &policy->approve;
    return rule->after_ms > 0 || rule->n_parts > 0 ? 0 : needed(rule);
}

static bool signs_alone(const struct ballot *b, const struct rule *rule)
{
    if (rule->kind == RULE_ALL_OF && rule->n_parts > 1 && is_met(b, rule))
        return true;
    for (size_t i = 0; i < rule->n_parts; i++)
        if (signs_alone(b, &rule->parts[i]))
            return true;
    return false;
}

const struct person *policy_sole_signer(const struct policy *policy, const struct people *people)
{
    for (size_t i = 0; i < people->count; i++) {
        struct vote vote = {.person = people->list[i].id, .approve = true};
        struct ballot b = {
            .policy = policy, .people = people, .votes = &vote, .n_votes = 1, .age_ms = INT64_MAX};
        if (signs_alone(&b, &policy->approve))
            return &people->list[i];
    }
    return NULL;
}

/* ---- for cards --------------------------------------------------------------------------- */

static void describe(struct strbuf *out, const struct rule *rule, const struct people *people,
                     bool inside)
{
    const struct person *person = NULL;
    switch (rule->kind) {
    case RULE_ROLE:
        strbuf_addf(out, "%lld %s", (long long)needed(rule), rule->who);
        break;
    case RULE_PERSON:
        person = person_by_id(people, rule->who);
        strbuf_add(out, person != NULL && person->name != NULL ? person->name : rule->who);
        break;
    case RULE_ANY_OF:
    case RULE_ALL_OF:
        inside = (inside || rule->after_ms > 0) && rule->n_parts > 1;
        strbuf_add(out, inside ? "(" : "");
        for (size_t i = 0; i < rule->n_parts; i++) {
            strbuf_add(out, i == 0 ? "" : rule->kind == RULE_ANY_OF ? " or " : " and ");
            describe(out, &rule->parts[i], people, true);
        }
        strbuf_add(out, inside ? ")" : "");
        break;
    }
    if (rule->after_ms > 0)
        strbuf_addf(out, " after %s", text_from_duration_ms(out->arena, rule->after_ms));
}

char *policy_describe(struct arena *a, const struct policy *policy, const struct people *people)
{
    struct strbuf out;
    strbuf_init(&out, a, 4096);
    describe(&out, &policy->approve, people, false);
    if (policy->reject > 1)
        strbuf_addf(&out, ", or %lld who reject", (long long)policy->reject);
    if (policy->not_requester)
        strbuf_add(&out, " (not the requester)");
    return out.text;
}
