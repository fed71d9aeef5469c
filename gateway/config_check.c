/* What holds between the parts: every name that is used exists, and what would surprise somebody
 * later is said now. */
#include "gateway/base/text.h"
#include "gateway/config_private.h"

#include <string.h>

enum kind { CHANNEL, SOURCE, AGENT, TOOL, POLICY, ENVIRONMENT, PIPELINE, PERSON, ROLE };

static const char *const kind_names[] = {"channel",     "source",   "agent",  "tool", "policy",
                                         "environment", "pipeline", "person", "role"};

/* ---- names ------------------------------------------------------------------------------- */

static const char **add_roles(const struct people *people, const char **names)
{
    for (size_t i = 0; i < people->count; i++)
        for (size_t r = 0; r < people->list[i].n_roles; r++)
            *names++ = people->list[i].roles[r];
    return names;
}

static size_t most_names(const struct config *c)
{
    size_t n = c->n_channels + c->n_sources + c->n_agents + c->n_tools + c->n_policies +
               c->n_environments + c->n_pipelines + c->people.count;
    for (size_t i = 0; i < c->people.count; i++)
        n += c->people.list[i].n_roles;
    return n;
}

#define ADD_ALL(list, count, member)     \
    for (size_t i = 0; i < (count); i++) \
        *at++ = (list)[i].member;        \
    break

/* All names of a kind; returns how many. `names` has room for most_names(). */
static size_t all_names(const struct config *c, enum kind kind, const char **names)
{
    const char **at = names;
    switch (kind) {
    case CHANNEL:
        ADD_ALL(c->channels, c->n_channels, name);
    case SOURCE:
        ADD_ALL(c->sources, c->n_sources, name);
    case AGENT:
        ADD_ALL(c->agents, c->n_agents, name);
    case TOOL:
        ADD_ALL(c->tools, c->n_tools, name);
    case POLICY:
        ADD_ALL(c->policies, c->n_policies, name);
    case ENVIRONMENT:
        ADD_ALL(c->environments, c->n_environments, name);
    case PIPELINE:
        ADD_ALL(c->pipelines, c->n_pipelines, name);
    case PERSON:
        ADD_ALL(c->people.list, c->people.count, id);
    case ROLE:
        at = add_roles(&c->people, names);
        break;
    }
    return (size_t)(at - names);
}

/* True when `name` is NULL (absent, or reported already) or exists. */
static bool exists(struct loader *l, const struct json *object, const char *key, enum kind kind,
                   const char *name)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    const char **names = ARENA_ARRAY(&a, const char *, most_names(l->config));
    size_t n = all_names(l->config, kind, names);
    if (name == NULL)
        return true;
    for (size_t i = 0; i < n; i++)
        if (strcmp(names[i], name) == 0)
            return true;
    no_such(l, object, key, kind_names[kind], name, names, n);
    return false;
}

/* ---- addresses --------------------------------------------------------------------------- */

static const char *identity_on(const struct person *person, const char *channel_type)
{
    if (strcmp(channel_type, "slack") == 0)
        return person->slack;
    if (strcmp(channel_type, "email") == 0)
        return person->email;
    if (strcmp(channel_type, "sms") == 0)
        return person->phone;
    return person->id;
}

static void warn_unreachable(struct loader *l, const struct json *object,
                             const struct channel_config *channel, const char *role,
                             const char *person)
{
    const struct people *people = &l->config->people;
    for (size_t i = 0; i < people->count; i++) {
        const struct person *p = &people->list[i];
        bool is_meant = role != NULL ? person_has_role(p, role) : text_eq(p->id, person);
        if (is_meant && identity_on(p, channel->type) == NULL)
            WARN_AT(l, object, "to", "%s has no %s address and is not reached there", p->id,
                    channel->type);
    }
}

/* "role:NAME" and "person:ID" in `text` exist. Anything else is the channel's own address. */
static bool named_people_exist(struct loader *l, const struct json *object, const char *key,
                               const char *text)
{
    if (text_starts(text, "role:"))
        return exists(l, object, key, ROLE, text + strlen("role:"));
    if (text_starts(text, "person:"))
        return exists(l, object, key, PERSON, text + strlen("person:"));
    return true;
}

