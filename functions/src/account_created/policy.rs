//! The policy for new accounts: which of them get a cluster, and what kind of one.
//!
//! It is one JSON document. Its `input` is that of a provisioning execution, without the account;
//! organizational units may change it (RFC 7396, JSON Merge Patch) and may exclude their accounts. Units
//! are applied from the root down to the account's own, so the one nearest to the account has the last
//! word.

use jiff::Timestamp;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::account_created::errors::{self, invalid, keys, value_at};
use crate::account_created::event::{EventName, NewAccount, is_account_id, is_unit_id};
use crate::contract::Error;
use crate::model::Account;
use crate::model::RoleNames;
use crate::model::{Spec, Target};

/// What stands for the account's id in a string of the input.
const ACCOUNT_ID: &str = "{accountId}";

/// The policy for new accounts.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(title = "hardway policy for new accounts")]
pub struct Policy {
    /// Whether new accounts get a cluster at all. Default: no.
    #[serde(default)]
    pub enabled: bool,
    /// The input of the execution that builds the cluster: what input.schema.json describes, without
    /// `account` and `dryRun`. `{accountId}` in a string stands for the new account's id.
    #[schemars(schema_with = "input_schema")]
    pub input: Map<String, Value>,
    /// How to get into the new account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<Access>,
    /// What is different for accounts in these organizational units. If there are any, AWS
    /// Organizations is asked where an account is.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub organizational_units: Vec<OrganizationalUnit>,
    /// Accounts that get no cluster: their ids.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(inner(regex(pattern = r"^[0-9]{12}$")))]
    pub exclude_accounts: Vec<String>,
    /// The events that count. Default: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub events: Option<Vec<EventName>>,
    /// Accounts that joined the organization before this time (RFC 3339, for example
    /// `2026-11-01T00:00:00Z`) get no cluster, whatever happens to them. Default: an event that is about an
    /// account counts however old that is; of the accounts that no event told of, those that joined in the
    /// last 30 days count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub joined_since: Option<String>,
    /// Whether accounts that existed before and were invited into the organization count as new.
    /// Default: no.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub invited_accounts: bool,
}

/// How to get into a new account.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Access {
    /// Name (with its path, if any) of the role to assume there. Default:
    /// `MemberRoleName` of the stack.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role_name: Option<String>,
    /// External id that the role's trust policy asks for. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_id: Option<String>,
}

/// What is different for accounts in an organizational unit, or in one below it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct OrganizationalUnit {
    /// Its id, or that of the organization's root.
    #[schemars(regex(pattern = r"^(r-[0-9a-z]{4,32}|ou-[0-9a-z]{4,32}-[0-9a-z]{8,32})$"))]
    pub id: String,
    /// Whether its accounts get no cluster; a unit below it may say otherwise. Default: as the unit
    /// above it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exclude: Option<bool>,
    /// What is different in the input: members are replaced, objects are merged, null takes away.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "changes_schema")]
    pub input: Option<Map<String, Value>>,
}

/// What a policy says about an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// It gets a cluster.
    Build(Box<Spec>),
    /// It gets none.
    PassOver(String),
}

/// Where clusters are built, as far as the policy does not say it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The region, if the input has none.
    pub region: String,
    /// The partition, for example `aws`.
    pub partition: String,
    /// How the stack's functions call the roles of clusters.
    pub iam: RoleNames,
}

impl Policy {
    /// Reads a policy.
    ///
    /// # Errors
    /// [`Error::InvalidRequest`] with the path of the field that does not fit. What only an account's
    /// whole input can show is found by [`Policy::decide`].
    pub fn parse(text: &str) -> Result<Self, Error> {
        let whole: Value = serde_json::from_str(text).map_err(|error| {
            let expected = format!("JSON ({error})");
            invalid("the policy", &Value::from(text), &expected)
        })?;
        let policy: Self = serde_path_to_error::deserialize(&whole).map_err(|error| {
            let field = match error.path().to_string() {
                path if path == "." => "the policy".to_owned(),
                path => path,
            };
            invalid(&field, value_at(&whole, &field), &error.inner().to_string())
        })?;
        policy.check()?;
        Ok(policy)
    }

