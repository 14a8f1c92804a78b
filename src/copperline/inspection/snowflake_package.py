"""What travels to Snowflake with a model: its file and card, Copperline's own code, and the packages it needs there."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from packaging.requirements import Requirement

import copperline
from copperline.errors import ModelError
from copperline.registry.card import CARD_JSON, CARD_MARKDOWN
from copperline.registry.store import MODEL_FILE
from copperline.snowflake.failures import snowflake_errors

if TYPE_CHECKING:
    from snowflake.snowpark import Session

# As conda calls them, of Snowflake's own channel, with what Copperline itself asks for: without that, Snowflake ML asks
# for the very versions that happen to be installed here. Neither torch nor MLflow: no inspection needs them.
PACKAGES = (
    "filelock>=3.16",
    "numpy>=1.26",
    "onnxruntime>=1.20",
    "opencv>=4.10",
    "pandas>=2",
    "pillow>=10.4",
    "pydantic>=2.8",
    "pydantic-settings>=2.6",
    "pyyaml>=6.0",
    "sqlalchemy>=2.0.36,<2.1",
)
# What an inspection imports; all else of Copperline stays at home.
_CODE = (
    "data",
    "evaluation",
    "inspection",
    "reference",
    "registry",
    "runtime",
    "snowflake",
    "stage",
    "warehouse",
)
# In memory at once: images of boards are large.
_BATCH = 16


def package(folder: Path) -> dict[str, Any]:
    """The arguments of `log_model` for `model.onnx` and `card.json` in `folder`; loads the model once, to try it out.

    Raises ModelError if the model cannot be used.
    """
    from snowflake.ml.model import custom_model, target_platform
    from snowflake.ml.model.code_path import CodePath
    from snowflake.ml.model.volatility import Volatility

    from copperline.inspection.snowflake_model import SIGNATURES, BoardDetector

    root = Path(copperline.__file__).parent
    code = [*_CODE, *sorted(path.name for path in root.glob("*.py"))]
    context = custom_model.ModelContext(model=str(folder / MODEL_FILE), card=str(folder / CARD_JSON))
    return {
        "model": BoardDetector(context),
        "signatures": SIGNATURES,
        "code_paths": [CodePath(str(root.parent), filter=f"{root.name}/{part}") for part in code],
        "conda_dependencies": list(PACKAGES),
        "user_files": {"card": [str(folder / CARD_MARKDOWN)]},
        "target_platforms": target_platform.WAREHOUSE_ONLY,
        "options": {
            "relax_version": True,  # what Snowflake ML adds itself: any release of the same major version will do
            # The same image gives the same result: Snowflake may remember it.
            "volatility": Volatility.IMMUTABLE,
            "method_options": {
                "predict": {"function_type": "FUNCTION", "max_batch_size": _BATCH},
                "detections": {"function_type": "TABLE_FUNCTION"},
            },
        },
    }


def require_packages(session: Session, database: str) -> None:
    """Raises ModelError that names the packages which the account does not offer to models.

    Args:
        database: in quotes, as it stands in SQL.
    """
    wanted = [Requirement(text) for text in PACKAGES]
    names = ", ".join(f"'{requirement.name}'" for requirement in wanted)
    asked = (
        f"SELECT PACKAGE_NAME, VERSION FROM {database}.INFORMATION_SCHEMA.PACKAGES "  # noqa: S608 - names of ours
        f"WHERE LANGUAGE = 'python' AND PACKAGE_NAME IN ({names})"
    )
    with snowflake_errors("packages of the account"):
        offered = [(str(name).lower(), str(version)) for name, version in session.sql(asked).collect()]
    missing = [
        str(requirement)
        for requirement in wanted
        if not any(name == requirement.name and requirement.specifier.contains(found) for name, found in offered)
    ]
    if missing:
        raise ModelError(
            f"expected packages that a model needs in the account, found no {', no '.join(missing)}",
            fix="accept the terms of Anaconda's packages (Snowsight, Admin, Terms), or have them allowed by the "
            "account's packages policy",
        )
