//! Parameters, one at a time.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::check::refuse_unmodelled;
use super::check::{Selected, broken, check_name, check_new_name, check_value, invalid, read};
use crate::api_error::ApiError;
use crate::state::Context;

/// A parameter of the standard tier, of type `String` or `StringList`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parameter {
    /// Unique in its account and region; in a hierarchy it begins with a slash.
    pub name: String,
    /// Its ARN.
    pub arn: String,
    /// `String` or `StringList`.
    #[serde(default = "string")]
    pub kind: String,
    /// What it holds.
    pub value: String,
    /// How often it was written.
    pub version: u64,
    /// When it was written last.
    pub modified_at: Timestamp,
    /// Tags.
    pub tags: BTreeMap<String, String>,
    /// What it was before, the oldest version first.
    #[serde(default)]
    pub earlier: Vec<Version>,
}

/// A version of a parameter that was overwritten.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Version {
    /// Its number.
    pub version: u64,
    /// `String` or `StringList`.
    pub kind: String,
    /// What it held.
    pub value: String,
    /// When it was written.
    pub modified_at: Timestamp,
}

fn string() -> String {
    STRING.to_owned()
}

/// botocore's SSM model, PutParameterRequest$Tier: standard parameters of an account in a region.
const PARAMETERS_MAX: usize = 10_000;
/// Systems Manager user guide, working with parameter versions: with the current one.
const VERSIONS_MAX: usize = 100;
const STRING: &str = "String";
/// A list in one text, which nobody checks.
const STRING_LIST: &str = "StringList";
const STANDARD: &str = "Standard";
const TEXT: &str = "text";

impl Parameter {
    /// As GetParameter and GetParametersByPath answer it.
    #[allow(clippy::cast_precision_loss, reason = "milliseconds of this age")]
    pub(super) fn to_json(&self) -> Value {
        json!({
            "Name": self.name,
            "Type": self.kind,
            "Value": self.value,
            "Version": self.version,
            "LastModifiedDate": self.modified_at.as_millisecond() as f64 / 1000.0,
            "ARN": self.arn,
            "DataType": TEXT,
        })
    }

    /// As GetParameter answers it to who asks for a version; `None` if there is none of that number.
    fn selected(&self, asked: &Selected) -> Option<Value> {
        let Some(selector) = &asked.selector else {
            return Some(self.to_json());
        };
        let version: u64 = selector.trim_start_matches(':').parse().ok()?;
        let mut shown = if version == self.version {
            self.clone()
        } else {
            let earlier = self.earlier.iter().find(|it| it.version == version)?;
            Self {
                version,
                kind: earlier.kind.clone(),
                value: earlier.value.clone(),
                modified_at: earlier.modified_at,
                ..self.clone()
            }
        };
        shown.earlier.clear();
        let mut shown = shown.to_json();
        shown["Selector"] = selector.as_str().into();
        Some(shown)
    }

    /// Keeps what it is, before it becomes something else.
    fn retire(&mut self) {
        self.earlier.push(Version {
            version: self.version,
            kind: self.kind.clone(),
            value: self.value.clone(),
            modified_at: self.modified_at,
        });
        let surplus = (self.earlier.len() + 1).saturating_sub(VERSIONS_MAX);
        self.earlier.drain(..surplus);
    }
}

/// botocore's SSM model, PutParameterRequest.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct PutParameter {
    #[serde(default)]
    name: String,
    #[serde(default)]
    value: String,
    r#type: Option<String>,
    #[serde(default)]
    overwrite: bool,
    #[serde(default)]
    tags: Vec<Tag>,
    tier: Option<String>,
    data_type: Option<String>,
}

/// botocore's SSM model, Tag.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Tag {
    key: String,
    value: String,
}

