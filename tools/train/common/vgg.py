"""VGG16's convolutions and LPIPS on top of them, read from models/vgg16-lpips.safetensors."""

import torch
import torch.nn.functional as F
from torch import nn

from . import safetensors

CONV_INDICES = (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28)  # torchvision's features.<i>
POOL_BEFORE = (5, 10, 17, 24)
STAGE_ENDS = (2, 7, 14, 21, 28)  # relu1_2 2_2 3_3 4_3 5_3
STAGE_CHANNELS = (64, 128, 256, 512, 512)

# LPIPS's own constants: ImageNet's mean and deviation, restated for pictures in [-1, 1].
_SHIFT = (-0.030, -0.088, -0.188)
_SCALE = (0.458, 0.448, 0.450)


class Vgg16(nn.Module):
    """The first `stages` (1 to 5) stages; frozen. Call with [N,3,H,W] in [-1,1]."""

    def __init__(self, tensors, stages=5, dtype=torch.float32):
        super().__init__()
        self.indices = [i for i in CONV_INDICES if i <= STAGE_ENDS[stages - 1]]
        for i in self.indices:
            for part in ("weight", "bias"):
                value = torch.from_numpy(tensors[f"features.{i}.{part}"].copy()).to(dtype)
                if part == "weight":
                    value = value.contiguous(memory_format=torch.channels_last)
                self.register_buffer(f"{part}{i}", value)
        self.register_buffer("shift", torch.tensor(_SHIFT).view(1, 3, 1, 1))
        self.register_buffer("scale", torch.tensor(_SCALE).view(1, 3, 1, 1))

    def forward(self, image):
        """Returns the ReLU outputs at the end of each stage, in the weights' dtype."""
        x = ((image - self.shift) / self.scale).to(self.weight0.dtype)
        x = x.contiguous(memory_format=torch.channels_last)
        stages = []
        for i in self.indices:
            if i in POOL_BEFORE:
                x = F.max_pool2d(x, 2)
            x = F.relu(
                F.conv2d(x, getattr(self, f"weight{i}"), getattr(self, f"bias{i}"), padding=1)
            )
            if i in STAGE_ENDS:
                stages.append(x)
        return stages


class Lpips(nn.Module):
    """LPIPS v0.1 with VGG16: distance [N] of two batches [N,3,H,W] in [-1,1]."""

    def __init__(self, tensors):
        super().__init__()
        self.vgg = Vgg16(tensors)
        for k in range(5):
            weight = torch.from_numpy(tensors[f"lin{k}.model.1.weight"].copy()).float()
            self.register_buffer(f"lin{k}", weight)

    def features(self, image):
        """The normalised, weighted features: distances are squared differences of these."""
        result = []
        for k, x in enumerate(self.vgg(image)):
            # The epsilon under the root keeps the gradient finite where all channels are zero.
            unit = x * torch.rsqrt(x.square().sum(1, keepdim=True) + 1e-10)
            result.append(unit * getattr(self, f"lin{k}").clamp(min=0).sqrt())
        return result

    @staticmethod
    def distance(a, b):
        return sum((x - y).square().sum(1).mean((1, 2)) for x, y in zip(a, b))

    def forward(self, a, b):
        return self.distance(self.features(a), self.features(b))


def load(path):
    """The tensors of models/vgg16-lpips.safetensors, for Vgg16 and Lpips."""
    return safetensors.read(path)[0]
