"""Loaded by the fuzzer: half of the ids in paths are those of things that are there, so that it gets past a 404."""

import json
import os
import random

import msgpack
import schemathesis

KNOWN = json.loads(os.environ["WAYPOST_FUZZ_IDS"])
chance = random.Random(0)  # noqa: S311 - chooses test data


@schemathesis.hook
def map_path_parameters(_context, path_parameters):  # type: ignore[no-untyped-def]  # the tool's own types
    if not isinstance(path_parameters, dict):
        return path_parameters
    return {
        name: chance.choice(KNOWN[name]) if name in KNOWN and chance.random() < 0.5 else value
        for name, value in path_parameters.items()
    }


@schemathesis.serializer("application/msgpack")
def packed(_context, value):  # type: ignore[no-untyped-def]  # the tool's own types
    return msgpack.packb(value, default=str, unicode_errors="surrogatepass")
