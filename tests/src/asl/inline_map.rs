//! Map in inline mode.

use futures::stream::{self, StreamExt, TryStreamExt};
use serde_json::{Value, json};

use super::{Failure, Invoke, Scope, Source, Step, Walker, next, text};

impl<I: Invoke> Walker<'_, I> {
    /// Runs the item processor for each item, at most `MaxConcurrency` of them at a time. The first that
    /// fails ends the others. `$$.Map` is there for the item selector only.
    pub(super) async fn inline_map<'a>(
        &self,
        name: &str,
        state: &'a Value,
        data: Value,
        scope: &Scope,
    ) -> Result<Step<'a>, Failure> {
        let processor = &state["ItemProcessor"];
        if processor["ProcessorConfig"]["Mode"] != "INLINE" {
            return Err(Failure::runtime(format!("{name}: unknown mode of a Map")));
        }
        let items = self.data(&data).get(text(state, "ItemsPath")?)?;
        let items = items.as_array();
        let items = items.ok_or_else(|| Failure::runtime(format!("{name}: no list of items")))?;
        let inputs = items.iter().enumerate();
        let inputs: Result<Vec<Value>, Failure> = inputs
            .map(|(index, item)| self.input_of(state, &data, index, item))
            .collect();
        let inputs = inputs?;
        // The Map and each iteration have started, and have succeeded or failed.
        self.meter.count(2 + 2 * inputs.len())?;
        let inputs = inputs.into_iter();
        let runs: Vec<_> = inputs
            .map(|input| self.machine(processor, input, scope.inner()))
            .collect();
        let limit = match state["MaxConcurrency"].as_u64() {
            None | Some(0) => runs.len().max(1),
            Some(limit) => usize::try_from(limit).unwrap_or(usize::MAX),
        };
        match stream::iter(runs).buffered(limit).try_collect().await {
            Ok(outputs) => {
                let output = self.result(state, data, Value::Array(outputs))?;
                Ok((output, next(state)))
            }
            Err(failure) => self.catch(name, state, data, failure, scope),
        }
    }

    /// What an iteration begins with: the item, or what `ItemSelector` makes of it.
    fn input_of(
        &self,
        state: &Value,
        data: &Value,
        index: usize,
        item: &Value,
    ) -> Result<Value, Failure> {
        let Some(selector) = state.get("ItemSelector") else {
            return Ok(item.clone());
        };
        let mut context = self.context.clone();
        context["Map"] = json!({"Item": {"Index": index, "Value": item}});
        Source {
            data,
            context: &context,
            variables: None,
        }
        .fill(selector)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use super::*;
    use crate::asl::Machine;

    /// Answers with its payload after a second, and refuses the number 13.
    #[derive(Default)]
    struct Echo {
        running: AtomicUsize,
        most: AtomicUsize,
    }

    impl Invoke for Echo {
        async fn invoke(&self, _: &str, payload: Value) -> Result<Value, Failure> {
            let running = self.running.fetch_add(1, Ordering::Relaxed) + 1;
            self.most.fetch_max(running, Ordering::Relaxed);
            tokio::time::sleep(Duration::from_secs(1)).await;
            self.running.fetch_sub(1, Ordering::Relaxed);
            if payload["number"] == 13 {
                return Err(Failure::new("Unlucky", "13"));
            }
            Ok(payload)
        }
    }

    fn machine(mode: &str) -> Machine {
        Machine::new(json!({"StartAt": "Each", "States": {
            "Each": {
                "Type": "Map",
                "ItemsPath": "$.numbers",
                "ItemSelector": {
                    "number.$": "$$.Map.Item.Value",
                    "place.$": "$$.Map.Item.Index",
                    "of.$": "$.of",
                },
                "MaxConcurrency": 2,
                "ItemProcessor": {
                    "ProcessorConfig": {"Mode": mode},
                    "StartAt": "One",
                    "States": {"One": {"Type": "Task", "Resource": "echo", "End": true}},
                },
                "ResultPath": "$.all",
                "Catch": [{"ErrorEquals": ["Unlucky"], "ResultPath": "$.error", "Next": "Caught"}],
                "End": true,
            },
            "Caught": {"Type": "Pass", "End": true},
        }}))
    }

    #[tokio::test(start_paused = true)]
    async fn items_are_processed_so_many_at_a_time_and_answered_in_their_order() {
        let echo = Echo::default();
        let input = json!({"of": "x", "numbers": [5, 4, 3]});
        let execution = machine("INLINE").run(&echo, "test", input, 1).await;
        assert_eq!(
            execution.output()["all"],
            json!([
                {"number": 5, "place": 0, "of": "x"},
                {"number": 4, "place": 1, "of": "x"},
                {"number": 3, "place": 2, "of": "x"},
            ])
        );
        assert_eq!(execution.duration.as_secs(), 2);
        assert_eq!(echo.most.load(Ordering::Relaxed), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn no_items_are_an_empty_list() {
        let input = json!({"of": "x", "numbers": []});
        let execution = machine("INLINE")
            .run(&Echo::default(), "test", input, 1)
            .await;
        assert_eq!(execution.output()["all"], json!([]));
    }

    #[tokio::test(start_paused = true)]
    async fn an_iteration_that_fails_fails_the_map() {
        let input = json!({"of": "x", "numbers": [1, 13, 2, 3]});
        let execution = machine("INLINE")
            .run(&Echo::default(), "test", input, 1)
            .await;
        assert_eq!(execution.output()["error"]["Error"], "Unlucky");
    }

    #[tokio::test(start_paused = true)]
    async fn a_mode_that_is_not_known_is_refused() {
        let input = json!({"of": "x", "numbers": []});
        let execution = machine("ELSEWHERE")
            .run(&Echo::default(), "test", input, 1)
            .await;
        assert_eq!(execution.failure().error, "States.Runtime");
    }
}
