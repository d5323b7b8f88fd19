"""The adversarial run that all our generators share: heads, EMA, checkpoints, figures.


A generator here is a module with z_dim, forward(z) (a picture, no randomness but z) and
training_batch(n).
"""

import copy
import dataclasses
import pathlib
import signal
import time

import numpy as np
import torch
import torch.nn.functional as F
from torch.nn.utils import parametrize

from . import data, runs, safetensors, vgg
from .diffaugment import augment
from .discriminator import Heads, Projector
from .kid import KernelDistance


@dataclasses.dataclass
class Options:
    batch: int = 16
    g_rate: float = 2e-3  # for equalised learning rates; a plain generator needs about 2e-4
    d_rate: float = 8e-4  # at 2e-3 the heads win at once; at 4e-4 they have little to say
    warmup: int = 4096  # pictures that only fresh heads learn from, the generator frozen
    ramp: int = 8192  # pictures over which the generator's rate rises after that
    ema_halflife: float = 10000  # pictures, at most 5 % of those seen
    checkpoint_seconds: float = 600
    kid_every: int = 10000  # pictures
    log_every: int = 50  # steps
    pool: int = 64  # batches of real features kept for use again
    pool_fresh: float = 0.25  # share of steps that put a new one there


MODELS = pathlib.Path(__file__).resolve().parents[3] / "models"


def add_arguments(parser, until):
    """What every adversarial run can be told."""
    parser.add_argument("--data", required=True, help="tar or folder of pictures of the right size")
    parser.add_argument("--run", required=True, help="folder of checkpoints, logs and samples")
    parser.add_argument(
        "--until", type=int, default=until, help=f"pictures seen in total ({until})"
    )
    parser.add_argument("--minutes", type=float, default=1e9, help="stop, resumable, after so long")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)


def prepare(args):
    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)


def from_arguments(
    args, generator, size, options, images=0, state=None, parts=("generator", "heads")
):
    """A run in args.run, resumed from its checkpoint, else from `parts` of the file `state`."""
    pixels, held_out = data.load(args.data, size)
    run = GanRun(
        args.run,
        generator,
        pixels,
        held_out,
        vgg.load(MODELS / "vgg16-lpips.safetensors"),
        options,
        images,
    )
    resumed = run.resume()
    if not resumed and state:
        run.load_milestone(state, parts)
    print(f"{len(pixels)} pictures, {len(held_out)} held out, resumed: {resumed}", flush=True)
    return run


def save_milestone(path, state):
    """A checkpoint's training weights and heads, float16; Adam's moments build up again."""
    tensors = {
        f"{part}.{name}": value.contiguous().numpy().astype(np.float16)
        for part in ("generator", "heads")
        for name, value in state[part].items()
    }
    safetensors.write(path, tensors, {"images_seen": str(state["images"])})


def hinge(real_maps, fake_maps):
    pairs = zip(real_maps, fake_maps)
    return sum(F.relu(1 - r).mean() + F.relu(1 + f).mean() for r, f in pairs)


