//! AWS KMS: keys and their aliases, as far as others ask whether a key can be used. Nothing is encrypted
//! here, and of a key's policy only which other accounts it lets in.

mod change;
mod key;
#[cfg(test)]
mod testing;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::wire::aws_json::Operations;

pub use key::{Key, KeyState};
pub(crate) use key::{arn_of, find, key_of};

/// The keys of one account in one region.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Kms {
    /// Keys by their id.
    pub keys: BTreeMap<String, Key>,
    /// Ids of keys by the name of the alias, which begins with `alias/`.
    pub aliases: BTreeMap<String, String>,
}

/// All operations, by their names.
pub(crate) const OPERATIONS: Operations = Operations(&[
    ("CreateAlias", change::create_alias),
    ("CreateKey", change::create_key),
    ("DescribeKey", key::describe),
    ("DisableKey", change::disable),
    ("EnableKey", change::enable),
    ("ScheduleKeyDeletion", change::schedule_deletion),
]);

#[cfg(test)]
mod tests {
    use aws_sdk_kms::types::{KeySpec, KeyState, KeyUsageType};

    use super::testing::{ACCOUNT, World, client};
    use crate::testing::{code, code_of, message};

    #[tokio::test(start_paused = true)]
    async fn a_key_is_found_by_its_id_its_arn_and_its_aliases() {
        let world = World::new();
        let key = world.create().await;
        let (id, arn) = (key.key_id(), key.arn().unwrap());
        let alias = world.kms.create_alias().alias_name("alias/mine");
        alias.target_key_id(id).send().await.unwrap();
        let of_alias = arn.replace(&format!("key/{id}"), "alias/mine");
        for name in [id, arn, "alias/mine", &of_alias] {
            let found = world.key(name).await;
            assert_eq!(found, key);
            assert!(found.enabled);
            assert_eq!(found.key_state(), Some(&KeyState::Enabled));
            assert_eq!(found.key_spec(), Some(&KeySpec::SymmetricDefault));
        }
        let again = world.kms.create_alias().alias_name("alias/mine");
        let again = again.target_key_id(id).send().await;
        assert_eq!(code_of(again), "AlreadyExistsException");
        let of_aws = world.kms.create_alias().alias_name("alias/aws/eks");
        let of_aws = of_aws.target_key_id(id).send().await;
        assert_eq!(code_of(of_aws), "ValidationException");
        assert_ne!(world.create().await.key_id(), id);
    }

    #[tokio::test(start_paused = true)]
    async fn a_key_that_is_not_there_is_not_found() {
        let world = World::new();
        let describe = |name: String| world.kms.describe_key().key_id(name).send();
        let here = format!("arn:aws:kms:ap-northeast-1:{ACCOUNT}");
        for (name, words) in [
            (
                format!("{here}:key/1"),
                format!("Key '{here}:key/1' does not exist"),
            ),
            ("1".to_owned(), format!("Key '{here}:key/1' does not exist")),
            (
                "alias/x".to_owned(),
                format!("Alias {here}:alias/x is not found."),
            ),
            (
                here.replace("northeast", "south") + ":key/1",
                "Invalid arn ap-south-1".to_owned(),
            ),
        ] {
            let answer = describe(name).await;
            assert_eq!(message(&answer), words);
            assert_eq!(code(&answer), "NotFoundException");
        }
        assert_eq!(
            code_of(world.kms.list_keys().send().await),
            "UnknownOperationException"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_key_is_disabled_enabled_and_scheduled_for_deletion() {
        let world = World::new();
        let id = world.create().await.key_id().to_owned();
        let disable = || world.kms.disable_key().key_id(&id).send();
        disable().await.unwrap();
        let key = world.key(&id).await;
        assert!(!key.enabled);
        assert_eq!(key.key_state(), Some(&KeyState::Disabled));
        world.kms.enable_key().key_id(&id).send().await.unwrap();
        assert!(world.key(&id).await.enabled);
        let delete = |days| {
            let call = world.kms.schedule_key_deletion().key_id(&id);
            call.pending_window_in_days(days).send()
        };
        assert_eq!(code_of(delete(6).await), "ValidationException");
        let at = delete(7).await.unwrap().deletion_date;
        let key = world.key(&id).await;
        assert_eq!(key.key_state(), Some(&KeyState::PendingDeletion));
        assert_eq!(key.deletion_date, at);
        assert_eq!(code_of(disable().await), "KMSInvalidStateException");
    }

    #[tokio::test(start_paused = true)]
    async fn an_asymmetric_key_says_what_it_is_for() {
        let world = World::new();
        let create = || world.kms.create_key().key_spec(KeySpec::Rsa2048);
        assert_eq!(code_of(create().send().await), "ValidationException");
        let made = create().key_usage(KeyUsageType::SignVerify).send().await;
        let key = made.unwrap().key_metadata.unwrap();
        assert_eq!(key.key_spec(), Some(&KeySpec::Rsa2048));
        assert!(key.encryption_algorithms().is_empty());
        let call = world.kms.create_key().multi_region(true).send().await;
        assert_eq!(code_of(call), "UnsupportedOperationException");
    }

    #[tokio::test(start_paused = true)]
    async fn a_key_of_another_account_is_there_for_those_that_its_policy_lets_in() {
        let world = World::new();
        let key = world.create().await;
        let other = client(&world.simulator, "444455556666");
        let describe = || other.describe_key().key_id(key.arn().unwrap()).send();
        let refused = describe().await;
        assert!(message(&refused).contains("kms:DescribeKey on this resource because"));
        assert_eq!(code(&refused), "AccessDeniedException");
        world.simulator.change(|state| {
            let account = state.accounts.get_mut(ACCOUNT).unwrap();
            let keys = &mut account.region("ap-northeast-1").kms.keys;
            let key = keys.get_mut(key.key_id()).unwrap();
            key.accounts.insert("444455556666".to_owned());
        });
        assert_eq!(describe().await.unwrap().key_metadata.unwrap(), key);
        let arn = key.arn().unwrap();
        let alias = other.create_alias().alias_name("alias/theirs");
        let alias = alias.target_key_id(arn).send().await;
        assert!(message(&alias).contains("kms:CreateAlias on this resource because"));
        let delete = other.schedule_key_deletion().key_id(arn).send().await;
        let disable = other.disable_key().key_id(arn).send().await;
        let enable = other.enable_key().key_id(arn).send().await;
        let codes = [code(&alias), code(&delete), code(&disable), code(&enable)];
        assert_eq!(codes, ["AccessDeniedException"; 4]);
        let theirs = other.describe_key().key_id("alias/theirs").send().await;
        assert_eq!(code(&theirs), "NotFoundException");
        assert_eq!(world.key(key.key_id()).await, key);
    }
}
