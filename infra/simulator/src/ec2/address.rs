//! Elastic IP addresses.

use std::net::Ipv4Addr;

use jiff::Timestamp;
use rand::Rng;
use serde::{Deserialize, Serialize};

use super::describe::{Resource, Spelling, describe_listed};
use super::kind::{ADDRESS, Kind};
use super::request::{Request, invalid_value};
use super::tags::{self, Tags};
use super::zones::zones;
use super::{Ec2, Quotas, yes};
use crate::api_error::ApiError;
use crate::xml::Element;

/// An Elastic IP address.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Address {
    /// `eipalloc-…`
    pub id: String,
    /// The address, out of 198.18.0.0/15, which nobody on the internet has (RFC 2544).
    pub public_ip: Ipv4Addr,
    /// Where AWS announces it: the region, or the group of a local zone.
    pub network_border_group: String,
    /// What it is associated with.
    pub association: Option<Association>,
    /// When it was allocated.
    pub allocated_at: Timestamp,
    /// Its PTR record, for example `mail.example.com.`. Tests set it.
    #[serde(default)]
    pub ptr_record: Option<String>,
    /// Until then it cannot be released because of a PTR record that is not shown any more: it takes minutes
    /// (mrchantey/beet, the teardown of its mail stack). Tests set it.
    #[serde(default)]
    pub ptr_holds_until: Option<Timestamp>,
    /// Tags.
    pub tags: Tags,
}

/// The association of an address with a network interface.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Association {
    /// `eipassoc-…`
    pub id: String,
    /// The network interface.
    pub interface_id: String,
}

impl Address {
    fn is_held_by_ptr_record(&self, now: Timestamp) -> bool {
        self.ptr_record.is_some() || self.ptr_holds_until.is_some_and(|until| now < until)
    }
}

/// `AllocateAddress`. There is no client token: every call allocates another address.
pub(super) fn allocate(ec2: &mut Ec2, request: &Request<'_>) -> Result<Vec<Element>, ApiError> {
    request.refuse_unmodelled(&[
        "Address",
        "CustomerOwnedIpv4Pool",
        "IpamPoolId",
        "PublicIpv4Pool",
    ])?;
    if let Some(domain) = request.get("Domain").filter(|domain| *domain != "vpc") {
        return Err(invalid_value("Domain", domain, "Use vpc."));
    }
    let network_border_group = network_border_group(request)?;
    let tags = tags::of_new(request, &ADDRESS)?;
    let (used, quota) = (ec2.addresses.len(), ec2.quotas.addresses);
    Quotas::check(used, quota, "AddressLimitExceeded", "addresses")?;

    let name = tags.get("Name").cloned().unwrap_or_default();
    let id = ec2.mint(request, ADDRESS.prefix, &name);
    let address = Address {
        public_ip: unused_public_ip(ec2, request, &id),
        id: id.clone(),
        network_border_group,
        association: None,
        allocated_at: request.now,
        ptr_record: None,
        ptr_holds_until: None,
        tags,
    };
    let content = vec![
        Element::text("publicIp", address.public_ip),
        Element::text("domain", "vpc"),
        Element::text("allocationId", &address.id),
        Element::text("publicIpv4Pool", "amazon"),
        Element::text("networkBorderGroup", &address.network_border_group),
    ];
    ec2.addresses.insert(id, address);
    Ok(content)
}

/// The region, or the group of one of its local zones.
fn network_border_group(request: &Request<'_>) -> Result<String, ApiError> {
    let group = (request.get("NetworkBorderGroup")).unwrap_or(request.region);
    let is_it = |zone: &super::Zone| zone.network_border_group == group;
    if zones(request.region).iter().any(is_it) {
        return Ok(group.to_owned());
    }
    let why = "There is no such network border group.";
    Err(invalid_value("NetworkBorderGroup", group, why))
}

fn unused_public_ip(ec2: &Ec2, request: &Request<'_>, id: &str) -> Ipv4Addr {
    let mut rng = request.seed.rng("public-ip", id);
    loop {
        let candidate = Ipv4Addr::new(198, rng.random_range(18..20), rng.random(), rng.random());
        if (ec2.addresses.values()).all(|address| address.public_ip != candidate) {
            return candidate;
        }
    }
}

