"""A believable world to try Lockgate in: two servers with data, people with different rights, and some history.

Built through the product's own services, so that nothing in it could not have happened. For development only.
"""
