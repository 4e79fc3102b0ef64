"""What the export tools share: versions, state dicts read and checked, errors with an exit code."""
import hashlib
import importlib.metadata
import pathlib
import sys

import torch

SHOWN = 20


def fail(code, message):
    print(f"{pathlib.Path(sys.argv[0]).stem}: {message}", file=sys.stderr)
    sys.exit(code)


def check_versions(versions):
    """Stops unless the packages are those that the tool was tested with."""
    for package, wanted in versions.items():
        found = importlib.metadata.version(package).split("+")[0]
        if found != wanted:
            fail(6, f"{package} is {found}, expected {wanted}; pip install {package}=={wanted}")


def sha256(path):
    return hashlib.sha256(pathlib.Path(path).read_bytes()).hexdigest()


def load(path):
    """The tensors of a file by name."""
    try:
        # weights_only: a pickle may run code, a table of tensors may not.
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged pickle raises whatever its bytes lead to
        fail(4, f"{path} is not a file of weights: {str(error).splitlines()[0].split('. ')[0]}")
    if not isinstance(state, dict) or not all(isinstance(value, torch.Tensor) for value in state.values()):
        fail(4, f"{path}: expected a state dict (names to tensors), found {type(state).__name__}")
    return state


def check_tensors(state, shapes, what):
    """Names what is missing, surplus or of another shape than in `shapes`."""
    found = {name: tuple(tensor.shape) for name, tensor in state.items()}
    lines = [f"missing {name} {shape}" for name, shape in shapes.items() if name not in found]
    lines += [f"surplus {name} {shape}" for name, shape in found.items() if name not in shapes]
    lines += [f"{name}: expected {shape}, got {found[name]}" for name, shape in shapes.items()
              if found.get(name, shape) != shape]
    if lines:
        more = [f"and {len(lines) - SHOWN} more"] if len(lines) > SHOWN else []
        fail(4, f"not the state dict of {what}, {len(lines)} tensors differ:\n  " + "\n  ".join(lines[:SHOWN] + more))
