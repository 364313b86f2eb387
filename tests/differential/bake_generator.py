"""Random definitions: mostly meaningful ones, since nonsense ends at its first fault, with nonsense mixed in."""

from __future__ import annotations

import json
from random import Random

NUMBERS = (
    "0",
    "1",
    "-1",
    "2",
    "3",
    "4",
    "7",
    "8",
    "10",
    "16",
    "32",
    "64",
    "100",
    "255",
    "1000",
    "1024",
    "65536",
    "1.5",
    "0.1",
    "0.2",
    "2.5",
    "-2.5",
    "1e3",
    "1e-7",
    "0.5",
    "3.14159",
    "1e20",
    "1e30",
    "-0",
    "12345678901234567890",
    "0.30000000000000004",
    "9007199254740993",
    "1577934245",
    "4294967296",
    "1e-30",
    "99999.99999",
)
STRINGS = (
    "",
    "a",
    "b",
    "abc",
    "ABC",
    "Hello World",
    "é",
    "e\u0301",
    "👩‍👩‍👧x",
    "a,b,c",
    "1",
    "-2.5",
    "true",
    "false",
    "null",
    "x-1.2.3",
    "10.0.0.0/8",
    "fd00:1::/56",
    "192.168.1.1",
    "2020-01-02T03:04:05Z",
    "2024-02-29T23:59:59+05:30",
    "^(a)(b)?",
    "[a-z]+",
    "(?P<n>\\d+)-(?P<m>\\w)",
    "%s",
    "%d-%s",
    "%5.2f|%-4s",
    "%#v %q",
    "YYYY-MM-DD'T'hh:mm:ssZ",
    "EEE, DD MMM AA",
    "  sp\t\n ",
    '[1,"a",null]',
    '{"a":{"b":[1.50]}}',
    "aGVsbG8=",
    "v1.2.3-rc.1+b5",
    "1.2.3",
    ">=1.2, <2",
    "^1.2 || ~3",
    "A_b c.d/e",
    "1h30m",
    "-90s",
    "a/b/../c.txt",
    "a=1\nb=2\n",
    'id,v\n1,x\n2,"y z"\n',
    "${x}",
    "%{x}",
    "$${",
    "\\",
    '"q"',
    "<&>",
    "ﬁ",
    "ß",
    "İ",
    "ǆ",
    "日本語",
    "\u2028",
    "ff",
    "0x10",
    "1_000",
    "00",
    "key",
    "6ba7b810-9dad-11d1-80b4-00c04fd430c8",
    "linux/amd64",
    "type=local,dest=out",
    ",",
    " ",
    "\r\n",
    "a\u0000b",
)
KEYS = ("a", "b", "c", "key", "0", "1", "é", "a-b", "_x", "a b", "x.y")
TYPES = (
    "string",
    "number",
    "bool",
    "any",
    "list(string)",
    "list(number)",
    "set(string)",
    "map(string)",
    "map(number)",
    "set(number)",
    "tuple([string, number])",
    "object({a = string, b = optional(number)})",
    "list(any)",
    "list(bool)",
    "map(list(string))",
    "object({key = string})",
    "list",
    "strng",
    "list()",
    "map(any)",
    "tuple([])",
    "object({})",
)

HCL_PIECES = tuple(
    [
        '"',
        "${",
        "%{",
        "}",
        "~}",
        "~",
        "<<E\n",
        "<<-E\n",
        "E\n",
        "[",
        "]",
        "(",
        ")",
        "{",
        "\n",
        "\r\n",
        "\r",
        "é",
        "e\u0301",
    ]
    + [
        "👩‍👩‍👧",
        "\\",
        "\\u00e9",
        "\\x",
        "for ",
        " in ",
        ":",
        "=>",
        "...",
        ".",
        "*",
        "[*]",
        ".*",
        "0",
        "1.5",
        "1e",
        "1e+",
        " = ",
    ]
    + [
        "=",
        "==",
        "!",
        "&&",
        "||",
        "&",
        "|",
        "?",
        "#",
        "//",
        "/*",
        "*/",
        ",",
        ";",
        "'",
        "`",
        "@",
        "\0",
        "\t",
        "\u00a0",
        "\ufeff",
    ]
    + [
        "if ",
        "else",
        "endif",
        "endfor",
        "null",
        "true",
        "%",
        "$",
        "$$",
        "%%",
        "$${",
        "::",
        "-",
        "a",
        "_",
        "a-b",
        '"a" ',
        "{}",
    ]
)
JSON_PIECES = tuple(
    [
        '"',
        "${",
        "%{",
        "}",
        "{",
        "[",
        "]",
        ",",
        ":",
        "\n",
        "\r\n",
        "\\",
        "\\u",
        "\\ud800",
        '\\"',
        "é",
        "1",
        "-",
        "1.",
        "1e",
    ]
    + [
        "01",
        "true",
        "tru",
        "null",
        "nul",
        "//",
        '"//": 1,',
        '"a":',
        "{}",
        "[]",
        '"x"',
        "\t",
        "👩‍👩‍👧",
        "+",
        ".",
        "e",
        "'",
        "ǆ",
    ]
)
JSON_TEXTS = (
    '{"a":1,"b":[true,null,"x"],"c":{"d":-1.5e3}}',
    "[1,2,3]",
    '"a\\u00e9b"',
    "1",
    "true",
    "null",
    "{}",
    "[[],{}]",
    "-0.5",
    "1E+2",
    '"\\ud83d\\ude00"',
    '{"a":1,"a":2}',
    '{"a":1,"a":"x"}',
    ' [ 1 , {"x" : "y"} ] ',
    '{"value":1,"type":"number"}',
    '{"value":["a"],"type":["list","string"]}',
)

