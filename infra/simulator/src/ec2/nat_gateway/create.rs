//! `CreateNatGateway`.

use super::{Failure, Interface, NatGateway, PENDING_SECONDS};
use crate::api_error::ApiError;
use crate::ec2::address::Association;
use crate::ec2::describe::Resource;
use crate::ec2::kind::{ADDRESS, NAT_GATEWAY, SUBNET};
use crate::ec2::network_interface::{NAT_GATEWAY_TYPE, NewInterface};
use crate::ec2::request::{Request, invalid_value, unmodelled};
use crate::ec2::tags::{self, Tags};
use crate::ec2::tokens::{self, Created};
use crate::ec2::{Ec2, Quotas, Subnet};
use crate::xml::Element;

const OPERATION: &str = "CreateNatGateway";

/// `CreateNatGateway`.
pub(in crate::ec2) fn create(
    ec2: &mut Ec2,
    request: &Request<'_>,
) -> Result<Vec<Element>, ApiError> {
    if let Some(Created::NatGateway(earlier)) = ec2.earlier(OPERATION, request)? {
        let current = ec2.nat_gateways.get(&earlier.id).unwrap_or(earlier);
        return Ok(created(ec2, request, current));
    }
    refuse_unmodelled(request)?;
    let subnet_id = request.id("SubnetId", &SUBNET)?;
    let subnet = ec2.look_up(&ec2.subnets, &SUBNET, subnet_id)?.clone();
    let allocation_id = allocation(ec2, request)?;
    check_zone(ec2, &subnet.zone_id)?;
    let tags = tags::of_new(request, &NAT_GATEWAY)?;
    check_quota(ec2, request, &subnet.zone_id)?;

    let gateway = accept(ec2, request, subnet, allocation_id, tags);
    ec2.remember(OPERATION, request, Created::NatGateway(gateway.clone()));
    let answer = created(ec2, request, &gateway);
    ec2.nat_gateways.insert(gateway.id.clone(), gateway);
    Ok(answer)
}

fn refuse_unmodelled(request: &Request<'_>) -> Result<(), ApiError> {
    if request.get("AvailabilityMode") == Some("regional") {
        return Err(unmodelled("regional NAT gateways"));
    }
    request.refuse_unmodelled(&[
        "AvailabilityZoneAddress",
        "PrivateIpAddress",
        "SecondaryAllocationId",
        "SecondaryPrivateIpAddress",
        "SecondaryPrivateIpAddressCount",
    ])
}

/// Some zones have none (sysdiglabs/terraform-aws-secure-for-cloud pull request 52: a retired zone of
/// Tokyo; aws-ia/terraform-aws-eks-blueprints pull request 1095: a local zone).
fn check_zone(ec2: &Ec2, zone_id: &str) -> Result<(), ApiError> {
    if !ec2.zones.without_nat_gateways.contains(zone_id) {
        return Ok(());
    }
    let message = "Nat Gateway is not available in this availability zone";
    Err(ApiError::client("NotAvailableInZone", message))
}

/// VPC user guide, Amazon VPC quotas: pending, available and deleting gateways count.
fn check_quota(ec2: &Ec2, request: &Request<'_>, zone_id: &str) -> Result<(), ApiError> {
    let counts = |nat: &&NatGateway| nat.zone_id == zone_id && nat.exists(request.now);
    let used = ec2.nat_gateways.values().filter(counts).count();
    let (quota, code) = (ec2.quotas.nat_gateways_per_zone, "NatGatewayLimitExceeded");
    Quotas::check(used, quota, code, "NAT gateways")
}

/// The new gateway, pending; it has taken its place in the subnet unless it is bound to fail.
fn accept(
    ec2: &mut Ec2,
    request: &Request<'_>,
    subnet: Subnet,
    allocation_id: Option<String>,
    tags: Tags,
) -> NatGateway {
    let place = format!("{}/{}", subnet.zone_id, subnet.cidr);
    let id = ec2.mint(
        request,
        NAT_GATEWAY.prefix,
        &format!("{}/{place}", subnet.id),
    );
    let failure = failure_on_arrival(ec2, request, &subnet, allocation_id.as_deref())
        .or_else(|| internal_error(request, &id));
    let interface = match failure {
        Some(_) => None,
        None => settle_in(ec2, request, &id, &subnet.id, allocation_id.as_deref()),
    };
    let pending = (request.seed).duration("nat-gateway", &request.placed(&place), PENDING_SECONDS);
    NatGateway {
        id,
        subnet_id: subnet.id,
        vpc_id: subnet.vpc_id,
        zone_id: subnet.zone_id,
        allocation_id,
        interface,
        created_at: request.now,
        pending_until: request.now + pending,
        failure,
        settled: false,
        deletion: None,
        tags,
    }
}

