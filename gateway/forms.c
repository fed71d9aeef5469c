/* What people post from the pages: signing in and out, deciding. GET never comes here (promise 7).
 */
#include "gateway/app.h"
#include "gateway/base/text.h"
#include "gateway/sessions.h"

#include <string.h>

enum { FAILED_LOGINS_PER_MINUTE = 10 };

static void redirect(struct app *app, const struct http_request *request, const char *to,
                     const char *cookie)
{
    struct http_answer *answer = http_answer_new(request->conn, 303);
    http_answer_header(answer, "Location", to);
    http_answer_header(answer, "Cache-Control", "no-store");
    if (cookie != NULL)
        http_answer_header(answer, "Set-Cookie", cookie);
    app_answer(app, answer);
}

static void page(struct app *app, const struct http_request *request, int status,
                 const char *sentence)
{
    char *html = arena_printf(
        app->a,
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">"
        "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">"
        "<title>Signoff</title><link rel=\"stylesheet\" href=\"/style.css\"></head>"
        "<body><main><p>%s</p><p><a href=\"/\">Back to the inbox</a></p></main></body></html>",
        html_escape(app->a, sentence));
    struct http_answer *answer =
        http_answer_text(request->conn, status, "text/html; charset=utf-8", html);
    http_answer_header(answer, "Content-Security-Policy",
                       "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'self'");
    if (status == 429)
        http_answer_header(answer, "Retry-After", "60");
    app_answer(app, answer);
}

static bool is_https(const struct app *app)
{
    return text_starts(app->config->server.public_url, "https://");
}

static char *cookie_header(struct app *app, const char *value, long long seconds)
{
    return arena_printf(app->a,
                        "signoff_session=%s; Path=/; HttpOnly; SameSite=Lax; Max-Age=%lld%s", value,
                        seconds, is_https(app) ? "; Secure" : "");
}

/* A browser says where a form came from; another site's form is refused. */
static bool is_own_origin(const struct app *app, const struct http_request *request)
{
    const char *origin = http_request_header(request, "origin");
    const char *host = http_request_header(request, "host");
    if (origin == NULL)
        return true; /* old browsers leave it out; the form token still binds the session */
    if (text_eq(origin, app->config->server.public_url))
        return true;
    const char *scheme_end = strstr(origin, "://");
    return scheme_end != NULL && host != NULL && text_eq(scheme_end + 3, host);
}

static bool sign_in(struct app *app, const struct http_request *request, const char *token,
                    struct err *err)
{
    const char *person = NULL;
    if (rate_is_over(&app->rate, request->peer, FAILED_LOGINS_PER_MINUTE, app->now_ms)) {
        metrics_add(app->metrics, METRIC_RATE_LIMITED, 1);
        page(app, request, 429, "Too many sign-in links that do not work. Wait a minute.");
        return true;
    }
    if (!is_own_origin(app, request)) {
        page(app, request, 403, "This form came from another site.");
        return true;
    }
    if (!store_login(&app->store, app->a, secret_hash(app->a, token), app->now_ms, true, &person,
                     err))
        return false;
    if (person == NULL) {
        (void)rate_count(&app->rate, request->peer, FAILED_LOGINS_PER_MINUTE, app->now_ms);
        page(app, request, 403,
             "This sign-in link is spent, expired or unknown. Ask for a new one.");
        return true;
    }
    char *secret = arena_printf(app->a, "%s%s", app_token(app), app_token(app));
    if (!store_add_session(&app->store, secret_hash(app->a, secret), person, app->now_ms,
                           app->now_ms + SESSION_MS, err))
        return false;
    log_info("person.signed_in", L_STR("person", person));
    const char *next = form_value(app->a, request->body, "next");
    bool local = next != NULL && next[0] == '/' && next[1] != '/' && next[1] != '\\' &&
                 strpbrk(next, "\r\n") == NULL;
    redirect(app, request, local ? next : "/", cookie_header(app, secret, SESSION_MS / 1000));
    return true;
}

static bool sign_out(struct app *app, const struct http_request *request, struct err *err)
{
    const char *cookie = session_cookie(app->a, request);
    if (cookie != NULL && is_own_origin(app, request) &&
        !db_run(app->store.db, "DELETE FROM sessions WHERE hash = $1",
                DB_ARGS(db_text(secret_hash(app->a, cookie))), err))
        return false;
    redirect(app, request, "/", cookie_header(app, "", 0));
    return true;
}

