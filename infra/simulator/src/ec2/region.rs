//! `DescribeRegions`.

use super::Ec2;
use super::filters::Filters;
use super::request::{Request, invalid_value};
use super::tags::Tags;
use crate::api_error::ApiError;
use crate::regions;
use crate::xml::Element;

/// botocore's EC2 model, DescribeRegions.
const FILTERS: &[&str] = &["endpoint", "opt-in-status", "region-name"];

/// `DescribeRegions`: regions that the account has not enabled only when all are asked for.
pub(super) fn describe(_: &mut Ec2, request: &Request<'_>) -> Result<Vec<Element>, ApiError> {
    let filters = Filters::read(request.params, FILTERS)?;
    let all = request.flag("AllRegions")?.unwrap_or(false);
    let wanted = request.params.list("RegionName");
    let mut regions = regions::around(request.region);
    if let Some(unknown) = wanted.iter().find(|name| !regions.contains(name)) {
        return Err(invalid_value(
            "RegionName",
            unknown,
            "There is no such region.",
        ));
    }
    regions.retain(|name| {
        let is_enabled = opt_in_status(name, request) != "not-opted-in";
        (all || is_enabled)
            && (wanted.is_empty() || wanted.contains(name))
            && filters.accept(&Tags::new(), |filter| {
                attribute(name, filter, request).into_iter().collect()
            })
    });
    let items = regions.iter().map(|name| {
        vec![
            Element::text("regionName", name),
            Element::text("regionEndpoint", endpoint(name, request)),
            Element::text("optInStatus", opt_in_status(name, request)),
        ]
    });
    Ok(vec![Element::list("regionInfo", "item", items)])
}

fn attribute(name: &str, filter: &str, request: &Request<'_>) -> Option<String> {
    match filter {
        "endpoint" => Some(endpoint(name, request)),
        "opt-in-status" => Some(opt_in_status(name, request).to_owned()),
        "region-name" => Some(name.to_owned()),
        _ => None,
    }
}

fn opt_in_status(name: &str, request: &Request<'_>) -> &'static str {
    match (regions::is_opt_in(name), request.opted_in.contains(name)) {
        (false, _) => "opt-in-not-required",
        (true, true) => "opted-in",
        (true, false) => "not-opted-in",
    }
}

fn endpoint(name: &str, request: &Request<'_>) -> String {
    let end = if request.partition == "aws-cn" {
        ".cn"
    } else {
        ""
    };
    format!("ec2.{name}.amazonaws.com{end}")
}

#[cfg(test)]
mod tests {
    use crate::ec2::testing::{ACCOUNT, World, client, code};

    #[tokio::test(start_paused = true)]
    async fn regions_say_whether_the_account_may_use_them() {
        let world = World::new();
        world.simulator.change_account(ACCOUNT, |account| {
            account.opted_in.insert("eu-south-1".to_owned());
        });
        let names = async |all: bool| {
            let call = world.ec2.describe_regions().all_regions(all);
            let regions = call.send().await.unwrap().regions.unwrap();
            let of = |it: aws_sdk_ec2::types::Region| {
                (it.region_name.unwrap(), it.opt_in_status.unwrap())
            };
            regions.into_iter().map(of).collect::<Vec<_>>()
        };
        let status = |name: &str, status: &str| (name.to_owned(), status.to_owned());
        let enabled = names(false).await;
        assert!(enabled.contains(&status("eu-west-1", "opt-in-not-required")));
        assert!(enabled.contains(&status("eu-south-1", "opted-in")));
        assert!(enabled.iter().all(|(_, status)| status != "not-opted-in"));
        assert!(
            names(true)
                .await
                .contains(&status("eu-south-2", "not-opted-in"))
        );
        let call = world.ec2.describe_regions().region_names("mars-1").send();
        assert_eq!(code(call.await), "InvalidParameterValue");
    }

    #[tokio::test(start_paused = true)]
    async fn other_partitions_have_regions_of_their_own() {
        let world = World::new();
        let ec2 = client(&world.simulator, ACCOUNT, "cn-north-1");
        let regions = ec2.describe_regions().send().await.unwrap();
        assert_eq!(regions.regions().len(), 2);
        let endpoint = regions.regions()[0].endpoint();
        assert_eq!(endpoint, Some("ec2.cn-north-1.amazonaws.com.cn"));
    }
}
