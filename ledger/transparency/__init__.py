"""What the log shows to the world: the published directory."""
