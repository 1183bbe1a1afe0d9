"""The model cards of the weights that we ship are what the records say."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
WEIGHTS = ROOT / "results" / "weights"


def test_every_file_of_weights_has_a_card_and_the_cards_are_what_the_records_say(tmp_path):
    out = tmp_path / "README.md"
    subprocess.run([sys.executable, ROOT / "benchmarks" / "model_cards.py", out], check=True, capture_output=True)
    assert out.read_text() == (WEIGHTS / "README.md").read_text(), "`make results` writes it"
    files = sorted(file.name for file in WEIGHTS.glob("*.safetensors"))
    assert files
    for file in files:
        assert f"\n## {file}\n" in out.read_text()
