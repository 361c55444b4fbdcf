//! Keys, how they are named, and `DescribeKey`.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::api_error::ApiError;
use crate::state::{Context, partition};

/// AWS KMS developer guide, key states: those that a key of KMS's own material can be in for long.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum KeyState {
    /// It can be used.
    #[default]
    Enabled,
    /// Somebody has turned it off.
    Disabled,
    /// It will be deleted.
    PendingDeletion,
}

/// A KMS key.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Key {
    /// When it was made.
    pub created_at: Timestamp,
    /// Whether it can be used.
    pub state: KeyState,
    /// When it will be deleted.
    pub deletion_at: Option<Timestamp>,
    /// For example `SYMMETRIC_DEFAULT`.
    pub spec: String,
    /// For example `ENCRYPT_DECRYPT`.
    pub usage: String,
    /// What it is for.
    pub description: String,
    /// Other accounts that its policy lets in. In the own account IAM decides, as with the key policy that
    /// KMS gives to a key by default (AWS KMS developer guide, default key policy).
    pub accounts: BTreeSet<String>,
}

impl Key {
    /// A symmetric key that can be used.
    #[must_use]
    pub fn symmetric(created_at: Timestamp) -> Self {
        Self {
            created_at,
            state: KeyState::Enabled,
            deletion_at: None,
            spec: "SYMMETRIC_DEFAULT".to_owned(),
            usage: "ENCRYPT_DECRYPT".to_owned(),
            description: String::new(),
            accounts: BTreeSet::new(),
        }
    }

    /// Whether it can encrypt and decrypt now, with one and the same material.
    #[must_use]
    pub fn is_usable(&self) -> bool {
        self.state == KeyState::Enabled
            && self.spec == "SYMMETRIC_DEFAULT"
            && self.usage == "ENCRYPT_DECRYPT"
    }

    /// botocore's KMS model, KeyMetadata.
    pub(super) fn to_json(&self, arn: &str) -> Value {
        let (_, account, _) = parts(arn).unwrap_or_default();
        let id = id_of(arn).unwrap_or_default();
        let mut metadata = json!({
            "AWSAccountId": account,
            "KeyId": id,
            "Arn": arn,
            "CreationDate": self.created_at.as_second(),
            "Enabled": self.state == KeyState::Enabled,
            "Description": self.description,
            "KeyUsage": self.usage,
            "KeyState": self.state,
            "Origin": "AWS_KMS",
            "KeyManager": "CUSTOMER",
            "CustomerMasterKeySpec": self.spec,
            "KeySpec": self.spec,
            "MultiRegion": id.starts_with("mrk-"),
        });
        if self.spec == "SYMMETRIC_DEFAULT" {
            metadata["EncryptionAlgorithms"] = json!(["SYMMETRIC_DEFAULT"]);
        }
        if let Some(at) = self.deletion_at {
            metadata["DeletionDate"] = at.as_second().into();
        }
        metadata
    }
}

/// The ARN of what `name` means to the caller: an id, the name of an alias, or an ARN of either (botocore's
/// KMS model, DescribeKeyRequest).
pub(crate) fn arn_of(context: &Context<'_>, name: &str) -> String {
    if name.starts_with("arn:") {
        return name.to_owned();
    }
    let what = if name.starts_with("alias/") {
        name.to_owned()
    } else {
        format!("key/{name}")
    };
    let (partition, region) = (partition(&context.region), &context.region);
    format!("arn:{partition}:kms:{region}:{}:{what}", context.account)
}

/// Region, account and the rest (`key/…`, `alias/…`) of an ARN of KMS.
fn parts(arn: &str) -> Option<(&str, &str, &str)> {
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    match parts[..] {
        [_, _, "kms", region, account, what] => Some((region, account, what)),
        _ => None,
    }
}

