/* The log: one event, one line on stderr, made of typed fields.
 *
 *     log_info("delivery.sent", L_INT("thread", id), L_STR("channel", name), L_MS("took", ms));
 *     ts=2026-03-15T10:00:00.123Z level=info event=delivery.sent thread=42 channel=ops took_ms=231
 *
 * Event names are `noun.past_verb` and stable: other people's alarms match them. Values are fields,
 * never formatted into the event. Foreign text cannot forge a line or a field: control characters,
 * quotes and the marks that reorder text are escaped. A line is one write(2) of at most
 * LOG_LINE_MAX bytes; a value is cut at LOG_VALUE_MAX and says so.
 *
 * warn = someone should look this week; error = someone should look now. Never log secrets, bodies
 * (log length and hash) or personal text. Only gateway/ logs: lower layers return errors.
 * Any thread; log_init() comes before the first thread. */
#pragma once

#include "gateway/base/defs.h"

enum { LOG_LINE_MAX = 4096, LOG_VALUE_MAX = 1024, LOG_SCOPE_MAX = 8 };

enum log_level { LEVEL_DEBUG, LEVEL_INFO, LEVEL_WARN, LEVEL_ERROR };
enum log_format { LOG_LOGFMT, LOG_JSON };
enum log_type { LOG_END, LOG_TEXT, LOG_NUMBER, LOG_MILLISECONDS, LOG_TRUTH };

struct log_field {
    const char *name; /* [a-z0-9_.]+, a literal */
    enum log_type type;
    const char *text; /* borrowed; NULL leaves the field out */
    int64_t number;
};

#define L_STR(name_, text_) ((struct log_field){.name = (name_), .type = LOG_TEXT, .text = (text_)})
#define L_INT(name_, number_) \
    ((struct log_field){.name = (name_), .type = LOG_NUMBER, .number = (int64_t)(number_)})
/* Milliseconds: the name gets "_ms" appended. */
#define L_MS(name_, ms_) \
    ((struct log_field){.name = (name_), .type = LOG_MILLISECONDS, .number = (int64_t)(ms_)})
#define L_BOOL(name_, fact_) \
    ((struct log_field){.name = (name_), .type = LOG_TRUTH, .number = (fact_) ? 1 : 0})

/* fd is borrowed for good (2 = stderr). The default, without a call: LEVEL_INFO, LOG_LOGFMT, 2. */
void log_init(enum log_level least, enum log_format format, int fd);

/* True if lines of this level are written: lets a caller skip costly fields. */
bool log_is_on(enum log_level level);

/* Fields end with one of type LOG_END. Use the macros below. Never fails: a line that cannot be
 * written is lost. errno is kept. */
void log_event(enum log_level level, const char *event, const struct log_field *fields);

#define LOG_EVENT_(level, event, ...) \
    log_event((level), (event),       \
              (const struct log_field[]){__VA_ARGS__ __VA_OPT__(, ){.type = LOG_END}})
#define log_debug(event, ...) LOG_EVENT_(LEVEL_DEBUG, event, __VA_ARGS__)
#define log_info(event, ...)  LOG_EVENT_(LEVEL_INFO, event, __VA_ARGS__)
#define log_warn(event, ...)  LOG_EVENT_(LEVEL_WARN, event, __VA_ARGS__)
#define log_error(event, ...) LOG_EVENT_(LEVEL_ERROR, event, __VA_ARGS__)

/* LOG_WITH(L_INT("thread", id)); adds the field to all lines of this thread until the block ends.
 * A text must live as long. Beyond LOG_SCOPE_MAX nested ones the field is left out. */
#define LOG_WITH(field)     LOG_WITH_(field, __COUNTER__)
#define LOG_WITH_(field, n) LOG_WITH__(field, n)
#define LOG_WITH__(field, n) \
    CLEANUP(log_scope_end) __attribute__((unused)) int log_scope_##n##_ = log_scope_begin(field)
int log_scope_begin(struct log_field field);
void log_scope_end(const int *taken);

/* "debug", "info", "warn", "error"; false if it is none of them. */
bool log_level_from_name(const char *name, enum log_level *out) NODISCARD;
const char *log_level_name(enum log_level level);
