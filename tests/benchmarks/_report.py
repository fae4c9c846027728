"""The figures as a table and as a picture."""

from pathlib import Path
from typing import Any

__all__ = ["draw", "table"]

_ORDER = ("read", "filter", "beams", "statistics", "detect", "grid", "other")


def table(figures: dict[str, Any]) -> str:
    """Return the figures as Markdown."""
    machine = figures["machine"]
    lines = [
        f"{machine['cpu']}, {machine['cores']} cores, Python {machine['python']}, NumPy {machine['numpy']}, "
        f"numba {machine['numba']}, {figures['date']}; load {machine['load']:.1f} when it began; "
        f"scale {figures['scale']}. CPU seconds of one thread, compiled code loaded.",
        "",
        "| run | path | floor | time | time / floor | baseline | faster by | write | peak memory |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for name, case in figures["cases"].items():
        for path in case["paths"]:
            baseline = case.get("baseline")
            lines.append(
                f"| {name} | {path['precision']} | {case['floor']:.2f} s | {path['cpu']:.2f} s "
                f"| {path['cpu'] / case['floor']:.2f} | "
                + (
                    f"{baseline['cpu']:.0f} s | {baseline['cpu'] / path['cpu']:.0f} x"
                    if baseline
                    else "- | -"
                )
                + f" | {path['write']['cpu']:.2f} s | {path['peak_mb']:.0f} MB |"
            )
    lines += [
        "",
        "| run | path | " + " | ".join(_ORDER) + " |",
        "|---|---" + "|---" * len(_ORDER) + "|",
    ]
    for name, case in figures["cases"].items():
        for path in case["paths"]:
            spent = " | ".join(f"{path['stages'].get(stage, 0.0):.2f}" for stage in _ORDER)
            lines.append(f"| {name} | {path['precision']} | {spent} |")
    lines += ["", "| run | archive | unpacked | gunzip | beamforming | sgemm |", "|---|---|---|---|---|---|"]
    for name, case in figures["cases"].items():
        lines.append(
            f"| {name} | {case['archive_bytes'] / 1e6:.0f} MB | {case['bytes'] / 1e6:.0f} MB "
            f"| {case['gunzip']['cpu']:.2f} s | {case['gflop']:.1f} GFLOP | {case['gflops']:.0f} GFLOP/s |"
        )
    return "\n".join(lines) + "\n"


def draw(figures: dict[str, Any], path: Path) -> None:
    """Draw the stages of every run beside its floor."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    bars = [
        (f"{name}\n{each['precision']}", each["stages"], case["floor"])
        for name, case in figures["cases"].items()
        for each in case["paths"]
    ]
    figure, axes = plt.subplots(figsize=(9, 0.7 * len(bars) + 1.6), layout="constrained")
    left = [0.0] * len(bars)
    for stage in _ORDER:
        widths = [stages.get(stage, 0.0) for _, stages, _ in bars]
        axes.barh(range(len(bars)), widths, left=left, label=stage)
        left = [a + b for a, b in zip(left, widths, strict=True)]
    for row, (_, _, floor) in enumerate(bars):
        axes.plot(
            [floor, floor], [row - 0.45, row + 0.45], color="black", label="floor" if row == 0 else None
        )
    axes.set_yticks(range(len(bars)), [name for name, _, _ in bars])
    axes.invert_yaxis()
    axes.set_xlabel("CPU seconds, one thread")
    axes.legend(ncols=4, fontsize="small")
    figure.savefig(path, dpi=120)
    plt.close(figure)