/* A place to speak to: the path is that of `object`. */
static void check_place(struct loader *l, const struct json *object, const char *channel_name,
                        const char *to)
{
    if (channel_name == NULL || !exists(l, object, "channel", CHANNEL, channel_name))
        return;
    const struct channel_config *channel = config_channel(l->config, channel_name);
    if (to == NULL) {
        if (strcmp(channel->type, "web") != 0 && json_get(object, "to") == NULL)
            ERROR_AT(l, object, "to", "is required: whom to tell on %s", channel_name);
        return;
    }
    if (!named_people_exist(l, object, "to", to))
        return;
    bool is_role = text_starts(to, "role:"), is_person = text_starts(to, "person:");
    if (is_role || is_person)
        warn_unreachable(l, object, channel, is_role ? to + strlen("role:") : NULL,
                         is_person ? to + strlen("person:") : NULL);
}

static void check_contact(struct loader *l, const struct json *object, const char *key,
                          const struct contact *contact)
{
    const char *before = l->problems.path;
    at_path(l, "%s.%s", before, key);
    check_place(l, json_get(object, key), contact->channel, contact->to);
    l->problems.path = before;
}

/* ---- policies ---------------------------------------------------------------------------- */

static bool check_rule(struct loader *l, const struct rule *rule, const struct json *j)
{
    const char *path = l->problems.path;
    const char *key = rule->kind == RULE_ANY_OF ? "any_of" : "all_of";
    bool ok = true;
    size_t i = 0;
    if (rule->kind == RULE_ROLE)
        return exists(l, j, "role", ROLE, rule->who);
    if (rule->kind == RULE_PERSON)
        return exists(l, j, "person", PERSON, rule->who);
    JSON_EACH(part, json_get(j, key))
    {
        at_path(l, "%s.%s.%zu", path, key, i);
        ok = check_rule(l, &rule->parts[i++], part) && ok;
    }
    l->problems.path = path;
    return ok;
}

static bool may_approve(const struct rule *rule, const struct person *person)
{
    if ((rule->kind == RULE_ROLE && person_has_role(person, rule->who)) ||
        (rule->kind == RULE_PERSON && text_eq(person->id, rule->who)))
        return true;
    for (size_t i = 0; i < rule->n_parts; i++)
        if (may_approve(&rule->parts[i], person))
            return true;
    return false;
}

/* Whoever merges is known by their GitHub login alone. */
static void warn_unknown_requesters(struct loader *l, const struct policy *policy)
{
    const struct people *people = &l->config->people;
    for (size_t i = 0; policy->not_requester && i < people->count; i++)
        if (people->list[i].github == NULL && may_approve(&policy->approve, &people->list[i]))
            WARN_AT(l, policy->source, "not_requester",
                    "%s may approve but has no GitHub login: what they merge does not count as "
                    "asked for by them",
                    people->list[i].id);
}

static void warn_odd_policy(struct loader *l, const struct policy *policy)
{
    const struct people *people = &l->config->people;
    const struct person *stuck = policy_stuck_requester(policy, people);
    const struct person *alone = policy_sole_signer(policy, people);
    int64_t voters = 0;
    for (size_t i = 0; i < people->count; i++)
        voters += may_approve(&policy->approve, &people->list[i]);
    if (stuck != NULL)
        WARN_AT(l, policy->source, "not_requester", "nobody can approve what %s asks for",
                stuck->id);
    if (alone != NULL)
        WARN_AT(l, policy->source, "approve", "%s alone meets all parts of an all_of", alone->id);
    if (policy->reject > voters)
        WARN_AT(l, policy->source, "reject", "only %lld may reject", (long long)voters);
    warn_unknown_requesters(l, policy);
}

