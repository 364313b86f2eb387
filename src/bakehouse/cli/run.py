"""`bakehouse run`: starts an image that was built, in the foreground, with the same OCI runtime as build steps."""

from __future__ import annotations

import os
import sys

from bakehouse.cli.flags import BOOL, LIST, STRING, Flag, Parsed, UsageError, parse, render_help

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

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
    Flag("rm", BOOL, "Accepted for Docker's sake: what a run writes is always discarded", hidden=True),
)


def help_text() -> str:
    return render_help(
        "bakehouse run [OPTIONS] IMAGE [COMMAND [ARG...]]",
        "Run a command in an image. What it writes outside of volumes is discarded when it ends.",
        FLAGS,
    )


def command(argv: Sequence[str]) -> int:
    own, image, words = _split(argv)
    parsed = parse(FLAGS, own)
    from bakehouse.builders.running import RunRequest, run_image
    from bakehouse.cli.session import enter_user_namespace, interruptible, settings

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
    streams = {1: sys.stdout.buffer, 2: sys.stderr.buffer}

    def on_output(stream: int, data: bytes) -> None:
        streams[stream].write(data)
        streams[stream].flush()

    with interruptible() as cancel:
        return run_image(request, configured, os.environ, on_output, cancel)


def _split(argv: Sequence[str]) -> tuple[list[str], str, list[str]]:
    """(flags, image, command): flags end at the first word that is neither a flag nor a flag's value."""
    takes_value = {f"--{flag.name}" for flag in FLAGS if flag.kind != BOOL}
    takes_value |= {f"-{flag.short}" for flag in FLAGS if flag.short and flag.kind != BOOL}
    own: list[str] = []
    words = list(argv)
    while words:
        word = words.pop(0)
        if word == "--" and words:
            return own, words[0], words[1:]
        if not word.startswith("-"):
            return own, word, words
        own.append(word)
        if word in takes_value and words:
            own.append(words.pop(0))
    if any(word in ("--help", "-h") for word in own):
        return own, "", []
    raise UsageError("'bakehouse run' requires an image", hint="`bakehouse images` lists what is there")


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
    name, _, ip = text.partition(":")
    if not name or not ip:
        raise UsageError(f'bad format for add-host: "{text}"', hint="expected host:ip")
    return name, ip
