"""`make kills`: kill -9 in the middle of backups, restores, exports, imports and commands, repeatedly."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from tests.kills.life import Life


def main() -> None:
    rounds, seed = int(os.environ.get("KILLS", "20")), int(os.environ.get("SEED", "1"))
    with tempfile.TemporaryDirectory(prefix="kills-") as directory:
        life = Life(Path(directory), seed)
        for number in range(1, rounds + 1):
            life.play()
            print(f"round {number} of {rounds}: {life.interrupted} interrupted so far", flush=True)
    print(f"{rounds} rounds: everything ended with the right items (repeat: make kills SEED={seed} KILLS={rounds})")


main()
