"""Caches in S3: signatures against AWS's own library, places of objects, refreshing, parts, words of refusals."""

from __future__ import annotations

import hashlib
import io
import time
import uuid
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator, Mapping
from email.utils import formatdate

import botocore.session
import pytest
from botocore.auth import S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from tests.support.cache_services import Call, Reply, S3Server, Server
from tests.unit.cache_stores.conftest import Clock

from bakehouse.engine.caches.stores.aws_signature import AwsKeys, encoded_query, signed_headers
from bakehouse.engine.caches.stores.model import CacheStore, open_cache_store
from bakehouse.engine.caches.stores.s3 import S3Store
from bakehouse.errors import BakehouseError, DefinitionError, DeniedError, EnvironmentFault, TransientError
from bakehouse.oci.digest import Digest

KEYS = AwsKeys("AKIAEXAMPLE", "wJalr/XUtnFEMI+K7MDENG", "")
TOKEN_KEYS = AwsKeys("ASIAEXAMPLE", "secret/of+a/session", "token==")
SMALL = b"a small blob"


class Bucket(Server):
    """A bucket whose answers a test gives; whatever it does not give is an empty 200."""

    def answer(self, call: Call) -> Reply:
        return Reply(200, b"", {"ETag": '"e"'})


@pytest.fixture
def bucket() -> Iterator[Bucket]:
    with Bucket() as server:
        assert isinstance(server, Bucket)
        yield server


def attrs_of(url: str, **more: str) -> dict[str, str]:
    keys = {
        "access_key_id": "AKIAEXAMPLE",
        "secret_access_key": "hidden-secret",
        "session_token": "hidden-token",
    }
    place = {"bucket": "cache", "region": "eu-central-1", "endpoint_url": url, "use_path_style": "true"}
    return {**place, **keys, **more}


@pytest.fixture
def store(bucket: Bucket, clock: Clock) -> Iterator[CacheStore]:
    opened, _ = open_cache_store("s3", attrs_of(bucket.url), {}, export=True, wait=clock)
    yield opened
    opened.close()


def error(status: int, code: str, message: str = "No.", **headers: str) -> Reply:
    body = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>{message}</Message><Secret>x</Secret></Error>"
    return Reply(status, body.encode(), {name.replace("_", "-"): value for name, value in headers.items()})


# Signatures


def test_the_signature_of_amazons_example() -> None:
    """The first example of "Authenticating Requests" in the API reference of S3."""
    keys = AwsKeys("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")
    url = "https://examplebucket.s3.amazonaws.com/test.txt"
    signed = signed_headers(keys, "us-east-1", "GET", url, {"Range": "bytes=0-9"}, b"", now_s=1369353600.0)
    signature = "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"
    assert signed["Authorization"].endswith(
        f"SignedHeaders=host;range;x-amz-content-sha256;x-amz-date, Signature={signature}"
    )


@pytest.mark.parametrize("keys", [KEYS, TOKEN_KEYS], ids=["keys", "session"])
@pytest.mark.parametrize(
    ("method", "path", "query", "headers", "body"),
    [
        ("GET", "/cache/manifests/buildkit", {}, {}, b""),
        ("HEAD", "/blobs/sha256%3A00ff", {}, {}, b""),
        ("GET", "/blobs/sha256%3A00ff", {}, {"Range": "bytes=5-"}, b""),
        ("PUT", "/a%20b/%C3%A9%2Bc", {}, {}, b"content"),
        ("POST", "/blobs/x", {"uploads": ""}, {}, b""),
        ("PUT", "/blobs/x", {"partNumber": "2", "uploadId": "a/b+c=~ d"}, {}, b"part"),
        (
            "PUT",
            "/x",
            {},
            {"x-amz-copy-source": "cache/blobs/sha256%3A0", "X-Amz-Meta-Updated-At": " a  b "},
            b"",
        ),
    ],
)
def test_signatures_are_those_of_amazons_library(
    keys: AwsKeys, method: str, path: str, query: Mapping[str, str], headers: Mapping[str, str], body: bytes
) -> None:
    url = f"https://cache.s3.eu-central-1.amazonaws.com{path}" + (f"?{encoded_query(query)}" if query else "")
    ours = signed_headers(keys, "eu-central-1", method, url, headers, body)
    request = AWSRequest(method=method, url=url, data=body, headers=dict(headers))
    request.context["timestamp"] = ours["X-Amz-Date"]
    request.headers["X-Amz-Date"] = ours["X-Amz-Date"]
    request.headers["X-Amz-Content-SHA256"] = hashlib.sha256(body).hexdigest()
    credentials = Credentials(keys.access_key_id, keys.secret_access_key, keys.session_token or None)
    if keys.session_token:
        request.headers["X-Amz-Security-Token"] = keys.session_token
    auth = S3SigV4Auth(credentials, "s3", "eu-central-1")
    text = auth.string_to_sign(request, auth.canonical_request(request))
    assert ours["Authorization"].endswith(f"Signature={auth.signature(text, request)}")
    assert ours.get("X-Amz-Security-Token", "") == keys.session_token


