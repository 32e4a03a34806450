# SPDX-License-Identifier: Apache-2.0
"""Writes one instance of the planner benchmark: a real model's shapes, devices of unlike speed, and budgets.

Usage: make_instance.py MODEL [--layers N] [--devices N] [--schemes N] [--budget SHARE] [--seed N] > problem.json

Times come from a roofline with the devices' rates and a seeded spread, KL from bits with a spread by layer, so that cost and
accuracy pull apart. Memory and KL are limited to SHARE of what the fastest plan would use.
"""

import argparse
import json
import random
import sys

# hidden, intermediate, layers, query heads, key-value heads, head dim, vocabulary
MODELS = {
    "0.6b": (1024, 3072, 28, 16, 8, 128, 151936),
    "4b": (2560, 9728, 36, 32, 8, 128, 151936),
    "8b": (4096, 12288, 36, 32, 8, 128, 151936),
    "32b": (5120, 25600, 64, 64, 8, 128, 151936),
    "70b": (8192, 28672, 80, 64, 8, 128, 128256),
}

# name, bits of a weight, share of peak rate that a product reaches, KL of a whole model in it
SCHEMES = [
    ("bf16", 16, 1.0, 0.0), ("fp8", 8, 2.0, 4e-3), ("w8a8_dynamic", 8, 2.0, 6e-3), ("w8a8", 8, 2.1, 1.2e-2),
    ("w8a16", 8, 0.9, 1e-3), ("q8_0", 8.5, 0.8, 8e-4), ("q5_1", 6, 0.7, 5e-3), ("q5_0", 5.5, 0.7, 7e-3),
    ("w4a16", 4.25, 0.85, 2e-2), ("q4_1", 5, 0.75, 1.6e-2), ("w4a8", 4.25, 1.8, 3e-2), ("w4a4", 4, 3.5, 3e-1),
]

# name, GB/s of memory, Tera-operations a second in bf16, GiB, GB/s and us to the others
DEVICES = [
    ("cpu", 80, 1.5, 256, 20, 3), ("npu_a", 1200, 280, 32, 24, 12), ("npu_b", 200, 70, 24, 12, 18),
    ("gpu_a", 450, 60, 16, 20, 9), ("gpu_b", 270, 25, 12, 10, 11),
]


def linear_shapes(model):
    hidden, inner, _, heads, kv_heads, head_dim, _ = model
    attention = [("self_attn.q_proj", heads * head_dim, hidden), ("self_attn.k_proj", kv_heads * head_dim, hidden),
                 ("self_attn.v_proj", kv_heads * head_dim, hidden), ("self_attn.o_proj", hidden, heads * head_dim)]
    mlp = [("mlp.gate_proj", inner, hidden), ("mlp.up_proj", inner, hidden), ("mlp.down_proj", hidden, inner)]
    return attention, mlp


def weight_bytes(scheme, n, k):
    return int(n * k * scheme[1] / 8)


def linear_kl(rng, name, layer, layers, shares):
    """By scheme what a linear loses, of `shares` that a mean one loses."""
    # The first and the last layers are the sensitive ones, and down_proj more than the rest.
    where = 1.0 + 4.0 * (layer in (0, 1, layers - 1)) + 1.5 * ("down" in name)
    own = where * rng.lognormvariate(0.0, 0.7)
    return [float(f"{share * own * rng.uniform(0.8, 1.25):.4g}") for share in shares]


