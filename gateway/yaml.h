/* YAML → a JSON tree that remembers its lines. Only what configuration needs: one document of YAML
 * 1.2 with the core schema (`no`, `yes` and `on` are texts; what is quoted is a text), no anchors,
 * aliases, tags or merge keys, no key twice, at most 32 levels and 1 MiB. Takes bytes; pure. */
#pragma once

#include "gateway/base/err.h"
#include "gateway/base/field.h"
#include "gateway/base/json.h"

enum { YAML_MAX_DEPTH = 32, YAML_MAX_BYTES = 1024 * 1024 };

/* Every node of a tree made here is one of these. A node that was copied out of the tree (json_set,
 * json_push) is a bare struct json: ask only the tree itself for lines. */
struct yaml_node {
    struct json json;         /* first, so that either pointer can be cast to the other */
    int line;                 /* of a member: its key's line; from 1 */
    const char *written;      /* scalars: the text, whatever type it became */
    bool plain;               /* scalars: not quoted, not a block */
    enum value_origin origin; /* for who fetches values from elsewhere; VALUE_WRITTEN at first */
    const char *why;          /* VALUE_ABSENT: the sentence */
};

/* An empty document is null. On failure *line is where (0: nowhere) and the sentence does not say
 * it. Any thread. */
bool yaml_parse(struct arena *a, struct span in, struct json **out, int *line, struct err *err)
    NODISCARD;

/* The node behind a part of such a tree. */
struct yaml_node *yaml_node(const struct json *j);
int yaml_line(const struct json *j); /* NULL gives 0 */
