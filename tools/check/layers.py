#!/usr/bin/env python3
"""Checks the rules that keep the layers apart.

usage: tools/check/layers.py [ROOT]      findings, one a line; exit status 1 if there are any
       tools/check/layers.py --self-test  plants a violation of each rule and looks for its finding
"""
import pathlib
import re
import sys
import tempfile

# Each layer and what it may include besides itself and ganvas.h.
LAYERS = {
    "base": [],
    "kernels": ["base"],
    "graph": ["base", "kernels"],
    "checkpoint": ["base"],
    "image": ["base"],
    "nets": ["base", "kernels", "graph", "checkpoint"],
    "edit": ["base", "kernels", "graph", "checkpoint", "image", "nets"],
    "job": ["base", "kernels", "graph", "checkpoint", "image", "nets", "edit"],
    "api": ["base", "kernels", "graph", "checkpoint", "image", "nets", "edit", "job"],
}
# Libraries whose every call is kept in one place.
HOMES = {
    r"(oneapi/)?dnnl": "src/kernels/",
    r"vips/": "src/image/",
    r"omp\.h": "src/base/parallel.c",
    r"mpi\.h": "src/job/",
    r"libwebsockets": "apps/server/",
}
ALLOCATORS = re.compile(
    r"(?<![.>\w])(malloc|calloc|realloc|reallocarray|free|strdup|strndup|aligned_alloc"
    r"|posix_memalign|asprintf|vasprintf|getline)\s*\(")
FORBIDDEN = re.compile(
    r"(?<![.>\w])(printf|vprintf|fprintf|vfprintf|puts|fputs|putchar|perror|exit|_exit"
    r"|quick_exit|abort|signal|sigaction)\s*\(|\b(stdout|stderr)\b")
INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]+(?:"([^"]+)"|<([^>]+)>)', re.M)

MAX_LINES = 900
MAX_PUBLIC_LINES = 600
CODE = {".c", ".h", ".py", ".sh", ".js", ".css", ".html"}
FOLDERS = ["include", "src", "apps", "examples", "tests", "fuzz", "bench", "tools"]


def without_comments(text, strings=True):
    """Blanks comments, and string and character literals if `strings`; lines stay where they are."""
    literals = r'|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\''

    def blank(match):
        found = match.group(0)
        if not strings and found[0] in "\"'":
            return found
        return re.sub(r"[^\n]", " ", found)

    return re.sub(r"/\*.*?\*/|//[^\n]*" + literals, blank, text, flags=re.S)


def line_of(text, position):
    return text.count("\n", 0, position) + 1


def include_fault(path, name, quoted, root):
    """Why the file at `path` may not include `name`, or None."""
    for pattern, home in HOMES.items():
        if re.match(pattern, name) and not path.startswith(home):
            return f"<{name}> belongs to {home}"
    parts = path.split("/")
    if parts[0] in ("apps", "examples"):
        inside = ((root / path).parent / name).resolve().is_relative_to(root.resolve() / parts[0])
        of_a_layer = "/" in name and name.split("/")[0] in LAYERS
        if of_a_layer or (quoted and name != "ganvas.h" and not inside):
            return f"{name}: {parts[0]}/ knows ganvas.h alone"
    if parts[0] == "include" and quoted:
        return f'"{name}": the public header includes nothing of ours'
    if parts[0] == "src" and len(parts) > 2 and quoted and name != "ganvas.h":
        layer = parts[1]
        if "/" not in name:
            return f'"{name}" names no layer'
        other = name.split("/")[0]
        if other != layer and other not in LAYERS.get(layer, []):
            return f'"{name}": {layer} does not know {other}'
        if other != layer and name.endswith("/internal.h"):
            return f'"{name}" is for {other} alone'
    return None


def check_code(path, text, root):
    """Findings (line, sentence) in one C file."""
    found = []
    for match in INCLUDE.finditer(without_comments(text, strings=False)):
        name = match.group(1) or match.group(2)
        fault = include_fault(path, name, match.group(1) is not None, root)
        if fault:
            found.append((line_of(text, match.start(0)), f"includes {fault}"))
    if path.startswith("src/"):
        code = without_comments(text)
        if path != "src/base/memory.c":
            for match in ALLOCATORS.finditer(code):
                found.append((line_of(code, match.start()),
                              f"calls {match.group(1)}: memory comes from base/memory.h"))
        for match in FORBIDDEN.finditer(code):
            word = match.group(1) or match.group(2)
            found.append((line_of(code, match.start()),
                          f"uses {word}: the library does not print, exit or handle signals"))
    return found


