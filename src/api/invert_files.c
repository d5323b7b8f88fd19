#include "api/invert_files.h"

#include "api/output.h"
#include "api/record.h"
#include "base/file.h"
#include "base/text.h"
#include "checkpoint/json.h"
#include "checkpoint/npy.h"
#include "image/image.h"
#include "job/report.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Side of the starts' pictures in a record. */
enum { THUMBNAIL = 64 };
/* Points of a curve in a record; .csv has them all. */
enum { CURVE_POINTS = 20000 };

/* ---- paths and files ---- */

char *gv_invert_format(const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int length = vsnprintf(NULL, 0, format, args);
    char *text = length >= 0 ? gv_mem_alloc((size_t)length + 1) : NULL;
    if (text != NULL)
        vsnprintf(text, (size_t)length + 1, format, again);
    va_end(again);
    va_end(args);
    return text;
}

char *gv_invert_path(const char *stem, const char *end)
{
    return gv_invert_format("%s%s", stem, end);
}

static gv_status check_one(const gv_invert_item *item, const char *end, gv_error *err)
{
    char *path = gv_invert_path(item->stem, end);
    gv_status status =
        path != NULL ? gv_output_check(path, item->force, err) : gv_fail_memory(err, 0);
    gv_mem_free(path);
    return status;
}

/* "-0250.png" */
static void snapshot_end(char end[32], int64_t evaluations)
{
    snprintf(end, 32, "-%04" PRId64 ".png", evaluations);
}

gv_status gv_invert_check(const gv_invert_item *item, gv_error *err)
{
    static const char *const ends[] = {".png", ".npz", ".json", ".csv"};
    const gv_invert_options *o = &item->setup->invert;
    const char *slash = strrchr(item->stem, '/');
    gv_status status = GV_OK;
    char *folder = gv_invert_format("%.*s", slash != NULL ? (int)(slash - item->stem) : 1,
                                    slash != NULL ? item->stem : ".");
    if (folder == NULL) {
        status = gv_fail_memory(err, 0);
        goto done;
    }
    GV_TRY(gv_output_make_folder(folder[0] != '\0' ? folder : "/", err));
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++)
        GV_TRY(check_one(item, ends[i], err));
    if (item->raw)
        GV_TRY(check_one(item, ".npy", err));
    for (int64_t i = 0; i < o->snapshot_count; i++) {
        char end[32];
        snapshot_end(end, o->snapshots[i]);
        GV_TRY(check_one(item, end, err));
    }
done:
    gv_mem_free(folder);
    return status;
}

/* ---- pictures ---- */

/* The course's bytes are those of np.clip(255 * (x / 2 + 0.5), 0, 255).astype(uint8). */
static void course_bytes(uint8_t *pixels, const float *nchw, int64_t count)
{
    for (int64_t i = 0; i < count; i++)
        for (int64_t c = 0; c < 3; c++) {
            float v = 255.0f * (nchw[c * count + i] / 2.0f + 0.5f);
            pixels[i * 3 + c] = (uint8_t)(v > 0.0f ? (v < 255.0f ? v : 255.0f) : 0.0f);
        }
}

static gv_status to_image(gv_image *image, const gv_invert_item *item, const float *nchw,
                          gv_error *err)
{
    int64_t side = item->target.side;
    gv_status status = gv_image_init(image, side, side, 3, err);
    if (status != GV_OK)
        return status;
    if (item->setup->objective.hw5)
        course_bytes(image->pixels, nchw, side * side);
    else
        gv_rgb8_from_tensor(image->pixels, (size_t)(3 * side), nchw, side, side);
    return GV_OK;
}

