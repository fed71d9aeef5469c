/* Checks of single texts in the configuration. Each says what is wrong in words that stand after
 * the key: "must be …". */
#include "agents/json_schema.h"
#include "gateway/base/text.h"
#include "gateway/config_private.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGITS  "0123456789"

static bool is_made_of(const char *text, const char *allowed)
{
    return text[strspn(text, allowed)] == '\0';
}

bool check_name(const char *text, struct err *err)
{
    if (strlen(text) <= 64 && isalnum((unsigned char)*text) &&
        is_made_of(text, LETTERS DIGITS "_-."))
        return true;
    return fail(err, ERR_INVALID, "must be a name of up to 64 letters, digits, '_', '-' and '.'");
}

/* Model providers take no other function names, and the name becomes a tag of the context. */
bool check_tool_name(const char *text, struct err *err)
{
    if (strlen(text) <= 64 && (isalpha((unsigned char)*text) || *text == '_') &&
        is_made_of(text, LETTERS DIGITS "_-"))
        return true;
    return fail(err, ERR_INVALID,
                "a tool's name has up to 64 letters, digits, '_' and '-' and begins with a letter");
}

/* Tokens and addresses stand in headers, where a line break would begin another one. */
bool check_one_line(const char *text, struct err *err)
{
    for (const char *c = text; *c != '\0'; c++)
        if ((unsigned char)*c < ' ' || *c == 0x7F)
            return fail(err, ERR_INVALID, "must be one line without control characters");
    return true;
}

/* ---- addresses --------------------------------------------------------------------------- */

static bool is_port(const char *text)
{
    int64_t port;
    return text_to_int(text, 0, 65535, &port);
}

bool check_listen(const char *text, struct err *err)
{
    static const char sentence[] = "must be ADDRESS:PORT, [IPV6]:PORT or unix:PATH";
    if (text_starts(text, "unix:"))
        return text[5] != '\0' || fail(err, ERR_INVALID, "%s", sentence);
    const char *colon = strrchr(text, ':');
    if (colon == NULL || colon == text || !is_port(colon + 1))
        return fail(err, ERR_INVALID, "%s", sentence);
    char host[INET6_ADDRSTRLEN];
    unsigned char address[16];
    size_t len = (size_t)(colon - text);
    bool is_v6 = *text == '[' && colon[-1] == ']';
    if (is_v6) {
        text++;
        len -= 2;
    }
    if (len == 0 || len >= sizeof host)
        return fail(err, ERR_INVALID, "%s", sentence);
    memcpy(host, text, len);
    host[len] = '\0';
    if (strcmp(host, "localhost") == 0)
        return true;
    return inet_pton(is_v6 ? AF_INET6 : AF_INET, host, address) == 1 ||
           fail(err, ERR_INVALID, "%s", sentence);
}

bool check_proxy(const char *text, struct err *err)
{
    char address[INET6_ADDRSTRLEN];
    unsigned char bytes[16];
    int64_t bits = 0;
    size_t len = strcspn(text, "/");
    bool is_v6 = strchr(text, ':') != NULL;
    bool ok = len < sizeof address;
    if (ok) {
        memcpy(address, text, len);
        address[len] = '\0';
        ok = inet_pton(is_v6 ? AF_INET6 : AF_INET, address, bytes) == 1 &&
             (text[len] == '\0' || text_to_int(text + len + 1, 0, is_v6 ? 128 : 32, &bits));
    }
    return ok || fail(err, ERR_INVALID, "must be an IP address or a network as in 10.0.0.0/8");
}

/* scheme://host[:port][/…], without user, blanks, query and fragment. */
static bool is_url(const char *text, const char *scheme)
{
    if (!text_starts(text, scheme))
        return false;
    const char *host = text + strlen(scheme);
    size_t len = strcspn(host, "/");
    const char *port = memchr(host, ':', len);
    if (*host == '[') {
        const char *end = memchr(host, ']', len);
        port = end != NULL && end[1] == ':' ? end + 1 : NULL;
    }
    if (len == 0 || *host == ':' || strpbrk(host, " \t\"<>\\@?#") != NULL)
        return false;
    for (const char *c = text; *c != '\0'; c++)
        if ((unsigned char)*c <= ' ' || (unsigned char)*c >= 0x7F)
            return false;
    if (port == NULL)
        return true;
    char digits[6] = "";
    size_t n = (size_t)(host + len - port) - 1;
    if (n == 0 || n >= sizeof digits)
        return false;
    memcpy(digits, port + 1, n);
    return is_port(digits);
}

