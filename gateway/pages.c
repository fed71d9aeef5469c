/* See pages.h. */
#include "gateway/pages.h"

#include "gateway/base/text.h"
#include "gateway/pages_private.h"
#include "gateway/sessions.h"
#include "gateway/web_files.h"

#include <string.h>

enum { TOKEN_MAX = 128 };

/* ---- files and templates ---- */

static const char *web_file(const char *name)
{
    for (size_t i = 0; i < web_files_count; i++)
        if (strcmp(web_files[i].name, name) == 0)
            return web_files[i].text;
    return NULL;
}

char *page_part(const struct page_request *in, const char *file,
                const struct template_value *values, size_t n_values)
{
    struct template *t;
    struct strbuf b;
    struct err err = ERR_INIT;
    strbuf_init(&b, in->a, HTML_BYTES);
    /* The files are ours and every test renders them: a mistake in one is a bug. */
    if (!template_parse(in->a, web_file(file), NULL, &t, &err) ||
        !template_render(t, values, n_values, html_escape, &b, &err)) {
        if (err.kind != ERR_TOO_LARGE)
            abort();
        return arena_strdup(in->a, "<p>There is more here than a page can show.</p>");
    }
    return b.text;
}

void page_frame(const struct page_request *in, int status, const char *title, const char *width,
                const char *content, struct page *out)
{
    const char *account =
        in->person == NULL
            ? ""
            : PAGE_PART(in, "account.html",
                        {.name = "name", .text = text_one_line(in->a, in->person->name)});
    char *full = arena_printf(in->a, "%s · Signoff", text_one_line(in->a, title));
    *out =
        (struct page){.status = status,
                      .content_type = "text/html; charset=utf-8",
                      .body = PAGE_PART(in, "layout.html", {.name = "title", .text = full},
                                        {.name = "account", .text = account, .is_escaped = true},
                                        {.name = "width", .text = width},
                                        {.name = "content", .text = content, .is_escaped = true})};
}

void page_alone(const struct page_request *in, const char *content, struct page *out)
{
    (void)in;
    *out =
        (struct page){.status = 200, .content_type = "text/html; charset=utf-8", .body = content};
}

bool page_wants_part(const struct page_request *in)
{
    return in->query != NULL && text_eq(form_value(in->a, span_of(in->query), "part"), "live");
}

void pages_sentence(const struct page_request *in, int status, const char *title,
                    const char *sentence, struct page *out)
{
    char *content =
        PAGE_PART(in, "sentence.html", {.name = "title", .text = text_one_line(in->a, title)},
                  {.name = "sentence", .text = text_one_line(in->a, sentence)});
    page_frame(in, status, title, "slim", content, out);
}

/* ---- files as they are ---- */

static bool get_file(const char *path, struct page *out)
{
    static const struct {
        const char *path, *file, *type;
    } rows[] = {
        {"/style.css", "style.css", "text/css; charset=utf-8"},
        {"/app.js", "app.js", "text/javascript; charset=utf-8"},
        {"/favicon.svg", "favicon.svg", "image/svg+xml"},
        {"/favicon.ico", "favicon.svg", "image/svg+xml"},
    };
    for (size_t i = 0; i < COUNT(rows); i++)
        if (strcmp(rows[i].path, path) == 0) {
            *out = (struct page){.status = 200,
                                 .content_type = rows[i].type,
                                 .body = web_file(rows[i].file),
                                 .may_be_cached = true};
            return true;
        }
    return false;
}

/* ---- signing in ---- */

/* Only a place of ours: "/requests/r_1", never "//elsewhere" or "/\elsewhere". */
static const char *next_of(const struct page_request *in)
{
    const char *next = in->query == NULL ? NULL : form_value(in->a, span_of(in->query), "next");
    if (next == NULL || next[0] != '/' || next[1] == '/' || next[1] == '\\')
        return "/";
    for (const char *c = next; *c != '\0'; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7f)
            return "/";
    return next;
}

static bool page_login(const struct page_request *in, const char *token, struct page *out,
                       struct err *err)
{
    const char *id = NULL;
    if (strlen(token) > TOKEN_MAX)
        token = "";
    if (!store_login(in->store, in->a, secret_hash(in->a, token), in->now_ms, false, &id, err))
        return false;
    const struct person *person = id == NULL ? NULL : person_by_id(&in->config->people, id);
    if (person == NULL) {
        pages_sentence(in, 404, "This link does not work",
                       "It is spent, expired or unknown. Ask for a new one.", out);
        return true;
    }
    char *content = PAGE_PART(
        in, "login.html", {.name = "name", .text = text_one_line(in->a, person->name)},
        {.name = "token", .text = url_encode(in->a, token)}, {.name = "next", .text = next_of(in)});
    page_frame(in, 200, "Sign in", "slim", content, out);
    return true;
}

static void page_sign_in(const struct page_request *in, struct page *out)
{
    page_frame(in, 401, "Sign in", "slim", page_part(in, "signin.html", NULL, 0), out);
}

/* ---- routes ---- */

/* The segment behind `before`; *after says what follows it ("" or "/…"). NULL: another path. */
static const char *segment(const struct page_request *in, const char *before, const char **after)
{
    if (!text_starts(in->path, before))
        return NULL;
    const char *begin = in->path + strlen(before);
    size_t len = strcspn(begin, "/");
    char *decoded;
    if (len == 0 || !url_decode(in->a, (struct span){begin, len}, false, &decoded))
        return NULL;
    *after = begin + len;
    return utf8_clean(in->a, span_of(decoded));
}

static bool get_signed_in(const struct page_request *in, struct page *out, struct err *err)
{
    const char *after = "", *id;
    if (strcmp(in->path, "/") == 0)
        return page_inbox(in, out, err);
    if ((id = segment(in, "/requests/", &after)) != NULL && *after == '\0')
        return page_request(in, id, out, err);
    if ((id = segment(in, "/threads/", &after)) != NULL &&
        (*after == '\0' || strcmp(after, "/timeline") == 0))
        return page_thread(in, id, *after != '\0', out, err);
    return fail(err, ERR_MISSING, "There is nothing at this address.");
}

bool pages_get(const struct page_request *in, struct page *out, struct err *err)
{
    const char *after = "";
    struct err why = ERR_INIT;
    if (get_file(in->path, out))
        return true;
    const char *token = segment(in, "/login/", &after);
    if (token != NULL && *after == '\0')
        return page_login(in, token, out, err);
    if (in->person == NULL) {
        page_sign_in(in, out);
        return true;
    }
    if (get_signed_in(in, out, &why))
        return true;
    if (why.kind == ERR_MISSING)
        pages_sentence(in, 404, "Not here", why.text, out);
    else if (why.kind == ERR_CONFLICT || why.kind == ERR_INVALID)
        pages_sentence(in, 400, "That is not clear", why.text, out);
    else
        return fail(err, why.kind, "%s", why.text);
    return true;
}
