#include "base/file.h"

#include "base/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* "PATH: WHAT: the system's reason", for errno `code`. */
static gv_status fail_system(gv_error *err, const char *path, const char *what, int code)
{
    char text[128];
    return gv_fail(err, GV_E_IO, "%s: %s: %s", path, what, strerror_r(code, text, sizeof text));
}

static gv_status copy_path(char **out, const char *path, gv_error *err)
{
    size_t bytes = strlen(path) + 1;
    *out = gv_mem_alloc(bytes);
    if (!*out)
        return gv_fail_memory(err, bytes);
    memcpy(*out, path, bytes);
    return GV_OK;
}

/* ---- reading ---- */

static gv_status map_descriptor(gv_file *f, int fd, const char *path, gv_error *err)
{
    struct stat info;
    if (fstat(fd, &info) != 0)
        return fail_system(err, path, "cannot be read", errno);
    if (S_ISDIR(info.st_mode))
        return fail_system(err, path, "cannot be read", EISDIR);
    if (!S_ISREG(info.st_mode))
        return gv_fail(err, GV_E_IO, "%s: is not a regular file", path);
    if (info.st_size == 0)
        return GV_OK;

    void *data = mmap(NULL, (size_t)info.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (data == MAP_FAILED)
        return fail_system(err, path, "cannot be mapped", errno);
    f->data = data;
    f->size = (size_t)info.st_size;
    f->mapped = true;
    return GV_OK;
}

gv_status gv_file_open(gv_file *f, const char *path, gv_error *err)
{
    *f = (gv_file){0};
    /* O_NONBLOCK: a named pipe without a writer would hold us here for ever. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return fail_system(err, path, "cannot be opened", errno);
    gv_status status = map_descriptor(f, fd, path, err);
    close(fd);
    if (status == GV_OK)
        status = copy_path(&f->path, path, err);
    if (status != GV_OK)
        gv_file_close(f);
    return status;
}

gv_status gv_file_wrap(gv_file *f, const void *data, size_t size, const char *name, gv_error *err)
{
    *f = (gv_file){0};
    gv_status status = copy_path(&f->path, name, err);
    if (status != GV_OK)
        return status;
    f->data = size > 0 ? data : NULL;
    f->size = size;
    return GV_OK;
}

void gv_file_release(const gv_file *f)
{
    if (f->mapped)
        (void)madvise((void *)(uintptr_t)f->data, f->size, MADV_DONTNEED);
}

void gv_file_close(gv_file *f)
{
    if (f->mapped)
        munmap((void *)(uintptr_t)f->data, f->size);
    gv_mem_free(f->path);
    *f = (gv_file){0};
}

/* ---- writing ---- */

struct gv_writer {
    char *path;
    char *temporary; /* exists on disk while fd >= 0 */
    int fd;
    size_t filled;
    uint8_t buffer[32 << 10];
};

static void writer_free(gv_writer *w)
{
    if (w->fd >= 0) {
        close(w->fd);
        unlink(w->temporary);
    }
    gv_mem_free(w->temporary);
    gv_mem_free(w->path);
    gv_mem_free(w);
}

static gv_status temporary_open(gv_writer *w, gv_error *err)
{
    /* Two writers of one process never share a name. */
    static _Atomic unsigned counter;

    size_t bytes = strlen(w->path) + 40;
    w->temporary = gv_mem_alloc(bytes);
    if (!w->temporary)
        return gv_fail_memory(err, bytes);
    snprintf(w->temporary, bytes, "%s.tmp-%ld-%u", w->path, (long)getpid(),
             atomic_fetch_add(&counter, 1));
    w->fd = open(w->temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (w->fd < 0)
        return fail_system(err, w->path, "cannot be created", errno);
    return GV_OK;
}

gv_status gv_writer_open(gv_writer **w, const char *path, gv_error *err)
{
    *w = NULL;
    /* The rename at the end would replace a device or a pipe, and fail on a folder. */
    struct stat info;
    if (stat(path, &info) == 0 && !S_ISREG(info.st_mode))
        return gv_fail(err, GV_E_IO, "%s: exists and is not a regular file", path);

    gv_writer *made = gv_mem_alloc(sizeof *made);
    if (!made)
        return gv_fail_memory(err, sizeof *made);
    made->fd = -1;
    gv_status status;
    GV_TRY(copy_path(&made->path, path, err));
    GV_TRY(temporary_open(made, err));
    *w = made;
done:
    if (status != GV_OK)
        writer_free(made);
    return status;
}

static gv_status write_all(gv_writer *w, const uint8_t *data, size_t size, gv_error *err)
{
    while (size > 0) {
        ssize_t wrote = write(w->fd, data, size);
        if (wrote < 0 && errno != EINTR)
            return fail_system(err, w->path, "cannot be written", errno);
        if (wrote > 0) {
            data += wrote;
            size -= (size_t)wrote;
        }
    }
    return GV_OK;
}

static gv_status writer_flush(gv_writer *w, gv_error *err)
{
    gv_status status = write_all(w, w->buffer, w->filled, err);
    w->filled = 0;
    return status;
}

gv_status gv_writer_put(gv_writer *w, const void *data, size_t size, gv_error *err)
{
    if (size > sizeof w->buffer - w->filled) {
        gv_status status = writer_flush(w, err);
        if (status != GV_OK)
            return status;
    }
    if (size > sizeof w->buffer)
        return write_all(w, data, size, err);
    if (size > 0)
        memcpy(w->buffer + w->filled, data, size);
    w->filled += size;
    return GV_OK;
}

gv_status gv_writer_commit(gv_writer *w, gv_error *err)
{
    gv_status status;
    GV_TRY(writer_flush(w, err));
    if (fsync(w->fd) != 0) {
        status = fail_system(err, w->path, "cannot be written", errno);
        goto done;
    }
    if (rename(w->temporary, w->path) != 0) {
        status = fail_system(err, w->path, "cannot be replaced", errno);
        goto done;
    }
    /* The temporary name is gone: nothing is left to unlink. */
    int fd = w->fd;
    w->fd = -1;
    if (close(fd) != 0)
        status = fail_system(err, w->path, "cannot be written", errno);
done:
    writer_free(w);
    return status;
}

void gv_writer_abort(gv_writer *w)
{
    if (w)
        writer_free(w);
}

gv_status gv_file_write(const char *path, const void *data, size_t size, gv_error *err)
{
    gv_writer *w = NULL;
    gv_status status = gv_writer_open(&w, path, err);
    if (status != GV_OK)
        return status;
    status = gv_writer_put(w, data, size, err);
    if (status == GV_OK)
        return gv_writer_commit(w, err);
    gv_writer_abort(w);
    return status;
}
