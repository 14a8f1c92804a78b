"""Checks a manifest against custom resource definitions: `python scripts/check_manifest.py MANIFEST CRD...`.

MANIFEST is what `copperline cluster manifest` prints; each CRD is a file as it is installed in a cluster, such as
KubeRay's `ray.io_rayclusters.yaml` and `ray.io_rayjobs.yaml`. Objects of kinds that none of them defines are named and
left out. A field that the definition does not have is a mistake, though Kubernetes would only drop it.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator

Kind = tuple[str, str]


def schemas_of(definitions: Iterable[Mapping[str, Any]]) -> dict[Kind, dict[str, Any]]:
    """The JSON schema of each (apiVersion, kind) that the definitions serve."""
    found = {}
    for definition in definitions:
        spec = definition["spec"]
        for version in spec["versions"]:
            api_version = f"{spec['group']}/{version['name']}"
            schema = as_json_schema(version["schema"]["openAPIV3Schema"])
            schema["properties"]["metadata"] = {"type": "object"}  # Kubernetes checks it itself
            found[api_version, spec["names"]["kind"]] = schema
    return found


def as_json_schema(schema: Any) -> Any:
    """A structural schema of Kubernetes as JSON Schema that takes no field but its own."""
    if isinstance(schema, list):
        return [as_json_schema(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    converted = {name: as_json_schema(part) for name, part in schema.items()}
    if converted.get("x-kubernetes-int-or-string"):
        converted["type"] = ["integer", "string"]
        converted.pop("anyOf", None)
    open_ended = converted.get("x-kubernetes-preserve-unknown-fields") or "additionalProperties" in converted
    if isinstance(schema.get("properties"), dict) and not open_ended:
        converted["additionalProperties"] = False
    return converted


def mistakes(objects: Iterable[Mapping[str, Any]], schemas: Mapping[Kind, dict[str, Any]]) -> Iterator[str]:
    """What is wrong with each object whose kind has a schema."""
    for each in objects:
        schema = schemas.get((each["apiVersion"], each["kind"]))
        if schema is None:
            continue
        for error in Draft202012Validator(schema).iter_errors(each):
            yield f"{each['kind']} {each['metadata']['name']}: {error.json_path}: {error.message}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("manifest", type=Path)
    parser.add_argument("definition", type=Path, nargs="+")
    options = parser.parse_args()
    objects = list(yaml.safe_load_all(options.manifest.read_text(encoding="utf-8")))
    schemas = schemas_of(
        each
        for path in options.definition
        for each in yaml.safe_load_all(path.read_text(encoding="utf-8"))
        if each and each["kind"] == "CustomResourceDefinition"
    )
    for each in objects:
        known = (each["apiVersion"], each["kind"]) in schemas
        print(f"{each['kind']} {each['metadata']['name']}: {'checked' if known else 'no definition given'}")
    found = list(mistakes(objects, schemas))
    print("\n".join(found))
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