#: What a function takes: s(tring) n(umber) b(ool) l(ist) m(ap) a(nything) z (set) p (mostly a small whole number) i
#: (always one); `*` repeats.
FUNCTIONS = {
    "absolute": "n",
    "add": "nn",
    "and": "bb",
    "base64decode": "s",
    "base64encode": "s",
    "basename": "s",
    "byteslen": "a",
    "bytesslice": "app",
    "can": "a",
    "ceil": "n",
    "chomp": "s",
    "chunklist": "lp",
    "cidrhost": "sp",
    "cidrnetmask": "s",
    "cidrsubnet": "spp",
    "cidrsubnets": "sp*",
    "coalesce": "a*",
    "coalescelist": "l*",
    "compact": "l",
    "concat": "l*",
    "contains": "la",
    "convert": "at",
    "csvdecode": "s",
    "dirname": "s",
    "distinct": "l",
    "divide": "nn",
    "element": "lp",
    "equal": "aa",
    "flatten": "l",
    "floor": "n",
    "format": "sa*",
    "formatdate": "ss",
    "formatlist": "sa*",
    "formattimestamp": "sa",
    "greaterthan": "nn",
    "greaterthanorequalto": "nn",
    "hasindex": "aa",
    "indent": "is",
    "index": "aa",
    "indexof": "la",
    "int": "n",
    "join": "sl*",
    "jsondecode": "s",
    "jsonencode": "a",
    "keys": "m",
    "length": "a",
    "lessthan": "nn",
    "lessthanorequalto": "nn",
    "log": "nn",
    "lookup": "msa",
    "lower": "s",
    "max": "n*",
    "md5": "s",
    "merge": "m*",
    "min": "n*",
    "modulo": "nn",
    "multiply": "nn",
    "negate": "n",
    "not": "b",
    "notequal": "aa",
    "or": "bb",
    "parseint": "sp",
    "pow": "np",
    "range": "p*",
    "regex": "ss",
    "regex_replace": "sss",
    "regexall": "ss",
    "replace": "sss",
    "reverse": "s",
    "reverselist": "l",
    "rsadecrypt": "ss",
    "sanitize": "s",
    "semvercmp": "ss",
    "sethaselement": "za",
    "setintersection": "z*",
    "setproduct": "l*",
    "setsubtract": "zz",
    "setsymmetricdifference": "z*",
    "setunion": "z*",
    "sha1": "s",
    "sha256": "s",
    "sha512": "s",
    "signum": "n",
    "slice": "lpp",
    "sort": "l",
    "split": "ss",
    "strlen": "s",
    "substr": "spp",
    "subtract": "nn",
    "timeadd": "ss",
    "title": "s",
    "trim": "ss",
    "trimprefix": "ss",
    "trimspace": "s",
    "trimsuffix": "ss",
    "try": "a*",
    "unixtimestampparse": "n",
    "upper": "s",
    "urlencode": "s",
    "uuidv5": "ss",
    "values": "m",
    "zipmap": "ll",
    "nosuch": "a",
    "uppr": "s",
}

FITTING_TYPES = {
    "s": ("string", "any"),
    "n": ("number", "string"),
    "b": ("bool", "string"),
    "l": ("list(string)", "set(string)", "any", "list(any)"),
    "m": ("map(string)", "any", "map(any)"),
}

