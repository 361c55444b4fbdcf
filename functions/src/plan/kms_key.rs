//! Whether EKS could use the key that the input names. EKS asks only when the control plane is made, when the
//! network and the roles are there.
//!
//! EKS user guide, encrypt Kubernetes secrets with KMS: the key is symmetric, can encrypt and decrypt, and
//! the caller of CreateCluster may describe it and create a grant. The former is tried here. The latter cannot
//! be: KMS answers a dry run of CreateGrant only to who may do it without AWS's service between.

use aws_sdk_kms::error::ProvideErrorMetadata;
use aws_sdk_kms::types::{KeyMetadata, KeySpec, KeyState, KeyUsageType};

use crate::aws::{Aws, codes};
use crate::contract::{During, Error};
use crate::model::Plan;

const FIELD: &str = "kmsKeyArn";
const DESCRIBE: &str = "kms:DescribeKey";

/// Refuses a key that EKS could not use. The answer is what could not be read, a sentence each: a person who
/// only looks may have no permission to describe the key, the functions of a run need it.
///
/// # Errors
/// [`Error::InvalidRequest`] with the way out, [`Error::AccessDenied`] of a run.
pub(crate) async fn check(aws: &Aws, plan: &Plan, is_dry_run: bool) -> Result<Vec<String>, Error> {
    let Some(arn) = &plan.kms_key_arn else {
        return Ok(vec![]);
    };
    let answer = aws.kms().describe_key().key_id(arn).send().await;
    if let Err(error) = &answer
        && error.code() == Some(codes::KEY_NOT_FOUND)
    {
        let expected = format!(
            "a key that exists in account {} and region {}; make it first, or leave it out",
            plan.target.account.id, plan.target.region
        );
        return Err(Error::invalid(FIELD, arn, expected));
    }
    match answer.during(DESCRIBE) {
        Ok(answer) => {
            let fault = answer.key_metadata.as_ref().and_then(fault);
            fault.map_or(Ok(vec![]), |fault| Err(Error::invalid(FIELD, arn, fault)))
        }
        Err(Error::AccessDenied(why) | Error::ExplicitDeny(why)) if is_dry_run => {
            Ok(vec![format!(
                "whether the key {arn} can be used is unknown: {why}"
            )])
        }
        Err(Error::AccessDenied(why)) => Err(Error::AccessDenied(format!(
            "{FIELD} {arn}: {why}; EKS uses a key only for who may {DESCRIBE} and kms:CreateGrant: the \
             key's policy has to allow both to account {}",
            plan.target.account.id
        ))),
        Err(error) => Err(error),
    }
}

/// Why EKS cannot use the key, as what would be right.
fn fault(key: &KeyMetadata) -> Option<String> {
    let is_symmetric = key.key_spec() == Some(&KeySpec::SymmetricDefault)
        && key.key_usage() == Some(&KeyUsageType::EncryptDecrypt);
    if !is_symmetric {
        let spec = key.key_spec().map_or("unknown", KeySpec::as_str);
        return Some(format!(
            "a symmetric key that encrypts and decrypts: {}'s key spec is {spec}",
            key.key_id()
        ));
    }
    let remedy = match key.key_state() {
        Some(KeyState::Enabled) => return None,
        Some(KeyState::Disabled) => "enable it with aws kms enable-key",
        Some(KeyState::PendingDeletion) => {
            "keep it with aws kms cancel-key-deletion and aws kms enable-key, or name another one"
        }
        _ => "make it usable, or name another one",
    };
    let state = key.key_state().map_or("unknown", KeyState::as_str);
    Some(format!(
        "a key that can be used: {} is {state}; {remedy}",
        key.key_id()
    ))
}

#[cfg(test)]
mod tests {
    use simulator::kms::{Key, KeyState as AccountKeyState};

    use super::*;
    use crate::testing::World;

    const ARN: &str = "arn:aws:kms:ap-northeast-1:111122223333:key/1234";

    /// An account whose plan names a key.
    fn world() -> World {
        World::new(Plan {
            kms_key_arn: Some(ARN.to_owned()),
            ..Plan::example()
        })
    }

    /// One in which there is the key, changed by hand.
    fn world_with_key(change: impl FnOnce(&mut Key)) -> World {
        let world = world();
        world.simulator.change(|state| state.add_key(ARN));
        world.region(|region| change(region.kms.keys.get_mut("1234").unwrap()));
        world
    }

    async fn check_in(world: &World, is_dry_run: bool) -> Result<Vec<String>, Error> {
        check(&world.aws(), &world.plan, is_dry_run).await
    }

    #[tokio::test(start_paused = true)]
    async fn a_key_that_cannot_be_used_is_refused_with_its_state() {
        use AccountKeyState::{Disabled, Enabled, PendingDeletion};
        let usable = world_with_key(|_| ());
        assert_eq!(check_in(&usable, false).await, Ok(vec![]));
        let (symmetric, encrypt) = ("SYMMETRIC_DEFAULT", "ENCRYPT_DECRYPT");
        let mac = "GENERATE_VERIFY_MAC";
        for (state, spec, usage, words) in [
            (Disabled, symmetric, encrypt, "1234 is Disabled; enable it"),
            (PendingDeletion, symmetric, encrypt, "cancel-key-deletion"),
            (Enabled, "RSA_4096", encrypt, "key spec is RSA_4096"),
            (Enabled, "HMAC_256", mac, "HMAC_256"),
        ] {
            let world = world_with_key(|key| {
                key.state = state;
                (key.spec, key.usage) = (spec.to_owned(), usage.to_owned());
            });
            let error = check_in(&world, false).await.unwrap_err();
            assert_eq!(error.name(), "InvalidRequest");
            let text = error.to_string();
            assert!(
                text.starts_with("kmsKeyArn: ") && text.contains(ARN),
                "{text}"
            );
            assert!(text.contains(words), "{text}");
        }
    }

    #[test]
    fn a_key_without_its_material_cannot_be_used() {
        let key = KeyMetadata::builder().key_id("1234");
        let key = key.key_spec(KeySpec::SymmetricDefault);
        let key = key.key_usage(KeyUsageType::EncryptDecrypt);
        let key = key.key_state(KeyState::PendingImport).build().unwrap();
        let fault = fault(&key).unwrap();
        assert!(fault.contains("1234 is PendingImport"), "{fault}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_key_that_does_not_exist_is_refused() {
        let error = check_in(&world(), true).await.unwrap_err();
        assert_eq!(error.name(), "InvalidRequest");
        assert!(error.to_string().contains("make it first"), "{error}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_key_that_must_not_be_described_is_a_note_of_a_preview_and_ends_a_run() {
        let world = world_with_key(|_| ());
        for _ in 0..2 {
            world.fail_next("DescribeKey", "AccessDeniedException", "no");
        }
        let notes = check_in(&world, true).await.unwrap();
        assert!(notes[0].contains(ARN), "{notes:?}");
        let error = check_in(&world, false).await.unwrap_err();
        assert_eq!(error.name(), "AccessDenied");
        assert!(error.to_string().contains("kms:CreateGrant"), "{error}");
    }
}
