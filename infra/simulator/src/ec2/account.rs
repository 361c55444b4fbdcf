//! The account's attributes.

use super::Ec2;
use super::request::{Request, invalid_value};
use crate::api_error::ApiError;
use crate::xml::Element;

/// `DescribeAccountAttributes`: some are named, or all (botocore's EC2 model).
pub(super) fn describe_attributes(
    ec2: &mut Ec2,
    request: &Request<'_>,
) -> Result<Vec<Element>, ApiError> {
    let addresses = ec2.quotas.addresses.to_string();
    let attributes = [
        ("supported-platforms", "VPC"),
        ("default-vpc", "none"),
        ("max-instances", "20"),
        ("max-elastic-ips", &addresses),
        ("vpc-max-elastic-ips", &addresses),
        ("vpc-max-security-groups-per-interface", "5"),
    ];
    let wanted = request.params.list("AttributeName");
    let is_unknown = |name: &&&str| attributes.iter().all(|(known, _)| known != *name);
    if let Some(unknown) = wanted.iter().find(is_unknown) {
        return Err(invalid_value(
            "AttributeName",
            unknown,
            "Unknown attribute.",
        ));
    }
    let items = (attributes.iter())
        .filter(|(name, _)| wanted.is_empty() || wanted.contains(name))
        .map(|(name, value)| {
            let values = [vec![Element::text("attributeValue", value)]];
            vec![
                Element::text("attributeName", name),
                Element::list("attributeValueSet", "item", values),
            ]
        });
    Ok(vec![Element::list("accountAttributeSet", "item", items)])
}

#[cfg(test)]
mod tests {
    use aws_sdk_ec2::types::AccountAttributeName;

    use crate::ec2::testing::World;

    #[tokio::test(start_paused = true)]
    async fn says_that_there_is_no_default_vpc() {
        let world = World::new();
        let call = world.ec2.describe_account_attributes();
        let call = call
            .attribute_names(AccountAttributeName::DefaultVpc)
            .send();
        let attributes = call.await.unwrap().account_attributes.unwrap();
        assert_eq!(attributes.len(), 1);
        let value = attributes[0].attribute_values()[0].attribute_value();
        assert_eq!(value, Some("none"));
    }
}
