//! Network interfaces. Clients do not make them here: NAT gateways, EKS and what else is in a VPC do.

use std::net::Ipv4Addr;

use jiff::Timestamp;
use rand::Rng;
use serde::{Deserialize, Serialize};

use super::describe::{Resource, Spelling, describe as answer};
use super::kind::{Kind, NETWORK_INTERFACE};
use super::request::Request;
use super::subnet::{RESERVED, RESERVED_AT_START};
use super::tags::{self, Tags};
use super::{Ec2, Subnet, yes};
use crate::api_error::ApiError;
use crate::seed::Seed;
use crate::xml::Element;

/// A network interface.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NetworkInterface {
    /// `eni-…`
    pub id: String,
    /// The subnet that it is in.
    pub subnet_id: String,
    /// The VPC that it is in.
    pub vpc_id: String,
    /// The zone's id.
    pub zone_id: String,
    /// The zone's name.
    pub zone_name: String,
    /// Its address in the subnet.
    pub private_ip: Ipv4Addr,
    /// What made it, for people, for example `Interface for NAT Gateway nat-…`.
    pub description: String,
    /// `interface`, `nat_gateway` or `vpc_endpoint`.
    pub interface_type: String,
    /// The account that it belongs to.
    pub owner: String,
    /// Who made it on the owner's behalf, if not the owner.
    pub requester_id: Option<String>,
    /// Ids of its security groups.
    pub security_groups: Vec<String>,
    /// Whether it is attached to something.
    pub is_attached: bool,
    /// The instance that it is attached to, if it is one.
    #[serde(default)]
    pub instance_id: Option<String>,
    /// A public address that is nobody's Elastic IP address.
    #[serde(default)]
    pub public_ip: Option<Ipv4Addr>,
    /// When it was attached, as the first call after it is told.
    #[serde(default)]
    pub attached_at: Option<Timestamp>,
    /// When the service that made it will have deleted it, if it is going to.
    #[serde(default)]
    pub gone_at: Option<Timestamp>,
    /// Tags.
    pub tags: Tags,
}

/// The type of a NAT gateway's interface. The filter's documentation and AWS' answers have this
/// spelling; botocore's enumeration has `natGateway`.
pub(super) const NAT_GATEWAY_TYPE: &str = "nat_gateway";

/// What another service says of an interface that it wants.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct NewInterface {
    /// The subnet that it is to be in.
    pub subnet_id: String,
    /// What it is for; also what its id and address are drawn from.
    pub description: String,
    /// Who makes it on the owner's behalf.
    pub requester_id: Option<String>,
    /// Ids of its security groups.
    pub security_groups: Vec<String>,
    /// The account that it belongs to.
    pub owner: String,
}

impl Ec2 {
    /// Makes an interface, attached, and returns its id. Where the subnet is missing or has no free
    /// address nothing is made: ask [`Ec2::free_addresses`] first.
    pub fn add_interface(&mut self, seed: Seed, new: NewInterface) -> String {
        self.add_interface_of_type(seed, new, "interface")
    }

    pub(super) fn add_interface_of_type(
        &mut self,
        seed: Seed,
        new: NewInterface,
        interface_type: &str,
    ) -> String {
        let name = format!("{}/{}/{}", new.owner, new.subnet_id, new.description);
        let id = self.fresh_id(seed, NETWORK_INTERFACE.prefix, &name);
        let Some(subnet) = self.subnets.get(&new.subnet_id) else {
            return id;
        };
        let Some(private_ip) = self.unused_address(seed, subnet, &id) else {
            return id;
        };
        let interface = NetworkInterface {
            id: id.clone(),
            vpc_id: subnet.vpc_id.clone(),
            zone_id: subnet.zone_id.clone(),
            zone_name: subnet.zone_name.clone(),
            private_ip,
            subnet_id: new.subnet_id,
            description: new.description,
            interface_type: interface_type.to_owned(),
            owner: new.owner,
            requester_id: new.requester_id,
            security_groups: new.security_groups,
            is_attached: true,
            instance_id: None,
            public_ip: None,
            attached_at: None,
            gone_at: None,
            tags: Tags::new(),
        };
        self.network_interfaces.insert(id.clone(), interface);
        id
    }

