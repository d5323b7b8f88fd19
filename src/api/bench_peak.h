/* The peak of the machine, measured. */
#ifndef GV_API_BENCH_PEAK_H
#define GV_API_BENCH_PEAK_H

/* Floating point operations a second of `threads` cores that do nothing but multiply-adds in
 * registers, the best of a few short runs; 0 where no such loop is known. */
double gv_bench_peak(int threads);

#endif
