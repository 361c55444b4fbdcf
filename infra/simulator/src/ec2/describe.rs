//! What all Describe operations have in common: ids, filters, pages.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::Ec2;
use super::eventual_consistency::Listed;
use super::filters::Filters;
use super::kind::Kind;
use super::request::{Request, invalid_value};
use super::tags::Tags;
use crate::api_error::ApiError;
use crate::xml::Element;

/// Something that can be described.
pub(super) trait Resource {
    const KIND: Kind;
    /// The filters that EC2 has for it, beside those for tags.
    const FILTERS: &'static [&'static str];

    fn tags(&self) -> &Tags;

    /// Its values for the filter `name`; none where EC2 has the filter and the simulator has nothing
    /// of that sort.
    fn attribute(&self, name: &str, ec2: &Ec2, request: &Request<'_>) -> Vec<String>;

    /// The content of its element.
    fn content(&self, ec2: &Ec2, request: &Request<'_>) -> Vec<Element>;
}

/// How one Describe operation is spelled.
pub(super) struct Spelling {
    /// The parameter with ids, for example `VpcId`.
    pub ids: &'static str,
    /// The element of the answer, for example `vpcSet`.
    pub set: &'static str,
    /// The most that `MaxResults` may be; `None` where EC2 has no pages.
    pub page_limit: Option<usize>,
}

/// botocore's EC2 model has the same minimum for all of these operations.
const PAGE_MINIMUM: usize = 5;

/// Answers a Describe operation over `all`, as far as lists know of it.
pub(super) fn describe<R: Listed>(
    ec2: &Ec2,
    request: &Request<'_>,
    all: &BTreeMap<String, R>,
    spelling: &Spelling,
) -> Result<Vec<Element>, ApiError> {
    describe_listed(ec2, request, &ec2.as_listed(all), spelling)
}

/// Answers a Describe operation over what lists know.
pub(super) fn describe_listed<R: Resource>(
    ec2: &Ec2,
    request: &Request<'_>,
    all: &BTreeMap<String, R>,
    spelling: &Spelling,
) -> Result<Vec<Element>, ApiError> {
    let ids = request.params.list(spelling.ids);
    for id in &ids {
        ec2.look_up(all, &R::KIND, id)?;
    }
    let filters = Filters::read(request.params, R::FILTERS)?;
    let mut matching = all.iter().filter(|(id, resource)| {
        let is_wanted = if ids.is_empty() {
            !ec2.is_missing_in_lists(id)
        } else {
            ids.contains(&id.as_str())
        };
        is_wanted
            && !ec2.is_hidden(id)
            && filters.accept(resource.tags(), |name| {
                resource.attribute(name, ec2, request)
            })
    });
    let page = Page::read(request, spelling, !ids.is_empty())?;
    let (chosen, next) = page.take(&mut matching);
    let items = chosen.iter().map(|resource| resource.content(ec2, request));
    let mut answer = vec![Element::list(spelling.set, "item", items)];
    answer.extend(next.map(|token| Element::text("nextToken", token)));
    Ok(answer)
}

struct Page {
    size: usize,
    /// The id that the page before ended with.
    after: Option<String>,
}

impl Page {
    fn read(request: &Request<'_>, spelling: &Spelling, has_ids: bool) -> Result<Self, ApiError> {
        let Some(limit) = spelling.page_limit else {
            let (size, after) = (usize::MAX, None);
            return Ok(Self { size, after });
        };
        let size = match request.get("MaxResults") {
            None => usize::MAX,
            Some(text) => match text.parse() {
                Ok(size) if (PAGE_MINIMUM..=limit).contains(&size) => size,
                _ => {
                    let why = format!("It must be between {PAGE_MINIMUM} and {limit}.");
                    return Err(invalid_value("MaxResults", text, &why));
                }
            },
        };
        // EC2 developer guide, pagination: ids and pages exclude each other.
        if has_ids && size != usize::MAX {
            let message = format!("{} cannot be used with MaxResults", spelling.ids);
            return Err(ApiError::client("InvalidParameterCombination", message));
        }
        let after = request.get("NextToken").map(decode).transpose()?;
        Ok(Self { size, after })
    }

    /// The resources of this page, and the token of the next one if there is more.
    fn take<'a, R>(
        &self,
        matching: &mut dyn Iterator<Item = (&'a String, &'a R)>,
    ) -> (Vec<&'a R>, Option<String>) {
        let is_later = |id: &String| self.after.as_ref().is_none_or(|after| id > after);
        let mut rest = matching.filter(|(id, _)| is_later(id)).peekable();
        let mut page = Vec::new();
        let mut last = None;
        while page.len() < self.size {
            let Some((id, resource)) = rest.next() else {
                break;
            };
            page.push(resource);
            last = Some(id);
        }
        let next = rest.peek().and(last).map(|id| encode(id));
        (page, next)
    }
}

/// A token is opaque to clients: hexadecimal digits of the last id of a page.
fn encode(id: &str) -> String {
    id.bytes().fold(String::new(), |mut token, byte| {
        let _ = write!(token, "{byte:02x}");
        token
    })
}

