"""A prepared law on its way from the helper to the loop: pieces so small that the loop takes in one in a tick's rest.

The helper has verified, checked and compiled; the loop unmarshals code, reads numbers and puts the law together. Both
are processes of one program on one machine, and what they share has no name that anybody else could open.
"""

from __future__ import annotations

import marshal
import pickle
from collections.abc import Iterator

from controllers.compiler import maker_of
from controllers.controller import Prepared
from controllers.signature import PatchManifest

_VALUES = 2000  # weights in a piece: about 50 us to read
CAPACITY = 512 * 1024  # bytes of a piece; the code of a law at the cost bound has less


def pieces_of(prepared: Prepared, manifest: PatchManifest) -> Iterator[bytes]:
    """The pieces in order; the last one is the manifest that was signed."""
    plain = (prepared.name, prepared.sha256, prepared.manifest, prepared.cost, dict(prepared.params))
    yield pickle.dumps(("law", marshal.dumps(prepared.code), plain))
    for name, array in prepared.weights.items():
        rows = 1 if not array or not isinstance(array[0], list) else max(1, _VALUES // max(1, len(array[0])))
        step = rows if array and isinstance(array[0], list) else _VALUES
        for at in range(0, max(len(array), 1), step):
            yield pickle.dumps(("weights", name, array[at : at + step]))
    yield pickle.dumps(("patch", manifest))


class Unpacking:
    """A law as far as its pieces have come."""

    def __init__(self) -> None:
        self.manifest: PatchManifest | None = None  # there when all is
        self._law: tuple[bytes, tuple[object, ...]] | None = None
        self._weights: dict[str, list[object]] = {}

    def add(self, piece: bytes) -> None:
        """Take in the next piece."""
        kind, *rest = pickle.loads(piece)  # noqa: S301 from the helper of this robot, over memory without a name
        match kind:
            case "law":
                self.__init__()  # type: ignore[misc] # a law begins: whatever came before was given up
                self._law = (rest[0], rest[1])
            case "weights":
                self._weights.setdefault(rest[0], []).extend(rest[1])
            case "patch":
                self.manifest = rest[0]

    def prepared(self) -> Prepared:
        """The law, put together."""
        assert self._law is not None
        code = marshal.loads(self._law[0])  # noqa: S302 as above
        name, sha256, manifest, cost, params = self._law[1]
        return Prepared(
            name=name,  # type: ignore[arg-type]
            sha256=sha256,  # type: ignore[arg-type]
            manifest=manifest,  # type: ignore[arg-type]
            maker=maker_of(code),
            code=code,
            cost=cost,  # type: ignore[arg-type]
            params=params,  # type: ignore[arg-type]
            weights=self._weights,  # type: ignore[arg-type]
        )
