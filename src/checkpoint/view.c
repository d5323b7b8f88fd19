#include "checkpoint/view.h"

#include "base/cursor.h"
#include "base/memory.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const struct {
    const char *name;
    size_t size;
} types[] = {
    [GV_F32] = {"F32", 4}, [GV_F16] = {"F16", 2},   [GV_BF16] = {"BF16", 2}, [GV_F64] = {"F64", 8},
    [GV_I64] = {"I64", 8}, [GV_I32] = {"I32", 4},   [GV_I16] = {"I16", 2},   [GV_I8] = {"I8", 1},
    [GV_U8] = {"U8", 1},   [GV_BOOL] = {"BOOL", 1},
};

size_t gv_dtype_size(gv_dtype type)
{
    return types[type].size;
}

const char *gv_dtype_name(gv_dtype type)
{
    return types[type].name;
}

bool gv_view_set_contiguous(gv_view *v, size_t *bytes)
{
    *bytes = 0;
    int64_t count = 1;
    for (int d = v->dims - 1; d >= 0; d--) {
        v->stride[d] = count;
        /* A dimension of 0 must not hide an overflow of the strides before it. */
        if (v->shape[d] < 0 || !gv_mul_i64(&count, count, v->shape[d] > 0 ? v->shape[d] : 1))
            return false;
    }
    int64_t total;
    if (!gv_mul_i64(&total, count, (int64_t)gv_dtype_size(v->type)))
        return false;
    *bytes = (size_t)(gv_view_count(v) * (int64_t)gv_dtype_size(v->type));
    return true;
}

int64_t gv_view_count(const gv_view *v)
{
    int64_t count = 1;
    for (int d = 0; d < v->dims; d++) {
        if (v->shape[d] == 0)
            return 0;
    }
    for (int d = 0; d < v->dims; d++)
        count *= v->shape[d];
    return count;
}

char *gv_view_shape_text(char *text, size_t size, const gv_view *v)
{
    size_t used = (size_t)snprintf(text, size, "[");
    for (int d = 0; d < v->dims && used < size; d++) {
        const char *comma = d > 0 ? "," : "";
        used += (size_t)(v->shape[d] < 0 ? snprintf(text + used, size - used, "%s*", comma)
                                         : snprintf(text + used, size - used, "%s%lld", comma,
                                                    (long long)v->shape[d]));
    }
    if (used < size)
        snprintf(text + used, size - used, "]");
    return text;
}

/* ---- reading rows ---- */

/* A view with neighbouring dimensions joined where their strides allow: a contiguous tensor of any
 * shape becomes one row. Always at least one dimension. */
static gv_view join_dimensions(const gv_view *v)
{
    gv_view j = *v;
    j.dims = 0;
    for (int d = 0; d < v->dims; d++) {
        if (v->shape[d] == 1)
            continue;
        if (j.dims > 0 && j.stride[j.dims - 1] == v->shape[d] * v->stride[d]) {
            j.shape[j.dims - 1] *= v->shape[d];
            j.stride[j.dims - 1] = v->stride[d];
        } else {
            j.shape[j.dims] = v->shape[d];
            j.stride[j.dims] = v->stride[d];
            j.dims++;
        }
    }
    if (j.dims == 0) {
        j.dims = 1;
        j.shape[0] = 1;
        j.stride[0] = 1;
    }
    return j;
}

/* Steps index and the row's first element over all dimensions but the last; false after the last
 * row. */
static bool next_row(const gv_view *v, int64_t index[GV_MAX_DIMS], const uint8_t **row)
{
    int64_t item = (int64_t)gv_dtype_size(v->type);
    for (int d = v->dims - 2; d >= 0; d--) {
        if (++index[d] < v->shape[d]) {
            *row += v->stride[d] * item;
            return true;
        }
        *row -= (v->shape[d] - 1) * v->stride[d] * item;
        index[d] = 0;
    }
    return false;
}

static uint16_t load16(const uint8_t *p, bool swap)
{
    uint16_t v = gv_load_u16(p);
    return swap ? __builtin_bswap16(v) : v;
}

static uint32_t load32(const uint8_t *p, bool swap)
{
    uint32_t v = gv_load_u32(p);
    return swap ? __builtin_bswap32(v) : v;
}

static uint64_t load64(const uint8_t *p, bool swap)
{
    uint64_t v = gv_load_u64(p);
    return swap ? __builtin_bswap64(v) : v;
}

static float float_of_bits(uint32_t bits)
{
    float f;
    memcpy(&f, &bits, sizeof f);
    return f;
}

