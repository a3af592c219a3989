"""What the writer and the reader of the audit file agree on.

An audit file holds one JSON text, ``audit.json``, and datasets. Both follow the dataclasses of
`bdshift.audit.records`: one object per dataclass, with its fields by name; an array field
(`bdshift.arrays`) is a dataset at the same place, such as ``evidence/shift/record/l2``. So a new
field with a default needs no change here: old files lack it and get the default, and an older
version keeps it unread. A field that is renamed or changes its meaning needs a new schema and a
migration.
"""

FORMAT, SCHEMA = "bdshift-audit", 3
TEXT = "audit.json"

TRIGGERED_ARRAYS = ("phi", "logits", "thumbnails")
"""Arrays of an embedding with a trigger: everything else is as in the clean one."""
