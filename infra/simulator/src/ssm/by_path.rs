//! Parameters by their place in the hierarchy.

use serde::Deserialize;
use serde_json::{Value, json};

use super::check::{broken, check_name, invalid, read, refuse_unmodelled};
use super::parameter::Parameter;
use crate::fault::Fault;
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
}

impl GetParametersByPath {
    fn check(&self) -> Result<(), Fault> {
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

    fn limit(&self) -> Result<usize, Fault> {
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

    fn start(&self) -> Result<usize, Fault> {
        let Some(token) = &self.next_token else {
            return Ok(0);
        };
        let message = "The specified token isn't valid.";
        (token.parse()).map_err(|_| Fault::client("InvalidNextToken", message))
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

/// `GetParametersByPath`: sorted by name, in pages.
pub(super) fn get(context: &mut Context<'_>, input: &Value) -> Result<Value, Fault> {
    refuse_unmodelled(input, &["ParameterFilters"])?;
    let asked: GetParametersByPath = read(input)?;
    asked.check()?;
    let (limit, start) = (asked.limit()?, asked.start()?);
    let parameters = context.ssm().parameters.values();
    let found = parameters.filter(|parameter| asked.accepts(&parameter.name));
    let mut rest: Vec<Value> = found.skip(start).map(Parameter::to_json).collect();
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
    use crate::ssm::testing::{World, code};

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
    async fn what_cannot_be_asked_is_refused() {
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
