//! VPC endpoints, which hardway does not make.

use aws_sdk_ec2::types::{Filter, VpcEndpoint};

use crate::aws::{Aws, list};
use crate::contract::{During, Error};

/// The endpoints that pass the filters.
pub(crate) async fn find(aws: &Aws, filters: Vec<Filter>) -> Result<Vec<VpcEndpoint>, Error> {
    let call = aws.ec2().describe_vpc_endpoints();
    let call = call.set_filters(Some(filters));
    list!(call).await.during("ec2:DescribeVpcEndpoints")
}
