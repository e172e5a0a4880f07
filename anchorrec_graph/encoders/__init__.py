"""From raw or native features to feature rows."""
