//! Node groups, of which hardway makes none.

use crate::aws::{Aws, list};
use crate::contract::{During, Error};
use crate::model::Target;

/// CloudFormation's type name.
pub(crate) const KIND: &str = "AWS::EKS::Nodegroup";
/// The action that reads them.
pub(crate) const LIST: &str = "eks:ListNodegroups";

/// The names of the cluster's node groups.
pub(crate) async fn find(aws: &Aws, target: &Target) -> Result<Vec<String>, Error> {
    let call = aws.eks().list_nodegroups();
    list!(call.cluster_name(&target.cluster_name))
        .await
        .during(LIST)
}
