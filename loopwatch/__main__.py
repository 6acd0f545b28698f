"""`python -m loopwatch`."""

import sys

from loopwatch.cli import main

sys.exit(main())