def test_other_services_are_signed_for_too() -> None:
    url, body = "https://sts.eu-central-1.amazonaws.com/", b"Action=AssumeRole"
    ours = signed_headers(KEYS, "eu-central-1", "POST", url, {}, body, service="sts")
    request = AWSRequest(method="POST", url=url, data=body)
    request.context["timestamp"] = request.headers["X-Amz-Date"] = ours["X-Amz-Date"]
    request.headers["X-Amz-Content-SHA256"] = hashlib.sha256(body).hexdigest()
    auth = SigV4Auth(Credentials(KEYS.access_key_id, KEYS.secret_access_key), "sts", "eu-central-1")
    text = auth.string_to_sign(request, auth.canonical_request(request))
    assert ours["Authorization"].endswith(f"Signature={auth.signature(text, request)}")


# Attributes


def place_of(attrs: Mapping[str, str], environ: Mapping[str, str] = {}) -> str:
    store, _ = open_cache_store("s3", attrs, environ)
    assert isinstance(store, S3Store)
    return store._place.base


@pytest.mark.parametrize(
    ("attrs", "environ", "base"),
    [
        ({"bucket": "cache", "region": "eu-west-1"}, {}, "https://cache.s3.eu-west-1.amazonaws.com"),
        ({}, {"AWS_BUCKET": "cache", "AWS_REGION": "us-east-1"}, "https://cache.s3.us-east-1.amazonaws.com"),
        ({"bucket": "a.b", "region": "eu-west-1"}, {}, "https://s3.eu-west-1.amazonaws.com/a.b"),
        (
            {"bucket": "Under_Score", "region": "eu-west-1"},
            {},
            "https://s3.eu-west-1.amazonaws.com/Under_Score",
        ),
        ({"bucket": "cache", "region": "cn-north-1"}, {}, "https://cache.s3.cn-north-1.amazonaws.com.cn"),
        # The style of the path is for services that were named, as in BuildKit.
        (
            {"bucket": "cache", "region": "eu-west-1", "use_path_style": "true"},
            {},
            "https://cache.s3.eu-west-1.amazonaws.com",
        ),
        ({"endpoint_url": "https://minio.example.com:9000"}, {}, "https://cache.minio.example.com:9000"),
        (
            {"endpoint_url": "https://minio.example.com:9000/", "use_path_style": "1"},
            {},
            "https://minio.example.com:9000/cache",
        ),
        # What is no boolean is none, and an address has no names below it.
        ({"endpoint_url": "http://example.com", "use_path_style": "yes"}, {}, "http://cache.example.com"),
        ({"endpoint_url": "http://127.0.0.1:9000"}, {}, "http://127.0.0.1:9000/cache"),
        ({"endpoint_url": "http://[::1]:9000"}, {}, "http://[::1]:9000/cache"),
        ({}, {"AWS_ENDPOINT_URL": "https://all.example.com"}, "https://cache.all.example.com"),
        (
            {},
            {"AWS_ENDPOINT_URL": "https://all.example.com", "AWS_ENDPOINT_URL_S3": "https://s3.example.com"},
            "https://cache.s3.example.com",
        ),
        (
            {},
            {"AWS_ENDPOINT_URL": "https://all.example.com", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true"},
            "https://cache.s3.eu-west-1.amazonaws.com",
        ),
        ({}, {"AWS_USE_FIPS_ENDPOINT": "true"}, "https://cache.s3-fips.eu-west-1.amazonaws.com"),
        ({}, {"AWS_USE_DUALSTACK_ENDPOINT": "true"}, "https://cache.s3.dualstack.eu-west-1.amazonaws.com"),
    ],
)
def test_where_a_bucket_is(attrs: dict[str, str], environ: dict[str, str], base: str) -> None:
    given = attrs if attrs and "bucket" in attrs else {**attrs}
    if "AWS_BUCKET" not in environ:
        given = {"bucket": "cache", "region": "eu-west-1", **attrs}
    assert place_of(given, environ) == base


@pytest.mark.parametrize(
    ("attrs", "message"),
    [
        ({"region": "r"}, "bucket ($AWS_BUCKET) not set for s3 cache"),
        ({"bucket": "b"}, "region ($AWS_REGION) not set for s3 cache"),
        ({"bucket": "", "region": "r"}, "bucket of the s3 cache is empty"),
        (
            {"bucket": "b", "region": "r", "upload_parallelism": "0"},
            "upload_parallelism must be a positive integer",
        ),
        (
            {"bucket": "b", "region": "r", "upload_parallelism": "x"},
            "upload_parallelism must be a positive integer",
        ),
        (
            {"bucket": "b", "region": "r", "retry_mode": "legacy"},
            'retry_mode must be "standard" or "adaptive"',
        ),
        (
            {"bucket": "b", "region": "r", "retry_max_attempts": "-1"},
            "retry_max_attempts must be a positive integer",
        ),
        ({"bucket": "arn:aws:s3:::b", "region": "r"}, "the s3 cache takes no access point"),
        (
            {"bucket": "b", "region": "r", "endpoint_url": "user:hidden-secret@x"},
            "endpoint_url of the s3 cache is no URL of a server: ://",
        ),
        (
            {"bucket": "b", "region": "r", "endpoint_url": "https://user:hidden-secret@x.example"},
            "endpoint_url of the s3 cache is no URL of a server: https://x.example",
        ),
    ],
)
def test_attributes_that_are_refused(attrs: dict[str, str], message: str) -> None:
    with pytest.raises(DefinitionError) as caught:
        open_cache_store("s3", attrs, {})
    assert (str(caught.value).replace("user", ""), caught.value.code) == (message, "cache-attribute")
    assert "hidden" not in f"{caught.value} {caught.value.hint}"


def test_names_are_all_written_and_the_first_is_read() -> None:
    attrs = {"bucket": "b", "region": "r", "name": "one;two"}
    assert open_cache_store("s3", attrs, {}, export=True)[1] == ("one", "two")
    assert open_cache_store("s3", attrs, {})[1] == ("one",)
    assert open_cache_store("s3", {"bucket": "b", "region": "r"}, {}, export=True)[1] == ("buildkit",)


def test_parallelism_is_what_the_attribute_says() -> None:
    attrs = {"bucket": "b", "region": "r"}
    assert open_cache_store("s3", attrs, {})[0].upload_parallelism == 4
    assert open_cache_store("s3", {**attrs, "upload_parallelism": "9"}, {})[0].upload_parallelism == 9


@pytest.mark.parametrize(
    ("attrs", "environ", "attempts"),
    [
        ({}, {}, 3),
        ({"retry_max_attempts": "5"}, {"AWS_MAX_ATTEMPTS": "2"}, 5),
        ({}, {"AWS_MAX_ATTEMPTS": "2"}, 2),
        ({"retry_mode": "adaptive", "retry_max_attempts": "2"}, {}, 2),
    ],
)
def test_how_often_a_request_is_tried(
    bucket: Bucket, clock: Clock, attrs: dict[str, str], environ: dict[str, str], attempts: int
) -> None:
    store, _ = open_cache_store("s3", attrs_of(bucket.url, **attrs), environ, wait=clock)
    for _ in range(attempts):
        bucket.next_reply(error(503, "SlowDown", "Please reduce your request rate."))
    with pytest.raises(TransientError, match="answers 503: SlowDown: Please reduce"):
        store.get_document("x")
    store.close()
    assert len(bucket.calls) == attempts


# Objects


def test_objects_are_named_as_buildkit_names_them(bucket: Bucket, clock: Clock) -> None:
    attrs = attrs_of(bucket.url, prefix="a b/", blobs_prefix="layers-", manifests_prefix="m/")
    store, _ = open_cache_store("s3", attrs, {}, wait=clock)
    digest = Digest.of(SMALL)
    store.put_blob(digest, len(SMALL), lambda: io.BytesIO(SMALL))
    store.put_document("main", b"{}")
    store.close()
    assert [call.path for call in bucket.calls] == [f"/cache/a b/layers-{digest}", "/cache/a b/m/main"]


def test_young_blobs_are_left_alone_and_old_ones_are_copied_onto_themselves(s3_server: S3Server) -> None:
    name = f"b-{uuid.uuid4()}"
    s3_server.make_bucket(name)
    young, _ = open_cache_store("s3", s3_server.attrs(name), {}, export=True)
    old, _ = open_cache_store("s3", s3_server.attrs(name, touch_refresh="1ms"), {}, export=True)
    reader, _ = open_cache_store("s3", s3_server.attrs(name, touch_refresh="1ms"), {})
    digest = Digest.of(SMALL)
    young.put_blob(digest, len(SMALL), lambda: io.BytesIO(SMALL))
    client = botocore.session.get_session().create_client(
        "s3",
        region_name="us-east-1",
        endpoint_url=s3_server.url,
        aws_access_key_id="key-of-tests",
        aws_secret_access_key="secret-of-tests",
        config=Config(s3={"addressing_style": "path"}),
    )

    def updated() -> str | None:
        metadata: dict[str, str] = client.head_object(Bucket=name, Key=f"blobs/{digest}")["Metadata"]
        return metadata.get("updated-at")

    assert young.has_blob(digest)
    assert updated() is None
    time.sleep(0.01)
    # Who reads leaves all as it is.
    assert reader.has_blob(digest)
    assert updated() is None
    assert old.has_blob(digest)
    assert updated() is not None
    with old.open_blob(digest, len(SMALL)) as stream:
        assert stream.read() == SMALL
    for store in (young, old, reader):
        store.close()
    client.close()


def test_a_blob_too_large_for_one_copy_is_copied_in_parts(bucket: Bucket, store: CacheStore) -> None:
    gib = 1024**3
    size = 10 * gib + 1
    old = formatdate(time.time() - 90_000, usegmt=True)
    bucket.next_reply(Reply(200, b"", {"Content-Length": str(size), "Last-Modified": old}))
    upload = b"<InitiateMultipartUploadResult><UploadId>the id</UploadId></InitiateMultipartUploadResult>"
    bucket.next_reply(Reply(200, upload))
    for number in (1, 2, 3):
        bucket.next_reply(Reply(200, f"<CopyPartResult><ETag>e{number}</ETag></CopyPartResult>".encode()))
    digest = Digest.of(SMALL)
    assert store.has_blob(digest)
    copies = [call.headers["x-amz-copy-source-range"] for call in bucket.calls[2:5]]
    assert copies == [
        f"bytes=0-{5 * gib - 1}",
        f"bytes={5 * gib}-{10 * gib - 1}",
        f"bytes={10 * gib}-{10 * gib}",
    ]
    assert bucket.calls[2].headers["x-amz-copy-source"] == f"cache/blobs/{digest.replace(':', '%3A')}"
    end = bucket.calls[5]
    assert (end.method, end.query) == ("POST", {"uploadId": "the id"})
    tags = [
        element.text for element in ElementTree.fromstring(end.body).iter() if element.tag.endswith("ETag")
    ]
    assert tags == ["e1", "e2", "e3"]


def test_a_download_is_resumed_where_it_broke(bucket: Bucket, store: CacheStore) -> None:
    content = bytes(range(256)) * 4096
    whole = {"Content-Length": str(len(content))}
    bucket.next_reply(Reply(200, content, whole, cut_at=300_000))
    # What was sent is read to its end before the rest is asked for.
    place = {"Content-Range": f"bytes 300000-{len(content) - 1}/{len(content)}"}
    bucket.next_reply(Reply(206, content[300_000:], place))
    with store.open_blob(Digest.of(content), len(content)) as stream:
        assert stream.read() == content
    assert [call.headers.get("range") for call in bucket.calls] == [None, "bytes=300000-"]


def test_a_download_that_breaks_again_and_again_is_an_error(bucket: Bucket, store: CacheStore) -> None:
    for _ in range(7):
        bucket.next_reply(Reply(206, b"ab", {"Content-Length": "100"}, cut_at=0))
    bucket.scripted[0] = (lambda call: True, Reply(200, b"ab", {"Content-Length": "100"}, cut_at=1))
    with pytest.raises(TransientError, match="broke off"), store.open_blob(Digest.of(SMALL), 100) as stream:
        stream.read()
    assert len(bucket.calls) == 6


def test_who_ignores_the_range_is_not_believed(bucket: Bucket, store: CacheStore) -> None:
    bucket.next_reply(Reply(200, b"abcdef", {"Content-Length": "6"}, cut_at=3))
    bucket.next_reply(Reply(200, b"abcdef"))
    with pytest.raises(BakehouseError, match="answers 200"), store.open_blob(Digest.of(SMALL), 6) as stream:
        stream.read()


def test_nothing_stays_of_an_upload_that_failed(bucket: Bucket, store: CacheStore) -> None:
    content = bytes(17 * 1024 * 1024)
    upload = b"<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>"
    bucket.next_reply(Reply(200, upload))
    bucket.next_reply(error(403, "AccessDenied"), when=lambda call: call.query.get("partNumber") == "2")
    with pytest.raises(DeniedError, match="AccessDenied: No"):
        store.put_blob(Digest.of(content), len(content), lambda: io.BytesIO(content))
    last = bucket.calls[-1]
    assert (last.method, last.query) == ("DELETE", {"uploadId": "u"})


def test_an_error_may_come_with_status_200(bucket: Bucket, store: CacheStore) -> None:
    content = bytes(17 * 1024 * 1024)
    upload = b"<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>"
    bucket.next_reply(Reply(200, upload))
    bucket.next_reply(
        error(200, "InternalError", "We are sorry."), when=lambda call: call.query == {"uploadId": "u"}
    )
    with pytest.raises(TransientError, match="InternalError: We are sorry"):
        store.put_blob(Digest.of(content), len(content), lambda: io.BytesIO(content))


# Refusals


def test_a_bucket_that_is_not_there_is_no_empty_cache(bucket: Bucket, store: CacheStore) -> None:
    bucket.next_reply(error(404, "NoSuchBucket"))
    with pytest.raises(EnvironmentFault, match="cannot use bucket 'cache'") as caught:
        store.get_document("x")
    assert caught.value.hint == "Make the bucket first; the cache does not."


def test_the_right_region_is_told(bucket: Bucket, store: CacheStore) -> None:
    bucket.next_reply(error(301, "PermanentRedirect", "Use another.", x_amz_bucket_region="us-west-2"))
    with pytest.raises(EnvironmentFault) as caught:
        store.get_document("x")
    assert caught.value.hint == "The bucket is in region 'us-west-2': write `region=us-west-2`."
    assert len(bucket.calls) == 1


@pytest.mark.parametrize(
    "reply",
    [
        error(403, "InvalidAccessKeyId", "The AWS Access Key Id you provided does not exist in our records."),
        error(403, "SignatureDoesNotMatch", "The request signature we calculated does not match."),
        Reply(403, b"<!DOCTYPE x [<!ENTITY a 'b'>]><Error><Code>&a;</Code></Error>"),
        Reply(403, b"\xff not xml"),
        Reply(401),
    ],
)
def test_refusals_are_told_without_secrets(bucket: Bucket, store: CacheStore, reply: Reply) -> None:
    bucket.next_reply(reply)
    with pytest.raises(DeniedError) as caught:
        store.get_document("x")
    assert caught.value.code == "cache-denied"
    host = bucket.url.removeprefix("http://")
    assert str(caught.value).startswith(f"cannot read the cache 'x': S3 at {host} answers {reply.status}")
    chain: BaseException | None = caught.value
    while chain is not None:
        assert "hidden" not in f"{chain} {getattr(chain, 'hint', '')}"
        chain = chain.__cause__ or chain.__context__


def test_a_slow_upload_is_tried_again(bucket: Bucket, store: CacheStore, clock: Clock) -> None:
    bucket.next_reply(error(400, "RequestTimeout", "Your socket connection was not read."))
    store.put_blob(Digest.of(SMALL), len(SMALL), lambda: io.BytesIO(SMALL))
    assert [call.body for call in bucket.calls] == [SMALL, SMALL]


def test_the_session_token_is_sent(bucket: Bucket, store: CacheStore) -> None:
    store.put_document("x", b"{}")
    assert bucket.calls[0].headers["x-amz-security-token"] == "hidden-token"
    assert "x-amz-security-token" in bucket.calls[0].headers["authorization"]
