# SPDX-License-Identifier: Apache-2.0
"""What the balancer answers itself, in HAProxy's words: redirects, fixed responses, error pages."""

from __future__ import annotations

import re
from http import HTTPStatus

from sandbox.balancing.shape import FixedResponse, Redirect
from sandbox.balancing.words import literal, quoted

SERVER = "hdr Server awselb/2.0"
_PHRASES = {503: "Service Temporarily Unavailable", 504: "Gateway Time-out"}
_PAGES = (400, 408, 500, 502, 503, 504)
_PART = re.compile(r"#\{(protocol|host|port|path|query)\}")
_ORIGINAL = {
    "host": "%[req.hdr(host),field(1,:)]",
    "port": "%[dst_port]",
    "path": "%[path,regsub(^/,)]",
    "query": "%[query]",
}


def error_pages() -> list[str]:
    """Return the lines that make HAProxy's own errors look as the load balancer's."""
    return [error_page(code, code) for code in _PAGES]


def error_page(code: int, shown: int) -> str:
    """Return the line that answers HAProxy's error `code` with the page of `shown`."""
    title = f"{shown} {_PHRASES.get(shown) or HTTPStatus(shown).phrase}"
    page = f"<html><head><title>{title}</title></head><body><center><h1>{title}</h1></center></body></html>"
    return f"http-error status {code} content-type text/html string {quoted(page)} {SERVER}"


def fixed_response(action: FixedResponse) -> str:
    """Return the words of an http-request rule."""
    content = ""
    if action.body:
        content = f" content-type {quoted(action.content_type)} string {quoted(action.body)}"
    return f"return status {action.code}{content} {SERVER}"


def redirects(action: Redirect, *, protocol: str) -> list[tuple[str, str]]:
    """Return the words of http-request rules, each with a condition beside the rule's own, or none.

    A request without a query is sent on without a question mark.
    """
    parts = (action.protocol, action.host, action.port, action.path)
    scheme, host, port, path = (_filled(part, protocol) for part in parts)
    base = f"{scheme.lower()}://{host}:{port}{path}"
    if not action.query:
        return [(_moved(action.code, base), "")]
    with_query = _moved(action.code, f"{base}?{_filled(action.query, protocol)}")
    if action.query != "#{query}":
        return [(with_query, "")]
    return [(with_query, "{ query -m len gt 0 }"), (_moved(action.code, base), "")]


def _moved(code: int, location: str) -> str:
    return f"return status {code} hdr Location {quoted(location)} {SERVER}"


def _filled(template: str, protocol: str) -> str:
    parts = _PART.split(template)
    texts = [literal(part) for part in parts[0::2]]
    names = [protocol.lower() if name == "protocol" else _ORIGINAL[name] for name in parts[1::2]]
    return texts[0] + "".join(name + text for name, text in zip(names, texts[1:], strict=True))
