/* The promise under test: nothing is approved but by the people, and in the number, that the policy
 * asks for. */
#include "agents/policy.h"
#include "gateway/base/text.h"

#include <criterion/criterion.h>
#include <string.h>

enum { MINUTE = 60 * 1000 };

static const char *DEPLOYER[] = {"deployer"};
static const char *DEPLOYER_LEAD[] = {"deployer", "lead"};
static const char *LEAD[] = {"lead"};
static struct person LIST[] = {
    {.id = "alice", .name = "Alice Ng", .roles = DEPLOYER_LEAD, .n_roles = 2},
    {.id = "bob", .name = "Bob Okoye", .roles = DEPLOYER, .n_roles = 1},
    {.id = "carol", .name = "Carol", .roles = DEPLOYER, .n_roles = 1},
    {.id = "lee", .name = "Lee", .roles = LEAD, .n_roles = 1},
    {.id = "dana", .name = "Dana"},
    {.id = "eve", .name = "Eve"},
};
static const struct people PEOPLE = {LIST, COUNT(LIST)};

struct heard {
    struct arena *arena;
    char *all; /* "key: sentence\n" of each problem */
};

static void hear(void *ctx, enum problem_kind kind, const struct json *at, const char *key,
                 const char *sentence)
{
    struct heard *heard = ctx;
    (void)at;
    heard->all = arena_printf(heard->arena, "%s%s%s: %s\n", heard->all,
                              kind == PROBLEM_ERROR ? "" : "~", key, sentence);
}

static const char *problems_of(struct arena *a, const char *json, struct policy *out)
{
    struct heard heard = {a, arena_strdup(a, "")};
    struct problems problems = {.report = hear, .ctx = &heard};
    policy_parse(a, "p", json_parse_own(a, json), out, &problems);
    return heard.all;
}

static struct policy parse(struct arena *a, const char *json)
{
    struct policy policy = {0};
    cr_assert(policy_parse(a, "p", json_parse_own(a, json), &policy, NULL), "%s", json);
    return policy;
}

#define ONE_DEPLOYER  "{\"role\":\"deployer\"}"
#define TWO_DEPLOYERS "{\"role\":\"deployer\",\"count\":2}"
#define LEAD_AND_DANA "{\"all_of\":[{\"role\":\"lead\"},{\"person\":\"dana\"}]}"
#define LATER                                           \
    "{\"any_of\":[{\"role\":\"deployer\",\"count\":2}," \
    "{\"all_of\":[{\"role\":\"lead\"},{\"person\":\"dana\"}],\"after\":\"30m\"}]}"

/* Votes are written "alice+ bob-": in order, + approves, - rejects. */
static size_t read_votes(struct arena *a, const char *text, struct vote *votes)
{
    size_t n = 0;
    while (*text != '\0') {
        size_t len = strcspn(text, "+-");
        votes[n++] = (struct vote){arena_strndup(a, text, len), text[len] == '+', 0};
        text += len + 1;
        text += strspn(text, " ");
    }
    return n;
}

static enum verdict verdict(struct arena *a, const struct policy *policy, const char *requester,
                            const char *votes, int minutes)
{
    struct vote list[16];
    size_t n = read_votes(a, votes, list);
    struct matter matter = {.policy = policy,
                            .people = &PEOPLE,
                            .requester = requester,
                            .raised_at_ms = 1000000,
                            .now_ms = 1000000 + (int64_t)minutes * MINUTE};
    return policy_verdict(&matter, list, n);
}

#define O VERDICT_OPEN
#define A VERDICT_APPROVED
#define R VERDICT_REJECTED

