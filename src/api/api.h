/* What the files of this layer share. */
#ifndef GV_API_API_H
#define GV_API_API_H

#include "api/settings.h"
#include "base/parallel.h"
#include "nets/generator.h"

struct ganvas_engine {
    int threads; /* as gv_job_run takes it: 0 means all cores */
    char *models_dir;
    ganvas_text_fn *log, *notice;
    void *user;
};

struct ganvas_cancel {
    gv_cancel cancel;
};

struct ganvas_model {
    ganvas_engine *engine;
    gv_generator *gen;
    gv_renderer *renderer; /* of one picture at a time: its bits do not depend on its neighbours */
    char *name;            /* as the caller gave it */
    char *path;
    int threads; /* the engine's, or what a command was given */
};

#if defined(__GNUC__)
__attribute__((format(printf, 2, 3)))
#endif
void gv_engine_log(const ganvas_engine *engine, const char *format, ...);
#if defined(__GNUC__)
__attribute__((format(printf, 2, 3)))
#endif
void gv_engine_notice(const ganvas_engine *engine, const char *format, ...);

/* *path (owned, gv_mem_free) of a file or an embedded model.
 * Errors GV_E_IO naming the folders that were looked through. */
gv_status gv_engine_find_model(const ganvas_engine *engine, char **path, const char *name,
                               gv_error *err);

/* Calls fn for the folders of embedded models in their order until it returns true; the same. */
typedef bool gv_folder_fn(void *ctx, const char *folder);
bool gv_engine_each_folder(const ganvas_engine *engine, gv_folder_fn *fn, void *ctx);

const gv_cancel *gv_watch_cancel(const ganvas_watch *watch); /* watch may be NULL */
void gv_watch_tell(const ganvas_watch *watch, const char *what, int64_t done, int64_t total,
                   double seconds);

/* Seconds of a clock that only goes forward. */
double gv_now(void);

/* {"name", "type", "hash", ...} for records; returned owned, or NULL without memory. */
json_t *gv_model_to_json(const ganvas_model *model);

/* ---- commands (run_<command>.c): *record is the JSON of ganvas_result, text the words for a
 * person; both may be left as they are after an error. ---- */

struct gv_text;
typedef gv_status gv_command_fn(ganvas_engine *engine, const ganvas_settings *s,
                                const ganvas_watch *watch, struct gv_text *text, json_t *record,
                                gv_error *err);
gv_command_fn gv_run_interpolate, gv_run_mix;
gv_command_fn gv_run_sample, gv_run_invert, gv_run_bench;

#endif
