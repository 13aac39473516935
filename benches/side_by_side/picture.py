"""Bar charts of ratios as SVG, light or dark by the reader's setting. Pure functions."""

from xml.sax.saxutils import escape

WIDTH, LINE, TOP, LEFT, RIGHT = 720, 26, 44, 130, 70
STYLE = (
    "text{font:13px sans-serif;fill:#222}.title{font-weight:bold}.bar{fill:#8aa4be}.own{fill:#d1602d}"
    ".one{stroke:#222;stroke-dasharray:3 3}"
    "@media(prefers-color-scheme:dark){text{fill:#ddd}.one{stroke:#ddd}}"
)


def bars(title, ratios, own):
    """A chart of [(name, ratio)], shortest first; names for which `own` is true are highlighted. None has no bar."""
    ranked = sorted(((name, value) for name, value in ratios if value is not None), key=lambda pair: pair[1])
    longest = max([1.0, *(value for _name, value in ranked)])
    unit = (WIDTH - LEFT - RIGHT) / longest
    height = TOP + LINE * len(ranked) + 10
    lines = [_bar(number, name, value, unit, own(name)) for number, (name, value) in enumerate(ranked)]
    one = LEFT + unit
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img">'
        f"<title>{escape(title)}</title><style>{STYLE}</style>"
        f'<text class="title" x="8" y="24">{escape(title)}</text>{"".join(lines)}'
        f'<line class="one" x1="{one:.1f}" y1="{TOP - 6}" x2="{one:.1f}" y2="{height - 6}"/></svg>\n'
    )


def _bar(number, name, value, unit, own):
    top = TOP + LINE * number
    length = max(value, 0) * unit
    kind = "own" if own else "bar"
    return (
        f'<text x="{LEFT - 8}" y="{top + 15}" text-anchor="end">{escape(name)}</text>'
        f'<rect class="{kind}" x="{LEFT}" y="{top + 2}" width="{length:.1f}" height="{LINE - 8}"/>'
        f'<text x="{LEFT + length + 6:.1f}" y="{top + 15}">{value:.2f}</text>'
    )