static const struct {
    const char *name, *approve, *more, *requester, *votes;
    int minutes;
    enum verdict want;
} VERDICTS[] = {
    {"nobody has voted", ONE_DEPLOYER, "", NULL, "", 0, O},
    {"one deployer approves", ONE_DEPLOYER, "", NULL, "bob+", 0, A},
    {"an outsider to the role does not count", ONE_DEPLOYER, "", NULL, "eve+", 0, O},
    {"somebody unknown does not count", ONE_DEPLOYER, "", NULL, "mallory+", 0, O},
    {"one rejection ends it", ONE_DEPLOYER, "", NULL, "bob-", 0, R},
    {"who may not approve cannot reject", ONE_DEPLOYER, "", NULL, "eve-", 0, O},
    {"the requester may reject without any role", ONE_DEPLOYER, "", "eve", "eve-", 0, R},
    {"the requester may approve by default", ONE_DEPLOYER, "", "bob", "bob+", 0, A},
    {"not_requester: own approval does not count", ONE_DEPLOYER, ",\"not_requester\":true", "bob",
     "bob+", 0, O},
    {"not_requester: somebody else approves", ONE_DEPLOYER, ",\"not_requester\":true", "bob",
     "bob+ carol+", 0, A},
    {"not_requester: own rejection counts", ONE_DEPLOYER, ",\"not_requester\":true", "bob", "bob-",
     0, R},
    {"not_requester with no requester stops nobody", ONE_DEPLOYER, ",\"not_requester\":true", NULL,
     "bob+", 0, A},
    {"the last vote of a person counts: approve then reject", ONE_DEPLOYER, ",\"reject\":2", NULL,
     "bob+ bob-", 0, O},
    {"the last vote of a person counts: reject then approve", ONE_DEPLOYER, ",\"reject\":2", NULL,
     "bob- bob+", 0, A},
    {"two are needed and one is there", TWO_DEPLOYERS, "", NULL, "bob+", 0, O},
    {"one person twice is one", TWO_DEPLOYERS, "", NULL, "bob+ bob+", 0, O},
    {"two different people are two", TWO_DEPLOYERS, "", NULL, "bob+ carol+", 0, A},
    {"two, of whom one is the requester", TWO_DEPLOYERS, ",\"not_requester\":true", "bob",
     "bob+ carol+", 0, O},
    {"two besides the requester", TWO_DEPLOYERS, ",\"not_requester\":true", "bob",
     "bob+ carol+ alice+", 0, A},
    {"one who took it back is none", TWO_DEPLOYERS, ",\"reject\":2", NULL, "bob+ carol+ bob-", 0,
     O},
    {"two rejections are needed", ONE_DEPLOYER, ",\"reject\":2", NULL, "bob-", 0, O},
    {"two rejections of one person are one", ONE_DEPLOYER, ",\"reject\":2", NULL, "bob- bob-", 0,
     O},
    {"two rejections", ONE_DEPLOYER, ",\"reject\":2", NULL, "bob- carol-", 0, R},
    {"the requester's is one of two rejections", ONE_DEPLOYER, ",\"reject\":2", "eve",
     "eve- carol-", 0, R},
    {"enough rejections win over an approval", ONE_DEPLOYER, "", NULL, "carol+ bob-", 0, R},
    {"all_of: one part", LEAD_AND_DANA, "", NULL, "lee+", 0, O},
    {"all_of: the other part", LEAD_AND_DANA, "", NULL, "dana+", 0, O},
    {"all_of: both parts", LEAD_AND_DANA, "", NULL, "dana+ lee+", 0, A},
    {"all_of: one person with both roles fills both",
     "{\"all_of\":[{\"role\":\"lead\"},{\"role\":\"deployer\"}]}", "", NULL, "alice+", 0, A},
    {"all_of: two people fill both", "{\"all_of\":[{\"role\":\"lead\"},{\"role\":\"deployer\"}]}",
     "", NULL, "lee+ bob+", 0, A},
    {"any_of: the first", "{\"any_of\":[{\"person\":\"dana\"},{\"person\":\"eve\"}]}", "", NULL,
     "dana+", 0, A},
    {"any_of: the second", "{\"any_of\":[{\"person\":\"dana\"},{\"person\":\"eve\"}]}", "", NULL,
     "eve+", 0, A},
    {"after: too early", LATER, "", NULL, "lee+ dana+", 29, O},
    {"after: at the minute, votes that are there count", LATER, "", NULL, "lee+ dana+", 30, A},
    {"after: the rule that holds at once still does", LATER, "", NULL, "bob+ carol+", 0, A},
    {"after: half of it", LATER, "", NULL, "lee+ bob+", 60, O},
    {"after: who may not vote yet cannot reject yet", LATER, "", NULL, "dana-", 29, O},
    {"after: later they can", LATER, "", NULL, "dana-", 30, R},
    {"after inside after: the outer one holds it back",
     "{\"any_of\":[{\"any_of\":[{\"person\":\"eve\",\"after\":\"5m\"}],\"after\":\"20m\"}]}", "",
     NULL, "eve+", 10, O},
    {"after inside after: both are over",
     "{\"any_of\":[{\"any_of\":[{\"person\":\"eve\",\"after\":\"5m\"}],\"after\":\"20m\"}]}", "",
     NULL, "eve+", 20, A},
    {"nested: any_of in all_of, half",
     "{\"all_of\":[{\"any_of\":[{\"person\":\"dana\"},{\"person\":\"eve\"}]},{\"role\":\"lead\"}]}",
     "", NULL, "eve+ dana+", 0, O},
    {"nested: any_of in all_of, whole",
     "{\"all_of\":[{\"any_of\":[{\"person\":\"dana\"},{\"person\":\"eve\"}]},{\"role\":\"lead\"}]}",
     "", NULL, "eve+ lee+", 0, A},
    {"nested: all_of in any_of in all_of",
     "{\"all_of\":[{\"person\":\"eve\"},{\"any_of\":[{\"person\":\"dana\"},"
     "{\"all_of\":[{\"role\":\"lead\",\"count\":2},{\"person\":\"bob\"}]}]}]}",
     "", NULL, "eve+ lee+ bob+", 0, O},
    {"nested: all_of in any_of in all_of, met",
     "{\"all_of\":[{\"person\":\"eve\"},{\"any_of\":[{\"person\":\"dana\"},"
     "{\"all_of\":[{\"role\":\"lead\",\"count\":2},{\"person\":\"bob\"}]}]}]}",
     "", NULL, "eve+ lee+ bob+ alice+", 0, A},
};

