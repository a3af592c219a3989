"""One rule per file; they are found by name (`bdshift.detect.rule.RULES`)."""
