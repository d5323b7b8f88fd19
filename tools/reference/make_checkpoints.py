#!/usr/bin/env python3
"""Small checkpoints of every kind for tests/checkpoint, with what they hold.

    python tools/reference/make_checkpoints.py tests/checkpoint/data

Writes NAME.pkl or NAME.pt and, for files that load, NAME.json: the tensors (dtype, shape, crc32 of the
contiguous little-endian bytes) and the configuration. The StyleGAN2 pickles have the structure of the
official ones (class names, attributes, torch blobs within) and random weights; the modules that the
pickles name exist only in this script.
"""

import collections
import io
import json
import os
import pickle
import struct
import sys
import types
import zlib

import numpy as np
import torch


def make_module(name, **members):
    module = types.ModuleType(name)
    for key, value in members.items():
        value.__module__ = name
        value.__qualname__ = key
        setattr(module, key, value)
    sys.modules[name] = module
    if "." in name:
        parent, child = name.rsplit(".", 1)
        setattr(sys.modules[parent], child, module)
    return module


def reconstruct(meta):
    raise NotImplementedError("only pickled, never loaded")


class EasyDict(dict):
    pass


class Network:
    pass


make_module("torch_utils")
make_module("torch_utils.persistence", _reconstruct_persistent_obj=reconstruct)
make_module("dnnlib")
make_module("dnnlib.util", EasyDict=EasyDict)
make_module("dnnlib.tflib")
make_module("dnnlib.tflib.network", Network=Network)


# ---- modules as NVlabs' persistence pickles them ----


class Module:
    """A module's __dict__: tensors, children, attributes."""

    def __init__(self, class_name, parameters=None, buffers=None, modules=None, **attributes):
        self.class_name = class_name
        self.attributes = attributes
        self.parameters = {k: torch.nn.Parameter(v, requires_grad=False) if v is not None else None
                           for k, v in (parameters or {}).items()}
        self.buffers = buffers or {}
        self.modules = modules or {}

    def __reduce__(self):
        state = {
            "training": False,
            "_parameters": collections.OrderedDict(self.parameters),
            "_buffers": collections.OrderedDict(self.buffers),
            "_non_persistent_buffers_set": set(),
            "_backward_hooks": collections.OrderedDict(),
            "_modules": collections.OrderedDict(self.modules),
        }
        state.update(self.attributes)
        meta = dict(type="class", version=6, module_src="left out", class_name=self.class_name,
                    state=state)
        return reconstruct, (meta,)


rng = np.random.RandomState(7)


def tensor(*shape):
    return torch.from_numpy(rng.randn(*shape).astype(np.float32))


def filter_4x4():
    f = torch.tensor([1.0, 3.0, 3.0, 1.0])
    return torch.outer(f, f) / 64


def dense(inputs, outputs, activation="linear", rate=1.0):
    return Module("FullyConnectedLayer", dict(weight=tensor(outputs, inputs), bias=tensor(outputs)),
                  activation=activation, weight_gain=rate / np.sqrt(inputs), bias_gain=rate)


def layer(inputs, outputs, w_dim, resolution, up, gain=1.0, channels_last=False):
    weight = tensor(outputs, inputs, 3, 3)
    if channels_last:
        weight = weight.to(memory_format=torch.channels_last)
    return Module(
        "SynthesisLayer",
        dict(weight=weight, noise_strength=tensor(1)[0].clone(), bias=tensor(outputs)),
        dict(resample_filter=filter_4x4(), noise_const=tensor(resolution, resolution)),
        dict(affine=dense(w_dim, inputs)),
        resolution=resolution, up=up, use_noise=True, activation="lrelu", conv_clamp=256, padding=1,
        act_gain=np.float64(np.sqrt(2) * gain))


def to_rgb(inputs, w_dim):
    return Module("ToRGBLayer", dict(weight=tensor(3, inputs, 1, 1), bias=tensor(3)), None,
                  dict(affine=dense(w_dim, inputs)), conv_clamp=256, weight_gain=1 / np.sqrt(inputs))


