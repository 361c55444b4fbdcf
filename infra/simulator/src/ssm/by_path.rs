//! Parameters by their place in the hierarchy.

use serde::Deserialize;
use serde_json::{Value, json};

use super::check::{broken, check_name, invalid, read};
use super::parameter::Parameter;
use crate::api_error::ApiError;
use crate::state::Context;

/// botocore's SSM model, GetParametersByPathMaxResults; the maximum is the default.
const RESULTS_MAX: usize = 10;

/// botocore's SSM model, GetParametersByPathRequest.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct GetParametersByPath {
    #[serde(default)]
    path: String,
    #[serde(default)]
    recursive: bool,
    max_results: Option<i64>,
    next_token: Option<String>,
    #[serde(default)]
    parameter_filters: Vec<Filter>,
}

/// botocore's SSM model, ParameterStringFilter.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Filter {
    key: String,
    option: Option<String>,
    #[serde(default)]
    values: Vec<String>,
}

impl Filter {
    /// Filters by type; the words are those of captured answers (radkawar/stackd
    /// testdata/aws/ssm/parameter_store.json). Keys of KMS and labels are not modelled.
    fn check(&self) -> Result<(), ApiError> {
        match self.key.as_str() {
            "Type" => {}
            "KeyId" | "Label" => {
                let key = &self.key;
                return Err(invalid(format!(
                    "The simulator does not model the filter {key}."
                )));
            }
            other => {
                let message = format!(
                    "The following filter key is not valid: {other}. Valid filter keys include: [Type, \
                     KeyId, Label]."
                );
                return Err(ApiError::client("InvalidFilterKey", "").with("Message", message));
            }
        }
        match self.option.as_deref() {
            None | Some("Equals" | "BeginsWith") => Ok(()),
            Some(other) => {
                let message = format!(
                    "The following filter option is not valid: {other}. Valid options include: \
                     [BeginsWith, Equals]."
                );
                Err(ApiError::client("InvalidFilterOption", message))
            }
        }
    }

    fn accepts(&self, kind: &str) -> bool {
        let begins = self.option.as_deref() == Some("BeginsWith");
        let accepts = |value: &String| kind == value || (begins && kind.starts_with(value));
        self.values.iter().any(accepts)
    }
}

impl GetParametersByPath {
    fn check(&self) -> Result<(), ApiError> {
        // The model: hierarchies start with a forward slash.
        if !self.path.starts_with('/') {
            let message = "The parameter path must begin with a forward slash \"/\".";
            return Err(invalid(message));
        }
        match self.path.trim_end_matches('/') {
            "" => Ok(()),
            path => check_name(path, "path"),
        }
    }

    fn limit(&self) -> Result<usize, ApiError> {
        let Some(limit) = self.max_results else {
            return Ok(RESULTS_MAX);
        };
        let known = usize::try_from(limit).ok();
        known
            .filter(|it| (1..=RESULTS_MAX).contains(it))
            .ok_or_else(|| {
                let constraint = format!("Member must have value between 1 and {RESULTS_MAX}");
                broken(&limit.to_string(), "maxResults", &constraint)
            })
    }

    fn start(&self) -> Result<usize, ApiError> {
        let Some(token) = &self.next_token else {
            return Ok(0);
        };
        let message = format!("The following token is invalid: {token}.");
        (token.parse())
            .map_err(|_| ApiError::client("InvalidNextToken", "").with("Message", message))
    }

    /// Whether a parameter is below the path: right below it, or anywhere.
    fn accepts(&self, name: &str) -> bool {
        let path = self.path.trim_end_matches('/');
        let rest = name
            .strip_prefix(path)
            .and_then(|rest| rest.strip_prefix('/'));
        rest.is_some_and(|rest| self.recursive || !rest.contains('/'))
    }
}

/// `GetParametersByPath`, in pages: level by level, and by name in a level; with a filter by name alone
/// (captured answers, radkawar/stackd testdata/aws/ssm/parameter_store.json).
pub(super) fn get(context: &mut Context<'_>, input: &Value) -> Result<Value, ApiError> {
    let asked: GetParametersByPath = read(input)?;
    asked.check()?;
    let filters = &asked.parameter_filters;
    filters.iter().try_for_each(Filter::check)?;
    let (limit, start) = (asked.limit()?, asked.start()?);
    let parameters = context.ssm().parameters.values();
    let is_of_kind = |kind: &str| filters.iter().all(|filter| filter.accepts(kind));
    let found = parameters.filter(|it| asked.accepts(&it.name) && is_of_kind(&it.kind));
    let mut found: Vec<&Parameter> = found.collect();
    if filters.is_empty() {
        found.sort_by_key(|parameter| parameter.name.matches('/').count());
    }
    let rest = found.into_iter().skip(start);
    let mut rest: Vec<Value> = rest.map(Parameter::to_json).collect();
    let has_more = rest.len() > limit;
    rest.truncate(limit);
    let mut output = json!({"Parameters": rest});
    if has_more {
        output["NextToken"] = (start + limit).to_string().into();
    }
    Ok(output)
}

