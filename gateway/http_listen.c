/* See http_listen.h. */
#include "gateway/http_listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { BACKLOG = 511 };

/* --- listening ----------------------------------------------------------------------------- */

static bool fail_closing(int fd, struct err *err, const char *listen, const char *what)
{
    int why = errno;
    close(fd);
    return fail(err, why == EADDRINUSE ? ERR_CONFLICT : ERR_INVALID, "%s: %s: %s", listen, what,
                strerror(why));
}

static int listen_here(int fd)
{
    return listen(fd, BACKLOG);
}

/* A file whose socket nobody answers on is left from a process that was killed. */
static bool remove_dead(const struct sockaddr_un *address)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return false;
    bool dead = connect(fd, (const struct sockaddr *)address, sizeof *address) != 0 &&
                errno == ECONNREFUSED;
    close(fd);
    return dead && unlink(address->sun_path) == 0;
}

static bool open_unix(const char *listen, struct http_listener *out, struct err *err)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const char *path = listen + strlen("unix:");
    if (path[0] == '\0' || strlen(path) >= sizeof address.sun_path)
        return fail(err, ERR_INVALID, "%s: the path is empty or too long", listen);
    snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return fail(err, ERR_TRANSIENT, "%s: %s", listen, strerror(errno));
    const struct sockaddr *generic = (const struct sockaddr *)&address;
    bool bound = bind(fd, generic, sizeof address) == 0;
    if (!bound && errno == EADDRINUSE && remove_dead(&address))
        bound = bind(fd, generic, sizeof address) == 0;
    if (!bound)
        return fail_closing(fd, err, listen, "bind");
    if (chmod(path, 0660) != 0 || listen_here(fd) != 0)
        return fail_closing(fd, err, listen, "listen");
    out->fd = fd;
    out->port = 0;
    snprintf(out->path, sizeof out->path, "%s", path);
    return true;
}

/* Splits "host:port" and "[host]:port". */
static bool split(const char *listen, char *host, size_t size, const char **port)
{
    const char *colon = strrchr(listen, ':');
    if (colon == NULL || colon[1] == '\0' || colon[1 + strspn(colon + 1, "0123456789")] != '\0')
        return false;
    const char *from = listen, *to = colon;
    bool brackets = listen[0] == '[' && colon > listen && colon[-1] == ']';
    if (brackets) {
        from++;
        to--;
    }
    size_t len = (size_t)(to - from);
    if (len == 0 || len >= size || (!brackets && memchr(from, ':', len) != NULL))
        return false;
    memcpy(host, from, len);
    host[len] = '\0';
    *port = colon + 1;
    return true;
}

static int port_of(int fd)
{
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } at = {.v6 = {0}};
    socklen_t len = sizeof at;
    if (getsockname(fd, &at.any, &len) != 0)
        return 0;
    return ntohs(at.any.sa_family == AF_INET6 ? at.v6.sin6_port : at.v4.sin_port);
}

