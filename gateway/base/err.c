/* See err.h. */
#include "gateway/base/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Cuts a half UTF-8 sequence off the end and makes the text one harmless line. */
static void tidy(char *text)
{
    size_t len = strlen(text);
    size_t i = len;
    while (i > 0 && len - i < 4 && ((unsigned char)text[i - 1] & 0xC0) == 0x80)
        i--;
    if (i > 0) {
        unsigned char lead = (unsigned char)text[i - 1];
        size_t want = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : lead >= 0xC0 ? 2 : 1;
        if (len - (i - 1) < want)
            text[i - 1] = '\0';
    }
    for (char *c = text; *c != '\0'; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7F)
            *c = '?';
}

bool fail(struct err *err, enum err_kind kind, const char *fmt, ...)
{
    if (err == NULL)
        return false;
    va_list args;
    va_start(args, fmt);
    err->kind = kind;
    vsnprintf(err->text, sizeof err->text, fmt, args);
    va_end(args);
    tidy(err->text);
    return false;
}

bool fail_in(struct err *err, const char *context)
{
    if (err == NULL)
        return false;
    char inner[ERR_TEXT_SIZE];
    memcpy(inner, err->text, sizeof inner);
    return fail(err, err->kind, "%s: %s", context, inner);
}

const char *err_kind_name(enum err_kind kind)
{
    switch (kind) {
    case ERR_NONE:
        return "none";
    case ERR_INVALID:
        return "invalid";
    case ERR_TOO_LARGE:
        return "too_large";
    case ERR_DENIED:
        return "denied";
    case ERR_MISSING:
        return "missing";
    case ERR_CONFLICT:
        return "conflict";
    case ERR_TRANSIENT:
        return "transient";
    case ERR_UNCERTAIN:
        return "uncertain";
    }
    UNREACHABLE();
}
