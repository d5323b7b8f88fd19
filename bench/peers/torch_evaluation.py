#!/usr/bin/env python3
"""One w+ evaluation in PyTorch: StyleGAN2 synthesis, L1 and VGG conv_5, loss and gradient.

The peer of `ganvas bench stylegan2-64` and its kin: the same shapes and objective with random
weights. Written from the facts in docs/FORMATS.md; `fused` does what the official code does on a
CPU by default (weights are modulated per sample and their gradient is computed on the way to the
styles), `unfused` scales activations instead.

    python bench/peers/torch_evaluation.py stylegan2-64 --threads 2 --form fused
"""
import argparse
import json
import math
import os
import statistics
import time

import torch
import torch.nn.functional as F

CONFIGS = {  # resolution, channel_base
    "stylegan2-64": (64, 16384),
    "stylegan2-64-low-shot": (64, 32768),
    "stylegan2-256": (256, 16384),
}
W_DIM, CHANNEL_MAX = 512, 512
VGG = [(3, 64), (64, 64), "pool", (64, 128), (128, 128), "pool", (128, 256)]  # up to conv_5


def upfirdn(x, up, pad, gain):
    """Zero insertion, padding, depthwise 4 x 4 FIR, as the official reference path does on a CPU."""
    n, c, h, w = x.shape
    if up > 1:
        x = F.pad(x.reshape(n, c, h, 1, w, 1), [0, up - 1, 0, 0, 0, up - 1]).reshape(
            n, c, h * up, w * up)
    x = F.pad(x, pad)
    f = torch.tensor([1.0, 3.0, 3.0, 1.0])
    f = (torch.outer(f, f) / 64 * gain).expand(c, 1, 4, 4)
    return F.conv2d(x, f, groups=c)


class Layer(torch.nn.Module):
    def __init__(self, cin, cout, resolution, up):
        super().__init__()
        self.up, self.resolution = up, resolution
        p = lambda *s: torch.nn.Parameter(torch.randn(*s), requires_grad=False)
        self.weight, self.bias = p(cout, cin, 3, 3), p(cout)
        self.affine, self.affine_bias = p(cin, W_DIM), torch.nn.Parameter(torch.ones(cin), False)
        self.noise, self.strength = p(resolution, resolution), torch.nn.Parameter(
            torch.tensor(0.1), False)

    def forward(self, x, w, fused):
        s = w @ (self.affine / math.sqrt(W_DIM)).t() + self.affine_bias
        n = x.shape[0]
        if fused:
            m = self.weight[None] * s[:, None, :, None, None]
            m = m * (m.square().sum(dim=[2, 3, 4]) + 1e-8).rsqrt()[:, :, None, None, None]
            x = x.reshape(1, -1, *x.shape[2:])
            if self.up:
                m = m.transpose(1, 2).reshape(-1, m.shape[1], 3, 3)
                x = F.conv_transpose2d(x, m, stride=2, groups=n)
            else:
                x = F.conv2d(x, m.reshape(-1, *m.shape[2:]), padding=1, groups=n)
            x = x.reshape(n, -1, *x.shape[2:])
        else:
            d = (s.square() @ self.weight.square().sum(dim=[2, 3]).t() + 1e-8).rsqrt()
            x = x * s[:, :, None, None]
            if self.up:
                x = F.conv_transpose2d(x, self.weight.transpose(0, 1), stride=2)
            else:
                x = F.conv2d(x, self.weight, padding=1)
            x = x * d[:, :, None, None]
        if self.up:
            x = upfirdn(x, 1, [1, 1, 1, 1], 4)
        x = x + self.noise * self.strength
        x = F.leaky_relu(x + self.bias[None, :, None, None], 0.2) * math.sqrt(2)
        return x.clamp(-256, 256)


