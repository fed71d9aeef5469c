/* One message to people, in no channel's words yet. Plain data: a test writes it as a literal. */
#pragma once

#include "channels/people.h"
#include "gateway/base/json.h"

enum message_kind {
    MESSAGE_TEXT,    /* words: an agent's answer, a notice */
    MESSAGE_REQUEST, /* an approval or a question; `request` is set; decided ones are shown as such
                      */
    MESSAGE_STATUS,  /* the state of a run: one message, edited as stages move; `text` has its lines
                      */
    MESSAGE_HOME,    /* a person's own page: `home` has what is on it */
};

struct message {
    enum message_kind kind;
    const char *id; /* our delivery id, "d_…": in the message's metadata, so that it can be found */
    const char *to;        /* the channel's own address: "C0DEPLOYS", "U024BE7LH" */
    const char *in_thread; /* the conversation there ("1700000000.000100"), or NULL: a new one */
    const char *replaces;  /* external id of our earlier message that this one edits, or NULL;
                              HOME: the hash of the page that this one is instead of */
    const char *text;      /* foreign text is data: the channel escapes it */
    const struct json
        *request;            /* the request's view: INTERFACE section 3 `request`, and beside it
                                agent, title, changes {…}, may_decide, notes[] (see gateway/requests.h) */
    const struct json *home; /* {waiting, asked, decided}: lists of request views, and `name` */
    const char *page;        /* a link to all of it, or NULL */
    const char *public_url;  /* what links start with, without a final '/' */
    bool repeat;             /* an earlier copy may exist: says so */
    int64_t sent_after_ms;   /* look-ups only: when the first attempt began */
};
