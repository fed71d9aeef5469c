/* What requests.c and edits.c share; for them alone. */
#pragma once

#include "gateway/app.h"

/* How a request ends; the actor of the event is end.by. */
struct conclusion {
    struct request_end end;
    int64_t edit; /* the vote that changed it; 0: none */
    const char *edited_into;
};

/* The atomic change from open, its event, and every place that shows it. *won: false when it was
 * decided already; then nothing happened. */
bool request_conclude(struct app *app, const struct request_row *r, const struct conclusion *how,
                      bool *won, struct err *err) NODISCARD;
/* A vote that does not count is recorded too, and answered. r NULL: no such request. */
bool request_refuse_vote(struct app *app, const struct vote_in *in, const struct request_row *r,
                         enum vote_result result, const char *sentence, struct vote_out *out,
                         struct err *err) NODISCARD;
/* "Request 4821 is approved already: by Bob Okoye at …" */
const char *request_how_decided(struct app *app, const struct request_row *r);

/* ---- edits.c: other arguments for an open approval --------------------------------------- */

/* A person's change is taken down and checked on; *out says VOTE_CHECKING, or why not. */
bool edit_request(struct app *app, const struct request_row *r, const struct vote_in *in,
                  const struct person *person, struct vote_out *out, struct err *err) NODISCARD;
/* `was` ends: the checked change of e->edit made `now` of it. The new one's view gets who changed
 * what. */
bool edit_replace(struct app *app, const struct thread_row *row, const struct effect *e,
                  const struct request_row *was, const struct request_row *now, struct json *view,
                  struct err *err) NODISCARD;
/* The request is decided: who waits for a change of it hears that. */
void edit_too_late(struct app *app, const struct request_row *r, const struct conclusion *how);
