/* The graph's own data, shared by graph.c (building), plan.c (memory) and run.c (running). */
#ifndef GV_GRAPH_INTERNAL_H
#define GV_GRAPH_INTERNAL_H

#include "graph/op.h"

typedef enum gv_role {
    GV_ROLE_RESULT, /* y of a step */
    GV_ROLE_INPUT,  /* set by the caller */
    GV_ROLE_CONSTANT
} gv_role;

typedef struct gv_node_info {
    gv_map value; /* data is assigned by gv_plan, or given for constants */
    gv_map grad;  /* data NULL unless wanted; gradients and tangents always have full strides */
    gv_map tangent;
    gv_map seed; /* outputs in BWD mode: d(loss)/d(value), kept between runs */
    const char *name;
    gv_role role;
    int32_t step; /* producer; -1 for inputs and constants */
    bool varies;
    bool output;
} gv_node_info;

typedef struct gv_step_info {
    const gv_op *op;
    gv_node inputs[GV_MAX_INPUTS];
    int count;
    gv_node y;
    size_t scratch_bytes;
    bool varies; /* of y: has a backward and a tangent pass */
    bool live;   /* some output depends on it */
    gv_step run;
    double fwd_seconds, bwd_seconds, jvp_seconds;
    int64_t calls;
} gv_step_info;

struct gv_graph {
    gv_arena arena;
    unsigned modes;
    bool built;
    bool static_done; /* the steps below first_varying hold for the inputs as set */
    bool profiling;

    gv_node_info *nodes; /* nodes[0] is unused: id 0 is GV_NO_NODE */
    int32_t node_count, node_room;
    gv_step_info *steps;
    int32_t step_count, step_room;

    /* After gv_graph_build: live steps in running order, those that do not vary first. They are
     * computed only when an input was set since: target features cost nothing in the loop. */
    int32_t *order;
    int32_t order_count, first_varying;

    uint8_t *memory; /* one block: values, gradients, tangents, seeds, scratch */
    size_t memory_bytes;
};

static inline gv_node_info *gv_node_of(const gv_graph *g, gv_node x)
{
    return &g->nodes[x.id];
}

/* Assigns memory to every node and scratch to every step of g->order. */
gv_status gv_plan(gv_graph *g, gv_error *err);

#endif
