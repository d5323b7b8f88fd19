"""Kernel distance (KID's estimator, Binkowski et al. 2018) on VGG16's conv4_3 instead of
Inception's features.

The features are the means over the picture of conv4_3 after its ReLU, [N,512], divided by one
constant, the root mean square over the held-out pictures; kernel (x.y/512 + 1)^3; the unbiased
estimator of the squared MMD over all samples. Figures are given times 1000. Comparable only with
themselves: not with KIDs of Inception.
"""

import torch

from . import data
from .vgg import Vgg16


class KernelDistance:
    def __init__(self, vgg_tensors, held_out):
        """held_out: uint8 [N,3,H,W], the pictures to compare with."""
        self.vgg = Vgg16(vgg_tensors, 4)
        real = self.features(lambda n, k: data.to_float(held_out[k : k + n]), len(held_out))
        self.scale = 1 / real.square().mean().sqrt()
        self.real = real * self.scale

    @torch.no_grad()
    def features(self, pictures, count, size=32):
        """pictures(n, k) returns n pictures [n,3,H,W] in [-1,1], from number k on."""
        rows = []
        for k in range(0, count, size):
            rows.append(self.vgg(pictures(min(size, count - k), k).clamp(-1, 1))[3].mean((2, 3)))
        return torch.cat(rows)

    def __call__(self, features):
        """1000 times the distance of features [N,512], as `features` returns them."""
        x, y = self.real.double(), (features * self.scale).double()
        m, n = len(x), len(y)

        def kernel(a, b):
            return (a @ b.T / a.shape[1] + 1) ** 3

        xx, yy = kernel(x, x), kernel(y, y)
        within = (xx.sum() - xx.trace()) / (m * (m - 1)) + (yy.sum() - yy.trace()) / (n * (n - 1))
        return 1000 * (within - 2 * kernel(x, y).mean()).item()

    def spread(self, features):
        """Total variance over that of the held-out features: below 1 where variety is missing."""
        return ((features * self.scale).var(0).sum() / self.real.var(0).sum()).item()

    def of_generator(self, generator, count=2000):
        """(distance, spread) of `count` pictures, psi 1, noise const, from fixed z."""
        rng = torch.Generator().manual_seed(1234)
        z = torch.randn(count, generator.z_dim, generator=rng)
        rows = self.features(lambda n, k: generator(z[k : k + n]), count)
        return self(rows), self.spread(rows)
