"""Random Compose files: services with values of every kind for every key, and texts with lines and characters moved."""

from __future__ import annotations

from random import Random

PIECES = (
    *(
        "&a ",
        "*a",
        "<<: *a\n",
        "!reset ",
        "!override ",
        "!!str ",
        "!!int ",
        "[",
        "{",
        "}",
        "]",
        ",",
        "? ",
        ": ",
        ":",
    ),
    *(
        "\n---\n",
        "\n...\n",
        "${",
        "${A:-",
        "$$",
        "$A",
        "~",
        ".inf",
        "2001-01-01",
        "\t",
        '"',
        "'",
        "|\n",
        ">\n",
        "- ",
    ),
    *(
        "\n",
        "  ",
        "# c",
        "#",
        "null",
        "true",
        "yes",
        "0x1F",
        "1.50",
        "[]",
        "{}",
        "%",
        "@",
        "`",
        "\r\n",
        "é",
        "<<:",
    ),
    *("services:\n", "build: .", "extends: a", "a=b", "x-bake:\n", "tags:", "\u00a0", "\u2028"),
)
VALUES = (
    *(
        "~",
        "1",
        "-1",
        "1.5",
        "true",
        "yes",
        "text",
        "'2'",
        "2001-01-01",
        "${A}",
        "${B:-d}",
        "${C?no}",
        ".nan",
        "''",
    ),
    *(
        "a=b",
        "[a, b]",
        "[a=b, c]",
        "{a: b}",
        "{a: ~}",
        "[1, 2]",
        "[[a]]",
        "[{a: b}]",
        "{a: [b]}",
        "[~]",
        "[true]",
    ),
    *(
        "128m",
        "1gb",
        "a:b",
        "a:1.2.3.4",
        "./x",
        "../x",
        "/x/y",
        "https://example.com/x.git",
        "service:s",
        "target:t",
    ),
    *(
        "{source: s, target: t}",
        "default",
        "{default: ~}",
        "0x10",
        "010",
        "1e3",
        "9223372036854775808",
        "-0",
        "1_0",
    ),
    *(
        "!!str 1",
        "linux/amd64",
        "type=gha",
        "a b c",
        "!reset null",
        "!override [x]",
        "{<<: {a: 1}, b: 2}",
        "$$x",
        "$",
    ),
    *(
        "${",
        "1:2:3",
        "12:30:45",
        "0.1e-5",
        "2001-12-14t21:59:43.10-05:00",
        "on",
        "No",
        "=",
        "x:",
        "{a:}",
        "80:80",
    ),
)
BUILD_KEYS = [
    "context",
    "dockerfile",
    "dockerfile_inline",
    "entitlements",
    "args",
    "ssh",
    "labels",
    "cache_from",
    "cache_to",
    "no_cache",
    "no_cache_filter",
    "additional_contexts",
    "network",
    "provenance",
    "sbom",
    "pull",
    "target",
    "shm_size",
    "extra_hosts",
    "isolation",
    "privileged",
    "secrets",
    "tags",
    "platforms",
    "x-bake",
]
EXTENSION_KEYS = [
    "tags",
    "cache-from",
    "cache-to",
    "secret",
    "ssh",
    "platforms",
    "output",
    "pull",
    "no-cache",
    "no-cache-filter",
    "contexts",
    "other",
]
SERVICE_KEYS = [
    "image",
    "environment",
    "env_file",
    "extends",
    "profiles",
    "ports",
    "volumes",
    "depends_on",
    "networks",
    "secrets",
    "configs",
    "devices",
    "gpus",
    "expose",
    "deploy",
    "healthcheck",
    "logging",
    "labels",
    "label_file",
    "dns",
    "command",
    "init",
    "develop",
    "annotations",
    "tmpfs",
    "sysctls",
    "extra_hosts",
    "links",
    "restart",
    "platform",
    "scale",
    "x-other",
]
FITTING = {
    "context": ("./c", "../c", "https://example.com/r.git#b:d", "c/../d", "${A}"),
    "args": ("{a: 1, b: ~, c: 1.50}", "[A, b=2, C=]", "{A: '${A}', d: true}"),
    "labels": ("{a: 1, b: ~}", "[a=1, b]"),
    "cache_from": ("[x/y]", "['type=gha,scope=a']"),
    "tags": ("[a, b, a]", "['x/y:${A:-z}']"),
    "platforms": ("[linux/amd64, linux/arm64]",),
    "secrets": ("[sec]", "[{source: sec, target: z}]"),
    "extra_hosts": ("['a:1.2.3.4', 'b=::1']", "{a: [1.2.3.4, 5.6.7.8]}"),
    "additional_contexts": ("{a: ./x, b: 'docker-image://y'}", "[a=./x]"),
    "x-bake": ("{tags: [q], platforms: linux/amd64 linux/arm64}", "{output: type=docker, pull: true}"),
    "environment": ("{A: svc, E: 1}", "[A=svc, B, E]"),
    "extends": ("{service: other}", "{file: extended.yaml, service: base}"),
    "ports": ("['80:80']", "[{target: 80}]", "['8000-8010:9000-9010/udp']"),
    "volumes": ("['./a:/b']", "[{type: bind, source: a, target: b}]"),
    "depends_on": ("[other]", "{other: {condition: service_healthy}}"),
    "no_cache": ("true", "'${B:-false}'"),
}


