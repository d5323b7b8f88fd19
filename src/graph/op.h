/* What an operation is, for the files that define operations. Nets use graph/graph.h alone.
 *
 * An operation is three functions over plain maps, forward and backward side by side, and a builder
 * gv_graph_<op> in graph.h that checks shapes, packs weights and appends one step. */
#ifndef GV_GRAPH_OP_H
#define GV_GRAPH_OP_H

#include "base/memory.h"
#include "graph/graph.h"
#include "kernels/map.h"

#define GV_MAX_INPUTS 8

/* What a step sees when it runs. Absent optional inputs have data == NULL in x, dx and tx. */
typedef struct gv_step {
    int inputs;
    gv_map x[GV_MAX_INPUTS]; /* values; data only if fwd runs or the op's needs name it */
    gv_map y;
    gv_map dx[GV_MAX_INPUTS]; /* gradients to write; data NULL: not wanted */
    bool add[GV_MAX_INPUTS];  /* dx[i] already holds a contribution: add to it */
    gv_map dy;
    gv_map tx[GV_MAX_INPUTS]; /* tangents; data NULL: zero */
    gv_map ty;
    void *attr;    /* the op's parameters, in the graph's arena */
    void *scratch; /* 64-byte aligned, as many bytes as the builder asked for */
} gv_step;

/* Bits of `needs`: which values backward and jvp read beyond gradients and tangents. */
#define GV_NEED_X(i) (1u << (i))
#define GV_NEED_Y (1u << 31)
#define GV_NEED_NONE 0u

typedef struct gv_op {
    const char *name;
    unsigned needs; /* for bwd and jvp */
    /* y may take the memory of x[0] when nobody else reads x[0] afterwards and fwd reads each
     * element of x[0] before it writes the same element of y. */
    bool in_place;
    void (*fwd)(const gv_step *s);
    /* For every i with dx[i].data: dx[i] = or += (adjoint of the derivative)(dy). The same two
     * inputs may be one node: then the second finds add set. NULL: not differentiable. */
    void (*bwd)(const gv_step *s);
    /* ty = derivative(tx); at least one tx is present. */
    void (*jvp)(const gv_step *s);
    /* Frees what attr owns outside the arena (oneDNN primitives); may be NULL. */
    void (*release)(void *attr);
    /* Floating point operations of one fwd, for profiles; may be NULL (counted as 0). */
    double (*flops)(const gv_step *s);
    const char *(*detail)(const void *attr); /* kernel name for profiles; may be NULL */
} gv_op;

/* Appends a step: y becomes a new node.
 * y      shape (strides included, data NULL) of the result: gv_map_blocked or gv_map_plane
 * inputs nodes; GV_NO_NODE for absent optional ones
 * attr   copied into the graph's arena (attr_size may be 0); if the call fails after attr owns
 *        things, the builder releases them itself
 * scratch_bytes  the largest of fwd, bwd, jvp
 * Errors GV_E_ARG if a needed input is absent or of another graph; GV_E_MEMORY. */
gv_status gv_graph_append(gv_graph *g, gv_node *y, const gv_op *op, const gv_map *shape,
                          const gv_node *inputs, int count, const void *attr, size_t attr_size,
                          size_t scratch_bytes, gv_error *err);

/* Shape of a node (strides included, data NULL). */
gv_map gv_graph_shape(const gv_graph *g, gv_node x);
bool gv_graph_has(gv_node x); /* false for GV_NO_NODE */
/* Memory that lives as long as the graph; NULL without memory. */
void *gv_graph_alloc(gv_graph *g, size_t bytes);
/* The modes the graph was made for: builders pack gradient weights only if asked. */
unsigned gv_graph_modes(const gv_graph *g);
/* true if a gradient or tangent can reach x (some variable input is above it). */
bool gv_graph_varies(const gv_graph *g, gv_node x);
/* A node without a step whose memory is the caller's (packed weights, constants): map.data must
 * outlive the graph. */
gv_status gv_graph_constant(gv_graph *g, gv_node *y, const gv_map *map, gv_error *err);
/* GV_E_ARG "<op>: ..." with printf text. */
#if defined(__GNUC__)
__attribute__((format(printf, 3, 4)))
#endif
gv_status
gv_graph_refuse(gv_error *err, const char *op, const char *format, ...);

#endif
