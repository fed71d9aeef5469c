/* Signing in: sessions, form tokens, bearer keys. Nothing secret is stored: the database has
 * SHA-256 of what the browser holds. Pure but for the store that is passed in; any thread with its
 * own. */
#pragma once

#include "gateway/config.h"
#include "gateway/http_server.h"
#include "gateway/store.h"

enum { SESSION_MS = 12 * 3600 * 1000, LOGIN_MS = 10 * 60 * 1000 };

/* The session cookie's value, or NULL. */
const char *session_cookie(struct arena *a, const struct http_request *request);
/* What the store keeps of a secret. */
char *secret_hash(struct arena *a, const char *secret);
/* The token that every form of this session carries; bound to it and to nothing else. */
char *session_form_token(struct arena *a, const char *cookie);
/* Who is signed in; *person NULL: nobody. A person who left the configuration is nobody. */
bool session_person(struct store *s, struct arena *a, const struct config *config,
                    const struct http_request *request, int64_t now_ms,
                    const struct person **person, struct err *err) NODISCARD;
/* The key of "Authorization: Bearer …"; NULL: none, or unknown. */
const struct api_key *bearer_key(struct arena *a, const struct config *config,
                                 const struct http_request *request);
