/* A small built-in font of ASCII. */
#ifndef GV_IMAGE_FONT_H
#define GV_IMAGE_FONT_H

#include <stdbool.h>

#define GV_FONT_WIDTH 5
#define GV_FONT_HEIGHT 9 /* two rows of it below the base line */

/* Is pixel (x,y) of the character ink? '?' stands for what is not ASCII. */
bool gv_font_pixel(char c, int x, int y);

#endif
