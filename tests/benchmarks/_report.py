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
    ]
    lines += _of_runs(figures) if figures["cases"] else []
    lines += _of_limits(figures)
    return "\n".join(lines) + "\n"


def _of_runs(figures: dict[str, Any]) -> list[str]:
    lines = [
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
    return [*lines, ""]


def _of_limits(figures: dict[str, Any]) -> list[str]:
    """Return the parts that are no single runs: each with its target, and what was reached."""
    lines = [
        f"| two workers, {each['runs']} runs {each['case']} | 1.8 x one | {each['ratio']:.2f} x "
        f"| {max(each['one']):.0f} and {max(each['two']):.0f} runs/h |"
        for each in figures.get("workers", ())
    ]
    if packed := figures.get("sevenzip"):
        lines.append(
            f"| .7z of {packed['archive_bytes'] / 1e6:.0f} MB | 1.3 x bare LZMA | {packed['ratio']:.2f} x "
            f"| {packed['ours']['cpu']:.2f} and {packed['bare']['cpu']:.2f} s CPU |"
        )
    if "share" in (far := figures.get("s3", {})):
        size = f"{far['bytes'] / 1e6:.0f} MB"
        rates = [far["bytes"] / far[who]["wall"] / 1e6 for who in ("ours", "curl")]
        lines.append(
            f"| S3 object of {size}, {far['server']} | 80 % of curl | {far['share']:.0%} "
            f"| {rates[0]:.0f} and {rates[1]:.0f} MB/s; CPU {far['ours']['cpu']:.2f} and "
            f"{far['curl']['cpu']:.2f} s; {far['memory_mb']:.0f} MB of memory |"
        )
    lines += [
        f"| first run of a worker, {each['case']} | 2 s more | {each['extra']['wall']:.1f} s "
        f"| {each['extra']['cpu']:.1f} s CPU |"
        for each in figures.get("startup", ())
    ]
    targets = {"import covis_dask": "0.5 s", "--help": "0.7 s"}
    lines += [
        f"| {name} | {targets[name]} | {seconds:.2f} s | |"
        for name, seconds in figures.get("commands", {}).items()
    ]
    if many := figures.get("orchestration"):
        memory = ", ".join(f"{size:.0f} at {runs}" for runs, size in many["memory_mb"])
        lines += [
            f"| {many['runs']} runs that do nothing | 25 ms of driver and scheduler | "
            f"{many['cpu_ms_per_run']:.1f} ms | {many['runs_per_s']:.0f} runs/s; never more than "
            f"{many['most_flying']} in flight, of {many['window']} |",
            f"| their memory | flat | | MB: {memory} |",
            f"| plan of {many['plan_done_runs']} finished runs | 3 s | {many['plan_done_s']:.1f} s | |",
        ]
    return ["| what | target | reached | |", "|---|---|---|---|", *lines] if lines else []


def draw(figures: dict[str, Any], path: Path) -> None:
    """Draw the stages of every run beside its floor, and the memory of a large batch."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    bars = [
        (f"{name}\n{each['precision']}", each["stages"], case["floor"])
        for name, case in figures["cases"].items()
        for each in case["paths"]
    ]
    memory = figures.get("orchestration", {}).get("memory_mb", [])
    heights = [height for height in (0.7 * len(bars) + 1.2 if bars else 0, 2.0 if memory else 0) if height]
    if not heights:
        return
    figure, panels = plt.subplots(
        len(heights),
        figsize=(9, sum(heights) + 0.4),
        layout="constrained",
        height_ratios=heights,
        squeeze=False,
    )
    if bars:
        _draw_stages(panels[0, 0], bars)
    if memory:
        _draw_memory(panels[-1, 0], memory)
    figure.savefig(path, dpi=120)
    plt.close(figure)


def _draw_stages(axes: Any, bars: list[tuple[str, dict[str, float], float]]) -> None:
    """Draw each run in units of its own floor: seconds would hide the short ones."""
    left = [0.0] * len(bars)
    for stage in _ORDER:
        widths = [stages.get(stage, 0.0) / floor for _, stages, floor in bars]
        axes.barh(range(len(bars)), widths, left=left, label=stage)
        left = [a + b for a, b in zip(left, widths, strict=True)]
    axes.axvline(1.0, color="black", label="floor")
    for row, (_, stages, _) in enumerate(bars):
        axes.text(
            left[row] + 0.03,
            row,
            f"{sum(stages.values()):.1f} s",
            va="center",
            fontsize="small",
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 1},
        )
    axes.set_xlim(0, max(left) * 1.12)
    axes.set_yticks(range(len(bars)), [name for name, _, _ in bars])
    axes.invert_yaxis()
    axes.set_xlabel("CPU time of one thread, in units of the floor")
    axes.legend(ncols=len(_ORDER) + 1, fontsize="small", loc="lower center", bbox_to_anchor=(0.5, 1.0))


def _draw_memory(axes: Any, memory: list[tuple[int, float]]) -> None:
    axes.plot([runs for runs, _ in memory], [size for _, size in memory], marker="o")
    axes.set_ylim(bottom=0)
    axes.set_xlabel("runs that have ended")
    axes.set_ylabel("driver and scheduler, MB")
