/* Calls to others: libcurl on a thread of its own. A job travels out and comes back to a mailbox
 * with its result; exactly once, whatever happens, also when the client stops.
 *
 * Jobs to one host and of one haste share a lane (max_per_host at a time, in order of posting);
 * lanes never wait for each other. Redirects are not followed: they come back as answers. Only http
 * and https. */
#pragma once

#include "gateway/base/arena.h"
#include "gateway/base/err.h"
#include "gateway/base/http_parse.h"
#include "gateway/mailbox.h"

enum http_outcome {
    HTTP_ANSWERED, /* a whole answer came; see status */
    HTTP_NOT_SENT, /* certainly nothing reached the server: may be repeated */
    HTTP_UNKNOWN,  /* it may have been acted on. Also an answer that was cut or over the limit:
                      `status` then says what its first line said, 0 if none came */
};

const char *http_outcome_name(enum http_outcome outcome); /* "answered", "not_sent", "unknown" */

enum http_haste {
    HTTP_NORMAL,
    HTTP_PATIENT, /* may take minutes, as a model does: four times max_per_host are under way, and
                     they get half of the places at most */
    HTTP_HASTY,   /* somebody looks at the screen: not behind what the same host is slow with */
};

/* Made with http_job_new(), filled in, posted; comes back the same letter, with `kind` and `ref`
 * untouched. */
struct http_job {
    struct letter letter; /* kind: the receiver's, for when it comes back */
    struct arena arena;   /* owns all below, the answer too */

    uint64_t ref;                      /* the caller's own number */
    const char *row;                   /* the caller's own row id, or NULL: in the job's arena */
    struct mailbox *to;                /* kept: where it comes back, by mailbox_post_always() */
    const char *method;                /* "GET", "POST" … */
    const char *url;                   /* http:// or https:// */
    const struct http_header *headers; /* no CR, LF or NUL, else NOT_SENT */
    size_t n_headers;
    struct span body;        /* sent if its length is not 0, or for POST, PUT, PATCH */
    int64_t timeout_ms;      /* of the transfer, not of the wait in its lane; 0 = 30 s */
    size_t max_answer_bytes; /* of the body; 0 = 1 MiB. Headers: 64 KiB in all */
    enum http_haste haste;
    bool repeatable; /* may reach the server twice without harm; else a fresh connection is
                        made, as libcurl repeats by itself what a reused one lost */

    /* The result. */
    enum http_outcome outcome;
    int status;
    const struct http_header *answer_headers; /* lower-case names */
    size_t n_answer_headers;
    struct span answer;     /* the body; NUL-terminated beyond its length */
    int64_t retry_after_ms; /* of Retry-After, as seconds or as a date; 0 = none */
    int64_t took_ms;        /* of the transfer */
    const char *error;      /* a sentence, unless ANSWERED; never holds the URL or a header */
};

/* With its own arena, all else zero but for the given; method and url are copied. */
struct http_job *http_job_new(const char *method, const char *url, struct mailbox *to, int kind);
/* Adds a request header; both are copied. Before posting. */
void http_job_header(struct http_job *job, const char *name, const char *value);
/* The first value of an answer header (lower-case name), or NULL. */
const char *http_job_answer_header(const struct http_job *job, const char *name);

struct http_client_config {
    size_t max_jobs;            /* [1024] waiting or in flight; more are refused */
    size_t max_per_host;        /* [4] in flight */
    const char *proxy;          /* for https: "http://[user:password@]host:port"; NULL: none,
                                   whatever the environment says */
    const char *no_proxy;       /* hosts that are reached without it, as curl's NO_PROXY; or NULL */
    const char *ca_file;        /* PEM; NULL: the system's */
    int64_t connect_timeout_ms; /* [10 s] */
};

struct http_client;

/* Copies the configuration. NULL: err says why. curl_global_init() is called here. */
struct http_client *http_client_start(const struct http_client_config *config, struct err *err);
/* Gives jobs in flight up to grace_ms, returns all others (NOT_SENT if still waiting, else
 * UNKNOWN), joins. The mailboxes of the jobs must still be there. Idempotent. */
void http_client_stop(struct http_client *client, int64_t grace_ms);
void http_client_free(struct http_client *client); /* stops with no grace; NULL is fine */

/* Is there room for more work of this haste? Who asks before beginning any leaves a quarter of the
 * places to what cannot wait. Any thread. */
bool http_client_has_room(const struct http_client *client, enum http_haste haste);
/* Takes the job and returns true; or false, and it is still the caller's: too many jobs, or
 * stopped. Any thread. */
bool http_client_send(struct http_client *client, struct http_job *job) NODISCARD;
