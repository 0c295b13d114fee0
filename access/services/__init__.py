"""What people and workers can do. Every function takes keyword arguments only, `now` among them, decides whether the
person may, and either does the whole thing in one transaction or raises an `AccessError` and does nothing.
"""