Test(policy_verdict, follows_the_table)
{
    for (size_t i = 0; i < COUNT(VERDICTS); i++) {
        CLEANUP(arena_done) struct arena a = ARENA_INIT;
        struct policy policy = parse(
            &a, arena_printf(&a, "{\"approve\":%s%s}", VERDICTS[i].approve, VERDICTS[i].more));
        enum verdict got =
            verdict(&a, &policy, VERDICTS[i].requester, VERDICTS[i].votes, VERDICTS[i].minutes);
        cr_expect(got == VERDICTS[i].want, "%s: %d, not %d", VERDICTS[i].name, (int)got,
                  (int)VERDICTS[i].want);
    }
}

Test(policy_verdict, does_not_depend_on_a_clock_that_went_back)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    struct policy policy = parse(&a, "{\"approve\":" ONE_DEPLOYER "}");
    cr_assert_eq(verdict(&a, &policy, NULL, "bob+", -5), A);
}

Test(policy_verdict, never_approves_what_has_no_rule)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    struct policy none = {.approve = {.kind = RULE_ALL_OF}};
    cr_expect_eq(verdict(&a, &none, NULL, "alice+ bob+", 0), O);
    none.approve.kind = RULE_ANY_OF;
    cr_expect_eq(verdict(&a, &none, NULL, "alice+ bob+", 0), O);
}

Test(policy_next_change, is_the_next_after_that_is_still_to_come)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    struct policy policy = parse(&a, "{\"approve\":" LATER "}");
    cr_expect_eq(policy_next_change_ms(&policy, 1000, 1000), 1000 + 30 * MINUTE);
    cr_expect_eq(policy_next_change_ms(&policy, 1000, 1000 + 30 * MINUTE), 0);
    struct policy plain = parse(&a, "{\"approve\":" ONE_DEPLOYER "}");
    cr_expect_eq(policy_next_change_ms(&plain, 1000, 1000), 0);
}

static const struct {
    const char *name, *policy, *requester, *person;
    bool approve;
    int minutes;
    const char *why; /* NULL: they may */
} MAY[] = {
    {"a deployer", "{\"approve\":" ONE_DEPLOYER "}", NULL, "bob", true, 0, NULL},
    {"a deployer rejects", "{\"approve\":" ONE_DEPLOYER "}", NULL, "bob", false, 0, NULL},
    {"no deployer", "{\"approve\":" ONE_DEPLOYER "}", NULL, "eve", true, 0,
     "only deployer may approve this"},
    {"no deployer rejects", "{\"approve\":" ONE_DEPLOYER "}", NULL, "eve", false, 0,
     "only deployer may reject this"},
    {"somebody unknown", "{\"approve\":" ONE_DEPLOYER "}", NULL, "mallory", true, 0,
     "only deployer may approve this"},
    {"nobody at all", "{\"approve\":" ONE_DEPLOYER "}", NULL, NULL, true, 0,
     "only deployer may approve this"},
    {"the requester approves", "{\"approve\":" ONE_DEPLOYER ",\"not_requester\":true}", "bob",
     "bob", true, 0, "you asked for it yourself: somebody else must approve it"},
    {"the requester rejects", "{\"approve\":" ONE_DEPLOYER ",\"not_requester\":true}", "bob", "bob",
     false, 0, NULL},
    {"a requester without a role rejects", "{\"approve\":" ONE_DEPLOYER "}", "eve", "eve", false, 0,
     NULL},
    {"a requester without a role approves", "{\"approve\":" ONE_DEPLOYER "}", "eve", "eve", true, 0,
     "only deployer may approve this"},
    {"too early", "{\"approve\":" LATER "}", NULL, "dana", true, 29,
     "you may approve this only 30m after it was asked"},
    {"in time", "{\"approve\":" LATER "}", NULL, "dana", true, 30, NULL},
    {"a list of who may", "{\"approve\":" LATER "}", NULL, "eve", true, 30,
     "only deployer, lead, Dana may approve this"},
    {"only those who may by now are named", "{\"approve\":" LATER "}", NULL, "eve", true, 0,
     "only deployer may approve this"},
};

