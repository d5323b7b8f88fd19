#!/usr/bin/env python3
"""Prints the photographs that inversion is judged on: tests/data/inversion50.txt, relative to the
data's folder.

    python tools/train/inversion_list.py ../shared/data/cat-faces200 > tests/data/inversion50.txt

Every tenth picture in sorted order. The folder also holds copies that were rotated to level the
eyes, with black corners where the photograph ended: where the tenth is visibly such a copy (a
border at least 30 % black) the next picture that is not takes its place. The first 50 are kept.
"""

import argparse
import pathlib

import numpy as np
from PIL import Image


def visibly_rotated(path):
    if "_cropped_aligned" not in path.name:
        return False
    with Image.open(path) as image:
        black = np.asarray(image.convert("RGB")).max(2) <= 10
    return max(edge.mean() for edge in (black[0], black[-1], black[:, 0], black[:, -1])) >= 0.3


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=pathlib.Path)
    folder = parser.parse_args().folder
    names = sorted(
        p.relative_to(folder).as_posix()
        for p in folder.rglob("*")
        if p.suffix.lower() in (".jpg", ".jpeg", ".png")
    )
    for first in range(0, len(names), 10)[:50]:
        print(next(n for n in names[first:] if not visibly_rotated(folder / n)))


if __name__ == "__main__":
    main()
