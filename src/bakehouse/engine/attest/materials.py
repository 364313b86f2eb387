"""What went into a result: images, git commits, downloads, client directories, secrets, and whether steps could reach
the network. Follows BuildKit's capture, duplicates and order included (engine.md §18.3)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, urlsplit

from bakehouse.engine.attest.model import ImageMaterial
from bakehouse.errors import BakehouseError
from bakehouse.giturl import parse_git_ref
from bakehouse.go.paths import join_path
from bakehouse.llb.ops import NETWORK_NONE, ExecOp, SourceOp, Vertex
from bakehouse.llb.platforms import from_llb
from bakehouse.oci.platform import Platform
from bakehouse.oci.purl import image_purl
from bakehouse.oci.reference import Reference
from bakehouse.values import dataclass, field

if TYPE_CHECKING:
    from bakehouse.llb.ops import LlbPlatform

_MASK = "xxxxx"

#: The content that a source stood for: a commit, the digest of a file.
Pin = Callable[[SourceOp], str]


@dataclass(slots=True)
class Materials:
    """Everything captured of one result. `git` and `http` map addresses without credentials to commits and digests;
    `secrets` and `agents` ids to whether they were optional."""

    images: list[ImageMaterial] = field(default_factory=list)
    git: dict[str, str] = field(default_factory=dict)
    http: dict[str, str] = field(default_factory=dict)
    locals: set[str] = field(default_factory=set)
    secrets: dict[str, bool] = field(default_factory=dict)
    agents: dict[str, bool] = field(default_factory=dict)
    network: bool = False

    @classmethod
    def of(cls, vertices: Iterable[Vertex], read: Iterable[SourceOp], pin: Pin) -> Materials:
        """What the graph of a result, and the sources read to make it, stand on."""
        out = cls()
        for vertex in vertices:
            if isinstance(vertex.op, SourceOp):
                out._add_source(vertex.op, vertex.platform, pin)
            elif isinstance(vertex.op, ExecOp):
                out._add_step(vertex.op)
        for op in read:
            out._add_source(op, None, pin)
        return out

    @property
    def complete(self) -> bool:
        """Whether all of it can be named: nobody knows what was in a client's directory."""
        return not self.locals

    def add_images(self, images: Iterable[ImageMaterial]) -> None:
        for image in images:
            self._add_image(image)

    def as_json(self) -> list[dict[str, Any]]:
        """Images, git and http sources, each sorted, as (uri, digest) objects."""
        out = [_image_as_json(image) for image in sorted(self._distinct_images(), key=_image_order)]
        out += [{"uri": url, "digest": commit_digest(self.git[url])} for url in sorted(self.git)]
        out += [{"uri": url, "digest": digest_set(self.http[url])} for url in sorted(self.http)]
        return out

    def find(self, address: str) -> dict[str, Any] | None:
        """The material behind the address of a context, with the sub-directory that the address names; None when it was
        not captured."""
        try:
            ref = parse_git_ref(address)
        except BakehouseError:
            ref = None
        if ref is None:
            found = self.http.get(address)
            return None if found is None else {"uri": address, "digest": digest_set(found)}
        found = self.git.get(ref.remote + (f"#{ref.ref}" if ref.ref else ""))
        if found is None:
            return None
        sub_dir = join_path("/", ref.sub_dir)[1:]
        fragment = f"#{ref.ref}" + (f":{sub_dir}" if sub_dir else "")
        return {"uri": ref.remote + (fragment if len(fragment) > 1 else ""), "digest": commit_digest(found)}

    # -- gathering ------------------------------------------------------------------------------------------------

    def _add_source(self, op: SourceOp, platform: LlbPlatform | None, pin: Pin) -> None:
        scheme, _, rest = op.identifier.partition("://")
        if scheme in ("docker-image", "oci-layout"):
            digest = rest.partition("@")[2] or pin(op)
            wanted = None if platform is None else from_llb(platform)
            self._add_image(ImageMaterial(rest, wanted, digest, scheme == "oci-layout"))
        elif scheme == "local":
            self.locals.add(rest)
        elif scheme == "git":
            self._add_git(op, pin(op))
        elif scheme in ("http", "https"):
            self.http.setdefault(without_credentials(op.identifier), pin(op))

    def _add_image(self, image: ImageMaterial) -> None:
        for known in self.images:
            if (known.ref, known.local) == (image.ref, image.local) and _alike(
                known.platform, image.platform
            ):
                return
        self.images.append(image)

    def _add_git(self, op: SourceOp, commit: str) -> None:
        from bakehouse.engine.sources.git import GitReference

        reference = GitReference.of(op)
        url = reference.remote + (f"#{reference.ref}" if reference.ref else "")
        self.git.setdefault(without_credentials(url), commit)
        for attribute in ("git.authtokensecret", "git.authheadersecret"):
            if op.attrs.get(attribute):
                _note(self.secrets, op.attrs[attribute], True)
        if op.attrs.get("git.mountsshsock"):
            _note(self.agents, op.attrs["git.mountsshsock"], True)

    def _add_step(self, op: ExecOp) -> None:
        for mount in op.mounts:
            if mount.secret is not None:
                _note(self.secrets, mount.secret.id, bool(mount.secret.optional))
            if mount.ssh is not None:
                _note(self.agents, mount.ssh.id or "default", bool(mount.ssh.optional))
        for entry in op.secret_env:
            _note(self.secrets, entry.id, bool(entry.optional))
        self.network = self.network or op.network != NETWORK_NONE

    def _distinct_images(self) -> list[ImageMaterial]:
        """Without those named by digest that are there by their tag too."""
        parsed = [(image, Reference.parse_exact(image.ref)) for image in self.images]
        tagged = {_tag_of(ref) for _, ref in parsed if ref.digest is None}
        return [image for image, ref in parsed if ref.digest is None or _tag_of(ref) not in tagged]


