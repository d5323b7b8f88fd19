"""The adversarial run that all our generators share: projected discriminator, EMA, checkpoints, figures.

A generator here is a module with z_dim, forward(z) (a picture, no randomness but z) and training_batch(n).
"""

import copy
import dataclasses
import pathlib
import time

import torch
import torch.nn.functional as F
from torch.nn.utils import parametrize

from . import data, runs
from .diffaugment import augment
from .discriminator import Heads, Projector
from .kid import KernelDistance


@dataclasses.dataclass
class Options:
    batch: int = 16
    g_rate: float = 2e-3          # for equalised learning rates; a plain generator needs about 2e-4
    d_rate: float = 4e-4          # at the generator's 2e-3 the heads win at once and nothing is learnt
    warmup: int = 4096            # pictures that only fresh heads learn from, the generator frozen
    ramp: int = 8192              # pictures over which the generator's rate rises after that
    ema_halflife: float = 10000   # pictures, at most 5 % of those seen
    checkpoint_seconds: float = 600
    kid_every: int = 20000        # pictures
    log_every: int = 50           # steps


def hinge(real_maps, fake_maps):
    pairs = zip(real_maps, fake_maps)
    return sum(F.relu(1 - r).mean() + F.relu(1 + f).mean() for r, f in pairs)


class GanRun:
    """A resumable run in a folder: checkpoint.pt, log.csv, kid.csv, samples-<images>.png, EMA in the checkpoint."""

    def __init__(self, folder, generator, pixels, held_out, vgg_tensors, options, images=0):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.options, self.pixels, self.images = options, pixels, images
        self.start = images
        self.generator = generator.to(memory_format=torch.channels_last).train()
        self.ema = copy.deepcopy(generator).eval().requires_grad_(False)
        calibration = data.to_float(pixels[:256])
        self.projector = Projector(vgg_tensors, calibration).to(memory_format=torch.channels_last)
        self.heads = Heads().to(memory_format=torch.channels_last)
        adam = {"betas": (0.0, 0.99), "eps": 1e-8, "fused": True}
        self.g_adam = torch.optim.Adam(self.generator.parameters(), lr=options.g_rate, **adam)
        self.d_adam = torch.optim.Adam(self.heads.parameters(), lr=options.d_rate, **adam)
        self.distance = KernelDistance(vgg_tensors, held_out)
        self.grid_z = torch.randn(48, generator.z_dim, generator=torch.Generator().manual_seed(7))
        self.kid_at = -1              # images seen at the last measurement

    def state(self):
        return {"images": self.images, "start": self.start, "kid_at": self.kid_at,
                "generator": self.generator.state_dict(), "ema": self.ema.state_dict(),
                "heads": self.heads.state_dict(),
                "g_adam": self.g_adam.state_dict(), "d_adam": self.d_adam.state_dict()}

    def resume(self):
        """Goes on from the folder's checkpoint if it has one; returns whether it had."""
        state = runs.load_checkpoint(self.folder / "checkpoint.pt")
        if state is None:
            return False
        for name in ("generator", "ema", "heads", "g_adam", "d_adam"):
            getattr(self, name).load_state_dict(state[name])
        self.images, self.start, self.kid_at = state["images"], state["start"], state["kid_at"]
        return True

    def set_rates(self):
        """The generator's rate is 0 while fresh heads learn, then rises. Returns whether it learns at all."""
        since = self.images - self.start - self.options.warmup
        share = min(max(since / self.options.ramp, 0.0), 1.0)
        for adam, rate in ((self.g_adam, self.options.g_rate * share), (self.d_adam, self.options.d_rate)):
            for group in adam.param_groups:
                group["lr"] = rate
        return since > 0

    def step(self):
        """One batch: the heads learn from it, then the generator through the same forward passes."""
        n = self.options.batch
        learning = self.set_rates()
        real = augment(data.batch(self.pixels, n))
        with torch.autocast("cpu", torch.bfloat16):
            with torch.set_grad_enabled(learning):
                image = self.generator.training_batch(n)
                fake = augment(image)
                fake_features = self.projector(fake)
            with torch.no_grad():
                real_features = self.projector(real)
            self.heads.train()
            both = [torch.cat((r, f.detach())) for r, f in zip(real_features, fake_features)]
            with parametrize.cached():
                maps = self.heads(torch.cat((real, fake.detach())), both)
            d_loss = hinge([m[:n] for m in maps], [m[n:] for m in maps])
        self.d_adam.zero_grad()
        d_loss.backward()
        self.d_adam.step()
        row = {"d_loss": d_loss.item()}
        row.update({f"gap{k}": (m[:n].mean() - m[n:].mean()).item() for k, m in enumerate(maps)})
        if learning:
            row["g_loss"] = self.generator_step(image, fake, fake_features)
        self.images += n
        self.update_ema()
        return row

    def generator_step(self, image, fake, features):
        self.heads.eval().requires_grad_(False)
        with torch.autocast("cpu", torch.bfloat16), parametrize.cached():
            maps = self.heads(fake, features)
        loss = -sum(m.mean() for m in maps)
        outside = (image.abs() - 1).clamp(min=0).square().mean()
        self.g_adam.zero_grad()
        (loss + outside).backward()
        self.g_adam.step()
        self.heads.requires_grad_(True)
        return loss.item()

    @torch.no_grad()
    def update_ema(self):
        halflife = min(self.options.ema_halflife, 0.05 * self.images)
        keep = 0.5 ** (self.options.batch / max(halflife, 1e-8))
        average = list(self.ema.parameters())
        torch._foreach_lerp_(average, [p.detach() for p in self.generator.parameters()], 1 - keep)

    @torch.no_grad()
    def measure(self):
        distance, spread = self.distance.of_generator(self.ema)
        self.kid_at = self.images
        row = {"images": self.images, "kid_x1000": round(distance, 3), "spread": round(spread, 4)}
        runs.append_csv(self.folder / "kid.csv", row)
        runs.save_grid(self.folder / f"samples-{self.images:07d}.png", self.ema(self.grid_z), 12)
        print(f"{self.images} images: KID x 1000 {distance:.3f}, spread {spread:.3f}", flush=True)

    def run(self, until):
        """Trains until so many pictures were seen; measures at the start, at intervals and at the end."""
        options, marked, shown = self.options, time.monotonic(), time.monotonic()
        if self.kid_at < 0:
            self.measure()
        rows, slept = [], 0.0
        while self.images < until:
            slept += runs.wait_while_paused(self.folder)
            rows.append(self.step())
            if len(rows) == options.log_every:
                seconds = time.monotonic() - shown - slept
                self.log(rows, seconds)
                rows, slept, shown = [], 0.0, time.monotonic()
            if self.images - self.kid_at >= options.kid_every:
                self.measure()
            if time.monotonic() - marked > options.checkpoint_seconds or self.images >= until:
                runs.save_checkpoint(self.folder / "checkpoint.pt", self.state())
                marked = time.monotonic()
        if self.kid_at < self.images:
            self.measure()
            runs.save_checkpoint(self.folder / "checkpoint.pt", self.state())

    def log(self, rows, seconds):
        names = list(rows[-1])
        mean = {k: round(sum(r.get(k, 0.0) for r in rows) / len(rows), 4) for k in names}
        rate = round(len(rows) * self.options.batch / seconds, 2)
        runs.append_csv(self.folder / "log.csv", {"images": self.images, "rate": rate,
                                                  **{"g_loss": 0.0}, **mean})
        print(self.images, f"{rate}/s", mean, flush=True)
