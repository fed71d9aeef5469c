/* Listening addresses and the addresses of peers: the part of the HTTP server that knows sockets.
 * Blocking calls, no threads; pure but for http_listen_open() and http_listen_close(). */
#pragma once

#include "gateway/base/arena.h"
#include "gateway/base/err.h"
#include "gateway/base/http_parse.h"

#include <sys/socket.h>

struct http_listener {
    int fd;
    int port;       /* the real one, also when 0 was asked for; 0 for a unix socket */
    char path[108]; /* of a unix socket, else "" */
};

/* "127.0.0.1:8080", "[::]:8080", "unix:/path". Non-blocking, close-on-exec; a unix socket is made
 * with mode 0660, one that nobody listens on any more is replaced. */
bool http_listen_open(const char *listen, struct http_listener *out, struct err *err) NODISCARD;
void http_listen_remove(const struct http_listener *listener); /* the file of a unix socket */

enum { PEER_TEXT_SIZE = 48 };

/* "192.0.2.7", "2001:db8::1", "unix". IPv4 in IPv6 is written as IPv4. */
void peer_text(const struct sockaddr_storage *address, char out[PEER_TEXT_SIZE]);

/* One trusted proxy or a network of them. */
struct trusted {
    bool is_unix;
    unsigned char address[16]; /* IPv4 as ::ffff:a.b.c.d */
    int prefix;                /* of 128 bits */
};

/* "192.0.2.7", "10.0.0.0/8", "2001:db8::/32", "unix". */
bool trusted_parse(const char *text, struct trusted *out) NODISCARD;

/* Who sent it: the peer, or, if that is a trusted proxy, the last address in X-Forwarded-For that
 * is none. What stands left of an untrusted or broken entry is hearsay. */
void peer_behind(const char *peer, const struct trusted *trusted, size_t n_trusted,
                 const struct http_header *headers, size_t n_headers, char out[PEER_TEXT_SIZE]);
