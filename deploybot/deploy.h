/* The deploy domain's configuration: environments and pipelines. Plain data. */
#pragma once

#include "agents/agent.h"

struct freeze {
    const char *name;
    const char *from, *to;         /* dates "2026-12-20", or NULL */
    const char *day_from, *day_to; /* "fri 16:00", "mon 08:00", or NULL */
    const char *time_zone;
    const char **except; /* role:lead, person:dana */
    size_t n_except;
    int line;
};

struct environment {
    const char *name;
    const struct json *repo;  /* "owner/name" or {path} */
    const char *promote_from; /* an environment, or NULL */
    struct freeze *freezes;
    size_t n_freezes;
    int line;
};

enum deploys { DEPLOYS_BY_RULE, DEPLOYS_YES, DEPLOYS_NO };

struct stage {
    const char *name;
    struct tool_run run;         /* a command stage: run.argv set */
    const char *agent, *message; /* an agent stage */
    const char *environment;     /* NULL: none */
    const char *component;       /* NULL: all */
    const char *on_failure;      /* an agent, or NULL */
    enum deploys deploys;
    int line;
};

struct pipeline {
    const char *name;
    struct stage *stages;
    size_t n_stages;
    struct contact report;
    int line;
};
