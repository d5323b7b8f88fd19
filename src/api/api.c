/* Engine, callbacks, and where models are. */
#include "api/api.h"

#include "api/paths.h"
#include "base/memory.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

const char *ganvas_version(void)
{
    return GANVAS_VERSION;
}

void ganvas_free(void *memory)
{
    gv_mem_free(memory);
}

/* ---- engine ---- */

ganvas_status ganvas_engine_new(ganvas_engine **engine, const ganvas_engine_options *options,
                                ganvas_error *err)
{
    gv_error_clear(err);
    *engine = NULL;
    ganvas_engine_options none = {0};
    const ganvas_engine_options *o = options != NULL ? options : &none;
    if (o->threads < 0 || o->threads > 1024)
        return gv_fail(err, GV_E_ARG, "threads: %d is not in 0 to 1024", o->threads);
    ganvas_engine *e = gv_mem_alloc(sizeof *e);
    if (e == NULL)
        return gv_fail_memory(err, sizeof *e);
    e->threads = o->threads;
    e->log = o->log;
    e->notice = o->notice;
    e->user = o->user;
    if (o->models_dir != NULL) {
        size_t size = strlen(o->models_dir) + 1;
        e->models_dir = gv_mem_alloc(size);
        if (e->models_dir == NULL) {
            gv_mem_free(e);
            return gv_fail_memory(err, size);
        }
        memcpy(e->models_dir, o->models_dir, size);
    }
    *engine = e;
    return GV_OK;
}

void ganvas_engine_free(ganvas_engine *engine)
{
    if (engine == NULL)
        return;
    gv_mem_free(engine->models_dir);
    gv_mem_free(engine);
}

static void tell(ganvas_text_fn *fn, void *user, const char *format, va_list args)
{
    char text[512];
    if (fn == NULL)
        return;
    vsnprintf(text, sizeof text, format, args);
    fn(user, text);
}

void gv_engine_log(const ganvas_engine *engine, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    tell(engine->log, engine->user, format, args);
    va_end(args);
}

void gv_engine_notice(const ganvas_engine *engine, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    tell(engine->notice, engine->user, format, args);
    va_end(args);
}

double gv_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* ---- progress and cancelling ---- */

ganvas_status ganvas_cancel_new(ganvas_cancel **cancel, ganvas_error *err)
{
    gv_error_clear(err);
    *cancel = gv_mem_alloc(sizeof **cancel);
    return *cancel != NULL ? GV_OK : gv_fail_memory(err, sizeof **cancel);
}

void ganvas_cancel_free(ganvas_cancel *cancel)
{
    gv_mem_free(cancel);
}

void ganvas_cancel_request(ganvas_cancel *cancel)
{
    gv_cancel_request(&cancel->cancel);
}

const gv_cancel *gv_watch_cancel(const ganvas_watch *watch)
{
    return watch != NULL && watch->cancel != NULL ? &watch->cancel->cancel : NULL;
}

void gv_watch_tell(const ganvas_watch *watch, const char *what, int64_t done, int64_t total,
                   double seconds)
{
    if (watch != NULL && watch->progress != NULL)
        watch->progress(watch->user, &(ganvas_progress){what, done, total, seconds});
}

/* ---- embedded models ---- */

bool gv_engine_each_folder(const ganvas_engine *engine, gv_folder_fn *fn, void *ctx)
{
    const char *folders[] = {engine->models_dir, getenv("GANVAS_MODELS"), GV_MODELS_FOLDER,
                             "models"};
    for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++)
        if (folders[i] != NULL && folders[i][0] != '\0' && fn(ctx, folders[i]))
            return true;
    return false;
}

typedef struct search {
    const char *name;
    char *path; /* room for PATH_MAX bytes */
    size_t room;
} search;

static bool is_file(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 && S_ISREG(info.st_mode);
}

static bool look_in(void *ctx, const char *folder)
{
    search *s = ctx;
    int length = snprintf(s->path, s->room, "%s/%s.safetensors", folder, s->name);
    return length > 0 && (size_t)length < s->room && is_file(s->path);
}

gv_status gv_engine_find_model(const ganvas_engine *engine, char **path, const char *name,
                               gv_error *err)
{
    enum { ROOM = 4096 };
    *path = NULL;
    search s = {.name = name, .path = gv_mem_alloc(ROOM), .room = ROOM};
    if (s.path == NULL)
        return gv_fail_memory(err, ROOM);
    /* A name without a slash may be an embedded model; a file of that name comes first. */
    bool may_be_name = strchr(name, '/') == NULL && strchr(name, '.') == NULL;
    if (is_file(name) || !may_be_name || !gv_engine_each_folder(engine, look_in, &s)) {
        if (may_be_name && !is_file(name)) {
            gv_mem_free(s.path);
            return gv_fail(
                err, GV_E_IO,
                "%s: is neither a file nor an embedded model (looked in %s, " GV_MODELS_FOLDER
                " and ./models)",
                name,
                engine->models_dir != NULL        ? engine->models_dir
                : getenv("GANVAS_MODELS") != NULL ? getenv("GANVAS_MODELS")
                                                  : "$GANVAS_MODELS, which is not set");
        }
        snprintf(s.path, ROOM, "%s", name);
    }
    *path = s.path;
    return GV_OK;
}
