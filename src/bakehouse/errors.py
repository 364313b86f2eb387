"""The exception family. Ground floor: imports nothing of the project.

A *category* (a direct subclass of `BakehouseError`) says what a caller can do about an error; a subclass or a
stable kebab-case `code` says what happened. Messages are for people and are never matched by code. Only the
command line prints errors or turns them into exit codes. Secrets never enter a message.

This module is on the start-up path: it must not import `dataclasses`, `typing` or `enum`.
"""

from __future__ import annotations


class BakehouseError(Exception):
    """Base of every error that Bakehouse raises on purpose.

    `code` is stable and serves tests and documentation; `hint` is one sentence saying what to do; `vertex` is the
    display name of the build step in which the error arose and `excerpt` the rendered source lines it points at,
    both added as the error rises; `source_lines` are those lines' numbers, from 1. `log_tail` holds the last output
    lines of a failed step, `target` the Bake target that failed, `during` what was being done in the words of
    BuildKit's clients (`failed to solve: `); `policy_messages` what a source policy says of its refusal.
    `str(error)` is the message alone.
    """

    category = "internal"
    default_code = "internal"
    exit_code = 1

    def __init__(self, message: str, *, code: str | None = None, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.code = code or self.default_code
        self.hint = hint
        self.vertex: str | None = None
        self.vertex_digest: str | None = None
        self.excerpt: str | None = None
        self.source_lines: tuple[int, ...] = ()
        self.log_tail: tuple[str, ...] = ()
        self.target: str | None = None
        self.during = ""
        self.policy_messages: tuple[str, ...] = ()

    def __str__(self) -> str:
        return self.message


class DefinitionError(BakehouseError):
    """What the user wrote (Bake file, Dockerfile, option) is wrong. Show every finding and stop."""

    category = "definition"
    default_code = "invalid-definition"


class NotFoundError(BakehouseError):
    """A named thing does not exist: file, image, blob, target, stage."""

    category = "not-found"
    default_code = "not-found"


class ConflictError(BakehouseError):
    """A named thing is already there, or is in use."""

    category = "conflict"
    default_code = "conflict"


class DeniedError(BakehouseError):
    """Credentials, an entitlement or a permission is missing. Say what to grant."""

    category = "denied"
    default_code = "denied"


class TransientError(BakehouseError):
    """May succeed later (network, 5xx, 429). `retry_after_s` is the server's wish, when it stated one."""

    category = "transient"
    default_code = "unavailable"

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        hint: str | None = None,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(message, code=code, hint=hint)
        self.retry_after_s = retry_after_s


class IntegrityError(BakehouseError):
    """A digest, size, schema or invariant is broken. Quarantine; never retry silently."""

    category = "integrity"
    default_code = "integrity"


class EnvironmentFault(BakehouseError):
    """The machine lacks something: kernel feature, disk space, runtime binary, permission for namespaces."""

    category = "environment"
    default_code = "environment"


class ExecutionError(BakehouseError):
    """The user's own process failed. `exit_code_of_step` is its exit code; `log_tail` its last output lines."""

    category = "execution"
    default_code = "step-failed"

    def __init__(
        self,
        message: str,
        *,
        exit_code_of_step: int,
        code: str | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(message, code=code, hint=hint)
        self.exit_code_of_step = exit_code_of_step


class CancelledError(BakehouseError):
    """Someone asked to stop, or another branch of the build failed first. Unwind and stay quiet."""

    category = "cancelled"
    default_code = "cancelled"
    exit_code = 130

    def __init__(self, message: str = "context canceled", *, code: str | None = None) -> None:
        super().__init__(message, code=code)


class NotBuiltYetError(BakehouseError):
    """A documented option or input whose room Bakehouse does not have. Refused by name, never ignored."""

    category = "definition"
    default_code = "unsupported"


class InternalError(BakehouseError):
    """Our own bug. The message asks for a report."""

    category = "internal"
    default_code = "internal"
    exit_code = 100
