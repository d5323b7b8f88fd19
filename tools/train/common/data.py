"""Pictures as one uint8 array [N,3,H,W], with a fixed tenth held out by name."""

import hashlib
import pathlib
import tarfile

import numpy as np
import torch
from PIL import Image


def held_out(name):
    """True for a tenth of all names, the same tenth on every machine and for every order."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:4]) % 10 == 0


def _members(source):
    """Yields (name, open file) of the pictures in a tar file or below a folder, sorted by name."""
    path = pathlib.Path(source)
    if path.is_dir():
        for file in sorted(
            p for p in path.rglob("*") if p.suffix.lower() in (".jpg", ".jpeg", ".png")
        ):
            yield file.relative_to(path).as_posix(), file
    else:
        with tarfile.open(path) as tar:
            for member in sorted((m for m in tar if m.isfile()), key=lambda m: m.name):
                if member.name.lower().endswith((".jpg", ".jpeg", ".png")):
                    yield member.name, tar.extractfile(member)


def load(source, size):
    """Returns (training, held-out) uint8 tensors [N,3,size,size]; other sizes are an error."""
    parts = {False: [], True: []}
    for name, file in _members(source):
        with Image.open(file) as image:
            pixels = np.asarray(image.convert("RGB"))
        if pixels.shape != (size, size, 3):
            raise SystemExit(f"{source}: {name} is {pixels.shape}, expected ({size}, {size}, 3)")
        parts[held_out(name)].append(pixels.transpose(2, 0, 1))
    return tuple(torch.from_numpy(np.stack(parts[kept])) for kept in (False, True))


def to_float(pixels):
    return pixels.float() / 127.5 - 1


def batch(pixels, n):
    """n pictures drawn with replacement, each mirrored with probability one half, in [-1,1]."""
    x = to_float(pixels[torch.randint(len(pixels), (n,))])
    return torch.where(torch.rand(n, 1, 1, 1) < 0.5, x.flip(3), x)
