"""Expected values: Docker's reference grammar, as the peers print it (`distribution/reference`)."""

from __future__ import annotations

import pytest

from bakehouse.errors import DefinitionError
from bakehouse.oci import Digest, Reference

DIGEST = "sha256:" + "a" * 64


@pytest.mark.parametrize(
    ("text", "full", "familiar"),
    [
        ("x", "docker.io/library/x:latest", "x:latest"),
        ("x:1", "docker.io/library/x:1", "x:1"),
        ("user/x", "docker.io/user/x:latest", "user/x:latest"),
        ("docker.io/x", "docker.io/library/x:latest", "x:latest"),
        ("index.docker.io/x", "docker.io/library/x:latest", "x:latest"),
        ("ghcr.io/a/b/c:v1", "ghcr.io/a/b/c:v1", "ghcr.io/a/b/c:v1"),
        ("localhost/x", "localhost/x:latest", "localhost/x:latest"),
        ("localhost:5000/x", "localhost:5000/x:latest", "localhost:5000/x:latest"),
        ("127.0.0.1:5000/x:1", "127.0.0.1:5000/x:1", "127.0.0.1:5000/x:1"),
        ("[::1]:5000/x", "[::1]:5000/x:latest", "[::1]:5000/x:latest"),
        ("Foo/bar", "Foo/bar:latest", "Foo/bar:latest"),
        (f"x@{DIGEST}", f"docker.io/library/x@{DIGEST}", f"x@{DIGEST}"),
        (f"x:1@{DIGEST}", f"docker.io/library/x:1@{DIGEST}", f"x:1@{DIGEST}"),
        ("a__b/c---d.e", "docker.io/a__b/c---d.e:latest", "a__b/c---d.e:latest"),
        ("docker.io/library/a/b", "docker.io/library/a/b:latest", "library/a/b:latest"),
    ],
)
def test_normal_forms(text: str, full: str, familiar: str) -> None:
    ref = Reference.parse(text)
    assert str(ref) == full
    assert ref.familiar() == familiar
    assert Reference.parse(str(ref)) == ref


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "invalid reference format"),
        ("UPPER", "invalid reference format: repository name (library/UPPER) must be lowercase"),
        ("a b", "invalid reference format"),
        ("x:", "invalid reference format"),
        ("x:" + "t" * 129, "invalid reference format"),
        ("-x", "invalid reference format"),
        ("a//b", "invalid reference format"),
        ("x\n", "invalid reference format"),
        ("a" * 64, "invalid repository name (" + "a" * 64 + "), cannot specify 64-byte hexadecimal strings"),
        ("x/" + "a/" * 128 + "a", "repository name must not be more than 255 characters"),
        ("x@sha256:" + "a" * 63, "invalid checksum digest length"),
        ("x@md5:" + "a" * 32, "unsupported digest algorithm"),
        ("x@sha256:" + "A" * 64, "invalid checksum digest format"),
    ],
)
def test_refusals(text: str, message: str) -> None:
    with pytest.raises(DefinitionError) as caught:
        Reference.parse(text)
    assert str(caught.value) == message
    assert caught.value.code == "invalid-reference"


def test_api_host_and_target() -> None:
    assert Reference.parse("x").api_host == "registry-1.docker.io"
    assert Reference.parse("ghcr.io/x").api_host == "ghcr.io"
    assert Reference.parse("x:1").target == "1"
    assert Reference.parse(f"x:1@{DIGEST}").target == DIGEST


@pytest.mark.parametrize("text", ["sha256:", "sha256:" + "g" * 64, "nothing", "sha256:" + "a" * 64 + "\n"])
def test_malformed_digests(text: str) -> None:
    with pytest.raises(DefinitionError, match="digest"):
        Digest(text)


def test_digest_of_bytes() -> None:
    # NIST's test vector for "abc".
    assert Digest.of(b"abc") == "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert Digest.of(b"abc").algorithm == "sha256"
    assert Digest.of(b"abc").verify(b"abc")
    assert not Digest.of(b"abc").verify(b"abd")