/// `ReleaseAddress`.
pub(super) fn release(ec2: &mut Ec2, request: &Request<'_>) -> Result<Vec<Element>, ApiError> {
    let id = request.id("AllocationId", &ADDRESS)?;
    // botocore's EC2 model, ReleaseAddress: an address that was released already, and that another
    // account has by now, is AuthFailure. Here another account always has it by now.
    if ec2.released.contains(id) {
        return Err(not_yours());
    }
    let address = ec2.look_up(&ec2.addresses, &ADDRESS, id)?;
    if let Some(group) = request.get("NetworkBorderGroup")
        && group != address.network_border_group
    {
        // botocore's EC2 model, ReleaseAddress.
        let message = format!("The address with allocation id '{id}' does not exist in {group}");
        return Err(ApiError::client("InvalidAddress.NotFound", message));
    }
    // An address that a service uses is the service's matter, in the words for addresses of others: of a
    // NAT gateway (kubernetes/kops issue 938, genevieve/leftovers issue 33), and for moments after it is
    // `deleted` (eformat/sno-for-100 issue 9; Cluster API Provider AWS retries AuthFailure, eips.go).
    let interface = (address.association.as_ref())
        .and_then(|association| ec2.network_interfaces.get(&association.interface_id));
    if interface.is_some_and(|interface| interface.requester_id.is_some()) {
        return Err(not_yours());
    }
    // botocore's EC2 model, ReleaseAddress: disassociate it first.
    if address.association.is_some() {
        let message = format!("Address {} is in use.", address.public_ip);
        return Err(ApiError::client("InvalidIPAddress.InUse", message));
    }
    // cloud-custodian/cloud-custodian pull request 8924 quotes it.
    if address.is_held_by_ptr_record(request.now) {
        let message = format!(
            "The address with allocation id [{id}] cannot be released because it has a PTR record set."
        );
        return Err(ApiError::client("InvalidAddress.PtrSet", message));
    }
    ec2.addresses.remove(id);
    ec2.released.insert(id.to_owned());
    Ok(yes())
}

fn not_yours() -> ApiError {
    let message = "You do not have permission to access the specified resource.";
    ApiError::client("AuthFailure", message)
}

/// What EC2 looks at before it says what a dry run would do (captured: radkawar/stackd,
/// testdata/aws/ec2/public_addresses.json).
pub(super) fn check_before_dry_run(operation: &str, request: &Request<'_>) -> Result<(), ApiError> {
    match operation {
        "AllocateAddress" => {
            network_border_group(request)?;
            request
                .get("Address")
                .map_or(Ok(()), |ip| check_ip("Address", ip))
        }
        "DescribeAddresses" => {
            let mut ips = request.params.list("PublicIp").into_iter();
            ips.try_for_each(|ip| check_ip("PublicIp", ip))
        }
        _ => Ok(()),
    }
}

fn check_ip(parameter: &str, text: &str) -> Result<(), ApiError> {
    match text.parse::<Ipv4Addr>() {
        Ok(_) => Ok(()),
        Err(_) => Err(invalid_value(parameter, text, "It is no IPv4 address.")),
    }
}

/// `DescribeAddresses`: by allocation ids or public addresses, without pages.
pub(super) fn describe(ec2: &mut Ec2, request: &Request<'_>) -> Result<Vec<Element>, ApiError> {
    let public_ips = request.params.list("PublicIp");
    let has =
        |wanted: &&str| (ec2.addresses.values()).any(|it| it.public_ip.to_string() == **wanted);
    if let Some(unknown) = public_ips.iter().find(|wanted| !has(wanted)) {
        // EC2 API reference, error codes.
        let message = format!("Address '{unknown}' not found.");
        return Err(ApiError::client("InvalidAddress.NotFound", message));
    }
    // Ids and addresses together ask for all of either (captured: the same file).
    let ids = request.params.list("AllocationId");
    let mut asked_for = ec2.as_listed(&ec2.addresses).into_owned();
    for id in &ids {
        ec2.look_up(&asked_for, &ADDRESS, id)?;
    }
    asked_for.retain(|id, address| {
        let by_ip = public_ips.contains(&address.public_ip.to_string().as_str());
        public_ips.is_empty() || by_ip || ids.contains(&id.as_str())
    });
    let spelling = Spelling {
        ids: if public_ips.is_empty() {
            "AllocationId"
        } else {
            NO_IDS
        },
        set: "addressesSet",
        page_limit: None,
    };
    describe_listed(ec2, request, &asked_for, &spelling)
}

