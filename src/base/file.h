/* Files: mapped for reading, written under a temporary name and renamed into place. */
#ifndef GV_BASE_FILE_H
#define GV_BASE_FILE_H

#include "base/error.h"

typedef struct gv_file {
    const uint8_t *data; /* size bytes, read-only; NULL when size is 0 */
    size_t size;
    char *path;  /* for messages */
    bool mapped; /* false: the caller's memory, borrowed */
} gv_file;

/* Maps a regular file. Errors GV_E_IO naming path and the system's reason (missing, a folder, not
 * readable). A file that shrinks while mapped is outside the contract: that raises SIGBUS. */
gv_status gv_file_open(gv_file *f, const char *path, gv_error *err);
/* Wraps memory that outlives f; name is for messages. */
gv_status gv_file_wrap(gv_file *f, const void *data, size_t size, const char *name, gv_error *err);
/* Gives the pages back to the system; they are read again when touched. */
void gv_file_release(const gv_file *f);
void gv_file_close(gv_file *f);

/* Writes through `PATH.tmp-<pid>-<n>`, fsync and rename, so that path holds the old or the whole
 * new content. commit ends the writer with success, abort removes the temporary file. */
typedef struct gv_writer gv_writer;
gv_status gv_writer_open(gv_writer **w, const char *path, gv_error *err);
gv_status gv_writer_put(gv_writer *w, const void *data, size_t size, gv_error *err);
gv_status gv_writer_commit(gv_writer *w, gv_error *err); /* frees w in every case */
void gv_writer_abort(gv_writer *w);                      /* w may be NULL */

/* All of a file at once through a writer. */
gv_status gv_file_write(const char *path, const void *data, size_t size, gv_error *err);

#endif
