"""A template's policies as they are once CloudFormation has filled them in.

Understood are the functions that the templates here use (CloudFormation user guide, "Intrinsic function
reference"): Ref, Fn::Sub, Fn::GetAtt, Fn::If, Fn::Join and conditions of Fn::Equals, Fn::Not and Fn::And.
A key's ARN is known to AWS alone, so it stands as `<key id>`.
"""

from __future__ import annotations

import re
from typing import Any, Dict, Iterator, Mapping, Tuple

from collector.onboarding.setup.side import Side

__all__ = ["outputs", "policies"]

#: A resource's property that is a policy, and what says whose it is.
_OF_RESOURCES = {
    "AWS::SQS::QueuePolicy": ("queue", "Queues"),
    "AWS::SNS::TopicPolicy": ("topic", "Topics"),
    "AWS::S3::BucketPolicy": ("bucket", "Bucket"),
}
_NOTHING = object()


def policies(side: Side) -> Dict[str, Any]:
    """Each policy by what it is attached to, such as "role audit-access: trust"."""
    return dict(_policies(_Filled(side)))


def outputs(side: Side) -> Dict[str, str]:
    """What the stack will say in the end, by name."""
    filled = _Filled(side)
    return {name: str(filled.value(row["Value"])) for name, row in side.template["Outputs"].items()}


def _policies(filled: _Filled) -> Iterator[Tuple[str, Any]]:
    for name, resource in filled.resources.items():
        kind, properties = resource["Type"], filled.value(resource["Properties"])
        if kind == "AWS::IAM::Role":
            role = f"role {properties['RoleName']}"
            yield f"{role}: trust", properties["AssumeRolePolicyDocument"]
            for each in properties["Policies"]:
                yield f"{role}: {each['PolicyName']}", each["PolicyDocument"]
        elif kind == "AWS::IAM::ManagedPolicy":
            (who,) = properties.get("Users") or properties.get("Roles") or ["<whoever sends>"]
            yield f"{'user' if 'Users' in properties else 'role'} {who}: {name}", properties["PolicyDocument"]
        elif kind == "AWS::KMS::Key":
            yield f"key {properties['Description']}", properties["KeyPolicy"]
        elif kind in _OF_RESOURCES:
            what, where = _OF_RESOURCES[kind]
            named = properties[where]
            whose = named[0] if isinstance(named, list) else named
            yield f"{what} {whose}", properties["PolicyDocument"]


class _Filled:
    """A template's values, each worked out when it is asked for."""

    def __init__(self, side: Side) -> None:
        self._values = side.values
        self._conditions = side.template.get("Conditions", {})
        self._parameters = side.template["Parameters"]
        region = side.values["Region"]
        self._china = region.startswith("cn-")
        partition = "aws-cn" if self._china else "aws-us-gov" if region.startswith("us-gov-") else "aws"
        self._own = {
            "AWS::AccountId": side.values["Account"], "AWS::Region": region, "AWS::Partition": partition,
        }
        self._all = side.template["Resources"]

    @property
    def resources(self) -> Mapping[str, Any]:
        """Those whose condition holds."""
        return {
            name: row for name, row in self._all.items()
            if "Condition" not in row or self._holds({"Condition": row["Condition"]})
        }

    def value(self, node: Any) -> Any:
        """`node` without functions; what is AWS::NoValue is left out."""
        if isinstance(node, list):
            return [each for each in map(self.value, node) if each is not _NOTHING]
        if not isinstance(node, dict):
            return node
        if len(node) == 1:
            (function, argument), = node.items()
            if function == "Ref" or function.startswith("Fn::"):
                return self._called(function, argument)
        found = {name: self.value(each) for name, each in node.items()}
        return {name: each for name, each in found.items() if each is not _NOTHING}

    def _called(self, function: str, argument: Any) -> Any:
        if function == "Ref":
            return self._ref(argument)
        if function == "Fn::GetAtt":
            return self._arn(argument[0])
        if function == "Fn::Sub":
            return re.sub(r"\$\{([\w:]+)\}", lambda found: str(self._ref(found[1])), argument)
        if function == "Fn::If":
            return self.value(argument[1 if self._holds({"Condition": argument[0]}) else 2])
        if function == "Fn::Join":
            return argument[0].join(map(str, self.value(argument[1])))
        raise ValueError(f"{function} is not understood")

    def _holds(self, condition: Mapping[str, Any]) -> bool:
        (function, argument), = condition.items()
        if function == "Condition":
            return self._holds(self._conditions[argument])
        if function == "Fn::Not":
            return not self._holds(argument[0])
        if function == "Fn::And":
            return all(map(self._holds, argument))
        first, second = map(self.value, argument)
        return bool(first == second)

    def _ref(self, name: str) -> Any:
        if name == "AWS::NoValue":
            return _NOTHING
        if name in self._own:
            return self._own[name]
        if name in self._parameters:
            is_list = self._parameters[name]["Type"] == "CommaDelimitedList"
            return self._values[name].split(",") if is_list else self._values[name]
        return self._name_of(name)

    def _name_of(self, name: str) -> str:
        """What Ref gives for a resource."""
        kind, properties = self._all[name]["Type"], self._all[name]["Properties"]
        if kind == "AWS::SQS::Queue":
            host = f"sqs.{self._own['AWS::Region']}.amazonaws.com{'.cn' if self._china else ''}"
            return f"https://{host}/{self._own['AWS::AccountId']}/{self.value(properties['QueueName'])}"
        if kind == "AWS::SNS::Topic":
            return self._arn(name)
        if kind == "AWS::S3::Bucket":
            return str(self.value(properties["BucketName"]))
        return f"<{name}>"

    def _arn(self, name: str) -> str:
        kind, properties = self._all[name]["Type"], self._all[name]["Properties"]
        begin = f"arn:{self._own['AWS::Partition']}"
        where = f"{self._own['AWS::Region']}:{self._own['AWS::AccountId']}"
        if kind == "AWS::SQS::Queue":
            return f"{begin}:sqs:{where}:{self.value(properties['QueueName'])}"
        if kind == "AWS::SNS::Topic":
            return f"{begin}:sns:{where}:{self.value(properties['TopicName'])}"
        if kind == "AWS::IAM::Role":
            return f"{begin}:iam::{self._own['AWS::AccountId']}:role/{self.value(properties['RoleName'])}"
        if kind == "AWS::Lambda::Function":
            return f"{begin}:lambda:{where}:function:{self.value(properties['FunctionName'])}"
        return f"{begin}:kms:{where}:key/<key id>"
