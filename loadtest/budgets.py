"""Figures against ``budgets.toml``."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

FILE = Path(__file__).with_name("budgets.toml")
TARGETS = "targets"


def breaches(figures: Mapping[str, Any], budgets: Mapping[str, Any]) -> Iterator[str]:
    """A line for each figure outside its bounds. One that was not measured breaks nothing."""
    yield from _outside(figures, {name: part for name, part in budgets.items() if name != TARGETS}, "")


def missed(figures: Mapping[str, Any], budgets: Mapping[str, Any]) -> Iterator[str]:
    """The same of the targets."""
    yield from _outside(figures, budgets.get(TARGETS, {}), "")


def read(path: Path = FILE) -> Mapping[str, Any]:
    return tomllib.loads(path.read_text())


def _outside(figures: Mapping[str, Any], bounds: Mapping[str, Any], where: str) -> Iterator[str]:
    for name, bound in bounds.items():
        if name not in figures:
            continue
        value, path = figures[name], f"{where}{name}"
        if isinstance(value, Mapping):
            yield from _outside(value, bound, f"{path}.")
        elif "min" in bound and value < bound["min"]:
            yield f"{path} is {value:g}, at least {bound['min']:g} is asked"
        elif "max" in bound and value > bound["max"]:
            yield f"{path} is {value:g}, at most {bound['max']:g} is asked"