static float float_of_half(uint16_t half)
{
    uint32_t sign = (uint32_t)(half & 0x8000u) << 16;
    uint32_t exponent = half >> 10 & 0x1fu;
    uint32_t mantissa = half & 0x3ffu;
    if (exponent == 0) {
        float f = (float)mantissa * 0x1p-24f;
        return sign ? -f : f;
    }
    exponent = exponent == 31 ? 255 : exponent + 112;
    return float_of_bits(sign | exponent << 23 | mantissa << 13);
}

static float float_of_double_bits(uint64_t bits)
{
    double d;
    memcpy(&d, &bits, sizeof d);
    return (float)d;
}

/* n elements, step bytes apart, to float32. */
static void read_row(float *dst, const uint8_t *src, int64_t n, int64_t step, gv_dtype type,
                     bool swap)
{
    switch (type) {
    case GV_F32:
        for (int64_t i = 0; i < n; i++)
            dst[i] = float_of_bits(load32(src + i * step, swap));
        break;
    case GV_F16:
        for (int64_t i = 0; i < n; i++)
            dst[i] = float_of_half(load16(src + i * step, swap));
        break;
    case GV_BF16:
        for (int64_t i = 0; i < n; i++)
            dst[i] = float_of_bits((uint32_t)load16(src + i * step, swap) << 16);
        break;
    case GV_F64:
        for (int64_t i = 0; i < n; i++)
            dst[i] = float_of_double_bits(load64(src + i * step, swap));
        break;
    case GV_I64:
        for (int64_t i = 0; i < n; i++)
            dst[i] = (float)(int64_t)load64(src + i * step, swap);
        break;
    case GV_I32:
        for (int64_t i = 0; i < n; i++)
            dst[i] = (float)(int32_t)load32(src + i * step, swap);
        break;
    case GV_I16:
        for (int64_t i = 0; i < n; i++)
            dst[i] = (float)(int16_t)load16(src + i * step, swap);
        break;
    case GV_I8:
        for (int64_t i = 0; i < n; i++)
            dst[i] = (float)(int8_t)src[i * step];
        break;
    case GV_U8:
        for (int64_t i = 0; i < n; i++)
            dst[i] = (float)src[i * step];
        break;
    case GV_BOOL:
        for (int64_t i = 0; i < n; i++)
            dst[i] = src[i * step] ? 1.0f : 0.0f;
        break;
    }
}

/* Index of the first NaN or infinity, or -1. */
static int64_t find_non_finite(const float *values, int64_t n)
{
    int bad = 0;
    for (int64_t i = 0; i < n; i++)
        bad |= !(fabsf(values[i]) < INFINITY);
    for (int64_t i = 0; bad && i < n; i++) {
        if (!isfinite(values[i]))
            return i;
    }
    return -1;
}

gv_status gv_view_read_f32(float *dst, const gv_view *v, const char *file, gv_error *err)
{
    if (gv_view_count(v) == 0)
        return GV_OK;
    gv_view j = join_dimensions(v);
    int64_t n = j.shape[j.dims - 1];
    int64_t step = j.stride[j.dims - 1] * (int64_t)gv_dtype_size(j.type);
    int64_t index[GV_MAX_DIMS] = {0};
    int64_t done = 0;
    const uint8_t *row = j.data;
    do {
        read_row(dst + done, row, n, step, j.type, j.big_endian);
        int64_t bad = find_non_finite(dst + done, n);
        if (bad >= 0)
            return gv_fail(err, GV_E_NUMERIC, "%s: tensor '%s' holds %s at element %lld", file,
                           v->name, isnan(dst[done + bad]) ? "NaN" : "infinity",
                           (long long)(done + bad));
        done += n;
    } while (next_row(&j, index, &row));
    return GV_OK;
}

void gv_view_read_raw(void *dst, const gv_view *v)
{
    if (gv_view_count(v) == 0)
        return;
    gv_view j = join_dimensions(v);
    size_t item = gv_dtype_size(j.type);
    int64_t n = j.shape[j.dims - 1];
    int64_t step = j.stride[j.dims - 1] * (int64_t)item;
    int64_t index[GV_MAX_DIMS] = {0};
    uint8_t *out = dst;
    const uint8_t *row = j.data;
    do {
        if (step == (int64_t)item && !j.big_endian) {
            memcpy(out, row, (size_t)n * item);
            out += (size_t)n * item;
            continue;
        }
        for (int64_t i = 0; i < n; i++) {
            const uint8_t *p = row + i * step;
            for (size_t b = 0; b < item; b++)
                *out++ = p[j.big_endian ? item - 1 - b : b];
        }
    } while (next_row(&j, index, &row));
}
