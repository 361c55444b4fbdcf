//! The internet gateway of the cluster's VPC.

use aws_sdk_ec2::types::{Filter, InternetGateway};

use crate::aws::{Aws, list};
use crate::contract::error::required;
use crate::contract::{During, Error};
use crate::model::Target;
use crate::model::tags::{self, ec2_filter};
use crate::resources::resource_change::{Change, Difference, ResourceChange};

/// Value of the tag `hardway:role`.
pub(crate) const ROLE: &str = "internet-gateway";
/// CloudFormation's type name.
pub(crate) const KIND: &str = "AWS::EC2::InternetGateway";

/// What there is.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// The gateways of ours.
    ours: Vec<InternetGateway>,
    /// The one that the VPC has, whosever it is; not looked for where it is one of ours.
    in_vpc: Option<InternetGateway>,
}

/// What there is beside the plan.
#[derive(Debug)]
pub(crate) struct Compared<'a> {
    /// The one to keep.
    pub kept: Option<&'a InternetGateway>,
    /// Those to delete: nothing is attached to them.
    pub surplus: Vec<&'a InternetGateway>,
    /// Whether the one to keep is attached to the VPC.
    pub is_attached: bool,
}

/// The internet gateways that pass the filters; all of the region's if there are none.
pub(crate) async fn find(aws: &Aws, filters: Vec<Filter>) -> Result<Vec<InternetGateway>, Error> {
    let call = aws.ec2().describe_internet_gateways();
    let call = call.set_filters(Some(filters));
    list!(call).await.during("ec2:DescribeInternetGateways")
}

/// The filter for the gateway of a VPC.
pub(crate) fn of_vpc(vpc_id: &str) -> Vec<Filter> {
    vec![ec2_filter("attachment.vpc-id", vpc_id)]
}

/// Looks at the gateways with the tag of the role, and at the VPC's.
pub(crate) async fn observe(
    aws: &Aws,
    target: &Target,
    vpc_id: Option<&str>,
) -> Result<Seen, Error> {
    let ours = find(aws, tags::ec2_filters_for(target, ROLE)).await?;
    let is_attached = ours.iter().any(|it| vpc_of(it) == vpc_id);
    let in_vpc = match vpc_id {
        Some(vpc_id) if !is_attached => find(aws, of_vpc(vpc_id)).await?.into_iter().next(),
        _ => None,
    };
    Ok(Seen { ours, in_vpc })
}

/// Says what is to be done. Of several gateways of ours the one that is attached to the VPC is kept, else the
/// one with the smallest id: all invocations decide alike, at any time. Only what is not attached is surplus.
///
/// # Errors
/// [`Error::ResourceConflict`] if ours is attached to another VPC, or the VPC has somebody else's: it has room
/// for one.
pub(crate) fn compare<'a>(
    target: &Target,
    vpc_id: Option<&str>,
    seen: &'a Seen,
) -> Result<Compared<'a>, Error> {
    let is_here = |it: &&InternetGateway| vpc_id.is_some() && vpc_of(it) == vpc_id;
    // A list by tags may lack what a list by VPC shows.
    let in_vpc = seen.in_vpc.iter();
    let is_ours = |it: &&InternetGateway| tags::ec2_is(it.tags(), target, ROLE);
    let here = seen.ours.iter().find(is_here);
    let here = here.or(in_vpc.clone().find(is_ours));
    let first = seen.ours.iter().min_by_key(|it| it.internet_gateway_id());
    let Some(kept) = here.or(first) else {
        return match seen.in_vpc.as_ref() {
            Some(other) => Err(has_another(vpc_id, other)),
            None => Ok(Compared {
                kept: None,
                surplus: vec![],
                is_attached: false,
            }),
        };
    };
    if here.is_none() {
        if let Some(elsewhere) = vpc_of(kept) {
            return Err(attached_elsewhere(id(kept)?, elsewhere, vpc_id));
        }
        if let Some(other) = &seen.in_vpc {
            return Err(has_another(vpc_id, other));
        }
    }
    let is_surplus = |it: &&InternetGateway| {
        it.internet_gateway_id() != kept.internet_gateway_id() && vpc_of(it).is_none()
    };
    Ok(Compared {
        kept: Some(kept),
        surplus: seen.ours.iter().filter(is_surplus).collect(),
        is_attached: here.is_some(),
    })
}

impl Compared<'_> {
    /// The same for a person.
    pub fn changes(&self) -> Vec<ResourceChange> {
        let detached = || Difference::new("Attachments", "(none)", "the VPC");
        let differences = (!self.is_attached).then(detached);
        let kept = match self.kept {
            None => ResourceChange::new(KIND, ROLE, Change::Create),
            Some(_) => ResourceChange::of(KIND, ROLE, differences.into_iter().collect()),
        };
        let surplus = self.surplus.iter();
        let surplus = surplus.filter_map(|it| it.internet_gateway_id());
        let surplus = surplus.map(|id| ResourceChange::new(KIND, id, Change::Remove));
        std::iter::once(kept).chain(surplus).collect()
    }

    /// The id of the one to keep.
    pub fn id(&self) -> Option<&str> {
        self.kept.and_then(InternetGateway::internet_gateway_id)
    }
}

