"""The command `anchorrec`, one verb per file."""
