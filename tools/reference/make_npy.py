"""Writes tests/checkpoint/data/*.npy and *.npz: what NumPy itself makes of every kind of array that
ganvas reads, and of some that it refuses. The values are 0, 1, 2 ... in C order, as far as they fit.

    python tools/reference/make_npy.py
"""

import io
import pathlib
import zipfile

import numpy as np

OUT = pathlib.Path(__file__).parents[2] / "tests" / "checkpoint" / "data"


def count(kind, *shape):
    return np.arange(np.prod(shape, dtype=int)).astype(kind).reshape(shape)


def save(name, array, version=(1, 0)):
    with open(OUT / f"{name}.npy", "wb") as file:
        np.lib.format.write_array(file, array, version=version)


def main():
    OUT.mkdir(parents=True, exist_ok=True)
    for kind in "f4 f8 f2 i8 i4 i2 i1 u1".split():
        save(f"c_{kind}", count(f"<{kind}", 2, 3))
    save("c_b1", count("i1", 2, 3) % 2 == 1)
    save("big_f4", count(">f4", 2, 3))
    save("big_i8", count(">i8", 4))
    save("fortran_f4", np.asfortranarray(count("<f4", 2, 3, 4)))
    save("fortran_big_f8", np.asfortranarray(count(">f8", 3, 5)))
    save("scalar_f4", np.float32(7).reshape(()))
    save("empty_f4", count("<f4", 2, 0, 3))
    save("dims8_u1", count("u1", 1, 2, 1, 2, 1, 1, 3, 1))
    save("version2_f4", count("<f4", 2, 3), (2, 0))
    save("version3_f4", count("<f4", 2, 3), (3, 0))

    save("refused_complex", count("<c8", 2))
    save("refused_text", np.array(["ab", "c"]))
    save("refused_u4", count("<u4", 2))
    save("refused_structure", np.zeros(2, [("a", "<f4"), ("b", "<i4")]))
    save("refused_dims9", count("u1", *[1] * 9))

    arrays = {"w": count("<f4", 1, 4, 8), "noise_b4.conv1": count(">f8", 4, 4), "z": count("i8", 3)}
    np.savez(OUT / "stored.npz", **arrays)
    np.savez_compressed(OUT / "deflated.npz", **arrays)
    with zipfile.ZipFile(OUT / "bzip2.npz", "w", zipfile.ZIP_BZIP2) as archive:
        buffer = io.BytesIO()
        np.save(buffer, count("<f4", 2))
        archive.writestr("w.npy", buffer.getvalue())


if __name__ == "__main__":
    main()
