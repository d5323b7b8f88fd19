#!/usr/bin/env python3
"""Makes tests/nets/data: small networks with random weights, and what they compute.

    python tools/reference/make_nets.py [OUT]

The networks are written here a second time, straight from docs/FORMATS.md, and on purpose differently
from src/nets: modulation scales the weights of each sample, filters are plain convolutions, everything is
float64 (parameters are float32 values). Networks go to .safetensors or .pth, vectors to .npz.
"""

import json
import math
import pathlib
import sys

import numpy as np
import torch
import torch.nn.functional as F

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools" / "train"))
from common import safetensors                                        # noqa: E402

F64 = torch.float64


# ---- StyleGAN2 ----------------------------------------------------------------------------------

def upsample(x, taps):
    """Zeros between the samples, 2 before and 1 after, then the 4 x 4 filter with gain 4."""
    n, c, h, w = x.shape
    wide = torch.zeros(n, c, h, 2, w, 2, dtype=x.dtype)
    wide[:, :, :, 0, :, 0] = x
    return fir(F.pad(wide.reshape(n, c, 2 * h, 2 * w), (2, 1, 2, 1)), taps)


def fir(x, taps):
    kernel = torch.outer(taps, taps) / taps.sum() ** 2 * 4
    return F.conv2d(x, kernel.expand(x.shape[1], 1, 4, 4), groups=x.shape[1])


def activation(x, name):
    return {"linear": lambda: x, "lrelu": lambda: F.leaky_relu(x, 0.2) * math.sqrt(2)}[name]()


def clamp(x, limit):
    return x if limit is None else x.clamp(-limit, limit)


