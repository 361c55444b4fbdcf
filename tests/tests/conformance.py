"""Calls every operation of the simulator with botocore and compares the answers with its models.

Usage: conformance.py ENDPOINT. Every disagreement is a line on standard output; with one the exit code
is 1. The simulated clock runs fast, so waiting for a cluster takes a second.
"""

import json
import sys
import time
import xml.etree.ElementTree as ET

import botocore.session
from botocore.config import Config
from botocore.exceptions import ClientError
from botocore.model import ListShape, MapShape, StructureShape

ACCOUNT = "111122223333"
REGION = "ap-northeast-1"
# Errors that any operation of a service can answer with (its API reference, common errors).
COMMON = {
    "eks": {"AccessDeniedException", "ExpiredTokenException", "TooManyRequestsException"},
    "iam": {"AccessDenied", "ExpiredToken", "InvalidAction", "MalformedInput", "Throttling",
            "ValidationError"},
    # UnknownOperation and validation are of the protocol; access is denied to a caller of another account.
    "kms": {"AccessDeniedException", "ExpiredTokenException", "ThrottlingException",
            "ValidationException"},
    "logs": {"AccessDeniedException", "ExpiredTokenException", "ThrottlingException"},
    "service-quotas": {"ExpiredTokenException"},
    # ValidationException is in the model, but none of the operations here names it.
    "ssm": {"AccessDeniedException", "ExpiredTokenException", "ThrottlingException",
            "ValidationException"},
    "sts": {"AccessDenied", "ExpiredToken", "InvalidAction", "MalformedInput", "Throttling",
            "ValidationError"},
}
# What EKS answers although the models do not have it: a profile that exists or is busy
# (eksctl-io/eksctl issue 5652), and a cluster that does not exist.
NOT_MODELLED = {
    ("CreateFargateProfile", "ResourceInUseException"),
    ("CreateFargateProfile", "ResourceNotFoundException"),
    ("DeleteFargateProfile", "ResourceInUseException"),
}
# What AWS answers although the enumerations do not have it: an internet gateway's attachment is
# available (the text of the model itself), so a NAT gateway's interface is spelled, and so an endpoint's
# state (aws/aws-sdk issue 258). The source of a simulated statement is called so in all public answers.
NOT_ENUMERATED = {
    ("AttachmentStatus", "available"),
    ("NetworkInterfaceType", "nat_gateway"),
    ("PolicySourceType", "IAM Policy"),
    ("State", "available"),
}

complaints = []


class Answer:
    """An answer on its way through the model: complaints know where they are."""

    def __init__(self, operation, where):
        self.operation = operation
        self.where = where

    def at(self, member):
        return Answer(self.operation, f"{self.where}.{member}")

    def complain(self, what):
        complaints.append(f"{self.operation}: {self.where}: {what}")

    def check_scalar(self, shape, text):
        enum = getattr(shape, "enum", None)
        if enum and text not in enum and (shape.name, text) not in NOT_ENUMERATED:
            self.complain(f"{text!r} is none of {enum}")
        if shape.type_name in ("integer", "long"):
            try:
                int(text)
            except (TypeError, ValueError):
                self.complain(f"{text!r} is no whole number")

    def check_required(self, shape, present):
        for member in shape.required_members:
            if member not in present:
                self.complain(f"{member} is required")


def wire_name(name, shape):
    return shape.serialization.get("name", name)


class Xml:
    """Answers of the Query protocols."""

    @staticmethod
    def tag(node):
        return node.tag.rsplit("}", 1)[-1]

    @classmethod
    def check(cls, answer, shape, node):
        if isinstance(shape, StructureShape):
            cls.check_structure(answer, shape, node)
        elif isinstance(shape, ListShape):
            cls.check_list(answer, shape, node)
        elif len(node):
            answer.complain("it has children, and the model has a value")
        else:
            text = node.text or ""
            if shape.type_name == "boolean" and text not in ("true", "false"):
                answer.complain(f"{text!r} is neither true nor false")
            answer.check_scalar(shape, text)

    @classmethod
    def check_structure(cls, answer, shape, node, others=()):
        members = {wire_name(name, it): (name, it) for name, it in shape.members.items()}
        present = set()
        for child in node:
            tag = cls.tag(child)
            if tag in others:
                continue
            if tag not in members:
                answer.complain(f"<{tag}> is not in the model")
                continue
            name, member = members[tag]
            if name in present:
                answer.complain(f"<{tag}> is there twice")
            present.add(name)
            cls.check(answer.at(name), member, child)
        answer.check_required(shape, present)

    @classmethod
    def check_list(cls, answer, shape, node):
        wanted = shape.member.serialization.get("name", "member")
        for child in node:
            if cls.tag(child) != wanted:
                answer.complain(f"<{cls.tag(child)}> in a list of <{wanted}>")
            cls.check(answer.at(wanted), shape.member, child)


class Json:
    """Answers of the JSON protocols."""

    TYPES = {
        "boolean": bool, "string": str, "integer": int, "long": int,
        "timestamp": (int, float), "double": (int, float), "float": (int, float),
    }

    @classmethod
    def check(cls, answer, shape, value):
        if isinstance(shape, StructureShape):
            cls.check_structure(answer, shape, value)
        elif isinstance(shape, ListShape):
            for item in cls.expect(answer, value, list):
                cls.check(answer.at("item"), shape.member, item)
        elif isinstance(shape, MapShape):
            for key, item in cls.expect(answer, value, dict).items():
                cls.check(answer.at(key), shape.value, item)
        else:
            wanted = cls.TYPES.get(shape.type_name, object)
            if not isinstance(value, wanted):
                answer.complain(f"{value!r} is no {shape.type_name}")
            answer.check_scalar(shape, value)

    @classmethod
    def expect(cls, answer, value, kind):
        if isinstance(value, kind):
            return value
        answer.complain(f"{value!r} is no {kind.__name__}")
        return kind()

    @classmethod
    def check_structure(cls, answer, shape, value, others=()):
        members = {wire_name(name, it): (name, it) for name, it in shape.members.items()}
        present = set()
        for key, item in cls.expect(answer, value, dict).items():
            if key in others:
                continue
            if key not in members:
                answer.complain(f"{key!r} is not in the model")
                continue
            name, member = members[key]
            present.add(name)
            cls.check(answer.at(name), member, item)
        answer.check_required(shape, present)


def error_shapes(model):
    """The errors of an operation by their codes on the wire."""
    return {shape.error_code or shape.name: shape for shape in model.error_shapes}


def check_code(answer, model, code):
    service = model.service_model.service_name
    if service == "ec2":  # Its errors are not modelled.
        return None
    shape = error_shapes(model).get(code)
    if shape is None and code not in COMMON[service] and (model.name, code) not in NOT_MODELLED:
        answer.complain(f"{code} is no error of the operation")
    return shape