    fn check(&self) -> Result<(), Error> {
        check_input("input", &self.input)?;
        for (index, unit) in self.organizational_units.iter().enumerate() {
            let field = format!("organizationalUnits[{index}]");
            let id = Value::from(unit.id.as_str());
            let of_unit = format!("{field}.id");
            if !is_unit_id(&unit.id) {
                let expected = "the id of an organizational unit (ou-…) or of the root (r-…)";
                return Err(invalid(&of_unit, &id, expected));
            }
            let before = &self.organizational_units[..index];
            if before.iter().any(|other| other.id == unit.id) {
                return Err(invalid(&of_unit, &id, "each organizational unit once"));
            }
            if let Some(input) = &unit.input {
                check_input(&format!("{field}.input"), input)?;
            }
        }
        if let Some(since) = &self.joined_since {
            let time: Result<Timestamp, _> = since.parse();
            let expected = "a time of RFC 3339, such as 2026-11-01T00:00:00Z";
            time.map_err(|_| invalid("joinedSince", &Value::from(since.as_str()), expected))?;
        }
        for (index, account) in self.exclude_accounts.iter().enumerate() {
            if !is_account_id(account) {
                let field = format!("excludeAccounts[{index}]");
                let value = Value::from(account.as_str());
                return Err(invalid(&field, &value, "twelve digits"));
            }
        }
        Ok(())
    }

    /// Why an account gets no cluster, wherever in the organization it is.
    #[must_use]
    pub fn passes_over(&self, account: &NewAccount) -> Option<String> {
        let id = &account.id;
        if !self.enabled {
            return Some("the policy is not enabled".to_owned());
        }
        if self.exclude_accounts.contains(id) {
            return Some(format!("the policy excludes account {id}"));
        }
        if *id == account.management_account {
            return Some(format!("{id} is the organization's management account"));
        }
        if let Some(event) = account.event.filter(|event| !self.counts(*event)) {
            return Some(format!("the policy does not count {event:?}"));
        }
        if account.event == Some(EventName::MoveAccount) && self.organizational_units.is_empty() {
            return Some("the policy does not depend on where an account is".to_owned());
        }
        if account.is_invited && !self.invited_accounts {
            return Some(format!("account {id} was invited, not created"));
        }
        // An account that an event tells of has joined by then.
        let joined_at = account.joined_at.or(account.since);
        if let (Some(since), Some(at)) = (self.joined_since(), joined_at)
            && at < since
        {
            return Some(format!("account {id} joined by {at}, before {since}"));
        }
        None
    }

    /// Whether an event counts.
    #[must_use]
    pub fn counts(&self, event: EventName) -> bool {
        let events = self.events.as_ref();
        events.is_none_or(|events| events.contains(&event))
    }

    /// Whether nothing but the event of its joining tells of an account that is wanted.
    #[must_use]
    pub fn needs_joining(&self) -> bool {
        self.enabled
            && self.counts(EventName::AccountJoinedOrganization)
            && (self.invited_accounts || !self.counts(EventName::CreateAccountResult))
    }

    /// The earliest time of joining that counts; [`Policy::parse`] has made sure that it is one.
    #[must_use]
    pub fn joined_since(&self) -> Option<Timestamp> {
        self.joined_since.as_ref()?.parse().ok()
    }

    /// What an account gets that is in these organizational units, the root first.
    ///
    /// # Errors
    /// [`Error::InvalidRequest`] if the input for this account is wrong, with the path in the policy of
    /// the field that makes it so.
    pub fn decide(
        &self,
        account: &NewAccount,
        units: &[String],
        place: &Place,
    ) -> Result<Decision, Error> {
        let units = self.units(units);
        let excluding = units.iter().rev().find(|(_, unit)| unit.exclude.is_some());
        if let Some((_, unit)) = excluding.filter(|(_, unit)| unit.exclude == Some(true)) {
            let reason = format!("the policy excludes accounts in {}", unit.id);
            return Ok(Decision::PassOver(reason));
        }

        let input = self.input_for(account, &units, place);
        let spec = Spec::parse(&input).and_then(|spec| {
            crate::plan::validate::check(&spec)?;
            crate::plan::validate::role_names(&place.iam, spec.iam.as_ref())?;
            crate::plan::validate::check_for(&spec, &target(&spec, place))?;
            Ok(spec)
        });
        let spec = spec.map_err(|error| located(error, &units))?;
        Ok(Decision::Build(Box::new(spec)))
    }

    /// The units of the policy that an account is in, the root first, with their place in the policy.
    fn units(&self, chain: &[String]) -> Vec<(usize, &OrganizationalUnit)> {
        let found = |id: &String| {
            let mut units = self.organizational_units.iter().enumerate();
            units.find(|(_, unit)| unit.id == *id)
        };
        chain.iter().filter_map(found).collect()
    }

    fn input_for(
        &self,
        account: &NewAccount,
        units: &[(usize, &OrganizationalUnit)],
        place: &Place,
    ) -> Value {
        let mut input = Value::Object(self.input.clone());
        for (_, unit) in units {
            if let Some(changes) = &unit.input {
                merge(&mut input, &Value::Object(changes.clone()));
            }
        }
        fill_in(&mut input, &account.id);
        if input.get("region").is_none_or(Value::is_null) {
            input["region"] = json!(place.region);
        }
        let access = self.account.clone().unwrap_or_default();
        input["account"] = json!({
            "id": account.id,
            "roleName": access.role_name,
            "externalId": access.external_id,
            "newSince": account.since.map(|since| since.to_string()),
        });
        input
    }
}