#: What functions give, for calls that shall fit where they stand; those not named may give anything.
RESULTS = {
    "s": "base64decode base64encode basename chomp dirname format formatdate formattimestamp indent join jsonencode "
    "lower md5 regex_replace replace reverse sanitize sha1 sha256 sha512 substr timeadd title trim trimprefix "
    "trimspace trimsuffix upper urlencode uuidv5 cidrhost cidrnetmask cidrsubnet regex",
    "n": "absolute add byteslen ceil divide floor indexof int length log max min modulo multiply negate parseint pow "
    "signum strlen subtract",
    "b": "and can contains equal greaterthan greaterthanorequalto hasindex lessthan lessthanorequalto not notequal or "
    "semvercmp sethaselement",
    "l": "chunklist cidrsubnets coalescelist compact concat csvdecode distinct flatten formatlist keys range regexall "
    "reverselist slice sort split values setproduct",
    "m": "merge unixtimestampparse zipmap",
}
ANYTHING = ("coalesce", "element", "index", "jsondecode", "lookup", "try")

ATTRIBUTES = {
    "description": "s",
    "inherits": "T",
    "annotations": "L",
    "attest": "E",
    "context": "s",
    "contexts": "M",
    "dockerfile": "s",
    "dockerfile-inline": "s",
    "args": "M",
    "labels": "M",
    "tags": "L",
    "cache-from": "E",
    "cache-to": "E",
    "target": "s",
    "secret": "E",
    "ssh": "E",
    "platforms": "L",
    "output": "E",
    "pull": "b",
    "no-cache": "b",
    "network": "s",
    "no-cache-filter": "L",
    "shm-size": "s",
    "ulimits": "L",
    "resources": "R",
    "call": "s",
    "entitlements": "L",
    "extra-hosts": "M",
    "policy": "E",
}
ENTRIES = {
    "output": (
        "type=local,dest=out",
        "type=docker",
        "type=image,push=true",
        "type=image,name=x",
        "type=oci",
        "type=tar,dest=a.tar",
        "out",
        "type=registry",
        "TYPE=image,Dest=Q",
        'type=local,"dest=a,b"',
        "type=cacheonly",
    ),
    "cache-from": (
        "type=gha,scope=x",
        "user/app:cache",
        "type=registry,ref=r,mode=max",
        "a,b",
        "type=local,src=c",
        "TYPE=S3,Region=x",
        "type=inline",
        "type=registry,ref=r",
    ),
    "attest": (
        "type=sbom",
        "type=provenance,mode=max",
        "type=provenance,disabled=true",
        "type=provenance,disabled=FALSE",
        "type=sbom,generator=x",
        "type=x,k=v,K=w",
    ),
    "secret": (
        "id=x,src=Dockerfile",
        "id=x,env=HOME",
        "type=env,id=y,src=HOME",
        "id=HOME",
        "type=file,id=z,source=Dockerfile",
    ),
    "ssh": ("k=sock", "default=sock", "x=sock"),
    "policy": (
        "filename=p.rego",
        "reset=true",
        "strict=true,disabled=false",
        "log-level=debug",
        "filename=a,filename=b",
    ),
}
ENTRIES["cache-to"] = ENTRIES["cache-from"]
ODD_ENTRIES = (
    "",
    "-",
    "type=",
    "x=y",
    "default",
    "type=image,push=maybe",
    "type=local",
    "id=nosuch",
    "type=foo,id=x",
    ",",
    "a=b,c",
    "disabled=maybe,type=sbom",
    '"',
    "type=env,id=x",
    "filename=",
    "log-level=loud",
    "id",
    "type=tar,dest=Dockerfile/x",
)
RESOURCES = ('{ memory = "1g" }', "{ cpu-shares = 5 }", '{ memory-swap = "-1", cpuset-cpus = "0" }', "{}")
JSON_VALUES = ("1", '"x"', "[1,2]", '["a","b"]', '{"a":"x"}', "null", "true", "{", "[]", '[1,"x"]')
LISTINGS = ("targets", "variables", "type=targets,format=json", "type=variables,format=json")
OVERRIDES = (
    "args.x",
    "args.y.z",
    "labels.l",
    "contexts.c",
    "platform",
    "push",
    "load",
    "secrets",
    "resources.memory",
    "tags",
    "extra-hosts.h",
    "output",
    "cache-from",
    "cache-to",
    "attest",
    "annotations",
    "entitlements",
    "policy",
    "no-cache",
    "pull",
    "context",
    "dockerfile",
    "target",
    "call",
    "shm-size",
)
ODD_OVERRIDES = (
    "args",
    "labels.l.m",
    "contexts",
    "secret.q",
    "secret",
    "resources.memory",
    "extra-hosts",
    "x",
)
LISTS = {
    "platforms": (
        "linux/amd64",
        "linux/arm64",
        "linux/arm/v7",
        "local",
        "linux/amd64,linux/arm64",
        "windows",
        "darwin/arm64/v8",
    ),
    "ulimits": ("nofile=1024:2048", "nproc=5", "core=-1:-1", "stack=0"),
    "annotations": (
        "a=b",
        "index:a=b",
        "manifest[linux/amd64],index:x=y",
        "manifest-descriptor:k=${x}",
        "a=b",
    ),
    "entitlements": ("network.host", "security.insecure", "x"),
}
ODD_ITEMS = (
    "foo",
    "nofile=5:1",
    "zz=1",
    "nofile",
    "nope:a=b",
    "a",
    "*",
    "manifest[foo]:a=b",
    "",
    "linux/amd64/v9",
)
SIZES = ("64m", "1.5g", "128", "1kib", "2 mb", "1e3", "0", ".5k")
ODD_SIZES = ("x", "-1", "", "1  m", "1e", "nan", "inf", "0x10", "1_0", "m")


