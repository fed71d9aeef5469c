/* An agent: name + prompt + tools + limits, and agent_next(): thread → effects, a pure function. */
#pragma once

#include "agents/playbook.h"
#include "agents/policy.h"
#include "agents/thread.h"
#include "agents/tool.h"

struct limits {
    int64_t steps, tokens, seconds, errors, max_age_ms;
    double cost; /* 0: none */
};

struct contact {
    const char *channel, *to;
};

struct agent {
    const char *name;
    const char *prompt;        /* the file's text, variables not yet filled in */
    const char *prompt_path;   /* for messages */
    const struct tool **tools; /* what it may call */
    size_t n_tools;
    const char **prefetch;
    size_t n_prefetch;
    const char **hand_over;
    size_t n_hand_over;
    const struct playbook *playbook; /* NULL: none */
    const struct json *vars;         /* NULL: none */
    struct limits limits;
    struct contact contact;          /* channel NULL: none */
    const struct json *repo;         /* "owner/name" or {path}; NULL: the only one, or none */
    int line;
};
