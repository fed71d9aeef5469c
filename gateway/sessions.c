/* See sessions.h. */
#include "gateway/sessions.h"

#include "gateway/base/hash.h"
#include "gateway/base/text.h"

#include <string.h>
#include <strings.h>

static const char cookie_name[] = "signoff_session=";

const char *session_cookie(struct arena *a, const struct http_request *request)
{
    const char *header = http_request_header(request, "cookie");
    while (header != NULL && *header != '\0') {
        header += strspn(header, "; ");
        size_t len = strcspn(header, ";");
        if (strncmp(header, cookie_name, sizeof cookie_name - 1) == 0)
            return arena_strndup(a, header + sizeof cookie_name - 1,
                                 len - (sizeof cookie_name - 1));
        header += len;
    }
    return NULL;
}

char *secret_hash(struct arena *a, const char *secret)
{
    return sha256_hex(a, span_of(secret));
}

char *session_form_token(struct arena *a, const char *cookie)
{
    return sha256_hex(a, span_of(arena_printf(a, "form:%s", cookie)));
}

bool session_person(struct store *s, struct arena *a, const struct config *config,
                    const struct http_request *request, int64_t now_ms,
                    const struct person **person, struct err *err)
{
    const char *cookie = session_cookie(a, request), *id = NULL;
    *person = NULL;
    if (cookie == NULL)
        return true;
    if (!store_session(s, a, secret_hash(a, cookie), now_ms, &id, err))
        return false;
    *person = id == NULL ? NULL : person_by_id(&config->people, id);
    return true;
}

const struct api_key *bearer_key(struct arena *a, const struct config *config,
                                 const struct http_request *request)
{
    const char *header = http_request_header(request, "authorization");
    if (header == NULL || strncasecmp(header, "Bearer ", 7) != 0)
        return NULL;
    return config_api_key(config, arena_strdup(a, header + 7 + strspn(header + 7, " ")));
}
