"""Small parts that views are made of, each ignorant of the session."""
