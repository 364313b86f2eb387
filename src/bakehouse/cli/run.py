"""`bakehouse run`: starts an image that was built, in the foreground, with the same OCI runtime as build steps."""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager

from bakehouse.cli.flags import (
    BOOL,
    LIST,
    STRING,
    Flag,
    HelpWanted,
    Parsed,
    UsageError,
    is_false,
    parse,
    render_help,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bakehouse.runtime.foreground import Streams

FLAGS = (
    Flag("env", LIST, "Set an environment variable", short="e"),
    Flag("workdir", STRING, "Working directory", short="w"),
    Flag("user", STRING, "User (name or uid[:gid])", short="u"),
    Flag("entrypoint", STRING, "Replace the image's entrypoint"),
    Flag("network", STRING, '"host" (default: ports are reachable), "sandbox" or "none"', default="host"),
    Flag("volume", LIST, "Bind mount a file or directory (source:target[:ro])", short="v"),
    Flag("hostname", STRING, "Host name of the container"),
    Flag("add-host", LIST, 'Add a host-to-IP mapping ("host:ip")'),
    Flag("platform", STRING, "Platform to choose from a multi-platform image"),
    Flag("pull", BOOL, "Ask the registry even when the image is in the local store"),
    Flag("interactive", BOOL, "Pass standard input on", short="i"),
    Flag("tty", BOOL, "Give the process a terminal", short="t"),
    Flag("rm", BOOL, "Accepted for Docker's sake: what a run writes is always discarded", hidden=True),
    Flag(
        "detach", BOOL, hidden=True, short="d", unbuilt="a run lasts as long as its command", accept=is_false
    ),
    Flag(
        "publish",
        LIST,
        hidden=True,
        short="p",
        unbuilt="with the default network the process listens on the machine's own ports",
    ),
    Flag("name", STRING, hidden=True, unbuilt="runs have no names"),
    Flag("privileged", BOOL, hidden=True, unbuilt="runs have the rights of a RUN step", accept=is_false),
    Flag("mount", LIST, hidden=True, unbuilt="use --volume"),
    Flag("env-file", LIST, hidden=True, unbuilt="use --env"),
)


def help_text() -> str:
    return render_help(
        "bakehouse run [OPTIONS] IMAGE [COMMAND [ARG...]]",
        "Run a command in an image. What it writes outside of volumes is discarded when it ends.",
        FLAGS,
    )


def command(argv: Sequence[str], *, debug: bool = False) -> int:
    own, image, words = _split(argv)
    parsed = parse(FLAGS, own)
    if not image:
        raise UsageError("'bakehouse run' requires an image", hint="`bakehouse images` lists what is there")
    streams = _streams(parsed)
    from bakehouse.builders.running import RunRequest, run_image
    from bakehouse.cli.session import enter_user_namespace, settings, signals_to
    from bakehouse.errors import CancelledError
    from bakehouse.runtime.foreground import Foreground

    request = RunRequest(
        image=image,
        args=tuple(words),
        env=tuple(_environment(parsed)),
        workdir=parsed.text("workdir"),
        user=parsed.text("user"),
        entrypoint=parsed.text("entrypoint") if "entrypoint" in parsed.given else None,
        network=_network(parsed.text("network")),
        volumes=tuple(parsed.texts("volume")),
        hostname=parsed.text("hostname"),
        extra_hosts=tuple(_host(text) for text in parsed.texts("add-host")),
        platform=parsed.text("platform"),
        pull=parsed.on("pull"),
    )
    configured = settings()
    enter_user_namespace()
    outputs = {1: sys.stdout.buffer, 2: sys.stderr.buffer}

    def on_output(stream: int, data: bytes) -> None:
        outputs[stream].write(data)
        outputs[stream].flush()

    foreground = Foreground(streams)
    with _terminal_kept(streams), signals_to(foreground) as cancel:
        try:
            return run_image(request, configured, os.environ, on_output, cancel, foreground)
        except CancelledError:
            # The user's own wish, not an error to tell of.
            return CancelledError.exit_code


def _split(argv: Sequence[str]) -> tuple[list[str], str, list[str]]:
    """(flags, image, command): flags end at the first word that is neither a flag nor a flag's value."""
    takes_value = {f"--{flag.name}" for flag in FLAGS if flag.kind != BOOL}
    own: list[str] = []
    words = list(argv)
    while words:
        word = words.pop(0)
        if word == "--":
            return own, words[0] if words else "", words[1:]
        if not word.startswith("-") or word == "-":
            return own, word, words
        if word in ("--help", "-h"):
            raise HelpWanted
        own.append(word)
        if (word in takes_value or _wants_value(word)) and words:
            own.append(words.pop(0))
    return own, "", []


def _wants_value(word: str) -> bool:
    """Whether the value of the last flag in a cluster of short ones (`-it`, `-itw`) is the next word."""
    if word.startswith("--"):
        return False
    valued = {flag.short for flag in FLAGS if flag.short and flag.kind != BOOL}
    for position, letter in enumerate(word[1:], 2):
        if letter in valued:
            return position == len(word)
    return False


def _streams(parsed: Parsed) -> Streams:
    """What of our standard streams the process gets. Raises `UsageError` for a terminal where there is none."""
    from bakehouse.runtime.foreground import Streams

    terminal = parsed.on("tty")
    if terminal and not (os.isatty(0) and os.isatty(1)):
        raise UsageError("the input device is not a TTY", hint="leave -t out, or run it in a terminal")
    return Streams(stdin=0 if parsed.on("interactive") else None, terminal=terminal)


@contextmanager
def _terminal_kept(streams: Streams) -> Iterator[None]:
    """Puts the terminal back as it was: the runtime, which makes it raw, may be killed."""
    if not streams.terminal:
        yield
        return
    import termios

    before = termios.tcgetattr(0)
    try:
        yield
    finally:
        termios.tcsetattr(0, termios.TCSADRAIN, before)


def _environment(parsed: Parsed) -> list[str]:
    out = []
    for text in parsed.texts("env"):
        if "=" in text:
            out.append(text)
        elif text in os.environ:
            out.append(f"{text}={os.environ[text]}")
    return out


def _network(text: str) -> str:
    if text not in ("host", "sandbox", "none"):
        raise UsageError(f"unknown network {text!r}", hint="host, sandbox or none")
    return text


def _host(text: str) -> tuple[str, str]:
    name, _, ip = text.partition("=" if "=" in text else ":")
    if not name or not ip:
        raise UsageError(f"invalid host {text}", hint="expected host:ip")
    return name, ip
