//! What EC2 does, asked with a VPC of its own, which costs nothing and is removed at once.

use aws_sdk_ec2::types::{Filter, InternetGateway, ResourceType, Tag, TagSpecification};
use functions::aws::codes;

use super::iam::TAG;
use super::{Answers, Reply, Said, either};
use crate::acceptance::place::Place;

const CIDR: &str = "10.255.255.0/24";
const SUBNET: &str = "10.255.255.0/28";
const EVERYWHERE: &str = "0.0.0.0/0";
/// How often something is asked until EC2 shows it.
const TRIES: usize = 20;
const SECONDS: f64 = 3.0;

/// The questions that need a route table with a gateway.
const OF_ROUTES: &[&str] = &[
    "route-after-attach",
    "identical-route",
    "replace-missing-route",
    "token-of-deleted-route-table",
];

pub(in super::super) async fn ask(place: &Place, answers: &mut Answers) {
    let vpc = match make_vpc(place).await {
        Ok(vpc) => vpc,
        Err(why) => {
            for id in ["subnet-state", "block-public-access-states"] {
                answers.keep(id, why.clone());
            }
            return not_answered(answers, &why);
        }
    };
    let said = either(subnet_state(place, &vpc).await);
    answers.keep("subnet-state", said);
    let said = either(public_access(place, &vpc).await);
    answers.keep("block-public-access-states", said);
    if let Err(why) = ask_of_routes(place, &vpc, answers).await {
        not_answered(answers, &why);
    }
}

fn not_answered(answers: &mut Answers, why: &Said) {
    for id in OF_ROUTES {
        answers.keep(id, why.clone());
    }
}

fn tagged(place: &Place, kind: ResourceType) -> TagSpecification {
    let tag = Tag::builder().key(TAG).value(place.stack()).build();
    let specification = TagSpecification::builder().resource_type(kind);
    specification.tags(tag).build()
}

async fn make_vpc(place: &Place) -> Result<String, Said> {
    let call = place.aws.ec2().create_vpc().cidr_block(CIDR);
    let call = call.tag_specifications(tagged(place, ResourceType::Vpc));
    let made = Reply::of(call.send().await).or_why("ec2:CreateVpc")?;
    let vpc = made.vpc().and_then(|vpc| vpc.vpc_id());
    let vpc = vpc.ok_or_else(|| Said::not_answered("CreateVpc answers no id"))?;
    for _ in 0..TRIES {
        let state = describe(place, vpc).await;
        if state.is_ok_and(|vpc| vpc.state().is_some_and(|it| it.as_str() == "available")) {
            return Ok(vpc.to_owned());
        }
        place.sleep(SECONDS).await;
    }
    Err(Said::not_answered("the VPC does not become available"))
}

async fn describe(place: &Place, vpc: &str) -> Result<aws_sdk_ec2::types::Vpc, Said> {
    let call = place.aws.ec2().describe_vpcs().vpc_ids(vpc).send().await;
    let found = Reply::of(call).or_why("ec2:DescribeVpcs")?;
    let found = found.vpcs().first().cloned();
    found.ok_or_else(|| Said::not_answered("DescribeVpcs does not know it"))
}

async fn subnet_state(place: &Place, vpc: &str) -> Result<Said, Said> {
    let call = place
        .aws
        .ec2()
        .create_subnet()
        .vpc_id(vpc)
        .cidr_block(SUBNET);
    let call = call.tag_specifications(tagged(place, ResourceType::Subnet));
    let made = Reply::of(call.send().await).or_why("ec2:CreateSubnet")?;
    let state = made.subnet().and_then(|subnet| subnet.state());
    let state = state.map_or("none", aws_sdk_ec2::types::SubnetState::as_str);
    let is_known = ["available", "pending"].contains(&state);
    Ok(Said::believed(is_known, state))
}

async fn public_access(place: &Place, vpc: &str) -> Result<Said, Said> {
    let vpc = describe(place, vpc).await?;
    let states = vpc.block_public_access_states();
    let mode = states.and_then(|states| states.internet_gateway_block_mode());
    let said = mode.map_or("it says nothing", |mode| mode.as_str());
    Ok(Said::believed(mode.is_some(), said))
}

