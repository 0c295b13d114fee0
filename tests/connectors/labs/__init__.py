"""One laboratory per engine: what the contract suite does to a real server besides calling the connector."""
