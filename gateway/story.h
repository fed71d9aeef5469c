/* What a thread's events say to people: who asked, what was seen, who signed what, what ran and how
 * it ended. One telling for the pages and the terminal. Built from the API's own shapes, so it
 * works on a store and through a server alike.
 *
 * Every text in it is harmless for a terminal (control and bidi characters are visible); a page
 * still escapes it for HTML. Pure but for the source that is passed in. */
#pragma once

#include "channels/people.h"
#include "gateway/base/err.h"
#include "gateway/base/json.h"

enum tone { TONE_PLAIN, TONE_GOOD, TONE_BAD, TONE_WAIT, TONE_WORK };
const char *tone_name(enum tone tone); /* "plain", "good", "bad", "wait", "work" */

/* "done" → TONE_GOOD, "open" → TONE_WAIT …: of threads, requests, outcomes, votes. */
enum tone tone_of_status(const char *status);

struct told {
    int64_t seq, at_ms;
    enum tone tone;
    const char *head;    /* one line */
    const char *body;    /* a block of somebody else's text, or NULL */
    const char *request; /* the request that it is about, or NULL */
    const char *child;   /* the thread that begins here, or NULL */
    bool is_asked;       /* `request` is asked for here */
    bool is_detail;      /* machinery: look-ups, model calls, what a later line says better */
    int depth;           /* 0: the thread itself, 1: its child … */
};

struct told_stage {
    const char *name, *state; /* state: waiting | running | ok | failed | skipped | unknown … */
    enum tone tone;
    const char *note; /* "rollback was called", or NULL */
};

struct story {
    const struct json *thread; /* as the API shows it */
    struct told *lines;
    size_t n_lines;
    struct told_stage *stages; /* of a run */
    size_t n_stages;
    bool is_cut; /* it is longer than what is told here */
};

struct story_source {
    /* GET path?query of the reading API. */
    bool (*get)(void *ctx, const char *path, const char *query, const struct json **out,
                struct err *err);
    void *ctx;
    const struct people *people; /* NULL: people are shown by id */
    /* The names of a pipeline's stages, so that those to come are shown too. May be NULL. */
    size_t (*stages)(void *ctx, const char *pipeline, const char *const **names);
};

/* The thread and its children, in the order in which things happened. */
bool story_build(struct arena *a, const struct story_source *source, const char *id,
                 struct story *out, struct err *err) NODISCARD;

/* One event (as the API shows it). */
struct told told_event(struct arena *a, const struct people *people, const struct json *event);

/* "production/backend", "production", or NULL. */
const char *target_text(struct arena *a, const struct json *target);
/* A call in one line: "deploy_backend sha=43bfdf0" (commits are cut to 7 digits). */
char *call_text(struct arena *a, const char *tool, const struct json *arguments);
/* A name as people know it; "person:alice" without people is "alice". */
char *who_text(struct arena *a, const struct people *people, const char *actor);
/* {kind, until, what} in words: "a person", "an agent", "production", or NULL. */
const char *waiting_text(struct arena *a, const struct json *waiting_for);
/* 40 hex digits → the first 7; anything else as it is. */
const char *short_sha(struct arena *a, const char *text);
/* A block of somebody's text for a screen: line feeds and tabs stay (browsers send CR LF: it is
 * one), all else that is no text is visible. */
char *block_text(struct arena *a, const char *text);
/* The same on one line: line breaks and tabs are spaces. */
char *flat_text(struct arena *a, const char *text);
/* "4 minutes ago", "in 2 hours", "just now". */
char *ago_text(struct arena *a, int64_t at_ms, int64_t now_ms);
