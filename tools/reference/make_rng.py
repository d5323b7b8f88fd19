#!/usr/bin/env python3
"""Writes the random-number vectors of tests/base/data with the real numpy and torch.

usage: tools/reference/make_rng.py tests/base/data
"""
import pathlib
import sys

import numpy as np
import torch

SEEDS = [0, 85, 2**32 - 1]
# One after the other from one generator: the cache below 16, the redrawn tail from 16 on.
LENGTHS = [1, 2, 3, 15, 16, 17, 31, 32, 33, 100, 7, 320, 5, 1]


def torch_sequence(seed, dtype):
    g = torch.Generator().manual_seed(seed)
    return torch.cat([torch.randn(n, generator=g, dtype=dtype) for n in LENGTHS]).numpy()


def torch_mixed(seed):
    """What differs from randn in how many words it draws, in the order of test_rng.c."""
    g = torch.Generator().manual_seed(seed)
    return np.concatenate([
        torch.rand(9, generator=g).double().numpy(),
        torch.rand(9, generator=g, dtype=torch.float64).numpy(),
        torch.randint(0, 1000, (9,), generator=g).double().numpy(),
        torch.randint(0, 2**28 - 1, (9,), generator=g).double().numpy(),
        torch.randperm(100, generator=g).double().numpy(),
        torch.rand(1, generator=g).double().numpy(),
    ])


def main():
    out = pathlib.Path(sys.argv[1])
    raw = [np.random.RandomState(s).randint(0, 2**32, size=700, dtype=np.uint32) for s in SEEDS]
    np.save(out / "mt19937.npy", np.stack(raw))
    np.save(out / "numpy_rand.npy", np.stack([np.random.RandomState(s).rand(50) for s in SEEDS]))
    np.save(out / "numpy_randn.npy", np.stack([np.random.RandomState(s).randn(701) for s in SEEDS]))
    np.save(out / "torch_lengths.npy", np.array(LENGTHS, np.int32))
    np.save(out / "torch_randn_f32.npy",
            np.stack([torch_sequence(s, torch.float32) for s in SEEDS]))
    np.save(out / "torch_randn_f64.npy",
            np.stack([torch_sequence(s, torch.float64) for s in SEEDS]))
    np.save(out / "torch_mixed.npy", np.stack([torch_mixed(s) for s in SEEDS]))


if __name__ == "__main__":
    main()
