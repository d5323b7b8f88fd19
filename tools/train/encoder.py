#!/usr/bin/env python3
"""Trains the encoder (a picture to w+) that belongs to one embedded StyleGAN2 generator.

    python tools/train/encoder.py --model models/cats64-stylegan2.safetensors \
        --data ../shared/data/cats64/cats64_aligned_9303_jpg.tar --run runs/encoder64 [--minutes
        40] \
        [--export models/cats64-encoder.safetensors]

Half of each batch are generated pictures, whose w+ is known, half photographs, judged by LPIPS and
L1 of what the generator makes of the answer. Resumes like the other runs; the held-out
photographs' LPIPS goes to lpips.csv. A generator that changed under a run is noticed and refused:
start a new folder (with --init: from the old encoder).
"""

import argparse
import hashlib
import pathlib
import time

import torch
import torch.nn.functional as F

from common import data, encoder, gan, runs, stylegan2, vgg


class EncoderRun:
    def __init__(self, args, generator, net, identity):
        self.args, self.folder = args, pathlib.Path(args.run)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.generator = (
            generator.eval().requires_grad_(False).to(memory_format=torch.channels_last)
        )
        self.net = net.to(memory_format=torch.channels_last)
        self.identity = identity
        self.adam = torch.optim.Adam(net.parameters(), lr=args.rate, betas=(0.9, 0.99), fused=True)
        self.pixels, self.held_out = data.load(args.data, generator.config["img_resolution"])
        tensors = vgg.load(gan.MODELS / "vgg16-lpips.safetensors")
        self.lpips = vgg.Lpips(tensors).to(memory_format=torch.channels_last)
        self.images = 0
        with torch.no_grad():
            w = generator.mapping(torch.randn(4096, generator.z_dim))
        self.w_std = w.std(0)
        self.w_avg = w.mean(0)

    def state(self):
        return {
            "images": self.images,
            "net": self.net.state_dict(),
            "adam": self.adam.state_dict(),
            "identity": self.identity,
        }

    def resume(self):
        state = runs.load_checkpoint(self.folder / "checkpoint.pt")
        if state is None:
            return False
        if state["identity"] != self.identity:
            raise SystemExit(
                f"{self.folder}: was trained for another generator (sha256 {state['identity']})"
            )
        self.net.load_state_dict(state["net"])
        self.adam.load_state_dict(state["adam"])
        self.images = state["images"]
        return True

    def shifted(self, x, reach=4):
        """Photographs rarely are aligned to the pixel: moved by up to `reach`, edges repeated."""
        dy, dx = torch.randint(0, 2 * reach + 1, (2,)).tolist()
        size = x.shape[-1]
        return F.pad(x, (reach,) * 4, mode="replicate")[:, :, dy : dy + size, dx : dx + size]

    def step(self):
        half = self.args.batch // 2
        with torch.no_grad():
            ws = self.generator.mixed(torch.randn(half, self.generator.z_dim), 0.5)
            # Some pairs away from the mapping's range, where w+ of photographs lie.
            ws = ws + 0.3 * self.w_std * torch.randn_like(ws) * torch.rand(half, 1, 1)
            made = self.generator.synthesis(ws, "const").clamp(-1, 1)
        photos = self.shifted(data.batch(self.pixels, half))
        target = torch.cat((made, photos))
        with torch.autocast("cpu", torch.bfloat16):
            answer = self.net(target)
            image = self.generator.synthesis(answer, "const")
            with torch.no_grad():
                wanted = self.lpips.features(target)
            perceptual = self.lpips.distance(self.lpips.features(image), wanted).mean()
        latent = ((answer[:half] - ws) / self.w_std).square().mean()
        # Keeps the answers for photographs where the generator knows its way.
        prior = ((answer[half:] - self.w_avg) / self.w_std).square().mean()
        l1 = (image - target).abs().mean()
        loss = perceptual + l1 + 0.1 * latent + 0.005 * prior
        self.adam.zero_grad()
        loss.backward()
        self.adam.step()
        self.images += self.args.batch
        return {
            "lpips": perceptual.item(),
            "l1": l1.item(),
            "latent": latent.item(),
            "prior": prior.item(),
        }

    @torch.no_grad()
    def measure(self):
        """Mean LPIPS of the held-out photographs and what comes back; 24 pairs as a picture."""
        self.net.eval()
        total = 0.0
        for part in self.held_out.split(32):
            x = data.to_float(part)
            total += (
                self.lpips(x, self.generator.synthesis(self.net(x), "const").clamp(-1, 1))
                .sum()
                .item()
            )
        x = data.to_float(self.held_out[:24])
        y = self.generator.synthesis(self.net(x), "const").clamp(-1, 1)
        grid = torch.cat([torch.cat((x[k : k + 12], y[k : k + 12])) for k in (0, 12)])
        runs.save_grid(self.folder / f"heldout-{self.images:07d}.png", grid, 12)
        self.net.train()
        mean = total / len(self.held_out)
        runs.append_csv(self.folder / "lpips.csv", {"images": self.images, "lpips": round(mean, 4)})
        print(f"{self.images} images: held-out LPIPS {mean:.4f}", flush=True)
        return mean

    def run(self):
        end = marked = time.monotonic()
        end += 60 * self.args.minutes
        rows, measured = [], self.images
        while self.images < self.args.until and time.monotonic() < end:
            runs.wait_while_paused(self.folder)
            share = min(1.0, self.images / 8000) * (1 - 0.95 * self.images / self.args.until)
            for group in self.adam.param_groups:
                group["lr"] = self.args.rate * share
            rows.append(self.step())
            if len(rows) == 50:
                mean = {k: round(sum(r[k] for r in rows) / len(rows), 4) for k in rows[0]}
                runs.append_csv(self.folder / "log.csv", {"images": self.images, **mean})
                rows = []
            if self.images - measured >= 40000:
                self.measure()
                measured = self.images
            if time.monotonic() - marked > 600:
                runs.save_checkpoint(self.folder / "checkpoint.pt", self.state())
                marked = time.monotonic()
        runs.save_checkpoint(self.folder / "checkpoint.pt", self.state())


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--model", required=True, help="the generator, .safetensors")
    parser.add_argument("--data", required=True, help="tar or folder of photographs of its size")
    parser.add_argument("--run", required=True)
    parser.add_argument("--init", help="an encoder to start from")
    parser.add_argument("--export", help="the .safetensors file to write at the end")
    parser.add_argument(
        "--until", type=int, default=300_000, help="pictures; the learning rate falls until then"
    )
    parser.add_argument("--minutes", type=float, default=1e9)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--rate", type=float, default=1e-3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    gan.prepare(args)
    generator, _ = stylegan2.load(args.model)
    identity = hashlib.sha256(pathlib.Path(args.model).read_bytes()).hexdigest()
    net = encoder.load(args.init) if args.init else encoder.Encoder(encoder.config(generator))
    run = EncoderRun(args, generator, net, identity)
    if not args.init:
        net.start_at(run.w_avg, run.w_std)
    net.config["model_sha256"] = identity
    print(
        f"{sum(p.numel() for p in net.parameters()):,} parameters, resumed: {run.resume()}",
        flush=True,
    )
    run.run()
    run.measure()
    if args.export:
        encoder.save(args.export, net)


if __name__ == "__main__":
    main()
