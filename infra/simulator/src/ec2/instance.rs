//! Instances. Nothing here launches them: they are what others have put into a VPC.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::describe::{Resource, Spelling, describe as answer};
use super::kind::{INSTANCE, Kind};
use super::request::Request;
use super::tags::{self, Tags};
use super::{Ec2, NewInterface};
use crate::api_error::ApiError;
use crate::seed::Seed;
use crate::xml::Element;

/// An instance.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Instance {
    /// `i-…`
    pub id: String,
    /// The subnet that it is in.
    pub subnet_id: String,
    /// The VPC that it is in.
    pub vpc_id: String,
    /// The account that it belongs to.
    pub owner: String,
    /// Its network interface.
    pub interface_id: String,
    /// botocore's EC2 model, InstanceStateName: `running` until somebody changes it.
    pub state: String,
    /// When it was launched.
    pub launched_at: Timestamp,
    /// Tags.
    pub tags: Tags,
}

/// What somebody wants to have running.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NewInstance {
    /// The subnet that it is to be in.
    pub subnet_id: String,
    /// Ids of its security groups.
    pub security_groups: Vec<String>,
    /// The account that it belongs to.
    pub owner: String,
    /// Tags; what its id is drawn from, too.
    pub tags: Tags,
}

/// botocore's EC2 model, InstanceState.Code.
const STATES: &[(&str, u8)] = &[
    ("pending", 0),
    ("running", 16),
    ("shutting-down", 32),
    ("terminated", 48),
    ("stopping", 64),
    ("stopped", 80),
];
const TERMINATED: &str = "terminated";

impl Ec2 {
    /// Lets an instance run in a subnet, as somebody at the console would, and returns its id.
    pub fn add_instance(&mut self, seed: Seed, new: NewInstance) -> String {
        let place = format!("{}/{}", new.owner, new.subnet_id);
        let id = self.fresh_id(seed, INSTANCE.prefix, &place);
        let interface = NewInterface {
            subnet_id: new.subnet_id.clone(),
            description: format!("Primary network interface of {id}"),
            requester_id: None,
            security_groups: new.security_groups,
            owner: new.owner.clone(),
        };
        let interface_id = self.add_interface(seed, interface);
        if let Some(interface) = self.network_interfaces.get_mut(&interface_id) {
            interface.instance_id = Some(id.clone());
        }
        let subnet = self.subnets.get(&new.subnet_id);
        let instance = Instance {
            vpc_id: subnet.map(|it| it.vpc_id.clone()).unwrap_or_default(),
            launched_at: subnet.map_or(Timestamp::UNIX_EPOCH, |it| it.created_at),
            id: id.clone(),
            subnet_id: new.subnet_id,
            owner: new.owner,
            interface_id,
            state: "running".to_owned(),
            tags: new.tags,
        };
        self.instances.insert(id.clone(), instance);
        id
    }

    /// Terminates an instance: its network interface goes, and EC2 remembers it as `terminated` (EC2 user
    /// guide, terminate instances).
    pub fn terminate_instance(&mut self, id: &str) {
        if let Some(instance) = self.instances.get_mut(id) {
            TERMINATED.clone_into(&mut instance.state);
            let interface_id = instance.interface_id.clone();
            self.remove_interface(&interface_id);
        }
    }
}

/// `DescribeInstances`: one reservation for each instance.
pub(super) fn describe(ec2: &mut Ec2, request: &Request<'_>) -> Result<Vec<Element>, ApiError> {
    let spelling = Spelling {
        ids: "InstanceId",
        set: "reservationSet",
        page_limit: Some(1000),
    };
    answer(ec2, request, &ec2.instances, &spelling)
}

impl Instance {
    fn state_code(&self) -> u8 {
        let mut states = STATES.iter();
        states
            .find(|(name, _)| *name == self.state)
            .map_or(0, |(_, code)| *code)
    }

    fn reservation_id(&self) -> String {
        self.id.replacen("i-", "r-", 1)
    }

    /// A terminated instance is nowhere.
    fn is_placed(&self) -> bool {
        self.state != TERMINATED
    }

    fn element(&self, ec2: &Ec2) -> Vec<Element> {
        let state = [
            Element::text("code", self.state_code()),
            Element::text("name", &self.state),
        ];
        let mut content = vec![
            Element::text("instanceId", &self.id),
            Element::text("instanceType", "t3.micro"),
            Element::new("instanceState").children(state),
            Element::text("launchTime", self.launched_at),
            tags::element(&self.tags),
        ];
        if let Some(interface) = ec2.network_interfaces.get(&self.interface_id)
            && self.is_placed()
        {
            content.extend([
                Element::text("subnetId", &self.subnet_id),
                Element::text("vpcId", &self.vpc_id),
                Element::text("privateIpAddress", interface.private_ip),
                Element::list(
                    "networkInterfaceSet",
                    "item",
                    [vec![Element::text("networkInterfaceId", &interface.id)]],
                ),
            ]);
        }
        content
    }
}

