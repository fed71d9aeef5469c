/* See freeze.h. Time zones by GLib, which reads the system's zone files. */
#include "gateway/freeze.h"

#include "gateway/base/text.h"

#include <glib.h>
#include <string.h>

enum { MINUTES_PER_WEEK = 7 * 24 * 60 };

bool time_zone_is_known(const char *name)
{
    GTimeZone *zone = g_time_zone_new_identifier(name);
    if (zone == NULL)
        return false;
    g_time_zone_unref(zone);
    return true;
}

static GDateTime *local_time(const char *zone_name, int64_t now_ms)
{
    GTimeZone *zone = zone_name == NULL ? NULL : g_time_zone_new_identifier(zone_name);
    if (zone == NULL)
        zone = g_time_zone_new_utc();
    GDateTime *utc = g_date_time_new_from_unix_utc(now_ms / 1000);
    GDateTime *local = g_date_time_to_timezone(utc, zone);
    g_date_time_unref(utc);
    g_time_zone_unref(zone);
    return local;
}

/* "fri 16:00" → minutes since Monday 00:00; -1: not readable (the configuration's check refuses
 * it). */
static int minute_of_week(const char *text)
{
    static const char *const days[] = {"mon", "tue", "wed", "thu", "fri", "sat", "sun"};
    int64_t hour, minute;
    for (int d = 0; d < 7; d++) {
        if (strncmp(text, days[d], 3) != 0 || strlen(text) != 9 || text[3] != ' ' || text[6] != ':')
            continue;
        char hh[3] = {text[4], text[5], '\0'}, mm[3] = {text[7], text[8], '\0'};
        if (text_to_int(hh, 0, 24, &hour) && text_to_int(mm, 0, 59, &minute))
            return (d * 24 + (int)hour) * 60 + (int)minute;
    }
    return -1;
}

bool freeze_is_on(const struct freeze *f, int64_t now_ms)
{
    GDateTime *now = local_time(f->time_zone, now_ms);
    bool on = false;
    if (f->from != NULL && f->to != NULL) {
        /* Both dates are days of the window: ISO dates compare as text. */
        char *today = g_date_time_format(now, "%Y-%m-%d");
        on = strcmp(today, f->from) >= 0 && strcmp(today, f->to) <= 0;
        g_free(today);
    } else if (f->day_from != NULL && f->day_to != NULL) {
        int from = minute_of_week(f->day_from), to = minute_of_week(f->day_to);
        int at = ((g_date_time_get_day_of_week(now) - 1) * 24 + g_date_time_get_hour(now)) * 60 +
                 g_date_time_get_minute(now);
        if (from >= 0 && to >= 0)
            on = (at - from + MINUTES_PER_WEEK) % MINUTES_PER_WEEK <
                 (to - from + MINUTES_PER_WEEK) % MINUTES_PER_WEEK;
    }
    g_date_time_unref(now);
    return on;
}
