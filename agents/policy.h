/* Who must sign off what: pure functions of policy, people, votes and now. */
#pragma once

#include "channels/people.h"
#include "gateway/base/field.h"
#include "gateway/base/json.h"

enum rule_kind { RULE_ROLE, RULE_PERSON, RULE_ANY_OF, RULE_ALL_OF };

struct rule {
    enum rule_kind kind;
    const char *who;  /* role or person */
    int64_t count;    /* RULE_ROLE: different people needed, at least 1 */
    int64_t after_ms; /* counts only this long after the request was raised; 0: at once */
    struct rule *parts;
    size_t n_parts;
};

struct ask_step {
    int64_t after_ms;
    const char *channel, *to; /* "C0DEPLOYS", "role:deployer", "person:dana" */
};

enum on_expire { EXPIRE_REFUSE, EXPIRE_ESCALATE, EXPIRE_KEEP };

struct policy {
    const char *name;
    struct rule approve;
    int64_t reject; /* votes that reject */
    bool not_requester;
    struct ask_step *ask;
    size_t n_ask;
    int64_t remind_ms, expire_ms; /* 0: never */
    enum on_expire on_expire;
    struct ask_step escalate;  /* channel NULL: none */
    const struct json *source; /* as configured: what a request's snapshot is made of */
    int line;
};

/* The keys of a policy in the configuration: what policy_parse() decodes by, and the manual. */
extern const struct field policy_rows[];
extern const size_t n_policy_rows;

/* One JSON shape for the configuration and for the snapshot in a request. Problems go to `problems`
 * (may be NULL) with the node they concern; problems->path is the policy's own. Texts are borrowed
 * from `source`. True when there was no error; *out is only to be used then. */
bool policy_parse(struct arena *a, const char *name, const struct json *source, struct policy *out,
                  struct problems *problems);

struct vote {
    const char *person; /* person id */
    bool approve;
    int64_t at_ms;
};

enum verdict { VERDICT_OPEN, VERDICT_APPROVED, VERDICT_REJECTED };

/* What is voted on, when, and by whose rules. */
struct matter {
    const struct policy *policy;
    const struct people *people;
    const char *requester; /* a person id, or NULL */
    int64_t raised_at_ms, now_ms;
    const char *const *editors; /* people who changed what is voted on: requesters of it, too */
    size_t n_editors;
};

/* The one place that counts votes. Of several votes of one person the last counts. Votes of people
 * who may not decide are ignored. A rule with `after` counts
 * from then on, and then the votes that are there already count for it too.
 *
 * Each part of an all_of is looked at by itself: one person who has both roles fills both. Where
 * different people are wanted, `count` says so. Enough rejections win over enough approvals. */
enum verdict policy_verdict(const struct matter *matter, const struct vote *votes, size_t n_votes);

/* The next moment at which the verdict may change without a new vote: the earliest `after` that is
 * still to come. 0: none. */
int64_t policy_next_change_ms(const struct policy *policy, int64_t raised_at_ms, int64_t now_ms);

/* May this person vote so now? The sentence says why not: "only deployer may approve this", "you
 * asked for it yourself". Who may approve may reject; the requester may always reject. */
bool policy_may_vote(const struct matter *matter, const char *person, bool approve,
                     struct err *err);

/* Could enough people still approve it, when all who may do? False with a sentence: who asked for
 * it and who changed it are all there are. */
bool policy_can_still_be_met(const struct matter *matter, struct err *err) NODISCARD;

/* How many people have to approve, where the rule is as simple as that: one role or one person. 0:
 * it is not. */
int64_t policy_votes_needed(const struct policy *policy);

/* Can this policy ever be met by these people? For `signoff check`. */
bool policy_can_be_met(const struct policy *policy, const struct people *people, struct err *err);

/* With not_requester: the first person whose own requests nobody can approve; else NULL. */
const struct person *policy_stuck_requester(const struct policy *policy,
                                            const struct people *people);

/* The first person who alone meets an all_of of several parts; else NULL. */
const struct person *policy_sole_signer(const struct policy *policy, const struct people *people);

/* "1 deployer (not the requester)", "1 deployer or (1 lead and Dana) after 30m", for cards. */
char *policy_describe(struct arena *a, const struct policy *policy, const struct people *people);
