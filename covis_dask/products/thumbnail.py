"""Small copies of quick looks, for reports and pages."""

import io

from PIL import Image

__all__ = ["thumbnail"]


def thumbnail(picture: bytes, width: int) -> bytes:
    """Make a picture smaller.

    Parameters
    ----------
    picture : bytes
        PNG.
    width : int
        Of the copy, in points; the height follows.

    Returns
    -------
    bytes
        PNG.

    Raises
    ------
    OSError
        When the bytes are no picture.
    """
    small = io.BytesIO()
    with Image.open(io.BytesIO(picture)) as image:
        image.thumbnail((width, width))
        image.convert("RGB").save(small, "PNG", optimize=True)
    return small.getvalue()
