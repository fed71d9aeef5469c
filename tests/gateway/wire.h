/* For tests: a client that sends any bytes, over TCP or TLS, and a summary of what comes back. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct wire;

struct wire *wire_open(int port, bool tls);
void wire_close(struct wire *w);
void wire_send(struct wire *w, const char *bytes, size_t len);
/* Plain only: how many of the bytes are taken until it stands still for `ms`. */
size_t wire_offer(struct wire *w, const char *bytes, size_t len, int ms);
void wire_text(struct wire *w, const char *text);
void wire_shut(struct wire *w); /* our sending half */
void wire_small_window(struct wire *w);

/* Waits up to `ms` for more. -1: nothing came; 0: closed; else the bytes, NUL-terminated. */
int wire_read(struct wire *w, char *out, size_t size, int ms);

/* Reads until it is closed or quiet for `quiet_ms`, and writes "200 body|404 body|closed" or
 * "…|open" (a body's last line feed is left out). */
void wire_summary(struct wire *w, int quiet_ms, char *out, size_t size);
const char *wire_raw(const struct wire *w); /* all that wire_summary() read */

/* A self-signed certificate for localhost; made once in the folder. */
void wire_make_certificate(const char *cert_file, const char *key_file);
