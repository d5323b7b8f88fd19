#include "job/batch.h"

#include "base/file.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

/* Folders within folders. */
#define MAX_DEPTH 32

typedef struct builder {
    gv_batch *batch;
    int64_t room;
    char **absolute; /* of each item, without links, dots and double slashes */
    struct stat out; /* the output folder, st_ino 0 if it is not there */
} builder;

static gv_status no_memory(gv_error *err)
{
    return gv_fail_memory(err, sizeof(gv_batch_item));
}

/* ---- collecting ---- */

/* The folder's real path and the file's own name: links among the pictures keep their names. In
 * the arena, NULL without memory. A folder that is not there keeps the path as it is. */
static char *absolute_of(gv_arena *arena, const char *path)
{
    char folder[PATH_MAX], real[PATH_MAX];
    const char *slash = strrchr(path, '/');
    size_t length = slash == NULL ? 0 : slash == path ? 1 : (size_t)(slash - path);
    if (length >= sizeof folder)
        return gv_arena_copy_text(arena, path);
    memcpy(folder, length == 0 ? "." : path, length == 0 ? 1 : length);
    folder[length == 0 ? 1 : length] = '\0';
    if (realpath(folder, real) == NULL)
        return gv_arena_copy_text(arena, path);
    return gv_arena_format(arena, "%s/%s", strcmp(real, "/") == 0 ? "" : real,
                           slash == NULL ? path : slash + 1);
}

static gv_status add(builder *b, const char *path, gv_error *err)
{
    gv_batch *batch = b->batch;
    if (batch->count == b->room) {
        int64_t room = b->room == 0 ? 64 : b->room * 2;
        gv_batch_item *items = gv_arena_alloc_array(&batch->arena, (size_t)room, sizeof *items);
        char **absolute = gv_arena_alloc_array(&batch->arena, (size_t)room, sizeof *absolute);
        if (items == NULL || absolute == NULL)
            return no_memory(err);
        if (batch->count > 0) {
            memcpy(items, batch->items, (size_t)batch->count * sizeof *items);
            memcpy(absolute, b->absolute, (size_t)batch->count * sizeof *absolute);
        }
        batch->items = items;
        b->absolute = absolute;
        b->room = room;
    }
    char *copy = gv_arena_copy_text(&batch->arena, path);
    char *absolute = absolute_of(&batch->arena, path);
    if (copy == NULL || absolute == NULL)
        return no_memory(err);
    b->absolute[batch->count] = absolute;
    batch->items[batch->count++].path = copy;
    return GV_OK;
}