bool check_http_url(const char *text, struct err *err)
{
    return is_url(text, "https://") || is_url(text, "http://") ||
           fail(err, ERR_INVALID, "must be a URL as in https://host.example");
}

bool check_smtp_url(const char *text, struct err *err)
{
    return is_url(text, "smtp://") || is_url(text, "smtps://") ||
           fail(err, ERR_INVALID, "must be a URL as in smtp://host:587 or smtps://host");
}

bool check_imap_url(const char *text, struct err *err)
{
    return is_url(text, "imaps://") || is_url(text, "imap://") ||
           fail(err, ERR_INVALID, "must be a URL as in imaps://host/INBOX");
}

bool check_store_url(const char *text, struct err *err)
{
    if (text_starts(text, "sqlite:") && text[strlen("sqlite:")] != '\0')
        return true;
    if (text_starts(text, "postgres:") || text_starts(text, "postgresql:"))
        return fail(err, ERR_INVALID, "PostgreSQL is not in this version: use sqlite:FILE");
    return fail(err, ERR_INVALID, "must be sqlite:FILE");
}

bool url_is_loopback(const char *url)
{
    static const char *const hosts[] = {"127.", "localhost", "[::1]"};
    const char *host = strstr(url, "://");
    for (size_t i = 0; host != NULL && i < COUNT(hosts); i++) {
        size_t len = strlen(hosts[i]);
        bool whole = host[3 + len] == '\0' || strchr(":/", host[3 + len]) != NULL;
        if (text_starts(host + 3, hosts[i]) && (hosts[i][len - 1] == '.' || whole))
            return true;
    }
    return false;
}

bool check_pem(const char *text, struct err *err)
{
    return text_starts(text, "-----BEGIN ") ||
           fail(err, ERR_INVALID, "must be PEM text: write file:PATH");
}

/* ---- people ------------------------------------------------------------------------------ */

bool check_address(const char *text, struct err *err)
{
    const char *at = strchr(text, '@');
    bool ok = at != NULL && at != text && at[1] != '\0' && strchr(at + 1, '@') == NULL &&
              strpbrk(text, " \t\r\n<>,;\"") == NULL;
    return ok || fail(err, ERR_INVALID, "must be a mail address");
}

bool check_phone(const char *text, struct err *err)
{
    size_t len = strlen(text);
    return (*text == '+' && len >= 8 && len <= 16 && text[1] != '0' &&
            is_made_of(text + 1, DIGITS)) ||
           fail(err, ERR_INVALID, "must be a number as in \"+15550100001\"");
}

