/* The registry of adapters. */
#include "channels/channel.h"
#include "gateway/base/text.h"

static const struct channel_ops *const all[] = {&slack_channel, &github_source, &web_channel};

const struct channel_ops *channel_ops_by_type(const char *type)
{
    for (size_t i = 0; i < COUNT(all); i++)
        if (text_eq(all[i]->type, type))
            return all[i];
    return NULL;
}

const char *webhook_header(const struct webhook *in, const char *name)
{
    for (size_t i = 0; i < in->n_headers; i++)
        if (text_eq(in->headers[i].name, name))
            return in->headers[i].value;
    return NULL;
}

/* The built-in pages: they show every request by themselves, so nothing is sent. */
const struct channel_ops web_channel = {.type = "web", .identity = "person"};