def check_xml_error(answer, model, root, parsed):
    is_ec2 = model.service_model.service_name == "ec2"
    tags = [Xml.tag(node) for node in root.iter()]
    wanted = (
        ["Response", "Errors", "Error", "Code", "Message", "RequestID"]
        if is_ec2
        else ["ErrorResponse", "Error", "Type", "Code", "Message", "RequestId"]
    )
    if tags != wanted:
        answer.complain(f"the elements of an error are {tags}")
    check_code(answer, model, parsed["Error"]["Code"])


def check_json_error(answer, model, body, headers, parsed):
    code = parsed["Error"]["Code"]
    is_rest = model.service_model.protocol == "rest-json"
    # The other protocol has its code in the body, and a message that the models leave out.
    place, written, others = (
        ("x-amzn-errortype", headers, ())
        if is_rest
        else ("__type", body, ("__type", "message"))
    )
    if written.get(place, "").split(":")[0] != code:
        answer.complain(f"{place} is missing")
    shape = check_code(answer, model, code)
    if shape is not None:
        Json.check_structure(answer, shape, body, others)


def check_json(answer, model, response, parsed):
    body, headers = response["body"], response["headers"]
    if model.service_model.protocol == "json":
        wanted = f"application/x-amz-json-{model.service_model.metadata['jsonVersion']}"
        if headers.get("content-type") != wanted:
            answer.complain(f"the content type is not {wanted}")
    if response["status_code"] >= 300:
        check_json_error(answer, model, json.loads(body), headers, parsed)
    elif model.output_shape is not None:
        Json.check(answer, model.output_shape, json.loads(body))
    elif body:
        answer.complain(f"{body!r} is not in the model")


def check_answer(model, response, parsed):
    """Compares what came over the wire with the model, and sees that botocore has read it."""
    answer = Answer(f"{model.service_model.service_name}:{model.name}", "answer")
    body, is_error = response["body"], response["status_code"] >= 300
    # Systems Manager says nothing more of a parameter that is missing.
    has_message = parsed["Error"].get("Code") == "ParameterNotFound" if is_error else True
    has_message = has_message or parsed["Error"].get("Message")
    if is_error and not (parsed["Error"].get("Code") and has_message):
        answer.complain(f"botocore finds no code and message in {body!r}")
        return
    if model.service_model.protocol in ("rest-json", "json"):
        check_json(answer, model, response, parsed)
        return
    root = ET.fromstring(body)
    if is_error:
        check_xml_error(answer, model, root, parsed)
        return
    if Xml.tag(root) != f"{model.name}Response":
        answer.complain(f"<{Xml.tag(root)}> is the root")
    if not parsed["ResponseMetadata"].get("RequestId"):
        answer.complain("botocore finds no request id")
    check_xml_output(answer, model, root)


def check_xml_output(answer, model, root):
    shape = model.output_shape or StructureShape("Empty", {"type": "structure", "members": {}})
    if model.service_model.service_name == "ec2":
        # Operations that say nothing but yes have no output in the models.
        others = ("requestId",) if shape.members else ("requestId", "return")
        Xml.check_structure(answer, shape, root, others)
        return
    children = {Xml.tag(node): node for node in root}
    wrapper = shape.serialization.get("resultWrapper", f"{model.name}Result")
    for tag in children.keys() - {wrapper, "ResponseMetadata"}:
        answer.complain(f"<{tag}> is not in the model")
    Xml.check_structure(answer, shape, children.get(wrapper, ET.Element(wrapper)))


class Service:
    """A client whose every answer is checked."""

    def __init__(self, session, name, endpoint, key=ACCOUNT, token=None):
        self.client = session.create_client(
            name,
            region_name=REGION,
            endpoint_url=endpoint,
            aws_access_key_id=key,
            aws_secret_access_key="secret",
            aws_session_token=token,
            # The simulator is to refuse what is wrong, not the client.
            config=Config(parameter_validation=False, retries={"total_max_attempts": 1}),
        )
        self.client.meta.events.register("response-received", self.received)
        self.model = self.client.meta.service_model
        self.response = None

    def received(self, response_dict, parsed_response, **_):
        self.response = (response_dict, parsed_response)

    def call(self, operation, /, **parameters):
        """The answer of a call that must succeed."""
        try:
            return self._call(operation, parameters)
        except ClientError as error:
            complaints.append(f"{operation}: {error}")
            raise

    def refuses(self, operation, code, /, **parameters):
        """A call that must fail."""
        try:
            self._call(operation, parameters)
            complaints.append(f"{operation}: succeeded instead of {code}")
        except ClientError as error:
            if error.response["Error"]["Code"] != code:
                complaints.append(f"{operation}: {error} instead of {code}")

    def _call(self, operation, parameters):
        model = self.model.operation_model(operation)
        method = {v: k for k, v in self.client.meta.method_to_api_mapping.items()}[operation]
        try:
            return getattr(self.client, method)(**parameters)
        finally:
            check_answer(model, *self.response)

    def until(self, operation, done, /, **parameters):
        """Asks until the answer is as wanted."""
        for _ in range(200):
            answer = self.call(operation, **parameters)
            if done(answer):
                return answer
            time.sleep(0.1)
        raise TimeoutError(operation)


def tagged(kind):
    tags = [{"Key": "Name", "Value": "conformance"}]
    return [{"ResourceType": kind, "Tags": tags}]


def filtered(name, *values):
    return [{"Name": name, "Values": list(values)}]


# What is found and asked for by its id, but made by none of the operations here.
FOREIGN = [
    ("DescribeInstances", "Reservations", "InstanceIds", "i", "InvalidInstanceID.NotFound"),
    ("DescribeVpcPeeringConnections", "VpcPeeringConnections", "VpcPeeringConnectionIds", "pcx",
     "InvalidVpcPeeringConnectionID.NotFound"),
    ("DescribeVpcEndpoints", "VpcEndpoints", "VpcEndpointIds", "vpce",
     "InvalidVpcEndpointId.NotFound"),
    ("DescribeVpnGateways", "VpnGateways", "VpnGatewayIds", "vgw", "InvalidVpnGatewayID.NotFound"),
    ("DescribeEgressOnlyInternetGateways", "EgressOnlyInternetGateways",
     "EgressOnlyInternetGatewayIds", "eigw", "InvalidGatewayID.NotFound"),
]


