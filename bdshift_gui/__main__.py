"""``python -m bdshift_gui``."""

import sys

from bdshift_gui import main

sys.exit(main())
