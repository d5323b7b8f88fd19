#include "kernels/mask.h"

#include "kernels/pieces.h"

typedef struct call {
    gv_map y, x, mask;
    bool add;
} call;

static void apply(void *ctx, const gv_piece *piece)
{
    const call *t = ctx;
    for (int64_t p = piece->first; p < piece->first + piece->count; p++) {
        float *y = gv_at(&t->y, piece->n, piece->block, p);
        const float *x = gv_at(&t->x, piece->n, piece->block, p);
        float m = *gv_at(&t->mask, piece->n, 0, p);
        for (int lane = 0; lane < GV_LANES; lane++)
            y[lane] = t->add ? y[lane] + m * x[lane] : m * x[lane];
    }
}

void gv_mask_apply(const gv_map *y, bool add, const gv_map *x, const gv_map *mask)
{
    call t = {*y, *x, *mask, add};
    gv_cut cut = gv_cut_pixels(y);
    gv_for_pieces(&cut, apply, &t);
}
