/* What the pages share; pages.c has the routes and the frame around each. */
#pragma once

#include "gateway/base/template.h"
#include "gateway/html.h"
#include "gateway/pages.h"

/* A template of channels/web with its values. */
char *page_part(const struct page_request *in, const char *file,
                const struct template_value *values, size_t n_values);
#define PAGE_PART(in, file, ...)                                          \
    page_part((in), (file), (const struct template_value[]){__VA_ARGS__}, \
              COUNT(((const struct template_value[]){__VA_ARGS__})))

/* The whole page around its content. width: "wide" or "slim". */
void page_frame(const struct page_request *in, int status, const char *title, const char *width,
                const char *content, struct page *out);
/* The moving part of a page alone, for the script. */
void page_alone(const struct page_request *in, const char *content, struct page *out);
bool page_wants_part(const struct page_request *in);

bool page_inbox(const struct page_request *in, struct page *out, struct err *err) NODISCARD;
bool page_request(const struct page_request *in, const char *id, struct page *out, struct err *err)
    NODISCARD;
bool page_thread(const struct page_request *in, const char *id, bool part, struct page *out,
                 struct err *err) NODISCARD;

/* What a request asks, in one line: a call, or the question's first words. */
const char *request_subject(struct arena *a, const struct json *view);

enum may_vote {
    MAY_NOT,    /* decided, or not this person's to decide */
    MAY_REJECT, /* only that: who asked for it cannot approve */
    MAY_DECIDE, /* approve, reject or answer */
};
/* What the signed-in person may do with an open request; *why (may be NULL) says why not all. */
enum may_vote may_vote(const struct page_request *in, const struct request_row *row,
                       const char **why);
