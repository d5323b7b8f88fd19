"""StyleGAN2's generator for training on a CPU, with the official parameter names.

Modulation is applied to activations instead of weights (conv(W, s*x)*d equals conv(W*s*d, x)), so
that a batch shares one convolution.
"""

import json
import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from . import safetensors


def _fir():
    taps = torch.tensor([1.0, 3.0, 3.0, 1.0])
    return torch.outer(taps, taps) / 64


def _depthwise(x, kernel):
    channels = x.shape[1]
    weight = kernel.to(x.dtype).expand(channels, 1, 4, 4)
    return F.conv2d(x, weight, groups=channels)


def upsample_image(image):
    """Twice the size: zeros inserted, then the [1,3,3,1] filter.

    Per axis (x[i-1]+3x[i])/4 and (3x[i]+x[i+1])/4, zero outside.
    """
    for axis in (2, 3):
        length = image.shape[axis]
        pad = (1, 1, 0, 0) if axis == 3 else (0, 0, 1, 1)
        wide = F.pad(image, pad)
        before, after = wide.narrow(axis, 0, length), wide.narrow(axis, 2, length)
        pair = torch.stack((before + 3 * image, 3 * image + after), axis + 1) * 0.25
        shape = list(image.shape)
        shape[axis] = 2 * length
        image = pair.reshape(shape)
    return image


class FullyConnected(nn.Module):
    """x W^T * lr_mult/sqrt(in) + lr_mult*b; parameters are stored without the factors."""

    def __init__(self, inputs, outputs, bias=0.0, lr_mult=1.0):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs) / lr_mult)
        self.bias = nn.Parameter(torch.full((outputs,), float(bias)))
        self.weight_gain = lr_mult / math.sqrt(inputs)
        self.bias_gain = lr_mult

    def forward(self, x):
        return F.linear(x, self.weight * self.weight_gain, self.bias * self.bias_gain)


class Mapping(nn.Module):
    def __init__(self, z_dim, w_dim, num_layers):
        super().__init__()
        self.num_layers = num_layers
        for i in range(num_layers):
            setattr(self, f"fc{i}", FullyConnected(z_dim if i == 0 else w_dim, w_dim, lr_mult=0.01))
        self.register_buffer("w_avg", torch.zeros(w_dim))

    def forward(self, z):
        """z [N,z_dim] -> w [N,w_dim], float32."""
        with torch.autocast("cpu", enabled=False):
            x = z * torch.rsqrt(z.square().mean(1, keepdim=True) + 1e-8)
            for i in range(self.num_layers):
                x = F.leaky_relu(getattr(self, f"fc{i}")(x), 0.2) * math.sqrt(2)
        return x


class SynthesisLayer(nn.Module):
    def __init__(self, inputs, outputs, w_dim, resolution, up, conv_clamp):
        super().__init__()
        self.up, self.conv_clamp = up, conv_clamp
        self.affine = FullyConnected(w_dim, inputs, bias=1.0)
        self.weight = nn.Parameter(torch.randn(outputs, inputs, 3, 3))
        self.noise_strength = nn.Parameter(torch.zeros([]))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.register_buffer("noise_const", torch.randn(resolution, resolution))
        self.register_buffer("resample_filter", _fir())

    def forward(self, x, w, noise_mode):
        """x [N,inputs,h,h] -> [N,outputs,R,R]."""
        style = self.affine(w)
        power = self.weight.square().sum((2, 3))  # [outputs, inputs]
        # Leaky ReLU commutes with a positive factor: its gain sqrt(2) goes into what is added up
        # before it.
        gain = math.sqrt(2)
        demod = torch.rsqrt(F.linear(style.float().square(), power.float()) + 1e-8) * gain
        x = x * style.to(x.dtype)[:, :, None, None]
        if self.up:
            x = F.conv_transpose2d(x, self.weight.transpose(0, 1), stride=2)
            x = _depthwise(F.pad(x, (1, 1, 1, 1)), self.resample_filter * 4)
        else:
            x = F.conv2d(x, self.weight, padding=1)
        x = x * demod.to(x.dtype)[:, :, None, None] + (self.bias * gain).to(x.dtype)[:, None, None]
        if noise_mode == "const":
            x = x + (self.noise_const * (self.noise_strength * gain)).to(x.dtype)
        elif noise_mode == "random":
            noise = torch.randn(x.shape[0], 1, *x.shape[2:])
            x = x + (noise * (self.noise_strength * gain)).to(x.dtype)
        x = F.leaky_relu(x, 0.2)
        # Trained activations stay far inside the clamp, and its backward pass is not free: left
        # out in training.
        if self.training or self.conv_clamp is None:
            return x
        return x.clamp(-self.conv_clamp, self.conv_clamp)


class ToRgb(nn.Module):
    def __init__(self, inputs, w_dim, image_channels, conv_clamp):
        super().__init__()
        self.conv_clamp = conv_clamp
        self.affine = FullyConnected(w_dim, inputs, bias=1.0)
        self.weight = nn.Parameter(torch.randn(image_channels, inputs, 1, 1))
        self.bias = nn.Parameter(torch.zeros(image_channels))
        self.weight_gain = 1 / math.sqrt(inputs)

    def forward(self, x, w):
        style = self.affine(w) * self.weight_gain
        y = F.conv2d(x * style.to(x.dtype)[:, :, None, None], self.weight).float()
        y = y + self.bias[:, None, None]
        return y if self.conv_clamp is None else y.clamp(-self.conv_clamp, self.conv_clamp)