/// The error of a gateway of ours that another VPC has.
pub(crate) fn attached_elsewhere(id: &str, elsewhere: &str, vpc_id: Option<&str>) -> Error {
    let vpc_id = vpc_id.unwrap_or("a new VPC");
    Error::ResourceConflict(format!(
        "the cluster's internet gateway {id} is attached to {elsewhere}, not to {vpc_id}"
    ))
}

fn has_another(vpc_id: Option<&str>, other: &InternetGateway) -> Error {
    Error::ResourceConflict(format!(
        "{} has the internet gateway {} already, which is not the cluster's",
        vpc_id.unwrap_or("the VPC"),
        other.internet_gateway_id().unwrap_or_default()
    ))
}

/// The VPC that a gateway is attached to (or is being attached to).
pub(crate) fn vpc_of(gateway: &InternetGateway) -> Option<&str> {
    gateway.attachments().first().and_then(|it| it.vpc_id())
}

pub(crate) fn id(gateway: &InternetGateway) -> Result<&str, Error> {
    required(
        gateway.internet_gateway_id(),
        "ec2:DescribeInternetGateways: internetGatewayId",
    )
}

#[cfg(test)]
mod tests {
    use aws_sdk_ec2::types::{InternetGatewayAttachment, Tag};

    use super::*;
    use crate::model::Plan;

    const VPC: &str = "vpc-1";

    /// A gateway of ours.
    fn ours(id: &str, vpc_id: Option<&str>) -> InternetGateway {
        let tag = |key: &str, value: &str| Tag::builder().key(key).value(value).build();
        let attachment = InternetGatewayAttachment::builder().set_vpc_id(vpc_id.map(Into::into));
        InternetGateway::builder()
            .internet_gateway_id(id)
            .tags(tag(tags::CLUSTER, "demo"))
            .tags(tag(tags::ROLE, ROLE))
            .attachments(attachment.build())
            .build()
    }

    fn check(seen: &Seen) -> Result<Compared<'_>, Error> {
        compare(&Plan::example().target, Some(VPC), seen)
    }

    #[test]
    fn of_several_gateways_of_ours_the_attached_one_is_kept_however_it_was_found() {
        let attached = ours("igw-2", Some(VPC));
        for (ours, in_vpc) in [
            (vec![ours("igw-1", None), attached.clone()], None),
            (vec![ours("igw-1", None)], Some(attached.clone())),
        ] {
            let seen = Seen { ours, in_vpc };
            let compared = check(&seen).unwrap();
            assert_eq!((compared.id(), compared.is_attached), (Some("igw-2"), true));
            let surplus = ResourceChange::new(KIND, "igw-1", Change::Remove);
            let kept = ResourceChange::new(KIND, ROLE, Change::Keep);
            assert_eq!(compared.changes(), [kept, surplus]);
        }
    }

    #[test]
    fn of_detached_gateways_of_ours_the_smallest_id_is_kept_and_attached() {
        let seen = Seen {
            ours: vec![ours("igw-2", None), ours("igw-1", None)],
            in_vpc: None,
        };
        let compared = check(&seen).unwrap();
        assert_eq!(
            (compared.id(), compared.is_attached),
            (Some("igw-1"), false)
        );
        let detached = vec![Difference::new("Attachments", "(none)", "the VPC")];
        let kept = ResourceChange::of(KIND, ROLE, detached);
        let surplus = ResourceChange::new(KIND, "igw-2", Change::Remove);
        assert_eq!(compared.changes(), [kept, surplus]);
    }

    #[test]
    fn a_gateway_of_ours_that_another_vpc_has_is_refused_or_left_alone() {
        let elsewhere = ours("igw-1", Some("vpc-2"));
        let mut seen = Seen {
            ours: vec![elsewhere],
            in_vpc: None,
        };
        let error = check(&seen).unwrap_err();
        let said = "igw-1 is attached to vpc-2, not to vpc-1";
        assert!(error.to_string().ends_with(said), "{error}");
        seen.ours.push(ours("igw-2", Some(VPC)));
        assert!(check(&seen).unwrap().surplus.is_empty());
    }

    #[test]
    fn somebodys_gateway_is_refused_and_where_there_is_none_one_is_made() {
        let mut theirs = ours("igw-1", Some(VPC));
        theirs.tags = None;
        let seen = Seen {
            ours: vec![],
            in_vpc: Some(theirs),
        };
        let error = check(&seen).unwrap_err();
        assert!(error.to_string().contains("igw-1 already"), "{error}");
        let made = check(&Seen::default()).map(|it| it.changes());
        assert_eq!(
            made,
            Ok(vec![ResourceChange::new(KIND, ROLE, Change::Create)])
        );
    }
}