static const char *result_word(enum vote_result result)
{
    switch (result) {
    case VOTE_COUNTED:
        return "counted";
    case VOTE_DECIDED:
        return "decided";
    case VOTE_SAME:
        return "same";
    case VOTE_NOT_ALLOWED:
        return "not_allowed";
    case VOTE_TOO_LATE:
        return "too_late";
    case VOTE_UNKNOWN:
        return "unknown";
    case VOTE_INVALID:
        return "invalid";
    case VOTE_CHECKING:
        return "checking";
    }
    UNREACHABLE();
}

/* A person's words: what a browser sends is text, what anybody else sends is made so. */
static const char *words_of(struct app *app, const struct http_request *request, const char *name)
{
    const char *value = form_value(app->a, request->body, name);
    return value == NULL ? NULL : utf8_clean(app->a, span_of(value));
}

/* Browsers send every line end of a textarea as CR LF. */
static char *with_plain_lines(char *text)
{
    char *to = text;
    for (const char *from = text; *from != '\0'; from++)
        if (*from != '\r' || from[1] != '\n')
            *to++ = *from;
    *to = '\0';
    return text;
}

/* The arguments as the form has them, of those that the request lets be changed. */
static bool read_edit(struct app *app, const struct http_request *request, const char *id,
                      const struct json **out, struct err *err)
{
    struct request_row r;
    struct err why = ERR_INIT;
    struct json *arguments = json_object(app->a);
    *out = arguments;
    if (!store_find_request(&app->store, app->a, id, &r, &why))
        return why.kind != ERR_TRANSIENT || fail(err, why.kind, "%s", why.text);
    JSON_EACH(name, json_get(json_parse_own(app->a, r.view), "editable"))
    {
        const char *value = words_of(app, request, arena_printf(app->a, "arg.%s", json_text(name)));
        if (value != NULL)
            json_set_text(app->a, arguments, json_text(name),
                          with_plain_lines(arena_strdup(app->a, value)));
    }
    return true;
}

static bool decide(struct app *app, const struct http_request *request, const char *id,
                   struct err *err)
{
    const struct person *person;
    const char *cookie = session_cookie(app->a, request);
    const char *token = form_value(app->a, request->body, "form_token");
    if (!session_person(&app->store, app->a, app->config, request, app->now_ms, &person, err))
        return false;
    if (person == NULL) {
        redirect(app, request, arena_printf(app->a, "/requests/%s", id), NULL);
        return true;
    }
    if (token == NULL || !is_own_origin(app, request) ||
        !secret_eq(span_of(token), span_of(session_form_token(app->a, cookie)))) {
        page(app, request, 403,
             "This form is not yours, or is from an older session. Load the page again.");
        return true;
    }
    const char *comment = words_of(app, request, "comment");
    const char *answer = words_of(app, request, "answer");
    struct vote_in vote = {.request = id,
                           .decision = words_of(app, request, "decision"),
                           .comment = comment == NULL || *comment == '\0' ? NULL : comment,
                           .answer = answer,
                           .identity = arena_printf(app->a, "person:%s", person->id),
                           .via = "web"};
    struct vote_out out;
    if (vote.decision == NULL)
        vote.decision = "";
    if (strcmp(vote.decision, "edit") == 0 && !read_edit(app, request, id, &vote.arguments, err))
        return false;
    if (!request_vote(app, &vote, &out, err))
        return false;
    if (out.result == VOTE_UNKNOWN)
        page(app, request, 404, out.sentence);
    else
        redirect(
            app, request,
            arena_printf(app->a, "/requests/%s?result=%s", out.request, result_word(out.result)),
            NULL);
    return true;
}

bool forms_handle(struct app *app, const struct http_request *request, struct err *err)
{
    if (strcmp(request->method, "POST") != 0)
        return fail(err, ERR_MISSING, "there is nothing at %s for %s", request->path,
                    request->method);
    if (text_starts(request->path, "/login/") && strchr(request->path + 7, '/') == NULL)
        return sign_in(app, request, request->path + 7, err);
    if (strcmp(request->path, "/logout") == 0)
        return sign_out(app, request, err);
    if (text_starts(request->path, "/requests/") && strchr(request->path + 10, '/') == NULL)
        return decide(app, request, utf8_clean(app->a, span_of(request->path + 10)), err);
    return fail(err, ERR_MISSING, "there is nothing at %s", request->path);
}
