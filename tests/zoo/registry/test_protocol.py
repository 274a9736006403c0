"""The `Zoo` protocol: a shelf and a hub pass the same tests."""

from collections.abc import Callable
from pathlib import Path

import pytest

from models.artifacts.evaluation import Evaluation
from models.artifacts.names import EVAL
from models.core.errors import IntegrityError, NotFound
from tests.support.hub_server import Hub
from tests.support.packages import AMP, LICENSE, read_files, there
from zoo.names import Address, Ref
from zoo.package.layout import CARD, MANIFEST, NOT_COVERED
from zoo.package.manifest import PackageManifest, digest
from zoo.registry.protocol import Zoo
from zoo.registry.shelf import Shelf

REF = Ref(AMP)


@pytest.fixture(params=["shelf", "hub"])
def place(request: pytest.FixtureRequest, hub: Hub, tmp_path: Path) -> Zoo:
    """An empty zoo."""
    from zoo.registry.hub.hub import Hub as HubZoo

    return Shelf(tmp_path / "shelf") if request.param == "shelf" else HubZoo(Address(hub.url))


@pytest.fixture
def filled(place: Zoo, package: Path) -> Zoo:
    """The zoo with one amp."""
    place.push(place.plan(package, AMP))
    return place


def no_skip(message: str) -> None:
    raise AssertionError(message)


def test_empty_zoo_lists_nothing(place: Zoo):
    assert place.list(no_skip) == []


def test_pushed_amp_is_listed_with_its_revision(filled: Zoo):
    [row] = filled.list(no_skip)
    assert row.name == AMP
    assert row.license == LICENSE
    assert row.revision == filled.revision(REF)


def test_documents_sizes_and_bytes_are_those_of_the_package(filled: Zoo, package: Path):
    content = read_files(package)
    assert filled.document(REF, EVAL, Evaluation).parameters > 0
    assert set(filled.document(REF, MANIFEST, PackageManifest).files) == set(content) - set(NOT_COVERED)
    assert filled.front_matter(REF)["license"] == LICENSE
    sizes = filled.sizes(REF)
    assert set(sizes) == set(content)
    for name in set(content) - {CARD}:
        assert filled.read(REF, name) == content[name]
        assert sizes[name] == len(content[name])


def test_pulled_amp_is_the_pushed_package(filled: Zoo, package: Path, tmp_path: Path):
    pulled = filled.pull(REF, tmp_path / "amp")
    found = read_files(tmp_path / "amp")
    assert {**found, CARD: b""} == {**read_files(package), CARD: b""}
    assert found[CARD] in (read_files(package)[CARD], there(read_files(package))[CARD])
    assert pulled.revision == filled.revision(REF)
    assert pulled.manifest == digest(package)
    assert pulled.files == len(found)
    assert pulled.signer == "not signed"


def test_pull_reports_its_progress_to_the_end(filled: Zoo, tmp_path: Path):
    reported: list[tuple[float, float]] = []
    filled.pull(REF, tmp_path / "amp", on_progress=lambda done, total: reported.append((done, total)))
    done, total = reported[-1]
    assert done == total == sum(filled.sizes(REF).values())


def test_second_push_has_nothing_to_write(filled: Zoo, package: Path):
    plan = filled.plan(package, AMP)
    assert not plan.writes and not plan.removes
    assert plan.unchanged == len(read_files(package))
    assert plan.head == filled.revision(REF)


def test_pull_against_another_pin_is_refused(filled: Zoo, tmp_path: Path):
    with pytest.raises(IntegrityError, match="pinned is 000000000000"):
        filled.pull(REF, tmp_path / "amp", pin="0" * 64)
    assert not (tmp_path / "amp").exists()


@pytest.mark.parametrize(
    "ask",
    [
        lambda zoo: zoo.revision(Ref("alice/none")),
        lambda zoo: zoo.sizes(Ref("alice/none")),
        lambda zoo: zoo.front_matter(Ref("alice/none")),
        lambda zoo: zoo.document(Ref("alice/none"), EVAL, Evaluation),
        lambda zoo: zoo.pull(Ref("alice/none"), Path("amp")),
    ],
    ids=["revision", "sizes", "front_matter", "document", "pull"],
)
def test_unknown_amp_is_not_found(filled: Zoo, ask: Callable[[Zoo], object]):
    with pytest.raises(NotFound, match="no amp 'alice/none'"):
        ask(filled)
