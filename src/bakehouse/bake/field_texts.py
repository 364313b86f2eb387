"""What the rows of `fields` say to people: a sentence, an example, and the grammar of entries, as data.

The JSON schema, the reference page, `lint` and `explain` are made of these; nothing that builds or prints looks at
them, which is why they are not in the rows themselves: `bake --print` does not load this module. `complete` tells what
has no text, and what text has no row.
"""

from __future__ import annotations

from bakehouse.bake import merge_rules
from bakehouse.bake.entries import Resources
from bakehouse.bake.fields import BLOCKS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

#: What happens to a value that is set again, by merge rule.
MERGES: Mapping[Callable[..., object], str] = {
    merge_rules.replace: "replaces",
    merge_rules.replace_nonempty: "replaces, unless empty",
    merge_rules.append: "appends",
    merge_rules.merge_maps: "merges by name",
    merge_rules.append_unique_entries: "appends, once each",
    merge_rules.append_by_type: "merges by type",
    merge_rules.append_by_id: "merges by id",
    merge_rules.merge_resources: "merges by member",
}

#: Types of an entry's members.
TEXT = "string"
FLAG = "bool"
NUMBER = "number"
TEXTS = "list of strings"


class Member:
    """One member of an entry in object form. `values` are those that mean something, in order; `fixed` says that
    nothing else is accepted."""

    __slots__ = ("fixed", "name", "text", "type", "values")

    def __init__(
        self, name: str, text: str, type: str = TEXT, values: tuple[str, ...] = (), fixed: bool = False
    ) -> None:
        self.name = name
        self.text = text
        self.type = type
        self.values = values
        self.fixed = fixed


class Grammar:
    """The forms of an entry. `string` describes the string form ("": there is none); `members` are those of the
    object form, `required` the names without which it is refused. An `open` one takes other members too: they are
    handed on; elsewhere the format ignores or refuses them."""

    __slots__ = ("members", "open", "required", "string")

    def __init__(
        self, string: str, members: tuple[Member, ...], *, open: bool = False, required: tuple[str, ...] = ()
    ) -> None:
        self.string = string
        self.members = members
        self.open = open
        self.required = required

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(member.name for member in self.members)


class Text:
    """What is said of a row: one sentence; `example`, a value as HCL; `values`, texts worth offering (any other one is
    accepted as well); `entries`, the grammar of a list's or object's members."""

    __slots__ = ("entries", "example", "sentence", "values")

    def __init__(
        self,
        sentence: str,
        example: str = "",
        *,
        values: tuple[str, ...] = (),
        entries: Grammar | None = None,
    ) -> None:
        self.sentence = sentence
        self.example = example
        self.values = values
        self.entries = entries


_COMPRESSIONS = ("uncompressed", "gzip", "estargz", "zstd")
_COMPRESSION = (
    Member("compression", "How layers are compressed", values=_COMPRESSIONS),
    Member("compression-level", "Level of the compression", NUMBER),
    Member("force-compression", "Compresses layers of base images anew", FLAG),
    Member("oci-mediatypes", "OCI media types rather than Docker's", FLAG),
)
_DISABLED = Member("disabled", "Switches it off", FLAG)
_LEVELS = ("panic", "fatal", "error", "warn", "warning", "info", "debug", "trace")

