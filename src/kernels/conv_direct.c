/* Direct convolution: every kind is cut into phases that are convolutions of stride 1.
 *
 * x is copied once, with its halo of zeros, into planes: a convolution of stride s reads s*s planes
 * (rows and columns i of plane i mod s), so that neighbouring outputs read neighbouring pixels of
 * one plane. A transposed convolution of stride s has s*s phases of outputs, each with its own
 * taps. On a 1 x 1 input every output is a phase of its own whose pixels are the samples: with it,
 * a linear layer is a matrix product whose weights are read once.
 *
 * Each sum runs over groups of input blocks, within these over c/16, taps and c%16: an order that
 * depends on the shape alone. Tasks cut outputs, never sums. */
#include "kernels/conv_internal.h"

#include "base/memory.h"
#include "base/parallel.h"
#include "kernels/conv_tiles.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

typedef struct phase {
    int64_t oy, ox;     /* first output */
    int64_t rows, cols; /* outputs of one sample; with pixels from samples 1 x n */
    const gv_conv_tap *taps;
    int64_t tap_count;
    int64_t tile_rows, tile_cols; /* of a tile at most */
    int64_t tiles_down, tiles_across;
    int64_t tiles_per_task;
    int64_t first_task;
} phase;

typedef struct plan {
    const gv_conv_tiles *tiles;
    bool narrow;
    bool samples_are_pixels;
    int64_t samples; /* 1 if they are pixels */
    /* Planes of the copied x, along each axis: row i of plane a is row i*planes + a + origin of x.
     * height and width count with the halo. */
    int64_t planes, origin_y, origin_x, height, width;
    bool copy;          /* false: x is read where it is, if its strides allow it */
    int64_t step;       /* between the outputs of a phase */
    int64_t size_class; /* log2 of the output blocks per tile */
    int64_t groups;     /* of output blocks */
    int64_t in_blocks;  /* input blocks per visit of a tile */
    int64_t tasks;
    int64_t phase_count;
    phase *phases;
    gv_conv_tap *taps;
} plan;

/* ---- narrow outputs: pictures ---- */

/* With three output channels, 13 of 16 output lanes would multiply zeros: the lanes are input
 * channels then. */
static bool is_narrow(const gv_conv_shape *s)
{
    return s->k <= GV_CONV_NARROW && s->c >= GV_LANES / 2;
}

static int64_t tap_floats(const gv_conv_shape *s)
{
    return (is_narrow(s) ? GV_CONV_NARROW : GV_LANES) * GV_LANES;
}

static char *layout(char *text, size_t size, const gv_conv_shape *s)
{
    char blocked[160];
    gv_conv_blocked_layout(blocked, sizeof blocked, s);
    snprintf(text, size, "%s%s", is_narrow(s) ? "Ihw3o16i instead of " : "", blocked);
    return text;
}

static size_t packed_bytes(const gv_conv_shape *s)
{
    if (!is_narrow(s))
        return gv_conv_blocked_bytes(s);
    return (size_t)(gv_blocks(s->c) * s->kh * s->kw * tap_floats(s)) * sizeof(float);
}

/* [c/16][ky][kx][k][c%16] */
static void pack(void *packed, const float *w, const gv_conv_shape *s)
{
    if (!is_narrow(s)) {
        gv_conv_blocked_pack(packed, w, s);
        return;
    }
    float *to = packed;
    for (int64_t cb = 0; cb < gv_blocks(s->c); cb++)
        for (int64_t tap = 0; tap < s->kh * s->kw; tap++)
            for (int64_t k = 0; k < GV_CONV_NARROW; k++)
                for (int64_t c = cb * GV_LANES; c < (cb + 1) * GV_LANES; c++)
                    *to++ = gv_conv_packed_weight(w, s, k, c, tap);
}

/* ---- planning: one axis ---- */

enum { MOST_KERNEL = 7 };

/* The taps of one phase along one axis. */
typedef struct axis_phase {
    int64_t count; /* outputs */
    int64_t taps;
    int64_t k[MOST_KERNEL];     /* kernel index */
    int64_t plane[MOST_KERNEL]; /* of x */
    int64_t at[MOST_KERNEL];    /* row of the plane that output 0 reads */
} axis_phase;

