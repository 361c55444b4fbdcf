//! What is left in the account, looked for without the help of what was to remove it: by tag, by VPC and by
//! name, with the caller's own credentials.

use aws_sdk_ec2::types::Filter;
use serde::Serialize;

use super::place::Place;
use super::questions::{self, Reply};
use super::stack;

/// Something that is still there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Left {
    /// Kind and name.
    pub what: String,
    /// The command that removes it.
    pub remove: String,
}

/// All that there is, and what could not be looked at.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Found {
    pub things: Vec<Left>,
    /// A place that nobody could look at is not empty.
    pub unknown: Vec<String>,
    /// How many places were looked at.
    pub looked: usize,
}

impl Found {
    fn add(&mut self, what: impl Into<String>, remove: impl Into<String>) {
        self.things.push(Left {
            what: what.into(),
            remove: remove.into(),
        });
    }

    fn note(&mut self, result: Result<Vec<Left>, String>) {
        self.looked += 1;
        match result {
            Ok(found) => self.things.extend(found),
            Err(why) => self.unknown.push(why),
        }
    }

    pub fn is_nothing(&self) -> bool {
        self.things.is_empty() && self.unknown.is_empty()
    }
}

/// Looks everywhere. `vpc` is the cluster's, if there was one.
pub(super) async fn find(place: &Place, vpc: Option<&str>) -> Found {
    let mut all = Found::default();
    all.note(tagged(place).await);
    all.note(questions_of_ec2(place).await);
    if let Some(vpc) = vpc {
        all.note(in_vpc(place, vpc).await);
    }
    all.note(clusters(place).await);
    all.note(roles(place).await);
    all.note(log_groups(place).await);
    all.note(parameters(place).await);
    all.note(the_stack(place).await);
    all.note(buckets(place).await);
    all.looked += 1;
    if stack::has_bus(place).await {
        let name = place.stack();
        all.add(
            format!("event bus {name}"),
            command(place, &format!("events delete-event-bus --name {name}")),
        );
    }
    all.note(queue(place).await);
    all
}

/// A command of the AWS CLI for the place.
pub(super) fn command(place: &Place, rest: &str) -> String {
    format!("aws {rest} --region {}", place.region())
}

/// The command that removes the cluster, while the stack is there.
pub(super) fn destroy(place: &Place) -> String {
    let (name, region) = (place.stack(), place.region());
    format!(
        "AWS_REGION={region} cargo run -- destroy {name} --stack {name} --disable-deletion-protection"
    )
}

/// The VPC and what is in it are gone with their tags; NAT gateways are shown for an hour after it.
async fn tagged(place: &Place) -> Result<Vec<Left>, String> {
    let filters = functions::model::tags::ec2_filters(&place.target);
    let tags = place.aws.ec2().describe_tags();
    let tags = tags.set_filters(Some(filters)).send().await;
    let tags = Reply::of(tags).or_why("ec2:DescribeTags");
    let tags = tags.map_err(|said| said.1)?;
    let gone = deleted_gateways(place).await?;
    let things = tags.tags().iter().map(|tag| {
        let kind = tag.resource_type().map_or("resource", |it| it.as_str());
        (kind, tag.resource_id().unwrap_or_default())
    });
    let things = things.filter(|(_, id)| !gone.iter().any(|it| it == id));
    let left = things.map(|(kind, id)| Left {
        what: format!("{kind} {id}"),
        remove: destroy(place),
    });
    Ok(left.collect())
}

async fn deleted_gateways(place: &Place) -> Result<Vec<String>, String> {
    let call = place.aws.ec2().describe_nat_gateways();
    let state = Filter::builder().name("state").values("deleted");
    let gateways = call.filter(state.build()).send().await;
    let gateways = Reply::of(gateways).or_why("ec2:DescribeNatGateways");
    let gateways = gateways.map_err(|said| said.1)?;
    let ids = gateways.nat_gateways().iter();
    let ids = ids.filter_map(|it| it.nat_gateway_id());
    Ok(ids.map(str::to_owned).collect())
}

async fn questions_of_ec2(place: &Place) -> Result<Vec<Left>, String> {
    let found = questions::network::found(place).await?;
    let left = found.into_iter().map(|(kind, id)| Left {
        remove: command(place, &format!("ec2 delete-{kind} --{kind}-id {id}")),
        what: format!("{kind} {id}"),
    });
    Ok(left.collect())
}

/// What carries no tag: EKS's network interfaces and security groups.
async fn in_vpc(place: &Place, vpc: &str) -> Result<Vec<Left>, String> {
    let ec2 = place.aws.ec2();
    let filter = Filter::builder().name("vpc-id").values(vpc).build();
    let interfaces = ec2.describe_network_interfaces().filters(filter.clone());
    let interfaces = Reply::of(interfaces.send().await).or_why("ec2:DescribeNetworkInterfaces");
    let interfaces = interfaces.map_err(|said| said.1)?;
    let ids = interfaces.network_interfaces().iter();
    let ids = ids.filter_map(|it| it.network_interface_id());
    let mut left: Vec<Left> = ids
        .map(|id| Left {
            what: format!("network-interface {id}"),
            remove: command(
                place,
                &format!("ec2 delete-network-interface --network-interface-id {id}"),
            ),
        })
        .collect();
    let groups = ec2.describe_security_groups().filters(filter).send().await;
    let groups = Reply::of(groups).or_why("ec2:DescribeSecurityGroups");
    let groups = groups.map_err(|said| said.1)?;
    let ids = groups
        .security_groups()
        .iter()
        .filter_map(|it| it.group_id());
    left.extend(ids.map(|id| Left {
        what: format!("security-group {id}"),
        remove: command(place, &format!("ec2 delete-security-group --group-id {id}")),
    }));
    Ok(left)
}