_OUTPUT = Grammar(
    "`type=TYPE,dest=PATH,KEY=VALUE`; a text without comma that does not begin with `type=` is a directory, `-` a tar "
    "on standard output",
    (
        Member(
            "type",
            "What is made",
            values=("image", "registry", "docker", "oci", "local", "tar", "cacheonly"),
        ),
        Member("dest", "File or directory to write"),
        Member("name", "Names of the image, instead of `tags`"),
        Member("push", "Pushes the image to its registry", FLAG),
        Member("push-by-digest", "Pushes without a tag", FLAG),
        Member("name-canonical", "Adds `NAME@DIGEST` to the names", FLAG),
        Member("dangling-name-prefix", "Names an image without tags by its digest, after this prefix"),
        Member("registry.insecure", "Pushes to a registry without TLS", FLAG),
        Member("unpack", "Unpacks the image after it is made", FLAG),
        Member("store", "Keeps the image in the image store", FLAG),
        Member("rewrite-timestamp", "Gives files the time of SOURCE_DATE_EPOCH", FLAG),
        *_COMPRESSION,
        Member("tar", "Whether an image layout is one tar file", FLAG),
        Member("mode", "How a local directory is written", values=("copy", "delete")),
        Member("platform-split", "A subdirectory for each platform", FLAG),
        Member("context", "Docker context to load the image into"),
    ),
    open=True,
    required=("type",),
)
_CACHE_TYPES = ("registry", "local", "inline", "gha", "s3", "azblob")
_CACHE_STRING = "`type=TYPE,KEY=VALUE`; a text without `=` is the reference of a registry cache"
_CACHE_PLACES = (
    Member("ref", "Image reference of a registry cache"),
    Member("scope", "Scope of a GitHub Actions cache"),
    Member("url", "Server of a GitHub Actions cache"),
    Member("url_v2", "Server of a GitHub Actions cache, version 2"),
    Member("token", "Token of a GitHub Actions cache"),
    Member("bucket", "Bucket of an S3 cache"),
    Member("region", "Region of an S3 cache"),
    Member("prefix", "Prefix of the cache's object names"),
    Member("name", "Name of the cache manifest"),
    Member("endpoint_url", "Server of an S3 cache"),
    Member("access_key_id", "Access key of an S3 cache"),
    Member("secret_access_key", "Secret key of an S3 cache"),
    Member("session_token", "Session token of an S3 cache"),
    Member("account_url", "Account of an Azure blob cache"),
)
_CACHE_FROM = Grammar(
    _CACHE_STRING,
    (
        Member("type", "Kind of cache", values=_CACHE_TYPES),
        *_CACHE_PLACES,
        Member("src", "Directory of a local cache"),
        Member("digest", "Digest of the manifest in a local cache"),
        Member("tag", "Tag of the manifest in a local cache"),
    ),
    open=True,
    required=("type",),
)
_CACHE_TO = Grammar(
    _CACHE_STRING,
    (
        Member("type", "Kind of cache", values=_CACHE_TYPES),
        *_CACHE_PLACES,
        Member("dest", "Directory of a local cache"),
        Member("tag", "Tag of the manifest in a local cache"),
        Member("mode", "Which layers are kept: those of the result, or all", values=("min", "max")),
        Member("image-manifest", "An image manifest rather than an index", FLAG),
        Member("ignore-error", "A failure to export does not fail the build", FLAG),
        *_COMPRESSION,
    ),
    open=True,
    required=("type",),
)
_ATTEST = Grammar(
    "`type=TYPE,KEY=VALUE`",
    (
        Member("type", "Kind of attestation", values=("provenance", "sbom")),
        _DISABLED,
        Member("mode", "How much provenance says; `max` unless it is given", values=("min", "max")),
        Member("version", "Version of the provenance format", values=("v1", "v0.2")),
        Member("builder-id", "Who built, in provenance"),
        Member("filename", "Name of the provenance file in `local` and `tar` outputs"),
        Member("reproducible", "States that the build can be repeated", FLAG),
        Member("inline-only", "Provenance goes into images, not into files", FLAG),
        Member("complete-materials", "Fails the build when provenance cannot name all that went in", FLAG),
        Member("generator", "Image of the SBOM scanner; other members are its parameters"),
    ),
    open=True,
)
_SECRET = Grammar(
    "`id=ID,src=FILE` or `id=ID,env=VARIABLE`; with `type=env`, `src` names a variable",
    (
        Member("id", "Name by which steps ask for it"),
        Member("src", "File that holds it"),
        Member("env", "Environment variable that holds it"),
    ),
)
_SSH = Grammar(
    "`ID`, or `ID=PATH,PATH`",
    (
        Member("id", "Name by which steps ask for it; `default` is the usual one"),
        Member("paths", "An agent's socket, or private keys; without, the agent of SSH_AUTH_SOCK", TEXTS),
    ),
)
_POLICY = Grammar(
    "`filename=FILE,KEY=VALUE`",
    (
        Member("filename", "Policy file"),
        Member("reset", "Drops the policies before this one", FLAG),
        _DISABLED,
        Member("strict", "Accepted: policies are always enforced", FLAG),
        Member("log-level", "How much the policy's evaluation tells", values=_LEVELS, fixed=True),
    ),
)
_RESOURCE_TEXTS = {
    "memory": "Memory, as `512m`",
    "memory-swap": "Memory and swap together; `-1` for any amount",
    "cpu-shares": "Weight among other containers",
    "cpu-period": "Period of the CPU quota, in microseconds",
    "cpu-quota": "CPU time in each period, in microseconds",
    "cpuset-cpus": "Processors that may be used, as `0-3`",
    "cpuset-mems": "Memory nodes that may be used, as `0,1`",
}
_RESOURCES = Grammar(
    "",
    tuple(
        Member(key, _RESOURCE_TEXTS[key], NUMBER if whole else TEXT) for key, whole in Resources.KEYS.items()
    ),
)

