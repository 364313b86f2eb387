"""Caches in services as a user meets them: outside of a job, with tokens and buckets that don't serve, damaged."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.integration.test_caches import build, errors, ran
from tests.support.cache_services import (
    ACCOUNT_KEY,
    MAIN,
    MAIN_READ,
    ActionsCache,
    AzureStorage,
    S3Server,
    actions_token,
)
from tests.support.command import Bakehouse

STEPS = [
    "[part 1/1] COPY a.txt /part",
    "[stage-1 1/2] COPY b.txt /first",
    "[stage-1 2/2] COPY --from=part /part /second",
]


def entry(type: str, attrs: dict[str, str]) -> str:
    return ",".join(f"{name}={value}" for name, value in {"type": type, **attrs}.items())


def test_outside_of_a_job_the_actions_cache_is_passed_over(bakehouse: Bakehouse, cache_context: Path) -> None:
    progress = build(bakehouse, cache_context, "--cache-from=type=gha", "--cache-to=type=gha,mode=max")
    assert "gha" not in progress
    assert "GitHub" not in progress


def test_a_definition_names_a_service(
    bakehouse: Bakehouse, fresh: Bakehouse, cache_context: Path, azure: AzureStorage
) -> None:
    attrs = {"type": "azblob", "container": "team", "name": "main;app", "secret_access_key": ACCOUNT_KEY}
    target = {
        "context": ".",
        "output": ["type=oci,dest=image.tar"],
        "cache-from": [attrs],
        "cache-to": [{**attrs, "mode": "max"}],
    }
    (cache_context / "docker-bake.json").write_text(json.dumps({"target": {"default": target}}))
    environ = {
        "BUILDKIT_AZURE_STORAGE_ACCOUNT_URL": azure.account_url,
        "BUILDKIT_AZURE_STORAGE_ACCOUNT_NAME": azure.account_url.rpartition("/")[2],
    }
    first = bakehouse.run("bake", "--progress=rawjson", cwd=cache_context, env=environ)
    second = fresh.run("bake", "--progress=rawjson", cwd=cache_context, env=environ)
    assert sorted(ran(first.stderr)) == STEPS
    assert ran(second.stderr) == []
    assert {"manifests/main", "manifests/app"} < set(azure.containers["team"])
    plain = fresh.run("bake", "--progress=plain", cwd=cache_context, env=environ)
    assert "exporting cache to Azure Blob Storage" in plain.stderr
    assert "found 3 layers in cache" in plain.stderr
    assert all(ACCOUNT_KEY not in done.stderr + done.stdout for done in (first, second, plain))


@pytest.mark.parametrize("version", [1, 2])
def test_a_pull_request_builds_on_what_main_has_cached(
    version: int, bakehouse: Bakehouse, fresh: Bakehouse, cache_context: Path, actions: ActionsCache
) -> None:
    both = ("--cache-from=type=gha", "--cache-to=type=gha,mode=max")

    def job(command: Bakehouse, *scopes: tuple[str, int]) -> str:
        environ = actions.environ(version, *scopes)
        flags = ("build", "--progress=rawjson", "--output=type=oci,dest=../image.tar", *both, ".")
        done = command.run(*flags, cwd=cache_context, env=environ)
        assert environ["ACTIONS_RUNTIME_TOKEN"] not in done.stderr
        return done.stderr

    assert sorted(ran(job(bakehouse, MAIN))) == STEPS
    assert ran(job(fresh, ("refs/pull/7/merge", 3), MAIN_READ)) == []
    indexes = [entry for entry in actions.entries if entry.key.startswith("index-")]
    assert [each.scope for each in indexes] == ["refs/heads/main", "refs/pull/7/merge"]


def test_a_token_whose_time_is_over(bakehouse: Bakehouse, cache_context: Path, actions: ActionsCache) -> None:
    attrs = {"url": actions.url, "token": actions_token(MAIN, lifetime_s=-1)}
    progress = build(bakehouse, cache_context, f"--cache-from={entry('gha', attrs)}")
    assert [error for error in errors(progress).values() if "cache token expired at" in error]
    done = bakehouse.run("build", f"--cache-to={entry('gha', attrs)}", ".", cwd=cache_context, check=False)
    assert done.returncode == 1
    assert "failed to configure gha cache exporter: cache token expired at" in done.stderr
    assert "ACTIONS_RUNTIME_TOKEN" in done.stderr
    assert actions.calls == []


def test_a_fork_only_reads(bakehouse: Bakehouse, cache_context: Path, actions: ActionsCache) -> None:
    attrs = entry("gha", {"url": actions.url, "token": actions_token(MAIN_READ)})
    done = bakehouse.run("build", f"--cache-to={attrs}", ".", cwd=cache_context, check=False)
    assert done.returncode == 1
    assert "the job's token only reads" in done.stderr
    assert "leave out `cache-to` there" in done.stderr
    build(bakehouse, cache_context, f"--cache-to={attrs},ignore-error=true")


def test_a_bucket_that_is_not_there(bakehouse: Bakehouse, cache_context: Path, s3_server: S3Server) -> None:
    attrs = entry("s3", s3_server.attrs("no-such-bucket"))
    progress = build(bakehouse, cache_context, f"--cache-from={attrs}")
    (error,) = errors(progress).values()
    assert error.startswith("cannot use bucket 'no-such-bucket': S3 at 127.0.0.1:")
    done = bakehouse.run("build", f"--cache-to={attrs}", ".", cwd=cache_context, check=False)
    assert done.returncode == 1
    assert "NoSuchBucket" in done.stderr
    assert "Make the bucket first" in done.stderr
    assert "secret-of-tests" not in progress + done.stderr
    progress = build(bakehouse, cache_context, f"--cache-to={attrs},ignore-error=true")
    assert list(errors(progress)) == ["exporting cache to Amazon S3"]


@pytest.mark.parametrize(
    ("flag", "words"),
    [
        (
            "--cache-to=type=s3,region=r",
            "failed to configure s3 cache exporter: bucket ($AWS_BUCKET) not set",
        ),
        (
            "--cache-from=type=s3,bucket=b",
            "failed to configure s3 cache importer: region ($AWS_REGION) not set",
        ),
        (
            "--cache-to=type=gha,token=hidden,url=https://a",
            "the token of the github actions cache is no JSON web token",
        ),
    ],
)
def test_wrong_attributes_cost_no_build(
    flag: str, words: str, bakehouse: Bakehouse, cache_context: Path
) -> None:
    done = bakehouse.run("build", flag, ".", cwd=cache_context, check=False)
    assert done.returncode == 1
    assert words in done.stderr
    assert "hidden" not in done.stderr.replace(flag, "")
    assert "COPY" not in done.stderr


def test_layers_are_gzip_whatever_is_asked(
    bakehouse: Bakehouse, cache_context: Path, azure: AzureStorage
) -> None:
    """BuildKit's exporters into services have no choice of compression."""
    attrs = entry("azblob", azure.attrs(compression="zstd", mode="max"))
    build(bakehouse, cache_context, f"--cache-to={attrs},force-compression=true")
    document = json.loads(azure.containers["buildkit-cache"]["manifests/buildkit"].content or b"")
    kinds = {layer["annotations"]["mediaType"] for layer in document["layers"]}
    assert kinds == {"application/vnd.oci.image.layer.v1.tar+gzip"}


