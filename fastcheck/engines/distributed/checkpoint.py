"""Finished pieces of a check on disk, so that the same call goes on where it was killed.

Two files: results are appended to ``NAME.data``, then ``NAME`` itself, which lists them with their digests, is
replaced at once.  Whatever moment a process is killed at, the list speaks of whole pieces only; what stands behind
them in the data is written over.
"""

import hashlib
import io
import json
import os
import time
import zipfile
import zlib
from collections.abc import Iterator
from os import PathLike
from pathlib import Path
from typing import Any, Self

import numpy as np

from ..._types import Indices
from ...problems.gradients import Kinks, NumericalGradient
from ...problems.networks.problem import Problem
from .shards import Shard

FORMAT = 1
INTERVAL = 1.0  # seconds between two visits to the disk


def digest_of(problem: Problem, indices: Indices | None, engine: str, epsilon: float, seed: int | None) -> str:
    """Return the digest of all that the pieces of a check and their results depend on, but for rounding."""
    digest = hashlib.blake2b(digest_size=16)
    net = problem.network
    words = FORMAT, repr(net), net.layers, net.cost, net.l2, engine, epsilon, seed, indices is None
    digest.update(repr(words).encode())
    for array in (problem.theta, problem.X, problem.Y, *(() if indices is None else (indices,))):
        digest.update(repr(array.shape).encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


class Checkpoint:
    """The file of one check.

    Parameters
    ----------
    path : of the list; the data are next to it, in a file with ".data" after its name.
    key : of the check that it is for (see ``digest_of``).

    Raises
    ------
    ValueError : where the file belongs to another check, or is damaged or cut short.
    OSError : where it cannot be read or written.
    """

    def __init__(self, path: str | PathLike[str], key: str) -> None:
        self.path = Path(path)
        self.data = self.path.with_name(self.path.name + ".data")
        self.key = key
        self.entries: list[dict[str, Any]] = []
        if self.path.exists():
            self.entries = self._listed()
        self.length = sum(entry["length"] for entry in self.entries)
        self.waiting: list[tuple[Shard, NumericalGradient]] = []
        self.saved = time.monotonic()

    def finished(self) -> Iterator[tuple[int, NumericalGradient]]:
        """Number and results of every piece on disk.

        Raises
        ------
        ValueError : where one is damaged or missing.
        """
        if not self.entries:
            return
        with self._opened("rb") as data:
            for entry in self.entries:
                found = data.read(entry["length"])
                if len(found) < entry["length"] or _digest(found) != entry["digest"]:
                    raise self._unusable("its data are damaged or cut short", self.data)
                yield entry["shard"], _unpacked(found)

    def put(self, shard: Shard, found: NumericalGradient) -> None:
        """Keep a finished piece; written now, or with the next ones if the disk was visited a moment ago."""
        self.waiting.append((shard, found))
        if not 0.0 <= time.monotonic() - self.saved < INTERVAL:
            self.save()

    def save(self) -> None:
        """Write what waits."""
        if not self.waiting:
            return
        added: list[dict[str, Any]] = []
        with self._opened("r+b" if self.entries else "wb") as data:
            data.truncate(self.length)
            data.seek(self.length)
            for shard, found in self.waiting:
                packed = _packed(found)
                data.write(packed)
                added.append({"shard": shard.number, "length": len(packed), "digest": _digest(packed)})
            data.flush()
            os.fsync(data.fileno())
        self._replace([*self.entries, *added])
        self.entries += added
        self.length += sum(entry["length"] for entry in added)
        self.waiting.clear()
        self.saved = time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None or not issubclass(kind, OSError):  # a full disk is not tried again
            self.save()

    def _replace(self, entries: list[dict[str, Any]]) -> None:
        body = json.dumps({"format": FORMAT, "key": self.key, "entries": entries})
        arrays = {"body": np.frombuffer(body.encode(), np.uint8), "digest": np.array(_digest(body.encode()))}
        beside = self.path.with_name(f"{self.path.name}.{os.getpid()}.new")
        try:
            with beside.open("wb") as file:
                np.savez(file, **arrays)  # type: ignore[arg-type]  # NumPy's stub takes the names for allow_pickle
                file.flush()
                os.fsync(file.fileno())
            beside.replace(self.path)
        finally:
            beside.unlink(missing_ok=True)

    def _listed(self) -> list[dict[str, Any]]:
        try:
            with np.load(self.path, allow_pickle=False) as found:
                body = found["body"].tobytes()
                intact = str(found["digest"]) == _digest(body)
            listed: dict[str, Any] = json.loads(body) if intact else {}
        except (ValueError, KeyError, EOFError, OSError, NotImplementedError, zipfile.BadZipFile, zlib.error) as error:
            raise self._unusable(f"it is damaged, cut short, or no checkpoint ({error})") from error
        if not intact:
            raise self._unusable("it is damaged")
        if (listed["format"], listed["key"]) != (FORMAT, self.key):
            raise self._unusable("it belongs to other parameters, data, options, or another version of fastcheck")
        return list(listed["entries"])

    def _opened(self, mode: str) -> Any:
        try:
            return self.data.open(mode)
        except FileNotFoundError:
            if mode == "wb":
                raise
            raise self._unusable("its data are missing", self.data) from None

    def _unusable(self, reason: str, path: Path | None = None) -> ValueError:
        return ValueError(f"checkpoint: {path or self.path} cannot be used: {reason}; delete it to start again")


def _digest(data: bytes) -> str:
    return hashlib.blake2b(data, digest_size=16).hexdigest()


def _packed(found: NumericalGradient) -> bytes:
    """Return one piece's results as bytes."""
    kinks = found.kinks or Kinks(np.empty(0, np.int64), np.empty(0), np.empty(0))
    words = json.dumps({"cost": found.cost.hex(), "notes": found.notes, "facts": found.facts}).encode()
    buffer = io.BytesIO()
    np.savez(
        buffer, J_plus=found.J_plus, J_minus=found.J_minus, gradapprox=found.gradapprox, noise=found.noise,
        where=kinks.where, low=kinks.low, high=kinks.high, words=np.frombuffer(words, np.uint8),
    )
    return buffer.getvalue()


def _unpacked(packed: bytes) -> NumericalGradient:
    with np.load(io.BytesIO(packed), allow_pickle=False) as found:
        words = json.loads(found["words"].tobytes())
        kinks = Kinks(found["where"], found["low"], found["high"])
        return NumericalGradient(
            float.fromhex(words["cost"]), found["J_plus"], found["J_minus"], found["gradapprox"], found["noise"], kinks,
            tuple(words["notes"]), words["facts"],
        )