def block(inputs, outputs, w_dim, resolution, last, architecture):
    modules = {}
    gain = np.sqrt(0.5) if architecture == "resnet" and inputs else 1.0
    if inputs:
        modules["conv0"] = layer(inputs, outputs, w_dim, resolution, 2)
    modules["conv1"] = layer(outputs, outputs, w_dim, resolution, 1, gain, channels_last=last)
    if last or architecture == "skip":
        modules["torgb"] = to_rgb(outputs, w_dim)
    if inputs and architecture == "resnet":
        modules["skip"] = Module(
            "Conv2dLayer", dict(weight=tensor(outputs, inputs, 1, 1), bias=None),
            dict(resample_filter=filter_4x4()), activation="linear", up=2, down=1, conv_clamp=None,
            padding=0, weight_gain=1 / np.sqrt(inputs), act_gain=np.float64(gain))
    return Module("SynthesisBlock", None if inputs else dict(const=tensor(outputs, 4, 4)),
                  dict(resample_filter=filter_4x4()), modules, in_channels=inputs, w_dim=w_dim,
                  resolution=resolution, img_channels=3, is_last=last, architecture=architecture,
                  use_fp16=False, channels_last=last, num_conv=2 if inputs else 1,
                  num_torgb=int(last or architecture == "skip"))


def generator(resolution, architecture="skip", c_dim=0, flat=False):
    """flat: as networks_stylegan2.py of the stylegan3 repository."""
    z_dim = w_dim = 4
    resolutions = [4 << i for i in range(resolution.bit_length() - 2)]
    blocks, inputs, num_ws = {}, 0, 0
    for r in resolutions:
        blocks["b%d" % r] = block(inputs, 6 if r == 4 else 4, w_dim, r, r == resolution, architecture)
        num_ws += 2 if inputs else 1
        inputs = 6 if r == 4 else 4
    num_ws += 1
    more = dict(num_fp16_res=0) if flat else {}
    synthesis = Module("SynthesisNetwork", None, None, blocks, w_dim=w_dim, img_resolution=resolution,
                       img_resolution_log2=resolution.bit_length() - 1, img_channels=3,
                       block_resolutions=resolutions, num_ws=num_ws, **more)
    layers = {}
    if c_dim:
        layers["embed"] = dense(c_dim, w_dim)
    layers["fc0"] = dense(z_dim + (w_dim if c_dim else 0), w_dim, "lrelu", 0.01)
    layers["fc1"] = dense(w_dim, w_dim, "lrelu", 0.01)
    mapping = Module("MappingNetwork", None, dict(w_avg=tensor(w_dim)), layers, z_dim=z_dim, c_dim=c_dim,
                     w_dim=w_dim, num_ws=num_ws, num_layers=2, w_avg_beta=0.995 if not flat else 0.998)
    own = EasyDict(channel_base=32, channel_max=6, conv_clamp=256)
    if architecture != "skip":
        own["architecture"] = architecture
    sizes = dict(z_dim=z_dim, c_dim=c_dim, w_dim=w_dim, img_resolution=resolution, img_channels=3)
    arguments = dict(sizes, mapping_kwargs=EasyDict(num_layers=2))
    arguments.update(own if flat else dict(synthesis_kwargs=own))
    g = Module("Generator", None, None, dict(synthesis=synthesis, mapping=mapping), num_ws=num_ws,
               _init_args=(), _init_kwargs=EasyDict(arguments), **sizes)
    own = dict(own, architecture=architecture)
    config = dict(type="stylegan2", **sizes, num_ws=num_ws, mapping_kwargs=dict(num_layers=2),
                  synthesis_kwargs=own, modules={})
    return g, config


def walk(module, path=""):
    yield path, module
    for name, child in module.modules.items():
        yield from walk(child, path + "." + name if path else name)


# ---- files and what they hold ----

