/* The adapter interface: wire ⇄ message. An adapter is pure functions over its settings: no I/O, no
 * clock, no globals; time and randomness come in as data. Slots say whether they may be NULL; none
 * may block; each is called on whatever thread works on the letter, once a call. */
#pragma once

#include "channels/message.h"
#include "gateway/base/err.h"
#include "gateway/base/http_parse.h"

/* A request as it came in. Borrowed. */
struct webhook {
    const char *method, *path, *query; /* path without the query; query may be NULL */
    const struct http_header *headers;
    size_t n_headers;
    struct span body; /* raw bytes: signatures are over these */
    int64_t at_ms;    /* Unix time of arrival */
};

const char *webhook_header(const struct webhook *in, const char *name); /* NULL when absent */

enum arrival_kind {
    ARRIVAL_IGNORED,  /* well-signed, nothing to do: answered, counted, not stored */
    ARRIVAL_MESSAGE,  /* a person's words */
    ARRIVAL_EVENT,    /* a system's event (a merge) */
    ARRIVAL_DECISION, /* a vote or an answer */
    ARRIVAL_ASK_FORM, /* a click that wants a form (reject with a reason): stored, then `live` */
    ARRIVAL_COMMAND,  /* words for a route or for us, answered at once (answer_command) */
    ARRIVAL_SEARCH,   /* choices of `request` that match `query`, answered at once, not stored */
    ARRIVAL_HOME,     /* a person opened their page: it is made anew */
};

/* What a webhook says, once verified. Everything lives in the arena of receive(). */
struct arrival {
    enum arrival_kind kind;
    const char *ignored_why; /* ARRIVAL_IGNORED: a word for the counter */
    const char *keys[3]; /* de-duplication keys, NULL-terminated; any that is known: seen before */
    const char *type;    /* the event's type: "slack_message", "github_pull_request" */
    const char *sender;  /* identity: "slack:U024BE7LH", "github:dex" */
    const char *when;    /* MESSAGE: mention | direct_message | command | shortcut | message; EVENT:
                            "pull_request.merged" */
    const char *repo, *base;    /* EVENT: what routes match on; else NULL */
    const char *to, *in_thread; /* where an answer goes; together the conversation */
    bool known_threads_only;    /* drop it unless it continues a conversation of ours */
    const struct json *data;    /* the event's data */
    const char *request;        /* DECISION, ASK_FORM: request id ("r_…") or code ("4821") */
    const char *decision;       /* approve | reject | answer | edit; of an ASK_FORM: for what */
    const char *comment, *answer;
    const char *query;               /* SEARCH: what was typed */
    const char *hold;                /* DECISION: the HTTP answer waits until it is known what
                                        becomes of it; names that wait. NULL: it does not */
    const char *trigger;             /* what opens a form (Slack's trigger_id), or NULL */
    const char *shown_at;            /* external id of the card that was clicked, or NULL */
    int status;                      /* HTTP answer: 0 = 200 */
    const char *content_type, *body; /* … and its body; NULL = empty */
};

/* One HTTP call to a provider. */
struct wire {
    const char *method, *url;
    const struct http_header *headers;
    size_t n_headers;
    struct span body;
    bool repeatable;  /* may be sent twice without harm */
    const char *lane; /* calls of one lane keep their order and wait for its Retry-After alone */
};

enum wire_fate {
    WIRE_ANSWERED, /* status and body are set */
    WIRE_NOT_SENT, /* certainly never arrived */
    WIRE_UNKNOWN,  /* may have arrived */
};

struct wire_reply {
    enum wire_fate fate;
    int status;
    struct span body;
    int64_t retry_after_ms; /* 0: not said */
    const struct http_header *headers;
    size_t n_headers;
    const char *error; /* when not answered: why */
};

enum delivery_outcome {
    DELIVERY_SENT,
    DELIVERY_RETRY,    /* did not happen: again after retry_after_ms (0: by our own back-off) */
    DELIVERY_REJECTED, /* will never succeed: `reason` says what a human must do */
    DELIVERY_UNKNOWN,  /* may have happened: look it up, or ask again marked as a repeat */
};

