/* The command line's own calls to a running server: one at a time, blocking. */
#pragma once

#include "gateway/base/arena.h"
#include "gateway/base/err.h"
#include "gateway/base/json.h"

struct client_call {
    const char *method, *url;
    const char *unix_socket;    /* its path, whatever host `url` names; NULL: by network */
    const char *api_key;        /* NULL: none */
    const char *const *headers; /* further "Name: value" lines, NULL-terminated; NULL: none */
    const char *content_type;   /* of the body */
    const char *body;           /* NULL: none */
    int64_t timeout_ms;         /* 0: 30 s */
};

struct client_answer {
    int status;
    const char *body;        /* UTF-8 text */
    const struct json *json; /* NULL when the body is no JSON */
};

/* False: no answer came (ERR_TRANSIENT). Any status is an answer. */
bool client_send(struct arena *a, const struct client_call *call, struct client_answer *out,
                 struct err *err) NODISCARD;

/* The sentence of an error answer: its error.message, else the status. */
const char *client_error(struct arena *a, const struct client_answer *answer);
