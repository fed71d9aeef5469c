/* See client.h. */
#include "gateway/client.h"

#include "gateway/base/strbuf.h"
#include "gateway/base/text.h"

#include <curl/curl.h>
#include <stdlib.h>
#include <string.h>

enum { ANSWER_BYTES = 64 << 20 };

static size_t take(char *bytes, size_t size, size_t n, void *ctx)
{
    struct strbuf *b = ctx;
    strbuf_addn(b, bytes, size * n);
    return strbuf_overflowed(b) ? 0 : size * n;
}

static void free_handle(void *handle)
{
    curl_easy_cleanup(handle);
}

static void free_list(void *list)
{
    curl_slist_free_all(list);
}

static struct curl_slist *headers_of(struct arena *a, const struct client_call *call)
{
    struct curl_slist *list = curl_slist_append(NULL, "Accept: application/json");
    if (call->api_key != NULL)
        list = curl_slist_append(list, arena_printf(a, "Authorization: Bearer %s", call->api_key));
    if (call->body != NULL)
        list = curl_slist_append(list, arena_printf(a, "Content-Type: %s", call->content_type));
    for (const char *const *h = call->headers; h != NULL && *h != NULL; h++)
        list = curl_slist_append(list, *h);
    list = curl_slist_append(list, "Expect:");
    if (list == NULL)
        abort();
    arena_defer(a, free_list, list);
    return list;
}

bool client_send(struct arena *a, const struct client_call *call, struct client_answer *out,
                 struct err *err)
{
    CURL *curl = curl_easy_init();
    struct strbuf body;
    long status = 0;
    if (curl == NULL)
        abort();
    arena_defer(a, free_handle, curl);
    strbuf_init(&body, a, ANSWER_BYTES);
    curl_easy_setopt(curl, CURLOPT_URL, call->url);
    curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, call->method);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers_of(a, call));
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_PROXY, "");
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    if (call->unix_socket != NULL)
        curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, call->unix_socket);
    const char *authorities = getenv("SSL_CERT_FILE"); /* as the curl command and OpenSSL read it */
    if (authorities != NULL && *authorities != '\0')
        curl_easy_setopt(curl, CURLOPT_CAINFO, authorities);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS,
                     (long)(call->timeout_ms > 0 ? call->timeout_ms : 30000));
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, &body);
    if (call->body != NULL) {
        curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE, (long)strlen(call->body));
        curl_easy_setopt(curl, CURLOPT_POSTFIELDS, call->body);
    }
    CURLcode rc = curl_easy_perform(curl);
    if (rc != CURLE_OK)
        return fail(err, ERR_TRANSIENT, "no answer from the server: %s", curl_easy_strerror(rc));
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    struct json *json = NULL;
    if (!json_parse(a, (struct span){body.text, body.len}, ANSWER_BYTES, &json, NULL))
        json = NULL;
    *out = (struct client_answer){.status = (int)status, .body = body.text, .json = json};
    return true;
}

const char *client_error(struct arena *a, const struct client_answer *answer)
{
    const char *message = json_text_at(answer->json, "error.message");
    return message != NULL ? message : arena_printf(a, "the server answered %d", answer->status);
}