fn created(ec2: &Ec2, request: &Request<'_>, gateway: &NatGateway) -> Vec<Element> {
    let mut answer = vec![Element::new("natGateway").children(gateway.content(ec2, request))];
    answer.extend(tokens::echo(request));
    answer
}

/// The Elastic IP address that a public gateway needs and a private one must not have.
fn allocation(ec2: &Ec2, request: &Request<'_>) -> Result<Option<String>, ApiError> {
    match request.get("ConnectivityType").unwrap_or("public") {
        "public" => {
            let id = request.id("AllocationId", &ADDRESS)?;
            ec2.look_up(&ec2.addresses, &ADDRESS, id)?;
            Ok(Some(id.to_owned()))
        }
        "private" if request.get("AllocationId").is_none() => Ok(None),
        "private" => Err(ApiError::client(
            "InvalidParameterCombination",
            "AllocationId cannot be specified for a private NAT gateway",
        )),
        other => Err(invalid_value(
            "ConnectivityType",
            other,
            "Use public or private.",
        )),
    }
}

/// What is wrong already when the request is accepted. Codes and messages: botocore's EC2 model,
/// NatGateway.FailureMessage.
fn failure_on_arrival(
    ec2: &Ec2,
    request: &Request<'_>,
    subnet: &Subnet,
    allocation_id: Option<&str>,
) -> Option<Failure> {
    if ec2.free_addresses(&subnet.id) == 0 {
        return Some(Failure {
            code: "InsufficientFreeAddressesInSubnet".to_owned(),
            message: "Subnet has insufficient free addresses to create this NAT gateway".to_owned(),
        });
    }
    let address = ec2.addresses.get(allocation_id?)?;
    let id = &address.id;
    if address.association.is_some() {
        return Some(Failure {
            code: "Resource.AlreadyAssociated".to_owned(),
            message: format!("Elastic IP address {id} is already associated"),
        });
    }
    // botocore's EC2 model, CreateNatGateway: address and zone must have the same network border group.
    let zone = (ec2.zones.of(request.account, request.region).into_iter())
        .find(|zone| zone.id == subnet.zone_id)?;
    (zone.network_border_group != address.network_border_group).then(|| Failure {
        code: "InvalidAllocationID.NotFound".to_owned(),
        message: format!("Elastic IP address {id} could not be associated with this NAT gateway"),
    })
}

/// What befalls some. Message: botocore's EC2 model, NatGateway.FailureMessage.
fn internal_error(request: &Request<'_>, id: &str) -> Option<Failure> {
    let share = request.faults.nat_gateway_failure_share;
    let seed = request.seed;
    seed.hits("nat-gateway-failure", id, share)
        .then(|| Failure {
            code: "InternalError".to_owned(),
            message: format!(
                "Network interface {}, created and used internally by this NAT gateway is in an \
                 invalid state. Please try again.",
                seed.id("eni", id)
            ),
        })
}

/// Makes the gateway's network interface and takes the address.
fn settle_in(
    ec2: &mut Ec2,
    request: &Request<'_>,
    id: &str,
    subnet_id: &str,
    allocation_id: Option<&str>,
) -> Option<Interface> {
    let new = NewInterface {
        subnet_id: subnet_id.to_owned(),
        description: format!("Interface for NAT Gateway {id}"),
        requester_id: Some("amazon-natgateway".to_owned()),
        security_groups: Vec::new(),
        owner: request.account.to_owned(),
    };
    let interface_id = ec2.add_interface_of_type(request.seed, new, NAT_GATEWAY_TYPE);
    let private_ip = ec2.network_interfaces.get(&interface_id)?.private_ip;
    let mut interface = Interface {
        id: interface_id,
        private_ip,
        public_ip: None,
        association_id: None,
    };
    if let Some(address) = allocation_id.and_then(|id| ec2.addresses.get_mut(id)) {
        let association = Association {
            id: request.seed.id("eipassoc", &interface.id),
            interface_id: interface.id.clone(),
        };
        interface.public_ip = Some(address.public_ip);
        interface.association_id = Some(association.id.clone());
        address.association = Some(association);
    }
    Some(interface)
}

#[cfg(test)]
mod tests {
    use aws_sdk_ec2::types::{AvailabilityMode, ConnectivityType, NatGatewayState};

    use crate::ec2::testing::{World, code, wait};

