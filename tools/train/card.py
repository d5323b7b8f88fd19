#!/usr/bin/env python3
"""Measures an embedded generator and writes the measured part of its card.

    python tools/train/card.py models/cats64-stylegan2.safetensors \
        --data ../shared/data/cats64/cats64_aligned_9303_jpg.tar --trend runs/cats64/kid.csv

Writes beside the model <name>.grid.png (12 x 6, psi 1, seeds 0-71, nothing picked) and
<name>.nearest.png (16 samples above the training pictures nearest to them), and replaces what
stands between the two marks in <name>.md.
"""

import argparse
import csv
import pathlib

import torch
import torch.nn.functional as F

from common import data, dcgan, kid, runs, stylegan2, vgg

BEGIN, END = "<!-- measured by tools/train/card.py -->", "<!-- end of what was measured -->"
MODELS = pathlib.Path(__file__).resolve().parents[2] / "models"


def load_generator(path):
    """Either kind of embedded generator, by its suffix."""
    if path.suffix == ".pth":
        generator = dcgan.DCGenerator()
        generator.load_state_dict(torch.load(path, weights_only=True))
        return generator.eval()
    return stylegan2.load(path)[0].eval()


@torch.no_grad()
def nearest(images, pixels, lpips, shortlist=24):
    """The training picture (or its mirror image) nearest by LPIPS to each of images [N,3,H,W].

    Candidates are the `shortlist` nearest by pixels reduced to 16 x 16. Returns (pictures
    [N,3,H,W], distances [N]).
    """
    small = torch.cat(
        [F.avg_pool2d(data.to_float(p), p.shape[-1] // 16) for p in pixels.split(512)]
    )
    small = torch.cat((small, small.flip(3))).flatten(1)
    queries = F.avg_pool2d(images, images.shape[-1] // 16).flatten(1)
    order = torch.cdist(queries, small).topk(shortlist, largest=False).indices
    found, distances = [], []
    for image, row in zip(images, order):
        candidates = data.to_float(pixels[row % len(pixels)])
        mirrored = (row >= len(pixels))[:, None, None, None]
        candidates = torch.where(mirrored, candidates.flip(3), candidates)
        away = lpips.distance(lpips.features(image[None]), lpips.features(candidates))
        found.append(candidates[away.argmin()])
        distances.append(away.min())
    return torch.stack(found), torch.stack(distances)


def trend_rows(path, most=12):
    """The run's measurements, thinned to at most so many lines, first and last always kept."""
    with open(path) as file:
        rows = list(csv.DictReader(file))
    count = min(most, len(rows))
    return [rows[round(k * (len(rows) - 1) / max(count - 1, 1))] for k in range(count)]


class Judge:
    """Data and networks that figures need, loaded once."""

    def __init__(self, source, size):
        self.pixels, self.held_out = data.load(source, size)
        tensors = vgg.load(MODELS / "vgg16-lpips.safetensors")
        self.lpips = vgg.Lpips(tensors)
        self.distance = kid.KernelDistance(tensors, self.held_out)

    @torch.no_grad()
    def floor(self, count=1000):
        """The distance that as many training photographs get: what a perfect generator would."""
        rng = torch.Generator().manual_seed(0)
        some = self.pixels[torch.randperm(len(self.pixels), generator=rng)[:count]]
        features = self.distance.features(lambda n, k: data.to_float(some[k : k + n]), count)
        return self.distance(features)


@torch.no_grad()
def describe(model, judge, own, count, trend):
    """Makes the two pictures; returns the card's measured lines. own: (KID x 1000, spread)."""
    generator = load_generator(model)
    pixels, held_out = judge.pixels, judge.held_out
    samples = generator(stylegan2.seed_latents(range(72), generator.z_dim)).clamp(-1, 1)
    runs.save_grid(model.with_suffix(".grid.png"), samples, 12)

    found, apart = nearest(samples[:16], pixels, judge.lpips)
    photos = data.to_float(held_out[:: len(held_out) // 16][:16])
    _, photos_apart = nearest(photos, pixels, judge.lpips)
    pairs = torch.cat((samples[:8], found[:8], samples[8:16], found[8:]))
    runs.save_grid(model.with_suffix(".nearest.png"), pairs, 8)

    lines = [
        "Kernel distance (KID's estimator on VGG16's conv4_3, x 1000; tools/train/common/kid.py), "
        f"{count:,} pictures at psi 1 against {len(held_out)} held-out ones: **{own[0]:.1f}**. "
        f"1,000 training photographs get {judge.floor():.1f}. The features vary {own[1]:.2f} times "
        "as much as the held-out ones' (1 is as varied as the data).",
        "",
        f"![seeds 0 to 71, psi 1, nothing picked]({model.with_suffix('.grid.png').name})",
        "",
        f"![seeds 0 to 15 above their nearest]({model.with_suffix('.nearest.png').name})",
        "",
        "Seeds 0 to 15, each above the training picture (or its mirror image) nearest by LPIPS. "
        f"Distance to it: median {apart.median():.3f}, smallest {apart.min():.3f}; 16 held-out "
        f"photographs are median {photos_apart.median():.3f}, smallest {photos_apart.min():.3f} "
        "from theirs.",
    ]
    if trend:
        lines += [
            "",
            "Trend over training (2,000 pictures each, averaged weights):",
            "",
            "| images seen | KID x 1000 | spread |",
            "|---|---|---|",
        ]
        lines += [
            f"| {int(r['images']):,} | {float(r['kid_x1000']):.1f} | {float(r['spread']):.2f} |"
            for r in trend_rows(trend)
        ]
    return lines


def update(card, lines):
    """Puts lines between the marks of the card; other text stays."""
    text = card.read_text()
    if BEGIN not in text or END not in text:
        raise SystemExit(f"{card}: the marks '{BEGIN}' and '{END}' are missing")
    before, rest = text.split(BEGIN, 1)
    card.write_text(before + BEGIN + "\n" + "\n".join(lines) + "\n" + END + rest.split(END, 1)[1])


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("model", type=pathlib.Path, help=".safetensors (StyleGAN2) or .pth (DCGAN)")
    parser.add_argument("--data", required=True, help="the pictures it was trained on")
    parser.add_argument("--trend", help="kid.csv of the run")
    parser.add_argument("--count", type=int, default=3000, help="pictures for the kernel distance")
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    generator = load_generator(args.model)
    judge = Judge(args.data, generator(torch.ones(1, generator.z_dim)).shape[-1])
    own = judge.distance.of_generator(generator, args.count)
    lines = describe(args.model, judge, own, args.count, args.trend)
    update(args.model.with_suffix(".md"), lines)


if __name__ == "__main__":
    main()
