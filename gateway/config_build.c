/* Words → config, part by part, with the defaults that depend on other keys. What holds between the
 * parts is checked in config_check.c. */
#include "gateway/base/text.h"
#include "gateway/config_private.h"

#include <string.h>

static const char *without_final_slash(struct arena *a, const char *url)
{
    size_t len = url != NULL ? strlen(url) : 0;
    while (len > 0 && url[len - 1] == '/')
        len--;
    return url != NULL ? arena_strndup(a, url, len) : NULL;
}

/* ---- server and store -------------------------------------------------------------------- */

static const char *folder_of(struct arena *a, const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash == NULL || slash == path ? "/" : arena_strndup(a, path, (size_t)(slash - path));
}

static void build_store(struct loader *l)
{
    struct arena *a = &l->config->arena;
    struct store_config *store = &l->config->store;
    *store = l->words.store.store;
    const char *file = text_starts(store->url, "sqlite:") ? store->url + strlen("sqlite:") : "";
    store->path = path_in_folder(a, l->config->folder, file);
    if (l->options->mode == CONFIG_READ && l->words.store.source != NULL) {
        const struct json *url = json_get(l->words.store.source, "url");
        if (url != NULL && yaml_node(url)->origin == VALUE_ABSENT) {
            at_path(l, "store");
            ERROR_AT(l, l->words.store.source, "url", "is needed: %s", yaml_node(url)->why);
        }
    }
}

/* "127.0.0.1:8080" → "http://127.0.0.1:8080"; "[::]:8080" means this machine to a browser on it. */
static const char *default_public_url(struct arena *a, const struct server_config *server,
                                      bool has_tls)
{
    const char *listen = server->listen, *scheme = has_tls ? "https" : "http";
    const char *port = strrchr(listen, ':');
    if (text_starts(listen, "unix:"))
        return NULL;
    if (text_starts(listen, "[::]:") || text_starts(listen, "0.0.0.0:"))
        return arena_printf(a, "%s://localhost%s", scheme, port);
    return arena_printf(a, "%s://%s", scheme, listen);
}

static void check_public_url(struct loader *l, const struct json *source)
{
    struct server_config *server = &l->config->server;
    struct arena *a = &l->config->arena;
    bool has_tls = server->tls_cert != NULL;
    if (server->public_url == NULL)
        server->public_url = default_public_url(a, server, has_tls);
    else if (text_starts(server->public_url, "http://") && !url_is_loopback(server->public_url))
        WARN_AT(l, source, "public_url",
                "is plain http: links, sessions and signatures can be read and changed on the way");
    if (server->public_url == NULL && json_get(source, "public_url") == NULL)
        ERROR_AT(l, source, "public_url", "is required when listen is a unix socket");
    server->public_url = without_final_slash(a, server->public_url);
}

void build_server(struct loader *l)
{
    struct arena *a = &l->config->arena;
    struct server_config *server = &l->config->server;
    build_store(l);
    *server = l->words.server.server;
    server->tls_cert = l->words.server.tls.cert;
    server->tls_key = l->words.server.tls.key;
    at_path(l, "server");
    if (text_starts(server->listen, "unix:"))
        server->listen = arena_printf(
            a, "unix:%s", path_in_folder(a, l->config->folder, server->listen + strlen("unix:")));
    check_public_url(l, l->words.server.source);
    server->state = server->state != NULL
                        ? path_in_folder(a, l->config->folder, server->state)
                        : path_in_folder(a, folder_of(a, l->config->store.path), "state");
    l->config->log = l->words.log;
}

/* ---- models ------------------------------------------------------------------------------ */

static const char *default_base_url(enum model_provider provider)
{
    switch (provider) {
    case MODEL_OPENAI:
        return "https://api.openai.com/v1";
    case MODEL_ANTHROPIC:
        return "https://api.anthropic.com";
    case MODEL_PLAYBOOK:
        return NULL;
    }
    UNREACHABLE();
}

static struct model_config finish_model(struct loader *l, struct model_config model,
                                        struct price_words price, const struct json *source)
{
    if (source == NULL)
        return (struct model_config){.provider = MODEL_PLAYBOOK};
    if (model.base_url == NULL)
        model.base_url = default_base_url(model.provider);
    model.base_url = without_final_slash(&l->config->arena, model.base_url);
    model.input_per_mtok = price.input;
    model.output_per_mtok = price.output;
    if (model.provider == MODEL_PLAYBOOK)
        return model;
    if (json_get(source, "model") == NULL)
        ERROR_AT(l, source, "model", "is required");
    if (json_get(source, "api_key") == NULL &&
        text_eq(model.base_url, default_base_url(model.provider)))
        WARN_AT(l, source, "api_key", "is left out: %s will refuse us", model.base_url);
    return model;
}

