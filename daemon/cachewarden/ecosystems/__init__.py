"""What is known of each package manager's cache: one file per concern, the registry to add another."""
