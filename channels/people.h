/* People and their identities. An identity is "channel-type:id" ("slack:U024BE7LH",
 * "github:alice-ng", "email:alice@acme.test"); whoever has no row here is an outsider and is
 * recorded by that text. Pure; immutable after configuration; any thread. */
#pragma once

#include "gateway/base/arena.h"

struct person {
    const char *id, *name, *slack, *email, *phone, *github, *time_zone;
    const char **roles;
    size_t n_roles;
    int line; /* in the configuration */
};

struct people {
    struct person *list;
    size_t count;
};

const struct person *person_by_id(const struct people *people, const char *id);
/* By identity ("slack:U1", "email:…", "sms:+1555…", "github:…", and "person:alice" itself); github
 * logins and mail addresses compare without case. NULL: an outsider. */
const struct person *person_by_identity(const struct people *people, const char *identity);
bool person_has_role(const struct person *person, const char *role);
/* "person:alice" for a person, else a copy of the identity: the `actor` of events. */
char *actor_of(struct arena *a, const struct people *people, const char *identity);
/* The person behind an actor ("person:alice"), or NULL. */
const struct person *person_of_actor(const struct people *people, const char *actor);
/* How people see an actor: "Alice Ng", "slack:U0EVE (outsider)", "agent deploybot", "system". */
char *actor_display(struct arena *a, const struct people *people, const char *actor);
