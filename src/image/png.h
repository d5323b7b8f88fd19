/* The record that ganvas keeps in its PNG files: a tEXt chunk `ganvas` holding JSON in ASCII. */
#ifndef GV_IMAGE_PNG_H
#define GV_IMAGE_PNG_H

#include "base/error.h"

/* Finds the chunk without decoding anything.
 * *text  points into data, *length bytes, not ended by NUL
 * Errors GV_E_FORMAT if data is no PNG, is damaged before the chunk, or has no such chunk. */
gv_status gv_png_record(const char **text, size_t *length, const uint8_t *data, size_t size,
                        const char *name, gv_error *err);

/* A copy of a PNG file with the record behind its header.
 * record  JSON in ASCII, or NULL: {}, by which the file is still known as ours
 * *out    returned owned (gv_mem_free) */
gv_status gv_png_add_record(uint8_t **out, size_t *out_size, const uint8_t *data, size_t size,
                            const char *record, gv_error *err);

#endif
