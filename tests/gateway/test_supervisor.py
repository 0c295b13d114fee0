"""The supervisor before it starts anything."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path


def test_a_journal_whose_folder_cannot_be_made_is_told_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("no folder")
    environment = {**os.environ, "LOCKGATE_GATEWAY_JOURNAL": str(tmp_path / "taken" / "journal")}
    ran = subprocess.run(
        [sys.executable, "-m", "gateway"], env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert ran.returncode == 1
    said = ran.stdout + ran.stderr
    assert "name another one in LOCKGATE_GATEWAY_JOURNAL" in said
    assert "Traceback" not in said
