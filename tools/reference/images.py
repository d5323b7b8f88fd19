#!/usr/bin/env python3
"""Writes tests/image/data: small pictures of every kind that ganvas reads, and resized floats.

    python tools/reference/images.py tests/image/data

Every picture shows the same thing, four quadrants of 8 x 4 pixels: red, green / blue, white, so that
one test knows what to expect of all of them. Needs pillow and numpy (tools/requirements.txt).
"""
import struct
import sys
from pathlib import Path

import numpy as np
from PIL import Image

WIDTH, HEIGHT = 16, 8
ORIENTATION = 0x0112


def quadrants() -> np.ndarray:
    image = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    image[:4, :8] = (255, 0, 0)
    image[:4, 8:] = (0, 255, 0)
    image[4:, :8] = (0, 0, 255)
    image[4:, 8:] = (255, 255, 255)
    return image


def rotated(image: Image.Image, orientation: int) -> Image.Image:
    """The stored picture that a reader must turn by `orientation` to see `image`."""
    inverse = {
        2: [Image.Transpose.FLIP_LEFT_RIGHT],
        3: [Image.Transpose.ROTATE_180],
        4: [Image.Transpose.FLIP_TOP_BOTTOM],
        5: [Image.Transpose.TRANSPOSE],
        6: [Image.Transpose.ROTATE_90],
        7: [Image.Transpose.TRANSVERSE],
        8: [Image.Transpose.ROTATE_270],
    }
    for step in inverse.get(orientation, []):
        image = image.transpose(step)
    return image


def swapped_profile() -> bytes:
    """An RGB profile in which the first number means green and the second red, so that ignoring it
    cannot go unnoticed. ICC.1:2001, matrix and gamma."""

    def s15(*values: float) -> bytes:
        return b"".join(struct.pack(">i", round(v * 65536)) for v in values)

    red, green, blue = (0.4361, 0.2225, 0.0139), (0.3851, 0.7169, 0.0971), (0.1431, 0.0606, 0.7141)
    gamma = b"curv\0\0\0\0" + struct.pack(">IH", 1, round(2.2 * 256)) + b"\0\0"
    text = b"swapped\0"
    desc = b"desc\0\0\0\0" + struct.pack(">I", len(text)) + text + bytes(79)
    tags = {
        b"desc": desc,
        b"cprt": b"text\0\0\0\0none\0",
        b"wtpt": b"XYZ \0\0\0\0" + s15(0.9642, 1, 0.8249),
        b"rXYZ": b"XYZ \0\0\0\0" + s15(*green),
        b"gXYZ": b"XYZ \0\0\0\0" + s15(*red),
        b"bXYZ": b"XYZ \0\0\0\0" + s15(*blue),
        b"rTRC": gamma,
        b"gTRC": gamma,
        b"bTRC": gamma,
    }
    table, body = struct.pack(">I", len(tags)), b""
    start = 128 + 4 + 12 * len(tags)
    for name, tag in tags.items():
        table += name + struct.pack(">II", start + len(body), len(tag))
        body += tag + bytes(-len(tag) % 4)
    head = struct.pack(">I4xI4s4s4s12s4s", start + len(body), 0x02400000, b"mntr", b"RGB ", b"XYZ ",
                       struct.pack(">6H", 2000, 1, 1, 0, 0, 0), b"acsp")
    head += bytes(28) + s15(0.9642, 1, 0.8249)
    return head + bytes(128 - len(head)) + table + body


def write_pictures(out: Path) -> None:
    rgb = Image.fromarray(quadrants())
    rgb.save(out / "rgb.png")
    rgb.save(out / "rgb.webp", lossless=True)
    rgb.save(out / "rgb.tif", compression="tiff_lzw")
    rgb.save(out / "rgb.jpg", quality=95, subsampling=0)
    rgb.convert("CMYK").save(out / "cmyk.jpg", quality=95, subsampling=0)
    rgb.quantize(4).save(out / "palette.png")
    black = Image.new("RGB", rgb.size)
    rgb.save(out / "two-frames.gif", save_all=True, append_images=[black], duration=100, loop=0)

    alpha = np.zeros((HEIGHT, WIDTH, 4), np.uint8)
    alpha[..., :3] = quadrants()
    alpha[:, :8, 3] = 255
    alpha[:, 8:, 3] = 64
    Image.fromarray(alpha).save(out / "rgba.png")

    ramp = np.linspace(0, 65535, WIDTH * HEIGHT).astype(np.uint16).reshape(HEIGHT, WIDTH)
    Image.fromarray(ramp).save(out / "grey16.png")
    Image.fromarray((ramp >> 8).astype(np.uint8)).save(out / "grey8.png")

    for orientation in range(2, 9):
        exif = Image.Exif()
        exif[ORIENTATION] = orientation
        rotated(rgb, orientation).save(
            out / f"turned{orientation}.jpg", exif=exif, quality=95, subsampling=0
        )

    swapped = quadrants()[..., [1, 0, 2]]
    Image.fromarray(swapped).save(out / "profile.png", icc_profile=swapped_profile())
    rgb.save(out / "broken-profile.jpg", icc_profile=b"not a profile" * 20, quality=95, subsampling=0)


def write_resized(out: Path) -> None:
    source = np.random.RandomState(7).randint(0, 256, (37, 53, 3)).astype(np.uint8)
    np.save(out / "noise.npy", source)
    cases = {
        "bicubic-shrink": (Image.Resampling.BICUBIC, (16, 11), (0, 0, 53, 37)),
        "bicubic-crop-grow": (Image.Resampling.BICUBIC, (40, 44), (10.5, 3.25, 30.5, 25.25)),
        "lanczos-shrink": (Image.Resampling.LANCZOS, (7, 9), (8, 0, 45, 37)),
        "lanczos-grow": (Image.Resampling.LANCZOS, (64, 64), (20, 10, 40, 30)),
    }
    planes = [Image.fromarray(source[..., c].astype(np.float32) / 127.5 - 1) for c in range(3)]
    for name, (method, size, box) in cases.items():
        resized = [np.asarray(plane.resize(size, method, box)) for plane in planes]
        np.save(out / f"{name}.npy", np.stack(resized).astype(np.float32))


def main() -> None:
    out = Path(sys.argv[1])
    out.mkdir(parents=True, exist_ok=True)
    write_pictures(out)
    write_resized(out)


if __name__ == "__main__":
    main()
