"""Resolve the functions of CloudFormation, with conditions, mappings, names of resources, and parameters at their
defaults."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from atoll.templates.documents import BadTemplate

NO_VALUE = object()
"""The value of `AWS::NoValue`, which omits the member."""

_NAMES = {
    "AWS::DynamoDB::Table": "TableName",
    "AWS::DynamoDB::GlobalTable": "TableName",
    "AWS::Serverless::SimpleTable": "TableName",
    "AWS::Kinesis::Stream": "Name",
    "AWS::IAM::Role": "RoleName",
}
"""The properties that name resources; others are known by their logical ids."""
_ARNS = {
    "AWS::DynamoDB::Table": "arn:aws:dynamodb:{region}:{account}:table/{name}",
    "AWS::DynamoDB::GlobalTable": "arn:aws:dynamodb:{region}:{account}:table/{name}",
    "AWS::Serverless::SimpleTable": "arn:aws:dynamodb:{region}:{account}:table/{name}",
    "AWS::Kinesis::Stream": "arn:aws:kinesis:{region}:{account}:stream/{name}",
    "AWS::KMS::Key": "arn:aws:kms:{region}:{account}:key/{name}",
    "AWS::IAM::Role": "arn:aws:iam::{account}:role/{name}",
}
_SCALABLE_TARGET = "AWS::ApplicationAutoScaling::ScalableTarget"
MOST_CALLS = 100_000
"""Conditions and names that use others twice may take exponentially many."""
_IN_TEXT = re.compile(r"\$\{(!?)([^}]*)\}")


class Resolver:
    """Resolves the values of one template, as it would be deployed to this region."""

    def __init__(self, template: Mapping[str, Any], region: str, account: str) -> None:
        self._template = template
        self._calls = 0
        self._region, self._account = region, account
        self._pseudo = {
            "AWS::Region": region, "AWS::AccountId": account, "AWS::Partition": "aws", "AWS::StackName": "atoll",
            "AWS::URLSuffix": "amazonaws.com", "AWS::NoValue": NO_VALUE, "AWS::NotificationARNs": [],
            "AWS::StackId": f"arn:aws:cloudformation:{region}:{account}:stack/atoll/0",
        }  # fmt: skip
        self._functions: dict[str, Callable[[Any], Any]] = {
            "Ref": self._ref, "Condition": self.holds, "Fn::GetAtt": self._attribute, "Fn::Sub": self._sub,
            "Fn::If": self._if, "Fn::Join": self._join, "Fn::Select": self._select, "Fn::Split": self._split,
            "Fn::FindInMap": self._find, "Fn::Equals": self._equals, "Fn::Not": self._not, "Fn::And": self._and,
            "Fn::Or": self._or, "Fn::ToJsonString": lambda value: json.dumps(self.resolve(value)),
        }  # fmt: skip

    def part(self, name: str) -> Mapping[str, Any]:
        """A section of the template."""
        found = self._template.get(name) or {}
        if not isinstance(found, Mapping):
            raise BadTemplate(f"{name} is not a mapping")
        return found

    def resolve(self, value: Any) -> Any:
        """The value without functions. Members that have no value are left out."""
        if isinstance(value, Mapping):
            if len(value) == 1:
                ((name, argument),) = value.items()
                if name.startswith("Fn::") or name == "Ref" or (name == "Condition" and isinstance(argument, str)):
                    return self._call(name, argument)
            members = {name: self.resolve(member) for name, member in value.items()}
            return {name: member for name, member in members.items() if member is not NO_VALUE}
        if isinstance(value, list):
            return [found for one in value if (found := self.resolve(one)) is not NO_VALUE]
        return value

    def _call(self, name: str, argument: Any) -> Any:
        function = self._functions.get(name)
        if function is None:
            raise BadTemplate(f"the function {name} is not supported")
        self._calls += 1
        if self._calls > MOST_CALLS:
            raise BadTemplate("calls too many functions")
        try:
            return function(argument)
        except RecursionError:
            raise BadTemplate(f"{name} {argument} refers to itself") from None
        except (ValueError, TypeError, LookupError, AttributeError):
            raise BadTemplate(f"the argument of {name} is wrong: {json.dumps(argument)}") from None

    # Names

    def _ref(self, name: str) -> Any:
        if name in self._pseudo:
            return self._pseudo[name]
        parameters = self.part("Parameters")
        if name in parameters:
            return self._default(name, parameters[name])
        resources = self.part("Resources")
        if name not in resources:
            raise BadTemplate(f"there is no parameter or resource {name}")
        if resources[name].get("Type") == _SCALABLE_TARGET:
            target = self.resolve(resources[name].get("Properties") or {})
            return "|".join(str(target.get(one)) for one in ("ResourceId", "ScalableDimension", "ServiceNamespace"))
        return self.name_of(name)

    @staticmethod
    def _default(name: str, parameter: Mapping[str, Any]) -> Any:
        if "Default" not in parameter:
            raise BadTemplate(f"the parameter {name} has no default")
        default, type_ = parameter["Default"], str(parameter.get("Type", "String"))
        if type_.startswith("List<") or type_ == "CommaDelimitedList":
            return [one.strip() for one in str(default).split(",")]
        return default

    def name_of(self, logical: str) -> str:
        """A resource's name: the one that it is given, otherwise its logical id."""
        resource = self.part("Resources")[logical]
        given = self.resolve((resource.get("Properties") or {}).get(_NAMES.get(resource.get("Type"), "")))
        if isinstance(given, (Mapping, list)):
            raise BadTemplate(f"the name of {logical} is not a string")
        return logical if given in (None, NO_VALUE) else _text(given)

    def _attribute(self, argument: Any) -> str:
        logical, attribute = argument.split(".", 1) if isinstance(argument, str) else argument
        resource = self.part("Resources").get(logical)
        if resource is None:
            raise BadTemplate(f"there is no resource {logical}")
        form = _ARNS.get(resource.get("Type")) if attribute == "Arn" else None
        if form is None:
            raise BadTemplate(f"the attribute {logical}.{attribute} is not known before the stack is deployed")
        return form.format(region=self._region, account=self._account, name=self.name_of(logical))

    def _sub(self, argument: Any) -> str:
        text, variables = (argument, {}) if isinstance(argument, str) else argument

        def found(match: re.Match[str]) -> str:
            literal, name = match.groups()
            if literal:
                return f"${{{name}}}"
            if name in variables:
                return _text(self.resolve(variables[name]))
            return _text(self._attribute(name) if "." in name else self._ref(name))

        return _IN_TEXT.sub(found, text)

    # Conditions and lists

    def holds(self, name: Any) -> bool:
        """Whether the condition of this name holds."""
        conditions = self.part("Conditions")
        if not isinstance(name, str) or name not in conditions:
            raise BadTemplate(f"there is no condition {name}")
        return _truth(self.resolve(conditions[name]))

    def _if(self, argument: Any) -> Any:
        name, then, otherwise = argument
        return self.resolve(then if self.holds(name) else otherwise)

    def _equals(self, argument: Any) -> bool:
        first, second = self.resolve(argument)
        return bool(_text(first) == _text(second))

    def _not(self, argument: Any) -> bool:
        (one,) = argument
        return not _truth(self.resolve(one))

    def _and(self, argument: Any) -> bool:
        return all(_truth(self.resolve(one)) for one in argument)

    def _or(self, argument: Any) -> bool:
        return any(_truth(self.resolve(one)) for one in argument)

    def _join(self, argument: Any) -> str:
        between, parts = argument
        return str(between).join(map(_text, self.resolve(parts)))

    def _select(self, argument: Any) -> Any:
        number, parts = argument
        return self.resolve(parts)[int(self.resolve(number))]

    def _split(self, argument: Any) -> list[str]:
        between, text = argument
        return _text(self.resolve(text)).split(between)

    def _find(self, argument: Any) -> Any:
        name, first, second = (_text(self.resolve(one)) for one in argument[:3])
        return self.part("Mappings")[name][first][second]


def _text(value: Any) -> str:
    """A scalar as CloudFormation writes it into a text."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (dict, list)) or value is NO_VALUE or value is None:
        raise ValueError("no scalar")
    return str(value)


def _truth(value: Any) -> bool:
    return value is True or value == "true"
