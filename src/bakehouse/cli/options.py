"""The flags that several commands share, under buildx's own names (bake.md §1, engine.md §25.5)."""

from __future__ import annotations

from bakehouse.cli.flags import BOOL, LIST, STRING, Flag, Parsed, UsageError, is_false

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

PROGRESS_MODES = ("auto", "plain", "tty", "quiet", "rawjson")
#: The flags of single limits, older than `--resource`, in buildx's order.
LIMITS = ("memory", "memory-swap", "cpu-shares", "cpu-period", "cpu-quota", "cpuset-cpus", "cpuset-mems")


def progress_mode(parsed: Parsed, environ: Mapping[str, str], *, extra: tuple[str, ...] = ()) -> str:
    """The mode that `--progress`, or `BUILDKIT_PROGRESS` where that is `auto`, asks for. Raises `UsageError`."""
    mode = parsed.text("progress") or "auto"
    if mode == "auto":
        mode = environ.get("BUILDKIT_PROGRESS") or "auto"
    if mode not in (*PROGRESS_MODES, *extra):
        raise UsageError(f"invalid progress mode {mode}", hint=f"Use one of {', '.join(PROGRESS_MODES)}.")
    return mode


PROGRESS = Flag(
    "progress",
    help='Type of progress output ("auto", "plain", "tty", "quiet", "rawjson")',
    default="auto",
)
METADATA_FILE = Flag("metadata-file", help="Write build result metadata to a file")
NO_CACHE = Flag("no-cache", BOOL, "Do not use cache when building")
PULL = Flag("pull", BOOL, "Always ask the registry for the referenced images")
PUSH = Flag("push", BOOL, 'Shorthand for "--output=type=registry"')
LOAD = Flag("load", BOOL, 'Shorthand for "--output=type=docker"')
PROVENANCE = Flag("provenance", help='Shorthand for "--attest=type=provenance"')
SBOM = Flag("sbom", help='Shorthand for "--attest=type=sbom"')
CALL = Flag("call", help='Method for evaluating the build ("check", "outline", "targets")')
CHECK = Flag("check", BOOL, 'Shorthand for "--call=check"', writes="call", value="check")
POLICY = Flag(
    "policy", LIST, 'Source policies ("filename=FILE", "reset=true", "disabled=true", "log-level=debug")'
)
ALLOW = Flag(
    "allow",
    LIST,
    'Grant an extra privilege ("network.host", "security.insecure", "fs.read=PATH", …)',
    metavar="entitlement",
)

BAKE = (
    Flag("file", LIST, "Build definition file", short="f"),
    Flag("set", LIST, 'Override target values ("targetpattern.key=value")'),
    Flag("var", LIST, 'Set a variable value ("name=value")'),
    Flag("print", BOOL, "Print the resolved definition without building"),
    Flag("list", help="List targets or variables"),
    Flag("list-targets", BOOL, hidden=True),
    Flag("list-variables", BOOL, hidden=True),
    ALLOW,
    PROGRESS,
    METADATA_FILE,
    NO_CACHE,
    PULL,
    PUSH,
    LOAD,
    PROVENANCE,
    SBOM,
    CALL,
    CHECK,
    POLICY,
)

BUILD = (
    Flag("add-host", LIST, 'Add a host-to-IP mapping ("host:ip")', split=True),
    ALLOW,
    Flag("annotation", LIST, "Add annotation to the image"),
    Flag("attest", LIST, 'Attestation parameters ("type=sbom,generator=image")'),
    Flag("build-arg", LIST, "Set a build argument"),
    Flag("build-context", LIST, 'Additional build context ("name=path")'),
    Flag("cache-from", LIST, 'External cache source ("user/app:cache", "type=local,src=path/to/dir")'),
    Flag("cache-to", LIST, 'Cache export destination ("user/app:cache", "type=local,dest=path/to/dir")'),
    CALL,
    Flag("cgroup-parent", STRING, 'Parent cgroup of the "RUN" steps'),
    CHECK,
    Flag("file", STRING, 'Name of the Dockerfile (default: "PATH/Dockerfile")', short="f"),
    Flag("iidfile", STRING, "Write the image ID to a file"),
    Flag("label", LIST, "Set metadata for the image"),
    LOAD,
    METADATA_FILE,
    Flag("network", STRING, 'Network of the "RUN" steps ("default", "none", "host")', default="default"),
    NO_CACHE,
    Flag("no-cache-filter", LIST, "Do not cache the named stages"),
    Flag("output", LIST, 'Output destination ("type=local,dest=path")', short="o"),
    Flag("platform", LIST, "Target platform of the build"),
    POLICY,
    PROGRESS,
    PROVENANCE,
    PULL,
    PUSH,
    Flag("quiet", BOOL, "Show only the image ID on success", short="q"),
    Flag("resource", LIST, 'Resource limits of the "RUN" steps ("memory=2g", "cpu-quota=50000")'),
    SBOM,
    Flag("secret", LIST, 'Secret to expose to the build ("id=mysecret[,src=/local/secret]")'),
    Flag("shm-size", STRING, 'Size of "/dev/shm"'),
    Flag("ssh", LIST, 'SSH agent socket or keys to expose ("default|<id>[=<socket>|<key>[,<key>]]")'),
    Flag("tag", LIST, 'Name and optionally tag of the image ("name:tag")', short="t"),
    Flag("target", STRING, "The build stage to build"),
    Flag("ulimit", LIST, 'Ulimit options ("name=soft:hard")'),
    Flag("compress", BOOL, hidden=True),
    Flag("force-rm", BOOL, hidden=True),
    Flag("rm", BOOL, hidden=True, default=True),
    Flag("print", STRING, hidden=True, writes="call"),
    Flag(
        "isolation",
        STRING,
        hidden=True,
        unbuilt="it means nothing outside Windows",
        accept=lambda text: text in ("", "default"),
    ),
    Flag("squash", BOOL, hidden=True, unbuilt="it is a feature of the old builder", accept=is_false),
    Flag("security-opt", LIST, hidden=True, unbuilt="it is a feature of the old builder"),
    Flag("cpu-period", LIST, hidden=True),
    Flag("cpu-quota", LIST, hidden=True),
    Flag("cpu-shares", LIST, short="c", hidden=True),
    Flag("cpuset-cpus", LIST, hidden=True),
    Flag("cpuset-mems", LIST, hidden=True),
    Flag("memory", LIST, short="m", hidden=True),
    Flag("memory-swap", LIST, hidden=True),
)
