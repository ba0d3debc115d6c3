"""The modular input, as splunkd starts it; named like its scheme. See collector/hosts/modular_input.py."""

import os
import sys

APP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
# Before everything else: Splunk's own site-packages hold an old boto3. A checkout has no lib/.
sys.path[0:1] = [os.path.join(APP, "lib"), APP]

from collector.hosts.modular_input import leave, main  # noqa: E402

if __name__ == "__main__":
    leave(main(sys.argv[1:]))
