"""The pages, as people of every role meet them."""