class ComposeGenerator:
    """Files from a seed: the same seed, the same files."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)

    def project(self) -> dict[str, bytes]:
        """A Compose file of two services, mostly, and the file that it may extend."""
        text = "secrets:\n  sec: {file: ./s}\nservices:\n" + self._service("s") + self._service("other")
        if self.random.random() < 0.2:
            text += "---\nservices:\n" + self._service("s")
        if self.random.random() < 0.2:
            text = self.mutated(text)
        extended = b"services: {base: {build: {context: ., args: {I: '1'}}}}\n"
        return {"compose.yaml": text.encode(), "extended.yaml": extended, "s": b""}

    def mutated(self, text: str) -> str:
        """The text with a few lines or characters taken out, doubled, moved or put in."""
        for _ in range(self.random.choice((1, 1, 1, 2, 3))):
            text = self._cut(text) if self.random.random() < 0.6 else self._shuffled(text)
        return text

    def _cut(self, text: str) -> str:
        at = self.random.randrange(len(text) + 1)
        piece = self.random.choice(("", *PIECES))
        return text[:at] + piece + text[at + self.random.choice((0, 0, 1, 1, 2, 5)) :]

    def _shuffled(self, text: str) -> str:
        lines = text.split("\n")
        at, to = self.random.randrange(len(lines)), self.random.randrange(len(lines))
        change = self.random.randrange(5)
        if change == 0:
            del lines[at]
        elif change == 1:
            lines.insert(to, lines[at])
        elif change == 2:
            lines[at] = " " * self.random.choice((1, 2, 4)) + lines[at]
        elif change == 3:
            lines[at], lines[to] = lines[to], lines[at]
        elif ":" in lines[at]:
            lines[at] = f"{lines[at].partition(':')[0]}: {self.random.choice(VALUES)}"
        return "\n".join(lines)

    def _service(self, name: str) -> str:
        members = self._members(SERVICE_KEYS, 2, 4)
        build = self._members(BUILD_KEYS, 4, 6)
        if "x-bake:" not in build and self.random.random() < 0.25:
            build += "      x-bake:\n" + self._members(EXTENSION_KEYS, 4, 8)
        return f"  {name}:\n{members}    build:\n{build}"

    def _members(self, keys: list[str], most: int, indent: int) -> str:
        chosen = self.random.sample(keys, self.random.randrange(most + 1))
        return "".join(f"{' ' * indent}{key}: {self._value(key)}\n" for key in chosen)

    def _value(self, key: str) -> str:
        fitting = FITTING.get(key)
        if fitting is not None and self.random.random() < 0.7:
            return self.random.choice(fitting)
        return self.random.choice(VALUES)
