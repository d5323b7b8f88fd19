/* Pictures and their files behind the public interface. */
#include "api/api.h"
#include "api/output.h"
#include "base/file.h"
#include "base/memory.h"
#include "image/grid.h"
#include "image/png.h"

#include <string.h>

ganvas_status ganvas_image_load_memory(ganvas_image *image, ganvas_engine *engine, const void *data,
                                       size_t size, const char *name, ganvas_error *err)
{
    gv_error_clear(err);
    gv_image_note note;
    gv_status status = gv_image_load(image, data, size, name, &note, err);
    if (status == GV_OK && note.text[0] != '\0')
        gv_engine_notice(engine, "%s: %s", name, note.text);
    return status;
}

ganvas_status ganvas_image_load(ganvas_image *image, ganvas_engine *engine, const char *path,
                                ganvas_error *err)
{
    gv_error_clear(err);
    *image = (ganvas_image){0};
    gv_file f;
    gv_status status = gv_file_open(&f, path, err);
    if (status != GV_OK)
        return status;
    status = ganvas_image_load_memory(image, engine, f.data, f.size, path, err);
    gv_file_close(&f);
    return status;
}

void ganvas_image_deinit(ganvas_image *image)
{
    if (image != NULL)
        gv_image_deinit(image);
}

ganvas_status ganvas_image_save(const ganvas_image *image, const char *path, const char *record,
                                bool force, ganvas_error *err)
{
    gv_error_clear(err);
    gv_status status = gv_output_check(path, force, err);
    return status == GV_OK ? gv_image_save(image, path, record, err) : status;
}

ganvas_status ganvas_image_encode(const ganvas_image *image, const char *kind, const char *record,
                                  void **data, size_t *size, ganvas_error *err)
{
    gv_error_clear(err);
    uint8_t *bytes;
    gv_status status =
        gv_image_encode(&bytes, size, image, gv_image_kind_of_name(kind), record, err);
    *data = bytes;
    return status;
}

ganvas_status ganvas_image_read_record(const char *path, char **json, ganvas_error *err)
{
    gv_error_clear(err);
    *json = NULL;
    gv_file f;
    gv_status status = gv_file_open(&f, path, err);
    if (status != GV_OK)
        return status;
    const char *text;
    size_t length;
    GV_TRY(gv_png_record(&text, &length, f.data, f.size, path, err));
    *json = gv_mem_alloc(length + 1);
    if (*json == NULL)
        status = gv_fail_memory(err, length + 1);
    else
        memcpy(*json, text, length);
done:
    gv_file_close(&f);
    return status;
}

ganvas_status ganvas_image_grid(ganvas_image *image, const ganvas_image *cells,
                                const char *const *captions, int64_t count, const char *title,
                                int columns, int scale, ganvas_error *err)
{
    gv_error_clear(err);
    const gv_grid grid = {.title = title, .captions = captions, .columns = columns, .scale = scale};
    return gv_image_grid(image, cells, count, &grid, err);
}
