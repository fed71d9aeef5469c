/* Answers as bytes; the server's own part of http_server.h. Pure. */
#pragma once

#include "gateway/base/strbuf.h"
#include "gateway/http_server.h"

enum { HTTP_DATE_SIZE = 48 };

/* False: a status, or a header with a line break, a control character or a bad name. */
bool http_answer_is_safe(const struct http_answer *answer);

/* Status line and headers with the empty line; the answer must be safe. */
void http_answer_head(const struct http_answer *answer, bool close, int64_t now_ms,
                      struct strbuf *out);
