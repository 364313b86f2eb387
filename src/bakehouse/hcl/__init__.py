"""The HCL language, native and JSON syntax: parsing, types, evaluation, function library. Knows nothing of Bake.

Everything is loaded on first use, so that importing the package costs nothing. Follows hashicorp/hcl v2.24 with
go-cty 1.17; texts and positions of findings are theirs. Some names would hide modules and are not re-exported:
`convert.convert` brings a value to a type, `static.functions` and `static.variables` tell what an expression needs.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from bakehouse.hcl.convert import ConversionError, unify
    from bakehouse.hcl.evaluation import EvalContext
    from bakehouse.hcl.function import ArgumentError, Function, FunctionError, Parameter
    from bakehouse.hcl.functions import stdlib
    from bakehouse.hcl.json_encoding import from_json, from_json_typed, implied_type, to_json
    from bakehouse.hcl.json_syntax import parse_json
    from bakehouse.hcl.parser import parse_expression, parse_native, parse_template, parse_traversal
    from bakehouse.hcl.static import as_call, as_keyword, as_list, as_map, as_traversal
    from bakehouse.hcl.syntax import (
        Attribute,
        AttributeSchema,
        Block,
        BlockSchema,
        Body,
        BodyContent,
        BodySchema,
        Expression,
    )
    from bakehouse.hcl.traversal import (
        Traversal,
        TraverseAttribute,
        TraverseIndex,
        TraverseRoot,
    )
    from bakehouse.hcl.type_expressions import parse_type, type_string
    from bakehouse.hcl.types import (
        BOOL,
        DYNAMIC,
        NUMBER,
        STRING,
        ListType,
        MapType,
        ObjectType,
        SetType,
        TupleType,
        Type,
    )
    from bakehouse.hcl.values import Value

_HOMES = {
    "convert": "ConversionError unify",
    "evaluation": "EvalContext",
    "function": "ArgumentError Function FunctionError Parameter",
    "functions": "stdlib",
    "json_encoding": "from_json from_json_typed implied_type to_json",
    "json_syntax": "parse_json",
    "parser": "parse_expression parse_native parse_template parse_traversal",
    "static": "as_call as_keyword as_list as_map as_traversal",
    "syntax": "Attribute AttributeSchema Block BlockSchema Body BodyContent BodySchema Expression",
    "traversal": "Traversal TraverseAttribute TraverseIndex TraverseRoot",
    "type_expressions": "parse_type type_string",
    "types": "BOOL DYNAMIC NUMBER STRING ListType MapType ObjectType SetType TupleType Type",
    "values": "Value",
}

__all__ = [
    "BOOL",
    "DYNAMIC",
    "NUMBER",
    "STRING",
    "ArgumentError",
    "Attribute",
    "AttributeSchema",
    "Block",
    "BlockSchema",
    "Body",
    "BodyContent",
    "BodySchema",
    "ConversionError",
    "EvalContext",
    "Expression",
    "Function",
    "FunctionError",
    "ListType",
    "MapType",
    "ObjectType",
    "Parameter",
    "SetType",
    "Traversal",
    "TraverseAttribute",
    "TraverseIndex",
    "TraverseRoot",
    "TupleType",
    "Type",
    "Value",
    "as_call",
    "as_keyword",
    "as_list",
    "as_map",
    "as_traversal",
    "from_json",
    "from_json_typed",
    "implied_type",
    "parse_expression",
    "parse_json",
    "parse_native",
    "parse_template",
    "parse_traversal",
    "parse_type",
    "stdlib",
    "to_json",
    "type_string",
    "unify",
]


def __getattr__(name: str) -> object:
    for module, names in _HOMES.items():
        if name in names.split():
            from importlib import import_module

            value = getattr(import_module(f"bakehouse.hcl.{module}"), name)
            globals()[name] = value
            return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
