/* See pages.h. */
#include "gateway/pages.h"

#include "gateway/base/text.h"

void pages_sentence(const struct page_request *in, int status, const char *title,
                    const char *sentence, struct page *out)
{
    *out = (struct page){.status = status,
                         .content_type = "text/html; charset=utf-8",
                         .body =
                             arena_printf(in->a,
                                          "<!doctype html><html lang=\"en\"><title>%s</title>"
                                          "<main><p>%s</p></main></html>",
                                          html_escape(in->a, title), html_escape(in->a, sentence))};
}

bool pages_get(const struct page_request *in, struct page *out, struct err *err)
{
    (void)err;
    pages_sentence(in, 404, "Signoff", "There is nothing here.", out);
    return true;
}
