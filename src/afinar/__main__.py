"""``python -m afinar ...``"""

import sys

from afinar.commands.cli import main

sys.exit(main())
