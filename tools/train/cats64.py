#!/usr/bin/env python3
"""Trains the cats64 StyleGAN2 generator: a projected GAN on the CPU.

    python tools/train/cats64.py --run runs/cats64 \
        --data ../shared/data/cats64/cats64_aligned_9303_jpg.tar \
        [--init models/cats64-stylegan2.safetensors [--state tools/train/state/cats64.safetensors]]
        [--minutes 120]

The same command goes on where a killed run stopped (runs/cats64/checkpoint.pt, every ten minutes).
In a fresh folder it starts from random weights, or with --init from a generator (its averaged
weights) and fresh heads, or with --state as well from that generator's own training weights and
heads (tools/train/milestone.py writes both files). A file PAUSE beside the run's folder makes it
sleep.
"""

import argparse

from common import gan, stylegan2


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    gan.add_arguments(parser, until=1_500_000)
    parser.add_argument("--init", help="a generator to start from")
    parser.add_argument("--state", help="training weights and heads that belong to --init")
    args = parser.parse_args()
    if args.state and not args.init:
        parser.error("--state needs --init")
    gan.prepare(args)
    options = gan.Options()
    if args.init:
        generator, images = stylegan2.load(args.init)
    else:
        generator, images = stylegan2.Generator(stylegan2.config(64, 4096, 192)), 0
    if args.state or not args.init:
        options.warmup = 0
    run = gan.from_arguments(args, generator, 64, options, images, args.state)
    run.run(args.until, args.minutes)


if __name__ == "__main__":
    main()