/// The ARN of the key that is called `name`, whether or not the caller may know of it; an alias that is not
/// there means nothing.
pub(crate) fn key_of(context: &Context<'_>, name: &str) -> Option<String> {
    let arn = arn_of(context, name);
    let (region, account, what) = parts(&arn)?;
    if !what.starts_with("alias/") {
        return Some(arn);
    }
    let region = context.state.accounts.get(account)?.regions.get(region)?;
    let id = region.kms.aliases.get(what)?;
    Some(format!("{}:key/{id}", arn.rsplit_once(':')?.0))
}

/// The key that is called `name` and its ARN.
///
/// Errors: AWS KMS developer guide, key policy in another account, whose words are quoted by its users
/// (aws-solutions-library-samples and others, of AccessDeniedException); the AWS CLI's answers for keys and
/// aliases that are not there.
pub(crate) fn find<'a>(
    context: &'a Context<'_>,
    action: &str,
    name: &str,
) -> Result<(&'a Key, String), ApiError> {
    let asked = arn_of(context, name);
    let (region, owner, _) = parts(&asked).unwrap_or_default();
    if region != context.region {
        return Err(not_found(&format!("Invalid arn {region}")));
    }
    let arn = key_of(context, name);
    let key = arn.as_deref().and_then(|arn| {
        let account = context.state.accounts.get(owner)?;
        let region = account.regions.get(&context.region)?;
        region.kms.keys.get(id_of(arn)?)
    });
    let is_own = owner == context.account;
    match (key, arn) {
        (Some(key), Some(arn)) if is_own || key.accounts.contains(&context.account) => {
            Ok((key, arn))
        }
        _ if !is_own => Err(hidden(context, action)),
        (_, Some(arn)) => Err(not_found(&format!("Key '{arn}' does not exist"))),
        (_, None) => Err(not_found(&format!("Alias {asked} is not found."))),
    }
}

/// The key of the caller's own account that is called `name` and its ARN.
///
/// AWS KMS API reference, "Cross-account use: No" of the operations that call this: a key policy that lets
/// another account in does not let it do them (AWS KMS developer guide, allowing users in other accounts to
/// use a KMS key).
pub(super) fn find_own<'a>(
    context: &'a Context<'_>,
    action: &str,
    name: &str,
) -> Result<(&'a Key, String), ApiError> {
    let (key, arn) = find(context, action, name)?;
    let (_, owner, _) = parts(&arn).unwrap_or_default();
    if owner != context.account {
        return Err(hidden(context, action));
    }
    Ok((key, arn))
}

/// The id in the ARN of a key.
pub(super) fn id_of(arn: &str) -> Option<&str> {
    parts(arn)?.2.strip_prefix("key/")
}

fn hidden(context: &Context<'_>, action: &str) -> ApiError {
    let who = crate::sts::identity(context).arn;
    ApiError::client(
        "AccessDeniedException",
        format!(
            "User: {who} is not authorized to perform: kms:{action} on this resource because the resource \
             does not exist in this Region, no resource-based policies allow access, or a resource-based \
             policy explicitly denies access"
        ),
    )
}

fn not_found(message: &str) -> ApiError {
    ApiError::client("NotFoundException", message)
}

/// The member of that name, which must be a text.
pub(super) fn text<'a>(input: &'a Value, member: &str) -> Result<&'a str, ApiError> {
    let value = input[member].as_str().filter(|text| !text.is_empty());
    value.ok_or_else(|| {
        let name = format!("{}{}", member[..1].to_lowercase(), &member[1..]);
        let message = format!(
            "1 validation error detected: Value null at '{name}' failed to satisfy constraint: Member \
             must not be null"
        );
        ApiError::client("ValidationException", message)
    })
}

/// `DescribeKey`.
pub(super) fn describe(context: &mut Context<'_>, input: &Value) -> Result<Value, ApiError> {
    let (key, arn) = find(context, "DescribeKey", text(input, "KeyId")?)?;
    Ok(json!({"KeyMetadata": key.to_json(&arn)}))
}
