"""How much a definition may make the evaluator do. Definitions are strangers'; a page of text can ask for more than any
machine has: a text doubled forty times, a function that calls another twice forty times over.

Sizes of single values are limited, and what all big values and all repetitions of one evaluation amount to. Nothing
that was written to describe builds comes near. On the start-up path.
"""

from __future__ import annotations

from bakehouse.errors import DefinitionError

#: Characters of one text, and elements of one collection (the parts of its parts included).
MAX_TEXT = 32 * 2**20
MAX_ELEMENTS = 2**20
#: From these sizes on a value counts towards what all of them may amount to.
BIG_TEXT = 2**12
BIG_COLLECTION = 2**10
_MAX_PARTS = 4 * MAX_ELEMENTS
_ALL_TEXT = 512 * 2**20
_ALL_ELEMENTS = 32 * 2**20
#: Items of all `for` expressions, calls of functions that the definition declares, steps of regular expressions.
_ALL_STEPS = 5_000_000
#: A call takes as long as so many items.
STEPS_OF_A_CALL = 10
#: So does making a target.
STEPS_OF_A_TARGET = 50


class LimitError(DefinitionError):
    """The definition asks for too much. Ends the evaluation: no `try` goes on from there."""

    default_code = "definition-too-large"


class _Meter:
    """What the evaluation under way has used. Several at once in one process share it, and so get less each."""

    __slots__ = ("elements", "steps", "text")

    def __init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        self.text = self.elements = self.steps = 0


_METER = _Meter()


def restart() -> None:
    """Begin to count anew, for another definition."""
    _METER.restart()


def check_text_size(length: int) -> None:
    """Called before a text is made."""
    if length > MAX_TEXT:
        raise LimitError(f"a text would have {length:,} characters, more than {MAX_TEXT:,}")


def check_text(length: int) -> None:
    """Called when a text is a value."""
    check_text_size(length)
    if length > BIG_TEXT:
        _METER.text += length
        if _METER.text > _ALL_TEXT:
            raise LimitError(f"the texts of the definition add up to more than {_ALL_TEXT:,} characters")


def joined(separator: str, texts: list[str]) -> str:
    """The texts joined, once it is known how long that will be."""
    length = sum(map(len, texts)) + len(separator) * len(texts)
    check_text_size(length)
    return separator.join(texts)


def check_elements(count: int) -> None:
    """Called when a collection is a value, or is about to be."""
    if count > MAX_ELEMENTS:
        raise LimitError(f"a collection would have {count:,} elements, more than {MAX_ELEMENTS:,}")
    if count > BIG_COLLECTION:
        _METER.elements += count
        if _METER.elements > _ALL_ELEMENTS:
            raise LimitError(
                f"the collections of the definition add up to more than {_ALL_ELEMENTS:,} elements"
            )


def check_parts(count: int) -> None:
    """Called by whoever walks over a value and what is in it. A list may hold another many times over, so that it is
    small and what it spreads out into is not."""
    if count > _MAX_PARTS:
        raise LimitError(f"a value spreads out into more than {_MAX_PARTS:,} parts")


def spend(steps: int) -> None:
    """Called for repetitions: `steps` more of them."""
    _METER.steps += steps
    if _METER.steps > _ALL_STEPS:
        raise LimitError("its loops and calls never seem to come to an end")
