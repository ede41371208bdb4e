"""Imports run downwards only, in no circle, over few floors."""

import ast

import pytest

from tests.structure.imports import circle, contracted, floors, import_graph, imported, longest_chain, modules, parsed

# From the ground up; what stands on one line may not import each other in both directions, either.
ROOMS = (
    ("_types", "_errors", "_constants", "_names", "_validation", "_version"),
    ("runtime",),
    ("rules",),
    ("problems",),
    ("engines",),
    ("verdict",),
    ("report",),
    ("checks",),
    ("torch", "jax", "course", "testing", "weights", "pytest_plugin"),
    ("cli",),
    ("__main__",),
)
FLOORS_OF_ROOMS, FLOORS_OF_FILES = 10, 14
PACKAGES = [name for name, path in modules("fastcheck").items() if path.name == "__init__.py"]


@pytest.fixture(scope="module")
def graph():
    """What every module of the package imports of it."""
    return import_graph("fastcheck")


def test_files_import_each_other_in_no_circle(graph):
    found = circle(graph)
    assert not found, " -> ".join(found)


@pytest.mark.parametrize("package", PACKAGES)
def test_rooms_import_each_other_in_no_circle(package, graph):
    found = circle(contracted(graph, package))
    assert not found, " -> ".join(found)


def test_every_room_has_a_place_in_the_order(graph):
    declared = {f"fastcheck.{name}" for row in ROOMS for name in row}
    assert contracted(graph, "fastcheck").keys() <= declared


def test_no_import_runs_upwards(graph):
    height = {f"fastcheck.{name}": number for number, row in enumerate(ROOMS) for name in row}
    upwards = {(room, target) for room, targets in contracted(graph, "fastcheck").items() for target in targets
               if height[target] > height[room]}
    assert not upwards


def test_only_doors_import_the_face_of_the_package(graph):
    """``fastcheck/__init__.py`` stands above all rooms: who imports it imports everything."""
    assert not [name for name, targets in graph.items() if "fastcheck" in targets]


def test_few_floors_of_rooms(graph):
    assert max(floors(contracted(graph, "fastcheck")).values()) <= FLOORS_OF_ROOMS


def test_few_floors_of_files(graph):
    chain = longest_chain(graph)
    assert len(chain) <= FLOORS_OF_FILES, " -> ".join(chain)


@pytest.mark.parametrize("package", ["fastcheck", "tests", "benchmarks"])
def test_every_package_has_its_sentence(package):
    for name, path in modules(package).items():
        if path.name == "__init__.py":
            sentence = ast.get_docstring(parsed(path)) or ""
            assert sentence.rstrip().endswith((".", "?")), name


def test_every_folder_with_modules_is_a_package():
    for package in ("fastcheck", "tests", "benchmarks"):
        for path in modules(package).values():
            assert (path.parent / "__init__.py").exists(), path


@pytest.mark.parametrize("package", ["tests", "benchmarks"])
def test_test_modules_are_imported_by_nobody(package):
    for name, targets in import_graph(package).items():
        shared = [target for target in targets if target.rpartition(".")[2].startswith(("test_", "bench_"))]
        assert not shared, (name, shared)


def test_no_benchmark_and_no_part_of_the_package_imports_tests():
    tests = modules("tests")
    for package in ("fastcheck", "benchmarks"):
        for name, path in modules(package).items():
            assert not set(imported(name, path, tests)), name


SOURCE = '''
import a.b
from . import c
from .d import name
from ..room.e import other
from importlib import import_module
from typing import TYPE_CHECKING
if TYPE_CHECKING:
    from a.f import Name
def function():
    from a import g
    return import_module(".h", __package__)
TABLE = {"h": ".room.i"}
'''


def test_imports_are_seen_wherever_they_stand(tmp_path):
    """At the top, in functions, under TYPE_CHECKING, and by a name written out."""
    path = tmp_path / "here.py"
    path.write_text(SOURCE)
    places = ["a.b", "a.c", "a.c.c", "a.c.d", "a.room.e", "a.f", "a.g", "a.c.h", "a.c.room.i", "a.never"]
    found = set(imported("a.c.here", path, dict.fromkeys(places, path)))
    assert found == set(places) - {"a.c", "a.never"}


def test_circles_and_floors_are_found():
    assert circle({"a": {"b"}, "b": {"c"}, "c": {"b"}}) == ["b", "c", "b"]
    assert circle({"a": {"b", "c"}, "b": {"c"}, "c": set()}) == []
    assert floors({"a": {"b", "c"}, "b": {"c"}, "c": set()}) == {"a": 3, "b": 2, "c": 1}
    graph = {"p.a.x": {"p.b.y"}, "p.b.y": set(), "p.b.z": {"p.a.x", "p"}, "p": {"p.b.z"}}
    assert contracted(graph, "p") == {"p.a": {"p.b"}, "p.b": {"p.a"}}
