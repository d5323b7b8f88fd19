#include "api/output.h"

#include "base/file.h"
#include "base/memory.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

/* How much of the beginning and of the end of a file is looked through. */
enum { WINDOW = 64 * 1024 };

/* A file of a kind is known by its first bytes; one of ours holds the mark near its start or end.
 */
static const struct {
    size_t at, size;
    const char *magic;
    const char *mark;
    size_t mark_size;
} kinds[] = {
    {0, 4, "\x89PNG", "tEXtganvas\0", 11},
    {0, 3, "\xff\xd8\xff", "ganvas ", 7}, /* EXIF Software */
    {8, 4, "WEBP", "ganvas ", 7},
    {0, 4, "GIF8", "ganvas ", 7},
    {4, 4, "ftyp", "ganvas ", 7}, /* MP4: the comment */
    {0, 4, "PK\x03\x04", "ganvas.npy", 10},
    {0, 11, "{\"ganvas\": \"", "\"command\": ", 11},
    {0, 15, "<!doctype html>", "content=\"ganvas ", 16},
    {0, 11, "evaluations", GV_OUTPUT_CURVE_HEADER "\n", sizeof GV_OUTPUT_CURVE_HEADER},
    {0, 5, "name,", GV_OUTPUT_INDEX_HEADER "\n", sizeof GV_OUTPUT_INDEX_HEADER},
    {8, 1, "{", "\"" GV_OUTPUT_WRITER_KEY "\"", sizeof GV_OUTPUT_WRITER_KEY + 1}, /* safetensors */
};

/* *ours of an existing file. */
static gv_status is_ours(const char *path, bool *ours, gv_error *err)
{
    *ours = false;
    gv_file f;
    gv_status status = gv_file_open(&f, path, err);
    if (status != GV_OK)
        return status;
    size_t window = f.size < WINDOW ? f.size : WINDOW;
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0] && !*ours; i++)
        *ours =
            f.size >= kinds[i].at + kinds[i].size &&
            memcmp(f.data + kinds[i].at, kinds[i].magic, kinds[i].size) == 0 &&
            (memmem(f.data, window, kinds[i].mark, kinds[i].mark_size) != NULL ||
             memmem(f.data + f.size - window, window, kinds[i].mark, kinds[i].mark_size) != NULL);
    gv_file_close(&f);
    return GV_OK;
}

/* The picture beside a .npy file; NULL if path is none or memory has run out. */
static char *sibling_picture(const char *path)
{
    size_t length = strlen(path);
    if (length < 5 || strcmp(path + length - 4, ".npy") != 0)
        return NULL;
    char *sibling = gv_mem_alloc(length + 1);
    if (sibling != NULL) {
        memcpy(sibling, path, length - 4);
        memcpy(sibling + length - 4, ".png", 5);
    }
    return sibling;
}

gv_status gv_output_check(const char *path, bool force, gv_error *err)
{
    struct stat info;
    if (stat(path, &info) != 0) {
        if (errno == ENOENT)
            return GV_OK;
        return gv_fail(err, GV_E_IO, "%s: %s", path, strerror(errno));
    }
    if (S_ISDIR(info.st_mode))
        return gv_fail(err, GV_E_IO, "%s: is a folder", path);
    if (force)
        return GV_OK;
    bool ours;
    gv_status status = is_ours(path, &ours, err);
    if (status != GV_OK || ours)
        return status;
    char *sibling = sibling_picture(path);
    if (sibling != NULL && stat(sibling, &info) == 0)
        status = is_ours(sibling, &ours, err);
    gv_mem_free(sibling);
    if (status != GV_OK || ours)
        return status;
    return gv_fail(err, GV_E_IO,
                   "%s: is there already and ganvas did not write it; --force "
                   "overwrites it",
                   path);
}

gv_status gv_output_make_folder(const char *path, gv_error *err)
{
    size_t length = strlen(path);
    char *part = gv_mem_alloc(length + 1);
    if (part == NULL)
        return gv_fail_memory(err, length + 1);
    gv_status status = GV_OK;
    for (size_t i = 1; i <= length && status == GV_OK; i++) {
        if (path[i] != '/' && path[i] != '\0')
            continue;
        memcpy(part, path, i);
        part[i] = '\0';
        struct stat info;
        if (mkdir(part, 0777) != 0 &&
            !(errno == EEXIST && stat(part, &info) == 0 && S_ISDIR(info.st_mode)))
            status = gv_fail(err, GV_E_IO, "%s: %s", part, strerror(errno));
    }
    gv_mem_free(part);
    return status;
}