    #[tokio::test(start_paused = true)]
    async fn address_of_another_gateway_makes_it_fail_later() {
        let world = World::new();
        let network = world.network().await;
        let id = world
            .nat_gateway(&network.private, &network.allocation)
            .await;
        wait(125).await;
        let nat = world.describe_nat_gateway(&id).await;
        assert_eq!(nat.state, Some(NatGatewayState::Failed));
        assert_eq!(
            nat.failure_code.as_deref(),
            Some("Resource.AlreadyAssociated")
        );
        let first = world.describe_nat_gateway(&network.nat_gateway).await;
        assert_eq!(first.state, Some(NatGatewayState::Available));
        let release = world
            .ec2
            .release_address()
            .allocation_id(&network.allocation);
        assert_eq!(code(release.send().await), "AuthFailure");
    }

    #[tokio::test(start_paused = true)]
    async fn address_that_is_announced_elsewhere_makes_it_fail_later() {
        let world = World::new();
        let vpc = world.vpc().await;
        let subnet = world.subnet(&vpc, "10.0.0.0/24").await;
        let allocate = |group: &str| {
            world
                .ec2
                .allocate_address()
                .network_border_group(group)
                .send()
        };
        let unknown = allocate("us-east-1").await;
        assert_eq!(code(unknown), "InvalidParameterValue");
        let local = allocate("ap-northeast-1-tpe-1").await.unwrap();
        let id = world
            .nat_gateway(&subnet, &local.allocation_id.unwrap())
            .await;
        wait(125).await;
        let nat = world.describe_nat_gateway(&id).await;
        let failure = nat.failure_code.as_deref();
        assert_eq!(failure, Some("InvalidAllocationID.NotFound"));
    }

    #[tokio::test(start_paused = true)]
    async fn full_subnet_makes_it_fail_later() {
        let world = World::new();
        let vpc = world.vpc().await;
        let subnet = world.subnet(&vpc, "10.0.0.0/28").await;
        world.change(|ec2| {
            let mut n = 0;
            while ec2.free_addresses(&subnet) > 0 {
                n += 1;
                let new = crate::ec2::NewInterface {
                    subnet_id: subnet.clone(),
                    description: format!("{n}"),
                    ..Default::default()
                };
                ec2.add_interface(crate::Seed(1), new);
            }
            assert_eq!(n, 11);
        });
        let id = world.nat_gateway(&subnet, &world.address().await).await;
        wait(125).await;
        let nat = world.describe_nat_gateway(&id).await;
        let failure = nat.failure_code.as_deref();
        assert_eq!(failure, Some("InsufficientFreeAddressesInSubnet"));
    }

    #[tokio::test(start_paused = true)]
    async fn gateway_hit_by_a_fault_fails_later_and_its_address_stays_free() {
        let world = World::new();
        let network = world.network().await;
        let address = world.address().await;
        let share = |share| {
            (world.simulator).change(|state| state.faults.nat_gateway_failure_share = share);
        };
        share(1.0);
        let id = world.nat_gateway(&network.public, &address).await;
        let nat = world.describe_nat_gateway(&id).await;
        assert_eq!(nat.state, Some(NatGatewayState::Pending));
        wait(125).await;
        let nat = world.describe_nat_gateway(&id).await;
        assert_eq!(nat.state, Some(NatGatewayState::Failed));
        assert_eq!(nat.failure_code.as_deref(), Some("InternalError"));
        share(0.0);
        let id = world.nat_gateway(&network.public, &address).await;
        wait(125).await;
        let nat = world.describe_nat_gateway(&id).await;
        assert_eq!(nat.state, Some(NatGatewayState::Available));
    }

