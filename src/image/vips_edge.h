/* What load.c and save.c share about libvips. Present in builds with libvips only. */
#ifndef GV_IMAGE_VIPS_EDGE_H
#define GV_IMAGE_VIPS_EDGE_H

#include "base/error.h"

/* Starts libvips once in the process: no operation cache, and its log domain is silent, since a
 * library must not print. */
gv_status gv_vips_start(gv_error *err);

/* "<name>: <what libvips says, on one line>". Empties libvips's error buffer. */
gv_status gv_vips_fail(gv_error *err, gv_status status, const char *name);

#endif
