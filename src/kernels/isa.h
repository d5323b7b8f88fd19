/* Instruction sets: files that are listed in several lists of src/kernels/meson.build are compiled
 * once for each, and the best that the CPU has is taken at run time.
 *
 * Such a file defines one table of functions named GV_ISA_NAME(gv_<family>) and nothing else that
 * is visible. Its loops are plain C over 16 lanes; as products and sums are never contracted, every
 * table computes the same bits. */
#ifndef GV_KERNELS_ISA_H
#define GV_KERNELS_ISA_H

typedef enum gv_isa { GV_ISA_BASE, GV_ISA_AVX2, GV_ISA_AVX512 } gv_isa;

/* The best set that this CPU and the system have. GANVAS_MAX_ISA=AVX2 or BASE limits it, as
 * ONEDNN_MAX_CPU_ISA does for oneDNN. */
gv_isa gv_isa_best(void);

/* src/meson.build defines GV_ISA_SUFFIX (_avx2, _avx512) for all sets but the baseline. */
#ifndef GV_ISA_SUFFIX
#define GV_ISA_SUFFIX _base
#endif
#define GV_ISA_JOIN2(name, suffix) name##suffix
#define GV_ISA_JOIN(name, suffix) GV_ISA_JOIN2(name, suffix)
#define GV_ISA_NAME(name) GV_ISA_JOIN(name, GV_ISA_SUFFIX)

/* A family's tables, and the function that picks one: GV_ISA_FAMILY(pointwise) declares
 *     const gv_pointwise_kernels *gv_pointwise(gv_isa isa); */
#define GV_ISA_FAMILY(family)                                                                      \
    extern const gv_##family##_kernels gv_##family##_base, gv_##family##_avx2,                     \
        gv_##family##_avx512;                                                                      \
    const gv_##family##_kernels *gv_##family(gv_isa isa)

#endif