impl PutParameter {
    /// What can be said without looking at the parameters that there are.
    fn check(&self, arn: &str) -> Result<(), ApiError> {
        // Captured answer, radkawar/stackd testdata/aws/ssm/parameter_store.json.
        if self.overwrite && !self.tags.is_empty() {
            return Err(invalid(
                "Invalid request: tags and overwrite can't be used together. To create a parameter with \
                 tags, please remove overwrite flag. To update tags for an existing parameter, please use \
                 AddTagsToResource or RemoveTagsFromResource.",
            ));
        }
        check_new_name(&self.name, arn)?;
        check_value(&self.value)?;
        match self.r#type.as_deref() {
            None | Some(STRING | STRING_LIST) => {}
            Some(kind @ "SecureString") => {
                return Err(invalid(format!("The simulator does not model {kind}.")));
            }
            Some(kind) => {
                let constraint =
                    "Member must satisfy enum value set: [SecureString, StringList, String]";
                return Err(broken(kind, "type", constraint));
            }
        }
        let others = [(&self.tier, STANDARD), (&self.data_type, TEXT)];
        let unmodelled = others.iter().find_map(|(asked, modelled)| {
            let asked = asked.as_deref()?;
            (asked != *modelled).then_some(asked)
        });
        match unmodelled {
            None => Ok(()),
            Some(what) => Err(invalid(format!("The simulator does not model {what}."))),
        }
    }
}

/// `PutParameter`.
pub(super) fn put(context: &mut Context<'_>, input: &Value) -> Result<Value, ApiError> {
    refuse_unmodelled(input, &["KeyId", "AllowedPattern", "Policies"])?;
    let asked: PutParameter = read(input)?;
    let arn = arn(context, &asked.name);
    asked.check(&arn)?;
    let now = context.now;
    let parameters = &mut context.ssm().parameters;
    if let Some(parameter) = parameters.get_mut(&asked.name) {
        if !asked.overwrite {
            let message = "The parameter already exists. To overwrite this value, set the overwrite \
                           option in the request to true.";
            return Err(ApiError::client("ParameterAlreadyExists", message));
        }
        parameter.retire();
        if let Some(kind) = asked.r#type {
            parameter.kind = kind;
        }
        parameter.value = asked.value;
        parameter.version += 1;
        parameter.modified_at = now;
        return Ok(json!({"Version": parameter.version, "Tier": STANDARD}));
    }
    // botocore's SSM model, PutParameterRequest$Type: an update needs none. So a parameter can be
    // updated without being made if it is gone.
    let Some(kind) = asked.r#type else {
        return Err(invalid(
            "A parameter type is required when you create a parameter.",
        ));
    };
    if parameters.len() >= PARAMETERS_MAX {
        let message = "You have exceeded the number of parameters for this AWS account.";
        return Err(ApiError::client("ParameterLimitExceeded", message));
    }
    let tags = asked.tags.into_iter().map(|tag| (tag.key, tag.value));
    let parameter = Parameter {
        name: asked.name.clone(),
        arn,
        kind,
        value: asked.value,
        version: 1,
        modified_at: now,
        tags: tags.collect(),
        earlier: Vec::new(),
    };
    parameters.insert(asked.name, parameter);
    Ok(json!({"Version": 1, "Tier": STANDARD}))
}

/// Service authorization reference, resource types of Systems Manager: there is one slash between
/// `parameter` and the name, whether the name begins with one or not.
pub(crate) fn arn(context: &Context<'_>, name: &str) -> String {
    let (partition, region, account) = (context.partition(), &context.region, &context.account);
    let name = name.strip_prefix('/').unwrap_or(name);
    format!("arn:{partition}:ssm:{region}:{account}:parameter/{name}")
}

/// The input of `GetParameter` and `DeleteParameter`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ByName {
    #[serde(default)]
    name: String,
}

/// The service says no more than the code: nobody may rely on words (captured answers, radkawar/stackd
/// testdata/aws/ssm).
fn not_found() -> ApiError {
    ApiError::client("ParameterNotFound", "")
}

