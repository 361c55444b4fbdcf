//! Log groups.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::Logs;
use super::check::{
    broken, check_class, check_name, check_pattern, check_tags, invalid_parameter, read,
    refuse_unmodelled,
};
use crate::api_error::ApiError;
use crate::state::{Context, partition};

/// A log group.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LogGroup {
    /// Unique in its account and region.
    pub name: String,
    /// Its ARN, without the `:*` that IAM's policies have at the end.
    pub arn: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// `STANDARD` or `INFREQUENT_ACCESS`.
    pub class: String,
    /// Whether it refuses to be deleted.
    #[serde(default)]
    pub deletion_protection: bool,
    /// Tags.
    pub tags: BTreeMap<String, String>,
}

/// botocore's CloudWatch Logs model, DescribeLimit; the maximum is the default.
const LIMIT_MAX: usize = 50;
const STANDARD: &str = "STANDARD";
/// How long a service is at work on a group that it makes. botocore's CloudWatch Logs model,
/// OperationAbortedException of CreateLogGroup and DeleteLogGroup: several requests for the same resource
/// conflict; aws/aws-cdk retries it. How long such a conflict lasts nobody says.
const BUSY: jiff::SignedDuration = jiff::SignedDuration::from_secs(1);

impl Logs {
    /// Makes a log group unless there is one of that name, as a service does that is about to write to
    /// it: without tags, and nothing in it ever expires.
    pub fn ensure(&mut self, account: &str, region: &str, name: &str, at: Timestamp) {
        if self.groups.contains_key(name) {
            return;
        }
        let group = LogGroup::new(account, region, name, at);
        self.groups.insert(name.to_owned(), group);
        let until = at.saturating_add(BUSY).unwrap_or(Timestamp::MAX);
        self.busy_until.insert(name.to_owned(), until);
    }

    /// Refuses a change beside another one.
    fn check_idle(&mut self, name: &str, now: Timestamp) -> Result<(), ApiError> {
        self.busy_until.retain(|_, until| now < *until);
        if self.busy_until.contains_key(name) {
            let message = "A conflicting operation is currently in progress against this resource. \
                           Please try again.";
            return Err(ApiError::client("OperationAbortedException", message));
        }
        Ok(())
    }
}

impl LogGroup {
    fn new(account: &str, region: &str, name: &str, created_at: Timestamp) -> Self {
        let partition = partition(region);
        Self {
            name: name.to_owned(),
            arn: format!("arn:{partition}:logs:{region}:{account}:log-group:{name}"),
            created_at,
            class: STANDARD.to_owned(),
            deletion_protection: false,
            tags: BTreeMap::new(),
        }
    }

    fn to_json(&self, is_brief: bool) -> Value {
        let mut group = json!({
            "logGroupName": self.name,
            "creationTime": self.created_at.as_millisecond(),
            "arn": format!("{}:*", self.arn),
        });
        if let Value::Object(members) = &mut group
            && !is_brief
        {
            members.extend([
                ("metricFilterCount".to_owned(), json!(0)),
                ("storedBytes".to_owned(), json!(0)),
                ("logGroupClass".to_owned(), json!(self.class)),
                ("logGroupArn".to_owned(), json!(self.arn)),
                (
                    "deletionProtectionEnabled".to_owned(),
                    json!(self.deletion_protection),
                ),
            ]);
        }
        group
    }
}

/// botocore's CloudWatch Logs model, CreateLogGroupRequest.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct CreateLogGroup {
    #[serde(default)]
    log_group_name: String,
    tags: Option<BTreeMap<String, String>>,
    log_group_class: Option<String>,
}

