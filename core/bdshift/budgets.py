"""How long searches take by default, in seconds, about (`bdshift.recovery.effort`)."""

SCAN_SECONDS = 180.0
"""Of a scan's second stage. A ResNet-20 or a narrow ResNet-18 for ten classes gets every change for
it, not the mask alone, by which a clean real file was suspected; a small CNN needs less than half a
minute. A ResNet-18 of full width gets the mask, on a processor with bfloat16.
"""
RECOVERY_SECONDS = 60.0
"""Of one recovery: a class and three controls."""
