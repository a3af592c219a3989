"""Many models: from a list of checkpoints to a table of verdicts.

`bdshift.fleet.listing` finds the models, `drive.run_fleet` has an engine (`engines`) audit each in
a process of its own with limits of time and memory (`host`, `one`), and keeps each result in a
folder (`results`), from which an interrupted run goes on. `ranking` and `kin` say what the results
mean together; `pages` writes them.
"""
