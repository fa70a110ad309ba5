"""A drawing as a file of its own: with the colours that it otherwise takes from its page, and a ground to stand on."""

from qcen_core.visualization.report_style import COLORS


def standalone_svg(drawing: str) -> str:
    """Make a drawing readable wherever it is shown, light or dark.

    Args:
        drawing: one `<svg>` element that uses the page's custom properties, as `draw_chart` gives it.

    Returns:
        The element with the colours inside and a filled ground behind.
    """
    head, _, content = drawing.partition(">")
    style = f"<style>{COLORS}svg {{ color: var(--ink); }}</style>"
    return f'{head}>{style}<rect width="100%" height="100%" rx="10" style="fill: var(--card)"/>{content}\n'
