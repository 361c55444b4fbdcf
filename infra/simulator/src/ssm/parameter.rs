//! Parameters, one at a time.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::check::refuse_unmodelled;
use super::check::{broken, check_name, check_new_name, check_value, invalid, read};
use crate::fault::Fault;
use crate::state::Context;

/// A parameter of the standard tier and of type `String`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parameter {
    /// Unique in its account and region; in a hierarchy it begins with a slash.
    pub name: String,
    /// Its ARN.
    pub arn: String,
    /// What it holds.
    pub value: String,
    /// How often it was written.
    pub version: u64,
    /// When it was written last.
    pub modified_at: Timestamp,
    /// Tags.
    pub tags: BTreeMap<String, String>,
}

/// botocore's SSM model, PutParameterRequest$Tier: standard parameters of an account in a region.
const PARAMETERS_MAX: usize = 10_000;
/// The only type that is simulated.
const STRING: &str = "String";
const STANDARD: &str = "Standard";
const TEXT: &str = "text";

impl Parameter {
    /// As GetParameter and GetParametersByPath answer it.
    #[allow(clippy::cast_precision_loss, reason = "milliseconds of this age")]
    pub(super) fn to_json(&self) -> Value {
        json!({
            "Name": self.name,
            "Type": STRING,
            "Value": self.value,
            "Version": self.version,
            "LastModifiedDate": self.modified_at.as_millisecond() as f64 / 1000.0,
            "ARN": self.arn,
            "DataType": TEXT,
        })
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
    fn check(&self, arn: &str) -> Result<(), Fault> {
        // As it is quoted in hashicorp/terraform-provider-aws issue 18550.
        if self.overwrite && !self.tags.is_empty() {
            return Err(invalid(
                "Invalid request: tags and overwrite can't be used together.",
            ));
        }
        check_new_name(&self.name, arn)?;
        check_value(&self.value)?;
        match self.r#type.as_deref() {
            None | Some(STRING) => {}
            Some(kind @ ("StringList" | "SecureString")) => {
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
pub(super) fn put(context: &mut Context<'_>, input: &Value) -> Result<Value, Fault> {
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
            return Err(Fault::client("ParameterAlreadyExists", message));
        }
        parameter.value = asked.value;
        parameter.version += 1;
        parameter.modified_at = now;
        return Ok(json!({"Version": parameter.version, "Tier": STANDARD}));
    }
    // botocore's SSM model, PutParameterRequest$Type: an update needs none. So a parameter can be
    // updated without being made if it is gone.
    if asked.r#type.is_none() {
        return Err(invalid(
            "A parameter type is required when you create a parameter.",
        ));
    }
    if parameters.len() >= PARAMETERS_MAX {
        let message = "You have exceeded the number of parameters for this AWS account.";
        return Err(Fault::client("ParameterLimitExceeded", message));
    }
    let tags = asked.tags.into_iter().map(|tag| (tag.key, tag.value));
    let parameter = Parameter {
        name: asked.name.clone(),
        arn,
        value: asked.value,
        version: 1,
        modified_at: now,
        tags: tags.collect(),
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

/// The service often says no more than the code: nobody may rely on the words.
fn not_found() -> Fault {
    Fault::client("ParameterNotFound", "The parameter couldn't be found.")
}

/// `GetParameter`. Versions, labels and ARNs as names are not modelled.
pub(super) fn get(context: &mut Context<'_>, input: &Value) -> Result<Value, Fault> {
    let asked: ByName = read(input)?;
    check_name(&asked.name, "name")?;
    let parameter = context.ssm().parameters.get(&asked.name);
    let parameter = parameter.ok_or_else(not_found)?;
    Ok(json!({"Parameter": parameter.to_json()}))
}

/// `DeleteParameter`.
pub(super) fn delete(context: &mut Context<'_>, input: &Value) -> Result<Value, Fault> {
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
    async fn nothing_is_overwritten_that_was_not_meant_to_be() {
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
    async fn what_is_not_modelled_is_refused() {
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