async fn ask_of_routes(place: &Place, vpc: &str, answers: &mut Answers) -> Result<(), Said> {
    let ec2 = place.aws.ec2();
    let gateway = make_gateway(place).await?;
    // A token of at most 64 characters, this account's and this run's.
    let token = format!("{}-{vpc}", place.stack());
    let table = make_table(place, vpc, &token).await;
    let table = table.or_why("ec2:CreateRouteTable")?;
    let attach = ec2.attach_internet_gateway().vpc_id(vpc);
    let attach = attach.internet_gateway_id(&gateway).send().await;
    Reply::of(attach).or_why("ec2:AttachInternetGateway")?;

    let route = || {
        let call = ec2.create_route().route_table_id(&table);
        let call = call.destination_cidr_block(EVERYWHERE);
        call.gateway_id(&gateway).send()
    };
    let first = Reply::of(route().await);
    answers.keep("route-after-attach", after_attach(&first));
    let mut made = matches!(first, Reply::Accepted(_));
    for _ in 0..TRIES {
        if made {
            break;
        }
        place.sleep(SECONDS).await;
        made = route().await.is_ok();
    }
    let again = Reply::of(route().await);
    let is_accepted = matches!(again, Reply::Accepted(_));
    let said = Said::believed(is_accepted, again.words());
    answers.keep("identical-route", again.says_nothing().unwrap_or(said));

    let delete = ec2.delete_route().route_table_id(&table);
    let delete = delete.destination_cidr_block(EVERYWHERE).send().await;
    Reply::of(delete).or_why("ec2:DeleteRoute")?;
    let replace = ec2.replace_route().route_table_id(&table);
    let replace = replace.destination_cidr_block(EVERYWHERE);
    let replaced = Reply::of(replace.gateway_id(&gateway).send().await);
    answers.keep("replace-missing-route", missing_route(&replaced));

    let delete = ec2.delete_route_table().route_table_id(&table).send().await;
    Reply::of(delete).or_why("ec2:DeleteRouteTable")?;
    let again = make_table(place, vpc, &token).await;
    let is_mismatch = again.code() == Some(codes::IDEMPOTENT_PARAMETER_MISMATCH);
    let said = Said::believed(is_mismatch, again.words());
    answers.keep("token-of-deleted-route-table", said);
    Ok(())
}

async fn make_gateway(place: &Place) -> Result<String, Said> {
    let call = place.aws.ec2().create_internet_gateway();
    let call = call.tag_specifications(tagged(place, ResourceType::InternetGateway));
    let made = Reply::of(call.send().await).or_why("ec2:CreateInternetGateway")?;
    let id = made
        .internet_gateway()
        .and_then(|it| it.internet_gateway_id());
    id.map(str::to_owned)
        .ok_or_else(|| Said::not_answered("CreateInternetGateway answers no id"))
}

async fn make_table(place: &Place, vpc: &str, token: &str) -> Reply<String> {
    let call = place.aws.ec2().create_route_table().vpc_id(vpc);
    let call = call.client_token(token);
    let call = call.tag_specifications(tagged(place, ResourceType::RouteTable));
    match Reply::of(call.send().await) {
        Reply::Accepted(made) => {
            let id = made.route_table().and_then(|it| it.route_table_id());
            Reply::Accepted(id.unwrap_or_default().to_owned())
        }
        Reply::Refused(code, message) => Reply::Refused(code, message),
        Reply::Silence(why) => Reply::Silence(why),
    }
}

fn after_attach<T>(reply: &Reply<T>) -> Said {
    let waits = reply.message().contains("belong to different networks");
    let is_so = matches!(reply, Reply::Accepted(_)) || waits;
    let said = Said::believed(is_so, reply.words());
    reply.says_nothing().unwrap_or(said)
}

fn missing_route<T>(reply: &Reply<T>) -> Said {
    let is_so = reply.code() == Some(codes::INVALID_PARAMETER_VALUE)
        && reply.message().contains("There is no route defined");
    let said = Said::believed(is_so, reply.words());
    reply.says_nothing().unwrap_or(said)
}

