/* The choice between the tables of each family. */
#include "kernels/isa.h"

#include "kernels/loss.h"
#include "kernels/modulate.h"
#include "kernels/norm.h"
#include "kernels/pointwise.h"
#include "kernels/resample.h"

#define PICK(family)                                                                               \
    const gv_##family##_kernels *gv_##family(gv_isa isa)                                           \
    {                                                                                              \
        return isa == GV_ISA_AVX512 ? &gv_##family##_avx512                                        \
               : isa == GV_ISA_AVX2 ? &gv_##family##_avx2                                          \
                                    : &gv_##family##_base;                                         \
    }

PICK(pointwise)
PICK(modulate)
PICK(resample)
PICK(norm)
PICK(loss)