#[cfg(test)]
mod tests {
    use aws_sdk_ssm::types::ParameterStringFilter;

    use crate::ssm::testing::{World, code, message};

    async fn world() -> World {
        let world = World::new();
        for name in ["/a/b", "/a/c/d", "/a/c/e", "/ab/c", "plain"] {
            world.put(name, name).await;
        }
        world
    }

    async fn names(world: &World, path: &str, recursive: bool) -> Vec<String> {
        let call = world.ssm.get_parameters_by_path().path(path);
        let answer = call.recursive(recursive).send().await.unwrap();
        let found = answer.parameters.unwrap().into_iter();
        found.map(|it| it.name.unwrap()).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn a_path_has_its_children_or_all_that_is_below_it() {
        let world = world().await;
        assert_eq!(names(&world, "/a", false).await, ["/a/b"]);
        assert_eq!(
            names(&world, "/a", true).await,
            ["/a/b", "/a/c/d", "/a/c/e"]
        );
        assert_eq!(names(&world, "/a/", true).await.len(), 3);
        assert_eq!(names(&world, "/", true).await.len(), 4);
        assert_eq!(names(&world, "/a/b", true).await, [""; 0]);
        assert_eq!(names(&world, "/nobody", true).await, [""; 0]);
    }

    #[tokio::test(start_paused = true)]
    async fn names_come_level_by_level_and_with_a_filter_by_name_alone() {
        let world = World::new();
        for name in ["/a/nested/string", "/a/string", "/a/list"] {
            world.put(name, name).await;
        }
        let all = ["/a/list", "/a/string", "/a/nested/string"];
        assert_eq!(names(&world, "/a", true).await, all);
        let filtered = |option: &str, value: &str| {
            let filter = ParameterStringFilter::builder().key("Type").option(option);
            let filter = filter.values(value).build().unwrap();
            let call = world.ssm.get_parameters_by_path().path("/a");
            call.recursive(true).parameter_filters(filter).send()
        };
        let found = filtered("Equals", "String").await.unwrap();
        let found: Vec<_> = found
            .parameters()
            .iter()
            .map(|it| it.name().unwrap())
            .collect();
        assert_eq!(found, ["/a/list", "/a/nested/string", "/a/string"]);
        let found = filtered("Equals", "StringList").await.unwrap();
        assert!(found.parameters().is_empty());
        let refused = filtered("Contains", "String").await;
        assert_eq!(code(refused), "InvalidFilterOption");
        let filter = ParameterStringFilter::builder().key("Name").values("/a");
        let call = world.ssm.get_parameters_by_path().path("/a");
        let refused = call.parameter_filters(filter.build().unwrap()).send().await;
        assert!(message(&refused).starts_with("The following filter key is not valid: Name."));
        assert_eq!(code(refused), "InvalidFilterKey");
    }

    #[tokio::test(start_paused = true)]
    async fn pages_add_up_to_everything_once() {
        let world = World::new();
        for n in 10..35 {
            world.put(&format!("/a/{n}"), "x").await;
        }
        let (mut found, mut sizes) = (Vec::new(), Vec::new());
        let mut call = world.ssm.get_parameters_by_path().path("/a");
        loop {
            let page = call.clone().send().await.unwrap();
            sizes.push(page.parameters().len());
            found.extend(page.parameters.unwrap().into_iter().map(|it| it.name));
            let Some(token) = page.next_token else { break };
            call = call.next_token(token);
        }
        assert_eq!(sizes, [10, 10, 5]);
        found.dedup();
        assert_eq!(found.len(), 25);
    }

    #[tokio::test(start_paused = true)]
    async fn invalid_path_or_filter_is_refused() {
        let world = world().await;
        let by_path = |path: &str| world.ssm.get_parameters_by_path().path(path);
        for limit in [0, 11, -1] {
            let call = by_path("/a").max_results(limit).send().await;
            assert_eq!(code(call), "ValidationException", "{limit}");
        }
        for path in ["a", "a/b", "/a b"] {
            let call = by_path(path).send().await;
            assert_eq!(code(call), "ValidationException", "{path}");
        }
        let call = by_path("/a").next_token("?").send().await;
        assert_eq!(code(call), "InvalidNextToken");
    }
}
