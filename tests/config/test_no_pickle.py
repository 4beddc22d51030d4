"""What is read is data and never a program: no pickle, no code that comes with a model, no YAML that makes objects."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
ROOMS = ("annotation", "training", "evaluation", "config", "client")
FILES = [path for room in ROOMS for path in sorted((REPOSITORY / room).rglob("*.py"))]
UNPICKLERS = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
LOADERS = {
    "torch.load",
    "numpy.load",
    "np.load",
    "pandas.read_pickle",
    "pd.read_pickle",
    "yaml.load",
    "yaml.unsafe_load",
}
WEIGHTS = ("AutoModel", "AutoModelForCausalLM", "AutoModelForSequenceClassification")


def unsafe(source: str) -> Iterator[str]:
    """What of a file would run what it reads, in words."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (one.name for one in node.names if one.name.partition(".")[0] in UNPICKLERS)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] in UNPICKLERS:
            yield str(node.module)
        elif isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            said = {one.arg or ast.unparse(one.value): ast.unparse(one.value) for one in node.keywords}
            if called in LOADERS or called in {"eval", "exec"}:
                yield called
            if said.get("trust_remote_code", "False") != "False" or said.get("allow_pickle", "False") != "False":
                yield f"{called} of what it is not to trust"
            loads = called.endswith(".from_pretrained") and called.removesuffix(".from_pretrained") in WEIGHTS
            if loads and not {"safely", "AS_DATA", "models.AS_DATA"} & set(said):
                yield f"{called} without use_safetensors"


@pytest.mark.parametrize("room", ROOMS)
def test_nothing_that_is_read_can_run(room):
    found = [
        (path, one) for path in FILES if path.is_relative_to(REPOSITORY / room) for one in unsafe(path.read_text())
    ]
    assert not found


@pytest.mark.parametrize(
    "source",
    [
        *("import pickle", "from joblib import load", "torch.load('a.bin')", "yaml.load(text)", "eval(text)"),
        *("AutoModel.from_pretrained(base)", "AutoTokenizer.from_pretrained(base, trust_remote_code=True)"),
        *("AutoModel.from_pretrained(base, trust_remote_code=asked)", "archive.load(file, allow_pickle=True)"),
    ],
)
def test_what_could_is_seen(source):
    assert list(unsafe(source))
