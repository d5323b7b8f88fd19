/* Planted bugs. A build with -DGV_CANARY=GV_CANARY_<NAME> drops the one check of that name;
 * fuzz/canary/run.sh makes such builds and sees whether the fuzzer finds out. In every other build
 * GV_CANARY_IS is the constant 0, and the checks are whole. */
#ifndef GV_BASE_CANARY_H
#define GV_BASE_CANARY_H

#define GV_CANARY_JSON_1 11        /* a backslash skips the next byte even at the end of the text */
#define GV_CANARY_JSON_2 12        /* no limit of depth */
#define GV_CANARY_JSON_3 13        /* no limit of memory */
#define GV_CANARY_SAFETENSORS_1 21 /* a tensor may end past the end of the file */
#define GV_CANARY_SAFETENSORS_2 22 /* data_offsets need not span the size of the shape */
#define GV_CANARY_SAFETENSORS_3 23 /* more dimensions than a view holds */
#define GV_CANARY_NPZ_1 31         /* a string in the header may lack its closing quote */
#define GV_CANARY_NPZ_2 32         /* more dimensions than a view holds */
#define GV_CANARY_NPZ_3 33         /* the data may end before the shape is full */

#ifdef GV_CANARY
#define GV_CANARY_IS(name) (GV_CANARY == GV_CANARY_##name)
#else
#define GV_CANARY_IS(name) 0
#endif

#endif
