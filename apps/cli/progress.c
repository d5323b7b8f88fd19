#include "progress.h"

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

void progress_init(progress *p)
{
    *p = (progress){.terminal = isatty(STDERR_FILENO) == 1};
}

void progress_clear(progress *p)
{
    if (p->drawn)
        fputs("\r\x1b[K", stderr);
    p->drawn = false;
}

static void print_time(double seconds)
{
    if (seconds < 99.5)
        fprintf(stderr, "%.0f s", seconds);
    else if (seconds < 99.5 * 60)
        fprintf(stderr, "%.0f min", seconds / 60);
    else
        fprintf(stderr, "%.1f h", seconds / 3600);
}

static void print_rate(const ganvas_progress *now)
{
    double rate = (double)now->done / now->seconds;
    if (rate >= 1.0)
        fprintf(stderr, "%.1f/s", rate);
    else
        fprintf(stderr, "%.1f s each", 1.0 / rate);
    if (now->done < now->total) {
        fputs(", ", stderr);
        print_time((double)(now->total - now->done) / rate);
        fputs(" left", stderr);
    }
}

void progress_show(void *user, const ganvas_progress *now)
{
    enum { WIDTH = 30 };
    progress *p = user;
    const double pause = p->terminal ? 0.1 : 5.0;
    bool last = now->done == now->total;
    /* Short work shows nothing: it is over before anybody could read it. */
    if (now->seconds < 0.5 || (!last && now->seconds < p->last + pause) || now->done == 0)
        return;
    p->last = now->seconds;
    if (!p->terminal) {
        fprintf(stderr, "%s %" PRId64 "/%" PRId64 ", ", now->what, now->done, now->total);
        print_rate(now);
        fputc('\n', stderr);
        return;
    }
    int filled = (int)(now->done * WIDTH / now->total);
    fprintf(stderr, "\r\x1b[K%s %" PRId64 "/%" PRId64 " [", now->what, now->done, now->total);
    for (int i = 0; i < WIDTH; i++)
        fputc(i < filled ? '#' : '.', stderr);
    fputs("] ", stderr);
    print_rate(now);
    p->drawn = true;
    if (last)
        progress_clear(p);
    fflush(stderr);
}
