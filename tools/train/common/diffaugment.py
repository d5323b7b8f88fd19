"""DiffAugment (Zhao et al. 2020): what the discriminator sees is distorted, photograph or not."""

import torch
import torch.nn.functional as F


def _color(x):
    n = len(x)
    x = x + (torch.rand(n, 1, 1, 1) - 0.5)  # brightness
    grey = x.mean(1, keepdim=True)
    x = grey + (x - grey) * (torch.rand(n, 1, 1, 1) * 2)  # saturation
    mean = x.mean((1, 2, 3), keepdim=True)
    return mean + (x - mean) * (torch.rand(n, 1, 1, 1) + 0.5)  # contrast


def _translation(x, ratio):
    n, _, h, w = x.shape
    py, px = int(h * ratio + 0.5), int(w * ratio + 0.5)
    padded = F.pad(x, (px, px, py, py))
    ys = torch.randint(0, 2 * py + 1, (n,)).tolist()
    xs = torch.randint(0, 2 * px + 1, (n,)).tolist()
    return torch.stack([padded[i, :, ys[i] : ys[i] + h, xs[i] : xs[i] + w] for i in range(n)])


def _cutout(x, ratio):
    n, _, h, w = x.shape
    ch, cw = int(h * ratio + 0.5), int(w * ratio + 0.5)
    mask = torch.ones(n, 1, h, w)
    ys = torch.randint(-(ch // 2), h - ch // 2 + 1, (n,)).tolist()
    xs = torch.randint(-(cw // 2), w - cw // 2 + 1, (n,)).tolist()
    for i in range(n):
        mask[i, :, max(ys[i], 0) : ys[i] + ch, max(xs[i], 0) : xs[i] + cw] = 0
    return x * mask


def augment(x, translation=0.125, cutout=0.5):
    """[N,3,H,W] in [-1,1]; every sample gets its own draw from torch's global generator."""
    return _cutout(_translation(_color(x), translation), cutout)