struct receipt {
    enum delivery_outcome outcome;
    const char
        *external_id; /* SENT: how the provider names it, for edits ("C123:1700000000.000100") */
    const char *in_thread; /* SENT: the conversation that replies to it will carry */
    int64_t retry_after_ms;
    const char *reason;
};

/* The answer to a live click: not a delivery, never retried. */
struct live {
    enum {
        LIVE_TELL,
        LIVE_REJECT_FORM,
        LIVE_ANSWER_FORM,
        LIVE_CHOICE_FORM, /* one of many, by a search */
        LIVE_EDIT_FORM,   /* `fields`: the arguments that may be changed */
    } kind;
    const char *to, *in_thread, *user; /* TELL: seen by that user alone; to NULL: directly */
    const char *text;
    const struct json *fields; /* [{name, description, value, choices, max_length, optional}] */
    const char *trigger, *request_id, *title; /* forms */
    const char *shown_at;
};

/* What a search has found, best first. */
struct suggestion {
    const char *label;
    int64_t number; /* among the choices */
};
struct suggestions {
    const char *request;
    struct suggestion *list;
    size_t n;
};

/* What became of a form whose answer was held back. */
struct form_outcome {
    enum { FORM_DONE, FORM_REFUSED, FORM_SLOW } kind;
    const char *field;    /* REFUSED: the argument that is wrong */
    const char *sentence; /* REFUSED, SLOW: for the person */
};

struct channel_ops {
    const char *type;     /* the word in the configuration: "slack" */
    const char *identity; /* the prefix of its senders: "slack" */
    /* Inbound; NULL when it only sends. `instance` is the configured name: keys and forms carry it.
     */
    bool (*verify)(const void *settings, const struct webhook *in, struct err *err);
    bool (*receive)(const void *settings, struct arena *a, const struct webhook *in,
                    struct arrival *out, struct err *err);
    /* Outbound; NULL when it only receives. render: message → one call. settle: its reply →
     * receipt. */
    bool (*render)(const void *settings, struct arena *a, const struct message *msg,
                   struct wire *out, struct err *err);
    struct receipt (*settle)(const void *settings, struct arena *a, const struct message *msg,
                             const struct wire_reply *reply);
    /* Settles an ambiguous post by one look-up; NULL: cannot. RETRY from settle_look_up: not there.
     */
    bool (*look_up)(const void *settings, struct arena *a, const struct message *msg,
                    struct wire *out, struct err *err);
    struct receipt (*settle_look_up)(const void *settings, struct arena *a,
                                     const struct message *msg, const struct wire_reply *reply);
    /* Live answers; NULL: none. */
    bool (*live)(const void *settings, struct arena *a, const struct live *live, struct wire *out,
                 struct err *err);
    /* The HTTP answer to a form whose arrival said `hold`; NULL: empty. */
    void (*form_answer)(struct arena *a, const struct form_outcome *outcome,
                        const char **content_type, const char **body);
    /* The HTTP answers to a command and to a search; NULL: empty. `msg` is a text. */
    void (*answer_command)(struct arena *a, const struct message *msg, const char **content_type,
                           const char **body);
    void (*answer_search)(struct arena *a, const struct suggestions *found,
                          const char **content_type, const char **body);
};

extern const struct channel_ops slack_channel; /* channels/slack.c */
extern const struct channel_ops github_source; /* channels/github.c */
extern const struct channel_ops web_channel;   /* channels/web.c */

/* By type; NULL when this build has none. */
const struct channel_ops *channel_ops_by_type(const char *type);

/* Settings, decoded by gateway/config. Secrets are clear text in memory and nowhere else. */
struct slack_settings {
    const char *name; /* the instance: "ops-slack" */
    const char *mode; /* http | socket */
    const char *bot_token, *signing_secret, *app_token, *client_id, *client_secret, *api_base;
    const char *bot_user; /* our own user id, learned by auth.test; NULL until known */
};

struct github_settings {
    const char *name, *webhook_secret, *token, *app_id, *private_key, *api_base;
    const char **repos;
    size_t n_repos;
};