def check_tree(root):
    found = []
    for folder in FOLDERS:
        for file in sorted((root / folder).rglob("*")):
            if file.suffix not in CODE or not file.is_file():
                continue
            path = file.relative_to(root).as_posix()
            text = file.read_text(encoding="utf-8", errors="replace")
            lines = text.count("\n")
            limit = MAX_PUBLIC_LINES if path.startswith("include/") else MAX_LINES
            if lines > limit:
                found.append(f"{path}: {lines} lines, at most {limit}")
            if file.suffix in (".c", ".h"):
                found += [f"{path}:{line}: {why}" for line, why in check_code(path, text, root)]
            parts = path.split("/")
            if parts[0] == "src" and len(parts) > 2 and parts[1] not in LAYERS:
                found.append(f"{path}: src/{parts[1]} is not a layer")
    return found


# ---- self-test: (file, content, expected part of the one finding, or None) ----

PLANTED = [
    ("src/base/a.c", '#include "kernels/map.h"\n', "base does not know kernels"),
    ("src/image/a.c", '\n#include "checkpoint/view.h"\n', "a.c:2: includes"),
    ("src/nets/a.c", '# include "edit/objective.h"\n', "nets does not know edit"),
    ("src/nets/a.c", '#include "graph/internal.h"\n', "is for graph alone"),
    ("src/graph/a.c", '#include "op.h"\n', "names no layer"),
    ("src/graph/a.c", '#include <oneapi/dnnl/dnnl.h>\n', "belongs to src/kernels/"),
    ("src/newlayer/a.c", "\n", "is not a layer"),
    ("apps/cli/a.c", '#include "base/error.h"\n', "knows ganvas.h alone"),
    ("apps/cli/a.c", '#include "../../src/base/error.h"\n', "knows ganvas.h alone"),
    ("examples/a.c", "#include <graph/graph.h>\n", "knows ganvas.h alone"),
    ("src/job/a.c", '#include "api/options.h"\n', "job does not know api"),
    ("include/ganvas.h", '#include "base/error.h"\n', "includes nothing of ours"),
    ("src/nets/a.c", "void *f(void) { return malloc(3); }\n", "calls malloc"),
    ("src/nets/a.c", "void f(void *p)\n{\n    free(p);\n}\n", "a.c:3: calls free"),
    ("src/nets/a.c", 'int f(void) { return printf("x"); }\n', "uses printf"),
    ("src/base/memory.c", "void f(void) { exit(1); }\n", "uses exit"),
    ("src/api.c", "void f(void) { fputs(s, stderr); }\n", "uses fputs"),
    ("tools/a.py", "\n" * 901, "901 lines"),
    ("include/ganvas.h", "\n" * 601, "601 lines"),
    ("src/nets/a.c", "/* malloc(3) and free(x) */ // exit(1)\n", None),
    ("src/nets/a.c", 'const char *s = "printf(\\"malloc(1)\\")";\n', None),
    ("src/nets/a.c", "void f(void) { t->free(x); gv_free(x); snprintf(a, b); }\n", None),
    ("src/nets/a.c", '/*\n#include "edit/objective.h"\n*/\n', None),
    ("src/nets/a.c", '#include "graph/graph.h"\n#include "ganvas.h"\n#include <math.h>\n', None),
    ("src/base/memory.c", "void *f(void) { return malloc(3); }\n", None),
    ("src/graph/a.c", '#include "graph/internal.h"\n', None),
    ("apps/cli/a.c", '#include "options.h"\n#include <ganvas.h>\nint f(void) { exit(1); }\n', None),
]


def self_test():
    failed = 0
    for number, (path, content, expected) in enumerate(PLANTED):
        with tempfile.TemporaryDirectory() as folder:
            root = pathlib.Path(folder)
            (root / path).parent.mkdir(parents=True)
            (root / path).write_text(content)
            found = check_tree(root)
        good = not found if expected is None else any(expected in f for f in found)
        if not good:
            failed += 1
            print(f"self-test {number} ({path}): expected {expected!r}, found {found}")
    return failed


def main():
    if sys.argv[1:] == ["--self-test"]:
        return 1 if self_test() else 0
    root = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else ".")
    found = check_tree(root)
    print("\n".join(found), end="\n" if found else "")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
