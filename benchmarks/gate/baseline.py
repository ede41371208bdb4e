"""``baseline.json``: what each benchmark's ratio was on each known processor."""

import hashlib
import json
import statistics
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

from benchmarks.gate.runner import Measured
from benchmarks.measure import processor, versions

PATH = Path(__file__).parent / "baseline.json"
PROCESSES = 12  # fresh ones for a baseline, at least; an even number, for every other one has a busy neighbour


def reference_digest() -> str:
    """Digest of the frozen reference's source."""
    return hashlib.sha256((Path(__file__).parent / "reference.py").read_bytes()).hexdigest()[:16]


def load(path: Path = PATH) -> dict[str, Any]:
    """All processors' entries, by processor."""
    return dict(json.loads(path.read_text())) if path.exists() else {}


def entry(runs: Sequence[Measured]) -> dict[str, Any]:
    """The entry of this processor, from several fresh processes: medians, lowest and highest of the ratios."""
    benchmarks = {}
    for name, first in runs[0].results.items():
        found = sorted(run.results[name]["ratio"] for run in runs)
        benchmarks[name] = {"ratio": round(statistics.median(found), 4), "lowest": round(found[0], 4),
                            "highest": round(found[-1], 4), "mixture": first["mixture"]}
    return {"recorded": date.today().isoformat(), "processes": len(runs), "reference": reference_digest(),
            "versions": versions(), "benchmarks": benchmarks}


def save(made: dict[str, Any], path: Path = PATH, *, partly: bool = False) -> None:
    """Write this processor's entry beside the others'; ``partly`` keeps what it says of other benchmarks."""
    entries = load(path)
    if partly and processor() in entries:
        made = {**made, "benchmarks": {**entries[processor()]["benchmarks"], **made["benchmarks"]}}
    entries[processor()] = made
    path.write_text(json.dumps(entries, indent=1, sort_keys=True) + "\n")


def family_of(name: str) -> str:
    """What processors of one family share: "AMD EPYC, family 25" of "AMD EPYC, family 25, model 17, stepping 1"."""
    return ", ".join(name.split(", ")[:2])


def entry_for(entries: dict[str, Any], name: str) -> tuple[str, dict[str, Any]]:
    """The processor whose ratios are to be met, and its entry: its own, else the latest of its family; "" for none."""
    if name in entries:
        return name, entries[name]
    kin = [other for other in entries if family_of(other) == family_of(name) and "family" in other]
    if not kin:
        return "", {}
    latest = max(kin, key=lambda other: str(entries[other]["recorded"]))
    return latest, entries[latest]


def unjudged(entries: dict[str, Any]) -> str:
    """Why ratios measured here cannot be held against the baseline; empty if they can."""
    known, found = entry_for(entries, processor())
    if not known:
        return f"unknown processor: {processor()}; known: {'; '.join(entries) or 'none'}"
    if found["reference"] != reference_digest():
        return "the frozen reference (benchmarks/gate/reference.py) has changed since the baseline"
    return ""


def changed_versions(found: dict[str, str]) -> list[str]:
    """What has another version than when the baseline was recorded."""
    return [f"{name} {found.get(name, 'none')} -> {here}" for name, here in versions().items()
            if found.get(name) != here]
