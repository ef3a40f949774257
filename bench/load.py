"""Loading a motion module of full size (v2, fp16, 909 MB): this pack against reading the file with its library alone.

Both map the file into memory, so opening it costs next to nothing and says next to nothing. What is timed is what a user
waits for: open, then copy every weight once into a staging buffer, as an upload to a GPU does. Every measurement is a
process of its own, the two sides taking turns: *first* with the file dropped from the system's cache, as after a start of
the machine, and *again* with the file in it. The limit is for the first load; loading again shows what our own work costs.

`python3 dev.py bench load` runs this file; the second form, with a reader and a path, is what it starts.
"""

from __future__ import annotations

import argparse
import gc
import importlib.util
import json
import os
import platform
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from types import ModuleType
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[1]
REPEATS = 3
TIME_LIMIT, MEMORY_LIMIT = 1.5, 0.15
FILES = ("v2.safetensors", "v2.ckpt", "v2_legacy.ckpt")


def pack(comfyui: Path) -> ModuleType:
    """This repository as a package, with ComfyUI importable beside it."""
    sys.path[:] = [entry for entry in sys.path if Path(entry or ".").resolve() not in (REPOSITORY, REPOSITORY / "bench")]
    sys.path.insert(0, str(comfyui))
    from comfy.cli_args import args

    args.cpu = True
    init = REPOSITORY / "__init__.py"
    spec = importlib.util.spec_from_file_location("animatediff_native", init, submodule_search_locations=[str(REPOSITORY)])
    if spec is None or spec.loader is None:
        raise ImportError(f"{init} cannot be imported.")
    module = importlib.util.module_from_spec(spec)
    sys.modules["animatediff_native"] = module
    spec.loader.exec_module(module)
    return module


def write_files(folder: Path) -> None:
    """The benchmark's files, seeded; kept for the next run."""
    import torch
    from animatediff_native.demo import synthetic
    from safetensors.torch import save_file

    if all((folder / name).is_file() for name in FILES):
        return
    folder.mkdir(parents=True, exist_ok=True)
    tensors = synthetic.motion_module(synthetic.SD15_CHANNELS, mid=True, positions=32, seed=0, dtype=torch.float16)
    save_file(tensors, folder / FILES[0])
    torch.save(tensors, folder / FILES[1])
    torch.save(tensors, folder / FILES[2], _use_new_zipfile_serialization=False)


def anonymous_bytes() -> int:
    """Memory of this process that is no file's. Linux only."""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) * 1024
    raise OSError("This system does not tell anonymous memory.")


class Peak(threading.Thread):
    """The highest anonymous memory while it runs, looked at every millisecond."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.highest = self.start_bytes = anonymous_bytes()
        self.running = True

    def run(self) -> None:
        while self.running:
            self.highest = max(self.highest, anonymous_bytes())
            time.sleep(0.001)

    def stop(self) -> int:
        """Bytes above the start."""
        self.running = False
        self.join()
        return max(self.highest, anonymous_bytes()) - self.start_bytes


def _readers() -> dict[str, Callable[[Path], Iterable[Any]]]:
    import torch
    from animatediff_native.sampling.modules.load import load_motion_module
    from safetensors.torch import load_file

    def library(path: Path) -> Iterable[Any]:
        if path.suffix == ".safetensors":
            return load_file(path).values()
        return torch.load(path, map_location="cpu", weights_only=True, mmap="legacy" not in path.name).values()

    return {"library": library, "ours": lambda path: load_motion_module(path).model.state_dict().values()}


def measure(reader: str, path: Path) -> dict[str, float]:
    """Seconds to open, seconds until every weight was copied, and peak anonymous bytes above the start."""
    import torch

    staging = torch.ones(64 << 20, dtype=torch.uint8)
    read = _readers()[reader]
    gc.collect()  # what importing left behind is nobody's loading time
    peak = Peak()
    peak.start()
    start = time.perf_counter()
    tensors = list(read(path))
    opened = time.perf_counter() - start
    for tensor in tensors:
        content = tensor.detach().contiguous().view(torch.uint8).flatten()
        staging[: content.numel()].copy_(content)
    return {"open": opened, "read": time.perf_counter() - start, "peak": peak.stop()}


def forget(path: Path) -> None:
    """Drop a file from the system's cache."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def _child(reader: str, path: Path) -> dict[str, float]:
    command = [sys.executable, str(Path(__file__)), "--reader", reader, "--path", str(path)]
    result = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, "OMP_NUM_THREADS": "2"})
    if result.returncode != 0:
        raise RuntimeError(f"The measurement of {path.name} with {reader} failed:\n{result.stderr[-2000:]}")
    return json.loads(result.stdout.splitlines()[-1])


def _medians(path: Path, cold: bool) -> dict[str, dict[str, float]]:
    """The middle of several measurements of each side, taken in turns."""
    taken: dict[str, list[dict[str, float]]] = {"library": [], "ours": []}
    for _ in range(REPEATS):
        for reader, results in taken.items():
            if cold:
                forget(path)
            results.append(_child(reader, path))
    keys = ("open", "read", "peak")
    return {reader: {key: statistics.median(r[key] for r in results) for key in keys} for reader, results in taken.items()}


def compare(path: Path) -> bool:
    """Print two lines about one file; whether it keeps the limits. Old pickles cannot be mapped: no limit of memory."""
    kept = True
    for occasion in ("first", "again"):
        middle = _medians(path, occasion == "first")
        ours, library = middle["ours"], middle["library"]
        ratio, share = ours["read"] / library["read"], ours["peak"] / path.stat().st_size
        sys.stdout.write(
            f"{path.name:14} {occasion}: ours {ours['read']:.2f} s (opened after {ours['open']:.2f}), library "
            f"{library['read']:.2f} s ({library['open']:.2f}), ratio {ratio:.2f}; peak {ours['peak'] / 1e6:.0f} MB = "
            f"{share:.3f} of the file, library {library['peak'] / 1e6:.0f} MB\n"
        )
        sys.stdout.flush()
        kept &= "legacy" in path.name or share <= MEMORY_LIMIT
        kept &= occasion == "again" or ratio <= TIME_LIMIT
    return kept


def main() -> int:
    """Read the command line; 1 when a limit is broken."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, help="where the benchmark's files are kept")
    parser.add_argument("--reader", choices=("library", "ours"))
    parser.add_argument("--path", type=Path)
    options = parser.parse_args()
    pack(Path(os.environ["COMFYUI_PATH"]))
    if options.reader:
        sys.stdout.write(json.dumps(measure(options.reader, options.path)) + "\n")
        return 0
    import torch

    write_files(options.folder)
    sys.stdout.write(f"{platform.machine()}, {os.cpu_count()} cores, torch {torch.__version__}, median of {REPEATS}\n")
    kept = [compare(options.folder / name) for name in FILES]
    sys.stdout.write(f"limits: time {TIME_LIMIT}, memory {MEMORY_LIMIT}: {'kept' if all(kept) else 'BROKEN'}\n")
    return 0 if all(kept) else 1


if __name__ == "__main__":
    sys.exit(main())
