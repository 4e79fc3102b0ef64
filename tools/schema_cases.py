"""Says of small studies whether Python's jsonschema accepts them under pipelines/study.schema.json: what a study's check must say too.

    pip install -r tools/schema_requirements.txt
    python tools/schema_cases.py > crates/contract/tests/schema_cases.json
"""

import json
import pathlib
import re

import jsonschema
import yaml

ROOT = pathlib.Path(__file__).resolve().parent.parent

# A key at a time, at and beyond its bounds; no case breaks a rule between keys, which a schema cannot say.
CASES = [
    "study: s",
    "study: s\nepochs: 5",
    "study: 5",
    "study: a/b",
    "study: ''",
    "train: {epochs: 2}",
    "study: s\ntrain:",
    "study: s\ntrain: [1]",
    "study: s\ntrain: {lr: fast}",
    "study: s\ntrain: {lr: 1}",
    "study: s\ntrain: {lr: 0.0}",
    "study: s\ntrain: {epochs: 0}",
    "study: s\ntrain: {epochs: 1.5}",
    "study: s\ntrain: {epochs: null}",
    "study: s\ntrain: {flip: 1.0}",
    "study: s\ntrain: {flip: 1.01}",
    "study: s\ntrain: {index_base: 2}",
    "study: s\ntrain: {threads: -1}",
    "study: s\ntrain: {nesterov: 1}",
    "study: s\ntrain: {loss: gama}",
    "study: s\ntrain: {loss: alpha-keep-att}",
    "study: s\ntrain: {channels: 2}",
    "study: s\ntrain: {channels: 3}",
    "study: s\ntrain: {device: gpu}",
    "study: s\ntrain: {device: 'cuda:1'}",
    "study: s\ntrain: {device: 'cuda:'}",
    "study: s\ntrain: {init: null}",
    "study: s\ntrain: {init: 3}",
    "study: s\ntrain: {seeds: [1, 1]}",
    "study: s\ntrain: {seeds: []}",
    "study: s\ntrain: {seeds: [0.5]}",
    "study: s\ntrain: {methods: {}}",
    "study: s\ntrain: {methods: {a: {loss: abn, seeds: [1, 2]}}}\nreport: {conventional: a, proposed: a}",
    "study: s\ntrain: {methods: {a: }}\nreport: {conventional: a, proposed: a}",
    "study: s\ntrain: {methods: {conventional: {los: abn}, proposed: {}}}",
    "study: s\ntrain: {methods: {conventional: {methods: {}}, proposed: {}}}",
    "study: s\ntrain: {methods: {conventional: {gamma: -1}, proposed: {}}}",
    "study: s\ntrain: {methods: {conventional: {}, proposed: {}, 'a b': {}}}",
    "study: s\nphantom: {sites: []}",
    "study: s\nphantom: {sites: [{name: A, weight: 0, correlation: 0}]}",
    "study: s\nphantom: {sites: [{name: A, weight: 1, correlation: 0}]}",
    "study: s\nphantom: {sites: [{name: A, weight: 1, correlation: -1.5}]}",
    "study: s\nphantom: {sites: [{name: A, weight: 1}]}",
    "study: s\nphantom: {sites: [{name: A, weight: 1, correlation: 0, age: 3}]}",
    "study: s\nclasses: [a]",
    "study: s\nclasses: [a, a]",
    "study: s\nclasses: [a, b, c]",
    "study: s\nclasses: [a, 3]",
    "study: s\npreprocess: {size: 63}",
    "study: s\npreprocess: {size: 64}",
    "study: s\npreprocess: {size: 2049}",
    "study: s\npreprocess: {pseudonyms: none}",
    "study: s\npreprocess: {series: all}",
    "study: s\npreprocess: {input: [a, b]}",
    "study: s\ndataset: {folds: 1}",
    "study: s\ndataset: {seed: -1}",
    "study: s\nreport: {bootstrap: 99}",
    "study: s\nreport: {confidence: 1.0}",
    "study: s\npaths: {data: null}",
    "study: s\npaths: {data: x}",
]


class Loader(yaml.SafeLoader):
    """YAML 1.2 as to numbers such as 1e-3, which PyYAML takes for text."""


Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?(\d+\.\d*|\.\d+|\d+)([eE][-+]?\d+)$"),
    list("-+0123456789."),
)


def main():
    schema = json.loads((ROOT / "pipelines/study.schema.json").read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    for path in sorted(ROOT.glob("pipelines/**/*.yaml")):
        # The defaults name no study, which one must.
        if path.name != "defaults.yaml":
            validator.validate(yaml.load(path.read_text(), Loader))
    cases = {case: validator.is_valid(yaml.load(case, Loader)) for case in CASES}
    print(json.dumps(cases, indent=1))


if __name__ == "__main__":
    main()
