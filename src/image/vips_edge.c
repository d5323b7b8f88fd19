#include "image/vips_edge.h"

#ifdef GV_HAVE_VIPS

#include <pthread.h>
#include <string.h>
#include <vips/vips.h>

static pthread_once_t once = PTHREAD_ONCE_INIT;
static bool started;

static void drop(const gchar *domain, GLogLevelFlags level, const gchar *text, gpointer user)
{
    (void)domain, (void)level, (void)text, (void)user;
}

static void start(void)
{
    g_log_set_handler("VIPS", (GLogLevelFlags)(G_LOG_LEVEL_MASK & ~G_LOG_LEVEL_ERROR), drop, NULL);
    started = vips_init("ganvas") == 0;
    if (started) {
        vips_cache_set_max(0);
        vips_cache_set_max_mem(0);
    }
}

gv_status gv_vips_start(gv_error *err)
{
    pthread_once(&once, start);
    return started ? GV_OK
                   : gv_fail(err, GV_E_UNSUPPORTED, "libvips does not start on this system");
}

gv_status gv_vips_fail(gv_error *err, gv_status status, const char *name)
{
    /* The buffer is shared by all threads: copied and emptied in one step. Its lines are "domain:
     * text"; the last is the deepest. */
    char *buffer = vips_error_buffer_copy();
    char *end = buffer + strlen(buffer);
    while (end > buffer && (end[-1] == '\n' || end[-1] == ' '))
        *--end = '\0';
    char *line = strrchr(buffer, '\n');
    line = line == NULL ? buffer : line + 1;
    status = gv_fail(err, status, "%s: %s", name, *line != '\0' ? line : "libvips gives no reason");
    g_free(buffer);
    return status;
}

#endif
