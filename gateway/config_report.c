/* What `signoff check` says: problems in file order, the summary, the manual. */
#include "gateway/base/text.h"
#include "gateway/config_private.h"

#include <string.h>
#include <unistd.h>

void report_add(struct loader *l, struct config_problem problem)
{
    for (size_t i = 0; i < l->count; i++)
        if (l->list[i].line == problem.line && text_eq(l->list[i].key, problem.key) &&
            text_eq(l->list[i].sentence, problem.sentence) &&
            text_eq(l->list[i].file, problem.file))
            return;
    if (l->count == l->room) {
        size_t room = l->room == 0 ? 32 : l->room * 2;
        struct config_problem *grown = ARENA_ARRAY(l->report_arena, struct config_problem, room);
        if (l->count > 0)
            memcpy(grown, l->list, l->count * sizeof grown[0]);
        l->list = grown;
        l->room = room;
    }
    problem.key = arena_strdup(l->report_arena, problem.key);
    problem.sentence = arena_strdup(l->report_arena, problem.sentence);
    problem.file = arena_strdup(l->report_arena, problem.file);
    l->list[l->count++] = problem;
}

/* Insertion: stable, and the list is short and nearly sorted. */
void report_sort(struct loader *l, struct config_report *report)
{
    for (size_t i = 1; i < l->count; i++) {
        struct config_problem moved = l->list[i];
        size_t j = i;
        for (; j > 0 && l->list[j - 1].order > moved.order; j--)
            l->list[j] = l->list[j - 1];
        l->list[j] = moved;
    }
    *report = (struct config_report){.list = l->list, .count = l->count};
    for (size_t i = 0; i < l->count; i++) {
        report->errors += l->list[i].kind == PROBLEM_ERROR;
        report->warnings += l->list[i].kind == PROBLEM_WARNING;
        report->notes += l->list[i].kind == PROBLEM_NOTE;
    }
}

static const char *kind_name(enum problem_kind kind)
{
    switch (kind) {
    case PROBLEM_ERROR:
        return "error";
    case PROBLEM_WARNING:
        return "warning";
    case PROBLEM_NOTE:
        return "note";
    }
    UNREACHABLE();
}

char *config_problem_line(struct arena *a, const struct config_problem *p)
{
    struct strbuf b;
    strbuf_init(&b, a, 8192);
    strbuf_add(&b, p->file);
    if (p->line > 0)
        strbuf_addf(&b, ":%d", p->line);
    if (p->key != NULL && *p->key != '\0')
        strbuf_addf(&b, ": %s", p->key);
    strbuf_addf(&b, ": %s%s%s", p->kind == PROBLEM_ERROR ? "" : kind_name(p->kind),
                p->kind == PROBLEM_ERROR ? "" : ": ", p->sentence);
    return text_one_line(a, b.text);
}

const char *config_default_path(void)
{
    return access("./signoff.yaml", F_OK) == 0 ? "./signoff.yaml" : "/etc/signoff/signoff.yaml";
}

static const char *plural(struct arena *a, size_t n, const char *one, const char *many)
{
    return arena_printf(a, "%zu %s", n, n == 1 ? one : many);
}

static const char *summary(struct arena *a, const struct config *c,
                           const struct config_report *report)
{
    struct strbuf b;
    strbuf_init(&b, a, 1024);
    strbuf_addf(&b, "%s, %s, %s, %s, %s, %s", plural(a, c->people.count, "person", "people"),
                plural(a, c->n_channels, "channel", "channels"),
                plural(a, c->n_agents, "agent", "agents"), plural(a, c->n_tools, "tool", "tools"),
                plural(a, c->n_policies, "policy", "policies"),
                plural(a, c->n_pipelines, "pipeline", "pipelines"));
    if (report->warnings > 0)
        strbuf_addf(&b, "; %s", plural(a, report->warnings, "warning", "warnings"));
    return b.text;
}