impl Resource for Instance {
    const KIND: Kind = INSTANCE;
    /// Of the many that EC2 has, those about what an instance has here.
    const FILTERS: &'static [&'static str] = &[
        "availability-zone",
        "availability-zone-id",
        "instance-id",
        "instance-state-code",
        "instance-state-name",
        "instance-type",
        "instance.group-id",
        "network-interface.network-interface-id",
        "network-interface.subnet-id",
        "network-interface.vpc-id",
        "owner-id",
        "private-ip-address",
        "reservation-id",
        "subnet-id",
        "vpc-id",
    ];

    fn tags(&self) -> &Tags {
        &self.tags
    }

    fn attribute(&self, name: &str, ec2: &Ec2, _: &Request<'_>) -> Vec<String> {
        let interface = ec2.network_interfaces.get(&self.interface_id);
        let value = match name {
            "availability-zone" => interface.map(|it| it.zone_name.clone()),
            "availability-zone-id" => interface.map(|it| it.zone_id.clone()),
            "instance-id" => Some(self.id.clone()),
            "instance-state-code" => Some(self.state_code().to_string()),
            "instance-state-name" => Some(self.state.clone()),
            "instance-type" => Some("t3.micro".to_owned()),
            "instance.group-id" => {
                return interface.map_or_else(Vec::new, |it| it.security_groups.clone());
            }
            "network-interface.network-interface-id" => interface.map(|it| it.id.clone()),
            "network-interface.subnet-id" | "subnet-id" => {
                self.is_placed().then(|| self.subnet_id.clone())
            }
            "network-interface.vpc-id" | "vpc-id" => self.is_placed().then(|| self.vpc_id.clone()),
            "owner-id" => Some(self.owner.clone()),
            "private-ip-address" => interface.map(|it| it.private_ip.to_string()),
            "reservation-id" => Some(self.reservation_id()),
            _ => None,
        };
        value.into_iter().collect()
    }

    fn content(&self, ec2: &Ec2, _: &Request<'_>) -> Vec<Element> {
        vec![
            Element::text("reservationId", self.reservation_id()),
            Element::text("ownerId", &self.owner),
            Element::new("groupSet"),
            Element::list("instancesSet", "item", [self.element(ec2)]),
        ]
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_ec2::types::{Filter, InstanceStateName};

    use super::NewInstance;
    use crate::Seed;
    use crate::ec2::testing::{ACCOUNT, World, code};

    fn add(world: &World, subnet: &str) -> String {
        let mut id = String::new();
        world.change(|ec2| {
            let new = NewInstance {
                subnet_id: subnet.to_owned(),
                owner: ACCOUNT.to_owned(),
                tags: [("team".to_owned(), "web".to_owned())].into(),
                ..NewInstance::default()
            };
            id = ec2.add_instance(Seed(1), new);
        });
        id
    }

    #[tokio::test(start_paused = true)]
    async fn running_instance_is_found_and_blocks_its_subnet() {
        let world = World::new();
        let vpc = world.vpc().await;
        let subnet = world.subnet(&vpc, "10.0.0.0/24").await;
        let id = add(&world, &subnet);
        for (name, value) in [
            ("vpc-id", vpc.as_str()),
            ("instance-state-name", "running"),
            ("tag:team", "web"),
        ] {
            let filter = Filter::builder().name(name).values(value).build();
            let call = world.ec2.describe_instances().filters(filter).send();
            let found = call.await.unwrap().reservations.unwrap();
            let instance = &found[0].instances()[0];
            assert_eq!(instance.instance_id.as_ref(), Some(&id), "{name}");
            assert_eq!(instance.subnet_id.as_ref(), Some(&subnet));
        }
        let filter = Filter::builder().name("attachment.instance-id").values(&id);
        let call = world.ec2.describe_network_interfaces();
        let found = call.filters(filter.build()).send().await.unwrap();
        let interface = &found.network_interfaces()[0];
        let attachment = interface.attachment.as_ref().unwrap();
        assert_eq!(attachment.instance_id.as_ref(), Some(&id));
        assert_eq!(attachment.instance_owner_id.as_deref(), Some(ACCOUNT));
        assert_eq!(interface.requester_managed, Some(false));

        let delete = || world.ec2.delete_subnet().subnet_id(&subnet).send();
        assert_eq!(code(delete().await), "DependencyViolation");
        world.change(|ec2| ec2.terminate_instance(&id));
        delete().await.unwrap();
        let call = world.ec2.describe_instances().instance_ids(&id).send();
        let found = call.await.unwrap().reservations.unwrap();
        let instance = &found[0].instances()[0];
        let state = instance.state.as_ref().unwrap().name.as_ref();
        assert_eq!(state, Some(&InstanceStateName::Terminated));
        assert_eq!(instance.vpc_id, None);
    }

    #[tokio::test(start_paused = true)]
    async fn unknown_instances_have_a_code_of_their_own() {
        let world = World::new();
        let describe = |id: &str| world.ec2.describe_instances().instance_ids(id).send();
        let missing = describe("i-0123456789abcdef0").await;
        assert_eq!(code(missing), "InvalidInstanceID.NotFound");
        let malformed = describe("vpc-0123456789abcdef0").await;
        assert_eq!(code(malformed), "InvalidInstanceID.Malformed");
    }
}