/* The record in a picture: what replay needs, and after how many evaluations it stands. */
static gv_status picture_record(const gv_invert_item *item, int64_t evaluations, double loss,
                                char **text, gv_error *err)
{
    json_t *r = json_copy((json_t *)(uintptr_t)item->run); /* jansson only counts references */
    json_t *inputs = json_pack("[s]", item->source);
    bool fine = json_object_set_new(r, "inputs", inputs) == 0 &&
                json_object_set_new(r, "evaluations", json_integer(evaluations)) == 0 &&
                json_object_set_new(r, "loss", json_real(loss)) == 0;
    if (!fine) {
        json_decref(r);
        r = NULL;
    }
    return gv_json_text(text, r, GV_JSON_READABLE, err);
}

static gv_status write_picture(const gv_invert_item *item, const char *end, const float *nchw,
                               int64_t evaluations, double loss, gv_error *err)
{
    gv_image image = {0};
    char *text = NULL, *path = gv_invert_path(item->stem, end);
    gv_status status;
    if (path == NULL) {
        status = gv_fail_memory(err, 0);
        goto done;
    }
    GV_TRY(to_image(&image, item, nchw, err));
    GV_TRY(picture_record(item, evaluations, loss, &text, err));
    status = gv_image_save(&image, path, text, err);
done:
    gv_mem_free(text);
    gv_mem_free(path);
    gv_image_deinit(&image);
    return status;
}

/* A picture as a JSON string, a data URI, at most `most` pixels wide. */
static gv_status picture_uri(json_t **uri, const gv_invert_item *item, const float *nchw,
                             int64_t most, gv_error *err)
{
    gv_image image = {0}, small = {0};
    uint8_t *png = NULL;
    size_t size;
    gv_text t = {0};
    gv_status status;
    *uri = NULL;
    GV_TRY(to_image(&image, item, nchw, err));
    gv_image *shown = &image;
    if (image.width > most) {
        const gv_rect all = {0.0, 0.0, (double)image.width, (double)image.height};
        GV_TRY(gv_image_resize8(&small, most, most, &image, all, GV_FILTER_BICUBIC, err));
        shown = &small;
    }
    GV_TRY(gv_image_encode(&png, &size, shown, GV_IMAGE_PNG, NULL, err));
    gv_text_add_png_uri(&t, png, size);
    *uri = t.failed ? NULL : json_string(t.data);
    if (*uri == NULL)
        status = gv_fail_memory(err, t.length);
done:
    gv_text_deinit(&t);
    gv_mem_free(png);
    gv_image_deinit(&image);
    gv_image_deinit(&small);
    return status;
}

/* ---- arrays ---- */

/* The latents under NumPy's names; `ganvas` tells whose file it is. */
static gv_status write_npz(const gv_invert_item *item, gv_error *err)
{
    static const char writer[] = "ganvas " GANVAS_VERSION;
    const gv_generator *gen = item->model->gen;
    const gv_inversion *r = &item->result;
    const int64_t mark_shape[1] = {(int64_t)sizeof writer - 1};
    const int64_t w_shape[3] = {1, gen->rows, gen->row_dim}, z_shape[2] = {1, gen->z_dim};
    gv_view views[3];
    size_t count = 0;
    gv_status status = GV_OK;
    float *z = NULL;
    char *path = gv_invert_path(item->stem, ".npz");
    views[count++] = gv_view_of("ganvas", GV_U8, 1, mark_shape, writer);
    if (gen->type == GV_NET_STYLEGAN2)
        views[count++] = gv_view_of("w", GV_F32, 3, w_shape, r->rows);
    if (item->setup->objective.space == GV_SPACE_Z) {
        z = gv_mem_alloc_array((size_t)gen->z_dim, sizeof *z);
        for (int64_t i = 0; z != NULL && i < gen->z_dim; i++)
            z[i] = (float)r->x[i];
        views[count++] = gv_view_of("z", GV_F32, 2, z_shape, z);
    }
    if (path == NULL || (item->setup->objective.space == GV_SPACE_Z && z == NULL))
        status = gv_fail_memory(err, 0);
    else
        status = gv_npz_write(path, views, count, err);
    gv_mem_free(z);
    gv_mem_free(path);
    return status;
}