def damage(azure: AzureStorage) -> None:
    """Turns a bit of every layer."""
    for name, blob in azure.containers["buildkit-cache"].items():
        if name.startswith("blobs/"):
            assert blob.content is not None
            blob.content = blob.content[:-1] + bytes([blob.content[-1] ^ 1])


def test_a_damaged_layer_costs_the_step_that_made_it(
    bakehouse: Bakehouse, fresh: Bakehouse, cache_context: Path, azure: AzureStorage
) -> None:
    attrs = entry("azblob", azure.attrs())
    build(bakehouse, cache_context, f"--cache-to={attrs},mode=max")
    damage(azure)
    (cache_context / "b.txt").write_text("another")
    progress = build(fresh, cache_context, f"--cache-from={attrs}")
    assert STEPS[0] in ran(progress)
    assert STEPS[2] in ran(progress)


def test_what_a_damaged_layer_held_is_made_again_for_an_output(
    bakehouse: Bakehouse, fresh: Bakehouse, cache_context: Path, azure: AzureStorage
) -> None:
    attrs = entry("azblob", azure.attrs())
    build(bakehouse, cache_context, f"--cache-to={attrs},mode=max")
    damage(azure)
    (cache_context.parent / "image.tar").unlink()
    assert sorted(ran(build(fresh, cache_context, f"--cache-from={attrs}"))) == STEPS
    assert (cache_context.parent / "image.tar").exists()


def test_layers_that_are_gone_are_made_again(
    bakehouse: Bakehouse, fresh: Bakehouse, cache_context: Path, azure: AzureStorage
) -> None:
    attrs = entry("azblob", azure.attrs())
    build(bakehouse, cache_context, f"--cache-to={attrs},mode=max")
    for name, blob in azure.containers["buildkit-cache"].items():
        if name.startswith("blobs/"):
            blob.content = None
    assert sorted(ran(build(fresh, cache_context, f"--cache-from={attrs}"))) == STEPS


@pytest.mark.parametrize(
    ("document", "words"),
    [
        (b"{", "invalid cache config: not valid JSON"),
        (b'{"layers":[{"blob":"sha256:%064d","parent":-1}]}' % 0, "cache layer with missing annotations"),
        (b'{"records":[{"digest":"sha256:%064d","inputs":[[{"link":0}]]}]}' % 0, "invalid looping record"),
    ],
)
def test_a_document_that_is_no_cache_is_shown_and_passed_over(
    document: bytes, words: str, bakehouse: Bakehouse, cache_context: Path, azure: AzureStorage
) -> None:
    attrs = entry("azblob", azure.attrs())
    build(bakehouse, cache_context, f"--cache-to={attrs}")
    azure.containers["buildkit-cache"]["manifests/buildkit"].content = document
    (error,) = errors(build(bakehouse, cache_context, f"--cache-from={attrs}")).values()
    assert words in error
