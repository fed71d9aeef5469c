/* See wire.h. */
#include "wire.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

struct wire {
    int fd;
    SSL_CTX *ctx;
    SSL *ssl;
    char raw[1 << 20];
    size_t raw_len;
};

static void must(bool ok, const char *what)
{
    if (ok)
        return;
    perror(what);
    abort();
}

struct wire *wire_open(int port, bool tls)
{
    struct wire *w = calloc(1, sizeof *w);
    must(w != NULL, "memory");
    w->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons((unsigned short)port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    must(connect(w->fd, (struct sockaddr *)&to, sizeof to) == 0, "connect");
    int on = 1;
    setsockopt(w->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (!tls)
        return w;
    w->ctx = SSL_CTX_new(TLS_client_method());
    static const unsigned char alpn[] = "\x02h2\x08http/1.1";
    SSL_CTX_set_alpn_protos(w->ctx, alpn, sizeof alpn - 1);
    w->ssl = SSL_new(w->ctx);
    SSL_set_fd(w->ssl, w->fd);
    must(SSL_connect(w->ssl) == 1, "TLS");
    return w;
}

void wire_close(struct wire *w)
{
    SSL_free(w->ssl);
    SSL_CTX_free(w->ctx);
    close(w->fd);
    free(w);
}

/* A peer that closed meanwhile is no error: the test looks at what came back. */
void wire_send(struct wire *w, const char *bytes, size_t len)
{
    while (len > 0) {
        long n = w->ssl != NULL ? SSL_write(w->ssl, bytes, (int)len)
                                : send(w->fd, bytes, len, MSG_NOSIGNAL);
        if (n <= 0)
            return;
        bytes += n;
        len -= (size_t)n;
    }
}

size_t wire_offer(struct wire *w, const char *bytes, size_t len, int ms)
{
    struct pollfd p = {.fd = w->fd, .events = POLLOUT};
    size_t at = 0;
    while (at < len && poll(&p, 1, ms) > 0) {
        ssize_t n = send(w->fd, bytes + at, len - at, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n <= 0)
            break;
        at += (size_t)n;
    }
    return at;
}

void wire_text(struct wire *w, const char *text)
{
    wire_send(w, text, strlen(text));
}

void wire_shut(struct wire *w)
{
    if (w->ssl != NULL)
        SSL_shutdown(w->ssl);
    shutdown(w->fd, SHUT_WR);
}

void wire_small_window(struct wire *w)
{
    int size = 4096;
    setsockopt(w->fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
}

int wire_read(struct wire *w, char *out, size_t size, int ms)
{
    struct pollfd p = {.fd = w->fd, .events = POLLIN};
    if ((w->ssl == NULL || SSL_pending(w->ssl) == 0) && poll(&p, 1, ms) <= 0)
        return -1;
    long n = w->ssl != NULL ? SSL_read(w->ssl, out, (int)size - 1) : recv(w->fd, out, size - 1, 0);
    if (n < 0 && w->ssl != NULL && SSL_get_error(w->ssl, (int)n) == SSL_ERROR_WANT_READ)
        return -1;
    n = n < 0 ? 0 : n;
    out[n] = '\0';
    return (int)n;
}

/* One answer's length in bytes, or 0; says its status and body. */
static size_t one_answer(const char *at, size_t len, int *status, const char **body,
                         size_t *body_len)
{
    const char *end = memmem(at, len, "\r\n\r\n", 4);
    if (end == NULL || sscanf(at, "HTTP/1.1 %d", status) != 1)
        return 0;
    *body = end + 4;
    *body_len = 0;
    size_t room = len - (size_t)(*body - at);
    const char *length = strcasestr(at, "\r\nContent-Length: ");
    if (length != NULL && length < end)
        *body_len = strtoul(length + 18, NULL, 10);
    else if (*status != 100 && *status != 204 && *status != 304)
        *body_len = room; /* a stream */
    *body_len = *body_len < room ? *body_len : room;
    return (size_t)(*body - at) + *body_len;
}

void wire_summary(struct wire *w, int quiet_ms, char *out, size_t size)
{
    int n = 0;
    w->raw_len = 0;
    while (w->raw_len < sizeof w->raw - 1 &&
           (n = wire_read(w, w->raw + w->raw_len, sizeof w->raw - w->raw_len, quiet_ms)) > 0)
        w->raw_len += (size_t)n;
    w->raw[w->raw_len] = '\0';
    size_t at = 0, len = 0;
    out[0] = '\0';
    for (size_t used; at < w->raw_len; at += used) {
        int status = 0;
        const char *body = "";
        size_t body_len = 0;
        used = one_answer(w->raw + at, w->raw_len - at, &status, &body, &body_len);
        if (used == 0) {
            len += (size_t)snprintf(out + len, size - len, "junk|");
            break;
        }
        if (body_len > 0 && body[body_len - 1] == '\n')
            body_len--;
        if (len < size)
            len += (size_t)snprintf(out + len, size - len, "%d %.*s|", status, (int)body_len, body);
    }
    if (len < size)
        snprintf(out + len, size - len, n == 0 ? "closed" : "open");
}

const char *wire_raw(const struct wire *w)
{
    return w->raw;
}

void wire_make_certificate(const char *cert_file, const char *key_file)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *cert = X509_new();
    ASN1_INTEGER_set(X509_get_serialNumber(cert), 1);
    X509_gmtime_adj(X509_getm_notBefore(cert), -3600);
    X509_gmtime_adj(X509_getm_notAfter(cert), 30L * 86400);
    X509_set_pubkey(cert, key);
    X509_NAME *name = X509_get_subject_name(cert);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)"localhost", -1, -1,
                               0);
    X509_set_issuer_name(cert, name);
    must(X509_sign(cert, key, EVP_sha256()) > 0, "sign");
    FILE *file = fopen(cert_file, "w");
    must(file != NULL && PEM_write_X509(file, cert) == 1, cert_file);
    fclose(file);
    file = fopen(key_file, "w");
    must(file != NULL && PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL) == 1, key_file);
    fclose(file);
    X509_free(cert);
    EVP_PKEY_free(key);
}