class Maker:
    def __init__(self, args):
        self.rng = random.Random(args.seed)
        self.model = MODELS[args.model]
        self.layers = args.layers or self.model[2]
        self.devices = DEVICES[:args.devices]
        self.schemes = SCHEMES[:args.schemes]
        self.prompt, self.generate, self.batch = 512, 128, 1
        self.args = args

    def cost(self, device, scheme, n, k, tokens):
        spread = self.rng.uniform(0.8, 1.25)
        reading = weight_bytes(scheme, n, k) / device[1]
        working = 2.0 * n * k * tokens / (device[2] * 1e3 * scheme[2])
        return {"ns": round(spread * max(reading, working) + 1500, 1), "energy_nj": round(reading * 20 + working * 50),
                "workspace_bytes": tokens * (n + k) * 4, "source": "roofline"}

    def linear_class(self, name, n, k):
        cells = []
        for device in self.devices:
            for scheme in self.schemes:
                if device[0].startswith("gpu") and scheme[0] in ("w4a4", "w8a8"):
                    continue
                cells.append({
                    "host": device[0], "scheme": scheme[0], "kernel": f"linear_{scheme[0]}", "layout": "packed",
                    "load_bytes": weight_bytes(scheme, n, k),
                    "parts": [{"device": device[0], "n_begin": 0, "n_end": n, "weight_bytes": weight_bytes(scheme, n, k)}],
                    "prefill": self.cost(device, scheme, n, k, self.prompt * self.batch),
                    "decode": self.cost(device, scheme, n, k, self.batch)})
        return {"name": name, "N": n, "K": k, "cells": cells, "refusals": []}

    def site(self, device, nbytes, prefill_work, decode_work):
        def cost(tokens, work):
            return {"ns": round(work / device[1] * self.rng.uniform(0.8, 1.25) + 4000, 1), "energy_nj": round(work / 50),
                    "workspace_bytes": tokens * self.model[0] * 16, "source": "roofline"}
        return {"device": device[0], "resident_bytes": int(nbytes), "prefill": cost(self.prompt * self.batch, prefill_work),
                "decode": cost(self.batch, decode_work)}

    def make(self):
        hidden, inner, _, heads, kv_heads, head_dim, vocabulary = self.model
        attention, mlp = linear_shapes(self.model)
        context = self.prompt + self.generate
        kv = 2 * context * self.batch * kv_heads * head_dim * 2
        classes = {}
        for name, n, k in attention + mlp:
            classes.setdefault(f"linear {n}x{k}", (n, k))
        ends = vocabulary * hidden * 2
        tokens = self.prompt * self.batch
        segment_classes = [
            ("embedding", False, ends, tokens * hidden * 8, self.batch * hidden * 8),
            ("attention", True, kv, tokens * hidden * 60 + kv, kv + hidden * 60), ("mlp", False, hidden * 8, tokens * inner * 12, inner * 12),
            ("head", False, ends, ends, ends)]
        problem = {
            "format": "tessera plan problem", "version": 1, "objective": "latency",
            "workload": {"prompt": self.prompt, "generate": self.generate, "batch": self.batch}, "split_phases": self.args.split,
            "model_fingerprint": f"{self.args.model} x {self.layers}", "limits": {}, "rules": [],
            "pools": [{"name": d[0], "bytes": d[3] << 30} for d in self.devices],
            "devices": [{"name": d[0], "clock": "wall", "pool": d[0], "compute": i, "stage_bytes": 1 << 20, "fingerprint": "made"}
                        for i, d in enumerate(self.devices)],
            "transfers": [{"from": a[0], "to": b[0], "points": [
                {"bytes": 0, "ns": 1000.0 * (a[5] + b[5])},
                {"bytes": 1 << 30, "ns": 1000.0 * (a[5] + b[5]) + (1 << 30) / min(a[4], b[4])}]}
                for a in self.devices for b in self.devices if a is not b],
            "schemes": [s[0] for s in self.schemes],
            "linear_classes": [self.linear_class(name, n, k) for name, (n, k) in classes.items()],
            "segment_classes": [{"name": name, "keeps_kv": keeps, "sites": [self.site(d, b, p, w) for d in self.devices], "refusals": []}
                                for name, keeps, b, p, w in segment_classes],
            "segments": self.segments(attention, mlp, hidden),
        }
        self.add_limits(problem)
        return problem

    def linears(self, layer, shapes, count):
        out = []
        for name, n, k in shapes:
            out.append({"name": f"layers.{layer}.{name}", "class": f"linear {n}x{k}",
                        "kl": linear_kl(self.rng, name, layer, self.layers, [s[3] / count for s in self.schemes])})
        return out

    def segments(self, attention, mlp, hidden):
        count = self.layers * (len(attention) + len(mlp))
        wide, narrow = self.prompt * self.batch * hidden * 4, self.batch * hidden * 4

        def segment(name, layer, kind, linears):
            return {"name": name, "layer": layer, "class": kind, "prefill_out_bytes": wide, "decode_out_bytes": narrow, "linears": linears}
        out = [segment("embedding", -1, "embedding", [])]
        for layer in range(self.layers):
            out.append(segment(f"layers.{layer}.self_attn", layer, "attention", self.linears(layer, attention, count)))
            out.append(segment(f"layers.{layer}.mlp", layer, "mlp", self.linears(layer, mlp, count)))
        return out + [segment("head", 2147483647, "head", [])]

    def add_limits(self, problem):
        """Limits at a share of what the fastest choice of each linear would use on its fastest device."""
        share = self.args.budget
        kl = 0.0
        need = {d[0]: 0 for d in self.devices}
        classes = {c["name"]: c for c in problem["linear_classes"]}
        for segment in problem["segments"]:
            for linear in segment["linears"]:
                best = min(classes[linear["class"]]["cells"], key=lambda c: c["prefill"]["ns"] + self.generate * c["decode"]["ns"])
                kl += linear["kl"][problem["schemes"].index(best["scheme"])]
                need[best["host"]] += best["parts"][0]["weight_bytes"]
        problem["limits"]["kl"] = float(f"{share * kl:.4g}")
        for pool in problem["pools"]:
            if need[pool["name"]] > 0:
                pool["bytes"] = min(pool["bytes"], int(share * need[pool["name"]]))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("model", choices=MODELS)
    parser.add_argument("--layers", type=int)
    parser.add_argument("--devices", type=int, default=5)
    parser.add_argument("--schemes", type=int, default=12)
    parser.add_argument("--budget", type=float, default=0.5)
    parser.add_argument("--seed", type=int, default=42)
    parser.add_argument("--split", action="store_true")
    json.dump(Maker(parser.parse_args()).make(), sys.stdout, indent=1)
    print()


if __name__ == "__main__":
    main()
