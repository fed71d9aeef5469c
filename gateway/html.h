/* Building HTML in a buffer: what is written as a literal is markup, every value is escaped. */
#pragma once

#include "gateway/base/strbuf.h"
#include "gateway/story.h"

enum { HTML_BYTES = 4 << 20 };

/* Markup with values: %s is escaped, on one line, with control and bidi characters visible; %d and
 * %lld are numbers; nothing else is allowed. */
void html_add(struct strbuf *b, const char *markup, ...) PRINTF(2, 3);
/* Markup that was made here already. */
void html_raw(struct strbuf *b, const char *markup);
/* A block of somebody's text: line feeds stay. NULL is nothing. */
void html_block(struct strbuf *b, const char *text);

/* A status: its colour and its word. */
void html_chip(struct strbuf *b, enum tone tone, const char *word);
/* "4 minutes ago", with the time itself. 0: "never". */
void html_ago(struct strbuf *b, int64_t at_ms, int64_t now_ms);
