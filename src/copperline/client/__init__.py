"""A client of the HTTP service, thin over httpx."""

from copperline.client.documents import Detection, ImageIdentity, Inspection, Judgement, ModelName, Reference, Station
from copperline.client.service_client import Client

__all__ = ["Client", "Detection", "ImageIdentity", "Inspection", "Judgement", "ModelName", "Reference", "Station"]
