"""The type system of HCL values: primitives, collections, structural types and the dynamic pseudo-type.

Types are immutable and compare by structure; the primitives and `DYNAMIC` are singletons, so `is` works for them.
Conversions between types live in `convert`, values in `values`. On the start-up path: no `dataclasses`, `enum`.
"""

from __future__ import annotations

from bakehouse.hcl.limits import BIG_COLLECTION, check_elements

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping


class Type:
    """Base of all types. `kind` is one of string, number, bool, dynamic, list, set, map, tuple, object, capsule."""

    __slots__ = ()
    kind = ""
    is_primitive = False
    is_collection = False
    #: How many parts it names, and they name.
    weight = 0

    def friendly_name(self) -> str:
        """The name used in messages about a value: `string`, `list of number`, `tuple`, `dynamic`."""
        raise NotImplementedError

    def constraint_name(self) -> str:
        """The name used in messages about a requirement: as `friendly_name`, but `any type` for the dynamic type."""
        return self.friendly_name()

    def has_dynamic(self) -> bool:
        """Whether the dynamic pseudo-type occurs anywhere within."""
        return False

    def without_optional(self) -> Type:
        """The same type with every mark of optional object attributes removed, at all levels."""
        return self

    def __repr__(self) -> str:
        return f"<type {self.expression()}>"

    def expression(self) -> str:
        """The type in the syntax of type expressions: `list(string)`, `object({a=number})`, `any`."""
        raise NotImplementedError


class PrimitiveType(Type):
    """string, number, bool, the dynamic pseudo-type, and the capsule types that only function calls use."""

    __slots__ = ("_expression", "_friendly", "is_primitive", "kind")

    def __init__(self, kind: str, friendly: str, expression: str, primitive: bool) -> None:
        self.kind = kind
        self._friendly = friendly
        self._expression = expression
        self.is_primitive = primitive

    def friendly_name(self) -> str:
        return self._friendly

    def constraint_name(self) -> str:
        return "any type" if self.kind == "dynamic" else self._friendly

    def has_dynamic(self) -> bool:
        return self.kind == "dynamic"

    def expression(self) -> str:
        return self._expression


STRING = PrimitiveType("string", "string", "string", True)
NUMBER = PrimitiveType("number", "number", "number", True)
BOOL = PrimitiveType("bool", "bool", "bool", True)
DYNAMIC = PrimitiveType("dynamic", "dynamic", "any", False)
CLOSURE = PrimitiveType("capsule", "expression closure", "closure", False)
TYPE_CONSTRAINT = PrimitiveType("capsule", "type constraint", "type", False)


class CollectionType(Type):
    """A list, set or map whose elements all have the type `element`."""

    __slots__ = ("element", "weight")
    is_collection = True

    def __init__(self, element: Type) -> None:
        self.element = element
        self.weight = element.weight + 1

    def friendly_name(self) -> str:
        return f"{self.kind} of {self.element.friendly_name()}"

    def constraint_name(self) -> str:
        name = "any single type" if self.element is DYNAMIC else self.element.constraint_name()
        return f"{self.kind} of {name}"

    def has_dynamic(self) -> bool:
        return self.element.has_dynamic()

    def without_optional(self) -> Type:
        element = self.element.without_optional()
        return self if element is self.element else type(self)(element)

    def expression(self) -> str:
        return f"{self.kind}({self.element.expression()})"

    def __eq__(self, other: object) -> bool:
        return self is other or (
            isinstance(other, CollectionType) and self.kind == other.kind and self.element == other.element
        )

    def __hash__(self) -> int:
        return hash((self.kind, self.element))


class ListType(CollectionType):
    __slots__ = ()
    kind = "list"


class SetType(CollectionType):
    __slots__ = ()
    kind = "set"


class MapType(CollectionType):
    __slots__ = ()
    kind = "map"


def _weight(parts: Collection[Type]) -> int:
    """How many parts a type has, theirs included. Values share their parts, types too: what doubles in each line of
    a definition must be stopped here, or else whoever walks over it never comes to an end. Raises LimitError."""
    weight = len(parts)
    for part in parts:
        weight += part.weight
    if weight > BIG_COLLECTION:
        check_elements(weight)
    return weight


class TupleType(Type):
    """A sequence of fixed length; `elements` has one type a position."""

    __slots__ = ("elements", "weight")
    kind = "tuple"

    def __init__(self, elements: Iterable[Type]) -> None:
        self.elements = tuple(elements)
        self.weight = _weight(self.elements)

    def friendly_name(self) -> str:
        return "tuple"

    def has_dynamic(self) -> bool:
        return any(element.has_dynamic() for element in self.elements)

    def without_optional(self) -> Type:
        return TupleType(element.without_optional() for element in self.elements)

    def expression(self) -> str:
        return f"tuple([{','.join(element.expression() for element in self.elements)}])"

    def __eq__(self, other: object) -> bool:
        return self is other or (isinstance(other, TupleType) and self.elements == other.elements)

    def __hash__(self) -> int:
        return hash(("tuple", self.elements))


class ObjectType(Type):
    """A record; `attributes` maps names to types, in name order. `optional` names those that a conversion to this
    type may leave out (only in constraints; no value has a type with optional attributes)."""

    __slots__ = ("attributes", "optional", "weight")
    kind = "object"

    def __init__(self, attributes: Mapping[str, Type], optional: Iterable[str] = ()) -> None:
        self.attributes = {name: attributes[name] for name in sorted(attributes)}
        self.optional = frozenset(optional)
        self.weight = _weight(self.attributes.values())

    def friendly_name(self) -> str:
        return "object"

    def has_dynamic(self) -> bool:
        return any(attribute.has_dynamic() for attribute in self.attributes.values())

    def without_optional(self) -> Type:
        return ObjectType({name: kind.without_optional() for name, kind in self.attributes.items()})

    def expression(self) -> str:
        inner = ",".join(f"{name}={kind.expression()}" for name, kind in self.attributes.items())
        return f"object({{{inner}}})"

    def __eq__(self, other: object) -> bool:
        return self is other or (
            isinstance(other, ObjectType)
            and self.attributes == other.attributes
            and self.optional == other.optional
        )

    def __hash__(self) -> int:
        return hash(("object", tuple(self.attributes.items()), self.optional))
