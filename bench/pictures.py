"""The numbers that are better looked at, as SVG: no font and no clock of the machine gets into them."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from bench.rows import Row, shown

_OURS, _LIMIT, _ALERT = "#1f77b4", "#c7c7c7", "#d62728"


def draw(rows: Sequence[Row], figures: dict[str, Any], folder: Path) -> list[Path]:
    """All pictures of a whole run."""
    mpl.use("svg")
    plt.rcParams.update(
        {
            "svg.hashsalt": "tidemark",
            "svg.fonttype": "none",
            "font.size": 9,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "figure.constrained_layout.use": True,
        }
    )
    folder.mkdir(exist_ok=True)
    drawn = [
        ("throughput", _throughput(rows)),
        ("growth", _growth(figures["histories"], figures["syncs"])),
        ("reclaim", _reclaim(figures["reclaiming"])),
    ]
    paths = []
    for name, figure in drawn:
        paths.append(folder / f"{name}.svg")
        figure.savefig(paths[-1], metadata={"Date": None})
        plt.close(figure)
    return paths


def _throughput(rows: Sequence[Row]) -> Figure:
    """What is measured a second, as a part of its limit, and the budget as a mark."""
    wanted = [
        (row, row.ratio, row.budget)
        for row in reversed(rows)
        if row.unit.endswith("/s") and row.ratio is not None and row.budget is not None
    ]
    figure, axes = plt.subplots(figsize=(8, 0.55 * len(wanted) + 0.8))
    for place, (row, ratio, budget) in enumerate(wanted):
        axes.barh(place, ratio, color=_OURS if row.holds else _ALERT, height=0.6)
        axes.plot([budget, budget], [place - 0.4, place + 0.4], color="black", lw=2)
    names = [f"{row.name}: {shown(row.value)}\n{row.limit}" for row, _, _ in wanted]
    axes.set_yticks(range(len(wanted)), names, fontsize=7)
    axes.set_xscale("log")
    axes.axvline(1, color=_LIMIT, lw=1, zorder=0)
    axes.set_xlabel("ratio to the limit named; the black mark is the budget")
    return figure


def _growth(histories: dict[str, dict[str, list[float]]], syncs: dict[int, float]) -> Figure:
    """Latency against what lies behind it."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(8, 3))
    for name, label in (("page", "a page of 50"), ("clean", "a clean accepted")):
        sizes = {
            int(size.replace(",", "")): took for size, took in histories[name].items() if size[0].isdigit()
        }
        left.plot(list(sizes), [statistics.median(took) for took in sizes.values()], marker="o", label=label)
    left.set(xscale="log", xlabel="messages in the channel", ylabel="p50 over HTTP, ms")
    left.set_ylim(bottom=0)
    left.legend(frameon=False)
    right.plot(list(syncs), list(syncs.values()), marker="o", color=_OURS)
    right.set(
        xscale="log", yscale="log", xlabel="conversations of the user, 10 unread", ylabel="a sync, p50, ms"
    )
    return figure


def _reclaim(figures: dict[str, Any]) -> Figure:
    """Each read at a steady rate, and when reclaim ran."""
    figure, axes = plt.subplots(figsize=(8, 3))
    start = figures["reads"][0][0]
    buckets: dict[int, list[float]] = {}
    for at, took in figures["reads"]:
        buckets.setdefault(int((at - start) * 2), []).append(took)
    seconds = [bucket / 2 for bucket in buckets]
    for part, label, color in ((0.5, "p50", _OURS), (0.99, "p99", _ALERT)):
        quantile = [sorted(took)[int(part * (len(took) - 1))] for took in buckets.values()]
        axes.step(seconds, quantile, where="post", label=label, color=color)
    for number, (first, end) in enumerate(figures["spans"]):
        axes.axvspan(
            first - start, end - start, color=_LIMIT, alpha=0.4, label=None if number else "reclaim runs"
        )
    axes.set(xlabel="seconds", ylabel="a page of 50 over HTTP, ms")
    axes.set_ylim(bottom=0)
    axes.legend(frameon=False, loc="upper left")
    return figure