class Network:
    """EC2: a network for a cluster."""

    def __init__(self, ec2):
        self.ec2 = ec2
        self.zones()
        self.vpc()
        self.subnets()
        self.gateways()
        self.routes()
        self.groups_and_interfaces()
        self.foreign()
        self.tags()

    def zones(self):
        self.ec2.call("DescribeAccountAttributes")
        self.ec2.refuses("DescribeAccountAttributes", "InvalidParameterValue",
                         AttributeNames=["x"])
        self.ec2.call("DescribeAvailabilityZones", AllAvailabilityZones=True)
        zones = self.ec2.call("DescribeAvailabilityZones")["AvailabilityZones"]
        self.zone_ids = [zone["ZoneId"] for zone in zones][:2]
        self.ec2.refuses("DescribeAvailabilityZones", "InvalidParameterValue", ZoneIds=["x"])
        self.ec2.call("DescribeRegions", AllRegions=True)
        self.ec2.call("DescribeRegions", Filters=filtered("region-name", "eu-*"))
        self.ec2.refuses("DescribeRegions", "InvalidParameterValue", RegionNames=["x"])

    def vpc(self):
        ec2 = self.ec2
        made = ec2.call("CreateVpc", CidrBlock="10.0.0.0/16", TagSpecifications=tagged("vpc"))
        self.vpc_id = made["Vpc"]["VpcId"]
        ec2.refuses("CreateVpc", "InvalidVpc.Range", CidrBlock="10.0.0.0/8")
        ec2.refuses("CreateVpc", "DryRunOperation", CidrBlock="10.0.0.0/16", DryRun=True)
        on = {"Value": True}
        ec2.call("ModifyVpcAttribute", VpcId=self.vpc_id, EnableDnsHostnames=on)
        ec2.refuses("ModifyVpcAttribute", "InvalidParameterCombination", VpcId=self.vpc_id)
        for attribute in ("enableDnsHostnames", "enableDnsSupport",
                          "enableNetworkAddressUsageMetrics"):
            ec2.call("DescribeVpcAttribute", VpcId=self.vpc_id, Attribute=attribute)
        ec2.refuses("DescribeVpcAttribute", "InvalidVpcID.NotFound",
                    VpcId="vpc-0123456789abcdef0", Attribute="enableDnsSupport")
        ec2.call("DescribeVpcs", VpcIds=[self.vpc_id])
        ec2.call("DescribeVpcs", Filters=filtered("tag:Name", "conformance"))
        ec2.refuses("DescribeVpcs", "InvalidVpcId.Malformed", VpcIds=["x"])

    def subnets(self):
        ec2 = self.ec2
        ids = []
        for third, zone in ((0, 0), (1, 1), (2, 0), (3, 1)):
            made = ec2.call("CreateSubnet", VpcId=self.vpc_id, CidrBlock=f"10.0.{third}.0/24",
                            AvailabilityZoneId=self.zone_ids[zone],
                            TagSpecifications=tagged("subnet"))
            ids.append(made["Subnet"]["SubnetId"])
        self.public, self.private = ids[:2], ids[2:]
        ec2.refuses("CreateSubnet", "InvalidSubnet.Conflict", VpcId=self.vpc_id,
                    CidrBlock="10.0.0.0/24")
        ec2.call("ModifySubnetAttribute", SubnetId=ids[0], MapPublicIpOnLaunch={"Value": True})
        ec2.refuses("ModifySubnetAttribute", "InvalidParameterCombination", SubnetId=ids[0])
        for n in range(4, 7):
            ec2.call("CreateSubnet", VpcId=self.vpc_id, CidrBlock=f"10.0.{n}.0/24")
        page = ec2.call("DescribeSubnets", MaxResults=5)
        page = ec2.call("DescribeSubnets", MaxResults=5, NextToken=page["NextToken"])
        if not page["Subnets"]:
            complaints.append("DescribeSubnets: the second page is empty")
        ec2.refuses("DescribeSubnets", "InvalidNextToken", NextToken="x")

    def gateways(self):
        ec2 = self.ec2
        made = ec2.call("CreateInternetGateway", TagSpecifications=tagged("internet-gateway"))
        self.gateway = made["InternetGateway"]["InternetGatewayId"]
        pair = {"InternetGatewayId": self.gateway, "VpcId": self.vpc_id}
        ec2.call("AttachInternetGateway", **pair)
        ec2.refuses("AttachInternetGateway", "Resource.AlreadyAssociated", **pair)
        ec2.call("DescribeInternetGateways")
        ec2.refuses("DeleteInternetGateway", "DependencyViolation",
                    InternetGatewayId=self.gateway)
        made = ec2.call("AllocateAddress", Domain="vpc", TagSpecifications=tagged("elastic-ip"))
        self.address = made["AllocationId"]
        nat = {"SubnetId": self.public[0], "AllocationId": self.address, "ClientToken": "t"}
        made = ec2.call("CreateNatGateway", TagSpecifications=tagged("natgateway"), **nat)
        self.nat = made["NatGateway"]["NatGatewayId"]
        ec2.refuses("CreateNatGateway", "IdempotentParameterMismatch", **nat)
        # The address is taken: this one fails later.
        failing = ec2.call("CreateNatGateway", **{**nat, "ClientToken": "u"})
        for gateway, state in ((self.nat, "available"),
                               (failing["NatGateway"]["NatGatewayId"], "failed")):
            ec2.until("DescribeNatGateways",
                      lambda it, state=state: it["NatGateways"][0]["State"] == state,
                      NatGatewayIds=[gateway])
        ec2.refuses("DescribeNatGateways", "NatGatewayNotFound",
                    NatGatewayIds=["nat-0123456789abcdef0"])
        ec2.call("DescribeAddresses")
        ec2.refuses("DescribeAddresses", "InvalidAllocationID.NotFound",
                    AllocationIds=["eipalloc-0123456789abcdef0"])
        ec2.call("DescribeAddressesAttribute", Attribute="domain-name",
                 AllocationIds=[self.address])
        ec2.refuses("DescribeAddressesAttribute", "InvalidAllocationID.NotFound",
                    AllocationIds=["eipalloc-0123456789abcdef0"])
        # EC2 says so of an address that a service of AWS uses (kubernetes-sigs/cluster-api-provider-aws,
        # pkg/cloud/services/network/eips.go, retries it).
        ec2.refuses("ReleaseAddress", "AuthFailure", AllocationId=self.address)

    def routes(self):
        ec2 = self.ec2
        self.tables, self.associations = [], []
        targets = {"GatewayId": self.gateway}, {"NatGatewayId": self.nat}
        for subnets, target, other in ((self.public, *targets), (self.private, *targets[::-1])):
            made = ec2.call("CreateRouteTable", VpcId=self.vpc_id, ClientToken=str(target),
                            TagSpecifications=tagged("route-table"))
            table = made["RouteTable"]["RouteTableId"]
            self.tables.append(table)
            route = {"RouteTableId": table, "DestinationCidrBlock": "0.0.0.0/0", **target}
            ec2.call("CreateRoute", **route)
            # The identical route again succeeds.
            ec2.call("CreateRoute", **route)
            ec2.refuses("CreateRoute", "RouteAlreadyExists", RouteTableId=table,
                        DestinationCidrBlock="0.0.0.0/0", **other)
            ec2.call("ReplaceRoute", **route)
            for subnet in subnets:
                made = ec2.call("AssociateRouteTable", RouteTableId=table, SubnetId=subnet)
                self.associations.append(made["AssociationId"])
        ec2.refuses("AssociateRouteTable", "Resource.AlreadyAssociated",
                    RouteTableId=self.tables[0], SubnetId=self.private[0])
        replaced = ec2.call("ReplaceRouteTableAssociation", RouteTableId=self.tables[1],
                            AssociationId=self.associations[-1])
        self.associations[-1] = replaced["NewAssociationId"]
        ec2.refuses("ReplaceRouteTableAssociation", "InvalidAssociationID.NotFound",
                    RouteTableId=self.tables[1], AssociationId="rtbassoc-0123456789abcdef0")
        ec2.call("DescribeRouteTables")
        ec2.refuses("DeleteRouteTable", "DependencyViolation", RouteTableId=self.tables[0])

    def groups_and_interfaces(self):
        ec2 = self.ec2
        group = {"GroupName": "web", "Description": "web", "VpcId": self.vpc_id}
        made = ec2.call("CreateSecurityGroup", TagSpecifications=tagged("security-group"), **group)
        ec2.refuses("CreateSecurityGroup", "InvalidGroup.Duplicate", **group)
        ec2.call("DescribeSecurityGroups")
        self.group_of_two_vpcs(made["GroupId"])
        ec2.call("DeleteSecurityGroup", GroupId=made["GroupId"])
        ec2.refuses("DeleteSecurityGroup", "InvalidGroup.NotFound", GroupId=made["GroupId"])
        interfaces = ec2.call("DescribeNetworkInterfaces",
                              Filters=filtered("status", "available"))["NetworkInterfaces"]
        # Left behind for this by the one who started the simulator.
        unused = interfaces[0]["NetworkInterfaceId"]
        ec2.call("DeleteNetworkInterface", NetworkInterfaceId=unused)
        ec2.refuses("DeleteNetworkInterface", "InvalidNetworkInterfaceID.NotFound",
                    NetworkInterfaceId=unused)

    def group_of_two_vpcs(self, group):
        ec2 = self.ec2
        other = ec2.call("CreateVpc", CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]
        pair = {"GroupId": group, "VpcId": other}
        ec2.call("AssociateSecurityGroupVpc", **pair)
        ec2.refuses("AssociateSecurityGroupVpc", "Resource.AlreadyAssociated", **pair)
        ec2.refuses("DeleteSecurityGroup", "DependencyViolation", GroupId=group)
        ec2.refuses("DeleteVpc", "DependencyViolation", VpcId=other)
        ec2.call("DisassociateSecurityGroupVpc", **pair)
        ec2.until("DescribeSecurityGroupVpcAssociations",
                  lambda it: not it["SecurityGroupVpcAssociations"],
                  Filters=filtered("group-id", group))
        ec2.refuses("DisassociateSecurityGroupVpc", "InvalidParameterValue", **pair)
        ec2.call("DeleteVpc", VpcId=other)

    def foreign(self):
        """What the one who started the simulator has put there for this."""
        ec2 = self.ec2
        for operation, found, ids, prefix, code in FOREIGN:
            if not ec2.call(operation)[found]:
                complaints.append(f"{operation}: there is nothing to describe")
            if not ec2.call(operation, Filters=filtered("tag:team", "others"))[found]:
                complaints.append(f"{operation}: nothing has the tag")
            ec2.refuses(operation, code, **{ids: [f"{prefix}-0123456789abcdef0"]})
        ec2.call("DescribeNetworkInterfaces")
        for operation in ("DescribeCarrierGateways", "DescribeTransitGatewayVpcAttachments",
                          "DescribeVpcBlockPublicAccessOptions",
                          "DescribeVpcBlockPublicAccessExclusions"):
            ec2.call(operation)
        if not ec2.call("DescribeNetworkAcls",
                        Filters=filtered("vpc-id", self.vpc_id))["NetworkAcls"]:
            complaints.append("DescribeNetworkAcls: a VPC has one by default")
        unknown = ec2.call("DeleteVpcEndpoints", VpcEndpointIds=["vpce-0123456789abcdef0"])
        if not unknown["Unsuccessful"]:
            complaints.append("DeleteVpcEndpoints: an endpoint that does not exist was deleted")

    def tags(self):
        tags = {"Resources": [self.vpc_id], "Tags": [{"Key": "a", "Value": "b"}]}
        self.ec2.call("CreateTags", **tags)
        self.ec2.call("DescribeTags")
        self.ec2.call("DescribeTags", Filters=filtered("resource-id", self.vpc_id))
        page = self.ec2.call("DescribeTags", MaxResults=5)
        self.ec2.call("DescribeTags", MaxResults=5, NextToken=page["NextToken"])
        self.ec2.refuses("DescribeTags", "InvalidParameterValue", Filters=filtered("tag-key", "a"))
        self.ec2.call("DeleteTags", **tags)
        tags["Tags"] = [{"Key": "aws:a", "Value": "b"}]
        self.ec2.refuses("CreateTags", "InvalidParameterValue", **tags)
        self.ec2.refuses("DeleteTags", "InvalidID", Resources=["x-0"], Tags=[])

    def remove(self):
        ec2 = self.ec2
        for table in self.tables:
            ec2.call("DeleteRoute", RouteTableId=table, DestinationCidrBlock="0.0.0.0/0")
        ec2.refuses("DeleteRoute", "InvalidRoute.NotFound", RouteTableId=self.tables[0],
                    DestinationCidrBlock="0.0.0.0/0")
        ec2.call("DeleteNatGateway", NatGatewayId=self.nat)
        ec2.call("DescribeNatGateways")
        ec2.until("DescribeNatGateways",
                  lambda it: it["NatGateways"][0]["State"] == "deleted", NatGatewayIds=[self.nat])
        ec2.refuses("DeleteNatGateway", "NatGatewayNotFound", NatGatewayId=self.nat)
        ec2.until("DescribeAddresses", lambda it: "AssociationId" not in it["Addresses"][0],
                  AllocationIds=[self.address])
        ec2.call("ReleaseAddress", AllocationId=self.address)
        for association in self.associations:
            ec2.call("DisassociateRouteTable", AssociationId=association)
        ec2.refuses("DisassociateRouteTable", "InvalidAssociationID.NotFound",
                    AssociationId=self.associations[0])
        for table in self.tables:
            ec2.call("DeleteRouteTable", RouteTableId=table)
        gateway = {"InternetGatewayId": self.gateway}
        ec2.call("DetachInternetGateway", VpcId=self.vpc_id, **gateway)
        ec2.refuses("DetachInternetGateway", "Gateway.NotAttached", VpcId=self.vpc_id, **gateway)
        ec2.call("DeleteInternetGateway", **gateway)
        ec2.refuses("DeleteVpc", "DependencyViolation", VpcId=self.vpc_id)
        subnets = ec2.call("DescribeSubnets", Filters=filtered("vpc-id", self.vpc_id))["Subnets"]
        for subnet in subnets:
            ec2.call("DeleteSubnet", SubnetId=subnet["SubnetId"])
        ec2.refuses("DeleteSubnet", "InvalidSubnetID.NotFound", SubnetId=self.public[0])
        ec2.call("DeleteVpc", VpcId=self.vpc_id)