/// `GetParameter`. Labels are not modelled: no version has one.
pub(super) fn get(context: &mut Context<'_>, input: &Value) -> Result<Value, ApiError> {
    let asked: ByName = read(input)?;
    let asked = Selected::parse(&asked.name)?;
    let parameter = context.ssm().parameters.get(&asked.name);
    let parameter = parameter.ok_or_else(not_found)?;
    let shown = parameter.selected(&asked);
    let shown = shown.ok_or_else(|| asked.version_not_found())?;
    Ok(json!({"Parameter": shown}))
}

/// The input of `GetParameters`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ByNames {
    #[serde(default)]
    names: Vec<String>,
}

/// botocore's SSM model, ParameterNameList.
const NAMES_MAX: usize = 10;

/// `GetParameters`: what is there by name, each text that was asked for once, versions before what has no
/// selector; and what is not there, sorted (captured answers, radkawar/stackd
/// testdata/aws/ssm/parameter_store.json and selector_edges.json).
pub(super) fn get_many(context: &mut Context<'_>, input: &Value) -> Result<Value, ApiError> {
    let asked: ByNames = read(input)?;
    if asked.names.is_empty() || asked.names.len() > NAMES_MAX {
        let constraint = format!("Member must have length between 1 and {NAMES_MAX}");
        return Err(broken(&format!("{:?}", asked.names), "names", &constraint));
    }
    let (mut found, mut missing) = (Vec::new(), BTreeSet::new());
    let mut seen = BTreeSet::new();
    for text in asked.names.iter().filter(|text| seen.insert(*text)) {
        let selected = Selected::parse(text)?;
        let parameter = context.ssm().parameters.get(&selected.name);
        match parameter.and_then(|parameter| parameter.selected(&selected)) {
            Some(shown) => found.push((selected.name, selected.selector.is_none(), shown)),
            None => drop(missing.insert(text.clone())),
        }
    }
    found.sort_by(|one, other| (&one.0, one.1).cmp(&(&other.0, other.1)));
    let found: Vec<Value> = found.into_iter().map(|(_, _, shown)| shown).collect();
    Ok(json!({"Parameters": found, "InvalidParameters": missing}))
}

/// `DeleteParameter`.
pub(super) fn delete(context: &mut Context<'_>, input: &Value) -> Result<Value, ApiError> {
    let asked: ByName = read(input)?;
    check_name(&asked.name, "name")?;
    let parameter = context.ssm().parameters.remove(&asked.name);
    parameter.map(|_| json!({})).ok_or_else(not_found)
}

#[cfg(test)]
mod tests {
    use aws_sdk_ssm::types::{ParameterTier, ParameterType, Tag};

    use crate::ssm::testing::{ACCOUNT, World, client, code, code_of, message};

    #[tokio::test(start_paused = true)]
    async fn a_parameter_is_made_read_overwritten_and_deleted() {
        let world = World::new();
        world.put("/a/b", "one").await;
        let made = world.get("/a/b").await;
        assert_eq!((made.value(), made.version), (Some("one"), 1));
        let arn = format!("arn:aws:ssm:ap-northeast-1:{ACCOUNT}:parameter/a/b");
        assert_eq!(made.arn(), Some(arn.as_str()));
        let put = world.ssm.put_parameter().name("/a/b").value("two");
        let answer = put.overwrite(true).send().await.unwrap();
        assert_eq!(answer.version, 2);
        assert_eq!(answer.tier(), Some(&ParameterTier::Standard));
        assert_eq!(world.get("/a/b").await.value(), Some("two"));
        let delete = || world.ssm.delete_parameter().name("/a/b").send();
        delete().await.unwrap();
        assert_eq!(code(delete().await), "ParameterNotFound");
        let get = world.ssm.get_parameter().name("/a/b").send();
        assert_eq!(code(get.await), "ParameterNotFound");
    }