/// Removes what carries the tag of the questions, the inner things first.
pub(in super::super) async fn undo(place: &Place) -> Result<(), String> {
    let mut left = Vec::new();
    for _ in 0..TRIES {
        let found = found(place).await?;
        if found.is_empty() {
            return Ok(());
        }
        left.clear();
        for kind in ["subnet", "route-table", "internet-gateway", "vpc"] {
            for (_, id) in found.iter().filter(|(of, _)| of == kind) {
                if let Err(why) = delete(place, kind, id).await {
                    left.push(format!("{id}: {why}"));
                }
            }
        }
        place.sleep(SECONDS).await;
    }
    Err(left.join("; "))
}

/// Kinds and ids of what carries the tag.
pub(in super::super) async fn found(place: &Place) -> Result<Vec<(String, String)>, String> {
    let filter = Filter::builder().name(format!("tag:{TAG}"));
    let filter = filter.values(place.stack()).build();
    let tags = place.aws.ec2().describe_tags().filters(filter).send().await;
    let tags = Reply::of(tags).or_why("ec2:DescribeTags");
    let tags = tags.map_err(|said| said.1)?;
    let found = tags.tags().iter().map(|tag| {
        let kind = tag.resource_type().map(|it| it.as_str().to_owned());
        let id = tag.resource_id().unwrap_or_default().to_owned();
        (kind.unwrap_or_default(), id)
    });
    Ok(found.collect())
}

async fn delete(place: &Place, kind: &str, id: &str) -> Result<(), String> {
    let ec2 = place.aws.ec2();
    let words = |reply: Reply<()>| match reply {
        Reply::Accepted(()) => Ok(()),
        other => Err(other.words()),
    };
    match kind {
        "subnet" => {
            let done = ec2.delete_subnet().subnet_id(id).send().await;
            words(Reply::of(done.map(drop)))
        }
        "route-table" => {
            let done = ec2.delete_route_table().route_table_id(id).send().await;
            words(Reply::of(done.map(drop)))
        }
        "internet-gateway" => {
            detach(place, id).await;
            let done = ec2.delete_internet_gateway().internet_gateway_id(id);
            words(Reply::of(done.send().await.map(drop)))
        }
        _ => {
            let done = ec2.delete_vpc().vpc_id(id).send().await;
            words(Reply::of(done.map(drop)))
        }
    }
}

/// From whatever VPC it is attached to; where it is not, DeleteInternetGateway will say so.
async fn detach(place: &Place, gateway: &str) {
    let ec2 = place.aws.ec2();
    let found = ec2.describe_internet_gateways();
    let found = found.internet_gateway_ids(gateway).send().await;
    let Ok(found) = found else { return };
    let attachments = found.internet_gateways().iter();
    for attachment in attachments.flat_map(InternetGateway::attachments) {
        let vpc = attachment.vpc_id().unwrap_or_default();
        let call = ec2.detach_internet_gateway().internet_gateway_id(gateway);
        let _ = call.vpc_id(vpc).send().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::acceptance::questions::Verdict;

    fn refused(code: &str, message: &str) -> Reply<()> {
        Reply::Refused(code.to_owned(), message.to_owned())
    }

    #[test]
    fn a_route_that_has_to_wait_is_as_believed_and_another_error_is_not() {
        let words = "route table rtb-1 and network gateway igw-1 belong to different networks";
        let of = |reply: &Reply<()>| after_attach(reply).0;
        assert_eq!(
            of(&refused("InvalidParameterValue", words)),
            Verdict::AsBelieved
        );
        assert_eq!(of(&Reply::Accepted(())), Verdict::AsBelieved);
        assert_eq!(of(&refused("Gateway.Unknown", "x")), Verdict::Otherwise);
        assert_eq!(of(&refused("InvalidAction", "x")), Verdict::NotAnswered);
    }

    #[test]
    fn only_the_words_of_a_missing_route_are_believed() {
        let words = "There is no route defined for '0.0.0.0/0' in the route table.";
        let of = |reply: &Reply<()>| missing_route(reply).0;
        assert_eq!(
            of(&refused("InvalidParameterValue", words)),
            Verdict::AsBelieved
        );
        assert_eq!(
            of(&refused("InvalidParameterValue", "x")),
            Verdict::Otherwise
        );
        assert_eq!(of(&Reply::Accepted(())), Verdict::Otherwise);
    }
}
