"""What a query may hold: a struct for each route that takes parameters."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from waypost.kernel.paging import DEFAULT_LIMIT, MAX_LIMIT


class PageQuery(msgspec.Struct, rename="camel", forbid_unknown_fields=True, kw_only=True):
    """What every list takes. ``fields``: only these of each row, divided by commas; ``cursor``: of the page before."""

    limit: Annotated[int, Meta(ge=1, le=MAX_LIMIT)] = DEFAULT_LIMIT
    cursor: Annotated[str, Meta(min_length=1, max_length=500)] | None = None
    fields: Annotated[str, Meta(min_length=1, max_length=500)] | None = None
