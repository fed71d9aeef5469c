/* See metrics.h. */
#include "gateway/metrics.h"

#include "gateway/base/strbuf.h"

#include <stdatomic.h>

struct metrics {
    _Atomic int64_t values[METRIC_COUNT];
};

static const struct {
    const char *name, *help;
} rows[] = {
#define X(id, name, help) {name, help},
    METRICS(X)
#undef X
};

struct metrics *metrics_new(void)
{
    struct metrics *m = calloc(1, sizeof *m);
    if (m == NULL)
        abort();
    return m;
}

void metrics_free(struct metrics *m)
{
    free(m);
}

void metrics_add(struct metrics *m, enum metric metric, int64_t n)
{
    atomic_fetch_add_explicit(&m->values[metric], n, memory_order_relaxed);
}

int64_t metrics_get(const struct metrics *m, enum metric metric)
{
    return atomic_load_explicit(&m->values[metric], memory_order_relaxed);
}

char *metrics_render(const struct metrics *m, struct arena *a, const char *gauges)
{
    struct strbuf b;
    strbuf_init(&b, a, 256 * 1024);
    for (size_t i = 0; i < METRIC_COUNT; i++)
        strbuf_addf(&b, "# HELP signoff_%s %s\n# TYPE signoff_%s counter\nsignoff_%s %lld\n",
                    rows[i].name, rows[i].help, rows[i].name, rows[i].name,
                    (long long)metrics_get(m, (enum metric)i));
    if (gauges != NULL)
        strbuf_add(&b, gauges);
    return b.text;
}
