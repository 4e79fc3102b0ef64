#!/usr/bin/env python3
"""Turn torchvision's ResNet18 weights into the safetensors file that `train.init` reads.

usage: export_torchvision.py WEIGHTS.pth OUT.safetensors
WEIGHTS is a state dict of torchvision.models.resnet18, such as resnet18-f37072fd.pth (ImageNet), with any number of classes and
of input channels. Values are not changed; the counters of batch norm are left out, nothing uses them.

Needs torch 2.11.0 and safetensors 0.8.0: pip install -r tools/torchvision_requirements.txt
exit codes: 0 done; 2 usage; 4 not the state dict of this network; 6 the versions are others
"""
import argparse
import pathlib

from safetensors.torch import save_file

from state_dict import check_tensors, check_versions, fail, load, sha256

VERSIONS = {"torch": "2.11.0", "safetensors": "0.8.0"}
IGNORED = "num_batches_tracked"
# A tensor that only another architecture of torchvision has, and its name. The first that is found counts.
OTHERS = [("layer1.0.conv3.weight", "a ResNet of 50 layers or more (bottleneck blocks)"), ("layer1.2.conv1.weight", "ResNet34"),
          ("features.denseblock1.denselayer1.conv1.weight", "DenseNet"), ("features.0.0.weight", "MobileNet, EfficientNet or ConvNeXt"),
          ("features.0.weight", "AlexNet, VGG or SqueezeNet"), ("conv_proj.weight", "ViT"), ("Conv2d_1a_3x3.conv.weight", "Inception"),
          ("att_conv.weight", "an ABN, which is more than a ResNet18: train.init reads it as safetensors, if its names are ours")]


def expected(channels, classes):
    """Names and shapes of torchvision's ResNet18 (He et al., arXiv:1512.03385, table 1)."""
    shapes = {"conv1.weight": (64, channels, 7, 7)}

    def norm(name, width):
        shapes.update({f"{name}.{part}": (width,) for part in ("weight", "bias", "running_mean", "running_var")})

    norm("bn1", 64)
    before = 64
    for layer, width in enumerate((64, 128, 256, 512), 1):
        for block in range(2):
            path, inputs = f"layer{layer}.{block}", before if block == 0 else width
            for number, source in ((1, inputs), (2, width)):
                shapes[f"{path}.conv{number}.weight"] = (width, source, 3, 3)
                norm(f"{path}.bn{number}", width)
            if inputs != width:
                shapes[f"{path}.downsample.0.weight"] = (width, inputs, 1, 1)
                norm(f"{path}.downsample.1", width)
        before = width
    return {**shapes, "fc.weight": (classes, 512), "fc.bias": (classes,)}


def check(path, state):
    other = next((name for tensor, name in OTHERS if tensor in state), None)
    if other:
        fail(4, f"{path} is {other}; expected a ResNet18, because the network is built on it")
    axis = [(name, size) for name, size in (("conv1.weight", 4), ("fc.weight", 2)) if name not in state or state[name].dim() != size]
    if axis:
        fail(4, f"{path} is not a ResNet18 of torchvision: {axis[0][0]} is missing or has not {axis[0][1]} axes; "
                f"it has {', '.join(list(state)[:3]) or 'nothing'}, ...")
    wanted = expected(state["conv1.weight"].shape[1], state["fc.weight"].shape[0])
    check_tensors(state, wanted, "ResNet18")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weights", metavar="WEIGHTS.pth", type=pathlib.Path)
    parser.add_argument("out", metavar="OUT.safetensors", type=pathlib.Path)
    arguments = parser.parse_args()
    if arguments.out.suffix != ".safetensors":
        parser.error(f"the output must end in .safetensors, got {arguments.out}")
    check_versions(VERSIONS)
    state = {name: tensor for name, tensor in load(arguments.weights).items() if not name.endswith(IGNORED)}
    check(arguments.weights, state)
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    part = arguments.out.with_name(arguments.out.name + ".part")
    save_file({name: tensor.float().contiguous() for name, tensor in state.items()}, part)
    part.replace(arguments.out)
    print(f"{arguments.out}: {len(state)} tensors, {state['fc.weight'].shape[0]} classes, sha256 {sha256(arguments.out)}; set train.init to it, and "
          f"train.channels to {state['conv1.weight'].shape[1]}, or to 1 for the sum over the channels")


if __name__ == "__main__":
    main()
