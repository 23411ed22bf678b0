"""Text for HTML pages."""

import html

from hf_transferability.escaping.terminal import printable


def text(value: object) -> str:
    """A value as the text of an element or of a quoted attribute; control characters and marks of direction are visible."""
    return html.escape(printable(str(value)), quote=True)
