/* Freeze windows in their own time zones. Reads the system's zone files, so it lives in gateway/.
 * Any thread. */
#pragma once

#include "deploybot/deploy.h"

/* Is the window open at this moment? A zone that the system does not know counts as UTC; the
 * configuration's check refuses those. */
bool freeze_is_on(const struct freeze *freeze, int64_t now_ms);
/* Does the system know this time zone ("Europe/Berlin")? */
bool time_zone_is_known(const char *name);
