"""Which library finds near duplicates: datasketch and rensa on the Python library's own sources, with planted ones.

    python benchmarks/near_duplicates.py

Each method runs in a process of its own and prints seconds of the processor, MB of text a second, memory above what was
there before, and the shares of planted pairs that were found, by how alike they are.
"""

from __future__ import annotations

import argparse
import random
import resource
import subprocess
import sys
import sysconfig
import time
from collections.abc import Iterator
from pathlib import Path

from zenplan.adapters.corpus.minhash import BANDS, HASHES, SHINGLE, alike, bands, shingles, signatures

THRESHOLD = 0.8
# Of the words of a planted copy, the share that is replaced.
CHANGED = (0.002, 0.01, 0.02, 0.05)
PIECE = 65_536


def texts(copies: int) -> tuple[list[str], list[tuple[int, int]]]:
    """Texts, then changed copies of some of them, and which is whose."""
    files = sorted(Path(sysconfig.get_path("stdlib")).rglob("*.py"))
    found: list[str] = []
    for file in files:
        if "site-packages" not in file.parts:
            text = file.read_text(encoding="utf-8", errors="ignore")
            found += [text[i : i + PIECE] for i in range(0, len(text), PIECE)]
    found = list(dict.fromkeys(text for text in found if len(text) > 500))
    draw, pairs = random.Random(0), list[tuple[int, int]]()  # noqa: S311 (no secret)
    for number, place in enumerate(draw.sample(range(len(found)), copies)):
        words, share = found[place].split(" "), CHANGED[number % len(CHANGED)]
        for _ in range(max(1, int(share * len(words)))):
            words[draw.randrange(len(words))] = f"changed{draw.randrange(10**6)}"
        pairs.append((place, len(found)))
        found.append(" ".join(words))
    return found, pairs


def with_datasketch(found: list[str]) -> set[tuple[int, int]]:
    """Signatures and tables of datasketch, in memory."""
    import datasketch

    index = datasketch.MinHashLSH(threshold=THRESHOLD, num_perm=HASHES)
    pairs = set()
    for number, text in enumerate(found):
        made = datasketch.MinHash(num_perm=HASHES)
        words = text.lower().split()
        made.update_batch([" ".join(words[i : i + SHINGLE]).encode() for i in range(len(words) - SHINGLE + 1)])
        pairs |= {(int(other), number) for other in index.query(made)}
        index.insert(str(number), made)
    return pairs


def with_rensa(found: list[str]) -> set[tuple[int, int]]:
    """Signatures and tables of rensa, in memory."""
    import rensa

    index = rensa.RMinHashLSH(threshold=THRESHOLD, num_perm=HASHES, num_bands=BANDS)
    pairs, kept = set(), []
    for number, text in enumerate(found):
        made, words = rensa.RMinHash(num_perm=HASHES, seed=1), text.lower().split()
        made.update([" ".join(words[i : i + SHINGLE]) for i in range(len(words) - SHINGLE + 1)])
        kept.append(made)
        pairs |= {(o, number) for o in index.query(made) if made.jaccard(kept[o]) >= THRESHOLD}
        index.insert(number, made)
    return pairs


def with_arrays(found: list[str]) -> set[tuple[int, int]]:
    """Signatures of rensa from hashed shingles, bands sorted in arrays: as ``zenplan data prepare`` does."""
    import numpy as np

    parts = [signatures(found[i : i + 256]) for i in range(0, len(found), 256)]
    signed = np.concatenate(parts)
    pairs = set()
    for band in bands(signed):
        order = np.argsort(band, kind="stable")
        for run in np.split(order, np.flatnonzero(np.diff(band[order])) + 1):
            for place, one in enumerate(run[:-1]):
                near = alike(signed[one], signed[run[place + 1 :]]) >= THRESHOLD
                pairs |= {(int(one), int(other)) for other in run[place + 1 :][near]}
    return pairs


METHODS = {"datasketch": with_datasketch, "rensa": with_rensa, "rensa, bands in arrays": with_arrays}


def measured(method: str, copies: int) -> str:
    """A row of the table."""
    found, planted = texts(copies)
    size = sum(len(text.encode()) for text in found)
    before, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    pairs = METHODS[method](found)
    took, memory = time.process_time() - start, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    shares = list(_shares(found, planted, pairs))
    return f"| {method} | {took:.1f} | {size / 1e6 / took:.1f} | {memory / 1024:.0f} | {' | '.join(shares)} |"


def _shares(found: list[str], planted: list[tuple[int, int]], pairs: set[tuple[int, int]]) -> Iterator[str]:
    def jaccard(one: int, other: int) -> float:
        a, b = set(shingles(found[one]).tolist()), set(shingles(found[other]).tolist())
        return len(a & b) / len(a | b)

    true = {pair: jaccard(*pair) for pair in planted}
    for low, high in ((0.9, 1.01), (THRESHOLD, 0.9), (0.0, 0.7)):
        within = [pair for pair, share in true.items() if low <= share < high]
        yield f"{sum(pair in pairs for pair in within)} of {len(within)}"
    wrong = sum(jaccard(*pair) < THRESHOLD - 0.1 for pair in pairs)
    yield f"{wrong} of {len(pairs)}"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--method", choices=METHODS)
    parser.add_argument("--copies", type=int, default=400)
    given = parser.parse_args()
    if given.method:
        print(measured(given.method, given.copies))
        return
    print("| method | CPU s | MB/s | MB of memory | found, ≥ 0.9 | 0.8 to 0.9 | below 0.7 | wrong, of all found |")
    print("|---|---:|---:|---:|---:|---:|---:|---:|", flush=True)
    for method in METHODS:
        subprocess.run([sys.executable, __file__, "--method", method, "--copies", str(given.copies)], check=True)


if __name__ == "__main__":
    main()
