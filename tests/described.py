"""Every answer that a test gets is compared with the API's own description: status, code and the shape of its body."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from jsonschema import Draft202012Validator
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

ROOT = "urn:waypost"


@dataclass(frozen=True, slots=True)
class Described:
    """The document, ready to be asked."""

    document: Mapping[str, Any]
    paths: list[tuple[re.Pattern[str], Mapping[str, Any]]]
    registry: Registry[Any]

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Described:
        paths = [
            (re.compile(re.sub(r"\\{\w+\\}", "[^/]+", re.escape(path)) + r"\Z"), operations)
            for path, operations in document["paths"].items()
        ]
        resource = Resource(contents=dict(document), specification=DRAFT202012)
        return cls(document, paths, Registry().with_resource(ROOT, resource))

    def check(self, method: str, path: str, status: int, content_type: str, body: Any) -> None:
        """Fails unless the answer is one that the description promises for that route."""
        operation = self._operation(method, path)
        if operation is None:
            return  # no such route: not the description's
        assert str(status) in operation["responses"], f"{method} {path}: {status} is not described: {body}"
        content = operation["responses"][str(status)].get("content", {})
        if not content:
            return
        assert content_type in content, f"{method} {path}: {status} came as {content_type}"
        if content_type.endswith("json"):
            schema = absolute(content[content_type]["schema"])
            problems = list(Draft202012Validator(schema, registry=self.registry).iter_errors(body))
            assert not problems, f"{method} {path}: {status}: {problems[0].message} in {body}"

    def _operation(self, method: str, path: str) -> Mapping[str, Any] | None:
        exact = [operations for pattern, operations in self.paths if pattern.match(path)]
        return next((found[method.lower()] for found in exact if method.lower() in found), None)


def absolute(schema: Any) -> Any:
    """The same schema with references into the document by its own name."""
    if isinstance(schema, dict):
        return {
            key: f"{ROOT}{value}" if key == "$ref" and isinstance(value, str) else absolute(value)
            for key, value in schema.items()
        }
    if isinstance(schema, list):
        return [absolute(each) for each in schema]
    return schema
