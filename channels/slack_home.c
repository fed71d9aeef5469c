/* A person's home tab: what waits for them, what they asked for, what was decided last. See
 * slack.h. */
#include "channels/slack_private.h"
#include "gateway/base/strbuf.h"
#include "gateway/base/text.h"

#include <string.h>

/* Three lists of at most 15, each two blocks a line: well below a view's 100 blocks. */
enum { MOST_LINES = 15 };

static const char *what_text(struct arena *a, const struct json *r)
{
    const char *environment = json_text_at(r, "target.environment");
    if (json_text_at(r, "tool") == NULL)
        return slack_words(a, json_text_or(r, "question", "a question"), 200);
    return arena_printf(a, "`%s`%s%s", slack_code(a, json_text_at(r, "tool"), 100),
                        environment == NULL ? "" : " in ",
                        environment == NULL ? "" : slack_words(a, environment, 60));
}

/* "deploy_backend in production: asked by Bob Okoye, expires … · request 4821" */
static char *line_text(struct arena *a, const struct json *r, const char *public_url)
{
    const char *status = json_text_or(r, "status", ""), *by = json_text_at(r, "by");
    bool open = strcmp(status, "open") == 0;
    struct strbuf b;
    strbuf_init(&b, a, SLACK_BUILD_MAX);
    strbuf_addf(&b, "%s %s", slack_words(a, json_text_or(r, "agent", "Somebody"), 60),
                open ? "" : "wanted ");
    strbuf_addf(&b, "%s%s\n", open && json_text_at(r, "tool") != NULL ? "proposes " : "",
                what_text(a, r));
    if (!open)
        strbuf_addf(&b, "*%s*%s%s %s · ", slack_words(a, status, 20),
                    by == NULL || strcmp(status, "expired") == 0 ? "" : " by ",
                    by == NULL || strcmp(status, "expired") == 0 ? "" : slack_words(a, by, 80),
                    slack_date(a, json_text_at(r, "decided_at")));
    else if (json_text_at(r, "expires_at") != NULL)
        strbuf_addf(&b, "expires %s · ", slack_date(a, json_text_at(r, "expires_at")));
    if (json_text_at(r, "requester_name") != NULL)
        strbuf_addf(&b, "asked for by %s · ",
                    slack_words(a, json_text_at(r, "requester_name"), 80));
    strbuf_addf(&b, "<%s/requests/%s|request %s>", public_url, json_text_or(r, "id", ""),
                json_text_or(r, "code", ""));
    return b.text;
}

static void add_decision(struct arena *a, struct json *blocks, const struct json *r)
{
    const char *id = json_text_or(r, "id", ""), *tool = json_text_or(r, "tool", "");
    struct json *elements = json_array(a);
    struct slack_button approve = {.action = SLACK_APPROVE,
                                   .label = "Approve",
                                   .value = id,
                                   .style = "primary",
                                   .spoken = arena_printf(a, "Approve %s", tool)};
    struct slack_button reject = {.action = SLACK_REJECT,
                                  .label = "Reject",
                                  .value = id,
                                  .style = "danger",
                                  .spoken = arena_printf(a, "Reject %s", tool)};
    json_push(a, elements, slack_button(a, &approve));
    json_push(a, elements, slack_button(a, &reject));
    slack_add_actions(a, blocks, arena_printf(a, "home_%s", id), elements);
}

static void add_list(struct arena *a, struct json *blocks, const struct message *msg,
                     const char *title, const char *list, const char *none)
{
    size_t n = 0;
    bool waiting = strcmp(list, "waiting") == 0;
    slack_add_header(a, blocks, title);
    JSON_EACH(r, json_get(msg->home, list))
    {
        if (n++ == MOST_LINES) {
            slack_add_context(a, blocks, "… and more on the page");
            break;
        }
        slack_add_section(a, blocks, line_text(a, r, msg->public_url));
        if (waiting && text_eq(json_text_at(r, "kind"), "approval"))
            add_decision(a, blocks, r);
    }
    if (n == 0)
        slack_add_context(a, blocks, none);
}

struct json *slack_home(struct arena *a, const struct message *msg)
{
    struct json *view = json_object(a), *blocks = json_array(a);
    json_set_text(a, view, "type", "home");
    json_set_text(a, view, "callback_id", "signoff_home");
    json_set(a, view, "blocks", blocks);
    if (json_is_true(json_get(msg->home, "stranger"))) {
        slack_add_section(a, blocks,
                          "I do not know you: only people in my configuration may decide. Ask who "
                          "runs me to add you.");
        return view;
    }
    if (json_is_true(json_get(msg->home, "paused")))
        slack_add_context(a, blocks, "*Everything is paused.*");
    add_list(a, blocks, msg, "Waits for you", "waiting", "Nothing waits for you.");
    add_list(a, blocks, msg, "You asked for", "asked", "You asked for nothing lately.");
    add_list(a, blocks, msg, "Decided lately", "decided", "Nothing was decided lately.");
    slack_add_context(a, blocks, arena_printf(a, "<%s/|The whole inbox>", msg->public_url));
    return view;
}