/// `CreateLogGroup`.
pub(super) fn create(context: &mut Context<'_>, input: &Value) -> Result<Value, ApiError> {
    refuse_unmodelled(input, &["kmsKeyId", "deletionProtectionEnabled"])?;
    let asked: CreateLogGroup = read(input)?;
    let name = &asked.log_group_name;
    check_name(name, "logGroupName")?;
    // botocore's CloudWatch Logs model, CreateLogGroup.
    if name.starts_with("aws/") {
        let message = "Log groups starting with aws/ are reserved for AWS.";
        return Err(invalid_parameter(message));
    }
    let class = asked.log_group_class.unwrap_or_else(|| STANDARD.to_owned());
    check_class(&class)?;
    asked.tags.as_ref().map_or(Ok(()), check_tags)?;
    let now = context.now;
    context.logs().check_idle(name, now)?;
    if context.logs().groups.contains_key(name) {
        let message = "The specified log group already exists";
        return Err(ApiError::client("ResourceAlreadyExistsException", message));
    }
    let group = LogGroup {
        class,
        tags: asked.tags.unwrap_or_default(),
        ..LogGroup::new(&context.account, &context.region, name, context.now)
    };
    context.logs().groups.insert(name.clone(), group);
    Ok(Value::Null)
}

/// botocore's CloudWatch Logs model, DeleteLogGroupRequest.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct DeleteLogGroup {
    #[serde(default)]
    log_group_name: String,
}

/// `DeleteLogGroup`, with all that is in it.
pub(super) fn delete(context: &mut Context<'_>, input: &Value) -> Result<Value, ApiError> {
    let asked: DeleteLogGroup = read(input)?;
    check_name(&asked.log_group_name, "logGroupName")?;
    let now = context.now;
    context.logs().check_idle(&asked.log_group_name, now)?;
    let group = context.logs().groups.get(&asked.log_group_name);
    if group.is_some_and(|group| group.deletion_protection) {
        // botocore's CloudWatch Logs model has the protection and the code; the words are not known.
        let message = "The log group has deletion protection enabled.";
        return Err(ApiError::client("ValidationException", message));
    }
    if context
        .logs()
        .groups
        .remove(&asked.log_group_name)
        .is_none()
    {
        let message = "The specified log group does not exist.";
        return Err(ApiError::client("ResourceNotFoundException", message));
    }
    Ok(Value::Null)
}

/// botocore's CloudWatch Logs model, DescribeLogGroupsRequest.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct DescribeLogGroups {
    log_group_name_prefix: Option<String>,
    log_group_name_pattern: Option<String>,
    log_group_class: Option<String>,
    next_token: Option<String>,
    limit: Option<i64>,
}

/// `DescribeLogGroups`: sorted by name, in pages.
pub(super) fn describe(context: &mut Context<'_>, input: &Value) -> Result<Value, ApiError> {
    let members = [
        "accountIdentifiers",
        "includeLinkedAccounts",
        "logGroupIdentifiers",
    ];
    refuse_unmodelled(input, &members)?;
    let asked: DescribeLogGroups = read(input)?;
    asked.check()?;
    let (limit, after) = (asked.limit()?, asked.after()?);
    let groups = context.logs().groups.values();
    let is_later = |group: &&LogGroup| after.as_ref().is_none_or(|after| group.name > *after);
    let mut rest = groups.filter(is_later).filter(|group| asked.accepts(group));
    let page: Vec<&LogGroup> = rest.by_ref().take(limit).collect();
    // botocore's CloudWatch Logs model, logGroupNamePattern: then only three members are answered.
    let is_brief = asked.log_group_name_pattern.is_some();
    let items: Vec<Value> = page.iter().map(|group| group.to_json(is_brief)).collect();
    let mut output = Map::from_iter([("logGroups".to_owned(), items.into())]);
    if let (Some(last), Some(_)) = (page.last(), rest.next()) {
        output.insert("nextToken".to_owned(), encode(&last.name).into());
    }
    Ok(output.into())
}

impl DescribeLogGroups {
    fn check(&self) -> Result<(), ApiError> {
        if let Some(prefix) = &self.log_group_name_prefix {
            check_name(prefix, "logGroupNamePrefix")?;
        }
        if let Some(pattern) = &self.log_group_name_pattern {
            check_pattern(pattern, "logGroupNamePattern")?;
        }
        if let Some(class) = &self.log_group_class {
            check_class(class)?;
        }
        // botocore's CloudWatch Logs model, DescribeLogGroups.
        if self.log_group_name_prefix.is_some() && self.log_group_name_pattern.is_some() {
            let message =
                "LogGroup name prefix and LogGroup name pattern are mutually exclusive parameters.";
            return Err(invalid_parameter(message));
        }
        Ok(())
    }

