#include "api/saved.h"

#include "base/file.h"
#include "checkpoint/npy.h"

#include <inttypes.h>
#include <string.h>

static const gv_view *find_view(const gv_view *views, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(views[i].name, name) == 0)
            return &views[i];
    return NULL;
}

static gv_status read_z(gv_saved *saved, const gv_view *v, int64_t z_dim, const char *path,
                        gv_arena *arena, gv_error *err)
{
    char found[128];
    if (v->dims != 2 || v->shape[1] != z_dim || v->shape[0] < 1)
        return gv_fail(err, GV_E_FORMAT, "%s: z is %s, the model needs [n,%" PRId64 "]", path,
                       gv_view_shape_text(found, sizeof found, v), z_dim);
    saved->z_count = v->shape[0];
    saved->z = gv_arena_alloc_array(arena, (size_t)gv_view_count(v), sizeof(float));
    if (saved->z == NULL)
        return gv_fail_memory(err, (size_t)gv_view_count(v) * sizeof(float));
    return gv_view_read_f32(saved->z, v, path, err);
}

static gv_status read_w(gv_saved *saved, const gv_view *v, const gv_generator *gen,
                        const char *path, gv_arena *arena, gv_error *err)
{
    char found[128];
    int64_t rows = gen->rows, row = gen->row_dim;
    bool all = v->dims == 3 && v->shape[1] == rows && v->shape[2] == row;
    bool single = v->dims == 2 && v->shape[1] == row;
    if ((!all && !single) || v->shape[0] < 1)
        return gv_fail(err, GV_E_FORMAT, "%s: w is %s, the model needs [n,%" PRId64 ",%" PRId64 "]",
                       path, gv_view_shape_text(found, sizeof found, v), rows, row);
    size_t count = (size_t)v->shape[0] * (size_t)(rows * row);
    saved->w_count = v->shape[0];
    saved->w = gv_arena_alloc_array(arena, count, sizeof(float));
    if (saved->w == NULL)
        return gv_fail_memory(err, count * sizeof(float));
    /* Read into the end, so that repeating rows from the front never meets what is still to come.
     */
    float *packed = saved->w + count - gv_view_count(v);
    gv_status status = gv_view_read_f32(packed, v, path, err);
    for (int64_t i = 0; status == GV_OK && single && i < saved->w_count; i++)
        for (int64_t k = 0; k < rows; k++)
            memmove(saved->w + (i * rows + k) * row, packed + i * row, (size_t)row * sizeof(float));
    return status;
}

gv_status gv_saved_read(gv_saved *saved, const ganvas_model *model, const char *path,
                        gv_arena *arena, gv_error *err)
{
    const gv_generator *gen = model->gen;
    gv_file file;
    gv_view *views;
    size_t count;
    *saved = (gv_saved){0};
    gv_status status = gv_file_open(&file, path, err);
    if (status != GV_OK)
        return status;
    GV_TRY(gv_npz_read(&views, &count, file.data, file.size, path, arena, err));
    const gv_view *w = find_view(views, count, "w"), *z = find_view(views, count, "z");
    bool has_w = gen->type == GV_NET_STYLEGAN2;
    if (w != NULL && has_w)
        GV_TRY(read_w(saved, w, gen, path, arena, err));
    if (z != NULL)
        GV_TRY(read_z(saved, z, gen->z_dim, path, arena, err));
    if (saved->w == NULL && saved->z == NULL)
        status = gv_fail(err, GV_E_FORMAT, "%s: holds no latents %s", path,
                         has_w ? "w or z" : "z, the only ones of a DCGAN");
done:
    gv_file_close(&file);
    return status;
}
