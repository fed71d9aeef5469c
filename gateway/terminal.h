/* What the command line prints with: columns, colours, times. Colour only where a person looks (a
 * terminal, NO_COLOR not set); a pipe gets whole lines without any. Foreign text must come in
 * harmless (text_one_line, text_visible). */
#pragma once

#include "gateway/story.h"

#include <stdio.h>

struct terminal {
    FILE *out;
    bool has_colour;
    int width; /* in columns; 0: no limit (a pipe) */
    int64_t now_ms;
};

void terminal_init(struct terminal *t, FILE *out, int64_t now_ms);

/* Columns that a text takes: wide characters two, combining ones none. */
int terminal_columns(const char *text);
/* At most `columns` of it, "…" where it was cut. columns 0: all. */
char *terminal_cut(struct arena *a, const char *text, int columns);

/* With the colour of the tone; bold or faint. As it is where there is no colour. */
char *terminal_paint(const struct terminal *t, struct arena *a, enum tone tone, const char *text);
char *terminal_bold(const struct terminal *t, struct arena *a, const char *text);
char *terminal_faint(const struct terminal *t, struct arena *a, const char *text);
/* One column wide: ✓ ✗ ◆ ▸ ·  A word always stands beside it. */
const char *terminal_mark(enum tone tone);

/* A table: columns as wide as they must be; the last one is cut to what is left of the width. */
struct terminal_cell {
    const char *text;
    enum tone tone;
    bool is_faint;
};
void terminal_table(const struct terminal *t, struct arena *a, const char *const *heads,
                    size_t n_columns, const struct terminal_cell *cells, size_t n_rows);

/* A block of text in lines that fit, each after `indent` spaces and the mark "│"; broken at spaces,
 * a word that is too long anywhere. At most `most_lines` of them, then how many are missing. */
void terminal_block(const struct terminal *t, struct arena *a, const char *text, int indent,
                    int most_lines);

/* "17:06:31" on the day's own clock; "2026-11-21". */
char *terminal_clock(struct arena *a, int64_t at_ms);
char *terminal_day(struct arena *a, int64_t at_ms);
