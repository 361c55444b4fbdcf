//! What load balancers have in a VPC. They are a service of their own; here are only their interfaces.

use rand::Rng;

use super::{Ec2, NewInterface};
use crate::seed::Seed;

/// The interface of a load balancer in one of its subnets.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NewLoadBalancerInterface {
    /// The subnet that it is in.
    pub subnet_id: String,
    /// The load balancer's name, for example `app/web/50dc6c495c0c9188`.
    pub name: String,
    /// Whether it is reached from the internet, and so has a public address.
    pub is_internet_facing: bool,
    /// Ids of its security groups.
    pub security_groups: Vec<String>,
    /// The account that it belongs to.
    pub owner: String,
}

/// The service, as requester and as owner of what the interface is attached to.
const REQUESTER: &str = "amazon-elb";

impl Ec2 {
    /// Makes the interface of an Application Load Balancer, and returns its id.
    ///
    /// Elastic Load Balancing user guide, delete a load balancer: how its interfaces are found is
    /// their description, `ELB` and the load balancer's name.
    pub fn add_load_balancer_interface(
        &mut self,
        seed: Seed,
        new: NewLoadBalancerInterface,
    ) -> String {
        let interface = NewInterface {
            subnet_id: new.subnet_id,
            description: format!("ELB {}", new.name),
            requester_id: Some(REQUESTER.to_owned()),
            security_groups: new.security_groups,
            owner: new.owner,
        };
        let id = self.add_interface(seed, interface);
        // Out of 198.51.100.0/24, which nobody on the internet has (RFC 5737).
        let public_ip = [198, 51, 100, seed.rng("public-ip", &id).random()].into();
        if let Some(interface) = self.network_interfaces.get_mut(&id)
            && new.is_internet_facing
        {
            interface.public_ip = Some(public_ip);
        }
        id
    }
}

#[cfg(test)]
mod tests {
    use super::NewLoadBalancerInterface;
    use crate::Seed;
    use crate::ec2::testing::{ACCOUNT, World, code};

    fn add(world: &World, subnet: &str, is_internet_facing: bool) -> String {
        let mut id = String::new();
        world.change(|ec2| {
            let new = NewLoadBalancerInterface {
                subnet_id: subnet.to_owned(),
                name: "app/web/50dc6c495c0c9188".to_owned(),
                is_internet_facing,
                owner: ACCOUNT.to_owned(),
                ..NewLoadBalancerInterface::default()
            };
            id = ec2.add_load_balancer_interface(Seed(1), new);
        });
        id
    }

    #[tokio::test(start_paused = true)]
    async fn interface_of_a_load_balancer_names_its_owner_and_clients_cannot_delete_it() {
        let world = World::new();
        let vpc = world.vpc().await;
        let subnet = world.subnet(&vpc, "10.0.0.0/24").await;
        let id = add(&world, &subnet, false);
        let call = world.ec2.describe_network_interfaces();
        let call = call.network_interface_ids(&id).send().await.unwrap();
        let interface = &call.network_interfaces()[0];
        let description = "ELB app/web/50dc6c495c0c9188";
        assert_eq!(interface.description.as_deref(), Some(description));
        assert_eq!(interface.requester_id.as_deref(), Some("amazon-elb"));
        assert_eq!(interface.requester_managed, Some(true));
        let attachment = interface.attachment.as_ref().unwrap();
        assert_eq!(attachment.instance_id, None);
        let owner = attachment.instance_owner_id.as_deref();
        assert_eq!(owner, Some("amazon-elb"));
        let call = world.ec2.delete_network_interface();
        let call = call.network_interface_id(&id).send().await;
        assert_eq!(code(call), "InvalidParameterValue");
        let call = world.ec2.delete_subnet().subnet_id(&subnet).send().await;
        assert_eq!(code(call), "DependencyViolation");
    }

    #[tokio::test(start_paused = true)]
    async fn public_one_keeps_the_internet_gateway() {
        let world = World::new();
        let vpc = world.vpc().await;
        let subnet = world.subnet(&vpc, "10.0.0.0/24").await;
        let gateway = world.internet_gateway().await;
        world.attach(&gateway, &vpc).await;
        let detach = || {
            let call = world.ec2.detach_internet_gateway().vpc_id(&vpc);
            call.internet_gateway_id(&gateway).send()
        };
        let id = add(&world, &subnet, true);
        assert_eq!(code(detach().await), "DependencyViolation");
        world.change(|ec2| ec2.remove_interface(&id));
        add(&world, &subnet, false);
        detach().await.unwrap();
    }
}