static void check_policy(struct loader *l, const struct policy *policy)
{
    struct err err = ERR_INIT;
    const struct json *approve = json_get(policy->source, "approve");
    if (policy->source == NULL)
        return; /* it could not be read, which is reported */
    at_path(l, "policies.%s.approve", policy->name);
    bool ok = check_rule(l, &policy->approve, approve);
    if (ok && !policy_can_be_met(policy, &l->config->people, &err))
        ERROR_AT(l, approve, NULL, "%s", err.text);
    at_path(l, "policies.%s", policy->name);
    if (ok && err.kind == ERR_NONE)
        warn_odd_policy(l, policy);
    size_t i = 0;
    JSON_EACH(step, json_get(policy->source, "ask"))
    {
        at_path(l, "policies.%s.ask.%zu", policy->name, i);
        check_place(l, step, policy->ask[i].channel, policy->ask[i].to);
        i++;
    }
    at_path(l, "policies.%s.escalate", policy->name);
    check_place(l, json_get(policy->source, "escalate"), policy->escalate.channel,
                policy->escalate.to);
}

/* ---- repositories ------------------------------------------------------------------------ */

static const struct github_settings *github_of(const struct source_config *source)
{
    return strcmp(source->type, "github") == 0 ? source->settings : NULL;
}

static bool source_has(const struct github_settings *github, const char *name)
{
    struct json wanted = {.type = JSON_STRING, .text = name};
    for (size_t i = 0; i < github->n_repos; i++) {
        struct json own = {.type = JSON_STRING, .text = github->repos[i]};
        if (same_repo(&own, &wanted))
            return true;
    }
    return github->n_repos == 0; /* no list: all that its token sees */
}

/* owner/name is in a source's list. */
static void check_repo_source(struct loader *l, const struct json *object, const struct json *repo)
{
    const struct config *c = l->config;
    const char *name = json_text(repo);
    bool has_source = false;
    if (name == NULL)
        return;
    for (size_t i = 0; i < c->n_sources; i++) {
        const struct github_settings *github = github_of(&c->sources[i]);
        if (github != NULL && source_has(github, name))
            return;
        has_source = has_source || github != NULL;
    }
    if (has_source)
        ERROR_AT(l, object, "repo", "%s is in the repos of no GitHub source", name);
    else
        WARN_AT(l, object, "repo", "there is no GitHub source: nothing can be read from %s", name);
}

/* The repositories of this configuration, each once: found[0] … [n − 1]; at most two are looked
 * for, since all that matters is whether there is exactly one. */
struct repos {
    const struct json *found[2];
    size_t n;
};

static void add_repo(struct repos *repos, const struct json *repo)
{
    for (size_t i = 0; i < repos->n; i++)
        if (same_repo(repos->found[i], repo))
            return;
    if (repo != NULL && repos->n < COUNT(repos->found))
        repos->found[repos->n++] = repo;
}

static struct repos find_repos(struct loader *l)
{
    const struct config *c = l->config;
    struct repos repos = {.n = 0};
    for (size_t i = 0; i < c->n_environments; i++)
        add_repo(&repos, c->environments[i].repo);
    for (size_t i = 0; i < c->n_agents; i++)
        add_repo(&repos, c->agents[i].repo);
    for (size_t i = 0; i < c->n_sources; i++) {
        const struct github_settings *github = github_of(&c->sources[i]);
        for (size_t r = 0; github != NULL && r < github->n_repos; r++)
            add_repo(&repos, json_string(&l->config->arena, github->repos[r]));
    }
    return repos;
}

static bool reads_repo(const struct agent *agent)
{
    for (size_t i = 0; i < agent->n_tools; i++) {
        const struct tool_run *run = &agent->tools[i]->run;
        if (run->kind == RUN_BUILTIN && run->builtin != NULL && builtin_needs_repo(run->builtin))
            return true;
    }
    return false;
}

/* Every thread of it belongs to a run, whose repository is known. */
static bool works_for_runs_alone(const struct config *c, const char *agent)
{
    bool in_run = false;
    for (size_t i = 0; i < c->n_routes; i++)
        if (text_eq(c->routes[i].agent, agent))
            return false;
    for (size_t i = 0; i < c->n_pipelines; i++)
        for (size_t s = 0; s < c->pipelines[i].n_stages; s++)
            in_run = in_run || text_eq(c->pipelines[i].stages[s].agent, agent) ||
                     text_eq(c->pipelines[i].stages[s].on_failure, agent);
    return in_run;
}

