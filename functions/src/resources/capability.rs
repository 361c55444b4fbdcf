//! Capabilities of EKS, of which hardway makes none.

use aws_sdk_eks::types::CapabilitySummary;

use crate::aws::{Aws, list};
use crate::contract::{During, Error};
use crate::model::Target;

/// CloudFormation's type name.
pub(crate) const KIND: &str = "AWS::EKS::Capability";

/// The cluster's capabilities.
pub(crate) async fn find(aws: &Aws, target: &Target) -> Result<Vec<CapabilitySummary>, Error> {
    let call = aws.eks().list_capabilities();
    list!(call.cluster_name(&target.cluster_name))
        .await
        .during("eks:ListCapabilities")
}
