/* See people.h. A table of a few hundred rows at most: searched from the front. */
#include "channels/people.h"

#include "gateway/base/text.h"

#include <string.h>
#include <strings.h>

/* Slack ids and phone numbers have one spelling; logins and addresses do not. */
static const struct identity {
    const char *prefix;
    size_t offset; /* of the member in struct person */
    bool any_case;
} identities[] = {
    {"slack:", offsetof(struct person, slack), false},
    {"email:", offsetof(struct person, email), true},
    {"sms:", offsetof(struct person, phone), false},
    {"github:", offsetof(struct person, github), true},
};

static const char *member_at(const struct person *person, size_t offset)
{
    const char *value;
    memcpy(&value, (const char *)person + offset, sizeof value);
    return value;
}

static bool is_theirs(const struct person *person, const struct identity *kind, const char *id)
{
    const char *own = member_at(person, kind->offset);
    if (own == NULL || *id == '\0')
        return false;
    return kind->any_case ? strcasecmp(own, id) == 0 : strcmp(own, id) == 0;
}

const struct person *person_by_id(const struct people *people, const char *id)
{
    if (people == NULL || id == NULL)
        return NULL;
    for (size_t i = 0; i < people->count; i++)
        if (strcmp(people->list[i].id, id) == 0)
            return &people->list[i];
    return NULL;
}

static const struct identity *identity_kind(const char *identity)
{
    for (size_t i = 0; i < COUNT(identities); i++)
        if (text_starts(identity, identities[i].prefix))
            return &identities[i];
    return NULL;
}

const struct person *person_by_identity(const struct people *people, const char *identity)
{
    const struct identity *kind = identity != NULL ? identity_kind(identity) : NULL;
    if (kind == NULL)
        return person_of_actor(people, identity);
    for (size_t i = 0; people != NULL && i < people->count; i++)
        if (is_theirs(&people->list[i], kind, identity + strlen(kind->prefix)))
            return &people->list[i];
    return NULL;
}

bool person_has_role(const struct person *person, const char *role)
{
    for (size_t i = 0; person != NULL && role != NULL && i < person->n_roles; i++)
        if (strcmp(person->roles[i], role) == 0)
            return true;
    return false;
}

char *actor_of(struct arena *a, const struct people *people, const char *identity)
{
    const struct person *person = person_by_identity(people, identity);
    return person != NULL ? arena_printf(a, "person:%s", person->id) : arena_strdup(a, identity);
}

const struct person *person_of_actor(const struct people *people, const char *actor)
{
    static const char prefix[] = "person:";
    return text_starts(actor, prefix) ? person_by_id(people, actor + strlen(prefix)) : NULL;
}

char *actor_display(struct arena *a, const struct people *people, const char *actor)
{
    if (actor == NULL)
        return arena_strdup(a, "nobody");
    const struct person *person = person_of_actor(people, actor);
    if (person != NULL)
        return arena_strdup(a, person->name != NULL ? person->name : person->id);
    if (identity_kind(actor) != NULL || text_starts(actor, "person:"))
        return arena_printf(a, "%s (outsider)", actor);
    const char *colon = strchr(actor, ':');
    if (colon == NULL)
        return arena_strdup(a, actor);
    return arena_printf(a, "%.*s %s", (int)(colon - actor), actor, colon + 1);
}