static void check_agent_repo(struct loader *l, const struct agent *agent, const struct json *source,
                             const struct repos *repos)
{
    check_repo_source(l, source, agent->repo);
    if (agent->repo != NULL || json_get(source, "repo") != NULL || !reads_repo(agent) ||
        repos->n == 1 || works_for_runs_alone(l->config, agent->name))
        return;
    ERROR_AT(l, source, "repo",
             repos->n == 0 ? "is required: its tools read a repository, and none is named"
                           : "is required: its tools read a repository, and there are several");
}

/* ---- environments and pipelines ---------------------------------------------------------- */

static bool has_stage_in(const struct config *c, const char *environment)
{
    for (size_t i = 0; i < c->n_pipelines; i++)
        for (size_t s = 0; s < c->pipelines[i].n_stages; s++)
            if (text_eq(c->pipelines[i].stages[s].environment, environment))
                return true;
    return false;
}

static void check_promotion(struct loader *l, const struct environment *e,
                            const struct json *source)
{
    if (e->promote_from == NULL || !exists(l, source, "promote_from", ENVIRONMENT, e->promote_from))
        return;
    const struct environment *from = e;
    for (size_t i = 0; from != NULL && i <= l->config->n_environments; i++)
        from =
            from->promote_from != NULL ? config_environment(l->config, from->promote_from) : NULL;
    if (from != NULL)
        ERROR_AT(l, source, "promote_from", "leads back to itself");
    else if (!has_stage_in(l->config, e->promote_from))
        WARN_AT(l, source, "promote_from",
                "no pipeline has a stage in %s: nothing can ever be promoted", e->promote_from);
}

static void check_environment(struct loader *l, struct environment *e,
                              const struct environment_words *w, const struct repos *repos)
{
    at_path(l, "environments.%s", e->name);
    check_repo_source(l, w->source, e->repo);
    if (e->repo == NULL && json_get(w->source, "repo") == NULL) {
        e->repo = repos->n == 1 ? repos->found[0] : NULL;
        if (repos->n > 1)
            ERROR_AT(l, w->source, "repo", "is required: there are several repositories");
    }
    check_promotion(l, e, w->source);
    for (size_t i = 0; i < w->n_freezes; i++) {
        const struct freeze *freeze = &e->freezes[i];
        at_path(l, "environments.%s.freeze.%zu", e->name, i);
        for (size_t j = 0; j < freeze->n_except; j++) {
            const char *who = freeze->except[j];
            if (!text_starts(who, "role:") && !text_starts(who, "person:"))
                ERROR_AT(l, w->freezes[i].source, "except", "%s must be role:NAME or person:ID",
                         who);
            else
                named_people_exist(l, w->freezes[i].source, "except", who);
        }
    }
}

static void check_stage(struct loader *l, const struct stage *stage, const struct json *source)
{
    exists(l, source, "agent", AGENT, stage->agent);
    exists(l, source, "environment", ENVIRONMENT, stage->environment);
    exists(l, source, "on_failure", AGENT, stage->on_failure);
}

static void check_pipeline(struct loader *l, const struct pipeline *pipeline,
                           const struct pipeline_words *w)
{
    const struct environment *first = NULL;
    for (size_t i = 0; i < pipeline->n_stages; i++) {
        const struct stage *stage = &pipeline->stages[i];
        at_path(l, "pipelines.%s.stages.%zu", pipeline->name, i);
        check_stage(l, stage, w->stages[i].source);
        const struct environment *e = config_environment(l->config, stage->environment);
        if (e == NULL || e->repo == NULL)
            continue;
        if (first != NULL && !same_repo(first->repo, e->repo))
            ERROR_AT(l, w->stages[i].source, "environment",
                     "%s has another repository than %s: a pipeline works on one", e->name,
                     first->name);
        first = first != NULL ? first : e;
    }
    at_path(l, "pipelines.%s", pipeline->name);
    check_contact(l, w->source, "report", &pipeline->report);
}

/* ---- routes ------------------------------------------------------------------------------ */

