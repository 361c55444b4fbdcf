//! STS: who somebody is, and sessions of roles, also in other accounts.

mod assume_role;
mod session;
#[cfg(test)]
pub(crate) mod testing;

use crate::api_error::ApiError;
use crate::params::Params;
use crate::state::Context;
use crate::xml::Element;

pub use session::{Identity, Session, Sessions, identity};

type Operation = fn(&mut Context<'_>, &Params) -> Result<Vec<Element>, ApiError>;

/// All operations, by their names.
const OPERATIONS: &[(&str, Operation)] = &[
    ("AssumeRole", assume_role::assume_role),
    ("GetCallerIdentity", |context, _| {
        Ok(get_caller_identity(context))
    }),
];

/// Answers `operation` with the children of its result element.
///
/// # Errors
/// STS' own codes.
pub fn handle(
    context: &mut Context<'_>,
    operation: &str,
    params: &Params,
) -> Result<Vec<Element>, ApiError> {
    let work = OPERATIONS.iter().find(|(name, _)| *name == operation);
    let (_, work) = work.ok_or_else(|| {
        let message = format!("Could not find operation {operation} for version 2011-06-15");
        ApiError::client("InvalidAction", message)
    })?;
    work(context, params)
}

/// The names of all operations.
pub fn operations() -> impl Iterator<Item = &'static str> {
    OPERATIONS.iter().map(|(name, _)| *name)
}

/// `GetCallerIdentity`: needs no permission.
fn get_caller_identity(context: &Context<'_>) -> Vec<Element> {
    let identity = identity(context);
    vec![
        Element::text("Arn", identity.arn),
        Element::text("UserId", identity.user_id),
        Element::text("Account", &context.account),
    ]
}

#[cfg(test)]
mod tests {
    use super::testing::World;

    #[tokio::test(start_paused = true)]
    async fn caller_without_a_session_is_a_user_of_its_account() {
        let world = World::new();
        let sts = world.client("444455556666", None);
        let who = sts.get_caller_identity().send().await.unwrap();
        assert_eq!(who.account(), Some("444455556666"));
        let arn = who.arn().unwrap();
        assert!(arn.starts_with("arn:aws:iam::444455556666:user/"), "{arn}");
    }
}
