//! What Service Quotas' operations need: reading knows no resource (service authorization reference).

use super::{Needed, Resource};
use crate::quotas;

pub(super) fn needed(operation: &str) -> Option<Vec<Needed>> {
    quotas::OPERATIONS
        .names()
        .any(|known| known == operation)
        .then(|| {
            let action = format!("servicequotas:{operation}");
            vec![Needed::new(action, Resource::any())]
        })
}
