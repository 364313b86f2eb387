"""Generated Bake definitions, many of which are accepted: small ones that use every way in which values come about."""

from __future__ import annotations

import json

from hypothesis import strategies as st

TARGET_NAMES = ("a", "b", "c")
_EXPRESSIONS = (
    '"x"',
    '"${v}"',
    "v",
    "w",
    "g",
    "null",
    "1 + 2",
    'f("y")',
    'v == "d" ? "p" : w',
    "try(zz, v)",
    'try(target.a.args.k, "none")',
    'join("-", [for x in ["1", v] : upper(x)])',
)
_text = st.sampled_from(_EXPRESSIONS)
_texts = st.lists(_text.filter(lambda text: text != "null"), max_size=3).map(
    lambda parts: f"[{', '.join(parts)}]"
)
_map = st.dictionaries(st.sampled_from(("k", "(v)", '"a.b"', '"${w}"')), _text, max_size=3).map(
    lambda pairs: "{ " + ", ".join(f"{key} = {value}" for key, value in pairs.items()) + " }"
)
_entry = st.sampled_from(
    ('"type=image"', '{ type = "image", push = true }', '"type=docker"', '""', '"type=cacheonly"')
)
_outputs = st.lists(_entry, max_size=3).map(lambda parts: f"[{', '.join(parts)}]")
_caches = st.lists(st.sampled_from(('"u/x"', '"type=inline"', '{ type = "gha" }')), max_size=3).map(
    lambda parts: f"[{', '.join(parts)}]"
)
_FIELDS = {
    "context": _text,
    "dockerfile": _text,
    "args": _map,
    "labels": st.one_of(_map, st.just('merge({ k = "1" }, { l = v })')),
    "tags": st.one_of(_texts, st.just('concat(["t"], [v])')),
    "annotations": st.just('["k=v", "k=v"]'),
    "output": _outputs,
    "cache-from": _caches,
    "cache-to": _caches,
    "network": st.sampled_from(('"host"', '"none"', "null")),
    "no-cache": st.sampled_from(("true", "false", "null")),
    "secret": st.sampled_from(('["id=s,env=A"]', '[{ id = "s", env = "B" }, "id=t,env=A"]')),
    "attest": st.sampled_from(('["type=sbom"]', '["type=sbom,disabled=true", "type=provenance,mode=max"]')),
    "resources": st.just('{ memory = "1m", cpu-shares = 2 }'),
    "contexts": st.sampled_from(
        ('{ x = "target:c" }', '{ x = "docker-image://i", y = "./d/" }', '{ y = "" }')
    ),
    "description": _text.filter(lambda text: text not in ("null", "w")),
    "policy": st.just('["filename=p", "filename=p"]'),
    "inherits": st.lists(st.sampled_from(TARGET_NAMES), max_size=2).map(json.dumps),
}
_body = st.lists(st.sampled_from(sorted(_FIELDS)), max_size=6, unique=True).flatmap(
    lambda names: st.tuples(
        *[_FIELDS[name].map(lambda value, name=name: f"  {name} = {value}") for name in names]
    )
)
_blocks = st.lists(st.tuples(st.sampled_from(TARGET_NAMES), _body), min_size=1, max_size=5)
_HEAD = (
    'variable "v" { default = "d" }\nvariable "w" {}\ng = "${v}-g"\n'
    'function "f" {\n  params = [p]\n  result = "${p}${v}"\n}\n'
)
_sets = st.lists(
    st.sampled_from(
        (
            "*.args.k=s",
            "a.tags+=s",
            "*.tags=s",
            "*.push=true",
            "*.load=true",
            "*.output=type=image",
            "b.context=.",
        )
        + ("*.cache-from+=u/x", "a.secrets+=id=s,env=A", "*.resources.memory=2m", "*.attest=type=sbom")
    ),
    max_size=3,
)


@st.composite
def definition_texts(draw: st.DrawFn) -> str:
    """A definition in HCL with the targets `TARGET_NAMES`, blocks of which may be repeated."""
    blocks = draw(_blocks)
    text = _HEAD + "".join(f'target "{name}" {{\n' + "\n".join(body) + "\n}\n" for name, body in blocks)
    missing = sorted(set(TARGET_NAMES) - {name for name, _ in blocks})
    return text + "".join(f'target "{name}" {{}}\n' for name in missing)


def override_texts() -> st.SearchStrategy[list[str]]:
    """Values of `--set` for such a definition."""
    return _sets
