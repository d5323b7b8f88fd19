/* What the CPU can do. */
#include "kernels/isa.h"

#include <stdlib.h>
#include <string.h>

static gv_isa detect(void)
{
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl"))
        return GV_ISA_AVX512;
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        return GV_ISA_AVX2;
    return GV_ISA_BASE;
}

gv_isa gv_isa_best(void)
{
    gv_isa found = detect(), most = GV_ISA_AVX512;
    const char *limit = getenv("GANVAS_MAX_ISA");
    if (limit && strcmp(limit, "AVX2") == 0)
        most = GV_ISA_AVX2;
    if (limit && strcmp(limit, "BASE") == 0)
        most = GV_ISA_BASE;
    return found < most ? found : most;
}
