#!/usr/bin/env python3
"""Turns a run's checkpoint into the embedded model, its card, and what the next run goes on from.

    python tools/train/milestone.py --run runs/cats64 \
        --data ../shared/data/cats64/cats64_aligned_9303_jpg.tar

Writes models/cats64-stylegan2.safetensors (averaged weights, float16), the measured part of
models/cats64-stylegan2.md with its pictures, and tools/train/state/cats64.safetensors (training
weights and heads, float16; for `cats64.py --init --state`). Nothing is written unless the kernel
distance to the held-out pictures is below that of the model that stands there, and float16's
rounding is invisible (LPIPS below 0.001 on every one of 72 samples).
"""

import argparse
import pathlib

import numpy as np
import torch

import card
from common import gan, runs, stylegan2

TRAIN = pathlib.Path(__file__).resolve().parent


def rounded(generator, path, images):
    """Saves as float16 and returns what a reader of that file gets."""
    stylegan2.save(path, generator, images, np.float16)
    return stylegan2.load(path)[0].eval()


@torch.no_grad()
def compare(exact, half, lpips):
    """(largest LPIPS, largest pixel difference in steps of 1/255) of 72 samples."""
    z = stylegan2.seed_latents(range(72), exact.z_dim)
    a, b = exact(z).clamp(-1, 1), half(z).clamp(-1, 1)
    return lpips(a, b).max().item(), (a - b).abs().max().item() * 127.5


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--run", required=True, type=pathlib.Path)
    parser.add_argument("--data", required=True)
    parser.add_argument("--name", default="cats64-stylegan2", help="the model's file in models/")
    parser.add_argument("--count", type=int, default=3000)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)

    model = card.MODELS / f"{args.name}.safetensors"
    present = stylegan2.load(model)[0].eval()
    state = runs.load_checkpoint(args.run / "checkpoint.pt")
    averaged = stylegan2.Generator(present.config).eval()
    averaged.load_state_dict(state["ema"])
    averaged.finish()
    candidate = args.run / "candidate.safetensors"
    half = rounded(averaged, candidate, state["images"])

    judge = card.Judge(args.data, averaged.config["img_resolution"])
    lpips, step = compare(averaged, half, judge.lpips)
    print(
        f"float16: largest LPIPS of 72 samples {lpips:.6f}, largest pixel difference {step:.2f}/255"
    )
    before = judge.distance.of_generator(present, args.count)[0]
    own = judge.distance.of_generator(half, args.count)
    print(f"KID x 1000: {before:.1f} in models/ now, {own[0]:.1f} at {state['images']} images")
    if lpips > 1e-3:
        raise SystemExit("float16 is visible: nothing written")
    if own[0] >= before:
        raise SystemExit("not better: nothing written")

    candidate.replace(model)
    (TRAIN / "state").mkdir(exist_ok=True)
    gan.save_milestone(TRAIN / "state" / f"{args.run.name}.safetensors", state)
    lines = card.describe(model, judge, own, args.count, args.run / "kid.csv")
    note = (
        f"{state['images']:,} images seen. float16 against float32: largest LPIPS of 72 samples "
        f"{lpips:.6f}, largest difference of a pixel {step:.2f}/255. The model that stood here "
        f"before: KID {before:.1f}."
    )
    card.update(model.with_suffix(".md"), [note, ""] + lines)


if __name__ == "__main__":
    main()
