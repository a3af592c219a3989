"""Which neurons carry a backdoor: TAC where a trigger is known, rankings, and how they agree."""
