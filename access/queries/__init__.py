"""What pages may read. Objects reach a view only through a function here that is told for whom: what a person may not see
does not exist for them.
"""
