/* Planted bugs. In a build with -DGV_CANARY the one check whose number gv_canary holds is dropped;
 * fuzz/canary/run.sh sees whether the fuzzer finds out. In every other build GV_CANARY_IS is the
 * constant 0, and all checks are there. */
#ifndef GV_BASE_CANARY_H
#define GV_BASE_CANARY_H

#define GV_CANARY_JSON_1 11        /* a string may lack its closing quote */
#define GV_CANARY_JSON_2 12        /* no limit of depth */
#define GV_CANARY_JSON_3 13        /* no limit of memory */
#define GV_CANARY_SAFETENSORS_1 21 /* a tensor may end past the end of the file */
#define GV_CANARY_SAFETENSORS_2 22 /* data_offsets need not span the size of the shape */
#define GV_CANARY_SAFETENSORS_3 23 /* more dimensions than a view holds */
#define GV_CANARY_NPZ_1 31         /* a string in the header may lack its closing quote */
#define GV_CANARY_NPZ_2 32         /* more dimensions than a view holds */
#define GV_CANARY_NPZ_3 33         /* the data may end before the shape is full */
#define GV_CANARY_ZIP_1 41         /* a payload may end past the directory */
#define GV_CANARY_ZIP_2 42         /* the directory may announce any number of members */
#define GV_CANARY_ZIP_3 43         /* a local header may begin past the end of the file */
#define GV_CANARY_PICKLE_1 51      /* opcodes take values that are not on the stack */
#define GV_CANARY_PICKLE_2 52      /* memo entries beyond the memo are fetched */
#define GV_CANARY_PICKLE_3 53      /* no limit of memory */
#define GV_CANARY_TORCH_1 61       /* a tensor may reach past its storage */
#define GV_CANARY_TORCH_2 62       /* a part of a storage may lie outside of it */
#define GV_CANARY_TORCH_3 63       /* the type of a storage may be any value */

#ifdef GV_CANARY
extern int gv_canary;
#define GV_CANARY_IS(name) (gv_canary == GV_CANARY_##name)
#else
#define GV_CANARY_IS(name) 0
#endif

#endif
