/* Hashes (OpenSSL's libcrypto behind two functions). Pure; any thread. */
#pragma once

#include "gateway/base/arena.h"

enum { SHA256_SIZE = 32 };

void sha256(struct span s, unsigned char out[SHA256_SIZE]);
char *sha256_hex(struct arena *a, struct span s); /* 64 lower-case hex digits */
void hmac_sha256(struct span key, struct span s, unsigned char out[SHA256_SIZE]); /* RFC 2104 */
char *hmac_sha256_hex(struct arena *a, struct span key, struct span s);
