#include "checkpoint/stream.h"

#include "base/memory.h"

#include <stdbool.h>
#include <string.h>

enum { PIECE = 64 << 10 };

uint64_t gv_view_bytes(const gv_view *v)
{
    return (uint64_t)gv_view_count(v) * gv_dtype_size(v->type);
}

static bool is_stream(const gv_view *v)
{
    int64_t product = 1;
    for (int i = v->dims - 1; i >= 0; i--) {
        if (v->shape[i] > 1 && v->stride[i] != product)
            return false;
        product *= v->shape[i];
    }
    return !v->big_endian || gv_dtype_size(v->type) == 1;
}

/* Cuts along the first dimension until a part fits in the buffer. */
static gv_status stream_part(const gv_view *v, void *buffer, gv_byte_sink *sink, void *ctx,
                             gv_error *err)
{
    uint64_t bytes = gv_view_bytes(v);
    if (bytes <= PIECE) {
        gv_view_read_raw(buffer, v);
        return sink(ctx, buffer, (size_t)bytes, err);
    }

    uint64_t row = bytes / (uint64_t)v->shape[0];
    int64_t step = row < PIECE ? (int64_t)(PIECE / row) : 1;
    int64_t stride = v->stride[0] * (int64_t)gv_dtype_size(v->type);
    gv_view part = *v;
    if (row > PIECE) {
        part.dims--;
        memmove(part.shape, part.shape + 1, (size_t)part.dims * sizeof part.shape[0]);
        memmove(part.stride, part.stride + 1, (size_t)part.dims * sizeof part.stride[0]);
    }
    for (int64_t i = 0; i < v->shape[0]; i += step) {
        part.data = v->data + i * stride;
        if (row <= PIECE)
            part.shape[0] = step < v->shape[0] - i ? step : v->shape[0] - i;
        gv_status status = stream_part(&part, buffer, sink, ctx, err);
        if (status != GV_OK)
            return status;
    }
    return GV_OK;
}

gv_status gv_view_stream(const gv_view *v, gv_byte_sink *sink, void *ctx, gv_error *err)
{
    uint64_t bytes = gv_view_bytes(v);
    if (bytes == 0)
        return GV_OK;
    if (is_stream(v))
        return sink(ctx, v->data, (size_t)bytes, err);

    void *buffer = gv_mem_alloc(PIECE);
    if (!buffer)
        return gv_fail_memory(err, PIECE);
    gv_status status = stream_part(v, buffer, sink, ctx, err);
    gv_mem_free(buffer);
    return status;
}
