"""The other side's work, ready to be done: templates, policies and texts, one set for each provider.

    side = side_of("cloudtrail", {"BucketName": "example-trail-logs", "Account": "111111111111"})
    side.template        a CloudFormation template, the given values as the defaults of its parameters
    policies(side)       every policy in it with names and ARNs filled in, for those who make things by hand
    text(side)           what only a person can do, step by step, with the exact values

Templates and texts are data beside this module (`PROVIDER.json`, `PROVIDER.txt`); nothing here asks AWS.
What is not known stands as `<Name>`. The outputs of a template are named like the settings they are for.
"""

from __future__ import annotations

from collector.onboarding.setup.policies import policies
from collector.onboarding.setup.side import NAMES, Side, side_of
from collector.onboarding.setup.steps import text

__all__ = ["NAMES", "Side", "policies", "side_of", "text"]
