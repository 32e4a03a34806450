# SPDX-License-Identifier: Apache-2.0
"""Makes a problem hard: accuracy that costs what it is worth, dear edges, and limits far below what the fastest plan takes.

Usage: harden.py PROBLEM.json [--kl SHARE] [--memory SHARE] [--all-pools] [--correlated] [--slow-edges] [--seed N] > harder.json

KL is limited to --kl of what the fastest plan without any limit loses, and each memory pool to --memory of what that plan
holds there, or with --all-pools of what it holds in all.  With --correlated a linear loses in proportion to the time that a precision saves;
with --slow-edges every third pair of devices copies a step's tensor no faster than its receiver runs a segment.
"""

import argparse
import json
import pathlib
import random
import sys

PHASES = ("prefill", "decode")


class Model:
    """What a problem's segments take, whatever the limits."""

    def __init__(self, problem):
        self.problem = problem
        self.devices = [d["name"] for d in problem["devices"]]
        self.linears = {c["name"]: c for c in problem["linear_classes"]}
        self.sites = {c["name"]: {s["device"]: s for s in c["sites"]} for c in problem["segment_classes"]}
        self.curves = {(t["from"], t["to"]): t["points"] for t in problem["transfers"]}

    def ns(self, cost):
        return cost["prefill"]["ns"] + self.problem["workload"]["generate"] * cost["decode"]["ns"]

    def fastest_cell(self, name, device):
        """Of those that run in both phases; None if there is none."""
        cells = [c for c in self.linears[name]["cells"] if c["host"] == device and all(p in c for p in PHASES)]
        return min(cells, key=self.ns, default=None)

    def segment(self, segment, device):
        """(time, bytes, KL) of a segment as fast as it gets on a device; None where it does not run."""
        site = self.sites[segment["class"]].get(device)
        if site is None:
            return None
        ns, held, kl = self.ns(site), site["resident_bytes"], 0.0
        for linear in segment["linears"]:
            cell = self.fastest_cell(linear["class"], device)
            if cell is None:
                return None
            ns += self.ns(cell)
            held += sum(part["weight_bytes"] for part in cell["parts"])
            kl += linear["kl"][self.problem["schemes"].index(cell["scheme"])]
        return ns, held, kl

    def copy_ns(self, start, end, nbytes):
        points = self.curves[start, end]
        if len(points) == 1:
            return points[0]["ns"]
        # Straight lines, the last two points' beyond them.
        left, right = next(((a, b) for a, b in zip(points, points[1:]) if nbytes <= b["bytes"]), points[-2:])
        slope = (right["ns"] - left["ns"]) / (right["bytes"] - left["bytes"])
        return max(left["ns"] + slope * (nbytes - left["bytes"]), points[0]["ns"])

    def edge_ns(self, segment, start, end):
        if start == end:
            return 0.0
        generate = self.problem["workload"]["generate"]
        return (self.copy_ns(start, end, segment["prefill_out_bytes"]) +
                generate * self.copy_ns(start, end, segment["decode_out_bytes"]))

    def fastest_plan(self):
        """(bytes by device, KL) of the fastest plan without limits: a shortest path over devices."""
        paths = {}  # by the last device: (time, devices)
        before = None
        for segment in self.problem["segments"]:
            here = {d: self.segment(segment, d) for d in self.devices}
            ends = {}
            for end, use in here.items():
                if use is None:
                    continue
                ways = [(ns + self.edge_ns(before, start, end), path) for start, (ns, path) in paths.items()]
                ns, path = min(ways) if ways else (0.0, ())
                ends[end] = (ns + use[0], path + (end,))
            paths, before = ends, segment
        _, path = min(paths.values())
        held, kl = dict.fromkeys(self.devices, 0), 0.0
        for segment, device in zip(self.problem["segments"], path):
            _, nbytes, lost = self.segment(segment, device)
            held[device] += nbytes
            kl += lost
        return held, kl


def correlate(model, rng):
    """A linear in a precision loses what that saves of its time on the device that saves most, within a tenth."""
    problem = model.problem
    lost = {}
    for name, entry in model.linears.items():
        exact = {c["host"]: model.ns(c) for c in entry["cells"] if c["scheme"] == problem["schemes"][0]}
        lost[name] = [max([0.0] + [exact[c["host"]] - model.ns(c) for c in entry["cells"]
                                   if c["scheme"] == scheme and c["host"] in exact]) for scheme in problem["schemes"]]
    most = sum(max(lost[linear["class"]]) for segment in problem["segments"] for linear in segment["linears"])
    for segment in problem["segments"]:
        for linear in segment["linears"]:
            linear["kl"] = [float(f"{ns / most * rng.uniform(0.9, 1.1):.4g}") for ns in lost[linear["class"]]]


def slow_edges(model, rng):
    """Every third pair, either way: a step's copy takes one to three times a segment on its receiver, in both phases."""
    segments = [s for s in model.problem["segments"] if s["linears"]]
    for index, curve in enumerate(model.problem["transfers"]):
        if index % 3 != 0:
            continue
        points = []
        for phase in PHASES:
            took = []
            for segment in segments[:2]:
                site = model.sites[segment["class"]].get(curve["to"])
                cells = [model.fastest_cell(linear["class"], curve["to"]) for linear in segment["linears"]]
                if site is not None and None not in cells:
                    took.append(site[phase]["ns"] + sum(cell[phase]["ns"] for cell in cells))
            if took:
                points.append({"bytes": segments[0][f"{phase}_out_bytes"], "ns": round(max(took) * rng.uniform(1.0, 3.0), 1)})
        if len(points) == 2:
            curve["points"] = sorted(points, key=lambda point: point["bytes"])


def limit(model, kl_share, memory_share, all_pools):
    problem = model.problem
    held, kl = model.fastest_plan()
    if kl_share is not None:
        problem["limits"]["kl"] = float(f"{kl_share * kl:.4g}")
    if memory_share is not None:
        for pool in problem["pools"]:
            taken = sum(held[d["name"]] for d in problem["devices"] if all_pools or d["pool"] == pool["name"])
            if taken > 0:
                pool["bytes"] = min(pool["bytes"], int(memory_share * taken))


def harden(problem, args):
    rng = random.Random(args.seed)
    if args.correlated:
        correlate(Model(problem), rng)
    if args.slow_edges:
        slow_edges(Model(problem), rng)
    limit(Model(problem), args.kl, args.memory, args.all_pools)
    return problem


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("problem", type=pathlib.Path)
    parser.add_argument("--kl", type=float)
    parser.add_argument("--memory", type=float)
    parser.add_argument("--all-pools", action="store_true")
    parser.add_argument("--correlated", action="store_true")
    parser.add_argument("--slow-edges", action="store_true")
    parser.add_argument("--seed", type=int, default=42)
    args = parser.parse_args()
    json.dump(harden(json.loads(args.problem.read_text()), args), sys.stdout, separators=(",", ":"))
    print()


if __name__ == "__main__":
    main()
