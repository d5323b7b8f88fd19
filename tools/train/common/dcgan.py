"""The course's DCGenerator(100, 32, 'instance'): z [N,100] to pictures [N,3,64,64] in [-1,1]."""

import torch
import torch.nn.functional as F
from torch import nn


class DCGenerator(nn.Module):
    """State-dict keys deconv{1..5}.0.weight, as the course's module has them."""

    z_dim = 100

    def __init__(self, conv_dim=32):
        super().__init__()
        widths = (self.z_dim, conv_dim * 8, conv_dim * 4, conv_dim * 2, conv_dim, 3)
        for k in range(1, 6):
            step, padding = (2, 1) if k > 1 else (2, 0)
            deconv = nn.ConvTranspose2d(widths[k - 1], widths[k], 4, step, padding, bias=False)
            nn.init.normal_(deconv.weight, 0, 0.02)
            norm = nn.InstanceNorm2d(widths[k]) if k < 5 else nn.Identity()
            setattr(self, f"deconv{k}", nn.Sequential(deconv, norm))

    def forward(self, z):
        x = z[:, :, None, None]
        for k in range(1, 5):
            x = F.relu(getattr(self, f"deconv{k}")(x))
        return torch.tanh(self.deconv5(x).float())

    def training_batch(self, n):
        return self(torch.randn(n, self.z_dim))