class ToRGB(torch.nn.Module):
    def __init__(self, cin):
        super().__init__()
        p = lambda *s: torch.nn.Parameter(torch.randn(*s), requires_grad=False)
        self.weight, self.bias = p(3, cin, 1, 1), p(3)
        self.affine, self.affine_bias = p(cin, W_DIM), torch.nn.Parameter(torch.ones(cin), False)

    def forward(self, x, w):
        cin = x.shape[1]
        s = (w @ (self.affine / math.sqrt(W_DIM)).t() + self.affine_bias) / math.sqrt(cin)
        x = F.conv2d(x * s[:, :, None, None], self.weight) + self.bias[None, :, None, None]
        return x.clamp(-256, 256)


class Evaluation(torch.nn.Module):
    def __init__(self, resolution, channel_base, fused):
        super().__init__()
        self.fused = fused
        channels = lambda r: min(channel_base // r, CHANNEL_MAX)
        self.const = torch.nn.Parameter(torch.randn(channels(4), 4, 4), False)
        self.layers, self.rgb = torch.nn.ModuleList(), torch.nn.ModuleList()
        r, cin = 4, channels(4)
        while r <= resolution:
            if r > 4:
                self.layers.append(Layer(cin, channels(r), r, True))
            self.layers.append(Layer(channels(r), channels(r), r, False))
            self.rgb.append(ToRGB(channels(r)))
            cin, r = channels(r), r * 2
        self.vgg = torch.nn.ModuleList()
        for item in VGG:
            if item == "pool":
                self.vgg.append(torch.nn.MaxPool2d(2))
            else:
                self.vgg.append(torch.nn.Conv2d(*item, 3, padding=1))
        self.vgg.requires_grad_(False)
        self.target = torch.rand(1, 3, resolution, resolution) * 2 - 1
        with torch.no_grad():
            self.features = self.conv_5(self.target)

    def synthesis(self, ws):
        x = self.const.expand(ws.shape[0], -1, -1, -1)
        img, k = None, 0
        for b, rgb in enumerate(self.rgb):
            for _ in range(1 if b == 0 else 2):
                x = self.layers[k](x, ws[:, k], self.fused)
                k += 1
            y = rgb(x, ws[:, k])
            img = y if img is None else upfirdn(img, 2, [2, 1, 2, 1], 4) + y
        return img

    def conv_5(self, x):
        mean = torch.tensor([0.485, 0.456, 0.406])[None, :, None, None]
        std = torch.tensor([0.229, 0.224, 0.225])[None, :, None, None]
        x = ((x + 1) / 2 - mean) / std
        for i, layer in enumerate(self.vgg):
            x = layer(x)
            if isinstance(layer, torch.nn.Conv2d) and i + 1 < len(self.vgg):
                x = F.relu(x)
        return x

    def forward(self, ws):
        img = self.synthesis(ws)
        loss = 10 * (img - self.target).abs().mean()
        return loss + 0.01 * (self.conv_5(img) - self.features).square().mean()


def main():
    ap = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    ap.add_argument("name", choices=CONFIGS)
    ap.add_argument("--threads", type=int, default=os.cpu_count())
    ap.add_argument("--form", choices=["fused", "unfused", "compiled"], default="fused")
    ap.add_argument("--runs", type=int, default=20)
    ap.add_argument("--warmup", type=int, default=3)
    a = ap.parse_args()
    torch.set_num_threads(a.threads)
    torch.manual_seed(0)
    resolution, base = CONFIGS[a.name]
    net = Evaluation(resolution, base, a.form == "fused")
    f = torch.compile(net) if a.form == "compiled" else net
    num_ws = 2 * int(math.log2(resolution)) - 2
    ws = torch.randn(1, num_ws, W_DIM, requires_grad=True)
    ms = []
    for i in range(a.warmup + a.runs):
        start = time.perf_counter()
        ws.grad = None
        f(ws).backward()
        if i >= a.warmup:
            ms.append(1e3 * (time.perf_counter() - start))
    print(json.dumps({"name": a.name, "form": a.form, "torch": torch.__version__,
                      "threads": a.threads, "ms": {"min": min(ms), "median": statistics.median(ms),
                                                   "max": max(ms)}}))


if __name__ == "__main__":
    main()
