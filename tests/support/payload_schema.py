"""The schema of the page's payload, what is not by it, and the weights that a payload's bytes stand for."""

import base64
import json
import zlib
from importlib.resources import files
from typing import Any

import numpy as np

from model_understanding.show.payload.quantize import restored

SCHEMA = json.loads(
    files("model_understanding.show").joinpath("static", "payload.schema.json").read_text("utf-8")
)
KINDS = {"string": str, "boolean": bool, "integer": int, "number": int | float, "null": type(None)}


def faults(value: Any, schema: dict[str, Any], at: str = "payload") -> list[str]:
    """Return where a value is not by the part of JSON Schema that the payload's uses."""
    known = {"$ref", "anyOf", "const", "enum", "type", "items", "properties", "required", "description"}
    known |= {"additionalProperties", "minItems", "$schema", "$defs", "title"}
    assert set(schema) <= known
    if "$ref" in schema:
        return faults(value, SCHEMA["$defs"][schema["$ref"].rpartition("/")[2]], at)
    if "anyOf" in schema:
        found = [faults(value, choice, at) for choice in schema["anyOf"]]
        return [] if [] in found else found[0]
    if "const" in schema or "enum" in schema:
        return [] if value in schema.get("enum", [schema.get("const")]) else [f"{at}: {value!r}"]
    if schema["type"] == "array":
        if not isinstance(value, list) or len(value) < schema.get("minItems", 0):
            return [f"{at}: no list"]
        return [f for i, item in enumerate(value) for f in faults(item, schema["items"], f"{at}[{i}]")]
    if schema["type"] == "object":
        if not isinstance(value, dict) or set(value) != set(schema["required"]):
            return [f"{at}: {sorted(value) if isinstance(value, dict) else value}"]
        return [f for k, item in value.items() for f in faults(item, schema["properties"][k], f"{at}.{k}")]
    right = isinstance(value, KINDS[schema["type"]]) and (schema["type"] == "boolean") == (
        isinstance(value, bool)
    )
    return [] if right else [f"{at}: {value!r} is no {schema['type']}"]


def decoded(part: dict[str, Any]) -> np.ndarray:
    """Return the weights of an attention part, as the page reads them: shape (L, planes, Q, K)."""
    weights, mask = part["weights"], part["mask"]
    rows, keys = len(part["rowPositions"]), len(part["keyPositions"])
    if mask["kind"] == "full":
        allowed = np.ones((rows, keys), dtype=bool)
    elif mask["kind"] == "causal":
        allowed = np.tril(np.ones((rows, keys), dtype=bool), mask["offset"])
    else:
        bits = np.frombuffer(zlib.decompress(base64.b64decode(mask["data"]), -15), np.uint8)
        allowed = np.unpackbits(bits)[: rows * keys].reshape(rows, keys).astype(bool)
    layers = []
    for block in weights["blocks"]:
        data = np.frombuffer(zlib.decompress(base64.b64decode(block), -15), np.uint8)
        if weights["kind"] == "dense":
            values = restored(data, weights["levels"], weights["scale"], weights["signed"])
            planes = np.zeros((len(values) // allowed.sum(), rows, keys))
            planes[:, allowed] = values.reshape(len(planes), -1)
        else:
            cells = len(data) // 3
            steps = data[: 2 * cells].view("<u2").reshape(-1, rows, weights["kept"])
            at = np.cumsum(steps, axis=-1)
            values = restored(data[2 * cells :], weights["levels"], weights["scale"], weights["signed"])
            planes = np.zeros((len(at), rows, keys))
            np.put_along_axis(planes, at.astype(int), values.reshape(at.shape), -1)
        layers.append(planes)
    return np.stack(layers)
