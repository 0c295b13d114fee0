"""The wire protocols that clients speak to the gateway, one folder each."""
