/* See hash.h. */
#include "gateway/base/hash.h"

#include "gateway/base/text.h"

#include <limits.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>

void sha256(struct span s, unsigned char out[SHA256_SIZE])
{
    SHA256((const unsigned char *)(s.len > 0 ? s.at : ""), s.len, out);
}

char *sha256_hex(struct arena *a, struct span s)
{
    unsigned char sum[SHA256_SIZE];
    sha256(s, sum);
    return hex_encode(a, (struct span){(const char *)sum, sizeof sum});
}

void hmac_sha256(struct span key, struct span s, unsigned char out[SHA256_SIZE])
{
    unsigned len = SHA256_SIZE;
    if (key.len > INT_MAX)
        abort();
    /* A NULL key would mean "the key of last time". */
    if (HMAC(EVP_sha256(), key.len > 0 ? key.at : "", (int)key.len,
             (const unsigned char *)(s.len > 0 ? s.at : ""), s.len, out, &len) == NULL)
        abort();
}

char *hmac_sha256_hex(struct arena *a, struct span key, struct span s)
{
    unsigned char sum[SHA256_SIZE];
    hmac_sha256(key, s, sum);
    return hex_encode(a, (struct span){(const char *)sum, sizeof sum});
}
