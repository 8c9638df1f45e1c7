"""What the simple reports share: one file, pictures inside. Texts from outside are escaped."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

_STYLE = """
body { max-width: 1060px; margin: 40px auto; padding: 0 20px; color: #22262c;
       font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif; }
h1 { font-size: 26px; } h2 { font-size: 18px; margin-top: 32px; }
.big { font-size: 34px; font-weight: 650; margin-right: 8px; }
.soft { color: #667080; font-size: 13px; overflow-wrap: anywhere; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
td, th { padding: 4px 18px 4px 0; text-align: left; }
"""
_SHOWN = 50


def page(title: str, parts: Iterable[str], style: str = "") -> str:
    """Returns a whole page.

    Args:
        title: text, also the first heading.
        parts: HTML, from top to bottom.
        style: CSS of one's own, after that of all.
    """
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f"<style>{_STYLE}{style}</style></head>\n<body>\n<h1>{escape(title)}</h1>\n"
        + "\n".join(parts)
        + "\n</body></html>\n"
    )


def facts(report: Mapping[str, Any], names: Sequence[str]) -> str:
    """Returns a line that says of a report how it came about."""
    said = " &middot; ".join(f"{name}: {escape(str(report[name]), quote=False)}" for name in names)
    return f'<p class="soft">{said}</p>'


def table(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Returns a table of texts and numbers."""

    def row(kind: str, cells: Sequence[object]) -> str:
        return (
            "<tr>" + "".join(f"<{kind}>{escape(str(cell), quote=False)}</{kind}>" for cell in cells) + "</tr>"
        )

    return f"<table>{row('th', heads)}{''.join(row('td', cells) for cells in rows)}</table>"


def image(data: bytes, kind: str, text: str) -> str:
    """Returns a picture with its bytes inside, `kind` such as "png" or "svg+xml"."""
    encoded = base64.b64encode(data).decode("ascii")
    return f'<img alt="{escape(text)}" src="data:image/{kind};base64,{encoded}">'


def percent(value: float | None) -> str:
    """Returns a share as text; a dash where there is none."""
    return "\N{EN DASH}" if value is None else f"{100 * value:.1f}\N{THIN SPACE}%"


def not_read(ids: Sequence[str]) -> list[str]:
    """Returns the part that lists what could not be read; nothing where all was."""
    if not ids:
        return []
    items = "".join(f"<li>{escape(name)}</li>" for name in ids[:_SHOWN])
    return [f"<h2>Not read: see faults.jsonl of the run; the first {_SHOWN}</h2><ul>{items}</ul>"]
