"""Value classes: `dataclass`, `field` and `replace` with the meaning of the standard library's, made to start quickly.

The standard decorator writes and compiles four to eight methods when a class is defined, which for all classes of this
project costs more than a whole build from the cache. Here the definition only notes the fields; a method is made when
it is first called, and most classes of a run never get that far. See docs/decisions/0002-values.md.

To a type checker the three names *are* those of `dataclasses`, so that every use is checked as strictly as there.
At run time they differ from them in this only:

* `InitVar`, `KW_ONLY`, `unsafe_hash`, `match_args` and `weakref_slot` are refused or absent: nothing here needs them;
* a class without a docstring gets none;
* nothing can be assigned to an instance of a frozen class, or of a class that inherits from one;
* a field with `init=False` and a default is set in every instance, whether or not there are slots.

`dataclasses.fields`, `asdict`, `replace` and `is_dataclass` accept these classes; a class of the standard decorator
cannot inherit from one.

This module is on the start-up path: it must not import `dataclasses`, `typing` or `enum`.
"""

from __future__ import annotations

from operator import attrgetter

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

#: Stands for "no default", and, in a signature, for "the default is made by the factory".
_MISSING = object()

#: Where a class keeps its fields, inherited ones first, and whether it is frozen.
_FIELDS = "__value_fields__"
_FROZEN = "__value_frozen__"


class _Field:
    """What is known of one field. `hash` None means: as `compare`."""

    __slots__ = ("compare", "default", "default_factory", "hash", "init", "kw_only", "name", "repr")

    def __init__(
        self,
        *,
        default: Any = _MISSING,
        default_factory: Any = _MISSING,
        init: bool = True,
        repr: bool = True,
        hash: bool | None = None,
        compare: bool = True,
        kw_only: bool | None = None,
    ) -> None:
        if default is not _MISSING and default_factory is not _MISSING:
            raise ValueError("cannot specify both default and default_factory")
        self.name = ""
        self.default = default
        self.default_factory = default_factory
        self.init = init
        self.repr = repr
        self.hash = hash
        self.compare = compare
        self.kw_only = kw_only

    @property
    def required(self) -> bool:
        return self.default is _MISSING and self.default_factory is _MISSING

    @property
    def hashed(self) -> bool:
        return self.compare if self.hash is None else self.hash


class _MadeAtFirstUse:
    """A descriptor in the place of a method: makes the method when it is first looked up, and gives way to it.

    Two threads may both make it; they make the same, and the later one stays.
    """

    __slots__ = ("make", "name", "owner")

    def __init__(self, make: Callable[[type], Callable[..., Any]]) -> None:
        self.make = make

    def __set_name__(self, owner: type, name: str) -> None:
        self.owner = owner
        self.name = name

    def __get__(self, instance: object, owner: type | None = None) -> Any:
        method: Any = self.make(self.owner)
        method.__name__ = self.name
        method.__qualname__ = f"{self.owner.__qualname__}.{self.name}"
        method.__module__ = self.owner.__module__
        setattr(self.owner, self.name, method)
        return method if instance is None else method.__get__(instance, owner)


class _StandardFields:
    """Shows the fields of a value class to the functions of `dataclasses`."""

    __slots__ = ()

    def __get__(self, instance: object, owner: type) -> Any:
        import dataclasses

        specs: list[Any] = []
        for each in getattr(owner, _FIELDS):
            arguments = {name: getattr(each, name) for name in ("init", "repr", "hash", "compare", "kw_only")}
            for name in ("default", "default_factory"):
                if getattr(each, name) is not _MISSING:
                    arguments[name] = getattr(each, name)
            specs.append((each.name, _annotation(owner, each.name), dataclasses.field(**arguments)))
        return dataclasses.make_dataclass(owner.__name__, specs).__dict__["__dataclass_fields__"]


def _annotation(owner: type, name: str) -> Any:
    return next(base.__annotations__[name] for base in owner.__mro__ if name in base.__annotations__)


# -- the decorator -------------------------------------------------------------------------------------------------


