# SPDX-License-Identifier: Apache-2.0
"""Put answers in words as moto does, in a third of its time: an answer may tell of a thousand instances."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from xml.sax.saxutils import quoteattr

import xmltodict  # type: ignore[import-untyped]
from moto.core.serialize import AttributePickerContext, ResponseSerializer, XFormedAttributePicker
from moto.core.utils import get_value as value_at

from sandbox.api.patches import Patches

_MISSING = object()
_NAME = re.compile(r"[A-Za-z0-9_.:-]+")


class _Unusual(Exception):
    """A document has what the writer does not write."""


def install(patches: Patches) -> None:
    """Put the faster ways in place."""
    patches.replace(ResponseSerializer, "get_value", _picking(ResponseSerializer.get_value))
    patches.replace(xmltodict, "unparse", writing(xmltodict.unparse))


@dataclass(frozen=True, slots=True)
class _Known:
    """How a member of an answer is found in objects of one type; it depends on the type alone.

    The shape is that of one place in the answer of one operation. It is kept, so that its identity stays its.
    """

    shape: Any
    transformers: Any
    names: tuple[str, ...]
    transform: Callable[[Any], Any] | None
    look: Callable[[Any, tuple[str, ...]], Any]


def _picking(original: Callable[..., Any]) -> Callable[..., Any]:
    known_members: dict[tuple[type, int, str], _Known] = {}

    def get_value(serializer: Any, value: Any, key: str, shape: Any) -> Any:
        """Find a member where the like of it was found; moto works out each time where it may be."""
        picker = serializer._value_picker
        if type(picker) is not XFormedAttributePicker:
            return original(serializer, value, key, shape)
        place = (type(value), id(shape), key)
        known = known_members.get(place)
        if (
            known is None
            or known.shape is not shape
            or known.transformers is not picker.response_transformers
        ):
            known = known_members[place] = _learn(serializer, value, key, shape)
        found = known.look(value, known.names)
        return found if known.transform is None else known.transform(found)

    return get_value


def _learn(serializer: Any, value: Any, key: str, shape: Any) -> _Known:
    picker = serializer._value_picker
    model = serializer.operation_model
    path = ".".join(serializer.path)
    context = AttributePickerContext(value, key, shape, model, model.service_model, path)
    names = tuple(dict.fromkeys(picker.get_possible_keys(context)))
    transforms = (
        transform for end, transform in picker.response_transformers.items() if f"{path}.{key}".endswith(end)
    )
    return _Known(shape, picker.response_transformers, names, next(transforms, None), _look_for(value, names))


def _look_for(value: Any, names: tuple[str, ...]) -> Callable[[Any, tuple[str, ...]], Any]:
    kind = type(value)
    if any("." in name for name in names) or hasattr(kind, "__getattr__"):
        return _anywhere
    if kind is dict:
        return _in_dict
    return _anywhere if hasattr(value, "__getitem__") else _in_attributes


def _in_dict(value: dict[str, Any], names: tuple[str, ...]) -> Any:
    for name in names:
        if name in value:
            return value[name]
    return None


def _in_attributes(value: Any, names: tuple[str, ...]) -> Any:
    for name in names:
        if (found := getattr(value, name, _MISSING)) is not _MISSING:
            return found
    return None


def _anywhere(value: Any, names: tuple[str, ...]) -> Any:
    for name in names:
        if (found := value_at(value, name, _MISSING)) is not _MISSING:
            return found
    return None


def writing(original: Callable[..., Any]) -> Callable[..., Any]:
    """Return a writer of XML that writes as `original`, xmltodict's, does."""

    def unparse(
        document: Mapping[str, Any],
        full_document: bool = True,
        short_empty_elements: bool = False,
        pretty: bool = False,
        **others: Any,
    ) -> Any:
        if not pretty and not others and len(document) == 1:
            parts = ['<?xml version="1.0" encoding="utf-8"?>\n'] if full_document else []
            try:
                for name, value in document.items():
                    _write_element(parts, name, value, is_short=short_empty_elements)
                return "".join(parts)
            except _Unusual:
                pass
        return original(
            document,
            full_document=full_document,
            short_empty_elements=short_empty_elements,
            pretty=pretty,
            **others,
        )

    return unparse


def _write(parts: list[str], name: str, value: Any, *, is_short: bool) -> None:
    if type(value) is list or type(value) is tuple:
        for each in value:
            _write_element(parts, name, each, is_short=is_short)
    else:
        _write_element(parts, name, value, is_short=is_short)


def _write_element(parts: list[str], name: str, value: Any, *, is_short: bool) -> None:
    if name not in _names:
        _check_name(name)
    if isinstance(value, dict):
        _write_members(parts, name, value, is_short=is_short)
    elif text := _text(value):
        parts.append(f"<{name}>{text}</{name}>")
    else:
        parts.append(f"<{name}/>" if is_short else f"<{name}></{name}>")


def _write_members(parts: list[str], name: str, value: Mapping[str, Any], *, is_short: bool) -> None:
    begun = len(parts)
    attribute = ""
    parts.append("")
    for key, each in value.items():
        if key == "@xmlns" and type(each) is str:
            attribute = f" xmlns={quoteattr(each)}"
        else:
            _write(parts, key, each, is_short=is_short)
    if len(parts) == begun + 1:
        parts[begun] = f"<{name}{attribute}/>" if is_short else f"<{name}{attribute}></{name}>"
        return
    parts[begun] = f"<{name}{attribute}>"
    parts.append(f"</{name}>")


def _text(value: Any) -> str:
    if value is None:
        return ""
    if value is True or value is False:
        return "true" if value else "false"
    if not isinstance(value, str) and hasattr(value, "__iter__"):
        raise _Unusual
    said: str = value if isinstance(value, str) else str(value)
    return said.replace("&", "&amp;").replace(">", "&gt;").replace("<", "&lt;")


_names: set[str] = set()


def _check_name(name: Any) -> None:
    """Know names that need no check; attributes, texts and comments have others."""
    if not isinstance(name, str) or _NAME.fullmatch(name) is None:
        raise _Unusual
    _names.add(name)
