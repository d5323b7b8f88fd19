/* Parameters that builders of graph/graph.h and the kernels share. */
#ifndef GV_KERNELS_KINDS_H
#define GV_KERNELS_KINDS_H

typedef enum gv_act { GV_ACT_LINEAR, GV_ACT_RELU, GV_ACT_LRELU, GV_ACT_TANH } gv_act;

typedef struct gv_bias_act {
    gv_act act;
    float slope;          /* of the leaky ReLU */
    float gain;           /* after the activation */
    float clamp;          /* to [-clamp, clamp] after the gain; 0: none */
    float bias_gain;      /* multiplies the bias; 1 usually */
    float noise_strength; /* multiplies the noise plane */
} gv_bias_act;

typedef enum gv_distance { GV_DISTANCE_L1, GV_DISTANCE_L2 } gv_distance;

#endif