/// The account is the event's; the policy says only how to get into it. And a dry run would take the name
/// of the execution that builds the cluster.
fn check_input(field: &str, input: &Map<String, Value>) -> Result<(), Error> {
    let nothing_here = [
        (
            "account",
            "nothing here: the account is the new one, and the policy's own member `account` says how \
             to get into it",
        ),
        (
            "dryRun",
            "nothing here: new accounts get clusters; `hardway plan` shows what an input would make",
        ),
    ];
    for (member, expected) in nothing_here {
        if let Some(value) = input.get(member) {
            return Err(invalid(&format!("{field}.{member}"), value, expected));
        }
    }
    Ok(())
}

/// Where the cluster is built, as `plan` would work it out.
fn target(spec: &Spec, place: &Place) -> Target {
    let account = spec.account.clone().unwrap_or_default();
    Target {
        cluster_name: spec.cluster_name.clone(),
        region: spec.region.clone().unwrap_or_default(),
        partition: place.partition.clone(),
        account: Account {
            id: account.id,
            role_name: account.role_name,
            external_id: account.external_id,
        },
        iam: place.iam.clone(),
    }
}

/// RFC 7396.
fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(changes) = patch else {
        target.clone_from(patch);
        return;
    };
    if !target.is_object() {
        *target = json!({});
    }
    let Value::Object(members) = target else {
        return;
    };
    for (name, change) in changes {
        if change.is_null() {
            members.shift_remove(name);
        } else {
            merge(members.entry(name).or_insert(Value::Null), change);
        }
    }
}

/// Puts the account's id where `{accountId}` stands.
fn fill_in(value: &mut Value, account_id: &str) {
    match value {
        Value::String(text) => *text = text.replace(ACCOUNT_ID, account_id),
        Value::Array(items) => items.iter_mut().for_each(|it| fill_in(it, account_id)),
        Value::Object(members) => members.values_mut().for_each(|it| fill_in(it, account_id)),
        _ => {}
    }
}

/// An error about a field of the whole input, as one about the field of the policy that it comes from:
/// the unit nearest to the account that sets it, else the policy's own input.
fn located(error: Error, units: &[(usize, &OrganizationalUnit)]) -> Error {
    let Error::InvalidRequest {
        field,
        value,
        expected,
    } = error
    else {
        return error;
    };
    let path: Vec<&str> = keys(&field).collect();
    let sets = |unit: &OrganizationalUnit| {
        let input = unit.input.as_ref();
        input.is_some_and(|input| sets(&Value::Object(input.clone()), &path))
    };
    let unit = units.iter().rev().find(|(_, unit)| sets(unit));
    let field = match (path.first().copied(), unit) {
        // How to get into the account stands beside the input; the input as a whole, where it stands.
        (Some("account" | "input"), _) => field,
        (_, Some((index, _))) => format!("organizationalUnits[{index}].input.{field}"),
        (_, None) => format!("input.{field}"),
    };
    Error::InvalidRequest {
        field,
        value,
        expected,
    }
}

/// Whether a change decides what stands at a path.
fn sets(change: &Value, path: &[&str]) -> bool {
    match (change, path) {
        (Value::Object(members), [name, rest @ ..]) => {
            members.get(*name).is_some_and(|change| sets(change, rest))
        }
        _ => true,
    }
}

/// The schema of the input without the account. Patterns go: `{accountId}` may stand in any string.
fn input_schema(generator: &mut SchemaGenerator) -> Schema {
    let mut schema = Spec::json_schema(generator);
    generator.definitions_mut().shift_remove("AccountSpec");
    for member in ["title", "description"] {
        schema.remove(member);
    }
    if let Some(Value::Object(properties)) = schema.get_mut("properties") {
        for member in ["account", "dryRun"] {
            properties.shift_remove(member);
        }
        for property in properties.values_mut().filter_map(Value::as_object_mut) {
            property.shift_remove("pattern");
        }
    }
    schema
}

/// The schema of what is different: nothing is required of it.
fn changes_schema(generator: &mut SchemaGenerator) -> Schema {
    let mut schema = input_schema(generator);
    schema.remove("required");
    schema
}

impl Policy {
    /// An error about this policy, with the place that it was read from.
    #[must_use]
    pub fn refused(error: Error, parameter: &str) -> Error {
        errors::within(error, &format!("the parameter {parameter}"))
    }
}
