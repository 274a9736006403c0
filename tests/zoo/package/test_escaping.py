"""Free text of a card is text: no HTML, no Markdown, no link, whatever a manifest or a person writes."""

from pathlib import Path

import pytest

from models.artifacts.names import EVAL
from models.core.files import write_json
from tests.support.makers import model
from tests.support.packages import evaluation, write_run, zoo
from zoo.package.build import PackageRequest, package
from zoo.package.card_schema import Terms
from zoo.package.escaping import card_link, escape_card
from zoo.package.front_matter import parse_card

HOSTILE = (
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "</audio><svg onload=alert(1)>",
    "[click](javascript:alert(1))",
    "![x](https://example.org/x.png)",
    "`code` **bold** _it_ ~~gone~~ | cell |",
    "&lt;script&gt;",
    "a\n\n# Heading\n\n<!-- ampzoo: end -->",
    "https://example.org www.example.org me@example.org",
    "\x1b[31m\u202e\u3164",
)


@pytest.mark.parametrize("text", HOSTILE)
def test_nothing_is_left_of_it_but_text(text: str):
    escaped = escape_card(text)
    assert not set(escaped.replace("&#", "").replace("&amp;", "")) & set("<>\"'[]|`*\\_~\n\x1b\u202e\u3164")
    assert "://" not in escaped and "www." not in escaped and "@" not in escaped


def test_length_is_bounded():
    assert len(escape_card("x" * 10_000)) == 200


@pytest.mark.parametrize("text", HOSTILE)
def test_a_recordings_license_in_a_card(tmp_path: Path, text: str):
    """Of a manifest, through the scores of the run."""
    run = write_run(tmp_path / "run")
    scores = evaluation(model()[1]).model_copy(update={"recordings_license": text})
    write_json(run / EVAL, scores.model_dump(mode="json", by_alias=True))
    card = (package(PackageRequest(run, tmp_path / "out", Terms(license="mit"))) / "README.md").read_text()
    assert f"The recordings' license: {escape_card(text)}." in card and text not in card
    assert card.count("<!-- ampzoo: end -->") == 1


def test_a_license_of_ones_own_in_a_card(tmp_path: Path):
    name, link = "My <b>terms</b>](javascript:x)", "javascript:alert(1)"
    terms = Terms(license="other", license_name=name, license_link=link)
    made = package(PackageRequest(write_run(tmp_path / "run"), tmp_path / "out", terms))
    front, page = parse_card((made / "README.md").read_text())
    assert front["license_name"] == name and name not in page and "](javascript" not in page and "<b>" not in page
    assert card_link("mine", "https://example.org/a b)<c>") == "[mine](https://example.org/a%20b%29%3Cc%3E)"
    assert card_link("mine", "http://[") == "mine (http&#58;//&#91;)"


def test_a_list_shows_no_unseen_characters(tmp_path: Path):
    from tests.support.packages import AMP, card, write_package

    write_package(tmp_path / AMP, {"README.md": card(license='"a\\u3164b\\u2800c\\u034f' + "\\u0301" * 200 + '"')})
    out = zoo("list", "--zoo", tmp_path).out
    assert "a?b?c?" in out and out.count("\u0301") <= 4
