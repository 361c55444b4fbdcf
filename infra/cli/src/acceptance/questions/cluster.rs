//! What EKS does, asked of the cluster that the run has built.

use functions::aws::codes;
use std::collections::{BTreeMap, HashMap};

use aws_sdk_eks::types::{FargateProfile, FargateProfileSelector};
use serde_json::json;

use super::{Answers, Reply, Said, either, iam};
use crate::acceptance::place::Place;

const QUESTION: &str = "question";
const TRIES: usize = 60;
const SECONDS: f64 = 10.0;

pub(in super::super) async fn ask(place: &Place, answers: &mut Answers) {
    answers.keep("passed-to-service", either(passed_to(place).await));
    answers.keep("access-entry-token", either(entry_token(place).await));
    answers.keep("invalid-principal", either(invalid_principal(place).await));
    answers.keep("logging-unchanged", either(unchanged_logging(place).await));
    answers.keep("entry-of-eks-itself", either(entry_of_eks(place).await));
}

/// In a session that may pass roles to the pods' service only.
async fn passed_to(place: &Place) -> Result<Said, Said> {
    let profile = any_profile(place).await?;
    let policy = json!({"Version": "2012-10-17", "Statement": [
        {
            "Effect": "Allow",
            "Action": ["eks:*", "ec2:Describe*", "iam:GetRole", "iam:CreateServiceLinkedRole"],
            "Resource": "*",
        },
        {
            "Effect": "Allow",
            "Action": "iam:PassRole",
            "Resource": "*",
            "Condition": {
                "StringEquals": {"iam:PassedToService": "eks-fargate-pods.amazonaws.com"},
            },
        },
    ]});
    let (aws, _) = iam::session(place, &policy.to_string()).await?;
    let selector = FargateProfileSelector::builder().namespace(QUESTION);
    let call = aws.eks().create_fargate_profile();
    let call = call.cluster_name(place.stack());
    let call = call.fargate_profile_name(QUESTION);
    let call = call.set_pod_execution_role_arn(profile.pod_execution_role_arn);
    let call = call.set_subnets(profile.subnets);
    let call = call.selectors(selector.build());
    let reply = Reply::of(call.set_tags(Some(tags(place))).send().await);
    if let Some(said) = reply.says_nothing() {
        return Err(said);
    }
    if let Reply::Accepted(_) = reply {
        // The teardown takes it along: its tags are those of the cluster's own.
        let what = "accepted: it is passed to eks-fargate-pods.amazonaws.com";
        return Ok(Said::believed(false, what));
    }
    let is_denied = codes::ACCESS_DENIED.contains(&reply.code().unwrap_or_default())
        && reply.message().contains("iam:PassRole");
    if is_denied {
        let what =
            "denied for want of iam:PassRole; the run itself may pass it to eks.amazonaws.com";
        return Ok(Said::believed(true, what));
    }
    Err(Said::not_answered(reply.words()))
}

/// Those of what hardway makes for the cluster, so that the teardown takes it along, whatever happens.
fn tags(place: &Place) -> HashMap<String, String> {
    let tags = functions::model::tags::of_target(&place.target, &BTreeMap::new(), QUESTION);
    tags.into_iter().collect()
}

async fn any_profile(place: &Place) -> Result<FargateProfile, Said> {
    let eks = place.aws.eks();
    let list = eks.list_fargate_profiles().cluster_name(place.stack());
    let list = Reply::of(list.send().await).or_why("eks:ListFargateProfiles")?;
    let name = list.fargate_profile_names().first();
    let name = name.ok_or_else(|| Said::not_answered("the cluster has no profile"))?;
    let describe = eks.describe_fargate_profile().cluster_name(place.stack());
    let describe = describe.fargate_profile_name(name).send().await;
    let profile = Reply::of(describe).or_why("eks:DescribeFargateProfile")?;
    let profile = profile.fargate_profile().cloned();
    profile.ok_or_else(|| Said::not_answered("DescribeFargateProfile answers none"))
}