void build_models(struct loader *l)
{
    const struct model_words *w = &l->words.llm;
    at_path(l, "llm");
    l->config->llm = finish_model(l, w->model, w->price, w->source);
    if (w->fallback.source == NULL)
        return;
    at_path(l, "llm.fallback");
    struct model_config *fallback = ARENA_NEW(&l->config->arena, struct model_config);
    *fallback = finish_model(l, w->fallback.model, w->fallback.price, w->fallback.source);
    l->config->llm.fallback = fallback;
}

/* ---- people ------------------------------------------------------------------------------ */

static void refuse_double(struct loader *l, const struct person *person, const char *key,
                          const char *value, const char *prefix)
{
    const struct person *other =
        prefix == NULL ? person_by_id(&l->config->people, value)
                       : person_by_identity(&l->config->people,
                                            arena_printf(&l->config->arena, "%s%s", prefix, value));
    if (value == NULL || other == NULL)
        return;
    const struct json *list = json_get(l->root, "people");
    const struct json *object = list->child;
    for (ptrdiff_t i = person - l->words.people; i > 0; i--)
        object = object->next;
    ERROR_AT(l, object, key, "%s is %s already (line %d)", value, other->id, other->line);
}

void build_people(struct loader *l)
{
    struct people *people = &l->config->people;
    people->list = ARENA_ARRAY(&l->config->arena, struct person, l->words.n_people);
    for (size_t i = 0; i < l->words.n_people; i++) {
        const struct person *person = &l->words.people[i];
        at_path(l, "people.%zu", i);
        if (person->id == NULL)
            continue; /* reported; nothing can refer to it */
        refuse_double(l, person, "id", person->id, NULL);
        refuse_double(l, person, "slack", person->slack, "slack:");
        refuse_double(l, person, "email", person->email, "email:");
        refuse_double(l, person, "phone", person->phone, "sms:");
        refuse_double(l, person, "github", person->github, "github:");
        people->list[people->count] = *person;
        if (person->name == NULL)
            people->list[people->count].name = person->id;
        people->count++;
    }
}

/* ---- channels and sources ---------------------------------------------------------------- */

static const struct variant *find_variant(struct loader *l, const struct json *object,
                                          const struct variant *variants, size_t n)
{
    const char *type = json_text(json_get(object, "type"));
    const char *words[8];
    if (object->type != JSON_OBJECT) {
        ERROR_AT(l, object, NULL, "must be a mapping of keys to values");
        return NULL;
    }
    if (type == NULL) {
        ERROR_AT(l, object, "type", "is required");
        return NULL;
    }
    for (size_t i = 0; i < n; i++) {
        words[i] = variants[i].type;
        if (strcmp(type, words[i]) == 0)
            return &variants[i];
    }
    no_such(l, object, "type", "type", type, words, n);
    return NULL;
}

static void *decode_variant(struct loader *l, const struct json *object,
                            const struct variant *variant)
{
    struct arena *a = &l->config->arena;
    void *settings = arena_alloc(a, variant->size);
    l->problems.unused = variant->later;
    fields_decode(a, variant->rows, variant->n_rows, object, settings, &l->problems);
    l->problems.unused = false;
    if (variant->later)
        WARN_AT(l, object, "type", "%s is checked, but does nothing in this version",
                variant->type);
    return settings;
}

static void finish_slack(struct loader *l, const struct json *object, void *settings)
{
    struct slack_settings *slack = settings;
    (void)object;
    slack->api_base = without_final_slash(&l->config->arena, slack->api_base);
}

static void finish_email(struct loader *l, const struct json *object, void *settings)
{
    const struct email_settings *email = settings;
    if (email->reply_address != NULL && strstr(email->reply_address, "{token}") == NULL)
        ERROR_AT(l, object, "reply_address", "must hold {token}");
}

static void finish_sms(struct loader *l, const struct json *object, void *settings)
{
    struct sms_settings *sms = settings;
    sms->api_base = without_final_slash(&l->config->arena, sms->api_base);
    if (json_get(object, "from") == NULL && json_get(object, "messaging_service_sid") == NULL)
        ERROR_AT(l, object, "from", "is required, or messaging_service_sid");
}

static void finish_github(struct loader *l, const struct json *object, void *settings)
{
    struct github_settings *github = settings;
    (void)object;
    github->api_base = without_final_slash(&l->config->arena, github->api_base);
}