def _dataclass(
    cls: type | None = None,
    *,
    eq: bool = True,
    order: bool = False,
    frozen: bool = False,
    kw_only: bool = False,
    slots: bool = False,
) -> Any:
    """As `dataclasses.dataclass`. Raises `TypeError` or `ValueError` where that does."""
    if order and not eq:
        raise ValueError("eq must be true if order is true")

    def decorate(cls: type) -> type:
        return _value_class(cls, eq=eq, order=order, frozen=frozen, kw_only=kw_only, slots=slots)

    return decorate if cls is None else decorate(cls)


def _value_class(cls: type, *, eq: bool, order: bool, frozen: bool, kw_only: bool, slots: bool) -> type:
    own = _own_fields(cls, kw_only)
    fields = _all_fields(cls, own, frozen)
    namespace = cls.__dict__
    added: dict[str, Any] = {
        _FIELDS: fields,
        _FROZEN: frozen,
        "__dataclass_fields__": _StandardFields(),
        "__match_args__": tuple([each.name for each in fields if each.init and not each.kw_only]),
    }
    if "__init__" not in namespace:
        added["__init__"] = _MadeAtFirstUse(_make_init)
    if "__repr__" not in namespace:
        added["__repr__"] = _MadeAtFirstUse(_make_repr)
    if eq:
        if "__eq__" not in namespace:
            added["__eq__"] = _MadeAtFirstUse(_make_eq)
        # A class that defines `__eq__` alone has been given `__hash__ = None` by the interpreter.
        if namespace.get("__hash__") is None:
            added["__hash__"] = _MadeAtFirstUse(_make_hash) if frozen else None
    if order:
        for name in ("__lt__", "__le__", "__gt__", "__ge__"):
            if name in namespace:
                raise TypeError(f"cannot overwrite attribute {name} in class {cls.__name__}")
            added[name] = _MadeAtFirstUse(_make_order(name))
    if frozen:
        _freeze(cls, namespace, added)
    if slots:
        return _with_slots(cls, added)
    for each in own:
        if each.default is not _MISSING:
            setattr(cls, each.name, each.default)
        elif each.name in namespace:
            delattr(cls, each.name)
    for name, value in added.items():
        setattr(cls, name, value)
        if isinstance(value, _MadeAtFirstUse):
            value.__set_name__(cls, name)
    return cls


def _own_fields(cls: type, kw_only: bool) -> list[_Field]:
    """The fields that the body of `cls` declares, in order."""
    own = []
    namespace = cls.__dict__
    annotations: Mapping[str, Any] = cls.__annotations__
    for name, annotation in annotations.items():
        text = annotation if isinstance(annotation, str) else str(annotation)
        if "ClassVar" in text:
            continue
        if "InitVar" in text or "KW_ONLY" in text:
            raise TypeError(f"field {name}: {text} is not supported")
        # Not only of this class: a field that is declared again without a default keeps the inherited one.
        default = getattr(cls, name, _MISSING)
        if type(default) is _SLOT:
            default = _MISSING
        each = default if isinstance(default, _Field) else _Field(default=default)
        each.name = name
        if each.kw_only is None:
            each.kw_only = kw_only
        if each.default is not _MISSING and type(each.default).__hash__ is None:
            raise ValueError(
                f"mutable default {type(each.default)} for field {name} is not allowed: use default_factory"
            )
        own.append(each)
    for name, value in namespace.items():
        if isinstance(value, _Field) and name not in annotations:
            raise TypeError(f"{name!r} is a field but has no type annotation")
    return own


