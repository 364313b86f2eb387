"""Made-up builds: a grammar of Dockerfiles, and the options that go with them, to be put to both frontends; and
damaged ones.

Most of what the grammar makes is sound, so that a build gets far; rare alternatives are wrong on purpose.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from random import Random

from tests.differential.dockerfile_cases import CASES, Case

_RARE = "?"
_DIGEST = "sha256:" + "ab" * 32

# «x» stands for one of the alternatives of `x`. An alternative that begins with a question mark is rare.
# fmt: off
_GRAMMAR: dict[str, list[str]] = {
    "file": ["«directives»«globals»«stage»", "«directives»«globals»«stage»«stage»",
             "«directives»«globals»«stage»«stage»«stage»«stage»"],
    "directives": ["", "", "", "# escape=\\\n", "# escape=`\n", "# check=skip=all\n", "# check=experimental=all\n",
                   "# a comment\n", "?# escape=x\n", "?# check=bad\n", "?# check=error=true\n", "\ufeff"],
    "globals": ["", "ARG BASE=plain\n", "ARG BASE=plain VER=v1\nARG A=global\n", "ARG «arg»\nARG «arg»\n",
                "ARG TARGETARCH\nARG B=$TARGETARCH\n", "ARG SOURCE_DATE_EPOCH=1700000000\n", "?ARG A=${\n",
                "ARG BUILDKIT_SBOM_SCAN_STAGE=true\n", "ARG BUILDKIT_SBOM_SCAN_CONTEXT=a,b\n"],
    "stage": ["«from»\n«body»", "«from»\n«body»", "# «name» is described\n«from»\n«body»"],
    "from": ["FROM «base»", "FROM «base» AS «name»", "FROM «base» AS «name»", "FROM «platform» «base» AS «name»",
             "from «base» as «name»", "?FROM «base» AS 1x", "?FROM", "?FROM a b"],
    "platform": ["--platform=$BUILDPLATFORM", "--platform=linux/arm64", "--platform=${TARGETPLATFORM}",
                 "--platform=linux/$TARGETARCH", "?--platform=nowhere", "?--platform=$NOTHING", "?--platform="],
    "base": ["plain", "plain", "rich", "scratch", "relative", "empty", "triggers", "windows", "«stagename»",
             "«stagename»", "«stagename»", "plain:v1", "plain:$VER", "${BASE:-plain}", "ctx", "trigger-from",
             "plain@" + _DIGEST, "?$NOTHING", "?nowhere", "?bad-trigger", "?UPPER"],
    "name": ["a", "b", "base", "Build", "out"],
    "stagename": ["a", "b", "base", "build", "out", "?Build"],
    "body": ["«line»", "«line»«line»«line»", "«line»«line»«line»«line»«line»«line»"],
    "line": ["«step»\n", "«step»\n", "«step»\n", "«step»\n", "«step»\n", "«step»\n", "# note\n«step»\n", "\n«step»\n",
             "  «step»\r\n", "#«name» «value»\n«step»\n", "# check=skip=UndefinedVar\n«step»\n", "ONBUILD «step»\n",
             "?ONBUILD ONBUILD RUN x\n"],
    "step": ["«run»", "«run»", "«run»", "«copy»", "«copy»", "«copy»", "«add»", "«add»", "ENV «pairs»", "ENV «pairs»",
             "ENV «key» «value» «value»", "ARG «arg»", "ARG «arg» «arg»", "LABEL «pairs»", "LABEL «key» «value»",
             "WORKDIR «path»", "USER «user»", "CMD «command»", "ENTRYPOINT «command»", "SHELL «json»",
             "EXPOSE «port» «port»", "VOLUME «path» «path»", "VOLUME «json»", "STOPSIGNAL «signal»",
             "HEALTHCHECK «health»", "MAINTAINER «value» <x@y>", "?NOTHING x", "?ENV", "?SHELL sh", "?COPY a",
             "?LABEL a=b c"],
    "key": ["A", "B", "A_KEY", "PATH", '"C"', "Ä", "k.x", "TARGETARCH", "http_proxy", "${A}x"],
    "pairs": ["«key»=«quoted»", "«key»=«quoted» «key»=«quoted»", "«key»=«quoted» \\\n  «key»=«quoted»"],
    "arg": ["A", "B", "A=«quoted»", "B=«quoted»", "TARGETPLATFORM", "TARGETARCH=x", "HTTP_PROXY", "TOKEN=t", "C=$A",
            "BUILDKIT_SBOM_SCAN_STAGE", "BUILDKIT_SBOM_SCAN_STAGE=false", "SOURCE_DATE_EPOCH"],
    "quoted": ["«value»", '"«value»"', "'«value»'", '"«value» «value»"', "«value»\\ «value»", ""],
    "value": ["x", "v1.2", "a/b", "$A", "${B}", "«expansion»", "«expansion»", "é", "-", "\\$A", "~", "$", "<x>"],
    "expansion": ["${«var»«operator»«operand»}", "${«var»«operator»«operand»}", "${«var»«operator»«operand»}",
                  "${«var»/«operand»/«operand»}", "${«var»//«operand»/«operand»}", "?${«var»", "?${«var»^}"],
    "var": ["A", "B", "C", "NOTHING", "PATH", "TARGETARCH"],
    "operator": [":-", "-", ":+", "+", "#", "##", "%", "%%", "?:?", "??"],
    "operand": ["x", "*", "?", "a*", "*b", "$A", "${B:-y}", "", "\\*", "\\/", "v1", "b"],
    "command": ["«shell»", "«json»", "", "[]", "['x']", '["a",]', "?[1]"],
    "json": ['["«value»"]', '["/bin/sh", "-ec"]', '[ "a b" , "$A" ]', '["\\u0041", "\\"q\\""]'],
    "shell": ["echo «value»", "true && echo $A 'q' \"«value»\"", "a \\\n  && b", "a \\\n# inside\n\n  b", "x <<< y"],
    "run": ["RUN «shell»", "RUN «shell»", "RUN «json»", "RUN «runflag» «shell»", "RUN «runflag» «runflag» «shell»",
            "RUN <<E\nfirst $A\nE", "RUN <<-'E' cat\n\tx\n\tE", "RUN <<E\n#!/usr/bin/x\ny\nE", "RUN", "run «shell»",
            "RUN <<A <<B\na\nA\nb\nB", "RUN «runflag» <<E\r\nx\r\ny\r\nE", "RUN cat <<A > /f && b\n$x\nA", "?RUN <<E",
            "?RUN []"],
    "runflag": ["--mount=«mount»", "--mount=«mount»", "--mount=«mount»", "--network=none", "--network=host",
                "--network=default", "--security=insecure", "--security=sandbox", "--device=vendor.com/x=0",
                "--device=name=v/c=1,required", "?--network=x", "?--security=x", "?--nope"],
    "mount": ["target=«path»", "type=bind,target=«path»,source=«path»«mountfrom»", "type=cache,target=«path»«cache»",
              "type=tmpfs,target=«path»,size=64m", "type=secret,id=«value»«secret»", "type=ssh«ssh»",
              '"type=cache,target=/a b"', "type=bind,rw,target=/m«mountfrom»", "TYPE=Bind,Dst=/x,RO=false",
              "type=cache,dst=/c,uid=7,gid=8,mode=0700", "?type=x,target=/a", "?target=/", "?type=secret",
              "?type=bind,uid=1,target=/x", "?size=1,target=/x"],
    "mountfrom": ["", ",from=«name»", ",from=plain", ",from=ctx", ",from=scratch", "?,from=$A", "?,from=Nowhere:x:y"],
    "cache": ["", ",id=$A", ",sharing=locked", ",sharing=private", ",from=plain", ",ro", ",mode=0755", ",uid=5"],
    "secret": ["", ",target=/s", ",env=E", ",env=E,target=/s", ",required", ",required=false", ",uid=1,mode=0444"],
    "ssh": ["", ",id=k", ",target=/sock", ",required=true", ",mode=0666"],
    "copy": ["COPY «source» «path»", "COPY «source» «path»", "COPY «copyflag» «source» «path»",
             "COPY «copyflag» «source» «path»", "COPY «copyflag» «copyflag» «source» «source» «dir»",
             'COPY ["«source»", "«dir»"]', "COPY <<E «path»\n$A 'x' \\$ \\n\nE",
             "COPY <<'E' <<F «source» «dir»\n$A\nE\n${B}\nF", "COPY «copyflag» <<-E /f\n\tx\n\tE",
             "?COPY http://h/x /", "?COPY git@h.x:a/b /", "?COPY --checksum=x a b"],
    "copyflag": ["--from=«name»", "--from=«name»", "--from=0", "--from=plain", "--from=ctx", "--from=scratch", "--link",
                 "--link=false", "--chown=«user»", "--chmod=«mode»", "--parents", "--exclude=*.md", "--exclude=$A/**",
                 "?--from=$A", "?--from=9", "?--parents=maybe", "?--chmod=9999", "?--chown"],
    "source": ["a", "a/b", ".", "/", "./a/", "../x", "*.txt", "[ab]?", "a/./b/c", "$A/x", "d\\ e", "C:\\\\x",
               "**/x", "~"],
    "path": ["/x", "/x/", "x", "./y/", "/a//b/../c", "$A", "/", ".", "${B:-/z}", "c:/w", "C:\\\\w\\\\v"],
    "dir": ["/d/", "./", "d/"],
    "user": ["1", "1:2", "bob", "bob:staff", ":5", "$A", "0", "«value»"],
    "mode": ["755", "0644", "u=rwX,go=rX", "+x", "4711", "a-w", "$A", ""],
    "add": ["ADD «source» «path»", "ADD «addflag» «source» «path»", "ADD «addflag» «remote» «path»",
            "ADD «remote» «remote» «dir»", "ADD «addflag» «addflag» «remote» «dir»", "ADD <<E «path»\n$A\nE"],
    "addflag": ["--chown=«user»", "--chmod=«mode»", "--link", "--keep-git-dir", "--keep-git-dir=false", "--unpack",
                "--unpack=false", "--checksum=" + _DIGEST, "--checksum=" + "ab" * 20, "--exclude=x",
                "?--checksum=md5:00", "?--from=a"],
    "remote": ["https://h.example/f.tgz", "http://h.example/", "https://h.example/d/f?q=1#f", "https://h.example/r.git",
               "https://h.example/r.git#v1:sub", "git@h.example:o/r.git#main", "ssh://u@h.example:22/r",
               "git://h.example/r", "https://h.example/r.git?ref=v1&subdir=s&keep-git-dir=true",
               "https://h.example/r.git?checksum=abcd", "https://h.example/r.git?submodules=false&mtime=commit",
               "https://h.example/r.git?fetch-by-commit=1", "github.com/o/r", "https://$A/x",
               "?https://h.example/r.git?what=1", "?https://h.example/r.git?ref=a#b"],
    "port": ["80", "443/tcp", "53/UDP", "8000-8003", "90/sctp", "$A", "127.0.0.1:80:81", "?x", "?70000", "?1/x"],
    "signal": ["9", "SIGTERM", "kill", "RTMIN+3", "$A", "?SIGX", "?0"],
    "health": ["NONE", "CMD «command»", "«healthflag» CMD «command»", "«healthflag» «healthflag» cmd x", "?CURL x",
               "?CMD"],
    "healthflag": ["--interval=5s", "--timeout=1m30s", "--start-period=0s", "--start-interval=2h", "--retries=3",
                   "?--interval=5", "?--retries=-1", "?--retries=x", "?--interval=1us"],
    "specifier": ["docker-image://plain", "docker-image://rich:v2", "docker-image://scratch", "local:files",
                  "input:made",
                  "https://h.example/f", "https://h.example/r.git#main", "git@h.example:o/r.git",
                  "oci-layout://store@" + _DIGEST, "oci-layout://store:tag@" + _DIGEST, "?oci-layout://store",
                  "?weird:x", "?none", "?input:nothing"],
    "epoch": ["0", "1700000000", "", "context", "?a", "?no"],
    "platforms": ["linux/amd64", "linux/arm64", "linux/arm/v7", "linux/amd64,linux/arm64", "windows/amd64",
                  "linux/arm64,linux/arm/v6,linux/386", "linux/amd64/v2", "?nowhere"],
}
_OPTIONS: dict[str, list[str]] = {
    "target": ["«name»", "«name»", "?nothing"],
    "platform": ["«platforms»"],
    "multi-platform": ["true", "?false"],
    "no-cache": ["", "«name»", "«name»,«name»"],
    "label:l": ["«value»"],
    "hostname": ["h"],
    "shm-size": ["1000000", "?x"],
    "ulimit": ["nofile=1024:2048,nproc=4", "?x"],
    "add-hosts": ["H=1.2.3.4,b=::1", "?h"],
    "cgroup-parent": ["cg"],
    "memory": ["100000000", "?0"],
    "memswap": ["-1", "?x"],
    "cpusetcpus": ["0-3, 5", "?3-1"],
    "cpuperiod": ["1000"],
    "force-network-mode": ["none", "host", "sandbox", "?x"],
    "image-resolve-mode": ["pull", "local", "default", "?x"],
    "build-arg:A": ["«value»", "", "/srv", "80"],
    "build-arg:B": ["«value»", "", "1 2"],
    "build-arg:BASE": ["rich", "a", "?$x"],
    "build-arg:VER": ["v1", "v1@" + _DIGEST],
    "build-arg:TARGETARCH": ["arm64", "x"],
    "build-arg:SOURCE_DATE_EPOCH": ["«epoch»"],
    "build-arg:HTTP_PROXY": ["http://p"],
    "build-arg:no_proxy": ["n"],
    "build-arg:BUILDKIT_CACHE_MOUNT_NS": ["ns"],
    "build-arg:BUILDKIT_SANDBOX_HOSTNAME": ["sandbox"],
    "build-arg:BUILDKIT_DOCKERFILE_CHECK": ["skip=all", "skip=UndefinedVar", "?error=true", "?bad"],
    "build-arg:BUILDKIT_MULTI_PLATFORM": ["1", "?0", "?x"],
    "build-arg:BUILDKIT_CONTEXT_KEEP_GIT_DIR": ["1", "0"],
    "build-arg:BUILDKIT_GIT_ADVICE": ["1", "?x"],
    "build-arg:BUILDKIT_SBOM_SCAN_STAGE": ["true", "a"],
    "context": ["https://h.example/r.git#v1", "git@h.example:o/r.git#:sub"],
    "contextsubdir": ["sub"],
    "context:ctx": ["«specifier»", "«specifier»", "«specifier»"],
    "context:plain": ["«specifier»"],
    "context:build": ["«specifier»"],
    "context:a::linux/arm64": ["«specifier»"],
    "context:a": ["«specifier»"],
}
_IGNORE_FILES = ["*.md\n", "a\n!a/b\n", "*\n", "**/x\n", "# c\n/a/\n\n", "?!\n", "?[\n"]
# fmt: on
_PIECES = [char.encode() for char in "\"'\\$}#=[],`/:@*?!%-é"] + [b"${", b"<<E", b"--", b" \\\n"]
_PIECES += [b" ", b"\t", b"\n", b"\r\n", b"\\\n", b"\xff", b"\x00", b"\xc2\xa0"]
_SYMBOL = re.compile("«([a-z]+)»")
_CAPS = ["mergeop", "exec.meta.setsdefaultpath", "exec.mount.tmpfs.size", "exec.meta.ulimit", "exec.meta.cdi"]
_CAPS += ["exec.meta.linux.resources", "exec.meta.cgroup.parent", "exec.mount.bind.readwrite-nooutput"]
_IMAGES = {"docker.io/library/plain:v1": "plain", f"docker.io/library/plain@{_DIGEST}": "plain"}
_IMAGES |= {"docker.io/library/rich:v2": "rich", f"docker.io/library/ctx@{_DIGEST}": "rich"}


def made_up_case(random: Random) -> Case:
    """One build with no name of its own."""
    options = {
        key: _grown(random, random.choice(_without_rare(random, values)))
        for key, values in _OPTIONS.items()
        if random.random() < 0.06
    }
    ignore = random.choice(_without_rare(random, _IGNORE_FILES)) if random.random() < 0.2 else None
    return Case(
        CASES / "made-up",
        _grown(random, "«file»").encode(),
        None if ignore is None else ignore.encode(),
        options,
        _IMAGES,
        {"files": {".dockerignore": "b\n"}},
        {"made": "FROM plain\nRUN made\n"},
        ignored_caps=tuple(random.sample(_CAPS, 2)) if random.random() < 0.1 else (),
    )


def mutated_case(random: Random, cases: Sequence[Case]) -> Case:
    """One of `cases` with its Dockerfile damaged a little: bytes changed, lines moved, pieces of others put in."""
    case = random.choice(cases)
    data = case.dockerfile
    for _ in range(random.choice([1, 1, 2, 4])):
        data = random.choice(_MUTATIONS)(random, data, random.choice(cases).dockerfile)
    return replace(case, dockerfile=data)


def _without_bytes(random: Random, data: bytes, other: bytes) -> bytes:
    at = random.randint(0, len(data))
    return data[:at] + data[at + random.choice([1, 1, 2, 8]) :]


def _with_piece(random: Random, data: bytes, other: bytes) -> bytes:
    at = random.randint(0, len(data))
    return data[:at] + random.choice(_PIECES) + data[at:]


def _with_other_byte(random: Random, data: bytes, other: bytes) -> bytes:
    at = random.randint(0, len(data))
    return data[:at] + bytes([random.randrange(256)]) + data[at + 1 :]


def _with_line_of_other(random: Random, data: bytes, other: bytes) -> bytes:
    lines = data.split(b"\n")
    lines.insert(random.randint(0, len(lines)), random.choice(other.split(b"\n")))
    return b"\n".join(lines)


def _with_lines_swapped(random: Random, data: bytes, other: bytes) -> bytes:
    lines = data.split(b"\n")
    first, second = random.randrange(len(lines)), random.randrange(len(lines))
    lines[first], lines[second] = lines[second], lines[first]
    return b"\n".join(lines)


def _cut_off(random: Random, data: bytes, other: bytes) -> bytes:
    return data[: random.randint(0, len(data))]


_MUTATIONS = (
    _without_bytes,
    _with_piece,
    _with_other_byte,
    _with_line_of_other,
    _with_lines_swapped,
    _cut_off,
)


def _grown(random: Random, text: str, depth: int = 0) -> str:
    """`text` with every symbol in it replaced, and those in what replaces it."""

    def replace(match: re.Match[str]) -> str:
        alternatives = _without_rare(random, _GRAMMAR[match[1]])
        chosen = min(alternatives, key=len) if depth > 12 else random.choice(alternatives)
        return _grown(random, chosen, depth + 1)

    return _SYMBOL.sub(replace, text)


def _without_rare(random: Random, alternatives: list[str]) -> list[str]:
    """The alternatives to choose from: now and then the rare ones too."""
    sound = [each for each in alternatives if not each.startswith(_RARE)]
    rare = [each.removeprefix(_RARE) for each in alternatives if each.startswith(_RARE)]
    return sound + rare if not sound or random.random() < 0.04 else sound