Test(policy_may_vote, says_why_not)
{
    for (size_t i = 0; i < COUNT(MAY); i++) {
        CLEANUP(arena_done) struct arena a = ARENA_INIT;
        struct policy policy = parse(&a, MAY[i].policy);
        struct err err = ERR_INIT;
        struct matter matter = {.policy = &policy,
                                .people = &PEOPLE,
                                .requester = MAY[i].requester,
                                .now_ms = (int64_t)MAY[i].minutes * MINUTE};
        bool may = policy_may_vote(&matter, MAY[i].person, MAY[i].approve, &err);
        cr_expect(may == (MAY[i].why == NULL), "%s: %s", MAY[i].name, err.text);
        if (!may) {
            cr_expect_str_eq(err.text, MAY[i].why, "%s: %s", MAY[i].name, err.text);
            cr_expect_eq(err.kind, ERR_DENIED);
        }
    }
}

/* Who changed a call is behind it as who asked for it is. */
Test(policy_editors, count_as_requesters_of_what_they_changed)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    static const char *const editors[] = {"alice"};
    static const struct {
        bool not_requester, approved;
    } cases[] = {{true, false}, {false, true}};
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct policy policy =
            parse(&a, cases[i].not_requester
                          ? "{\"approve\":{\"person\":\"alice\"},\"not_requester\":true}"
                          : "{\"approve\":{\"person\":\"alice\"}}");
        struct matter matter = {.policy = &policy,
                                .people = &PEOPLE,
                                .requester = "bob",
                                .editors = editors,
                                .n_editors = 1};
        struct vote votes[] = {{.person = "alice", .approve = true}};
        struct err err = ERR_INIT;
        cr_expect_eq(policy_verdict(&matter, votes, 1),
                     cases[i].approved ? VERDICT_APPROVED : VERDICT_OPEN);
        cr_expect_eq(policy_may_vote(&matter, "alice", true, &err), cases[i].approved, "%s",
                     err.text);
        cr_expect(policy_may_vote(&matter, "alice", false, &err), "and may always reject it");
        cr_expect_eq(policy_can_still_be_met(&matter, &err), cases[i].approved);
        matter.n_editors = 0;
        cr_expect(policy_can_still_be_met(&matter, &err));
    }
}

Test(policy_votes_needed, is_a_number_where_the_rule_is_that_simple)
{
    static const struct {
        const char *approve;
        int64_t needed;
    } cases[] = {{"{\"role\":\"deployer\",\"count\":2}", 2},
                 {"{\"role\":\"deployer\"}", 1},
                 {"{\"person\":\"alice\"}", 1},
                 {"{\"any_of\":[{\"role\":\"deployer\"},{\"person\":\"alice\"}]}", 0}};
    for (size_t i = 0; i < COUNT(cases); i++) {
        CLEANUP(arena_done) struct arena a = ARENA_INIT;
        struct policy policy = parse(&a, arena_printf(&a, "{\"approve\":%s}", cases[i].approve));
        cr_expect_eq(policy_votes_needed(&policy), cases[i].needed, "%s", cases[i].approve);
    }
}

/* Whoever policy_may_vote refuses changes no verdict, and whoever it lets through can be counted.
 */
