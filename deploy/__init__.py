"""Running Lockgate: on one machine for demonstration and tests (`deploy.local`)."""
