/* ganvas: editing photographs on the manifold of a generator. The public interface.
 *
 *     ganvas_engine *engine;            ganvas_model *model;         ganvas_error err;
 *     ganvas_engine_new(&engine, NULL, &err);
 *     ganvas_model_open(&model, engine, "cats64-stylegan2", &err);
 *     ganvas_latents(model, w, GANVAS_SPACE_W, &seed, 1, NULL, &err);
 *     ganvas_generate_rgb8(model, pixels, stride, w, GANVAS_SPACE_W, 1, NULL, NULL, &err);
 *
 * Rules that hold for every function:
 * - It never prints, exits or installs signal handlers; messages go to the engine's callbacks.
 * - What can fail returns a status and takes a nullable ganvas_error, whose sentence says what
 *   failed, found and expected. Out-parameters are valid or empty (NULL, 0) after any return.
 * - Pointers are borrowed for the call unless "returned owned" names the function that frees them.
 *   Freeing NULL is fine.
 * - Text is UTF-8. Pictures as floats are [N,3,H,W] in RGB, -1 black, 1 white.
 * - Different handles may be used by different threads at the same time; one handle by one thread
 *   at a time. A model must be closed before its engine. */
#ifndef GANVAS_H
#define GANVAS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GANVAS_VERSION_MAJOR 0
#define GANVAS_VERSION_MINOR 1
#define GANVAS_VERSION_PATCH 0
#define GANVAS_VERSION "0.1.0"

#if defined(__GNUC__)
#define GANVAS_API __attribute__((visibility("default")))
#else
#define GANVAS_API
#endif
/* clang checks that no status is dropped; gcc knows the attribute only on functions. */
#if defined(__clang__)
#define GANVAS_MUST_USE __attribute__((warn_unused_result))
#else
#define GANVAS_MUST_USE
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* ---- errors ---- */

typedef enum GANVAS_MUST_USE ganvas_status {
    GANVAS_OK = 0,
    GANVAS_E_ARG,         /* an argument is out of its range */
    GANVAS_E_MEMORY,      /* memory could not be had */
    GANVAS_E_IO,          /* the operating system refused a file */
    GANVAS_E_FORMAT,      /* a file is damaged or is not what it must be */
    GANVAS_E_UNSUPPORTED, /* recognised, but ganvas (or this build of it) does not do it */
    GANVAS_E_NUMERIC,     /* NaN or infinity where a finite number must be */
    GANVAS_E_CANCELLED    /* the caller asked to stop */
} ganvas_status;

/* One sentence: what, which file or tensor, found, expected. Valid after a call that did not
 * return GANVAS_OK; empty after one that did. */
typedef struct ganvas_error {
    ganvas_status status;
    char message[508];
} ganvas_error;

/* ---- library ---- */

/* The version of the library that runs, which may differ from GANVAS_VERSION at compile time. */
GANVAS_API const char *ganvas_version(void);

/* Frees text and bytes that a function returned owned. */
GANVAS_API void ganvas_free(void *memory);

/* ---- engine: threads, callbacks, where models are ---- */

typedef struct ganvas_engine ganvas_engine;

/* One line of text without newline. May be called from any thread that calls into the engine. */
typedef void ganvas_text_fn(void *user, const char *text);

typedef struct ganvas_engine_options {
    int threads;            /* cores that one computation uses; 0: all */
    const char *models_dir; /* looked through first for embedded models; NULL: none */
    ganvas_text_fn *log;    /* what happens, for the curious; NULL: dropped */
    ganvas_text_fn *notice; /* what the user should know: a picture resized, a profile ignored */
    void *user;             /* handed to both, kept until ganvas_engine_free */
} ganvas_engine_options;

/* *engine  returned owned (ganvas_engine_free)
 * options  NULL: all cores, no callbacks; texts are copied
 * Errors   GANVAS_E_ARG if threads is negative or above 1024; GANVAS_E_MEMORY. */
GANVAS_API ganvas_status ganvas_engine_new(ganvas_engine **engine,
                                           const ganvas_engine_options *options, ganvas_error *err);
GANVAS_API void ganvas_engine_free(ganvas_engine *engine);

/* ---- progress and cancelling ---- */

typedef struct ganvas_cancel ganvas_cancel;

GANVAS_API ganvas_status ganvas_cancel_new(ganvas_cancel **cancel, ganvas_error *err);
GANVAS_API void ganvas_cancel_free(ganvas_cancel *cancel);
/* Asks the calls that watch it to end soon with GANVAS_E_CANCELLED. From any thread, and from a
 * signal handler. */
