"""Passwords in URIs are found however they are written, and shown nowhere."""

import pytest

from models.core.errors import UserError
from models.core.locations import refuse_userinfo
from models.core.schema import check_document
from models.core.userinfo import has_userinfo, without_userinfo
from models.recordings.config import DataConfig

HOLDING = [
    "s3://AK:SECRET@bucket/y",
    "s3://AK:SEC/RET@bucket/y",
    "s3://AK:1/SECRET@bucket/y",
    "s3://:SECRET@bucket/y",
    "s3://SECRET@bucket/y",
    "S3://AK:a@SECRET@bucket/y",
    "gs://AK:SEC?RET#x@bucket/y",
    "http://u:SECRET@host:8265",
    "http://u:SEC/RET@host:8265",
    "ray://u:SECRET@host:10001",
    "file://u:SECRET@host/y",
]


@pytest.mark.parametrize("uri", HOLDING)
def test_a_password_is_refused_and_shown_nowhere(uri: str):
    assert has_userinfo(uri)
    with pytest.raises(UserError, match="must not hold a user name or a password") as refused:
        refuse_userinfo(uri, "--storage")
    assert "SEC" not in refused.value.message + refused.value.hint
    for text in (f"{uri} cannot be used", f"it is '{uri}': no", f'"{uri}"', f"({uri})"):
        shown = UserError(text, text)
        assert "SEC" not in shown.message + shown.hint and "SEC" not in str(shown)
        assert "RET" not in shown.message, "the whole of it"
        assert uri.rpartition("@")[2] in shown.message, "what is no secret stays"
    with pytest.raises(UserError, match="must not hold a user name or a password") as refused:
        check_document({"name": "a", "train": uri}, DataConfig, "search.json")
    assert "SEC" not in str(refused.value)


@pytest.mark.parametrize(
    "name", ["secret_key", "access_key", "X-Amz-Signature", "sig", "SAS", "token", "apikey", "auth"]
)
def test_a_secret_parameter_is_refused_and_shown_nowhere(name: str):
    uri = f"s3://bucket/y?region=x&{name}=SECRET&scheme=http"
    assert has_userinfo(uri)
    with pytest.raises(UserError, match="must not hold a user name or a password") as refused:
        refuse_userinfo(uri, "--storage")
    assert "SECRET" not in refused.value.message + refused.value.hint
    shown = UserError(f"'{uri}' cannot be used", uri)
    assert "SECRET" not in shown.message + shown.hint and "region=x" in shown.message and "scheme=http" in shown.message


@pytest.mark.parametrize(
    "place",
    [
        "s3://b/y?region=x&scheme=http&endpoint_override=h:1",
        "s3://bucket/y",
        "http://host:8265",
        "file:///home/me@work/x",
        "gs://b/a%40b?region=x",
        "auto",
        "host:1",
    ],
)
def test_other_places_stay_as_they_are(place: str):
    assert not has_userinfo(place)
    refuse_userinfo(place, "it")
    assert without_userinfo(f"see {place} and mail me@example.com") == f"see {place} and mail me@example.com"


def test_an_address_without_a_scheme_may_hold_a_password_too():
    assert has_userinfo("u:pw@host:6379")


@pytest.mark.parametrize("link", ["https://example.com/@me", "http://localhost:8000/@me/x", "mail me@x s3://b/y"])
def test_links_stay(link: str):
    assert without_userinfo(link) == link


def test_long_texts_are_quick():
    text = "@ " + "://" * 200_000
    assert without_userinfo(text) == text


def test_a_nul_is_refused_in_a_place():
    for place in ("\0", "a\0b.json", "s3://b/\0"):
        with pytest.raises(UserError, match="NUL"):
            check_document({"name": "a", "train": place}, DataConfig, "D.json")


def test_the_anonymous_user_of_a_public_bucket_is_no_secret():
    assert not has_userinfo("gs://anonymous@bucket/y")
    assert has_userinfo("gs://anonymous@SECRET@bucket/y") and has_userinfo("s3://anonymous@bucket/y")
