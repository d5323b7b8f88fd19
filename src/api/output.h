/* What ganvas may write to. */
#ifndef GV_API_OUTPUT_H
#define GV_API_OUTPUT_H

#include "base/error.h"

/* May path be written? Yes if nothing is there, if force, or if ganvas wrote what is there: by the
 * mark that each kind of its files carries; a .npy file, which has no room for one, by the picture
 * of the same name beside it. Errors GV_E_IO with the hint --force; also if path is a folder or
 * cannot be looked at. */
gv_status gv_output_check(const char *path, bool force, gv_error *err);

/* Makes the folder and those above it. */
gv_status gv_output_make_folder(const char *path, gv_error *err);

/* The key by which a safetensors file of ours is known; its value names version and command. */
#define GV_OUTPUT_WRITER_KEY "ganvas_writer"
/* First lines of our .csv files. */
#define GV_OUTPUT_CURVE_HEADER "evaluations,start,seconds,loss"
#define GV_OUTPUT_INDEX_HEADER                                                                     \
    "name,source,status,loss,lpips,mean_lpips,psnr,evaluations,seconds,row,error"

#endif
