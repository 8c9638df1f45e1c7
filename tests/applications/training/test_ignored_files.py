from io import StringIO
from types import SimpleNamespace

from rich.console import Console

from zorro_keras.applications.training.ignored_files import report_ignored


def said(data):
    console = Console(file=StringIO(), width=400)
    report_ignored(data, console)
    return console.file.getvalue()


def test_ignored_files_are_counted_and_the_first_are_named():
    names = tuple(f"ant/[{number}].heic" for number in range(7))
    assert said(SimpleNamespace(ignored=names[:2])) == (
        "Note: ignored 2 files, of a kind that is not read here or on no list: ant/[0].heic, ant/[1].heic.\n"
    )
    assert said(SimpleNamespace(ignored=names[:1])).startswith("Note: ignored 1 file, of")
    assert said(SimpleNamespace(ignored=names)).endswith("ant/[4].heic and 2 more.\n")


def test_nothing_is_said_where_all_files_count():
    assert said(SimpleNamespace(ignored=())) == said(SimpleNamespace()) == ""
