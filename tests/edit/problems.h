/* The test problems of ../shared/reference/lbfgs, in float64 and, rounded, in float32. */
#ifndef GV_TESTS_EDIT_PROBLEMS_H
#define GV_TESTS_EDIT_PROBLEMS_H

#include <stdbool.h>
#include <stdint.h>

typedef struct toy_problem toy_problem;

struct toy_problem {
    int64_t n;
    double *start;
    double loss;
    double *grad;
    void (*run)(toy_problem *p, const double *x); /* fills loss and grad */
    double *weights, *target;                     /* of the networks */
};

/* x0 = (-1.2, 1) repeated; sum of 100 (x[i+1] - x[i]^2)^2 + (1 - x[i])^2. */
toy_problem toy_rosenbrock(int64_t n);
/* mean((tanh(A2 tanh(A1 z)) - y)^2), y at zstar; folder holds inv_mlp_*.npy. */
toy_problem toy_mlp(const char *folder);
/* mean((G(z) - G(zstar))^2) with dcgan/course_instance4 below folder. */
toy_problem toy_dcgan(const char *folder);
void toy_free(toy_problem *p);

/* loss and grad at x; single: x, loss and grad are rounded to float32. */
void toy_evaluate(toy_problem *p, const double *x, bool single);

#endif