typedef struct axis {
    int64_t in, out, kernel, stride, pad;
    bool transposed;
    bool point; /* x is a single pixel: every output is a phase */
    int64_t phases, planes;
    int64_t origin, extent;
} axis;

static int64_t floor_div(int64_t a, int64_t b)
{
    return a >= 0 ? a / b : -((-a + b - 1) / b);
}

static axis make_axis(const gv_conv_shape *s, bool vertical, bool point)
{
    axis a = {.in = vertical ? s->h : s->w,
              .out = vertical ? s->oh : s->ow,
              .kernel = vertical ? s->kh : s->kw,
              .stride = s->stride,
              .pad = s->pad,
              .transposed = s->transposed,
              .point = point,
              .planes = 1,
              .extent = 1};
    a.phases = point ? a.out : s->transposed ? (s->stride < a.out ? s->stride : a.out) : 1;
    if (!point && !s->transposed) {
        a.planes = s->stride;
        a.origin = -s->pad;
    }
    return a;
}

/* Phase p of a: outputs p, p + step, ... */
static axis_phase make_axis_phase(const axis *a, int64_t p)
{
    axis_phase r = {.count = a->point ? 1 : (a->out - p + a->phases - 1) / a->phases};
    for (int64_t k = 0; k < a->kernel; k++) {
        if (a->point) {
            bool hit = a->transposed ? k - a->pad == p : p * a->stride + k - a->pad == 0;
            if (!hit)
                continue;
        } else if (a->transposed) {
            int64_t from = p + a->pad - k;
            if (floor_div(from, a->stride) * a->stride != from)
                continue;
            r.at[r.taps] = floor_div(from, a->stride) - a->origin;
        } else {
            r.plane[r.taps] = k % a->stride;
            r.at[r.taps] = k / a->stride;
        }
        r.k[r.taps++] = k;
    }
    return r;
}

/* Fills origin (transposed) and extent from what the phases read. */
static void measure_axis(axis *a)
{
    int64_t low = INT64_MAX, high = INT64_MIN;
    for (int64_t p = 0; p < a->phases; p++) {
        axis_phase r = make_axis_phase(a, p);
        for (int64_t i = 0; i < r.taps; i++) {
            low = r.at[i] < low ? r.at[i] : low;
            high = r.at[i] + r.count > high ? r.at[i] + r.count : high;
        }
    }
    if (high == INT64_MIN)
        low = 0, high = 1; /* no output has a tap */
    if (a->transposed && !a->point) {
        a->origin = low;
        high -= low;
    }
    a->extent = high;
}

/* ---- planning: the whole ---- */

/* Aims at tasks of this many pixels: the sums of a task then stay in the second level cache from
 * one group of input blocks to the next. */
enum { TASK_PIXELS = 256, LEAST_TASK_PIXELS = 48, LEAST_TASKS = 16 };
/* Weights that one visit of a tile reads: half of the first level cache. */
enum { VISIT_BYTES = 16 * 1024 };

static void cut_into_tiles(const plan *p, phase *f)
{
    int64_t most = p->narrow ? p->tiles->narrow_pixels : p->tiles->pixels[p->size_class];
    int64_t rows = p->samples * f->rows;
    f->tile_rows = !p->narrow && f->cols * 2 <= most && rows >= 2 ? 2 : 1;
    int64_t most_cols = most / f->tile_rows;
    f->tiles_across = (f->cols + most_cols - 1) / most_cols;
    f->tile_cols = p->narrow ? most_cols : (f->cols + f->tiles_across - 1) / f->tiles_across;
    f->tiles_across = (f->cols + f->tile_cols - 1) / f->tile_cols;
    f->tiles_down = (rows + f->tile_rows - 1) / f->tile_rows;
}

/* Few pixels leave registers for more output blocks, which share the broadcast pixels. */
static int64_t choose_size_class(const plan *p, const gv_conv_shape *s)
{
    int64_t best = 0;
    for (int64_t c = 1; c < GV_CONV_TILE_SIZES; c++) {
        int64_t most = p->tiles->pixels[c];
        const phase *f = &p->phases[0];
        bool same_tile = p->tiles->pixels[0] <= most || p->samples * f->rows * f->cols <= most;
        if (gv_blocks(s->k) >= INT64_C(1) << c && most > 0 && same_tile)
            best = c;
    }
    return best;
}

