/* MP4 through ffmpeg. It is started by its name in PATH with an array of words, never by a shell;
 * frames come from an unnamed temporary file on its standard input, so that no pipe can fill or
 * break. */
#include "image/animation.h"

#include "base/memory.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

gv_status gv_video_check(gv_error *err)
{
    static const char program[] = "ffmpeg";
    const char *path = getenv("PATH");
    for (const char *p = path != NULL ? path : ""; *p != '\0'; p += *p == ':') {
        char name[PATH_MAX];
        size_t length = strcspn(p, ":");
        int written = snprintf(name, sizeof name, "%.*s/%s", (int)length, p, program);
        p += length;
        if (length > 0 && written > 0 && (size_t)written < sizeof name && access(name, X_OK) == 0)
            return GV_OK;
    }
    return gv_fail(err, GV_E_UNSUPPORTED,
                   ".mp4 needs the program ffmpeg, which is not installed; .gif and .webp do "
                   "without");
}

/* A process group of its own: Ctrl-C on the terminal is ours to handle. */
static gv_status start(pid_t *child, char **words, int in, int messages, gv_error *err)
{
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attributes;
    int failed = posix_spawn_file_actions_init(&files);
    if (failed != 0)
        return gv_fail(err, GV_E_MEMORY, "ffmpeg: %s", strerror(failed));
    failed = posix_spawnattr_init(&attributes);
    if (failed != 0) {
        posix_spawn_file_actions_destroy(&files);
        return gv_fail(err, GV_E_MEMORY, "ffmpeg: %s", strerror(failed));
    }
    failed = posix_spawn_file_actions_adddup2(&files, in, STDIN_FILENO);
    if (failed == 0)
        failed = posix_spawn_file_actions_adddup2(&files, messages, STDERR_FILENO);
    if (failed == 0)
        failed = posix_spawn_file_actions_adddup2(&files, messages, STDOUT_FILENO);
    if (failed == 0)
        failed = posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP);
    if (failed == 0)
        failed = posix_spawnp(child, words[0], &files, &attributes, words, environ);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&files);
    return failed == 0 ? GV_OK : gv_fail(err, GV_E_IO, "ffmpeg: %s", strerror(failed));
}

/* *result as of waitpid. A cancelled child is ended and waited for. */
static gv_status wait_for(pid_t child, int *result, const gv_cancel *cancel, gv_error *err)
{
    const struct timespec pause = {.tv_nsec = 10 * 1000 * 1000};
    bool stopped = false;
    for (;;) {
        pid_t ended = waitpid(child, result, WNOHANG);
        if (ended == child)
            break;
        if (ended < 0 && errno != EINTR)
            return gv_fail(err, GV_E_IO, "ffmpeg: %s", strerror(errno));
        if (!stopped && gv_cancel_requested(cancel)) {
            kill(child, SIGKILL); /* its file is a temporary one */
            stopped = true;
        }
        nanosleep(&pause, NULL);
    }
    return stopped ? gv_fail(err, GV_E_CANCELLED, "interrupted") : GV_OK;
}

/* The last line that ffmpeg said. */
static gv_status fail_with_words(const char *path, FILE *messages, int result, gv_error *err)
{
    char line[256], last[256] = "";
    rewind(messages);
    while (fgets(line, sizeof line, messages) != NULL) {
        line[strcspn(line, "\r\n")] = '\0';
        if (line[0] != '\0')
            memcpy(last, line, sizeof last);
    }
    if (last[0] == '\0')
        snprintf(last, sizeof last, "%s %d", WIFEXITED(result) ? "exit status" : "signal",
                 WIFEXITED(result) ? WEXITSTATUS(result) : WTERMSIG(result));
    return gv_fail(err, GV_E_IO, "%s: ffmpeg failed: %s", path, last);
}

static gv_status fill(FILE *in, const gv_frames *frames, gv_error *err)
{
    size_t size = (size_t)(frames->width * frames->height) * 3;
    if (fwrite(frames->pixels, size, (size_t)frames->count, in) != (size_t)frames->count ||
        fflush(in) != 0)
        return gv_fail(err, GV_E_IO, "temporary file: %s", strerror(errno));
    rewind(in);
    return GV_OK;
}

static gv_status run_ffmpeg(const gv_frames *frames, const char *path, char *to, double fps,
                            const gv_cancel *cancel, gv_error *err)
{
    char size[48], rate[32];
    FILE *in = tmpfile(), *messages = tmpfile();
    pid_t child;
    int result;
    gv_status status;
    if (in == NULL || messages == NULL) {
        status = gv_fail(err, GV_E_IO, "temporary file: %s", strerror(errno));
        goto done;
    }
    GV_TRY(fill(in, frames, err));
    snprintf(size, sizeof size, "%" PRId64 "x%" PRId64, frames->width, frames->height);
    snprintf(rate, sizeof rate, "%.10g", fps);
    /* yuv420p is what players know; its sides are even, as those of all generators are. */
    char mark[] = "comment=ganvas " GANVAS_VERSION;
    char *words[] = {"ffmpeg",    "-nostdin", "-hide_banner", "-loglevel", "error",   "-y",   "-f",
                     "rawvideo",  "-pix_fmt", "rgb24",        "-s",        size,      "-r",   rate,
                     "-i",        "pipe:0",   "-an",          "-pix_fmt",  "yuv420p", "-b:v", "4M",
                     "-metadata", mark,       "-f",           "mp4",       to,        NULL};
    GV_TRY(start(&child, words, fileno(in), fileno(messages), err));
    GV_TRY(wait_for(child, &result, cancel, err));
    if (!WIFEXITED(result) || WEXITSTATUS(result) != 0)
        status = fail_with_words(path, messages, result, err);
done:
    if (in != NULL)
        fclose(in);
    if (messages != NULL)
        fclose(messages);
    return status;
}

gv_status gv_video_save(const gv_frames *frames, const char *path, double fps,
                        const gv_cancel *cancel, gv_error *err)
{
    /* "file:" keeps ffmpeg from reading a name as an option or as a protocol. */
    static const char prefix[] = "file:";
    size_t room = sizeof prefix + strlen(path) + 32;
    char *to = gv_mem_alloc(room);
    if (to == NULL)
        return gv_fail_memory(err, room);
    snprintf(to, room, "%s%s.tmp-%ld", prefix, path, (long)getpid());
    const char *temporary = to + sizeof prefix - 1;
    gv_status status = gv_video_check(err);
    if (status == GV_OK)
        status = run_ffmpeg(frames, path, to, fps, cancel, err);
    if (status == GV_OK && rename(temporary, path) != 0)
        status = gv_fail(err, GV_E_IO, "%s: %s", path, strerror(errno));
    if (status != GV_OK)
        unlink(temporary);
    gv_mem_free(to);
    return status;
}
