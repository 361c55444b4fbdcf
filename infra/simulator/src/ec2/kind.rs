//! The kinds of resources: what their ids look like, and what EC2 says of ids that are wrong.
//!
//! Codes: EC2 API reference, error codes; where its list is silent, what clients report seeing.

use std::collections::BTreeMap;

use super::Ec2;
use crate::api_error::ApiError;

/// A kind of resource.
#[derive(Debug, PartialEq, Eq)]
pub struct Kind {
    /// Of its ids, without the hyphen.
    pub prefix: &'static str,
    /// In `TagSpecification.ResourceType` (botocore's EC2 model, ResourceType).
    pub tag_type: &'static str,
    /// The code for an id that does not exist.
    pub not_found: &'static str,
    /// The code for something that is no id of this kind.
    pub malformed: &'static str,
    /// In messages.
    pub noun: &'static str,
}

/// VPCs.
pub const VPC: Kind = Kind {
    prefix: "vpc",
    tag_type: "vpc",
    not_found: "InvalidVpcID.NotFound",
    malformed: "InvalidVpcId.Malformed",
    noun: "vpc",
};
/// Subnets.
pub const SUBNET: Kind = Kind {
    prefix: "subnet",
    tag_type: "subnet",
    not_found: "InvalidSubnetID.NotFound",
    malformed: "InvalidSubnetID.Malformed",
    noun: "subnet",
};
/// Internet gateways.
pub const INTERNET_GATEWAY: Kind = Kind {
    prefix: "igw",
    tag_type: "internet-gateway",
    not_found: "InvalidInternetGatewayID.NotFound",
    malformed: "InvalidInternetGatewayId.Malformed",
    noun: "internetGateway",
};
/// Elastic IP addresses, by allocation.
pub const ADDRESS: Kind = Kind {
    prefix: "eipalloc",
    tag_type: "elastic-ip",
    not_found: "InvalidAllocationID.NotFound",
    malformed: "InvalidAllocationID.Malformed",
    noun: "allocation",
};
/// NAT gateways.
pub const NAT_GATEWAY: Kind = Kind {
    prefix: "nat",
    tag_type: "natgateway",
    not_found: "NatGatewayNotFound",
    malformed: "NatGatewayMalformed",
    noun: "natGateway",
};
/// Route tables.
pub const ROUTE_TABLE: Kind = Kind {
    prefix: "rtb",
    tag_type: "route-table",
    not_found: "InvalidRouteTableID.NotFound",
    malformed: "InvalidRouteTableId.Malformed",
    noun: "routeTable",
};
/// Associations of route tables; they have no tags.
pub const ASSOCIATION: Kind = Kind {
    prefix: "rtbassoc",
    tag_type: "",
    not_found: "InvalidAssociationID.NotFound",
    malformed: "InvalidAssociationID.Malformed",
    noun: "association",
};
/// Security groups.
pub const SECURITY_GROUP: Kind = Kind {
    prefix: "sg",
    tag_type: "security-group",
    not_found: "InvalidGroup.NotFound",
    malformed: "InvalidGroupId.Malformed",
    noun: "security group",
};
/// Network interfaces.
pub const NETWORK_INTERFACE: Kind = Kind {
    prefix: "eni",
    tag_type: "network-interface",
    not_found: "InvalidNetworkInterfaceID.NotFound",
    malformed: "InvalidNetworkInterfaceId.Malformed",
    noun: "networkInterface",
};
/// Instances.
pub const INSTANCE: Kind = Kind {
    prefix: "i",
    tag_type: "instance",
    not_found: "InvalidInstanceID.NotFound",
    malformed: "InvalidInstanceID.Malformed",
    noun: "instance",
};
/// VPC peering connections.
pub const VPC_PEERING_CONNECTION: Kind = Kind {
    prefix: "pcx",
    tag_type: "vpc-peering-connection",
    not_found: "InvalidVpcPeeringConnectionID.NotFound",
    malformed: "InvalidVpcPeeringConnectionId.Malformed",
    noun: "vpcPeeringConnection",
};
/// VPC endpoints.
pub const VPC_ENDPOINT: Kind = Kind {
    prefix: "vpce",
    tag_type: "vpc-endpoint",
    not_found: "InvalidVpcEndpointId.NotFound",
    malformed: "InvalidVpcEndpointId.Malformed",
    noun: "Vpc Endpoint",
};
/// Virtual private gateways.
pub const VPN_GATEWAY: Kind = Kind {
    prefix: "vgw",
    tag_type: "vpn-gateway",
    not_found: "InvalidVpnGatewayID.NotFound",
    malformed: "InvalidVpnGatewayID.Malformed",
    noun: "vpnGateway",
};
/// Egress-only internet gateways.
pub const EGRESS_ONLY_INTERNET_GATEWAY: Kind = Kind {
    prefix: "eigw",
    tag_type: "egress-only-internet-gateway",
    not_found: "InvalidGatewayID.NotFound",
    malformed: "InvalidEgressOnlyInternetGatewayId.Malformed",
    noun: "egressOnlyInternetGateway",
};
/// Network ACLs.
pub const NETWORK_ACL: Kind = Kind {
    prefix: "acl",
    tag_type: "network-acl",
    not_found: "InvalidNetworkAclID.NotFound",
    malformed: "InvalidNetworkAclId.Malformed",
    noun: "networkAcl",
};
/// Carrier gateways.
pub const CARRIER_GATEWAY: Kind = Kind {
    prefix: "cagw",
    tag_type: "carrier-gateway",
    not_found: "InvalidCarrierGatewayID.NotFound",
    malformed: "InvalidCarrierGatewayID.Malformed",
    noun: "carrierGateway",
};
/// Attachments of VPCs to transit gateways.
pub const TRANSIT_GATEWAY_ATTACHMENT: Kind = Kind {
    prefix: "tgw-attach",
    tag_type: "transit-gateway-attachment",
    not_found: "InvalidTransitGatewayAttachmentID.NotFound",
    malformed: "InvalidTransitGatewayAttachmentID.Malformed",
    noun: "transitGatewayAttachment",
};

