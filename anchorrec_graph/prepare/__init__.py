"""From raw tables to the project's own layout on disk."""