/// `DescribeAddressesAttribute`: the PTR record of each address, without pages here.
pub(super) fn describe_attribute(
    ec2: &mut Ec2,
    request: &Request<'_>,
) -> Result<Vec<Element>, ApiError> {
    request.refuse_unmodelled(&["MaxResults", "NextToken"])?;
    if let Some(other) = request.get("Attribute").filter(|it| *it != "domain-name") {
        return Err(invalid_value("Attribute", other, "Use domain-name."));
    }
    let ids = request.params.list("AllocationId");
    for id in &ids {
        ec2.look_up(&ec2.addresses, &ADDRESS, id)?;
    }
    let all = ec2.addresses.values();
    let asked_for = all.filter(|it| ids.is_empty() || ids.contains(&it.id.as_str()));
    let items = asked_for.map(|address| {
        let mut item = vec![
            Element::text("publicIp", address.public_ip),
            Element::text("allocationId", &address.id),
        ];
        let record = address.ptr_record.as_ref();
        item.extend(record.map(|record| Element::text("ptrRecord", record)));
        item
    });
    Ok(vec![Element::list("addressSet", "item", items)])
}

/// A parameter that no request has: what was asked for is sorted out already.
const NO_IDS: &str = "-";

impl Resource for Address {
    const KIND: Kind = ADDRESS;
    // `domain` is in no documentation any more, and clients use it (amazon.aws, ec2_eip.py).
    const FILTERS: &'static [&'static str] = &[
        "allocation-id",
        "association-id",
        "domain",
        "instance-id",
        "network-border-group",
        "network-interface-id",
        "network-interface-owner-id",
        "private-ip-address",
        "public-ip",
    ];

    fn tags(&self) -> &Tags {
        &self.tags
    }

    fn attribute(&self, name: &str, ec2: &Ec2, _: &Request<'_>) -> Vec<String> {
        let interface = (self.association.as_ref())
            .and_then(|association| ec2.network_interfaces.get(&association.interface_id));
        let value = match name {
            "allocation-id" => Some(self.id.clone()),
            "association-id" => self.association.as_ref().map(|it| it.id.clone()),
            "domain" => Some("vpc".to_owned()),
            "network-border-group" => Some(self.network_border_group.clone()),
            "network-interface-id" => interface.map(|it| it.id.clone()),
            "network-interface-owner-id" => interface.map(|it| it.owner.clone()),
            "private-ip-address" => interface.map(|it| it.private_ip.to_string()),
            "public-ip" => Some(self.public_ip.to_string()),
            _ => None,
        };
        value.into_iter().collect()
    }

    fn content(&self, ec2: &Ec2, _: &Request<'_>) -> Vec<Element> {
        let mut content = vec![
            Element::text("publicIp", self.public_ip),
            Element::text("allocationId", &self.id),
            Element::text("domain", "vpc"),
            Element::text("publicIpv4Pool", "amazon"),
            Element::text("networkBorderGroup", &self.network_border_group),
        ];
        if let Some(association) = &self.association {
            content.push(Element::text("associationId", &association.id));
            let interface = ec2.network_interfaces.get(&association.interface_id);
            content.extend(interface.into_iter().flat_map(|interface| {
                [
                    Element::text("networkInterfaceId", &interface.id),
                    Element::text("networkInterfaceOwnerId", &interface.owner),
                    Element::text("privateIpAddress", interface.private_ip),
                ]
            }));
        }
        content.push(tags::element(&self.tags));
        content
    }
}

#[cfg(test)]
mod tests {
    use crate::ec2::testing::{World, code, wait};

    #[tokio::test(start_paused = true)]
    async fn every_call_allocates_another_address_until_the_quota() {
        let world = World::new();
        for _ in 0..5 {
            world.address().await;
        }
        let call = world.ec2.describe_addresses().send();
        let addresses = call.await.unwrap().addresses.unwrap();
        let ips = addresses.iter().map(|it| it.public_ip.clone().unwrap());
        assert_eq!(ips.collect::<std::collections::BTreeSet<_>>().len(), 5);
        let sixth = world.ec2.allocate_address().send().await;
        assert_eq!(code(sixth), "AddressLimitExceeded");
    }

    #[tokio::test(start_paused = true)]
    async fn address_in_use_cannot_be_released() {
        let world = World::new();
        let network = world.network().await;
        let release = || {
            let call = world.ec2.release_address();
            call.allocation_id(&network.allocation).send()
        };
        assert_eq!(code(release().await), "AuthFailure");
        world.change(|ec2| {
            for interface in ec2.network_interfaces.values_mut() {
                interface.requester_id = None;
            }
        });
        assert_eq!(code(release().await), "InvalidIPAddress.InUse");
    }