static gv_status write_raw(const gv_invert_item *item, gv_error *err)
{
    int64_t side = item->target.side;
    const int64_t shape[4] = {1, 3, side, side};
    char *path = gv_invert_path(item->stem, ".npy");
    if (path == NULL)
        return gv_fail_memory(err, 0);
    gv_view v = gv_view_of(path, GV_F32, 4, shape, item->result.image);
    gv_status status = gv_npy_write(path, &v, err);
    gv_mem_free(path);
    return status;
}

static gv_status write_csv(const gv_invert_item *item, gv_error *err)
{
    gv_text t = {0};
    char *path = gv_invert_path(item->stem, ".csv"), *text = NULL;
    gv_text_add(&t, GV_OUTPUT_CURVE_HEADER "\n");
    for (int64_t i = 0; i < item->result.curve_count; i++) {
        const gv_curve_point *p = &item->result.curve[i];
        gv_text_add(&t, "%" PRId64 ",%" PRId64 ",%.3f,%.9g\n", p->evaluations, p->start, p->seconds,
                    p->loss);
    }
    size_t length = t.length;
    gv_status status;
    if (path == NULL) {
        status = gv_fail_memory(err, 0);
        goto done;
    }
    GV_TRY(gv_text_take(&t, &text, err));
    status = gv_file_write(path, text, length, err);
done:
    gv_text_deinit(&t);
    gv_mem_free(text);
    gv_mem_free(path);
    return status;
}

/* ---- the record ---- */

/* JSON has no infinity. */
static json_t *number(double v)
{
    return isfinite(v) ? json_real(v) : json_null();
}

static const char *name_of(gv_space space)
{
    return space == GV_SPACE_Z ? "z" : space == GV_SPACE_W ? "w" : "w+";
}

static json_t *source_to_json(const gv_invert_item *item)
{
    const gv_target *t = &item->target;
    const double *c = t->corner;
    json_t *corners = json_pack("[[f,f],[f,f],[f,f]]", c[0], c[1], c[2], c[3], c[4], c[5]);
    return json_pack("{s:s, s:I, s:I, s:o, s:b, s:s*}", "file", item->source, "width",
                     (json_int_t)t->width, "height", (json_int_t)t->height, "corners", corners,
                     "masked", t->mask != NULL, "note", t->note[0] != '\0' ? t->note : NULL);
}

static json_t *result_to_json(const gv_invert_item *item)
{
    const gv_inversion *r = &item->result;
    const gv_quality *q = &item->quality;
    json_t *terms =
        json_pack("{s:o, s:o, s:o, s:o, s:o, s:o}", "total", number(r->terms.total), "l1",
                  number(r->terms.l1), "mse", number(r->terms.mse), "perc", number(r->terms.perc),
                  "lpips", number(r->terms.lpips), "reg", number(r->terms.reg));
    return json_pack(
        "{s:s, s:I, s:f, s:s, s:b, s:o, s:o, s:o, s:o, s:o, s:b}", "latent",
        name_of(item->setup->objective.space), "evaluations", (json_int_t)r->evaluations, "seconds",
        r->seconds, "stop", gv_stop_text(r->stop), "interrupted", item->interrupted, "first_loss",
        number(r->first_loss), "losses", terms, "lpips", number(q->lpips), "mean_lpips",
        number(q->mean_lpips), "psnr", number(q->psnr), "reached", q->reached);
}

