/* The bytes of any view as one C-contiguous little-endian stream: what the writers write. */
#ifndef GV_CHECKPOINT_STREAM_H
#define GV_CHECKPOINT_STREAM_H

#include "checkpoint/view.h"

/* Count times size of an element; the maker of the view has checked that it fits. */
uint64_t gv_view_bytes(const gv_view *v);

/* Takes the next size bytes (> 0). */
typedef gv_status gv_byte_sink(void *ctx, const void *data, size_t size, gv_error *err);

/* Hands the tensor's bytes to sink in pieces. Views that are stored as the stream wants them are
 * not copied; others take a buffer of 64 KiB.
 * Errors GV_E_MEMORY, and what sink returns. */
gv_status gv_view_stream(const gv_view *v, gv_byte_sink *sink, void *ctx, gv_error *err);

#endif