static bool looks_like_picture(const char *name)
{
    static const char *const ends[] = {".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".gif"};
    const char *dot = strrchr(name, '.');
    for (size_t i = 0; dot != NULL && i < sizeof ends / sizeof ends[0]; i++)
        if (strcasecmp(dot, ends[i]) == 0)
            return true;
    return false;
}

static bool is_list(const char *path)
{
    const char *dot = strrchr(path, '.');
    return dot != NULL && (strcasecmp(dot, ".txt") == 0 || strcasecmp(dot, ".lst") == 0);
}

static int by_bytes(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The visible entries of a folder, sorted, as paths in the arena. */
static gv_status list_folder(gv_arena *arena, const char *path, char ***paths, size_t *count,
                             gv_error *err)
{
    size_t room = 0;
    *paths = NULL;
    *count = 0;
    DIR *folder = opendir(path);
    if (folder == NULL)
        return gv_fail(err, GV_E_IO, "%s: %s", path, strerror(errno));
    gv_status status = GV_OK;
    const char *joint = path[strlen(path) - 1] == '/' ? "" : "/";
    const struct dirent *entry;
    while (status == GV_OK && (entry = readdir(folder)) != NULL) {
        if (entry->d_name[0] == '.')
            continue;
        if (*count == room) {
            room = room == 0 ? 64 : room * 2;
            char **larger = gv_arena_alloc_array(arena, room, sizeof *larger);
            if (larger != NULL && *count > 0)
                memcpy(larger, *paths, *count * sizeof *larger);
            *paths = larger;
        }
        char *copy =
            *paths != NULL ? gv_arena_format(arena, "%s%s%s", path, joint, entry->d_name) : NULL;
        if (copy == NULL)
            status = no_memory(err);
        else
            (*paths)[(*count)++] = copy;
    }
    closedir(folder);
    if (status == GV_OK && *count > 1)
        qsort(*paths, *count, sizeof **paths, by_bytes);
    return status;
}

static gv_status add_folder(builder *b, const char *path, int depth, gv_error *err)
{
    char **paths;
    size_t count;
    if (depth > MAX_DEPTH)
        return gv_fail(err, GV_E_IO, "%s: folders lie more than %d deep", path, MAX_DEPTH);
    gv_status status = list_folder(&b->batch->arena, path, &paths, &count, err);
    for (size_t i = 0; status == GV_OK && i < count; i++) {
        struct stat info;
        if (lstat(paths[i], &info) != 0)
            continue;
        /* Links to folders could lead in circles. */
        if (S_ISDIR(info.st_mode)) {
            if (info.st_ino != b->out.st_ino || info.st_dev != b->out.st_dev)
                status = add_folder(b, paths[i], depth + 1, err);
        } else if (looks_like_picture(paths[i])) {
            status = add(b, paths[i], err);
        }
    }
    return status;
}

static gv_status add_list(builder *b, const char *path, gv_error *err)
{
    gv_file f;
    gv_arena *arena = &b->batch->arena;
    gv_status status = gv_file_open(&f, path, err);
    if (status != GV_OK)
        return status;
    const char *slash = strrchr(path, '/');
    int folder = slash == NULL ? 0 : (int)(slash + 1 - path);
    for (size_t at = 0; at < f.size && status == GV_OK;) {
        const char *line = (const char *)f.data + at;
        const char *end = memchr(line, '\n', f.size - at);
        size_t length = end != NULL ? (size_t)(end - line) : f.size - at;
        at += length + 1;
        if (length > 0 && line[length - 1] == '\r')
            length--;
        if (length == 0 || line[0] == '#')
            continue;
        if (length >= PATH_MAX || memchr(line, '\0', length) != NULL) {
            status = gv_fail(err, GV_E_FORMAT, "%s: is not a list of paths, one a line", path);
            break;
        }
        char *named = gv_arena_format(arena, "%.*s%.*s", line[0] == '/' ? 0 : folder, path,
                                      (int)length, line);
        status = named != NULL ? add(b, named, err) : no_memory(err);
    }
    gv_file_close(&f);
    return status;
}

/* ---- naming ---- */

typedef struct named {
    char *name;
    int64_t item;
} named;

static int by_name(const void *a, const void *b)
{
    const named *x = a, *y = b;
    int order = strcmp(x->name, y->name);
    return order != 0 ? order : x->item < y->item ? -1 : x->item > y->item;
}

/* Drops items whose absolute path came before. */
static gv_status drop_doubles(builder *b, gv_error *err)
{
    gv_batch *batch = b->batch;
    size_t count = (size_t)batch->count;
    named *sorted = gv_arena_alloc_array(&batch->arena, count, sizeof *sorted);
    bool *doubled = gv_arena_alloc_array(&batch->arena, count, sizeof *doubled);
    if (sorted == NULL || doubled == NULL)
        return no_memory(err);
    for (size_t i = 0; i < count; i++)
        sorted[i] = (named){b->absolute[i], (int64_t)i};
    qsort(sorted, count, sizeof *sorted, by_name);
    for (size_t i = 1; i < count; i++)
        doubled[sorted[i].item] = strcmp(sorted[i].name, sorted[i - 1].name) == 0;
    int64_t kept = 0;
    for (size_t i = 0; i < count; i++)
        if (!doubled[i]) {
            batch->items[kept] = batch->items[i];
            b->absolute[kept++] = b->absolute[i];
        }
    batch->count = kept;
    return GV_OK;
}

/* Bytes of the path up to and with the slash that all items share. */
static size_t common_parent(const builder *b)
{
    const char *first = b->absolute[0], *slash = strrchr(first, '/');
    size_t length = slash == NULL ? 0 : (size_t)(slash + 1 - first);
    for (int64_t i = 1; i < b->batch->count; i++) {
        size_t same = 0;
        while (same < length && b->absolute[i][same] == first[same])
            same++;
        length = same;
        while (length > 0 && first[length - 1] != '/')
            length--;
    }
    return length;
}

/* The name without the extension. */
static char *stem_of(gv_arena *arena, const char *name)
{
    const char *slash = strrchr(name, '/'), *dot = strrchr(name, '.');
    bool has = dot != NULL && dot > (slash != NULL ? slash + 1 : name);
    return gv_arena_format(arena, "%.*s", has ? (int)(dot - name) : (int)strlen(name), name);
}

/* Is name = base-NNNN of a snapshot? *base gets the bytes before the dash. */
static bool is_snapshot_name(const char *name, const int64_t *snapshots, int64_t count,
                             size_t *base)
{
    for (int64_t i = 0; i < count; i++) {
        char end[32];
        int length = snprintf(end, sizeof end, "-%04" PRId64, snapshots[i]);
        size_t total = strlen(name);
        if (total > (size_t)length && strcmp(name + total - (size_t)length, end) == 0) {
            *base = total - (size_t)length;
            return true;
        }
    }
    return false;
}

static bool holds(const named *sorted, size_t count, const char *name, size_t length)
{
    for (size_t low = 0, high = count; low < high;) {
        size_t middle = (low + high) / 2;
        int order = strncmp(sorted[middle].name, name, length);
        if (order == 0 && sorted[middle].name[length] == '\0')
            return true;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return false;
}

/* Marks the names that must get longer; false if there are none. */
static bool find_clashes(named *sorted, size_t count, const int64_t *snapshots, int64_t shots,
                         bool *clash)
{
    bool any = false;
    qsort(sorted, count, sizeof *sorted, by_name);
    for (size_t i = 0; i < count; i++) {
        const char *name = sorted[i].name;
        size_t base;
        bool same = (i > 0 && strcmp(name, sorted[i - 1].name) == 0) ||
                    (i + 1 < count && strcmp(name, sorted[i + 1].name) == 0);
        clash[sorted[i].item] =
            same || strcmp(name, "index") == 0 || strcmp(name, "latents") == 0 ||
            strcmp(name, "report") == 0 ||
            (is_snapshot_name(name, snapshots, shots, &base) && holds(sorted, count, name, base));
        any |= clash[sorted[i].item];
    }
    return any;
}

/* Names are stems; those that clash keep their extension, which may clash again, with "cat.jpg.png"
 * for one. Whole paths are unique, so that two rounds are enough but for the reserved names. */
static gv_status name_items(builder *b, const int64_t *snapshots, int64_t shots, gv_error *err)
{
    gv_batch *batch = b->batch;
    gv_arena *arena = &batch->arena;
    size_t count = (size_t)batch->count, parent = common_parent(b);
    named *sorted = gv_arena_alloc_array(arena, count, sizeof *sorted);
    bool *clash = gv_arena_alloc_array(arena, count, sizeof *clash);
    bool *whole = gv_arena_alloc_array(arena, count, sizeof *whole);
    if (sorted == NULL || clash == NULL || whole == NULL)
        return no_memory(err);
    for (int round = 0; round < 4; round++) {
        for (size_t i = 0; i < count; i++) {
            char *full = b->absolute[i] + parent;
            whole[i] |= clash[i];
            char *name = whole[i] ? full : stem_of(arena, full);
            if (name == NULL)
                return no_memory(err);
            sorted[i] = (named){name, (int64_t)i};
            batch->items[i].name = name;
        }
        if (!find_clashes(sorted, count, snapshots, shots, clash))
            break;
    }
    return GV_OK;
}

/* ---- */

gv_status gv_batch_init(gv_batch *batch, char *const *inputs, int count, const char *out_dir,
                        const int64_t *snapshots, int64_t snapshot_count, gv_error *err)
{
    *batch = (gv_batch){0};
    gv_arena_init(&batch->arena, 0);
    builder b = {.batch = batch};
    gv_status status = GV_OK;
    if (stat(out_dir, &b.out) != 0)
        b.out = (struct stat){0};
    for (int i = 0; i < count; i++) {
        struct stat info;
        bool folder = stat(inputs[i], &info) == 0 && S_ISDIR(info.st_mode);
        batch->many |= folder || is_list(inputs[i]);
        if (folder)
            GV_TRY(add_folder(&b, inputs[i], 0, err));
        else if (is_list(inputs[i]))
            GV_TRY(add_list(&b, inputs[i], err));
        else
            GV_TRY(add(&b, inputs[i], err));
    }
    if (batch->count == 0) {
        status = gv_fail(err, GV_E_ARG, "%s: holds no pictures", inputs[0]);
        goto done;
    }
    GV_TRY(drop_doubles(&b, err));
    GV_TRY(name_items(&b, snapshots, snapshot_count, err));
    batch->many |= batch->count > 1;
done:
    return status;
}

void gv_batch_deinit(gv_batch *batch)
{
    gv_arena_deinit(&batch->arena);
    *batch = (gv_batch){0};
}
