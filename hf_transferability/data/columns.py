"""Which column holds the images, and how it is read without decoding them."""

import re
from typing import Any

import datasets

from hf_transferability.errors import UsageError, shown, unknown_name


def find_image_column(features: datasets.Features, requested: str | None) -> str:
    """The image column: the requested one, or the only one of type Image or Nifti.

    Raises:
        UsageError: it does not exist, holds something else, or cannot be told; the text names the columns.
    """
    image_columns = _image_columns(features)
    joined = next((name for name in features if len(features) == 1 and (";" in name or "\t" in name)), None)
    if joined is not None and requested not in features:
        raise UsageError(
            f"the table's columns must be separated by commas; got one column {shown(joined)}. Save it with commas."
        )
    if requested is not None:
        if requested not in features:
            raise UsageError(unknown_name("image_column", requested, features))
        feature = features[requested]
        kind = getattr(feature, "dtype", type(feature).__name__)
        stored = isinstance(feature, dict) and set(feature) == {"bytes", "path"}
        if not (requested in image_columns or stored or re.fullmatch(r"(large_)?(string|binary)", kind)):
            raise UsageError(
                f"`image_column` must hold one image, or the path of one, in each row; {requested} holds {kind}. "
                "Choose another column."
            )
        return requested
    if len(image_columns) != 1:
        what = (
            f"several image columns ({', '.join(image_columns)})"
            if image_columns
            else f"no image column among {', '.join(features)}"
        )
        raise UsageError(f"`image_column` must be named: there is {what}. Pass --image-column.")
    return image_columns[0]


def undecoded(table: Any, column: str) -> Any:
    """The dataset or stream with a column of encoded images: bytes and path."""
    if isinstance(table, datasets.IterableDataset) and any(getattr(f, "decode", False) for f in table.features.values()):
        table = table.decode(False)  # a stream may carry decoding of its own, which a cast does not switch off
    feature = table.features[column]
    kind = datasets.Nifti if isinstance(feature, datasets.Nifti) else datasets.Image
    if not isinstance(feature, kind) or feature.decode:
        table = table.cast_column(column, kind(decode=False))
    return table


def _image_columns(features: datasets.Features) -> list[str]:
    return [name for name, feature in features.items() if isinstance(feature, datasets.Image | datasets.Nifti)]
