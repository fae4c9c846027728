"""Places for panels on a sheet: true proportions, and one scale for all panels of a group.

A panel's *frame* is what it shows, in metres; a *region* is where panels may lie, in inches.
"""

from collections.abc import Sequence

__all__ = ["SHEET", "Box", "Frame", "Region", "around", "arrange"]

Range = tuple[float, float]
Frame = tuple[Range, Range]
"""Ranges across and up, m."""
Box = tuple[float, float, float, float]
"""Left, bottom, width, height as parts of the sheet."""
Region = tuple[float, float, float, float]
"""Left, bottom, right, top in inches."""

SHEET = (12.8, 7.2)
_GAP_ACROSS, _GAP_UP = 0.95, 0.95  # room for labels between panels, inches
_SHAPES = {
    1: (((0,),),),
    2: (((0,), (1,)), ((0, 1),)),
    3: (((0,), (1,), (2,)), ((0, 1), (2,)), ((0, 1, 2),)),
}
"""Number of panels to the ways of laying them out: columns of panels, each from the top down."""


def arrange(region: Region, frames: Sequence[Frame]) -> list[Box]:
    """Place one to three panels side by side or above each other, all at one scale, as large as they can be.

    Parameters
    ----------
    region : tuple of float
        Where the panels may lie; axis labels and titles stand outside it, and between panels.
    frames : sequence of Frame
        What each panel shows.
    """
    sizes = [(across[1] - across[0], up[1] - up[0]) for across, up in frames]
    left, bottom, right, top = region
    columns = max(_SHAPES[len(sizes)], key=lambda shape: _scale(region, sizes, shape))
    scale = _scale(region, sizes, columns)
    widths = [scale * max(sizes[index][0] for index in column) for column in columns]
    boxes: dict[int, Box] = {}
    x = left + (right - left - sum(widths) - _GAP_ACROSS * (len(columns) - 1)) / 2
    for column, width in zip(columns, widths, strict=True):
        height = scale * sum(sizes[index][1] for index in column) + _GAP_UP * (len(column) - 1)
        y = top - (top - bottom - height) / 2
        for index in column:
            across, up = (scale * side for side in sizes[index])
            y -= up
            boxes[index] = (
                (x + (width - across) / 2) / SHEET[0],
                y / SHEET[1],
                across / SHEET[0],
                up / SHEET[1],
            )
            y -= _GAP_UP
        x += width + _GAP_ACROSS
    return [boxes[index] for index in range(len(sizes))]


def _scale(region: Region, sizes: Sequence[tuple[float, float]], columns: Sequence[Sequence[int]]) -> float:
    """Return the inches per metre that a layout allows."""
    left, bottom, right, top = region
    across = sum(max(sizes[index][0] for index in column) for column in columns)
    scales = [(right - left - _GAP_ACROSS * (len(columns) - 1)) / across]
    for column in columns:
        up = sum(sizes[index][1] for index in column)
        scales.append((top - bottom - _GAP_UP * (len(column) - 1)) / up)
    return min(scales)


def around(boxes: Sequence[Box]) -> Box:
    """Return the box that holds all boxes."""
    left, bottom = (min(box[side] for box in boxes) for side in (0, 1))
    right, top = (max(box[side] + box[side + 2] for box in boxes) for side in (0, 1))
    return left, bottom, right - left, top - bottom
