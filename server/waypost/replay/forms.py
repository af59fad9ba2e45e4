"""The forms in which a batch is sent; all mean the same to the server."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple

import msgspec

from waypost.replay import columns
from waypost.replay.wire import Envelope

FormName = Literal["json", "msgpack", "columns"]


class Form(NamedTuple):
    """How a batch is written."""

    media_type: str
    write: Callable[[Envelope], bytes]


JSON = Form("application/json", msgspec.json.Encoder().encode)
FORMS: dict[FormName, Form] = {
    "json": JSON,
    "msgpack": Form(columns.MEDIA_TYPE, msgspec.msgpack.Encoder().encode),
    "columns": Form(columns.MEDIA_TYPE, columns.encode),
}