    #[tokio::test(start_paused = true)]
    async fn same_token_and_parameters_give_the_same_gateway() {
        let world = World::new();
        let vpc = world.vpc().await;
        let subnet = world.subnet(&vpc, "10.0.0.0/24").await;
        let other = world.subnet(&vpc, "10.0.1.0/24").await;
        let allocation = world.address().await;
        let create = |subnet: &str, token: &str| {
            let call = world.ec2.create_nat_gateway().subnet_id(subnet);
            call.allocation_id(&allocation).client_token(token).send()
        };
        let first = create(&subnet, "t").await.unwrap();
        assert_eq!(first.client_token.as_deref(), Some("t"));
        let first = first.nat_gateway.unwrap().nat_gateway_id;
        let again = create(&subnet, "t").await.unwrap().nat_gateway.unwrap();
        assert_eq!(again.nat_gateway_id, first);
        let changed = create(&other, "t").await;
        assert_eq!(code(changed), "IdempotentParameterMismatch");
        assert_eq!(
            code(create(&subnet, &"t".repeat(65)).await),
            "InvalidParameterValue"
        );
        assert_eq!(world.read(|ec2| ec2.nat_gateways.len()), 1);

        wait(125).await;
        let failed = create(&subnet, "t").await.unwrap().nat_gateway.unwrap();
        assert_eq!(failed.nat_gateway_id, first);
        assert_eq!(failed.state, Some(NatGatewayState::Failed));
        let retried = create(&subnet, "t2").await.unwrap().nat_gateway.unwrap();
        assert_ne!(retried.nat_gateway_id, first);

        let call = world.ec2.delete_nat_gateway();
        let call = call.nat_gateway_id(first.unwrap());
        call.send().await.unwrap();
        let gone = create(&subnet, "t").await;
        assert_eq!(code(gone), "IdempotentParameterMismatch");
    }

    #[tokio::test(start_paused = true)]
    async fn some_zones_have_none() {
        let world = World::new();
        let vpc = world.vpc().await;
        let subnet = world.subnet(&vpc, "10.0.0.0/24").await;
        let allocation = world.address().await;
        world.change(|ec2| {
            let zones = &mut ec2.zones.without_nat_gateways;
            zones.insert("apne1-az1".to_owned());
        });
        let call = world.ec2.create_nat_gateway().subnet_id(&subnet);
        let refused = call.allocation_id(&allocation).send().await;
        assert_eq!(code(refused), "NotAvailableInZone");
    }

    #[tokio::test(start_paused = true)]
    async fn refuses_what_is_missing_or_does_not_exist() {
        let world = World::new();
        let vpc = world.vpc().await;
        let subnet = world.subnet(&vpc, "10.0.0.0/24").await;
        let allocation = world.address().await;
        let create = || world.ec2.create_nat_gateway();
        let call = create().subnet_id(&subnet).send().await;
        assert_eq!(code(call), "MissingParameter");
        let call = create().allocation_id(&allocation).send().await;
        assert_eq!(code(call), "MissingParameter");
        let call = create().subnet_id("subnet-0123456789abcdef0");
        let call = call.allocation_id(&allocation).send().await;
        assert_eq!(code(call), "InvalidSubnetID.NotFound");
        let call = create().subnet_id(&subnet);
        let call = call
            .allocation_id("eipalloc-0123456789abcdef0")
            .send()
            .await;
        assert_eq!(code(call), "InvalidAllocationID.NotFound");
        let private = create().connectivity_type(ConnectivityType::Private);
        let call = private
            .subnet_id(&subnet)
            .allocation_id(&allocation)
            .send()
            .await;
        assert_eq!(code(call), "InvalidParameterCombination");
        let regional = create().availability_mode(AvailabilityMode::Regional);
        let call = regional.vpc_id(&vpc).send().await;
        assert_eq!(code(call), "UnsupportedOperation");
        assert!(world.read(|ec2| ec2.nat_gateways.is_empty()));
    }

    #[tokio::test(start_paused = true)]
    async fn private_gateway_needs_no_internet() {
        let world = World::new();
        let vpc = world.vpc().await;
        let subnet = world.subnet(&vpc, "10.0.0.0/24").await;
        let call = world.ec2.create_nat_gateway().subnet_id(&subnet);
        let call = call.connectivity_type(ConnectivityType::Private).send();
        let id = call
            .await
            .unwrap()
            .nat_gateway
            .unwrap()
            .nat_gateway_id
            .unwrap();
        wait(125).await;
        let nat = world.describe_nat_gateway(&id).await;
        assert_eq!(nat.state, Some(NatGatewayState::Available));
        assert_eq!(nat.connectivity_type, Some(ConnectivityType::Private));
        assert!(nat.nat_gateway_addresses()[0].private_ip.is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn gateways_of_a_zone_have_a_quota_and_failed_ones_do_not_count() {
        let world = World::new();
        world.change(|ec2| ec2.quotas.nat_gateways_per_zone = 1);
        let vpc = world.vpc().await;
        let subnet = world.subnet(&vpc, "10.0.0.0/24").await;
        let allocation = world.address().await;
        world.nat_gateway(&subnet, &allocation).await;
        let call = world.ec2.create_nat_gateway().subnet_id(&subnet);
        let second = call.allocation_id(&allocation).send().await;
        assert_eq!(code(second), "NatGatewayLimitExceeded");
        wait(125).await;
        world.nat_gateway(&subnet, &allocation).await;
    }
}