class GanRun:
    """A resumable run in a folder: checkpoint.pt, log.csv, kid.csv, samples-<images>.png."""

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
        self.g_adam = torch.optim.Adam(
            [p for p in generator.parameters() if p.requires_grad], lr=options.g_rate, **adam
        )
        self.d_adam = torch.optim.Adam(self.heads.parameters(), lr=options.d_rate, **adam)
        self.distance = KernelDistance(vgg_tensors, held_out)
        self.grid_z = torch.randn(48, generator.z_dim, generator=torch.Generator().manual_seed(7))
        self.kid_at = -1  # images seen at the last measurement
        self.pool = []
        self.stopped = False

    def state(self):
        return {
            "images": self.images,
            "start": self.start,
            "kid_at": self.kid_at,
            "generator": self.generator.state_dict(),
            "ema": self.ema.state_dict(),
            "heads": self.heads.state_dict(),
            "g_adam": self.g_adam.state_dict(),
            "d_adam": self.d_adam.state_dict(),
        }

    def resume(self):
        """Goes on from the folder's checkpoint if it has one; returns whether it had."""
        state = runs.load_checkpoint(self.folder / "checkpoint.pt")
        if state is None:
            return False
        for name in ("generator", "ema", "heads", "g_adam", "d_adam"):
            getattr(self, name).load_state_dict(state[name])
        self.images, self.start, self.kid_at = state["images"], state["start"], state["kid_at"]
        return True

    def load_milestone(self, path, parts):
        """What save_milestone kept; the averaged weights are those this run was made with."""
        tensors, metadata = safetensors.read(path)
        if int(metadata["images_seen"]) != self.images:
            raise SystemExit(
                f"{path}: {metadata['images_seen']} images seen, its generator has {self.images}"
            )
        for part in parts:
            state = {
                name[len(part) + 1 :]: torch.from_numpy(value.astype(np.float32))
                for name, value in tensors.items()
                if name.startswith(part + ".")
            }
            getattr(self, part).load_state_dict(state)

    def set_rates(self):
        """The generator's rate is 0 while fresh heads learn, then rises. Returns if it learns."""
        since = self.images - self.start - self.options.warmup
        share = min(max(since / max(self.options.ramp, 1), 0.0), 1.0)
        for adam, rate in (
            (self.g_adam, self.options.g_rate * share),
            (self.d_adam, self.options.d_rate),
        ):
            for group in adam.param_groups:
                group["lr"] = rate
        return since >= 0

    @torch.no_grad()
    def real_batch(self):
        """(pictures, features) of augmented photographs.

        Features of photographs do not depend on what is trained: using each batch about four times
        saves a sixth of
        all arithmetic, and among thousands of pictures the heads do not notice.
        """
        options = self.options
        if len(self.pool) < options.pool or torch.rand(()) < options.pool_fresh:
            real = augment(data.batch(self.pixels, options.batch))
            entry = (real, self.projector(real))
            if len(self.pool) < options.pool:
                self.pool.append(entry)
            else:
                self.pool[torch.randint(options.pool, ())] = entry
            return entry
        return self.pool[torch.randint(options.pool, ())]

    def step(self):
        """One batch: the heads learn, then the generator through the same forward passes."""
        n = self.options.batch
        learning = self.set_rates()
        with torch.autocast("cpu", torch.bfloat16):
            with torch.set_grad_enabled(learning):
                image = self.generator.training_batch(n)
                fake = augment(image)
                fake_features = self.projector(fake)
            real, real_features = self.real_batch()
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

    def run(self, until, minutes=1e9):
        """Trains until so many pictures were seen or minutes went by.

        Measures at the start, at intervals and at the end. SIGTERM ends it at the next step, with a
        checkpoint.
        """
        signal.signal(signal.SIGTERM, lambda *_: setattr(self, "stopped", True))
        end = marked = time.monotonic()
        end += 60 * minutes
        if self.kid_at < 0 and minutes > 0:
            self.measure()
        rows, busy = [], 0.0
        while self.images < until and time.monotonic() < end and not self.stopped:
            runs.wait_while_paused(self.folder)
            begun = time.monotonic()
            rows.append(self.step())
            busy += time.monotonic() - begun
            if len(rows) == self.options.log_every:
                self.log(rows, busy)
                rows, busy = [], 0.0
            if self.images - self.kid_at >= self.options.kid_every:
                self.measure()
            if time.monotonic() - marked > self.options.checkpoint_seconds:
                runs.save_checkpoint(self.folder / "checkpoint.pt", self.state())
                marked = time.monotonic()
        if minutes > 0:
            if self.kid_at < self.images and not self.stopped:
                self.measure()
            runs.save_checkpoint(self.folder / "checkpoint.pt", self.state())

    def log(self, rows, seconds):
        names = list(rows[-1])
        mean = {k: round(sum(r.get(k, 0.0) for r in rows) / len(rows), 4) for k in names}
        rate = round(len(rows) * self.options.batch / seconds, 2)
        runs.append_csv(
            self.folder / "log.csv",
            {"images": self.images, "rate": rate, **{"g_loss": 0.0}, **mean},
        )
        print(self.images, f"{rate}/s", mean, flush=True)
