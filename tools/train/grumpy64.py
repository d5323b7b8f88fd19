#!/usr/bin/env python3
"""Fine-tunes the cats64 generator on the course's Grumpy Cat and Russian Blue faces.

    python tools/train/grumpy64.py --data ../shared/data/grumpy64 --run runs/grumpy64 \
        --init models/cats64-stylegan2.safetensors --state tools/train/state/cats64.safetensors \
        --export runs/grumpy64/grumpy64-stylegan2.safetensors

Few pictures and many parameters: the heads start from those that know cats, VGG16 stays frozen
below them (the role that FreezeD's lower layers play), DiffAugment is on, mapping network and 4 x
4 block stay as they are, and the learning rate is a quarter. The photographs are not cleared for
redistribution: the weights stay outside models/ and git.
"""

import argparse

import numpy as np

from common import gan, stylegan2


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    gan.add_arguments(parser, until=40_000)
    parser.add_argument("--init", required=True, help="the cats64 generator")
    parser.add_argument("--state", help="the heads that belong to --init")
    parser.add_argument("--export", help="the .safetensors file to write at the end")
    args = parser.parse_args()
    gan.prepare(args)
    generator, seen = stylegan2.load(args.init)
    generator.mapping.requires_grad_(False)
    generator.synthesis.b4.requires_grad_(False)
    options = gan.Options(
        g_rate=5e-4,
        d_rate=2e-4,
        warmup=0 if args.state else 4096,
        ramp=2048,
        ema_halflife=2000,
        kid_every=5000,
    )
    args.until += seen
    # The averaged weights are what the frozen part must stay at: only the heads are taken over.
    run = gan.from_arguments(args, generator, 64, options, seen, args.state, ("heads",))
    run.run(args.until, args.minutes)
    if args.export:
        run.ema.finish()
        stylegan2.save(args.export, run.ema, run.images, np.float16)


if __name__ == "__main__":
    main()
