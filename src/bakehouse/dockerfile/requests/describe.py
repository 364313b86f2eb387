"""`subrequests.describe`: which questions there are. Build checks are not among them, as in BuildKit, whose list is
older than they are."""

from __future__ import annotations

from bakehouse.dockerfile.requests.answer import VERSION
from bakehouse.go.tabwriter import align
from bakehouse.values import dataclass


@dataclass(frozen=True, slots=True)
class Question:
    """One of them. `options` are (name, description) pairs of what it may be given; None: it was never said."""

    name: str
    description: str
    options: tuple[tuple[str, str], ...] | None
    version: str = VERSION


_QUESTIONS = (
    Question(
        "outline",
        "List all parameters current build target supports",
        (("target", "Target build stage"),),
    ),
    Question("targets", "List all targets current build supports", ()),
    Question("subrequests.describe", "List available subrequest types", None),
)


@dataclass(frozen=True, slots=True)
class Description:
    """The list of questions."""

    questions: tuple[Question, ...] = _QUESTIONS
    version: str = VERSION

    def as_json(self) -> object:
        return [_members(question) for question in self.questions]

    def as_text(self) -> str:
        rows = [f"{each.name}\t{each.version}\t{each.description}\n" for each in self.questions]
        return align("NAME\tVERSION\tDESCRIPTION\n" + "".join(rows), padding=1)


def _members(question: Question) -> dict[str, object]:
    return {
        "name": f"frontend.{question.name}",
        "version": question.version,
        "type": "rpc",
        "description": question.description,
        "opts": None if question.options is None else [_named(*option) for option in question.options],
        "inputs": None,
        "metadata": [_named("result.json"), _named("result.txt")],
        "refs": None,
    }


def _named(name: str, description: str = "") -> dict[str, str]:
    return {"name": name, "description": description}
