"""Writes the first inputs of each fuzz target into a folder: small files of every form that the
parser knows, from Python's own modules and the files that the tests have.

    python fuzz/make_seeds.py FOLDER      # FOLDER/json/..., FOLDER/zip/...

fuzz/run.sh calls it, and merges them with what fuzzing found.
"""

import io
import json
import pathlib
import pickle
import struct
import sys
import zipfile

DATA = pathlib.Path(__file__).parents[1] / "tests" / "checkpoint" / "data"
LARGEST = 14 << 10


def entry(kind, shape, begin, end):
    return {"dtype": kind, "shape": shape, "data_offsets": [begin, end]}


def safetensors(header, size):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + bytes(range(size))


def json_seeds():
    yield b"{}"
    yield b'[0,-1,2.5e-3,true,false,null,"a\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e4\\ud83d\\ude00",{"k":[]}]'
    yield '{"ä😀": {"": 9223372036854775807}}'.encode()
    yield b"[" * 16 + b"]" * 16
    yield b'{"k":' * 15 + b"[1]" + b"}" * 15
    yield b'["' + b"\\u0041" * 30 + b'"]'
    yield b"{" + b",".join(b'"%d":""' % i for i in range(100)) + b"}"
    yield json.dumps({"type": "stylegan2", "z_dim": 512, "modules": {"b4": {"up": 2}}}).encode()
    yield b'{"a":1,"a":2}'
    yield b'["\\'


def safetensors_seeds():
    yield safetensors({}, 0)
    yield safetensors({"a": entry("F32", [2, 3], 0, 24)}, 24)
    yield safetensors({"__metadata__": {"format": "pt", "ganvas": '{"type":"dcgan"}'},
                       "b": entry("F16", [2], 8, 12), "a": entry("I64", [], 0, 8),
                       "e": entry("U8", [0, 3], 8, 8)}, 12)
    kinds = {"F32": 4, "F16": 2, "BF16": 2, "F64": 8, "I64": 8, "I32": 4, "I16": 2, "I8": 1, "U8": 1, "BOOL": 1}
    offset, header = 0, {}
    for kind, size in kinds.items():
        header[kind] = entry(kind, [1], offset, offset + size)
        offset += size
    yield safetensors(header, offset)
    yield safetensors({"d": entry("U8", [1] * 8, 0, 1)}, 1)
    yield safetensors(b'{"\\u00e4\\ud83d\\ude00":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}   ', 1)
    yield safetensors({"a": entry("F8_E4M3", [1], 0, 1)}, 1)
    yield safetensors({"a": entry("U8", [2], 0, 2), "b": entry("U8", [2], 1, 3)}, 3)


def archive(members, method=zipfile.ZIP_STORED, comment=b"", zip64=False):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as file:
        for name, data in members.items():
            with file.open(name, "w", force_zip64=zip64) as member:
                member.write(data)
        file.comment = comment
    return buffer.getvalue()


def streamed(members):
    """As torch writes: sizes only in the directory and in descriptors behind the payloads."""
    class Pipe(io.RawIOBase):
        def __init__(self):
            super().__init__()
            self.data = b""

        def writable(self):
            return True

        def write(self, data):
            self.data += bytes(data)
            return len(data)

    pipe = Pipe()
    with zipfile.ZipFile(pipe, "w") as file:
        for name, data in members.items():
            file.writestr(name, data)
    return pipe.data


def end64(data, count, offset):
    """The same archive with a zip64 end record in front of a saturated plain one."""
    body, size = data[:-22], len(data) - 22 - offset
    record = struct.pack("<IQHHIIQQQQ", 0x06064B50, 44, 45, 45, 0, 0, count, count, size, offset)
    locator = struct.pack("<IIQI", 0x07064B50, 0, len(body), 1)
    return body + record + locator + struct.pack("<IHHHHIIH", 0x06054B50, 0, 0, 65535, 65535,
                                                 0xFFFFFFFF, 0xFFFFFFFF, 0)


def zip_seeds():
    two = {"a/data.pkl": b"\x80\x02N.", "a/data/0": bytes(8)}
    yield archive({})
    yield archive(two)
    yield archive(two, comment=b"a comment")
    yield archive(two, zip64=True)
    yield archive({"x": b"abc" * 50, "": b""}, zipfile.ZIP_DEFLATED)
    yield streamed(two)
    plain = archive(two)
    yield end64(plain, 2, plain.index(b"PK\1\2"))
    yield archive({f"{i}": b"" for i in range(10)})


class Opaque:
    def __reduce_ex__(self, protocol):
        return (Opaque, (1, "two"), {"state": [3]}, iter([4, 5]), iter([("six", 7)]))


def pickle_seeds():
    shared = [1, 2]
    cyclic = []
    cyclic.append(cyclic)
    for protocol in (2, 3, 4, 5):
        yield pickle.dumps([None, True, 1, -300, 70000, 1 << 70, -1, 2.5, "text", "ä", b"bytes",
                            (1,), (1, 2), (1, 2, 3), (1, 2, 3, 4), {1: "a", (2,): {}}, {3, 4},
                            frozenset([5]), shared, shared, cyclic, Opaque(), json.dumps], protocol)
        yield pickle.dumps({"x" * 300: b"\xff" * 300}, protocol)
    yield b"\x80\x02" + b"]" * 40 + b"a" * 39 + b"."
    yield b"\x80\x02" + b"(" * 700 + b"N" + b"t" * 700 + b"."
    yield b"\x80\x02" + b"cm\nn\n" * 20 + b")R" * 1 + b"\x85" * 10 + b"0" * 19 + b"."


def files(*patterns):
    for pattern in patterns:
        for path in sorted(DATA.glob(pattern)):
            if path.stat().st_size <= LARGEST:
                yield path.read_bytes()


SEEDS = {
    "json": [json_seeds()],
    "safetensors": [safetensors_seeds()],
    "zip": [zip_seeds(), files("*.npz", "*zip.pt")],
    "npz": [files("*.npy", "*.npz")],
    "pickle": [pickle_seeds(), files("*.pkl")],
    "torch": [files("*.pt"), safetensors_seeds()],
}


def main():
    for target, sources in SEEDS.items():
        folder = pathlib.Path(sys.argv[1]) / target
        folder.mkdir(parents=True, exist_ok=True)
        for i, data in enumerate(seed for source in sources for seed in source):
            (folder / f"seed{i:03}").write_bytes(data)


if __name__ == "__main__":
    main()