GANVAS_API void ganvas_cancel_request(ganvas_cancel *cancel);

typedef struct ganvas_progress {
    const char *what;    /* "pictures": what is counted */
    int64_t done, total; /* 0 <= done <= total */
    double seconds;      /* since the call began */
} ganvas_progress;

/* Called by the thread that made the call, between steps. */
typedef void ganvas_progress_fn(void *user, const ganvas_progress *progress);

/* How a long call is followed; every member may be NULL. */
typedef struct ganvas_watch {
    ganvas_progress_fn *progress;
    void *user;
    const ganvas_cancel *cancel;
} ganvas_watch;

/* ---- models ---- */

typedef struct ganvas_model ganvas_model;

/* What a caller needs in order to size its arrays. */
typedef struct ganvas_model_dims {
    int64_t resolution; /* pictures are resolution x resolution */
    int64_t z_dim;
    int64_t w_dim;   /* 0: a model without w (DCGAN) */
    int64_t num_ws;  /* rows of w+; 0 without w */
    int64_t classes; /* of a conditional model; else 0 */
} ganvas_model_dims;

/* Opens a generator: the course's and the pytorch/examples DCGAN, StyleGAN2(-ADA). Files are read
 * as data; nothing in them is executed.
 * *model  returned owned (ganvas_model_close)
 * name    a path, or the name of an embedded model, found in the engine's models_dir,
 *         $GANVAS_MODELS, PREFIX/share/ganvas/models or ./models
 * Errors  GANVAS_E_IO; GANVAS_E_FORMAT and GANVAS_E_UNSUPPORTED naming file and tensor. */
GANVAS_API ganvas_status ganvas_model_open(ganvas_model **model, ganvas_engine *engine,
                                           const char *name, ganvas_error *err);

/* The same from memory, which must outlive the model. name is for messages. */
GANVAS_API ganvas_status ganvas_model_open_memory(ganvas_model **model, ganvas_engine *engine,
                                                  const void *data, size_t size, const char *name,
                                                  ganvas_error *err);
GANVAS_API void ganvas_model_close(ganvas_model *model);

GANVAS_API ganvas_model_dims ganvas_model_get_dims(const ganvas_model *model);

/* {"type","name","file","resolution","z_dim","w_dim","num_ws","classes","parameters","hash",...}
 * *json  returned owned (ganvas_free) */
GANVAS_API ganvas_status ganvas_model_info(const ganvas_model *model, char **json,
                                           ganvas_error *err);

/* ---- latents ---- */

typedef enum ganvas_space {
    GANVAS_SPACE_Z,     /* [z_dim] */
    GANVAS_SPACE_W,     /* [num_ws, w_dim], all rows alike */
    GANVAS_SPACE_W_PLUS /* [num_ws, w_dim] */
} ganvas_space;

typedef struct ganvas_mapping {
    double psi;          /* truncation: w_avg + psi * (w - w_avg); 1: none */
    int64_t cutoff;      /* rows below it are truncated; -1: all */
    int64_t class_index; /* of a conditional model; -1: none */
} ganvas_mapping;

/* psi 1, all rows, no class. */
GANVAS_API ganvas_mapping ganvas_mapping_default(void);

/* Floats of one latent: z_dim, or num_ws * w_dim; 0 where the model has no such space. */
GANVAS_API int64_t ganvas_latent_size(const ganvas_model *model, ganvas_space space);

/* The latents of seeds. z is numpy.random.RandomState(seed).randn(1, z_dim), as in NVlabs'
 * generate.py; w is z mapped; w+ draws randn(num_ws, z_dim) and maps one z for each row.
 * latents  [count, ganvas_latent_size]
 * mapping  NULL: default; ignored in z
 * Errors   GANVAS_E_ARG if the model has no such space, cutoff or class, or needs a class. */
GANVAS_API ganvas_status ganvas_latents(ganvas_model *model, float *latents, ganvas_space space,
                                        const uint64_t *seeds, int64_t count,
                                        const ganvas_mapping *mapping, ganvas_error *err);

/* w [count, num_ws, w_dim] of z [count, z_dim]. Errors as above. */
GANVAS_API ganvas_status ganvas_map(ganvas_model *model, float *w, const float *z, int64_t count,
                                    const ganvas_mapping *mapping, ganvas_error *err);

/* ---- pictures of latents ---- */