class Generator:
    """Definitions, one a call of `definition`; the same seed gives the same ones."""

    def __init__(self, seed: int, *, nonsense: float = 0.08) -> None:
        self.random = Random(seed)
        self.nonsense = nonsense
        self.names: list[str] = []
        self._kinds: dict[str, str] = {}
        # buildx takes a type's keyword once an expression (docs/differences.md), and the comparison leaves that alone.
        self._conversions = 0
        self.functions: dict[str, str] = {}
        self.targets: list[str] = []

    def _pick(self, choices: tuple[str, ...] | list[str]) -> str:
        return self.random.choice(choices)

    def _chance(self, probability: float) -> bool:
        return self.random.random() < probability

    # Expressions

    def quoted(self, text: str) -> str:
        """A quoted HCL string of a text."""
        out = []
        for character in text:
            if character in '"\\':
                out.append("\\" + character)
            elif character == "\n":
                out.append("\\n")
            elif character == "\r":
                out.append("\\r")
            elif character == "\t":
                out.append("\\t")
            elif ord(character) < 32 or (ord(character) > 126 and self._chance(0.2)):
                code = ord(character)
                out.append(f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}")
            else:
                out.append(character)
        return '"' + "".join(out).replace("${", "$${").replace("%{", "%%{") + '"'

    def expression(self, kind: str, depth: int) -> str:
        if kind != "i" and self._chance(self.nonsense):
            kind = self._pick(list("snblmaz"))
        if kind == "a":
            kind = self._pick(list("ssnnblmz"))
        if kind == "i":
            return str(self.random.randint(-1, 9))
        if kind == "p":
            kind = "n" if self._chance(0.1) else "p"
        if depth <= 0:
            return self._leaf(kind)
        shape = self.random.random()
        if shape < 0.25:
            return self._leaf(kind)
        if shape < 0.33:
            return self._conditional(kind, depth)
        if shape < 0.38:
            return f"({self.expression(kind, depth - 1)})"
        if shape < 0.45 and self.names:
            return self._traversal(depth)
        return getattr(self, f"_of_{kind}")(depth)

    def _sure(self, kind: str, depth: int) -> str:
        """An expression that mostly has a value, so that a definition has faults now and then and not always."""
        text = self._closed(self.expression(kind, depth))
        if self._chance(0.05 + self.nonsense):
            return text
        names, self.names = self.names, []
        otherwise = self._leaf(kind).replace("null", '""' if kind == "s" else "[]" if kind in "lz" else "{}")
        self.names = names
        if kind == "s":
            # No heredoc and no quote can stand within the marks of a template that is on one line.
            return f'try(join("", [{text}]), {otherwise})'
        return f"try({text}, {otherwise})"

    def _leaf(self, kind: str) -> str:
        if self._chance(0.02):
            return "null"
        fitting = [name for name in self.names if self._kinds.get(name, kind) == kind]
        if fitting and self._chance(0.25):
            return self._pick(fitting)
        if kind == "s":
            return self.quoted(self._pick(STRINGS))
        if kind == "n":
            return self._pick(NUMBERS)
        if kind == "p":
            return str(self.random.randint(-2, 9))
        if kind == "b":
            return self._pick(("true", "false", '"true"', '"false"', "true", "false", '"1"', '"yes"'))
        if kind == "l":
            inner = self._pick(["s", "n", "s", "b"])
            return "[" + ", ".join(self._leaf(inner) for _ in range(self.random.randint(0, 3))) + "]"
        if kind == "z":
            return f"setunion({self._leaf('l')}, {self._leaf('l')})"
        if kind == "m":
            entries = [
                f"{self._key()} = {self._leaf(self._pick(['s', 'n', 's']))}"
                for _ in range(self.random.randint(0, 3))
            ]
            return "{" + ", ".join(entries) + "}"
        return "null"

    def _key(self) -> str:
        key = self._pick(KEYS)
        if self._chance(0.6) and key.replace("-", "").replace("_", "").isalnum():
            return key
        return self._pick([f'"{key}"', f'("{key}")'])

    def _conditional(self, kind: str, depth: int) -> str:
        condition = self.expression("b", depth - 1)
        return f"{condition} ? {self.expression(kind, depth - 1)} : {self.expression(kind, depth - 1)}"

    def _traversal(self, depth: int) -> str:
        base = self._pick(self.names)
        for _ in range(self.random.randint(1, 2)):
            base += self._pick(
                [
                    f"[{self.random.randint(0, 2)}]",
                    ".a",
                    ".b",
                    ".0",
                    "[*]",
                    ".*",
                    "[*].a",
                    ".*.a",
                    '["a"]',
                    "[0][1]",
                    f"[{self.expression('a', depth - 1)}]",
                ]
            )
        return base

    def _call(self, name: str, depth: int) -> str:
        spec = self.functions[name] if name in self.functions else FUNCTIONS[name]
        kinds = list(spec.rstrip("*"))
        if spec.endswith("*"):
            kinds = kinds[:-1] + kinds[-1:] * self.random.randint(1, 3)
        if self._chance(self.nonsense / 2):
            kinds = kinds[:-1] if self._chance(0.5) else [*kinds, "a"]
        given = [self._pick(TYPES[:16]) if k == "t" else self.expression(k, depth - 1) for k in kinds]
        if given and spec.endswith("*") and self._chance(0.15):
            given[-1] = f"{self.expression('l', depth - 1)}..."
        return f"{name}({', '.join(given)})"

    def _any_call(self, depth: int, kind: str) -> str:
        if self._chance(self.nonsense):
            return self._call(self._pick([name for name in FUNCTIONS if name != "convert"]), depth)
        fitting = RESULTS[kind].split() * 3
        if self._conversions and self._chance(0.05):
            self._conversions -= 1
            return self._call("convert", depth)
        return self._call(self._pick([*fitting, *ANYTHING, *self.functions, *self.functions]), depth)

    def _of_s(self, depth: int) -> str:
        if self._chance(0.5):
            return self._any_call(depth, "s")
        return self._heredoc(depth) if self._chance(0.12) else self._template(depth)

    def _parts(self, depth: int, raw: bool = False) -> str:
        out = []
        for _ in range(self.random.randint(1, 4)):
            shape = self.random.random()
            left, right = self._pick(["", "", "~"]), self._pick(["", "", "~"])
            if shape < 0.4:
                text = self._pick(STRINGS)
                out.append(text.replace("${", "$${").replace("%{", "%%{") if raw else self.quoted(text)[1:-1])
            elif shape < 0.8:
                out.append(
                    f"${{{left}{self.expression(self._pick(['s', 'n', 's', 'a']), depth - 1)}{right}}}"
                )
            elif shape < 0.9:
                inner = self._parts(depth - 1, raw) if depth > 0 else "x"
                other = f"%{{{left} else {right}}}y" if self._chance(0.5) else ""
                out.append(f"%{{ if {self.expression('b', depth - 1)} {right}}} {inner} {other}%{{ endif }}")
            else:
                inner = self._parts(depth - 1, raw) if depth > 0 else "${v}"
                out.append(
                    f"%{{{left}for v in {self.expression('l', depth - 1)}}}{inner}%{{ endfor {right}}}"
                )
        return "".join(out)

    def _template(self, depth: int) -> str:
        return f'"{self._parts(depth)}"'

    def _heredoc(self, depth: int) -> str:
        if depth < 2:
            return self._template(depth)
        lines = [
            self._pick(["", "  ", "    ", "\t"]) + self._parts(depth - 1, raw=True)
            for _ in range(self.random.randint(0, 3))
        ]
        return "<<" + self._pick(["", "-"]) + "EOT\n" + "".join(line + "\n" for line in lines) + "  EOT\n"

    def _of_n(self, depth: int) -> str:
        if self._chance(0.5):
            return self._any_call(depth, "n")
        operator = self._pick(["+", "-", "*", "/", "%"])
        return f"{self.expression('n', depth - 1)} {operator} {self.expression('n', depth - 1)}"

    _of_p = _of_n

    def _of_b(self, depth: int) -> str:
        shape = self.random.random()
        if shape < 0.3:
            return self._any_call(depth, "b")
        if shape < 0.6:
            operator = self._pick(["==", "!=", "<", "<=", ">", ">="])
            kind = "a" if operator in ("==", "!=") else "n"
            return f"{self.expression(kind, depth - 1)} {operator} {self.expression(kind, depth - 1)}"
        if shape < 0.8:
            return f"{self.expression('b', depth - 1)} {self._pick(['&&', '||'])} {self.expression('b', depth - 1)}"
        return f"!{self.expression('b', 0)}"

    def _of_l(self, depth: int) -> str:
        shape = self.random.random()
        if shape < 0.45:
            return self._any_call(depth, "l")
        if shape < 0.7:
            items = [self.expression("a", depth - 1) for _ in range(self.random.randint(0, 3))]
            return f"[{', '.join(items)}{self._pick(['', '', ','] if items else [''])}]"
        binding = self._pick(["v", "k, v"])
        condition = f" if {self.expression('b', depth - 1)}" if self._chance(0.3) else ""
        source = self.expression(self._pick(["l", "m", "z"]), depth - 1)
        return f"[for {binding} in {source} : {self._bound(binding, 'a', depth)}{condition}]"

    def _bound(self, binding: str, kind: str, depth: int) -> str:
        old = self.names
        self.names = [*old, *binding.split(", ") * 3]
        try:
            return self.expression(kind, depth - 1)
        finally:
            self.names = old

    def _of_z(self, depth: int) -> str:
        if self._conversions and self._chance(0.3):
            self._conversions -= 1
            return (
                f"convert({self.expression('l', depth - 1)}, set({self._pick(['string', 'number', 'any'])}))"
            )
        name = self._pick(
            ["setunion", "setintersection", "setsubtract", "setsymmetricdifference", "setproduct"]
        )
        return self._call(name, depth)

    def _of_m(self, depth: int) -> str:
        shape = self.random.random()
        if shape < 0.35:
            return self._any_call(depth, "m")
        if shape < 0.65:
            entries = [
                f"{self._key()} {self._pick(['=', ':'])} {self.expression('a', depth - 1)}"
                for _ in range(self.random.randint(0, 3))
            ]
            return "{" + ", ".join(entries) + "}"
        source = self.expression(self._pick(["l", "m", "z"]), depth - 1)
        key, value = self._bound("k, v", "s", depth), self._bound("k, v", "a", depth)
        return f"{{for k, v in {source} : {key} => {value}{self._pick(['', '', '...'])}}}"

    # Definitions

    def expression_file(self, depth: int = 3) -> str:
        """One or two variables, and a target whose arguments are expressions."""
        self.names, self.functions, self.targets = [], {}, ["t"]
        self._conversions = 1
        lines = []
        for name in ("g1", "g2")[: self.random.randint(0, 2)]:
            lines.append(f"{name} = {self.expression('a', 1)}")
            self.names.append(name)
        wrapped = [self.expression("a", depth) for _ in range(self.random.randint(1, 2))]
        args = "".join(
            f"    x{number} = {text if self._chance(0.1) else f'jsonencode({self._closed(text)})'}\n"
            for number, text in enumerate(wrapped)
        )
        return "\n".join(lines) + f'\ntarget "t" {{\n  args = {{\n{args}  }}\n}}\n'

    def _closed(self, text: str) -> str:
        """A heredoc's marker must stand alone in its line."""
        return f"{text}\n" if text.endswith("EOT\n") else text

    def definition(self) -> str:
        """Variables, functions, global attributes, targets and groups that refer to each other."""
        self.names, self.functions = [], {}
        self._conversions = 0
        self.targets = ["t", *self._some(["a", "b", "base", "web-1"])]
        parts = [self._variable(name) for name in self._some(["v1", "v2", "v3"])]
        parts += [self._function(name) for name in self._some(["f", "g"], 0.3)]
        for name in self._some(["x1", "x2"], 0.4):
            parts.append(f"{name} = {self._sure(self._pick(list('snblm')), 2)}\n")
            self.names.append(name)
        parts += [self._target(name) for name in self.targets]
        for name in self._some(["default", "all"], 0.5):
            members = [
                self._pick([*self.targets * 5, "all", "nope"]) for _ in range(self.random.randint(0, 3))
            ]
            parts.append(f'group "{name}" {{\n  targets = {json.dumps(members)}\n}}\n')
        if self._chance(0.3):
            self.random.shuffle(parts)
        return "\n".join(parts)

    def _some(self, names: list[str], probability: float = 0.5) -> list[str]:
        return [name for name in names if self._chance(probability)]

    def _variable(self, name: str) -> str:
        lines = []
        kind = self._pick(list("ssnblm"))
        if self._chance(0.4):
            given = FITTING_TYPES.get(kind, TYPES)
            lines.append(f"type = {self._pick(TYPES if self._chance(self.nonsense) else given)}")
        if self._chance(0.8):
            lines.append(f"default = {self._sure(kind, 1)}")
        if self._chance(0.2):
            odd = self._chance(self.nonsense)
            lines.append(f"description = {self._leaf('s') if odd else self.quoted(self._pick(STRINGS))}")
        if self._chance(0.2):
            other, test = self._leaf(kind), self._sure("b", 1)
            condition = self._pick([f"{name} != null", "true", f"{name} != {other}", test])
            message = self._sure("s", 1)
            lines.append(f"validation {{\n    condition = {condition}\n    error_message = {message}\n  }}")
        self.names.append(name)
        self._kinds[name] = kind
        return f'variable "{name}" {{\n' + "".join(f"  {line}\n" for line in lines) + "}\n"

    def _function(self, name: str) -> str:
        params = self._some(["p", "q"], 0.7)
        variadic = self._chance(0.3)
        old = self.names
        self.names = [*params * 2, *(["rest"] if variadic else []), *self._some(old, 0.3)]
        result = self.expression("a", 2)
        self.names = old
        self.functions[name] = "a" * len(params) + ("a*" if variadic else "")
        rest = "  variadic_params = rest\n" if variadic else ""
        return f'function "{name}" {{\n  params = [{", ".join(params)}]\n{rest}  result = {result}\n}}\n'

    def _target(self, name: str) -> str:
        lines = []
        old = self.names
        if self._chance(0.15):
            axes = self._some(["m1", "m2"], 0.6)
            values = [f"{axis} = {self._sure(self._pick(['l', 'l', 'l', 'z']), 1)}" for axis in axes]
            lines.append(f"matrix = {{ {', '.join(values)} }}")
            self.names = [*old, *axes * 3]
            if axes or self._chance(0.3):
                parts = "-".join(f"${{sanitize({axis})}}" for axis in axes)
                lines.append(f'name = "{name}-{parts}"')
        keys = self._some([key for key in ATTRIBUTES if key != "args"], 0.12)
        lines += [f"{key} = {self.attribute(ATTRIBUTES[key], key)}" for key in keys]
        if self._chance(0.5):
            lines.append(f"args = {{ x = {self._scalar()}, y = {self._reference()} }}")
        self.names = old
        return f'target "{name}" {{\n' + "".join(f"  {line}\n" for line in lines) + "}\n"

    def _scalar(self) -> str:
        if self._chance(self.nonsense):
            return self.expression("a", 2)
        text = self.expression(self._pick(list("snblma")), 2)
        return (
            f"try(jsonencode({self._closed(text)}), 1)"
            if self._chance(0.7)
            else f"jsonencode({self._closed(text)})"
        )

    def _reference(self) -> str:
        name = self._pick(self.targets if self._chance(0.9) else ["nope"])
        key = self._pick([*ATTRIBUTES, "name", "nope", "tags", "args", "context"])
        rest = self._pick(["", "", "[0]", ".x", "[*]", '["x"]'])
        text = f"target.{name}.{key}{rest}"
        return text if self._chance(self.nonsense) else f"try(jsonencode({text}), 0)"

    def attribute(self, kind: str, key: str) -> str:
        """An expression for an attribute of a target, mostly of the right shape."""
        if self._chance(self.nonsense):
            return self.expression("a", 1)
        if kind in "sb":
            if key == "shm-size":
                return self.quoted(self._pick(ODD_SIZES if self._chance(self.nonsense) else SIZES))
            return self._sure(kind, self.random.choice([0, 0, 1, 2]))
        if kind == "T":
            return json.dumps(self._some(self.targets, 0.4))
        if kind == "M":
            if key == "contexts" and self._chance(0.5):
                return f'{{ c = "target:{self._pick(self.targets)}" }}'
            return self._sure("m", self.random.choice([0, 0, 1, 2]))
        if kind == "R":
            return self._pick(RESOURCES)
        if kind == "L":
            pool = ODD_ITEMS if self._chance(self.nonsense) else LISTS.get(key, STRINGS)
            items = [self.quoted(self._pick(pool)) for _ in range(self.random.randint(0, 3))]
            return f"[{', '.join(items)}]" if self._chance(0.9) or key in LISTS else self._sure("l", 1)
        items = []
        for _ in range(self.random.randint(0, 3)):
            text = self._pick(ODD_ENTRIES if self._chance(self.nonsense) else ENTRIES[key])
            pairs = [pair.split("=", 1) for pair in text.split(",") if "=" in pair]
            if pairs and '"' not in text and self._chance(0.4):
                fields = ", ".join(f"{self.quoted(pair[0])} = {self.quoted(pair[1])}" for pair in pairs)
                items.append(f"{{ {fields} }}")
            else:
                items.append(self.quoted(text))
        return f"[{', '.join(items)}]"

    def words(self) -> tuple[str, ...]:
        """Words of a command line for the latest definition."""
        if self._chance(0.06):
            return ("--list", self._pick(LISTINGS))
        words = ["--print", *self._some(["t", "default", "*", "all", "base"], 0.3)]
        for _ in range(self.random.choice([0, 0, 0, 1, 2])):
            pattern = self._pick(["*", "t", "t", "t*"] if self._chance(0.9) else ["nope", "[ab]", "a", "["])
            key = self._pick([*ATTRIBUTES, *ODD_OVERRIDES])
            plus = self._pick(["", "", "+"])
            if self._chance(self.nonsense):
                value = self._pick([*ODD_ENTRIES, *ODD_ITEMS, *ODD_SIZES, "true", "v", "${x}"])
            else:
                key, value = self._override()
            words += ["--set", f"{pattern}.{key}{plus}={value}"]
        if self._chance(0.2):
            words += ["--var", f"{self._pick(['v1', 'v2', 'v3'])}={self._pick(STRINGS[:30])}"]
        return tuple(word for word in words if "\0" not in word)

    def _override(self) -> tuple[str, str]:
        key = self._pick(OVERRIDES)
        name = {"secrets": "secret", "platform": "platforms"}.get(key, key)
        if name in ENTRIES:
            return key, self._pick(ENTRIES[name])
        if name in LISTS:
            return key, self._pick(LISTS[name])
        if key in ("push", "load", "no-cache", "pull"):
            return key, self._pick(("true", "false", "1", "F"))
        if key in ("resources.memory", "shm-size"):
            return key, self._pick(SIZES)
        return key, self._pick(("v", "", "${x}", "a=b", "target:a", "./d/../e"))

    def environment(self) -> dict[str, str]:
        """Values of the definition's variables, plain and as JSON."""
        out = {}
        for name in self._some(["v1", "v2", "v3"], 0.15):
            out[name] = self._pick([*STRINGS, *NUMBERS, "a:1,b:2", "t", "F"]).replace("\0", "")
        for name in self._some(["v1", "v2"], 0.08):
            out[f"{name}_JSON"] = self._pick(JSON_VALUES)
        return out

    # Texts that are nearly right

    def json_value_file(self) -> tuple[str, dict[str, str]]:
        """A definition that reads a JSON text, and the environment that it reads it from."""
        text = self.mutated(self._pick(JSON_TEXTS), JSON_PIECES).replace("\0", "")
        if self._chance(0.5):
            body = f"  args = {{ x = jsonencode(jsondecode({self.quoted(text)})) }}\n"
            return f'target "t" {{\n{body}}}\n', {}
        kind = self._pick(TYPES[:16])
        head = f'variable "v" {{\n  type = {kind}\n}}\n'
        return head + 'target "t" {\n  args = { x = jsonencode(v) }\n}\n', {"v_JSON": text}

    def power_file(self) -> str:
        """Powers and logarithms, of which each bit counts."""
        lines = []
        for number in range(6):
            one, other = self._real(), self._real()
            lines.append(f'    p{number} = try(pow({one}, {other}), "none")\n')
            lines.append(f'    l{number} = try(log({one}, {other}), "none")\n')
        return f'target "t" {{\n  args = {{\n{"".join(lines)}  }}\n}}\n'

    def _real(self) -> str:
        shape = self.random.randrange(6)
        if shape == 0:
            return str(self.random.randint(-9, 99))
        if shape == 1:
            return f"{self.random.uniform(-10, 10):.5f}"
        if shape == 2:
            return f"{self.random.uniform(0, 1):.17f}"
        if shape == 3:
            return str(self.random.randint(1, 10**12))
        if shape == 4:
            return f"{self.random.uniform(1, 9)}e{self.random.randint(-300, 300)}"
        return self._pick(["0.5", "-0.5", "0", "1", "-1", "-0.0", "0.999999", "1.0000001"])

    def mutated(self, text: str, pieces: tuple[str, ...]) -> str:
        """The text with some of it cut, doubled or replaced, and pieces put in."""
        for _ in range(self.random.choice([1, 1, 1, 2, 3])):
            at = self.random.randrange(len(text) + 1)
            shape = self.random.random()
            if shape < 0.45:
                text = text[:at] + self._pick(pieces) + text[at:]
            elif shape < 0.7:
                text = text[:at] + text[at + self.random.choice([1, 1, 1, 2, 3, 5, 10]) :]
            elif shape < 0.85:
                text = text[:at] + self._pick(pieces) + text[at + 1 :]
            elif shape < 0.9:
                text = text[:at]
            else:
                start = self.random.randrange(len(text) + 1)
                text = text[:at] + text[start : start + self.random.randrange(1, 20)] + text[at:]
        return text
