/* Alpha as a mask: what of a picture counts. */
#ifndef GV_IMAGE_MASK_H
#define GV_IMAGE_MASK_H

#include "image/image.h"

/* Is any pixel less than opaque? */
bool gv_image_is_transparent(const gv_image *image);

/* Four channels instead of three, opaque. Nothing to do for RGBA. Errors GV_E_MEMORY. */
gv_status gv_image_add_alpha(gv_image *image, gv_error *err);

/* Paints the picture on white; an alpha channel stays, opaque. */
void gv_image_on_white(gv_image *image);

/* The alpha of image [RGBA] becomes the mask's: its alpha if that is not opaque everywhere, else
 * its lightness, white 255. A mask of another size is stretched over the picture, without
 * smoothing. */
void gv_image_set_mask(gv_image *image, const gv_image *mask);

/* Pixels of RGBA `image` whose colour is the border's (every channel within 32 of 255) become
 * transparent, wherever they are.
 * background  the colour, as RGB; may be NULL
 * Returns false, and changes nothing, if less than half of the border has one colour. */
bool gv_image_mask_border(gv_image *image, uint8_t background[3]);

#endif
