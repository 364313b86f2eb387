"""Dockerfiles drawn by lot, full of what build checks look at: odd cases, undefined variables, comments that steer
checks, triggers, mounts. Many cannot be built."""

from __future__ import annotations

from random import Random

_NAMES = [
    "A",
    "B",
    "FOO",
    "FO",
    "UNDEF",
    "TARGETPLATFORM",
    "TARGETARCH",
    "BASE",
    "TOKEN",
    "HOME",
    "PATH",
    "x",
]
_MOUNTS = [
    "type=secret,id=s1",
    "type=secret,id=s2,required",
    "type=secret,id=$A,env=E",
    "type=secret,target=/run/q",
    "type=ssh",
    "type=ssh,id=k,required=true",
    "type=cache,target=/c",
    "type=tmpfs,target=/t",
    "type=bind,from=busybox,target=/b",
]
_COMMENTS = [
    *[""] * 5,
    "\n",
    "# check=skip=all\n",
    "# check=skip=LegacyKeyValueFormat,UndefinedVar\n",
    "# check=experimental=all\n",
    "# check=nonsense\n",
    "# A is it\n",
    "# s1 is it\n# something else\n",
]
_HEADS = [
    *[""] * 6,
    "# check=skip=StageNameCasing\n",
    "# check=experimental=all\n",
    "# check=skip=all;experimental=InvalidDefinitionDescription\n",
    "# escape=`\n",
    "# check=error=true\n",
]


class Lot:
    """Draws Dockerfiles. Equal seeds give equal ones."""

    def __init__(self, seed: int) -> None:
        self._random = Random(seed)
        self._stages: list[str] = []

    def dockerfile(self) -> str:
        pick = self._random.choice
        parts = [pick(_HEADS)]
        self._stages = []
        globals_ = ["BASE=alpine", "A=1", "B=$A", "FOO", "FOO=$B$A", "TOKEN=x", "TAG", "A=2$A"]
        for _ in range(self._random.randrange(3)):
            parts += [pick(_COMMENTS), f"{self._case('ARG')} {pick(globals_)}\n"]
        for number in range(self._random.randrange(1, 4)):
            parts += [pick(_COMMENTS), self._from(number), "\n"]
            for _ in range(self._random.randrange(6)):
                parts += [pick(_COMMENTS), self._instruction(), "\n"]
        return "".join(parts)

    def _from(self, number: int) -> str:
        pick = self._random.choice
        base = pick(["scratch", "scratch", "alpine", "busybox", "$BASE", "${TAG:-alpine}", *self._stages])
        platforms = [
            "--platform=$TARGETPLATFORM ",
            "--platform=linux/amd64 ",
            "--platform=${UNDECLARED:-linux} ",
        ]
        platform = pick([*[""] * 4, *platforms])
        name = pick(["", f"s{number}", f"s{number}", f"S{number}", "scratch"])
        if not name:
            return f"{self._case('FROM')} {platform}{base}"
        if name != "scratch":
            self._stages.append(name.lower())
        return f"{self._case('FROM')} {platform}{base} {self._case('AS')} {name}"

    def _instruction(self) -> str:
        pick = self._random.choice
        makers = {
            "ENV": lambda: pick(
                [
                    f"{pick(_NAMES)} {self._word()}",
                    f"{pick(_NAMES)}={self._variable()}",
                    f"{pick(['API_KEY', 'token', 'PASSWORD_FILE'])}=1",
                    f"k=1 \\\n\n  l={self._variable()}",
                ]
            ),
            "LABEL": lambda: pick([f"{pick(_NAMES)} {self._word()}", f"k={self._variable()} \\\n  l=2"]),
            "ARG": lambda: pick([pick(_NAMES), f"{pick(_NAMES)}={self._variable()}", "SECRET", "MY_KEY=1"]),
            "RUN": lambda: pick(
                [
                    f"--mount={pick(_MOUNTS)} --mount={pick(_MOUNTS)} true",
                    "<<E\necho $UNDEF\nE",
                    "x \\\n  # c\n  y",
                ]
            ),
            "COPY": lambda: pick(
                [
                    f"{pick(['a.txt', 'ignored', 'dir/x', '.', '*', self._variable()])} /d/",
                    f"--from={pick(['0', 'busybox', *self._stages])} /a /b",
                    "<<F <<'G' /f/\n$UNDEF $A\nF\n$UNDEF\nG",
                ]
            ),
            "ADD": lambda: pick(["ignored /d/", "http://127.0.0.1:1/ignored /d/", "dir /d"]),
            "WORKDIR": lambda: pick(["/a", "rel", "./x", self._variable(), "c:\\x"]),
            "EXPOSE": lambda: pick(
                ["80", "80/TCP", "1:2", "127.0.0.1:1:2/udp", "80/Udp 81/tcp", "${UNDEF:-1}"]
            ),
            "CMD": lambda: pick(["echo x", '["a"]', "['a']", "$UNDEF"]),
            "ENTRYPOINT": lambda: pick(["echo x", '["a"]']),
            "HEALTHCHECK": lambda: pick(["NONE", "CMD x", "--interval=1s CMD x"]),
            "SHELL": lambda: '["/bin/bash","-c"]',
            "USER": self._variable,
            "VOLUME": self._variable,
            "STOPSIGNAL": lambda: pick(["TERM", "9", "${X:-INT}"]),
            "MAINTAINER": self._variable,
            "ONBUILD": lambda: pick(
                ["ENV a b", "LABEL x=$UNDEF", "CMD x", "EXPOSE 1/TCP", "WORKDIR y", "ARG TOKEN"]
            ),
        }
        keyword = pick(list(makers))
        return f"{self._case(keyword)} {makers[keyword]()}"

    def _case(self, keyword: str) -> str:
        return self._random.choice([keyword, keyword, keyword, keyword.lower(), keyword.capitalize()])

    def _variable(self) -> str:
        """A word with at most one variable: BuildKit reports several of one word in a random order."""
        name = self._random.choice(_NAMES)
        forms = ["$N", "${N}", "${N:-d}", "${N:+p}", "${N-}", "${N#a}", "${N%%b}", "${N/a/b}", "\\$N", "'$N'"]
        return self._random.choice(forms).replace("N", name)

    def _word(self) -> str:
        return self._random.choice(["a", "b/c", "x y", '"q q"', "é", "a=b", "p" + self._variable()])
