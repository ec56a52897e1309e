"""Many clients at a time: each has a connection of its own, and asks again as soon as it was answered."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

import numpy as np

from core.errors import RobotFault
from remend.web.identity import COOKIE

_OK = b"200"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One request and how long it took."""

    path: str
    took_s: float


def crowd(
    url: str, paths: Sequence[str], clients: int, each: int, *, token: str, session: str, seed: int
) -> list[Answer]:
    """Let `clients` ask a service at the same time, `each` times, for one of `paths` at random.

    The first requests come within a second, not all at once. Pages get a session, the API gets a token.

    Raises:
        RobotFault: an answer was another than 200, or none came.
    """
    return asyncio.run(_crowd(url, paths, clients, each, {"token": token, "session": session}, seed))


async def _crowd(
    url: str, paths: Sequence[str], clients: int, each: int, secrets: Mapping[str, str], seed: int
) -> list[Answer]:
    jobs = [_one(url, paths, each, secrets, np.random.default_rng([seed, k])) for k in range(clients)]
    return [answer for answers in await asyncio.gather(*jobs) for answer in answers]


async def _one(
    url: str, paths: Sequence[str], each: int, secrets: Mapping[str, str], rng: np.random.Generator
) -> list[Answer]:
    place = urlsplit(url)
    await asyncio.sleep(rng.random())
    reader, writer = await asyncio.open_connection(place.hostname, place.port)
    answers = []
    try:
        for _ in range(each):
            path = paths[int(rng.integers(len(paths)))]
            pass_ = (
                f"Authorization: Bearer {secrets['token']}"
                if path.startswith("/api/")
                else f"Cookie: {COOKIE}={secrets['session']}"
            )
            began_s = time.perf_counter()
            writer.write(f"GET {path} HTTP/1.1\r\nHost: {place.netloc}\r\n{pass_}\r\n\r\n".encode())
            await _answered(reader, path)
            answers.append(Answer(path=path, took_s=time.perf_counter() - began_s))
    except (OSError, EOFError) as error:
        raise RobotFault(f"{url} hung up: {error}") from None
    finally:
        writer.close()
    return answers


async def _answered(reader: asyncio.StreamReader, path: str) -> None:
    """Read one answer to its end."""
    status, *lines = (await reader.readuntil(b"\r\n\r\n")).split(b"\r\n")
    if status.split()[1] != _OK:
        raise RobotFault(f"{path}: {status.decode(errors='replace')}")
    headers = dict(line.lower().split(b": ", 1) for line in lines if b": " in line)
    await reader.readexactly(int(headers[b"content-length"]))