static void cut_into_tasks(plan *p)
{
    int64_t first = 0;
    for (int64_t i = 0; i < p->phase_count; i++) {
        phase *f = &p->phases[i];
        int64_t tiles = f->tiles_down * f->tiles_across;
        int64_t pixels = f->tile_rows * f->tile_cols;
        int64_t chunks = (tiles * pixels + TASK_PIXELS - 1) / TASK_PIXELS;
        int64_t wanted = (LEAST_TASKS + p->groups - 1) / p->groups;
        int64_t most = tiles * pixels / LEAST_TASK_PIXELS;
        if (chunks < wanted)
            chunks = wanted < most ? wanted : most > chunks ? most : chunks;
        f->tiles_per_task = (tiles + chunks - 1) / chunks;
        f->first_task = first;
        first += (tiles + f->tiles_per_task - 1) / f->tiles_per_task;
    }
    p->tasks = first;
}

/* The taps of the phase that is the product of down and across. */
static void make_phase(const plan *p, const gv_conv_shape *s, phase *f, gv_conv_tap *taps,
                       const axis_phase *down, const axis_phase *across)
{
    int64_t plane = p->height * p->width * GV_CONV_X_PIXEL;
    f->rows = down->count;
    f->cols = p->samples_are_pixels ? s->n : across->count;
    f->taps = taps;
    for (int64_t i = 0; i < down->taps; i++)
        for (int64_t j = 0; j < across->taps; j++)
            taps[f->tap_count++] = (gv_conv_tap){
                .x = (down->plane[i] * p->planes + across->plane[j]) * plane +
                     (down->at[i] * p->width + across->at[j]) * GV_CONV_X_PIXEL,
                .w = (down->k[i] * s->kw + across->k[j]) * tap_floats(s),
            };
}

static void free_plan(void *state)
{
    plan *p = state;
    if (!p)
        return;
    gv_mem_free(p->phases);
    gv_mem_free(p->taps);
    gv_mem_free(p);
}

static gv_status fill_phases(plan *p, const gv_conv_shape *s, const axis *down, const axis *across,
                             gv_error *err)
{
    p->phase_count = down->phases * across->phases;
    size_t taps_per_phase = (size_t)(s->kh * s->kw);
    size_t all_taps;
    if (!gv_mul_size(&all_taps, (size_t)p->phase_count, taps_per_phase))
        return gv_fail_memory(err, SIZE_MAX);
    p->phases = gv_mem_alloc_array((size_t)p->phase_count, sizeof *p->phases);
    p->taps = gv_mem_alloc_array(all_taps, sizeof *p->taps);
    if (!p->phases || !p->taps)
        return gv_fail_memory(err, all_taps * sizeof *p->taps);

    for (int64_t i = 0; i < p->phase_count; i++) {
        phase *f = &p->phases[i];
        f->oy = i / across->phases;
        f->ox = i % across->phases;
        axis_phase v = make_axis_phase(down, f->oy);
        axis_phase h = make_axis_phase(across, f->ox);
        make_phase(p, s, f, p->taps + (size_t)i * taps_per_phase, &v, &h);
    }
    return GV_OK;
}

static int64_t in_blocks_per_visit(const plan *p, const gv_conv_shape *s)
{
    int64_t most_taps = 1;
    for (int64_t i = 0; i < p->phase_count; i++)
        most_taps = p->phases[i].tap_count > most_taps ? p->phases[i].tap_count : most_taps;
    int64_t block_bytes = most_taps * GV_LANES * GV_LANES * (int64_t)sizeof(float);
    int64_t blocks = VISIT_BYTES / (block_bytes << p->size_class);
    blocks = blocks < 1 ? 1 : blocks;
    return blocks < gv_blocks(s->c) ? blocks : gv_blocks(s->c);
}

