"""The graph of imports, read from the sources without running them."""

import ast
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

from tests.support.repository import ROOT

Graph = dict[str, set[str]]


def modules(package: str) -> dict[str, Path]:
    """Every module of a package by its dotted name; packages go by the name of their folder."""
    found = {}
    for path in sorted((ROOT / package).rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def import_graph(package: str) -> Graph:
    """For every module of a package the modules of the same package that it imports, wherever in the file."""
    sources = modules(package)
    return {name: set(imported(name, path, sources)) - {name} for name, path in sources.items()}


def imported(name: str, path: Path, known: Mapping[str, Path]) -> Iterator[str]:
    """What one module imports: at its top, inside functions, under TYPE_CHECKING, and by a literal name.

    A name taken from a package counts as its module where there is one, else as the package's ``__init__``.
    """
    inside = name if path.name == "__init__.py" else name.rpartition(".")[0]
    by_name, nodes = importing(path)
    for node in nodes:
        if isinstance(node, ast.Import):
            targets = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            start = absolute("." * node.level + (node.module or ""), inside)
            targets = [f"{start}.{alias.name}" if f"{start}.{alias.name}" in known else start for alias in node.names]
        elif by_name and isinstance(node, ast.Constant) and isinstance(node.value, str):
            targets = [absolute(node.value, inside)]
        else:
            continue
        yield from (target for target in targets if target in known)


@cache
def parsed(path: Path) -> ast.Module:
    """The syntax tree of a file, read once."""
    return ast.parse(path.read_text(encoding="utf-8"))


@cache
def importing(path: Path) -> tuple[bool, list[ast.AST]]:
    """Whether a file calls ``import_module``, and the nodes that may import: statements, and texts where it does."""
    nodes = list(ast.walk(parsed(path)))
    by_name = any(isinstance(node, ast.Name | ast.Attribute) and _called(node) == "import_module" for node in nodes)
    kinds = (ast.Import, ast.ImportFrom, ast.Constant) if by_name else (ast.Import, ast.ImportFrom)
    return by_name, [node for node in nodes if isinstance(node, kinds)]


def absolute(name: str, inside: str) -> str:
    """A relative name of a module, as seen from a package, with the package in front."""
    dots = len(name) - len(name.lstrip("."))
    if not dots:
        return name
    parts = inside.split(".")
    return ".".join([*parts[: len(parts) - dots + 1], *filter(None, [name[dots:]])])


def contracted(graph: Graph, package: str) -> Graph:
    """The graph of what lies directly in a package: its modules, and its packages as a whole.

    The package's own ``__init__`` is left out: it is the face of what lies behind it.
    """
    depth = package.count(".") + 2

    def room(name: str) -> str:
        return ".".join(name.split(".")[:depth])

    within = [name for name in graph if name.startswith(package + ".")]
    found: Graph = {room(name): set() for name in within}
    for name in within:
        found[room(name)] |= {room(target) for target in graph[name] if target in within} - {room(name)}
    return found


def circle(graph: Graph) -> list[str]:
    """Some circle of the graph, its first member repeated at its end; empty where there is none."""
    done: set[str] = set()

    def search(name: str, path: list[str]) -> list[str]:
        if name in path:
            return [*path[path.index(name):], name]
        if name in done:
            return []
        for target in sorted(graph[name]):
            if found := search(target, [*path, name]):
                return found
        done.add(name)
        return []

    return next((found for name in sorted(graph) if (found := search(name, []))), [])


def floors(graph: Graph) -> dict[str, int]:
    """The floor of every node of a graph without circles: 1 where it imports nothing, else one above its highest."""
    found: dict[str, int] = {}

    def floor(name: str) -> int:
        if name not in found:
            found[name] = 1 + max((floor(target) for target in graph[name]), default=0)
        return found[name]

    for name in graph:
        floor(name)
    return found


def longest_chain(graph: Graph) -> list[str]:
    """The longest chain of imports, from the top floor down."""
    height = floors(graph)
    chain = [max(height, key=lambda name: height[name])]
    while below := [target for target in graph[chain[-1]] if height[target] == height[chain[-1]] - 1]:
        chain.append(min(below))
    return chain


def _called(node: ast.Name | ast.Attribute) -> str:
    return node.id if isinstance(node, ast.Name) else node.attr
