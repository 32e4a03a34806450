# SPDX-License-Identifier: Apache-2.0
"""Makes an instance of a problem that `tessera plan --save-problem` wrote of simulated devices.

Usage: from_devices.py PROBLEM.json [--layers N] [--devices LIST] [--schemes LIST] [--seed N] > instance.json

Costs, bytes, refusals and devices stay what the devices say.  Random weights lose no accuracy that means anything, and
copies between simulated devices have no clock: both are made up, by seed and by table.  Kinds of linear that cost alike
are one; only the first layers stay if --layers says so.
"""

import argparse
import json
import pathlib
import random
import sys

from make_instance import linear_kl

# KL of a whole model in a scheme.
KL = {"w16a16": 0.0, "w8a16": 1e-3, "fp8": 4e-3, "w8a8_dynamic": 6e-3, "w4a16": 2e-2, "w4a8": 3e-2, "w4a4": 3e-1}

# GB/s and us of a device's own link to the others, by how its name begins; assumed.
LINKS = {"npu_sim:310b": (3.5, 20), "npu_sim:310p": (12, 12), "npu_sim:910b": (28, 8), "npu_sim:910c": (90, 5),
         "npu_sim:950": (100, 5)}


def link_of(device):
    return next(link for name, link in LINKS.items() if device.startswith(name))


def transfers(devices):
    """Over both devices' links, at the speed of the slower one; the receiver computes on while bytes arrive."""
    out = []
    for one in devices:
        for other in devices:
            if one == other:
                continue
            (rate, delay), (other_rate, other_delay) = link_of(one), link_of(other)
            begin = 1000.0 * (delay + other_delay)
            out.append({"from": one, "to": other, "overlap": 0.9, "points": [
                {"bytes": 0, "ns": begin}, {"bytes": 1 << 30, "ns": round(begin + (1 << 30) / min(rate, other_rate), 1)}]})
    return out


def merge_classes(problem):
    """Linears of one shape and one cost are one class."""
    named = {}
    kept = []
    for entry in problem["linear_classes"]:
        same = next((one for one in kept if one["N"] == entry["N"] and one["K"] == entry["K"] and one["cells"] == entry["cells"]),
                    None)
        if same is None:
            kept.append(entry)
        named[entry["name"]] = (same or entry)["name"]
    problem["linear_classes"] = kept
    for segment in problem["segments"]:
        for linear in segment["linears"]:
            linear["class"] = named[linear["class"]]


def keep_only(problem, devices, schemes):
    names = {"devices": set(devices), "schemes": set(schemes)}
    problem["devices"] = [d for d in problem["devices"] if d["name"] in names["devices"]]
    for index, device in enumerate(problem["devices"]):
        device["compute"] = index
        device["fingerprint"] = "made"
    problem["pools"] = [p for p in problem["pools"] if p["name"] in names["devices"]]
    problem["schemes"] = [s for s in problem["schemes"] if s in names["schemes"]]
    for entry in problem["linear_classes"]:
        entry["cells"] = [c for c in entry["cells"] if c["host"] in names["devices"] and c["scheme"] in names["schemes"]]
    for entry in problem["segment_classes"]:
        entry["sites"] = [s for s in entry["sites"] if s["device"] in names["devices"]]
    for entry in problem["linear_classes"] + problem["segment_classes"]:
        entry["refusals"] = [r for r in entry["refusals"] if r["device"] in names["devices"] and
                             r.get("scheme", "") in names["schemes"] | {""}]


def from_devices(problem, args):
    devices = [d["name"] for d in problem["devices"]]
    keep_only(problem, args.devices or devices, args.schemes or problem["schemes"])
    problem["transfers"] = transfers([d["name"] for d in problem["devices"]])
    layers = args.layers or 1 + max(s["layer"] for s in problem["segments"] if s["linears"])
    problem["segments"] = [s for s in problem["segments"] if not s["linears"] or s["layer"] < layers]
    merge_classes(problem)
    rng = random.Random(args.seed)
    count = sum(len(s["linears"]) for s in problem["segments"])
    for segment in problem["segments"]:
        for linear in segment["linears"]:
            linear["kl"] = linear_kl(rng, linear["name"], segment["layer"], layers,
                                     [KL[scheme] / count for scheme in problem["schemes"]])
    problem["model_fingerprint"] = f"{args.problem.stem} x {layers}"
    return problem


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("problem", type=pathlib.Path)
    parser.add_argument("--layers", type=int)
    parser.add_argument("--devices", type=lambda text: text.split(","))
    parser.add_argument("--schemes", type=lambda text: text.split(","))
    parser.add_argument("--seed", type=int, default=42)
    args = parser.parse_args()
    json.dump(from_devices(json.loads(args.problem.read_text()), args), sys.stdout, separators=(",", ":"))
    print()


if __name__ == "__main__":
    main()
