#!/usr/bin/env python3
"""Trains the course's small DCGAN generator on cats64, against the same heads as StyleGAN2's.

    python tools/train/dcgan.py --run runs/dcgan \
        --data ../shared/data/cats64/cats64_aligned_9303_jpg.tar \
        [--minutes 30] [--export models/cats64-dcgan.pth]

The same command goes on where a killed run stopped. --export writes the averaged weights as a
torch state dict when the run ends (with --minutes 0: at once, from the checkpoint).
"""

import argparse

import torch

from common import dcgan, gan


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    gan.add_arguments(parser, until=400_000)
    parser.add_argument("--export", help="the .pth file to write")
    args = parser.parse_args()
    gan.prepare(args)
    # A plain generator has no equalised learning rates: a quarter of StyleGAN2's.
    options = gan.Options(g_rate=5e-4, d_rate=4e-4, warmup=0, ramp=0)
    run = gan.from_arguments(args, dcgan.DCGenerator(), 64, options)
    run.run(args.until, args.minutes)
    if args.export:
        # Training uses channels_last weights; the file has the plain strides of the course's.
        averaged = run.ema.to(memory_format=torch.contiguous_format)
        torch.save(averaged.state_dict(), args.export)


if __name__ == "__main__":
    main()
