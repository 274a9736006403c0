"""Signatures of packages, pinned keys of owners, and the refusal of amps that another key or no key signed."""

import json
import os
import stat
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from models.core.errors import IntegrityError, UserError
from models.core.files import write_json
from models.core.schema import read_json
from tests.support.hub_server import Hub
from tests.support.makers import JSON, di, examples, write_wav
from tests.support.packages import (
    AMP,
    PULL,
    at,
    files,
    litter,
    pulled,
    read_files,
    refused,
    there,
    write_package,
    write_run,
    zoo,
)
from zoo.package.layout import MANIFEST, SIGNATURE
from zoo.package.signing import check_signature, load_signing_key, public_key_hex, sign, signing_key_path

OTHER = Ed25519PrivateKey.generate()


@pytest.fixture
def key(hub: Hub) -> str:
    """One's own key, just made; a hub to publish on."""
    ran = zoo("key")
    assert ran.code == 0
    return ran.out.strip()


@pytest.fixture
def signed(key: str, package: Path) -> Path:
    """A sound package that is signed with it."""
    sign(package, load_signing_key())
    return package


def signature(folder: Path) -> dict[str, str]:
    return read_json(folder / SIGNATURE)


def test_key_is_made_once_and_stays_private(hub: Hub):
    ran = zoo("key")
    assert ran.code == 0 and len(ran.out) == 65 and str(signing_key_path()) in ran.err
    assert stat.S_IMODE(signing_key_path().stat().st_mode) == 0o600
    assert {path.name for path in signing_key_path().parent.iterdir()} == {signing_key_path().name}
    assert zoo("key").out == ran.out and zoo("key").err == ""
    assert json.loads(zoo("key", "--json").out) == {"schema": "zoo.key/1", "key": ran.out.strip()}
    secret = load_signing_key().private_bytes_raw().hex()
    for words in (("key",), ("--debug", "key"), ("doctor", *at(hub)), ("trust",)):
        assert secret not in (ran := zoo(*words)).out + ran.err


@pytest.mark.skipif(os.name != "posix", reason="modes are of POSIX")
def test_key_that_others_may_read_is_refused(key: str):
    signing_key_path().chmod(0o644)
    refused(zoo("key"), 1, "may be read by others", f"chmod 600 {signing_key_path()}")