typedef enum ganvas_noise {
    GANVAS_NOISE_CONST, /* the maps of the file */
    GANVAS_NOISE_RANDOM,
    GANVAS_NOISE_NONE
} ganvas_noise;

typedef struct ganvas_render {
    ganvas_noise noise;
    /* GANVAS_NOISE_RANDOM draws the maps of every picture as the official code does right after
     * torch.manual_seed(noise_seed): a picture does not depend on its neighbours. */
    uint64_t noise_seed;
    ganvas_mapping mapping; /* of latents in z */
} ganvas_render;

/* Noise const, default mapping. */
GANVAS_API ganvas_render ganvas_render_default(void);

/* images   [count, 3, resolution, resolution], not clamped
 * latents  [count, ganvas_latent_size(model, space)]
 * render   NULL: default
 * watch    NULL: not followed; progress counts pictures
 * Errors   GANVAS_E_ARG as in ganvas_latents; GANVAS_E_CANCELLED (pictures counted as done are
 *          whole); GANVAS_E_MEMORY. */
GANVAS_API ganvas_status ganvas_generate(ganvas_model *model, float *images, const float *latents,
                                         ganvas_space space, int64_t count,
                                         const ganvas_render *render, const ganvas_watch *watch,
                                         ganvas_error *err);

/* The same as 8-bit RGB, trunc(clamp(x * 127.5 + 128, 0, 255)) as in generate.py; one picture below
 * the other.
 * pixels  count * resolution rows
 * stride  bytes from one row to the next, at least 3 * resolution */
GANVAS_API ganvas_status ganvas_generate_rgb8(ganvas_model *model, uint8_t *pixels, size_t stride,
                                              const float *latents, ganvas_space space,
                                              int64_t count, const ganvas_render *render,
                                              const ganvas_watch *watch, ganvas_error *err);

/* ---- images ---- */

typedef struct ganvas_image {
    int64_t width, height;
    int channels;    /* 3: RGB, 4: RGBA, alpha not multiplied in */
    uint8_t *pixels; /* sRGB, 8 bits, rows without gaps */
} ganvas_image;

/* Reads PNG, JPEG, WebP, TIFF or GIF (its first frame), told from the content. The result is
 * upright (EXIF), in sRGB (embedded profile, CMYK, grey and 16 bit are converted). image   filled;
 * free with ganvas_image_deinit Errors  GANVAS_E_IO; GANVAS_E_FORMAT for truncated and damaged
 * files; GANVAS_E_UNSUPPORTED for other kinds, for more than 2^27 pixels, and in a build without
 * libvips. */
GANVAS_API ganvas_status ganvas_image_load(ganvas_image *image, ganvas_engine *engine,
                                           const char *path, ganvas_error *err);
GANVAS_API ganvas_status ganvas_image_load_memory(ganvas_image *image, ganvas_engine *engine,
                                                  const void *data, size_t size, const char *name,
                                                  ganvas_error *err);
GANVAS_API void ganvas_image_deinit(ganvas_image *image);

/* Writes .png, .jpg, .jpeg or .webp (lossless), renamed into place.
 * record  JSON kept in the file: in PNG as the text chunk `ganvas`; NULL: none
 * force   replace a file that ganvas did not write
 * Errors  GANVAS_E_IO also if such a file is there and force is false. */
GANVAS_API ganvas_status ganvas_image_save(const ganvas_image *image, const char *path,
                                           const char *record, bool force, ganvas_error *err);

/* The same into memory. kind is "png", "jpg" or "webp"; *data is returned owned (ganvas_free). */
GANVAS_API ganvas_status ganvas_image_encode(const ganvas_image *image, const char *kind,
                                             const char *record, void **data, size_t *size,
                                             ganvas_error *err);

/* The record of a PNG file that ganvas wrote; *json returned owned (ganvas_free).
 * Errors GANVAS_E_FORMAT if it is no PNG file or holds none. */
GANVAS_API ganvas_status ganvas_image_read_record(const char *path, char **json, ganvas_error *err);

/* Pictures in rows, each with its caption below, dark text on white.
 * image     filled; free with ganvas_image_deinit
 * cells     count pictures of one size
 * captions  count texts, or NULL
 * title     one line above, or NULL
 * columns   0: about as many as rows
 * scale     each pixel becomes scale x scale; 0: the smallest with cells of 128 pixels or more */
GANVAS_API ganvas_status ganvas_image_grid(ganvas_image *image, const ganvas_image *cells,
                                           const char *const *captions, int64_t count,
                                           const char *title, int columns, int scale,
                                           ganvas_error *err);