def trust(**principal):
    statement = {"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


class Roles:
    """IAM and STS: roles for a cluster, and one to assume."""

    def __init__(self, session, endpoint):
        self.session, self.endpoint = session, endpoint
        self.iam = Service(session, "iam", endpoint)
        self.sts = Service(session, "sts", endpoint)
        self.service_linked()
        self.cluster = self.role("cluster", trust(Service="eks.amazonaws.com"),
                                 "AmazonEKSClusterPolicy")
        self.pods = self.role("pods", trust(Service="eks-fargate-pods.amazonaws.com"),
                              "AmazonEKSFargatePodExecutionRolePolicy")
        self.person = self.role("person", trust(AWS=ACCOUNT), "ReadOnlyAccess")
        self.policies()
        self.tags()
        self.lists()

    def service_linked(self):
        service = {"AWSServiceName": "eks.amazonaws.com"}
        self.iam.call("CreateServiceLinkedRole", **service)
        self.iam.refuses("CreateServiceLinkedRole", "InvalidInput", **service)

    def role(self, name, document, policy):
        iam = self.iam
        parameters = {"RoleName": name, "AssumeRolePolicyDocument": document,
                      "Description": "for tests", "Tags": [{"Key": "a", "Value": "b"}]}
        made = iam.call("CreateRole", **parameters)
        iam.refuses("CreateRole", "EntityAlreadyExists", **parameters)
        iam.call("AttachRolePolicy", RoleName=name, PolicyArn=f"arn:aws:iam::aws:policy/{policy}")
        return made["Role"]["Arn"]

    def policies(self):
        iam, role = self.iam, {"RoleName": "person"}
        iam.call("UpdateAssumeRolePolicy", PolicyDocument=trust(AWS=ACCOUNT), **role)
        iam.refuses("UpdateAssumeRolePolicy", "MalformedPolicyDocument", PolicyDocument="{", **role)
        iam.refuses("CreateRole", "ValidationError", RoleName="a b",
                    AssumeRolePolicyDocument=trust(AWS=ACCOUNT))
        statement = {"Effect": "Allow", "Action": "ec2:DescribeVpcs", "Resource": "*"}
        inline = {"PolicyName": "inline", **role}
        iam.call("PutRolePolicy", PolicyDocument=json.dumps({"Statement": statement}), **inline)
        iam.refuses("PutRolePolicy", "MalformedPolicyDocument", PolicyDocument="{", **inline)
        iam.call("GetRolePolicy", **inline)
        iam.call("ListRolePolicies", **role)
        source = f"arn:aws:iam::{ACCOUNT}:role/person"
        iam.call("SimulatePrincipalPolicy", PolicySourceArn=source, ActionNames=["ec2:CreateVpc"])
        iam.call("SimulatePrincipalPolicy", PolicySourceArn=source, ActionNames=["s3:GetObject"],
                 ResourceArns=["arn:aws:s3:::one/x", "arn:aws:s3:::other/x"])
        iam.refuses("SimulatePrincipalPolicy", "NoSuchEntity", ActionNames=["ec2:CreateVpc"],
                    PolicySourceArn=f"arn:aws:iam::{ACCOUNT}:role/nobody")
        iam.refuses("SimulatePrincipalPolicy", "InvalidInput", ActionNames=["ec2:CreateVpc"],
                    PolicySourceArn=f"arn:aws:sts::{ACCOUNT}:assumed-role/person/me")
        iam.call("DeleteRolePolicy", **inline)
        iam.refuses("GetRolePolicy", "NoSuchEntity", **inline)
        iam.refuses("DeleteRolePolicy", "NoSuchEntity", **inline)
        iam.refuses("AttachRolePolicy", "NoSuchEntity",
                    PolicyArn="arn:aws:iam::aws:policy/Nothing", **role)
        boundary = "arn:aws:iam::aws:policy/PowerUserAccess"
        iam.call("GetPolicy", PolicyArn=boundary)
        iam.refuses("GetPolicy", "NoSuchEntity", PolicyArn="arn:aws:iam::aws:policy/Nothing")
        iam.call("PutRolePermissionsBoundary", PermissionsBoundary=boundary, **role)
        iam.call("GetRole", **role)
        iam.call("DeleteRolePermissionsBoundary", **role)
        iam.refuses("DeleteRolePermissionsBoundary", "NoSuchEntity", **role)
        iam.refuses("PutRolePermissionsBoundary", "NoSuchEntity",
                    PermissionsBoundary="arn:aws:iam::aws:policy/Nothing", **role)

    def tags(self):
        iam, role = self.iam, {"RoleName": "person"}
        iam.call("TagRole", Tags=[{"Key": "c", "Value": "d"}], **role)
        iam.refuses("TagRole", "InvalidInput", Tags=[{"Key": "aws:c", "Value": "d"}], **role)
        iam.call("ListRoleTags", **role)
        iam.call("UntagRole", TagKeys=["c"], **role)
        iam.refuses("UntagRole", "NoSuchEntity", RoleName="nobody", TagKeys=["c"])
        iam.refuses("ListRoleTags", "NoSuchEntity", RoleName="nobody")

    def lists(self):
        iam, role, nobody = self.iam, {"RoleName": "person"}, {"RoleName": "nobody"}
        iam.call("ListRoles")
        page = iam.call("ListRoles", MaxItems=1)
        iam.call("ListRoles", MaxItems=1, Marker=page["Marker"])
        iam.refuses("ListRoles", "ValidationError", MaxItems=1001)
        iam.call("ListAttachedRolePolicies", **role)
        iam.call("ListInstanceProfilesForRole", **role)
        for operation in ("GetRole", "ListRolePolicies", "ListAttachedRolePolicies",
                          "ListInstanceProfilesForRole", "DeleteRole"):
            iam.refuses(operation, "NoSuchEntity", **nobody)

    def sessions(self):
        sts = self.sts
        sts.call("GetCallerIdentity")
        assume = {"RoleArn": self.person, "RoleSessionName": "conformance"}
        credentials = sts.call("AssumeRole", **assume)["Credentials"]
        key, token = credentials["AccessKeyId"], credentials["SessionToken"]
        Service(self.session, "sts", self.endpoint, key, token).call("GetCallerIdentity")
        sts.refuses("AssumeRole", "AccessDenied",
                    RoleArn=self.cluster, RoleSessionName="conformance")
        self.limited_session(assume)
        sts.refuses("AssumeRole", "ValidationError", RoleArn=self.person, RoleSessionName="x")

    def limited_session(self, assume):
        """A session that may do one thing, and is refused all others in each service's words."""
        sts = self.sts
        statement = {"Effect": "Allow", "Action": "iam:ListRoles", "Resource": "*"}
        policy = json.dumps({"Version": "2012-10-17", "Statement": statement})
        sts.refuses("AssumeRole", "MalformedPolicyDocument", Policy="{", **assume)
        sts.refuses("AssumeRole", "ValidationError", Policy=policy + " " * 2048, **assume)
        inline = {"PolicyName": "inline", "PolicyDocument": policy.replace("iam:ListRoles", "*")}
        self.iam.call("PutRolePolicy", RoleName="person", **inline)
        # Until services see it.
        time.sleep(0.1)
        assumed = sts.call("AssumeRole", Policy=policy, **assume)
        if not 0 < assumed["PackedPolicySize"] <= 100:
            complaints.append("AssumeRole: the packed policy has no size")
        credentials = assumed["Credentials"]
        key, token = credentials["AccessKeyId"], credentials["SessionToken"]
        session = lambda name: Service(self.session, name, self.endpoint, key, token)
        session("iam").call("ListRoles", MaxItems=1, PathPrefix="/")
        session("iam").refuses("GetRole", "AccessDenied", RoleName="person")
        session("sts").refuses("AssumeRole", "AccessDenied", **assume)
        session("ec2").refuses("DescribeVpcs", "UnauthorizedOperation", DryRun=True)
        session("eks").refuses("ListClusters", "AccessDeniedException", maxResults=1)
        session("logs").refuses("DescribeLogGroups", "AccessDeniedException")
        self.iam.call("DeleteRolePolicy", RoleName="person", PolicyName="inline")

    def remove(self):
        iam = self.iam
        iam.refuses("DeleteRole", "DeleteConflict", RoleName="person")
        detach = {"RoleName": "person", "PolicyArn": "arn:aws:iam::aws:policy/ReadOnlyAccess"}
        iam.call("DetachRolePolicy", **detach)
        iam.refuses("DetachRolePolicy", "NoSuchEntity", **detach)
        iam.call("DeleteRole", RoleName="person")


class LogGroups:
    """CloudWatch Logs: groups to write to."""

    def __init__(self, logs):
        self.logs = logs
        self.group = {"logGroupName": "/conformance/a"}
        logs.call("CreateLogGroup", tags={"a": "b"}, **self.group)
        logs.call("CreateLogGroup", logGroupName="/conformance/b")
        logs.refuses("CreateLogGroup", "ResourceAlreadyExistsException", **self.group)
        logs.refuses("CreateLogGroup", "InvalidParameterException", logGroupName="a b")
        self.lists()

    def lists(self):
        logs, prefix = self.logs, {"logGroupNamePrefix": "/conformance/"}
        logs.call("DescribeLogGroups")
        logs.call("DescribeLogGroups", logGroupNamePattern="conformance")
        page = logs.call("DescribeLogGroups", limit=1, **prefix)
        other = logs.call("DescribeLogGroups", limit=1, nextToken=page["nextToken"], **prefix)
        if [group["logGroupName"] for group in other["logGroups"]] != ["/conformance/b"]:
            complaints.append("DescribeLogGroups: the second page has another group")
        logs.refuses("DescribeLogGroups", "InvalidParameterException", limit=51)
        arn = page["logGroups"][0]["logGroupArn"]
        if logs.call("ListTagsForResource", resourceArn=arn)["tags"] != {"a": "b"}:
            complaints.append("ListTagsForResource: the tags are others")
        logs.refuses("ListTagsForResource", "InvalidParameterException", resourceArn=f"{arn}:*")
        logs.refuses("ListTagsForResource", MISSING, resourceArn=f"{arn}-nobody")

    def remove(self):
        self.logs.call("DeleteLogGroup", **self.group)
        self.logs.refuses("DeleteLogGroup", MISSING, **self.group)
        self.logs.refuses("DeleteLogGroup", "InvalidParameterException", logGroupName="a b")


class Keys:
    """KMS: a key and its alias."""

    def __init__(self, kms):
        missing, busy = "NotFoundException", "KMSInvalidStateException"
        key = kms.call("CreateKey", Description="conformance")["KeyMetadata"]
        name, alias = {"KeyId": key["KeyId"]}, {"AliasName": "alias/conformance"}
        kms.call("CreateAlias", TargetKeyId=key["Arn"], **alias)
        kms.refuses("CreateAlias", "AlreadyExistsException", TargetKeyId=key["Arn"], **alias)
        kms.refuses("CreateAlias", missing, AliasName="alias/other", TargetKeyId="nobody")
        kms.call("DisableKey", **name)
        kms.call("EnableKey", **name)
        for known in (key["KeyId"], key["Arn"], alias["AliasName"]):
            if kms.call("DescribeKey", KeyId=known)["KeyMetadata"] != key:
                complaints.append(f"DescribeKey: {known} is another key")
        kms.refuses("DescribeKey", missing, KeyId="alias/nobody")
        kms.call("ScheduleKeyDeletion", PendingWindowInDays=7, **name)
        kms.refuses("DisableKey", busy, **name)
        kms.refuses("EnableKey", busy, **name)
        kms.refuses("ScheduleKeyDeletion", busy, **name)
        self.usable = kms.call("CreateKey")["KeyMetadata"]["Arn"]


class Parameters:
    """Systems Manager: parameters in a hierarchy."""

    def __init__(self, ssm):
        self.ssm = ssm
        value = {"Value": "one", "Type": "String"}
        for name in ("a", "b/c"):
            ssm.call("PutParameter", Name=f"/conformance/{name}", **value)
        ssm.refuses("PutParameter", "ParameterAlreadyExists", Name="/conformance/a", **value)
        ssm.refuses("PutParameter", "ValidationException", Name="/conformance/a b", **value)
        ssm.refuses("PutParameter", "AccessDeniedException", Name="/aws/a", **value)
        deep = "HierarchyLevelLimitExceededException"
        ssm.refuses("PutParameter", deep, Name="/a" * 16, **value)
        self.update()
        self.lists()

    def update(self):
        ssm, update = self.ssm, {"Value": "two", "Overwrite": True}
        if ssm.call("PutParameter", Name="/conformance/a", **update)["Version"] != 2:
            complaints.append("PutParameter: the version is another")
        ssm.refuses("PutParameter", "ValidationException", Name="/conformance/nobody", **update)
        if ssm.call("GetParameter", Name="/conformance/a")["Parameter"]["Value"] != "two":
            complaints.append("GetParameter: the value is another")
        ssm.refuses("GetParameter", "ParameterNotFound", Name="/conformance/nobody")
        ssm.refuses("GetParameter", "ParameterVersionNotFound", Name="/conformance/a:9")
        several = ssm.call("GetParameters", Names=["/conformance/a:1", "/conformance/nobody"])
        if several["InvalidParameters"] != ["/conformance/nobody"]:
            complaints.append("GetParameters: another one is missing")

    def lists(self):
        ssm, below = self.ssm, {"Path": "/conformance", "Recursive": True}
        page = ssm.call("GetParametersByPath", MaxResults=1, **below)
        other = ssm.call("GetParametersByPath", NextToken=page["NextToken"], **below)
        if [parameter["Name"] for parameter in other["Parameters"]] != ["/conformance/b/c"]:
            complaints.append("GetParametersByPath: the second page has another parameter")
        ssm.refuses("GetParametersByPath", "ValidationException", MaxResults=11, **below)
        ssm.refuses("GetParametersByPath", "InvalidNextToken", NextToken="?", **below)

    def remove(self):
        self.ssm.call("DeleteParameter", Name="/conformance/a")
        self.ssm.refuses("DeleteParameter", "ParameterNotFound", Name="/conformance/a")


NAME = {"name": "demo"}
CLUSTER = {"clusterName": "demo"}
NOBODY = {"clusterName": "nobody"}
MISSING = "ResourceNotFoundException"


class Cluster:
    """EKS: a cluster with all that can be in it."""

    def __init__(self, eks, network, roles, keys):
        self.eks, self.network, self.roles, self.keys = eks, network, roles, keys
        self.versions()
        self.create()
        self.entries()
        self.profile()
        self.addon()
        self.update()
        self.upgrade()
        self.tags()

    def versions(self):
        eks = self.eks
        eks.call("DescribeClusterVersions", includeAll=True)
        eks.refuses("DescribeClusterVersions", "InvalidParameterException", versionStatus="x")
        versions = eks.call("DescribeAddonVersions", addonName="coredns",
                            kubernetesVersion="1.35")["addons"][0]["addonVersions"]
        addon = {"addonName": "coredns", "addonVersion": versions[0]["addonVersion"]}
        eks.call("DescribeAddonConfiguration", **addon)
        eks.refuses("DescribeAddonConfiguration", MISSING, addonName="x", addonVersion="v1")
        eks.refuses("DescribeAddonVersions", "InvalidParameterException", maxResults=101)
        eks.call("ListAccessPolicies")

    def create(self):
        eks, network = self.eks, self.network
        key = self.keys.usable
        wanted = {
            "version": "1.35",
            "roleArn": self.roles.cluster,
            "resourcesVpcConfig": {"subnetIds": network.public + network.private},
            "accessConfig": {"authenticationMode": "API"},
            "encryptionConfig": [{"resources": ["secrets"], "provider": {"keyArn": key}}],
            "logging": {"clusterLogging": [{"types": ["api"], "enabled": True}]},
            "bootstrapSelfManagedAddons": False,
            "tags": {"a": "b"},
        }
        eks.refuses("DescribeCluster", MISSING, **NAME)
        eks.refuses("CreateCluster", "InvalidParameterException", **{**wanted, "name": "-"})
        other = {"name": "other", "resourcesVpcConfig": {"subnetIds": network.public[:1]}}
        eks.refuses("CreateCluster", "InvalidParameterException", **{**wanted, **other})
        eks.call("CreateCluster", **NAME, **wanted)
        eks.refuses("CreateCluster", "ResourceInUseException", **NAME, **wanted)
        self.until_active()
        eks.call("ListClusters")
        eks.refuses("ListClusters", "InvalidParameterException", maxResults=101)

    def until_active(self):
        active = lambda it: it["cluster"]["status"] == "ACTIVE"
        self.arn = self.eks.until("DescribeCluster", active, **NAME)["cluster"]["arn"]

    def entries(self):
        eks = self.eks
        entry = {**CLUSTER, "principalArn": self.roles.person}
        eks.call("CreateAccessEntry", kubernetesGroups=["viewers"], tags={"a": "b"}, **entry)
        eks.refuses("CreateAccessEntry", "ResourceInUseException", **entry)
        eks.call("DescribeAccessEntry", **entry)
        eks.call("ListAccessEntries", **CLUSTER)
        policy = {"policyArn": "arn:aws:eks::aws:cluster-access-policy/AmazonEKSViewPolicy"}
        scope = {"type": "namespace", "namespaces": ["default"]}
        eks.call("AssociateAccessPolicy", accessScope=scope, **entry, **policy)
        eks.refuses("AssociateAccessPolicy", "InvalidParameterException",
                    accessScope={"type": "x"}, **entry, **policy)
        eks.call("ListAssociatedAccessPolicies", **entry)
        eks.call("DisassociateAccessPolicy", **entry, **policy)
        eks.refuses("DisassociateAccessPolicy", MISSING, **entry, **policy)
        eks.call("DeleteAccessEntry", **entry)
        for operation in ("DescribeAccessEntry", "ListAssociatedAccessPolicies",
                          "DeleteAccessEntry"):
            eks.refuses(operation, MISSING, **entry)
        eks.refuses("ListAccessEntries", MISSING, **NOBODY)

    def profile(self):
        eks = self.eks
        profile = {**CLUSTER, "fargateProfileName": "kube-system"}
        wanted = {"podExecutionRoleArn": self.roles.pods, "subnets": self.network.private,
                  "selectors": [{"namespace": "kube-system", "labels": {"a": "b"}},
                                {"namespace": "kube-system"}],
                  "tags": {"a": "b"}}
        eks.refuses("CreateFargateProfile", "InvalidParameterException",
                    **{**profile, **wanted, "subnets": self.network.public})
        eks.refuses("CreateFargateProfile", MISSING, **{**profile, **wanted, **NOBODY})
        eks.call("CreateFargateProfile", **profile, **wanted)
        eks.refuses("CreateFargateProfile", "ResourceInUseException", **profile, **wanted)
        eks.refuses("DeleteFargateProfile", "ResourceInUseException", **profile)
        eks.until("DescribeFargateProfile",
                  lambda it: it["fargateProfile"]["status"] == "ACTIVE", **profile)
        eks.call("ListFargateProfiles", **CLUSTER)
        eks.refuses("ListFargateProfiles", MISSING, **NOBODY)
        eks.refuses("DescribeFargateProfile", MISSING, **CLUSTER, fargateProfileName="x")

    def addon(self):
        eks = self.eks
        addon = {**CLUSTER, "addonName": "coredns"}
        configuration = json.dumps({"computeType": "Fargate"})
        eks.refuses("CreateAddon", "InvalidParameterException", configurationValues="[", **addon)
        eks.call("CreateAddon", configurationValues=configuration, tags={"a": "b"}, **addon)
        eks.refuses("CreateAddon", "ResourceInUseException", **addon)
        self.until_addon("ACTIVE")
        eks.call("ListNodegroups", **CLUSTER)
        eks.call("ListCapabilities", **CLUSTER)
        eks.refuses("ListCapabilities", "InvalidParameterException", **NOBODY)
        eks.refuses("ListNodegroups", MISSING, **NOBODY)
        eks.call("ListAddons", **CLUSTER)
        eks.refuses("ListAddons", MISSING, **NOBODY)
        eks.refuses("DescribeAddon", MISSING, **CLUSTER, addonName="x")
        replicas = json.dumps({"computeType": "Fargate", "replicaCount": 3})
        update = eks.call("UpdateAddon", configurationValues=replicas, **addon)["update"]["id"]
        eks.refuses("UpdateAddon", "ResourceInUseException", **addon)
        eks.until("DescribeUpdate", lambda it: it["update"]["status"] == "Successful",
                  updateId=update, addonName="coredns", **NAME)
        # A version that no node can pull does not exist; too large a pod does.
        huge = json.dumps({"computeType": "Fargate", "resources": {"requests": {"cpu": "64"}}})
        update = eks.call("UpdateAddon", configurationValues=huge, **addon)["update"]["id"]
        eks.until("DescribeUpdate", lambda it: it["update"]["status"] == "Failed",
                  updateId=update, addonName="coredns", **NAME)
        self.until_addon("UPDATE_FAILED")

    def until_addon(self, status):
        self.eks.until("DescribeAddon", lambda it: it["addon"]["status"] == status,
                       addonName="coredns", **CLUSTER)

    def update(self):
        eks = self.eks
        changes = [
            {"logging": {"clusterLogging": [{"types": ["audit"], "enabled": True}]}},
            {"resourcesVpcConfig": {"endpointPrivateAccess": True}},
            {"resourcesVpcConfig": {"subnetIds": self.network.private}},
            {"resourcesVpcConfig": {"controlPlaneEgressMode": "CUSTOMER_ROUTED"}},
            {"upgradePolicy": {"supportType": "STANDARD"}},
            {"zonalShiftConfig": {"enabled": True}},
            {"controlPlaneScalingConfig": {"tier": "tier-xl"}},
            {"deletionProtection": True},
            {"deletionProtection": False},
        ]
        eks.refuses("UpdateClusterConfig", "InvalidParameterException", **NAME)
        for change in changes:
            update = eks.call("UpdateClusterConfig", **NAME, **change)["update"]["id"]
            eks.refuses("UpdateClusterConfig", "ResourceInUseException", **NAME, **change)
            eks.until("DescribeUpdate", lambda it: it["update"]["status"] == "Successful",
                      updateId=update, **NAME)
            self.until_active()
        eks.call("ListUpdates", **NAME)
        eks.refuses("ListUpdates", MISSING, name="nobody")
        eks.refuses("DescribeUpdate", MISSING, updateId="x", **NAME)

    def upgrade(self):
        eks = self.eks
        wish = {"categories": ["UPGRADE_READINESS"], "kubernetesVersions": ["1.36"]}
        insights = eks.call("ListInsights", filter=wish, maxResults=100, **CLUSTER)["insights"]
        for insight in insights:
            eks.call("DescribeInsight", id=insight["id"], **CLUSTER)
        eks.refuses("ListInsights", "InvalidParameterException",
                    filter={"statuses": ["x"]}, **CLUSTER)
        eks.refuses("ListInsights", MISSING, **NOBODY)
        eks.refuses("DescribeInsight", MISSING, id="x", **CLUSTER)
        eks.refuses("UpdateClusterVersion", "InvalidParameterException", version="1.99", **NAME)
        eks.refuses("UpdateClusterVersion", "InvalidParameterException", version="1.35", **NAME)
        eks.refuses("UpdateClusterVersion", MISSING, version="1.36", name="nobody")
        version = {"version": "1.36", **NAME}
        update = eks.call("UpdateClusterVersion", force=True, **version)["update"]["id"]
        eks.refuses("UpdateClusterVersion", "ResourceInUseException", **version)
        eks.until("DescribeUpdate", lambda it: it["update"]["status"] == "Successful",
                  updateId=update, **NAME)
        self.until_active()

    def tags(self):
        eks, resource = self.eks, {"resourceArn": self.arn}
        eks.call("TagResource", tags={"c": "d"}, **resource)
        eks.refuses("TagResource", "BadRequestException", tags={"aws:c": "d"}, **resource)
        eks.call("ListTagsForResource", **resource)
        eks.call("UntagResource", tagKeys=["c"], **resource)
        missing = {"resourceArn": self.arn.replace("demo", "nobody")}
        eks.refuses("UntagResource", "NotFoundException", tagKeys=["c"], **missing)
        eks.refuses("ListTagsForResource", "NotFoundException", **missing)

    def remove(self):
        eks = self.eks
        eks.refuses("DeleteCluster", "ResourceInUseException", **NAME)
        addon = {**CLUSTER, "addonName": "coredns"}
        eks.call("DeleteAddon", **addon)
        self.until_gone("DescribeAddon", **addon)
        eks.refuses("DeleteAddon", MISSING, **addon)
        profile = {**CLUSTER, "fargateProfileName": "kube-system"}
        self.until_accepted("DeleteFargateProfile", **profile)
        self.until_gone("DescribeFargateProfile", **profile)
        eks.refuses("DeleteFargateProfile", MISSING, **profile)
        eks.call("DeleteCluster", **NAME)
        eks.call("DescribeCluster", **NAME)
        self.until_gone("DescribeCluster", **NAME)
        eks.refuses("DeleteCluster", MISSING, **NAME)

    def until_gone(self, operation, **parameters):
        for _ in range(200):
            try:
                self.eks._call(operation, parameters)
            except ClientError as error:
                if error.response["Error"]["Code"] == MISSING:
                    return
            time.sleep(0.1)
        raise TimeoutError(operation)

    def until_accepted(self, operation, **parameters):
        for _ in range(200):
            try:
                self.eks._call(operation, parameters)
                return
            except ClientError:
                time.sleep(0.1)
        raise TimeoutError(operation)


def quotas(service):
    """Every quota of every service, alone and in lists."""
    missing = "NoSuchResourceException"
    for code in ["vpc", "ec2", "eks", "fargate"]:
        of_service = {"ServiceCode": code}
        listed = service.call("ListServiceQuotas", **of_service)["Quotas"]
        for quota in listed:
            one = {"QuotaCode": quota["QuotaCode"], **of_service}
            for operation in ["GetServiceQuota", "GetAWSDefaultServiceQuota"]:
                if service.call(operation, **one)["Quota"] != quota:
                    complaints.append(f"{operation}: {one} is not as it is listed")
            service.call("ListServiceQuotas", **one)
        service.refuses("GetServiceQuota", missing, QuotaCode="L-00000000", **of_service)
    page = service.call("ListServiceQuotas", ServiceCode="vpc", MaxResults=1)
    service.call("ListServiceQuotas", ServiceCode="vpc", NextToken=page["NextToken"])
    service.refuses("ListServiceQuotas", missing, ServiceCode="nothing")
    service.refuses("GetAWSDefaultServiceQuota", missing, ServiceCode="ec2", QuotaCode="L-00000000")
    refused = {"ServiceCode": "vpc", "MaxResults": 0}
    service.refuses("ListServiceQuotas", "IllegalArgumentException", **refused)
    refused = {"ServiceCode": "vpc", "NextToken": "x"}
    service.refuses("ListServiceQuotas", "InvalidPaginationTokenException", **refused)


def main(endpoint):
    session = botocore.session.Session()
    roles = Roles(session, endpoint)
    network = Network(Service(session, "ec2", endpoint))
    roles.sessions()
    groups = LogGroups(Service(session, "logs", endpoint))
    quotas(Service(session, "service-quotas", endpoint))
    keys = Keys(Service(session, "kms", endpoint))
    parameters = Parameters(Service(session, "ssm", endpoint))
    cluster = Cluster(Service(session, "eks", endpoint), network, roles, keys)
    cluster.remove()
    network.remove()
    roles.remove()
    groups.remove()
    parameters.remove()


if __name__ == "__main__":
    try:
        main(sys.argv[1])
    finally:
        for complaint in dict.fromkeys(complaints):
            print(complaint)
    sys.exit(bool(complaints))
