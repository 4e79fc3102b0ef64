"""Loads an RO-Crate with the library rocrate and holds it against the profiles RO-Crate 1.1 and Process Run Crate 0.5.

usage: check_crate.py FOLDER
Only what the profiles require counts. No network: the profiles come with roc-validator, the vocabulary with rocrate.
"""

import json
import sys
from pathlib import Path

import rocrate
from rocrate.rocrate import ROCrate
from rocrate_validator import models, services
from rocrate_validator.utils.http import HttpRequester

PROFILES = ["ro-crate-1.1", "process-run-crate-0.5"]


# The vocabulary of RO-Crate, which the library rocrate brings along; the validator would fetch it from w3id.org.
CONTEXT = Path(rocrate.__file__).parent / "data" / "ro-crate.jsonld"


class Answer:
    """What the web would answer."""

    status_code = 200
    headers = {"Content-Type": "application/ld+json"}
    text = CONTEXT.read_text()

    def json(self):
        return json.loads(self.text)


def main() -> int:
    HttpRequester.get = lambda self, url, **more: Answer()
    folder = sys.argv[1]
    crate = ROCrate(folder)
    actions = crate.get_by_type("CreateAction")
    lost = [entity.id for action in actions for entity in [*action["object"], *action["result"]] if isinstance(entity, str)]
    if lost:
        print("references that lead nowhere:", *lost)
        return 1
    failed = 0
    for profile in PROFILES:
        settings = services.ValidationSettings(
            rocrate_uri=folder, profile_identifier=profile, requirement_severity=models.Severity.REQUIRED
        )
        result = services.validate(settings)
        for issue in result.get_issues():
            failed += 1
            print(f"{profile}: {issue.severity.name}: {issue.message}")
    print(f"{len(actions)} actions, {len(crate.data_entities)} files, {failed} issues")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