TYPES = {torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16", torch.float64: "F64",
         torch.int64: "I64", torch.int32: "I32", torch.int16: "I16", torch.int8: "I8",
         torch.uint8: "U8", torch.bool: "BOOL"}


def describe(tensors):
    out = []
    for name, t in sorted(tensors.items()):
        t = t.detach()
        flat = t.contiguous().view(-1)
        data = flat.view(torch.int16).numpy() if t.dtype == torch.bfloat16 else flat.numpy()
        out.append(dict(name=name, dtype=TYPES[t.dtype], shape=list(t.shape),
                        crc32=zlib.crc32(data.tobytes())))
    return out


def write_json(folder, name, tensors, config=None):
    with open(os.path.join(folder, name + ".json"), "w") as f:
        f.write('{"tensors": [\n')
        f.write(",\n".join(json.dumps(t) for t in describe(tensors)))
        f.write('],\n"config": %s}\n' % json.dumps(config))


def write_generator(folder, name, protocol, **options):
    g, config = generator(**options)
    tensors = {}
    for path, module in walk(g):
        for key, value in list(module.parameters.items()) + list(module.buffers.items()):
            if value is not None:
                tensors[path + "." + key] = value
        if path:
            plain = {k: float(v) if isinstance(v, np.floating) else v
                     for k, v in module.attributes.items()}
            config["modules"][path] = dict(plain, **{"class": module.class_name})
    root = dict(training_set_kwargs=None, G=g, D=None, G_ema=g, augment_pipe=None)
    with open(os.path.join(folder, name + ".pkl"), "wb") as f:
        pickle.dump(root, f, protocol=protocol)
    write_json(folder, name, tensors, config)


def write_pickle(folder, name, root, protocol=4):
    with open(os.path.join(folder, name), "wb") as f:
        pickle.dump(root, f, protocol=protocol)


def state_of_every_kind():
    base = tensor(20)
    every = collections.OrderedDict()
    every["f32"] = tensor(2, 3)
    every["f16"] = tensor(5).half()
    every["bf16"] = tensor(5).bfloat16()
    every["f64"] = tensor(3).double()
    for name, kind in (("i64", torch.int64), ("i32", torch.int32), ("i16", torch.int16),
                       ("i8", torch.int8)):
        every[name] = torch.tensor([-3, 0, 100], dtype=kind)
    every["u8"] = torch.tensor([0, 1, 255], dtype=torch.uint8)
    every["bool"] = torch.tensor([True, False])
    every["scalar"] = tensor(1)[0].clone()
    every["empty"] = torch.zeros(0, 3)
    every["shared_a"] = base[3:9].view(2, 3)
    every["shared_b"] = base[1:19:3]
    every["transposed"] = base.view(4, 5).t()
    every["channels_last"] = tensor(2, 3, 2, 2).to(memory_format=torch.channels_last)
    every["expanded"] = tensor(3).expand(4, 3)
    every["parameter"] = torch.nn.Parameter(tensor(2))
    return every


class Optimiser:
    def __init__(self):
        self.state = {"step": 3}


make_module("training")
make_module("training.loop", Optimiser=Optimiser)


def write_torch(folder):
    every = state_of_every_kind()
    named = collections.OrderedDict(("module.generator." + k, v) for k, v in every.items())
    named._metadata = collections.OrderedDict(version=1)
    root = {"epoch": 3, "optimizer": Optimiser(), "state_dict": named, "best": None}
    for new in (True, False):
        name = "state_zip" if new else "state_legacy"
        torch.save(root, os.path.join(folder, name + ".pt"), _use_new_zipfile_serialization=new)
        write_json(folder, name, every)

    net = torch.nn.Sequential(collections.OrderedDict(
        a=torch.nn.Linear(2, 3), act=torch.nn.ReLU(), norm=torch.nn.BatchNorm1d(3)))
    net.again = net.act
    torch.save({"G": net}, os.path.join(folder, "module_zip.pt"))
    write_json(folder, "module_zip", net.state_dict())

    rosinality = {"style.1.weight": tensor(2, 2), "conv1.conv.weight": tensor(1, 2, 2, 3, 3),
                  "convs.0.conv.modulation.weight": tensor(2, 2)}
    torch.save({"g_ema": rosinality, "d": {}}, os.path.join(folder, "refused_rosinality.pt"))
    torch.save({"w": torch.eye(3).to_sparse()}, os.path.join(folder, "refused_sparse.pt"))
    torch.save({"w": torch.zeros(2, dtype=torch.complex64)}, os.path.join(folder, "refused_complex.pt"))