#: By block type and attribute.
TEXTS_OF: Mapping[str, Mapping[str, Text]] = {
    "target": {
        "description": Text("Shown by `--list=targets`", '"The web server"'),
        "inherits": Text("Targets whose fields come first, in order. Not printed", '["base"]'),
        "annotations": Text(
            "Annotations of manifest, index or their descriptors: `[TYPE[PLATFORM]:]KEY=VALUE`",
            '["index:org.opencontainers.image.title=web"]',
        ),
        "attest": Text(
            "What is stated beside the result: how it came about, what is in it",
            '[{ type = "provenance", mode = "max" }]',
            entries=_ATTEST,
        ),
        "context": Text(
            "Directory, git URL, or HTTP URL of an archive or a Dockerfile; `.` when not given",
            '"app"',
        ),
        "contexts": Text(
            "Named contexts: directory, `docker-image://`, `oci-layout://`, `target:`, git or HTTP URL; an empty "
            "value removes one",
            '{ base = "target:base" }',
        ),
        "dockerfile": Text(
            "Path of the Dockerfile within the context, `cwd://` path, or HTTP URL; `Dockerfile` when not given",
            '"web.Dockerfile"',
        ),
        "dockerfile-inline": Text(
            "The Dockerfile's text itself; wins over `dockerfile`", '"FROM scratch\\nCOPY . /"'
        ),
        "args": Text("Values of `ARG`; null leaves the Dockerfile's default", '{ VERSION = "1.2" }'),
        "labels": Text(
            "Labels of the image; null leaves a member out", '{ "org.opencontainers.image.title" = "web" }'
        ),
        "tags": Text("Names of the image", '["example/web:1.2", "example/web:latest"]'),
        "cache-from": Text(
            "Caches to take results from, in addition to the local store; one that cannot be read is passed over",
            '[{ type = "registry", ref = "example/web:cache" }]',
            entries=_CACHE_FROM,
        ),
        "cache-to": Text(
            "Where a cache of this build is written",
            '[{ type = "local", dest = "cache", mode = "max" }]',
            entries=_CACHE_TO,
        ),
        "target": Text("Stage to build; the last one when not given", '"release"'),
        "secret": Text(
            "Secrets: `id`, and `src` (a file) or `env` (a variable)",
            '[{ id = "token", env = "API_TOKEN" }]',
            entries=_SECRET,
        ),
        "ssh": Text(
            "SSH agents: `id`, and `paths`: an agent's socket, or private keys",
            '[{ id = "default" }]',
            entries=_SSH,
        ),
        "platforms": Text(
            "Platforms to build for; the machine's own when not given",
            '["linux/amd64", "linux/arm64"]',
            values=("linux/amd64", "linux/arm64", "linux/arm/v7", "linux/riscv64", "linux/s390x", "local"),
        ),
        "output": Text(
            "Where results go; the local image store when not given",
            '[{ type = "oci", dest = "web.tar" }]',
            entries=_OUTPUT,
        ),
        "pull": Text(
            "Asks the registry for every image, even for one that is in the local image store", "true"
        ),
        "no-cache": Text("Runs every step anew", "true"),
        "network": Text(
            "Network of `RUN`: `default`, `host` or `none`", '"none"', values=("default", "host", "none")
        ),
        "no-cache-filter": Text("Stages whose steps are run anew", '["build"]'),
        "shm-size": Text("Size of `/dev/shm` in steps, as `128m`", '"128m"'),
        "ulimits": Text("Limits of processes in steps: `nofile=1024:2048`", '["nofile=1024:2048"]'),
        "resources": Text(
            "Limits of the control group of each step: memory, processor time and sets. Where no control group can be "
            "made for a step, a limit is an error",
            '{ memory = "512m" }',
            entries=_RESOURCES,
        ),
        "call": Text(
            "A question to answer instead of building: `check`, `outline`, `targets`, `convertllb`, "
            "`subrequests.describe`; `build` builds",
            '"check"',
            values=("build", "check", "outline", "targets", "convertllb", "subrequests.describe"),
        ),
        "entitlements": Text(
            "Privileges that steps may use: `network.host`, `security.insecure`, `device[=NAME]`",
            '["network.host"]',
            values=("network.host", "security.insecure", "device"),
        ),
        "extra-hosts": Text(
            "Lines for `/etc/hosts` of steps: name to address, or `host-gateway`", '{ db = "10.0.0.5" }'
        ),
        "policy": Text(
            "Source policies: see [source policies](../how-to/source-policies.md)",
            '[{ filename = "policy.rego" }]',
            entries=_POLICY,
        ),
        "matrix": Text(
            "Axes of values: one target for each combination, in which the axes' names are variables",
            '{ version = ["1", "2"] }',
        ),
        "name": Text("Name of each target of a `matrix`", '"web-${version}"'),
    },
    "group": {
        "description": Text("Shown by `--list=targets`", '"Everything"'),
        "targets": Text("Names of targets and groups that belong to it", '["web", "worker"]'),
    },
    "variable": {
        "default": Text(
            "Value when nothing else gives one; without, an empty text, or null of the type", '"dev"'
        ),
        "description": Text("Shown by `--list=variables`; a constant", '"Version to build"'),
        "type": Text("Type that values are converted to", "list(string)"),
        "validation": Text("Conditions that the value must meet; repeatable"),
    },
    "validation": {
        "condition": Text("True when the value is good", 'VERSION != ""'),
        "error_message": Text("What is said otherwise", '"VERSION must not be empty"'),
    },
    "function": {
        "params": Text("Names of the parameters", "[a, b]"),
        "result": Text("Value of a call", "a + b"),
        "variadic_params": Text("Name of a list of all further arguments", "rest"),
    },
}

#: What a block type is for.
BLOCK_TEXTS: Mapping[str, str] = {
    "target": "One build. Blocks of the same name are merged, later ones over earlier ones",
    "group": "A name for several targets and groups. A later block of the same name replaces it",
    "variable": "A value that the command line or the environment can set. A later block of the same name replaces it",
    "validation": "A condition on a variable's value, within its block",
    "function": "A function for expressions. A later block of the same name replaces it",
}


def incomplete() -> list[str]:
    """What is wrong between rows and texts: rows without a text, texts without a row. Empty when all is well."""
    problems = []
    if set(BLOCK_TEXTS) != set(BLOCKS) or set(TEXTS_OF) != set(BLOCKS):
        problems.append("block types differ")
    for kind, block in BLOCKS.items():
        wanted = {*block.attribute_names, *block.blocks}
        there = set(TEXTS_OF.get(kind, ()))
        problems += [f"{kind}.{name} has no text" for name in sorted(wanted - there)]
        problems += [f"the text of {kind}.{name} stands for nothing" for name in sorted(there - wanted)]
    return problems