Test(policy_may_vote, agrees_with_the_verdict)
{
    static const char *const RULES[] = {ONE_DEPLOYER, LEAD_AND_DANA, LATER};
    for (size_t r = 0; r < COUNT(RULES); r++)
        for (size_t p = 0; p < PEOPLE.count; p++)
            for (int minutes = 0; minutes <= 30; minutes += 15) {
                CLEANUP(arena_done) struct arena a = ARENA_INIT;
                struct policy policy = parse(
                    &a, arena_printf(&a, "{\"approve\":%s,\"not_requester\":true}", RULES[r]));
                const char *id = PEOPLE.list[p].id;
                struct matter matter = {.policy = &policy,
                                        .people = &PEOPLE,
                                        .requester = "bob",
                                        .now_ms = (int64_t)minutes * MINUTE};
                bool may = policy_may_vote(&matter, id, false, NULL);
                enum verdict got =
                    verdict(&a, &policy, "bob", arena_printf(&a, "%s-", id), minutes);
                cr_expect(may == (got == R), "%s %s %d", RULES[r], id, minutes);
            }
}

static const struct {
    const char *approve, *why; /* NULL: it can be met */
} MEETABLE[] = {
    {ONE_DEPLOYER, NULL},
    {LATER, NULL},
    {"{\"role\":\"deployer\",\"count\":4}",
     "nobody can meet it: it needs 4 with the role deployer, there are 3"},
    {"{\"role\":\"pilot\"}", "nobody can meet it: it needs 1 with the role pilot, there are 0"},
    {"{\"person\":\"mallory\"}", "nobody can meet it: there is no person mallory"},
    {"{\"any_of\":[{\"person\":\"mallory\"},{\"role\":\"lead\"}]}", NULL},
    {"{\"all_of\":[{\"role\":\"lead\"},{\"person\":\"mallory\"}]}",
     "nobody can meet it: there is no person mallory"},
};

Test(policy_can_be_met, names_the_part_that_cannot)
{
    for (size_t i = 0; i < COUNT(MEETABLE); i++) {
        CLEANUP(arena_done) struct arena a = ARENA_INIT;
        struct policy policy = parse(&a, arena_printf(&a, "{\"approve\":%s}", MEETABLE[i].approve));
        struct err err = ERR_INIT;
        bool can = policy_can_be_met(&policy, &PEOPLE, &err);
        cr_expect(can == (MEETABLE[i].why == NULL), "%s", MEETABLE[i].approve);
        if (!can)
            cr_expect_str_eq(err.text, MEETABLE[i].why);
    }
}

Test(policy_stuck_requester, is_who_nobody_else_can_approve_for)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    struct policy three =
        parse(&a, "{\"approve\":{\"role\":\"deployer\",\"count\":3},\"not_requester\":true}");
    cr_assert_str_eq(policy_stuck_requester(&three, &PEOPLE)->id, "alice");
    struct policy two = parse(&a, "{\"approve\":" TWO_DEPLOYERS ",\"not_requester\":true}");
    cr_assert_null(policy_stuck_requester(&two, &PEOPLE));
}

Test(policy_sole_signer, is_who_alone_fills_an_all_of)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    struct policy both =
        parse(&a, "{\"approve\":{\"all_of\":[{\"role\":\"lead\"},{\"role\":\"deployer\"}]}}");
    cr_assert_str_eq(policy_sole_signer(&both, &PEOPLE)->id, "alice");
    struct policy one = parse(&a, "{\"approve\":" ONE_DEPLOYER "}");
    cr_assert_null(policy_sole_signer(&one, &PEOPLE));
}

static const struct {
    const char *policy, *text;
} DESCRIBED[] = {
    {"{\"approve\":" ONE_DEPLOYER ",\"not_requester\":true}", "1 deployer (not the requester)"},
    {"{\"approve\":" LATER "}", "2 deployer or (1 lead and Dana) after 30m"},
    {"{\"approve\":{\"person\":\"dana\",\"after\":\"5m\"},\"reject\":2}",
     "Dana after 5m, or 2 who reject"},
};

Test(policy_describe, reads_as_a_sentence)
{
    for (size_t i = 0; i < COUNT(DESCRIBED); i++) {
        CLEANUP(arena_done) struct arena a = ARENA_INIT;
        struct policy policy = parse(&a, DESCRIBED[i].policy);
        cr_expect_str_eq(policy_describe(&a, &policy, &PEOPLE), DESCRIBED[i].text);
    }
}

Test(policy_parse, fills_what_is_left_out)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    struct policy policy = parse(&a, "{\"approve\":" ONE_DEPLOYER "}");
    cr_expect_str_eq(policy.name, "p");
    cr_expect_eq(policy.reject, 1);
    cr_expect_not(policy.not_requester);
    cr_expect_eq(policy.expire_ms, (int64_t)24 * 60 * MINUTE);
    cr_expect_eq(policy.on_expire, EXPIRE_REFUSE);
    cr_expect_eq(policy.approve.count, 1);
    cr_expect_eq(policy.n_ask, 0);
}

