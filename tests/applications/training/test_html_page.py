from zorro_keras.applications.training.html_page import facts, image, not_read, page, percent, table

EVIL, HARMLESS = "<b>&", "&lt;b&gt;&amp;"


def test_what_comes_from_outside_is_escaped_everywhere():
    for made in (page(EVIL, []), facts({"run": EVIL}, ["run"]), table([EVIL], [[EVIL]]), *not_read([EVIL])):
        assert HARMLESS in made and EVIL not in made
    assert 'alt="&quot;"' in image(b"", "png", '"')


def test_a_page_holds_its_parts_in_order_and_its_own_style_last():
    made = page("title", ["<p>one</p>", "<p>two</p>"], "p { color: red }")
    assert made.index("one") < made.index("two")
    assert made.index("font-size: 26px") < made.index("color: red")


def test_a_table_and_a_picture_are_what_a_browser_reads():
    assert table(("a", "b"), [(1, "x")]) == (
        "<table><tr><th>a</th><th>b</th></tr><tr><td>1</td><td>x</td></tr></table>"
    )
    assert image(b"abc", "png", "words") == '<img alt="words" src="data:image/png;base64,YWJj">'


def test_what_does_not_exist_is_a_dash_and_nothing_is_listed_for_nothing():
    assert percent(None) == "\N{EN DASH}" and percent(0.125) == "12.5\N{THIN SPACE}%"
    assert not_read([]) == [] and not_read(["x"] * 60)[0].count("<li>") == 50
