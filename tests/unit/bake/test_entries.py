"""Entry grammars as the flags of `build` use them, where no definition file is involved."""

from __future__ import annotations

import pytest

from bakehouse.bake.entries import (
    Attest,
    CacheEntry,
    Output,
    Resources,
    SecretEntry,
    SshEntry,
    attest_flag,
    join_csv,
    parse_attest,
    parse_caches,
    parse_output,
    parse_outputs,
    parse_secret,
    parse_ssh,
)
from bakehouse.errors import DefinitionError


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("-", Output("tar", "-")),
        ("out", Output("local", "out")),
        ("dest=x", Output("local", "dest=x")),
        ("type=IMAGE,Name=X", Output("IMAGE", attrs={"name": "X"})),
        ('type=local,"dest=a,b"', Output("local", "a,b")),
        ("type=oci,dest=o.tar,tar=true", Output("oci", "o.tar", {"tar": "true"})),
    ],
)
def test_outputs(text: str, wanted: Output) -> None:
    assert parse_output(text) == wanted


def test_empty_output_flags_are_passed_over() -> None:
    assert parse_outputs(["", "out"]) == [Output("local", "out")]


@pytest.mark.parametrize("text", ["dest=a,name=b", "type=image,foo", 'type=a"b'])
def test_bad_outputs_are_definition_errors_with_a_code(text: str) -> None:
    with pytest.raises(DefinitionError) as caught:
        parse_output(text)
    assert caught.value.code == "invalid-entry"


def test_secret_forms() -> None:
    assert parse_secret("id=a,src=f") == SecretEntry("a", "f")
    assert parse_secret("id=a,type=env,src=E") == SecretEntry("a", env="E")
    assert parse_secret("ID=a,source=f,type=file") == SecretEntry("a", "f")


def test_sourceless_secret_prefers_the_variable_of_its_name() -> None:
    secret = SecretEntry("TOKEN")
    assert secret.resolved({"TOKEN": "x"}) == SecretEntry("TOKEN", env="TOKEN")
    assert secret.resolved({}) == SecretEntry("TOKEN", "TOKEN")


def test_ssh_has_no_quoting() -> None:
    assert parse_ssh('k="a,b"') == SshEntry("k", ('"a', 'b"'))
    assert parse_ssh("default") == SshEntry("default")
    assert parse_ssh("k=") == SshEntry("k", ("",))


def test_references_without_keys_are_registry_caches() -> None:
    wanted = [CacheEntry("registry", {"ref": "a"}), CacheEntry("registry", {"ref": "b"})]
    assert parse_caches(["a,b", ""]) == wanted


def test_attestation_flags() -> None:
    assert attest_flag("sbom", "true") == "type=sbom,disabled=false"
    assert attest_flag("sbom", "0") == "type=sbom,disabled=true"
    assert attest_flag("provenance", "mode=max") == "type=provenance,mode=max"
    assert attest_flag("sbom", "") == ""
    assert parse_attest("type=sbom,disabled=true,Generator=g") == Attest("sbom", True, {"Generator": "g"})


def test_texts_of_entries_parse_to_the_same_entry() -> None:
    for output in (Output("local", "a,b"), Output("image", attrs={"name": 'x"y', "push": "true"})):
        assert parse_output(str(output)) == output
    for cache in (CacheEntry("registry", {"ref": "r"}), CacheEntry("s3", {"region": "a,b"})):
        assert parse_caches([str(cache)]) == [cache]
    secret = SecretEntry("i", "a,b")
    assert parse_secret(str(secret)) == secret


def test_resources_keep_their_order_and_refuse_unknown_keys() -> None:
    resources = Resources().with_text("cpuset-cpus", "0").with_text("memory", "1g")
    assert list(resources.as_json()) == ["memory", "cpuset-cpus"]
    with pytest.raises(DefinitionError, match="unknown resources key foo"):
        resources.with_text("foo", "1")


def test_copies_leave_the_original_alone() -> None:
    output = Output("image")
    assert output.with_attr("push", "true").attrs == {"push": "true"}
    assert output.attrs == {}


def test_joining_quotes_only_what_needs_it() -> None:
    assert join_csv({"a": "b c", "d": "e,f"}) == 'a=b c,"d=e,f"'
