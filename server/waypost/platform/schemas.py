"""JSON Schema of the structs on the wire, and our errors in words: what both descriptions of the API stand on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec

from waypost.kernel.errors import AppError

REF: Final = "#/components/schemas/{name}"


def components_of(kinds: Iterable[Any]) -> tuple[dict[Any, Any], dict[str, Any]]:
    """The schema of each kind, and the components that they refer to."""
    wanted = list(dict.fromkeys(kinds))
    schemas, components = msgspec.json.schema_components(wanted, ref_template=REF)
    return dict(zip(wanted, schemas, strict=True)), components


def properties_of(schema: Mapping[str, Any], components: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """The members of an object, and the names of those that it always has."""
    found = components[component_of(schema)] if "$ref" in schema else schema
    return dict(found.get("properties", {})), list(found.get("required", []))


def component_of(schema: Mapping[str, Any]) -> str:
    """The name of the component that a schema refers to."""
    return str(schema["$ref"]).rpartition("/")[2]


def in_words(leaf: type[AppError]) -> str:
    """What an error means, as its class says it."""
    return " ".join((leaf.__doc__ or "").replace("``", "`").split())
