"""Hostile candidates and settings: laws, manifests, parameters, weights and TOML files that somebody might hand in."""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Iterator, Mapping

from controllers.library import find_law
from sim.catalogue import find_robot

ARM = find_robot("arm2")
BASE: Mapping[str, bytes] = find_law(ARM, ARM.controller).files
Files = dict[str, bytes]

_HEAD, _BODY = re.match(rb"(?s)(.*?def control\(.*?\):\n)(.*)", BASE["law.py"]).groups()  # type: ignore[union-attr]


def law(first: str, last: str = "") -> Files:
    """The arm's own law with lines before and after its own."""
    before, after = ("".join(f"    {line}\n" for line in text.splitlines()).encode() for text in (first, last))
    return {**BASE, "law.py": _HEAD + before + _BODY + after}


def text(source: str | bytes) -> Files:
    """Another law altogether."""
    return {**BASE, "law.py": source.encode() if isinstance(source, str) else source}


def manifest(old: str, new: str) -> Files:
    """The manifest with a line changed."""
    assert old.encode() in BASE["manifest.toml"], old
    return {**BASE, "manifest.toml": BASE["manifest.toml"].replace(old.encode(), new.encode(), 1)}


def params(line: str) -> Files:
    """The parameters with one of them in other words."""
    name = line.split("=", maxsplit=1)[0].strip()
    kept = b"".join(row for row in BASE["params.toml"].splitlines(keepends=True) if not row.startswith(name.encode()))
    return {**BASE, "params.toml": kept + line.encode() + b"\n"}


def weights(data: bytes) -> Files:
    """A declared array, and this file for it."""
    return {
        **BASE,
        "manifest.toml": BASE["manifest.toml"] + b"\n[weights.w]\nshape = [2, 2]\n",
        "weights.safetensors": data,
    }


def tensors(header: Mapping[str, object] | bytes, body: bytes = b"", size: int | None = None) -> bytes:
    """A safetensors file, honest or not about the size of its header."""
    told = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(told) if size is None else size) + told + body


_W = {"dtype": "F32", "shape": [2, 2], "data_offsets": [0, 16]}
_NAN, _INF = struct.pack("<f", float("nan")), struct.pack("<f", float("inf"))

