"""Copperline into a Snowflake account: labelled boards, the champion, the notebook and the dashboard."""

from copperline.workflows.snowflake_deployment.deployment import Deployment, deploy, planned, planned_statements
from copperline.workflows.snowflake_deployment.parts import PARTS, Deployed, Part
from copperline.workflows.snowflake_deployment.project import write_project

__all__ = [
    "PARTS",
    "Deployed",
    "Deployment",
    "Part",
    "deploy",
    "planned",
    "planned_statements",
    "write_project",
]