static json_t *curve_to_json(const gv_inversion *r)
{
    json_t *evaluations = json_array(), *starts = json_array(), *seconds = json_array(),
           *losses = json_array();
    int64_t step = (r->curve_count + CURVE_POINTS - 1) / CURVE_POINTS;
    bool fine = true;
    for (int64_t i = 0; i < r->curve_count && fine; i++) {
        const gv_curve_point *p = &r->curve[i];
        if (i % step != 0 && i != r->curve_count - 1)
            continue;
        fine = json_array_append_new(evaluations, json_integer(p->evaluations)) == 0 &&
               json_array_append_new(starts, json_integer(p->start)) == 0 &&
               json_array_append_new(seconds, json_real(round(p->seconds * 1e4) / 1e4)) == 0 &&
               json_array_append_new(losses, number(p->loss)) == 0;
    }
    json_t *curve = json_pack("{s:o, s:o, s:o, s:o}", "evaluations", evaluations, "start", starts,
                              "seconds", seconds, "loss", losses);
    if (!fine) {
        json_decref(curve);
        return NULL;
    }
    return curve;
}

static gv_status starts_to_json(json_t *record, const gv_invert_item *item, gv_error *err)
{
    const gv_inversion *r = &item->result;
    json_t *list = json_array();
    bool fine = json_object_set_new(record, "starts", list) == 0 &&
                json_object_set_new(record, "best_start", json_integer(r->best_start)) == 0;
    for (int64_t i = 0; i < r->start_count && fine; i++) {
        const gv_invert_start *s = &r->starts[i];
        json_t *uri;
        gv_status status = picture_uri(&uri, item, s->thumbnail, THUMBNAIL, err);
        if (status != GV_OK)
            return status;
        json_t *seed = s->seed >= 0 ? json_integer(s->seed) : json_null();
        fine = json_array_append_new(list, json_pack("{s:o, s:o, s:o}", "seed", seed, "loss",
                                                     number(s->loss), "thumbnail", uri)) == 0;
    }
    return fine ? GV_OK : gv_fail_memory(err, 0);
}

static gv_status make_record(json_t **out, const gv_invert_item *item, gv_error *err)
{
    const gv_inversion *r = &item->result;
    json_t *record = json_copy((json_t *)(uintptr_t)item->run), *uri;
    json_t *shots = json_array();
    gv_status status;
    *out = NULL;
    bool fine = json_object_set_new(record, "inputs", json_pack("[s]", item->source)) == 0 &&
                json_object_set_new(record, "source", source_to_json(item)) == 0 &&
                json_object_set_new(record, "result", result_to_json(item)) == 0;
    for (int64_t i = 0; i < r->snapshot_count && fine; i++)
        fine = json_array_append_new(shots, json_pack("{s:I, s:o}", "evaluations",
                                                      (json_int_t)r->snapshots[i].evaluations,
                                                      "loss", number(r->snapshots[i].loss))) == 0;
    fine = json_object_set_new(record, "snapshots", shots) == 0 && fine;
    fine = fine && json_object_set_new(record, "curve", curve_to_json(r)) == 0;
    if (!fine) {
        status = gv_fail_memory(err, 0);
        goto done;
    }
    GV_TRY(picture_uri(&uri, item, item->target.rgb, item->target.side, err));
    if (json_object_set_new(record, "target", uri) != 0) {
        status = gv_fail_memory(err, 0);
        goto done;
    }
    GV_TRY(starts_to_json(record, item, err));
    *out = record;
    record = NULL;
done:
    json_decref(record);
    return status;
}

/* ---- all of one picture ---- */

static gv_status write_snapshots(gv_invert_item *item, gv_error *err)
{
    gv_inversion *r = &item->result;
    size_t floats = (size_t)(3 * item->target.side * item->target.side);
    gv_status status = GV_OK;
    if (r->snapshot_count == 0)
        return GV_OK;
    float *image = gv_mem_alloc_array(floats, sizeof *image);
    if (image == NULL)
        return gv_fail_memory(err, floats * sizeof *image);
    for (int64_t i = 0; i < r->snapshot_count; i++) {
        const gv_invert_snapshot *shot = &r->snapshots[i];
        char end[32];
        snapshot_end(end, shot->evaluations);
        GV_TRY(gv_inverter_render(item->setup->inverter, image, shot->x, err));
        GV_TRY(write_picture(item, end, image, shot->evaluations, shot->loss, err));
    }
done:
    gv_mem_free(image);
    return status;
}

