"""`python -m zorro_keras.applications.cli COMMAND ...`, for where `zorro-keras` is not on the path."""

import sys

from zorro_keras.applications.cli import main

sys.exit(main())