LAWS: Mapping[str, Files] = {
    "reads a file": law("x = open('/etc/passwd')"),
    "imports the system": law("import os"),
    "imports by name": law("x = __import__('os').system('true')"),
    "climbs the class tree": law("x = (0).__class__.__bases__"),
    "evaluates text": law("x = eval('1')"),
    "compiles text": law("exec('import os')"),
    "reaches the globals": law("x = control.__globals__"),
    "reaches the builtins": law("x = __builtins__"),
    "leaves a global behind": law("global secret\nsecret = 1.0"),
    "keeps state in a default": text(_HEAD.replace(b"def control(", b"def control(hidden=[], ") + _BODY),
    "defines a function": law("def inner():\n    return 1.0"),
    "hides work in a lambda": law("f = lambda: 0.0"),
    "comprehends": law("x = [i for i in range(10**9)]"),
    "decorates itself": text(b"@print\n" + _HEAD[_HEAD.index(b"def control") :] + _BODY),
    "runs on import": text(b"print('imported')\n" + BASE["law.py"]),
    "catches everything": law("try:\n    x = 1.0\nexcept BaseException:\n    pass"),
    "raises": law("raise SystemExit(0)"),
    "asserts": law("assert False"),
    "yields": law("yield 1.0"),
    "awaits": text(b"async " + _HEAD[_HEAD.index(b"def control") :] + _BODY),
    "formats a string": law("x = f'{q}'"),
    "deletes its input": law("del q"),
    "spins for ever": law("while True:\n    pass"),
    "spins for very long": law("x = 0.0\nfor i in range(1000000000):\n    x = x + 1.0"),
    "nests loops": law(
        "x = 0.0\n" + "".join(f"{'    ' * k}for i{k} in range(100):\n" for k in range(8)) + "    " * 8 + "x = x + 1.0"
    ),
    "multiplies by loops that just pass": law(
        "x = 0.0\nfor i in range(100):\n    for j in range(100):\n        x = x + sin(x)"
    ),
    "calls itself": law("control(q)"),
    "reads beyond an array": law("x = q[2]"),
    "reads before an array": law("x = q[-1]"),
    "reads with a computed index": law("x = q[q[0]]"),
    "writes its input": law("q[0] = 0.0"),
    "writes a reference": law("q_ref[0] = q[0]"),
    "writes a parameter": law("kp[0] = 0.0"),
    "divides by nothing": law("", "tau[0] = 1.0 / 0.0"),
    "divides by what may be nothing": law("", "tau[0] = 1.0 / (q[0] - q[0])"),
    "takes the root of less than nothing": law("", "tau[0] = sqrt(-1.0 - q[0] * q[0])"),
    "overflows": law("", "tau[0] = 1e308 * 1e308"),
    "overflows an exponential": law("", "tau[0] = exp(1e9 + q[0])"),
    "makes a huge integer": law("x = 10 ** 10 ** 8"),
    "shifts a huge integer": law("x = 1 << 10000000000"),
    "commands no number": law("", "tau[0] = 1e308 * 10.0 - 1e308 * 10.0"),
    "commands more than there is": law("", "tau[0] = 1e300\ntau[1] = -1e300"),
    "commands from limit to limit": law("", "tau[0] = 1e6 * sin(1e6 * q[0])\ntau[1] = -tau[0]"),
    "commands nothing": law("", "tau[0] = 0.0\ntau[1] = 0.0"),
    "commands the opposite": law("", "tau[0] = -tau[0]\ntau[1] = -tau[1]"),
    "commands too little": law("", "tau[0] = 0.5 * tau[0]\ntau[1] = 0.5 * tau[1]"),
    "computes with tiny numbers": law("", "tau[0] = tau[0] + 5e-324 * q[0]"),
    "is too long": text(BASE["law.py"] + b"#" * (64 * 1024)),
    "is nested too deep": law("x = " + "(" * 300 + "1.0" + ")" * 300),
    "adds without end": law("x = " + "1.0 + " * 5000 + "1.0"),
    "is no text": text(b"\xff\xfe" + BASE["law.py"]),
    "holds a null": text(BASE["law.py"] + b"\0"),
    "declares another encoding": text(b"# -*- coding: rot13 -*-\n" + BASE["law.py"]),
    "hides a carriage return": law("x = 1.0  # \rimport os"),
    "looks like another name": law("ｔau = 1.0"),
    "has two heads": text(BASE["law.py"] + b"\n" + BASE["law.py"]),
    "is empty": text(b""),
}
MANIFESTS: Mapping[str, Files] = {
    "is no TOML": {**BASE, "manifest.toml": b"[["},
    "is no text, as a manifest": {**BASE, "manifest.toml": b"\xff\xff"},
    "declares a signal that would tell": manifest('signals = ["q"', 'signals = ["q_true", "q"'),
    "declares no bounds": manifest("low = ", "# low = "),
    "declares bounds of no number": manifest("high = ", "high = nan # "),
    "declares endless bounds": manifest("high = ", "high = inf # "),
    "turns its bounds round": manifest("low = ", "low = 1e9 # "),
    "declares a huge state": {
        **BASE,
        "manifest.toml": BASE["manifest.toml"] + b"\n[states.s]\nsize = 1000000000000\nunit = '1'\n",
    },
    "declares less than nothing": {
        **BASE,
        "manifest.toml": BASE["manifest.toml"] + b"\n[states.s]\nsize = -1\nunit = '1'\n",
    },
    "declares huge weights": {
        **BASE,
        "manifest.toml": BASE["manifest.toml"] + b"\n[weights.w]\nshape = [1000000, 1000000]\n",
    },
    "adds a key": {**BASE, "manifest.toml": b"run = 'true'\n" + BASE["manifest.toml"]},
    "nests without end": {**BASE, "manifest.toml": b"a = " + b"[" * 20000 + b"]" * 20000},
    "writes an endless integer": manifest("size = ", "size = " + "9" * 20000 + " # "),
    "repeats a key": {**BASE, "manifest.toml": BASE["manifest.toml"] + b"\nname = 'again'\n[outputs.tau]\n"},
    "commands other outputs": manifest("[outputs.tau]", "[outputs.force]"),
    "is too large": {**BASE, "manifest.toml": BASE["manifest.toml"] + b"#" * (64 * 1024)},
}
PARAMS: Mapping[str, Files] = {
    "is no number": params("mass = nan"),
    "is endless": params("mass = inf"),
    "is below its bound": params("mass = -1e-9"),
    "is beyond its bound": params("mass = 1e300"),
    "is a text": params("mass = '1'"),
    "is a flag": params("mass = true"),
    "is a date": params("mass = 2026-01-01"),
    "is too short": params("kp = [500.0]"),
    "is too long": params("kp = [" + "500.0, " * 100000 + "]"),
    "holds no number": params("kp = [500.0, nan]"),
    "is nobody's": params("secret = 1.0"),
    "is nested": params("mass.value = 1.0"),
    "is a huge integer": params("mass = " + "9" * 5000),
}
WEIGHTS: Mapping[str, Files] = {
    "is a pickle": weights(b"\x80\x04cos\nsystem\n(S'true'\ntR."),
    "is nothing": weights(b""),
    "promises a huge header": weights(tensors({"w": _W}, bytes(16), size=2**63)),
    "promises more than a header": weights(tensors({"w": _W}, bytes(16), size=2**20)),
    "is no JSON": weights(tensors(b"{" * 4096)),
    "nests its header": weights(tensors(b'{"w":' + b"[" * 50000 + b"]" * 50000 + b"}")),
    "reaches beyond its end": weights(tensors({"w": {**_W, "data_offsets": [0, 1 << 40]}}, bytes(16))),
    "reaches before its start": weights(tensors({"w": {**_W, "data_offsets": [-16, 0]}}, bytes(16))),
    "has a huge shape": weights(tensors({"w": {**_W, "shape": [1 << 31, 1 << 31]}}, bytes(16))),
    "has a negative shape": weights(tensors({"w": {**_W, "shape": [-2, -2]}}, bytes(16))),
    "has another type": weights(tensors({"w": {**_W, "dtype": "I32"}}, bytes(16))),
    "has an unknown type": weights(tensors({"w": {**_W, "dtype": "PICKLE"}}, bytes(16))),
    "holds no number, as a weight": weights(tensors({"w": _W}, _NAN * 4)),
    "holds an endless weight": weights(tensors({"w": _W}, _INF * 4)),
    "overlaps": weights(tensors({"w": _W, "v": _W}, bytes(16))),
    "is not declared": weights(tensors({"w": _W, "v": {**_W, "data_offsets": [16, 32]}}, bytes(32))),
    "is too large, as weights": weights(bytes((16 << 20) + 1)),
}
FILES: Mapping[str, Files] = {
    "brings a program": {**BASE, "run.sh": b"#!/bin/sh\n"},
    "climbs out": {**BASE, "../law.py": BASE["law.py"]},
    "brings a module": {**BASE, "numpy.py": b"raise SystemExit\n"},
    "lacks its law": {name: data for name, data in BASE.items() if name != "law.py"},
}
CANDIDATES: Mapping[str, Files] = {**LAWS, **MANIFESTS, **{f"a parameter {k}": v for k, v in PARAMS.items()},
                                   **{f"a weight file {k}": v for k, v in WEIGHTS.items()}, **FILES}  # fmt: skip

