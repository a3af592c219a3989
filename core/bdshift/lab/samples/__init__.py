"""Files and networks of known origin, for the tests and for the tables in the docs. They are not in
the wheel.
"""
