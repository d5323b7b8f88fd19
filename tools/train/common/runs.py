"""What every run does beside learning: checkpoints, a log, pictures, waiting for others."""

import csv
import os
import pathlib
import time

import numpy as np
import torch
from PIL import Image


def save_checkpoint(path, state):
    """Adds torch's random state. Only a whole file takes the old one's place."""
    state = dict(state, rng=torch.get_rng_state())
    partial = f"{path}.part"
    torch.save(state, partial)
    os.replace(partial, path)


def load_checkpoint(path):
    """The state of save_checkpoint (random state restored), or None where there is none yet."""
    if not pathlib.Path(path).exists():
        return None
    state = torch.load(path, weights_only=True)
    torch.set_rng_state(state.pop("rng"))
    return state


def append_csv(path, row):
    """Appends a dict; the first row of a new file brings the names."""
    fresh = not pathlib.Path(path).exists()
    with open(path, "a", newline="") as file:
        writer = csv.DictWriter(file, row)
        if fresh:
            writer.writeheader()
        writer.writerow(row)


def wait_while_paused(run):
    """Sleeps as long as PAUSE stands beside the run's folder. Returns the seconds slept."""
    flag, start = pathlib.Path(run).parent / "PAUSE", time.monotonic()
    while flag.exists():
        time.sleep(2)
    return time.monotonic() - start


def to_bytes(images):
    """[N,3,H,W] in [-1,1] -> uint8 [N,H,W,3], as the official generate script converts."""
    scaled = (images.detach() * 127.5 + 128).clamp(0, 255)
    return scaled.permute(0, 2, 3, 1).numpy().astype(np.uint8)


def save_grid(path, images, columns):
    """Writes pictures [N,3,H,W] row by row; N is a multiple of columns."""
    pixels = to_bytes(images)
    n, h, w, c = pixels.shape
    grid = (
        pixels.reshape(n // columns, columns, h, w, c)
        .swapaxes(1, 2)
        .reshape(n // columns * h, columns * w, c)
    )
    Image.fromarray(grid).save(path)
