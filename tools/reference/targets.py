#!/usr/bin/env python3
"""Writes what the tests of targets compare with: Pillow's resizing in 8 bits, and a picture and its
mask stored upright and turned.

    python tools/reference/targets.py tests/image/data tests/job/data

Needs pillow and numpy (tools/requirements.txt).
"""
import sys
from pathlib import Path

import numpy as np
from PIL import Image

from images import ORIENTATION, rotated

# name, width, height, crop
CASES = [
    ("grow", 64, 48, (0, 0, 41, 29)),
    ("shrink", 16, 16, (0, 0, 41, 29)),
    ("crop", 20, 11, (3.5, 2.25, 37.5, 20.25)),
    ("same", 41, 29, (0, 0, 41, 29)),
]


def write_resized(folder: Path) -> None:
    rng = np.random.default_rng(7)
    rgba = rng.integers(0, 256, (29, 41, 4), dtype=np.uint8)
    rgba[:9, :, 3] = 0
    rgba[20:, :, 3] = 255
    np.save(folder / "resize8.npy", rgba)
    for mode, channels in (("RGB", 3), ("RGBA", 4)):
        image = Image.fromarray(rgba[:, :, :channels].copy(), mode)
        for name, width, height, box in CASES:
            out = image.resize((width, height), Image.Resampling.BICUBIC, box=box)
            np.save(folder / f"resize8-{name}-{mode.lower()}.npy", np.asarray(out))


def write_turned(folder: Path) -> None:
    rng = np.random.default_rng(8)
    picture = Image.fromarray(rng.integers(0, 256, (28, 40, 3), dtype=np.uint8))
    mask = np.zeros((28, 40), np.uint8)
    mask[3:17, 6:29] = 255
    mask[17:20, 6:29] = 100
    for name, image in (("picture", picture), ("mask", Image.fromarray(mask))):
        image.save(folder / f"{name}.tif")
        for orientation in (3, 6, 7):
            rotated(image, orientation).save(folder / f"{name}{orientation}.tif",
                                             tiffinfo={ORIENTATION: orientation})


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    write_resized(Path(sys.argv[1]))
    write_turned(Path(sys.argv[2]))