static gv_status make_plan(void **state, size_t *scratch_bytes, const gv_conv_shape *s,
                           const gv_conv_tiles *tiles, gv_error *err)
{
    assert(s->kh <= MOST_KERNEL && s->kw <= MOST_KERNEL);
    *state = NULL;
    *scratch_bytes = 0;
    plan *p = gv_mem_alloc(sizeof *p);
    if (!p)
        return gv_fail_memory(err, sizeof *p);
    p->tiles = tiles;
    p->narrow = is_narrow(s);

    bool point = s->h == 1 && s->w == 1;
    axis down = make_axis(s, true, point), across = make_axis(s, false, point);
    measure_axis(&down);
    measure_axis(&across);
    p->samples_are_pixels = point;
    p->samples = point ? 1 : s->n;
    p->planes = down.planes;
    p->origin_y = down.origin;
    p->origin_x = across.origin;
    p->height = down.extent;
    p->width = point ? s->n : across.extent;
    p->step = s->transposed ? s->stride : 1;
    p->copy = p->planes > 1 || (!point && (down.origin != 0 || across.origin != 0 ||
                                           down.extent != s->h || across.extent != s->w));
    gv_status status = fill_phases(p, s, &down, &across, err);
    if (status != GV_OK) {
        free_plan(p);
        return status;
    }
    p->size_class = choose_size_class(p, s);
    p->groups = (gv_blocks(s->k) + (INT64_C(1) << p->size_class) - 1) >> p->size_class;
    p->in_blocks = p->narrow ? gv_blocks(s->c) : in_blocks_per_visit(p, s);
    for (int64_t i = 0; i < p->phase_count; i++)
        cut_into_tiles(p, &p->phases[i]);
    cut_into_tasks(p);

    if (p->copy || s->strided || (point && s->n > 1)) {
        int64_t pixels = p->samples * p->planes * p->planes * p->height * p->width;
        *scratch_bytes = (size_t)(pixels * gv_blocks(s->c) * GV_CONV_X_PIXEL) * sizeof(float);
    }
    *state = p;
    return GV_OK;
}

/* ---- running: the copy of x ---- */

/* x as the tiles see it. */
typedef struct source {
    const float *data;
    int64_t sample, block;
} source;

typedef struct copy_job {
    const plan *p;
    const gv_map *x;
    float *to;
    int64_t rows, rows_per_task;
} copy_job;

static void copy_pixels(float *to, const float *from, int64_t count, int64_t stride)
{
    if (stride == GV_LANES) {
        memcpy(to, from, (size_t)count * GV_LANES * sizeof *to);
        return;
    }
    for (int64_t i = 0; i < count; i++)
        memcpy(to + i * GV_CONV_X_PIXEL, from + i * stride, GV_LANES * sizeof *to);
}

/* Row `row` of a plane, with zeros where x has no pixel. */
static void copy_row(float *to, const plan *p, const gv_map *x, const float *block, int64_t row,
                     int64_t plane)
{
    int64_t y = row * p->planes + plane / p->planes + p->origin_y;
    int64_t x0 = plane % p->planes + p->origin_x;
    int64_t before = 0, count = 0;
    if (y >= 0 && y < x->h) {
        before = x0 < 0 ? (-x0 + p->planes - 1) / p->planes : 0;
        before = before < p->width ? before : p->width;
        int64_t first = x0 + before * p->planes;
        count = first < x->w ? (x->w - first + p->planes - 1) / p->planes : 0;
        count = count < p->width - before ? count : p->width - before;
        if (count > 0)
            copy_pixels(to + before * GV_CONV_X_PIXEL, block + (y * x->w + first) * x->pixel, count,
                        x->pixel * p->planes);
    }
    int64_t after = before + count;
    memset(to, 0, (size_t)(before * GV_CONV_X_PIXEL) * sizeof *to);
    memset(to + after * GV_CONV_X_PIXEL, 0,
           (size_t)((p->width - after) * GV_CONV_X_PIXEL) * sizeof *to);
}

static void copy_rows(void *ctx, int64_t task)
{
    const copy_job *t = ctx;
    const plan *p = t->p;
    int64_t planes = p->planes * p->planes, blocks = gv_blocks(t->x->c);
    int64_t end = (task + 1) * t->rows_per_task;
    end = end < t->rows ? end : t->rows;
    for (int64_t i = task * t->rows_per_task; i < end; i++) {
        int64_t row = i % p->height, plane = i / p->height % planes;
        int64_t block = i / p->height / planes % blocks, n = i / p->height / planes / blocks;
        const float *from = t->x->data + n * t->x->sample + block * t->x->block;
        float *to = t->to + i * p->width * GV_CONV_X_PIXEL;
        if (p->samples_are_pixels)
            copy_pixels(to, from, p->width, t->x->sample);
        else
            copy_row(to, p, t->x, from, row, plane);
    }
}