Test(policy_parse, reads_every_key)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    struct policy policy =
        parse(&a, "{\"approve\":" LATER ",\"reject\":2,\"not_requester\":true,\"remind\":\"15m\","
                  "\"ask\":[{\"channel\":\"s\",\"to\":\"C1\"},"
                  "{\"after\":\"10m\",\"channel\":\"m\",\"to\":\"role:lead\"}],"
                  "\"expire\":\"4h\",\"on_expire\":\"escalate\","
                  "\"escalate\":{\"channel\":\"m\",\"to\":\"person:dana\"},\"grants\":[\"once\"]}");
    cr_expect_eq(policy.approve.kind, RULE_ANY_OF);
    cr_expect_eq(policy.approve.parts[1].after_ms, 30 * MINUTE);
    cr_expect_str_eq(policy.approve.parts[1].parts[1].who, "dana");
    cr_expect_eq(policy.n_ask, 2);
    cr_expect_eq(policy.ask[1].after_ms, 10 * MINUTE);
    cr_expect_str_eq(policy.ask[1].to, "role:lead");
    cr_expect_eq(policy.on_expire, EXPIRE_ESCALATE);
    cr_expect_str_eq(policy.escalate.to, "person:dana");
    cr_expect_eq(policy.remind_ms, 15 * MINUTE);
    cr_expect_str_eq(json_text_at(policy.source, "expire"), "4h");
}

static const struct {
    const char *json, *problem;
} WRONG[] = {
    {"{}", "approve: is required\n"},
    {"{\"approve\":{}}", "approve: needs exactly one of role, person, any_of and all_of\n"},
    {"{\"approve\":{\"role\":\"a\",\"person\":\"b\"}}",
     "approve: needs exactly one of role, person, any_of and all_of\n"},
    {"{\"approve\":{\"person\":\"b\",\"count\":2}}", "approve.count: goes with role only\n"},
    {"{\"approve\":{\"role\":\"a\",\"count\":0}}", "approve.count: must be 1 to 100\n"},
    {"{\"approve\":{\"any_of\":[]}}", "approve.any_of: must be a list of 1 to 50 rules\n"},
    {"{\"approve\":{\"any_of\":{\"role\":\"a\"}}}",
     "approve.any_of: must be a list of 1 to 50 rules\n"},
    {"{\"approve\":{\"any_of\":[{\"role\":\"a\"},{\"rolle\":\"b\"}]}}",
     "approve.any_of.1.rolle: is not a known key; did you mean role?\n"},
    {"{\"approve\":\"deployer\"}", "approve: must be a mapping of keys to values\n"},
    {"{\"approve\":" ONE_DEPLOYER ",\"on_expire\":\"panic\"}",
     "on_expire: must be one of: refuse, escalate, keep\n"},
    {"{\"approve\":" ONE_DEPLOYER ",\"on_expire\":\"escalate\"}",
     "on_expire: escalate needs the key escalate: who is asked then\n"},
    {"{\"approve\":" ONE_DEPLOYER ",\"ask\":[{\"to\":\"C1\"}]}", "ask.0.channel: is required\n"},
    {"{\"approve\":" ONE_DEPLOYER ",\"expire\":60}",
     "expire: must be a whole number and ms, s, m, h or d, as in 15m\n"},
};

Test(policy_parse, names_the_key_that_is_wrong)
{
    for (size_t i = 0; i < COUNT(WRONG); i++) {
        CLEANUP(arena_done) struct arena a = ARENA_INIT;
        struct policy policy = {0};
        const char *got = problems_of(&a, WRONG[i].json, &policy);
        cr_expect_str_eq(got, WRONG[i].problem, "%s: %s", WRONG[i].json, got);
        cr_expect_null(policy.name, "written on failure: %s", WRONG[i].json);
    }
}

Test(policy_parse, refuses_rules_that_nest_too_deep)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    const char *rule = ONE_DEPLOYER;
    for (int i = 0; i < 8; i++)
        rule = arena_printf(&a, "{\"any_of\":[%s]}", rule);
    struct policy policy = {0};
    cr_assert_str_eq(problems_of(&a, arena_printf(&a, "{\"approve\":%s}", rule), &policy), "");
    rule = arena_printf(&a, "{\"any_of\":[%s]}", rule);
    const char *got = problems_of(&a, arena_printf(&a, "{\"approve\":%s}", rule), &policy);
    cr_assert(text_ends(got, "rules nest deeper than 8 levels\n"), "%s", got);
}
