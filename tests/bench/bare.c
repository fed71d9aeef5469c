/* bare PORT: libwebsockets' raw role with libhttp-parser, answering 200 at once and doing nothing
 * else: what the doors could reach at most. Ends with SIGTERM. */
#include <http_parser.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

struct lws;
int bare_run(int port);
size_t bare_feed(void *parser, const char *bytes, size_t len, int *messages);
void *bare_parser(void);

static int on_complete(http_parser *p)
{
    ++*(int *)p->data;
    return 0;
}

void *bare_parser(void)
{
    http_parser *p = calloc(1, sizeof *p);
    http_parser_init(p, HTTP_REQUEST);
    return p;
}

size_t bare_feed(void *parser, const char *bytes, size_t len, int *messages)
{
    static http_parser_settings settings;
    settings.on_message_complete = on_complete;
    ((http_parser *)parser)->data = messages;
    return http_parser_execute(parser, &settings, bytes, len);
}

int main(int argc, char **argv)
{
    return argc == 2 ? bare_run(atoi(argv[1])) : 2;
}
