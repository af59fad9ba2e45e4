"""What an organisation's template may say: the facts of its kind, our filters, choices and lists. Pure.

A template is code that runs in our workers. So it is held against a short list of what it may be made of: no calls, no
sums, no lists but those that the notice holds. Then it is tried with every example of its kind.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Final

from jinja2 import TemplateError, TemplateSyntaxError, nodes
from jinja2.sandbox import ImmutableSandboxedEnvironment

from waypost.notifications.words.samples import fields

LONGEST_BODY: Final = 20_000
LONGEST_SUBJECT: Final = 500
DEEPEST: Final = 1  # no list stands in another
MOST_LISTS: Final = 20  # and parts, which may hold lists
FILTERS: Final = frozenset({"money", "day", "date", "percent", "plural", "rows", "upper", "lower", "trim"})
ALSO: Final = frozenset({"language", "loop"})
_PARTS: Final = (
    nodes.Template, nodes.Output, nodes.TemplateData, nodes.Name, nodes.Const, nodes.If, nodes.CondExpr, nodes.For,
    nodes.With, nodes.Filter, nodes.Keyword, nodes.Compare, nodes.Operand, nodes.And, nodes.Or, nodes.Not,
    nodes.Getattr, nodes.Include,
)  # fmt: skip
_CALLED: Final[Mapping[type[nodes.Node], str]] = {
    nodes.Call: "a call",
    nodes.Getitem: "a place in a list",
    nodes.Assign: "set",
    nodes.Macro: "a macro",
    nodes.Test: 'a test ("is")',
    nodes.Extends: "extends",
    nodes.Block: "a block",
    nodes.Import: "import",
    nodes.FromImport: "import",
}


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong. ``part``: subject or body; ``near``: known names like the one that is not."""

    part: str
    line: int
    detail: str
    near: tuple[str, ...] = ()


def faults(
    environment: ImmutableSandboxedEnvironment, kind: str, part: str, text: str, parts: Collection[str]
) -> list[Fault]:
    """Everything that is wrong with a template of ``kind`` as it is written. ``parts``: what it may include."""
    if len(text) > (LONGEST_SUBJECT if part == "subject" else LONGEST_BODY):
        return [Fault(part, 1, "it is too long")]
    try:
        tree = environment.parse(text)
    except TemplateSyntaxError as error:
        return [Fault(part, error.lineno, error.message or "it cannot be read")]
    except (TemplateError, RecursionError):
        return [Fault(part, 1, "it cannot be read")]
    if sum(1 for _ in tree.find_all((nodes.For, nodes.Include))) > MOST_LISTS:
        return [Fault(part, 1, f"it has more than {MOST_LISTS} lists and parts")]
    return sorted(
        (Fault(part, *each) for each in _Reading(frozenset(fields(kind)), frozenset(parts)).of(tree)),
        key=lambda fault: fault.line,
    )


_Found = tuple[int, str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class _Reading:
    known: frozenset[str]
    parts: frozenset[str]

    def of(self, tree: nodes.Node) -> Iterator[_Found]:
        yield from self._below(tree, frozenset(), 0)

    def _below(self, node: nodes.Node, own: frozenset[str], depth: int) -> Iterator[_Found]:
        """``own``: the names that lists around have given their rows."""
        if not isinstance(node, _PARTS):
            yield node.lineno or 1, f"{_CALLED.get(type(node), type(node).__name__)} is not allowed here", ()
            return
        if isinstance(node, nodes.Name):
            yield from self._name(node, own)
        elif isinstance(node, nodes.Filter) and node.name not in FILTERS:
            yield node.lineno, f'there is no filter "{node.name}"', _near(node.name, FILTERS)
        elif isinstance(node, nodes.Include):
            yield from self._include(node)
            return
        elif isinstance(node, nodes.Getattr):
            yield from _attribute(node, own)
            return
        elif isinstance(node, nodes.For):
            yield from self._list(node, own, depth)
            return
        elif isinstance(node, nodes.With):
            own |= {target.name for target in node.targets if isinstance(target, nodes.Name)}
        for child in node.iter_child_nodes():
            yield from self._below(child, own, depth)

    def _name(self, node: nodes.Name, own: frozenset[str]) -> Iterator[_Found]:
        names = self.known | own | ALSO
        if node.name not in names:
            yield node.lineno, f'"{node.name}" is no field of this kind', _near(node.name, names)

    def _include(self, node: nodes.Include) -> Iterator[_Found]:
        name = node.template.value if isinstance(node.template, nodes.Const) else None
        if name not in self.parts:
            yield node.lineno, f'there is no part "{name}" to include', _near(str(name), self.parts)

    def _list(self, node: nodes.For, own: frozenset[str], depth: int) -> Iterator[_Found]:
        source, target = node.iter, node.target
        rows = isinstance(source, nodes.Filter) and source.name == "rows" and isinstance(source.node, nodes.Name)
        if not rows or not isinstance(target, nodes.Name):
            yield node.lineno, "a list is gone through as in: for row in schedule | rows", ()
            return
        if depth == DEEPEST or node.recursive:
            yield node.lineno, "lists stand too deep in each other", ()
            return
        yield from self._below(source, own, depth)
        for child in (*node.body, *node.else_, *([node.test] if node.test else ())):
            yield from self._below(child, own | {target.name}, depth + 1)


def _attribute(node: nodes.Getattr, own: frozenset[str]) -> Iterator[_Found]:
    """``row.name``, of a list's row alone."""
    if not isinstance(node.node, nodes.Name) or node.node.name not in own | {"loop"} or node.attr.startswith("_"):
        yield node.lineno, f'".{node.attr}" is not allowed here', ()


def _near(name: str, names: Collection[str]) -> tuple[str, ...]:
    return tuple(get_close_matches(name, sorted(names), n=3, cutoff=0.5))