class Reference:
    """A storage, as the persistent id of it."""

    def __init__(self, *fields):
        self.fields = ("storage", torch.FloatStorage) + fields


class Tensor:
    def __init__(self, storage, offset, size, stride):
        self.args = (storage, offset, size, stride, False, collections.OrderedDict())

    def __reduce__(self):
        return torch._utils._rebuild_tensor_v2, self.args


class Pickler(pickle.Pickler):
    def persistent_id(self, obj):
        return obj.fields if isinstance(obj, Reference) else None


def write_legacy_views(folder):
    """Storages that are parts of others, as torch before 0.4 wrote them."""
    data = tensor(12)
    whole = Reference("77", "cpu", 12, None)
    part = Reference("77", "cpu", 12, ("78", 5, 6))
    root = {"whole": Tensor(whole, 0, (3, 4), (4, 1)), "part": Tensor(part, 1, (2, 2), (3, 1))}
    with open(os.path.join(folder, "views_legacy.pt"), "wb") as f:
        sizes = dict(short=2, int=4, long=4)
        for value in (0x1950A86A20F9469CFC6C, 1001,
                      dict(protocol_version=1001, little_endian=True, type_sizes=sizes)):
            pickle.dump(value, f, protocol=2)
        Pickler(f, 2).dump(root)
        pickle.dump(["77"], f, protocol=2)
        f.write(struct.pack("<q", 12) + data.numpy().tobytes())
    write_json(folder, "views_legacy",
               dict(whole=data.view(3, 4), part=torch.as_strided(data, (2, 2), (3, 1), 6)))


def write_refused_pickles(folder):
    networks = []
    for name in ("G", "D", "Gs"):
        network = Network()
        network.__dict__.update(version=4, name=name, variables=[("lod", np.zeros((), np.float32))])
        networks.append(network)
    write_pickle(folder, "refused_tensorflow.pkl", tuple(networks))
    write_pickle(folder, "refused_tensorflow2.pkl", tuple(networks), 2)
    layers = dict(input=Module("SynthesisInput", dict(weight=tensor(2, 2))),
                  L0_36_4=Module("SynthesisLayer", dict(weight=tensor(2, 2, 3, 3)),
                                 dict(magnitude_ema=tensor(1)[0].clone())))
    g = Module("Generator", None, None,
               dict(synthesis=Module("SynthesisNetwork", None, None, layers),
                    mapping=Module("MappingNetwork")), z_dim=4, c_dim=0, w_dim=4)
    write_pickle(folder, "refused_stylegan3.pkl", dict(G=None, D=None, G_ema=g))
    write_pickle(folder, "refused_other.pkl", dict(G_ema=Module("TriPlaneGenerator")))
    write_pickle(folder, "refused_plain.pkl", dict(a=[1, 2], b=None))


def main():
    folder = sys.argv[1]
    os.makedirs(folder, exist_ok=True)
    for protocol in (2, 3, 4):
        write_generator(folder, "sg2_proto%d" % protocol, protocol, resolution=4)
    write_generator(folder, "sg2_resnet", 4, resolution=8, architecture="resnet", c_dim=3)
    write_generator(folder, "sg2_orig", 3, resolution=8, architecture="orig")
    write_generator(folder, "sg2_flat", 4, resolution=4, flat=True)
    write_torch(folder)
    write_legacy_views(folder)
    write_refused_pickles(folder)


main()