fn decode(token: &str) -> Result<String, ApiError> {
    let byte = |pair: &[u8]| {
        let pair = std::str::from_utf8(pair).ok()?;
        u8::from_str_radix(pair, 16).ok()
    };
    let bytes: Option<Vec<u8>> = token.as_bytes().chunks(2).map(byte).collect();
    let id = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
    id.filter(|id| id.contains('-')).ok_or_else(|| {
        let message = "The specified NextToken is not valid.";
        ApiError::client("InvalidNextToken", message)
    })
}

#[cfg(test)]
mod tests {
    use aws_sdk_ec2::types::{Filter, ResourceType};

    use crate::ec2::testing::{ACCOUNT, World, client, code, tagged, wait};

    #[tokio::test(start_paused = true)]
    async fn pages_add_up_to_everything_once() {
        let world = World::new();
        let vpc = world.vpc().await;
        let mut made = Vec::new();
        for n in 0..12 {
            made.push(world.subnet(&vpc, &format!("10.0.{n}.0/24")).await);
        }
        made.sort();
        let pages = world.ec2.describe_subnets().max_results(5).into_paginator();
        let mut pages = pages.send();
        let (mut found, mut sizes) = (Vec::new(), Vec::new());
        while let Some(page) = pages.next().await {
            let subnets = page.unwrap().subnets.unwrap();
            sizes.push(subnets.len());
            found.extend(subnets.into_iter().filter_map(|it| it.subnet_id));
        }
        assert_eq!(sizes, [5, 5, 2]);
        assert_eq!(found, made);
    }

    #[tokio::test(start_paused = true)]
    async fn refuses_pages_of_a_wrong_size_and_pages_of_ids() {
        let world = World::new();
        let vpc = world.vpc().await;
        let describe = || world.ec2.describe_vpcs();
        for size in [4, 1001] {
            let call = describe().max_results(size).send().await;
            assert_eq!(code(call), "InvalidParameterValue");
        }
        let both = describe().vpc_ids(vpc).max_results(5).send().await;
        assert_eq!(code(both), "InvalidParameterCombination");
        let call = describe().next_token("what").send().await;
        assert_eq!(code(call), "InvalidNextToken");
    }

    #[tokio::test(start_paused = true)]
    async fn finds_by_tags_only_what_has_them() {
        let world = World::new();
        world.vpc().await;
        let call = world.ec2.create_vpc().cidr_block("10.1.0.0/16");
        let call = call.tag_specifications(tagged(ResourceType::Vpc, &[("team", "a")]));
        let vpc = call.send().await.unwrap().vpc.unwrap().vpc_id;
        let find = |name: &str, value: &str| {
            let filter = Filter::builder().name(name).values(value).build();
            world.ec2.describe_vpcs().filters(filter).send()
        };
        for (name, value) in [
            ("tag:team", "a"),
            ("tag-key", "team"),
            ("cidr", "10.1.0.0/16"),
        ] {
            let found = find(name, value).await.unwrap().vpcs.unwrap();
            assert_eq!(found.len(), 1, "{name}");
            assert_eq!(found[0].vpc_id, vpc);
        }
        let found = find("tag:team", "b").await.unwrap();
        assert!(found.vpcs().is_empty());
        assert_eq!(code(find("colour", "red").await), "InvalidParameterValue");
    }

    #[tokio::test(start_paused = true)]
    async fn accounts_and_regions_see_only_their_own() {
        let world = World::new();
        let vpc = world.vpc().await;
        let elsewhere = [
            client(&world.simulator, "444455556666", "ap-northeast-1"),
            client(&world.simulator, ACCOUNT, "us-east-1"),
        ];
        for ec2 in elsewhere {
            let call = ec2.describe_vpcs().vpc_ids(&vpc).send().await;
            assert_eq!(code(call), "InvalidVpcID.NotFound");
            let found = ec2.describe_vpcs().send().await.unwrap();
            assert!(found.vpcs().is_empty());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn new_ids_can_be_unknown_for_a_while() {
        let world = World::new();
        world
            .simulator
            .change(|state| state.faults.ec2_id_lag_seconds = 30.0);
        let vpc = world.vpc().await;
        let by_id = || world.ec2.describe_vpcs().vpc_ids(&vpc).send();
        assert_eq!(code(by_id().await), "InvalidVpcID.NotFound");
        let all = world.ec2.describe_vpcs().send().await.unwrap();
        assert!(all.vpcs().is_empty());
        let call = world
            .ec2
            .create_subnet()
            .vpc_id(&vpc)
            .cidr_block("10.0.0.0/24");
        assert_eq!(code(call.send().await), "InvalidVpcID.NotFound");
        wait(30).await;
        by_id().await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn dry_runs_change_nothing_and_say_so() {
        let world = World::new();
        let call = world
            .ec2
            .create_vpc()
            .cidr_block("10.0.0.0/16")
            .dry_run(true);
        assert_eq!(code(call.send().await), "DryRunOperation");
        assert!(world.read(|ec2| ec2.vpcs.is_empty()));
    }
}