gv_status gv_invert_write(gv_invert_item *item, json_t **record, gv_error *err)
{
    gv_status status;
    char *text = NULL, *path = gv_invert_path(item->stem, ".json");
    *record = NULL;
    if (path == NULL)
        return gv_fail_memory(err, 0);
    /* An old one must not vouch for a half-written new result. */
    unlink(path);
    GV_TRY(write_picture(item, ".png", item->result.image, item->result.evaluations,
                         item->result.terms.total, err));
    GV_TRY(write_snapshots(item, err));
    GV_TRY(write_npz(item, err));
    GV_TRY(write_csv(item, err));
    if (item->raw)
        GV_TRY(write_raw(item, err));
    GV_TRY(make_record(record, item, err));
    GV_TRY(gv_json_text(&text, json_incref(*record), GV_JSON_READABLE, err));
    status = gv_file_write(path, text, strlen(text), err);
done:
    gv_mem_free(text);
    gv_mem_free(path);
    if (status != GV_OK) {
        json_decref(*record);
        *record = NULL;
    }
    return status;
}

/* ---- reading ---- */

json_t *gv_invert_read(const char *stem)
{
    json_t *record = NULL;
    gv_file f;
    char *path = gv_invert_path(stem, ".json");
    if (path != NULL && gv_file_open(&f, path, NULL) == GV_OK) {
        if (gv_json_parse(&record, (const char *)f.data, f.size, path, NULL) != GV_OK)
            record = NULL;
        gv_file_close(&f);
    }
    gv_mem_free(path);
    return record;
}

/* Options but for the folder, which may be written in several ways. */
static bool same_options(const json_t *a, const json_t *b)
{
    json_t *x = json_copy((json_t *)(uintptr_t)a), *y = json_copy((json_t *)(uintptr_t)b);
    json_object_del(x, "out");
    json_object_del(y, "out");
    bool same = x != NULL && y != NULL && json_equal(x, y) == 1;
    json_decref(x);
    json_decref(y);
    return same;
}

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash != NULL ? slash + 1 : path;
}

static bool is_there(const gv_invert_item *item, const char *end)
{
    char *path = gv_invert_path(item->stem, end);
    bool there = path != NULL && access(path, R_OK) == 0;
    gv_mem_free(path);
    return there;
}

bool gv_invert_is_finished(const gv_invert_item *item, const json_t *record)
{
    const char *source =
        json_string_value(json_object_get(json_object_get(record, "source"), "file"));
    const json_t *result = json_object_get(record, "result");
    const char *hash = json_string_value(json_object_get(json_object_get(record, "model"), "hash"));
    const char *ours =
        json_string_value(json_object_get(json_object_get(item->run, "model"), "hash"));
    const char *command = json_string_value(json_object_get(record, "command"));
    if (source == NULL || hash == NULL || ours == NULL || command == NULL ||
        json_is_true(json_object_get(result, "interrupted")) || !is_there(item, ".png") ||
        !is_there(item, ".npz"))
        return false;
    if (strcmp(base_name(source), base_name(item->source)) != 0 || strcmp(hash, ours) != 0 ||
        strcmp(command, json_string_value(json_object_get(item->run, "command"))) != 0)
        return false;
    return same_options(json_object_get(record, "options"), json_object_get(item->run, "options"));
}

const char *gv_invert_sentence(char *text, size_t size, const json_t *record)
{
    const json_t *r = json_object_get(record, "result");
    if (r == NULL || json_is_true(json_object_get(r, "reached")))
        return NULL;
    snprintf(text, size,
             "The model does not reach this picture: LPIPS %.3f after %lld evaluations, where its "
             "mean picture has %.3f.",
             json_number_value(json_object_get(r, "lpips")),
             (long long)json_integer_value(json_object_get(r, "evaluations")),
             json_number_value(json_object_get(r, "mean_lpips")));
    return text;
}
