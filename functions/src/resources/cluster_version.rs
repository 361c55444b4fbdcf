//! Kubernetes versions, as EKS offers them.

use aws_sdk_eks::types::ClusterVersionInformation;

use crate::aws::{Aws, list};
use crate::contract::{During, Error};

/// The action that reads them.
pub(crate) const DESCRIBE: &str = "eks:DescribeClusterVersions";

/// The versions that EKS offers, or `only` this one, which it may offer no longer.
pub(crate) async fn find(
    aws: &Aws,
    only: Option<&str>,
) -> Result<Vec<ClusterVersionInformation>, Error> {
    let call = aws.eks().describe_cluster_versions();
    let call = call.set_cluster_versions(only.map(|version| vec![version.to_owned()]));
    let call = call.set_include_all(only.map(|_| true));
    list!(call).await.during(DESCRIBE)
}