    #[tokio::test(start_paused = true)]
    async fn some_parameters_are_looked_at_before_a_dry_run_ends() {
        let world = World::new();
        let allocate = || world.ec2.allocate_address().dry_run(true);
        assert_eq!(code(allocate().send().await), "DryRunOperation");
        for wrong in [
            allocate().network_border_group("us-east-1"),
            allocate().address("x"),
        ] {
            assert_eq!(code(wrong.send().await), "InvalidParameterValue");
        }
        let describe = || world.ec2.describe_addresses().dry_run(true);
        let wrong = describe().public_ips("x").send().await;
        assert_eq!(code(wrong), "InvalidParameterValue");
        let unknown = describe().public_ips("198.51.100.1").send().await;
        assert_eq!(code(unknown), "DryRunOperation");
    }

    #[tokio::test(start_paused = true)]
    async fn ids_and_addresses_together_ask_for_all_of_either() {
        let world = World::new();
        let (one, other) = (world.address().await, world.address().await);
        world.address().await;
        let ip = world.read(|ec2| ec2.addresses[&one].public_ip.to_string());
        let call = world.ec2.describe_addresses().public_ips(ip);
        let found = call.allocation_ids(&other).send().await.unwrap();
        let ids = found.addresses().iter().filter_map(|it| it.allocation_id());
        let mut ids: Vec<&str> = ids.collect();
        ids.sort_unstable();
        let mut expected = [one.as_str(), other.as_str()];
        expected.sort_unstable();
        assert_eq!(ids, expected);
        let filter = aws_sdk_ec2::types::Filter::builder().name("domain");
        let call = world.ec2.describe_addresses();
        let call = call.filters(filter.values("vpc").build()).send().await;
        assert_eq!(call.unwrap().addresses().len(), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn an_address_with_a_ptr_record_is_described_and_not_released() {
        let world = World::new();
        let (id, other) = (world.address().await, world.address().await);
        world.change(|ec2| {
            let address = ec2.addresses.get_mut(&id).unwrap();
            address.ptr_record = Some("mail.example.com.".to_owned());
        });
        let describe = || world.ec2.describe_addresses_attribute();
        let all = describe().send().await.unwrap().addresses.unwrap();
        let record = |id: &String| {
            let mut all = all.iter();
            let found = all.find(|it| it.allocation_id.as_ref() == Some(id));
            found.unwrap().ptr_record()
        };
        assert_eq!(record(&id), Some("mail.example.com."));
        assert_eq!(record(&other), None);
        let one = describe().allocation_ids(&other).send().await.unwrap();
        assert_eq!(one.addresses().len(), 1);
        let unknown = describe().allocation_ids("eipalloc-0123456789abcdef0");
        let unknown = unknown.send().await;
        assert_eq!(code(unknown), "InvalidAllocationID.NotFound");

        let release = || world.ec2.release_address().allocation_id(&id).send();
        assert_eq!(code(release().await), "InvalidAddress.PtrSet");
        let until = world.simulator.now() + jiff::SignedDuration::from_mins(5);
        world.change(|ec2| {
            let address = ec2.addresses.get_mut(&id).unwrap();
            address.ptr_record = None;
            address.ptr_holds_until = Some(until);
        });
        assert_eq!(code(release().await), "InvalidAddress.PtrSet");
        wait(300).await;
        release().await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn released_address_is_somebody_elses() {
        let world = World::new();
        let id = world.address().await;
        let release = |id: &str| world.ec2.release_address().allocation_id(id).send();
        release(&id).await.unwrap();
        assert_eq!(code(release(&id).await), "AuthFailure");
        let describe = world.ec2.describe_addresses().allocation_ids(&id).send();
        assert_eq!(code(describe.await), "InvalidAllocationID.NotFound");
        let unknown = release("eipalloc-0123456789abcdef0").await;
        assert_eq!(code(unknown), "InvalidAllocationID.NotFound");
    }

    #[tokio::test(start_paused = true)]
    async fn addresses_are_found_by_the_address_itself() {
        let world = World::new();
        let (id, _) = (world.address().await, world.address().await);
        let ip = world.read(|ec2| ec2.addresses[&id].public_ip.to_string());
        let call = world.ec2.describe_addresses().public_ips(ip).send();
        let found = call.await.unwrap().addresses.unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].allocation_id.as_ref(), Some(&id));
        let unknown = world.ec2.describe_addresses().public_ips("198.51.100.1");
        assert_eq!(code(unknown.send().await), "InvalidAddress.NotFound");
    }
}