    /// Takes an interface off what it was attached to; it stays, `available`, until it is deleted.
    pub fn detach_interface(&mut self, id: &str) {
        if let Some(interface) = self.network_interfaces.get_mut(id) {
            interface.is_attached = false;
        }
    }

    /// Lets the service that has made an interface delete it at a time, unless somebody else does
    /// before.
    pub fn remove_interface_at(&mut self, id: &str, at: Timestamp) {
        if let Some(interface) = self.network_interfaces.get_mut(id) {
            interface.gone_at = Some(at);
        }
    }

    /// Removes an interface; an address that was associated with it is free again.
    pub fn remove_interface(&mut self, id: &str) {
        self.network_interfaces.remove(id);
        for address in self.addresses.values_mut() {
            (address.association).take_if(|association| association.interface_id == id);
        }
    }

    /// Drawn from the interface's id, then the next free one.
    fn unused_address(&self, seed: Seed, subnet: &Subnet, id: &str) -> Option<Ipv4Addr> {
        if self.free_addresses(&subnet.id) == 0 {
            return None;
        }
        let usable = subnet.size().saturating_sub(RESERVED);
        let first = u32::from(subnet.cidr.network()) + RESERVED_AT_START;
        let start = seed.rng("private-ip", id).random_range(0..usable);
        let is_used = |address: &Ipv4Addr| {
            let mut here = self.network_interfaces.values();
            here.any(|it| it.subnet_id == subnet.id && it.private_ip == *address)
        };
        (0..usable)
            .map(|offset| Ipv4Addr::from(first + (start + offset) % usable))
            .find(|address| !is_used(address))
    }
}

/// Lets the interfaces go whose time has come.
pub(super) fn settle(ec2: &mut Ec2, now: Timestamp) {
    let interfaces = ec2.network_interfaces.values();
    let is_gone = |it: &&NetworkInterface| it.gone_at.is_some_and(|gone_at| gone_at <= now);
    let gone: Vec<String> = interfaces.filter(is_gone).map(|it| it.id.clone()).collect();
    for id in gone {
        ec2.remove_interface(&id);
    }
    for interface in ec2.network_interfaces.values_mut() {
        interface.attached_at.get_or_insert(now);
    }
}

impl Subnet {
    /// How many addresses its block has, those that AWS keeps included.
    pub(super) fn size(&self) -> u32 {
        1 << (32 - u32::from(self.cidr.prefix_len()))
    }
}

/// `DescribeNetworkInterfaces`.
pub(super) fn describe(ec2: &mut Ec2, request: &Request<'_>) -> Result<Vec<Element>, ApiError> {
    let spelling = Spelling {
        ids: "NetworkInterfaceId",
        set: "networkInterfaceSet",
        page_limit: Some(1000),
    };
    answer(ec2, request, &ec2.network_interfaces, &spelling)
}

/// `DeleteNetworkInterface`: only a detached one (botocore's EC2 model). The code is what clients
/// report for an attached one.
pub(super) fn delete(ec2: &mut Ec2, request: &Request<'_>) -> Result<Vec<Element>, ApiError> {
    let id = request.id("NetworkInterfaceId", &NETWORK_INTERFACE)?;
    let interface = ec2.look_up(&ec2.network_interfaces, &NETWORK_INTERFACE, id)?;
    if interface.is_attached {
        let message = format!("Network interface '{id}' is currently in use.");
        return Err(ApiError::client("InvalidParameterValue", message));
    }
    ec2.remove_interface(id);
    Ok(yes())
}