class SynthesisBlock(nn.Module):
    def __init__(self, inputs, outputs, w_dim, resolution, image_channels, conv_clamp):
        super().__init__()
        if inputs == 0:
            self.const = nn.Parameter(torch.randn(outputs, 4, 4))
        else:
            self.conv0 = SynthesisLayer(inputs, outputs, w_dim, resolution, True, conv_clamp)
        self.conv1 = SynthesisLayer(outputs, outputs, w_dim, resolution, False, conv_clamp)
        self.torgb = ToRgb(outputs, w_dim, image_channels, conv_clamp)
        self.first = inputs == 0
        self.register_buffer("resample_filter", _fir())

    def forward(self, x, image, ws, noise_mode):
        """ws [N,2 or 3,w_dim]: conv0 (not in the first block), conv1, torgb."""
        if self.first:
            x = self.const.expand(ws.shape[0], -1, -1, -1)
            x = x.contiguous(memory_format=torch.channels_last)
        else:
            x = self.conv0(x, ws[:, 0], noise_mode)
        x = self.conv1(x, ws[:, -2], noise_mode)
        rgb = self.torgb(x, ws[:, -1])
        return x, rgb if image is None else upsample_image(image) + rgb


class Synthesis(nn.Module):
    def __init__(self, w_dim, resolution, image_channels, channel_base, channel_max, conv_clamp):
        super().__init__()
        self.resolutions = [2**k for k in range(2, int(math.log2(resolution)) + 1)]
        self.num_ws = 2 * len(self.resolutions)
        inputs = 0
        for res in self.resolutions:
            outputs = min(channel_base // res, channel_max)
            block = SynthesisBlock(inputs, outputs, w_dim, res, image_channels, conv_clamp)
            setattr(self, f"b{res}", block)
            inputs = outputs

    def forward(self, ws, noise_mode="random"):
        """ws [N,num_ws,w_dim] -> image [N,3,R,R], float32, not clamped."""
        x = image = None
        first = 0
        for res in self.resolutions:
            count = 2 if res == 4 else 3
            x, image = getattr(self, f"b{res}")(x, image, ws[:, first : first + count], noise_mode)
            first += count - 1
        return image


class Generator(nn.Module):
    """Built from the attributes of an official generator, as in the metadata key `ganvas`."""

    def __init__(self, config):
        super().__init__()
        self.config = config
        size = config["synthesis_kwargs"]
        self.z_dim = config["z_dim"]
        self.mapping = Mapping(
            config["z_dim"], config["w_dim"], config["mapping_kwargs"]["num_layers"]
        )
        self.synthesis = Synthesis(
            config["w_dim"],
            config["img_resolution"],
            config["img_channels"],
            size["channel_base"],
            size["channel_max"],
            size["conv_clamp"],
        )
        self.num_ws = self.synthesis.num_ws

    def forward(self, z, psi=1.0, noise_mode="const"):
        w = self.mapping(z)
        if psi != 1:
            w = torch.lerp(self.mapping.w_avg, w, psi)
        return self.synthesis(w[:, None].expand(-1, self.num_ws, -1), noise_mode)

    def training_batch(self, n, mixing=0.5):
        """n pictures with fresh noise and style mixing, for the adversarial losses."""
        z = torch.randn(n, self.z_dim)
        return self.synthesis(self.mixed(z, mixing), "random")

    def finish(self, samples=10000):
        """Sets w_avg, which only truncation and inversion use: the mean of many mapped z."""
        with torch.no_grad():
            z = torch.randn(samples, self.z_dim, generator=torch.Generator().manual_seed(0))
            self.mapping.w_avg.copy_(self.mapping(z).mean(0))

    def mixed(self, z, mixing):
        """A training batch's ws: with probability `mixing` a second w from a random layer on."""
        ws = self.mapping(z)[:, None].expand(-1, self.num_ws, -1)
        other = self.mapping(torch.randn_like(z))[:, None]
        cut = torch.randint(1, self.num_ws, (len(z), 1, 1))
        cut = torch.where(torch.rand(len(z), 1, 1) < mixing, cut, self.num_ws)
        layer = torch.arange(self.num_ws)[None, :, None]
        return torch.where(layer < cut, ws, other)


def config(resolution, channel_base, channel_max, z_dim=256, w_dim=256, mapping_layers=2):
    return {
        "type": "stylegan2",
        "z_dim": z_dim,
        "c_dim": 0,
        "w_dim": w_dim,
        "img_resolution": resolution,
        "img_channels": 3,
        "mapping_kwargs": {"num_layers": mapping_layers},
        "synthesis_kwargs": {
            "channel_base": channel_base,
            "channel_max": channel_max,
            "conv_clamp": 256,
            "architecture": "skip",
            "num_fp16_res": 0,
            "resample_filter": [1, 3, 3, 1],
        },
    }


def load(path):
    """Reads one of our safetensors files. Returns (generator, images seen)."""
    tensors, metadata = safetensors.read(path)
    generator = Generator(json.loads(metadata["ganvas"]))
    generator.load_state_dict(
        {k: torch.from_numpy(v.astype(np.float32)) for k, v in tensors.items()}
    )
    return generator, int(metadata.get("images_seen", 0))


def save(path, generator, images_seen, dtype=np.float32):
    """float16 rounds the weights; small buffers and w_avg stay float32."""
    tensors = {}
    for name, value in generator.state_dict().items():
        kind = dtype if name.endswith("weight") else np.float32
        tensors[name] = value.detach().contiguous().numpy().astype(kind)
    safetensors.write(
        path, tensors, {"ganvas": json.dumps(generator.config), "images_seen": str(images_seen)}
    )


def seed_latents(seeds, z_dim):
    """The official scripts' z: RandomState(seed).randn(1, z_dim), float32 [N,z_dim]."""
    rows = [np.random.RandomState(seed).randn(1, z_dim) for seed in seeds]
    return torch.from_numpy(np.concatenate(rows).astype(np.float32))
