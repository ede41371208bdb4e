"""Which files hold what ends up in machine code, read from the sources without running them.

Starting points are the functions handed to Numba: ``compiled(f)``, ``inner(f)``, ``njit(f)``, decorators of these
names, and every function of a module handed to ``compiled_namespace``.  From there the names that they use are
followed through assignments, tables and imports: functions are compiled along, constants are frozen into the code.
"""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.structure.imports import absolute, modules, parsed

JIT = "fastcheck.runtime.jit"
COMPILERS = {"compiled", "inner", "Addresses", "compiled_namespace", "njit", "vectorize", "guvectorize", "cfunc"}
Place = tuple[str, str]  # module and name


@dataclass
class Module:
    """What the names at the top of a module stand for.

    functions : their definitions.
    values : the expressions assigned.
    imports : the module and the name there that stand behind a name here; the name is empty for a module.
    tree : the whole.
    """

    functions: dict[str, ast.FunctionDef]
    values: dict[str, ast.expr]
    imports: dict[str, Place]
    tree: ast.Module


def read(name: str, path: Path, known: dict[str, Path]) -> Module:
    """Read one module; imports from outside of the package are left out."""
    tree = parsed(path)
    inside = name if path.name == "__init__.py" else name.rpartition(".")[0]
    found = Module({}, {}, {}, tree)
    for node in tree.body:
        if isinstance(node, ast.FunctionDef):
            found.functions[node.name] = node
        elif isinstance(node, ast.Assign):
            found.values |= {name.id: node.value for target in node.targets for name in ast.walk(target)
                             if isinstance(name, ast.Name)}
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value:
            found.values[node.target.id] = node.value
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            start = absolute("." * node.level + (node.module or ""), inside)
            for alias in node.names:
                module = f"{start}.{alias.name}"
                place = (module, "") if module in known else (start, alias.name)
                if place[0] in known:
                    found.imports[alias.asname or alias.name] = place
    return found


def kernel_files(package: str) -> set[Path]:
    """Every file of a package that machine code is made from."""
    known = modules(package)
    sources = {name: read(name, path, known) for name, path in known.items()}
    waiting = [(name, start) for name, module in sources.items() for start in starts(module)]
    done: set[Place] = set()
    while waiting:
        module, name = waiting.pop()
        if (module, name) not in done and module in sources:
            done.add((module, name))
            waiting += reached(module, sources[module], name, sources)
    return {known[module] for module, _ in done}


def starts(module: Module) -> Iterator[str]:
    """Names of functions that a module hands to Numba, and of modules handed to ``compiled_namespace``."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Call) and called(node.func) in COMPILERS:
            yield from (name.id for argument in node.args for name in ast.walk(argument) if isinstance(name, ast.Name))
        elif isinstance(node, ast.FunctionDef) and any(map(compiles, node.decorator_list)):
            yield node.name


def reached(name: str, module: Module, what: str, sources: dict[str, Module]) -> Iterator[Place]:
    """What the function, the value or the import of that name uses; all functions for a whole module."""
    if name == JIT:
        return  # it takes part itself, but nothing that it needs for its own work does
    if not what:
        yield from ((name, function) for function in module.functions)
    elif what in module.imports:
        yield module.imports[what]
    elif what in module.functions:
        yield from ((name, used) for used in names_of(module.functions[what]))
    elif what in module.values:
        yield from ((name, used) for used in names_of(module.values[what]))


def names_of(node: ast.AST) -> Iterator[str]:
    """Names that code loads; those of type hints do not run."""
    if isinstance(node, ast.FunctionDef):
        for part in node.body:
            yield from names_of(part)
    elif isinstance(node, ast.AnnAssign):
        yield from names_of(node.value) if node.value else ()
    elif isinstance(node, ast.Name):
        yield node.id
    else:
        for part in ast.iter_child_nodes(node):
            yield from names_of(part)


def compiles(decorator: ast.expr) -> bool:
    """Whether a decorator hands its function to Numba."""
    return called(decorator.func if isinstance(decorator, ast.Call) else decorator) in COMPILERS


def called(node: ast.AST) -> str:
    """The last part of a dotted name."""
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""
