"""`python -m collector.hosts.documents`."""

import sys

from collector.hosts.documents import main

sys.exit(main())
