"""Settings of structure preservation; the loss is `losses.preservation`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from pydantic import NonNegativeFloat

from anchorrec_graph.settings import Settings, check_names


class PreserveConfig(Settings):
    """How strongly each modality's view keeps the similarities of its native features."""

    weight: NonNegativeFloat = 0.1
    modalities: dict[str, NonNegativeFloat] | None = None  # None: 1 for each

    def weights(self, modalities: Iterable[str]) -> Mapping[str, float]:
        """By modality, those that are above 0.

        Raises:
            ConfigError: a name that is none of the `modalities`.
        """
        modalities = list(modalities)
        weights = dict.fromkeys(modalities, 1.0) if self.modalities is None else self.modalities
        check_names("model.preserve.modalities", "modality", weights, modalities)
        return {modality: weight for modality, weight in weights.items() if weight}
