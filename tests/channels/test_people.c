#include "channels/people.h"

#include <criterion/criterion.h>

static const char *LEAD[] = {"deployer", "lead"};
static struct person LIST[] = {
    {.id = "alice",
     .name = "Alice Ng",
     .slack = "U024BE7LH",
     .email = "alice@acme.test",
     .phone = "+15550100001",
     .github = "alice-ng",
     .roles = LEAD,
     .n_roles = 2},
    {.id = "bob", .slack = "U0BOBOKOY", .email = ""},
};
static const struct people PEOPLE = {LIST, COUNT(LIST)};

static const struct {
    const char *identity, *id; /* NULL: an outsider */
} IDENTITIES[] = {
    {"slack:U024BE7LH", "alice"},
    {"slack:u024be7lh", NULL}, /* Slack's ids have one spelling */
    {"slack:U0BOBOKOY", "bob"},
    {"email:alice@acme.test", "alice"},
    {"email:Alice@ACME.test", "alice"},
    {"email:alice@acme.test.evil.test", NULL},
    {"sms:+15550100001", "alice"},
    {"github:alice-ng", "alice"},
    {"github:Alice-NG", "alice"},
    {"github:", NULL},
    {"email:", NULL}, /* bob's is empty: that is no match */
    {"person:bob", "bob"},
    {"person:eve", NULL},
    {"alice", NULL},
    {"", NULL},
    {"teams:U024BE7LH", NULL},
    {NULL, NULL},
};

Test(person_by_identity, knows_everybody_by_each_identity_and_nobody_else)
{
    for (size_t i = 0; i < COUNT(IDENTITIES); i++) {
        const struct person *person = person_by_identity(&PEOPLE, IDENTITIES[i].identity);
        cr_expect((person == NULL) == (IDENTITIES[i].id == NULL), "%s", IDENTITIES[i].identity);
        if (person != NULL && IDENTITIES[i].id != NULL)
            cr_expect_str_eq(person->id, IDENTITIES[i].id);
    }
}

Test(person_by_id, finds_exactly_that_one)
{
    cr_expect_eq(person_by_id(&PEOPLE, "bob"), &LIST[1]);
    cr_expect_null(person_by_id(&PEOPLE, "Bob"));
    cr_expect_null(person_by_id(&PEOPLE, NULL));
}

Test(person_has_role, reads_the_list)
{
    cr_expect(person_has_role(&LIST[0], "lead"));
    cr_expect_not(person_has_role(&LIST[1], "lead"));
    cr_expect_not(person_has_role(&LIST[0], "lea"));
    cr_expect_not(person_has_role(NULL, "lead"));
    cr_expect_not(person_has_role(&LIST[0], NULL));
}

Test(actor_of, is_the_person_or_the_outsider_as_they_came)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    cr_expect_str_eq(actor_of(&a, &PEOPLE, "github:ALICE-ng"), "person:alice");
    cr_expect_str_eq(actor_of(&a, &PEOPLE, "slack:U0EVE"), "slack:U0EVE");
    cr_expect_null(actor_of(&a, &PEOPLE, NULL));
}

Test(person_of_actor, takes_actors_only)
{
    cr_expect_eq(person_of_actor(&PEOPLE, "person:alice"), &LIST[0]);
    cr_expect_null(person_of_actor(&PEOPLE, "slack:U024BE7LH"));
    cr_expect_null(person_of_actor(&PEOPLE, "person:"));
    cr_expect_null(person_of_actor(&PEOPLE, NULL));
}

static const struct {
    const char *actor, *shown;
} SHOWN[] = {
    {"person:alice", "Alice Ng"},
    {"person:bob", "bob"}, /* no name */
    {"person:gone", "person:gone (outsider)"},
    {"slack:U0EVE", "slack:U0EVE (outsider)"},
    {"github:dex", "github:dex (outsider)"},
    {"agent:deploybot", "agent deploybot"},
    {"key:ci", "key ci"},
    {"system", "system"},
};

Test(actor_display, is_what_people_call_them)
{
    for (size_t i = 0; i < COUNT(SHOWN); i++) {
        CLEANUP(arena_done) struct arena a = ARENA_INIT;
        cr_expect_str_eq(actor_display(&a, &PEOPLE, SHOWN[i].actor), SHOWN[i].shown);
    }
}
