"""One paper per file. Importing the package registers every model."""

from anchorrec_graph.models import anchorrec, lightgcn, popularity
from anchorrec_graph.models.base import MODELS, ModelConfig, Recommender, build_model

__all__ = ["MODELS", "ModelConfig", "Recommender", "anchorrec", "build_model", "lightgcn", "popularity"]