/* What is left to do for settings of one type. */
static const struct finish {
    const char *type;
    void (*settings)(struct loader *l, const struct json *object, void *settings);
} finishes[] = {
    {"slack", finish_slack},
    {"email", finish_email},
    {"sms", finish_sms},
    {"github", finish_github},
};

static void *build_settings(struct loader *l, const struct json *object,
                            const struct variant *variant)
{
    void *settings = decode_variant(l, object, variant);
    for (size_t i = 0; i < COUNT(finishes); i++)
        if (strcmp(finishes[i].type, variant->type) == 0)
            finishes[i].settings(l, object, settings);
    return settings;
}

static bool is_mapping(struct loader *l, const struct json *j, const char *key)
{
    l->problems.path = NULL;
    if (j == NULL || j->type == JSON_OBJECT)
        return j != NULL;
    return problem(&l->problems, PROBLEM_ERROR, j, key, "must be a mapping of names to objects");
}

/* Sets the path; reports a name that is none. */
static void begin_named(struct loader *l, const char *section, const struct json *object)
{
    struct err err = ERR_INIT;
    at_path(l, "%s.%s", section, object->key);
    if (!check_name(object->key, &err))
        ERROR_AT(l, object, NULL, "%s", err.text);
}

static void build_channels(struct loader *l)
{
    struct config *c = l->config;
    if (!is_mapping(l, l->words.channels, "channels"))
        return;
    c->channels = ARENA_ARRAY(&c->arena, struct channel_config, json_count(l->words.channels));
    JSON_EACH(object, l->words.channels)
    {
        begin_named(l, "channels", object);
        const struct variant *v = find_variant(l, object, channel_variants, n_channel_variants);
        struct channel_config *channel = &c->channels[c->n_channels++];
        *channel = (struct channel_config){
            .name = object->key, .type = v != NULL ? v->type : "", .line = yaml_line(object)};
        if (v == NULL)
            continue;
        channel->settings = build_settings(l, object, v);
        if (strcmp(v->type, "web") == 0)
            channel->settings = NULL; /* it has none */
        channel->ops = l->options->channel_ops != NULL ? l->options->channel_ops(v->type) : NULL;
    }
}

static void build_sources(struct loader *l)
{
    struct config *c = l->config;
    if (!is_mapping(l, l->words.sources, "sources"))
        return;
    c->sources = ARENA_ARRAY(&c->arena, struct source_config, json_count(l->words.sources));
    JSON_EACH(object, l->words.sources)
    {
        begin_named(l, "sources", object);
        const struct channel_config *channel = config_channel(c, object->key);
        if (channel != NULL)
            ERROR_AT(l, object, NULL, "a channel has this name already (line %d)", channel->line);
        const struct variant *v = find_variant(l, object, source_variants, n_source_variants);
        struct source_config *source = &c->sources[c->n_sources++];
        *source = (struct source_config){
            .name = object->key, .type = v != NULL ? v->type : "", .line = yaml_line(object)};
        if (v == NULL)
            continue;
        source->settings = build_settings(l, object, v);
        source->ops = l->options->source_ops != NULL ? l->options->source_ops(v->type) : NULL;
    }
}

void build_instances(struct loader *l)
{
    build_channels(l);
    build_sources(l);
}

/* ---- policies ---------------------------------------------------------------------------- */

void build_policies(struct loader *l)
{
    struct config *c = l->config;
    if (!is_mapping(l, l->words.policies, "policies"))
        return;
    c->policies = ARENA_ARRAY(&c->arena, struct policy, json_count(l->words.policies));
    JSON_EACH(object, l->words.policies)
    {
        begin_named(l, "policies", object);
        if (strcmp(object->key, "nobody") == 0)
            ERROR_AT(l, object, NULL, "nobody is a word of `needs` and cannot name a policy");
        struct policy *policy = &c->policies[c->n_policies];
        if (!policy_parse(&c->arena, object->key, object, policy, &l->problems))
            /* Kept by name, so that what refers to it is not wrong too. */
            *policy = (struct policy){.name = object->key};
        c->n_policies++;
    }
}

/* ---- environments ------------------------------------------------------------------------ */