async fn entry_token(place: &Place) -> Result<Said, Said> {
    let eks = place.aws.eks();
    let arn = format!(
        "arn:${{Partition}}:iam::${{AccountId}}:role/{}",
        iam::role_name(place)
    );
    let arn = place.fill_in(&arn);
    let create = || {
        let call = eks.create_access_entry().cluster_name(place.stack());
        let call = call.principal_arn(&arn).set_tags(Some(tags(place)));
        // EKS wants 33 characters or more.
        call.client_request_token(format!("{:-<40}", place.stack()))
            .send()
    };
    let delete = || {
        let call = eks.delete_access_entry().cluster_name(place.stack());
        call.principal_arn(&arn).send()
    };
    Reply::of(create().await).or_why("eks:CreateAccessEntry")?;
    Reply::of(delete().await).or_why("eks:DeleteAccessEntry")?;
    let again = Reply::of(create().await);
    let describe = eks.describe_access_entry().cluster_name(place.stack());
    let there = Reply::of(describe.principal_arn(&arn).send().await);
    let is_there = matches!(there, Reply::Accepted(_));
    if is_there {
        Reply::of(delete().await).or_why("eks:DeleteAccessEntry")?;
    }
    let there = if is_there { "is there" } else { "is not there" };
    Ok(Said::recorded(format!(
        "{}; afterwards the entry {there}",
        again.words()
    )))
}

async fn invalid_principal(place: &Place) -> Result<Said, Said> {
    let arn = "arn:${Partition}:iam::${AccountId}:role/${Stack}-nobody";
    let call = place.aws.eks().create_access_entry();
    let call = call.cluster_name(place.stack());
    let call = call.principal_arn(place.fill_in(arn));
    let reply = Reply::of(call.send().await);
    if let Some(said) = reply.says_nothing() {
        return Err(said);
    }
    let is_so = reply.code() == Some(codes::INVALID_PARAMETER)
        && reply.message().contains("invalid principal");
    Ok(Said::believed(is_so, reply.words()))
}

async fn unchanged_logging(place: &Place) -> Result<Said, Said> {
    let eks = place.aws.eks();
    let found = eks.describe_cluster().name(place.stack()).send().await;
    let found = Reply::of(found).or_why("eks:DescribeCluster")?;
    let logging = found.cluster().and_then(|it| it.logging()).cloned();
    let logging = logging.ok_or_else(|| Said::not_answered("DescribeCluster says no logging"))?;
    let call = eks.update_cluster_config().name(place.stack());
    let reply = Reply::of(call.logging(logging).send().await);
    if let Some(said) = reply.says_nothing() {
        return Err(said);
    }
    if let Reply::Accepted(answer) = &reply {
        let id = answer.update().and_then(|it| it.id()).unwrap_or_default();
        until_updated(place, id).await;
    }
    let is_so = reply.code() == Some(codes::INVALID_PARAMETER)
        && reply.message().contains("No changes needed");
    Ok(Said::believed(is_so, reply.words()))
}

/// The next steps need a cluster that is at rest.
async fn until_updated(place: &Place, id: &str) {
    for _ in 0..TRIES {
        let call = place.aws.eks().describe_update().name(place.stack());
        let update = call.update_id(id).send().await;
        let status = update.ok().and_then(|it| it.update?.status);
        if status.is_none_or(|it| it.as_str() != "InProgress") {
            return;
        }
        place.sleep(SECONDS).await;
    }
}

async fn entry_of_eks(place: &Place) -> Result<Said, Said> {
    let call = place.aws.eks().list_access_entries();
    let entries = call.cluster_name(place.stack()).send().await;
    let entries = Reply::of(entries).or_why("eks:ListAccessEntries")?;
    let of_eks = |arn: &&String| arn.contains(codes::SERVICE_LINKED_ROLE_PATH);
    let found: Vec<&String> = entries.access_entries().iter().filter(of_eks).collect();
    let all = entries.access_entries().len();
    Ok(Said::recorded(match found.first() {
        Some(arn) => format!("yes: {arn}, one of {all} entries"),
        None => format!("no; there are {all} entries"),
    }))
}

/// Before the teardown: an address that a NAT gateway uses.
pub(in super::super) async fn ask_of_address(place: &Place, answers: &mut Answers) {
    answers.keep("address-in-use", either(address(place).await));
}

async fn address(place: &Place) -> Result<Said, Said> {
    let ec2 = place.aws.ec2();
    let filters = functions::model::tags::ec2_filters(&place.target);
    let found = ec2.describe_addresses().set_filters(Some(filters));
    let found = Reply::of(found.send().await).or_why("ec2:DescribeAddresses")?;
    let used = |it: &&aws_sdk_ec2::types::Address| it.association_id().is_some();
    let used = found.addresses().iter().find(used);
    let id = used.and_then(|it| it.allocation_id());
    let id = id.ok_or_else(|| Said::not_answered("no address is in use"))?;
    let reply = Reply::of(ec2.release_address().allocation_id(id).send().await);
    if let Some(said) = reply.says_nothing() {
        return Err(said);
    }
    let is_so = [Some(codes::ADDRESS_IN_USE), Some(codes::AUTH_FAILURE)].contains(&reply.code());
    Ok(Said::believed(is_so, reply.words()))
}