    #[tokio::test(start_paused = true)]
    async fn parameter_is_overwritten_only_on_request() {
        let world = World::new();
        world.put("/a/b", "one").await;
        let put = world.ssm.put_parameter().name("/a/b").value("two");
        let refused = put.r#type(ParameterType::String).send().await;
        assert_eq!(code_of(&refused), "ParameterAlreadyExists");
        assert_eq!(world.get("/a/b").await.value(), Some("one"));
    }

    #[tokio::test(start_paused = true)]
    async fn an_update_without_a_type_makes_nothing_that_is_gone() {
        let world = World::new();
        let put = world.ssm.put_parameter().name("/a/b").value("two");
        let refused = put.overwrite(true).send().await;
        assert_eq!(code_of(&refused), "ValidationException");
        assert!(message(&refused).contains("parameter type is required"));
        let state = world.simulator.state();
        let ssm = &state.accounts[ACCOUNT].regions["ap-northeast-1"].ssm;
        assert!(ssm.parameters.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_name_may_be_an_arn_and_end_in_a_version() {
        let world = World::new();
        world.put("/a/b", "one").await;
        let put = world.ssm.put_parameter().name("/a/b").value("x,y");
        let put = put.r#type(ParameterType::StringList).overwrite(true);
        put.send().await.unwrap();
        let arn = format!("arn:aws:ssm:ap-northeast-1:{ACCOUNT}:parameter/a/b");
        for (asked, value, version, selector) in [
            ("/a/b", "x,y", 2, None),
            (arn.as_str(), "x,y", 2, None),
            ("/a/b:1", "one", 1, Some(":1")),
            ("/a/b:01", "one", 1, Some(":01")),
            ("/a/b:2", "x,y", 2, Some(":2")),
        ] {
            let got = world.get(asked).await;
            assert_eq!(
                (got.value(), got.version),
                (Some(value), version),
                "{asked}"
            );
            assert_eq!((got.name(), got.selector()), (Some("/a/b"), selector));
        }
        assert_eq!(
            world.get("/a/b").await.r#type(),
            Some(&ParameterType::StringList)
        );
        let get = |name: &str| world.ssm.get_parameter().name(name).send();
        for (asked, expected) in [
            (
                "/a/b:3",
                "Systems Manager could not find version 3 of /a/b. Verify the version and try again.",
            ),
            (
                "/a/b:x",
                "Systems Manager could not find a version of /a/b that has the specified label, x. \
                 Verify the parameter label and try again.",
            ),
        ] {
            let refused = get(asked).await;
            assert_eq!(code_of(&refused), "ParameterVersionNotFound");
            assert_eq!(message(&refused), expected);
        }
        for asked in ["/a/b:", "/a/b:1:2"] {
            let refused = get(asked).await;
            assert_eq!(code_of(&refused), "ValidationException", "{asked}");
            assert!(message(&refused).contains("<name>:<version/label>"));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn missing_parameter_has_no_message() {
        let world = World::new();
        let refused = world.ssm.get_parameter().name("/a").send().await;
        assert_eq!(code_of(&refused), "ParameterNotFound");
        let raw = refused.as_ref().unwrap_err().raw_response().unwrap();
        let body = raw.body().bytes().unwrap();
        assert_eq!(body, br#"{"__type":"ParameterNotFound"}"#);
    }

    #[tokio::test(start_paused = true)]
    async fn several_are_read_at_once_and_what_is_missing_is_named() {
        let world = World::new();
        for name in ["/s", "/l"] {
            world.put(name, "one").await;
        }
        let put = world.ssm.put_parameter().name("/s").value("two");
        put.overwrite(true).send().await.unwrap();
        let names = ["/s:1", "/l", "/s", "/l", "/z", "/s:99", "/a"];
        let call = world.ssm.get_parameters();
        let call = call.set_names(Some(names.map(str::to_owned).to_vec()));
        let answer = call.send().await.unwrap();
        let found = answer.parameters().iter();
        let found: Vec<_> = found
            .map(|it| (it.name().unwrap(), it.value().unwrap()))
            .collect();
        assert_eq!(found, [("/l", "one"), ("/s", "one"), ("/s", "two")]);
        assert_eq!(answer.invalid_parameters(), ["/a", "/s:99", "/z"]);
        let none = world.ssm.get_parameters().set_names(Some(vec![]));
        assert_eq!(code(none.send().await), "ValidationException");
    }

    #[tokio::test(start_paused = true)]
    async fn names_follow_the_rules() {
        let world = World::new();
        let put = |name: &str| {
            let call = world.ssm.put_parameter().name(name).value("x");
            call.r#type(ParameterType::String).send()
        };
        for name in [
            "a b", "/a//b", "/a/", "/", "a/b", "/a/b:c", "ssmA", "awsA", "/SSM/a",
        ] {
            assert_eq!(code(put(name).await), "ValidationException", "{name}");
        }
        for name in ["/aws/a", "/AWS-team/a"] {
            assert_eq!(code(put(name).await), "AccessDeniedException", "{name}");
        }
        let deep = |levels: usize| "/a".repeat(levels);
        let refused = put(&deep(16)).await;
        assert_eq!(code(refused), "HierarchyLevelLimitExceededException");
        put(&deep(15)).await.unwrap();
        let before = format!("arn:aws:ssm:ap-northeast-1:{ACCOUNT}:parameter/").len();
        let long = |length: usize| format!("/{}", "x".repeat(length - before));
        assert_eq!(code(put(&long(1012)).await), "ValidationException");
        put(&long(1011)).await.unwrap();
        for name in ["plain", "/my/aws", "/a-b_c.d/E"] {
            put(name).await.unwrap();
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_value_is_at_most_4096_characters_and_nests_nothing() {
        let world = World::new();
        world.put("/a", &"x".repeat(4096)).await;
        world.put("/json", r#"{"a":{"b":{}}}"#).await;
        for value in ["x".repeat(4097), "{{ssm:other}}".to_owned()] {
            let put = world.ssm.put_parameter().name("/b").value(value);
            let refused = put.r#type(ParameterType::String).send().await;
            assert_eq!(code_of(&refused), "ValidationException");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn tags_come_with_a_new_parameter_only() {
        let world = World::new();
        let tag = Tag::builder()
            .key("team")
            .value("platform")
            .build()
            .unwrap();
        let put = || {
            let call = world.ssm.put_parameter().name("/a").value("x");
            call.r#type(ParameterType::String).tags(tag.clone())
        };
        put().send().await.unwrap();
        let again = put().overwrite(true).send().await;
        assert_eq!(code_of(&again), "ValidationException");
        let state = world.simulator.state();
        let ssm = &state.accounts[ACCOUNT].regions["ap-northeast-1"].ssm;
        assert_eq!(ssm.parameters["/a"].tags["team"], "platform");
    }

    #[tokio::test(start_paused = true)]
    async fn accounts_and_regions_have_parameters_of_their_own() {
        let world = World::new();
        world.put("/a", "x").await;
        for (account, region) in [(ACCOUNT, "us-east-1"), ("444455556666", "ap-northeast-1")] {
            let elsewhere = client(&world.simulator, account, region);
            let get = elsewhere.get_parameter().name("/a").send().await;
            assert_eq!(code(get), "ParameterNotFound");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn unmodelled_options_are_refused() {
        let world = World::new();
        let put = || world.ssm.put_parameter().name("/a").value("x");
        let string = || put().r#type(ParameterType::String);
        for call in [
            put().r#type(ParameterType::SecureString),
            string().tier(ParameterTier::Advanced),
            string().data_type("aws:ec2:image"),
            string().allowed_pattern("x"),
        ] {
            assert_eq!(code(call.send().await), "ValidationException");
        }
        let call = string().tier(ParameterTier::Standard).data_type("text");
        call.send().await.unwrap();
    }
}