class StyleGan2:
    """One generator: parameters under the official names, attributes under the modules' names."""

    def __init__(self, seed, resolution, z_dim, w_dim, c_dim=0, num_layers=2, channels=(8, 8, 8, 4),
                 architecture="skip", conv_clamp=256.0, lr_multiplier=0.01, with_modules=False,
                 with_w_avg=True, filter_taps=(1, 3, 3, 1)):
        self.rng = np.random.RandomState(seed)
        self.resolution, self.z_dim, self.w_dim, self.c_dim = resolution, z_dim, w_dim, c_dim
        self.num_layers, self.architecture, self.conv_clamp = num_layers, architecture, conv_clamp
        self.lr_multiplier = lr_multiplier
        self.taps = torch.tensor(filter_taps, dtype=F64)
        self.blocks = [4 << i for i in range(int(math.log2(resolution)) - 1)]
        self.channels = dict(zip(self.blocks, channels))
        self.num_ws = 2 * len(self.blocks)
        self.p, self.modules = {}, {}
        if c_dim:
            self.dense("mapping.embed", c_dim, w_dim, 1.0)
        for i in range(num_layers):
            inputs = w_dim if i else z_dim + (w_dim if c_dim else 0)
            self.dense(f"mapping.fc{i}", inputs, w_dim, lr_multiplier)
        if with_w_avg:
            self.p["mapping.w_avg"] = self.randn(w_dim)
        for res in self.blocks:
            self.block(res)
        if not with_modules:
            self.modules = {}

    def randn(self, *shape):
        return torch.from_numpy(np.asarray(self.rng.randn(*shape), np.float32)).to(F64)

    def dense(self, name, inputs, outputs, lr, bias=0.0):
        self.p[f"{name}.weight"] = self.randn(outputs, inputs) / np.float32(lr)
        self.p[f"{name}.bias"] = self.randn(outputs) * 0.25 / np.float32(lr) + bias
        self.modules[name] = {"weight_gain": lr / math.sqrt(inputs), "bias_gain": lr,
                              "activation": "lrelu" if "fc" in name else "linear"}

    def filter_buffer(self, name):
        self.p[f"{name}.resample_filter"] = torch.outer(self.taps, self.taps) / self.taps.sum() ** 2

    def layer(self, name, inputs, outputs, res):
        self.dense(f"{name}.affine", self.w_dim, inputs, 1.0, bias=1.0)
        self.p[f"{name}.weight"] = self.randn(outputs, inputs, 3, 3)
        self.p[f"{name}.bias"] = self.randn(outputs) * 0.2
        self.p[f"{name}.noise_strength"] = self.randn(1)[0] * 0.3
        self.p[f"{name}.noise_const"] = self.randn(res, res)
        self.filter_buffer(name)
        self.modules[name] = {"resolution": res, "up": 2 if name.endswith("0") else 1, "use_noise": True,
                              "activation": "lrelu", "conv_clamp": self.conv_clamp,
                              "act_gain": math.sqrt(2)}

    def block(self, res):
        name, out = f"synthesis.b{res}", self.channels[res]
        self.filter_buffer(name)
        if res == 4:
            self.p[f"{name}.const"] = self.randn(out, 4, 4)
        else:
            inputs = self.channels[res // 2]
            self.layer(f"{name}.conv0", inputs, out, res)
            if self.architecture == "resnet":
                self.p[f"{name}.skip.weight"] = self.randn(out, inputs, 1, 1)
                self.filter_buffer(f"{name}.skip")
                self.modules[f"{name}.skip"] = {"weight_gain": 1 / math.sqrt(inputs), "act_gain": 1.0}
        self.layer(f"{name}.conv1", out, out, res)
        if self.architecture == "skip" or res == self.resolution:
            self.dense(f"{name}.torgb.affine", self.w_dim, out, 1.0, bias=1.0)
            self.p[f"{name}.torgb.weight"] = self.randn(3, out, 1, 1)
            self.p[f"{name}.torgb.bias"] = self.randn(3) * 0.2
            self.modules[f"{name}.torgb"] = {"conv_clamp": self.conv_clamp,
                                             "weight_gain": 1 / math.sqrt(out)}

    # -- the network --

    def fully_connected(self, name, x, lr, act="linear"):
        weight = self.p[f"{name}.weight"]
        y = x @ (weight * lr / math.sqrt(weight.shape[1])).T + lr * self.p[f"{name}.bias"]
        return activation(y, act)

    def mapping(self, z, c=None):
        x = z * torch.rsqrt(z.square().mean(1, keepdim=True) + 1e-8)
        if self.c_dim:
            y = self.fully_connected("mapping.embed", c, 1.0)
            x = torch.cat([x, y * torch.rsqrt(y.square().mean(1, keepdim=True) + 1e-8)], 1)
        for i in range(self.num_layers):
            x = self.fully_connected(f"mapping.fc{i}", x, self.lr_multiplier, "lrelu")
        return x

    def truncate(self, ws, psi, cutoff=None):
        average = self.p["mapping.w_avg"]
        result = ws.clone()
        result[:, :cutoff] = average + psi * (ws[:, :cutoff] - average)
        return result

    def conv(self, name, x, w, noise, gain=1.0):
        style = self.fully_connected(f"{name}.affine", w, 1.0)
        outputs = []
        for sample, s in zip(x, style):                      # W' = W s d differs for each sample
            weight = self.p[f"{name}.weight"] * s[None, :, None, None]
            weight = weight * torch.rsqrt(weight.square().sum((1, 2, 3), keepdim=True) + 1e-8)
            if name.endswith("conv0"):
                wide = F.conv_transpose2d(sample[None], weight.transpose(0, 1), stride=2)
                outputs.append(fir(F.pad(wide, (1, 1, 1, 1)), self.taps))
            else:
                outputs.append(F.conv2d(sample[None], weight, padding=1))
        y = torch.cat(outputs)
        if noise is not None:
            y = y + self.p[f"{name}.noise_strength"] * noise
        y = activation(y + self.p[f"{name}.bias"][None, :, None, None], "lrelu") * gain
        y = clamp(y, None if self.conv_clamp is None else self.conv_clamp * gain)
        self.inter[name.removeprefix("synthesis.")] = y
        return y

    def torgb(self, name, x, w):
        inputs = x.shape[1]
        style = self.fully_connected(f"{name}.affine", w, 1.0) / math.sqrt(inputs)
        weight = self.p[f"{name}.weight"][None] * style[:, None, :, None, None]
        y = torch.cat([F.conv2d(a[None], b) for a, b in zip(x, weight)])
        y = clamp(y + self.p[f"{name}.bias"][None, :, None, None], self.conv_clamp)
        self.inter[name.removeprefix("synthesis.")] = y
        return y

    def noise_const(self):
        return {name: value.expand(1, 1, *value.shape) for name, value in self.p.items()
                if name.endswith("noise_const")}

    def noise_random(self, n, seed):
        """torch.randn layer by layer in the order in which they run."""
        torch.manual_seed(seed)
        result = {}
        for res in self.blocks:
            for conv in ("conv1",) if res == 4 else ("conv0", "conv1"):
                result[f"synthesis.b{res}.{conv}.noise_const"] = torch.randn([n, 1, res, res]).to(F64)
        return result

    def synthesis(self, ws, noise):
        """ws [N,num_ws,w_dim]; noise {} for none."""
        self.inter, x, image, k = {}, None, None, 0
        for res in self.blocks:
            name = f"synthesis.b{res}"
            map_of = lambda conv: noise.get(f"{name}.{conv}.noise_const")     # noqa: E731
            if res == 4:
                x = self.p[f"{name}.const"].expand(ws.shape[0], -1, -1, -1)
                x, k = self.conv(f"{name}.conv1", x, ws[:, 0], map_of("conv1")), 1
            else:
                beside, gain = None, 1.0
                if self.architecture == "resnet":
                    gain = math.sqrt(0.5)
                    weight = self.p[f"{name}.skip.weight"] / math.sqrt(x.shape[1])
                    beside = upsample(F.conv2d(x, weight), self.taps) * gain
                x = self.conv(f"{name}.conv0", x, ws[:, k], map_of("conv0"))
                x = self.conv(f"{name}.conv1", x, ws[:, k + 1], map_of("conv1"), gain)
                k += 2
                if beside is not None:
                    x = x + beside
                    self.inter[f"b{res}.x"] = x
            if f"{name}.torgb.weight" in self.p:
                rgb = self.torgb(f"{name}.torgb", x, ws[:, k])
                if image is None:
                    image = rgb
                else:
                    image = upsample(image, self.taps) + rgb
                    self.inter[f"b{res}.img"] = image
        return image

    # -- files --

    def save(self, path):
        config = {"type": "stylegan2", "z_dim": self.z_dim, "c_dim": self.c_dim, "w_dim": self.w_dim,
                  "img_resolution": self.resolution, "img_channels": 3, "num_ws": self.num_ws,
                  "mapping_kwargs": {"num_layers": self.num_layers},
                  "synthesis_kwargs": {"architecture": self.architecture}}
        if self.modules:
            config["modules"] = self.modules
        else:
            config["mapping_kwargs"]["lr_multiplier"] = self.lr_multiplier
            config["synthesis_kwargs"]["conv_clamp"] = self.conv_clamp
        tensors = {name: value.numpy().astype(np.float32) for name, value in self.p.items()}
        safetensors.write(path, tensors, {"ganvas": json.dumps(config)})

    def round_parameters(self):
        self.p = {name: value.to(torch.float32).to(F64) for name, value in self.p.items()}


def loss_and_gradients(image, target, variables):
    loss = (image - target).square().mean()
    return loss, torch.autograd.grad(loss, variables)


def stylegan2_vectors(net):
    """Everything that tests/nets/test_stylegan2.c compares."""
    out = {}
    z = torch.from_numpy(np.stack([np.random.RandomState(s).randn(1, net.z_dim)[0] for s in (0, 85)]))
    z = z.to(torch.float32).to(F64)
    c = None
    if net.c_dim:
        c = torch.eye(net.c_dim, dtype=F64)[[1, 1]]
    out["z"] = z
    z.requires_grad_()
    w = net.mapping(z, c)
    ws = w[:, None].expand(-1, net.num_ws, -1)
    out["w"] = w
    target = torch.tanh(torch.from_numpy(np.random.RandomState(99).randn(
        1, 3, net.resolution, net.resolution))).to(torch.float32).to(F64)
    out["target"] = target
    image = net.synthesis(ws, net.noise_const())
    out["img_const"] = image
    for name, value in net.inter.items():
        if value.shape[2] <= 16:
            out[f"inter_{name}"] = value[:1]
    _, (grad,) = loss_and_gradients(image[:1], target, [z])
    out["grad_z"] = grad[:1]
    out["img_none"] = net.synthesis(ws[:1], {})
    out["img_random7"] = net.synthesis(ws[:1], net.noise_random(1, 7))
    if "mapping.w_avg" in net.p:
        out["ws_psi0.6_cutoff3"] = net.truncate(ws, 0.6, 3)

    rows = torch.from_numpy(np.random.RandomState(5).randn(1, net.num_ws, net.w_dim))
    rows = rows.to(torch.float32).to(F64).requires_grad_()
    noise = {name: value.clone().requires_grad_() for name, value in net.noise_const().items()}
    image = net.synthesis(rows, noise)
    loss, grads = loss_and_gradients(image, target, [rows, *noise.values()])
    out.update({"wplus": rows, "img_wplus": image, "loss_wplus": loss, "grad_wplus": grads[0]})
    for name, grad in zip(noise, grads[1:]):
        out["grad_noise_" + name.removeprefix("synthesis.").removesuffix(".noise_const")] = grad
    return out


# ---- DCGAN --------------------------------------------------------------------------------------

class DcGan:
    """layers: (conv module's name, norm module's name, upsample, norm, has bias) with channel counts."""

    def __init__(self, seed, layout, channels, norms, kernel=4, biases=()):
        self.rng, self.layout, self.norms, self.state = np.random.RandomState(seed), layout, norms, {}
        self.count = len(channels) - 1
        self.kernel = kernel
        for i, (a, b) in enumerate(zip(channels, channels[1:])):
            conv, norm = self.names(i)
            size = kernel if i == 0 or layout != "upsample" else 3
            shape = (b, a, size, size) if layout == "upsample" else (a, b, size, size)
            self.state[f"{conv}.weight"] = self.randn(*shape) * 0.3
            if i in biases:
                self.state[f"{conv}.bias"] = self.randn(b)
            if i < len(norms) and norms[i] == "batch":
                self.state[f"{norm}.weight"] = self.randn(b) * 0.3 + 1
                self.state[f"{norm}.bias"] = self.randn(b) * 0.3
                self.state[f"{norm}.running_mean"] = self.randn(b)
                self.state[f"{norm}.running_var"] = self.randn(b).square() + 0.1
                self.state[f"{norm}.num_batches_tracked"] = torch.tensor(7)

    def randn(self, *shape):
        return torch.from_numpy(np.asarray(self.rng.randn(*shape), np.float32))

    def names(self, i):
        if self.layout == "examples":
            return f"main.{3 * i}", f"main.{3 * i + 1}"
        if self.layout == "upsample":
            return f"up_conv{i + 1}.{int(i > 0)}", f"up_conv{i + 1}.{int(i > 0) + 1}"
        return f"deconv{i + 1}.0", f"deconv{i + 1}.1"

    def __call__(self, z):
        p = {name: value.to(F64) for name, value in self.state.items()}
        x = z[:, :, None, None]
        for i in range(self.count):
            conv, norm = self.names(i)
            weight, bias = p[f"{conv}.weight"], p.get(f"{conv}.bias")
            if self.layout != "upsample":
                x = F.conv_transpose2d(x, weight, bias, stride=2 if i else 1, padding=1 if i else 0)
            elif i == 0:
                x = F.conv2d(x, weight, bias, padding=(self.kernel + 2) // 2)
            else:
                x = F.conv2d(F.interpolate(x, scale_factor=2, mode="nearest"), weight, bias, padding=1)
            kind = self.norms[i] if i < len(self.norms) else None
            if kind == "instance":
                x = F.instance_norm(x, eps=1e-5)
            elif kind == "batch":
                x = F.batch_norm(x, p[f"{norm}.running_mean"], p[f"{norm}.running_var"],
                                 p[f"{norm}.weight"], p[f"{norm}.bias"], eps=1e-5)
            x = torch.tanh(x) if i == self.count - 1 else F.relu(x)
        return x

    def vectors(self, z_dim):
        z = torch.from_numpy(np.random.RandomState(5).randn(2, z_dim)).to(torch.float32).to(F64)
        z.requires_grad_()
        image = self(z)
        target = torch.tanh(self.randn(*image.shape)).to(F64)
        loss, (grad,) = loss_and_gradients(image, target, [z])
        return {"z": z, "img": image, "target": target, "loss": loss, "grad_z": grad}


# ---- VGG16 and LPIPS ----------------------------------------------------------------------------

CONVS = (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28)
POOL_BEFORE = (5, 10, 17, 24)
LPIPS_TAPS = (2, 7, 14, 21, 28)


def vgg(tensors, x, mean, std, last):
    """{index: (before ReLU, after ReLU)} of the convolutions up to features.<last>."""
    result = {}
    x = (x - torch.tensor(mean, dtype=F64)[:, None, None]) / torch.tensor(std, dtype=F64)[:, None, None]
    for i in CONVS:
        if i > last:
            break
        if i in POOL_BEFORE:
            x = F.max_pool2d(x, 2)
        y = F.conv2d(x, tensors[f"features.{i}.weight"], tensors[f"features.{i}.bias"], padding=1)
        x = F.relu(y)
        result[i] = (y, x)
    return result


def lpips(tensors, a, b):
    total = 0
    shift, scale = (-.030, -.088, -.188), (.458, .448, .450)
    features = [vgg(tensors, x, shift, scale, 28) for x in (a, b)]
    for k, i in enumerate(LPIPS_TAPS):
        x, y = (f[i][1] for f in features)
        x, y = (v / (v.square().sum(1, keepdim=True).sqrt() + 1e-10) for v in (x, y))
        total = total + F.conv2d((x - y).square(), tensors[f"lin{k}.model.1.weight"]).mean((1, 2, 3))
    return total


def vgg_vectors():
    loaded = safetensors.read(ROOT / "models" / "vgg16-lpips.safetensors")[0]
    tensors = {name: torch.from_numpy(value.astype(np.float64)) for name, value in loaded.items()}
    rng = np.random.RandomState(3)
    # Smooth pictures: coarse noise enlarged, with some grain.
    coarse = torch.from_numpy(rng.uniform(-1, 1, (3, 3, 6, 6)))
    pictures = F.interpolate(coarse, size=(32, 40), mode="bicubic") + torch.from_numpy(
        rng.randn(3, 3, 32, 40)) * 0.02
    pictures = pictures.clamp(-1, 1).to(torch.float32).to(F64)
    mean, std = (.485, .456, .406), (.229, .224, .225)
    out = {"pictures": pictures}
    features = vgg(tensors, (pictures[:1] + 1) / 2, mean, std, 28)
    for k, i in enumerate(CONVS):
        before = features[i][0]
        out[f"conv_{k + 1}_mean"] = before.mean((2, 3))
        if k < 7:
            out[f"conv_{k + 1}_first2"] = before[:, :2]
    out["conv_2_unit_mean"] = vgg(tensors, pictures[:1], mean, std, 2)[2][0].mean((2, 3))
    x = pictures[:1].clone().requires_grad_()
    target = vgg(tensors, (pictures[1:2] + 1) / 2, mean, std, 10)[10][0]
    loss = (vgg(tensors, (x + 1) / 2, mean, std, 10)[10][0] - target).square().mean()
    out["conv_5_mse"], out["conv_5_grad"] = loss, torch.autograd.grad(loss, x)[0]

    noise = torch.from_numpy(rng.randn(1, 3, 32, 40)) * 0.05
    noisy = (pictures[:1] + noise).to(torch.float32).to(F64)
    out["noisy"] = noisy
    out["lpips"] = torch.cat([lpips(tensors, pictures[:1], b) for b in
                              (pictures[:1], noisy, pictures[1:2], pictures[2:3])])
    x = pictures[:1].clone().requires_grad_()
    out["lpips_grad"] = torch.autograd.grad(lpips(tensors, x, pictures[1:2])[0], x)[0]
    return out


# ---- main ---------------------------------------------------------------------------------------

def write(path, arrays):
    np.savez(path, **{name: np.asarray(torch.as_tensor(value).detach().numpy(), np.float32)
                      for name, value in arrays.items()})
    print(f"{path.name}: {path.stat().st_size:,} bytes")


def main():
    out = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "tests" / "nets" / "data"
    out.mkdir(parents=True, exist_ok=True)
    generators = {
        # conv_clamp of the residual ones is so low that clamping happens.
        "sg2_skip": StyleGan2(1, 32, 16, 16),
        "sg2_resnet": StyleGan2(2, 16, 12, 20, channels=(17, 8, 5), architecture="resnet", conv_clamp=2.0,
                                lr_multiplier=0.05, with_modules=True),
        "sg2_orig": StyleGan2(3, 16, 20, 12, channels=(9, 8, 5), architecture="orig", conv_clamp=1.5,
                              with_modules=True, filter_taps=(1, 2, 2, 1)),
        "sg2_cond": StyleGan2(4, 8, 16, 16, c_dim=3, num_layers=4, channels=(8, 6), conv_clamp=None,
                              with_w_avg=False),
    }
    for name, net in generators.items():
        net.round_parameters()
        net.save(out / f"{name}.safetensors")
        write(out / f"{name}.npz", stylegan2_vectors(net))
    dcgans = {
        "dcgan_course": (DcGan(11, "course", (10, 17, 9, 3), ("instance", "instance")), 10, True),
        "dcgan_batch": (DcGan(12, "course", (10, 17, 9, 3), ("batch", "batch")), 10, False),
        "dcgan_examples": (DcGan(13, "examples", (7, 16, 5, 3), ("batch", "batch")), 7, True),
        # kernel 2, one layer without normalisation, bias in front of a batch norm
        "dcgan_upsample": (DcGan(14, "upsample", (9, 12, 8, 6, 3), ("instance", None, "batch"), kernel=2,
                                 biases=(1, 2, 3)), 9, True),
    }
    for name, (net, z_dim, as_zip) in dcgans.items():
        torch.save(net.state, out / f"{name}.pth", _use_new_zipfile_serialization=as_zip)
        write(out / f"{name}.npz", net.vectors(z_dim))
    write(out / "vgg16.npz", vgg_vectors())


if __name__ == "__main__":
    main()
