"""``python -m bdshift_gui``."""

import sys

from bdshift_gui.app import main

sys.exit(main())
