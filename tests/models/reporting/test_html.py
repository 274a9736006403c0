"""Pages hold everything they show, and no text becomes markup."""

import re

from models.reporting.html import Cell, drawing, figure, heading, notice, numbered_list, page, paragraph, table

MARKUP = "<b>&\"'</b>"


def test_all_text_is_escaped():
    parts = [
        heading(MARKUP),
        paragraph(MARKUP),
        numbered_list([MARKUP]),
        notice("fault", MARKUP, MARKUP),
        table([MARKUP], [[MARKUP], [Cell(MARKUP, "file")]]),
        figure(b"<svg/>", MARKUP),
    ]
    text = page(MARKUP, parts)
    assert text.count("&lt;b&gt;&amp;&quot;&#x27;&lt;/b&gt;") == 11
    assert re.findall("<b>.*?</b>", text) == ["<b>fault</b>"]


def test_page_needs_nothing_outside_it():
    text = page("amp", [figure(b'<svg xmlns="http://www.w3.org/2000/svg"/>', "picture")])
    assert "http" not in text
    assert "data:image/svg+xml;base64," in text


def test_backticks_make_code():
    assert paragraph("play `a <b>.wav` whole") == "<p>play <code>a &lt;b&gt;.wav</code> whole</p>"


def test_columns_of_numbers_are_aligned_to_the_right():
    text = table(["take", "delay", "note"], [["a", "-1.5", "2"], ["b", "-", "two"], ["c", "1e-05", ""]])
    assert re.findall("<th(?: [^>]*)?>.*?</th>", text) == [
        "<th>take</th>",
        '<th class="number">delay</th>',
        "<th>note</th>",
    ]
    assert [len(re.findall('class="number"', line)) for line in text.splitlines()] == [1, 1, 1, 1]


def test_cells_may_have_their_own_look():
    assert '<td class="changed">5</td>' in table(["gain"], [[Cell("5", "changed")]])


def test_a_drawing_shows_texts_under_the_pointer():
    svg = (
        b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"><metadata>http://x</metadata>'
        b'<g id="line2d_1"><a xlink:href="tip:a &lt;b&gt;" target="_blank"><path d="M0"/></a></g><g id="mabc"/></svg>'
    )
    text = drawing(svg, MARKUP)
    assert '<g class="tip"><title>a &lt;b&gt;</title><path d="M0"/></g>' in text
    assert "http://" not in text and "<?xml" not in text and "line2d_1" not in text
    assert 'id="mabc"' in text, "markers are used by their names"
    assert MARKUP not in text