async fn clusters(place: &Place) -> Result<Vec<Left>, String> {
    let name = place.stack();
    let mut pages = place.aws.eks().list_clusters().into_paginator().send();
    let mut left = Vec::new();
    while let Some(page) = pages.next().await {
        let page = Reply::of(page).or_why("eks:ListClusters");
        let page = page.map_err(|said| said.1)?;
        if page.clusters().iter().any(|it| it == name) {
            left.push(Left {
                what: format!("cluster {name}"),
                remove: destroy(place),
            });
        }
    }
    Ok(left)
}

/// Roles of the cluster, of the stack and of the questions: the stack's name is in all of them, and in
/// nobody else's.
async fn roles(place: &Place) -> Result<Vec<Left>, String> {
    let mut pages = place.aws.iam().list_roles().into_paginator().send();
    let mut left = Vec::new();
    // IAM cuts long names, but not so much.
    let name = place.stack();
    while let Some(page) = pages.next().await {
        let page = Reply::of(page).or_why("iam:ListRoles");
        let page = page.map_err(|said| said.1)?;
        let names = page.roles().iter().map(aws_sdk_iam::types::Role::role_name);
        let ours = names.filter(|role| is_of(role, name));
        left.extend(ours.map(|role| Left {
            what: format!("role {role}"),
            remove: format!(
                "aws iam delete-role --role-name {role} (its policies first: delete-role-policy, \
                 detach-role-policy)"
            ),
        }));
    }
    Ok(left)
}

/// Whether a role's name is made of the stack's name: `STACK-…`, or `hardway-STACK-…`.
fn is_of(role: &str, stack: &str) -> bool {
    [format!("{stack}-"), format!("hardway-{stack}-")]
        .iter()
        .any(|prefix| role.starts_with(prefix))
}

async fn log_groups(place: &Place) -> Result<Vec<Left>, String> {
    let groups = stack::log_groups(place).await?.into_iter();
    let left = groups.map(|group| Left {
        remove: command(
            place,
            &format!("logs delete-log-group --log-group-name {group}"),
        ),
        what: format!("log group {group}"),
    });
    Ok(left.collect())
}

async fn parameters(place: &Place) -> Result<Vec<Left>, String> {
    let mut left = Vec::new();
    for path in [
        format!("/{}", place.stack()),
        format!("/hardway/{}", place.stack()),
    ] {
        let call = place.ssm.get_parameters_by_path().path(path);
        let found = call.recursive(true).send().await;
        let found = Reply::of(found).or_why("ssm:GetParametersByPath");
        let found = found.map_err(|said| said.1)?;
        let names = found.parameters().iter().filter_map(|it| it.name());
        left.extend(names.map(|name| Left {
            what: format!("parameter {name}"),
            remove: command(place, &format!("ssm delete-parameter --name {name}")),
        }));
    }
    Ok(left)
}

async fn the_stack(place: &Place) -> Result<Vec<Left>, String> {
    let name = place.stack();
    let status = stack::status(place, name).await;
    let status = status.map_err(|error| format!("{error:#}"))?;
    let left = status.map(|status| Left {
        what: format!("stack {name} ({})", status.as_str()),
        remove: command(
            place,
            &format!("cloudformation delete-stack --stack-name {name}"),
        ),
    });
    Ok(left.into_iter().collect())
}

async fn buckets(place: &Place) -> Result<Vec<Left>, String> {
    let buckets = stack::buckets(place).await?.into_iter();
    let left = buckets.map(|bucket| Left {
        remove: format!("aws s3 rb s3://{bucket} --force"),
        what: format!("bucket {bucket}"),
    });
    Ok(left.collect())
}

async fn queue(place: &Place) -> Result<Vec<Left>, String> {
    let list = ["sqs", "list-queues", "--queue-name-prefix", place.stack()];
    let queues = place.cli(&list).await;
    let queues = queues.map_err(|error| format!("sqs:ListQueues: {error}"))?;
    let urls = queues["QueueUrls"].as_array().into_iter().flatten();
    let urls = urls.filter_map(|url| url.as_str());
    let left = urls.map(|url| Left {
        what: format!("queue {}", url.rsplit('/').next().unwrap_or(url)),
        remove: command(place, &format!("sqs delete-queue --queue-url {url}")),
    });
    Ok(left.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_are_the_runs_by_the_beginning_of_their_names() {
        for role in [
            "try-VpcFunctionRole-1A",
            "hardway-try-eu-west-1-cluster",
            "try-questions",
        ] {
            assert!(is_of(role, "try"), "{role}");
        }
        for role in [
            "trying-VpcFunctionRole-1A",
            "hardway-demo-eu-west-1-cluster",
            "retry-x",
        ] {
            assert!(!is_of(role, "try"), "{role}");
        }
    }

    #[test]
    fn unread_resources_are_not_reported_as_gone() {
        let mut found = Found::default();
        found.note(Ok(vec![]));
        assert!(found.is_nothing());
        found.note(Err("iam:ListRoles: AccessDenied".to_owned()));
        assert!(!found.is_nothing());
        assert_eq!(found.looked, 2);
    }
}
