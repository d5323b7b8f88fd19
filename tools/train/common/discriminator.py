"""A projected discriminator (Sauer et al. 2021).

Small heads learn on fixed random mixtures of frozen VGG16 features.
"""

import math

import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils.parametrizations import spectral_norm

from .vgg import STAGE_CHANNELS, Vgg16

MIXED_CHANNELS = (32, 64, 128, 256, 256)
HEAD_CHANNELS = ((32, 64, 128), (64, 128), (128, 128), (256,), (256,))
RGB_CHANNELS = (32, 64, 128)


class FixedConv(nn.Module):
    """A linear convolution with random weights that keep the mean square; never trained."""

    def __init__(self, inputs, outputs, size, generator):
        super().__init__()
        weight = torch.randn(outputs, inputs, size, size, generator=generator)
        self.register_buffer("weight", weight / math.sqrt(inputs * size * size), persistent=False)

    def forward(self, x):
        return F.conv2d(x, self.weight.to(x.dtype), padding=self.weight.shape[-1] // 2)


class Projector(nn.Module):
    """VGG16's stages, each scaled by one constant and mixed over channels and, top down, scales.


    The scale belongs to the data set, not to a picture: scaling every sample by itself would hide
    colour and contrast from the discriminator. The mixing weights come from `seed`, so checkpoints
    need not hold them.
    """

    def __init__(self, vgg_tensors, calibration, stages=5, seed=1, dtype=torch.bfloat16):
        super().__init__()
        self.vgg = Vgg16(vgg_tensors, stages, dtype)
        with torch.no_grad():
            found = self.vgg(calibration)
        self.gains = [1 / x.float().square().mean().sqrt().item() for x in found]
        rng = torch.Generator().manual_seed(seed)
        channels = MIXED_CHANNELS[:stages]
        self.across = nn.ModuleList(
            FixedConv(STAGE_CHANNELS[k], c, 1, rng) for k, c in enumerate(channels)
        )
        self.down = nn.ModuleList(
            FixedConv(channels[k + 1], channels[k], 1, rng) for k in range(stages - 1)
        )
        self.blend = nn.ModuleList(
            FixedConv(channels[k], channels[k], 3, rng) for k in range(stages - 1)
        )

    def forward(self, image):
        """[N,3,H,W] -> a mixture per stage, finest first, of mean square about 1 on photographs."""
        own = [conv(x * gain) for conv, x, gain in zip(self.across, self.vgg(image), self.gains)]
        mixed = [own[-1]]
        for k in reversed(range(len(own) - 1)):
            above = F.interpolate(self.down[k](mixed[0]), scale_factor=2, mode="nearest")
            mixed.insert(0, self.blend[k]((own[k] + above) * math.sqrt(0.5)))
        return mixed


def _conv(inputs, outputs, size, stride):
    return spectral_norm(nn.Conv2d(inputs, outputs, size, stride, padding=1))


class Head(nn.Module):
    """Halves the picture once per entry of `channels`, then one number at each place.

    A spectral norm of one shrinks random activations to about half: the factor 2 restores them.
    With `batch_std` the spread over groups of four samples is one more channel, which punishes
    samples that are too alike.
    """

    def __init__(self, inputs, channels, batch_std=False):
        super().__init__()
        self.batch_std = batch_std
        self.convs = nn.ModuleList()
        for outputs in channels:
            self.convs.append(_conv(inputs, outputs, 4, 2))
            inputs = outputs
        self.convs.append(_conv(inputs + batch_std, inputs, 3, 1))
        self.last = _conv(inputs, 1, 3, 1)

    def forward(self, x):
        for k, conv in enumerate(self.convs):
            if self.batch_std and k == len(self.convs) - 1:
                x = self.append_std(x)
            x = F.leaky_relu(conv(x), 0.2) * 2
        return self.last(x).float() * 2

    @staticmethod
    def append_std(x):
        n, _, h, w = x.shape
        groups = x.float().reshape(n // 4, 4, -1)
        std = (groups.var(1, unbiased=False) + 1e-8).sqrt().mean(1)  # [n/4]
        plane = std.repeat_interleave(4).view(n, 1, 1, 1).expand(n, 1, h, w)
        return torch.cat((x, plane.to(x.dtype)), 1)


class Heads(nn.Module):
    """The trained part: a head a stage, and one on the picture, without which colours drift."""

    def __init__(self, stages=5):
        super().__init__()
        self.rgb = Head(3, RGB_CHANNELS)
        self.scales = nn.ModuleList(
            Head(MIXED_CHANNELS[k], HEAD_CHANNELS[k], batch_std=k >= 3) for k in range(stages)
        )

    def forward(self, image, features):
        """Returns one map of logits [N,1,h,w] a head, RGB first."""
        return [self.rgb(image)] + [head(x) for head, x in zip(self.scales, features)]
