"""`make clients`: clients as people have them, through a gateway with the rules of a role that nobody has changed."""
