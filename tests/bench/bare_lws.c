/* The libwebsockets half of bare.c: the two libraries' headers share an enum's name. */
#include <libwebsockets.h>
#include <signal.h>
#include <stdlib.h>

int bare_run(int port);
size_t bare_feed(void *parser, const char *bytes, size_t len, int *messages);
void *bare_parser(void);

struct session {
    void *parser;
    int answers;
};

static volatile int stop;

static void on_signal(int signo)
{
    (void)signo;
    stop = 1;
}

static int callback(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in,
                    size_t len)
{
    static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    struct session *s = user;
    unsigned char buffer[LWS_PRE + sizeof answer];
    switch (reason) {
    case LWS_CALLBACK_RAW_ADOPT:
        s->parser = bare_parser();
        break;
    case LWS_CALLBACK_RAW_CLOSE:
        free(s->parser);
        break;
    case LWS_CALLBACK_RAW_RX: {
        int messages = 0;
        if (bare_feed(s->parser, in, len, &messages) != len)
            return -1;
        s->answers += messages;
        lws_callback_on_writable(wsi);
        break;
    }
    case LWS_CALLBACK_RAW_WRITEABLE:
        for (; s->answers > 0; s->answers--) {
            memcpy(buffer + LWS_PRE, answer, sizeof answer - 1);
            if (lws_write(wsi, buffer + LWS_PRE, sizeof answer - 1, LWS_WRITE_RAW) < 0)
                return -1;
        }
        break;
    default: /* lws reasons */
        break;
    }
    return 0;
}

int bare_run(int port)
{
    static const struct lws_protocols protocols[] = {
        {.name = "bare",
         .callback = callback,
         .per_session_data_size = sizeof(struct session),
         .rx_buffer_size = 4096},
        {0}};
    struct lws_context_creation_info info = {
        .port = port,
        .iface = "127.0.0.1",
        .protocols = protocols,
        .listen_accept_role = "raw-skt",
        .listen_accept_protocol = "bare",
        .options = LWS_SERVER_OPTION_ADOPT_APPLY_LISTEN_ACCEPT_CONFIG};
    lws_set_log_level(LLL_ERR, NULL);
    signal(SIGTERM, on_signal);
    struct lws_context *context = lws_create_context(&info);
    while (context != NULL && !stop && lws_service(context, 0) >= 0)
        ;
    lws_context_destroy(context);
    return context == NULL;
}
