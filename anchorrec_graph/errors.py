"""Errors that a user can act on. The CLI prints them on one line and exits with `exit_code`."""

from __future__ import annotations


class AnchorRecError(Exception):
    """Base of every error raised on purpose. The message names the file, row or key, and the fix."""

    exit_code = 1


class ConfigError(AnchorRecError):
    """A setting is unknown, missing or of the wrong type or range."""

    exit_code = 2


class DataError(AnchorRecError):
    """An input file or tensor is missing, malformed or contradicts another one."""

    exit_code = 3


class RunError(AnchorRecError):
    """A run folder or checkpoint is missing, damaged, or belongs to other settings."""

    exit_code = 4


class TrainingError(AnchorRecError):
    """Training cannot go on, for example because a loss term is not finite."""

    exit_code = 5