def images_for(
    platform: Platform, platforms: Sequence[Platform], images: Sequence[ImageMaterial]
) -> list[ImageMaterial]:
    """Of `images` those that the result for `platform` may stand on: an image that was looked up for every one of
    `platforms` counts for its own only."""
    everywhere = {
        image.ref
        for image in images
        if all(
            any(
                other.ref == image.ref
                and other.platform is not None
                and wanted.matches_strictly(other.platform)
                for other in images
            )
            for wanted in platforms
        )
    }
    return [
        image
        for image in images
        if image.ref not in everywhere
        or image.platform is None
        or (image.platform.os, image.platform.architecture) == (platform.os, platform.architecture)
    ]


def without_credentials(text: str) -> str:
    """A URL with user name and password made unreadable, as BuildKit does it; any other text as it is."""
    try:
        parts: SplitResult = urlsplit(text)
        if "@" not in parts.netloc or not parts.scheme:
            return text
    except ValueError:
        return text
    userinfo, _, host = parts.netloc.rpartition("@")
    user, colon, _ = userinfo.partition(":")
    masked = (_MASK if user else "") + (f":{_MASK}" if colon else "")
    return text.replace(f"//{parts.netloc}", f"//{masked}@{host}", 1)


def commit_digest(commit: str) -> dict[str, str]:
    """A git commit as a digest set of in-toto; its length tells git's hash."""
    return {"sha256" if len(commit) == 64 else "sha1": commit}


def digest_set(digest: str) -> dict[str, str]:
    """`sha256:HEX` as a digest set of in-toto."""
    algorithm, _, encoded = digest.partition(":")
    return {algorithm: encoded}


def _image_as_json(image: ImageMaterial) -> dict[str, Any]:
    out: dict[str, Any] = {
        "uri": image_purl(image.ref, image.platform, kind="oci" if image.local else "docker")
    }
    if image.digest:
        out["digest"] = digest_set(image.digest)
    return out


def _image_order(image: ImageMaterial) -> tuple[str, str]:
    return image.ref, "" if image.platform is None else image.platform.format_all()


def _tag_of(ref: Reference) -> str:
    return f"{ref.name}:{ref.tag or 'latest'}"


def _alike(first: Platform | None, second: Platform | None) -> bool:
    """Whether two look-ups were for one platform; features of the OS do not count."""
    if first is None or second is None:
        return first is second
    return (first.os, first.architecture, first.variant, first.os_version) == (
        second.os,
        second.architecture,
        second.variant,
        second.os_version,
    )


def _note(ids: dict[str, bool], id: str, optional: bool) -> None:
    ids[id] = ids.get(id, True) and optional