bool check_slack_user(const char *text, struct err *err)
{
    bool ok = (*text == 'U' || *text == 'W') && text[1] != '\0' &&
              is_made_of(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZ" DIGITS);
    return ok || fail(err, ERR_INVALID, "must be a Slack user id as in U024BE7LH");
}

bool check_login(const char *text, struct err *err)
{
    size_t len = strlen(text);
    if (text_ends(text, "[bot]"))
        len -= strlen("[bot]");
    return (len > 0 && len <= 39 && strspn(text, LETTERS DIGITS "-_") == len) ||
           fail(err, ERR_INVALID, "must be a GitHub login, without @");
}

/* ---- time -------------------------------------------------------------------------------- */

bool check_time_zone(const char *text, struct err *err)
{
    static const char folder[] = "/usr/share/zoneinfo";
    char path[128];
    bool ok = isalpha((unsigned char)*text) && strstr(text, "..") == NULL &&
              is_made_of(text, LETTERS DIGITS "_+-/") && strlen(text) < 64;
    if (ok && strcmp(text, "UTC") != 0 && access(folder, R_OK) == 0) {
        snprintf(path, sizeof path, "%s/%s", folder, text);
        ok = access(path, R_OK) == 0;
    }
    return ok || fail(err, ERR_INVALID, "must be a time zone as in Europe/Berlin");
}

static bool is_cron_number(const char **at, int low, int high)
{
    int number = 0, n = 0;
    for (; isdigit((unsigned char)**at) && n < 3; n++, (*at)++)
        number = number * 10 + (**at - '0');
    return n > 0 && number >= low && number <= high;
}

/* Star, number or range, each with an optional step. */
static bool is_cron_part(const char **at, int low, int high)
{
    bool ok = **at == '*' ? (*at)++ != NULL : is_cron_number(at, low, high);
    if (ok && **at == '-' && (*at)[-1] != '*') {
        (*at)++;
        ok = is_cron_number(at, low, high);
    }
    if (ok && **at == '/') {
        (*at)++;
        ok = is_cron_number(at, 1, high);
    }
    return ok;
}

/* A list of parts with commas. */
static bool is_cron_field(const char **at, int low, int high)
{
    while (is_cron_part(at, low, high)) {
        if (**at != ',')
            return true;
        (*at)++;
    }
    return false;
}

bool check_cron(const char *text, struct err *err)
{
    static const int limits[5][2] = {{0, 59}, {0, 23}, {1, 31}, {1, 12}, {0, 7}};
    bool ok = true;
    for (size_t i = 0; ok && i < COUNT(limits); i++) {
        ok = is_cron_field(&text, limits[i][0], limits[i][1]) &&
             (i == COUNT(limits) - 1 ? *text == '\0' : *text == ' ');
        text += ok && *text == ' ' ? strspn(text, " ") : 0;
    }
    return ok ||
           fail(err, ERR_INVALID,
                "must have five fields, minute hour day month weekday, as in \"0 9 * * 1-5\"");
}

bool check_date(const char *text, struct err *err)
{
    char stamp[32];
    int64_t at_ms;
    bool ok = strlen(text) == 10;
    if (ok) {
        snprintf(stamp, sizeof stamp, "%.10sT00:00:00Z", text);
        ok = time_parse(stamp, &at_ms);
    }
    return ok || fail(err, ERR_INVALID, "must be a date as in 2026-12-20");
}

bool check_week_time(const char *text, struct err *err)
{
    static const char *const days[] = {"mon ", "tue ", "wed ", "thu ", "fri ", "sat ", "sun "};
    bool ok = false;
    for (size_t i = 0; i < COUNT(days); i++)
        ok = ok || text_starts(text, days[i]);
    const char *at = text + (ok ? 4 : 0);
    ok = ok && strlen(at) == 5 && at[2] == ':' && strspn(at, DIGITS) == 2 &&
         is_made_of(at + 3, DIGITS) && (at[0] < '2' || (at[0] == '2' && at[1] < '4')) &&
         at[3] < '6';
    return ok || fail(err, ERR_INVALID, "must be a weekday and a time as in fri 16:00");
}

/* ---- other words ------------------------------------------------------------------------- */

bool check_repo_name(const char *text, struct err *err)
{
    const char *slash = strchr(text, '/');
    bool ok = slash != NULL && slash != text && slash[1] != '\0' && *text != '.' &&
              slash[1] != '.' && strchr(slash + 1, '/') == NULL && strlen(text) <= 140 &&
              is_made_of(slash + 1, LETTERS DIGITS "_-.") &&
              strspn(text, LETTERS DIGITS "_-.") == (size_t)(slash - text);
    return ok ||
           fail(err, ERR_INVALID, "must be owner/name, or {path: DIR} for a local repository");
}

bool check_event(const char *text, struct err *err)
{
    size_t word = strspn(text, "abcdefghijklmnopqrstuvwxyz_");
    bool ok = word > 0 &&
              (text[word] == '\0' || (text[word] == '.' && text[word + 1] != '\0' &&
                                      is_made_of(text + word + 1, "abcdefghijklmnopqrstuvwxyz_")));
    return ok || fail(err, ERR_INVALID, "must be an event as in pull_request.merged");
}

bool check_command_word(const char *text, struct err *err)
{
    return (*text == '/' && text[1] != '\0' && strpbrk(text, " \t") == NULL) ||
           fail(err, ERR_INVALID, "must be a slash command as in /deploy");
}

bool check_env_name(const char *text, struct err *err)
{
    return ((isalpha((unsigned char)*text) || *text == '_') &&
            is_made_of(text, LETTERS DIGITS "_")) ||
           fail(err, ERR_INVALID, "must be the name of an environment variable");
}

bool check_pattern(const char *text, struct err *err)
{
    struct err why = ERR_INIT;
    if (pattern_matches(text, "", &why) || why.kind != ERR_MISSING)
        return true;
    return fail(err, ERR_INVALID, "is no regular expression: %s", why.text);
}
