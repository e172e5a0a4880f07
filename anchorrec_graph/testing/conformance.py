"""The public conformance suite: three lines test a new backbone or model, with or without pytest.

For example:

    from anchorrec_graph.testing import check_backbone, check_model
    check_backbone(MyBackboneConfig())
    check_model(MyModelConfig())
"""

from __future__ import annotations

from torch_geometric.data import HeteroData

from anchorrec_graph.models.base import ModelConfig
from anchorrec_graph.nn.backbone import BackboneConfig
from anchorrec_graph.testing.backbone_rules import BACKBONE_RULES, backbone_case
from anchorrec_graph.testing.model_case import model_case
from anchorrec_graph.testing.model_rules import MODEL_RULES
from anchorrec_graph.testing.rules import check_rules
from anchorrec_graph.testing.tiny import tiny_data


def check_backbone(config: BackboneConfig) -> None:
    """Build the backbone that `config` names, for dimension 16, and check `BACKBONE_RULES` one by one.

    Raises:
        AssertionError: one sentence that names the first broken rule and what was seen.
    """
    check_rules(f"backbone '{config.name}'", BACKBONE_RULES, backbone_case(config))


def check_model(config: ModelConfig, data: HeteroData | None = None) -> None:
    """Build the model that `config` names and check `MODEL_RULES` one by one.

    Args:
        config: the model's settings; small ones keep the check fast.
        data: what to build it on, `tiny_data()` if None. It is not changed; it needs at least two
            training edges of different users and items.

    Raises:
        AssertionError: one sentence that names the first broken rule and what was seen.
    """
    data = tiny_data() if data is None else data
    check_rules(f"model '{config.name}'", MODEL_RULES, model_case(config, data))