static void check_from_channel(struct loader *l, const struct route *r, const struct json *source,
                               const struct channel_config *channel)
{
    static const char *const of_sources[] = {"event", "repo", "base"};
    for (size_t i = 0; i < COUNT(of_sources); i++)
        if (json_get(source, of_sources[i]) != NULL)
            ERROR_AT(l, source, of_sources[i], "goes with sources; %s is a channel", r->from);
    if (r->when != NULL && strcmp(channel->type, "slack") != 0)
        ERROR_AT(l, source, "when", "goes with Slack; %s is of type %s", r->from, channel->type);
    if (r->command != NULL && !text_eq(r->when, "command"))
        ERROR_AT(l, source, "command", "goes with when: command");
    if (r->pipeline != NULL)
        ERROR_AT(l, source, "pipeline",
                 "begins with a commit, and a message names none: use an agent");
}

static void check_from_source(struct loader *l, const struct route *r, const struct json *source,
                              const struct source_config *from)
{
    static const char *const of_channels[] = {"when", "command"};
    const struct github_settings *github = github_of(from);
    for (size_t i = 0; i < COUNT(of_channels); i++)
        if (json_get(source, of_channels[i]) != NULL)
            ERROR_AT(l, source, of_channels[i], "goes with channels; %s is a source", r->from);
    if (github == NULL)
        return;
    if (r->repo != NULL && !source_has(github, r->repo))
        ERROR_AT(l, source, "repo", "%s is not in the repos of %s", r->repo, r->from);
    if (r->event != NULL && strcmp(r->event, "pull_request.merged") != 0)
        WARN_AT(l, source, "event", "%s is checked, but never comes in this version", r->event);
    const struct json *node = json_get(json_get(l->root, "sources"), r->from);
    if (json_get(node, "webhook_secret") == NULL)
        ERROR_AT(l, source, "from", "%s needs webhook_secret: its door takes nothing unsigned",
                 r->from);
}

static void check_route_pipeline(struct loader *l, const struct route *r, const struct json *source)
{
    const struct pipeline *pipeline = config_pipeline(l->config, r->pipeline);
    struct json repo = {.type = JSON_STRING, .text = r->repo};
    for (size_t i = 0; pipeline != NULL && r->repo != NULL && i < pipeline->n_stages; i++) {
        const struct environment *e =
            config_environment(l->config, pipeline->stages[i].environment);
        if (e == NULL || json_text(e->repo) == NULL || same_repo(e->repo, &repo))
            continue;
        ERROR_AT(l, source, "repo", "%s has the repository %s", e->name, json_text(e->repo));
        return;
    }
}

static bool covers(const char *wide, const char *narrow)
{
    return wide == NULL || text_eq(wide, narrow);
}

static void warn_shadowed(struct loader *l, size_t index, const struct json *source)
{
    const struct route *r = &l->config->routes[index];
    for (size_t i = 0; i < index; i++) {
        const struct route *e = &l->config->routes[i];
        if (!text_eq(e->from, r->from) || !covers(e->when, r->when) ||
            !covers(e->command, r->command) || !covers(e->event, r->event) ||
            !covers(e->repo, r->repo) || !covers(e->base, r->base))
            continue;
        WARN_AT(l, source, NULL, "is never reached: line %d takes all of it", e->line);
        return;
    }
}

static void check_from(struct loader *l, const struct route *r, const struct json *source)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    const char **names = ARENA_ARRAY(&a, const char *, most_names(l->config));
    const struct channel_config *channel = config_channel(l->config, r->from);
    const struct source_config *from = config_source(l->config, r->from);
    if (r->from == NULL)
        return;
    if (channel != NULL) {
        check_from_channel(l, r, source, channel);
    } else if (from != NULL) {
        check_from_source(l, r, source, from);
    } else {
        size_t n = all_names(l->config, CHANNEL, names);
        n += all_names(l->config, SOURCE, names + n);
        no_such(l, source, "from", "channel or source", r->from, names, n);
    }
}

static void check_route(struct loader *l, size_t index)
{
    const struct route *r = &l->config->routes[index];
    const struct json *source = l->words.routes[index].source;
    at_path(l, "routes.%zu", index);
    if (source->type != JSON_OBJECT)
        return;
    check_from(l, r, source);
    if ((json_get(source, "agent") != NULL) == (json_get(source, "pipeline") != NULL))
        ERROR_AT(l, source, NULL, "needs exactly one of agent and pipeline");
    exists(l, source, "agent", AGENT, r->agent);
    if (exists(l, source, "pipeline", PIPELINE, r->pipeline))
        check_route_pipeline(l, r, source);
    if (r->from != NULL)
        warn_shadowed(l, index, source);
}

