"""What is installed and deployed: pinned versions and the compose file."""

import ast
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.checks.documents import name_of

PIN = re.compile(r"^([A-Za-z0-9][\w.-]*)(?:\[[^\]]*\])?==(\S+)(?:\s*;\s*(.+))?$", re.MULTILINE)
NOT_A_PIN = re.compile(r"^(?!\s*#|\s*$)(?![A-Za-z0-9][\w.\[\],-]*==).+$", re.MULTILINE)
REFUSED_EMPTY = re.compile(r"\$\{\w+:\?[^}]+\}")
SECRET = re.compile(r"PASSWORD|SECRET|TOKEN|KEY")


def pins_agree(project: dict[str, Any], runtime: str, tests: str) -> list[str]:
    """Every requirement is pinned; what tests install of the application is what people install;
    every direct dependency is among the pins."""
    faults = [
        f"{name} is no pin: {line}"
        for name, text in (("requirements.txt", runtime), ("tests/requirements.txt", tests))
        for line in NOT_A_PIN.findall(text)
    ]
    people, tested = set(PIN.findall(runtime)), set(PIN.findall(tests))
    faults += [
        f"requirements.txt has {name} {version}, tests/requirements.txt has not: run `make lock`"
        for name, version, _ in sorted(people - tested)
    ]
    names = {name_of(name) for name, _, _ in people}
    return faults + [
        f"requirements.txt does not pin {name_of(line)}: run `make lock`"
        for line in project["project"]["dependencies"]
        if name_of(line) not in names
    ]


def imports_declared(
    project: dict[str, Any],
    files: Iterable[Path],
    distributions: Mapping[str, Sequence[str]],
    root: Path,
) -> list[str]:
    """Every package that the code imports is a direct dependency, not one that others happen to
    bring. ``distributions`` names, for each importable module, the packages that may hold it."""
    declared = {name_of(line) for line in project["project"]["dependencies"]}
    faults = []
    for path in files:
        for module in sorted(_imported(ast.parse(path.read_text("utf-8"), path))):
            packages = {name_of(package) for package in distributions.get(module, ())}
            if packages and not packages & declared:
                place = path.relative_to(root)
                faults.append(f"{place} imports {module}, which pyproject.toml does not list")
    return faults


def _imported(tree: ast.AST) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module)
    return {name.split(".")[0] for name in names} - set(sys.stdlib_module_names)


def compose_is_careful(compose: Mapping[str, Any] | None) -> list[str]:
    """Published ports are on loopback, images are pinned, commands are lists, and secrets come from
    outside, with an empty one refused."""
    if not compose:
        return ["there is no docker-compose.yml"]
    return [
        f"docker-compose.yml: {name} {fault}"
        for name, service in compose["services"].items()
        for fault in _faults_of_service(service)
    ]


def _faults_of_service(service: Mapping[str, Any]) -> list[str]:
    faults = [
        f"publishes {port} beyond loopback"
        for port in service.get("ports", [])
        if not str(port).startswith("127.0.0.1:")
    ]
    tag = str(service.get("image", "")).rpartition(":")[2]
    if not re.match(r"\d+\.\d+", tag):
        faults.append(f"has no pinned image, but {service.get('image')}")
    if not isinstance(service.get("command", []), list):
        faults.append("has a command for a shell instead of a list")
    for variable, value in service.get("environment", {}).items():
        holds_secret = SECRET.search(variable) or re.search(r"://[^/]*:[^/]*@", str(value))
        if holds_secret and not REFUSED_EMPTY.search(str(value)):
            faults.append(f"gives {variable} a secret that may be empty or stands in the file")
    return faults