/* ---- checkpoints ---- */

typedef enum ganvas_text_kind { GANVAS_TEXT, GANVAS_JSON } ganvas_text_kind;

/* What a checkpoint holds: kind, tree, tensors, parameters, and what ganvas would load it as, or
 * why it would not. *text  returned owned (ganvas_free) */
GANVAS_API ganvas_status ganvas_inspect(const char *path, ganvas_text_kind kind, char **text,
                                        ganvas_error *err);

/* Rewrites a checkpoint as safetensors that loads to the same bits.
 * force  as in ganvas_image_save */
GANVAS_API ganvas_status ganvas_convert(const char *in, const char *out, bool force,
                                        ganvas_error *err);

/* The embedded models that can be found: name, path, size, licence, model card.
 * *text  returned owned (ganvas_free) */
GANVAS_API ganvas_status ganvas_models(ganvas_engine *engine, ganvas_text_kind kind, char **text,
                                       ganvas_error *err);

/* ---- commands: what the program `ganvas` and its web API run ---- */

/* A command with a value for each of its options, from the one table that help, manual page, JSON
 * and replay are made of. */
typedef struct ganvas_settings ganvas_settings;

/* *settings  returned owned (ganvas_settings_free), all options at their defaults
 * Errors     GANVAS_E_ARG for an unknown command, with the nearest one. */
GANVAS_API ganvas_status ganvas_settings_new(ganvas_settings **settings, const char *command,
                                             ganvas_error *err);
GANVAS_API void ganvas_settings_free(ganvas_settings *settings);

/* Words after the command: options in any order (`--psi 0.7`, `--psi=0.7`, `-o OUT`), `--` ends
 * them, the rest are inputs; `--help` sets the flag "help" and ends the reading. Errors
 * GANVAS_E_ARG: an unknown option (with the nearest one), a missing or misfit value, too many or
 * few inputs, a missing option that the command needs. */
GANVAS_API ganvas_status ganvas_settings_parse(ganvas_settings *settings, int count,
                                               const char *const *words, ganvas_error *err);
/* One option by name, without dashes; "true" and "false" for flags. */
GANVAS_API ganvas_status ganvas_settings_set(ganvas_settings *settings, const char *name,
                                             const char *value, ganvas_error *err);
/* The value as text, borrowed until it is set again; NULL if it has none or the command has no such
 * option. */
GANVAS_API const char *ganvas_settings_get(const ganvas_settings *settings, const char *name);
/* The value of a flag; false if the command has no such option. */
GANVAS_API bool ganvas_settings_flag(const ganvas_settings *settings, const char *name);

/* {"command", "options": {name: value}, "inputs": [...]}; returned owned (ganvas_free). */
GANVAS_API ganvas_status ganvas_settings_write_json(const ganvas_settings *settings, char **json,
                                                    ganvas_error *err);
/* The reverse; members that are not named are ignored, so that a record may be read. */
GANVAS_API ganvas_status ganvas_settings_read_json(ganvas_settings **settings, const char *json,
                                                   ganvas_error *err);
/* The command line, quoted for a shell, options at their defaults left out; returned owned. */
GANVAS_API ganvas_status ganvas_settings_write_line(const ganvas_settings *settings, char **line,
                                                    ganvas_error *err);

/* `--help` of a command, or of the program (NULL); returned owned (ganvas_free). */
GANVAS_API ganvas_status ganvas_help(const char *command, char **text, ganvas_error *err);
/* The manual page in man(7) form; returned owned (ganvas_free). */
GANVAS_API ganvas_status ganvas_manual(char **text, ganvas_error *err);

typedef struct ganvas_result {
    char *text; /* for a person, may be empty */
    char *json; /* the record: command, options, model, outputs, seconds */
} ganvas_result;

/* Runs a command to its end.
 * result  filled, also after GANVAS_E_CANCELLED (what was finished is kept and listed) and where
 *         some pictures of a batch failed (its json has "failures"); free with
 *         ganvas_result_deinit
 * Errors  GANVAS_E_ARG where options do not suit the model; all others. */
GANVAS_API ganvas_status ganvas_run(ganvas_result *result, ganvas_engine *engine,
                                    const ganvas_settings *settings, const ganvas_watch *watch,
                                    ganvas_error *err);
GANVAS_API void ganvas_result_deinit(ganvas_result *result);

#ifdef __cplusplus
}
#endif
#endif
