#!/usr/bin/env python3
"""Trains the cats64 StyleGAN2 generator: a projected GAN on the CPU.

    python tools/train/cats64.py --data ../shared/data/cats64/cats64_aligned_9303_jpg.tar --run runs/cats64 \
        [--init models/cats64-stylegan2.safetensors] [--until 1500000]

The same command goes on where a killed run stopped (runs/cats64/checkpoint.pt, every ten minutes). Without --init it
starts from random weights. A file PAUSE beside the run's folder makes it sleep.
"""

import argparse
import pathlib

import torch

from common import data, gan, stylegan2, vgg

MODELS = pathlib.Path(__file__).resolve().parents[2] / "models"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", required=True, help="tar or folder of 64 x 64 pictures")
    parser.add_argument("--run", required=True, help="folder of checkpoints, logs and samples")
    parser.add_argument("--init", help="a generator to start from (its EMA weights)")
    parser.add_argument("--until", type=int, default=1_500_000, help="pictures seen in total")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)

    pixels, held_out = data.load(args.data, 64)
    options = gan.Options()
    if args.init:
        generator, images = stylegan2.load(args.init)
    else:
        generator, images = stylegan2.Generator(stylegan2.config(64, 4096, 192)), 0
        options.warmup = 0
    run = gan.GanRun(args.run, generator, pixels, held_out,
                     vgg.load(MODELS / "vgg16-lpips.safetensors"), options, images)
    print(f"{len(pixels)} pictures, {len(held_out)} held out, resumed: {run.resume()}", flush=True)
    run.run(args.until)


if __name__ == "__main__":
    main()
