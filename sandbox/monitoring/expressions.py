# SPDX-License-Identifier: Apache-2.0
"""Metric math, as far as scaling needs it: arithmetic, comparisons and IF on the metrics of a query. Pure.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/using-metric-math.html
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Mapping

_BINARY: dict[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: operator.pow,
}
_COMPARING: dict[type[ast.cmpop], Callable[[float, float], bool]] = {
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}

Values = Mapping[str, float | None]


class Unsupported(ValueError):
    """The expression uses what is not understood here."""


def evaluate(expression: str, values: Values) -> float | None:
    """Return the value of an expression; None where a metric is missing, or a division by zero would be.

    Raises:
        Unsupported: The expression is not understood.
    """
    try:
        tree = ast.parse(expression.strip(), mode="eval")
    except SyntaxError as error:
        raise Unsupported(expression) from error
    try:
        return _value(tree.body, values)
    except (ZeroDivisionError, OverflowError):
        return None


def _value(node: ast.expr, values: Values) -> float | None:
    match node:
        case ast.Constant(value=int() | float() as number):
            return float(number)
        case ast.Name(id=name) if name in values:
            return values[name]
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return _both(operator.sub, ast.Constant(0), operand, values)
        case ast.BinOp(left=left, op=sign, right=right) if type(sign) in _BINARY:
            return _both(_BINARY[type(sign)], left, right, values)
        case ast.Compare(left=left, ops=[order], comparators=[right]) if type(order) in _COMPARING:
            return _both(_COMPARING[type(order)], left, right, values)
    return _function(node, values)


def _function(node: ast.expr, values: Values) -> float | None:
    match node:
        case ast.Call(func=ast.Name(id="IF"), args=[condition, yes, no], keywords=[]):
            value = _value(condition, values)
            return None if value is None else _value(yes if value else no, values)
        case ast.Call(func=ast.Name(id="FILL"), args=[filled, other], keywords=[]):
            value = _value(filled, values)
            return _value(other, values) if value is None else value
    raise Unsupported(ast.unparse(node))


def _both(
    combine: Callable[[float, float], float], left: ast.expr, right: ast.expr, values: Values
) -> float | None:
    first, second = _value(left, values), _value(right, values)
    return None if first is None or second is None else float(combine(first, second))
