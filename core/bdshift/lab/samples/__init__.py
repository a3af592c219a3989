"""Files and networks of known origin, for the tests and the tables in the docs."""