static void print_json(struct arena *a, const char *path, const struct config_report *report,
                       FILE *out)
{
    struct json *root = json_object(a);
    json_set_text(a, root, "file", path);
    json_set_bool(a, root, "ok", report->errors == 0);
    json_set_int(a, root, "errors", (int64_t)report->errors);
    json_set_int(a, root, "warnings", (int64_t)report->warnings);
    struct json *list = json_set(a, root, "problems", json_array(a));
    for (size_t i = 0; i < report->count; i++) {
        const struct config_problem *p = &report->list[i];
        struct json *item = json_push(a, list, json_object(a));
        json_set_text(a, item, "kind", kind_name(p->kind));
        json_set_text(a, item, "file", p->file);
        json_set_int(a, item, "line", p->line);
        json_set_text(a, item, "key", p->key);
        json_set_text(a, item, "sentence", p->sentence);
    }
    fprintf(out, "%s\n", json_write(a, root));
}

int config_check_main(const char *path, const struct config_options *options, bool as_json,
                      FILE *out, FILE *err)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    struct config_options check = options != NULL ? *options : (struct config_options){0};
    struct config_report report;
    check.mode = CONFIG_CHECK;
    struct config *config = config_load(&a, path, &check, &report);
    if (as_json) {
        print_json(&a, path, &report, out);
    } else {
        for (size_t i = 0; i < report.count; i++)
            fprintf(err, "%s\n", config_problem_line(&a, &report.list[i]));
        if (config != NULL)
            fprintf(out, "%s: ok: %s\n", text_one_line(&a, path), summary(&a, config, &report));
    }
    config_free(config);
    return report.errors == 0 ? 0 : 2;
}

/* ---- the manual -------------------------------------------------------------------------- */

static void add_table(struct strbuf *out, const struct field *rows, size_t n, const char *prefix)
{
    strbuf_add(out, "| key | value | default | what it is |\n|---|---|---|---|\n");
    fields_manual(out, rows, n, prefix);
    strbuf_add(out, "\n");
}

static void add_variants(struct strbuf *out, const char *section, const struct variant *variants,
                         size_t n)
{
    for (size_t i = 0; i < n; i++) {
        strbuf_addf(out, "### %s: `type: %s` (%s)\n\n", section, variants[i].type,
                    variants[i].help);
        if (variants[i].later)
            strbuf_add(out, "**Not yet**: read and checked, without effect in this version.\n\n");
        add_table(out, variants[i].rows, variants[i].n_rows,
                  arena_printf(out->arena, "%s.NAME.", section));
    }
}

static void add_section(struct strbuf *out, const struct field *row)
{
    strbuf_addf(out, "## %s\n\n", row->key);
    strbuf_addf(out, "%c%s.", *row->help - (*row->help >= 'a' ? 'a' - 'A' : 0), row->help + 1);
    if (row->flags & FIELD_NOT_YET)
        strbuf_add(out, " **Not yet**: checked, without effect in this version.");
    strbuf_add(out, "\n\n");
    if (strcmp(row->key, "channels") == 0) {
        add_variants(out, "channels", channel_variants, n_channel_variants);
    } else if (strcmp(row->key, "sources") == 0) {
        add_variants(out, "sources", source_variants, n_source_variants);
    } else if (strcmp(row->key, "policies") == 0) {
        add_table(out, policy_rows, n_policy_rows, "policies.NAME.");
    } else {
        const char *suffix = row->type == FIELD_LIST  ? "[]."
                             : row->type == FIELD_MAP ? ".NAME."
                                                      : ".";
        add_table(out, row->rows, row->n_rows, arena_printf(out->arena, "%s%s", row->key, suffix));
    }
}

char *config_manual(struct arena *a)
{
    struct strbuf out;
    strbuf_init(&out, a, (size_t)1024 * 1024);
    strbuf_add(
        &out,
        "# Configuration\n\n"
        "Generated from the tables that read it, by `signoff manual`; not written by hand.\n\n"
        "One YAML file (1.2 core schema: `no`, `yes` and `on` are texts). A section that is left "
        "out switches its part off; every key that is not marked required has a default. "
        "`${NAME}` takes a value from the environment (`$${` is a literal `${`), `file:PATH` from "
        "a file, without its last line feed. Relative paths begin at this file's folder. A "
        "duration is a whole number and ms, s, m, h or d; a size is one and B, KiB, MiB or GiB. "
        "`signoff check` names every problem with its line.\n\n");
    for (size_t i = 0; i < n_config_rows; i++)
        add_section(&out, &config_rows[i]);
    out.text[out.len - 1] = '\0'; /* the last of two line feeds */
    return out.text;
}
