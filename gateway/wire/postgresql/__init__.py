"""PostgreSQL's protocol 3.0: framing, the client's side, the server's side, and the relay between them."""