/// All kinds that have tags.
const TAGGED: &[&Kind] = &[
    &VPC,
    &SUBNET,
    &INTERNET_GATEWAY,
    &ADDRESS,
    &NAT_GATEWAY,
    &ROUTE_TABLE,
    &SECURITY_GROUP,
    &NETWORK_INTERFACE,
    &INSTANCE,
    &VPC_PEERING_CONNECTION,
    &VPC_ENDPOINT,
    &VPN_GATEWAY,
    &EGRESS_ONLY_INTERNET_GATEWAY,
    &NETWORK_ACL,
    &CARRIER_GATEWAY,
    &TRANSIT_GATEWAY_ATTACHMENT,
];

/// The kind of what has the id, if it can have tags.
pub(crate) fn of_id(id: &str) -> Option<&'static Kind> {
    let (prefix, _) = id.rsplit_once('-')?;
    TAGGED.iter().copied().find(|kind| kind.prefix == prefix)
}

impl Kind {
    /// Refuses what is not the prefix, a hyphen, and 8 or 17 hexadecimal digits (EC2 user guide,
    /// resource IDs).
    pub(super) fn check_form(&self, id: &str) -> Result<(), ApiError> {
        let digits = id
            .strip_prefix(self.prefix)
            .and_then(|rest| rest.strip_prefix('-'));
        let is_well_formed = digits.is_some_and(|digits| {
            matches!(digits.len(), 8 | 17) && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
        });
        if is_well_formed && !self.is_nobodys(id) {
            return Ok(());
        }
        Err(self.refuse(id))
    }

    /// A security group of zeros only is no id (captured: radkawar/stackd,
    /// testdata/aws/ec2/networking.json).
    fn is_nobodys(&self, id: &str) -> bool {
        *self == SECURITY_GROUP && id.bytes().skip("sg-".len()).all(|byte| byte == b'0')
    }

    /// What EC2 says of something that is no id. Of VPCs only digits of another number are malformed
    /// (`vpc-012345678`, quoted in ansible-collections/community.aws pull request 1475), other words do
    /// not exist, and so it is with every allocation (captured: radkawar/stackd,
    /// testdata/aws/ec2/networking.json and public_addresses.json).
    fn refuse(&self, id: &str) -> ApiError {
        let digits = id.strip_prefix("vpc-").unwrap_or_default();
        let is_hex = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        if *self == VPC && is_hex {
            let message = format!("The vpc ID {id} is malformed");
            return ApiError::client(self.malformed, message);
        }
        if *self == ADDRESS || (*self == VPC && id.starts_with("vpc-")) {
            return self.missing(id);
        }
        let message = format!("Invalid id: \"{id}\" (expecting \"{}-...\")", self.prefix);
        ApiError::client(self.malformed, message)
    }

    /// The error for an id that does not exist.
    pub(super) fn missing(&self, id: &str) -> ApiError {
        // Captured: radkawar/stackd, testdata/aws/ec2/networking.json.
        let message = match self.noun {
            "security group" => format!("The security group '{id}' does not exist"),
            noun => format!("The {noun} ID '{id}' does not exist"),
        };
        ApiError::client(self.not_found, message)
    }
}

impl Ec2 {
    /// Looks `id` up as a call does: unknown ids and ids that are not visible yet are not found.
    pub(super) fn look_up<'a, R>(
        &self,
        all: &'a BTreeMap<String, R>,
        kind: &Kind,
        id: &str,
    ) -> Result<&'a R, ApiError> {
        kind.check_form(id)?;
        let found = all.get(id).filter(|_| !self.is_hidden(id));
        found.ok_or_else(|| kind.missing(id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_malformed_ids_from_missing_ones() {
        let malformed = |id| VPC.check_form(id).unwrap_err().code;
        assert_eq!(malformed("vpc-012345678"), "InvalidVpcId.Malformed");
        assert_eq!(malformed("vpc-invalid"), "InvalidVpcID.NotFound");
        assert_eq!(
            malformed("subnet-0123456789abcdef0"),
            "InvalidVpcId.Malformed"
        );
        assert_eq!(malformed(""), "InvalidVpcId.Malformed");
        let no_address = ADDRESS.check_form("bad").unwrap_err();
        assert_eq!(no_address.code, "InvalidAllocationID.NotFound");
        let zeros = SECURITY_GROUP.check_form("sg-00000000000000000");
        assert_eq!(zeros.unwrap_err().code, "InvalidGroupId.Malformed");
        assert!(SECURITY_GROUP.check_form("sg-00000000000000001").is_ok());
        assert!(VPC.check_form("vpc-0123456789abcdef0").is_ok());
        assert!(VPC.check_form("vpc-01234567").is_ok());
        assert_eq!(VPC.missing("vpc-01234567").code, "InvalidVpcID.NotFound");
    }
}