static source prepare_source(const plan *p, const gv_map *x, void *scratch)
{
    bool dense_pixels = p->samples_are_pixels ? x->n == 1 || x->sample == GV_CONV_X_PIXEL
                                              : x->pixel == GV_CONV_X_PIXEL;
    if (!p->copy && dense_pixels)
        return (source){x->data, x->sample, x->block};

    int64_t block = p->planes * p->planes * p->height * p->width * GV_CONV_X_PIXEL;
    int64_t rows = p->samples * gv_blocks(x->c) * p->planes * p->planes * p->height;
    int64_t per_task = 1 + 512 / p->width; /* about 32 KB */
    copy_job job = {.p = p, .x = x, .to = scratch, .rows = rows, .rows_per_task = per_task};
    gv_parallel_for((rows + per_task - 1) / per_task, copy_rows, &job);
    return (source){scratch, gv_blocks(x->c) * block, block};
}

/* ---- running: tiles ---- */

typedef struct tile_job {
    const plan *p;
    const gv_conv_shape *s;
    const gv_map *y;
    source x;
    const float *packed;
} tile_job;

/* Where tile row `row` (over all samples) and column `col` of a phase are in y and x. */
static void locate(gv_conv_tile *t, int slot, const tile_job *j, const phase *f, int64_t row,
                   int64_t col)
{
    const plan *p = j->p;
    const gv_map *y = j->y;
    int64_t n = 0;
    if (p->samples > 1) {
        n = row / f->rows;
        row %= f->rows;
    }
    t->x[slot] = j->x.data + n * j->x.sample + (row * p->width + col) * GV_CONV_X_PIXEL;
    int64_t oy = f->oy + row * p->step, ox = f->ox;
    if (p->samples_are_pixels)
        n = col;
    else
        ox += col * p->step;
    t->y[slot] = y->data + n * y->sample + (oy * j->s->ow + ox) * y->pixel;
}

/* Lanes beyond K of the last block: the packed zeros leave NaN where x is infinite. */
static void clear_lanes(float *pixel, int64_t used)
{
    for (int64_t i = used; i < GV_LANES; i++)
        pixel[i] = 0.0f;
}

/* One tile, with as many output blocks at a time as remain. */
static void run_tile(gv_conv_tile *t, const tile_job *j, int64_t kb, int64_t outs, int rows,
                     int64_t cols, bool last)
{
    const gv_conv_tile whole = *t;
    for (int64_t done = 0; done < outs;) {
        int size = 0;
        while (size + 1 < GV_CONV_TILE_SIZES && INT64_C(2) << size <= outs - done &&
               rows * cols <= j->p->tiles->pixels[size + 1])
            size++;
        for (int r = 0; r < 2; r++)
            t->y[r] = whole.y[r] + done * t->y_block;
        t->w = whole.w + done * t->w_out;
        j->p->tiles->run[size][rows - 1][cols - 1](t);
        done += INT64_C(1) << size;
    }
    int64_t used = j->s->k - (kb + outs - 1) * GV_LANES;
    if (last && used < GV_LANES)
        for (int r = 0; r < rows; r++)
            for (int64_t c = 0; c < cols; c++)
                clear_lanes(whole.y[r] + (outs - 1) * t->y_block + c * t->y_pixel, used);
    *t = whole;
}

/* One narrow tile, as the largest powers of two. */
static void run_narrow_tile(gv_conv_tile *t, const gv_conv_tiles *tiles, int64_t cols)
{
    while (cols > 0) {
        int size = 0;
        while (INT64_C(2) << size <= cols && 2 << size <= tiles->narrow_pixels)
            size++;
        tiles->narrow[size](t);
        cols -= INT64_C(1) << size;
        t->y[0] += t->y_pixel << size;
        t->x[0] += (int64_t)GV_CONV_X_PIXEL << size;
    }
}