static void build_freeze(struct loader *l, const struct freeze_words *w, struct freeze *out)
{
    *out = w->freeze;
    if (w->source->type != JSON_OBJECT)
        return;
    bool has_days = json_get(w->source, "days") != NULL;
    bool has_dates = json_get(w->source, "from") != NULL || json_get(w->source, "to") != NULL;
    if (has_days == has_dates)
        ERROR_AT(l, w->source, has_days ? "days" : NULL,
                 "needs either days: [fri 16:00, mon 08:00] or from and to");
    else if (has_days && json_count(json_get(w->source, "days")) != 2)
        ERROR_AT(l, w->source, "days", "must be two: from and to, as in [fri 16:00, mon 08:00]");
    else if (has_dates &&
             (json_get(w->source, "from") == NULL || json_get(w->source, "to") == NULL))
        ERROR_AT(l, w->source, json_get(w->source, "from") == NULL ? "from" : "to",
                 "is required beside the other");
    else if (w->freeze.from != NULL && w->freeze.to != NULL &&
             strcmp(w->freeze.from, w->freeze.to) > 0)
        ERROR_AT(l, w->source, "to", "is before from");
    if (w->n_days != 2)
        return;
    out->day_from = w->days[0];
    out->day_to = w->days[1];
    if (text_eq(out->day_from, out->day_to))
        ERROR_AT(l, w->source, "days", "begins and ends at the same moment");
}

static void build_freezes(struct loader *l, const struct environment_words *w,
                          struct environment *out)
{
    out->freezes = ARENA_ARRAY(&l->config->arena, struct freeze, w->n_freezes);
    out->n_freezes = w->n_freezes;
    for (size_t i = 0; i < w->n_freezes; i++) {
        at_path(l, "environments.%s.freeze.%zu", out->name, i);
        build_freeze(l, &w->freezes[i], &out->freezes[i]);
        for (size_t j = 0; j < i; j++)
            if (out->freezes[j].name != NULL && text_eq(out->freezes[j].name, out->freezes[i].name))
                ERROR_AT(l, w->freezes[i].source, "name", "%s is there already (line %d)",
                         out->freezes[i].name, out->freezes[j].line);
    }
}

void build_environments(struct loader *l)
{
    struct config *c = l->config;
    c->n_environments = l->words.n_environments;
    c->environments = ARENA_ARRAY(&c->arena, struct environment, c->n_environments);
    for (size_t i = 0; i < c->n_environments; i++) {
        const struct environment_words *w = &l->words.environments[i];
        c->environments[i] = w->environment;
        at_path(l, "environments.%s", w->environment.name);
        c->environments[i].repo = read_repo(l, w->source);
        build_freezes(l, w, &c->environments[i]);
    }
}

/* ---- routes and keys --------------------------------------------------------------------- */

void build_routes(struct loader *l)
{
    struct config *c = l->config;
    c->n_routes = l->words.n_routes;
    c->routes = ARENA_ARRAY(&c->arena, struct route, c->n_routes);
    for (size_t i = 0; i < c->n_routes; i++)
        c->routes[i] = l->words.routes[i].route;
}

/* Only its hash stays: the text in the tree is our own copy, and nobody else reads it. */
static void hash_key(const struct key_words *w, struct api_key *out)
{
    struct yaml_node *node = yaml_node(json_get(w->source, "key"));
    union {
        const char *view;
        char *bytes;
    } text = {.view = w->secret};
    if (w->secret == NULL)
        return; /* all zeros: the hash of nothing */
    sha256(span_of(w->secret), out->key_sha256);
    explicit_bzero(text.bytes, strlen(w->secret));
    node->json.text = node->written = "";
}

void build_keys(struct loader *l)
{
    struct config *c = l->config;
    c->n_api_keys = l->words.n_api_keys;
    c->api_keys = ARENA_ARRAY(&c->arena, struct api_key, c->n_api_keys);
    for (size_t i = 0; i < c->n_api_keys; i++) {
        const struct key_words *w = &l->words.api_keys[i];
        struct api_key *key = &c->api_keys[i];
        at_path(l, "api_keys.%zu", i);
        *key = w->key;
        if (w->secret != NULL && strlen(w->secret) < 16)
            WARN_AT(l, w->source, "key", "is short: at least 16 random characters are safe");
        bool has_secret = w->secret != NULL;
        hash_key(w, key);
        for (size_t j = 0; j < i; j++) {
            if (key->name != NULL && text_eq(c->api_keys[j].name, key->name))
                ERROR_AT(l, w->source, "name", "%s is there already (line %d)", key->name,
                         c->api_keys[j].line);
            if (has_secret && memcmp(c->api_keys[j].key_sha256, key->key_sha256, SHA256_SIZE) == 0)
                ERROR_AT(l, w->source, "key", "is the key of line %d", c->api_keys[j].line);
        }
    }
}
