/* Time, read in one place. Only gateway/ calls it; the pure layers get time as data. Any thread. */
#pragma once

#include "gateway/base/defs.h"

int64_t clock_unix_ms(void);      /* what is stored: milliseconds since 1970-01-01T00:00:00Z */
int64_t clock_monotonic_ms(void); /* what is waited with: never goes back */
int64_t clock_monotonic_us(void); /* what is measured with */
