/* Checks one operation of the graph against a reference in double:
 *   forward     the reference's values
 *   backward    central differences of the reference
 *   tangent     central differences of the reference, and <jvp, u> = <v, bwd>
 * for all inputs that can vary together and each alone, with gradients that are overwritten and
 * added to, with memory full of NaN before, and the same bits on 1, 2 and 3 threads. */
#ifndef GV_TESTS_GRAPH_OPCHECK_H
#define GV_TESTS_GRAPH_OPCHECK_H

#include "support.h"

#include "graph/op.h"

enum { OP_INPUTS = 3 };

typedef struct op_input {
    bool present;
    bool plane;
    bool constant; /* never varies */
    int64_t n, c, h, w;
    double low, high; /* of its values; both 0: -1 to 1 */
    int same_as;      /* 1 + index of the input whose node it is; 0: its own */
} op_input;

typedef struct op_case op_case;

struct op_case {
    const char *name;
    op_input in[OP_INPUTS];
    gv_status (*build)(gv_graph *g, gv_node *y, const gv_node *x, gv_weights *weights,
                       const op_case *c, gv_error *err);
    /* y [N,C,H,W] of the dims given, from x[i] in the same order; NULL for absent inputs. */
    void (*reference)(double *y, const int64_t *dims, const double *const *x, const op_case *c);
    /* Whatever build and reference agree on. */
    int64_t p[4];
    double q[4];
    const void *more;
    /* Error allowed in forward, relative to the largest value; 0: 4e-6. */
    double bound;
};

/* Runs all checks. */
void opcheck(const op_case *c);
/* Fails unless every operation of the list (ends with NULL) was reached by an opcheck before.
 * Prints the largest errors seen. */
void opcheck_all_reached(const gv_op *const *ops);

/* Values of the stored tensor `name`, in -1 to 1, the same whenever asked; count <= 1 << 20. */
void opcheck_weight(float *values, const char *name, int64_t count);
/* A gv_weights_read_fn of such tensors. */
gv_status opcheck_read_weight(void *model, const char *name, float *dst, int64_t count,
                              gv_error *err);
/* The same for references. Valid until the next eight calls. */
const float *opcheck_weight_of(const char *name, int64_t count);

/* Index of (n, c, y, x) in dims; n is taken as 0 for what all samples share. */
static inline int64_t at4(const int64_t *d, int64_t n, int64_t c, int64_t y, int64_t x)
{
    return (((d[0] > 1 ? n : 0) * d[1] + c) * d[2] + y) * d[3] + x;
}

/* The dims of an input as an array. */
#define DIMS_OF(input) ((const int64_t[]){(input).n, (input).c, (input).h, (input).w})

#endif
