"""A small convolutional encoder: a picture to w+ in one pass.

    x = lrelu(stem(image))                                  3 x 3, R x R
    per stage: x = lrelu(down(x))                           3 x 3, stride 2, padding 1
               x = x + conv1(lrelu(conv0(x)))               3 x 3
    x = lrelu(tail(x))                                      3 x 3, stride 2: 4 x 4 to 2 x 2
    w+ = fc1(lrelu(fc0(flatten(x))))                        rows of num_ws times w_dim, flattened
    in C order of [C,2,2]

lrelu has slope 0.2 and no gain. Images are [N,3,R,R] in [-1,1]; the result is w+ itself, w_avg
included.
"""

import json

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from . import safetensors


def _lrelu(x):
    return F.leaky_relu(x, 0.2)


class Stage(nn.Module):
    def __init__(self, inputs, outputs):
        super().__init__()
        self.down = nn.Conv2d(inputs, outputs, 3, 2, 1)
        self.conv0 = nn.Conv2d(outputs, outputs, 3, 1, 1)
        self.conv1 = nn.Conv2d(outputs, outputs, 3, 1, 1)

    def forward(self, x):
        x = _lrelu(self.down(x))
        return x + self.conv1(_lrelu(self.conv0(x)))


class Encoder(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.config = config
        channels = config["channels"]
        self.stem = nn.Conv2d(3, channels[0], 3, 1, 1)
        self.stages = nn.ModuleList(Stage(a, b) for a, b in zip(channels[:-2], channels[1:-1]))
        self.tail = nn.Conv2d(channels[-2], channels[-1], 3, 2, 1)
        self.fc0 = nn.Linear(4 * channels[-1], config["hidden"])
        self.fc1 = nn.Linear(config["hidden"], config["num_ws"] * config["w_dim"])

    def start_at(self, w_avg, w_std):
        """Makes the untrained answer w_avg and a unit of fc1 about one deviation of w."""
        rows = self.config["num_ws"]
        with torch.no_grad():
            self.fc1.weight.mul_(w_std.repeat(rows)[:, None])
            self.fc1.bias.copy_(w_avg.repeat(rows))

    def forward(self, image):
        x = _lrelu(self.stem(image))
        for stage in self.stages:
            x = stage(x)
        x = _lrelu(self.tail(x)).flatten(1)
        ws = self.fc1(_lrelu(self.fc0(x)).float())
        return ws.view(len(image), self.config["num_ws"], self.config["w_dim"])


def config(generator):
    """For a generator of 64 or 128 pixels: halved down to 4 x 4, then to 2 x 2."""
    channels = {64: (32, 64, 96, 128, 160, 224), 128: (24, 32, 64, 96, 128, 160, 224)}
    resolution = generator.config["img_resolution"]
    return {
        "type": "encoder",
        "img_resolution": resolution,
        "num_ws": generator.num_ws,
        "w_dim": generator.config["w_dim"],
        "channels": list(channels[resolution]),
        "hidden": 384,
    }


def load(path):
    tensors, metadata = safetensors.read(path)
    encoder = Encoder(json.loads(metadata["ganvas"]))
    encoder.load_state_dict({k: torch.from_numpy(v.astype(np.float32)) for k, v in tensors.items()})
    return encoder


def save(path, encoder):
    """Weights as float16, biases (the last one holds w_avg) as float32."""
    tensors = {
        name: value.contiguous()
        .numpy()
        .astype(np.float16 if name.endswith("weight") else np.float32)
        for name, value in encoder.state_dict().items()
    }
    safetensors.write(path, tensors, {"ganvas": json.dumps(encoder.config)})