impl NetworkInterface {
    fn status(&self) -> &'static str {
        if self.is_attached {
            "in-use"
        } else {
            "available"
        }
    }

    /// What passes others' traffic on cannot check that it is meant for itself.
    fn checks_destinations(&self) -> bool {
        self.interface_type != NAT_GATEWAY_TYPE
    }

    /// EC2's are made up locally: the second bit of the first byte is set.
    fn mac_address(&self) -> String {
        let digits = self.id.trim_start_matches("eni-").as_bytes();
        let bytes = digits.chunks_exact(2).take(5);
        let bytes = bytes.map(|pair| String::from_utf8_lossy(pair).into_owned());
        let bytes: Vec<String> = ["06".to_owned()].into_iter().chain(bytes).collect();
        bytes.join(":")
    }

    fn attachment_id(&self) -> String {
        self.id.replacen("eni-", "eni-attach-", 1)
    }

    /// An instance's primary interface is its first device and goes with it.
    fn attachment(&self) -> Element {
        let instance_id = self.instance_id.as_ref();
        let is_primary = instance_id.is_some();
        let id = instance_id.map(|id| Element::text("instanceId", id));
        let attached_at = self.attached_at;
        let attached_at = attached_at.map(|at| Element::text("attachTime", at));
        Element::new("attachment")
            .children([
                Element::text("attachmentId", self.attachment_id()),
                Element::text("deleteOnTermination", is_primary),
                Element::text("deviceIndex", u8::from(!is_primary)),
                Element::text("instanceOwnerId", self.attachment_owner()),
                Element::text("status", "attached"),
            ])
            .children(id)
            .children(attached_at)
    }

    fn private_dns_name(&self, request: &Request<'_>) -> String {
        let host = self.private_ip.to_string().replace('.', "-");
        // VPC user guide, DNS hostnames: us-east-1 has a zone of its own.
        match request.region {
            "us-east-1" => format!("ip-{host}.ec2.internal"),
            region => format!("ip-{host}.{region}.compute.internal"),
        }
    }

    /// Whose the thing is that it is attached to: an instance is its owner's; what a service attaches is
    /// the service's, which for NAT gateways, load balancers and EKS is what requests it (EC2 user guide,
    /// requester-managed network interfaces).
    fn attachment_owner(&self) -> &str {
        self.requester_id.as_ref().unwrap_or(&self.owner)
    }

    /// Whether an address of the internet leads to it.
    pub(super) fn is_mapped(&self, ec2: &Ec2) -> bool {
        self.public_ip.is_some() || ec2.address_of_interface(&self.id).is_some()
    }

    fn association(&self, ec2: &Ec2) -> Option<Element> {
        if let Some(public_ip) = self.public_ip {
            return Some(Element::new("association").children([
                Element::text("publicIp", public_ip),
                Element::text("ipOwnerId", self.attachment_owner()),
            ]));
        }
        let address = ec2.address_of_interface(&self.id)?;
        let association = address.association.as_ref()?;
        Some(Element::new("association").children([
            Element::text("publicIp", address.public_ip),
            Element::text("allocationId", &address.id),
            Element::text("associationId", &association.id),
            Element::text("ipOwnerId", &self.owner),
        ]))
    }
}

