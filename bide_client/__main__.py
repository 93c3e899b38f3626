"""`python -m bide_client` is `bide`."""

import sys

from bide_client.cli import main

sys.exit(main())