    fn limit(&self) -> Result<usize, ApiError> {
        let Some(limit) = self.limit else {
            return Ok(LIMIT_MAX);
        };
        let known = usize::try_from(limit).ok();
        known
            .filter(|it| (1..=LIMIT_MAX).contains(it))
            .ok_or_else(|| {
                let constraint = format!("Member must have value between 1 and {LIMIT_MAX}");
                broken(&limit.to_string(), "limit", &constraint)
            })
    }

    /// The name that the page before ended with.
    fn after(&self) -> Result<Option<String>, ApiError> {
        let decoded = self.next_token.as_deref().map(|token| {
            let invalid = || invalid_parameter("The specified nextToken is invalid.");
            decode(token).ok_or_else(invalid)
        });
        decoded.transpose()
    }

    fn accepts(&self, group: &LogGroup) -> bool {
        let name = group.name.as_str();
        let prefix = self.log_group_name_prefix.as_deref().unwrap_or_default();
        let pattern = self.log_group_name_pattern.as_deref().unwrap_or_default();
        let class = self.log_group_class.as_ref();
        name.starts_with(prefix)
            && name.contains(pattern)
            && class.is_none_or(|class| group.class == *class)
    }
}

/// A token is opaque to clients: hexadecimal digits of the last name of a page.
fn encode(name: &str) -> String {
    name.bytes().fold(String::new(), |mut token, byte| {
        let _ = write!(token, "{byte:02x}");
        token
    })
}