impl Resource for NetworkInterface {
    const KIND: Kind = NETWORK_INTERFACE;
    const FILTERS: &'static [&'static str] = &[
        "addresses.association.owner-id",
        "addresses.association.public-ip",
        "addresses.primary",
        "addresses.private-ip-address",
        "association.allocation-id",
        "association.association-id",
        "association.ip-owner-id",
        "association.public-dns-name",
        "association.public-ip",
        "attachment.attach-time",
        "attachment.attachment-id",
        "attachment.delete-on-termination",
        "attachment.device-index",
        "attachment.instance-id",
        "attachment.instance-owner-id",
        "attachment.status",
        "availability-zone",
        "availability-zone-id",
        "description",
        "group-id",
        "interface-type",
        "ipv6-addresses.ipv6-address",
        "mac-address",
        "network-interface-id",
        "operator.managed",
        "operator.principal",
        "owner-id",
        "private-dns-name",
        "private-ip-address",
        "requester-id",
        "requester-managed",
        "source-dest-check",
        "status",
        "subnet-id",
        "vpc-id",
    ];

    fn tags(&self) -> &Tags {
        &self.tags
    }

    fn attribute(&self, name: &str, ec2: &Ec2, request: &Request<'_>) -> Vec<String> {
        let address = || ec2.address_of_interface(&self.id);
        let value = match name {
            "addresses.association.owner-id" | "association.ip-owner-id" => {
                address().map(|_| self.owner.clone())
            }
            "addresses.association.public-ip" | "association.public-ip" => {
                address().map(|it| it.public_ip.to_string())
            }
            "association.allocation-id" => address().map(|it| it.id.clone()),
            "association.association-id" => address()
                .and_then(|it| it.association.as_ref())
                .map(|association| association.id.clone()),
            "addresses.primary" => Some("true".to_owned()),
            "addresses.private-ip-address" | "private-ip-address" => {
                Some(self.private_ip.to_string())
            }
            "attachment.instance-id" => self.instance_id.clone().filter(|_| self.is_attached),
            "attachment.instance-owner-id" => {
                (self.is_attached).then(|| self.attachment_owner().to_owned())
            }
            "attachment.attachment-id" => self.is_attached.then(|| self.attachment_id()),
            "attachment.status" => self.is_attached.then(|| "attached".to_owned()),
            "availability-zone" => Some(self.zone_name.clone()),
            "availability-zone-id" => Some(self.zone_id.clone()),
            "description" => Some(self.description.clone()),
            "group-id" => return self.security_groups.clone(),
            "interface-type" => Some(self.interface_type.clone()),
            "mac-address" => Some(self.mac_address()),
            "network-interface-id" => Some(self.id.clone()),
            "operator.managed" => Some("false".to_owned()),
            "owner-id" => Some(self.owner.clone()),
            "private-dns-name" => Some(self.private_dns_name(request)),
            "requester-id" => self.requester_id.clone(),
            "requester-managed" => Some(self.requester_id.is_some().to_string()),
            "source-dest-check" => Some(self.checks_destinations().to_string()),
            "status" => Some(self.status().to_owned()),
            "subnet-id" => Some(self.subnet_id.clone()),
            "vpc-id" => Some(self.vpc_id.clone()),
            _ => None,
        };
        value.into_iter().collect()
    }

    fn content(&self, ec2: &Ec2, request: &Request<'_>) -> Vec<Element> {
        let groups = self.security_groups.iter().map(|id| {
            let name = ec2.security_groups.get(id).map(|group| &group.name);
            let name = name.map(|name| Element::text("groupName", name));
            [Element::text("groupId", id)]
                .into_iter()
                .chain(name)
                .collect()
        });
        let mut private_address = vec![
            Element::text("privateIpAddress", self.private_ip),
            Element::text("privateDnsName", self.private_dns_name(request)),
            Element::text("primary", true),
        ];
        private_address.extend(self.association(ec2));
        let mut content = vec![
            Element::text("networkInterfaceId", &self.id),
            Element::text("subnetId", &self.subnet_id),
            Element::text("vpcId", &self.vpc_id),
            Element::text("availabilityZone", &self.zone_name),
            Element::text("availabilityZoneId", &self.zone_id),
            Element::text("description", &self.description),
            Element::text("ownerId", &self.owner),
            Element::text("requesterManaged", self.requester_id.is_some()),
            Element::text("sourceDestCheck", self.checks_destinations()),
            Element::text("status", self.status()),
            Element::text("interfaceType", &self.interface_type),
            Element::text("macAddress", self.mac_address()),
            Element::new("ipv6AddressesSet"),
            Element::text("privateIpAddress", self.private_ip),
            Element::text("privateDnsName", self.private_dns_name(request)),
            Element::list("privateIpAddressesSet", "item", [private_address]),
            Element::list("groupSet", "item", groups),
            tags::element(&self.tags),
        ];
        let requester = self.requester_id.as_ref();
        content.extend(requester.map(|id| Element::text("requesterId", id)));
        content.extend(self.association(ec2));
        if self.is_attached {
            content.push(self.attachment());
        }
        content
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_ec2::types::Filter;

    use super::*;
    use crate::ec2::testing::{World, code};

    #[tokio::test(start_paused = true)]
    async fn nat_gateway_has_an_interface_that_clients_cannot_delete() {
        let world = World::new();
        let network = world.network().await;
        let filter = Filter::builder().name("subnet-id").values(&network.public);
        let call = world.ec2.describe_network_interfaces();
        let found = call.filters(filter.build()).send().await.unwrap();
        let interface = &found.network_interfaces()[0];
        let kind = interface.interface_type.as_ref().unwrap();
        assert_eq!(kind.as_str(), "nat_gateway");
        let description = interface.description.as_deref().unwrap();
        assert!(description.contains(&network.nat_gateway));
        assert_eq!(interface.requester_managed, Some(true));
        let id = interface.network_interface_id.as_deref().unwrap();
        let delete = world
            .ec2
            .delete_network_interface()
            .network_interface_id(id);
        assert_eq!(code(delete.send().await), "InvalidParameterValue");

        let attached_at = interface.attachment().unwrap().attach_time.unwrap();
        assert!(attached_at.secs() <= world.simulator.now().as_second());
        assert_eq!(interface.ipv6_addresses().len(), 0);
        let mac = interface.mac_address.as_deref().unwrap();
        assert_eq!((mac.len(), &mac[..3]), (17, "06:"));
        let filter = Filter::builder().name("mac-address").values(mac);
        let call = world.ec2.describe_network_interfaces();
        let found = call.filters(filter.build()).send().await.unwrap();
        assert_eq!(found.network_interfaces().len(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn detached_interface_blocks_its_subnet_until_it_is_deleted() {
        let world = World::new();
        let vpc = world.vpc().await;
        let subnet = world.subnet(&vpc, "10.0.0.0/24").await;
        let mut id = String::new();
        world.change(|ec2| {
            let new = NewInterface {
                subnet_id: subnet.clone(),
                ..Default::default()
            };
            id = ec2.add_interface(Seed(1), new);
        });
        let delete = || {
            world
                .ec2
                .delete_network_interface()
                .network_interface_id(&id)
        };
        let delete_subnet = || world.ec2.delete_subnet().subnet_id(&subnet).send();
        assert_eq!(code(delete().send().await), "InvalidParameterValue");
        world.change(|ec2| ec2.detach_interface(&id));
        assert_eq!(code(delete_subnet().await), "DependencyViolation");
        delete().send().await.unwrap();
        let again = delete().send().await;
        assert_eq!(code(again), "InvalidNetworkInterfaceID.NotFound");
        delete_subnet().await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn interfaces_have_addresses_of_their_own_that_aws_does_not_keep() {
        let world = World::new();
        let vpc = world.vpc().await;
        let subnet = world.subnet(&vpc, "10.0.0.0/28").await;
        world.change(|ec2| {
            for n in 0..12 {
                let new = NewInterface {
                    subnet_id: subnet.clone(),
                    description: format!("{n}"),
                    ..Default::default()
                };
                ec2.add_interface(Seed(1), new);
            }
        });
        let interfaces = world.read(|ec2| ec2.network_interfaces.clone());
        let addresses = interfaces.values().map(|it| it.private_ip.octets()[3]);
        let mut addresses: Vec<u8> = addresses.collect();
        addresses.sort_unstable();
        assert_eq!(addresses, (4..15).collect::<Vec<u8>>());
        let count = world
            .describe_subnet(&subnet)
            .await
            .available_ip_address_count;
        assert_eq!(count, Some(0));
    }
}