/* All tiles of one task, for one group of output blocks and a run of input blocks. */
static void visit(const tile_job *j, const phase *f, int64_t first, int64_t end, int64_t kb,
                  int64_t cb, int64_t blocks)
{
    const plan *p = j->p;
    int64_t in = gv_blocks(j->s->c), left = gv_blocks(j->s->k) - kb;
    int64_t outs = left < INT64_C(1) << p->size_class ? left : INT64_C(1) << p->size_class;
    bool last = cb + blocks == in;
    gv_conv_tile t = {.taps = f->taps,
                      .tap_count = f->tap_count,
                      .y_pixel = p->samples_are_pixels ? j->y->sample : j->y->pixel * p->step,
                      .y_block = j->y->block,
                      .w_in = j->s->kh * j->s->kw * tap_floats(j->s),
                      .x_block = j->x.block,
                      .blocks = blocks,
                      .lanes = last ? j->s->c - (in - 1) * GV_LANES : GV_LANES,
                      .add = cb > 0};
    t.w_out = in * t.w_in;
    for (int64_t i = first; i < end; i++) {
        int64_t row = i / f->tiles_across * f->tile_rows, col = i % f->tiles_across * f->tile_cols;
        int rows = row + 1 < p->samples * f->rows ? (int)f->tile_rows : 1;
        int64_t cols = col + f->tile_cols < f->cols ? f->tile_cols : f->cols - col;
        for (int r = 0; r < rows; r++) {
            locate(&t, r, j, f, row + r, col);
            t.y[r] += kb * t.y_block;
            t.x[r] += cb * t.x_block;
        }
        if (rows == 1) {
            t.y[1] = t.y[0];
            t.x[1] = t.x[0];
        }
        t.w = j->packed + kb * t.w_out + cb * t.w_in;
        if (p->narrow)
            run_narrow_tile(&t, p->tiles, cols);
        else
            run_tile(&t, j, kb, outs, rows, cols, last);
    }
}

static void run_task(void *ctx, int64_t task)
{
    const tile_job *j = ctx;
    const plan *p = j->p;
    int64_t group = task % p->groups, chunk = task / p->groups, i = p->phase_count - 1;
    while (p->phases[i].first_task > chunk)
        i--;
    const phase *f = &p->phases[i];
    int64_t first = (chunk - f->first_task) * f->tiles_per_task;
    int64_t end = first + f->tiles_per_task, tiles = f->tiles_down * f->tiles_across;
    end = end < tiles ? end : tiles;
    int64_t in = gv_blocks(j->s->c);
    for (int64_t cb = 0; cb < in; cb += p->in_blocks)
        visit(j, f, first, end, group << p->size_class, cb,
              in - cb < p->in_blocks ? in - cb : p->in_blocks);
}

static void run(void *state, const gv_conv_shape *s, const gv_map *y, const gv_map *x,
                const void *packed, void *scratch)
{
    const plan *p = state;
    gv_conv_count(p->tiles == &gv_conv_tiles_avx512 ? GV_CONV_DIRECT_AVX512 : GV_CONV_DIRECT_AVX2);
    tile_job job = {.p = p, .s = s, .y = y, .x = prepare_source(p, x, scratch), .packed = packed};
    gv_parallel_for(p->tasks * p->groups, run_task, &job);
}

/* ---- the two kernels ---- */

static bool supports(const gv_conv_shape *s)
{
    return s->kh <= MOST_KERNEL && s->kw <= MOST_KERNEL;
}

static gv_status prepare_avx512(void **state, size_t *scratch_bytes, const gv_conv_shape *s,
                                gv_error *err)
{
    return make_plan(state, scratch_bytes, s, &gv_conv_tiles_avx512, err);
}

static gv_status prepare_avx2(void **state, size_t *scratch_bytes, const gv_conv_shape *s,
                              gv_error *err)
{
    return make_plan(state, scratch_bytes, s, &gv_conv_tiles_avx2, err);
}

static const char *detail_avx512(const void *state)
{
    (void)state;
    return "direct-avx512";
}

static const char *detail_avx2(const void *state)
{
    (void)state;
    return "direct-avx2";
}

const gv_conv_kernel gv_conv_direct_avx512 = {
    .name = "direct-avx512",
    .layout = layout,
    .supports = supports,
    .packed_bytes = packed_bytes,
    .pack = pack,
    .prepare = prepare_avx512,
    .run = run,
    .release = free_plan,
    .detail = detail_avx512,
};

const gv_conv_kernel gv_conv_direct_avx2 = {
    .name = "direct-avx2",
    .layout = layout,
    .supports = supports,
    .packed_bytes = packed_bytes,
    .pack = pack,
    .prepare = prepare_avx2,
    .run = run,
    .release = free_plan,
    .detail = detail_avx2,
};
