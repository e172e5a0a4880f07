"""From a prepared folder to the formats of other programs."""