def _all_fields(cls: type, own: list[_Field], frozen: bool) -> tuple[_Field, ...]:
    """Inherited fields, then `own`; a field declared again keeps its place."""
    fields: dict[str, _Field] = {}
    for base in cls.__mro__[-1:0:-1]:
        if _FROZEN in base.__dict__:
            if base.__dict__[_FROZEN] is not frozen:
                kind, other = ("frozen", "non-frozen") if frozen else ("non-frozen", "frozen")
                raise TypeError(f"cannot inherit {kind} dataclass from a {other} one")
            for each in base.__dict__[_FIELDS]:
                fields[each.name] = each
    for each in own:
        fields[each.name] = each
    optional = None
    for each in fields.values():
        if each.init and not each.kw_only:
            if not each.required:
                optional = each.name
            elif optional is not None:
                raise TypeError(f"non-default argument {each.name!r} follows default argument {optional!r}")
    return tuple(fields.values())


def _with_slots(cls: type, added: dict[str, Any]) -> type:
    """The class made anew, its fields as slots: slots can only be named while a class is made."""
    if "__slots__" in cls.__dict__:
        raise TypeError(f"{cls.__name__} already specifies __slots__")
    namespace = {**cls.__dict__, **added}
    inherited: set[str] = set()
    for base in cls.__mro__[1:-1]:
        inherited.update(base.__dict__.get("__slots__", ()))
    fields: tuple[_Field, ...] = added[_FIELDS]
    for each in fields:
        namespace.pop(each.name, None)
    namespace.pop("__dict__", None)
    namespace.pop("__weakref__", None)
    namespace["__slots__"] = tuple([each.name for each in fields if each.name not in inherited])
    if added[_FROZEN]:
        namespace.setdefault("__getstate__", _get_state)
        namespace.setdefault("__setstate__", _set_state)
    made = type(cls)(cls.__name__, cls.__bases__, namespace)
    made.__qualname__ = cls.__qualname__
    return made


# -- frozen --------------------------------------------------------------------------------------------------------


def _freeze(cls: type, namespace: Mapping[str, Any], added: dict[str, Any]) -> None:
    for name, method in (("__setattr__", _refuse_assignment), ("__delattr__", _refuse_deletion)):
        if name in namespace:
            raise TypeError(f"cannot overwrite attribute {name} in class {cls.__name__}")
        added[name] = method


def _refuse_assignment(self: object, name: str, value: object) -> None:
    from dataclasses import FrozenInstanceError

    raise FrozenInstanceError(f"cannot assign to field {name!r}")


def _refuse_deletion(self: object, name: str) -> None:
    from dataclasses import FrozenInstanceError

    raise FrozenInstanceError(f"cannot delete field {name!r}")


def _get_state(self: Any) -> list[Any]:
    return [getattr(self, each.name) for each in getattr(self, _FIELDS)]


def _set_state(self: Any, state: list[Any]) -> None:
    for each, value in zip(getattr(self, _FIELDS), state, strict=True):
        object.__setattr__(self, each.name, value)


# -- the methods ---------------------------------------------------------------------------------------------------


def _make_init(cls: type) -> Callable[..., Any]:
    """`__init__`, compiled: it has to be as quick, and its errors as clear, as if written by hand."""
    fields: tuple[_Field, ...] = getattr(cls, _FIELDS)
    names: dict[str, Any] = {"_MISSING": _MISSING}
    body = [line for each in fields if (line := _store(cls, each, names))]
    if hasattr(cls, "__post_init__"):
        body.append("self.__post_init__()")
    positional = [each for each in fields if each.init and not each.kw_only]
    keyword = [each for each in fields if each.init and each.kw_only]
    parameters = ["self", *[_parameter(each, names) for each in positional]]
    if keyword:
        parameters += ["*", *[_parameter(each, names) for each in keyword]]
    source = f"def __init__({', '.join(parameters)}):\n " + "\n ".join(body or ["pass"])
    # The text is made of the identifiers that a class body declares, and nothing else.
    exec(source, names)  # noqa: S102
    init: Callable[..., Any] = names["__init__"]
    init.__annotations__ = {each.name: _annotation(cls, each.name) for each in fields if each.init}
    init.__annotations__["return"] = None
    return init


def _parameter(each: _Field, names: dict[str, Any]) -> str:
    if each.required:
        return each.name
    if each.default is _MISSING:
        return f"{each.name}=_MISSING"
    names[f"_default_{each.name}"] = each.default
    return f"{each.name}=_default_{each.name}"


