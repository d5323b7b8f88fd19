/* Small models and targets for the tests of this layer. */
#ifndef GV_TESTS_EDIT_SUPPORT_H
#define GV_TESTS_EDIT_SUPPORT_H

#include "support.h"

#include "edit/objective.h"

typedef struct edit_fixture {
    gv_generator *gen;
    gv_vgg *vgg;   /* VGG16 with LPIPS's layers */
    float *target; /* [3,R,R] smooth random colours in [-1,1] */
    float *mask;   /* [R,R] a soft disc: 0 outside, 1 inside, between at its edge */
    int64_t side;  /* R */
} edit_fixture;

/* generator: a file of tests/nets/data. */
edit_fixture edit_open(const char *generator);
void edit_close(edit_fixture *f);

/* An objective on the fixture's target; masked: with its mask. Fails the test if it cannot. */
gv_objective *edit_objective(edit_fixture *f, const gv_objective_options *options, int threads);

/* A latent near the mean of the space: n unknowns, seeded. Owned (free). */
double *edit_latent(const gv_objective *o, uint64_t seed);

#endif