@pytest.mark.parametrize("content", [b"", b"secret", b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"])
def test_file_that_is_not_a_key_is_left_alone(key: str, content: bytes):
    signing_key_path().write_bytes(content)
    refused(zoo("key"), 1, f"{signing_key_path()} is not an Ed25519 key")
    assert signing_key_path().read_bytes() == content


def test_sign_option_signs_the_package(key: str, tmp_path: Path):
    run = write_run(tmp_path / "run")
    words = ("package", run, "--license", "cc-by-4.0", "--out", tmp_path / "out")
    assert zoo(*words, "--sign").code == 0
    first = read_files(tmp_path / "out/run")
    assert json.loads(first[SIGNATURE])["key"] == key
    assert zoo(*words, "--sign").code == 0 and read_files(tmp_path / "out/run") == first
    assert f"signed by {key} (not known here)" in zoo("verify", tmp_path / "out/run").err
    assert zoo(*words).code == 0 and SIGNATURE not in read_files(tmp_path / "out/run")


def test_no_package_is_made_when_the_signing_key_is_missing(hub: Hub, tmp_path: Path):
    words = ("package", write_run(tmp_path / "run"), "--license", "mit", "--out", tmp_path / "out", "--sign")
    refused(zoo(*words), 3, "there is no signing key", "zoo key")
    assert not (tmp_path / "out").exists()


def test_signed_amp_is_pushed_pulled_and_verified(hub: Hub, signed: Path, key: str):
    assert zoo("push", signed, AMP, *at(hub)).code == 0
    assert f"signed by {key} (not known here)" in zoo(*PULL, *at(hub)).err
    assert pulled("amp") == there(read_files(signed))
    assert zoo("trust", "alice", key).out == f"OWNER\tKEY\nalice\t{key}\n"
    ran = zoo("pull", AMP, *at(hub), "--json")
    assert json.loads(ran.out)["amps"][0]["signer"] == f"signed by {key} (pinned)"
    assert f"signed by {key} (pinned)" in zoo("verify", AMP).err
    assert zoo("pull", AMP, "--to", "again").code == 0  # from the user's own shelf
    assert "0 bytes" in zoo(*PULL, *at(hub)).err


@pytest.mark.parametrize("what", ["unsigned", "another key", "another manifest", "damaged"])
@pytest.mark.parametrize("place", ["hub", "shelf"])
def test_amp_not_signed_by_the_pinned_key_is_refused(
    hub: Hub, signed: Path, key: str, tmp_path: Path, what: str, place: str
):
    """Downgraded, signed by somebody else, or tampered with: nothing is saved, nothing is played."""
    zoo("trust", "Alice", key)
    expected = {
        "unsigned": "is not signed, but the key of 'alice' is pinned",
        "another key": f"is signed with {public_key_hex(OTHER)[:16]}, pinned for 'alice' is {key[:16]}",
        "another manifest": "manifest.json is not what",
        "damaged": "signature",
    }
    if what == "unsigned":
        (signed / SIGNATURE).unlink()
    elif what == "another key":
        sign(signed, OTHER)
    elif what == "another manifest":
        earlier = (signed / SIGNATURE).read_bytes()
        write_package(signed, {"presets.json": b'{"schema_version": "1.0", "presets": []}'})
        (signed / SIGNATURE).write_bytes(earlier)
    else:
        write_json(signed / SIGNATURE, {**signature(signed), "signature": "0" * 12})
    code = 7 if what == "damaged" else 6
    if place == "hub":
        hub.put(AMP, read_files(signed))
        refused(zoo(*PULL, *at(hub)), code, expected[what])
        assert not [path for _, path in hub.requests if "safetensors" in path]  # refused before anything large moves
        return
    write_wav(Path("in.wav"), di(0.1))
    write_package(tmp_path / "home" / AMP, {})
    for name, content in read_files(signed).items():
        (tmp_path / "home" / AMP / name).write_bytes(content)
    before = litter()
    for words in (PULL, ("render", AMP, "in.wav", "out.wav"), ("verify", AMP), ("export", AMP, "o.nam", "--live")):
        refused(zoo(*words), code, expected[what])
    assert litter() == before


def test_push_refuses_what_a_pull_would_refuse(hub: Hub, signed: Path, key: str):
    owner = AMP.partition("/")[0]
    assert zoo("trust", owner, key).code == 0
    (signed / SIGNATURE).unlink()
    refused(zoo("push", signed, AMP, *at(hub)), 6, f"{AMP} is not signed", "zoo package --sign")
    sign(signed, load_signing_key())
    assert zoo("push", signed, AMP, *at(hub)).code == 0


def test_invalid_signature_is_refused_without_a_pin(hub: Hub, signed: Path):
    write_json(signed / SIGNATURE, {**signature(signed), "signature": "0" * 128})
    hub.put(AMP, read_files(signed))
    refused(zoo(*PULL, *at(hub)), 6, "manifest.json is not what")
    refused(zoo("verify", signed), 6, "manifest.json is not what")
    refused(zoo("push", signed, "alice/new", *at(hub)), 6, "manifest.json is not what")


def test_signature_of_a_newer_schema_is_refused(hub: Hub, signed: Path, key: str):
    write_json(signed / SIGNATURE, {**signature(signed), "schema": "ampzoo.signature/2"})
    hub.put(AMP, read_files(signed))
    zoo("trust", "alice", key)
    refused(zoo(*PULL, *at(hub)), 7, "newer than this zoo knows")


def test_lock_refuses_an_older_amp_of_the_same_key(hub: Hub, signed: Path, key: str, tmp_path: Path):
    """A signature does not say that nothing newer was made; the lock does."""
    zoo("trust", "alice", key)
    old = read_files(signed)
    newer = write_package(tmp_path / "newer", {"presets.json": b'{"schema_version": "1.0", "presets": []}'})
    sign(newer, load_signing_key())
    zoo("push", newer, AMP, *at(hub))
    assert zoo("pull", AMP, *at(hub), "--lock").code == 0
    hub.put(AMP, old)
    assert zoo("pull", AMP, "--to", "unlocked", *at(hub)).code == 0
    assert zoo("pull", AMP, "--to", "locked", *at(hub), "--locked").code == 0
    assert pulled("locked")[MANIFEST] == (newer / MANIFEST).read_bytes() != pulled("unlocked")[MANIFEST]


def test_changing_a_pin_needs_a_confirmation(key: str):
    other = public_key_hex(OTHER)
    zoo("trust", "alice", key)
    refused(zoo("trust", "ALICE", other), 1, key, "--yes")
    refused(zoo("trust", "alice", "--remove"), 1, key, "--yes")
    assert zoo("trust", "alice", other, "--yes").out == f"OWNER\tKEY\nalice\t{other}\n"
    assert json.loads(zoo("trust", "--json").out) == {"schema": "zoo.trust/1", "owners": {"alice": other}}
    assert zoo("trust", "alice", "--remove", "--yes").err == "no key is pinned\n"
    refused(zoo("trust", "alice"), 3, "no key of 'alice' is pinned")
    for words in (("alice", "abc"), ("alice", key, "--remove"), ("al/ice", key), ("", key)):
        refused(zoo("trust", *words), 1)


def test_unreadable_pins_stop_every_pull(hub: Hub, signed: Path, key: str):
    hub.put(AMP, read_files(signed))
    zoo("trust", "alice", key)
    (signing_key_path().parent / "trust.json").write_text("{}x")
    refused(zoo(*PULL, *at(hub)), 1, "trust.json")


def test_missing_library_is_named_with_its_install_command(
    hub: Hub, signed: Path, key: str, monkeypatch: pytest.MonkeyPatch
):
    hub.put(AMP, read_files(signed))
    monkeypatch.setitem(sys.modules, "cryptography", None)
    for words in (("key",), ("package", signed, "--license", "mit", "--sign")):
        refused(zoo(*words), 1, "needs the library 'cryptography'", "pip install", "[sign]'")
    assert f"signed by {key} (not checked: pip install" in zoo(*PULL, *at(hub)).err
    zoo("trust", "alice", key)
    refused(zoo("pull", AMP, "--to", "other", *at(hub)), 1, "the check of who signed alice/tiny", "[sign]'")
    hub.put("bob/tiny", files())
    assert zoo("pull", "bob/tiny", "--to", "bob", *at(hub)).code == 0  # what is not signed needs no library


@examples(300)
@given(st.binary(max_size=400) | JSON.map(lambda value: json.dumps(value).encode()) | st.data())
def test_any_signature_is_valid_or_refused(content: object):
    """Whatever bytes lie there, the right ones alone pass."""
    manifest = b'{"schema": "ampzoo.manifest/1"}'
    if not isinstance(content, bytes):
        draw = content.draw  # pyrefly: ignore
        document = {"schema": "ampzoo.signature/1", "key": public_key_hex(OTHER), "signature": "00" * 64}
        name = draw(st.sampled_from(sorted(document)))
        document[name] = draw(st.text(max_size=140) | st.text("0123456789abcdef", min_size=64, max_size=64) | JSON)
        content = json.dumps(document).encode()
    with pytest.raises(UserError) as refusal:
        check_signature("bob/tiny", manifest, content)
    assert refusal.value.message and isinstance(refusal.value, UserError)


def test_one_changed_bit_of_the_manifest_is_detected(tmp_path: Path):
    manifest = b'{"schema": "ampzoo.manifest/1"}'
    (tmp_path / MANIFEST).write_bytes(manifest)
    sign(tmp_path, OTHER)
    content = (tmp_path / SIGNATURE).read_bytes()
    assert check_signature("bob/tiny", manifest, content).startswith(f"signed by {public_key_hex(OTHER)}")
    for at_byte in range(len(manifest)):
        bent = bytearray(manifest)
        bent[at_byte] ^= 1
        with pytest.raises(IntegrityError, match="is not what"):
            check_signature("bob/tiny", bytes(bent), content)
