# SPDX-License-Identifier: Apache-2.0
"""How fast a large model is quantized, against what its disk and cores allow.

Usage: TSR_BINARY_DIR=BUILD TSR_SOURCE_DIR=ROOT python3 bench_quantize.py FOLDER
                        [--gigabytes G] [--repeats N] [--gptq TEXT]

Needs room for the model twice in FOLDER.  Each run of rounding to nearest is followed by its limit: reading
the model and writing as many bytes as the result has, to the disk, with plain copies.  Both begin with the model out of
the page cache.  No test: the figures are for a machine that does nothing else.
"""

import argparse
import json
import os
import pathlib
import resource
import shutil
import subprocess
import sys
import time

BINARY = pathlib.Path(os.environ["TSR_BINARY_DIR"]) / "bin" / "tessera"
TOKENIZER = pathlib.Path(os.environ["TSR_SOURCE_DIR"]) / "models" / "tessera-5m" / "tokenizer.json"
WRITER = pathlib.Path(__file__).with_name("write_model.py")
PIECE = 16 << 20


def pieces_of(path):
    with path.open("rb", buffering=0) as file:
        while piece := file.read(PIECE):
            yield piece


def forget(paths):
    """Drops the page cache's copies of files, so that they are read from the disk."""
    for path in paths:
        with path.open("rb") as file:
            os.fsync(file.fileno())
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def copy_seconds(read, written, scratch):
    """Reads the files `read`, then copies the files `written` and waits for the disk."""
    begin = time.monotonic()
    for path in read:
        for _ in pieces_of(path):
            pass
    with scratch.open("wb", buffering=0) as out:
        for path in written:
            for piece in pieces_of(path):
                out.write(piece)
        os.fsync(out.fileno())
    seconds = time.monotonic() - begin
    scratch.unlink()
    return seconds


def quantize(model, output, words):
    """Seconds, processor seconds and the report."""
    shutil.rmtree(output, ignore_errors=True)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    begin = time.monotonic()
    text = subprocess.run([BINARY, "quantize", model, "-o", output, "--json", *words], check=True,
                          stdout=subprocess.PIPE).stdout
    seconds = time.monotonic() - begin
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    busy = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return seconds, busy, json.loads(text)


def measure(model, folder, words, repeats):
    output = folder / "quantized"
    best, limit = None, None
    inputs = sorted(model.glob("*.safetensors"))
    for _ in range(repeats):
        forget(inputs)
        run = quantize(model, output, words)
        best = run if best is None or run[0] < best[0] else best
        outputs = sorted(output.glob("*.safetensors"))
        forget([*inputs, *outputs])
        copied = copy_seconds(inputs, outputs, folder / "copy")
        limit = copied if limit is None else min(limit, copied)
    seconds, busy, report = best
    print(f"{' '.join(map(str, words))}: {seconds:.1f} s, copies {limit:.1f} s, "
          f"{100 * limit / seconds:.0f} % of the limit; {busy:.1f} processor seconds, "
          f"{busy / seconds:.2f} cores busy, {report['peak_rss_bytes'] / 1e6:.0f} MB at most", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--gigabytes", type=float, default=4)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--gptq", type=pathlib.Path, metavar="TEXT", help="calibrate with this text as well")
    args = parser.parse_args()
    model = args.folder / "model"
    if not (model / "config.json").exists():
        subprocess.run([sys.executable, WRITER, model, "--gigabytes", str(args.gigabytes), "--hidden", "2048",
                        "--tokenizer", TOKENIZER], check=True)
    measure(model, args.folder, ["--scheme", "w8a8_dynamic"], args.repeats)
    measure(model, args.folder, ["--scheme", "w4a16_g128"], args.repeats)
    if args.gptq:
        measure(model, args.folder,
                ["--scheme", "w4a16_g128", "--method", "gptq", "--calib", args.gptq], 1)


if __name__ == "__main__":
    main()