ROBOT = (ARM.folder / "robot.toml").read_text()


def robot(old: str, new: str) -> str:
    """robot.toml of the arm with a line changed."""
    found, count = re.subn(rf"(?m)^{old} = .*$", f"{old} = {new}", ROBOT, count=1)
    assert count, old
    return found


ROBOTS: Mapping[str, str | bytes] = {
    "is no TOML": "[[",
    "is no text": b"\xff\xfe\x00",
    "is empty": "",
    "has an endless rate": robot("control_rate_hz", "inf"),
    "has no rate": robot("control_rate_hz", "0"),
    "has a rate of no number": robot("control_rate_hz", "nan"),
    "has a huge rate": robot("control_rate_hz", "1e18"),
    "has a huge integer": robot("control_rate_hz", "9" * 20000),
    "reads another file": robot("urdf", '"/etc/passwd"'),
    "climbs out of its folder": robot("urdf", '"../../../../../../../etc/shadow"'),
    "reads a device": robot("urdf", '"/dev/zero"'),
    "names a law by a path": robot("controller", '"../../../tmp/law"'),
    "nests without end": "a = " + "[" * 20000 + "]" * 20000,
    "has a key too many": ROBOT.replace("\n", "\nrun = 'true'\n", 1),
}


def policies(shipped: str) -> Iterator[tuple[str, str | bytes]]:
    """Policy files that would let anything pass."""

    def changed(key: str, value: str) -> str:
        found, count = re.subn(rf"(?m)^{key} = [^#\n]*", f"{key} = {value} ", shipped, count=1)
        assert count, key
        return found

    yield "is no TOML", "[["
    yield "is no text", b"\xff"
    yield "is empty", ""
    yield "has a chance above one", changed("per_incident", "2.0")
    yield "has no chance", changed("per_incident", "0.0")
    yield "has a chance of no number", changed("per_incident", "nan")
    yield "asks for no run", changed("scenarios", "0")
    yield "asks for fewer than it says", changed("scenarios", "3")
    yield "asks for endless runs", changed("scenarios", "10000000000")
    yield "has a margin of no number", changed("margin", "nan")
    yield "has an endless margin", changed("effort", "inf")
    yield "trusts every twin", changed("fidelity", "-1.0")
    yield "asks for a whole that is none", changed("attempts", "1.5")
    yield "has a key too many", shipped + "\n[override]\npass = true\n"