/* ---- agents, tools, keys ----------------------------------------------------------------- */

static void check_agent(struct loader *l, const struct agent *agent, const struct json *source,
                        const struct repos *repos)
{
    at_path(l, "agents.%s", agent->name);
    for (size_t i = 0; i < agent->n_hand_over; i++) {
        exists(l, source, "hand_over", AGENT, agent->hand_over[i]);
        if (text_eq(agent->hand_over[i], agent->name))
            ERROR_AT(l, source, "hand_over", "it cannot hand over to itself");
    }
    check_contact(l, source, "contact", &agent->contact);
    check_agent_repo(l, agent, source, repos);
}

static void check_tool(struct loader *l, const struct tool *tool, const struct json *source)
{
    at_path(l, "tools.%s", tool->name);
    if (!text_eq(tool->needs, "nobody"))
        exists(l, source, "needs", POLICY, tool->needs);
    at_path(l, "tools.%s.target", tool->name);
    exists(l, json_get(source, "target"), "environment", ENVIRONMENT, tool->target.environment);
}

static bool has_scope(const struct api_key *key, const char *scope)
{
    for (size_t i = 0; i < key->n_scopes; i++)
        if (strcmp(key->scopes[i], scope) == 0)
            return true;
    return false;
}

static void check_key(struct loader *l, size_t index)
{
    const struct api_key *key = &l->config->api_keys[index];
    const struct json *source = l->words.api_keys[index].source;
    at_path(l, "api_keys.%zu", index);
    exists(l, source, "person", PERSON, key->person);
    if (json_get(source, "scopes") != NULL && key->n_scopes == 0 &&
        json_count(json_get(source, "scopes")) == 0)
        ERROR_AT(l, source, "scopes", "is empty: the key could do nothing");
    if (json_get(source, "person") == NULL && has_scope(key, "requests:decide"))
        WARN_AT(l, source, "scopes", "requests:decide needs a person: whose votes they are");
}

/* The settings of a Slack channel with a socket; NULL: another kind of channel. */
static const struct slack_settings *slack_of(const struct channel_config *channel)
{
    const struct slack_settings *s = strcmp(channel->type, "slack") == 0 ? channel->settings : NULL;
    return s != NULL && text_eq(s->mode, "socket") && s->app_token != NULL ? s : NULL;
}

/* Slack gives each event to one of an app's connections: two channels of one app would share them.
 */
static void check_socket(struct loader *l, size_t index)
{
    const struct config *c = l->config;
    const struct slack_settings *own = slack_of(&c->channels[index]);
    for (size_t i = 0; own != NULL && i < index; i++) {
        const struct slack_settings *other = slack_of(&c->channels[i]);
        if (other == NULL || !text_eq(own->app_token, other->app_token))
            continue;
        at_path(l, "channels.%s", own->name);
        ERROR_AT(l, json_get(l->words.channels, own->name), "app_token",
                 "is %s's already: Slack would give each event to one of the two", other->name);
    }
}

void check_references(struct loader *l)
{
    struct config *c = l->config;
    struct repos repos = find_repos(l);
    for (size_t i = 0; i < c->n_channels; i++)
        check_socket(l, i);
    for (size_t i = 0; i < c->n_policies; i++)
        check_policy(l, &c->policies[i]);
    for (size_t i = 0; i < c->n_environments; i++)
        check_environment(l, &c->environments[i], &l->words.environments[i], &repos);
    for (size_t i = 0; i < c->n_tools; i++)
        check_tool(l, &c->tools[i], l->words.tools[i].source);
    for (size_t i = 0; i < c->n_agents; i++)
        check_agent(l, &c->agents[i], l->words.agents[i].source, &repos);
    for (size_t i = 0; i < c->n_pipelines; i++)
        check_pipeline(l, &c->pipelines[i], &l->words.pipelines[i]);
    for (size_t i = 0; i < c->n_routes; i++)
        check_route(l, i);
    for (size_t i = 0; i < c->n_api_keys; i++)
        check_key(l, i);
    l->problems.path = NULL;
}
