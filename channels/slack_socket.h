/* Slack's Socket Mode without its sockets: what the frames say, and a small machine that decides
 * when to ask for an address, connect, ping and drop. Pure: time and randomness come in as data.
 * Sources: docs.slack.dev, apis/events-api/using-socket-mode; the methods' reference. */
#pragma once

#include "channels/channel.h"
#include "gateway/base/json.h"

/* ---- apps.connections.open ------------------------------------------------------------------ */

/* The call that gives the address of one connection. The app-level token goes into its header
 * only. Not repeatable: each answer is a ticket for one use. */
bool slack_open_render(const struct slack_settings *s, struct arena *a, struct wire *out,
                       struct err *err) NODISCARD;

struct slack_opening {
    const char *url;        /* wss://… with a ticket: a secret. NULL: there is none */
    bool hopeless;          /* it will not succeed until a human has done what `why` says */
    int64_t retry_after_ms; /* 0: not said */
    const char *why;        /* when there is no address */
};
struct slack_opening slack_open_settle(const struct slack_settings *s, struct arena *a,
                                       const struct wire_reply *reply);

/* ---- frames --------------------------------------------------------------------------------- */

enum {
    SLACK_SOCKET_MESSAGE_MAX = 1 << 20, /* bytes of one inbound message */
    SLACK_ACK_MAX = 20000, /* Slack ignores acknowledgements of 20,480 bytes and more */
};

enum slack_goodbye {
    SLACK_REFRESH,       /* "warning", "refresh_requested" and what is not known: a new one, soon */
    SLACK_LINK_DISABLED, /* Socket Mode was switched off */
    SLACK_TOO_MANY,      /* of this app's connections: ten are allowed */
};

struct slack_frame {
    enum { SLACK_HELLO, SLACK_GOODBYE, SLACK_ENVELOPE, SLACK_UNKNOWN } kind;
    int64_t connections;        /* HELLO: of the app, everywhere; 0: not said */
    enum slack_goodbye goodbye; /* GOODBYE */
    const char *reason;         /* … in Slack's word, for the log; NULL: none */
    const char *id;             /* ENVELOPE: what its acknowledgement names */
    bool takes_payload;         /* ENVELOPE: the acknowledgement may carry an answer */
    /* ENVELOPE: the webhook that would have brought the same over HTTP, without its signature: the
     * connection, which was opened with our token, stands for it. */
    struct webhook in;
};

/* One text message. Fails where it is no JSON object, or an envelope that cannot be read. */
bool slack_frame_parse(struct arena *a, struct span text, int64_t at_ms, struct slack_frame *out,
                       struct err *err) NODISCARD;

/* The acknowledgement. `body` is what the webhook's answer would have been: JSON or plain words;
 * NULL or "" for none. It is left out where the envelope takes none, or where it is too long. */
char *slack_ack(struct arena *a, const char *id, bool takes_payload, const char *body);

/* ---- the machine ---------------------------------------------------------------------------- */

/* One connection stands; before Slack takes it away the next one is opened and the old one is read
 * to its end, so that nothing falls between them. All times are monotonic milliseconds. */

enum {
    SLACK_LINKS = 4,            /* of one channel at a time: the app has ten in all */
    SLACK_HELLO_MS = 30000,     /* from the begin of connecting to Slack's hello */
    SLACK_PING_MS = 10000,      /* a connection that was silent for so long is pinged … */
    SLACK_DEAD_MS = 30000,      /* … and dropped after so long */
    SLACK_LEAVE_MS = 30000,     /* how long one that Slack wants back is read on */
    SLACK_APART_MS = 1000,      /* from a hello to asking for the next address, at least */
    SLACK_FIRST_MS = 1000,      /* the back-off: a random part of this, … */
    SLACK_MOST_MS = 60000,      /* … doubled with each failure up to this */
    SLACK_HOPELESS_MS = 300000, /* looked at again, so that nobody needs to restart us */
};

struct slack_link {
    enum { LINK_FREE, LINK_CONNECTING, LINK_LIVE, LINK_LEAVING } state;
    uint64_t number;
    int64_t since_ms; /* in this state */
    int64_t heard_ms; /* the last frame of any kind */
    int64_t pinged_ms;
};

struct slack_socket {
    struct slack_link links[SLACK_LINKS];
    bool is_asking;    /* apps.connections.open is under way */
    int64_t ask_at_ms; /* when to ask next; INT64_MAX: no need */
    int failures;      /* in a row */
    bool is_hopeless;  /* a human must do something */
};

/* What is to be done, in order. */
struct slack_act {
    enum {
        SLACK_ASK_ADDRESS, /* call apps.connections.open */
        SLACK_CONNECT,     /* to the address that was just given, as this number */
        SLACK_PING,
        SLACK_DROP, /* close it at once; it will not be heard of again */
    } kind;
    uint64_t number;
};
struct slack_acts {
    struct slack_act list[2 * SLACK_LINKS + 2];
    size_t n;
};

/* What happened. Each adds to *out. `random`: any number, for the back-off. A number that is not
 * (any more) one of the links is passed over. */
void slack_socket_begin(struct slack_socket *s, int64_t now_ms, struct slack_acts *out);
/* There is an address: `number`, never used before, is its connection from now on. */
void slack_socket_opened(struct slack_socket *s, uint64_t number, int64_t now_ms,
                         struct slack_acts *out);
void slack_socket_refused(struct slack_socket *s, const struct slack_opening *why, int64_t now_ms,
                          uint32_t random, struct slack_acts *out);
/* A frame of any kind came, a pong too. */
void slack_socket_heard(struct slack_socket *s, uint64_t number, int64_t now_ms);
void slack_socket_hello(struct slack_socket *s, uint64_t number, int64_t now_ms);
void slack_socket_goodbye(struct slack_socket *s, uint64_t number, enum slack_goodbye goodbye,
                          int64_t now_ms, uint32_t random, struct slack_acts *out);
/* It ended by itself: refused, closed, cut. */
void slack_socket_closed(struct slack_socket *s, uint64_t number, int64_t now_ms, uint32_t random,
                         struct slack_acts *out);
/* Time went by. To be called at slack_socket_due_ms() at the latest. */
void slack_socket_tick(struct slack_socket *s, int64_t now_ms, uint32_t random,
                       struct slack_acts *out);
int64_t slack_socket_due_ms(const struct slack_socket *s); /* INT64_MAX: never */

/* "connected", "connecting", "waiting" (for the next try) or "refused" (a human must act). */
const char *slack_socket_state(const struct slack_socket *s);
size_t slack_socket_links(const struct slack_socket *s); /* connecting, live and leaving */