def _store(cls: type, each: _Field, names: dict[str, Any]) -> str:
    """The statement that sets one field, or nothing when it has no value of its own."""
    value = each.name
    if each.default_factory is not _MISSING:
        names[f"_make_{each.name}"] = each.default_factory
        value = f"_make_{each.name}()"
        if each.init:
            value = f"{value} if {each.name} is _MISSING else {each.name}"
    elif not each.init:
        if each.default is _MISSING:
            return ""
        names[f"_default_{each.name}"] = each.default
        value = f"_default_{each.name}"
    if not cls.__dict__[_FROZEN]:
        return f"self.{each.name} = {value}"
    # Past our own `__setattr__`: through the slot's descriptor, which is half the price of `object.__setattr__`.
    member: Any = getattr(cls, each.name, None)
    if type(member) is _SLOT:
        names[f"_set_{each.name}"] = member.__set__
        return f"_set_{each.name}(self, {value})"
    names["_set"] = object.__setattr__
    return f"_set(self, {each.name!r}, {value})"


_SLOT: Any = type(_Field.__dict__["name"])


def _key(names: list[str]) -> Callable[[object], tuple[Any, ...]]:
    """A function from an instance to the tuple of the attributes named."""
    if not names:
        return lambda self: ()
    getter: Callable[[object], Any] = attrgetter(*names)
    return getter if len(names) > 1 else lambda self: (getter(self),)


def _make_eq(cls: type) -> Callable[..., Any]:
    key = _key([each.name for each in getattr(cls, _FIELDS) if each.compare])

    def __eq__(self: object, other: object) -> Any:
        if other.__class__ is self.__class__:
            return key(self) == key(other)
        return NotImplemented

    return __eq__


def _make_hash(cls: type) -> Callable[..., Any]:
    key = _key([each.name for each in getattr(cls, _FIELDS) if each.hashed])

    def __hash__(self: object) -> int:
        return hash(key(self))

    return __hash__


def _make_order(name: str) -> Callable[[type], Callable[..., Any]]:
    def make(cls: type) -> Callable[..., Any]:
        key = _key([each.name for each in getattr(cls, _FIELDS) if each.compare])
        compare: Callable[..., Any] = getattr(tuple, name)

        def ordered(self: object, other: object) -> Any:
            if other.__class__ is self.__class__:
                return compare(key(self), key(other))
            return NotImplemented

        return ordered

    return make


def _make_repr(cls: type) -> Callable[..., Any]:
    from reprlib import recursive_repr

    names = [each.name for each in getattr(cls, _FIELDS) if each.repr]

    @recursive_repr()
    def __repr__(self: object) -> str:
        shown = ", ".join([f"{name}={getattr(self, name)!r}" for name in names])
        return f"{self.__class__.__qualname__}({shown})"

    return __repr__


# -- functions -----------------------------------------------------------------------------------------------------


def _field(**options: Any) -> Any:
    """As `dataclasses.field`, without `metadata`."""
    return _Field(**options)


def _replace(value: Any, /, **changes: Any) -> Any:
    """A new instance with `changes`, made by the class: `__post_init__` runs. `TypeError` for an unknown field."""
    for each in getattr(type(value), _FIELDS):
        if not each.init:
            if each.name in changes:
                raise ValueError(
                    f"field {each.name} is declared with init=False, it cannot be specified with replace()"
                )
        elif each.name not in changes:
            changes[each.name] = getattr(value, each.name)
    return type(value)(**changes)


def field_names(value: object) -> tuple[str, ...] | None:
    """The names of the fields of an instance of a value class, in order; None for anything else."""
    fields = getattr(type(value), _FIELDS, None)
    return None if fields is None else tuple([each.name for each in fields])


if TYPE_CHECKING:
    from dataclasses import dataclass as dataclass
    from dataclasses import field as field
    from dataclasses import replace as replace
else:
    dataclass = _dataclass
    field = _field
    replace = _replace