static bool open_address(const char *listen, const struct addrinfo *at, struct http_listener *out,
                         struct err *err)
{
    int fd = socket(at->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return fail(err, ERR_TRANSIENT, "%s: %s", listen, strerror(errno));
    int on = 1, off = 0;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (at->ai_family == AF_INET6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
    if (bind(fd, at->ai_addr, at->ai_addrlen) != 0)
        return fail_closing(fd, err, listen, "bind");
    if (listen_here(fd) != 0)
        return fail_closing(fd, err, listen, "listen");
    out->fd = fd;
    out->port = port_of(fd);
    out->path[0] = '\0';
    return true;
}

bool http_listen_open(const char *listen, struct http_listener *out, struct err *err)
{
    if (strncmp(listen, "unix:", 5) == 0)
        return open_unix(listen, out, err);
    char host[256];
    const char *port = NULL;
    if (!split(listen, host, sizeof host, &port))
        return fail(err, ERR_INVALID, "%s: is not HOST:PORT, [HOST]:PORT or unix:PATH", listen);
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    struct addrinfo *found = NULL;
    int why = getaddrinfo(host, port, &hints, &found);
    if (why != 0)
        return fail(err, ERR_INVALID, "%s: %s", listen, gai_strerror(why));
    bool ok = open_address(listen, found, out, err);
    freeaddrinfo(found);
    return ok;
}

void http_listen_remove(const struct http_listener *listener)
{
    if (listener->path[0] != '\0')
        unlink(listener->path);
}

/* --- peers --------------------------------------------------------------------------------- */

static const unsigned char v4_in_v6[12] = {[10] = 0xFF, [11] = 0xFF};

static bool address_parse(const char *text, unsigned char out[16])
{
    if (inet_pton(AF_INET6, text, out) == 1)
        return true;
    memcpy(out, v4_in_v6, sizeof v4_in_v6);
    return inet_pton(AF_INET, text, out + sizeof v4_in_v6) == 1;
}

static void address_text(const unsigned char address[16], char out[PEER_TEXT_SIZE])
{
    if (memcmp(address, v4_in_v6, sizeof v4_in_v6) == 0)
        inet_ntop(AF_INET, address + sizeof v4_in_v6, out, PEER_TEXT_SIZE);
    else
        inet_ntop(AF_INET6, address, out, PEER_TEXT_SIZE);
}

void peer_text(const struct sockaddr_storage *address, char out[PEER_TEXT_SIZE])
{
    if (address->ss_family == AF_INET6)
        address_text(((const struct sockaddr_in6 *)address)->sin6_addr.s6_addr, out);
    else if (address->ss_family == AF_INET)
        inet_ntop(AF_INET, &((const struct sockaddr_in *)address)->sin_addr, out, PEER_TEXT_SIZE);
    else
        snprintf(out, PEER_TEXT_SIZE, "unix");
}

bool trusted_parse(const char *text, struct trusted *out)
{
    *out = (struct trusted){.is_unix = strcmp(text, "unix") == 0, .prefix = 128};
    if (out->is_unix)
        return true;
    char host[PEER_TEXT_SIZE];
    size_t len = strcspn(text, "/");
    if (len >= sizeof host)
        return false;
    memcpy(host, text, len);
    host[len] = '\0';
    if (!address_parse(host, out->address))
        return false;
    if (text[len] == '\0')
        return true;
    int most = strchr(host, ':') != NULL ? 128 : 32;
    int bits = 0;
    const char *digit = text + len + 1;
    if (*digit == '\0')
        return false;
    for (; *digit >= '0' && *digit <= '9' && bits <= 128; digit++)
        bits = bits * 10 + (*digit - '0');
    out->prefix = 128 - most + bits;
    return *digit == '\0' && bits <= most;
}

static bool is_in(const unsigned char address[16], const struct trusted *net)
{
    int whole = net->prefix / 8, rest = net->prefix % 8;
    if (memcmp(address, net->address, (size_t)whole) != 0)
        return false;
    return rest == 0 || ((address[whole] ^ net->address[whole]) >> (8 - rest)) == 0;
}

static bool is_trusted(const char *peer, const struct trusted *trusted, size_t n_trusted)
{
    unsigned char address[16];
    bool is_unix = strcmp(peer, "unix") == 0;
    if (!is_unix && !address_parse(peer, address))
        return false;
    for (size_t i = 0; i < n_trusted; i++) {
        if (is_unix ? trusted[i].is_unix : !trusted[i].is_unix && is_in(address, &trusted[i]))
            return true;
    }
    return false;
}

/* One entry: "ip", "ip:port", "[v6]", "[v6]:port", with spaces around. */
static bool entry_parse(const char *at, size_t len, char out[PEER_TEXT_SIZE])
{
    while (len > 0 && (*at == ' ' || *at == '\t')) {
        at++;
        len--;
    }
    while (len > 0 && (at[len - 1] == ' ' || at[len - 1] == '\t'))
        len--;
    char text[64];
    unsigned char address[16];
    if (len == 0 || len >= sizeof text)
        return false;
    memcpy(text, at, len);
    text[len] = '\0';
    char *host = text, *colon = strchr(text, ':');
    if (text[0] == '[') {
        host = text + 1;
        host[strcspn(host, "]")] = '\0';
    } else if (colon != NULL && strchr(colon + 1, ':') == NULL) {
        *colon = '\0';
    }
    if (!address_parse(host, address))
        return false;
    address_text(address, out);
    return true;
}

/* Goes through one header's entries from the right. False: the search is over. */
static bool walk_entries(const char *value, const struct trusted *trusted, size_t n_trusted,
                         char out[PEER_TEXT_SIZE])
{
    const char *end = value + strlen(value);
    for (;;) {
        const char *from = end;
        while (from > value && from[-1] != ',')
            from--;
        if (!entry_parse(from, (size_t)(end - from), out) || !is_trusted(out, trusted, n_trusted))
            return false;
        if (from == value)
            return true;
        end = from - 1;
    }
}

void peer_behind(const char *peer, const struct trusted *trusted, size_t n_trusted,
                 const struct http_header *headers, size_t n_headers, char out[PEER_TEXT_SIZE])
{
    snprintf(out, PEER_TEXT_SIZE, "%s", peer);
    if (!is_trusted(peer, trusted, n_trusted))
        return;
    for (size_t i = n_headers; i-- > 0;)
        if (strcmp(headers[i].name, "x-forwarded-for") == 0 &&
            !walk_entries(headers[i].value, trusted, n_trusted, out))
            return;
}
