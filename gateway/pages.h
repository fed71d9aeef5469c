/* The pages: inbox, threads, requests, signing in. Plain HTML forms first, script second; whatever
 * comes from a person, a model, a commit or a tool is data and is escaped. Templates, style and
 * script are files of channels/web, built into the program. Pure but for the store that is passed
 * in; any thread with its own. */
#pragma once

#include "gateway/config.h"
#include "gateway/store.h"

/* On every page, whatever is on it. */
#define PAGES_CSP                                                                           \
    "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src " \
    "'self' data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

struct page_request {
    struct arena *a; /* owns what comes out */
    const struct config *config;
    struct store *store;
    int64_t now_ms;
    const char *path, *query;    /* as in the URL; query may be NULL */
    const struct person *person; /* who is signed in; NULL: nobody */
    const char *form_token;      /* of the session; NULL: none */
};

struct page {
    int status;
    const char *content_type;
    const char *body;
    bool may_be_cached; /* the style, the script, the icon */
};

/* Any path; what is not there is a page that says so. ERR_TRANSIENT: the store cannot be read. */
bool pages_get(const struct page_request *in, struct page *out, struct err *err) NODISCARD;

/* A page with one sentence. */
void pages_sentence(const struct page_request *in, int status, const char *title,
                    const char *sentence, struct page *out);