fn decode(token: &str) -> Option<String> {
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    let bytes: Option<Vec<u8>> = token.as_bytes().chunks(2).map(byte).collect();
    String::from_utf8(bytes?)
        .ok()
        .filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use aws_sdk_cloudwatchlogs::types::LogGroupClass;

    use crate::logs::testing::{ACCOUNT, World, code, code_of};

    #[tokio::test(start_paused = true)]
    async fn group_is_made_once_described_and_deleted() {
        let world = World::new();
        world.group("/a/b").await;
        let again = world.logs.create_log_group().log_group_name("/a/b").send();
        let error = again.await.unwrap_err().into_service_error();
        assert!(error.is_resource_already_exists_exception());

        let described = world.logs.describe_log_groups().send().await.unwrap();
        let group = &described.log_groups()[0];
        let arn = format!("arn:aws:logs:ap-northeast-1:{ACCOUNT}:log-group:/a/b");
        assert_eq!(group.log_group_arn(), Some(arn.as_str()));
        assert_eq!(group.arn(), Some(format!("{arn}:*").as_str()));
        assert_eq!(group.log_group_class(), Some(&LogGroupClass::Standard));
        let now = world.simulator.now().as_millisecond();
        assert_eq!(group.creation_time(), Some(now));
        assert_eq!(group.retention_in_days(), None);

        let delete = || world.logs.delete_log_group().log_group_name("/a/b").send();
        delete().await.unwrap();
        let error = delete().await.unwrap_err().into_service_error();
        assert!(error.is_resource_not_found_exception());
        assert_eq!(
            error.meta().message(),
            Some("The specified log group does not exist.")
        );
    }

    #[tokio::test(start_paused = true)]
    async fn names_follow_the_rules() {
        let world = World::new();
        for name in ["", "a b", "a:b", "aws/eks", &"x".repeat(513)] {
            let call = world.logs.create_log_group().log_group_name(name).send();
            assert_eq!(code(call.await), "InvalidParameterException", "{name}");
        }
        let missing = world.logs.create_log_group().send().await;
        assert_eq!(code(missing), "InvalidParameterException");
        let delete = world.logs.delete_log_group().log_group_name("a b").send();
        assert_eq!(code(delete.await), "InvalidParameterException");
        let prefix = world.logs.describe_log_groups().log_group_name_prefix("");
        assert_eq!(code(prefix.send().await), "InvalidParameterException");
        world.group(&"x".repeat(512)).await;
    }

    #[tokio::test(start_paused = true)]
    async fn groups_are_found_by_the_beginning_of_their_name_or_a_part_of_it() {
        let world = World::new();
        for name in ["/aws/eks/demo/cluster", "/aws/eks/demo2/cluster", "eks"] {
            world.group(name).await;
        }
        let names = |found: &[aws_sdk_cloudwatchlogs::types::LogGroup]| -> Vec<String> {
            let names = found.iter().filter_map(|it| it.log_group_name.clone());
            names.collect()
        };
        let describe = || world.logs.describe_log_groups();
        let call = describe().log_group_name_prefix("/aws/eks/demo").send();
        let found = names(call.await.unwrap().log_groups());
        assert_eq!(found, ["/aws/eks/demo/cluster", "/aws/eks/demo2/cluster"]);
        let call = describe().log_group_name_pattern("eks").send();
        let found = call.await.unwrap().log_groups.unwrap();
        assert_eq!(found.len(), 3);
        // The rest is not answered with a pattern.
        assert_eq!(found[0].log_group_arn(), None);
        let other_case = describe().log_group_name_pattern("EKS").send();
        assert!(other_case.await.unwrap().log_groups().is_empty());
        let both = describe()
            .log_group_name_pattern("a")
            .log_group_name_prefix("a");
        assert_eq!(code(both.send().await), "InvalidParameterException");
    }

    #[tokio::test(start_paused = true)]
    async fn pages_add_up_to_everything_once() {
        let world = World::new();
        for n in 10..17 {
            world.group(&format!("/group/{n}")).await;
        }
        let mut pages = world.logs.describe_log_groups().limit(3);
        let (mut found, mut sizes) = (Vec::new(), Vec::new());
        loop {
            let page = pages.clone().send().await.unwrap();
            sizes.push(page.log_groups().len());
            found.extend(
                page.log_groups
                    .unwrap()
                    .into_iter()
                    .map(|it| it.log_group_name),
            );
            let Some(token) = page.next_token else { break };
            pages = pages.next_token(token);
        }
        assert_eq!(sizes, [3, 3, 1]);
        assert_eq!(found.len(), 7);
        for limit in [0, 51, -1] {
            let call = world.logs.describe_log_groups().limit(limit).send().await;
            assert_eq!(code_of(&call), "InvalidParameterException", "{limit}");
        }
        let call = world.logs.describe_log_groups().next_token("?").send();
        assert_eq!(code(call.await), "InvalidParameterException");
    }

    #[tokio::test(start_paused = true)]
    async fn unmodelled_options_are_refused() {
        let world = World::new();
        let call = world.logs.create_log_group().log_group_name("a");
        let call = call.kms_key_id("arn:aws:kms:x").send().await;
        assert_eq!(code(call), "InvalidParameterException");
        let call = world.logs.describe_log_groups();
        let call = call.include_linked_accounts(true).send().await;
        assert_eq!(code(call), "InvalidParameterException");
        let call = world.logs.describe_log_groups();
        call.include_linked_accounts(false).send().await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn change_beside_a_service_that_makes_the_group_is_refused_for_a_moment() {
        let world = World::new();
        world.group("/other").await;
        let now = world.simulator.now();
        world.simulator.change(|state| {
            let region = "ap-northeast-1";
            let account = state.accounts.get_mut(ACCOUNT).unwrap();
            let logs = &mut account.regions.get_mut(region).unwrap().logs;
            logs.ensure(ACCOUNT, region, "/a", now);
        });
        let create = || world.logs.create_log_group().log_group_name("/a").send();
        let delete = || world.logs.delete_log_group().log_group_name("/a").send();
        let error = create().await.unwrap_err().into_service_error();
        assert!(error.is_operation_aborted_exception());
        let error = delete().await.unwrap_err().into_service_error();
        assert!(error.is_operation_aborted_exception());
        crate::testing::wait(1).await;
        delete().await.unwrap();
        create().await.unwrap();
    }
}
