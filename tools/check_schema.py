#!/usr/bin/env python3
"""Hold JSON files against a JSON Schema of draft 2020-12; print {file: [what is wrong, ...]} as JSON.

usage: check_schema.py SCHEMA FILE...
Checks the schema itself first, and that each property it names, at any depth, has a description.
Needs what tools/schema_requirements.txt pins.
"""
import json
import pathlib
import sys

from jsonschema import Draft202012Validator


def described(schema, root, path=""):
    """Paths of properties without a description, their own or that of what they refer to."""
    missing = []
    for key, inner in schema.items():
        if key == "properties":
            for name, found in inner.items():
                if found is False or path.split("/")[-1] in ("then", "else", "if") or "/allOf/" in path + "/":
                    continue
                target = root["$defs"][found["$ref"].rsplit("/", 1)[1]] if "$ref" in found else found
                if not found.get("description") and not target.get("description"):
                    missing.append(f"{path}/{name}")
        for place, part in inner.items() if isinstance(inner, dict) else enumerate(inner) if isinstance(inner, list) else ():
            if isinstance(part, dict):
                missing += described(part, root, f"{path}/{key}/{place}")
        if isinstance(inner, dict):
            missing += described(inner, root, f"{path}/{key}") if key in ("items", "additionalProperties") else []
    return missing


def main():
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    schema = json.loads(pathlib.Path(sys.argv[1]).read_text())
    Draft202012Validator.check_schema(schema)
    if missing := described(schema, schema):
        sys.exit(f"{sys.argv[1]}: without description: {', '.join(missing)}")
    validator = Draft202012Validator(schema)
    print(json.dumps({name: [f"{error.json_path}: {error.message[:300]}" for error in
                             validator.iter_errors(json.loads(pathlib.Path(name).read_text()))] for name in sys.argv[2:]}))


if __name__ == "__main__":
    main()
